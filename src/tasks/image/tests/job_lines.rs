//! What a line of a job file and a command line say.

use crate::tasks::image::params::parse;
use crate::tasks::image::{Change, Flip, Format, ImageParams, Turn};

#[track_caller]
fn refused(line: &str, part: &str) {
    let line = line.replace('(', r#"{"file":"a.png","output":"b.jpg","#).replace(')', "}");
    let message = parse(&line).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains(part), "{line}: {message}");
}

#[test]
fn a_line_names_a_file_an_output_and_steps_in_order() {
    let params = parse(r#"{"id":"a","kind":"image","device":"cpu","file":"a.png","output":"out/"}"#).unwrap();
    assert_eq!(params, ImageParams::new("a.png", "out/"));
    let params = parse(
        r#"{"file":"a","output":"b","format":"jpeg","quality":80,"overwrite":true,"steps":[{"grey":true},{"resize":[1,2]},
            {"fit":[3,4]},{"crop":[0,5,6,7]},{"flip":"horizontal"},{"flip":"vertical"},{"rotate":90},{"rotate":180},
            {"rotate":270},{"brightness":-255},{"grey":false},{"resize":[1,2]}]}"#,
    )
    .unwrap();
    assert_eq!((params.format, params.quality, params.overwrite), (Some(Format::Jpeg), Some(80), true));
    let resize = Change::Resize { width: 1, height: 2 };
    assert_eq!(
        params.changes,
        [
            Change::Grey,
            resize,
            Change::Fit { width: 3, height: 4 },
            Change::Crop { x: 0, y: 5, width: 6, height: 7 },
            Change::Flip(Flip::Horizontal),
            Change::Flip(Flip::Vertical),
            Change::Rotate(Turn::By90),
            Change::Rotate(Turn::By180),
            Change::Rotate(Turn::By270),
            Change::Brightness(-255),
            resize,
        ]
    );
}

#[test]
fn what_is_wrong_with_a_line_is_named_with_its_step() {
    refused(r#"{"output":"b"}"#, "missing field `file`");
    refused(r#"{"file":"a"}"#, "missing field `output`");
    refused(r#"{"file":"","output":"b"}"#, "an empty path");
    refused(r#"("format":"gif")"#, "`gif` is no format that is written: use png or jpeg");
    refused(r#"("format":1)"#, "expected \"png\" or \"jpeg\" for `format`");
    refused(r#"("quality":0)"#, "a whole number from 1 to 100 for `quality`");
    refused(r#"("quality":101)"#, "a whole number from 1 to 100 for `quality`");
    refused(r#"("quality":80,"format":"png")"#, "`quality` is for jpeg");
    refused(r#"("steps":{"grey":true})"#, "a list for `steps`");
    refused(r#"("steps":["grey"])"#, "an object with one step");
    refused(r#"("steps":[{}])"#, "an empty step: give one of resize");
    refused(r#"("steps":[{"blur":1}])"#, "unknown step `blur`: one of resize, fit, crop");
    refused(r#"("steps":[{"grey":true,"flip":"vertical"}])"#, "`grey` and `flip` in one step: write two objects");
    refused(r#"("steps":[{"resize":[1]}])"#, "resize: give [width, height], both at least 1");
    refused(r#"("steps":[{"fit":[0,1]}])"#, "fit: give [width, height]");
    refused(r#"("steps":[{"fit":[-1,1]}])"#, "invalid value: integer `-1`");
    refused(r#"("steps":[{"crop":[0,0,1]}])"#, "crop: give [x, y, width, height]");
    refused(r#"("steps":[{"crop":[0,0,1,0]}])"#, "crop: give [x, y, width, height]");
    refused(r#"("steps":[{"flip":"diagonal"}])"#, "flip: give \"horizontal\" or \"vertical\"");
    refused(r#"("steps":[{"rotate":45}])"#, "rotate: give 90, 180 or 270");
    refused(r#"("steps":[{"brightness":256}])"#, "brightness: give a whole number from -255 to 255");
    refused(r#"("steps":[{"grey":1}])"#, "expected a boolean");
    refused(r#"("step":[])"#, "unknown field `step`");
    let many = format!("(\"steps\":[{}])", vec![r#"{"grey":true}"#; 101].join(","));
    refused(&many, "more than 100 steps");
}

#[cfg(feature = "cli")]
#[test]
fn files_are_arguments_and_steps_have_an_order_of_their_own() {
    let asked = |args: &[&str]| -> Result<Vec<String>, String> {
        let matches = (crate::tasks::image::KIND.command)()
            .try_get_matches_from([&["image"], args].concat())
            .map_err(|error| error.render().to_string())?;
        let asked = (crate::tasks::image::KIND.from_args)(&matches)?;
        Ok(asked.into_iter().map(|asked| format!("{} {:?}", asked.label.unwrap(), asked.params)).collect())
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let steps = "--grey --brightness -10 --rotate 90 --flip vertical --fit 5x6 --crop 1,2,3x4 --quality 80 --overwrite";
    let args: Vec<&str> = ["a.png", "b.jpg", "--output", folder].into_iter().chain(steps.split(' ')).collect();
    let jobs = asked(&args).unwrap();
    assert_eq!(jobs.len(), 2);
    assert!(jobs[0].starts_with("a.png ImageParams { file: \"a.png\""), "{jobs:?}");
    let order = "changes: [Crop { x: 1, y: 2, width: 3, height: 4 }, Fit { width: 5, height: 6 }, Flip(Vertical), Rotate(By90), \
                 Brightness(-10), Grey], overwrite: true";
    assert!(jobs[1].contains(order) && jobs[1].contains("quality: Some(80)"), "{jobs:?}");
    let slash = format!("{folder}/");
    assert_eq!(asked(&["a.png", "x/b.png", "-", "--output", &slash]).unwrap().len(), 3);
    for (args, part) in [
        (&["a.png"][..], "--output"),
        (&["--output", "b"], "<IN>"),
        (&["a", "b", "--output", "c.png"], "several files need a folder that is there (mkdir c.png)"),
        (&["a.png", "x/a.png", "--output", folder], "would become one file"),
        (&["a.png", "a.jpg", "--format", "jpeg", "--output", folder], "would become one file"),
        (&["a", "--output", "b", "--fit", "5x6", "--resize", "5x6"], "cannot be used with"),
        (&["a", "--output", "b", "--fit", "5"], "give WIDTHxHEIGHT"),
        (&["a", "--output", "b", "--fit", "0x5"], "give WIDTHxHEIGHT"),
        (&["a", "--output", "b", "--crop", "1,2,3"], "give X,Y,WIDTHxHEIGHT"),
        (&["a", "--output", "b", "--rotate", "45"], "give 90, 180 or 270"),
        (&["a", "--output", "b", "--flip", "up"], "give horizontal or vertical"),
        (&["a", "--output", "b", "--brightness", "-300"], "from -255 to 255"),
        (&["a", "--output", "b", "--format", "gif"], "use png or jpeg"),
        (&["a", "--output", "b", "--format", "png", "--quality", "5"], "--quality is for jpeg"),
        (&["a", "--output", "b", "--quality", "0"], "--quality"),
    ] {
        let message = asked(args).unwrap_err();
        assert!(message.contains(part), "{args:?}: {message}");
    }
}
