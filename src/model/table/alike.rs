//! What has been measured of jobs like one, looked up once: a planner asks for it a dozen times a job.

use crate::model::curve::Belief;
use crate::model::table::{Entry, Model, is_due};
use crate::model::{CostClass, Forecast};

/// What has been measured with jobs of one kernel, variant and cost class, on all devices and numbers of lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alike<'a>(&'a [Entry]);

/// What has been measured of them on so many lanes of one device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs<'a>(&'a Entry);

impl Model {
    /// What has been measured with jobs like these.
    pub(crate) fn alike(&self, kernel: &str, variant: &str, cost: CostClass) -> Alike<'_> {
        let of = |entry: &Entry| {
            entry
                .kernel
                .as_str()
                .cmp(kernel)
                .then_with(|| entry.variant.as_str().cmp(variant))
                .then(entry.cost.cmp(&cost))
        };
        let from = self.entries.partition_point(|entry| of(entry).is_lt());
        let rest = &self.entries[from..];
        let count = rest.iter().take_while(|entry| of(entry).is_eq()).count();
        Alike(&rest[..count])
    }
}

impl<'a> Alike<'a> {
    /// Those on so many lanes of the device with this fingerprint.
    pub fn on(self, fingerprint: &str, lanes: u32) -> Option<Runs<'a>> {
        self.0.iter().find(|entry| entry.lanes == lanes && entry.device == fingerprint).map(Runs)
    }

    /// [`Model::due_for_probe`], of jobs whose kernel tells of their cost.
    pub fn due_for_probe(self, fingerprint: &str, lanes: u32) -> bool {
        let runs = self.0.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.runs));
        self.on(fingerprint, lanes).is_none_or(|Runs(entry)| is_due(entry, runs))
    }
}

impl Runs<'_> {
    /// [`Model::compute`].
    pub fn compute(self, units: u64, belief: Belief) -> Option<Forecast> {
        self.0.compute.predict(units, belief)
    }

    /// [`Model::upload`].
    pub fn upload(self, units: u64) -> Option<Forecast> {
        self.0.upload.predict(units, Belief::PROPORTIONAL)
    }

    /// [`Model::readback`].
    pub fn readback(self, units: u64) -> Option<Forecast> {
        self.0.readback.predict(units, Belief::PROPORTIONAL)
    }
}
