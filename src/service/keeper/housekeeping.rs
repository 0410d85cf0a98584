//! What has its time: tries, deadlines, what is kept no longer, and ends that could not be written down.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::journal::{JournalError, Kept, State};
use crate::service::clock::{after_ms, wall_ms};
use crate::service::events::Event;
use crate::service::keeper::{DiskWork, Keeper};
use crate::service::options::Keep;

/// What is kept no longer is looked for so often, and what could not be written is tried again.
const ROUND: Duration = Duration::from_secs(1);

/// What was learned is saved so often, and at the end.
const SAVED: Duration = Duration::from_secs(60);

impl Keeper {
    /// Starts the thread that looks at the clock.
    pub(super) fn keep_house(self: &Arc<Self>) -> Result<(), JournalError> {
        let keeper = Arc::downgrade(self);
        self.thread("tandem-house", move || keep_house(&keeper))
    }

    /// Has the clock looked at now.
    pub(super) fn wake_housekeeper(&self) {
        let (wakes, condvar) = &self.wake;
        *wakes.lock().unwrap_or_else(PoisonError::into_inner) = true;
        condvar.notify_one();
    }

    /// Waits until there is something to look at.
    fn wait_for_work(&self, longest: Duration) {
        let due = self.live().due().map(|due| due.saturating_sub(self.now()));
        let wait = due.map_or(longest, |due| due.min(longest)).max(Duration::from_millis(1));
        let (wakes, condvar) = &self.wake;
        let wakes = wakes.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = condvar.wait_timeout_while(wakes, wait, |wakes| !*wakes);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }

    fn look_at_the_clock(self: &Arc<Self>) {
        let now = self.now();
        let expired = {
            let mut live = self.live();
            let (queued, at_ms) = (live.retry_due(now), wall_ms());
            let events: Vec<Event> = queued.into_iter().map(|seq| Event { seq, state: State::Queued, at_ms }).collect();
            // While nobody else can begin or end them: that is told after this.
            self.events.publish(&events);
            live.expire_due(now)
        };
        for seq in expired {
            self.end_early(seq, State::Expired);
        }
        self.feed();
    }

    /// Writes what could not be written, and forgets what is kept no longer.
    fn round(self: &Arc<Self>) {
        let unsaved = std::mem::take(&mut *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner));
        self.write_ends(unsaved);
        let _ = self.room.send(DiskWork::Tidy);
        let aside: Vec<_> = self.runner.engine().set_aside().into_iter().map(|(device, _)| device).collect();
        let due = self.resting.lock().unwrap_or_else(PoisonError::into_inner).due(&aside, self.now());
        for device in due {
            tracing::info!(%device, "a device that had failed is tried again");
            self.runner.engine().try_again(device);
        }
        let Keep { time, jobs, bytes } = self.options.keep;
        let since_ms = time.filter(|_| self.believes_the_clock()).map(|time| wall_ms() - after_ms(0, time));
        self.forget(Kept { since_ms, jobs, bytes });
    }

    fn believes_the_clock(&self) -> bool {
        self.belief.lock().unwrap_or_else(PoisonError::into_inner).is_believed(wall_ms(), self.now())
    }

    fn forget(self: &Arc<Self>, kept: Kept) {
        let keeper = Arc::downgrade(self);
        let spared = self.live().named();
        let forgotten = move |forgotten: Result<Vec<Option<String>>, JournalError>| {
            let forgotten = forgotten.unwrap_or_default();
            let Some(keeper) = keeper.upgrade() else { return };
            forgotten.iter().flatten().for_each(|files| keeper.uploads.remove(&keeper.uploads.files_of(Some(files))));
            // There is only so much in one go.
            if !forgotten.is_empty() {
                keeper.forget(kept);
            }
        };
        self.journal.forget(kept, spared, Box::new(forgotten));
    }
}

fn keep_house(keeper: &Weak<Keeper>) {
    // Looking for GPUs takes a moment that no plan of a single job would spend; here every later one gains by it.
    if let Some(keeper) = keeper.upgrade() {
        // A driver may take its time over it, and the clock is not to wait.
        let looking = std::thread::Builder::new().name("tandem-look".to_owned());
        let _ = looking.spawn(move || _ = keeper.runner.engine().devices().gpus());
    }
    let (mut last, mut saved) = (Instant::now(), Instant::now());
    loop {
        let Some(keeper) = keeper.upgrade() else { return };
        if keeper.is_over.load(Ordering::Acquire) {
            return;
        }
        keeper.wait_for_work(ROUND.saturating_sub(last.elapsed()).max(Duration::from_millis(10)));
        keeper.look_at_the_clock();
        if last.elapsed() >= ROUND {
            last = Instant::now();
            keeper.round();
        }
        if saved.elapsed() >= SAVED {
            saved = Instant::now();
            for warning in keeper.runner.engine().save_model() {
                tracing::warn!("{}", warning.0);
            }
        }
    }
}
