//! What benches that time a kernel's folds share: threads that take chunks, and times.

use std::hint::black_box;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Hands chunks of `chunk` units, `len` in all, to threads, each of which works on a state of its own.
pub fn on_threads<S: Default + Send>(
    threads: usize,
    len: u64,
    chunk: u64,
    work: impl Fn(Range<u64>, &mut S) + Sync,
) -> Vec<S> {
    let next = AtomicU64::new(0);
    let worker = || {
        let mut state = S::default();
        loop {
            let start = next.fetch_add(chunk, Ordering::Relaxed);
            if start >= len {
                return state;
            }
            work(start..(start + chunk).min(len), &mut state);
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
        let mut states = vec![worker()];
        states.extend(others.into_iter().map(|other| other.join().expect("a worker that ends")));
        states
    })
}

/// How long it runs, in milliseconds.
pub fn timed_ms<R>(run: impl FnOnce() -> R) -> f64 {
    let start = Instant::now();
    black_box(run());
    start.elapsed().as_secs_f64() * 1e3
}

/// The middle one; of an even count, the greater of both.
pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
