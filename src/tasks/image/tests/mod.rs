mod files;
mod hostile;
mod job_lines;

use std::path::{Path, PathBuf};

use image::{DynamicImage, RgbImage, RgbaImage};
use tempfile::TempDir;

use crate::engine::CancelFlag;
use crate::job::{BindContext, Bound, JobError, JobParams};
use crate::kernels::Answer;
use crate::tasks::image::{ImageAnswer, ImageParams};
use crate::tasks::{Place, Step, TaskContext};

fn run_in(base_dir: &Path, params: &dyn JobParams, cancel: &CancelFlag) -> Result<ImageAnswer, JobError> {
    let Bound::Task(task) = params.bind(&BindContext::in_folder(base_dir))? else { panic!("a task") };
    assert_eq!(task.place(), Place::Compute);
    assert!(task.expected_ms() > 0.0);
    match task.run(&TaskContext::new("a", 0, cancel, None))? {
        Step::Done(answer) => {
            let answer: Box<dyn std::any::Any> = answer;
            Ok(*answer.downcast::<ImageAnswer>().expect("an image"))
        }
        Step::Then(_) => panic!("one stage"),
    }
}

fn run(params: &ImageParams) -> Result<ImageAnswer, JobError> {
    run_in(Path::new(""), params, &CancelFlag::default())
}

#[track_caller]
fn error_of(params: &ImageParams) -> JobError {
    run(params).map(|answer| answer.summary()).expect_err("it fails")
}

/// A folder with pictures of every format in it.
struct Pictures(TempDir);

impl Pictures {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a picture, whose name says its format.
    fn picture(&self, name: &str, width: u32, height: u32) -> PathBuf {
        let path = self.path(name);
        slopes(width, height).save(&path).unwrap();
        path
    }

    /// The names of what is there, sorted.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// A picture whose every pixel is another.
fn slopes(width: u32, height: u32) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8])
    }))
}

/// The same with transparency.
fn clear_slopes(width: u32, height: u32) -> DynamicImage {
    DynamicImage::ImageRgba8(RgbaImage::from_fn(width, height, |x, y| {
        image::Rgba([(x * 7) as u8, (y * 5) as u8, (x * y) as u8, (x * 3 + y) as u8])
    }))
}
