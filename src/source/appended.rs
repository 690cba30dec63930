//! Appended: archives that a rotation adds a whole file to, `cat cdr.csv >> cdr.csv.2026` or `gzip -c cdr.csv >>
//! cdr.csv.gz`, before it cuts that off.
//!
//! What is added begins with the first row of a file that is followed. As much of it as was read there is
//! passed over: it would be told again, under other ids.

use super::compared::{self, Of};
use super::gunzip::Ending;
use super::identity;
use super::known::{Known, Mark, Presence, Standing};
use super::losses::Newcomer;
use super::tail::TailError;
use super::{Change, FileKey, FilePosition, Source};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long what was added waits at most for the end of the file that it is of: who adds it cuts that off
/// at once.
const CUT_WITHIN: Duration = Duration::from_secs(10);

/// Most files that were just begun of which one may have been added: one, and what is named like it.
const BEGUN_MAX: usize = 4;

impl Source {
    /// Passes over what was added to a generation and was read of another file; has it wait while that
    /// file is there as it was.
    pub(super) fn pass_over_added(&mut self, key: FileKey) -> Result<(), TailError> {
        // It may have been added to more than once; each piece is of a file that is forgotten with it.
        while self.pass_over_piece(key)? {}
        Ok(())
    }

    /// Passes over one piece that was added; false when there is none, or it waits.
    fn pass_over_piece(&mut self, key: FileKey) -> Result<bool, TailError> {
        let is_it = |known: &&Known| {
            known.is_rotated && known.position.offset > 0 && known.standing == Standing::Sure
        };
        let Some(known) = self.files.get(&key).filter(is_it) else {
            return Ok(false);
        };
        let (path, from) = (Arc::clone(&known.path), known.position.offset);
        let is_late = self.looked_at.since(known.changed_at) >= CUT_WITHIN;
        let (is_header, line_max) = (Arc::clone(&self.is_header), self.settings.line_max.max(1));
        let (first_row, is_unfinished) = self.tails.with_content(key, &path, |content| {
            content.seek(SeekFrom::Start(from))?;
            let mut line = Vec::new();
            BufReader::new(content.by_ref().take(line_max as u64)).read_until(b'\n', &mut line)?;
            if line.ends_with(b"\n") {
                return Ok((identity::row_hash(&line, true, &is_header), false));
            }
            let ending = content.ending();
            Ok((
                None,
                ending.is_some_and(|ending| ending != Ending::Complete),
            ))
        })?;
        let Some(first_row) = first_row else {
            // By the time it is read gzip may have finished it.
            if is_unfinished && !is_late {
                self.doubt(key);
            }
            return Ok(false);
        };
        let is_begun = |position: &FilePosition| position.first_row == Some(first_row);
        self.take_in_begun(key, &path)?;
        let mut alive = self.files.values().filter(|known| known.is_here());
        let is_there = alive.any(|known| known.position.key != key && is_begun(&known.position));
        let pasts = self.pasts.iter().filter(|past| is_begun(&past.position));
        let pasts = pasts.map(|past| {
            let of = Of::Past(past.position.key, past.position.life);
            (of, past.position.clone(), Arc::clone(&past.path))
        });
        // Who adds a file may remove it instead. While rows are read of it nothing is passed over.
        let is_over = |known: &&Known| {
            let is_left = known.presence == Presence::Unlisted && !known.may_have_rows();
            // What waits for the rest of itself in this very generation was found in it before.
            let waits = known.owed.as_ref().and_then(|owed| owed.goes_on_in) == Some(key);
            let is_it = known.position.key != key && is_begun(&known.position) && !waits;
            is_it && (is_left || !known.is_here())
        };
        let gone = self.files.values().filter(is_over);
        let gone = gone.map(|known| {
            let of = Of::File(known.position.key);
            (of, known.position.clone(), Arc::clone(&known.path))
        });
        let over: Vec<(Of, FilePosition, Arc<Path>)> = pasts.chain(gone).collect();
        let added_to = |mark: Mark| Mark {
            offset: from + mark.offset,
            ..mark
        };
        for (of, position, from_path) in over {
            let mark = added_to(Mark::of(&position));
            let found = self.tails.with_content(key, &path, |content| {
                let holds = compared::holds(content, mark)?;
                Ok((holds, content.length()?))
            })?;
            if let (true, length) = found {
                self.go_on_behind(key, mark);
                self.leave_to(of, key, Some(length - from));
                let change = Change::Continued {
                    path,
                    from: from_path,
                    offset: mark.offset,
                };
                self.untold.changes.push(change);
                return Ok(true);
            }
        }
        if is_there && !is_late {
            self.doubt(key);
            return Ok(false);
        }
        // What was gone or cut off before it could be opened may be what is read here.
        let newcomer = self.files.get(&key);
        let newcomer = newcomer.map(|known| Newcomer::of(known, self.looks));
        self.newcomers.extend(newcomer);
        Ok(false)
    }

    /// Takes in the first rows of files that were just begun and whose names the name of the generation at
    /// `path` begins with.
    fn take_in_begun(&mut self, key: FileKey, path: &Path) -> Result<(), TailError> {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let is_it = |known: &&Known| {
            let stem = known.path.file_stem().unwrap_or_default();
            let is_unknown = known.position.first_row.is_none() && known.size > 0;
            let can_be = is_unknown && known.is_here() && known.packed_bytes.is_none();
            can_be && known.position.key != key && name.starts_with(stem.as_encoded_bytes())
        };
        let begun = self.files.values().filter(is_it);
        let begun: Vec<FileKey> = begun
            .map(|known| known.position.key)
            .take(BEGUN_MAX)
            .collect();
        begun.into_iter().try_for_each(|begun| self.peek(begun))
    }

    /// Has the file be read on behind `mark`.
    fn go_on_behind(&mut self, key: FileKey, mark: Mark) {
        self.distrust(key);
        self.supersede(key);
        if let Some(known) = self.files.get_mut(&key) {
            let position = &mut known.position;
            (position.offset, position.lines) = (mark.offset, None);
            (position.tail, position.tail_bytes) = (mark.tail, mark.tail_bytes);
            known.rewind();
            let position = known.kept();
            self.untold.positions.push(position);
        }
    }
}
