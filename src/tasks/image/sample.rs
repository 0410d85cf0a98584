//! Pictures made up for benchmarks.

use std::sync::Arc;

use image::RgbImage;
use tempfile::TempDir;

use crate::job::{BindContext, Bound, JobError, JobParams, Sample};
use crate::tasks::image::{Change, Format, ImageParams};
use crate::tasks::{Place, Step, Task, TaskContext};

/// No sample has a longer side, in pixels.
const MAX_SIDE: u64 = 4096;

/// A square picture of about `sample.units` pixels in a folder of its own, fitted to 256 x 256 and mirrored.
pub(super) fn sample(sample: &Sample) -> Made {
    let format = if sample.variant == "jpeg" { Format::Jpeg } else { Format::Png };
    // At most MAX_SIDE.
    let side = sample.units.isqrt().clamp(1, MAX_SIDE) as u32;
    Made(make(side, sample.seed, format).map_err(|error| JobError::io("a made-up picture", &error)))
}

fn make(side: u32, seed: u64, format: Format) -> std::io::Result<(ImageParams, Arc<TempDir>)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("picture").with_extension(format.extension());
    // Slopes with a grain, as photos have them.
    let mut state = seed | 1;
    let picture = RgbImage::from_fn(side, side, |x, y| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let grain = (state >> 61) as u8;
        let slope = |part: u32| (u64::from(part) * 240 / u64::from(side)) as u8 + grain;
        image::Rgb([slope(x), slope(y), slope((x + y) / 2)])
    });
    picture.save(&file).map_err(std::io::Error::other)?;
    let mut params = ImageParams::new(file, folder.path().join("out").with_extension(format.extension()));
    params.changes = vec![Change::Fit { width: 256, height: 256 }, Change::Flip(super::Flip::Horizontal)];
    Ok((params, Arc::new(folder)))
}

/// A job whose picture is there as long as the job is.
#[derive(Debug)]
pub(super) struct Made(Result<(ImageParams, Arc<TempDir>), JobError>);

impl JobParams for Made {
    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        let (params, folder) = self.0.as_ref().map_err(Clone::clone)?;
        Ok(match params.bind(context)? {
            Bound::Task(task) => Bound::Task(Box::new(Kept { task, folder: folder.clone() })),
            kernel => kernel,
        })
    }
}

struct Kept {
    task: Box<dyn Task>,
    folder: Arc<TempDir>,
}

impl Task for Kept {
    fn place(&self) -> Place {
        self.task.place()
    }

    fn expected_ms(&self) -> f64 {
        self.task.expected_ms()
    }

    fn run(self: Box<Self>, context: &TaskContext<'_>) -> Result<Step, JobError> {
        let step = self.task.run(context);
        drop(self.folder);
        step
    }
}
