//! Why a job failed: a cause that programs branch on, and a message for people.

use std::sync::Arc;

/// What kind of failure ended a job. The names are part of the outcome format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The job, or the input that it names, is malformed or asks for what has no answer.
    BadInput,
    /// Reading or writing failed.
    Io,
    /// The code of a kernel or of a user's closure panicked.
    Panic,
    /// It cannot fit the memory at hand.
    Memory,
    /// The job asked by name for a device that is not there.
    NoDevice,
    /// The device that the job asked for by name failed.
    DeviceLost,
    /// The kernel cannot run as asked (for example: it has no GPU side).
    Unsupported,
    /// It took longer than it was given.
    Timeout,
    /// Its program ended with an exit code other than 0.
    ExitCode,
    /// A signal ended its program.
    Signal,
    /// A job that it waits for did not succeed.
    Skipped,
    /// The run was ended before its turn came.
    NotStarted,
    /// Somebody cancelled it.
    Cancelled,
}

impl Cause {
    /// The name in outcomes: `bad_input`, `device_lost`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadInput => "bad_input",
            Self::Io => "io",
            Self::Panic => "panic",
            Self::Memory => "memory",
            Self::NoDevice => "no_device",
            Self::DeviceLost => "device_lost",
            Self::Unsupported => "unsupported",
            Self::Timeout => "timeout",
            Self::ExitCode => "exit_code",
            Self::Signal => "signal",
            Self::Skipped => "skipped",
            Self::NotStarted => "not_started",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Cause {
    /// Whether the job itself went wrong: not where it was ended, or never begun, for what others did.
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Cancelled | Self::Skipped | Self::NotStarted)
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A job's failure. The message is lower case, names input and place, and says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JobError {
    /// What kind of failure it is.
    pub cause: Cause,
    /// What went wrong, where, and the remedy.
    pub message: String,
    /// More that is known of it, as the fields of a JSON object without its braces: `"exit_code":3,"stderr":"…"`.
    pub details: Option<Arc<str>>,
    /// The most memory that the job held at once in a process of its own, in bytes, where that is known. It differs from run to
    /// run and is no part of the outcome.
    pub peak_memory_bytes: Option<u64>,
}

impl JobError {
    /// A failure of this kind with this message.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), details: None, peak_memory_bytes: None }
    }

    /// The same with more that is known of it: fields of a JSON object, without its braces.
    #[must_use]
    pub fn with_details(mut self, fields: impl Into<Arc<str>>) -> Self {
        self.details = Some(fields.into());
        self
    }

    /// Malformed input.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(Cause::BadInput, message)
    }

    /// A failed read or write of `name`.
    pub fn io(name: &str, error: &std::io::Error) -> Self {
        Self::new(Cause::Io, format!("{name}: {error}"))
    }
}
