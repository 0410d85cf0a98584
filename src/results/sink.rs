//! Where the outcomes of a run go, and results in the order of the jobs.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::engine::{Outcome, OutcomeSink};
use crate::results::pipeline::Pipeline;
use crate::results::rendered::Afterwards;
use crate::results::{Ordered, Tally};

/// Turns an outcome into what is written of it.
pub type Render = Box<dyn Fn(&Outcome, &mut dyn Write) -> io::Result<()> + Send + Sync>;

/// What is to be done once this outcome is written.
pub type OfWritten = fn(&Outcome) -> Option<Afterwards>;

/// Where the outcomes of a run go.
pub trait RunResults: OutcomeSink {
    /// Takes outcomes, as [`accept`](OutcomeSink::accept) does, and gives them back as they stand in the results: one that
    /// could not be kept has failed.
    fn settle(&self, outcomes: Vec<Outcome>) -> Vec<Outcome>;

    /// Writes what is left, when every job has ended, and tells how many there were.
    ///
    /// # Errors
    /// The first that befell a write; what came after it was dropped.
    fn finish(&self) -> io::Result<Tally>;

    /// The same where the run has ended before all its jobs were looked at. Where what earlier runs have left would be lost by
    /// that, the results stay as they are, for a later run to go on with, and the file is named that then holds those of this
    /// one.
    ///
    /// # Errors
    /// As above.
    fn finish_early(&self) -> io::Result<(Tally, Option<PathBuf>)> {
        Ok((self.finish()?, None))
    }
}

/// Results in the order of the jobs.
///
/// Outcomes are rendered on the workers that bring them, held back while a job ahead of them runs (past a limit on
/// disk), and written by a thread of their own, in pieces. A reader that is slower than the jobs slows them down.
pub struct Results(Pipeline<Ordered>);

impl Results {
    /// Results that go to `out`, rendered by `render`. `due` are the indices of the jobs of the run, ascending: `0..` for
    /// all of a job file. No more than `max_held_bytes` wait in memory for a slow job ahead. `on_broken` is called when
    /// `out` takes no more: it should end the run.
    pub fn new(
        out: Box<dyn Write + Send>,
        due: Box<dyn Iterator<Item = u64> + Send>,
        max_held_bytes: usize,
        render: Render,
        on_broken: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self(Pipeline::new(Ordered::new(due, max_held_bytes), out, render, on_broken))
    }

    /// The same, and this is done for each outcome once it is written; where it never is, it is dropped.
    #[must_use]
    pub fn with_afterwards(mut self, of: OfWritten) -> Self {
        self.0.of_written = Some(of);
        self
    }
}

impl OutcomeSink for Results {
    fn accept(&self, outcomes: Vec<Outcome>) {
        self.0.accept(outcomes);
    }
}

impl RunResults for Results {
    fn settle(&self, outcomes: Vec<Outcome>) -> Vec<Outcome> {
        self.0.accept(outcomes)
    }

    fn finish(&self) -> io::Result<Tally> {
        Ok(self.0.finish(|_| Ok(()))?.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, mpsc};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::report::examples::succeeded;
    use crate::results::pipeline::LINGER;

    fn outcome(index: u64) -> Outcome {
        Outcome { index, plan: None, ..succeeded() }
    }

    fn number() -> Render {
        Box::new(|outcome, out| writeln!(out, "{}", outcome.index))
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_first_job_holds_the_others_back_and_all_come_in_order() {
        let kept = Kept::default();
        let results = Results::new(Box::new(kept.clone()), Box::new(0..), 1000, number(), Box::new(|| {}));
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let results = &results;
                scope.spawn(move || {
                    (1..1000).filter(|i| i % 4 == worker).for_each(|i| results.accept(vec![outcome(i)]))
                });
            }
        });
        std::thread::sleep(5 * LINGER);
        assert!(kept.0.lock().unwrap().is_empty());
        results.accept(vec![outcome(0)]);
        assert_eq!(results.finish().unwrap().jobs, 1000);
        let expected: String = (0..1000).map(|i| format!("{i}\n")).collect();
        assert_eq!(String::from_utf8(kept.0.lock().unwrap().clone()).unwrap(), expected);
    }

    #[test]
    fn an_outcome_leaves_soon_though_nothing_follows_it() {
        struct Tell(mpsc::Sender<Vec<u8>>);
        impl Write for Tell {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.send(bytes.to_vec()).unwrap();
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (sender, receiver) = mpsc::channel();
        let results = Results::new(Box::new(Tell(sender)), Box::new(0..), 1000, number(), Box::new(|| {}));
        results.accept(vec![outcome(0)]);
        assert_eq!(receiver.recv_timeout(Duration::from_secs(10)).unwrap(), b"0\n");
        results.finish().unwrap();
    }

    #[test]
    fn a_closed_pipe_is_told_once_to_the_run_and_once_at_the_end() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let told = Arc::new(AtomicUsize::new(0));
        let on_broken = {
            let told = told.clone();
            Box::new(move || {
                told.fetch_add(1, Ordering::Relaxed);
            })
        };
        let results = Results::new(Box::new(Closed), Box::new(0..), 1000, number(), on_broken);
        results.accept(vec![outcome(0)]);
        // Without another outcome to learn it from.
        let start = Instant::now();
        while told.load(Ordering::Relaxed) == 0 && start.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(LINGER);
        }
        (1..10).for_each(|index| results.accept(vec![outcome(index)]));
        assert_eq!(results.finish().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_slow_reader_slows_the_workers_and_memory_stays_bounded() {
        struct Gate(mpsc::Receiver<()>);
        impl Write for Gate {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                // It opens when the test drops the sender.
                let _ = self.0.recv();
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (open, gate) = mpsc::channel();
        let render: Render = Box::new(|_, out| out.write_all(&[b'x'; 1 << 20]));
        let results = Results::new(Box::new(Gate(gate)), Box::new(0..), 1 << 30, render, Box::new(|| {}));
        let accepted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for index in 0..50 {
                    results.accept(vec![outcome(index)]);
                    accepted.fetch_add(1, Ordering::Relaxed);
                }
            });
            std::thread::sleep(Duration::from_millis(200));
            assert!(accepted.load(Ordering::Relaxed) < 20);
            drop(open);
        });
        assert_eq!(results.finish().unwrap().jobs, 50);
    }
}
