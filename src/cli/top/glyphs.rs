//! Glyphs: what is drawn on a terminal that has only ASCII.

use ratatui_core::buffer::Buffer;

/// Whether the terminal shows UTF-8, as far as its environment tells: the first of `LC_ALL`,
/// `LC_CTYPE` and `LANG` that is set names it. The font of the Linux console has no eighths of a
/// block, whatever the locale.
pub fn has_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locales = ["LC_ALL", "LC_CTYPE", "LANG"];
    let mut set = locales.into_iter().filter_map(&variable);
    let locale = set.find(|value| !value.is_empty()).unwrap_or_default();
    let charset = locale.to_ascii_lowercase();
    let is_console = variable("TERM").is_some_and(|term| term == "linux");
    (charset.contains("utf-8") || charset.contains("utf8")) && !is_console
}

/// Replaces everything beyond ASCII by what says nearly the same.
pub fn to_ascii(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if cell.symbol().is_ascii() {
            continue;
        }
        let ascii = match cell.symbol() {
            "▁" => ".",
            "▂" => ":",
            "▃" => "-",
            "▄" => "=",
            "▅" => "+",
            "▆" => "*",
            "▇" => "%",
            "█" => "#",
            "─" => "-",
            "│" => "|",
            "┌" | "┐" | "└" | "┘" => "+",
            "↑" => "^",
            "↓" => "v",
            "…" => "~",
            "·" => ".",
            _ => "?",
        };
        cell.set_symbol(ascii);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_says_whether_there_is_utf8_and_the_first_that_is_set_counts() {
        let table: [(&[(&str, &str)], bool); 8] = [
            (&[], false),
            (&[("LANG", "en_GB.UTF-8")], true),
            (&[("LANG", "C.utf8")], true),
            (&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")], false),
            (&[("LANG", "C"), ("LC_CTYPE", "C.UTF-8")], true),
            (&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "")], true),
            (&[("LANG", "zh_CN.GB18030")], false),
            (&[("LANG", "en_GB.UTF-8"), ("TERM", "linux")], false),
        ];
        for (environment, expected) in table {
            let found = has_utf8(|name| {
                let mut set = environment.iter();
                set.find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_string())
            });
            assert_eq!(found, expected, "{environment:?}");
        }
    }

    #[test]
    fn nothing_beyond_ascii_is_left() {
        let mut buffer = Buffer::with_lines(["┌─▁▂▃▄▅▆▇█│…↑↓·é漢 ok"]);
        to_ascii(&mut buffer);
        assert_eq!(buffer, Buffer::with_lines(["+-.:-=+*%#|~^v.??  ok"]));
    }
}
