//! Giving lanes what they are to do: chunks, batches, closures.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Coordinator, start_clock};
use crate::device::DeviceError;
use crate::engine::batch::{self, Bound, Gathers, Planner};
use crate::engine::dispatch::{Event, Ticket as LaneTicket};
use crate::engine::lanes::Piece;
use crate::engine::message::{Item, Message, fold_on};
use crate::engine::running::Running;
use crate::engine::ticket::Begun;
use crate::engine::timer::Timer;
use crate::kernels::Work;

impl Coordinator {
    pub(super) fn fold(&mut self, key: u64, lane: LaneTicket, units: Range<u64>) {
        let gathers = match self.items.get(&key) {
            Some(Item::Batch(tickets)) => self.gathers(tickets.len()),
            _ => Gathers::Nothing,
        };
        // Ended between the decision and now: the lane is given back.
        let Some(item) = self.items.get_mut(&key) else { return self.short_ended(lane, Duration::ZERO) };
        let shared = self.shared.clone();
        let sender = self.sender.clone();
        let chunk = |running: Arc<Running>, jobs: (u64, u32)| -> Piece {
            let (shared, sender) = (shared.clone(), sender.clone());
            Box::new(move |scratch| {
                let begun = Instant::now();
                let result = match shared.devices.get(lane.device) {
                    Some(device) => fold_on(&running, &*device, units, scratch),
                    None => Err(DeviceError::Lost("it is not there".to_owned())),
                };
                if let Some(recorder) = shared.recorder.get() {
                    recorder.on_lane(lane).note(begun, jobs, "chunk");
                }
                // The coordinator outlives what it began.
                let _ = sender.send(Message::Chunk { key, lane, result });
            })
        };
        let piece: Piece = match item {
            Item::Large(large) => {
                start_clock(&self.timer, &shared.begun, &mut large.ticket);
                large.begun = true;
                chunk(large.running.clone(), (large.ticket.index, 1))
            }
            Item::Fused(fused) => {
                if !std::mem::replace(&mut fused.begun, true) {
                    for job in fused.jobs.iter_mut().flatten() {
                        begin_fused_job(&self.timer, &shared.begun, job);
                    }
                }
                chunk(fused.running.clone(), fused.label())
            }
            short => match std::mem::replace(short, Item::Begun) {
                Item::Bound(bound) => Box::new(move |scratch| {
                    let (begun, _one) = (Instant::now(), shared.begun.one());
                    let jobs = (bound.first().map_or(0, |first| first.ticket.index), bound.len() as u32);
                    let leftover = batch::run_bound(bound, &**shared.devices.cpu(), scratch);
                    if let Some(recorder) = shared.recorder.get() {
                        recorder.on_lane(lane).note(begun, jobs, "batch");
                    }
                    shared.learn_small(&leftover);
                    let (elapsed, ended) = (begun.elapsed(), leftover.ended);
                    let _ = sender.send(Message::BoundEnded { lane, elapsed, ended });
                }),
                Item::Batch(tickets) => Box::new(move |scratch| {
                    let (begun, _one) = (Instant::now(), shared.begun.one());
                    let (first, taken) = (tickets.first().map_or(0, |first| first.index), tickets.len());
                    let plan = |work: &Work, asked| shared.plan_small(work, asked).map(Arc::new);
                    let mut planner = Planner::new(&plan, shared.default_device());
                    let leftover = batch::run(tickets, &mut planner, &**shared.devices.cpu(), scratch, gathers);
                    if let Some(recorder) = shared.recorder.get() {
                        let jobs = (taken - leftover.rest.len()) as u32;
                        recorder.on_lane(lane).note(begun, (first, jobs), "batch");
                    }
                    shared.learn_small(&leftover);
                    let _ = sender.send(Message::BatchEnded { lane, elapsed: begun.elapsed(), leftover });
                }),
                Item::Closure(closure) => Box::new(move |_| {
                    let begun = Instant::now();
                    closure();
                    let _ = sender.send(Message::ClosureEnded { lane, elapsed: begun.elapsed() });
                }),
                Item::Shift { .. } => return self.begin_shift(lane),
                Item::OnGpu(staged) => return self.begin_on_gpu(lane, *staged),
                Item::Begun | Item::Large(_) | Item::Fused(_) => return self.short_ended(lane, Duration::ZERO),
            },
        };
        if let Err(error) = self.lanes.spawn(lane.device, piece) {
            self.tell(Event::ChunkFailed { ticket: lane, error: DeviceError::Lost(error.to_string()) });
        }
    }
}

/// The same for one of several that run as one; as in a batch, nobody is told of a small one.
fn begin_fused_job(timer: &Timer, begun: &Begun, job: &mut Bound) {
    if job.small.is_none() || job.ticket.timeout.is_some() {
        start_clock(timer, begun, &mut job.ticket);
    }
    job.ticket.queued = None;
}
