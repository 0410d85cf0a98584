//! How a worker can fail a job.

use std::io;

use crate::tasks::command::process::Ending;
use crate::tasks::command::worker::protocol::Garbage;

/// Why a worker gave no answer; it has ended then.
#[derive(Debug)]
#[cfg_attr(not(unix), allow(dead_code, reason = "there are no workers elsewhere"))]
pub(super) enum Failure {
    /// It ended first.
    Ended(Ending),
    /// The same, and it had read nothing of what it was asked.
    Unread(Ending),
    /// What it said is no answer.
    Garbage(Garbage),
    /// It closed this one of its pipes, and lived on.
    Closed(&'static str),
    /// Somebody wished for an end.
    Stopped,
    /// What it printed could not be kept, or its pipes not be used.
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
