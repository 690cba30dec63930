//! What programs that are not a rotation do to files: copies that replace a file again and again, editors
//! that write in place, inodes used again.

use super::*;

/// A row of `n`, with some width.
fn row(n: usize) -> String {
    format!("{n}|a row of the day that is so wide\n")
}

fn rows(range: std::ops::Range<usize>) -> String {
    range.map(row).collect()
}

#[test]
fn a_file_replaced_by_longer_copies_of_itself_gives_every_row_once_and_no_gap() {
    // As rsync does: each copy is a new file, and ends in the middle of a row now and then.
    for restarted in [false, true] {
        let mut scene = Scene::new();
        let whole = rows(0..400);
        let mut seen = Vec::new();
        for step in 1..=20 {
            let end = (whole.len() * step / 20).saturating_sub(step % 3);
            scene.append("elsewhere", &whole[..end]);
            scene.rename("elsewhere", "cdr.txt");
            if restarted && step % 4 == 0 {
                scene.restart();
            }
            seen.extend(scene.follow());
            scene.wait(5);
            seen.extend(scene.follow());
        }
        scene.append("cdr.txt", &whole[whole.len() - 2..]);
        for _ in 0..30 {
            scene.wait(5);
            seen.extend(scene.follow());
        }
        let expected: Vec<String> = whole
            .lines()
            .map(|line| format!("cdr.txt: {line}"))
            .collect();
        assert!(
            seen == expected,
            "restarted: {restarted}: {} rows instead of {}, the first other one {:?}",
            seen.len(),
            expected.len(),
            seen.iter()
                .zip(&expected)
                .find(|(left, right)| left != right)
        );
        let changes = scene.changes();
        let gap = changes.iter().find(|change| change.starts_with("gap"));
        assert_eq!(gap, None, "restarted: {restarted}");
    }
}

#[test]
fn half_a_row_in_a_file_that_another_one_has_replaced_is_lost_when_it_is_not_in_that() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..3) + "half of a r");
    scene.follow();
    scene.append("elsewhere", rows(0..3) + "another row\n");
    scene.rename("elsewhere", "cdr.txt");
    assert_eq!(scene.follow(), ["cdr.txt: another row"]);
    for _ in 0..30 {
        scene.wait(5);
        assert_eq!(scene.follow(), [""; 0]);
    }
    let changes = scene.changes();
    assert!(
        changes.contains(&"gap cdr.txt deleted 11".to_owned()),
        "{changes:?}"
    );
}

#[test]
fn a_file_cut_off_and_written_back_as_it_was_goes_on_where_it_was() {
    for more in ["", "a new row\n"] {
        let mut scene = Scene::new();
        scene.append("cdr.txt", rows(0..300));
        assert_eq!(scene.follow().len(), 300);
        scene.changes();
        scene.rewrite("cdr.txt", "");
        scene.look();
        scene.rewrite("cdr.txt", &(rows(0..300) + more));
        let expected: Vec<String> = more
            .lines()
            .map(|line| format!("cdr.txt: {line}"))
            .collect();
        assert_eq!(scene.follow(), expected);
        scene.restart();
        assert_eq!(scene.follow(), [""; 0]);
        scene.append("cdr.txt", "the last\n");
        assert_eq!(scene.follow(), ["cdr.txt: the last"]);
        let changes = scene.changes();
        let gap = changes.iter().find(|change| change.starts_with("gap"));
        assert_eq!(gap, None);
    }
}

#[test]
fn a_file_cut_off_and_written_with_other_rows_is_read_from_its_start() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..3));
    scene.follow();
    scene.rewrite("cdr.txt", "");
    scene.look();
    scene.rewrite("cdr.txt", &rows(3..9));
    assert_eq!(scene.follow().len(), 6);
}

#[test]
fn a_packed_file_under_the_inode_of_a_copy_is_compared_by_itself() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..3));
    scene.follow();
    scene.pack("cdr.txt");
    scene.follow();
    // The copy's inode is used again at once, for a generation that nobody has seen; `cdr.txt` is still there.
    let packed = scene.path("cdr.txt.gz");
    fs::remove_file(&packed).unwrap();
    scene.look();
    let other = gzipped(rows(10..14).as_bytes());
    fs::write(scene.path("cdr.txt.1.gz"), &other).unwrap();
    for _ in 0..4 {
        scene.wait(5);
        scene.look_well();
    }
    assert_eq!(scene.drain().len(), 4);
}

#[test]
fn a_file_renamed_by_a_rotation_and_deleted_by_the_next_is_no_file_cut_off_under_its_first_name() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..3));
    scene.follow();
    scene.rename("cdr.txt", "cdr.txt.1");
    scene.append("cdr.txt", rows(3..6));
    scene.follow();
    let path = |scene: &Scene| {
        let mut paths: Vec<_> = scene.positions.values().map(|it| it.path.clone()).collect();
        paths.sort();
        paths
    };
    assert!(path(&scene)[1].ends_with("cdr.txt.1"), "{:?}", path(&scene));
    // While the agent is down the next rotation frees the inode, and the next file gets it.
    scene.rename("cdr.txt", "cdr.txt.1");
    scene.append("cdr.txt", rows(6..7));
    scene.restart();
    scene.changes();
    for _ in 0..5 {
        scene.follow();
        scene.wait(20);
    }
    let changes = scene.changes();
    let gap = changes.iter().find(|change| change.starts_with("gap"));
    assert_eq!(gap, None);
}

#[test]
fn copies_that_replace_a_file_at_any_moment_give_every_row_once_and_no_gap() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut scene = Scene::new();
        let whole = rows(0..300);
        let (mut end, mut seen) = (0, Vec::new());
        for _ in 0..60 {
            match random.u8(..8) {
                0..3 => {
                    end = (end + random.usize(..200)).min(whole.len());
                    scene.append("elsewhere", &whole[..end]);
                    scene.rename("elsewhere", "cdr.txt");
                }
                3..6 => {
                    scene.look();
                    scene.now = scene.now.after(Duration::from_millis(random.u64(..700)));
                }
                6 => seen.extend(scene.drain()),
                _ => seen.extend(scene.follow()),
            }
        }
        scene.append("elsewhere", &whole);
        scene.rename("elsewhere", "cdr.txt");
        for _ in 0..10 {
            seen.extend(scene.follow());
            scene.wait(5);
        }
        let expected: Vec<String> = whole
            .lines()
            .map(|line| format!("cdr.txt: {line}"))
            .collect();
        let changes = scene.changes();
        assert!(
            seen == expected,
            "seed {seed}: {} rows instead of {}, the first other one {:?}\n{changes:#?}",
            seen.len(),
            expected.len(),
            seen.iter()
                .zip(&expected)
                .find(|(left, right)| left != right)
        );
        let gap = changes.iter().find(|change| change.starts_with("gap"));
        assert_eq!(gap, None, "seed {seed}: {changes:#?}");
    }
}

#[test]
fn a_new_file_under_a_used_inode_is_read_within_a_second_of_a_start() {
    for reads_between in [false, true] {
        let mut scene = Scene::new();
        scene.append("cdr.txt", rows(0..30));
        scene.follow();
        for n in 1..6 {
            scene.rename("cdr.txt", "cdr.txt.1");
            scene.append("cdr.txt", rows(30 * n..30 * n + n));
            if reads_between {
                scene.follow();
            }
            scene.rename("cdr.txt", "cdr.txt.1");
            scene.append("cdr.txt", rows(300 * n..300 * n + 5));
            scene.restart();
            let mut seen = Vec::new();
            for _ in 0..20 {
                scene.look();
                seen.extend(scene.drain());
                scene.now = scene.now.after(Duration::from_millis(50));
            }
            let last = format!("cdr.txt: {}", row(300 * n + 4).trim_ascii_end());
            assert!(seen.contains(&last), "{n} {reads_between}: {seen:?}");
        }
    }
}

#[test]
fn a_file_that_waits_for_a_copy_of_its_last_life_is_not_let_go_of_with_its_name() {
    let mut scene = Scene::with(|settings| settings.open_files_max = 2);
    scene.append("cdr.txt", "1|a\n2|b\n");
    scene.follow();
    scene.restart();
    scene.rewrite("cdr.txt", "3|c\n");
    scene.age("cdr.txt", 100);
    scene.look();
    scene.remove("cdr.txt");
    // It has been quiet for long, and other files ask for its descriptor.
    for name in ["4.txt", "5.txt", "6.txt"] {
        scene.append(name, "row\n");
    }
    scene.look();
    scene.wait(16);
    let mut lines = scene.follow();
    lines.sort();
    let expected = ["4.txt: row", "5.txt: row", "6.txt: row", "cdr.txt: 3|c"];
    assert_eq!(lines, expected);
}

#[test]
fn a_copy_of_a_file_that_is_gone_does_not_wait_for_another_one_under_its_inode() {
    let mut scene = Scene::with(|settings| settings.deleted_keep = Duration::ZERO);
    scene.append("cdr.txt", "1|a\n");
    scene.look();
    fs::copy(scene.path("cdr.txt"), scene.path("cdr.txt.1")).unwrap();
    scene.look();
    // Given up in the look that misses it.
    scene.rename("cdr.txt", "elsewhere");
    scene.look();
    scene.rewrite("elsewhere", "2|another\n");
    scene.rename("elsewhere", "new.txt");
    let mut lines = scene.follow();
    lines.sort();
    assert_eq!(lines, ["cdr.txt.1: 1|a", "new.txt: 2|another"]);
}

#[test]
fn two_strangers_with_the_same_rows_are_read_once() {
    for packed_first in [false, true] {
        let mut scene = Scene::new();
        scene.append("a.txt", "row\n");
        scene.follow();
        scene.append("cdr.txt.1", rows(0..20));
        scene.pack("cdr.txt.1");
        scene.age("cdr.txt.1.gz", if packed_first { 9 } else { 0 });
        scene.age("cdr.txt.1", 5);
        assert_eq!(scene.follow().len(), 20, "packed first: {packed_first}");
        scene.remove("cdr.txt.1");
        scene.wait(20);
        assert_eq!(scene.follow(), [""; 0], "packed first: {packed_first}");
    }
}

/// Saves a file as most editors do: puts another one with `text` in its place.
fn save(scene: &Scene, name: &str, text: &str) {
    scene.append("saved", text);
    scene.rename("saved", name);
}

#[test]
fn a_file_that_replaces_one_that_waits_has_no_row_read_twice() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1|a\n2|b\n");
    scene.follow();
    scene.rewrite("cdr.txt", "3|c\n");
    scene.look();
    save(&scene, "cdr.txt", "3|c\n");
    let mut lines = scene.follow();
    scene.wait(20);
    lines.extend(scene.follow());
    scene.append("cdr.txt", "4|d\n");
    lines.extend(scene.follow());
    assert_eq!(lines, ["cdr.txt: 3|c", "cdr.txt: 4|d"]);
}

#[test]
fn a_file_that_replaces_one_with_rows_nobody_could_use_waits_for_these() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1|a\n");
    scene.look();
    let chunk = scene.read_lines();
    scene.source.consumed(chunk.file, 0, 0);
    assert!(scene.read().is_none());
    save(&scene, "cdr.txt", "1|a\n2|b\n");
    let mut lines = scene.follow();
    scene.wait(3);
    lines.extend(scene.follow());
    lines.extend(scene.follow());
    assert_eq!(lines, ["cdr.txt: 1|a", "cdr.txt: 2|b"]);
}

#[test]
fn rows_nobody_could_use_are_handed_out_as_the_last_before_a_file_without_a_name_is_closed() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1|a\n");
    scene.look();
    let chunk = scene.read_lines();
    assert!(!chunk.last);
    scene.source.consumed(chunk.file, 0, 0);
    scene.remove("cdr.txt");
    scene.look();
    assert!(scene.read().is_none());
    scene.wait(61);
    scene.look();
    assert!(scene.read_lines().last);
}

#[test]
fn a_file_that_replaced_another_and_was_renamed_before_that_was_read_has_no_row_read_twice() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1|a\n");
    scene.look();
    save(&scene, "cdr.txt", "1|a\n");
    scene.look();
    scene.append("cdr.txt", "2|b\n");
    scene.rename("cdr.txt", "cdr.txt.1");
    let mut lines = scene.follow();
    lines.extend(scene.follow());
    assert_eq!(lines, ["cdr.txt: 1|a", "cdr.txt.1: 2|b"]);
}

#[test]
fn a_file_that_replaces_another_is_compared_with_it_also_under_an_inode_that_was_known() {
    for restarted in [false, true] {
        let mut scene = Scene::new();
        scene.append("cdr.txt", "1|a\n2|b\n");
        scene.append("empty.txt", "half a row");
        scene.follow();
        scene.look();
        let key = listing::key_of(&fs::metadata(scene.path("empty.txt")).unwrap());
        scene
            .positions
            .insert(key, FilePosition::start_of(key, "empty.txt".to_owned(), 0));
        if restarted {
            scene.restart();
        }
        scene.rewrite("empty.txt", "1|a\n2|b\n3|c\n");
        scene.rename("empty.txt", "cdr.txt");
        assert_eq!(scene.follow(), ["cdr.txt: 3|c"], "restarted: {restarted}");
    }
}

#[test]
fn a_file_that_was_renamed_and_is_written_again_as_it_was_goes_on() {
    let mut scene = Scene::new();
    let rows = "1|a\n2|b\n";
    scene.append("cdr.txt", rows);
    scene.follow();
    scene.rename("cdr.txt", "today.txt");
    scene.rewrite("today.txt", "");
    scene.look();
    scene.rewrite("today.txt", &format!("{rows}3|c\n"));
    let mut lines = scene.follow();
    scene.wait(20);
    lines.extend(scene.follow());
    assert_eq!(lines, ["today.txt: 3|c"]);
}

#[test]
fn a_packed_copy_under_the_inode_of_an_earlier_file_goes_on_where_the_last_one_was_read_to() {
    for restarted in [false, true] {
        let mut scene = Scene::new();
        scene.append("cdr.txt", rows(0..3));
        scene.append("a.txt", "row\n");
        scene.follow();
        // Replaced by a longer one; the inode of the first is free, and is used by what packs the other.
        scene.rename("cdr.txt", "elsewhere");
        scene.append("cdr.txt", rows(0..3));
        scene.follow();
        scene.wait(61);
        scene.follow();
        scene.append("cdr.txt", rows(3..6));
        assert_eq!(scene.follow().len(), 3, "restarted: {restarted}");
        scene.append("cdr.txt", rows(6..7));
        fs::write(scene.path("elsewhere"), gzipped(rows(0..7).as_bytes())).unwrap();
        if restarted {
            scene.restart();
        }
        scene.rename("elsewhere", "cdr.txt.1.gz");
        scene.remove("cdr.txt");
        let mut lines = scene.follow();
        scene.wait(20);
        lines.extend(scene.follow());
        assert_eq!(lines.len(), 1, "restarted: {restarted}: {lines:?}");
    }
}

#[test]
fn a_file_that_is_an_earlier_copy_by_its_inode_waits_for_the_one_it_replaces() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..3));
    scene.follow();
    scene.rename("cdr.txt", "elsewhere");
    scene.append("cdr.txt", rows(0..3));
    scene.follow();
    scene.wait(61);
    scene.follow();
    scene.append("cdr.txt", rows(3..4));
    scene.look();
    scene.rewrite("elsewhere", &rows(0..4));
    scene.rename("elsewhere", "cdr.txt");
    let mut lines = scene.follow();
    lines.extend(scene.follow());
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn a_copy_under_the_inode_and_name_of_an_empty_generation_is_compared() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..3));
    scene.append("cdr.txt.1", "");
    assert_eq!(scene.follow().len(), 3);
    scene.copytruncate("cdr.txt", "cdr.txt.1", "");
    assert_eq!(scene.follow(), [""; 0]);
    scene.wait(20);
    assert_eq!(scene.follow(), [""; 0]);
}

#[test]
fn a_copy_under_the_inode_of_an_earlier_version_goes_on_where_the_last_one_was_read_to() {
    for (restarted, name) in [
        (false, "cdr.txt"),
        (true, "cdr.txt"),
        (false, "other.txt"),
        (true, "other.txt"),
    ] {
        let mut scene = Scene::new();
        scene.append("cdr.txt", rows(0..3));
        scene.follow();
        // The first version is replaced, and its inode is free.
        scene.rename("cdr.txt", "elsewhere");
        scene.append("cdr.txt", rows(0..3));
        scene.follow();
        scene.wait(61);
        scene.follow();
        scene.rename("cdr.txt", name);
        scene.append(name, rows(3..6));
        assert_eq!(scene.follow().len(), 3, "restarted: {restarted}, {name}");
        if restarted {
            scene.restart();
        }
        scene.copytruncate(name, "elsewhere", "");
        scene.rename("elsewhere", &format!("{name}.1"));
        let mut lines = scene.follow();
        scene.wait(20);
        lines.extend(scene.follow());
        assert_eq!(lines, [""; 0], "restarted: {restarted}, {name}");
    }
}

#[test]
fn a_file_under_the_inode_of_a_generation_is_not_written_down_as_that_before_it_is_recognised() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..5));
    scene.follow();
    scene.rename("cdr.txt", "cdr.txt.1");
    scene.append("cdr.txt", rows(10..11));
    scene.follow();
    // While the agent is down the inode is used again, by a file that is a generation by now.
    scene.rewrite("cdr.txt.1", &rows(20..30));
    scene.rename("cdr.txt.1", "cdr.txt.7");
    scene.restart();
    scene.look();
    // It is killed before it has read anything.
    scene.restart();
    let mut seen = Vec::new();
    for _ in 0..12 {
        seen.extend(scene.follow());
        scene.wait(5);
    }
    assert_eq!(seen.len(), 10, "{seen:#?}");
    let told = scene.changes();
    let gap = told.iter().find(|change| change.starts_with("gap"));
    assert_eq!(gap, None, "{told:#?}");
}

#[test]
fn a_copy_under_the_inode_of_one_that_was_closed_to_make_room_goes_on_where_the_last_one_was_read_to()
 {
    let mut scene = Scene::with(|settings| settings.open_files_max = 1);
    scene.append("cdr.txt", rows(0..3));
    scene.follow();
    // Nothing names the first one any more, and the second takes its place among the open ones.
    scene.rename("cdr.txt", "elsewhere");
    scene.append("cdr.txt", rows(0..5));
    assert_eq!(scene.follow().len(), 2);
    // Before the next look its inode is there for a third.
    scene.rewrite("elsewhere", &rows(0..8));
    scene.rename("elsewhere", "cdr.txt");
    let lines = scene.follow();
    let expected: Vec<String> = rows(5..8)
        .lines()
        .map(|line| format!("cdr.txt: {line}"))
        .collect();
    assert_eq!(lines, expected);
}
