//! The jobs of a line with a matrix, made one at a time.

use std::sync::Arc;

use crate::job::file::{HeadPlace, Parser, Wrong, line_id};
use crate::job::head::{Head, duplicate_id};
use crate::job::lines::Line;
use crate::job::matrix::Template;
use crate::job::{BadLine, JobError, JobSpec, shorten};

/// A line with a matrix, as far as its jobs have been made.
#[derive(Debug)]
pub(super) struct Expansion {
    template: Template,
    /// What the line is called: its id, or `#` and its number.
    name: Arc<str>,
    line: u64,
    /// The place in the run of its first job.
    first: u64,
    made: u64,
}

impl Expansion {
    /// Whether the ids of all its jobs are known without making them.
    pub fn is_named_whole(&self) -> bool {
        !self.template.has_own_ids()
    }

    /// The place in the run of its first job.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Makes its jobs from the first one on.
    pub fn begin_again(&mut self) {
        self.made = 0;
    }

    /// The place in the run after its last job.
    pub fn end(&self) -> u64 {
        self.first + self.template.matrix.count
    }
}

impl Parser {
    /// Begins to make jobs of a line, where it has a matrix.
    pub fn expand(&mut self, number: u64, line: Line<'_>) -> Option<Result<Expansion, BadLine>> {
        let Line::Text(bytes) = line else { return None };
        self.matrix.find(bytes)?;
        let text = std::str::from_utf8(bytes).ok()?;
        let template = Template::new(text)?;
        let first = self.index;
        self.names.add_line(first, number);
        let begun = template.and_then(|template| {
            let name = template.name.as_deref();
            let column = template.name_column;
            if name.is_some_and(|name| name.is_empty() || name.starts_with('#')) {
                let message =
                    "an `id` that is empty or begins with `#` cannot name a line with a matrix: name it otherwise";
                return Err(Wrong { column, message: message.to_owned() });
            }
            self.names
                .claim_group(number, first, &template)
                .map_err(|line| Wrong { column, message: duplicate_id(name.unwrap_or_default(), line) })?;
            Ok(template)
        });
        Some(match begun {
            Ok(template) => {
                self.index += template.matrix.count;
                let name = template.name.as_deref().map_or_else(|| line_id(number), Arc::from);
                Ok(Expansion { template, name, line: number, first, made: 0 })
            }
            Err(Wrong { column, message }) => {
                self.index += 1;
                let id = Template::written(text, "id").filter(|id| !id.is_empty() && !id.starts_with('#'));
                let kind = Template::written(text, "kind");
                let kind =
                    self.kinds.iter().find(|known| kind.as_deref() == Some(known.name)).map_or("", |kind| kind.name);
                if let Some(id) = &id {
                    // Jobs that name it are to be skipped; where a line before has the id, that one is meant.
                    let _ = self.names.claim(id, first);
                }
                let error = JobError::bad_input(format!("{}:{number}:{column}: {message}", self.name));
                Err(BadLine { index: first, id: id.map_or_else(|| line_id(number), Arc::from), kind, error })
            }
        })
    }

    /// The next job of such a line.
    pub fn next_of(&mut self, expansion: &mut Expansion) -> Option<Result<JobSpec, BadLine>> {
        let Expansion { template, name, line, first, made } = expansion;
        if *made == template.matrix.count {
            return None;
        }
        let (index, combination) = (*first + *made, *made);
        *made += 1;
        let id: Arc<str> = template.id(combination, name).into();
        let patched = template.line(combination);
        let mut head = Head::default();
        let place = HeadPlace { index, line: *line, line_first: *first };
        let parsed = match self.claim_one(&id, index, template) {
            Ok(()) => self.parse_text(&mut head, place, &patched.text, &patched.origins),
            Err(message) => Err(Wrong { column: 1, message }),
        };
        Some(match parsed {
            Ok((kind, params)) => {
                let Head { device, terms, content, .. } = head;
                Ok(JobSpec { index, id, kind: kind.name, device, terms, content, params })
            }
            Err(Wrong { column, message }) => {
                let column = patched.origins.original(column - 1) + 1;
                let which = template.matrix.label(combination);
                let message = format!("{}:{line}:{column}: {message} (with {})", self.name, shorten(&which));
                let error = JobError::bad_input(message);
                Err(BadLine { index, id, kind: head.kind.map_or("", |kind| kind.name), error })
            }
        })
    }

    /// Makes sure that no other job has the id of this one.
    fn claim_one(&mut self, id: &str, index: u64, template: &Template) -> Result<(), String> {
        if template.has_own_ids() {
            let remedy = "name every field of the matrix in `id`, or none";
            return self.names.claim(id, index).map_err(|line| {
                format!("duplicate id `{}`: a job of line {line} has it already: {remedy}", shorten(id))
            });
        }
        match self.names.find(id) {
            Some(found) if found.start != index => Err(duplicate_id(id, self.names.line_of(found.start))),
            _ => Ok(()),
        }
    }
}
