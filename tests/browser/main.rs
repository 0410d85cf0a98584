//! What is made for browsers, in a real one: reports of runs, and the pages of a service. `TANDEM_TEST_BROWSER=require` makes a missing
//! browser a failure, a path names one; else one is looked for, and where there is none these tests say so.
#![cfg(feature = "cli")]

#[cfg(all(unix, feature = "service"))]
mod devtools;
#[cfg(all(unix, feature = "service"))]
mod pages;
#[cfg(all(unix, feature = "service"))]
#[expect(dead_code, reason = "what it can do is for all tests of the service")]
#[path = "../service/program.rs"]
mod program;
mod reports;

use std::io::Write;
use std::path::{Path, PathBuf};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// The browser; `None` where there is none, and none is required.
fn browser() -> Option<PathBuf> {
    let asked = std::env::var("TANDEM_TEST_BROWSER").unwrap_or_default();
    if !asked.is_empty() && asked != "require" {
        assert!(Path::new(&asked).is_file(), "TANDEM_TEST_BROWSER: {asked} is no file");
        return Some(asked.into());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::split_paths(&folders).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    let found = paths.into_iter().find(|path| path.is_file());
    if found.is_none() {
        assert_ne!(asked, "require", "TANDEM_TEST_BROWSER=require, and none of {NAMES:?} is in PATH");
        // Past the capture of the test harness.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED what needs a browser, TANDEM_TEST_BROWSER=require fails here: none of {NAMES:?} is in PATH"
        );
    }
    found
}
