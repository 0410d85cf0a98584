//! Copying into staging memory, by one thread or by several.
//!
//! One thread copies some 10 GB/s, which is less than what a link of a large GPU takes. Several copy faster where they have CPUs
//! and memory to spare; where lanes keep all CPUs busy, waiting for the slowest of them costs more than it gains. Which of
//! the two it is is measured, again and again.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};
use wgpu::WriteOnly;

/// What is smaller is copied before other threads have woken up.
const SHARED_BYTES_MIN: usize = 1 << 20;
/// What a thread copies before it takes more.
const PART_BYTES: usize = 64 << 10;

/// Copies, on so many threads at most.
#[derive(Debug)]
pub(super) struct Copier {
    threads: usize,
    least_bytes: usize,
    /// Threads besides the caller's; made when first wanted, none where the system refuses them.
    helpers: Option<ThreadPool>,
    pace: Pace,
}

impl Copier {
    /// One that copies on up to `threads` threads what has `least_bytes` or more.
    pub fn new(threads: usize, least_bytes: Option<usize>) -> Self {
        let least_bytes = least_bytes.unwrap_or(SHARED_BYTES_MIN).max(1);
        Self { threads: threads.max(1), least_bytes, helpers: None, pace: Pace::default() }
    }

    /// Copies all of `from` to `to`, which is as long.
    pub fn copy(&mut self, from: &[u8], mut to: WriteOnly<'_, [u8]>) {
        if self.threads == 1 || from.len() < self.least_bytes {
            return to.copy_from_slice(from);
        }
        let way = self.pace.next();
        let start = Instant::now();
        match way {
            Way::Alone => to.copy_from_slice(from),
            Way::Shared => self.share(from, to),
        }
        self.pace.took(way, from.len(), start.elapsed());
    }

    fn share(&mut self, from: &[u8], mut to: WriteOnly<'_, [u8]>) {
        if self.helpers.is_none() {
            let pool = ThreadPoolBuilder::new()
                .num_threads(self.threads - 1)
                .thread_name(|index| format!("tandem-upload-{index}"))
                .build();
            let Ok(pool) = pool else {
                self.threads = 1;
                return to.copy_from_slice(from);
            };
            self.helpers = Some(pool);
        }
        let Some(helpers) = &self.helpers else { return to.copy_from_slice(from) };
        // Arrays, since slices to write to cannot be sent to other threads.
        let (rooms, mut room_of_rest) = to.into_chunks::<PART_BYTES>();
        let (parts, rest) = from.as_chunks::<PART_BYTES>();
        let parts: Mutex<Vec<_>> = Mutex::new(parts.iter().zip(rooms).collect());
        let copy_parts = || {
            // The lock is held for a pop alone, which does not panic.
            while let Some((part, room)) = parts.lock().ok().and_then(|mut parts| parts.pop()) {
                WriteOnly::<[u8]>::from(room).copy_from_slice(part);
            }
        };
        helpers.in_place_scope(|scope| {
            for _ in 1..self.threads {
                scope.spawn(|_| copy_parts());
            }
            room_of_rest.copy_from_slice(rest);
            copy_parts();
        });
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Alone,
    Shared,
}

/// Which way is the faster one: both are tried in turns for the first pieces of a round, and the faster one takes the others. Pure.
#[derive(Debug, Default)]
struct Pace {
    piece: u32,
    alone: Rate,
    shared: Rate,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    bytes: f64,
    seconds: f64,
}

impl Pace {
    /// Pieces of a round, and how many of them are tries.
    const ROUND: u32 = 128;
    const TRIES: u32 = 8;

    fn next(&self) -> Way {
        let shared_is_faster = self.shared.seconds * self.alone.bytes < self.alone.seconds * self.shared.bytes;
        match self.piece {
            piece if piece >= Self::TRIES && shared_is_faster => Way::Shared,
            piece if piece >= Self::TRIES => Way::Alone,
            piece if piece % 2 == 1 => Way::Shared,
            _ => Way::Alone,
        }
    }

    fn took(&mut self, way: Way, bytes: usize, time: Duration) {
        if self.piece < Self::TRIES {
            let rate = if way == Way::Shared { &mut self.shared } else { &mut self.alone };
            // The first piece of all starts threads and touches new memory.
            if self.piece >= 2 {
                rate.bytes += bytes as f64;
                rate.seconds += time.as_secs_f64();
            }
        }
        self.piece += 1;
        if self.piece == Self::ROUND {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_copied_on_any_number_of_threads() {
        for threads in [1, 2, 3, 7] {
            let mut copier = Copier::new(threads, Some(3));
            // Enough of them that each way is taken, by turns and by pace.
            for len in (0..40).chain([PART_BYTES - 1, PART_BYTES, 3 * PART_BYTES + 1]).cycle().take(300) {
                let from: Vec<u8> = (0..len).map(|i| (i * 31 + 7 + len) as u8).collect();
                let mut to = vec![0u8; len];
                copier.copy(&from, WriteOnly::from_mut(&mut to[..]));
                assert!(from == to, "{len} bytes on {threads} threads");
            }
        }
    }

    #[test]
    fn the_faster_way_is_taken_and_tried_anew_when_a_round_is_over() {
        // Seconds a byte, alone and shared, in each round.
        for (round, (alone, shared)) in [(3e-9, 1e-9), (1e-9, 3e-9), (2e-9, 1e-9)].into_iter().enumerate() {
            let mut pace = Pace::default();
            let mut taken = [0, 0];
            for _ in 0..Pace::ROUND {
                let way = pace.next();
                taken[usize::from(way == Way::Shared)] += 1;
                let seconds = if way == Way::Shared { shared } else { alone };
                pace.took(way, 1 << 22, Duration::from_secs_f64(seconds * f64::from(1 << 22)));
            }
            let slower = taken[usize::from(shared > alone)];
            assert_eq!(slower, Pace::TRIES / 2, "round {round}: {taken:?}");
            assert_eq!(pace.piece, 0);
        }
    }
}
