//! The program of `tandem map`, and the job that it makes of an input.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use crate::cli::run::Line;
use crate::job::{BadLine, JobError, JobHash, JobSpec, Terms};
use crate::tasks::command::{self, CommandParams};

/// What stands for the input in an argument.
const INPUT: &str = "{}";

/// What is run for each input.
pub(super) struct Program {
    pub argv: Vec<OsString>,
    /// How many long-lived ones answer the inputs; else it is started for each.
    pub workers: Option<u32>,
    /// What the model is to call it.
    pub name: Option<Arc<str>>,
}

impl Program {
    /// # Errors
    /// Where an input could have no place in it.
    pub fn check(&self) -> Result<(), String> {
        let is_filled = |argument: &OsString| argument.to_str().is_some_and(|text| text.contains(INPUT));
        if self.workers.is_some() && self.argv.iter().any(is_filled) {
            return Err(format!(
                "{INPUT} stands for an input, but a worker (--workers) is started before there is one and reads each as a line \
                 of standard input: leave {INPUT} out"
            ));
        }
        Ok(())
    }

    /// The job of one input. Where `hashed`, a later run can find its outcome again.
    pub fn job(&self, index: u64, id: Arc<str>, input: &OsStr, hashed: bool) -> Line {
        let kind = command::KIND.name;
        let params = match (self.workers, input.to_str()) {
            (None, _) => CommandParams::new(arguments(&self.argv, input)),
            (Some(workers), Some(text)) => {
                CommandParams::worker(&self.argv, workers, serde_json::Value::from(text).to_string())
            }
            (Some(_), None) => {
                let message = format!("{id}: not UTF-8, and so nothing that JSON could tell a worker: rename it");
                return Err(BadLine { index, id, kind, error: JobError::bad_input(message) });
            }
        };
        let content = hashed.then(|| content(&params));
        let params = Box::new(CommandParams { name: self.name.clone(), ..params });
        Ok(JobSpec { index, id, kind, device: None, terms: Terms::default(), content, params })
    }
}

/// What tells whether a job is still the same: what is run and asked; neither what it is called nor how many workers there are, as
/// for the jobs of a file.
fn content(params: &CommandParams) -> JobHash {
    let asked = params.input.as_deref().unwrap_or_default().as_bytes();
    let how: &[u8] = if params.workers.is_some() { b"worker" } else { b"program" };
    let argv = params.argv.iter().map(|argument| argument.as_encoded_bytes());
    JobHash::of_parts([command::KIND.name.as_bytes(), how, asked].into_iter().chain(argv))
}

/// The arguments with the input in its place.
fn arguments(argv: &[OsString], input: &OsStr) -> Vec<OsString> {
    let mut filled: Vec<OsString> = argv.iter().map(|argument| replaced(argument, input)).collect();
    if filled == argv {
        filled.push(input.to_owned());
    }
    filled
}

fn replaced(argument: &OsStr, input: &OsStr) -> OsString {
    // An argument that is no text holds no placeholder that anybody wrote.
    let Some(text) = argument.to_str().filter(|text| text.contains(INPUT)) else { return argument.to_owned() };
    let mut filled = OsString::new();
    for (i, piece) in text.split(INPUT).enumerate() {
        if i > 0 {
            filled.push(input);
        }
        filled.push(piece);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_takes_the_place_of_braces_or_comes_last() {
        let filled = |argv: &[&str]| {
            let argv: Vec<OsString> = argv.iter().map(Into::into).collect();
            arguments(&argv, OsStr::new("a b"))
        };
        assert_eq!(filled(&["p", "x={}", "{}{}"]), ["p", "x=a b", "a ba b"]);
        assert_eq!(filled(&["p", "-v"]), ["p", "-v", "a b"]);
    }
}
