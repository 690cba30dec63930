//! Recordings: a finished file of sound is an event.
//!
//! A recording is finished when it was not written to for `settle`. It stays where it is; the event
//! names it, and is made of its name, its size and its first bytes.

use super::Group;
use super::documents::{head_hash, instant, keep_account, told_by};
use super::intake::{At, Came, InFolder, Intake, due_with};
use super::report::Report;
use super::reread::{Reading, Reread};
use crate::clock::Moment;
use crate::derive::{Derive, Fate};
use crate::event::EventId;
use crate::event::recording::{Recording, RecordingMaker};
use crate::folder::{Folder, Found, HEAD_BYTES, relative};
use crate::queue::{Covered, SourceBatch, Wholes};
use crate::source::Start;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

/// A source of recordings.
#[derive(Debug)]
pub struct Recordings {
    name: Arc<str>,
    folder: Folder,
    maker: RecordingMaker,
    derive: Derive,
    report: Report,
}

impl Recordings {
    /// The source called `name`, of the files in `folder`, with its machines.
    pub fn new(
        name: Arc<str>,
        folder: Folder,
        maker: RecordingMaker,
        derive: Derive,
    ) -> Recordings {
        Recordings {
            report: Report::new(&name),
            name,
            folder,
            maker,
            derive,
        }
    }

    fn read(&mut self, file: Found, at: At, group: &mut Group) {
        let settings = self.folder.settings().clone();
        let quiet = at.wall.since(instant(file.modified_ns));
        let is_finished =
            quiet >= settings.patience || at.now.since(file.unchanged_since) >= settings.patience;
        if !is_finished {
            return self.folder.put_back(file);
        }
        let head = match head(&file) {
            Ok(head) => head,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.folder.lost(&file);
            }
            // It may be read later; that it was made is told now.
            Err(_) => Vec::new(),
        };
        let hash = head_hash(&head);
        let mut has_told = false;
        if !self.folder.is_old(&file, hash) {
            let came = self.understand(&file, &head);
            has_told = came.fate == Fate::Told;
            let mut awake = Vec::new();
            self.derive.rows_came(at.machine(), &mut awake);
            if !awake.is_empty() {
                group.tell(&self.name, awake);
            }
            let path = relative(&settings.directory, &file.path);
            group.add(&self.name, &path, &[], came);
        }
        let position = self.folder.done(&file, hash);
        group.remember(&self.name, told_by(position, has_told));
    }

    /// What a finished recording comes to.
    fn understand(&mut self, file: &Found, head: &[u8]) -> Came {
        let settings = self.folder.settings();
        let recording = Recording {
            path: relative(&settings.directory, &file.path),
            size: file.size,
            ended: instant(file.modified_ns),
            head,
        };
        match settings.start {
            Start::At(start) if recording.ended < start => Came::of(Fate::Filtered),
            _ => {
                let mut told = Vec::new();
                let fate = self.derive.keep(self.maker.make(&recording), &mut told);
                Came {
                    told,
                    ..Came::of(fate)
                }
            }
        }
    }
}

fn head(file: &Found) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    File::open(&file.path)?
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

impl Intake for Recordings {
    fn take(&mut self, at: At, group: &mut Group) {
        // A recording under way is written to all the time: that calls for nothing.
        self.folder.look(false);
        let mut last_ns = None;
        while group.has_room_for_whole(last_ns, &self.folder)
            && let Some(file) = self.folder.take()
        {
            last_ns = Some(file.changed_ns);
            self.read(file, at, group);
        }
        keep_account(&mut self.folder, &self.name, i64::MAX, group);
        let caught_up = self.folder.is_caught_up();
        let forgotten = group.derive(&self.name, &mut self.derive, at.machine(), caught_up);
        self.report.forgotten(forgotten);
    }

    fn is_source(&self, name: &str) -> bool {
        *self.name == *name
    }

    fn folder(&self) -> Option<InFolder> {
        Some(InFolder {
            source: Arc::clone(&self.name),
            folder: self.folder.status(),
            last_set_aside: None,
            unreadable: None,
        })
    }

    fn again(&self, wholes: Wholes) -> Option<Reread> {
        Some(Reread::new(&self.folder, wholes))
    }

    fn read_again(
        &mut self,
        reread: &mut Reread,
        covered: &Covered,
        saved: &HashSet<EventId>,
        _: At,
        batch: &mut SourceBatch,
    ) -> Reading {
        reread.read(covered, batch, |file, batch| {
            let head = head(file).ok()?;
            self.understand(file, &head).told_again(saved, batch)
        })
    }

    fn committed(&mut self, _: Moment) {}

    fn turned_away(&mut self) {}

    fn due(&self, now: Moment) -> Moment {
        due_with(&self.derive, self.folder.due(now), now)
    }
}
