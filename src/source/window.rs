//! Window: the one buffer a source reads with, over a stretch of one file.

use super::compared::RECENT_BYTES_MAX;
use super::position::TAIL_BYTES_MAX;
use super::tail::Content;
use super::{FileKey, identity};
use std::io;

/// The bytes of one file from a position on, as far as they were read.
///
/// It is turned to one file at a time; what it held of another is read again when that file's
/// turn comes. So a source's memory does not grow with the number of its files.
#[derive(Debug, Default)]
pub struct Window {
    key: Option<FileKey>,
    /// Offset in the file of the first byte held.
    start: u64,
    /// The bytes held are `buffer[from..to]`.
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    /// The last bytes before `start`, at most [`RECENT_BYTES_MAX`].
    recent: Vec<u8>,
}

impl Window {
    /// Turns to `offset` of the file known as `key` unless it is there already.
    ///
    /// # Errors
    ///
    /// When the bytes before `offset` cannot be read; the window then holds nothing.
    pub fn turn_to(
        &mut self,
        key: FileKey,
        offset: u64,
        content: &mut Content<'_>,
    ) -> io::Result<()> {
        if self.is_on(key) && self.start == offset {
            return Ok(());
        }
        self.forget();
        self.recent = identity::bytes_before(content, offset)?;
        self.key = Some(key);
        self.start = offset;
        Ok(())
    }

    /// Whether it is turned to the file known as `key`.
    pub fn is_on(&self, key: FileKey) -> bool {
        self.key == Some(key)
    }

    /// Holds nothing of any file.
    pub fn forget(&mut self) {
        self.key = None;
        (self.from, self.to) = (0, 0);
    }

    /// Holds nothing of the file known as `key`.
    pub fn forget_file(&mut self, key: FileKey) {
        if self.is_on(key) {
            self.forget();
        }
    }

    /// The bytes held.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }

    /// Offset in the file just after the last byte held.
    pub fn end(&self) -> u64 {
        self.start + (self.to - self.from) as u64
    }

    /// The last bytes before those held, at most [`RECENT_BYTES_MAX`].
    pub fn recent(&self) -> &[u8] {
        &self.recent
    }

    /// Whether the last bytes seen of the file known as `key` still stand in it; true when the
    /// window is turned to another file. Beyond a position this is what tells a partial line that
    /// went on from another one in a file written anew.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn still_shows(&self, key: FileKey, content: &mut Content<'_>) -> io::Result<bool> {
        if !self.is_on(key) {
            return Ok(true);
        }
        let held = self.bytes();
        let seen = if held.is_empty() { &self.recent } else { held };
        let last = seen
            .get(seen.len().saturating_sub(usize::from(TAIL_BYTES_MAX))..)
            .unwrap_or_default();
        let now = identity::bytes_at(content, self.end() - last.len() as u64, last.len() as u64)?;
        Ok(now == last)
    }

    /// Reads on in `content` until `most` bytes are held; returns whether the file's end was met: a
    /// read that gives less than asked for counts as that, to save asking once more.
    ///
    /// # Errors
    ///
    /// When the file cannot be read; what was held still is.
    pub fn fill(&mut self, content: &mut Content<'_>, most: usize) -> io::Result<bool> {
        let end = self.end();
        let room = self.room(most);
        let asked = room.len();
        if asked == 0 {
            return Ok(false);
        }
        let count = content.read_at(room, end)?;
        self.to += count;
        Ok(count < asked)
    }

    /// Leaves the first `count` bytes behind.
    pub fn pass(&mut self, count: usize) {
        let count = count.min(self.to - self.from);
        let passed = self
            .buffer
            .get(self.from..self.from + count)
            .unwrap_or_default();
        let kept = passed
            .get(passed.len().saturating_sub(RECENT_BYTES_MAX)..)
            .unwrap_or_default();
        self.recent.extend_from_slice(kept);
        let excess = self.recent.len().saturating_sub(RECENT_BYTES_MAX);
        self.recent.drain(..excess);
        self.from += count;
        self.start += count as u64;
    }

    /// Bytes of memory it has taken.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// The free part of the buffer, so that `most` bytes are held when it is full.
    fn room(&mut self, most: usize) -> &mut [u8] {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        if self.buffer.len() < most {
            self.buffer.resize(most, 0);
        }
        self.buffer.get_mut(self.to..most).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn it_holds_what_was_read_and_remembers_what_was_passed() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..1_000_u32)
            .flat_map(|n| format!("{n:03}\n").into_bytes())
            .collect();
        file.write_all(&content).unwrap();
        let key = FileKey {
            device: 1,
            inode: 1,
        };
        let mut window = Window::default();
        let mut opened = Content::plain(&file);
        window.turn_to(key, 8, &mut opened).unwrap();
        assert_eq!(window.recent(), b"000\n001\n");
        assert!(!window.fill(&mut opened, 100).unwrap());
        assert_eq!(window.bytes(), &content[8..108]);
        for passed in [1, 3, 90, 0] {
            window.pass(passed);
        }
        assert_eq!((window.start, window.end()), (102, 108));
        assert!(!window.fill(&mut opened, 1_000).unwrap());
        window.pass(700);
        assert_eq!(window.bytes(), &content[802..1_102]);
        assert_eq!(window.recent(), &content[..802]);
        window.turn_to(key, 802, &mut opened).unwrap();
        assert_eq!(
            window.end(),
            1_102,
            "turning to where it is reads nothing again"
        );
        assert!(window.fill(&mut opened, 10_000).unwrap());
        assert_eq!(window.end(), 4_000);
    }
}
