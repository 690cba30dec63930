//! Watch: hears from the kernel that something in a source's directories changed.
//!
//! Only a hint: a lost one costs at most the time to the next poll. Network file systems give none,
//! and a full queue in the kernel counts as one.

use super::listing;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::{Component, Path, PathBuf};

/// Most directories watched; those beyond it are polled only. The kernel's own bound is shared by
/// all of a user's programs, and the switch's come first.
pub const WATCHES_MAX: usize = 256;

/// What the kernel had to say, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// Files were written to.
    Growth,
    /// Files or directories appeared, vanished or changed their names, or the kernel lost count.
    Names,
}

/// The directories of some globs, watched.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    globs: Vec<String>,
    watched: HashSet<PathBuf>,
}

impl Watch {
    /// Watches the directories in which files that `globs` match can be.
    ///
    /// # Errors
    ///
    /// When the kernel has no more watchers to give: the poll then finds everything.
    pub fn new(globs: Vec<String>) -> Result<Watch, Errno> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let mut watch = Watch {
            inotify,
            globs,
            watched: HashSet::new(),
        };
        watch.refresh();
        Ok(watch)
    }

    /// Watches directories that have appeared since. Costs little when there are none.
    pub fn refresh(&mut self) {
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let directories: Vec<PathBuf> = self
            .globs
            .iter()
            .filter_map(|glob| directory_of(glob))
            .collect();
        let patterns: Vec<String> = directories
            .iter()
            .map(|directory| directory.to_string_lossy().into_owned())
            .collect();
        self.watched.retain(|directory| directory.is_dir());
        for directory in listing::matching(&patterns) {
            if self.watched.len() < WATCHES_MAX && self.inotify.add_watch(&directory, flags).is_ok()
            {
                self.watched.insert(directory);
            }
        }
    }

    /// Takes what the kernel has to say.
    pub fn drain(&mut self) -> Heard {
        let mut heard = Heard::Nothing;
        while let Ok(events) = self.inotify.read_events() {
            let growth = |mask: AddWatchFlags| mask == AddWatchFlags::IN_MODIFY;
            for event in &events {
                heard = heard.max(if growth(event.mask) {
                    Heard::Growth
                } else {
                    Heard::Names
                });
            }
            if events.is_empty() {
                break;
            }
        }
        heard
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.inotify.as_fd().as_raw_fd()
    }
}

/// The pattern of the directories in which files of `glob` are: all but its last part. Below a
/// `**` only the directory above it is watched; the rest is polled.
fn directory_of(glob: &str) -> Option<PathBuf> {
    let parent = Path::new(glob).parent()?;
    Some(
        parent
            .components()
            .take_while(|part| *part != Component::Normal("**".as_ref()))
            .collect(),
    )
}
