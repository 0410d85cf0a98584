//! Which sizes are measured.

use crate::job::parse_integer;

/// Sizes grow by this factor.
const STEP: u64 = 8;
const SMALLEST_UNITS: u64 = 1 << 9;

/// Which sizes of kernels are measured, in units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sizes {
    /// By powers, from a small one until one takes seconds.
    #[default]
    Growing,
    /// These.
    Given(Vec<u64>),
}

impl Sizes {
    /// Sizes as a user writes them: `1000,1e6` are these, `1e3..1e6` grow by eights from the first and end with the last.
    ///
    /// # Errors
    /// What is wrong, and how to write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let size = |text: &str| {
            let number = parse_integer(text.trim().as_bytes()).ok().and_then(|number| u64::try_from(number).ok());
            number
                .filter(|number| *number > 0)
                .ok_or_else(|| format!("`{text}` is no size: write whole numbers above 0, as in 1000,1e6 or 1e3..1e8"))
        };
        let mut sizes = match text.split_once("..") {
            None => text.split(',').map(size).collect::<Result<Vec<u64>, String>>()?,
            Some((from, to)) => {
                let (from, to) = (size(from)?, size(to)?);
                if from > to {
                    return Err(format!("{from}..{to} is empty: write the smaller size first"));
                }
                let grown = std::iter::successors(Some(from), |units| units.checked_mul(STEP));
                grown.take_while(|units| *units < to).chain([to]).collect()
            }
        };
        sizes.sort_unstable();
        sizes.dedup();
        Ok(Self::Given(sizes))
    }

    /// Whether this could be one of them.
    pub(super) fn may_hold(&self, units: u64) -> bool {
        match self {
            Self::Growing => true,
            Self::Given(sizes) => sizes.contains(&units),
        }
    }

    /// The first one.
    pub(super) fn first(&self) -> Option<u64> {
        match self {
            Self::Growing => Some(SMALLEST_UNITS),
            Self::Given(sizes) => sizes.first().copied(),
        }
    }

    /// Among how many sizes the time that is left is shared, of which `units` is the first.
    pub(super) fn left_from(&self, units: u64) -> u32 {
        match self {
            Self::Growing => 3,
            Self::Given(sizes) => sizes.iter().filter(|size| **size >= units).count().max(1) as u32,
        }
    }

    /// The one after `units`.
    pub(super) fn after(&self, units: u64) -> Option<u64> {
        match self {
            Self::Growing => units.checked_mul(STEP),
            Self::Given(sizes) => sizes.iter().copied().find(|size| *size > units),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_a_list_or_grow_from_one_to_another() {
        assert_eq!(Sizes::parse("1e6,1000, 1000"), Ok(Sizes::Given(vec![1000, 1_000_000])));
        assert_eq!(Sizes::parse("10..700"), Ok(Sizes::Given(vec![10, 80, 640, 700])));
        assert_eq!(Sizes::parse("5..5"), Ok(Sizes::Given(vec![5])));
        for text in ["", "x", "0", "1..", "-5", "1,,2", "1e99"] {
            assert!(Sizes::parse(text).unwrap_err().contains("is no size"), "{text}");
        }
        assert!(Sizes::parse("9..1").unwrap_err().contains("is empty"));
        let given = Sizes::parse("3,7").unwrap();
        assert_eq!((given.first(), given.after(3), given.after(7)), (Some(3), Some(7), None));
        assert_eq!(Sizes::Growing.after(u64::MAX), None);
    }
}
