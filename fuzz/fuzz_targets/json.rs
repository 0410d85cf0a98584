#![no_main]
//! Any bytes as a JSON array. What serde_json takes for an array of finite numbers must be read, to the same bits.

use libfuzzer_sys::fuzz_target;
use tandem::input::{Element, Format, Scratch, read_stream};
use tandem_fuzz::{NAME, check_dataset, spec};

fuzz_target!(|data: &[u8]| {
    let spec = spec(|spec| spec.format = Some(Format::Json));
    let read = read_stream(NAME, &mut &data[..], &spec);
    if let Ok(expected) = serde_json::from_slice::<Vec<f64>>(data) {
        let dataset = read.as_ref().expect("what serde_json reads is read");
        let source = &dataset.columns[0].source;
        let mut scratch = Scratch::default();
        let values = source.read(0..source.len(), &mut scratch).expect("it is in memory");
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(f64::unwrap(&values).expect("JSON gives f64")), bits(&expected));
    }
    check_dataset(read);
});
