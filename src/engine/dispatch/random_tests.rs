//! Dispatch under random events: whatever happens, its invariants hold after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use proptest::prelude::*;

use super::tests::{admission, lanes, power};
use super::*;
use crate::device::{DeviceError, Phases};
use crate::job::DeviceChoice;
use crate::plan::Part;
use crate::random::SplitMix64;

/// The devices of the world: lanes of each.
const DEVICES: [(DeviceId, u32); 3] = [(DeviceId::Cpu, 3), (DeviceId::Gpu(0), 1), (DeviceId::Gpu(1), 2)];

/// Random numbers in bounds.
struct Dice(SplitMix64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound.max(1)
    }
}

/// What is known of a job from outside.
#[derive(Debug, Default)]
struct Seen {
    units: u64,
    granularity: u64,
    /// Folded and wanted in the current pass: start to end.
    folded: BTreeMap<u64, u64>,
    pass: u32,
    merging: bool,
    ends: u32,
}

/// The world around a dispatch, which checks everything it is told.
struct World {
    dispatch: Dispatch,
    dice: Dice,
    now: Duration,
    jobs: BTreeMap<u64, Seen>,
    /// Chunks on lanes of devices that are there.
    flying: BTreeMap<(DeviceId, u32), (Ticket, u64, Range<u64>)>,
    /// Chunks of devices that were set aside: their reports still come.
    stray: Vec<Ticket>,
    there: BTreeSet<DeviceId>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            dispatch: Dispatch::new(),
            dice: Dice(SplitMix64(seed)),
            now: Duration::ZERO,
            jobs: BTreeMap::new(),
            flying: BTreeMap::new(),
            stray: Vec::new(),
            there: BTreeSet::new(),
        };
        for (device, count) in DEVICES {
            world.there.insert(device);
            world.tell(Event::DeviceAdded(lanes(device, count)));
        }
        world
    }

    fn tell(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.dispatch.on(event, self.now, &mut actions);
        for action in actions {
            self.check(action);
        }
        assert!(self.dispatch.in_flight() == self.flying.len(), "lanes in use");
        for (device, lanes) in DEVICES {
            let busy = self.dispatch.busy_for_ms(device, self.now, |_| u64::MAX);
            assert!(busy.len() <= lanes as usize && busy.is_sorted(), "{device}: {busy:?}");
            assert!(busy.iter().all(|ms| ms.is_finite() && *ms > 0.0), "{device}: {busy:?}");
        }
    }

    fn check(&mut self, action: Action) {
        match action {
            Action::Fold { ticket, job, pass, units } => {
                assert!(self.there.contains(&ticket.device), "{ticket:?} is on a device that is not there");
                let lanes = DEVICES.iter().find(|device| device.0 == ticket.device).unwrap().1;
                assert!(ticket.lane < lanes, "{ticket:?}");
                let seen = &self.jobs[&job];
                assert_eq!((seen.ends, seen.merging, seen.pass), (0, false, pass), "job {job} {units:?}");
                assert!(units.end <= seen.units && (units.start < units.end || seen.units == 0), "{units:?}");
                assert_eq!(units.start % seen.granularity, 0, "{units:?}");
                let other = self.flying.insert((ticket.device, ticket.lane), (ticket, job, units));
                assert!(other.is_none(), "{ticket:?} and {other:?} are on one lane");
            }
            Action::PassComplete { job } => {
                assert!(self.flying.values().all(|(_, other, _)| *other != job), "job {job} is in flight");
                let seen = self.jobs.get_mut(&job).unwrap();
                assert!(!seen.merging && seen.ends == 0);
                seen.merging = true;
                let mut next = 0;
                for (start, end) in &seen.folded {
                    assert_eq!(*start, next, "job {job}: {:?}", seen.folded);
                    next = *end;
                }
                assert_eq!(next, seen.units, "job {job}: {:?}", seen.folded);
            }
            Action::End { job, .. } => {
                let seen = self.jobs.get_mut(&job).unwrap();
                seen.ends += 1;
                assert_eq!(seen.ends, 1, "job {job} ended again");
            }
            Action::SetAside { device, .. } => {
                assert!(self.there.remove(&device), "{device} was set aside already");
                let gone: Vec<_> = self.flying.keys().filter(|key| key.0 == device).copied().collect();
                for key in gone {
                    self.stray.extend(self.flying.remove(&key).map(|flight| flight.0));
                }
            }
        }
    }

    fn admit(&mut self) {
        let job = self.jobs.len() as u64;
        let granularity = [1, 1, 7, 64][self.dice.below(4) as usize];
        let most = [0, 1, 100, 10_000, u64::MAX][self.dice.below(5) as usize];
        let units = self.dice.below(most);
        let mut powers = Vec::new();
        for (device, lanes) in DEVICES {
            let speed = [1e-6, 1.0, 50.0, 1e9][self.dice.below(4) as usize];
            let mut power = power(device, lanes, speed * units.max(1) as f64 / 1000.0);
            power.setup_ms = self.dice.below(3) as f64 * 50.0;
            power.measured = self.dice.below(2) == 0;
            powers.push(power);
        }
        let all: Vec<DeviceId> = DEVICES.iter().map(|device| device.0).collect();
        let (policy, active) = match self.dice.below(5) {
            0 => (DeviceChoice::Auto, vec![DeviceId::Cpu]),
            1 => (DeviceChoice::Auto, vec![DeviceId::Gpu(0)]),
            2 => (DeviceChoice::GpuIndex(1), vec![DeviceId::Gpu(1)]),
            3 => (DeviceChoice::Split, all),
            _ => (DeviceChoice::Cpu, vec![DeviceId::Cpu]),
        };
        if matches!(policy, DeviceChoice::Cpu | DeviceChoice::GpuIndex(_)) {
            powers.retain(|power| active.contains(&power.device));
        }
        let probe = (policy == DeviceChoice::Auto && self.dice.below(2) == 0).then(|| Part {
            device: DEVICES[self.dice.below(3) as usize].0,
            lanes: 1 + self.dice.below(4) as u32,
            share: self.dice.below(100) as f64 / 1000.0,
        });
        self.jobs.insert(job, Seen { units, granularity, ..Seen::default() });
        let order = self.dice.below(10);
        self.tell(Event::Admitted(Admission {
            order,
            granularity,
            probe,
            ..admission(job, units, policy, &active, &powers)
        }));
    }

    fn random_flight(&mut self) -> Option<(Ticket, u64, Range<u64>)> {
        let at = self.dice.below(self.flying.len() as u64) as usize;
        self.flying.values().nth(at).cloned()
    }

    /// A chunk comes back folded.
    fn fold_one(&mut self) {
        let Some((ticket, job, units)) = self.random_flight() else { return };
        self.now += Duration::from_micros(self.dice.below(20_000));
        self.flying.remove(&(ticket.device, ticket.lane));
        let seen = self.jobs.get_mut(&job).unwrap();
        assert_eq!(self.dispatch.wants(ticket), seen.ends == 0, "{ticket:?} of job {job}");
        if seen.ends == 0 && !units.is_empty() {
            let before = seen.folded.insert(units.start, units.end);
            assert!(before.is_none(), "job {job}: {units:?} was folded before");
        }
        self.tell(Event::ChunkDone { ticket, phases: Phases::default(), resident: false });
    }

    fn fail_one(&mut self) {
        let Some((ticket, job, units)) = self.random_flight() else { return };
        // A device that holds next to nothing of a job of 2^64 units would take it apart for ever.
        let all = self.jobs[&job].units;
        let holds_little = all <= 10_000 || units.end - units.start > all / 64;
        let error = match self.dice.below(8) {
            0 => DeviceError::Lost("lost".into()),
            1 => DeviceError::Job(JobError::bad_input("bad")),
            2 => DeviceError::Unsupported("unsupported".into()),
            _ if holds_little => DeviceError::OutOfMemory("full".into()),
            _ => return,
        };
        if !matches!(error, DeviceError::Lost(_)) {
            self.flying.remove(&(ticket.device, ticket.lane));
        }
        self.tell(Event::ChunkFailed { ticket, error });
    }

    /// The engine has merged a pass.
    fn merge_one(&mut self) {
        let merging: Vec<u64> =
            self.jobs.iter().filter(|(_, seen)| seen.merging && seen.ends == 0).map(|(job, _)| *job).collect();
        let Some(&job) = merging.get(self.dice.below(merging.len() as u64) as usize) else { return };
        let seen = self.jobs.get_mut(&job).unwrap();
        if seen.pass < 2 && self.dice.below(3) == 0 {
            seen.pass += 1;
            seen.merging = false;
            seen.folded.clear();
            self.tell(Event::PassAdvanced { job });
        } else if self.dice.below(10) == 0 {
            self.tell(Event::Failed { job, error: JobError::bad_input("no answer") });
        } else {
            self.tell(Event::Finished { job });
        }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..15 => self.admit(),
            15..65 => self.fold_one(),
            65..75 => self.fail_one(),
            75..92 => self.merge_one(),
            92..95 => {
                let job = self.dice.below(self.jobs.len() as u64 + 2);
                self.tell(Event::Cancelled { job });
            }
            95 => {
                let device = DEVICES[1 + self.dice.below(2) as usize].0;
                self.tell(Event::DeviceLost { device, why: "unplugged".into() });
            }
            96..98 => {
                let (device, count) = DEVICES[self.dice.below(3) as usize];
                self.there.insert(device);
                self.tell(Event::DeviceAdded(lanes(device, count)));
            }
            _ => {
                if let Some(ticket) = self.stray.pop() {
                    assert!(!self.dispatch.wants(ticket), "{ticket:?} comes from a device set aside");
                    self.tell(Event::ChunkDone { ticket, phases: Phases::default(), resident: false });
                }
            }
        }
    }

    /// Nothing goes wrong any more: everything has to end.
    fn drain(&mut self) {
        for _ in 0..200_000 {
            if self.dispatch.jobs() == 0 && self.flying.is_empty() {
                break;
            }
            if self.flying.is_empty() || self.dice.below(4) == 0 {
                self.merge_one();
            }
            self.fold_one();
        }
        assert_eq!((self.dispatch.jobs(), self.dispatch.in_flight()), (0, 0), "something never ended");
        for (job, seen) in &self.jobs {
            assert_eq!(seen.ends, 1, "job {job}");
        }
        for (device, _) in DEVICES {
            assert!(self.dispatch.busy_for_ms(device, self.now, |_| u64::MAX).is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_under_random_events(seed in any::<u64>()) {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
        }
        world.drain();
    }
}

#[test]
fn the_invariants_hold_for_thousands_of_events_on_end() {
    let mut world = World::new(0x9e37_79b9_7f4a_7c15);
    for _ in 0..5_000 {
        world.step();
    }
    world.drain();
    let ended: usize = world.jobs.len();
    assert!(ended > 500, "only {ended} jobs were admitted");
}
