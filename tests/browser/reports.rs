//! Pictures in a real browser: a report of a real run is loaded, its charts are there and legible, nothing errs, and nothing is
//! asked of a network.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::browser;

/// What a browser made of a page.
struct Loaded {
    /// The document when all was loaded, as text.
    dom: String,
    /// What the browser had to say: errors of scripts, of SVG, of what was refused.
    console: Vec<String>,
}

fn load(browser: &Path, page: &Path, dark: bool, width: u32) -> Loaded {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)))
        .arg(format!("--window-size={width},1600"))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", browser.display()));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}\n{log}", browser.display(), output.status);
    let console = log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    Loaded { dom: String::from_utf8(output.stdout).unwrap(), console }
}

/// A report of a run with all that there is to draw.
fn report(folder: &Path, ending: &str) -> PathBuf {
    let mut jobs = String::new();
    for job in 0..40 {
        jobs += &format!("{{\"id\":\"p{job}\",\"kind\":\"primes\",\"range\":[0,{}]}}\n", 1000 * 4_u64.pow(job % 8));
        jobs += &format!("{{\"kind\":\"factor\",\"n\":{}}}\n", 1_000_000_007 + u64::from(job));
    }
    for (n, text) in ["<b>bold</b>", "\\\"quoted\\\" & more", "日本語"].iter().enumerate() {
        let argv = format!("[\"sh\",\"-c\",\"sleep 0.{n}; exit {n}\"]");
        jobs += &format!("{{\"id\":\"{text}\",\"kind\":\"command\",\"argv\":{argv},\"memory\":\"10MiB\"}}\n");
    }
    jobs += "this is no job\n";
    let file = folder.join("jobs.jsonl");
    std::fs::write(&file, jobs).unwrap();
    let report = folder.join(format!("run.{ending}"));
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["run", "--threads", "2", "--model", "none", "--memory", "1GiB", "--report"])
        .args([&report, &file])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    report
}

/// Looks at every chart, and says what it found in a `pre` at the end.
const LOOK: &str = r#"<script>
const found = { resources: performance.getEntriesByType('resource').length, charts: {} };
const about = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;
for (const svg of document.querySelectorAll('svg.chart')) {
    const box = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }));
    const chart = { width: box.width, height: box.height, texts: texts.length, overlaps: [], outside: [], drawn: {}, page: 0 };
    texts.forEach((a, at) => {
        if (a.box.left < box.left - 1 || a.box.right > box.right + 1 || a.box.top < box.top - 1 || a.box.bottom > box.bottom + 1)
            chart.outside.push(a.text);
        for (const b of texts.slice(at + 1)) if (about(a.box, b.box)) chart.overlaps.push(a.text + ' | ' + b.text);
    });
    for (const shape of svg.querySelectorAll('rect,path,polyline,polygon,line')) {
        const size = shape.getBoundingClientRect();
        if (size.width + size.height > 0)
            for (const name of shape.classList) chart.drawn[name] = (chart.drawn[name] || 0) + 1;
    }
    found.charts[svg.querySelector('title').id] = chart;
}
const tables = [...document.querySelectorAll('.wide')].filter((wide) => wide.querySelector('table') && wide.clientWidth > 0);
found.tables = tables.length;
found.cut = tables.filter((wide) => wide.scrollWidth > wide.clientWidth + 1).map((wide) => wide.getAttribute('aria-label'));
found.background = getComputedStyle(document.documentElement).backgroundColor;
found.scrolls = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const pre = document.createElement('pre');
pre.id = 'found';
pre.textContent = JSON.stringify(found);
document.body.append(pre);
</script></body>"#;

/// The page with the script that looks at it, which its own policy would refuse.
fn with_look(text: &str) -> String {
    let policy = "default-src 'none';";
    assert!(text.contains(policy) && text.contains("</body>"));
    text.replacen(policy, "default-src 'none'; script-src 'unsafe-inline';", 1).replacen("</body>", LOOK, 1)
}

/// What the script found on a page.
fn look(browser: &Path, text: &str, folder: &Path, dark: bool, width: u32) -> Value {
    let page = folder.join("looked-at.html");
    std::fs::write(&page, with_look(text)).unwrap();
    let loaded = load(browser, &page, dark, width);
    assert!(loaded.console.is_empty(), "{:?}", loaded.console);
    let begin = loaded.dom.find("<pre id=\"found\">").expect("the script ran") + "<pre id=\"found\">".len();
    let end = begin + loaded.dom[begin..].find("</pre>").unwrap();
    let json = loaded.dom[begin..end].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&json).unwrap()
}

/// What is wrong with a page that was looked at; nothing where all is well.
fn wrong(found: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    if found["resources"] != 0 {
        wrong.push(format!("it asked for {} resources", found["resources"]));
    }
    if found["scrolls"].as_f64() > Some(0.0) {
        wrong.push("the page is wider than its window".to_owned());
    }
    for (chart, least) in [("gantt", "span"), ("memory", "area"), ("queue", "area"), ("predictions", "mark")] {
        let chart_found = &found["charts"][format!("{chart}-title")];
        if chart_found["width"].as_f64().unwrap_or(0.0) < 300.0 || chart_found["height"].as_f64().unwrap_or(0.0) < 50.0
        {
            wrong.push(format!("{chart} is not there or too small"));
        }
        if chart_found["drawn"][least].as_u64().unwrap_or(0) == 0 {
            wrong.push(format!("{chart} has no {least}"));
        }
        for problem in ["overlaps", "outside"] {
            let list = chart_found[problem].as_array().cloned().unwrap_or_default();
            wrong.extend(list.iter().map(|text| format!("{chart}: {problem}: {}", text.as_str().unwrap_or_default())));
        }
    }
    wrong
}

#[test]
fn a_report_is_legible_in_light_and_dark_wide_and_narrow_and_asks_for_nothing() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let report = report(folder.path(), "html");
    // As it is, under its own policy: no error, nothing refused.
    let loaded = load(&browser, &report, false, 1200);
    assert!(loaded.console.is_empty(), "{:?}", loaded.console);
    assert!(loaded.dom.contains("&lt;b&gt;bold&lt;/b&gt;") && !loaded.dom.contains("<b>bold"), "ids are text");
    let text = std::fs::read_to_string(&report).unwrap();
    let mut backgrounds = Vec::new();
    for (dark, width) in [(false, 1200), (true, 1200), (false, 500), (true, 500)] {
        let found = look(&browser, &text, folder.path(), dark, width);
        assert_eq!(wrong(&found), Vec::<String>::new(), "dark {dark}, {width} wide: {found:#}");
        let jobs = found["charts"]["predictions-title"]["drawn"]["mark"].as_u64().unwrap();
        assert!(found["tables"].as_u64() > Some(3), "tables were looked at: {found:#}");
        if width == 1200 {
            assert_eq!(found["cut"], serde_json::json!([]), "tables are as wide as the page");
        }
        // Each of 40 jobs with a prediction, and the markers of the legend.
        assert!((41..=44).contains(&jobs), "{jobs}");
        backgrounds.push(found["background"].as_str().unwrap().to_owned());
    }
    assert_eq!(backgrounds[0], "rgb(255, 255, 255)");
    assert_ne!(backgrounds[0], backgrounds[1], "dark is dark");
}

#[test]
fn a_page_of_a_benchmark_is_legible_and_its_tables_are_not_cut() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("bench.html");
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["bench", "primes", "--sizes", "500,4000,30000", "--runs", "3", "--threads", "2", "--export"])
        .arg(&page)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&page).unwrap();
    let found = look(&browser, &text, folder.path(), false, 1200);
    assert_eq!((&found["resources"], &found["cut"]), (&0.into(), &serde_json::json!([])), "{found:#}");
    let charts = found["charts"].as_object().unwrap();
    assert!(charts.contains_key("time-0-title") && charts.contains_key("phases-1-title"), "{found:#}");
    for (name, chart) in charts {
        let empty = serde_json::json!([]);
        assert_eq!((&chart["overlaps"], &chart["outside"]), (&empty, &empty), "{name}");
        assert!(chart["width"].as_f64() > Some(300.0), "{name}");
    }
    // A cell that cannot wrap is noticed.
    let wide = text.replacen("<td>", &format!("<td style=\"white-space:nowrap\">{}", "wide ".repeat(99)), 1);
    assert_ne!(look(&browser, &wide, folder.path(), false, 1200)["cut"], serde_json::json!([]));
}

#[test]
fn a_picture_by_itself_is_drawn_by_a_browser() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let picture = report(folder.path(), "svg");
    let loaded = load(&browser, &picture, false, 1200);
    assert!(loaded.console.is_empty(), "{:?}", loaded.console);
    assert!(loaded.dom.contains("class=\"span\""));
}

#[test]
fn what_is_broken_is_noticed() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(report(folder.path(), "html")).unwrap();
    let page = folder.path().join("broken.html");
    let console = |text: &str| {
        std::fs::write(&page, text).unwrap();
        load(&browser, &page, false, 1200).console
    };
    // Something from a network, a script, a coordinate that is none.
    let image = "<img src=\"http://127.0.0.1:9/x.png\" alt=\"\"></body>";
    assert!(console(&text.replacen("</body>", image, 1)).iter().any(|line| line.contains("127.0.0.1:9")));
    assert!(!console(&text.replacen("</body>", "<script>nobody()</script></body>", 1)).is_empty());
    let at = text.find("<rect class=\"span\" x=\"").unwrap() + "<rect class=\"span\" x=\"".len();
    assert!(console(&[&text[..at], "NaN", &text[at..]].concat()).iter().any(|line| line.contains("NaN")));
    // A chart that is not there, a label upon another, a label that is cut.
    let looked_at = |text: &str| wrong(&look(&browser, text, folder.path(), false, 1200)).join("\n");
    assert!(looked_at(&text.replace("class=\"span\"", "class=\"gone\"")).contains("gantt has no span"));
    let label = "<text class=\"label\" x=\"40\" y=\"30\">one</text>";
    let end = text.find("</svg>").unwrap();
    assert!(looked_at(&[&text[..end], label, label, &text[end..]].concat()).contains("overlaps: one | one"));
    let cut = "<text class=\"label\" x=\"750\" y=\"30\">a long label</text>";
    assert!(looked_at(&[&text[..end], cut, &text[end..]].concat()).contains("outside: a long label"));
}
