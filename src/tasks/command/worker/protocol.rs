//! What tandem and a worker say to each other: a line of JSON for a job, a line of JSON for its answer. Pure; whoever has the
//! pipes carries it.

use memchr::memchr;
use serde::de::IgnoredAny;

/// How long an answer may be.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How deep an answer may be nested: what reads outcomes again does not go as deep as it likes.
const DEPTH_MAX: usize = 100;

/// What is wrong with what a worker said, as the end of a sentence that begins with its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Garbage {
    #[error("answered with what is no JSON (`{0}`): print one line of JSON a job on standard output, and nothing else")]
    NoJson(String),
    #[error("answered with JSON that is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("answered with a line of more than {0} bytes: write what is long to a file, and answer with its name")]
    TooLong(usize),
    #[error("printed more than the one line that answers a job (`{0}`): print all else on standard error")]
    More(String),
    #[error("answered before it had read its job: read one line of standard input for each answer")]
    Early,
}

/// A job's line on its way to a worker, and the answer on its way back.
#[derive(Debug)]
pub(super) struct Exchange {
    question: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    answer_bytes_max: usize,
    is_answered: bool,
}

impl Exchange {
    /// Asks `input`, a JSON text; its answer may have so many bytes.
    pub fn new(input: &str, answer_bytes_max: usize) -> Self {
        // Between JSON's tokens any blank is as good as another, and inside of them there are no line ends.
        let blank = |byte| if byte == b'\n' || byte == b'\r' { b' ' } else { byte };
        let question = input.bytes().map(blank).chain([b'\n']).collect();
        Self { question, sent: 0, answer: Vec::new(), answer_bytes_max, is_answered: false }
    }

    /// What the worker has not been given yet.
    pub fn unsent(&self) -> &[u8] {
        &self.question[self.sent..]
    }

    /// How many bytes it has been given.
    pub fn sent_bytes(&self) -> usize {
        self.sent
    }

    /// It was given so many bytes more.
    pub fn sent(&mut self, len: usize) {
        self.sent += len;
        debug_assert!(self.sent <= self.question.len());
    }

    /// It said this.
    ///
    /// # Errors
    /// Where that is no answer, or more than one.
    pub fn heard(&mut self, bytes: &[u8]) -> Result<(), Garbage> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.is_answered {
            return Err(Garbage::More(excerpt(bytes)));
        }
        let end = memchr(b'\n', bytes);
        let line = &bytes[..end.unwrap_or(bytes.len())];
        if self.answer.len() + line.len() > self.answer_bytes_max {
            return Err(Garbage::TooLong(self.answer_bytes_max));
        }
        self.answer.extend_from_slice(line);
        let Some(end) = end else { return Ok(()) };
        self.is_answered = true;
        if !self.unsent().is_empty() {
            return Err(Garbage::Early);
        }
        match &bytes[end + 1..] {
            [] => Ok(()),
            more => Err(Garbage::More(excerpt(more))),
        }
    }

    /// Whether the line is whole.
    pub fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// The answer, as it was written.
    ///
    /// # Errors
    /// Where it is no JSON.
    pub fn answer(self) -> Result<String, Garbage> {
        debug_assert!(self.is_answered);
        let text = String::from_utf8(self.answer).map_err(|error| Garbage::NoJson(excerpt(error.as_bytes())))?;
        if serde_json::from_str::<IgnoredAny>(&text).is_err() {
            return Err(Garbage::NoJson(excerpt(text.as_bytes())));
        }
        if depth(&text) > DEPTH_MAX {
            return Err(Garbage::TooDeep);
        }
        Ok(text.trim_ascii().to_owned())
    }
}

/// How deep a JSON text is nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// The start of what somebody wrote, for a message.
fn excerpt(bytes: &[u8]) -> String {
    const SHOWN_CHARS: usize = 60;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN_CHARS)]);
    let line = text.trim_start().lines().next().unwrap_or_default();
    let shown: String = line.chars().take(SHOWN_CHARS).collect();
    if shown.len() < line.len() { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes of these words of a worker that has read its job.
    fn said(pieces: &[&str]) -> Result<Option<String>, Garbage> {
        let mut exchange = Exchange::new("1", 20);
        exchange.sent(2);
        for piece in pieces {
            exchange.heard(piece.as_bytes())?;
        }
        if exchange.is_answered() { exchange.answer().map(Some) } else { Ok(None) }
    }

    #[test]
    fn a_line_is_the_answer_however_it_comes_and_as_it_was_written() {
        assert_eq!(said(&["{\"a\":1}\n"]), Ok(Some("{\"a\":1}".to_owned())));
        assert_eq!(said(&["12345678901", "2345678", "90\n"]), Ok(Some("12345678901234567890".to_owned())));
        assert_eq!(said(&["null\r", "\n", ""]), Ok(Some("null".to_owned())));
        assert_eq!(said(&["{\"a\"", ":1}"]), Ok(None));
        assert_eq!(said(&[]), Ok(None));
    }

    #[test]
    fn what_is_no_answer_or_more_than_one_is_told() {
        let no_json = |text: &str| Err(Garbage::NoJson(text.to_owned()));
        assert_eq!(said(&["loading…\n"]), no_json("loading…"));
        assert_eq!(said(&["\n"]), no_json(""));
        assert_eq!(said(&["1 2\n"]), no_json("1 2"));
        assert_eq!(said(&["NaN\n"]), no_json("NaN"));
        assert_eq!(said(&["1\n2\n"]), Err(Garbage::More("2".to_owned())));
        assert_eq!(said(&["1\n", "\n"]), Err(Garbage::More(String::new())));
        assert_eq!(said(&["1234567890", "1234567890", "1"]), Err(Garbage::TooLong(20)));
        let mut early = Exchange::new("1", 20);
        early.sent(1);
        assert_eq!(early.heard(b"1\n"), Err(Garbage::Early));
    }

    #[test]
    fn an_answer_is_nested_no_deeper_than_readers_go() {
        let nested = |levels: usize| {
            let mut exchange = Exchange::new("1", 1000);
            exchange.sent(2);
            exchange.heard(format!("{}{}\n", "[".repeat(levels), "]".repeat(levels)).as_bytes()).unwrap();
            exchange.answer().map(|_| ())
        };
        assert_eq!((nested(DEPTH_MAX), nested(DEPTH_MAX + 1)), (Ok(()), Err(Garbage::TooDeep)));
        assert_eq!((depth(r#"["[[[\"[[",{}]"#), depth("1")), (2, 0));
    }

    #[test]
    fn a_job_is_one_line_whatever_blanks_it_was_written_with() {
        let mut exchange = Exchange::new("{\"a\":\r\n[1,\n2]}", 20);
        assert_eq!(exchange.unsent(), b"{\"a\":  [1, 2]}\n");
        exchange.sent(14);
        assert_eq!(exchange.unsent(), b"\n");
    }

    #[test]
    fn excerpts_are_short_and_of_one_line() {
        assert_eq!(excerpt(b"\n\nTraceback\nmore"), "Traceback");
        assert_eq!(excerpt("é".repeat(500).as_bytes()).chars().count(), 61);
    }

    proptest! {
        #[test]
        fn where_an_answer_is_cut_makes_no_difference(text in "[0-9\\[\\]\\n ]{0,30}", cut in 0_usize..30) {
            let cut = cut.min(text.len());
            // But that a second line, which comes with the first or after it, is told with what came of it.
            let kind = |got: Result<Option<String>, Garbage>| got.map_err(|garbage| std::mem::discriminant(&garbage));
            prop_assert_eq!(kind(said(&[&text])), kind(said(&[&text[..cut], &text[cut..]])));
        }
    }
}
