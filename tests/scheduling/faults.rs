//! Devices that fail in the middle of a job.

use tandem::device::{DeviceId, NullFault, NullSpec};
use tandem::engine::RanOn;
use tandem::job::{Cause, DeviceChoice};

use crate::machine::{Machine, best_single_ms, gpu_of_ratio};

#[test]
fn a_gpu_lost_in_the_middle_costs_auto_and_split_time_only() {
    for policy in [DeviceChoice::Auto, DeviceChoice::Split] {
        let faults = vec![NullFault::LostAt(1)];
        let mut machine = Machine::new(vec![NullSpec { faults, ..gpu_of_ratio(0, 10.0) }]);
        let units = 16_000_000_000;
        let alone = best_single_ms(&[], units);
        machine.poison(DeviceId::Gpu(0), 1, units, 400.0, 3);
        let run = machine.run(units, policy);
        assert_eq!(run.result, Ok(()), "{policy}");
        assert!(run.report.attempts >= 2, "{policy}: {:?}", run.report);
        // The chunk that was lost is run again, and the CPU does the rest: no later than if it had done everything.
        assert!(run.ms <= alone * 1.02 + 100.0, "{policy}: {} ms against {alone} ms", run.ms);
        assert_eq!(machine.lost, [DeviceId::Gpu(0)]);
        let after = machine.run(units, DeviceChoice::Auto);
        assert_eq!(after.report.ran_on, RanOn::One(DeviceId::Cpu));
    }
}

#[test]
fn a_gpu_lost_in_the_middle_fails_the_job_that_asked_for_it_by_name() {
    let faults = vec![NullFault::LostAt(1)];
    let mut machine = Machine::new(vec![NullSpec { faults, ..gpu_of_ratio(0, 10.0) }]);
    let run = machine.run(4_000_000_000, DeviceChoice::Gpu);
    assert_eq!(run.result.map_err(|error| error.cause), Err(Cause::DeviceLost));
    assert!(run.report.runs.is_empty(), "nothing is learned from a failure");
}

#[test]
fn a_gpu_with_little_memory_gets_smaller_chunks() {
    let faults = vec![NullFault::OutOfMemoryAbove(1_000_000)];
    let mut machine = Machine::new(vec![NullSpec { faults, ..gpu_of_ratio(0, 10.0) }]);
    let run = machine.run(200_000_000, DeviceChoice::Gpu);
    assert_eq!((run.result, run.report.ran_on), (Ok(()), RanOn::One(DeviceId::Gpu(0))));
    assert!((2..20).contains(&run.report.attempts), "{:?}", run.report);
}

#[test]
fn a_device_that_turns_slow_in_the_middle_is_left_behind() {
    // From its fifth chunk on the GPU takes fifty times as long.
    let faults = vec![NullFault::SlowFrom { chunk: 5, times: 50.0 }];
    let mut machine = Machine::new(vec![NullSpec { faults, ..gpu_of_ratio(0, 1.0) }]);
    let units = 8_000_000_000;
    let alone = best_single_ms(&[], units);
    let run = machine.run(units, DeviceChoice::Split);
    // It holds one chunk of a tenth of a second when it turns, which then takes five seconds; no other follows it.
    assert!(run.ms <= alone.max(5_500.0) * 1.05, "{} ms against {alone} ms", run.ms);
    assert!(machine.chunks_begun[1] <= 8, "{} chunks", machine.chunks_begun[1]);
}
