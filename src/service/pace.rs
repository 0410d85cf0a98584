//! How many jobs came to each state in the last minutes, step by step. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::journal::State;

/// How long a step is.
pub(super) const STEP: Duration = Duration::from_secs(5);

/// So many whole steps are remembered: five minutes.
pub(super) const STEPS: usize = 60;

/// How many came to each state, in the order of [`State::ALL`].
pub(super) type Counts = [u32; State::ALL.len()];

/// The last steps. Times count from its begin.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The last of them is that of `last`.
    steps: VecDeque<Counts>,
    last: u64,
}

fn step_of(now: Duration) -> u64 {
    now.as_secs() / STEP.as_secs()
}

impl Pace {
    /// A job is in this state now.
    pub fn note(&mut self, now: Duration, state: State) {
        let step = step_of(now).max(self.last);
        if self.steps.is_empty() {
            self.steps.push_back(Counts::default());
        } else if step - self.last > STEPS as u64 {
            self.steps.clear();
            self.steps.push_back(Counts::default());
        } else {
            self.steps.extend((self.last..step).map(|_| Counts::default()));
            // One more than is told of: the step that is not over.
            let too_many = self.steps.len().saturating_sub(STEPS + 1);
            self.steps.drain(..too_many);
        }
        self.last = step;
        if let Some(counts) = self.steps.back_mut() {
            counts[state as usize] = counts[state as usize].saturating_add(1);
        }
    }

    /// The last whole steps, the oldest first: as many as have passed since the begin, and [`STEPS`] at most.
    pub fn whole_steps(&self, now: Duration) -> Vec<Counts> {
        let step = step_of(now).max(self.last);
        let first = step.saturating_sub(STEPS as u64);
        let known_from = (self.last + 1) - self.steps.len() as u64;
        let at = |step: u64| step.checked_sub(known_from).and_then(|at| self.steps.get(at as usize));
        (first..step).map(|step| at(step).copied().unwrap_or_default()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(pace: &Pace, now_s: u64) -> Vec<u32> {
        pace.whole_steps(Duration::from_secs(now_s)).iter().map(|counts| counts[State::Queued as usize]).collect()
    }

    #[test]
    fn steps_that_are_over_are_told_of_and_those_without_a_job_too() {
        let mut pace = Pace::default();
        assert_eq!(queued(&pace, 4), [0; 0]);
        assert_eq!(queued(&pace, 12), [0, 0]);
        for second in [6, 7, 9, 21, 22] {
            pace.note(Duration::from_secs(second), State::Queued);
        }
        pace.note(Duration::from_secs(22), State::Failed);
        assert_eq!(queued(&pace, 24), [0, 3, 0, 0], "the step that is not over counts later");
        assert_eq!(queued(&pace, 31), [0, 3, 0, 0, 2, 0]);
        assert_eq!(pace.whole_steps(Duration::from_secs(25))[4][State::Failed as usize], 1);
    }

    #[test]
    fn what_is_long_ago_is_forgotten_and_a_clock_that_goes_back_does_no_harm() {
        let mut pace = Pace::default();
        for second in 0..1000 {
            pace.note(Duration::from_secs(second), State::Queued);
        }
        assert_eq!(queued(&pace, 1000), [5; STEPS]);
        assert!(pace.steps.len() <= STEPS + 1);
        pace.note(Duration::from_secs(3), State::Queued);
        assert_eq!(queued(&pace, 1000)[STEPS - 1], 6);
        pace.note(Duration::from_secs(100_000), State::Queued);
        assert_eq!(queued(&pace, 100_000), [0; STEPS]);
        assert_eq!(queued(&pace, 100_005)[STEPS - 1], 1);
        assert_eq!(queued(&pace, 900_000), [0; STEPS]);
    }
}
