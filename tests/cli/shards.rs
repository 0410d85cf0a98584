//! A job file in shards, and their results joined.

use crate::program::{command, file, tandem, tandem_reading, write};

/// Chains of two, plain jobs, one that fails, and a line that is no job.
fn jobs() -> String {
    let chain = |n: u32| {
        format!(
            "{{\"id\":\"a{n}\",\"kind\":\"factor\",\"n\":{}}}\n{{\"id\":\"b{n}\",\"kind\":\"factor\",\"n\":{},\"after\":\"a{n}\"}}\n",
            n + 2,
            n + 3
        )
    };
    let chains: String = (0..10).map(chain).collect();
    chains + "broken\n{\"kind\":\"primes\",\"file\":\"none.txt\"}\n\n{\"kind\":\"primes\",\"numbers\":[97]}\n"
}

#[test]
fn shards_together_are_the_whole_run() {
    let (folder, path) = file("jobs.jsonl", jobs());
    let whole = tandem(&["run", &path, "--results-only"]).expect(1).out;
    let mut names = Vec::new();
    for shard in 0..3 {
        let name = folder.path().join(format!("r-{shard}.jsonl")).to_str().unwrap().to_owned();
        let ended = tandem(&["run", &path, "--results-only", "--shard", &format!("{shard}/3"), "--output", &name]);
        let text = std::fs::read_to_string(&name).unwrap();
        let count = text.lines().count();
        assert!((6..=9).contains(&count), "{count} of 23 jobs in shard {shard}: {ended:?}");
        // On standard output it is the same, in the same order, from a file and from a pipe.
        assert_eq!(tandem(&["run", &path, "--results-only", "--shard", &format!("{shard}/3")]).out, text);
        let piped = ["run", "-", "--results-only", "--shard", &format!("{shard}/3")];
        let mut piped = command(&piped);
        piped.current_dir(folder.path());
        assert_eq!(piped.stdin(std::fs::File::open(&path).unwrap()).output().unwrap().stdout.len(), {
            // Only the names of files in messages differ.
            let text = text.replace(&format!("{path}:"), "standard input:");
            text.replace(&format!("{}/none.txt", folder.path().display()), "none.txt").len()
        });
        names.push(name);
    }
    names.reverse();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ended = tandem(&[&["merge", "-"], &names[..]].concat()).expect(1);
    assert!(ended.out == whole, "{}", ended.out);
    assert_eq!(ended.err, "23 jobs, 2 failed\n");
    let out = folder.path().join("all.jsonl");
    let out = out.to_str().unwrap();
    tandem(&[&["merge", out], &names[..]].concat()).expect(1);
    assert!(std::fs::read_to_string(out).unwrap() == whole);
    // A file that was forgotten is not taken for the one to write.
    let ended = tandem(&[&["merge"], &names[..]].concat()).expect(2);
    assert!(ended.err.contains("r-2.jsonl is there already: name the file to write first"), "{ended:?}");
    tandem(&[&["merge", "--force", out], &names[..]].concat()).expect(1);
    let ended = tandem(&[&["merge", "-"], &names[1..]].concat()).expect(1);
    assert!(ended.err.contains("no outcome of index ") && ended.err.contains(" without an outcome\n"), "{ended:?}");
    let ended = tandem(&["merge", "-", names[0], names[0]]).expect(1);
    assert!(ended.err.contains(" both have index "), "{ended:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
}

#[test]
fn a_shard_of_good_jobs_ends_with_0_though_others_failed_and_so_does_their_merging() {
    let (folder, path) = file("jobs.jsonl", "{\"kind\":\"primes\",\"numbers\":[97]}\n".repeat(5));
    let name = |shard: u32| folder.path().join(format!("{shard}.jsonl")).to_str().unwrap().to_owned();
    for shard in 0..2 {
        let ended = tandem(&["run", &path, "--shard", &format!("{shard}/2"), "--output", &name(shard)]).expect(0);
        assert_eq!(ended.err, format!("{} jobs, 0 failed\n", 3 - shard));
    }
    // A shard goes on by itself.
    let ended = tandem(&["run", &path, "--shard", "1/2", "--output", &name(1), "--resume"]).expect(0);
    assert_eq!(ended.err, "2 jobs, 0 failed, 2 kept from an earlier run\n");
    assert_eq!(tandem(&["merge", "-", &name(0), &name(1)]).expect(0).err, "5 jobs, 0 failed\n");
    // More shards than jobs: some have none.
    let ended = tandem(&["run", &path, "--shard", "6/7"]).expect(0);
    assert_eq!((&*ended.out, &*ended.err), ("", "0 jobs, 0 failed\n"));
}

#[test]
fn a_job_that_waits_for_two_shards_is_a_usage_error_before_anything_runs() {
    let jobs = "{\"id\":\"a\",\"kind\":\"primes\",\"numbers\":[97]}\n{\"id\":\"b\",\"kind\":\"primes\",\"numbers\":[97]}\n\
        {\"id\":\"all\",\"kind\":\"primes\",\"numbers\":[97],\"after\":[\"a\",\"b\"]}\n";
    for shard in ["0/2", "1/2"] {
        let ended = tandem_reading(&["run", "-", "--shard", shard], jobs.as_bytes()).expect(2);
        let expected = "--shard: standard input: `all` waits for jobs of two shards (`after`): that in place 0 of the run is in \
            shard 0, that in place 1 in shard 1: put it into a job file of its own, for a run after `tandem merge`\n";
        assert!(ended.out.is_empty() && ended.err.ends_with(expected), "{ended:?}");
    }
    tandem_reading(&["run", "-", "--shard", "0/1"], jobs.as_bytes()).expect(0);
    let ended = tandem_reading(&["run", "-", "--shard", "2/2"], jobs.as_bytes()).expect(2);
    assert!(ended.err.contains("there is no shard 2 of 2: they are counted from 0 to 1"), "{ended:?}");
}

#[test]
fn what_is_no_result_of_a_run_is_not_merged() {
    let (folder, path) = file("r.jsonl", "{\"kind\":\"primes\"}\n");
    let out = folder.path().join("all.jsonl");
    let ended = tandem(&["merge", out.to_str().unwrap(), &path]).expect(1);
    assert!(ended.err.contains("r.jsonl:1: no outcome of a run: name results files only"), "{ended:?}");
    write(folder.path(), "s.jsonl.partial", "");
    let missing = folder.path().join("s.jsonl");
    let ended = tandem(&["merge", out.to_str().unwrap(), missing.to_str().unwrap()]).expect(1);
    assert!(ended.err.contains("go on with it by --resume first"), "{ended:?}");
    assert!(!out.exists() && !folder.path().join("all.jsonl.partial").exists());
}

#[test]
fn a_shard_whose_run_was_begun_again_and_cut_off_is_not_merged_as_it_was_before() {
    let (folder, path) = file("jobs.jsonl", "{\"kind\":\"primes\",\"numbers\":[97]}\n".repeat(3));
    let shard = folder.path().join("s.jsonl");
    let shard = shard.to_str().unwrap();
    tandem(&["run", &path, "--output", shard]).expect(0);
    let lines = std::fs::read_to_string(shard).unwrap();
    let partial = write(folder.path(), "s.jsonl.partial", lines.lines().next().unwrap().to_owned() + "\n");
    let out = folder.path().join("all.jsonl");
    for out in ["-", out.to_str().unwrap()] {
        let ended = tandem(&["merge", out, shard]).expect(1);
        assert!(ended.out.is_empty(), "{ended:?}");
        let expected =
            "s.jsonl.partial is there, of a run that goes on or was cut off: wait for its end or go on with it by";
        assert!(ended.err.contains(expected), "{ended:?}");
    }
    assert!(!out.exists());
    // One that was cut off before its first result, or that is gone, is in nobody's way.
    write(folder.path(), "s.jsonl.partial", "");
    assert!(tandem(&["merge", "-", shard]).expect(0).out == lines);
    std::fs::remove_file(partial).unwrap();
    tandem(&["merge", "-", shard]).expect(0);
}
