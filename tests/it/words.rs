//! A receiver's own words: where an operator looks first, and with nothing in them that is nobody's
//! business or drives a terminal.

use crate::control::billing;
use crate::support::{Bench, SECRET, row, wait_until};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

/// A receiver that refuses every event with these words; its port.
fn refusing(words: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let words = words.clone();
            thread::spawn(move || {
                loop {
                    let mut length = 0;
                    loop {
                        let mut line = String::new();
                        match stream.read_line(&mut line) {
                            Ok(2) => break,
                            Ok(1..) => {}
                            _ => return,
                        }
                        let line = line.to_ascii_lowercase();
                        if let Some(said) = line.strip_prefix("content-length: ") {
                            length = said.trim().parse().unwrap();
                        }
                    }
                    let mut body = vec![0; length];
                    let head = "HTTP/1.1 422 Unprocessable Content\r\ncontent-length: ";
                    let answer = format!("{head}{}\r\n\r\n{words}", words.len());
                    let read = stream.read_exact(&mut body);
                    if read.is_err() || stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn what_a_receiver_says_stands_beside_the_last_error_without_secrets_numbers_and_controls() {
    let words = format!(
        "{{\"error\":\"no account for 447700900999\",\r\n\"signed\":\"{SECRET}\",\"token\":\"hush-hush\"}}\x1b[2J"
    );
    let port = refusing(words);
    let bench = Bench::new();
    bench.configure(&format!(
        "url = \"http://127.0.0.1:{port}/webhook?token=hush-hush\"\nprofile = \"vos3000\"\nattempts = 1"
    ));
    fs::write(bench.path("cdr/cdr_1.csv"), row(1)).unwrap();
    let agent = bench.ready();
    wait_until("the event to be given up", || {
        billing(&bench.status())["dead_letters"] == 1
    });
    let status = bench.status();
    let said = billing(&status)["last_error"]["answer"].as_str().unwrap();
    let expected = r#"{"error":"no account for …99", "signed":"***","token":"***"}\u{1b}[2J"#;
    assert_eq!(said, expected);
    assert_eq!(
        billing(&status)["failures"],
        serde_json::json!({ "http": 1 })
    );
    let figures = bench.ask(&["status", "--prometheus"]).stdout;
    let figures = String::from_utf8(figures).unwrap();
    for (class, count) in [("http", 1), ("timeout", 0)] {
        let expected = format!(
            "switchhook_endpoint_attempts_failed_total{{endpoint=\"billing\",class=\"{class}\"}} {count}\n"
        );
        assert!(figures.contains(&expected), "{figures}");
    }
    let screen = bench.answer(&["status"], 65);
    let line = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        line.contains(&format!("[http] status 422; its receiver says: {expected}")),
        "{screen}"
    );
    let id = bench.answer(&["dead-letters", "list", "--json"], 0);
    let id = id
        .split("\"id\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    // Who asks for numbers gets those, and nothing else of what was hidden.
    for (more, number) in [(None, "…99"), (Some("--payload"), "447700900999")] {
        let arguments: Vec<&str> = ["dead-letters", "show", id]
            .into_iter()
            .chain(more)
            .collect();
        let shown = bench.answer(&arguments, 0);
        let expected = format!("no account for {number}\",\\r\\n\"signed\":\"***\"");
        assert!(
            shown.contains(&expected) && shown.contains("\\u{1b}[2J"),
            "{shown}"
        );
        assert!(
            !shown.contains('\x1b') && !shown.contains("hush"),
            "{shown}"
        );
    }
    let tried = bench.answer(&["test", "billing"], 65);
    assert!(
        tried.contains("\"signed\":\"***\"") && !tried.contains("hush"),
        "{tried}"
    );
    assert_eq!(agent.stop(), 0);
}
