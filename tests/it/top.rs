//! `top` on a real terminal: what an operator sees on the screen, and how the terminal is left.

use crate::control::{billing, vos3000};
use crate::support::{Bench, has, receiver, skip, switchhook, text, wait_until};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::tcgetattr;
use nix::unistd::{Pid, ttyname};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use switchhook::receiver::Profile;

/// To the terminal's other page, and back.
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";

/// A terminal with a process in it, and what it shows.
struct Screen {
    child: Child,
    keys: File,
    slave: OwnedFd,
    told: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
    drawn: usize,
    cells: Vec<Vec<char>>,
    at: (usize, usize),
}

impl Screen {
    /// Runs `command` as the one job of a terminal.
    fn of(command: &mut Command, columns: u16, rows: u16) -> Screen {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let terminal = openpty(Some(&size), None).unwrap();
        // Agents of other tests, started meanwhile, are to inherit none of it.
        for side in [terminal.master.as_fd(), terminal.slave.as_fd()] {
            fcntl(side, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let side = || Stdio::from(terminal.slave.try_clone().unwrap());
        let child = command
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        let keys = File::from(terminal.master.try_clone().unwrap());
        let mut screen = File::from(terminal.master);
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                let _heard = tell.send(bytes[..count].to_vec());
            }
        });
        Screen {
            child,
            keys,
            slave: terminal.slave,
            told,
            bytes: Vec::new(),
            drawn: 0,
            cells: vec![vec![' '; columns.into()]; rows.into()],
            at: (0, 0),
        }
    }

    /// `top` of the bench's agent. Its terminal is its own, so that Ctrl-C and a new size reach it.
    fn top(bench: &Bench, columns: u16, rows: u16, variables: &[(&str, &str)]) -> Screen {
        let top = switchhook();
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "--"])
            .arg(top.get_program())
            .args(["top", "--config"])
            .arg(bench.path("switchhook.toml"))
            .env("TERM", "xterm")
            .env("LC_ALL", "C.UTF-8")
            .envs(variables.iter().copied());
        Screen::of(&mut command, columns, rows)
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// What is on the screen.
    fn shown(&mut self) -> String {
        self.bytes.extend(self.told.try_iter().flatten());
        while let Some(count) = self.draw() {
            self.drawn += count;
        }
        let rows = self.cells.iter().map(|row| row.iter().collect::<String>());
        rows.map(|row| row.trim_end().to_string() + "\n").collect()
    }

    #[track_caller]
    fn sees(&mut self, expected: &str) -> String {
        let mut shown = String::new();
        wait_until(expected, || {
            shown = self.shown();
            shown.contains(expected)
        });
        shown
    }

    /// Draws the next character or sequence, when it is there whole; how many bytes it has.
    fn draw(&mut self) -> Option<usize> {
        let rest = &self.bytes[self.drawn..];
        let first = *rest.first()?;
        if first != 0x1b {
            let length = match first {
                0..0x80 => 1,
                0xc0..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            let text = text(rest.get(..length)?);
            self.put(text.chars().next().unwrap());
            return Some(length);
        }
        let length = rest
            .iter()
            .skip(2)
            .position(|byte| byte.is_ascii_alphabetic())?
            + 3;
        let sequence = text(&rest[2..length]);
        let (numbers, code) = sequence.split_at(sequence.len() - 1);
        let number = |at: usize| numbers.split(';').nth(at).and_then(|it| it.parse().ok());
        match code {
            "H" => self.at = (number(0).unwrap_or(1) - 1, number(1).unwrap_or(1) - 1),
            "C" => self.at.1 += number(0).unwrap_or(1),
            "J" => self.cells.iter_mut().for_each(|row| row.fill(' ')),
            "h" | "l" if numbers == "?1049" => {
                // The other page: neither keeps what the one before shows.
                self.cells.iter_mut().for_each(|row| row.fill(' '));
                self.at = (0, 0);
            }
            "m" | "h" | "l" => {}
            other => panic!("top uses a sequence that not every terminal knows: {other}"),
        }
        Some(length)
    }

    fn put(&mut self, character: char) {
        let (row, column) = self.at;
        match character {
            '\r' => self.at.1 = 0,
            '\n' => self.at.0 += 1,
            _ => {
                let cell = self.cells.get_mut(row).and_then(|row| row.get_mut(column));
                if let Some(cell) = cell {
                    *cell = character;
                }
                self.at.1 += 1;
            }
        }
    }

    fn modes(&self) -> String {
        let modes = tcgetattr(&self.slave).unwrap();
        format!(
            "{:?} {:?} {:?}",
            modes.local_flags, modes.input_flags, modes.output_flags
        )
    }

    /// How it ended, once all that it said has been heard.
    fn end(&mut self) -> Option<i32> {
        let code = self.child.wait().unwrap().code();
        self.sees("");
        wait_until("the way back to the other page", || {
            self.shown();
            text(&self.bytes).contains(LEAVE)
        });
        code
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // One that has ended needs no more.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn bench() -> Bench {
    let bench = Bench::new();
    let nobody = "url = \"http://127.0.0.1:9/\"\nprofile = \"vos3000\"\nprobe_max = \"300ms\"";
    bench.configure(nobody);
    bench.write_rows("cdr_1.csv", 0..5);
    bench
}

#[test]
fn top_shows_everything_and_its_keys_pause_and_resume() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &["status=422"], 0);
    let other = format!(
        "{}\n\n[[endpoint]]\nname = \"crm\"\nevents = [\"cdr\"]\nsecret_file = \"secret\"\n{}",
        vos3000(&receiver, "attempts = 1"),
        vos3000(&receiver, "attempts = 1")
    );
    bench.configure(&other);
    bench.write_rows("cdr_1.csv", 0..5);
    let told = bench.answer(&["top", "--once"], 75);
    assert!(told.contains("the agent is not running"), "{told}");
    let agent = bench.ready();
    let crm = |status: &serde_json::Value| status["endpoints"][1].clone();
    wait_until("dead letters", || {
        let status = bench.status();
        billing(&status)["dead_letters"] == 5 && crm(&status)["dead_letters"] == 5
    });
    let once = bench.answer(&["top", "--once"], 0);
    for word in [
        "> billing",
        "crm",
        "ledger balanced",
        "SOURCE",
        "status 422",
    ] {
        assert!(once.contains(word), "{word}: {once}");
    }
    assert!(
        once.lines().all(|line| line.chars().count() <= 80),
        "{once}"
    );
    assert!(bench.answer(&["top"], 64).contains("top needs a terminal"));

    let mut screen = Screen::top(&bench, 80, 24, &[]);
    let before = screen.modes();
    screen.sees("> billing");
    screen.press("p");
    let shown = screen.sees("paused billing");
    assert_eq!(billing(&bench.status())["paused_by"], "operator", "{shown}");
    screen.sees("> billing            paused");
    screen.press("r");
    screen.sees("resumed billing");
    assert!(billing(&bench.status())["paused_by"].is_null());
    // The second endpoint, by an arrow; the choice holds when it is sorted to the top.
    screen.press("\x1b[B");
    screen.sees("> crm");
    screen.press("p");
    screen.sees("paused crm");
    assert_eq!(crm(&bench.status())["paused_by"], "operator");
    assert!(billing(&bench.status())["paused_by"].is_null());
    screen.press("s");
    let shown = screen.sees("sorted by state, the worst first");
    let place = |name: &str| shown.lines().position(|line| line.contains(name));
    assert!(place("> crm") < place("  billing"), "{shown}");
    screen.press("r");
    screen.sees("resumed crm");
    screen.press("?");
    screen.sees("keys (any key closes)");
    screen.press("\x1b");
    screen.press("d");
    screen.sees("dead letters of crm: 5");
    screen.press("\r");
    let letter = screen.sees("id: evt_");
    assert!(letter.contains("reason: status 422"), "{letter}");
    screen.press("\x1b");
    screen.sees("dead letters of crm: 5");
    screen.press("b");
    screen.sees("ENDPOINT");
    screen.press("\t");
    screen.sees("> cdr");
    screen.press("\t");
    // More often than the agent serves clients: each one is let go.
    for _ in 0..12 {
        screen.press("a");
        screen.sees("attempts of crm");
        screen.press("b");
        screen.sees("ENDPOINT");
    }
    screen.press("a");
    screen.sees("attempts of crm");
    bench.append_rows("cdr_1.csv", 5..6);
    screen.sees("refused status 422");
    assert!(!screen.modes().contains("ICANON"));
    screen.press("q");
    assert_eq!(screen.end(), Some(0));
    assert_eq!(screen.modes(), before);
    assert_eq!(agent.stop(), 0);
}

#[test]
fn an_agent_that_stops_is_told_of_and_shown_again_when_it_is_back() {
    let bench = bench();
    let agent = bench.ready();
    let mut screen = Screen::top(&bench, 80, 24, &[]);
    screen.sees("> billing");
    screen.press("a");
    screen.sees("attempts of billing");
    assert_eq!(agent.stop(), 0);
    let shown = screen.sees("NOT RUNNING");
    assert!(
        shown.contains("! the agent is not running: this is how it stood"),
        "{shown}"
    );
    screen.press("p");
    screen.sees("the agent is not running");
    let agent = bench.ready();
    screen.sees("the agent was started again");
    // The attempts are those of the new agent: the watch was taken up again.
    screen.sees("Connection refused");
    // One that hangs stops no key.
    let pid = Pid::from_raw(i32::try_from(agent.pid()).unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    screen.sees("NO ANSWER");
    screen.press("b");
    screen.sees("ENDPOINT");
    kill(pid, Signal::SIGCONT).unwrap();
    screen.sees("problem");
    screen.press("q");
    assert_eq!(screen.end(), Some(0));
    assert_eq!(agent.stop(), 0);
}

#[test]
fn the_terminal_is_left_as_it_was_however_top_ends() {
    let bench = bench();
    let agent = bench.ready();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
    ] {
        let mut screen = Screen::top(&bench, 80, 24, &[]);
        let before = screen.modes();
        screen.sees("> billing");
        assert_ne!(screen.modes(), before);
        let pid = Pid::from_raw(i32::try_from(screen.child.id()).unwrap());
        kill(pid, signal).unwrap();
        assert_eq!(screen.end(), Some(0), "{signal}");
        assert_eq!(screen.modes(), before, "{signal}");
    }
    // The keys that a terminal makes signals of; one of them stops nothing without a shell.
    let mut screen = Screen::top(&bench, 80, 24, &[]);
    let before = screen.modes();
    screen.sees("> billing");
    screen.press("\x1a");
    screen.press("?");
    screen.sees("keys (any key closes)");
    assert!(text(&screen.bytes).matches(ENTER).count() == 2);
    screen.press("\x03");
    assert_eq!(screen.end(), Some(0));
    assert_eq!(screen.modes(), before);
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_shell_can_suspend_top_and_have_it_go_on() {
    if !has("bash", "--version") {
        return skip("top::a_shell_can_suspend_top_and_have_it_go_on", "no bash");
    }
    let bench = bench();
    let agent = bench.ready();
    let mut command = Command::new("setsid");
    command
        .args(["--ctty", "--", "bash", "--norc", "--noediting", "-i"])
        .env("TERM", "xterm")
        .env("LC_ALL", "C.UTF-8")
        .env("PS1", "shell> ");
    let mut shell = Screen::of(&mut command, 80, 24);
    shell.sees("shell>");
    let before = shell.modes();
    let (top, config) = (switchhook(), bench.path("switchhook.toml"));
    let line = format!(
        "NO_COLOR=1 {} top --config {}\n",
        top.get_program().display(),
        config.display()
    );
    shell.press(&line);
    shell.sees("> billing");
    for _ in 0..2 {
        shell.press("\x1a");
        shell.sees("Stopped");
        wait_until("the terminal to be the shell's", || shell.modes() == before);
        shell.press("fg\n");
        wait_until("top to go on", || {
            let shown = shell.shown();
            shown.contains("> billing") && !shown.contains("Stopped")
        });
    }
    shell.press("q");
    wait_until("the shell", || shell.modes() == before);
    shell.press("exit\n");
    assert_eq!(shell.end(), Some(0));
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_new_size_is_filled_at_once() {
    let bench = bench();
    let agent = bench.ready();
    let mut screen = Screen::top(&bench, 80, 24, &[]);
    screen.sees("> billing");
    let terminal = ttyname(&screen.slave).unwrap();
    let mut resize = |columns: usize, rows: usize, expected: &str| {
        screen.cells = vec![vec![' '; columns]; rows];
        let status = Command::new("stty")
            .arg("-F")
            .arg(&terminal)
            .args(["cols", &columns.to_string(), "rows", &rows.to_string()])
            .status()
            .unwrap();
        assert!(status.success());
        screen.sees(expected);
    };
    resize(120, 40, "delivered  last error");
    resize(
        60,
        20,
        "? help  q quit  p pause  r resume  d dead  a attempts\n",
    );
    resize(30, 6, "too small: 30 x 6");
    resize(80, 24, "> billing");
    screen.press("q");
    assert_eq!(screen.end(), Some(0));
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_slow_line_gets_only_what_changed() {
    let bench = bench();
    let agent = bench.ready();
    let mut screen = Screen::top(&bench, 80, 24, &[]);
    screen.sees("> billing");
    let (began, first) = (Instant::now(), screen.bytes.len());
    assert!(first < 4_000, "the first screen has {first} bytes");
    wait_until("some looks", || {
        screen.shown();
        began.elapsed() > Duration::from_secs(4)
    });
    let each = (screen.bytes.len() - first) / 4;
    // A curve that moves is 3 bytes a column.
    assert!((1..600).contains(&each), "{each} bytes in a second");
    screen.press("q");
    assert_eq!(screen.end(), Some(0));
    assert_eq!(agent.stop(), 0);
}

#[test]
fn nothing_depends_on_colour_or_utf8() {
    let bench = bench();
    let agent = bench.ready();
    let no_colour = [("NO_COLOR", "1"), ("LC_ALL", "C")];
    let mut screen = Screen::top(&bench, 80, 24, &no_colour);
    screen.sees("> billing");
    screen.press("?");
    screen.sees("| up, down, j, k");
    screen.press("?");
    let said = text(&screen.bytes);
    assert!(said.is_ascii(), "{said}");
    for colour in ["31", "32", "33"] {
        let code = |piece: &str| piece.split('m').next().unwrap_or("").contains(colour);
        let styled = said.split("\x1b[;").skip(1).any(code);
        assert!(!styled, "colour {colour}: {said:?}");
    }
    screen.press("q");
    assert_eq!(screen.end(), Some(0));
    let mut coloured = Screen::top(&bench, 80, 24, &[("NO_COLOR", "")]);
    coloured.sees("> billing");
    assert!(text(&coloured.bytes).contains("\x1b[;1;31m"));
    coloured.press("q");
    assert_eq!(coloured.end(), Some(0));

    let once = |arguments: &[&str], locale: &str| {
        let mut command = switchhook();
        command
            .args(["top", "--once", "--config"])
            .arg(bench.path("switchhook.toml"));
        let output = command
            .args(arguments)
            .env("LC_ALL", locale)
            .output()
            .unwrap();
        text(&output.stdout)
    };
    assert!(once(&[], "C").is_ascii());
    assert!(once(&["--ascii"], "C.UTF-8").is_ascii());
    assert!(once(&[], "C.UTF-8").contains('↑'));
    for term in ["dumb", ""] {
        let mut dumb = Screen::top(&bench, 80, 24, &[("TERM", term)]);
        let told = dumb.sees("top --once");
        assert!(
            told.contains("nothing can be drawn on this terminal"),
            "{told}"
        );
        assert_eq!(dumb.child.wait().unwrap().code(), Some(64));
    }
    assert_eq!(agent.stop(), 0);
}
