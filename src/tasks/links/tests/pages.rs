//! Which links a page has.

use super::*;
use crate::job::{Cause, Sample};
use crate::tasks::links::KIND;

#[track_caller]
fn found(page: impl AsRef<[u8]>, expected: &[&str]) {
    let answer = run(&html(page.as_ref(), "http://example.org/a/b.html?q#f")).unwrap();
    assert_eq!(answer.links(), expected, "{}", String::from_utf8_lossy(page.as_ref()));
    assert_eq!(answer.url(), "http://example.org/a/b.html?q#f");
}

#[test]
fn links_are_absolute_and_keep_their_fragment() {
    found("<a href=c.html#x>", &["http://example.org/a/c.html#x"]);
    found("<a href='../c d.html?e=é'>", &["http://example.org/c%20d.html?e=%C3%A9"]);
    found("<a href=//other.net>", &["http://other.net/"]);
    found("<a href='#top'>", &["http://example.org/a/b.html?q#top"]);
    found("<a href=''>", &["http://example.org/a/b.html?q"]);
    found("<a href=' \n/x\ty '>", &["http://example.org/xy"]);
    found("<a href=HTTP://EXAMPLE.org:80/É>", &["http://example.org/%C3%89"]);
    found("<a href=http://bücher.example/>", &["http://xn--bcher-kva.example/"]);
}

#[test]
fn links_that_a_person_can_follow_are_those_of_a_and_area() {
    found(
        "<link href=1><script src=2></script><img src=3><form action=4><area href=5><a href=6><a name=7><svg><a xlink:href=8>",
        &["http://example.org/a/5", "http://example.org/a/6", "http://example.org/a/8"],
    );
}

#[test]
fn a_link_stands_once_where_it_was_first_seen() {
    found(
        "<a href=x><a href=y><a href=x><a href=./x><a href=/a/y><a href=x#z>",
        &["http://example.org/a/x", "http://example.org/a/y", "http://example.org/a/x#z"],
    );
}

#[test]
fn other_schemes_stay_and_what_is_no_url_is_left_out() {
    found(
        "<a href=mailto:A@b.c><a href=http://[><a href='javascript:void(0)'><a href=http://><a href=tel:+1>",
        &["mailto:A@b.c", "javascript:void(0)", "tel:+1"],
    );
}

#[test]
fn the_first_base_with_an_address_counts_for_the_whole_page() {
    found("<base target=_top><base href=/c/><base href=/d/><a href=x>", &["http://example.org/c/x"]);
    found("<a href=x><base href=//other.net/c><a href=x>", &["http://other.net/x"]);
    found("<base href=mailto:x><a href=x>", &["http://example.org/a/x"]);
    found("<base href=http://[><a href=x>", &["http://example.org/a/x"]);
}

#[test]
fn a_query_is_written_in_the_encoding_of_the_page() {
    found(b"<meta charset=windows-1251><a href='/\xE9?\xE9'>", &["http://example.org/%D0%B9?%E9"]);
    found("<meta charset=utf-8><a href='/é?é'>".as_bytes(), &["http://example.org/%C3%A9?%C3%A9"]);
    found(b"\xFF\xFE<\0a\0 \0h\0r\0e\0f\0=\0?\0\xE9\0>\0", &["http://example.org/a/b.html?%C3%A9"]);
}

#[test]
fn pages_of_no_or_broken_markup_have_the_links_that_are_there() {
    found("", &[]);
    found("no markup < at all & none", &[]);
    found("<a href=x", &[]);
    found(
        "<p><a href=x<b></p></a></a><table><a href=\"y\"z>",
        &["http://example.org/a/x%3Cb", "http://example.org/a/y"],
    );
    found(b"<a href=\"\xFF\0\">", &["http://example.org/a/%C3%BF%EF%BF%BD"]);
}

#[test]
fn a_base_of_absurd_length_ends_in_an_error_and_not_in_all_memory() {
    let mut page = format!("<base href=\"/{}\">", "x".repeat(1 << 20));
    page.extend((0..100_000).map(|n| format!("<a href=#{n}>")));
    let error = error_of(&html(page, "http://example.org/"));
    assert_eq!(error.cause, Cause::BadInput);
    assert!(error.message.contains("longer than 19 MiB together"), "{error}");
    // The same link over and over costs nothing.
    let page = format!("<base href=\"/{}\">{}", "x".repeat(1 << 20), "<a href='#'>".repeat(100_000));
    assert_eq!(run(&html(page, "http://example.org/")).unwrap().links().len(), 1);
}

#[test]
fn pages_of_one_thing_over_and_over_take_little_time() {
    for piece in ["<a href=x>", "<div>", "</div>", "<svg>", "<base>", "&", "<!--", "<a b='", "\0", "<a href=http://["] {
        let begun = std::time::Instant::now();
        run(&html(piece.repeat((1 << 20) / piece.len()), "http://example.org/")).unwrap();
        assert!(begun.elapsed().as_secs() < 10, "{piece}");
    }
}

#[test]
fn extraction_can_be_cancelled() {
    let cancel = CancelFlag::default();
    cancel.cancel();
    assert_eq!(run_with(&html("<a href=x>", "http://a/"), &cancel).unwrap_err().cause, Cause::Cancelled);
}

#[test]
fn a_sample_has_the_size_asked_for_and_its_links() {
    for units in [0, 1, 1000, 100_000] {
        let Bound::Task(task) =
            (KIND.sample)(&Sample { variant: "html", units, seed: 5 }).bind(&BindContext::default()).unwrap()
        else {
            panic!("a task")
        };
        let cancel = CancelFlag::default();
        let Ok(Step::Done(answer)) = task.run(&TaskContext::new("a", 0, &cancel, None)) else { panic!("{units}") };
        assert_eq!(answer.summary() == "0 links", units <= 1, "{units}: {}", answer.summary());
    }
}
