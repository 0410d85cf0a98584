//! Whole files, as `tests/data/dicom/make.py` makes them: they hold what pydicom and numpy read in them.

use std::path::Path;

use super::*;
use crate::input::testing::{damaged, read_as_f64};
use crate::input::{Scratch, VoiFunction, VoiWindow};
use crate::job::Cause;

type Window = Option<(Voi, Outside)>;

fn fixture(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dicom").join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn open_bytes(file: &[u8], window: Window) -> Result<Dataset, JobError> {
    open("t.dcm", Bytes::of_stream(&mut &file[..], "t.dcm", 1 << 24)?, window).map(|(dataset, _)| dataset)
}

fn given(center: f64, width: f64, outside: Outside) -> Window {
    Some((Voi::Given(VoiWindow::new(center, width, VoiFunction::Linear).unwrap()), outside))
}

/// What a file holds by pydicom and numpy: its shape and values, a NaN for each that is missing.
fn expected() -> Vec<(String, Vec<u64>, Vec<f64>)> {
    let all: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&fixture("expected.json")).unwrap();
    all.into_iter()
        .map(|(name, file)| {
            let list = |field: &str| file[field].as_array().unwrap().clone();
            let shape = list("shape").iter().map(|axis| axis.as_u64().unwrap()).collect();
            (name, shape, list("values").iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect())
        })
        .collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// All values, the same in whatever parts they are read.
fn values(dataset: &Dataset) -> Vec<f64> {
    let source = &*dataset.columns[0].source;
    let whole = read_as_f64(source, 0..source.len());
    for start in 0..=source.len() {
        for end in start..=source.len() {
            assert_eq!(
                bits(&read_as_f64(source, start..end)),
                bits(&whole[start as usize..end as usize]),
                "{start}..{end}"
            );
        }
    }
    whole
}

#[test]
fn files_hold_what_pydicom_reads_in_them() {
    let of_32_bits = ["big_endian.dcm", "big_endian_words.dcm", "big_endian_bytes.dcm", "deflated.dcm", "rle.dcm"];
    let expected = expected();
    assert_eq!(expected.len(), 22);
    for (name, shape, numbers) in &expected {
        let (file, window) = match name.split_once(" window ") {
            Some((file, _)) => (file, Some((Voi::OfFile, Outside::LeaveOut))),
            None => (name.as_str(), None),
        };
        let dataset = open_bytes(&fixture(file), window).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(&dataset.shape.as_ref().unwrap().axes, shape, "{name}");
        assert_eq!(bits(&values(&dataset)), bits(numbers), "{name}: {numbers:?}");
        let dtype = match name.as_str() {
            "u32.dcm" => DType::U32,
            "u32_scaled.dcm" => DType::I64,
            "float.dcm" => DType::F32,
            _ if numbers.iter().any(|number| number.is_nan() || number.fract() != 0.0) => DType::F64,
            _ => DType::I32,
        };
        assert_eq!(dataset.columns[0].source.dtype(), dtype, "{name}");
        assert!(!of_32_bits.contains(&name.as_str()) || dtype == DType::I32, "{name}");
    }
}

#[test]
fn axes_have_names_also_where_planes_come_first() {
    let names = |file: &str| open_bytes(&fixture(file), None).unwrap().shape.unwrap().dimensions.unwrap();
    assert_eq!(names("ct.dcm"), ["row", "column"]);
    assert_eq!(names("rle.dcm"), ["frame", "row", "column"]);
    assert_eq!(names("rgb.dcm"), ["row", "column", "sample"]);
    assert_eq!(names("rgb_planar.dcm"), ["sample", "row", "column"]);
}

#[test]
fn values_come_in_the_same_way_from_a_file_that_is_not_in_memory() {
    for (name, _, numbers) in expected().iter().filter(|(name, ..)| !name.contains("window")) {
        let bytes = Bytes::of_stream(&mut &fixture(name)[..], "t.dcm", 16).unwrap();
        let (dataset, decoded_bytes) = open("t.dcm", bytes, None).unwrap();
        assert_eq!(bits(&values(&dataset)), bits(numbers), "{name}");
        assert_eq!(decoded_bytes > 0, name.starts_with("rle") || name == "deflated.dcm", "{name}");
    }
}

#[test]
fn a_window_leaves_out_what_lies_outside_or_clips_it() {
    let (_, _, all) = expected().into_iter().find(|(name, ..)| name == "ct.dcm").unwrap();
    // Center -1000, width 801: whole values from -1400.5 to -600.5, ends included where they are values.
    for (window, lo, hi) in [
        (given(-1000.0, 801.0, Outside::LeaveOut), -1400.5, -600.5),
        (given(-1388.0, 1.0, Outside::LeaveOut), -1388.5, -1388.5),
    ] {
        let dataset = open_bytes(&fixture("ct.dcm"), window).unwrap();
        assert_eq!(dataset.window, Some((lo, hi)));
        let inside: Vec<f64> = all.iter().map(|v| if *v >= lo && *v <= hi { *v } else { f64::NAN }).collect();
        assert_eq!(bits(&values(&dataset)), bits(&inside));
    }
    let ends = given(-1387.5, 2.0, Outside::LeaveOut);
    let seen = values(&open_bytes(&fixture("ct.dcm"), ends).unwrap());
    let inside: Vec<f64> = seen.into_iter().filter(|value| !value.is_nan()).collect();
    assert_eq!(inside, [-1388.0], "from -1388.5 to -1387.5");
}

#[test]
fn the_window_of_a_file_is_its_first_one_and_a_given_one_comes_before_it() {
    let window =
        |file: &str, voi| open_bytes(&fixture(file), Some((voi, Outside::LeaveOut))).map(|dataset| dataset.window);
    assert_eq!(window("ct.dcm", Voi::OfFile), Ok(Some((-160.0, 239.0))));
    assert_eq!(window("shared.dcm", Voi::OfFile), Ok(Some((150.0, 249.0))));
    assert_eq!(window("per_frame.dcm", Voi::OfFile), Ok(None), "each frame has its own");
    let given = Voi::Given(VoiWindow::new(5.0, 2.0, VoiFunction::LinearExact).unwrap());
    assert_eq!(window("per_frame.dcm", given), Ok(Some((4.0, 6.0))));
    let error = window("rgb.dcm", Voi::OfFile).unwrap_err().message;
    assert!(error.starts_with("t.dcm: names no window") && error.contains("give `window` its center"), "{error}");
}

#[test]
fn floats_have_windows_too() {
    let (_, _, all) = expected().into_iter().find(|(name, ..)| name == "double.dcm").unwrap();
    let dataset = open_bytes(&fixture("double.dcm"), given(0.5, 1001.0, Outside::Clip)).unwrap();
    let clipped: Vec<f64> = all.iter().map(|value| value.clamp(-500.0, 500.0)).collect();
    assert_eq!(bits(&values(&dataset)), bits(&clipped), "padding stays missing");
}

/// A file with other bytes in place of the only ones that are these.
fn patched(file: &str, find: &[u8], put: &[u8]) -> Vec<u8> {
    let mut bytes = fixture(file);
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(find)).collect();
    let [at] = places[..] else { panic!("{file}: {find:x?} at {places:?}") };
    bytes.splice(at..at + find.len(), put.iter().copied());
    bytes
}

/// An attribute of 16 bits of group 0028, as it is written.
fn word(element: u8, high: u8, value: u16) -> Vec<u8> {
    [&[0x28, 0, element, high, b'U', b'S', 2, 0][..], &value.to_le_bytes()].concat()
}

#[test]
fn what_cannot_be_read_says_what_and_where_and_what_to_do() {
    let cases: Vec<(Vec<u8>, Cause, &[&str])> = vec![
        (
            fixture("jpeg2000.dcm"),
            Cause::Unsupported,
            &["JPEG 2000 (Lossless Only)", "1.2.840.10008.1.2.4.90", "decompress it first"],
        ),
        (patched("jpeg2000.dcm", b".4.90", b".7.90"), Cause::Unsupported, &["`1.2.840.10008.1.2.7.90`", "is unknown"]),
        (fixture("no_pixels.dcm"), Cause::BadInput, &["has no pixels, attribute (7FE0,0010)"]),
        (fixture("expected.json"), Cause::BadInput, &["is not a DICOM file: `DICM` is not at byte 128"]),
        (Vec::new(), Cause::BadInput, &["is not a DICOM file"]),
        (patched("rgb.dcm", &word(0x10, 0, 3), &word(0x10, 0, 0)), Cause::BadInput, &["(0028,0010)", "0 rows"]),
        (
            patched("rgb.dcm", &word(0x10, 0, 3), &word(0x10, 0, 4)),
            Cause::BadInput,
            &["46 bytes", "60 are needed", "4 rows, 5 columns, 3 samples of 8 bits", "cut short"],
        ),
        (
            patched("rgb.dcm", &word(0x10, 0, 3), &word(0x10, 0, 1)),
            Cause::BadInput,
            &["46 bytes", "15 are needed", "more frames than it says"],
        ),
        (patched("rgb.dcm", &word(0x10, 0, 3), &[]), Cause::BadInput, &["(0028,0010), the number of rows, is missing"]),
        (patched("rgb.dcm", &word(0, 1, 8), &word(0, 1, 12)), Cause::Unsupported, &["12 bits (attribute (0028,0100))"]),
        (patched("rgb.dcm", &word(1, 1, 8), &word(1, 1, 9)), Cause::BadInput, &["(0028,0101)", "they do not fit"]),
        (patched("rgb.dcm", b"RGB ", b"YBR_FULL_422"), Cause::BadInput, &["byte"]),
        (patched("shared.dcm", b"IS\x02\x003 ", b"IS\x02\x003A"), Cause::BadInput, &["(0028,0008)", "`3A`"]),
        (patched("u32_scaled.dcm", b"DS\x02\x003 ", b"DS\x02\x00x "), Cause::BadInput, &["(0028,1053)", "`x`"]),
        // A value that claims four gigabytes makes no room for them.
        (patched("ct.dcm", b"OW\0\0\x1e\0\0\0", b"OW\0\0\xfe\xff\xff\xff"), Cause::BadInput, &["cut short", "byte"]),
        (patched("rle.dcm", &word(0x10, 0, 3), &word(0x10, 0, 65535)), Cause::BadInput, &["frame 0", "cannot be"]),
        (
            patched(
                "rle.dcm",
                &[word(0x10, 0, 3), word(0x11, 0, 5)].concat(),
                &[word(0x10, 0, 4097), word(0x11, 0, 65535)].concat(),
            ),
            Cause::Unsupported,
            &["a frame is of 536993790 bytes: up to 134217728"],
        ),
        (patched("rle.dcm", b"IS\x02\x003 ", b"IS\x02\x004 "), Cause::BadInput, &["3 fragments", "4 frames"]),
        (patched("rle.dcm", b"IS\x02\x003 ", b"IS\x02\x002 "), Cause::BadInput, &["more fragments", "2 frames"]),
    ];
    for (file, cause, says) in cases {
        let error = open_bytes(&file, None).map(|_| ()).expect_err(says[0]);
        assert!(error.message.starts_with("t.dcm: ") && error.cause == cause, "{error:?}");
        assert!(says.iter().all(|says| error.message.contains(says)), "{error} lacks {says:?}");
    }
    let palette = patched("rgb.dcm", b"\x04\0CS\x04\0RGB ", b"\x04\0CS\x0c\0YBR_FULL_422");
    let error = open_bytes(&palette, None).map(|_| ()).unwrap_err();
    assert!(
        error.cause == Cause::Unsupported && error.message.contains("half the resolution (YBR_FULL_422"),
        "{error}"
    );
}

#[test]
fn values_of_unknown_kind_are_little_endian_in_big_endian_files_too() {
    let (_, _, numbers) = expected().into_iter().find(|(name, ..)| name == "big_endian.dcm").unwrap();
    let mut file = patched("big_endian.dcm", b"\0\x28\0\x10US\0\x02\0\x03", b"\0\x28\0\x10UN\0\0\0\0\0\x02\x03\0");
    let pixels = file.len() - 30;
    file[pixels - 8..pixels - 6].copy_from_slice(b"UN");
    file[pixels..].as_chunks_mut::<2>().0.iter_mut().for_each(|word| word.reverse());
    assert_eq!(bits(&values(&open_bytes(&file, None).unwrap())), bits(&numbers));
}

#[test]
fn a_value_is_looked_at_up_to_a_length() {
    let of_file = Some((Voi::OfFile, Outside::LeaveOut));
    let file = |len: usize| {
        let text = [b"40\\300\\", &b" ".repeat(len - 7)[..]].concat();
        let put = [b"\x50\x10DS", &(len as u16).to_le_bytes()[..], &text].concat();
        patched("ct.dcm", b"\x50\x10DS\x06\x0040\\300", &put)
    };
    assert_eq!(open_bytes(&file(1024), of_file).unwrap().window, Some((-160.0, 239.0)));
    let error = open_bytes(&file(1026), of_file).map(|_| ()).unwrap_err().message;
    assert!(error.contains("(0028,1050) is 1026 bytes long: up to 1024 are supported"), "{error}");
}

#[test]
fn windows_of_files_that_have_no_limits_or_make_no_sense_are_refused() {
    let file = |width: &[u8; 3]| patched("ct.dcm", b"400\\1500", &[width, &b"\\1500"[..]].concat());
    let of_file = Some((Voi::OfFile, Outside::LeaveOut));
    let error = open_bytes(&file(b"0.5"), of_file).map(|_| ()).unwrap_err().message;
    assert!(error.contains("(0028,1051)") && error.contains("1 at least"), "{error}");
    let sigmoid = patched("per_frame.dcm", b"LINEAR_EXACT", b"SIGMOID     ");
    let error = open_bytes(&sigmoid, of_file).map(|_| ()).unwrap_err();
    assert!(error.cause == Cause::Unsupported && error.message.contains("`SIGMOID`"), "{error}");
}

#[test]
fn sequences_nested_without_end_are_refused() {
    // Each an element of a sequence, and an item of it, both of undefined length.
    let level = b"\x40\0\x75\xa0SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff";
    let start = fixture("no_pixels.dcm");
    for (depth, says) in [(31, "ends inside"), (1000, "more than 32 deep"), (100_000, "more than 32 deep")] {
        let file = [&start[..], &level.repeat(depth)].concat();
        let error = open_bytes(&file, None).map(|_| ()).unwrap_err().message;
        assert!(error.contains(says), "{depth}: {error}");
    }
}

#[test]
fn items_that_reach_beyond_their_sequence_are_refused() {
    let group = |tag: [u8; 4], len: u32, item_len: u32| {
        let sequence = [&tag[..], b"SQ\0\0", &len.to_le_bytes()].concat();
        [&sequence[..], b"\xfe\xff\0\xe0", &item_len.to_le_bytes()].concat()
    };
    let (shared, window) = ([0, 0x52, 0x29, 0x92], [0x28, 0, 0x32, 0x91]);
    let file = |rest: &[u8]| [&fixture("no_pixels.dcm")[..], rest].concat();
    // Each item says that it is all of what follows, and each sequence that it ends at once: read again for each, that takes long.
    let levels = 400;
    let mut rest = Vec::new();
    for level in 0..levels {
        let after = (levels - 1 - level) * 40;
        rest.extend([group(shared, 8, after + 20), group(window, 8, after)].concat());
    }
    let error = open_bytes(&file(&rest), None).map(|_| ()).unwrap_err().message;
    assert!(error.contains("an item of (5200,9229) is longer than the sequence"), "{error}");
    // So does one without a length, whose end is marked.
    let open = [group(shared, 8, u32::MAX), b"\xfe\xff\x0d\xe0\0\0\0\0".to_vec()].concat();
    let error = open_bytes(&file(&open), None).map(|_| ()).unwrap_err().message;
    assert!(error.contains("the items of (5200,9229) are longer than the sequence"), "{error}");
}

/// Every file that holds an image.
fn images() -> Vec<(String, Vec<u8>)> {
    expected()
        .into_iter()
        .filter(|(name, ..)| !name.contains(' '))
        .map(|(name, ..)| (name.clone(), fixture(&name)))
        .collect()
}

#[test]
fn files_cut_short_at_every_byte_are_refused_or_hold_the_same_values() {
    for (name, file) in images() {
        let whole = read_as_f64(&*open_bytes(&file, None).unwrap().columns[0].source, 0..15);
        let mut refused = 0;
        for len in 0..file.len() {
            match open_bytes(&file[..len], None) {
                Err(error) => {
                    assert!(error.message.starts_with("t.dcm"), "{name}, {len} bytes: {error}");
                    refused += 1;
                }
                Ok(dataset) => {
                    assert_eq!(bits(&read_as_f64(&*dataset.columns[0].source, 0..15)), bits(&whole), "{name}, {len}")
                }
            }
        }
        // Of what is deflated, the mark of its end may be missing.
        assert!(refused == file.len() || name == "deflated.dcm" && refused > file.len() - 8, "{name}: {refused}");
    }
}

#[test]
fn damaged_files_are_errors_or_other_numbers_and_never_a_panic() {
    for (name, file) in images() {
        let seed = 20_250_301;
        let (mut opened, mut refused) = (0, 0);
        // What comes before byte 128 says nothing.
        for (round, damaged) in damaged(&file, 128, seed, 600).enumerate() {
            let window = match round % 3 {
                0 => None,
                1 => Some((Voi::OfFile, Outside::Clip)),
                _ => given(40.0, 400.0, Outside::LeaveOut),
            };
            match open_bytes(&damaged, window) {
                Err(error) => {
                    assert!(error.message.starts_with("t.dcm") && !error.message.contains('\n'), "{error}");
                    refused += 1;
                }
                Ok(dataset) => {
                    opened += 1;
                    let source = &dataset.columns[0].source;
                    let len = source.len();
                    for start in [0, len / 2, len.saturating_sub(100)] {
                        source.read(start..(start + 100).min(len), &mut Scratch::default()).unwrap();
                    }
                }
            }
        }
        assert!(opened > 0 && refused > 0, "{name}: {opened} opened, {refused} refused, seed {seed}");
    }
}
