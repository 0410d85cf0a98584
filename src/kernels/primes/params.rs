//! What a job of primes asks for, and how a line of a job file says it.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::input::{Location, open_numbers_on};
use crate::job::{BindContext, Bound, JobError, JobParams, KindParams, Reach, json_integer, parse_integer};
use crate::kernels::DynKernel;
use crate::kernels::primes::list::Checked;
use crate::kernels::primes::{
    CombinatorialKernel, NumberRange, Numbers, NumbersKernel, NumbersMode, RangeKernel, RangeMode,
};

/// A job of primes, before its input is opened.
#[derive(Clone, Debug)]
pub enum PrimesParams {
    /// Over numbers that are here.
    Numbers(Numbers, NumbersMode),
    /// Over the numbers of a file or of standard input.
    File(Location, NumbersMode),
    /// Over a range.
    Range(NumberRange, RangeMode, RangeMethod),
}

/// How the primes of a range are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RangeMethod {
    /// By whichever is predicted to end first.
    #[default]
    Auto,
    /// By finding them: [`RangeKernel`].
    Sieve,
    /// Without: [`CombinatorialKernel`].
    Combinatorial,
}

impl RangeMethod {
    /// All of them, as they are written.
    pub(super) const NAMES: [(&'static str, Self); 3] =
        [("auto", Self::Auto), ("sieve", Self::Sieve), ("combinatorial", Self::Combinatorial)];

    /// Checks that it can do what is asked for.
    ///
    /// # Errors
    /// Where primes are to be listed without finding them.
    pub(super) fn check(self, mode: RangeMode) -> Result<(), String> {
        if self == Self::Combinatorial && mode == RangeMode::List {
            return Err(
                "the combinatorial method counts primes without finding them, and they are to be listed: leave \
                        the method or `list` out"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

impl KindParams for PrimesParams {
    const KIND: &'static str = super::KIND.name;
}

impl JobParams for PrimesParams {
    fn in_memory(&self) -> bool {
        !matches!(self, Self::File(..))
    }

    fn input_files(&self) -> Vec<&Path> {
        match self {
            Self::File(location, _) => location.path().into_iter().collect(),
            Self::Numbers(..) | Self::Range(..) => Vec::new(),
        }
    }

    fn reach(&self) -> Reach<'_> {
        let reads_stdin = matches!(self, Self::File(Location::Stdin, _));
        Reach::reading(self.input_files()).from_standard_input(reads_stdin)
    }

    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        let kernel: Arc<dyn DynKernel> = match self {
            Self::Numbers(numbers, mode) => Arc::new(NumbersKernel::new(numbers.clone(), *mode)?),
            Self::File(location, mode) => {
                let list = open_numbers_on(location, None, &context.base_dir, context.threads())?;
                Arc::new(NumbersKernel::new(list, *mode)?)
            }
            Self::Range(range, _, RangeMethod::Combinatorial) => Arc::new(CombinatorialKernel::new(*range)),
            Self::Range(range, mode, RangeMethod::Sieve) => Arc::new(RangeKernel::new(*range, *mode)),
            Self::Range(range, mode, RangeMethod::Auto) => Arc::new(RangeKernel::new(*range, *mode).or_combinatorial()),
        };
        Ok(Bound::Kernel(kernel))
    }
}

/// A line of a job file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    #[serde(rename = "device")]
    _device: Option<IgnoredAny>,
    numbers: Option<NumbersField>,
    range: Option<RangeField>,
    #[serde(borrow)]
    file: Option<Cow<'a, str>>,
    #[serde(default)]
    list: bool,
    #[serde(default)]
    count: bool,
    method: Option<Cow<'a, str>>,
}

/// Parses a line of a job file.
///
/// # Errors
/// Where it is malformed, or asks for nothing or for two things at once.
pub(super) fn parse(text: &str) -> Result<PrimesParams, serde_json::Error> {
    let line: Line<'_> = serde_json::from_str(text)?;
    let (numbers_mode, range_mode) = match (line.list, line.count) {
        (true, true) => return Err(Error::custom("both `list` and `count` are set: leave one out")),
        (true, false) => (NumbersMode::List, RangeMode::List),
        (false, true) => (NumbersMode::Count, RangeMode::Count),
        (false, false) => (NumbersMode::Each, RangeMode::Count),
    };
    let method = match &line.method {
        None => RangeMethod::Auto,
        Some(_) if line.range.is_none() => {
            return Err(Error::custom(
                "`method` says how the primes of a range are counted, and there is no `range`: leave it out",
            ));
        }
        Some(name) => {
            let found = RangeMethod::NAMES.into_iter().find(|(known, _)| known == name);
            let unknown = || {
                Error::custom(format!(
                    "`{}` is no method: write auto, sieve or combinatorial",
                    json_integer::excerpt(name)
                ))
            };
            found.ok_or_else(unknown)?.1
        }
    };
    method.check(range_mode).map_err(Error::custom)?;
    match (line.numbers, line.range, line.file) {
        (Some(NumbersField(numbers)), None, None) => Ok(PrimesParams::Numbers(numbers, numbers_mode)),
        (None, Some(RangeField(range)), None) => Ok(PrimesParams::Range(range, range_mode, method)),
        (None, None, Some(file)) => Ok(PrimesParams::File(Location::Path((*file).into()), numbers_mode)),
        (None, None, None) => {
            Err(Error::custom("nothing to test: give `numbers` ([97, \"1e10\"]), `range` ([0, \"1e10\"]) or `file`"))
        }
        _ => Err(Error::custom("more than one of `numbers`, `range` and `file`: a job has one of them")),
    }
}

/// The integer that a JSON value stands for, by its text.
fn integer(value: &RawValue) -> Result<i128, String> {
    let text = json_integer::text(value)?;
    parse_integer(text.as_bytes()).map_err(|error| format!("`{}` {error}", json_integer::excerpt(&text)))
}

struct NumbersField(Numbers);

impl<'de> Deserialize<'de> for NumbersField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = NumbersField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of integers for `numbers`, as in [97, \"18446744073709551557\"]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<NumbersField, A::Error> {
                let mut list = Checked::default();
                while let Some(element) = elements.next_element::<&RawValue>()? {
                    let value = integer(element)
                        .map_err(|error| A::Error::custom(format!("numbers[{}]: {error}", list.len())))?;
                    list.push(value).map_err(A::Error::custom)?;
                }
                Ok(NumbersField(list.finish()))
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

struct RangeField(NumberRange);

impl<'de> Deserialize<'de> for RangeField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ends;
        impl<'de> Visitor<'de> for Ends {
            type Value = RangeField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[A, B] (end excluded) or a string, \"A..B\" or \"A..=B\", for `range`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RangeField, E> {
                NumberRange::parse(text).map(RangeField).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<RangeField, A::Error> {
                let mut ends = [0; 2];
                for (index, end) in ends.iter_mut().enumerate() {
                    let Some(element) = elements.next_element::<&RawValue>()? else {
                        return Err(A::Error::invalid_length(index, &self));
                    };
                    *end = integer(element).map_err(|error| A::Error::custom(format!("range[{index}]: {error}")))?;
                }
                if elements.next_element::<IgnoredAny>()?.is_some() {
                    return Err(A::Error::invalid_length(3, &self));
                }
                let [start, end] = ends;
                NumberRange::new(start, end).map(RangeField).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_any(Ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> PrimesParams {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[track_caller]
    fn refused(text: &str, part: &str) {
        let message = parse(text).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(part), "{text}: {message}");
    }

    fn values(numbers: &Numbers) -> Vec<i128> {
        let len = numbers.source().len();
        let mut scratch = crate::input::Scratch::default();
        let read = numbers.source().read(0..len, &mut scratch).unwrap();
        let exceptions = numbers.exceptions(0..len).unwrap();
        let mut values = Vec::new();
        let Ok(()) = super::super::list::try_for_each(&read, |_, value| {
            values.push(value);
            Ok::<_, std::convert::Infallible>(())
        });
        exceptions.iter().for_each(|&(index, value)| values[index as usize] = value);
        values
    }

    #[test]
    fn numbers_are_read_by_their_text_and_never_rounded() {
        let line = r#"{"id":"a","kind":"primes","device":"cpu","numbers":[97, "18446744073709551557", -5, "10_000", "1e10",
            1e10, 2.5e1, 18446744073709551615, 9007199254740993, "-99999999999999999999999"]}"#;
        let PrimesParams::Numbers(numbers, NumbersMode::Each) = parsed(line) else { panic!("numbers") };
        let expect = [
            97,
            18_446_744_073_709_551_557,
            -5,
            10_000,
            10_000_000_000,
            10_000_000_000,
            25,
            18_446_744_073_709_551_615,
            9_007_199_254_740_993,
            -99_999_999_999_999_999_999_999,
        ];
        assert_eq!(values(&numbers), expect);
        assert_eq!(numbers.exceptions(3..9).unwrap().len(), 0);
        assert_eq!(numbers.exceptions(2..3).unwrap()[..], [(2, -5)]);
    }

    #[test]
    fn ranges_are_read_from_pairs_and_strings() {
        for (text, start, end) in [
            ("[0,\"1e10\"]", 0, 10_000_000_000),
            ("[0,1e10]", 0, 10_000_000_000),
            ("[5,18446744073709551616]", 5, 1 << 64),
            ("[5,\"18446744073709551616\"]", 5, 1 << 64),
            ("\"5..7\"", 5, 7),
            ("\"5..=7\"", 5, 8),
            ("\"5..\\u003d7\"", 5, 8),
        ] {
            let PrimesParams::Range(range, RangeMode::Count, RangeMethod::Auto) =
                parsed(&format!("{{\"range\":{text}}}"))
            else {
                panic!("{text}")
            };
            assert_eq!((range.start(), range.end()), (start, end), "{text}");
        }
    }

    #[test]
    fn list_and_count_choose_the_mode() {
        use {NumbersMode as N, RangeMode as R};
        assert!(matches!(parsed(r#"{"numbers":[],"list":true}"#), PrimesParams::Numbers(_, N::List)));
        assert!(matches!(parsed(r#"{"numbers":[],"count":true}"#), PrimesParams::Numbers(_, N::Count)));
        assert!(matches!(parsed(r#"{"numbers":[],"list":false}"#), PrimesParams::Numbers(_, N::Each)));
        assert!(matches!(parsed(r#"{"range":[1,2],"list":true}"#), PrimesParams::Range(_, R::List, _)));
        assert!(matches!(parsed(r#"{"range":[1,2],"count":true}"#), PrimesParams::Range(_, R::Count, _)));
        assert!(matches!(parsed(r#"{"file":"n.txt","list":true}"#), PrimesParams::File(_, N::List)));
        refused(r#"{"range":[1,2],"list":true,"count":true}"#, "both `list` and `count`");
    }

    #[test]
    fn a_method_is_of_a_range_that_is_counted() {
        for (name, method) in RangeMethod::NAMES {
            let text = format!("{{\"range\":[1,2],\"method\":\"{name}\"}}");
            assert!(matches!(parsed(&text), PrimesParams::Range(_, _, found) if found == method), "{text}");
        }
        refused(r#"{"range":[1,2],"method":"sifting"}"#, "`sifting` is no method: write auto, sieve or combinatorial");
        refused(r#"{"range":[1,2],"list":true,"method":"combinatorial"}"#, "counts primes without finding them");
        refused(r#"{"numbers":[1,2],"method":"sieve"}"#, "there is no `range`");
        assert!(matches!(parsed(r#"{"range":[1,2],"list":true,"method":"sieve"}"#), PrimesParams::Range(..)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        refused(
            r#"{"numbers":[1,18446744073709551616]}"#,
            "numbers[1]: 18446744073709551616 is above 18446744073709551615",
        );
        refused(r#"{"numbers":[1,1e39]}"#, "numbers[1]: `1e39` is above 18446744073709551615 (2^64 - 1)");
        refused(r#"{"numbers":[1,"x"]}"#, "numbers[1]: `x` is not an integer");
        refused(r#"{"numbers":[1,2.5]}"#, "numbers[1]: `2.5` is not a whole number");
        refused(r#"{"numbers":[1,null]}"#, "numbers[1]: `null` is not an integer");
        refused(r#"{"numbers":[1,[2]]}"#, "numbers[1]: `[2]` is not an integer");
        refused(r#"{"numbers":7}"#, "an array of integers for `numbers`");
        refused(r#"{"numbers":[1],"range":[1,2]}"#, "more than one of");
        refused(r#"{"kind":"primes"}"#, "nothing to test");
        refused(r#"{"numbers":[1],"numbers":[1]}"#, "duplicate field `numbers`");
        refused(r#"{"numbers":[1],"lists":true}"#, "unknown field `lists`");
        refused(r#"{"numbers":[1],"list":1}"#, "expected a boolean");
        refused(r#"{"range":[1]}"#, "[A, B] (end excluded)");
        refused(r#"{"range":[1,2,3]}"#, "[A, B] (end excluded)");
        refused(r#"{"range":7}"#, "[A, B] (end excluded)");
        refused(r#"{"range":[2,1]}"#, "ends before it starts");
        refused(r#"{"range":[0,18446744073709551617]}"#, "must lie from 0");
        refused(r#"{"range":["a",1]}"#, "range[0]: `a` is not an integer");
        refused(&format!("{{\"numbers\":[\"{}\"]}}", "é".repeat(5000)), "…` is not an integer");
        let position = parse("{\"numbers\":[1,\n2,\"x\"]}").unwrap_err();
        assert_eq!(position.line(), 2, "{position}");
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let params = parsed(r#"{"file":"there is no such file.txt"}"#);
        assert!(!params.in_memory());
        let error = params.bind(&BindContext::default()).expect_err("nothing is there");
        assert!(error.message.contains("there is no such file.txt"), "{error}");
    }
}
