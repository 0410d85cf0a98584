//! Connections: taken in, bounded, and let end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::events::SERVER_SENT;
use super::multipart::FORM;
use super::patience::{Patience, Taken};
use super::router::router;
use super::unread::ReadingRest;
use super::{App, Front};
use crate::journal::JournalError;
use crate::runner::Runner;
use crate::service::commands::Commands;
use crate::service::intake::Intake;
use crate::service::keeper::Keeper;
use crate::service::options::ServeOptions;
use crate::service::reach::Allowed;

/// What is being answered when the service ends may take so long.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Why a service could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The folder or the journal in it cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The address cannot be listened at.
    #[error("{address}: {error}: give another address by --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// An option is wrong.
    #[error("{0}")]
    Option(String),
    /// The system refuses threads.
    #[error("threads cannot be started: {0}")]
    Threads(std::io::Error),
}

/// A service that listens.
pub struct Listening {
    keeper: Arc<Keeper>,
    runtime: Runtime,
    address: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
}

/// What is left once it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Jobs that stay, to be run at the next start.
    pub left: usize,
    /// Whether GPUs are still being looked for: a driver that hangs over that lets no process end in the usual way.
    pub is_looking: bool,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Begins a service: what an earlier one left goes on, and requests are answered.
///
/// # Errors
/// Where it cannot begin.
pub fn serve(runner: Runner, commands: Commands, options: ServeOptions) -> Result<Listening, ServeError> {
    let allowed = Allowed::new(&options.allow_paths, options.allow_commands, options.allow_fetch);
    let allowed = allowed.map_err(ServeError::Option)?;
    let least = options.max_body_bytes.saturating_add(FORM).saturating_mul(2);
    if options.body_memory_bytes < least {
        let message = format!(
            "--body-memory {}: give {least} bytes at least, twice what --max-body says and a little more",
            options.body_memory_bytes
        );
        return Err(ServeError::Option(message));
    }
    let intake = Intake::new(commands, allowed, options.memory_bytes);
    let threads = runner.engine().settings().threads.clamp(1, 4) as usize;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(threads).thread_name("tandem-http").enable_all();
    let runtime = builder.build().map_err(ServeError::Threads)?;
    let address = options.listen;
    // Before the journal is touched: a second service at the same address begins nothing.
    let listener =
        runtime.block_on(TcpListener::bind(address)).map_err(|error| ServeError::Listen { address, error })?;
    let address = listener.local_addr().map_err(|error| ServeError::Listen { address, error })?;
    let max_connections = options.max_connections;
    let keeper = Keeper::start(runner, intake, options, SERVER_SENT)?;
    let front = Arc::new(Front::new(keeper.clone()));
    let teller = keeper.clone();
    runtime.spawn(async move { teller.events.tell().await });
    let accepting = runtime.spawn(accept(listener, front, max_connections));
    Ok(Listening { keeper, runtime, address, accepting })
}

impl Listening {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: nothing more is taken in, what runs may go on for as long as the options say or until `is_urgent`, and what has not ended
    /// by then stays on disk.
    pub fn stop(self, is_urgent: &dyn Fn() -> bool) -> Stopped {
        let Self { keeper, runtime, accepting, .. } = self;
        let drain = keeper.options.drain;
        let left = keeper.stop(drain, is_urgent);
        keeper.tell_stopping();
        runtime.block_on(async {
            let _ = tokio::time::timeout(LAST_ANSWERS, accepting).await;
        });
        runtime.shutdown_timeout(Duration::from_millis(200));
        let is_looking = keeper.runner().engine().devices().known_gpus().is_none();
        Stopped { left, is_looking }
    }
}

/// Takes connections in until the service ends, then lets those under way end.
async fn accept(listener: TcpListener, app: App, max: usize) {
    let places = Arc::new(Semaphore::new(max));
    let routes = router(app.clone());
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            stream = next(&listener) => stream,
            () = app.stopping() => break,
        };
        while connections.try_join_next().is_some() {}
        // Where there is no place, the connection is closed at once: who waits without knowing is worse off.
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        connections.spawn(converse(stream, ReadingRest::new(routes.clone(), app.clone()), app.clone(), place));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection; where the system has none to give, such as for want of file descriptors, after a while.
async fn next(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken in");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Answers one client until it is gone.
async fn converse(stream: TcpStream, service: ReadingRest, app: App, _place: OwnedSemaphorePermit) {
    let _ = stream.set_nodelay(true);
    let patience = app.options.client_timeout;
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(64 << 10).half_close(false);
    // Whoever has not sent the head of a request by then is let go; so is who asks nothing for as long, and who takes no answer.
    let stream = Taken::new(stream, Patience::new(patience));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = app.stopping() => {
            connection.as_mut().graceful_shutdown();
            // What goes wrong with a connection is its client's.
            let _ = connection.await;
        }
    }
}
