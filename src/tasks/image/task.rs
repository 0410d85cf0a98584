//! The one stage of a job of an image: read, change, write.

use std::path::PathBuf;

use image::buffer::ConvertBuffer;
use image::{DynamicImage, GrayImage, Pixel, Rgb, RgbImage};

use crate::engine::Need;
use crate::job::JobError;
use crate::tasks::image::demand::Demand;
use crate::tasks::image::picture::{Header, decode, read_all};
use crate::tasks::image::target::Target;
use crate::tasks::image::{Change, Format, ImageAnswer};
use crate::tasks::{Place, Step, Task, TaskContext};

/// A job whose picture is known by its header.
pub(super) struct Convert {
    pub file: PathBuf,
    pub changes: Vec<Change>,
    pub target: Target,
    pub quality: u8,
    pub demand: Demand,
}

impl Task for Convert {
    fn place(&self) -> Place {
        Place::Compute
    }

    fn expected_ms(&self) -> f64 {
        self.demand.ms
    }

    fn need(&self) -> Need {
        // Small pictures are many, and not worth counting.
        let small = Need::Estimated(self.demand.peak_bytes);
        if small.is_small() { small } else { Need::Certain(self.demand.peak_bytes) }
    }

    fn run(self: Box<Self>, context: &TaskContext<'_>) -> Result<Step, JobError> {
        let Self { file, changes, target, quality, .. } = *self;
        let name = file.display().to_string();
        let bytes = read_all(&file, &name)?;
        context.check()?;
        // The file may be another one by now.
        Demand::of(&name, &Header::of(&bytes, &name)?, bytes.len() as u64, &changes, target.format)?;
        let (mut picture, profile) = decode(&bytes, &name)?;
        drop(bytes);
        for change in changes {
            context.check()?;
            picture = change.apply(picture);
        }
        if target.format == Format::Jpeg {
            picture = for_jpeg(picture);
        }
        context.check()?;
        let profile = profile.filter(|profile| fits(profile, &picture));
        let bytes = target.write(&picture, profile, quality)?;
        let (width, height) = (picture.width(), picture.height());
        let Target { path: output, format } = target;
        Ok(Step::Done(Box::new(ImageAnswer { file, output, format, width, height, bytes })))
    }
}

/// A picture of 8 bits a channel without transparency, as JPEG has it.
fn for_jpeg(picture: DynamicImage) -> DynamicImage {
    match picture {
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_) => picture,
        DynamicImage::ImageLuma16(pixels) => DynamicImage::ImageLuma8(pixels.convert()),
        DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLumaA16(_) => {
            let pixels = picture.into_luma_alpha8();
            let grey = pixels.pixels().map(|pixel| on_white(pixel.0[0], pixel.0[1])).collect();
            DynamicImage::ImageLuma8(
                GrayImage::from_raw(pixels.width(), pixels.height(), grey).expect("a value a pixel"),
            )
        }
        _ if !picture.has_alpha() => DynamicImage::ImageRgb8(picture.into_rgb8()),
        _ => {
            let pixels = picture.into_rgba8();
            DynamicImage::ImageRgb8(RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
                let [red, green, blue, alpha] = pixels.get_pixel(x, y).0;
                *Rgb::from_slice(&[red, green, blue].map(|value| on_white(value, alpha)))
            }))
        }
    }
}

/// A value seen through `alpha` before white, rounded to the nearest.
fn on_white(value: u8, alpha: u8) -> u8 {
    let [value, alpha] = [value, alpha].map(u32::from);
    // At most 255, as both weights together are 255.
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// Whether a colour profile (ICC.1, whose header names its colours at byte 16) speaks of the colours that a picture has.
fn fits(profile: &[u8], picture: &DynamicImage) -> bool {
    let expected: &[u8] = if picture.color().has_color() { b"RGB " } else { b"GRAY" };
    profile.get(16..20) == Some(expected)
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Luma, LumaA, Rgba};

    use super::*;

    #[test]
    fn transparent_parts_are_laid_on_white_exactly() {
        for (value, alpha, expected) in [(0, 0, 255), (0, 255, 0), (200, 255, 200), (0, 128, 127), (100, 51, 224)] {
            assert_eq!(on_white(value, alpha), expected, "{value} {alpha}");
        }
    }

    #[test]
    fn every_kind_of_pixel_becomes_one_that_jpeg_has() {
        let jpeg = |picture: DynamicImage| for_jpeg(picture).into_bytes();
        assert_eq!(jpeg(DynamicImage::ImageLuma8(ImageBuffer::from_pixel(1, 1, Luma([7])))), [7]);
        assert_eq!(jpeg(DynamicImage::ImageLuma16(ImageBuffer::from_pixel(1, 1, Luma([0x0707])))), [7]);
        assert_eq!(jpeg(DynamicImage::ImageLumaA8(ImageBuffer::from_pixel(1, 1, LumaA([7, 0])))), [255]);
        assert_eq!(jpeg(DynamicImage::ImageLumaA16(ImageBuffer::from_pixel(1, 1, LumaA([0x0707, 0xFFFF])))), [7]);
        assert_eq!(jpeg(DynamicImage::ImageRgb8(ImageBuffer::from_pixel(1, 1, Rgb([1, 2, 3])))), [1, 2, 3]);
        assert_eq!(jpeg(DynamicImage::ImageRgb16(ImageBuffer::from_pixel(1, 1, Rgb([257, 514, 771])))), [1, 2, 3]);
        assert_eq!(jpeg(DynamicImage::ImageRgba8(ImageBuffer::from_pixel(1, 1, Rgba([1, 2, 3, 255])))), [1, 2, 3]);
        let clear = Rgba([1, 2, 3, 0_u16]);
        assert_eq!(jpeg(DynamicImage::ImageRgba16(ImageBuffer::from_pixel(1, 1, clear))), [255, 255, 255]);
    }
}
