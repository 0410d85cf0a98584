//! Every chart is well-formed XML, says what it is, escapes what it is given, and draws what it is to draw.

use std::collections::BTreeSet;

use roxmltree::{Document, Node};

use super::*;

const HOSTILE: &str = "<a href=\"x\">&'\u{0}\u{1b}]]>--><script>";

fn about(id: &str) -> About {
    About::new(id, format!("title {HOSTILE}"), format!("description {HOSTILE}"))
}

fn series(count: usize) -> Vec<Series> {
    let point = |x: f64, y: f64| Point { x, y, interval: Some((y * 0.9, y * 1.2)) };
    let points = |at: usize| (0..5).map(|x| point(10_f64.powi(x), (at + 1) as f64 * 10_f64.powi(x) / 50.0)).collect();
    (0..count).map(|at| Series { name: format!("{HOSTILE} {at}"), points: points(at) }).collect()
}

fn lines(series: Vec<Series>) -> Figure {
    let band = Band { from: 20.0, to: 300.0, label: format!("from here {HOSTILE}") };
    let (x, y) = (Axis::log(format!("size {HOSTILE}"), Unit::Count), Axis::log("time", Unit::Ms));
    LineChart { about: about("lines"), x, y, series, bands: vec![band] }.draw()
}

fn stacked(rows: Vec<(String, Vec<f64>)>) -> Figure {
    let parts = ["upload", "compute", HOSTILE].map(str::to_owned).to_vec();
    StackedBars { about: about("stacked"), label: "time".to_owned(), unit: Unit::Ms, parts, rows }.draw()
}

fn roofline(points: Vec<Achieved>) -> Figure {
    let ceiling = |name: &str, bytes_per_s, ops_per_s| Ceiling { name: name.to_owned(), bytes_per_s, ops_per_s };
    let ceilings = vec![ceiling("cpu", 2e10, 5e10), ceiling(HOSTILE, 1e12, 2e13)];
    Roofline { about: about("roofline"), operations: "operations".to_owned(), ceilings, points }.draw()
}

fn steps(changes: Vec<(f64, f64)>, end_ms: f64) -> Figure {
    let limit = Some(("budget".to_owned(), 4e9));
    let levels = vec![Level { name: HOSTILE.to_owned(), changes }];
    StepChart { about: about("steps"), label: "memory".to_owned(), unit: Unit::Bytes, levels, limit, end_ms }.draw()
}

fn scatter(points: Vec<Point>) -> Figure {
    let (x, y) = (Axis::log("predicted", Unit::Ms), Axis::log("achieved", Unit::Ms));
    let groups = vec![Series { name: HOSTILE.to_owned(), points }];
    Scatter { about: about("scatter"), x, y, groups, within: 1.3 }.draw()
}

fn gantt(tracks: usize, spans: Vec<GanttSpan>, end_ms: f64) -> Figure {
    let tracks = (0..tracks).map(|track| format!("cpu {track} {HOSTILE}")).collect();
    let categories = ["stats", "primes", HOSTILE].map(str::to_owned).to_vec();
    let all = || Box::new(spans.iter().copied()) as Box<dyn Iterator<Item = GanttSpan>>;
    Gantt { about: about("gantt"), tracks, categories, spans: &all, tip: &|at| format!("job {at} {HOSTILE}"), end_ms }
        .draw()
}

fn busy(tracks: usize, each: usize) -> Vec<GanttSpan> {
    let span = |track, at: usize| {
        let begin_ms = at as f64;
        GanttSpan { track, begin_ms, end_ms: begin_ms + 0.5, category: at % 3 }
    };
    (0..tracks).flat_map(|track| (0..each).map(move |at| span(track, at))).collect()
}

/// The document of a picture by itself; it must be XML, and every id in it must be there once.
fn checked(figure: &Figure) -> String {
    let file = figure.svg_file();
    let document = Document::parse(&file).unwrap_or_else(|error| panic!("{error}\n{file}"));
    let root = document.root_element();
    assert_eq!((root.tag_name().name(), root.attribute("role")), ("svg", Some("img")));
    let ids: Vec<_> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{ids:?}");
    for label in root.attribute("aria-labelledby").unwrap().split(' ') {
        let named = document.descendants().find(|node| node.attribute("id") == Some(label));
        assert!(!named.unwrap().text().unwrap().is_empty());
    }
    for node in document.descendants() {
        assert!(!["script", "a", "image", "foreignObject"].contains(&node.tag_name().name()));
        if let Some(id) = node.attribute("fill").and_then(|fill| fill.strip_prefix("url(#")?.strip_suffix(")")) {
            assert!(ids.contains(&id), "{id} is not defined");
        }
    }
    // What stands in a page is the same inside, and XML too.
    Document::parse(&figure.svg()).unwrap();
    Document::parse(&format!("<x>{}</x>", figure.html().replace("tabindex=\"0\"", ""))).unwrap();
    file
}

fn count(file: &str, is: impl Fn(&Node<'_, '_>) -> bool) -> usize {
    Document::parse(file).unwrap().descendants().filter(is).count()
}

fn has_class(node: &Node<'_, '_>, class: &str) -> bool {
    node.attribute("class").is_some_and(|classes| classes.split(' ').any(|found| found == class))
}

#[test]
fn every_chart_is_well_formed_and_escapes_what_it_is_given() {
    let achieved = Achieved { name: HOSTILE.to_owned(), ceiling: 1, ops_per_byte: 3.0, ops_per_s: 1e11 };
    let figures = [
        lines(series(3)),
        stacked(vec![(HOSTILE.to_owned(), vec![1.0, 2.0, 3.0])]),
        roofline(vec![achieved]),
        steps(vec![(0.0, 1e9), (5.0, 2e9)], 10.0),
        scatter(vec![Point::at(1.0, 1.2), Point::at(100.0, 50.0)]),
        gantt(3, busy(3, 5), 6.0),
        gantt(3, busy(3, 5000), 5000.0),
    ];
    for figure in &figures {
        let file = checked(figure);
        assert!(!file.contains("<a ") && !file.contains("<script"), "{file}");
        assert!(!figure.data().rows.is_empty(), "{} has its data beside it", figure.title());
        assert!(figure.html().contains("<details>"));
    }
}

#[test]
fn the_check_itself_notices_a_broken_picture() {
    let mut figure = lines(series(1));
    figure.inside.push_str("<g>");
    assert!(std::panic::catch_unwind(|| checked(&figure)).is_err());
    let mut figure = stacked(vec![(String::new(), vec![1.0])]);
    figure.inside = figure.inside.replace("id=\"stacked-p0\"", "id=\"other\"");
    assert!(std::panic::catch_unwind(|| checked(&figure)).is_err());
}

#[test]
fn what_is_empty_says_so_and_what_is_no_number_is_left_out() {
    let nowhere = [f64::NAN, f64::INFINITY, 0.0, -1.0];
    let bad: Vec<Point> = nowhere.iter().map(|&y| Point::at(1.0, y)).collect();
    let of = |points: &[Point]| vec![Series { name: "x".to_owned(), points: points.to_vec() }];
    for figure in [
        lines(Vec::new()),
        lines(of(&bad)),
        stacked(Vec::new()),
        Roofline { about: about("r"), operations: String::new(), ceilings: Vec::new(), points: Vec::new() }.draw(),
        StepChart { limit: None, ..step_chart() }.draw(),
        scatter(bad.clone()),
        gantt(0, Vec::new(), 0.0),
        gantt(2, Vec::new(), 5.0),
    ] {
        let file = checked(&figure);
        assert!(file.contains("nothing was "), "{file}");
    }
    // Bars of nothing are bars all the same.
    let file = checked(&stacked(vec![("x".to_owned(), vec![f64::NAN, -1.0, 0.0])]));
    assert_eq!(count(&file, |node| has_class(node, "bar")), 0);
    let file = checked(&lines(of(&[bad[0], Point::at(10.0, 3.0), bad[2]])));
    assert_eq!(count(&file, |node| has_class(node, "mark")), 2, "one in the legend, one point\n{file}");
}

fn step_chart() -> StepChart {
    let levels = vec![Level::default()];
    StepChart { about: about("s"), label: String::new(), unit: Unit::Count, levels, limit: None, end_ms: 0.0 }
}

#[test]
fn every_point_and_every_part_is_drawn() {
    let file = checked(&lines(series(3)));
    assert_eq!(count(&file, |node| has_class(node, "mark")), 3 + 3 * 5);
    assert_eq!(count(&file, |node| has_class(node, "thin")), 3 * 5 * 3, "whiskers");
    assert_eq!(count(&file, |node| has_class(node, "band")), 1);
    let file = checked(&stacked(vec![("a".to_owned(), vec![1.0, 2.0, 3.0]), ("b".to_owned(), vec![1.0, 0.0, 3.0])]));
    assert_eq!(count(&file, |node| has_class(node, "bar")), 5);
    let file = checked(&gantt(3, busy(3, 5), 6.0));
    assert_eq!(count(&file, |node| has_class(node, "span")), 15);
}

#[test]
fn spans_lie_where_their_times_are() {
    let spans = vec![
        GanttSpan { track: 0, begin_ms: 0.0, end_ms: 50.0, category: 0 },
        GanttSpan { track: 1, begin_ms: 50.0, end_ms: 100.0, category: 1 },
    ];
    let file = checked(&gantt(2, spans, 100.0));
    let document = Document::parse(&file).unwrap();
    let number = |node: &Node<'_, '_>, name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
    let spans: Vec<_> = document.descendants().filter(|node| has_class(node, "span")).collect();
    let (first, second) = (&spans[0], &spans[1]);
    assert!((number(first, "x") + number(first, "width") - number(second, "x")).abs() < 0.02);
    assert!((number(first, "width") - number(second, "width")).abs() < 0.02);
    assert!(number(second, "y") > number(first, "y"));
}

#[test]
fn many_spans_make_a_small_picture_that_keeps_their_sums() {
    let figure = gantt(8, busy(8, 50_000), 50_000.0);
    let file = checked(&figure);
    assert!(file.len() < 500_000, "{}", file.len());
    assert_eq!(count(&file, |node| has_class(node, "span")), 0);
    for row in &figure.data().rows {
        assert_eq!(row[1..], ["50000", "25.0 s", "50.0 %"]);
    }
}

#[test]
fn how_strong_a_column_is_tells_how_much_of_it_was_work() {
    // Nothing, then half, then all of the time.
    let long = |begin_ms: f64, end_ms: f64| GanttSpan { track: 0, begin_ms, end_ms, category: 0 };
    let mut spans: Vec<_> =
        (0..5000).map(|at| long(3e4 + f64::from(at) * 6.0, 3e4 + f64::from(at) * 6.0 + 3.0)).collect();
    spans.push(long(6e4, 9e4));
    let file = checked(&gantt(1, spans, 9e4));
    let document = Document::parse(&file).unwrap();
    let covered = |level: usize| -> f64 {
        let class = format!("o{level}");
        let paths = document.descendants().filter(|node| node.tag_name().name() == "path" && has_class(node, &class));
        let data: String = paths.filter_map(|node| node.attribute("d")).collect();
        // Each rectangle goes as far back as it went forth.
        data.split("h-").skip(1).map(|rest| rest[..rest.find('z').unwrap()].parse::<f64>().unwrap()).sum()
    };
    let (half, all): (f64, f64) = (covered(4), covered(7));
    let sum: f64 = (1..=7).map(covered).sum();
    assert!((half / all - 1.0).abs() < 0.02, "{half} {all}");
    assert!((half + all) / sum > 0.98, "{half} {all} {sum}");
}

#[test]
fn more_tracks_than_rows_share_rows() {
    let figure = gantt(1000, busy(1000, 3), 3.0);
    let file = checked(&figure);
    assert!(count(&file, |node| has_class(node, "lane")) <= 96);
    assert!(file.contains("cpu 0 ") && file.contains(" to cpu 10 "), "rows say which tracks they are");
    assert_eq!(figure.data().rows.len(), 1000);
}

#[test]
fn many_points_are_drawn_as_few_and_counted_all() {
    let points: Vec<_> =
        (1..=100_000).map(|at| Point::at(f64::from(at), f64::from(at) * (1.0 + f64::from(at % 7) / 10.0))).collect();
    let figure = scatter(points);
    let file = checked(&figure);
    assert!(file.len() < 500_000, "{}", file.len());
    let document = Document::parse(&file).unwrap();
    let counts = document.descendants().filter(|node| has_class(node, "cell"));
    let drawn: u64 = counts
        .map(|node| {
            let tip =
                node.children().find(|child| child.tag_name().name() == "title").unwrap().text().unwrap().to_owned();
            tip.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        })
        .sum();
    assert_eq!(drawn, 100_000);
    let listed: u64 = figure.data().rows.iter().map(|row| row[2].parse::<u64>().unwrap()).sum();
    assert_eq!(listed, 100_000);
}

#[test]
fn nothing_of_a_picture_lies_outside_it() {
    let achieved =
        |name: &str, ops_per_byte, ops_per_s| Achieved { name: name.to_owned(), ceiling: 0, ops_per_byte, ops_per_s };
    for figure in [
        lines(series(9)),
        stacked((0..30).map(|at| (format!("row {at} {}", "long ".repeat(at)), vec![1e-3, at as f64, 1e6])).collect()),
        roofline(vec![achieved("a", 1e-3, 1e6), achieved("b", 1e6, 1e9)]),
        steps(vec![(0.0, 1.0), (50.0, 9e9)], 10.0),
        gantt(40, busy(40, 3), 2.0),
    ] {
        let file = checked(&figure);
        let document = Document::parse(&file).unwrap();
        for node in document.descendants().filter(|node| ["rect", "text", "line"].contains(&node.tag_name().name())) {
            for (name, most) in [("x", figure.width), ("x1", figure.width), ("x2", figure.width), ("y", figure.height)]
            {
                let Some(at) = node.attribute(name).and_then(|at| at.parse::<f64>().ok()) else { continue };
                assert!((-0.1..=most + 0.1).contains(&at), "{} {name}={at} of {most}", node.tag_name().name());
            }
        }
    }
}

#[test]
fn points_of_a_roofline_are_named_once_and_no_two_names_lie_on_each_other() {
    let achieved = |name: &str, ceiling, ops_per_byte, ops_per_s| {
        let name = name.to_owned();
        Achieved { name, ceiling, ops_per_byte, ops_per_s }
    };
    // Six on one place, on two devices each, and one at the right edge.
    let names = ["stats f32", "stats f64", "stats i32", "stats i64", "stats u32", "stats u64"];
    let mut points: Vec<Achieved> =
        names.iter().flat_map(|name| [0, 1].map(|at| achieved(name, at, 0.5, 2e9))).collect();
    points.push(achieved("primes numbers", 0, 60.0, 3e10));
    let figure = roofline(points);
    let file = checked(&figure);
    let document = Document::parse(&file).unwrap();
    let mut places = Vec::new();
    for name in names.iter().copied().chain(["primes numbers"]) {
        let found: Vec<_> =
            document.descendants().filter(|node| has_class(node, "soft") && node.text() == Some(name)).collect();
        assert_eq!(found.len(), 1, "{name}");
        let [x, y] = ["x", "y"].map(|at| found[0].attribute(at).unwrap().parse::<f64>().unwrap());
        places.push((x, y));
    }
    let on_each_other = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0).abs() < 40.0 && (a.1 - b.1).abs() < 12.0;
    for (at, place) in places.iter().enumerate() {
        assert!(!places[..at].iter().any(|other| on_each_other(other, place)), "{places:?}");
    }
}

#[test]
fn bars_have_whiskers_where_intervals_are_known_and_bands_have_their_names_one_above_the_other() {
    let bars = |intervals: Vec<(f64, f64)>| {
        let bars = vec![("a".to_owned(), 10.0), ("b".to_owned(), 20.0)];
        BarChart { about: about("bars"), label: "time".to_owned(), unit: Unit::Ms, bars, intervals }.draw()
    };
    let known = bars(vec![(9.0, 12.0), (15.0, 30.0)]);
    assert_eq!(count(&checked(&known), |node| has_class(node, "whisker")), 6);
    assert_eq!(known.data().rows[1], ["b", "20.0 ms", "15.0 ms to 30.0 ms"]);
    let unknown = bars(Vec::new());
    assert_eq!(count(&checked(&unknown), |node| has_class(node, "whisker")), 0);
    assert_eq!(unknown.data().rows[1], ["b", "20.0 ms"]);

    let band = |from: f64, label: &str| Band { from, to: from * 2.0, label: label.to_owned() };
    let (x, y) = (Axis::log("units", Unit::Count), Axis::log("time", Unit::Ms));
    let bands = vec![band(20.0, "first"), band(30.0, "second")];
    let file = checked(&LineChart { about: about("bands"), x, y, series: series(2), bands }.draw());
    let document = Document::parse(&file).unwrap();
    let height = |name: &str| -> f64 {
        let label = document.descendants().find(|node| has_class(node, "label") && node.text() == Some(name));
        label.unwrap().attribute("y").unwrap().parse().unwrap()
    };
    assert!(height("first") - height("second") > 12.0, "{file}");
}
