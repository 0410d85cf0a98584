//! What to use at which size, in a line for each variant, and all variants over sizes as one table.

use crate::bench::{Because, Choice, DeviceDescription, Place, Reason, Verdict, unit_words};
use crate::report::bench::{is_software, percent, roughly};
use crate::report::figures::{time_ms, whole};
use crate::report::{Align, Style, Table};

/// So many sizes stand beside each other on a terminal.
const COLUMNS: usize = 7;

/// What a table of choices says of itself.
pub(super) const TIE: &str = "tie: another place cannot be told apart from it, or is faster by less than 5 %; the place of a size before that \
     was sure is named, else the simplest: a thread before all, these before a gpu, that before a split";

/// What a place is called in a sentence: `1 thread`, `8 threads`, `gpu:0 (software)`.
fn name((place, lanes): (Place, u32), devices: &[DeviceDescription]) -> String {
    match (place, lanes) {
        (Place::Thread, _) | (Place::Cpu, 1) => "1 thread".to_owned(),
        (Place::Cpu, lanes) => format!("{lanes} threads"),
        (place, _) if is_software(place, devices) => format!("{place} (software)"),
        (place, _) => place.to_string(),
    }
}

const fn is_many((place, lanes): (Place, u32)) -> bool {
    matches!(place, Place::Cpu) && lanes > 1
}

/// Which place to use at which size: `1 thread below about 750; 16 threads to about 18,000; gpu:0 from there; split no clear gain`.
pub fn use_line(verdict: &Verdict, devices: &[DeviceDescription]) -> String {
    let choice = &verdict.choice;
    let segments = &choice.segments;
    let mut parts: Vec<String> = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let name = name((segment.place, segment.lanes), devices);
        let (least, most) = (whole(segment.measured.0), whole(segment.measured.1));
        let next = segments.get(at + 1).and_then(|next| next.from_units).map(roughly);
        parts.push(match (at, next) {
            (0, None) if choice.is_of_jobs => format!("{name} for {most} jobs at once"),
            (0, None) if choice.sizes.len() == 1 => format!("{name} at {most}, the only size measured"),
            (0, None) => format!("{name} at every size measured, {least} to {most}"),
            (0, Some(next)) => format!("{name} below about {next}"),
            (_, Some(next)) => format!("{name} to about {next}"),
            (_, None) => format!("{name} from there"),
        });
    }
    if parts.is_empty() {
        return "there is nothing to choose from: one place was measured".to_owned();
    }
    for (is_slower, how) in [(false, "no clear gain"), (true, "slower")] {
        let others = choice.unused.iter().filter(|unused| unused.is_slower == is_slower);
        let others: Vec<String> = others.map(|unused| name((unused.place, unused.lanes), devices)).collect();
        if !others.is_empty() {
            parts.push(format!("{} {how}", listed(&others)));
        }
    }
    parts.join("; ")
}

/// What a unit of a variant is; `None` where its sizes are numbers of jobs.
pub fn unit_line(verdict: &Verdict) -> Option<String> {
    unit_words(&verdict.kind, &verdict.variant).map(|words| format!("1 unit is {words}"))
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(names: &[String]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        _ => names.concat(),
    }
}

/// Why that is so, from what was measured; `None` where there is nothing to choose from.
pub fn why_line(verdict: &Verdict, devices: &[DeviceDescription]) -> Option<String> {
    let choice = &verdict.choice;
    if choice.segments.is_empty() {
        return None;
    }
    let mut parts: Vec<String> = choice.because.iter().map(|because| reason(choice, because, devices)).collect();
    if parts.is_empty() {
        parts.push("no place is faster than another by 5 % or more, as far as can be told".to_owned());
    }
    Some(parts.join("; "))
}

fn reason(choice: &Choice, because: &Because, devices: &[DeviceDescription]) -> String {
    let units = whole(because.units);
    let at = if choice.is_of_jobs { format!("with {units} jobs:") } else { format!("at {units}:") };
    let [best, other] = [because.best, because.other].map(|place| name(place, devices));
    let [best_ms, other_ms] = [because.best_ms, because.other_ms].map(time_ms);
    let is = if is_many(because.best) { "are" } else { "is" };
    let done = format!("{best} {is} done in {best_ms}");
    match because.reason {
        None => format!("{at} {best} {is} {:.2}x as fast as {other}", because.other_ms / because.best_ms),
        Some(Reason::Software) => {
            format!("{at} {other} takes {other_ms}, {best} {best_ms}: its shaders run on the CPU's own cores")
        }
        Some(Reason::Shared) => {
            format!("{at} {other} takes {other_ms}, {best} {best_ms}: handing out its parts costs more than it saves")
        }
        Some(Reason::FixedCost { least_ms }) => {
            let with = if because.other.0.is_gpu() { "handing it over and back" } else { "handing it out" };
            format!("{at} {done}, and any job takes {} or more on {other}, {with}", time_ms(least_ms))
        }
        Some(Reason::Upload { upload_ms }) => {
            let share = percent(upload_ms / because.other_ms);
            format!("{at} {share} of {other}'s {other_ms} move the input there, and {done}")
        }
        Some(Reason::Setup { setup_ms }) => {
            format!("{at} {other} is set up for {} each time, and {done}", time_ms(setup_ms))
        }
        Some(Reason::Readback { readback_ms }) => {
            format!("{at} bringing back {other}'s results takes {}, and {done}", time_ms(readback_ms))
        }
        Some(Reason::Compute { compute_ms }) => {
            format!("{at} {other} computes for {}, and {done}", time_ms(compute_ms))
        }
        Some(Reason::Sum { compute_ms, upload_ms }) => format!(
            "{at} {other} takes {other_ms} ({} to move the input there, {} to compute), {best} {best_ms}",
            time_ms(upload_ms),
            time_ms(compute_ms)
        ),
    }
}

/// All variants over sizes.
pub(super) struct Grid {
    /// `variant`, and each size.
    pub head: Vec<String>,
    /// A variant, and what to use at each size; empty where it was not measured.
    pub rows: Vec<Vec<String>>,
}

impl Grid {
    /// Of all variants that have sizes; `None` where there is none of these.
    pub fn of(verdicts: &[Verdict], devices: &[DeviceDescription]) -> Option<Self> {
        let sized: Vec<&Verdict> =
            verdicts.iter().filter(|verdict| !verdict.choice.is_of_jobs && !verdict.choice.sizes.is_empty()).collect();
        let mut sizes: Vec<u64> =
            sized.iter().flat_map(|verdict| verdict.choice.sizes.iter().map(|size| size.units)).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let row = |verdict: &&Verdict| {
            let cell = |units: &u64| {
                let size = verdict.choice.sizes.iter().find(|size| size.units == *units);
                size.map_or_else(String::new, |size| {
                    let tie = if size.ties.is_empty() { "" } else { "tie, " };
                    format!("{tie}{}", name((size.place, size.lanes), devices))
                })
            };
            let about = format!("{} {}", verdict.kind, verdict.variant);
            std::iter::once(about).chain(sizes.iter().map(cell)).collect()
        };
        (!sizes.is_empty()).then(|| Self {
            head: std::iter::once("fastest at".to_owned()).chain(sizes.iter().map(|units| whole(*units))).collect(),
            rows: sized.iter().map(row).collect(),
        })
    }
}

/// What to use for every variant: a table over sizes, as wide as several of them, and a line each where there are several.
pub fn guide_text(verdicts: &[Verdict], devices: &[DeviceDescription], style: Style) -> String {
    let mut text = format!("{}\n", style.strong("What to use"));
    if let Some(grid) = Grid::of(verdicts, devices) {
        let columns: Vec<usize> = (1..grid.head.len()).collect();
        for part in columns.chunks(COLUMNS) {
            let pick = |cells: &[String]| -> Vec<String> {
                std::iter::once(0).chain(part.iter().copied()).map(|at| cells[at].clone()).collect()
            };
            let head: Vec<(String, Align)> = pick(&grid.head).into_iter().map(|name| (name, Align::Left)).collect();
            let mut table = Table::new(&head);
            grid.rows.iter().for_each(|row| table.row(pick(row)));
            text += &table.render("  ", style);
        }
        if grid.rows.iter().flatten().any(|cell| cell.starts_with("tie, ")) {
            text += &format!("  {}\n", style.faint(TIE));
        }
    }
    if verdicts.len() > 1 {
        for verdict in verdicts {
            let about = style.strong(&format!("{} {}", verdict.kind, verdict.variant));
            text += &format!("{about}: use {}\n", use_line(verdict, devices));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Row, examples};

    const GPU: Place = Place::Gpu(0);

    /// A verdict on rows with the medians of one thread, eight threads, a GPU and a split.
    fn verdict(kind: &str, times: &[(u64, [f64; 4])]) -> Verdict {
        let row = |&(units, medians): &(u64, [f64; 4])| {
            let times: Vec<_> = [Place::Thread, Place::Cpu, GPU, Place::Split].into_iter().zip(medians).collect();
            examples::row(kind, "f32", units, &times)
        };
        Verdict::of(&times.iter().map(row).collect::<Vec<Row>>(), &examples::report().machine.devices).unwrap()
    }

    fn lines(verdict: &Verdict) -> (String, String) {
        let devices = examples::report().machine.devices;
        (use_line(verdict, &devices), why_line(verdict, &devices).unwrap())
    }

    #[test]
    fn a_line_says_which_place_to_use_at_which_size_and_another_why() {
        let found = verdict(
            "stats",
            &[
                (100, [1.0, 4.0, 16.0, 20.0]),
                (10_000, [100.0, 25.0, 30.0, 33.0]),
                (1_000_000, [10_000.0, 2_500.0, 500.0, 499.0]),
            ],
        );
        let (used, why) = lines(&found);
        assert_eq!(
            used,
            "1 thread below about 1,000; 8 threads to about 16,000; gpu:0 from there; split no clear gain"
        );
        assert_eq!(
            why,
            "at 100: 1 thread is done in 1.00 ms, and any job takes 4.00 ms or more on 8 threads, handing it out; at 10,000: 8 threads \
             are 4.00x as fast as 1 thread; at 10,000: gpu:0 takes 30.0 ms (7.50 ms to move the input there, 22.5 ms to compute), \
             8 threads 25.0 ms; at 10,000: split takes 33.0 ms, 8 threads 25.0 ms: handing out its parts costs more than it saves; \
             at 1,000,000: gpu:0 is 5.00x as fast as 8 threads"
        );
    }

    #[test]
    fn a_gpu_that_is_never_to_be_used_has_its_reason() {
        let (used, why) = lines(&verdict("stats", &[(100, [4.0, 1.0, 8.0, 20.0]), (1000, [40.0, 10.0, 60.0, 12.0])]));
        assert_eq!(used, "8 threads at every size measured, 100 to 1,000; 1 thread, gpu:0 and split slower");
        assert!(
            why.contains("at 1,000: 25 % of gpu:0's 60.0 ms move the input there, and 8 threads are done in 10.0 ms"),
            "{why}"
        );
    }
}
