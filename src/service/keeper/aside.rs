//! What is done on threads of their own, since it takes a while, and nobody is to wait for it.

use std::sync::Arc;

use crossbeam_channel::Receiver;

use crate::engine::catch;
use crate::job::{Cause, JobError};
use crate::journal::{JournalError, State};
use crate::service::keeper::Keeper;
use crate::service::keeper::waiting::AGAIN;

/// What is done on a thread of its own, since it takes a while.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aside {
    /// A job is made anew of what came: it is long, or takes results of others.
    Prepared(u64),
    /// It is looked how those are that a job waits for.
    Waits(u64),
    /// The same in a moment: the disk has its troubles, or a job is just about to be there again.
    PreparedSoon(u64),
    WaitsSoon(u64),
}

/// What is done for the disk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Room {
    /// Room is made for what clients send.
    Wanted,
    /// What programs have printed is counted, and what nobody can ask for goes.
    Outputs,
}

impl Keeper {
    /// Has something done that takes a while.
    pub(super) fn aside(self: &Arc<Self>, what: Aside) {
        // It is there as long as this is.
        let _ = self.aside.send(what);
    }

    pub(super) fn do_aside(self: &Arc<Self>, what: Aside) {
        let (Aside::Prepared(seq) | Aside::Waits(seq) | Aside::PreparedSoon(seq) | Aside::WaitsSoon(seq)) = what;
        if matches!(what, Aside::PreparedSoon(_) | Aside::WaitsSoon(_)) {
            std::thread::sleep(AGAIN);
        }
        let done = catch(|| match what {
            Aside::Prepared(_) | Aside::PreparedSoon(_) => self.prepare_again(seq),
            Aside::Waits(_) | Aside::WaitsSoon(_) => self.wait_for_others(seq),
        });
        if let Err(message) = done {
            self.end_unbegun(seq, State::Failed, JobError::new(Cause::Panic, message));
        }
    }

    /// A thread that does what it is asked for, as long as this is there.
    pub(super) fn works_off<T: Send + 'static>(
        self: &Arc<Self>,
        name: &str,
        asked: Receiver<T>,
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
