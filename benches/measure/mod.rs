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

/// How long the calling thread computes in it, in milliseconds: what others do on a shared machine does not count, but for what they
/// take of caches and memory. Where the system does not tell, how long it runs.
#[allow(dead_code, reason = "not for all benches")]
pub fn computed_ms<R>(run: impl FnOnce() -> R) -> f64 {
    match thread_cpu_ms() {
        Some(start) => {
            black_box(run());
            thread_cpu_ms().map_or(f64::NAN, |end| end - start)
        }
        None => timed_ms(run),
    }
}

#[cfg(target_os = "linux")]
fn thread_cpu_ms() -> Option<f64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes to the place that it is given.
    let told = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    (told == 0).then(|| time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6)
}

#[cfg(not(target_os = "linux"))]
fn thread_cpu_ms() -> Option<f64> {
    None
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
