//! How far a run has come, on one line.

use std::time::Duration;

use crate::report::Style;
use crate::report::figures::{bytes, rate, time, whole};

/// The narrowest and the widest bar, in cells.
const BAR_CELLS: std::ops::RangeInclusive<usize> = 8..=40;

/// What a bar has beside its cells: `[]  `.
const BAR_FRAME: usize = 4;

/// What a bar's line tells, from what is left out first to what always stands there.
const MEMORY: u8 = 0;
const RATES: u8 = 1;
const RUNNING: u8 = 2;
const RATE: u8 = 3;
const END: u8 = 4;
const FAILED: u8 = 5;
const COUNTS: u8 = 6;

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Jobs of the run, where that is known.
    pub total: Option<u64>,
    /// Those that have ended.
    pub done: u64,
    /// Those of these that did not succeed.
    pub failed: u64,
    /// Those that run just now.
    pub running: u64,
    /// Jobs per second, by device: those of late.
    pub rates: Vec<(String, f64)>,
    /// Bytes of memory in use, and of all memory.
    pub memory: Option<(u64, u64)>,
    /// How long the run has lasted.
    pub elapsed: Duration,
    /// How long it will go on, if it goes on as it did of late.
    pub left: Option<Duration>,
}

impl Progress {
    /// How much of it is done, 0 to 1.
    fn share(&self) -> Option<f64> {
        let total = self.total.filter(|total| *total >= self.done)?;
        Some(if total == 0 { 1.0 } else { self.done as f64 / total as f64 })
    }

    fn counts(&self) -> String {
        match self.total.filter(|total| *total >= self.done) {
            Some(total) => format!("{} of {}", whole(self.done), whole(total)),
            None => format!("{} done", whole(self.done)),
        }
    }

    fn rates(&self) -> Option<String> {
        match &self.rates[..] {
            [] => None,
            [(_, one)] => Some(rate(*one)),
            several => Some(
                several.iter().map(|(name, each)| format!("{name} {}", rate(*each))).collect::<Vec<_>>().join(" + "),
            ),
        }
    }

    fn all_rates(&self) -> Option<String> {
        (!self.rates.is_empty()).then(|| rate(self.rates.iter().map(|(_, each)| each).sum()))
    }

    fn ends(&self) -> String {
        match self.left {
            Some(left) => format!("{} left", about(left)),
            None => about(self.elapsed),
        }
    }
}

/// A time in whole seconds: a figure that changes several times a second is not to jump.
fn about(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round();
    if seconds < 60.0 { format!("{seconds:.0} s") } else { time(Duration::from_secs_f64(seconds)) }
}

/// `[####      ]  40 %  400 of 1,000, 3 failed, 2 running, 12.3 /s, 3.10 GiB of 16.0 GiB, 45 s left`, no wider than `width`: what
/// matters least is left out first.
pub fn progress_bar(progress: &Progress, width: usize, style: Style) -> String {
    let failed = (progress.failed > 0).then(|| format!("{} failed", whole(progress.failed)));
    let running = format!("{} running", whole(progress.running));
    let memory = progress.memory.map(|(used, all)| format!("{} of {}", bytes(used), bytes(all)));
    // In the order in which they stand, each with how soon it is left out.
    let mut parts: Vec<(u8, String)> = vec![(COUNTS, progress.counts())];
    parts.extend(failed.map(|text| (FAILED, text)));
    parts.push((RUNNING, running));
    parts.extend(progress.rates().map(|text| (if progress.rates.len() > 1 { RATES } else { RATE }, text)));
    parts.extend(memory.map(|text| (MEMORY, text)));
    parts.push((END, progress.ends()));
    let share = progress.share();
    let percent = share.map_or_else(String::new, |share| format!("{:>3.0} %  ", (share * 100.0).floor()));
    loop {
        let text = percent.clone() + &parts.iter().map(|(_, part)| part.as_str()).collect::<Vec<_>>().join(", ");
        let room = width.checked_sub(text.chars().count());
        let cells = room.and_then(|room| room.checked_sub(BAR_FRAME)).filter(|cells| cells >= BAR_CELLS.start());
        let least = parts.iter().map(|(rank, _)| *rank).min().unwrap_or(COUNTS);
        match (share, cells) {
            (Some(share), Some(cells)) => {
                return bar(share, cells.min(*BAR_CELLS.end()), progress.failed > 0, style) + &text;
            }
            // The bar goes before what it does not tell.
            (None, _) | (Some(_), None) if room.is_some() && (share.is_none() || least >= END) => return text,
            _ if least == COUNTS => return text.chars().take(width).collect(),
            _ => {}
        }
        if least == RATES {
            // Rather the rate of all devices together than none.
            for part in parts.iter_mut().filter(|(rank, _)| *rank == RATES) {
                *part = (RATE, progress.all_rates().unwrap_or_default());
            }
        } else {
            parts.retain(|(rank, _)| *rank != least);
        }
    }
}

/// `[###   ]  `, of so many cells.
fn bar(share: f64, cells: usize, some_failed: bool, style: Style) -> String {
    let full = ((share * cells as f64).floor() as usize).min(cells);
    let filled = "#".repeat(full);
    let filled = match (full, some_failed) {
        (0, _) => filled,
        (_, true) => style.bad(&filled),
        (_, false) => style.good(&filled),
    };
    format!("[{filled}{}]  ", style.faint(&"-".repeat(cells - full)))
}

/// The same as a line of a log: `progress: 400 of 1,000 jobs (40 %), 3 failed, 2 running, 12.3 /s, 45 s left`.
pub fn progress_line(progress: &Progress) -> String {
    let mut parts = vec![match progress.share() {
        Some(share) => format!("{} jobs ({:.0} %)", progress.counts(), (share * 100.0).floor()),
        None => format!("{} jobs done", whole(progress.done)),
    }];
    parts.push(format!("{} failed", whole(progress.failed)));
    if progress.running > 0 {
        parts.push(format!("{} running", whole(progress.running)));
    }
    parts.extend(progress.rates());
    parts.extend(progress.memory.map(|(used, all)| format!("{} of {} of memory", bytes(used), bytes(all))));
    parts.push(format!("after {}", time(progress.elapsed)));
    parts.extend(progress.left.map(|left| format!("{} left", about(left))));
    format!("progress: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn half_way() -> Progress {
        Progress {
            total: Some(1000),
            done: 405,
            failed: 3,
            running: 2,
            rates: vec![("cpu".to_owned(), 12.34)],
            memory: Some((3 << 30, 16 << 30)),
            elapsed: Duration::from_secs(30),
            left: Some(Duration::from_millis(45_200)),
        }
    }

    #[test]
    fn a_bar_tells_what_there_is_room_for_and_the_counts_to_the_last() {
        let at = |width| progress_bar(&half_way(), width, Style::PLAIN);
        for (width, expected) in [
            (
                130,
                "[################------------------------]   40 %  405 of 1,000, 3 failed, 2 running, 12.3 /s, 3.00 GiB of 16.0 GiB, 45 s left",
            ),
            (
                100,
                "[#####---------]   40 %  405 of 1,000, 3 failed, 2 running, 12.3 /s, 3.00 GiB of 16.0 GiB, 45 s left",
            ),
            (80, "[######----------]   40 %  405 of 1,000, 3 failed, 2 running, 12.3 /s, 45 s left"),
            (60, "[######----------]   40 %  405 of 1,000, 3 failed, 45 s left"),
            (45, " 40 %  405 of 1,000, 3 failed, 45 s left"),
            (30, " 40 %  405 of 1,000, 3 failed"),
            (20, " 40 %  405 of 1,000"),
            (5, " 40 %"),
        ] {
            let bar = at(width);
            assert!(bar.chars().count() <= width, "{bar}");
            assert_eq!(bar, expected, "{width}");
        }
    }

    #[test]
    fn devices_have_a_rate_each_and_where_there_is_no_room_one_together() {
        let rates = vec![("cpu".to_owned(), 10.0), ("gpu:0".to_owned(), 40.0)];
        let progress = Progress { rates, memory: None, failed: 0, ..half_way() };
        let bar = progress_bar(&progress, 100, Style::PLAIN);
        assert!(bar.ends_with("405 of 1,000, 2 running, cpu 10.0 /s + gpu:0 40.0 /s, 45 s left"), "{bar}");
        let bar = progress_bar(&progress, 70, Style::PLAIN);
        assert!(bar.ends_with("405 of 1,000, 2 running, 50.0 /s, 45 s left"), "{bar}");
    }

    #[test]
    fn without_a_total_there_is_no_bar_and_no_end_in_sight() {
        let unknown = Progress { total: None, left: None, memory: None, ..half_way() };
        assert_eq!(progress_bar(&unknown, 80, Style::PLAIN), "405 done, 3 failed, 2 running, 12.3 /s, 30 s");
        // A count that turned out too low is none.
        let wrong = Progress { total: Some(400), ..unknown };
        assert_eq!(progress_bar(&wrong, 80, Style::PLAIN), "405 done, 3 failed, 2 running, 12.3 /s, 30 s");
    }

    #[test]
    fn a_line_of_a_log_tells_the_same() {
        assert_eq!(
            progress_line(&half_way()),
            "progress: 405 of 1,000 jobs (40 %), 3 failed, 2 running, 12.3 /s, 3.00 GiB of 16.0 GiB of memory, after \
             30.0 s, 45 s left"
        );
        let end = Progress { total: None, running: 0, memory: None, left: None, rates: vec![], ..half_way() };
        assert_eq!(progress_line(&end), "progress: 405 jobs done, 3 failed, after 30.0 s");
    }

    #[test]
    fn a_bar_is_red_once_something_has_failed() {
        let style = Style { colour: true };
        let bar = progress_bar(&half_way(), 80, style);
        assert!(bar.starts_with("[\u{1b}[31m##"), "{bar:?}");
        let bar = progress_bar(&Progress { failed: 0, ..half_way() }, 80, style);
        assert!(bar.starts_with("[\u{1b}[32m##"), "{bar:?}");
    }

    proptest! {
        #[test]
        fn no_bar_is_wider_than_its_terminal(
            width in 0_usize..200, done: u64, failed: u64, total: Option<u64>, devices in 0_usize..4, left: Option<u32>,
        ) {
            let progress = Progress {
                total, done, failed, running: 1,
                rates: (0..devices).map(|at| (format!("gpu:{at}"), done as f64)).collect(),
                memory: Some((done, failed)),
                elapsed: Duration::from_secs(failed % 1_000_000),
                left: left.map(|left| Duration::from_secs(left.into())),
            };
            let bar = progress_bar(&progress, width, Style::PLAIN);
            prop_assert!(bar.chars().count() <= width, "{} {width}", bar);
        }
    }
}
