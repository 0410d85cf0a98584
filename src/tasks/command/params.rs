//! What a job of a command asks for, and how a line of a job file says it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Error, IgnoredAny};
use serde_json::value::RawValue;

use crate::job::json_text::{Text, TextOrJson};
use crate::job::{BindContext, Bound, JobError, JobParams, KindParams, Reach, Sample};
use crate::tasks::Place;
use crate::tasks::command::process::{CommandTask, Program};
use crate::tasks::command::variants::VariantsTask;
use crate::tasks::command::worker::{POOL_WORKERS_MAX, WorkerTask};

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
    /// Files that it reads, by which a later run knows whether to run it again; relative paths start from the folder of the job
    /// file. They need not be there.
    pub inputs: Vec<PathBuf>,
    /// Left out, the program runs once for this job. Else it is a long-lived worker, which gets `input` as a line on standard
    /// input and answers with a line of JSON on standard output; jobs of the same program, environment and folder share so
    /// many of them, 1 to 1000, which live as long as the runner or the run.
    pub workers: Option<u32>,
    /// What the worker is asked: a JSON text; `null` if left out.
    pub input: Option<Arc<str>>,
    /// What it is called by those who remember how much memory it held and how long its variants took; if left out, the file name
    /// of the program, and that of its script after it.
    pub name: Option<Arc<str>>,
    /// In place of `argv`: a program for the CPU, one for a GPU, or both.
    pub variants: Option<CommandVariants>,
    /// How much there is to do, in units of its own, 1 at least: the times of variants are remembered by it. 1 if left out.
    pub size: Option<u64>,
}

/// Programs that do the same, with their arguments, of which the one runs that is predicted to end first.
///
/// The one for a GPU has that GPU to itself and finds its index in `TANDEM_GPU`; `CUDA_VISIBLE_DEVICES` and
/// `HIP_VISIBLE_DEVICES` show it that GPU alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandVariants {
    /// The one for the CPU; none if empty.
    pub cpu: Vec<OsString>,
    /// The one for a GPU; none if empty.
    pub gpu: Vec<OsString>,
}

impl CommandParams {
    /// A program with its arguments.
    pub fn new(argv: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// A question, a JSON text, for one of so many long-lived workers.
    ///
    /// ```no_run
    /// use tandem::runner::{Job, Runner};
    /// use tandem::tasks::command::{CommandParams, WorkerAnswer};
    ///
    /// let runner = Runner::builder().build()?;
    /// let ask = |scan: &str| Job::from(CommandParams::worker(["python3", "predict.py"], 2, format!("\"{scan}\"")));
    /// for outcome in runner.map(["a.dcm", "b.dcm"].map(ask)) {
    ///     println!("{}", outcome.answer::<WorkerAnswer>()?.answer);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn worker(
        argv: impl IntoIterator<Item = impl Into<OsString>>,
        workers: u32,
        input: impl Into<Arc<str>>,
    ) -> Self {
        Self { workers: Some(workers), input: Some(input.into()), ..Self::new(argv) }
    }

    /// A program for the CPU and one that does the same on a GPU.
    ///
    /// ```
    /// use tandem::runner::{Job, Runner};
    /// use tandem::tasks::command::CommandParams;
    ///
    /// let runner = Runner::builder().model(tandem::model::Location::Nowhere).gpus(Vec::new()).build()?;
    /// let job = CommandParams::either(["rustc", "--version"], ["no-such-program", "--gpu"]);
    /// let outcome = runner.submit(Job::from(job)).wait();
    /// assert_eq!(outcome.ran_on.to_string(), "cpu", "there is no gpu");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn either(
        cpu: impl IntoIterator<Item = impl Into<OsString>>,
        gpu: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        let (cpu, gpu) = (cpu.into_iter().map(Into::into).collect(), gpu.into_iter().map(Into::into).collect());
        Self { variants: Some(CommandVariants { cpu, gpu }), ..Self::default() }
    }

    /// The task that is settled on one of its variants.
    fn choice(&self, variants: &CommandVariants, base_dir: &Path) -> Result<VariantsTask, JobError> {
        let size = self.size.unwrap_or(1);
        check_variants(variants, !self.argv.is_empty(), self.workers.is_some())
            .and_then(|()| check_size(size))
            .and_then(|()| if self.input.is_some() { Err(INPUT_ALONE) } else { Ok(()) })
            .map_err(JobError::bad_input)?;
        let program = |argv: &[OsString]| match argv {
            [] => Ok(None),
            argv => self.program(argv, base_dir).map(Some),
        };
        let (cpu, gpu) = (program(&variants.cpu)?, program(&variants.gpu)?);
        Ok(VariantsTask { cpu, gpu, name: self.name.clone(), size })
    }

    /// The question for a worker, where it is one and can be asked.
    fn question(&self) -> Result<Option<(u32, Arc<str>)>, JobError> {
        let wrong = |message: &str| Err(JobError::bad_input(message));
        let Some(workers) = self.workers else {
            return match self.input {
                Some(_) => wrong(INPUT_ALONE),
                None => Ok(None),
            };
        };
        if self.stdin.is_some() {
            return wrong(STDIN_OF_WORKER);
        }
        check_workers(workers).map_err(JobError::bad_input)?;
        let input = self.input.clone().unwrap_or_else(|| "null".into());
        if let Err(error) = serde_json::from_str::<IgnoredAny>(&input) {
            return wrong(&format!("the input of a worker is no JSON: {error}"));
        }
        Ok(Some((workers, input)))
    }

    fn program(&self, argv: &[OsString], base_dir: &Path) -> Result<Program, JobError> {
        let Some(first) = argv.first().filter(|first| !first.is_empty()) else {
            return Err(JobError::bad_input("a command without a program: name one first"));
        };
        let nul = |text: &OsString| text.as_encoded_bytes().contains(&0);
        let is_name = |name: &OsString| !name.is_empty() && !name.as_encoded_bytes().contains(&b'=');
        if argv.iter().chain(self.env.values()).any(nul) || self.env.keys().any(|name| nul(name) || !is_name(name)) {
            return Err(JobError::bad_input(
                "a zero byte in an argument or a variable, or a variable without a name: no program can be given that",
            ));
        }
        let mut argv = argv.to_vec();
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

const INPUT_ALONE: &str = "`input` is for workers: give `workers` too, or `stdin` to a program that runs once";
const SIZE_ALONE: &str = "`size` is for `variants`, whose times are remembered by it: leave it out";
const STDIN_OF_WORKER: &str = "`stdin` is what a program reads that runs once: give `input` to a worker";

fn check_workers(workers: u32) -> Result<(), String> {
    if (1..=POOL_WORKERS_MAX).contains(&workers) {
        return Ok(());
    }
    Err(format!("{workers} workers: give 1 to {POOL_WORKERS_MAX}"))
}

fn check_variants(variants: &CommandVariants, has_argv: bool, has_workers: bool) -> Result<(), &'static str> {
    let CommandVariants { cpu, gpu } = variants;
    if has_argv {
        Err("`argv` and `variants`: give one of them")
    } else if has_workers {
        Err("`workers` and `variants`: only a program that runs once can have variants")
    } else if cpu.is_empty() && gpu.is_empty() {
        Err("`variants` names no program: give {\"cpu\":[\"program\", …],\"gpu\":[\"program\", …]}")
    } else {
        Ok(())
    }
}

fn check_size(size: u64) -> Result<(), &'static str> {
    if size > 0 { Ok(()) } else { Err("a `size` of 0: give the units of work that there are, 1 at least") }
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

    fn input_files(&self) -> Vec<&Path> {
        self.inputs.iter().map(PathBuf::as_path).collect()
    }

    fn reach(&self) -> Reach<'_> {
        Reach { programs: true, ..Reach::reading(self.input_files()) }
    }

    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        if let Some(variants) = &self.variants {
            return Ok(Bound::Task(Box::new(self.choice(variants, &context.base_dir)?)));
        }
        let (program, name) = (self.program(&self.argv, &context.base_dir)?, self.name.clone());
        Ok(Bound::Task(match self.question()? {
            None => Box::new(CommandTask { program, name, place: Place::Process }),
            Some((workers_max, input)) => {
                let workers = context.workers.clone();
                let pool = workers.pool(program, workers_max);
                Box::new(WorkerTask { workers, pool, input, name })
            }
        }))
    }
}

/// A line of a job file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    #[serde(rename = "device")]
    _device: Option<IgnoredAny>,
    argv: Option<Vec<Text>>,
    stdin: Option<TextOrJson>,
    #[serde(default)]
    env: BTreeMap<String, Text>,
    cwd: Option<PathBuf>,
    #[serde(default)]
    inputs: Vec<PathBuf>,
    name: Option<String>,
    workers: Option<u32>,
    /// As it is written, so that no digit of it is lost.
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    variants: Option<LineVariants>,
    /// Also as a string, which a matrix can fill in.
    size: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineVariants {
    cpu: Option<Vec<Text>>,
    gpu: Option<Vec<Text>>,
}

/// The programs of a line.
fn line_variants(variants: LineVariants, has_argv: bool, has_workers: bool) -> Result<CommandVariants, String> {
    let argv = |name: &str, argv: Option<Vec<Text>>| match argv {
        Some(argv) if argv.first().is_none_or(|program| program.0.is_empty()) => {
            Err(format!("`variants`: `{name}` names no program: give [\"program\", \"argument\", …], or leave it out"))
        }
        argv => Ok(argv.into_iter().flatten().map(|text| text.0.into()).collect()),
    };
    let variants = CommandVariants { cpu: argv("cpu", variants.cpu)?, gpu: argv("gpu", variants.gpu)? };
    check_variants(&variants, has_argv, has_workers)?;
    Ok(variants)
}

fn line_size(text: &str) -> Result<u64, String> {
    let size = text.parse().map_err(|_| format!("`size`: give a whole number from 1, not `{text}`"))?;
    check_size(size)?;
    Ok(size)
}

/// Parses a line of a job file.
pub(super) fn parse(text: &str) -> Result<CommandParams, serde_json::Error> {
    let Line { argv, stdin, env, cwd, inputs, name, workers, input, variants, size, .. } = serde_json::from_str(text)?;
    let variants = variants.map(|variants| line_variants(variants, argv.is_some(), workers.is_some()));
    let variants = variants.transpose().map_err(Error::custom)?;
    let argv = match argv {
        Some(argv) => argv,
        None if variants.is_some() => Vec::new(),
        None => return Err(Error::missing_field("argv")),
    };
    if variants.is_none() && argv.first().is_none_or(|program| program.0.is_empty()) {
        return Err(Error::custom("`argv` names no program: give [\"program\", \"argument\", …]"));
    }
    if size.is_some() && variants.is_none() {
        return Err(Error::custom(SIZE_ALONE));
    }
    let size = size.map(|size| line_size(&size.0)).transpose().map_err(Error::custom)?;
    match workers {
        None if input.is_some() => return Err(Error::custom(INPUT_ALONE)),
        Some(_) if stdin.is_some() => return Err(Error::custom(STDIN_OF_WORKER)),
        Some(workers) => check_workers(workers).map_err(|message| Error::custom(format!("`workers`: {message}")))?,
        None => {}
    }
    let argv = argv.into_iter().map(|text| text.0.into()).collect();
    let env = env.into_iter().map(|(name, value)| (name.into(), value.0.into())).collect();
    let input = input.map(|input| input.get().into());
    if name.as_deref() == Some("") {
        return Err(Error::custom("an empty `name`: leave it out or name the program"));
    }
    let (stdin, name) = (stdin.map(|text| text.0.into()), name.map(Arc::from));
    Ok(CommandParams { argv, stdin, env, cwd, inputs, workers, input, name, variants, size })
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
        let text = r#"{"id":"a","kind":"command","argv":["p","x y"],"stdin":"in","env":{"A":"1"},"cwd":"sub","inputs":["x y"]}"#;
        let params = parse(text).unwrap();
        assert_eq!(params.input_files(), [Path::new("x y")]);
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
    fn a_worker_is_asked_what_stands_in_the_line_digit_for_digit() {
        let text = r#"{"argv":["p"],"workers":2,"input":{"n": 12345678901234567890123, "x":1.10}}"#;
        let params = parse(text).unwrap();
        let question = params.question().unwrap();
        assert_eq!(question, Some((2, r#"{"n": 12345678901234567890123, "x":1.10}"#.into())));
        let asked = |text: &str| parse(text).unwrap().question().unwrap();
        assert_eq!(asked(r#"{"argv":["p"],"workers":1}"#), Some((1, "null".into())));
        assert_eq!(asked(r#"{"argv":["p"],"workers":1,"input":null}"#), Some((1, "null".into())));
        assert_eq!(asked(r#"{"argv":["p"]}"#), None);
        assert!(refused(r#"{"argv":["p"],"input":1}"#).contains("give `workers` too"));
        assert!(refused(r#"{"argv":["p"],"workers":1,"stdin":"x"}"#).contains("give `input` to a worker"));
        assert!(refused(r#"{"argv":["p"],"workers":0}"#).contains("give 1 to 1000"));
        assert!(refused(r#"{"argv":["p"],"workers":1001}"#).contains("give 1 to 1000"));
        let error = CommandParams::worker(["p"], 1, "{").question().unwrap_err();
        assert!(error.message.contains("no JSON"), "{error}");
    }

    #[test]
    fn a_line_names_variants_in_place_of_a_program() {
        let text = r#"{"variants":{"cpu":["p","--cpu"],"gpu":["p","--gpu"]},"size":40,"name":"fit"}"#;
        let params = parse(text).unwrap();
        let expected = CommandParams::either(["p", "--cpu"], ["p", "--gpu"]);
        assert_eq!(params, CommandParams { size: Some(40), name: Some("fit".into()), ..expected });
        assert_eq!(parse(r#"{"variants":{"gpu":["p"]},"size":"7"}"#).unwrap().size, Some(7));
        assert_eq!(parse(r#"{"variants":{"gpu":["p"]}}"#).unwrap(), CommandParams::either([""; 0], ["p"]));
        for (wrong, expected) in [
            (r#"{"argv":["p"],"variants":{"cpu":["p"]}}"#, "`argv` and `variants`: give one of them"),
            (r#"{"variants":{"cpu":["p"]},"workers":1}"#, "only a program that runs once"),
            (r#"{"variants":{}}"#, "`variants` names no program"),
            (r#"{"variants":{"cpu":[],"gpu":["p"]}}"#, "`cpu` names no program"),
            (r#"{"variants":{"tpu":["p"]}}"#, "unknown field `tpu`"),
            (r#"{"variants":{"cpu":["p"]},"size":0}"#, "1 at least"),
            (r#"{"variants":{"cpu":["p"]},"size":-1}"#, "a whole number from 1, not `-1`"),
            (r#"{"variants":{"cpu":["p"]},"size":1.5}"#, "a whole number from 1, not `1.5`"),
            (r#"{"argv":["p"],"size":3}"#, "`size` is for `variants`"),
        ] {
            assert!(refused(wrong).contains(expected), "{wrong}: {}", refused(wrong));
        }
        let bind = |params: CommandParams| params.bind(&BindContext::default()).unwrap_err().message;
        let both = CommandParams { argv: vec!["p".into()], ..CommandParams::either(["p"], ["q"]) };
        assert!(bind(both).contains("give one of them"));
        assert!(bind(CommandParams { size: Some(0), ..CommandParams::either(["p"], ["q"]) }).contains("1 at least"));
        assert!(bind(CommandParams::either([""; 0], [""; 0])).contains("names no program"));
    }

    #[test]
    fn relative_paths_start_from_the_folder_of_the_job_file() {
        let program = |params: CommandParams, base: &str| params.program(&params.argv, Path::new(base)).unwrap();
        let found = program(CommandParams::new(["./run.sh"]), "/data/jobs");
        assert_eq!((found.argv[0].to_str(), found.cwd), (Some("/data/jobs/run.sh"), Some("/data/jobs".into())));
        let found = program(CommandParams { cwd: Some("sub".into()), ..CommandParams::new(["python3"]) }, "/data");
        assert_eq!((found.argv[0].to_str(), found.cwd), (Some("python3"), Some("/data/sub".into())));
        let found = program(CommandParams::new(["./run.sh"]), "");
        assert_eq!((found.argv[0].to_str(), found.cwd), (Some("./run.sh"), None));
    }
}
