//! Servers that would take for ever: each ends in bounded time and memory.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::servers::{fails, page, send, serve};
use super::*;
use crate::job::Cause;

/// Runs `body`, which should end soon.
#[track_caller]
fn soon(body: impl FnOnce()) {
    let begun = Instant::now();
    body();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

fn within(url: &str, timeout_ms: u64) -> LinksParams {
    LinksParams { timeout: Duration::from_millis(timeout_ms), ..page(url) }
}

fn stall() -> std::io::Result<()> {
    thread::sleep(Duration::from_secs(60));
    Ok(())
}

/// Writes this again and again, as long as somebody reads.
fn repeat(stream: &mut TcpStream, piece: &[u8], pause: Duration) -> std::io::Result<()> {
    loop {
        stream.write_all(piece)?;
        thread::sleep(pause);
    }
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";

#[test]
fn a_server_that_never_answers_ends_at_the_timeout_and_names_it() {
    let server = serve(|_, _| stall());
    soon(|| fails(&within(&server, 200), Cause::Timeout, "was not here within 200 ms: raise page_timeout"));
}

#[test]
fn a_server_that_stops_in_the_middle_ends_at_the_timeout() {
    let server = serve(|_, stream| {
        write!(stream, "{HEAD}Content-Length: 100\r\n\r\n<a href=x>")?;
        stall()
    });
    soon(|| fails(&within(&server, 200), Cause::Timeout, "within 200 ms"));
}

#[test]
fn a_server_that_drips_ends_at_the_timeout_though_each_byte_comes_in_time() {
    let drip = Duration::from_millis(20);
    let body = serve(move |_, stream| {
        write!(stream, "{HEAD}\r\n")?;
        repeat(stream, b"x", drip)
    });
    let head = serve(move |_, stream| {
        write!(stream, "{HEAD}X-Drip: ")?;
        repeat(stream, b"x", drip)
    });
    soon(|| fails(&within(&body, 300), Cause::Timeout, "within 300 ms"));
    soon(|| fails(&within(&head, 300), Cause::Timeout, "within 300 ms"));
}

#[test]
fn a_page_without_end_ends_at_its_size_limit() {
    let plain = serve(|_, stream| {
        write!(stream, "{HEAD}\r\n")?;
        repeat(stream, &[b'x'; 4096], Duration::ZERO)
    });
    let chunked = serve(|_, stream| {
        write!(stream, "{HEAD}Transfer-Encoding: chunked\r\n\r\n")?;
        repeat(stream, b"5\r\n<a b>\r\n", Duration::ZERO)
    });
    let announced = serve(|_, stream| {
        write!(stream, "{HEAD}Content-Length: 1000000000000\r\n\r\n")?;
        stall()
    });
    for server in [plain, chunked, announced] {
        let params = LinksParams { max_bytes: 100_000, ..page(&server) };
        soon(|| fails(&params, Cause::BadInput, "is longer than 100000 bytes: raise max_bytes"));
    }
}

#[test]
fn a_header_without_end_is_an_error() {
    let server = serve(|_, stream| {
        write!(stream, "{HEAD}X-Long: ")?;
        repeat(stream, &[b'x'; 4096], Duration::ZERO)
    });
    soon(|| fails(&page(&server), Cause::Io, "header without end"));
    let many = serve(|_, stream| {
        write!(stream, "{HEAD}")?;
        repeat(stream, b"X-Many: x\r\n", Duration::ZERO)
    });
    soon(|| fails(&page(&many), Cause::Io, ""));
}

#[test]
fn redirects_for_ever_end_at_their_limit() {
    let server = serve(|path, stream| {
        let next: u64 = path[1..].parse().unwrap_or(0) + 1;
        send(stream, &format!("302 Found\r\nLocation: /{next}"), b"")
    });
    soon(|| fails(&page(&server), Cause::BadInput, "is redirected more than 10 times"));
    let none = LinksParams { max_redirects: 0, ..page(&server) };
    soon(|| {
        fails(&none, Cause::BadInput, "redirects to /1 (status 302 Found): name that page, or raise max_redirects")
    });
    let endless = serve(|_, stream| {
        write!(stream, "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n")?;
        repeat(stream, &[b'x'; 4096], Duration::from_millis(1))
    });
    soon(|| drop(error_of(&within(&endless, 500))));
}

#[test]
fn a_redirect_away_from_the_web_is_an_error() {
    for (to, part) in [
        ("file:///etc/passwd", "redirects to file:///etc/passwd (status 302 Found), which is no http(s) address"),
        ("ftp://user:secret@example.org/", "redirects to ftp://example.org/ (status"),
        ("mailto:x", "redirects to mailto:x (status"),
        ("JavaScript:void(0)", "redirects to javascript:void(0) (status"),
        ("http://", "redirects to http:// (status"),
    ] {
        let served = Arc::new(AtomicU32::new(0));
        let server = serve({
            let served = served.clone();
            move |_, stream| {
                served.fetch_add(1, Ordering::Relaxed);
                send(stream, &format!("302 Found\r\nLocation: {to}"), b"")
            }
        });
        soon(|| fails(&within(&server, 5000), Cause::BadInput, part));
        assert_eq!(served.load(Ordering::Relaxed), 1, "{to} was taken for a path of the server");
    }
    // These are of the same server, and lead in circles.
    for to in [":", ""] {
        let server = serve(move |_, stream| send(stream, &format!("302 Found\r\nLocation: {to}"), b""));
        soon(|| drop(error_of(&within(&server, 2000))));
    }
}

#[test]
fn a_connection_closed_in_the_middle_is_an_error_and_no_short_page() {
    let server = serve(|_, stream| write!(stream, "{HEAD}Content-Length: 100\r\n\r\n<a href=x>"));
    soon(|| fails(&page(&server), Cause::Io, "closed the connection before the page was whole"));
    let chunked = serve(|_, stream| write!(stream, "{HEAD}Transfer-Encoding: chunked\r\n\r\n64\r\n<a href=x>"));
    soon(|| fails(&page(&chunked), Cause::Io, ""));
    let silent = serve(|_, _| Ok(()));
    soon(|| fails(&page(&silent), Cause::Io, "closed the connection"));
}

#[test]
fn what_speaks_no_http_is_an_error() {
    for garbage in [&b"SSH-2.0-OpenSSH_9.6\r\n"[..], b"\0\0\0\0", b"HTTP/9.9 abc\r\n\r\n", &[0xFF; 5000]] {
        let server = serve(move |_, stream| stream.write_all(garbage));
        soon(|| fails(&page(&server), Cause::Io, ""));
    }
    let server = serve(|_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")).replace("http:", "https:");
    soon(|| drop(error_of(&within(&server, 2000))));
}

#[test]
fn a_fetch_is_cancelled_while_the_server_is_silent_or_drips() {
    let silent = serve(|_, _| stall());
    let stopped = serve(|_, stream| {
        write!(stream, "{HEAD}\r\n<a href=x>")?;
        stall()
    });
    let dripping = serve(|_, stream| {
        write!(stream, "{HEAD}\r\n")?;
        repeat(stream, b"x", Duration::from_millis(10))
    });
    let encrypting = silent.replace("http:", "https:");
    for server in [silent, stopped, dripping, encrypting] {
        soon(|| {
            let cancel = CancelFlag::default();
            let canceller = cancel.clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(100));
                canceller.cancel();
            });
            assert_eq!(run_with(&page(&server), &cancel).unwrap_err().cause, Cause::Cancelled, "{server}");
        });
    }
}
