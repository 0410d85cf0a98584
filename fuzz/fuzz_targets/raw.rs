#![no_main]
//! Any bytes as raw elements; the first two choose their type and the offset.

use libfuzzer_sys::fuzz_target;
use tandem::input::{DType, Format, read_stream};
use tandem_fuzz::{NAME, check_dataset, spec};

fuzz_target!(|data: &[u8]| {
    let [dtype, offset, elements @ ..] = data else { return };
    let spec = spec(|spec| {
        spec.format = Some(Format::Raw);
        spec.dtype = Some(DType::ALL[usize::from(*dtype) % DType::ALL.len()]);
        spec.offset = if *offset == 255 { Some(u64::MAX) } else { Some(u64::from(*offset)) };
    });
    check_dataset(read_stream(NAME, &mut &elements[..], &spec));
});
