//! Commands with a variant for the CPU and one for a GPU, on doubles of GPUs.
#![cfg(unix)]

mod support;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use support::{SumBelow, Total, gauss};
use tandem::device::{Device, DeviceId, NullDevice, NullFault, NullSpec};
use tandem::engine::{Outcome, RanOn};
use tandem::job::{Cause, DeviceChoice, JobError};
use tandem::kernels::{FoldContext, Kernel, Next, Work};
use tandem::model::Location;
use tandem::plan::Plan;
use tandem::runner::{Job, Runner};
use tandem::tasks::command::{CommandAnswer, CommandParams};

fn runner(gpus: u32) -> Runner {
    let gpu = |index| -> Arc<dyn Device> { Arc::new(NullDevice::new(NullSpec::gpu(index, 100.0))) };
    let gpus = (0..gpus).map(gpu).collect();
    Runner::builder().threads(2).model(Location::Nowhere).explain(true).gpus(gpus).build().unwrap()
}

fn sh(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

/// A job that runs one of two scripts.
fn either(cpu: &str, gpu: &str) -> CommandParams {
    CommandParams { name: Some("fit".into()), ..CommandParams::either(sh(cpu), sh(gpu)) }
}

fn on(device: DeviceChoice, params: CommandParams) -> Job {
    Job::from(params).on(device)
}

fn printed(outcome: &Outcome) -> String {
    String::from_utf8(outcome.answer::<CommandAnswer>().unwrap().stdout.bytes.clone()).unwrap()
}

fn plan(outcome: &Outcome) -> &Plan {
    outcome.plan.as_deref().expect("a plan")
}

const GPU_0: RanOn = RanOn::One(DeviceId::Gpu(0));
const CPU: RanOn = RanOn::One(DeviceId::Cpu);

#[test]
fn each_variant_is_tried_once_and_then_the_faster_one_runs() {
    let runner = runner(1);
    let run = || runner.submit(Job::from(either("sleep 0.5; echo cpu", "echo gpu"))).wait();
    let tried = [run(), run()];
    assert_eq!(tried.each_ref().map(|outcome| outcome.ran_on), [GPU_0, CPU]);
    assert_eq!(tried.each_ref().map(printed), ["gpu\n", "cpu\n"]);
    for outcome in &tried {
        assert!(plan(outcome).reason.contains("tried, to learn"), "{:?}", outcome.plan);
    }
    for runs in 1..4 {
        let outcome = run();
        assert_eq!(outcome.ran_on, GPU_0);
        let plan = plan(&outcome);
        assert!(
            plan.reason.starts_with("gpu:0: ") && plan.reason.contains(" on the cpu, learned from 1 run"),
            "{plan:?}"
        );
        assert_eq!(plan.candidates[0].note, if runs == 1 { "1 sample".to_owned() } else { format!("{runs} samples") });
        let [gpu, cpu] = &plan.candidates[..] else { panic!("{plan:?}") };
        assert!(gpu.predicted.unwrap().ms < cpu.predicted.unwrap().ms);
    }
}

#[test]
fn what_a_variant_takes_is_known_by_its_size() {
    let runner = runner(1);
    // The GPU takes long to begin, and is fast then.
    let run = |size: u64| {
        let cpu = format!("sleep {}", size as f64 / 1000.0);
        let params = CommandParams { size: Some(size), ..either(&cpu, "sleep 0.3") };
        runner.submit(Job::from(params)).wait().ran_on
    };
    assert_eq!([run(20), run(20)], [GPU_0, CPU]);
    assert_eq!([run(1200), run(20)], [CPU, CPU], "the gpu is only known to be slow");
    runner.submit(on(DeviceChoice::Gpu, CommandParams { size: Some(1200), ..either("", "sleep 0.3") })).wait();
    assert_eq!([run(1200), run(20)], [GPU_0, CPU]);
}

#[test]
fn a_gpu_variant_is_told_its_gpu_and_two_gpus_run_two_at_once() {
    let runner = runner(2);
    let folder = tempfile::tempdir().unwrap();
    // Neither ends before both have begun.
    let script = |index: u32| {
        let folder = folder.path().display();
        let here = format!("{folder}/{index}");
        let there = format!("{folder}/{}", 1 - index);
        format!(
            "touch {here}; n=0; until test -e {there}; do n=$((n+1)); test $n -lt 3000 || exit 9; sleep 0.01; done; echo $TANDEM_GPU"
        )
    };
    let handles: Vec<_> =
        [0, 1].map(|index| runner.submit(on(DeviceChoice::GpuIndex(index), either("false", &script(index))))).into();
    let printed: Vec<String> = handles.into_iter().map(|handle| printed(&handle.wait())).collect();
    assert_eq!(printed, ["0\n", "1\n"]);
}

#[test]
fn jobs_that_ask_for_any_gpu_find_the_one_that_is_free() {
    let runner = runner(2);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().display();
    let script = format!(
        "cd {folder}; touch $TANDEM_GPU; n=0; until test -e 0 && test -e 1; do n=$((n+1)); test $n -lt 3000 || exit 9; \
         sleep 0.01; done; echo $TANDEM_GPU"
    );
    let jobs = (0..2).map(|_| on(DeviceChoice::Gpu, either("false", &script)));
    let used: BTreeSet<String> = runner.map(jobs).map(|outcome| printed(&outcome)).collect();
    assert_eq!(used, ["0\n".to_owned(), "1\n".to_owned()].into());
}

/// Fails where a program runs on the GPU meanwhile, and shows programs that it runs.
#[derive(Debug)]
struct Jealous {
    sum: SumBelow,
    program: PathBuf,
    kernel: PathBuf,
}

impl Kernel for Jealous {
    type Pass = Option<u128>;
    type Partial = u128;

    fn work(&self) -> Work {
        self.sum.work()
    }

    fn first_pass(&self) -> Result<Option<u128>, JobError> {
        self.sum.first_pass()
    }

    fn fold(&self, pass: &Option<u128>, units: Range<u64>, context: &mut FoldContext<'_>) -> Result<u128, JobError> {
        std::fs::create_dir(&self.kernel).unwrap();
        assert!(!self.program.exists(), "a program has the gpu to itself");
        std::thread::sleep(Duration::from_millis(2));
        std::fs::remove_dir(&self.kernel).unwrap();
        self.sum.fold(pass, units, context)
    }

    fn merge(&self, into: &mut u128, from: u128) {
        self.sum.merge(into, from);
    }

    fn next(&self, pass: &Option<u128>, merged: u128) -> Result<Next<Option<u128>>, JobError> {
        self.sum.next(pass, merged)
    }
}

/// A script that fails where another of its kind runs, or the kernel.
fn alone(program: &Path, kernel: &Path) -> String {
    let (program, kernel) = (program.display(), kernel.display());
    format!("mkdir {program} || exit 8; test -e {kernel} && exit 9; sleep 0.02; rmdir {program}")
}

#[test]
fn a_gpu_runs_one_program_at_a_time_and_no_kernel_beside_it() {
    let runner = runner(1);
    let folder = tempfile::tempdir().unwrap();
    let [program, kernel] = ["program", "kernel"].map(|name| folder.path().join(name));
    let jobs = (0..12).map(|n| {
        if n % 3 == 0 {
            let sum = SumBelow { prior_ns_per_unit: 1e6, ..SumBelow::new(2000) };
            let (program, kernel) = (program.clone(), kernel.clone());
            Job::kernel(Jealous { sum, program, kernel }).on(DeviceChoice::Gpu)
        } else {
            on(DeviceChoice::Gpu, either("false", &alone(&program, &kernel)))
        }
    });
    for outcome in runner.map(jobs).collect::<Vec<_>>() {
        assert_eq!(outcome.ran_on, GPU_0, "{:?}", outcome.result);
        if outcome.kind == "command" {
            outcome.answer::<CommandAnswer>().unwrap();
        } else {
            assert_eq!(outcome.answer::<Total>().unwrap().0, gauss(2000));
        }
    }
}

#[test]
fn a_program_on_a_gpu_keeps_no_lane_of_the_cpu() {
    let runner = runner(1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go").display().to_string();
    let waits = format!("n=0; until test -e {file}; do n=$((n+1)); test $n -lt 3000 || exit 9; sleep 0.01; done");
    let waiting: Vec<_> = (0..4).map(|_| runner.submit(on(DeviceChoice::Gpu, either("false", &waits)))).collect();
    // More than there are lanes, and they end though all those wait.
    let jobs = (0..4).map(|_| on(DeviceChoice::Cpu, either("echo $TANDEM_GPU", "false")));
    for outcome in runner.map(jobs) {
        assert_eq!((outcome.ran_on, &*printed(&outcome)), (CPU, "\n"));
    }
    std::fs::write(file, "").unwrap();
    for handle in waiting {
        handle.wait().answer::<CommandAnswer>().unwrap();
    }
}

#[test]
fn a_variant_that_fails_fails_its_job_and_is_not_tried_for_ever() {
    let runner = runner(1);
    let run = || runner.submit(Job::from(either("echo cpu", "echo broken >&2; exit 3"))).wait();
    let first = run();
    assert_eq!(first.ran_on, GPU_0);
    let error = first.result.unwrap_err();
    assert_eq!(error.cause, Cause::ExitCode);
    assert!(error.message.contains("broken"), "{error}");
    let failed = (0..20).map(|_| run()).filter(|outcome| outcome.result.is_err()).count();
    assert_eq!(failed, 2, "three trials in all");
    let plan = run().plan.unwrap();
    assert!(plan.reason.contains("on gpu:0 it has only failed so far"), "{plan:?}");
}

#[test]
fn a_device_is_asked_for_by_name_or_refused_and_split_is_unsupported() {
    let runner = runner(1);
    let refused = |device: DeviceChoice, params: CommandParams| {
        let outcome = runner.submit(on(device, params)).wait();
        assert_eq!(outcome.ran_on, RanOn::Nowhere);
        let error = outcome.result.unwrap_err();
        (error.cause, error.message)
    };
    let both = || either("true", "true");
    let (cause, message) = refused(DeviceChoice::GpuIndex(4), both());
    assert!(cause == Cause::NoDevice && message.contains("gpu:4"), "{message}");
    let (cause, message) = refused(DeviceChoice::Split, both());
    assert!(cause == Cause::Unsupported && message.contains("runs whole"), "{message}");
    let (cause, message) = refused(DeviceChoice::Cpu, CommandParams::either([""; 0], ["true"]));
    assert!(cause == Cause::Unsupported && message.contains("no cpu variant"), "{message}");
    let (cause, message) = refused(DeviceChoice::Gpu, CommandParams::either(["true"], [""; 0]));
    assert!(cause == Cause::Unsupported && message.contains("no gpu variant"), "{message}");
    let lone = runner.submit(Job::from(CommandParams::either([""; 0], ["true"]))).wait();
    assert_eq!(lone.ran_on, GPU_0);
}

#[test]
fn without_a_gpu_the_cpu_variant_runs_and_a_lone_gpu_variant_says_why_it_cannot() {
    let runner = runner(0);
    let outcome = runner.submit(Job::from(either("echo cpu", "echo gpu"))).wait();
    assert_eq!((outcome.ran_on, &*printed(&outcome)), (CPU, "cpu\n"));
    assert!(plan(&outcome).reason.contains("there is no usable gpu"), "{:?}", outcome.plan);
    let outcome = runner.submit(Job::from(CommandParams::either([""; 0], ["true"]))).wait();
    assert_eq!((outcome.ran_on, outcome.plan.is_none()), (RanOn::Nowhere, true));
    let error = outcome.result.unwrap_err();
    assert_eq!(error.cause, Cause::Unsupported);
    assert!(error.message.contains("this runner was given no gpu"), "{error}");
}

#[test]
fn jobs_that_wait_for_a_gpu_can_be_cancelled_and_so_can_the_one_that_has_it() {
    let runner = runner(1);
    let handles: Vec<_> = (0..30).map(|_| runner.submit(on(DeviceChoice::Gpu, either("", "sleep 600")))).collect();
    std::thread::sleep(Duration::from_millis(50));
    handles.iter().for_each(|handle| handle.cancel());
    for handle in handles {
        assert_eq!(handle.wait().result.unwrap_err().cause, Cause::Cancelled);
    }
    let outcome = runner.submit(on(DeviceChoice::Gpu, either("", "echo free"))).wait();
    assert_eq!(printed(&outcome), "free\n");
}

#[test]
fn a_lost_gpu_fails_what_asked_for_it_and_the_others_run_on_the_cpu() {
    let spec = NullSpec { faults: vec![NullFault::LostAt(0)], ..NullSpec::gpu(0, 100.0) };
    let gpus: Vec<Arc<dyn Device>> = vec![Arc::new(NullDevice::new(spec))];
    let runner = Runner::builder().threads(2).model(Location::Nowhere).explain(true).gpus(gpus).build().unwrap();
    let kernel = SumBelow { prior_ns_per_unit: 1e6, ..SumBelow::new(2000) };
    let mut jobs = vec![on(DeviceChoice::Gpu, either("false", "sleep 0.2"))];
    // This one waits for that, and loses the GPU, for which the others wait.
    jobs.push(Job::kernel(kernel).on(DeviceChoice::Gpu));
    jobs.extend((0..20).map(|_| on(DeviceChoice::GpuIndex(0), either("false", "sleep 0.05"))));
    let outcomes: Vec<Outcome> = runner.map(jobs).collect();
    let lost = outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err().map(|error| error.cause));
    let lost: Vec<Cause> = lost.collect();
    // Those that were settled before the loss lose their device, and for the others it is not there any more.
    assert!(lost.contains(&Cause::DeviceLost), "{lost:?}");
    assert!(lost.iter().all(|cause| matches!(cause, Cause::DeviceLost | Cause::NoDevice)), "{lost:?}");
    let outcome = runner.submit(Job::from(either("echo cpu", "false"))).wait();
    assert_eq!((outcome.ran_on, &*printed(&outcome)), (CPU, "cpu\n"));
    let gpu = &plan(&outcome).candidates[1];
    assert_eq!(gpu.note, "failed in this run, set aside");
}

#[test]
fn jobs_that_wait_for_a_gpu_keep_no_memory_from_those_that_could_run_on_the_cpu() {
    let gpu: Arc<dyn Device> = Arc::new(NullDevice::new(NullSpec::gpu(0, 100.0)));
    let builder = Runner::builder().threads(2).model(Location::Nowhere).memory_bytes(1 << 30).gpus(vec![gpu]);
    let runner = builder.build().unwrap();
    let job = |line: &str| Job::parse(line).unwrap();
    let on_gpu = r#"{"kind":"command","variants":{"gpu":["sleep","2"]},"memory":"300MiB"}"#;
    let on_gpu: Vec<_> = (0..3).map(|_| runner.submit(job(on_gpu))).collect();
    std::thread::sleep(Duration::from_millis(300));
    let begun = std::time::Instant::now();
    let on_cpu = runner.submit(job(r#"{"kind":"command","argv":["true"],"memory":"300MiB"}"#)).wait();
    assert_eq!(on_cpu.ran_on, CPU);
    assert!(begun.elapsed() < Duration::from_millis(1200), "it waited for a gpu: {:?}", begun.elapsed());
    assert!(on_gpu.into_iter().all(|job| job.wait().ran_on == GPU_0));
}
