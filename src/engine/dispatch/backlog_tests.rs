//! What the planner is told of lanes that are busy or spoken for.

use super::tests::{Rig, admission, folds, ms, one_thread, power};
use super::*;
use crate::job::DeviceChoice;

fn near(found: &[f64], expected: &[f64]) {
    let close = |(found, expected): (&f64, &f64)| (found - expected).abs() <= 0.01 * expected;
    assert!(found.len() == expected.len() && found.iter().zip(expected).all(close), "{found:?}, not {expected:?}");
}

/// One chunk that takes one thread so long.
fn one_chunk(job: u64, chunk_ms: u64) -> Admission {
    Admission { granularity: chunk_ms * 1000, ..one_thread(job, chunk_ms * 1000) }
}

#[test]
fn the_backlog_is_what_was_admitted_and_is_not_done() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 1)]);
    rig.on(Event::Admitted(one_thread(1, 50_000)));
    rig.on(Event::Admitted(one_thread(2, 30_000)));
    near(&rig.busy_for_ms(), &[80.0]);
    rig.on(Event::Cancelled { job: 2 });
    near(&rig.busy_for_ms(), &[50.0]);
    rig.on(Event::Cancelled { job: 1 });
    // Its chunk is in flight still, and ends when it ends.
    near(&rig.busy_for_ms(), &[50.0]);
}

#[test]
fn a_lane_that_nobody_has_is_free_however_long_another_one_is_busy() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 2)]);
    rig.on(Event::Admitted(one_chunk(1, 60_000)));
    near(&rig.busy_for_ms(), &[60_000.0]);
    // The same of a job of one thread and many chunks.
    let mut rig = Rig::new(&[(DeviceId::Cpu, 2)]);
    rig.on(Event::Admitted(one_thread(1, 60_000_000)));
    near(&rig.busy_for_ms(), &[60_000.0]);
}

#[test]
fn a_chunk_past_its_predicted_end_counts_by_its_age() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 2)]);
    let mut tickets = Vec::new();
    for job in 1..=2 {
        tickets.extend(folds(&rig.on(Event::Admitted(one_chunk(job, 1)))));
    }
    rig.now += ms(10_000.0);
    near(&rig.busy_for_ms(), &[10_000.0, 10_000.0]);
    rig.done(tickets[0].0, 0.0);
    near(&rig.busy_for_ms(), &[10_000.0]);
}

#[test]
fn jobs_of_one_chunk_that_wait_are_shared_out_over_the_lanes() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 2)]);
    let mut first = Vec::new();
    for job in 0..2 {
        first.extend(folds(&rig.on(Event::Admitted(one_chunk(job, 100)))));
    }
    for job in 2..12 {
        rig.on(Event::Admitted(one_chunk(job, 100)));
    }
    near(&rig.busy_for_ms(), &[600.0, 600.0]);
    // One of them begins: it waits no more, and is in flight.
    rig.done(first[0].0, 50.0);
    near(&rig.busy_for_ms(), &[525.0, 525.0]);
    for job in 2..12 {
        rig.on(Event::Cancelled { job });
    }
    assert!(rig.busy_for_ms().iter().all(|ms| *ms <= 101.0), "only what flies is left: {:?}", rig.busy_for_ms());
}

#[test]
fn a_single_job_that_waits_takes_the_lane_that_is_free_first() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 2)]);
    rig.on(Event::Admitted(one_chunk(1, 5_000)));
    rig.on(Event::Admitted(one_chunk(2, 60_000)));
    rig.on(Event::Admitted(one_chunk(3, 10_000)));
    near(&rig.busy_for_ms(), &[15_000.0, 60_000.0]);
}

#[test]
fn what_comes_later_in_the_queue_makes_nobody_wait() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 2)]);
    let all = [power(DeviceId::Cpu, 2, 1000.0)];
    let long = admission(7, 120_000_000, DeviceChoice::Cpu, &[DeviceId::Cpu], &all);
    rig.on(Event::Admitted(Admission { order: 1_000_000, ..long }));
    near(&rig.busy_for_ms(), &[60_000.0, 60_000.0]);
    // A job that passes it waits for the chunks that are in flight.
    let before = rig.dispatch.busy_for_ms(DeviceId::Cpu, rig.now, |_| 999_999);
    assert!(before.len() == 2 && before.iter().all(|ms| *ms <= 101.0), "{before:?}");
    // One that would pass it but for those chunks does not.
    let order = |waits_ms: f64| if waits_ms > 50.0 { 1_000_001 } else { 999_999 };
    near(&rig.dispatch.busy_for_ms(DeviceId::Cpu, rig.now, order), &[60_000.0, 60_000.0]);
}
