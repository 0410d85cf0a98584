//! The durable record of a service: every job that was acknowledged, and how it ended, in one SQLite file that people can open
//! with their own tools.
//!
//! One thread writes (`writer`): whatever waits for it becomes one transaction, so that many jobs share one wait for the disk
//! (group commit). What was asked for is done once its callback is called, and not before: a job is acknowledged when it is on
//! disk. Reading goes beside it, on connections of its own (`reader`).

mod checkpoints;
mod entry;
mod lock;
mod private;
mod reader;
mod schema;
mod seldom;
mod state;
mod statements;
mod writer;

pub use entry::{Accepted, Deadline, Ended, Entry, IdempotencyKey, Kept, NewJob, Released, Unfinished};
pub use lock::DataLock;
pub(crate) use private::own_folder;
pub use reader::{Filter, Listed, Reader};
pub(crate) use seldom::Seldom;
pub use state::State;
pub use writer::{Done, Journal};

use std::path::PathBuf;

/// The file of the journal, in the folder of the service.
pub const FILE_NAME: &str = "jobs.sqlite";

/// What kind of trouble a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No room is left on the disk.
    Full,
    /// Somebody else writes to it.
    Busy,
    /// The disk cannot be read or written.
    Disk,
    /// The database itself: a page of it is spoilt, or memory is short. Other pages may be well.
    Database,
    /// What was asked of it: nothing else suffers from that.
    Request,
}

/// Why the journal could not be opened, read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The database said so.
    #[error("{path}: {message}", path = path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What it said.
        message: String,
        /// What kind of trouble it has.
        trouble: Trouble,
    },
    /// It is of a newer program.
    #[error("{path}: written by a newer tandem (format {found}, this one knows {known}): use that one", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// Another process has the folder.
    #[error("{path}: another `tandem serve` (process {owner}) is using this folder: end it, or give another --data", path = path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// Who has it.
        owner: String,
    },
    /// The folder cannot be used.
    #[error("{path}: {message}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The idempotency key was used with another body.
    #[error("the idempotency key was used before, with another body: give each job a key of its own")]
    KeyUsed,
    /// The writer has ended.
    #[error("the journal is closed")]
    Closed,
}

impl JournalError {
    /// Whether it passes once there is room on the disk.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Database { trouble: Trouble::Full, .. })
    }

    /// Whether it passes once somebody else has written.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Database { trouble: Trouble::Busy, .. })
    }

    /// Whether nothing else can be written either, just now.
    pub(crate) fn stops_all(&self) -> bool {
        matches!(self, Self::Database { trouble: Trouble::Full | Trouble::Busy | Trouble::Disk, .. })
    }

    /// Whether what could not be written may be written later.
    pub fn may_pass(&self) -> bool {
        let is_own = matches!(self, Self::Database { trouble: Trouble::Request, .. } | Self::KeyUsed);
        !is_own
    }
}

#[cfg(test)]
mod tests;
