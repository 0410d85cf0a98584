//! The bytes of an input: mapped, in memory, or read from their file when they are asked for.

use std::fs::File;
use std::io::{self, Read, Write};

use memmap2::Mmap;

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
use crate::input::sigbus::Guard;
use crate::input::version::FileVersion;
use crate::job::{Cause, JobError};

/// How much of a stream, or of decoded columns, stays in memory; what is longer goes to an unlinked temporary file.
pub(crate) const MEMORY_LIMIT_BYTES: usize = 64 << 20;

/// Bytes that can be read by range from many threads at once.
#[derive(Debug)]
pub(crate) enum Bytes {
    Mapped(Mapping),
    Memory { words: Vec<u64>, len: usize },
    File(PositionedFile),
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
                words.resize((words.len() * 2).clamp(8 << 10, limit.div_ceil(8)), 0);
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

    fn check(&self, name: &str) -> Result<(), JobError> {
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
