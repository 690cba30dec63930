//! Files are renamed, truncated, removed and replaced.

use super::*;

#[test]
fn hourly_files_appear_and_old_ones_are_finished_first() {
    let mut scene = Scene::new();
    scene.append("b09.txt", "1\n2\n");
    assert_eq!(scene.follow(), ["b09.txt: 1", "b09.txt: 2"]);
    scene.append("b09.txt", "3\n");
    scene.append("a10.txt", "4\n");
    scene.age("b09.txt", 10);
    scene.age("a10.txt", 5);
    assert_eq!(scene.follow(), ["b09.txt: 3", "a10.txt: 4"]);
    scene.append("b09.txt", "late\n");
    scene.append("a10.txt", "5\n");
    scene.age("b09.txt", 4);
    assert_eq!(scene.follow(), ["b09.txt: late", "a10.txt: 5"]);
    assert_eq!(scene.changes(), ["appeared b09.txt", "appeared a10.txt"]);
}

#[test]
fn files_modified_at_one_instant_are_read_in_the_order_of_their_numbers() {
    let mut scene = Scene::new();
    for name in ["cdr10.txt", "cdr9.txt", "cdr11.txt"] {
        scene.append(name, "1\n");
        scene.age(name, 60);
    }
    assert_eq!(
        scene.follow(),
        ["cdr9.txt: 1", "cdr10.txt: 1", "cdr11.txt: 1"]
    );
}

#[test]
fn a_generation_that_is_wiped_before_it_is_deleted_is_not_read_and_no_gap() {
    let noise = |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bytes: Vec<u8> = (0..60_000).map(|_| rng.u8(..)).collect();
        bytes
    };
    for is_renamed in [false, true] {
        for unread in [0, 3] {
            let mut scene = Scene::new();
            let rows: String = (0..2_000).map(|n| format!("{n}|a row\n")).collect();
            scene.append("cdr.txt.1", &rows);
            assert_eq!(scene.follow().len(), 2_000);
            scene.append("cdr.txt.1", "a late row\n".repeat(unread));
            if unread > 0 {
                scene.look();
            }
            let name = if is_renamed { "cdr.txt.2" } else { "cdr.txt.1" };
            scene.rename("cdr.txt.1", name);
            for pass in 0..3 {
                fs::write(scene.path(name), noise(pass)).unwrap();
                assert_eq!(scene.follow(), [""; 0], "{is_renamed}, {unread}");
                scene.wait(3);
                assert_eq!(scene.source.lag(Moment::default()).unread_bytes, 0);
                if pass == 1 {
                    scene.restart();
                }
            }
            scene.rewrite(name, "");
            assert_eq!(scene.follow(), [""; 0], "{is_renamed}, {unread}");
            scene.remove(name);
            for _ in 0..4 {
                assert_eq!(scene.follow(), [""; 0], "{is_renamed}, {unread}");
                scene.wait(20);
            }
            let mut told = scene.changes();
            told.retain(|change| change.starts_with("gap"));
            assert_eq!(
                told.len(),
                usize::from(unread > 0),
                "{is_renamed}: {told:?}"
            );
        }
    }
}

#[test]
fn a_renamed_file_goes_on_where_it_was() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1\n2\n");
    scene.follow();
    scene.rename("cdr.txt", "cdr.txt.1");
    scene.append("cdr.txt.1", "3\n");
    scene.append("cdr.txt", "4\n");
    scene.age("cdr.txt.1", 1);
    assert_eq!(scene.follow(), ["cdr.txt.1: 3", "cdr.txt: 4"]);
    assert_eq!(scene.changes(), ["appeared cdr.txt", "appeared cdr.txt"]);
}

#[test]
fn a_file_renamed_while_the_agent_is_down_goes_on_where_it_was() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1\n2\n");
    scene.follow();
    scene.append("cdr.txt", "3\n");
    for n in (1..=4).rev() {
        let older = scene.path(&format!("cdr.txt.{n}"));
        if older.exists() {
            fs::rename(older, scene.path(&format!("cdr.txt.{}", n + 1))).unwrap();
        }
    }
    scene.rename("cdr.txt", "cdr.txt.1");
    scene.age("cdr.txt.1", 20);
    scene.append("cdr.txt", "4\n");
    scene.changes();
    scene.restart();
    assert_eq!(scene.follow(), ["cdr.txt.1: 3", "cdr.txt: 4"]);
    assert_eq!(scene.changes(), ["appeared cdr.txt"]);
}

#[test]
fn two_files_that_exchange_their_names_go_on_where_they_were() {
    for restarted in [false, true] {
        let mut scene = Scene::new();
        scene.append("a.txt", "a1\n");
        scene.append("b.txt", "b1\n");
        scene.follow();
        scene.rename("a.txt", "c");
        scene.rename("b.txt", "a.txt");
        scene.rename("c", "b.txt");
        scene.append("a.txt", "b2\n");
        scene.append("b.txt", "a2\n");
        scene.age("a.txt", 9);
        scene.changes();
        if restarted {
            scene.restart();
        }
        assert_eq!(
            scene.follow(),
            ["a.txt: b2", "b.txt: a2"],
            "restarted: {restarted}"
        );
        assert_eq!(scene.changes(), [""; 0]);
    }
}

#[test]
fn a_truncated_file_is_read_from_the_start_and_the_gap_is_told() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1|a\n2|b\n");
    scene.follow();
    scene.append("cdr.txt", "3|c\n4|d\n");
    scene.look();
    scene.rewrite("cdr.txt", "5|e\n");
    assert_eq!(scene.follow(), ["cdr.txt: 5|e"]);
    assert_eq!(
        scene.changes(),
        [
            "appeared cdr.txt",
            "rewritten cdr.txt Truncated 8",
            "gap cdr.txt truncated 8"
        ]
    );
    let position = scene.positions.values().next().unwrap();
    assert_eq!(
        (position.offset, position.lines, position.life),
        (4, Some(1), 1)
    );
}

#[test]
fn a_file_copied_and_truncated_goes_on_with_its_next_rows() {
    let mut scene = Scene::with(|settings| settings.exclude = vec!["*.1".to_owned()]);
    let mut writer = scene.append("cdr.txt", "1|a\n2|b\n");
    scene.follow();
    fs::copy(scene.path("cdr.txt"), scene.path("cdr.txt.1")).unwrap();
    writer.set_len(0).unwrap();
    assert_eq!(scene.follow(), [""; 0]);
    writer.write_all(b"3|c\n").unwrap();
    assert_eq!(scene.follow(), ["cdr.txt: 3|c"]);
    let expected = [
        "appeared cdr.txt",
        // Rows may have come between the copy and the cut, and there is no copy to look into.
        "gap cdr.txt truncated 0",
        "rewritten cdr.txt Truncated 0",
        "skipped 1 Excluded",
    ];
    let mut changes = scene.changes();
    changes.sort();
    assert_eq!(changes, expected);
}

#[test]
fn a_file_truncated_and_written_beyond_the_position_is_known_by_its_tail() {
    for restarted in [false, true] {
        let mut scene = Scene::new();
        scene.append("cdr.txt", "1|a\n2|b\n");
        scene.follow();
        scene.rewrite("cdr.txt", "1|a\n3|c\n4|d\n");
        if restarted {
            scene.restart();
        }
        assert_eq!(
            scene.follow(),
            ["cdr.txt: 1|a", "cdr.txt: 3|c", "cdr.txt: 4|d"]
        );
        scene.look();
        let bytes = if restarted { "?" } else { "0" };
        assert_eq!(
            scene.changes(),
            [
                "appeared cdr.txt".to_owned(),
                "rewritten cdr.txt OtherTail 0".to_owned(),
                format!("gap cdr.txt truncated {bytes}")
            ]
        );
    }
}

#[test]
fn a_file_rewritten_in_the_same_size_is_known_by_its_content() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1|a\n2|b\n");
    scene.age("cdr.txt", 100);
    scene.follow();
    scene.rewrite("cdr.txt", "1|x\n2|y\n");
    assert_eq!(scene.follow(), ["cdr.txt: 1|x", "cdr.txt: 2|y"]);
    assert_eq!(
        scene.changes(),
        ["appeared cdr.txt", "rewritten cdr.txt OtherHead 0"]
    );
}

#[test]
fn a_partial_line_of_a_file_written_anew_is_not_joined_to_the_new_one() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "half a row");
    assert_eq!(scene.follow(), [""; 0]);
    scene.rewrite("cdr.txt", "1|a|another row\n");
    assert_eq!(scene.follow(), ["cdr.txt: 1|a|another row"]);
}

#[test]
fn a_new_file_under_a_used_inode_is_read_from_its_start() {
    for restarted in [false, true] {
        let mut scene = Scene::new();
        scene.append("09.txt", "1|a\n2|b\n");
        scene.follow();
        scene.changes();
        // Truncated and renamed is what deleted, made anew and given the same inode looks like.
        scene.rewrite("09.txt", "1|a\n2|c\n3|d\n");
        scene.rename("09.txt", "10.txt");
        if restarted {
            scene.restart();
        }
        assert_eq!(
            scene.follow(),
            ["10.txt: 1|a", "10.txt: 2|c", "10.txt: 3|d"]
        );
        let unread = if restarted { "?" } else { "0" };
        assert_eq!(
            scene.changes(),
            [
                format!("vanished 09.txt {unread}"),
                "appeared 10.txt".to_owned()
            ]
        );
    }
}

#[test]
fn a_file_deleted_and_made_anew_is_a_new_file_whatever_its_inode_is() {
    let mut scene = Scene::new();
    for round in 0..20 {
        scene.append("cdr.txt", format!("1|{round}\n2|{round}\n"));
        assert_eq!(
            scene.follow(),
            [format!("cdr.txt: 1|{round}"), format!("cdr.txt: 2|{round}")]
        );
        fs::remove_file(scene.path("cdr.txt")).unwrap();
        if round % 2 == 0 {
            scene.look();
        }
        scene.wait(61);
    }
}

#[test]
fn a_file_deleted_while_it_is_open_is_read_to_its_end() {
    let mut scene = Scene::new();
    let mut writer = scene.append("cdr.txt", "1\n");
    scene.follow();
    scene.append("cdr.txt", "2\n");
    fs::remove_file(scene.path("cdr.txt")).unwrap();
    assert_eq!(scene.follow(), ["cdr.txt: 2"]);
    writer.write_all(b"3\n").unwrap();
    assert_eq!(scene.follow(), ["cdr.txt: 3"]);
    assert_eq!(scene.changes(), ["appeared cdr.txt"]);
    scene.wait(61);
    scene.look();
    assert_eq!(scene.changes(), ["vanished cdr.txt 0"]);
    scene.look();
    assert_eq!(scene.changes(), [""; 0]);
}

#[test]
fn a_file_moved_out_of_sight_is_read_to_its_end() {
    let mut scene = Scene::new();
    let mut writer = scene.append("cdr.txt", "1\n");
    scene.follow();
    scene.rename("cdr.txt", "old");
    writer.write_all(b"2\n").unwrap();
    scene.append("cdr.txt", "3\n");
    assert_eq!(scene.follow(), ["cdr.txt: 2", "cdr.txt: 3"]);
}

#[test]
fn a_file_renamed_between_a_look_and_its_reading_is_not_mistaken_for_its_successor() {
    let mut scene = Scene::with(|settings| settings.open_files_max = 1);
    scene.append("0.txt", "0\n");
    scene.append("cdr.txt", "a1\n");
    scene.follow();
    scene.append("0.txt", "1\n");
    scene.append("cdr.txt", "a2\n");
    scene.age("0.txt", 9);
    scene.look();
    scene.rename("cdr.txt", "cdr.txt.1");
    scene.append("cdr.txt", "b1|longer than what was consumed of the other\n");
    assert_eq!(scene.drain(), ["0.txt: 1"]);
    let successor = "cdr.txt: b1|longer than what was consumed of the other";
    let mut lines = scene.follow();
    lines.sort();
    assert_eq!(lines, ["cdr.txt.1: a2", successor]);
}

#[test]
fn files_that_wait_to_be_read_are_held_open_against_deletion() {
    let mut scene = Scene::new();
    for name in ["1.txt", "2.txt", "3.txt"] {
        scene.append(name, "row\n");
    }
    scene.look();
    for name in ["1.txt", "2.txt", "3.txt"] {
        fs::remove_file(scene.path(name)).unwrap();
    }
    assert_eq!(scene.follow(), ["1.txt: row", "2.txt: row", "3.txt: row"]);
}

#[test]
fn a_file_deleted_before_it_was_read_is_told_with_its_loss() {
    let mut scene = Scene::with(|settings| settings.open_files_max = 1);
    scene.append("1.txt", "row\n");
    scene.append("2.txt", "lost row\n");
    scene.age("1.txt", 5);
    scene.look();
    fs::remove_file(scene.path("2.txt")).unwrap();
    assert_eq!(scene.follow(), ["1.txt: row"]);
    let mut changes = scene.changes();
    changes.sort();
    assert_eq!(
        changes,
        ["appeared 1.txt", "appeared 2.txt", "vanished 2.txt 9"]
    );
    for _ in 0..3 {
        scene.look();
    }
    assert_eq!(scene.changes(), ["gap 2.txt deleted 9"]);
    scene.look();
    assert_eq!(scene.changes(), [""; 0]);
}

#[test]
fn generations_rotated_while_the_agent_was_down_are_finished_in_order() {
    for rotations in [1, 2, 5] {
        for is_packed in [false, true] {
            let mut scene = Scene::new();
            scene.append("cdr.txt", "0|read\n");
            scene.follow();
            scene.append("cdr.txt", "0|unread\n");
            scene.age("cdr.txt", 100);
            for rotation in 1..=rotations {
                for n in (1..rotation).rev() {
                    let ending = if is_packed { ".gz" } else { "" };
                    let to = format!("cdr.txt.{}{ending}", n + 1);
                    scene.rename(&format!("cdr.txt.{n}{ending}"), &to);
                }
                scene.rename("cdr.txt", "cdr.txt.1");
                if is_packed {
                    scene.gzip("cdr.txt.1");
                }
                scene.append("cdr.txt", format!("{rotation}|a\n{rotation}|b\n"));
                scene.age("cdr.txt", 100 - rotation);
            }
            scene.restart();
            let rows: Vec<String> = scene
                .follow()
                .iter()
                .map(|line| line.split_once(": ").unwrap().1.to_owned())
                .collect();
            let later = (1..=rotations).flat_map(|n| [format!("{n}|a"), format!("{n}|b")]);
            let expected: Vec<String> = std::iter::once("0|unread".to_owned())
                .chain(later)
                .collect();
            assert_eq!(rows, expected, "{rotations} rotations, packed: {is_packed}");
        }
    }
}

#[test]
fn a_rotation_in_the_middle_of_a_row_leaves_it_whole() {
    let row = "4|a row that is cut\n";
    for cut in 0..=row.len() {
        for restarted in [false, true] {
            let mut scene = Scene::new();
            scene.append("cdr.txt", "1\n");
            let mut writer = scene.append("cdr.txt", &row[..cut]);
            scene.follow();
            scene.rename("cdr.txt", "cdr.txt.1");
            if restarted {
                scene.restart();
            }
            scene.look();
            // Whoever writes is told of the rotation only now.
            writer.write_all(&row.as_bytes()[cut..]).unwrap();
            scene.append("cdr.txt", "5\n");
            let mut lines = scene.follow();
            lines.sort();
            let mut expected = vec!["cdr.txt: 5".to_owned()];
            if cut < row.len() {
                expected.push("cdr.txt.1: 4|a row that is cut".to_owned());
            }
            expected.sort();
            assert_eq!(lines, expected, "cut at {cut}, restarted: {restarted}");
        }
    }
}
