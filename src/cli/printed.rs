//! What programs print, as the output of a run of many.

use std::io::{self, Write};

use crate::cli::status_line;
use crate::engine::Outcome;
use crate::job::JobError;
use crate::report::visible;
use crate::results::{Afterwards, Render};
use crate::tasks::command::CommandAnswer;

/// Prints of each job what its program printed, also where it failed, or its answer as for people; with `tag`, its id and a tab
/// before every line.
pub(super) fn printed(tag: bool) -> Render {
    Box::new(move |outcome, out| {
        let (mut text, mut notes) = (Vec::new(), Vec::new());
        match &outcome.result {
            Ok(answer) => {
                answer.write_notes(&mut notes)?;
                if tag {
                    answer.write_text(&mut text)?;
                }
            }
            Err(error) => {
                text = of_failed(error, "stdout").into_bytes();
                notes = of_failed(error, "stderr").into_bytes();
            }
        }
        if tag {
            let mut tagged_notes = Vec::new();
            write_tagged(&mut tagged_notes, outcome, &notes)?;
            tell_bytes(&tagged_notes)?;
            write_tagged(out, outcome, &text)?;
        } else {
            tell_bytes(&notes)?;
            match &outcome.result {
                Ok(answer) => answer.write_text(out)?,
                Err(_) => out.write_all(&text)?,
            }
        }
        Ok(())
    })
}

/// What is to be done once all of that has left: files that held what was too long for an outcome have had their use then, and
/// not before, since a disk may be full.
pub(super) fn used_up(outcome: &Outcome) -> Option<Afterwards> {
    outcome.answer::<CommandAnswer>().ok()?.remover()
}

fn tell_bytes(text: &[u8]) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    status_line::above(text.ends_with(b"\n"), || io::stderr().write_all(text))
}

/// What a program that failed printed on this stream, as far as its error holds it.
pub(super) fn of_failed(error: &JobError, stream: &str) -> String {
    let Some(details) = &error.details else { return String::new() };
    let fields: serde_json::Map<_, _> = serde_json::from_str(&format!("{{{details}}}")).unwrap_or_default();
    fields.get(stream).and_then(|text| text.as_str()).unwrap_or_default().to_owned()
}

/// Every line of a text after the id of its job and a tab; the last one is ended, so that the next begins on its own.
fn write_tagged(out: &mut dyn Write, outcome: &Outcome, text: &[u8]) -> io::Result<()> {
    let id = visible(&outcome.id);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        out.write_all(id.as_bytes())?;
        out.write_all(b"\t")?;
        out.write_all(line)?;
        if !line.ends_with(b"\n") {
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::{failed, succeeded};

    fn tagged(outcome: &Outcome) -> String {
        let mut out = Vec::new();
        printed(true)(outcome, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_line_begins_with_the_id_and_ends() {
        assert_eq!(tagged(&succeeded()), "a\t4 primes\n");
        let mut out = Vec::new();
        let outcome = Outcome { id: "x\ny".into(), ..succeeded() };
        write_tagged(&mut out, &outcome, b"1\n\n2").unwrap();
        assert_eq!(out, b"x\\ny\t1\nx\\ny\t\nx\\ny\t2\n");
    }

    #[test]
    fn without_a_tag_what_a_failed_program_printed_is_as_it_was() {
        let error = JobError::bad_input("x").with_details("\"exit_code\":3,\"stdout\":\"so far\",\"stderr\":\"\"");
        let mut out = Vec::new();
        printed(false)(&Outcome { result: Err(error), ..failed() }, &mut out).unwrap();
        assert_eq!(out, b"so far");
    }

    #[test]
    fn what_a_failed_program_printed_is_there_too() {
        let error = JobError::bad_input("x").with_details("\"exit_code\":3,\"stdout\":\"so far\\n\",\"stderr\":\"\"");
        assert_eq!(tagged(&Outcome { result: Err(error), ..failed() }), "#5\tso far\n");
        assert_eq!(tagged(&failed()), "");
    }
}
