//! Files from whose front rows are taken.

use super::*;

fn rows(range: std::ops::Range<usize>) -> String {
    let row = |n| format!("{n}|a row of the day that is so wide\n");
    range.map(row).collect()
}

/// The rows, of 50 and more, as they are read.
fn as_read(range: std::ops::Range<usize>) -> Vec<String> {
    let rows = rows(range);
    rows.lines().map(|row| format!("cdr.txt: {row}")).collect()
}

/// How a program puts the text in the place of what was there.
#[derive(Debug, Clone, Copy)]
enum How {
    /// `cat t > cdr.txt`.
    SameFile,
    /// `mv t cdr.txt`.
    AnotherFile,
}

const EITHER: [How; 2] = [How::SameFile, How::AnotherFile];

fn replace(scene: &Scene, how: How, text: &str) {
    match how {
        How::SameFile => scene.rewrite("cdr.txt", text),
        How::AnotherFile => {
            scene.rewrite("t", text);
            scene.rename("t", "cdr.txt");
        }
    }
}

/// Follows for a minute; returns what was read and whether a gap was told.
fn follow_long(scene: &mut Scene) -> (Vec<String>, Vec<String>) {
    let mut seen = Vec::new();
    for _ in 0..12 {
        seen.extend(scene.follow());
        scene.wait(5);
    }
    let mut told = scene.changes();
    told.retain(|change| change.starts_with("gap"));
    (seen, told)
}

#[test]
fn a_file_from_whose_front_rows_are_taken_is_read_on_where_it_was() {
    for how in EITHER {
        for restarted in [false, true] {
            for (header, more) in [
                ("", 0),
                ("", 7),
                ("caller|callee\n", 0),
                ("caller|callee\n", 7),
            ] {
                let mut scene = Scene::new();
                scene.append("cdr.txt", header.to_owned() + &rows(0..300));
                assert_eq!(scene.follow().len(), 300 + usize::from(!header.is_empty()));
                scene.wait(5);
                scene.follow();
                if restarted {
                    scene.restart();
                }
                // Some rows come before it, and are seen nowhere else.
                replace(&scene, how, &(header.to_owned() + &rows(250..300 + more)));
                let (seen, told) = follow_long(&mut scene);
                let case = format!("{how:?}, restarted: {restarted}, {header:?}, {more}");
                assert_eq!(seen, as_read(300..300 + more), "{case}");
                // What was written and cut off unseen while the agent was not running nobody knows.
                assert!(told.is_empty(), "{case}: {told:?}");
                scene.append("cdr.txt", rows(307..309));
                assert_eq!(scene.follow(), as_read(307..309), "{case}");
                scene.restart();
                assert_eq!(scene.follow(), [""; 0], "{case}");
            }
        }
    }
}

#[test]
fn a_file_trimmed_again_and_again_gives_every_row_once() {
    for how in EITHER {
        let mut scene = Scene::new();
        let (mut from, mut upto, mut seen) = (0, 0, Vec::new());
        for round in 0..40 {
            let more = [1, 30, 90, 4][round % 4];
            scene.append("cdr.txt", rows(upto..upto + more));
            upto += more;
            if round % 3 == 0 {
                seen.extend(scene.follow());
            }
            if round % 3 != 1 {
                from = from.max(upto.saturating_sub(150));
                replace(&scene, how, &rows(from..upto));
            }
            if round % 5 == 4 {
                scene.restart();
            }
            let before = seen.len();
            seen.extend(scene.follow());
            let told = scene.changes();
            let is_right = as_read(0..upto).starts_with(&seen);
            assert!(
                is_right,
                "{how:?}, round {round}, {from}..{upto}: {:?} after {before}; {told:#?}",
                seen.get(before)
            );
            scene.now = scene.now.after(Duration::from_millis(300));
        }
        seen.extend(follow_long(&mut scene).0);
        assert!(
            seen == as_read(0..upto),
            "{how:?}: {} of {upto}",
            seen.len()
        );
    }
}

#[test]
fn a_file_that_is_copied_and_then_trimmed_gives_every_row_once() {
    for how in EITHER {
        for is_packed in [false, true] {
            for restarted in [false, true] {
                let mut scene = Scene::new();
                let (mut upto, mut seen) = (0, Vec::new());
                for round in 0..4 {
                    scene.append("cdr.txt", rows(upto..upto + 150));
                    upto += 150;
                    seen.extend(follow_long(&mut scene).0);
                    let kept = fs::read(scene.path("cdr.txt")).unwrap();
                    match is_packed {
                        true => scene.append(&format!("cdr.txt.{round}.gz"), gzipped(&kept)),
                        false => scene.append(&format!("cdr.txt.{round}"), &kept),
                    };
                    if restarted {
                        scene.restart();
                    }
                    replace(&scene, how, &rows(upto - 100..upto + 5));
                    upto += 5;
                    let (more, told) = follow_long(&mut scene);
                    seen.extend(more);
                    let case = format!("{how:?}, {is_packed}, {restarted}, {round}");
                    let expected = as_read(0..upto);
                    let left = seen.get(expected.len()..).unwrap_or_default();
                    assert!(
                        seen == expected,
                        "{case}: {} {:?}",
                        left.len(),
                        left.first()
                    );
                    assert_eq!(told, [""; 0], "{case}");
                }
            }
        }
    }
}

/// One file of a script that keeps a copy and then trims, and an agent that is started again at random: the
/// same seed does the same.
struct Trimming {
    rng: fastrand::Rng,
    scene: Scene,
    how: How,
    is_packed: bool,
    upto: usize,
    copies: usize,
    seen: Vec<String>,
    log: Vec<String>,
}

impl Trimming {
    fn act(&mut self) {
        let what = match self.rng.u32(..10) {
            0..4 => self.write(),
            4..6 => self.look(),
            6 => self.drain(),
            7 => self.restart(),
            _ => self.keep_and_trim(),
        };
        self.log.push(what);
        self.scene.now = self.scene.now.after(Duration::from_millis(300));
    }

    fn write(&mut self) -> String {
        let more = self.rng.usize(1..40);
        self.scene
            .append("cdr.txt", rows(self.upto..self.upto + more));
        self.upto += more;
        format!("rows up to {}", self.upto)
    }

    fn look(&mut self) -> String {
        self.scene.look();
        let known = self.scene.source.files.values().map(|known| {
            let p = &known.position;
            let name = known.path.file_name().unwrap_or_default().display();
            let (presence, standing) = (known.presence, known.standing);
            format!(
                "\n    {name} {} {presence:?} {standing:?} {}/{} copy {:?}",
                p.key.inode,
                p.offset,
                known.size,
                known.copy_of.map(|of| of.key.inode)
            )
        });
        let mut known: Vec<String> = known.collect();
        known.sort_unstable();
        format!("look: {:?}{}", self.scene.changes(), known.concat())
    }

    fn drain(&mut self) -> String {
        let seen = self.scene.drain();
        let (first, last) = (seen.first().cloned(), seen.last().cloned());
        self.seen.extend(seen);
        format!("read {first:?} to {last:?}")
    }

    fn restart(&mut self) -> String {
        self.scene.restart();
        "restart".to_owned()
    }

    fn keep_and_trim(&mut self) -> String {
        let Ok(whole) = fs::read(self.scene.path("cdr.txt")) else {
            return "nothing to trim".to_owned();
        };
        self.copies += 1;
        let copies = self.copies;
        match self.is_packed {
            true => self
                .scene
                .append(&format!("cdr.txt-{copies}.gz"), gzipped(&whole)),
            false => self.scene.append(&format!("cdr.txt-{copies}"), &whole),
        };
        replace(
            &self.scene,
            self.how,
            &rows(self.upto.saturating_sub(60)..self.upto),
        );
        format!(
            "copy {copies}, {} and more are left",
            self.upto.saturating_sub(60)
        )
    }

    fn run(seed: u64, how: How, is_packed: bool) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut own = Trimming {
            scene: Scene::with(|settings| {
                settings.open_files_max = if rng.bool() { 2 } else { 16 }
            }),
            rng,
            how,
            is_packed,
            upto: 0,
            copies: 0,
            seen: Vec::new(),
            log: Vec::new(),
        };
        for _ in 0..60 {
            own.act();
        }
        own.log.push("end".to_owned());
        // One copy after the other, each behind the one before it.
        for _ in 0..own.copies + 12 {
            let what = own.look();
            own.log.push(what);
            let what = own.drain();
            own.log.push(what);
            own.scene.wait(5);
        }
        let mut rows: Vec<&str> = own
            .seen
            .iter()
            .map(|row| row.split(": ").nth(1).unwrap())
            .collect();
        rows.sort_by_key(|row| row.split('|').next().unwrap().parse::<usize>().unwrap());
        let expected = super::trimmed::rows(0..own.upto);
        let is_right = rows.iter().copied().eq(expected.lines());
        let mut twice = rows
            .windows(2)
            .filter(|two| two[0] == two[1])
            .map(|two| two[0]);
        assert!(
            is_right,
            "seed {seed}, {how:?}, packed: {is_packed}: {} rows of {}, twice {:?}\n{}",
            rows.len(),
            own.upto,
            twice.next(),
            own.log.join("\n")
        );
    }
}

#[test]
fn a_file_that_is_kept_and_trimmed_at_random_gives_every_row_once_through_every_restart() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    // Always the same ones by default: of a thousand others one or two told some rows twice.
    let (first, count) = match (number("SWITCHHOOK_SEED"), number("SWITCHHOOK_HISTORIES")) {
        (Some(seed), _) => (seed, 1),
        (None, Some(count)) => (fastrand::u64(..1_000_000_000), count),
        (None, None) => (3_000, 12),
    };
    for seed in first..first + count {
        for how in EITHER {
            for is_packed in [false, true] {
                Trimming::run(seed, how, is_packed);
            }
        }
    }
}

#[test]
fn a_file_that_is_trimmed_with_each_row_is_remembered_a_few_times_only() {
    for how in EITHER {
        let mut scene = Scene::new();
        scene.append("cdr.txt", rows(0..50));
        assert_eq!(scene.follow().len(), 50);
        for upto in 51..200 {
            replace(&scene, how, &rows(upto - 50..upto));
            assert_eq!(scene.follow(), as_read(upto - 1..upto), "{how:?}");
            scene.wait(1);
        }
        let trimmed = scene.source.pasts.iter().filter(|past| past.was_trimmed);
        assert!(trimmed.count() <= 8, "{how:?}");
    }
}

#[test]
fn a_row_corrected_in_the_front_has_no_row_read_again() {
    for how in EITHER {
        let mut scene = Scene::new();
        scene.append("cdr.txt", rows(0..100));
        scene.follow();
        replace(&scene, how, &rows(0..103).replacen("0|a row", "0|a cow", 1));
        assert_eq!(follow_long(&mut scene).0, as_read(100..103), "{how:?}");
    }
}

#[test]
fn a_file_of_the_same_rows_over_and_over_is_read_from_its_start_when_it_is_another_one() {
    for how in EITHER {
        for restarted in [false, true] {
            let mut scene = Scene::new();
            scene.append("cdr.txt", "beat\n".repeat(400));
            scene.follow();
            if restarted {
                scene.restart();
            }
            replace(&scene, how, &("up\n".to_owned() + &"beat\n".repeat(200)));
            let (seen, _) = follow_long(&mut scene);
            assert_eq!(seen.len(), 201, "{how:?}, restarted: {restarted}");
        }
    }
}

#[test]
fn a_file_in_whose_middle_rows_were_changed_is_read_from_its_start() {
    let mut scene = Scene::new();
    for n in 0..30 {
        scene.append("cdr.txt", rows(n * 10..n * 10 + 10));
        scene.follow();
    }
    let changed = rows(100..300).replace("|a row", "|no row");
    let text = changed[..changed.len() / 2].to_owned() + &rows(200..300);
    replace(&scene, How::SameFile, &text);
    assert_eq!(follow_long(&mut scene).0.len(), text.lines().count());
}

#[test]
fn rows_that_are_written_again_with_what_has_changed_are_all_read() {
    for how in EITHER {
        let mut scene = Scene::with(|settings| settings.rows_change = true);
        scene.append("cdr.txt", rows(0..100));
        scene.follow();
        replace(&scene, how, &rows(0..100).replacen("0|a row", "0|a cow", 1));
        assert_eq!(follow_long(&mut scene).0.len(), 100, "{how:?}");
        replace(&scene, how, &rows(40..100));
        assert_eq!(follow_long(&mut scene).0.len(), 60, "{how:?}");
    }
}

#[test]
fn rows_that_are_written_again_are_all_read_though_the_first_and_the_last_are_what_they_were() {
    for how in EITHER {
        for more in [0, 1] {
            let mut scene = Scene::with(|settings| settings.rows_change = true);
            scene.append("cdr.txt", rows(0..100));
            assert_eq!(scene.follow().len(), 100);
            for (round, word) in ["cow", "row", "cow"].into_iter().enumerate() {
                let case = format!("{how:?}, {more}, {round}");
                scene.wait(60);
                let changed = rows(0..100).replacen("50|a row", &format!("50|a {word}"), 1);
                let changed =
                    changed.replacen("51|a", &format!("51|{}a", "a".repeat(more * round)), 1);
                replace(&scene, how, &changed);
                let (seen, told) = follow_long(&mut scene);
                assert_eq!(seen.len(), 100, "{case}");
                assert_eq!(told, [""; 0], "{case}");
                // What is only seen again is what it was.
                scene.rename("cdr.txt", "away");
                scene.look();
                scene.rename("away", "cdr.txt");
                assert_eq!(follow_long(&mut scene).0, [""; 0], "{case}");
            }
            scene.append("cdr.txt", "and one more\n");
            assert_eq!(scene.follow(), ["cdr.txt: and one more"]);
            scene.restart();
            assert_eq!(scene.follow(), [""; 0]);
        }
    }
}

#[test]
fn rows_that_are_only_added_to_what_tells_how_something_stands_are_read_once() {
    let mut scene = Scene::with(|settings| settings.rows_change = true);
    for n in 0..20 {
        scene.append("cdr.txt", format!("{n}|a row\n"));
        scene.look();
        // One more is there by the time the file is read.
        scene.append("cdr.txt", format!("{n}|another row\n"));
        assert_eq!(scene.drain().len(), 2);
        scene.wait(1);
        assert_eq!(scene.follow(), [""; 0], "{n}");
    }
}

#[test]
fn a_list_of_how_things_stand_that_is_written_anew_in_its_place_is_no_gap() {
    let mut scene = Scene::with(|settings| settings.rows_change = true);
    scene.append("cdr.txt", rows(0..100));
    scene.follow();
    for round in 1..8 {
        // Longer, shorter, with another first row or the same one, and other rows in any case.
        let text = rows(round % 2..100 + round * 13 % 10);
        let text = text.replace("50|a row", &format!("50|a row {round}"));
        replace(&scene, How::SameFile, &text);
        let (seen, told) = follow_long(&mut scene);
        assert_eq!(seen.len(), text.lines().count(), "{round}");
        assert!(told.is_empty(), "{round}: {told:?}");
    }
    // What was cut off and begins anew with a few rows is a log.
    scene.append("cdr.txt", rows(200..202));
    scene.look();
    replace(&scene, How::SameFile, &rows(300..310));
    let (seen, told) = follow_long(&mut scene);
    assert_eq!((seen.len(), told.len()), (10, 1), "{told:?}");
}
