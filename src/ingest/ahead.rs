//! Ahead: in a backlog, the next group is read while the last one is on its way to the disk.
//!
//! A commit waits for the disk most of its time, and making events of rows is most of ingest's work:
//! one after the other they would leave both the disk and the processor idle half of the time.
//!
//! **Crash argument.** What is read ahead is in memory only, as if it had not been read: its
//! positions, its events and what the machines made of them are committed after the group before it
//! and never without it. One thread commits at a time, and this one waits for it before the pass is
//! over: when the commit fails, its group is kept, what was read ahead is kept behind it, and nothing
//! further is read. A stop forgets what was read ahead; it is read again.
//!
//! At most one group is read ahead, both together with no more bytes than one may have; and only of
//! the files: what is pushed is acknowledged after the commit that has it, which is not told apart
//! here. So that pushes get in beside a backlog of files, a group that was read ahead has none read
//! ahead of its own where anything can be pushed. It is counted as taken from the disk beforehand
//! (see [`Queue::has_room_ahead`](crate::queue::Queue::has_room_ahead)).

use super::{GROUP_BYTES_MAX, Group, Ingest, Mailbox, Room};
use crate::queue::{Committed, Packed, QueueError};
use std::panic::resume_unwind;
use std::thread;

/// Stack of the thread that commits meanwhile: as much as the threads of delivery have, which settle.
const STACK_BYTES: usize = 256 << 10;

/// Bytes that have to be left of [`GROUP_BYTES_MAX`] for reading ahead to be worth a thread: a third
/// of a full group of the 350-byte rows of a VOS3000, which with their events come to 1.2 MB.
const AHEAD_BYTES_MIN: usize = GROUP_BYTES_MAX / 4;

impl Ingest {
    /// Step 5 for a full group, and steps 2 and 3 of the next one meanwhile.
    pub(super) fn commit_reading_ahead(
        &mut self,
        group: &Group,
        packed: Packed,
    ) -> Result<Committed, QueueError> {
        let queue = self.queue.clone();
        let commit = || queue.commit_packed(&group.batches, packed, &group.state);
        thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name("ingest-commit".to_string())
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, commit);
            let Ok(thread) = thread else {
                // Too many threads on the machine: one after the other, then.
                return self.queue.commit_with(&group.batches, &group.state);
            };
            let ahead = Group {
                bytes_elsewhere: group.bytes,
                ..self.new_group()
            };
            let mut ahead = self.read(ahead, Room::ForAll);
            self.derive(&mut ahead);
            // An event that is too long is for the commit to tell.
            ahead.packed = Packed::of(&ahead.batches).unwrap_or_default();
            self.ahead = Some(ahead).filter(|ahead| !ahead.is_empty());
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Whether the next group may be read while `group`, which `was_ahead` when it was read, is
    /// committed.
    pub(super) fn may_read_ahead(&self, group: &Group, was_ahead: bool) -> bool {
        self.ahead.is_none()
            && group.bytes <= GROUP_BYTES_MAX - AHEAD_BYTES_MIN
            && !(was_ahead && self.intakes.iter().any(|intake| intake.waits_for_room()))
            && !self.mailbox.as_ref().is_some_and(Mailbox::is_change_asked)
            && self.queue.has_room_ahead()
    }
}
