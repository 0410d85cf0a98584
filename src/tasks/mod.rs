//! Irregular jobs and [`TASKS`], their registry: one file or folder a kind. A [`Task`] runs whole, on the CPU, in one stage or
//! in several; the plan says `irregular` as its reason.

#[cfg(feature = "image")]
pub mod image;
#[cfg(feature = "links")]
pub mod links;
#[cfg(any(feature = "links", feature = "image"))]
mod regular;
mod task;

pub use task::{Place, Step, Task, TaskContext};

use crate::job::Kind;

/// Every kind of irregular job, in the order in which they are listed to users.
pub static TASKS: &[&Kind] = &[
    #[cfg(feature = "links")]
    &links::KIND,
    #[cfg(feature = "image")]
    &image::KIND,
];
