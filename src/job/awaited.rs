//! What a job that comes by itself waits for: the jobs that `after` names, and those whose results `$result` takes.

use serde::Deserialize;

use crate::job::blank::Member;
use crate::job::file::Wrong;
use crate::job::patch::Patched;
use crate::job::posted::Beside;
use crate::job::result_path::{NoValue, value_at};
use crate::job::shorten;
use crate::job::taken::{RESULT, Taken, taken_of};

/// An id, or a list of them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`after` takes the id of a job, or a list of ids")]
enum Ids {
    One(String),
    Many(Vec<String>),
}

/// So many names of other jobs stand in one at most.
const NAMES_MAX: usize = 1000;

/// What is taken of other jobs has so many bytes at most, together.
const VALUES_BYTES_MAX: usize = 16 << 20;

/// Outcomes are looked through for its values up to so many bytes, together.
const SEARCHED_BYTES_MAX: usize = 1 << 30;

/// A text that stands in place of a part of the job.
pub(super) type Part = (std::ops::Range<usize>, String);

/// What a job waits for.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// The numbers of the jobs, each once, ascending.
    pub numbers: Vec<u64>,
    taken: Vec<Taken>,
    /// The job with ids that hold, where others are told.
    pub lasting: Option<String>,
}

impl Awaited {
    /// Of a job, whose members are these, and of which `own` is what its kind reads, in its place.
    pub fn of(line: &str, own: &str, members: &[Member], beside: &dyn Beside) -> Result<Self, Wrong> {
        let mut awaited = Self::default();
        let mut parts: Vec<Part> = Vec::new();
        let mut is_lasting = true;
        if let Some(member) = members.iter().find(|member| &line[member.name.clone()] == AFTER) {
            let wrong = |message: String| Wrong { column: member.name.start, message };
            let ids = serde_json::from_str(&line[member.value(line)]).map_err(|error| wrong(error.to_string()))?;
            let ids = match ids {
                Ids::One(id) => vec![id],
                Ids::Many(ids) => ids,
            };
            if ids.len() > NAMES_MAX {
                return Err(wrong(format!(
                    "`after` names more than {NAMES_MAX} jobs: have one job wait for each part of them"
                )));
            }
            for id in &ids {
                let number = beside.number(id).map_err(wrong)?;
                let unknown = || wrong(format!("`after` names `{}`, but no job here has that id", shorten(id)));
                awaited.numbers.push(number.ok_or_else(unknown)?);
            }
            let lasting: Vec<String> = awaited.numbers.iter().map(|number| beside.id(*number)).collect();
            is_lasting &= lasting == ids;
            parts.push((member.value(line), serde_json::Value::from(lasting).to_string()));
        }
        if own.contains(RESULT) {
            let failed = std::cell::RefCell::new(None);
            let find = |id: &str| match beside.number(id) {
                Ok(number) => number.map(|number| number..number + 1),
                Err(message) => {
                    failed.replace(Some(message));
                    None
                }
            };
            let found = taken_of(own, "here", &find);
            if let Some(message) = failed.into_inner() {
                return Err(Wrong { column: 1, message });
            }
            awaited.taken = found?;
            if let Some(beyond) = awaited.taken.get(NAMES_MAX) {
                let message = format!("more than {NAMES_MAX} values of other jobs: take a longer part of each");
                return Err(Wrong { column: beyond.range.start + 1, message });
            }
            for Taken { range, index, path, written } in &awaited.taken {
                let id = beside.id(*index);
                is_lasting &= written.strip_prefix(&id).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
                let lasting = serde_json::json!({ RESULT: { "id": id, "path": path } });
                parts.push((range.clone(), lasting.to_string()));
                awaited.numbers.push(*index);
            }
        }
        awaited.numbers.sort_unstable();
        awaited.numbers.dedup();
        if !is_lasting {
            parts.sort_by_key(|(part, _)| part.start);
            let parts = parts.iter().map(|(part, with)| (part.clone(), with.as_str()));
            awaited.lasting = Some(Patched::new(line, parts).text);
        }
        Ok(awaited)
    }

    /// The values that it takes, each in its place; `None` where some are not there yet.
    pub fn values(&self, beside: &dyn Beside) -> Result<Option<Vec<Part>>, Wrong> {
        let mut parts = Vec::with_capacity(self.taken.len());
        let (mut bytes, mut searched_bytes) = (0, 0);
        // Each outcome is read once, and no two of them are there at once.
        let mut in_turn: Vec<&Taken> = self.taken.iter().collect();
        in_turn.sort_by_key(|taken| taken.index);
        let mut read: Option<(u64, String)> = None;
        for Taken { range, index, path, written } in in_turn {
            let wrong = |what: &str| Wrong {
                column: range.start + 1,
                message: format!("`{RESULT}` of `{}`: {what}", shorten(written)),
            };
            if read.as_ref().is_none_or(|(number, _)| number != index) {
                drop(read.take());
                let Some(outcome) = beside.outcome(*index) else { return Ok(None) };
                read = Some((*index, outcome.map_err(|message| wrong(&message))?));
            }
            let outcome = read.as_ref().map_or("", |(_, outcome)| outcome);
            searched_bytes += outcome.len();
            if searched_bytes > SEARCHED_BYTES_MAX {
                return Err(wrong(
                    "there is too much to look through for so many values: take a longer part of the result at once",
                ));
            }
            let value = value_at(outcome.as_bytes(), path).map_err(|error| match error {
                NoValue::NotThere(what) => wrong(&what),
                NoValue::Unreadable(error) => wrong(&error.to_string()),
            })?;
            bytes += value.len();
            if bytes > VALUES_BYTES_MAX {
                return Err(wrong(&format!(
                    "what is taken has more than {VALUES_BYTES_MAX} bytes together: take a part of it"
                )));
            }
            parts.push((range.clone(), value));
        }
        Ok(Some(parts))
    }
}

/// The field that names the jobs that one waits for.
pub(super) const AFTER: &str = "after";
