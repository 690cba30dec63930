//! Listing: what the globs of a source name right now.

use super::hidden::Hidden;
use super::rotated;
use super::walk::{Walk, text_of};
use super::{FileKey, Settings, Skip, SourceError};
use glob::{MatchOptions, Pattern, PatternError};
use nix::errno::Errno;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Most files of one source that are followed at a time: a year of hourly files, twice over.
///
/// Beyond it the files modified longest ago are left out, and that is reported: one pass over the
/// directory must stay below the poll time, and a source below ten megabytes of memory.
pub const FILES_FOLLOWED_MAX: usize = 20_000;

/// Endings of names that are not rows as they stand and are not read. One in `.gz` is, when it is
/// a rotated generation.
const COMPRESSED: [&[u8]; 4] = [b".bz2", b".xz", b".zst", b".zip"];

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
    /// It has the name of a rotated generation: it may be a copy of another file.
    pub is_rotated: bool,
    /// Its name ends in `.gz`, or it is a generation that has been looked into.
    pub is_packed: bool,
}

/// Lists what the globs of `settings` name and `exclude` does not, with one `stat` for each path;
/// a directory that is named without wildcards is read once, however many globs name files in it.
///
/// Names that begin with a dot are matched only where a glob writes the dot: that is how programs
/// that copy files call the unfinished copy.
///
/// # Errors
///
/// [`SourceError::Glob`] when a pattern cannot be understood.
pub fn list(settings: &Settings) -> Result<Listing, SourceError> {
    let generations = settings.generations();
    // First of all, so that a problem is told of what was written and not of what comes of it.
    compile(&settings.files)?;
    let mut pass = Pass {
        listing: Listing::default(),
        excluded: compile(&settings.exclude)?,
        keys: HashSet::new(),
    };
    let mut directories: BTreeMap<&str, Wanted> = BTreeMap::new();
    let of_kind = |globs, is_rotated| std::iter::zip(globs, std::iter::repeat(is_rotated));
    // The generations first: a path that both name is one.
    for (glob, is_rotated) in of_kind(&generations, true).chain(of_kind(&settings.files, false)) {
        match plain_directory(glob) {
            Some((directory, name)) => directories
                .entry(directory)
                .or_default()
                .add(name, is_rotated)?,
            None => pass.walk(glob, is_rotated)?,
        }
    }
    for (directory, wanted) in directories {
        pass.read(Path::new(directory), &wanted);
    }
    pass.listing.keep_newest(FILES_FOLLOWED_MAX);
    Ok(pass.listing)
}

/// The directory of a glob whose only wildcards are in its last component, and that component.
fn plain_directory(glob: &str) -> Option<(&str, &str)> {
    let (directory, name) = glob.rsplit_once('/')?;
    let is_plain = !directory.bytes().any(|byte| b"*?[".contains(&byte));
    let is_name = !name.is_empty() && !name.contains("**");
    let directory = if directory.is_empty() { "/" } else { directory };
    (is_plain && is_name).then_some((directory, name))
}

fn compile(globs: &[String]) -> Result<Vec<Pattern>, SourceError> {
    globs
        .iter()
        .map(|glob| Pattern::new(glob).map_err(|error| bad_glob(glob, &error)))
        .collect()
}

/// The names wanted from one directory.
#[derive(Debug, Default)]
struct Wanted {
    rotated: Vec<Pattern>,
    patterns: Vec<Pattern>,
    /// Names without a wildcard: they can be looked up where the directory cannot be read.
    names: Vec<String>,
}

impl Wanted {
    fn add(&mut self, name: &str, is_rotated: bool) -> Result<(), SourceError> {
        let has_wildcard = name.bytes().any(|byte| b"*?[".contains(&byte));
        let list = match (is_rotated, has_wildcard) {
            (true, _) => &mut self.rotated,
            (false, true) => &mut self.patterns,
            (false, false) => {
                self.names.push(name.to_owned());
                return Ok(());
            }
        };
        list.push(Pattern::new(name).map_err(|error| bad_glob(name, &error))?);
        Ok(())
    }

    /// Whether `name` is wanted, and then whether as a rotated generation.
    fn wants(&self, name: &Path) -> Option<bool> {
        let name = text_of(name);
        let is_in = |patterns: &[Pattern]| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| pattern.matches_with(&name, options()))
        };
        match is_in(&self.rotated) {
            true => Some(true),
            false => is_in(&self.patterns).then_some(false),
        }
    }
}

/// One pass under way.
struct Pass {
    listing: Listing,
    excluded: Vec<Pattern>,
    keys: HashSet<FileKey>,
}

impl Pass {
    /// Adds what `glob`, whose directories have wildcards too, names.
    fn walk(&mut self, glob: &str, is_rotated: bool) -> Result<(), SourceError> {
        for path in Walk::new(glob).map_err(|error| bad_glob(glob, &error))? {
            match path {
                Ok(path) => self.add(path, is_rotated),
                // Told with the files themselves.
                Err(_) if is_rotated => {}
                Err((path, error)) => self.listing.miss(path, error),
            }
        }
        if !is_rotated {
            self.listing.check_base(glob);
        }
        Ok(())
    }

    /// Adds what is wanted from `directory`.
    fn read(&mut self, directory: &Path, wanted: &Wanted) {
        for name in &wanted.names {
            self.add(directory.join(name), false);
        }
        let only_names = wanted.patterns.is_empty();
        if only_names && wanted.rotated.is_empty() {
            return;
        }
        let names = fs::read_dir(directory).and_then(|entries| {
            let names = entries.map(|entry| Ok(entry?.file_name()));
            names.collect::<io::Result<Vec<OsString>>>()
        });
        let names = match names {
            Ok(mut names) => {
                names.sort_unstable();
                names
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            // The names that were looked up say themselves what is wrong.
            Err(_) if only_names && !wanted.names.is_empty() => return,
            Err(error) => return self.listing.miss(directory.to_owned(), error),
        };
        for name in names {
            if let Some(is_rotated) = wanted.wants(Path::new(&name)) {
                self.add(directory.join(name), is_rotated);
            }
        }
    }

    fn add(&mut self, path: PathBuf, is_rotated: bool) {
        if let Some(reason) = skip_by_name(&path, &self.excluded, is_rotated) {
            return self.listing.skip(reason, path);
        }
        match fs::metadata(&path) {
            Ok(meta) if !meta.is_file() => self.listing.skip(Skip::NotRegular, path),
            Ok(meta) => {
                let found = Found {
                    key: key_of(&meta),
                    size: meta.len(),
                    modified_ns: modified_ns_of(&meta),
                    is_rotated,
                    is_packed: rotated::is_packed(&path),
                    path,
                };
                if self.keys.insert(found.key) {
                    self.listing.found.push(found);
                }
            }
            // A name that is gone since the directory was read is no problem; a link that leads
            // nowhere is.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {}
            Err(error) => self.listing.miss(path, error),
        }
    }
}

impl Listing {
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

/// Whether one of `globs` begins in what is `hidden`.
pub fn hides_a_base(hidden: &Hidden, globs: &[String]) -> bool {
    !hidden.is_empty() && globs.iter().any(|glob| hidden.hides(&base_of(glob)))
}

/// Whether a component of a glob may stand for several names.
pub fn has_wildcard(component: &Component<'_>) -> bool {
    component
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| b"*?[".contains(byte))
}

fn skip_by_name(path: &Path, excluded: &[Pattern], is_rotated: bool) -> Option<Skip> {
    let name = path.file_name()?;
    let is_excluded = |pattern: &Pattern| match pattern.as_str().contains('/') {
        true => pattern.matches(&text_of(path)),
        false => pattern.matches(&text_of(Path::new(name))),
    };
    let bytes = name.as_encoded_bytes();
    if excluded.iter().any(is_excluded) {
        Some(Skip::Excluded)
    } else if bytes.ends_with(b".tmp") {
        Some(Skip::Temporary)
    } else if COMPRESSED.iter().any(|ending| bytes.ends_with(ending))
        || (rotated::is_packed(path) && !is_rotated)
    {
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

    fn list_of(globs: &[&str], exclude: Vec<String>) -> Result<Listing, SourceError> {
        let files = globs.iter().map(ToString::to_string).collect();
        list(&Settings {
            exclude,
            ..Settings::of("cdr", files)
        })
    }

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
        let glob = format!("{}/{glob}", dir.path().display());
        let listing = list_of(&[&glob], exclude.clone()).unwrap();
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
            "a.txt.1.bz2",
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
            &[(Skip::Excluded, 1), (Skip::Compressed, 1)],
        );
    }

    #[test]
    fn a_file_with_two_names_is_listed_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.txt"), "1\n").unwrap();
        fs::hard_link(dir.path().join("a.txt"), dir.path().join("b.txt")).unwrap();
        symlink(dir.path().join("a.txt"), dir.path().join("c.txt")).unwrap();
        let glob = format!("{}/*.txt", dir.path().display());
        assert_eq!(list_of(&[&glob, &glob], vec![]).unwrap().found.len(), 1);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_a_problem_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        symlink("absent", dir.path().join("a.txt")).unwrap();
        symlink("b.txt", dir.path().join("b.txt")).unwrap();
        fs::write(dir.path().join("c.txt"), "1\n").unwrap();
        let glob = format!("{}/*.txt", dir.path().display());
        let listing = list_of(&[&glob], vec![]).unwrap();
        assert_eq!((listing.found.len(), listing.unreadable.len()), (1, 2));
        assert!(listing.hidden.is_empty());
    }

    #[test]
    fn a_glob_that_begins_where_no_directory_can_be_is_named_and_hides_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.txt"), "1\n").unwrap();
        let globs = ["a.txt/*.txt", "none/*.txt", "none.txt"]
            .map(|glob| format!("{}/{glob}", dir.path().display()));
        let globs: Vec<&str> = globs.iter().map(String::as_str).collect();
        let listing = list_of(&globs, vec![]).unwrap();
        let unreadable: Vec<&Path> = listing.unreadable.iter().map(|(path, _)| &**path).collect();
        assert_eq!(unreadable, [dir.path().join("a.txt")]);
        assert!(listing.hidden.is_empty());
    }

    #[test]
    fn a_glob_that_cannot_be_understood_is_named() {
        let error = list_of(&["/cdr/["], vec![]).unwrap_err();
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
            is_rotated: false,
            is_packed: false,
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
