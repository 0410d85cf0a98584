use std::io::Cursor;

use serde_json::{Value, json};

use super::*;

/// An outcome's line: where it ran and on how many threads, what it took and its set-up, and candidates of `(device, threads,
/// predicted, setup, waiting)`, the chosen one first.
fn line(
    id: &str,
    kind: &str,
    device: &str,
    [took_ms, setup_ms]: [f64; 2],
    candidates: &[(&str, u32, f64, f64, f64)],
) -> String {
    let candidates: Vec<Value> = candidates
        .iter()
        .map(|&(device, threads, ms, setup_ms, waiting_ms)| {
            let threads = if device == "cpu" { json!(threads) } else { Value::Null };
            let predicted = if ms.is_nan() { Value::Null } else { json!(ms) };
            json!({"device": device, "threads": threads, "predicted_ms": predicted, "setup_ms": setup_ms, "waiting_ms": waiting_ms, "note": ""})
        })
        .collect();
    let mut line = json!({
        "schema": 1, "index": 0, "id": id, "kind": kind, "status": "succeeded", "result": {"x": [1, 2]}, "device": device,
        "timings_ms": {"queued": 7.0, "setup": setup_ms, "upload": 0, "compute": took_ms - setup_ms, "readback": 0, "total": took_ms + 7.0},
        "attempts": 1,
    });
    if !candidates.is_empty() {
        line["plan"] = json!({"choice": "", "reason": "", "candidates": candidates});
    }
    format!("{line}\n")
}

fn read(text: &str) -> Result<Recording, String> {
    Recording::read(&mut Cursor::new(text)).map_err(|error| error.to_string())
}

fn replay<'a>(recording: &'a Recording, without: &[u32]) -> Replay<'a> {
    let options = ReplayOptions { without: without.iter().copied().collect(), threads: None };
    Replay::new(recording, &options, &mut |_| Vec::new())
}

/// Two threads and a GPU, which was twice as slow as predicted on the one job that it got.
fn four_jobs() -> String {
    let gpu_took = |waiting: f64| ("gpu:0", 1, 60.0 + waiting, 50.0, waiting);
    line("a", "stats", "cpu", [100.0, 0.0], &[("cpu", 1, 100.0, 0.0, 0.0), gpu_took(0.0), ("cpu", 2, 55.0, 0.0, 0.0)])
        + &line("b", "stats", "cpu", [100.0, 0.0], &[("cpu", 1, 103.0, 0.0, 3.0), gpu_took(5.0)])
        + &line("c", "stats", "gpu:0", [70.0, 50.0], &[gpu_took(0.0), ("cpu", 1, 120.0, 0.0, 0.0)])
        + &line("d", "stats", "cpu", [40.0, 0.0], &[("cpu", 1, 40.0, 0.0, 0.0), ("gpu:0", 1, f64::NAN, 0.0, 0.0)])
}

#[track_caller]
fn comes_to(found: &Replayed, makespan_ms: f64, sum_ms: f64) {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(found.makespan_ms, makespan_ms) && near(found.sum_ms, sum_ms), "{found:?}");
}

#[test]
fn every_policy_costs_what_a_calculation_by_hand_says() {
    let text = four_jobs();
    let recording = read(&text).unwrap();
    assert_eq!((recording.threads, recording.unplanned, recording.failed), (2, 0, 0));
    let replay = replay(&recording, &[]);
    // a and b beside each other, d after them, c on the GPU.
    comes_to(&replay.recorded(), 140.0, 310.0);
    // c is predicted to take 120 ms on a thread, and such predictions were right.
    let cpu = replay.under(Policy::Cpu);
    comes_to(&cpu, 220.0, 360.0);
    assert_eq!((cpu.recorded_ms, cpu.regret_ms()), (140.0, -80.0));
    // a opens the GPU in 50 ms and then takes 10 ms, twice; b and c find it open; d cannot go there.
    let gpu = replay.under(Policy::Gpu);
    comes_to(&gpu, 110.0, 150.0);
    assert_eq!(gpu.devices[&Place::Gpu(0)], DeviceSum { jobs: 3, ms: 110.0, lane_ms: 110.0 });
    assert_eq!(gpu.devices[&Place::Cpu], DeviceSum { jobs: 1, ms: 40.0, lane_ms: 40.0 });
    assert_eq!(gpu.sources[&Source::Corrected], SourceSum { jobs: 2, ms: 90.0 });
    assert_eq!(gpu.sources[&Source::Measured], SourceSum { jobs: 2, ms: 60.0 });
    assert!((gpu.measured() - 0.4).abs() < 1e-12 && (gpu.regret().unwrap() - 30.0 / 110.0).abs() < 1e-12);
    // a on the CPU, b on the GPU, c on the CPU, d where it can.
    comes_to(&replay.under(Policy::RoundRobin), 140.0, 330.0);
    let corrections: Vec<_> = replay.corrections().collect();
    assert_eq!(corrections, [("stats", Place::Cpu, 1.0, 3), ("stats", Place::Gpu(0), 2.0, 1)]);
}

#[test]
fn without_its_gpu_everything_is_as_on_the_cpu() {
    let text = four_jobs();
    let recording = read(&text).unwrap();
    let replay = replay(&recording, &[0]);
    let cpu = replay.under(Policy::Cpu);
    for policy in [Policy::Gpu, Policy::RoundRobin, Policy::Static] {
        let found = replay.under(policy);
        assert_eq!((found.makespan_ms, found.sum_ms), (cpu.makespan_ms, cpu.sum_ms), "{policy}");
    }
    assert!(!replay.under(Policy::Auto).devices.contains_key(&Place::Gpu(0)));
    // What was done stays what it was.
    comes_to(&replay.recorded(), 140.0, 310.0);
    // Another GPU that was never there makes no difference.
    assert_eq!(self::replay(&recording, &[1]).under(Policy::Gpu), self::replay(&recording, &[]).under(Policy::Gpu));
}

#[test]
fn auto_finds_the_optimum_where_looking_one_job_ahead_is_enough_and_pays_what_was_measured() {
    // Recorded badly: each where it takes long. Predictions of the GPU were right, those of the CPU half of what it takes.
    let text = line("x", "stats", "cpu", [200.0, 0.0], &[("cpu", 1, 100.0, 0.0, 0.0), ("gpu:0", 1, 10.0, 0.0, 0.0)])
        + &line("y", "stats", "gpu:0", [300.0, 0.0], &[("gpu:0", 1, 300.0, 0.0, 0.0), ("cpu", 1, 30.0, 0.0, 0.0)]);
    let recording = read(&text).unwrap();
    let replay = replay(&recording, &[]);
    // The naive way: all four assignments, on one thread and one GPU.
    let (x, y) = ([200.0, 10.0], [60.0, 300.0]);
    let all = [x[0] + y[0], f64::max(x[0], y[1]), f64::max(x[1], y[0]), x[1] + y[1]];
    let best = all.into_iter().fold(f64::INFINITY, f64::min);
    let auto = replay.under(Policy::Auto);
    comes_to(&auto, best, 70.0);
    assert_eq!((replay.recorded().makespan_ms, auto.regret_ms()), (300.0, 240.0));
    // No policy without eyes finds it.
    for policy in [Policy::Cpu, Policy::Gpu, Policy::RoundRobin] {
        assert!(replay.under(policy).makespan_ms > best, "{policy}");
    }
    assert_eq!(replay.under(Policy::Cpu).makespan_ms, all[0]);
    assert_eq!(replay.under(Policy::Gpu).makespan_ms, all[3]);
}

#[test]
fn a_job_that_tells_nothing_of_a_gpu_is_left_out_by_name_where_it_would_have_gone_there() {
    let text = four_jobs()
        + &line("blind", "stats", "cpu", [1000.0, 0.0], &[])
        + &line("irregular", "factor", "cpu", [5.0, 0.0], &[]);
    let recording = read(&text).unwrap();
    assert_eq!(recording.unplanned, 2);
    let replay = replay(&recording, &[]);
    let gpu = replay.under(Policy::Gpu);
    assert_eq!((gpu.unknown.as_slice(), gpu.devices[&Place::Cpu].jobs), (&["blind".to_owned()][..], 2));
    // Against the same jobs: a second beside which everything else would vanish is not among them.
    assert_eq!(gpu.recorded_ms, 140.0);
    let (cpu, auto) = (replay.under(Policy::Cpu), replay.under(Policy::Auto));
    assert!(cpu.unknown.is_empty() && cpu.makespan_ms >= 1000.0, "{cpu:?}");
    assert_eq!((auto.unknown.len(), auto.gpu_unknown), (0, 1));
}

#[test]
fn what_the_recording_does_not_tell_is_asked_of_the_model_once_a_job() {
    let mut job: Value =
        serde_json::from_str(&line("a", "stats", "cpu", [100.0, 0.0], &[("cpu", 1, 90.0, 0.0, 0.0)])).unwrap();
    job["plan"]["work"] = json!({"variant": "f32", "units": 1000, "granularity": 1, "bytes_per_unit": 4.0,
        "bytes_out_per_unit": 0.0, "prior_ns_per_unit": 0.7, "passes": 1, "gpu": true});
    let recording = read(&format!("{job}\n")).unwrap();
    let mut asked = Vec::new();
    let mut predict = |work: &Work| {
        asked.push((work.kernel, work.variant.clone(), work.units));
        let predicted = crate::plan::Prediction { ms: 37.0, low_ms: 1.0, high_ms: 99.0 };
        vec![Candidate {
            choice: crate::plan::Choice::Gpu { index: 1 },
            predicted: Some(predicted),
            setup_ms: 20.0,
            waiting_ms: 5.0,
            note: "3 samples".to_owned(),
        }]
    };
    let replay = Replay::new(&recording, &ReplayOptions::default(), &mut predict);
    let gpu = replay.under(Policy::Gpu);
    comes_to(&gpu, 32.0, 32.0);
    assert_eq!(gpu.sources[&Source::Model].jobs, 1);
    assert_eq!(asked, [("stats", "f32".to_owned(), 1000)]);
}

#[test]
fn a_line_that_is_no_outcome_is_an_error_with_its_number_and_a_torn_last_one_is_left_out() {
    let good = four_jobs();
    let torn = format!("{good}{{\"schema\":1,\"index\":9,\"id\":\"e");
    let recording = read(&torn).unwrap();
    assert!(recording.is_torn && recording.jobs.len() == 4);
    let whole = read(&good).unwrap();
    assert_eq!(Recording { is_torn: true, ..whole }, recording);
    for (text, expected) in [
        (format!("{good}{{nonsense}}\n{good}"), ":5: no outcome of a job: key must be a string"),
        (format!("\n{}", good.replacen("\"cpu\"", "\"tpu\"", 1)), ":2: `tpu` is no device"),
        (good.replacen("\"schema\":1", "\"schema\":2", 1), ":1: outcomes of schema 2 are not known"),
        (
            "{\"schema\":1,\"index\":0,\"id\":\"a\",\"kind\":\"stats\",\"status\":\"succeeded\",\"result\":{}}\n"
                .to_owned(),
            ":1: it does not say how long it took: leave out --results-only",
        ),
        (String::new(), ": there is no job in it"),
        (
            "{\"schema\":1,\"index\":0,\"id\":\"a\",\"kind\":\"stats\",\"status\":\"failed\",\"error\":{}}\n"
                .to_owned(),
            ": there is no job in it",
        ),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    assert!(read(&good.replacen("107", "-107", 1)).unwrap_err().contains("cannot have taken"));
}

#[test]
fn lanes_are_taken_as_a_naive_list_scheduler_takes_them() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    for threads in [1_u32, 2, 3, 8] {
        let (mut lanes, mut naive) = (Lanes::new(threads), vec![0.0_f64; threads as usize]);
        for _ in 0..500 {
            let way = Way {
                place: Place::Cpu,
                threads: 1 + below(u64::from(threads)) as u32,
                ms: below(10) as f64,
                opening_ms: 0.0,
                believed_ms: 0.0,
                source: Source::Measured,
            };
            naive.sort_by(f64::total_cmp);
            let end_ms = naive[way.threads as usize - 1] + way.ms;
            naive[..way.threads as usize].fill(end_ms);
            assert_eq!(lanes.take(&way, way.ms), end_ms);
        }
    }
}
