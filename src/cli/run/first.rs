//! `--first N`: the first jobs of a run alone, and looked at closely, before the others begin.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::cli::terminal::{stderr_style, tell};
use crate::engine::Outcome;
use crate::report::figures::counted;
use crate::report::{explain, whole_result};
use crate::results::Watcher;

/// How long one look waits.
const LOOK: Duration = Duration::from_millis(5);

/// What is to be done about the next job of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// It may begin.
    Open,
    /// The first ones have not ended; a moment was waited.
    Closed,
    /// One of the first has not succeeded: the rest is not to be run.
    Shut,
}

/// The first jobs of a run, and how far they have come.
pub(super) struct First {
    count: u64,
    /// Whether they are explained by somebody else.
    explained: bool,
    /// Whether they are over and the rest runs; then nothing else is looked at.
    is_over: AtomicBool,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    read: u64,
    ended: u64,
    failed: u64,
}

impl First {
    /// So many jobs; where `explained`, somebody else tells why they run where they run.
    pub fn new(count: u64, explained: bool) -> Self {
        Self { count, explained, is_over: AtomicBool::new(false), state: Mutex::default(), ended: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What it guards is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next job of the file may begin.
    pub fn gate(&self) -> Gate {
        if self.is_over.load(Ordering::Acquire) {
            return Gate::Open;
        }
        let mut state = self.lock();
        if state.read < self.count {
            return Gate::Open;
        }
        if state.ended < self.count {
            let waited = self.ended.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
            if state.ended < self.count {
                return Gate::Closed;
            }
        }
        if state.failed > 0 {
            return Gate::Shut;
        }
        self.is_over.store(true, Ordering::Release);
        tell(format_args!("{} succeeded: going on with the rest", self.named()));
        Gate::Open
    }

    /// A job of the file was read.
    pub fn took_one(&self) {
        if !self.is_over.load(Ordering::Acquire) {
            self.lock().read += 1;
        }
    }

    /// Why the rest was not run; `None` where it may have been.
    pub fn refusal(&self) -> Option<String> {
        let state = self.lock();
        let is_shut = state.read >= self.count && state.ended >= self.count && state.failed > 0;
        let how = if self.count == 1 { "did not succeed" } else { "did not all succeed" };
        is_shut.then(|| format!("{} {how}", self.named()))
    }

    fn named(&self) -> String {
        match self.count {
            1 => "the first job".to_owned(),
            count => format!("the first {}", counted(count, "job", "jobs")),
        }
    }
}

impl Watcher for First {
    fn note(&self, outcomes: &[Outcome], _ended: SystemTime) {
        if self.is_over.load(Ordering::Acquire) {
            return;
        }
        let style = stderr_style();
        for outcome in outcomes {
            let mut text = if self.explained { String::new() } else { explain(outcome, style) };
            text += &whole_result(outcome, style);
            if !text.is_empty() {
                tell(text.trim_end());
            }
        }
        let mut state = self.lock();
        state.ended += outcomes.len() as u64;
        state.failed += outcomes.iter().filter(|outcome| outcome.result.is_err()).count() as u64;
        self.ended.notify_one();
    }

    fn note_kept(&self) {
        if !self.is_over.load(Ordering::Acquire) {
            self.lock().ended += 1;
            self.ended.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::{failed, succeeded};

    fn take(first: &First, count: usize) {
        for _ in 0..count {
            assert_eq!(first.gate(), Gate::Open);
            first.took_one();
        }
    }

    #[test]
    fn the_gate_closes_behind_the_first_and_opens_once_they_have_succeeded() {
        let first = First::new(2, true);
        take(&first, 2);
        assert_eq!(first.gate(), Gate::Closed);
        first.note(&[succeeded()], SystemTime::now());
        assert_eq!(first.gate(), Gate::Closed);
        first.note(&[succeeded()], SystemTime::now());
        take(&first, 10);
        first.note(&[failed()], SystemTime::now());
        assert_eq!((first.gate(), first.refusal()), (Gate::Open, None), "what fails later is no matter of the first");
    }

    #[test]
    fn one_failure_among_the_first_shuts_it_when_all_of_them_have_ended() {
        let first = First::new(2, true);
        take(&first, 2);
        first.note(&[failed()], SystemTime::now());
        assert_eq!((first.gate(), first.refusal()), (Gate::Closed, None));
        first.note(&[succeeded()], SystemTime::now());
        assert_eq!(first.gate(), Gate::Shut);
        assert_eq!(first.refusal().unwrap(), "the first 2 jobs did not all succeed");
    }
}
