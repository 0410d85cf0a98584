//! A job that is running or waiting: what is left of it, and who takes part.

use std::ops::Range;
use std::time::Duration;

use crate::device::{DeviceId, Phases};
use crate::engine::dispatch::chunk::Take;
use crate::engine::dispatch::event::Admission;
use crate::engine::dispatch::lanes::{Flight, Machine};
use crate::engine::dispatch::member::{Done, Member, Standing};
use crate::job::DeviceChoice;

/// What a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its chunks are being folded, or wait to be.
    Folding,
    /// A pass is complete; the engine sees what follows.
    Merging,
}

/// Units set apart to be run by one device, at the start of the first pass.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    /// Which member.
    pub(super) member: usize,
    /// How many lanes it may occupy meanwhile.
    pub(super) lanes: u32,
    pub(super) pool: Vec<Range<u64>>,
    pub(super) in_flight: u32,
    /// Whether it measures the CPU with another number of threads, so that the CPU does nothing else meanwhile.
    pub(super) exclusive: bool,
    pub(super) done: Done,
}

impl Probe {
    pub(super) fn is_over(&self) -> bool {
        self.pool.is_empty() && self.in_flight == 0
    }
}

/// A job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) key: u64,
    pub(super) uid: u64,
    pub(super) order: u64,
    pub(super) policy: DeviceChoice,
    pub(super) units: u64,
    pub(super) granularity: u64,
    pub(super) bytes_per_unit: f64,
    pub(super) chunk_ms_max: f64,
    pub(super) passes: u32,
    pub(super) members: Vec<Member>,
    /// Whether it has more than one chunk, in one pass or several.
    pub(super) is_wide: bool,
    pub(super) phase: Phase,
    pub(super) pass: u32,
    /// Units that nobody has taken yet; the last range goes first.
    pub(super) pool: Vec<Range<u64>>,
    /// Units in the pool.
    pub(super) rest: u64,
    /// A job without units has one empty chunk a pass, so that it is folded all the same.
    pub(super) empty_chunk: bool,
    pub(super) probe: Option<Probe>,
    pub(super) in_flight: u32,
    pub(super) folded_units: u64,
    pub(super) attempts: u32,
    pub(super) admitted: Duration,
    pub(super) begun: Option<Duration>,
}

impl Job {
    pub(super) fn new<'a>(
        admission: Admission,
        uid: u64,
        now: Duration,
        find: impl Fn(DeviceId) -> Option<(usize, &'a Machine)>,
    ) -> Self {
        let member = |power: &crate::plan::Power| {
            let (at, machine) = find(power.device)?;
            let fits = machine.max_chunk_bytes as f64 / admission.bytes_per_unit.max(1e-9);
            let chunk_units_max = (fits as u64 / admission.granularity).saturating_mul(admission.granularity);
            let standing = if !machine.alive || chunk_units_max < admission.granularity.min(admission.units) {
                Standing::Out
            } else if admission.active.contains(&power.device) {
                Standing::Active
            } else {
                Standing::Reserve
            };
            Some(Member {
                device: power.device,
                machine: at,
                standing,
                lanes: power.lanes.clamp(1, machine.lanes.len() as u32),
                units_per_ms: if power.units_per_ms > 0.0 { power.units_per_ms.min(1e18) } else { 1.0 },
                setup_ms: power.setup_ms.max(0.0),
                chunk_ms: power.chunk_ms.max(0.0),
                measured: power.measured,
                observed: false,
                in_flight: 0,
                chunk_units_max: chunk_units_max.max(admission.granularity),
                queued: false,
                backlog_ms: 0.0,
                narrow_ms: None,
                wide_ms: None,
                contended: false,
                shares_cpu: machine.shares_cpu,
                done: Done::default(),
            })
        };
        let members: Vec<Member> = admission.powers.iter().filter_map(member).collect();
        let mut job = Self {
            key: admission.job,
            uid,
            order: admission.order,
            policy: admission.policy,
            units: admission.units,
            granularity: admission.granularity.max(1),
            bytes_per_unit: admission.bytes_per_unit,
            chunk_ms_max: admission.chunk_ms_max,
            passes: admission.passes,
            members,
            is_wide: admission.units > admission.granularity || admission.passes > 1,
            phase: Phase::Merging,
            pass: 0,
            pool: Vec::new(),
            rest: 0,
            empty_chunk: false,
            probe: None,
            in_flight: 0,
            folded_units: 0,
            attempts: 1,
            admitted: now,
            begun: None,
        };
        job.fill(0);
        if let Some(part) = admission.probe {
            job.set_apart(&part);
        }
        job
    }

    fn fill(&mut self, from: u64) {
        self.phase = Phase::Folding;
        self.folded_units = 0;
        self.rest = self.units - from;
        if self.rest > 0 {
            self.pool.push(from..self.units);
        }
        self.empty_chunk = self.units == 0;
    }

    /// Sets the probe's units apart, where its device is there to run them.
    fn set_apart(&mut self, part: &crate::plan::Part) {
        let Some(member) = self.members.iter().position(|member| member.device == part.device) else { return };
        let units = (self.units as f64 * part.share.clamp(0.0, 1.0)) as u64 / self.granularity * self.granularity;
        if units == 0 || units >= self.units || self.members[member].standing == Standing::Out {
            return;
        }
        self.pool = std::iter::once(units..self.units).collect();
        self.rest = self.units - units;
        let lanes = part.lanes.max(1);
        let exclusive = part.device == DeviceId::Cpu && lanes != self.members[member].lanes;
        let pool = std::iter::once(0..units).collect();
        self.probe = Some(Probe { member, lanes, pool, in_flight: 0, exclusive, done: Done::default() });
    }

    /// Whether this member may be queued: it takes part, or the probe is its.
    pub(super) fn may_fold(&self, member: usize) -> bool {
        self.members[member].takes_part() || self.probe.as_ref().is_some_and(|probe| probe.member == member)
    }

    pub(super) fn begin_pass(&mut self) {
        self.pass = self.pass.saturating_add(1);
        self.fill(0);
    }

    pub(super) fn end_pass(&mut self) {
        self.phase = Phase::Merging;
        for member in &mut self.members {
            member.done.close();
        }
        if let Some(probe) = &mut self.probe {
            probe.done.close();
        }
    }

    /// Takes a chunk out of the pool.
    pub(super) fn take(&mut self, member: usize, take: &Take, now: Duration) -> Range<u64> {
        self.begun.get_or_insert(now);
        self.in_flight += 1;
        self.members[member].in_flight += 1;
        if take.units == 0 {
            self.empty_chunk = false;
            self.members[member].done.begin(now);
            return 0..0;
        }
        let pool = match &mut self.probe {
            Some(probe) if take.from_probe => {
                if take.probe {
                    probe.in_flight += 1;
                    probe.done.begin(now);
                }
                &mut probe.pool
            }
            _ => {
                self.rest -= take.units;
                &mut self.pool
            }
        };
        if !take.probe {
            self.members[member].done.begin(now);
        }
        match pool.last_mut() {
            Some(range) => {
                let units = range.start..range.start + take.units;
                range.start = units.end;
                if range.is_empty() {
                    pool.pop();
                }
                units
            }
            None => unreachable!("a chunk is taken only from a pool that holds it"),
        }
    }

    /// A chunk has left its lane, whatever became of it.
    pub(super) fn landed(&mut self, flight: &Flight, mixed: bool) {
        self.in_flight -= 1;
        let member = &mut self.members[flight.member];
        member.in_flight -= 1;
        member.contended |= mixed;
        if let Some(probe) = self.probe.as_mut().filter(|_| flight.probe) {
            probe.in_flight -= 1;
        }
    }

    pub(super) fn folded(&mut self, flight: &Flight, phases: &Phases, resident: bool, now: Duration) {
        let units = flight.units.end - flight.units.start;
        self.folded_units += units;
        let member = &mut self.members[flight.member];
        match self.probe.as_mut().filter(|_| flight.probe) {
            Some(probe) => {
                probe.done.add(flight, phases, resident, now);
                if probe.is_over() {
                    probe.done.close();
                }
            }
            None => member.done.add(flight, phases, resident, now),
        }
        let other_threads = flight.probe && self.probe.as_ref().is_some_and(|probe| probe.exclusive);
        if !other_threads {
            member.observe(units, now.saturating_sub(flight.started), phases.setup);
        }
    }

    /// Lets a probed device take part from now on: its speed with this very job is known, and the rule of the last chunk
    /// keeps it from doing harm. Returns whether that is news.
    pub(super) fn promote_probe(&mut self, flight: &Flight) -> bool {
        let Some(probe) = self.probe.as_ref() else { return false };
        let over = flight.probe && probe.is_over();
        let member = &mut self.members[flight.member];
        if !over || self.policy != DeviceChoice::Auto || member.standing != Standing::Reserve || member.shares_cpu {
            return false;
        }
        member.standing = Standing::Active;
        true
    }

    /// Puts the units of a chunk that was not folded back.
    pub(super) fn put_back(&mut self, flight: &Flight) {
        self.attempts = self.attempts.saturating_add(1);
        if flight.units.is_empty() {
            self.empty_chunk = true;
        } else {
            self.rest += flight.units.end - flight.units.start;
            self.pool.push(flight.units.clone());
        }
    }

    /// Gives up the probe: whoever takes part folds its units.
    pub(super) fn give_up_probe(&mut self) {
        if let Some(probe) = &mut self.probe {
            for range in probe.pool.drain(..) {
                self.rest += range.end - range.start;
                self.pool.push(range);
            }
        }
    }

    /// The speed of all that take part, in units a millisecond.
    pub(super) fn power(&self) -> f64 {
        self.members
            .iter()
            .filter(|member| member.takes_part())
            .map(|member| f64::from(member.lanes) * member.units_per_ms)
            .sum()
    }

    /// How long what is left will take those that take part.
    pub(super) fn remaining_ms(&self) -> f64 {
        self.ms_for(self.later_units() + (self.units - self.folded_units) as f64)
    }

    /// How long what is in flight nowhere will take those that take part, and how many chunks that can be.
    pub(super) fn pending(&self) -> (f64, u64) {
        let probe: u64 = self.probe.iter().flat_map(|probe| &probe.pool).map(|range| range.end - range.start).sum();
        let units = self.later_units() + (self.rest + probe) as f64;
        let granules = if units > self.rest as f64 { self.units } else { self.rest }.div_ceil(self.granularity);
        (self.ms_for(units), granules.max(1))
    }

    /// Units of the passes that are expected to follow this one.
    fn later_units(&self) -> f64 {
        let passes = f64::from(self.passes.saturating_sub(self.pass).max(1)) - 1.0;
        passes * self.units as f64
    }

    fn ms_for(&self, units: f64) -> f64 {
        let ms = units / self.power().max(1e-12);
        if ms.is_finite() { ms.min(1e12) } else { 1e12 }
    }
}
