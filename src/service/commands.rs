//! Commands that the operator defines: kinds of jobs of which clients know the name, and never the program.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
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
        // Of a bare name, it is empty.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = std::path::absolute(folder).unwrap_or(folder.to_owned());
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
            commands.kinds.push(kind_called(name));
            commands.commands.insert(name, Command { params, terms: posted.terms });
        }
        Ok(commands)
    }

    /// Their kinds.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &'static Kind> {
        self.kinds.iter().copied()
    }

    /// The folder that their relative paths start from.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the programs of commands lie, and what they are started with, each with what clients are told in its place.
    pub(super) fn paths(&self) -> Vec<(String, String)> {
        let mut paths = Vec::new();
        for (name, Command { params, .. }) in &self.commands {
            let variants = params.variants.iter().flat_map(|variants| [&variants.cpu, &variants.gpu]);
            for argv in variants.chain([&params.argv]) {
                let mut words = argv.iter().map(|word| word.to_string_lossy());
                let Some(program) = words.next() else { continue };
                let absolute = std::path::absolute(self.folder.join(&*program)).unwrap_or_default();
                let found = if program.contains('/') {
                    Some(absolute.clone())
                } else {
                    on_path(&program, params.env.get(OsStr::new("PATH")))
                };
                paths.extend(found.iter().flat_map(|program| installed_in(program)));
                let programs = [absolute.display().to_string(), program.into_owned()];
                paths.extend(
                    programs.into_iter().filter(|path| path.contains('/')).map(|path| (path, (*name).to_owned())),
                );
                words.for_each(|word| paths_in(&word, &mut paths));
            }
            params.env.values().for_each(|value| paths_in(&value.to_string_lossy(), &mut paths));
            params.cwd.iter().for_each(|folder| paths_in(&folder.to_string_lossy(), &mut paths));
        }
        // The root of all files is in every path.
        paths.extend(told_folder(&self.folder));
        paths
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

/// A folder of the operator's: what lies in it is told from there, and itself by its last name. The root of all is in every path.
pub(super) fn told_folder(folder: &Path) -> Vec<(String, String)> {
    let Some(name) = folder.file_name() else { return Vec::new() };
    let (path, name) = (folder.display().to_string(), name.to_string_lossy().into_owned());
    vec![(format!("{path}/"), String::new()), (path, name)]
}

/// Where a program without a slash is found.
fn on_path(program: &str, path: Option<&OsString>) -> Option<PathBuf> {
    let path = path.cloned().or_else(|| std::env::var_os("PATH"))?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|program| program.is_file())
}

/// The folder that a program was installed into with its library, as an environment of Python's is, and that of the program that a link to it
/// leads to. What lies in the system's own says nothing of this machine.
fn installed_in(program: &Path) -> Vec<(String, String)> {
    let real = program.canonicalize().ok();
    let root_of = |program: &Path| {
        let folder = program.parent()?;
        let is_usual = ["bin", "sbin", "shims"].iter().any(|name| folder.ends_with(name));
        let root = folder.parent().filter(|_| is_usual)?;
        (!["/", "/usr", "/usr/local"].iter().any(|system| root == Path::new(system))).then(|| told_folder(root))
    };
    [Some(program), real.as_deref()].into_iter().flatten().filter_map(root_of).flatten().collect()
}

/// The absolute paths in a word, as in `--weights=/models/v3.bin`, each with its last name. Those of one folder say nothing.
fn paths_in(word: &str, paths: &mut Vec<(String, String)>) {
    let is_end = |char: char| char.is_whitespace() || "=:,;'\"()".contains(char);
    for path in word.split(is_end).map(Path::new).filter(|path| path.is_absolute() && path.components().count() > 2) {
        if let (Some(text), Some(name)) = (path.to_str(), path.file_name()) {
            paths.push((text.trim_end_matches('/').to_owned(), name.to_string_lossy().into_owned()));
        }
    }
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
    use crate::service::untold::Paths;

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
    fn clients_do_not_hear_where_programs_and_models_lie() {
        let without = |text: &str, folder: &str, said: &str| {
            Paths::new(Commands::parse(text, folder.into()).unwrap().paths()).without(said)
        };
        let text = r#"{"predict":{"argv":["./model-v3","x"]}}"#;
        let said = "/opt/secret/model-v3: no such program, in /opt/secret/data";
        assert_eq!(without(text, "/opt/secret", said), "predict: no such program, in data");
        let text = r#"{"a":{"argv":["sh","-c","exec python3 /opt/models/v3.py"],"cwd":"/srv/run"},
            "b":{"argv":["python3","--weights=/srv/w/v3.bin","/","/tmp"],"env":{"HUB":"/mnt/hub/cache"}}}"#;
        let said = "File \"/opt/models/v3.py\", line 3: /srv/w/v3.bin, /srv/run/x, /mnt/hub/cache/y; /opt/models/v3.pyc, /tmp/z, /etc/tandem/q";
        let told = "File \"v3.py\", line 3: v3.bin, run/x, cache/y; /opt/models/v3.pyc, /tmp/z, q";
        assert_eq!(without(text, "/etc/tandem", said), told);
        for folder in ["/", ""] {
            let said = "see http://a//b, /c";
            assert_eq!(without(r#"{"p":{"argv":["python3"]}}"#, folder, said), said, "{folder}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn clients_do_not_hear_where_an_interpreter_was_installed() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        for bin in ["base/bin", "env/bin"] {
            std::fs::create_dir_all(base.join(bin)).unwrap();
        }
        std::fs::write(base.join("base/bin/snake3"), "").unwrap();
        std::os::unix::fs::symlink("../../base/bin/snake3", base.join("env/bin/snake")).unwrap();
        let base = base.display();
        let said =
            format!("File \"{base}/env/lib/x.py\", line 3, File \"{base}/base/lib/json.py\", line 4, /usr/lib/y");
        let told = "File \"lib/x.py\", line 3, File \"lib/json.py\", line 4, /usr/lib/y";
        for argv in [
            format!(r#"{{"argv":["{base}/env/bin/snake"]}}"#),
            format!(r#"{{"argv":["snake"],"env":{{"PATH":"/usr/bin:{base}/env/bin"}}}}"#),
        ] {
            let commands = Commands::parse(&format!(r#"{{"p":{argv}}}"#), "/etc/tandem".into()).unwrap();
            assert_eq!(Paths::new(commands.paths()).without(&said), told, "{argv}");
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
