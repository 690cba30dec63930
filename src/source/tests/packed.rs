//! Files that a rotation packs.

use super::*;

/// Rows that are long enough to be told apart.
fn rows(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| format!("{n:06}|row\n")).collect()
}

/// How `rows` are read from `name`.
fn read(name: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|n| format!("{name}: {n:06}|row")).collect()
}

#[test]
fn a_file_rotated_and_packed_at_once_is_read_on_in_the_packed_one() {
    for restarted in [false, true] {
        for unread in [0, 1, 5_000] {
            let mut scene = Scene::with(|settings| settings.open_files_max = 1);
            scene.append("cdr.txt", "caller\n".to_owned() + &rows(0..100));
            assert_eq!(scene.follow().len(), 101);
            if restarted {
                scene.restart();
            }
            scene.append("cdr.txt", rows(100..100 + unread));
            scene.age("cdr.txt", 9);
            // Another file takes the one descriptor, and the first is not held open.
            scene.close_all();
            scene.append("a.txt", "1\n");
            scene.age("a.txt", 100);
            scene.rename("cdr.txt", "cdr.txt.1");
            scene.gzip("cdr.txt.1");
            scene.append("cdr.txt", rows(90_000..90_001));
            let mut expected = vec!["a.txt: 1".to_owned()];
            expected.extend(read("cdr.txt.1.gz", 100..100 + unread));
            expected.extend(read("cdr.txt", 90_000..90_001));
            let mut lines = scene.follow();
            while !lines.contains(&expected[expected.len() - 1 - 1]) && lines.len() < expected.len()
            {
                scene.wait(1);
                let more = scene.follow();
                assert!(!more.is_empty(), "{lines:?}");
                lines.extend(more);
            }
            lines.sort();
            expected.sort();
            assert_eq!(lines, expected, "restarted: {restarted}, unread: {unread}");
            assert!(
                !scene
                    .changes()
                    .iter()
                    .any(|change| change.starts_with("gap"))
            );
        }
    }
}

#[test]
fn a_packed_generation_keeps_offset_line_and_first_row() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "caller\n".to_owned() + &rows(0..10));
    scene.look();
    let before = scene.read_lines();
    scene.consume(&before);
    scene.append("cdr.txt", rows(10..20));
    scene.age("cdr.txt", 9);
    scene.gzip("cdr.txt");
    scene.restart();
    scene.look();
    let after = scene.read_lines();
    assert_eq!((after.offset, after.line), (7 + 10 * 11, 12));
    assert_eq!(after.first_row, before.first_row);
    assert_eq!(after.bytes, rows(10..20).as_bytes());
    scene.consume(&after);
    assert!(scene.read().is_none());
    scene.look();
    let position = &scene.positions.values().next().unwrap();
    assert_eq!(position.offset, 7 + 20 * 11);
    assert!(position.finished.is_some());
    assert_eq!(scene.positions.len(), 1, "the file it was is forgotten");
}

#[test]
fn a_packed_generation_of_a_file_read_to_its_end_gives_nothing_and_is_opened_once() {
    for restarted in [false, true] {
        let mut scene = Scene::new();
        scene.append("cdr.txt", rows(0..100));
        assert_eq!(scene.follow().len(), 100);
        scene.age("cdr.txt", 9);
        scene.gzip("cdr.txt");
        if restarted {
            scene.restart();
        }
        for _ in 0..3 {
            scene.wait(61);
            assert_eq!(scene.follow(), [""; 0], "restarted: {restarted}");
        }
        let opens = scene.source.opens();
        for n in 1..5 {
            scene.rename(
                &if n == 1 {
                    "cdr.txt.gz".to_owned()
                } else {
                    format!("cdr.txt.{}.gz", n - 1)
                },
                &format!("cdr.txt.{n}.gz"),
            );
            scene.wait(61);
            assert_eq!(scene.follow(), [""; 0]);
        }
        assert_eq!(scene.source.opens(), opens, "restarted: {restarted}");
        scene.restart();
        assert_eq!(scene.follow(), [""; 0]);
        assert_eq!(scene.source.opens(), 0, "not even after a restart");
    }
}

#[test]
fn a_packed_file_that_nothing_was_read_of_is_read_whole() {
    for restarted in [false, true] {
        let mut scene = Scene::new();
        scene.append("a.txt", rows(500..501));
        if restarted {
            scene.follow();
            scene.restart();
        }
        scene.append("cdr.txt", rows(0..3_000));
        scene.age("cdr.txt", 9);
        scene.gzip("cdr.txt");
        let mut lines = scene.follow();
        lines.retain(|line| line.starts_with("cdr"));
        assert_eq!(
            lines,
            read("cdr.txt.gz", 0..3_000),
            "restarted: {restarted}"
        );
        assert_eq!(scene.follow(), [""; 0]);
    }
}

#[test]
fn packed_files_that_are_there_at_the_first_look_of_all_are_subject_to_start() {
    for expected in 0..3 {
        let mut scene = Scene::new();
        scene.settings.start = match expected {
            0 => Start::Now,
            1 => Start::At(UnixMs(scene.now.0 - 600_000)),
            _ => Start::Beginning,
        };
        scene.source = Source::open(scene.settings.clone(), is_header(), Vec::new(), false);
        for (name, age) in [("a.txt", 1_800), ("b.txt", 60)] {
            // Of two with the same rows one would be the copy of the other.
            scene.append(name, format!("{age}\n"));
            scene.age(name, age);
            scene.gzip(name);
        }
        assert_eq!(scene.follow().len(), expected);
        scene.restart();
        assert_eq!(scene.follow(), [""; 0]);
        assert_eq!(scene.positions.len(), 2);
    }
}

#[test]
fn a_packed_file_that_is_still_being_written_is_waited_for() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..2_000));
    assert_eq!(scene.follow().len(), 2_000);
    scene.append("cdr.txt", rows(2_000..4_000));
    scene.rename("cdr.txt", "cdr.txt.1");
    let packed = gzipped(&fs::read(scene.path("cdr.txt.1")).unwrap());
    scene.restart();
    for part in packed.chunks(packed.len() / 7) {
        scene.append("cdr.txt.1.gz", part);
        scene.look();
        scene.wait(1);
    }
    let lines = scene.drain();
    assert_eq!(
        lines,
        read("cdr.txt.1", 2_000..4_000),
        "the file itself is there"
    );
    scene.remove("cdr.txt.1");
    for _ in 0..3 {
        scene.wait(61);
        assert_eq!(scene.follow(), [""; 0]);
    }
    assert_eq!(scene.positions.len(), 1);
}

#[test]
fn a_packed_file_cut_off_gives_what_is_there_and_the_rest_when_it_comes() {
    let mut scene = Scene::new();
    let text: String = (0..20_000_u32)
        .map(|n| format!("{n:06}|{:x}\n", n.wrapping_mul(2_654_435_761)))
        .collect();
    let packed = gzipped(text.as_bytes());
    scene.append("cdr.txt.gz", &packed[..packed.len() / 2]);
    assert_eq!(scene.follow(), [""; 0]);
    scene.wait(20);
    let first = scene.follow();
    assert!(first.len() > 8_000, "{}", first.len());
    scene.look();
    assert_eq!(
        scene.changes(),
        ["appeared cdr.txt.gz", "unreadable 1: cdr.txt.gz"]
    );
    for _ in 0..5 {
        scene.wait(60);
        assert_eq!(scene.follow(), [""; 0]);
    }
    assert_eq!(scene.changes(), [""; 0], "told once");
    scene.append("cdr.txt.gz", &packed[packed.len() / 2..]);
    scene.wait(1);
    let rest = scene.follow();
    assert_eq!(first.len() + rest.len(), 20_000);
    assert!(
        rest[0].contains(&format!("{:06}|", first.len())),
        "{}",
        rest[0]
    );
}

#[test]
fn a_damaged_packed_file_gives_what_is_before_the_damage() {
    let mut scene = Scene::new();
    let text: String = (0..20_000_u32)
        .map(|n| format!("{n:06}|{:x}\n", n.wrapping_mul(2_654_435_761)))
        .collect();
    let mut packed = gzipped(text.as_bytes());
    let at = packed.len() * 3 / 4;
    packed[at..].fill(0xff);
    scene.append("cdr.txt.gz", &packed);
    scene.append("b.txt.gz", "this is no gzip\n");
    for name in ["cdr.txt.gz", "b.txt.gz"] {
        scene.age(name, 60);
    }
    let lines = scene.follow();
    assert!(lines.len() > 10_000, "{}", lines.len());
    for (n, line) in lines.iter().take(10_000).enumerate() {
        assert!(line.starts_with(&format!("cdr.txt.gz: {n:06}|")), "{line}");
    }
    scene.look();
    let mut changes = scene.changes();
    changes.sort();
    assert_eq!(changes[..2], ["appeared b.txt.gz", "appeared cdr.txt.gz"]);
    assert!(changes[2].starts_with("unreadable 2: "), "{changes:?}");
    scene.restart();
    assert_eq!(scene.follow(), [""; 0], "nothing is read twice");
}

#[test]
fn many_packed_files_that_were_read_cost_a_start_nothing() {
    const FILES: u32 = 9_600;
    let mut scene = Scene::with(|settings| settings.open_files_max = 64);
    for n in 0..FILES {
        let name = format!("cdr_{n}.txt.gz");
        scene.append(&name, gzipped(rows(n..n + 1).as_bytes()));
        scene.age(&name, 100_000 - u64::from(n));
    }
    assert_eq!(scene.follow().len(), FILES as usize);
    scene.look();
    assert_eq!(scene.positions.len(), FILES as usize);
    scene.restart();
    let began = std::time::Instant::now();
    assert_eq!(scene.follow(), [""; 0]);
    let taken = began.elapsed();
    assert_eq!(scene.source.opens(), 0);
    assert!(taken < Duration::from_secs(1), "{taken:?}");
}

#[test]
fn a_gzip_of_files_with_the_same_first_rows_finds_the_right_one() {
    let mut scene = Scene::new();
    let names: Vec<String> = (0..30).map(|n| format!("{n:02}.txt")).collect();
    for (n, name) in (0..).zip(&names) {
        let own: String = (0..40).map(|row| format!("{n}|{row}\n")).collect();
        scene.append(name, format!("caller\nthe same first row\n{own}"));
    }
    assert_eq!(scene.follow().len(), 30 * 42);
    for (n, name) in (0..).zip(&names) {
        scene.append(name, format!("{n}|last\n"));
        scene.age(name, 9);
        scene.gzip(name);
    }
    scene.restart();
    let mut lines = scene.follow();
    lines.sort();
    let mut expected: Vec<String> = (0..)
        .zip(&names)
        .map(|(n, name)| format!("{name}.gz: {n}|last"))
        .collect();
    expected.sort();
    assert_eq!(lines, expected);
}

#[test]
fn a_packed_file_that_is_not_whole_yet_is_no_shortened_file_under_the_inode_it_has() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", rows(0..4_000));
    assert_eq!(scene.follow().len(), 4_000);
    let packed = gzipped(rows(0..4_000).as_bytes());
    fs::write(scene.path("cdr.txt"), &packed[..packed.len() / 2]).unwrap();
    scene.rename("cdr.txt", "cdr.txt.1.gz");
    assert_eq!(scene.follow(), [""; 0]);
    fs::write(scene.path("cdr.txt.1.gz"), &packed).unwrap();
    assert_eq!(scene.follow(), [""; 0]);
}

#[test]
fn a_generation_that_is_packed_without_a_name_that_says_so_is_read_on() {
    // As svlogd does: `current` becomes @….u, its processor packs that into @….t, which is renamed @….s.
    for restarted in [false, true] {
        let mut scene = Scene::with(|settings| {
            let directory = settings.files[0].trim_end_matches("*.txt*").to_owned();
            settings.files = vec![format!("{directory}current")];
            settings.rotated = Rotated::Given(vec![format!("{directory}@*")]);
        });
        let mut expected = 0;
        let mut seen = Vec::new();
        for n in 0..6 {
            scene.append("current", format!("{n}|1\n{n}|2\n"));
            seen.extend(scene.follow());
            // What comes now is read in the packed one only.
            scene.append("current", format!("{n}|3\n{n}|4\n"));
            expected += 4;
            scene.rename("current", "@x.u");
            let text = fs::read(scene.path("@x.u")).unwrap();
            let packed = gzipped(&text);
            let (start, rest) = packed.split_at(n);
            scene.append("@x.t", start);
            if n % 2 == 1 {
                // It is empty, or a byte or two of it are there, when it is first seen.
                scene.close_all();
                scene.look();
                scene.close_all();
            }
            scene.append("@x.t", rest);
            scene.rename("@x.t", &format!("@{n}.s"));
            scene.close_all();
            scene.remove("@x.u");
            if restarted {
                scene.restart();
            }
            for _ in 0..3 {
                seen.extend(scene.follow());
                scene.wait(6);
            }
        }
        for _ in 0..4 {
            seen.extend(scene.follow());
            scene.wait(6);
        }
        assert_eq!(seen.len(), expected, "restarted: {restarted}: {seen:#?}");
        let told = scene.changes();
        let gap = told.iter().find(|change| change.starts_with("gap"));
        assert_eq!(gap, None, "restarted: {restarted}: {told:#?}");
    }
}

#[test]
fn a_generation_without_an_ending_is_looked_into_once_and_again_when_it_has_changed() {
    let mut scene = Scene::new();
    fs::write(scene.path("cdr.txt.1"), gzipped(b"0|1\n0|2\n")).unwrap();
    scene.append("cdr.txt", "1|1\n");
    scene.age("cdr.txt.1", 60);
    assert_eq!(
        scene.follow(),
        ["cdr.txt.1: 0|1", "cdr.txt.1: 0|2", "cdr.txt: 1|1"]
    );
    // Another file under the same inode is what it is itself.
    fs::write(scene.path("cdr.txt.1"), "2|1\n").unwrap();
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.extend(scene.follow());
        scene.wait(5);
    }
    assert_eq!(seen, ["cdr.txt.1: 2|1"]);
}
