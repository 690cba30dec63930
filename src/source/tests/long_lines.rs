//! Lines that are too long, and holes.

use super::*;

const LINE_MAX: usize = 64 << 10;

#[test]
fn a_line_of_three_mebibytes_is_passed_over_with_flat_memory() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1\n");
    scene.append("cdr.txt", "x".repeat(3 << 20));
    scene.append("cdr.txt", "\n2\n");
    assert_eq!(
        scene.follow(),
        [
            "cdr.txt: 1",
            "cdr.txt: 3145729 bytes at 2, line 2",
            "cdr.txt: 2"
        ]
    );
    let held = scene.source.window.capacity();
    assert!(held <= 4 * LINE_MAX, "{held} bytes held");
    let position = scene.positions.values().next().unwrap();
    assert_eq!((position.offset, position.lines), ((3 << 20) + 5, Some(3)));
}

#[test]
fn a_long_line_without_an_end_is_told_once_and_never_read_twice() {
    let mut scene = Scene::new();
    for n in 0..20 {
        scene.append("cdr.txt", "x".repeat(100_000));
        assert_eq!(scene.follow(), [""; 0]);
        let known = scene
            .source
            .files
            .values()
            .find(|known| known.path.ends_with("cdr.txt"))
            .unwrap();
        assert_eq!(
            (known.position.offset, known.read_from()),
            (0, known.size),
            "all of it was read"
        );
        scene.append("other.txt", format!("{n}\n"));
        assert_eq!(scene.follow(), [format!("other.txt: {n}")]);
        fs::remove_file(scene.path("other.txt")).unwrap();
        scene.wait(61);
        scene.look();
    }
    scene.append("cdr.txt", "\n2\n");
    assert_eq!(
        scene.follow(),
        ["cdr.txt: 2000001 bytes at 0, line 1", "cdr.txt: 2"]
    );
}

#[test]
fn a_long_line_is_told_again_after_a_restart_before_its_position_was_committed() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", format!("1\n{}", "x".repeat(LINE_MAX)));
    scene.follow();
    scene.restart();
    scene.append("cdr.txt", "\n2\n");
    assert_eq!(
        scene.follow(),
        ["cdr.txt: 65537 bytes at 2, line 2", "cdr.txt: 2"]
    );
}

#[test]
fn a_line_is_long_only_beyond_the_limit() {
    let mut scene = Scene::with(|settings| settings.line_max = 8);
    scene.append("cdr.txt", "1234567\n12345678\n");
    assert_eq!(
        scene.follow(),
        ["cdr.txt: 1234567", "cdr.txt: 9 bytes at 8, line 2"]
    );
}

#[test]
fn an_open_quote_before_a_long_line_is_told_that_nothing_follows() {
    let mut scene = Scene::with(|settings| settings.line_max = 8);
    scene.append("cdr.txt", "\"open\n123456789\n2\n");
    scene.look();
    let chunk = scene.read_lines();
    assert_eq!((&chunk.bytes[..], chunk.last), (&b"\"open\n"[..], true));
    scene.consume(&chunk);
    scene.lines.clear();
    assert_eq!(
        scene.drain(),
        ["cdr.txt: 10 bytes at 6, line 2", "cdr.txt: 2"]
    );
}

#[test]
fn a_hole_before_a_row_is_passed_over_and_is_no_long_line() {
    for restarted in [false, true] {
        let mut scene = Scene::new();
        let file = scene.append("cdr.txt", "1\n");
        file.set_len(2 + (2 << 20)).unwrap();
        assert_eq!(scene.follow(), ["cdr.txt: 1"]);
        if restarted {
            scene.restart();
        }
        scene.append("cdr.txt", "2\n3\n");
        assert_eq!(
            scene.follow(),
            ["cdr.txt: 2", "cdr.txt: 3"],
            "restarted: {restarted}"
        );
        let held = scene.source.window.capacity();
        assert!(held <= 4 * LINE_MAX, "{held} bytes held");
        let position = scene.positions.values().next().unwrap();
        assert_eq!((position.offset, position.lines), ((2 << 20) + 6, Some(3)));
    }
}

#[test]
fn a_short_hole_stays_in_the_line() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", b"1\n\0\0\x002\n");
    assert_eq!(scene.follow(), ["cdr.txt: 1", "cdr.txt: \\x00\\x00\\x002"]);
}
