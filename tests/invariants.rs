//! What holds after every fault: each job has exactly one outcome, and the right one; the runner lives, with all its threads;
//! nobody holds memory any more.
//!
//! Jobs of every sort, good and bad, in an order that a seed decides, in runs that end in every way. `TANDEM_TEST_SEED=N` gives
//! another order, `TANDEM_TEST_ROUNDS=N` more runs.

#![allow(clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use support::random::Random;
use support::{SumBelow, gauss};
use tandem::device::{Device, DeviceId, NullDevice, NullSpec};
use tandem::engine::flow::{FlowOptions, Halt};
use tandem::engine::{CancelFlag, Need, Outcome, OutcomeSink};
use tandem::job::{BindContext, Bound, Cause, JobError, JobParams, JobSpec, Terms};
use tandem::kernels::Kernel;
use tandem::model::Location;
use tandem::runner::{Incoming, Job, Runner, StreamOptions};
use tandem::tasks::command::CommandParams;
use tandem::tasks::{Place, Step, Task, TaskContext, Variants};

const THREADS: u32 = 2;
const MEMORY_BYTES: u64 = 1 << 30;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"))
}

/// What a job does, and all that there is.
macro_rules! conducts {
    ($($name:ident),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        enum Conduct {
            $($name),*
        }

        const CONDUCTS: &[Conduct] = &[$($name),*];
    };
}

conducts! {
    SmallKernel,
    LargeKernel,
    KernelPanics,
    ParametersPanicWhenDropped,
    CannotBeBound,
    TaskPanics,
    TaskPanicsWhenDropped,
    TaskPanicsOverItsNeed,
    TaskTakesMemory,
    StagesTakeTurns,
    NeverFits,
    TakesTooLong,
    EitherVariant,
    VariantPanics,
    PanicsWhenSettled,
    CannotBeSettled,
    WorkerAnswers,
    WorkerEnds,
}

use Conduct::*;

/// Workers need a Unix system.
const CONDUCTS_HERE: usize = if cfg!(unix) { CONDUCTS.len() } else { CONDUCTS.len() - 2 };

impl Conduct {
    /// How it ends where nothing comes between: `None` is success.
    fn cause(self) -> Option<Cause> {
        match self {
            SmallKernel | LargeKernel | ParametersPanicWhenDropped | TaskTakesMemory | StagesTakeTurns => None,
            EitherVariant | WorkerAnswers => None,
            KernelPanics | TaskPanics | TaskPanicsWhenDropped | TaskPanicsOverItsNeed => Some(Cause::Panic),
            VariantPanics | PanicsWhenSettled => Some(Cause::Panic),
            WorkerEnds => Some(Cause::ExitCode),
            CannotBeSettled | CannotBeBound => Some(Cause::BadInput),
            NeverFits => Some(Cause::Memory),
            TakesTooLong => Some(Cause::Timeout),
        }
    }

    fn terms(self) -> Terms {
        match self {
            NeverFits => Terms { memory_bytes: Some(MEMORY_BYTES + 1), ..Terms::default() },
            TakesTooLong => Terms { timeout: Some(Duration::from_millis(3)), ..Terms::default() },
            _ => Terms::default(),
        }
    }
}

#[derive(Debug)]
struct Params {
    conduct: Conduct,
    n: u64,
}

impl Drop for Params {
    fn drop(&mut self) {
        if self.conduct == ParametersPanicWhenDropped {
            panic!("parameters that nobody wants any more");
        }
    }
}

impl JobParams for Params {
    fn in_memory(&self) -> bool {
        self.n.is_multiple_of(2)
    }

    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        let kernel = SumBelow::new(1000 + self.n);
        let kernel = match self.conduct {
            SmallKernel | ParametersPanicWhenDropped => kernel,
            LargeKernel => SumBelow { prior_ns_per_unit: 1e6, ..kernel },
            KernelPanics => SumBelow { panic_at: Some(self.n % 1000), prior_ns_per_unit: 1e4, ..kernel },
            TakesTooLong => SumBelow { sleep_ms: 40, prior_ns_per_unit: 1e7, ..kernel },
            CannotBeBound => return Err(JobError::bad_input("as some are")),
            WorkerAnswers => return worker("echo \"$line\"", self.n).bind(context),
            WorkerEnds => return worker("exit 3", self.n).bind(context),
            EitherVariant
            | VariantPanics
            | PanicsWhenSettled
            | CannotBeSettled
            | NeverFits
            | TaskPanics
            | TaskPanicsWhenDropped
            | TaskPanicsOverItsNeed
            | TaskTakesMemory
            | StagesTakeTurns => {
                return Ok(Bound::Task(Box::new(Stage { conduct: self.conduct, n: self.n, left: 3, on: None })));
            }
        };
        Ok(Bound::Kernel(Arc::new(kernel)))
    }
}

/// A question for one of two workers, which do this with its line; the answer is to be the line.
fn worker(script: &str, n: u64) -> CommandParams {
    let argv = ["sh".to_owned(), "-c".to_owned(), format!("while read -r line; do {script}; done")];
    CommandParams::worker(argv, 2, gauss(1000 + n).to_string())
}

struct Stage {
    conduct: Conduct,
    n: u64,
    left: u32,
    /// What it was settled on, where it had a choice.
    on: Option<DeviceId>,
}

impl Stage {
    fn has_choice(&self) -> bool {
        self.on.is_none() && matches!(self.conduct, EitherVariant | VariantPanics | PanicsWhenSettled | CannotBeSettled)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.conduct == TaskPanicsWhenDropped {
            panic!("a task that nobody wants any more");
        }
    }
}

impl Task for Stage {
    fn variants(&self) -> Option<Variants> {
        let name = format!("{:?}", self.conduct).into();
        self.has_choice().then(|| Variants { name, size: 1 + self.n % 5, cpu: true, gpu: !self.n.is_multiple_of(4) })
    }

    fn settle(&self, on: DeviceId) -> Result<Box<dyn Task>, JobError> {
        match self.conduct {
            PanicsWhenSettled => panic!("a task that cannot decide"),
            CannotBeSettled => Err(JobError::bad_input("as some are")),
            _ => Ok(Box::new(Self { conduct: self.conduct, n: self.n, left: self.left, on: Some(on) })),
        }
    }

    fn place(&self) -> Place {
        if let Some(DeviceId::Gpu(index)) = self.on {
            return Place::Gpu(index);
        }
        match (self.conduct, self.left) {
            (StagesTakeTurns, 2) => Place::Waiting,
            (StagesTakeTurns, 1) => Place::Process,
            _ => Place::Compute,
        }
    }

    fn expected_ms(&self) -> f64 {
        // Some run on the spot, some have a turn of their own.
        if self.n.is_multiple_of(3) { 0.01 } else { 5.0 }
    }

    fn need(&self) -> Need {
        match (self.conduct, self.left) {
            (TaskPanicsOverItsNeed, _) => panic!("a task that does not know its need"),
            (TaskTakesMemory, _) => Need::Certain(MEMORY_BYTES / 3),
            (StagesTakeTurns, 1) => Need::Estimated(MEMORY_BYTES * 4),
            (TaskPanics, _) => Need::Learned("panics".into()),
            _ => Need::NONE,
        }
    }

    fn run(mut self: Box<Self>, context: &TaskContext<'_>) -> Result<Step, JobError> {
        if let Some(memory) = context.memory {
            memory.note(1 << 20);
        }
        match self.conduct {
            TaskPanics | TaskPanicsOverItsNeed | VariantPanics => panic!("a task that panics"),
            TaskPanicsWhenDropped => Err(JobError::bad_input("it ends like that")),
            StagesTakeTurns if self.left > 0 => {
                self.left -= 1;
                Ok(Step::Then(self))
            }
            _ => Ok(Step::Done(Box::new(support::Total(gauss(1000 + self.n))))),
        }
    }
}

#[derive(Default)]
struct Sink(Mutex<BTreeMap<u64, Result<String, Cause>>>);

impl OutcomeSink for Sink {
    fn accept(&self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            let result = outcome.result.map(|answer| answer.summary()).map_err(|error| error.cause);
            assert_eq!(self.0.lock().unwrap().insert(outcome.index, result), None, "{} ended twice", outcome.id);
        }
    }
}

/// How a run is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    ByItself,
    Drained,
    Cancelled,
}

/// Fails unless the runner still does what it is for.
fn assert_sound(runner: &Runner) {
    let again = runner.submit(Job::kernel(SumBelow::new(77))).wait();
    assert_eq!(again.result.expect("a good job").summary(), gauss(77).to_string());
    // None gets past this unless every thread has come.
    let meeting = Arc::new(Barrier::new(THREADS as usize));
    let met: Vec<_> = (0..THREADS)
        .map(|_| {
            let meeting = meeting.clone();
            runner.spawn(move || _ = meeting.wait())
        })
        .collect();
    met.into_iter().for_each(|met| met.wait().expect("all threads are there"));
    let begun = Instant::now();
    while runner.engine().reserved_bytes() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{} bytes are held", runner.engine().reserved_bytes());
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let gpu: Arc<dyn Device> = Arc::new(NullDevice::new(NullSpec::gpu(0, 1.0)));
    let runner = Runner::builder().threads(THREADS).memory_bytes(MEMORY_BYTES).model(Location::Nowhere).gpus(vec![gpu]);
    let runner = runner.build().expect("threads");
    let (mut conducts, mut parents) = (Vec::new(), Vec::new());
    for n in 0..200 {
        conducts.push(CONDUCTS[random.below(CONDUCTS_HERE as u64) as usize]);
        parents.push(if n > 0 && random.below(4) == 0 { Some(random.below(n)) } else { None });
    }
    let end = [End::ByItself, End::Drained, End::Cancelled][random.below(3) as usize];
    let halt: Halt = ["never", "never", "soon,fail=9", "now,fail=5"][random.below(4) as usize].parse().expect("a way");
    let retries = random.below(2) as u32;
    let flow = FlowOptions { halt, retries, retry_delay: Duration::from_millis(1), ..FlowOptions::default() };
    let jobs = [None, Some(3)][random.below(2) as usize];
    let ends_after = Duration::from_micros(random.below(30_000));
    let (sink, cancel) = (Arc::new(Sink::default()), CancelFlag::default());
    let mut read = 0;
    let next = || {
        let n: u64 = read;
        let Some(conduct) = conducts.get(n as usize).copied() else { return Incoming::End };
        read += 1;
        let after = parents[n as usize].map(|parent| parent..parent + 1).into_iter().collect();
        let terms = Terms { after, priority: (n % 3) as i32, ..conduct.terms() };
        let params: Box<dyn JobParams> = Box::new(Params { conduct, n });
        let id = format!("{n} {conduct:?}").into();
        Incoming::Job(JobSpec { index: n, id, kind: "sum_below", device: None, terms, content: None, params })
    };
    std::thread::scope(|scope| {
        let (runner, cancel) = (&runner, &cancel);
        if end != End::ByItself {
            scope.spawn(move || {
                std::thread::sleep(ends_after);
                if end == End::Drained {
                    cancel.drain()
                } else {
                    cancel.cancel()
                }
                runner.engine().cancelled();
            });
        }
        runner.stream(
            next,
            BindContext::default(),
            cancel,
            StreamOptions { jobs, flow, ..Default::default() },
            sink.clone(),
        );
    });
    let outcomes = std::mem::take(&mut *sink.0.lock().unwrap());
    let said = format!("seed {seed}, {end:?}, {halt:?}");
    assert_eq!(outcomes.len() as u64, read, "{said}");
    let undisturbed = end == End::ByItself && halt == Halt::default();
    assert!(!undisturbed || read == conducts.len() as u64, "{said}");
    for (n, outcome) in &outcomes {
        let conduct = conducts[*n as usize];
        let parent_failed = parents[*n as usize].is_some_and(|parent| outcomes[&parent].is_err());
        let expected = match (conduct.cause(), parent_failed) {
            (_, true) => Err(Cause::Skipped),
            (None, false) => Ok(gauss(SumBelow::new(1000 + n).work().units).to_string()),
            (Some(cause), false) => Err(cause),
        };
        let cut_short = matches!(outcome, Err(Cause::Cancelled | Cause::NotStarted));
        assert!(
            *outcome == expected || (cut_short && !undisturbed),
            "{said}: {n} {conduct:?}: {outcome:?}, not {expected:?}"
        );
    }
    assert_sound(&runner);
}

#[test]
fn after_every_fault_each_job_has_its_one_outcome_and_the_runner_is_sound() {
    let seed = setting("TANDEM_TEST_SEED", 1);
    let rounds = setting("TANDEM_TEST_ROUNDS", 30);
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for seed in seed..seed + rounds {
            println!("seed {seed}");
            run(seed);
        }
        done.send(()).expect("somebody waits");
    });
    let limit = Duration::from_secs(120 + 10 * rounds);
    ended.recv_timeout(limit).expect("every run ends, as it has to");
}
