//! The dimensions of HDF5 variables by name: those of the scales that are attached to them.
//!
//! A variable lists its scales as references, which the library does not follow. The netCDF library also numbers its
//! dimensions, and where it has not written those of a variable, the lengths tell, if no two scales in reach are of one length.

use std::collections::HashMap;

use hdf5_pure::AttrValue;

/// A scale: what stands for a dimension.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// The group that it is in, with a slash after it where it is not the root.
    pub(super) group: String,
    pub(super) name: String,
    pub(super) len: u64,
    /// Its number, where the netCDF library wrote the file.
    pub(super) number: Option<i64>,
}

impl Scale {
    /// The scale that a dataset with these attributes is.
    pub(super) fn of(group: &str, name: &str, shape: &[u64], attributes: &HashMap<String, AttrValue>) -> Option<Self> {
        let number = attributes.get("_Netcdf4Dimid").and_then(integers).and_then(|numbers| numbers.first().copied());
        let len = *shape.first()?;
        Some(Self { group: group.to_owned(), name: name.to_owned(), len, number })
    }
}

/// The names of the dimensions of the variable at `path`, where all of them are sure.
pub(super) fn dimensions(
    path: &str,
    shape: &[u64],
    attributes: &HashMap<String, AttrValue>,
    is_attached: bool,
    scales: &[Scale],
) -> Option<Vec<String>> {
    if let Some(numbers) = attributes.get("_Netcdf4Coordinates").and_then(integers) {
        let named =
            |number: &i64| scales.iter().find(|scale| scale.number == Some(*number)).map(|scale| scale.name.clone());
        return numbers.iter().map(named).collect::<Option<Vec<_>>>().filter(|names| names.len() == shape.len());
    }
    let (group, name) = path.rfind('/').map_or(("", path), |slash| path.split_at(slash + 1));
    if let ([len], true) = (shape, scales.iter().any(|scale| scale.group == group && scale.name == name)) {
        return scales.iter().any(|scale| scale.len == *len).then(|| vec![name.to_owned()]);
    }
    if !is_attached {
        return None;
    }
    let named = |len: &u64| {
        let mut found = scales.iter().filter(|scale| scale.len == *len && group.starts_with(&scale.group));
        found.next().filter(|_| found.next().is_none()).map(|scale| scale.name.clone())
    };
    shape.iter().map(named).collect()
}

fn integers(value: &AttrValue) -> Option<Vec<i64>> {
    match value {
        AttrValue::I32(number) => Some(vec![(*number).into()]),
        AttrValue::I64(number) => Some(vec![*number]),
        AttrValue::I32Array(numbers) => Some(numbers.iter().map(|number| (*number).into()).collect()),
        AttrValue::I64Array(numbers) => Some(numbers.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(group: &str, name: &str, len: u64, number: Option<i64>) -> Scale {
        Scale { group: group.to_owned(), name: name.to_owned(), len, number }
    }

    #[test]
    fn numbers_tell_and_else_lengths_where_no_two_are_the_same() {
        let scales = [
            scale("", "time", 9, Some(0)),
            scale("", "lat", 4, Some(1)),
            scale("", "lon", 4, Some(2)),
            scale("g/", "level", 5, Some(3)),
        ];
        let of = |path: &str, shape: &[u64], numbers: Option<Vec<i32>>, is_attached| {
            let numbers = numbers.map(|numbers| ("_Netcdf4Coordinates".to_owned(), AttrValue::I32Array(numbers)));
            dimensions(path, shape, &numbers.into_iter().collect(), is_attached, &scales).map(|names| names.join(" "))
        };
        let named = |names: &str| Some(names.to_owned());
        assert_eq!(of("t", &[9, 4, 4], Some(vec![0, 2, 1]), true), named("time lon lat"));
        assert_eq!(of("t", &[9, 4], Some(vec![0]), true), None);
        assert_eq!(of("t", &[9, 4, 4], None, true), None);
        assert_eq!(of("g/t", &[9, 5], None, true), named("time level"));
        assert_eq!(of("t", &[9, 5], None, true), None);
        assert_eq!(of("g/t", &[9, 5], None, false), None);
        assert_eq!(of("lat", &[4], None, false), named("lat"));
    }
}
