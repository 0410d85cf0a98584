//! From what a client sent to a job that can be written down: syntax, the names of its files, what it may touch, and whether it can
//! ever run.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::job::{Beside, DeviceChoice, JobParams, Kind, Misplaced, Posted, Terms, kinds, parse_posted, unknown_name};
use crate::journal::JournalError;
use crate::service::commands::{Commands, told_folder};
use crate::service::datasets::Lease;
use crate::service::reach::Allowed;
use crate::service::untold::Paths;
use crate::service::uploads::Files;

/// Why a job is not taken in.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// It is no job; and where in its text.
    Malformed(Misplaced),
    /// It may not do what it asks for.
    Forbidden(String),
    /// It needs more than there is.
    NeverFits(String),
    /// A file came with it that it does not name.
    Unnamed(String),
    /// The jobs that it names cannot be looked up just now.
    Unreadable(JournalError),
}

impl Refusal {
    /// The same with another message, made of what it says.
    pub fn told(mut self, told: impl Fn(&str) -> String) -> Self {
        match &mut self {
            Self::Malformed(Misplaced { message, .. })
            | Self::Forbidden(message)
            | Self::NeverFits(message)
            | Self::Unnamed(message) => *message = told(message),
            Self::Unreadable(_) => {}
        }
        self
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        match self {
            Self::Malformed(misplaced) => &misplaced.message,
            Self::Forbidden(message) | Self::NeverFits(message) | Self::Unnamed(message) => message,
            Self::Unreadable(_) => "the journal cannot be read just now",
        }
    }
}

/// A job that was understood.
#[derive(Debug)]
pub(super) struct Prepared {
    /// What its sender calls it.
    pub label: Option<Arc<str>>,
    /// Its kind, as clients name it.
    pub kind: &'static str,
    pub priority: i32,
    pub retries: u32,
    /// By when it has to have ended, from its acceptance.
    pub deadline: Option<Duration>,
    /// Where the datasets lie that it names.
    pub datasets: Files,
    /// The numbers of the jobs that have to succeed first.
    pub after: Vec<u64>,
    /// The same job with ids that hold for good, where it has others.
    pub lasting: Option<String>,
    /// How many bytes it takes of the results of others.
    pub taken_bytes: usize,
    /// `None` where it takes results that are not to be asked for yet.
    pub ready: Option<Ready>,
    /// For those datasets that are looked up now: to be held until the job has a number.
    pub leases: Vec<Lease>,
    /// A file that came with it and that it does not name.
    pub unnamed_file: Option<String>,
}

/// What the engine is given of it.
#[derive(Debug)]
pub(super) struct Ready {
    pub kind: &'static str,
    pub device: Option<DeviceChoice>,
    pub terms: Terms,
    pub params: Box<dyn JobParams>,
    /// Whether it is one of the operator's commands.
    pub is_command: bool,
}

/// The jobs that came before one.
pub(super) trait Earlier {
    /// The number of the job of this id; or why it cannot be told.
    fn number(&self, id: &str) -> Result<Option<u64>, String>;

    /// What it is called for good.
    fn id(&self, number: u64) -> String;

    /// Its outcome, one object of JSON, or why it cannot be read; `None` where it is not to be asked for yet.
    fn outcome(&self, number: u64) -> Option<Result<String, String>>;
}

/// What a job may refer to, and what it did.
struct Things<'a> {
    files: &'a Files,
    dataset: &'a dyn Fn(&str) -> Option<PathBuf>,
    earlier: &'a dyn Earlier,
    referred: RefCell<Vec<PathBuf>>,
    datasets: RefCell<Files>,
}

impl Things<'_> {
    fn shown(&self, path: PathBuf) -> Result<String, String> {
        let shown = path.to_str().map(str::to_owned);
        self.referred.borrow_mut().push(path);
        shown.ok_or_else(|| "the path of this service's data is no Unicode: start it with another --data".to_owned())
    }
}

impl Beside for Things<'_> {
    fn file(&self, name: &str) -> Result<String, String> {
        let known = || self.files.keys().map(String::as_str).filter(|name| !name.starts_with('$'));
        let path = self.files.get(name).cloned();
        self.shown(path.ok_or_else(|| unknown_name("file with this job is called", name, known()))?)
    }

    fn dataset(&self, name: &str) -> Result<String, String> {
        let path = (self.dataset)(name).ok_or_else(|| format!("there is no dataset `{name}`: PUT it first"))?;
        self.datasets.borrow_mut().insert(name.to_owned(), path.clone());
        self.shown(path)
    }

    fn number(&self, id: &str) -> Result<Option<u64>, String> {
        self.earlier.number(id)
    }

    fn id(&self, number: u64) -> String {
        self.earlier.id(number)
    }

    fn outcome(&self, number: u64) -> Option<Result<String, String>> {
        self.earlier.outcome(number)
    }
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

    /// What clients are not told of where things lie: those of commands, the folder that their own relative paths start from, and that of the
    /// service's data.
    pub fn operators_paths(&self, data: &Path) -> Paths {
        Paths::new(self.commands.paths().into_iter().chain(self.base()).chain(told_folder(data)))
    }

    /// The folder that their own relative paths start from alone.
    pub fn jobs_folder(&self) -> Paths {
        Paths::new(self.base())
    }

    fn base(&self) -> Vec<(String, String)> {
        self.allowed.base_dir().map(told_folder).unwrap_or_default()
    }

    /// Whether jobs of this kind run programs.
    pub fn is_program(&self, kind: &str) -> bool {
        kind == "command" || self.commands.kinds().any(|command| command.name == kind)
    }

    /// The folder that relative paths of commands start from, and that of other jobs.
    pub fn folders(&self) -> (PathBuf, PathBuf) {
        (self.commands.folder().to_owned(), self.allowed.base_dir().map(PathBuf::from).unwrap_or_default())
    }

    /// Makes a job of a text, with these files beside it, these datasets, and these jobs before it.
    pub fn prepare(
        &self,
        text: &str,
        files: &Files,
        dataset: &dyn Fn(&str) -> Option<PathBuf>,
        earlier: &dyn Earlier,
    ) -> Result<Prepared, Refusal> {
        let things = Things { files, dataset, earlier, referred: RefCell::default(), datasets: RefCell::default() };
        let posted = parse_posted(text, self.kinds.clone(), &things).map_err(Refusal::Malformed)?;
        let Things { referred, datasets, .. } = things;
        let Posted { label, kind, device, terms, params, after, lasting, taken_bytes, deadline, own } = posted;
        let referred = referred.into_inner();
        let unnamed_file = files
            .iter()
            .find(|(name, path)| !name.starts_with('$') && !referred.contains(path))
            .map(|(name, _)| name.clone());
        let asked = terms.clone();
        let (params, terms, is_command) = match self.commands.bind(kind.name, own, asked) {
            Some((bound, terms)) => (params.map(|_| bound), terms, true),
            None => {
                if let Some(params) = &params {
                    self.allowed.check(&params.reach(), &referred).map_err(Refusal::Forbidden)?;
                }
                (params, terms, false)
            }
        };
        if let Some(bytes) = terms.memory_bytes.filter(|bytes| *bytes > self.memory_bytes) {
            return Err(Refusal::NeverFits(format!(
                "the job asks for {bytes} bytes of memory, and jobs here may take {} together: ask for less, or start the service with \
                 a larger --memory",
                self.memory_bytes
            )));
        }
        let (priority, retries) = (terms.priority, terms.retries.unwrap_or(0));
        let ready = params.map(|params| Ready { kind: kind.name, device, terms, params, is_command });
        let datasets = datasets.into_inner();
        Ok(Prepared {
            label,
            kind: kind.name,
            priority,
            retries,
            deadline,
            datasets,
            after,
            lasting,
            taken_bytes,
            ready,
            leases: Vec::new(),
            unnamed_file,
        })
    }
}
