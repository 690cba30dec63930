//! Random histories of files and of the agent that follows them, against a model.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// What can happen. Numbers choose among the files there are.
///
/// Every write is given a time of modification of its own: within one tick of the file system's
/// clock, a file truncated and written again in the same size cannot be told from what it was.
#[derive(Debug, Clone)]
enum Action {
    WriteLine(usize),
    WriteHalfLine(usize),
    /// Written again with so many lines, and looked at: what was handed out before is over.
    Truncate {
        choice: usize,
        lines: usize,
    },
    Rename(usize),
    NewFile,
    Look,
    Glance,
    Read {
        max_bytes: usize,
    },
    ConsumeInPart {
        max_bytes: usize,
        lines: usize,
    },
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => any::<usize>().prop_map(Action::WriteLine),
        3 => any::<usize>().prop_map(Action::WriteHalfLine),
        1 => (any::<usize>(), 0_usize..4).prop_map(|(choice, lines)| Action::Truncate { choice, lines }),
        1 => any::<usize>().prop_map(Action::Rename),
        1 => Just(Action::NewFile),
        4 => Just(Action::Look),
        1 => Just(Action::Glance),
        4 => (1_usize..60).prop_map(|max_bytes| Action::Read { max_bytes }),
        3 => (1_usize..60, 0_usize..3).prop_map(|(max_bytes, lines)| Action::ConsumeInPart { max_bytes, lines }),
        1 => Just(Action::Restart),
    ]
}

/// One file as it should be.
struct Model {
    /// Kept open, so that no inode is used twice.
    file: File,
    path: PathBuf,
    written: String,
    consumed: String,
}

struct History {
    scene: Scene,
    models: Vec<Model>,
    names: usize,
    writes: u64,
}

impl History {
    fn new() -> History {
        let scene = Scene::with(|settings| {
            settings.open_files_max = 2;
            settings.line_max = 1_024;
        });
        History {
            scene,
            models: Vec::new(),
            names: 0,
            writes: 0,
        }
    }

    fn new_path(&mut self) -> PathBuf {
        self.names += 1;
        self.scene.path(&format!("{}.txt", self.names))
    }

    fn new_file(&mut self) {
        let path = self.new_path();
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .unwrap();
        self.models.push(Model {
            file,
            path,
            written: String::new(),
            consumed: String::new(),
        });
    }

    fn write(&mut self, choice: usize, end: &str) {
        if self.models.is_empty() {
            self.new_file();
        }
        let at = choice % self.models.len();
        let model = &mut self.models[at];
        self.writes += 1;
        let text = format!("{}|{}{end}", self.writes, "x".repeat(choice % 20));
        model.file.write_all(text.as_bytes()).unwrap();
        model.written.push_str(&text);
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + self.writes);
        model.file.set_modified(modified).unwrap();
    }

    fn truncate(&mut self, choice: usize, lines: usize) {
        let Some(at) = choice.checked_rem(self.models.len()) else {
            return;
        };
        let model = &mut self.models[at];
        model.file.set_len(0).unwrap();
        model.written.clear();
        model.consumed.clear();
        for _ in 0..lines {
            self.write(at, "\n");
        }
        self.scene.look();
        self.scene.look();
    }

    fn rename(&mut self, choice: usize) {
        let path = self.new_path();
        let Some(at) = choice.checked_rem(self.models.len()) else {
            return;
        };
        fs::rename(&self.models[at].path, &path).unwrap();
        self.models[at].path = path;
    }

    /// Reads once and consumes up to `lines` lines; returns whether there was anything.
    fn read(&mut self, max_bytes: usize, lines: usize) -> bool {
        let Some(Piece::Lines(chunk)) = self.scene.source.read(max_bytes).unwrap() else {
            return false;
        };
        let is_it =
            |model: &&mut Model| listing::key_of(&model.file.metadata().unwrap()) == chunk.file;
        let model = self.models.iter_mut().find(is_it).unwrap();
        assert_eq!(chunk.offset, model.consumed.len() as u64);
        assert_eq!(chunk.line, model.consumed.lines().count() as u64 + 1);
        assert!(chunk.bytes.ends_with(b"\n"));
        let first_row = model.written.lines().next().unwrap();
        let expected = identity::row_hash(first_row.as_bytes(), true, &is_header());
        assert_eq!(Some(chunk.first_row), expected);
        let text = String::from_utf8(chunk.bytes).unwrap();
        let consumed: String = text.split_inclusive('\n').take(lines).collect();
        model.consumed.push_str(&consumed);
        assert!(
            model.written.starts_with(&model.consumed),
            "{:?} of {:?}",
            model.consumed,
            model.written
        );
        let count = u32::try_from(consumed.lines().count()).unwrap();
        let position = self
            .scene
            .source
            .consumed(chunk.file, consumed.len(), count);
        self.scene.positions.insert(position.key, position);
        true
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::WriteLine(choice) => self.write(choice, "\n"),
            Action::WriteHalfLine(choice) => self.write(choice, ";"),
            Action::Truncate { choice, lines } => self.truncate(choice, lines),
            Action::Rename(choice) => self.rename(choice),
            Action::NewFile => self.new_file(),
            Action::Look => drop(self.scene.look()),
            Action::Glance => drop(self.scene.source.glance(self.scene.now)),
            Action::Read { max_bytes } => drop(self.read(max_bytes, usize::MAX)),
            Action::ConsumeInPart { max_bytes, lines } => drop(self.read(max_bytes, lines)),
            Action::Restart => self.scene.restart(),
        }
    }

    /// A row may wait for its file to grow: one more line in each, and everything comes out.
    fn finish(&mut self) {
        for at in 0..self.models.len() {
            self.write(at, "\n");
        }
        self.scene.look();
        self.scene.look();
        while self.read(100, usize::MAX) {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_complete_line_is_consumed_exactly_once_and_in_order(actions in vec(action(), 1..60)) {
        let mut history = History::new();
        for action in &actions {
            history.act(action);
        }
        history.finish();
        for model in &history.models {
            prop_assert_eq!(&model.consumed, &model.written);
        }
        let is_truncation = |action: &Action| matches!(action, Action::Truncate { .. });
        if !actions.iter().any(is_truncation) {
            let changes = history.scene.changes();
            let is_expected = |change: &String| change.starts_with("appeared");
            prop_assert!(changes.iter().all(is_expected), "{:?}", changes);
        }
    }
}
