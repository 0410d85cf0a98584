//! How close a time comes to what the device can do at best. Pure.

use serde::{Deserialize, Serialize};

use crate::bench::{Ceiling, Cell, Row};

/// What bounds a job in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Reading its input from the device's memory.
    Memory,
    /// Integer operations.
    Operations,
    /// Moving its input to the device.
    Upload,
}

/// How close a time comes to what the device can do at best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// What takes longest even at best.
    pub bound: Bound,
    /// The time at best, as a share of the time that was taken. Above 1 where a ceiling does not hold: data that fits a cache
    /// is read faster than memory, and vector units do several operations at once.
    pub share: f64,
    /// Integer operations a byte of input, where the kind knows its operations and has input.
    pub operations_per_byte: Option<f64>,
    /// What each of the device's own rates was used to.
    #[serde(default)]
    pub used: Used,
}

/// What a job used of each of a device's own rates, as shares; `None` for what is not known or not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// Of the rate at which bytes move to it: the bytes of the input over all that the job took.
    pub upload: Option<f64>,
    /// Of the rate at which it reads its memory: the same bytes over the time that it computed.
    pub memory: Option<f64>,
    /// Of the rate of its integer operations, over the time that it computed.
    pub operations: Option<f64>,
}

/// How close `cell` comes to `ceiling`: the roofline of Williams, Waterman and Patterson (CACM 52, 2009), with the way to the
/// device beside it. At best a job takes as long as the slowest of its reads, its operations, and where the device has memory of
/// its own, its upload: all three overlap. `None` where nothing is known that would bound it.
pub fn limit(row: &Row, cell: &Cell, ceiling: &Ceiling) -> Option<Limit> {
    let time = |amount: f64, per_s: Option<f64>| per_s.filter(|_| amount > 0.0).map(|per_s| amount / per_s * 1e3);
    let memory = time(row.bytes, ceiling.read_bytes_per_s).map(|ms| (Bound::Memory, ms));
    let operations = row.operations.and_then(|count| time(count, ceiling.operations_per_s));
    let operations = operations.map(|ms| (Bound::Operations, ms));
    let upload = time(row.bytes, ceiling.upload_bytes_per_s).map(|ms| (Bound::Upload, ms));
    let longest = |a: Option<(Bound, f64)>, b: Option<(Bound, f64)>| {
        [a, b].into_iter().flatten().max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let (bound, best_ms) = longest(longest(memory, operations), upload)?;
    let operations_per_byte = row.operations.filter(|_| row.bytes > 0.0).map(|count| count / row.bytes);
    let compute_ms = cell.phase_ms(|run| run.compute_ms);
    let share = |best: Option<(Bound, f64)>, ms: f64| best.filter(|_| ms > 0.0).map(|(_, best_ms)| best_ms / ms);
    let used = Used {
        upload: share(upload, cell.median_ms),
        memory: share(memory, compute_ms),
        operations: share(operations, compute_ms),
    };
    (cell.median_ms > 0.0).then(|| Limit { bound, share: best_ms / cell.median_ms, operations_per_byte, used })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Place, examples};

    fn found(bytes: f64, operations: Option<f64>, upload: Option<f64>) -> Option<Limit> {
        let row = examples::row("k", "v", 1000, &[(Place::Gpu(0), 10.0)]);
        let mut row = Row { bytes, operations, ..row };
        row.cells[0].runs.iter_mut().for_each(|run| run.compute_ms = 8.0);
        let ceiling = Ceiling {
            place: Place::Gpu(0),
            read_bytes_per_s: Some(1e9),
            upload_bytes_per_s: upload,
            operations_per_s: Some(1e9),
        };
        limit(&row, &row.cells[0], &ceiling)
    }

    #[test]
    fn the_slowest_of_reading_computing_and_uploading_bounds_a_job() {
        // 4 ms of reads and 2 ms of operations, in 10 ms.
        let memory = found(4e6, Some(2e6), None).unwrap();
        assert_eq!((memory.bound, memory.share, memory.operations_per_byte), (Bound::Memory, 0.4, Some(0.5)));
        let computing = found(4e6, Some(8e6), None).unwrap();
        assert_eq!((computing.bound, computing.share), (Bound::Operations, 0.8));
        let upload = found(1e6, None, Some(2e8)).unwrap();
        assert_eq!((upload.bound, upload.operations_per_byte), (Bound::Upload, None));
        assert_eq!(upload.share, 0.5, "5 ms of upload, beside 1 ms of reads");
        assert_eq!(upload.used, Used { upload: Some(0.5), memory: Some(0.125), operations: None });
        assert_eq!(computing.used, Used { upload: None, memory: Some(0.5), operations: Some(1.0) });
        assert_eq!(found(0.0, None, None), None, "nothing is known of it");
    }
}
