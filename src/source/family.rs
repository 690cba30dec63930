//! Family: which files have, or had, one name, or are generations of it, by their names.
//!
//! Where a rotation takes thousands of files at once, each of them is compared with those of its own
//! family: they are found by how a name begins, not by going through all of them.

use super::known::Known;
use super::past::Past;
use super::{FileKey, rotated};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

/// The families of a source at one look.
#[derive(Debug)]
pub struct Families {
    /// The names of files by how their own and those of their generations begin.
    names: HashMap<Vec<u8>, Vec<Arc<Path>>>,
    /// How long such beginnings are.
    lengths: BTreeSet<usize>,
    /// The files of each family.
    members: HashMap<Arc<Path>, Vec<FileKey>>,
    are_elsewhere: bool,
}

impl Families {
    /// Those of `files` and of the lives that are over. Where generations `are_elsewhere`, their directory says
    /// nothing.
    pub fn of(files: &HashMap<FileKey, Known>, pasts: &[Past], are_elsewhere: bool) -> Families {
        let mut families = Families {
            names: HashMap::new(),
            lengths: BTreeSet::new(),
            members: HashMap::new(),
            are_elsewhere,
        };
        let named = files.values().filter(|known| !known.is_rotated);
        let named = named.map(|known| &known.path);
        for name in named.chain(pasts.iter().map(|past| &past.path)) {
            families.add_name(name);
        }
        for known in files.values() {
            for name in families.names_of(&known.path) {
                let members = families.members.entry(name).or_default();
                members.push(known.position.key);
            }
        }
        families
    }

    fn add_name(&mut self, name: &Arc<Path>) {
        if self.members.contains_key(name) {
            return;
        }
        self.members.insert(Arc::clone(name), Vec::new());
        let label = name.file_name().unwrap_or_default().as_encoded_bytes();
        let label = rotated::moment_of(label).map(<[u8]>::to_vec);
        for beginning in rotated::beginnings(name).chain(label) {
            self.lengths.insert(beginning.len());
            let names = self.names.entry(beginning).or_default();
            names.push(Arc::clone(name));
        }
    }

    /// The names of the files that the one at `path` is, or is a generation of.
    pub fn names_of(&self, path: &Path) -> Vec<Arc<Path>> {
        let own = path.file_name().unwrap_or_default().as_encoded_bytes();
        let mut names: Vec<Arc<Path>> = Vec::new();
        for length in self.lengths.range(..=own.len()) {
            let begun_so = own.get(..*length).and_then(|it| self.names.get(it));
            let of = begun_so.into_iter().flatten();
            names.extend(
                of.filter(|of| rotated::is_generation(path, of, self.are_elsewhere))
                    .cloned(),
            );
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The files that have one of the `names`, or are generations of it.
    pub fn members(&self, names: &[Arc<Path>]) -> BTreeSet<FileKey> {
        let members = names.iter().filter_map(|name| self.members.get(name));
        members.flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::FilePosition;
    use super::*;

    #[test]
    fn a_name_and_its_generations_are_one_family() {
        let paths = [
            "/cdr/Master.csv",
            "/cdr/Master.csv.1",
            "/cdr/Master-20260410.csv.gz",
            "/cdr/Master2.csv",
            "/other/Master.csv.1",
        ];
        let files = paths.iter().enumerate().map(|(at, path)| {
            let key = FileKey {
                device: 1,
                inode: at as u64,
            };
            let position = FilePosition::start_of(key, (*path).to_owned(), 0);
            let mut known = Known::remembered(position);
            known.is_rotated = at != 0 && at != 3;
            (key, known)
        });
        let files: HashMap<FileKey, Known> = files.collect();
        let check = |are_elsewhere, expected: &[u64]| {
            let families = Families::of(&files, &[], are_elsewhere);
            let names = families.names_of(Path::new("/cdr/Master.csv.7"));
            assert_eq!(names, [Arc::from(Path::new("/cdr/Master.csv"))]);
            let members = families.members(&names);
            let members: Vec<u64> = members.iter().map(|key| key.inode).collect();
            assert_eq!(members, expected);
        };
        check(false, &[0, 1, 2]);
        check(true, &[0, 1, 2, 4]);
    }
}
