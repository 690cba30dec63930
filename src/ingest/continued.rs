//! Continued: records that are whole as they stand, and wait a while for lines that may continue
//! them.

use crate::clock::Moment;
use crate::source::FileKey;
use std::collections::HashMap;
use std::time::Duration;

/// How long a record that is whole waits for lines that continue it: whoever writes a stack trace
/// writes it at once.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The files whose last record waits: at most all that a source follows. Each for itself, for other
/// files of the source go on meanwhile, and a rotation leaves two of them.
#[derive(Debug, Default)]
pub(super) struct Continued(HashMap<FileKey, Wait>);

#[derive(Debug)]
struct Wait {
    since: Moment,
    is_over: bool,
}

impl Continued {
    /// Takes in whether the last record that was read of `file` waits; of one that did before,
    /// whether anything was read `meanwhile`.
    pub(super) fn note(&mut self, file: FileKey, waits: bool, meanwhile: bool, now: Moment) {
        if !waits {
            self.0.remove(&file);
            return;
        }
        let wait = self.0.entry(file).or_insert(Wait {
            since: now,
            is_over: false,
        });
        wait.is_over = false;
        if meanwhile {
            wait.since = now;
        }
    }

    /// Whether the record at the end of `file` waits no longer.
    pub(super) fn is_over(&self, file: FileKey) -> bool {
        self.0.get(&file).is_some_and(|wait| wait.is_over)
    }

    /// Ends the waits that took long enough, each by `hand_out`, which says whether there still is
    /// such a file.
    pub(super) fn end(&mut self, now: Moment, mut hand_out: impl FnMut(FileKey) -> bool) {
        self.0.retain(|file, wait| {
            wait.is_over |= now.since(wait.since) >= WAIT_MAX;
            !wait.is_over || hand_out(*file)
        });
    }

    /// Ends the waits of files that `have_made_way`, before lines of `newer` are read: whoever writes
    /// those writes to the others no more, and what they say last comes before them. Gives the files.
    pub(super) fn end_before(
        &mut self,
        newer: FileKey,
        have_made_way: impl Fn(FileKey) -> bool,
    ) -> Vec<FileKey> {
        let waits = self.0.iter_mut();
        let ended =
            waits.filter(|(file, wait)| !wait.is_over && **file != newer && have_made_way(**file));
        let ended = ended.map(|(file, wait)| {
            wait.is_over = true;
            *file
        });
        ended.collect()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: FileKey = FileKey {
        device: 1,
        inode: 1,
    };
    const B: FileKey = FileKey {
        device: 1,
        inode: 2,
    };

    #[test]
    fn each_file_waits_for_itself_and_no_longer_than_it_should() {
        let mut continued = Continued::default();
        let at = |secs: u64| Moment::default() + Duration::from_secs(secs);
        let over = |continued: &mut Continued, now| {
            let mut over = Vec::new();
            continued.end(now, |file| {
                over.push(file);
                true
            });
            over
        };
        continued.note(A, true, true, at(0));
        continued.note(B, true, true, at(1));
        // More of one file, which does not wait any more, says nothing about the other.
        continued.note(A, false, true, at(1));
        assert_eq!(over(&mut continued, at(2)), []);
        // Looked at again, without anything new.
        continued.note(B, true, false, at(2));
        assert_eq!(over(&mut continued, at(3)), [B]);
        assert!(continued.is_over(B) && !continued.is_over(A));
        continued.note(B, true, true, at(3));
        assert!(!continued.is_over(B));
        // What a generation says last comes before what the next one says.
        assert_eq!(continued.end_before(B, |_| true), []);
        assert_eq!(continued.end_before(A, |_| false), []);
        assert_eq!(continued.end_before(A, |_| true), [B]);
        assert_eq!(continued.end_before(A, |_| true), []);
        // One whose file went waits for nothing.
        continued.end(at(5), |_| false);
        assert!(continued.is_empty());
    }
}
