//! A line of which some parts are replaced, and the way back from its places to those of the line as it was written.

use std::ops::Range;

/// What stands in place of a part of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Replaced {
    /// The part, in the line as it was written.
    was: (usize, usize),
    /// Where it now begins, and where it ends.
    is: (usize, usize),
}

/// A line with parts replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Patched {
    pub text: String,
    pub origins: Origins,
}

/// Where the bytes of a line with replaced parts come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origins(Vec<Replaced>);

impl Patched {
    /// `line` with these parts, ascending and apart, replaced by these texts.
    pub fn new<'a>(line: &str, parts: impl Iterator<Item = (Range<usize>, &'a str)>) -> Self {
        let mut patched = Self { text: String::with_capacity(line.len()), origins: Origins::default() };
        let mut at = 0;
        for (part, with) in parts {
            patched.text.push_str(&line[at..part.start]);
            let start = patched.text.len();
            patched.text.push_str(with);
            let is = (start, patched.text.len());
            patched.origins.0.push(Replaced { was: (part.start, part.end), is });
            at = part.end;
        }
        patched.text.push_str(&line[at..]);
        patched
    }
}

impl Origins {
    /// The byte of the line as it was written that the byte at `at` comes from; the first of a part that was replaced.
    pub fn original(&self, at: usize) -> usize {
        match self.last_before(at) {
            None => at,
            Some((_, part)) if at < part.is.1 => part.was.0,
            Some((_, part)) => part.was.1 + (at - part.is.1),
        }
    }

    /// Which of the replaced parts the byte at `at` belongs to.
    pub fn part(&self, at: usize) -> Option<usize> {
        self.last_before(at).filter(|(_, part)| at < part.is.1).map(|(number, _)| number)
    }

    fn last_before(&self, at: usize) -> Option<(usize, &Replaced)> {
        let number = self.0.partition_point(|part| part.is.0 <= at).checked_sub(1)?;
        Some((number, &self.0[number]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lead_back_to_the_line_as_it_was_written() {
        let line = "ab{x}cd{y}e";
        let patched = Patched::new(line, [(2..5, "12345"), (7..10, "")].into_iter());
        assert_eq!(patched.text, "ab12345cde");
        let back: Vec<usize> = (0..11).map(|at| patched.origins.original(at)).collect();
        assert_eq!(back, [0, 1, 2, 2, 2, 2, 2, 5, 6, 10, 11]);
        assert_eq!((patched.origins.part(1), patched.origins.part(6), patched.origins.part(7)), (None, Some(0), None));
    }
}
