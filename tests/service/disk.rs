//! A disk that takes nothing for a while.

use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use crate::program::{Service, command};

/// A service whose disk can be filled.
fn start(args: &[&str]) -> Service {
    let data = tempfile::tempdir().unwrap();
    let mut command = command(data.path(), args);
    // SAFETY: between fork and exec, a plain system call that sets how one signal is met; it allocates nothing.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            Ok(())
        });
    }
    Service::spawn(data, command)
}

/// As if the disk were at its end: no file may be written beyond its first page. Or as if it had room again.
fn set_full(service: &Service, is_full: bool) {
    set_room(service, if is_full { 4096 } else { libc::RLIM_INFINITY });
}

/// As if the disk had no room for files longer than so many bytes.
fn set_room(service: &Service, bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a plain system call that reads this struct; the child is ours and has not been waited for.
    let set = unsafe { libc::prlimit(service.pid(), libc::RLIMIT_FSIZE, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let last = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < last, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_service_whose_disk_takes_nothing_is_not_ready_until_it_does() {
    let service = start(&[]);
    assert_eq!(service.get("/readyz").status, 200);
    set_full(&service, true);
    let job = r#"{"kind":"factor","n":12}"#;
    let refused = service.post(job);
    assert!([503, 507].contains(&refused.status), "{refused:?}");
    let last = Instant::now() + Duration::from_secs(3);
    while Instant::now() < last {
        let stuck = service.get("/readyz");
        assert_eq!((stuck.status, stuck.json()["error"]["code"].as_str()), (503, Some("journal")), "{stuck:?}");
        assert_eq!(service.get("/healthz").status, 200, "restarting it would not help");
        std::thread::sleep(Duration::from_millis(100));
    }
    set_full(&service, false);
    until("nobody has looked whether it can be written again", || service.get("/readyz").status == 200);
    service.run(job);
}

#[test]
fn a_file_of_which_the_last_bytes_find_no_room_is_not_taken_for_a_whole_one() {
    const ROOM: usize = 3 << 20;
    let service = start(&[]);
    set_room(&service, ROOM as u64);
    let post = |bytes: usize| {
        let job = r#"{"kind":"stats","file":{"$file":"scan"}}"#;
        let part =
            |name: &str| format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x.csv\"\r\n\r\n");
        let file = "7\n".repeat(bytes / 2);
        let body = [&part("job"), job, "\r\n", &part("scan"), &file, "\r\n--B--\r\n"].concat();
        let reply =
            service.request("POST", "/v1/jobs", "Content-Type: multipart/form-data; boundary=B\r\n", body.as_bytes());
        (reply.status, reply.body)
    };
    assert_eq!(post(ROOM).0, 202, "the journal takes what fits");
    for beyond in [2, 300, 100_000] {
        let (status, body) = post(ROOM + beyond);
        assert_eq!((status, body.contains("unwritable")), (503, true), "{beyond} bytes too many: {body}");
    }
    until("files of refused jobs stay, or that of the other", || {
        std::fs::read_dir(service.data.path().join("uploads")).unwrap().count() == 0
    });
}

/// A job that runs while the disk is full; on a busy machine it may have ended before, and is begun once more.
fn runs_on_a_full_disk(service: &Service, job: &str) -> String {
    for _ in 0..20 {
        let id = service.accepted(job);
        until("it does not begin", || service.job(&id)["state"] != "queued");
        set_full(service, true);
        if service.job(&id)["state"] == "running" {
            return id;
        }
        set_full(service, false);
    }
    panic!("it never ran for long enough");
}

#[test]
fn a_retry_that_a_full_disk_did_not_take_is_written_down_once_it_does() {
    let service = start(&["--allow-commands"]);
    let id = runs_on_a_full_disk(&service, r#"{"kind":"command","argv":["sleep","60"],"timeout":"3s","retries":1}"#);
    let seq: u64 = id.rsplit('-').next().unwrap().parse().unwrap();
    let db = rusqlite::Connection::open(service.data.path().join("jobs.sqlite")).unwrap();
    let kept = || -> (String, u32, u32) {
        let row = "SELECT state, attempts, retries FROM jobs WHERE seq = ?1";
        db.query_row(row, [seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
    };
    // It fails, is to be tried again, and cannot be: no attempt begins that is not written down.
    until("it does not fail and wait for its turn", || service.job(&id)["state"] == "queued");
    assert_eq!(kept(), ("running".to_owned(), 1, 0), "the disk was to take nothing");
    set_full(&service, false);
    until("the retry is not written down", || kept().2 == 1);
    let ended = service.wait_for(&id, "failed");
    assert_eq!(ended["attempts"], 2, "{ended}");
    assert_eq!(kept(), ("failed".to_owned(), 2, 1));
}
