//! The irregular kind `fibonacci`: terms of the Fibonacci sequence, F(0) = 0, F(1) = 1, exact at any length.
//!
//! Big integers are those of num-bigint, which a large part of the house uses already. Of what is free to link here only
//! dashu-int was in question: as fast up to a million, and not twice as fast up to the limit of a hundred million.

mod answer;
#[cfg(feature = "cli")]
mod args;
mod decimal;
mod doubling;
mod params;

pub use answer::{FibonacciAnswer, Term};
pub use params::{FibonacciParams, INDEX_MAX, INDEX_SUM_MAX};

use crate::job::{JobError, Kind, Sample};
use crate::tasks::{Place, Step, Task, TaskContext};

/// The kind, for the registry.
pub static KIND: Kind = Kind {
    name: "fibonacci",
    summary: "computes terms of the Fibonacci sequence, exact at any length",
    variants: &["term"],
    parse: |text| Ok(Box::new(params::parse(text)?)),
    input_field: None,
    aside: &[],
    sample: |asked| Box::new(sample(asked)),
    operations_per_unit: |_| None,
    shaders: Vec::new,
    #[cfg(feature = "cli")]
    command: args::command,
    #[cfg(feature = "cli")]
    from_args: args::from_args,
};

/// The term of which `sample.units` is the index; there is nothing to draw by chance.
fn sample(sample: &Sample) -> FibonacciParams {
    FibonacciParams::new(vec![sample.units.min(INDEX_MAX)]).expect("it is within the limits")
}

/// Whether to go on.
type Check<'a> = dyn Fn() -> Result<(), JobError> + 'a;

/// Computes terms, one after the other.
struct FibonacciTask(Vec<u64>);

impl Task for FibonacciTask {
    fn place(&self) -> Place {
        Place::Compute
    }

    /// Measured: 1.2 ms at an index of 10^5, 40 ms at 10^6, 1.2 s at 10^7, of which two thirds go into the decimal digits.
    fn expected_ms(&self) -> f64 {
        self.0.iter().map(|&n| 0.000_5 + 1.2 * (n as f64 / 1e5).powf(1.5)).sum()
    }

    fn run(self: Box<Self>, context: &TaskContext<'_>) -> Result<Step, JobError> {
        let terms = terms(&self.0, &|| context.check())?;
        Ok(Step::Done(Box::new(FibonacciAnswer { terms })))
    }
}

/// The terms of these indices, in their order.
///
/// # Errors
/// Those of `check`.
fn terms(indices: &[u64], check: &Check<'_>) -> Result<Vec<Term>, JobError> {
    let mut last: Option<doubling::Pair> = None;
    let mut terms = Vec::with_capacity(indices.len());
    for &n in indices {
        check()?;
        let pair = match last.take() {
            Some(pair) if pair.is_shortly_before(n) => pair.advanced_to(n),
            _ => doubling::Pair::at(n, check)?,
        };
        terms.push(Term { n, value: decimal::digits(pair.term(), check)? });
        last = Some(pair);
    }
    Ok(terms)
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;
    use crate::job::Cause;

    fn go_on() -> Result<(), JobError> {
        Ok(())
    }

    fn term(n: u64) -> String {
        terms(&[n], &go_on).expect("nobody cancels it").remove(0).value
    }

    #[test]
    fn terms_are_those_of_the_sum_of_the_two_before() {
        let (mut value, mut next) = (BigUint::ZERO, BigUint::from(1u8));
        let indices: Vec<u64> = (0..3000).collect();
        let consecutive = terms(&indices, &go_on).unwrap();
        for n in 0..3000 {
            assert_eq!(term(n), value.to_string(), "F({n})");
            assert_eq!(consecutive[n as usize], Term { n, value: value.to_string() });
            let sum = &value + &next;
            (value, next) = (next, sum);
        }
    }

    #[test]
    fn known_terms_have_their_known_digits() {
        assert_eq!(term(100), "354224848179261915075");
        assert_eq!(term(186), "332825110087067562321196029789634457848");
        assert_eq!(term(300), "222232244629420445529739893461909967206666939096499764990979600");
        // The lengths by the golden ratio, the last digits by addition.
        for (n, len) in [(100_000, 20_899), (1_000_000, 208_988)] {
            let value = term(n);
            assert_eq!(value.len(), len);
            let (mut a, mut b) = (0u64, 1);
            for _ in 0..n {
                (a, b) = (b, (a + b) % 100_000_000);
            }
            assert_eq!(value[len - 8..].parse(), Ok(a), "F({n})");
        }
        assert!(term(1_000_000).starts_with("19532821287077577316"));
    }

    #[test]
    fn terms_come_in_the_order_asked_and_as_often() {
        let indices = [10, 0, 100, 101, 117, 118, 100, 100, 1];
        let found = terms(&indices, &go_on).unwrap();
        assert_eq!(found.iter().map(|term| term.n).collect::<Vec<_>>(), indices);
        assert!(found.iter().all(|found| found.value == term(found.n)));
    }

    #[test]
    fn a_long_term_can_be_cancelled_on_its_way() {
        let total = std::cell::Cell::new(0);
        let count = |limit: u32| {
            total.set(0);
            terms(&[300_000], &|| {
                total.set(total.get() + 1);
                if total.get() == limit { Err(JobError::new(Cause::Cancelled, "cancelled")) } else { Ok(()) }
            })
        };
        assert!(count(0).is_ok());
        let checks = total.get();
        assert!(checks > 20);
        for limit in [1, 5, checks] {
            assert_eq!(count(limit).unwrap_err().cause, Cause::Cancelled);
            assert_eq!(total.get(), limit);
        }
    }

    #[test]
    fn longer_terms_are_expected_to_take_longer() {
        let ms = |indices: &[u64]| FibonacciTask(indices.to_vec()).expected_ms();
        assert!(ms(&[10]) < 0.001 && ms(&[1_000_000]) > 30.0);
        assert!(ms(&[1000, 1000]) > ms(&[1000]));
    }

    #[test]
    fn a_sample_is_one_term() {
        let sample = |units| sample(&Sample { variant: "term", units, seed: 1 });
        assert_eq!(sample(1000).indices(), [1000]);
        assert_eq!(sample(u64::MAX).indices(), [INDEX_MAX]);
    }
}
