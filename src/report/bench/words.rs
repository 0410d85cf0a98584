//! How places stand against each other, in sentences.

use crate::bench::{BreakEven, Challenge, DeviceDescription, Parallel, Standing, ToldApart, Verdict};
use crate::report::bench::guide::listed;
use crate::report::bench::{is_software, roughly};
use crate::report::figures::{time_ms, whole};

/// How places stand against each other, a sentence a line, without line ends: all threads against one, and each GPU and the split
/// against the CPU at its best. Which to use, and why, is said by [`super::use_line`] and [`super::why_line`].
pub fn verdict_lines(verdict: &Verdict, devices: &[DeviceDescription]) -> Vec<String> {
    let threads = verdict.parallel.iter().map(parallel);
    threads.chain(verdict.challenges.iter().map(|challenge| challenged(challenge, devices))).collect()
}

/// What is said of whom, against whom.
struct Words<'a> {
    /// Who challenges: `gpu:0`.
    who: &'a str,
    /// That it is faster: `wins`.
    wins: &'a str,
    /// That it is not: `does not win`.
    loses: &'a str,
    /// Against whom: `the CPU`.
    other: &'a str,
    /// How fast it is at best.
    best: &'a str,
}

/// These sizes, or between which they lie where they are many.
fn sizes(units: &[u64]) -> String {
    const NAMED: usize = 4;
    match units {
        [least, .., most] if units.len() > NAMED => {
            format!("at {} sizes from {} to {}", units.len(), whole(*least), whole(*most))
        }
        _ => format!("at {}", listed(&units.iter().map(|units| whole(*units)).collect::<Vec<_>>())),
    }
}

/// From which size on the challenger is faster, and where that cannot be told.
fn standing(found: &Standing, words: &Words<'_>) -> String {
    let Words { who, wins, loses, other, best } = words;
    let (ratio, at) = found.best;
    let chance = if ratio > 1.0 && !found.surely_at.contains(&at) { ", which may be chance" } else { "" };
    let best = format!("{best}{chance}");
    let unclear = |text: String| match found.band_units.filter(|(low, high)| low < high) {
        Some((low, high)) => {
            format!("{text}; between {} and {} the two cannot be told apart", roughly(low), roughly(high))
        }
        None => text,
    };
    let (every, any) = match found.sizes {
        1 => ("the only size measured", "the only size measured"),
        _ => ("every size measured", "any size measured"),
    };
    match (found.told_apart, found.break_even) {
        (ToldApart::Never, _) => format!("{who} cannot be told apart from {other} at {any}, {best}"),
        (ToldApart::Smaller, _) => {
            let smaller = match &*found.surely_at {
                [] => String::new(),
                surely => format!(" and {wins} {}", sizes(surely)),
            };
            unclear(format!("{who} cannot be told apart from {other} at the largest size measured{smaller}, {best}"))
        }
        // It may win at every size, and surely does from the end of the band on.
        (ToldApart::Largest, BreakEven::Always) => match found.band_units {
            Some((_, high)) => unclear(format!("{who} {wins} from about n = {} on, {best}", roughly(high))),
            None => format!("{who} {wins} at {every}, {best}"),
        },
        (ToldApart::Largest, BreakEven::From(from)) => {
            unclear(format!("{who} {wins} from about n = {} on, {best}", roughly(from)))
        }
        (ToldApart::Largest, BreakEven::Never) if !found.surely_at.is_empty() => {
            format!("{who} {wins} {}, and not at the largest size measured, {best}", sizes(&found.surely_at))
        }
        // By the medians alone it wins at some size, and surely loses at the largest.
        (ToldApart::Largest, BreakEven::Never) if found.best.0 > 1.0 => {
            format!("{who} {wins} at no size measured for sure, and not at the largest, {best}")
        }
        (ToldApart::Largest, BreakEven::Never) => format!("{who} {loses} at {any}, {best}"),
    }
}

fn parallel(found: &Parallel) -> String {
    let (ratio, units) = found.best;
    let words = Words {
        who: &format!("{} threads", found.threads),
        wins: "are worth it",
        loses: "are not worth it",
        other: "one thread",
        best: &format!("{ratio:.2}x as fast as one at best (at {})", whole(units)),
    };
    standing(&found.standing(), &words)
}

fn challenged(found: &Challenge, devices: &[DeviceDescription]) -> String {
    let place = found.place;
    let software = if is_software(place, devices) { " (software)" } else { "" };
    let (ratio, units) = found.best;
    let words = Words {
        who: &format!("{place}{software}"),
        wins: "wins",
        loses: "does not win",
        other: "the CPU",
        best: &format!("{ratio:.2}x the CPU's speed at best (at {})", whole(units)),
    };
    standing(&found.standing(), &words) + &other_cases(found)
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
    use crate::bench::{Place, Row, examples};

    #[test]
    fn sentences_say_how_places_stand_against_each_other() {
        let report = examples::report();
        let lines = verdict_lines(&report.verdicts[0], &report.machine.devices);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(
            lines[0],
            "8 threads are worth it at every size measured, 4.00x as fast as one at best (at 1,000,000)"
        );
        assert_eq!(
            lines[1],
            "gpu:0 wins from about n = 100,000 on, 4.00x the CPU's speed at best (at 1,000,000); between 98,000 and 100,000 the two \
             cannot be told apart. With the input there already: from about n = 62,000 on. As the only job of a program, which opens \
             it in 64.0 ms: never"
        );
    }

    #[test]
    fn a_software_adapter_is_named_as_one() {
        let mut report = examples::report();
        report.machine.devices[1].software = true;
        let rows = [examples::row("stats", "v", 10, &[(Place::Thread, 1.0), (Place::Gpu(0), 3.0)])];
        let verdict = Verdict::of(&rows, &report.machine.devices).unwrap();
        let lines = verdict_lines(&verdict, &report.machine.devices);
        assert!(lines[0].starts_with("gpu:0 (software) does not win at the only size measured, 0.33x"), "{lines:?}");
    }

    #[test]
    fn what_was_interpolated_has_two_digits() {
        let sizes = [0, 9, 15, 994, 64_053, 99_600].map(roughly);
        assert_eq!(sizes, ["0", "9", "15", "990", "64,000", "100,000"]);
    }

    fn row(units: u64, medians: [f64; 3]) -> Row {
        let [thread, cpu, gpu] = medians;
        examples::row("stats", "v", units, &[(Place::Thread, thread), (Place::Cpu, cpu), (Place::Gpu(0), gpu)])
    }

    fn lines(rows: &[Row]) -> Vec<String> {
        verdict_lines(&Verdict::of(rows, &[]).unwrap(), &[])
    }

    #[test]
    fn what_intervals_cannot_tell_apart_is_said_so_of_threads_as_of_a_gpu() {
        // The intervals of these examples reach to about 0.7 %.
        let found = lines(&[row(10, [1.0, 0.999, 0.998]), row(1000, [9.99, 10.0, 9.985])]);
        assert_eq!(
            found[0],
            "8 threads cannot be told apart from one thread at any size measured, 1.00x as fast as one at best (at 10), which \
             may be chance"
        );
        assert!(found[1].starts_with("gpu:0 cannot be told apart from the CPU at any size measured, "), "{found:?}");
        let found = lines(&[row(10, [1.0, 2.0, 4.0]), row(1000, [10.0, 9.99, 9.98])]);
        for (line, start) in found.iter().zip([
            "8 threads cannot be told apart from one thread at the largest size measured, 1.00x as fast as one at best (at 1,000), \
             which may be chance; between ",
            "gpu:0 cannot be told apart from the CPU at the largest size measured, ",
        ]) {
            assert!(line.starts_with(start), "{line}");
        }
        // Sure at the largest size only.
        let found = lines(&[row(10, [1.0, 0.999, 0.998]), row(1000, [10.0, 5.0, 1.0])]);
        assert!(found[0].starts_with("8 threads are worth it from about n = "), "{found:?}");
        assert!(
            found[0].contains("; between 10 and ") && found[0].ends_with(" the two cannot be told apart"),
            "{found:?}"
        );
    }

    #[test]
    fn sizes_at_which_one_surely_wins_are_named_and_those_where_only_medians_do_are_not() {
        // By the medians eight threads win at 10, by a thousandth; surely at 100 alone.
        let found = lines(&[row(10, [1.001, 1.0, 9.0]), row(100, [10.0, 5.0, 9.0]), row(1000, [10.0, 11.0, 90.0])]);
        assert_eq!(
            found[0],
            "8 threads are worth it at 100, and not at the largest size measured, 2.00x as fast as one at best (at 100)"
        );
        let found = lines(&[row(10, [1.001, 1.0, 9.0]), row(1000, [10.0, 11.0, 90.0])]);
        assert!(
            found[0].starts_with("8 threads are worth it at no size measured for sure, and not at the largest, 1.00x"),
            "{found:?}"
        );
        let found = lines(&[row(10, [1.0, 0.5, 2.0]), row(1000, [10.0, 10.01, 90.0])]);
        assert!(
            found[0].starts_with(
                "8 threads cannot be told apart from one thread at the largest size measured and are worth it at 10, "
            ),
            "{found:?}"
        );
    }

    #[test]
    fn a_single_size_is_said_to_be_the_only_one() {
        let found = lines(&[row(512, [1.0, 2.0, 0.5])]);
        assert!(found[0].starts_with("8 threads are not worth it at the only size measured, "), "{found:?}");
        assert!(found[1].starts_with("gpu:0 wins at the only size measured, 2.00x"), "{found:?}");
    }

    #[test]
    fn many_sizes_are_counted() {
        assert_eq!(sizes(&[1, 2, 3]), "at 1, 2 and 3");
        assert_eq!(sizes(&[1, 2, 3, 4, 5000]), "at 5 sizes from 1 to 5,000");
    }
}
