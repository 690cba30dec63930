//! `switchhook man` and `switchhook completions`: what packages install, for a machine that has the
//! program alone.
//!
//! The pages are made of what `--help` is made of, when the program is built for its packages, and are
//! in here as a file: the two libraries that make them would be 165 KB of program, the file is 26 KB. A
//! test compares it with what they would make.

use super::{Exit, screen};
use clap::{Args, ValueEnum};
use flate2::read::GzDecoder;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::{Command, Stdio};

/// What a page's name begins with, on a line of its own before the page.
pub const PAGE_MARK: char = '\u{1e}';

/// What stands in a page for the program's version.
pub const PAGE_VERSION: &str = "@VERSION@";

static PAGES: &[u8] = include_bytes!("pages.gz");

/// The arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal the page is shown by man(1), or as plain text where there is none; into a pipe or a file
goes its source.

Example: switchhook man dead-letters replay
Example: switchhook man > /usr/local/share/man/man8/switchhook.8")]
pub struct ManArguments {
    /// The command, in as many words as it has; without one, the program.
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

/// The arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Packages have put them in place already.

Example: switchhook completions bash > /etc/bash_completion.d/switchhook
Example: switchhook completions zsh > \"${fpath[1]}/_switchhook\"
Example: switchhook completions fish > ~/.config/fish/completions/switchhook.fish
Example: source <(switchhook completions bash)   # for this session")]
pub struct CompletionsArguments {
    /// The shell.
    shell: Shell,
}

/// A shell we have completions for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash, with its package bash-completion or without.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// Shows or prints a page.
pub fn man(arguments: &ManArguments) -> Exit {
    let words = arguments.command.iter().map(String::as_str);
    let words: Vec<&str> = std::iter::once("switchhook").chain(words).collect();
    let Some(page) = page(&words.join("-")) else {
        screen::complaint(format_args!(
            "no command is called {:?}; `switchhook --help` lists them",
            arguments.command.join(" ")
        ));
        return Exit::Usage;
    };
    if !io::stdout().is_terminal() {
        return print(&page);
    }
    if !is_shown_by_man(&page) {
        screen::line(help(&arguments.command));
    }
    Exit::Success
}

/// Prints what `shell` reads.
pub fn completions(arguments: &CompletionsArguments) -> Exit {
    let name = match arguments.shell {
        Shell::Bash => "switchhook.bash",
        Shell::Zsh => "_switchhook",
        Shell::Fish => "switchhook.fish",
    };
    match page(name) {
        Some(text) => print(&text),
        None => Exit::Bug,
    }
}

/// Prints `text` as it stands: its bytes are for a program.
fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    // A closed pipe is the reader's own wish to hear no more.
    let _printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Exit::Success
}

/// The page called `name`.
fn page(name: &str) -> Option<String> {
    let mut all = String::new();
    // The file is the program's own, and below 1 MiB.
    GzDecoder::new(PAGES).read_to_string(&mut all).ok()?;
    let mut pages = all
        .split(PAGE_MARK)
        .filter_map(|page| page.split_once('\n'));
    let (_, page) = pages.find(|(own, _)| *own == name)?;
    Some(page.replace(PAGE_VERSION, env!("CARGO_PKG_VERSION")))
}

/// Whether man(1) has shown `page`. It reads a page from its standard input as `-l -`, as man-db and
/// mandoc do; one that cannot ends in an error without a word on the page.
fn is_shown_by_man(page: &str) -> bool {
    let started = Command::new("man")
        .args(["-l", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else {
        return false;
    };
    if let Some(mut input) = child.stdin.take() {
        // One that reads no page ends in an error, which is looked at.
        let _written = input.write_all(page.as_bytes());
    }
    child.wait().is_ok_and(|status| status.success())
}

/// The same in plain words: what `--help` says.
fn help(words: &[String]) -> String {
    let mut command = super::command();
    command.build();
    for word in words {
        if let Some(below) = command.find_subcommand(word) {
            command = below.clone();
        }
    }
    command.render_long_help().to_string()
}
