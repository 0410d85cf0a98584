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
    line_at(7.0, id, kind, device, [took_ms, setup_ms], candidates)
}

/// The same, of a job that was queued for so long.
fn line_at(
    queued_ms: f64,
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
        "timings_ms": {"queued": queued_ms, "setup": setup_ms, "upload": 0, "compute": took_ms - setup_ms, "readback": 0, "total": took_ms + queued_ms},
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
        + &line_at(7.5, "b", "stats", "cpu", [100.0, 0.0], &[("cpu", 1, 103.0, 0.0, 3.0), gpu_took(5.0)])
        + &line("c", "stats", "gpu:0", [70.0, 50.0], &[gpu_took(0.0), ("cpu", 1, 120.0, 0.0, 0.0)])
        + &line_at(
            107.0,
            "d",
            "stats",
            "cpu",
            [40.0, 0.0],
            &[("cpu", 1, 40.0, 0.0, 0.0), ("gpu:0", 1, f64::NAN, 0.0, 0.0)],
        )
}

#[track_caller]
fn comes_to(found: &Replayed, makespan_ms: f64, sum_ms: f64) {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(found.makespan_ms.unwrap(), makespan_ms) && near(found.sum_ms, sum_ms), "{found:?}");
}

#[test]
fn every_policy_costs_what_a_calculation_by_hand_says() {
    let text = four_jobs();
    let recording = read(&text).unwrap();
    assert_eq!((recording.threads, recording.unplanned, recording.failed), (Some(2), 0, 0));
    let replay = replay(&recording, &[]);
    // a and b beside each other, d after them, c on the GPU.
    comes_to(&replay.repeated(), 140.0, 310.0);
    // By the clock, they waited for 7 ms at first.
    comes_to(&replay.recorded(), 147.0, 310.0);
    // c is predicted to take 120 ms on a thread, and such predictions were right.
    let cpu = replay.under(Policy::Cpu);
    comes_to(&cpu, 220.0, 360.0);
    assert_eq!((cpu.recorded_ms, cpu.regret_ms()), (Some(140.0), Some(-80.0)));
    // a opens the GPU in 50 ms and then takes 10 ms, twice; b and c find it open; d cannot go there.
    let gpu = replay.under(Policy::Gpu);
    comes_to(&gpu, 110.0, 150.0);
    assert_eq!(gpu.devices[&Place::Gpu(0)], DeviceSum { jobs: 3, ms: 110.0, lane_ms: 110.0 });
    assert_eq!(gpu.devices[&Place::Cpu], DeviceSum { jobs: 1, ms: 40.0, lane_ms: 40.0 });
    assert_eq!(gpu.sources[&Source::Corrected], SourceSum { jobs: 2, ms: 90.0 });
    assert_eq!(gpu.sources[&Source::Measured], SourceSum { jobs: 2, ms: 60.0 });
    assert!((gpu.measured().unwrap() - 0.4).abs() < 1e-12 && (gpu.regret().unwrap() - 30.0 / 110.0).abs() < 1e-12);
    // a on the CPU, b on the GPU, c on the CPU, d where it can.
    comes_to(&replay.under(Policy::RoundRobin), 140.0, 330.0);
    let corrections: Vec<_> = replay.corrections().collect();
    let of = |factor, jobs| Correction { factor, jobs, is_shared: false };
    assert_eq!(corrections, [("stats", Place::Cpu, of(1.0, 3)), ("stats", Place::Gpu(0), of(2.0, 1))]);
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
    comes_to(&replay.repeated(), 140.0, 310.0);
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
    assert_eq!((replay.repeated().makespan_ms, auto.regret_ms()), (Some(300.0), Some(240.0)));
    // No policy without eyes finds it.
    for policy in [Policy::Cpu, Policy::Gpu, Policy::RoundRobin] {
        assert!(replay.under(policy).makespan_ms.unwrap() > best, "{policy}");
    }
    assert_eq!(replay.under(Policy::Cpu).makespan_ms, Some(all[0]));
    assert_eq!(replay.under(Policy::Gpu).makespan_ms, Some(all[3]));
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
    // Times over some of the jobs are compared with nothing.
    assert_eq!((gpu.jobs(), gpu.recorded_ms, gpu.regret_ms(), gpu.regret()), (5, None, None, None));
    let (cpu, auto) = (replay.under(Policy::Cpu), replay.under(Policy::Auto));
    assert!(cpu.unknown.is_empty() && cpu.makespan_ms >= Some(1000.0), "{cpu:?}");
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
}

#[test]
fn figures_that_cannot_be_are_refused_with_their_line() {
    let good = four_jobs();
    let mut work: Value = serde_json::from_str(good.lines().next().unwrap()).unwrap();
    work["plan"]["work"] = json!({"variant": "f32", "units": 1000, "granularity": 0, "bytes_per_unit": 4.0,
        "bytes_out_per_unit": 0.0, "prior_ns_per_unit": 0.7, "passes": 1, "gpu": true});
    let put = |path: &str, value: Value| {
        let mut line: Value = serde_json::from_str(good.lines().next().unwrap()).unwrap();
        *line.pointer_mut(path).unwrap() = value;
        format!("{line}\n")
    };
    for (text, expected) in [
        (put("/timings_ms/total", json!(1e300)), ":1: total: 1e300 ms is no time: it is from 0 to 1e12"),
        (put("/timings_ms/total", json!(-107.0)), ":1: total: -107.0 ms is no time"),
        (put("/timings_ms/queued", json!(5000.0)), ":1: timings_ms: it was queued for longer than the 107.0 ms"),
        (put("/timings_ms/setup", json!(-1.0)), ":1: setup: -1.0 ms is no time"),
        (put("/plan/candidates/0/predicted_ms", json!(0.0)), ":1: predicted_ms: nothing takes no time"),
        (put("/plan/candidates/1/predicted_ms", json!(-50.0)), ":1: predicted_ms: -50.0 ms is no time"),
        (put("/plan/candidates/0/predicted_ms", json!(1e13)), ":1: predicted_ms: 10000000000000.0 ms is no time"),
        (put("/plan/candidates/0/waiting_ms", json!(-1.0)), ":1: waiting_ms: -1.0 ms is no time"),
        (put("/plan/candidates/0/threads", json!(4_000_000_000_u32)), ":1: plan: 4000000000 threads are not possible"),
        (put("/plan/candidates/0/threads", json!(0)), ":1: plan: 0 threads are not possible"),
        (format!("{work}\n"), ":1: work: granularity and passes are from 1"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    assert!(read(&put("/plan/candidates/0/threads", json!(4096))).is_ok());
}

/// Two jobs of both threads, submitted together, of which the second filled what the first one left; then one alone.
fn two_that_overlap() -> String {
    let both = [("cpu", 2, 100.0, 0.0, 0.0), ("cpu", 1, 180.0, 0.0, 0.0)];
    line_at(0.0, "a", "primes", "cpu", [110.0, 0.0], &both)
        + &line_at(10.0, "b", "primes", "cpu", [210.0, 0.0], &both)
        + &line_at(220.0, "c", "primes", "cpu", [120.0, 0.0], &both)
}

#[test]
fn what_was_done_is_no_longer_than_it_was_where_jobs_overlapped() {
    let text = two_that_overlap();
    let recording = read(&text).unwrap();
    let replay = replay(&recording, &[]);
    // b had nothing until a ended: it took 110 ms of the 210.
    let (recorded, repeated) = (replay.recorded(), replay.repeated());
    comes_to(&recorded, 340.0, 340.0);
    comes_to(&repeated, 340.0, 340.0);
    assert_eq!(recorded.devices[&Place::Cpu].lane_ms, 680.0);
    let cpu = replay.under(Policy::Cpu);
    comes_to(&cpu, 340.0, 340.0);
    assert_eq!(cpu.sources[&Source::Shared], SourceSum { jobs: 1, ms: 110.0 });
    assert!((cpu.measured().unwrap() - 230.0 / 340.0).abs() < 1e-12, "{cpu:?}");
    // By those that had the lanes alone: b as measured would have made it 1.2 too, b by the clock 2.1.
    let corrections: Vec<_> = replay.corrections().collect();
    assert_eq!(corrections, [("primes", Place::Cpu, Correction { factor: 1.15, jobs: 2, is_shared: false })]);
}

#[test]
fn a_correction_by_shares_alone_is_told() {
    let both = [("cpu", 2, 100.0, 0.0, 0.0)];
    let text = line_at(0.0, "a", "stats", "cpu", [110.0, 0.0], &both)
        + &line_at(10.0, "b", "primes", "cpu", [210.0, 0.0], &both);
    let recording = read(&text).unwrap();
    let replay = replay(&recording, &[]);
    let of_primes = replay.corrections().find(|(kind, ..)| *kind == "primes").unwrap().2;
    assert_eq!(of_primes, Correction { factor: 1.1, jobs: 1, is_shared: true });
}

#[test]
fn jobs_that_were_submitted_later_lie_later() {
    let both = [("cpu", 2, 100.0, 0.0, 0.0)];
    let text: String = [1000.0, 1110.0, 1250.0]
        .map(|submitted_ms| {
            let mut job: Value =
                serde_json::from_str(&line_at(0.0, "a", "primes", "cpu", [100.0, 0.0], &both)).unwrap();
            job["timings_ms"]["submitted"] = json!(submitted_ms);
            format!("{job}\n")
        })
        .concat();
    let recording = read(&text).unwrap();
    let replay = replay(&recording, &[]);
    comes_to(&replay.recorded(), 350.0, 300.0);
    comes_to(&replay.repeated(), 300.0, 300.0);
    assert_eq!(replay.recorded().measured(), Some(1.0));
}

#[test]
fn another_number_of_threads_changes_nothing_of_what_was_done_and_is_never_called_measured() {
    let text =
        two_that_overlap() + &line_at(340.0, "tight", "primes", "cpu", [50.0, 0.0], &[("cpu", 2, 50.0, 0.0, 0.0)]);
    let recording = read(&text).unwrap();
    let with = |threads| {
        let options = ReplayOptions { threads, ..ReplayOptions::default() };
        let replay = Replay::new(&recording, &options, &mut |_| Vec::new());
        (replay.recorded(), replay.repeated(), replay.under(Policy::Cpu), replay.under(Policy::Auto))
    };
    let (as_it_was, one, many) = (with(None), with(Some(1)), with(Some(8)));
    assert_eq!((&one.0, &one.1), (&as_it_was.0, &as_it_was.1));
    assert_eq!((&many.0, &many.1), (&as_it_was.0, &as_it_was.1));
    for replayed in [&one.2, &one.3] {
        assert_eq!((replayed.measured(), replayed.unknown.as_slice()), (Some(0.0), &["tight".to_owned()][..]));
        // 180 ms on one thread, times 1.1, 1.1 and 1.2, as each fared itself.
        comes_to(replayed, 612.0, 612.0);
        assert_eq!(replayed.sources[&Source::Corrected].jobs, 3);
    }
    // Four beside each other, on two threads each.
    comes_to(&many.2, 120.0, 390.0);
}

#[test]
fn where_no_plan_tells_of_threads_no_makespan_is_made_up() {
    let text = line("a", "factor", "cpu", [10.0, 0.0], &[]) + &line("b", "factor", "cpu", [20.0, 0.0], &[]);
    let recording = read(&text).unwrap();
    assert_eq!((recording.threads, recording.unplanned), (None, 2));
    let replay = replay(&recording, &[]);
    let cpu = replay.under(Policy::Cpu);
    assert_eq!((replay.threads(), cpu.makespan_ms, cpu.sum_ms, cpu.regret()), (None, None, 30.0, None));
    assert_eq!(replay.recorded().makespan_ms, Some(27.0));
    let told = ReplayOptions { threads: Some(3), ..ReplayOptions::default() };
    let told = Replay::new(&recording, &told, &mut |_| Vec::new());
    // Each is taken to have had all of them, since it might have.
    comes_to(&told.under(Policy::Cpu), 30.0, 30.0);
}

#[test]
fn gpu_keeps_all_on_the_cpu_where_every_gpu_is_gone_or_none_was_there() {
    let blind = || line_at(200.0, "blind", "stats", "cpu", [5.0, 0.0], &[("cpu", 1, 5.0, 0.0, 0.0)]);
    let all_on_the_cpu = |text: &str, without: &[u32]| {
        let recording = read(text).unwrap();
        let gpu = replay(&recording, without).under(Policy::Gpu);
        gpu.unknown.is_empty() && gpu.devices.keys().eq([&Place::Cpu])
    };
    // Nobody had looked for a GPU: there might be one.
    assert!(!all_on_the_cpu(&blind(), &[]));
    assert!(!all_on_the_cpu(&(four_jobs() + &blind()), &[]));
    assert!(all_on_the_cpu(&(four_jobs() + &blind()), &[0]));
    let unusable = ("gpu:0", 1, f64::NAN, 0.0, 0.0);
    let looked = line("looked", "stats", "cpu", [9.0, 0.0], &[("cpu", 1, 9.0, 0.0, 0.0), unusable]);
    assert!(all_on_the_cpu(&(looked + &blind()), &[]));
    let mut none: Value = serde_json::from_str(&blind()).unwrap();
    none["plan"]["gpus_known"] = json!(true);
    assert!(all_on_the_cpu(&format!("{none}\n{}", blind()), &[]));
}

#[test]
fn an_input_has_to_be_opened_wherever_the_job_runs() {
    let candidates = [("cpu", 1, 100.0, 0.0, 0.0), ("gpu:0", 1, 40.0, 30.0, 0.0)];
    let mut job: Value = serde_json::from_str(&line("a", "stats", "cpu", [110.0, 10.0], &candidates)).unwrap();
    job["timings_ms"]["opening"] = json!(10.0);
    let recording = read(&format!("{job}\n")).unwrap();
    let replay = replay(&recording, &[]);
    // Computing took as long as predicted.
    assert_eq!(replay.corrections().next().unwrap().2.factor, 1.0);
    comes_to(&replay.under(Policy::Cpu), 110.0, 110.0);
    // Opening the input, then the GPU, and computing there.
    comes_to(&replay.under(Policy::Gpu), 50.0, 50.0);
}
