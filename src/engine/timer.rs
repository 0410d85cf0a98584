//! Ends jobs that take longer than they were given.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::engine::cancel::{CancelFlag, WeakFlag};
use crate::engine::message::Message;

/// Past so many, those whose jobs have ended are taken out.
const TIDY_LEN: usize = 1 << 14;

/// Looks at the clock on behalf of running jobs. Its thread is started with the first.
pub(crate) struct Timer {
    shared: Arc<Shared>,
    sender: Sender<Message>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    due: BinaryHeap<Reverse<Due>>,
    tidy_at: usize,
    running: bool,
    closed: bool,
}

struct Due {
    at: Instant,
    limit: Duration,
    flag: WeakFlag,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timer {
    /// A timer that tells the coordinator by `sender`.
    pub fn new(sender: Sender<Message>) -> Self {
        Self { shared: Arc::default(), sender }
    }

    /// From now on, the job of this flag has so long.
    pub fn watch(&self, flag: &CancelFlag, limit: Duration) {
        let Some(at) = Instant::now().checked_add(limit) else { return };
        let mut state = self.shared.lock();
        if state.due.len() >= state.tidy_at.max(TIDY_LEN) {
            state.due.retain(|Reverse(due)| due.flag.upgrade().is_some());
            state.tidy_at = 2 * state.due.len();
        }
        state.due.push(Reverse(Due { at, limit, flag: flag.downgrade() }));
        if !state.running {
            let (shared, sender) = (self.shared.clone(), self.sender.clone());
            let started = std::thread::Builder::new().name("tandem-timer".into()).spawn(move || run(&shared, &sender));
            // Without a thread there are no time-outs; the next job tries again.
            state.running = started.is_ok();
        }
        drop(state);
        self.shared.changed.notify_one();
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

fn run(shared: &Shared, sender: &Sender<Message>) {
    let mut state = shared.lock();
    while !state.closed {
        let now = Instant::now();
        let mut any = false;
        while let Some(Reverse(due)) = state.due.peek()
            && due.at <= now
        {
            if let Some(Reverse(due)) = state.due.pop()
                && let Some(flag) = due.flag.upgrade()
            {
                flag.time_out(due.limit);
                any = true;
            }
        }
        if any {
            let _ = sender.send(Message::Cancelled);
        }
        let wait = state.due.peek().map_or(Duration::MAX, |Reverse(due)| due.at.saturating_duration_since(now));
        state = shared
            .changed
            .wait_timeout(state, wait.min(Duration::from_secs(3600)))
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}
