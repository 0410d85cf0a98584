//! An opened device: executes a [`GpuWork`] and brings back what its steps wrote.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wgpu::{
    Adapter, BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, Buffer, BufferBinding, BufferDescriptor,
    BufferSize, BufferUsages, CommandEncoder, ComputePassDescriptor, ComputePipeline, Device, DeviceDescriptor,
    Features, PollError, PollType, Queue, SubmissionIndex,
};

use crate::device::gpu::GpuOptions;
use crate::device::gpu::buffers::BufferPool;
use crate::device::gpu::faults::{Loss, one_line};
use crate::device::gpu::modules::{Modules, PARAMS_BYTES};
use crate::device::gpu::readback::Readback;
use crate::device::gpu::residency::{ChunkKey, Held, Residency};
use crate::device::gpu::staging::{StagingRing, Target};
use crate::device::{DeviceError, Phases};
use crate::input::Scratch;
use crate::kernels::{Dispatch, GpuInput, GpuStep, GpuWork, Integers};

/// At most this many workgroups a dimension; more fold into y.
const MAX_WORKGROUPS: u32 = 65_535;
/// Dispatches whose parameters are written at once.
const MAX_DISPATCHES: usize = 1 << 14;
/// Uploads at least this large are waited for, so that their time is theirs and not the dispatch's.
const SETTLE_BYTES: u64 = 1 << 20;
/// Chunks smaller than this are not remembered: finding them again would take as long as sending them.
const REMEMBER_BYTES: u64 = 256 << 10;
/// Words of an output that nobody has written, where a session poisons.
pub(super) const POISON: u32 = 0xdead_beef;

/// What came back.
#[derive(Debug)]
pub(super) struct Done {
    /// What each step wrote.
    pub outputs: Vec<Vec<u32>>,
    pub phases: Phases,
    /// Whether no step had to upload its input.
    pub resident: bool,
}

/// An opened device and all that is kept on it.
#[derive(Debug)]
pub(super) struct Session {
    device: Device,
    queue: Queue,
    loss: Loss,
    patience: Duration,
    poison: bool,
    modules: Modules,
    pool: BufferPool,
    staging: StagingRing,
    residency: Residency<Buffer>,
    tables: Vec<(Arc<[u32]>, Buffer)>,
    params: Option<Buffer>,
    readback: Readback,
    /// Bound where a step has no input or no table.
    nothing: Buffer,
    params_stride: u64,
    max_binding_bytes: u64,
}

/// How many tables stay on the device.
const TABLES: usize = 16;

impl Session {
    /// Opens `adapter`. Blocks, and may recurse deeply: call it on a compiler's stack.
    pub fn open(
        adapter: &Adapter,
        integers: Integers,
        options: &GpuOptions,
        residency_bytes: u64,
        loss: &Loss,
        held: &Held,
    ) -> Result<Self, DeviceError> {
        let offered = adapter.features();
        let mut features = offered & Features::TIMESTAMP_QUERY;
        if integers == Integers::Native64 {
            features |= Features::SHADER_INT64;
        }
        let descriptor = DeviceDescriptor {
            label: Some("tandem"),
            required_features: features,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = loss
            .wall(|| pollster::block_on(adapter.request_device(&descriptor)))?
            .map_err(|error| DeviceError::Lost(format!("it cannot be opened: {}", one_line(&error.to_string()))))?;
        loss.watch(&device);
        loss.scoped(&device.clone(), || {
            let limits = device.limits();
            let buffer = |label, size, usage| {
                device.create_buffer(&BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
            };
            Self {
                modules: Modules::new(&device),
                pool: BufferPool::new(residency_bytes / 2, limits.max_buffer_size),
                staging: StagingRing::default(),
                residency: Residency::new(
                    residency_bytes,
                    u64::from(limits.min_storage_buffer_offset_alignment),
                    held.clone(),
                ),
                tables: Vec::new(),
                params: None,
                readback: Readback::new(&device, &queue),
                nothing: buffer("nothing", 16, BufferUsages::STORAGE),
                params_stride: PARAMS_BYTES.next_multiple_of(u64::from(limits.min_uniform_buffer_offset_alignment)),
                max_binding_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
                device,
                queue,
                loss: loss.clone(),
                patience: options.patience,
                poison: options.poison,
            }
        })
    }

    /// Executes `work`. Where memory runs out, what is kept from other chunks goes, and it is tried once more.
    pub fn run(&mut self, work: &GpuWork, scratch: &mut Scratch) -> Result<Done, DeviceError> {
        match self.try_run(work, scratch) {
            Err(DeviceError::OutOfMemory(_)) if self.drop_kept() => self.try_run(work, scratch),
            done => done,
        }
    }

    fn try_run(&mut self, work: &GpuWork, scratch: &mut Scratch) -> Result<Done, DeviceError> {
        let mut phases = Phases::default();
        let start = Instant::now();
        let (loss, device) = (self.loss.clone(), self.device.clone());
        self.modules.prepare(&device, &loss, work)?;
        self.write_params(work)?;
        phases.setup = start.elapsed();

        let mut resident = true;
        let mut upload = Duration::ZERO;
        let mut outputs = Vec::with_capacity(work.steps().len());
        let mut transient = Vec::new();
        let mut first_dispatch = 0;
        let computing = Instant::now();
        for step in work.steps() {
            let start = Instant::now();
            let input = self.input(step.input.as_ref(), scratch)?;
            upload += start.elapsed();
            resident &= input.resident;
            let output = self.dispatch(work, step, &input, first_dispatch)?;
            first_dispatch += step.dispatches.len();
            if let Some(buffer) = input.transient {
                transient.push(buffer);
            }
            outputs.push(output);
        }
        let target = Target { device: &self.device, queue: &self.queue, loss: &self.loss, patience: self.patience };
        let (words, computed) = self.readback.read(&target, work, &outputs)?;
        let waited = computing.elapsed().saturating_sub(upload);
        phases.upload = upload;
        phases.compute = computed.map_or(waited, |computed| computed.min(waited));
        phases.readback = waited - phases.compute;
        for buffer in outputs.into_iter().chain(transient) {
            self.pool.give(buffer);
        }
        Ok(Done { outputs: words, phases, resident })
    }

    /// Frees what is kept for later; says whether there was anything.
    pub fn drop_kept(&mut self) -> bool {
        self.tables.clear();
        let had = self.pool.clear() | self.residency.clear();
        // Memory comes back when the device has noticed.
        had && self.loss.wall(|| self.device.poll(PollType::Poll)).is_ok()
    }

    /// Writes the parameters of all dispatches, one stride apart.
    fn write_params(&mut self, work: &GpuWork) -> Result<(), DeviceError> {
        let dispatches: Vec<&Dispatch> = work.steps().iter().flat_map(|step| &step.dispatches).collect();
        if dispatches.len() > MAX_DISPATCHES {
            return Err(DeviceError::OutOfMemory(format!("{} dispatches for one chunk", dispatches.len())));
        }
        let stride = self.params_stride as usize;
        let mut bytes = vec![0u8; stride * dispatches.len().max(1)];
        for (dispatch, slot) in dispatches.iter().zip(bytes.chunks_exact_mut(stride)) {
            let params: &[u8] = bytemuck::cast_slice(&dispatch.params);
            let Some(room) = slot[..PARAMS_BYTES as usize].get_mut(..params.len()) else {
                return Err(DeviceError::Unsupported(format!("{} words of parameters", dispatch.params.len())));
            };
            room.copy_from_slice(params);
        }
        let (device, queue) = (&self.device, &self.queue);
        let params = &mut self.params;
        self.loss.scoped(device, || {
            let size = bytes.len() as u64;
            let buffer = match params.take() {
                Some(buffer) if buffer.size() >= size => buffer,
                _ => device.create_buffer(&BufferDescriptor {
                    label: Some("params"),
                    size: size.next_power_of_two(),
                    usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                }),
            };
            queue.write_buffer(&buffer, 0, &bytes);
            *params = Some(buffer);
        })
    }

    /// The input on the device: found there, or uploaded now.
    fn input(&mut self, input: Option<&GpuInput>, scratch: &mut Scratch) -> Result<Input, DeviceError> {
        let Some(input) = input.filter(|input| !input.range.is_empty()) else {
            return Ok(Input { buffer: self.nothing.clone(), offset: 0, bytes: 16, transient: None, resident: true });
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
            return Ok(Input { buffer, offset, bytes, transient: None, resident: true });
        }
        let buffer = self.loss.scoped(&self.device, || self.pool.take(&self.device, bytes))?;
        let target = Target { device: &self.device, queue: &self.queue, loss: &self.loss, patience: self.patience };
        self.staging.upload(&target, input, &buffer, scratch)?;
        if bytes >= SETTLE_BYTES {
            self.staging.settle(&target)?;
        }
        let transient = match key.filter(|_| bytes >= REMEMBER_BYTES && self.residency.would_keep(buffer.size())) {
            None => Some(buffer.clone()),
            Some(key) => {
                let size = buffer.size();
                for evicted in self.residency.keep(key, buffer.clone(), size) {
                    self.pool.give(evicted);
                }
                None
            }
        };
        Ok(Input { buffer, offset: 0, bytes, transient, resident: false })
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
            let buffer = self.pool.take(&self.device, table_bytes(table));
            self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(table));
            self.tables.push((table.clone(), buffer));
        }
        self.tables[self.tables.len() - 1].1.clone()
    }

    /// Encodes and submits the dispatches of a step, each a submission of its own, so that none runs for long; gives the
    /// output.
    fn dispatch(&mut self, work: &GpuWork, step: &GpuStep, input: &Input, first: usize) -> Result<Buffer, DeviceError> {
        let total: usize = work.steps().iter().map(|step| step.dispatches.len()).sum();
        let output_bytes = output_bytes(step);
        if output_bytes.max(table_bytes(&step.table)) > self.max_binding_bytes {
            return Err(DeviceError::OutOfMemory(format!("an output of {output_bytes} bytes")));
        }
        let loss = self.loss.clone();
        let device = self.device.clone();
        loss.scoped(&device, || {
            let output = self.pool.take(&device, output_bytes);
            let table = self.table(&step.table);
            let bind_group = self.bind(step, input, &output, output_bytes, &table);
            let mut encoder = device.create_command_encoder(&Default::default());
            if step.zeroed {
                encoder.clear_buffer(&output, 0, Some(output_bytes));
            } else if self.poison {
                let poison = vec![POISON; (output_bytes / 4) as usize];
                self.queue.write_buffer(&output, 0, bytemuck::cast_slice(&poison));
            }
            for (i, dispatch) in step.dispatches.iter().enumerate() {
                let number = first + i;
                let pipeline = self.modules.get(&step.shader, work.is_trusted(), &dispatch.entry);
                let pipeline = pipeline.expect("pipelines are prepared before use");
                self.encode(&mut encoder, pipeline, dispatch, &bind_group, number, number + 1 == total);
                let full = std::mem::replace(&mut encoder, device.create_command_encoder(&Default::default()));
                self.queue.submit([full.finish()]);
            }
            self.queue.submit([encoder.finish()]);
            output
        })
    }

    fn bind(&self, step: &GpuStep, input: &Input, output: &Buffer, output_bytes: u64, table: &Buffer) -> BindGroup {
        let part = |buffer, offset, bytes| {
            BindingResource::Buffer(BufferBinding { buffer, offset, size: BufferSize::new(bytes) })
        };
        let params = self.params.as_ref().expect("parameters are written before anything is bound");
        self.device.create_bind_group(&BindGroupDescriptor {
            label: Some(&step.shader.label),
            layout: &self.modules.bindings,
            entries: &[
                BindGroupEntry { binding: 0, resource: part(&input.buffer, input.offset, input.bytes) },
                BindGroupEntry { binding: 1, resource: part(output, 0, output_bytes) },
                BindGroupEntry { binding: 2, resource: part(table, 0, table_bytes(&step.table)) },
                BindGroupEntry { binding: 3, resource: part(params, 0, PARAMS_BYTES) },
            ],
        })
    }

    /// One dispatch; the first of a work starts the clock, the last one stops it.
    fn encode(
        &self,
        encoder: &mut CommandEncoder,
        pipeline: &ComputePipeline,
        dispatch: &Dispatch,
        bind_group: &BindGroup,
        number: usize,
        last: bool,
    ) {
        let timestamp_writes = self.readback.timestamps(number == 0, last);
        let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor { label: None, timestamp_writes });
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, bind_group, &[(number as u64 * self.params_stride) as u32]);
        let (x, y) = fold_workgroups(dispatch.workgroups);
        if x > 0 {
            pass.dispatch_workgroups(x, y, 1);
        }
    }

    /// Kills the device, as a pulled cable does.
    #[cfg(test)]
    pub fn destroy(&self) {
        self.device.destroy();
    }
}

#[derive(Debug)]
struct Input {
    buffer: Buffer,
    offset: u64,
    bytes: u64,
    /// The buffer again, where it goes back to the pool with this chunk.
    transient: Option<Buffer>,
    resident: bool,
}

/// Waits for a submission, in finite steps, and for so long at most.
pub(super) fn wait(at: &Target<'_>, submission: SubmissionIndex) -> Result<(), DeviceError> {
    wait_for(at.loss, at.patience, |timeout| {
        let poll = PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(timeout) };
        at.device.poll(poll).map(|_| ())
    })
}

/// Polls until it succeeds, the device is lost, or patience ends; that too loses the device.
fn wait_for(
    loss: &Loss,
    patience: Duration,
    mut poll: impl FnMut(Duration) -> Result<(), PollError>,
) -> Result<(), DeviceError> {
    const STEP: Duration = Duration::from_millis(250);
    let start = Instant::now();
    loop {
        let polled = loss.wall(|| poll(STEP.min(patience)))?;
        loss.check()?;
        match polled {
            Ok(()) => return Ok(()),
            Err(PollError::Timeout) if start.elapsed() < patience => {}
            Err(PollError::Timeout) => loss.set(format!("no answer within {patience:?}")),
            Err(error) => loss.set(format!("waiting failed: {error}")),
        }
        loss.check()?;
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
pub(super) fn fold_workgroups(count: u32) -> (u32, u32) {
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

    #[test]
    fn waiting_ends_with_an_answer_a_loss_or_the_end_of_patience() {
        let patience = Duration::from_millis(20);
        let mut polls = 0;
        let answered = wait_for(&Loss::default(), Duration::from_secs(60), |_| {
            polls += 1;
            if polls < 4 { Err(PollError::Timeout) } else { Ok(()) }
        });
        assert!(answered.is_ok() && polls == 4);

        let loss = Loss::default();
        let error = wait_for(&loss, patience, |timeout| {
            assert!(timeout <= patience);
            std::thread::sleep(timeout);
            Err(PollError::Timeout)
        });
        assert_eq!(error.unwrap_err().to_string(), "device lost: no answer within 20ms");
        assert!(loss.check().is_err(), "it stays lost");

        let loss = Loss::default();
        let told = wait_for(&loss, patience, |_| {
            loss.set("gone");
            Ok(())
        });
        assert_eq!(told.unwrap_err().to_string(), "device lost: gone");

        let fault = wait_for(&Loss::default(), patience, |_| Err(PollError::WrongSubmissionIndex(2, 1)));
        assert!(fault.unwrap_err().to_string().contains("waiting failed"));
        let panicked = wait_for(&Loss::default(), patience, |_| panic!("in the driver"));
        assert!(panicked.unwrap_err().to_string().contains("in the driver"));
    }
}
