//! `matrix`: one line for many jobs, one for each combination of some values.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::job::blank::{members, without_fields};
use crate::job::file::Wrong;
use crate::job::patch::Patched;
use crate::job::placeholders::{Hole, With, holes};
use crate::job::shorten;

/// So many jobs one line makes at most.
const COMBINATIONS_MAX: u64 = 10_000_000;

/// The fields of a line that are read as text in any case, so that a number in place of `"{seed}"` becomes text there.
const TEXT_FIELDS: [&str; 3] = ["after", "kind", "device"];

/// The field's name.
const MATRIX: &str = "matrix";

/// The fields of a matrix, each with its values.
#[derive(Debug)]
pub(super) struct Matrix {
    pub fields: Vec<Field>,
    pub count: u64,
}

/// One of the fields.
#[derive(Debug)]
pub(super) struct Field {
    pub name: String,
    pub values: Vec<Value>,
}

/// A value as it stands in the line, and as it stands in an id.
#[derive(Debug)]
pub(super) struct Value {
    json: String,
    pub label: String,
}

impl Value {
    fn of(json: &str) -> Result<Self, String> {
        let label = match json.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<String>(json).map_err(|error| error.to_string())?,
            Some(b'[' | b'{') | None => {
                return Err(format!("expected a string, a number, true or false, got `{}`", shorten(json)));
            }
            Some(b'n') => return Err("expected a string, a number, true or false, got null".to_owned()),
            Some(_) => json.to_owned(),
        };
        Ok(Self { json: json.to_owned(), label })
    }

    /// What stands for it within a string.
    fn within_string(&self) -> &str {
        self.json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or(&self.json)
    }
}

/// A line with a matrix: what is the same in all its jobs, and what is not.
#[derive(Debug)]
pub(super) struct Template {
    pub matrix: Matrix,
    /// The line without `matrix` and `id`, which are spaces.
    line: String,
    holes: Vec<Hole>,
    /// The id as it was written, in its quotes, where it holds placeholders.
    id: Option<(String, Vec<Hole>)>,
    /// The id as it was written.
    pub name: Option<String>,
    /// Where that stands, from 1.
    pub name_column: usize,
}

impl Template {
    /// The template that a line is; `None` where it has no matrix, or is no JSON that could have one.
    pub fn new(line: &str) -> Option<Result<Self, Wrong>> {
        if !line.trim_ascii_start().starts_with('{') || serde_json::from_str::<serde::de::IgnoredAny>(line).is_err() {
            return None;
        }
        let found = members(line.as_bytes());
        let mut matrices = found.iter().filter(|member| &line[member.name.clone()] == MATRIX);
        let matrix = matrices.next()?;
        if let Some(second) = matrices.next() {
            let message = format!("duplicate field `{MATRIX}`");
            return Some(Err(Wrong { column: second.name.start, message }));
        }
        Some(Self::with(line, &matrix.value(line)))
    }

    fn with(line: &str, matrix: &Range<usize>) -> Result<Self, Wrong> {
        let matrix = Matrix::read(line, matrix)?;
        let names: Vec<&str> = matrix.fields.iter().map(|field| &*field.name).collect();
        let rest = without_fields(line, &[MATRIX, "id"]);
        let mut all = Vec::new();
        // What the jobs do not see is left out altogether: it may be long, and there may be many of them.
        for member in members(line.as_bytes()) {
            if [MATRIX, "id"].contains(&&line[member.name.clone()]) {
                all.push(Hole { range: member.start..member.end, with: With::Brace("") });
            }
        }
        for member in members(rest.as_bytes()) {
            let as_text = TEXT_FIELDS.contains(&&rest[member.name.clone()]);
            holes(&rest, member.value(&rest), &names, as_text, &mut all)?;
        }
        all.sort_unstable_by_key(|hole| hole.range.start);
        let (mut id, mut name, mut name_column) = (None, None, 1);
        let mut ids = members(line.as_bytes()).into_iter().filter(|member| &line[member.name.clone()] == "id");
        if let Some(member) = ids.next() {
            let value = member.value(line);
            name_column = value.start + 1;
            let written = serde_json::from_str::<String>(&line[value.clone()]).map_err(|_| Wrong {
                column: value.start + 1,
                message: format!("expected a string as `id`, got `{}`", shorten(&line[value.clone()])),
            })?;
            if let Some(second) = ids.next() {
                return Err(Wrong { column: second.name.start, message: "duplicate field `id`".to_owned() });
            }
            let mut within = Vec::new();
            holes(line, value.clone(), &names, true, &mut within)?;
            let text = line[value.clone()].to_owned();
            for hole in &mut within {
                hole.range = hole.range.start - value.start..hole.range.end - value.start;
            }
            if within.iter().all(|hole| matches!(hole.with, With::Brace(_))) {
                let patched = Patched::new(&text, within.iter().map(|hole| (hole.range.clone(), hole.with.brace())));
                name = serde_json::from_str(&patched.text).ok();
            } else {
                name = Some(written);
                id = Some((text, within));
            }
        }
        Ok(Self { matrix, line: rest, holes: all, id, name, name_column })
    }

    /// The text that a line gives as this field, whatever else is wrong with it.
    pub fn written(line: &str, field: &str) -> Option<String> {
        let member = members(line.as_bytes()).into_iter().find(|member| &line[member.name.clone()] == field)?;
        serde_json::from_str(&line[member.value(line)]).ok()
    }

    /// Whether each job's id is the one that was written with its placeholders replaced, rather than that of the line with
    /// the combination after it.
    pub fn has_own_ids(&self) -> bool {
        self.id.is_some()
    }

    /// The line of one job.
    pub fn line(&self, combination: u64) -> Patched {
        let values = self.matrix.values(combination);
        Patched::new(&self.line, self.holes.iter().map(|hole| (hole.range.clone(), hole.with.text(&values))))
    }

    /// The id of one job, of a line called `name`.
    pub fn id(&self, combination: u64, name: &str) -> String {
        match &self.id {
            None => format!("{name}/{}", self.matrix.label(combination)),
            Some((text, holes)) => {
                let values = self.matrix.values(combination);
                let parts = holes.iter().map(|hole| (hole.range.clone(), hole.with.text(&values)));
                let id = Patched::new(text, parts).text;
                // A string with parts of strings in it is one.
                serde_json::from_str(&id).unwrap_or(id)
            }
        }
    }
}

impl With {
    fn text<'a>(&'a self, values: &[&'a Value]) -> &'a str {
        match self {
            Self::Brace(brace) => brace,
            Self::Value(field) => &values[*field].json,
            Self::Text(field) => values[*field].within_string(),
        }
    }

    fn brace(&self) -> &'static str {
        match self {
            Self::Brace(brace) => brace,
            Self::Value(_) | Self::Text(_) => "",
        }
    }
}

impl Matrix {
    /// The matrix whose JSON lies there in the line.
    fn read(line: &str, at: &Range<usize>) -> Result<Self, Wrong> {
        let wrong = |part: &str, message: String| Wrong {
            column: part.as_ptr() as usize - line.as_ptr() as usize + 1,
            message,
        };
        let text = &line[at.clone()];
        let Ok(pairs) = serde_json::from_str::<Pairs<'_>>(text) else {
            let example = r#"{"seed":[1,2,3],"file":["a.npy","b.npy"]}"#;
            return Err(wrong(
                text,
                format!("expected an object of lists such as {example} as `{MATRIX}`, got `{}`", shorten(text)),
            ));
        };
        let mut fields: Vec<Field> = Vec::with_capacity(pairs.0.len());
        for (i, (name, list)) in pairs.0.iter().enumerate() {
            let json = list.get();
            if !is_name(name) {
                let name = shorten(name);
                return Err(wrong(
                    json,
                    format!("`{name}` is no name for a field of `{MATRIX}`: use letters, digits, `_` and `-`"),
                ));
            }
            if fields.iter().any(|field| field.name == **name) {
                return Err(wrong(json, format!("`{MATRIX}` has the field `{name}` twice")));
            }
            let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(json) else {
                return Err(wrong(
                    json,
                    format!("expected a list of values as `{name}` in `{MATRIX}`, got `{}`", shorten(json)),
                ));
            };
            if list.is_empty() {
                return Err(wrong(
                    json,
                    format!(
                        "`{name}` in `{MATRIX}` is empty, which leaves no job: give it a value, or leave the line out"
                    ),
                ));
            }
            // With this in a value, two jobs could have the same id.
            let next = pairs.0.get(i + 1).map(|(next, _)| format!(",{next}="));
            let mut values = Vec::with_capacity(list.len());
            let mut seen = HashSet::with_capacity(list.len());
            for json in list {
                let json = json.get();
                let value =
                    Value::of(json).map_err(|message| wrong(json, format!("`{name}` in `{MATRIX}`: {message}")))?;
                if let Some(next) = next.as_ref().filter(|next| value.label.contains(&***next)) {
                    return Err(wrong(
                        json,
                        format!(
                            "a value of `{name}` with `{next}` in it makes ids that cannot be told apart: call the other field otherwise"
                        ),
                    ));
                }
                if !seen.insert(value.label.clone()) {
                    return Err(wrong(
                        json,
                        format!(
                            "`{name}` in `{MATRIX}` has `{}` twice, and the ids of its jobs must differ",
                            shorten(&value.label)
                        ),
                    ));
                }
                values.push(value);
            }
            fields.push(Field { name: name.to_string(), values });
        }
        if fields.is_empty() {
            return Err(wrong(text, format!("`{MATRIX}` has no fields: give it one, or leave it out")));
        }
        let count = fields.iter().try_fold(1_u64, |count, field| count.checked_mul(field.values.len() as u64));
        match count.filter(|count| *count <= COMBINATIONS_MAX) {
            Some(count) => Ok(Self { fields, count }),
            None => {
                let sizes: Vec<String> = fields.iter().map(|field| field.values.len().to_string()).collect();
                Err(wrong(
                    text,
                    format!(
                        "a line makes {COMBINATIONS_MAX} jobs at most, and this one {}: write several lines",
                        sizes.join(" × ")
                    ),
                ))
            }
        }
    }

    /// The values of a combination, the first field's slowest.
    fn values(&self, mut combination: u64) -> Vec<&Value> {
        let mut values: Vec<&Value> = self
            .fields
            .iter()
            .rev()
            .map(|field| {
                let len = field.values.len() as u64;
                let value = &field.values[(combination % len) as usize];
                combination /= len;
                value
            })
            .collect();
        values.reverse();
        values
    }

    /// What a combination is called: `seed=1,file=a.npy`.
    pub fn label(&self, combination: u64) -> String {
        let mut label = String::new();
        for (field, value) in self.fields.iter().zip(self.values(combination)) {
            if !label.is_empty() {
                label.push(',');
            }
            label.push_str(&field.name);
            label.push('=');
            label.push_str(&value.label);
        }
        label
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '-')
}

/// An object in the order in which it was written.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if pairs.len() == 64 {
                        return Err(A::Error::custom("too many fields"));
                    }
                    pairs.push((Cow::Owned(name), map.next_value()?));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
