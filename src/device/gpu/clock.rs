//! Where the time of a chunk went, by the device's own clock where it has one.
//!
//! A chunk's input goes up in pieces, and the device computes on what is there while the rest is on its way. So the times of
//! uploading and of computing overlap, and their sum would be more than what anybody waited. Time in which the device computed
//! counts as computing, whatever else went on; uploading is what it took beyond that: the way of the first piece, and the
//! gaps in which the device waited for the next. So phases add up to the wall clock; computing is what the chunk would take
//! if its input were there, and uploading what the input's absence adds to it.

use std::time::Duration;

use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, CommandEncoder, ComputePassDescriptor, ComputePassTimestampWrites, Device,
    Features, QuerySet, QuerySetDescriptor, QueryType, Queue,
};

use crate::device::Phases;

/// Timestamps of a work: one as its upload begins, and two for each time that the device computes without an upload between.
/// After the last one, times run together.
const QUERIES: u32 = 256;
const TICK_BYTES: u64 = 8;

/// The device's clock.
#[derive(Debug)]
pub(super) struct Clock {
    queries: QuerySet,
    resolved: Buffer,
    ns_per_tick: f64,
    /// Timestamps of this work so far.
    used: u32,
    /// That of its beginning, where it was noted.
    begun: Option<u32>,
    /// Those around each time that it computed.
    computing: Vec<[u32; 2]>,
}

/// What the clock says of a work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spans {
    /// From its beginning, where that was noted, or from its first dispatch, to the end of its last.
    pub whole: Duration,
    /// Within that, how long the device computed.
    pub computing: Duration,
}

impl Clock {
    /// That of a device opened with timestamps. Call it inside an error scope.
    pub fn new(device: &Device, queue: &Queue) -> Option<Self> {
        device.features().contains(Features::TIMESTAMP_QUERY).then(|| Self {
            queries: device.create_query_set(&QuerySetDescriptor {
                label: None,
                ty: QueryType::Timestamp,
                count: QUERIES,
            }),
            resolved: device.create_buffer(&BufferDescriptor {
                label: Some("clock"),
                size: u64::from(QUERIES) * TICK_BYTES,
                usage: BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
            ns_per_tick: f64::from(queue.get_timestamp_period()),
            used: 0,
            begun: None,
            computing: Vec::new(),
        })
    }

    /// Forgets the work before.
    pub fn restart(&mut self) {
        self.used = 0;
        self.begun = None;
        self.computing.clear();
    }

    /// Notes the time at which the device begins on the work, if it has not begun yet.
    pub fn begin(&mut self, encoder: &mut CommandEncoder) {
        if self.used > 0 {
            return;
        }
        self.used = 1;
        self.begun = Some(0);
        let writes = ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: None,
        };
        encoder.begin_compute_pass(&ComputePassDescriptor { label: None, timestamp_writes: Some(writes) });
    }

    /// What a pass writes: whether it is the first after an upload or of a step, and whether the last before one.
    pub fn timestamps(&mut self, first: bool, last: bool) -> Option<ComputePassTimestampWrites<'_>> {
        let first = first && self.used + 2 <= QUERIES;
        if first {
            self.computing.push([self.used, self.used + 1]);
            self.used += 2;
        }
        let &[begin, end] = self.computing.last().filter(|_| first || last)?;
        Some(ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: first.then_some(begin),
            end_of_pass_write_index: last.then_some(end),
        })
    }

    /// How many bytes of timestamps this work wrote.
    pub fn bytes(&self) -> u64 {
        u64::from(self.used) * TICK_BYTES
    }

    /// Has them copied to the start of `target`.
    pub fn resolve(&self, encoder: &mut CommandEncoder, target: &Buffer) {
        if self.used > 0 {
            encoder.resolve_query_set(&self.queries, 0..self.used, &self.resolved, 0);
            encoder.copy_buffer_to_buffer(&self.resolved, 0, target, 0, self.bytes());
        }
    }

    /// What they say.
    pub fn spans(&self, bytes: &[u8]) -> Option<Spans> {
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(bytes);
        spans(&ticks, self.begun, &self.computing, self.ns_per_tick)
    }
}

/// `None` where the clock stood still or ran backwards.
fn spans(ticks: &[u64], begun: Option<u32>, computing: &[[u32; 2]], ns_per_tick: f64) -> Option<Spans> {
    let at = |index: u32| ticks.get(index as usize).copied();
    let time = |ticks: u64| Duration::from_nanos((ticks as f64 * ns_per_tick) as u64);
    let mut computed = 0u64;
    for &[begin, end] in computing {
        computed = computed.saturating_add(at(end)?.checked_sub(at(begin)?)?);
    }
    let (first, last) = (computing.first()?[0], computing.last()?[1]);
    let whole = at(last)?.checked_sub(at(begun.unwrap_or(first))?)?;
    (0 < computed && computed <= whole).then(|| Spans { whole: time(whole), computing: time(computed) })
}

/// What the host noted of a work.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Noted {
    /// All of it but the set-up.
    pub took: Duration,
    /// The part in which it handed input over.
    pub sending: Duration,
    /// How long it was under way when the device's clock began, where it began with the upload.
    pub begun: Option<Duration>,
}

/// Uploading, computing and reading back: together what it took. Without a clock, what follows the handing over of the input is
/// computing.
pub(super) fn phases(noted: Noted, spans: Option<Spans>) -> Phases {
    let Noted { took, sending, begun } = noted;
    let (upload, compute) = match (spans, begun) {
        (None, _) => {
            let upload = sending.min(took);
            (upload, took - upload)
        }
        (Some(spans), None) => {
            let upload = sending.min(took);
            (upload, spans.computing.min(took - upload))
        }
        (Some(spans), Some(begun)) => {
            let begun = begun.min(took);
            let whole = spans.whole.min(took - begun);
            let compute = spans.computing.min(whole);
            (begun + (whole - compute), compute)
        }
    };
    Phases { upload, compute, readback: took - upload - compute, ..Phases::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn times_of_computing_are_added_up_and_gaps_are_not() {
        let ticks = [100, 130, 150, 200, 260];
        let found = spans(&ticks, Some(0), &[[1, 2], [3, 4]], 1e6);
        assert_eq!(found, Some(Spans { whole: ms(160), computing: ms(80) }));
        let from_the_first = spans(&ticks, None, &[[1, 2], [3, 4]], 1e6);
        assert_eq!(from_the_first, Some(Spans { whole: ms(130), computing: ms(80) }));
        assert_eq!(spans(&ticks, Some(0), &[], 1e6), None, "nothing was computed");
        assert_eq!(spans(&[5, 5], None, &[[0, 1]], 1e6), None, "it stands still");
        assert_eq!(spans(&[5, 4], None, &[[0, 1]], 1e6), None, "it runs backwards");
        assert_eq!(spans(&[5], None, &[[0, 1]], 1e6), None, "one is missing");
    }

    #[test]
    fn phases_add_up_whatever_the_clocks_say() {
        let noted = Noted { took: ms(100), sending: ms(60), begun: Some(ms(1)) };
        let overlapping = phases(noted, Some(Spans { whole: ms(90), computing: ms(50) }));
        assert_eq!((overlapping.upload, overlapping.compute, overlapping.readback), (ms(41), ms(50), ms(9)));
        let resident =
            phases(Noted { sending: ms(0), begun: None, ..noted }, Some(Spans { whole: ms(90), computing: ms(80) }));
        assert_eq!((resident.upload, resident.compute, resident.readback), (ms(0), ms(80), ms(20)));
        let small = phases(Noted { begun: None, ..noted }, Some(Spans { whole: ms(20), computing: ms(20) }));
        assert_eq!((small.upload, small.compute, small.readback), (ms(60), ms(20), ms(20)));
        let without_clock = phases(noted, None);
        assert_eq!((without_clock.upload, without_clock.compute, without_clock.readback), (ms(60), ms(40), ms(0)));
        for took in [0, 1, 50, 1000] {
            for begun in [None, Some(ms(0)), Some(ms(70))] {
                for spans in [None, Some(Spans { whole: ms(600), computing: ms(40) })] {
                    let phases = phases(Noted { took: ms(took), sending: ms(60), begun }, spans);
                    assert_eq!(phases.total(), ms(took), "{phases:?}");
                }
            }
        }
    }
}
