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
        ("/cpu/threads", json!(0), "cpu.threads: 0 is not allowed: a whole number from 1"),
        ("/cpu/memory_bytes", json!(0), "cpu.memory_bytes: 0 is not allowed: a whole number from 1 on"),
        ("/cpu/speed", json!(0.0), "cpu.speed: 0 is not allowed: a number above 0"),
        ("/cpu/speed", json!(-1.5), "cpu.speed: -1.5 is not allowed"),
        ("/cpu/thread_efficiency", json!(0), "cpu.thread_efficiency: 0 is not allowed: a number above 0 and up to 1"),
        ("/cpu/thread_efficiency", json!(1.01), "cpu.thread_efficiency: 1.01 is not allowed"),
        ("/cpu/speeds", json!({"stats f32": -1}), "cpu.speeds.stats f32: -1 is not allowed"),
        ("/gpus/0/name", json!(""), "gpus[0].name: it is empty"),
        ("/gpus/0/memory_bytes", json!(0), "gpus[0].memory_bytes: 0 is not allowed"),
        ("/gpus/0/max_chunk_bytes", json!(0), "gpus[0].max_chunk_bytes: 0 is not allowed"),
        ("/gpus/0/upload_bytes_per_s", json!(0), "gpus[0].upload_bytes_per_s: 0 is not allowed"),
        ("/gpus/0/readback_bytes_per_s", json!(-1), "gpus[0].readback_bytes_per_s: -1 is not allowed"),
        ("/gpus/0/cold_start_ms", json!(-1), "gpus[0].cold_start_ms: -1 is not allowed: 0 or a number above it"),
        ("/gpus/0/latency_ms", json!(-0.5), "gpus[0].latency_ms: -0.5 is not allowed"),
        ("/gpus/0/speed", json!(0), "gpus[0].speed: 0 is not allowed"),
        ("/gpus/0/speeds", json!({"stats": 0}), "gpus[0].speeds.stats: 0 is not allowed"),
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
        ("{\n  \"schema\": 1,\n  \"nme\": \"m\"\n}", "3:7: unknown field `nme`, expected one of `schema`, `name`"),
        ("{\"schema\":1}", "1:12: missing field `name`"),
        ("{\"schema\":1,", "1:12: EOF while parsing"),
        ("{\"name\":\"m\"}", "missing field `schema`"),
        ("[]", "1:"),
        ("", "1:0: EOF"),
    ] {
        let error = Machine::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(error_with("/cpu/thread", json!(1)).contains("unknown field `thread`"));
    assert!(error_with("/cpu/threads", json!(1.5)).contains("expected u32"));
    assert!(error_with("/gpus/0/kind", json!("big")).contains("unknown variant `big`, expected one of `discrete`"));
    assert!(error_with("/gpus/0/speed", json!("fast")).contains("expected f64"));
}

#[test]
fn names_of_speeds_that_are_no_kinds_are_found() {
    let mut machine = Machine::parse(&whole().to_string()).unwrap();
    assert_eq!(machine.unknown_kinds(), Vec::<String>::new());
    machine.cpu.speeds.insert("prime numbers".to_owned(), 1.0);
    machine.gpus[0].speeds.insert("stat".to_owned(), 1.0);
    assert_eq!(machine.unknown_kinds(), ["cpu.speeds: prime numbers", "gpus[0].speeds: stat"]);
}
