//! A submitted job, to be waited for.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};

use crate::engine::{CancelFlag, Outcome, OutcomeSink};

#[derive(Debug)]
enum Slot<T> {
    Waiting(Option<Waker>),
    Ready(T),
    Taken,
}

/// Where one value is put by a worker and taken by whoever waits: by blocking, by asking, or as a future.
#[derive(Debug)]
pub(crate) struct Promise<T> {
    slot: Mutex<Slot<T>>,
    ready: Condvar,
}

impl<T> Promise<T> {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { slot: Mutex::new(Slot::Waiting(None)), ready: Condvar::new() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slot<T>> {
        self.slot.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Puts the value; the first one stays.
    pub fn put(&self, value: T) {
        let mut slot = self.lock();
        if let Slot::Waiting(waker) = &mut *slot {
            let waker = waker.take();
            *slot = Slot::Ready(value);
            drop(slot);
            self.ready.notify_all();
            if let Some(waker) = waker {
                // A waker is the executor's code.
                let _ = crate::engine::catch(|| waker.wake());
            }
        }
    }

    fn take(slot: &mut Slot<T>) -> Option<T> {
        match std::mem::replace(slot, Slot::Taken) {
            Slot::Ready(value) => Some(value),
            other => {
                *slot = other;
                None
            }
        }
    }

    pub fn wait(&self) -> T {
        let slot = self.lock();
        let mut slot = self
            .ready
            .wait_while(slot, |slot| matches!(slot, Slot::Waiting(_)))
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        Self::take(&mut slot).expect("a value is waited for once, and not after it was taken")
    }

    pub fn try_take(&self) -> Option<T> {
        Self::take(&mut self.lock())
    }

    /// The value, if it is there, which stays.
    pub fn peek(&self) -> Option<T>
    where
        T: Clone,
    {
        match &*self.lock() {
            Slot::Ready(value) => Some(value.clone()),
            Slot::Waiting(_) | Slot::Taken => None,
        }
    }

    pub fn poll(&self, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.lock();
        if let Some(value) = Self::take(&mut slot) {
            return Poll::Ready(value);
        }
        match &mut *slot {
            Slot::Waiting(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            Slot::Ready(_) | Slot::Taken => panic!("polled after it was ready"),
        }
    }
}

impl OutcomeSink for Promise<Outcome> {
    fn accept(&self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            self.put(outcome);
        }
    }
}

/// A job that was submitted. Dropping the handle lets the job run on; its outcome is then nobody's.
///
/// It is a [`Future`] too, of the job's outcome, for any executor: no thread of it is blocked.
pub struct JobHandle {
    pub(crate) promise: Arc<Promise<Outcome>>,
    pub(crate) cancel: CancelFlag,
    /// Tells the engine to look at the flag.
    pub(crate) wake: Arc<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for JobHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobHandle").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

impl JobHandle {
    /// Waits for the job to end.
    pub fn wait(self) -> Outcome {
        self.promise.wait()
    }

    /// The outcome, if the job has ended; without waiting, and as often as one likes.
    pub fn try_outcome(&self) -> Option<Outcome> {
        self.promise.peek()
    }

    /// Asks for the job to be cancelled: it ends with cause [`Cancelled`](crate::job::Cause::Cancelled), unless it ends by
    /// itself before. What it has in flight runs to the edge of its chunk, unseen.
    pub fn cancel(&self) {
        self.cancel.cancel();
        (self.wake)();
    }
}

impl Future for JobHandle {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        self.promise.poll(context)
    }
}

/// A closure that was spawned. A [`Future`] too.
#[derive(Debug)]
pub struct TaskHandle<T> {
    pub(crate) promise: Arc<Promise<Result<T, crate::job::JobError>>>,
}

impl<T> TaskHandle<T> {
    /// Waits for the closure to return.
    ///
    /// # Errors
    /// With cause [`Panic`](crate::job::Cause::Panic) and the panic's message and place, where it panicked.
    ///
    /// # Panics
    /// Where the result was taken already.
    pub fn wait(self) -> Result<T, crate::job::JobError> {
        self.promise.wait()
    }

    /// What the closure returned, if it has; without waiting. It is given once.
    pub fn try_result(&mut self) -> Option<Result<T, crate::job::JobError>> {
        self.promise.try_take()
    }
}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, crate::job::JobError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.promise.poll(context)
    }
}
