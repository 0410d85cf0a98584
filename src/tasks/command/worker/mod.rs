//! Long-lived workers: programs that are started once and then answer a line of JSON for each job, so that what took them
//! long to load stays loaded.
//!
//! The workers of a run belong to its [`Workers`], which the run's [`BindContext`](crate::job::BindContext) holds: they end with
//! it. The engine bounds how many of a pool are busy at once; a job takes an idle worker or starts one, and gives it back
//! where both are well.

mod answer;
mod failure;
#[cfg(not(unix))]
#[path = "link_absent.rs"]
mod link;
#[cfg(unix)]
mod link;
mod pool;
mod protocol;
mod task;

pub use answer::WorkerAnswer;
pub(super) use pool::POOL_WORKERS_MAX;
pub(crate) use pool::Workers;
pub(super) use task::WorkerTask;
