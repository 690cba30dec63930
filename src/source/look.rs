//! Look: what has become of the files since the last time.
//!
//! A look costs one pass over the directories and one `stat` for each path. Only files that are
//! new to this run, or changed in a way that growing does not explain, are opened for it.

use super::hidden::Hidden;
use super::identity;
use super::known::{Came, Known, Owed, Presence, Standing};
use super::listing::{self, FILES_FOLLOWED_MAX, Found, Listing};
use super::tail;
use super::{Change, FileKey, GapCause, Looked, Source, SourceError, TAIL_BYTES_MAX};
use crate::clock::UnixMs;
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Most files of a source whose positions are kept: as many as are followed at a time.
pub const FILES_REMEMBERED_MAX: usize = FILES_FOLLOWED_MAX;

/// How long the position of a vanished file is kept, and for how many looks that found other
/// files: a rotation that moves a file through a place the globs do not name takes seconds, a
/// directory that is unmounted and back minutes; after that a file under the same inode is most
/// likely another one. A wall clock that leaps ahead makes no difference before the looks.
const GONE_KEPT: (Duration, u32) = (Duration::from_secs(3_600), 10);

/// How long a file that was read to its end stays open: a writer that has its file renamed or
/// removed under it goes on writing into it until it is told, seconds later. The newest file
/// stays open for longer, so that its next row costs no opening.
pub(super) const QUIET_KEPT_OPEN: Duration = Duration::from_secs(60);

/// How long a file must have had something to be read, before that is kept without a position that
/// moved: most files are read within milliseconds, and need no write of their own.
const KEPT_UNREAD_AFTER: Duration = Duration::from_secs(5);

/// How often it is for one file that goes on growing: some hundred bytes each time, also on a disk
/// that is full.
const KEPT_UNREAD_EVERY: Duration = Duration::from_secs(60);

/// Most files for which it is at one look: as many as rows in one commit.
const KEPT_UNREAD_MAX: usize = 1_024;

/// Most unreadable paths that are told apart; the rest is reported when one of them is mended.
const UNREADABLE_PATHS_MAX: usize = 100;

impl Source {
    /// Finds out what has become of the files; `now` is wall-clock time.
    ///
    /// # Errors
    ///
    /// See [`SourceError`]. What was found up to then is told by the next look.
    pub fn look(&mut self, now: UnixMs) -> Result<Looked, SourceError> {
        let mut listing = listing::list(&self.settings)?;
        self.looks += 1;
        self.looked_at = now;
        self.tell(&mut listing);
        let found_any = !listing.found.is_empty();
        let mut new = Vec::new();
        for found in listing.found {
            new.extend(self.meet(found));
        }
        self.unplaced_under = match std::mem::take(&mut self.start_applies) {
            true => listing.hidden.clone(),
            false => self.unplaced_under.still(&listing.hidden),
        };
        self.miss(found_any, &listing.hidden, &listing.left_out);
        // Where descriptors run out, the next look that has some compares them.
        self.reborn.append(&mut new);
        self.settle_doubts()?;
        self.compare_successors();
        (self.families, self.overlap_bytes) = (None, 0);
        self.raise_overlapping(false)?;
        self.take_back_lives()?;
        self.settle_strangers()?;
        self.raise_overlapping(true)?;
        self.families = None;
        self.tell_gaps(found_any, &listing.hidden);
        self.give_up_deleted();
        self.arrange();
        self.close_quiet();
        self.hold_unread()?;
        self.forget_gone();
        self.keep_unread();
        Ok(self.take_untold())
    }

    fn take_untold(&mut self) -> Looked {
        let mut looked = std::mem::take(&mut self.untold);
        let unreadable = self.untold_unreadable.take();
        looked
            .changes
            .extend(unreadable.map(|(path, error, count)| Change::Unreadable {
                path,
                error,
                count,
            }));
        let readable = self.untold_readable.take();
        looked
            .changes
            .extend(readable.map(|(path, count)| Change::Readable { path, count }));
        looked
    }

    /// Looks only at the files that are open: whether one has grown, and nothing else calls for a
    /// [`Source::look`]. Costs one `fstat` for each; for use when a directory watch says that
    /// some content has changed. A `false` says nothing.
    pub fn glance(&mut self, now: UnixMs) -> bool {
        let mut has_grown = false;
        for key in self.tails.keys() {
            if self.observe_open(key, now).is_ok_and(|changed| changed) {
                self.confirm_growth(key);
                self.enqueue(key);
                has_grown |= self.files.get(&key).is_some_and(Known::has_unread);
            }
        }
        has_grown
    }

    /// Whether every file is known for what it is, and has been read as far as it goes: then only
    /// what happens to the files has a next look find anything.
    pub fn is_settled(&self) -> bool {
        let is_at_rest = |known: &Known| {
            let is_known = known.standing <= Standing::Grown || known.copy_of.is_some();
            let is_there = known.presence != Presence::Unlisted;
            let owes = known.owed.is_some() || known.is_held || known.parked_at.is_some();
            (is_known || matches!(known.presence, Presence::Gone { .. }))
                && is_there
                && !owes
                && !known.waits_for_more()
        };
        let has_to_tell = !self.untold.changes.is_empty()
            || !self.untold.positions.is_empty()
            || self.untold_unreadable.is_some()
            || self.untold_readable.is_some();
        let is_complete = !self.start_applies && self.unreadable_paths.is_empty();
        is_complete
            && !has_to_tell
            && self.unread.is_empty()
            && !self.pasts.iter().any(|past| past.is_awaited)
            && self.files.values().all(is_at_rest)
    }

    /// Tells what is wrong with the listing itself, as far as it has not been told.
    fn tell(&mut self, listing: &mut Listing) {
        let mut paths = BTreeSet::new();
        for (path, error) in listing.unreadable.drain(..) {
            let is_new = !self.unreadable_paths.contains(&path);
            if paths.len() < UNREADABLE_PATHS_MAX && paths.insert(path.clone()) && is_new {
                self.tell_unreadable(path.into(), error);
            }
        }
        for path in std::mem::take(&mut self.unreadable_paths) {
            if !paths.contains(&path) {
                self.tell_readable(path.into());
            }
        }
        self.unreadable_paths = paths;
        let skips = listing.skipped.keys().copied().collect();
        for (reason, (count, path)) in std::mem::take(&mut listing.skipped) {
            if !self.skips_told.contains(&reason) {
                self.untold.changes.push(Change::Skipped {
                    reason,
                    count,
                    path,
                });
            }
        }
        self.skips_told = skips;
        let are_too_many = !listing.left_out.is_empty();
        if are_too_many && !self.too_many_told {
            self.untold.changes.push(Change::TooMany {
                left_out: listing.left_out.len(),
            });
        }
        self.too_many_told = are_too_many;
    }

    /// Takes in what was found; returns its key if it is new.
    fn meet(&mut self, mut found: Found) -> Option<FileKey> {
        let (key, look, now) = (found.key, self.looks, self.looked_at);
        if found.is_rotated && !found.is_packed {
            found.is_packed = self.is_packed_inside(&found)?;
        }
        self.tails.set_packed(key, found.is_packed);
        let known = self.files.get(&key);
        let was_unlisted = known.is_some_and(|known| known.presence == Presence::Unlisted);
        if was_unlisted && !self.tails.set_unlisted(key, false) {
            // It was closed to make room, and since then its inode was there for another file.
            self.lose(key, GapCause::Deleted);
        }
        match self.files.get_mut(&key) {
            Some(known) => {
                let was_rotated = known.is_rotated;
                // What gzip or a script added to it was not there to be unpacked.
                if found.is_packed && !known.is_as_found(&found) {
                    self.tails.forget_unpacked(key);
                }
                known.listed(found, look, now);
                if matches!(known.came, Came::Back { .. }) {
                    let path = Arc::clone(&known.path);
                    self.untold.changes.push(Change::Appeared { path });
                }
                let was_renamed = matches!(known.came, Came::Renamed { .. });
                // One in doubt may be another file: it is written down once it is recognised.
                let is_sure = known.standing <= Standing::Grown;
                let is_it = was_renamed && is_sure && !known.is_of_another_kind();
                if is_it && known.is_rotated && !was_rotated && known.position.offset > 0 {
                    // Another file under its inode and its old name would pass for this one cut off.
                    let position = known.kept();
                    self.untold.positions.push(position);
                }
                None
            }
            None => {
                let is_unplaced = self.start_applies || self.unplaced_under.hides(&found.path);
                let standing = if is_unplaced {
                    Standing::Unplaced
                } else if found.is_rotated {
                    Standing::Stranger
                } else {
                    Standing::Sure
                };
                let known = Known::met(found, standing, look, now);
                let path = Arc::clone(&known.path);
                self.untold.changes.push(Change::Appeared { path });
                self.files.insert(key, known);
                Some(key)
            }
        }
    }

    /// Whether a generation is packed although its name does not say so, as svlogd leaves what went through
    /// its processor. It is looked into once, and again when it has changed; `None` where no descriptor
    /// is left for that.
    fn is_packed_inside(&self, found: &Found) -> Option<bool> {
        let known = self.files.get(&found.key);
        let known = known.filter(|known| known.is_here() && !known.told_unreadable);
        match known.filter(|known| known.is_as_found(found)) {
            Some(known) => Some(known.packed_bytes.is_some()),
            None => tail::begins_packed(&found.path).ok(),
        }
    }

    /// Has the new files compared that have the name of one that is gone, or is another file under
    /// its inode by now: an editor saves a file by putting another in its place. A new file may be
    /// under an inode that was known. One of which rows were handed out meanwhile is left as it is.
    fn compare_successors(&mut self) {
        let new = std::mem::take(&mut self.reborn);
        if new.is_empty() {
            return;
        }
        let is_gone = |known: &&Known| match known.presence {
            Presence::Gone { .. } => known.position.first_row.is_some() || known.owed.is_some(),
            Presence::Unlisted => true,
            Presence::Remembered | Presence::Listed => false,
        };
        let gone = self.files.values().filter(is_gone).map(|known| &known.path);
        let over = self.pasts.iter().map(|past| &past.path);
        let gone: HashSet<Arc<Path>> = gone.chain(over).cloned().collect();
        for key in new {
            // Where rows tell how something stands, what has the same end may have other rows before it.
            if let Some(known) = self.files.get_mut(&key)
                && (known.is_rotated || !self.settings.rows_change)
                && known.position.offset == 0
                && gone.contains(&known.path)
            {
                known.raise(Standing::Stranger);
            }
        }
    }

    /// Finds out about the files that this look did not list, other than those that may only be
    /// out of sight. A look that lists nothing at all ages no position: then the whole directory
    /// is away.
    fn miss(&mut self, found_any: bool, hidden: &Hidden, left_out: &HashSet<FileKey>) {
        let (look, now) = (self.looks, self.looked_at);
        let missed = |(key, known): (&FileKey, &Known)| {
            (known.listed_in != look && !hidden.hides(&known.path)).then_some(*key)
        };
        let missed: Vec<FileKey> = self.files.iter().filter_map(missed).collect();
        let directories = self.directories_of_waiting(&missed);
        for key in missed {
            if left_out.contains(&key) {
                self.leave_out(key);
                continue;
            }
            if self.tails.set_unlisted(key, true) && self.observe_open(key, now).is_ok() {
                self.unlist(key);
                continue;
            }
            let known = self.files.get_mut(&key);
            match known.map(|known| (known.position.unread_bytes, &mut known.presence)) {
                Some((_, Presence::Gone { looks, .. })) => {
                    *looks = looks.saturating_add(u32::from(found_any))
                }
                // An agent that is started before a disk is mounted has lost nothing yet.
                Some((1.., Presence::Remembered)) if !found_any => {}
                Some((1.., Presence::Remembered)) => self.miss_waiting(key, &directories),
                _ => self.lose(key, GapCause::Deleted),
            }
        }
    }

    /// The directories in which this look listed something; none where no file is among `missed`
    /// that an earlier run left with something to be read.
    fn directories_of_waiting(&self, missed: &[FileKey]) -> HashSet<PathBuf> {
        let waits = |known: &Known| {
            known.presence == Presence::Remembered && known.position.unread_bytes > 0
        };
        let mut directories = HashSet::new();
        if !missed
            .iter()
            .filter_map(|key| self.files.get(key))
            .any(waits)
        {
            return directories;
        }
        let listed = self.files.values();
        let listed = listed.filter(|known| known.listed_in == self.looks);
        for directory in listed.filter_map(|known| known.path.parent()) {
            if !directories.contains(directory) {
                directories.insert(directory.to_owned());
            }
        }
        directories
    }

    /// An earlier run left something to be read in the file, and this look did not list it. It is
    /// no loss if it is still there: then `files`, `exclude` or `rotated` do not name it any more.
    /// Where its directory is away or empty, its disk may only be mounted later than others.
    fn miss_waiting(&mut self, key: FileKey, directories: &HashSet<PathBuf>) {
        let (look, now) = (self.looks, self.looked_at);
        let Some(known) = self.files.get_mut(&key) else {
            return;
        };
        let meta = fs::metadata(&known.path);
        let is_there = meta.is_ok_and(|meta| listing::key_of(&meta) == key);
        let is_in_sight = known
            .path
            .parent()
            .is_some_and(|directory| directories.contains(directory));
        let since = *known.unlisted_since.get_or_insert(now);
        let is_over = now.since(since) >= GONE_KEPT.0 && look >= u64::from(GONE_KEPT.1);
        if !is_there && !is_in_sight && !is_over {
            return;
        }
        self.lose(key, GapCause::Deleted);
        if is_there && let Some(known) = self.files.get_mut(&key) {
            known.owed = None;
        }
    }

    /// No name leads to the file any more, but it is open. Whether what is unread of it stands in
    /// the file that has its name now is found out while both can be read.
    fn unlist(&mut self, key: FileKey) {
        let now = self.looked_at;
        let Some(known) = self.files.get_mut(&key) else {
            return;
        };
        let was = std::mem::replace(&mut known.presence, Presence::Unlisted);
        known.unlisted_since.get_or_insert(now);
        if was != Presence::Unlisted && known.unread_bytes() > 0 {
            self.save_in_successor(key);
        }
    }

    /// Has what is unread of the file not count as lost with it, if it stands in the one that has
    /// its name now.
    pub(super) fn save_in_successor(&mut self, key: FileKey) {
        if self.is_in_successor(key)
            && let Some(known) = self.files.get_mut(&key)
        {
            // After a restart nobody could compare the two any more.
            self.untold.positions.push(known.save());
        }
    }

    /// The file is there, but there are too many: it is followed no more once it has been read as
    /// far as is known. Its position is kept while there is room for it.
    fn leave_out(&mut self, key: FileKey) {
        let is_open = self.tails.open_tail(key).is_some();
        let Some(known) = self.files.get_mut(&key) else {
            return;
        };
        if is_open || known.has_unread() || matches!(known.presence, Presence::Gone { .. }) {
            return;
        }
        known.presence = Presence::Gone {
            since: self.looked_at,
            looks: 0,
        };
        self.distrust(key);
        self.enqueue(key);
    }

    /// Gives up deleted files that are kept open for too long, then, oldest first, those that take
    /// too much room on the disk: one that is read to its end before one that is not.
    fn give_up_deleted(&mut self) {
        let (now, settings) = (self.looked_at, &self.settings);
        let unlisted = |known: &&Known| known.presence == Presence::Unlisted;
        let kept = self.files.values().filter(unlisted);
        let mut kept: Vec<_> = kept
            .map(|known| {
                (
                    known.may_have_rows(),
                    known.age(),
                    known.size,
                    known.unlisted_since,
                )
            })
            .collect();
        kept.sort_unstable_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        let mut bytes: u64 = kept.iter().map(|(_, _, size, _)| size).sum();
        let mut given_up = Vec::new();
        for (_, age, size, since) in kept {
            let is_late = since.is_some_and(|since| now.since(since) >= settings.deleted_keep);
            if is_late || bytes > settings.deleted_keep_bytes {
                bytes -= size;
                given_up.push(age.key);
            }
        }
        for key in given_up {
            self.lose(key, GapCause::GivenUp);
        }
    }

    /// Whether what was not read of the file, the start of a row most likely, stands at the same
    /// place in the one that has its name now, or in what gzip made of it.
    fn is_in_successor(&mut self, key: FileKey) -> bool {
        let Some(known) = self.files.get(&key) else {
            return false;
        };
        let (from, count) = (known.position.offset, known.unread_bytes());
        if count > self.settings.line_max as u64 {
            return false;
        }
        let path = Arc::clone(&known.path);
        let kin = self.kin_of(&known.position.clone(), &path);
        // Half a row is short: what stands before it has to be the same too.
        let before = from.min(u64::from(TAIL_BYTES_MAX));
        let mut unread = |key, path: &Path| {
            let bytes = self.tails.with_content(key, path, |content| {
                identity::bytes_at(content, from - before, before + count)
            });
            bytes
                .ok()
                .filter(|bytes| bytes.len() as u64 == before + count)
        };
        if kin.is_empty() {
            return false;
        }
        // The one without a name is read only while it is open.
        let own = unread(key, &path);
        own.is_some() && kin.iter().any(|(key, path)| unread(*key, path) == own)
    }

    /// The file cannot be read any more.
    fn lose(&mut self, key: FileKey, cause: GapCause) {
        let has_unread = |known: &Known| known.is_here() && known.unread_bytes() > 0;
        let was_open = self.tails.open_tail(key).is_some();
        let is_saved =
            self.files.get(&key).is_some_and(has_unread) && was_open && self.is_in_successor(key);
        self.tails.close(key);
        self.distrust(key);
        let Some(known) = self.files.get_mut(&key) else {
            return;
        };
        let unread_bytes = match known.presence {
            Presence::Listed | Presence::Unlisted => Some(known.unread_beyond_hole()),
            // Of what came after the agent had ended nobody knows.
            Presence::Remembered => Some(known.unread_bytes()).filter(|&bytes| bytes > 0),
            Presence::Gone { .. } => None,
        };
        let is_lost = known.copy_of.is_none() && !is_saved && known.saved_up_to < known.size;
        let owed = unread_bytes.filter(|bytes| *bytes > 0 && is_lost);
        known.owed = owed.map(|bytes| Owed {
            bytes,
            look: self.looks,
            since: self.looked_at,
            cause,
            was_open,
            goes_on_in: None,
        });
        self.untold.changes.push(Change::Vanished {
            path: Arc::clone(&known.path),
            unread_bytes,
        });
        known.presence = Presence::Gone {
            since: self.looked_at,
            looks: 0,
        };
        self.enqueue(key);
        // Nobody has to make readable what is gone.
        self.tell_read(key);
    }

    /// Has a file that has grown be in doubt if what it has is not what it had: its next growth would
    /// make what is there now count as lost with what was there.
    fn confirm_growth(&mut self, key: FileKey) {
        let standing = |known: &Known| known.standing;
        if self.files.get(&key).map(standing) == Some(Standing::Grown)
            && matches!(self.has_only_grown(key), Ok(false))
        {
            self.doubt(key);
        }
    }

    fn observe_open(&mut self, key: FileKey, now: UnixMs) -> io::Result<bool> {
        let (Some(tail), Some(known)) = (self.tails.open_tail(key), self.files.get_mut(&key))
        else {
            return Ok(false);
        };
        let (size, modified_ns) = tail.size_and_modified_ns()?;
        let has_changed = known.observe(size, modified_ns, now);
        if has_changed {
            self.tails.forget_unpacked(key);
        }
        Ok(has_changed)
    }

    /// Puts the files with something to read in order.
    fn arrange(&mut self) {
        let here = self.files.values().filter(|known| known.is_here());
        self.newest = here.map(Known::age).max();
        for known in self.files.values_mut() {
            if known.waits_for_more() && known.is_over(self.newest.as_ref(), self.looked_at) {
                known.end_seen = known.position.offset;
            }
        }
        let keys: Vec<FileKey> = self.files.keys().copied().collect();
        for key in keys {
            self.enqueue(key);
        }
    }

    /// Closes the files that were read to their end and have been quiet since.
    fn close_quiet(&mut self) {
        let newest = self.newest.as_ref().map(|age| age.key);
        for key in self.tails.keys() {
            let Some(known) = self.files.get(&key) else {
                continue;
            };
            let is_quiet = self.looked_at.since(known.changed_at) >= QUIET_KEPT_OPEN;
            let is_unlisted = known.presence == Presence::Unlisted;
            if known.may_have_rows() || !is_quiet || (newest == Some(key) && !is_unlisted) {
                continue;
            }
            match is_unlisted {
                true => self.lose(key, GapCause::Deleted),
                false => self.tails.close(key),
            }
            if let Some(known) = self.files.get_mut(&key).filter(|_| !is_unlisted) {
                known.forget_copies();
            }
        }
    }

    /// Forgets vanished files after [`GONE_KEPT`], and earlier, those gone for longest first, when
    /// there are more than [`FILES_REMEMBERED_MAX`].
    fn forget_gone(&mut self) {
        let excess = self.files.len().saturating_sub(FILES_REMEMBERED_MAX);
        let mut gone: Vec<(UnixMs, i64, FileKey, u32)> = Vec::new();
        for (key, known) in &self.files {
            if let Presence::Gone { since, looks } = known.presence {
                gone.push((since, known.modified_ns, *key, looks));
            }
        }
        if excess > 0 {
            gone.sort_unstable();
        }
        for (at, (since, _, key, looks)) in gone.into_iter().enumerate() {
            let is_over = self.looked_at.since(since) >= GONE_KEPT.0 && looks >= GONE_KEPT.1;
            if at < excess || is_over {
                self.files.remove(&key);
                self.tails.set_packed(key, false);
                self.untold.forgotten.push(key);
            }
        }
    }
}

impl Source {
    /// Says whether the queue has room for more than positions that move. Where it has none, what waits in
    /// the files is not kept beside them: that would be all there is to write, and looking stops
    /// until it is written.
    pub fn set_room_to_keep(&mut self, has_room: bool) {
        self.has_room_to_keep = has_room;
    }

    /// Has the queue keep what is there to be read in files that wait for it long, and that nothing
    /// is owed any more of those that are gone: otherwise what is lost while the agent is down would
    /// never be told, or told once more.
    fn keep_unread(&mut self) {
        let (now, has_room) = (self.looked_at, self.has_room_to_keep);
        let mut kept = 0;
        for known in self.files.values_mut() {
            if known.is_kept_as_owed() {
                known.size = known.position.offset;
                known.position.unread_bytes = 0;
                self.untold.positions.push(known.kept());
                continue;
            }
            let is_read = known.standing <= Standing::Grown && !known.is_held;
            let waits = known
                .behind_since
                .is_some_and(|since| now.since(since) >= KEPT_UNREAD_AFTER);
            let is_new = known.unread_beyond_hole() != known.position.unread_bytes
                && known.saved_up_to < known.size;
            let is_due = now.since(known.kept_at) >= KEPT_UNREAD_EVERY || now < known.kept_at;
            let is_plain = known.packed_bytes.is_none();
            if has_room && is_read && is_plain && known.is_here() && waits && is_new && is_due {
                known.kept_at = now;
                self.untold.positions.push(known.kept());
                kept += 1;
            }
            if kept >= KEPT_UNREAD_MAX {
                break;
            }
        }
    }
}
