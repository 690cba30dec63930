//! Next: the generation behind the head, made while the head is still written.
//!
//! Making one takes six syncs: of the database's two files and of two directories, and what the
//! database does itself. In a backlog the head is full after some dozen commits, and these syncs
//! were a fifth of all the time commits took. So they happen on a thread of their own while the
//! last commits before them go on.
//!
//! **Crash argument.** Until it is begun it is called [`NAME`], which is not a generation's name:
//! nobody looks into it, and opening the queue removes it, whatever is in it. Beginning it gives it
//! its number, and makes that durable; from there on it is a generation without
//! [`Meta`](super::meta::Meta), just as one that was made in its place.

use super::error::QueueError;
use super::generation::Generation;
use std::path::Path;
use std::thread::{self, JoinHandle};

/// Its directory, beside those of the generations.
pub(super) const NAME: &str = "next";

/// Batches like the last one that fit into the head when the next generation is made: each takes a
/// sync, as the making takes six, and the processor may be busy. Where rows trickle in, a batch is
/// far shorter than the steps in which the database's file grows, and the next generation is made
/// when it is due: that is seldom then, and nothing is kept open for it.
const BATCHES_AHEAD: u64 = 8;

/// The thread needs about what delivery's threads do, which write settlements.
const STACK_BYTES: usize = 256 << 10;

/// The generation behind the head, or nothing yet.
#[derive(Debug, Default)]
pub(super) struct Next {
    making: Option<JoinHandle<Result<Generation, QueueError>>>,
}

impl Next {
    /// Has it made when the head has no more than `left` bytes until it is full, and `written`
    /// of them were taken by the last batch.
    pub(super) fn make_in_time(&mut self, parent: &Path, left: u64, written: usize) {
        let is_near = u64::try_from(written).is_ok_and(|written| left <= BATCHES_AHEAD * written);
        if self.making.is_some() || !is_near {
            return;
        }
        let parent = parent.to_owned();
        let make = move || Generation::create_at(&parent, parent.join(NAME), 0);
        let thread = thread::Builder::new()
            .name("queue-next".to_string())
            .stack_size(STACK_BYTES)
            .spawn(make);
        // Too many threads on the machine: it is made when it is due, then.
        self.making = thread.ok();
    }

    /// The empty generation `number`, as [`Generation::create`] makes it.
    pub(super) fn begin(&mut self, parent: &Path, number: u32) -> Result<Generation, QueueError> {
        match self.made() {
            Some(mut made) => {
                made.become_number(parent, number)?;
                Ok(made)
            }
            None => Generation::create(parent, number),
        }
    }

    /// Whatever hindered its making hinders the next try too, or has passed.
    fn made(&mut self) -> Option<Generation> {
        self.making.take()?.join().ok()?.ok()
    }
}

impl Drop for Next {
    /// Whoever opens the queue next removes the directory: nobody may be at work in it.
    fn drop(&mut self) {
        drop(self.made());
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, events, open};
    use super::super::{Queue, row};
    use super::*;
    use crate::event::Sequence;
    use std::fs;
    use tempfile::TempDir;

    /// Commits until the third generation has begun; returns how many events that were, and after
    /// how many commits the next generation was there or being made.
    fn backlog(queue: &Queue, parent: &Path) -> (u64, u32) {
        let (mut committed, mut in_making) = (0, 0);
        while row::numbers(parent).unwrap().len() < 3 {
            queue.commit(&[batch(events(500, 600))]).unwrap();
            committed += 500;
            in_making += u32::from(queue.writer().unwrap().next.making.is_some());
        }
        (committed, in_making)
    }

    fn count(queue: &Queue) -> u64 {
        let (mut next, mut seen) = (Sequence(1), 0);
        loop {
            let read = queue.read(next, 500).unwrap();
            let Some(last) = read.last() else { return seen };
            seen += read.len() as u64;
            next = last.sequence.plus(1);
        }
    }

    fn opened_anew(directory: &TempDir, committed: u64) -> Queue {
        let queue = open(directory);
        assert!(queue.opened().half_made.is_empty());
        assert_eq!(queue.opened().mended, []);
        assert_eq!(count(&queue), committed);
        assert!(!directory.path().join("queue").join(NAME).exists());
        queue
    }

    #[test]
    fn in_a_backlog_the_next_generation_is_made_before_it_is_due() {
        let directory = tempfile::tempdir().unwrap();
        let queue = open(&directory);
        let (committed, in_making) = backlog(&queue, &directory.path().join("queue"));
        assert!(in_making >= 4, "in the making after {in_making} commits");
        assert_eq!(count(&queue), committed);
        drop(queue);
        opened_anew(&directory, committed);
    }

    #[test]
    fn where_rows_trickle_in_it_is_made_when_it_is_due() {
        let directory = tempfile::tempdir().unwrap();
        let queue = open(&directory);
        for _ in 0..40 {
            queue.commit(&[batch(events(5, 600))]).unwrap();
            assert!(queue.writer().unwrap().next.making.is_none());
        }
    }

    #[test]
    fn whatever_a_killed_agent_left_of_it_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let queue = open(&directory);
        let (committed, _) = backlog(&queue, &directory.path().join("queue"));
        drop(queue);
        let left = directory.path().join("queue").join(NAME);
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("db"), b"half").unwrap();
        let queue = opened_anew(&directory, committed);
        queue.commit(&[batch(events(5, 60))]).unwrap();
    }

    #[test]
    fn when_making_it_fails_it_is_made_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let queue = open(&directory);
        let parent = directory.path().join("queue");
        // Nothing that a directory can be made of.
        fs::write(parent.join(NAME), b"").unwrap();
        let (committed, in_making) = backlog(&queue, &parent);
        assert!(in_making >= 4);
        fs::remove_file(parent.join(NAME)).unwrap();
        drop(queue);
        opened_anew(&directory, committed);
    }
}
