//! What is told as lost and what is not: across a restart, and where copies replace files.

use super::*;

/// A row of `n`, with some width.
fn row(n: usize) -> String {
    format!("{n}|a row of the day that is so wide\n")
}

fn rows(range: std::ops::Range<usize>) -> String {
    range.map(row).collect()
}

/// Reads and consumes one piece of what there is, and leaves the rest unread.
fn read_some(scene: &mut Scene) -> usize {
    scene.look_well();
    let chunk = scene.read_lines();
    scene.consume(&chunk);
    scene.lines.clear();
    chunk.bytes.len()
}

/// Looks for long enough for everything that is lost to be told, and reads what there is.
fn settle(scene: &mut Scene) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..8 {
        scene.wait(5);
        lines.extend(scene.follow());
    }
    lines
}

fn gaps(scene: &mut Scene) -> Vec<String> {
    let mut changes = scene.changes();
    changes.retain(|change| change.starts_with("gap"));
    changes
}

#[test]
fn what_had_been_seen_before_a_restart_and_is_gone_after_it_is_told_with_its_size() {
    let whole = rows(0..400);
    for what in ["cut off", "replaced", "deleted", "other head", "moved"] {
        let mut scene = Scene::new();
        scene.append("cdr.txt", &whole);
        scene.append("other.txt", "");
        let read = read_some(&mut scene);
        let unread = whole.len() - read;
        assert!(read < whole.len() / 2);
        match what {
            "cut off" => scene.rewrite("cdr.txt", ""),
            "replaced" => {
                scene.append("elsewhere", rows(1_000..1_003));
                scene.rename("elsewhere", "cdr.txt");
            }
            "deleted" => scene.remove("cdr.txt"),
            "other head" => scene.rewrite("cdr.txt", &rows(1_000..1_900)),
            _ => scene.rename("cdr.txt", "cdr.txt.1"),
        }
        scene.restart();
        scene.changes();
        let lines = settle(&mut scene);
        let expected = match what {
            "moved" => vec![],
            "deleted" | "replaced" => vec![format!("gap cdr.txt deleted {unread}")],
            _ => vec![format!("gap cdr.txt truncated {unread}")],
        };
        assert_eq!(gaps(&mut scene), expected, "{what}");
        let rows_expected = match what {
            "cut off" | "deleted" => 0,
            "replaced" => 3,
            "other head" => 900,
            _ => 400 - whole[..read].lines().count(),
        };
        assert_eq!(lines.len(), rows_expected, "{what}");
        scene.restart();
        assert_eq!(settle(&mut scene), [""; 0], "{what}");
        assert_eq!(gaps(&mut scene), [""; 0], "{what}: told once more");
    }
}

#[test]
fn a_restart_before_a_loss_is_told_does_not_keep_it_from_being_told() {
    for looks in 0..3 {
        let mut scene = Scene::new();
        scene.append("cdr.txt", rows(0..400));
        scene.append("other.txt", "");
        let unread = rows(0..400).len() - read_some(&mut scene);
        scene.close_all();
        scene.remove("cdr.txt");
        for _ in 0..looks {
            scene.look();
        }
        assert_eq!(gaps(&mut scene), [""; 0]);
        scene.restart();
        settle(&mut scene);
        let expected = format!("gap cdr.txt deleted {unread}");
        assert_eq!(gaps(&mut scene), [expected], "{looks}");
    }
}

#[test]
fn files_that_wait_long_for_their_turn_are_kept_with_what_is_in_them() {
    let mut scene = Scene::new();
    for name in ["a.txt", "b.txt"] {
        scene.append(name, rows(0..9));
        scene.age(name, 60);
    }
    let looked = scene.look();
    assert!(looked.positions.is_empty(), "most are read at once");
    scene.wait(5);
    assert_eq!(scene.look().positions.len(), 2);
    for _ in 0..10 {
        scene.append("a.txt", row(9));
        scene.wait(1);
        assert!(scene.look().positions.is_empty(), "not with each row");
    }
    scene.wait(60);
    assert_eq!(scene.look().positions.len(), 1, "b.txt did not grow");
    scene.remove("b.txt");
    scene.restart();
    scene.changes();
    assert_eq!(settle(&mut scene).len(), 19);
    let unread = rows(0..9).len();
    assert_eq!(gaps(&mut scene), [format!("gap b.txt deleted {unread}")]);
}

#[test]
fn an_agent_started_before_its_disk_is_mounted_has_lost_nothing() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..400));
    read_some(&mut scene);
    scene.rename("cdr.txt", "elsewhere");
    scene.restart();
    settle(&mut scene);
    scene.rename("elsewhere", "cdr.txt");
    assert!(settle(&mut scene).len() > 100);
    assert_eq!(gaps(&mut scene), [""; 0]);
}

#[test]
fn a_file_replaced_by_a_longer_copy_before_it_could_be_opened_is_no_gap() {
    for longer in [true, false] {
        let mut scene = Scene::with(|settings| settings.open_files_max = 1);
        scene.append("a.txt", rows(0..3));
        scene.age("a.txt", 9);
        scene.append("cdr.txt", rows(0..5));
        scene.look();
        assert_eq!(scene.source.tails.keys().len(), 1, "a.txt takes it");
        let copy = if longer { rows(0..7) } else { rows(0..4) };
        scene.append("elsewhere", &copy);
        scene.rename("elsewhere", "cdr.txt");
        let lines = settle(&mut scene);
        assert_eq!(lines.len(), 3 + copy.lines().count());
        let expected: Vec<String> = match longer {
            true => vec![],
            false => vec![format!("gap cdr.txt deleted {}", rows(4..5).len())],
        };
        assert_eq!(gaps(&mut scene), expected);
    }
}

#[test]
fn copies_that_use_each_others_inodes_go_on_where_the_files_before_them_were() {
    // The inode of `1.txt`'s copy before is that of `2.txt` now, and `1.txt` has another one.
    for (restarted, unread) in [(false, 0), (true, 0), (true, 3)] {
        let mut scene = Scene::new();
        scene.append("1.txt", rows(0..9));
        assert_eq!(scene.follow().len(), 9);
        scene.append("1.txt", rows(9..9 + unread));
        scene.look();
        scene.changes();
        if restarted {
            scene.restart();
        }
        scene.append("elsewhere", rows(0..20));
        scene.rewrite("1.txt", &rows(100..105));
        scene.rename("1.txt", "2.txt");
        scene.rename("elsewhere", "1.txt");
        let mut lines = settle(&mut scene);
        lines.sort();
        assert_eq!(lines.len(), 11 + 5, "{restarted} {unread} {lines:?}");
        assert_eq!(gaps(&mut scene), [""; 0], "{restarted} {unread}");
    }
}

#[test]
fn a_copy_that_holds_less_than_what_was_seen_of_a_closed_file_leaves_a_gap_of_the_rest() {
    for (rows_in_copy, rows_lost) in [(15, 5), (20, 0), (25, 0)] {
        let mut scene = Scene::new();
        scene.append("other.txt", "");
        scene.append("cdr.txt", rows(0..10));
        assert_eq!(scene.follow().len(), 10);
        scene.close_all();
        scene.append("cdr.txt", rows(10..20));
        // It is seen, and cannot be opened.
        scene.set_mode("cdr.txt", 0);
        let nobody = nix::unistd::Uid::from_raw(65_534);
        let before = nix::unistd::setfsuid(nobody);
        scene.look();
        nix::unistd::setfsuid(before);
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        scene.append("elsewhere", rows(0..rows_in_copy));
        scene.rename("elsewhere", "cdr.txt");
        assert_eq!(settle(&mut scene).len(), rows_in_copy - 10);
        let lost = rows(20 - rows_lost..20).len();
        let expected: Vec<String> = match rows_lost {
            0 => vec![],
            _ => vec![format!("gap cdr.txt deleted {lost}")],
        };
        assert_eq!(gaps(&mut scene), expected, "{rows_in_copy}");
        scene.restart();
        settle(&mut scene);
        assert_eq!(gaps(&mut scene), [""; 0], "told once more");
    }
}

#[test]
fn deleted_files_with_rows_in_them_are_not_closed_for_others() {
    let mut scene = Scene::with(|settings| settings.open_files_max = 3);
    scene.append("other.txt", "");
    for n in 0..3 {
        scene.append(&format!("{n}.txt"), rows(n * 10..n * 10 + 10));
    }
    scene.look();
    for n in 0..3 {
        scene.remove(&format!("{n}.txt"));
        // Files that come before them in the order of ages.
        let name = format!("old{n}.txt");
        scene.append(&name, rows(100..105));
        scene.age(&name, 600);
    }
    let mut most = 0;
    scene.look();
    let mut lines = 0;
    while let Some(Piece::Lines(chunk)) = scene.read() {
        most = most.max(scene.source.tails.keys().len());
        lines += chunk.bytes.split_inclusive(|&byte| byte == b'\n').count();
        scene.consume(&chunk);
        scene.look();
    }
    assert_eq!(lines, 3 * 10 + 3 * 5);
    assert_eq!(most, 4, "one more than there is room for");
    settle(&mut scene);
    assert_eq!(gaps(&mut scene), [""; 0]);
}

#[test]
fn a_file_cut_off_before_anything_of_it_was_read_is_told() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..5));
    scene.look();
    scene.rewrite("cdr.txt", &row(7));
    assert_eq!(settle(&mut scene), [format!("cdr.txt: {}", row(7).trim())]);
    let lost = rows(0..5).len();
    assert_eq!(gaps(&mut scene), [format!("gap cdr.txt truncated {lost}")]);
}

#[test]
fn half_a_row_that_is_in_the_copy_that_has_replaced_its_file_is_no_gap_after_a_restart() {
    for looks in 0..4 {
        let mut scene = Scene::new();
        scene.append("cdr.txt", rows(0..9) + "9|half of a r");
        assert_eq!(scene.follow().len(), 9);
        scene.append(
            "elsewhere",
            rows(0..9) + "9|half of a row\n" + &rows(10..12) + "12|ha",
        );
        scene.rename("elsewhere", "cdr.txt");
        let mut lines = Vec::new();
        for _ in 0..looks {
            lines.extend(scene.follow());
        }
        scene.restart();
        lines.extend(settle(&mut scene));
        assert_eq!(lines.len(), 3, "{looks} looks: {lines:?}");
        assert_eq!(gaps(&mut scene), [""; 0], "{looks} looks");
    }
}

#[test]
fn a_copy_under_the_inode_of_another_known_file_goes_on_where_the_one_before_it_was() {
    for half in ["", "9|half of a r"] {
        for restarted in [false, true] {
            let mut scene = Scene::new();
            scene.append("1.txt", rows(0..9) + half);
            scene.append("2.txt", rows(50..60));
            assert_eq!(scene.follow().len(), 19);
            if restarted {
                scene.restart();
            }
            // The inode of `2.txt` is that of the next copy of `1.txt`, which is longer.
            scene.close_all();
            let whole = rows(0..9) + "9|half of a row\n" + &rows(10..12);
            scene.rewrite("2.txt", &whole);
            scene.rename("2.txt", "1.txt");
            let mut lines = settle(&mut scene);
            lines.sort();
            assert_eq!(lines.len(), 3, "{half} {restarted} {lines:?}");
            assert_eq!(gaps(&mut scene), [""; 0], "{half} {restarted}");
            scene.restart();
            assert_eq!(settle(&mut scene), [""; 0]);
            assert_eq!(gaps(&mut scene), [""; 0], "{half} {restarted}");
        }
    }
}

#[test]
fn what_was_saved_of_a_file_says_nothing_of_another_under_its_inode() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..9) + "9|half of a r");
    fs::hard_link(scene.path("cdr.txt"), scene.path("elsewhere")).unwrap();
    assert_eq!(scene.follow().len(), 9);
    scene.append("longer", rows(0..9) + "9|half of a row\n");
    scene.rename("longer", "cdr.txt");
    assert_eq!(settle(&mut scene).len(), 1);
    scene.close_all();
    scene.look();
    assert_eq!(gaps(&mut scene), [""; 0], "all of it is in the longer one");
    // A file in the place of a deleted one, with its inode and less in it.
    scene.rewrite("elsewhere", &rows(50..53));
    scene.rename("elsewhere", "small.txt");
    scene.look_well();
    scene.close_all();
    scene.remove("small.txt");
    settle(&mut scene);
    let lost = rows(50..53).len();
    assert_eq!(gaps(&mut scene), [format!("gap small.txt deleted {lost}")]);
}

#[test]
fn a_file_that_the_configuration_names_no_more_is_not_lost_though_it_waited_to_be_read() {
    let exclude: fn(&mut Settings) = |settings| settings.exclude = vec!["b.txt*".to_owned()];
    let rotated: fn(&mut Settings) = |settings| settings.rotated = Rotated::Given(Vec::new());
    let files: fn(&mut Settings) = |settings| {
        let glob = settings.files[0].replace("*.txt", "a*.txt");
        settings.files = vec![glob];
    };
    for (what, name, narrow) in [
        ("files", "b.txt", files),
        ("exclude", "b.txt", exclude),
        ("rotated", "b.txt.1", rotated),
    ] {
        let mut scene = Scene::with(|settings| {
            settings.files[0].pop();
        });
        scene.append("a.txt", rows(0..400));
        scene.append(name, rows(500..900));
        scene.look_well();
        scene.wait(5);
        assert_eq!(scene.look().positions.len(), 2, "{what}: both wait");
        narrow(&mut scene.settings);
        scene.restart();
        scene.changes();
        assert_eq!(settle(&mut scene).len(), 400, "{what}");
        assert_eq!(gaps(&mut scene), [""; 0], "{what}");
        let kept = scene.positions.values().map(|kept| kept.unread_bytes);
        assert_eq!(kept.sum::<u64>(), 0, "{what}: nothing is owed any more");
        scene.restart();
        settle(&mut scene);
        assert_eq!(gaps(&mut scene), [""; 0], "{what}");
    }
}

#[test]
fn a_directory_that_is_mounted_later_than_another_has_lost_nothing_for_an_hour() {
    for (is_empty, comes_back) in [(false, true), (true, true), (true, false)] {
        let mut scene = Scene::with(|settings| {
            let late = settings.files[0].replace("*.txt*", "late/*.txt");
            settings.files.push(late);
        });
        scene.append("other.txt", "");
        fs::create_dir(scene.path("late")).unwrap();
        scene.append("late/cdr.txt", rows(0..400));
        let unread = rows(0..400).len() - read_some(&mut scene);
        scene.rename("late", "elsewhere");
        if is_empty {
            fs::create_dir(scene.path("late")).unwrap();
        }
        scene.restart();
        scene.changes();
        settle(&mut scene);
        scene.wait(3_000);
        settle(&mut scene);
        assert_eq!(gaps(&mut scene), [""; 0]);
        if comes_back {
            scene.rename("elsewhere", "late");
            assert!(settle(&mut scene).len() > 100);
            assert_eq!(gaps(&mut scene), [""; 0]);
        } else {
            scene.wait(600);
            settle(&mut scene);
            assert_eq!(gaps(&mut scene), [format!("gap cdr.txt deleted {unread}")]);
        }
    }
}

#[test]
fn a_generation_is_known_although_the_directory_it_came_from_may_only_be_mounted_later() {
    for comes_back in [false, true] {
        let mut scene = Scene::with(|settings| {
            let directory = settings.files[0].trim_end_matches("*.txt*").to_owned();
            settings.files = vec![format!("{directory}day/*.txt")];
            settings.rotated = Rotated::Given(vec![format!("{directory}kept/*")]);
        });
        for name in ["day", "kept"] {
            fs::create_dir(scene.path(name)).unwrap();
        }
        scene.append("day/cdr.txt", rows(0..400));
        scene.look_well();
        let chunk = scene.read_lines();
        scene.consume(&chunk);
        let before = std::mem::take(&mut scene.lines).len();
        assert!(before > 0 && before < 400);
        scene.close_all();
        // While the agent is down, packed into another directory; nothing is left in the first one.
        scene.append("kept/cdr.txt.1", rows(0..400));
        scene.gzip("kept/cdr.txt.1");
        scene.rename("day/cdr.txt", "elsewhere");
        scene.restart();
        assert_eq!(settle(&mut scene).len(), 400 - before);
        if comes_back {
            scene.rename("elsewhere", "day/cdr.txt");
        }
        scene.wait(4_000);
        let again = settle(&mut scene).len();
        // Only from where it had been read to.
        assert_eq!(again, if comes_back { 400 - before } else { 0 });
        assert_eq!(gaps(&mut scene), [""; 0]);
    }
}

#[test]
fn thousands_of_files_copied_and_cut_off_before_they_were_read_cost_a_look_no_more_than_others() {
    const FILES: usize = 1_500;
    let mut scene = Scene::new();
    for n in 0..FILES {
        scene.append(&format!("cdr{n}.txt"), row(n));
    }
    let cpu_time = || {
        let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
        Duration::from(nix::time::clock_gettime(clock).unwrap())
    };
    let mut took = Vec::new();
    let mut look = |scene: &mut Scene| {
        scene.wait(1);
        let began = cpu_time();
        scene.look();
        took.push(cpu_time() - began);
    };
    look(&mut scene);
    for n in 0..FILES {
        scene.copytruncate(&format!("cdr{n}.txt"), &format!("cdr{n}.txt.1"), "");
    }
    for _ in 0..20 {
        look(&mut scene);
    }
    assert_eq!(gaps(&mut scene), [""; 0]);
    assert_eq!(scene.drain().len(), FILES);
    // The first two meet the files; one of the others tells what is lost.
    let others = &mut took[2..];
    others.sort_unstable();
    let (usual, most) = (others[others.len() / 2], others[others.len() - 1]);
    assert!(most < 10 * usual, "{took:?}");
}

#[test]
fn a_copy_with_a_name_of_the_configurations_own_is_taken_for_what_was_cut_off_unread() {
    let mut scene = Scene::with(|settings| {
        settings.files[0].pop();
        settings.rotated = Rotated::Given(vec![format!("{}.old", settings.files[0])]);
    });
    scene.append("cdr.txt", rows(0..9));
    scene.look();
    scene.copytruncate("cdr.txt", "cdr.txt.old", "");
    assert_eq!(settle(&mut scene).len(), 9);
    assert_eq!(gaps(&mut scene), [""; 0]);
}

#[test]
fn a_file_that_has_replaced_another_while_descriptors_were_out_goes_on_where_that_was() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    const ALONE: &str = "SWITCHHOOK_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // The limit is that of the process, and of every test in it.
        let name = std::thread::current().name().unwrap().to_owned();
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--exact", &name]).env(ALONE, "1").output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    let mut scene = Scene::with(|settings| {
        // Whole names cost the listing no descriptor.
        let names = ["cdr.txt", "other.txt"];
        settings.files = names
            .map(|name| settings.files[0].replace("*.txt*", name))
            .into();
        settings.rotated = Rotated::Given(Vec::new());
    });
    scene.append("cdr.txt", rows(0..9));
    scene.append("other.txt", rows(50..60));
    assert_eq!(scene.follow().len(), 19);
    scene.close_all();
    scene.append("elsewhere", rows(0..12));
    scene.rename("elsewhere", "cdr.txt");
    scene.rewrite("other.txt", &rows(70..72));
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
    let looked = scene.source.look(scene.now);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert!(matches!(looked, Err(SourceError::Exhausted(_))));
    let lines = settle(&mut scene);
    assert_eq!(lines.len(), 3 + 2, "{lines:?}");
    assert_eq!(gaps(&mut scene), [""; 0]);
}

#[test]
fn room_that_a_writer_made_ahead_and_trimmed_while_the_agent_was_down_is_no_gap() {
    for (is_read, left) in [(false, 3), (true, 3), (true, 0)] {
        let mut scene = Scene::new();
        scene.append("other.txt", "");
        scene.append("cdr.txt", "").set_len(1 << 20).unwrap();
        scene.look();
        scene.wait(5);
        scene.look();
        let kept = |scene: &Scene| scene.positions.values().map(|kept| kept.unread_bytes).max();
        assert_eq!(kept(&scene), Some(1 << 20), "it may be rows");
        if is_read {
            assert_eq!(scene.drain(), [""; 0]);
            scene.wait(60);
            scene.look();
            assert_eq!(kept(&scene), Some(0), "it is a hole");
        }
        scene.rewrite("cdr.txt", &rows(0..left));
        scene.restart();
        assert_eq!(settle(&mut scene).len(), left);
        assert_eq!(gaps(&mut scene), [""; 0], "{is_read} {left}");
    }
}

#[test]
fn a_file_emptied_while_the_agent_was_down_before_anything_of_it_was_read_is_told() {
    let mut scene = Scene::new();
    scene.append("other.txt", "");
    scene.append("cdr.txt", rows(0..9));
    scene.look();
    scene.wait(5);
    scene.look();
    scene.rewrite("cdr.txt", "");
    scene.restart();
    settle(&mut scene);
    let lost = rows(0..9).len();
    assert_eq!(gaps(&mut scene), [format!("gap cdr.txt truncated {lost}")]);
}

/// Makes half a row or whole ones in a file that nothing is read of.
fn unread(scene: &mut Scene, text: &str) {
    scene.append("other.txt", "");
    scene.append("cdr.txt", text);
    scene.look();
}

#[test]
fn a_file_cut_off_and_written_again_as_it_was_is_no_gap_though_nothing_of_it_was_read() {
    for text in [rows(0..5), "0|half of a r".to_owned()] {
        let mut scene = Scene::new();
        unread(&mut scene, &text);
        scene.rewrite("cdr.txt", "");
        scene.look();
        let whole = text.clone() + "more\n";
        scene.rewrite("cdr.txt", &whole);
        assert_eq!(settle(&mut scene).len(), whole.lines().count());
        assert_eq!(gaps(&mut scene), [""; 0], "{text}");
    }
}

#[test]
fn a_file_overwritten_by_a_longer_one_before_anything_of_it_was_read_is_told() {
    for restarted in [false, true] {
        let mut scene = Scene::new();
        unread(&mut scene, &rows(0..5));
        scene.wait(5);
        scene.look();
        if restarted {
            scene.restart();
        }
        scene.rewrite("cdr.txt", &rows(100..120));
        assert_eq!(settle(&mut scene).len(), 20);
        let lost = rows(0..5).len();
        let expected = format!("gap cdr.txt truncated {lost}");
        assert_eq!(gaps(&mut scene), [expected], "restarted: {restarted}");
    }
}

#[test]
fn what_waits_in_generations_while_their_directory_is_away_is_not_lost() {
    let mut scene = Scene::with(|settings| {
        settings.files = vec![settings.files[0].replace("*.txt*", "cdr/*.txt")];
    });
    fs::create_dir(scene.path("cdr")).unwrap();
    for name in ["cdr/a.txt.1", "cdr/b.txt.2"] {
        scene.append(name, rows(0..5));
    }
    scene.append("cdr/c.txt.3", rows(50..55) + "55|half of a r");
    scene.gzip("cdr/c.txt.3");
    let chunk = |scene: &mut Scene| scene.read_lines();
    scene.look_well();
    let packed = chunk(&mut scene);
    scene.consume(&packed);
    scene.close_all();
    scene.rename("cdr", "away");
    scene.look();
    scene.rename("away", "cdr");
    settle(&mut scene);
    assert_eq!(gaps(&mut scene), [""; 0]);
}

#[test]
fn what_a_file_under_a_used_inode_holds_is_not_kept_as_unread_of_the_one_before_it() {
    let mut scene = Scene::new();
    scene.append("other.txt", "");
    scene.append("cdr.txt", rows(0..9));
    assert_eq!(scene.follow().len(), 9);
    scene.restart();
    // Another one with its inode, and the name of a generation, is there when the agent starts, and
    // it is killed before it has found out.
    scene.rewrite("cdr.txt", &rows(100..120));
    scene.rename("cdr.txt", "cdr.txt.1");
    scene.look();
    scene.restart();
    assert_eq!(settle(&mut scene).len(), 20);
    assert_eq!(gaps(&mut scene), [""; 0]);
}

#[test]
fn rows_seen_and_cut_off_twice_before_the_next_look_are_told_though_a_read_came_between() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..3));
    assert_eq!(scene.follow().len(), 3);
    scene.append("cdr.txt", rows(3..9));
    scene.look();
    scene.rewrite("cdr.txt", &rows(100..104));
    assert!(scene.read().is_none(), "the rows it had are not there");
    scene.rewrite("cdr.txt", "");
    settle(&mut scene);
    let lost = rows(3..9).len();
    assert_eq!(gaps(&mut scene), [format!("gap cdr.txt truncated {lost}")]);
}

#[test]
fn a_closed_file_that_was_cut_off_and_grew_owes_what_it_held_last_alone() {
    let mut scene = Scene::new();
    scene.append("other.txt", "");
    scene.append("cdr.txt", rows(0..1));
    assert_eq!(scene.follow().len(), 1);
    scene.close_all();
    scene.wait(90);
    scene.rewrite("cdr.txt", &rows(100..105));
    scene.look();
    scene.copytruncate("cdr.txt", "cdr.txt.1", "");
    assert_eq!(settle(&mut scene).len(), 5);
    // Of the rows before, which had been read, nobody knows whether others came behind them.
    assert_eq!(gaps(&mut scene), ["gap cdr.txt truncated 0"]);
}

#[test]
fn a_generation_that_another_replaced_while_the_agent_was_down_had_been_read() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "");
    scene.append("cdr.txt.1", rows(0..9));
    assert_eq!(scene.follow().len(), 9);
    // The next generation has its name and its inode.
    scene.rewrite("cdr.txt.1", &rows(100..103));
    scene.restart();
    assert_eq!(settle(&mut scene).len(), 3);
    assert_eq!(gaps(&mut scene), [""; 0]);
}

#[test]
fn a_copy_that_was_read_and_is_gone_before_a_loss_is_told_has_saved_it() {
    let mut scene = Scene::new();
    scene.append("other.txt", "");
    scene.append("cdr.txt", "0|half of a r");
    assert_eq!(scene.follow(), [""; 0]);
    scene.close_all();
    scene.append("elsewhere", "0|half of a row\n");
    scene.rename("elsewhere", "cdr.txt");
    assert_eq!(scene.follow().len(), 1);
    scene.rewrite("cdr.txt", &row(7));
    settle(&mut scene);
    assert_eq!(gaps(&mut scene), [""; 0]);
}

#[test]
fn a_loss_is_told_before_the_inode_of_the_lost_file_goes_on_as_a_copy_of_another() {
    let mut scene = Scene::new();
    scene.append("a.txt", rows(0..9));
    scene.append("cdr.txt", rows(50..59));
    assert_eq!(scene.follow().len(), 18);
    scene.append("cdr.txt", rows(59..69));
    scene.look();
    scene.wait(10);
    scene.look();
    scene.restart();
    // The copy of `a.txt` has the inode of `cdr.txt`, which is gone with ten rows in it.
    scene.rewrite("cdr.txt", &rows(0..12));
    scene.rename("cdr.txt", "a.txt.1");
    scene.rewrite("a.txt", "");
    scene.look();
    scene.restart();
    settle(&mut scene);
    let lost = rows(59..69).len();
    assert_eq!(gaps(&mut scene), [format!("gap cdr.txt deleted {lost}")]);
}

#[test]
fn a_restart_while_the_next_life_of_a_renamed_file_waits_does_not_keep_a_loss_from_being_told() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..3));
    assert_eq!(scene.follow().len(), 3);
    scene.append("cdr.txt", rows(3..9));
    scene.look();
    scene.wait(5);
    scene.look();
    scene.rewrite("cdr.txt", &row(100));
    scene.rename("cdr.txt", "cdr.txt.1");
    scene.append("cdr.txt", "");
    scene.look();
    scene.restart();
    settle(&mut scene);
    let lost = rows(3..9).len();
    let told = gaps(&mut scene);
    assert!(
        told.len() == 1 && told[0].ends_with(&format!(" {lost}")),
        "{told:?}"
    );
}

#[test]
fn a_packed_generation_whose_inode_is_used_again_leaves_no_rows_that_nobody_saw() {
    let mut scene = Scene::new();
    for n in 0..40 {
        scene.append("cdr.txt", format!("{n}|a row of the day that is so wide\n"));
        scene.follow();
        scene.now = scene.now.after(Duration::from_millis(100));
    }
    scene.rename("cdr.txt", "cdr.txt.1");
    scene.append("cdr.txt.1", "half ");
    scene.follow();
    let text = fs::read_to_string(scene.path("cdr.txt.1")).unwrap() + "and whole\n";
    fs::write(scene.path("cdr.txt.2.gz"), gzipped(text.as_bytes())).unwrap();
    scene.rewrite("cdr.txt.1", "2|new\n");
    scene.rename("cdr.txt.1", "cdr.txt");
    let mut seen = Vec::new();
    for _ in 0..12 {
        scene.wait(1);
        seen.extend(scene.follow());
    }
    seen.sort();
    assert_eq!(seen, ["cdr.txt.2.gz: half and whole", "cdr.txt: 2|new"]);
    let told = scene.changes();
    let gap = told.iter().find(|change| change.starts_with("gap"));
    assert_eq!(gap, None, "{told:#?}");
}

#[test]
fn a_file_that_is_back_and_cannot_be_opened_yet_is_not_told_as_lost() {
    let mut scene = Scene::new();
    scene.set_mode("", 0o755);
    scene.append("cdr.txt", "1|1\n");
    scene.follow();
    scene.append("cdr.txt", "1|2\n");
    scene.look();
    scene.close_all();
    scene.append("other.txt", "2|1\n");
    scene.rename("cdr.txt", "away");
    scene.follow();
    scene.rename("away", "cdr.txt.1");
    scene.set_mode("cdr.txt.1", 0);
    for _ in 0..10 {
        assert_eq!(scene.follow_as_nobody(), [""; 0]);
        scene.wait(6);
    }
    scene.set_mode("cdr.txt.1", 0o644);
    assert_eq!(scene.follow_as_nobody(), ["cdr.txt.1: 1|2"]);
    let told = scene.changes();
    let gap = told.iter().find(|change| change.starts_with("gap"));
    assert_eq!(gap, None, "{told:#?}");
}

#[test]
fn rows_of_a_new_life_that_were_seen_before_it_was_known_for_one_are_not_told_as_lost() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..3));
    assert_eq!(scene.follow().len(), 3);
    scene.copytruncate("cdr.txt", "cdr.txt.1", "");
    scene.append("cdr.txt", rows(100..110));
    scene.source.glance(scene.now);
    scene.append("cdr.txt", rows(110..111));
    assert_eq!(settle(&mut scene).len(), 11);
    assert_eq!(gaps(&mut scene), ["gap cdr.txt truncated 0"; 0]);
}

#[test]
fn a_copy_that_was_packed_before_it_could_be_opened_is_not_told_as_lost_beside_what_goes_on() {
    let mut scene = Scene::new();
    scene.set_mode("", 0o777);
    scene.append("cdr.txt", rows(0..3));
    scene.set_mode("cdr.txt", 0o644);
    assert_eq!(scene.follow_as_nobody().len(), 3);
    scene.append("cdr.txt.1", rows(0..3));
    scene.set_mode("cdr.txt.1", 0);
    assert_eq!(scene.follow_as_nobody(), [""; 0]);
    scene.gzip("cdr.txt.1");
    scene.set_mode("cdr.txt.1.gz", 0o644);
    scene.rewrite("cdr.txt", "");
    let mut lines = Vec::new();
    for _ in 0..8 {
        scene.wait(5);
        lines.extend(scene.follow_as_nobody());
    }
    assert_eq!(lines, [""; 0]);
    assert_eq!(gaps(&mut scene), [""; 0]);
}

#[test]
fn what_was_cut_off_waits_for_its_copy_while_the_directory_of_that_cannot_be_listed() {
    for restarted in [false, true] {
        let mut scene = Scene::with(|settings| {
            let directory = settings.files[0].trim_end_matches("*.txt*").to_owned();
            settings.files = vec![format!("{directory}*.txt")];
            settings.rotated = Rotated::Given(vec![format!("{directory}kept/*")]);
        });
        scene.set_mode("", 0o777);
        fs::create_dir(scene.path("kept")).unwrap();
        scene.append("cdr.txt", rows(0..9));
        scene.set_mode("cdr.txt", 0o644);
        assert_eq!(scene.follow_as_nobody().len(), 9);
        scene.append("cdr.txt", rows(9..10));
        scene.copytruncate("cdr.txt", "kept/cdr.txt.1", "");
        scene.append("cdr.txt", rows(10..12));
        scene.set_mode("kept/cdr.txt.1", 0o644);
        scene.set_mode("kept", 0);
        let mut seen = Vec::new();
        for _ in 0..6 {
            scene.wait(1);
            seen.extend(scene.follow_as_nobody());
        }
        if restarted {
            scene.restart();
        }
        scene.set_mode("kept", 0o755);
        for _ in 0..6 {
            scene.wait(1);
            seen.extend(scene.follow_as_nobody());
        }
        seen.sort();
        assert_eq!(seen.len(), 3, "{restarted}: {seen:?}");
        assert_eq!(gaps(&mut scene), [""; 0], "{restarted}");
    }
}

#[test]
fn a_file_written_anew_and_longer_while_there_is_no_room_to_open_it_owes_nothing() {
    let mut scene = Scene::with(|settings| settings.open_files_max = 1);
    scene.append("cdr.txt", rows(0..10));
    assert_eq!(scene.follow().len(), 10);
    scene.close_all();
    scene.append("other.txt", rows(50..51));
    scene.age("other.txt", 5);
    scene.look();
    scene.wait(10);
    scene.rewrite("cdr.txt", &rows(100..120));
    scene.look();
    scene.append("cdr.txt", rows(120..122));
    assert_eq!(settle(&mut scene).len(), 23);
    assert_eq!(gaps(&mut scene), [""; 0]);
}

#[test]
fn another_file_under_a_used_inode_that_was_packed_before_it_could_be_opened_owes_nothing() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..2));
    assert_eq!(scene.follow().len(), 2);
    scene.close_all();
    scene.wait(10);
    scene.rewrite("cdr.txt", &rows(100..120));
    scene.set_mode("cdr.txt", 0o000);
    assert_eq!(scene.follow_as_nobody(), [""; 0]);
    scene.set_mode("cdr.txt", 0o644);
    scene.gzip("cdr.txt");
    assert_eq!(settle(&mut scene).len(), 20);
    assert_eq!(gaps(&mut scene), [""; 0]);
}
