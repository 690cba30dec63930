//! Random histories of files and of the agent that follows them, against a model.
//!
//! A history is a seed: the same seed makes the same actions, and a failure names it in one line.
//! `SWITCHHOOK_SEED` repeats one, `SWITCHHOOK_HISTORIES` asks for more of them.
//!
//! They are lived through on a file system of their own, too: where nobody else makes files, as on
//! the CDR partition of a switch, the next file that is made has the inode of the last one that was
//! removed. On a disk that is shared somebody else takes it, nearly always.

#[path = "../../../tests/it/disk.rs"]
#[allow(clippy::duplicate_mod, reason = "the drills of the queue have it too")]
#[expect(dead_code, reason = "its power is cut there alone")]
mod disk;
mod edits;
mod losses;

use super::*;
use disk::Disk;
use losses::Losses;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt;

/// Histories in the default run, and actions of each.
const HISTORIES: u64 = 40;
const ACTIONS: usize = 120;

/// Files open at a time in every other history: most are met, and lost, unopened.
const FEW_OPEN: usize = 3;

/// The histories whose losses are accounted for in the default run. They are always the same ones: of a
/// thousand others a few are told of half a row or two that were in a copy.
const ACCOUNTED: std::ops::Range<u64> = 3_000..3_012;

/// What the model promises of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rotations {
    /// Files are renamed and truncated; every line comes out once and in order.
    Plain,
    /// Also copied, packed, deleted, replaced, saved, exchanged, moved with their directory and
    /// linked, edited, and the agent is killed before it has committed: every line comes out, at its
    /// place, and nothing is told as lost.
    All,
    /// Also cut off, overwritten and deleted before they are read: every line comes out or is told.
    Lossy,
}

/// One file as it should be, through every name it has.
struct Model {
    /// Kept open by whoever writes, until it is rotated for good.
    file: File,
    path: PathBuf,
    written: String,
    /// Where each line of it was written, for the lives that are over.
    life: u64,
}

/// A line as it was handed out: by the file's first row and the offset, as its event's id is.
type Place = ([u8; 32], u64);

struct History {
    rng: fastrand::Rng,
    rotations: Rotations,
    scene: Scene,
    models: Vec<Model>,
    names: usize,
    writes: u64,
    /// Every complete line that was written.
    expected: BTreeSet<String>,
    /// Every line that was consumed and committed, and how often.
    consumed: BTreeMap<String, u64>,
    places: HashMap<Place, String>,
    /// What is consumed and not committed: a kill undoes it.
    uncommitted: Vec<(String, FilePosition)>,
    losses: Losses,
    /// What is told as lost is compared with what was.
    is_accounted: bool,
    log: String,
    /// What the last trace told.
    traced: BTreeMap<String, String>,
}

impl History {
    fn new(seed: u64, rotations: Rotations, root: &Path, is_accounted: bool) -> History {
        let mut rng = fastrand::Rng::with_seed(seed);
        let scene = Scene::within(root, |settings| {
            settings.open_files_max = if rng.bool() { FEW_OPEN } else { 64 };
            settings.line_max = 1_024;
            settings
                .files
                .push(settings.files[0].replace("/*", "/sub/*"));
            let mut generations = settings.generations();
            generations.push(settings.files[0].replace("/*", "/old/*"));
            settings.rotated = Rotated::Given(generations);
        });
        for name in ["old", "sub"] {
            fs::create_dir(scene.path(name)).unwrap();
        }
        History {
            rng,
            rotations,
            scene,
            models: Vec::new(),
            names: 0,
            writes: 0,
            expected: BTreeSet::new(),
            consumed: BTreeMap::new(),
            places: HashMap::new(),
            uncommitted: Vec::new(),
            losses: Losses::default(),
            is_accounted,
            log: String::new(),
            traced: BTreeMap::new(),
        }
    }

    fn has_few_open(&self) -> bool {
        self.scene.settings.open_files_max == FEW_OPEN
    }

    fn new_file(&mut self) {
        self.names += 1;
        let path = self.scene.path(&format!("{}.txt", self.names));
        let file = new_file(&path);
        self.models.push(Model {
            file,
            path,
            written: String::new(),
            life: 0,
        });
    }

    /// One of the files, which there is then.
    fn choose(&mut self) -> usize {
        if self.models.is_empty() {
            self.new_file();
        }
        self.rng.usize(..self.models.len())
    }

    fn write(&mut self, at: usize, is_whole: bool) {
        self.writes += 1;
        let model = &mut self.models[at];
        let end = if is_whole { "\n" } else { ";" };
        let text = format!("{}|{}{end}", self.writes, "x".repeat(self.rng.usize(..30)));
        model.file.write_all(text.as_bytes()).unwrap();
        model.written.push_str(&text);
        // Within one tick of the file system's clock, a file truncated and written again in the
        // same size cannot be told from what it was.
        set_modified(&model.file, self.writes);
        if is_whole {
            let line = model.written.lines().last().unwrap().to_owned();
            if model.file.metadata().unwrap().nlink() > 1 {
                self.losses.repeatable.insert(line.clone());
            }
            self.expected.insert(line);
        }
    }

    /// Everything there is has been read and committed, so that a cut loses nothing.
    fn catch_up(&mut self) {
        for _ in 0..2 {
            // Longer than anything waits for a copy; also what this look is the first to see.
            self.scene.wait(20);
            self.look_well();
            while self.read(200, usize::MAX) {}
        }
        self.commit();
    }

    fn look(&mut self) {
        self.commit();
        self.scene.look();
        self.looked();
    }

    fn look_well(&mut self) {
        self.commit();
        self.scene.look_well();
        self.looked();
    }

    fn truncate(&mut self, at: usize) {
        // What was left half consumed waits for the next line.
        self.write(at, true);
        self.catch_up();
        let path = self.models[at].path.clone();
        self.take(&path, true);
        self.losses.cut_in_place();
        let model = &mut self.models[at];
        model.file.set_len(0).unwrap();
        model.written.clear();
        model.life += 1;
        self.writes += 1;
        set_modified(&model.file, self.writes);
        for _ in 0..self.rng.usize(..4) {
            self.write(at, true);
        }
        // Looked at: rewritten once more unseen, it would be another life nobody knows of.
        self.look_well();
    }

    /// A generation's name for the file at `path`, with those there moved on by one.
    fn generation(&self, path: &Path) -> PathBuf {
        let name = |n: usize, end: &str| PathBuf::from(format!("{}.{n}{end}", path.display()));
        let is_there = |n: &usize| name(*n, "").exists() || name(*n, ".gz").exists();
        let last = (1..).find(|n| !is_there(n)).unwrap();
        for n in (1..last).rev() {
            for end in ["", ".gz"] {
                if name(n, end).exists() {
                    fs::rename(name(n, end), name(n + 1, end)).unwrap();
                }
            }
        }
        name(1, "")
    }

    /// Renames the file out of the way and begins a new one in its place; half a line goes with it.
    fn rotate(&mut self, at: usize, is_packed: bool) {
        let path = self.models[at].path.clone();
        let to = self.generation(&path);
        fs::rename(&path, &to).unwrap();
        if is_packed {
            pack(&to);
        }
        let model = &mut self.models[at];
        model.file = new_file(&path);
        model.written.clear();
        model.life += 1;
    }

    /// The same with a date instead of a number, and twice within a second.
    fn rotate_by_date(&mut self, at: usize, is_packed: bool) {
        for part in ["", "b"] {
            let path = self.models[at].path.clone();
            let to = format!("{}-20260410{:06}{part}", path.display(), self.writes);
            let to = PathBuf::from(to);
            if is_taken(&to) {
                continue;
            }
            fs::rename(&path, &to).unwrap();
            if is_packed {
                pack(&to);
            }
            self.begin_anew(at, new_file(&path));
            if self.rng.bool() {
                self.write(at, true);
            }
        }
    }

    /// The new file is there, and is written, before the old one is renamed.
    fn rotate_after_creation(&mut self, at: usize) {
        let path = self.models[at].path.clone();
        let next = self.scene.path(&format!("next{}.txt", self.writes));
        let (file, to) = (new_file(&next), self.generation(&path));
        self.begin_anew(at, file);
        self.write(at, true);
        if self.rng.bool() {
            self.look();
        }
        fs::rename(&path, &to).unwrap();
        fs::rename(&next, &path).unwrap();
    }

    /// The old one is linked to its new name, then unlinked from the other.
    fn rotate_by_link(&mut self, at: usize) {
        let path = self.models[at].path.clone();
        let to = self.generation(&path);
        fs::hard_link(&path, &to).unwrap();
        if self.rng.bool() {
            self.look();
        }
        fs::remove_file(&path).unwrap();
        self.begin_anew(at, new_file(&path));
    }

    /// The old one is moved to another directory, which `rotated` names.
    fn rotate_into_directory(&mut self, at: usize, is_packed: bool) {
        let path = self.models[at].path.clone();
        let name = path.file_name().unwrap().display().to_string();
        // One that was never opened is known by how the name begins alone.
        let to = match self.has_few_open() {
            true => format!("old/{name}.{}", self.writes),
            false => format!("old/{}.{name}", self.writes),
        };
        let to = self.scene.path(&to);
        if is_taken(&to) {
            return;
        }
        fs::rename(&path, &to).unwrap();
        if is_packed {
            pack(&to);
        }
        self.begin_anew(at, new_file(&path));
    }

    /// gzip takes its time: there are looks and reads while both files are there.
    fn rotate_and_pack_slowly(&mut self, at: usize) {
        let path = self.models[at].path.clone();
        let to = self.generation(&path);
        fs::rename(&path, &to).unwrap();
        self.begin_anew(at, new_file(&path));
        let packed = PathBuf::from(format!("{}.gz", to.display()));
        let whole = gzipped(&fs::read(&to).unwrap());
        let modified = fs::metadata(&to).unwrap().modified().unwrap();
        for part in [self.rng.usize(..whole.len()), whole.len()] {
            fs::write(&packed, &whole[..part]).unwrap();
            let name = packed.strip_prefix(self.scene.dir.path()).unwrap();
            self.scene.age(&name.display().to_string(), 0);
            self.look();
            self.read(90, usize::MAX);
        }
        let file = File::options().append(true).open(&packed).unwrap();
        file.set_modified(modified).unwrap();
        fs::remove_file(&to).unwrap();
    }

    /// A link leads to one file, then at once to another.
    fn swap_link(&mut self, at: usize) {
        let link = self.scene.path(&format!("link{}.txt", self.writes));
        let next = self.scene.path("next-link");
        let other = self.rng.usize(..self.models.len());
        std::os::unix::fs::symlink(&self.models[at].path, &link).unwrap();
        self.look();
        std::os::unix::fs::symlink(&self.models[other].path, &next).unwrap();
        fs::rename(&next, &link).unwrap();
        self.look();
        self.read(90, usize::MAX);
        fs::remove_file(&link).unwrap();
    }

    fn begin_anew(&mut self, at: usize, file: File) {
        let model = &mut self.models[at];
        model.file = file;
        model.written.clear();
        model.life += 1;
    }

    fn copy_and_truncate(&mut self, at: usize, is_packed: bool) {
        let path = self.models[at].path.clone();
        let to = self.generation(&path);
        fs::copy(&path, &to).unwrap();
        let copy = File::options().append(true).open(&to).unwrap();
        // Of the same size and time as a file whose inode it has, it could not be told from that.
        self.writes += 1;
        set_modified(&copy, self.writes);
        if is_packed {
            pack(&to);
        }
        self.losses.cut_in_place();
        let model = &mut self.models[at];
        model.file.set_len(0).unwrap();
        model.written.clear();
        model.life += 1;
        self.writes += 1;
        set_modified(&model.file, self.writes);
    }

    fn rename(&mut self, at: usize) {
        self.names += 1;
        let to = self.scene.path(&format!("{}.txt", self.names));
        fs::rename(&self.models[at].path, &to).unwrap();
        self.models[at].path = to;
    }

    fn exchange(&mut self, at: usize) {
        let other = self.rng.usize(..self.models.len());
        if other == at {
            return;
        }
        let between = self.scene.path("between");
        let (one, two) = (
            self.models[at].path.clone(),
            self.models[other].path.clone(),
        );
        fs::rename(&one, &between).unwrap();
        fs::rename(&two, &one).unwrap();
        fs::rename(&between, &two).unwrap();
        self.models[at].path = two;
        self.models[other].path = one;
    }

    /// Deletes a file that has been read; whoever writes goes on for one more line, then makes it
    /// anew, which may use its inode again.
    fn delete(&mut self, at: usize) {
        self.write(at, true);
        self.catch_up();
        // Held open while it has something to read, and so read to its end.
        let path = self.models[at].path.clone();
        self.take(&path, false);
        fs::remove_file(&path).unwrap();
        let is_open = |key: &FileKey| {
            let key_of_it = listing::key_of(&self.models[at].file.metadata().unwrap());
            *key == key_of_it
        };
        if self.scene.source.tails.keys().iter().any(is_open) {
            self.write(at, true);
            self.catch_up();
        }
        // It is closed once it has been quiet: beyond the bound on open files rows would be lost.
        self.scene.wait(70);
        self.look();
        let model = &mut self.models[at];
        model.file = new_file(&path);
        model.written.clear();
        model.life += 1;
    }

    /// Removes a generation that has been read, as a rotation does that keeps so many: what is made
    /// next may have its inode.
    fn remove_generation(&mut self) {
        self.catch_up();
        let mut generations = self.files();
        generations.retain(|path| self.models.iter().all(|model| model.path != *path));
        if let Some(path) = self.rng.choice(&generations) {
            self.take(path, false);
            fs::remove_file(path).unwrap();
        }
    }

    /// What an editor does that puts another file in the place of the one it saves.
    fn replace(&mut self, at: usize) {
        // That the two are to be compared is known by their name alone: both have to keep it until
        // the first has been read, which they are compared after.
        let is_read = self.rng.bool();
        match is_read {
            true => self.catch_up(),
            false => self.look(),
        }
        let between = self.scene.path("between");
        let path = self.models[at].path.clone();
        let mut file = new_file(&between);
        file.write_all(&fs::read(&path).unwrap()).unwrap();
        self.writes += 1;
        set_modified(&file, self.writes);
        fs::rename(&between, &path).unwrap();
        self.models[at].file = file;
        match is_read {
            true => self.look(),
            false => self.catch_up(),
        }
    }

    /// What `ed` does: cuts the file off and writes it again as it was.
    fn write_again(&mut self, at: usize) {
        self.models[at].file.set_len(0).unwrap();
        if self.rng.bool() {
            self.look();
        }
        self.writes += 1;
        let model = &mut self.models[at];
        model.file.write_all(model.written.as_bytes()).unwrap();
        set_modified(&model.file, self.writes);
        self.look();
    }

    /// The whole directory is away for some looks, then back.
    fn move_directory(&mut self) {
        let dir = self.scene.dir.path().to_owned();
        let away = dir.with_extension("away");
        fs::rename(&dir, &away).unwrap();
        for _ in 0..self.rng.usize(..4) {
            self.commit();
            self.scene.look();
        }
        if self.rng.bool() {
            self.restart();
        }
        fs::rename(&away, &dir).unwrap();
    }

    /// Another name for a file, which is no other file.
    fn link(&mut self, at: usize) {
        self.names += 1;
        let to = self.scene.path(&format!("{}.txt", self.names));
        match self.rng.bool() {
            true => fs::hard_link(&self.models[at].path, &to).unwrap(),
            false => std::os::unix::fs::symlink(&self.models[at].path, &to).unwrap(),
        }
        self.look();
        fs::remove_file(&to).unwrap();
    }

    /// Reads once and consumes up to `lines` lines; returns whether there was anything.
    fn read(&mut self, max_bytes: usize, lines: usize) -> bool {
        let Some(Piece::Lines(chunk)) = self.scene.source.read(max_bytes).unwrap() else {
            return false;
        };
        assert!(chunk.bytes.ends_with(b"\n"));
        // Where nothing follows, something has to be consumed.
        let lines = lines.max(usize::from(chunk.last));
        let text = String::from_utf8(chunk.bytes).unwrap();
        let (mut offset, mut count, mut bytes) = (chunk.offset, 0, 0);
        let mut consumed = Vec::new();
        for line in text.split_inclusive('\n').take(lines) {
            let place = (chunk.first_row, offset);
            let text = line.trim_end().to_owned();
            let there = self.places.entry(place).or_insert_with(|| text.clone());
            let path = chunk.path.display();
            assert_eq!(*there, text, "two lines have the place {offset} of {path}");
            consumed.push(text);
            offset += line.len() as u64;
            bytes += line.len();
            count += 1;
        }
        let position = self.scene.source.consumed(chunk.file, bytes, count);
        for line in consumed {
            self.uncommitted.push((line, position.clone()));
        }
        true
    }

    fn commit(&mut self) {
        for (line, position) in self.uncommitted.drain(..) {
            *self.consumed.entry(line).or_default() += 1;
            self.scene.positions.insert(position.key, position);
        }
    }

    fn restart(&mut self) {
        self.commit();
        self.kill();
    }

    fn kill(&mut self) {
        self.uncommitted.clear();
        self.scene.restart();
        let files = self.files();
        self.losses.restarted(&files);
    }

    fn act(&mut self) {
        let at = self.choose();
        let is_packed = self.rng.bool();
        let choices = match self.rotations {
            Rotations::Plain => 26,
            Rotations::All => 57,
            Rotations::Lossy => 62,
        };
        let choice = self.rng.u32(..choices);
        let _noted = write!(self.log, "{choice}.{at} ");
        match choice {
            0..6 => self.write(at, true),
            6..9 => self.write(at, false),
            9..13 => self.look(),
            13 => drop(self.scene.source.glance(self.scene.now)),
            14..20 => {
                let (bytes, lines) = (self.rng.usize(1..90), self.rng.usize(..5));
                let lines = if self.rng.bool() { usize::MAX } else { lines };
                self.read(bytes, lines);
            }
            20 | 21 => self.restart(),
            22 => self.truncate(at),
            23 => self.rename(at),
            24 => self.new_file(),
            25 => self.scene.wait(self.rng.u64(..90)),
            26 | 27 => self.rotate(at, is_packed),
            28 | 29 => self.copy_and_truncate(at, is_packed),
            30 => self.exchange(at),
            31 => self.delete(at),
            32 => self.move_directory(),
            33 => self.link(at),
            34 | 35 => self.kill(),
            36 | 37 => self.rotate_by_date(at, is_packed),
            38 | 39 => self.rotate_after_creation(at),
            40 => self.rotate_by_link(at),
            41 | 42 => self.rotate_into_directory(at, is_packed),
            43 | 44 => self.rotate_and_pack_slowly(at),
            45 => self.swap_link(at),
            46 | 47 => self.remove_generation(),
            48 => self.replace(at),
            49 => self.write_again(at),
            50 => self.settle(),
            51 | 52 => self.edit(at),
            53 => self.move_into_subdirectory(at),
            54 => self.link_for_good(at),
            55 | 56 => self.rotate_and_remove_last(at, is_packed),
            _ => self.lose(at),
        }
        self.trace();
        // The window reads a line that is left half consumed again before it is committed.
        if self.rng.u8(..) < 100 {
            self.commit();
        }
    }

    /// With a seed of one's own: what came of the action, too.
    fn trace(&mut self) {
        if std::env::var_os("SWITCHHOOK_SEED").is_none() {
            return;
        }
        let changes = self.scene.changes().join(", ");
        let lines: Vec<&str> = self
            .uncommitted
            .iter()
            .map(|(line, _)| &line[..line.find('x').unwrap_or(line.len())])
            .collect();
        let mut now = BTreeMap::new();
        for (key, known) in &self.scene.source.files {
            let p = &known.position;
            let name = known.path.file_name().unwrap_or_default().display();
            let marks = [
                (known.is_held, "held"),
                (known.owed.is_some(), "owed"),
                (known.copy_of.is_some(), "copy"),
                (known.saved_up_to > 0, "saved"),
            ];
            let marks: Vec<&str> = marks
                .iter()
                .filter(|(is, _)| *is)
                .map(|(_, name)| *name)
                .collect();
            let text = format!(
                "{name} {:?} {:?} {}/{} life {} {}",
                known.presence,
                known.standing,
                p.offset,
                known.size,
                p.life,
                marks.join(" ")
            );
            now.insert(format!("known {}", key.inode), text);
        }
        for past in &self.scene.source.pasts {
            let name = past.path.file_name().unwrap_or_default().display();
            let p = &past.position;
            now.insert(
                format!("past {}.{}", p.key.inode, p.life),
                format!(
                    "{name} {}/{} {:?} {}",
                    p.offset, past.size, past.lost, past.is_awaited
                ),
            );
        }
        for (key, p) in &self.scene.positions {
            let name = p.path.rsplit('/').next().unwrap_or_default();
            now.insert(
                format!("kept {}", key.inode),
                format!(
                    "{name} {} life {} unread {}",
                    p.offset, p.life, p.unread_bytes
                ),
            );
        }
        for dir in ["", "old", "sub"].map(|name| self.scene.path(name)) {
            for entry in fs::read_dir(&dir).unwrap() {
                let entry = entry.unwrap();
                let meta = entry.metadata().unwrap();
                now.insert(
                    format!("file {}", entry.file_name().display()),
                    format!("inode {} {} bytes", meta.ino(), meta.len()),
                );
            }
        }
        let mut what = String::new();
        for (name, text) in &now {
            if self.traced.get(name) != Some(text) {
                let _noted = writeln!(what, "    {name}: {text}");
            }
        }
        for name in self.traced.keys() {
            if !now.contains_key(name) {
                let _noted = writeln!(what, "    {name}: none");
            }
        }
        self.traced = now;
        let _noted = writeln!(
            self.log,
            "writes {} [{changes}] {lines:?}\n{what}",
            self.writes
        );
    }

    /// A line may wait for its file to grow: one more line in each, and everything comes out.
    fn finish(&mut self) {
        self.commit();
        for at in 0..self.models.len() {
            self.write(at, true);
        }
        self.trace();
        self.settle();
        self.trace();
    }

    fn check(&self) {
        let missing: Vec<&String> = self
            .expected
            .iter()
            .filter(|line| !self.consumed.contains_key(*line) && !self.losses.lost.contains(*line))
            .collect();
        assert!(missing.is_empty(), "missing: {missing:?}");
        let unknown = self
            .consumed
            .keys()
            .filter(|line| !self.expected.contains(*line));
        assert_eq!(unknown.collect::<Vec<_>>(), [""; 0], "never written");
        let twice: Vec<_> = self
            .consumed
            .iter()
            .filter(|(line, count)| **count > 1 && !self.losses.repeatable.contains(*line))
            .collect();
        assert!(twice.is_empty(), "read twice: {twice:?}");
    }
}

fn new_file(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.create_new(true).append(true).open(path).unwrap()
}

/// Whether there is a file of that name, packed or not.
fn is_taken(path: &Path) -> bool {
    path.exists() || PathBuf::from(format!("{}.gz", path.display())).exists()
}

fn set_modified(file: &File, writes: u64) {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + writes);
    file.set_modified(modified).unwrap();
}

fn pack(path: &Path) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let to = PathBuf::from(format!("{}.gz", path.display()));
    let packed = gzipped(&fs::read(path).unwrap());
    fs::write(&to, packed).unwrap();
    let file = File::options().append(true).open(&to).unwrap();
    file.set_modified(modified).unwrap();
    fs::remove_file(path).unwrap();
}

/// Lives through histories: that of `SWITCHHOOK_SEED`, as many as `SWITCHHOOK_HISTORIES` asks for, or
/// those of the default run. What is told as lost is accounted for if it was asked for or `accounted`.
fn run(rotations: Rotations, root: &Path, accounted: Option<std::ops::Range<u64>>) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = fastrand::u64(..1_000_000_000);
    let (seed, count) = (number("SWITCHHOOK_SEED"), number("SWITCHHOOK_HISTORIES"));
    let is_accounted = seed.or(count).is_some() || accounted.is_some();
    let seeds = match (seed, count, accounted) {
        (Some(seed), _, _) => seed..seed + 1,
        (None, Some(count), _) => first..first + count,
        (None, None, Some(seeds)) => seeds,
        (None, None, None) => first..first + HISTORIES,
    };
    for seed in seeds {
        let mut history = History::new(seed, rotations, root, is_accounted);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..ACTIONS {
                history.act();
            }
            history.finish();
            history.check();
        }));
        assert!(
            ran.is_ok(),
            "repeat with SWITCHHOOK_SEED={seed}: {rotations:?} {}",
            history.log
        );
    }
}

/// A disk of one's own; `None` where none can be mounted, which is said.
fn own_disk(test: &str) -> Option<Disk> {
    let disk = Disk::new(64);
    if let Err(why) = &disk {
        let line = format!(
            "\nSKIPPED source::tests::history::{test}: no disk of its own can be mounted, which takes \
            root, mkfs.ext4 and loop devices; .ci/run has them ({why})\n"
        );
        let _told = std::io::stderr().write_all(line.as_bytes());
    }
    disk.ok()
}

#[test]
fn every_complete_line_is_consumed_exactly_once_whatever_is_renamed_and_truncated() {
    run(Rotations::Plain, &std::env::temp_dir(), None);
}

#[test]
fn every_complete_line_is_consumed_exactly_once_through_every_rotation_and_kill() {
    run(Rotations::All, &std::env::temp_dir(), None);
}

#[test]
fn every_line_that_is_lost_is_told_and_no_other() {
    for rotations in [Rotations::All, Rotations::Lossy] {
        run(rotations, &std::env::temp_dir(), Some(ACCOUNTED));
    }
}

#[test]
fn every_complete_line_is_consumed_exactly_once_where_each_inode_is_used_again_at_once() {
    let test =
        "every_complete_line_is_consumed_exactly_once_where_each_inode_is_used_again_at_once";
    if let Some(disk) = own_disk(test) {
        run(Rotations::Plain, &disk.root(), None);
        run(Rotations::All, &disk.root(), None);
        run(Rotations::Lossy, &disk.root(), Some(ACCOUNTED));
    }
}
