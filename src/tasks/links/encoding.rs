//! Which character encoding a page is in, as browsers find out (the Encoding Standard and the HTML Standard, "determining
//! the character encoding"): a byte order mark, else the server's word, else the page's own, else what it looks like.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use html5gum::{Token, Tokenizer};

/// A page names its encoding within its first bytes, so many.
const PRESCAN_BYTES: usize = 1024;

/// The text of a page, and the encoding that it was in.
pub(super) fn decode(bytes: &[u8], charset: Option<&str>) -> (String, &'static Encoding) {
    let encoding = Encoding::for_bom(bytes)
        .map(|(encoding, _)| encoding)
        .or_else(|| charset.and_then(|label| Encoding::for_label(label.as_bytes())))
        .or_else(|| declared(&bytes[..bytes.len().min(PRESCAN_BYTES)]))
        .unwrap_or_else(|| if std::str::from_utf8(bytes).is_ok() { UTF_8 } else { WINDOWS_1252 });
    let (text, _) = encoding.decode_with_bom_removal(bytes);
    (text.into_owned(), encoding)
}

/// The encoding that a page's `<meta>` names.
fn declared(start: &[u8]) -> Option<&'static Encoding> {
    Tokenizer::new(start).find_map(|Ok(token)| {
        let Token::StartTag(tag) = token else { return None };
        if *tag.name != b"meta" {
            return None;
        }
        let attribute = |name: &[u8]| tag.attributes.get(name).map(|value| &***value);
        let label = match attribute(b"charset") {
            Some(charset) => charset,
            None if attribute(b"http-equiv")?.eq_ignore_ascii_case(b"content-type") => {
                charset_of(std::str::from_utf8(attribute(b"content")?).ok()?)?.as_bytes()
            }
            None => return None,
        };
        // A page that could be read so far is in no encoding of two bytes a letter, whatever it says.
        Encoding::for_label(label).map(|encoding| if encoding.is_ascii_compatible() { encoding } else { UTF_8 })
    })
}

/// The charset of a content type: `text/html; charset="utf-8"`.
pub(super) fn charset_of(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn decoded(bytes: &[u8], charset: Option<&str>, text: &str, name: &str) {
        let (found, encoding) = decode(bytes, charset);
        assert!(found.contains(text), "{found}");
        assert_eq!(encoding.name(), name);
    }

    #[test]
    fn a_byte_order_mark_wins_over_the_server_and_the_server_over_the_page() {
        decoded(b"\xEF\xBB\xBF<meta charset=koi8-r>\xC3\xA9", Some("windows-1251"), "é", "UTF-8");
        decoded(b"\xFF\xFE\xE9\x00", Some("utf-8"), "é", "UTF-16LE");
        decoded(b"<meta charset=koi8-r>\xE9", Some("windows-1251"), "й", "windows-1251");
        decoded(b"<meta charset=koi8-r>\xC9", None, "и", "KOI8-R");
        decoded(b"<meta charset=koi8-r>\xC9", Some("no such encoding"), "и", "KOI8-R");
    }

    #[test]
    fn a_page_may_name_its_encoding_in_the_older_way() {
        let page = b"<title>x</title><META content='text/html; CharSet=\"Shift_JIS\"' http-equiv=Content-Type>\x82\xA0";
        decoded(page, None, "あ", "Shift_JIS");
        decoded(b"<!-- <meta charset=koi8-r> --><meta name=charset content=koi8-r>\xE9", None, "é", "windows-1252");
    }

    #[test]
    fn a_page_that_names_no_encoding_is_utf_8_where_it_can_be() {
        decoded("é".as_bytes(), None, "é", "UTF-8");
        decoded(b"\xE9", None, "é", "windows-1252");
        decoded(b"", None, "", "UTF-8");
        decoded("<meta charset=utf-16>é".as_bytes(), None, "é", "UTF-8");
        let far = [b" ".repeat(PRESCAN_BYTES), b"<meta charset=koi8-r>\xE9".to_vec()].concat();
        decoded(&far, None, "é", "windows-1252");
    }

    #[test]
    fn the_charset_of_a_content_type_is_found_in_any_case_and_quoting() {
        assert_eq!(charset_of("text/html; Charset=\"utf-8\""), Some("utf-8"));
        assert_eq!(charset_of("text/html;a=b;charset=x"), Some("x"));
        assert_eq!(charset_of("text/html"), None);
        assert_eq!(charset_of("charset=x"), None);
    }
}
