#![no_main]
//! Any bytes as a CSV file; the first byte chooses the options.

use libfuzzer_sys::fuzz_target;
use tandem::input::{ColumnRef, Format, Header, read_stream};
use tandem_fuzz::{NAME, check_dataset, spec};

fuzz_target!(|data: &[u8]| {
    let Some((&options, mut text)) = data.split_first() else { return };
    let spec = spec(|spec| {
        spec.format = Some(Format::Csv);
        spec.header = [Header::Auto, Header::Yes, Header::No, Header::Auto][usize::from(options & 3)];
        spec.columns = match options >> 2 & 3 {
            1 => Some(vec![ColumnRef::from("a")]),
            2 => Some(vec![ColumnRef::from("1"), ColumnRef::Index(0)]),
            _ => None,
        };
        if options & 16 != 0 {
            spec.na = vec!["NA".to_owned(), "-9".to_owned()];
        }
    });
    check_dataset(read_stream(NAME, &mut text, &spec));
});
