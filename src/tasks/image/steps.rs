//! The fields of a job of an image that are more than a string or a number.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::job::shorten;
use crate::tasks::image::params::MAX_CHANGES;
use crate::tasks::image::{Change, Flip, Format, Turn};

/// `"png"` or `"jpeg"`.
pub(super) struct FormatField(pub Format);

impl<'de> Deserialize<'de> for FormatField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = FormatField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"png\" or \"jpeg\" for `format`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<FormatField, E> {
                text.parse().map(FormatField).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// A whole number from 1 to 100.
pub(super) struct Quality(pub u8);

impl<'de> Deserialize<'de> for Quality {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Quality;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 1 to 100 for `quality`")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Quality, E> {
                match u8::try_from(number) {
                    Ok(quality @ 1..=100) => Ok(Quality(quality)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Unsigned(number), &self)),
                }
            }
        }
        deserializer.deserialize_u64(Number)
    }
}

/// A list of changes.
#[derive(Default)]
pub(super) struct Steps(pub Vec<Change>);

impl<'de> Deserialize<'de> for Steps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Steps;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list for `steps`, as in [{\"fit\":[256,256]},{\"grey\":true}]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Steps, A::Error> {
                let mut changes = Vec::new();
                while let Some(OneStep(change)) = elements.next_element()? {
                    if changes.len() == MAX_CHANGES {
                        return Err(A::Error::custom(format!("more than {MAX_CHANGES} steps: split the job")));
                    }
                    changes.extend(change);
                }
                Ok(Steps(changes))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// One object of the list; `{"grey":false}` changes nothing.
struct OneStep(Option<Change>);

impl<'de> Deserialize<'de> for OneStep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = OneStep;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one step, as in {\"resize\":[256,256]}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OneStep, A::Error> {
                let Some(name) = map.next_key::<String>()? else {
                    return Err(A::Error::custom(format!("an empty step: give one of {NAMES}")));
                };
                let change = read(&name, &mut map)?;
                match map.next_key::<String>()? {
                    None => Ok(OneStep(change)),
                    Some(second) => Err(A::Error::custom(format!(
                        "`{}` and `{}` in one step: write two objects, in the order that is meant",
                        shorten(&name),
                        shorten(&second)
                    ))),
                }
            }
        }
        deserializer.deserialize_map(Object)
    }
}

const NAMES: &str = "resize, fit, crop, flip, rotate, brightness, grey";

fn read<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Option<Change>, A::Error> {
    let wrong = |message: &str| Err(A::Error::custom(format!("{name}: {message}")));
    let change = match name {
        "resize" | "fit" => match map.next_value::<Vec<u32>>()?[..] {
            [width @ 1..=u32::MAX, height @ 1..=u32::MAX] if name == "fit" => Change::Fit { width, height },
            [width @ 1..=u32::MAX, height @ 1..=u32::MAX] => Change::Resize { width, height },
            _ => return wrong("give [width, height], both at least 1"),
        },
        "crop" => match map.next_value::<Vec<u32>>()?[..] {
            [x, y, width @ 1..=u32::MAX, height @ 1..=u32::MAX] => Change::Crop { x, y, width, height },
            _ => return wrong("give [x, y, width, height], the last two at least 1"),
        },
        "flip" => match &*map.next_value::<String>()? {
            "horizontal" => Change::Flip(Flip::Horizontal),
            "vertical" => Change::Flip(Flip::Vertical),
            _ => return wrong("give \"horizontal\" or \"vertical\""),
        },
        "rotate" => match Turn::by_degrees(map.next_value()?) {
            Some(turn) => Change::Rotate(turn),
            None => return wrong("give 90, 180 or 270, clockwise"),
        },
        "brightness" => match map.next_value()? {
            by @ -255..=255 => Change::Brightness(by),
            _ => return wrong("give a whole number from -255 to 255"),
        },
        "grey" => return Ok(map.next_value::<bool>()?.then_some(Change::Grey)),
        _ => return Err(A::Error::custom(format!("unknown step `{}`: one of {NAMES}", shorten(name)))),
    };
    Ok(Some(change))
}
