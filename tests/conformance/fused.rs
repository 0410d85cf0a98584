//! Jobs that are folded as one: each ends with the bytes that it ends with alone, whatever folds them, and however they are cut.

use std::any::Any;
use std::sync::Arc;

use tandem::job::Sample;
use tandem::kernels::{Answer, Answers, DynKernel, KERNELS};
use tandem::runner::Job;

use crate::compare;
use crate::gpus::gpu_forms;
use crate::random::{Random, base_seed};
use crate::run::{Cut, Mischief, Tally, Way, answer, json_of};
use crate::samples::bound;
use crate::sweep::{cpus, ways};

fn alone(kernel: &dyn DynKernel) -> String {
    let way = Way { name: "cpu".into(), devices: vec![cpus().remove(0)], cut: Cut::Whole, threads: 1, seed: 1 };
    json_of(&*answer(kernel, &way, Mischief::None, &Tally::default()).expect("a valid job")).expect("it is in memory")
}

fn taken_apart(whole: &dyn Answer) -> Vec<String> {
    let whole: &dyn Any = whole;
    let Answers(answers) = whole.downcast_ref().expect("one answer for each job");
    answers.iter().map(|answer| json_of(&**answer).expect("it is in memory")).collect()
}

/// Runs these jobs as one in every way, and each alone.
fn check(name: &str, jobs: &[Arc<dyn DynKernel>], random: &mut Random, tally: &Tally) {
    let fused = jobs[0].fuse(jobs).unwrap_or_else(|| panic!("{name}: a kernel that fuses makes one of its jobs"));
    let expected: Vec<String> = jobs.iter().map(|job| alone(&**job)).collect();
    for way in ways(&*fused, gpu_forms(), random) {
        let whole = answer(&*fused, &way, Mischief::None, tally)
            .unwrap_or_else(|error| panic!("{name}, {way:?}, seed {}: {error}", base_seed()));
        let found = taken_apart(&*whole);
        assert_eq!(found.len(), expected.len(), "{name}, {way:?}");
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            compare::same(found, expected).unwrap_or_else(|difference| {
                panic!("{name}, job {at} of {}, {way:?}, seed {}: {difference}", jobs.len(), base_seed())
            });
        }
    }
}

/// A list of numbers in a job, some of them negative and of any size, of which whatever may be asked for is asked for.
fn list(random: &mut Random) -> Arc<dyn DynKernel> {
    let len = *random.pick(&[0, 1, 2, 63, 64, 65, 127, 128, 500, 2049, 5000]);
    let numbers: Vec<String> = (0..len)
        .map(|_| match random.below(12) {
            0 => format!("-{}", random.below(1000)),
            1..5 => random.below(1000).to_string(),
            5..9 => (random.next() >> random.below(64)).to_string(),
            _ => (random.next() | 1).to_string(),
        })
        .collect();
    let asked = random.pick(&["", r#","count":true"#, r#","list":true"#]);
    let line = format!(r#"{{"kind":"primes","numbers":[{}]{asked}}}"#, numbers.join(","));
    let job = Job::parse(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    bound(job.params())
}

#[test]
fn lists_of_primes_as_one_are_each_the_same_bytes_as_alone() {
    let mut random = Random::named(base_seed(), "fused lists");
    let tally = Tally::default();
    for jobs in [1, 2, 3, 17, 60] {
        let jobs: Vec<_> = (0..jobs).map(|_| list(&mut random)).collect();
        check("primes of numbers", &jobs, &mut random, &tally);
    }
    for form in gpu_forms() {
        assert!(tally.folded(&form.name) > 0, "{} folded none of them: {tally:?}", form.name);
    }
}

#[test]
fn whatever_registered_kernel_fuses_gives_the_same_bytes_as_alone() {
    let mut random = Random::named(base_seed(), "fused samples");
    let mut fusing = Vec::new();
    for kind in KERNELS {
        for variant in kind.variants {
            let units = [3000, 1, 2500];
            let sample = |(seed, units)| {
                let params = (kind.sample)(&Sample { variant, units, seed: base_seed() + seed });
                bound(&*params)
            };
            let jobs: Vec<_> = (0..).zip(units).map(sample).collect();
            if jobs.iter().all(|job| job.fuses()) {
                check(&format!("{} {variant}", kind.name), &jobs, &mut random, &Tally::default());
                fusing.push((kind.name, *variant));
            } else {
                assert!(jobs[0].fuse(&jobs).is_none(), "{} {variant} says that it does not fuse", kind.name);
            }
        }
    }
    assert!(fusing.contains(&("primes", "numbers")), "{fusing:?}");
}

#[test]
fn jobs_of_different_kernels_are_not_one() {
    let mut random = Random::new(base_seed());
    let (list, range) = (list(&mut random), Job::parse(r#"{"kind":"primes","range":[0,1000]}"#).expect("a valid job"));
    let range = bound(range.params());
    assert!(list.fuse(&[list.clone(), range.clone()]).is_none());
    assert!(range.fuse(&[list.clone(), list]).is_none());
}

#[test]
fn answers_that_went_to_the_wrong_job_would_be_noticed() {
    let job = |numbers: &str| {
        let line = format!(r#"{{"kind":"primes","numbers":[{numbers}]}}"#);
        let params = Job::parse(&line).expect("a valid job");
        bound(params.params())
    };
    let jobs = [job("2,4"), job("4,2")];
    let fused = jobs[1].fuse(&[jobs[1].clone(), jobs[0].clone()]).expect("lists fuse");
    let way = Way { name: "cpu".into(), devices: vec![cpus().remove(0)], cut: Cut::Whole, threads: 1, seed: 1 };
    let found = taken_apart(&*answer(&*fused, &way, Mischief::None, &Tally::default()).expect("it runs"));
    assert!(found.iter().zip(&jobs).all(|(found, job)| compare::same(found, &alone(&**job)).is_err()), "{found:?}");
}
