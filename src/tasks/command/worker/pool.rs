//! The workers of a run: those that are idle wait here for their next job.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::engine::attend;
use crate::tasks::command::process::Program;
use crate::tasks::command::worker::link::{Worker, end_all};

/// How many workers one pool may be asked to have.
pub(in crate::tasks::command) const POOL_WORKERS_MAX: u32 = 1000;

/// A worker that had nothing to do for so long is ended.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// So many workers are kept idle, of all pools together, where no pool alone has more: a file may have as many pools as jobs.
const IDLE_WORKERS_MAX: usize = 64;

/// How often idle workers are looked after.
const LOOK: Duration = Duration::from_millis(100);

/// Pools are looked through for such as nobody uses any more once there are so many.
const POOLS_TIDY_AT: usize = 1024;

/// Jobs of the same program, environment, folder and number of workers share a pool.
#[derive(Debug)]
pub(in crate::tasks::command) struct Pool {
    /// No other pool of this process has it.
    pub number: u64,
    pub program: Program,
    /// Its workers, at most.
    pub workers_max: u32,
}

/// The workers of a run, shared by who holds it; the last to let go of it ends them.
#[derive(Clone, Default)]
pub(crate) struct Workers(Arc<Owner>);

#[derive(Default)]
struct Owner(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// The keeper sleeps on it.
    changed: Condvar,
    idle_max: Duration,
}

impl Default for Shared {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), idle_max: IDLE_MAX }
    }
}

#[derive(Default)]
struct State {
    pools: HashMap<(Program, u32), Arc<Pool>>,
    tidy_at: usize,
    /// The longest idle first.
    idle: Vec<Idle>,
    /// To be ended by the keeper.
    leaving: Vec<Worker>,
    /// Who looks after the idle ones; there once there was one.
    keeper: Option<JoinHandle<()>>,
    /// Whether it waits to be woken.
    keeper_sleeps: bool,
    closed: bool,
}

struct Idle {
    pool: u64,
    worker: Worker,
    since: Instant,
    /// What it was seen to hold of the memory.
    bytes: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // What it guards is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} idle workers", self.0.0.lock().idle.len())
    }
}

impl Workers {
    /// The pool of this program.
    pub(in crate::tasks::command) fn pool(&self, program: Program, workers_max: u32) -> Arc<Pool> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut state = self.0.0.lock();
        let key = (program, workers_max);
        if let Some(pool) = state.pools.get(&key) {
            return pool.clone();
        }
        if state.pools.len() >= state.tidy_at.max(POOLS_TIDY_AT) {
            let State { pools, idle, .. } = &mut *state;
            pools.retain(|_, pool| Arc::strong_count(pool) > 1 || idle.iter().any(|idle| idle.pool == pool.number));
            state.tidy_at = 2 * state.pools.len();
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let pool = Arc::new(Pool { number, program: key.0.clone(), workers_max });
        state.pools.insert(key, pool.clone());
        pool
    }

    /// An idle worker of this pool that is well, if there is one, and what it was seen to hold of the memory.
    pub(super) fn take(&self, pool: &Pool) -> Option<(Worker, u64)> {
        let mut state = self.0.0.lock();
        loop {
            // The one that was busy last, so that those too many grow old.
            let at = state.idle.iter().rposition(|idle| idle.pool == pool.number)?;
            let mut idle = state.idle.remove(at);
            if idle.worker.is_sound() {
                return Some((idle.worker, idle.bytes));
            }
            state.leave(idle.worker);
            self.wake(&mut state);
        }
    }

    /// Keeps a worker that has answered for the next job of its pool.
    pub(super) fn keep(&self, pool: &Pool, worker: Worker, bytes: u64) {
        let mut state = self.0.0.lock();
        let since = Instant::now();
        state.idle.push(Idle { pool: pool.number, worker, since, bytes });
        if state.idle.len() > IDLE_WORKERS_MAX.max(pool.workers_max as usize) {
            let oldest = state.idle.remove(0);
            state.leave(oldest.worker);
        }
        if state.keeper.is_none() {
            let shared = self.0.0.clone();
            // Without it they live until the end of the run, and are looked after when they are taken.
            state.keeper = attend("tandem-workers", move || look_after(&shared)).ok();
        }
        self.wake(&mut state);
    }

    /// Ends those that were idle for longest until the others hold no more than `room_bytes`: nobody has reserved memory for them,
    /// and who calls this is about to take what he has reserved.
    pub(crate) fn make_room(&self, room_bytes: u64) {
        let done = {
            let mut state = self.0.0.lock();
            let mut held: u64 = state.idle.iter().map(|idle| idle.bytes).sum();
            let mut too_many = 0;
            while held > room_bytes {
                held -= state.idle[too_many].bytes;
                too_many += 1;
            }
            state.idle.drain(..too_many).map(|idle| idle.worker).collect::<Vec<_>>()
        };
        end_all(done);
    }

    fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.keeper_sleeps) {
            self.0.0.changed.notify_one();
        }
    }

    #[cfg(test)]
    fn with_idle_max(idle_max: Duration) -> Self {
        Self(Arc::new(Owner(Arc::new(Shared { idle_max, ..Shared::default() }))))
    }
}

impl State {
    /// A worker is to end; by the hand of the keeper, since that may take a while.
    fn leave(&mut self, worker: Worker) {
        self.leaving.push(worker);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let (workers, keeper) = {
            let mut state = self.0.lock();
            state.closed = true;
            let mut workers = std::mem::take(&mut state.leaving);
            workers.extend(std::mem::take(&mut state.idle).into_iter().map(|idle| idle.worker));
            (workers, state.keeper.take())
        };
        self.0.changed.notify_all();
        end_all(workers);
        if let Some(keeper) = keeper {
            // It does not panic; if it did, there is nobody to tell.
            let _ = keeper.join();
        }
    }
}

/// Reads what idle workers print, so that none is held up by it, and ends those that have been idle for long or are no good
/// any more.
fn look_after(shared: &Shared) {
    let mut state = shared.lock();
    while !state.closed {
        let is_done = |idle: &mut Idle| idle.since.elapsed() > shared.idle_max || !idle.worker.is_sound();
        let done: Vec<Idle> = state.idle.extract_if(.., is_done).collect();
        let mut leaving = std::mem::take(&mut state.leaving);
        leaving.extend(done.into_iter().map(|idle| idle.worker));
        if !leaving.is_empty() {
            drop(state);
            end_all(leaving);
            state = shared.lock();
            continue;
        }
        state.keeper_sleeps = state.idle.is_empty();
        state = if state.keeper_sleeps {
            shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
        } else {
            shared.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0
        };
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::engine::CancelFlag;
    use crate::tasks::TaskContext;
    use crate::tasks::command::capture::Capture;
    use crate::tasks::command::worker::protocol::Exchange;
    use crate::tasks::spill::Spill;

    const ECHO: &str = "while read -r line; do printf '%s\\n' \"$line\"; done";

    fn program(script: &str) -> Program {
        let argv = ["sh", "-c", script].map(Into::into).into();
        Program { argv, stdin: None, env: Vec::new(), cwd: None }
    }

    fn start(pool: &Pool) -> Worker {
        Worker::start(pool.program.command().unwrap()).unwrap()
    }

    fn ask(worker: Worker, question: &str) -> (Worker, String) {
        let mut stderr = Capture::new(Spill { folder: None, name: "x".to_owned() });
        let cancel = CancelFlag::default();
        let context = TaskContext::new("a", 0, &cancel, None);
        worker.ask(Exchange::new(question, 100), &mut stderr, &context).0.unwrap()
    }

    fn idle(workers: &Workers) -> usize {
        workers.0.0.lock().idle.len()
    }

    #[test]
    fn a_worker_is_kept_for_the_jobs_of_its_own_pool() {
        let workers = Workers::default();
        let (one, other) = (workers.pool(program(ECHO), 1), workers.pool(program(ECHO), 2));
        assert_eq!(workers.pool(program(ECHO), 1).number, one.number);
        assert_ne!(one.number, other.number);
        let (worker, answer) = ask(start(&one), "[1]");
        assert_eq!(answer, "[1]");
        workers.keep(&one, worker, 7);
        assert!(workers.take(&other).is_none());
        let (worker, answer) = ask(workers.take(&one).expect("it is kept").0, "2");
        assert_eq!((answer.as_str(), idle(&workers)), ("2", 0));
        workers.keep(&one, worker, 7);
    }

    #[test]
    fn what_is_no_good_any_more_is_not_taken() {
        let workers = Workers::default();
        for script in
            ["read l; echo 1", "read l; echo 1; sleep 0.1; echo 2; sleep 60", "read l; echo 1; exec >&-; sleep 60"]
        {
            let pool = workers.pool(program(script), 1);
            let (worker, _) = ask(start(&pool), "0");
            std::thread::sleep(Duration::from_millis(400));
            workers.keep(&pool, worker, 7);
            assert!(workers.take(&pool).is_none(), "{script}");
        }
    }

    #[test]
    fn workers_that_are_idle_for_long_are_ended_and_a_flood_holds_none_up() {
        let workers = Workers::with_idle_max(Duration::from_millis(300));
        let flood = "read l; echo 1; head -c 3000000 /dev/zero >&2; read l; echo 2; read l";
        let pool = workers.pool(program(flood), 1);
        let (worker, _) = ask(start(&pool), "0");
        workers.keep(&pool, worker, 7);
        let (worker, answer) = ask(workers.take(&pool).expect("it is kept").0, "0");
        assert_eq!(answer, "2");
        workers.keep(&pool, worker, 7);
        let begun = Instant::now();
        while idle(&workers) > 0 {
            assert!(begun.elapsed().as_secs() < 20);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn where_room_is_wanted_those_idle_for_longest_go_until_there_is() {
        let workers = Workers::default();
        let pools = ["read l; echo 1; read l", "read l; echo 2; read l", "read l; echo 3; read l"];
        let pools = pools.map(|script| workers.pool(program(script), 1));
        for pool in &pools {
            let (worker, _) = ask(start(pool), "0");
            workers.keep(pool, worker, 100);
        }
        workers.make_room(300);
        assert_eq!(idle(&workers), 3);
        workers.make_room(199);
        assert_eq!(idle(&workers), 1);
        assert_eq!(workers.take(&pools[2]).map(|(_, bytes)| bytes), Some(100), "the last one stays");
    }

    #[test]
    fn pools_that_nobody_uses_are_forgotten() {
        let workers = Workers::default();
        let kept = workers.pool(program("kept"), 1);
        for n in 0..3 * POOLS_TIDY_AT {
            workers.pool(program(&n.to_string()), 1);
        }
        assert!(workers.0.0.lock().pools.len() <= POOLS_TIDY_AT + 1);
        assert_eq!(workers.pool(program("kept"), 1).number, kept.number);
    }
}
