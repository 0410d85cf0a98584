//! The registry: everything that sweeps over kernels (calibration, conformance, the documentation) sweeps over [`KERNELS`].

use crate::job::Kind;
use crate::kernels::{corr, primes, stats};

/// Every kind that a kernel answers, in the order in which they are listed to users.
pub static KERNELS: &[&Kind] = &[&primes::KIND, &stats::KIND, &corr::KIND];
