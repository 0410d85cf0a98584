//! A job that has not ended, as it is held, and on its way to the engine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::engine::CancelFlag;
use crate::job::Cause;
use crate::journal::State;
use crate::service::intake::{Prepared, Ready};
use crate::service::live::{Size, UNPARSED};

/// A job that has not ended.
#[derive(Debug)]
pub(in crate::service) struct Job {
    pub kind: &'static str,
    pub label: Option<Arc<str>>,
    pub priority: i32,
    pub request: Arc<str>,
    pub files: Option<Arc<str>>,
    /// There until it is given to the engine, unless it waits in less memory.
    pub ready: Option<Ready>,
    /// What it weighs where it is parsed: its bytes as they were sent, and those that it takes of others.
    pub weight: usize,
    /// The jobs that have to succeed first.
    pub after: Vec<u64>,
    /// Those of them of which it is not known that they have.
    pub awaits: BTreeSet<u64>,
    /// Whether it takes results of others, which are on disk; and how many bytes of them, once that is known.
    pub takes_results: bool,
    pub taken_bytes: Option<usize>,
    pub state: State,
    /// Whether the engine runs it by itself; of small jobs it never says so.
    pub has_begun: bool,
    pub attempts: u32,
    /// What it failed of last, where it is tried again.
    pub last_cause: Option<Cause>,
    /// How often it may be tried again after a failure that can pass, and how often it was.
    pub retries_max: u32,
    pub retries: u32,
    /// When it is tried again, while it waits for that.
    pub due: Duration,
    pub accepted_ms: i64,
    pub started_ms: Option<i64>,
    pub deadline_ms: Option<i64>,
    /// The same by the clock that only goes forward.
    pub deadline: Option<Duration>,
    pub cancel: CancelFlag,
    /// How it is to end, where somebody has had it cancelled.
    pub ends_as: Option<State>,
    /// Whether its outcome is there, and only has to be written down.
    pub is_over: bool,
    /// Who wants to know how it has ended, once it has.
    pub waiting: Vec<oneshot::Sender<State>>,
}

impl Job {
    /// A job that was just accepted.
    pub fn new(prepared: Prepared, request: Arc<str>, files: Option<Arc<str>>, accepted_ms: i64) -> Self {
        Self {
            kind: prepared.kind,
            label: prepared.label,
            priority: prepared.priority,
            weight: request.len(),
            request,
            files,
            state: State::Queued,
            has_begun: false,
            attempts: 0,
            last_cause: None,
            retries_max: prepared.retries,
            retries: 0,
            due: Duration::ZERO,
            accepted_ms,
            started_ms: None,
            deadline_ms: None,
            deadline: None,
            cancel: CancelFlag::default(),
            ends_as: None,
            is_over: false,
            waiting: Vec::new(),
            awaits: prepared.after.iter().copied().collect(),
            after: prepared.after,
            takes_results: prepared.ready.is_none(),
            taken_bytes: None,
            ready: prepared.ready,
        }
    }

    /// What it takes while it waits, as far as that can be known.
    pub fn size(&self) -> Size {
        let files_bytes = self.files.as_ref().map_or(0, |files| files.len());
        Size { bytes: self.request.len(), after: self.after.len(), files_bytes }
    }

    /// It waits, in as little memory as it can.
    pub(super) fn rest(&mut self) {
        if self.request.len() > UNPARSED {
            self.ready = None;
        }
    }

    /// Whether it is known what it weighs.
    pub(super) fn is_weighed(&self) -> bool {
        self.ready.is_some() || !self.takes_results || self.taken_bytes.is_some()
    }

    /// How often it has begun, as clients are told: not while it waits within the engine.
    pub fn shown_attempts(&self) -> u32 {
        self.attempts.saturating_sub(u32::from(self.state == State::Running && !self.has_begun))
    }

    /// What clients are told: it runs once it has begun, and not while it waits within the engine.
    pub fn shown_state(&self) -> State {
        match self.state {
            State::Running if !self.has_begun => State::Queued,
            state => state,
        }
    }
}

/// Those whose turn it is.
#[derive(Debug, Default)]
pub(in crate::service) struct Turns {
    pub given: Vec<Given>,
    /// These have to be prepared first.
    pub unprepared: Vec<Unprepared>,
}

/// A job that has to be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) struct Unprepared {
    pub seq: u64,
    /// Whether that takes a while, in which others would wait.
    pub is_slow: bool,
}

/// A job on its way to the engine.
#[derive(Debug)]
pub(in crate::service) struct Given {
    pub seq: u64,
    pub ready: Ready,
    pub cancel: CancelFlag,
}

impl Given {
    pub(super) fn of(seq: u64, job: &mut Job) -> Option<Self> {
        Some(Self { seq, ready: job.ready.take()?, cancel: job.cancel.clone() })
    }
}
