//! What a program is called by those who remember it: its file name, and that of its script where it is an interpreter.

use std::ffi::OsString;
use std::path::Path;

/// Endings of files that are no programs by themselves, but read by one.
const SCRIPTS: [&str; 20] = [
    "awk", "bash", "cjs", "exs", "ipynb", "jar", "jl", "js", "lua", "m", "mjs", "php", "pl", "ps1", "py", "r", "rb",
    "sh", "tcl", "ts",
];

/// `python3 predict.py` for `/usr/bin/python3 -u scripts/predict.py scan.dcm`: the first argument that is no option tells, where
/// its ending is that of a script.
pub(super) fn of(argv: &[OsString]) -> String {
    let Some(program) = argv.first() else { return String::new() };
    let mut name = file_name(program);
    let is_option = |argument: &&OsString| argument.as_encoded_bytes().starts_with(b"-");
    if let Some(first) = argv[1..].iter().find(|argument| !is_option(argument))
        && let Some(ending) = Path::new(first).extension()
        && SCRIPTS.iter().any(|script| ending.eq_ignore_ascii_case(script))
    {
        name.push(' ');
        name.push_str(&file_name(first));
    }
    name
}

fn file_name(path: &OsString) -> String {
    Path::new(path).file_name().unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_part_of_the_name_and_other_arguments_are_not() {
        let name = |argv: &[&str]| of(&argv.iter().map(Into::into).collect::<Vec<_>>());
        assert_eq!(name(&["python3", "predict.py", "scan.dcm"]), "python3 predict.py");
        assert_eq!(name(&["/usr/bin/python3", "-u", "a/b/predict.py"]), "python3 predict.py");
        assert_eq!(name(&["Rscript", "--vanilla", "fit.R", "1"]), "Rscript fit.R");
        assert_eq!(name(&["flac", "--best", "a.wav"]), "flac");
        assert_eq!(name(&["cp", "a.txt", "b.py"]), "cp");
        assert_eq!(name(&["python3", "-c", "pass"]), "python3");
        assert_eq!(
            (name(&["./run.sh"]), name(&["/"]), name(&[])),
            ("run.sh".to_owned(), "/".to_owned(), String::new())
        );
    }
}
