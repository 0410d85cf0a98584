//! How the service is, in one answer: what the page asks for again and again.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use crate::device::DeviceId;
use crate::journal::State as JobState;
use crate::service::clock::wall_ms;
use crate::service::pace::STEP;

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Status {
    /// The version of the program.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    pub uptime_ms: u64,
    /// The time on its clock, in milliseconds since 1970.
    pub now_ms: i64,
    /// Whether it is about to end, and accepts no more jobs.
    pub is_draining: bool,
    /// The kinds of jobs that it knows, including the operator's commands.
    #[schema(example = json!(["primes", "stats"]))]
    pub kinds: Vec<&'static str>,
    pub jobs: Jobs,
    pub since_start: SinceStart,
    pub memory: Memory,
    /// The devices found so far.
    pub devices: Vec<Load>,
    pub pace: Pace,
}

/// How many jobs there are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Jobs {
    /// How many wait for their turn.
    pub queued: usize,
    /// How many run.
    pub running: usize,
    /// How many have failed and wait to be tried again.
    pub retry_wait: usize,
    /// How many of all these the engine has been given, started or not.
    pub with_engine: usize,
    /// The most jobs that may be waiting or running.
    pub queue_max: usize,
    /// How many have ended and can still be asked for.
    pub kept: u64,
}

/// Counts since the process began.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SinceStart {
    /// Jobs accepted.
    pub accepted: u64,
    /// Jobs refused.
    pub refused: u64,
    /// Jobs that have ended, by state.
    #[schema(example = json!({"succeeded": 17, "failed": 1, "cancelled": 0, "expired": 0, "dead": 0}))]
    pub ended: BTreeMap<&'static str, u64>,
}

/// Memory, in bytes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Memory {
    /// What jobs have reserved.
    pub reserved_bytes: u64,
    /// What they may take together; null where nobody knows.
    pub limit_bytes: Option<u64>,
    /// What the process holds; null where nobody knows.
    pub resident_bytes: Option<u64>,
}

/// How busy a device is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Load {
    #[schema(example = "gpu:0")]
    pub device: String,
    pub lanes: u32,
    /// How many of its lanes work just now.
    pub busy_lanes: u32,
    /// How long its lanes have worked so far, added up. The load between two answers is the growth of this, divided by the time between
    /// them and by `lanes`.
    pub busy_ms: f64,
    /// Why it is not used at the moment, if it is set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<String>,
}

/// How many jobs entered each state in the last five minutes: a number for each step of time, the oldest first. The step that is not over yet
/// is left out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pace {
    /// How long a step is.
    pub step_ms: u64,
    /// By state. A job that is tried again enters `queued` again.
    #[schema(example = json!({"queued": [0, 12], "succeeded": [0, 11], "failed": [0, 1]}))]
    pub states: BTreeMap<&'static str, Vec<u32>>,
}

/// How the service is: jobs, memory, load of devices, and the pace of the last minutes.
#[utoipa::path(get, path = "/v1/status", tag = "service", responses((status = 200, body = Status)))]
pub(super) async fn status(State(app): State<App>) -> Json<Status> {
    let (counts, with_engine) = app.counts();
    let count = |state| counts.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
    let ended = JobState::ALL.into_iter().filter(|state| state.is_terminal());
    let ended = ended.map(|state| (state.name(), app.counters.ended[state as usize].load(Ordering::Relaxed)));
    let limit_bytes = app.options.memory_bytes;
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        uptime_ms: app.now().as_millis() as u64,
        now_ms: wall_ms(),
        is_draining: app.is_draining(),
        kinds: app.intake.kind_names().collect(),
        jobs: Jobs {
            queued: count(JobState::Queued),
            running: count(JobState::Running),
            retry_wait: count(JobState::RetryWait),
            with_engine,
            queue_max: app.options.queue,
            kept: app.journal().ended(),
        },
        since_start: SinceStart {
            accepted: app.counters.accepted.load(Ordering::Relaxed),
            refused: app.counters.refused.load(Ordering::Relaxed),
            ended: ended.collect(),
        },
        memory: Memory {
            reserved_bytes: app.runner().engine().reserved_bytes(),
            limit_bytes: (limit_bytes < u64::MAX).then_some(limit_bytes),
            resident_bytes: crate::device::resident_bytes(),
        },
        devices: loads(&app),
        pace: pace(&app),
    })
}

/// The CPU, and GPUs as far as somebody has looked for them: asking how things stand must not open a driver.
fn loads(app: &App) -> Vec<Load> {
    let engine = app.runner().engine();
    let aside = engine.set_aside();
    let found = engine.devices().known_gpus();
    let usable = found.into_iter().flat_map(|found| &found.gpus).filter(|gpu| gpu.unusable.is_none());
    let gpus = usable.map(|gpu| (gpu.device.info().id, gpu.device.info().lanes));
    let load = |(id, lanes): (DeviceId, u32)| {
        let load = engine.load(id);
        Load {
            device: id.to_string(),
            lanes,
            busy_lanes: load.busy_lanes,
            busy_ms: load.busy.as_secs_f64() * 1e3,
            set_aside: aside.iter().find(|(of, _)| *of == id).map(|(_, why)| why.clone()),
        }
    };
    std::iter::once((DeviceId::Cpu, engine.settings().threads)).chain(gpus).map(load).collect()
}

fn pace(app: &App) -> Pace {
    let steps = app.events.pace();
    let of = |state: JobState| (state.name(), steps.iter().map(|counts| counts[state as usize]).collect());
    Pace { step_ms: STEP.as_millis() as u64, states: JobState::ALL.into_iter().map(of).collect() }
}
