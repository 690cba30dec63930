//! `switchhook check --deep`: what only looking at the world can tell.

use super::{Exit, screen, test};
use crate::clock::{Clock, SystemClock, UnixMs};
use crate::config::live::{Folder, Kind};
use crate::config::{Config, SourceConfig};
use crate::control::status::free_bytes;
use crate::folder;
use crate::ingest::After;
use crate::queue::Size;
use crate::source::{Start, listing};
use crate::timestamp::Timestamp;
use nix::unistd::{Gid, Uid, User, getgrouplist};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The user that packages make the agent run as.
pub const SERVICE_USER: &str = "switchhook";

/// Files looked at per source: those of a month of hourly files, the newest first.
const FILES_MAX: usize = 1_000;

/// Files and directories named per source.
const NAMED_MAX: usize = 5;

/// No agent of this version ran before this; a clock that says so was never set.
const CLOCK_EARLIEST: UnixMs = UnixMs(1_735_689_600_000);

/// Checks the world around `config`, as `user` will see it.
pub fn deep(config: &Config, user: &str) -> Exit {
    let mut worst = Exit::Success;
    let mut found = |exit: Exit| {
        if worst == Exit::Success {
            worst = exit;
        }
    };
    for endpoint in &config.endpoints {
        screen::line("");
        if endpoint.enabled {
            found(test::probe(endpoint, &config.node));
        } else {
            let name = &endpoint.endpoint.name;
            screen::line(format_args!("# endpoint {name:?} is not enabled"));
        }
    }
    screen::line("");
    screen::line(screen::styled(screen::HEAD, "# this machine"));
    found(clock());
    found(disk(config));
    found(files(config, user));
    worst
}

fn clock() -> Exit {
    let now = SystemClock::new().wall();
    let text = Timestamp::from_secs(now.unix_secs());
    if now < CLOCK_EARLIEST {
        bad(format_args!(
            "clock    {text}: was it ever set? signatures will be refused as too old"
        ));
        return Exit::Data;
    }
    good(format_args!("clock    {text}"));
    Exit::Success
}

fn disk(config: &Config) -> Exit {
    let existing = config.state_dir.ancestors().find(|path| path.exists());
    let shown = config.state_dir.display();
    let Some(free) = existing.and_then(free_bytes) else {
        bad(format_args!(
            "disk     the partition of {shown} cannot be looked at"
        ));
        return Exit::Data;
    };
    let disk_max = config.queue.disk.disk_max;
    if free < disk_max {
        bad(format_args!(
            "disk     {} free for {shown}, less than disk_max ({}): lower disk_max, or make room; a full disk stops a switch",
            Size(free),
            Size(disk_max)
        ));
        return Exit::Data;
    }
    good(format_args!("disk     {} free for {shown}", Size(free)));
    Exit::Success
}

/// Whether the service's user can read the files that are there now. By their modes: access
/// control lists and SELinux are not looked at.
fn files(config: &Config, user: &str) -> Exit {
    let reader = match Reader::named(user) {
        Some(reader) => reader,
        None => {
            let Some(own) = Reader::own() else {
                bad("files    this process' own user is not known");
                return Exit::Data;
            };
            let note = format!(
                "files    there is no user {user:?} here; looked at as {:?} (--user names another)",
                own.name
            );
            screen::line(screen::styled(screen::WAIT, note));
            own
        }
    };
    let mut exit = settings(config, &reader);
    for source in &config.sources {
        let name = &source.files.name;
        let Some((all, mut unreadable)) = newest(source) else {
            continue; // There are none, or the sample above has said why they cannot be listed.
        };
        if let Kind::Directory { folder, after } = &source.kind
            && *after != After::Keep
            && !may_take_away(folder.directory(), after, &all, &reader)
        {
            exit = Exit::Data;
        }
        let directory = source.kind.folder().map(Folder::directory);
        unreadable.extend(directory.and_then(|directory| reader.barred_by(directory)));
        let barred: Vec<PathBuf> = all
            .iter()
            .filter_map(|path| reader.barred_by(path))
            .collect();
        if all.is_empty() && unreadable.is_empty() {
            let note = format!("files    none of source {name} are there yet");
            screen::line(screen::styled(screen::WAIT, note));
            continue;
        }
        if barred.is_empty() && unreadable.is_empty() {
            good(format_args!(
                "files    {:?} can read the {} newest of source {name}",
                reader.name,
                all.len()
            ));
            continue;
        }
        exit = Exit::Data;
        let mut told: Vec<PathBuf> = barred.clone();
        told.extend(unreadable);
        told.sort();
        told.dedup();
        for path in told.iter().take(NAMED_MAX) {
            let how = describe(path);
            bad(format_args!(
                "files    {:?} cannot read {}{how}",
                reader.name,
                path.display()
            ));
        }
        let count = match all.is_empty() {
            true => String::new(),
            false => format!("{} of {} ", barred.len(), all.len()),
        };
        bad(format_args!(
            "         {count}files of source {name} are out of reach; add the user to the files' group: usermod -a -G GROUP {}",
            reader.name
        ));
    }
    exit
}

/// The newest files of a source, and what of them cannot be looked at; `None` where it has no files, or
/// none can be listed.
fn newest(source: &SourceConfig) -> Option<(Vec<PathBuf>, Vec<PathBuf>)> {
    if let Some(folder) = source.kind.folder() {
        let settings = folder.settings(&source.files.name, Start::Beginning, source.poll);
        fs::metadata(&settings.directory).ok()?;
        let found = folder::found_now(settings).into_iter().rev();
        let paths = found.take(FILES_MAX).map(|found| found.path);
        return Some((paths.collect(), Vec::new()));
    }
    if source.kind != Kind::Files {
        return None;
    }
    let mut listing = listing::list(&source.files).ok()?;
    listing
        .found
        .sort_by_key(|found| std::cmp::Reverse(found.modified_ns));
    let files = listing.found.into_iter().take(FILES_MAX);
    let unreadable = listing.unreadable.into_iter().map(|(path, _)| path);
    Some((
        files.map(|found| found.path).collect(),
        unreadable.collect(),
    ))
}

/// Whether `after` can be done with `files`, which are in `directory` and below it.
fn may_take_away(directory: &Path, after: &After, files: &[PathBuf], reader: &Reader) -> bool {
    let target = match after {
        After::MoveTo(target) => Some(target.as_path()).filter(|target| target.exists()),
        After::Keep | After::Delete => None,
    };
    let parents = files.iter().filter_map(|file| file.parent());
    let written: BTreeSet<&Path> = parents.chain([directory]).chain(target).collect();
    let mut closed = written.into_iter().filter(|path| !reader.has(path, 0o3));
    let Some(first) = closed.next() else {
        return true;
    };
    bad(format_args!(
        "files    {:?} may not write in {}{}, so after_read = \"{}\" fails: let the directory's group do so, and that user be in it",
        reader.name,
        first.display(),
        describe(first),
        after.word()
    ));
    false
}

/// Whether the service's user can read the configuration and what it names: it does not start
/// otherwise, though root's `check` finds nothing wrong.
fn settings(config: &Config, reader: &Reader) -> Exit {
    let endpoints = config.endpoints.iter().flat_map(|endpoint| {
        let files = endpoint.secret_files.iter().chain(&endpoint.ca_file);
        files.chain(endpoint.identity.paths())
    });
    let mut exit = Exit::Success;
    for path in config.files.iter().chain(endpoints) {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let Some(barred) = reader.barred_by(&path) else {
            continue;
        };
        exit = Exit::Data;
        bad(format_args!(
            "files    {:?} cannot read {}{}: the agent would not start; chgrp {} {}",
            reader.name,
            barred.display(),
            describe(&barred),
            reader.name,
            path.display()
        ));
    }
    exit
}

/// A user, as far as the modes of files are concerned.
#[derive(Debug)]
struct Reader {
    name: String,
    uid: Uid,
    groups: Vec<Gid>,
}

impl Reader {
    fn named(name: &str) -> Option<Reader> {
        Reader::of(User::from_name(name).ok()??)
    }

    fn own() -> Option<Reader> {
        Reader::of(User::from_uid(nix::unistd::geteuid()).ok()??)
    }

    fn of(user: User) -> Option<Reader> {
        let groups = getgrouplist(&CString::new(user.name.clone()).ok()?, user.gid).ok()?;
        Some(Reader {
            name: user.name,
            uid: user.uid,
            groups,
        })
    }

    /// What keeps the user from reading the file or directory at `path`: a directory on the way, or itself.
    fn barred_by(&self, path: &Path) -> Option<PathBuf> {
        let mut ancestors: Vec<&Path> = path.ancestors().skip(1).collect();
        ancestors.reverse();
        let closed = ancestors
            .into_iter()
            .filter(|directory| !directory.as_os_str().is_empty())
            .find(|directory| !self.has(directory, 0o1));
        // A directory that cannot be entered can be listed, and its files not read.
        let wanted = if path.is_dir() { 0o5 } else { 0o4 };
        let barred = closed.or_else(|| (!self.has(path, wanted)).then_some(path));
        barred.map(Path::to_owned)
    }

    /// Whether the user has `permission` (4 to read, 2 to write, 1 to enter) at `path`.
    fn has(&self, path: &Path, permission: u32) -> bool {
        fs::metadata(path).is_ok_and(|metadata| self.may(&metadata, permission))
    }

    fn may(&self, metadata: &Metadata, permission: u32) -> bool {
        if self.uid.is_root() {
            return true;
        }
        let shift = if metadata.uid() == self.uid.as_raw() {
            6
        } else if self.groups.contains(&Gid::from_raw(metadata.gid())) {
            3
        } else {
            0
        };
        metadata.mode() >> shift & permission == permission
    }
}

/// Mode, owner and group of a path, in words for a message.
fn describe(path: &Path) -> String {
    let Ok(metadata) = fs::metadata(path) else {
        return String::new();
    };
    let owner = User::from_uid(Uid::from_raw(metadata.uid())).ok().flatten();
    let group = nix::unistd::Group::from_gid(Gid::from_raw(metadata.gid()));
    let owner = owner.map_or_else(|| metadata.uid().to_string(), |owner| owner.name);
    let group = group
        .ok()
        .flatten()
        .map_or_else(|| metadata.gid().to_string(), |group| group.name);
    format!(" (mode {:04o}, {owner}:{group})", metadata.mode() & 0o7777)
}

fn good(text: impl std::fmt::Display) {
    screen::line(text);
}

fn bad(text: impl std::fmt::Display) {
    screen::line(screen::styled(screen::BAD, text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_bars_a_user_is_found_on_the_way_and_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let inner = dir.path().join("cdr");
        fs::create_dir(&inner).unwrap();
        let file = inner.join("a.txt");
        fs::write(&file, "x").unwrap();
        let stranger = Reader {
            name: "stranger".into(),
            uid: Uid::from_raw(4_000_000),
            groups: Vec::new(),
        };
        let modes = |directory: u32, at_end: u32| {
            fs::set_permissions(&inner, Permissions::from_mode(directory)).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(at_end)).unwrap();
        };
        modes(0o755, 0o644);
        assert_eq!(stranger.barred_by(&file), None);
        modes(0o755, 0o660);
        assert_eq!(stranger.barred_by(&file), Some(file.clone()));
        let group = Gid::from_raw(fs::metadata(&file).unwrap().gid());
        let member = Reader {
            groups: vec![group],
            ..stranger
        };
        assert_eq!(member.barred_by(&file), None);
        modes(0o700, 0o644);
        assert_eq!(member.barred_by(&file), Some(inner.clone()));
        modes(0o755, 0o644);
    }
}
