//! Commands that the operator defines: kinds of jobs of which clients know the name, and never the program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::job::{Aside, Beside, JobParams, Kind, Terms, kinds, parse_posted};
use crate::tasks::command::{CommandParams, parse_command};

/// Why a file of commands cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {message}", path = path.display())]
pub struct CommandError {
    /// The file.
    path: PathBuf,
    /// What is wrong, and with which command.
    message: String,
}

/// A command of the operator's.
#[derive(Clone, Debug)]
struct Command {
    params: CommandParams,
    terms: Terms,
}

/// The operator's commands, by name.
#[derive(Clone, Debug, Default)]
pub struct Commands {
    kinds: Vec<&'static Kind>,
    commands: BTreeMap<&'static str, Command>,
    /// The folder that relative paths start from.
    folder: PathBuf,
    /// What clients are not to know of where things lie, and what they are shown in its place; the longest first.
    hidden: Vec<(String, String)>,
}

impl Commands {
    /// Reads a file of commands: an object of JSON, each field a command as a line of a job file has it, without `kind` and
    /// what differs from job to job.
    ///
    /// # Errors
    /// Where it cannot be read, or a command is no such thing.
    pub fn read(path: &Path) -> Result<Self, CommandError> {
        let wrong = |message: String| CommandError { path: path.to_owned(), message };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        Self::parse(&text, folder).map_err(wrong)
    }

    fn parse(text: &str, folder: PathBuf) -> Result<Self, String> {
        let named: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(text).map_err(|error| format!("not an object of commands: {error}"))?;
        let mut commands = Self { folder, ..Self::default() };
        for (name, fields) in named {
            let wrong = |message: &str| format!("`{name}`: {message}");
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if name.is_empty() || name.len() > 64 || !name.bytes().all(is_word) {
                return Err(wrong("a command is called by up to 64 letters, digits, `-`, `_` and `.`"));
            }
            if kinds().any(|kind| kind.name == name) {
                return Err(wrong("there is a kind of this name already: call the command something else"));
            }
            let Some(fields) = fields.get().trim_start().strip_prefix('{') else {
                return Err(wrong("write {\"argv\":[\"program\", …]}"));
            };
            let comma = if fields.trim_start().starts_with('}') { "" } else { "," };
            let line = format!("{{\"kind\":\"command\"{comma}{fields}");
            let posted = parse_posted(&line, kinds().collect(), &Nothing).map_err(|error| wrong(&error.message))?;
            let mut params = parse_command(&posted.own).map_err(|error| wrong(&error.to_string()))?;
            if params.input.is_some() || params.stdin.is_some() {
                return Err(wrong("`input` and `stdin` are what differs from job to job: leave them out"));
            }
            let name: &'static str = leak(name);
            params.name.get_or_insert_with(|| Arc::from(name));
            commands.hide(name, &params);
            commands.kinds.push(kind_called(name));
            commands.commands.insert(name, Command { params, terms: posted.terms });
        }
        commands.hidden.sort_by_key(|(hidden, _)| std::cmp::Reverse(hidden.len()));
        Ok(commands)
    }

    /// Notes the paths that a command is made of: its programs go by its name, and other files by theirs.
    fn hide(&mut self, name: &str, params: &CommandParams) {
        let variants = params.variants.iter().flat_map(|variants| [&variants.cpu, &variants.gpu]);
        for argv in variants.chain([&params.argv]) {
            let mut words = argv.iter().map(|word| word.to_string_lossy().into_owned());
            let Some(program) = words.next() else { continue };
            let absolute = std::path::absolute(self.folder.join(&program)).unwrap_or_default();
            let programs = [absolute.display().to_string(), program].into_iter().filter(|path| path.contains('/'));
            self.hidden.extend(programs.map(|path| (path, name.to_owned())));
            for word in words {
                // As in `--weights=/models/v3.bin`.
                let path = word.rsplit_once('=').map_or(word.as_str(), |(_, value)| value);
                self.hidden.extend(shown_path(Path::new(path)).map(|shown| (path.to_owned(), shown)));
            }
        }
        if let Some(folder) = params.cwd.as_deref().filter(|folder| shown_path(folder).is_some()) {
            self.hidden.push((format!("{}/", folder.display().to_string().trim_end_matches('/')), String::new()));
        }
    }

    /// Their kinds.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &'static Kind> {
        self.kinds.iter().copied()
    }

    /// The folder that their relative paths start from.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A text without what clients are not to know: the programs of commands, and where they lie.
    pub(super) fn without_programs(&self, mut text: String) -> String {
        for (hidden, shown) in &self.hidden {
            if text.contains(hidden) {
                text = text.replace(hidden, shown);
            }
        }
        // The root of all files is in every path, and in every address.
        if self.folder.parent().is_none() {
            return text;
        }
        let folder = format!("{}/", self.folder.display());
        if text.contains(&folder) { text.replace(&folder, "") } else { text }
    }

    /// What is run for a job of this name that has these fields, an object of JSON, and asks for these terms: its own win, but for the
    /// memory, of which the operator's word is the least. `None` where there is no such command.
    pub(super) fn bind(&self, name: &str, own: String, asked: Terms) -> Option<(Box<dyn JobParams>, Terms)> {
        let Command { params, terms } = self.commands.get(name)?;
        let mut params = params.clone();
        let given: Option<Arc<str>> = Some(own.into());
        if params.workers.is_some() {
            params.input = given
        } else {
            params.stdin = given
        }
        let shortest = |a: Option<_>, b: Option<_>| a.into_iter().chain(b).min();
        let terms = Terms {
            after: Vec::new(),
            priority: asked.priority,
            timeout: shortest(asked.timeout, terms.timeout),
            retries: asked.retries.or(terms.retries),
            memory_bytes: asked.memory_bytes.max(terms.memory_bytes),
        };
        Some((Box::new(params), terms))
    }
}

/// The name of a file by which an absolute path of several folders goes; others say nothing, or are in every text.
fn shown_path(path: &Path) -> Option<String> {
    let tells = path.is_absolute() && path.components().count() > 2;
    path.file_name().filter(|_| tells).map(|name| name.to_string_lossy().into_owned())
}

/// A command itself refers to nothing of a job.
struct Nothing;

impl Beside for Nothing {
    fn file(&self, _: &str) -> Result<String, String> {
        Err("a command itself refers to no file of a job".to_owned())
    }

    fn dataset(&self, _: &str) -> Result<String, String> {
        Err("a command itself refers to no dataset: jobs do".to_owned())
    }

    fn number(&self, _: &str) -> Result<Option<u64>, String> {
        Ok(None)
    }

    fn id(&self, number: u64) -> String {
        number.to_string()
    }

    fn outcome(&self, _: u64) -> Option<Result<String, String>> {
        None
    }
}

/// Kinds live as long as the process: those of a file that is read once, at its begin, can.
fn leak(name: String) -> &'static str {
    Box::leak(name.into_boxed_str())
}

fn kind_called(name: &'static str) -> &'static Kind {
    const ASIDE: &[Aside] = &[];
    Box::leak(Box::new(Kind {
        name,
        summary: "a command of the operator's",
        variants: &[],
        // What stands in such a job is between the client and the program.
        parse: |_| Ok(Box::new(CommandParams::default())),
        input_field: Some("dataset"),
        aside: ASIDE,
        sample: |_| Box::new(CommandParams::default()),
        operations_per_unit: |_| None,
        shaders: Vec::new,
        command: || clap::Command::new("command"),
        from_args: |_| Err("a command of a service".to_owned()),
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(text: &str) -> Result<Commands, String> {
        Commands::parse(text, PathBuf::new())
    }

    #[test]
    fn a_command_is_its_program_and_a_job_what_it_is_asked() {
        let text = r#"{"predict":{"argv":["python3","p.py"],"workers":2,"timeout":"60s","memory":"1GiB"},
            "once":{"argv":["./once"],"retries":2}}"#;
        let commands = parse(text).unwrap();
        assert_eq!(commands.kinds().map(|kind| kind.name).collect::<Vec<_>>(), ["once", "predict"]);
        let asked =
            Terms { timeout: Some(Duration::from_secs(90)), memory_bytes: Some(1), priority: 4, ..Terms::default() };
        let (params, terms) = commands.bind("predict", r#"{"scan":1}"#.to_owned(), asked).unwrap();
        let shown = format!("{params:?}");
        assert!(shown.contains(r#"input: Some("{\"scan\":1}")"#) && shown.contains("p.py"), "{shown}");
        assert_eq!(
            (terms.timeout, terms.memory_bytes, terms.priority),
            (Some(Duration::from_secs(60)), Some(1 << 30), 4)
        );
        let (params, terms) = commands.bind("once", "{}".to_owned(), Terms::default()).unwrap();
        assert!(format!("{params:?}").contains(r#"stdin: Some("{}")"#));
        assert_eq!(terms.retries, Some(2));
        assert!(commands.bind("predict2", "{}".to_owned(), Terms::default()).is_none());
    }

    #[test]
    fn clients_do_not_hear_of_programs() {
        let commands = Commands::parse(r#"{"predict":{"argv":["./model-v3","x"]}}"#, "/opt/secret".into()).unwrap();
        let text = "/opt/secret/model-v3: no such program, in /opt/secret/data".to_owned();
        assert_eq!(commands.without_programs(text), "predict: no such program, in data");
        let text = r#"{"a":{"argv":["python3","/opt/models/v3.py","--weights=/srv/w/v3.bin"],"cwd":"/srv/run"},
            "b":{"argv":["python3","/opt/models/v3.py.old","/","/tmp"]}}"#;
        let commands = Commands::parse(text, "/etc/tandem".into()).unwrap();
        let said = "File \"/opt/models/v3.py\", line 3: /srv/w/v3.bin, /srv/run/x; not /opt/models/v3.py.old: /tmp/y and /etc/tandem/z";
        let heard = "File \"v3.py\", line 3: v3.bin, x; not v3.py.old: /tmp/y and z";
        assert_eq!(commands.without_programs(said.to_owned()), heard);
        for folder in ["/", ""] {
            let commands = Commands::parse(r#"{"predict":{"argv":["python3"]}}"#, folder.into()).unwrap();
            assert_eq!(commands.without_programs("see http://a//b".to_owned()), "see http://a//b", "{folder}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_command_is_said_by_name() {
        for (text, expected) in [
            ("[]", "not an object"),
            (r#"{"p":[]}"#, "`p`: write"),
            (r#"{"p":{}}"#, "`p`: "),
            (r#"{"p":{"argv":[]}}"#, "`p`: "),
            (r#"{"p":{"argv":["x"],"wrokers":1}}"#, "`wrokers`"),
            (r#"{"p":{"argv":["x"],"stdin":"y"}}"#, "from job to job"),
            (r#"{"stats":{"argv":["x"]}}"#, "a kind of this name"),
            (r#"{"a b":{"argv":["x"]}}"#, "letters, digits"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
