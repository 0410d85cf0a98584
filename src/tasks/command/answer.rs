//! What became of a program that ended well.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::kernels::Answer;

/// What a program printed on one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// All of it, or its last 64 KiB where it is longer.
    pub bytes: Vec<u8>,
    /// How many bytes there were.
    pub len: u64,
    /// Where all of it lies, if it was longer.
    pub file: Option<PathBuf>,
}

impl CommandAnswer {
    /// Removes the files that hold what was too long for an outcome, for whoever has read them; and their folder, where it is
    /// empty then. `None` where there are none.
    #[cfg(feature = "cli")]
    pub(crate) fn remover(&self) -> Option<Box<dyn FnOnce() + Send>> {
        let files: Vec<PathBuf> = [&self.stdout.file, &self.stderr.file].into_iter().flatten().cloned().collect();
        let remove = |path: PathBuf| {
            let _ = std::fs::remove_file(&path);
            if let Some(folder) = path.parent() {
                let _ = std::fs::remove_dir(folder);
            }
        };
        if files.is_empty() { None } else { Some(Box::new(move || files.into_iter().for_each(remove))) }
    }
}

impl Output {
    /// Its last line that is not blank, shortened, for a message.
    pub(super) fn last_line(&self) -> Option<String> {
        const SHOWN_CHARS: usize = 200;
        let text = String::from_utf8_lossy(&self.bytes);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
        let shown: String = line.chars().take(SHOWN_CHARS).collect();
        Some(if shown.len() < line.len() { shown + "…" } else { shown })
    }

    /// `"stdout":"…"`, and where it was longer than that, its length and its file.
    pub(super) fn fields(&self, name: &str) -> String {
        let text = serde_json::Value::from(String::from_utf8_lossy(&self.bytes));
        let mut out = format!("\"{name}\":{text}");
        if let Some(file) = &self.file {
            let file = serde_json::Value::from(file.to_string_lossy());
            let _ = write!(out, ",\"{name}_bytes\":{},\"{name}_file\":{file}", self.len);
        }
        out
    }

    /// Writes all of it, byte for byte.
    pub(super) fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.file {
            Some(file) => io::copy(&mut std::fs::File::open(file)?, out).map(|_| ()),
            None => out.write_all(&self.bytes),
        }
    }
}

/// How a program ended, and what it printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandAnswer {
    /// Its exit code; `None` where a signal ended it.
    pub exit_code: Option<i32>,
    /// The name of the signal that ended it: `SIGKILL`.
    pub signal: Option<String>,
    /// What it printed on standard output.
    pub stdout: Output,
    /// And on standard error.
    pub stderr: Output,
    /// The most memory that it held at once, in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

impl CommandAnswer {
    /// The fields of its JSON object, without the braces.
    pub(super) fn fields(&self) -> String {
        let mut text = match (self.exit_code, &self.signal) {
            (Some(code), _) => format!("\"exit_code\":{code}"),
            (None, Some(signal)) => format!("\"signal\":\"{signal}\""),
            (None, None) => "\"exit_code\":null".to_owned(),
        };
        let _ = write!(text, ",{},{}", self.stdout.fields("stdout"), self.stderr.fields("stderr"));
        text
    }
}

impl Answer for CommandAnswer {
    /// `{"exit_code":0,"stdout":"…","stderr":"…"}`; of a stream that is longer than 64 KiB its last bytes, and also
    /// `"stdout_bytes"` and `"stdout_file"`. Bytes that are not UTF-8 are replaced by U+FFFD.
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{{{}}}", self.fields())
    }

    /// What it printed, byte for byte.
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.stdout.write_to(out)
    }

    fn write_notes(&self, out: &mut dyn Write) -> io::Result<()> {
        self.stderr.write_to(out)
    }

    fn peak_memory_bytes(&self) -> Option<u64> {
        self.peak_memory_bytes
    }

    fn summary(&self) -> String {
        self.stdout.last_line().unwrap_or_else(|| "nothing printed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_exit_code_and_what_was_printed_also_where_it_is_no_text() {
        let answer = CommandAnswer {
            exit_code: Some(0),
            stdout: Output { bytes: b"a\"\n\xff".to_vec(), len: 4, file: None },
            stderr: Output { bytes: b"tail".to_vec(), len: 99_999, file: Some("/tmp/x.stderr".into()) },
            ..CommandAnswer::default()
        };
        let mut json = Vec::new();
        answer.write_json(&mut json).unwrap();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            "{\"exit_code\":0,\"stdout\":\"a\\\"\\n\u{fffd}\",\"stderr\":\"tail\",\"stderr_bytes\":99999,\
             \"stderr_file\":\"/tmp/x.stderr\"}"
        );
        let killed = CommandAnswer { signal: Some("SIGKILL".to_owned()), ..CommandAnswer::default() };
        assert!(killed.fields().starts_with("\"signal\":\"SIGKILL\",\"stdout\":\"\""));
    }

    #[test]
    fn the_summary_is_the_last_line_that_says_something() {
        let summary = |text: &str| {
            let stdout = Output { bytes: text.as_bytes().to_vec(), len: text.len() as u64, file: None };
            CommandAnswer { stdout, ..CommandAnswer::default() }.summary()
        };
        assert_eq!(summary("one\n two \n\n"), "two");
        assert_eq!(summary("\n"), "nothing printed");
        assert_eq!(summary(&"é".repeat(500)).chars().count(), 201);
    }
}
