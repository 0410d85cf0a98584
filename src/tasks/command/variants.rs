//! A command with variants: a program that runs on the CPU, and one that does the same on a GPU.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use crate::device::DeviceId;
use crate::engine::Need;
use crate::job::{Cause, JobError};
use crate::tasks::command::process::{CommandTask, Program, called};
use crate::tasks::{Place, Step, Task, TaskContext, Variants};

/// Tells a program which GPU is its own, by tandem's count.
const GPU_VARIABLE: &str = "TANDEM_GPU";
/// The variables by which drivers hide all GPUs but some.
const VISIBLE: [&str; 2] = ["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"];

/// A command that has not been settled on a variant.
pub(super) struct VariantsTask {
    pub cpu: Option<Program>,
    pub gpu: Option<Program>,
    /// What it is called by those who remember it, where somebody says.
    pub name: Option<Arc<str>>,
    pub size: u64,
}

impl VariantsTask {
    /// What it is called, whichever variant runs.
    fn called(&self) -> Arc<str> {
        match self.cpu.as_ref().or(self.gpu.as_ref()) {
            Some(program) => called(self.name.as_ref(), program),
            None => self.name.clone().unwrap_or_default(),
        }
    }
}

impl Task for VariantsTask {
    fn place(&self) -> Place {
        Place::Process
    }

    fn expected_ms(&self) -> f64 {
        f64::INFINITY
    }

    fn variants(&self) -> Option<Variants> {
        let (cpu, gpu) = (self.cpu.is_some(), self.gpu.is_some());
        Some(Variants { name: self.called(), size: self.size, cpu, gpu })
    }

    fn settle(&self, on: DeviceId) -> Result<Box<dyn Task>, JobError> {
        let (program, place, variant) = match on {
            DeviceId::Cpu => (&self.cpu, Place::Process, "cpu"),
            DeviceId::Gpu(index) => (&self.gpu, Place::Gpu(index), "gpu"),
        };
        let Some(program) = program else {
            return Err(JobError::new(Cause::Unsupported, format!("no {variant} variant to run on {on}")));
        };
        let mut program = program.clone();
        if let DeviceId::Gpu(index) = on {
            give_gpu(&mut program.env, index, |name| std::env::var_os(name));
        }
        // What one of them holds of the memory says little of the other.
        let name = Some(format!("{} {variant}", self.called()).into());
        Ok(Box::new(CommandTask { program, name, place }))
    }

    fn need(&self) -> Need {
        Need::NONE
    }

    fn run(self: Box<Self>, _: &TaskContext<'_>) -> Result<Step, JobError> {
        Err(JobError::new(Cause::Unsupported, "a command with variants is settled on one before it runs"))
    }
}

/// Adds to the variables of a program what tells it which GPU is its own. `inherited` are those that it has besides.
fn give_gpu(env: &mut Vec<(OsString, OsString)>, index: u32, inherited: impl Fn(&str) -> Option<OsString>) {
    env.retain(|(name, _)| name != GPU_VARIABLE);
    env.push((GPU_VARIABLE.into(), index.to_string().into()));
    for name in VISIBLE {
        let own = env.iter().position(|(other, _)| other == name);
        let set = own.map(|at| env[at].1.clone()).or_else(|| inherited(name));
        let Some(visible) = visible(set.as_deref(), index) else { continue };
        match own {
            Some(at) => env[at].1 = visible,
            None => env.push((name.into(), visible)),
        }
    }
}

/// What a variable is to say so that the program sees this GPU alone; `None` where it stays as it is. Where somebody has made a
/// choice of GPUs, the index counts within that.
fn visible(set: Option<&OsStr>, index: u32) -> Option<OsString> {
    let Some(set) = set else { return Some(index.to_string().into()) };
    let entry = set.to_str()?.split(',').nth(index as usize)?.trim();
    (!entry.is_empty()).then(|| entry.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variables of a program that is given GPU 1, where its job and the environment set these.
    fn given(own: &[(&str, &str)], inherited: &[(&str, &str)]) -> Vec<String> {
        let mut env = own.iter().map(|(name, value)| (name.into(), value.into())).collect();
        give_gpu(&mut env, 1, |name| inherited.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into()));
        let text = |(name, value): (OsString, OsString)| format!("{}={}", name.display(), value.display());
        let mut env: Vec<String> = env.into_iter().map(text).collect();
        env.sort();
        env
    }

    #[test]
    fn a_program_sees_its_gpu_alone_within_what_was_chosen_before() {
        assert_eq!(given(&[], &[]), ["CUDA_VISIBLE_DEVICES=1", "HIP_VISIBLE_DEVICES=1", "TANDEM_GPU=1"]);
        let own = [("A", "b"), ("TANDEM_GPU", "7"), ("HIP_VISIBLE_DEVICES", "2, 3")];
        let inherited = [("CUDA_VISIBLE_DEVICES", "4,GPU-8f1e,6"), ("HIP_VISIBLE_DEVICES", "8,9")];
        let expected = ["A=b", "CUDA_VISIBLE_DEVICES=GPU-8f1e", "HIP_VISIBLE_DEVICES=3", "TANDEM_GPU=1"];
        assert_eq!(given(&own, &inherited), expected);
        // A choice that has no such entry is left as it is, and so is that of none.
        let expected = ["CUDA_VISIBLE_DEVICES=5", "HIP_VISIBLE_DEVICES=1", "TANDEM_GPU=1"];
        assert_eq!(given(&[("CUDA_VISIBLE_DEVICES", "5")], &[]), expected);
        assert_eq!(visible(Some(OsStr::new("")), 0), None);
        assert_eq!(visible(Some(OsStr::new("-1")), 0), Some("-1".into()));
    }

    #[test]
    fn each_variant_is_remembered_by_its_own_name_and_both_by_that_of_the_cpus_program() {
        let program = |name: &str| Program { argv: vec![name.into()], stdin: None, env: Vec::new(), cwd: None };
        let task = VariantsTask { cpu: Some(program("/bin/slow")), gpu: Some(program("fast")), name: None, size: 3 };
        let told = Variants { name: "slow".into(), size: 3, cpu: true, gpu: true };
        assert_eq!(task.variants(), Some(told));
        let settled = |on| task.settle(on).map(|task| (task.place(), task.need()));
        assert_eq!(settled(DeviceId::Cpu).unwrap(), (Place::Process, Need::Learned("slow cpu".into())));
        assert_eq!(settled(DeviceId::Gpu(2)).unwrap(), (Place::Gpu(2), Need::Learned("slow gpu".into())));
        let lone = VariantsTask { cpu: None, ..task };
        assert_eq!(lone.variants().unwrap().name, "fast".into());
        assert_eq!(lone.settle(DeviceId::Cpu).err().unwrap().cause, Cause::Unsupported);
    }
}
