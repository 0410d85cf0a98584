//! An opened device: executes a [`GpuWork`] and brings back what its steps wrote.
//!
//! A chunk's input goes up in pieces, and a dispatch is submitted as soon as the pieces that it looks at are on their way: the
//! host fills staging memory while the device copies and computes. That hides all of the shorter of the two but the way of the
//! first piece, or the computing of the last, each a sixteenth of a large chunk. Sending the next chunk while this one
//! computes would hide that rest, for twice the memory on the device, and would have the engine hand out a chunk before it
//! knows how long the last one took; so one chunk is under way at a time.

mod inputs;
mod steps;

use std::sync::Arc;
use std::time::Instant;

use wgpu::{Adapter, Buffer, BufferDescriptor, BufferUsages, DeviceDescriptor, DeviceType, Features, PollType};

use crate::device::gpu::GpuOptions;
use crate::device::gpu::buffers::BufferPool;
use crate::device::gpu::clock::{Clock, Noted, phases};
use crate::device::gpu::copying::Copier;
use crate::device::gpu::faults::{Loss, one_line};
use crate::device::gpu::modules::{Modules, PARAMS_BYTES};
use crate::device::gpu::readback::Readback;
use crate::device::gpu::residency::{Held, Residency};
use crate::device::gpu::staging::{SLOT_BYTES, StagingRing, Target};
use crate::device::{DeviceError, Phases};
use crate::input::Scratch;
use crate::kernels::{Dispatch, GpuWork, Integers};

#[cfg(test)]
pub(super) use steps::POISON;

/// Dispatches whose parameters are written at once.
const MAX_DISPATCHES: usize = 1 << 14;

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
    at: Target,
    poison: bool,
    modules: Modules,
    pool: BufferPool,
    staging: StagingRing,
    residency: Residency<Buffer>,
    tables: Vec<(Arc<[u32]>, Buffer)>,
    params: Option<Buffer>,
    readback: Readback,
    clock: Option<Clock>,
    /// Bound where a step has no input or no table.
    nothing: Buffer,
    params_stride: u64,
    max_binding_bytes: u64,
    /// What is sent at once, at most.
    piece_bytes: u64,
}

/// How many threads copy an input: a quarter of the CPUs, four at most, since more would fill no link. A software adapter's CPUs have
/// the computing to do.
fn upload_threads(device: DeviceType) -> usize {
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get());
    if device == DeviceType::Cpu { 1 } else { (cpus / 4).clamp(1, 4) }
}

/// A work under way.
struct Course<'s> {
    scratch: &'s mut Scratch,
    start: Instant,
    noted: Noted,
}

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
        // Every piece but the last is a multiple of 16 bytes.
        let piece_bytes = options.piece_bytes.unwrap_or(SLOT_BYTES).next_multiple_of(16).max(16);
        let upload_threads = options.upload_threads.unwrap_or_else(|| upload_threads(adapter.get_info().device_type));
        // Small pieces are there to try things out on little.
        let least_shared_bytes = options.piece_bytes.map(|bytes| bytes as usize);
        loss.scoped(&device.clone(), || {
            let limits = device.limits();
            let buffer = |label, size, usage| {
                device.create_buffer(&BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
            };
            Self {
                modules: Modules::new(&device),
                pool: BufferPool::new(residency_bytes / 2, limits.max_buffer_size),
                staging: StagingRing::new(piece_bytes, Copier::new(upload_threads, least_shared_bytes)),
                residency: Residency::new(
                    residency_bytes,
                    u64::from(limits.min_storage_buffer_offset_alignment),
                    held.clone(),
                ),
                tables: Vec::new(),
                params: None,
                readback: Readback::default(),
                clock: Clock::new(&device, &queue),
                nothing: buffer("nothing", 16, BufferUsages::STORAGE),
                params_stride: PARAMS_BYTES.next_multiple_of(u64::from(limits.min_uniform_buffer_offset_alignment)),
                max_binding_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
                at: Target { device, queue, loss: loss.clone(), patience: options.patience },
                poison: options.poison,
                piece_bytes,
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
        let start = Instant::now();
        self.modules.prepare(&self.at.device, &self.at.loss, work)?;
        self.write_params(work)?;
        let setup = start.elapsed();

        if let Some(clock) = &mut self.clock {
            clock.restart();
        }
        let mut course = Course { scratch, start: Instant::now(), noted: Noted::default() };
        let mut resident = true;
        let mut outputs = Vec::with_capacity(work.steps().len());
        let mut transient = Vec::new();
        let mut first = 0;
        for step in work.steps() {
            let mut input = self.input(step.input.as_ref())?;
            resident &= input.way.is_none();
            outputs.push(self.step(work, step, first, &mut input, &mut course)?);
            transient.extend(self.keep(input));
            first += step.dispatches.len();
        }
        let (words, spans) = self.readback.read(&self.at, work, &outputs, self.clock.as_ref())?;
        course.noted.took = course.start.elapsed();
        for buffer in outputs.into_iter().chain(transient) {
            self.pool.give(buffer);
        }
        Ok(Done { outputs: words, phases: Phases { setup, ..phases(course.noted, spans) }, resident })
    }

    /// Frees what is kept for later; says whether there was anything.
    pub fn drop_kept(&mut self) -> bool {
        self.tables.clear();
        let had = self.pool.clear() | self.residency.clear();
        // Memory comes back when the device has noticed.
        had && self.at.loss.wall(|| self.at.device.poll(PollType::Poll)).is_ok()
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
        let Target { device, queue, loss, .. } = &self.at;
        let params = &mut self.params;
        loss.scoped(device, || {
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

    /// Kills the device, as a pulled cable does.
    #[cfg(test)]
    pub fn destroy(&self) {
        self.at.device.destroy();
    }
}
