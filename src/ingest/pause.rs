//! Pause: reading has stopped, or stopped for most sources; said once when it does and once when
//! it goes on.

use crate::clock::Moment;
use crate::queue::Room;

/// What is paused now.
#[derive(Debug, Default)]
pub struct Pause {
    /// What is paused, since when.
    now: Option<(Paused, Moment)>,
    /// The limit, or the error, as last heard.
    because: String,
}

/// What does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Paused {
    /// Sources that make other events than reserved ones.
    Ordinary,
    /// All of them.
    All,
}

impl Pause {
    /// Hears of the room there is. What was paused before a commit that failed stays paused until
    /// one has succeeded; see [`Pause::failed`].
    pub fn heard(&mut self, room: Room, now: Moment) {
        let (paused, shortage) = match room {
            Room::ForAll => return self.end(now),
            Room::ForReserved(shortage) => (Paused::Ordinary, shortage),
            Room::ForNone(shortage) => (Paused::All, shortage),
        };
        self.because = format!("{}: {shortage}", shortage.limit());
        if self.begins(paused, now) {
            log::error!(
                "reading paused limit={:?} sources={} error=\"{shortage}\"",
                shortage.limit(),
                paused.name()
            );
        }
    }

    /// A group of rows could not be made durable.
    pub fn failed(&mut self, error: &str, now: Moment) {
        self.because = format!("rows cannot be made durable: {error}");
        if self.begins(Paused::All, now) {
            log::error!(
                "reading paused, rows cannot be made durable error={error:?}; delivery goes on as far as it can; look at the disk of the state directory"
            );
        }
    }

    /// What of the sources is not read now and why, when something is not.
    pub fn why(&self) -> Option<String> {
        let (paused, _) = self.now?;
        let because = &self.because;
        Some(match paused {
            Paused::Ordinary => format!("for all but reserved events, {because}"),
            Paused::All => format!("for all sources, {because}"),
        })
    }

    /// Everything is read again.
    pub fn end(&mut self, now: Moment) {
        if let Some((_, since)) = self.now.take() {
            let secs = now.since(since).as_secs();
            log::info!("reading resumed paused_secs={secs}");
        }
    }

    /// Whether that is worse than what is known.
    fn begins(&mut self, paused: Paused, now: Moment) -> bool {
        let before = self.now.map(|(paused, _)| paused);
        let since = self.now.map_or(now, |(_, since)| since);
        self.now = Some((paused, since));
        before < Some(paused)
    }
}

impl Paused {
    fn name(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::All => "all",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Shortage;

    #[test]
    fn it_begins_once_and_again_only_when_it_gets_worse() {
        let mut pause = Pause::default();
        let now = Moment::default();
        assert!(pause.begins(Paused::Ordinary, now));
        assert!(!pause.begins(Paused::Ordinary, now));
        assert!(pause.begins(Paused::All, now));
        assert!(!pause.begins(Paused::All, now));
        assert!(!pause.begins(Paused::Ordinary, now));
        pause.heard(Room::ForNone(Shortage::Ballast), now);
        pause.heard(Room::ForAll, now);
        assert_eq!(pause.why(), None);
    }

    #[test]
    fn it_says_which_limit_was_met_and_what_to_do() {
        let mut pause = Pause::default();
        let (free, free_min) = (100 << 20, 1 << 30);
        let shortage = Shortage::FreeMin { free, free_min };
        pause.heard(Room::ForNone(shortage), Moment::default());
        assert_eq!(
            pause.why().unwrap(),
            "for all sources, free_min: the partition has 100 MiB free and 1.0 GiB are to stay free for the switch; make room there, or lower free_min"
        );
        pause.failed("no space", Moment::default());
        assert!(
            pause
                .why()
                .unwrap()
                .ends_with("cannot be made durable: no space")
        );
    }
}
