//! Jobs over HTTP: a thin front before the engine, which stays threads and knows nothing of it, with a journal behind, so that what
//! was acknowledged is not lost.
//!
//! A request's way: `intake` makes a job of it (syntax, names of files, what strangers may touch), `keeper` has it written down
//! by the [journal](crate::journal) and gives it to the engine, `live` is what it knows of the jobs that have not ended (pure), and
//! `events` tells whoever wants to know. `http` is what HTTP adds to that.

mod clock;
mod commands;
mod datasets;
mod events;
mod folder;
mod http;
mod ids;
mod intake;
mod keeper;
mod live;
mod options;
mod outputs;
mod pace;
mod quarantine;
mod reach;
mod resting;
mod space;
mod untold;
mod uploads;

pub use commands::{CommandError, Commands};
pub use http::{Listening, ServeError, Stopped, serve};
pub use options::{Keep, ServeOptions};
