//! `tandem factor` and `tandem fibonacci`: text, JSON, files, job files, errors.

use crate::program::{file, tandem, tandem_reading};

#[test]
fn factor_prints_a_line_for_each_number_as_people_know_it() {
    let ended =
        tandem(&["factor", "600851475143", "12", "1", "1e3", "340282366920938463463374607431768211455"]).expect(0);
    assert_eq!(
        ended.out,
        "600851475143: 71 839 1471 6857\n12: 2 2 3\n1:\n1000: 2 2 2 5 5 5\n340282366920938463463374607431768211455: \
         3 5 17 257 641 65537 274177 6700417 67280421310721\n"
    );
    assert_eq!(ended.err, "");
}

#[test]
fn factor_takes_a_file_or_a_pipe_whose_wrong_lines_fail_alone() {
    let (_folder, path) = file("n.txt", "12\n\n 7\r\n");
    assert_eq!(tandem(&["factor", "--file", &path]).expect(0).out, "12: 2 2 3\n7: 7\n");
    let ended = tandem_reading(&["factor", "--file", "-"], b"12\nx\n0\n7\n").expect(1);
    assert_eq!(ended.out, "12: 2 2 3\n7: 7\n");
    for part in ["standard input:2: `x` is not an integer", "standard input:3: 0 has no factorisation"] {
        assert!(ended.err.contains(part), "{part} is not in {}", ended.err);
    }
    let outcomes = tandem(&["factor", "12", "1e1", "--json"]).expect(0).json();
    assert_eq!((outcomes.len(), &outcomes[1]["id"], &outcomes[1]["device"]), (2, &"1e1".into(), &"cpu".into()));
    assert_eq!(
        outcomes[0]["result"],
        serde_json::json!({"factors": [{"prime": "2", "exponent": 2}, {"prime": "3", "exponent": 1}]})
    );
}

#[test]
fn fibonacci_prints_whole_values_in_the_order_asked() {
    let ended = tandem(&["fibonacci", "100", "10", "1_0"]).expect(0);
    assert_eq!(ended.out, "F(100) = 354224848179261915075\nF(10) = 55\nF(10) = 55\n");
    let outcomes = tandem(&["fibonacci", "10", "100", "--json"]).expect(0).json();
    let terms = serde_json::json!([{"n": 10, "value": "55"}, {"n": 100, "value": "354224848179261915075"}]);
    assert_eq!((outcomes.len(), &outcomes[0]["result"]["terms"]), (1, &terms));
    assert_eq!(tandem(&["fibonacci", "1e5"]).expect(0).out.len(), "F(100000) = \n".len() + 20_899);
}

#[test]
fn usage_errors_name_the_limit_and_the_plan_says_irregular() {
    for (args, part) in [
        (&["factor", "0"][..], "0 has no factorisation"),
        (&["factor", "-5"], "`-5` is negative"),
        (&["factor", "340282366920938463463374607431768211456"], "(2^128 - 1)"),
        (&["factor", "--file", "/no/such.txt"], "/no/such.txt"),
        (&["fibonacci", "1e9"], "above 100000000"),
        (&["fibonacci", "-1"], "`-1` is negative"),
    ] {
        let ended = tandem(args).expect(2);
        assert!(ended.err.contains(part) && ended.out.is_empty(), "{args:?}: {ended:?}");
    }
    for args in [&["factor", "97", "--dry-run"][..], &["fibonacci", "97", "--dry-run"]] {
        let ended = tandem(args).expect(0);
        assert!(ended.out.contains("irregular"), "{ended:?}");
    }
}

#[test]
fn a_job_file_runs_them_and_a_wrong_line_fails_with_its_field() {
    let lines = r#"{"kind":"factor","n":340282366920938463463374607431768211455}
{"kind":"fibonacci","n":"1e2"}
{"kind":"factor","n":-7}
{"kind":"fibonacci","n":[1,2e9]}
{"kind":"factor","n":12,"limit":3}
"#;
    let (_folder, path) = file("jobs.jsonl", lines);
    let outcomes = tandem(&["run", &path]).expect(1).json();
    assert_eq!(outcomes[0]["result"]["factors"].as_array().map(Vec::len), Some(9));
    assert_eq!(outcomes[1]["result"]["terms"][0]["value"], "354224848179261915075");
    for (index, part) in
        [(2, "`n`: `-7` is negative"), (3, "n[1]: the index 2e9 is above"), (4, "unknown field `limit`")]
    {
        let error = &outcomes[index]["error"];
        assert_eq!(error["cause"], "bad_input");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(part) && message.contains(&format!(":{}:", index + 1)), "{message}");
    }
}
