//! What a benchmark ran on, and what that can do.

use std::fmt::Write;

use crate::bench::{Ceiling, Machine};
use crate::report::chart::Unit;
use crate::report::figures::{bytes, rate};
use crate::report::{Style, visible};

/// Each device with its driver, software adapters named as such; and for each place what it can do at best.
pub fn bench_machine_text(machine: &Machine, ceilings: &[Ceiling], style: Style) -> String {
    let mut text = String::new();
    for device in &machine.devices {
        let memory = device.memory_bytes.map_or_else(String::new, |memory| format!(", {}", bytes(memory)));
        let threads = if device.device == "cpu" { format!(", {} threads", machine.threads) } else { String::new() };
        let software = if device.software { " - software: shaders run on the CPU's own cores" } else { "" };
        let _ = writeln!(
            text,
            "{}  {} ({}, {}{threads}{memory}){software}",
            style.strong(&format!("{:<6}", device.device)),
            visible(&device.name),
            device.kind,
            visible(&device.driver)
        );
    }
    for ceiling in ceilings {
        let _ = writeln!(
            text,
            "{}",
            style.faint(&format!("at best, {:<6}  {}", ceiling.place.to_string(), at_best(ceiling)))
        );
    }
    text
}

/// What follows the prefix of a rate.
const MULTIPLY_ADDS: &str = " multiply-adds of 64 bits/s";

/// `reads 12.3 GB/s, uploads 8 GB/s, 4.5 G multiply-adds/s`.
pub(super) fn at_best(ceiling: &Ceiling) -> String {
    let parts = [
        ceiling.read_bytes_per_s.map(|per_s| format!("reads {}", Unit::BytesPerSecond.show(per_s))),
        ceiling.upload_bytes_per_s.map(|per_s| format!("uploads {}", Unit::BytesPerSecond.show(per_s))),
        ceiling.operations_per_s.map(|per_s| rate(per_s).replace("/s", MULTIPLY_ADDS)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::examples;

    #[test]
    fn devices_are_told_with_driver_and_ceiling_and_software_as_such() {
        let mut report = examples::report();
        report.machine.devices[1].software = true;
        let text = bench_machine_text(&report.machine, &report.ceilings, Style::PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "cpu     A CPU (cpu, avx2, 8 threads, 16.0 GiB)");
        assert!(lines[1].ends_with("8.00 GiB) - software: shaders run on the CPU's own cores"), "{text}");
        assert_eq!(lines[3], "at best, gpu:0   reads 500 GB/s, uploads 20.0 GB/s, 1.00 T multiply-adds of 64 bits/s");
    }
}
