//! Devices, and what has been learned of them.

use std::fmt::Write;

use serde_json::json;

use crate::device::{DeviceId, DeviceInfo, DeviceKind};
use crate::model::{MemoryRow, Row};
use crate::report::figures::{bytes, counted, rate, time_ms, whole};
use crate::report::style::visible;
use crate::report::{Align, Style, Table, visible_lines};

/// A device, and how things stand with it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceReport {
    /// What it is.
    pub info: DeviceInfo,
    /// Why it is not used, where it is not.
    pub unusable: Option<String>,
    /// How many runs of it are remembered.
    pub samples: u64,
}

/// What a kind of hardware is called.
pub const fn device_kind_name(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Cpu => "cpu",
        DeviceKind::DiscreteGpu => "discrete gpu",
        DeviceKind::IntegratedGpu => "integrated gpu",
        DeviceKind::VirtualGpu => "virtual gpu",
        DeviceKind::SoftwareGpu => "software gpu",
        DeviceKind::OtherGpu => "other gpu",
    }
}

/// Every device with what matters of it, and the diagnosis where no GPU can be used.
pub fn devices_text(devices: &[DeviceReport], diagnosis: Option<&str>, style: Style) -> String {
    let mut text = String::new();
    let limits = devices.iter().flat_map(|device| device.info.limits.iter().map(|(name, _)| name.as_str()));
    let width = limits.chain(["chunk at most"]).map(|name| name.chars().count()).max().unwrap_or(0);
    for DeviceReport { info, unusable, samples } in devices {
        let _ = writeln!(text, "{}", style.strong(&format!("{}  {}", info.id, visible(&info.name))));
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:<width$}  {}", visible(value));
        };
        line("kind", device_kind_name(info.kind));
        line("driver", &info.driver);
        if info.kind == DeviceKind::Cpu {
            line("threads", &info.lanes.to_string());
        } else {
            line("memory", &info.memory_bytes.map_or_else(|| "not told by the driver".to_owned(), bytes));
            line("chunk at most", &bytes(info.max_chunk_bytes));
        }
        for (name, value) in &info.limits {
            line(name, value);
        }
        line(
            "model",
            &if *samples == 0 { "nothing measured yet".to_owned() } else { counted(*samples, "run", "runs") },
        );
        let state = match unusable {
            Some(why) => style.bad(&format!("not used: {}", visible(why))),
            None => style.good("usable"),
        };
        let _ = writeln!(text, "  {:<width$}  {state}", "state");
    }
    if let Some(diagnosis) = diagnosis {
        let _ = writeln!(text, "{}", visible_lines(diagnosis));
    }
    text
}

/// The same as one JSON object: `{"devices":[…],"diagnosis"}`.
///
/// # Errors
/// None that can come up: its figures are whole numbers and texts.
pub fn devices_json(devices: &[DeviceReport], diagnosis: Option<&str>) -> serde_json::Result<String> {
    let devices: Vec<_> = devices
        .iter()
        .map(|DeviceReport { info, unusable, samples }| {
            let limits: serde_json::Map<_, _> =
                info.limits.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!({
                "device": info.id.to_string(),
                "name": info.name,
                "kind": device_kind_name(info.kind),
                "software": info.is_software(),
                "driver": info.driver,
                "fingerprint": info.fingerprint,
                "lanes": info.lanes,
                "memory_bytes": info.memory_bytes,
                // The CPU has no limit of its own.
                "max_chunk_bytes": (info.id != DeviceId::Cpu).then(|| info.max_chunk_bytes.to_string()),
                "limits": limits,
                "model_samples": samples,
                "usable": unusable.is_none(),
                "unusable": unusable,
            })
        })
        .collect();
    Ok(serde_json::to_string(&json!({"devices": devices, "diagnosis": diagnosis}))? + "\n")
}

/// What has been learned, as a table; `place` is where it is kept. Devices are numbered, since what their measurements are
/// kept under is long. `prior` is what a unit costs by the kernel's own account, by which jobs are told apart.
pub fn model_text(place: &str, rows: &[Row], style: Style) -> String {
    let mut text = format!("model: {}\n", visible(place));
    if rows.is_empty() {
        text.push_str("nothing measured yet: jobs that run teach it, or `tandem calibrate`\n");
        return text;
    }
    let mut devices: Vec<&str> = rows.iter().map(|row| row.device.as_str()).collect();
    devices.sort_unstable();
    devices.dedup();
    for (number, device) in (1..).zip(&devices) {
        let _ = writeln!(text, "device {number}: {}", visible(device));
    }
    text.push('\n');
    let (left, right) = (Align::Left, Align::Right);
    let mut table = Table::new(&[
        ("kernel", left),
        ("variant", left),
        ("prior", right),
        ("device", right),
        ("lanes", right),
        ("phase", left),
        ("units", right),
        ("took", right),
        ("units/s", right),
        ("runs", right),
    ]);
    for row in rows {
        let any = |text: &str| if text.is_empty() { "(any)".to_owned() } else { visible(text).into_owned() };
        let per_second = if row.ms > 0.0 { rate(row.units / row.ms * 1e3) } else { "-".to_owned() };
        table.row([
            any(&row.kernel),
            any(&row.variant),
            row.prior_ns.map_or_else(|| "-".to_owned(), prior),
            devices.binary_search(&row.device.as_str()).map_or(0, |at| at + 1).to_string(),
            row.lanes.to_string(),
            row.phase.to_owned(),
            whole(row.units.round() as u64),
            time_ms(row.ms),
            per_second,
            row.samples.to_string(),
        ]);
    }
    text + &table.render("", style)
}

/// So many nanoseconds, and tenths of few.
fn prior(ns: f64) -> String {
    if ns < 9.95 { format!("{ns:.1} ns") } else { time_ms(ns / 1e6) }
}

/// The same as one JSON object: `{"model","rows":[{"kernel","variant","prior_ns","device","lanes","phase","units","ms","samples"}],
/// "memory":[{"name","bytes","runs"}]}`.
///
/// # Errors
/// None that can come up: its figures are finite.
pub fn model_json(place: &str, rows: &[Row], memory: &[MemoryRow]) -> serde_json::Result<String> {
    Ok(serde_json::to_string(&json!({"model": place, "rows": rows, "memory": memory}))? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: DeviceId, kind: DeviceKind) -> DeviceReport {
        let info = DeviceInfo {
            id,
            name: "A\u{1b}[2JB".to_owned(),
            kind,
            driver: "Vulkan, Mesa 25".to_owned(),
            fingerprint: "x".to_owned(),
            lanes: 4,
            memory_bytes: Some(8 << 30),
            max_chunk_bytes: 128 << 20,
            limits: vec![("shader f64".to_owned(), "no".to_owned())],
        };
        DeviceReport { info, unusable: None, samples: 0 }
    }

    #[test]
    fn devices_show_what_matters_and_why_one_is_not_used() {
        let cpu = DeviceReport { samples: 12, ..device(DeviceId::Cpu, DeviceKind::Cpu) };
        let unusable = Some("software adapter, not allowed".to_owned());
        let gpu = DeviceReport { unusable, ..device(DeviceId::Gpu(0), DeviceKind::SoftwareGpu) };
        assert_eq!(
            devices_text(&[cpu, gpu], Some("no usable gpu\n  to do: x"), Style::PLAIN),
            "\
cpu  A\\u{1b}[2JB
  kind           cpu
  driver         Vulkan, Mesa 25
  threads        4
  shader f64     no
  model          12 runs
  state          usable
gpu:0  A\\u{1b}[2JB
  kind           software gpu
  driver         Vulkan, Mesa 25
  memory         8.00 GiB
  chunk at most  128 MiB
  shader f64     no
  model          nothing measured yet
  state          not used: software adapter, not allowed
no usable gpu
  to do: x
"
        );
    }

    #[test]
    fn devices_are_json_too() {
        let text = devices_json(&[device(DeviceId::Gpu(1), DeviceKind::DiscreteGpu)], None).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&parsed["devices"][0]["device"], &parsed["devices"][0]["software"]),
            (&json!("gpu:1"), &json!(false))
        );
        assert_eq!(parsed["diagnosis"], serde_json::Value::Null);
    }

    #[test]
    fn the_model_is_a_table_or_a_hint_how_to_fill_it() {
        assert!(model_text("none", &[], Style::PLAIN).contains("tandem calibrate"));
        let row = Row {
            kernel: "stats".to_owned(),
            variant: "f32".to_owned(),
            prior_ns: Some(0.7),
            device: "gpu B".to_owned(),
            lanes: 2,
            phase: "compute",
            units: 1e6,
            ms: 0.5,
            samples: 3,
        };
        let (kernel, variant, device) = (String::new(), String::new(), "cpu A".to_owned());
        let anywhere = Row { kernel, variant, prior_ns: None, device, phase: "setup", ms: 0.0, ..row.clone() };
        assert_eq!(
            model_text("m.json", &[row.clone(), anywhere], Style::PLAIN),
            "\
model: m.json
device 1: cpu A
device 2: gpu B

kernel  variant   prior  device  lanes  phase        units    took   units/s  runs
stats   f32      0.7 ns       2      2  compute  1,000,000  500 us  2.00 G/s     3
(any)   (any)         -       1      2  setup    1,000,000    0 ms         -     3
"
        );
        let parsed: serde_json::Value = serde_json::from_str(&model_json("m.json", &[row], &[]).unwrap()).unwrap();
        assert_eq!(parsed["rows"][0]["samples"], 3);
    }
}
