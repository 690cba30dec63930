//! Whether the times of a source's rows agree with the clock: a wrong `timezone` makes no row wrong,
//! and every time.

use super::super::reading::{self, Seen};
use crate::clock::{Clock, SystemClock, UnixMs};
use crate::config::{Config, SourceConfig};
use crate::event::filter::Filter;
use crate::parser::guess::ids::{IdClock, written};
use crate::parser::guess::{self, Sample};
use crate::source::listing::Found;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

/// Bytes of the file's end that are read: the last rows are in there.
const END_BYTES: u64 = 64 << 10;

/// How far the clocks of the switch and of its files may be apart.
const CLOSE: Duration = Duration::from_secs(600);

/// How much later a file may be written than its last row says, for it to be an offset of zones: each
/// is a multiple of a quarter of an hour, and no two are farther apart than 26 hours.
const STEP_SECS: u64 = 900;
const APART_MAX: Duration = Duration::from_secs(26 * 3_600);

/// What is odd about the times of `newest`, whose first bytes are `start`, or all of them; nothing where
/// they need no zone.
pub(super) fn remark(
    source: &SourceConfig,
    config: &Config,
    newest: &Found,
    start: &[u8],
    is_whole: bool,
) -> Option<String> {
    let zone = source.parser.timezone.as_ref()?;
    let name = newest.path.file_name().unwrap_or_default();
    let sample = Sample {
        bytes: start,
        is_whole,
        name: &name.to_string_lossy(),
        decoder: source.parser.decoder,
    };
    if !guess::has_local_times(sample, &source.parser) {
        return None;
    }
    let end = end(newest);
    let bytes = end.as_deref().unwrap_or(start);
    let mut last: Option<UnixMs> = None;
    let mut ids = IdClock::default();
    let keep = Filter::default();
    reading::rows(source, &config.node, keep, bytes, true, |_, seen| {
        if let Seen::Record(record, _, told) = seen {
            ids.add(record);
            last = told.last().map(|event| event.time.unix).or(last);
        }
    });
    let name = zone.iana_name().unwrap_or("UTC");
    // What the ids say is sure, of a file of any age.
    if let Some(says) = ids.says(zone) {
        let what = format!(
            "its call ids say that the switch's clock showed {} on {}, and timezone = {name:?} has {}",
            written(says.shown),
            says.day,
            written(says.read)
        );
        return (!says.agrees()).then_some(what);
    }
    let modified = UnixMs(newest.modified_ns.div_euclid(1_000_000));
    odd(last?, modified, SystemClock::new().wall(), name)
}

/// The last lines of a file that is longer than what was read of its beginning.
fn end(newest: &Found) -> Option<Vec<u8>> {
    if newest.size <= super::SAMPLE_BYTES {
        return None;
    }
    let mut file = File::open(&newest.path).ok()?;
    file.seek(SeekFrom::Start(newest.size - END_BYTES)).ok()?;
    let mut bytes = Vec::new();
    file.take(END_BYTES).read_to_end(&mut bytes).ok()?;
    let first = memchr::memchr(b'\n', &bytes)? + 1;
    let last = memchr::memrchr(b'\n', &bytes)? + 1;
    bytes.get(first..last).map(<[u8]>::to_vec)
}

/// What is odd about a last row of `last`, in a file last `written` then, read as of `zone`.
fn odd(last: UnixMs, written: UnixMs, now: UnixMs, zone: &str) -> Option<String> {
    let ahead = last.since(now.max(written));
    if ahead > CLOSE {
        return Some(format!(
            "its last row is {} ahead of this machine's clock: timezone = {zone:?} is not what the switch's clock shows",
            hours(ahead)
        ));
    }
    let behind = written.since(last);
    let beyond = behind.as_secs() % STEP_SECS;
    let is_offset = beyond.min(STEP_SECS - beyond) < 60;
    (behind > CLOSE && behind <= APART_MAX && is_offset).then(|| {
        format!(
            "the file was written {} after its last row says: is timezone = {zone:?} what the switch's clock shows?",
            hours(behind)
        )
    })
}

fn hours(span: Duration) -> String {
    let minutes = (span.as_secs() + 30) / 60;
    format!("{} h {:02} min", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_is_hours_off_is_told_from_a_file_that_was_copied() {
        let hour = 3_600_000;
        let now = 1_775_800_000_000;
        let cases = [
            // Row, file: against now.
            (-2_000, 0, ""),
            (0, 0, ""),
            (11 * hour, 0, "11 h 00 min ahead"),
            (-6 * hour - 2_000, 0, "6 h 00 min after"),
            (-5 * hour - hour / 2, 0, "5 h 30 min after"),
            // It was copied months later, or at an odd time.
            (-4_000 * hour, 0, ""),
            (-6 * hour - 400_000, 0, ""),
            // It is old and agrees with itself.
            (-4_000 * hour, -4_000 * hour, ""),
            (-4_006 * hour, -4_000 * hour, "6 h 00 min after"),
        ];
        for (row, file, expected) in cases {
            let (row, file) = (UnixMs(now + row), UnixMs(now + file));
            let told = odd(row, file, UnixMs(now), "Asia/Dhaka").unwrap_or_default();
            assert_eq!(told.is_empty(), expected.is_empty(), "{told}");
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
}
