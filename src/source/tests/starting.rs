//! Where following begins.

use super::looks::as_nobody;
use super::*;
use std::os::unix::fs::PermissionsExt;

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

#[test]
fn what_the_first_look_could_not_see_into_is_not_new_when_it_comes_to_light() {
    let mut scene = Scene::with(|settings| {
        settings.start = Start::Now;
        settings.files = vec![settings.files[0].replace("*.txt", "day/*.txt")];
    });
    // A directory that cannot be listed, whoever looks.
    fs::write(scene.path("day"), "").unwrap();
    assert_eq!(scene.follow(), [""; 0]);
    assert!(
        !scene.source.is_placed(),
        "where to start is open for what is hidden"
    );
    assert_eq!(scene.changes(), ["unreadable day"]);
    fs::remove_file(scene.path("day")).unwrap();
    fs::create_dir(scene.path("day")).unwrap();
    scene.append("day/old.txt", "1\n2\n");
    // It is seen for the first time in the look in which it comes to light.
    assert_eq!(scene.follow(), [""; 0]);
    assert!(scene.source.is_placed());
    scene.append("day/old.txt", "3\n");
    scene.wait(1);
    assert_eq!(scene.follow(), ["old.txt: 3"]);
    scene.append("day/new.txt", "4\n");
    scene.wait(1);
    assert_eq!(scene.follow(), ["new.txt: 4"]);
}

#[test]
fn a_file_that_could_not_be_read_at_first_still_starts_at_its_end_after_a_restart() {
    let mut scene = Scene::with(|settings| settings.start = Start::Now);
    scene.append("a.txt", "1\n2\n");
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(scene.dir.path(), 0o755);
    set_mode(&scene.path("a.txt"), 0o000);
    as_nobody(|| assert_eq!(scene.follow(), [""; 0]));
    assert_eq!(scene.positions.len(), 1, "what is open is written down");
    set_mode(&scene.path("a.txt"), 0o644);
    scene.restart();
    scene.wait(10);
    assert_eq!(scene.follow(), [""; 0]);
    scene.append("a.txt", "3\n");
    scene.wait(1);
    assert_eq!(scene.follow(), ["a.txt: 3"]);
}
