mod bounds;
mod job_lines;
mod pages;
mod servers;

use crate::engine::CancelFlag;
use crate::job::{BindContext, Bound, JobError, JobParams};
use crate::kernels::Answer;
use crate::tasks::links::{LinksAnswer, LinksParams, Page};
use crate::tasks::{Place, Step, TaskContext};

/// Runs a job here, stage by stage.
fn run_with(params: &LinksParams, cancel: &CancelFlag) -> Result<LinksAnswer, JobError> {
    let context = TaskContext::new("a", 0, cancel, None);
    let Bound::Task(mut task) = params.bind(&BindContext::default())? else { panic!("a task") };
    let fetches = !matches!(params.page, Page::Html { .. });
    assert_eq!(task.place(), if fetches { Place::Waiting } else { Place::Compute });
    loop {
        assert!(task.expected_ms() >= 0.0);
        match task.run(&context)? {
            Step::Done(answer) => {
                let answer: Box<dyn std::any::Any> = answer;
                return Ok(*answer.downcast::<LinksAnswer>().expect("links"));
            }
            Step::Then(next) => {
                assert_eq!(next.place(), Place::Compute);
                task = next;
            }
        }
    }
}

fn run(params: &LinksParams) -> Result<LinksAnswer, JobError> {
    run_with(params, &CancelFlag::default())
}

fn html(html: impl AsRef<[u8]>, url: &str) -> LinksParams {
    LinksParams::new(Page::Html { html: html.as_ref().into(), url: url.parse().unwrap() })
}

/// What a job of links ends with is shown by its summary where it should have failed.
#[track_caller]
fn error_of(params: &LinksParams) -> JobError {
    run(params).map(|answer| answer.summary()).expect_err("it fails")
}
