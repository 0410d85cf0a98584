//! The body of a request as it comes: by clients who take their time, within the memory that there is for bodies.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use tokio_stream::{Stream, StreamExt};

use super::error::ApiError;
use super::memory::Held;
use super::patience::Patience;

/// Whether a body comes as it is, and not compressed.
pub(super) fn check_plain(headers: &HeaderMap) -> Result<(), ApiError> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    match encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        Some(encoding) => Err(ApiError::encoded(encoding)),
        None => Ok(()),
    }
}

/// A job is there as it came, and as the text that it becomes.
const COPIES: usize = 2;

/// Why no more comes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// The client stands still.
    #[error("the client stands still")]
    Stalled,
    /// The client is gone, or what it sends is no HTTP.
    #[error("the body ends early")]
    Early,
}

impl Broken {
    /// Whether this is among the reasons of an error.
    pub fn within(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let reasons = std::iter::successors(Some(error), |error| error.source());
        reasons.filter_map(|reason| reason.downcast_ref()).next().copied()
    }
}

/// A body, piece by piece.
#[derive(Debug)]
pub(super) struct Incoming {
    pieces: BodyDataStream,
    /// As the client has said.
    length: Option<u64>,
    patience: Patience,
}

impl Incoming {
    /// The client may stand still for so long.
    pub fn new(body: Body, patience: Duration) -> Self {
        let length = body.size_hint().exact();
        Self { pieces: body.into_data_stream(), length, patience: Patience::new(patience) }
    }

    /// All of it, where it is not longer than `max`; what it takes is held.
    pub async fn whole(mut self, held: &mut Held, max: usize) -> Result<Bytes, ApiError> {
        let too_long = || {
            let message = format!("the body is longer than {max} bytes: send long data as a file, or as a dataset");
            ApiError::too_large(message)
        };
        let length = self.length.map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
        if length > max {
            return Err(too_long());
        }
        let mut whole = Vec::new();
        // Most come in one piece, which is not copied.
        let mut last = Bytes::new();
        while let Some(piece) = self.next().await {
            let piece = piece?;
            if whole.len() + last.len() + piece.len() > max {
                return Err(too_long());
            }
            held.grow(COPIES * piece.len()).await?;
            if !last.is_empty() {
                if whole.is_empty() {
                    // What is not touched takes no memory yet.
                    whole.reserve_exact(length);
                }
                whole.extend_from_slice(&last);
            }
            last = piece;
        }
        if whole.is_empty() {
            return Ok(last);
        }
        whole.extend_from_slice(&last);
        Ok(whole.into())
    }
}

impl Stream for Incoming {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match Pin::new(&mut self.pieces).poll_next(context) {
            Poll::Ready(Some(Ok(piece))) => {
                self.patience.moved(piece.len());
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(Broken::Early))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.patience.poll_over(context).map(|()| Some(Err(Broken::Stalled))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::BodyMemory;
    use super::*;

    #[test]
    fn a_body_is_whole_however_it_is_cut_and_what_it_takes_is_held() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let text: Vec<u8> = (0..10_000_u32).map(|at| (at % 251) as u8).collect();
            for piece in [1, 7, 999, 10_000, 20_000] {
                let pieces: Vec<Result<Bytes, Broken>> =
                    text.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
                let body = || Body::from_stream(tokio_stream::iter(pieces.clone()));
                let memory = BodyMemory::new(COPIES * text.len());
                let mut held = memory.hold();
                let whole = Incoming::new(body(), Duration::from_secs(9)).whole(&mut held, text.len()).await.unwrap();
                assert_eq!((&*whole, memory.taken()), (&*text, COPIES * text.len()));
                drop(held);
                let mut held = memory.hold();
                let error = Incoming::new(body(), Duration::from_secs(9)).whole(&mut held, text.len() - 1).await;
                assert_eq!(error.unwrap_err().status, axum::http::StatusCode::PAYLOAD_TOO_LARGE);
            }
            let mut held = BodyMemory::new(0).hold();
            let empty = Incoming::new(Body::empty(), Duration::from_secs(9)).whole(&mut held, 0);
            assert!(empty.await.unwrap().is_empty());
        });
    }

    #[test]
    fn what_stands_still_is_told_from_what_ends_early_also_within_other_errors() {
        let error = axum::Error::new(axum::Error::new(Broken::Stalled));
        assert_eq!(Broken::within(&error), Some(Broken::Stalled));
        assert_eq!(Broken::within(&axum::Error::new("else")), None);
    }
}
