//! Where a picture is written to, and how.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{self, Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::error::ImageError;
use image::{DynamicImage, ExtendedColorType, ImageEncoder};

use crate::job::{Cause, JobError};
use crate::tasks::image::Format;

/// The file that a picture becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub path: PathBuf,
    pub format: Format,
}

impl Target {
    /// The file that `output` means for the picture of `input`, which is of the format `read`: itself, or one in it where it is
    /// a folder. Nothing is written yet.
    ///
    /// # Errors
    /// Where there is no such folder, the format is not clear, or the output is no regular file, or is the input and may not
    /// replace it.
    pub fn of(
        input: &Path,
        read: Format,
        output: &Path,
        format: Option<Format>,
        overwrite: bool,
    ) -> Result<Self, JobError> {
        let target = if is_folder(output) {
            let format = format.unwrap_or(read);
            Self { path: output.join(file_name(input, format)), format }
        } else {
            Self { path: output.to_owned(), format: chosen(output, format, read)? }
        };
        let name = target.path.display();
        let folder = folder_of(&target.path);
        if !folder.is_dir() {
            let folder = folder.display();
            let message = format!("{name}: there is no folder {folder} to write to: make it first (mkdir {folder})");
            return Err(JobError::new(Cause::Io, message));
        }
        if let Ok(there) = fs::metadata(&target.path) {
            if !there.is_file() {
                return Err(JobError::bad_input(format!("{name}: is no regular file: name another output")));
            }
            let is_input =
                matches!((fs::canonicalize(&target.path), fs::canonicalize(input)), (Ok(a), Ok(b)) if a == b);
            if is_input && !overwrite {
                return Err(JobError::bad_input(format!(
                    "{name}: is the input: name another output, or set overwrite (--overwrite) to replace it"
                )));
            }
        }
        Ok(target)
    }

    /// Writes the picture beside its place, and puts it there once it is whole. Gives its size in bytes.
    ///
    /// # Errors
    /// Where writing fails; then what was there stays.
    pub fn write(&self, picture: &DynamicImage, profile: Option<Vec<u8>>, quality: u8) -> Result<u64, JobError> {
        let name = self.path.display().to_string();
        let failed = |error: &std::io::Error| {
            let message = format!("{name}: cannot be written: {error}; check the folder's permissions and space");
            JobError::new(Cause::Io, message)
        };
        // A link is written through: what it points to is replaced, and not the link.
        let place = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tandem-").suffix(".part");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder_of(&place)).map_err(|error| failed(&error))?;
        let mut out = BufWriter::new(&mut file);
        encode(picture, self.format, profile, quality, &mut out).map_err(|error| match error {
            ImageError::IoError(error) => failed(&error),
            error => JobError::bad_input(format!("{name}: cannot be written as {}: {error}", self.format)),
        })?;
        out.flush().map_err(|error| failed(&error))?;
        drop(out);
        let bytes = file.as_file().metadata().map_err(|error| failed(&error))?.len();
        file.persist(&place).map_err(|error| failed(&error.error))?;
        Ok(bytes)
    }
}

/// Whether a path means a folder: it is one, or ends as one.
pub(super) fn is_folder(output: &Path) -> bool {
    let text = output.as_os_str().to_string_lossy();
    text.chars().next_back().is_some_and(path::is_separator) || output.is_dir()
}

/// The name of a picture's file in a folder: its own, with another ending only where the format is another.
pub(super) fn file_name(input: &Path, format: Format) -> PathBuf {
    let name = PathBuf::from(input.file_name().unwrap_or("picture".as_ref()));
    if Format::of_path(input) == Some(format) { name } else { name.with_extension(format.extension()) }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The format of a file with this name.
fn chosen(output: &Path, format: Option<Format>, read: Format) -> Result<Format, JobError> {
    let name = output.display();
    match (format, Format::of_path(output)) {
        (Some(format), Some(named)) if format != named => Err(JobError::bad_input(format!(
            "{name}: is named as {named}, and the format asked for is {format}: change the name or leave the format out"
        ))),
        (Some(format), _) | (None, Some(format)) => Ok(format),
        (None, None) => match output.extension() {
            None => Ok(read),
            Some(ending) => Err(JobError::bad_input(format!(
                "{name}: .{} is no ending of png or jpeg: name it .png or .jpg, or give the format",
                ending.to_string_lossy()
            ))),
        },
    }
}

fn encode(
    picture: &DynamicImage,
    format: Format,
    profile: Option<Vec<u8>>,
    quality: u8,
    out: &mut impl Write,
) -> Result<(), ImageError> {
    let color: ExtendedColorType = picture.color().into();
    let (width, height) = (picture.width(), picture.height());
    match format {
        Format::Png => {
            // Text and drawings a sixth of what the fastest level makes of them, and half the time of the usual one.
            let mut encoder = PngEncoder::new_with_quality(out, CompressionType::Level(3), FilterType::Adaptive);
            set_profile(&mut encoder, profile);
            encoder.write_image(picture.as_bytes(), width, height, color)
        }
        Format::Jpeg => {
            let mut encoder = JpegEncoder::new_with_quality(out, quality);
            set_profile(&mut encoder, profile);
            encoder.write_image(picture.as_bytes(), width, height, color)
        }
    }
}

fn set_profile(encoder: &mut impl ImageEncoder, profile: Option<Vec<u8>>) {
    if let Some(profile) = profile {
        // Both formats have profiles; one that could not be written is as good as none.
        let _ = encoder.set_icc_profile(profile);
    }
}
