use crate::program::{Reply, Service};

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

fn uploads(service: &Service) -> usize {
    std::fs::read_dir(service.data.path().join("uploads")).unwrap().count()
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
    assert_eq!(uploads(&service), 0);
}

#[test]
fn a_broken_file_is_the_error_of_its_job_alone_and_tells_no_path_of_the_service() {
    let service = Service::start(&[]);
    let reply = post(&service, &[("job", None, JOB), ("scan", Some("scan.npy"), b"this is no array")]);
    let job = service.wait_for(reply.json()["id"].as_str().unwrap(), "failed");
    let message = job["error"]["message"].as_str().unwrap();
    assert!(message.contains("scan.npy"), "{message}");
    assert!(!job.to_string().contains(service.data.path().to_str().unwrap()), "{job}");
    assert_eq!(uploads(&service), 1, "it can be tried again");
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
    assert_eq!(uploads(&service), 0);
}
