//! What HTTP adds: routes, limits, errors as JSON, who may come in. It knows nothing of the engine.

mod about;
mod access;
mod batches;
mod datasets;
mod error;
mod events;
mod extract;
mod incoming;
mod jobs;
mod kinds;
mod listing;
mod memory;
mod metrics;
mod multipart;
mod openapi;
mod page;
mod patience;
mod places;
mod room;
mod router;
mod schema;
mod server;
mod status;
mod unread;

#[cfg(test)]
pub(in crate::service) use events::SERVER_SENT;
pub use server::{Listening, ServeError, Stopped, serve};

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::service::keeper::Keeper;
use memory::BodyMemory;

/// What handlers work with.
type App = Arc<Front>;

/// So many read from the journal at once.
const READERS: usize = 8;

/// So many have something written that they wait for, or make a job that takes its time.
const WRITERS: usize = 32;

/// The keeper, and what is bounded before a request gets to it.
struct Front {
    keeper: Arc<Keeper>,
    memory: Arc<BodyMemory>,
    /// Places for those who read from the journal.
    readers: Arc<Semaphore>,
    /// And for those whose jobs take their time to be made, or who wait until something is written.
    writers: Arc<Semaphore>,
}

impl Front {
    fn new(keeper: Arc<Keeper>) -> Self {
        let memory = BodyMemory::new(keeper.options.body_memory_bytes);
        let [readers, writers] = [READERS, WRITERS].map(|places| Arc::new(Semaphore::new(places)));
        Self { keeper, memory, readers, writers }
    }
}

impl Deref for Front {
    type Target = Arc<Keeper>;

    fn deref(&self) -> &Arc<Keeper> {
        &self.keeper
    }
}
