//! One job, timed on one device.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::device::DeviceId;
use crate::job::{BindContext, Bound, DeviceChoice, JobError, JobParams, Kind, Sample};
use crate::kernels::{DynKernel, Work};
use crate::runner::{Job, Runner};

/// No more runs of one job on one device than this.
const MAX_RUNS: usize = 7;

/// The answer of a device is not that of one CPU thread.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kind} {variant}, {units} units: the answer on {device} differs from that of one cpu thread; please report it"
)]
pub struct Difference {
    /// Which kind of job.
    pub kind: &'static str,
    /// Which variant of it.
    pub variant: &'static str,
    /// How large.
    pub units: u64,
    /// Where it went wrong.
    pub device: DeviceId,
}

/// Parameters that are bound as often as a job is run, so that its data is made up once.
#[derive(Clone)]
struct Shared(Arc<dyn DynKernel>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a sample")
    }
}

impl JobParams for Shared {
    fn in_memory(&self) -> bool {
        true
    }

    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Kernel(self.0.clone()))
    }
}

/// A made-up job, to be timed on several devices.
pub struct Measurer {
    kind: &'static Kind,
    variant: &'static str,
    kernel: Shared,
    work: Work,
    /// What one thread answered.
    expected: Option<Vec<u8>>,
}

impl Measurer {
    /// A job of this kind and variant with about `units` units.
    ///
    /// # Errors
    /// Where it cannot be made: for want of memory, for example.
    pub fn new(kind: &'static Kind, variant: &'static str, units: u64) -> Result<Self, JobError> {
        let kernel = (kind.sample)(&Sample { variant, units, seed: 1 }).bind(&BindContext::default())?.kernel();
        let kernel = kernel.ok_or_else(|| JobError::bad_input(format!("{} is no kernel", kind.name)))?;
        let work = kernel.work();
        Ok(Self { kind, variant, kernel: Shared(kernel), work, expected: None })
    }

    /// How large it is.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// The median time on this device, in milliseconds, of runs that together take about `budget`; `None` where the answer
    /// could not be compared, since the budget was spent by the run that warms up.
    ///
    /// The first answer that this job gets is what later ones are compared with.
    ///
    /// # Errors
    /// Where a run fails, or its answer differs.
    pub fn time_ms(&mut self, runner: &Runner, device: DeviceId, budget: Duration) -> anyhow::Result<f64> {
        let begun = Instant::now();
        let warm_ms = self.run(runner, device)?;
        let mut times_ms = Vec::new();
        while times_ms.len() < MAX_RUNS && (times_ms.is_empty() || begun.elapsed() < budget) {
            // A job that alone takes the whole budget is not run twice.
            if warm_ms > budget.as_secs_f64() * 1e3 {
                return Ok(warm_ms);
            }
            times_ms.push(self.run(runner, device)?);
        }
        times_ms.sort_by(f64::total_cmp);
        Ok(times_ms[times_ms.len() / 2])
    }

    fn run(&mut self, runner: &Runner, device: DeviceId) -> anyhow::Result<f64> {
        let choice = match device {
            DeviceId::Cpu => DeviceChoice::Cpu,
            DeviceId::Gpu(index) => DeviceChoice::GpuIndex(index),
        };
        let outcome = runner.submit(Job::new(self.kind.name, Box::new(self.kernel.clone())).on(choice)).wait();
        let answer = outcome.result?;
        let mut bytes = Vec::new();
        answer.write_json(&mut bytes)?;
        match &self.expected {
            None => self.expected = Some(bytes),
            Some(expected) if *expected == bytes => {}
            Some(_) => {
                let (kind, variant, units) = (self.kind.name, self.variant, self.work.units);
                return Err(Difference { kind, variant, units, device }.into());
            }
        }
        Ok(outcome.timings.total.saturating_sub(outcome.timings.queued).as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::kind;
    use crate::model::Location;

    fn runner() -> Runner {
        Runner::builder().threads(1).model(Location::Nowhere).build().unwrap()
    }

    #[test]
    fn a_sample_is_timed_and_has_the_size_that_was_asked_for() {
        let mut measurer = Measurer::new(kind("primes").unwrap(), "numbers", 100).unwrap();
        assert_eq!(measurer.work().units, 100);
        let ms = measurer.time_ms(&runner(), DeviceId::Cpu, Duration::from_millis(50)).unwrap();
        assert!(ms > 0.0 && ms < 10_000.0, "{ms}");
    }

    #[test]
    fn another_answer_than_the_first_is_an_error_that_names_the_device() {
        let mut measurer = Measurer::new(kind("primes").unwrap(), "numbers", 100).unwrap();
        measurer.expected = Some(b"{}".to_vec());
        let error = measurer.time_ms(&runner(), DeviceId::Cpu, Duration::from_millis(50)).unwrap_err();
        assert!(error.downcast_ref::<Difference>().is_some_and(|found| found.device == DeviceId::Cpu), "{error}");
    }
}
