//! Fuzz: every reader of bytes from outside, each as a function that a fuzzer calls with any bytes.
//!
//! Built for the fuzzer and for the tests alone. A function panics where what it promises does not
//! hold; `fuzz/README.md` lists the promises and says how to run it. Inputs that once broke one lie
//! in `fuzz/regressions`, and the tests read all of them again.

mod config;
mod control;
mod delivery;
mod derive;
mod event;
mod parser;
mod text;

use crate::{listen, queue, receiver, source};

/// A reader of any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[
    ("config_file", config::file),
    ("control_reply", control::reply),
    ("control_request", control::request),
    ("delivery_answer", delivery::answer),
    ("delivery_body", delivery::body),
    ("delivery_outcome", delivery::outcome),
    ("derive_rows", derive::rows),
    ("derive_state", derive::state),
    ("event_amount", event::amount),
    ("event_filter", event::filter),
    ("event_push", event::push),
    ("event_recording", event::recording),
    ("listen_http", listen::fuzz::http),
    ("parser_delimited", parser::delimited),
    ("parser_document", parser::document),
    ("parser_guess", parser::guessed),
    ("parser_json_lines", parser::json_lines),
    ("parser_key_value", parser::key_value),
    ("parser_own_format", parser::own_format),
    ("parser_pattern", parser::pattern),
    ("parser_time", parser::time),
    ("queue_block", queue::fuzz::block),
    ("queue_checkpoint", queue::fuzz::checkpoint),
    ("queue_coverage", queue::fuzz::coverage),
    ("queue_cursor", queue::fuzz::cursor),
    ("queue_dead_letter", queue::fuzz::dead_letter),
    ("queue_endpoint", queue::fuzz::endpoint),
    ("queue_key", queue::fuzz::key),
    ("queue_meta", queue::fuzz::meta),
    ("queue_position", queue::fuzz::position),
    ("queue_recall", queue::fuzz::recall),
    ("queue_source_totals", queue::fuzz::source_totals),
    ("queue_void", queue::fuzz::void),
    ("queue_waiting", queue::fuzz::waiting),
    ("receiver_fault", receiver::fuzz::fault),
    ("receiver_request", receiver::fuzz::request),
    ("receiver_saved", receiver::fuzz::saved),
    ("source_gunzip", source::fuzz::gunzip),
    ("source_lines", source::fuzz::lines),
    ("source_names", source::fuzz::names),
    ("text_address", text::address),
    ("text_line", text::line),
    ("text_value", text::value),
];

/// Reads `bytes` by the target called `name`.
///
/// # Panics
///
/// When there is no such target, and when what it promises does not hold.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(own, _)| *own == name);
    let (_, read) = target.unwrap_or_else(|| panic!("no fuzz target is called {name}"));
    read(bytes);
}

/// What decides how bytes are read, taken from their end: a sample file can stand as it is among
/// the first inputs.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// Takes `count` choices off `data`.
    fn take(data: &'a [u8], count: usize) -> (&'a [u8], Choices<'a>) {
        let (bytes, choices) = data.split_at(data.len() - data.len().min(count));
        (bytes, Choices(choices))
    }

    /// The next choice, one of `of`.
    fn next(&mut self, of: usize) -> usize {
        let (choice, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*choice) % of
    }
}

/// The text up to a line of dashes, and what is behind it.
fn parted(data: &[u8]) -> Option<(&str, &[u8])> {
    const LINE: &[u8] = b"\n---\n";
    let at = memchr::memmem::find(data, LINE)?;
    let (before, behind) = data.split_at(at);
    Some((std::str::from_utf8(before).ok()?, &behind[LINE.len()..]))
}

/// Checks that an event can be kept, and that its `data` is one JSON object.
fn check_event(event: &crate::event::Event) {
    assert!(crate::event::is_kind(&event.kind), "{}", event.kind);
    let data: serde_json::Value = serde_json::from_slice(&event.data).expect("data is JSON");
    assert!(data.is_object());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn folder() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
    }

    #[test]
    fn every_reader_has_a_target_that_can_be_run() {
        let manifest: toml::Table = fs::read_to_string(folder().join("Cargo.toml"))
            .unwrap()
            .parse()
            .unwrap();
        let built: Vec<&str> = manifest["bin"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bin| bin["name"].as_str().unwrap())
            .filter(|name| *name != "any")
            .collect();
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(built, names);
        let readme = fs::read_to_string(folder().join("README.md")).unwrap();
        for name in names {
            let program = fs::read_to_string(folder().join(format!("targets/{name}.rs"))).unwrap();
            assert!(program.contains(&format!("run(\"{name}\", bytes)")));
            assert!(readme.contains(&format!("`{name}`")), "{name} is not told");
        }
    }

    /// Also a few bytes that no reader may mind, so that every target is called.
    #[test]
    fn what_once_broke_a_reader_breaks_it_no_more() {
        for (name, read) in TARGETS {
            for bytes in [&b""[..], b"\n", b"{}", &[0; 64], &[0xFF; 64]] {
                read(bytes);
            }
            let Ok(entries) = fs::read_dir(folder().join("regressions").join(name)) else {
                continue;
            };
            for entry in entries {
                let path = entry.unwrap().path();
                println_of(&path);
                read(&fs::read(path).unwrap());
            }
        }
    }

    /// Without a fuzzer's eye for what is new, but in every run of the tests: the samples, with some of
    /// their bytes changed. `SWITCHHOOK_MUTATIONS` says how many for each target.
    #[test]
    fn a_sample_with_changed_bytes_breaks_no_reader() {
        let count = std::env::var("SWITCHHOOK_MUTATIONS").map_or(12, |text| text.parse().unwrap());
        let seed = std::env::var("SWITCHHOOK_SEED").map_or(1, |text| text.parse().unwrap());
        let mut samples = Vec::new();
        collect(
            &PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"),
            &mut samples,
        );
        let mut broken = Vec::new();
        for (name, read) in TARGETS {
            let mut rng = fastrand::Rng::with_seed(seed);
            for number in 0..count {
                let bytes = changed(&mut rng, &samples);
                let outcome = std::panic::catch_unwind(|| read(&bytes));
                if outcome.is_err() {
                    let file = std::env::temp_dir().join(format!("switchhook-{name}-{number}"));
                    fs::write(&file, &bytes).unwrap();
                    broken.push(file);
                    break;
                }
            }
        }
        assert!(
            broken.is_empty(),
            "with seed {seed} {broken:?} each break one"
        );
    }

    fn collect(directory: &std::path::Path, samples: &mut Vec<Vec<u8>>) {
        let mut paths: Vec<PathBuf> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                collect(&path, samples);
            } else if path.extension().is_none_or(|ending| ending != "py") {
                let mut bytes = fs::read(path).unwrap();
                bytes.truncate(2_000);
                samples.push(bytes);
            }
        }
    }

    fn changed(rng: &mut fastrand::Rng, samples: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = rng.choice(samples).cloned().unwrap_or_default();
        let word = |rng: &mut fastrand::Rng| {
            let words: [&[u8]; 12] = [
                b"\n", b"\"", b"|", b",", b"\\", b"\0", b"\xFF", b"%+1", b"{", b"]", b"-9e99",
                b"\r\n",
            ];
            words[rng.usize(..words.len())]
        };
        for _ in 0..rng.usize(..6) {
            let at = rng.usize(..=bytes.len());
            let end = (at + rng.usize(..40)).min(bytes.len());
            match rng.u8(..5) {
                0 => drop(bytes.drain(at..end)),
                1 => drop(bytes.splice(at..at, word(rng).iter().copied())),
                2 => bytes.truncate(at),
                3 => {
                    let again = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, again));
                }
                _ => bytes[at..end]
                    .iter_mut()
                    .for_each(|byte| *byte = rng.u8(..)),
            }
        }
        if rng.bool() {
            bytes.push(b'\n');
        }
        // How it is read.
        let choices: [u8; 4] = std::array::from_fn(|_| rng.u8(..16));
        bytes.extend(choices);
        bytes
    }

    /// Says which input is read: a panic does not.
    fn println_of(path: &std::path::Path) {
        use std::io::Write;
        let _lost = writeln!(std::io::stderr(), "{}", path.display());
    }

    #[test]
    fn no_regression_lies_where_nobody_reads_it() {
        let entries = fs::read_dir(folder().join("regressions")).into_iter();
        for entry in entries.flatten() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(TARGETS.iter().any(|(own, _)| *own == name), "{name}");
        }
    }
}
