//! Colours and what differs beside them. The hues are those of Okabe and Ito, which people with any colour vision tell apart
//! (<https://jfly.uni-koeln.de/color/>), made darker on white and lighter on black until they stand out. No two series differ by
//! colour alone: lines differ by dash and marker too, areas by hatching.

use std::fmt::Write;

use super::svg::{At, Svg};

/// Colours of series.
pub(super) const HUES: usize = 7;

const LIGHT: [(&str, &str); 5 + HUES] = [
    ("bg", "#ffffff"),
    ("ink", "#1b1f24"),
    ("soft", "#57606a"),
    ("grid", "#d8dee4"),
    ("bad", "#b3261e"),
    ("s0", "#0072b2"),
    ("s1", "#c75000"),
    ("s2", "#008562"),
    ("s3", "#a8508a"),
    ("s4", "#976800"),
    ("s5", "#2b87c0"),
    ("s6", "#5c636b"),
];

const DARK: [(&str, &str); 5 + HUES] = [
    ("bg", "#14171a"),
    ("ink", "#e8ebee"),
    ("soft", "#a3adb8"),
    ("grid", "#343a41"),
    ("bad", "#ff8a80"),
    ("s0", "#4aa3df"),
    ("s1", "#f08a4b"),
    ("s2", "#3cc39a"),
    ("s3", "#dc93bd"),
    ("s4", "#e6a92e"),
    ("s5", "#8fd0f5"),
    ("s6", "#b4bcc5"),
];

const RULES: &str = "\
.chart text{font:12px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:var(--ink)}\
.chart .soft{fill:var(--soft)}.chart .name{font-size:15px;font-weight:600}\
.chart .grid{stroke:var(--grid);stroke-width:1}.chart .axis{stroke:var(--soft);stroke-width:1}\
.chart .line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}\
.chart .thin{fill:none;stroke:var(--c);stroke-width:1.25}\
.chart .mark{fill:var(--c);stroke:var(--bg);stroke-width:1}.chart .dense{fill:var(--c)}.chart .cell{fill:var(--c);fill-opacity:.75}\
.chart .area{fill:var(--c);fill-opacity:.22}.chart .fill{fill:var(--c)}\
.chart .span{stroke:var(--bg);stroke-width:.6}.chart .hatch{fill:none;stroke:var(--bg);stroke-width:1.4}\
.chart .whisker{stroke:var(--ink);stroke-width:1.4;fill:none}.chart .band{fill:var(--soft);fill-opacity:.16}.chart .edge{stroke:var(--soft);stroke-dasharray:3 3;fill:none}\
.chart .limit{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:8 4;fill:none}.chart .row{fill:var(--grid);fill-opacity:.4}\
.chart .d1{stroke-dasharray:7 3}.chart .d2{stroke-dasharray:2 3}.chart .d3{stroke-dasharray:9 3 2 3}\
.chart .d4{stroke-dasharray:12 4}\
.chart .o1{fill-opacity:.15}.chart .o2{fill-opacity:.3}.chart .o3{fill-opacity:.45}.chart .o4{fill-opacity:.6}\
.chart .o5{fill-opacity:.75}.chart .o6{fill-opacity:.9}";

/// The style sheet of charts: variables for light and dark, and what uses them. It stands once in a page, and in each file of
/// one picture.
pub fn style_sheet() -> String {
    let set = |colours: &[(&str, &str)]| {
        let mut text = String::from(":root{");
        colours.iter().for_each(|(name, value)| _ = write!(text, "--{name}:{value};"));
        text + "}"
    };
    let (light, dark) = (set(&LIGHT), set(&DARK));
    let mut text = format!("{light}@media screen and (prefers-color-scheme:dark){{{dark}}}{RULES}");
    (0..HUES).for_each(|hue| _ = write!(text, ".chart .s{hue}{{--c:var(--s{hue})}}"));
    text
}

/// The class of a series' colour.
pub(super) fn hue(series: usize) -> String {
    format!("s{}", series % HUES)
}

/// The classes of a series' line: its colour and its dash.
pub(super) fn stroke(series: usize) -> String {
    format!("line s{} d{}", series % HUES, series % 5)
}

/// A marker of a series, about a point.
pub(super) fn marker(svg: &mut Svg, series: usize, (x, y): (f64, f64), class: &str, tip: &str) {
    let class = format!("{class} {}", hue(series));
    let r = 4.2;
    let at = |dx: f64, dy: f64| format!("{} {}", At(x + dx), At(y + dy));
    let data = match series % 6 {
        0 => format!("M{}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z", at(-r, 0.0), d = At(2.0 * r)),
        1 => format!("M{}h7.6v7.6h-7.6z", at(-3.8, -3.8)),
        2 => format!("M{}L{}L{}z", at(0.0, -5.0), at(4.8, 3.8), at(-4.8, 3.8)),
        3 => format!("M{}L{}L{}L{}z", at(0.0, -5.4), at(5.4, 0.0), at(0.0, 5.4), at(-5.4, 0.0)),
        4 => format!("M{}L{}L{}z", at(0.0, 5.0), at(4.8, -3.8), at(-4.8, -3.8)),
        _ => format!("M{}h3.2v-3.2h3.2v3.2h3.2v3.2h-3.2v3.2h-3.2v-3.2h-3.2z", at(-4.8, -1.6)),
    };
    svg.path(&class, &data, tip);
}

/// Defines the fill of a series: its colour, hatched in its own way. `id` is that of the picture.
pub(super) fn pattern(svg: &mut Svg, id: &str, series: usize) {
    let hatch = match series % 6 {
        0 => "",
        1 => "M-2 2l4 -4M0 8l8 -8M6 10l4 -4",
        2 => "M2 2h1.6M6 6h1.6",
        3 => "M-2 6l4 4M0 0l8 8M6 -2l4 4",
        4 => "M0 4h8",
        _ => "M4 0v8",
    };
    let hue = hue(series);
    write!(svg, r#"<pattern id="{id}-p{series}" width="8" height="8" patternUnits="userSpaceOnUse">"#);
    write!(svg, r#"<rect class="fill {hue}" width="8" height="8"/>"#);
    if !hatch.is_empty() {
        svg.path("hatch", hatch, "");
    }
    svg.0.push_str("</pattern>");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contrast of two colours as WCAG 2 has it: <https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio>.
    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |colour: &str| {
            let part = |at: usize| {
                let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
                if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_and_series_stand_out_on_light_and_dark() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        for (name, colours) in [("light", LIGHT), ("dark", DARK)] {
            let of = |wanted: &str| colours.iter().find(|(name, _)| *name == wanted).unwrap().1;
            for (what, colour) in colours.iter().filter(|(what, _)| !["bg", "grid"].contains(what)) {
                // What is a line or an area needs 3; what is read needs 4.5.
                let least = if what.starts_with('s') && *what != "soft" { 3.0 } else { 4.5 };
                let found = contrast(colour, of("bg"));
                assert!(found >= least, "{name} {what}: {found:.2}");
            }
        }
    }

    #[test]
    fn no_two_series_look_alike_without_colour_until_there_are_many() {
        // Dash and marker together: 5 and 6 have no common factor.
        let looks: std::collections::BTreeSet<_> = (0..30).map(|series| (series % 5, series % 6)).collect();
        assert_eq!(looks.len(), 30);
        assert_ne!(stroke(0), stroke(1));
    }
}
