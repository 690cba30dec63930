//! Hidden: the paths a listing could not look at or into, behind which there may be files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Most hidden paths that are told apart; beyond it they count as the one directory that all of
/// them are in. A tree has one or two (`lost+found`); a directory that can be listed but not
/// searched hides each of its files, and is what they come to.
pub const HIDDEN_MAX: usize = 100;

/// Paths that could not be looked at or into.
#[derive(Debug, Clone, Default)]
pub struct Hidden {
    paths: BTreeSet<PathBuf>,
}

impl Hidden {
    /// Takes in that `path`, and what is below it, is out of sight.
    pub fn add(&mut self, path: PathBuf) {
        if self.hides(&path) {
            return;
        }
        self.paths.insert(path);
        if self.paths.len() > HIDDEN_MAX {
            let shared = self.paths.iter().cloned().reduce(|shared, path| {
                let mut above = shared.ancestors();
                above
                    .find(|above| path.starts_with(above))
                    .unwrap_or(Path::new("/"))
                    .to_owned()
            });
            self.paths = shared.into_iter().collect();
        }
    }

    /// Whether `path` is out of sight.
    pub fn hides(&self, path: &Path) -> bool {
        !self.is_empty() && path.ancestors().any(|above| self.paths.contains(above))
    }

    /// Whether everything is in sight.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// What of this is still out of sight when `now` is.
    pub fn still(&self, now: &Hidden) -> Hidden {
        let mut still = Hidden::default();
        let of_these = self.paths.iter().filter(|path| now.hides(path));
        let of_those = now.paths.iter().filter(|path| self.hides(path));
        of_these
            .chain(of_those)
            .for_each(|path| still.add(path.clone()));
        still
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(paths: &[&str]) -> Hidden {
        let mut hidden = Hidden::default();
        paths.iter().for_each(|path| hidden.add(path.into()));
        hidden
    }

    #[test]
    fn a_path_hides_itself_and_what_is_below_it() {
        let hidden = hidden(&["/cdr/lost+found", "/cdr/a.txt"]);
        for (path, expected) in [
            ("/cdr/lost+found", true),
            ("/cdr/lost+found/a.txt", true),
            ("/cdr/lost+found2/a.txt", false),
            ("/cdr/a.txt", true),
            ("/cdr/b.txt", false),
        ] {
            assert_eq!(hidden.hides(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn too_many_paths_come_to_the_directory_they_are_in() {
        let mut hidden = Hidden::default();
        for n in 0..3 * HIDDEN_MAX {
            hidden.add(format!("/home/cdr/{n}.txt").into());
        }
        assert_eq!(hidden.paths, BTreeSet::from([PathBuf::from("/home/cdr")]));
    }

    #[test]
    fn what_is_still_hidden_is_in_both_whichever_names_the_directory_above() {
        let before = hidden(&["/a", "/b/x", "/c"]);
        let still = before.still(&hidden(&["/a/x", "/b", "/d"]));
        let expected = ["/a/x", "/b/x"].map(PathBuf::from);
        assert_eq!(still.paths, BTreeSet::from(expected));
    }
}
