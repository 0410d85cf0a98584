//! The jobs of a file as a simulated run takes them: bound, and not run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::Stopped;
use crate::cli::run::JobInput;
use crate::cli::terminal::tell;
use crate::engine::{CancelFlag, Need, catch};
use crate::job::{BindContext, Bound, Cause, JobError, JobSpec};
use crate::kernels::{DynKernel, Work};
use crate::report::figures::{counted, time};
use crate::report::{LeftOut, visible};
use crate::simulate::{SimJob, SimWork};
use crate::tasks::{Place, Task, Variants};
use crate::timeline::{JobLine, beginning};

/// Pairs of a job and one that it waits for, at most.
const PAIRS_MAX: u64 = 50_000_000;
/// How many wrong lines are named.
const NAMED_MAX: usize = 20;

/// The jobs of a file.
pub(super) struct SimJobs {
    pub name: String,
    pub jobs: Vec<SimJob>,
    /// What was assumed of them.
    pub assumed: Vec<String>,
    /// How many jobs cannot be bound.
    pub jobs_left_out: u64,
    /// The first of them.
    pub left_out: Vec<LeftOut>,
    /// All of them, as a report tells of them.
    pub lines_left_out: Vec<JobLine>,
}

/// How long commands take, about which nothing is known or something was learned.
pub(super) struct CommandTimes<'a> {
    /// Of those about which nothing is known.
    pub usual: Duration,
    /// How long one with variants takes a thread of a usual CPU, in milliseconds, by what was learned on this machine.
    pub learned_ms: &'a dyn Fn(&Variants) -> Option<f64>,
}

/// What is counted of jobs, to say what was assumed.
#[derive(Default)]
struct Unknown {
    commands: u64,
    learned: u64,
    values: u64,
    variants: u64,
    networks: u64,
}

impl SimJobs {
    /// Reads and binds all jobs of the file. What cannot be bound is told and left out.
    pub fn read(path: &Path, times: &CommandTimes<'_>) -> Result<Self, Stopped> {
        let input = JobInput::new(path);
        let mut lines = input.open(false, None, &[], &CancelFlag::default())?;
        let context = BindContext::in_folder(input.base_dir());
        let name = input.name().to_owned();
        let mut read = Self {
            name,
            jobs: Vec::new(),
            assumed: Vec::new(),
            jobs_left_out: 0,
            left_out: Vec::new(),
            lines_left_out: Vec::new(),
        };
        let mut unknown = Unknown::default();
        // Where each job of the file is in the list; the first one left out makes a difference.
        let mut places: Vec<Option<u32>> = Vec::new();
        let mut pairs = 0_u64;
        for line in &mut lines {
            let made = match line {
                Ok(spec) => {
                    job(&spec, &context, times, &read.jobs, &mut unknown).map(|job| (spec.terms.after, job)).map_err(
                        |error| (Some(spec.id.to_string()), failed_line((spec.index, &spec.id, spec.kind), error)),
                    )
                }
                Err(bad) => Err((None, failed_line((bad.index, &bad.id, bad.kind), bad.error))),
            };
            match made {
                Ok((after, mut job)) => {
                    for range in after {
                        pairs += range.end.saturating_sub(range.start);
                        if pairs > PAIRS_MAX {
                            return Err(Stopped::usage(format_args!(
                                "{}: its jobs wait for too many others",
                                read.name
                            )));
                        }
                        let parents = range.filter_map(|parent| *places.get(usize::try_from(parent).ok()?)?);
                        job.after.extend(parents);
                    }
                    places.resize(usize::try_from(job.index).unwrap_or(usize::MAX), None);
                    places.push(Some(read.jobs.len() as u32));
                    read.jobs.push(job);
                }
                Err((id, (line, why))) => {
                    read.jobs_left_out += 1;
                    read.lines_left_out.push(line);
                    if read.left_out.len() < NAMED_MAX {
                        let left_out = LeftOut { id, why };
                        let job = left_out.id.as_ref().map_or_else(String::new, |id| format!("job `{id}`: "));
                        tell(format_args!("left out: {}", visible(&(job + &left_out.why))));
                        read.left_out.push(left_out);
                    }
                }
            }
        }
        if let Some(error) = lines.read_error() {
            return Err(input.unreadable(&error));
        }
        if read.jobs.is_empty() {
            let that = if read.jobs_left_out > 0 { " that could be simulated" } else { "" };
            tell(format_args!("{}: there is no job in it{that}", visible(&read.name)));
        }
        read.assumed = unknown.said(times.usual, read.jobs_left_out);
        Ok(read)
    }
}

/// The line of a report of a job that cannot be simulated: its index, id and kind, and why; and why in full.
fn failed_line((index, id, kind): (u64, &Arc<str>, &'static str), error: JobError) -> (JobLine, String) {
    let line = JobLine {
        index,
        id: id.clone(),
        kind,
        cause: Some(error.cause.name()),
        message: Some(beginning(&error.message)),
        ran_on: "none".to_owned(),
        submitted: Duration::ZERO,
        queued: Duration::ZERO,
        ended: Duration::ZERO,
        took_ms: 0.0,
        own_ms: None,
        since_plan_ms: 0.0,
        foreseen: None,
    };
    (line, error.message)
}

/// The work of a job by the way that it takes. The simulated planner sees one: the other way, where no device makes up for what the first
/// takes more.
fn work_of(kernel: &dyn DynKernel) -> Work {
    let own = kernel.work();
    let other = kernel.other_way().map(|other| other.work());
    other.filter(|other| other.prior_ms() * OTHER_WAY_WORTH < own.prior_ms()).unwrap_or(own)
}

/// A GPU is worth some tens of threads.
const OTHER_WAY_WORTH: f64 = 30.0;

fn job(
    spec: &JobSpec,
    context: &BindContext,
    times: &CommandTimes<'_>,
    before: &[SimJob],
    unknown: &mut Unknown,
) -> Result<SimJob, JobError> {
    let mut memory_bytes = spec.terms.memory_bytes.unwrap_or(0);
    let work = if spec.params.results_of().is_empty() {
        let bound =
            catch(|| spec.params.bind(context)).unwrap_or_else(|panic| Err(JobError::new(Cause::Panic, panic)))?;
        match bound {
            Bound::Kernel(kernel) => SimWork::Kernel(shared(work_of(&*kernel), before)),
            Bound::Task(task) => {
                if memory_bytes == 0 {
                    memory_bytes = memory_of(&*task);
                }
                irregular(&*task, spec.kind, times, unknown)
            }
        }
    } else {
        // What it will have to do is known once others have run.
        unknown.values += 1;
        SimWork::Task { ms: times.usual.as_secs_f64() * 1e3, waits: false }
    };
    Ok(SimJob {
        index: spec.index,
        id: spec.id.clone(),
        kind: spec.kind,
        work,
        after: Vec::new(),
        memory_bytes,
        device: spec.device,
        priority: spec.terms.priority,
    })
}

/// The work, shared with the job before where it is the same.
fn shared(work: Work, before: &[SimJob]) -> Arc<Work> {
    match before.last().map(|job| &job.work) {
        Some(SimWork::Kernel(last)) if **last == work => last.clone(),
        _ => Arc::new(work),
    }
}

fn irregular(task: &dyn Task, kind: &str, times: &CommandTimes<'_>, unknown: &mut Unknown) -> SimWork {
    let place = task.place();
    let usual_ms = times.usual.as_secs_f64() * 1e3;
    if kind == "command" {
        let variants = task.variants();
        let learned_ms = variants.as_ref().and_then(|variants| (times.learned_ms)(variants));
        unknown.variants += u64::from(variants.is_some());
        let count = if learned_ms.is_some() { &mut unknown.learned } else { &mut unknown.commands };
        *count += 1;
        return SimWork::Task { ms: learned_ms.unwrap_or(usual_ms), waits: false };
    }
    let waits = place == Place::Waiting;
    unknown.networks += u64::from(waits);
    let ms = task.expected_ms();
    SimWork::Task { ms: if ms.is_finite() { ms.max(0.0) } else { usual_ms }, waits }
}

fn memory_of(task: &dyn Task) -> u64 {
    let need = task.need();
    match need {
        Need::Certain(bytes) => bytes,
        Need::Estimated(bytes) if !need.is_small() => bytes,
        _ => 0,
    }
}

impl Unknown {
    fn said(&self, command_time: Duration, left_out: u64) -> Vec<String> {
        let each = time(command_time);
        let mut said = Vec::new();
        let mut say = |count: u64, one: &str, many: &str, what: &str| {
            if count > 0 {
                said.push(format!("{} {what}", counted(count, one, many)));
            }
        };
        let takes = format!("taken to last {each} each on any CPU thread (--command-time)");
        say(self.commands, "command,", "commands,", &takes);
        say(self.learned, "command,", "commands,", "taken to last as long as its CPU variant did on this machine");
        say(self.variants, "command with variants", "commands with variants", "run on the CPU");
        say(self.values, "job that takes values of others,", "jobs that take values of others,", &takes);
        say(self.networks, "job only waits,", "jobs only wait,", "for a network or a disk");
        if left_out > 0 {
            said.push(format!("{} left out", counted(left_out, "job is", "jobs are")));
        }
        said
    }
}
