//! What a job of a command asks for, and how a line of a job file says it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Error, IgnoredAny};

use crate::job::json_text::{Text, TextOrJson};
use crate::job::{BindContext, Bound, JobError, JobParams, KindParams, Sample};
use crate::tasks::command::process::{CommandTask, Program};

/// A program to run.
///
/// ```
/// use tandem::runner::{Job, Runner};
/// use tandem::tasks::command::{CommandAnswer, CommandParams};
///
/// let runner = Runner::builder().model(tandem::model::Location::Nowhere).build()?;
/// let outcome = runner.submit(Job::from(CommandParams::new(["rustc", "--version"]))).wait();
/// assert!(outcome.answer::<CommandAnswer>()?.stdout.bytes.starts_with(b"rustc "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandParams {
    /// The program and its arguments. A program without a slash is looked for in the folders of PATH; a relative path starts
    /// from the folder of the job file. There is no shell, unless it is the program.
    pub argv: Vec<OsString>,
    /// What it reads on standard input; nothing if left out.
    pub stdin: Option<Arc<str>>,
    /// Variables of its environment, besides those of this process.
    pub env: BTreeMap<OsString, OsString>,
    /// The folder that it runs in; that of the job file if left out.
    pub cwd: Option<PathBuf>,
}

impl CommandParams {
    /// A program with its arguments.
    pub fn new(argv: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    fn program(&self, base_dir: &Path) -> Result<Program, JobError> {
        let Some(first) = self.argv.first().filter(|first| !first.is_empty()) else {
            return Err(JobError::bad_input("a command without a program: name one first"));
        };
        let nul = |text: &OsString| text.as_encoded_bytes().contains(&0);
        let is_name = |name: &OsString| !name.is_empty() && !name.as_encoded_bytes().contains(&b'=');
        if self.argv.iter().chain(self.env.values()).any(nul) || self.env.keys().any(|name| nul(name) || !is_name(name))
        {
            return Err(JobError::bad_input(
                "a zero byte in an argument or a variable, or a variable without a name: no program can be given that",
            ));
        }
        let mut argv = self.argv.clone();
        if Path::new(first).components().count() > 1 && !base_dir.as_os_str().is_empty() {
            argv[0] = absolute(&base_dir.join(first)).into_os_string();
        }
        let cwd = match (&self.cwd, base_dir.as_os_str().is_empty()) {
            (Some(cwd), _) => Some(base_dir.join(cwd)),
            (None, true) => None,
            (None, false) => Some(base_dir.to_owned()),
        };
        let env = self.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Program { argv, stdin: self.stdin.clone(), env, cwd })
    }
}

/// A program's path, so that it means the same from the folder that it runs in.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl KindParams for CommandParams {
    const KIND: &'static str = super::KIND.name;
}

impl JobParams for CommandParams {
    /// Making a command ready touches no file.
    fn in_memory(&self) -> bool {
        true
    }

    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Task(Box::new(CommandTask { program: self.program(&context.base_dir)? })))
    }
}

/// A line of a job file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    #[serde(rename = "device")]
    _device: Option<IgnoredAny>,
    argv: Vec<Text>,
    stdin: Option<TextOrJson>,
    #[serde(default)]
    env: BTreeMap<String, Text>,
    cwd: Option<PathBuf>,
}

/// Parses a line of a job file.
pub(super) fn parse(text: &str) -> Result<CommandParams, serde_json::Error> {
    let Line { argv, stdin, env, cwd, .. } = serde_json::from_str(text)?;
    if argv.first().is_none_or(|program| program.0.is_empty()) {
        return Err(Error::custom("`argv` names no program: give [\"program\", \"argument\", …]"));
    }
    let argv = argv.into_iter().map(|text| text.0.into()).collect();
    let env = env.into_iter().map(|(name, value)| (name.into(), value.0.into())).collect();
    Ok(CommandParams { argv, stdin: stdin.map(|text| text.0.into()), env, cwd })
}

/// A program that does nothing.
pub(super) fn sample(_: &Sample) -> Box<dyn JobParams> {
    let argv: &[&str] = if cfg!(windows) { &["cmd", "/c", "exit"] } else { &["true"] };
    Box::new(CommandParams::new(argv.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_field_reaches_its_place() {
        let text = r#"{"id":"a","kind":"command","argv":["p","x y"],"stdin":"in","env":{"A":"1"},"cwd":"sub"}"#;
        let params = parse(text).unwrap();
        assert_eq!(params.argv, ["p", "x y"]);
        assert_eq!((params.stdin.as_deref(), params.cwd.as_deref()), (Some("in"), Some(Path::new("sub"))));
        assert_eq!(params.env.into_iter().collect::<Vec<_>>(), [("A".into(), "1".into())]);
    }

    #[test]
    fn what_is_no_command_is_refused() {
        assert!(refused(r#"{"argv":[]}"#).contains("names no program"));
        assert!(refused(r#"{"argv":[""]}"#).contains("names no program"));
        assert!(refused(r#"{}"#).contains("missing field `argv`"));
        assert!(refused(r#"{"argv":["a"],"shell":true}"#).contains("unknown field `shell`"));
        let bind = |params: CommandParams| params.bind(&BindContext::default()).unwrap_err().message;
        assert!(bind(CommandParams::new(["a\0b"])).contains("a zero byte"));
        let env = [("A=B".into(), "1".into())].into();
        assert!(bind(CommandParams { env, ..CommandParams::new(["a"]) }).contains("a variable without a name"));
        assert!(bind(CommandParams::default()).contains("name one first"));
    }

    #[test]
    fn relative_paths_start_from_the_folder_of_the_job_file() {
        let program = |params: CommandParams, base: &str| params.program(Path::new(base)).unwrap();
        let found = program(CommandParams::new(["./run.sh"]), "/data/jobs");
        assert_eq!((found.argv[0].to_str(), found.cwd), (Some("/data/jobs/run.sh"), Some("/data/jobs".into())));
        let found = program(CommandParams { cwd: Some("sub".into()), ..CommandParams::new(["python3"]) }, "/data");
        assert_eq!((found.argv[0].to_str(), found.cwd), (Some("python3"), Some("/data/sub".into())));
        let found = program(CommandParams::new(["./run.sh"]), "");
        assert_eq!((found.argv[0].to_str(), found.cwd), (Some("./run.sh"), None));
    }
}
