//! What is written, and what is read back. Times are milliseconds since 1970 by the clock on the wall.

use std::sync::Arc;

use crate::journal::State;

/// By when a job has to have ended, by the clock on the wall.
pub type Deadline = i64;

/// What a client calls a request, so that sending it twice makes one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key.
    pub key: String,
    /// A hash of what came with it.
    pub digest: [u8; 32],
}

/// A job to be written down.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its kind.
    pub kind: Arc<str>,
    /// What its sender calls it.
    pub label: Option<Arc<str>>,
    /// Jobs of higher priority begin first.
    pub priority: i32,
    /// The job as it came.
    pub request: Arc<str>,
    /// Where the files lie that came with it: an object of JSON, names to paths.
    pub files: Option<Arc<str>>,
    /// When it came.
    pub accepted_ms: i64,
    /// By when it has to have ended.
    pub deadline_ms: Option<Deadline>,
    /// Whether it is given to the engine at once: its first attempt is written down with it.
    pub begins: bool,
    /// The client's key.
    pub key: Option<IdempotencyKey>,
}

/// What became of a job that was to be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is on disk under this number.
    New(u64),
    /// It was there already, under this number.
    Known(u64),
}

/// Which jobs that have ended are kept: others are forgotten, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Those that have ended since then.
    pub since_ms: Option<i64>,
    /// So many.
    pub jobs: u64,
    /// As many as let the database be so long, in bytes; what has not ended counts too.
    pub bytes: Option<u64>,
}

impl Kept {
    /// All of them.
    pub const ALL: Self = Self { since_ms: None, jobs: u64::MAX, bytes: None };
}

/// Why a job that was to be begun has not ended, and does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// It was not begun after all: the attempt does not count.
    Unbegun,
    /// It was interrupted, by no fault of its own.
    Interrupted,
    /// It has failed, and is tried again in a while: that is one of its retries.
    ToRetry,
}

/// The end of a job.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Which.
    pub seq: u64,
    /// How.
    pub state: State,
    /// The cause, where it failed.
    pub cause: Option<&'static str>,
    /// When.
    pub ended_ms: i64,
    /// When it began, where it did.
    pub started_ms: Option<i64>,
    /// Whether it was begun at all, if it was to be: else that attempt does not count.
    pub was_begun: bool,
    /// Where it ran, where it did.
    pub device: Option<String>,
    /// Its outcome, one object of JSON.
    pub outcome: Arc<str>,
}

/// A job as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// Its kind.
    pub kind: String,
    /// What its sender calls it.
    pub label: Option<String>,
    /// How far it has come.
    pub state: State,
    /// Jobs of higher priority begin first.
    pub priority: i32,
    /// How often it was begun.
    pub attempts: u32,
    /// When it came.
    pub accepted_ms: i64,
    /// When it began last.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// By when it has to have ended.
    pub deadline_ms: Option<Deadline>,
    /// The cause, where it failed.
    pub cause: Option<String>,
    /// Where it ran: `cpu`, `gpu:0`, `split`.
    pub device: Option<String>,
}

/// A job that had not ended when the journal was opened.
#[derive(Clone, Debug)]
pub struct Unfinished {
    /// What is known of it.
    pub entry: Entry,
    /// How often the process has ended under it.
    pub crashes: u32,
    /// How often it failed and was to be tried again.
    pub retries: u32,
    /// The job as it came.
    pub request: Arc<str>,
    /// Where its files lie.
    pub files: Option<Arc<str>>,
}
