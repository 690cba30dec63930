//! Decoder: how a switch's bytes become text, before anything is split.
//!
//! The second byte of a GBK or Big5 character may be `|` or `\`: splitting first would cut
//! characters in two.

use encoding_rs::Encoding;
use std::borrow::Cow;

/// The mark some programs put before UTF-8 text.
pub const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// Decodes one character encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder(&'static Encoding);

impl Decoder {
    /// UTF-8.
    pub const UTF_8: Decoder = Decoder(encoding_rs::UTF_8);

    /// The decoder of the encoding that the WHATWG Encoding Standard knows as `label`.
    ///
    /// # Errors
    ///
    /// What to write instead, for unknown labels and for encodings in which a line end is not the
    /// byte 0x0A (UTF-16).
    pub fn for_label(label: &str) -> Result<Decoder, String> {
        const SOME: &str =
            "write utf-8, gbk, gb18030, big5, shift_jis, euc-kr, windows-1251 or latin1";
        match Encoding::for_label(label.as_bytes()) {
            None => Err(format!("the encoding {label:?} is not known; {SOME}")),
            Some(encoding) if !encoding.is_ascii_compatible() => Err(format!(
                "lines cannot be found in {} files; have the switch write UTF-8, or {SOME}",
                encoding.name()
            )),
            Some(encoding) => Ok(Decoder(encoding)),
        }
    }

    /// The encoding's standard name.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The text of `bytes`, with U+FFFD for what is not text; and whether there was any such.
    pub fn decode<'b>(&self, bytes: &'b [u8]) -> (Cow<'b, str>, bool) {
        self.0.decode_without_bom_handling(bytes)
    }
}

/// Whether `line` looks like UTF-16: it begins with that encoding's mark, or every other byte is
/// NUL.
pub(super) fn is_utf16(line: &[u8]) -> bool {
    const PAIRS_MIN: usize = 8;
    if line.starts_with(b"\xFF\xFE") || line.starts_with(b"\xFE\xFF") {
        return true;
    }
    let nuls = |from: usize| {
        line.iter()
            .skip(from)
            .step_by(2)
            .filter(|byte| **byte == 0)
            .count()
    };
    let pairs = line.len() / 2;
    let most = nuls(0).max(nuls(1));
    // Half of the pairs, for characters beyond Latin have no NUL; and not both halves, as in a hole.
    pairs >= PAIRS_MIN && most * 2 > pairs && nuls(0).min(nuls(1)) * 4 < pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gbk_character_whose_second_byte_is_a_pipe_stays_whole() {
        let gbk = Decoder::for_label("gbk").unwrap();
        let (text, flawed) = gbk.decode(b"\x95|1");
        assert_eq!((text.chars().count(), flawed), (2, false));
        assert!(!text.contains('|'));
    }

    #[test]
    fn bytes_that_are_no_text_are_marked_not_dropped() {
        assert_eq!(
            Decoder::UTF_8.decode(b"a\xFFb"),
            (Cow::from("a\u{FFFD}b"), true)
        );
    }

    #[test]
    fn utf_16_is_seen_in_any_line_of_a_file() {
        let wide =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let text = "\u{FEFF}\"100\",\"200\",7\r\n\"101\",\"201\",8\r\n";
        for line in wide(text).split_inclusive(|byte| *byte == b'\n').take(2) {
            assert!(is_utf16(line), "{line:?}");
        }
        for line in [&b"a,b,c,d,e,f,g,h,i,j,k,l\n"[..], &[0; 64], b"\0\0"] {
            assert!(!is_utf16(line), "{line:?}");
        }
    }

    #[test]
    fn encodings_without_plain_line_ends_are_refused() {
        for label in ["utf-16", "utf-16le", "ebcdic"] {
            assert!(Decoder::for_label(label).is_err(), "{label}");
        }
    }
}
