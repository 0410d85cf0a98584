//! How far a job has come.

/// How far a job of the service has come. The names are part of the API and of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits for its turn.
    Queued,
    /// It was given to the engine.
    Running,
    /// It has failed of something that can pass, and waits to be tried again.
    RetryWait,
    /// It has its result.
    Succeeded,
    /// It has failed for good.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// It had not ended by its deadline.
    Expired,
    /// The process has ended under it too often: it is not tried again by itself.
    Dead,
}

impl State {
    /// Every state, in the order in which a job can come to them.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::RetryWait,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
        Self::Dead,
    ];

    /// Its name: `queued`, `retry_wait`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::RetryWait => "retry_wait",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Dead => "dead",
        }
    }

    /// The state of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more happens to the job, unless somebody asks for it.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::RetryWait)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
