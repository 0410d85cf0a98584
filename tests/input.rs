//! Opening inputs as a user names them: by path, format, extension or first bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tandem::input::{
    ColumnRef, DType, Dataset, Element, Format, InputSpec, Location, Outside, Scratch, Source, Voi, forget_opened,
    open, open_numbers,
};
use tandem::job::{Cause, JobError};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn spec(path: impl Into<PathBuf>) -> InputSpec {
    InputSpec::new(Location::from_text(path))
}

fn values<T: Element>(source: &dyn Source) -> Vec<T> {
    let mut scratch = Scratch::default();
    let read = source.read(0..source.len(), &mut scratch).expect("it is readable");
    source.check().expect("nothing happened to it");
    T::unwrap(&read).unwrap_or_else(|| panic!("{} holds {}", source.name(), source.dtype())).to_vec()
}

fn only<T: Element>(dataset: &Dataset) -> Vec<T> {
    assert_eq!(dataset.columns.len(), 1);
    values(&*dataset.columns[0].source)
}

/// Writes a file, and lets its clock tick, so that another change would show.
fn write_settled(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    let a_while_ago = SystemTime::now() - Duration::from_millis(1234);
    fs::File::options().write(true).open(path).unwrap().set_modified(a_while_ago).unwrap();
    std::thread::sleep(Duration::from_millis(60));
}

#[track_caller]
fn check_error(result: Result<Dataset, JobError>, cause: Cause, parts: &[&str]) {
    let error = result.map(|dataset| format!("{dataset:?}")).expect_err("it cannot be read");
    assert_eq!(error.cause, cause, "{error}");
    for part in parts {
        assert!(error.message.contains(part), "`{part}` expected in `{error}`");
    }
}

#[test]
fn files_that_numpy_wrote_are_read() {
    let open = |name: &str| open(&spec(format!("tests/data/npy/{name}.npy")), repository()).expect(name);
    let f32s = only::<f32>(&open("f32"));
    assert_eq!(
        f32s.iter().map(|value| value.to_bits()).collect::<Vec<_>>(),
        [0x3fc0_0000, 0x8000_0000, 0x7f80_0000, 0x7fc0_0000, 2]
    );
    assert_eq!(only::<f64>(&open("f64_big_endian")), [1.5, -2.25, 1e300]);
    assert_eq!(only::<i32>(&open("i32_fortran")), [0, 3, 1, 4, 2, 5]);
    assert_eq!(only::<u64>(&open("u64_scalar")), [u64::MAX - 58]);
    assert!(only::<i64>(&open("i64_empty")).is_empty());
    assert_eq!(only::<i8>(&open("i8")), [-128, 0, 127]);
    assert_eq!(only::<u16>(&open("u16_big_endian")), [1, 256, 65535]);
    assert_eq!(only::<i16>(&open("i16_version_2")), [-2, 3]);
    assert_eq!(only::<i16>(&open("i16_version_3")), [-2, 3]);
}

#[test]
fn files_that_numpy_wrote_of_other_types_are_refused_by_type() {
    for (name, part, remedy) in [
        ("complex", "complex", "astype"),
        ("structured", "structured", "save one field"),
        ("bool", "bool", "astype"),
        ("half", "half precision", "astype"),
        ("strings", "strings", "astype"),
        ("dates", "dates", "astype"),
    ] {
        let path = format!("tests/data/npy/{name}.npy");
        check_error(open(&spec(path.as_str()), repository()), Cause::Unsupported, &[&path, part, remedy]);
    }
}

#[test]
fn a_year_of_temperatures_is_read_whichever_way_its_column_is_named() {
    let path = "examples/data/seattle-temps.csv";
    let automatic = open(&spec(path), repository()).unwrap();
    assert_eq!(automatic.columns[0].name.as_deref(), Some("temp"));
    let temperatures = only::<f64>(&automatic);
    assert_eq!(temperatures.len(), 8759);
    assert_eq!(temperatures[..3], [39.4, 39.2, 39.0]);
    // The naive way: split, and parse with the standard library.
    let text = fs::read_to_string(repository().join(path)).unwrap();
    let expected: Vec<f64> =
        text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(temperatures, expected);
    for column in [ColumnRef::from("temp"), ColumnRef::from("1"), ColumnRef::Index(1)] {
        let spec = InputSpec { columns: Some(vec![column]), ..spec(path) };
        assert_eq!(only::<f64>(&open(&spec, repository()).unwrap()), expected);
    }
    let dates = InputSpec { columns: Some(vec![ColumnRef::from("date")]), ..spec(path) };
    let parts = [path, "line 2", "`date`", "`2010/01/01 00:00` is not a number"];
    check_error(open(&dates, repository()), Cause::BadInput, &parts);
}

#[test]
fn the_format_is_that_given_else_of_the_extension_else_of_the_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let npy = fs::read(repository().join("tests/data/npy/i8.npy")).unwrap();
    let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
    write("array", &npy);
    write("json", b" \n[1, 2.5]");
    write("table", b"a,b\n1,x\n2,y\n");
    write("list.txt", b"1\n2\n");
    write("words", &[1, 0, 0, 0, 2, 0, 0, 0]);
    write("wrong.json", &npy);
    write("wrong.csv", b"[1,2]");
    write("empty", b"");
    let open_in = |spec: &InputSpec| open(spec, folder.path());

    assert_eq!(only::<i8>(&open_in(&spec("array")).unwrap()), [-128, 0, 127]);
    assert_eq!(only::<f64>(&open_in(&spec("json")).unwrap()), [1.0, 2.5]);
    assert_eq!(only::<f64>(&open_in(&spec("table")).unwrap()), [1.0, 2.0]);
    assert_eq!(only::<f64>(&open_in(&spec("list.txt")).unwrap()), [1.0, 2.0]);
    let words = InputSpec { dtype: Some(DType::U32), ..spec("words") };
    assert_eq!(only::<u32>(&open_in(&words).unwrap()), [1_u32, 2].map(u32::from_le));
    let forced = InputSpec { format: Some(Format::Json), ..spec("wrong.csv") };
    assert_eq!(only::<f64>(&open_in(&forced).unwrap()), [1.0, 2.0]);

    if cfg!(feature = "dicom") {
        let ct = repository().join("tests/data/dicom/ct.dcm");
        write("scan", &fs::read(ct).unwrap());
        let columns = open_in(&spec("scan")).unwrap();
        assert_eq!(columns.shape.as_ref().map(|shape| shape.axes.clone()), Some(vec![3, 5]));
        assert_eq!(only::<f64>(&columns)[2..4], [-1719.0, -1554.0]);
        let windowed = InputSpec { window: Some(Voi::OfFile), ..spec("scan") };
        assert_eq!(open_in(&windowed).unwrap().window, Some((-160.0, 239.0)));
        let outside = InputSpec { outside: Some(Outside::Clip), ..spec("scan") };
        check_error(open_in(&outside), Cause::BadInput, &["scan: option `outside`", "a `window`"]);
    }

    check_error(open_in(&spec("words")), Cause::BadInput, &["words: begins with `\\x01\\x00", "name the format"]);
    check_error(open_in(&spec("wrong.json")), Cause::BadInput, &["wrong.json: line 1, column 1"]);
    check_error(open_in(&spec("empty")), Cause::BadInput, &["empty: is empty"]);
    let raw = InputSpec { format: Some(Format::Raw), ..spec("words") };
    check_error(open_in(&raw), Cause::BadInput, &["words: format raw needs option `dtype`"]);
    let text = InputSpec { format: Some(Format::Text), ..spec("list.txt") };
    check_error(open_in(&text), Cause::BadInput, &["list.txt: format text", "use csv"]);
    let column = InputSpec { columns: Some(vec![ColumnRef::Index(0)]), ..spec("array") };
    check_error(open_in(&column), Cause::BadInput, &["array: option `column` does not apply to format npy"]);
}

#[test]
fn what_cannot_be_opened_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    check_error(open(&spec("none.npy"), folder.path()), Cause::Io, &["none.npy: no such file"]);
    let whole = folder.path().display().to_string();
    check_error(open(&spec("."), folder.path()), Cause::BadInput, &[&whole, "is a directory: name a file in it"]);
    fs::write(folder.path().join("file"), "1\n").unwrap();
    check_error(open(&spec("file/in/it"), folder.path()), Cause::Io, &["file/in/it: "]);
    for name in ["a.npy", "a.csv", "a.json"] {
        fs::write(folder.path().join(name), "").unwrap();
        check_error(open(&spec(name), folder.path()), Cause::BadInput, &[name]);
    }
    for error in [
        open_numbers(&Location::from_text("none.txt"), None, folder.path()).unwrap_err(),
        open_numbers(&Location::from_text("."), None, folder.path()).unwrap_err(),
        open_numbers(&Location::from_text("a.csv"), None, folder.path()).unwrap_err(),
        open_numbers(&Location::from_text("file"), Some(Format::Raw), folder.path()).unwrap_err(),
    ] {
        assert!(error.message.starts_with(&whole), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.csv");
    fs::write(&path, "1\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read anything: there the file is simply read.
    match fs::File::open(&path) {
        Err(_) => check_error(open(&spec("secret.csv"), folder.path()), Cause::Io, &["secret.csv: permission denied"]),
        Ok(_) => assert_eq!(only::<f64>(&open(&spec("secret.csv"), folder.path()).unwrap()), [1.0]),
    }
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_read_like_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.csv");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: `name` is a valid C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let writer = std::thread::spawn(move || fs::write(path, "v\n1\n2\n").unwrap());
    assert_eq!(only::<f64>(&open(&spec("pipe.csv"), folder.path()).unwrap()), [1.0, 2.0]);
    writer.join().unwrap();
}

#[test]
fn the_same_file_has_the_same_identity_until_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let npy = fs::read(repository().join("tests/data/npy/i8.npy")).unwrap();
    for (name, first, second) in [("t.npy", &npy[..], &npy[..]), ("t.csv", b"1\n2\n", b"1\n3\n")] {
        let path = folder.path().join(name);
        write_settled(&path, first);
        let identity =
            || open(&spec(name), folder.path()).unwrap().columns[0].source.identity().expect("a file has one");
        let at_first = identity();
        assert_eq!(at_first, identity(), "{name}");
        write_settled(&path, second);
        assert_ne!(at_first, identity(), "{name} was written to");
    }
}

#[test]
fn a_table_opened_again_is_not_decoded_again_unless_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    write_settled(&path, b"1\n2\n");
    let address = |dataset: &Dataset| std::ptr::from_ref(&*dataset.columns[0].source).cast::<u8>();
    let first = open(&spec("t.csv"), folder.path()).unwrap();
    assert_eq!(address(&first), address(&open(&spec("t.csv"), folder.path()).unwrap()));
    // The same length, and the modification time set back: still seen.
    write_settled(&path, b"1\n3\n");
    assert_eq!(only::<f64>(&open(&spec("t.csv"), folder.path()).unwrap()), [1.0, 3.0]);
    assert_eq!(only::<f64>(&first), [1.0, 2.0]);
    forget_opened();
    let again = open(&spec("t.csv"), folder.path()).unwrap();
    assert_ne!(address(&first), address(&again));
}

#[test]
fn lists_of_numbers_come_from_text_and_arrays_of_integers() {
    let list = open_numbers(&Location::from_text("examples/data/primes.txt"), None, repository()).unwrap();
    assert_eq!(values::<u64>(&**list.source())[..2], [112_272_535_095_293, 112_582_705_942_171]);
    assert_eq!(list.exceptions(0..6).unwrap(), []);
    let npy = |name: &str| open_numbers(&Location::from_text(format!("tests/data/npy/{name}.npy")), None, repository());
    assert_eq!(values::<i8>(&**npy("i8").unwrap().source()), [-128, 0, 127]);
    assert_eq!(values::<u64>(&**npy("u64_scalar").unwrap().source()), [u64::MAX - 58]);
    let error = npy("f32").unwrap_err().message;
    assert!(error.contains("f32.npy: holds f32, where whole numbers are needed"), "{error}");
    // Echoed in the order of its indices, [[0, 1, 2], [3, 4, 5]], whatever the order in memory.
    assert_eq!(values::<i32>(&**npy("i32_fortran").unwrap().source()), [0, 1, 2, 3, 4, 5]);
}
