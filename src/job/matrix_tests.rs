//! Lines with a matrix: what jobs they make, what those are called, and what is wrong with some.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::job::{BadLine, Cause, JobFile, JobSpec};

type Line = Result<JobSpec, BadLine>;

fn read(text: &str) -> Vec<Line> {
    JobFile::new("jobs.jsonl", text.as_bytes()).collect()
}

fn ids(jobs: &[Line]) -> Vec<&str> {
    jobs.iter().map(|job| job.as_ref().map_or_else(|bad| &*bad.id, |spec| &*spec.id)).collect()
}

/// What a kind made of each line.
fn params(jobs: &[Line]) -> Vec<String> {
    jobs.iter()
        .map(|job| job.as_ref().map_or_else(|bad| bad.error.message.clone(), |spec| format!("{:?}", spec.params)))
        .collect()
}

fn errors(text: &str) -> Vec<String> {
    read(text).into_iter().filter_map(|job| job.err().map(|bad| bad.error.message)).collect()
}

#[test]
fn a_line_makes_a_job_of_each_combination_the_first_field_slowest() {
    let jobs = read(
        "{\"id\":\"ens\",\"kind\":\"command\",\"argv\":[\"sim\",\"{seed}\",\"--in={file}:{seed}\"],\
         \"matrix\":{\"seed\":[1,2.50],\"file\":[\"a.npy\",\"b \\\"c\\\".npy\"]}}\n\
         {\"kind\":\"factor\",\"n\":\"{n}\",\"matrix\":{\"n\":[340282366920938463463374607431768211455]}}",
    );
    assert_eq!(
        ids(&jobs),
        [
            "ens/seed=1,file=a.npy",
            "ens/seed=1,file=b \"c\".npy",
            "ens/seed=2.50,file=a.npy",
            "ens/seed=2.50,file=b \"c\".npy",
            "#2/n=340282366920938463463374607431768211455",
        ]
    );
    let same = read(
        "{\"kind\":\"command\",\"argv\":[\"sim\",\"1\",\"--in=a.npy:1\"]}\n\
         {\"kind\":\"command\",\"argv\":[\"sim\",\"1\",\"--in=b \\\"c\\\".npy:1\"]}\n\
         {\"kind\":\"command\",\"argv\":[\"sim\",\"2.50\",\"--in=a.npy:2.50\"]}\n\
         {\"kind\":\"command\",\"argv\":[\"sim\",\"2.50\",\"--in=b \\\"c\\\".npy:2.50\"]}\n\
         {\"kind\":\"factor\",\"n\":340282366920938463463374607431768211455}",
    );
    assert_eq!(params(&jobs), params(&same));
    assert_eq!(jobs.iter().map(|job| job.as_ref().unwrap().index).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_whole_string_becomes_the_value_with_its_type_and_two_braces_are_one() {
    let jobs = read(r#"{"kind":"primes","numbers":[1],"list":"{list}","matrix":{"list":[true]}}"#);
    assert!(jobs[0].as_ref().is_ok_and(|spec| format!("{:?}", spec.params).contains("List)")), "{jobs:?}");
    let jobs = read(
        r#"{"kind":"command","argv":["awk","{{print ${n}}}","\u007bn\u007d"],"env":{"{n}":"{{n}}"},"matrix":{"n":[3]}}"#,
    );
    assert_eq!(
        params(&jobs),
        params(&read(r#"{"kind":"command","argv":["awk","{print $3}","{n}"],"env":{"{n}":"{n}"}}"#)),
        "{jobs:?}"
    );
    // No matrix, no placeholders.
    assert!(read(r#"{"kind":"command","argv":["awk","{print}}","{n}","\"matrix\"","matrix"]}"#)[0].is_ok());
}

#[test]
fn what_is_wrong_with_a_matrix_is_said_once_with_its_place() {
    for (fields, expected) in [
        (r#""n":1,"matrix":{"seed":[]}"#, ":41: `seed` in `matrix` is empty, which leaves no job"),
        (r#""n":1,"matrix":{}"#, ":33: `matrix` has no fields: give it one"),
        (r#""n":1,"matrix":[1]"#, ":33: expected an object of lists such as"),
        (r#""n":1,"matrix":{"a":1}"#, ":38: expected a list of values as `a` in `matrix`, got `1`"),
        (
            r#""n":1,"matrix":{"a":[1,[2]]}"#,
            ":41: `a` in `matrix`: expected a string, a number, true or false, got `[2]`",
        ),
        (r#""n":1,"matrix":{"a":[null]}"#, "expected a string, a number, true or false, got null"),
        (r#""n":1,"matrix":{"a":[1,"1"]}"#, ":41: `a` in `matrix` has `1` twice"),
        (r#""n":1,"matrix":{"a":[1],"a":[2]}"#, "has the field `a` twice"),
        (r#""n":1,"matrix":{"a b":[1]}"#, "`a b` is no name for a field of `matrix`"),
        (
            r#""n":1,"matrix":{"a":["x,b=y"],"b":[1]}"#,
            "a value of `a` with `,b=` in it makes ids that cannot be told apart",
        ),
        (r#""n":1,"matrix":{"a":[1]},"matrix":{"a":[1]}"#, "duplicate field `matrix`"),
        (
            r#""n":"{sed}","matrix":{"seed":[1]}"#,
            ":23: unknown placeholder `{sed}`, did you mean `{seed}`? the matrix has seed",
        ),
        (r#""n":"{other}","matrix":{"seed":[1]}"#, "where braces are meant, write `{{other}}`"),
        (r#""n":"{a","matrix":{"a":[1]}"#, ":23: a `{` without a `}` after it"),
        (r#""n":"{\"a\":1}","matrix":{"a":[1]}"#, ":23: a `{` that begins no placeholder"),
        (r#""n":"a}","matrix":{"a":[1]}"#, ":24: a `}` without a `{` before it"),
        (r#""n":1,"matrix":{"a":[1]},"id":7"#, "expected a string as `id`, got `7`"),
        (r##""n":1,"matrix":{"a":[1]},"id":"#1""##, "cannot name a line with a matrix"),
        (r#""n":1,"matrix":{"a":[1]},"id":"x","id":"y""#, "duplicate field `id`"),
    ] {
        let line = format!("{{\"kind\":\"factor\",{fields}}}");
        let jobs = read(&line);
        assert_eq!(jobs.len(), 1, "{line}");
        let bad = jobs[0].as_ref().unwrap_err();
        assert_eq!((bad.error.cause, bad.kind), (Cause::BadInput, "factor"), "{line}");
        assert!(bad.error.message.starts_with("jobs.jsonl:1:"), "{}", bad.error);
        assert!(bad.error.message.contains(expected), "{line}\n  {}\n  lacks {expected}", bad.error);
    }
    let many: Vec<String> = (0..3200).map(|n| n.to_string()).collect();
    let many = many.join(",");
    let line = format!("{{\"kind\":\"factor\",\"n\":1,\"matrix\":{{\"a\":[{many}],\"b\":[{many}]}}}}");
    assert!(errors(&line)[0].contains("10000000 jobs at most, and this one 3200 × 3200"), "{:?}", errors(&line));
}

#[test]
fn what_is_wrong_with_one_job_of_a_line_is_said_at_its_place_in_the_line_and_the_others_stand() {
    let line = r#"{"id":"x","kind":"primes","numbers":[1000, "{n}"],"matrix":{"n":[6,"six",10]}}"#;
    let jobs = read(line);
    assert_eq!(ids(&jobs), ["x/n=6", "x/n=six", "x/n=10"]);
    assert!(jobs[0].is_ok() && jobs[2].is_ok());
    let bad = jobs[1].as_ref().unwrap_err();
    assert_eq!((bad.index, bad.kind), (1, "primes"));
    assert!(bad.error.message.starts_with("jobs.jsonl:1:49: numbers[1]: `six`"), "{}", bad.error);
    assert!(bad.error.message.ends_with("(with n=six)"), "{}", bad.error);
    let line = r#"{"kind":"factor","n":"{n}","matrix":{"n":[123456]},"size":1}"#;
    assert!(errors(line)[0].starts_with("jobs.jsonl:1:57: unknown field `size`"), "{:?}", errors(line));
}

#[test]
fn jobs_wait_for_all_of_a_line_or_for_one_of_its_jobs() {
    let jobs = read(
        "{\"id\":\"e\",\"kind\":\"factor\",\"n\":1,\"matrix\":{\"a\":[1,2],\"b\":[\"x/y\",\"z\"]}}\n\n\n\n\
         {\"kind\":\"factor\",\"n\":1,\"after\":[\"e\",\"e/a=2,b=x/y\",\"#1\",\"#1/a=1,b=z\"]}\n\
         {\"kind\":\"factor\",\"n\":1,\"matrix\":{\"n\":[7,8]}}\n\
         {\"id\":\"t\",\"kind\":\"factor\",\"n\":1,\"after\":[\"#6/n={n}\"],\"matrix\":{\"n\":[8,7]}}\n\
         {\"id\":\"r-{n}\",\"kind\":\"factor\",\"n\":1,\"matrix\":{\"n\":[8,7]}}\n\
         {\"kind\":\"factor\",\"n\":1,\"after\":[\"#5\",\"r-{n}\",\"r-7\",\"t\"]}",
    );
    let after = |index: usize| jobs[index].as_ref().unwrap().terms.after.clone();
    // Named by its number, a line without an id is not the one without a name.
    assert_eq!(after(4), [0..4, 2..3, 0..4, 1..2]);
    assert_eq!((after(7), after(8)), (vec![6..7], vec![5..6]));
    assert_eq!(ids(&jobs)[9..11], ["r-8", "r-7"]);
    assert_eq!(after(11), [4..5, 9..11, 10..11, 7..9]);
    for (more, id) in [
        ("", "e/a=2,b=x/y/"),
        ("", "e/a=2"),
        ("", "e/a=3,b=z"),
        ("", "e/b=z,a=1"),
        ("", "e/"),
        ("", "#2"),
        ("", "#3"),
        (",\"matrix\":{\"k\":[1]}", "#5/k=1"),
        (",\"matrix\":{\"k\":[1]}", "#5"),
    ] {
        let text = format!(
            "{{\"id\":\"e\",\"kind\":\"factor\",\"n\":1,\"matrix\":{{\"a\":[1,2],\"b\":[\"x/y\",\"z\"]}}}}\n\n\n\n\
             {{\"kind\":\"factor\",\"n\":1,\"after\":[\"{id}\"]{more}}}"
        );
        let found = errors(&text);
        assert!(found.len() == 1 && found[0].contains("but no job on an earlier line has that id"), "{id}: {found:?}");
    }
}

#[test]
fn ids_of_jobs_of_a_matrix_are_as_unique_as_any() {
    let group =
        |id: &str, matrix: &str| format!("{{\"id\":\"{id}\",\"kind\":\"factor\",\"n\":1,\"matrix\":{matrix}}}\n");
    let plain = |id: &str| format!("{{\"id\":\"{id}\",\"kind\":\"factor\",\"n\":1}}\n");
    for (text, expected) in [
        (group("e", r#"{"a":[1]}"#) + &plain("e"), "2:9: duplicate id `e`: line 1 has it"),
        (group("e", r#"{"a":[1]}"#) + &plain("e/a=1"), "duplicate id `e/a=1`: line 1 has it"),
        (plain("e") + &group("e", r#"{"a":[1]}"#), "2:7: duplicate id `e`: line 1 has it"),
        (plain("e/a=1") + &group("e", r#"{"a":[0,1]}"#), "duplicate id `e/a=1`: line 1 has it"),
        (group("e", r#"{"a":["1/b=2"]}"#) + &group("e/a=1", r#"{"b":[2]}"#), "duplicate id `e/a=1/b=2`: line 1 has it"),
        (
            group("r-{a}", r#"{"a":[1],"b":[1,2]}"#),
            "a job of line 1 has it already: name every field of the matrix in `id`",
        ),
        (group("r-{a}", r#"{"a":[1]}"#) + &plain("r-1"), "duplicate id `r-1`: line 1 has it"),
    ] {
        let found = errors(&text);
        assert!(found.len() == 1 && found[0].contains(expected), "{text}{found:?}");
    }
}

#[test]
fn what_waits_for_a_line_that_is_no_matrix_finds_it_all_the_same() {
    let jobs = read(
        "{\"id\":\"e\",\"kind\":\"factor\",\"n\":1,\"matrix\":{\"a\":[]}}\n{\"kind\":\"factor\",\"n\":1,\"after\":[\"e\"]}",
    );
    assert_eq!(ids(&jobs), ["e", "#2"]);
    assert_eq!(jobs[1].as_ref().unwrap().terms.after, [0..1]);
}

#[test]
fn ten_million_jobs_are_made_only_as_they_are_asked_for() {
    let thousand: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let [a, b, c] = [&thousand[..], &thousand[..], &thousand[..10]].map(|list| list.join(","));
    let line = format!(
        "{{\"id\":\"e\",\"kind\":\"factor\",\"n\":\"{{a}}{{b}}{{c}}\",\"matrix\":{{\"a\":[{a}],\"b\":[{b}],\"c\":[{c}]}}}}\n"
    );
    let text = line.clone() + r#"{"kind":"factor","n":1,"after":["e/a=999,b=998,c=7"]}"#;
    let jobs: Vec<Line> = JobFile::new("jobs.jsonl", text.as_bytes()).take(12).collect();
    assert_eq!(ids(&jobs)[11], "e/a=0,b=1,c=1");
    // Their names are known without any of them.
    #[cfg(feature = "cli")]
    {
        let mut jobs = JobFile::new("jobs.jsonl", text.as_bytes());
        jobs.read_names();
        assert_eq!(jobs.places("e"), Some(0..10_000_000));
        assert_eq!(jobs.places("e/a=999,b=998,c=7"), Some(9_999_987..9_999_988));
        assert_eq!(jobs.places("#2"), Some(10_000_000..10_000_001));
    }
}

#[test]
fn stages_that_go_on_with_each_other_come_part_by_part() {
    let stage = |id: &str, after: &str| {
        format!("{{\"id\":\"{id}\",\"kind\":\"factor\",\"n\":1{after},\"matrix\":{{\"p\":[1,2,3]}}}}\n")
    };
    let text = [
        stage("e", ""),
        stage("t", r#","after":["e/p={p}"]"#),
        stage("l", r#","after":["t/p={p}"]"#),
        stage("all", r#","after":"l""#),
        stage("other", ""),
        "{\"kind\":\"factor\",\"n\":1}\n".to_owned(),
    ]
    .concat();
    let mixed: Vec<Line> = JobFile::new("jobs.jsonl", text.as_bytes()).mixing_stages().collect();
    let expected = "e/p=1 t/p=1 l/p=1 e/p=2 t/p=2 l/p=2 e/p=3 t/p=3 l/p=3 all/p=1 all/p=2 all/p=3 other/p=1 other/p=2 other/p=3 #6";
    assert_eq!(ids(&mixed).join(" "), expected);
    let mut mixed: Vec<JobSpec> = mixed.into_iter().map(Result::unwrap).collect();
    mixed.sort_by_key(|spec| spec.index);
    let plain: Vec<JobSpec> = read(&text).into_iter().map(Result::unwrap).collect();
    assert_eq!(format!("{mixed:?}"), format!("{plain:?}"), "the same jobs in the same places");
}

#[test]
fn jobs_with_ids_of_their_own_that_wait_for_none_of_the_line_before_stay_what_they_are() {
    let text = "{\"id\":\"a\",\"kind\":\"factor\",\"n\":1,\"matrix\":{\"x\":[1,2]}}\n\
        {\"id\":\"b-{y}\",\"kind\":\"factor\",\"n\":1,\"matrix\":{\"y\":[1,2],\"z\":[1,2]}}\n";
    let mixed: Vec<Line> = JobFile::new("jobs.jsonl", text.as_bytes()).mixing_stages().collect();
    assert_eq!(format!("{mixed:?}"), format!("{:?}", read(text)));
    let wrong: Vec<usize> = (0..).zip(&mixed).filter(|(_, job)| job.is_err()).map(|(at, _)| at).collect();
    assert_eq!(wrong, [3, 5], "{mixed:?}");
}

/// A value of a matrix.
fn value() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        any::<i32>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<bool>().prop_map(Into::into),
        "[a-c{}\"\\\\/é \n]{0,4}".prop_map(Into::into),
    ]
}

/// A string of a line: texts and places of fields.
fn text() -> impl Strategy<Value = Vec<Result<String, usize>>> {
    prop::collection::vec(prop_oneof![3 => "[xyz{}\"\\\\é\n]{1,3}".prop_map(Ok), 2 => (0..3_usize).prop_map(Err)], 1..4)
}

fn label(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

proptest! {
    /// Against the obvious: nested loops over parsed JSON.
    #[test]
    fn a_line_makes_what_nested_loops_make(
        lists in prop::collection::vec(prop::collection::vec(value(), 1..4), 1..4),
        argv in prop::collection::vec(text(), 1..4),
    ) {
        let names = ["a", "b", "c"];
        let mut seen: Vec<BTreeSet<String>> = vec![BTreeSet::new(); lists.len()];
        let lists: Vec<Vec<_>> = lists
            .into_iter()
            .enumerate()
            .map(|(i, list)| list.into_iter().filter(|value| seen[i].insert(label(value))).collect())
            .collect();
        let braces = |text: &str| text.replace('{', "{{").replace('}', "}}");
        let written: Vec<String> = argv
            .iter()
            .map(|parts| {
                let part = |part: &Result<String, usize>| match part {
                    Ok(text) => braces(text),
                    Err(field) => format!("{{{}}}", names[field % lists.len()]),
                };
                parts.iter().map(part).collect()
            })
            .collect();
        let matrix: Vec<String> =
            lists.iter().zip(names).map(|(list, name)| format!("\"{name}\":{}", serde_json::to_string(list).unwrap())).collect();
        let argv_json = serde_json::to_string(&[&["x".to_owned()], &written[..]].concat()).unwrap();
        let line = format!("{{\"id\":\"g\",\"kind\":\"command\",\"argv\":{argv_json},\"matrix\":{{{}}}}}", matrix.join(","));
        let mut combinations: Vec<Vec<&serde_json::Value>> = vec![vec![]];
        for list in &lists {
            combinations = combinations
                .into_iter()
                .flat_map(|begun| list.iter().map(move |value| [&begun[..], &[value]].concat()))
                .collect();
        }
        let mut expected = String::new();
        let mut expected_ids = Vec::new();
        for values in &combinations {
            let mut argv_now = vec![serde_json::Value::from("x")];
            for parts in &argv {
                argv_now.push(match &parts[..] {
                    [Err(field)] => values[field % lists.len()].clone(),
                    parts => parts.iter().map(|part| match part {
                        Ok(text) => text.clone(),
                        Err(field) => label(values[field % lists.len()]),
                    }).collect::<String>().into(),
                });
            }
            expected += &serde_json::json!({"kind": "command", "argv": argv_now}).to_string();
            expected.push('\n');
            let labels: Vec<String> = values.iter().zip(names).map(|(value, name)| format!("{name}={}", label(value))).collect();
            expected_ids.push(format!("g/{}", labels.join(",")));
        }
        let jobs = read(&line);
        prop_assert_eq!(params(&jobs), params(&read(&expected)), "{}", line);
        prop_assert_eq!(ids(&jobs), expected_ids.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn no_line_with_a_matrix_makes_the_reader_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut line = br#"{"id":"a-{x}","kind":"factor","n":{"$result":"b.{x}"},"after":"{x}","matrix":{"x":[1,"b"]}}"#.to_vec();
        let at = at.index(line.len());
        line[at] = if byte == b'\n' { b' ' } else { byte };
        if cut {
            line.truncate(at);
        }
        let text = [b"{\"id\":\"b\",\"kind\":\"factor\",\"n\":6}\n", &line[..], b"\n{\"kind\":\"factor\",\"n\":6}"].concat();
        let jobs: Vec<Line> = JobFile::new("jobs.jsonl", &text[..]).mixing_stages().collect();
        prop_assert!(jobs.first().unwrap().is_ok() && jobs.last().unwrap().is_ok());
    }
}
