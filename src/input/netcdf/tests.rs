//! Whole files: of the classic format made here, of HDF5 as `tests/data/netcdf/make.py` makes them.

use super::*;
use crate::input::testing::{damaged, read_as_f64};
use crate::input::{DType, Scratch};
use crate::job::Cause;

/// A variable of a classic file: name, dimensions, attributes as they are written, type code, values as they are written.
struct Var {
    name: &'static str,
    dimensions: Vec<u32>,
    attributes: Vec<(&'static str, u32, Vec<u8>)>,
    code: u32,
    values: Vec<u8>,
}

/// Dimension 0 is the unlimited one.
const AXES: [(&str, u32); 3] = [("time", 0), ("y", 3), ("x", 5)];

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A file with so many records, written plainly from the specification.
fn classic(version: u8, records: u32, vars: &[Var]) -> Vec<u8> {
    let count = |n: u64| if version == 5 { n.to_be_bytes().to_vec() } else { (n as u32).to_be_bytes().to_vec() };
    let text = |text: &str| [count(text.len() as u64), padded(text.as_bytes().to_vec())].concat();
    let list = |tag: u32, n: usize| [(if n == 0 { 0 } else { tag }).to_be_bytes().to_vec(), count(n as u64)].concat();
    let size = |code: u32| [1, 1, 2, 4, 4, 8, 1, 2, 4, 8, 8][code as usize - 1];
    let is_record = |var: &Var| var.dimensions.first() == Some(&0);
    let only = vars.iter().filter(|var| is_record(var)).count() == 1;
    let part = |var: &Var| if records == 0 { 0 } else { var.values.len() / records as usize };
    let header = |begins: &[u64]| {
        let mut file = [&b"CDF"[..], &[version]].concat();
        file.extend(count(records.into()));
        file.extend(list(10, AXES.len()));
        AXES.iter().for_each(|(name, len)| file.extend([text(name), count((*len).into())].concat()));
        file.extend(list(12, 0));
        file.extend(list(11, vars.len()));
        for (var, begin) in vars.iter().zip(begins) {
            file.extend(text(var.name));
            file.extend(count(var.dimensions.len() as u64));
            var.dimensions.iter().for_each(|index| file.extend(count((*index).into())));
            file.extend(list(12, var.attributes.len()));
            for (name, code, value) in &var.attributes {
                file.extend([text(name), code.to_be_bytes().to_vec()].concat());
                file.extend(count(value.len() as u64 / size(*code)));
                file.extend(padded(value.clone()));
            }
            file.extend(var.code.to_be_bytes());
            // Readers work the size out themselves.
            file.extend(count(0));
            file.extend(if version == 1 {
                (*begin as u32).to_be_bytes().to_vec()
            } else {
                begin.to_be_bytes().to_vec()
            });
        }
        file
    };
    let mut at = header(&vec![0; vars.len()]).len() as u64;
    let mut begins = vec![0; vars.len()];
    for of_records in [false, true] {
        for (var, begin) in vars.iter().zip(&mut begins).filter(|(var, _)| is_record(var) == of_records) {
            *begin = at;
            at += if of_records { part(var).next_multiple_of(4) } else { var.values.len().next_multiple_of(4) } as u64;
        }
    }
    let mut file = header(&begins);
    vars.iter().filter(|var| !is_record(var)).for_each(|var| file.extend(padded(var.values.clone())));
    for record in 0..records as usize {
        for var in vars.iter().filter(|var| is_record(var)) {
            let values = var.values[record * part(var)..(record + 1) * part(var)].to_vec();
            file.extend(if only { values } else { padded(values) });
        }
    }
    file
}

fn be<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| bytes(*value)).collect()
}

fn open_bytes(file: &[u8], var: Option<&str>) -> Result<Dataset, JobError> {
    open("t.nc", Bytes::of_stream(&mut &file[..], "t.nc", 1 << 24)?, var)
}

/// All values, read in ranges of every length, in both orders.
fn values(dataset: &Dataset) -> (Vec<u64>, DType, Vec<f64>) {
    let source = &dataset.columns[0].source;
    let shape = dataset.shape.clone().unwrap().axes;
    let whole = read_as_f64(&**source, 0..source.len());
    let stored = source.as_stored().map(|source| (read_as_f64(&*source, 0..source.len()), source));
    let key = |value: &f64| value.to_bits();
    let mut sorted = whole.clone();
    sorted.sort_unstable_by_key(key);
    if let Some((stored, _)) = &stored {
        let mut stored = stored.clone();
        stored.sort_unstable_by_key(key);
        assert!(stored.iter().map(key).eq(sorted.iter().map(key)), "the same values in another order");
    }
    for start in 0..=source.len() {
        for end in [start, start + 1, start + 7, start + 40, source.len()] {
            let end = end.clamp(start, source.len());
            let part = start as usize..end as usize;
            assert!(read_as_f64(&**source, start..end).iter().map(key).eq(whole[part.clone()].iter().map(key)));
            if let Some((stored, source)) = &stored {
                assert!(read_as_f64(&**source, start..end).iter().map(key).eq(stored[part].iter().map(key)));
            }
        }
    }
    (shape, source.dtype(), whole)
}

fn same(found: (Vec<u64>, DType, Vec<f64>), shape: &[u64], dtype: DType, expected: &[f64]) {
    assert_eq!((&found.0[..], found.1), (shape, dtype));
    assert!(
        found.2.iter().map(|value| value.to_bits()).eq(expected.iter().map(|value| value.to_bits())),
        "{found:?} {expected:?}"
    );
}

fn sample(records: u32) -> Vec<Var> {
    let times: Vec<f64> = (0..records).map(f64::from).collect();
    let packed: Vec<i16> = (0..records as i16 * 5).collect();
    let bytes: Vec<i8> = (0..records as i8 * 3).map(|i| i - 5).collect();
    let plain: Vec<f32> = (0..15_u8).map(|i| f32::from(i) / 4.0).collect();
    let of = |name, dimensions: &[u32], code, values| Var {
        name,
        dimensions: dimensions.to_vec(),
        attributes: vec![],
        code,
        values,
    };
    let mut t2m = of("t2m", &[0, 2], 3, be(&packed, i16::to_be_bytes));
    t2m.attributes = vec![
        ("units", 2, b"K".to_vec()),
        ("scale_factor", 6, 0.5_f64.to_be_bytes().to_vec()),
        ("_FillValue", 3, 7_i16.to_be_bytes().to_vec()),
    ];
    vec![
        of("time", &[0], 6, be(&times, f64::to_be_bytes)),
        t2m,
        of("plain", &[1, 2], 5, be(&plain, f32::to_be_bytes)),
        of("bytes", &[0, 1], 1, be(&bytes, i8::to_be_bytes)),
        of("label", &[1], 2, b"abc".to_vec()),
    ]
}

#[test]
fn classic_files_of_every_version_give_their_variables() {
    for version in classic::VERSIONS {
        let file = classic(version, 4, &sample(4));
        let halves = (0..20).map(|i| if i == 7 { f64::NAN } else { f64::from(i) / 2.0 }).collect::<Vec<_>>();
        same(values(&open_bytes(&file, Some("t2m")).unwrap()), &[4, 5], DType::F64, &halves);
        let plain: Vec<f64> = (0..15).map(|i| f64::from(i) / 4.0).collect();
        same(values(&open_bytes(&file, Some("plain")).unwrap()), &[3, 5], DType::F32, &plain);
        let bytes: Vec<f64> = (0..12).map(|i| f64::from(i) - 5.0).collect();
        same(values(&open_bytes(&file, Some("/bytes")).unwrap()), &[4, 3], DType::I32, &bytes);
        same(values(&open_bytes(&file, Some("time")).unwrap()), &[4], DType::F64, &[0.0, 1.0, 2.0, 3.0]);
        let error = open_bytes(&file, Some("label")).unwrap_err();
        assert!(error.cause == Cause::Unsupported && error.message.contains("`label` holds text"), "{error}");
        let error = open_bytes(&file, None).unwrap_err().message;
        assert!(error.contains("3 variables of data: t2m (4×5 i16), plain (3×5 f32), bytes (4×3 i8)"), "{error}");
        same(values(&open_bytes(&classic(version, 0, &sample(0)), Some("t2m")).unwrap()), &[0, 5], DType::F64, &[]);
    }
}

#[test]
fn the_only_variable_of_records_is_not_padded_and_its_records_may_not_be_counted() {
    let mut vars = sample(3);
    let only = vec![vars.swap_remove(3)];
    let expected: Vec<f64> = (0..9).map(|i| f64::from(i) - 5.0).collect();
    for version in classic::VERSIONS {
        let mut file = classic(version, 3, &only);
        same(values(&open_bytes(&file, None).unwrap()), &[3, 3], DType::I32, &expected);
        // A file that was still being written says no number.
        file[4..if version == 5 { 12 } else { 8 }].fill(0xff);
        same(values(&open_bytes(&file, None).unwrap()), &[3, 3], DType::I32, &expected);
    }
}

#[test]
fn what_is_no_whole_file_is_refused() {
    let file = classic(1, 4, &sample(4));
    for (len, says) in [(file.len() - 2, "cut short"), (60, "ends inside its netCDF header"), (6, "ends inside")] {
        let error = open_bytes(&file[..len], Some("bytes")).unwrap_err();
        assert!(error.message.starts_with("t.nc: ") && error.message.contains(says), "{len}: {error}");
    }
    for start in [&b""[..], b"CDF", b"CDF\x04........", b"<html>", &[b'x'; 5000]] {
        let error = open_bytes(start, None).unwrap_err().message;
        assert!(error.contains("neither classic netCDF"), "{error}");
    }
}

/// The 60 numbers of the fixtures.
fn numbers(scale: f64) -> Vec<f64> {
    (0..60).map(|i| f64::from(i) * scale).collect()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/netcdf/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn netcdf4_files_give_their_variables_by_path() {
    let file = fixture("groups.nc");
    let stored = |i: u32| if i == 52 || i == 139 { f64::NAN } else { f64::from(i) * 0.25 + 273.0 };
    let expected: Vec<f64> = (0..140).map(stored).collect();
    same(values(&open_bytes(&file, Some("t2m")).unwrap()), &[4, 5, 7], DType::F64, &expected);
    same(values(&open_bytes(&file, Some("/forecast/t2m")).unwrap()), &[3], DType::F32, &[1.5, 2.5, 4.0]);
    same(values(&open_bytes(&file, Some("crs")).unwrap()), &[], DType::I32, &[1.0]);
    let error = open_bytes(&file, None).unwrap_err().message;
    // Neither the coordinate, nor the mapping of the grid, nor dimensions without a variable.
    assert!(error.contains("2 variables of data: t2m (4×5×7 i16), forecast/t2m (3 f32)"), "{error}");
    for (var, says) in [("station", "strings"), ("weather", "an enumeration"), ("pair", "compounds")] {
        let error = open_bytes(&file, Some(&format!("forecast/{var}"))).unwrap_err();
        assert!(
            error.cause == Cause::Unsupported && error.message.contains(&format!("`forecast/{var}` holds {says}")),
            "{error}"
        );
    }
}

#[test]
fn hdf5_files_give_their_datasets_whatever_their_layout() {
    let mut partly = vec![-7.0; 60];
    partly[0] = 5.0;
    for first in [1, 2, 3, 4, 15, 16, 17, 18, 19] {
        // The rest of the one chunk that was written.
        partly[first] = -7.0;
    }
    let mut last = vec![0.0; 60];
    last[59] = 1.0;
    let cases: [(&str, &str, DType, Vec<f64>); 11] = [
        ("oldest.h5", "big_endian", DType::F64, numbers(1.0)),
        ("oldest.h5", "big_endian_chunks", DType::I32, numbers(1.0)),
        ("oldest.h5", "half", DType::F32, numbers(0.125)),
        ("oldest.h5", "lzf", DType::U32, numbers(1.0)),
        ("oldest.h5", "partly", DType::I32, partly),
        ("oldest.h5", "never", DType::F32, vec![2.5; 60]),
        ("newer.h5", "one_chunk", DType::I64, numbers(1.0)),
        ("newer.h5", "fixed_array", DType::F32, numbers(1.0)),
        ("newer.h5", "extensible_array", DType::F32, numbers(1.0)),
        ("newer.h5", "partly", DType::F32, last),
        ("newer.h5", "empty", DType::F32, vec![]),
    ];
    for (file, var, dtype, expected) in cases {
        let dataset = open_bytes(&fixture(file), Some(var)).unwrap_or_else(|error| panic!("{error}"));
        same(values(&dataset), &[if expected.is_empty() { 0 } else { 4 }, 15], dtype, &expected);
    }
    same(values(&open_bytes(&fixture("oldest.h5"), Some("scalar")).unwrap()), &[], DType::F32, &[4.5]);
    let compact = [250.0, 251.0, 252.0, 255.0];
    same(values(&open_bytes(&fixture("oldest.h5"), Some("compact")).unwrap()), &[4], DType::U32, &compact);
}

#[test]
fn what_cannot_be_read_of_hdf5_says_why() {
    for (file, var, says) in [
        ("oldest.h5", "bool", "holds an enumeration"),
        ("oldest.h5", "text", "holds strings"),
        ("oldest.h5", "external", "external files"),
        ("newer.h5", "complex", "holds compounds"),
        ("newer.h5", "scale_offset", "filter 6"),
        ("newer.h5", "virtual", "is virtual"),
        ("newer.h5", "two_unlimited", "B-tree"),
        ("newer.h5", "half", "was never written"),
        ("newer.h5", "nothing", "it has complex"),
    ] {
        let error = open_bytes(&fixture(file), Some(var)).map(|_| ()).expect_err(var).message;
        assert!(error.starts_with("t.nc: ") && error.contains(&format!("`{var}`")) && error.contains(says), "{error}");
    }
}

#[test]
fn damaged_files_are_errors_or_other_numbers_and_never_a_panic() {
    let classics = classic::VERSIONS.map(|version| (classic(version, 4, &sample(4)), vec!["t2m", "bytes"]));
    let of_hdf5 = [
        (fixture("groups.nc"), vec!["t2m", "forecast/t2m"]),
        (fixture("oldest.h5"), vec!["big_endian_chunks", "lzf", "partly"]),
        (fixture("newer.h5"), vec!["one_chunk", "fixed_array", "extensible_array"]),
    ];
    for (file, vars) in classics.into_iter().chain(of_hdf5) {
        let seed = 20_230_601;
        let (mut opened, mut refused) = (0, 0);
        for (round, damaged) in damaged(&file, 0, seed, 400).enumerate() {
            let var = vars[round % vars.len()];
            match open_bytes(&damaged, Some(var)) {
                Err(error) => {
                    assert!(error.message.starts_with("t.nc: "), "{error}");
                    assert!(!error.message.contains("does not know"), "a panic behind the wall: {error}");
                    refused += 1;
                }
                Ok(dataset) => {
                    opened += 1;
                    // A shape may have become a large one: some of it is read.
                    let source = &dataset.columns[0].source;
                    let source = source.as_stored().unwrap_or_else(|| Arc::clone(source));
                    let len = source.len();
                    for start in [0, len / 2, len.saturating_sub(100)] {
                        if let Err(error) = source.read(start..(start + 100).min(len), &mut Scratch::default()) {
                            assert!(error.message.contains("t.nc: variable `"), "{error}");
                        }
                    }
                }
            }
        }
        assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused, seed {seed}");
    }
}

#[test]
fn values_come_in_the_same_way_from_a_file_that_is_not_in_memory() {
    // A stream beyond the limit of memory goes to a file.
    let file = classic(2, 4, &sample(4));
    let bytes = Bytes::of_stream(&mut &file[..], "t.nc", 16).unwrap();
    let halves = (0..20).map(|i| if i == 7 { f64::NAN } else { f64::from(i) / 2.0 }).collect::<Vec<_>>();
    same(values(&open("t.nc", bytes, Some("t2m")).unwrap()), &[4, 5], DType::F64, &halves);
}
