//! Hold: what is done for files that wait to be read, so that nothing of them is lost meanwhile.
//!
//! Those that there is room for are opened: they can be read to their end even if they are removed.
//! Of all of them the first row is taken in, before anything is handed out: it tells them from other
//! files that have their inode or their name later, and makes their copies known.

use super::known::{Known, Standing};
use super::tail::{Content, TailError};
use super::{FileKey, Source, SourceError, compared};
use std::io;
use std::sync::Arc;

/// Most files into which is looked in one look beyond those that there is room to keep open:
/// some milliseconds, where a source has thousands to catch up with.
pub const PEEKED_MAX: usize = 64;

impl Source {
    /// Opens the oldest files with something to read while there is room, and takes in the first row
    /// of these and of others. Others that have grown are compared: see [`Source::hold`].
    pub(super) fn hold_unread(&mut self) -> Result<(), SourceError> {
        let keys_of = |is_it: fn(&Known) -> bool| {
            let files = self.files.iter().filter(move |(_, known)| is_it(known));
            files.map(|(key, _)| *key)
        };
        let unread = self.unread.iter().map(|age| age.key);
        let wanted = keys_of(|known| known.is_held).chain(unread);
        let wanted: Vec<FileKey> = wanted.take(self.settings.open_files_max).collect();
        let unread = self.unread.iter().map(|age| age.key);
        let others = unread.skip(self.settings.open_files_max);
        let others = others.chain(keys_of(Known::may_be_a_copy));
        let keys: Vec<FileKey> = wanted.iter().copied().chain(others).collect();
        let mut peeked = 0;
        for (place, key) in keys.into_iter().enumerate() {
            let Some(known) = self.files.get(&key) else {
                continue;
            };
            let is_open = self.tails.open_tail(key).is_some();
            let has_room = place < wanted.len() && self.tails.has_room();
            let done = if is_open || has_room {
                self.hold(key)
            } else if peeked < PEEKED_MAX && is_unknown(known) && known.position.head_bytes == 0 {
                peeked += 1;
                self.peek(key)
            } else if peeked < PEEKED_MAX && known.standing == Standing::Grown {
                peeked += 1;
                self.settle(key)
            } else {
                continue;
            };
            match done {
                Ok(()) | Err(TailError::Moved) => self.enqueue(key),
                Err(TailError::Unreadable(error)) => self.park(key, error),
                Err(TailError::Exhausted(error)) => return Err(SourceError::Exhausted(error)),
            }
        }
        Ok(())
    }

    /// Opens a file. One that was closed when it grew is compared now: if it was another one it would
    /// be told, cut off once more, how much was lost of the one before it.
    fn hold(&mut self, key: FileKey) -> Result<(), TailError> {
        let Some(known) = self.files.get(&key) else {
            return Ok(());
        };
        let (path, standing) = (Arc::clone(&known.path), known.standing);
        let was_open = self.tails.open_tail(key).is_some();
        self.tails.tail(key, &path)?;
        if !was_open && standing == Standing::Grown {
            self.settle(key)?;
        }
        if self.files.get(&key).is_some_and(is_unknown) {
            self.peek(key)?;
        }
        Ok(())
    }

    /// Takes in the first row of a file, which need not be open for it.
    pub(super) fn peek(&mut self, key: FileKey) -> Result<(), TailError> {
        let Some(known) = self.files.get_mut(&key) else {
            return Ok(());
        };
        let (is_header, line_max) = (&self.is_header, self.settings.line_max.max(1));
        let is_begun = known.position.head_bytes > 0;
        let head_of = |content: &mut Content<'_>| -> io::Result<_> {
            match compared::head_of(content, is_header, line_max)? {
                Some((head, row)) => Ok(Some((head, Some(row.hash)))),
                None if is_begun => Ok(None),
                None => Ok(compared::half_head_of(content)?.map(|head| (head, None))),
            }
        };
        let Some((head, first_row)) = self.tails.peek(key, &known.path, head_of)? else {
            return Ok(());
        };
        let position = &mut known.position;
        position.first_row = first_row;
        (position.head_bytes, position.head) = head;
        // The one of its last life says what that has lost, which has not been told.
        let life = position.life;
        let mut untold = self.untold.positions.iter_mut();
        if let Some(untold) = untold.rfind(|untold| (untold.key, untold.life) == (key, life)) {
            *untold = known.kept();
        }
        Ok(())
    }
}

/// Whether nothing has been read of the file, and its first row was not there to be taken in so far.
fn is_unknown(known: &Known) -> bool {
    let position = &known.position;
    let is_plain = known.packed_bytes.is_none();
    let is_it = known.standing <= Standing::Grown || known.standing == Standing::Stranger;
    is_plain && is_it && position.offset == 0 && position.first_row.is_none()
}
