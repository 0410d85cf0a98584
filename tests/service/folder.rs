use crate::program::command;

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
