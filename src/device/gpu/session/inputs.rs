//! The input of a step: found on the device, or sent there piece by piece.

use std::time::Instant;

use wgpu::Buffer;

use crate::device::DeviceError;
use crate::device::gpu::residency::ChunkKey;
use crate::device::gpu::session::{Course, Session};
use crate::device::gpu::staging::{SLOT_BYTES, Target};
use crate::kernels::GpuInput;

/// Uploads at least this large are told from computing by the device's clock, or where it has none, waited for.
const TIMED_BYTES: u64 = 1 << 20;
/// Chunks smaller than this are not remembered: finding them again would take as long as sending them.
const REMEMBER_BYTES: u64 = 256 << 10;

/// The input of a step on the device.
#[derive(Debug)]
pub(super) struct Input<'w> {
    pub buffer: Buffer,
    /// Where in the buffer it begins.
    pub offset: u64,
    /// How long it is, rounded up to 16.
    pub bytes: u64,
    /// The rest of its way; `None` where all of it was there from the beginning.
    pub way: Option<Way<'w>>,
}

/// An input on its way.
#[derive(Debug)]
pub(super) struct Way<'w> {
    input: &'w GpuInput,
    key: Option<ChunkKey>,
    element_bytes: u64,
    /// How many elements are sent.
    sent: u64,
}

impl Input<'_> {
    /// Whether the elements before this one are on the device, or on their way before anything that is submitted now.
    pub fn has(&self, end: u64) -> bool {
        self.way.as_ref().is_none_or(|way| way.sent >= end.min(way.len()))
    }

    /// Whether all of them are.
    pub fn is_whole(&self) -> bool {
        self.has(u64::MAX)
    }

    /// How much of it can be bound.
    pub fn bytes_there(&self) -> u64 {
        let there = self.way.as_ref().map_or(self.bytes, |way| (way.sent * way.element_bytes).next_multiple_of(16));
        there.clamp(16, self.bytes)
    }
}

impl Way<'_> {
    fn len(&self) -> u64 {
        self.input.range.end - self.input.range.start
    }
}

impl Session {
    /// Finds the input on the device, or makes room for it.
    pub(super) fn input<'w>(&mut self, input: Option<&'w GpuInput>) -> Result<Input<'w>, DeviceError> {
        let Some(input) = input.filter(|input| !input.range.is_empty()) else {
            return Ok(Input { buffer: self.nothing.clone(), offset: 0, bytes: 16, way: None });
        };
        let element_bytes = input.source.dtype().size_bytes() as u64;
        let bytes = (input.range.end - input.range.start)
            .checked_mul(element_bytes)
            .and_then(|bytes| bytes.checked_next_multiple_of(16))
            .filter(|&bytes| bytes <= self.max_binding_bytes)
            .ok_or_else(|| {
                let count = input.range.end - input.range.start;
                DeviceError::OutOfMemory(format!("{count} elements are more than one binding holds"))
            })?;
        let key = input.source.identity().map(|source| ChunkKey { source, range: input.range.clone(), element_bytes });
        if let Some((buffer, offset)) = key.as_ref().and_then(|key| self.residency.find(key)) {
            return Ok(Input { buffer, offset, bytes, way: None });
        }
        let buffer = self.at.loss.scoped(&self.at.device, || self.pool.take(&self.at.device, bytes))?;
        Ok(Input { buffer, offset: 0, bytes, way: Some(Way { input, key, element_bytes, sent: 0 }) })
    }

    /// Sends pieces of the input until the elements before `end` are on their way.
    pub(super) fn send(&mut self, input: &mut Input<'_>, end: u64, course: &mut Course<'_>) -> Result<(), DeviceError> {
        if input.has(end) {
            return Ok(());
        }
        let Some(way) = &mut input.way else { return Ok(()) };
        let sending = Instant::now();
        if way.sent == 0 && input.bytes >= TIMED_BYTES {
            self.begin_clock(course)?;
        }
        let step = (self.piece_bytes.min(SLOT_BYTES) / way.element_bytes).max(1);
        let source = &way.input.source;
        while way.sent < end.min(way.len()) {
            let next = way.len().min(way.sent + step);
            let first = way.input.range.start;
            let values = source.read(first + way.sent..first + next, course.scratch)?;
            self.staging.send(&self.at, values.bytes(), &input.buffer, way.sent * way.element_bytes)?;
            way.sent = next;
        }
        if way.sent == way.len() {
            // A mapped file that was truncated meanwhile has read as zeros: better no answer than one of zeros.
            source.check()?;
        }
        course.noted.sending += sending.elapsed();
        Ok(())
    }

    /// Waits for what was sent, where nothing else would tell its time from that of computing.
    pub(super) fn settle(&mut self, input: &Input<'_>, course: &mut Course<'_>) -> Result<(), DeviceError> {
        if self.clock.is_none() && input.way.is_some() && input.is_whole() && input.bytes >= TIMED_BYTES {
            let sending = Instant::now();
            self.staging.settle(&self.at)?;
            course.noted.sending += sending.elapsed();
        }
        Ok(())
    }

    /// Keeps an input for later chunks, where it is worth it; gives back its buffer where it goes to the pool with this chunk.
    pub(super) fn keep(&mut self, input: Input<'_>) -> Option<Buffer> {
        let Input { buffer, bytes, way, .. } = input;
        let key = way?.key.filter(|_| bytes >= REMEMBER_BYTES && self.residency.would_keep(buffer.size()));
        let Some(key) = key else { return Some(buffer) };
        let size = buffer.size();
        for evicted in self.residency.keep(key, buffer, size) {
            self.pool.give(evicted);
        }
        None
    }

    /// Has the device note the time at which it begins.
    fn begin_clock(&mut self, course: &mut Course<'_>) -> Result<(), DeviceError> {
        let Some(clock) = self.clock.as_mut().filter(|clock| clock.bytes() == 0) else { return Ok(()) };
        course.noted.begun = Some(course.start.elapsed());
        let Target { device, queue, loss, .. } = &self.at;
        loss.scoped(device, || {
            let mut encoder = device.create_command_encoder(&Default::default());
            clock.begin(&mut encoder);
            queue.submit([encoder.finish()]);
        })
    }
}
