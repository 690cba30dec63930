//! What a look costs, tells and forgets.

use super::*;
use std::os::unix::fs::symlink;

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
    let peeked = u64::try_from(hold::PEEKED_MAX).unwrap();
    assert_eq!(opens, 2_000 + peeked, "each is opened once to be read");
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
fn files_that_wait_long_to_be_read_are_told_before_they_can_be_deleted() {
    let mut scene = Scene::new();
    scene.append("cdr.txt.2", "1\n");
    scene.append("cdr.txt.1", "22\n");
    scene.append("cdr.txt", "333\n");
    for (name, age) in [("cdr.txt.2", 900), ("cdr.txt.1", 800)] {
        scene.age(name, age);
    }
    scene.look();
    scene.wait(599);
    scene.look();
    assert_eq!(scene.source.waiting_long(), None);
    scene.wait(1);
    scene.look();
    let waiting = scene.source.waiting_long().unwrap();
    assert!(waiting.path.ends_with("cdr.txt.2"), "{waiting:?}");
    assert_eq!(
        (waiting.files, waiting.bytes),
        (2, 5),
        "the newest is no rotation's yet"
    );
    scene.drain();
    assert_eq!(scene.source.waiting_long(), None);
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
        ["appeared cdr.txt", "unreadable 2: link.txt"]
    );
    scene.append("target", "2\n");
    fs::remove_file(scene.path("loop.txt")).unwrap();
    assert_eq!(scene.follow(), ["link.txt: 2"]);
    assert_eq!(
        scene.changes(),
        ["appeared link.txt", "readable 2: link.txt"]
    );
}

#[test]
fn a_file_that_may_not_be_read_is_told_once_and_tried_again() {
    let mut scene = Scene::new();
    scene.append("a.txt", "1\n");
    scene.append("b.txt", "2\n");
    scene.set_mode("", 0o755);
    scene.set_mode("a.txt", 0o000);
    scene.set_mode("b.txt", 0o644);
    assert_eq!(scene.follow_as_nobody(), ["b.txt: 2"]);
    for _ in 0..10 {
        scene.wait(1);
        assert_eq!(scene.follow_as_nobody(), [""; 0]);
    }
    assert_eq!(
        scene.changes(),
        ["appeared a.txt", "appeared b.txt", "unreadable 1: a.txt"]
    );
    assert!(
        scene.source.opens() <= 4,
        "{} opens in 10 s",
        scene.source.opens()
    );
    scene.set_mode("a.txt", 0o644);
    scene.wait(5);
    assert_eq!(scene.follow(), ["a.txt: 1"]);
    scene.look();
    assert_eq!(scene.changes(), ["readable 1: a.txt"]);
}

#[test]
fn paths_passed_over_are_told_once_for_each_reason() {
    let mut scene = Scene::with(|settings| settings.exclude = vec!["test*".to_owned()]);
    for name in ["test.txt", "a.txt.xz", "b.txt.bz2", "c.txt.tmp", ".d.txt"] {
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

#[test]
fn many_unreadable_files_are_told_in_one_change() {
    let mut scene = Scene::with(|settings| settings.start = Start::Now);
    scene.set_mode("", 0o755);
    for n in 0..50 {
        scene.append(&format!("{n:02}.txt"), "1\n");
        scene.set_mode(&format!("{n:02}.txt"), 0o000);
    }
    let told = |scene: &mut Scene| -> Vec<String> {
        let told = scene.changes().into_iter();
        told.filter(|change| change.contains("readable")).collect()
    };
    scene.follow_as_nobody();
    scene.follow_as_nobody();
    let counted = told(&mut scene);
    let [line] = &counted[..] else {
        panic!("{counted:?}")
    };
    assert!(line.starts_with("unreadable 50: "), "{line}");
    scene.wait(5);
    scene.follow();
    let counted = told(&mut scene);
    let [line] = &counted[..] else {
        panic!("{counted:?}")
    };
    assert!(line.starts_with("readable 50: "), "{line}");
}

#[test]
fn a_directory_that_may_not_be_read_hides_only_what_is_in_it() {
    let mut scene = Scene::with(|settings| {
        let glob = settings.files[0].replace("/*.txt*", "/**/*.txt");
        (settings.files, settings.start) = (vec![glob], Start::Now);
    });
    scene.set_mode("", 0o755);
    fs::create_dir(scene.path("lost+found")).unwrap();
    scene.append("1.txt", "1\n");
    scene.append("lost+found/old.txt", "2\n");
    scene.set_mode("lost+found", 0o000);
    assert_eq!(scene.follow_as_nobody(), [""; 0]);
    assert_eq!(
        scene.changes(),
        ["appeared 1.txt", "unreadable 1: lost+found"]
    );
    assert!(scene.source.is_placed(), "there are files to go on from");
    scene.append("2.txt", "3\n");
    assert_eq!(scene.follow_as_nobody(), ["2.txt: 3"], "it is new");
    fs::remove_file(scene.path("1.txt")).unwrap();
    scene.follow_as_nobody();
    assert_eq!(scene.changes(), ["appeared 2.txt", "vanished 1.txt 0"]);
    scene.set_mode("lost+found", 0o755);
    assert_eq!(scene.follow(), [""; 0], "it was there at the first look");
    scene.append("lost+found/old.txt", "4\n");
    scene.append("lost+found/new.txt", "5\n");
    let mut lines = scene.follow();
    lines.sort();
    assert_eq!(lines, ["new.txt: 5", "old.txt: 4"]);
    scene.changes();
    scene.set_mode("lost+found", 0o000);
    scene.wait(61);
    scene.follow_as_nobody();
    assert_eq!(scene.changes(), ["unreadable 1: lost+found"]);
}

#[test]
fn a_file_left_out_because_there_are_too_many_is_not_told_as_vanished() {
    let mut scene = Scene::new();
    scene.append("old.txt", "1\n");
    scene.age("old.txt", 1_000);
    assert_eq!(scene.follow(), ["old.txt: 1"]);
    scene.changes();
    for n in 0..FILES_FOLLOWED_MAX {
        File::create(scene.path(&format!("{n}.txt"))).unwrap();
    }
    for _ in 0..12 {
        scene.wait(600);
        scene.look();
    }
    scene
        .changes
        .retain(|change| !change.starts_with("appeared"));
    assert_eq!(scene.changes(), ["too many 1"]);
    fs::remove_file(scene.path("old.txt")).unwrap();
}

#[test]
fn four_hundred_days_of_hourly_files_cost_a_start_one_look() {
    let mut scene = Scene::new();
    for hour in 0..400 * 24 {
        let name = format!("cdr_{hour:05}.txt");
        scene.append(&name, format!("{hour}|a\n{hour}|b\n"));
        scene.age(&name, 90 + (400 * 24 - hour) * 3_600);
    }
    assert_eq!(scene.follow().len(), 400 * 24 * 2);
    scene.wait(90);
    scene.look();
    let began = std::time::Instant::now();
    scene.restart();
    scene.look();
    let took = began.elapsed();
    // One in each file to know it again; it takes 0.14 s in a debug build.
    assert_eq!(scene.source.opens(), 400 * 24);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(scene.drain(), [""; 0]);
    scene.wait(1);
    assert!(scene.source.is_settled());
    scene.look();
    assert_eq!(scene.source.opens(), 400 * 24);
    scene.append("cdr_00007.txt", "7|c\n");
    assert_eq!(scene.follow(), ["cdr_00007.txt: 7|c"]);
}

#[test]
fn a_source_is_settled_once_everything_is_read_and_known() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1|a\n");
    scene.look();
    assert!(!scene.source.is_settled(), "there is something to read");
    scene.drain();
    scene.look();
    assert!(scene.source.is_settled());
    scene.append("cdr.txt", "2|b\n");
    scene.source.glance(scene.now);
    assert!(!scene.source.is_settled());
    scene.drain();
    assert!(scene.source.is_settled());
    scene.rewrite("cdr.txt", "");
    scene.source.glance(scene.now);
    assert!(!scene.source.is_settled(), "what became of it?");
    scene.look();
    assert!(!scene.source.is_settled(), "a copy may still be found");
    scene.look_well();
    scene.look();
    assert!(scene.source.is_settled());
    scene.append("new.txt", "3|c\n");
    scene.set_mode("new.txt", 0);
    scene.set_mode("", 0o755);
    scene.follow_as_nobody();
    assert!(!scene.source.is_settled(), "it is to be tried again");
}
