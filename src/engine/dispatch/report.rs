//! What a job leaves behind: where it ran, and what was measured.

use std::time::Duration;

use crate::device::{DeviceId, Phases};
use crate::engine::RanOn;
use crate::engine::dispatch::job::Job;
use crate::engine::dispatch::member::{Done, Member};
use crate::model::Measured;

/// What one device did for a job, for the model to learn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeviceRun {
    /// Which device.
    pub device: DeviceId,
    /// With how many lanes, as the model counts them: threads of the CPU, 1 for a GPU.
    pub lanes: u32,
    /// What it took.
    pub measured: Measured,
}

/// Where a job ran, and what was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct JobReport {
    /// Where its chunks were folded.
    pub ran_on: RanOn,
    /// How often a chunk was begun anew, plus one.
    pub attempts: u32,
    /// From its admission to its first chunk.
    pub queued: Duration,
    /// From its admission to its end.
    pub took: Duration,
    /// What it would have taken with its lanes to itself: the time of its chunks by the lanes that could fold them; `None` where several
    /// devices did.
    pub own: Option<Duration>,
    /// Summed over devices and lanes, scaled down to the time from its first chunk to its end.
    pub phases: Phases,
    /// For the model; empty where the job failed.
    pub runs: Vec<DeviceRun>,
}

impl Job {
    /// What it leaves behind, ending now.
    pub(super) fn report(&self, succeeded: bool, now: Duration) -> JobReport {
        let begun = self.begun.unwrap_or(now);
        let wall = now.saturating_sub(begun);
        let probe = self.probe.as_ref().map(|probe| (probe, &probe.done)).filter(|(_, done)| done.chunks > 0);
        let mut phases = Phases::default();
        let mut ran_on = RanOn::Nowhere;
        let mut ran = |device: DeviceId, done: &Done| {
            phases += done.phases;
            ran_on = match ran_on {
                RanOn::Nowhere => RanOn::One(device),
                RanOn::One(other) if other == device => ran_on,
                _ => RanOn::Split,
            };
        };
        let working = || self.members.iter().filter(|member| member.done.chunks > 0);
        working().for_each(|member| ran(member.device, &member.done));
        if let Some((probe, done)) = probe {
            ran(self.members[probe.member].device, done);
        }
        let mut runs = Vec::new();
        if succeeded && self.units > 0 {
            let alone = working().count() == 1;
            let apart = probe.filter(|(probe, _)| probe.exclusive).map_or(Duration::ZERO, |(_, done)| done.span);
            for member in working() {
                let lanes = if member.device == DeviceId::Cpu { member.lanes } else { 1 };
                let took = match (member.contended, alone) {
                    (true, _) => member.done.busy / member.lanes.max(1),
                    (false, true) => wall.saturating_sub(apart),
                    (false, false) => member.done.span,
                };
                let passes = u64::from(self.pass) + 1;
                let measured = self.measured(member, &member.done, took, member.done.units / passes);
                runs.push(DeviceRun { device: member.device, lanes, measured });
            }
            if let Some((probe, done)) = probe {
                let member = &self.members[probe.member];
                let lanes = if member.device == DeviceId::Cpu { probe.lanes } else { 1 };
                // A probe is of the first pass alone.
                let one = self.measured(member, done, done.span, done.units);
                let measured = Measured { passes: 1, explored: true, ..one };
                runs.push(DeviceRun { device: member.device, lanes, measured });
            }
        }
        let total = phases.total();
        if total > wall && !total.is_zero() {
            let scale = wall.as_secs_f64() / total.as_secs_f64();
            let Phases { setup, opening, upload, compute, readback } = &mut phases;
            for phase in [setup, opening, upload, compute, readback] {
                *phase = Duration::try_from_secs_f64(phase.as_secs_f64() * scale).unwrap_or(*phase);
            }
        }
        let queued = begun.saturating_sub(self.admitted);
        let took = now.saturating_sub(self.admitted);
        let own = matches!(ran_on, RanOn::One(_)).then(|| self.own());
        JobReport { ran_on, attempts: self.attempts, queued, took, own, phases, runs }
    }

    /// The time of its chunks by the lanes that could fold them.
    fn own(&self) -> Duration {
        let granules = u32::try_from(self.units.div_ceil(self.granularity)).unwrap_or(u32::MAX);
        let by = |busy: Duration, lanes: u32| busy / lanes.min(granules).max(1);
        let members = self.members.iter().map(|member| by(member.done.busy, member.lanes));
        members.chain(self.probe.iter().map(|probe| by(probe.done.busy, probe.lanes))).sum()
    }

    fn measured(&self, member: &Member, done: &Done, took: Duration, units: u64) -> Measured {
        let on_cpu = member.device == DeviceId::Cpu;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let aside = Phases { compute: Duration::ZERO, ..done.phases }.total();
        Measured {
            units,
            passes: self.passes.max(1),
            bytes: if on_cpu { 0 } else { (done.uploaded_units as f64 * self.bytes_per_unit.max(0.0)) as u64 },
            setup_ms: ms(done.phases.setup),
            upload_ms: ms(done.phases.upload),
            compute_ms: ms(took.saturating_sub(aside).max(took / 1000)),
            readback_ms: ms(done.phases.readback),
            cold: !done.phases.opening.is_zero(),
            resident: done.uploaded_units == 0,
            contended: member.contended,
            explored: false,
        }
    }
}
