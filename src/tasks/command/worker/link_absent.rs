//! Workers where the system is no Unix: there are none yet.

use std::io;
use std::process::Command;

use crate::tasks::TaskContext;
use crate::tasks::command::capture::Capture;
use crate::tasks::command::worker::failure::Failure;
use crate::tasks::command::worker::protocol::Exchange;

/// A worker that cannot be.
#[derive(Debug)]
pub(super) enum Worker {}

impl Worker {
    pub fn start(_: Command) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "long-lived workers need a Unix system: leave `workers` out"))
    }

    pub fn ask(
        self,
        _: Exchange,
        _: &mut Capture,
        _: &TaskContext<'_>,
    ) -> (Result<(Self, String), Failure>, Option<u64>) {
        match self {}
    }

    pub fn is_sound(&mut self) -> bool {
        match *self {}
    }
}

pub(super) fn end_all(_: Vec<Worker>) {}
