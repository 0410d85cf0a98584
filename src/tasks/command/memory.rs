//! What running commands hold of the memory: the sum over the processes of each group, looked at now and then by one thread.
//!
//! It is the sum of resident sets, as `/proc/N/stat` tells it: pages that several processes of a group share are counted for each of them. A
//! process that left its group is not counted. Where the system tells nothing of the kind, nothing is known.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::attend;
use crate::tasks::MemoryUse;

/// Commands that end sooner are not looked at: for them, the system's own account has to do.
const FROM: Duration = Duration::from_millis(45);

/// Looking takes this part of one thread's time at most.
const SHARE: u32 = 40;
/// And is done this often at most and, unless the machine has very many processes, at least.
const PERIOD: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(2)];
/// The thread stays for so long when there is nothing to look at.
const IDLE: Duration = Duration::from_secs(5);

/// A process group that is looked at, until this is dropped.
#[derive(Debug)]
struct Watch(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    group: i32,
    memory: Arc<MemoryUse>,
}

/// Every group that is looked at.
struct Sampler {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    watched: Vec<Arc<Watched>>,
    /// Whether its thread runs.
    runs: bool,
}

static SAMPLER: Sampler =
    Sampler { state: Mutex::new(State { watched: Vec::new(), runs: false }), changed: Condvar::new() };

fn lock() -> MutexGuard<'static, State> {
    SAMPLER.state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Looks at this process group from now on, and notes in `memory` what it holds.
    fn of_group(group: i32, memory: Arc<MemoryUse>) -> Self {
        let watched = Arc::new(Watched { group, memory });
        let mut state = lock();
        state.watched.push(watched.clone());
        if cfg!(target_os = "linux") && !state.runs {
            // Without a thread nothing is known, which is not worth failing a job for.
            state.runs = attend("tandem-memory", look).is_ok();
        } else if state.watched.len() == 1 {
            SAMPLER.changed.notify_one();
        }
        Self(watched)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock().watched.retain(|watched| !Arc::ptr_eq(watched, &self.0));
    }
}

/// A process that is looked at once it has run for a while.
#[derive(Debug)]
pub(super) struct Later {
    group: i32,
    begun: Instant,
    memory: Option<Arc<MemoryUse>>,
    watch: Option<Watch>,
}

impl Later {
    /// From [`FROM`] after now on; what it holds is noted in `memory` too, where somebody wants to know.
    pub fn new(group: i32, memory: Option<&Arc<MemoryUse>>) -> Self {
        Self { group, begun: Instant::now(), memory: memory.cloned(), watch: None }
    }

    /// To be called now and then.
    pub fn look(&mut self) {
        if self.watch.is_none() && self.begun.elapsed() >= FROM {
            let memory = self.memory.get_or_insert_default().clone();
            self.watch = Some(Watch::of_group(self.group, memory));
        }
    }

    /// The most that it was seen to hold, where it was looked at.
    pub fn peak_bytes(&self) -> Option<u64> {
        self.watch.as_ref()?.0.memory.peak_bytes()
    }
}

/// What this group holds at this moment, where the system tells.
pub(super) fn held_now(group: i32) -> Option<u64> {
    let watched = Arc::new(Watched { group, memory: Arc::default() });
    scan(std::slice::from_ref(&watched));
    watched.memory.peak_bytes()
}

/// The thread: looks, and rests for so long that looking costs little.
fn look() {
    let mut state = lock();
    loop {
        if state.watched.is_empty() {
            let (after, waited) = SAMPLER.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = after;
            if waited.timed_out() && state.watched.is_empty() {
                state.runs = false;
                return;
            }
            continue;
        }
        let watched = state.watched.clone();
        drop(state);
        let begun = Instant::now();
        scan(&watched);
        drop(watched);
        std::thread::sleep((begun.elapsed() * SHARE).clamp(PERIOD[0], PERIOD[1]));
        state = lock();
    }
}

/// Looks once at every process, and gives each group its sum.
fn scan(watched: &[Arc<Watched>]) {
    let mut groups: Vec<(i32, u64)> = watched.iter().map(|watched| (watched.group, 0)).collect();
    groups.sort_unstable();
    each_process(|group, bytes| {
        if let Ok(at) = groups.binary_search_by_key(&group, |(group, _)| *group) {
            groups[at].1 += bytes;
        }
    });
    for watched in watched {
        if let Ok(at) = groups.binary_search_by_key(&watched.group, |(group, _)| *group) {
            watched.memory.note(groups[at].1);
        }
    }
}

/// Calls `take` with the group and the resident bytes of every process.
#[cfg(target_os = "linux")]
fn each_process(mut take: impl FnMut(i32, u64)) {
    use std::io::Read;

    // SAFETY: a plain system call.
    let page_bytes = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let Ok(processes) = std::fs::read_dir("/proc") else { return };
    let mut text = Vec::with_capacity(1024);
    for process in processes.flatten() {
        let name = process.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        text.clear();
        // One that has ended meanwhile is gone.
        let Ok(file) = std::fs::File::open(process.path().join("stat")) else { continue };
        if file.take(4096).read_to_end(&mut text).is_ok()
            && let Some((group, pages)) = group_and_pages(&text)
        {
            take(group, pages.saturating_mul(page_bytes));
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn each_process(_: impl FnMut(i32, u64)) {}

/// The process group and the resident pages in a text as of `/proc/N/stat`.
#[cfg(any(target_os = "linux", test))]
fn group_and_pages(stat: &[u8]) -> Option<(i32, u64)> {
    // The program's name stands in parentheses and may hold anything, parentheses too.
    let end = memchr::memrchr(b')', stat)?;
    let mut fields = std::str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace();
    let group = fields.nth(2)?.parse().ok()?;
    let pages = fields.nth(18)?.parse().ok()?;
    Some((group, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_and_memory_are_found_whatever_a_program_is_called() {
        let rest = "S 1 77 77 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 12345 9000000 321 18446744073709551615 1 1";
        for name in ["(sh)", "(a) b)", "() 1 2 (x))"] {
            assert_eq!(group_and_pages(format!("5 {name} {rest}\n").as_bytes()), Some((77, 321)), "{name}");
        }
        assert_eq!((group_and_pages(b""), group_and_pages(b"5 (sh) S 1 77")), (None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_group_holds_what_its_processes_hold_together_and_is_seen_while_it_runs() {
        use std::os::unix::process::CommandExt;

        // A shell keeps what it reads into a variable, and so do its copies.
        let script = "x=$(head -c 20000000 /dev/zero | tr '\\0' x); (y=$x; echo; read -r z <&3) & read -r z <&3";
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("exec 3<&0; {script}")]).process_group(0);
        let mut child =
            command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
        let memory = Arc::new(MemoryUse::default());
        let _watch = Watch::of_group(child.id() as i32, memory.clone());
        let begun = Instant::now();
        while memory.current_bytes() < 40_000_000 {
            assert!(begun.elapsed().as_secs() < 60, "only {} bytes were seen", memory.current_bytes());
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(held_now(child.id() as i32) >= Some(40_000_000));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(memory.peak_bytes() >= Some(40_000_000));
    }
}
