//! The memory that the bodies of all clients take together, and long answers. Who finds no room waits a little, and is asked to come again.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use tokio_stream::StreamExt;

use super::error::ApiError;

/// A long answer is given to its connection in pieces of so many bytes.
const PIECE: usize = 256 << 10;

/// Who finds no room looks again after this time, then after twice as long, as often as this: for two and a half seconds in all.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LOOKS: u32 = 9;

/// What there is, and what of it is taken. Taking costs an addition: most bodies are small, and there are many.
#[derive(Debug)]
pub(super) struct BodyMemory {
    taken: AtomicUsize,
    most: usize,
}

/// A part of it that somebody has, and gives back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    memory: Arc<BodyMemory>,
    bytes: usize,
}

impl BodyMemory {
    /// So many bytes in all.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), most })
    }

    /// None of it yet, for one body.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { memory: self.clone(), bytes: 0 }
    }

    /// How much is taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn try_take(&self, bytes: usize) -> bool {
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.most;
        if !fits {
            self.taken.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }
}

impl Held {
    /// Takes so many bytes more, where they are there.
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let fits = self.memory.try_take(bytes);
        if fits {
            self.bytes += bytes;
        }
        fits
    }

    /// Takes so many bytes more, after a while if need be.
    ///
    /// # Errors
    /// Where there is no room for that long.
    pub async fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        for look in 0..LOOKS {
            if self.try_grow(bytes) {
                return Ok(());
            }
            tokio::time::sleep(FIRST_WAIT * (1 << look.min(LOOKS - 2))).await;
        }
        Err(ApiError::no_memory())
    }

    /// How much it is.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same for a long answer, or to take something long apart; what is longer than there is memory takes half of it, or what is left of
    /// it beside what this has.
    ///
    /// # Errors
    /// Where there is no room for that long.
    pub async fn grow_for(&mut self, bytes: usize) -> Result<(), ApiError> {
        self.grow(bytes.min(self.memory.most / 2).min(self.memory.most.saturating_sub(self.bytes))).await
    }

    /// An answer that is there, whatever others have taken: this holds what that takes from now on, no more and no less, until the client has
    /// taken it.
    pub fn keep(mut self, text: String) -> Body {
        let more = text.len().saturating_sub(self.bytes);
        self.memory.taken.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        self.shrink(self.bytes - text.len());
        self.until_taken(text)
    }

    fn until_taken(self, text: String) -> Body {
        let text = Bytes::from(text);
        let pieces = (0..text.len()).step_by(PIECE).map(move |at| text.slice(at..text.len().min(at + PIECE)));
        let pieces = tokio_stream::iter(pieces).map(move |piece| {
            let _held = &self;
            Ok::<_, Infallible>(piece)
        });
        Body::from_stream(pieces)
    }

    /// Gives so many bytes back.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.memory.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_all_is_given_back() {
        let memory = BodyMemory::new(1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for bytes in (1..400).cycle().take(20_000) {
                        let mut held = memory.hold();
                        if held.try_grow(bytes) && held.try_grow(bytes) {
                            held.shrink(bytes / 2);
                        }
                    }
                });
            }
        });
        assert_eq!(memory.taken(), 0);
        let (mut first, mut second) = (memory.hold(), memory.hold());
        assert!(first.try_grow(600) && !second.try_grow(500) && second.try_grow(400) && !second.try_grow(1));
        first.shrink(usize::MAX);
        assert!(second.try_grow(600));
        drop(second);
        assert_eq!(memory.taken(), 0);
    }

    #[test]
    fn an_answer_is_held_until_it_was_taken() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let memory = BodyMemory::new(3 * PIECE);
            let text = "0123456789".repeat(PIECE / 5);
            let mut held = memory.hold();
            held.grow_for(2 * text.len()).await.unwrap();
            assert_eq!(memory.taken(), 3 * PIECE / 2, "one that is too long takes half of what there is");
            let mut body = held.keep(text.clone()).into_data_stream();
            assert_eq!(memory.taken(), text.len());
            let mut whole = Vec::new();
            while let Some(piece) = body.next().await {
                whole.extend_from_slice(&piece.unwrap());
            }
            drop(body);
            assert_eq!((whole == text.as_bytes(), memory.taken()), (true, 0));
        });
    }

    #[test]
    fn an_answer_that_must_be_given_is_held_whatever_others_have() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let memory = BodyMemory::new(1000);
            for (before, length) in [(10, 2000), (600, 500), (0, 1), (0, 0)] {
                let mut held = memory.hold();
                assert!(held.try_grow(before));
                let mut body = held.keep("x".repeat(length)).into_data_stream();
                assert_eq!((memory.taken(), memory.hold().try_grow(1)), (length, length < 1000), "counted once");
                let mut taken = 0;
                while let Some(piece) = body.next().await {
                    taken += piece.unwrap().len();
                }
                drop(body);
                assert_eq!((taken, memory.taken()), (length, 0));
            }
        });
    }

    #[test]
    fn who_finds_no_room_waits_for_it_and_not_for_ever() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let memory = BodyMemory::new(10);
            let (mut first, mut second) = (memory.hold(), memory.hold());
            first.grow(10).await.unwrap();
            let waiting = tokio::spawn(async move { second.grow(1).await.map(|()| second) });
            tokio::time::sleep(FIRST_WAIT * 2).await;
            drop(first);
            let second = waiting.await.unwrap().unwrap();
            let error = memory.hold().grow(10).await.unwrap_err();
            assert_eq!(error.status, axum::http::StatusCode::SERVICE_UNAVAILABLE);
            drop(second);
        });
    }
}
