//! What a worker answered.

use std::io::{self, Write};

use crate::kernels::Answer;
use crate::tasks::command::Output;

/// A worker's answer to one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerAnswer {
    /// The JSON that it answered, as it wrote it.
    pub answer: String,
    /// What it printed on standard error meanwhile.
    pub stderr: Output,
    /// The most memory that it was seen to hold meanwhile, with all that it started, in bytes; `None` where the job was too
    /// short to look.
    pub peak_memory_bytes: Option<u64>,
}

impl Answer for WorkerAnswer {
    /// `{"answer":…,"stderr":"…"}`; of a `stderr` that is longer than 64 KiB its last bytes, and also `"stderr_bytes"` and
    /// `"stderr_file"`.
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{{\"answer\":{},{}}}", self.answer, self.stderr.fields("stderr"))
    }

    /// The answer, and a line end.
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.answer)
    }

    fn write_notes(&self, out: &mut dyn Write) -> io::Result<()> {
        self.stderr.write_to(out)
    }

    fn summary(&self) -> String {
        const SHOWN_CHARS: usize = 200;
        let shown: String = self.answer.chars().take(SHOWN_CHARS).collect();
        if shown.len() < self.answer.len() { shown + "…" } else { shown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_passed_on_as_it_was_written() {
        let stderr = Output { bytes: b"loaded\n".to_vec(), len: 7, file: None };
        let answer = WorkerAnswer { answer: "1.00000000000000000001".to_owned(), stderr, peak_memory_bytes: None };
        let mut json = Vec::new();
        answer.write_json(&mut json).unwrap();
        assert_eq!(String::from_utf8(json).unwrap(), r#"{"answer":1.00000000000000000001,"stderr":"loaded\n"}"#);
        assert_eq!(answer.summary(), "1.00000000000000000001");
    }
}
