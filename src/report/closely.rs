//! All that there is to see of one outcome.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::engine::Outcome;
use crate::report::figures::counted;
use crate::report::{Style, visible};

/// Of longer texts the first and the last lines are shown: so many in all.
const MAX_LINES: usize = 40;

/// So much of a text is looked at.
const MAX_BYTES: usize = 1 << 20;

/// What a job gave, for who looks closely: its answer, and what its program printed, also where it failed. Goes below what
/// [`explain`](crate::report::explain) says of it.
pub fn whole_result(outcome: &Outcome, style: Style) -> String {
    let mut text = String::new();
    match &outcome.result {
        Ok(answer) => {
            add(&mut text, "result", &collected(|out| answer.write_text(out)), style);
            add(&mut text, "stderr", &collected(|out| answer.write_notes(out)), style);
        }
        Err(error) => {
            let fields = error.details.as_deref().map(|details| format!("{{{details}}}")).unwrap_or_default();
            let fields: serde_json::Map<_, _> = serde_json::from_str(&fields).unwrap_or_default();
            for (name, value) in &fields {
                match value.as_str() {
                    Some(lines) => add(&mut text, name, lines, style),
                    None => _ = writeln!(text, "  {name:<10} {value}"),
                }
            }
        }
    }
    text
}

/// What `write` writes, as far as it is looked at.
fn collected(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    struct Bounded(Vec<u8>);
    impl Write for Bounded {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = MAX_BYTES - self.0.len();
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let len = bytes.len().min(room);
            self.0.extend_from_slice(&bytes[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut bounded = Bounded(Vec::new());
    let written = write(&mut bounded);
    let mut text = String::from_utf8_lossy(&bounded.0).into_owned();
    match written {
        Ok(()) => {}
        Err(_) if bounded.0.len() == MAX_BYTES => text.push_str("\n… and more"),
        Err(error) => _ = write!(text, "\nthe rest cannot be shown: {error}"),
    }
    text
}

/// The lines of a text under its name; nothing where it has none.
fn add(out: &mut String, name: &str, text: &str, style: Style) {
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "  {name}");
    let mut show = |lines: &[&str]| lines.iter().for_each(|line| _ = writeln!(out, "    {}", visible(line)));
    if lines.len() <= MAX_LINES {
        return show(&lines);
    }
    let (first, last) = (&lines[..MAX_LINES / 2], &lines[lines.len() - MAX_LINES / 2..]);
    let between = counted((lines.len() - MAX_LINES) as u64, "line", "lines");
    show(first);
    let _ = writeln!(out, "    {}", style.faint(&format!("… {between} more …")));
    last.iter().for_each(|line| _ = writeln!(out, "    {}", visible(line)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobError;
    use crate::report::examples::{failed, succeeded};

    #[test]
    fn an_answer_is_shown_as_it_is_for_people() {
        assert_eq!(whole_result(&succeeded(), Style::PLAIN), "  result\n    4 primes\n");
        assert_eq!(whole_result(&failed(), Style::PLAIN), "");
    }

    #[test]
    fn what_a_failed_program_printed_is_shown_line_by_line() {
        let error =
            JobError::bad_input("x").with_details("\"exit_code\":3,\"stdout\":\"\",\"stderr\":\"a\\nb\\u001b[2J\\n\"");
        let text = whole_result(&Outcome { result: Err(error), ..failed() }, Style::PLAIN);
        assert_eq!(text, "  exit_code  3\n  stderr\n    a\n    b\\u{1b}[2J\n");
    }

    #[test]
    fn of_long_texts_the_middle_is_left_out() {
        let long: String = (0..100).map(|line| format!("{line}\n")).collect();
        let mut text = String::new();
        add(&mut text, "stdout", &long, Style::PLAIN);
        assert!(text.starts_with("  stdout\n    0\n") && text.ends_with("    99\n"), "{text}");
        assert!(text.contains("    19\n    … 60 lines more …\n    80\n"), "{text}");
    }

    #[test]
    fn a_text_without_end_is_bounded() {
        let text = collected(|out| {
            loop {
                out.write_all(&[b'x'; 1000])?;
            }
        });
        assert_eq!(text.len(), MAX_BYTES + "\n… and more".len());
    }
}
