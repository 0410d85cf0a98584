//! How many jobs of one run may be under way at once: each has a seat while it is. Those that were let in and wait for memory, or
//! for their like, have none; where they wait for nothing but a seat, they are given the next one that is free.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::Sender;

use crate::engine::message::Message;

/// The seats of a run.
#[derive(Clone)]
pub(crate) struct Seats(Arc<Inner>);

struct Inner {
    max: usize,
    taken: AtomicUsize,
    wished: AtomicUsize,
    sender: Sender<Message>,
}

// One total order of all that is done to the counts: who finds no seat has wished for one before he looks again, and who gives one
// back looks for wishes after.
const ORDER: Ordering = Ordering::SeqCst;

impl Seats {
    pub fn new(max: usize, sender: Sender<Message>) -> Self {
        Self(Arc::new(Inner { max: max.max(1), taken: AtomicUsize::new(0), wished: AtomicUsize::new(0), sender }))
    }

    /// Whether there is one for a job that is let in.
    pub fn has_free(&self) -> bool {
        self.0.taken.load(ORDER) + self.0.wished.load(ORDER) < self.0.max
    }

    /// A seat for a job that is let in, unless there is none that nobody wishes for.
    pub fn take(&self) -> Option<Seat> {
        let wished = self.0.wished.load(ORDER);
        self.0.try_take(wished).then(|| Seat { seats: self.0.clone(), state: State::Taken })
    }
}

impl Inner {
    /// Takes one, where so many are left for others.
    fn try_take(&self, left: usize) -> bool {
        let one_more = |taken: usize| (taken + left < self.max).then_some(taken + 1);
        self.taken.fetch_update(ORDER, ORDER, one_more).is_ok()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Taken,
    Wished,
    Left,
}

/// The seat of a job, or its right to one; dropping it gives it back.
pub(crate) struct Seat {
    seats: Arc<Inner>,
    state: State,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seat").field(&self.state).finish()
    }
}

impl Seat {
    /// The job waits for something else: others may have its seat, and nothing is wished for any more.
    pub fn leave(&mut self) {
        match std::mem::replace(&mut self.state, State::Left) {
            State::Taken => {
                self.seats.taken.fetch_sub(1, ORDER);
                if self.seats.wished.load(ORDER) > 0 {
                    // Where the engine has ended, nobody waits any more.
                    let _ = self.seats.sender.send(Message::PlaceFree);
                }
            }
            State::Wished => _ = self.seats.wished.fetch_sub(1, ORDER),
            State::Left => {}
        }
    }

    /// Whether the job has its seat again, where one is free.
    fn take(&mut self) -> bool {
        if self.state == State::Taken {
            return true;
        }
        let has_one = self.seats.try_take(0);
        if has_one {
            self.leave();
            self.state = State::Taken;
        }
        has_one
    }

    /// The same; where none is free, none is given to a job that comes anew before this one has it, and the coordinator is told
    /// when one is.
    pub fn take_or_wish(&mut self) -> bool {
        if self.take() {
            return true;
        }
        if self.state == State::Left {
            self.seats.wished.fetch_add(1, ORDER);
            self.state = State::Wished;
        }
        self.take()
    }

    /// Whether it waits for one in this way.
    pub fn is_wished(&self) -> bool {
        self.state == State::Wished
    }

    /// Those that it is one of.
    fn seats(&self) -> Seats {
        Seats(self.seats.clone())
    }

    /// Whether it is one of these.
    fn is_of(&self, seats: &Seats) -> bool {
        Arc::ptr_eq(&self.seats, &seats.0)
    }
}

/// The runs that have been found to have no free seat: of each, the first that finds none wishes for one, and the others wait.
#[derive(Default)]
pub(crate) struct Seatless(Vec<Seats>);

impl Seatless {
    /// Whether this job has its seat again.
    pub fn take_or_wish(&mut self, seat: &mut Seat) -> bool {
        if self.0.iter().any(|seats| seat.is_of(seats)) {
            return false;
        }
        let has_one = seat.take_or_wish();
        if !has_one {
            self.0.push(seat.seats());
        }
        has_one
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_nothing_but_a_seat_comes_before_who_comes_anew_and_is_told() {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let seats = Seats::new(2, sender);
        let (mut first, second) = (seats.take().unwrap(), seats.take().unwrap());
        assert!(seats.take().is_none());
        first.leave();
        let third = seats.take().unwrap();
        assert!(!first.take() && receiver.is_empty(), "nobody wished for one");
        assert!(!first.take_or_wish());
        drop(second);
        assert!(matches!(receiver.try_recv(), Ok(Message::PlaceFree)));
        assert!(seats.take().is_none(), "it is wished for");
        assert!(first.take_or_wish() && first.take());
        drop(third);
        assert!(seats.take().is_some() && receiver.is_empty());
    }

    #[test]
    fn a_wish_goes_with_its_job() {
        let seats = Seats::new(1, crossbeam_channel::unbounded().0);
        let mut first = seats.take().unwrap();
        first.leave();
        let second = seats.take().unwrap();
        assert!(!first.take_or_wish());
        drop(second);
        assert!(seats.take().is_none());
        drop(first);
        assert!(seats.take().is_some());
    }
}
