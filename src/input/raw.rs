//! Raw elements: as they lie in memory, in this machine's byte order, with nothing around them but bytes to skip.

use crate::input::DType;
use crate::input::bytes::Bytes;
use crate::input::elements::Elements;
use crate::job::JobError;

/// The elements of type `dtype` from byte `offset` to the end of `bytes`. No bytes are no elements.
pub(crate) fn open(name: &str, bytes: Bytes, dtype: DType, offset: u64) -> Result<Elements, JobError> {
    let Some(there) = bytes.len().checked_sub(offset) else {
        return Err(JobError::bad_input(format!(
            "{name}: has {} bytes, fewer than option `offset` skips ({offset}): give a smaller one",
            bytes.len()
        )));
    };
    let size_bytes = dtype.size_bytes() as u64;
    if there % size_bytes != 0 {
        return Err(JobError::bad_input(format!(
            "{name}: {there} bytes from byte {offset} on are no whole number of {dtype} elements ({size_bytes} bytes \
             each): check options `dtype` and `offset`"
        )));
    }
    Ok(Elements::run(name, bytes, offset, dtype, there / size_bytes, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Element, Scratch, Source};

    fn bytes(mut data: &[u8]) -> Bytes {
        Bytes::of_stream(&mut data, "t.raw", 1 << 20).unwrap()
    }

    #[test]
    fn elements_are_read_from_any_offset() {
        let mut data = vec![7_u8; 3];
        let values = [1.5_f32, -2.0, f32::INFINITY];
        data.extend(bytemuck::cast_slice(&values));
        let source = open("t.raw", bytes(&data), DType::F32, 3).unwrap();
        assert_eq!(source.len(), 3);
        let mut scratch = Scratch::default();
        let read = source.read(0..3, &mut scratch).unwrap();
        assert_eq!(f32::unwrap(&read), Some(&values[..]));
        let read = source.read(1..2, &mut scratch).unwrap();
        assert_eq!(f32::unwrap(&read), Some(&values[1..2]));
    }

    #[test]
    fn a_size_that_is_no_whole_number_of_elements_is_an_error() {
        let error = open("t.raw", bytes(&[0; 10]), DType::F32, 0).unwrap_err().message;
        assert!(error.contains("t.raw: 10 bytes") && error.contains("f32"), "{error}");
        assert_eq!(open("t.raw", bytes(&[0; 10]), DType::F32, 2).unwrap().len(), 2);
    }

    #[test]
    fn an_offset_past_the_end_is_an_error_and_one_at_the_end_gives_no_elements() {
        let error = open("t.raw", bytes(&[0; 8]), DType::U8, 9).unwrap_err().message;
        assert!(error.contains("8 bytes") && error.contains("(9)"), "{error}");
        assert_eq!(open("t.raw", bytes(&[0; 8]), DType::U64, 8).unwrap().len(), 0);
        assert!(open("t.raw", bytes(&[0; 8]), DType::U64, u64::MAX).is_err());
    }
}
