//! GPUs that no job would open for itself.

use super::super::tests::{cpu, gpu, model, work};
use super::super::*;
use super::*;
use crate::device::DeviceKind;
use crate::model::Model;

/// A unit takes a nanosecond on one thread and an eighth of that on all; the GPU is so many times as fast as all of them, and opening
/// it takes what is believed of GPUs.
fn measured(times: f64) -> Model {
    model(&[("cpu", 1, 0.001, 1.0), ("cpu", 8, 0.001, 1.0 / 7.3), ("gpu 0", 1, 0.001, 1.0 / 7.3 / times)])
}

fn closed() -> DeviceState {
    DeviceState { opened: false, ..gpu(0) }
}

/// The plan of a job that takes all threads about 10 ms, in this stream.
fn planned(devices: &[DeviceState], model: &Model, known: bool, stream: Stream<'_>) -> Plan {
    let work = &work(73_000_000);
    let policy = DeviceChoice::Auto;
    let request =
        PlanRequest { work, policy, devices, inventory_known: known, model, threads: 8, explain: true, stream };
    plan(&request).unwrap()
}

/// So many jobs like it that wait.
fn waiting(jobs: u64) -> Stream<'static> {
    Stream { jobs, prior_ms: jobs as f64 * work(73_000_000).prior_ms(), ..Stream::default() }
}

#[test]
fn a_gpu_is_opened_for_jobs_that_wait_where_they_end_earlier_with_it() {
    let devices = [cpu(8), closed()];
    let model = measured(5.0);
    let choice = |jobs| planned(&devices, &model, true, waiting(jobs)).choice;
    assert_ne!(choice(0), Choice::Gpu { index: 0 });
    // Thirty take 300 ms; with a GPU that helps for the last 100 of them, about 220.
    assert_ne!(choice(15), Choice::Gpu { index: 0 });
    assert_eq!(choice(30), Choice::Gpu { index: 0 });
    let plan = planned(&devices, &model, true, waiting(999));
    assert!(plan.reason.contains("; opened for a stream of jobs: these 1,000 jobs take"), "{}", plan.reason);
    assert!(!plan.reason.contains("a tie"), "{}", plan.reason);
    assert!(plan.outlook.missed.is_empty(), "{:?}", plan.outlook);
    assert!(plan.probe.is_none());
}

#[test]
fn it_is_not_where_it_gains_nothing_or_is_being_opened_or_would_take_the_cores_of_the_cpu() {
    let many = waiting(1000);
    let choice = |gpu: DeviceState, times| planned(&[cpu(8), gpu], &measured(times), true, many).choice;
    assert_eq!(choice(closed(), 5.0), Choice::Gpu { index: 0 });
    assert_ne!(choice(closed(), 0.03), Choice::Gpu { index: 0 }, "a twentieth is within what predictions are off");
    assert_ne!(choice(DeviceState { kind: DeviceKind::SoftwareGpu, ..closed() }, 5.0), Choice::Gpu { index: 0 });
    assert_ne!(choice(DeviceState { busy_for_ms: vec![250.0], ..closed() }, 5.0), Choice::Gpu { index: 0 });
    let forced = PlanRequest {
        work: &work(73_000_000),
        policy: DeviceChoice::Cpu,
        devices: &[cpu(8), closed()],
        inventory_known: true,
        model: &measured(5.0),
        threads: 8,
        explain: false,
        stream: many,
    };
    assert!(plan(&forced).unwrap().choice.uses(DeviceId::Cpu));
}

#[test]
fn it_is_opened_once_jobs_have_lost_without_it_what_opening_it_costs() {
    let devices = [cpu(8), closed()];
    let model = measured(5.0);
    let mut missed_ms = vec![0.0];
    let mut jobs = 0;
    let plan = loop {
        let plan = planned(&devices, &model, true, Stream { missed_ms: &missed_ms, ..Stream::default() });
        jobs += 1;
        assert!(jobs < 100, "{:?}", plan.outlook);
        if plan.choice == (Choice::Gpu { index: 0 }) {
            break plan;
        }
        let [(DeviceId::Gpu(0), ms)] = plan.outlook.missed[..] else { panic!("{:?}", plan.outlook) };
        missed_ms[0] += ms;
    };
    // Each would have ended 8 ms earlier, and opening takes 200.
    assert!((25..28).contains(&jobs), "{jobs}");
    assert!(plan.reason.contains("; opened for a stream of jobs: those so far lost 20"), "{}", plan.reason);
    let slower = planned(&devices, &measured(0.5), true, Stream { missed_ms: &[1e9], ..Stream::default() });
    assert_ne!(slower.choice, Choice::Gpu { index: 0 }, "one after the other, they do not gain by it");
}

#[test]
fn gpus_are_looked_for_meanwhile_where_enough_waits_or_has_gone_by() {
    let model = measured(5.0);
    let outlook = |stream| planned(&[cpu(8)], &model, false, stream).outlook;
    assert!(!outlook(Stream::default()).search);
    assert!((outlook(Stream::default()).unsearched_ms - 10.0).abs() < 0.5);
    assert!(!outlook(waiting(20)).search);
    assert!(outlook(waiting(30)).search);
    assert!(outlook(Stream { unsearched_ms: 255.0, ..Stream::default() }).search);
    let known = planned(&[cpu(8)], &model, true, waiting(1000)).outlook;
    assert_eq!(known, Outlook::default(), "there is none");
}
