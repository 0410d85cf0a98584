//! Dividing a job over several devices at once.

/// A device as the division sees it: when it begins and how long it would take for everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane {
    /// Milliseconds until it begins.
    pub(super) begins_ms: f64,
    /// Milliseconds that it would take for the whole job from then on.
    pub(super) whole_ms: f64,
}

/// When all end together, and the share of each: the time T for which the shares `(T - begins) / whole`, none negative,
/// add up to 1. `None` where there is no lane that takes a finite, positive time.
pub(super) fn together(lanes: &[Lane]) -> Option<(f64, Vec<f64>)> {
    let mut order: Vec<usize> =
        (0..lanes.len()).filter(|&i| lanes[i].begins_ms.is_finite() && lanes[i].whole_ms > 0.0).collect();
    order.sort_by(|&a, &b| lanes[a].begins_ms.total_cmp(&lanes[b].begins_ms));
    let mut end_ms = None;
    let (mut rate, mut head_start) = (0.0, 0.0);
    for &i in &order {
        if end_ms.is_some_and(|end| end <= lanes[i].begins_ms) {
            break;
        }
        rate += 1.0 / lanes[i].whole_ms;
        head_start += lanes[i].begins_ms / lanes[i].whole_ms;
        end_ms = Some((1.0 + head_start) / rate);
    }
    let end_ms = end_ms?;
    let share = |lane: &Lane| {
        if lane.whole_ms > 0.0 { ((end_ms - lane.begins_ms) / lane.whole_ms).clamp(0.0, 1.0) } else { 0.0 }
    };
    Some((end_ms, lanes.iter().map(share).collect()))
}

/// When lanes that are free at these times have done `work_ms` of lane time between them, where those that are free early
/// do more.
pub(crate) fn end_together(free_ms: &[f64], work_ms: f64) -> Option<f64> {
    // Most often even the last one is free before all is done.
    let end_ms = (free_ms.iter().sum::<f64>() + work_ms.max(1e-9)) / free_ms.len() as f64;
    if end_ms.is_finite() && free_ms.iter().all(|ms| *ms <= end_ms) {
        return Some(end_ms);
    }
    let lanes: Vec<Lane> = free_ms.iter().map(|&begins_ms| Lane { begins_ms, whole_ms: work_ms.max(1e-9) }).collect();
    together(&lanes).map(|(end_ms, _)| end_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(begins_ms: f64, whole_ms: f64) -> Lane {
        Lane { begins_ms, whole_ms }
    }

    #[test]
    fn equal_devices_take_half_each() {
        assert_eq!(together(&[lane(0.0, 100.0), lane(0.0, 100.0)]), Some((50.0, vec![0.5, 0.5])));
    }

    #[test]
    fn three_unequal_devices_end_together() {
        let lanes = [lane(0.0, 600.0), lane(10.0, 300.0), lane(20.0, 200.0)];
        let (end, shares) = together(&lanes).unwrap();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
        for (lane, share) in lanes.iter().zip(&shares) {
            assert!((lane.begins_ms + share * lane.whole_ms - end).abs() < 1e-9, "{lane:?} {share} {end}");
        }
    }

    #[test]
    fn a_device_that_begins_after_the_end_gets_nothing() {
        assert_eq!(together(&[lane(0.0, 100.0), lane(100.0, 1.0)]), Some((100.0, vec![1.0, 0.0])));
        assert_eq!(together(&[]), None);
    }

    #[test]
    fn lanes_that_are_free_early_do_more_and_one_that_is_free_too_late_nothing() {
        assert_eq!(end_together(&[60_000.0, 0.0, 10.0], 30.0), Some(20.0));
        assert_eq!(end_together(&[5.0], 30.0), Some(35.0));
        assert_eq!(end_together(&[], 30.0), None);
    }
}
