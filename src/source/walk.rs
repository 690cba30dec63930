//! Walk: the paths on the disk that a glob names.
//!
//! The patterns are the glob crate's, one for each component of a path; its walk through the directories
//! is not: that passes over every name that is not UTF-8 (a file named by a switch that writes GBK),
//! panics at one where names with a leading dot are left out, and goes round in circles below a `**`
//! where a link leads upwards.

use super::FileKey;
use super::listing::{key_of, options};
use glob::{Pattern, PatternError};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

/// One walk: an iterator over the paths, those of one directory in the order of their names, and over
/// what could not be looked into.
#[derive(Debug)]
pub struct Walk {
    parts: Vec<Part>,
    only_directories: bool,
    /// Paths whose beginning is named by so many parts, the next one last.
    todo: Vec<(PathBuf, usize)>,
    /// Where links that stand below a `**` led, and which part that was.
    entered: HashSet<(FileKey, usize)>,
}

/// What one component of a glob names.
#[derive(Debug)]
enum Part {
    /// The one of that name.
    Name(String),
    /// Each whose name is like that.
    Like(Pattern),
    /// `**`: what is there and each directory below it.
    Below,
}

impl Walk {
    /// The paths that `glob` names; only directories where it ends in a `/`.
    ///
    /// # Errors
    ///
    /// When it cannot be understood.
    pub fn new(glob: &str) -> Result<Walk, PatternError> {
        let mut parts = Vec::new();
        for component in glob.split('/').filter(|component| !component.is_empty()) {
            let is_below = matches!(parts.last(), Some(Part::Below));
            match component {
                "**" if is_below => {}
                "**" => parts.push(Part::Below),
                _ if component.bytes().any(|byte| b"*?[".contains(&byte)) => {
                    parts.push(Part::Like(Pattern::new(component)?));
                }
                _ => parts.push(Part::Name(component.to_owned())),
            }
        }
        let root = if glob.starts_with('/') { "/" } else { "" };
        Ok(Walk {
            parts,
            only_directories: glob.ends_with('/'),
            todo: vec![(root.into(), 0)],
            entered: HashSet::new(),
        })
    }

    /// Takes up what the part at `at` names in the directory `path`.
    fn step(&mut self, path: PathBuf, at: usize) -> Result<(), (PathBuf, io::Error)> {
        let is_last = at + 1 >= self.parts.len();
        if let Some(Part::Name(name)) = self.parts.get(at) {
            let path = path.join(name);
            return match fs::symlink_metadata(&path) {
                Ok(_) if is_last && self.only_directories && !path.is_dir() => Ok(()),
                Ok(_) => {
                    self.todo.push((path, at + 1));
                    Ok(())
                }
                Err(error) if is_nothing(&error) => Ok(()),
                Err(error) => Err((path, error)),
            };
        }
        let children = match children_of(&path) {
            Ok(children) => children,
            Err(error) if is_nothing(&error) => return Ok(()),
            Err(error) => return Err((path, error)),
        };
        let is_below = matches!(self.parts.get(at), Some(Part::Below));
        let like = match self.parts.get(at + usize::from(is_below)) {
            Some(Part::Like(pattern)) => Some(pattern.clone()),
            _ => None,
        };
        let matched = at + 1 + usize::from(is_below);
        let needs_directory = self.only_directories || matched < self.parts.len();
        for child in children.into_iter().rev() {
            let name = child.file_name();
            let name = name.to_string_lossy();
            let is_like = like
                .as_ref()
                .is_some_and(|pattern| pattern.matches_with(&name, options()));
            let is_entered = is_below && !name.starts_with('.') && self.is_new(&child, at);
            if is_entered {
                self.todo.push((child.path(), at));
            }
            if is_like && (!needs_directory || is_directory(&child)) {
                self.todo.push((child.path(), matched));
            }
        }
        if is_below && like.is_none() {
            self.todo.push((path, at + 1));
        }
        Ok(())
    }

    /// Whether `child` is a directory, and none that a link led to before.
    fn is_new(&mut self, child: &DirEntry, at: usize) -> bool {
        let is_link = child.file_type().is_ok_and(|kind| kind.is_symlink());
        match fs::metadata(child.path()) {
            Ok(meta) if is_link => meta.is_dir() && self.entered.insert((key_of(&meta), at)),
            _ => is_directory(child),
        }
    }
}

impl Iterator for Walk {
    type Item = Result<PathBuf, (PathBuf, io::Error)>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((path, at)) = self.todo.pop() {
            if at >= self.parts.len() {
                return Some(Ok(path));
            }
            if let Err(error) = self.step(path, at) {
                return Some(Err(error));
            }
        }
        None
    }
}

/// What of `path` a pattern is compared with: bytes that are no text are one that no pattern writes.
pub fn text_of(path: &Path) -> Cow<'_, str> {
    path.as_os_str().to_string_lossy()
}

fn children_of(path: &Path) -> io::Result<Vec<DirEntry>> {
    let is_here = path.as_os_str().is_empty();
    let entries = fs::read_dir(if is_here { Path::new(".") } else { path })?;
    let mut children = entries.collect::<io::Result<Vec<DirEntry>>>()?;
    children.sort_by_cached_key(DirEntry::file_name);
    Ok(children)
}

fn is_directory(child: &DirEntry) -> bool {
    match child.file_type() {
        Ok(kind) if kind.is_symlink() => child.path().is_dir(),
        Ok(kind) => kind.is_dir(),
        Err(_) => false,
    }
}

/// Whether there is nothing, or no directory.
fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    fn walked(dir: &Path, glob: &str) -> Vec<String> {
        let walk = Walk::new(&format!("{}/{glob}", dir.display())).unwrap();
        walk.map(|path| {
            let path = path.unwrap();
            path.strip_prefix(dir).unwrap().display().to_string()
        })
        .collect()
    }

    #[test]
    fn a_glob_names_paths_through_directories_with_wildcards() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a1/x/f.csv", "a1/f.csv", "a2/x/g.csv", "b/f.csv", "f.csv"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        for name in [".h/f.csv", "b/.f.csv"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        for (glob, expected) in [
            ("a*/*.csv", &["a1/f.csv"][..]),
            ("*/f.csv", &["a1/f.csv", "b/f.csv"]),
            ("a?/x/*", &["a1/x/f.csv", "a2/x/g.csv"]),
            ("*/", &["a1", "a2", "b"]),
            ("a*/x/", &["a1/x", "a2/x"]),
            ("b/.f*", &["b/.f.csv"]),
            (".*/f.csv", &[".h/f.csv"]),
            ("none/*/f", &[]),
            ("f.csv/*", &[]),
        ] {
            assert_eq!(walked(dir.path(), glob), expected, "{glob}");
        }
        for glob in ["**/*.csv", "**/**/*.csv"] {
            let mut all = walked(dir.path(), glob);
            all.sort();
            let expected = ["a1/f.csv", "a1/x/f.csv", "a2/x/g.csv", "b/f.csv", "f.csv"];
            assert_eq!(all, expected, "{glob}");
        }
        let mut named = walked(dir.path(), "**/f.csv");
        named.sort();
        assert_eq!(named, ["a1/f.csv", "a1/x/f.csv", "b/f.csv", "f.csv"]);
        let mut below = walked(dir.path(), "**/");
        below.sort();
        assert_eq!(below, ["", "a1", "a1/x", "a2", "a2/x", "b"]);
        assert!(Walk::new("/a**b/c").is_err());
    }

    #[test]
    fn links_that_lead_upwards_are_followed_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/f.csv"), "").unwrap();
        for link in ["a/up", "a/b/up", "a/b/too", "a/again"] {
            symlink(dir.path(), dir.path().join(link)).unwrap();
        }
        let found = walked(dir.path(), "**/*.csv");
        assert!(found.contains(&"a/b/f.csv".to_owned()), "{found:?}");
        assert!(found.len() <= 2, "{found:?}");
    }

    #[test]
    fn names_that_are_no_text_are_named_like_others() {
        let dir = tempfile::tempdir().unwrap();
        let name = OsStr::from_bytes(b"\xb2\xe2\xca\xd4");
        fs::create_dir(dir.path().join(name)).unwrap();
        let file = dir.path().join(name).join(name).with_extension("csv");
        fs::write(&file, "").unwrap();
        for glob in ["*/*.csv", "**/*.csv"] {
            let walk = Walk::new(&format!("{}/{glob}", dir.path().display())).unwrap();
            let found: Vec<PathBuf> = walk.map(Result::unwrap).collect();
            assert_eq!(found, std::slice::from_ref(&file), "{glob}");
        }
    }
}
