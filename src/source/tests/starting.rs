//! Where following begins.

use super::*;

/// The lines read at the first look and after one more line for each file, with a file of half an
/// hour ago and one of now.
#[track_caller]
fn check(start: fn(UnixMs) -> Start, first: &[&str], then: &[&str], committed: usize) {
    let mut scene = Scene::new();
    scene.settings.start = start(scene.now);
    scene.source = Source::open(scene.settings.clone(), is_header(), Vec::new(), false);
    scene.append("old.txt", "caller\n1\n2\n");
    scene.append("new.txt", "3\nha");
    scene.age("old.txt", 1_800);
    let looked = scene.look();
    assert_eq!(looked.positions.len(), committed);
    assert_eq!(scene.drain(), first);
    scene.restart();
    scene.append("old.txt", "4\n");
    scene.age("old.txt", 10);
    scene.append("new.txt", "lf\n");
    assert_eq!(scene.follow(), then);
    scene.append("later.txt", "5\n");
    assert_eq!(scene.follow(), ["later.txt: 5"]);
}

#[test]
fn from_now_on_only_what_is_completed_later_is_read() {
    check(|_| Start::Now, &[], &["old.txt: 4", "new.txt: half"], 2);
}

#[test]
fn from_the_beginning_everything_is_read() {
    let first = ["old.txt: caller", "old.txt: 1", "old.txt: 2", "new.txt: 3"];
    check(
        |_| Start::Beginning,
        &first,
        &["old.txt: 4", "new.txt: half"],
        0,
    );
}

#[test]
fn from_an_instant_on_files_not_modified_since_are_passed_over() {
    let an_hour_half_ago = |now: UnixMs| Start::At(UnixMs(now.0 - 600_000));
    check(
        an_hour_half_ago,
        &["new.txt: 3"],
        &["old.txt: 4", "new.txt: half"],
        1,
    );
}

#[test]
fn following_that_begins_now_knows_lines_and_first_row() {
    use sha2::{Digest, Sha256};
    let mut scene = Scene::with(|settings| settings.start = Start::Now);
    scene.append("cdr.txt", "caller\n1\n2\n");
    scene.look();
    scene.append("cdr.txt", "3\n");
    scene.look();
    let chunk = scene.read_lines();
    assert_eq!((chunk.offset, chunk.line), (11, 4));
    assert_eq!(chunk.first_row, <[u8; 32]>::from(Sha256::digest("1")));
}

#[test]
fn a_known_source_reads_files_that_appeared_while_it_was_down() {
    let mut scene = Scene::with(|settings| settings.start = Start::Now);
    scene.append("1.txt", "1\n");
    scene.follow();
    scene.append("2.txt", "2\n");
    scene.restart();
    assert_eq!(scene.follow(), ["2.txt: 2"]);
}

/// The lines read when two files that were there at the first look, but could not be read, can be
/// read after a restart, and of those the ones added then.
#[track_caller]
fn check_unreadable(start: fn(UnixMs) -> Start, first: &[&str], then: &[&str]) {
    let mut scene = Scene::new();
    scene.settings.start = start(scene.now);
    scene.source = Source::open(scene.settings.clone(), is_header(), Vec::new(), false);
    scene.set_mode("", 0o755);
    for (name, age) in [("old.txt", 1_800), ("new.txt", 0)] {
        scene.append(name, "1\n2\n");
        scene.set_mode(name, 0o000);
        scene.age(name, age);
    }
    for _ in 0..2 {
        assert_eq!(scene.follow_as_nobody(), [""; 0]);
        scene.restart();
    }
    scene.set_mode("old.txt", 0o644);
    scene.set_mode("new.txt", 0o644);
    let mut lines = scene.follow();
    lines.sort();
    assert_eq!(lines, first);
    scene.append("old.txt", "3\n");
    scene.restart();
    assert_eq!(scene.follow(), then);
}

#[test]
fn a_file_unreadable_at_the_first_look_is_subject_to_start_when_it_can_be_read() {
    check_unreadable(|_| Start::Now, &[], &["old.txt: 3"]);
    check_unreadable(
        |now| Start::At(UnixMs(now.0 - 600_000)),
        &["new.txt: 1", "new.txt: 2"],
        &["old.txt: 3"],
    );
    check_unreadable(
        |_| Start::Beginning,
        &["new.txt: 1", "new.txt: 2", "old.txt: 1", "old.txt: 2"],
        &["old.txt: 3"],
    );
}

#[test]
fn a_file_wanted_whole_after_all_has_its_lines_numbered() {
    let mut scene = Scene::with(|settings| settings.start = Start::Now);
    scene.set_mode("", 0o755);
    scene.append("cdr.txt", "1\n");
    scene.set_mode("cdr.txt", 0o000);
    assert_eq!(scene.follow_as_nobody(), [""; 0]);
    let lines: Vec<_> = scene.positions.values().map(|known| known.lines).collect();
    assert_eq!(lines, [None], "it is to be remembered as unplaced");
    scene.settings.start = Start::Beginning;
    scene.restart();
    scene.look();
    let chunk = scene.read_lines();
    assert_eq!((chunk.offset, chunk.line), (0, 1));
}

#[test]
fn a_directory_that_may_not_be_searched_is_told_and_keeps_the_source_unplaced() {
    for name in ["*.txt", "cdr.txt"] {
        let mut scene = Scene::new();
        let glob = format!("{}/home/cdr/{name}", scene.dir.path().display());
        scene.settings.files = vec![glob];
        scene.settings.start = Start::Now;
        scene.source = Source::open(scene.settings.clone(), is_header(), Vec::new(), false);
        assert!(!scene.source.is_placed(), "nothing was looked at");
        fs::create_dir_all(scene.path("home/cdr")).unwrap();
        scene.append("home/cdr/cdr.txt", "1\n");
        scene.set_mode("", 0o755);
        scene.set_mode("home", 0o000);
        assert_eq!(scene.follow_as_nobody(), [""; 0]);
        assert_eq!(scene.follow_as_nobody(), [""; 0]);
        let hidden = if name == "cdr.txt" { "cdr.txt" } else { "cdr" };
        assert_eq!(scene.changes(), [format!("unreadable 1: {hidden}")]);
        assert!(!scene.source.is_placed(), "{name} is out of sight");
        scene.set_mode("home", 0o755);
        assert_eq!(scene.follow(), [""; 0], "{name} was there already");
        assert!(scene.source.is_placed());
        scene.append("home/cdr/cdr.txt", "2\n");
        assert_eq!(scene.follow(), ["cdr.txt: 2"]);
    }
}

#[test]
fn a_source_without_files_is_placed_by_its_first_look() {
    let mut scene = Scene::with(|settings| settings.start = Start::Now);
    scene.look();
    assert!(scene.source.is_placed());
}
