//! A file that shrinks while it is mapped: the pages past its new end raise SIGBUS when they are touched. Inside a
//! guarded range the handler here puts zeros in their place and marks the range damaged, so that the job fails and the
//! process lives. Addresses outside every guarded range go to the handler that was there before.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{LazyLock, OnceLock};

/// How many ranges can be guarded at once. Whoever gets no guard must not map.
const SLOT_COUNT: usize = 4096;

/// The start of a slot that is being filled: no address lies beyond it.
const RESERVED: usize = usize::MAX;

/// One guarded range. A free slot starts at 0. It is read like a sequence lock: what was loaded stands only where the
/// generation is still the same afterwards.
struct Slot {
    start: AtomicUsize,
    end: AtomicUsize,
    damaged: AtomicBool,
    /// How often the slot has been claimed.
    generation: AtomicUsize,
}

impl Slot {
    const fn new() -> Self {
        Self {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            damaged: AtomicBool::new(false),
            generation: AtomicUsize::new(0),
        }
    }

    /// Takes the slot for this range, if it is free.
    fn claim(&self, range: Range<usize>) -> bool {
        if self.start.compare_exchange(0, RESERVED, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        self.generation.fetch_add(1, Ordering::Relaxed);
        // Whoever sees the end or the damage of this claim sees its generation too.
        fence(Ordering::Release);
        self.damaged.store(false, Ordering::Relaxed);
        self.end.store(range.end, Ordering::Relaxed);
        self.start.store(range.start, Ordering::Release);
        true
    }

    fn free(&self) {
        self.start.store(0, Ordering::Release);
    }

    /// The range, where it is one and the same claim's: `None` where the slot is free or just being changed. Whoever is
    /// inside a guarded range always finds it, since its slot does not change meanwhile.
    fn range(&self) -> Option<Range<usize>> {
        let generation = self.generation.load(Ordering::Acquire);
        let start = self.start.load(Ordering::Acquire);
        let end = self.end.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let is_whole = self.start.load(Ordering::Relaxed) == start
            && self.generation.load(Ordering::Relaxed) == generation
            && start != 0
            && start != RESERVED;
        is_whole.then_some(start..end)
    }
}

static SLOTS: [Slot; SLOT_COUNT] = [const { Slot::new() }; SLOT_COUNT];

/// What the handler needs, settled before it is installed.
struct Installed {
    previous: libc::sigaction,
    page_bytes: usize,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Guards an address range for as long as it lives. It must be dropped before the range is unmapped.
#[derive(Debug)]
pub(crate) struct Guard {
    slot: usize,
}

impl Guard {
    /// Guards the mapping that lies at `bytes`; `None` where no slot is free or no handler could be installed.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        install()?;
        let start = bytes.as_ptr() as usize;
        let slot = SLOTS.iter().position(|slot| slot.claim(start..start + bytes.len()))?;
        Some(Self { slot })
    }

    /// Whether any of the range has been lost since it was guarded.
    pub(crate) fn is_damaged(&self) -> bool {
        SLOTS[self.slot].damaged.load(Ordering::Acquire)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        SLOTS[self.slot].free();
    }
}

/// Installs the handler once in the life of the process; `None` where the system refused.
fn install() -> Option<&'static Installed> {
    static IS_HANDLED: LazyLock<bool> = LazyLock::new(|| {
        // SAFETY: plain system calls on structures that live here; an all-zero `sigaction` is a valid one. What the
        // handler needs is settled before it is installed.
        unsafe {
            let page_bytes = libc::sysconf(libc::_SC_PAGESIZE);
            let mut previous: libc::sigaction = std::mem::zeroed();
            if page_bytes <= 0 || libc::sigaction(libc::SIGBUS, ptr::null(), &mut previous) != 0 {
                return false;
            }
            let _ = INSTALLED.set(Installed { previous, page_bytes: page_bytes as usize });
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_sigbus as *const () as usize;
            // On the alternate stack: a stack overflow is a SIGBUS on some systems, and must reach the previous handler.
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()) == 0
        }
    });
    if *IS_HANDLED { INSTALLED.get() } else { None }
}

/// Only loads and stores of atomics and raw system calls: safe in a signal handler.
extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(installed) = INSTALLED.get() else { return };
    // SAFETY: the kernel passes a valid `siginfo_t` to a handler installed with SA_SIGINFO.
    let address = unsafe { (*info).si_addr() } as usize;
    for slot in &SLOTS {
        let Some(range) = slot.range().filter(|range| range.contains(&address)) else { continue };
        slot.damaged.store(true, Ordering::Release);
        if put_zeros(address, range.end, installed.page_bytes) {
            return;
        }
        break;
    }
    pass_on(&installed.previous, signal, info, context);
}

/// Replaces the pages from the one at `address` up to `end` by zeros. All of them at once: what follows a lost page is
/// lost too or no longer matters, since the range is damaged.
fn put_zeros(address: usize, end: usize, page_bytes: usize) -> bool {
    let page = address & !(page_bytes - 1);
    // SAFETY: the pages lie inside one guarded mapping of ours (`address` and `end` are of the same claim of a slot),
    // read-only and in use by the thread that faulted, so nobody unmaps them meanwhile; they are replaced in one step by
    // pages that are valid to read. `mmap` is a bare system call.
    let placed = unsafe {
        libc::mmap(
            page as *mut c_void,
            end - page,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    placed != libc::MAP_FAILED
}

/// Does what would have been done without us.
fn pass_on(previous: &libc::sigaction, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let handler = previous.sa_sigaction;
    // SAFETY: `previous` is what the system said was installed: by its flags, a function of one of these two types, or
    // one of the two constants. Restoring the default and returning makes the fault happen again, and end the process.
    unsafe {
        if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
            let mut default: libc::sigaction = std::mem::zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &default, ptr::null_mut());
        } else if previous.sa_flags & libc::SA_SIGINFO != 0 {
            type Action = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
            std::mem::transmute::<usize, Action>(handler)(signal, info, context);
        } else {
            std::mem::transmute::<usize, extern "C" fn(c_int)>(handler)(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_again_once_its_guard_is_dropped() {
        let bytes = [0_u8; 16];
        let guard = Guard::new(&bytes).expect("a slot is free");
        let start = bytes.as_ptr() as usize;
        assert!(SLOTS.iter().any(|slot| slot.start.load(Ordering::Relaxed) == start));
        assert!(!guard.is_damaged());
        drop(guard);
        assert!(!SLOTS.iter().any(|slot| slot.start.load(Ordering::Relaxed) == start));
    }

    #[test]
    fn a_range_is_never_put_together_from_two_claims_of_a_slot() {
        let (slot, is_done) = (Slot::new(), AtomicBool::new(false));
        let claims = [10..11, 20..4000, 10..900];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for claim in claims.iter().cycle().take(600_000) {
                    assert!(slot.claim(claim.clone()));
                    assert!(!slot.claim(1..2), "a slot in use is not to be had");
                    slot.free();
                }
                is_done.store(true, Ordering::Relaxed);
            });
            while !is_done.load(Ordering::Relaxed) {
                if let Some(range) = slot.range() {
                    assert!(claims.contains(&range), "{range:?}");
                }
            }
        });
        assert_eq!(slot.range(), None);
        assert!(slot.claim(5..6));
        assert_eq!(slot.range(), Some(5..6));
    }
}
