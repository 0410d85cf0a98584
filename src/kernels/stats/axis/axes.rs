//! Along which axes of an array, and what that makes of it.

use crate::input::Shape;
use crate::job::JobError;
use crate::kernels::fields::shorten;

/// An axis of an array, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Its number, from 0; from -1 downwards they are counted from the last.
    Number(i64),
    /// The name of its dimension.
    Name(String),
}

/// A whole number, or else a name.
impl std::str::FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err(
                "an axis without a name: use its number, as in 0 or -1, or the name of its dimension".to_owned()
            );
        }
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Number))
    }
}

impl std::fmt::Display for Axis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => write!(f, "`{}`", shorten(name)),
        }
    }
}

/// The numbers of these axes of an array, ascending.
///
/// # Errors
/// Where there is no such axis, or one is named twice.
pub(super) fn resolve(name: &str, axes: &[Axis], shape: &Shape) -> Result<Vec<usize>, JobError> {
    let count = shape.axes.len();
    let mut found: Vec<usize> = Vec::with_capacity(axes.len());
    for axis in axes {
        let number = match axis {
            Axis::Number(number) if *number < 0 => usize::try_from(number + count as i64).ok(),
            Axis::Number(number) => usize::try_from(*number).ok(),
            Axis::Name(name) => shape.dimensions.iter().flatten().position(|dimension| dimension == name),
        };
        let Some(number) = number.filter(|number| *number < count) else {
            return Err(JobError::bad_input(format!("{name}: has no axis {axis}: {}", there_is(shape))));
        };
        if found.contains(&number) {
            return Err(JobError::bad_input(format!("{name}: axis {number} is named twice: name it once")));
        }
        found.push(number);
    }
    found.sort_unstable();
    Ok(found)
}

/// Which axes there are.
fn there_is(shape: &Shape) -> String {
    let count = shape.axes.len();
    if count == 0 {
        return "it is a single number".to_owned();
    }
    let lengths: Vec<String> = match &shape.dimensions {
        Some(names) => names.iter().zip(&shape.axes).map(|(name, len)| format!("{name} {len}")).collect(),
        None => shape.axes.iter().map(u64::to_string).collect(),
    };
    let names = if shape.dimensions.is_some() { ", or the name of a dimension" } else { "" };
    let plural = if count == 1 { "axis" } else { "axes" };
    format!("it has {count} {plural} ({}): use 0 to {}, -1 to -{count}{names}", lengths.join(", "), count - 1)
}

/// Axes that lie next to each other in the order of storage and are both gone through or both kept, as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) len: u64,
    /// Whether the statistics go along it.
    pub(super) reduced: bool,
    /// Elements from one step to the next.
    pub(super) stride: u64,
    /// Cells from one step to the next; 0 where it is reduced.
    pub(super) cell_stride: u64,
}

/// The spans of an array, the slowest first. Axes of length 1 are in none.
pub(super) fn spans(shape: &Shape, reduced: &[usize]) -> Vec<Span> {
    let mut axes: Vec<(u64, bool)> =
        shape.axes.iter().enumerate().map(|(number, len)| (*len, reduced.contains(&number))).collect();
    if shape.fortran_order {
        axes.reverse();
    }
    let mut spans: Vec<Span> = Vec::new();
    for (len, reduced) in axes.into_iter().filter(|(len, _)| *len != 1) {
        match spans.last_mut() {
            Some(last) if last.reduced == reduced => last.len *= len,
            _ => spans.push(Span { len, reduced, stride: 0, cell_stride: 0 }),
        }
    }
    let (mut stride, mut cell_stride) = (1, 1);
    for span in spans.iter_mut().rev() {
        span.stride = stride;
        stride *= span.len;
        if !span.reduced {
            span.cell_stride = cell_stride;
            cell_stride *= span.len;
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(axes: &[u64], names: Option<&[&str]>) -> Shape {
        let dimensions = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        Shape { axes: axes.to_vec(), fortran_order: false, dimensions }
    }

    fn resolved(axes: &str, shape: &Shape) -> Result<Vec<usize>, String> {
        let axes: Vec<Axis> = axes.split(',').map(|axis| axis.parse().unwrap()).collect();
        resolve("t.nc", &axes, shape).map_err(|error| error.message)
    }

    #[test]
    fn axes_are_numbers_from_either_end_or_names() {
        let named = shape(&[3, 4, 5], Some(&["time", "lat", "lon"]));
        assert_eq!(resolved("2,0", &named), Ok(vec![0, 2]));
        assert_eq!(resolved("-1", &named), Ok(vec![2]));
        assert_eq!(resolved("lat,-3", &named), Ok(vec![0, 1]));
        assert!("".parse::<Axis>().is_err());
    }

    #[test]
    fn an_axis_that_is_not_there_is_told_with_those_that_are() {
        let named = shape(&[3, 4], Some(&["time", "lat"]));
        let plain = shape(&[7], None);
        for (axes, shape, says) in [
            ("2", &named, "has no axis 2: it has 2 axes (time 3, lat 4): use 0 to 1, -1 to -2, or the name"),
            ("-3", &named, "has no axis -3"),
            ("lon", &named, "has no axis `lon`"),
            ("0,time", &named, "axis 0 is named twice"),
            ("x", &plain, "has no axis `x`: it has 1 axis (7): use 0 to 0, -1 to -1"),
            ("9223372036854775807", &plain, "has no axis"),
            ("-9223372036854775808", &plain, "has no axis"),
            ("0", &shape(&[], None), "it is a single number"),
        ] {
            let error = resolved(axes, shape).unwrap_err();
            assert!(error.starts_with("t.nc: ") && error.contains(says), "{axes}: {error}");
        }
    }

    #[test]
    fn axes_that_go_together_are_one_span() {
        let span = |len, reduced, stride, cell_stride| Span { len, reduced, stride, cell_stride };
        let c = shape(&[2, 3, 1, 5], None);
        assert_eq!(spans(&c, &[0]), [span(2, true, 15, 0), span(15, false, 1, 1)]);
        assert_eq!(spans(&c, &[0, 1]), [span(6, true, 5, 0), span(5, false, 1, 1)]);
        assert_eq!(spans(&c, &[1]), [span(2, false, 15, 5), span(3, true, 5, 0), span(5, false, 1, 1)]);
        assert_eq!(spans(&c, &[0, 3]), [span(2, true, 15, 0), span(3, false, 5, 1), span(5, true, 1, 0)]);
        let fortran = Shape { fortran_order: true, ..shape(&[2, 3], None) };
        assert_eq!(spans(&fortran, &[0]), [span(3, false, 2, 1), span(2, true, 1, 0)]);
        assert_eq!(spans(&shape(&[1, 1], None), &[0]), []);
    }
}
