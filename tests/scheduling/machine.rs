//! A machine of null devices with a virtual clock: planner, dispatch and model as the engine puts them together.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tandem::device::{DeviceId, DeviceKind, NullSpec};
use tandem::engine::dispatch::{Action, Admission, Dispatch, Event, JobReport, Lanes, Ticket};
use tandem::job::{DeviceChoice, JobError};
use tandem::kernels::Work;
use tandem::model::{Measured, Model, ModelKey};
use tandem::plan::{DeviceState, Plan, PlanRequest, Stream, Unusable, plan};

pub const CPU_LANES: u32 = 4;
/// Jobs that are planned and not ended, as in the engine.
const OPEN_MAX: usize = 4 * CPU_LANES as usize;
/// How long a job is passed by shorter ones, as in the engine.
const PASSED_MS_MAX: f64 = 60_000.0;

/// Where chunks may begin.
const GRANULARITY: u64 = 256;

/// What a unit of a job costs.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// By the kernel's own account.
    pub prior_ns: f64,
    /// In truth: so many times what devices take for a plain unit.
    pub times: f64,
}

pub const PLAIN: Shape = Shape { prior_ns: 1.5, times: 1.0 };

/// A job of a file.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub units: u64,
    pub shape: Shape,
    pub policy: DeviceChoice,
    /// Whether its kernel has a GPU side.
    pub gpu: bool,
    pub granularity: u64,
}

impl Asked {
    pub fn auto(units: u64) -> Self {
        Self { units, shape: PLAIN, policy: DeviceChoice::Auto, gpu: true, granularity: GRANULARITY }
    }

    fn work(&self) -> Work {
        Work {
            prior_ns_per_unit: self.shape.prior_ns,
            gpu: self.gpu,
            granularity: self.granularity,
            ..Machine::work(self.units)
        }
    }
}

/// A run of one job.
pub struct Run {
    /// From its admission to its end.
    pub ms: f64,
    pub result: Result<(), JobError>,
    pub report: JobReport,
    pub plan: Plan,
}

/// A run of many.
pub struct FileRun {
    pub ms: f64,
    /// In the order of the jobs.
    pub runs: Vec<Run>,
    /// Lane time of each device, in the order of the specs.
    pub busy_ms: Vec<f64>,
}

/// A machine with null devices, a model and a virtual clock.
pub struct Machine {
    pub specs: Vec<NullSpec>,
    pub chunks_begun: Vec<u64>,
    pub lost: Vec<DeviceId>,
    pub model: Model,
}

/// A job that was admitted and has not ended.
struct Open {
    work: Work,
    times: f64,
    plan: Plan,
    admitted: Duration,
    folded: Vec<(u64, Range<u64>)>,
}

fn fingerprint(id: DeviceId) -> String {
    format!("null {id}")
}

pub fn cpu(ns_per_unit: f64) -> NullSpec {
    NullSpec {
        id: DeviceId::Cpu,
        kind: DeviceKind::Cpu,
        lanes: CPU_LANES,
        latency: Duration::from_nanos(500),
        ..NullSpec::gpu(0, ns_per_unit)
    }
}

pub fn gpu(index: u32, ns_per_unit: f64) -> NullSpec {
    NullSpec { latency: Duration::from_micros(200), ..NullSpec::gpu(index, ns_per_unit) }
}

/// A GPU so many times as fast as all of the CPU.
pub fn gpu_of_ratio(index: u32, ratio: f64) -> NullSpec {
    gpu(index, 1.0 / f64::from(CPU_LANES) / ratio)
}

impl Machine {
    /// The CPU, whose lanes take 1 ns a unit each, and these GPUs.
    pub fn new(gpus: Vec<NullSpec>) -> Self {
        let specs: Vec<NullSpec> = std::iter::once(cpu(1.0)).chain(gpus).collect();
        let chunks_begun = vec![0; specs.len()];
        Self { specs, chunks_begun, lost: Vec::new(), model: Model::new() }
    }

    /// Another process: every device is closed again, and only the model is kept.
    pub fn restart(&mut self) {
        self.chunks_begun.fill(0);
        self.lost.clear();
    }

    pub fn work(units: u64) -> Work {
        Work {
            kernel: "null",
            variant: "u64".to_owned(),
            units,
            granularity: GRANULARITY,
            bytes_per_unit: 1.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: PLAIN.prior_ns,
            passes: 1,
            gpu: true,
        }
    }

    pub fn run(&mut self, units: u64, policy: DeviceChoice) -> Run {
        self.run_on(units, policy, CPU_LANES)
    }

    /// Runs a job in virtual time, on this many threads of the CPU at most, and learns from it.
    pub fn run_on(&mut self, units: u64, policy: DeviceChoice, threads: u32) -> Run {
        self.run_one(Asked { policy, ..Asked::auto(units) }, threads)
    }

    pub fn run_shape(&mut self, units: u64, shape: Shape) -> Run {
        self.run_one(Asked { shape, ..Asked::auto(units) }, CPU_LANES)
    }

    fn run_one(&mut self, asked: Asked, threads: u32) -> Run {
        self.run_all(&[asked], threads).runs.pop().expect("one job, one run")
    }

    /// Runs the jobs of a file, each planned when it is its turn to be opened.
    pub fn run_file(&mut self, jobs: &[Asked]) -> FileRun {
        self.run_all(jobs, CPU_LANES)
    }

    fn run_all(&mut self, jobs: &[Asked], threads: u32) -> FileRun {
        let mut clock = Clock::default();
        for spec in self.specs.iter().filter(|spec| !self.lost.contains(&spec.id)) {
            let shares_cpu = spec.kind == DeviceKind::SoftwareGpu;
            let lanes = Lanes { device: spec.id, lanes: spec.lanes, max_chunk_bytes: spec.max_chunk_bytes, shares_cpu };
            clock.tell(Event::DeviceAdded(lanes));
        }
        let mut waiting = jobs.iter().zip(1_u64..);
        let mut open: HashMap<u64, Open> = HashMap::new();
        let mut ended: Vec<(u64, Run)> = Vec::new();
        let mut busy_ms = vec![0.0; self.specs.len()];
        loop {
            while open.len() < OPEN_MAX
                && let Some((asked, job)) = waiting.next()
            {
                open.insert(job, self.admit(&mut clock, job, asked, threads));
            }
            if open.is_empty() {
                break;
            }
            let actions = std::mem::take(&mut clock.actions);
            if actions.is_empty() {
                clock.land(&mut open);
            }
            for action in actions {
                match action {
                    Action::Fold { ticket, job, units, .. } => {
                        let job = open.get_mut(&job).expect("only open jobs are folded");
                        self.fold(&mut clock, job, ticket, units, &mut busy_ms);
                    }
                    Action::PassComplete { job } => clock.tell(Event::Finished { job }),
                    Action::SetAside { device, .. } => self.lost.push(device),
                    Action::End { job, result, report } => {
                        let Open { work, plan, admitted, folded, .. } = open.remove(&job).expect("it ends once");
                        if result.is_ok() {
                            check_covered(work.units, &folded);
                        }
                        self.learn(&work, &report);
                        let ms = (clock.now - admitted).as_secs_f64() * 1e3;
                        ended.push((job, Run { ms, result, report, plan }));
                    }
                }
            }
        }
        ended.sort_by_key(|(job, _)| *job);
        let runs = ended.into_iter().map(|(_, run)| run).collect();
        FileRun { ms: clock.now.as_secs_f64() * 1e3, runs, busy_ms }
    }

    /// Plans a job by what is running now, and gives it to dispatch.
    fn admit(&self, clock: &mut Clock, job: u64, asked: &Asked, threads: u32) -> Open {
        let work = asked.work();
        let order =
            |ms: f64| (clock.now + Duration::from_secs_f64(ms.clamp(0.0, PASSED_MS_MAX) / 1e3)).as_micros() as u64;
        let takes_ms = work.prior_ms() / f64::from(threads);
        let devices: Vec<DeviceState> = (0..self.specs.len())
            .map(|at| DeviceState {
                busy_for_ms: clock.dispatch.busy_for_ms(self.specs[at].id, clock.now, |ms| order(ms + takes_ms)),
                ..self.state(at)
            })
            .collect();
        let request = PlanRequest {
            work: &work,
            policy: asked.policy,
            devices: &devices,
            inventory_known: true,
            model: &self.model,
            threads,
            explain: false,
            stream: Stream::default(),
        };
        let plan = plan(&request).expect("there is a plan");
        let predicted_ms = plan.candidates[0].predicted.map_or(0.0, |predicted| predicted.ms);
        let admission = Admission::new(job, order(predicted_ms), &work, &plan, asked.policy);
        clock.tell(Event::Admitted(admission));
        Open { work, times: asked.shape.times, plan, admitted: clock.now, folded: Vec::new() }
    }

    fn state(&self, at: usize) -> DeviceState {
        let spec = &self.specs[at];
        DeviceState {
            id: spec.id,
            fingerprint: Arc::from(fingerprint(spec.id)),
            kind: spec.kind,
            unusable: self.lost.contains(&spec.id).then_some(Unusable::Lost),
            lanes: spec.lanes,
            opened: spec.id == DeviceId::Cpu || self.chunks_begun[at] > 0 || spec.setup.is_zero(),
            busy_for_ms: Vec::new(),
            memory_bytes: spec.memory_bytes,
            max_chunk_bytes: spec.max_chunk_bytes,
            resident: 0.0,
        }
    }

    fn fold(&mut self, clock: &mut Clock, job: &mut Open, ticket: Ticket, units: Range<u64>, busy_ms: &mut [f64]) {
        let at = self.specs.iter().position(|spec| spec.id == ticket.device).expect("a known device");
        let chunk = self.chunks_begun[at];
        self.chunks_begun[at] += 1;
        let count = units.end - units.start;
        let spec = NullSpec { ns_per_unit: self.specs[at].ns_per_unit * job.times, ..self.specs[at].clone() };
        let (event, takes) = match spec.fault_of(count, chunk) {
            Some(error) => (Event::ChunkFailed { ticket, error }, Duration::from_micros(100)),
            None => {
                let phases = spec.time_of(count, chunk);
                job.folded.push((ticket.serial, units));
                (Event::ChunkDone { ticket, phases, resident: false }, phases.total())
            }
        };
        busy_ms[at] += takes.as_secs_f64() * 1e3;
        clock.launch(ticket, event, takes);
    }

    fn learn(&mut self, work: &Work, report: &JobReport) {
        for run in &report.runs {
            self.model.learn(ModelKey::of(work, &fingerprint(run.device), run.lanes), &run.measured);
        }
    }

    /// Teaches what somebody measured, rightly or wrongly: so many times the same.
    pub fn teach(&mut self, device: DeviceId, lanes: u32, measured: &Measured, runs: u32) {
        let work = Self::work(measured.units);
        for _ in 0..runs {
            self.model.learn(ModelKey::of(&work, &fingerprint(device), lanes), measured);
        }
    }

    /// Teaches that `units` took `ms`, so many times.
    pub fn poison(&mut self, device: DeviceId, lanes: u32, units: u64, ms: f64, runs: u32) {
        let measured = Measured { units, passes: 1, bytes: units, compute_ms: ms, ..Measured::default() };
        self.teach(device, lanes, &measured, runs);
    }
}

/// Dispatch, and what is in flight.
#[derive(Default)]
struct Clock {
    now: Duration,
    dispatch: Dispatch,
    actions: Vec<Action>,
    flights: BinaryHeap<Reverse<(Duration, u64)>>,
    landing: HashMap<u64, (Ticket, Event)>,
}

impl Clock {
    fn tell(&mut self, event: Event) {
        self.dispatch.on(event, self.now, &mut self.actions);
    }

    fn launch(&mut self, ticket: Ticket, event: Event, takes: Duration) {
        self.flights.push(Reverse((self.now + takes, ticket.serial)));
        self.landing.insert(ticket.serial, (ticket, event));
    }

    /// The next chunk comes back.
    fn land(&mut self, open: &mut HashMap<u64, Open>) {
        let Reverse((at, serial)) = self.flights.pop().expect("something is in flight");
        self.now = at;
        let (ticket, event) = self.landing.remove(&serial).expect("it was launched");
        if !self.dispatch.wants(ticket) {
            open.values_mut().for_each(|job| job.folded.retain(|(other, _)| *other != serial));
        }
        self.tell(event);
    }
}

/// Each unit was folded once.
fn check_covered(units: u64, folded: &[(u64, Range<u64>)]) {
    let mut ranges: Vec<_> = folded.iter().map(|(_, range)| range.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    let end = ranges.iter().fold(0, |next, range| {
        assert_eq!(range.start, next, "{ranges:?}");
        range.end
    });
    assert_eq!(end, units);
}

/// What single devices and one thread take, each on a machine of its own that has learned the shape.
pub fn best_single_ms(gpus: &[NullSpec], units: u64) -> f64 {
    let mut best = f64::INFINITY;
    let mut measure = |policy, threads| {
        let mut machine = Machine::new(gpus.to_vec());
        for _ in 0..3 {
            machine.run_on(units, policy, threads);
        }
        best = machine.run_on(units, policy, threads).ms.min(best);
    };
    measure(DeviceChoice::Cpu, 1);
    measure(DeviceChoice::Cpu, CPU_LANES);
    for index in 0..gpus.len() as u32 {
        measure(DeviceChoice::GpuIndex(index), CPU_LANES);
    }
    best
}
