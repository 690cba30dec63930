//! Listing: what the globs of a source name right now.

use super::hidden::Hidden;
use super::{FileKey, Skip, SourceError};
use glob::{MatchOptions, Pattern, PatternError};
use nix::errno::Errno;
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Most files of one source that are followed at a time: a year of hourly files, twice over.
///
/// Beyond it the files modified longest ago are left out, and that is reported: one pass over the
/// directory must stay below the poll time, and a source below ten megabytes of memory.
pub const FILES_FOLLOWED_MAX: usize = 20_000;

/// Endings of names that are not rows as they stand.
const COMPRESSED: [&[u8]; 5] = [b".gz", b".bz2", b".xz", b".zst", b".zip"];

/// One pass over the directories.
#[derive(Debug, Default)]
pub struct Listing {
    /// The regular files, in no order, each once however many names it has.
    pub found: Vec<Found>,
    /// What was passed over: how many paths for each reason, and one of them.
    pub skipped: BTreeMap<Skip, (usize, PathBuf)>,
    /// Directories, files and links that could not be followed.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    /// Those of them that may hide files: what is missing there may only be out of sight.
    pub hidden: Hidden,
    /// Files beyond [`FILES_FOLLOWED_MAX`].
    pub left_out: HashSet<FileKey>,
}

/// One regular file as it was when it was listed.
#[derive(Debug)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Device and inode.
    pub key: FileKey,
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970 of its last modification.
    pub modified_ns: i64,
}

/// Lists what `files` name and `exclude` does not, with one `stat` for each path.
///
/// Names that begin with a dot are matched only where a glob writes the dot: that is how programs
/// that copy files call the unfinished copy.
///
/// # Errors
///
/// [`SourceError::Glob`] when a pattern cannot be understood.
pub fn list(files: &[String], exclude: &[String]) -> Result<Listing, SourceError> {
    let excluded = exclude
        .iter()
        .map(|glob| Pattern::new(glob).map_err(|error| bad_glob(glob, &error)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut listing = Listing::default();
    let mut keys = HashSet::new();
    for glob in files {
        let paths = glob::glob_with(glob, options()).map_err(|error| bad_glob(glob, &error))?;
        for path in paths {
            match path {
                Ok(path) => listing.add(path, &excluded, &mut keys),
                Err(error) => listing.miss(error.path().to_owned(), error.into()),
            }
        }
        listing.check_base(glob);
    }
    listing.keep_newest(FILES_FOLLOWED_MAX);
    Ok(listing)
}

impl Listing {
    fn add(&mut self, path: PathBuf, excluded: &[Pattern], keys: &mut HashSet<FileKey>) {
        if let Some(reason) = skip_by_name(&path, excluded) {
            return self.skip(reason, path);
        }
        match fs::metadata(&path) {
            Ok(meta) if !meta.is_file() => self.skip(Skip::NotRegular, path),
            Ok(meta) => {
                let found = Found {
                    key: key_of(&meta),
                    size: meta.len(),
                    modified_ns: modified_ns_of(&meta),
                    path,
                };
                if keys.insert(found.key) {
                    self.found.push(found);
                }
            }
            // A name that is gone since the directory was read is no problem; a link that leads
            // nowhere is.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {}
            Err(error) => self.miss(path, error),
        }
    }

    /// A glob passes in silence over a path that it may not look up, as if nothing were there.
    fn check_base(&mut self, glob: &str) {
        let base = base_of(glob);
        let is_whole = base == Path::new(glob);
        let looked_up = if is_whole {
            fs::metadata(&base).map(drop)
        } else {
            fs::read_dir(&base).map(drop)
        };
        let Err(error) = looked_up else {
            return;
        };
        let is_told = match error.kind() {
            io::ErrorKind::NotFound => true,
            io::ErrorKind::PermissionDenied => false,
            _ => is_whole,
        };
        if !is_told && !self.unreadable.iter().any(|(path, _)| *path == base) {
            self.miss(base, error);
        }
    }

    fn miss(&mut self, path: PathBuf, error: io::Error) {
        let leads_nowhere = matches!(
            error.raw_os_error().map(Errno::from_raw),
            Some(Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR)
        );
        if !leads_nowhere {
            self.hidden.add(path.clone());
        }
        self.unreadable.push((path, error));
    }

    fn skip(&mut self, reason: Skip, path: PathBuf) {
        self.skipped.entry(reason).or_insert((0, path)).0 += 1;
    }

    fn keep_newest(&mut self, most: usize) {
        if self.found.len() > most {
            self.found
                .sort_unstable_by_key(|found| std::cmp::Reverse(found.modified_ns));
            let left_out = self.found.drain(most..).map(|found| found.key);
            self.left_out = left_out.collect();
        }
    }
}

/// Device and inode of a file.
pub fn key_of(meta: &Metadata) -> FileKey {
    FileKey {
        device: meta.dev(),
        inode: meta.ino(),
    }
}

/// Nanoseconds since 1970 of a file's last modification.
pub fn modified_ns_of(meta: &Metadata) -> i64 {
    meta.mtime()
        .saturating_mul(1_000_000_000)
        .saturating_add(meta.mtime_nsec())
}

/// How the globs of a source are read: `*` stops at a `/` and matches no leading dot.
pub fn options() -> MatchOptions {
    MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    }
}

/// The part of a glob before its first wildcard: a directory, or the whole of a glob without one.
pub fn base_of(glob: &str) -> PathBuf {
    let components = Path::new(glob).components();
    components
        .take_while(|component| !has_wildcard(component))
        .collect()
}

/// Whether a component of a glob may stand for several names.
pub fn has_wildcard(component: &Component<'_>) -> bool {
    component
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| b"*?[".contains(byte))
}

fn skip_by_name(path: &Path, excluded: &[Pattern]) -> Option<Skip> {
    let name = path.file_name()?;
    let is_excluded = |pattern: &Pattern| match pattern.as_str().contains('/') {
        true => pattern.matches_path(path),
        false => pattern.matches_path(Path::new(name)),
    };
    let bytes = name.as_encoded_bytes();
    if excluded.iter().any(is_excluded) {
        Some(Skip::Excluded)
    } else if bytes.ends_with(b".tmp") {
        Some(Skip::Temporary)
    } else if COMPRESSED.iter().any(|ending| bytes.ends_with(ending)) {
        Some(Skip::Compressed)
    } else {
        None
    }
}

fn bad_glob(glob: &str, error: &PatternError) -> SourceError {
    SourceError::Glob {
        glob: glob.to_owned(),
        problem: error.msg,
    }
}

/// Checks that `text` is a glob of an absolute path.
///
/// # Errors
///
/// What to write instead.
pub fn check_glob(text: &str) -> Result<(), String> {
    if !text.starts_with('/') {
        return Err(format!(
            "{text:?} is not an absolute path; write one like \"/home/kunshi/mbx3000/cdr/*.txt\""
        ));
    }
    glob::Pattern::new(text)
        .map(drop)
        .map_err(|error| format!("{text:?} cannot be matched: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// The names listed in a directory that holds `names`, for `glob` under it.
    #[track_caller]
    fn check(
        names: &[&str],
        glob: &str,
        exclude: &[&str],
        expected: &[&str],
        skipped: &[(Skip, usize)],
    ) {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "1|a\n").unwrap();
        }
        let exclude: Vec<String> = exclude.iter().map(ToString::to_string).collect();
        let listing = list(&[format!("{}/{glob}", dir.path().display())], &exclude).unwrap();
        let mut found: Vec<String> = listing
            .found
            .iter()
            .map(|found| {
                found
                    .path
                    .strip_prefix(dir.path())
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect();
        found.sort();
        assert_eq!(found, expected, "{glob} without {exclude:?}");
        let counts: Vec<(Skip, usize)> = listing
            .skipped
            .iter()
            .map(|(why, (count, _))| (*why, *count))
            .collect();
        assert_eq!(counts, skipped, "{glob} without {exclude:?}");
    }

    #[test]
    fn globs_name_files_in_every_form_they_have() {
        let names = ["a1.txt", "a2.txt", "b1.txt", "d/a1.txt", "d/e/a1.txt"];
        check(&names, "*.txt", &[], &["a1.txt", "a2.txt", "b1.txt"], &[]);
        check(&names, "?1.txt", &[], &["a1.txt", "b1.txt"], &[]);
        check(&names, "[ac]*.txt", &[], &["a1.txt", "a2.txt"], &[]);
        check(
            &names,
            "**/a1.txt",
            &[],
            &["a1.txt", "d/a1.txt", "d/e/a1.txt"],
            &[],
        );
        check(&names, "d/a1.txt", &[], &["d/a1.txt"], &[]);
        check(&names, "none/*.txt", &[], &[], &[]);
    }

    #[test]
    fn every_path_passed_over_has_one_reason() {
        let names = [
            "a.txt",
            "a.txt.1.gz",
            "b.tmp",
            "c.txt",
            ".c.txt.Xy12",
            "d/e",
        ];
        let reasons = [
            (Skip::Excluded, 1),
            (Skip::Temporary, 1),
            (Skip::NotRegular, 1),
            (Skip::Compressed, 1),
        ];
        check(&names, "*", &["c.*"], &["a.txt"], &reasons);
        check(
            &names,
            "*.txt",
            &["**/c.txt"],
            &["a.txt"],
            &[(Skip::Excluded, 1)],
        );
    }

    #[test]
    fn a_file_with_two_names_is_listed_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.txt"), "1\n").unwrap();
        fs::hard_link(dir.path().join("a.txt"), dir.path().join("b.txt")).unwrap();
        symlink(dir.path().join("a.txt"), dir.path().join("c.txt")).unwrap();
        let glob = format!("{}/*.txt", dir.path().display());
        assert_eq!(list(&[glob.clone(), glob], &[]).unwrap().found.len(), 1);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_a_problem_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        symlink("absent", dir.path().join("a.txt")).unwrap();
        symlink("b.txt", dir.path().join("b.txt")).unwrap();
        fs::write(dir.path().join("c.txt"), "1\n").unwrap();
        let listing = list(&[format!("{}/*.txt", dir.path().display())], &[]).unwrap();
        assert_eq!((listing.found.len(), listing.unreadable.len()), (1, 2));
        assert!(listing.hidden.is_empty());
    }

    #[test]
    fn a_glob_that_begins_where_no_directory_can_be_is_named_and_hides_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.txt"), "1\n").unwrap();
        let globs = ["a.txt/*.txt", "none/*.txt", "none.txt"]
            .map(|glob| format!("{}/{glob}", dir.path().display()));
        let listing = list(&globs, &[]).unwrap();
        let unreadable: Vec<&Path> = listing.unreadable.iter().map(|(path, _)| &**path).collect();
        assert_eq!(unreadable, [dir.path().join("a.txt")]);
        assert!(listing.hidden.is_empty());
    }

    #[test]
    fn a_glob_that_cannot_be_understood_is_named() {
        let error = list(&["/cdr/[".to_owned()], &[]).unwrap_err();
        assert!(error.to_string().contains("/cdr/["), "{error}");
    }

    #[test]
    fn only_the_newest_files_are_kept_beyond_the_limit() {
        let found = |modified_ns| Found {
            path: PathBuf::new(),
            key: FileKey {
                device: 1,
                inode: u64::try_from(modified_ns).unwrap(),
            },
            size: 0,
            modified_ns,
        };
        let mut listing = Listing {
            found: (0..10).map(found).collect(),
            ..Listing::default()
        };
        listing.keep_newest(4);
        let kept: Vec<i64> = listing
            .found
            .iter()
            .map(|found| found.modified_ns)
            .collect();
        let mut left_out: Vec<u64> = listing.left_out.iter().map(|key| key.inode).collect();
        left_out.sort_unstable();
        assert_eq!((kept, left_out), (vec![9, 8, 7, 6], vec![0, 1, 2, 3, 4, 5]));
    }
}
