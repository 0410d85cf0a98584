//! What becomes of pictures, and of what lies where they are written to.

use sha2::{Digest, Sha256};

use super::*;
use crate::job::{Cause, Sample};
use crate::tasks::image::{Change, Flip, Format, KIND, Turn};

#[test]
fn a_picture_is_changed_step_by_step_and_written() {
    let pictures = Pictures::new();
    let mut params = ImageParams::new(pictures.picture("in.png", 60, 40), pictures.path("out.png"));
    params.changes = vec![
        Change::Crop { x: 10, y: 5, width: 40, height: 30 },
        Change::Rotate(Turn::By90),
        Change::Flip(Flip::Vertical),
        Change::Brightness(10),
    ];
    let answer = run(&params).unwrap();
    let mut expected = slopes(60, 40).crop_imm(10, 5, 40, 30).rotate90().flipv();
    expected = expected.brighten(10);
    assert_eq!(image::open(pictures.path("out.png")).unwrap(), expected);
    assert_eq!((answer.width(), answer.height()), (30, 40));
    assert_eq!((answer.file(), answer.output()), (&*pictures.path("in.png"), &*pictures.path("out.png")));
    assert_eq!(answer.bytes(), std::fs::metadata(answer.output()).unwrap().len());
    assert_eq!(pictures.names(), ["in.png", "out.png"]);
}

#[test]
fn a_picture_without_steps_is_the_same_in_another_format() {
    let pictures = Pictures::new();
    clear_slopes(20, 10).save(pictures.path("in.png")).unwrap();
    let answer = run(&ImageParams::new(pictures.path("in.png"), pictures.path("out.png"))).unwrap();
    assert_eq!(image::open(answer.output()).unwrap(), clear_slopes(20, 10));
    let answer = run(&ImageParams::new(pictures.path("in.png"), pictures.path("out.jpg"))).unwrap();
    assert_eq!(answer.format(), Format::Jpeg);
    let back = image::open(answer.output()).unwrap();
    assert_eq!((back.color(), back.width(), back.height()), (image::ColorType::Rgb8, 20, 10));
    let answer = run(&ImageParams::new(pictures.path("out.jpg"), pictures.path("back.png"))).unwrap();
    assert_eq!(image::open(answer.output()).unwrap(), back);
}

#[test]
fn the_same_picture_gives_the_same_bytes_on_every_machine() {
    let pictures = Pictures::new();
    let mut params = ImageParams::new(pictures.picture("in.png", 97, 61), pictures.path("out.png"));
    params.changes = vec![
        Change::Resize { width: 40, height: 50 },
        Change::Fit { width: 64, height: 64 },
        Change::Rotate(Turn::By270),
        Change::Grey,
        Change::Brightness(-7),
    ];
    run(&params).unwrap();
    let pixels = Sha256::digest(image::open(pictures.path("out.png")).unwrap().as_bytes());
    let hex: String = pixels.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "d0779b8109c6df2a2c804cda03dc97e8566fd58324b3e99dba3c1e2eba357b21");
}

#[test]
fn the_output_is_named_by_its_ending_its_format_or_its_input() {
    let pictures = Pictures::new();
    pictures.picture("a.jpeg", 8, 8);
    std::fs::rename(pictures.picture("b.png", 8, 8), pictures.path("unnamed")).unwrap();
    std::fs::create_dir(pictures.path("out")).unwrap();
    let folder = format!("{}/", pictures.path("out").display());
    for (file, output, format, expected, read) in [
        ("a.jpeg", &*folder, None, "out/a.jpeg", Format::Jpeg),
        ("a.jpeg", &folder, Some(Format::Jpeg), "out/a.jpeg", Format::Jpeg),
        ("a.jpeg", &folder, Some(Format::Png), "out/a.png", Format::Png),
        ("unnamed", &folder, None, "out/unnamed.png", Format::Png),
        ("unnamed", "x.JPG", None, "x.JPG", Format::Jpeg),
        ("a.jpeg", "x", None, "x", Format::Jpeg),
        ("a.jpeg", "x", Some(Format::Png), "x", Format::Png),
        ("a.jpeg", "x.image", Some(Format::Png), "x.image", Format::Png),
        ("a.jpeg", "out", None, "out/a.jpeg", Format::Jpeg),
    ] {
        let mut params = ImageParams::new(file, output);
        params.format = format;
        let answer = run_in(pictures.0.path(), &params, &CancelFlag::default()).unwrap();
        assert_eq!(answer.output(), pictures.path(expected), "{file} to {output}");
        assert_eq!(answer.format(), read);
        let written = std::fs::read(answer.output()).unwrap();
        let is_png = written.starts_with(b"\x89PNG");
        assert_eq!(is_png, read == Format::Png, "{file} to {output}");
    }
}

#[test]
fn an_output_that_cannot_be_meant_is_an_error_with_a_remedy() {
    let pictures = Pictures::new();
    let file = pictures.picture("a.png", 8, 8);
    for (output, format, cause, part) in [
        ("missing/a.png", None, Cause::Io, "there is no folder"),
        ("missing/", None, Cause::Io, "make it first (mkdir"),
        ("a.png/b.png", None, Cause::Io, "there is no folder"),
        ("x.webp", None, Cause::BadInput, ".webp is no ending of png or jpeg"),
        ("x.jpg", Some(Format::Png), Cause::BadInput, "is named as jpeg, and the format asked for is png"),
        ("a.png", None, Cause::BadInput, "is the input: name another output, or set overwrite"),
        ("", None, Cause::BadInput, "is the input"),
        ("./a.png", None, Cause::BadInput, "is the input"),
    ] {
        let mut params = ImageParams::new(&file, pictures.path("").join(output));
        params.format = format;
        let error = error_of(&params);
        assert_eq!(error.cause, cause, "{error}");
        assert!(error.message.contains(part), "{error}");
    }
    assert_eq!(pictures.names(), ["a.png"]);
}

#[test]
fn an_input_is_replaced_where_that_is_asked_for() {
    let pictures = Pictures::new();
    let file = pictures.picture("a.png", 8, 4);
    let mut params = ImageParams::new(&file, &file);
    params.overwrite = true;
    params.changes = vec![Change::Rotate(Turn::By90)];
    assert_eq!(run(&params).unwrap().width(), 4);
    assert_eq!(image::open(&file).unwrap(), slopes(8, 4).rotate90());
    assert_eq!(pictures.names(), ["a.png"]);
}

#[cfg(unix)]
#[test]
fn links_are_written_through_and_never_over_the_input_that_they_lead_to() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let pictures = Pictures::new();
    let file = pictures.picture("a.png", 8, 4);
    symlink("a.png", pictures.path("same.png")).unwrap();
    assert!(error_of(&ImageParams::new(&file, pictures.path("same.png"))).message.contains("is the input"));
    pictures.picture("other.png", 1, 1);
    symlink("other.png", pictures.path("link.png")).unwrap();
    let answer = run(&ImageParams::new(&file, pictures.path("link.png"))).unwrap();
    assert!(std::fs::symlink_metadata(answer.output()).unwrap().is_symlink());
    assert_eq!(image::open(pictures.path("other.png")).unwrap(), slopes(8, 4));
    // Readable for whoever may read other new files.
    let mode = std::fs::metadata(pictures.path("other.png")).unwrap().permissions().mode();
    let usual = std::fs::File::create(pictures.path("usual")).unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(mode, usual);
    assert!(error_of(&ImageParams::new(&file, "/dev/null")).message.contains("is no regular file"));
}

#[test]
fn a_job_that_is_cancelled_leaves_nothing() {
    let pictures = Pictures::new();
    let params = ImageParams::new(pictures.picture("a.png", 8, 4), pictures.path("b.png"));
    let cancel = CancelFlag::default();
    cancel.cancel();
    let error = run_in(Path::new(""), &params, &cancel).unwrap_err();
    assert_eq!(error.cause, Cause::Cancelled);
    assert_eq!(pictures.names(), ["a.png"]);
}

#[test]
fn a_colour_profile_is_kept_where_it_still_fits() {
    use image::{ImageDecoder, ImageEncoder};
    let pictures = Pictures::new();
    let mut profile = vec![0; 128];
    profile[16..20].copy_from_slice(b"RGB ");
    let file = std::fs::File::create(pictures.path("a.png")).unwrap();
    let mut encoder = image::codecs::png::PngEncoder::new(file);
    encoder.set_icc_profile(profile.clone()).unwrap();
    encoder.write_image(&[0; 12], 2, 2, image::ExtendedColorType::Rgb8).unwrap();
    let kept = |name: &str, changes| {
        let mut params = ImageParams::new(pictures.path("a.png"), pictures.path(name));
        params.changes = changes;
        run(&params).unwrap();
        image::ImageReader::open(pictures.path(name)).unwrap().into_decoder().unwrap().icc_profile().unwrap()
    };
    assert_eq!(kept("b.png", vec![]), Some(profile.clone()));
    assert_eq!(kept("b.jpg", vec![]), Some(profile));
    assert_eq!(kept("c.png", vec![Change::Grey]), None);
}

#[test]
fn a_photo_is_turned_as_its_camera_was_held() {
    use image::ImageEncoder;
    let pictures = Pictures::new();
    // Exif (TIFF, big-endian): one entry, orientation, a short, 6: to be turned by 90 degrees.
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let file = std::fs::File::create(pictures.path("a.png")).unwrap();
    let mut encoder = image::codecs::png::PngEncoder::new(file);
    encoder.set_exif_metadata(exif).unwrap();
    encoder.write_image(slopes(6, 4).as_bytes(), 6, 4, image::ExtendedColorType::Rgb8).unwrap();
    let mut params = ImageParams::new(pictures.path("a.png"), pictures.path("b.png"));
    params.changes = vec![Change::Crop { x: 0, y: 0, width: 4, height: 6 }];
    let answer = run(&params).unwrap();
    assert_eq!(image::open(answer.output()).unwrap(), slopes(6, 4).rotate90());
}

#[test]
fn a_sample_is_a_picture_of_its_variant_and_size() {
    for variant in KIND.variants {
        for units in [0, 1, 10_000] {
            let params = (KIND.sample)(&Sample { variant, units, seed: 5 });
            let answer = run_in(Path::new(""), &*params, &CancelFlag::default()).unwrap();
            assert_eq!(answer.format().name(), *variant);
            assert_eq!((answer.width(), answer.height()), (256, 256), "{units}");
            drop(params);
            assert!(!answer.output().exists(), "{}", answer.output().display());
        }
    }
}
