//! How it begins: with what an earlier process left.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;
use tokio::sync::{Semaphore, watch};

use crate::engine::CancelFlag;
use crate::job::{BindContext, Cause, JobError};
use crate::journal::{DataLock, Ended, Entry, Filter, Journal, Seldom, State, Unfinished};
use crate::runner::Runner;
use crate::service::clock::{Belief, after_ms, until, wall_ms};
use crate::service::datasets::Datasets;
use crate::service::events::{Events, Form, LISTENERS_MAX};
use crate::service::folder;
use crate::service::intake::Intake;
use crate::service::keeper::aside::InTime;
use crate::service::keeper::ending::failure_json;
use crate::service::keeper::{Aside, Counters, DiskWork, Keeper, Named};
use crate::service::live::{Job, Live};
use crate::service::options::ServeOptions;
use crate::service::outputs::Outputs;
use crate::service::quarantine::CRASHES_MAX;
use crate::service::resting::Resting;
use crate::service::space::Space;
use crate::service::untold::{OwnFolders, Untold};
use crate::service::uploads::Uploads;

/// The log is told of a disk that has its troubles so often.
const TOLD: Duration = Duration::from_secs(1);

/// So many jobs that the process may have ended under are named in the log.
const SUSPECTS_NAMED: usize = 16;

impl Keeper {
    /// Opens the journal and goes on with what is in it. Listeners get events in this form.
    ///
    /// # Errors
    /// Where the folder cannot be used.
    pub fn start(
        runner: Runner,
        intake: Intake,
        options: ServeOptions,
        form: Form,
    ) -> Result<Arc<Self>, crate::journal::JournalError> {
        folder::check(&options.data)?;
        let lock = DataLock::take(&options.data)?;
        // Where a link leads there, a program that asks where its files really lie is told the same.
        let data = options.data.canonicalize().unwrap_or_else(|_| options.data.clone());
        let options = ServeOptions { data, ..options };
        let (journal, left) = Journal::open(&options.data)?;
        let now_ms = wall_ms();
        let reader = journal.reader()?;
        let unusable = |error: std::io::Error| crate::journal::JournalError::Folder {
            path: options.data.clone(),
            message: error.to_string(),
        };
        let space = Arc::new(Space::new(options.max_data_bytes));
        let files = reader.files()?;
        let uploads = Uploads::open(&options.data, now_ms, &files, space.clone()).map_err(unusable)?;
        let read = left.iter().flat_map(|job| uploads.files_of(job.files.as_deref()).into_values()).collect();
        let known_jobs = files.iter().flat_map(|files| uploads.files_of(Some(files)).into_values());
        let datasets = Datasets::open(&options.data, &read, known_jobs, space.clone()).map_err(unusable)?;
        let outputs = Outputs::open(&options.data, journal.tag(), space.clone()).map_err(unusable)?;
        // What jobs have opened is worth keeping where the same inputs come again and again.
        crate::input::keep_decoded(options.memory_bytes / 8);
        let (commands_dir, jobs_dir) = intake.folders();
        let threads = runner.context().threads;
        let outputs_dir = Some(outputs.folder().to_owned());
        let context = |base_dir: PathBuf| {
            let outputs_dir = outputs_dir.clone();
            Arc::new(BindContext { threads, outputs_dir, ..BindContext::in_folder(base_dir) })
        };
        // After a while off, all may be too old by right; or the clock is wrong, and has all that is kept forgotten.
        let last = reader.list(&Filter { limit: 1, ..Filter::default() })?;
        let last_ms = last.entries.first().map_or(now_ms, |last| last.ended_ms.unwrap_or(last.accepted_ms));
        let is_likely = options.keep.time.is_none_or(|keep| now_ms <= after_ms(last_ms, keep));
        let begun_ms = if is_likely { now_ms } else { last_ms };
        let ((aside, asides), (room, rooms)) = (unbounded(), unbounded());
        let untold = Untold {
            own: OwnFolders { outputs: outputs.prefix(), uploads: uploads.prefix(), datasets: datasets.prefix() },
            operators: intake.operators_paths(&options.data),
            jobs_folder: intake.jobs_folder(),
        };
        let keeper = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            contexts: [context(commands_dir), context(jobs_dir)],
            live: Mutex::new(Live::new(options.queue, options.queue_memory_bytes)),
            readers: Mutex::new(vec![reader]),
            run: CancelFlag::default(),
            unsaved: Mutex::default(),
            listeners: Arc::new(Semaphore::new(LISTENERS_MAX)),
            events: Events::beginning_at(journal.tag(), u64::try_from(now_ms).unwrap_or(0) * 1000, form),
            space,
            files: Mutex::default(),
            uploads,
            datasets,
            outputs,
            counters: Counters::default(),
            begun: Instant::now(),
            belief: Mutex::new(Belief::new(begun_ms)),
            resting: Mutex::new(Resting::new(options.device_rest)),
            aside,
            unreadable: Seldom::new(TOLD),
            unwritten: Seldom::new(TOLD),
            room,
            wake: (Mutex::new(false), Condvar::new()),
            is_over: AtomicBool::new(false),
            stopping: watch::Sender::new(false),
            runner,
            journal,
            untold,
            intake,
            options,
            _lock: lock,
        });
        keeper.works_off("tandem-aside", InTime::new(asides), |keeper, what| keeper.do_aside(what))?;
        keeper.works_off("tandem-room", rooms, |keeper, what| match what {
            DiskWork::Wanted => keeper.make_room(),
            DiskWork::Tidy => {
                keeper.tidy_datasets();
                keeper.look_at_outputs();
                keeper.keep_bound();
            }
        })?;
        keeper.look_at_outputs();
        keeper.restore(left, now_ms);
        keeper.keep_house()?;
        keeper.feed();
        Ok(keeper)
    }

    /// Takes up what had not ended.
    fn restore(self: &Arc<Self>, left: Vec<Unfinished>, now_ms: i64) {
        let mut suspects = BTreeMap::new();
        let (mut over, mut waiting) = (Vec::new(), Vec::new());
        for unfinished in left {
            let seq = unfinished.entry.seq;
            match self.job_of(&unfinished, now_ms) {
                Ok(job) => {
                    if unfinished.crashes > 0 {
                        suspects.insert(seq, unfinished.crashes);
                    }
                    let is_suspect = unfinished.crashes > 0;
                    if !job.awaits.is_empty() && !is_suspect {
                        waiting.push(seq);
                    }
                    self.live().restore(seq, job, is_suspect);
                }
                Err((state, error)) => {
                    let Entry { ref kind, attempts, .. } = unfinished.entry;
                    // Somebody has to look after these, and may have the log tell of nothing else.
                    tracing::warn!(
                        id = self.id_of(seq),
                        kind,
                        state = state.name(),
                        cause = error.cause.name(),
                        attempts,
                        "job ended: {}",
                        error.message
                    );
                    let outcome = failure_json(&self.id_of(seq), seq, &unfinished.entry.kind, &error);
                    over.push(Ended {
                        seq,
                        state,
                        cause: Some(error.cause.name()),
                        ended_ms: now_ms,
                        started_ms: None,
                        was_begun: true,
                        device: None,
                        outcome: outcome.into(),
                    });
                }
            }
        }
        if !suspects.is_empty() {
            let ids: Vec<String> = suspects.keys().take(SUSPECTS_NAMED).map(|seq| self.id_of(*seq)).collect();
            tracing::warn!(
                jobs = suspects.len(),
                ids = ids.join(" "),
                "the process ended under these jobs: they are begun again, first, and apart"
            );
        }
        self.live().set_suspects(suspects);
        waiting.into_iter().for_each(|seq| self.aside(Aside::Waits(seq)));
        self.write_ends(over);
    }

    /// A job as it was written down; or how it has ended meanwhile.
    fn job_of(&self, unfinished: &Unfinished, now_ms: i64) -> Result<Job, (State, JobError)> {
        let Unfinished { entry, crashes, retries, request, files } = unfinished;
        if *crashes >= CRASHES_MAX {
            let message =
                format!("the process has ended under this job {crashes} times: it is not tried again by itself");
            return Err((State::Dead, JobError::new(Cause::Panic, message)));
        }
        let prepared =
            self.prepare(request, &self.uploads.files_of(files.as_deref()), Named::Before).map_err(|refusal| {
                let message = refusal.message();
                let message = format!("the service was started anew, and takes this job no more: {message}");
                (State::Failed, JobError::bad_input(message))
            })?;
        let mut job = Job::new(prepared, request.clone(), files.clone(), entry.accepted_ms);
        job.cancel = self.run.child();
        job.attempts = entry.attempts;
        job.retries = *retries;
        job.started_ms = entry.started_ms;
        job.deadline_ms = entry.deadline_ms;
        job.deadline = entry.deadline_ms.map(|deadline_ms| self.now().saturating_add(until(now_ms, deadline_ms)));
        Ok(job)
    }
}
