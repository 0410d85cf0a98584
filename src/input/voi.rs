//! Which values of an image are of interest: a VOI window (DICOM PS3.3, C.11.2.1.2), and what becomes of the others.

use crate::job::shorten;

/// Which window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Voi {
    /// The first one that the file names, of each frame its own where it has one.
    OfFile,
    /// This one.
    Given(VoiWindow),
}

/// A window by its center and width, in the units of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VoiWindow {
    /// As bits, so that what was asked for can be compared and hashed; never a NaN or an infinity.
    center_bits: u64,
    width_bits: u64,
    function: VoiFunction,
}

/// How center and width give the limits of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VoiFunction {
    /// `LINEAR`, which counts whole values: as many of them lie in a window of even width around a whole center as it is wide. Around such
    /// a center limits of an odd width lie between whole values, which are one less; a width of 1 holds none.
    #[default]
    Linear,
    /// `LINEAR_EXACT`, of continuous values.
    LinearExact,
}

/// What becomes of values outside the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outside {
    /// They are missing.
    #[default]
    LeaveOut,
    /// They become the nearer limit, as on a screen.
    Clip,
}

impl VoiWindow {
    /// The window of this center and width.
    ///
    /// # Errors
    /// Where there is no such window: the width is below 1, of `LINEAR_EXACT` not above 0, or one of them is not finite.
    pub fn new(center: f64, width: f64, function: VoiFunction) -> Result<Self, String> {
        let (fits, least) = match function {
            VoiFunction::Linear => (width >= 1.0, "1 at least"),
            VoiFunction::LinearExact => (width > 0.0, "above 0"),
        };
        let window = Self { center_bits: center.to_bits(), width_bits: width.to_bits(), function };
        let (lo, hi) = window.limits();
        // So far from zero that its limits cannot be told apart, one is above the other.
        if !fits || !lo.is_finite() || !hi.is_finite() || lo > hi {
            return Err(format!(
                "no window has center {center} and width {width}: the width is {least}, and both are such that it has limits"
            ));
        }
        Ok(window)
    }

    /// The least and the greatest value inside. Of `LINEAR` these are center - 0.5 - (width - 1)/2 and
    /// center - 0.5 + (width - 1)/2: the values that the standard maps to black and to white without clipping them.
    pub fn limits(&self) -> (f64, f64) {
        let (center, width) = (f64::from_bits(self.center_bits), f64::from_bits(self.width_bits));
        let above = match self.function {
            VoiFunction::Linear => 1.0,
            VoiFunction::LinearExact => 0.0,
        };
        (center - width / 2.0, center + width / 2.0 - above)
    }
}

impl std::str::FromStr for Voi {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "file" {
            return Ok(Self::OfFile);
        }
        let numbers = text
            .split_once(',')
            .and_then(|(center, width)| Some((center.trim().parse::<f64>().ok()?, width.trim().parse::<f64>().ok()?)));
        let Some((center, width)) = numbers else {
            return Err(format!("window `{}`: use CENTER,WIDTH as in 40,400, or `file`", shorten(text)));
        };
        VoiWindow::new(center, width, VoiFunction::default()).map(Self::Given)
    }
}

impl std::str::FromStr for VoiFunction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "linear" => Ok(Self::Linear),
            "linear_exact" => Ok(Self::LinearExact),
            _ => Err(format!("window function `{}`: use linear or linear_exact", shorten(text))),
        }
    }
}

impl std::str::FromStr for Outside {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "leave_out" => Ok(Self::LeaveOut),
            "clip" => Ok(Self::Clip),
            _ => Err(format!("outside `{}`: use leave_out or clip", shorten(text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(center: f64, width: f64, function: VoiFunction) -> (f64, f64) {
        VoiWindow::new(center, width, function).unwrap().limits()
    }

    #[test]
    fn a_window_of_even_width_holds_as_many_whole_values_as_it_is_wide_and_one_of_odd_width_one_less() {
        // The examples of PS3.3, C.11.2.1.2.1.
        assert_eq!(limits(2048.0, 4096.0, VoiFunction::Linear), (0.0, 4095.0));
        assert_eq!(limits(2048.0, 1.0, VoiFunction::Linear), (2047.5, 2047.5));
        assert_eq!(limits(0.0, 100.0, VoiFunction::Linear), (-50.0, 49.0));
        assert_eq!(limits(40.0, 400.0, VoiFunction::Linear), (-160.0, 239.0));
        assert_eq!(limits(40.0, 401.0, VoiFunction::Linear), (-160.5, 239.5));
        let wholes = |width: u32| {
            let (lo, hi) = limits(40.0, width.into(), VoiFunction::Linear);
            (-500..500).filter(|whole| (lo..=hi).contains(&f64::from(*whole))).count()
        };
        assert_eq!([1, 2, 3, 400, 401].map(wholes), [0, 2, 2, 400, 400]);
        assert_eq!(limits(40.0, 400.0, VoiFunction::LinearExact), (-160.0, 240.0));
        assert_eq!(limits(0.5, 0.5, VoiFunction::LinearExact), (0.25, 0.75));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for (center, width, function) in [
            (0.0, 0.5, VoiFunction::Linear),
            (0.0, 0.0, VoiFunction::LinearExact),
            (0.0, -5.0, VoiFunction::Linear),
            (f64::NAN, 5.0, VoiFunction::Linear),
            (0.0, f64::INFINITY, VoiFunction::LinearExact),
            (f64::MAX, f64::MAX, VoiFunction::Linear),
            (4_503_599_627_370_498.0, 1.0, VoiFunction::Linear),
        ] {
            let error = VoiWindow::new(center, width, function).unwrap_err();
            assert!(error.contains("width"), "{error}");
        }
    }

    #[test]
    fn windows_are_written_as_center_and_width_or_taken_from_the_file() {
        let given = |center, width| Voi::Given(VoiWindow::new(center, width, VoiFunction::Linear).unwrap());
        assert_eq!("file".parse(), Ok(Voi::OfFile));
        assert_eq!("-600,1500".parse(), Ok(given(-600.0, 1500.0)));
        assert_eq!("40, 4e2".parse(), Ok(given(40.0, 400.0)));
        for text in ["", "40", "40,", "x,400", "40,400,3", "40,0"] {
            assert!(text.parse::<Voi>().is_err(), "{text}");
        }
        assert_eq!(("clip".parse(), "leave_out".parse()), (Ok(Outside::Clip), Ok(Outside::LeaveOut)));
        assert!("keep".parse::<Outside>().unwrap_err().contains("leave_out or clip"));
        assert!("sigmoid".parse::<VoiFunction>().unwrap_err().contains("linear_exact"));
    }
}
