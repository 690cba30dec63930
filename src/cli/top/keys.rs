//! Keys: what the bytes of a terminal mean.

/// A key that does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// To the line before.
    Up,
    /// To the next line.
    Down,
    /// Pause the endpoint.
    Pause,
    /// Resume it.
    Resume,
    /// Its dead letters.
    DeadLetters,
    /// Its attempts.
    Attempts,
    /// Sort by another column.
    Sort,
    /// To the first page.
    Back,
    /// End.
    Quit,
}

/// The keys in what was read at once; others are passed over.
pub fn keys(bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let key = match first {
            0x1b => match after {
                [b'[' | b'O', code, tail @ ..] => {
                    rest = tail;
                    match code {
                        b'A' => Some(Key::Up),
                        b'B' => Some(Key::Down),
                        _ => None,
                    }
                }
                _ => Some(Key::Back),
            },
            b'k' => Some(Key::Up),
            b'j' => Some(Key::Down),
            b'p' => Some(Key::Pause),
            b'r' => Some(Key::Resume),
            b'd' => Some(Key::DeadLetters),
            b'a' => Some(Key::Attempts),
            b's' => Some(Key::Sort),
            b'b' | 0x7f => Some(Key::Back),
            // Ctrl-C and Ctrl-D, which mean nothing to a terminal that passes on everything.
            b'q' | 3 | 4 => Some(Key::Quit),
            _ => None,
        };
        keys.extend(key);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_are_three_bytes_and_escape_alone_is_one() {
        assert_eq!(keys(b"\x1b[A\x1bOBp"), [Key::Up, Key::Down, Key::Pause]);
        assert_eq!(keys(b"\x1b"), [Key::Back]);
        assert_eq!(keys(b"\x1b[Cx\x03"), [Key::Quit]);
    }
}
