//! Small servers on this machine, well-behaved and not.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;
use crate::job::Cause;

/// Starts a server that answers every connection with `answer`, told the path asked for; gives its address, without a slash.
pub(super) fn serve(answer: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = std::sync::Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                // The client may have gone: that is for it to tell.
                let _ = answer(head.split(' ').nth(1).unwrap_or_default(), &mut stream);
            });
        }
    });
    address
}

/// Answers with this head, a line of it a line, and body.
pub(super) fn send(stream: &mut TcpStream, head: &str, body: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)
}

pub(super) fn page(url: &str) -> LinksParams {
    LinksParams::new(Page::Url(url.parse().unwrap()))
}

#[track_caller]
pub(super) fn fails(params: &LinksParams, cause: Cause, part: &str) {
    let error = error_of(params);
    let Page::Url(url) = &params.page else { panic!("a page of a server") };
    assert_eq!(error.cause, cause, "{error}");
    assert!(error.message.contains(part) && error.message.starts_with(url.as_str()), "{error}");
}

#[test]
fn a_page_is_fetched_and_its_links_start_from_where_redirects_led() {
    let server = serve(|path, stream| match path {
        "/start" => send(stream, "302 Found\r\nLocation: /deep/er", b""),
        "/deep/er" => send(stream, "301 Moved\r\nLocation: page?x=1", b"<a href=no>"),
        "/deep/page?x=1" => send(stream, "200 OK\r\nContent-Type: Text/HTML", b"<a href=a#b>"),
        _ => send(stream, "404 Not Found", b""),
    });
    let answer = run(&page(&format!("{server}/start#frag"))).unwrap();
    assert_eq!(answer.url(), format!("{server}/deep/page?x=1"));
    assert_eq!(answer.links(), [format!("{server}/deep/a#b")]);
}

#[test]
fn the_character_encoding_is_the_servers_word() {
    let server = serve(|_, stream| {
        send(stream, "200 OK\r\nContent-Type: text/html; charset=windows-1251", b"<meta charset=utf-8><a href=\xE9>")
    });
    assert_eq!(run(&page(&server)).unwrap().links(), [format!("{server}/%D0%B9")]);
}

#[test]
fn a_page_without_a_content_type_or_of_xhtml_is_read_and_one_of_another_type_is_not() {
    let server = serve(|path, stream| match path {
        "/none" => send(stream, "200 OK", b"<a href=a>"),
        "/xhtml" => send(stream, "200 OK\r\nContent-Type: application/xhtml+xml;charset=utf-8", b"<a href='a'/>"),
        _ => send(stream, "200 OK\r\nContent-Type: image/png", b"<a href=a>"),
    });
    for path in ["/none", "/xhtml"] {
        assert_eq!(run(&page(&format!("{server}{path}"))).unwrap().links(), [format!("{server}/a")]);
    }
    fails(&page(&server), Cause::BadInput, "is image/png, no HTML page");
}

#[test]
fn a_status_that_is_no_success_is_named() {
    let server = serve(|path, stream| send(stream, &format!("{} Whatever", &path[1..]), b"<a href=a>"));
    for (status, cause, part) in [
        (404, Cause::BadInput, "answers with status 404 Not Found: there is no such page"),
        (403, Cause::BadInput, "status 403"),
        (418, Cause::BadInput, "status 418"),
        (429, Cause::Io, "status 429"),
        (503, Cause::Io, "status 503 Service Unavailable: try again later"),
        (304, Cause::BadInput, "status 304"),
    ] {
        fails(&page(&format!("{server}/{status}")), cause, part);
    }
}

#[test]
fn passwords_are_sent_and_never_shown() {
    let server = serve(|_, stream| send(stream, "401 Unauthorized", b"")).replace("http://", "http://user:secret@");
    let error = error_of(&page(&server));
    assert!(error.message.contains("signed in") && !error.message.contains("secret"), "{error}");
    let server = serve(|_, stream| send(stream, "200 OK", b"<a href=a>")).replace("http://", "http://user:secret@");
    let answer = run(&page(&server)).unwrap();
    assert!(!format!("{answer:?}").contains("secret"), "{answer:?}");
}

#[test]
fn an_address_where_nothing_listens_or_no_host_is_says_so() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fails(&page(&format!("http://{free}/")), Cause::Io, "nothing listens there");
    fails(&page("http://no-such-host.localhost/"), Cause::Io, "");
}

#[test]
fn compressed_pages_are_unpacked_and_broken_ones_are_errors() {
    // `<a href=a>`, by gzip.
    const PACKED: [u8; 30] =
        [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 179, 73, 84, 200, 40, 74, 77, 179, 77, 180, 3, 0, 85, 50, 51, 3, 10, 0, 0, 0];
    let server = serve(|path, stream| {
        let mut packed = PACKED.to_vec();
        if path == "/broken" {
            packed.truncate(12);
            packed.extend([0xff; 40]);
        }
        send(stream, "200 OK\r\nContent-Encoding: gzip", &packed)
    });
    assert_eq!(run(&page(&format!("{server}/whole"))).unwrap().links(), [format!("{server}/a")]);
    fails(&page(&format!("{server}/broken")), Cause::Io, "broken compressed data");
}
