//! The lanes of one device: who is on them, and who waits for them.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use crate::device::DeviceId;
use crate::engine::dispatch::backlog::Narrow;
use crate::engine::dispatch::{Lanes, Slot};

/// More lanes than any machine has: a guard against nonsense.
pub(crate) const LANES_MAX: u32 = 4096;

/// A chunk being folded.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) serial: u64,
    pub(super) job: Slot,
    /// Which of the job's members.
    pub(super) member: usize,
    pub(super) units: Range<u64>,
    pub(super) started: Duration,
    /// When it is predicted to end.
    pub(super) ends: Duration,
    /// Whether it is part of the job's probe.
    pub(super) probe: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Lane {
    Idle,
    Busy(Flight),
}

/// A job in a device's queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    pub(super) order: u64,
    pub(super) slot: Slot,
}

/// A device and its lanes.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) id: DeviceId,
    pub(super) alive: bool,
    pub(super) lanes: Vec<Lane>,
    pub(super) idle: Vec<u32>,
    pub(super) in_flight: u32,
    /// Jobs that may have something for it, by order. Ended jobs are left in until somebody looks.
    pub(super) ready: VecDeque<Queued>,
    /// How long what was admitted will keep it busy, on average over its lanes.
    pub(super) backlog_ms: f64,
    /// Jobs of one chunk that wait for it.
    pub(super) narrow: Narrow,
    /// How many lanes jobs of several chunks may have that it takes part in, summed up, and the lane time of what of them is in flight
    /// nowhere.
    pub(super) wide_lanes: u64,
    pub(super) wide_ms: f64,
    pub(super) max_chunk_bytes: u64,
    pub(super) shares_cpu: bool,
    /// When it looks for a job to help with, while it is idle; `None` until a job comes that it could help with.
    pub(super) looks_at: Option<Duration>,
    /// Whose chunks are in flight, as long as they are one job's.
    pub(super) sole: Option<Slot>,
    /// Whether chunks of several jobs are, or were since it was last idle.
    pub(super) mixed: bool,
}

impl Machine {
    pub(super) fn new(lanes: &Lanes) -> Self {
        let count = lanes.lanes.clamp(1, LANES_MAX);
        Self {
            id: lanes.device,
            alive: true,
            lanes: vec![Lane::Idle; count as usize],
            idle: (0..count).rev().collect(),
            in_flight: 0,
            ready: VecDeque::new(),
            backlog_ms: 0.0,
            narrow: Narrow::default(),
            wide_lanes: 0,
            wide_ms: 0.0,
            max_chunk_bytes: lanes.max_chunk_bytes,
            shares_cpu: lanes.shares_cpu,
            looks_at: Some(Duration::ZERO),
            sole: None,
            mixed: false,
        }
    }

    pub(super) fn idle_lane(&self) -> Option<u32> {
        self.idle.last().copied()
    }

    /// Puts a chunk on its lane, which is the one that [`Machine::idle_lane`] gave.
    pub(super) fn launch(&mut self, lane: u32, flight: Flight) {
        let popped = self.idle.pop();
        debug_assert_eq!(popped, Some(lane));
        if self.in_flight == 0 {
            self.sole = Some(flight.job);
            self.mixed = false;
        } else if self.sole != Some(flight.job) {
            self.mixed = true;
        }
        self.in_flight += 1;
        self.lanes[lane as usize] = Lane::Busy(flight);
    }

    /// Takes the chunk off its lane.
    pub(super) fn land(&mut self, lane: u32) -> Option<Flight> {
        let place = self.lanes.get_mut(lane as usize)?;
        match std::mem::replace(place, Lane::Idle) {
            Lane::Idle => None,
            Lane::Busy(flight) => {
                self.in_flight -= 1;
                self.idle.push(lane);
                self.look_now();
                Some(flight)
            }
        }
    }

    /// Takes everything off its lanes, for good.
    pub(super) fn abandon(&mut self) -> Vec<Flight> {
        self.alive = false;
        self.idle.clear();
        self.ready.clear();
        self.in_flight = 0;
        self.lanes
            .iter_mut()
            .filter_map(|lane| match std::mem::replace(lane, Lane::Idle) {
                Lane::Busy(flight) => Some(flight),
                Lane::Idle => None,
            })
            .collect()
    }

    pub(super) fn enqueue(&mut self, order: u64, slot: Slot) {
        let queued = Queued { order, slot };
        if self.ready.back().is_none_or(|last| last.order <= order) {
            self.ready.push_back(queued);
        } else {
            let place = self.ready.partition_point(|other| other.order <= order);
            self.ready.insert(place, queued);
        }
    }

    /// Whether this job is the first in its queue.
    pub(super) fn is_next(&self, uid: u64) -> bool {
        self.ready.front().is_some_and(|queued| queued.slot.uid == uid)
    }

    /// Milliseconds until its lanes are free of what is on them, on average.
    pub(super) fn free_in_ms(&self, now: Duration) -> f64 {
        self.lanes.iter().map(|lane| lane.free_in_ms(now)).sum::<f64>() / self.lanes.len() as f64
    }
}
