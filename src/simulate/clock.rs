//! What ends when: the discrete-event clock. Threads of the CPU share what it can do, so what runs on them goes on faster or
//! slower as others begin and end; all else ends when it was said to.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Something that ends. Heaps move their elements about, so what it is lies elsewhere.
#[derive(Clone, Copy, Debug)]
struct Ends {
    /// In milliseconds; of what runs on threads, of the time of a thread that works alone.
    at_ms: f64,
    /// Of two that end together, the one that began first comes first.
    serial: u64,
    place: u32,
}

impl PartialEq for Ends {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ends {}

impl PartialOrd for Ends {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ends {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at_ms.total_cmp(&other.at_ms).then(self.serial.cmp(&other.serial))
    }
}

/// The clock.
#[derive(Debug)]
pub(super) struct Clock<T> {
    now_ms: f64,
    /// How far a thread has come that has been working since the begin.
    threads_ms: f64,
    /// What each thread more is worth beside one that works alone.
    efficiency: f64,
    on_threads: BinaryHeap<Reverse<Ends>>,
    others: BinaryHeap<Reverse<Ends>>,
    serial: u64,
    /// What goes on, by its place, and places that are free.
    what: Vec<T>,
    free: Vec<u32>,
}

impl<T: Copy> Clock<T> {
    /// A clock at 0, of a CPU where each thread more is worth so much beside one that works alone.
    pub fn new(efficiency: f64) -> Self {
        let efficiency = if efficiency.is_nan() { 1.0 } else { efficiency.clamp(0.0, 1.0) };
        Self {
            now_ms: 0.0,
            threads_ms: 0.0,
            efficiency,
            on_threads: BinaryHeap::new(),
            others: BinaryHeap::new(),
            serial: 0,
            what: Vec::new(),
            free: Vec::new(),
        }
    }

    pub fn now_ms(&self) -> f64 {
        self.now_ms
    }

    /// `what` begins on a thread of the CPU, and takes so long for one that works alone.
    pub fn begin_on_thread(&mut self, ms: f64, what: T) {
        let ends = self.ends(self.threads_ms + sane(ms), what);
        self.on_threads.push(Reverse(ends));
    }

    /// `what` begins elsewhere, and takes so long.
    pub fn begin(&mut self, ms: f64, what: T) {
        let ends = self.ends(self.now_ms + sane(ms), what);
        self.others.push(Reverse(ends));
    }

    fn ends(&mut self, at_ms: f64, what: T) -> Ends {
        self.serial += 1;
        let place = match self.free.pop() {
            Some(place) => {
                self.what[place as usize] = what;
                place
            }
            None => {
                self.what.push(what);
                (self.what.len() - 1) as u32
            }
        };
        Ends { at_ms, serial: self.serial, place }
    }

    fn ended(&mut self, place: u32) -> T {
        self.free.push(place);
        self.what[place as usize]
    }

    /// Goes on to what ends next.
    pub fn next(&mut self) -> Option<T> {
        let thread_ms = self.on_threads.peek().map(|Reverse(ends)| {
            let left_ms = (ends.at_ms - self.threads_ms).max(0.0);
            self.now_ms + left_ms / self.pace()
        });
        let other_ms = self.others.peek().map(|Reverse(ends)| ends.at_ms);
        let on_thread = match (thread_ms, other_ms) {
            (None, None) => return None,
            (Some(thread_ms), Some(other_ms)) => thread_ms <= other_ms,
            (thread_ms, _) => thread_ms.is_some(),
        };
        let at_ms = if on_thread { thread_ms } else { other_ms }?;
        if on_thread {
            let Reverse(ends) = self.on_threads.pop()?;
            self.threads_ms = self.threads_ms.max(ends.at_ms);
            self.now_ms = self.now_ms.max(at_ms);
            return Some(self.ended(ends.place));
        }
        if !self.on_threads.is_empty() {
            self.threads_ms += (at_ms - self.now_ms).max(0.0) * self.pace();
        }
        self.now_ms = self.now_ms.max(at_ms);
        let Reverse(ends) = self.others.pop()?;
        Some(self.ended(ends.place))
    }

    /// How fast each thread is, beside one that works alone.
    fn pace(&self) -> f64 {
        let busy = self.on_threads.len().max(1) as f64;
        (1.0 + (busy - 1.0) * self.efficiency) / busy
    }
}

fn sane(ms: f64) -> f64 {
    if ms.is_nan() { crate::model::LONGEST_MS } else { ms.clamp(0.0, crate::model::LONGEST_MS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mut clock: Clock<u32>) -> Vec<(u32, f64)> {
        std::iter::from_fn(|| clock.next().map(|what| (what, (clock.now_ms() * 1e6).round() / 1e6))).collect()
    }

    #[test]
    fn threads_share_what_the_cpu_can_do() {
        let mut clock = Clock::new(0.5);
        clock.begin_on_thread(3.0, 1);
        clock.begin_on_thread(6.0, 2);
        // Two together are worth 1.5: the first is done after 4 ms, and the other goes on alone.
        assert_eq!(run(clock), [(1, 4.0), (2, 7.0)]);
    }

    #[test]
    fn what_runs_elsewhere_slows_nobody_and_ties_keep_their_order() {
        let mut clock = Clock::new(0.5);
        clock.begin(2.0, 1);
        clock.begin(2.0, 2);
        clock.begin_on_thread(2.0, 3);
        clock.begin(1.0, 4);
        assert_eq!(run(clock), [(4, 1.0), (3, 2.0), (1, 2.0), (2, 2.0)]);
    }
}
