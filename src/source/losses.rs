//! Losses: what is told as lost, and when: with lives of which no copy was found, and with files that
//! are gone and have not come back.

use super::compared::Of;
use super::hidden::Hidden;
use super::identity::{self, Likeness};
use super::known::{Known, Owed, Presence, Standing};
use super::past::{Lost, PASTS_MAX, Past};
use super::{Change, FileKey, FilePosition, Gap, GapCause, Rotated, Source, listing, rotated};
use crate::clock::UnixMs;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long lives that are over are remembered: a rotation that copies, truncates and then packs a gigabyte
/// takes minutes.
const PAST_KEPT: Duration = Duration::from_secs(3_600);

/// Looks after the one that found a file cut off or gone, in which a copy is looked for before its
/// rows are told as lost: a directory in which files are being renamed is not always listed whole,
/// and what was listed is not always there to be opened.
pub const LOOKS_FOR_COPY: u64 = 3;

/// How long nothing is told as lost while there are files that may turn out to be copies.
const COPY_AWAITED: Duration = Duration::from_secs(15);

/// Most files that are compared before something is told as lost: one copy, and what else has its
/// name by chance.
const KIN_COMPARED_MAX: usize = 64;

impl Source {
    /// Takes in that a life of the file known as `key` is over. Its next life waits, and its
    /// position is not told, until a copy of this one was found or one more look found none: a
    /// directory in which files are being renamed is not always listed whole. So a crash finds
    /// the position in the old life, and the copy is known again.
    pub(super) fn end_life(&mut self, past: Past) {
        if self.pasts.len() >= PASTS_MAX {
            self.pasts.remove(0);
        }
        if let Some(known) = self.files.get_mut(&past.position.key) {
            known.is_held = true;
        }
        self.pasts.push(past);
    }

    /// Tells what was lost for good: with lives of which no copy was found by now, and with files
    /// that are gone since an earlier look and have not come back. Lets go of the files that have
    /// waited for that.
    ///
    /// A look that lists nothing at all finds no copy: where the whole directory is away for a moment,
    /// nothing is told for that long; nor while what is `hidden` holds the generations of a file.
    pub(super) fn tell_gaps(&mut self, found_any: bool, hidden: &Hidden) {
        let (look, now) = (self.looks, self.looked_at);
        self.pasts.retain(|past| now.since(past.since) < PAST_KEPT);
        self.newcomers
            .retain(|newcomer| look <= newcomer.look + 2 * LOOKS_FOR_COPY);
        // Of a file that was listed and gone before it was opened nothing is known but its name and
        // length: a generation of that name that is read whole, or is a copy of one that is read, is
        // taken for it, and so is a file that has the name now.
        // Where a rotation cuts off thousands at once, most are not even compared.
        let mut newcomers = std::mem::take(&mut self.newcomers);
        newcomers.sort_by_cached_key(|newcomer| newcomer.name().to_vec());
        let is_elsewhere = matches!(self.settings.rotated, Rotated::Given(_));
        let is_named_after = |path: &Path, size: u64| {
            let mut beginnings = rotated::beginnings(path);
            beginnings.any(|beginning| {
                let mut named_so = named_from(&newcomers, &beginning);
                named_so.any(|newcomer| newcomer.may_be(path, size, is_elsewhere))
            })
        };
        let is_unknown = |position: &FilePosition| position.offset == 0 && position.head_bytes == 0;
        let is_read_whole = |position: &FilePosition, path: &Path, size: u64| {
            is_unknown(position) && is_named_after(path, size)
        };
        let owed = self.files.values().filter_map(|known| known.owed);
        let heirs = owed.filter_map(|owed| owed.goes_on_in);
        let size_of = |heir| Some((heir, self.files.get(&heir)?.size));
        let heirs: HashMap<FileKey, u64> = heirs.filter_map(size_of).collect();
        let is_waited_for = self.files.values().any(Known::may_be_a_copy);
        let is_clear = found_any && !is_waited_for;
        let are_hidden = match &self.settings.rotated {
            Rotated::Derived => false,
            Rotated::Given(globs) => listing::hides_a_base(hidden, globs),
        };
        let is_due = |since: UnixMs, path: &Path| {
            let is_in_sight = !are_hidden && !hidden.hides(path);
            (is_clear && is_in_sight) || now.since(since) >= COPY_AWAITED
        };
        for at in 0..self.pasts.len() {
            let Some(past) = self.pasts.get(at).filter(|past| past.is_awaited) else {
                continue;
            };
            let is_over = look >= past.look + LOOKS_FOR_COPY;
            if is_over && self.is_written_again(at) {
                continue;
            }
            let Some(past) = self.pasts.get_mut(at) else {
                continue;
            };
            let size = past.size;
            if !is_over || !is_due(past.since, &past.path) {
                // What is there now may be gone as well by then.
                let is_new = past.look == look && matches!(past.lost, Lost::Seen(_));
                let (position, path) = (past.position.clone(), Arc::clone(&past.path));
                if is_new && self.length_of_kin(&position, &path) >= Some(size) {
                    let past = self.pasts.get_mut(at);
                    past.into_iter().for_each(|past| past.lost = Lost::Nothing);
                }
                continue;
            }
            past.is_awaited = false;
            if past.lost == Lost::Nothing || is_read_whole(&past.position, &past.path, past.size) {
                past.lost = Lost::Nothing;
                continue;
            }
            self.tell_past(at);
        }
        let awaited = self.pasts.iter().filter(|past| past.is_awaited);
        let awaited: HashSet<FileKey> = awaited.map(|past| past.position.key).collect();
        let mut due = Vec::new();
        let mut new = Vec::new();
        for (key, known) in &mut self.files {
            if known.is_held && !awaited.contains(key) {
                known.is_held = false;
                self.untold.positions.push(known.kept());
            }
            let is_over =
                |owed: &Owed| look >= owed.look + LOOKS_FOR_COPY && is_due(owed.since, &known.path);
            let is_new = |owed: &Owed| owed.look == look && !owed.was_open;
            new.extend(known.owed.filter(is_new).map(|_| *key));
            // It is back, and may be what it was, but could not be opened yet: that is found out first.
            let may_be_it = known.is_here() && known.standing == Standing::Doubtful;
            let owed = known.owed.take_if(|owed| !may_be_it && is_over(owed));
            // One that had grown, and was gone before it was compared, may have been another under its inode.
            let may_be_other = known.standing == Standing::Grown || is_unknown(&known.position);
            let is_read = may_be_other && is_named_after(&known.path, known.size);
            due.extend(owed.filter(|_| !is_read).map(|owed| (*key, owed)));
        }
        for key in new {
            let Some(known) = self.files.get(&key) else {
                continue;
            };
            let (position, path, size) =
                (known.position.clone(), Arc::clone(&known.path), known.size);
            if self.length_of_kin(&position, &path) >= Some(size)
                && let Some(known) = self.files.get_mut(&key)
            {
                known.owed = None;
            }
        }
        for (key, owed) in due {
            let Some(known) = self.files.get(&key) else {
                continue;
            };
            let (position, path, size) =
                (known.position.clone(), Arc::clone(&known.path), known.size);
            let heir = owed.goes_on_in.and_then(|heir| heirs.get(&heir).copied());
            // What was open has been compared byte by byte.
            let kin = match owed.was_open {
                true => None,
                false => self.length_of_kin(&position, &path),
            };
            let from = heir
                .max(kin)
                .map_or(0, |length| length.max(position.offset));
            let bytes = owed.bytes.min(size.saturating_sub(from));
            if bytes > 0 {
                self.untold.changes.push(Change::Gap(Gap {
                    path,
                    position,
                    cause: owed.cause,
                    bytes: Some(bytes),
                    unseen_bytes: 0,
                }));
            }
        }
        self.newcomers = newcomers;
    }

    /// Tells what was lost with the past at that place.
    fn tell_past(&mut self, at: usize) {
        let Some(past) = self.pasts.get(at) else {
            return;
        };
        let (position, path) = (past.position.clone(), Arc::clone(&past.path));
        let is_list = self.is_list_written_anew(past);
        let length = self.length_of_kin(&position, &path);
        if let Some(past) = self.pasts.get_mut(at) {
            let gap = match length {
                _ if is_list => None,
                Some(_) => past.lost_beside_copy(length),
                None => past.gap(),
            };
            past.lost = Lost::Nothing;
            self.untold.changes.extend(gap);
        }
    }

    /// Whether the file of `past` is a list of how things stand that was written anew in its place: what it
    /// holds now is all that there is to tell, and what is no more was never to be read. A log that was cut
    /// off begins with little; a list is about as long as it was.
    fn is_list_written_anew(&self, past: &Past) -> bool {
        let file = self.files.get(&past.position.key);
        self.settings.rows_change
            && past.cause == GapCause::Truncated
            && file.is_some_and(|known| known.size >= past.size.max(past.position.offset) / 2)
    }

    /// The file known as `key` is about to go on where `parent` was read to, which the queue is told:
    /// what was lost with its own last life is told with it, for the queue knows nothing of that then.
    pub(super) fn tell_last_life(&mut self, key: FileKey, parent: Of) {
        for at in 0..self.pasts.len() {
            let Some(past) = self.pasts.get_mut(at) else {
                continue;
            };
            let is_parent = parent == Of::Past(key, past.position.life);
            if past.position.key == key && past.is_awaited && !is_parent {
                past.is_awaited = false;
                self.tell_past(at);
            }
        }
    }

    /// How long the file is that holds what was read of one that is over and was at `path`, and goes on
    /// behind it: the longest of its kin. `None` where there is none.
    fn length_of_kin(&mut self, position: &FilePosition, path: &Path) -> Option<u64> {
        let mut longest = None;
        for (key, path) in self.kin_of(position, path) {
            let length = self.tails.with_content(key, &path, |content| {
                let likeness = identity::compare(content, position)?;
                let length = content.length()?;
                Ok((likeness == Likeness::Same).then_some(length))
            });
            longest = longest.max(length.unwrap_or(None));
        }
        longest
    }

    /// The files that may hold what another one held that was at `path`: those that have its name, and
    /// rotated generations, that begin as it does, as far as that is known.
    pub(super) fn kin_of(&self, position: &FilePosition, path: &Path) -> Vec<(FileKey, Arc<Path>)> {
        if position.head_bytes == 0 {
            return Vec::new();
        }
        let is_elsewhere = matches!(self.settings.rotated, Rotated::Given(_));
        let begins_so = |known: &Known| {
            let own = &known.position;
            (own.head_bytes, own.head) == (position.head_bytes, position.head)
        };
        let can_be = |known: &&Known| {
            let own = &known.position;
            let is_other = (own.key, own.life) != (position.key, position.life);
            let is_unknown = known.standing > Standing::Grown
                || own.first_row.is_none()
                || position.first_row.is_none();
            let is_empty = known.size == 0 && known.packed_bytes.is_none();
            known.presence == Presence::Listed
                && is_other
                && !is_empty
                && (is_unknown || begins_so(known))
                && (known.is_rotated || *known.path == *path)
        };
        let mut kin: Vec<&Known> = self.files.values().filter(can_be).collect();
        kin.sort_by_cached_key(|known| {
            let is_old = known.standing <= Standing::Grown && !begins_so(known);
            let is_related = rotated::is_generation(&known.path, path, is_elsewhere);
            let place = (*known.path != *path, !is_related, is_old);
            (place, Reverse(known.modified_ns))
        });
        let kin = kin.into_iter().take(KIN_COMPARED_MAX);
        kin.map(|known| (known.position.key, Arc::clone(&known.path)))
            .collect()
    }

    /// Whether the next look is worth having soon: what the last one found can be understood only
    /// with it.
    pub fn is_in_doubt(&self) -> bool {
        let is_new = |past: &Past| past.is_awaited && self.looks < past.look + LOOKS_FOR_COPY;
        let is_doubtful = |known: &Known| {
            known.standing == Standing::Doubtful && known.is_here() && known.parked_at.is_none()
        };
        self.pasts.iter().any(is_new) || self.files.values().any(is_doubtful)
    }
}

/// A file that is read whole or from where another was read to, or is a copy of one that is read, since
/// the look that found it.
#[derive(Debug)]
pub struct Newcomer {
    path: Arc<Path>,
    /// Its length; `None` for a packed one, whose text has another.
    size: Option<u64>,
    look: u64,
}

impl Newcomer {
    pub fn of(known: &Known, look: u64) -> Newcomer {
        Newcomer {
            path: Arc::clone(&known.path),
            size: known.packed_bytes.is_none().then_some(known.size),
            look,
        }
    }

    fn name(&self) -> &[u8] {
        let name = self.path.file_name().unwrap_or_default();
        name.as_encoded_bytes()
    }

    /// Whether it may be what has become of a file of which nothing was read and that was at `path`
    /// and `size` bytes long. Where generations `are_elsewhere`, their directory says nothing.
    fn may_be(&self, path: &Path, size: u64, are_elsewhere: bool) -> bool {
        let is_long_enough = self.size.is_none_or(|own| own >= size);
        is_long_enough && rotated::is_generation(&self.path, path, are_elsewhere)
    }
}

/// Those of `newcomers`, which are in the order of their names, whose name has that `beginning`.
fn named_from<'a>(
    newcomers: &'a [Newcomer],
    beginning: &'a [u8],
) -> impl Iterator<Item = &'a Newcomer> {
    let from = newcomers.partition_point(|newcomer| newcomer.name() < beginning);
    let later = newcomers.get(from..).unwrap_or_default().iter();
    later.take_while(move |newcomer| newcomer.name().starts_with(beginning))
}
