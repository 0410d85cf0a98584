//! A job's share of the memory budget, given back when the job is gone, however it ended.

use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::engine::message::Message;
use crate::tasks::MemoryUse;

/// The share of a job. Dropping it gives it back.
pub(crate) struct Reservation {
    pub key: u64,
    /// Whether the job did what it was to do, so that what it took is what such a job takes.
    pub succeeded: bool,
    /// What the job is seen to hold, where somebody looks.
    pub memory: Arc<MemoryUse>,
    sender: Sender<Message>,
}

impl Reservation {
    pub fn new(key: u64, sender: Sender<Message>) -> Self {
        Self { key, succeeded: false, memory: Arc::default(), sender }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let (key, succeeded) = (self.key, self.succeeded);
        // Where the engine has ended, there is no budget any more either.
        let _ = self.sender.send(Message::Released { key, succeeded, peak_bytes: self.memory.peak_bytes() });
    }
}
