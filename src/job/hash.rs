//! What tells whether a job is still the one that an earlier run has finished.

use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::job::Aside;
use crate::job::blank::members;

const HASH_BYTES: usize = 12;

/// Changes where the way that hashes are made changes, so that those of before are not taken for those of now.
const OF_A_LINE: u8 = 1;
const OF_ALL: u8 = 2;
const OF_PARTS: u8 = 3;

/// A job's content as 96 bits: the beginning of a SHA-256, the same on every machine and in every version.
///
/// Among a million jobs, two that differ have the same one with a chance of 10^-17.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobHash([u8; HASH_BYTES]);

/// What a job's result depends on besides its line: a file, as it was when the job began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputState<'a> {
    /// Its path as it was written.
    pub path: &'a Path,
    /// Its size in bytes, and its time of modification in nanoseconds since 1970; `None` where it could not be found.
    pub size_and_time_ns: Option<(u64, i128)>,
}

impl JobHash {
    /// Of the object in a line of a job file: of its fields but for those in `without`, whatever their order and the space
    /// between them, and for what its kind leaves `aside`.
    pub(super) fn of_line(line: &str, without: &[&[&str]], aside: &[Aside]) -> Self {
        let bytes = line.as_bytes();
        let mut members = members(bytes);
        members.retain(|member| {
            let name = &line[member.name.clone()];
            !without.iter().any(|names| names.contains(&name))
                && !aside.iter().any(|aside| matches!(aside, Aside::Field(other) if *other == name))
        });
        members.sort_unstable_by(|a, b| bytes[a.name.clone()].cmp(&bytes[b.name.clone()]));
        let mut content = Vec::with_capacity(line.len() + 1);
        content.push(OF_A_LINE);
        for member in members {
            let name = &line[member.name.clone()];
            let is_aside = aside.iter().any(|aside| matches!(aside, Aside::ValueOf(other) if *other == name));
            // Up to the quote after the name.
            let end = if is_aside && &line[member.value(line)] != "null" { member.name.end + 1 } else { member.end };
            without_space(&bytes[member.start..end], &mut content);
            content.push(b',');
        }
        Self::first_of(Sha256::digest(&content))
    }

    /// Of a job that no line says, but all of these together, in this order.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only the command line makes such jobs"))]
    pub(crate) fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        hasher.update([OF_PARTS]);
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self::first_of(hasher.finalize())
    }

    /// The same job with these inputs, after these others, in whatever order.
    #[must_use]
    pub fn with(self, inputs: &[InputState<'_>], parents: &mut [Self]) -> Self {
        if inputs.is_empty() && parents.is_empty() {
            return self;
        }
        let mut hasher = Sha256::new();
        hasher.update([OF_ALL]);
        hasher.update(self.0);
        hasher.update((inputs.len() as u64).to_le_bytes());
        for input in inputs {
            let path = input.path.as_os_str().as_encoded_bytes();
            hasher.update((path.len() as u64).to_le_bytes());
            hasher.update(path);
            match input.size_and_time_ns {
                None => hasher.update([0]),
                Some((bytes, time_ns)) => {
                    hasher.update([1]);
                    hasher.update(bytes.to_le_bytes());
                    hasher.update(time_ns.to_le_bytes());
                }
            }
        }
        parents.sort_unstable();
        parents.iter().for_each(|parent| hasher.update(parent.0));
        Self::first_of(hasher.finalize())
    }

    /// From its hexadecimal digits.
    pub fn from_hex(digits: &[u8]) -> Option<Self> {
        let mut bytes = [0; HASH_BYTES];
        if digits.len() != 2 * HASH_BYTES {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16).filter(|_| !digit.is_ascii_uppercase());
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Some(Self(bytes))
    }

    /// Its hexadecimal digits, as ASCII.
    pub fn to_hex(self) -> [u8; 2 * HASH_BYTES] {
        let mut digits = [0; 2 * HASH_BYTES];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        digits
    }

    /// Its bits, the first 64 and the rest.
    pub(crate) fn bits(self) -> (u64, u32) {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.0;
        (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes([i, j, k, l]))
    }

    fn first_of(digest: impl AsRef<[u8]>) -> Self {
        let mut bytes = [0; HASH_BYTES];
        bytes.copy_from_slice(&digest.as_ref()[..HASH_BYTES]);
        Self(bytes)
    }
}

impl fmt::Display for JobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_hex()))
    }
}

impl fmt::Debug for JobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Appends JSON without the space between its tokens.
fn without_space(json: &[u8], out: &mut Vec<u8>) {
    let (mut in_string, mut escaped) = (false, false);
    for &byte in json {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHOUT: [&[&str]; 2] = [&["id", "device"], &["after"]];

    fn of(line: &str) -> JobHash {
        JobHash::of_line(line, &WITHOUT, &[Aside::ValueOf("workers"), Aside::Field("name")])
    }

    #[test]
    fn hashes_stay_what_they_are_in_every_version() {
        assert_eq!(of(r#"{"kind":"primes","numbers":[97]}"#).to_string(), "db085f4e9f7c6d592546321d");
        let inputs =
            [InputState { path: Path::new("a.npy"), size_and_time_ns: Some((800, 1_700_000_000_000_000_000)) }];
        let all = of(r#"{"kind":"stats","file":"a.npy"}"#).with(&inputs, &mut [of("{}")]);
        assert_eq!(all.to_string(), "b9b390e9a7ef676a9d4dc440");
        assert_eq!(JobHash::from_hex(all.to_string().as_bytes()), Some(all));
        for wrong in ["", "00", &"0".repeat(23), &"A".repeat(24), &"g".repeat(24), &"0".repeat(25)] {
            assert_eq!(JobHash::from_hex(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn what_does_not_change_the_result_does_not_change_the_hash() {
        let plain = of(r#"{"kind":"command","argv":["a b","\" c"]}"#);
        for same in [
            r#"{"id":"x","kind":"command","argv":["a b","\" c"],"after":["y"],"device":"cpu"}"#,
            r#" { "argv" : [ "a b" , "\" c" ] , "kind" : "command" } "#,
            r#"{"kind":"command","argv":["a b","\" c"],"name":"x"}"#,
        ] {
            assert_eq!(of(same), plain, "{same}");
        }
        let with_workers =
            [r#"{"workers":1,"n":1}"#, r#"{ "workers" : 20, "n":1}"#, r#"{"n":1,"workers": 3 }"#].map(of);
        assert!(with_workers.iter().all(|hash| *hash == with_workers[0]));
        assert_ne!(with_workers[0], of(r#"{"n":1}"#));
        assert_ne!(with_workers[0], of(r#"{"workers": null ,"n":1}"#));
        for other in [
            r#"{"kind":"command","argv":["ab","\" c"]}"#,
            r#"{"kind":"command","argv":["a b","\"c"]}"#,
            r#"{"kind":"command","argv":["a b"]}"#,
            r#"{"kind":"command","argv":["a b","\" c"],"env":{"id":"x"}}"#,
            r#"{"kind":"command","argv":["a b","\" c"],"env":{"id":"y"}}"#,
        ] {
            assert_ne!(of(other), plain, "{other}");
        }
    }

    #[test]
    fn inputs_and_parents_count_and_the_order_of_parents_does_not() {
        let job = of("{}");
        let input = |path, size_and_time_ns| InputState { path: Path::new(path), size_and_time_ns };
        let (a, b) = (of(r#"{"a":1}"#), of(r#"{"b":1}"#));
        assert_eq!(job.with(&[], &mut []), job);
        assert_eq!(job.with(&[], &mut [a, b]), job.with(&[], &mut [b, a]));
        let all = [
            job,
            job.with(&[], &mut [a]),
            job.with(&[], &mut [a, a]),
            job.with(&[], &mut [a, b]),
            job.with(&[input("x", None)], &mut []),
            job.with(&[input("x", Some((1, 1)))], &mut []),
            job.with(&[input("x", Some((1, 2)))], &mut []),
            job.with(&[input("x", Some((2, 1)))], &mut []),
            job.with(&[input("y", Some((1, 1)))], &mut []),
            job.with(&[input("x", None), input("y", None)], &mut []),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
    }
}
