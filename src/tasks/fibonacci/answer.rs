//! What a job of Fibonacci terms ends with.

use std::io::{self, Write};

use crate::kernels::Answer;

/// One term of the Fibonacci sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Its index.
    pub n: u64,
    /// F(n), in decimal digits.
    pub value: String,
}

/// Terms of the Fibonacci sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FibonacciAnswer {
    /// The terms, in the order in which they were asked for.
    pub terms: Vec<Term>,
}

/// The longest value that a table has room for.
const SUMMARY_DIGITS_MAX: usize = 24;

impl Answer for FibonacciAnswer {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"{\"terms\":[")?;
        let mut separator = "";
        for Term { n, value } in &self.terms {
            write!(out, "{separator}{{\"n\":{n},\"value\":\"{value}\"}}")?;
            separator = ",";
        }
        out.write_all(b"]}")
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.terms.iter().try_for_each(|Term { n, value }| writeln!(out, "F({n}) = {value}"))
    }

    fn names_its_input(&self) -> bool {
        true
    }

    fn summary(&self) -> String {
        match &self.terms[..] {
            [Term { n, value }] if value.len() <= SUMMARY_DIGITS_MAX => format!("F({n}) = {value}"),
            [Term { n, value }] => format!("F({n}): {} digits", value.len()),
            [] => "no terms".to_owned(),
            terms => {
                let longest = terms.iter().map(|term| term.value.len()).max().unwrap_or_default();
                let digits = if longest == 1 { "digit" } else { "digits" };
                format!("{} terms of up to {longest} {digits}", terms.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(terms: &[(u64, &str)], json: &str, text: &str, summary: &str) {
        let terms = terms.iter().map(|&(n, value)| Term { n, value: value.to_owned() }).collect();
        let answer = FibonacciAnswer { terms };
        let (mut as_json, mut as_text) = (Vec::new(), Vec::new());
        answer.write_json(&mut as_json).unwrap();
        answer.write_text(&mut as_text).unwrap();
        assert_eq!(String::from_utf8(as_json).unwrap(), json);
        assert_eq!(String::from_utf8(as_text).unwrap(), text);
        assert_eq!(answer.summary(), summary);
    }

    #[test]
    fn answers_are_written_for_programs_and_people() {
        check(&[], r#"{"terms":[]}"#, "", "no terms");
        check(&[(10, "55")], r#"{"terms":[{"n":10,"value":"55"}]}"#, "F(10) = 55\n", "F(10) = 55");
        check(
            &[(10, "55"), (1, "1")],
            r#"{"terms":[{"n":10,"value":"55"},{"n":1,"value":"1"}]}"#,
            "F(10) = 55\nF(1) = 1\n",
            "2 terms of up to 2 digits",
        );
        let long = "1".repeat(25);
        let json = format!(r#"{{"terms":[{{"n":118,"value":"{long}"}}]}}"#);
        check(&[(118, &long)], &json, &format!("F(118) = {long}\n"), "F(118): 25 digits");
    }
}
