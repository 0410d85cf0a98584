//! Jobs with variants: settled on one only shortly before there is room for it, when what is known and who is busy is known best;
//! those that run on a GPU hold its lane as a chunk of a kernel does.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Coordinator;
use super::limits::Permit;
use crate::device::DeviceId;
use crate::engine::dispatch::{Admission, Event, Ticket as LaneTicket};
use crate::engine::message::{Held, Item};
use crate::engine::order::OPEN_PER_LANE;
use crate::engine::queue::take_out;
use crate::engine::ready::Ready;
use crate::engine::seats::Seatless;
use crate::engine::shared::Planned;
use crate::engine::stage::Staged;
use crate::engine::variants::{Settled, device_of};
use crate::job::{Cause, DeviceChoice, JobError};
use crate::kernels::Work;
use crate::plan::{Choice, Plan, Power};
use crate::tasks::Place;

/// Jobs that are looked at for one that may be settled.
const LOOK_AHEAD: usize = 256;

/// Jobs with variants.
#[derive(Default)]
pub(super) struct Unsettled {
    /// By priority, and in order within one.
    waiting: VecDeque<Staged>,
    /// Held by every job that was settled on the CPU or on a GPU and has not ended, and so the counts of them.
    on_cpu: Arc<()>,
    on_gpus: Arc<()>,
    /// How many usable GPUs are known.
    pub gpus: usize,
}

impl Unsettled {
    fn push(&mut self, staged: Staged) {
        let priority = staged.ticket.priority;
        let at = self.waiting.partition_point(|other| other.ticket.priority >= priority);
        self.waiting.insert(at, staged);
    }

    /// How many are settled and have not ended.
    fn settled(&self) -> usize {
        Arc::strong_count(&self.on_cpu) - 1 + self.on_gpus()
    }

    /// How many of them on GPUs.
    pub fn on_gpus(&self) -> usize {
        Arc::strong_count(&self.on_gpus) - 1
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes out what is not to go on.
    pub fn take_refused(&mut self, gone: &mut Vec<Staged>) {
        take_out(&mut self.waiting, gone, Staged::is_refused);
    }
}

impl Coordinator {
    /// Lets a job wait until it is settled on a variant.
    pub(super) fn admit_unsettled(&mut self, mut staged: Staged) {
        // Those that are settled may wait for a seat: they would wait for ever for one that waits for them.
        staged.ticket.leave_seat();
        self.unsettled.push(staged);
        self.settle_due();
    }

    /// Settles jobs on their variants while few are settled.
    pub(super) fn settle_due(&mut self) {
        while let Some(mut staged) = self.next_unsettled() {
            self.add_gpus();
            let asked = staged.ticket.device.unwrap_or(self.shared.default_device());
            let Some(variants) = staged.variants() else {
                self.admit_stage(staged);
                continue;
            };
            match self.shared.plan_variants(variants, asked, &|device| self.wait_ms(device, &staged)) {
                Planned::Plan(planned) => {
                    let Unsettled { on_cpu, on_gpus, .. } = &self.unsettled;
                    let place = if device_of(&planned.plan) == DeviceId::Cpu { on_cpu } else { on_gpus };
                    let permit = Permit::new(place.clone(), self.sender.clone());
                    let settled = Settled::new(variants, planned, self.shared.clone(), permit);
                    match staged.settle(settled) {
                        Ok(()) => self.admit_stage(staged),
                        Err(error) => self.fail_stage(staged, error),
                    }
                }
                Planned::SearchFirst => {
                    self.unsettled.waiting.push_front(staged);
                    return self.search_once();
                }
                Planned::Refused(error) => self.fail_stage(staged, error),
            }
        }
    }

    /// The next job to be settled, while few are. Those that a GPU has to do are counted apart, so that neither they nor the others
    /// wait for what the others wait for.
    fn next_unsettled(&mut self) -> Option<Staged> {
        let default = self.shared.default_device();
        let (threads, gpus) = (self.threads() as usize, self.unsettled.gpus);
        let for_gpu = |staged: &Staged| {
            let asks_for_gpu =
                matches!(staged.ticket.device.unwrap_or(default), DeviceChoice::Gpu | DeviceChoice::GpuIndex(_));
            asks_for_gpu || staged.variants().is_some_and(|variants| !variants.cpu)
        };
        let has_room = [
            self.unsettled.settled() < (threads + gpus) * OPEN_PER_LANE,
            self.unsettled.on_gpus() < gpus.max(1) * OPEN_PER_LANE,
        ];
        let mut seatless = Seatless::default();
        let mut looked_at = self.unsettled.waiting.iter_mut().take(LOOK_AHEAD);
        let at = looked_at.position(|staged| {
            let has_room = has_room[usize::from(for_gpu(staged))];
            has_room && staged.ticket.seat.as_mut().is_none_or(|seat| seatless.take_or_wish(seat))
        })?;
        self.unsettled.waiting.remove(at)
    }

    /// How long a job would wait for this device, in milliseconds.
    fn wait_ms(&self, device: DeviceId, staged: &Staged) -> f64 {
        let on_cpu = device == DeviceId::Cpu;
        let lanes = if on_cpu { self.threads() as usize } else { 1 };
        let parked_ms = self.memory.parked_ms(device) / lanes as f64;
        if let Some(processes) = self.processes.as_ref().filter(|_| on_cpu) {
            return processes.wait_ms() + parked_ms;
        }
        let (order, now) = (self.order(staged.ticket.priority, 0.0), self.begun.elapsed());
        let busy_ms = self.dispatch.busy_for_ms(device, now, |_| order);
        let free_ms = busy_ms.first().filter(|_| busy_ms.len() >= lanes).copied().unwrap_or(0.0);
        let beyond_ms = if on_cpu && free_ms > 0.0 { self.on_lanes.beyond_dispatch_ms() / lanes as f64 } else { 0.0 };
        free_ms + beyond_ms + parked_ms
    }

    /// Gives a job its turn on the GPU that it was settled on: to dispatch it is a job of one chunk.
    pub(super) fn admit_gpu_stage(&mut self, staged: Staged, index: u32, order: u64) {
        // A search may have ended while it was planned, which then names a GPU that dispatch does not know yet.
        self.add_gpus();
        let work = Work {
            kernel: "command",
            variant: String::new(),
            units: 1,
            granularity: 1,
            bytes_per_unit: 0.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: 1.0,
            passes: 1,
            gpu: true,
        };
        let units_per_ms = 1.0 / staged.expected_ms().clamp(1e-3, 1e9);
        let power = Power {
            device: DeviceId::Gpu(index),
            lanes: 1,
            units_per_ms,
            setup_ms: 0.0,
            chunk_ms: 0.0,
            measured: true,
        };
        let plan = Plan { powers: vec![power], ..Plan::given(Choice::Gpu { index }, "a program") };
        let job = self.key();
        // No other device can run what was settled on this one.
        let admission = Admission::new(job, order, &work, &plan, DeviceChoice::GpuIndex(index));
        self.items.insert(job, Item::OnGpu(Box::new(staged)));
        self.tell(Event::Admitted(admission));
    }

    /// The job has its GPU.
    pub(super) fn begin_on_gpu(&mut self, lane: LaneTicket, staged: Staged) {
        let place = staged.place();
        debug_assert_eq!(lane.device, if let Place::Gpu(index) = place { DeviceId::Gpu(index) } else { DeviceId::Cpu });
        let nobody_else = Arc::<Ready>::default();
        self.run_outside(self.shift(nobody_else, place, None, Held::Gpu(lane)), staged);
    }

    /// A job ends that waited for a GPU: it was cancelled, or its GPU was lost.
    pub(super) fn end_on_gpu(&mut self, staged: Staged, result: Result<(), JobError>) {
        let error = result.err().unwrap_or_else(|| JobError::new(Cause::Cancelled, "cancelled"));
        let error = match error.cause {
            Cause::Cancelled => staged.ticket.cancel.refusal().unwrap_or(error),
            _ => error,
        };
        self.fail_stage(staged, error);
    }
}
