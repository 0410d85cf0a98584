use super::*;
use crate::model::Belief;

const KEY: ModelKey<'_> = ModelKey { kernel: "k", variant: "v", cost: CostClass(0), fingerprint: "cpu", lanes: 1 };

fn run(ms: f64) -> Measured {
    Measured { units: 1000, passes: 1, compute_ms: ms, ..Measured::default() }
}

fn in_folder(folder: &tempfile::TempDir) -> (PathBuf, Store) {
    let path = folder.path().join("deep").join("model.json");
    (path.clone(), Store::new(Location::File(path)))
}

fn known(store: &mut Store) -> Option<f64> {
    store.model().compute(KEY, 1000, Belief::PROPORTIONAL).map(|forecast| forecast.ms)
}

#[test]
fn what_was_saved_is_known_to_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut store) = in_folder(&folder);
    store.learn(KEY, &run(2.0));
    assert!(store.loaded().is_none(), "learning reads no file");
    assert_eq!(store.save(), []);
    let (_, mut again) = in_folder(&folder);
    assert_eq!(known(&mut again), Some(2.0));
    assert_eq!(again.unsaved(), 0);
}

#[test]
fn nothing_learned_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = in_folder(&folder);
    store.model();
    store.learn(KEY, &run(f64::NAN));
    assert_eq!(store.save(), []);
    assert!(!path.exists());
}

#[test]
fn two_processes_lose_none_of_each_others_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut first) = in_folder(&folder);
    let (_, mut second) = in_folder(&folder);
    first.model();
    second.model();
    first.learn(KEY, &run(1.0));
    second.learn(ModelKey { lanes: 2, ..KEY }, &run(3.0));
    second.learn(KEY, &run(1.0));
    assert_eq!((first.save(), second.save()), (vec![], vec![]));
    let (_, mut both) = in_folder(&folder);
    assert_eq!(both.model().samples(), 3);
}

#[test]
fn many_threads_saving_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for lanes in 1..=8 {
            let (_, mut store) = in_folder(&folder);
            scope.spawn(move || {
                store.learn(ModelKey { lanes, ..KEY }, &run(1.0));
                assert_eq!(store.save(), []);
            });
        }
    });
    let (_, mut all) = in_folder(&folder);
    assert_eq!(all.model().relatives(ModelKey { lanes: 0, ..KEY }).count(), 8);
}

#[test]
fn a_damaged_file_is_warned_of_once_and_set_aside_by_the_next_save() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = in_folder(&folder);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "{\"schema\":1,\"model\":{\"entries\":[{]}").unwrap();
    assert!(store.model().is_empty());
    let warnings = store.take_warnings();
    assert!(warnings.len() == 1 && warnings[0].0.contains("is damaged"), "{warnings:?}");
    assert!(store.take_warnings().is_empty());
    let bad = with_suffix(&path, ".bad");
    assert!(path.exists() && !bad.exists(), "reading moves nothing");
    store.learn(KEY, &run(1.0));
    let warnings = store.save();
    assert!(warnings.len() == 1 && warnings[0].0.contains("set aside as"), "{warnings:?}");
    assert!(path.exists() && bad.exists());
    let (_, mut again) = in_folder(&folder);
    assert_eq!(known(&mut again), Some(1.0));
}

#[test]
fn a_file_of_somebody_else_is_never_touched() {
    let outcome = "{\"schema\":1,\"index\":0}\n";
    for content in ["precious\n", "{\"kind\":\"primes\"}\n", outcome, "{\"schema\":,\"model\":", "{"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious.txt");
        std::fs::write(&path, content).unwrap();
        let mut store = Store::new(Location::File(path.clone()));
        assert!(store.model().is_empty());
        let warnings = store.take_warnings();
        assert!(warnings.len() == 1 && warnings[0].0.contains("is no model file of tandem's"), "{warnings:?}");
        store.learn(KEY, &run(1.0));
        assert_eq!(store.save(), [], "it was told already");
        let mut store = Store::new(Location::File(path.clone()));
        store.learn(KEY, &run(1.0));
        assert_eq!(store.save(), warnings);
        let error = store.reset().unwrap_err();
        assert!(error.to_string().contains("is no model file of tandem's"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made beside it");
    }
}

#[test]
fn setting_aside_displaces_nothing_of_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    let damaged = "{\"schema\":1,\"model\":{";
    std::fs::write(&path, damaged).unwrap();
    std::fs::write(with_suffix(&path, ".bad"), "precious").unwrap();
    let mut store = Store::new(Location::File(path.clone()));
    store.learn(KEY, &run(1.0));
    let warnings = store.save();
    assert!(warnings.len() == 1 && warnings[0].0.contains("is in the way"), "{warnings:?}");
    assert_eq!(std::fs::read_to_string(with_suffix(&path, ".bad")).unwrap(), "precious");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
}

#[test]
fn an_empty_file_is_as_good_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    File::create(&path).unwrap();
    let mut store = Store::new(Location::File(path.clone()));
    assert!(!store.reset().unwrap() && path.exists());
    store.learn(KEY, &run(1.0));
    assert_eq!(store.save(), []);
    assert!(store.reset().unwrap() && !path.exists());
}

#[test]
fn a_file_of_another_version_is_as_good_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = in_folder(&folder);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "{\"schema\":2,\"model\":{\"entries\":[]}}").unwrap();
    assert!(store.model().is_empty());
    assert_eq!(store.take_warnings(), []);
}

#[test]
fn an_unwritable_place_only_warns() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "not a folder").unwrap();
    let mut store = Store::new(Location::File(blocked.join("model.json")));
    store.learn(KEY, &run(1.0));
    let warnings = store.save();
    assert!(warnings.len() == 1 && warnings[0].0.contains("is not kept"), "{warnings:?}");
}

#[test]
fn an_over_long_or_endless_file_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    File::create(&path).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
    let mut store = Store::new(Location::File(path));
    assert!(store.model().is_empty());
    assert_eq!(store.take_warnings().len(), 1);
    #[cfg(unix)]
    {
        let mut store = Store::new(Location::File("/dev/zero".into()));
        assert!(store.model().is_empty());
        assert_eq!(store.take_warnings().len(), 1);
    }
}

#[test]
fn none_keeps_nothing() {
    let mut store = Store::new(Location::from_setting(Some("none")));
    store.learn(KEY, &run(2.0));
    assert_eq!(known(&mut store), Some(2.0));
    assert_eq!(store.save(), []);
    assert_eq!(Location::from_setting(Some("a/b.json")), Location::File("a/b.json".into()));
}

#[test]
fn reset_forgets_memory_and_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = in_folder(&folder);
    store.learn(KEY, &run(2.0));
    store.save();
    assert!(store.reset().unwrap());
    assert!(!path.exists());
    assert_eq!(known(&mut store), None);
    assert!(!store.reset().unwrap());
}

#[test]
fn a_file_full_of_nonsense_numbers_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = in_folder(&folder);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let entry = r#"{"kernel":"k","variant":"v","cost":0,"device":"cpu","lanes":1,"compute":[{"runs":[[18446744073709551615,1e300],[18446744073709551615,5.0],[0,-5.0]]}],"runs":18446744073709551615,"seen_at":18446744073709551615,"calm":4294967295}"#;
    std::fs::write(&path, format!("{{\"schema\":1,\"model\":{{\"entries\":[{entry},{entry}]}}}}")).unwrap();
    let model = store.model().clone();
    assert_eq!(store.take_warnings(), []);
    assert!(!model.due_for_probe(KEY));
    let forecast = model.compute(KEY, 5, Belief::PROPORTIONAL).expect("one run was sane enough");
    assert!(forecast.ms.is_finite());
    store.learn(KEY, &run(1.0));
}

#[test]
fn what_an_older_version_mixed_is_not_used_and_what_it_knew_of_devices_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = in_folder(&folder);
    let old = r#"{"schema":1,"model":{"entries":[
        {"kernel":"","variant":"","device":"gpu","lanes":0,"setup":[{"runs":[[1,150.0]]}],"runs":1},
        {"kernel":"k","variant":"v","device":"cpu","lanes":1,"compute":[{"runs":[[1000,7.0]]}],"runs":1,"seen_at":1}]}}"#;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, old).unwrap();
    assert_eq!(known(&mut store), None);
    assert_eq!(store.model().relatives(KEY).count(), 0);
    let gpu = ModelKey { fingerprint: "gpu", ..KEY };
    assert_eq!(store.model().setup_cold(gpu).map(|forecast| forecast.ms), Some(150.0));
    assert_eq!(store.take_warnings(), []);
}

#[test]
fn the_memory_of_programs_is_kept_merged_and_forgotten_with_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut first) = in_folder(&folder);
    let (_, mut second) = in_folder(&folder);
    first.model();
    first.learn_memory("flac", 5);
    first.learn_memory("flac", 3);
    second.learn_memory("flac", 9);
    second.learn_memory("sox", 1);
    assert!(second.loaded().is_none(), "learning reads no file");
    assert_eq!((first.save(), second.save()), (vec![], vec![]));
    let (path, mut both) = in_folder(&folder);
    assert_eq!(
        (both.model().memory_of("flac").map(|row| row.bytes), both.model().memory_of("sox").map(|row| row.bytes)),
        (Some(9), Some(1))
    );
    assert_eq!(both.model().memory_rows()[0].runs, 3);
    assert!(both.save().is_empty() && both.reset().unwrap() && !path.exists());
    assert_eq!(both.model().memory_of("flac").map(|row| row.bytes), None);
}

#[test]
fn a_file_of_a_version_that_knew_of_no_memory_is_read_and_one_without_any_looks_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut store) = in_folder(&folder);
    store.learn(KEY, &run(2.0));
    store.save();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("memory"), "{text}");
    let (_, mut later) = in_folder(&folder);
    later.learn_memory("flac", 5);
    later.save();
    let (_, mut again) = in_folder(&folder);
    assert_eq!((known(&mut again), again.model().memory_of("flac").map(|row| row.bytes)), (Some(2.0), Some(5)));
}
