//! Exit codes and texts of the commands.

use crate::support::{Bench, PATIENCE, receiver, row, run, switchhook, text, wait_until};
use std::fs;
use std::process::Stdio;
use std::time::Instant;
use switchhook::receiver::Profile;

#[test]
fn the_demo_balances_its_account_in_less_than_twenty_seconds() {
    let began = Instant::now();
    let output = run(&["demo"]);
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{errors}");
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    for expected in [
        "events delivered                        72",
        "the account balances",
        "wait in the queue",
        "verified  cdr #1 ",
    ] {
        assert!(out.contains(expected), "{expected:?} is not in\n{out}");
    }
    assert!(
        errors.contains("endpoint failing endpoint=billing")
            && errors.contains("endpoint recovered"),
        "{errors}"
    );
    assert!(
        !out.contains('\u{1b}'),
        "no colour codes where there is no terminal"
    );
    let directory = out
        .lines()
        .find_map(|line| line.strip_prefix("everything lives in ")?.split(' ').next())
        .unwrap();
    assert!(
        !std::path::Path::new(directory).exists(),
        "{directory} is left behind"
    );
}

#[test]
fn a_wrong_command_line_is_answered_with_64_and_help_with_0() {
    assert_eq!(run(&["rum"]).status.code(), Some(64));
    assert_eq!(
        run(&["receive"]).status.code(),
        Some(64),
        "a secret file is required"
    );
    assert_eq!(run(&[]).status.code(), Some(64));
    let help = run(&["help", "run"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(
        text(&help.stdout).contains("Example: switchhook run"),
        "{}",
        text(&help.stdout)
    );
    let fault = run(&["receive", "--secret-file", "x", "--fault", "status=20"]);
    assert_eq!(fault.status.code(), Some(64));
}

#[test]
fn a_configuration_with_problems_is_answered_with_78_and_all_of_them() {
    let bench = Bench::new();
    bench.configure("url = \"ftp://x\"\ntimeout = 30");
    for command in ["run", "check"] {
        let output = switchhook()
            .args([command, "--config"])
            .arg(bench.path("switchhook.toml"))
            .output()
            .unwrap();
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{command}: {errors}");
        for expected in [
            "endpoint \"billing\": url:",
            "write \"30s\" for seconds or \"30ms\" for milliseconds",
        ] {
            assert!(errors.contains(expected), "{expected:?} is not in {errors}");
        }
    }
    assert!(!bench.path("state").exists(), "nothing was made");
    let missing = run(&["run", "--config", "/nonexistent.toml"]);
    assert_eq!(missing.status.code(), Some(78));
}

#[test]
fn check_shows_what_is_in_force_and_a_row_beside_its_event() {
    let bench = Bench::new();
    bench.configure("url = \"https://api.example.com/hook?token=hush\"");
    fs::write(bench.path("cdr/cdr_1.csv"), [row(1), row(2)].concat()).unwrap();
    let check = || {
        switchhook()
            .args(["check", "--config"])
            .arg(bench.path("switchhook.toml"))
            .output()
            .unwrap()
    };
    let output = check();
    let out = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{out}{}",
        text(&output.stderr)
    );
    for expected in [
        "timeout = \"15s\"",
        "secret = \"(hidden)\"",
        "42  flowno                1                               → call_id",
        "33  customeraccount       CLIENT002                       → account_id",
        "\"call_id\":\"1\"",
        "of the first rows 2 fit, 0 do not",
        "the configuration is good",
    ] {
        assert!(out.contains(expected), "{expected:?} is not in\n{out}");
    }
    assert!(!out.contains("hush") && !out.contains("whsec_"), "{out}");
    assert!(!bench.path("state").exists(), "check changes nothing");
    fs::write(bench.path("cdr/cdr_2.csv"), "a,b\n").unwrap();
    let output = check();
    assert_eq!(output.status.code(), Some(65), "{}", text(&output.stdout));
    assert!(
        text(&output.stdout).contains("line 1: 2 fields, expected 39 or 52 or 53"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn the_id_that_check_shows_is_the_id_that_is_delivered() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &[], 0);
    let arrivals = receiver.arrivals();
    bench.configure(&format!("url = \"{}\"", receiver.url()));
    // A format without a key: the id comes from the first row, good or not, and the row's place.
    let config = fs::read_to_string(bench.path("switchhook.toml")).unwrap();
    let config = config.replace(
        "format = \"vos3000-csv\"",
        "format = \"vos3000-pipe\"\ntimezone = \"UTC\"",
    );
    fs::write(bench.path("switchhook.toml"), config).unwrap();
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/nasty/bad-numbers-and-times.txt"
    );
    fs::copy(fixture, bench.path("cdr/cdr_1.csv")).unwrap();
    let check = switchhook()
        .args(["check", "--config"])
        .arg(bench.path("switchhook.toml"))
        .output()
        .unwrap();
    let out = text(&check.stdout);
    let shown = out
        .lines()
        .find_map(|line| line.strip_prefix("event cdr ")?.split(' ').next())
        .unwrap()
        .to_string();
    let agent = bench.agent();
    let mut ids = Vec::new();
    while !ids.contains(&shown) {
        let arrival = arrivals.recv_timeout(PATIENCE).expect(&shown);
        ids.push(arrival.callback.unwrap().id.to_string());
    }
    assert_eq!(agent.stop(), 0);
}

#[test]
fn the_formats_say_what_is_sure_and_what_is_not() {
    let list = text(&run(&["formats", "list"]).stdout);
    assert!(
        list.contains("vos3000-pipe") && list.contains("(provisional)"),
        "{list}"
    );
    let show = text(&run(&["formats", "show", "vos3000-pipe"]).stdout);
    for expected in [
        "PROVISIONAL",
        "unknown: fields 10 to 16 and 18",
        "delimiter = \"|\"",
        "{ name = \"calleeE164\", as = \"called_id\" },",
    ] {
        assert!(show.contains(expected), "{expected:?} is not in\n{show}");
    }
    let help = text(&run(&["formats", "show", "--help"]).stdout);
    assert!(help.contains("PROVISIONAL"), "{help}");
    assert_eq!(run(&["formats", "show", "vos2000"]).status.code(), Some(64));
}

#[test]
fn a_pasted_format_works_as_the_preset_does() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &[], 0);
    bench.configure(&format!("url = \"{}\"", receiver.url()));
    let shown = text(&run(&["formats", "show", "vos3000-csv"]).stdout);
    let (_, fragment) = shown.split_once("to paste and change\n").unwrap();
    let config = fs::read_to_string(bench.path("switchhook.toml")).unwrap();
    fs::write(
        bench.path("switchhook.toml"),
        config.replace("format = \"vos3000-csv\"\n", fragment),
    )
    .unwrap();
    fs::write(bench.path("cdr/cdr_1.csv"), row(1)).unwrap();
    let agent = bench.agent();
    wait_until("the row to arrive", || receiver.account().distinct == 1);
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_new_secret_is_private_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let path = bench.path("new.secret");
    let generate = || {
        switchhook()
            .args(["secret", "generate", "--output"])
            .arg(&path)
            .output()
            .unwrap()
    };
    assert_eq!(generate().status.code(), Some(0));
    let secret = fs::read_to_string(&path).unwrap();
    assert!(
        secret.starts_with("whsec_") && secret.trim_end().len() == 50,
        "{} bytes",
        secret.len()
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
    let again = generate();
    assert_eq!(again.status.code(), Some(64));
    assert!(text(&again.stderr).contains("never overwritten"));
    assert_eq!(fs::read_to_string(&path).unwrap(), secret);
    let nowhere = bench.path("nowhere/new.secret");
    let output = run(&["secret", "generate", "--output", nowhere.to_str().unwrap()]);
    let said = text(&output.stderr);
    assert!(
        said.contains("mkdir -p ") && !said.contains("overwritten"),
        "{said}"
    );
}

#[test]
fn a_second_agent_on_the_same_state_names_the_first() {
    let bench = Bench::new();
    bench.configure("url = \"http://127.0.0.1:9/\"");
    let first = bench.agent();
    wait_until("the first agent to start", || {
        first.log().contains("started")
    });
    let pid = first.pid();
    let second = bench.agent();
    assert_eq!(second.wait(), 75);
    assert!(
        first
            .log()
            .contains(&format!("another agent, process {pid}")),
        "{}",
        first.log()
    );
    assert_eq!(first.stop(), 0);
}

#[test]
fn the_receiver_as_a_command_verifies_and_accounts() {
    let bench = Bench::new();
    let mut command = switchhook();
    command
        .args([
            "receive",
            "--listen",
            "127.0.0.1:0",
            "--tls",
            "--certificate-out",
        ])
        .arg(bench.path("ca.pem"));
    command
        .arg("--secret-file")
        .arg(bench.path("secret"))
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    let url = line
        .trim()
        .strip_prefix("listening on ")
        .unwrap()
        .to_string();
    assert!(url.starts_with("https://"), "{url}");
    bench.configure(&format!("url = \"{url}\"\nca_file = \"ca.pem\""));
    fs::write(bench.path("cdr/cdr_1.csv"), [row(1), row(2)].concat()).unwrap();
    let agent = bench.agent();
    let mut arrived = String::new();
    while arrived.matches("signature ok").count() < 2 {
        std::io::BufRead::read_line(&mut out, &mut arrived).unwrap();
    }
    assert_eq!(agent.stop(), 0);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(
        rest.contains("accepted=2 distinct=2 duplicates=0"),
        "{rest}"
    );
    assert!(
        !arrived.contains("447700900999"),
        "numbers are masked: {arrived}"
    );
}

#[test]
fn what_keeps_the_agent_from_starting_is_on_the_screen_though_the_log_is_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().display().to_string();
    fs::write(dir.path().join("taken"), "a file\n").unwrap();
    let config = dir.path().join("switchhook.toml");
    let written = format!(
        "state_dir = \"{base}/taken/state\"\n[[source]]\nname = \"cdr\"\nformat = \"asterisk-cdr\"\nfiles = [\"{base}/*.csv\"]\nstart = \"now\"\ntimezone = \"UTC\"\n[[endpoint]]\nname = \"e\"\nurl = \"https://example.com\"\nevents = [\"cdr\"]\nsignature = \"none\"\n"
    );
    fs::write(&config, written).unwrap();
    let output = run(&["run", "--config", config.to_str().unwrap()]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(
        said.contains("cannot start: ") && said.contains("taken/state"),
        "{said}"
    );
}
