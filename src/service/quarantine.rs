//! The jobs that the process ended under, when it starts again: one of them may be why. Pure.
//!
//! Those are begun in groups, one group after the other, and those under which it has ended twice one by one with nothing
//! beside, before all others: so that in the end the one to blame has been alone, and the others have got through.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

/// A job is dead once the process has ended under it so often.
pub(super) const CRASHES_MAX: u32 = 3;

/// So many jobs are suspected together. Were it ended under them once more, each of them would have to be alone.
const GROUP: usize = 8;

/// So long others wait for one that has to be alone, and the next group for the one before.
const PATIENCE: Duration = Duration::from_secs(60);
const GROUPS_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Stage {
    jobs: Vec<u64>,
    is_alone: bool,
}

/// Suspected jobs, as they are begun.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    stages: VecDeque<Stage>,
    under_way: HashSet<u64>,
    /// Those of them that were made ready meanwhile, or could not be begun: it is their turn again.
    again: Vec<u64>,
    is_alone: bool,
    since: Duration,
}

/// What may be begun now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Permitted {
    /// These suspects, and `others` too where that is set.
    Suspects { jobs: Vec<u64>, others: bool },
    /// Nothing: one runs alone.
    Nobody,
    /// Whatever is not suspected.
    Others,
}

impl Quarantine {
    /// One for these jobs, each with how often the process has ended under it, once at least.
    pub fn new(suspects: impl IntoIterator<Item = (u64, u32)>) -> Self {
        let (alone, together): (Vec<_>, Vec<_>) = suspects.into_iter().partition(|(_, crashes)| *crashes > 1);
        let together: Vec<u64> = together.into_iter().map(|(seq, _)| seq).collect();
        let mut stages: VecDeque<Stage> =
            alone.into_iter().map(|(seq, _)| Stage { jobs: vec![seq], is_alone: true }).collect();
        stages.extend(together.chunks(GROUP).map(|jobs| Stage { jobs: jobs.to_vec(), is_alone: false }));
        Self { stages, ..Self::default() }
    }

    /// What may be begun.
    pub fn next(&mut self, now: Duration) -> Permitted {
        if !self.again.is_empty() {
            // Those that wait for them have their patience from here on: they have not run.
            self.since = now;
            return Permitted::Suspects { jobs: std::mem::take(&mut self.again), others: !self.is_alone };
        }
        let is_patient = !self.under_way.is_empty() && now.saturating_sub(self.since) < self.patience();
        if is_patient {
            return if self.is_alone { Permitted::Nobody } else { Permitted::Others };
        }
        self.under_way.clear();
        let Some(Stage { jobs, is_alone }) = self.stages.pop_front() else { return Permitted::Others };
        self.under_way = jobs.iter().copied().collect();
        (self.is_alone, self.since) = (is_alone, now);
        Permitted::Suspects { jobs, others: !is_alone }
    }

    /// A job has ended, or is not to be begun any more.
    pub fn ended(&mut self, seq: u64) {
        self.under_way.remove(&seq);
        self.again.retain(|job| *job != seq);
        for stage in &mut self.stages {
            stage.jobs.retain(|job| *job != seq);
        }
        self.stages.retain(|stage| !stage.jobs.is_empty());
    }

    /// Whether it is one of those that were permitted last.
    pub fn is_under_way(&self, seq: u64) -> bool {
        self.under_way.contains(&seq)
    }

    /// Some of those that were permitted last could not be begun, or not yet: it is their turn again, before all others.
    pub fn put_back(&mut self, jobs: impl IntoIterator<Item = u64>) {
        self.again.splice(0..0, jobs);
    }

    /// When it has to be asked again though nothing has ended; `None` where nobody waits.
    pub fn due(&self) -> Option<Duration> {
        let waits = !self.under_way.is_empty() && (self.is_alone || !self.stages.is_empty());
        waits.then_some(self.since + self.patience())
    }

    fn patience(&self) -> Duration {
        if self.is_alone { PATIENCE } else { GROUPS_PATIENCE }
    }

    /// Whether nothing that has just come may begin at once: one is alone, or some have found no room yet.
    pub fn is_waited_for(&self) -> bool {
        self.due().is_some() || !self.again.is_empty() || !self.stages.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(5);

    #[test]
    fn who_was_there_twice_runs_alone_and_first_the_others_in_groups() {
        let mut quarantine = Quarantine::new((0..17).map(|seq| (seq, if seq == 16 { 2 } else { 1 })));
        assert_eq!(quarantine.next(NOW), Permitted::Suspects { jobs: vec![16], others: false });
        assert_eq!(quarantine.next(NOW), Permitted::Nobody);
        quarantine.ended(16);
        let first: Vec<u64> = (0..8).collect();
        assert_eq!(quarantine.next(NOW), Permitted::Suspects { jobs: first.clone(), others: true });
        assert_eq!(quarantine.next(NOW), Permitted::Others);
        first.iter().for_each(|seq| quarantine.ended(*seq));
        quarantine.ended(15);
        assert_eq!(quarantine.next(NOW), Permitted::Suspects { jobs: (8..15).collect(), others: true });
        assert_eq!((quarantine.next(NOW), quarantine.due()), (Permitted::Others, None));
    }

    #[test]
    fn those_of_a_group_that_are_ready_later_wait_for_nobody() {
        let mut quarantine = Quarantine::new((1..=9).map(|seq| (seq, 1)));
        assert_eq!(quarantine.next(NOW), Permitted::Suspects { jobs: (1..=8).collect(), others: true });
        quarantine.put_back([3]);
        quarantine.put_back([4, 5]);
        quarantine.ended(4);
        assert_eq!(quarantine.next(NOW), Permitted::Suspects { jobs: vec![5, 3], others: true });
        assert_eq!(quarantine.next(NOW), Permitted::Others, "the next group waits for all of this one");
        let mut alone = Quarantine::new([(7, 2)]);
        alone.next(NOW);
        alone.put_back([7]);
        assert_eq!(alone.next(NOW), Permitted::Suspects { jobs: vec![7], others: false });
        assert_eq!(alone.next(NOW), Permitted::Nobody);
    }

    #[test]
    fn one_that_could_not_be_begun_is_alone_however_long_that_was() {
        let mut quarantine = Quarantine::new([(7, 2), (8, 2)]);
        assert_eq!(quarantine.next(NOW), Permitted::Suspects { jobs: vec![7], others: false });
        quarantine.put_back([7]);
        let later = NOW + PATIENCE * 2;
        assert_eq!(quarantine.next(later), Permitted::Suspects { jobs: vec![7], others: false });
        assert_eq!(quarantine.next(later), Permitted::Nobody, "it has only just begun");
        quarantine.ended(7);
        assert_eq!(quarantine.next(later), Permitted::Suspects { jobs: vec![8], others: false });
    }

    #[test]
    fn a_group_is_waited_for_for_a_shorter_time() {
        let mut quarantine = Quarantine::new((1..=9).map(|seq| (seq, 1)));
        assert!(matches!(quarantine.next(NOW), Permitted::Suspects { .. }));
        assert_eq!(quarantine.due(), Some(NOW + GROUPS_PATIENCE));
        assert_eq!(quarantine.next(NOW), Permitted::Others);
        assert_eq!(quarantine.next(NOW + GROUPS_PATIENCE), Permitted::Suspects { jobs: vec![9], others: true });
        assert!(!quarantine.is_waited_for());
        quarantine.put_back([9]);
        assert!(quarantine.is_waited_for(), "it goes before what comes now");
    }

    #[test]
    fn one_that_takes_long_holds_the_others_up_for_a_minute() {
        let mut quarantine = Quarantine::new([(7, 2)]);
        assert!(matches!(quarantine.next(NOW), Permitted::Suspects { .. }));
        assert_eq!(quarantine.due(), Some(NOW + PATIENCE));
        assert_eq!(quarantine.next(NOW + PATIENCE - Duration::from_millis(1)), Permitted::Nobody);
        assert_eq!(quarantine.next(NOW + PATIENCE), Permitted::Others);
    }
}
