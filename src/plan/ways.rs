//! Jobs that can be done in two ways, such as counting primes with or without finding them: which one to take.

use crate::plan::Plan;
use crate::plan::priors::SETUP_MS;
use crate::plan::request::INVENTORY_MS;
use crate::report::figures::time_ms;

/// A way that takes one thread so many times as long as the other is not weighed: no device makes up for it, and none has to be looked for.
const HOPELESS: f64 = 1000.0;

/// What is known of the way that a job was bound with.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// It is planned.
    Plan(&'a Plan),
    /// GPUs would have to be looked for first.
    SearchFirst,
    /// It cannot be done as it asks.
    Refused,
}

/// A way of a job: what people call it, and how long one thread is likely to take before anything has been measured.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// `sieve`.
    pub name: &'static str,
    /// In milliseconds.
    pub prior_ms: f64,
}

/// Whether a way need not even be planned, since the other one is predicted to end in so many milliseconds.
pub fn is_hopeless(own: Way, other_ms: f64) -> bool {
    other_ms * HOPELESS < own.prior_ms
}

/// Whether the other way is to be taken, of which there is a plan.
pub fn is_other_better(own: Known<'_>, other: &Plan) -> bool {
    match own {
        Known::Plan(own) => ends_ms(other) < ends_ms(own),
        // What ends before a GPU could be looked for and opened needs none.
        Known::SearchFirst => ends_ms(other) <= INVENTORY_MS + SETUP_MS,
        Known::Refused => true,
    }
}

/// When the choice of a plan is predicted to end, in milliseconds; never, where nothing was predicted.
pub fn ends_ms(plan: &Plan) -> f64 {
    plan.candidates.first().and_then(|best| best.predicted).map_or(f64::INFINITY, |predicted| predicted.ms)
}

/// Adds to the reason of a plan, where somebody will read it, which way it is, and what was known of the one that was left.
pub fn explain(plan: &mut Plan, name: &str, left: Way, left_ms: Option<f64>) {
    if plan.reason.is_empty() {
        return;
    }
    plan.reason += &match left_ms.filter(|ms| ms.is_finite()) {
        Some(ms) => format!("; done as {name}, since as {} it was predicted to take {}", left.name, time_ms(ms)),
        None => format!("; done as {name}: as {} one thread would take about {}", left.name, time_ms(left.prior_ms)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Candidate, Choice, Prediction};

    fn plan(ms: Option<f64>, reason: &str) -> Plan {
        let choice = Choice::Cpu { threads: 2 };
        let predicted = ms.map(|ms| Prediction { ms, low_ms: ms / 2.0, high_ms: ms * 2.0 });
        let candidate =
            Candidate { choice: choice.clone(), predicted, setup_ms: 0.0, waiting_ms: 0.0, note: "prior".to_owned() };
        Plan { candidates: vec![candidate], ..Plan::given(choice, reason) }
    }

    #[test]
    fn the_way_that_ends_first_is_taken_and_the_own_one_of_two_alike() {
        let own = plan(Some(10.0), "");
        assert!(is_other_better(Known::Plan(&own), &plan(Some(9.0), "")));
        assert!(!is_other_better(Known::Plan(&own), &plan(Some(10.0), "")));
        assert!(!is_other_better(Known::Plan(&own), &plan(None, "")));
        assert!(is_other_better(Known::Refused, &plan(Some(1e9), "")));
    }

    #[test]
    fn nobody_looks_for_a_gpu_where_the_other_way_ends_before_it_could_be_opened() {
        let bound_ms = INVENTORY_MS + SETUP_MS;
        assert!(is_other_better(Known::SearchFirst, &plan(Some(bound_ms * 0.9), "")));
        assert!(!is_other_better(Known::SearchFirst, &plan(Some(bound_ms * 1.1), "")));
    }

    #[test]
    fn a_thousand_times_the_work_is_hopeless() {
        let own = Way { name: "sieve", prior_ms: 5000.0 };
        assert!(is_hopeless(own, 4.9) && !is_hopeless(own, 5.1));
    }

    #[test]
    fn the_reason_names_the_way_and_stays_empty_where_nobody_reads_it() {
        let left = Way { name: "sieve", prior_ms: 120_000.0 };
        let mut taken = plan(Some(5.0), "cpu is best");
        explain(&mut taken, "combinatorial", left, Some(70.0));
        assert_eq!(taken.reason, "cpu is best; done as combinatorial, since as sieve it was predicted to take 70.0 ms");
        let mut taken = plan(Some(5.0), "cpu is best");
        explain(&mut taken, "combinatorial", left, None);
        assert_eq!(taken.reason, "cpu is best; done as combinatorial: as sieve one thread would take about 2 min 0 s");
        let mut silent = plan(Some(5.0), "");
        explain(&mut silent, "combinatorial", left, Some(70.0));
        assert_eq!(silent.reason, "");
    }
}
