//! Machine files: read, checked, and written.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::job::kind;
use crate::simulate::{Gpu, Machine};

/// The number of the format.
pub(super) const SCHEMA: u32 = 1;
/// More threads than any machine has; a typing error.
const THREADS_MAX: u32 = 1 << 20;

/// Why a text describes no machine. It names the field, or the place in the text, and what is allowed there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// It cannot be read: it is not JSON, a field is unknown or missing, or holds something of another type.
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
        let head: Head = serde_json::from_str(text).map_err(unreadable)?;
        match head.schema {
            Some(schema) if schema.as_u64() != Some(SCHEMA.into()) => {
                return Err(field(
                    "schema",
                    format!("{schema} is a format that this version does not read: it reads {SCHEMA}"),
                ));
            }
            _ => {}
        }
        let machine: Self = serde_json::from_str(text).map_err(unreadable)?;
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
        if !(1..=THREADS_MAX).contains(&cpu.threads) {
            return Err(field(
                "cpu.threads",
                format!("{} is not allowed: a whole number from 1 to {THREADS_MAX}", cpu.threads),
            ));
        }
        at_least_one("cpu.memory_bytes", cpu.memory_bytes)?;
        positive("cpu.speed", cpu.speed)?;
        if !(cpu.thread_efficiency > 0.0 && cpu.thread_efficiency <= 1.0) {
            let message = format!("{} is not allowed: a number above 0 and up to 1", cpu.thread_efficiency);
            return Err(field("cpu.thread_efficiency", message));
        }
        all_positive("cpu.speeds", &cpu.speeds)?;
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
    at_least_one(&at("memory_bytes"), gpu.memory_bytes)?;
    at_least_one(&at("max_chunk_bytes"), gpu.max_chunk_bytes)?;
    positive(&at("upload_bytes_per_s"), gpu.upload_bytes_per_s)?;
    positive(&at("readback_bytes_per_s"), gpu.readback_bytes_per_s)?;
    not_negative(&at("cold_start_ms"), gpu.cold_start_ms)?;
    not_negative(&at("latency_ms"), gpu.latency_ms)?;
    positive(&at("speed"), gpu.speed)?;
    all_positive(&at("speeds"), &gpu.speeds)
}

fn field(field: &str, message: String) -> MachineError {
    MachineError::Field { field: field.to_owned(), message }
}

fn unreadable(error: serde_json::Error) -> MachineError {
    let whole = error.to_string();
    let (line, column) = (error.line(), error.column());
    let message = whole.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&whole).to_owned();
    MachineError::Unreadable { line, column, message }
}

fn named(place: &str, name: &str) -> Result<(), MachineError> {
    if name.trim().is_empty() { Err(field(place, "it is empty: give a name".to_owned())) } else { Ok(()) }
}

fn at_least_one(place: &str, value: u64) -> Result<(), MachineError> {
    if value == 0 { Err(field(place, "0 is not allowed: a whole number from 1 on".to_owned())) } else { Ok(()) }
}

fn positive(place: &str, value: f64) -> Result<(), MachineError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(field(place, format!("{value} is not allowed: a number above 0")))
}

fn not_negative(place: &str, value: f64) -> Result<(), MachineError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(field(place, format!("{value} is not allowed: 0 or a number above it")))
}

fn all_positive(place: &str, speeds: &BTreeMap<String, f64>) -> Result<(), MachineError> {
    speeds.iter().try_for_each(|(kind, &speed)| positive(&format!("{place}.{kind}"), speed))
}

#[cfg(test)]
#[path = "machine_file_tests.rs"]
mod tests;
