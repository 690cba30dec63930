//! Listing: the files that a source's globs match now.

use super::FileKey;
use glob::{MatchOptions, Pattern};
use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that is there.
#[derive(Debug)]
pub struct Found {
    pub(super) key: FileKey,
    pub(super) path: Arc<Path>,
    /// Its size in bytes.
    pub(super) size: u64,
    /// When it was last written to, in nanoseconds since 1970.
    pub(super) written_ns: i64,
}

impl Found {
    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// A leading dot must be matched by a dot: editors and copying tools hide unfinished files so.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The regular files that `files` match and `exclude` does not, each once, oldest first.
///
/// `*.tmp` (unfinished copies) and `*.gz` (archives, which are not text) are left out.
pub fn list(files: &[String], exclude: &[String]) -> Vec<Found> {
    let excluded: Vec<Pattern> = exclude
        .iter()
        .filter_map(|glob| Pattern::new(glob).ok())
        .collect();
    let left_out = |path: &Path| {
        path.extension()
            .is_some_and(|ending| ending == "tmp" || ending == "gz")
            || excluded.iter().any(|glob| {
                glob.matches_path_with(path, OPTIONS)
                    || path
                        .file_name()
                        .is_some_and(|name| glob.matches_with(&name.to_string_lossy(), OPTIONS))
            })
    };
    let mut keys = HashSet::new();
    let mut found: Vec<Found> = matching(files)
        .filter(|path| !left_out(path))
        .filter_map(|path| {
            let metadata = fs::metadata(&path).ok().filter(Metadata::is_file)?;
            let key = FileKey {
                device: metadata.dev(),
                inode: metadata.ino(),
            };
            let written_ns = metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec());
            keys.insert(key).then(|| Found {
                key,
                path: Arc::from(path),
                size: metadata.len(),
                written_ns,
            })
        })
        .collect();
    found.sort_by(|one, other| (one.written_ns, &one.path).cmp(&(other.written_ns, &other.path)));
    found
}

/// The paths that `globs` match; what cannot be listed is passed over until the next look.
pub(super) fn matching(globs: &[String]) -> impl Iterator<Item = PathBuf> {
    globs
        .iter()
        .filter_map(|glob| glob::glob_with(glob, OPTIONS).ok())
        .flatten()
        .filter_map(Result::ok)
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
    Pattern::new(text)
        .map(|_| ())
        .map_err(|error| format!("{text:?} cannot be matched: {error}"))
}
