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
mod listing;
mod memory;
mod metrics;
mod multipart;
mod openapi;
mod page;
mod patience;
mod router;
mod schema;
mod server;
mod status;

pub use server::{Listening, ServeError, serve};

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::service::keeper::Keeper;
use memory::BodyMemory;

/// What handlers work with.
type App = Arc<Front>;

/// So many read from the journal at once.
const READERS: usize = 8;

/// The keeper, and what is bounded before a request gets to it.
struct Front {
    keeper: Arc<Keeper>,
    memory: Arc<BodyMemory>,
    /// Places for those who read from the journal.
    readers: Arc<Semaphore>,
}

impl Front {
    fn new(keeper: Arc<Keeper>) -> Self {
        let memory = BodyMemory::new(keeper.options.body_memory_bytes);
        Self { keeper, memory, readers: Arc::new(Semaphore::new(READERS)) }
    }
}

impl Deref for Front {
    type Target = Arc<Keeper>;

    fn deref(&self) -> &Arc<Keeper> {
        &self.keeper
    }
}
