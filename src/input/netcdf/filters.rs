//! The filters that HDF5 stores a chunk through, undone.
//!
//! The formats are those of the HDF5 file format specification: deflate is a zlib stream (RFC 1950), shuffle lies the
//! first bytes of all elements before the second ones, fletcher32 appends a checksum. LZF is h5py's, after LibLZF.

use flate2::{Decompress, FlushDecompress, Status};

/// A filter that a chunk was stored through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Deflate,
    Shuffle { element_bytes: usize },
    Fletcher32,
    Lzf,
}

/// No stream of deflate grows more than this when it is decoded.
const DEFLATE_RATIO_MAX: u64 = 1032;
/// A step of LZF writes at most 264 bytes for 3.
const LZF_RATIO_MAX: u64 = 264;

/// The bytes of a chunk, `len` of them, from what is stored of it. Of the filters, in the order in which they were applied,
/// those whose bit in `mask` is set were not.
///
/// # Errors
/// What is wrong with what is stored.
pub(super) fn decode(stored: &[u8], filters: &[Filter], mask: u32, len: usize) -> Result<Vec<u8>, String> {
    let applied = filters.iter().enumerate().filter(|(index, _)| *index >= 32 || mask >> index & 1 == 0);
    let applied: Vec<Filter> = applied.map(|(_, filter)| *filter).collect();
    let stored_len = stored.len() as u64;
    let compressing = applied.iter().filter(|filter| matches!(filter, Filter::Deflate | Filter::Lzf));
    let ratio = compressing.fold(1_u64, |ratio, filter| {
        ratio.saturating_mul(if *filter == Filter::Lzf { LZF_RATIO_MAX } else { DEFLATE_RATIO_MAX })
    });
    if stored_len.saturating_add(64).saturating_mul(ratio) < len as u64 {
        return Err(format!("{stored_len} bytes are stored, which cannot hold the {len} of a chunk"));
    }
    let mut bytes: Option<Vec<u8>> = None;
    for (index, filter) in applied.iter().enumerate().rev() {
        let current = bytes.as_deref().unwrap_or(stored);
        // Checksums that were taken before this filter was applied are still in what it gives.
        let checksums = applied[..index].iter().filter(|before| **before == Filter::Fletcher32).count();
        let expected = len + 4 * checksums;
        bytes = Some(match filter {
            Filter::Deflate => inflate(current, expected)?,
            Filter::Lzf => lzf(current, expected)?,
            Filter::Shuffle { element_bytes } => unshuffle(current, *element_bytes),
            Filter::Fletcher32 => checked(current)?.to_vec(),
        });
    }
    let bytes = bytes.unwrap_or_else(|| stored.to_vec());
    if bytes.len() != len {
        return Err(format!("gives {} bytes, not the {len} of a chunk", bytes.len()));
    }
    Ok(bytes)
}

fn inflate(stored: &[u8], len: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; len];
    let mut decompress = Decompress::new(true);
    loop {
        let (read, written) = (decompress.total_in() as usize, decompress.total_out() as usize);
        let status = decompress
            .decompress(&stored[read..], &mut bytes[written..], FlushDecompress::Finish)
            .map_err(|error| format!("is no stream of deflate: {error}"))?;
        let (now_read, now_written) = (decompress.total_in() as usize, decompress.total_out() as usize);
        if status == Status::StreamEnd {
            if now_written != len {
                return Err(format!("its stream of deflate gives {now_written} bytes, not {len}"));
            }
            return Ok(bytes);
        }
        if (now_read, now_written) == (read, written) {
            let what = if now_written == len { "goes on after its" } else { "ends before its" };
            return Err(format!("its stream of deflate {what} {len} bytes"));
        }
    }
}

fn unshuffle(stored: &[u8], element_bytes: usize) -> Vec<u8> {
    let count = stored.len() / element_bytes.max(1);
    if element_bytes < 2 || count == 0 {
        return stored.to_vec();
    }
    let mut bytes = vec![0; stored.len()];
    let (planes, rest) = stored.split_at(count * element_bytes);
    match element_bytes {
        2 => interleave::<2>(planes, &mut bytes, count),
        4 => interleave::<4>(planes, &mut bytes, count),
        8 => interleave::<8>(planes, &mut bytes, count),
        _ => {
            for (byte, plane) in planes.chunks_exact(count).enumerate() {
                plane.iter().enumerate().for_each(|(index, value)| bytes[index * element_bytes + byte] = *value);
            }
        }
    }
    // What is no whole element is not shuffled.
    let start = bytes.len() - rest.len();
    bytes[start..].copy_from_slice(rest);
    bytes
}

fn interleave<const N: usize>(planes: &[u8], bytes: &mut [u8], count: usize) {
    let planes: [&[u8]; N] = std::array::from_fn(|byte| &planes[byte * count..(byte + 1) * count]);
    let (elements, _) = bytes.as_chunks_mut::<N>();
    for (index, element) in elements.iter_mut().enumerate().take(count) {
        *element = std::array::from_fn(|byte| planes[byte][index]);
    }
}

/// What lies before the checksum, which has to be right.
fn checked(stored: &[u8]) -> Result<&[u8], String> {
    let Some((bytes, checksum)) = stored.split_last_chunk::<4>() else {
        return Err("is too short for its checksum".to_owned());
    };
    let (stored, found) = (u32::from_le_bytes(*checksum), fletcher32(bytes));
    // Files of HDF5 before 1.6.3 on little-endian machines have each half swapped.
    let old = (found & 0x00ff_00ff) << 8 | (found >> 8 & 0x00ff_00ff);
    if stored != found && stored != old {
        return Err(format!("its checksum is {found:08x}, not {stored:08x} as stored: it is damaged"));
    }
    Ok(bytes)
}

/// Fletcher's checksum over words of 16 bits, the first byte of each the higher one; an odd byte is a high one.
fn fletcher32(bytes: &[u8]) -> u32 {
    /// As many words are added before a 32-bit sum could overflow.
    const WORDS: usize = 360;
    let (mut first, mut second) = (0_u32, 0_u32);
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    for block in bytes.chunks(2 * WORDS) {
        for word in block.chunks(2) {
            first += u32::from(word[0]) << 8 | word.get(1).map_or(0, |low| u32::from(*low));
            second += first;
        }
        (first, second) = (fold(first), fold(second));
    }
    fold(second) << 16 | fold(first)
}

/// LZF: a byte below 32 says how many literals follow, less one; any other begins a reference back.
fn lzf(stored: &[u8], len: usize) -> Result<Vec<u8>, String> {
    let damaged = || "is no stream of LZF".to_owned();
    let mut bytes = Vec::with_capacity(len);
    let mut at = 0;
    let take = |at: &mut usize| {
        let byte = stored.get(*at).copied().ok_or_else(damaged)?;
        *at += 1;
        Ok::<usize, String>(byte.into())
    };
    while at < stored.len() {
        let control = take(&mut at)?;
        if control < 32 {
            let literals = stored.get(at..at + control + 1).ok_or_else(damaged)?;
            bytes.extend_from_slice(literals);
            at += control + 1;
        } else {
            let mut count = control >> 5;
            if count == 7 {
                count += take(&mut at)?;
            }
            let back = ((control & 31) << 8 | take(&mut at)?) + 1;
            let from = bytes.len().checked_sub(back).ok_or_else(damaged)?;
            // What is copied may reach into what it writes.
            for index in from..from + count + 2 {
                bytes.push(bytes[index]);
            }
        }
        if bytes.len() > len {
            return Err(format!("its stream of LZF gives more than {len} bytes"));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn shuffled(bytes: &[u8], element_bytes: usize) -> Vec<u8> {
        let count = bytes.len() / element_bytes;
        let mut planes: Vec<u8> =
            (0..element_bytes).flat_map(|byte| (0..count).map(move |i| bytes[i * element_bytes + byte])).collect();
        planes.extend(&bytes[count * element_bytes..]);
        planes
    }

    fn summed(bytes: &[u8]) -> Vec<u8> {
        [bytes, &fletcher32(bytes).to_le_bytes()].concat()
    }

    #[test]
    fn filters_are_undone_in_the_order_opposite_to_theirs() {
        let bytes: Vec<u8> = (0..1003_u32).map(|i| (i * i / 7) as u8).collect();
        for element_bytes in [1, 2, 3, 4, 8, 16] {
            let shuffle = Filter::Shuffle { element_bytes };
            let shuffled = shuffled(&bytes, element_bytes);
            let cases = [
                (vec![shuffle], shuffled.clone()),
                (vec![shuffle, Filter::Deflate], deflated(&shuffled)),
                (vec![shuffle, Filter::Deflate, Filter::Fletcher32], summed(&deflated(&shuffled))),
                (vec![Filter::Fletcher32, Filter::Deflate], deflated(&summed(&bytes))),
                (vec![Filter::Fletcher32], summed(&bytes)),
                (vec![], bytes.clone()),
            ];
            for (filters, stored) in cases {
                assert_eq!(decode(&stored, &filters, 0, bytes.len()), Ok(bytes.clone()), "{filters:?}");
                assert!(decode(&stored, &filters, 0, bytes.len() + 1).is_err(), "{filters:?}");
                assert!(decode(&stored[..stored.len() - 1], &filters, 0, bytes.len()).is_err(), "{filters:?}");
            }
            assert_eq!(decode(&deflated(&bytes), &[shuffle, Filter::Deflate], 1, bytes.len()), Ok(bytes.clone()));
        }
    }

    #[test]
    fn a_checksum_that_is_wrong_is_an_error() {
        // The words 1, 2, 3 (first byte the higher): sums 6 and 1 + 3 + 6.
        assert_eq!(fletcher32(&[0, 1, 0, 2, 0, 3]), 10 << 16 | 6);
        let mut stored = summed(&[1, 2, 3, 4, 5]);
        stored[1] ^= 1;
        let error = decode(&stored, &[Filter::Fletcher32], 0, 5).unwrap_err();
        assert!(error.contains("damaged"), "{error}");
    }

    #[test]
    fn lzf_repeats_what_it_has_written_and_refuses_what_it_has_not() {
        // "ab", then 6 bytes from 2 back, then 12 from 1 back.
        let stored = [1, b'a', b'b', 4 << 5, 1, 7 << 5, 3, 0];
        assert_eq!(lzf(&stored, 20).unwrap(), b"abababab".iter().chain(&[b'b'; 12]).copied().collect::<Vec<_>>());
        assert!(lzf(&[1 << 5, 0], 20).is_err());
        assert!(lzf(&[5, 1, 2], 20).is_err());
        assert!(lzf(&stored, 10).is_err());
        assert!(decode(&stored, &[Filter::Lzf], 0, 1 << 40).is_err(), "nothing so large is made room for");
    }
}
