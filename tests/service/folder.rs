use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::program::{LONG, Service, command};

#[test]
fn a_folder_that_is_not_a_services_is_refused_and_left_as_it_was() {
    let project = tempfile::tempdir().unwrap();
    let files = ["uploads/scan.npy", "uploads/1-2/a.npy", "datasets/train/1.csv", "datasets/train/2.csv", "notes.txt"];
    for file in files {
        let path = project.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "mine").unwrap();
    }
    let output = command(project.path(), &[]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{errors}");
    for told in [project.path().to_str().unwrap(), "`uploads` and `datasets`", "an empty folder"] {
        assert!(errors.contains(told), "{told}: {errors}");
    }
    for file in files {
        assert_eq!(std::fs::read_to_string(project.path().join(file)).unwrap(), "mine", "{file}");
    }
    let mut there: Vec<_> =
        std::fs::read_dir(project.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["datasets", "notes.txt", "uploads"], "nothing was added");
}

const FORM: &str = "Content-Type: multipart/form-data; boundary=B\r\n";
const BODY: &str = "--B\r\nContent-Disposition: form-data; name=\"job\"\r\n\r\n\
                    {\"kind\":\"stats\",\"file\":{\"$file\":\"scan\"},\"column\":\"x\",\"priority\":-1}\r\n\
                    --B\r\nContent-Disposition: form-data; name=\"scan\"; filename=\"s.csv\"\r\n\r\nx\n3\n\r\n--B--\r\n";

/// A service that was killed while a job with a file and one with a dataset waited; what it kept, the two
/// jobs, and the one that they waited for.
fn left_waiting() -> (TempDir, [String; 3]) {
    let service = Service::start(&["--threads", "1"]);
    let put = service.request("PUT", "/v1/datasets/t", "Content-Type: text/csv\r\n", b"x\n1\n");
    assert_eq!(put.status, 201, "{put:?}");
    let long = service.accepted(LONG);
    service.wait_for(&long, "running");
    let uploaded = service.request("POST", "/v1/jobs", FORM, BODY.as_bytes());
    assert_eq!(uploaded.status, 202, "{uploaded:?}");
    let uploaded = uploaded.json()["id"].as_str().unwrap().to_owned();
    let dataset = service.accepted(r#"{"kind":"stats","dataset":"t","column":"x","priority":-1}"#);
    // It stays until that job has read it.
    let put = service.request("PUT", "/v1/datasets/t", "Content-Type: text/csv\r\n", b"x\n2\n");
    assert_eq!(put.status, 200, "{put:?}");
    (service.kill(), [uploaded, dataset, long])
}

/// Takes what a service kept to another folder, as `mv` does.
fn moved(data: &TempDir) -> TempDir {
    let other = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(data.path()).unwrap().map(Result::unwrap) {
        std::fs::rename(entry.path(), other.path().join(entry.file_name())).unwrap();
    }
    other
}

fn both_succeed(data: TempDir, [uploaded, dataset, long]: &[String; 3]) {
    let service = Service::start_in(data, &[]);
    assert_eq!(service.request("DELETE", &format!("/v1/jobs/{long}"), "", b"").status, 202);
    let result = |id: &str| service.wait_for(id, "succeeded")["result"]["mean"].clone();
    assert_eq!((result(uploaded), result(dataset)), (3.0.into(), 1.0.into()));
}

#[test]
fn jobs_that_wait_find_their_files_where_the_folder_was_moved() {
    let (data, jobs) = left_waiting();
    both_succeed(moved(&data), &jobs);
}

#[test]
fn so_do_those_that_were_written_down_with_the_folder_as_it_was() {
    let (data, jobs) = left_waiting();
    let db = rusqlite::Connection::open(data.path().join("jobs.sqlite")).unwrap();
    let before = data.path().to_str().unwrap();
    let sql = "UPDATE requests SET files =
               replace(replace(files, '\"uploads/', '\"' || ?1 || '/uploads/'), '\"datasets/', '\"' || ?1 || '/datasets/')
               WHERE files IS NOT NULL";
    assert_eq!(db.execute(sql, [before]).unwrap(), 2);
    let of = |folder: &str| format!("SELECT count(*) FROM requests WHERE instr(files, ':\"{before}/{folder}/') > 0");
    for folder in ["uploads", "datasets"] {
        assert_eq!(db.query_row(&of(folder), [], |row| row.get::<_, u32>(0)).unwrap(), 1, "{folder}");
    }
    drop(db);
    both_succeed(moved(&data), &jobs);
}

const PRINT: &str = r#"{"kind":"command","argv":["head","-c","100000","/dev/zero"]}"#;

fn counted(service: &Service) -> u64 {
    let metrics = service.get("/metrics").body;
    let bytes = metrics.lines().find_map(|line| line.strip_prefix("tandem_data_bytes "));
    bytes.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

/// Waits until so many bytes count: they are looked at now and then.
fn wait_until_counted(service: &Service, bytes: u64) {
    let until = Instant::now() + Duration::from_secs(60);
    while counted(service) != bytes {
        assert!(Instant::now() < until, "{} bytes, not {bytes}", counted(service));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_programs_print_counts_and_goes_with_its_job() {
    let args = ["--allow-commands", "--keep-jobs", "1"];
    let service = Service::start(&args);
    let printed = service.run(PRINT);
    let file = printed["result"]["stdout_file"].as_str().unwrap_or_else(|| panic!("{printed}")).to_owned();
    wait_until_counted(&service, 100_000);
    let service = Service::start_in(service.kill(), &args);
    assert_eq!(counted(&service), 100_000, "it is there from the start");
    assert!(service.data.path().join("outputs").join(&file).exists());
    // It is the second to end: the first is kept no longer.
    assert_eq!(service.run(r#"{"kind":"factor","n":12}"#)["state"], "succeeded");
    wait_until_counted(&service, 0);
    assert_eq!(std::fs::read_dir(service.data.path().join("outputs")).unwrap().count(), 0);
}

#[test]
fn programs_that_print_too_much_make_room_by_themselves() {
    let service = Service::start(&["--allow-commands", "--max-data", "250kB"]);
    for _ in 0..4 {
        assert_eq!(service.run(PRINT)["state"], "succeeded");
    }
    wait_until_counted(&service, 200_000);
    assert_eq!(std::fs::read_dir(service.data.path().join("outputs")).unwrap().count(), 2);
}

#[test]
fn what_programs_have_printed_makes_room_for_what_clients_send() {
    let service = Service::start(&["--allow-commands", "--max-data", "150kB"]);
    let printed = service.run(PRINT);
    wait_until_counted(&service, 100_000);
    let table = [b"x\n1\n".to_vec(), vec![b'\n'; 100_000]].concat();
    let put = service.request("PUT", "/v1/datasets/t?format=csv", "", &table);
    assert_eq!(put.status, 201, "{put:?}");
    wait_until_counted(&service, 100_004);
    assert_eq!(std::fs::read_dir(service.data.path().join("outputs")).unwrap().count(), 0);
    let id = printed["id"].as_str().unwrap();
    assert_eq!(service.job(id)["result"]["stdout_bytes"], printed["result"]["stdout_bytes"], "the outcome stays");
}

#[test]
fn what_clients_send_is_for_no_other_user_also_where_the_folder_was_there_before() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    let data = tempfile::tempdir().unwrap();
    let open =
        |path: &std::path::Path, mode: u32| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    open(data.path(), 0o755);
    let mut service = Service::start_in(data, &[]);
    for round in ["made", "there already"] {
        // What is written last lies in the log.
        service.run(r#"{"kind":"factor","n":12}"#);
        let of = |name: &str| {
            let path = service.data.path().join(name);
            path.metadata().unwrap_or_else(|error| panic!("{name}: {error}")).permissions().mode() & 0o777
        };
        for name in ["uploads", "datasets", "outputs"] {
            assert_eq!(of(name), 0o700, "{name}, {round}");
        }
        for name in ["jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm"] {
            assert_eq!(of(name), 0o600, "{name}, {round}");
        }
        assert_eq!(of(""), 0o755, "what is not the service's is let alone");
        // As an earlier version has left it.
        let data = service.kill();
        for entry in std::fs::read_dir(data.path()).unwrap().map(Result::unwrap) {
            open(&entry.path(), if entry.path().is_dir() { 0o755 } else { 0o644 });
        }
        service = Service::start_in(data, &[]);
    }
}
