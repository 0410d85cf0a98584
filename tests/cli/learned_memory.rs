//! How much memory commands held, and what is remembered of it.
#![cfg(target_os = "linux")]

use crate::program::{file, tandem_with};

/// A shell that holds some 20 MB, and a copy of it that holds more, for as long as it takes to be seen: neither makes way for the
/// last program that it runs.
const HOLD: &str = "x=$(head -c 20000000 /dev/zero | tr '\\0' x); (y=$x; sleep 1; :) & sleep 1; wait";

#[test]
fn the_model_remembers_by_name_what_all_processes_of_a_command_held() {
    let (folder, _) = file("unused", "");
    let path = folder.path().join("model.json");
    let kept = [("TANDEM_MODEL", path.to_str().unwrap())];
    tandem_with(&["command", "--name", "holder", "--", "sh", "-c", HOLD], &kept).expect(0);
    let script = crate::program::write(folder.path(), "quick.sh", "read -r line; echo 1; read -r line");
    tandem_with(&["map", "--workers", "1", "a", "--", "sh", &script], &kept).expect(0);
    tandem_with(&["map", "--name", "mine", "a", "--", "sh", "-c", "sleep 0.2"], &kept).expect(0);
    let shown = &tandem_with(&["model", "show", "--json"], &kept).expect(0).json()[0];
    let rows = shown["memory"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["holder", "mine", "sh quick.sh"]);
    let bytes: Vec<u64> = rows.iter().map(|row| row["bytes"].as_u64().unwrap()).collect();
    assert!(bytes[0] >= 40_000_000, "one process of it alone holds 20 MB: {rows:?}");
    assert!(bytes[1] > 100_000 && bytes[2] > 100_000 && bytes[2] < 20_000_000, "{rows:?}");
    let text = tandem_with(&["model", "show"], &kept).expect(0).out;
    assert!(text.contains("sh quick.sh"), "{text}");
}
