//! Promises of a source, kept with real files: one file of tests for each kind of promise.
//!
//! What other programs that follow files have failed at, and the tests that make it happen here (a
//! name with a path is that of another module's test):
//!
//! | | what happens | tests |
//! |---|---|---|
//! | T1 | rotated once, twice, five times while the agent is down | `generations_rotated_while_the_agent_was_down_are_finished_in_order`, `a_file_renamed_while_the_agent_is_down_goes_on_where_it_was` |
//! | T2 | deleted and made anew, the inode used again | `a_file_deleted_and_made_anew_is_a_new_file_whatever_its_inode_is`, `a_new_file_under_a_used_inode_is_read_from_its_start` |
//! | T3 | two names exchange their inodes | `two_files_that_exchange_their_names_go_on_where_they_were` |
//! | T4 | many files with the same header and first row | `a_hundred_files_with_the_same_head_are_told_apart` |
//! | T5 | copied and truncated at 5,000 rows a second | `rows_written_while_a_file_is_copied_and_cut_off_are_read_or_told_as_about_so_many`, `rows_that_were_cut_off_unread_are_read_from_the_copy` |
//! | T6 | truncated and written longer before the next look | `a_file_truncated_and_written_beyond_the_position_is_known_by_its_tail` |
//! | T7 | an editor takes the last lines away | `rows_that_an_editor_takes_off_the_end_have_no_row_read_again` |
//! | T8 | rotated and packed at once | `a_file_rotated_and_packed_at_once_is_read_on_in_the_packed_one` |
//! | T10 | half a row for 10 s | `half_a_row_is_held_however_long_and_is_one_row_then` |
//! | T11 | a rotation in the middle of a row | `a_rotation_in_the_middle_of_a_row_leaves_it_whole`, `a_partial_line_is_held_back_at_every_cut_of_a_row` |
//! | T12 | lines of 1 and 100 MiB, and without an end | `a_line_of_three_mebibytes_is_passed_over_with_flat_memory`, `a_line_of_a_hundred_mebibytes_and_one_without_an_end_are_passed_over` |
//! | T13 | line ends, marks, holes, encodings | `a_hole_before_a_row_is_passed_over_and_is_no_long_line`, `parser::no_good_row_is_lost_whatever_stands_around_it`, `parser::three_bytes_that_mean_a_mark_in_utf_8_are_text_in_gbk`, `parser::a_gbk_character_whose_second_byte_is_a_pipe_stays_whole`, `parser::utf_16_is_seen_in_any_line_of_a_file`, `parser::text_that_is_none_is_kept_beside_what_could_be_read` |
//! | T14 | many new files a day for 400 days | `files_that_come_and_go_for_months_leave_no_state`, `four_hundred_days_of_hourly_files_cost_a_start_one_look`, `it::ten_thousand_quiet_files_cost_no_more_than_a_hundred_and_a_new_row_is_still_found_at_once` |
//! | T15 | the last file is moved to another directory | `the_last_file_moved_to_another_directory_goes_on_there` |
//! | T16 | the kernel drops events | `it::rows_whose_events_the_kernel_dropped_arrive_without_waiting_for_the_poll` |
//! | T17 | files deleted while nothing can be read | `a_deleted_file_is_given_up_after_its_time_and_beyond_its_room`, `ingest::what_is_lost_is_an_event_with_a_lasting_id_and_a_count`, `it::memory_disk_and_open_files_stay_below_their_limits_while_all_of_them_are_reached` |
//! | T18 | directory made anew, link led elsewhere | `a_directory_removed_and_made_anew_is_followed_again`, `a_link_is_followed_to_where_it_leads_now` |
//! | T19 | permission taken away | `a_file_that_may_not_be_read_is_told_once_and_tried_again`, `many_unreadable_files_are_told_in_one_change` |
//! | T20 | every row filtered out | `ingest::a_file_of_which_nothing_is_wanted_is_still_read_once_only` |
//! | T22 | a thousand files rotated at once | `a_thousand_files_rotated_at_once_are_read_on_where_they_were` |
//! | T23 | times of modification that go backwards | `times_of_modification_that_go_backwards_lose_nothing` |
//! | T25 | a document seen half written | `it::documents_are_told_once_each_and_half_written_ones_when_they_are_whole` |
//! | T26 | files of a group | `files_of_a_group_are_read_by_its_members_alone` |

mod copies;
mod cut;
mod gaps;
mod history;
mod long_lines;
mod looks;
mod packed;
mod partial;
mod places;
mod rotation;
mod starting;
mod strangers;
mod trimmed;

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
    /// The gaps among them.
    gaps: Vec<Gap>,
    /// What the queue knows.
    positions: HashMap<FileKey, FilePosition>,
}

impl Scene {
    /// An empty directory, all of whose `*.txt*` files are read from their beginning.
    fn new() -> Scene {
        Scene::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Scene {
        Scene::within(&std::env::temp_dir(), change)
    }

    /// The same below `root`.
    fn within(root: &Path, change: impl FnOnce(&mut Settings)) -> Scene {
        let dir = tempfile::tempdir_in(root).unwrap();
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
            gaps: Vec::new(),
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
        let gaps = looked.changes.iter().filter_map(|change| match change {
            Change::Gap(gap) => Some(gap.clone()),
            _ => None,
        });
        self.gaps.extend(gaps);
        for position in &looked.positions {
            self.positions.insert(position.key, position.clone());
        }
        for key in &looked.forgotten {
            self.positions.remove(key);
        }
        looked
    }

    /// Closes every file, as a want of descriptors does: nothing holds its rows.
    fn close_all(&mut self) {
        for key in self.source.tails.keys() {
            self.source.tails.close(key);
        }
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

#[test]
fn every_row_of_the_table_has_its_tests() {
    let mut files = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    files.push(PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it"
    )));
    let mut tests = String::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            tests.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    let rows = include_str!("mod.rs").lines();
    let rows: Vec<&str> = rows.filter(|line| line.starts_with("//! | T")).collect();
    assert_eq!(rows.len(), 23);
    for name in rows
        .iter()
        .flat_map(|row| row.split('`').skip(1).step_by(2))
    {
        let name = name.rsplit("::").next().unwrap();
        assert!(tests.contains(&format!("fn {name}(")), "no test {name}");
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
