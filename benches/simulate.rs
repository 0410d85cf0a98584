//! Simulated runs beside real ones on this machine, and how fast the simulator is.
//!
//! `cargo bench --bench simulate [RUNS]`. Each job file is run once to warm the model, then alternately for real and in simulated time,
//! where the simulator knows of this machine what `tandem machine export` writes of it at that moment. Keep the machine idle.

#![allow(clippy::print_stdout)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const RUNS: usize = 5;
const MILLION: u64 = 1_000_000;

fn main() {
    // Cargo adds `--bench`.
    let runs = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(RUNS).max(1);
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench { folder: folder.path() };
    println!(
        "{runs} real runs each, alternating with simulated ones; makespans in seconds, medians (smallest to largest)"
    );
    println!("  {:10} {:>24} {:>24} {:>17}", "jobs", "real", "simulated", "simulated / real");
    for (name, lines) in [("uniform", uniform()), ("irregular", irregular()), ("mixed", mixed())] {
        let jobs = bench.write(name, &lines);
        bench.real(&jobs);
        bench.real(&jobs);
        let (mut real, mut simulated): (Vec<f64>, Vec<f64>) =
            (0..runs).map(|_| (bench.real(&jobs), bench.simulated(&jobs))).unzip();
        let ratio = median(&mut simulated) / median(&mut real);
        println!("  {name:10} {:>24} {:>24} {ratio:17.3}", spread(&real), spread(&simulated));
    }
    let lines: String = (0..MILLION).fold(String::new(), |mut lines, n| {
        let _ = writeln!(lines, r#"{{"kind":"primes","numbers":[{}]}}"#, 2 * n + 1);
        lines
    });
    println!("a million jobs, read, bound and simulated, in seconds:");
    bench.million("one number each", &lines);
    for (name, width) in [("about 1 ms", 10_000_000), ("about 10 ms", 100_000_000), ("about 50 ms", 500_000_000)] {
        let lines: String = (0..MILLION).fold(String::new(), |mut lines, n| {
            let _ = writeln!(lines, "{}", range(1_000_000_000_000 + n * width, width));
            lines
        });
        bench.million(name, &lines);
    }
}

struct Bench<'a> {
    folder: &'a Path,
}

impl Bench<'_> {
    fn write(&self, name: &str, lines: &str) -> PathBuf {
        let path = self.folder.join(format!("{name}.jsonl"));
        std::fs::write(&path, lines).expect("a job file");
        path
    }

    fn tandem(&self, args: &[&str]) -> Vec<u8> {
        let model = self.folder.join("model.json");
        let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(args)
            .env("TANDEM_MODEL", &model)
            .stdin(Stdio::null())
            .output()
            .expect("tandem runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tandem {}: {}\n{err}", args.join(" "), output.status);
        output.stdout
    }

    /// Seconds from the begin of the process to its end.
    fn real(&self, jobs: &Path) -> f64 {
        let begin = Instant::now();
        self.tandem(&["run", text(jobs), "--results-only"]);
        begin.elapsed().as_secs_f64()
    }

    /// The makespan in seconds.
    fn simulated(&self, jobs: &Path) -> f64 {
        let machine = self.folder.join("machine.json");
        self.tandem(&["machine", "export", "--output", text(&machine)]);
        let out = self.tandem(&["simulate", text(jobs), "--machine", text(&machine), "--json"]);
        let line: serde_json::Value = serde_json::from_slice(&out).expect("a line of JSON");
        line["makespan_ms"].as_f64().expect("a makespan") / 1e3
    }

    fn million(&self, name: &str, lines: &str) {
        let jobs = self.write("million", lines);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/machines");
        let examples = ["ci-runner", "h100-server", "laptop-integrated", "workstation"];
        let mut line = format!("  {name:16}");
        for example in examples {
            let machine = format!("{folder}/{example}.json");
            let begin = Instant::now();
            self.tandem(&["simulate", text(&jobs), "--machine", &machine, "--json"]);
            let _ = write!(line, "  {example} {:.2}", begin.elapsed().as_secs_f64());
        }
        println!("{line}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of plain text")
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median, and from where to where: `values` are in order.
fn spread(values: &[f64]) -> String {
    let (first, last) = (values[0], values[values.len() - 1]);
    format!("{:.2} ({first:.2} to {last:.2})", values[values.len() / 2])
}

fn range(from: u64, width: u64) -> String {
    format!(r#"{{"kind":"primes","range":["{from}","{}"],"method":"sieve","count":true}}"#, from + width)
}

fn uniform() -> String {
    (0..40).map(|n| range(1_000_000_000_000 + n * 400_000_000, 400_000_000) + "\n").collect()
}

/// Ranges over three decades of width, and lists of numbers, large and small ones mixed.
fn irregular() -> String {
    let mut dice = Dice(7);
    let mut lines = String::new();
    for n in 0..60 {
        let width = 10_f64.powf(6.0 + 3.3 * dice.unit()) as u64;
        lines += &(range(1_000_000_000_000 + n * 10_000_000_000, width) + "\n");
        let numbers: Vec<String> = (0..1 + dice.below(200)).map(|_| format!("\"{}\"", dice.below(u64::MAX))).collect();
        let _ = writeln!(lines, r#"{{"kind":"primes","numbers":[{}]}}"#, numbers.join(","));
    }
    lines
}

/// Kernels, tasks, and jobs that wait for others.
fn mixed() -> String {
    let mut dice = Dice(11);
    let mut lines = String::new();
    for n in 0..40 {
        let (p, q) = (dice.prime(), dice.prime());
        let _ = writeln!(lines, r#"{{"kind":"factor","n":"{}"}}"#, u128::from(p) * u128::from(q));
        let _ = writeln!(lines, r#"{{"kind":"fibonacci","n":{}}}"#, 100_000 + dice.below(700_000));
        let values: Vec<String> = (0..400).map(|_| format!("{:.3}", dice.unit())).collect();
        let _ = writeln!(lines, r#"{{"kind":"stats","values":[{}]}}"#, values.join(","));
        let width = 10_f64.powf(7.0 + 1.7 * dice.unit()) as u64;
        let _ = writeln!(lines, "{{\"id\":\"range-{n}\",{}", &range(1_000_000_000_000 + n * 1_000_000_000, width)[1..]);
        if n >= 4 && n % 4 == 0 {
            let line = range(2_000_000_000_000 + n * 1_000_000_000, 200_000_000);
            let _ = writeln!(lines, "{{\"after\":[\"range-{}\"],{}", n - 4, &line[1..]);
        }
    }
    lines
}

/// A small generator, the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) % bound
    }

    fn unit(&mut self) -> f64 {
        self.below(1 << 40) as f64 / (1_u64 << 40) as f64
    }

    /// A prime of 50 bits: factors of which Pollard's method takes long.
    fn prime(&mut self) -> u64 {
        loop {
            let n = ((1 << 49) + self.below(1 << 49)) | 1;
            if (3..).step_by(2).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d)) {
                return n;
            }
        }
    }
}
