//! What every line of a job file has, whatever its kind: `id`, `kind`, `device`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::job::names::Names;
use crate::job::{DeviceChoice, JobHash, Kind, PRIORITY_MAX, Terms, parse_bytes, parse_duration, shorten};

/// The common fields of a line, as far as they have been read: an error leaves those before it.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub id: Option<Arc<str>>,
    pub kind: Option<&'static Kind>,
    pub device: Option<DeviceChoice>,
    pub terms: Terms,
    /// Whether it gave any terms, so that its kind must not see them.
    pub has_terms: bool,
    /// The hash of the line, where it is wanted; made when all of it has been read.
    pub content: Option<JobHash>,
}

/// The fields of [`Terms`], in the order of the places of [`HeadReader`]'s fields after the first three.
pub(super) const TERMS: [&str; 5] = ["after", "priority", "timeout", "retries", "memory"];

/// What the head of a line is read with.
pub(super) struct HeadReader<'a> {
    pub head: &'a mut Head,
    pub names: &'a mut Names,
    pub kinds: &'a [&'static Kind],
    pub line: u64,
    pub index: u64,
    /// Jobs of earlier lines have places below this one.
    pub line_first: u64,
}

impl HeadReader<'_> {
    /// Reads the head; whatever else the line holds is only checked to be JSON.
    pub fn read(self, text: &str) -> Result<&'static Kind, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        let kind = self.deserialize(&mut json)?;
        json.end()?;
        Ok(kind)
    }

    fn set_id<E: Error>(&mut self, id: &str) -> Result<(), E> {
        if id.is_empty() {
            return Err(E::custom("an empty `id`: leave it out or name the job"));
        }
        self.head.id = Some(id.into());
        let digits = id.strip_prefix('#').filter(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
        if let Some(digits) = digits {
            // Such an id is what a line without one gets, so that it must be this line's own.
            return if digits == self.line.to_string() {
                Ok(())
            } else {
                let line = self.line;
                Err(E::custom(format!(
                    "the id `{id}` is of the form kept for lines without one; here it can only be `#{line}`"
                )))
            };
        }
        self.names.claim(id, self.index).map_err(|first| E::custom(duplicate_id(id, first)))
    }

    fn set_kind<E: Error>(&mut self, name: &str) -> Result<(), E> {
        self.head.kind = self.kinds.iter().copied().find(|kind| kind.name == name);
        if self.head.kind.is_some() {
            return Ok(());
        }
        let near = nearest(name, self.kinds.iter().map(|kind| kind.name))
            .map_or_else(|| ";".to_owned(), |near| format!(", did you mean `{near}`?"));
        Err(E::custom(format!("unknown kind `{name}`{near} known kinds: {}", self.known())))
    }

    /// The places of jobs that this one waits for.
    fn set_after<E: Error>(&mut self, ids: Vec<String>) -> Result<(), E> {
        for id in ids {
            let Some(places) = self.names.find(&id).filter(|places| places.end <= self.line_first) else {
                return Err(E::custom(format!(
                    "`after` names `{}`, but no job on an earlier line has that id",
                    shorten(&id)
                )));
            };
            self.head.terms.after.push(places);
        }
        Ok(())
    }

    fn set_term<'de, A: MapAccess<'de>>(&mut self, place: usize, map: &mut A) -> Result<(), A::Error> {
        self.head.has_terms = true;
        let terms = &mut self.head.terms;
        match TERMS[place] {
            "after" => {
                let ids: OneOrMore = map.next_value()?;
                self.set_after(ids.0)?;
            }
            "priority" => {
                terms.priority = map.next_value()?;
                if terms.priority.abs() > PRIORITY_MAX {
                    return Err(A::Error::custom(format!("`priority` goes from -{PRIORITY_MAX} to {PRIORITY_MAX}")));
                }
            }
            "timeout" => {
                let time =
                    map.next_value_seed(TextOrNumber("a time as in \"30s\" or a number of seconds as `timeout`"))?;
                terms.timeout = Some(parse_duration(&time).map_err(A::Error::custom)?);
            }
            "memory" => {
                let amount =
                    map.next_value_seed(TextOrNumber("an amount as in \"2GiB\" or a number of bytes as `memory`"))?;
                terms.memory_bytes = Some(parse_bytes(&amount).map_err(A::Error::custom)?);
            }
            _ => terms.retries = Some(map.next_value()?),
        }
        Ok(())
    }

    fn known(&self) -> String {
        self.kinds.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
    }
}

impl<'de> DeserializeSeed<'de> for HeadReader<'_> {
    type Value = &'static Kind;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeadReader<'_> {
    type Value = &'static Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a job: an object such as {"kind":"primes","numbers":[97]}"#)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut seen = [false; 3 + TERMS.len()];
        while let Some(field) = map.next_key_seed(TextOf("a field name"))? {
            let place = match &*field {
                "id" => 0,
                "kind" => 1,
                "device" => 2,
                field => match TERMS.iter().position(|term| *term == field) {
                    Some(at) => 3 + at,
                    None => {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                },
            };
            if std::mem::replace(&mut seen[place], true) {
                return Err(A::Error::custom(format!("duplicate field `{field}`")));
            }
            match place {
                0 => self.set_id(&map.next_value_seed(TextOf("a string as `id`"))?)?,
                1 => self.set_kind(&map.next_value_seed(TextOf("the name of a kind as `kind`"))?)?,
                2 => {
                    let device = map.next_value_seed(TextOf("auto, cpu, gpu, gpu:N or split as `device`"))?;
                    self.head.device = Some(device.parse().map_err(A::Error::custom)?);
                }
                _ => self.set_term(place - 3, &mut map)?,
            }
        }
        self.head.kind.ok_or_else(|| A::Error::custom(format!("missing field `kind`: one of {}", self.known())))
    }
}

/// An id, or a list of them.
struct OneOrMore(Vec<String>);

impl<'de> serde::Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ids;
        impl<'de> Visitor<'de> for Ids {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or a list of ids as `after`")
            }

            fn visit_str<E>(self, id: &str) -> Result<OneOrMore, E> {
                Ok(OneOrMore(vec![id.to_owned()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore, A::Error> {
                let mut ids = Vec::new();
                while let Some(id) = list.next_element_seed(TextOf("an id in `after`"))? {
                    ids.push(id.into_owned());
                }
                Ok(OneOrMore(ids))
            }
        }
        deserializer.deserialize_any(Ids)
    }
}

/// Reads a text, or a number as its text; says what it should be where it is neither.
struct TextOrNumber(&'static str);

impl<'de> DeserializeSeed<'de> for TextOrNumber {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for TextOrNumber {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

/// Reads a string, borrowed where it has no escapes; says what it should be where it is none.
struct TextOf(&'static str);

impl<'de> DeserializeSeed<'de> for TextOf {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for TextOf {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// What is wrong with an id that a line before has.
pub(super) fn duplicate_id(id: &str, line: u64) -> String {
    format!("duplicate id `{id}`: line {line} has it already, and ids must differ")
}

/// The known name that `typed` was most likely meant to be, if any is near.
pub(super) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if typed.len() > 64 {
        return None;
    }
    known
        .map(|name| (edits(&typed.to_lowercase(), name), name))
        .filter(|&(edits, name)| edits <= name.len().div_ceil(3))
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, name)| name)
}

/// The number of characters to insert, delete or replace to get from one to the other (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_count_what_has_to_change() {
        assert_eq!(edits("primes", "primes"), 0);
        assert_eq!(edits("prime", "primes"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let known = || ["primes", "stats"].into_iter();
        assert_eq!(nearest("prime", known()), Some("primes"));
        assert_eq!(nearest("Stat", known()), Some("stats"));
        assert_eq!(nearest("matmul", known()), None);
    }
}
