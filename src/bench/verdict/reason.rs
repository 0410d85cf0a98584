//! Why a place loses at a size. Pure.

use serde::{Deserialize, Serialize};

use super::is_surely_faster;
use crate::bench::{Cell, Place, Row};

/// Why a place loses at a size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is none: its shaders run on the cores that the CPU's threads run on.
    Software,
    /// It is a split: handing out parts takes longer than it saves.
    Shared,
    /// Moving the input to it takes longer than the CPU needs for all.
    Upload {
        /// How long that takes.
        upload_ms: f64,
    },
    /// What it takes for any job, however small, is more than the other takes: handing it over, waiting, reading back.
    FixedCost {
        /// How long its smallest job took.
        least_ms: f64,
    },
    /// Setting it up takes longer than the CPU needs for all.
    Setup {
        /// How long that takes.
        setup_ms: f64,
    },
    /// Reading back takes longer than the CPU needs for all.
    Readback {
        /// How long that takes.
        readback_ms: f64,
    },
    /// It computes for longer than the other takes for all.
    Compute {
        /// How long it computes.
        compute_ms: f64,
    },
    /// No part alone takes as long as the CPU; together they do.
    Sum {
        /// How long it computes.
        compute_ms: f64,
        /// How long moving the input to it takes.
        upload_ms: f64,
    },
}

/// Where it loses, and why.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lost {
    /// The largest size that was measured at which it surely loses, in units.
    pub units: u64,
    /// How long it took there.
    pub gpu_ms: f64,
    /// How long the CPU took there, at its best.
    pub cpu_ms: f64,
    /// Why.
    pub reason: Reason,
}

impl Reason {
    /// Why `cell` takes longer than `other_ms`, where the least that it took at any size is `least_ms`.
    pub(super) fn of(cell: &Cell, other_ms: f64, least_ms: f64, software: bool) -> Self {
        let [upload_ms, compute_ms, readback_ms, setup_ms] = [
            cell.phase_ms(|run| run.upload_ms),
            cell.phase_ms(|run| run.compute_ms),
            cell.phase_ms(|run| run.readback_ms),
            cell.phase_ms(|run| run.setup_ms),
        ];
        if software {
            Self::Software
        } else if cell.place == Place::Split {
            Self::Shared
        } else if least_ms > other_ms {
            Self::FixedCost { least_ms }
        } else if upload_ms >= other_ms {
            Self::Upload { upload_ms }
        } else if setup_ms >= other_ms {
            Self::Setup { setup_ms }
        } else if readback_ms >= other_ms {
            Self::Readback { readback_ms }
        } else if compute_ms >= other_ms {
            Self::Compute { compute_ms }
        } else {
            Self::Sum { compute_ms, upload_ms }
        }
    }
}

/// The largest size at which the CPU surely wins, and why.
pub(super) fn lost(pairs: &[(&Row, &Cell, &Cell)], software: bool) -> Option<Lost> {
    let (row, gpu, cpu) = pairs.iter().rfind(|(_, gpu, cpu)| is_surely_faster(cpu, gpu))?;
    let least_ms = pairs.iter().map(|(_, gpu, _)| gpu.median_ms).fold(f64::INFINITY, f64::min);
    let reason = Reason::of(gpu, cpu.median_ms, least_ms, software);
    Some(Lost { units: row.units, gpu_ms: gpu.median_ms, cpu_ms: cpu.median_ms, reason })
}
