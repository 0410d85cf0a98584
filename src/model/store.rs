//! Where the model is kept between runs: one JSON file, read when first needed and written once, at the end.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};

use crate::model::{CostClass, Measured, Model, ModelKey};

/// The version of the file's format; another one is as good as no file.
const SCHEMA: u32 = 1;
/// Larger files are none that we wrote.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// How long to wait for another process that is writing.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
/// Runs that are kept until they are saved; the oldest go first.
const FRESH_MAX: usize = 4096;

/// Where a model is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In this file.
    File(PathBuf),
    /// Nowhere: it starts empty and is forgotten.
    Nowhere,
}

impl Location {
    /// What the user says (`none`, or a path), or else the file of this user: `tandem/model.json` under the state or
    /// cache folder that the platform has for it. `Nowhere` where the platform knows none.
    pub fn from_setting(setting: Option<&str>) -> Self {
        match setting {
            Some("none") => Self::Nowhere,
            Some(path) if !path.is_empty() => Self::File(path.into()),
            _ => match etcetera::choose_base_strategy() {
                Ok(folders) => {
                    let folder = folders.state_dir().unwrap_or_else(|| folders.cache_dir());
                    Self::File(folder.join("tandem").join("model.json"))
                }
                Err(_) => Self::Nowhere,
            },
        }
    }
}

/// Something to tell the user that is no reason to fail: `model file m.json: permission denied`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Serialize)]
struct FileOut<'a> {
    schema: u32,
    model: &'a Model,
}

#[derive(Deserialize)]
struct FileIn {
    schema: u32,
    #[serde(default)]
    model: Model,
}

/// A run that another process does not know of yet.
#[derive(Clone, Debug)]
struct Fresh {
    kernel: String,
    variant: String,
    cost: CostClass,
    fingerprint: String,
    lanes: u32,
    run: Measured,
}

impl Fresh {
    fn teach(&self, model: &mut Model) {
        let key = ModelKey {
            kernel: &self.kernel,
            variant: &self.variant,
            cost: self.cost,
            fingerprint: &self.fingerprint,
            lanes: self.lanes,
        };
        model.learn(key, &self.run);
    }
}

/// A model and the file that it is kept in.
///
/// The file is read when the model is first asked for; a process that never asks never reads it. What is learned is
/// merged, when it is saved, into what other processes have written meanwhile.
#[derive(Debug)]
pub struct Store {
    location: Location,
    model: Option<Model>,
    fresh: std::collections::VecDeque<Fresh>,
    /// The most memory that runs of programs held, and how many runs.
    fresh_memory: BTreeMap<String, (u64, u32)>,
    warnings: Vec<Warning>,
    /// What was warned of already.
    told: Vec<Warning>,
}

impl Store {
    /// A store at this place. Reads nothing yet.
    pub const fn new(location: Location) -> Self {
        Self {
            location,
            model: None,
            fresh: std::collections::VecDeque::new(),
            fresh_memory: BTreeMap::new(),
            warnings: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Where it is kept.
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// The model, read from its file the first time. A file that cannot be read, or is no model, gives an empty model and
    /// a warning; it is left as it is.
    pub fn model(&mut self) -> &Model {
        if self.model.is_none() {
            let mut model = match &self.location {
                Location::Nowhere => Model::new(),
                Location::File(path) => match read(path) {
                    Ok(model) => model,
                    Err(unread) => {
                        let warning = unread.warning(path);
                        self.warn(warning);
                        Model::new()
                    }
                },
            };
            for fresh in &self.fresh {
                fresh.teach(&mut model);
            }
            teach_memory(&self.fresh_memory, &mut model);
            self.model = Some(model);
        }
        self.model.get_or_insert_default()
    }

    /// The model, if it has been read.
    pub const fn loaded(&self) -> Option<&Model> {
        self.model.as_ref()
    }

    /// Learns from a run, without reading the file for it.
    pub fn learn(&mut self, key: ModelKey<'_>, run: &Measured) {
        let sane = match &mut self.model {
            Some(model) => model.learn(key, run),
            None => Model::new().learn(key, run),
        };
        if !sane || self.location == Location::Nowhere && self.model.is_some() {
            return;
        }
        if self.fresh.len() >= FRESH_MAX {
            self.fresh.pop_front();
        }
        self.fresh.push_back(Fresh {
            kernel: key.kernel.to_owned(),
            variant: key.variant.to_owned(),
            cost: key.cost,
            fingerprint: key.fingerprint.to_owned(),
            lanes: key.lanes,
            run: *run,
        });
    }

    /// Learns that a run of a program of this name held `peak_bytes` at most, without reading the file for it.
    pub fn learn_memory(&mut self, name: &str, peak_bytes: u64) {
        let sane = match &mut self.model {
            Some(model) => model.learn_memory(name, peak_bytes, 1),
            None => Model::new().learn_memory(name, peak_bytes, 1),
        };
        if !sane || self.location == Location::Nowhere && self.model.is_some() {
            return;
        }
        if let Some((most, runs)) = self.fresh_memory.get_mut(name) {
            (*most, *runs) = ((*most).max(peak_bytes), runs.saturating_add(1));
        } else if self.fresh_memory.len() < FRESH_MAX {
            self.fresh_memory.insert(name.to_owned(), (peak_bytes, 1));
        }
    }

    /// How many runs would be saved.
    pub fn unsaved(&self) -> usize {
        self.fresh.len()
    }

    /// What the user should be told so far; each warning is given once.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    fn warn(&mut self, warning: Warning) {
        if !self.told.contains(&warning) {
            self.told.push(warning.clone());
            self.warnings.push(warning);
        }
    }

    /// Merges what was learned into the file, under a lock, and renames it into place. Does nothing where nothing was
    /// learned. A damaged model file is set aside under the same name with `.bad` added; a file that does not begin like
    /// one is left as it is. Returns what the user should be told.
    pub fn save(&mut self) -> Vec<Warning> {
        if let Location::File(path) = &self.location
            && !(self.fresh.is_empty() && self.fresh_memory.is_empty())
        {
            let warning =
                save(path, &self.fresh, &self.fresh_memory).unwrap_or_else(|unread| Some(unread.warning(path)));
            if let Some(warning) = warning {
                self.warn(warning);
            }
            self.fresh.clear();
            self.fresh_memory.clear();
        }
        self.take_warnings()
    }

    /// Forgets everything, in memory and on disk. Returns whether there was a file.
    ///
    /// # Errors
    /// Where the file cannot be removed, or does not begin like a model file: such a one is left as it is.
    pub fn reset(&mut self) -> std::io::Result<bool> {
        self.fresh.clear();
        self.fresh_memory.clear();
        self.model = None;
        let Location::File(path) = &self.location else { return Ok(false) };
        match found(path)? {
            Found::Nothing => return Ok(false),
            Found::Foreign => return Err(std::io::Error::other(FOREIGN)),
            Found::Model => {}
        }
        let _lock = lock(path).ok();
        match std::fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What is said of a file that is somebody else's.
const FOREIGN: &str = "it is no model file of tandem's, and is left as it is: name another file";

/// What lies where a model is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// No file, or an empty one.
    Nothing,
    /// A file that begins like a model.
    Model,
    /// Anything else, which is never written over, moved or removed.
    Foreign,
}

fn found(path: &Path) -> std::io::Result<Found> {
    let kind = match std::fs::metadata(path) {
        Ok(kind) => kind,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    // Not even opened: a pipe would make us wait.
    if !kind.is_file() {
        return Ok(Found::Foreign);
    }
    let mut head = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut head)?;
    Ok(match head.as_slice() {
        [] => Found::Nothing,
        head if begins_like_a_model(head) => Found::Model,
        _ => Found::Foreign,
    })
}

/// Whether it starts with `{"schema":N,"model":`. Outcomes start with a schema too.
fn begins_like_a_model(head: &[u8]) -> bool {
    let Some(rest) = head.strip_prefix(br#"{"schema":"#) else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && rest[digits..].starts_with(br#","model":"#)
}

/// Why a file gives no model.
#[derive(Debug)]
enum Unread {
    Foreign,
    Damaged(String),
    Io(std::io::Error),
}

impl Unread {
    fn warning(&self, path: &Path) -> Warning {
        let name = path.display();
        match self {
            Self::Foreign => Warning(format!("model file {name}: {FOREIGN}, or `--model none`")),
            Self::Damaged(why) => Warning(format!("model file {name} is damaged ({why}): measuring anew")),
            Self::Io(error) => about(path, error),
        }
    }
}

impl From<std::io::Error> for Unread {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

fn about(path: &Path, error: &std::io::Error) -> Warning {
    Warning(format!(
        "model file {}: {error}: what was measured is not kept (`--model none` silences this)",
        path.display()
    ))
}

/// The model in this file; an empty one where there is no file or it is of another version.
fn read(path: &Path) -> Result<Model, Unread> {
    match found(path)? {
        Found::Nothing => return Ok(Model::new()),
        Found::Foreign => return Err(Unread::Foreign),
        Found::Model => {}
    }
    let Some(text) = read_bounded(path)? else { return Err(Unread::Damaged("too long for a model".to_owned())) };
    match serde_json::from_slice::<FileIn>(&text) {
        Ok(file) if file.schema == SCHEMA => {
            let mut model = file.model;
            model.restore();
            Ok(model)
        }
        Ok(_) => Ok(Model::new()),
        Err(error) => Err(Unread::Damaged(error.to_string())),
    }
}

/// Renames a damaged model file, so that another can take its place.
fn set_aside(path: &Path, why: &str) -> std::io::Result<Warning> {
    let bad = with_suffix(path, ".bad");
    if found(&bad)? == Found::Foreign {
        let message = format!("it is damaged ({why}), and {} is in the way of setting it aside", bad.display());
        return Err(std::io::Error::other(message));
    }
    std::fs::rename(path, &bad)?;
    Ok(Warning(format!("model file {} is damaged ({why}): set aside as {}", path.display(), bad.display())))
}

/// The file's bytes, if they are few enough.
fn read_bounded(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    Ok((text.len() as u64 <= FILE_BYTES_MAX).then_some(text))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The lock of this model file, held until dropped. A file of its own, since the model's is replaced.
fn lock(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(with_suffix(path, ".lock"))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(std::io::Error::new(std::io::ErrorKind::WouldBlock, "another process holds its lock"));
            }
            // Some file systems know no locks; a lost measurement is no harm.
            Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

fn teach_memory(fresh: &BTreeMap<String, (u64, u32)>, model: &mut Model) {
    for (name, (peak_bytes, runs)) in fresh {
        model.learn_memory(name, *peak_bytes, *runs);
    }
}

fn save(
    path: &Path,
    fresh: &std::collections::VecDeque<Fresh>,
    fresh_memory: &BTreeMap<String, (u64, u32)>,
) -> Result<Option<Warning>, Unread> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if found(path).is_ok_and(|found| found == Found::Foreign) {
        return Err(Unread::Foreign);
    }
    std::fs::create_dir_all(folder)?;
    let _lock = lock(path)?;
    let (mut model, warning) = match read(path) {
        Ok(model) => (model, None),
        Err(Unread::Damaged(why)) => (Model::new(), Some(set_aside(path, &why)?)),
        Err(unread) => return Err(unread),
    };
    for fresh in fresh {
        fresh.teach(&mut model);
    }
    teach_memory(fresh_memory, &mut model);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let text = serde_json::to_vec(&FileOut { schema: SCHEMA, model: &model }).map_err(std::io::Error::from)?;
    file.write_all(&text)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(warning)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
