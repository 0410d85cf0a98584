//! A GPU as a [`Device`]: opened with the first chunk that it folds.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use wgpu::Adapter;

use crate::device::gpu::faults::Loss;
use crate::device::gpu::inventory::GpuOptions;
use crate::device::gpu::modules::on_compiler_stack;
use crate::device::gpu::residency::Held;
use crate::device::gpu::session::Session;
use crate::device::{ChunkDone, Device, DeviceError, DeviceInfo, Phases};
use crate::input::Scratch;
use crate::kernels::{DynKernel, DynPass, FoldContext, GpuCaps, GpuWork, Isa};

/// A GPU. Made by [`Inventory::device`](crate::device::gpu::Inventory::device), which opens nothing; the first chunk
/// does, and its `setup` phase tells how long that took.
#[derive(Debug)]
pub struct GpuDevice {
    info: DeviceInfo,
    caps: GpuCaps,
    adapter: Adapter,
    options: GpuOptions,
    residency_bytes: u64,
    loss: Loss,
    session: Mutex<Option<Session>>,
    /// Whether there is a session: known without waiting for the chunk that has it.
    open: AtomicBool,
    /// What the session keeps of inputs: known without waiting, too.
    held: Held,
}

impl GpuDevice {
    pub(super) fn new(
        info: DeviceInfo,
        caps: GpuCaps,
        adapter: Adapter,
        options: GpuOptions,
        residency_bytes: u64,
    ) -> Self {
        let session = Mutex::new(None);
        Self {
            info,
            caps,
            adapter,
            options,
            residency_bytes,
            loss: Loss::default(),
            session,
            open: AtomicBool::new(false),
            held: Held::default(),
        }
    }

    /// What kernels may count on.
    pub fn caps(&self) -> &GpuCaps {
        &self.caps
    }

    /// Runs `work` on the opened device, which is opened now if it was not.
    fn run(&self, work: &GpuWork, scratch: &mut Scratch) -> Result<super::session::Done, DeviceError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        self.loss.check()?;
        let mut opening = Duration::ZERO;
        if session.is_none() {
            let start = Instant::now();
            *session = Some(on_compiler_stack(&self.loss, || {
                Session::open(
                    &self.adapter,
                    self.caps.integers,
                    &self.options,
                    self.residency_bytes,
                    &self.loss,
                    &self.held,
                )
            })?);
            self.open.store(true, Ordering::Relaxed);
            // Whoever reads this takes zero for a device that was open.
            opening = start.elapsed().max(Duration::from_nanos(1));
        }
        let done = session.as_mut().expect("it has just been opened").run(work, scratch);
        if matches!(done, Err(DeviceError::Lost(_))) {
            self.bury(session.take());
        }
        let mut done = done?;
        done.phases.setup += opening;
        done.phases.opening = opening;
        Ok(done)
    }

    /// Lets go of a lost device. Dropping its handles can panic or wait forever, so that happens aside.
    fn bury(&self, session: Option<Session>) {
        self.loss.set("it failed");
        self.open.store(false, Ordering::Relaxed);
        self.held.clear();
        if let Some(session) = session {
            let aside = std::thread::Builder::new().name("lost device".into());
            // Without a thread to spare, the handles are dropped here.
            // What becomes of them then concerns nobody: the device may be open anew by that time.
            let _ = aside.spawn(move || Loss::default().wall(|| drop(session)));
        }
    }

    /// Kills the device, as a pulled cable does.
    #[cfg(test)]
    pub(crate) fn destroy(&self) {
        if let Some(session) = &*self.session.lock().unwrap() {
            session.destroy();
        }
    }
}

impl Device for GpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    fn try_again(&self) -> bool {
        // One that still hangs in a call cannot be opened beside it.
        let Ok(session) = self.session.try_lock() else { return false };
        if session.is_none() {
            self.loss.forget();
        }
        session.is_none()
    }

    fn resident_bytes(&self, sources: &[u64]) -> u64 {
        self.held.bytes_of(sources)
    }

    fn release_memory(&self) {
        if let Ok(mut session) = self.session.try_lock()
            && let Some(session) = session.as_mut()
        {
            session.drop_kept();
        }
    }

    fn fold(
        &self,
        kernel: &dyn DynKernel,
        pass: &DynPass,
        units: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<ChunkDone, DeviceError> {
        self.loss.check()?;
        if units.is_empty() {
            let partial = kernel.fold(pass, units, &mut FoldContext { isa: Isa::Portable, scratch })?;
            return Ok(ChunkDone { partial, phases: Phases::default(), resident: true });
        }
        let Some(work) = kernel.gpu_work(pass, units.clone(), &self.caps)? else {
            return Err(DeviceError::Unsupported("this pass has no GPU side there".into()));
        };
        let done = self.run(&work, scratch)?;
        // Words that no shader of ours writes come from a device that can no longer be trusted.
        let partial = kernel.gpu_partial(pass, units, &done.outputs).map_err(|error| {
            self.loss.set(format!("it gave back nonsense: {error}"));
            DeviceError::Lost(error.message)
        })?;
        Ok(ChunkDone { partial, phases: done.phases, resident: done.resident })
    }
}
