#![no_main]
//! Any bytes as an .npy file, for both of its readers.

use libfuzzer_sys::fuzz_target;
use tandem::input::{Format, read_numbers, read_stream};
use tandem_fuzz::{NAME, check_dataset, check_list, spec};

fuzz_target!(|data: &[u8]| {
    check_dataset(read_stream(NAME, &mut &data[..], &spec(|spec| spec.format = Some(Format::Npy))));
    check_list(read_numbers(NAME, &mut &data[..], Some(Format::Npy)));
});
