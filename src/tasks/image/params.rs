//! What a job of an image asks for, and how a line of a job file says it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Error, IgnoredAny};

use crate::job::{BindContext, Bound, JobError, JobParams, KindParams, Reach};
use crate::tasks::image::demand::Demand;
use crate::tasks::image::picture::Header;
use crate::tasks::image::steps::{FormatField, Quality, Steps};
use crate::tasks::image::target::Target;
use crate::tasks::image::task::Convert;
use crate::tasks::image::{Change, Format};

/// No job has more steps than this.
pub const MAX_CHANGES: usize = 100;

/// The quality of a JPEG where nothing is said.
const USUAL_QUALITY: u8 = 85;

/// A job of an image, before its file is opened. Relative paths start from the folder of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageParams {
    /// The picture: a PNG or JPEG file.
    pub file: PathBuf,
    /// The file to write; or the folder to write it to, as a file of the same name, with another ending where the format is
    /// another: a path that ends with a separator, or a folder that is there.
    pub output: PathBuf,
    /// What to write; left out, what the output's ending says, else what the picture is.
    pub format: Option<Format>,
    /// The quality of a JPEG, 1 to 100; left out, 85.
    pub quality: Option<u8>,
    /// What to do, in order; at most [`MAX_CHANGES`].
    pub changes: Vec<Change>,
    /// Whether the output may replace the input itself. Other files are replaced in any case.
    pub overwrite: bool,
}

impl ImageParams {
    /// The picture of `file`, written to `output` as it is.
    pub fn new(file: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        let (file, output) = (file.into(), output.into());
        Self { file, output, format: None, quality: None, changes: Vec::new(), overwrite: false }
    }
}

impl KindParams for ImageParams {
    const KIND: &'static str = super::KIND.name;
}

impl JobParams for ImageParams {
    fn input_files(&self) -> Vec<&Path> {
        vec![&self.file]
    }

    fn reach(&self) -> Reach<'_> {
        Reach::reading(self.input_files()).writing(Some(&self.output))
    }

    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        let file = context.base_dir.join(&self.file);
        let name = file.display().to_string();
        let quality = self.quality.unwrap_or(USUAL_QUALITY);
        if !(1..=100).contains(&quality) {
            return Err(JobError::bad_input(format!("{name}: a quality of {quality}: give 1 to 100")));
        }
        let changes = self.changes.clone();
        if changes.len() > MAX_CHANGES {
            return Err(JobError::bad_input(format!("{name}: more than {MAX_CHANGES} steps: split the job")));
        }
        let (header, file_bytes) = Header::read(&file, &name)?;
        // Joining keeps the separator at the end, which says that a folder is meant.
        let output = context.base_dir.join(&self.output);
        let target = Target::of(&file, header.format, &output, self.format, self.overwrite)?;
        let demand = Demand::of(&name, &header, file_bytes, &changes, target.format)?;
        Ok(Bound::Task(Box::new(Convert { file, changes, target, quality, demand })))
    }
}

/// A line of a job file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    #[serde(rename = "device")]
    _device: Option<IgnoredAny>,
    file: PathBuf,
    output: PathBuf,
    format: Option<FormatField>,
    quality: Option<Quality>,
    #[serde(default)]
    steps: Steps,
    #[serde(default)]
    overwrite: bool,
}

/// Parses a line of a job file.
///
/// # Errors
/// Where it is malformed.
pub(super) fn parse(text: &str) -> Result<ImageParams, serde_json::Error> {
    let Line { file, output, format, quality, steps: Steps(changes), overwrite, .. } = serde_json::from_str(text)?;
    let format = format.map(|FormatField(format)| format);
    let quality = quality.map(|Quality(quality)| quality);
    if file.as_os_str().is_empty() || output.as_os_str().is_empty() {
        return Err(Error::custom("an empty path as `file` or `output`: name a file"));
    }
    if format == Some(Format::Png) && quality.is_some() {
        return Err(Error::custom("`quality` is for jpeg, and `format` is png: leave one out"));
    }
    Ok(ImageParams { file, output, format, quality, changes, overwrite })
}
