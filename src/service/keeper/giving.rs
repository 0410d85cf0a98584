//! What the engine is given: whose turn it is, made of what was sent where it is not yet, and once its attempt is written down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::job::{JobError, JobSpec};
use crate::journal::{JournalError, State};
use crate::service::clock::wall_ms;
use crate::service::intake::{Prepared, Refusal};
use crate::service::keeper::{Aside, Keeper, Named};
use crate::service::live::{Given, Turns, Unprepared};

/// So long nothing is begun after attempts could not be written down.
const HELD: Duration = Duration::from_secs(1);

impl Keeper {
    /// Gives the engine what it has room for, once that is written down.
    pub(super) fn feed(self: &Arc<Self>) {
        loop {
            let now_ms = wall_ms();
            let Turns { given, unprepared } = self.live().take_turns(self.now(), now_ms);
            self.begin(given, now_ms);
            // Others wait for whoever feeds, who may be the journal; a path of a job's own may lead to a disk that does not answer.
            let is_slow = |job: &Unprepared| job.is_slow || !self.options.allow_paths.is_empty();
            let (slow, quick): (Vec<_>, Vec<_>) = unprepared.into_iter().partition(is_slow);
            slow.iter().for_each(|job| self.aside(Aside::Prepared(job.seq)));
            // Their turn comes once more, now that they are ready.
            if quick.iter().filter(|job| self.make_ready(job.seq)).count() == 0 {
                return;
            }
        }
    }

    /// Gives the engine jobs, once their attempts are written down.
    fn begin(self: &Arc<Self>, given: Vec<Given>, now_ms: i64) {
        if given.is_empty() {
            return;
        }
        let keeper = self.clone();
        let seqs = given.iter().map(|given| given.seq).collect();
        let begun = move |written: Result<(), JournalError>| {
            // An attempt that no later process would know of is not made: the job could take down each of them.
            let given = match written {
                Ok(()) => given,
                Err(error) => {
                    if keeper.unwritten.is_due() {
                        tracing::error!(%error, jobs = given.len(), "attempts could not be written down: tried again in a second, as others");
                    }
                    if error.is_full() {
                        keeper.disk_is_full();
                    }
                    let cancelled = keeper.live().put_back(given, keeper.now() + HELD);
                    keeper.wake_housekeeper();
                    cancelled
                }
            };
            given.into_iter().for_each(|given| keeper.submit(given));
        };
        self.journal.begin(seqs, now_ms, Box::new(begun));
    }

    /// Gives the engine a job whose attempt is written down.
    pub(super) fn submit(self: &Arc<Self>, given: Given) {
        let Given { seq, ready, cancel } = given;
        let context = &self.contexts[usize::from(!ready.is_command)];
        let mut terms = ready.terms;
        terms.retries = None;
        let spec = JobSpec {
            index: seq,
            id: self.id_of(seq).into(),
            kind: ready.kind,
            device: ready.device,
            terms,
            content: None,
            params: ready.params,
        };
        self.runner.engine().submit(spec, context.clone(), cancel, self.clone());
    }

    /// A job that is not parsed (any more) is made anew of what came, or has failed by this. Whether its turn comes now.
    pub(super) fn make_ready(self: &Arc<Self>, seq: u64) -> bool {
        // It may have ended meanwhile, and even be here once more.
        let sent = self.live().unprepared(seq).map(|job| (job.request.clone(), job.files.clone()));
        let Some((request, files)) = sent else { return false };
        match self.prepare(&request, &self.uploads.files_of(files.as_deref()), Named::Ended) {
            Ok(Prepared { ready, taken_bytes, .. }) => {
                self.live().put_ready(seq, ready, taken_bytes);
                true
            }
            Err(Refusal::Unreadable(error)) => {
                self.live().is_unreadable(seq);
                // Else at the next start.
                if !self.is_over.load(Ordering::Acquire) {
                    self.aside_once_readable(Aside::Prepared(seq), &error);
                }
                false
            }
            Err(refusal) => {
                self.live().put_ready(seq, None, 0);
                let error = JobError::bad_input(format!("it cannot be run: {}", refusal.message()));
                self.end_unbegun(seq, State::Failed, error);
                false
            }
        }
    }
}
