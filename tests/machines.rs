//! The example machines.

use std::path::Path;

use tandem::simulate::Machine;

fn example(name: &str) -> Machine {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/machines").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    Machine::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_example_is_a_machine_and_names_its_sources() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/machines");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    names.sort();
    assert_eq!(names, ["ci-runner.json", "h100-server.json", "laptop-integrated.json", "workstation.json"]);
    for name in names {
        let machine = example(&name);
        assert_eq!(machine.unknown_kinds(), Vec::<String>::new(), "{name}");
        let sources = machine.notes.iter().filter(|note| note.starts_with("Source: ") && note.contains("https://"));
        assert!(sources.count() > machine.gpus.len(), "{name} names a source for its cpu and for each gpu");
        assert!(machine.notes.iter().any(|note| note.contains("estimates")), "{name} says what is derived");
    }
}

/// What the notes of each file say how its figures follow from published ones.
#[test]
fn the_speeds_follow_from_the_published_figures_as_the_notes_say() {
    let near = |found: f64, expected: f64, what: &str| {
        assert!((found / expected - 1.0).abs() < 0.01, "{what}: {found}, not {expected}");
    };
    // Cores, threads, the two clocks in GHz; memory bandwidth in GB/s and 32-bit integer instructions a second of the GPU.
    for (name, cores, threads, clocks, bandwidth, instructions) in [
        ("laptop-integrated.json", 8.0, 16, [3.3, 5.1], 120.0, 768.0 * 2.7e9),
        ("workstation.json", 16.0, 32, [4.5, 5.7], 1008.0, 16384.0 / 2.0 * 2.52e9),
        ("h100-server.json", 14.0, 28, [2.0, 3.8], 3350.0, 132.0 * 64.0 * 1.98e9),
    ] {
        let machine = example(name);
        assert_eq!(machine.cpu.threads, threads, "{name}");
        near(machine.cpu.speed, f64::midpoint(clocks[0], clocks[1]) / 3.5, name);
        near(machine.cpu.thread_efficiency, (1.25 * cores - 1.0) / f64::from(threads - 1), name);
        let gpu = &machine.gpus[0];
        // A thread reads so many bytes in so many nanoseconds: GB/s.
        for (variant, bytes, ns) in [("f32", 4.0, 0.7), ("u32", 4.0, 0.7), ("f64", 8.0, 2.0), ("i64", 8.0, 1.2)] {
            near(gpu.speed_of("stats", variant), 0.5 * bandwidth / (bytes / ns), variant);
        }
        near(gpu.speed_of("primes", "range"), 0.25 * instructions / 4.0 / (3.0 * 3.5e9), name);
        assert_eq!(gpu.speed, gpu.speed_of("primes", "").min(gpu.speed_of("stats", "")), "{name}");
    }
}

/// One memory serves both: what is given to one is not the other's.
#[test]
fn a_laptop_gives_no_more_memory_than_it_has() {
    let machine = example("laptop-integrated.json");
    let together = machine.cpu.memory_bytes + machine.gpus[0].memory_bytes;
    assert!(machine.name.contains("32 GB") && together <= 32 << 30, "{together} bytes of {}", machine.name);
}
