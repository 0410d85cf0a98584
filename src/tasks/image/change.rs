//! What is done to a picture.

use image::DynamicImage;
use image::imageops::{FilterType, colorops};

/// One step of changing a picture. Sizes are in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Exactly this size, whatever becomes of the proportions.
    Resize {
        /// The new width, at least 1.
        width: u32,
        /// The new height, at least 1.
        height: u32,
    },
    /// As large as fits this size, smaller or larger than it was, in its proportions.
    Fit {
        /// No wider than this, at least 1.
        width: u32,
        /// No higher than this, at least 1.
        height: u32,
    },
    /// Only this part; it lies within the picture.
    Crop {
        /// From the left.
        x: u32,
        /// From the top.
        y: u32,
        /// At least 1.
        width: u32,
        /// At least 1.
        height: u32,
    },
    /// Mirrored.
    Flip(Flip),
    /// Turned clockwise.
    Rotate(Turn),
    /// So much brighter, of 255 (of a picture with 16 bits a channel scaled alike); below 0 darker; -255 to 255. Transparency stays.
    Brightness(i16),
    /// Without colours.
    Grey,
}

/// Which way a picture is mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flip {
    /// Left becomes right.
    Horizontal,
    /// Top becomes bottom.
    Vertical,
}

/// How far a picture is turned, clockwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// A quarter.
    By90,
    /// Half.
    By180,
    /// Three quarters.
    By270,
}

impl Turn {
    /// The turn by so many degrees.
    pub const fn by_degrees(degrees: u64) -> Option<Self> {
        match degrees {
            90 => Some(Self::By90),
            180 => Some(Self::By180),
            270 => Some(Self::By270),
            _ => None,
        }
    }
}

impl Change {
    /// The size of a picture of this size after this change.
    ///
    /// # Errors
    /// Where there is no such part or size; the message goes on after the step's name.
    pub(super) fn size(self, (width, height): (u32, u32)) -> Result<(u32, u32), String> {
        match self {
            Self::Resize { width: 0, .. } | Self::Resize { height: 0, .. } => Err("a size is at least 1".to_owned()),
            Self::Fit { width: 0, .. } | Self::Fit { height: 0, .. } => Err("a size is at least 1".to_owned()),
            Self::Crop { width: 0, .. } | Self::Crop { height: 0, .. } => Err("a size is at least 1".to_owned()),
            Self::Resize { width, height } => Ok((width, height)),
            Self::Fit { width: most_wide, height: most_high } => Ok(fitted((width, height), (most_wide, most_high))),
            Self::Crop { x, y, width: cut_width, height: cut_height } => {
                let inside =
                    |start: u32, length: u32, all: u32| start.checked_add(length).is_some_and(|end| end <= all);
                if inside(x, cut_width, width) && inside(y, cut_height, height) {
                    return Ok((cut_width, cut_height));
                }
                Err(format!(
                    "{cut_width} x {cut_height} pixels from {x},{y} on reach beyond the picture, which is {width} x {height} \
                     there: cut less"
                ))
            }
            Self::Rotate(Turn::By90 | Turn::By270) => Ok((height, width)),
            Self::Brightness(by) if !(-255..=255).contains(&by) => Err("brightness is from -255 to 255".to_owned()),
            Self::Flip(_) | Self::Rotate(Turn::By180) | Self::Brightness(_) | Self::Grey => Ok((width, height)),
        }
    }

    /// The picture after this change, which fits it.
    pub(super) fn apply(self, mut picture: DynamicImage) -> DynamicImage {
        match self {
            Self::Resize { width, height } => picture.resize_exact(width, height, FilterType::CatmullRom),
            Self::Fit { width, height } => {
                let (width, height) = fitted((picture.width(), picture.height()), (width, height));
                picture.resize_exact(width, height, FilterType::CatmullRom)
            }
            Self::Crop { x, y, width, height } => picture.crop_imm(x, y, width, height),
            Self::Flip(Flip::Horizontal) => picture.fliph(),
            Self::Flip(Flip::Vertical) => picture.flipv(),
            Self::Rotate(Turn::By90) => picture.rotate90(),
            Self::Rotate(Turn::By180) => picture.rotate180(),
            Self::Rotate(Turn::By270) => picture.rotate270(),
            Self::Brightness(by) => {
                brighten(&mut picture, by.into());
                picture
            }
            Self::Grey => picture.grayscale(),
        }
    }
}

fn brighten(picture: &mut DynamicImage, by: i32) {
    // The greatest value of 16 bits is 257 times that of 8.
    let by_of_16_bits = by * 257;
    match picture {
        DynamicImage::ImageLuma8(pixels) => colorops::brighten_in_place(pixels, by),
        DynamicImage::ImageLumaA8(pixels) => colorops::brighten_in_place(pixels, by),
        DynamicImage::ImageRgb8(pixels) => colorops::brighten_in_place(pixels, by),
        DynamicImage::ImageRgba8(pixels) => colorops::brighten_in_place(pixels, by),
        DynamicImage::ImageLuma16(pixels) => colorops::brighten_in_place(pixels, by_of_16_bits),
        DynamicImage::ImageLumaA16(pixels) => colorops::brighten_in_place(pixels, by_of_16_bits),
        DynamicImage::ImageRgb16(pixels) => colorops::brighten_in_place(pixels, by_of_16_bits),
        DynamicImage::ImageRgba16(pixels) => colorops::brighten_in_place(pixels, by_of_16_bits),
        // Neither PNG nor JPEG has floats.
        _ => {}
    }
}

/// The largest size in the proportions of `size` that is within `most`; the other side is rounded to the nearest pixel.
fn fitted((width, height): (u32, u32), (most_wide, most_high): (u32, u32)) -> (u32, u32) {
    let [width, height, most_wide, most_high] = [width, height, most_wide, most_high].map(u64::from);
    let scaled = |side: u64, by: u64, of: u64| ((side * by + of / 2) / of.max(1)).max(1);
    let (width, height) = if most_wide * height <= most_high * width {
        (most_wide, scaled(height, most_wide, width).min(most_high))
    } else {
        (scaled(width, most_high, height).min(most_wide), most_high)
    };
    // Both are within `most`.
    (width as u32, height as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_keeps_the_proportions_and_touches_the_box() {
        for (size, most, expected) in [
            ((640, 480), (256, 256), (256, 192)),
            ((480, 640), (256, 256), (192, 256)),
            ((10, 10), (256, 128), (128, 128)),
            ((10_000, 1), (100, 100), (100, 1)),
            ((1, 10_000), (100, 100), (1, 100)),
            ((3, 2), (100, 100), (100, 67)),
            ((u32::MAX, u32::MAX), (u32::MAX, 1), (1, 1)),
            ((1, 1), (u32::MAX, u32::MAX), (u32::MAX, u32::MAX)),
        ] {
            assert_eq!(fitted(size, most), expected, "{size:?} in {most:?}");
        }
    }

    #[test]
    fn sizes_after_a_change_are_those_of_the_picture() {
        let picture = DynamicImage::new_rgb8(30, 20);
        for change in [
            Change::Resize { width: 7, height: 9 },
            Change::Fit { width: 7, height: 9 },
            Change::Crop { x: 23, y: 11, width: 7, height: 9 },
            Change::Flip(Flip::Horizontal),
            Change::Flip(Flip::Vertical),
            Change::Rotate(Turn::By90),
            Change::Rotate(Turn::By180),
            Change::Rotate(Turn::By270),
            Change::Brightness(5),
            Change::Grey,
        ] {
            let changed = change.apply(picture.clone());
            assert_eq!(change.size((30, 20)), Ok((changed.width(), changed.height())), "{change:?}");
        }
    }

    #[test]
    fn what_a_picture_has_not_is_an_error() {
        for (x, y, width, height) in [(24, 0, 7, 1), (0, 12, 1, 9), (u32::MAX, 0, 1, 1), (0, 1, 1, u32::MAX)] {
            let error = Change::Crop { x, y, width, height }.size((30, 20)).unwrap_err();
            assert!(error.contains("the picture, which is 30 x 20 there"), "{error}");
        }
        assert!(Change::Crop { x: 0, y: 0, width: 0, height: 1 }.size((30, 20)).is_err());
        assert!(Change::Resize { width: 0, height: 1 }.size((30, 20)).is_err());
        assert!(Change::Brightness(256).size((30, 20)).is_err());
    }

    #[test]
    fn changes_move_and_mix_pixels_as_they_say() {
        let pixels = vec![10, 20, 30, 40, 50, 60];
        let picture = DynamicImage::ImageLuma8(image::GrayImage::from_raw(3, 2, pixels).unwrap());
        for (change, expected) in [
            (Change::Flip(Flip::Horizontal), [30, 20, 10, 60, 50, 40]),
            (Change::Flip(Flip::Vertical), [40, 50, 60, 10, 20, 30]),
            (Change::Rotate(Turn::By90), [40, 10, 50, 20, 60, 30]),
            (Change::Rotate(Turn::By180), [60, 50, 40, 30, 20, 10]),
            (Change::Rotate(Turn::By270), [30, 60, 20, 50, 10, 40]),
            (Change::Brightness(-30), [0, 0, 0, 10, 20, 30]),
            (Change::Brightness(210), [220, 230, 240, 250, 255, 255]),
            (Change::Grey, [10, 20, 30, 40, 50, 60]),
            (Change::Resize { width: 3, height: 2 }, [10, 20, 30, 40, 50, 60]),
        ] {
            assert_eq!(change.apply(picture.clone()).as_bytes(), expected, "{change:?}");
        }
    }

    #[test]
    fn brightness_means_the_same_of_16_bits_and_leaves_transparency_alone() {
        let pixel = image::Rgba([0x1000_u16, 0, 0xFFFF, 0x1234]);
        let picture = DynamicImage::ImageRgba16(image::ImageBuffer::from_pixel(1, 1, pixel));
        let changed = Change::Brightness(1).apply(picture);
        assert_eq!(changed.as_rgba16().unwrap().get_pixel(0, 0).0, [0x1101, 0x0101, 0xFFFF, 0x1234]);
    }
}
