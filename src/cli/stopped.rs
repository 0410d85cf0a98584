//! Why the program ends before it has done what it was asked for.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::anyhow;

use crate::report::visible_lines;
use crate::runner::SetupError;

/// A job failed, or a verification found a difference.
pub(super) const FAILED: u8 = 1;
/// The command line or the job file cannot be read.
pub(super) const USAGE: u8 = 2;
/// The device that was asked for is not there.
pub(super) const NO_DEVICE: u8 = 3;

/// What ended the program early.
#[derive(Debug)]
pub enum Stopped {
    /// What clap has to say: an error, or help that was asked for.
    Clap(clap::Error),
    /// An error, and the exit code for it.
    Error(u8, anyhow::Error),
    /// Nobody reads the output any more.
    PipeClosed,
}

impl Stopped {
    pub(super) fn usage(message: impl std::fmt::Display) -> Self {
        Self::Error(USAGE, anyhow!("{message}"))
    }

    pub(super) fn failed(message: impl std::fmt::Display) -> Self {
        Self::Error(FAILED, anyhow!("{message}"))
    }

    pub(super) fn no_device(message: impl std::fmt::Display) -> Self {
        Self::Error(NO_DEVICE, anyhow!("{message}"))
    }

    /// A failed write of results to standard output.
    pub(super) fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::PipeClosed;
        }
        Self::Error(FAILED, anyhow::Error::new(error).context("standard output"))
    }

    /// Tells the user on standard error, and gives the exit code.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Clap(error) => {
                // A closed pipe is no reason to fail, and nothing else can be told.
                let _ = error.print();
                ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
            }
            Self::Error(code, error) => {
                let _ = writeln!(io::stderr(), "error: {}", visible_lines(&format!("{error:#}")));
                ExitCode::from(code)
            }
            Self::PipeClosed => ExitCode::SUCCESS,
        }
    }
}

impl From<clap::Error> for Stopped {
    fn from(error: clap::Error) -> Self {
        Self::Clap(error)
    }
}

impl From<SetupError> for Stopped {
    fn from(error: SetupError) -> Self {
        let code = if matches!(error, SetupError::NoThreads) { USAGE } else { FAILED };
        Self::Error(code, error.into())
    }
}
