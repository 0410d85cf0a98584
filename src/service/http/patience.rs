//! How long a client may take: over what it sends, and over what it is sent. It may stand still for a while, and be slow for as long as
//! it likes; what it may not is hold a place for next to nothing.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Bytes a second that every line has. A client that is slower uses its patience up.
const RATE: u32 = 1024;

/// The time that a client may still be waited for. Waiting uses it up, and bytes that move give it back, each as much as it takes at the
/// slowest rate that is borne, up to the whole of it. So who stands still is let go after that time, and so is who drips.
#[derive(Debug)]
pub(super) struct Patience {
    whole: Duration,
    left: Duration,
    since: Option<Instant>,
    /// Kept, so that waiting once more makes none anew.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub fn new(whole: Duration) -> Self {
        Self { whole, left: whole, since: None, alarm: None }
    }

    /// So many bytes have moved.
    pub fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let earned = Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX) / RATE;
        self.left = self.left.saturating_add(earned).min(self.whole);
    }

    /// Nothing moves. Ready once it has lasted too long.
    pub fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let until = |from: Instant| from + self.left;
        let alarm = match (&mut self.alarm, self.since) {
            (Some(alarm), Some(_)) => alarm,
            (Some(alarm), None) => {
                let now = *self.since.insert(Instant::now());
                alarm.as_mut().reset(until(now));
                alarm
            }
            (none, _) => {
                let now = *self.since.insert(Instant::now());
                none.insert(Box::pin(tokio::time::sleep_until(until(now))))
            }
        };
        alarm.as_mut().poll(context)
    }
}

/// A connection whose client has to take what it has asked for.
#[derive(Debug)]
pub(super) struct Taken<S> {
    stream: S,
    patience: Patience,
}

impl<S> Taken<S> {
    pub fn new(stream: S, patience: Patience) -> Self {
        Self { stream, patience }
    }

    fn checked(&mut self, written: Poll<Result<usize>>, context: &mut Context<'_>) -> Poll<Result<usize>> {
        match written {
            Poll::Ready(written) => {
                self.patience.moved(*written.as_ref().unwrap_or(&0));
                Poll::Ready(written)
            }
            Poll::Pending => {
                ready!(self.patience.poll_over(context));
                Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client takes nothing")))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taken<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taken<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.checked(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.checked(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    const WHOLE: Duration = Duration::from_millis(300);

    #[test]
    fn who_takes_nothing_or_next_to_nothing_is_let_go() {
        for drip in [false, true] {
            let error = run(async {
                let (near, mut far) = tokio::io::duplex(16);
                let taker = tokio::spawn(async move {
                    let mut byte = [0];
                    while drip && far.read_exact(&mut byte).await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    // It is there all the time.
                    std::future::pending::<()>().await;
                    drop(far);
                });
                let mut taken = Taken::new(near, Patience::new(WHOLE));
                let error = taken.write_all(&[0; 10_000]).await.unwrap_err();
                taker.abort();
                error
            });
            assert_eq!(error.kind(), ErrorKind::TimedOut, "drip: {drip}");
        }
    }

    #[test]
    fn who_is_slow_and_takes_it_all_is_waited_for() {
        run(async {
            let (near, mut far) = tokio::io::duplex(4096);
            let taker = tokio::spawn(async move {
                let (mut all, mut some) = (0, [0; 1024]);
                loop {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    match far.read(&mut some).await.unwrap() {
                        0 => return all,
                        bytes => all += bytes,
                    }
                }
            });
            let begun = Instant::now();
            let mut taken = Taken::new(near, Patience::new(WHOLE));
            taken.write_all(&[0; 100_000]).await.unwrap();
            drop(taken);
            assert_eq!(taker.await.unwrap(), 100_000);
            assert!(begun.elapsed() > WHOLE * 3, "it took longer than standing still may");
        });
    }
}
