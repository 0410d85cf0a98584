//! What comes back: the kept words of every step, and what the device's clock says.

use wgpu::{Buffer, BufferDescriptor, BufferUsages, MapMode};

use crate::device::DeviceError;
use crate::device::gpu::clock::{Clock, Spans};
use crate::device::gpu::staging::Target;
use crate::device::gpu::waiting::wait;
use crate::kernels::{GpuStep, GpuWork};

/// The buffer that outputs come back through, kept from chunk to chunk.
#[derive(Debug, Default)]
pub(super) struct Readback {
    buffer: Option<Buffer>,
}

impl Readback {
    /// Waits for everything and brings the kept words of `outputs` back, and what the device's clock says.
    pub fn read(
        &mut self,
        at: &Target,
        work: &GpuWork,
        outputs: &[Buffer],
        clock: Option<&Clock>,
    ) -> Result<(Vec<Vec<u32>>, Option<Spans>), DeviceError> {
        let mut ends = Vec::with_capacity(outputs.len());
        let clock_bytes = clock.map_or(0, Clock::bytes);
        let mut size = clock_bytes.next_multiple_of(16).max(16);
        for step in work.steps() {
            size += kept_bytes(step);
            ends.push(size);
        }
        let kept = self.buffer.take().filter(|buffer| buffer.size() >= size);
        let (buffer, submission) = at.loss.scoped(&at.device, || {
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
                clock.resolve(&mut encoder, &buffer);
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
            let spans = clock.and_then(|clock| clock.spans(&view[..clock_bytes as usize]));
            drop(view);
            buffer.unmap();
            Ok((words, spans))
        })?;
        let read = read.map_err(|error| DeviceError::Lost(format!("its output cannot be read: {error}")))?;
        self.buffer = Some(buffer);
        Ok(read)
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
