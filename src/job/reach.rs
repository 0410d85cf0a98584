//! What a job touches outside itself: what somebody asks who runs the jobs of strangers.

use std::path::Path;

/// What a job touches outside itself, as it is named in the job; a relative path starts from the context's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach<'a> {
    /// Files that it reads.
    pub reads: Vec<&'a Path>,
    /// Files that it writes, or folders that it writes files into.
    pub writes: Vec<&'a Path>,
    /// Addresses that it fetches.
    pub fetches: Vec<&'a str>,
    /// Whether it reads standard input.
    pub standard_input: bool,
    /// Whether it starts a program, which may touch anything.
    pub programs: bool,
}

impl<'a> Reach<'a> {
    /// A job that reads these files, and nothing else.
    pub fn reading(files: impl IntoIterator<Item = &'a Path>) -> Self {
        Self { reads: files.into_iter().collect(), ..Self::default() }
    }

    /// The same job, which also writes this, where it is there.
    #[must_use]
    pub fn writing(mut self, file: Option<&'a Path>) -> Self {
        self.writes.extend(file);
        self
    }

    /// The same job, which reads standard input where this is so.
    #[must_use]
    pub fn from_standard_input(mut self, standard_input: bool) -> Self {
        self.standard_input |= standard_input;
        self
    }
}
