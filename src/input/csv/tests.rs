use super::*;
use crate::input::window::tests::Dribble;
use crate::input::{ColumnRef, Element, Location, Scratch};

fn spec(change: impl FnOnce(&mut InputSpec)) -> InputSpec {
    let mut spec = InputSpec::new(Location::from_text("t.csv"));
    change(&mut spec);
    spec
}

fn column(name: &str) -> InputSpec {
    spec(|spec| spec.columns = Some(vec![ColumnRef::from(name)]))
}

/// Name and bits of every column read.
fn columns(text: &[u8], spec: &InputSpec) -> Result<Vec<(String, Vec<f64>)>, String> {
    let mut results = Vec::new();
    // Rows one by one, and in blocks of any length, which begin and end anywhere.
    let one = AtOnce { threads: 1, block_bytes: BLOCK_BYTES };
    let cases = [(1, 16, one), (3, 1 << 20, one), (1000, 50, one)].into_iter().chain((1..12).map(|block_bytes| {
        let at_once = AtOnce { threads: 1 + block_bytes % 3, block_bytes };
        (1 + block_bytes % 5, 40, at_once)
    }));
    for (step, limit_bytes, at_once) in cases {
        let read = read_within("t.csv", &mut Dribble(text, step), spec, limit_bytes, at_once);
        results.push(read.map_err(|error| error.message).map(|(dataset, _)| {
            let column = |column: &NamedColumn| {
                let mut scratch = Scratch::default();
                let values = column.source.read(0..column.source.len(), &mut scratch).unwrap();
                (column.name.clone().unwrap(), f64::unwrap(&values).unwrap().to_vec())
            };
            dataset.columns.iter().map(column).collect::<Vec<_>>()
        }));
    }
    assert!(results.windows(2).all(|pair| format!("{:?}", pair[0]) == format!("{:?}", pair[1])), "{results:?}");
    results.swap_remove(0)
}

#[track_caller]
fn check(text: &str, spec: &InputSpec, expected: &[(&str, &[f64])]) {
    let read = columns(text.as_bytes(), spec).unwrap();
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let read: Vec<_> = read.iter().map(|(name, values)| (name.as_str(), bits(values))).collect();
    let expected: Vec<_> = expected.iter().map(|(name, values)| (*name, bits(values))).collect();
    assert_eq!(read, expected);
}

#[track_caller]
fn check_error(text: &[u8], spec: &InputSpec, expected: &str) {
    let message = columns(text, spec).unwrap_err();
    assert!(message.starts_with(expected), "`{expected}` expected, got `{message}`");
}

const NAN: f64 = f64::NAN;

#[test]
fn without_a_choice_every_column_of_numbers_is_read() {
    let all = spec(|_| ());
    check("date,temp,n\nx,1.5,1\ny,,2\n", &all, &[("temp", &[1.5, NAN]), ("n", &[1.0, 2.0])]);
    check("1,2\n3,4\n", &all, &[("0", &[1.0, 3.0]), ("1", &[2.0, 4.0])]);
    check("a,b\n1,1\n2,2\n3,oops\n4,4\n", &all, &[("a", &[1.0, 2.0, 3.0, 4.0])]);
    check("a,b\n1,\n2,\n", &all, &[("a", &[1.0, 2.0]), ("b", &[NAN, NAN])]);
    check("a\n", &spec(|spec| spec.header = Header::Yes), &[("a", &[])]);
    check("a\n", &column("a"), &[("a", &[])]);
    check_error(b"a b\n", &all, "t.csv: line 1 is all that it has, `a b`, and holds no number: is it the right file?");
    check_error(
        b"a;b\n1;2\n",
        &all,
        "t.csv: no column has numbers alone: `a;b` has `1;2` on line 2: its cells seem to be",
    );
    check("\u{feff}1\r\n\r\n 2 \r\n\"3\"\r\n\"\"\r\n", &all, &[("0", &[1.0, 2.0, 3.0, NAN])]);
    check_error(
        b"a,b\nx,y\n1,z\n",
        &all,
        "t.csv: no column has numbers alone: `a` has `x` on line 2, `b` has `y` on line 2",
    );
}

#[test]
fn columns_that_are_left_out_are_told_with_the_place_that_did_it() {
    let mut text = Dribble(b"date,a,b\nx,1,2\ny,NA,4\n", 1000);
    let (dataset, _) = read("t.csv", &mut text, &spec(|_| ()), 1).unwrap();
    let left_out = |name: &str, line, cell: &str| LeftOut { name: name.to_owned(), line, cell: cell.to_owned() };
    assert_eq!(dataset.left_out, [left_out("date", 2, "x"), left_out("a", 3, "NA")]);
    let mut text = Dribble(b"date,a\nx,1\n", 1000);
    assert_eq!(read("t.csv", &mut text, &column("a"), 2).unwrap().0.left_out, []);
}

#[test]
fn columns_are_chosen_by_name_or_number_in_the_order_asked_for() {
    let text = "a,b,1\n1,2,3\n4,5,6\n";
    let several = |columns: Vec<ColumnRef>| spec(|spec| (spec.columns, spec.header) = (Some(columns), Header::Yes));
    let named = |name: &str| several(vec![ColumnRef::from(name)]);
    check(text, &column("b"), &[("b", &[2.0, 5.0])]);
    check(text, &named("0"), &[("a", &[1.0, 4.0])]);
    check(text, &named("1"), &[("1", &[3.0, 6.0])]);
    check(text, &several(vec![ColumnRef::Index(1)]), &[("b", &[2.0, 5.0])]);
    let repeated = several(vec![ColumnRef::from("b"), ColumnRef::Index(0), ColumnRef::from("b")]);
    check(text, &repeated, &[("b", &[2.0, 5.0]), ("a", &[1.0, 4.0]), ("b", &[2.0, 5.0])]);
    check_error(text.as_bytes(), &named("c"), "t.csv: no column `c`: its columns are `a`, `b`, `1`, or 0 to 2");
    check_error(text.as_bytes(), &named("3"), "t.csv: no column `3`");
    check_error(text.as_bytes(), &several(vec![]), "t.csv: option `column` names no column");
    check_error(b"1,2\n", &column("x"), "t.csv: no column `x`: it has no header, and its columns are 0 to 1");
    check_error(b"a,b,a\n1,2,3\n", &column("a"), "t.csv: columns 0 and 2 are both called `a`");
    check("a,b,a\n1,2,3\n", &column("2"), &[("a", &[3.0])]);
    check_error(b"1\n2\n", &column("99999999999999999999999"), "t.csv: no column `99999999999999999999999`");
}

#[test]
fn the_header_is_recognised_or_settled_by_the_option() {
    let header = |header| spec(|spec| spec.header = header);
    check("1,2\n3,4\n", &header(Header::Yes), &[("1", &[3.0]), ("2", &[4.0])]);
    check("nan,\n3,4\n", &header(Header::Auto), &[("0", &[NAN, 3.0]), ("1", &[NAN, 4.0])]);
    check("a,2\n3,4\n", &header(Header::No), &[("1", &[2.0, 4.0])]);
    check("\"x,\"\"y\"\"\", z \n3,4\n", &header(Header::Auto), &[("x,\"y\"", &[3.0]), ("z", &[4.0])]);
    check("a,\n1,2\n", &header(Header::Auto), &[("a", &[1.0]), ("1", &[2.0])]);
    let mixed = "year,2023\n3,4\n";
    check_error(mixed.as_bytes(), &header(Header::Auto), "t.csv: line 1 has `year`, a word, and `2023`, a number");
    check(mixed, &header(Header::Yes), &[("year", &[3.0]), ("2023", &[4.0])]);
    check(mixed, &column("year"), &[("year", &[3.0])]);
}

#[test]
fn words_for_missing_values_are_nan_even_where_they_are_numbers() {
    let na = spec(|spec| spec.na = vec!["-9999".to_owned(), "n/a".to_owned()]);
    check("n/a,1\n-9999, n/a \n", &na, &[("0", &[NAN, NAN]), ("1", &[1.0, NAN])]);
    check("v\nNaN\ninf\n-Infinity\n\"\"\n", &spec(|_| ()), &[("v", &[NAN, f64::INFINITY, f64::NEG_INFINITY, NAN])]);
}

#[test]
fn what_cannot_be_read_is_named_with_its_line_and_column() {
    let all = spec(|_| ());
    check_error(b"", &all, "t.csv: has no row");
    check_error(b"\n\r\n\n", &all, "t.csv: has no row");
    check_error(b"a,b\n1,2\n\n3\n", &all, "t.csv: line 4 has 1 cell, but line 1 has 2 cells");
    check_error(b"a,b\n1,2,3\n", &all, "t.csv: line 2 has 3 cells, but line 1 has 2 cells");
    check_error(b"a,t\n1,2\n\"x\ny\",3\n4,1.2.3\n", &column("t"), "t.csv: line 5, column `t`: `1.2.3` is not a number");
    check_error(b"t\n\xff\xfe\n", &column("t"), "t.csv: line 2, column `t`: `\u{fffd}\u{fffd}` is not a number");
    let long = format!("t\n{}\n", "x".repeat(1000));
    check_error(long.as_bytes(), &column("t"), &format!("t.csv: line 2, column `t`: `{}…` is not", "x".repeat(40)));
    check_error(b"\xff\xfea\0", &all, "t.csv: is UTF-16 text");
    check_error(b"\nELF\0,b\n1,2\n", &all, "t.csv: line 2 has a zero byte in it");
    check_error(b"\xe9t\xe9\n1,2\n", &all, "t.csv: line 2 has 2 cells, but line 1 has 1 cell");
    check("\u{e9}t\u{e9}\n1\n", &column("\u{e9}t\u{e9}"), &[("\u{e9}t\u{e9}", &[1.0])]);
    assert_eq!(columns(b"\xe9t\n1\n", &all).unwrap()[0].0, "\u{fffd}t");
}
