//! TEMPORARY, until the real state machine lands: replace this file whole.
#![allow(missing_docs)]
mod types;
use crate::device::DeviceId;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
pub use types::{Action, Event, JobKey};
struct J {
    work: crate::kernels::Work,
    next: u64,
    flying: u32,
    done: bool,
    ended: bool,
}
#[derive(Default)]
pub struct Dispatch {
    free: Vec<(DeviceId, u32)>,
    jobs: BTreeMap<JobKey, J>,
    x: HashMap<u8, u8>,
}
impl Dispatch {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn busy_for_ms(&self, _: DeviceId) -> f64 {
        0.0
    }
    pub fn jobs(&self) -> usize {
        let _ = &self.x;
        self.jobs.len()
    }
    pub fn on(&mut self, event: Event, _: Duration, out: &mut Vec<Action>) {
        match event {
            Event::DeviceAdded { device, lanes, .. } => {
                if device == DeviceId::Cpu {
                    for l in 0..lanes {
                        self.free.push((device, l));
                    }
                }
            }
            Event::Admitted { job, work, .. } => {
                self.jobs.insert(job, J { work, next: 0, flying: 0, done: false, ended: false });
            }
            Event::ChunkDone { job, device, lane, .. } => {
                self.free.push((device, lane));
                self.jobs.get_mut(&job).unwrap().flying -= 1;
            }
            Event::ChunkFailed { job, device, lane, error, .. } => {
                self.free.push((device, lane));
                let j = self.jobs.get_mut(&job).unwrap();
                j.flying -= 1;
                j.next = j.work.units;
                if j.ended {
                } else {
                    j.ended = true;
                    let e = match error {
                        crate::device::DeviceError::Job(e) => e,
                        e => crate::job::JobError::new(crate::job::Cause::DeviceLost, e.to_string()),
                    };
                    out.push(Action::Failed { job, error: e });
                }
            }
            Event::PassAgain { job } => {
                let j = self.jobs.get_mut(&job).unwrap();
                j.next = 0;
                j.done = false;
            }
            Event::Ended { job } => {
                self.jobs.remove(&job);
            }
            Event::Cancelled { .. } => {}
        }
        for (key, j) in &mut self.jobs {
            let step = (j.work.units / 8).max(j.work.granularity).next_multiple_of(j.work.granularity.max(1));
            while j.next < j.work.units {
                let Some((d, l)) = self.free.pop() else { break };
                let e = (j.next + step).min(j.work.units);
                out.push(Action::Fold { job: *key, device: d, lane: l, units: j.next..e });
                j.next = e;
                j.flying += 1;
            }
            if j.flying == 0 && j.next >= j.work.units && !j.done && !j.ended {
                j.done = true;
                out.push(Action::PassDone { job: *key });
            }
        }
        self.jobs.retain(|_, j| !(j.ended && j.flying == 0));
    }
}
