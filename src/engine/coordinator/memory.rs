//! Jobs that need memory worth speaking of wait here until the budget has it for them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Coordinator;
use crate::device::{DeviceId, free_memory_bytes};
use crate::engine::batch::Bound;
use crate::engine::budget::{Budget, FREE_PART, Need};
use crate::engine::message::Item;
use crate::engine::panics;
use crate::engine::reservation::Reservation;
use crate::engine::seats::{Seat, Seatless};
use crate::engine::stage::Staged;
use crate::engine::ticket::Ticket;
use crate::job::{Cause, JobError};
use crate::kernels::DynKernel;
use crate::report::figures::bytes;
use crate::tasks::{MemoryUse, Place};

/// How often running programs are looked at while others wait for what they will take.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// Jobs that have their memory and wait for a lane, for every lane: more would keep memory from others for nothing.
const READY_PER_LANE: usize = 1;

/// A job that has no memory yet.
pub(super) enum Parked {
    Stage(Staged),
    Large(Bound),
}

impl Parked {
    fn ticket(&mut self) -> &mut Ticket {
        match self {
            Self::Stage(staged) => &mut staged.ticket,
            Self::Large(bound) => &mut bound.ticket,
        }
    }

    /// What it was settled on, and how long it is expected to run there, in milliseconds.
    fn settled(&self) -> Option<(DeviceId, f64)> {
        match self {
            Self::Stage(staged) => staged.settled_on().map(|device| (device, staged.expected_ms().clamp(0.0, 1e9))),
            Self::Large(_) => None,
        }
    }

    pub fn is_refused(&self) -> bool {
        match self {
            Self::Stage(staged) => staged.is_refused(),
            Self::Large(bound) => bound.ticket.is_refused(),
        }
    }
}

/// The budget, and who waits for it.
#[derive(Default)]
pub(super) struct Memory {
    /// Made when the first asks, since what is free has to be looked up.
    budget: Option<Budget>,
    /// By key, with its turn.
    pub parked: HashMap<u64, (u64, Parked)>,
    /// The programs that hold some, to be looked at while they run.
    watched: HashMap<u64, Arc<MemoryUse>>,
    /// When it was last looked at those.
    looked: Option<Instant>,
    /// How long those are expected to run that were settled on a device and wait here, in milliseconds.
    settled_ms: HashMap<DeviceId, f64>,
    /// Those that wait for nothing but a seat and wish for one.
    wishing: Vec<u64>,
}

impl Memory {
    /// How long until the next look at what programs hold, though nothing may have ended; `None` where nobody waits for that.
    pub fn next_look(&self) -> Option<Duration> {
        self.budget.as_ref().filter(|budget| budget.wants_looks())?;
        Some(self.looked.map_or(Duration::ZERO, |looked| LOOK.saturating_sub(looked.elapsed())))
    }

    pub fn is_idle(&self) -> bool {
        self.parked.is_empty()
    }

    /// How long what was settled on this device and waits here is expected to run there, in milliseconds.
    pub fn parked_ms(&self, device: DeviceId) -> f64 {
        self.settled_ms.get(&device).copied().unwrap_or(0.0)
    }

    fn insert(&mut self, key: u64, order: u64, parked: Parked) {
        if let Some((device, ms)) = parked.settled() {
            *self.settled_ms.entry(device).or_default() += ms;
        }
        self.parked.insert(key, (order, parked));
    }

    /// Takes note that this one waits no longer.
    fn went(settled_ms: &mut HashMap<DeviceId, f64>, parked: &Parked) {
        if let Some((device, ms)) = parked.settled()
            && let Some(sum) = settled_ms.get_mut(&device)
        {
            *sum = (*sum - ms).max(0.0);
        }
    }

    /// How many bound jobs of a class wait here.
    pub fn parked_of(&self, is_of_class: impl Fn(&Bound) -> bool) -> usize {
        let is = |parked: &&(u64, Parked)| matches!(&parked.1, Parked::Large(bound) if is_of_class(bound));
        self.parked.values().filter(is).count()
    }
}

impl Coordinator {
    fn budget(&mut self) -> &mut Budget {
        let limit = self.shared.settings.memory_bytes;
        self.memory.budget.get_or_insert_with(|| {
            // Where a system does not tell what is free, nothing is held back.
            let free = || free_memory_bytes().map_or(u64::MAX, |free| (free as f64 * FREE_PART) as u64);
            Budget::new(limit.unwrap_or_else(free))
        })
    }

    /// Lets a job wait for the memory that it needs.
    pub(super) fn park(&mut self, order: u64, need: Need, mut parked: Parked) {
        let key = self.key();
        let now = self.begun.elapsed();
        let reservation = Reservation::new(key, self.sender.clone());
        if let Need::Learned(name) = &need {
            let known = if self.budget().has_heard_of(name) { None } else { self.shared.memory_of(name) };
            if let Some((bytes, runs)) = known {
                self.budget().hear(name, bytes, runs);
            }
            self.memory.watched.insert(key, reservation.memory.clone());
        }
        if let Err(never) = self.budget().ask(key, order, need, now) {
            let message = format!(
                "it needs {} of memory, and this run may take no more than {}: allow more with --memory, or run it on a \
                 larger machine",
                bytes(never.bytes),
                bytes(never.limit_bytes)
            );
            return self.fail_parked(parked, JobError::new(Cause::Memory, message));
        }
        parked.ticket().reserved = Some(reservation);
        self.memory.insert(key, order, parked);
        self.begin_parked(None);
        // Only now, so that what finds its memory at once does not have to find a seat again.
        if let Some(seat) = seat_of(&mut self.memory.parked, key) {
            seat.leave();
        }
    }

    /// The next job that waits and has its memory now, and a seat, where it would not only wait elsewhere with them. (Those that do
    /// so end some time, which is when this is asked again.)
    fn next_parked(&mut self, free_bytes: Option<u64>) -> Option<u64> {
        let now = self.begun.elapsed();
        let ready_max = self.threads() as usize * READY_PER_LANE;
        let lanes_are_taken = self.on_lanes.next.reserved() >= ready_max;
        let (waiting, processes) = (&self.waiting, self.processes.as_ref());
        let awaited_gpus = self.awaited_gpus();
        let Memory { budget, parked, wishing, .. } = &mut self.memory;
        let parked = RefCell::new(parked);
        let has_place = |key: u64| {
            let parked = parked.borrow();
            let Some((_, Parked::Stage(staged))) = parked.get(&key) else { return true };
            match (staged.place(), processes) {
                (Place::Process, Some(processes)) => !processes.is_taken(),
                (Place::Compute | Place::Process, _) => !lanes_are_taken,
                (Place::Waiting, _) => !waiting.is_taken(),
                (Place::Gpu(index), _) => !awaited_gpus.contains(&index),
            }
        };
        let (mut seatless, mut still_wishing) = (Seatless::default(), Vec::new());
        let takes_seat = |key: u64| {
            let mut parked = parked.borrow_mut();
            let Some(seat) = seat_of(&mut parked, key) else { return true };
            let has_one = seatless.take_or_wish(seat);
            if seat.is_wished() {
                still_wishing.push(key);
            }
            has_one
        };
        let next = budget.as_mut()?.begin(now, free_bytes, has_place, takes_seat);
        if next.is_some() {
            wishing.append(&mut still_wishing);
        } else {
            // Of the others, what they need has gone to somebody else meanwhile.
            for key in std::mem::replace(wishing, still_wishing) {
                if !wishing.contains(&key)
                    && let Some(seat) = seat_of(&mut parked.borrow_mut(), key)
                {
                    seat.leave();
                }
            }
        }
        next
    }

    /// The GPUs that somebody waits for who has his memory: one for each is enough, as one runs there at a time.
    fn awaited_gpus(&self) -> Vec<u32> {
        let index = |item: &Item| match item {
            Item::OnGpu(staged) if staged.ticket.reserved.is_some() => match staged.place() {
                Place::Gpu(index) => Some(index),
                _ => None,
            },
            _ => None,
        };
        self.items.values().filter_map(index).collect()
    }

    /// Begins what waits and has its memory now.
    pub(super) fn begin_parked(&mut self, free_bytes: Option<u64>) {
        while let Some(key) = self.next_parked(free_bytes) {
            let begins = self.memory.parked.remove(&key);
            if let Some((_, parked)) = &begins {
                Memory::went(&mut self.memory.settled_ms, parked);
            }
            match begins {
                Some((order, Parked::Stage(staged))) => self.admit_stage_in_turn(staged, order),
                Some((_, Parked::Large(bound))) => self.admit_large(bound),
                None => debug_assert!(false, "a job that waits for memory is parked"),
            }
        }
        self.tell_reserved();
    }

    /// A job has given back what it held.
    pub(super) fn released(&mut self, key: u64, succeeded: bool, peak_bytes: Option<u64>) {
        self.memory.watched.remove(&key);
        let Some(budget) = &mut self.memory.budget else { return };
        // One that never had any may have kept others from passing it.
        let ended = budget.end(key, peak_bytes, succeeded);
        if let (Some(name), Some(bytes), true) = (ended.and_then(|ended| ended.name), peak_bytes, succeeded) {
            self.shared.learn_memory(&name, bytes);
        }
        self.begin_parked(None);
    }

    /// Looks at what runs and at what is free, for those that wait to see it.
    pub(super) fn look_at_memory(&mut self) {
        self.memory.looked = Some(Instant::now());
        let now = self.begun.elapsed();
        if let Some(budget) = &mut self.memory.budget {
            for (key, memory) in &self.memory.watched {
                budget.observe(*key, memory.current_bytes(), now);
            }
        }
        self.begin_parked(Some(free_memory_bytes().unwrap_or(u64::MAX)));
    }

    /// Takes out what is not to begin any more.
    pub(super) fn take_refused_parked(&mut self) -> Vec<Parked> {
        let refused = self.memory.parked.extract_if(|_, (_, parked)| parked.is_refused());
        let refused: Vec<_> = refused.collect();
        let now = self.begun.elapsed();
        let forget = |(key, (order, parked)): (u64, (u64, Parked))| {
            Memory::went(&mut self.memory.settled_ms, &parked);
            if let Some(budget) = &mut self.memory.budget {
                budget.forget(key, order, now);
            }
            parked
        };
        refused.into_iter().map(forget).collect()
    }

    /// Ends a job that has not begun.
    pub(super) fn fail_parked(&mut self, parked: Parked, error: JobError) {
        match parked {
            Parked::Stage(staged) => self.fail_stage(staged, error),
            Parked::Large(bound) => self.fail_ticket(bound.ticket, error, None),
        }
    }

    /// Keeps what others read of the budget up to date.
    fn tell_reserved(&self) {
        let (reserved, limit) =
            self.memory.budget.as_ref().map_or((0, u64::MAX), |budget| (budget.reserved_bytes(), budget.limit_bytes()));
        if let Some(recorder) = self.shared.recorder.get() {
            recorder.memory(reserved, limit);
        }
        self.shared.reserved_bytes.store(reserved, Ordering::Relaxed);
        self.shared.room_bytes.store(limit.saturating_sub(reserved), Ordering::Relaxed);
    }
}

/// The seat of a job that waits, where those of its run are counted.
fn seat_of(parked: &mut HashMap<u64, (u64, Parked)>, key: u64) -> Option<&mut Seat> {
    parked.get_mut(&key).and_then(|(_, parked)| parked.ticket().seat.as_mut())
}

/// What a bound job has to be given of the memory, on so many threads: what it says, or room for the answer that it gathers and for
/// large partials; `None` where that is nothing, or it holds its share.
pub(super) fn wanted_by(bound: &Bound, threads: u32) -> Option<Need> {
    if bound.ticket.reserved.is_some() {
        return None;
    }
    let estimated = || {
        let answer = (bound.work.bytes_out_per_unit.max(0.0) * bound.work.units as f64) as u64;
        // Beside that of each thread, the merged one.
        let partial = panics::catch(|| bound.kernel.partial_bytes()).unwrap_or(0);
        let partials = partial.saturating_mul(u64::from(threads) + 1);
        // Which way it goes is decided when there is room for it.
        let shared = |kernel: &dyn DynKernel| kernel.shared_bytes();
        let other = || bound.kernel.other_way().map_or(0, |other| shared(&*other));
        let shared = panics::catch(|| shared(&**bound.kernel).max(other())).unwrap_or(0);
        Need::Estimated(answer.saturating_add(partials).saturating_add(shared))
    };
    bound.ticket.memory_bytes.map(Need::Certain).or_else(|| Some(estimated()).filter(|need| !need.is_small()))
}
