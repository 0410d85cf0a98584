//! How busy the devices are, for whoever watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::device::DeviceId;

/// How busy a device is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceLoad {
    /// How many of its lanes work just now.
    pub busy_lanes: u32,
    /// For how long its lanes have worked so far, added up.
    pub busy: Duration,
}

/// The work on a device. What began counts negative by the time of its begin, what ended positive by that of its end: so that
/// what is under way needs no entry of its own.
#[derive(Debug, Default)]
struct Balance {
    lanes: u32,
    ns: i128,
}

/// The work on one device.
#[derive(Debug)]
pub(crate) struct Tally {
    since: Instant,
    balance: Mutex<Balance>,
}

/// The work on all devices.
#[derive(Debug, Default)]
pub(crate) struct Load {
    tallies: Mutex<BTreeMap<DeviceId, Arc<Tally>>>,
}

/// A piece of work that is under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Busy<'a>(&'a Tally);

impl Load {
    /// The work on this device, which pieces are counted in.
    pub fn tally(&self, device: DeviceId) -> Arc<Tally> {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Tally { since: Instant::now(), balance: Mutex::default() });
        tallies.entry(device).or_insert_with(new).clone()
    }

    /// How busy a device is.
    pub fn of(&self, device: DeviceId) -> DeviceLoad {
        let tally = self.tallies.lock().unwrap_or_else(PoisonError::into_inner).get(&device).cloned();
        tally.map(|tally| tally.load()).unwrap_or_default()
    }
}

impl Tally {
    fn balance(&self) -> (MutexGuard<'_, Balance>, i128) {
        let balance = self.balance.lock().unwrap_or_else(PoisonError::into_inner);
        // Read within the lock, so that no time is before one that was noted.
        (balance, self.since.elapsed().as_nanos() as i128)
    }

    /// A piece begins on a lane.
    pub fn begin(&self) -> Busy<'_> {
        let (mut balance, now) = self.balance();
        balance.lanes += 1;
        balance.ns -= now;
        Busy(self)
    }

    fn load(&self) -> DeviceLoad {
        let (balance, now) = self.balance();
        let busy_ns = balance.ns + i128::from(balance.lanes) * now;
        DeviceLoad { busy_lanes: balance.lanes, busy: Duration::from_nanos(u64::try_from(busy_ns).unwrap_or_default()) }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let (mut balance, now) = self.0.balance();
        balance.lanes -= 1;
        balance.ns += now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_counts_until_it_ends_and_devices_apart() {
        let load = Load::default();
        assert_eq!(load.of(DeviceId::Cpu), DeviceLoad::default());
        let tally = load.tally(DeviceId::Cpu);
        let (one, two) = (tally.begin(), tally.begin());
        std::thread::sleep(Duration::from_millis(2));
        let under_way = load.of(DeviceId::Cpu);
        assert!(under_way.busy_lanes == 2 && under_way.busy >= Duration::from_millis(4), "{under_way:?}");
        assert_eq!(load.of(DeviceId::Gpu(0)), DeviceLoad::default());
        drop((one, two));
        let ended = load.of(DeviceId::Cpu);
        assert!(ended.busy_lanes == 0 && ended.busy >= under_way.busy);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(load.of(DeviceId::Cpu), ended, "nobody works");
    }
}
