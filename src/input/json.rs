//! A JSON array of numbers (RFC 8259), read as it streams by. `null` and the string "NaN" are NaN; the infinities are the
//! strings "Infinity" and "-Infinity".

use std::io::Read;
use std::sync::Arc;

use crate::input::bytes::MEMORY_LIMIT_BYTES;
use crate::input::decimal::number;
use crate::input::excerpt::excerpt;
use crate::input::spool::Spool;
use crate::input::window::Window;
use crate::input::{DType, Source};
use crate::job::JobError;

/// Far longer than any number that was meant as one.
const TOKEN_BYTES_MAX: usize = 4 << 10;

/// Reads the array that `stream` holds; gives it with how many bytes it takes.
pub(crate) fn read(name: &str, stream: &mut dyn Read) -> Result<(Arc<dyn Source>, u64), JobError> {
    let mut window = Window::new(name, stream);
    window.skip_byte_order_mark()?;
    let mut spool = Spool::new(name, 1, MEMORY_LIMIT_BYTES);
    let mut reader = Reader { name, window, line: 1, column: 1 };
    reader.array(&mut spool)?;
    let (mut columns, decoded_bytes) = spool.finish(DType::F64)?;
    Ok((columns.swap_remove(0), decoded_bytes))
}

struct Reader<'s> {
    name: &'s str,
    window: Window<'s>,
    /// Where the window begins, both from 1; the column in bytes.
    line: u64,
    column: u64,
}

impl Reader<'_> {
    fn array(&mut self, spool: &mut Spool<'_>) -> Result<(), JobError> {
        match self.peek()? {
            Some(b'[') => self.advance(1),
            None => return self.fault("ends before its value: a JSON array of numbers was expected"),
            Some(b'{') => return self.fault("is an object: a JSON array of numbers was expected"),
            Some(_) => return self.fault("is no array: a JSON array of numbers was expected"),
        }
        if self.peek()? == Some(b']') {
            self.advance(1);
        } else {
            loop {
                let value = self.value()?;
                spool.push(0, value.to_bits());
                spool.settle()?;
                match self.peek()? {
                    Some(b',') => self.advance(1),
                    Some(b']') => {
                        self.advance(1);
                        break;
                    }
                    None => return self.fault("the array does not end: `]` is missing"),
                    Some(_) => return self.fault("`,` or `]` was expected"),
                }
            }
        }
        match self.peek()? {
            None => Ok(()),
            Some(_) => self.fault("nothing may follow the array: put all numbers into one"),
        }
    }

    fn fault<T>(&self, what: impl std::fmt::Display) -> Result<T, JobError> {
        Err(JobError::bad_input(format!("{}: line {}, column {}: {what}", self.name, self.line, self.column)))
    }

    fn advance(&mut self, len: usize) {
        self.window.consume(len);
        self.column += len as u64;
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Result<Option<u8>, JobError> {
        loop {
            match self.window.bytes().first() {
                Some(b'\n') => {
                    self.window.consume(1);
                    self.line += 1;
                    self.column = 1;
                }
                Some(b' ' | b'\t' | b'\r') => self.advance(1),
                Some(&byte) => return Ok(Some(byte)),
                None if self.window.is_last() => return Ok(None),
                None => self.window.widen()?,
            }
        }
    }

    /// Brings a whole token into view and gives its length: up to the first byte that `ends` it.
    fn token_len(&mut self, ends: impl Fn(u8) -> bool) -> Result<usize, JobError> {
        let mut len = 0;
        loop {
            let bytes = self.window.bytes();
            while len < bytes.len() && !ends(bytes[len]) {
                len += 1;
            }
            if len < bytes.len() || self.window.is_last() {
                return Ok(len);
            }
            if len > TOKEN_BYTES_MAX {
                return self.fault(format_args!("`{}` is too long for a number", excerpt(bytes)));
            }
            self.window.widen()?;
        }
    }

    fn value(&mut self) -> Result<f64, JobError> {
        match self.peek()? {
            Some(b'"') => self.string(),
            Some(b'[') => self.fault("an array in the array: only a flat array of numbers is read"),
            Some(b'{') => self.fault("an object in the array: only a flat array of numbers is read"),
            Some(b',' | b']') => self.fault("a number is missing here"),
            None => self.fault("the array does not end: `]` is missing"),
            Some(_) => {
                let len = self.token_len(|byte| matches!(byte, b',' | b']' | b'[' | b'{' | b'"') || byte <= b' ')?;
                let token = &self.window.bytes()[..len];
                let value = if token == b"null" { Some(f64::NAN) } else { json_number(token) };
                let Some(value) = value else {
                    return self.fault(format_args!("`{}` is not a number", excerpt(token)));
                };
                if value.is_infinite() {
                    return self.fault(format_args!(
                        "`{}` does not fit an f64: write \"Infinity\" if that is meant",
                        excerpt(token)
                    ));
                }
                self.advance(len);
                Ok(value)
            }
        }
    }

    fn string(&mut self) -> Result<f64, JobError> {
        self.advance(1);
        let len = self.token_len(|byte| byte == b'"' || byte < b' ')?;
        let string = &self.window.bytes()[..len];
        let value = match string {
            b"NaN" => f64::NAN,
            b"Infinity" => f64::INFINITY,
            b"-Infinity" => f64::NEG_INFINITY,
            _ => {
                return self.fault(format_args!(
                    "the string `{}` is no number: only \"NaN\", \"Infinity\" and \"-Infinity\" are read as such",
                    excerpt(string)
                ));
            }
        };
        if self.window.bytes().get(len) != Some(&b'"') {
            return self.fault("this string does not end");
        }
        self.advance(len + 1);
        Ok(value)
    }
}

/// The value of a JSON number, correctly rounded; `None` where `token` is none.
fn json_number(token: &[u8]) -> Option<f64> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = token.strip_prefix(b"-").unwrap_or(token);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return None;
    }
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let len = digits(fraction);
        rest = (len > 0).then(|| &fraction[len..])?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let len = digits(exponent);
        rest = (len > 0).then(|| &exponent[len..])?;
    }
    if !rest.is_empty() {
        return None;
    }
    number(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::window::tests::Dribble;
    use crate::input::{Element, Scratch};

    fn values(source: &Arc<dyn Source>) -> Vec<f64> {
        let mut scratch = Scratch::default();
        let read = source.read(0..source.len(), &mut scratch).unwrap();
        f64::unwrap(&read).unwrap().to_vec()
    }

    #[test]
    fn an_array_is_read_however_the_stream_is_cut() {
        let text = b" [1, -2.5e-3,\n null ,\"NaN\",\t\"Infinity\",\"-Infinity\",-0,0.1,\r\n9007199254740993 ]\n";
        let expected =
            [1.0, -2.5e-3, f64::NAN, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.1, 9007199254740992.0];
        for step in [1, 2, 3, 1000] {
            let (source, _) = read("v.json", &mut Dribble(text, step)).unwrap();
            let bits: Vec<u64> = values(&source).iter().map(|value| value.to_bits()).collect();
            assert_eq!(bits, expected.map(f64::to_bits), "step {step}");
        }
        assert!(values(&read("v.json", &mut &b"[]"[..]).unwrap().0).is_empty());
    }

    #[test]
    fn what_is_no_flat_array_of_numbers_is_refused_with_its_place() {
        let long = [b"[1,".as_slice(), &b"1".repeat(1 << 20)].concat();
        let deep = b"[".repeat(1 << 20);
        let cases: [(&[u8], &str); 22] = [
            (b"", "line 1, column 1: ends"),
            (b"  \n ", "line 2, column 2: ends"),
            (b"{\"a\":1}", "line 1, column 1: is an object"),
            (b"1", "line 1, column 1: is no array"),
            (b"[1,\n [2]]", "line 2, column 2: an array in the array"),
            (b"[{}]", "line 1, column 2: an object in the array"),
            (b"[1,]", "line 1, column 4: a number is missing"),
            (b"[,1]", "line 1, column 2: a number is missing"),
            (b"[1", "line 1, column 3: the array does not end"),
            (b"[1,", "line 1, column 4: the array does not end"),
            (b"[1 2]", "line 1, column 4: `,` or `]`"),
            (b"[1]x", "line 1, column 4: nothing may follow"),
            (b"[1][2]", "line 1, column 4: nothing may follow"),
            (b"[NaN]", "line 1, column 2: `NaN` is not a number"),
            (b"[true]", "line 1, column 2: `true` is not a number"),
            (b"[01]", "line 1, column 2: `01` is not a number"),
            (b"[1.]", "line 1, column 2: `1.` is not a number"),
            (b"[1e999]", "line 1, column 2: `1e999` does not fit an f64"),
            (b"[\"nan\"]", "line 1, column 3: the string `nan` is no number"),
            (b"[\"NaN", "line 1, column 3: this string does not end"),
            (&long, "line 1, column 4: `1111111111111111111111111111111111111111\u{2026}` is too long"),
            (&deep, "line 1, column 2: an array in the array"),
        ];
        for (text, expected) in cases {
            let message = read("v.json", &mut &text[..]).unwrap_err().message;
            assert!(message.starts_with(&format!("v.json: {expected}")), "{expected} expected: {message}");
        }
        assert!(read("v.json", &mut &b"[\xff]"[..]).unwrap_err().message.contains("`\u{fffd}` is not a number"));
    }
}
