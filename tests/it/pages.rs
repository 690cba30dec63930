//! `man` and `completions`, as somebody has them who has the program alone.

use crate::support::{Bench, has, run, skip, switchhook, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Every command in words, with its long options.
fn commands(command: &clap::Command, words: &[&str], found: &mut Vec<(Vec<String>, Vec<String>)>) {
    let options = command.get_arguments().filter_map(clap::Arg::get_long);
    let own = words.iter().map(ToString::to_string).collect();
    found.push((own, options.map(str::to_string).collect()));
    for below in command.get_subcommands() {
        commands(below, &[words, &[below.get_name()]].concat(), found);
    }
}

#[test]
fn every_command_has_a_page_with_its_options_and_this_version() {
    let mut all = Vec::new();
    commands(&switchhook::cli::command(), &[], &mut all);
    assert!(all.len() > 40, "{}", all.len());
    for (words, options) in all {
        let output = switchhook().arg("man").args(&words).output().unwrap();
        let page = text(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{words:?}: {}",
            text(&output.stderr)
        );
        let title = [&["SWITCHHOOK".to_string()], &*words].concat().join("-");
        let title = format!(".TH {} 8 ", title.to_uppercase());
        assert!(page.contains(&title), "{title}: {page}");
        assert!(
            page.contains(concat!("switchhook ", env!("CARGO_PKG_VERSION"))),
            "{page}"
        );
        assert!(!page.contains("@VERSION@"), "{page}");
        for option in options {
            let escaped = option.replace('-', "\\-");
            assert!(
                page.contains(&format!("\\-\\-{escaped}")),
                "{words:?} {option}"
            );
        }
    }
    let wrong = run(&["man", "dead-letters", "resend"]);
    assert_eq!(wrong.status.code(), Some(64));
    assert!(text(&wrong.stderr).contains("no command is called \"dead-letters resend\""));
}

#[test]
fn bash_completes_a_command_and_its_options() {
    // As bash calls it: the words so far, and which of them is being written.
    let ask = |words: &str, at: usize| {
        let script = format!(
            "source <(\"$0\" completions bash); COMP_WORDS=({words}); COMP_CWORD={at}; \
             _switchhook switchhook \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash")
            .args(["-c", &script, env!("CARGO_BIN_EXE_switchhook")])
            .output()
            .unwrap();
        text(&output.stdout) + &text(&output.stderr)
    };
    assert_eq!(ask("switchhook rec", 1), "receive\n");
    assert_eq!(ask("switchhook receive --sch", 2), "--scheme\n");
    assert_eq!(ask("switchhook dead-letters pu", 2), "purge\n");
    assert_eq!(ask("switchhook completions z", 2), "zsh\n");
    for (shell, word) in [
        ("zsh", "#compdef switchhook"),
        ("fish", "complete -c switchhook"),
    ] {
        let printed = text(&run(&["completions", shell]).stdout);
        assert!(printed.contains(word), "{printed}");
        let script = Bench::new().dir.keep().join(shell);
        fs::write(&script, printed).unwrap();
        if has(shell, "--version") {
            let output = Command::new(shell).arg("-n").arg(&script).output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
        fs::remove_dir_all(script.parent().unwrap()).unwrap();
    }
    assert_eq!(run(&["completions", "tcsh"]).status.code(), Some(64));
}

/// Runs `switchhook man receive` on a terminal where only `directory` has programs.
fn on_a_terminal(directory: &Path) -> String {
    let command = format!("{} man receive", env!("CARGO_BIN_EXE_switchhook"));
    let output = Command::new("/usr/bin/script")
        .args(["-qec", &command, "/dev/null"])
        .env("PATH", directory)
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    text(&output.stdout)
}

#[test]
fn on_a_terminal_a_page_is_shown_by_man_or_as_plain_text_where_there_is_none() {
    if !has("/usr/bin/script", "--version") {
        let test =
            "pages::on_a_terminal_a_page_is_shown_by_man_or_as_plain_text_where_there_is_none";
        return skip(test, "script (util-linux) is not installed");
    }
    let bench = Bench::new();
    let shown = on_a_terminal(bench.dir.path());
    assert!(
        shown.contains("Usage: switchhook receive [OPTIONS]"),
        "{shown}"
    );
    assert!(
        shown.contains("--scheme <SCHEME>") && !shown.contains(".TH"),
        "{shown}"
    );
    let man = bench.path("man");
    for (program, expected) in [
        // The page comes to it, and nothing else is said.
        (
            "#!/bin/sh\necho \"asked $*\"\nexec /bin/cat\n",
            "asked -l -",
        ),
        (
            "#!/bin/sh\necho unknown option >&2\nexit 1\n",
            "Usage: switchhook receive",
        ),
    ] {
        fs::write(&man, program).unwrap();
        fs::set_permissions(&man, fs::Permissions::from_mode(0o755)).unwrap();
        let shown = on_a_terminal(bench.dir.path());
        assert!(shown.contains(expected), "{shown}");
        let is_page = shown.contains(".TH SWITCHHOOK-RECEIVE 8");
        assert_eq!(is_page, expected.starts_with("asked"), "{shown}");
        assert_eq!(is_page, !shown.contains("Usage:"), "{shown}");
        assert!(!shown.contains("unknown option"), "{shown}");
    }
}
