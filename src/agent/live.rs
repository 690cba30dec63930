//! The sources that are not lines of files, from their configuration.

use crate::clock::Clock;
use crate::config::SourceConfig;
use crate::config::live::{self, Kind};
use crate::derive::Derive;
use crate::event::Maker;
use crate::event::recording::RecordingMaker;
use crate::event::vos3000_push::PushMaker;
use crate::folder::{self, Folder};
use crate::ingest::{Documents, Intake, Pushed, Reading, Recordings, watermark_name, watermark_of};
use crate::listen::{Gate, Listener};
use crate::parser::Parser;
use crate::queue::{Queue, QueueError};
use crate::shutdown::Bell;
use std::sync::Arc;

/// What turns them into events, and what listens for them.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) intakes: Vec<Box<dyn Intake>>,
    pub(super) listeners: Vec<Listener>,
}

impl Live {
    /// Adds the source that `config` describes, going on where it left off.
    pub(super) fn add(
        &mut self,
        config: SourceConfig,
        node: &Arc<str>,
        queue: &Queue,
        bell: &Bell,
        clock: &Arc<dyn Clock>,
        reserve_for: &[Arc<str>],
    ) -> Result<(), QueueError> {
        let is_push = live::is_push(&config.parser.format);
        let name = config.files.name;
        let calls = config.calls;
        let maker = Maker::new(Arc::clone(node), Arc::clone(&name), calls.clone());
        let stored = queue.states(&Derive::prefix(&name))?;
        let derive = Derive::new(config.derive, maker, &config.parser.format, &stored);
        let open = |folder: &live::Folder| {
            let settings = folder.settings(&name, config.files.start, config.poll);
            let stored = queue.state_get(&watermark_name(&name))?;
            let watermark = watermark_of(stored.as_deref());
            let positions = queue.positions(&name)?;
            Ok(Folder::open(
                settings,
                positions,
                watermark,
                Arc::clone(clock),
            ))
        };
        match &config.kind {
            Kind::Files => {}
            Kind::Directory { folder, after } => {
                let folder = open(folder)?;
                let parser = Parser::new(config.parser);
                let documents = Documents::new(name, folder, parser, derive, after.clone());
                self.intakes.push(Box::new(documents));
            }
            Kind::Recordings { folder, parts } => {
                let maker = RecordingMaker {
                    node: Arc::clone(node),
                    source: Arc::clone(&name),
                    parts: parts.clone(),
                };
                let recordings = Recordings::new(Arc::clone(&name), open(folder)?, maker, derive);
                self.intakes.push(Box::new(recordings));
            }
            Kind::Listen(settings) => {
                let gate = Gate::new(bell.clone());
                let reading = if is_push {
                    let maker = PushMaker {
                        node: Arc::clone(node),
                        source: Arc::clone(&name),
                        settings: calls,
                    };
                    Reading::Pages(maker, config.parser.decoder)
                } else {
                    Reading::Rows(Box::new(Parser::new(config.parser)))
                };
                let pushed = Pushed::new(Arc::clone(&name), gate.clone(), reading, derive, queue)?
                    .with_reserved(|kind| reserve_for.iter().any(|known| **known == *kind));
                self.intakes.push(Box::new(pushed));
                self.listeners.push(Listener {
                    source: name,
                    settings: settings.clone(),
                    gate,
                });
            }
        }
        Ok(())
    }
}

/// Globs of what is watched for a source. Recordings are not: they are written to all the time, and
/// finished only when that has stopped.
pub(super) fn globs(source: &SourceConfig) -> Vec<String> {
    match &source.kind {
        Kind::Directory { folder, .. } => {
            let settings = folder.settings(&source.files.name, source.files.start, source.poll);
            folder::globs(&settings)
        }
        _ => source.files.files.clone(),
    }
}
