//! Promises of a source, kept with real files: one file of tests for each kind of promise.

mod copies;
mod cut;
mod history;
mod long_lines;
mod looks;
mod packed;
mod partial;
mod places;
mod rotation;
mod starting;

use super::*;
use crate::clock::{Clock, Moment, SystemClock};
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A directory of CDR files and the source that follows them, with a queue that commits every
/// position at once.
struct Scene {
    dir: TempDir,
    settings: Settings,
    source: Source,
    now: UnixMs,
    /// The lines handed out and consumed, as `file name: line`.
    lines: Vec<String>,
    /// The changes told, in short.
    changes: Vec<String>,
    /// What the queue knows.
    positions: HashMap<FileKey, FilePosition>,
}

impl Scene {
    /// An empty directory, all of whose `*.txt*` files are read from their beginning.
    fn new() -> Scene {
        Scene::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            start: Start::Beginning,
            open_files_max: 16,
            ..Settings::of("cdr", vec![format!("{}/*.txt*", dir.path().display())])
        };
        change(&mut settings);
        Scene {
            source: Source::open(settings.clone(), is_header(), Vec::new(), false),
            settings,
            dir,
            now: SystemClock::new().wall(),
            lines: Vec::new(),
            changes: Vec::new(),
            positions: HashMap::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Adds `text` to the end of a file, which is made if it is not there.
    fn append(&self, name: &str, text: impl AsRef<[u8]>) -> File {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(text.as_ref()).unwrap();
        file
    }

    /// Truncates a file and writes `text` into it.
    fn rewrite(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Does what gzip does: packs a file beside itself, with its times, and removes it.
    fn gzip(&self, name: &str) {
        self.pack(name);
        self.remove(name);
    }

    /// The same without removing it.
    fn pack(&self, name: &str) {
        let text = fs::read(self.path(name)).unwrap();
        let modified = fs::metadata(self.path(name)).unwrap().modified().unwrap();
        let packed = self.append(&format!("{name}.gz"), gzipped(&text));
        packed.set_modified(modified).unwrap();
    }

    /// Does what `copytruncate` does, with `between` written between the copy and the cut.
    fn copytruncate(&self, name: &str, copy: &str, between: &str) {
        fs::copy(self.path(name), self.path(copy)).unwrap();
        self.append(name, between).set_len(0).unwrap();
    }

    /// Sets the mode of a file, or of the directory when `name` is empty.
    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// As [`Scene::follow`], with the file access of nobody: root may read everything.
    fn follow_as_nobody(&mut self) -> Vec<String> {
        let nobody = nix::unistd::Uid::from_raw(65_534);
        let before = nix::unistd::setfsuid(nobody);
        let lines = self.follow();
        nix::unistd::setfsuid(before);
        lines
    }

    /// Sets a file's last modification to `secs` seconds before the scene's time.
    fn age(&self, name: &str, secs: u64) {
        let millis = u64::try_from(self.now.0).unwrap();
        let then =
            SystemTime::UNIX_EPOCH + Duration::from_millis(millis) - Duration::from_secs(secs);
        let file = OpenOptions::new()
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.set_times(FileTimes::new().set_modified(then)).unwrap();
    }

    fn wait(&mut self, secs: u64) {
        self.now = self.now.after(Duration::from_secs(secs));
    }

    /// Looks and commits what is to be committed.
    fn look(&mut self) -> Looked {
        let looked = self.source.look(self.now).unwrap();
        self.changes.extend(looked.changes.iter().map(short));
        for position in &looked.positions {
            self.positions.insert(position.key, position.clone());
        }
        for key in &looked.forgotten {
            self.positions.remove(key);
        }
        looked
    }

    fn read(&mut self) -> Option<Piece> {
        self.source.read(4_096).unwrap()
    }

    fn read_lines(&mut self) -> Chunk {
        match self.read() {
            Some(Piece::Lines(chunk)) => chunk,
            other => panic!("{other:?} instead of lines"),
        }
    }

    /// Consumes all of `chunk` and commits the position.
    fn consume(&mut self, chunk: &Chunk) {
        let lines = chunk.bytes.split_inclusive(|&byte| byte == b'\n');
        let count = u32::try_from(lines.clone().count()).unwrap();
        let name = chunk.path.file_name().unwrap().display();
        self.lines
            .extend(lines.map(|line| format!("{name}: {}", line.trim_ascii_end().escape_ascii())));
        let position = self.source.consumed(chunk.file, chunk.bytes.len(), count);
        self.positions.insert(position.key, position);
    }

    /// Reads and consumes everything there is; returns the lines, each with its file's name.
    fn drain(&mut self) -> Vec<String> {
        while let Some(piece) = self.read() {
            match piece {
                Piece::Lines(chunk) => self.consume(&chunk),
                Piece::Oversized(line) => {
                    let name = line.path.file_name().unwrap().display();
                    self.lines.push(format!(
                        "{name}: {} bytes at {}, line {}",
                        line.bytes, line.offset, line.line
                    ));
                    self.positions.insert(line.file, line.position);
                }
            }
        }
        std::mem::take(&mut self.lines)
    }

    /// Looks, once more where that is worth it, reads and consumes everything there is.
    fn follow(&mut self) -> Vec<String> {
        self.look_well();
        self.drain()
    }

    /// Looks until nothing is in doubt that soon will not be.
    fn look_well(&mut self) {
        self.look();
        for _ in 0..5 {
            if self.source.is_in_doubt() {
                self.look();
            }
        }
    }

    /// The agent starts again with what was committed.
    fn restart(&mut self) {
        let remembered = self.positions.values().cloned().collect();
        self.source = Source::open(self.settings.clone(), is_header(), remembered, true);
    }

    /// The changes told since the last call.
    fn changes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.changes)
    }
}

fn gzipped(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

fn is_header() -> HeaderTest {
    Arc::new(|line, _| line.starts_with(b"caller"))
}

fn short(change: &Change) -> String {
    let name = |path: &Path| path.file_name().unwrap().display().to_string();
    match change {
        Change::Appeared { path } => format!("appeared {}", name(path)),
        Change::Rewritten {
            path,
            how,
            unread_bytes,
        } => format!("rewritten {} {how:?} {unread_bytes}", name(path)),
        Change::Gap(gap) => {
            let bytes = gap.bytes.map_or("?".to_owned(), |bytes| bytes.to_string());
            let cause = gap.cause.word();
            format!("gap {} {cause} {bytes}", name(&gap.path))
        }
        Change::Continued { path, from, offset } => {
            format!("continued {} {} {offset}", name(path), name(from))
        }
        Change::Vanished { path, unread_bytes } => match unread_bytes {
            Some(bytes) => format!("vanished {} {bytes}", name(path)),
            None => format!("vanished {} ?", name(path)),
        },
        Change::Unreadable { path, count, .. } => format!("unreadable {count}: {}", name(path)),
        Change::Readable { path, count } => format!("readable {count}: {}", name(path)),
        Change::Skipped { reason, count, .. } => format!("skipped {count} {reason:?}"),
        Change::TooMany { left_out } => format!("too many {left_out}"),
    }
}
