//! What is told of a recording: where it is, how long it is, and what its name says.

use super::json::{self, Object};
use super::shape::Field;
use super::{Event, Labels, id};
use crate::clock::UnixMs;
use crate::timestamp::Timestamp;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Most parts that a name is taken apart into.
const PARTS_MAX: usize = 16;

/// A finished file.
#[derive(Debug, Clone)]
pub struct Recording<'f> {
    /// Its path from the source's directory on.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// When it was written to last.
    pub ended: UnixMs,
    /// Its first bytes: some kilobytes.
    pub head: &'f [u8],
}

/// How names are made: `{caller_id}-{called_id}-{call_id}.wav`.
///
/// Each part goes up to the next occurrence of the text that follows it, the last one to the last:
/// a part that may hold that text itself has to be the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameParts {
    /// Text before the first part.
    begin: String,
    /// Each part's name, and the text behind it.
    parts: Vec<(String, String)>,
}

impl NameParts {
    /// The names of the parts, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|(name, _)| name.as_str())
    }

    /// What the parts of `name` say, in order; `None` where the name is not made so.
    fn of<'n>(&self, name: &'n str) -> Option<Vec<&'n str>> {
        let mut rest = name.strip_prefix(self.begin.as_str())?;
        let mut values = Vec::with_capacity(self.parts.len());
        let last = self.parts.len().checked_sub(1)?;
        for (index, (_, behind)) in self.parts.iter().enumerate() {
            let end = if index == last {
                rest.len().checked_sub(behind.len())?
            } else {
                rest.find(behind.as_str())?
            };
            let (value, found) = rest.split_at_checked(end)?;
            rest = found.strip_prefix(behind.as_str())?;
            values.push(value);
        }
        rest.is_empty().then_some(values)
    }
}

impl FromStr for NameParts {
    type Err = String;

    fn from_str(text: &str) -> Result<NameParts, String> {
        const LIKE: &str = "write like \"{caller_id}-{called_id}-{call_id}.wav\"";
        let mut pieces = text.split('{');
        let begin = pieces.next().unwrap_or_default().to_string();
        let mut parts: Vec<(String, String)> = Vec::new();
        for piece in pieces {
            let (name, behind) = piece
                .split_once('}')
                .ok_or_else(|| format!("a {{ is not closed; {LIKE}"))?;
            let is_name = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if !is_name || !json::keeps_its_place(name) {
                return Err(format!("{name:?} is no name of a part; {LIKE}"));
            }
            if FIELDS.iter().any(|field| field.key == name)
                || parts.iter().any(|(known, _)| known == name)
            {
                return Err(format!("{name:?} stands in the event already; {LIKE}"));
            }
            parts.push((name.to_string(), behind.to_string()));
        }
        let between = parts.split_last().map_or(&[][..], |(_, before)| before);
        if between.iter().any(|(_, behind)| behind.is_empty()) {
            return Err(format!(
                "two parts follow each other without a text between; {LIKE}"
            ));
        }
        if parts.is_empty() || parts.len() > PARTS_MAX || text.contains('/') {
            return Err(format!("a file's name with 1 to {PARTS_MAX} parts; {LIKE}"));
        }
        Ok(NameParts { begin, parts })
    }
}

impl fmt::Display for NameParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.begin)?;
        for (name, behind) in &self.parts {
            write!(f, "{{{name}}}{behind}")?;
        }
        Ok(())
    }
}

/// The members of every recording's `data`, in order; the parts of the file's name follow.
pub const FIELDS: [Field; 5] = [
    Field::text("path", "Its path from the source's directory on.").always(),
    Field::text("file", "The file's name.").always(),
    Field::whole("size", "Its bytes.").always(),
    Field::whole(
        "duration",
        "Whole seconds that it plays, of WAV files; null for others.",
    ),
    Field::time("ended_at", "When it was written to last.").always(),
];

/// The keys of the data of every recording's event.
pub const KEYS: [&str; 5] = ["path", "file", "size", "duration", "ended_at"];

/// Makes the events of one source of recordings.
#[derive(Debug)]
pub struct RecordingMaker {
    /// The switch's name.
    pub node: Arc<str>,
    /// The source's name.
    pub source: Arc<str>,
    /// How names are made.
    pub parts: Option<NameParts>,
}

impl RecordingMaker {
    /// The event of a finished recording. It is known by its path, size and end, so that a file
    /// that is written anew is another one.
    pub fn make(&self, recording: &Recording<'_>) -> Event {
        let ended = Timestamp::from_millis(recording.ended.0);
        let file = recording.path.rsplit('/').next().unwrap_or_default();
        let size = i64::try_from(recording.size).unwrap_or(i64::MAX);
        let mut data = Object::shaped(&FIELDS, 256);
        data.text("path", Some(&recording.path));
        data.text("file", Some(file));
        data.whole("size", Some(size));
        data.whole("duration", wav_seconds(recording.head, recording.size));
        data.text("ended_at", Some(&ended.to_string()));
        let mut account = None;
        if let Some(parts) = &self.parts {
            let values = parts.of(file);
            for (index, (name, _)) in parts.parts.iter().enumerate() {
                let value = values
                    .as_ref()
                    .and_then(|values| values.get(index).copied());
                data.text(name, value);
                if name == "account_id" {
                    account = value.map(Box::from);
                }
            }
        }
        let (size, end) = (recording.size.to_string(), recording.ended.0.to_string());
        let key = ["recording", &recording.path, &size, &end];
        Event {
            id: id::of_key(&self.node, &self.source, key.into_iter()),
            kind: "recording".into(),
            time: ended,
            node: Arc::clone(&self.node),
            labels: Labels {
                account,
                ..Labels::default()
            },
            data: data.finish(),
        }
    }
}

/// Whole seconds that a RIFF WAVE file of `size` bytes plays, by the byte rate of its `fmt ` chunk;
/// `None` for other files, and for a header that says nothing of it.
///
/// A program that was killed leaves 0 or all ones as the length of the sound: it is then taken to
/// go to the end of the file.
fn wav_seconds(head: &[u8], size: u64) -> Option<i64> {
    let word = |at: usize| {
        let bytes: [u8; 4] = head.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(bytes)
    };
    let number = |at| word(at).map(u32::from_le_bytes);
    if word(0)? != *b"RIFF" || word(8)? != *b"WAVE" {
        return None;
    }
    let (mut at, mut bytes_per_second) = (12_usize, None);
    loop {
        let (name, length) = (word(at)?, number(at + 4)?);
        let content = at + 8;
        match &name {
            b"fmt " => bytes_per_second = number(content + 8).filter(|rate| *rate > 0),
            b"data" => {
                let rest = size.saturating_sub(content as u64);
                let told = Some(u64::from(length)).filter(|told| *told > 0 && *told <= rest);
                let seconds = told.unwrap_or(rest) / u64::from(bytes_per_second?);
                return i64::try_from(seconds).ok();
            }
            _ => {}
        }
        // Chunks begin at even places.
        let length = usize::try_from(length).ok()?;
        at = content.checked_add(length)?.checked_add(length % 2)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header as Asterisk writes it: 8,000 samples of 16 bits a second.
    fn wav(data_bytes: u32) -> Vec<u8> {
        let mut head = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        head.extend(8_000_u32.to_le_bytes());
        head.extend(16_000_u32.to_le_bytes());
        head.extend([2, 0, 16, 0]);
        head.extend(b"LIST\x03\0\0\0abc\0data");
        head.extend(data_bytes.to_le_bytes());
        head
    }

    #[track_caller]
    fn check_seconds(head: &[u8], size: u64, expected: Option<i64>) {
        assert_eq!(wav_seconds(head, size), expected, "{}", head.escape_ascii());
    }

    #[test]
    fn the_length_of_a_wav_is_told_by_its_header() {
        let size = |sound: u64| wav(0).len() as u64 + sound;
        check_seconds(&wav(160_000), size(160_000), Some(10));
        check_seconds(&wav(159_999), size(159_999), Some(9));
        check_seconds(&wav(0), size(48_000), Some(3));
        check_seconds(&wav(u32::MAX), size(48_000), Some(3));
        check_seconds(&wav(0), size(0), Some(0));
    }

    #[test]
    fn what_is_no_wav_has_no_length() {
        check_seconds(b"", 0, None);
        check_seconds(b"ID3\x04 and so on, an mp3 file", 9_000, None);
        for cut in 0..wav(1).len() {
            check_seconds(&wav(1)[..cut], 9_000, None);
        }
        let mut rate_0 = wav(160_000);
        rate_0[28..32].fill(0);
        check_seconds(&rate_0, 160_044, None);
        let endless = [b"RIFF\0\0\0\0WAVE", b"LIST\xff\xff\xff\xff".as_slice()].concat();
        check_seconds(&endless, 9_000, None);
    }

    #[track_caller]
    fn check_parts(parts: &str, name: &str, expected: Option<&[&str]>) {
        let parsed: NameParts = parts.parse().unwrap();
        assert_eq!(parsed.to_string(), parts);
        assert_eq!(parsed.of(name).as_deref(), expected, "{parts} {name}");
    }

    #[test]
    fn a_name_is_taken_apart_as_it_was_made() {
        let asterisk = "{direction}-{caller_id}-{called_id}-{date}-{time}-{call_id}.wav";
        check_parts(
            asterisk,
            "in-2001-442079460101-20260410-142815-1775802495.12.wav",
            Some(&[
                "in",
                "2001",
                "442079460101",
                "20260410",
                "142815",
                "1775802495.12",
            ]),
        );
        check_parts(asterisk, "in-2001.wav", None);
        check_parts(asterisk, "", None);
        check_parts("{call_id}.wav", "a-b.c.wav", Some(&["a-b.c"]));
        check_parts("{call_id}.wav", "a.mp3", None);
        check_parts("rec_{call_id}", "rec_7", Some(&["7"]));
        check_parts("rec_{call_id}", "call_7", None);
        check_parts("{a}-{b}", "é-ü", Some(&["é", "ü"]));
    }

    #[test]
    fn parts_that_cannot_be_told_apart_are_refused() {
        for text in [
            "", "x.wav", "{a}{b}", "{a", "{}", "{A}", "{1}", "{path}", "{a}-{a}", "{a}/{b}",
        ] {
            assert!(text.parse::<NameParts>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_recording_is_told_with_its_place_length_and_name() {
        let head = wav(160_000);
        let recording = Recording {
            path: "2026/10/in-2001-99.wav".to_string(),
            size: head.len() as u64 + 160_000,
            ended: UnixMs(1_775_803_105_000),
            head: &head,
        };
        let maker = RecordingMaker {
            node: "n".into(),
            source: "rec".into(),
            parts: Some("in-{caller_id}-{call_id}.wav".parse().unwrap()),
        };
        let event = maker.make(&recording);
        assert_eq!(
            String::from_utf8_lossy(&event.data),
            "{\"path\":\"2026/10/in-2001-99.wav\",\"file\":\"in-2001-99.wav\",\"size\":160056,\"duration\":10,\"ended_at\":\"2026-04-10T06:38:25.000Z\",\"caller_id\":\"2001\",\"call_id\":\"99\"}"
        );
        assert_eq!(maker.make(&recording).id, event.id);
        let longer = Recording {
            size: 1,
            ..recording
        };
        assert_ne!(maker.make(&longer).id, event.id);
    }
}
