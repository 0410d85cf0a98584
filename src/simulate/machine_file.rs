//! Machine files: read, checked, and written.

use std::collections::BTreeMap;

use std::ops::RangeInclusive;

use serde::Deserialize;

use crate::engine::THREADS_MAX;
use crate::job::kind;
use crate::simulate::{Gpu, Machine};

/// The number of the format.
pub(super) const SCHEMA: u32 = 1;
/// What a machine can have: beyond lie typing errors, and figures that no sum of times can hold.
const BYTES: RangeInclusive<u64> = 1..=1 << 60;
/// A thousandth of a usual CPU's thread, up to far more than any machine. Work on what is slower would be simulated for ever: no
/// chunk is longer than a tenth of a second.
pub(super) const SPEED: RangeInclusive<f64> = 1e-3..=1e12;
const THREAD_EFFICIENCY: RangeInclusive<f64> = 0.001..=1.0;
/// A kilobyte a second, up to more than any memory moves.
pub(super) const BYTES_PER_S: RangeInclusive<f64> = 1e3..=1e16;
/// Up to a day.
pub(super) const COLD_START_MS: RangeInclusive<f64> = 0.0..=86_400_000.0;
/// Up to an hour.
pub(super) const LATENCY_MS: RangeInclusive<f64> = 0.0..=3_600_000.0;

/// Why a text describes no machine. It names the field, or the place in the text, and what is allowed there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// It cannot be read: it is not JSON, a field is unknown or missing, or holds something of another type. The message begins with
    /// the path of the field that was being read, if one was.
    #[error("{line}:{column}: {message}")]
    Unreadable {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A field holds what it may not.
    #[error("{field}: {message}")]
    Field {
        /// Its path, as in `gpus[0].speed`.
        field: String,
        /// What it holds, and what is allowed.
        message: String,
    },
}

/// What stands in every version of the format.
#[derive(Deserialize)]
struct Head {
    schema: Option<serde_json::Number>,
}

impl Machine {
    /// The machine that this JSON text describes.
    ///
    /// # Errors
    /// Where it is no machine file of this format, or a figure is none that a machine can have.
    pub fn parse(text: &str) -> Result<Self, MachineError> {
        // Another version's fields would be called unknown. What is no JSON is told below, with the field that it is in.
        if let Ok(Head { schema: Some(schema) }) = serde_json::from_str(text)
            && schema.as_u64() != Some(SCHEMA.into())
        {
            return Err(field(
                "schema",
                format!("{schema} is a format that this version does not read: it reads {SCHEMA}"),
            ));
        }
        if let Ok(value) = serde_json::from_str(text) {
            all_objects(&value)?;
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let machine: Self = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            let error = unreadable(error.into_inner());
            match error {
                // The root is a point, and what lies outside all fields a question mark.
                MachineError::Unreadable { line, column, message } if !matches!(path.as_str(), "." | "?") => {
                    MachineError::Unreadable { line, column, message: format!("{path}: {message}") }
                }
                error => error,
            }
        })?;
        reader.end().map_err(unreadable)?;
        machine.check()?;
        Ok(machine)
    }

    /// Checks that every figure is one that a machine can have.
    ///
    /// # Errors
    /// The first field that is none.
    pub fn check(&self) -> Result<(), MachineError> {
        let Self { schema, name, cpu, gpus, .. } = self;
        if *schema != SCHEMA {
            return Err(field("schema", format!("{schema} is not allowed: this version knows {SCHEMA}")));
        }
        named("name", name)?;
        whole("cpu.threads", cpu.threads.into(), &(1..=THREADS_MAX.into()))?;
        whole("cpu.memory_bytes", cpu.memory_bytes, &BYTES)?;
        number("cpu.speed", cpu.speed, &SPEED)?;
        number("cpu.thread_efficiency", cpu.thread_efficiency, &THREAD_EFFICIENCY)?;
        each("cpu.speeds", &cpu.speeds)?;
        for (index, gpu) in gpus.iter().enumerate() {
            check_gpu(&format!("gpus[{index}]"), gpu)?;
        }
        Ok(())
    }

    /// What `speeds` name that is no kind of job of this build: a typing error, or a kernel of somebody's own. As
    /// `gpus[0].speeds: stat`.
    pub fn unknown_kinds(&self) -> Vec<String> {
        let tables = std::iter::once(("cpu.speeds".to_owned(), &self.cpu.speeds));
        let gpus = self.gpus.iter().enumerate().map(|(index, gpu)| (format!("gpus[{index}].speeds"), &gpu.speeds));
        let names = tables.chain(gpus).flat_map(|(table, speeds)| speeds.keys().map(move |key| (table.clone(), key)));
        let unknown = names.filter(|(_, key)| kind(key.split(' ').next().unwrap_or_default()).is_none());
        unknown.map(|(table, key)| format!("{table}: {key}")).collect()
    }

    /// Its file, with a line end.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        // Strings and numbers under names that are strings: nothing in it can fail.
        text.unwrap_or_default() + "\n"
    }
}

fn check_gpu(place: &str, gpu: &Gpu) -> Result<(), MachineError> {
    let at = |name: &str| format!("{place}.{name}");
    named(&at("name"), &gpu.name)?;
    whole(&at("memory_bytes"), gpu.memory_bytes, &BYTES)?;
    whole(&at("max_chunk_bytes"), gpu.max_chunk_bytes, &BYTES)?;
    number(&at("upload_bytes_per_s"), gpu.upload_bytes_per_s, &BYTES_PER_S)?;
    number(&at("readback_bytes_per_s"), gpu.readback_bytes_per_s, &BYTES_PER_S)?;
    number(&at("cold_start_ms"), gpu.cold_start_ms, &COLD_START_MS)?;
    number(&at("latency_ms"), gpu.latency_ms, &LATENCY_MS)?;
    number(&at("speed"), gpu.speed, &SPEED)?;
    each(&at("speeds"), &gpu.speeds)
}

fn field(field: &str, message: String) -> MachineError {
    MachineError::Field { field: field.to_owned(), message }
}

fn unreadable(error: serde_json::Error) -> MachineError {
    let whole = error.to_string();
    let (line, column) = (error.line(), error.column());
    let message = whole.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&whole);
    MachineError::Unreadable { line, column, message: plain(message) }
}

/// What a reader of JSON says, without the words of its programming language.
fn plain(message: &str) -> String {
    if message.starts_with("EOF while parsing") {
        return "the text ends too early: a bracket or a quotation mark is not closed".to_owned();
    }
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message.to_owned() };
    let expected = match expected {
        "u32" | "u64" => "a whole number",
        "f64" => "a number",
        "a map" => "an object",
        "a sequence" => "a list",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    let found = found.replace("invalid type: ", "").replace("invalid value: ", "");
    let found = found.replace("floating point `", "the number `").replace("integer `", "the number `");
    let found =
        found.replacen("sequence", "a list", 1).replacen("map", "an object", 1).replacen("string \"", "the text \"", 1);
    format!("{found}, expected {expected}")
}

/// The format's objects are to be written as objects: lists of the same values would be read as well, but nobody could tell what is what.
fn all_objects(value: &serde_json::Value) -> Result<(), MachineError> {
    let is_object = |place: &str, value: &serde_json::Value| match value {
        serde_json::Value::Array(_) => Err(field(place, "a list, expected an object with names".to_owned())),
        _ => Ok(()),
    };
    is_object("the machine", value)?;
    is_object("cpu", &value["cpu"])?;
    let gpus = value["gpus"].as_array().map(Vec::as_slice).unwrap_or_default();
    gpus.iter().enumerate().try_for_each(|(index, gpu)| is_object(&format!("gpus[{index}]"), gpu))
}

fn named(place: &str, name: &str) -> Result<(), MachineError> {
    if name.trim().is_empty() { Err(field(place, "it is empty: give a name".to_owned())) } else { Ok(()) }
}

fn whole(place: &str, value: u64, allowed: &RangeInclusive<u64>) -> Result<(), MachineError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let (low, high) = (allowed.start(), allowed.end());
    Err(field(place, format!("{value} is not allowed: a whole number from {low} to {high}")))
}

fn number(place: &str, value: f64, allowed: &RangeInclusive<f64>) -> Result<(), MachineError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let (low, high) = (allowed.start(), allowed.end());
    Err(field(place, format!("{value:?} is not allowed: a number from {low:?} to {high:?}")))
}

fn each(place: &str, speeds: &BTreeMap<String, f64>) -> Result<(), MachineError> {
    speeds.iter().try_for_each(|(kind, &speed)| number(&format!("{place}.{kind}"), speed, &SPEED))
}

#[cfg(test)]
#[path = "machine_file_tests.rs"]
mod tests;
