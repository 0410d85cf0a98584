//! What comes through a pipe, read on a thread of its own: whoever wants it has other things to do while it does not come.

use std::io;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError, bounded};

use crate::engine::CancelFlag;

/// How many items wait to be taken.
const MAX_AHEAD: usize = 1024;

/// How long one look waits.
const LOOK: Duration = Duration::from_millis(5);

/// What has come.
#[derive(Debug)]
pub(super) enum Polled<T> {
    /// This.
    Item(T),
    /// Nothing, but more may.
    NothingYet,
    /// Nothing comes any more.
    End,
}

/// Items of a pipe.
pub(super) struct Pipe<T> {
    items: Receiver<Result<T, io::Error>>,
    cancel: CancelFlag,
    error: Option<io::Error>,
}

impl<T: Send + 'static> Pipe<T> {
    /// What `next` gives until it gives nothing, or an error. Once `cancel` asks for an end, nothing more comes.
    pub fn new(mut next: impl FnMut() -> Option<Result<T, io::Error>> + Send + 'static, cancel: CancelFlag) -> Self {
        let (sender, items) = bounded(MAX_AHEAD);
        let reader = std::thread::Builder::new().name("pipe".to_owned()).spawn(move || {
            while let Some(item) = next() {
                let is_last = item.is_err();
                if sender.send(item).is_err() || is_last {
                    return;
                }
            }
        });
        Self { items, cancel, error: reader.err() }
    }

    /// The next item, waited for a moment.
    pub fn poll(&mut self) -> Polled<T> {
        if self.cancel.is_cancelled() || self.cancel.is_draining() {
            return Polled::End;
        }
        match self.items.recv_timeout(LOOK) {
            Ok(Ok(item)) => Polled::Item(item),
            Ok(Err(error)) => {
                self.error = Some(error);
                Polled::End
            }
            Err(RecvTimeoutError::Timeout) => Polled::NothingYet,
            Err(RecvTimeoutError::Disconnected) => Polled::End,
        }
    }

    /// Whether there is more. Takes one item. Who may still write to it is not known, so an open pipe counts.
    pub fn has_more(&mut self) -> bool {
        !matches!(self.items.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Why it ended early, if it did.
    pub fn error(&mut self) -> Option<io::Error> {
        self.error.take()
    }
}
