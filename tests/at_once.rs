//! `--jobs N` for users of the library: no more jobs of a run are under way at once than it was given, whatever they wait for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tandem::device::DeviceId;
use tandem::engine::{CancelFlag, Need, Outcome, OutcomeSink};
use tandem::job::{BindContext, Bound, JobError, JobParams, JobSpec, Terms};
use tandem::kernels::Answer;
use tandem::model::Location;
use tandem::runner::{Incoming, Runner, StreamOptions, Streamed};
use tandem::tasks::{AtOnce, Place, Step, Task, TaskContext, Variants};

const MEMORY_BYTES: u64 = 1 << 30;

/// How many run, and how many did at most.
#[derive(Debug, Default)]
struct Running {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A job that only takes its time.
#[derive(Clone, Debug)]
struct Sleeps {
    ms: u64,
    place: Place,
    memory_bytes: u64,
    at_once: Option<AtOnce>,
    has_variants: bool,
    running: Arc<Running>,
}

impl JobParams for Sleeps {
    fn in_memory(&self) -> bool {
        true
    }

    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Task(Box::new(self.clone())))
    }
}

#[derive(Debug)]
struct Slept;

impl Answer for Slept {
    fn summary(&self) -> String {
        "slept".to_owned()
    }

    fn write_json(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        out.write_all(b"null")
    }

    fn write_text(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        out.write_all(b"slept\n")
    }
}

impl Task for Sleeps {
    fn place(&self) -> Place {
        self.place
    }

    fn expected_ms(&self) -> f64 {
        10.0
    }

    fn need(&self) -> Need {
        if self.memory_bytes == 0 { Need::NONE } else { Need::Certain(self.memory_bytes) }
    }

    fn at_once(&self) -> Option<AtOnce> {
        self.at_once
    }

    fn variants(&self) -> Option<Variants> {
        self.has_variants.then(|| Variants { name: "sleeps".into(), size: 1, cpu: true, gpu: false })
    }

    fn settle(&self, _: DeviceId) -> Result<Box<dyn Task>, JobError> {
        Ok(Box::new(Self { has_variants: false, ..self.clone() }))
    }

    fn run(self: Box<Self>, _: &TaskContext<'_>) -> Result<Step, JobError> {
        let now = self.running.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.running.most.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(self.ms));
        self.running.now.fetch_sub(1, Ordering::SeqCst);
        Ok(Step::Done(Box::new(Slept)))
    }
}

#[derive(Default)]
struct Ended(Mutex<Vec<u64>>);

impl OutcomeSink for Ended {
    fn accept(&self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            assert!(outcome.result.is_ok(), "{:?}", outcome.result.err());
            self.0.lock().unwrap().push(outcome.index);
        }
    }
}

/// Runs these jobs on so many threads, `jobs` of them at once, and gives how many ran at once at most.
fn most_at_once(threads: u32, jobs: usize, sleeps: Vec<Sleeps>, running: &Running) -> usize {
    let builder =
        Runner::builder().threads(threads).memory_bytes(MEMORY_BYTES).model(Location::Nowhere).gpus(Vec::new());
    let runner = builder.build().expect("threads");
    let (count, ended) = (sleeps.len(), Arc::new(Ended::default()));
    let mut specs = (0..).zip(sleeps).map(|(index, sleeps)| JobSpec {
        index,
        id: index.to_string().into(),
        kind: "sleeps",
        device: None,
        terms: Terms::default(),
        content: None,
        params: Box::new(sleeps),
    });
    let options = StreamOptions { jobs: Some(jobs), ..StreamOptions::default() };
    let next = || Incoming::from(specs.next());
    let how = runner.stream(next, BindContext::default(), &CancelFlag::default(), options, ended.clone());
    assert_eq!(how, Streamed::All);
    let mut ended = std::mem::take(&mut *ended.0.lock().unwrap());
    ended.sort_unstable();
    assert!(ended.iter().copied().eq(0..count as u64), "{ended:?}");
    running.most.load(Ordering::SeqCst)
}

#[test]
fn jobs_that_waited_for_memory_are_no_more_at_once_than_others_when_it_comes() {
    for place in [Place::Compute, Place::Waiting] {
        for jobs in 1..4 {
            let running = Arc::<Running>::default();
            let sleeps = |ms, memory_bytes| Sleeps {
                ms,
                place,
                memory_bytes,
                at_once: None,
                has_variants: false,
                running: running.clone(),
            };
            let mut all = vec![sleeps(100, MEMORY_BYTES)];
            all.extend((0..12).map(|_| sleeps(10, 1 << 20)));
            all.extend((0..6).map(|_| sleeps(10, 0)));
            all.push(sleeps(50, MEMORY_BYTES));
            all.extend((0..12).map(|n| sleeps(5, (n % 3) << 20)));
            assert_eq!(most_at_once(8, jobs, all, &running), jobs, "{place:?}");
        }
    }
}

#[test]
fn jobs_that_waited_for_their_like_are_no_more_at_once_than_others_when_it_ends() {
    for (jobs, max) in [(1, 1), (2, 1), (3, 2), (2, 3)] {
        let running = Arc::<Running>::default();
        let sleeps = |ms, memory_bytes, group: Option<u64>| {
            let at_once = group.map(|group| AtOnce { group, max });
            Sleeps { ms, place: Place::Waiting, memory_bytes, at_once, has_variants: false, running: running.clone() }
        };
        let all = (0..80).map(|n| match n % 4 {
            0 => sleeps(4, 0, Some(1)),
            1 => sleeps(2, 0, None),
            2 => sleeps(3, MEMORY_BYTES / 2, Some(2)),
            _ => sleeps(1, MEMORY_BYTES / 2, None),
        });
        assert_eq!(most_at_once(8, jobs, all.collect(), &running), jobs, "{max} of their like");
    }
}

#[test]
fn jobs_that_wait_to_be_settled_keep_no_seat_from_those_that_are() {
    let running = Arc::<Running>::default();
    let sleeps = |ms, memory_bytes, has_variants| {
        let (place, running) = (Place::Waiting, running.clone());
        Sleeps { ms, place, memory_bytes, at_once: None, has_variants, running }
    };
    // More are let in than may be settled.
    for jobs in 2..7 {
        let all = (0..600)
            .map(|n| if n % 12 == 0 { sleeps(1, MEMORY_BYTES, false) } else { sleeps(0, MEMORY_BYTES / 8, true) });
        most_at_once(1, jobs, all.collect(), &running);
    }
    assert!(running.most.load(Ordering::SeqCst) <= 6);
}
