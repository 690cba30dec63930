//! Files that a rotation copies and truncates, and files that an editor saves.

use super::*;

#[test]
fn rows_that_were_cut_off_unread_are_read_from_the_copy() {
    for restarted in [false, true] {
        for unread in ["", "3|c\n4|d\n"] {
            let mut scene = Scene::new();
            scene.append("cdr.txt", "1|a\n2|b\n");
            scene.follow();
            if restarted {
                scene.restart();
            }
            scene.append("cdr.txt", unread);
            scene.copytruncate("cdr.txt", "cdr.txt.1", "");
            scene.append("cdr.txt", "5|e\n");
            let mut expected: Vec<String> = unread
                .lines()
                .map(|line| format!("cdr.txt.1: {line}"))
                .collect();
            expected.push("cdr.txt: 5|e".to_owned());
            let mut lines = scene.follow();
            lines.sort();
            expected.sort();
            assert_eq!(lines, expected, "restarted: {restarted}");
            assert_eq!(scene.follow(), [""; 0]);
            let changes = scene.changes();
            assert!(
                !changes.iter().any(|change| change.starts_with("gap")),
                "{changes:?}"
            );
        }
    }
}

#[test]
fn a_copy_waits_while_the_file_itself_is_read() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1|a\n2|b\n");
    scene.follow();
    fs::copy(scene.path("cdr.txt"), scene.path("cdr.txt.1")).unwrap();
    for n in 3..6 {
        assert_eq!(scene.follow(), [""; 0]);
        scene.append("cdr.txt", format!("{n}|c\n"));
        assert_eq!(scene.follow(), [format!("cdr.txt: {n}|c")]);
    }
    let lag = scene.source.lag(Moment(Duration::ZERO));
    assert_eq!((lag.files, lag.unread_bytes), (1, 0), "it is read there");
    scene.rewrite("cdr.txt", "7|g\n");
    assert_eq!(scene.follow(), ["cdr.txt: 7|g"]);
    for _ in 0..3 {
        scene.wait(5);
        assert_eq!(
            scene.follow(),
            [""; 0],
            "the copy ended before what was read"
        );
    }
}

#[test]
fn rows_written_after_the_copy_and_cut_off_are_told_as_lost() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1|a\n2|b\n");
    scene.follow();
    scene.append("cdr.txt", "3|c\n");
    fs::copy(scene.path("cdr.txt"), scene.path("cdr.txt.1")).unwrap();
    let live = scene.append("cdr.txt", "4|d\n");
    scene.look();
    live.set_len(0).unwrap();
    assert_eq!(scene.follow(), ["cdr.txt.1: 3|c"]);
    let changes = scene.changes();
    assert!(
        changes.contains(&"gap cdr.txt truncated 4".to_owned()),
        "{changes:?}"
    );
}

#[test]
fn a_copy_of_what_was_read_while_it_was_made_gives_no_row_twice() {
    // The copy ends at every byte of what is read after it was made.
    let rows: String = (0..40).map(|n| format!("{n}|a row of the day\n")).collect();
    for cut in (0..rows.len()).step_by(7) {
        let mut scene = Scene::new();
        scene.append("cdr.txt", &rows);
        assert_eq!(scene.follow().len(), 40);
        scene.append("cdr.txt.1", &rows[..cut]);
        scene.append("cdr.txt", "").set_len(0).unwrap();
        scene.wait(30);
        assert_eq!(scene.follow(), [""; 0], "copy cut at {cut}");
        scene.append("cdr.txt", "new|row\n");
        assert_eq!(scene.follow(), ["cdr.txt: new|row"], "copy cut at {cut}");
    }
}

#[test]
fn a_generation_that_is_no_copy_is_read_whole() {
    // The same header and first row, another second one.
    for restarted in [false, true] {
        let mut scene = Scene::new();
        scene.append("cdr.txt", "caller\n1|a\n2|b\n");
        assert_eq!(scene.follow().len(), 3);
        scene.append("cdr.txt.1", "caller\n1|a\n9|z\n");
        if restarted {
            scene.restart();
        }
        let expected = ["cdr.txt.1: caller", "cdr.txt.1: 1|a", "cdr.txt.1: 9|z"];
        assert_eq!(scene.follow(), expected, "restarted: {restarted}");
    }
}

#[test]
fn a_hundred_files_with_the_same_head_are_told_apart() {
    for header_bytes in [1, 10, 2_000] {
        let header = format!("caller{}\nthe same first row\n", "x".repeat(header_bytes));
        for name in [|n: u32| format!("{n}.txt"), |n: u32| format!("cdr.txt.{n}")] {
            let mut scene = Scene::with(|settings| settings.line_max = 8_192);
            for n in 0..100 {
                scene.append(&name(n), format!("{header}{n}|own row\n"));
            }
            let own =
                |lines: Vec<String>| lines.iter().filter(|line| line.contains("own row")).count();
            assert_eq!(own(scene.follow()), 100);
            for n in 0..100 {
                scene.append(&name(n), format!("{n}|second row\n"));
            }
            scene.restart();
            let lines = scene.follow();
            assert_eq!(lines.len(), 100, "{lines:?}");
            assert!(lines.iter().all(|line| line.contains("second row")));
        }
    }
}

#[test]
fn rows_that_an_editor_takes_off_the_end_have_no_row_read_again() {
    let rows: String = (0..100)
        .map(|n| format!("{n}|a row of the day\n"))
        .collect();
    let shorter: String = rows.split_inclusive('\n').take(98).collect();
    for replaced in [false, true] {
        let mut scene = Scene::new();
        scene.append("cdr.txt", &rows);
        assert_eq!(scene.follow().len(), 100);
        scene.changes();
        if replaced {
            scene.append("swap", &shorter);
            scene.rename("swap", "cdr.txt");
        } else {
            scene.rewrite("cdr.txt", &shorter);
        }
        assert_eq!(scene.follow(), [""; 0], "replaced: {replaced}");
        scene.append("cdr.txt", "100|a row\n");
        assert_eq!(
            scene.follow(),
            ["cdr.txt: 100|a row"],
            "replaced: {replaced}"
        );
        let changes = scene.changes();
        assert!(
            !changes.iter().any(|change| change.starts_with("gap")),
            "{changes:?}"
        );
    }
}

#[test]
fn a_deleted_file_is_given_up_after_its_time_and_beyond_its_room() {
    let mut scene = Scene::with(|settings| {
        settings.deleted_keep = Duration::from_secs(600);
        settings.deleted_keep_bytes = 10;
    });
    // A directory in which nothing is left may be away.
    scene.append("0.txt", "");
    for name in ["1.txt", "2.txt"] {
        scene.append(name, "1234\n");
        scene.age(name, 100);
    }
    scene.age("2.txt", 50);
    scene.look();
    scene.remove("1.txt");
    scene.remove("2.txt");
    scene.wait(599);
    scene.look();
    scene.changes();
    // Both fit and neither is late: a third one takes the room of the oldest.
    scene.append("3.txt", "12\n");
    scene.look();
    scene.remove("3.txt");
    for _ in 0..4 {
        scene.look();
    }
    assert_eq!(
        scene.changes(),
        [
            "appeared 3.txt",
            "vanished 1.txt 5",
            "gap 1.txt deleted_files_keep 5"
        ]
    );
    assert_eq!(scene.source.tails.keys().len(), 2);
    scene.wait(601);
    for _ in 0..4 {
        scene.look();
    }
    let mut changes = scene.changes();
    changes.sort();
    assert_eq!(
        changes,
        [
            "gap 2.txt deleted_files_keep 5",
            "gap 3.txt deleted_files_keep 3",
            "vanished 2.txt 5",
            "vanished 3.txt 3"
        ]
    );
    assert_eq!(scene.source.tails.keys(), []);
    assert_eq!(scene.drain(), [""; 0]);
}

#[test]
fn a_file_that_was_packed_before_it_could_be_opened_is_not_told_as_lost() {
    let mut scene = Scene::with(|settings| settings.open_files_max = 1);
    scene.append("a.txt", "1\n");
    scene.append("cdr.txt", "2\n");
    scene.age("a.txt", 9);
    scene.look();
    // The one descriptor is taken.
    scene.gzip("cdr.txt");
    let mut lines = scene.follow();
    lines.sort();
    assert_eq!(lines, ["a.txt: 1", "cdr.txt.gz: 2"]);
    for _ in 0..6 {
        scene.look();
    }
    let changes = scene.changes();
    assert!(
        !changes.iter().any(|change| change.starts_with("gap")),
        "{changes:?}"
    );
}

#[test]
fn a_file_that_is_written_again_as_it_was_bit_by_bit_has_no_row_read_again() {
    let row = |n: usize| format!("{n}|a row of the day\n");
    for (first, blank_looks) in [(0, 1), (0, 9), (1, 1), (40, 1), (99, 1)] {
        let mut scene = Scene::new();
        let mut rows: String = (0..100).map(row).collect();
        scene.append("cdr.txt", &rows);
        assert_eq!(scene.follow().len(), 100);
        for round in 0..3 {
            let case = format!("{first}, {blank_looks}, {round}");
            scene.wait(30);
            scene.changes();
            rows.push_str(&row(100 + round));
            let bytes = rows.len() - row(100 + round).len();
            let kept: usize = rows.split_inclusive('\n').take(first).map(str::len).sum();
            scene.rewrite("cdr.txt", &rows[..kept]);
            for _ in 0..blank_looks {
                assert_eq!(scene.follow(), [""; 0], "{case}");
            }
            // Pieces end within rows.
            for from in (kept..bytes).step_by(333) {
                scene.now = scene.now.after(Duration::from_millis(900));
                scene.append("cdr.txt", &rows[from..bytes.min(from + 333)]);
                scene.source.glance(scene.now);
                assert_eq!(scene.drain(), [""; 0], "{case}");
                assert_eq!(scene.follow(), [""; 0], "{case}");
            }
            scene.append("cdr.txt", &rows[bytes..]);
            let added = rows[bytes..].trim_end();
            assert_eq!(scene.follow(), [format!("cdr.txt: {added}")], "{case}");
            let mut changes = scene.changes();
            changes.retain(|change| change.starts_with("gap"));
            assert_eq!(changes, [""; 0], "{case}");
        }
    }
}

#[test]
fn rows_that_a_restored_backup_lacks_are_read_from_the_copy_that_was_made_before_or_told_as_lost() {
    for is_copied in [true, false] {
        let mut scene = Scene::new();
        scene.append("cdr.txt", "1|a\n2|b\n3|c\n");
        assert_eq!(scene.follow().len(), 3);
        scene.append("cdr.txt", "4|d\n");
        scene.look();
        if is_copied {
            fs::copy(scene.path("cdr.txt"), scene.path("cdr.txt.1")).unwrap();
        }
        scene.rewrite("cdr.txt", "1|a\n2|b\n");
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.extend(scene.follow());
            scene.wait(1);
        }
        let mut told = scene.changes();
        told.retain(|change| change.starts_with("gap"));
        match is_copied {
            true => assert_eq!(
                (seen, told),
                (vec!["cdr.txt.1: 4|d".to_owned()], Vec::new())
            ),
            false => assert_eq!(
                (seen.len(), told),
                (0, vec!["gap cdr.txt truncated 4".to_owned()])
            ),
        }
        scene.append("cdr.txt", "5|e\n");
        assert_eq!(scene.follow(), ["cdr.txt: 5|e"]);
        scene.restart();
        assert_eq!(scene.follow(), [""; 0]);
    }
}

#[test]
fn a_file_that_is_written_again_with_fewer_rows_goes_on_with_what_comes_after_them() {
    let row = |n: usize| format!("{n}|a row of the day\n");
    for left in [1, 60] {
        let mut scene = Scene::new();
        scene.append("cdr.txt", (0..100).map(row).collect::<String>());
        assert_eq!(scene.follow().len(), 100);
        scene.wait(30);
        scene.rewrite("cdr.txt", "");
        scene.follow();
        scene.append("cdr.txt", (0..left).map(row).collect::<String>());
        let mut seen = scene.follow();
        scene.wait(3);
        seen.extend(scene.follow());
        scene.append("cdr.txt", "another row\n");
        seen.extend(scene.follow());
        assert_eq!(seen.pop().unwrap(), "cdr.txt: another row");
        assert_eq!(seen.len(), left, "nothing shows that they are the same");
    }
}

#[test]
fn rows_that_a_rotation_adds_to_one_archive_are_not_read_again_in_it() {
    let row = |n: usize| format!("{n}|a row of the day\n");
    for (is_packed, is_removed) in [(false, false), (true, false), (false, true), (true, true)] {
        for (is_read, between, unread) in [
            (true, false, 0),
            (true, true, 0),
            (true, false, 3),
            (false, true, 0),
        ] {
            let mut scene = Scene::new();
            let archive = if is_packed {
                "cdr.txt.gz"
            } else {
                "cdr.txt.2026"
            };
            let mut next = 0;
            for round in 0..5 {
                let case =
                    format!("{archive}, {is_removed}, {is_read}, {between}, {unread}, {round}");
                for _ in 0..20 {
                    scene.append("cdr.txt", row(next));
                    next += 1;
                }
                if is_read {
                    assert_eq!(scene.follow().len(), 20, "{case}");
                }
                for _ in 0..unread {
                    scene.append("cdr.txt", row(next));
                    next += 1;
                }
                let text = fs::read(scene.path("cdr.txt")).unwrap();
                let added = if is_packed { gzipped(&text) } else { text };
                scene.append(archive, added);
                if between {
                    let expected = if is_read { 0 } else { 20 };
                    let seen = scene.follow();
                    assert_eq!(seen.len(), expected, "{case}: {seen:?}");
                }
                match is_removed {
                    true => scene.remove("cdr.txt"),
                    false => scene.rewrite("cdr.txt", ""),
                }
                let mut seen = Vec::new();
                for _ in 0..4 {
                    seen.extend(scene.follow());
                    scene.wait(5);
                }
                assert_eq!(seen.len(), unread, "{case}: {seen:?}");
                let mut changes = scene.changes();
                changes.retain(|change| change.starts_with("gap"));
                assert_eq!(changes, [""; 0], "{case}");
            }
            // What comes by itself is new.
            if !is_packed {
                scene.append(archive, "a late row\n");
                assert_eq!(scene.follow(), [format!("{archive}: a late row")]);
            }
        }
    }
}

#[test]
fn what_gzip_has_not_finished_adding_to_an_archive_waits_to_be_compared() {
    let rows =
        |from: usize| -> String { (from..from + 20).map(|n| format!("{n}|a row\n")).collect() };
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0));
    assert_eq!(scene.follow().len(), 20);
    scene.append("cdr.txt.gz", gzipped(rows(0).as_bytes()));
    scene.rewrite("cdr.txt", "");
    assert_eq!(scene.follow(), [""; 0]);
    scene.append("cdr.txt", rows(100));
    assert_eq!(scene.follow().len(), 20);
    let added = gzipped(rows(100).as_bytes());
    scene.append("cdr.txt.gz", &added[..12]);
    scene.look();
    scene.append("cdr.txt.gz", &added[12..]);
    assert_eq!(
        scene.drain(),
        [""; 0],
        "it is read once it is known for what it is"
    );
    scene.rewrite("cdr.txt", "");
    assert_eq!(scene.follow(), [""; 0]);
}

#[test]
fn a_file_that_was_added_to_an_archive_before_it_could_be_opened_is_not_told_as_lost() {
    for (archive, is_removed) in [
        ("cdr.txt.2026", false),
        ("cdr.txt.2026", true),
        ("cdr.txt.gz", true),
    ] {
        let mut scene = Scene::new();
        let add = |scene: &Scene, text: &str| match archive {
            "cdr.txt.gz" => scene.append(archive, gzipped(text.as_bytes())),
            _ => scene.append(archive, text),
        };
        add(&scene, "1|a row\n2|a row\n");
        assert_eq!(scene.follow().len(), 2);
        for _ in 0..10 {
            scene.wait(2);
            scene.look();
        }
        scene.append("cdr.txt", "3|a row\n4|a row\n");
        // It is listed, and gone before it is opened.
        scene.set_mode("cdr.txt", 0o000);
        assert_eq!(scene.follow_as_nobody(), [""; 0]);
        scene.set_mode("cdr.txt", 0o644);
        add(&scene, "3|a row\n4|a row\n");
        match is_removed {
            true => scene.remove("cdr.txt"),
            false => scene.rewrite("cdr.txt", ""),
        }
        let mut seen = Vec::new();
        for _ in 0..5 {
            scene.wait(6);
            seen.extend(scene.follow());
        }
        assert_eq!(seen.len(), 2, "{archive}, {is_removed}: {seen:?}");
        assert_eq!(scene.gaps, [], "{archive}, {is_removed}");
    }
}

#[test]
fn rows_that_are_added_to_an_archive_every_second_are_read_once() {
    let row = |n: usize| format!("{n}|a row of the day\n");
    for (is_packed, is_removed) in [(false, false), (true, false), (false, true), (true, true)] {
        for (read, unread) in [(20, 0), (20, 3), (0, 3), (2, 1)] {
            let mut scene = Scene::new();
            let archive = if is_packed {
                "cdr.txt.gz"
            } else {
                "cdr.txt.2026"
            };
            let mut next = 0;
            let mut seen = Vec::new();
            for round in 0..30 {
                for part in [read, unread] {
                    for _ in 0..part {
                        scene.append("cdr.txt", row(next));
                        next += 1;
                    }
                    if part == read {
                        seen.extend(scene.follow());
                    }
                }
                let text = fs::read(scene.path("cdr.txt")).unwrap();
                let added = if is_packed { gzipped(&text) } else { text };
                scene.append(archive, added);
                if round % 3 == 0 {
                    seen.extend(scene.follow());
                }
                match is_removed {
                    true => scene.remove("cdr.txt"),
                    false => scene.rewrite("cdr.txt", ""),
                }
                if round % 4 != 0 {
                    seen.extend(scene.follow());
                }
                scene.wait(1);
            }
            for _ in 0..20 {
                seen.extend(scene.follow());
                scene.wait(5);
            }
            let number = |line: &String| -> usize {
                let row = line.split_once(": ").unwrap().1;
                row.split_once('|').unwrap().0.parse().unwrap()
            };
            let mut rows: Vec<usize> = seen.iter().map(number).collect();
            rows.sort_unstable();
            let case = format!("{archive}, {is_removed}, {read}, {unread}");
            let missing: Vec<usize> = (0..next).filter(|n| !rows.contains(n)).collect();
            assert_eq!(missing, [0; 0], "{case}");
            let are_once = rows.windows(2).all(|two| two[0] != two[1]);
            assert!(are_once, "{case}: {rows:?}");
            let is_seen = |gap: &Gap| gap.bytes != Some(0);
            assert!(!scene.gaps.iter().any(is_seen), "{case}: {:?}", scene.gaps);
        }
    }
}
