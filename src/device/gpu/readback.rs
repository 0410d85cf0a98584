//! What comes back: the kept words of every step, and how long the device says it computed.

use std::time::Duration;

use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, ComputePassTimestampWrites, Device, Features, MapMode, QuerySet,
    QuerySetDescriptor, QueryType, Queue,
};

use crate::device::DeviceError;
use crate::device::gpu::session::wait;
use crate::device::gpu::staging::Target;
use crate::kernels::{GpuStep, GpuWork};

/// Two timestamps.
const CLOCK_BYTES: u64 = 16;

/// The buffer that outputs come back through, kept from chunk to chunk, and the device's own clock.
#[derive(Debug)]
pub(super) struct Readback {
    buffer: Option<Buffer>,
    clock: Option<GpuClock>,
}

/// Timestamps around what a work computes.
#[derive(Debug)]
struct GpuClock {
    queries: QuerySet,
    resolved: Buffer,
    ns_per_tick: f64,
}

impl Readback {
    /// With a clock where `device` was opened with timestamps. Call it inside an error scope.
    pub fn new(device: &Device, queue: &Queue) -> Self {
        let clock = device.features().contains(Features::TIMESTAMP_QUERY).then(|| GpuClock {
            queries: device.create_query_set(&QuerySetDescriptor { label: None, ty: QueryType::Timestamp, count: 2 }),
            resolved: device.create_buffer(&BufferDescriptor {
                label: Some("clock"),
                size: 256,
                usage: BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
            ns_per_tick: f64::from(queue.get_timestamp_period()),
        });
        Self { buffer: None, clock }
    }

    /// What the first and the last pass of a work write.
    pub fn timestamps(&self, first: bool, last: bool) -> Option<ComputePassTimestampWrites<'_>> {
        let clock = self.clock.as_ref().filter(|_| first || last)?;
        Some(ComputePassTimestampWrites {
            query_set: &clock.queries,
            beginning_of_pass_write_index: first.then_some(0),
            end_of_pass_write_index: last.then_some(1),
        })
    }

    /// Waits for everything and brings the kept words of `outputs` back, and how long the device says it computed.
    pub fn read(
        &mut self,
        at: &Target<'_>,
        work: &GpuWork,
        outputs: &[Buffer],
    ) -> Result<(Vec<Vec<u32>>, Option<Duration>), DeviceError> {
        let mut ends = Vec::with_capacity(outputs.len());
        let mut size = CLOCK_BYTES;
        for step in work.steps() {
            size += kept_bytes(step);
            ends.push(size);
        }
        let timed = work.steps().iter().any(|step| !step.dispatches.is_empty());
        let clock = self.clock.as_ref().filter(|_| timed);
        let kept = self.buffer.take().filter(|buffer| buffer.size() >= size);
        let (buffer, submission) = at.loss.scoped(at.device, || {
            let buffer = kept.unwrap_or_else(|| {
                at.device.create_buffer(&BufferDescriptor {
                    label: Some("readback"),
                    size: size.next_power_of_two().min(at.device.limits().max_buffer_size).max(size),
                    usage: BufferUsages::COPY_DST | BufferUsages::MAP_READ,
                    mapped_at_creation: false,
                })
            });
            let mut encoder = at.device.create_command_encoder(&Default::default());
            if let Some(clock) = clock {
                encoder.resolve_query_set(&clock.queries, 0..2, &clock.resolved, 0);
                encoder.copy_buffer_to_buffer(&clock.resolved, 0, &buffer, 0, CLOCK_BYTES);
            }
            for ((output, step), end) in outputs.iter().zip(work.steps()).zip(&ends) {
                let (start, bytes) = (step.scratch_words * 4, kept_bytes(step));
                encoder.copy_buffer_to_buffer(output, start, &buffer, end - bytes, bytes);
            }
            encoder.map_buffer_on_submit(&buffer, MapMode::Read, 0..size, |_| {});
            (buffer, at.queue.submit([encoder.finish()]))
        })?;
        wait(at, submission)?;
        let read = at.loss.wall(|| -> Result<_, String> {
            let view = buffer.get_mapped_range(0..size).map_err(|error| error.to_string())?;
            let words: Vec<Vec<u32>> = work
                .steps()
                .iter()
                .zip(&ends)
                .map(|(step, &end)| {
                    let start = (end - kept_bytes(step)) as usize;
                    bytemuck::pod_collect_to_vec(&view[start..start + kept_words(step) as usize * 4])
                })
                .collect();
            let ticks: [u64; 2] = bytemuck::pod_read_unaligned(&view[..CLOCK_BYTES as usize]);
            drop(view);
            buffer.unmap();
            Ok((words, ticks))
        })?;
        let (words, ticks) = read.map_err(|error| DeviceError::Lost(format!("its output cannot be read: {error}")))?;
        self.buffer = Some(buffer);
        let clock = self.clock.as_ref().filter(|_| timed && ticks[1] > ticks[0]);
        let computed =
            clock.map(|clock| Duration::from_nanos(((ticks[1] - ticks[0]) as f64 * clock.ns_per_tick) as u64));
        Ok((words, computed))
    }
}

/// The words of a step's output that come back.
fn kept_words(step: &GpuStep) -> u64 {
    step.output_words.saturating_sub(step.scratch_words)
}

/// The same in bytes, as they lie in the buffer.
fn kept_bytes(step: &GpuStep) -> u64 {
    (kept_words(step) * 4).next_multiple_of(16)
}
