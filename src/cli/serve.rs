//! `tandem serve`.

use std::io::IsTerminal;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use etcetera::BaseStrategy;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use crate::cli::Stopped;
#[cfg(unix)]
use crate::cli::init;
use crate::cli::options::{Options, memory_arg, with_machine_options};
use crate::cli::terminal::tell;
use crate::engine::FREE_PART;
use crate::job::{parse_bytes, parse_duration, parse_wait};
use crate::service::{Commands, Keep, Listening, ServeOptions, serve};

/// A shorter database would hold next to no results.
const KEEP_BYTES_MIN: u64 = 16 << 20;

/// No job to speak of fits into less.
const MAX_BODY_BYTES_MIN: usize = 1 << 10;

const HELP: &str = "\
Jobs come as JSON over HTTP and are kept in an embedded database (DIR/jobs.sqlite): what was acknowledged is not lost. A page for people
is at /, the description of the API at /docs.

SIGTERM (or Ctrl-C) ends it: nothing more begins, what runs has --drain to end, and the rest runs at the next start. A second one ends
what runs at once.

Examples:
  tandem serve
  curl -d '{\"kind\":\"primes\",\"range\":\"0..1e9\"}' http://127.0.0.1:7878/v1/jobs
  tandem serve --commands commands.json --listen 0.0.0.0:7878 --token-file token.txt";

/// The subcommand.
pub(super) fn command() -> Command {
    let option =
        |id: &'static str, value: &'static str, help: &'static str| Arg::new(id).long(id).value_name(value).help(help);
    let switch = |id: &'static str, help: &'static str| Arg::new(id).long(id).help(help).action(ArgAction::SetTrue);
    let command = Command::new("serve").about("Runs jobs that come over HTTP").after_help(HELP).args([
        option("listen", "ADDR:PORT", "Where to listen; one that only this machine can reach needs no token")
            .default_value("127.0.0.1:7878")
            .value_parser(address),
        option("data", "DIR", "The folder of the database and of uploads [default: a folder of this user]")
            .value_parser(value_parser!(PathBuf)),
        option(
            "commands",
            "FILE",
            "Commands that clients may ask for by name: {\"predict\":{\"argv\":[…],\"workers\":2}}",
        )
        .value_parser(value_parser!(PathBuf)),
        option("token-file", "FILE", "Clients have to send the token in this file, as `Authorization: Bearer …`")
            .value_parser(value_parser!(PathBuf)),
        switch("no-token", "Let everybody in who can reach the address, also from other machines")
            .conflicts_with("token-file"),
        option("allow-path", "DIR", "Jobs may read and write files in this folder; may be repeated")
            .action(ArgAction::Append)
            .value_parser(value_parser!(PathBuf)),
        switch("allow-commands", "Jobs may be of kind `command`: clients may run any program"),
        switch("allow-fetch", "Jobs may fetch addresses"),
        option("queue", "N", "How many jobs there may be that have not ended")
            .default_value("100000")
            .value_parser(value_parser!(u32).range(1..)),
        option(
            "queue-memory",
            "SIZE",
            "How much memory the jobs that wait may take together [default: an eighth of what is free, 512MiB at most]",
        )
        .value_parser(bytes),
        option("keep", "TIME", "How long jobs that have ended are kept").default_value("7d").value_parser(duration),
        option("keep-jobs", "N", "How many jobs that have ended are kept")
            .default_value("1000000")
            .value_parser(value_parser!(u64)),
        option("keep-size", "SIZE", "How long the database may get: the oldest jobs that have ended leave it [default: all there is]")
            .value_parser(bytes),
        option("drain", "TIME", "How long running jobs may go on when the service ends; 0 stops them at once")
            .default_value("30s")
            .value_parser(wait),
        option(
            "device-rest",
            "TIME",
            "How long a GPU that has failed is left alone before it is tried again; twice as long each time",
        )
        .default_value("30s")
        .value_parser(duration),
        option("max-body", "SIZE", "The longest job").default_value("16MiB").value_parser(bytes),
        option(
            "body-memory",
            "SIZE",
            "How much memory all requests that are being read may take together [default: an eighth of what is free, 1GiB at most]",
        )
        .value_parser(bytes),
        option(
            "client-timeout",
            "TIME",
            "How long a client may send or take nothing, or next to nothing, before it is disconnected",
        )
        .default_value("60s")
        .value_parser(client_timeout),
        option("max-upload", "SIZE", "The most that the files of one job may have together").default_value("8GiB").value_parser(bytes),
        option(
            "max-data",
            "SIZE",
            "How much of the disk files of jobs, datasets and what programs print may take together; files of failed jobs make room [default: all there is]",
        )
        .value_parser(bytes),
        option("max-connections", "N", "How many connections there may be at once")
            .default_value("20000")
            .value_parser(value_parser!(u32).range(1..)),
    ]);
    #[cfg(unix)]
    let command = command.arg(switch(
        init::OPTION,
        "Reap what programs leave behind and pass signals on, as the first process of a container does by itself",
    ));
    with_machine_options(command.arg(memory_arg()))
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
}

fn wait(text: &str) -> Result<Duration, String> {
    parse_wait(text)
}

fn client_timeout(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    if time > Duration::from_secs(86_400) {
        return Err("give a day at most: each client holds a connection meanwhile".to_owned());
    }
    Ok(time)
}

fn bytes(text: &str) -> Result<u64, String> {
    parse_bytes(text)
}

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    #[cfg(unix)]
    if init::is_first() || matches.get_flag(init::OPTION) {
        return init::run();
    }
    let options = Options::read(matches)?;
    // Held to the end: then what is left of the log is written.
    let log = write_log(options.json);
    raise_file_limit();
    let commands = match matches.get_one::<PathBuf>("commands") {
        Some(path) => Commands::read(path).map_err(|error| Stopped::usage(format!("--commands {error}")))?,
        None => Commands::default(),
    };
    let memory_bytes = options.memory_bytes.unwrap_or_else(|| {
        crate::device::free_memory_bytes().map_or(u64::MAX, |free| (free as f64 * FREE_PART) as u64)
    });
    let serve_options = read(matches, memory_bytes)?;
    let runner = options.runner().memory_bytes(memory_bytes).explain(true).build()?;
    let signals = signals()?;
    let listening = serve(runner, commands, serve_options).map_err(Stopped::failed)?;
    say(options.json, format_args!("listening at http://{}", listening.address()));
    if wait_and_stop(signals, listening, options.json) {
        drop(log);
        end_at_once();
    }
    Ok(ExitCode::SUCCESS)
}

/// Where to listen, as in `127.0.0.1:7878`, `[::1]:7878` or `localhost:7878`.
fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().map(|mut addresses| addresses.next());
    found.ok().flatten().ok_or_else(|| "no address of this machine and port: write it as in 127.0.0.1:7878".to_owned())
}

fn read(matches: &ArgMatches, memory_bytes: u64) -> Result<ServeOptions, Stopped> {
    let number = |id: &str| matches.get_one::<u32>(id).copied().unwrap_or_default() as usize;
    let time = |id: &str| matches.get_one::<Duration>(id).copied();
    let size = |id: &str| matches.get_one::<u64>(id).copied().unwrap_or_default();
    let listen = *matches.get_one::<SocketAddr>("listen").ok_or_else(|| Stopped::usage("--listen: give ADDR:PORT"))?;
    let token = matches.get_one::<PathBuf>("token-file").map(|path| token_in(path)).transpose()?;
    if token.is_none() && !listen.ip().is_loopback() && !matches.get_flag("no-token") {
        return Err(Stopped::usage(format!(
            "--listen {listen}: other machines can reach this address: give --token-file FILE, or --no-token to let everybody in"
        )));
    }
    let keep_bytes = matches.get_one::<u64>("keep-size").copied();
    if let Some(bytes) = keep_bytes.filter(|bytes| *bytes < KEEP_BYTES_MIN) {
        return Err(Stopped::usage(format!(
            "--keep-size: {bytes} bytes leave nothing to ask for: give 16MiB at least"
        )));
    }
    let max_body_bytes = usize::try_from(size("max-body")).unwrap_or(usize::MAX);
    if max_body_bytes < MAX_BODY_BYTES_MIN {
        return Err(Stopped::usage(format!("--max-body: no job fits into {max_body_bytes} bytes: give 1KiB at least")));
    }
    let data = match matches.get_one::<PathBuf>("data") {
        Some(data) => data.clone(),
        None => usual_folder().ok_or_else(|| Stopped::usage("this user has no folder for data: give --data DIR"))?,
    };
    let data = std::path::absolute(&data).unwrap_or(data);
    Ok(ServeOptions {
        listen,
        data,
        token,
        allow_paths: matches.get_many("allow-path").map(|paths| paths.cloned().collect()).unwrap_or_default(),
        allow_commands: matches.get_flag("allow-commands"),
        allow_fetch: matches.get_flag("allow-fetch"),
        queue: number("queue"),
        queue_memory_bytes: match matches.get_one::<u64>("queue-memory") {
            Some(bytes) => usize::try_from(*bytes).unwrap_or(usize::MAX),
            None => an_eighth(512 << 20).max(16 << 20),
        },
        keep: Keep { time: time("keep"), jobs: size("keep-jobs"), bytes: keep_bytes },
        drain: time("drain").unwrap_or_default(),
        device_rest: time("device-rest").unwrap_or_default(),
        max_body_bytes,
        body_memory_bytes: match matches.get_one::<u64>("body-memory") {
            Some(bytes) => usize::try_from(*bytes).unwrap_or(usize::MAX),
            // Room for the longest job in any case, which takes its bytes twice.
            None => an_eighth(1 << 30).max(max_body_bytes.saturating_mul(3)).max(16 << 20),
        },
        client_timeout: time("client-timeout").unwrap_or_default(),
        max_upload_bytes: size("max-upload"),
        max_data_bytes: matches.get_one::<u64>("max-data").copied().unwrap_or(u64::MAX),
        max_connections: number("max-connections"),
        memory_bytes,
    })
}

/// An eighth of the memory that is free, and so much at most, in bytes.
fn an_eighth(most: usize) -> usize {
    let free = crate::device::free_memory_bytes().unwrap_or(u64::MAX);
    usize::try_from(free / 8).unwrap_or(usize::MAX).min(most)
}

fn usual_folder() -> Option<PathBuf> {
    Some(etcetera::choose_base_strategy().ok()?.data_dir().join("tandem").join("service"))
}

fn token_in(path: &Path) -> Result<String, Stopped> {
    let wrong = |message: String| Stopped::usage(format!("--token-file {}: {message}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let token = text.trim();
    if token.len() < 16 {
        return Err(wrong(
            "a token of fewer than 16 characters is soon guessed: `openssl rand -hex 32` makes one".to_owned(),
        ));
    }
    Ok(token.to_owned())
}

/// What the log calls that which the operator is told in any case.
const SAID: &str = "tandem::serve";

/// Tells the operator something, whatever the log lets through; where that is JSON, as a line of it, so that each line is.
fn say(as_json: bool, text: impl std::fmt::Display) {
    if as_json {
        tracing::info!(target: SAID, "{text}");
    } else {
        tell(text);
    }
}

/// One line an event on standard error, of what `TANDEM_LOG` lets through, as in `warn` or `tandem=debug`. Nobody waits for who reads it:
/// where that one stands still, or is gone, lines are lost and jobs are not.
fn write_log(as_json: bool) -> WorkerGuard {
    let filter = std::env::var("TANDEM_LOG").ok().and_then(|text| EnvFilter::from_str(&text).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new("tandem=info,warn"));
    let filter = match format!("{SAID}=info").parse() {
        Ok(said) => filter.add_directive(said),
        Err(_) => filter,
    };
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).log_internal_errors(false);
    let ansi = std::io::stderr().is_terminal();
    // Another one is there only where this is called from a test.
    let _ = if as_json {
        log.json().flatten_event(true).try_init()
    } else {
        log.with_ansi(ansi).with_target(false).try_init()
    };
    guard
}

/// Every connection is a file to the system.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: plain system calls, which read and write this one struct.
        unsafe {
            if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
                limit.rlim_cur = limit.rlim_max;
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
            }
        }
    }
}

#[cfg(unix)]
fn signals() -> Result<signal_hook::iterator::Signals, Stopped> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    // A terminal that is closed asks for an end, too: to be ended by it would count as a crash under the jobs that run. Under `nohup` it is to go on.
    let closes = (!ignores_hangup()).then_some(SIGHUP);
    signal_hook::iterator::Signals::new([SIGINT, SIGTERM].into_iter().chain(closes)).map_err(Stopped::failed)
}

#[cfg(unix)]
fn ignores_hangup() -> bool {
    let mut met = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a plain system call that changes nothing and writes this one struct, of which all zeros are a value.
    unsafe {
        libc::sigaction(libc::SIGHUP, std::ptr::null(), met.as_mut_ptr()) == 0
            && met.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// Ends the process without the libraries in it: a driver that hangs may hold what they wait for when they are taken down.
fn end_at_once() {
    // SAFETY: a plain system call that does not return; what this process writes is written by now, and there is nothing else to be undone.
    #[cfg(unix)]
    unsafe {
        libc::_exit(0)
    }
}

/// Waits for the first signal, and ends the service; a second one makes it quick. Whether the process is to end at once.
#[cfg(unix)]
fn wait_and_stop(mut signals: signal_hook::iterator::Signals, listening: Listening, as_json: bool) -> bool {
    let _ = signals.forever().next();
    say(as_json, "ending: what runs is let end; once more ends that too");
    let again = Arc::new(AtomicBool::new(false));
    let seen = again.clone();
    let watcher = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        // A terminal that is closed may say so twice.
        let asked = signals.forever().filter(|signal| *signal != signal_hook::consts::SIGHUP);
        asked.for_each(|_| seen.store(true, Ordering::Release));
    });
    drop(watcher);
    let stopped = listening.stop(&|| again.load(Ordering::Acquire));
    match stopped.left {
        0 => {}
        1 => say(as_json, format_args!("1 job is left, and runs at the next start")),
        left => say(as_json, format_args!("{left} jobs are left, and run at the next start")),
    }
    stopped.is_looking
}

#[cfg(not(unix))]
fn signals() -> Result<(), Stopped> {
    Ok(())
}

/// An interruption ends the process as the system has it; what was acknowledged is on disk.
#[cfg(not(unix))]
fn wait_and_stop(_signals: (), listening: Listening, _as_json: bool) -> bool {
    let _listening = listening;
    loop {
        std::thread::park();
    }
}
