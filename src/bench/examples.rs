//! Reports for tests.

use crate::bench::{
    Again, Bound, Ceiling, Cell, DeviceDescription, FileComparison, FileRun, Limit, Machine, Mode, Place, Report, Row,
    Run, SCHEMA, Settings, Used, Verdict,
};

/// All times are sums of a few powers of two, which JSON keeps exactly.
///
/// Ten runs close to `ms`, a quarter of it upload on a GPU.
pub(crate) fn cell(place: Place, ms: f64) -> Cell {
    let run = |order: u32| {
        // Spread about the middle without a trend.
        let ms = ms * (1.0 + (f64::from(order * 7 % 10) - 4.5) / 512.0);
        let upload_ms = if place.is_gpu() { ms / 4.0 } else { 0.0 };
        Run { order, ms, upload_ms, compute_ms: ms - upload_ms, ..Run::default() }
    };
    let lanes = if place == Place::Cpu { 8 } else { 1 };
    let cold = Run { setup_ms: if place.is_gpu() { 200.0 } else { 0.0 }, ..run(0) };
    let mut cell = Cell::new(place, lanes, cold, (0..10).map(run).collect());
    // The middle of an even number of runs; whole, for what is shown.
    cell.median_ms = ms;
    cell
}

/// A row with these medians.
pub(crate) fn row(kind: &str, variant: &str, units: u64, times: &[(Place, f64)]) -> Row {
    Row {
        kind: kind.to_owned(),
        variant: variant.to_owned(),
        units,
        bytes: units as f64 * 4.0,
        operations: None,
        others_busy_cpus: Some(0.0),
        cells: times.iter().map(|&(place, ms)| cell(place, ms)).collect(),
    }
}

/// Two sizes of one variant on one thread, eight threads and a GPU that wins at the larger one; and a job file.
pub(crate) fn report() -> Report {
    let mut rows = vec![
        row("stats", "f32", 10_000, &[(Place::Thread, 0.125), (Place::Cpu, 0.0625), (Place::Gpu(0), 0.25)]),
        row("stats", "f32", 1_000_000, &[(Place::Thread, 4.0), (Place::Cpu, 1.0), (Place::Gpu(0), 0.25)]),
    ];
    let memory = |share| Some(Limit { bound: Bound::Memory, share, operations_per_byte: None, used: Used::default() });
    (rows[1].cells[0].limit, rows[1].cells[1].limit) = (memory(0.2), memory(0.21));
    rows[1].cells[2].limit = Some(Limit {
        bound: Bound::Upload,
        share: 0.8,
        operations_per_byte: None,
        used: Used { upload: Some(0.8), memory: Some(0.2), operations: None },
    });
    let devices = vec![
        DeviceDescription {
            device: "cpu".to_owned(),
            name: "A CPU".to_owned(),
            kind: "cpu".to_owned(),
            driver: "avx2".to_owned(),
            software: false,
            fingerprint: "cpu a".to_owned(),
            memory_bytes: Some(16 << 30),
            opening_ms: None,
        },
        DeviceDescription {
            device: "gpu:0".to_owned(),
            name: "A <GPU> & co".to_owned(),
            kind: "discrete gpu".to_owned(),
            driver: "Vulkan, 1.0".to_owned(),
            software: false,
            fingerprint: "gpu a".to_owned(),
            memory_bytes: Some(8 << 30),
            opening_ms: Some(64.0),
        },
    ];
    let verdicts = vec![Verdict::of(&rows, &devices).expect("there are rows")];
    let run = |mode, ms: f64| {
        FileRun::new(mode, [0.0, 1.0, -1.0, 0.5, -0.5].map(|apart| ms * (1.0 + apart / 128.0)).to_vec(), 0)
    };
    Report {
        schema: SCHEMA,
        tandem: "0.1.0".to_owned(),
        optimised: true,
        begun_unix_s: 1_700_000_000,
        machine: Machine {
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            threads: 8,
            cpus: Some(8),
            devices,
            no_gpu: None,
        },
        settings: Settings { budget_s: 60.0, min_time_s: None, runs: None, warmup: None },
        ceilings: vec![
            Ceiling {
                place: Place::Cpu,
                read_bytes_per_s: Some(2e10),
                upload_bytes_per_s: None,
                operations_per_s: Some(1e10),
            },
            Ceiling {
                place: Place::Gpu(0),
                read_bytes_per_s: Some(5e11),
                upload_bytes_per_s: Some(2e10),
                operations_per_s: Some(1e12),
            },
        ],
        ceilings_after: Vec::new(),
        again: Again::default(),
        rows,
        verdicts,
        files: vec![FileComparison {
            file: "jobs.jsonl".to_owned(),
            jobs: 5,
            without_gpu: 1,
            without_cpu: 0,
            over_budget: None,
            others_busy_cpus: None,
            runs: vec![run(Mode::Cpu, 100.0), run(Mode::Gpu, 80.0), run(Mode::Auto, 84.0)],
        }],
    }
}
