//! Rotated: where the generations that a rotation leaves behind are.
//!
//! What is found there may be a file that was followed under another name, which its inode says,
//! or a copy of one, packed or not, which its content says. The names only say where to look.

use super::walk::text_of;
use glob::Pattern;
use std::path::Path;

/// Where rotated generations are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Rotated {
    /// At the names that rotations make of those of the files: see [`derive`].
    #[default]
    Derived,
    /// At these globs; none for rotations that leave nothing.
    Given(Vec<String>),
}

/// The globs of the generations of the files that `glob` names: `.1`, `.2026041009`, `-20260410`
/// behind the name, each also packed as `.gz`; for a name without wildcards also `.1` and `-20260410`
/// before its ending (logrotate's `extension`).
pub fn derive(glob: &str) -> Vec<String> {
    let Some((directory, name)) = glob.rsplit_once('/') else {
        return Vec::new();
    };
    if name.is_empty() || name.contains("**") {
        return Vec::new();
    }
    let mut globs: Vec<String> = [".[0-9]*", "-[0-9]*", ".gz"]
        .map(|ending| format!("{glob}{ending}"))
        .into();
    let has_wildcard = name.bytes().any(|byte| b"*?[".contains(&byte));
    if let Some((stem, ending)) = name.rsplit_once('.')
        && !stem.is_empty()
        && !has_wildcard
    {
        for separator in ['-', '.'] {
            let glob = format!("{directory}/{stem}{separator}[0-9]*.{ending}");
            globs.extend(["", ".gz"].map(|gz| format!("{glob}{gz}")));
        }
    }
    globs
}

/// How the names of the generations of the file at `of` begin, and the name itself: as the name
/// does, or as it does up to its ending and a `-` or a `.`.
pub fn beginnings(of: &Path) -> impl Iterator<Item = Vec<u8>> {
    let name = of.file_name().unwrap_or_default().as_encoded_bytes();
    let stem_bytes = name.iter().rposition(|&byte| byte == b'.');
    let stem = stem_bytes.and_then(|bytes| name.get(..bytes));
    let stem = stem.filter(|stem| !stem.is_empty());
    let before_ending = move |separator| stem.map(|stem| [stem, separator].concat());
    [
        Some(name.to_vec()),
        before_ending(b"-"),
        before_ending(b"."),
    ]
    .into_iter()
    .flatten()
}

/// Whether `path` is that of a generation of the file that was at `of`, or the same. Where the
/// configuration says that generations `are_elsewhere`, any name that begins with that of the file
/// says it, and the directory does not.
pub fn is_generation(path: &Path, of: &Path, are_elsewhere: bool) -> bool {
    let (Some(name), Some(of_name)) = (path.file_name(), of.file_name()) else {
        return false;
    };
    if !are_elsewhere && path.parent() != of.parent() {
        return false;
    }
    let (name_bytes, of_bytes) = (name.as_encoded_bytes(), of_name.as_encoded_bytes());
    let label = moment_of(of_bytes);
    let is_named_after = name_bytes.starts_with(of_bytes);
    if are_elsewhere && (is_named_after || label.is_some_and(|it| name_bytes.starts_with(it))) {
        return true;
    }
    // Of thousands of files most are none by their first bytes, for which no glob is needed.
    if !beginnings(of).any(|beginning| name_bytes.starts_with(&beginning)) {
        return false;
    }
    let is_named_so = |pattern: String| {
        let pattern = Pattern::new(&pattern);
        pattern.is_ok_and(|pattern| pattern.matches(&text_of(&Path::new("/").join(name))))
    };
    let of_name = Pattern::escape(&of_name.to_string_lossy());
    name == of.file_name().unwrap_or_default()
        || derive(&format!("/{of_name}")).into_iter().any(is_named_so)
}

/// The moment by which svlogd and multilog call a generation, with the dot behind it: `@`, 24
/// hexadecimal digits, and an ending that changes when it is packed.
pub fn moment_of(name: &[u8]) -> Option<&[u8]> {
    let label = name.get(..26)?;
    let digits = label.strip_prefix(b"@")?.strip_suffix(b".")?;
    digits.iter().all(u8::is_ascii_hexdigit).then_some(label)
}

/// Whether the name of `path` says that gzip made the file.
pub fn is_packed(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().ends_with(b".gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(glob: &str, path: &str, expected: bool) {
        let globs = derive(glob);
        let patterns: Vec<glob::Pattern> = globs
            .iter()
            .map(|glob| glob::Pattern::new(glob).unwrap())
            .collect();
        let is_one = patterns.iter().any(|pattern| pattern.matches(path));
        assert_eq!(is_one, expected, "{path} for {globs:?}");
    }

    #[test]
    fn a_generation_is_one_of_a_file_by_its_whole_name_and_not_by_how_that_begins() {
        for (path, of, elsewhere, expected) in [
            ("/a/b/cdr.csv.1", "/a/b/cdr.csv", false, true),
            ("/a/b/cdr.csv.1.gz", "/a/b/cdr.csv", false, true),
            ("/a/b/cdr-20260410.csv.gz", "/a/b/cdr.csv", false, true),
            ("/a/b/cdr.1.csv", "/a/b/cdr.csv", false, true),
            ("/a/b/cdr.2.csv.gz", "/a/b/cdr.csv", false, true),
            ("/a/b/cdr.x.csv", "/a/b/cdr.csv", false, false),
            ("/a/b/cdr.csv", "/a/b/cdr.csv", false, true),
            ("/a/b/x[1].csv-3", "/a/b/x[1].csv", false, true),
            ("/a/bc/cdr.csv", "/a/b", false, false),
            ("/a/bc", "/a/b", false, false),
            ("/a/b/cdr12.1", "/a/b/cdr1", false, false),
            ("/a/b/cdr1.csv.1", "/a/b/cdr1", false, false),
            ("/a/b/old/cdr.csv.1", "/a/b/cdr.csv", false, false),
            ("/a/b/old/cdr.csv.1", "/a/b/cdr.csv", true, true),
            ("/a/b/cdr.csv.old", "/a/b/cdr.csv", false, false),
            ("/a/b/cdr.csv.old", "/a/b/cdr.csv", true, true),
            ("/a/b/cdr.old", "/a/b/cdr.csv", true, false),
            (
                "/a/@400000006b08a602282e52d4.s",
                "/a/@400000006b08a602282e52d4.u",
                true,
                true,
            ),
            (
                "/a/@400000006b08a602282e52d5.s",
                "/a/@400000006b08a602282e52d4.u",
                true,
                false,
            ),
            ("/a/b/old/other.csv.1", "/a/b/cdr.csv", true, false),
        ] {
            let (path, of) = (Path::new(path), Path::new(of));
            let found = is_generation(path, of, elsewhere);
            assert_eq!(found, expected, "{path:?} of {of:?}");
            let name = path.file_name().unwrap().as_encoded_bytes();
            let is_candidate = beginnings(of).any(|beginning| name.starts_with(&beginning));
            assert!(is_candidate || !expected, "{path:?} of {of:?}");
        }
    }

    #[test]
    fn generations_have_the_names_that_rotations_give() {
        for ending in [
            ".1",
            ".0",
            ".12.gz",
            ".gz",
            "-20260410",
            "-20260410.gz",
            "-1775800000",
        ] {
            check("/cdr/Master.csv", &format!("/cdr/Master.csv{ending}"), true);
            check("/cdr/*.csv", &format!("/cdr/Master.csv{ending}"), true);
        }
        check("/cdr/Master.csv", "/cdr/Master-20260410.csv", true);
        check("/cdr/Master.csv", "/cdr/Master-20260410.csv.gz", true);
        check("/cdr/Master.csv", "/cdr/Master.1.csv", true);
        check("/cdr/Master.csv", "/cdr/Master.20260410.csv.gz", true);
        check("/cdr/*.csv", "/cdr/cdr_2026041009.csv", false);
        check("/cdr/Master.csv", "/cdr/Master.csv", false);
        check("/cdr/Master.csv", "/cdr/Master.csv.old", false);
        check("/cdr/**", "/cdr/1.gz", false);
    }
}
