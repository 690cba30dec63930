//! Watch: says at once when something happens in the directories of the globs.
//!
//! It only makes things faster: what it misses (an overflow of its queue, a network file system,
//! the target of a link in another directory, directories beyond the limit) a look finds by
//! itself at the next poll.

use super::listing;
use super::walk::Walk;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::statfs;
use std::collections::BTreeSet;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::{Component, Path, PathBuf};

/// Most directories watched. Beyond it only the poll finds what happens; a user's processes share
/// 8,192 watches on the oldest kernels met, and no known switch spreads its records wider.
pub const WATCHES_MAX: usize = 256;

/// Most reads of 4 KiB of events at a time, so that a busy directory cannot keep the watch from
/// answering; the rest comes with the next call.
const READS_MAX: usize = 256;

/// File systems on which others change files unseen (their magic numbers in Linux' headers): NFS,
/// the three of SMB, FUSE, 9P, Ceph, AFS, Coda.
const REMOTE: [u64; 9] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
    0x7375_7245,
];

/// The directories of some globs, watched by inotify.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    globs: Vec<String>,
    watched: BTreeSet<WatchDescriptor>,
    told: Vec<WatchProblem>,
}

/// What happened in the watched directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// Nothing.
    Nothing,
    /// Files were written to: [`Source::glance`](super::Source::glance) may be enough.
    Content,
    /// Files came, went or were renamed, or events were lost: [`Watch::refresh`], then
    /// [`Source::look`](super::Source::look).
    Names,
}

/// Why something is found by the poll only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchProblem {
    /// The system has no inotify, or no more of it for this user.
    Missing {
        /// What it says.
        errno: Errno,
    },
    /// A directory cannot be watched.
    Refused {
        /// Which.
        directory: PathBuf,
        /// What the system says.
        errno: Errno,
    },
    /// The globs name more than [`WATCHES_MAX`] directories.
    TooMany,
}

impl fmt::Display for WatchProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { errno } => {
                write!(
                    f,
                    "no inotify: {errno}; look at fs.inotify.max_user_instances"
                )
            }
            Self::Refused { directory, errno } => {
                let directory = directory.display();
                let advice = match errno {
                    Errno::EACCES => "the agent's user must be able to read it",
                    _ => "look at fs.inotify.max_user_watches",
                };
                write!(f, "{directory} cannot be watched: {errno}; {advice}")
            }
            Self::TooMany => write!(
                f,
                "more than {WATCHES_MAX} directories to watch; make the globs narrower"
            ),
        }
    }
}

impl Watch {
    /// Watches the directories of `globs`, and those in which such directories can appear.
    ///
    /// Without inotify there is no watch, only the problem; a directory that cannot be watched is
    /// a problem too, and the others are watched.
    pub fn new(globs: &[String]) -> (Option<Watch>, Vec<WatchProblem>) {
        let inotify = match Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC) {
            Ok(inotify) => inotify,
            Err(errno) => return (None, vec![WatchProblem::Missing { errno }]),
        };
        let mut watch = Watch {
            inotify,
            globs: globs.to_vec(),
            watched: BTreeSet::new(),
            told: Vec::new(),
        };
        let problems = watch.refresh();
        (Some(watch), problems)
    }

    /// Watches the directories that are there now. Returns the problems that are new.
    pub fn refresh(&mut self) -> Vec<WatchProblem> {
        let mut problems = Vec::new();
        let mut watched = BTreeSet::new();
        let directories: BTreeSet<PathBuf> = self
            .globs
            .iter()
            .flat_map(|glob| directories_of(glob))
            .collect();
        if directories.len() > WATCHES_MAX {
            problems.push(WatchProblem::TooMany);
        }
        for directory in directories.into_iter().take(WATCHES_MAX) {
            // Adding a watch twice gives the same one; a directory made anew gives a new one.
            match self.inotify.add_watch(&directory, flags()) {
                Ok(watch) => drop(watched.insert(watch)),
                Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(errno) => problems.push(WatchProblem::Refused { directory, errno }),
            }
        }
        for gone in self.watched.difference(&watched) {
            // It fails where the directory itself is gone, and the watch with it.
            let _already_gone = self.inotify.rm_watch(*gone);
        }
        self.watched = watched;
        let new = problems
            .iter()
            .filter(|problem| !self.told.contains(problem))
            .cloned()
            .collect();
        self.told = problems;
        new
    }

    /// Whether nothing was left out, as far as is known: every directory is watched, and is on a
    /// file system on which this machine sees all that happens.
    pub fn is_complete(&self) -> bool {
        let is_local = |glob: &String| {
            let directories = directories_of(glob);
            directories.iter().all(|directory| {
                let found = statfs::statfs(directory);
                // Its type is another one on each C library.
                let kind = found.map(|found| u64::try_from(found.filesystem_type().0));
                kind.is_ok_and(|kind| kind.is_ok_and(|kind| !REMOTE.contains(&kind)))
            })
        };
        self.told.is_empty() && self.globs.iter().all(is_local)
    }

    /// Takes what has happened since the last call. Never waits.
    pub fn changed(&mut self) -> Changed {
        let mut changed = Changed::Nothing;
        for _ in 0..READS_MAX {
            match self.inotify.read_events() {
                Ok(events) => {
                    let kinds = events.iter().map(|event| kind_of(event.mask));
                    changed = kinds.fold(changed, Changed::max);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return changed,
                Err(_) => return Changed::Names,
            }
        }
        changed
    }
}

/// Readable when something has happened.
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

fn flags() -> AddWatchFlags {
    AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR
}

fn kind_of(mask: AddWatchFlags) -> Changed {
    if mask == AddWatchFlags::IN_MODIFY {
        Changed::Content
    } else if mask == AddWatchFlags::IN_IGNORED {
        // The end of a watch that was removed; what removed it has said so already.
        Changed::Nothing
    } else {
        Changed::Names
    }
}

/// The directories in which files that `glob` names can be, and those in which such a directory
/// can appear: what each of the glob's beginnings names, from the last one without a wildcard on.
/// Where not even that is there, the nearest directory above it that is.
fn directories_of(glob: &str) -> Vec<PathBuf> {
    let components: Vec<Component<'_>> = Path::new(glob).components().collect();
    let parents = components
        .split_last()
        .map_or(&[][..], |(_, parents)| parents);
    let fixed = parents
        .iter()
        .take_while(|component| !listing::has_wildcard(component))
        .count();
    let base: PathBuf = parents.iter().take(fixed).collect();
    let is_there = |path: &&Path| path.is_dir() || path.as_os_str().is_empty();
    let nearest = base.ancestors().find(is_there).unwrap_or(Path::new(""));
    let mut directories = vec![if nearest.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        nearest.to_owned()
    }];
    for depth in fixed + 1..=parents.len() {
        let beginning: PathBuf = parents.iter().take(depth).collect();
        let pattern = format!("{}/", beginning.display());
        // A pattern that cannot be understood is the look's to report.
        let paths = Walk::new(&pattern).into_iter().flatten();
        directories.extend(paths.flatten().take(WATCHES_MAX + 1));
    }
    directories
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn watch(dir: &Path, glob: &str) -> Watch {
        let (watch, problems) = Watch::new(&[format!("{}/{glob}", dir.display())]);
        assert_eq!(problems, []);
        watch.expect("this system has inotify")
    }

    #[track_caller]
    fn check_directories(glob: &str, expected: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a1/x", "a1/y", "a2/x", "b/x"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("a3"), "a file").unwrap();
        let found: BTreeSet<PathBuf> = directories_of(&format!("{}/{glob}", dir.path().display()))
            .into_iter()
            .map(|path| path.strip_prefix(dir.path()).unwrap().to_owned())
            .collect();
        let expected: BTreeSet<PathBuf> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(found, expected, "{glob}");
    }

    #[test]
    fn the_directories_of_a_glob_are_those_its_files_and_directories_appear_in() {
        check_directories("*.txt", &[""]);
        check_directories("b/x/*.txt", &["b/x"]);
        check_directories("b/none/x/*.txt", &["b"]);
        check_directories("a*/*.txt", &["", "a1", "a2"]);
        check_directories("a*/x/*.txt", &["", "a1", "a2", "a1/x", "a2/x"]);
        check_directories("b/**/*.txt", &["b", "b/x"]);
    }

    #[test]
    fn a_write_is_content_and_a_new_name_is_names() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = watch(dir.path(), "*.txt");
        assert_eq!(watch.changed(), Changed::Nothing);
        let mut file = fs::File::create(dir.path().join("a.txt")).unwrap();
        assert_eq!(watch.changed(), Changed::Names);
        file.write_all(b"1|a\n").unwrap();
        assert_eq!(watch.changed(), Changed::Content);
        assert_eq!(watch.changed(), Changed::Nothing);
        file.write_all(b"1|a\n").unwrap();
        fs::rename(dir.path().join("a.txt"), dir.path().join("b.txt")).unwrap();
        assert_eq!(watch.changed(), Changed::Names);
        fs::remove_file(dir.path().join("b.txt")).unwrap();
        assert_eq!(watch.changed(), Changed::Names);
    }

    #[test]
    fn a_directory_that_appears_later_is_watched_after_a_refresh() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = watch(dir.path(), "cdr/2*/*.txt");
        for _ in 0..2 {
            let day = dir.path().join("cdr/20260410");
            for made in [day.parent().unwrap(), &day] {
                fs::create_dir(made).unwrap();
                assert_eq!(watch.changed(), Changed::Names, "{made:?}");
                assert_eq!(watch.refresh(), []);
            }
            fs::write(day.join("a.txt"), "").unwrap();
            assert_eq!(watch.changed(), Changed::Names);
            fs::remove_dir_all(dir.path().join("cdr")).unwrap();
            assert_eq!(watch.changed(), Changed::Names);
            assert_eq!(watch.refresh(), []);
            while watch.changed() != Changed::Nothing {}
        }
    }

    #[test]
    fn too_many_directories_are_told_once_and_the_first_are_watched() {
        let dir = tempfile::tempdir().unwrap();
        for day in 0..WATCHES_MAX {
            fs::create_dir(dir.path().join(format!("{day:04}"))).unwrap();
        }
        let (watch, problems) = Watch::new(&[format!("{}/*/*.txt", dir.path().display())]);
        let mut watch = watch.expect("this system has inotify");
        assert_eq!(problems, [WatchProblem::TooMany]);
        assert_eq!(watch.refresh(), []);
        assert_eq!(watch.watched.len(), WATCHES_MAX);
        fs::write(dir.path().join("0000/a.txt"), "").unwrap();
        assert_eq!(watch.changed(), Changed::Names);
    }

    #[test]
    fn an_overflow_counts_as_a_change() {
        assert_eq!(kind_of(AddWatchFlags::IN_Q_OVERFLOW), Changed::Names);
        assert_eq!(
            kind_of(AddWatchFlags::IN_CREATE | AddWatchFlags::IN_ISDIR),
            Changed::Names
        );
    }
}
