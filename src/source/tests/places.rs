//! Directories, links, owners and large numbers of files.

use super::*;
use std::os::unix::fs::symlink;

#[test]
fn a_directory_removed_and_made_anew_is_followed_again() {
    let mut scene = Scene::new();
    scene.settings.files = vec![format!("{}/cdr/*.txt", scene.dir.path().display())];
    scene.source = Source::open(scene.settings.clone(), is_header(), Vec::new(), false);
    for round in 0..3 {
        fs::create_dir(scene.path("cdr")).unwrap();
        scene.append("cdr/a.txt", format!("{round}|1\n"));
        assert_eq!(scene.follow(), [format!("a.txt: {round}|1")]);
        scene.append("cdr/a.txt", format!("{round}|2\n"));
        fs::remove_dir_all(scene.path("cdr")).unwrap();
        assert_eq!(scene.follow(), [format!("a.txt: {round}|2")], "it was open");
        scene.wait(61);
        assert_eq!(scene.follow(), [""; 0]);
    }
}

#[test]
fn a_link_is_followed_to_where_it_leads_now() {
    let mut scene = Scene::new();
    scene.settings.files = vec![format!("{}/current.txt", scene.dir.path().display())];
    scene.source = Source::open(scene.settings.clone(), is_header(), Vec::new(), false);
    for day in 1..4 {
        let name = format!("day{day}");
        scene.append(&name, format!("{day}|1\n"));
        let _none_yet = fs::remove_file(scene.path("current.txt"));
        symlink(&name, scene.path("current.txt")).unwrap();
        assert_eq!(scene.follow(), [format!("current.txt: {day}|1")]);
        // Rows that the switch adds to the old one while the link leads elsewhere already.
        if day > 1 {
            scene.append(&format!("day{}", day - 1), format!("{}|late\n", day - 1));
            assert_eq!(scene.follow(), [format!("current.txt: {}|late", day - 1)]);
        }
    }
}

#[test]
fn the_last_file_moved_to_another_directory_goes_on_there() {
    let mut scene = Scene::new();
    fs::create_dir(scene.path("done")).unwrap();
    let globs =
        ["*.txt", "done/*.txt"].map(|glob| format!("{}/{glob}", scene.dir.path().display()));
    scene.settings.files = globs.to_vec();
    scene.source = Source::open(scene.settings.clone(), is_header(), Vec::new(), false);
    for minute in 0..20 {
        let name = format!("{minute:02}.txt");
        scene.append(&name, "1\n");
        assert_eq!(scene.follow(), [format!("{name}: 1")]);
        scene.append(&name, "2\n");
        scene.rename(&name, &format!("done/{name}"));
        if minute % 3 == 0 {
            scene.restart();
        }
        assert_eq!(scene.follow(), [format!("{name}: 2")]);
        scene.wait(60);
    }
}

#[test]
fn times_of_modification_that_go_backwards_lose_nothing() {
    let mut scene = Scene::new();
    for n in 0..20 {
        scene.append("cdr.txt", format!("{n}\n"));
        scene.age("cdr.txt", 1_000 + n * 60);
        if n % 5 == 4 {
            scene.rename("cdr.txt", &format!("cdr.txt.{n}"));
        }
        assert_eq!(scene.follow().len(), 1, "row {n}");
    }
}

#[test]
fn files_of_a_group_are_read_by_its_members_alone() {
    let mut scene = Scene::new();
    let kunshi = nix::unistd::Gid::from_raw(4_711);
    scene.append("cdr.txt", "1\n");
    scene.set_mode("", 0o755);
    if nix::unistd::chown(&scene.path("cdr.txt"), None, Some(kunshi)).is_err() {
        let line =
            b"\nSKIPPED source::tests::places::files_of_a_group_are_read_by_its_members_alone: \
            only root can give a file to a group; .ci/run runs the tests as root\n";
        let _told = std::io::stderr().write_all(line);
        return;
    }
    scene.set_mode("cdr.txt", 0o660);
    assert_eq!(scene.follow_as_nobody(), [""; 0]);
    assert_eq!(scene.look().changes.len(), 0);
    assert_eq!(scene.changes().last().unwrap(), "unreadable 1: cdr.txt");
    scene.wait(6);
    let before = nix::unistd::setfsgid(kunshi);
    assert_eq!(scene.follow_as_nobody(), ["cdr.txt: 1"]);
    nix::unistd::setfsgid(before);
}

#[test]
fn a_file_that_could_not_be_read_is_nobody_s_trouble_once_it_is_gone() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1\n");
    scene.set_mode("", 0o755);
    scene.set_mode("cdr.txt", 0o600);
    assert_eq!(scene.follow_as_nobody(), [""; 0]);
    scene.look();
    assert_eq!(scene.changes().last().unwrap(), "unreadable 1: cdr.txt");
    scene.remove("cdr.txt");
    scene.wait(1);
    scene.look();
    assert!(
        scene
            .changes()
            .iter()
            .any(|change| change == "readable 1: cdr.txt"),
        "{:?}",
        scene.changes()
    );
}

#[test]
fn a_line_of_a_hundred_mebibytes_and_one_without_an_end_are_passed_over() {
    let mut scene = Scene::with(|settings| settings.line_max = 64 << 10);
    scene.append("cdr.txt", "1\n");
    let block = vec![b'x'; 1 << 20];
    let mut file = scene.append("cdr.txt", "");
    for _ in 0..100 {
        file.write_all(&block).unwrap();
    }
    file.write_all(b"\n2\n").unwrap();
    let long = (100 << 20) + 1;
    let expected = [
        "cdr.txt: 1".to_owned(),
        format!("cdr.txt: {long} bytes at 2, line 2"),
        "cdr.txt: 2".to_owned(),
    ];
    assert_eq!(scene.follow(), expected);
    for _ in 0..20 {
        file.write_all(&block).unwrap();
        assert_eq!(scene.follow(), [""; 0]);
    }
    let held = scene.source.window.capacity();
    assert!(held <= 1 << 20, "{held} bytes held");
    scene.append("b.txt", "3\n");
    assert_eq!(scene.follow(), ["b.txt: 3"], "another file goes on");
    assert_eq!(
        scene.source.lag(Moment(Duration::ZERO)).unread_bytes,
        20 << 20
    );
}

#[test]
fn a_thousand_files_rotated_at_once_are_read_on_where_they_were() {
    const FILES: usize = 1_000;
    for restarted in [false, true] {
        let mut scene = Scene::with(|settings| settings.open_files_max = 32);
        let name = |n: usize| format!("{n:04}.txt");
        for n in 0..FILES {
            scene.append(&name(n), format!("{n}|a\n{n}|b\n"));
        }
        assert_eq!(scene.follow().len(), 2 * FILES);
        if restarted {
            scene.restart();
        }
        for n in 0..FILES {
            scene.append(&name(n), format!("{n}|c\n"));
            scene.age(&name(n), 9);
            match n % 3 {
                0 => scene.rename(&name(n), &format!("{}.1", name(n))),
                1 => scene.gzip(&name(n)),
                _ => scene.copytruncate(&name(n), &format!("{}.1", name(n)), ""),
            }
            scene.append(&name(n), format!("{n}|d\n"));
        }
        let mut rows: Vec<String> = scene
            .follow()
            .iter()
            .map(|line| line.split(' ').nth(1).unwrap().to_owned())
            .collect();
        rows.sort();
        let mut expected: Vec<String> = (0..FILES)
            .flat_map(|n| [format!("{n}|c"), format!("{n}|d")])
            .collect();
        expected.sort();
        assert!(
            rows == expected,
            "restarted: {restarted}: {} rows of {}",
            rows.len(),
            expected.len()
        );
    }
}

#[test]
fn files_that_come_and_go_for_months_leave_no_state() {
    // A day of many small files, kept for two days and packed after one.
    const FILES: usize = 80;
    let mut scene = Scene::new();
    for day in 0..20_usize {
        for n in 0..FILES {
            scene.append(&format!("{day:03}-{n:03}.txt"), format!("{day}|{n}\n"));
            scene.age(&format!("{day:03}-{n:03}.txt"), 60);
        }
        assert_eq!(scene.follow().len(), FILES, "day {day}");
        for n in 0..FILES {
            if day >= 1 {
                scene.gzip(&format!("{:03}-{n:03}.txt", day - 1));
            }
            if day >= 2 {
                scene.remove(&format!("{:03}-{n:03}.txt.gz", day - 2));
            }
        }
        for _ in 0..12 {
            scene.wait(7_200);
            assert_eq!(scene.follow(), [""; 0], "day {day}");
        }
        let kept = scene.positions.len();
        assert!(kept <= 3 * FILES, "{kept} positions on day {day}");
        assert!(scene.source.files.len() <= 3 * FILES);
        assert!(scene.source.pasts.len() <= FILES);
    }
}

#[test]
fn a_file_whose_name_is_no_text_is_followed_through_a_start_a_rotation_and_a_cut() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    for glob in ["d1/*.txt", "d*/*.txt", "**/*.txt"] {
        let mut scene = Scene::new();
        scene.settings.files = vec![format!("{}/{glob}", scene.dir.path().display())];
        scene.settings.exclude = vec!["*old*".to_owned()];
        scene.source = Source::open(scene.settings.clone(), is_header(), Vec::new(), false);
        fs::create_dir(scene.path("d1")).unwrap();
        let directory = scene.path("d1");
        // "Test" in GBK.
        let at = |ending: &str| {
            let name = [b"\xb2\xe2\xca\xd4", ending.as_bytes()].concat();
            directory.join(OsStr::from_bytes(&name))
        };
        let (file, generation) = (at(".txt"), at(".txt.1"));
        fs::write(at("old.txt"), "left out\n").unwrap();
        fs::write(&file, "1|1\n").unwrap();
        assert_eq!(
            scene.follow(),
            ["\u{fffd}\u{fffd}\u{fffd}\u{fffd}.txt: 1|1"]
        );
        scene.changes();
        fs::write(&file, "1|1\n1|2\n").unwrap();
        scene.restart();
        assert_eq!(
            scene.follow(),
            ["\u{fffd}\u{fffd}\u{fffd}\u{fffd}.txt: 1|2"]
        );
        let told = scene.changes();
        let renamed = told.iter().find(|change| change.starts_with("vanished"));
        assert_eq!(renamed, None, "{glob}: {told:?}");
        fs::rename(&file, &generation).unwrap();
        fs::write(&file, "2|1\n").unwrap();
        assert_eq!(
            scene.follow(),
            ["\u{fffd}\u{fffd}\u{fffd}\u{fffd}.txt: 2|1"]
        );
        fs::copy(&file, at(".txt.2")).unwrap();
        fs::write(&file, "").unwrap();
        scene.restart();
        for _ in 0..5 {
            assert_eq!(scene.follow(), [""; 0]);
        }
        let told = scene.changes();
        let gap = told.iter().find(|change| change.starts_with("gap"));
        assert_eq!(gap, None, "{glob}: {told:?}");
    }
}

#[test]
fn a_smaller_share_of_open_files_holds_at_once_and_costs_no_row() {
    let mut scene = Scene::new();
    for n in 0..6 {
        scene.append(&format!("{n}.txt"), format!("{n}|1\n"));
    }
    assert_eq!(scene.follow().len(), 6);
    // The one that could not be opened again stays.
    scene.append("0.txt", "0|2\n0|");
    scene.look();
    scene.remove("0.txt");
    scene.look();
    let mut share = scene.source.settings.share();
    share.open_files_max = 2;
    scene.source.reshare(share);
    assert_eq!(scene.source.tails.keys().len(), 2);
    for n in 1..6 {
        scene.append(&format!("{n}.txt"), format!("{n}|2\n"));
    }
    let rows = scene.follow();
    assert!(rows.contains(&"0.txt: 0|2".to_owned()), "{rows:?}");
    assert_eq!(rows.len(), 6);
    assert_eq!(scene.source.tails.keys().len(), 2);
}
