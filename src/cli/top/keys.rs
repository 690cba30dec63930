//! Keys: what the bytes of a terminal mean.

use super::list::Step;

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Through a list or a text.
    Move(Step),
    /// A closer look at what is chosen.
    Open,
    /// To the other list.
    Turn,
    /// Pause the endpoint.
    Pause,
    /// Resume it.
    Resume,
    /// Its dead letters.
    DeadLetters,
    /// Its attempts.
    Attempts,
    /// Every problem in full.
    Problems,
    /// Sort by the next column.
    SortNext,
    /// Sort by the column before.
    SortBefore,
    /// Sort the other way round.
    Reverse,
    /// What the keys are.
    Help,
    /// To the page before.
    Back,
    /// Draw everything anew.
    Redraw,
    /// End.
    Quit,
    /// One without a meaning of its own.
    Unknown,
}

/// The first key in `bytes`, and how many bytes it takes. `None` when the bytes are the beginning of
/// a key whose end may still come.
pub fn first_key(bytes: &[u8]) -> Option<(Key, usize)> {
    match bytes {
        [] | [0x1b] | [0x1b, b'[' | b'O'] => None,
        [0x1b, b'O', code, ..] => Some((named(*code, b""), 3)),
        [0x1b, b'[', rest @ ..] => {
            // Parameters, then a letter or a tilde; whatever else ends a broken one.
            let length = rest.iter().position(|byte| !(0x20..0x40).contains(byte))?;
            let (parameters, code) = rest.split_at_checked(length)?;
            Some((named(*code.first()?, parameters), length + 3))
        }
        [0x1b, ..] => Some((Key::Back, 1)),
        [first, ..] => Some((plain(*first), 1)),
    }
}

fn named(code: u8, parameters: &[u8]) -> Key {
    match (code, parameters) {
        (b'A', _) => Key::Move(Step::Up),
        (b'B', _) => Key::Move(Step::Down),
        (b'C', _) => Key::SortNext,
        (b'D', _) => Key::SortBefore,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Move(Step::First),
        (b'F', _) | (b'~', b"4" | b"8") => Key::Move(Step::Last),
        (b'~', b"5") => Key::Move(Step::PageUp),
        (b'~', b"6") => Key::Move(Step::PageDown),
        // F1 of xterm, of the others, of the Linux console (whose end is passed over).
        (b'P', _) | (b'~', b"11") | (b'[', _) => Key::Help,
        (b'M', _) => Key::Open,
        (b'Z', _) => Key::Turn,
        _ => Key::Unknown,
    }
}

fn plain(byte: u8) -> Key {
    let control = |letter: u8| letter & 0x1f;
    match byte {
        b'k' => Key::Move(Step::Up),
        b'j' => Key::Move(Step::Down),
        b' ' => Key::Move(Step::PageDown),
        b'g' => Key::Move(Step::First),
        b'G' => Key::Move(Step::Last),
        b'\r' | b'\n' => Key::Open,
        b'\t' => Key::Turn,
        b'p' => Key::Pause,
        b'r' => Key::Resume,
        b'd' => Key::DeadLetters,
        b'a' => Key::Attempts,
        b'!' => Key::Problems,
        b's' | b'>' => Key::SortNext,
        b'<' => Key::SortBefore,
        b'S' => Key::Reverse,
        b'?' | b'h' => Key::Help,
        b'b' | 0x7f | 8 => Key::Back,
        b'q' | b'Q' => Key::Quit,
        byte if byte == control(b'F') => Key::Move(Step::PageDown),
        byte if byte == control(b'B') => Key::Move(Step::PageUp),
        byte if byte == control(b'L') => Key::Redraw,
        byte if byte == control(b'C') || byte == control(b'D') => Key::Quit,
        _ => Key::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(mut bytes: &[u8]) -> (Vec<Key>, usize) {
        let mut keys = Vec::new();
        while let Some((key, count)) = first_key(bytes) {
            keys.push(key);
            bytes = &bytes[count..];
        }
        (keys, bytes.len())
    }

    #[test]
    fn keys_are_known_by_the_bytes_of_every_common_terminal() {
        let (up, down) = (Key::Move(Step::Up), Key::Move(Step::Down));
        let (first, last) = (Key::Move(Step::First), Key::Move(Step::Last));
        let pages = [Key::Move(Step::PageUp), Key::Move(Step::PageDown)];
        let table: [(&[u8], &[Key]); 12] = [
            (b"\x1b[A\x1bOBp", &[up, down, Key::Pause]),
            (b"\x1b[H\x1b[1~\x1bOH\x1b[7~", &[first; 4]),
            (b"\x1b[F\x1b[4~\x1bOF\x1b[8~", &[last; 4]),
            (b"\x1b[5~\x1b[6~", &pages),
            (b"\x1bOP\x1b[11~?", &[Key::Help; 3]),
            (b"\x1b[1;5A", &[up]),
            (b"\x1b[Z\t", &[Key::Turn; 2]),
            (b"\x1b[C\x1b[D", &[Key::SortNext, Key::SortBefore]),
            (b"\x1bq", &[Key::Back, Key::Quit]),
            (b"\x03\x04q", &[Key::Quit; 3]),
            (b"\r\n\x0c", &[Key::Open, Key::Open, Key::Redraw]),
            (b"\x1b[200~x\xff\x00", &[Key::Unknown; 4]),
        ];
        for (bytes, expected) in table {
            assert_eq!(keys(bytes), (expected.to_vec(), 0), "{bytes:?}");
        }
    }

    #[test]
    fn a_key_that_has_only_begun_is_waited_for() {
        for bytes in [&b"\x1b"[..], b"\x1b[", b"\x1bO", b"\x1b[1", b"\x1b[1;"] {
            assert_eq!(keys(bytes), (vec![], bytes.len()), "{bytes:?}");
        }
        assert_eq!(keys(b"p\x1b["), (vec![Key::Pause], 2));
    }

    #[test]
    fn no_bytes_are_waited_on_for_ever_or_read_past_their_end() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let length = random.usize(1..9);
            let bytes: Vec<u8> = (0..length)
                .map(|_| *random.choice(b"\x1b[O1;~ABp \xc3\x80").unwrap())
                .collect();
            if let Some((_, count)) = first_key(&bytes) {
                assert!((1..=bytes.len()).contains(&count), "{bytes:?}");
            }
        }
    }
}
