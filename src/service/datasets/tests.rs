use std::iter::empty;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::*;

fn space() -> Arc<Space> {
    Arc::new(Space::new(u64::MAX))
}

fn put(datasets: &Datasets, name: &str, text: &str) -> bool {
    let put = datasets.begin(name).unwrap();
    std::fs::write(put.path(), text).unwrap();
    let (dataset, has_replaced) = datasets.finish(put, name, Some("csv")).unwrap();
    assert_eq!((dataset.name.as_str(), dataset.bytes, dataset.format()), (name, text.len() as u64, Some("csv")));
    has_replaced
}

#[test]
fn there_is_a_place_for_so_many_and_for_what_replaces_one_of_them() {
    let data = tempfile::tempdir().unwrap();
    let mut datasets = Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap();
    datasets.max = 2;
    put(&datasets, "a", "one");
    let (late, replacing) = (datasets.begin("c").unwrap(), datasets.begin("a").unwrap());
    put(&datasets, "b", "two");
    let refusal = datasets.begin("d").unwrap_err();
    assert!(matches!(refusal, NotPut::TooMany(2)) && refusal.to_string().contains("DELETE"), "{refusal}");
    assert!(matches!(datasets.finish(late, "c", None), Err(NotPut::TooMany(2))), "others came while it was sent");
    assert!(datasets.finish(replacing, "a", None).unwrap().1);
    assert!(!data.path().join("datasets/c").exists());
    assert_eq!(datasets.list().len(), 2);
    assert!(datasets.remove("a").unwrap());
    assert!(!put(&datasets, "c", "three"));
}

#[test]
fn what_is_replaced_stays_until_the_jobs_before_have_ended() {
    let data = tempfile::tempdir().unwrap();
    let datasets = Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap();
    assert!(!put(&datasets, "a.b", "one"));
    let (first, lease) = datasets.path("a.b").unwrap();
    assert!(put(&datasets, "a.b", "two"));
    datasets.tidy(HashSet::new);
    assert!(first.exists(), "a job is on its way");
    drop(lease);
    datasets.tidy(|| HashSet::from([first.clone()]));
    assert_eq!(std::fs::read_to_string(&first).unwrap(), "one", "a job reads it");
    datasets.tidy(|| HashSet::from([data.path().join("datasets/a.b/7.csv")]));
    assert!(!first.exists() && !datasets.has_replaced());
    assert!(datasets.remove("a.b").unwrap() && !datasets.remove("a.b").unwrap() && datasets.path("a.b").is_none());
    datasets.tidy(HashSet::new);
    assert_eq!(std::fs::read_dir(data.path().join("datasets")).unwrap().count(), 0);
}

#[test]
fn the_newest_versions_are_there_at_the_next_start_and_halves_are_not() {
    let data = tempfile::tempdir().unwrap();
    let datasets = Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap();
    for text in ["one", "two", "three"] {
        put(&datasets, "t", text);
    }
    std::fs::write(data.path().join("datasets/.tmpabc"), "half").unwrap();
    let again = Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap();
    assert_eq!(std::fs::read_to_string(again.path("t").unwrap().0).unwrap(), "three");
    let listed: Vec<_> =
        again.list().iter().map(|set| (set.name.clone(), set.bytes, set.format().map(str::to_owned))).collect();
    assert_eq!(listed, [("t".to_owned(), 5, Some("csv".to_owned()))]);
    assert_eq!(std::fs::read_dir(data.path().join("datasets/t")).unwrap().count(), 1);
    let (third, _) = again.path("t").unwrap();
    put(&again, "t", "four");
    let read = Datasets::open(data.path(), &HashSet::from([third.clone()]), empty(), space()).unwrap();
    assert!(third.exists() && read.has_replaced(), "a job that has not ended reads it");
    assert_eq!(std::fs::read_to_string(again.path("t").unwrap().0).unwrap(), "four");
}

#[test]
fn what_somebody_else_has_put_there_stays() {
    let data = tempfile::tempdir().unwrap();
    put(&Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap(), "t", "one");
    let folder = data.path().join("datasets");
    for place in ["t/7", ".git", "mine"] {
        std::fs::create_dir(folder.join(place)).unwrap();
    }
    let files = ["t/notes.txt", "t/7/a.csv", ".git/HEAD", "mine/a.csv", "b.csv", ".tmp", ".tmp-notes"];
    files.iter().for_each(|file| std::fs::write(folder.join(file), "mine").unwrap());
    let datasets = Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap();
    assert_eq!(datasets.list().into_iter().map(|set| set.name).collect::<Vec<_>>(), ["t"]);
    assert!(datasets.remove("t").unwrap());
    Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap();
    files.iter().for_each(|file| assert_eq!(std::fs::read_to_string(folder.join(file)).unwrap(), "mine", "{file}"));
}

#[test]
fn what_is_removed_is_no_dataset_after_a_start_and_is_read_by_the_jobs_before() {
    let data = tempfile::tempdir().unwrap();
    let datasets = Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap();
    put(&datasets, "t", "one");
    let (first, _) = datasets.path("t").unwrap();
    put(&datasets, "t", "two");
    let (second, _) = datasets.path("t").unwrap();
    assert!(datasets.remove("t").unwrap());
    let read = HashSet::from([first.clone(), second.clone()]);
    let again = Datasets::open(data.path(), &read, empty(), space()).unwrap();
    assert!(again.path("t").is_none() && again.list().is_empty(), "no version is one, an older one neither");
    assert_eq!(std::fs::read_to_string(&second).unwrap(), "two");
    // What comes after is one, whatever was removed before; and once nobody reads the others, nothing is left of them.
    put(&again, "t", "three");
    assert_eq!(std::fs::read_to_string(again.path("t").unwrap().0).unwrap(), "three");
    again.tidy(HashSet::new);
    assert!(!first.exists() && !second.exists() && !second.with_extension(REMOVED).exists());
    let third = Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap();
    assert_eq!(std::fs::read_to_string(third.path("t").unwrap().0).unwrap(), "three");
    assert!(third.remove("t").unwrap());
    let fourth = Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap();
    assert!(fourth.list().is_empty());
    assert_eq!(std::fs::read_dir(data.path().join("datasets")).unwrap().count(), 0, "nobody reads it");
}

#[test]
fn what_cannot_be_synced_is_refused_and_leaves_all_as_it_was() {
    let data = tempfile::tempdir().unwrap();
    let mut datasets = Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap();
    put(&datasets, "t", "one");
    datasets.sync = |_| Err(io::Error::other("the disk is gone"));
    for name in ["t", "other"] {
        let put = datasets.begin(name).unwrap();
        std::fs::write(put.path(), "two").unwrap();
        assert!(datasets.finish(put, name, None).is_err());
    }
    assert!(datasets.remove("t").is_err());
    for datasets in [datasets, Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap()] {
        assert_eq!(std::fs::read_to_string(datasets.path("t").unwrap().0).unwrap(), "one");
        assert_eq!(datasets.list().len(), 1);
    }
    assert!(!data.path().join("datasets/other").exists());
}

#[test]
fn who_asks_for_a_dataset_does_not_wait_for_the_disk() {
    static DISK: Mutex<()> = Mutex::new(());
    static IS_SYNCING: AtomicBool = AtomicBool::new(false);
    let data = tempfile::tempdir().unwrap();
    let mut datasets = Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap();
    put(&datasets, "t", "one");
    datasets.sync = |_| {
        IS_SYNCING.store(true, Ordering::Relaxed);
        drop(DISK.lock());
        Ok(())
    };
    let slow = DISK.lock().unwrap();
    std::thread::scope(|scope| {
        let removing = scope.spawn(|| datasets.remove("t").unwrap());
        let until = Instant::now() + Duration::from_secs(20);
        while !IS_SYNCING.load(Ordering::Relaxed) && Instant::now() < until {
            std::thread::yield_now();
        }
        let is_there = datasets.known.try_lock().is_ok_and(|known| known.datasets.contains_key("t"));
        assert!(is_there && !removing.is_finished(), "it is there until it is known to be gone");
        drop(slow);
        assert!(removing.join().unwrap() && datasets.path("t").is_none());
    });
}

#[test]
fn names_lead_nowhere_else() {
    assert!(["a", "scan-17", "A_b.c", &"x".repeat(64)].iter().all(|name| check_name(name).is_ok()));
    let wrong = ["", ".", "..", ".a", "a/b", "a\\b", "é", "a b", &"x".repeat(65)];
    assert!(wrong.iter().all(|name| check_name(name).is_err()));
}

#[test]
fn what_a_job_read_that_is_known_is_no_other_dataset_later() {
    let data = tempfile::tempdir().unwrap();
    let datasets = Datasets::open(data.path(), &HashSet::new(), empty(), space()).unwrap();
    put(&datasets, "t", "one");
    let (first, _) = datasets.path("t").unwrap();
    assert!(datasets.remove("t").unwrap());
    datasets.tidy(HashSet::new);
    assert!(!first.exists());
    let known = [data.path().join("uploads/1795000000000-7/9.npy"), first.clone()];
    let again = Datasets::open(data.path(), &HashSet::new(), known.into_iter(), space()).unwrap();
    put(&again, "t", "two");
    let (second, _) = again.path("t").unwrap();
    assert_ne!(first, second);
    assert!(second.ends_with("2.csv"), "those of uploads are no versions: {}", second.display());
}
