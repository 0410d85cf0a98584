//! Setting a [`Runner`] up.

use std::path::PathBuf;
use std::sync::Arc;

use crate::device::{Device, DeviceId};
use crate::engine::{Devices, Engine, Found, FoundGpu, Search, Settings, THREADS_MAX, default_threads};
use crate::job::{BindContext, DeviceChoice};
use crate::model::{Location, Store};
use crate::runner::Runner;

/// Why a runner could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No CPU thread was asked for.
    #[error("0 threads: a run needs at least one")]
    NoThreads,
    /// The devices given as GPUs are not `gpu:0`, `gpu:1` and so on.
    #[error("the device in place {place} of the gpus calls itself {id}, not gpu:{place}")]
    GpuIds {
        /// Its place.
        place: usize,
        /// What it calls itself.
        id: DeviceId,
    },
    /// The system gave no threads.
    #[error("threads cannot be started: {0}")]
    Threads(#[from] std::io::Error),
}

/// A [`Runner`] to be set up; every setting has a sensible default.
#[derive(Debug, Default)]
pub struct RunnerBuilder {
    device: DeviceChoice,
    threads: Option<u32>,
    processes: Option<usize>,
    memory_bytes: Option<u64>,
    allow_software_gpu: bool,
    model: Option<Location>,
    explain: bool,
    base_dir: PathBuf,
    gpus: Option<Vec<Arc<dyn Device>>>,
}

impl RunnerBuilder {
    /// Where jobs run that do not say; [`DeviceChoice::Auto`] if left out.
    #[must_use]
    pub fn device(mut self, device: DeviceChoice) -> Self {
        self.device = device;
        self
    }

    /// Threads of the CPU; if left out, what affinity, cgroup quota and Slurm leave to this process.
    #[must_use]
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = Some(threads);
        self
    }

    /// How many programs run at once, whatever the number of threads: for programs that mostly wait. If left out, each holds a
    /// thread's place while it runs.
    #[must_use]
    pub fn processes(mut self, processes: usize) -> Self {
        self.processes = Some(processes.max(1));
        self
    }

    /// The memory that jobs may take together, in bytes: what each needs is reserved before it begins. If left out, 80 % of what
    /// the machine and the cgroup of this process have free when the first job asks.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = Some(bytes);
        self
    }

    /// Whether a software adapter, which runs shaders on the CPU, may be used as a GPU; not if left out.
    #[must_use]
    pub fn allow_software_gpu(mut self, allow: bool) -> Self {
        self.allow_software_gpu = allow;
        self
    }

    /// Where what is learned is kept; if left out, in a file of this user.
    #[must_use]
    pub fn model(mut self, location: Location) -> Self {
        self.model = Some(location);
        self
    }

    /// Whether plans carry their reasons, all candidates and the size from which another would win; not if left out.
    #[must_use]
    pub fn explain(mut self, explain: bool) -> Self {
        self.explain = explain;
        self
    }

    /// The folder that relative paths in jobs start from; the current one if left out.
    #[must_use]
    pub fn base_dir(mut self, base_dir: impl Into<PathBuf>) -> Self {
        self.base_dir = base_dir.into();
        self
    }

    /// These devices as GPUs, instead of looking for some: a library user's own, or doubles for tests. Their ids must be
    /// `gpu:0`, `gpu:1` and so on.
    #[must_use]
    pub fn gpus(mut self, gpus: Vec<Arc<dyn Device>>) -> Self {
        self.gpus = Some(gpus);
        self
    }

    /// The runner.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn build(self) -> Result<Runner, SetupError> {
        let threads = self.threads.unwrap_or_else(default_threads).min(THREADS_MAX);
        if threads == 0 {
            return Err(SetupError::NoThreads);
        }
        let wrong = |(place, gpu): (usize, &Arc<dyn Device>)| {
            let id = gpu.info().id;
            (u32::try_from(place).map(DeviceId::Gpu) != Ok(id)).then_some(SetupError::GpuIds { place, id })
        };
        if let Some(error) = self.gpus.iter().flatten().enumerate().find_map(wrong) {
            return Err(error);
        }
        let search: Search = match self.gpus {
            Some(gpus) => Box::new(move || given(&gpus)),
            None => {
                let allow_software = self.allow_software_gpu;
                Box::new(move || search(allow_software))
            }
        };
        let store = Store::new(self.model.unwrap_or_else(|| Location::from_setting(None)));
        let Self { device, processes, memory_bytes, explain, .. } = self;
        let settings = Settings { device, threads, processes, memory_bytes, explain };
        let engine = Engine::start(settings, Devices::new(threads, search), store)?;
        let context = BindContext { threads: threads as usize, ..BindContext::in_folder(self.base_dir) };
        Ok(Runner { engine, context: Arc::new(context) })
    }
}

fn given(gpus: &[Arc<dyn Device>]) -> Found {
    let gpus: Vec<FoundGpu> = gpus.iter().map(|device| FoundGpu { device: device.clone(), unusable: None }).collect();
    let diagnosis = gpus.is_empty().then(|| "this runner was given no gpu".to_owned());
    Found { gpus, diagnosis }
}

#[cfg(not(feature = "gpu"))]
fn search(_: bool) -> Found {
    let diagnosis = "tandem was built without the feature `gpu`: build it with `--features gpu`, or use `--device cpu`";
    Found { gpus: Vec::new(), diagnosis: Some(diagnosis.to_owned()) }
}

#[cfg(feature = "gpu")]
fn search(allow_software: bool) -> Found {
    use crate::device::gpu::{GpuOptions, Inventory};
    use crate::plan::Unusable;

    let inventory = Inventory::look();
    let usable = inventory.usable(allow_software);
    let options = GpuOptions::default();
    let gpus: Vec<FoundGpu> = (0..)
        .zip(inventory.infos())
        .filter_map(|(index, _)| {
            let device: Arc<dyn Device> = Arc::new(inventory.device(index, &options)?);
            let unusable = (!usable.contains(&index)).then_some(Unusable::SoftwareNotAllowed);
            Some(FoundGpu { device, unusable })
        })
        .collect();
    let diagnosis = usable.is_empty().then(|| inventory.diagnosis(allow_software));
    Found { gpus, diagnosis }
}
