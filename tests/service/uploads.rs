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
