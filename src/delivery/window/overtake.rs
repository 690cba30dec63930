//! Overtake: taking an event out of the window before its turn, or from beyond it.

use super::{Memory, QueueTrouble, Wanted, Window};
use crate::event::Sequence;
use crate::queue::{PASSED_MAX, Queued};

/// What came of looking at one event.
#[derive(Debug)]
pub(in crate::delivery) enum Overtaken {
    /// It is given out now, and not again in its turn.
    Event(Queued),
    /// It stays: it is given out or settled already, or may not overtake.
    Stays,
    /// There is no room for it now; it is looked at again.
    NoRoom,
}

impl Window {
    /// The first event of `kinds`, as the queue has them in mind, that was not looked at yet.
    pub(in crate::delivery) fn urgent(&self, kinds: &[Box<str>]) -> Option<Sequence> {
        self.queue.urgent(self.looked, kinds)
    }

    /// Takes the event at `sequence` out of its turn, if it `may` overtake what is before it,
    /// which is asked with the alerts that are wanted.
    ///
    /// Beyond the window the queue keeps what is settled one by one, so no more than
    /// [`PASSED_MAX`] are given out there.
    ///
    /// # Errors
    ///
    /// When the queue cannot be read. Asking again is harmless.
    pub(in crate::delivery) fn overtake(
        &mut self,
        sequence: Sequence,
        may: impl Fn(&Queued, &Wanted) -> bool,
        memory: &mut Memory,
    ) -> Result<Overtaken, QueueTrouble> {
        let overtaken = if self.settled_before.contains(&sequence) {
            Overtaken::Stays
        } else if sequence < self.next {
            self.pull_decoded(sequence, may)
        } else {
            self.pull_beyond(sequence, may, memory)?
        };
        if !matches!(overtaken, Overtaken::NoRoom) {
            self.looked = sequence.plus(1);
        }
        Ok(overtaken)
    }

    fn pull_decoded(
        &mut self,
        sequence: Sequence,
        may: impl Fn(&Queued, &Wanted) -> bool,
    ) -> Overtaken {
        let place = self.fresh.binary_search_by_key(&sequence, |it| it.sequence);
        let place = place.ok().filter(|place| {
            let found = self.fresh.get(*place);
            found.is_some_and(|found| may(found, &self.alerts))
        });
        let taken = place.and_then(|place| self.fresh.remove(place));
        taken.map_or(Overtaken::Stays, Overtaken::Event)
    }

    fn pull_beyond(
        &mut self,
        sequence: Sequence,
        may: impl Fn(&Queued, &Wanted) -> bool,
        memory: &mut Memory,
    ) -> Result<Overtaken, QueueTrouble> {
        if memory.is_short() || sequence >= self.end() && self.is_full_beyond() {
            return Ok(Overtaken::NoRoom);
        }
        let read = self.queue.read(sequence, 1, memory.room())?;
        let Some(queued) = read.into_iter().next().filter(|it| it.sequence == sequence) else {
            return Ok(Overtaken::Stays);
        };
        if !may(&queued, &self.alerts) {
            return Ok(Overtaken::Stays);
        }
        if !memory.take(&queued.event) {
            return Ok(Overtaken::NoRoom);
        }
        self.settled_before.insert(sequence);
        Ok(Overtaken::Event(queued))
    }

    /// Whether as many are given out beyond the window as may be. They are counted once for each
    /// place of the cursor.
    fn is_full_beyond(&mut self) -> bool {
        if self.full_at == Some(self.cursor) {
            return true;
        }
        let is_full = self.settled_before.range(self.end()..).count() >= PASSED_MAX;
        self.full_at = is_full.then_some(self.cursor);
        is_full
    }
}
