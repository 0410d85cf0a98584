//! From what a client sent to a job that can be written down: syntax, the names of its files, what it may touch, and whether it can
//! ever run.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::job::{DeviceChoice, JobParams, Kind, Misplaced, Referred, Terms, kinds, parse_posted, unknown_name};
use crate::service::commands::Commands;
use crate::service::reach::Allowed;
use crate::service::uploads::Files;

/// Why a job is not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no job; and where in its text.
    Malformed(Misplaced),
    /// It may not do what it asks for.
    Forbidden(String),
    /// It needs more than there is.
    NeverFits(String),
}

impl Refusal {
    /// What is wrong.
    pub fn message(&self) -> &str {
        match self {
            Self::Malformed(misplaced) => &misplaced.message,
            Self::Forbidden(message) | Self::NeverFits(message) => message,
        }
    }
}

/// A job that can be given to the engine.
#[derive(Debug)]
pub(super) struct Prepared {
    /// What its sender calls it.
    pub label: Option<Arc<str>>,
    /// Its kind, as clients name it.
    pub kind: &'static str,
    pub device: Option<DeviceChoice>,
    pub terms: Terms,
    pub params: Box<dyn JobParams>,
    /// By when it has to have ended, from its acceptance.
    pub deadline: Option<Duration>,
    /// Whether it is one of the operator's commands.
    pub is_command: bool,
    /// Where the datasets lie that it names.
    pub datasets: Files,
}

/// What makes jobs of texts.
#[derive(Debug)]
pub(super) struct Intake {
    kinds: Vec<&'static Kind>,
    commands: Commands,
    allowed: Allowed,
    memory_bytes: u64,
}

impl Intake {
    pub fn new(commands: Commands, allowed: Allowed, memory_bytes: u64) -> Self {
        Self { kinds: kinds().chain(commands.kinds()).collect(), commands, allowed, memory_bytes }
    }

    /// The names of all kinds.
    pub fn kind_names(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.iter().map(|kind| kind.name)
    }

    /// The operator's commands.
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// The folder that relative paths of commands start from, and that of other jobs.
    pub fn folders(&self) -> (PathBuf, PathBuf) {
        (self.commands.folder().to_owned(), self.allowed.base_dir().map(PathBuf::from).unwrap_or_default())
    }

    /// Makes a job of a text, with these files beside it, and these datasets.
    pub fn prepare(
        &self,
        text: &str,
        files: &Files,
        dataset: &dyn Fn(&str) -> Option<PathBuf>,
    ) -> Result<Prepared, Refusal> {
        let (own_files, datasets) = (RefCell::new(Vec::new()), RefCell::new(Files::new()));
        let lookup = |referred, name: &str| {
            let path = match referred {
                Referred::File => files.get(name).cloned().ok_or_else(|| {
                    unknown_name("file with this job is called", name, files.keys().map(String::as_str))
                })?,
                Referred::Dataset => {
                    let path = dataset(name).ok_or_else(|| format!("there is no dataset `{name}`: PUT it first"))?;
                    datasets.borrow_mut().insert(name.to_owned(), path.clone());
                    path
                }
            };
            let shown = path.to_str().map(str::to_owned);
            own_files.borrow_mut().push(path);
            shown
                .ok_or_else(|| "the path of this service's data is no Unicode: start it with another --data".to_owned())
        };
        let posted = parse_posted(text, self.kinds.clone(), &lookup).map_err(Refusal::Malformed)?;
        let name = posted.kind.name;
        let asked = posted.terms.clone();
        let (params, terms, is_command) = match self.commands.bind(name, posted.own, asked) {
            Some((params, terms)) => (params, terms, true),
            None => {
                self.allowed.check(&posted.params.reach(), &own_files.into_inner()).map_err(Refusal::Forbidden)?;
                (posted.params, posted.terms, false)
            }
        };
        if let Some(bytes) = terms.memory_bytes.filter(|bytes| *bytes > self.memory_bytes) {
            return Err(Refusal::NeverFits(format!(
                "the job asks for {bytes} bytes of memory, and jobs here may take {} together: ask for less, or start the service with \
                 a larger --memory",
                self.memory_bytes
            )));
        }
        let (label, device, deadline) = (posted.label, posted.device, posted.deadline);
        Ok(Prepared { label, kind: name, device, terms, params, deadline, is_command, datasets: datasets.into_inner() })
    }
}
