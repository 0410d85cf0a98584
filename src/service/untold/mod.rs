//! What clients are not told: where things lie on the operator's machine.

mod folders;
mod paths;

pub(super) use folders::OwnFolders;
pub(super) use paths::Paths;

/// What is left out of what clients are told.
#[derive(Clone, Debug)]
pub(super) struct Untold {
    /// The service's own folders, which nobody is told of.
    pub own: OwnFolders,
    /// What nobody is told of where something went wrong.
    pub operators: Paths,
    /// Of those, the folder that jobs' own relative paths start from.
    pub jobs_folder: Paths,
}

impl Untold {
    /// What is said where something went wrong.
    pub fn of_error(&self, text: &str) -> String {
        // First its own: the operator's may be folders that those lie in.
        self.operators.without(&self.own.without(text.to_owned()))
    }

    /// The outcome of a program's job: what it answers is its own, but for the folders of this service, which it has from there.
    pub fn of_program(&self, outcome: String) -> String {
        self.own.without(outcome)
    }

    /// The outcome of a job of any other kind: those name what they have written, or read, by where it lies.
    pub fn of_kernel(&self, outcome: String) -> String {
        let outcome = self.own.without(outcome);
        if self.jobs_folder.is_empty() { outcome } else { self.jobs_folder.without(&outcome) }
    }
}
