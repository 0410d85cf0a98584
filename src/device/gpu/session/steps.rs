//! The dispatches of a step: bound, encoded, and submitted as soon as what they look at is on its way.

use std::sync::Arc;

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, Buffer, BufferBinding, BufferSize, CommandEncoder,
    ComputePassDescriptor,
};

use crate::device::DeviceError;
use crate::device::gpu::modules::PARAMS_BYTES;
use crate::device::gpu::session::inputs::Input;
use crate::device::gpu::session::{Course, Session};
use crate::device::gpu::staging::Target;
use crate::kernels::{Dispatch, GpuStep, GpuWork};

/// At most this many workgroups a dimension; more fold into y.
const MAX_WORKGROUPS: u32 = 65_535;
/// How many tables stay on the device.
const TABLES: usize = 16;
/// Words of an output that nobody has written, where a session poisons.
pub(in crate::device::gpu) const POISON: u32 = 0xdead_beef;

/// Where a dispatch stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Among those of the work.
    number: usize,
    /// Whether the device did something else before, and whether it will after.
    first: bool,
    last: bool,
}

impl Session {
    /// Runs a step, whose first dispatch is that of number `first` of the work, and gives its output.
    pub(super) fn step(
        &mut self,
        work: &GpuWork,
        step: &GpuStep,
        first: usize,
        input: &mut Input<'_>,
        course: &mut Course<'_>,
    ) -> Result<Buffer, DeviceError> {
        let output_bytes = output_bytes(step);
        if output_bytes.max(table_bytes(&step.table)) > self.max_binding_bytes {
            return Err(DeviceError::OutOfMemory(format!("an output of {output_bytes} bytes")));
        }
        let loss = self.at.loss.clone();
        let device = self.at.device.clone();
        let (output, table, mut encoder) = loss.scoped(&device, || {
            let output = self.pool.take(&device, output_bytes);
            let table = self.table(&step.table);
            let mut encoder = device.create_command_encoder(&Default::default());
            if step.zeroed {
                encoder.clear_buffer(&output, 0, Some(output_bytes));
            } else if self.poison {
                let poison = vec![POISON; (output_bytes / 4) as usize];
                self.at.queue.write_buffer(&output, 0, bytemuck::cast_slice(&poison));
            }
            (output, table, encoder)
        })?;
        let mut bound: Option<(u64, BindGroup)> = None;
        let mut dispatches = step.dispatches.iter().enumerate().peekable();
        while let Some((i, dispatch)) = dispatches.next() {
            let comes_first = i == 0 || !input.has(dispatch.input_end);
            self.send(input, dispatch.input_end, course)?;
            if i == 0 {
                self.settle(input, course)?;
            }
            let comes_last = dispatches.peek().is_none_or(|(_, next)| !input.has(next.input_end));
            let place = Place { number: first + i, first: comes_first, last: comes_last };
            encoder = loss.scoped(&device, || {
                // What is not there yet is not bound: wgpu would fill it with zeros first.
                let there = input.bytes_there();
                let (_, group) = match bound.take() {
                    Some(bound) if bound.0 == there => bound,
                    _ => (there, self.bind(step, input, there, &output, output_bytes, &table)),
                };
                self.encode(&mut encoder, work, step, dispatch, &group, place);
                bound = Some((there, group));
                let full = std::mem::replace(&mut encoder, device.create_command_encoder(&Default::default()));
                // A submission of its own, so that none runs for long.
                self.at.queue.submit([full.finish()]);
                encoder
            })?;
        }
        if step.dispatches.is_empty() {
            loss.scoped(&device, || self.at.queue.submit([encoder.finish()]))?;
        }
        // What nobody looked at is kept like the rest.
        self.send(input, u64::MAX, course)?;
        Ok(output)
    }

    fn bind(
        &self,
        step: &GpuStep,
        input: &Input<'_>,
        there: u64,
        output: &Buffer,
        output_bytes: u64,
        table: &Buffer,
    ) -> BindGroup {
        let part = |buffer, offset, bytes| {
            BindingResource::Buffer(BufferBinding { buffer, offset, size: BufferSize::new(bytes) })
        };
        let params = self.params.as_ref().expect("parameters are written before anything is bound");
        self.at.device.create_bind_group(&BindGroupDescriptor {
            label: Some(&step.shader.label),
            layout: &self.modules.bindings,
            entries: &[
                BindGroupEntry { binding: 0, resource: part(&input.buffer, input.offset, there) },
                BindGroupEntry { binding: 1, resource: part(output, 0, output_bytes) },
                BindGroupEntry { binding: 2, resource: part(table, 0, table_bytes(&step.table)) },
                BindGroupEntry { binding: 3, resource: part(params, 0, PARAMS_BYTES) },
            ],
        })
    }

    fn encode(
        &mut self,
        encoder: &mut CommandEncoder,
        work: &GpuWork,
        step: &GpuStep,
        dispatch: &Dispatch,
        bind_group: &BindGroup,
        place: Place,
    ) {
        let pipeline = self.modules.get(&step.shader, work.is_trusted(), &dispatch.entry);
        let pipeline = pipeline.expect("pipelines are prepared before use");
        let timestamp_writes = self.clock.as_mut().and_then(|clock| clock.timestamps(place.first, place.last));
        let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor { label: None, timestamp_writes });
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, bind_group, &[(place.number as u64 * self.params_stride) as u32]);
        let (x, y) = fold_workgroups(dispatch.workgroups);
        if x > 0 {
            pass.dispatch_workgroups(x, y, 1);
        }
    }

    /// The table on the device. Passes hand the same words with every chunk, so the last few stay.
    fn table(&mut self, table: &Arc<[u32]>) -> Buffer {
        if table.is_empty() {
            return self.nothing.clone();
        }
        if let Some(found) = self.tables.iter().position(|(kept, _)| Arc::ptr_eq(kept, table) || kept == table) {
            let entry = self.tables.remove(found);
            self.tables.push(entry);
        } else {
            if self.tables.len() == TABLES {
                let (_, oldest) = self.tables.remove(0);
                self.pool.give(oldest);
            }
            let Target { device, queue, .. } = &self.at;
            let buffer = self.pool.take(device, table_bytes(table));
            queue.write_buffer(&buffer, 0, bytemuck::cast_slice(table));
            self.tables.push((table.clone(), buffer));
        }
        self.tables[self.tables.len() - 1].1.clone()
    }
}

/// The size of a step's output; room for what is copied from it, rounded up.
fn output_bytes(step: &GpuStep) -> u64 {
    step.output_words.saturating_mul(4).saturating_add(16).checked_next_multiple_of(16).unwrap_or(u64::MAX)
}

fn table_bytes(table: &Arc<[u32]>) -> u64 {
    (size_of_val::<[u32]>(table) as u64).max(16)
}

/// A count of workgroups as x and y. Their product may pass the count: shaders ignore numbers past their own.
fn fold_workgroups(count: u32) -> (u32, u32) {
    if count <= MAX_WORKGROUPS {
        return (count, 1);
    }
    let y = count.div_ceil(MAX_WORKGROUPS);
    (count.div_ceil(y), y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workgroups_past_one_dimension_fold_into_two_and_none_is_lost() {
        for count in [0, 1, 65_534, 65_535, 65_536, 65_537, 131_071, 1 << 24, u32::MAX] {
            let (x, y) = fold_workgroups(count);
            assert!(x <= MAX_WORKGROUPS && y <= MAX_WORKGROUPS + 2);
            let product = u64::from(x) * u64::from(y);
            assert!(product >= u64::from(count) && product < u64::from(count) + u64::from(y), "{count}: {x} x {y}");
        }
    }
}
