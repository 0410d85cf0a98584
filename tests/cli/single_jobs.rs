//! `tandem primes` and `tandem stats`: text, JSON, plans, verification, exit codes.

use crate::program::{file, tandem, tandem_reading, tandem_with, write};

#[test]
fn primes_prints_a_line_for_each_number_in_their_order() {
    let ended = tandem(&["primes", "97", "91", "1", "-5", "18446744073709551557"]).expect(0);
    assert_eq!(ended.out, "97 prime\n91 composite\n1 neither\n-5 neither\n18446744073709551557 prime\n");
    assert_eq!(ended.err, "");
}

#[test]
fn primes_counts_and_lists_numbers_files_pipes_and_ranges() {
    let (_folder, path) = file("n.txt", "2\n4\n\n7\n");
    for (args, input, out) in [
        (&["primes", "97", "91", "--count"][..], "", "1\n"),
        (&["primes", "97", "91", "--list"], "", "97\n"),
        (&["primes", "--file", &path, "--list"], "", "2\n7\n"),
        (&["primes", "--file", "-", "--count"], "3\n5\n9\n", "2\n"),
        (&["primes", "--range", "0..1e6"], "", "78498\n"),
        (&["primes", "--range", "18446744073709551557..18446744073709551616", "--list"], "", "18446744073709551557\n"),
    ] {
        assert_eq!(tandem_reading(args, input.as_bytes()).expect(0).out, out, "{args:?}");
    }
}

#[test]
fn primes_of_a_range_are_counted_by_either_method_and_the_one_that_ends_first_says_so() {
    let count = |more: &[&str]| tandem(&[&["primes", "--range", "0..3e9"], more].concat()).expect(0);
    for method in ["auto", "sieve", "combinatorial"] {
        assert_eq!(count(&["--method", method]).out, "144449537\n", "{method}");
    }
    let explained = count(&["--explain"]).err;
    assert!(explained.contains("; done as combinatorial"), "{explained}");
    // What would take minutes to sieve is not sieved to verify it.
    let verified = tandem(&["primes", "--range", "0..1e12", "--verify"]).expect(0);
    assert!(verified.out.contains("as combinatorial") && verified.out.contains("all as sieve"), "{}", verified.out);
    // What is short is sieved, and so is what a GPU was asked for by name.
    let short = tandem(&["primes", "--range", "1e12..1000000100000", "--explain"]).expect(0).err;
    assert!(!short.contains("combinatorial"), "{short}");
    let refused = tandem(&["primes", "--range", "0..1e9", "--method", "combinatorial", "--device", "gpu"]);
    let named = refused.err.contains("leave out `--method combinatorial`");
    assert!(refused.code == Some(3) || refused.code == Some(1) && named, "{refused:?}");
}

#[test]
fn stats_prints_a_table_that_names_its_conventions() {
    let ended =
        tandem_reading(&["stats", "-", "--format", "json", "--quantiles", "0.5"], b"[1.5, 2, null, 4]").expect(0);
    let rows: Vec<Vec<&str>> = ended.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["count", "3"]) && rows.contains(&vec!["nan_count", "1"]), "{}", ended.out);
    assert!(rows.contains(&vec!["sum", "7.5"]) && rows.contains(&vec!["mean", "2.5"]), "{}", ended.out);
    assert!(rows.iter().any(|row| row[..2] == ["std", "(n-1)"]), "{}", ended.out);
    assert!(
        rows.contains(&vec!["quantile", "0.5", "2.0"]) || rows.contains(&vec!["quantile", "0.5", "2"]),
        "{}",
        ended.out
    );
}

#[test]
fn several_paths_are_told_apart_by_their_names_and_one_that_fails_leaves_the_others() {
    let (folder, a) = file("a.json", "[1,2]");
    let b = write(folder.path(), "b.json", "[3]");
    let ended = tandem(&["stats", &a, "/no/such.json", &b]).expect(1);
    assert_eq!(ended.err, "error: /no/such.json: no such file: check the path\n");
    assert!(ended.out.starts_with(&format!("{a}:\n")) && ended.out.contains(&format!("\n\n{b}:\n")), "{}", ended.out);
    let outcomes = tandem(&["stats", &a, &b, "--json"]).expect(0).json();
    assert_eq!((outcomes.len(), &outcomes[0]["id"], &outcomes[1]["id"]), (2, &a.clone().into(), &b.clone().into()));
    assert_eq!(outcomes[1]["result"]["sum"], 3.0);
    let together = tandem(&["stats", &a, &b, "--together", "--json"]).expect(0).json();
    assert_eq!((together.len(), &together[0]["result"]["count"]), (1, &3.into()));
}

#[cfg(feature = "netcdf")]
#[test]
fn a_variable_of_netcdf_files_is_one_dataset_together_and_named_where_there_are_several() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/netcdf/groups.nc");
    let outcome = &tandem(&["stats", path, path, "--var", "t2m", "--together", "--json"]).expect(0).json()[0];
    let result = &outcome["result"];
    assert_eq!((&result["count"], &result["nan_count"]), (&276.into(), &4.into()), "{outcome}");
    assert_eq!((&result["min"], &result["max"]), (&273.0.into(), &307.5.into()), "{outcome}");
    let ended = tandem(&["stats", path]).expect(1);
    assert!(ended.err.contains("2 variables of data: t2m (4×5×7 i16), forecast/t2m (3 f32)"), "{}", ended.err);
    assert!(ended.err.contains("--var NAME"), "{}", ended.err);
    let line = format!("{{\"kind\":\"stats\",\"file\":{path:?},\"var\":\"forecast/t2m\"}}\n");
    let (_folder, jobs) = file("jobs.jsonl", &line);
    assert_eq!(tandem(&["run", &jobs]).expect(0).json()[0]["result"]["sum"], 8.0);
    let usage = tandem(&["stats", "a.npy", "--var", "t2m"]).expect(2);
    assert!(usage.err.contains("`var` does not apply to format npy"), "{}", usage.err);
}

#[test]
fn statistics_along_an_axis_are_arrays_in_the_answer_or_in_a_file() {
    // Two rows of three 32-bit integers, little-endian.
    let header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }";
    let mut npy = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    npy.extend(format!("{header:<117}\n").bytes());
    npy.extend([1_i32, 2, 3, 5, 5, -5].into_iter().flat_map(i32::to_le_bytes));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    std::fs::write(&path, npy).unwrap();
    let path = path.to_str().unwrap();
    let outcome = &tandem(&["stats", path, "--axis", "-2", "--json"]).expect(0).json()[0];
    let result = &outcome["result"];
    assert_eq!((&result["shape"], &result["mean"]), (&serde_json::json!([3]), &serde_json::json!([3.0, 3.5, -1.0])));
    assert_eq!(result["min"], serde_json::json!(["1", "2", "-5"]), "{outcome}");

    let output = folder.path().join("o.npz");
    let ended = tandem(&["stats", path, "--axis", "1", "--output", output.to_str().unwrap()]).expect(0);
    assert!(ended.out.starts_with("2 cells, each of 3 elements along axis 1\n"), "{}", ended.out);
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&output).unwrap()).unwrap();
    assert_eq!(archive.len(), 8);
    let mut array = Vec::new();
    std::io::Read::read_to_end(&mut archive.by_name("sum.npy").unwrap(), &mut array).unwrap();
    assert!(array.starts_with(b"\x93NUMPY") && array.len() == 128 + 16, "{} bytes", array.len());
    assert_eq!(&array[128..], [6_i64.to_le_bytes(), 5_i64.to_le_bytes()].concat());

    let records = folder.path().join("o.npy");
    let line = format!("{{\"kind\":\"stats\",\"file\":{path:?},\"axis\":[0,1],\"output\":{records:?}}}\n");
    let (_folder, jobs) = file("jobs.jsonl", &line);
    tandem(&["run", &jobs]).expect(0);
    let array = std::fs::read(&records).unwrap();
    assert!(String::from_utf8_lossy(&array).contains("[('count', '<i8'), ('nan_count', '<i8'), ('min', '<i4')"));
    let record = [&6_i64.to_le_bytes()[..], &[0; 8], &(-5_i32).to_le_bytes(), &5_i32.to_le_bytes()].concat();
    assert_eq!(&array[array.len() - 56..][..24], record);
    let ended = tandem(&["stats", path, "--axis", "2"]).expect(1);
    assert!(ended.err.contains("has no axis 2: it has 2 axes (2, 3)"), "{}", ended.err);
}

#[cfg(feature = "netcdf")]
#[test]
fn an_axis_of_a_netcdf_variable_has_a_name() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/netcdf/groups.nc");
    let outcome =
        &tandem(&["stats", path, path, "--together", "--var", "t2m", "--axis", "0", "--json"]).expect(0).json()[0];
    assert_eq!((&outcome["result"]["shape"], &outcome["result"]["elements"]), (&serde_json::json!([5, 7]), &8.into()));
    let ended = tandem(&["stats", path, "--var", "t2m", "--axis", "depth"]).expect(1);
    assert!(ended.err.contains("has no axis `depth`: it has 3 axes"), "{}", ended.err);
}

#[cfg(feature = "dicom")]
#[test]
fn a_dicom_file_is_seen_through_a_window_its_own_or_a_given_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dicom/ct.dcm");
    let stats = |more: &[&str]| {
        let ended = tandem(&[&["stats", path, "--json"], more].concat()).expect(0);
        ended.json()[0]["result"].clone()
    };
    let numbers = |result: &serde_json::Value| (result["count"].clone(), result["nan_count"].clone());
    // Values as `tests/data/dicom/expected.json` has them: two are padding.
    let all = stats(&[]);
    assert_eq!((numbers(&all), &all["min"]), ((13.into(), 2.into()), &(-1938.0).into()), "{all}");
    // Its first window is 40, 400: from -160 to 239, where -88 is.
    let own = stats(&["--window", "file", "--histogram", "2"]);
    assert_eq!((numbers(&own), &own["sum"]), ((1.into(), 14.into()), &(-88.0).into()), "{own}");
    assert_eq!(own["histogram"]["edges"], serde_json::json!([-160.0, 39.5, 239.0]), "{own}");
    let given = stats(&["--window", "-700,301"]);
    assert_eq!(
        (numbers(&given), &given["min"], &given["max"]),
        ((3.into(), 12.into()), &(-733.0).into(), &(-642.0).into())
    );
    let clipped = stats(&["--window", "-700,301", "--outside", "clip"]);
    assert_eq!(
        (numbers(&clipped), &clipped["min"], &clipped["max"]),
        ((13.into(), 2.into()), &(-850.5).into(), &(-550.5).into())
    );
    let range = stats(&["--window", "file", "--histogram", "2:0..10"]);
    assert_eq!(range["histogram"]["edges"], serde_json::json!([0.0, 5.0, 10.0]), "a range of its own stays");
    // That of the other file is another, so that there is none of both.
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dicom/shared.dcm");
    let both = stats(&[other, "--together", "--window", "file", "--histogram", "1"]);
    assert_eq!(both["histogram"]["edges"][0], -88.0, "{both}");
    let both = stats(&[path, "--together", "--window", "file", "--histogram", "1"]);
    assert_eq!(
        (numbers(&both), &both["histogram"]["edges"]),
        ((2.into(), 28.into()), &serde_json::json!([-160.0, 239.0]))
    );
    // As a line of a job file, on any device and in any cut.
    let line = format!(
        "{{\"kind\":\"stats\",\"file\":{path:?},\"window\":{{\"center\":-700,\"width\":301}},\"axis\":\"row\"}}\n"
    );
    let (_folder, jobs) = file("jobs.jsonl", &line);
    let along = &tandem(&["run", &jobs]).expect(0).json()[0]["result"];
    assert_eq!(
        (&along["shape"], &along["count"]),
        (&serde_json::json!([5]), &serde_json::json!([1, 0, 0, 1, 1])),
        "{along}"
    );
    tandem(&["stats", path, "--window", "file", "--verify", "--quantiles", "0.5"]).expect(0);
    for (arguments, says) in [
        (&["stats", "a.npy", "--window", "file"][..], "`window` does not apply to format npy"),
        (&["stats", path, "--outside", "clip"], "--window"),
        (&["stats", path, "--window", "40"], "CENTER,WIDTH"),
        (&["stats", path, "--window", "file", "--outside", "keep"], "leave_out or clip"),
    ] {
        let usage = tandem(arguments).expect(2);
        assert!(usage.err.contains(says), "{}", usage.err);
    }
}

#[test]
fn json_is_one_outcome_of_the_documented_form() {
    let outcome = &tandem(&["primes", "97", "91", "--json"]).expect(0).json()[0];
    let fields: Vec<&String> = outcome.as_object().unwrap().keys().collect();
    let mut expected = ["schema", "index", "id", "kind", "status", "result", "device", "timings_ms", "attempts"];
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!(outcome["result"], serde_json::json!({"is_prime": [true, false], "prime_count": 1}));
    assert_eq!((&outcome["status"], &outcome["device"]), (&"succeeded".into(), &"cpu".into()));
    for phase in ["queued", "setup", "upload", "compute", "readback", "total"] {
        assert!(outcome["timings_ms"][phase].is_number(), "{outcome}");
    }
    let failed = tandem(&["stats", "/no/such.npy", "--json"]).expect(1);
    let outcome = &failed.json()[0];
    assert_eq!((&outcome["status"], &outcome["device"]), (&"failed".into(), &serde_json::Value::Null));
    assert!(outcome["error"]["message"].as_str().unwrap().contains("/no/such.npy"));
}

#[test]
fn explain_says_why_on_standard_error_and_leaves_the_answer_alone() {
    let ended = tandem(&["primes", "--range", "0..1e6", "--explain"]).expect(0);
    assert_eq!(ended.out, "78498\n");
    for part in ["plan       cpu", "why        ", "candidate", "predicted", "crossover", "took       ", "phases     "] {
        assert!(ended.err.contains(part), "{part} is not in {}", ended.err);
    }
    let plan = &tandem(&["primes", "97", "--json", "--explain"]).expect(0).json()[0]["plan"];
    assert!(plan["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    for field in ["device", "threads", "predicted_ms", "low_ms", "high_ms", "note"] {
        assert!(plan["candidates"][0].get(field).is_some(), "{field} is not in {plan}");
    }
}

#[test]
fn a_dry_run_prints_the_plan_and_no_answer() {
    let ended = tandem(&["primes", "--range", "0..1e18", "--method", "sieve", "--dry-run"]).expect(0);
    assert!(ended.out.contains("plan       ") && ended.out.contains("> "), "{}", ended.out);
    let plan =
        &tandem(&["primes", "--range", "0..1e18", "--method", "sieve", "--dry-run", "--json"]).expect(0).json()[0];
    assert!(plan["candidates"].is_array());
    assert!(tandem(&["stats", "/no/such.npy", "--dry-run"]).expect(1).err.contains("/no/such.npy"));
}

#[test]
fn verify_prints_same_bytes_and_their_hash() {
    let ended = tandem(&["primes", "--range", "0..1e6", "--verify", "--threads", "2"]).expect(0);
    let last = ended.out.lines().last().unwrap();
    let hash = last.strip_prefix("same bytes  ").unwrap_or_else(|| panic!("{}", ended.out));
    assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    assert!(ended.out.contains("cpu, 1 thread") && ended.out.contains("random split"), "{}", ended.out);
    let found = &tandem(&["primes", "--range", "0..1e6", "--verify", "--json"]).expect(0).json()[0];
    assert_eq!((&found["same"], &found["sha256"]), (&true.into(), &hash.into()));
}

#[test]
fn usage_errors_exit_with_2_and_say_what_to_do() {
    for (args, part) in [
        (&[][..], "Usage: tandem <COMMAND>"),
        (&["prime", "97"], "primes"),
        (&["primes"], "--range"),
        (&["primes", "x"], "`x`"),
        (&["primes", "18446744073709551616"], "18446744073709551615"),
        (&["primes", "--range", "9..3"], "9..3"),
        (&["primes", "97", "--device", "tpu"], "--device: unknown device `tpu`: use auto, cpu, gpu, gpu:N or split"),
        (&["primes", "97", "--threads", "0"], "--threads: `0` is no number of threads"),
        (&["primes", "97", "--dry-run", "--verify"], "cannot be used with"),
        (&["stats"], "PATH"),
        (&["stats", "x.npy", "--histogram", "0"], "histogram"),
        (&["run"], "JOBS.jsonl"),
        (&["model"], "show"),
        (&["bench", "nothing"], "primes"),
        (&["completions", "tcl"], "bash"),
    ] {
        let ended = tandem(args).expect(2);
        assert!(ended.err.contains(part) && ended.out.is_empty(), "{args:?}: {ended:?}");
    }
}

#[test]
fn a_wrong_variable_is_a_usage_error_that_names_it_and_an_option_wins_over_it() {
    for (name, value) in [("TANDEM_DEVICE", "tpu"), ("TANDEM_THREADS", "-1"), ("TANDEM_ALLOW_SOFTWARE_GPU", "maybe")] {
        let ended = tandem_with(&["primes", "97"], &[(name, value)]).expect(2);
        assert!(ended.err.starts_with(&format!("error: {name}: ")), "{}", ended.err);
    }
    tandem_with(&["primes", "97", "--device", "cpu"], &[("TANDEM_DEVICE", "tpu")]).expect(0);
}

#[test]
fn help_and_version_go_to_standard_output_and_succeed() {
    for args in [&["--help"][..], &["--version"], &["help", "run"], &["primes", "--help"]] {
        let ended = tandem(args).expect(0);
        assert!(!ended.out.is_empty() && ended.err.is_empty(), "{args:?}");
    }
}

#[test]
fn a_device_that_is_not_there_is_a_loud_error_with_code_3() {
    let ended = tandem(&["primes", "97", "--device", "gpu:4000000000"]).expect(3);
    assert!(
        ended.err.starts_with("error: ") && ended.err.contains("gpu:4000000000") && ended.out.is_empty(),
        "{ended:?}"
    );
    if !crate::machine::has_usable_gpu() {
        for device in ["gpu", "split"] {
            let ended = tandem(&["primes", "97", "--device", device]).expect(3);
            assert!(ended.err.contains("no such device") && ended.err.len() > 60, "{ended:?}");
        }
        let ended = tandem(&["primes", "--range", "0..1e8", "--method", "sieve", "--explain"]).expect(0);
        assert!(ended.err.contains("  gpus       not looked for, since this job is too short"), "{ended:?}");
        // Long enough to look for one.
        let ended = tandem(&["primes", "--range", "0..1e12", "--method", "sieve", "--dry-run"]).expect(0);
        assert!(ended.out.contains("there is no usable gpu (`tandem devices` says why)"), "{ended:?}");
    }
}

#[test]
fn what_only_the_cpu_can_do_is_refused_on_a_gpu_by_the_option_that_asks_for_it() {
    for (options, named) in [(&["--moments", "4"][..], "--moments 4"), (&["--axis", "0"], "--axis")] {
        for device in ["gpu", "split"] {
            let job = ["stats", "tests/data/npy/f32.npy", "--device", device];
            let ended = tandem(&[&job, options].concat()).expect(1);
            let expected = format!(
                "error: `stats` with `{named}` runs on the cpu only: leave out `{named}`, or use `--device cpu` in place of \
                 `--device {device}`\n"
            );
            assert_eq!((&*ended.err, &*ended.out), (&*expected, ""));
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_none() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = crate::program::command(&["primes", "97"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: standard output: No space left"));

    let mut child = crate::program::start(&["primes", "--range", "0..1e7", "--list"], std::process::Stdio::null());
    let mut first = [0; 2];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((&first, output.status.code(), &*output.stderr), (b"2\n", Some(0), &b""[..]));
}
