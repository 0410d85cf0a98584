//! Irregular jobs and [`TASKS`], their registry: one file or folder a kind. A [`Task`] runs whole, on the CPU, in one stage or
//! in several; the plan says `irregular` as its reason. One with [`Variants`] is settled on one of them first, by a plan of its own.

pub mod command;
pub mod factor;
pub mod fibonacci;
#[cfg(feature = "image")]
pub mod image;
#[cfg(feature = "links")]
pub mod links;
mod memory;
#[cfg(any(feature = "links", feature = "image"))]
mod regular;
mod spill;
mod task;

pub use memory::MemoryUse;
pub use task::{AtOnce, Place, Step, Task, TaskContext, Variants};

use crate::job::Kind;

/// Every kind of irregular job, in the order in which they are listed to users.
pub static TASKS: &[&Kind] = &[
    &factor::KIND,
    &fibonacci::KIND,
    #[cfg(feature = "links")]
    &links::KIND,
    #[cfg(feature = "image")]
    &image::KIND,
    &command::KIND,
];
