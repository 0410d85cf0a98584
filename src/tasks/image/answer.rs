//! What a job of an image ends with.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::kernels::Answer;
use crate::tasks::image::Format;

/// A picture that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageAnswer {
    pub(super) file: PathBuf,
    pub(super) output: PathBuf,
    pub(super) format: Format,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bytes: u64,
}

impl ImageAnswer {
    /// The file that was read.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The file that was written.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// What it was written as.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The width of what was written, in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Its height, in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The size of the file that was written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Answer for ImageAnswer {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"{\"file\":")?;
        serde_json::to_writer(&mut *out, &self.file.to_string_lossy())?;
        out.write_all(b",\"output\":")?;
        serde_json::to_writer(&mut *out, &self.output.to_string_lossy())?;
        write!(out, ",\"width\":{},\"height\":{},\"bytes\":{}}}", self.width, self.height, self.bytes)
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let output = self.output.to_string_lossy();
        let output = crate::report::visible(&output);
        writeln!(out, "{output}: {} x {} pixels, {} bytes", self.width, self.height, self.bytes)
    }

    fn summary(&self) -> String {
        format!("{}x{} {}", self.width, self.height, self.format.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_renders_as_json_text_and_summary() {
        let answer = ImageAnswer {
            file: "a\"b.png".into(),
            output: "out/\u{1b}[31m.jpg".into(),
            format: Format::Jpeg,
            width: 3,
            height: 4,
            bytes: 56,
        };
        let (mut json, mut text) = (Vec::new(), Vec::new());
        answer.write_json(&mut json).unwrap();
        answer.write_text(&mut text).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let expected =
            serde_json::json!({"file":"a\"b.png","output":"out/\u{1b}[31m.jpg","width":3,"height":4,"bytes":56});
        assert_eq!(json, expected);
        let text = String::from_utf8(text).unwrap();
        assert!(text.ends_with(": 3 x 4 pixels, 56 bytes\n") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(answer.summary(), "3x4 jpeg");
    }
}
