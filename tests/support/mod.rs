//! A kernel of a user's own, as small as one can be, with faults on demand.

pub mod random;

use std::io::{self, Write};
use std::ops::Range;

use tandem::job::JobError;
use tandem::kernels::{Answer, FoldContext, Kernel, Next, Work};

/// Sums the numbers below `units`, in two passes, to exercise everything that a kernel can do.
#[derive(Debug, Clone)]
pub struct SumBelow {
    pub units: u64,
    /// Panics in the chunk that holds this unit.
    pub panic_at: Option<u64>,
    /// Sleeps this long in every chunk.
    pub sleep_ms: u64,
    /// What planning believes.
    pub prior_ns_per_unit: f64,
    /// Where chunks may begin.
    pub granularity: u64,
}

impl SumBelow {
    pub fn new(units: u64) -> Self {
        Self { units, panic_at: None, sleep_ms: 0, prior_ns_per_unit: 1.0, granularity: 8 }
    }
}

/// The sum that [`SumBelow`] gives.
#[derive(Debug, PartialEq, Eq)]
pub struct Total(pub u128);

impl Answer for Total {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{{\"total\":\"{}\"}}", self.0)
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.0)
    }

    fn summary(&self) -> String {
        self.0.to_string()
    }
}

impl Kernel for SumBelow {
    type Pass = Option<u128>;
    type Partial = u128;

    fn work(&self) -> Work {
        Work {
            kernel: "sum_below",
            variant: "u64".to_owned(),
            units: self.units,
            granularity: self.granularity,
            bytes_per_unit: 0.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: self.prior_ns_per_unit,
            passes: 2,
            gpu: true,
        }
    }

    fn first_pass(&self) -> Result<Option<u128>, JobError> {
        Ok(None)
    }

    fn fold(&self, _: &Option<u128>, units: Range<u64>, _: &mut FoldContext<'_>) -> Result<u128, JobError> {
        if self.sleep_ms > 0 {
            std::thread::sleep(std::time::Duration::from_millis(self.sleep_ms));
        }
        if let Some(at) = self.panic_at
            && units.contains(&at)
        {
            panic!("unit {at} is cursed");
        }
        Ok(units.map(u128::from).sum())
    }

    fn merge(&self, into: &mut u128, from: u128) {
        *into += from;
    }

    fn next(&self, pass: &Option<u128>, merged: u128) -> Result<Next<Option<u128>>, JobError> {
        match pass {
            None => Ok(Next::Pass(Some(merged))),
            Some(first) => {
                assert_eq!(*first, merged, "both passes see the same units");
                Ok(Next::Done(Box::new(Total(merged))))
            }
        }
    }
}

/// What [`SumBelow`] should give, by Gauss.
pub fn gauss(units: u64) -> u128 {
    let units = u128::from(units);
    units * units.saturating_sub(1) / 2
}
