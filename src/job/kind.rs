//! What a kind of job is: its name, how it is asked for, what it makes of that. Kernels and irregular tasks each list theirs;
//! the command line, the job file and the benchmark sweep over both lists.

use crate::job::JobParams;
use crate::kernels::{KERNELS, Shader};
use crate::tasks::TASKS;

/// A job made up for calibration and benchmarks.
#[derive(Clone, Debug)]
pub struct Sample {
    /// One of the kind's variants.
    pub variant: &'static str,
    /// How many units; rounded to what the kind can make.
    pub units: u64,
    /// The seed of its data.
    pub seed: u64,
}

/// A job that a command line asks for.
#[derive(Debug)]
pub struct Asked {
    /// The name of its input, where a command line has several.
    pub label: Option<String>,
    /// What its kind needs to know.
    pub params: Box<dyn JobParams>,
}

/// A field of a job's line that its result does not depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// This one, whether it is there or not.
    Field(&'static str),
    /// The value of this one, where it is not left out or null: that there is one makes a difference.
    ValueOf(&'static str),
}

/// One kind of job.
pub struct Kind {
    /// What users type: the `kind` of a job file, the subcommand.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What decides its speed besides size; each is measured apart.
    pub variants: &'static [&'static str],
    /// Parses a line of a job file into this kind's parameters. Fields that every job has (`id`, `kind`, `device`) are
    /// present in the text and ignored.
    pub parse: fn(&str) -> Result<Box<dyn JobParams>, serde_json::Error>,
    /// The field of such a line that names the file which it reads; `None` where it reads none, or where no field is the one.
    pub input_field: Option<&'static str>,
    /// Fields of such a line that say how a job runs and leave its result as it is: `--resume` keeps it though they have changed.
    pub aside: &'static [Aside],
    /// Makes up a typical job in memory.
    pub sample: fn(&Sample) -> Box<dyn JobParams>,
    /// How many integer operations of 64 bits a unit of such a job takes, for a variant, as its algorithm is written: what a
    /// benchmark holds against the rate of the device. `None` where nobody has counted, or something else bounds it.
    pub operations_per_unit: fn(variant: &str) -> Option<f64>,
    /// Every shader that it may run, in every form; none for a task. Tests validate them, and a device's measurements are kept
    /// under their hash.
    pub shaders: fn() -> Vec<Shader>,
    /// The subcommand's arguments (without those that all jobs share).
    #[cfg(feature = "cli")]
    pub command: fn() -> clap::Command,
    /// The jobs that those arguments ask for; an error is a usage error.
    #[cfg(feature = "cli")]
    pub from_args: fn(&clap::ArgMatches) -> Result<Vec<Asked>, String>,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Every kind, in the order in which they are listed to users: kernels, then tasks.
pub fn kinds() -> impl Iterator<Item = &'static Kind> + Clone {
    KERNELS.iter().chain(TASKS).copied()
}

/// The kind with this name, if there is one.
pub fn kind(name: &str) -> Option<&'static Kind> {
    kinds().find(|kind| kind.name == name)
}
