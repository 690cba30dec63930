//! One line: text from anywhere, made harmless for a log or a terminal and bounded.

use std::fmt::{self, Display, Write};

/// Stands for what was cut off.
const ELLIPSIS: char = '…';

/// Writes `text` as one line of at most `bytes_max` bytes (at least 3).
///
/// Whatever could begin a line, drive a terminal or turn the reading direction is replaced by
/// its escape, such as `\n` or `\u{1b}`, so a field of a call record cannot forge a log line.
/// Backslashes stay: doubling them would spoil values that were quoted before. A text that is
/// too long is cut between two characters and ends in `…`.
pub fn one_line(text: impl Display, bytes_max: usize) -> String {
    let mut line = OneLine {
        text: String::new(),
        bytes_max,
    };
    // An error means the line is full; what is beyond is cut anyway.
    let _full = write!(line, "{text}");
    line.finish()
}

/// Takes text in pieces and stops taking it soon after `bytes_max`, so that an endless value
/// costs no memory.
struct OneLine {
    text: String,
    bytes_max: usize,
}

impl Write for OneLine {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        for character in piece.chars() {
            if self.text.len() > self.bytes_max {
                return Err(fmt::Error);
            }
            if is_harmless(character) {
                self.text.push(character);
            } else {
                self.text.extend(character.escape_default());
            }
        }
        Ok(())
    }
}

impl OneLine {
    fn finish(mut self) -> String {
        if self.text.len() > self.bytes_max {
            let mut end = self.bytes_max.saturating_sub(ELLIPSIS.len_utf8());
            while !self.text.is_char_boundary(end) {
                end -= 1;
            }
            self.text.truncate(end);
            self.text.push(ELLIPSIS);
        }
        self.text
    }
}

/// Whether a character shows as itself and stays where it is: no control character (C0, DEL,
/// C1), no line or paragraph separator, none of Unicode's direction marks (UAX #9, section 2).
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, bytes_max: usize, expected: &str) {
        assert_eq!(
            one_line(text, bytes_max),
            expected,
            "{text:?} in {bytes_max} bytes"
        );
    }

    #[test]
    fn a_value_cannot_begin_a_line_or_drive_a_terminal() {
        check("a\nroot: b\r\0", 99, r"a\nroot: b\r\u{0}");
        check("\u{1b}[2J\t\u{9b}", 99, r"\u{1b}[2J\t\u{9b}");
        check("x\u{2028}y\u{202e}z", 99, r"x\u{2028}y\u{202e}z");
    }

    #[test]
    fn ordinary_text_in_any_script_stays_as_it_is() {
        check(
            r#"first="cdr\\x" 张三 ☎ 🎉"#,
            99,
            r#"first="cdr\\x" 张三 ☎ 🎉"#,
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        check("abcdef", 6, "abcdef");
        check("abcdefg", 6, "abc…");
        check("abéé", 6, "abéé");
        check("abééé", 6, "ab…");
        check("🎉🎉🎉", 9, "🎉…");
    }

    #[test]
    fn an_endless_value_is_given_up_once_the_line_is_full() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("all work and no play ")?;
                }
            }
        }
        assert_eq!(one_line(Endless, 12), "all work …");
    }
}
