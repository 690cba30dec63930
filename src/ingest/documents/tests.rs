use super::*;
use crate::clock::{Clock, SystemClock};
use crate::derive;
use crate::event::{CallSettings, Maker, own};
use crate::folder::{ENTRIES_PER_SLICE, Settings};
use crate::parser::encoding::Decoder;
use crate::parser::{self, Header, presets};
use crate::source::Start;
use glob::Pattern;
use tempfile::TempDir;

const SILENT_AFTER: Duration = Duration::from_secs(600);

/// A directory of documents, and what reads it.
struct Bench {
    dir: TempDir,
    clock: Arc<SystemClock>,
    documents: Documents,
}

impl Bench {
    /// A source that brought its last row an hour ago.
    fn new(after: After) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new());
        let format = presets::find("freeswitch-json").unwrap();
        let derive = |stored: &[(String, Vec<u8>)]| {
            let settings = derive::Settings {
                silent_after: Some(SILENT_AFTER),
                ..derive::Settings::default()
            };
            let maker = Maker::new("n".into(), "s".into(), CallSettings::default());
            Derive::new(settings, maker, &format, stored)
        };
        let (mut before, mut changes) = (derive(&[]), Vec::new());
        let an_hour_ago = Now {
            moment: Moment::default(),
            wall: UnixMs(clock.wall().0 - 3_600_000),
        };
        before.rows_came(an_hour_ago, &mut Vec::new());
        before.take_changes(&mut changes);
        let stored = changes.into_iter();
        let stored: Vec<_> = stored
            .filter_map(|change| Some((change.name, change.value?)))
            .collect();
        let settings = Settings {
            source: "s".into(),
            directory: dir.path().to_owned(),
            names: vec![Pattern::new("*.json").unwrap()],
            levels: Vec::new(),
            start: Start::Beginning,
            poll: Duration::ZERO,
            patience: Duration::from_secs(60),
            redo: false,
        };
        let folder = Folder::open(settings, Vec::new(), None, clock.clone());
        let parser = Parser::new(parser::Settings {
            format: format.clone(),
            decoder: Decoder::UTF_8,
            timezone: None,
            header: Header::Absent,
        });
        let documents = Documents::new("s".into(), folder, parser, derive(&stored), after);
        Bench {
            dir,
            clock,
            documents,
        }
    }

    fn write(&self, name: &str, uuid: &str) {
        let text = format!(
            "{{\"variables\":{{\"uuid\":\"{uuid}\",\"start_epoch\":\"1775800000\",\"end_epoch\":\"1775800060\",\"duration\":\"60\",\"billsec\":\"50\"}}}}\n"
        );
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// One pass, without its commit; gives the kinds of the events.
    fn take(&mut self) -> Vec<String> {
        self.take_at(self.clock.now())
    }

    fn take_at(&mut self, now: Moment) -> Vec<String> {
        let at = At {
            now,
            wall: self.clock.wall(),
            hinted: true,
            reserved_only: false,
        };
        let mut group = Group::default();
        self.documents.take(at, &mut group);
        let events = group.batches.iter().flat_map(|batch| &batch.events);
        events.map(|event| event.kind.to_string()).collect()
    }
}

#[test]
fn a_directory_that_takes_several_looks_is_not_silent_before_all_of_it_was_looked_at() {
    let mut bench = Bench::new(After::Keep);
    let count = ENTRIES_PER_SLICE + 100;
    for number in 0..count {
        bench.write(&format!("{number}.json"), &number.to_string());
    }
    let mut told = Vec::new();
    for _ in 0..1_000 {
        told.extend(bench.take());
        bench.documents.committed(bench.clock.now());
        if told.len() >= count {
            break;
        }
    }
    assert_eq!(told.len(), count);
    assert!(!told.iter().any(|kind| kind == own::SOURCE_SILENT_KIND));
}

#[test]
fn a_document_written_where_another_was_read_is_told_before_it_is_removed() {
    let mut bench = Bench::new(After::Delete);
    let path = bench.dir.path().join("call.json");
    let until_told = |bench: &mut Bench| {
        let told = (0..100_000)
            .map(|_| bench.take())
            .find(|told| !told.is_empty());
        told.unwrap()
    };
    bench.write("call.json", "one");
    until_told(&mut bench);
    // The switch puts the next one there before the first is durable.
    bench.write("next", "two");
    fs::rename(bench.dir.path().join("next"), &path).unwrap();
    bench.documents.committed(bench.clock.now());
    assert!(path.exists());
    assert_eq!(until_told(&mut bench), ["cdr"]);
    bench.documents.committed(bench.clock.now());
    assert!(!path.exists());
}

#[test]
fn documents_that_cannot_be_read_are_named_until_they_can_be() {
    let mut bench = Bench::new(After::Keep);
    // What nobody may read root may; what nobody can read it cannot either.
    let path = bench.dir.path().join("call.json");
    std::os::unix::fs::symlink("/proc/self/mem", &path).unwrap();
    let unreadable = |bench: &Bench| bench.documents.folder().unwrap().unreadable;
    let said = (0..100_000).find_map(|_| {
        assert!(!bench.take().iter().any(|kind| kind == "cdr"));
        unreadable(&bench)
    });
    let expected = format!("{}: Input/output error", path.display());
    assert!(said.unwrap().starts_with(&expected));
    fs::remove_file(&path).unwrap();
    bench.write("call.json", "one");
    let mut told = (0..100_000).flat_map(|_| bench.take());
    assert!(told.any(|kind| kind == "cdr"));
    drop(told);
    assert_eq!(unreadable(&bench), None);
}

#[test]
fn a_document_is_not_moved_over_another_of_its_name() {
    let archive = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(After::MoveTo(archive.path().to_owned()));
    for uuid in ["one", "two"] {
        bench.write("call.json", uuid);
        let mut told = (0..100_000).flat_map(|_| bench.take());
        assert!(told.any(|kind| kind == "cdr"));
        drop(told);
        bench.documents.committed(bench.clock.now());
    }
    let entries = fs::read_dir(archive.path()).unwrap();
    let moved = entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let moved: Vec<String> = moved.collect();
    assert_eq!(moved.len(), 2, "{moved:?}");
    assert!(["one", "two"].map(|uuid| moved.concat().contains(uuid)) == [true, true]);
}

#[test]
fn what_cannot_be_moved_is_remembered_told_and_moved_once_it_can_be() {
    let archive = tempfile::tempdir().unwrap();
    let target = archive.path().join("done");
    // Not even root can make a directory where a file is.
    fs::write(&target, "").unwrap();
    let mut bench = Bench::new(After::MoveTo(target.clone()));
    for number in 0..3 {
        bench.write(&format!("{number}.json"), &number.to_string());
    }
    let mut told = 0;
    while told < 3 {
        told += bench.take().len();
        bench.documents.committed(bench.clock.now());
    }
    let trouble = |bench: &Bench| bench.documents.folder().unwrap().folder.trouble;
    let said = trouble(&bench).unwrap();
    assert!(
        said.starts_with("after_read = \"move_to\" fails for 3 files, one of them"),
        "{said}"
    );
    let oldest = fs::metadata(bench.dir.path().join("0.json")).unwrap();
    let changed_ns = Found::new(PathBuf::new(), &oldest, Moment::default()).changed_ns;
    assert_eq!(bench.documents.needed_from_ns(), changed_ns);
    fs::remove_file(&target).unwrap();
    bench.take_at(bench.clock.now() + 2 * UNDONE_PAUSE);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 3);
    assert_eq!(trouble(&bench), None);
    assert_eq!(bench.documents.needed_from_ns(), i64::MAX);
}

#[test]
fn a_document_is_carried_to_another_file_system_whole_or_not_at_all() {
    let archive = tempfile::tempdir().unwrap();
    let after = After::MoveTo(archive.path().to_owned());
    let bench = Bench::new(after.clone());
    bench.write("call.json", "one");
    let path = bench.dir.path().join("call.json");
    let found = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        Found::new(path.to_owned(), &metadata, Moment::default())
    };
    let names = || -> Vec<_> {
        let entries = fs::read_dir(archive.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    let file = found(&path);
    bench.write("other.json", "two");
    let other = found(&bench.dir.path().join("other.json"));
    after
        .carry(&file, &archive.path().join("call.json"))
        .unwrap();
    assert!(!path.exists());
    assert_eq!(names(), ["call.json"]);
    let written = fs::read_to_string(archive.path().join("call.json")).unwrap();
    assert!(written.contains("one"));
    // The switch has written on meanwhile: it is told of first.
    bench.write("other.json", "three and more");
    after
        .carry(&other, &archive.path().join("other.json"))
        .unwrap();
    assert!(other.path.exists());
    assert_eq!(names(), ["call.json"]);
}
