//! Numbers that only exact arithmetic gets right, and what is promised of each of them by name.

use super::*;

fn answer<T: Number>(values: Vec<T>, request: StatsRequest) -> ColumnStats {
    StatsKernel::of_values(values, request).unwrap().answer_here().unwrap().columns.remove(0)
}

fn plain<T: Number>(values: Vec<T>) -> ColumnStats {
    answer(values, StatsRequest::default())
}

#[test]
fn a_large_offset_does_not_touch_the_variance() {
    assert_eq!(plain(vec![1e8 + 1.0, 1e8 + 2.0, 1e8 + 3.0]).variance, Some(1.0));
    assert_eq!(plain(vec![1e15 + 1.0, 1e15 + 2.0, 1e15 + 3.0]).std, Some(1.0));
}

#[test]
fn cancelling_sums_are_exact_in_any_order() {
    assert_eq!(plain(vec![1e308, 1e308, 1.0, -1e308, -1e308]).sum, Scalar::F64(1.0));
    assert_eq!(plain(vec![f64::MAX; 3]).mean, Some(f64::MAX));
    assert_eq!(plain(vec![1e308; 10]).sum, Scalar::F64(f64::INFINITY));
}

#[test]
fn a_zero_sum_is_positive_and_zeros_are_ordered() {
    let zeros = plain(vec![-0.0, -0.0]);
    assert_eq!(
        json(&StatsAnswer { columns: vec![zeros], table: false, left_out: Vec::new() }).split(",\"mean").next(),
        Some(r#"{"count":2,"nan_count":0,"min":-0.0,"max":-0.0,"sum":0.0"#)
    );
    let both = plain(vec![0.0, -0.0]);
    assert!(same(both.min, Some(Scalar::F64(-0.0))) && same(both.max, Some(Scalar::F64(0.0))));
}

#[test]
fn infinities_follow_ieee() {
    let (inf, one_sided) = (f64::INFINITY, plain(vec![1.0, f64::INFINITY]));
    assert_eq!((one_sided.sum, one_sided.mean), (Scalar::F64(inf), Some(inf)));
    assert!(one_sided.variance.unwrap().is_nan() && one_sided.std.unwrap().is_nan());
    assert!(plain(vec![inf, -inf]).mean.unwrap().is_nan());
}

#[test]
fn what_has_no_value_is_none() {
    let none = answer(Vec::<f64>::new(), request("0.5", Some("2"), None, 1));
    assert_eq!((none.min, none.mean, none.variance, none.std, none.sum), (None, None, None, None, Scalar::F64(0.0)));
    assert_eq!(none.quantiles[0].value, None);
    assert_eq!(*none.histogram.unwrap().edges, [0.0, 0.5, 1.0]);
    assert_eq!(plain(vec![3.0f32]).variance, None);
    assert_eq!(answer(vec![3.0f32], request("", None, None, 0)).variance, Some(0.0));
    assert_eq!(answer(vec![f64::INFINITY], request("", None, None, 1)).variance, None);
}

#[test]
fn the_variance_may_overflow_where_the_deviation_does_not() {
    let wide = plain(vec![-1e300, 1e300]);
    assert_eq!(wide.variance, Some(f64::INFINITY));
    assert_nearest("std", wide.std.unwrap(), &exact(Scalar::F64(wide.std.unwrap())));
    assert!((wide.std.unwrap() / 1e300 - std::f64::consts::SQRT_2).abs() < 1e-15);
}

#[test]
fn integers_keep_all_their_digits() {
    let big = plain(vec![u64::MAX, u64::MAX, 1]);
    assert_eq!(big.sum, Scalar::Integer(2 * i128::from(u64::MAX) + 1));
    let json = json(&StatsAnswer {
        columns: vec![answer(vec![i64::MIN, i64::MAX], request("1 0.5", None, None, 1))],
        table: false,
        left_out: Vec::new(),
    });
    assert!(json.contains(r#""min":"-9223372036854775808","max":"9223372036854775807","sum":"-1""#), "{json}");
    assert!(json.contains(r#"{"q":1,"value":9223372036854775807},{"q":0.5,"value":-0.5}"#), "{json}");
}

#[test]
fn an_automatic_range_holds_everything_even_where_its_ends_are_rounded() {
    let counts = answer(vec![i64::MAX, i64::MAX - 1, 0], request("", Some("4"), None, 1)).histogram.unwrap();
    assert_eq!((counts.below, counts.counts, counts.above), (0, vec![1, 0, 0, 2], 0));
    let constant = answer(vec![5u32; 3], request("", Some("2"), None, 1)).histogram.unwrap();
    assert_eq!((&*constant.edges, constant.counts), (&[4.5, 5.0, 5.5][..], vec![0, 3]));
}

#[test]
fn elements_of_f32_are_printed_as_the_f64_that_they_are() {
    let value = 1.634_989_7_f32;
    let kernel = StatsKernel::of_values(vec![value], request("0.5", None, None, 1)).unwrap();
    let answer = kernel.answer_here().unwrap();
    assert_ne!(value.to_string().parse(), Ok(f64::from(value)), "a value whose short form is another f64");
    let shown = f64::from(value).to_string();
    let json = json(&answer);
    for field in ["min", "max", "sum", "mean", "value"] {
        assert!(json.contains(&format!("\"{field}\":{shown}")), "{field} in {json}");
    }
    let mut text = Vec::new();
    answer.write_text(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.matches(&shown).count(), 5, "{text}");
}

#[test]
fn histograms_without_an_answer_say_why() {
    let fails = |values: Vec<f64>, histogram: &str| {
        StatsKernel::of_values(values, request("", Some(histogram), None, 1))
            .unwrap()
            .answer_here()
            .unwrap_err()
            .message
    };
    assert!(fails(vec![1.0, f64::INFINITY], "5").contains("1 of +inf"));
    assert!(fails(vec![1.0, 1.0f64.next_up()], "5").contains("too narrow"));
    assert!(fails(vec![1e300; 3], "5").contains("near 1e300, so large"));
    assert!(fails(vec![1e300, 1e300f64.next_up()], "5").contains("(1e300)"));
    assert!(fails(vec![], "5:1..1.0000000000000004").contains("too narrow"));
}

#[test]
fn the_last_bin_is_closed_and_the_others_are_half_open() {
    let values = vec![-0.1, 0.0, -0.0, 0.5, 1.0, 1.0f64.next_up(), f64::INFINITY, f64::NEG_INFINITY];
    let counts = answer(values, request("", Some("2:0..1"), None, 1)).histogram.unwrap();
    assert_eq!((counts.below, counts.counts, counts.above), (2, vec![2, 2], 2));
}

#[test]
fn the_text_names_its_conventions_and_is_aligned() {
    let columns = vec![answer(vec![1.0, 2.0, 4.0], request("0.5", Some("2"), None, 1))];
    let mut out = Vec::new();
    StatsAnswer { columns, table: false, left_out: Vec::new() }.write_text(&mut out).unwrap();
    let expect = "\
count         3
nan_count     0
min           1
max           4
sum           7
mean          2.3333333333333335
variance (n-1)  2.3333333333333335
";
    let text = String::from_utf8(out).unwrap();
    let squeeze =
        |text: &str| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    assert!(squeeze(&text).starts_with(&squeeze(expect)), "{text}");
    assert!(text.contains("std (n-1)       1.5275252316519468\nquantile 0.5    2\nhistogram\n"), "{text}");
    assert!(
        text.ends_with(
            "  [  1, 2.5)  2  ########################################\n  [2.5,   4]  1  ####################\n"
        ),
        "{text}"
    );
}

#[test]
fn a_table_answers_column_by_column() {
    let column = |name: &str, values: Vec<f64>| Column {
        name: Some(name.to_owned()),
        source: std::sync::Arc::new(crate::input::InMemory::new("t.csv", values)),
    };
    let columns = vec![column("a\"b", vec![1.0, 2.0]), column("c", vec![f64::NAN, 5.0])];
    let kernel = StatsKernel::new(columns, true, request("0.5", Some("3"), None, 1)).unwrap();
    let answer = kernel.answer_here().unwrap();
    let json: serde_json::Value = serde_json::from_str(&json(&answer)).unwrap();
    assert_eq!(json["columns"][0]["name"], "a\"b");
    assert_eq!(json["columns"][1]["quantiles"][0]["value"], 5.0);
    assert_eq!(json["columns"][1]["nan_count"], 1);
    assert_eq!(json["columns"][1]["histogram"]["counts"], serde_json::json!([0, 1, 0]));
    let one = run_cut(&kernel, Isa::Portable, &[1], 3).unwrap();
    assert_eq!(one, answer);
}

#[test]
fn columns_that_do_not_belong_together_are_refused() {
    let column = |source: std::sync::Arc<dyn crate::input::Source>| Column { name: None, source };
    let of =
        |name: &str, values: &[f64]| column(std::sync::Arc::new(crate::input::InMemory::new(name, values.to_vec())));
    let other = column(std::sync::Arc::new(crate::input::InMemory::new("b", vec![1i32])));
    let fails = |columns, request| StatsKernel::new(columns, true, request).unwrap_err().message;
    assert!(fails(vec![], StatsRequest::default()).contains("no column"));
    assert!(
        fails(vec![of("a", &[1.0]), of("c", &[1.0, 2.0])], StatsRequest::default())
            .contains("c has 2 rows, but a has 1")
    );
    assert!(fails(vec![of("a", &[1.0]), other], StatsRequest::default()).contains("b is of i32"));
    let bytes = column(std::sync::Arc::new(crate::input::InMemory::new("b", vec![1i8])));
    assert!(fails(vec![bytes], StatsRequest::default()).contains("one of f32, f64, i32, i64, u32, u64"));
    let missing = StatsKernel::of_values(vec![1u32], request("", None, Some("-1"), 1)).unwrap_err().message;
    assert!(missing.contains("missing value -1 does not fit u32"), "{missing}");
}

#[test]
fn the_oracle_notices_a_wrong_last_digit() {
    let values = [0.1, 0.2, 0.3, -7.5, 1e10];
    let request = request("0.3", Some("3"), None, 1);
    let right = answer(values.to_vec(), request.clone());
    check(&values, &request, &right);
    type Spoil = fn(&mut ColumnStats);
    let spoils: [Spoil; 10] = [
        |a| a.count += 1,
        |a| a.nan_count += 1,
        |a| a.min = a.max,
        |a| a.sum = Scalar::F64(a.sum.to_f64().next_up()),
        |a| a.mean = a.mean.map(f64::next_down),
        |a| a.variance = a.variance.map(f64::next_up),
        |a| a.std = a.std.map(f64::next_down),
        |a| a.quantiles[0].value = a.quantiles[0].value.map(|v| Scalar::F64(v.to_f64().next_up())),
        |a| a.histogram.as_mut().unwrap().counts[0] += 1,
        |a| a.histogram.as_mut().unwrap().above += 1,
    ];
    for (i, spoil) in spoils.iter().enumerate() {
        let mut wrong = right.clone();
        spoil(&mut wrong);
        let noticed = std::panic::catch_unwind(|| check(&values, &request, &wrong)).is_err();
        assert!(noticed, "spoil {i}");
    }
}
