//! The bytes of an input: mapped, in memory, or read from their file when they are asked for.

use std::fs::File;
use std::io::{self, Read, Write};

use memmap2::Mmap;

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
use crate::input::sigbus::Guard;
use crate::input::version::{FileVersion, forget_identities};
use crate::job::{Cause, JobError};

/// How much of a stream, or of decoded columns, stays in memory; what is longer goes to an unlinked temporary file.
pub(crate) const MEMORY_LIMIT_BYTES: usize = 64 << 20;

/// Bytes that can be read by range from many threads at once.
pub(crate) enum Bytes {
    /// Mapped from a file.
    Mapped(Mapping),
    /// The first `len` bytes of these words: aligned for every type.
    Memory { words: Vec<u64>, len: usize },
    /// In a file that cannot be mapped.
    File(PositionedFile),
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Mapped(_) => "Mapped",
            Self::Memory { .. } => "Memory",
            Self::File(_) => "File",
        };
        f.debug_struct(kind).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Bytes {
    /// The bytes of a regular file: mapped where that is safe and possible, else read by position.
    pub(crate) fn of_file(file: File, name: &str) -> Result<Self, JobError> {
        let version = FileVersion::of(&file, name)?;
        match Mapping::new(file, version) {
            Ok(mapping) => Ok(Self::Mapped(mapping)),
            Err(file) => Ok(Self::File(PositionedFile::new(file, version))),
        }
    }

    /// All bytes of a stream, in memory up to `limit` of them, else in an unlinked temporary file.
    pub(crate) fn of_stream(stream: &mut dyn Read, name: &str, limit: usize) -> Result<Self, JobError> {
        let mut words: Vec<u64> = Vec::new();
        let mut len = 0;
        while len < limit {
            if len == words.len() * 8 {
                words.resize((words.len() * 2).max(8 << 10).min(limit.div_ceil(8)), 0);
            }
            let room = &mut bytemuck::cast_slice_mut(&mut words)[len..];
            match stream.read(room) {
                Ok(0) => return Ok(Self::Memory { words, len }),
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(JobError::io(name, &error)),
            }
        }
        let mut file = temporary_file(name)?;
        let held: &[u8] = &bytemuck::cast_slice(&words)[..len];
        let copied = file.write_all(held).and_then(|()| io::copy(stream, &mut file));
        copied.map_err(|error| spool_error(name, &error))?;
        Self::of_file(file, name)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Mapped(mapping) => mapping.map.len() as u64,
            Self::Memory { len, .. } => *len as u64,
            Self::File(file) => file.version.len,
        }
    }

    /// All of them, where they lie in memory or are mapped there.
    pub(crate) fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Self::Mapped(mapping) => Some(&mapping.map),
            Self::Memory { words, len } => Some(&bytemuck::cast_slice(words)[..*len]),
            Self::File(_) => None,
        }
    }

    /// Fills `room` with the bytes from `offset` on; the caller has seen to it that there are as many.
    pub(crate) fn read_at(&self, offset: u64, room: &mut [u8], name: &str) -> Result<(), JobError> {
        match (self.in_memory(), self) {
            (Some(bytes), _) => {
                let start = offset as usize;
                room.copy_from_slice(&bytes[start..start + room.len()]);
                Ok(())
            }
            (None, Self::File(file)) => file.read_at(offset, room, name),
            (None, _) => unreachable!("bytes that are not in memory are in a file"),
        }
    }

    /// Whether what was read so far was really there.
    pub(crate) fn check(&self, name: &str) -> Result<(), JobError> {
        match self {
            Self::Mapped(mapping) => mapping.check(name),
            Self::Memory { .. } => Ok(()),
            Self::File(file) => file.check(name),
        }
    }

    /// The version of the file that they come from; none where they came from a stream and fitted in memory.
    pub(crate) fn version(&self) -> Option<FileVersion> {
        match self {
            Self::Mapped(mapping) => Some(mapping.version),
            Self::Memory { .. } => None,
            Self::File(file) => Some(file.version),
        }
    }
}

/// A temporary file without a name: it is gone when it is closed, however the process ends.
pub(crate) fn temporary_file(name: &str) -> Result<File, JobError> {
    tempfile::tempfile().map_err(|error| spool_error(name, &error))
}

/// What went wrong with the temporary file that holds what was read of `name`.
pub(crate) fn spool_error(name: &str, error: &io::Error) -> JobError {
    let folder = std::env::temp_dir();
    JobError::new(
        Cause::Io,
        format!(
            "{name}: cannot keep what was read in a temporary file in {}: {error}: free some space there, or name \
             another folder in TMPDIR",
            folder.display()
        ),
    )
}

/// A file mapped into memory, guarded against being truncated meanwhile.
#[derive(Debug)]
pub(crate) struct Mapping {
    // Dropped before `map`: a guard must not outlive the pages that it guards.
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    guard: Guard,
    map: Mmap,
    file: File,
    version: FileVersion,
}

impl Mapping {
    /// Maps `file`; gives it back where it cannot be mapped or guarded.
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn new(file: File, version: FileVersion) -> Result<Self, File> {
        if version.len == 0 || usize::try_from(version.len).is_err() {
            return Err(file);
        }
        // SAFETY: the map is read only as plain numbers, for which every bit pattern is valid. That another process
        // shortens the file is met by the guard; that it rewrites it changes numbers, never validity, and `check`
        // reports it.
        let Ok(map) = (unsafe { memmap2::MmapOptions::new().len(version.len as usize).map(&file) }) else {
            return Err(file);
        };
        match Guard::new(&map) {
            Some(guard) => Ok(Self { guard, map, file, version }),
            None => Err(file),
        }
    }

    /// Without a guard against truncation nothing is mapped.
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    fn new(file: File, _: FileVersion) -> Result<Self, File> {
        Err(file)
    }

    /// Whether all that was read was there. Where it was not, what devices remember of it is not used again.
    fn check(&self, name: &str) -> Result<(), JobError> {
        self.find_damage(name).inspect_err(|_| forget_identities(&self.version))
    }

    fn find_damage(&self, name: &str) -> Result<(), JobError> {
        self.version.check(&self.file, name)?;
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        if self.guard.is_damaged() {
            return Err(JobError::new(
                Cause::Io,
                format!(
                    "{name}: could not be read to its end (it was truncated, or its disk failed): run the job again"
                ),
            ));
        }
        Ok(())
    }
}

/// A file read by position.
#[derive(Debug)]
pub(crate) struct PositionedFile {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: std::sync::Mutex<File>,
    version: FileVersion,
}

#[cfg(unix)]
impl PositionedFile {
    fn new(file: File, version: FileVersion) -> Self {
        Self { file, version }
    }

    fn read_at(&self, offset: u64, room: &mut [u8], name: &str) -> Result<(), JobError> {
        let read = std::os::unix::fs::FileExt::read_exact_at(&self.file, room, offset);
        read.map_err(|error| short_read(name, &error))
    }

    fn check(&self, name: &str) -> Result<(), JobError> {
        self.version.check(&self.file, name)
    }
}

#[cfg(not(unix))]
impl PositionedFile {
    fn new(file: File, version: FileVersion) -> Self {
        Self { file: std::sync::Mutex::new(file), version }
    }

    fn read_at(&self, offset: u64, room: &mut [u8], name: &str) -> Result<(), JobError> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sought = io::Seek::seek(&mut *file, io::SeekFrom::Start(offset));
        sought.and_then(|_| file.read_exact(room)).map_err(|error| short_read(name, &error))
    }

    fn check(&self, name: &str) -> Result<(), JobError> {
        let file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.version.check(&file, name)
    }
}

fn short_read(name: &str, error: &io::Error) -> JobError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return JobError::new(
            Cause::Io,
            format!("{name}: was truncated while it was being read: run the job again once it is whole"),
        );
    }
    JobError::io(name, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A named file of `len` bytes, none of which is 0.
    fn file_of(len: usize) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![7; len]).unwrap();
        file
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    #[test]
    fn a_file_truncated_while_mapped_reads_as_zeros_and_fails_its_check() {
        let len = 1 << 20;
        let file = file_of(len);
        let bytes = Bytes::of_file(file.reopen().unwrap(), "t.raw").unwrap();
        let other = Bytes::of_file(file_of(len).reopen().unwrap(), "other.raw").unwrap();
        assert!(matches!(bytes, Bytes::Mapped(_)));
        bytes.check("t.raw").unwrap();
        file.as_file().set_len(100).unwrap();

        let count = |bytes: &Bytes| bytes.in_memory().unwrap().iter().filter(|&&byte| byte == 7).count();
        let totals: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| count(&bytes))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(totals, [100; 4], "what is gone reads as zeros, on every thread");
        let error = bytes.check("t.raw").unwrap_err();
        assert_eq!(error.cause, Cause::Io);
        assert!(error.message.contains("t.raw") && error.message.contains("1048576 to 100 bytes"), "{}", error.message);
        // Also once it has its length again: what was read was not there.
        file.as_file().set_len(len as u64).unwrap();
        assert!(bytes.check("t.raw").is_err());

        assert_eq!(count(&other), len, "another mapping is untouched");
        other.check("other.raw").unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_mapped_is_read_by_position() {
        let file = file_of(1000);
        let reopened = file.reopen().unwrap();
        let version = FileVersion::of(&reopened, "t.raw").unwrap();
        let bytes = Bytes::File(PositionedFile::new(reopened, version));
        assert_eq!((bytes.len(), bytes.in_memory()), (1000, None));
        let mut room = [0; 10];
        bytes.read_at(990, &mut room, "t.raw").unwrap();
        assert_eq!(room, [7; 10]);
        bytes.check("t.raw").unwrap();

        file.as_file().set_len(995).unwrap();
        let error = bytes.read_at(990, &mut room, "t.raw").unwrap_err();
        assert_eq!(error.cause, Cause::Io);
        assert!(error.message.contains("t.raw: was truncated"), "{}", error.message);
        assert!(bytes.check("t.raw").is_err());
    }

    #[test]
    fn a_stream_is_held_in_memory_up_to_the_limit_and_in_a_file_beyond() {
        let data: Vec<u8> = (0..50_000_u32).map(|i| i as u8).collect();
        for limit in [0, 1, 7, 4096, 49_999, 50_000, 50_001, 1 << 20] {
            let bytes = Bytes::of_stream(&mut &data[..], "pipe", limit).unwrap();
            assert_eq!(matches!(bytes, Bytes::Memory { .. }), limit > data.len(), "limit {limit}");
            let mut read = vec![0; data.len()];
            bytes.read_at(0, &mut read, "pipe").unwrap();
            assert!(bytes.len() == data.len() as u64 && read == data, "limit {limit}");
        }
    }
}
