//! What HTTP adds: routes, limits, errors as JSON, who may come in. It knows nothing of the engine.

mod about;
mod access;
mod batches;
mod datasets;
mod error;
mod events;
mod extract;
mod jobs;
mod listing;
mod metrics;
mod multipart;
mod openapi;
mod page;
mod room;
mod router;
mod schema;
mod server;
mod status;

pub use server::{Listening, ServeError, serve};

use std::sync::Arc;

use crate::service::keeper::Keeper;

/// What handlers work with.
type App = Arc<Keeper>;
