//! Tail: one open file, from its position on.

use super::{FilePosition, HeaderTest, TAIL_BYTES_MAX, identity};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// One open file. The bytes between the position and what has been read ahead are in memory.
#[derive(Debug)]
pub(super) struct Tail {
    file: File,
    /// Bytes from the position on.
    ahead: Vec<u8>,
    /// Offset of the first byte of `ahead`.
    offset: u64,
    /// The last bytes before `offset`, at most [`TAIL_BYTES_MAX`].
    recent: Vec<u8>,
    /// Bytes of `ahead` that were handed out and came back, and whether as the file's last.
    held: Option<(usize, bool)>,
    /// A line longer than allowed is being passed over: its bytes so far, none of them in memory.
    skipping: u64,
}

/// What there is to take.
#[derive(Debug)]
pub(super) enum Taken {
    /// Complete lines.
    Lines {
        /// The lines.
        bytes: Vec<u8>,
        /// No more will follow them.
        last: bool,
    },
    /// The first line is longer than allowed; it ends after `bytes` bytes.
    Oversized {
        /// Its length, line end included.
        bytes: u64,
    },
}

impl Tail {
    /// Opens the file at `path` to go on at `position`.
    pub(super) fn open(path: &Path, position: &FilePosition) -> io::Result<Tail> {
        let file = File::open(path)?;
        let tail_bytes = u64::from(position.tail_bytes);
        let recent = identity::read_at(
            &file,
            position.offset.saturating_sub(tail_bytes),
            tail_bytes,
        )?;
        Ok(Tail {
            file,
            ahead: Vec::new(),
            offset: position.offset,
            recent,
            held: None,
            skipping: 0,
        })
    }

    /// The file's size now.
    pub(super) fn size(&self) -> Option<u64> {
        self.file.metadata().ok().map(|metadata| metadata.len())
    }

    /// Whether the bytes read last still stand before the position.
    pub(super) fn is_still_there(&self) -> bool {
        let count = self.recent.len() as u64;
        identity::read_at(&self.file, self.offset.saturating_sub(count), count)
            .is_ok_and(|bytes| bytes == self.recent)
    }

    /// Whether bytes behind the position are in memory or have been passed over.
    pub(super) fn holds_more_than_the_position(&self) -> bool {
        !self.ahead.is_empty() || self.skipping > 0
    }

    /// Reads on and takes complete lines, or the word of a line over `line_max` bytes. `None` when
    /// there is nothing that was not handed out before. Holds at most `bytes_max` bytes, which are
    /// more than `line_max`; `finished` says that no more lines will be written.
    pub(super) fn take(
        &mut self,
        bytes_max: usize,
        line_max: usize,
        finished: bool,
    ) -> io::Result<Option<Taken>> {
        loop {
            let at_end = self.fill(bytes_max)?;
            self.drop_nul_hole(line_max);
            if self.skipping > 0 {
                match memchr::memchr(b'\n', &self.ahead) {
                    Some(end) => {
                        let bytes = self.skipping + end as u64 + 1;
                        return Ok(Some(Taken::Oversized { bytes }));
                    }
                    None => self.skip_all(),
                }
            } else {
                let complete = self.complete_lines(line_max);
                if complete > 0 {
                    let last = (finished
                        && at_end
                        && memchr::memrchr(b'\n', &self.ahead) == Some(complete - 1))
                        || self.can_go_on_no_further(complete, bytes_max, line_max);
                    if self.held.replace((complete, last)) == Some((complete, last)) {
                        return Ok(None);
                    }
                    let bytes = self.ahead.get(..complete).unwrap_or_default().to_vec();
                    return Ok(Some(Taken::Lines { bytes, last }));
                }
                match memchr::memchr(b'\n', &self.ahead) {
                    Some(end) => {
                        return Ok(Some(Taken::Oversized {
                            bytes: end as u64 + 1,
                        }));
                    }
                    None if self.ahead.len() > line_max => self.skip_all(),
                    None => {}
                }
            }
            if at_end {
                return Ok(None);
            }
        }
    }

    /// Whether what was handed out can never be continued: a line that is too long follows, or as
    /// much as may be held was handed out before and nothing of it was understood.
    fn can_go_on_no_further(&self, complete: usize, bytes_max: usize, line_max: usize) -> bool {
        let was_handed_out = self.held.is_some_and(|(before, _)| before == complete);
        self.ahead.len() - complete > line_max || (was_handed_out && self.ahead.len() >= bytes_max)
    }

    /// Reads until `bytes_max` bytes are held or the file ends; returns whether it has ended.
    fn fill(&mut self, bytes_max: usize) -> io::Result<bool> {
        const STEP: usize = 64 << 10;
        while self.ahead.len() < bytes_max {
            let held = self.ahead.len();
            self.ahead.resize((held + STEP).min(bytes_max), 0);
            let at = self.offset + self.skipping + held as u64;
            let read = self
                .file
                .read_at(self.ahead.get_mut(held..).unwrap_or_default(), at);
            self.ahead
                .truncate(held + read.as_ref().copied().unwrap_or(0));
            match read {
                Ok(0) => return Ok(true),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Bytes of the complete lines before the first line that is too long.
    fn complete_lines(&self, line_max: usize) -> usize {
        let mut end = 0;
        for line_end in memchr::memchr_iter(b'\n', &self.ahead) {
            if line_end + 1 - end > line_max {
                break;
            }
            end = line_end + 1;
        }
        end
    }

    /// A writer that keeps its offset after a truncation leaves a hole of NUL bytes, as long as the
    /// file was: passed over without holding it.
    fn drop_nul_hole(&mut self, line_max: usize) {
        let nuls = self.ahead.iter().take_while(|byte| **byte == 0).count();
        if self.skipping == 0 && nuls > line_max {
            let hole: Vec<u8> = self.ahead.drain(..nuls).collect();
            self.offset += nuls as u64;
            self.remember(&hole);
        }
    }

    fn skip_all(&mut self) {
        self.skipping += self.ahead.len() as u64;
        self.ahead.clear();
        self.held = None;
    }

    /// Learns the file's first row from `bytes`, which stand at the position, if it is not known.
    pub(super) fn learn_first_row(
        &self,
        bytes: &[u8],
        position: &mut FilePosition,
        is_header: &HeaderTest,
    ) -> io::Result<()> {
        if position.first_row.is_some()
            || !identity::learn_first_row(bytes, self.offset, position, is_header)
        {
            return Ok(());
        }
        let head = identity::read_at(
            &self.file,
            0,
            position.head_bytes.min(identity::HEAD_BYTES_MAX),
        )?;
        position.head = identity::short_hash(&head);
        Ok(())
    }

    /// Moves the position behind the first `bytes` bytes, `lines` lines, of what is held.
    pub(super) fn consume(&mut self, bytes: usize, position: &mut FilePosition, lines: u64) {
        let bytes = bytes.min(self.ahead.len());
        if bytes == 0 {
            return;
        }
        let consumed: Vec<u8> = self.ahead.drain(..bytes).collect();
        self.offset += bytes as u64;
        self.held = None;
        self.remember(&consumed);
        self.mark(position, lines);
    }

    /// Moves the position behind a line of `bytes` bytes that was too long.
    pub(super) fn pass(
        &mut self,
        bytes: u64,
        position: &mut FilePosition,
        lines: u64,
    ) -> io::Result<()> {
        let held = usize::try_from(bytes - self.skipping)
            .unwrap_or(usize::MAX)
            .min(self.ahead.len());
        self.ahead.drain(..held);
        self.offset += bytes;
        self.skipping = 0;
        self.held = None;
        let tail_bytes = u64::from(TAIL_BYTES_MAX).min(self.offset);
        self.recent = identity::read_at(&self.file, self.offset - tail_bytes, tail_bytes)?;
        self.mark(position, lines);
        Ok(())
    }

    fn remember(&mut self, bytes: &[u8]) {
        let most = usize::from(TAIL_BYTES_MAX);
        let fresh = bytes
            .get(bytes.len().saturating_sub(most)..)
            .unwrap_or(bytes);
        self.recent.extend_from_slice(fresh);
        let surplus = self.recent.len().saturating_sub(most);
        self.recent.drain(..surplus);
    }

    fn mark(&self, position: &mut FilePosition, lines: u64) {
        position.offset = self.offset;
        position.lines = position.lines.map(|before| before + lines);
        position.tail = identity::short_hash(&self.recent);
        position.tail_bytes = u16::try_from(self.recent.len()).unwrap_or(TAIL_BYTES_MAX);
    }
}
