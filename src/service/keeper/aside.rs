//! What is done on threads of their own, since it takes a while, and nobody is to wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::engine::catch;
use crate::job::{Cause, JobError};
use crate::journal::{JournalError, State};
use crate::service::keeper::Keeper;

/// A job that is just about to be there again is looked at again after so long.
const AGAIN: Duration = Duration::from_millis(20);

/// The same where the journal cannot be read.
const TROUBLED: Duration = Duration::from_secs(1);

/// What is done on a thread of its own, since it takes a while.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aside {
    /// A job is made anew of what came: it is long, or takes results of others.
    Prepared(u64),
    /// It is looked how those are that a job waits for.
    Waits(u64),
}

/// What is done for the disk.
#[derive(Clone, Copy, Debug)]
pub(super) enum DiskWork {
    /// Room is made for what clients send.
    Wanted,
    /// Datasets that nobody reads any more go, and what programs have printed that nobody can ask for; the rest of that is counted.
    Tidy,
}

impl Keeper {
    /// Has something done that takes a while.
    pub(super) fn aside(&self, what: Aside) {
        // Who does it is there as long as this is.
        let _ = self.aside.send((Instant::now(), what));
    }

    /// The same in a moment: a job is just about to be there again.
    pub(super) fn aside_soon(&self, what: Aside) {
        let _ = self.aside.send((Instant::now() + AGAIN, what));
    }

    /// The same once the disk may be better: what a job waits for could not be read.
    pub(super) fn aside_once_readable(&self, what: Aside, error: &JournalError) {
        if self.unreadable.is_due() {
            let (Aside::Prepared(seq) | Aside::Waits(seq)) = what;
            tracing::error!(
                %error,
                id = self.id_of(seq),
                "what a job waits for cannot be read from the journal: tried again every second, as for others"
            );
        }
        let _ = self.aside.send((Instant::now() + TROUBLED, what));
    }

    pub(super) fn do_aside(self: &Arc<Self>, what: Aside) {
        let (Aside::Prepared(seq) | Aside::Waits(seq)) = what;
        let done = catch(|| match what {
            Aside::Prepared(_) => {
                self.make_ready(seq);
                // Also where it is not ready: others may have waited for that.
                self.feed();
            }
            Aside::Waits(_) => self.wait_for_others(seq),
        });
        if let Err(message) = done {
            self.end_unbegun(seq, State::Failed, JobError::new(Cause::Panic, message));
        }
    }

    /// A thread that does what it is asked for, as long as this is there.
    pub(super) fn works_off<T>(
        self: &Arc<Self>,
        name: &str,
        asked: impl IntoIterator<Item = T> + Send + 'static,
        work: impl Fn(&Arc<Self>, T) + Send + 'static,
    ) -> Result<(), JournalError> {
        let keeper = Arc::downgrade(self);
        self.thread(name, move || {
            for what in asked {
                let Some(keeper) = keeper.upgrade() else { return };
                // Whatever goes wrong with one, others are done.
                let _ = catch(|| work(&keeper, what));
            }
        })
    }

    /// One more thread.
    pub(super) fn thread(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), JournalError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        thread.map(drop).map_err(|error| JournalError::Folder {
            path: self.options.data.clone(),
            message: format!("threads cannot be started: {error}"),
        })
    }
}

/// What is asked for, each thing once its time has come: what has to wait holds nobody up.
pub(super) struct InTime<T> {
    asked: Receiver<(Instant, T)>,
    /// What waits for its time, and how much has: of what is due together, the first to come is first.
    later: BTreeMap<(Instant, u64), T>,
    count: u64,
    /// Whether what is new goes before what has waited. They take turns, however much there is of either.
    is_turn_of_new: bool,
}

impl<T> InTime<T> {
    pub(super) fn new(asked: Receiver<(Instant, T)>) -> Self {
        Self { asked, later: BTreeMap::new(), count: 0, is_turn_of_new: false }
    }
}

impl<T> Iterator for InTime<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        loop {
            let due = self.later.first_key_value().map(|((due, _), _)| *due);
            self.is_turn_of_new = !self.is_turn_of_new;
            if !self.is_turn_of_new && due.is_some_and(|due| due <= Instant::now()) {
                return self.later.pop_first().map(|(_, what)| what);
            }
            let asked = match due {
                None => self.asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => self.asked.recv_deadline(due),
            };
            match asked {
                Ok((due, what)) if due <= Instant::now() => return Some(what),
                Ok((due, what)) => {
                    self.later.insert((due, self.count), what);
                    self.count += 1;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::unbounded;

    use super::*;

    #[test]
    fn what_is_for_later_holds_nothing_up_and_comes_in_its_turn() {
        let (ask, asked) = unbounded();
        let mut in_time = InTime::new(asked);
        let now = Instant::now();
        for n in 0..1000 {
            ask.send((now + Duration::from_secs(3600), n)).unwrap();
        }
        ask.send((now, 5000)).unwrap();
        assert_eq!(in_time.next(), Some(5000), "a thousand others have an hour to go");
        ask.send((Instant::now() + AGAIN, 5001)).unwrap();
        drop(ask);
        assert_eq!(in_time.next(), None, "whoever asks is gone");
    }

    #[test]
    fn what_is_due_sooner_comes_sooner_whenever_it_was_asked_for() {
        let (ask, asked) = unbounded();
        let now = Instant::now();
        for (after_ms, what) in [(60, "last"), (20, "first"), (40, "second"), (40, "third")] {
            ask.send((now + Duration::from_millis(after_ms), what)).unwrap();
        }
        let come: Vec<&str> = InTime::new(asked).take(4).collect();
        assert_eq!(come, ["first", "second", "third", "last"]);
        assert!(now.elapsed() >= Duration::from_millis(60));
        drop(ask);
    }

    #[test]
    fn what_has_waited_and_what_is_new_take_turns() {
        let (ask, asked) = unbounded();
        let mut in_time = InTime::new(asked);
        in_time.later.extend((0..3).map(|n| ((Instant::now(), u64::from(n)), n)));
        (10..13).for_each(|n| ask.send((Instant::now(), n)).unwrap());
        let mut come: Vec<u32> = in_time.by_ref().take(6).collect();
        assert!(come.chunks(2).all(|turns| turns.iter().filter(|n| **n < 10).count() == 1), "{come:?}");
        come.sort_unstable();
        assert_eq!(come, [0, 1, 2, 10, 11, 12]);
    }

    #[test]
    fn what_is_for_soon_comes_though_nothing_else_does() {
        let (ask, asked) = unbounded();
        let due = Instant::now() + AGAIN;
        ask.send((due, "again")).unwrap();
        assert_eq!(InTime::new(asked).next(), Some("again"));
        assert!(Instant::now() >= due);
        drop(ask);
    }
}
