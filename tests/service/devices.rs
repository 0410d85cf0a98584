use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem::device::{Device, NullDevice, NullFault, NullSpec};
use tandem::model::Location;
use tandem::runner::Runner;
use tandem::service::{Commands, Keep, ServeOptions, serve};

use crate::program::request;

/// Asks for all devices together, so that this test does not lean on what a plan would say.
fn job(place: u32) -> String {
    format!(
        "{{\"kind\":\"primes\",\"range\":\"{place}000000000000..{place}000050000000\",\"method\":\"sieve\",\"device\":\"split\"}}"
    )
}

#[test]
fn a_gpu_that_is_lost_under_load_costs_no_job_and_is_tried_again_later() {
    let gpu: Arc<dyn Device> =
        Arc::new(NullDevice::new(NullSpec { faults: vec![NullFault::LostOnceAt(3)], ..NullSpec::gpu(0, 0.001) }));
    let runner = Runner::builder().threads(2).model(Location::Nowhere).gpus(vec![gpu]).explain(true).build().unwrap();
    let data = tempfile::tempdir().unwrap();
    let options = ServeOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: data.path().to_owned(),
        token: None,
        allow_paths: Vec::new(),
        allow_commands: false,
        allow_fetch: false,
        queue: 1000,
        queue_memory_bytes: 64 << 20,
        keep: Keep::default(),
        drain: Duration::from_secs(30),
        device_rest: Duration::from_secs(5),
        max_body_bytes: 1 << 20,
        max_upload_bytes: 1 << 20,
        max_data_bytes: u64::MAX,
        body_memory_bytes: 64 << 20,
        client_timeout: Duration::from_secs(60),
        max_connections: 100,
        memory_bytes: 1 << 30,
    };
    let listening = serve(runner, Commands::default(), options).unwrap();
    let address = listening.address().to_string();
    let aside = || {
        let metrics = request(&address, "GET", "/metrics", "", b"").body;
        metrics.lines().find_map(|line| line.strip_prefix("tandem_devices_set_aside ")).unwrap() == "1"
    };
    let post = |place: u32| {
        let posted = request(&address, "POST", "/v1/jobs", "", job(place).as_bytes()).json();
        posted["id"].as_str().unwrap().to_owned()
    };
    let ended = |id: String| request(&address, "GET", &format!("/v1/jobs/{id}?wait=60s"), "", b"").json();
    let run = |place: u32| ended(post(place));
    // It is lost while all of them wait.
    let posted: Vec<String> = (1..20).map(post).collect();
    let was_aside = posted.into_iter().map(|id| {
        let job = ended(id);
        assert_eq!(job["state"], "succeeded", "{job}");
        aside()
    });
    assert!(was_aside.collect::<Vec<_>>().contains(&true), "it was never used");
    let until = Instant::now() + Duration::from_secs(30);
    while aside() {
        assert!(Instant::now() < until, "it is never tried again");
        std::thread::sleep(Duration::from_millis(20));
    }
    let back = (20..30).map(run).find(|job| job["device"] != "cpu");
    assert!(back.is_some_and(|job| job["state"] == "succeeded"), "no plan names it any more");
    assert_eq!(listening.stop(&|| false).left, 0);
}
