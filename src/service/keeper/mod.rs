//! Keeps the jobs: has them written down, gives them to the engine, takes their outcomes, and has those written down too before
//! anybody hears of them.

mod aside;
mod ending;
mod giving;
mod housekeeping;
mod room;
mod starting;
mod stopping;
mod view;
mod waiting;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::engine::CancelFlag;
use crate::job::BindContext;
use crate::journal::{
    Accepted, DataLock, Ended, IdempotencyKey, Journal, JournalError, NewJob, Reader, Released, Seldom, State,
};
use crate::runner::Runner;
use crate::service::clock::{Belief, after_ms, wall_ms};
use crate::service::datasets::Datasets;
use crate::service::events::{Event, Events};
use crate::service::ids::job_id;
use crate::service::intake::{Intake, Prepared, Refusal};
use crate::service::live::{Full, Inserted, Job, Live, Size};
use crate::service::options::ServeOptions;
use crate::service::outputs::Outputs;
use crate::service::resting::Resting;
use crate::service::space::Space;
use crate::service::untold::Untold;
use crate::service::uploads::{Upload, Uploads, with_datasets};

use aside::{Aside, DiskWork};
pub(super) use ending::Cancelled;
use room::Removed;
pub(super) use view::{Found, NotRetried, Outcomes};
pub(super) use waiting::{Labels, Named, may_name_jobs};

/// What was done since the start, for the metrics.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub accepted: AtomicU64,
    pub refused: AtomicU64,
    pub ended: [AtomicU64; State::ALL.len()],
}

/// Why a job was not taken in.
#[derive(Debug)]
pub(super) enum Unaccepted {
    /// There is something wrong with it.
    Refused(Refusal),
    /// As many wait as may.
    Full(Full),
    /// The service is about to end.
    Draining,
}

/// How many jobs there are in each state that is not an end, and how many are with the engine.
type Counts = ([(State, usize); 3], usize);

/// Keeps the jobs.
pub(super) struct Keeper {
    /// Itself, for who outlives a borrow.
    me: Weak<Self>,
    runner: Runner,
    // Before the journal: who closes a database last tidies up.
    readers: Mutex<Vec<Reader>>,
    journal: Journal,
    live: Mutex<Live>,
    /// The flag that all jobs' flags are under.
    run: CancelFlag,
    /// Ends that could not be written down, to be tried again.
    unsaved: Mutex<Vec<Ended>>,
    pub events: Events,
    /// Places for those who listen.
    pub listeners: Arc<Semaphore>,
    /// What clients send may take so much.
    pub space: Arc<Space>,
    /// Held by who takes a job back with its files, and by who removes those of failed jobs.
    files: Mutex<Removed>,
    pub uploads: Uploads,
    pub datasets: Datasets,
    outputs: Outputs,
    pub intake: Intake,
    /// What clients are not told.
    untold: Untold,
    pub counters: Counters,
    pub options: ServeOptions,
    /// What jobs are bound with: those of the operator's commands, and others.
    contexts: [Arc<BindContext>; 2],
    begun: Instant,
    /// Whether what is old by the clock on the wall is old.
    belief: Mutex<Belief>,
    /// Devices that have failed.
    resting: Mutex<Resting>,
    /// Who does what others are not to wait for.
    aside: Sender<(Instant, Aside)>,
    /// When the log is told of a journal that cannot be read, and of one that cannot be written.
    unreadable: Seldom,
    unwritten: Seldom,
    /// Who makes room on the disk for what clients send: nobody's jobs are to keep that back.
    room: Sender<DiskWork>,
    /// Wakes the housekeeper.
    wake: (Mutex<bool>, Condvar),
    is_over: AtomicBool,
    /// Whether listeners and connections are to end.
    stopping: watch::Sender<bool>,
    _lock: DataLock,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("journal", &self.journal).finish_non_exhaustive()
    }
}

impl Keeper {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By the clock that only goes forward, since it began.
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The name of the job of this number.
    pub fn id_of(&self, seq: u64) -> String {
        job_id(self.journal.tag(), seq)
    }

    /// What tells its jobs from those of other journals.
    pub fn tag(&self) -> &str {
        self.journal.tag()
    }

    /// The runner, for what is known of devices.
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    /// The journal, for what is known of it.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// How many jobs there are in each state that is not an end, and how many are with the engine.
    pub fn counts(&self) -> Counts {
        let live = self.live();
        (live.counts(), live.given())
    }

    /// Whether a job of so many bytes could be taken in, or refused for another reason than want of room.
    pub fn has_room(&self, bytes: usize) -> bool {
        let live = self.live();
        live.is_draining || live.has_room(Size::of(bytes)).is_ok()
    }

    /// Whether no more jobs are taken in.
    pub fn is_draining(&self) -> bool {
        self.live().is_draining
    }

    /// Counts a job that was not taken in.
    pub fn count_refusal(&self) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Has listeners and connections end.
    pub fn tell_stopping(&self) {
        self.stopping.send_replace(true);
    }

    /// Resolves once they are to.
    pub async fn stopping(&self) {
        let mut told = self.stopping.subscribe();
        // It is there as long as this is.
        let _ = told.wait_for(|is_stopping| *is_stopping).await;
    }

    /// Takes a job in; the answer comes once it is on disk. What is acknowledged is in it, the files too.
    pub fn accept(
        self: &Arc<Self>,
        request: Arc<str>,
        mut prepared: Prepared,
        upload: Option<Upload>,
        key: Option<IdempotencyKey>,
    ) -> Result<oneshot::Receiver<Result<Accepted, JournalError>>, Unaccepted> {
        let uploaded = upload.as_ref().map(|upload| upload.files().clone()).unwrap_or_default();
        let files = self.uploads.files_json(&with_datasets(uploaded, &prepared.datasets));
        let request = prepared.lasting.take().map_or(request, Arc::from);
        let may_begin = prepared.ready.is_some() && prepared.after.is_empty();
        let deadline = prepared.deadline;
        let leases = std::mem::take(&mut prepared.leases);
        let accepted_ms = wall_ms();
        let mut job = Job::new(prepared, request.clone(), files.clone(), accepted_ms);
        let size = job.size();
        job.cancel = self.run.child();
        job.deadline = deadline.map(|deadline| self.now().saturating_add(deadline));
        job.deadline_ms = deadline.map(|deadline| after_ms(accepted_ms, deadline));
        // From here to the journal nothing can fail: what is admitted and goes astray would be counted for ever.
        let begins = {
            let mut live = self.live();
            if live.is_draining {
                return Err(Unaccepted::Draining);
            }
            live.admit(size).map_err(Unaccepted::Full)? && may_begin
        };
        let new = NewJob {
            kind: Arc::from(job.kind),
            label: job.label.clone(),
            priority: job.priority,
            request,
            files,
            accepted_ms,
            deadline_ms: job.deadline_ms,
            begins,
            key,
        };
        let (told, answer) = oneshot::channel();
        let keeper = self.clone();
        self.journal.accept(
            new,
            Box::new(move |accepted| {
                match accepted {
                    Ok(Accepted::New(seq)) => {
                        if let Some(upload) = upload {
                            upload.keep();
                        }
                        keeper.written_down(seq, job, begins);
                        drop(leases);
                    }
                    Ok(Accepted::Known(_)) => keeper.live().dismiss(size),
                    Err(ref error) => {
                        keeper.live().dismiss(size);
                        if error.is_full() {
                            keeper.disk_is_full();
                        }
                    }
                }
                let _ = told.send(accepted);
            }),
        );
        Ok(answer)
    }

    fn written_down(self: &Arc<Self>, seq: u64, job: Job, begins: bool) {
        let (at_ms, has_deadline) = (job.accepted_ms, job.deadline.is_some());
        let inserted = self.live().insert(seq, job, begins);
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        self.events.publish(&[Event { seq, state: State::Queued, at_ms }]);
        match inserted {
            Inserted::Given(given) => self.submit(*given),
            Inserted::Queued => self.feed(),
            Inserted::Awaits => self.aside(Aside::Waits(seq)),
            Inserted::Released => self.journal.release(vec![seq], Released::Unbegun),
        }
        if has_deadline {
            self.wake_housekeeper();
        }
    }

    /// A flag for one more job.
    fn run_flag(&self) -> CancelFlag {
        self.run.child()
    }

    /// A job that had ended is queued again.
    fn take_back(self: &Arc<Self>, seq: u64, job: Job) {
        let awaits = !job.awaits.is_empty();
        self.live().restore(seq, job, false);
        if awaits {
            self.aside(Aside::Waits(seq));
        }
        self.events.publish(&[Event { seq, state: State::Queued, at_ms: wall_ms() }]);
        self.feed();
    }

    /// Lends a connection to read by. It blocks: not for threads that must not wait.
    pub fn read<T>(&self, ask: impl FnOnce(&Reader) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => self.journal.reader()?,
        };
        let answer = ask(&reader);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < 8 {
            readers.push(reader);
        }
        answer
    }

    /// Resolves, with how, once the job has ended; nothing where it has, or is not there.
    pub fn ended(&self, seq: u64) -> Option<oneshot::Receiver<State>> {
        let mut live = self.live();
        let job = live.get_mut(seq)?;
        let (tell, told) = oneshot::channel();
        // Those that have gone are looked for each time that there are twice as many.
        if job.waiting.len().is_power_of_two() {
            job.waiting.retain(|other| !other.is_closed());
        }
        job.waiting.push(tell);
        Some(told)
    }
}
