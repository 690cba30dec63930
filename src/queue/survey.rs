//! Survey: looks at a store that no agent uses, without changing a byte of it.
//!
//! The database writes to its files whenever it opens them. So each generation is copied into a
//! directory of its own, looked at there, and the copy removed: one at a time, some megabytes.

use super::checkpoint::Rows;
use super::dead_letter::DeadLetter;
use super::error::QueueError;
use super::generation::{Generation, disk};
use super::lock::{self, Lock};
use super::meta::{Meta, MetaError, Standing};
use super::row::{self, directory_bytes};
use super::salvage::Salvage;
use super::state::State;
use super::{DeadPlace, Ledger, Queued, block, generation, key, quarantine};
use crate::event::Sequence;
use std::fs::{self, DirBuilder};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A store that is looked at. Nobody else opens it meanwhile.
#[derive(Debug)]
pub struct Survey {
    directory: PathBuf,
    parent: PathBuf,
    dead: PathBuf,
    numbers: Vec<u32>,
    dead_numbers: Vec<u32>,
    _lock: Lock,
}

/// What was found of one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// Its number: the name of its directory.
    pub number: u32,
    /// Bytes it takes on disk.
    pub bytes: u64,
    /// The sequences it should hold, when it says.
    pub holds: Option<Range<Sequence>>,
    /// Events that can be read, or dead letters.
    pub events: u64,
    /// What is not as it was written, in words; empty when it is whole.
    pub problems: Vec<String>,
}

/// What is known of the queue as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// The account; `None` when the head cannot be read.
    pub ledger: Option<Ledger>,
    /// The name of the node that wrote it.
    pub node: Option<String>,
    /// The agent that wrote it last closed it in order.
    pub closed: bool,
    /// What the side checkpoint says the next sequence is; `None` when there is none to be read.
    pub checkpoint: Option<Sequence>,
    /// Directories set aside, with their bytes.
    pub set_aside: Vec<(PathBuf, u64)>,
}

impl Survey {
    /// Begins to look at the store under `directory`.
    ///
    /// # Errors
    ///
    /// [`QueueError::InUse`] while an agent runs; [`QueueError::NewerVersion`];
    /// [`QueueError::Disk`] when there is no store, or it cannot be read.
    pub fn begin(directory: &Path) -> Result<Survey, QueueError> {
        let lock = Lock::hold(directory)?;
        lock::refuse_newer(directory)?;
        let (parent, dead) = (directory.join("queue"), directory.join("dead"));
        Ok(Survey {
            numbers: row::numbers(&parent)?,
            dead_numbers: row::numbers(&dead)?,
            directory: directory.to_owned(),
            parent,
            dead,
            _lock: lock,
        })
    }

    /// The generations of the queue, oldest first; the last one is the head.
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// The generations of dead letters.
    pub fn dead_numbers(&self) -> &[u32] {
        &self.dead_numbers
    }

    /// Looks at generation `number` of the queue.
    ///
    /// # Errors
    ///
    /// [`QueueError::Disk`] when it cannot be copied; damage is no error.
    pub fn generation(&self, number: u32) -> Result<Surveyed, QueueError> {
        let directory = generation::directory(&self.parent, number);
        let mut surveyed = Surveyed::new(number, &directory);
        let copied = match Copied::open(&directory, number) {
            Err(QueueError::Damaged { what, .. }) => {
                surveyed.problems.push(what);
                return Ok(surveyed);
            }
            copied => copied?,
        };
        let mut salvage = Salvage::default();
        salvage.collect(&copied.generation, Sequence(0)..Sequence(u64::MAX));
        surveyed.events = salvage.events();
        let Some(meta) = surveyed.meta(&copied.generation)? else {
            return Ok(surveyed);
        };
        surveyed.holds = Some(meta.first..meta.next);
        let is_head = self.numbers.last() == Some(&number);
        if is_head {
            match State::load(&self.parent, &copied.generation, &meta, &meta.node) {
                Ok((state, mut irregularities)) => {
                    let checkpoint = Rows::read(&self.directory).and_then(|rows| rows.meta());
                    irregularities.extend(state.outdated_by(checkpoint));
                    let words = irregularities.iter().map(ToString::to_string);
                    surveyed.problems.extend(words);
                }
                Err(QueueError::Damaged { what, .. }) => surveyed.problems.push(what),
                Err(error) => return Err(error),
            }
        } else {
            if meta.standing != Standing::Sealed {
                surveyed.problems.push("it was never sealed".into());
            }
            for hole in salvage.holes(meta.first..meta.next) {
                let last = Sequence(hole.end.0 - 1);
                surveyed
                    .problems
                    .push(format!("events missing first={} last={last}", hole.start));
            }
        }
        Ok(surveyed)
    }

    /// Looks at generation `number` of the dead letters.
    ///
    /// # Errors
    ///
    /// [`QueueError::Disk`] when it cannot be copied; damage is no error.
    pub fn dead_generation(&self, number: u32) -> Result<Surveyed, QueueError> {
        let directory = generation::directory(&self.dead, number);
        let mut surveyed = Surveyed::new(number, &directory);
        let mut letters = 0;
        let read = self.dead_letters(number, |_, letter| letters += u64::from(letter.is_some()))?;
        surveyed.events = letters;
        surveyed.problems.extend(read);
        Ok(surveyed)
    }

    /// What is known of the queue as a whole.
    ///
    /// # Errors
    ///
    /// [`QueueError::Disk`] when the head cannot be copied; damage is no error.
    pub fn whole(&self) -> Result<Whole, QueueError> {
        let checkpoint = Rows::read(&self.directory).and_then(|rows| rows.meta());
        let sized = |(_, path): (u64, PathBuf)| {
            let bytes = directory_bytes(&path);
            (path, bytes)
        };
        let both = [&self.parent, &self.dead].map(|parent| quarantine::list(parent));
        let mut whole = Whole {
            ledger: None,
            node: checkpoint.as_ref().map(|meta| meta.node.clone()),
            closed: false,
            checkpoint: checkpoint.map(|meta| meta.next),
            set_aside: both.into_iter().flatten().map(sized).collect(),
        };
        let Some(&number) = self.numbers.last() else {
            return Ok(whole);
        };
        let directory = generation::directory(&self.parent, number);
        let loaded = Copied::open(&directory, number).and_then(|copied| {
            let meta = meta_of(&copied.generation)?;
            let state = State::load(&self.parent, &copied.generation, &meta, &meta.node)?.0;
            Ok((meta, state.ledger()))
        });
        match loaded {
            Ok((meta, ledger)) => {
                whole.closed = meta.standing == Standing::Closed;
                whole.node = Some(meta.node);
                whole.ledger = Some(ledger);
            }
            Err(QueueError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(whole)
    }

    /// Gives every event of generation `number` that can be read to `visit`, in order.
    ///
    /// # Errors
    ///
    /// [`QueueError::Disk`] when it cannot be copied, [`QueueError::Damaged`] when it cannot be
    /// opened at all.
    pub fn events(&self, number: u32, visit: impl FnMut(Queued)) -> Result<(), QueueError> {
        let directory = generation::directory(&self.parent, number);
        let copied = Copied::open(&directory, number)?;
        let mut salvage = Salvage::default();
        salvage.collect(&copied.generation, Sequence(0)..Sequence(u64::MAX));
        let blocks = salvage.blocks.iter();
        blocks
            .flat_map(|(&first, (_, value))| block::unpack(first, value).unwrap_or_default())
            .for_each(visit);
        Ok(())
    }

    /// Gives every dead letter of generation `number` to `visit`, with its endpoint; `None` for
    /// one that cannot be read. Returns what stood in the way.
    ///
    /// # Errors
    ///
    /// [`QueueError::Disk`] when it cannot be copied.
    pub fn dead_letters(
        &self,
        number: u32,
        mut visit: impl FnMut(&str, Option<(DeadPlace, DeadLetter)>),
    ) -> Result<Vec<String>, QueueError> {
        let directory = generation::directory(&self.dead, number);
        let mut problems = Vec::new();
        let copied = match Copied::open(&directory, number) {
            Err(QueueError::Damaged { what, .. }) => return Ok(vec![what]),
            copied => copied?,
        };
        let scanned = copied.generation.scan(key::DEAD, key::DEAD, |found| {
            let Some((endpoint, sequence)) = key::read_dead(&found.key) else {
                return ControlFlow::Continue(());
            };
            let place = DeadPlace {
                generation: number,
                sequence,
            };
            let letter = DeadLetter::decode(sequence, &found.value);
            if letter.is_none() {
                problems.push(format!(
                    "dead letter unreadable endpoint={endpoint} sequence={sequence}"
                ));
            }
            visit(endpoint, letter.map(|letter| (place, letter)));
            ControlFlow::Continue(())
        });
        match scanned {
            Err(QueueError::Damaged { what, .. }) => problems.push(what),
            scanned => scanned?,
        }
        Ok(problems)
    }
}

impl Surveyed {
    fn new(number: u32, directory: &Path) -> Surveyed {
        Surveyed {
            number,
            bytes: directory_bytes(directory),
            holds: None,
            events: 0,
            problems: Vec::new(),
        }
    }

    /// What the generation says about itself; notes a problem where that cannot be read.
    fn meta(&mut self, generation: &Generation) -> Result<Option<Meta>, QueueError> {
        match meta_of(generation) {
            Ok(meta) => Ok(Some(meta)),
            Err(QueueError::Damaged { what, .. }) => {
                self.problems.push(what);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// What a generation says about itself.
fn meta_of(generation: &Generation) -> Result<Meta, QueueError> {
    let value = generation.get(key::META)?.unwrap_or_default();
    Meta::decode(&value).map_err(|error| match error {
        MetaError::Newer(found) => QueueError::NewerVersion { found },
        MetaError::Damaged => QueueError::Damaged {
            generation: generation.number(),
            sequence: None,
            what: "what it says about itself cannot be read".into(),
        },
    })
}

/// An opened copy of a generation, removed when it is dropped.
#[derive(Debug)]
struct Copied {
    generation: Arc<Generation>,
    _directory: Temporary,
}

impl Copied {
    fn open(directory: &Path, number: u32) -> Result<Copied, QueueError> {
        let temporary = Temporary::new(number)?;
        let copy = temporary.0.join("copy");
        copy_directory(directory, &copy)?;
        let generation = super::salvage::open(&copy, number)?;
        Ok(Copied {
            generation: Arc::new(generation),
            _directory: temporary,
        })
    }
}

/// A directory that only we can read, removed when it is dropped.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Temporary {
    fn new(number: u32) -> Result<Temporary, QueueError> {
        let name = format!("switchhook-{}-{number:08}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Left by a process of the same number that was killed; never another user's, or making
        // it anew fails.
        let _removed = fs::remove_dir_all(&path);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(disk("create", &path))?;
        Ok(Temporary(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

fn copy_directory(from: &Path, to: &Path) -> Result<(), QueueError> {
    fs::create_dir(to).map_err(disk("create", to))?;
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(disk("list", from))?,
    };
    for entry in entries {
        let entry = entry.map_err(disk("list", from))?;
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            copy_directory(&path, &to.join(name))?;
        } else {
            fs::copy(&path, to.join(name)).map_err(disk("copy", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, events, files_of, open};
    use super::*;

    #[test]
    fn a_survey_changes_nothing_and_finds_what_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let queue = open(&directory);
        queue
            .attach("billing", super::super::AttachFrom::Now)
            .unwrap();
        queue.commit(&[batch(events(20, 60))]).unwrap();
        queue.roll_now().unwrap();
        queue.commit(&[batch(events(3, 60))]).unwrap();
        assert!(matches!(
            Survey::begin(directory.path()),
            Err(QueueError::InUse { pid: Some(_), .. })
        ));
        queue.close().unwrap();
        queue.checkpoint().unwrap();
        drop(queue);
        let before = files_of(directory.path());
        let survey = Survey::begin(directory.path()).unwrap();
        let found: Vec<Surveyed> = [1, 2]
            .map(|number| survey.generation(number).unwrap())
            .into();
        let held: Vec<(u64, u64, u64)> = found
            .iter()
            .map(|found| {
                let holds = found.holds.clone().unwrap();
                (holds.start.0, holds.end.0, found.events)
            })
            .collect();
        assert_eq!(held, [(1, 21, 20), (21, 24, 3)]);
        assert!(
            found.iter().all(|found| found.problems.is_empty()),
            "{found:?}"
        );
        let whole = survey.whole().unwrap();
        assert!(whole.closed && whole.ledger.unwrap().balances());
        assert_eq!(whole.checkpoint, Some(Sequence(24)));
        let mut sequences = Vec::new();
        survey
            .events(2, |queued| sequences.push(queued.sequence.0))
            .unwrap();
        assert_eq!(sequences, [21, 22, 23]);
        assert_eq!(files_of(directory.path()), before);
    }

    #[test]
    fn a_survey_of_damage_says_what_is_wrong_and_still_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let queue = open(&directory);
        queue.commit(&[batch(events(300, 600))]).unwrap();
        queue.checkpoint().unwrap();
        drop(queue);
        let file = directory.path().join("queue/00000001/db");
        let mut bytes = fs::read(&file).unwrap();
        bytes[30_000..60_000].fill(0xa5);
        fs::write(&file, bytes).unwrap();
        let before = files_of(directory.path());
        let survey = Survey::begin(directory.path()).unwrap();
        let found = survey.generation(1).unwrap();
        assert!(!found.problems.is_empty());
        assert_eq!(files_of(directory.path()), before);
    }

    #[test]
    fn where_there_is_no_store_that_is_said() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(
            Survey::begin(directory.path()),
            Err(QueueError::Disk { .. })
        ));
        assert!(files_of(directory.path()).is_empty());
    }
}
