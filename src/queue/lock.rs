//! Lock: one agent per directory, and no agent on a directory newer than itself.

use super::error::QueueError;
use super::generation::{disk, sync_directory};
use super::meta::FORMAT_VERSION;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// Longest lock or version file worth reading, in bytes: a number and a line end.
const NUMBER_BYTES_MAX: u64 = 32;

/// Holds the directory for this process until it is dropped; the kernel lets go when the process
/// dies, however it dies.
#[derive(Debug)]
pub(super) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes `directory`, whose file `lock` then holds our process id.
    ///
    /// # Errors
    ///
    /// [`QueueError::InUse`] with the other's process id when another agent has it.
    pub(super) fn take(directory: &Path) -> Result<Lock, QueueError> {
        let path = directory.join("lock");
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let mut file = lock(file.map_err(disk("open", &path))?, &path)?;
        let pid = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.write_all(pid.as_bytes()))
            .map_err(disk("write", &path))?;
        Ok(Lock { _file: file })
    }

    /// Holds a `directory` that some agent has used before, without writing to it.
    ///
    /// # Errors
    ///
    /// [`QueueError::InUse`] as for [`take`](Lock::take); [`QueueError::Disk`] when no agent has
    /// ever used it.
    pub(super) fn hold(directory: &Path) -> Result<Lock, QueueError> {
        let path = directory.join("lock");
        let file = File::open(&path).map_err(disk("open", &path))?;
        let file = lock(file, &path)?;
        Ok(Lock { _file: file })
    }
}

fn lock(file: File, path: &Path) -> Result<Flock<File>, QueueError> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|refused| match refused {
        (file, Errno::EWOULDBLOCK) => QueueError::InUse {
            lock: path.to_owned(),
            pid: read_number(file).ok(),
        },
        (_, errno) => disk("lock", path)(errno.into()),
    })
}

/// Refuses a directory written by a newer agent, before anything in it is opened: the database writes
/// to its files when it opens them. Writes nothing. Returns whether it has our version.
///
/// Every version writes a number in decimal digits and nothing else; what is there instead is
/// damage, and tells nothing. Each generation names its version again.
pub(super) fn refuse_newer(directory: &Path) -> Result<bool, QueueError> {
    let path = directory.join("version");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(disk("open", &path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(NUMBER_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(disk("read", &path))?;
    let digits = bytes.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Ok(false);
    }
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok());
    let found = number.unwrap_or(u16::MAX);
    if found > FORMAT_VERSION {
        return Err(QueueError::NewerVersion { found });
    }
    Ok(found == FORMAT_VERSION)
}

/// Gives a directory our version: one that has none, a damaged one or an older one, so that no older
/// agent opens what this one writes. Its generations have been opened by then, each of which names its
/// version again, so that one of a newer agent with a damaged file is left as it is.
///
/// A crash on the way leaves no version file or a whole one.
pub(super) fn write_version(directory: &Path) -> Result<(), QueueError> {
    let path = directory.join("version");
    let fresh = directory.join("version.new");
    let write = || {
        let mut file = File::create(&fresh)?;
        writeln!(file, "{FORMAT_VERSION}")?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    write().map_err(disk("write", &path))?;
    sync_directory(directory)
}

fn read_number(file: File) -> io::Result<u32> {
    let mut text = String::new();
    file.take(NUMBER_BYTES_MAX).read_to_string(&mut text)?;
    text.trim()
        .parse()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_version(directory: &Path) -> Result<(), QueueError> {
        match refuse_newer(directory)? {
            true => Ok(()),
            false => write_version(directory),
        }
    }

    #[test]
    fn a_second_taker_learns_who_was_first() {
        let directory = tempfile::tempdir().unwrap();
        let first = Lock::take(directory.path()).unwrap();
        let pid = match Lock::take(directory.path()) {
            Err(QueueError::InUse { pid, .. }) => pid,
            other => panic!("{other:?}"),
        };
        assert_eq!(pid, Some(std::process::id()));
        drop(first);
        Lock::take(directory.path()).unwrap();
    }

    #[test]
    fn only_a_newer_version_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("version");
        check_version(directory.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "3\n");
        check_version(directory.path()).unwrap();
        fs::write(&path, "4\n").unwrap();
        assert!(matches!(
            check_version(directory.path()),
            Err(QueueError::NewerVersion { found: 4 })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "4\n");
    }

    #[test]
    fn an_older_agent_no_longer_opens_what_this_one_has_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("version");
        fs::write(&path, "1\n").unwrap();
        assert!(!refuse_newer(directory.path()).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n", "only looked at");
        check_version(directory.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "3\n");
    }

    #[test]
    fn a_damaged_version_is_written_anew_and_one_of_many_digits_is_newer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("version");
        for bytes in [&b""[..], b"\n", b"v7\n", b"\0\0", b"\xff\xfe2\n", b"2 2"] {
            fs::write(&path, bytes).unwrap();
            assert!(!refuse_newer(directory.path()).unwrap(), "{bytes:?}");
            check_version(directory.path()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "3\n", "{bytes:?}");
        }
        fs::write(&path, "99999999999\n").unwrap();
        assert!(matches!(
            check_version(directory.path()),
            Err(QueueError::NewerVersion { found: u16::MAX })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "99999999999\n");
    }
}
