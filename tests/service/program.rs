//! The program under test, and a client as small as one can be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A job that takes some seconds on any machine, and can be cancelled.
pub const LONG: &str =
    r#"{"kind":"primes","range":"1000000000000000..1000300000000000","method":"sieve","device":"cpu"}"#;

/// A service that runs; killed when it is dropped.
pub struct Service {
    child: Child,
    pub address: String,
    /// What it said up to where it listens.
    pub first: String,
    pub data: TempDir,
    log: std::thread::JoinHandle<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header, where it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

impl Service {
    pub fn start(args: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), args)
    }

    /// With the data of an earlier one.
    pub fn start_in(data: TempDir, args: &[&str]) -> Self {
        let command = command(data.path(), args);
        Self::spawn(data, command)
    }

    /// Of a command that was made for this data.
    pub fn spawn(data: TempDir, mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        while !first.contains("listening at http://") {
            assert_ne!(errors.read_line(&mut first).unwrap(), 0, "it ended before it listened: {:?}", child.wait());
        }
        let address = first.rsplit("http://").next().unwrap();
        // In JSON more comes after it.
        let address = address.split('"').next().unwrap().trim().to_owned();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            let _ = errors.read_to_string(&mut log);
            log
        });
        Self { child, address, first, data, log }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a plain system call; the child is ours and has not been waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// Kills it, as nothing can be kept from, and gives its data.
    pub fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.data, tempfile::tempdir().unwrap())
    }

    /// Asks it to end; gives its exit code, its data and its log.
    pub fn end(self) -> (Option<i32>, TempDir, String) {
        self.signal(libc::SIGTERM);
        self.wait()
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> (Option<i32>, TempDir, String) {
        let code = self.child.wait().unwrap().code();
        let log = std::mem::replace(&mut self.log, std::thread::spawn(String::new)).join().unwrap();
        (code, std::mem::replace(&mut self.data, tempfile::tempdir().unwrap()), log)
    }

    pub fn send(&self, text: &[u8]) -> Reply {
        send(&self.address, text)
    }

    pub fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        request(&self.address, method, path, headers, body)
    }

    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path, "", b"")
    }

    pub fn post(&self, job: &str) -> Reply {
        self.request("POST", "/v1/jobs", "Content-Type: application/json\r\n", job.as_bytes())
    }

    /// The id of a job that is accepted.
    pub fn accepted(&self, job: &str) -> String {
        let reply = self.post(job);
        assert_eq!(reply.status, 202, "{reply:?}");
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    pub fn job(&self, id: &str) -> Value {
        self.get(&format!("/v1/jobs/{id}")).json()
    }

    /// The job once it is in this state.
    pub fn wait_for(&self, id: &str, state: &str) -> Value {
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            let job = self.get(&format!("/v1/jobs/{id}?wait=1s")).json();
            if job["state"] == state {
                return job;
            }
            assert!(Instant::now() < until, "it is not {state}: {job}");
            if job["state"] != "queued" && job["state"] != "running" && job["state"] != "retry_wait" {
                panic!("it is not {state}, and never will be: {job}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Posts a job and waits until it has ended.
    pub fn run(&self, job: &str) -> Value {
        let id = self.accepted(job);
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            let job = self.get(&format!("/v1/jobs/{id}?wait=10s")).json();
            if !job["ended_ms"].is_null() {
                return job;
            }
            assert!(Instant::now() < until, "it does not end: {job}");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn send(address: &str, text: &[u8]) -> Reply {
    // One that has ended says nothing.
    let Ok(mut stream) = TcpStream::connect(address) else {
        return Reply { status: 0, head: String::new(), body: String::new() };
    };
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // A server that has heard enough hangs up.
    let _ = stream.write_all(text);
    read_reply(stream)
}

pub fn request(address: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    send(address, &[head.as_bytes(), body].concat())
}

/// Posts a job, and says whether it was accepted; the service may end meanwhile.
pub fn post_on(mut stream: TcpStream, job: &[u8]) -> bool {
    let head = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        job.len()
    );
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let _ = stream.write_all(&[head.as_bytes(), job].concat());
    read_reply(stream).status == 202
}

pub fn command(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(["serve", "--model", "none", "--data"]).arg(data).args(args);
    if !args.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn read_reply(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    // A server that closes early has said what it had to say.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { without_chunks(body) } else { body.to_owned() };
    Reply { status, head: head.to_owned(), body }
}

fn without_chunks(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        if length == 0 || rest.len() < length {
            break;
        }
        whole += &rest[..length];
        body = rest[length..].trim_start_matches("\r\n");
    }
    whole
}
