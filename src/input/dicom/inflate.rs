//! Data sets that were deflated as a whole (PS3.5, A.5).

use std::io::{self, BufReader, Read};

use flate2::read::DeflateDecoder;

use crate::input::bytes::{Bytes, MEMORY_LIMIT_BYTES};
use crate::job::{Cause, JobError};

/// What was deflated is no longer than this once it is inflated: pixels are shorter than 2^32 bytes, and all else is little.
const INFLATED_BYTES_MAX: u64 = (1 << 32) + (64 << 20);

/// Nor so many times as long as it is stored, from some size on: what is deflated to less, down to the thousandth that the method is capable of, is
/// more likely made to fill a disk than to be looked at.
const EXPANSION_MAX: u64 = 64;
const EXPANDED_BYTES_MIN: u64 = 256 << 20;

/// How long it may become.
fn inflated_bytes_max(stored_bytes: u64) -> u64 {
    stored_bytes.saturating_mul(EXPANSION_MAX).clamp(EXPANDED_BYTES_MIN, INFLATED_BYTES_MAX)
}

/// The data set that is deflated from byte `start` on: in memory, or where it is large in a temporary file.
///
/// # Errors
/// With cause `bad_input` where it is damaged, `unsupported` where it becomes longer than is sensible.
pub(super) fn inflate(name: &str, file: &Bytes, start: u64) -> Result<Bytes, JobError> {
    inflate_up_to(inflated_bytes_max(file.len().saturating_sub(start)), name, file, start)
}

fn inflate_up_to(bytes_max: u64, name: &str, file: &Bytes, start: u64) -> Result<Bytes, JobError> {
    let stored = BufReader::new(Stored { name, file, at: start });
    let mut inflating = Inflating { decoder: DeflateDecoder::new(stored), left: bytes_max, fault: None };
    let inflated = Bytes::of_stream(&mut inflating, name, MEMORY_LIMIT_BYTES);
    match inflating.fault {
        Some(Fault::Damage(error)) => Err(JobError::bad_input(format!(
            "{name}: what is deflated in it from byte {start} on cannot be inflated ({error}): it was cut short or is damaged"
        ))),
        Some(Fault::Length) => Err(JobError::new(
            Cause::Unsupported,
            format!(
                "{name}: what is deflated in it from byte {start} on is longer than {bytes_max} bytes once it is inflated, the most for a \
                 file of {}: write it in explicit VR little endian (1.2.840.10008.1.2.1)",
                file.len()
            ),
        )),
        None => inflated,
    }
}

/// The bytes of a file from a place on.
struct Stored<'b> {
    name: &'b str,
    file: &'b Bytes,
    at: u64,
}

impl Read for Stored<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.file.len().saturating_sub(self.at).min(room.len() as u64) as usize;
        self.file.read_at(self.at, &mut room[..count], self.name).map_err(|error| io::Error::other(error.message))?;
        self.at += count as u64;
        Ok(count)
    }
}

/// What inflating stumbles over.
enum Fault {
    Damage(String),
    Length,
}

/// Inflates, and remembers what it stumbled over.
struct Inflating<R> {
    decoder: DeflateDecoder<R>,
    left: u64,
    fault: Option<Fault>,
}

impl<R: Read> Read for Inflating<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self.decoder.read(room) {
            Ok(count) if count as u64 <= self.left => {
                self.left -= count as u64;
                Ok(count)
            }
            Ok(_) => {
                self.fault = Some(Fault::Length);
                Err(io::Error::other("too long"))
            }
            Err(error) => {
                self.fault = Some(Fault::Damage(error.to_string()));
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn deflated(data: &[u8]) -> Bytes {
        let mut encoder = flate2::write::DeflateEncoder::new(b"head".to_vec(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        Bytes::of_stream(&mut &encoder.finish().unwrap()[..], "t", 1 << 20).unwrap()
    }

    #[test]
    fn what_was_deflated_comes_back_as_far_as_it_may_go() {
        let data = vec![7; 100_000];
        let file = deflated(&data);
        assert_eq!(inflate_up_to(100_000, "t", &file, 4).unwrap().in_memory(), Some(&data[..]));
        let error = inflate_up_to(99_999, "t", &file, 4).unwrap_err();
        let says = format!(
            "from byte 4 on is longer than 99999 bytes once it is inflated, the most for a file of {}",
            file.len()
        );
        assert!(error.cause == Cause::Unsupported && error.message.contains(&says), "{error}");
    }

    #[test]
    fn a_small_file_does_not_fill_a_disk() {
        assert_eq!(inflated_bytes_max(4 << 20), 256 << 20);
        assert_eq!(inflated_bytes_max(10 << 20), 640 << 20);
        assert_eq!(inflated_bytes_max(u64::MAX), INFLATED_BYTES_MAX);
    }

    #[test]
    fn what_is_no_deflated_data_says_so() {
        let file = Bytes::of_stream(&mut &[0xff; 100][..], "t", 1 << 20).unwrap();
        let error = inflate("t", &file, 0).unwrap_err().message;
        assert!(error.starts_with("t: ") && error.contains("cannot be inflated"), "{error}");
    }
}
