//! The lines with a matrix whose jobs are being made: one, or several of which each goes on with what the one before has begun.
//! Jobs of such a chain come part by part, so that all its stages are busy and few jobs wait.

use std::ops::Range;

use crate::job::expansion::Expansion;
use crate::job::file::Parser;
use crate::job::{BadLine, JobSpec};

/// So many lines are read ahead.
const LINES_MAX: usize = 16;

/// The jobs of a line.
#[derive(Debug)]
pub(super) enum Begun {
    /// Just one, or none that could be.
    Job(Result<JobSpec, BadLine>),
    /// Those of a matrix.
    Jobs(Expansion),
}

/// Lines of which jobs are left to be made.
#[derive(Debug, Default)]
pub(super) struct Chain {
    open: Vec<Stage>,
}

/// One of the lines.
#[derive(Debug)]
struct Stage {
    expansion: Expansion,
    /// The job that comes next, where it has been made already.
    next: Option<Result<JobSpec, BadLine>>,
    /// The place after those of its jobs that have been given.
    given: u64,
}

impl Stage {
    fn new(expansion: Expansion) -> Self {
        Self { given: expansion.first(), next: None, expansion }
    }

    /// The next job, still kept here.
    fn peek(&mut self, parser: &mut Parser) -> Option<&Result<JobSpec, BadLine>> {
        if self.next.is_none() {
            self.next = parser.next_of(&mut self.expansion);
        }
        self.next.as_ref()
    }

    /// What of a group of jobs is made of this line.
    fn part_of(&self, group: &Range<u64>) -> Range<u64> {
        group.start.max(self.expansion.first())..group.end.min(self.expansion.end())
    }
}

impl Chain {
    /// Begins with a line.
    pub fn begin(&mut self, expansion: Expansion) {
        self.open.push(Stage::new(expansion));
    }

    /// Whether a further line may go on with what these have begun. (Ids of a line's own are known once its jobs are made.)
    pub fn may_go_on(&self) -> bool {
        (1..LINES_MAX).contains(&self.open.len()) && self.open.iter().all(|stage| stage.expansion.is_named_whole())
    }

    /// Takes in a line whose jobs wait for some of these; gives back any other.
    pub fn go_on(&mut self, expansion: Expansion, parser: &mut Parser) -> Option<Expansion> {
        let mut stage = Stage::new(expansion);
        let goes_on = match stage.peek(parser) {
            Some(Ok(spec)) => {
                let waits = |group: &Range<u64>| self.open.iter().any(|before| !before.part_of(group).is_empty());
                spec.terms.after.iter().any(waits)
            }
            _ => false,
        };
        if goes_on {
            self.open.push(stage);
            return None;
        }
        stage.expansion.begin_again();
        Some(stage.expansion)
    }

    /// The next job: of the last line for which all that it waits for has come.
    pub fn next(&mut self, parser: &mut Parser) -> Option<Result<JobSpec, BadLine>> {
        let mut at = self.open.len();
        while at > 0 {
            at -= 1;
            let (before, rest) = self.open.split_at_mut(at);
            let stage = &mut rest[0];
            let has_come = match stage.peek(parser) {
                None => {
                    self.open.remove(at);
                    continue;
                }
                Some(Err(_)) => true,
                Some(Ok(spec)) => spec.terms.after.iter().all(|group| {
                    before.iter().all(|before| {
                        let part = before.part_of(group);
                        part.is_empty() || part.end <= before.given
                    })
                }),
            };
            if has_come {
                stage.given += 1;
                return stage.next.take();
            }
        }
        None
    }
}
