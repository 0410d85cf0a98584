//! The task `image`: pictures, PNG or JPEG, changed and written as PNG or JPEG.
//!
//! What a file is, its first bytes tell and not its name. A picture is taken as it is to be shown (turned as its Exif data
//! says); its colour profile is kept where it still fits, other metadata are left out. Of an animated PNG the first picture
//! is taken. JPEG has neither transparency nor 16 bits a channel: transparent parts are laid on white, and the upper 8 bits
//! stay. Sizes are changed by bicubic interpolation (Catmull-Rom), whose plain arithmetic gives the same bytes on every
//! machine.
//!
//! Sizes are known from the header before anything is decoded: a picture that would take more than [`MAX_BYTES`] of memory
//! on its way is an error. Files are written beside their place and renamed, so that none is ever half there, and no input
//! is replaced by its output unless [`ImageParams::overwrite`] says so.
//!
//! ```
//! use tandem::runner::{Job, Runner};
//! use tandem::tasks::image::{Change, Format, ImageAnswer, ImageParams};
//!
//! # let folder = tempfile::tempdir()?;
//! # let photo = folder.path().join("photo.png");
//! # image::RgbImage::new(640, 480).save(&photo)?;
//! let mut params = ImageParams::new(&photo, folder.path());
//! params.format = Some(Format::Jpeg);
//! params.changes = vec![Change::Fit { width: 256, height: 256 }, Change::Grey];
//! let runner = Runner::builder().model(tandem::model::Location::Nowhere).build()?;
//! let outcome = runner.submit(Job::from(params)).wait();
//! let answer = outcome.answer::<ImageAnswer>()?;
//! assert_eq!((answer.width(), answer.height()), (256, 192));
//! assert_eq!(answer.output(), folder.path().join("photo.jpg"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
#[cfg(feature = "cli")]
mod args;
mod change;
mod demand;
mod format;
mod params;
mod picture;
mod sample;
mod steps;
mod target;
mod task;

#[cfg(test)]
mod tests;

pub use answer::ImageAnswer;
pub use change::{Change, Flip, Turn};
pub use demand::MAX_BYTES;
pub use format::Format;
pub use params::{ImageParams, MAX_CHANGES};
pub use picture::MAX_FILE_BYTES;

use crate::job::Kind;

/// The kind, for the registry.
pub static KIND: Kind = Kind {
    name: "image",
    summary: "changes pictures (size, cut, turn, brightness, grey) and converts between PNG and JPEG",
    variants: &["png", "jpeg"],
    parse: |text| Ok(Box::new(params::parse(text)?)),
    input_field: Some("file"),
    aside: &[],
    sample: |asked| Box::new(sample::sample(asked)),
    operations_per_unit: |_| None,
    shaders: Vec::new,
    #[cfg(feature = "cli")]
    command: args::command,
    #[cfg(feature = "cli")]
    from_args: args::from_args,
};
