//! The task `command`: any program, run as a process of its own, with its outputs captured and nothing of it left behind.
//!
//! The job holds a lane of the CPU while its process runs, since that computes; the thread that waits for it stands outside
//! the pool. Every process leads a process group, which is what a time-out or a cancellation ends: first asked to (SIGTERM),
//! then made to. What a program leaves running in its group ends with it. A variant for a GPU holds that GPU instead of a lane.

mod answer;
#[cfg(feature = "cli")]
mod args;
mod capture;
#[cfg(unix)]
mod group;
#[cfg(unix)]
mod guard;
#[cfg(unix)]
mod memory;
mod name;
mod params;
#[cfg(not(unix))]
mod portable;
mod process;
#[cfg(unix)]
mod unix;
mod variants;
mod worker;

pub use answer::{CommandAnswer, Output};
#[cfg(unix)]
pub use guard::{guard_with, watch as guard};
pub use params::{CommandParams, CommandVariants};
pub use worker::WorkerAnswer;
pub(crate) use worker::Workers;

use crate::job::{Aside, Kind};

/// The parameters of a command, from the fields of its line.
#[cfg(feature = "service")]
pub(crate) fn parse_command(fields: &str) -> Result<CommandParams, serde_json::Error> {
    params::parse(fields)
}

/// The kind, for the registry.
pub static KIND: Kind = Kind {
    name: "command",
    summary: "Runs a program, captures what it prints, and ends all that it started",
    variants: &["process"],
    parse: |text| Ok(Box::new(params::parse(text)?)),
    input_field: None,
    // How many workers share the questions, and what the model calls them.
    aside: &[Aside::ValueOf("workers"), Aside::Field("name")],
    sample: params::sample,
    operations_per_unit: |_| None,
    shaders: Vec::new,
    #[cfg(feature = "cli")]
    command: args::command,
    #[cfg(feature = "cli")]
    from_args: args::from_args,
};
