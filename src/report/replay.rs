//! A replayed run, as text and JSON.

use serde_json::{Map, Value, json};

use crate::report::figures::{counted, time_ms};
use crate::report::{Align, Style, Table, visible};
use crate::simulate::replay::{Recording, Replay, Replayed};

/// So many jobs are named of those that are left out.
const NAMED_MAX: usize = 5;

/// What was done, and beside it what each of `others` would have cost.
pub fn replay_text(recording: &Recording, replay: &Replay<'_>, others: &[Replayed], style: Style) -> String {
    let recorded = replay.recorded();
    let jobs = recording.jobs.len() as u64;
    let mut text = format!(
        "{} on {} of the cpu",
        counted(jobs, "job", "jobs"),
        counted(u64::from(replay.threads()), "thread", "threads")
    );
    if recording.failed > 0 {
        text += &format!(", {} left out", counted(recording.failed, "failed job", "failed jobs"));
    }
    if recording.is_torn {
        text += ", a torn last line left out";
    }
    text += "\n\n";
    let mut table = Table::new(&[
        ("policy", Align::Left),
        ("makespan", Align::Right),
        ("regret", Align::Right),
        ("sum", Align::Right),
        ("measured", Align::Right),
        ("devices", Align::Left),
    ]);
    for one in std::iter::once(&recorded).chain(others) {
        table.row([
            one.policy.map_or_else(|| "recorded".to_owned(), |policy| policy.to_string()),
            time_ms(one.makespan_ms),
            regret(one),
            time_ms(one.sum_ms),
            format!("{:.0} %", one.measured() * 100.0),
            devices(one),
        ]);
    }
    text += &table.render("", style);
    text.push('\n');
    for one in others {
        text += &of_what_is_unknown(one);
    }
    for (kind, place, factor, jobs) in replay.corrections() {
        let ran = counted(jobs as u64, "job", "jobs");
        text +=
            &format!("{} on {place}: what was predicted is taken times {factor:.2}, as {ran} fared\n", visible(kind));
    }
    text += "regret: how much longer what was done took, by the same count and over the same jobs\n";
    text
}

fn regret(one: &Replayed) -> String {
    match (one.policy, one.regret()) {
        (None, _) | (_, None) => String::new(),
        (Some(_), Some(part)) => format!("{:+.1} %", part * 100.0),
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
    let Some(policy) = one.policy else { return text };
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
        .map(|(kind, place, factor, jobs)| json!({"kind": kind, "device": place.to_string(), "factor": factor, "jobs": jobs}))
        .collect();
    let all: Vec<Value> = std::iter::once(&replay.recorded()).chain(others).map(one_json).collect();
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
    let devices: Map<String, Value> = one
        .devices
        .iter()
        .map(|(place, sum)| (place.to_string(), json!({"jobs": sum.jobs, "ms": sum.ms, "lane_ms": sum.lane_ms})))
        .collect();
    let sources: Map<String, Value> = one
        .sources
        .iter()
        .map(|(source, sum)| (source.name().to_owned(), json!({"jobs": sum.jobs, "ms": sum.ms})))
        .collect();
    json!({
        "policy": one.policy.map_or("recorded", |policy| policy.name()),
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
