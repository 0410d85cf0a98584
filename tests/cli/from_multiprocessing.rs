//! `docs/from-multiprocessing.md`: every block of it is run as it stands there, and prints what stands beside it.
#![cfg(unix)]

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::program::write;

const PAGE: &str = include_str!("../../docs/from-multiprocessing.md");

/// A fenced block: its language, the name of the file that it is, and its text.
#[derive(Debug)]
struct Block<'a> {
    language: &'a str,
    file: Option<&'a str>,
    text: String,
}

/// The blocks of a part of the page.
fn blocks(part: &str) -> VecDeque<Block<'_>> {
    let mut blocks = VecDeque::new();
    let mut open: Option<Block<'_>> = None;
    for line in part.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, Some(info)) => {
                let mut words = info.split(' ');
                let language = words.next().unwrap_or_default();
                open = Some(Block { language, file: words.next(), text: String::new() });
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed: {open:?}");
    blocks
}

/// Puts the files of these blocks into the folder, and runs the commands; gives how many there were.
fn run(blocks: &mut VecDeque<Block<'_>>, folder: &Path) -> usize {
    let mut commands = 0;
    while let Some(block) = blocks.pop_front() {
        match (block.language, block.file) {
            ("python", None) => {}
            ("sh" | "json", Some(name)) => {
                let path = write(folder, name, &block.text);
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            ("sh", None) => {
                commands += 1;
                let expected = blocks.pop_front().filter(|next| next.language == "text");
                let expected = expected.unwrap_or_else(|| panic!("no output stands beside\n{}", block.text)).text;
                let (printed, err) = shell(&block.text, folder);
                assert_eq!(printed, expected, "of\n{}\nstandard error:\n{err}", block.text);
            }
            other => panic!("{other:?} is no kind of block that can be run:\n{}", block.text),
        }
    }
    commands
}

fn shell(script: &str, folder: &Path) -> (String, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_tandem"));
    let mut path = std::ffi::OsString::from(program.parent().unwrap());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TANDEM_")) {
        command.env_remove(name);
    }
    let command = command.arg("-c").arg(script).current_dir(folder).env("PATH", path);
    let output =
        command.env("TANDEM_MODEL", "none").env("NO_COLOR", "1").env("TANDEM_THREADS", "all").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn every_idiom_of_process_pools_runs_as_the_page_says() {
    let mut parts = PAGE.split("\n## ");
    let common = parts.next().unwrap();
    let mut commands = 0;
    for part in parts {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run(&mut blocks(common), folder.path()), 0, "what all parts share is files");
        let of_part = run(&mut blocks(part), folder.path());
        assert!(of_part > 0, "nothing is run in\n{part}");
        commands += of_part;
    }
    assert!(commands >= 12, "only {commands} were found");
}

#[test]
#[should_panic(expected = "standard error:")]
fn another_output_than_the_page_says_is_found() {
    let folder = tempfile::tempdir().unwrap();
    run(&mut blocks("```sh\necho 1\n```\n\n```text\n2\n```\n"), folder.path());
}
