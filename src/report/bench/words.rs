//! What rows come to, in sentences.

use crate::bench::{BreakEven, Challenge, DeviceDescription, Lost, Parallel, Reason, Standing, ToldApart, Verdict};
use crate::report::bench::is_software;
use crate::report::figures::{time_ms, whole};

/// What the rows of a variant come to, a sentence a line, without line ends: whether all threads are worth it, and for each GPU from
/// which size on it is, or that it is not, and why.
pub fn verdict_lines(verdict: &Verdict, devices: &[DeviceDescription]) -> Vec<String> {
    let about = format!("{} {}", verdict.kind, verdict.variant);
    let mut lines: Vec<String> = verdict.parallel.iter().map(|found| parallel(&about, found)).collect();
    for challenge in &verdict.challenges {
        lines.push(challenged(&about, challenge, devices));
    }
    if verdict.challenges.is_empty() && verdict.parallel.is_none() {
        lines.push(format!("{about}: there is nothing to compare with"));
    }
    lines
}

/// A size that was interpolated, to two digits: it is not known better.
fn roughly(units: u64) -> String {
    let step = 10_u64.pow(units.max(1).ilog10().saturating_sub(1));
    whole((units + step / 2) / step * step)
}

/// What is said of whom, against whom.
struct Words<'a> {
    /// Who challenges: `gpu:0`.
    who: &'a str,
    /// That it is faster: `wins`.
    wins: &'a str,
    /// That it is not at any size: `never wins`.
    loses: &'a str,
    /// Against whom: `the CPU`.
    other: &'a str,
    /// How fast it is at best.
    best: &'a str,
}

/// From which size on the challenger is faster, and where that cannot be told.
fn standing(found: &Standing, words: &Words<'_>) -> String {
    let Words { who, wins, loses, other, best } = words;
    let unclear = |text: String| match found.band_units.filter(|(low, high)| low < high) {
        Some((low, high)) => {
            format!("{text}; between {} and {} the two cannot be told apart", roughly(low), roughly(high))
        }
        None => text,
    };
    match (found.told_apart, found.break_even) {
        (ToldApart::Never, _) => format!("{who} cannot be told apart from {other} at any size measured, {best}"),
        (ToldApart::Smaller, _) => {
            unclear(format!("{who} cannot be told apart from {other} at the largest size measured, {best}"))
        }
        // It may win at every size, and surely does from the end of the band on.
        (ToldApart::Largest, BreakEven::Always) => match found.band_units {
            Some((_, high)) => unclear(format!("{who} {wins} from about n = {} on, {best}", roughly(high))),
            None => format!("{who} {wins} at every size measured, {best}"),
        },
        (ToldApart::Largest, BreakEven::From(from)) => {
            unclear(format!("{who} {wins} from about n = {} on, {best}", roughly(from)))
        }
        (ToldApart::Largest, BreakEven::Never) if found.best.0 > 1.0 => {
            format!("{who} {wins} at some sizes, and not at the largest, {best}")
        }
        (ToldApart::Largest, BreakEven::Never) => format!("{who} {loses}, {best}"),
    }
}

fn parallel(about: &str, found: &Parallel) -> String {
    let (ratio, units) = found.best;
    let words = Words {
        who: &format!("{} threads", found.threads),
        wins: "are worth it",
        loses: "are not worth it",
        other: "one thread",
        best: &format!("{ratio:.2}x as fast as one at best (at {})", whole(units)),
    };
    format!("{about}: {}", standing(&found.standing(), &words))
}

fn challenged(about: &str, found: &Challenge, devices: &[DeviceDescription]) -> String {
    let place = found.place;
    let software = if is_software(place, devices) { " (software)" } else { "" };
    let (ratio, units) = found.best;
    let words = Words {
        who: &format!("{place}{software}"),
        wins: "wins",
        loses: "never wins",
        other: "the CPU",
        best: &format!("{ratio:.2}x the CPU's speed at best (at {})", whole(units)),
    };
    let mut text = format!("{about}: {}", standing(&found.standing(), &words));
    if let Some(lost) = &found.lost {
        text += &format!("; {}", reason(lost, found));
    }
    text += &other_cases(found);
    text
}

fn reason(lost: &Lost, found: &Challenge) -> String {
    let (units, cpu) = (whole(lost.units), time_ms(lost.cpu_ms));
    let place = found.place;
    match lost.reason {
        Reason::Software => format!(
            "at {units} it takes {}, the CPU {cpu}: its shaders run on the CPU's own cores",
            time_ms(lost.gpu_ms)
        ),
        Reason::Shared => format!("at {units} it takes {}, the CPU alone {cpu}", time_ms(lost.gpu_ms)),
        Reason::FixedCost { least_ms } => format!(
            "at {units} the CPU is done in {cpu}, and the least that any job takes on {place} is {}",
            time_ms(least_ms)
        ),
        Reason::Upload { upload_ms } => {
            format!("at {units} moving the input there takes {}, and the CPU is done in {cpu}", time_ms(upload_ms))
        }
        Reason::Setup { setup_ms } => {
            format!("at {units} setting it up takes {} each time, and the CPU is done in {cpu}", time_ms(setup_ms))
        }
        Reason::Readback { readback_ms } => {
            format!("at {units} bringing back the results takes {}, and the CPU is done in {cpu}", time_ms(readback_ms))
        }
        Reason::Compute { compute_ms } => {
            format!("at {units} it computes for {}, and the CPU is done in {cpu}", time_ms(compute_ms))
        }
        Reason::Sum { compute_ms, upload_ms } => format!(
            "at {units} it takes {} in all ({} to move the input there, {} to compute), the CPU {cpu}",
            time_ms(lost.gpu_ms),
            time_ms(upload_ms),
            time_ms(compute_ms)
        ),
    }
}

/// When its input lies there already, and when it is the only job of a program; where that changes anything.
fn other_cases(found: &Challenge) -> String {
    let mut text = String::new();
    let from = |found: BreakEven| match found {
        BreakEven::From(units) => format!("from about n = {} on", roughly(units)),
        BreakEven::Always => "at every size".to_owned(),
        BreakEven::Never => "never".to_owned(),
    };
    if found.resident != found.fresh && found.place.is_gpu() {
        text += &format!(". With the input there already: {}", from(found.resident));
    }
    if found.cold != found.fresh && found.place.is_gpu() {
        let opening = time_ms(found.opening_ms);
        text += &format!(". As the only job of a program, which opens it in {opening}: {}", from(found.cold));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Place, examples};

    #[test]
    fn sentences_say_which_device_at_which_size_and_why() {
        let report = examples::report();
        let lines = verdict_lines(&report.verdicts[0], &report.machine.devices);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(
            lines[0],
            "stats f32: 8 threads are worth it at every size measured, 4.00x as fast as one at best (at 1,000,000)"
        );
        assert!(
            lines[1].starts_with("stats f32: gpu:0 wins from about n = 100,000 on, 4.00x the CPU's speed at best"),
            "{lines:?}"
        );
        assert!(
            lines[1].contains("at 10,000 the CPU is done in 10.0 us, and moving")
                || lines[1].contains("least that any job")
        );
        assert!(lines[1].contains("As the only job of a program"), "{lines:?}");
    }

    #[test]
    fn what_was_interpolated_has_two_digits() {
        let sizes = [0, 9, 15, 994, 64_053, 99_600].map(roughly);
        assert_eq!(sizes, ["0", "9", "15", "990", "64,000", "100,000"]);
    }

    #[test]
    fn a_software_adapter_is_named_as_one() {
        let mut report = examples::report();
        report.machine.devices[1].software = true;
        let rows = [examples::row("k", "v", 10, &[(Place::Thread, 1.0), (Place::Gpu(0), 3.0)])];
        let verdict = Verdict::of(&rows, &report.machine.devices).unwrap();
        let lines = verdict_lines(&verdict, &report.machine.devices);
        assert!(lines[0].contains("gpu:0 (software) never wins"), "{lines:?}");
        assert!(lines[0].contains("its shaders run on the CPU's own cores"), "{lines:?}");
    }

    #[test]
    fn what_intervals_cannot_tell_apart_is_said_so_of_threads_as_of_a_gpu() {
        let row = |units, medians: [f64; 3]| {
            let [thread, cpu, gpu] = medians;
            examples::row("k", "v", units, &[(Place::Thread, thread), (Place::Cpu, cpu), (Place::Gpu(0), gpu)])
        };
        let lines = |rows: &[crate::bench::Row]| verdict_lines(&Verdict::of(rows, &[]).unwrap(), &[]);
        // The intervals of these examples reach to about 0.7 %.
        let found = lines(&[row(10, [1.0, 0.999, 0.998]), row(1000, [9.99, 10.0, 9.985])]);
        assert_eq!(
            found[0],
            "k v: 8 threads cannot be told apart from one thread at any size measured, 1.00x as fast as one at best (at 10)"
        );
        assert!(
            found[1].starts_with("k v: gpu:0 cannot be told apart from the CPU at any size measured, "),
            "{found:?}"
        );
        let found = lines(&[row(10, [1.0, 2.0, 4.0]), row(1000, [10.0, 9.99, 9.98])]);
        for (line, start) in found.iter().zip([
            "k v: 8 threads cannot be told apart from one thread at the largest size measured, 1.00x as fast as one at best \
             (at 1,000); between ",
            "k v: gpu:0 cannot be told apart from the CPU at the largest size measured, ",
        ]) {
            assert!(line.starts_with(start), "{line}");
        }
        assert!(found[1].contains("; at 10 the CPU is done"), "why it surely loses at the smaller size: {found:?}");
        // Sure at the largest size only.
        let found = lines(&[row(10, [1.0, 0.999, 0.998]), row(1000, [10.0, 5.0, 1.0])]);
        assert!(found[0].starts_with("k v: 8 threads are worth it from about n = "), "{found:?}");
        assert!(
            found[0].contains("; between 10 and ") && found[0].ends_with(" the two cannot be told apart"),
            "{found:?}"
        );
    }
}
