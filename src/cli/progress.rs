//! `--progress`: a bar on a terminal, lines elsewhere, by a thread of its own.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::cli::status_line;
use crate::cli::terminal::{stderr_style, tell};
use crate::cli::total::Total;
use crate::device::memory_use;
use crate::engine::{Outcome, RanOn};
use crate::report::{Pace, Progress, progress_bar, progress_line, time_left};
use crate::results::Watcher;
use crate::runner::Runner;

/// How often a bar is redrawn.
const REDRAW: Duration = Duration::from_millis(200);

/// How often a line is written: at first, and once a run has lasted for long.
const LINE: Duration = Duration::from_secs(10);
const LATE_LINE: Duration = Duration::from_secs(60);
const LATE: Duration = Duration::from_secs(600);

/// Columns of a terminal that does not tell.
const USUAL_COLUMNS: u16 = 80;

/// Shows how far a run has come, until it is dropped.
pub(super) struct ProgressShown {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    counts: Mutex<Counts>,
    ended: Condvar,
    total: Total,
    runner: Weak<Runner>,
    begun: Instant,
    is_bar: bool,
}

#[derive(Default)]
struct Counts {
    failed: u64,
    /// Jobs that an earlier run had finished.
    kept: u64,
    /// Jobs that ended, by where they ran.
    ended: Vec<(RanOn, u64)>,
    is_over: bool,
}

impl ProgressShown {
    /// Begins to show. Where there is no thread for it, nothing is shown.
    pub fn begin(runner: &Arc<Runner>, total: Total) -> Self {
        // A terminal that cannot move its cursor gets lines, as a file does.
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let shared = Arc::new(Shared {
            counts: Mutex::default(),
            ended: Condvar::new(),
            total,
            runner: Arc::downgrade(runner),
            begun: Instant::now(),
            is_bar: io::stderr().is_terminal() && !is_dumb,
        });
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.show()
        });
        Self { shared, thread: thread.ok() }
    }

    /// How many jobs the run has.
    pub fn total(&self) -> &Total {
        &self.shared.total
    }

    /// Who counts what is shown.
    pub fn watcher(&self) -> Arc<dyn Watcher> {
        self.shared.clone()
    }
}

impl Drop for ProgressShown {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.ended.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Watcher for Shared {
    fn note(&self, outcomes: &[Outcome], _ended: SystemTime) {
        let mut counts = self.lock();
        for outcome in outcomes {
            counts.failed += u64::from(outcome.result.as_ref().is_err_and(|error| error.cause.is_failure()));
            match counts.ended.iter_mut().find(|(place, _)| *place == outcome.ran_on) {
                Some((_, count)) => *count += 1,
                None => counts.ended.push((outcome.ran_on, 1)),
            }
        }
    }

    fn note_kept(&self) {
        self.lock().kept += 1;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        // What it guards is whole after every statement.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of the thread.
    fn show(&self) {
        let mut pace = Pace::default();
        loop {
            let period = match self.begun.elapsed() {
                _ if self.is_bar => REDRAW,
                elapsed if elapsed < LATE => LINE,
                _ => LATE_LINE,
            };
            let counts = self.ended.wait_timeout_while(self.lock(), period, |counts| !counts.is_over);
            let is_over = counts.unwrap_or_else(PoisonError::into_inner).0.is_over;
            let progress = self.progress(&mut pace, is_over);
            if is_over && self.is_bar {
                status_line::remove();
            }
            if self.is_bar && !is_over {
                status_line::show(progress_bar(&progress, columns(), stderr_style()));
            } else {
                tell(progress_line(&progress));
            }
            if is_over {
                return;
            }
        }
    }

    fn progress(&self, pace: &mut Pace, is_over: bool) -> Progress {
        let (failed, kept, ended) = {
            let counts = self.lock();
            (counts.failed, counts.kept, counts.ended.clone())
        };
        let elapsed = self.begun.elapsed();
        let by_device: Vec<u64> = ended.iter().map(|(_, count)| *count).collect();
        let done = kept + by_device.iter().sum::<u64>();
        if is_over {
            // In the end the pace of the whole run is what one wants to know.
            *pace = Pace::default();
        } else {
            pace.note(elapsed, &by_device);
        }
        let rates = pace.rates(elapsed, &by_device);
        let per_second = rates.iter().sum();
        let total = self.total.known();
        let left = total.filter(|total| !is_over && done > 0 && *total >= done);
        let running = self.runner.upgrade().map_or(0, |runner| runner.engine().running_jobs());
        Progress {
            total,
            done,
            failed,
            running: running as u64,
            rates: ended
                .iter()
                .zip(rates)
                .filter(|((place, _), _)| *place != RanOn::Nowhere)
                .map(|((place, _), rate)| (place.to_string(), rate))
                .collect(),
            memory: memory_use().filter(|_| !is_over),
            elapsed,
            left: left.and_then(|total| time_left(total - done, per_second)),
        }
    }
}

/// How many columns a bar has; the last stays free, where some terminals begin another line.
fn columns() -> usize {
    let width = terminal_size::terminal_size_of(io::stderr()).map_or(USUAL_COLUMNS, |(width, _)| width.0);
    usize::from(width).saturating_sub(1)
}
