//! The rules of the house, as far as a search of the sources can tell.

use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file under `folder`, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds sources");
    found
}

/// The lines of code, tests and comments left out, that hold one of `words`; as `file:line: text`.
fn offences(folder: &str, words: &[&str], except: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    for (path, text) in sources(folder) {
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_string_lossy().replace('\\', "/");
        if except.iter().any(|except| name.starts_with(except)) || name.contains("test") {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            if line.starts_with("#[cfg(test)]") {
                break;
            }
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                offences.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    offences
}

fn nobody(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn only_the_gpu_device_names_wgpu() {
    nobody(&offences("src", &["wgpu::", "use wgpu", "pollster"], &["src/device/gpu/"]));
}

#[test]
fn only_the_journal_names_its_database_and_only_the_front_of_the_service_knows_http() {
    nobody(&offences("src", &["rusqlite"], &["src/journal/"]));
    nobody(&offences("src", &["axum", "hyper", "tower"], &["src/service/http/"]));
}

#[test]
fn only_the_command_line_prints() {
    nobody(&offences("src", &["println!", "eprintln!", "print!(", "stdout()", "stderr()"], &["src/cli/"]));
}

#[test]
fn what_decides_and_what_renders_sees_no_clock_file_or_environment() {
    let impure = [
        "std::fs",
        "std::env",
        "Instant",
        "SystemTime",
        "File::",
        "CpuDevice",
        "GpuDevice",
        "dyn Device",
        "crate::cli",
    ];
    nobody(&offences("src/plan", &impure, &[]));
    nobody(&offences("src/engine/dispatch", &impure, &[]));
    nobody(&offences("src/report", &impure, &[]));
    nobody(&offences("src/timeline", &impure, &[]));
    for file in ["live", "quarantine", "ids"] {
        nobody(
            &offences("src/service", &impure, &[])
                .into_iter()
                .filter(|line| line.contains(&format!("/{file}.rs:")))
                .collect::<Vec<_>>(),
        );
    }
    nobody(&offences("src/model", &impure, &["src/model/store.rs"]));
}

#[test]
fn only_the_engine_starts_threads() {
    let threads = ["thread::spawn", "thread::Builder", "thread::scope", "ThreadPoolBuilder"];
    // A service has a thread that writes, one that looks at the clock, and those that read what clients send. Compiling a shader
    // needs a deeper stack than a caller may have; writing results, watching signals and the end of a budget wait for others; a
    // large CSV or list is decoded before its job can be planned, on as many threads as the job may use.
    let except = [
        "src/engine/",
        "src/device/gpu/",
        "src/results/",
        "src/cli/",
        "src/bench/job_file.rs",
        "src/input/csv/",
        "src/input/text/",
        "src/journal/",
        "src/service/",
    ];
    nobody(&offences("src", &threads, &except));
}

#[test]
fn the_search_finds_what_it_looks_for() {
    assert!(!offences("src", &["wgpu::"], &[]).is_empty());
    assert!(!offences("src/cli", &["println!", "stdout()", "stderr()"], &[]).is_empty());
    assert!(!offences("src/model", &["File::", "std::fs"], &[]).is_empty());
}
