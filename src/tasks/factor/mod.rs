//! The irregular kind `factor`: the prime factors of a number below 2^128, all of them, and certain: no factor is called
//! prime that merely looks so.
//!
//! Small primes are divided out; what is left is split by Pollard's rho method and by elliptic curves until every part is
//! proven prime. `trial`, `rho`, `ecm` and `proof` each name the papers that they follow. Nothing is drawn by chance: a
//! number takes the same way each time.

mod answer;
#[cfg(feature = "cli")]
mod args;
mod ecm;
mod modulus;
mod params;
mod proof;
mod rho;
mod sample;
mod split;
mod trial;

#[cfg(test)]
mod tests;

pub use answer::{FactorAnswer, PrimePower};
pub use params::FactorParams;

use crate::job::{JobError, Kind};
use crate::tasks::{Place, Step, Task, TaskContext};

/// The kind, for the registry.
pub static KIND: Kind = Kind {
    name: "factor",
    summary: "finds the prime factors of a number below 2^128",
    variants: &["u64", "u128"],
    parse: |text| Ok(Box::new(params::parse(text)?)),
    input_field: None,
    aside: &[],
    sample: |asked| Box::new(sample::sample(asked)),
    operations_per_unit: |_| None,
    shaders: Vec::new,
    #[cfg(feature = "cli")]
    command: args::command,
    #[cfg(feature = "cli")]
    from_args: args::from_args,
};

/// Whether to go on; asked every few milliseconds at most.
type Check<'a> = dyn Fn() -> Result<(), JobError> + 'a;

/// Factors one number, which is above 0.
struct FactorTask(u128);

impl Task for FactorTask {
    fn place(&self) -> Place {
        Place::Compute
    }

    /// The mean of random numbers of this length. A product of two primes of equal length takes tens of times as long.
    fn expected_ms(&self) -> f64 {
        let bits = 128 - self.0.leading_zeros();
        // Measured: 1 us at 40 bits, 10 us at 64, 300 us at 96, 4 ms at 128.
        (0.01 * ((f64::from(bits) - 64.0) / 7.4).exp2()).max(0.000_5)
    }

    fn run(self: Box<Self>, context: &TaskContext<'_>) -> Result<Step, JobError> {
        let factors = factorise(self.0, &|| context.check())?;
        Ok(Step::Done(Box::new(FactorAnswer { n: self.0, factors })))
    }
}

/// The prime factors of `n`, which is above 0, ascending.
///
/// # Errors
/// Those of `check`.
fn factorise(n: u128, check: &Check<'_>) -> Result<Vec<PrimePower>, JobError> {
    let mut primes: Vec<u128> = Vec::new();
    let mut parts = vec![trial::divide(n, |p| primes.push(p.into()))];
    while let Some(part) = parts.pop() {
        if part == 1 {
            continue;
        }
        if part < u128::from(trial::LIMIT).pow(2) || proof::is_prime(part, check)? {
            primes.push(part);
        } else {
            let divisor = split::proper_factor(part, check)?;
            parts.extend([divisor, part / divisor]);
        }
    }
    primes.sort_unstable();
    let powers = primes.chunk_by(|a, b| a == b);
    Ok(powers.map(|equal| PrimePower { prime: equal[0], exponent: equal.len() as u32 }).collect())
}
