//! `[limits]`: how long, and in how much room, deleted files are kept open.

use super::file::Loaded;
use super::place::Place;
use super::problem::Problems;
use super::value;
use crate::source::{DELETED_KEEP_BYTES_DEFAULT, DELETED_KEEP_DEFAULT};
use std::time::Duration;

/// How a list of both is written.
const LIKE: &str = "[\"1h\", \"256MiB\"]";

/// How long a deleted but unread file is kept open, and how many bytes all of them may keep from
/// the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedKeep {
    /// How long.
    pub time: Duration,
    /// Bytes of all sources together.
    pub bytes: u64,
}

/// Reads `deleted_files_keep` of the file that has `[limits]`, if one has.
pub fn deleted_keep(loaded: Option<&Loaded>, problems: &mut Problems) -> DeletedKeep {
    let default = DeletedKeep {
        time: DELETED_KEEP_DEFAULT,
        bytes: DELETED_KEEP_BYTES_DEFAULT,
    };
    let Some((loaded, table)) =
        loaded.and_then(|loaded| Some((loaded, loaded.file.limits.as_ref()?)))
    else {
        return default;
    };
    let (key, written) = ("deleted_files_keep", &table.deleted_files_keep);
    let mut place = Place::new(loaded, "limits", problems);
    let Some(texts) = place.given(key, written, LIKE) else {
        return default;
    };
    let [time, bytes] = &texts[..] else {
        place.problem(
            key,
            written,
            format!("it takes a time and a size; write {LIKE}"),
        );
        return default;
    };
    match (value::duration(time), value::bytes(bytes)) {
        (Ok(time), Ok(bytes)) => DeletedKeep { time, bytes },
        (Err(what), _) | (_, Err(what)) => {
            place.problem(key, written, what);
            default
        }
    }
}

/// The table in force, as it would be written.
pub fn show(deleted_keep: DeletedKeep) -> toml::Table {
    let both = vec![
        value::show_duration(deleted_keep.time),
        value::show_bytes(deleted_keep.bytes),
    ];
    toml::Table::from_iter([("deleted_files_keep".to_string(), both.into())])
}
