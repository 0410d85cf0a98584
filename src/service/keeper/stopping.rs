//! How it ends: what runs may go on for a while, what waits stays on disk, and what has not ended runs at the next start.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::journal::Released;
use crate::service::keeper::Keeper;

/// So long what was cancelled may take over it.
const RELEASE: Duration = Duration::from_secs(10);

impl Keeper {
    /// Takes nothing more in, and gives nothing more to the engine.
    pub fn begin_draining(&self) {
        self.live().is_draining = true;
        // What the engine has not begun goes back to the queue.
        self.run.drain();
        self.runner.engine().cancelled();
    }

    /// Waits for what runs, so long at most, and has the rest end; returns when all is written down. Gives how many jobs stay, to be run at the
    /// next start. It blocks.
    pub fn stop(self: &Arc<Self>, drain: Duration, is_urgent: &dyn Fn() -> bool) -> usize {
        self.begin_draining();
        let wait_for = |time: Duration, is_urgent: &dyn Fn() -> bool| {
            let until = Instant::now() + time;
            while !self.live().is_settled() && Instant::now() < until && !is_urgent() {
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        wait_for(drain, is_urgent);
        self.live().is_releasing = true;
        if !self.live().is_settled() {
            self.run.cancel();
            self.runner.engine().cancelled();
            wait_for(RELEASE, &|| false);
        }
        // Once more, since there is no later.
        let unsaved = std::mem::take(&mut *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner));
        self.write_ends(unsaved);
        // Whatever is left has been interrupted: it has taken nothing down.
        self.journal().release(self.live().waiting(), Released::Interrupted);
        self.is_over.store(true, Ordering::Release);
        self.wake_housekeeper();
        let (told, written) = std::sync::mpsc::channel();
        self.journal.flush(Box::new(move |_| _ = told.send(())));
        let _ = written.recv_timeout(RELEASE);
        self.live().len()
    }
}
