//! Probe: counts what is written, and lets syncs fail, on the thread of a test.

use std::cell::Cell;

/// What generations wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Batches handed to the database.
    pub(super) batches: u64,
    /// Keys and values in them, in bytes.
    pub(super) bytes: usize,
    /// Calls of `fdatasync`.
    pub(super) syncs: u64,
}

thread_local! {
    static WORK: Cell<Work> = const { Cell::new(Work { batches: 0, bytes: 0, syncs: 0 }) };
    static SYNCS_TO_FAIL: Cell<u32> = const { Cell::new(0) };
}

/// What `work` makes this thread write.
pub(super) fn work_of(work: impl FnOnce()) -> Work {
    WORK.set(Work::default());
    work();
    WORK.get()
}

/// Lets the next `count` syncs of this thread fail, as a dying disk does.
pub(super) fn fail_syncs(count: u32) {
    SYNCS_TO_FAIL.set(count);
}

/// A batch was written.
pub(super) fn wrote(bytes: usize) {
    let work = WORK.get();
    WORK.set(Work {
        batches: work.batches + 1,
        bytes: work.bytes + bytes,
        ..work
    });
}

/// A sync is about to be made: whether it is to fail.
pub(super) fn syncs() -> bool {
    let work = WORK.get();
    WORK.set(Work {
        syncs: work.syncs + 1,
        ..work
    });
    let left = SYNCS_TO_FAIL.get();
    SYNCS_TO_FAIL.set(left.saturating_sub(1));
    left > 0
}
