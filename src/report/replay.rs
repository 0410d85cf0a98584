//! A replayed run, as text and JSON.

use serde_json::{Map, Value, json};

use crate::report::figures::{counted, time_ms, whole};
use crate::report::{Align, Style, Table, visible};
use crate::simulate::replay::{DeviceSum, Recording, Replay, Replayed, Which};

/// So many jobs are named of those that are left out.
const NAMED_MAX: usize = 5;

/// What was done, and beside it what each of `others` would have cost.
pub fn replay_text(recording: &Recording, replay: &Replay<'_>, others: &[Replayed], style: Style) -> String {
    let threads = match replay.threads() {
        Some(threads) => counted(u64::from(threads), "thread", "threads"),
        None => "an unknown number of threads".to_owned(),
    };
    let mut text = format!("{} on {threads} of the cpu", counted(recording.jobs.len() as u64, "job", "jobs"));
    if let (Some(now), Some(then)) =
        (replay.threads(), recording.threads.filter(|&then| replay.threads() != Some(then)))
    {
        let those = if now > then { "more" } else { "fewer" };
        text += &format!(", {those} than the {then} that it was recorded on");
    }
    if recording.failed > 0 {
        text += &format!(", {} left out", counted(recording.failed, "failed job", "failed jobs"));
    }
    if recording.is_torn {
        text += ", a torn last line left out";
    }
    text += "\n\n";
    let mut table = Table::new(&[
        ("policy", Align::Left),
        ("jobs", Align::Right),
        ("makespan", Align::Right),
        ("regret", Align::Right),
        ("sum", Align::Right),
        ("measured", Align::Right),
        ("devices", Align::Left),
    ]);
    let absent = || "-".to_owned();
    for one in [replay.recorded(), replay.repeated()].iter().chain(others) {
        table.row([
            one.which.name().to_owned(),
            jobs(one),
            one.makespan_ms.map_or_else(absent, time_ms),
            regret(one),
            if one.jobs() > 0 { time_ms(one.sum_ms) } else { absent() },
            one.measured().map_or_else(absent, |part| format!("{:.0} %", part * 100.0)),
            devices(one),
        ]);
    }
    text += &table.render("", style);
    text.push('\n');
    if let Some(unplanned) = unplanned(recording) {
        text += &format!("{unplanned}\n");
    }
    if replay.threads().is_none() {
        text += "no plan says how many threads of the cpu there are: without --threads N no makespan can be told\n";
    }
    for one in others {
        text += &of_what_is_unknown(one);
    }
    for (kind, place, correction) in replay.corrections() {
        let ran = counted(correction.jobs as u64, "job", "jobs");
        let how = if correction.is_shared { " that shared their lanes with others" } else { "" };
        let (kind, factor) = (visible(kind), correction.factor);
        text += &format!("{kind} on {place}: what was predicted is taken times {factor:.2}, as {ran} fared{how}\n");
    }
    text += "recorded: by the clock; repeated: the same counted as the policies are, each job as soon as its lanes are free\n";
    text += "regret: how much longer `repeated` takes than this\n";
    text
}

/// Why jobs can be replayed nowhere but where they ran; `None` where all have their plans.
pub fn unplanned(recording: &Recording) -> Option<String> {
    let jobs = recording.jobs.len();
    (recording.unplanned > 0).then(|| {
        format!(
            "{} of {jobs} jobs have no plan to tell what they would take elsewhere, nor on how many threads they ran: record with \
             `tandem run JOBS --explain --output FILE`",
            recording.unplanned
        )
    })
}

fn jobs(one: &Replayed) -> String {
    match (one.jobs(), one.unknown.len() as u64) {
        (all, 0) => whole(all),
        (some, left_out) => format!("{} of {}", whole(some), whole(some + left_out)),
    }
}

fn regret(one: &Replayed) -> String {
    match (one.which, one.regret()) {
        (Which::Recorded | Which::Repeated, _) => String::new(),
        (Which::Under(_), None) => "-".to_owned(),
        (Which::Under(_), Some(part)) => format!("{:+.1} %", part * 100.0),
    }
}

fn devices(one: &Replayed) -> String {
    let each = one
        .devices
        .iter()
        .map(|(place, sum)| format!("{place} {} ({})", time_ms(sum.ms), counted(sum.jobs, "job", "jobs")));
    each.collect::<Vec<_>>().join(", ")
}

fn of_what_is_unknown(one: &Replayed) -> String {
    let mut text = String::new();
    let policy = one.which.name();
    if !one.unknown.is_empty() {
        let named: Vec<String> = one.unknown.iter().take(NAMED_MAX).map(|id| visible(id).into_owned()).collect();
        let more = if one.unknown.len() > NAMED_MAX { ", …" } else { "" };
        text += &format!(
            "{policy}: {} left out, of which nothing is known where it would have run: {}{more}\n",
            counted(one.unknown.len() as u64, "job", "jobs"),
            named.join(", ")
        );
    }
    if one.gpu_unknown > 0 {
        let jobs = counted(one.gpu_unknown, "job stays on the cpu", "jobs stay on the cpu");
        text += &format!("{policy}: {jobs}, since nothing is known of what a gpu would take\n");
    }
    text
}

/// The same as one JSON object, with a line end.
///
/// # Errors
/// None in practice: those of `serde_json`.
pub fn replay_json(recording: &Recording, replay: &Replay<'_>, others: &[Replayed]) -> serde_json::Result<String> {
    let corrections: Vec<Value> = replay
        .corrections()
        .map(|(kind, place, correction)| {
            json!({"kind": kind, "device": place.to_string(), "factor": correction.factor, "jobs": correction.jobs,
                "shared": correction.is_shared})
        })
        .collect();
    let all: Vec<Value> = [replay.recorded(), replay.repeated()].iter().chain(others).map(one_json).collect();
    let whole = json!({
        "schema": 1,
        "jobs": recording.jobs.len(),
        "failed": recording.failed,
        "unplanned": recording.unplanned,
        "torn": recording.is_torn,
        "threads": replay.threads(),
        "corrections": corrections,
        "policies": all,
    });
    Ok(serde_json::to_string(&whole)? + "\n")
}

fn one_json(one: &Replayed) -> Value {
    let devices: Map<String, Value> =
        one.devices.iter().map(|(place, sum)| (place.to_string(), device_json(sum, one.threads))).collect();
    let sources: Map<String, Value> = one
        .sources
        .iter()
        .map(|(source, sum)| (source.name().to_owned(), json!({"jobs": sum.jobs, "ms": sum.ms})))
        .collect();
    json!({
        "policy": one.which.name(),
        "jobs": one.jobs(),
        "threads": one.threads,
        "makespan_ms": one.makespan_ms,
        "sum_ms": one.sum_ms,
        "recorded_ms": one.recorded_ms,
        "regret_ms": one.regret_ms(),
        "regret": one.regret(),
        "measured": one.measured(),
        "devices": devices,
        "sources": sources,
        "unknown": one.unknown,
        "gpu_unknown": one.gpu_unknown,
    })
}

/// The time of lanes is null where nobody knows how many each job had.
fn device_json(sum: &DeviceSum, threads: Option<u32>) -> Value {
    json!({"jobs": sum.jobs, "ms": sum.ms, "lane_ms": threads.map(|_| sum.lane_ms)})
}
