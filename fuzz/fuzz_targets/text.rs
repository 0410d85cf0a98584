#![no_main]
//! Any bytes as whole numbers, one a line; and as an input of unknown format, for both front doors.

use libfuzzer_sys::fuzz_target;
use tandem::input::{Format, read_numbers, read_stream};
use tandem_fuzz::{NAME, check_dataset, check_list, spec};

fuzz_target!(|data: &[u8]| {
    check_list(read_numbers(NAME, &mut &data[..], Some(Format::Text)));
    check_list(read_numbers(NAME, &mut &data[..], None));
    check_dataset(read_stream(NAME, &mut &data[..], &spec(|_| ())));
});
