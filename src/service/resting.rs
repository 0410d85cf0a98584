//! Devices that have failed, and when they are tried again. Pure.

use std::collections::HashMap;
use std::time::Duration;

use crate::device::DeviceId;

/// A device rests no longer than this, unless its first rest is longer.
const REST_MAX: Duration = Duration::from_secs(600);

#[derive(Debug)]
struct Rest {
    until: Duration,
    /// The next one.
    next: Duration,
}

/// Devices that have failed.
#[derive(Debug)]
pub(super) struct Resting {
    first: Duration,
    rests: HashMap<DeviceId, Rest>,
}

impl Resting {
    /// None yet; the first time, a device rests so long.
    pub fn new(first: Duration) -> Self {
        Self { first, rests: HashMap::new() }
    }

    /// Those of the devices set aside that have rested long enough.
    pub fn due(&mut self, aside: &[DeviceId], now: Duration) -> Vec<DeviceId> {
        let longest = self.first.max(REST_MAX);
        // One that has been well for as long as it would rest is as good as new.
        self.rests.retain(|device, rest| aside.contains(device) || now < rest.until + rest.next);
        let mut due = Vec::new();
        for device in aside {
            let rest = self.rests.entry(*device).or_insert_with(|| {
                let next = (self.first * 2).min(longest);
                Rest { until: now + self.first, next }
            });
            if now >= rest.until {
                due.push(*device);
                rest.until = now + rest.next;
                rest.next = (rest.next * 2).min(longest);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_tried_again_ever_less_often_and_one_that_is_well_as_at_first() {
        let seconds = Duration::from_secs;
        let mut resting = Resting::new(seconds(30));
        let gpu = [DeviceId::Gpu(1)];
        let tried: Vec<u64> = (0..2500).filter(|now| !resting.due(&gpu, seconds(*now)).is_empty()).collect();
        assert_eq!(tried, [30, 90, 210, 450, 930, 1530, 2130]);
        assert!(resting.due(&[], seconds(2140)).is_empty());
        let from = 9000;
        resting.due(&[], seconds(from));
        let tried: Vec<u64> = (from..from + 100).filter(|now| !resting.due(&gpu, seconds(*now)).is_empty()).collect();
        assert_eq!(tried, [from + 30, from + 90]);
    }
}
