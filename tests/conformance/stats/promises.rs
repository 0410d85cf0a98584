//! What is promised of the numbers of `stats`, word by word, each in every way of running.

use tandem::kernels::stats::{Scalar, StatsKernel, StatsRequest};

use super::data::Hostile;
use super::oracle::Asked;
use super::{case, request};
use crate::gpus::gpu_forms;
use crate::random::{Random, base_seed};
use crate::run::{Tally, result_json};
use crate::sweep::{check, ways};

/// The `result` of a job in its first way, after it was checked in all of them against the oracle.
#[track_caller]
fn result<T: Hostile>(values: &[T], asked: &Asked) -> serde_json::Value {
    let case = case("a promise".to_owned(), vec![values.to_vec()], asked);
    let ways = ways(&*case.kernel, gpu_forms(), &mut Random::named(base_seed(), "promises"));
    let tally = Tally::default();
    check(&case, &ways, &tally).unwrap_or_else(|differences| panic!("{values:?}:\n{differences}"));
    let json = result_json(&*case.kernel, &ways[0], &tally).expect("it has just succeeded");
    serde_json::from_str(&json).expect("it is JSON")
}

fn sample() -> Asked {
    Asked { ddof: 1, ..Asked::default() }
}

#[test]
fn the_variance_of_large_neighbours_is_exact() {
    let three = [1e8 + 1.0, 1e8 + 2.0, 1e8 + 3.0];
    let result = result(&three, &sample());
    assert_eq!((&result["variance"], &result["std"], &result["mean"]), (&1.0.into(), &1.0.into(), &(1e8 + 2.0).into()));
}

#[test]
fn skewness_and_kurtosis_are_those_of_a_whole_population() {
    let asked = Asked { higher: true, ..sample() };
    // By hand: of 0, 0, 0, 4 the mean is 1, the variance 3, the third central moment 6 and the fourth 21: 2 / √3, and
    // 21 / 9 - 3.
    let four = result(&[0i64, 0, 0, 4], &asked);
    // Bit by bit they were compared with the oracle; what reads JSON here may be off by the last one.
    let near = |value: &serde_json::Value, expected: f64| (value.as_f64().expect("a number") - expected).abs() < 1e-15;
    assert!(near(&four["skewness"], 2.0 / 3f64.sqrt()) && near(&four["kurtosis"], -2.0 / 3.0), "{four}");
    assert_eq!(
        four["skewness"],
        result(&[0i64, 0, 0, 4], &Asked { ddof: 0, ..asked.clone() })["skewness"],
        "ddof plays no part"
    );
    // Far from zero, where sums of floats keep no digit of them.
    let far = result(&[1e15, 1e15, 1e15, 1e15 + 4.0], &asked);
    assert_eq!((&far["skewness"], &far["kurtosis"]), (&four["skewness"], &four["kurtosis"]));
    let even = result(&[-1.5f32, 0.0, 1.5], &asked);
    assert_eq!((&even["skewness"], &even["kurtosis"]), (&0.0.into(), &(-1.5).into()));
    for alike in [vec![0.1; 7], vec![3.0], vec![1.0, f64::INFINITY]] {
        let alike = result(&alike, &asked);
        assert_eq!((&alike["skewness"], &alike["kurtosis"]), (&"NaN".into(), &"NaN".into()));
    }
    let none = result(&[f64::NAN], &asked);
    assert!(none["skewness"].is_null() && none["kurtosis"].is_null());
    assert!(result(&[1.0, 2.0], &sample()).get("skewness").is_none(), "only where they are asked for");
}

#[test]
fn shuffling_changes_nothing() {
    let mut random = Random::named(base_seed(), "shuffling");
    for (name, make) in f64::DATASETS.iter().take(6) {
        let mut values = make(&mut random, 5001);
        let asked = Asked { quantiles: vec![("0.1", 1, 10)], histogram: Some((9, Some((-1.0, 1.0)))), ..sample() };
        let before = result(&values, &asked);
        random.shuffle(&mut values);
        assert_eq!(before, result(&values, &asked), "{name}, TANDEM_TEST_SEED={}", base_seed());
    }
}

#[test]
fn infinities_sum_as_ieee_adds_them_and_have_no_variance() {
    let (inf, nan) = (f64::INFINITY, "NaN");
    for (values, sum) in [
        (vec![1.0, inf], "Infinity"),
        (vec![-inf, f64::MAX, f64::MAX], "-Infinity"),
        (vec![inf, -inf], nan),
        (vec![inf, f64::NAN], "Infinity"),
    ] {
        let result = result(&values, &Asked { ddof: 0, ..Asked::default() });
        assert_eq!((&result["sum"], &result["mean"]), (&sum.into(), &sum.into()), "{values:?}");
        assert_eq!((&result["variance"], &result["std"]), (&nan.into(), &nan.into()), "{values:?}");
    }
    // A sum past the greatest float is an infinity, though every value is finite: the mean is not.
    let result = result(&[f64::MAX, f64::MAX], &sample());
    assert_eq!((&result["sum"], &result["mean"]), (&"Infinity".into(), &f64::MAX.into()));
}

#[test]
fn minus_zero_lies_below_zero_and_a_zero_sum_is_positive() {
    let text = |values: &[f64]| result(values, &sample()).to_string();
    let both = text(&[0.0, -0.0, 0.0]);
    assert!(both.contains(r#""min":-0.0"#) && both.contains(r#""max":0.0"#) && both.contains(r#""sum":0.0"#), "{both}");
    let negative = text(&[-0.0, -0.0]);
    assert!(negative.contains(r#""max":-0.0"#) && negative.contains(r#""sum":0.0"#), "{negative}");
}

#[test]
fn what_has_no_value_is_null() {
    let none = result::<f64>(&[f64::NAN], &Asked { quantiles: vec![("0.5", 1, 2)], ..sample() });
    assert_eq!((&none["count"], &none["nan_count"]), (&0.into(), &1.into()));
    for field in ["min", "max", "mean", "variance", "std"] {
        assert!(none[field].is_null(), "{field}: {none}");
    }
    assert!(none["quantiles"][0]["value"].is_null() && none["sum"] == 0.0, "{none}");
    for (ddof, exists) in [(0, true), (1, true), (2, true), (3, false), (4, false), (u32::MAX, false)] {
        let result = result(&[1i64, 2, 4], &Asked { ddof, ..Asked::default() });
        assert_eq!(!result["variance"].is_null(), exists, "{ddof}");
        assert_eq!(!result["std"].is_null(), exists, "{ddof}");
    }
}

#[test]
fn the_root_is_of_the_exact_variance_and_not_of_the_rounded_one() {
    // Both are checked against the oracle; here, that there is a difference to be checked.
    let mut random = Random::named(base_seed(), "roots");
    let differs = (0..200).any(|_| {
        let values: Vec<f64> = (0..5).map(|_| random.unit()).collect();
        let column = StatsKernel::of_values(values.clone(), StatsRequest::default()).unwrap();
        let answer = column.answer_here().unwrap();
        let column = &answer.columns[0];
        result(&values, &sample());
        column.std != column.variance.map(f64::sqrt)
    });
    assert!(differs, "no standard deviation differs from the root of the rounded variance");
}

#[test]
fn positions_of_quantiles_are_those_of_the_decimal_as_written() {
    // 0.1 as a float lies above a tenth, so that its position among 11 values would lie past element 1.
    let eleven: Vec<f64> = (0..11).map(|i| f64::from(i * i)).collect();
    let quantiles = vec![("0.1", 1, 10), ("0.7", 7, 10), ("0.3", 3, 10), ("0.25", 1, 4)];
    let found = result(&eleven, &Asked { quantiles, ..sample() });
    let values: Vec<&serde_json::Value> = found["quantiles"].as_array().unwrap().iter().map(|q| &q["value"]).collect();
    assert_eq!(
        values,
        [&1.0, &49.0, &9.0, &6.5].map(|value| serde_json::Value::from(*value)).iter().collect::<Vec<_>>()
    );
    let median = Asked { quantiles: vec![("0.5", 1, 2)], ..sample() };
    let inf = f64::INFINITY;
    for (values, value) in
        [([1.0, inf], "Infinity"), ([-inf, 1.0], "-Infinity"), ([-inf, inf], "NaN"), ([inf, inf], "Infinity")]
    {
        let found = result(&values, &median);
        assert_eq!(found["quantiles"][0]["value"], value, "{values:?}");
    }
    let kernel = StatsKernel::of_values(vec![f64::MAX, f64::MAX.next_down()], request(&median)).unwrap();
    let tie = kernel.answer_here().unwrap().columns[0].quantiles[0].value;
    assert_eq!(tie, Some(Scalar::F64(f64::MAX.next_down())), "a tie goes to the even one");
    let found = result(&[i64::MAX, i64::MIN], &Asked { quantiles: vec![("0.5", 1, 2), ("0", 0, 1)], ..sample() });
    assert_eq!((&found["quantiles"][0]["value"], &found["quantiles"][1]["value"]), (&(-0.5).into(), &i64::MIN.into()));
}

#[test]
fn edges_are_exact_and_a_value_on_an_edge_lies_above_it_but_for_the_last() {
    // The third of ten edges over 0..1 is 0.3 rounded once, not 3 * 0.1, which is greater.
    let values = [0.3, 0.1 * 3.0, 0.3f64.next_down(), 0.0, 1.0, -0.0, 1.0f64.next_up(), -5e-324];
    let found = result(&values, &Asked { histogram: Some((10, Some((0.0, 1.0)))), ..sample() });
    let histogram = &found["histogram"];
    assert_eq!(histogram["edges"][3], 0.3);
    assert_eq!(histogram["counts"], serde_json::json!([2, 0, 1, 2, 0, 0, 0, 0, 0, 1]));
    assert_eq!((&histogram["below"], &histogram["above"]), (&1.into(), &1.into()));
    // Integers past 2^53 are compared with edges as they are, not as floats: 2^53 + 1 lies above the edge 2^53.
    let edge = 1i64 << 53;
    let asked = Asked { histogram: Some((1, Some((0.0, edge as f64)))), ..sample() };
    let found = result(&[edge - 1, edge, edge + 1], &asked);
    assert_eq!((&found["histogram"]["counts"][0], &found["histogram"]["above"]), (&2.into(), &1.into()));
}

#[test]
fn an_automatic_range_over_infinities_or_without_room_is_an_error() {
    for (values, says) in [
        (vec![1.0, f64::INFINITY], super::oracle::INFINITE_RANGE),
        (vec![1.0, 1.0f64.next_up()], super::oracle::NARROW_BINS),
    ] {
        let asked = Asked { histogram: Some((10, None)), ..sample() };
        let case = case("no range".to_owned(), vec![values.clone()], &asked);
        let ways = ways(&*case.kernel, gpu_forms(), &mut Random::new(1));
        check(&case, &ways, &Tally::default()).unwrap_or_else(|differences| panic!("{differences}"));
        let kernel = StatsKernel::of_values(values, request(&asked)).unwrap();
        assert!(kernel.answer_here().unwrap_err().message.contains(says));
    }
}

#[test]
fn a_hundred_million_equal_floats_have_an_exact_mean() {
    // In f32 a running sum of 0.1 would stop growing at 2,097,152. A source that repeats itself takes no memory.
    use std::sync::Arc;
    use tandem::input::{DType, Scratch, Source, Values};
    #[derive(Debug)]
    struct Tenths(Vec<f32>);
    impl Source for Tenths {
        fn name(&self) -> &str {
            "tenths"
        }
        fn dtype(&self) -> DType {
            DType::F32
        }
        fn len(&self) -> u64 {
            100_000_000
        }
        fn read<'a>(
            &'a self,
            range: std::ops::Range<u64>,
            _: &'a mut Scratch,
        ) -> Result<Values<'a>, tandem::job::JobError> {
            Ok(Values::F32(&self.0[..(range.end - range.start) as usize]))
        }
    }
    let source = Arc::new(Tenths(vec![0.1; 1 << 17]));
    let column = tandem::kernels::stats::Column { name: None, source };
    let kernel = StatsKernel::new(vec![column], false, StatsRequest::default()).unwrap();
    let answer = kernel.answer_here().unwrap();
    let column = &answer.columns[0];
    assert_eq!((column.mean, column.variance, column.count), (Some(f64::from(0.1f32)), Some(0.0), 100_000_000));
}
