//! Streams of jobs on the real engine: a GPU that none of them would open for itself.

use std::sync::Arc;
use std::time::Duration;

use tandem::device::{Device, DeviceId, NullDevice, NullSpec};
use tandem::engine::{Outcome, RanOn};
use tandem::model::Location;
use tandem::runner::{Job, Runner};

use crate::support::{SumBelow, Total, gauss};

/// A job of one chunk a pass, which takes a thread some milliseconds.
fn job() -> Job {
    Job::kernel(SumBelow { sleep_ms: 2, prior_ns_per_unit: 2e6, granularity: 1, ..SumBelow::new(1) })
}

fn runner() -> Runner {
    let gpu = NullSpec { setup: Duration::from_millis(50), ..NullSpec::gpu(0, 1e3) };
    let gpu: Arc<dyn Device> = Arc::new(NullDevice::new(gpu));
    Runner::builder().threads(2).model(Location::Nowhere).explain(true).gpus(vec![gpu]).build().unwrap()
}

fn is_opened_for_a_stream(outcome: &Outcome) -> bool {
    outcome.plan.as_ref().is_some_and(|plan| plan.reason.contains("; opened for a stream of jobs: "))
}

#[test]
fn a_gpu_is_opened_for_many_jobs_that_wait_and_the_cpu_works_on_meanwhile() {
    let outcomes: Vec<Outcome> = runner().map((0..600).map(|_| job())).collect();
    for outcome in &outcomes {
        assert_eq!(outcome.answer::<Total>().unwrap().0, gauss(1));
    }
    let opened = outcomes.iter().filter(|outcome| is_opened_for_a_stream(outcome)).count();
    assert_eq!(opened, 1, "once it is open, it is there");
    let ran_on = |device| outcomes.iter().filter(|outcome| outcome.ran_on == RanOn::One(device)).count();
    assert!(ran_on(DeviceId::Cpu) > 0 && ran_on(DeviceId::Gpu(0)) > 100, "{}", ran_on(DeviceId::Gpu(0)));
}

#[test]
fn it_is_opened_for_jobs_that_come_one_by_one_once_they_have_lost_enough_without_it() {
    let runner = runner();
    let at = (0..2000).position(|_| is_opened_for_a_stream(&runner.submit(job()).wait()));
    // Opening is believed to take 200 ms, and no job can lose more than the 4 ms and more that it takes a thread.
    assert!(at.is_some_and(|at| at > 5), "{at:?}");
    assert_eq!(runner.submit(job()).wait().ran_on, RanOn::One(DeviceId::Gpu(0)));
}
