//! Status: how far behind a source is.

use super::{FileKey, Source};
use crate::clock::Moment;
use std::path::Path;
use std::sync::Arc;

/// How far one file was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLag {
    /// Device and inode.
    pub key: FileKey,
    /// The path last seen.
    pub path: Arc<Path>,
    /// Offset of the first byte not consumed.
    pub offset: u64,
    /// Bytes in the file, as far as is known.
    pub size_bytes: u64,
    /// Bytes at its end that are no complete line, or that the parser waits for the rest of.
    pub partial: Option<PartialLine>,
}

/// A line whose end is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialLine {
    /// Its length so far.
    pub bytes: u64,
    /// When it was first asked about.
    pub since: Moment,
}

/// How far a source is behind, over all its files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// Files that can be read.
    pub files: usize,
    /// Bytes there and not consumed, partial lines included.
    pub unread_bytes: u64,
    /// Since when the partial line that is there for longest has been there.
    pub partial_since: Option<Moment>,
}

impl Source {
    /// How far each file that can be read was read, in the order in which they are read. `now`
    /// becomes the age of the partial lines that are seen for the first time: ask regularly.
    pub fn files(&mut self, now: Moment) -> Vec<FileLag> {
        let mut files = Vec::new();
        for (key, known) in &mut self.files {
            let is_read_through = known.is_here() && !known.has_unread();
            let bytes = if is_read_through {
                known.unread_bytes()
            } else {
                0
            };
            let partial = (bytes > 0).then(|| PartialLine {
                bytes,
                since: *known.partial_since.get_or_insert(now),
            });
            if known.is_here() {
                let path = Arc::clone(&known.path);
                let (offset, size_bytes) = (known.position.offset, known.size);
                files.push((
                    known.age(),
                    FileLag {
                        key: *key,
                        path,
                        offset,
                        size_bytes,
                        partial,
                    },
                ));
            }
        }
        files.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        files.into_iter().map(|(_, lag)| lag).collect()
    }

    /// The sum over [`Source::files`].
    pub fn lag(&mut self, now: Moment) -> Lag {
        let mut lag = Lag::default();
        for file in self.files(now) {
            lag.files += 1;
            lag.unread_bytes = lag
                .unread_bytes
                .saturating_add(file.size_bytes.saturating_sub(file.offset));
            let since = file.partial.map(|partial| partial.since);
            lag.partial_since = lag.partial_since.into_iter().chain(since).min();
        }
        lag
    }
}
