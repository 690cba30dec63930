//! Order: which file is read first.

use super::FileKey;
use std::cmp::Ordering;
use std::path::Path;
use std::sync::Arc;

/// A file's place among the files of its source: older ones come first.
///
/// Age is the time of the last modification, so that an hour's file is finished before the next
/// one whatever a rotation has called it. Files modified at the same instant (a copy that keeps
/// times, a coarse file system) go by their name, its numbers compared as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Age {
    /// Nanoseconds since 1970 of the last modification.
    pub modified_ns: i64,
    /// Whether a name leads to it. A file that has lost its name was there before the file that
    /// has it now.
    pub is_listed: bool,
    /// The path last seen.
    pub path: Arc<Path>,
    /// Keeps two files apart whose other fields are the same.
    pub key: FileKey,
}

impl Ord for Age {
    fn cmp(&self, other: &Age) -> Ordering {
        let times = self.modified_ns.cmp(&other.modified_ns);
        times
            .then(self.is_listed.cmp(&other.is_listed))
            .then_with(|| natural(name(&self.path), name(&other.path)))
            .then_with(|| self.path.cmp(&other.path))
            .then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Age) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn name(path: &Path) -> &[u8] {
    path.file_name().unwrap_or_default().as_encoded_bytes()
}

/// Compares byte by byte, but runs of digits as the numbers they write.
fn natural(mut left: &[u8], mut right: &[u8]) -> Ordering {
    loop {
        let (numbers, others) = (
            number(&mut left).cmp(&number(&mut right)),
            other_byte(&mut left, &mut right),
        );
        match numbers.then(others) {
            Ordering::Equal if left.is_empty() && right.is_empty() => return Ordering::Equal,
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
}

/// Takes a run of digits off `text`: how many there are without leading zeros, and these digits.
fn number<'a>(text: &mut &'a [u8]) -> (usize, &'a [u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(count);
    *text = rest;
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    (count - zeros, digits.get(zeros..).unwrap_or_default())
}

/// Takes one byte off each and compares them; a text that has ended comes first.
fn other_byte(left: &mut &[u8], right: &mut &[u8]) -> Ordering {
    left.split_off_first().cmp(&right.split_off_first())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(modified_ns: i64, path: &str) -> Age {
        Age {
            modified_ns,
            is_listed: true,
            path: Path::new(path).into(),
            key: FileKey {
                device: 1,
                inode: 1,
            },
        }
    }

    #[track_caller]
    fn check_before(first: Age, second: Age) {
        assert_eq!(first.cmp(&second), Ordering::Less, "{first:?} {second:?}");
        assert_eq!(
            second.cmp(&first),
            Ordering::Greater,
            "{second:?} {first:?}"
        );
    }

    #[test]
    fn the_file_modified_first_comes_first_whatever_its_name() {
        check_before(age(1, "/cdr/b.txt"), age(2, "/cdr/a.txt"));
        check_before(age(1, "/cdr/cdr.txt.1"), age(2, "/cdr/cdr.txt"));
    }

    #[test]
    fn files_modified_at_one_instant_go_by_the_numbers_in_their_names() {
        check_before(age(1, "/cdr/2026041009.txt"), age(1, "/cdr/2026041010.txt"));
        check_before(age(1, "/z/cdr_9.csv"), age(1, "/a/cdr_10.csv"));
        check_before(age(1, "/cdr/cdr_09_a.csv"), age(1, "/cdr/cdr_9_b.csv"));
        check_before(age(1, "/cdr/cdr.txt"), age(1, "/cdr/cdr.txt.1"));
        check_before(age(1, "/cdr/a.txt"), age(1, "/cdr/b.txt"));
    }

    #[test]
    fn a_file_that_lost_its_name_comes_before_the_one_that_has_it() {
        let unlisted = Age {
            is_listed: false,
            ..age(1, "/cdr/cdr.txt")
        };
        check_before(unlisted, age(1, "/cdr/cdr.txt"));
    }

    #[test]
    fn two_spellings_of_one_number_still_have_an_order() {
        check_before(age(1, "/cdr/a07"), age(1, "/cdr/a7"));
        check_before(age(1, "/a/7"), age(1, "/b/7"));
    }
}
