//! Lines that are not complete yet, and rows that take several lines.

use super::*;

#[test]
fn a_partial_line_is_held_back_at_every_cut_of_a_row() {
    let row = "4|\"a\"|2026-04-10\r\n";
    for cut in 0..row.len() {
        for restarted in [false, true] {
            let mut scene = Scene::new();
            scene.append("cdr.txt", "1\n");
            scene.append("cdr.txt", &row[..cut]);
            assert_eq!(scene.follow(), ["cdr.txt: 1"], "cut at {cut}");
            if restarted {
                scene.restart();
            }
            assert_eq!(scene.follow(), [""; 0], "cut at {cut}");
            scene.append("cdr.txt", &row[cut..]);
            assert_eq!(
                scene.follow(),
                ["cdr.txt: 4|\\\"a\\\"|2026-04-10"],
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn half_a_row_is_held_however_long_and_is_one_row_then() {
    let mut scene = Scene::new();
    scene.append("0.txt", "1\n");
    scene.append("cdr.txt", "2|ha");
    // Also where a newer file of the source exists, so that this one may count as finished.
    scene.age("cdr.txt", 5);
    assert_eq!(scene.follow(), ["0.txt: 1"]);
    for _ in 0..10 {
        scene.wait(1);
        assert_eq!(scene.follow(), [""; 0]);
    }
    scene.append("cdr.txt", "lf\n");
    assert_eq!(scene.follow(), ["cdr.txt: 2|half"]);
}

#[test]
fn a_partial_line_is_told_with_its_length_and_since_when() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1\nha");
    scene.follow();
    let at = |secs| Moment(Duration::from_secs(secs));
    scene.source.files(at(5));
    scene.append("cdr.txt", "lf");
    scene.follow();
    let files = scene.source.files(at(9));
    let found: Vec<_> = files
        .iter()
        .map(|file| (file.offset, file.size_bytes, file.partial))
        .collect();
    assert_eq!(
        found,
        [(
            2,
            6,
            Some(PartialLine {
                bytes: 4,
                since: at(5)
            })
        )]
    );
    assert_eq!(
        scene.source.lag(at(9)),
        Lag {
            files: 1,
            unread_bytes: 4,
            partial_since: Some(at(5))
        }
    );
    scene.append("cdr.txt", "\n");
    scene.follow();
    assert_eq!(
        scene.source.lag(at(12)),
        Lag {
            files: 1,
            unread_bytes: 0,
            partial_since: None
        }
    );
}

#[test]
fn what_is_not_consumed_is_handed_out_again() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "1\n2\n3\n");
    scene.look();
    let chunk = scene.read_lines();
    assert_eq!(
        (chunk.offset, chunk.line, &chunk.bytes[..]),
        (0, 1, &b"1\n2\n3\n"[..])
    );
    let position = scene.source.consumed(chunk.file, 2, 1);
    assert_eq!((position.offset, position.lines), (2, Some(1)));
    let again = scene.read_lines();
    assert_eq!(
        (again.offset, again.line, &again.bytes[..]),
        (2, 2, &b"2\n3\n"[..])
    );
    scene.consume(&again);
    assert!(scene.read().is_none());
}

#[test]
fn lines_of_which_nothing_is_consumed_come_again_when_there_are_more() {
    let mut scene = Scene::new();
    scene.append("cdr.txt", "\"open\n");
    scene.look();
    let chunk = scene.read_lines();
    assert!(!chunk.last);
    scene.source.consumed(chunk.file, 0, 0);
    assert!(scene.read().is_none(), "no spin");
    scene.look();
    assert!(scene.read().is_none(), "no spin");
    scene.append("cdr.txt", "half");
    scene.look();
    assert!(scene.read().is_none(), "a partial line adds nothing");
    scene.append("cdr.txt", "\nclosed\"\n");
    scene.look();
    let chunk = scene.read_lines();
    assert_eq!(chunk.bytes, b"\"open\nhalf\nclosed\"\n");
    scene.consume(&chunk);
    assert!(scene.read().is_none());
}

#[test]
fn a_row_longer_than_was_asked_for_comes_in_longer_and_longer_runs() {
    let mut scene = Scene::with(|settings| settings.line_max = 40);
    scene.append("cdr.txt", "\"open\n".to_owned() + &"line\n".repeat(30));
    scene.look();
    let mut lengths = Vec::new();
    for _ in 0..20 {
        let Some(Piece::Lines(chunk)) = scene.source.read(10).unwrap() else {
            break;
        };
        lengths.push((chunk.bytes.len(), chunk.last));
        scene.source.consumed(chunk.file, 0, 0);
    }
    // Longer than a line may be: told that nothing follows, once, and then left alone.
    assert_eq!(
        lengths,
        [
            (6, false),
            (16, false),
            (26, false),
            (36, false),
            (46, false),
            (56, true)
        ]
    );
}

#[test]
fn the_end_of_an_older_file_is_told_once_it_is_quiet() {
    let mut scene = Scene::new();
    scene.append("1.txt", "\"open\n");
    scene.look();
    scene.append("1.txt", "2\n");
    scene.look();
    let chunk = scene.read_lines();
    scene.source.consumed(chunk.file, 0, 0);
    scene.wait(1);
    scene.append("2.txt", "3\n");
    scene.look();
    let newer = scene.read_lines();
    assert_eq!(
        newer.bytes, b"3\n",
        "the older file may still get the rest of its row"
    );
    scene.consume(&newer);
    scene.wait(3);
    scene.look();
    let chunk = scene.read_lines();
    assert_eq!((&chunk.bytes[..], chunk.last), (&b"\"open\n2\n"[..], true));
    scene.source.consumed(chunk.file, 6, 1);
    let chunk = scene.read_lines();
    assert_eq!((&chunk.bytes[..], chunk.last), (&b"2\n"[..], true));
    scene.consume(&chunk);
    assert!(scene.read().is_none());
}

#[test]
fn the_first_row_is_known_behind_headers_and_in_every_later_chunk() {
    use sha2::{Digest, Sha256};
    let expected: [u8; 32] = Sha256::digest("1|a").into();
    let mut scene = Scene::new();
    scene.append("cdr.txt", "\u{feff}caller|callee\n\n");
    scene.look();
    let header = scene.read_lines();
    assert_eq!(header.first_row, [0; 32]);
    scene.consume(&header);
    scene.append("cdr.txt", "1|a\r\n2|b\n");
    for restarted in [false, true] {
        if restarted {
            scene.append("cdr.txt", "3|c\n");
            scene.restart();
        }
        scene.look();
        let rows = scene.read_lines();
        assert_eq!(rows.first_row, expected);
        scene.consume(&rows);
    }
    let position = scene.positions.values().next().unwrap();
    assert_eq!(
        (position.first_row, position.head_bytes, position.lines),
        (Some(expected), 23, Some(5))
    );
}

#[test]
fn an_open_quote_at_the_end_of_a_full_window_stalls_nothing() {
    // Every cut of the file by the window, and a line after which no quote is ever closed.
    let rows = ["1|a\n", "\"open\nclosed\"\n", "2|b\n", "\"never\n"];
    let text = rows.concat() + &"line\n".repeat(30);
    for max_bytes in 1..text.len() + 2 {
        let mut scene = Scene::with(|settings| settings.line_max = 40);
        scene.append("cdr.txt", &text);
        scene.look();
        let mut consumed = String::new();
        while let Some(piece) = scene.source.read(max_bytes).unwrap() {
            let Piece::Lines(chunk) = piece else {
                panic!("{piece:?} instead of lines")
            };
            assert_eq!(chunk.offset, consumed.len() as u64);
            let lines = std::str::from_utf8(&chunk.bytes).unwrap();
            let (mut at, mut count) = (0, 0);
            while let Some(taken) = row_bytes(&lines[at..], chunk.last) {
                count += u32::try_from(lines[at..at + taken].lines().count()).unwrap();
                at += taken;
            }
            consumed.push_str(&lines[..at]);
            let position = scene.source.consumed(chunk.file, at, count);
            let counted = consumed.lines().count() as u64;
            assert_eq!(position.lines, Some(counted), "{max_bytes} bytes at a time");
        }
        assert_eq!(consumed, text, "{max_bytes} bytes at a time");
    }
}

/// Bytes of the row at the start of `lines`: up to the line end outside quotes, or, when a quote
/// is still open where nothing follows, of its first line. `None` when more is needed.
fn row_bytes(lines: &str, last: bool) -> Option<usize> {
    let mut quoted = false;
    for (at, byte) in lines.bytes().enumerate() {
        quoted ^= byte == b'"';
        if byte == b'\n' && !quoted {
            return Some(at + 1);
        }
    }
    lines.find('\n').filter(|_| last).map(|at| at + 1)
}
