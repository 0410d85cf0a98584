//! `tandem corr`: tables, files, warnings, what is refused.

use std::fs;

use crate::program::{file, tandem, tandem_reading, write};

const TABLE: &str = "a,b,flat,name\n1,2,5,x\n2,4,5,y\n,7,5,z\n3,5,5,x\n";

#[test]
fn a_table_shows_coefficients_rows_left_out_and_columns_without_numbers() {
    let ended = tandem_reading(&["corr", "-", "--format", "csv"], TABLE.as_bytes()).expect(0);
    assert_eq!(
        ended.out,
        "3 rows, and 1 left out for a NaN\nleft out: name, since line 2 has `x`, no number\n            \
         a        b     flat\na      1.0000   0.9820      NaN\nb      0.9820   1.0000      NaN\nflat      NaN      NaN      NaN\n"
    );
    assert_eq!(ended.err, "warning: column flat is constant: its coefficients are NaN\n");
}

#[test]
fn json_holds_the_matrix_and_another_table_gives_its_columns() {
    let (folder, path) = file("t.csv", TABLE);
    let ended = tandem(&["corr", &path, "--column", "a", "--column", "b", "--json"]).expect(0);
    let expected = "\"result\":{\"columns\":[\"a\",\"b\"],\"rows\":3,\"rows_left_out\":1,\"matrix\":\
                    [[1.0,0.9819805060619657],[0.9819805060619657,1.0]]}";
    assert!(ended.out.contains(expected), "{}", ended.out);
    let result = |args: &[&str]| tandem(args).expect(0).json()[0]["result"].clone();
    let other = write(folder.path(), "u.csv", "c\n1\n2\n3\n3\n");
    let found = result(&["corr", &path, "--column", "a", "--with", &other, "--json"]);
    assert_eq!((&found["with_columns"], &found["matrix"]), (&serde_json::json!(["c"]), &serde_json::json!([[1.0]])));
    let line = format!(r#"{{"kind":"corr","path":{path:?},"column":"a","with":{other:?}}}"#);
    let outcome = &tandem_reading(&["run", "-", "--json"], line.as_bytes()).expect(0).json()[0];
    assert_eq!(outcome["result"], found);
}

#[test]
fn the_matrix_is_written_to_files_that_can_be_read_again() {
    let (folder, path) = file("t.csv", "a,\"b,c\"\n1,2\n2,4\n3,5\n");
    let (npy, csv) = (folder.path().join("m.npy"), folder.path().join("m.csv"));
    let [npy, csv] = [&npy, &csv].map(|path| path.to_str().unwrap());
    let ended = tandem(&["corr", &path, "--output", npy]).expect(0);
    assert_eq!(ended.out, format!("3 rows\n2 x 2 coefficients written to {npy}\n"));
    let bytes = fs::read(npy).unwrap();
    let values: Vec<f64> =
        bytes[bytes.len() - 32..].chunks(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect();
    assert_eq!((values, bytes.len() % 64), (vec![1.0, 0.9819805060619657, 0.9819805060619657, 1.0], 32));
    tandem(&["corr", npy, "--output", csv]).expect(0);
    assert_eq!(fs::read_to_string(csv).unwrap(), ",0,1\n0,1.0,-1.0\n1,-1.0,1.0\n");
    tandem(&["corr", &path, "--output", csv]).expect(0);
    assert!(fs::read_to_string(csv).unwrap().starts_with(",a,\"b,c\"\na,1.0,0.98"));
    let ended = tandem(&["corr", csv, "--output", csv]).expect(1);
    assert!(ended.err.contains("is the input: name another output"), "{}", ended.err);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let (folder, path) = file("t.csv", "a,b\n1,2\n3,4\n");
    let short = write(folder.path(), "s.csv", "c\n1\n");
    for (args, code, says) in [
        (&["corr", &path, "--with", &short][..], 1, "s.csv has 1 rows, but"),
        (&["corr", &path, "--output", "m.txt"], 2, "m.txt: is neither called .npy nor .csv"),
        (&["corr", &path, "--output", "/no/such/m.npy"], 1, "there is no folder /no/such to write to"),
        (&["corr", "tests/data/npy/u64_scalar.npy"], 1, "is an array of 0 axes ()"),
        (&["corr", &path, "--column", "z"], 1, "no column `z`"),
    ] {
        let ended = tandem(args).expect(code);
        assert!(ended.err.contains(says), "{args:?}: {}", ended.err);
    }
    tandem(&["corr", &path, "--verify"]).expect(0);
    tandem(&["corr", &path, "--dry-run"]).expect(0);
}
