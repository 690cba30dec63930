//! What a look costs, tells and forgets.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn two_thousand_quiet_files_cost_no_opens() {
    let mut scene = Scene::new();
    for n in 0..2_000 {
        let name = format!("{n}.txt");
        scene.append(&name, "1\n");
        scene.age(&name, 1_000);
    }
    assert_eq!(scene.follow().len(), 2_000);
    let opens = scene.source.opens();
    assert_eq!(opens, 2_000, "each is opened once to be read");
    for _ in 0..3 {
        scene.wait(60);
        assert_eq!(scene.follow(), [""; 0]);
    }
    assert_eq!(scene.source.opens(), opens);
    scene.append("77.txt", "2\n");
    assert_eq!(scene.follow(), ["77.txt: 2"]);
    assert_eq!(scene.source.opens(), opens + 1);
}

#[test]
fn a_file_being_written_is_opened_once() {
    let mut scene = Scene::new();
    for n in 0..100 {
        scene.append("cdr.txt", format!("{n}\n"));
        scene.wait(90);
        assert_eq!(scene.follow(), [format!("cdr.txt: {n}")]);
    }
    assert_eq!(scene.source.opens(), 1);
}

#[test]
fn a_glance_finds_what_an_open_file_has_grown_by() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1\n");
    scene.follow();
    assert!(!scene.source.glance(scene.now));
    scene.append("cdr.txt", "2\n");
    assert!(scene.source.glance(scene.now));
    assert_eq!(scene.drain(), ["cdr.txt: 2"]);
    scene.rewrite("cdr.txt", "3");
    assert!(
        !scene.source.glance(scene.now),
        "a look has to find out what became of it"
    );
    scene.append("cdr.txt", "\n");
    assert_eq!(scene.follow(), ["cdr.txt: 3"]);
}

#[test]
fn one_descriptor_is_enough_for_many_files_being_written() {
    let mut scene = Scene::with(|settings| settings.open_files_max = 1);
    for n in 0..5 {
        for name in ["a.txt", "b.txt", "c.txt"] {
            scene.append(name, format!("{n}"));
            assert_eq!(scene.follow(), [""; 0]);
            scene.append(name, "\n");
            assert_eq!(scene.follow(), [format!("{name}: {n}")]);
        }
    }
}

#[test]
fn a_path_that_cannot_be_followed_is_told_when_it_begins_and_when_it_ends() {
    let mut scene = Scene::new();
    symlink("loop.txt", scene.path("loop.txt")).unwrap();
    symlink("target", scene.path("link.txt")).unwrap();
    scene.append("cdr.txt", "1\n");
    assert_eq!(scene.follow(), ["cdr.txt: 1"]);
    scene.look();
    assert_eq!(
        scene.changes(),
        [
            "unreadable link.txt",
            "unreadable loop.txt",
            "appeared cdr.txt"
        ]
    );
    scene.append("target", "2\n");
    fs::remove_file(scene.path("loop.txt")).unwrap();
    assert_eq!(scene.follow(), ["link.txt: 2"]);
    assert_eq!(
        scene.changes(),
        [
            "readable link.txt",
            "readable loop.txt",
            "appeared link.txt"
        ]
    );
}

#[test]
fn a_file_that_may_not_be_read_is_told_once_and_tried_again() {
    let mut scene = Scene::new();
    scene.append("a.txt", "1\n");
    scene.append("b.txt", "2\n");
    let set_mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(scene.dir.path(), 0o755);
    set_mode(&scene.path("a.txt"), 0o000);
    set_mode(&scene.path("b.txt"), 0o644);
    as_nobody(|| {
        assert_eq!(scene.follow(), ["b.txt: 2"]);
        for _ in 0..10 {
            scene.wait(1);
            assert_eq!(scene.follow(), [""; 0]);
        }
    });
    assert_eq!(
        scene.changes(),
        ["appeared a.txt", "appeared b.txt", "unreadable a.txt"]
    );
    assert!(
        scene.source.opens() <= 4,
        "{} opens in 10 s",
        scene.source.opens()
    );
    set_mode(&scene.path("a.txt"), 0o644);
    scene.wait(5);
    assert_eq!(scene.follow(), ["a.txt: 1"]);
    scene.look();
    assert_eq!(scene.changes(), ["readable a.txt"]);
}

/// Root may read everything: does `act` with the file access of nobody, where there is the choice.
pub(super) fn as_nobody(act: impl FnOnce()) {
    let nobody = nix::unistd::Uid::from_raw(65_534);
    let before = nix::unistd::setfsuid(nobody);
    act();
    nix::unistd::setfsuid(before);
}

#[test]
fn paths_passed_over_are_told_once_for_each_reason() {
    let mut scene = Scene::with(|settings| settings.exclude = vec!["test*".to_owned()]);
    for name in ["test.txt", "a.txt.gz", "b.txt.gz", "c.txt.tmp", ".d.txt"] {
        scene.append(name, "1\n");
    }
    fs::create_dir(scene.path("e.txt")).unwrap();
    assert_eq!(scene.follow(), [""; 0]);
    scene.look();
    let told = scene.changes();
    assert_eq!(
        told,
        [
            "skipped 1 Excluded",
            "skipped 1 Temporary",
            "skipped 1 NotRegular",
            "skipped 2 Compressed"
        ]
    );
}

#[test]
fn a_vanished_file_is_forgotten_after_an_hour_and_ten_looks() {
    let mut scene = Scene::new();
    scene.append("a.txt", "1\n");
    scene.append("b.txt", "2\n");
    scene.follow();
    fs::remove_file(scene.path("a.txt")).unwrap();
    scene.wait(61);
    scene.look();
    scene.wait(3_600);
    for _ in 0..9 {
        assert_eq!(scene.look().forgotten, []);
    }
    assert_eq!(scene.look().forgotten.len(), 1);
    assert_eq!((scene.positions.len(), scene.source.files.len()), (1, 1));
}

#[test]
fn nothing_is_forgotten_while_the_whole_directory_is_away() {
    let mut scene = Scene::new();
    scene.append("a.txt", "1\n");
    scene.follow();
    let (dir, away) = (scene.dir.path().to_owned(), tempfile::tempdir().unwrap());
    fs::rename(&dir, away.path().join("cdr")).unwrap();
    for _ in 0..100 {
        scene.wait(600);
        assert_eq!(scene.look().forgotten, []);
    }
    fs::rename(away.path().join("cdr"), &dir).unwrap();
    scene.append("a.txt", "2\n");
    assert_eq!(scene.follow(), ["a.txt: 2"]);
    assert_eq!(
        scene.changes(),
        ["appeared a.txt", "vanished a.txt 0", "appeared a.txt"]
    );
}

#[test]
fn no_more_than_so_many_vanished_files_are_remembered() {
    let mut scene = Scene::new();
    let remembered = (0..FILES_REMEMBERED_MAX as u64 + 3).map(|inode| {
        let key = FileKey {
            device: u64::MAX,
            inode,
        };
        FilePosition::start_of(key, format!("/cdr/{inode}.txt"), 0)
    });
    scene.source = Source::open(
        scene.settings.clone(),
        is_header(),
        remembered.collect(),
        true,
    );
    let looked = scene.look();
    assert_eq!(looked.forgotten.len(), 3);
    assert_eq!(scene.source.files.len(), FILES_REMEMBERED_MAX);
}

#[test]
fn a_glob_that_cannot_be_understood_stops_the_look() {
    let mut scene = Scene::with(|settings| settings.files = vec!["/cdr/***".to_owned()]);
    assert!(matches!(
        scene.source.look(scene.now),
        Err(SourceError::Glob { .. })
    ));
}
