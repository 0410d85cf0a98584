use serde_json::{Value, json};

use super::*;

fn whole() -> Value {
    json!({
        "schema": 1,
        "name": "m",
        "notes": ["measured"],
        "cpu": {"threads": 8, "memory_bytes": 1 << 30, "speed": 1.5, "thread_efficiency": 0.9, "speeds": {"stats f32": 2.0}},
        "gpus": [{
            "name": "g", "kind": "discrete", "memory_bytes": 1 << 30, "max_chunk_bytes": 1 << 20,
            "upload_bytes_per_s": 6e9, "readback_bytes_per_s": 6e9, "cold_start_ms": 200, "latency_ms": 0, "speed": 24.0,
            "speeds": {"stats": 50.0}
        }],
    })
}

/// The error of the file in which `pointer` holds something else.
fn error_with(pointer: &str, value: Value) -> String {
    let mut machine = whole();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = machine.pointer_mut(parent).unwrap();
    parent[name] = value;
    Machine::parse(&machine.to_string()).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read_again() {
    let machine = Machine::parse(&whole().to_string()).unwrap();
    assert_eq!(machine.gpus[0].speeds["stats"], 50.0);
    assert_eq!(Machine::parse(&machine.to_json()), Ok(machine));
}

#[test]
fn every_figure_that_no_machine_can_have_is_refused_by_its_name() {
    for (pointer, value, expected) in [
        ("/schema", json!(2), "schema: 2 is a format that this version does not read: it reads 1"),
        ("/name", json!(" "), "name: it is empty: give a name"),
        ("/cpu/threads", json!(0), "cpu.threads: 0 is not allowed: a whole number from 1 to 4096"),
        ("/cpu/threads", json!(4097), "cpu.threads: 4097 is not allowed"),
        (
            "/cpu/memory_bytes",
            json!(0),
            "cpu.memory_bytes: 0 is not allowed: a whole number from 1 to 1152921504606846976",
        ),
        ("/cpu/memory_bytes", json!(u64::MAX), "cpu.memory_bytes: 18446744073709551615 is not allowed"),
        ("/cpu/speed", json!(0.0), "cpu.speed: 0.0 is not allowed: a number from 0.001 to 1000000000000.0"),
        ("/cpu/speed", json!(-1.5), "cpu.speed: -1.5 is not allowed"),
        ("/cpu/speed", json!(1e-300), "cpu.speed: 1e-300 is not allowed"),
        ("/cpu/thread_efficiency", json!(0), "cpu.thread_efficiency: 0.0 is not allowed: a number from 0.001 to 1.0"),
        ("/cpu/thread_efficiency", json!(1.01), "cpu.thread_efficiency: 1.01 is not allowed"),
        ("/cpu/speeds", json!({"stats f32": -1}), "cpu.speeds.stats f32: -1.0 is not allowed"),
        ("/gpus/0/name", json!(""), "gpus[0].name: it is empty"),
        ("/gpus/0/memory_bytes", json!(0), "gpus[0].memory_bytes: 0 is not allowed"),
        ("/gpus/0/max_chunk_bytes", json!(0), "gpus[0].max_chunk_bytes: 0 is not allowed"),
        ("/gpus/0/max_chunk_bytes", json!(1_u64 << 61), "gpus[0].max_chunk_bytes: 2305843009213693952 is not allowed"),
        (
            "/gpus/0/upload_bytes_per_s",
            json!(0),
            "gpus[0].upload_bytes_per_s: 0.0 is not allowed: a number from 1000.0 to 1e16",
        ),
        ("/gpus/0/readback_bytes_per_s", json!(1e300), "gpus[0].readback_bytes_per_s: 1e300 is not allowed"),
        (
            "/gpus/0/cold_start_ms",
            json!(-1),
            "gpus[0].cold_start_ms: -1.0 is not allowed: a number from 0.0 to 86400000.0",
        ),
        ("/gpus/0/cold_start_ms", json!(1e25), "gpus[0].cold_start_ms: 1e25 is not allowed"),
        ("/gpus/0/latency_ms", json!(-0.5), "gpus[0].latency_ms: -0.5 is not allowed: a number from 0.0 to 3600000.0"),
        ("/gpus/0/latency_ms", json!(1e300), "gpus[0].latency_ms: 1e300 is not allowed"),
        ("/gpus/0/speed", json!(0), "gpus[0].speed: 0.0 is not allowed"),
        ("/gpus/0/speeds", json!({"stats": 1e-7}), "gpus[0].speeds.stats: 1e-7 is not allowed"),
    ] {
        let error = error_with(pointer, value);
        assert!(error.starts_with(expected), "{error}");
    }
    let mut machine = Machine::parse(&whole().to_string()).unwrap();
    machine.cpu.speed = f64::NAN;
    assert!(machine.check().unwrap_err().to_string().starts_with("cpu.speed: NaN"));
    machine.cpu.speed = f64::INFINITY;
    assert!(machine.check().is_err());
}

#[test]
fn fields_that_are_unknown_or_missing_and_other_types_are_told_with_their_place() {
    for (text, expected) in [
        ("{\n  \"schema\": 1,\n  \"nme\": \"m\"\n}", "3:7: nme: unknown field `nme`, expected one of `schema`, `name`"),
        ("{\"schema\":1}", "1:12: missing field `name`"),
        ("{\"schema\":1,", "1:12: the text ends too early"),
        ("{\"name\":\"m\"}", "missing field `schema`"),
        ("[]", "the machine: a list"),
        ("", "1:0: the text ends too early"),
    ] {
        let error = Machine::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(error_with("/cpu/thread", json!(1)).contains("cpu.thread: unknown field `thread`"));
    assert!(error_with("/cpu/threads", json!(1.5)).contains("cpu.threads: the number `1.5`, expected a whole number"));
    assert!(
        error_with("/gpus/0/kind", json!("big"))
            .contains("gpus[0].kind: unknown variant `big`, expected one of `discrete`")
    );
    assert!(error_with("/gpus/0/speed", json!("fast")).contains("gpus[0].speed: the text \"fast\", expected a number"));
    // As JSON has none, and one that is missing.
    let text = whole().to_string();
    for (from, to, expected) in [
        ("\"latency_ms\":0", "\"latency_ms\":NaN", "gpus[0].latency_ms: expected value"),
        ("\"latency_ms\":0", "\"latency_ms\":1e999", "gpus[0].latency_ms: number out of range"),
        ("\"latency_ms\":0,", "", "gpus[0]: missing field `latency_ms`"),
        ("\"stats f32\":2.0", "\"stats f32\":null", "cpu.speeds.stats f32: null, expected a number"),
    ] {
        let error = Machine::parse(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(text.contains(from) && error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn names_of_speeds_that_are_no_kinds_are_found() {
    let mut machine = Machine::parse(&whole().to_string()).unwrap();
    assert_eq!(machine.unknown_kinds(), Vec::<String>::new());
    machine.cpu.speeds.insert("prime numbers".to_owned(), 1.0);
    machine.gpus[0].speeds.insert("stat".to_owned(), 1.0);
    assert_eq!(machine.unknown_kinds(), ["cpu.speeds: prime numbers", "gpus[0].speeds: stat"]);
}

#[test]
fn lists_of_values_are_no_objects_and_errors_are_in_plain_words() {
    for (text, expected) in [
        ("[1, \"m\", [], {}, []]", "the machine: a list, expected an object with names"),
        ("{\"schema\":1,\"name\":\"m\",\"cpu\":[2,1,1.0,0.9,{}]}", "cpu: a list, expected an object with names"),
        ("{\"schema\":1,\"name\":\"m\",\"gpus\":[[]]}", "gpus[0]: a list, expected an object with names"),
        ("7", "1:1: the number `7`, expected an object"),
        ("{\"schema\":1,\"name\":7}", "name: the number `7`, expected a string"),
        ("{\"schema\":1,\"name\":\"m\",\"gpus\":{}}", "gpus: an object, expected a list"),
        ("{\"schema\":1,\"name\":\"m\",\"cpu\":{\"threads\":\"two\"}}", "the text \"two\", expected a whole number"),
        ("{\"schema\":1,\"name\":\"m\",\"cpu\":{\"threads\":-1}}", "the number `-1`, expected a whole number"),
    ] {
        let error = Machine::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("struct") && !error.contains("u32"), "{error}");
    }
}
