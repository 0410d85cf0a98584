//! Tables in the making: whoever needs them takes the next part of them, so that all lanes of a job make them together, and whoever is no
//! longer wanted stops after the part at hand.

use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::kernels::primes::combinatorial::prime_counts::{self, PrimeCounts};
use crate::kernels::primes::combinatorial::shape::Shape;
use crate::kernels::primes::combinatorial::tables::{Tables, factors};

/// How long who waits for the parts of others goes without a look at whether he is still wanted.
const LOOK_MS: u64 = 20;
/// What a part has of the words of prime counts, and of the factors: some milliseconds of work each.
const PART_WORDS: u64 = 1 << 16;
const PART_FACTORS: u64 = 1 << 19;

/// The tables for a π(n), once they are there, and what there is of them before.
#[derive(Debug, Default)]
pub(super) struct Making {
    tables: OnceLock<Box<Tables>>,
    state: Mutex<State>,
    /// A part was ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    begun: bool,
    /// What nobody has taken yet.
    left: Vec<Part>,
    in_work: usize,
    made: Made,
}

/// Pieces of the tables, in any order, each with where it begins.
#[derive(Debug, Default)]
struct Made {
    words: Vec<(u64, Vec<u64>)>,
    factors: Vec<(u64, Vec<i32>)>,
}

/// What one thread does at a time.
#[derive(Clone, Debug)]
enum Part {
    /// Words of prime counts.
    Words(Range<u64>),
    /// Factors of these numbers.
    Factors(Range<u64>),
    /// The whole, of its pieces.
    Whole,
}

impl Making {
    /// The tables; makes what is missing of them.
    pub fn tables(&self, shape: &Shape) -> &Tables {
        self.help(shape, &|| true);
        self.tables.get().expect("they are made by now")
    }

    /// Makes parts of the tables until all are there, or `is_wanted` says no; it is asked after every part.
    pub fn help(&self, shape: &Shape, is_wanted: &dyn Fn() -> bool) {
        while self.tables.get().is_none() && is_wanted() {
            let mut state = self.state();
            if !state.begun {
                state.begun = true;
                state.left = parts(shape);
            }
            let Some(part) = state.left.pop() else {
                // Others are at the last ones, of which there may be one more yet: the whole.
                if self.tables.get().is_none() {
                    drop(self.ended.wait_timeout(state, Duration::from_millis(LOOK_MS)));
                }
                continue;
            };
            state.in_work += 1;
            drop(state);
            Taken { of: self, part: Some(part) }.make(shape);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is changed under the lock is whole again before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parts(shape: &Shape) -> Vec<Part> {
    let pieces = |end: u64, len: u64| (0..end).step_by(len as usize).map(move |start| start..end.min(start + len));
    let words = pieces(prime_counts::words_up_to(Tables::counted_to(shape)), PART_WORDS);
    let factors = pieces(shape.y + 1, PART_FACTORS);
    words.map(Part::Words).chain(factors.map(Part::Factors)).collect()
}

/// A part that somebody is at. Where he does not end it, since he panics, another can.
struct Taken<'m> {
    of: &'m Making,
    part: Option<Part>,
}

impl Taken<'_> {
    fn make(mut self, shape: &Shape) {
        match self.part.as_ref().expect("it was taken") {
            Part::Words(words) => {
                let piece = (words.start, prime_counts::sieved(words.clone()));
                self.end(|state| state.made.words.push(piece));
            }
            Part::Factors(numbers) => {
                let piece = (numbers.start, factors(numbers.clone()));
                self.end(|state| state.made.factors.push(piece));
            }
            Part::Whole => {
                let Made { words, factors } = std::mem::take(&mut self.of.state().made);
                let counts = PrimeCounts::of(in_order(words));
                let tables = Tables::new(shape, counts, in_order(factors));
                // Nobody else makes the whole.
                let _ = self.of.tables.set(Box::new(tables));
                self.end(|_| {});
            }
        }
    }

    fn end(&mut self, note: impl FnOnce(&mut State)) {
        let is_whole = matches!(self.part.take(), Some(Part::Whole));
        let mut state = self.of.state();
        note(&mut state);
        state.in_work -= 1;
        if state.left.is_empty() && state.in_work == 0 && !is_whole {
            state.left.push(Part::Whole);
        }
        self.of.ended.notify_all();
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Some(part) = self.part.take() else { return };
        let mut state = self.of.state();
        state.in_work -= 1;
        match part {
            // Its pieces are gone.
            Part::Whole => *state = State::default(),
            part => state.left.push(part),
        }
        self.of.ended.notify_all();
    }
}

/// Pieces as one, each of which is let go when it has been taken over.
fn in_order<T: Copy>(mut pieces: Vec<(u64, Vec<T>)>) -> Vec<T> {
    pieces.sort_unstable_by_key(|(start, _)| *start);
    let mut all = Vec::with_capacity(pieces.iter().map(|(_, piece)| piece.len()).sum());
    for (start, piece) in pieces {
        debug_assert_eq!(start, all.len() as u64, "no piece is missing");
        all.extend_from_slice(&piece);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Large enough for several parts of both kinds.
    fn shape() -> Shape {
        let shape = Shape::new(5_000_000_000_000_000);
        let parts = parts(&shape);
        let words = parts.iter().filter(|part| matches!(part, Part::Words(_))).count();
        assert!(words > 3 && parts.len() - words > 1, "{words} of {}", parts.len());
        shape
    }

    #[test]
    fn many_threads_make_the_tables_that_one_makes() {
        let shape = shape();
        let alone = Making::default();
        let expected = alone.tables(&shape);
        let together = Making::default();
        std::thread::scope(|scope| {
            let helpers: Vec<_> =
                (0..3).map(|_| scope.spawn(|| std::ptr::from_ref(together.tables(&shape)) as usize)).collect();
            let places: Vec<usize> = helpers.into_iter().map(|helper| helper.join().unwrap()).collect();
            assert!(places.iter().all(|place| *place == places[0]), "there is one of them");
        });
        assert!(together.tables(&shape) == expected);
    }

    #[test]
    fn who_is_no_longer_wanted_stops_after_a_part_and_others_go_on() {
        let shape = shape();
        let making = Making::default();
        let asked = AtomicU64::new(0);
        making.help(&shape, &|| asked.fetch_add(1, Ordering::Relaxed) < 2);
        assert!(making.tables.get().is_none());
        assert_eq!(making.state().left.len(), parts(&shape).len() - 2, "two parts were made");
        making.help(&shape, &|| false);
        assert_eq!(making.state().left.len(), parts(&shape).len() - 2);
        assert!(making.tables(&shape) == Making::default().tables(&shape));
    }

    #[test]
    fn a_part_that_was_not_ended_is_made_by_another() {
        let shape = shape();
        let making = Making::default();
        making.help(&shape, &{
            let asked = AtomicU64::new(0);
            move || asked.fetch_add(1, Ordering::Relaxed) < 1
        });
        let left = making.state().left.len();
        let part = making.state().left.pop();
        making.state().in_work += 1;
        drop(Taken { of: &making, part });
        assert_eq!(making.state().left.len(), left);
        assert_eq!(making.state().in_work, 0);
        // Nor is the whole lost.
        making.state().in_work += 1;
        drop(Taken { of: &making, part: Some(Part::Whole) });
        assert!(making.tables(&shape) == Making::default().tables(&shape));
    }
}
