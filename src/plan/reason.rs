//! One sentence that says why.

use std::fmt::Write;

use crate::device::DeviceId;
use crate::job::DeviceChoice;
use crate::plan::candidates::Weighed;
use crate::plan::priors::SETUP_MS;
use crate::plan::request::{INVENTORY_MS, PlanRequest};
use crate::plan::stream::Opening;
use crate::plan::types::Part;
use crate::report::figures::{counted, time_ms};

/// Why `best` was chosen, with the figures.
pub(super) fn explain(
    request: &PlanRequest<'_>,
    weighed: &[Weighed],
    best: &Weighed,
    opening: Option<&Opening>,
    probe: Option<&Part>,
) -> String {
    let mut text = format!("{} is predicted to take {}", best.choice, time_ms(best.ms()));
    details(&mut text, best);
    match request.policy {
        DeviceChoice::Auto => {}
        asked => _ = write!(text, ", and `{asked}` was asked for"),
    }
    let others = weighed.iter().filter(|other| other.choice != best.choice && other.total.is_some());
    let next = others.filter(|other| !same_device(other, best)).min_by(|a, b| a.ms().total_cmp(&b.ms()));
    let next = next.or_else(|| {
        let others = weighed.iter().filter(|other| other.choice != best.choice && other.total.is_some());
        others.min_by(|a, b| a.ms().total_cmp(&b.ms()))
    });
    if let Some(next) = next {
        let word = if next.ms() < best.ms() && opening.is_some() {
            "more than"
        } else if next.ms() < best.ms() && next.allowed {
            "no more than a tie with"
        } else if next.ms() < best.ms() {
            "against"
        } else {
            "less than"
        };
        _ = write!(text, ", {word} {} with {}", next.choice, time_ms(next.ms()));
        details(&mut text, next);
        if let Some(why) = &next.why_not {
            _ = write!(text, " ({why})");
        }
    }
    match opening {
        Some(Opening::Waiting { jobs, without_ms, with_ms }) => {
            let all = counted(jobs + 1, "job", "jobs");
            let (without, with) = (time_ms(*without_ms), time_ms(*with_ms));
            _ = write!(text, "; opened for a stream of jobs: these {all} take {with} with it and {without} without");
        }
        Some(Opening::Missed { ms }) => {
            let (lost, price) = (time_ms(*ms), time_ms(best.setup_ms));
            _ = write!(
                text,
                "; opened for a stream of jobs: those so far lost {lost} without it, and opening takes {price}"
            );
        }
        None => {}
    }
    if request.policy == DeviceChoice::Auto && request.work.gpu && !request.inventory_known {
        _ = write!(text, "; looking for a gpu and opening it would take {}", time_ms(INVENTORY_MS + SETUP_MS));
    }
    let usable = |state: &crate::plan::DeviceState| state.id != DeviceId::Cpu && state.unusable.is_none();
    if request.policy == DeviceChoice::Auto && request.inventory_known && !request.devices.iter().any(usable) {
        text.push_str("; there is no usable gpu (`tandem devices` says why)");
    }
    if request.policy == DeviceChoice::Auto && !request.work.gpu {
        text.push_str("; the kernel has no gpu side");
    }
    if request.policy != DeviceChoice::Auto {
        text.push_str("; the crossover is where `auto` would change its choice");
    }
    if let Some(probe) = probe {
        let lanes = if probe.device == DeviceId::Cpu {
            format!(" ({} {})", probe.lanes, if probe.lanes == 1 { "thread" } else { "threads" })
        } else {
            String::new()
        };
        _ = write!(text, "; {:.2} % of a pass runs on {}{lanes}, to learn", probe.share * 100.0, probe.device);
    }
    text
}

fn same_device(a: &Weighed, b: &Weighed) -> bool {
    use crate::plan::types::Choice;
    matches!((&a.choice, &b.choice), (Choice::Cpu { .. }, Choice::Cpu { .. }))
}

/// How much of a time is not work.
fn details(text: &mut String, weighed: &Weighed) {
    let mut parts = Vec::new();
    if weighed.wait_ms > 0.05 * weighed.ms() {
        parts.push(format!("{} of it waiting", time_ms(weighed.wait_ms)));
    }
    if weighed.setup_ms > 0.05 * weighed.ms() {
        parts.push(format!("{} of it opening devices", time_ms(weighed.setup_ms)));
    }
    if !parts.is_empty() {
        _ = write!(text, " ({})", parts.join(", "));
    }
}
