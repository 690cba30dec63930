//! Documents: one record per file, as FreeSWITCH's `json_cdr`, `xml_cdr` and `err-log-dir` hold them.
//!
//! **Crash argument.** That a file was read is committed with its event. What then becomes of the
//! file happens after that commit: a crash between leaves it there, it is known at the next start,
//! and removed or moved then without being told again. A file is removed once its event is durable
//! here, not once it is delivered: from then on the queue answers for it, as it does for a row
//! whose log has been rotated away, and an endpoint that is down for days must not fill the
//! switch's directory. One that did not fit is never removed or moved: only its first bytes are in
//! `set-aside.jsonl`.
//!
//! **Half-written files.** A switch creates a document under its final name and then writes it. One
//! that ends early waits until it changes, or until it has not for `incomplete_max`; it is then
//! set aside, and read again should it change after all.
//!
//! **What cannot be removed or moved** is tried again, and remembered meanwhile, so that this is so after
//! a restart too: a directory that the agent may not write in is often found out after days. Of the oldest
//! beyond [`UNDONE_MAX`] nothing becomes any more.

use super::intake::{At, Came, InFolder, Intake, due_with};
use super::report::{Report, named_unreadable, remedy};
use super::reread::{Reading, Reread};
use super::{GROUP_ROWS_MAX, Group};
use crate::clock::{Moment, UnixMs};
use crate::derive::{Derive, Fate, Now};
use crate::event::{EventId, Origin};
use crate::folder::{FILES_REMEMBERED_MAX, FILES_WAITING_MAX, Folder, Found, HEAD_BYTES, relative};
use crate::parser::document::DOCUMENT_BYTES_MAX;
use crate::parser::{DocumentStep, Format, Parser, Record};
use crate::queue::{Covered, SourceBatch, StateChange, Wholes};
use crate::source::{FileKey, FilePosition};
use sha2::{Digest, Sha256};
use std::collections::{HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Shortest time between two lines about files that could not be removed or moved.
const TROUBLE_PAUSE: Duration = Duration::from_secs(600);

/// Most files that are remembered because they could not be removed or moved.
const UNDONE_MAX: usize = FILES_WAITING_MAX;

/// Time between two tries of these.
const UNDONE_PAUSE: Duration = Duration::from_secs(5);

/// Most of them that are tried at once, as many as a group has rows; one where the last could not.
const UNDONE_AT_ONCE: usize = GROUP_ROWS_MAX;

/// What becomes of a file once what it told is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// Nothing; it is remembered.
    Keep,
    /// It is removed.
    Delete,
    /// It is moved to this directory; on another file system it is copied.
    MoveTo(PathBuf),
}

impl After {
    /// Its word in the configuration.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Delete => "delete",
            Self::MoveTo(_) => "move_to",
        }
    }

    /// Does it to the `file` that was read, which is `name` below its directory. What was written there
    /// since then is told of first.
    fn apply(&self, file: &Found, name: &str) -> io::Result<()> {
        let path = &file.path;
        match self {
            Self::Keep => Ok(()),
            _ if !file.is(&fs::metadata(path)?) => Ok(()),
            Self::Delete => fs::remove_file(path),
            Self::MoveTo(directory) => {
                let mut target = directory.join(name);
                if let Some(parent) = target.parent() {
                    fs::create_dir_all(parent)?;
                }
                // Another one that had this name stays as it is.
                if target.symlink_metadata().is_ok() {
                    target = directory.join(format!("{name}.{}", file.changed_ns));
                }
                match fs::rename(path, &target) {
                    Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                        self.carry(file, &target)
                    }
                    renamed => renamed,
                }
            }
        }
    }

    /// Copies the `file` to another file system and removes it there. The copy has its name and is durable
    /// before: after a crash there is one, or both, or a part of one under a hidden name, which the next
    /// copy of the same file writes over.
    fn carry(&self, file: &Found, target: &Path) -> io::Result<()> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let part = target.with_file_name(format!(".{name}.part"));
        fs::copy(&file.path, &part)?;
        File::open(&part)?.sync_all()?;
        fs::rename(&part, target)?;
        if let Some(parent) = target.parent() {
            File::open(parent)?.sync_all()?;
        }
        match file.is(&fs::metadata(&file.path)?) {
            true => fs::remove_file(&file.path),
            // What was written meanwhile is told first, and moved then.
            false => fs::remove_file(target),
        }
    }
}

/// A source of documents.
#[derive(Debug)]
pub struct Documents {
    name: Arc<str>,
    folder: Folder,
    parser: Parser,
    format: Format,
    derive: Derive,
    after: After,
    report: Report,
    /// Files whose event is in the group that is not yet durable.
    done: Vec<Found>,
    /// Files whose event is durable, and that could not be removed or moved; oldest first.
    undone: VecDeque<Found>,
    /// When that is tried again.
    undone_at: Moment,
    /// Why one of them could not, and which.
    obstacle: Option<(PathBuf, String)>,
    not_moved: u64,
    not_moved_told_at: Option<Moment>,
    /// Files that wait because they cannot be read; as many as wait at most.
    unreadable: HashSet<FileKey>,
    /// The one that was told, and what the system says of it.
    unreadable_told: Option<(PathBuf, String)>,
    /// For whoever looks: the file that did not fit last, and why.
    last_set_aside: Option<String>,
}

/// The name of the small state that holds the watermark of the source's folder.
pub fn watermark_name(source: &str) -> String {
    format!("folder/{source}")
}

/// The watermark as it is stored.
pub fn watermark_of(stored: Option<&[u8]>) -> Option<i64> {
    Some(i64::from_be_bytes(stored?.try_into().ok()?))
}

impl Documents {
    /// The source called `name`, of the files in `folder`.
    pub fn new(
        name: Arc<str>,
        folder: Folder,
        parser: Parser,
        derive: Derive,
        after: After,
    ) -> Documents {
        Documents {
            report: Report::new(&name),
            name,
            folder,
            format: parser.format().clone(),
            parser,
            derive,
            after,
            done: Vec::new(),
            undone: VecDeque::new(),
            undone_at: Moment::default(),
            obstacle: None,
            not_moved: 0,
            not_moved_told_at: None,
            unreadable: HashSet::new(),
            unreadable_told: None,
            last_set_aside: None,
        }
    }

    /// Reads one file; false when it has to wait.
    fn read(&mut self, mut file: Found, now: Now, group: &mut Group) {
        let (bytes, head) = match read(&mut file) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.folder.lost(&file);
            }
            Err(error) => {
                // Tried again when it changes, and in the end.
                self.unreadable.insert(file.key);
                self.tell_unreadable(&file.path, &error);
                return self.folder.put_back(file);
            }
        };
        self.unreadable.remove(&file.key);
        // It may have grown since it was listed: it is remembered as what was read of it, or it would
        // pass for another one at the next look.
        let read = bytes.len() as u64;
        if read <= DOCUMENT_BYTES_MAX as u64 {
            file.size = read;
        }
        if self.folder.is_old(&file, head) {
            // Renamed, or its mode changed, or what was to become of it did not.
            let position = self.folder.done(&file, head);
            group.remember(&self.name, told_by(position, false));
            self.done.push(file);
            return;
        }
        let settings = self.folder.settings();
        let complete = now.moment.since(file.unchanged_since) >= settings.patience;
        let name = relative(&settings.directory, &file.path);
        let mut awake = Vec::new();
        let came = match self.parser.document(&bytes, &name, complete) {
            DocumentStep::Incomplete => return self.folder.put_back(file),
            DocumentStep::Rejected(reject) => {
                self.derive.rows_came(now, &mut awake);
                Came::of(Fate::Misfit(reject))
            }
            DocumentStep::Record(record) => {
                self.derive.rows_came(now, &mut awake);
                understand(&mut self.derive, &self.format, &record, &bytes, now)
            }
        };
        if !awake.is_empty() {
            group.tell(&self.name, awake);
        }
        match came.why_not() {
            Some(reason) => {
                self.report.set_aside(&name, &reason);
                self.last_set_aside = Some(format!("{name}: {reason}"));
            }
            None => self.done.push(file.clone()),
        }
        let place = file.path.display().to_string();
        let has_told = came.fate == Fate::Told;
        group.add(&self.name, &place, &bytes, came);
        let position = self.folder.done(&file, head);
        group.remember(&self.name, told_by(position, has_told));
    }

    /// Says that a file cannot be read, unless that was said of another one.
    fn tell_unreadable(&mut self, path: &Path, error: &io::Error) {
        if self.unreadable_told.is_none() {
            log::warn!(
                "file cannot be read source={} file={path:?} count=1 error=\"{error}{}\"",
                self.name,
                remedy(error)
            );
            self.unreadable_told = Some((path.to_owned(), error.to_string()));
        }
    }

    /// Says that there is none any more that cannot be read.
    fn tell_readable(&mut self) {
        self.unreadable.retain(|key| self.folder.is_pending(*key));
        if self.unreadable.is_empty()
            && let Some((path, _)) = self.unreadable_told.take()
        {
            log::info!(
                "file readable again source={} file={path:?} count=1",
                self.name
            );
        }
    }

    /// Which files cannot be read and why, when some cannot.
    fn unreadable_now(&self) -> Option<String> {
        let (path, error) = self.unreadable_told.as_ref()?;
        Some(named_unreadable(self.unreadable.len(), path, error))
    }

    /// Does what is to become of `file`; false where that cannot be done now.
    fn finish(&mut self, file: &Found, now: Moment) -> bool {
        let name = relative(&self.folder.settings().directory, &file.path);
        match self.after.apply(file, &name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.tell_not_moved(&file.path, &error, now);
                self.obstacle = Some((file.path.clone(), error.to_string()));
                false
            }
            _ => true,
        }
    }

    /// Tries again what could not be done.
    fn finish_undone(&mut self, now: Moment) {
        if self.undone.is_empty() || now < self.undone_at {
            return;
        }
        self.undone_at = now + UNDONE_PAUSE;
        for _ in 0..UNDONE_AT_ONCE.min(self.undone.len()) {
            let Some(file) = self.undone.pop_front() else {
                break;
            };
            if !self.finish(&file, now) {
                // One file may be to blame, or all: the next is tried the next time.
                self.undone.push_back(file);
                return;
            }
        }
        match self.undone.is_empty() {
            true => self.obstacle = None,
            false => self.undone_at = now,
        }
    }

    /// From when on files have to be known at the next start, for what is still to become of them; in
    /// nanoseconds since 1970.
    fn needed_from_ns(&self) -> i64 {
        if self.after == After::Keep {
            return i64::MAX;
        }
        // A few that can never be removed must not have all that come after them remembered for ever.
        let is_kept = self.folder.remembered() < FILES_REMEMBERED_MAX;
        let undone = self.undone.iter().filter(|_| is_kept);
        let files = self.done.iter().chain(undone);
        files.map(|file| file.changed_ns).min().unwrap_or(i64::MAX)
    }

    /// What cannot be removed or moved, and why, when there is something.
    fn obstacle_now(&self) -> Option<String> {
        let (path, error) = self.obstacle.as_ref()?;
        let (count, word) = (self.undone.len(), self.after.word());
        let one = path.display();
        Some(format!(
            "after_read = \"{word}\" fails for {count} files, one of them {one}: {error}"
        ))
    }

    /// Says that files cannot be removed or moved, now and then.
    fn tell_not_moved(&mut self, path: &Path, error: &io::Error, now: Moment) {
        self.not_moved += 1;
        let due = self
            .not_moved_told_at
            .is_none_or(|told| now.since(told) >= TROUBLE_PAUSE);
        if due {
            log::warn!(
                "files read, but after_read fails source={} count={} one={path:?} error=\"{error}\"",
                self.name,
                self.not_moved
            );
            self.not_moved_told_at = Some(now);
            self.not_moved = 0;
        }
    }
}

/// What a document that has been parsed comes to.
fn understand(
    derive: &mut Derive,
    format: &Format,
    record: &Record<'_>,
    bytes: &[u8],
    now: Now,
) -> Came {
    let origin = Origin {
        first_row: &Sha256::digest(bytes).into(),
        offset: 0,
        raw: bytes,
    };
    let mut told = Vec::new();
    let fate = derive.take(record, format, origin, now, &mut told);
    Came {
        fate,
        told,
        reason: None,
    }
}

/// The position of a file of which an event is made, if it `has_told`; else it need not be read again
/// where events are lost.
pub(super) fn told_by(position: FilePosition, has_told: bool) -> FilePosition {
    match has_told {
        true => position,
        false => FilePosition {
            lines: Some(0),
            ..position
        },
    }
}

/// The file's bytes and the hash of its head; of one that is too long, a byte too many. One that
/// another has taken the place of is not found.
fn read(file: &mut Found) -> io::Result<(Vec<u8>, u64)> {
    let opened = File::open(&file.path)?;
    // It may have changed since it was listed. What is read of it is no older than this.
    if !file.renew(&opened.metadata()?) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let most = DOCUMENT_BYTES_MAX as u64 + 1;
    let room = usize::try_from(file.size.min(most)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(room);
    opened.take(most).read_to_end(&mut bytes)?;
    let head = head_hash(bytes.get(..HEAD_BYTES).unwrap_or(&bytes));
    Ok((bytes, head))
}

/// First 8 bytes of the SHA-256 of a file's head.
pub(super) fn head_hash(head: &[u8]) -> u64 {
    let digest: [u8; 32] = Sha256::digest(head).into();
    let (first, _) = digest.split_first_chunk().expect("32 bytes begin with 8");
    u64::from_be_bytes(*first)
}

/// Adds what a folder has to say besides its files.
pub(super) fn keep_account(
    folder: &mut Folder,
    source: &Arc<str>,
    up_to_ns: i64,
    group: &mut Group,
) {
    let vanished = folder.take_vanished();
    if vanished > 0 {
        log::warn!("files gone before they were read source={source} count={vanished}");
        group.batch(source).counts.gaps += vanished;
    }
    if !folder.is_new() && !group.has(source) {
        return; // Not worth a commit of its own.
    }
    let (forgotten, watermark) = folder.to_commit(up_to_ns);
    group.batch(source).forgotten.extend(forgotten);
    if let Some(watermark) = watermark {
        group.change(StateChange {
            name: watermark_name(source),
            value: Some(watermark.to_be_bytes().to_vec()),
        });
    }
}

impl Intake for Documents {
    fn take(&mut self, at: At, group: &mut Group) {
        self.folder.look(at.hinted);
        let mut last_ns = None;
        while group.has_room_for_whole(last_ns, &self.folder)
            && let Some(file) = self.folder.take()
        {
            last_ns = Some(file.changed_ns);
            self.read(file, at.machine(), group);
        }
        self.tell_readable();
        self.finish_undone(at.now);
        let up_to_ns = self.needed_from_ns();
        let caught_up = self.folder.is_caught_up();
        let forgotten = group.derive(&self.name, &mut self.derive, at.machine(), caught_up);
        self.report.forgotten(forgotten);
        keep_account(&mut self.folder, &self.name, up_to_ns, group);
        self.report.tell(at.now);
    }

    fn is_source(&self, name: &str) -> bool {
        *self.name == *name
    }

    fn folder(&self) -> Option<InFolder> {
        let mut folder = self.folder.status();
        folder.trouble = folder.trouble.or_else(|| self.obstacle_now());
        Some(InFolder {
            source: Arc::clone(&self.name),
            folder,
            last_set_aside: self.last_set_aside.clone(),
            unreadable: self.unreadable_now(),
        })
    }

    fn again(&self, wholes: Wholes) -> Option<Reread> {
        (self.after == After::Keep).then(|| Reread::new(&self.folder, wholes))
    }

    fn read_again(
        &mut self,
        reread: &mut Reread,
        covered: &Covered,
        saved: &HashSet<EventId>,
        at: At,
        batch: &mut SourceBatch,
    ) -> Reading {
        // Machines that know nothing of later documents, and are forgotten again.
        let mut derive = self.derive.afresh(&self.format);
        reread.read(covered, batch, |file, batch| {
            let (bytes, _) = read(&mut file.clone()).ok()?;
            let name = relative(&self.folder.settings().directory, &file.path);
            let DocumentStep::Record(record) = self.parser.document(&bytes, &name, true) else {
                return None;
            };
            understand(&mut derive, &self.format, &record, &bytes, at.machine())
                .told_again(saved, batch)
        })
    }

    fn committed(&mut self, now: Moment) {
        for file in std::mem::take(&mut self.done) {
            if self.finish(&file, now) {
                continue;
            }
            if self.undone.len() == UNDONE_MAX {
                self.undone.pop_front();
            }
            if self.undone.is_empty() {
                self.undone_at = now + UNDONE_PAUSE;
            }
            self.undone.push_back(file);
        }
    }

    fn turned_away(&mut self) {}

    fn due(&self, now: Moment) -> Moment {
        due_with(&self.derive, self.folder.due(now), now)
    }
}

/// The instant of a file's time.
pub(super) fn instant(ns: i64) -> UnixMs {
    UnixMs(ns.div_euclid(1_000_000))
}

#[cfg(test)]
mod tests;
