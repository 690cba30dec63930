//! Rewritten: files that are cut off and written again with what they had, as a job does that exports
//! the rows of the day into the same file every few minutes.
//!
//! Such a file is shorter than it was for as long as that takes. It waits meanwhile, and then goes
//! on where it was: whoever reads it from its start tells every row of it again each time.

use super::compared;
use super::identity;
use super::past::{Lost, Past};
use super::tail::Content;
use super::{FileKey, Source};
use std::io::{self, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

/// How long after it was last written to such a file may still be written on: a query sends its rows
/// without pauses.
const WRITING_PAUSE: Duration = Duration::from_secs(2);

/// How long such a file waits at most: rows of another life that begins with the same first row, and
/// goes on as the last one did, are late by as much.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

impl Source {
    /// Whether the file of the past with that number is being written again as it was.
    pub(super) fn is_written_again(&mut self, at: usize) -> bool {
        if !self.may_be_taken_back(at) {
            return false;
        }
        let Some(past) = self.pasts.get(at) else {
            return false;
        };
        let key = past.position.key;
        let Some(known) = self.files.get(&key) else {
            return false;
        };
        let now = self.looked_at;
        let may_grow = known.size < past.position.offset
            && now.since(known.changed_at) < WRITING_PAUSE
            && now.since(past.since) < WRITTEN_WITHIN;
        let path = Arc::clone(&known.path);
        let begins_so = |content: &mut Content<'_>| begins_as(content, past);
        may_grow && matches!(self.tails.with_content(key, &path, begins_so), Ok(true))
    }

    /// Has a file that was empty, and into which something was written at last, wait if it is what
    /// its last life had.
    pub(super) fn await_last_life(&mut self, key: FileKey) {
        let Some(known) = self.files.get_mut(&key) else {
            return;
        };
        let life = known.position.life;
        let is_last = |past: &Past| {
            let is_it = past.position.key == key && past.position.life.checked_add(1) == Some(life);
            is_it && past.position.head_bytes > 0
        };
        let Some(past) = self.pasts.iter_mut().find(|past| is_last(past)) else {
            return;
        };
        let path = Arc::clone(&known.path);
        let begins_so = |content: &mut Content<'_>| begins_as(content, past);
        if matches!(self.tails.with_content(key, &path, begins_so), Ok(true)) {
            (past.is_awaited, past.look, past.since) = (true, self.looks, self.looked_at);
            // What was lost with it has been told.
            past.lost = Lost::Nothing;
            known.is_held = true;
        }
    }
}

/// Whether what `content` holds so far is what the life had that is over, as far as that is known.
fn begins_as(content: &mut Content<'_>, past: &Past) -> io::Result<bool> {
    let position = &past.position;
    let head = identity::bytes_at(content, 0, position.head_bytes)?;
    if identity::short_hash(&head) != position.head {
        return Ok(false);
    }
    let length = content.seek(SeekFrom::End(0))?;
    let mut marks = past.marks.iter().rev();
    if let Some(mark) = marks.find(|mark| mark.offset <= length)
        && !compared::holds(content, *mark)?
    {
        return Ok(false);
    }
    let from = position.offset - past.recent.len() as u64;
    let found = identity::bytes_at(content, from, past.recent.len() as u64)?;
    Ok(past.recent.starts_with(&found))
}
