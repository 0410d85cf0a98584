//! The subcommand `image`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::job::{Asked, parse_bounded};
use crate::tasks::image::target::{file_name, is_folder};
use crate::tasks::image::{Change, Flip, Format, ImageParams, KIND, Turn};

const EXAMPLES: &str = "\
Whatever the order of the arguments, pictures are cropped, resized or fitted, flipped, rotated, brightened and made grey in
this order. A job file takes steps in any order, and more than once.

Examples:
  tandem image photos/*.jpg --output thumbnails/ --fit 256x256 --quality 80
  tandem image scan.png --output scan.jpg
  tandem image a.png b.png --output augmented/ --flip horizontal --rotate 90 --brightness -20";

/// The arguments.
pub(super) fn command() -> Command {
    let arg = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).help(help).action(ArgAction::SetTrue);
    Command::new(KIND.name)
        .about(KIND.summary)
        .after_help(EXAMPLES)
        .arg(
            Arg::new("file")
                .value_name("IN")
                .help("PNG or JPEG files; each is a job of its own")
                .required(true)
                .num_args(1..)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            arg(
                "output",
                "DIR|FILE",
                "A folder that is there, for a file of the same name in it; or the file to write",
            )
            .required(true)
            .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            arg("crop", "X,Y,WxH", "Keep W x H pixels, from X from the left and Y from the top on")
                .value_parser(parse_crop),
        )
        .arg(arg("resize", "WxH", "Make exactly this size").value_parser(parse_size))
        .arg(
            arg("fit", "WxH", "Make as large as fits this size, in its proportions")
                .value_parser(parse_size)
                .conflicts_with("resize"),
        )
        .arg(arg("flip", "horizontal|vertical", "Mirror").value_parser(parse_flip))
        .arg(arg("rotate", "90|180|270", "Turn clockwise").value_parser(parse_turn))
        .arg(
            arg("brightness", "N", "Make brighter by N of 255; negative: darker")
                .allow_negative_numbers(true)
                .value_parser(parse_brightness),
        )
        .arg(flag("grey", "Leave the colours out"))
        .arg(
            arg("format", "png|jpeg", "What to write; else by the output's name, else as the input")
                .value_parser(|text: &str| text.parse::<Format>()),
        )
        .arg(
            arg("quality", "N", "The quality of a jpeg, 1 to 100 [default: 85]")
                .value_parser(|text: &str| parse_bounded(text, 1..=100).map(|quality| quality as u8)),
        )
        .arg(flag("overwrite", "Let an output replace its own input"))
}

/// The jobs that the arguments ask for, one a file.
///
/// # Errors
/// Where several files would become one, or options contradict each other.
pub(super) fn from_args(matches: &ArgMatches) -> Result<Vec<Asked>, String> {
    let files: Vec<&PathBuf> = matches.get_many("file").into_iter().flatten().collect();
    let output: &PathBuf = matches.get_one("output").ok_or("--output is missing")?;
    let format = matches.get_one("format").copied();
    let quality = matches.get_one("quality").copied();
    if format == Some(Format::Png) && quality.is_some() {
        return Err("--quality is for jpeg, and --format is png: leave one out".to_owned());
    }
    if files.len() > 1 {
        check_outputs(&files, output, format)?;
    }
    let changes = changes(matches);
    let asked = files.into_iter().map(|file| {
        let overwrite = matches.get_flag("overwrite");
        let (file, output, changes) = (file.clone(), output.clone(), changes.clone());
        let label = Some(file.display().to_string());
        Asked { label, params: Box::new(ImageParams { file, output, format, quality, changes, overwrite }) }
    });
    Ok(asked.collect())
}

/// Whether several files become as many.
fn check_outputs(files: &[&PathBuf], output: &Path, format: Option<Format>) -> Result<(), String> {
    if !is_folder(output) {
        let output = output.display();
        return Err(format!("--output {output}: several files need a folder that is there (mkdir {output})"));
    }
    let mut taken = HashMap::new();
    for &file in files {
        // A file that says by no ending what it is keeps its name.
        let name =
            format.or_else(|| Format::of_path(file)).map_or_else(|| file.clone(), |format| file_name(file, format));
        if let Some(other) = taken.insert(name.file_name().map(ToOwned::to_owned), file) {
            let (file, other) = (file.display(), other.display());
            return Err(format!("{other} and {file} would become one file in --output: give each its own folder"));
        }
    }
    Ok(())
}

fn changes(matches: &ArgMatches) -> Vec<Change> {
    let size = |name: &str| matches.get_one::<(u32, u32)>(name).copied();
    let crop = matches.get_one::<Change>("crop").copied();
    let resize = size("resize").map(|(width, height)| Change::Resize { width, height });
    let fit = size("fit").map(|(width, height)| Change::Fit { width, height });
    let flip = matches.get_one("flip").copied().map(Change::Flip);
    let rotate = matches.get_one("rotate").copied().map(Change::Rotate);
    let brightness = matches.get_one("brightness").copied().map(Change::Brightness);
    let grey = matches.get_flag("grey").then_some(Change::Grey);
    [crop, resize, fit, flip, rotate, brightness, grey].into_iter().flatten().collect()
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let size = text.split_once(['x', 'X']).and_then(|(width, height)| Some((side(width)?, side(height)?)));
    size.ok_or_else(|| "give WIDTHxHEIGHT in pixels, both at least 1, as in 256x256".to_owned())
}

fn parse_crop(text: &str) -> Result<Change, String> {
    let crop = || {
        let mut parts = text.splitn(3, ',');
        let (x, y) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (width, height) = parse_size(parts.next()?).ok()?;
        Some(Change::Crop { x, y, width, height })
    };
    crop().ok_or_else(|| "give X,Y,WIDTHxHEIGHT in pixels, as in 10,20,200x100".to_owned())
}

fn side(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&side| side > 0)
}

fn parse_flip(text: &str) -> Result<Flip, String> {
    match text {
        "horizontal" => Ok(Flip::Horizontal),
        "vertical" => Ok(Flip::Vertical),
        _ => Err("give horizontal or vertical".to_owned()),
    }
}

fn parse_turn(text: &str) -> Result<Turn, String> {
    text.parse().ok().and_then(Turn::by_degrees).ok_or_else(|| "give 90, 180 or 270".to_owned())
}

fn parse_brightness(text: &str) -> Result<i16, String> {
    let by = text.parse().ok().filter(|by| (-255..=255).contains(by));
    by.ok_or_else(|| "give a whole number from -255 to 255".to_owned())
}
