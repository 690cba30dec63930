//! Apply: the configuration's file replaced whole. The file stays the one truth: what is applied is
//! written there first, and what the agent does not take is taken back there.

use super::{Config, Problems};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Rights of a file that was not there before: the agent's group reads it, it may hold secrets.
const MODE_NEW: u32 = 0o640;

/// A configuration file that was replaced.
#[derive(Debug)]
pub struct Applied {
    path: PathBuf,
    /// What was there before; `None` where nothing was.
    pub previous: Option<PathBuf>,
}

/// Why a configuration was not applied. The file is as it was.
#[derive(Debug)]
pub enum ApplyError {
    /// It is not good: the same as `check` says.
    Problems(Problems),
    /// The file could not be replaced.
    File {
        /// What could not be done, and with which file.
        what: String,
        /// Why.
        error: io::Error,
    },
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problems(problems) => problems.fmt(f),
            Self::File { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for ApplyError {}

/// Checks `text` as the file at `path`, with what `conf.d` beside it adds, and nothing else.
///
/// # Errors
///
/// What is wrong with it, or why it could not be checked.
pub fn check(path: &Path, text: &str) -> Result<Config, ApplyError> {
    let beside = beside(path, "new");
    let written = write(&beside, path, text);
    let checked = written.and_then(|()| checked(path, &beside));
    // What is left behind by this is in nobody's way.
    let _removed = fs::remove_file(&beside);
    checked
}

/// Replaces the file at `path` with `text`, if that is a good configuration.
///
/// The text is written beside the file and synced, the old file is kept as `….previous`, then the name
/// changes hands: whenever the power fails, the file is whole, the old one or the new one.
///
/// # Errors
///
/// What is wrong with it, or why it could not be written. The file is as it was.
pub fn apply(path: &Path, text: &str) -> Result<Applied, ApplyError> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_symlink());
    if is_link {
        let what = format!(
            "{} is a link; name the file it leads to with --config",
            path.display()
        );
        return Err(ApplyError::File {
            what,
            error: io::ErrorKind::InvalidInput.into(),
        });
    }
    let beside = beside(path, "new");
    let applied = write(&beside, path, text)
        .and_then(|()| checked(path, &beside))
        .and_then(|_| exchange(path, &beside));
    if applied.is_err() {
        let _removed = fs::remove_file(&beside);
    }
    applied
}

impl Applied {
    /// Puts back what was there before.
    ///
    /// # Errors
    ///
    /// When that cannot be done; the new file is in place then.
    pub fn undo(self) -> io::Result<()> {
        match &self.previous {
            Some(previous) => fs::rename(previous, &self.path)?,
            None => fs::remove_file(&self.path)?,
        }
        sync_directory(&self.path)
    }
}

/// `.switchhook.toml.new` beside `switchhook.toml`: the pattern of `conf.d` does not match it.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

/// Writes `text` into a new file with the rights and the owner of the file at `path`, and syncs it.
fn write(to: &Path, path: &Path, text: &str) -> Result<(), ApplyError> {
    let written = || {
        let _left_over = fs::remove_file(to);
        let mut options = OpenOptions::new();
        // Nobody else reads it before it has its rights.
        let mut file = options.write(true).create_new(true).mode(0o600).open(to)?;
        match fs::metadata(path) {
            Ok(old) => {
                let now = file.metadata()?;
                if (old.uid(), old.gid()) != (now.uid(), now.gid()) {
                    fchown(&file, Some(old.uid()), Some(old.gid()))?;
                }
                file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
            }
            Err(_) => file.set_permissions(Permissions::from_mode(MODE_NEW))?,
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    written().map_err(|error| ApplyError::File {
        what: format!("{} cannot be written", to.display()),
        error,
    })
}

/// Reads the file `beside` as if it were the one at `path`.
fn checked(path: &Path, beside: &Path) -> Result<Config, ApplyError> {
    Config::load(beside).map_err(|mut problems| {
        for problem in &mut problems.0 {
            if problem.file == beside {
                problem.file = path.to_owned();
            }
        }
        ApplyError::Problems(problems)
    })
}

fn exchange(path: &Path, beside: &Path) -> Result<Applied, ApplyError> {
    let mut kept = path.as_os_str().to_owned();
    kept.push(".previous");
    let kept = PathBuf::from(kept);
    let exchanged = || {
        let previous = if path.exists() {
            let _older = fs::remove_file(&kept);
            // A second name for the file that is there: nothing can go wrong half-way.
            fs::hard_link(path, &kept)?;
            Some(kept.clone())
        } else {
            None
        };
        fs::rename(beside, path)?;
        sync_directory(path)?;
        Ok(Applied {
            path: path.to_owned(),
            previous,
        })
    };
    exchanged().map_err(|error| ApplyError::File {
        what: format!("{} cannot be replaced", path.display()),
        error,
    })
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "node = \"a\"\n";
    const OTHER: &str = "node = \"b\"\n";

    fn files(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_good_text_replaces_the_file_and_the_old_one_is_kept_and_can_be_put_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switchhook.toml");
        fs::write(&path, GOOD).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        let applied = apply(&path, OTHER).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), OTHER);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o604);
        let previous = applied.previous.clone().unwrap();
        assert_eq!(fs::read_to_string(previous).unwrap(), GOOD);
        assert_eq!(
            files(directory.path()),
            ["switchhook.toml", "switchhook.toml.previous"]
        );
        applied.undo().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), GOOD);
        assert_eq!(files(directory.path()), ["switchhook.toml"]);
    }

    #[test]
    fn a_bad_text_changes_nothing_and_its_problems_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switchhook.toml");
        fs::write(&path, GOOD).unwrap();
        for result in [
            apply(&path, "nod = 1\n").map(|_| ()),
            check(&path, "nod = 1\n").map(|_| ()),
        ] {
            let told = result.unwrap_err().to_string();
            let begins = format!("{}:1: nod: no such key", path.display());
            assert!(told.starts_with(&begins), "{told}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), GOOD);
        assert_eq!(files(directory.path()), ["switchhook.toml"]);
    }

    #[test]
    fn a_file_that_was_not_there_is_made_and_taken_away_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switchhook.toml");
        assert_eq!(&*check(&path, GOOD).unwrap().node, "a");
        let applied = apply(&path, GOOD).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE_NEW);
        assert!(applied.previous.is_none());
        applied.undo().unwrap();
        assert!(files(directory.path()).is_empty());
    }

    #[test]
    fn a_link_is_not_replaced_by_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join("a.toml"), directory.path().join("b"));
        fs::write(&target, GOOD).unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let told = apply(&path, OTHER).unwrap_err().to_string();
        assert!(told.contains("is a link"), "{told}");
        assert_eq!(fs::read_to_string(&target).unwrap(), GOOD);
    }
}
