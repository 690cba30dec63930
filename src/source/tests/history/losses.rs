//! What a history loses by the model, and what the source has to tell of it and what not.
//!
//! Whatever takes rows away says so here before it does. When everything has come to rest, the rows
//! that were taken away and never read are lost: the gaps told meanwhile have to be at least as long
//! as those of them that the source can know of, and no longer than all of them.

use super::*;
use std::collections::{BTreeSet, HashSet};

/// How long a row must have been seen waiting for the queue to have it: see `keep_unread`.
const KEPT_AFTER: Duration = Duration::from_secs(65);

/// And for how many looks: what may be a copy waits for some.
const LOOKS_BETWEEN: usize = 6;

#[derive(Default)]
pub struct Losses {
    taken: Vec<Taken>,
    /// Rows up to this write were there at a look of this run.
    seen: u64,
    /// Looks of this run: when, and up to which write.
    looks: Vec<(UnixMs, u64)>,
    /// Rows up to this write were seen waiting for [`KEPT_AFTER`], if they were not read.
    kept: u64,
    /// The rows that are lost for good.
    pub lost: BTreeSet<String>,
    /// Rows that may come out more than once, at other places.
    pub repeatable: BTreeSet<String>,
    /// A file was cut off in place: what was written between the last look and the cut nobody knows.
    was_cut: bool,
    /// The agent was started again: of a file that another one under its inode and name has replaced
    /// meanwhile, nobody knows whether something was added to it before.
    was_down: bool,
}

/// What was in a file that was taken away or cut off.
struct Taken {
    path: PathBuf,
    /// Its complete lines that are nowhere else, each with whether it has to be told if it is lost.
    lines: Vec<(String, bool)>,
    /// What was there behind them.
    partial_bytes: u64,
    /// Bytes of it that were seen.
    seen_bytes: u64,
    /// Something of it was read.
    was_begun: bool,
}

impl Losses {
    /// Takes in that everything written so far was there at a look.
    pub fn looked(&mut self, writes: u64, now: UnixMs) {
        self.seen = writes;
        self.looks.push((now, writes));
        let is_long_ago = |at: &&(UnixMs, u64)| now.since(at.0) >= KEPT_AFTER;
        let kept = self
            .looks
            .iter()
            .rev()
            .skip(LOOKS_BETWEEN)
            .find(is_long_ago);
        self.kept = self.kept.max(kept.map_or(0, |at| at.1));
    }

    /// Takes in that the agent was started again, where there are these `files`.
    pub fn restarted(&mut self, files: &[PathBuf]) {
        self.was_down = true;
        self.looks.clear();
        self.seen = 0;
        for taken in &mut self.taken {
            // A file of which nothing was read is not known again by what is in it.
            let is_left = fs::metadata(&taken.path).is_ok_and(|meta| meta.len() > 0);
            let is_unknown = !taken.was_begun && is_left;
            // Where its directory is empty, its disk may be mounted later.
            let is_alone = !files
                .iter()
                .any(|path| path.parent() == taken.path.parent());
            for (line, has_to_be_told) in &mut taken.lines {
                // How much is in a packed file nobody knows before it is read.
                let is_kept = number_of(line) <= self.kept && !rotated::is_packed(&taken.path);
                *has_to_be_told &= is_kept && !is_unknown && !is_alone;
            }
        }
    }

    pub fn cut_in_place(&mut self) {
        self.was_cut = true;
    }

    /// A file of which nothing was read counts as read with one of its name, or that of a
    /// generation of it, that is as long.
    fn excuse_replaced(&mut self, files: &[PathBuf]) {
        for taken in self.taken.iter_mut().filter(|taken| !taken.was_begun) {
            let name = taken.path.file_name().unwrap().as_encoded_bytes();
            let is_it = |path: &&PathBuf| {
                let own = path.file_name().unwrap().as_encoded_bytes();
                let is_packed = own.ends_with(b".gz");
                let size = fs::metadata(path).map_or(0, |meta| meta.len());
                own.starts_with(name) && (is_packed || size >= taken.seen_bytes)
            };
            if files.iter().any(|path| is_it(&path)) {
                taken.lines.iter_mut().for_each(|line| line.1 = false);
            }
        }
    }

    /// Compares what is lost with the gaps told since the last time.
    fn check(&mut self, consumed: &BTreeMap<String, u64>, gaps: Vec<Gap>, is_accounted: bool) {
        let (mut least, mut most) = (0, 0);
        let mut what = String::new();
        for taken in self.taken.drain(..) {
            most += taken.partial_bytes;
            let _noted = write!(
                what,
                "\n {} and {}:",
                taken.path.display(),
                taken.partial_bytes
            );
            for (line, has_to_be_told) in taken.lines {
                let bytes = line.len() as u64 + 1;
                if consumed.contains_key(&line) {
                    // It was about to be read once more.
                    let is_repeated = self.repeatable.contains(&line);
                    most += if is_repeated { bytes } else { 0 };
                    continue;
                }
                if !self.lost.insert(line.clone()) {
                    continue;
                }
                most += bytes;
                least += if has_to_be_told { bytes } else { 0 };
                let _noted = write!(
                    what,
                    " {}{}",
                    number_of(&line),
                    ["", "!"][usize::from(has_to_be_told)]
                );
            }
        }
        let (was_cut, was_down) = (
            std::mem::take(&mut self.was_cut),
            std::mem::take(&mut self.was_down),
        );
        if !is_accounted {
            return;
        }
        let told: u64 = gaps.iter().filter_map(|gap| gap.bytes).sum();
        let is_unknown = gaps.iter().any(|gap| gap.bytes.is_none());
        let shown: Vec<String> = gaps
            .iter()
            .map(|gap| format!("{} {:?} of {:?}", gap.path.display(), gap.cause, gap.bytes))
            .collect();
        let shown = format!("{shown:?}; taken away:{what}");
        assert!(told <= most, "told {told} bytes of at most {most}: {shown}");
        assert!(
            told >= least || is_unknown,
            "told {told} bytes of {least}: {shown}"
        );
        for gap in gaps {
            let may_be = match gap.bytes {
                None => was_down && gap.cause == GapCause::Truncated,
                Some(0) => was_cut && gap.cause == GapCause::Truncated,
                Some(_) => true,
            };
            assert!(may_be, "nothing was cut off: {shown}");
        }
    }
}

/// The number of the last write that a line was made of.
fn number_of(line: &str) -> u64 {
    let last = line.rsplit(';').next().unwrap_or(line);
    last.split('|')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap()
}

fn content_of(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let mut text = String::new();
    match rotated::is_packed(path) {
        true => drop(flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text)),
        false => text = String::from_utf8(bytes).unwrap(),
    }
    text
}

impl History {
    /// The files that the source can read, by their names.
    pub fn files(&self) -> Vec<PathBuf> {
        let directories = ["", "old", "sub"].map(|name| self.scene.path(name));
        let entries = directories
            .iter()
            .filter_map(|directory| fs::read_dir(directory).ok());
        let mut files: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file() && !path.is_symlink())
            .filter(|path| {
                let is_old = path.parent().unwrap().ends_with("old");
                is_old || path.display().to_string().contains(".txt")
            })
            .collect();
        files.sort();
        files
    }

    /// The file at `path` is about to lose its name, or with `in_place` its content.
    pub fn take(&mut self, path: &Path, in_place: bool) {
        let text = content_of(path);
        let inode = |path: &Path| fs::metadata(path).map(|meta| meta.ino()).unwrap_or(0);
        let others = self.files();
        let others = others
            .iter()
            .filter(|other| *other != path && !(in_place && inode(other) == inode(path)));
        let elsewhere: Vec<String> = others.map(|other| content_of(other)).collect();
        let elsewhere: HashSet<&str> = elsewhere
            .iter()
            .flat_map(|text| text.split_inclusive('\n'))
            .collect();
        let was_begun = text.lines().any(|line| self.consumed.contains_key(line));
        let mut taken = Taken {
            path: path.to_owned(),
            lines: Vec::new(),
            partial_bytes: 0,
            seen_bytes: 0,
            was_begun,
        };
        let losses = &mut self.losses;
        for line in text.split_inclusive('\n') {
            let whole = line.strip_suffix('\n');
            let kept = if rotated::is_packed(path) {
                0
            } else {
                losses.kept
            };
            let is_seen = whole.is_some_and(|line| number_of(line) <= losses.seen.max(kept));
            taken.seen_bytes += if is_seen { line.len() as u64 } else { 0 };
            match whole {
                Some(_) if elsewhere.contains(line) => {}
                Some(line) => taken.lines.push((line.to_owned(), is_seen)),
                None => taken.partial_bytes = line.len() as u64,
            }
        }
        losses.taken.push(taken);
    }

    /// The whole content of a file that the switch, or somebody else, takes away unread.
    pub fn lose(&mut self, at: usize) {
        for _ in 0..self.rng.usize(..4) {
            self.write(at, true);
        }
        match self.rng.u8(..3) {
            0 => {}
            1 => self.look(),
            _ => {
                for _ in 0..8 {
                    self.look();
                    self.scene.wait(10);
                }
            }
        }
        if self.rng.u8(..4) == 0 {
            self.restart();
        }
        let path = self.models[at].path.clone();
        let kind = self.rng.u8(..6);
        let _noted = write!(self.log, "({kind}) ");
        match kind {
            0 => {
                self.take(&path, true);
                self.losses.cut_in_place();
                self.writes += 1;
                self.models[at].file.set_len(0).unwrap();
                set_modified(&self.models[at].file, self.writes);
                self.models[at].written.clear();
                if self.rng.bool() {
                    self.look();
                }
            }
            1 => {
                self.take(&path, false);
                fs::remove_file(&path).unwrap();
                self.begin_anew(at, new_file(&path));
            }
            2 => {
                self.take(&path, false);
                fs::remove_file(&path).unwrap();
                for _ in 0..self.rng.usize(..3) {
                    self.look();
                }
                self.begin_anew(at, new_file(&path));
            }
            3 => {
                let between = self.scene.path("between");
                let file = new_file(&between);
                self.take(&path, false);
                self.begin_anew(at, file);
                for _ in 0..self.rng.usize(..4) {
                    self.write(at, true);
                }
                fs::rename(&between, &path).unwrap();
            }
            _ => {
                let mut generations = self.files();
                generations.retain(|path| self.models.iter().all(|model| model.path != *path));
                if let Some(path) = self.rng.choice(&generations) {
                    self.take(path, false);
                    fs::remove_file(path).unwrap();
                }
            }
        }
        for _ in 0..self.rng.usize(..3) {
            self.write(at, true);
        }
    }

    /// Has everything come to rest: then what is lost is told.
    pub fn settle(&mut self) {
        for _ in 0..3 {
            self.scene.wait(30);
            self.catch_up();
        }
        for _ in 0..4 {
            self.scene.wait(5);
            self.look();
        }
        let gaps = std::mem::take(&mut self.scene.gaps);
        // Of a file that was never opened little is known: what becomes of it may be told or not.
        let is_accounted = self.is_accounted && !self.has_few_open();
        self.losses.check(&self.consumed, gaps, is_accounted);
    }

    /// Takes in what a look can know.
    pub fn looked(&mut self) {
        self.losses.looked(self.writes, self.scene.now);
        if self.losses.taken.iter().any(|taken| !taken.was_begun) {
            let files = self.files();
            self.losses.excuse_replaced(&files);
        }
    }
}
