//! Runs that go on where others have ended: `--resume`.
#![cfg(unix)]

use std::path::Path;

use crate::program::{Ended, command, start, tandem, write};

/// A folder with a job file, its results, and a note of which jobs have really run.
pub struct Night {
    pub folder: tempfile::TempDir,
}

impl Night {
    pub fn new(jobs: &str) -> Self {
        let night = Self { folder: tempfile::tempdir().unwrap() };
        night.jobs(jobs);
        night
    }

    pub fn jobs(&self, jobs: &str) {
        write(self.folder.path(), "jobs.jsonl", jobs);
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        tandem(&[&["run", &self.path("jobs.jsonl"), "--output", &self.path("r.jsonl")], args].concat())
    }

    pub fn resume(&self) -> Ended {
        self.run(&["--resume"])
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Which jobs have run since this was asked last, in the order of the alphabet.
    pub fn ran(&self) -> String {
        let log = self.read("log");
        let _ = std::fs::remove_file(self.path("log"));
        let mut words: Vec<&str> = log.lines().collect();
        words.sort_unstable();
        words.join(" ")
    }

    pub fn outcomes(&self) -> Vec<serde_json::Value> {
        self.read("r.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The names of what lies in the folder.
    pub fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }
}

/// A job that notes its run by this word and then does what the script says.
pub fn job(word: &str, script: &str, more: &str) -> String {
    format!("{{\"kind\":\"command\",\"argv\":[\"sh\",\"-c\",\"echo {word} >> log; {script}\"]{more}}}\n")
}

pub fn named(id: &str, script: &str, more: &str) -> String {
    job(id, script, &format!(",\"id\":\"{id}\"{more}"))
}

#[test]
fn what_has_succeeded_is_kept_as_it_stands_and_the_rest_runs_again() {
    let jobs = [named("a", "echo $$", ""), named("b", "test -e mended", ""), named("c", "echo c", ",\"after\":\"b\"")];
    let night = Night::new(&jobs.concat());
    // Without a file there is nothing to go on with.
    let ended = night.resume().expect(1);
    assert!(ended.err.ends_with("3 jobs, 1 failed, 1 skipped\n"), "{}", ended.err);
    assert_eq!(night.ran(), "a b");
    let first = night.read("r.jsonl");
    std::fs::write(night.path("mended"), "").unwrap();
    let ended = night.resume().expect(0);
    assert_eq!(ended.err, "3 jobs, 0 failed, 1 kept from an earlier run\n");
    assert_eq!(night.ran(), "b c");
    assert_eq!(night.read("r.jsonl").lines().next(), first.lines().next(), "the kept line is the same, byte for byte");
    let second = night.read("r.jsonl");
    let ended = night.resume().expect(0);
    assert_eq!((&*ended.err, &*night.ran()), ("3 jobs, 0 failed, 3 kept from an earlier run\n", ""));
    assert_eq!(night.read("r.jsonl"), second);
    // Without --resume all of it is replaced.
    night.run(&[]).expect(0);
    assert_eq!(night.ran(), "a b c");
    assert_eq!(night.files(), ["jobs.jsonl", "mended", "r.jsonl"]);
}

#[test]
fn a_job_whose_line_input_or_parent_has_changed_runs_again() {
    let inputs = ",\"inputs\":[\"in\"]";
    let jobs = [named("a", "cat in", inputs), named("b", "echo b", ",\"after\":[\"a\"]"), named("c", "echo c", "")];
    let night = Night::new(&jobs.concat());
    write(night.folder.path(), "in", "1\n");
    night.run(&[]).expect(0);
    assert_eq!(night.ran(), "a b c");
    // The input.
    write(night.folder.path(), "in", "1\n2\n");
    let ended = night.resume().expect(0);
    assert_eq!(night.ran(), "a b");
    assert!(
        ended.err.starts_with("3 jobs, 0 failed, 1 kept from an earlier run\n2 outcomes of an earlier run"),
        "{ended:?}"
    );
    assert_eq!(night.outcomes()[0]["result"]["stdout"], "1\n2\n");
    // What does not change the result, and the space between.
    let terms = ",\"priority\":3,\"timeout\":60,\"retries\":1,\"device\":\"cpu\"";
    let same = [named("a", "cat in", &format!("{inputs}{terms}")), jobs[1].replace(':', " : ").replace(",\"", " , \"")];
    night.jobs(&[&*same.concat(), &jobs[2]].concat());
    night.resume().expect(0);
    assert_eq!(night.ran(), "");
    // The line of a parent's, and an id.
    night.jobs(
        &[named("a", "cat in; true", inputs), jobs[1].clone(), jobs[2].replace("\"id\":\"c\"", "\"id\":\"d\"")]
            .concat(),
    );
    night.resume().expect(0);
    assert_eq!(night.ran(), "a b c");
    // A file that a job reads by itself.
    night.jobs("{\"kind\":\"primes\",\"file\":\"n.txt\"}\n");
    write(night.folder.path(), "n.txt", "97\n");
    night.resume().expect(0);
    write(night.folder.path(), "n.txt", "98\n99\n");
    night.resume().expect(0);
    assert_eq!(night.outcomes()[0]["result"]["is_prime"], serde_json::json!([false, false]));
}

#[test]
fn an_input_that_an_earlier_job_writes_is_looked_at_when_that_has_ended() {
    let etl = |n: u32| {
        let (e, t) = (format!("e{n}"), format!("t{n}"));
        let load = format!(",\"after\":[\"{t}\"],\"inputs\":[\"{t}\"]");
        [
            named(&e, &format!("echo {n} > {e}"), ""),
            named(&t, &format!("cat {e} {e} > {t}"), &format!(",\"after\":[\"{e}\"],\"inputs\":[\"{e}\"]")),
            named(&format!("l{n}"), &format!("cat {t}"), &load),
        ]
        .concat()
    };
    let night = Night::new(&(1..=5).map(etl).collect::<String>());
    night.run(&[]).expect(0);
    night.ran();
    let ended = night.resume().expect(0);
    assert_eq!((&*night.ran(), &*ended.err), ("", "15 jobs, 0 failed, 15 kept from an earlier run\n"));
    // What was changed in between is made anew from there on.
    write(night.folder.path(), "e3", "30\n");
    night.resume().expect(0);
    assert_eq!(night.ran(), "l3 t3");
    assert_eq!(night.outcomes()[8]["result"]["stdout"], "30\n30\n");
}

#[test]
fn jobs_without_ids_are_known_by_what_they_are_and_take_their_new_places() {
    let night = Night::new(&[job("x", "", ""), job("y", "", ""), job("y", "", "")].concat());
    night.run(&[]).expect(0);
    assert_eq!(night.ran(), "x y y");
    // One more of two that are alike, one gone, and all of it elsewhere.
    night.jobs(&["\n", &job("new", "", ""), &job("y", "", ""), &job("y", "", ""), &job("y", "", "")].concat());
    let ended = night.resume().expect(0);
    assert_eq!(night.ran(), "new y");
    let told = "4 jobs, 0 failed, 2 kept from an earlier run\n\
        1 outcome of an earlier run left out: its job has changed, or is gone from the job file\n";
    assert_eq!(ended.err, told);
    let places: Vec<_> = night.outcomes().iter().map(|o| (o["index"].clone(), o["id"].clone())).collect();
    assert_eq!(places, (0..4).map(|n| (n.into(), format!("#{}", n + 2).into())).collect::<Vec<_>>());
}

#[test]
fn a_torn_last_line_is_dropped_and_what_a_cut_off_run_has_begun_anew_is_gone_on_with() {
    let jobs = [named("a", "", ""), named("b", "", ""), named("c", "", "")].concat();
    let night = Night::new(&jobs);
    night.run(&[]).expect(0);
    night.ran();
    let whole = night.read("r.jsonl");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    // A run that began anew beside older results had come as far as this.
    std::fs::write(night.path("r.jsonl.partial"), [lines[1], &lines[0][..lines[0].len() - 2]].concat()).unwrap();
    let ended = night.run(&[]).expect(1);
    assert!(ended.err.contains("holds the results of a run that was cut off: go on with it by --resume"), "{ended:?}");
    let ended = night.resume().expect(0);
    assert_eq!((&*night.ran(), &*ended.err), ("a c", "3 jobs, 0 failed, 1 kept from an earlier run\n"));
    assert_eq!(night.read("r.jsonl").lines().nth(1), whole.lines().nth(1));
    assert_eq!(night.files(), ["jobs.jsonl", "r.jsonl"]);
}

#[test]
fn a_run_cut_off_between_putting_its_results_in_place_and_removing_the_others_has_lost_and_doubled_nothing() {
    // Four that are alike: each outcome has to stand for one of them.
    let night = Night::new(&job("x", "", "").repeat(4));
    night.run(&[]).expect(0);
    night.ran();
    let whole = night.read("r.jsonl");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let partial = ["{\"schema\":1,\"resumes\":true}\n", lines[3], lines[1]].concat();
    std::fs::write(night.path("r.jsonl.partial"), partial).unwrap();
    night.jobs(&job("x", "", "").repeat(5));
    let ended = night.resume().expect(0);
    assert_eq!((&*night.ran(), &*ended.err), ("x", "5 jobs, 0 failed, 4 kept from an earlier run\n"));
    let now = night.read("r.jsonl");
    let mut kept: Vec<&str> = now.lines().map(|line| line.split("\"kind\"").nth(1).unwrap()).take(4).collect();
    kept.sort_unstable();
    let mut before: Vec<&str> = whole.lines().map(|line| line.split("\"kind\"").nth(1).unwrap()).collect();
    before.sort_unstable();
    assert_eq!(kept, before);
    assert_eq!(night.files(), ["jobs.jsonl", "r.jsonl"]);
}

#[test]
fn an_interrupted_run_that_resumes_leaves_what_it_had_not_looked_at_yet() {
    let rest: String = (0..20_000).map(|n| format!("{{\"kind\":\"primes\",\"numbers\":[{n}]}}\n")).collect();
    let night = Night::new(&[&named("slow", "true", ""), &*rest].concat());
    night.run(&[]).expect(0);
    night.ran();
    // Now the first one takes for ever, and the others wait for room.
    night.jobs(&[&named("slow", "sleep 600", ""), &*rest].concat());
    let child = start(
        &["run", &night.path("jobs.jsonl"), "--output", &night.path("r.jsonl"), "--resume", "--jobs", "1"],
        std::process::Stdio::null(),
    );
    let begun = std::time::Instant::now();
    while !Path::new(&night.path("log")).exists() {
        assert!(begun.elapsed().as_secs() < 60, "it does not begin");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for _ in 0..2 {
        crate::program::interrupt(&child, libc::SIGTERM);
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(143));
    assert!(
        ended.err.contains("r.jsonl is as it was, and ") && ended.err.contains("--resume goes on with"),
        "{ended:?}"
    );
    night.ran();
    night.jobs(&[&named("slow", "true", ""), &*rest].concat());
    let ended = night.resume().expect(0);
    // The one that had begun as something else has to begin again.
    assert_eq!((&*night.ran(), &*ended.err), ("slow", "20,001 jobs, 0 failed, 20,000 kept from an earlier run\n"));
    assert_eq!(night.files(), ["jobs.jsonl", "r.jsonl"]);
}

#[test]
fn what_cannot_be_gone_on_with_is_refused_and_stays_as_it_is() {
    let night = Night::new(&named("a", "sleep 600", ""));
    let jobs = night.path("jobs.jsonl");
    for args in [&["run", &jobs, "--resume"][..], &["run", &jobs, "--resume", "--output", "/dev/null"]] {
        let ended = tandem(args).expect(2);
        assert!(ended.err.contains("--resume: there is no file to go on with: add --output"), "{ended:?}");
    }
    for other in [&["--results-only"][..], &["--only", "a"]] {
        assert!(night.run(&[&["--resume"], other].concat()).expect(2).err.contains("cannot be used with"));
    }
    write(night.folder.path(), "r.jsonl", "{\"name\":\"data\"}\n");
    let ended = night.resume().expect(1);
    assert!(ended.err.contains("r.jsonl: its first line is no outcome of a run: name the results file"), "{ended:?}");
    assert_eq!(night.read("r.jsonl"), "{\"name\":\"data\"}\n");
    std::fs::remove_file(night.path("r.jsonl")).unwrap();
    let mut child = start(&["run", &jobs, "--output", &night.path("r.jsonl"), "--resume"], std::process::Stdio::null());
    let begun = std::time::Instant::now();
    while !Path::new(&night.path("log")).exists() {
        assert!(begun.elapsed().as_secs() < 60, "it does not begin");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let ended = night.resume().expect(1);
    assert!(ended.err.contains("r.jsonl.partial is being written to by another run"), "{ended:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_full_disk_ends_a_run_and_what_was_written_is_gone_on_with() {
    let jobs: String = (0..400).map(|n| format!("{{\"kind\":\"factor\",\"n\":{}}}\n", n + 2)).collect();
    let night = Night::new(&jobs);
    // A file may be 64 or 128 blocks long here, by the shell; a signal that would end the program is ignored, so that it gets
    // an error, as from a disk that is full.
    let program = command(&["run", &night.path("jobs.jsonl"), "--output", &night.path("r.jsonl")]);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]).arg(program.get_program());
    limited
        .args(program.get_args())
        .env("TANDEM_MODEL", "none")
        .env("NO_COLOR", "1")
        .stdin(std::process::Stdio::null());
    let ended: Ended = limited.output().unwrap().into();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("what was written lies in ") && ended.err.contains("r.jsonl.partial"), "{ended:?}");
    let written = night.read("r.jsonl.partial").matches('\n').count();
    assert!(written > 50 && written < 400, "{written} lines");
    let ended = night.resume().expect(0);
    assert_eq!(ended.err, format!("400 jobs, 0 failed, {written} kept from an earlier run\n"));
    let indices: Vec<u64> = night.outcomes().iter().map(|outcome| outcome["index"].as_u64().unwrap()).collect();
    assert!(indices.into_iter().eq(0..400));
    assert_eq!(night.files(), ["jobs.jsonl", "r.jsonl"]);
}

#[test]
fn a_run_that_makes_sure_of_the_disk_writes_the_same() {
    let night = Night::new(&[named("a", "", ""), named("b", "sleep 0.1", ""), named("c", "", "")].concat());
    night.run(&["--sync"]).expect(0);
    night.run(&["--sync", "--resume"]).expect(0);
    assert_eq!(night.ran(), "a b c");
    assert_eq!((night.outcomes().len(), night.files().len()), (3, 2));
}
