//! Transfer syntaxes: how a data set is written, and how the pixels in it (PS3.5, 10 and Annex A; names as in PS3.6,
//! Annex A).

use crate::input::excerpt::excerpt;
use crate::job::{Cause, JobError};

/// How the elements of a data set are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    /// Whether each element says of which kind its value is (its VR).
    pub(super) is_explicit: bool,
    pub(super) is_big_endian: bool,
}

impl Encoding {
    /// That of a file's meta information.
    pub(super) const EXPLICIT_LITTLE: Self = Self { is_explicit: true, is_big_endian: false };
    /// That of sequences whose kind their writer did not know.
    pub(super) const IMPLICIT_LITTLE: Self = Self { is_explicit: false, is_big_endian: false };
    const EXPLICIT_BIG: Self = Self { is_explicit: true, is_big_endian: true };
}

/// How the pixels are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PixelCoding {
    /// One after the other.
    Native,
    /// Run lengths, losslessly (PS3.5, Annex G).
    Rle,
}

/// A transfer syntax that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TransferSyntax {
    pub(super) encoding: Encoding,
    /// Whether the data set is deflated as a whole.
    pub(super) is_deflated: bool,
    pub(super) pixels: PixelCoding,
}

/// The transfer syntax of this UID.
///
/// # Errors
/// With cause `unsupported` where its pixels are compressed in a way that is not decoded here, or nothing is known of it.
pub(super) fn of_uid(name: &str, uid: &[u8]) -> Result<TransferSyntax, JobError> {
    let of = |encoding| TransferSyntax { encoding, is_deflated: false, pixels: PixelCoding::Native };
    let uid = uid.trim_ascii_end();
    let uid = uid.strip_suffix(b"\0").unwrap_or(uid);
    Ok(match uid {
        b"1.2.840.10008.1.2" => of(Encoding::IMPLICIT_LITTLE),
        b"1.2.840.10008.1.2.1" => of(Encoding::EXPLICIT_LITTLE),
        b"1.2.840.10008.1.2.1.99" => TransferSyntax { is_deflated: true, ..of(Encoding::EXPLICIT_LITTLE) },
        b"1.2.840.10008.1.2.2" => of(Encoding::EXPLICIT_BIG),
        b"1.2.840.10008.1.2.5" => TransferSyntax { pixels: PixelCoding::Rle, ..of(Encoding::EXPLICIT_LITTLE) },
        other => {
            let known = COMPRESSED.iter().find(|(known, _)| known.as_bytes() == other);
            let message = match known {
                Some((uid, what)) => format!(
                    "{name}: its pixels are compressed as {what} (transfer syntax {uid}), which is not decoded here: \
                     decompress it first, as `decompress()` of pydicom or `gdcmconv --raw` do"
                ),
                None => format!(
                    "{name}: transfer syntax `{}` of its meta information, (0002,0010), is unknown: write it in explicit VR little \
                     endian (1.2.840.10008.1.2.1), as `decompress()` of pydicom or `gdcmconv --raw` do",
                    excerpt(other)
                ),
            };
            return Err(JobError::new(Cause::Unsupported, message));
        }
    })
}

/// What is told of, and not decoded.
const COMPRESSED: [(&str, &str); 31] = [
    ("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian"),
    ("1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)"),
    ("1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 & 4)"),
    ("1.2.840.10008.1.2.4.57", "JPEG Lossless, Non-Hierarchical (Process 14)"),
    (
        "1.2.840.10008.1.2.4.70",
        "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14, Selection Value 1)",
    ),
    ("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless"),
    ("1.2.840.10008.1.2.4.81", "JPEG-LS Lossy (Near-Lossless)"),
    ("1.2.840.10008.1.2.4.90", "JPEG 2000 (Lossless Only)"),
    ("1.2.840.10008.1.2.4.91", "JPEG 2000"),
    ("1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)"),
    ("1.2.840.10008.1.2.4.93", "JPEG 2000 Part 2 Multi-component"),
    ("1.2.840.10008.1.2.4.94", "JPIP Referenced"),
    ("1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate"),
    ("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level"),
    ("1.2.840.10008.1.2.4.100.1", "Fragmentable MPEG2 Main Profile / Main Level"),
    ("1.2.840.10008.1.2.4.101", "MPEG2 Main Profile / High Level"),
    ("1.2.840.10008.1.2.4.101.1", "Fragmentable MPEG2 Main Profile / High Level"),
    ("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    ("1.2.840.10008.1.2.4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    ("1.2.840.10008.1.2.4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    ("1.2.840.10008.1.2.4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    ("1.2.840.10008.1.2.4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    ("1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile / Level 5.1"),
    ("1.2.840.10008.1.2.4.108", "HEVC/H.265 Main 10 Profile / Level 5.1"),
    ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
    ("1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression"),
    ("1.2.840.10008.1.2.4.112", "JPEG XL"),
    ("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 (Lossless Only)"),
    ("1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)"),
    ("1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000"),
    ("1.2.840.10008.1.2.8.1", "Deflated Image Frame"),
];
