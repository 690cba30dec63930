//! Past: lives of files that are over, and what was lost with each.

use super::change::mean_line_bytes;
use super::known::Marks;
use super::{Change, FileKey, FilePosition, Gap, GapCause};
use crate::clock::UnixMs;
use std::path::Path;
use std::sync::Arc;

/// Most lives that are remembered for their copies: one for each file that a
/// rotation of a whole source truncates at once.
pub const PASTS_MAX: usize = super::FILES_REMEMBERED_MAX;

/// A life of a file that is over.
#[derive(Debug)]
pub struct Past {
    /// How far it was read.
    pub position: FilePosition,
    /// Where it was.
    pub path: Arc<Path>,
    /// Bytes it had when it was last seen.
    pub size: u64,
    /// About how many were written after that; see [`Gap::unseen_bytes`].
    pub unseen_bytes: u64,
    /// What else is known of how it was read.
    pub marks: Marks,
    /// The last bytes before the position.
    pub recent: Vec<u8>,
    /// When it was over.
    pub since: UnixMs,
    /// The look that found out.
    pub look: u64,
    /// No copy was found so far, and one may have been missed: the file waits.
    pub is_awaited: bool,
    /// Its file goes on: rows were taken from the front of it.
    pub was_trimmed: bool,
    /// What was lost with it, unless a copy has it.
    pub lost: Lost,
    /// How.
    pub cause: GapCause,
}

/// What was lost with a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing, or it has been told.
    Nothing,
    /// So many bytes that were seen.
    Seen(u64),
    /// Nobody knows: the agent was not running.
    Unknown,
}

impl Past {
    /// Whether it is that life of the file known as `key`.
    pub fn is(&self, key: FileKey, life: u32) -> bool {
        (self.position.key, self.position.life) == (key, life)
    }

    /// Whether its file is taken for what is left of it, read up to `position`.
    pub fn is_shortened_to(&self, position: &FilePosition) -> bool {
        position.life == self.position.life && position.offset < self.position.offset
    }

    /// What was lost with it, if there is no copy.
    pub fn gap(&self) -> Option<Change> {
        let bytes = match self.lost {
            Lost::Nothing => return None,
            Lost::Seen(bytes) => Some(bytes),
            Lost::Unknown => None,
        };
        Some(Change::Gap(Gap {
            path: Arc::clone(&self.path),
            position: self.position.clone(),
            cause: self.cause,
            bytes,
            unseen_bytes: self.unseen_bytes,
        }))
    }

    /// What was written after a copy of `length` bytes was made, not read, and cut off with the
    /// rest; `None` when that is less than a row, or when the length is not known.
    pub fn lost_beside_copy(&self, length: Option<u64>) -> Option<Change> {
        let Lost::Seen(_) = self.lost else {
            return None;
        };
        let saved = length?.max(self.position.offset);
        let seen = self.size.saturating_sub(saved);
        let saved_unseen = saved.saturating_sub(self.size);
        let mut gap = Gap {
            path: Arc::clone(&self.path),
            position: self.position.clone(),
            cause: self.cause,
            bytes: Some(seen),
            unseen_bytes: self.unseen_bytes.saturating_sub(saved_unseen),
        };
        if gap.unseen_bytes < mean_line_bytes(&gap.position).unwrap_or(1) {
            gap.unseen_bytes = 0;
        }
        (seen > 0 || gap.unseen_bytes > 0).then_some(Change::Gap(gap))
    }
}
