//! The job file: what is read of good lines, and said of bad ones.

use proptest::prelude::*;

use super::*;
use crate::job::{BindContext, Bound, Cause, DeviceChoice, Terms};

/// A kind of one field, so that these tests stand on nothing but the job file.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Echo {
    id: Option<serde::de::IgnoredAny>,
    kind: serde::de::IgnoredAny,
    device: Option<serde::de::IgnoredAny>,
    values: Vec<u64>,
}

impl JobParams for Echo {
    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        Err(JobError::new(Cause::Unsupported, "an echo does not run"))
    }
}

static ECHO: Kind = Kind {
    name: "echo",
    summary: "",
    variants: &[],
    parse: |text| Ok(Box::new(serde_json::from_str::<Echo>(text)?)),
    input_field: None,
    aside: &[],
    sample: |_| Box::new(Echo { id: None, kind: serde::de::IgnoredAny, device: None, values: Vec::new() }),
    operations_per_unit: |_| None,
    shaders: Vec::new,
    #[cfg(feature = "cli")]
    command: || clap::Command::new("echo"),
    #[cfg(feature = "cli")]
    from_args: |_| Err(String::new()),
};

fn read(text: impl AsRef<[u8]>) -> Vec<Result<JobSpec, BadLine>> {
    JobFile::new("jobs.jsonl", text.as_ref()).with_kind(&ECHO).collect()
}

/// The one error of a file of one line.
fn error(line: impl AsRef<[u8]>) -> String {
    let mut jobs = read(line);
    assert_eq!(jobs.len(), 1);
    let bad = jobs.remove(0).unwrap_err();
    assert_eq!(bad.error.cause, Cause::BadInput);
    bad.error.message
}

fn ids(jobs: &[Result<JobSpec, BadLine>]) -> Vec<&str> {
    jobs.iter()
        .map(|job| match job {
            Ok(spec) => &*spec.id,
            Err(bad) => &*bad.id,
        })
        .collect()
}

const OK: &str = r#"{"kind":"echo","values":[1]}"#;

#[test]
fn ids_devices_and_indices_are_read_and_left_out_ids_are_line_numbers() {
    let jobs = read(format!(
        "\u{FEFF}{{\"id\":\"a\\u0062\",\"values\":[],\"device\":\"gpu:2\",\"kind\":\"echo\"}}\r\n\n  \t\n{OK}\n"
    ));
    assert_eq!(ids(&jobs), ["ab", "#4"]);
    let first = jobs[0].as_ref().unwrap();
    assert_eq!((first.index, first.kind, first.device), (0, "echo", Some(DeviceChoice::GpuIndex(2))));
    let second = jobs[1].as_ref().unwrap();
    assert_eq!((second.index, second.device), (1, None));
}

#[test]
fn every_kind_of_bad_line_says_what_is_wrong_and_where() {
    let cases = [
        ("[1]", "jobs.jsonl:1:1: expected a job: an object such as"),
        ("7", "jobs.jsonl:1:1: expected a job"),
        ("{", "jobs.jsonl:1:1: the job ends inside an object"),
        (r#"{"kind":"echo","values":[1]"#, "jobs.jsonl:1:27: the job ends inside an object"),
        (
            r#"{"kind":"echo","values":[1]} x"#,
            "jobs.jsonl:1:30: more follows after the end of the job: write one job a line",
        ),
        (r#"{"kind":"echo" "values":[1]}"#, "jobs.jsonl:1:16: expected `,` or `}`"),
        (r#"{"values":[1]}"#, "jobs.jsonl:1:14: missing field `kind`: one of primes, stats, "),
        (r#"{"kind":7}"#, "jobs.jsonl:1:9: expected the name of a kind as `kind`, got `7`"),
        (r#"{"kind":"ecko","values":[1]}"#, "jobs.jsonl:1:14: unknown kind `ecko`, did you mean `echo`? known kinds"),
        (r#"{"kind":"matmul"}"#, "jobs.jsonl:1:17: unknown kind `matmul`; known kinds: primes, stats, "),
        (r#"{"kind":"echo","kind":"echo","values":[]}"#, "jobs.jsonl:1:21: duplicate field `kind`"),
        (r#"{"kind":"echo","values":[],"values":[]}"#, "duplicate field `values`"),
        (r#"{"kind":"echo","values":[],"size":1}"#, "unknown field `size`"),
        (
            r#"{"kind":"echo","values":[-1]}"#,
            "jobs.jsonl:1:27: `values`: expected a whole number from 0 to 18446744073709551615, got `-1`",
        ),
        (r#"{"kind":"echo","values":[],"device":"tpu"}"#, "unknown device `tpu`: use auto, cpu, gpu, gpu:N or split"),
        (r#"{"kind":"echo","values":[],"device":1}"#, "expected auto, cpu, gpu, gpu:N or split as `device`"),
        (r#"{"kind":"echo","values":[],"id":1}"#, "expected a string as `id`"),
        (r#"{"kind":"echo","values":[],"id":""}"#, "an empty `id`: leave it out or name the job"),
        (r##"{"kind":"echo","values":[],"id":"#2"}"##, "here it can only be `#1`"),
        (r##"{"kind":"echo","values":[],"id":"#01"}"##, "here it can only be `#1`"),
    ];
    for (line, expected) in cases {
        let message = error(line);
        assert!(message.contains(expected), "{line}\n  {message}\n  lacks {expected}");
        assert!(message.starts_with("jobs.jsonl:1:"), "{message}");
        assert!(!message.contains("at line"), "{message}");
    }
}

#[test]
fn terms_are_read_by_whoever_they_are_for_and_the_kind_sees_none_of_them() {
    let text = "{\"id\":\"a\",\"kind\":\"echo\",\"values\":[]}\n\n{\"kind\":\"echo\",\"values\":[]}\n\
        {\"timeout\":\"1.5m\",\"kind\":\"echo\",\"after\":[\"a\",\"#3\"],\"values\":[7],\"priority\":-3,\"retries\":2,\
        \"memory\":\"1.5GiB\"}\n\
        {\"kind\":\"echo\",\"values\":[],\"after\":\"a\",\"timeout\":2.5}";
    let jobs = read(text);
    let terms = |index: usize| jobs[index].as_ref().unwrap().terms.clone();
    assert_eq!(terms(0), Terms::default());
    let timeout = Some(std::time::Duration::from_secs(90));
    assert_eq!(
        terms(2),
        Terms { after: vec![0..1, 1..2], priority: -3, timeout, retries: Some(2), memory_bytes: Some(3 << 29) }
    );
    let timeout = Some(std::time::Duration::from_millis(2500));
    assert_eq!(terms(3), Terms { after: vec![0..1], timeout, ..Terms::default() });
}

#[test]
fn terms_that_cannot_be_met_are_errors_with_their_place() {
    for (line, expected) in [
        (r#"{"kind":"echo","values":[],"after":["x"]}"#, ":41: `after` names `x`, but no job on an earlier line"),
        (r##"{"kind":"echo","values":[],"after":["#1"]}"##, "`after` names `#1`, but no job on an earlier line"),
        (r#"{"id":"a","kind":"echo","values":[],"after":["a"]}"#, "`after` names `a`, but no job on an earlier"),
        (r#"{"kind":"echo","values":[],"after":7}"#, "expected an id or a list of ids as `after`, got `7`"),
        (r#"{"kind":"echo","values":[],"timeout":"soon"}"#, "`soon` is no time: write it as in 500ms"),
        (r#"{"kind":"echo","values":[],"timeout":0}"#, "leave it out"),
        (r#"{"kind":"echo","values":[],"timeout":[]}"#, "expected a time as in \"30s\""),
        (r#"{"kind":"echo","values":[],"priority":1001}"#, "`priority` goes from -1000 to 1000"),
        (r#"{"kind":"echo","values":[],"retries":-1}"#, "expected a whole number from 0 to 4294967295, got `-1`"),
        (r#"{"kind":"echo","after":[],"values":["x"]}"#, ":39: `values`: expected a whole number"),
        (r#"{"after":[],"kind":"echo","values":[],"after":[]}"#, "duplicate field `after`"),
    ] {
        let message = error(line);
        assert!(message.contains(expected), "{line}\n  {message}\n  lacks {expected}");
    }
}

#[test]
fn bytes_that_are_no_text_are_named_by_their_place() {
    assert_eq!(error(b"{\"kind\":\"\xFF\"}"), "jobs.jsonl:1:10: not UTF-8: save the job file as UTF-8");
    assert!(error(b"\xFF\xFE{\0").starts_with("jobs.jsonl:1:1: not UTF-8"));
    assert!(error(b"{\"a\0\":1}").contains("control character"));
}

#[test]
fn nesting_without_end_is_an_error_and_no_stack_overflow() {
    for open in ["[", "{\"a\":"] {
        let message = error(format!("{{\"kind\":\"echo\",\"values\":{}", open.repeat(1_000_000)));
        assert!(message.starts_with("jobs.jsonl:1:"), "{message}");
        let message = error(open.repeat(1_000_000));
        assert!(message.starts_with("jobs.jsonl:1:"), "{message}");
    }
    let closed = format!("{{\"kind\":\"echo\",\"values\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(error(closed).contains("`values`: expected a whole number from 0 to 18446744073709551615, got a list"));
}

#[test]
fn an_over_long_line_is_an_error_of_its_own() {
    let long = format!("{{\"kind\":\"echo\",\"values\":[{}]}}\n{OK}", "1,".repeat(MAX_LINE_BYTES / 2));
    let jobs = read(long);
    assert_eq!(ids(&jobs), ["#1", "#2"]);
    let message = &jobs[0].as_ref().unwrap_err().error.message;
    assert!(message.starts_with("jobs.jsonl:1:16777217: the line is longer than 16 MiB"), "{message}");
    assert!(jobs[1].is_ok());
}

#[test]
fn a_message_stays_short_though_the_field_it_names_is_long() {
    let name = "é".repeat(1_000_000);
    let message = error(format!("{{\"kind\":\"echo\",\"values\":[],\"{name}\":1}}"));
    assert!(message.len() < 500 && message.contains("unknown field") && message.contains(" … "), "{message}");
    assert!(error(format!("{{\"kind\":\"{name}\"}}")).len() < 500);
}

#[test]
fn a_duplicate_id_names_both_lines_and_the_other_jobs_stand() {
    let line = |id: &str| format!("{{\"kind\":\"echo\",\"values\":[],\"id\":\"{id}\"}}\n");
    let jobs = read([line("a"), line("b"), line("a"), line("#4")].concat());
    assert_eq!(ids(&jobs), ["a", "b", "a", "#4"]);
    assert!(jobs[0].is_ok() && jobs[1].is_ok() && jobs[3].is_ok());
    let bad = jobs[2].as_ref().unwrap_err();
    assert_eq!((bad.index, bad.kind), (2, "echo"));
    assert!(bad.error.message.starts_with("jobs.jsonl:3:36: duplicate id `a`: line 1 has it"), "{}", bad.error);
}

#[test]
fn a_bad_line_keeps_the_id_and_kind_that_it_gave_before_it_went_wrong() {
    let jobs = read("{\"id\":\"x\",\"kind\":\"echo\",\"values\":oops}");
    let bad = jobs[0].as_ref().unwrap_err();
    assert_eq!((&*bad.id, bad.kind), ("x", "echo"));
    let outcome = Outcome::from(bad.clone());
    assert_eq!(outcome.result.unwrap_err(), bad.error);
}

#[test]
fn a_read_that_fails_ends_the_file_and_says_why() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let text = format!("{OK}\n{OK}\n");
    let mut jobs = JobFile::new("jobs.jsonl", text.as_bytes().chain(Broken)).with_kind(&ECHO);
    assert_eq!(jobs.by_ref().filter(|job| job.is_ok()).count(), 2);
    assert_eq!(jobs.read_error().unwrap().to_string(), "the disk is gone");
    assert!(jobs.next().is_none());
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_and_each_line_gives_one_item(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let lines = bytes.split(|&b| b == b'\n').count() as u64;
        prop_assert!(read(&bytes).len() as u64 <= lines);
    }

    #[test]
    fn a_mutated_line_never_panics_and_never_harms_the_line_after_it(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut line = br##"{"id":"a\u00e9","kind":"echo","device":"gpu:1","values":[1,2,18446744073709551615]}"##.to_vec();
        let at = at.index(line.len());
        line[at] = if byte == b'\n' { b' ' } else { byte };
        if cut {
            line.truncate(at);
        }
        line.extend_from_slice(b"\n{\"id\":\"last\",\"kind\":\"echo\",\"values\":[]}");
        let jobs = read(&line);
        prop_assert!(jobs.last().unwrap().is_ok());
    }
}
