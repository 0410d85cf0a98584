use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::program::{LONG, Reply, Service, read_reply};

fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.extend(format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--B--\r\n");
    body
}

fn post(service: &Service, parts: &[(&str, Option<&str>, &[u8])]) -> Reply {
    service.request("POST", "/v1/jobs", "Content-Type: multipart/form-data; boundary=B\r\n", &form(parts))
}

/// Waits until so many jobs have files: removing them takes a moment.
fn wait_for_uploads(service: &Service, count: usize) {
    let until = Instant::now() + Duration::from_secs(30);
    let left = || std::fs::read_dir(service.data.path().join("uploads")).unwrap().count();
    while left() != count {
        assert!(Instant::now() < until, "{} uploads, not {count}", left());
        std::thread::sleep(Duration::from_millis(5));
    }
}

const JOB: &[u8] = br#"{"kind":"stats","file":{"$file":"scan"},"metadata":{"patient":"7"}}"#;

#[test]
fn a_job_comes_with_its_file_which_goes_once_it_has_succeeded() {
    let service = Service::start(&[]);
    let reply = post(&service, &[("job", None, JOB), ("scan", Some("../x/temps.csv"), b"t\n1\n2\n6\n")]);
    assert_eq!(reply.status, 202, "{reply:?}");
    let job = service.wait_for(reply.json()["id"].as_str().unwrap(), "succeeded");
    assert_eq!(
        (&job["result"]["columns"][0]["mean"], &job["metadata"]["patient"]),
        (&3.0.into(), &"7".into()),
        "{job}"
    );
    wait_for_uploads(&service, 0);
}

#[test]
fn the_same_key_with_a_file_of_another_name_is_another_body() {
    let service = Service::start(&[]);
    let send = |file: &str, text: &[u8]| {
        let body = form(&[("job", None, JOB), ("scan", Some(file), text)]);
        let head = "Idempotency-Key: a\r\nContent-Type: multipart/form-data; boundary=B\r\n";
        service.request("POST", "/v1/jobs", head, &body).status
    };
    assert_eq!([send("a.csv", b"t\n1\n"), send("a.csv", b"t\n1\n")], [202, 202]);
    // The ending of its name tells what is in it.
    assert_eq!([send("a.npy", b"t\n1\n"), send("a.csv", b"t\n2\n")], [422, 422]);
}

#[test]
fn a_broken_file_is_the_error_of_its_job_alone_and_tells_no_path_of_the_service() {
    let service = Service::start(&[]);
    let reply = post(&service, &[("job", None, JOB), ("scan", Some("scan.npy"), b"this is no array")]);
    let job = service.wait_for(reply.json()["id"].as_str().unwrap(), "failed");
    let message = job["error"]["message"].as_str().unwrap();
    assert!(message.contains("scan.npy"), "{message}");
    assert!(!job.to_string().contains(service.data.path().to_str().unwrap()), "{job}");
    // It can be tried again.
    wait_for_uploads(&service, 1);
}

#[cfg(feature = "dicom")]
#[test]
fn a_scan_is_seen_through_its_window_and_a_broken_one_is_the_error_of_its_job_alone() {
    let service = Service::start(&[]);
    let scan = include_bytes!("../data/dicom/ct.dcm");
    let job = br#"{"kind":"stats","file":{"$file":"scan"},"window":"file","histogram":{"bins":4},"metadata":{"Modality":"OT"}}"#;
    let sent = |name: &str, scan: &[u8]| {
        let reply = post(&service, &[("job", None, job), ("scan", Some(name), scan)]);
        assert_eq!(reply.status, 202, "{reply:?}");
        reply.json()["id"].as_str().unwrap().to_owned()
    };
    // A name that says nothing: the file does, behind its first 128 bytes.
    let [whole, half, compressed] = [
        sent("IM-0001", scan),
        sent("half.dcm", &scan[..scan.len() - 10]),
        sent("j2k.dcm", include_bytes!("../data/dicom/jpeg2000.dcm")),
    ];
    let job = service.wait_for(&whole, "succeeded");
    let result = &job["result"];
    assert_eq!(
        (&result["count"], &result["nan_count"], &result["mean"]),
        (&1.into(), &14.into(), &(-88.0).into()),
        "{job}"
    );
    assert_eq!(result["histogram"]["edges"][4], 239.0, "{job}");
    assert_eq!(job["metadata"]["Modality"], "OT", "{job}");
    for (id, cause, says) in [(half, "bad_input", "cut short"), (compressed, "unsupported", "1.2.840.10008.1.2.4.90")] {
        let job = service.wait_for(&id, "failed");
        let message = job["error"]["message"].as_str().unwrap();
        assert!(job["cause"] == cause && message.contains(says), "{job}");
        assert!(!message.contains(service.data.path().to_str().unwrap()), "{job}");
    }
    let put = |query: &str| service.request("PUT", &format!("/v1/datasets/scan{query}"), "", scan);
    assert_eq!((put("").status, put("?format=dicom").status), (201, 200));
    assert_eq!(service.get("/v1/datasets").json()["datasets"][0]["format"], "dcm");
    let job = service.run(r#"{"kind":"stats","dataset":"scan","window":{"center":-700,"width":301}}"#);
    assert_eq!(job["result"]["count"], 3, "{job}");
}

#[test]
fn forms_that_are_broken_leave_nothing_behind() {
    let service = Service::start(&["--max-upload", "1KiB"]);
    let long = vec![b'x'; 5000];
    for (parts, status) in [
        (&[("scan", Some("a"), &b"x"[..])][..], 400),
        (&[("job", None, JOB)], 400),
        (&[("job", None, b"{"), ("scan", Some("a"), b"x")], 400),
        (&[("job", None, JOB), ("job", None, JOB)], 400),
        (&[("job", None, JOB), ("scan", None, b"x"), ("scan", None, b"y")], 400),
        (&[("job", None, JOB), ("scan", Some("a"), &long)], 413),
    ] {
        let reply = post(&service, parts);
        assert_eq!(reply.status, status, "{reply:?}");
    }
    let whole = form(&[("job", None, JOB), ("scan", Some("a"), b"12")]);
    let half = &whole[..whole.len() - 30];
    let reply = service.request("POST", "/v1/jobs", "Content-Type: multipart/form-data; boundary=B\r\n", half);
    assert_eq!(reply.status, 400, "{reply:?}");
    let reply = service.request("POST", "/v1/jobs", "Content-Type: multipart/form-data\r\n", b"x");
    assert_eq!(reply.status, 400, "{reply:?}");
    wait_for_uploads(&service, 0);
}

#[test]
fn a_dataset_is_put_once_named_by_many_and_read_as_it_was_when_the_job_came() {
    let service = Service::start(&[]);
    let put = |body: &[u8], kind: &str| {
        service.request("PUT", "/v1/datasets/temps", &format!("Content-Type: {kind}\r\n"), body)
    };
    assert_eq!(put(b"t\n1\n2\n6\n", "text/csv").status, 201);
    let job = r#"{"kind":"stats","dataset":"temps","column":"t"}"#;
    assert_eq!(service.run(job)["result"]["mean"], 3.0);
    assert_eq!(
        service.run(r#"{"kind":"stats","files":[{"$dataset":"temps"}],"together":true,"column":"t"}"#)["result"]["max"],
        6.0
    );
    assert_eq!(put(b"t\n7\n", "text/csv").status, 200);
    assert_eq!(service.run(job)["result"]["mean"], 7.0);
    let listed = service.get("/v1/datasets").json();
    assert_eq!((&listed["datasets"][0]["name"], &listed["datasets"][0]["format"]), (&"temps".into(), &"csv".into()));
    // Neither of these can be written to.
    let output = service.post(r#"{"kind":"corr","values":[[1,2],[2,1]],"output":{"$dataset":"temps"}}"#);
    assert_eq!(output.status, 403, "{output:?}");
    let broken = put(b"not an array", "application/x-npy");
    assert_eq!(broken.status, 200);
    let failed = service.run(r#"{"kind":"stats","dataset":"temps"}"#);
    assert!(!failed.to_string().contains(service.data.path().to_str().unwrap()), "{failed}");
    assert_eq!((&failed["state"], &failed["cause"]), (&"failed".into(), &"bad_input".into()), "{failed}");
    let remove = || service.request("DELETE", "/v1/datasets/temps", "", b"").status;
    assert_eq!((remove(), remove()), (204, 404));
    let gone = service.post(job);
    assert_eq!(
        (gone.status, gone.json()["error"]["message"].as_str().unwrap().contains("no dataset `temps`")),
        (400, true)
    );
    assert_eq!(service.request("PUT", "/v1/datasets/..%2Fx", "", b"").status, 400);
    assert_eq!(service.post(r#"{"kind":"factor","n":1,"dataset":"temps"}"#).status, 400);
}

#[test]
fn a_job_that_cannot_be_made_anew_ends_and_one_that_can_reads_what_it_read_before() {
    let service = Service::start(&["--threads", "1"]);
    let put = |text: &str| {
        assert!(service.request("PUT", "/v1/datasets/t", "Content-Type: text/csv\r\n", text.as_bytes()).status < 300);
    };
    put("x\n1\n");
    let long = service.accepted(LONG);
    service.wait_for(&long, "running");
    // It waits behind that one, and has its input from now on.
    let job = service.accepted(r#"{"kind":"stats","dataset":"t","column":"x","priority":-1,"id":"first"}"#);
    put("x\n2\n");
    let data = service.kill();
    let service = Service::start_in(data, &[]);
    assert_eq!(service.request("DELETE", &format!("/v1/jobs/{long}"), "", b"").status, 202);
    assert_eq!(service.wait_for(&job, "succeeded")["result"]["mean"], 1.0, "not the one that came after it");
    assert_eq!(service.run(r#"{"kind":"stats","dataset":"t","column":"x"}"#)["result"]["mean"], 2.0);
}

#[test]
fn a_dataset_that_was_removed_does_not_come_back_and_the_jobs_before_read_it() {
    let service = Service::start(&["--threads", "1"]);
    let put = service.request("PUT", "/v1/datasets/t", "Content-Type: text/csv\r\n", b"x\n1\n");
    assert_eq!(put.status, 201, "{put:?}");
    let long = service.accepted(LONG);
    service.wait_for(&long, "running");
    let job = service.accepted(r#"{"kind":"stats","dataset":"t","column":"x","priority":-1}"#);
    assert_eq!(service.request("DELETE", "/v1/datasets/t", "", b"").status, 204);
    let data = service.kill();
    let service = Service::start_in(data, &[]);
    assert_eq!(service.get("/v1/datasets").json()["datasets"], serde_json::json!([]));
    assert_eq!(service.request("DELETE", &format!("/v1/jobs/{long}"), "", b"").status, 202);
    assert_eq!(service.wait_for(&job, "succeeded")["result"]["mean"], 1.0);
    let service = Service::start_in(service.kill(), &[]);
    assert_eq!(service.request("DELETE", "/v1/datasets/t", "", b"").status, 404);
    let left = std::fs::read_dir(service.data.path().join("datasets")).unwrap().count();
    assert_eq!(left, 0, "nobody reads it any more");
}

/// More than all buffers between a client and the service hold.
const ENDLESS: usize = 256 << 20;

#[test]
fn the_head_of_a_part_that_never_ends_is_not_read_for_ever() {
    let service = Service::start(&[]);
    let mut stream = TcpStream::connect(&service.address).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=B\r\n\
         Content-Length: {}\r\n\r\n--B\r\nContent-Disposition: form-data; name=\"",
        service.address,
        2 * ENDLESS
    );
    stream.write_all(head.as_bytes()).unwrap();
    let piece = vec![b'a'; 64 << 10];
    let mut sent = 0;
    // It is over once nobody takes any more of it.
    let end = loop {
        match stream.write(&piece) {
            Ok(count) => sent += count,
            Err(error) => break Some(error),
        }
        if sent >= ENDLESS {
            break None;
        }
    };
    let end = end.unwrap_or_else(|| panic!("{sent} bytes were taken, and still more would be"));
    assert!(!matches!(end.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "it hangs up, at {sent} bytes: {end}");
    // The answer may be lost with the connection.
    let reply = read_reply(stream);
    assert!([400, 0].contains(&reply.status), "{reply:?}");
    wait_for_uploads(&service, 0);
}

#[test]
fn files_of_failed_jobs_make_room_for_others_and_what_is_needed_stays() {
    let service = Service::start(&["--max-data", "10kB"]);
    let broken = [b"no numbers at all\n".to_vec(), vec![b' '; 4000]].concat();
    let fail = || {
        let reply = post(
            &service,
            &[("job", None, br#"{"kind":"stats","file":{"$file":"a"}}"#), ("a", Some("a.npy"), &broken)],
        );
        assert_eq!(reply.status, 202, "{reply:?}");
        let id = reply.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(service.wait_for(&id, "failed")["cause"], "bad_input");
        id
    };
    let retry = |id: &str| service.request("POST", &format!("/v1/jobs/{id}/retry"), "", b"");
    let first = fail();
    assert_eq!(retry(&first).status, 202, "its files are there");
    service.wait_for(&first, "failed");
    let second = fail();
    let third = fail();
    let gone = retry(&first);
    assert_eq!(retry(&second).status, 202, "no more was removed than had to be");
    service.wait_for(&second, "failed");
    assert!(gone.status == 409 && gone.body.contains("--max-data"), "{gone:?}");
    assert_eq!(retry(&third).status, 202);
    service.wait_for(&third, "failed");
    // A dataset makes no room, and takes what failed jobs had.
    let put =
        service.request("PUT", "/v1/datasets/t?format=csv", "", &[b"x\n1\n".to_vec(), vec![b'\n'; 9000]].concat());
    assert_eq!(put.status, 201, "{put:?}");
    let full =
        post(&service, &[("job", None, br#"{"kind":"stats","file":{"$file":"a"}}"#), ("a", Some("a.npy"), &broken)]);
    assert_eq!((full.status, full.json()["error"]["code"].as_str()), (507, Some("no_space")), "{full:?}");
    assert!(full.header("retry-after").is_some());
    assert_eq!(service.request("DELETE", "/v1/datasets/t", "", b"").status, 204);
    assert!(service.get("/metrics").body.contains("tandem_data_bytes 0\n"), "no job reads it");
    let fits =
        post(&service, &[("job", None, br#"{"kind":"stats","file":{"$file":"a"}}"#), ("a", Some("a.npy"), &broken)]);
    assert_eq!(fits.status, 202, "{fits:?}");
}

#[test]
fn a_file_that_the_job_does_not_name_is_refused_by_its_name() {
    let service = Service::start(&[]);
    let reply = post(&service, &[("job", None, br#"{"kind":"factor","n":3}"#), ("scan", Some("a.npy"), b"x")]);
    assert!(reply.status == 400 && reply.body.contains("does not name the file `scan`"), "{reply:?}");
    wait_for_uploads(&service, 0);
    let packed = service.request("POST", "/v1/jobs", "Content-Encoding: gzip\r\n", br#"{"kind":"factor","n":3}"#);
    assert_eq!((packed.status, packed.json()["error"]["code"].as_str()), (415, Some("encoded")), "{packed:?}");
}
