//! Threads outside the CPU pool, for what waits: for a process, a network, a disk. There are as many as wait at once.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::lanes::own_thread;
use crate::engine::panics;

/// How long a thread stays when nobody has anything for it.
const IDLE: Duration = Duration::from_secs(5);

/// Something to do that mostly waits.
pub(crate) type Errand = Box<dyn FnOnce() + Send>;

/// The threads. Dropping it lets those end that wait for an errand, and the others when theirs is done.
pub(crate) struct Outside {
    shared: Arc<Shared>,
    engine: u64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    errands: VecDeque<Errand>,
    idle: usize,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outside {
    pub fn new(engine: u64) -> Self {
        Self { shared: Arc::default(), engine }
    }

    /// Does this at once, on a thread that has nothing to do or on a new one.
    ///
    /// # Errors
    /// Where the system refuses a thread; the errand was not begun.
    pub fn spawn(&self, errand: Errand) -> io::Result<()> {
        let mut state = self.shared.lock();
        if state.idle <= state.errands.len() {
            let (shared, engine) = (self.shared.clone(), self.engine);
            std::thread::Builder::new().name("tandem-wait".into()).spawn(move || {
                own_thread(engine);
                run(&shared);
            })?;
        }
        state.errands.push_back(errand);
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

fn run(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        if let Some(errand) = state.errands.pop_front() {
            drop(state);
            let _ = panics::catch(errand);
            state = shared.lock();
            continue;
        }
        if state.closed {
            return;
        }
        state.idle += 1;
        let (after, waited) = shared.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
        state = after;
        state.idle -= 1;
        if waited.timed_out() && state.errands.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn as_many_errands_run_at_once_as_there_are_and_a_panic_ends_none_of_the_others() {
        let outside = Outside::new(0);
        let (meet, met) = (Arc::new(std::sync::Barrier::new(20)), mpsc::channel());
        for round in 0..3 {
            for _ in 0..20 {
                let (meet, told) = (meet.clone(), met.0.clone());
                let errand = move || {
                    // None gets past this unless all twenty run.
                    meet.wait();
                    told.send(round).unwrap();
                    panic!("as some errands do");
                };
                outside.spawn(Box::new(errand)).unwrap();
            }
            for _ in 0..20 {
                assert_eq!(met.1.recv_timeout(Duration::from_secs(30)), Ok(round));
            }
        }
    }

    #[test]
    fn what_was_begun_is_done_though_nobody_holds_the_threads_any_more() {
        let (told, done) = mpsc::channel();
        let outside = Outside::new(0);
        outside.spawn(Box::new(move || told.send(()).unwrap())).unwrap();
        drop(outside);
        done.recv_timeout(Duration::from_secs(30)).unwrap();
    }
}
