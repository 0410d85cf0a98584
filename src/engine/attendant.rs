//! Threads that look after something for as long as it is there, rather than run jobs: idle workers, the memory of commands.

use std::io;
use std::thread::{Builder, JoinHandle};

use crate::engine::panics;

/// Starts a thread of this name that does this.
///
/// # Errors
/// Where the system refuses a thread.
pub(crate) fn attend(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(move || drop(panics::catch(body)))
}
