//! A thread that writes what workers render, in pieces: when it is idle, or at 64 KiB.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::engine::Outcome;
use crate::job::{Cause, JobError};
use crate::results::Tally;
use crate::results::rendered::{Afterwards, Bytes, Rendered, render};
use crate::results::sink::{OfWritten, Render};

/// What is written at once.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// Where more than this is ready to be written, workers wait for the writer.
const MAX_READY_BYTES: usize = 8 << 20;

/// The writer writes no more often than this, unless a piece has filled up: outcomes that come one by one would wake it for each.
pub(super) const LINGER: Duration = Duration::from_millis(5);

/// What decides which of the rendered outcomes are written next.
pub(super) trait Queue: Send {
    /// Takes a run. Where there is no room for it, in memory or on disk, it is left out, and the rest stands.
    fn put(&mut self, run: Rendered) -> io::Result<()>;
    /// Takes a short run that is in memory, room or not.
    fn hold(&mut self, run: Rendered);
    /// Whether something is to be written now.
    fn ready(&self) -> bool;
    /// Appends what is to be written now, about [`PIECE_BYTES`] of it, to `buffer`, and to `taken` what is to be done once that is
    /// written.
    fn take(&mut self, buffer: &mut Vec<u8>, taken: &mut Vec<Afterwards>) -> io::Result<()>;
    /// How much waits in memory.
    fn memory_bytes(&self) -> usize;
    /// Nothing more will come.
    fn end(&mut self);
}

/// Outcomes on their way through a queue into a stream.
pub(super) struct Pipeline<Q> {
    shared: Arc<Shared<Q>>,
    render: Render,
    pub of_written: Option<OfWritten>,
    tally: Mutex<Tally>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<Q> {
    state: Mutex<State<Q>>,
    /// The writer has something to do.
    work: Condvar,
    /// Workers may put more.
    room: Condvar,
}

struct State<Q> {
    queue: Q,
    writer: Writer,
    ended: bool,
    error: Option<io::Error>,
    broken: bool,
    /// To be called when it breaks; gone once it was.
    on_broken: Option<Box<dyn Fn() + Send + Sync>>,
}

#[derive(PartialEq, Eq)]
enum Writer {
    Idle,
    Lingering,
    Writing,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<Q: Queue + 'static> Pipeline<Q> {
    /// Begins to write to `out`. `on_broken` is called once, when a write fails: nothing more will be written then, so
    /// that the run had better end.
    pub fn new(queue: Q, out: Box<dyn Write + Send>, render: Render, on_broken: Box<dyn Fn() + Send + Sync>) -> Self {
        let on_broken = Some(on_broken);
        let state = State { queue, writer: Writer::Writing, ended: false, error: None, broken: false, on_broken };
        let shared = Arc::new(Shared { state: Mutex::new(state), work: Condvar::new(), room: Condvar::new() });
        let writer = std::thread::Builder::new().name("results".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.write(out)
        });
        if let Err(error) = &writer {
            lock(&shared.state).fail(io::Error::new(error.kind(), format!("no thread to write results: {error}")));
            shared.tell_if_broken();
        }
        Self { shared, render, of_written: None, tally: Mutex::default(), writer: Mutex::new(writer.ok()) }
    }

    /// Takes outcomes, and gives them back as they were written.
    pub fn accept(&self, mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let mut rendered = render(&mut outcomes, &self.render);
        if let (Some(of_written), Ok(runs)) = (self.of_written, &mut rendered) {
            for run in runs {
                let from = outcomes.partition_point(|outcome| outcome.index < run.first);
                run.afterwards = outcomes[from..].iter().take(run.count as usize).filter_map(of_written).collect();
            }
        }
        let mut state = lock(&self.shared.state);
        let put = rendered.and_then(|runs| {
            if state.broken {
                return Ok(());
            }
            runs.into_iter().try_for_each(|run| self.put(&mut state.queue, run, &mut outcomes))
        });
        if let Err(error) = put {
            state.fail(error);
        }
        let wake = match state.writer {
            Writer::Idle => state.queue.ready(),
            Writer::Lingering => state.queue.memory_bytes() >= PIECE_BYTES,
            Writer::Writing => false,
        };
        if wake || state.broken {
            self.shared.work.notify_one();
        }
        let full =
            |state: &mut State<Q>| !state.broken && state.queue.memory_bytes() > MAX_READY_BYTES && state.queue.ready();
        let state = self.shared.room.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        drop(state);
        self.shared.tell_if_broken();
        let mut tally = lock(&self.tally);
        outcomes.iter().for_each(|outcome| tally.add(outcome));
        outcomes
    }

    /// Puts a run into the queue. Where there is no room for it, its outcomes become failed ones, in place.
    fn put(&self, queue: &mut Q, run: Rendered, outcomes: &mut [Outcome]) -> io::Result<()> {
        let (first, count) = (run.first, run.count);
        let Err(error) = queue.put(run) else { return Ok(()) };
        let folder = std::env::temp_dir();
        let message = format!(
            "the result had to wait for a job ahead of it and could not, in a temporary file in {}: {error}: free some \
             space there, or name another folder in TMPDIR, or write to a file with --output",
            folder.display()
        );
        let mut text = Vec::new();
        for outcome in outcomes.iter_mut().filter(|outcome| (first..first + count).contains(&outcome.index)) {
            outcome.result = Err(JobError::new(Cause::Io, message.as_str()));
            (self.render)(outcome, &mut text)?;
        }
        queue.hold(Rendered { first, count, bytes: Bytes::Memory(text), afterwards: Vec::new() });
        Ok(())
    }

    /// Looks at the queue; gives, besides what is seen there, whether nothing more will be written.
    pub fn look<R>(&self, look: impl FnOnce(&mut Q) -> R) -> (R, bool) {
        let mut state = lock(&self.shared.state);
        let over = state.broken || state.ended;
        (look(&mut state.queue), over)
    }

    /// Waits until all is written, and gives the queue back for what is left to do.
    pub fn finish<R>(&self, then: impl FnOnce(&mut Q) -> io::Result<R>) -> io::Result<(Tally, R)> {
        {
            let mut state = lock(&self.shared.state);
            state.ended = true;
            state.queue.end();
            self.shared.work.notify_one();
        }
        if let Some(writer) = lock(&self.writer).take()
            && writer.join().is_err()
        {
            lock(&self.shared.state).fail(io::Error::other("the thread that writes results panicked"));
        }
        let mut state = lock(&self.shared.state);
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        let rest = then(&mut state.queue)?;
        Ok((lock(&self.tally).clone(), rest))
    }
}

/// A pipeline that nobody finished takes its thread with it.
impl<Q> Drop for Pipeline<Q> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.broken = true;
        // Nobody is left to be told.
        state.on_broken = None;
        drop(state);
        self.shared.work.notify_one();
    }
}

impl<Q> State<Q> {
    fn fail(&mut self, error: io::Error) {
        self.broken = true;
        self.error.get_or_insert(error);
    }
}

impl<Q> Shared<Q> {
    /// Tells the run, once, that nothing more will be written.
    fn tell_if_broken(&self) {
        let on_broken = {
            let mut state = lock(&self.state);
            if state.broken { state.on_broken.take() } else { None }
        };
        if let Some(on_broken) = on_broken {
            on_broken();
        }
    }
}

impl<Q: Queue> Shared<Q> {
    /// The writer's life.
    fn write(&self, mut out: Box<dyn Write + Send>) {
        let (mut buffer, mut done) = (Vec::new(), Vec::new());
        let mut written_at = None::<Instant>;
        let mut state = lock(&self.state);
        loop {
            state.writer = Writer::Idle;
            while !state.queue.ready() && !state.ended && !state.broken {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.broken || (state.ended && !state.queue.ready()) {
                break;
            }
            state.writer = Writer::Lingering;
            let wait = |state: &mut State<Q>| !state.ended && !state.broken && state.queue.memory_bytes() < PIECE_BYTES;
            // What comes after a pause is written at once.
            let linger = written_at.map_or(Duration::ZERO, |at| LINGER.saturating_sub(at.elapsed()));
            state = self.work.wait_timeout_while(state, linger, wait).unwrap_or_else(PoisonError::into_inner).0;
            state.writer = Writer::Writing;
            buffer.clear();
            let taken = state.queue.take(&mut buffer, &mut done);
            let last = !state.queue.ready() || !done.is_empty();
            drop(state);
            self.room.notify_all();
            let written =
                taken.and_then(|()| out.write_all(&buffer)).and_then(|()| if last { out.flush() } else { Ok(()) });
            if written.is_ok() {
                done.drain(..).for_each(|afterwards| afterwards());
            }
            written_at = Some(Instant::now());
            state = lock(&self.state);
            if let Err(error) = written {
                state.fail(error);
            }
        }
        drop(state);
        self.room.notify_all();
        self.tell_if_broken();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::succeeded;

    fn outcome(index: u64) -> Outcome {
        Outcome { index, plan: None, ..succeeded() }
    }

    /// Has room for one run, and then for what must be held.
    struct Full(Vec<Rendered>);

    impl Queue for Full {
        fn put(&mut self, run: Rendered) -> io::Result<()> {
            if !self.0.is_empty() {
                return Err(io::Error::other("no space"));
            }
            self.0.push(run);
            Ok(())
        }

        fn hold(&mut self, run: Rendered) {
            self.0.push(run);
        }

        fn ready(&self) -> bool {
            false
        }

        fn take(&mut self, _: &mut Vec<u8>, _: &mut Vec<Afterwards>) -> io::Result<()> {
            Ok(())
        }

        fn memory_bytes(&self) -> usize {
            0
        }

        fn end(&mut self) {}
    }

    #[test]
    fn where_there_is_no_room_the_outcomes_that_need_it_fail_and_the_run_goes_on() {
        let render: Render = Box::new(|outcome, out| {
            let error = outcome.result.as_ref().err().map(|error| error.message.as_str());
            writeln!(out, "{} {}", outcome.index, error.unwrap_or("succeeded"))
        });
        let broken = Box::new(|| panic!("nothing is broken"));
        let pipeline = Pipeline::new(Full(Vec::new()), Box::new(io::sink()), render, broken);
        pipeline.accept(vec![outcome(5)]);
        pipeline.accept(vec![outcome(8), outcome(7)]);
        let (tally, runs) = pipeline.finish(|queue| Ok(std::mem::take(&mut queue.0))).unwrap();
        assert_eq!((tally.jobs, tally.failed), (3, 2));
        let text = |run: &Rendered| match &run.bytes {
            Bytes::Memory(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            Bytes::Disk(_) => panic!("it is short"),
        };
        assert_eq!(text(&runs[0]), "5 succeeded\n");
        let failed = text(&runs[1]);
        let lines: Vec<&str> = failed.lines().collect();
        assert_eq!((runs[1].first, runs[1].count, lines.len()), (7, 2, 2));
        assert!(
            lines[0].starts_with("7 ") && lines[1].starts_with("8 ") && lines[1].contains("no space: free"),
            "{failed}"
        );
    }
}
