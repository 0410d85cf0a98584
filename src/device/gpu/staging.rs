//! The way of input to the device: a ring of mapped staging buffers, kept and reused.
//!
//! The host fills one slot while the device copies others and computes on what has arrived. wgpu gives a device one queue, so
//! the device's own copies do not overlap its computing; what overlaps is the host's part, which is the slower one: it
//! reads, decodes or unpacks, and copies (see `copying.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use wgpu::{Buffer, BufferDescriptor, BufferUsages, Device, MapMode, Queue, SubmissionIndex};

use crate::device::DeviceError;
use crate::device::gpu::copying::Copier;
use crate::device::gpu::faults::Loss;
use crate::device::gpu::waiting::wait;

/// The size of one staging buffer.
pub(super) const SLOT_BYTES: u64 = 4 << 20;
/// How many there are: one is filled while others are copied.
const SLOTS: usize = 3;

/// What is no larger goes by the queue's own way: a job of a few numbers should not pay for the ring.
const SMALL_BYTES: usize = 64 << 10;

const UNMAPPED: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

#[derive(Debug)]
struct Slot {
    buffer: Buffer,
    state: Arc<AtomicU8>,
    /// The copy that last read it.
    busy: Option<SubmissionIndex>,
}

/// The ring.
#[derive(Debug)]
pub(super) struct StagingRing {
    slots: Vec<Slot>,
    next: usize,
    /// What is no larger goes by the queue's own way.
    small_bytes: usize,
    copier: Copier,
}

impl StagingRing {
    /// A ring for pieces of so many bytes.
    pub fn new(piece_bytes: u64, copier: Copier) -> Self {
        // Whole pieces take the ring, however small: tests make them small to see them there.
        Self { slots: Vec::new(), next: 0, small_bytes: SMALL_BYTES.min(piece_bytes as usize / 2), copier }
    }

    /// Copies at most one slot of bytes, padded with zeros to 16, to `target` at `offset`. The copy is submitted, and not
    /// waited for, unless all slots are on their way.
    pub fn send(&mut self, at: &Target, bytes: &[u8], target: &Buffer, offset: u64) -> Result<(), DeviceError> {
        if bytes.len() <= self.small_bytes {
            let mut padded = bytes.to_vec();
            padded.resize(bytes.len().next_multiple_of(16), 0);
            return at.loss.scoped(&at.device, || at.queue.write_buffer(target, offset, &padded));
        }
        let index = self.free_slot(at)?;
        let (slot, copier) = (&mut self.slots[index], &mut self.copier);
        let copied = (bytes.len() as u64).next_multiple_of(16);
        slot.busy = Some(at.loss.scoped(&at.device, || {
            match slot.buffer.get_mapped_range_mut(0..copied) {
                Ok(mut view) => {
                    copier.copy(bytes, view.slice(..bytes.len()));
                    view.slice(bytes.len()..).copy_from_slice(&[0; 16][..copied as usize - bytes.len()]);
                }
                Err(error) => at.loss.set(format!("staging memory is not mapped: {error}")),
            }
            slot.buffer.unmap();
            slot.state.store(UNMAPPED, Ordering::Release);
            let mut encoder = at.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(&slot.buffer, 0, target, offset, copied);
            let state = slot.state.clone();
            encoder.map_buffer_on_submit(&slot.buffer, MapMode::Write, .., move |result| {
                state.store(if result.is_ok() { MAPPED } else { FAILED }, Ordering::Release);
            });
            at.queue.submit([encoder.finish()])
        })?);
        Ok(())
    }

    /// A slot that is mapped, waited for if need be.
    fn free_slot(&mut self, at: &Target) -> Result<usize, DeviceError> {
        if self.slots.len() < SLOTS {
            let buffer = at.loss.scoped(&at.device, || {
                at.device.create_buffer(&BufferDescriptor {
                    label: Some("staging"),
                    size: SLOT_BYTES,
                    usage: BufferUsages::MAP_WRITE | BufferUsages::COPY_SRC,
                    mapped_at_creation: true,
                })
            })?;
            self.slots.push(Slot { buffer, state: Arc::new(AtomicU8::new(MAPPED)), busy: None });
            return Ok(self.slots.len() - 1);
        }
        let index = self.next;
        self.next = (self.next + 1) % SLOTS;
        let slot = &mut self.slots[index];
        if let Some(submission) = slot.busy.take() {
            wait(at, submission)?;
        }
        match slot.state.load(Ordering::Acquire) {
            MAPPED => Ok(index),
            _ => {
                at.loss.set("staging memory could not be mapped");
                Err(at.loss.check().expect_err("it has just been set"))
            }
        }
    }

    /// Waits until everything sent so far has arrived.
    pub fn settle(&mut self, at: &Target) -> Result<(), DeviceError> {
        for slot in &mut self.slots {
            if let Some(submission) = slot.busy.take() {
                wait(at, submission)?;
            }
        }
        Ok(())
    }
}

/// Where to send things, and how long to wait for them.
#[derive(Debug)]
pub(super) struct Target {
    pub device: Device,
    pub queue: Queue,
    pub loss: Loss,
    pub patience: Duration,
}
