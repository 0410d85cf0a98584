//! The handler that survives truncated mappings, beside a program's own handler and on its own. Each test needs a process
//! to itself: this file has one test that runs the others as children.
#![cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};

use tandem::input::{DType, Format, InputSpec, Location, Scratch, Source, open};
use tandem::job::Cause;

const LEN_BYTES: u64 = 1 << 20;

/// Opens a file of ones through the library, and shortens it.
fn open_truncated() -> tandem::input::Dataset {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![1; LEN_BYTES as usize]).unwrap();
    let raw = InputSpec { format: Some(Format::Raw), dtype: Some(DType::U64), ..InputSpec::new(location(file.path())) };
    let dataset = open(&raw, Path::new("")).unwrap();
    file.as_file().set_len(4096).unwrap();
    dataset
}

fn location(path: &Path) -> Location {
    Location::Path(path.to_owned())
}

/// Reads all of it; what is gone must be zeros and fail the check.
fn read_truncated(source: &dyn Source) {
    let mut scratch = Scratch::default();
    let values = source.read(0..source.len(), &mut scratch).unwrap();
    assert_eq!(values.bytes().iter().filter(|&&byte| byte == 1).count(), 4096);
    assert_eq!(source.check().unwrap_err().cause, Cause::Io);
}

/// A mapping that the library knows nothing of, whose file is gone.
fn foreign_truncated() -> *const u8 {
    let file: File = tempfile::tempfile().unwrap();
    file.set_len(LEN_BYTES).unwrap();
    // SAFETY: a fresh mapping of a file; it is never unmapped.
    let map = unsafe {
        libc::mmap(std::ptr::null_mut(), LEN_BYTES as usize, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    assert_ne!(map, libc::MAP_FAILED);
    file.set_len(0).unwrap();
    map.cast()
}

static FOREIGN_FAULTS: AtomicUsize = AtomicUsize::new(0);

/// A program's own handler: puts zeros where it is told of a fault, and counts.
extern "C" fn own_handler(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    FOREIGN_FAULTS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the page at the address that faulted is one of `foreign_truncated`'s.
    unsafe {
        let page_bytes = libc::sysconf(libc::_SC_PAGESIZE) as usize;
        let page = (*info).si_addr() as usize & !(page_bytes - 1);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED;
        libc::mmap(page as *mut c_void, page_bytes, libc::PROT_READ, flags, -1, 0);
    }
}

fn child_keeps_a_programs_own_handler() {
    // SAFETY: installs a handler of the right type.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = own_handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut()), 0);
    }
    let dataset = open_truncated();
    read_truncated(&*dataset.columns[0].source);
    assert_eq!(FOREIGN_FAULTS.load(Ordering::Relaxed), 0, "our faults are not the program's");
    // SAFETY: the page is mapped; touching it faults, and the handler above makes it readable.
    assert_eq!(unsafe { foreign_truncated().read_volatile() }, 0);
    assert_eq!(FOREIGN_FAULTS.load(Ordering::Relaxed), 1, "its own are");
}

fn child_dies_of_a_foreign_fault() {
    let dataset = open_truncated();
    read_truncated(&*dataset.columns[0].source);
    // SAFETY: faults on purpose.
    unsafe { foreign_truncated().read_volatile() };
}

const CHILD: &str = "TRUNCATED_MAP_CHILD";

/// Runs one of the functions above in a process of its own.
fn run_child(name: &str) -> ExitStatus {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "handlers_live_beside_each_other", "--nocapture"]).env(CHILD, name);
    child.output().unwrap().status
}

#[test]
fn handlers_live_beside_each_other() {
    use std::os::unix::process::ExitStatusExt;
    match std::env::var(CHILD).as_deref() {
        Ok("own") => return child_keeps_a_programs_own_handler(),
        Ok("foreign") => return child_dies_of_a_foreign_fault(),
        _ => {}
    }
    let own = run_child("own");
    assert!(own.success(), "{own}");
    let foreign = run_child("foreign");
    assert_eq!(foreign.signal(), Some(libc::SIGBUS), "a fault that is none of ours ends the process: {foreign}");
}
