//! What a client has yet to send when it is answered: it is read and thrown away for a while. A client that sends all before it looks for an
//! answer, as most do, would find the connection broken instead, and never hear what was wrong.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio_stream::StreamExt;

use super::App;

/// So much is thrown away at most, in bytes, and for so long; and where nothing comes for a while, nothing is.
const BYTES_MAX: usize = 64 << 20;
const TIME_MAX: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// What answers the requests of one connection. It is no layer of the router: those cost a short request a tenth of its time.
#[derive(Clone)]
pub(super) struct ReadingRest {
    routes: TowerToHyperService<Router>,
    app: App,
}

impl ReadingRest {
    pub fn new(routes: Router, app: App) -> Self {
        Self { routes: TowerToHyperService::new(routes), app }
    }
}

impl Service<Request<Incoming>> for ReadingRest {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let is_empty = request.body().is_end_stream();
        let request = request.map(Body::new);
        if is_empty {
            return Box::pin(self.routes.call(request));
        }
        Box::pin(read_rest(self.clone(), request))
    }
}

/// Has the rest of a request read before its answer goes out.
async fn read_rest(service: ReadingRest, request: Request<Body>) -> Result<Response, Infallible> {
    let ReadingRest { routes, app } = service;
    let left = Left::default();
    // Who asks first sends nothing where the answer is no.
    let is_sent = !request.headers().contains_key(header::EXPECT);
    let request = request.map(|body| Body::new(Returned { body: Some(body), is_sent, left: left.clone() }));
    let response = routes.call(request).await?;
    let rest = left.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Who has stood still for long will go on doing so.
    if let Some(rest) = rest.filter(|_| response.status() != StatusCode::REQUEST_TIMEOUT) {
        tokio::select! {
            _ = tokio::time::timeout(TIME_MAX, throw_away(rest)) => {}
            () = app.stopping() => {}
        }
    }
    Ok(response)
}

async fn throw_away(rest: Body) {
    let (mut pieces, mut bytes) = (rest.into_data_stream(), 0);
    while let Ok(Some(Ok(piece))) = tokio::time::timeout(PAUSE_MAX, pieces.next()).await {
        bytes += piece.len();
        if bytes > BYTES_MAX {
            return;
        }
    }
}

/// Where a body is found that was not read to its end.
type Left = Arc<Mutex<Option<Body>>>;

/// A body that is left there by who reads it no further.
struct Returned {
    /// Until it has ended, or broken.
    body: Option<Body>,
    /// Whether the client sends it in any case: one that asks first does so once somebody has begun to read.
    is_sent: bool,
    left: Left,
}

impl HttpBody for Returned {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_sent = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| self.is_sent && !body.is_end_stream());
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_found_again_and_what_is_read_is_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (read, is_sent) in (0..=4).flat_map(|read| [(read, true), (read, false)]) {
            let pieces = ["a", "b", "c"].map(|piece| Ok::<_, axum::Error>(Bytes::from(piece)));
            let left = Left::default();
            let body = Body::from_stream(tokio_stream::iter(pieces));
            let mut stream = Body::new(Returned { body: Some(body), is_sent, left: left.clone() }).into_data_stream();
            let count = runtime.block_on(async {
                let mut count = 0;
                while count < read && stream.next().await.is_some() {
                    count += 1;
                }
                count
            });
            drop(stream);
            let rest = left.lock().unwrap().take();
            let rest = rest.map(|rest| runtime.block_on(axum::body::to_bytes(rest, 10)).unwrap());
            let rest = rest.unwrap_or_default();
            let is_asked_for = is_sent || read > 0;
            assert_eq!(&*rest, if is_asked_for { &b"abc"[count..] } else { b"" }, "{read} {is_sent}");
        }
    }
}
