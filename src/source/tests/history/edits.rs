//! What people and their programs do to files beside the switch: edit, move, link and prune them.

use super::*;

/// How an editor saves.
#[derive(Debug, Clone, Copy)]
enum Save {
    /// `sed -i`: another file is put in its place.
    Replaced,
    /// The old one is moved out of sight first, then a new one is written.
    BackedUp,
    /// `ed`: it is cut off and written again.
    InPlace,
    /// The same, and renamed before anybody looks.
    InPlaceAndRenamed,
}

/// What is changed.
#[derive(Debug, Clone, Copy)]
enum Edit {
    Nothing,
    FirstTaken,
    LastTaken,
    Added,
}

impl History {
    /// Somebody edits a file that has been read.
    pub fn edit(&mut self, at: usize) {
        // What was left half consumed waits for the next line.
        self.write(at, true);
        let save = [
            Save::Replaced,
            Save::BackedUp,
            Save::InPlace,
            Save::InPlaceAndRenamed,
        ];
        let save = save[self.rng.usize(..save.len())];
        let edit = [
            Edit::Nothing,
            Edit::FirstTaken,
            Edit::LastTaken,
            Edit::Added,
        ];
        let edit = edit[self.rng.usize(..edit.len())];
        let _noted = write!(self.log, "({save:?} {edit:?}) ");
        self.catch_up();
        let path = self.models[at].path.clone();
        let old = self.models[at].written.clone();
        let mut lines: Vec<&str> = old.split_inclusive('\n').collect();
        match edit {
            Edit::Nothing | Edit::Added => {}
            Edit::FirstTaken => drop(lines.remove(0)),
            Edit::LastTaken => drop(lines.pop()),
        }
        let mut text: String = lines.concat();
        if matches!(edit, Edit::FirstTaken | Edit::LastTaken) {
            // They are at other places then, or in a file that nothing shows to be the one it was; and
            // what is written next may be where others were.
            let rest = text.lines().map(str::to_owned);
            self.losses.repeatable.extend(rest);
            self.places
                .retain(|_, line| !old.lines().any(|other| other == line));
        }
        if matches!(edit, Edit::Added) && (text.is_empty() || text.ends_with('\n')) {
            self.writes += 1;
            let line = format!("{}|added", self.writes);
            text.push_str(&line);
            if self.models[at].file.metadata().unwrap().nlink() > 1 {
                self.losses.repeatable.insert(line.clone());
            }
            text.push('\n');
            self.expected.insert(line);
        }
        self.take(&path, true);
        self.writes += 1;
        match save {
            Save::Replaced | Save::BackedUp => {
                let between = self.scene.path("between");
                let mut file = new_file(&between);
                file.write_all(text.as_bytes()).unwrap();
                set_modified(&file, self.writes);
                if matches!(save, Save::BackedUp) {
                    let _none = fs::remove_file(self.scene.path("backup"));
                    fs::rename(&path, self.scene.path("backup")).unwrap();
                    if self.rng.bool() {
                        self.look();
                    }
                }
                fs::rename(&between, &path).unwrap();
                self.models[at].file = file;
            }
            Save::InPlace | Save::InPlaceAndRenamed => {
                self.losses.cut_in_place();
                let model = &mut self.models[at];
                model.file.set_len(0).unwrap();
                if matches!(save, Save::InPlace) && self.rng.bool() {
                    self.look();
                }
                let model = &mut self.models[at];
                model.file.write_all(text.as_bytes()).unwrap();
                set_modified(&model.file, self.writes);
            }
        }
        self.models[at].written = text;
        if matches!(save, Save::InPlaceAndRenamed) {
            match self.rng.bool() {
                true => self.rename(at),
                false => self.rotate(at, false),
            }
        }
        self.look_well();
    }

    /// A file is moved to a subdirectory that is followed too, and goes on there.
    pub fn move_into_subdirectory(&mut self, at: usize) {
        let path = self.models[at].path.clone();
        let to = self.scene.path("sub").join(path.file_name().unwrap());
        if path != to {
            fs::rename(&path, &to).unwrap();
            self.models[at].path = to;
        }
    }

    /// Another name for a file that stays, until somebody prunes it. What is put in the place of the
    /// file, and what gzip makes of it, is there beside it: its rows may be read with both.
    pub fn link_for_good(&mut self, at: usize) {
        self.names += 1;
        let to = self.scene.path(&format!("{}.txt", self.names));
        fs::hard_link(&self.models[at].path, to).unwrap();
        let lines = self.models[at].written.lines().map(str::to_owned);
        self.losses.repeatable.extend(lines);
    }

    /// A rotation that keeps so many: the last of its chain is removed, which has been read.
    pub fn rotate_and_remove_last(&mut self, at: usize, is_packed: bool) {
        self.catch_up();
        let path = self.models[at].path.clone();
        self.rotate(at, is_packed);
        let name = format!("{}.", path.display());
        let number = |path: &PathBuf| -> Option<u32> {
            let text = path.display().to_string();
            text.strip_prefix(&name)?
                .trim_end_matches(".gz")
                .parse()
                .ok()
        };
        let last = self
            .files()
            .into_iter()
            .filter(|path| number(path) > Some(2));
        if let Some(last) = last.max_by_key(number) {
            self.take(&last, false);
            fs::remove_file(last).unwrap();
        }
    }
}
