//! Devices, the model, completions.

use std::collections::BTreeSet;

use crate::program::{file, tandem, tandem_with};

/// Whether this machine has a GPU that is used without being asked to allow software.
pub fn has_usable_gpu() -> bool {
    let listed = &tandem(&["devices", "--json"]).expect(0).json()[0];
    listed["devices"].as_array().unwrap().iter().any(|device| device["device"] != "cpu" && device["usable"] == true)
}

#[test]
fn devices_lists_the_cpu_first_and_diagnoses_a_missing_gpu() {
    let ended = tandem(&["devices", "--threads", "3"]).expect(0);
    // How wide the labels are depends on what else there is.
    let threads = ended.out.lines().any(|line| line.split_whitespace().eq(["threads", "3"]));
    assert!(ended.out.starts_with("cpu  ") && threads, "{}", ended.out);
    let listed = &tandem(&["devices", "--json"]).expect(0).json()[0];
    assert_eq!((&listed["devices"][0]["device"], &listed["devices"][0]["kind"]), (&"cpu".into(), &"cpu".into()));
    assert_eq!(listed["diagnosis"].is_string(), !has_usable_gpu());
}

#[test]
fn what_a_run_took_is_learned_shown_and_forgotten() {
    let (folder, _) = file("unused", "");
    let path = folder.path().join("model.json");
    let path = path.to_str().unwrap();
    let kept = [("TANDEM_MODEL", path)];
    assert!(tandem_with(&["model", "show"], &kept).expect(0).out.contains("nothing measured yet"));
    for _ in 0..3 {
        tandem_with(&["primes", "--range", "0..3e8", "--device", "cpu"], &kept).expect(0);
    }
    let shown = &tandem_with(&["model", "show", "--json"], &kept).expect(0).json()[0];
    assert_eq!(shown["model"], path);
    assert!(
        shown["rows"].as_array().unwrap().iter().any(|row| row["kernel"] == "primes" && row["phase"] == "compute"),
        "{shown}"
    );
    assert!(tandem_with(&["model", "show"], &kept).expect(0).out.contains("primes"));
    assert!(tandem_with(&["model", "reset"], &kept).expect(0).err.ends_with("forgotten\n"));
    assert!(tandem_with(&["model", "reset"], &kept).expect(0).err.ends_with("there was nothing to forget\n"));
    assert!(tandem_with(&["model", "show"], &kept).expect(0).out.contains("nothing measured yet"));
}

#[test]
fn calibrate_teaches_the_model() {
    let (folder, _) = file("unused", "");
    let path = folder.path().join("model.json");
    let kept = [("TANDEM_MODEL", path.to_str().unwrap())];
    let mut kernels = BTreeSet::new();
    // How much fits into a second depends on who else is at work.
    for budget in ["2", "8", "32"] {
        tandem_with(&["calibrate", "--budget", budget], &kept).expect(0);
        let shown = &tandem_with(&["model", "show", "--json"], &kept).expect(0).json()[0];
        kernels.extend(shown["rows"].as_array().unwrap().iter().map(|row| row["kernel"].as_str().unwrap().to_owned()));
        if kernels.contains("primes") && kernels.contains("stats") {
            return;
        }
    }
    panic!("{kernels:?}");
}

#[test]
fn completions_know_every_subcommand() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = tandem(&["completions", shell]).expect(0).out;
        for word in ["primes", "stats", "calibrate", "completions"] {
            assert!(script.contains(word), "{word} is not in the script for {shell}");
        }
    }
}
