//! An input that is cut short while it is mapped fails its job, whichever way that runs, and no other job.
#![cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use tandem::input::{DType, Format, InputSpec, Location};
use tandem::job::{BindContext, Bound, Cause, JobError, JobParams};
use tandem::kernels::stats::{StatsInput, StatsParams, StatsRequest};
use tandem::model::Location as Model;
use tandem::runner::{Job, Runner};

/// A job over a file of its own, which is cut short as soon as it has been opened.
#[derive(Debug)]
struct CutShort {
    elements: usize,
}

impl JobParams for CutShort {
    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![1; self.elements * 8]).unwrap();
        let location = Location::Path(file.path().to_owned());
        let spec = InputSpec { format: Some(Format::Raw), dtype: Some(DType::U64), ..InputSpec::new(location) };
        let params =
            StatsParams { input: StatsInput::Files(vec![spec]), request: StatsRequest::default(), along: None };
        let kernel = params.open(Path::new(""))?;
        file.as_file().set_len(0).unwrap();
        Ok(Bound::Kernel(Arc::new(kernel)))
    }
}

#[test]
fn an_input_cut_short_fails_its_job_with_cause_io_and_no_other() {
    let runner = Runner::builder().threads(2).model(Model::Nowhere).gpus(Vec::new()).build().unwrap();
    // The small one is run where it was opened, the large one in chunks.
    for elements in [2_000, 40_000_000] {
        let outcome = runner.submit(Job::new("stats", Box::new(CutShort { elements }))).wait();
        let error = outcome.result.expect_err("what was folded was not there");
        assert_eq!(error.cause, Cause::Io, "{error}");
        let next = runner.submit(Job::parse(r#"{"kind":"stats","values":[1,2,3]}"#).unwrap()).wait();
        assert!(next.result.unwrap().summary().starts_with("count 3, mean 2,"));
    }
}
