//! Jobs of a library's own stream that take values from earlier ones.

use std::sync::{Arc, Mutex};

use tandem::engine::{CancelFlag, Outcome, OutcomeSink};
use tandem::job::{BindContext, JobFile};
use tandem::model::Location;
use tandem::results::KeptResults;
use tandem::runner::{Incoming, Runner, StreamOptions, Streamed};

#[test]
fn a_stream_of_jobs_takes_values_from_earlier_ones_where_results_are_kept() {
    #[derive(Default)]
    struct Summaries(Mutex<Vec<(u64, String)>>);
    impl OutcomeSink for Summaries {
        fn accept(&self, outcomes: Vec<Outcome>) {
            let summary =
                |outcome: Outcome| (outcome.index, outcome.result.map_or_else(|e| e.message, |a| a.summary()));
            self.0.lock().unwrap().extend(outcomes.into_iter().map(summary));
        }
    }
    let jobs = concat!(
        r#"{"id":"f","kind":"factor","n":"{n}","matrix":{"n":[12,35]}}"#,
        "\n",
        r#"{"kind":"factor","n":{"$result":"f/n={n}.factors.1.prime"},"matrix":{"n":[12,35]}}"#,
    );
    let runner = Runner::builder().threads(2).model(Location::Nowhere).gpus(Vec::new()).build().unwrap();
    let summaries = Arc::new(Summaries::default());
    let kept = Arc::new(KeptResults::new(summaries.clone()).unwrap());
    let mut context = BindContext::default();
    context.results = Some(kept.clone());
    let mut jobs = JobFile::new("jobs", jobs.as_bytes());
    let next = || Incoming::from(jobs.next().map(Result::unwrap));
    assert_eq!(runner.stream(next, context, &CancelFlag::default(), StreamOptions::default(), kept), Streamed::All);
    let mut summaries = std::mem::take(&mut *summaries.0.lock().unwrap());
    summaries.sort_unstable();
    let summaries: Vec<&str> = summaries.iter().map(|(_, summary)| &**summary).collect();
    assert_eq!(summaries, ["2^2 · 3", "5 · 7", "3", "7"]);
}
