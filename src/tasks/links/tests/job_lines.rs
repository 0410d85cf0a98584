//! What a line of a job file and a command line say; pages in files.

use std::time::Duration;

use super::*;
use crate::job::Cause;
use crate::tasks::links::params::parse;

#[track_caller]
fn refused(line: &str, part: &str) {
    let message = parse(line).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains(part), "{line}: {message}");
}

#[test]
fn a_line_names_a_page_and_may_name_its_bounds() {
    let params = parse(r#"{"id":"a","kind":"links","device":"cpu","url":"https://example.org"}"#).unwrap();
    assert_eq!(params, LinksParams::new(Page::Url("https://example.org/".parse().unwrap())));
    assert!(params.in_memory());
    let params =
        parse(r#"{"file":"p.html","base":"http://a/b","page_timeout":"500ms","max_bytes":"1e6","max_redirects":0}"#)
            .unwrap();
    assert_eq!(params.page, Page::File { path: "p.html".into(), base: Some("http://a/b".parse().unwrap()) });
    assert_eq!((params.timeout, params.max_bytes), (Duration::from_millis(500), 1_000_000));
    assert_eq!(params.max_redirects, 0);
    for (timeout, ms) in [("2", 2000), ("0.25", 250), ("\"2m\"", 120_000)] {
        let params = parse(&format!("{{\"file\":\"a\",\"page_timeout\":{timeout},\"max_bytes\":7}}")).unwrap();
        assert_eq!((params.timeout, params.max_bytes), (Duration::from_millis(ms), 7));
    }
}

#[test]
fn what_is_wrong_with_a_line_is_named_with_its_field() {
    refused("{}", "no page: give `url`");
    refused(r#"{"url":"http://a","file":"b"}"#, "both `url` and `file`");
    refused(r#"{"url":"http://a","base":"http://b"}"#, "`base` is for a `file`");
    refused(r#"{"url":"example.org"}"#, "url: `example.org` is no absolute URL: begin with https:// or http://");
    refused(r#"{"url":"ftp://example.org"}"#, "pages are fetched by http and https only, not by ftp");
    refused(r#"{"url":"http://["}"#, "url: `http://[` is no URL: invalid IPv6 address");
    refused(r#"{"file":"a","base":"mailto:x"}"#, "base: `mailto:x` is no address that links could start from");
    refused(r#"{"file":"a","page_timeout":"soon"}"#, "`soon` is no time: write it as in");
    refused(r#"{"file":"a","page_timeout":0}"#, "leave it out");
    refused(r#"{"file":"a","page_timeout":1e9}"#, "1000000000 s for a page: give it 1 ms to 3600 s");
    refused(r#"{"file":"a","page_timeout":-1}"#, "for `page_timeout`");
    refused(
        r#"{"file":"a","page_timeout":[]}"#,
        "expected a time as in \"30s\" or a number of seconds for `page_timeout`",
    );
    refused(r#"{"file":"a","max_bytes":0}"#, "`0` is out of range: give 1 to 268435456 bytes");
    refused(r#"{"file":"a","max_bytes":1.5}"#, "a number of bytes from 1 to 268435456 for `max_bytes`");
    refused(r#"{"file":"a","max_redirects":101}"#, "max_redirects: 101 is too many");
    refused(r#"{"file":"a","max_redirects":-1}"#, "invalid value");
    refused(r#"{"file":"a","urls":[]}"#, "unknown field `urls`");
}

#[test]
fn bounds_of_a_library_call_are_checked_too() {
    let with = |change: fn(&mut LinksParams)| {
        let mut params = html("", "http://a/");
        change(&mut params);
        error_of(&params).message
    };
    assert!(with(|params| params.timeout = Duration::ZERO).contains("0 s for a page: give it 1 ms"));
    assert!(with(|params| params.max_bytes = 0).contains("max_bytes is 0"));
    assert!(with(|params| params.max_redirects = 1000).contains("max_redirects is 1000"));
    let error = error_of(&LinksParams::new(Page::Url("file:///etc/passwd".parse().unwrap())));
    assert!(error.message.contains("not by file"), "{error}");
}

#[test]
fn the_links_of_a_file_start_from_the_file_or_from_its_base() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a page.html");
    std::fs::write(&path, "<a href=other.html><a href=http://x/>").unwrap();
    let answer = run(&LinksParams::new(Page::File { path: path.clone(), base: None })).unwrap();
    let [other, absolute] = answer.links() else { panic!("{answer:?}") };
    assert!(other.starts_with("file:///") && other.ends_with("/other.html"), "{other}");
    assert!(answer.url().ends_with("/a%20page.html"), "{answer:?}");
    assert_eq!(absolute, "http://x/");
    let base = Some("http://b/c/".parse().unwrap());
    let answer = run(&LinksParams::new(Page::File { path, base })).unwrap();
    assert_eq!((answer.url(), &*answer.links()[0]), ("http://b/c/", "http://b/c/other.html"));
}

#[test]
fn a_file_that_is_no_page_is_an_error_that_names_it_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| Page::File { path: folder.path().join(name), base: None };
    std::fs::write(folder.path().join("binary"), b"\x7FELF\x02\x01\x01\0\0").unwrap();
    std::fs::write(folder.path().join("long"), [b'x'; 100]).unwrap();
    let mut short = LinksParams::new(file("long"));
    short.max_bytes = 99;
    let web = LinksParams::new(Page::File { path: "www.no-such-host.example".into(), base: None });
    for (params, cause, part) in [
        (LinksParams::new(file("missing")), Cause::Io, "missing: no such file"),
        (LinksParams::new(file("")), Cause::BadInput, "is a directory"),
        (LinksParams::new(file("binary")), Cause::BadInput, "binary: is no HTML page"),
        (short, Cause::BadInput, "long: is longer than 99 bytes: raise max_bytes"),
        (web, Cause::Io, "the address of a page on the web begins with https://"),
    ] {
        let error = error_of(&params);
        assert_eq!(error.cause, cause, "{error}");
        assert!(error.message.contains(part), "{error}");
    }
    let mut long_enough = LinksParams::new(file("long"));
    long_enough.max_bytes = 100;
    assert!(run(&long_enough).is_ok());
}

#[cfg(unix)]
#[test]
fn a_pipe_that_nobody_writes_to_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the path is a C string that lives through the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let error = error_of(&LinksParams::new(Page::File { path, base: None }));
    assert!(error.message.contains("is no regular file"), "{error}");
}

#[cfg(feature = "cli")]
#[test]
fn pages_are_arguments_each_a_job_of_its_own() {
    let asked = |args: &[&str]| -> Result<Vec<String>, String> {
        let command = (crate::tasks::links::KIND.command)();
        let matches =
            command.try_get_matches_from([&["links"], args].concat()).map_err(|error| error.render().to_string())?;
        let asked = (crate::tasks::links::KIND.from_args)(&matches)?;
        Ok(asked.into_iter().map(|asked| format!("{} {:?}", asked.label.unwrap(), asked.params)).collect())
    };
    let jobs = asked(&["HTTP://a", "b.html", "--base", "http://c", "--timeout", "5s", "--max-bytes", "1e3"]).unwrap();
    assert!(
        jobs[0].starts_with("HTTP://a LinksParams { page: Url(http://a/), timeout: 5s, max_bytes: 1000"),
        "{jobs:?}"
    );
    assert!(jobs[1].starts_with("b.html LinksParams { page: File(b.html, base http://c/)"), "{jobs:?}");
    for (args, part) in [
        (&[][..], "PAGE"),
        (&["http://a", "--base", "http://c"], "--base is for files"),
        (&["http://["], "is no URL"),
        (&["a", "--timeout", "-1"], "is no time"),
        (&["a", "--max-bytes", "0"], "out of range"),
        (&["a", "--max-redirects", "-1"], "--max-redirects"),
    ] {
        let message = asked(args).unwrap_err();
        assert!(message.contains(part), "{args:?}: {message}");
    }
}
