//! How fast the readers decode, on one thread, from memory: megabytes of text in a second of the CPU's time. Each checks its values first.
//!
//! `cargo bench --no-default-features --bench input`
#![allow(clippy::print_stdout)]

use std::fmt::Write;

use tandem::input::{ColumnRef, Element, Format, InputSpec, Location, Scratch, Source, read_numbers, read_stream};

#[allow(dead_code, reason = "threads and medians are for others")]
mod measure;

use measure::computed_ms;

const TEXT_BYTES: usize = 64 << 20;

/// The same pseudo-random numbers every time (Knuth's multiplier).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 11
    }

    /// Of three decimals, from 0 to 2000.
    fn decimal(&mut self) -> f64 {
        (self.next() % 2_000_000) as f64 / 1000.0
    }
}

/// Lines until there is enough, and the numbers in them that are to be read.
fn text<T>(head: &str, mut line: impl FnMut(&mut String, &mut Numbers) -> T) -> (String, Vec<T>) {
    let mut text = String::with_capacity(TEXT_BYTES + 1000);
    text.push_str(head);
    let (mut numbers, mut values) = (Numbers(1), Vec::new());
    while text.len() < TEXT_BYTES {
        values.push(line(&mut text, &mut numbers));
    }
    (text, values)
}

fn report<T: Element>(
    label: &str,
    text: &str,
    expected: &[T],
    read: impl Fn(&mut &[u8]) -> std::sync::Arc<dyn Source>,
) {
    let mut best_s = f64::INFINITY;
    for run in 0..6 {
        let mut source = None;
        let elapsed_s = computed_ms(|| source = Some(read(&mut text.as_bytes()))) / 1e3;
        let source = source.expect("it was read");
        if run == 0 {
            let mut scratch = Scratch::default();
            let values = source.read(0..source.len(), &mut scratch).expect("it was read");
            assert!(T::unwrap(&values) == Some(expected), "{label}: other values than were written");
        } else {
            best_s = best_s.min(elapsed_s);
        }
    }
    let (megabytes, millions) = (text.len() as f64 / 1e6, expected.len() as f64 / 1e6);
    println!("{label:<32} {:>7.0} MB/s {:>7.1} M values/s   best of 5", megabytes / best_s, millions / best_s);
}

fn column(stream: &mut &[u8], format: Format, column: Option<&str>) -> std::sync::Arc<dyn Source> {
    let mut spec = InputSpec::new(Location::Stdin);
    spec.format = Some(format);
    spec.columns = column.map(|column| vec![ColumnRef::from(column)]);
    let dataset = read_stream("bench", stream, &spec).expect("it is well formed");
    std::sync::Arc::clone(&dataset.columns[0].source)
}

fn main() {
    let (csv, values) = text("date,temp\n", |text, numbers| {
        let value = (numbers.next() % 1200) as f64 / 10.0;
        writeln!(text, "2010/01/{:02} {:02}:00,{value}", numbers.next() % 28 + 1, numbers.next() % 24)
            .expect("a string");
        value
    });
    report("csv, date and one decimal", &csv, &values, |stream| column(stream, Format::Csv, None));

    let (csv, values) = text("a,b,c,d,e,f,g,h\n", |text, numbers| {
        let values: [f64; 8] = std::array::from_fn(|_| numbers.decimal());
        let cells = values.map(|value| value.to_string()).join(",");
        text.push_str(&cells);
        text.push('\n');
        values[0]
    });
    report("csv, 8 columns of decimals", &csv, &values, |stream| column(stream, Format::Csv, None));
    report("csv, 1 of 8 columns", &csv, &values, |stream| column(stream, Format::Csv, Some("a")));

    let (csv, values) = text("", |text, numbers| {
        let value = f64::from_bits(0x3ff0_0000_0000_0000 | numbers.next() >> 1);
        writeln!(text, "{value}").expect("a string");
        value
    });
    report("csv, 17 digits", &csv, &values, |stream| column(stream, Format::Csv, None));

    let (mut json, mut values) = text("[", |text, numbers| {
        let value = numbers.decimal();
        write!(text, "{value}, ").expect("a string");
        value
    });
    json.push_str("1]");
    values.push(1.0);
    report("json", &json, &values, |stream| column(stream, Format::Json, None));

    let (lines, values) = text("", |text, numbers| {
        let value = numbers.next();
        writeln!(text, "{value}").expect("a string");
        value
    });
    report("text", &lines, &values, |stream| {
        std::sync::Arc::clone(read_numbers("bench", stream, Some(Format::Text)).expect("it is well formed").source())
    });
}
