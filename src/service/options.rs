//! How a service is set up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long what has ended is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// So long at most, from its end.
    pub time: Option<Duration>,
    /// So many jobs at most.
    pub jobs: u64,
    /// As many as let the journal be so long, in bytes.
    pub bytes: Option<u64>,
}

impl Default for Keep {
    /// A week, and a million.
    fn default() -> Self {
        Self { time: Some(Duration::from_secs(7 * 86_400)), jobs: 1_000_000, bytes: None }
    }
}

/// How a service is set up.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The folder of the journal and of what clients send along.
    pub data: PathBuf,
    /// What clients have to show; nothing where all are welcome.
    pub token: Option<String>,
    /// Folders that jobs may read files from and write files to.
    pub allow_paths: Vec<PathBuf>,
    /// Whether jobs may be of kind `command`.
    pub allow_commands: bool,
    /// Whether jobs may fetch addresses.
    pub allow_fetch: bool,
    /// How many jobs may wait.
    pub queue: usize,
    /// The memory that they may take together, in bytes; those that run, or are about to, may take as much again.
    pub queue_memory_bytes: usize,
    /// How long what has ended is kept.
    pub keep: Keep,
    /// How long jobs that run may go on once the service is asked to end.
    pub drain: Duration,
    /// A device that has failed is tried again after so long, then after twice as long each time, up to ten minutes or this.
    pub device_rest: Duration,
    /// The longest job, in bytes; what comes as files is bounded apart.
    pub max_body_bytes: usize,
    /// The memory that the bodies of all clients take together while they are read, in bytes.
    pub body_memory_bytes: usize,
    /// A client that sends or takes nothing for so long, or next to nothing, is let go.
    pub client_timeout: Duration,
    /// The longest upload, in bytes.
    pub max_upload_bytes: u64,
    /// What clients send, and what programs print, may take so many bytes on the disk, together.
    pub max_data_bytes: u64,
    /// How many connections there may be at once.
    pub max_connections: usize,
    /// The memory that jobs may take together, in bytes: what needs more is refused.
    pub memory_bytes: u64,
}
