//! The way to a value in the outcome of a job: `factors.0.prime`. What is passed by is skipped as it is read, and the value is
//! taken as it is written there, so that no number loses a digit.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::job::shorten;

/// So many names of what is there are told where something is not.
const NAMES_MAX: usize = 12;

/// Why there is no value.
#[derive(Debug)]
pub(super) enum NoValue {
    /// It is not there; what is.
    NotThere(String),
    /// The outcome could not be read.
    Unreadable(io::Error),
}

/// The JSON of the value that `path` leads to in the `result` of an outcome.
pub(super) fn value_at(outcome: impl Read, path: &[String]) -> Result<String, NoValue> {
    let mut whole = vec!["result".to_owned()];
    whole.extend_from_slice(path);
    let wrong = RefCell::default();
    let way = Way { path: &whole, done: 0, wrong: &wrong };
    let found = way.deserialize(&mut serde_json::Deserializer::from_reader(outcome));
    match (found, wrong.into_inner()) {
        (Ok(Some(value)), _) => Ok(value),
        (_, Some(wrong)) => Err(NoValue::NotThere(wrong)),
        (Ok(None), None) => Err(NoValue::NotThere("there is no such value".to_owned())),
        (Err(error), None) => Err(NoValue::Unreadable(error.into())),
    }
}

/// What is left of a path, from a value on.
#[derive(Clone, Copy)]
struct Way<'a> {
    path: &'a [String],
    done: usize,
    /// What is wrong with the path, if something is.
    wrong: &'a RefCell<Option<String>>,
}

impl Way<'_> {
    fn step(&self) -> &str {
        &self.path[self.done]
    }

    fn next(self) -> Self {
        Self { done: self.done + 1, ..self }
    }

    /// Says what is wrong with the value that the way has led to so far.
    fn fails(&self, what: &str) -> Option<String> {
        let so_far = match self.done {
            0 | 1 => "the result".to_owned(),
            done => format!("`{}`", shorten(&self.path[1..done].join("."))),
        };
        self.wrong.borrow_mut().get_or_insert_with(|| format!("{so_far} {what}"));
        None
    }

    fn has_nothing_within(&self, what: &str) -> Option<String> {
        self.fails(&format!("is {}, in which there is no `{}`", shorten(what), shorten(self.step())))
    }

    /// Goes on within a text.
    fn in_text(self, text: &str) -> Option<String> {
        if self.done == self.path.len() {
            return serde_json::to_string(text).ok();
        }
        match self.step() {
            "trim" => self.next().in_text(text.trim()),
            "json" => {
                let mut json = serde_json::Deserializer::from_str(text);
                let found = self.next().deserialize(&mut json).and_then(|found| json.end().map(|()| found));
                match found {
                    // Line ends can only stand between its parts; within a line they would confuse columns.
                    Ok(found) => found.map(|found| found.replace(['\n', '\r'], " ")),
                    Err(error) => self.fails(&format!("is no JSON: {error}")),
                }
            }
            "lines" => {
                let lines: Vec<&str> = text.lines().collect();
                let at = self.next();
                if at.done == at.path.len() {
                    return serde_json::to_string(&lines).ok();
                }
                match at.step().parse().ok().and_then(|number: usize| lines.get(number)) {
                    Some(line) => at.next().in_text(line),
                    None => at.fails(&format!("are {}, and none is `{}`", lines.len(), shorten(at.step()))),
                }
            }
            other => self.fails(&format!(
                "is text, in which there is no `{}`: `json` takes it as JSON, `lines` as lines, `trim` leaves out what is \
                 blank around it",
                shorten(other)
            )),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Way<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.done < self.path.len() {
            return deserializer.deserialize_any(self);
        }
        let value = <Box<RawValue> as serde::Deserialize>::deserialize(deserializer)?;
        Ok(Some(String::from(Box::<str>::from(value))))
    }
}

impl<'de> Visitor<'de> for Way<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut is_there) = (None, false);
        let (mut names, mut more) = (Vec::new(), "");
        let rest_in = match self.step() {
            step @ ("stdout" | "stderr") => format!("{step}_file"),
            _ => String::new(),
        };
        while let Some(name) = map.next_key::<String>()? {
            if name == self.step() && !is_there {
                is_there = true;
                found = map.next_value_seed(self.next())?;
                continue;
            }
            map.next_value::<IgnoredAny>()?;
            if name == rest_in {
                *self.wrong.borrow_mut() = None;
                let step = self.step();
                found = self.fails(&format!(
                    "holds only the end of a long `{step}`: give the job `{rest_in}`, where all of it lies, and let it read that"
                ));
            } else if names.len() < NAMES_MAX {
                names.push(format!("`{}`", shorten(&name)));
            } else {
                more = ", …";
            }
        }
        if is_there {
            return Ok(found);
        }
        let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        Ok(self.fails(&format!("has no `{}`: it has {there}{more}", shorten(self.step()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let wanted: Option<usize> = self.step().parse().ok();
        let (mut found, mut len) = (None, 0);
        loop {
            if Some(len) == wanted {
                match list.next_element_seed(self.next())? {
                    Some(value) => found = value,
                    None => break,
                }
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
            len += 1;
        }
        if wanted.is_some_and(|wanted| wanted < len) {
            return Ok(found);
        }
        let step = shorten(self.step());
        Ok(self.fails(&match len {
            0 => format!("is an empty list, in which there is no `{step}`"),
            1 => format!("is a list of 1, in which there is no `{step}`: it has `0`"),
            _ => format!("is a list of {len}, in which there is no `{step}`: it has `0` to `{}`", len - 1),
        }))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.in_text(text))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.has_nothing_within(&value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.has_nothing_within(&value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.has_nothing_within(&value.to_string()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(self.has_nothing_within("a number"))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(self.has_nothing_within("null"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> Result<String, String> {
        let outcome = concat!(
            r#"{"schema":1,"id":"a","result":{"n":340282366920938463463374607431768211457,"list":[1.50,{"x y":[]}],"#,
            r#""stdout":"{\"loss\": 0.10,\n \"all\":[1]}\n","two":"a\n{\"b\":1}\r\n","end":null,"stderr":"…","stderr_file":"f"}}"#,
            "\n{\"schema\":1}\n"
        );
        let path: Vec<String> = path.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect();
        value_at(outcome.as_bytes(), &path).map_err(|error| match error {
            NoValue::NotThere(message) => message,
            NoValue::Unreadable(error) => panic!("{error}"),
        })
    }

    #[test]
    fn a_value_is_taken_as_it_is_written() {
        for (path, value) in [
            ("n", "340282366920938463463374607431768211457"),
            ("list", r#"[1.50,{"x y":[]}]"#),
            ("list.0", "1.50"),
            ("list.1.x y", "[]"),
            ("end", "null"),
            ("stdout.json.loss", "0.10"),
            ("stdout.json", r#"{"loss": 0.10,  "all":[1]}"#),
            ("two.trim", r#""a\n{\"b\":1}""#),
            ("two.lines", r#"["a","{\"b\":1}"]"#),
            ("two.lines.0", r#""a""#),
            ("two.lines.1.json.b", "1"),
        ] {
            assert_eq!(at(path).as_deref(), Ok(value), "{path}");
        }
        assert!(at("").unwrap().starts_with(r#"{"n":3402"#));
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        for (path, message) in [
            ("m", "the result has no `m`: it has `n`, `list`, `stdout`, `two`, `end`, `stderr`, `stderr_file`"),
            ("n.x", "`n` is a number, in which there is no `x`"),
            ("end.x", "`end` is null, in which there is no `x`"),
            ("list.2", "`list` is a list of 2, in which there is no `2`: it has `0` to `1`"),
            ("list.1.x y.0", "`list.1.x y` is an empty list, in which there is no `0`"),
            ("list.1.z", "`list.1` has no `z`: it has `x y`"),
            ("two.json", "`two` is no JSON: expected value at line 1 column 1"),
            ("two.x", "`two` is text, in which there is no `x`: `json` takes it as JSON"),
            ("two.lines.2", "`two.lines` are 2, and none is `2`"),
            ("stdout.json.x", "`stdout.json` has no `x`: it has `loss`, `all`"),
            ("stderr", "the result holds only the end of a long `stderr`: give the job `stderr_file`"),
        ] {
            let found = at(path).unwrap_err();
            assert!(found.starts_with(message), "{path}: {found}");
        }
    }

    #[test]
    fn an_outcome_that_ends_early_is_unreadable() {
        let error = value_at(&br#"{"result":{"a":1"#[..], &["a".to_owned()]).unwrap_err();
        assert!(matches!(error, NoValue::Unreadable(_)), "{error:?}");
    }
}
