//! Files that are damaged, absurd or something else: each ends in an error that names it, without a panic and in bounded
//! memory.

use std::io::Cursor;

use image::ImageFormat;
use proptest::prelude::*;

use super::*;
use crate::job::Cause;
use crate::tasks::image::{Change, MAX_BYTES};

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// What becomes of a file with these bytes.
fn of_bytes(bytes: &[u8]) -> Result<ImageAnswer, JobError> {
    let pictures = Pictures::new();
    std::fs::write(pictures.path("a picture"), bytes).unwrap();
    let mut params = ImageParams::new(pictures.path("a picture"), pictures.path("out.jpg"));
    params.changes = vec![Change::Fit { width: 5, height: 5 }];
    let result = run(&params);
    let names = pictures.names();
    assert_eq!(names.len(), if result.is_ok() { 2 } else { 1 }, "{names:?}");
    if let Err(error) = &result {
        assert!(error.message.contains("a picture: "), "{error}");
    }
    result
}

#[track_caller]
fn fails(bytes: &[u8], cause: Cause, part: &str) {
    let error = of_bytes(bytes).expect_err("it fails");
    assert_eq!(error.cause, cause, "{error}");
    assert!(error.message.contains(part), "{error}");
}

/// The header of a PNG of this size, and as little as could follow it.
fn png_of_size(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encoded(&slopes(1, 1), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[test]
fn a_small_file_that_claims_a_giant_picture_is_refused_by_its_header() {
    fails(&png_of_size(100_000, 100_000), Cause::Memory, "100000 x 100000 pixels would take 27.9 GiB of memory");
    fails(&png_of_size(0x7FFF_FFFF, 0x7FFF_FFFF), Cause::Memory, "");
    fails(&png_of_size(0, 10), Cause::BadInput, "");
    fails(&png_of_size(0xFFFF_FFFF, 1), Cause::Memory, "");
    // What fits, but is not there.
    fails(&png_of_size(5000, 5000), Cause::BadInput, "is damaged");
    let mut jpeg = encoded(&slopes(8, 8), ImageFormat::Jpeg);
    let frame = memchr::memmem::find(&jpeg, &[0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xFF; 4]);
    fails(&jpeg, Cause::Memory, "65535 x 65535 pixels would take");
}

#[test]
fn steps_that_make_a_giant_picture_are_refused_before_anything_is_decoded() {
    let pictures = Pictures::new();
    let file = pictures.picture("a.png", 8, 8);
    let with = |changes: Vec<Change>, output: &str| {
        let mut params = ImageParams::new(&file, pictures.path(output));
        params.changes = changes;
        params.bind(&BindContext::default()).map(drop).unwrap_err()
    };
    let size = |width, height| Change::Resize { width, height };
    let error = with(vec![size(100_000, 100_000)], "b.png");
    assert_eq!(error.cause, Cause::Memory, "{error}");
    assert!(error.message.contains("100000 x 100000 pixels") && error.message.contains("2 GiB"), "{error}");
    assert_eq!(with(vec![size(u32::MAX, u32::MAX)], "b.png").cause, Cause::Memory);
    assert_eq!(with(vec![size(1, 1 << 24), size(1 << 24, 1)], "b.png").cause, Cause::Memory);
    let error = with(vec![Change::Grey, size(70_000, 1)], "b.jpg");
    assert!(error.message.contains("70000 x 1 pixels are more than jpeg has, 65535 a side: write png"), "{error}");
    let error = with(vec![Change::Grey, Change::Crop { x: 4, y: 4, width: 5, height: 1 }], "b.png");
    assert!(error.message.contains("a.png: steps[1]: 5 x 1 pixels from 4,4 on reach beyond"), "{error}");
    let error = with(vec![Change::Grey; 101], "b.png");
    assert!(error.message.contains("more than 100 steps"), "{error}");
    const { assert!(MAX_BYTES == 2 << 30) };
}

#[test]
fn a_file_that_ends_early_is_an_error_wherever_it_ends() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let whole = encoded(&slopes(64, 64), format);
        assert!(of_bytes(&whole).is_ok());
        // The last bytes of a PNG, a checksum, say nothing that matters.
        let needed = whole.len() - if format == ImageFormat::Png { 16 } else { 1 };
        for end in (0..needed).step_by(7).chain([needed - 1]) {
            let error = of_bytes(&whole[..end]).expect_err(&format!("{format:?} {end} of {}", whole.len()));
            assert_eq!(error.cause, Cause::BadInput, "{error}");
        }
    }
    fails(&encoded(&slopes(64, 64), ImageFormat::Jpeg)[..1000], Cause::BadInput, "ends early; get the file once more");
    fails(&encoded(&slopes(64, 64), ImageFormat::Png)[..1000], Cause::BadInput, "ends early; get the file once more");
}

#[test]
fn a_file_that_is_no_picture_says_what_it_is() {
    fails(b"", Cause::BadInput, "is empty: give a PNG or JPEG file");
    fails(b"hello, this is text", Cause::BadInput, "is no picture that is known");
    fails(b"GIF89a\x01\0\x01\0\0\0\0", Cause::BadInput, "is a gif file: give a PNG or JPEG file");
    fails(b"\x89PNG\r\n\x1a\n", Cause::BadInput, "ends early");
    fails(b"\xFF\xD8\xFF", Cause::BadInput, "is damaged");
}

#[test]
fn a_header_longer_than_most_is_read_to_its_end() {
    let png = encoded(&slopes(8, 8), ImageFormat::Png);
    let text = vec![b'x'; 400 << 10];
    let mut chunk = b"zzZz".to_vec();
    chunk.extend(&text);
    let long =
        [&png[..33], &(text.len() as u32).to_be_bytes(), &chunk, &crc32(&chunk).to_be_bytes(), &png[33..]].concat();
    assert!(of_bytes(&long).is_ok());
    let jpeg = encoded(&slopes(8, 8), ImageFormat::Jpeg);
    let comment = [&[0xFF, 0xFE, 0xFF, 0xFF][..], &[b'x'; 0xFFFD]].concat();
    let long = [&jpeg[..2], &comment.repeat(8), &jpeg[2..]].concat();
    assert!(of_bytes(&long).is_ok());
}

#[test]
fn files_that_are_not_there_or_no_files_are_errors_that_name_them() {
    let pictures = Pictures::new();
    let of = |name: &str| error_of(&ImageParams::new(pictures.path(name), pictures.path("out.png")));
    assert!(of("missing.png").message.contains("missing.png: no such file: check the path"));
    assert!(of("").message.contains("is a directory"));
    let file = std::fs::File::create(pictures.path("huge.png")).unwrap();
    if file.set_len(1 << 40).is_ok() {
        assert!(of("huge.png").message.contains("huge.png: is larger than 1 GiB"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_files_never_panic(
        is_png in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let format = if is_png { ImageFormat::Png } else { ImageFormat::Jpeg };
        let mut bytes = encoded(&slopes(24, 24), format);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = of_bytes(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = of_bytes(&bytes);
    }
}
