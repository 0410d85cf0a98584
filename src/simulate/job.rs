//! A job, as far as a simulated run has to know it.

use std::sync::Arc;

use crate::job::DeviceChoice;
use crate::kernels::Work;

/// What there is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum SimWork {
    /// A kernel's work, which every device can share in that is able to. Jobs that are alike share it.
    Kernel(Arc<Work>),
    /// An irregular job, run whole on one thread of the CPU.
    Task {
        /// How long one thread of a usual CPU takes for it, in milliseconds.
        ms: f64,
        /// Whether it only waits (for a network, say), and holds no thread meanwhile.
        waits: bool,
    },
}

/// A job of a simulated run.
#[derive(Clone, Debug, PartialEq)]
pub struct SimJob {
    /// Its place in the run, as it is shown.
    pub index: u64,
    /// Its name.
    pub id: Arc<str>,
    /// Its kind.
    pub kind: &'static str,
    /// What there is to do.
    pub work: SimWork,
    /// The jobs that have to end before it begins: their places in the list of jobs, all before its own.
    pub after: Vec<u32>,
    /// The memory that it holds while it runs, in bytes.
    pub memory_bytes: u64,
    /// Where it asks to run; `None` leaves it to the policy.
    pub device: Option<DeviceChoice>,
    /// Jobs of higher priority begin first.
    pub priority: i32,
}

impl SimJob {
    /// Whose turn it is: the greatest comes first, and what goes on with work that others have begun before what begins anew.
    pub(super) fn turn(&self) -> i32 {
        self.priority.saturating_mul(2).saturating_add(i32::from(!self.after.is_empty()))
    }
}
