//! The kinds `links` and `image`, as a user asks for them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::program::{tandem, tandem_reading};

/// A server on this machine whose every page takes this long; gives its address.
fn slow_server(pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                thread::sleep(pause);
                let body = "<a href=x>";
                let length = body.len();
                // The client may have gone: that is for it to tell.
                let _ =
                    write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
            });
        }
    });
    address
}

#[test]
fn links_of_files_are_listed_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.html");
    std::fs::write(&path, "<a href=b#c><a href=mailto:d>").unwrap();
    let path = path.to_str().unwrap();
    let ended = tandem(&["links", path, "--base", "http://x/y/"]).expect(0);
    assert_eq!(ended.out, "http://x/y/b#c\nmailto:d\n");
    let ended = tandem(&["links", path, "no such page", "--base", "http://x/", "--json"]).expect(1);
    let [page, missing] = &ended.json()[..] else { panic!("{ended:?}") };
    assert_eq!(page["result"], serde_json::json!({"url":"http://x/","links":["http://x/b#c","mailto:d"],"count":2}));
    assert_eq!(missing["error"]["cause"], "io");
    let usage = tandem(&["links", "http://x/", "--base", "http://y/"]).expect(2);
    assert!(usage.err.contains("--base is for files"), "{usage:?}");
}

#[test]
fn many_slow_pages_take_about_as_long_as_one() {
    let pause = Duration::from_millis(400);
    let server = slow_server(pause);
    let jobs: String = (0..64).map(|n| format!("{{\"kind\":\"links\",\"url\":\"{server}/{n}\"}}\n")).collect();
    let begun = Instant::now();
    let ended = tandem_reading(&["run", "-", "--threads", "2"], jobs.as_bytes()).expect(0);
    let took = begun.elapsed();
    assert_eq!(ended.json().len(), 64);
    assert!(ended.json().iter().all(|outcome| outcome["result"]["links"][0] == format!("{server}/x")), "{ended:?}");
    // One after the other they would take 26 s, and two at a time 13 s.
    assert!(took < pause * 8, "{took:?}");
}

#[test]
fn a_page_that_takes_longer_than_its_job_may_is_a_time_out() {
    let server = slow_server(Duration::from_secs(60));
    let jobs = format!(
        "{{\"kind\":\"links\",\"url\":\"{server}\",\"timeout\":\"300ms\"}}\n\
         {{\"kind\":\"links\",\"url\":\"{server}\",\"page_timeout\":\"300ms\"}}\n"
    );
    let begun = Instant::now();
    let ended = tandem_reading(&["run", "-"], jobs.as_bytes()).expect(1);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for (outcome, part) in ended.json().iter().zip(["longer than the 300 ms", "not here within 300 ms"]) {
        assert_eq!(outcome["error"]["cause"], "timeout", "{outcome}");
        assert!(outcome["error"]["message"].as_str().unwrap().contains(part), "{outcome}");
    }
}

#[test]
fn images_are_converted_one_job_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    image::RgbImage::new(40, 20).save(path("a.png")).unwrap();
    image::RgbImage::new(20, 40).save(path("b.jpg")).unwrap();
    std::fs::create_dir(path("out")).unwrap();
    let args =
        ["image", &path("a.png"), &path("b.jpg"), "--output", &path("out"), "--fit", "10x10", "--format", "jpeg"];
    let ended = tandem(&args).expect(0);
    assert!(ended.out.contains("10 x 5 pixels") && ended.out.contains("5 x 10 pixels"), "{ended:?}");
    assert_eq!(image::image_dimensions(path("out/a.jpg")).unwrap(), (10, 5));
    let jobs = format!(
        r#"{{"kind":"image","file":{:?},"output":{:?},"steps":[{{"rotate":90}},{{"grey":true}}]}}
           {{"kind":"image","file":{:?},"output":{:?},"steps":[{{"rotate":45}}]}}"#,
        path("a.png"),
        path("c.png"),
        path("a.png"),
        path("a.png"),
    );
    let ended = tandem_reading(&["run", "-"], jobs.as_bytes()).expect(1);
    let [turned, wrong] = &ended.json()[..] else { panic!("{ended:?}") };
    assert_eq!((&turned["result"]["width"], &turned["result"]["height"]), (&20.into(), &40.into()));
    let message = wrong["error"]["message"].as_str().unwrap();
    assert!(message.contains("`steps`") && message.contains("rotate: give 90, 180 or 270"), "{message}");
}
