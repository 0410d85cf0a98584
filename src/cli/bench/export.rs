//! The files that a benchmark is written to.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bench::{Comparison, Report};
use crate::cli::{Stopped, whole_file};
use crate::report::{bench_csv, bench_html, bench_markdown};

/// How a benchmark is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Markdown,
    Html,
}

/// Each ending, and what it stands for.
const ENDINGS: [(&str, Format); 4] =
    [("json", Format::Json), ("csv", Format::Csv), ("md", Format::Markdown), ("html", Format::Html)];

/// A file that a benchmark is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Export {
    path: PathBuf,
    format: Format,
}

impl Export {
    /// By the ending of the file's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        match ENDINGS.iter().find(|(known, _)| Some(*known) == ending.as_deref()) {
            Some(&(_, format)) => Ok(Self { path, format }),
            None => {
                let known: Vec<String> = ENDINGS.iter().map(|(ending, _)| format!(".{ending}")).collect();
                Err(format!("the ending of `{text}` says nothing of its format: use one of {}", known.join(", ")))
            }
        }
    }

    /// Refuses, before anything is measured, a file that cannot be written or that is one of `inputs`, each with what it is.
    pub fn check(&self, inputs: &[(&Path, &str)]) -> Result<(), Stopped> {
        let path = self.path.display();
        let here = fs::canonicalize(&self.path).ok();
        let is_here = |input: &Path| here.is_some() && fs::canonicalize(input).ok() == here;
        if let Some((_, what)) = inputs.iter().find(|(input, _)| is_here(input)) {
            return Err(Stopped::usage(format_args!("--export: {path} is {what}: name another file")));
        }
        whole_file::check("--export", &self.path)
    }

    /// Writes it; where it is a plain file, beside it first, so that there is never half of one.
    pub fn write(&self, report: &Report, comparison: Option<(&Comparison, f64)>) -> Result<(), Stopped> {
        let text = self.render(report, comparison)?;
        whole_file::write("--export", &self.path, "", |out| out.write_all(text.as_bytes()))
    }

    fn render(&self, report: &Report, comparison: Option<(&Comparison, f64)>) -> Result<String, Stopped> {
        match self.format {
            Format::Json => serde_json::to_string(report).map(|text| text + "\n").map_err(Stopped::failed),
            Format::Csv => Ok(bench_csv(report)),
            Format::Markdown => Ok(bench_markdown(report, comparison)),
            Format::Html => Ok(bench_html(report, comparison)),
        }
    }

    /// Whether it holds all that was found, for comparisons.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// What users call it.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::examples;

    #[test]
    fn the_ending_says_the_format_and_an_unknown_one_is_refused_with_those_there_are() {
        assert_eq!(Export::parse("a/B.JSON").unwrap().format, Format::Json);
        assert_eq!(Export::parse("x.md").unwrap().format, Format::Markdown);
        for text in ["x", "-", "x.yaml", "json"] {
            assert!(Export::parse(text).unwrap_err().contains("use one of .json, .csv, .md, .html"), "{text}");
        }
    }

    #[test]
    fn files_are_checked_before_and_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.json");
        let export = Export::parse(path.to_str().unwrap()).unwrap();
        export.check(&[]).unwrap();
        assert!(!path.exists(), "checking writes nothing");
        let report = examples::report();
        export.write(&report, None).unwrap();
        let read: Report = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(read, report);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(export.check(&[(&path, "the baseline")]).is_err(), "it is an input");
        let nowhere = folder.path().join("none").join("r.csv");
        assert!(Export::parse(nowhere.to_str().unwrap()).unwrap().check(&[]).is_err());
    }
}
