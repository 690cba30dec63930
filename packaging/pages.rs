//! Writes the manual pages and shell completions, from what `--help` is made of.
//!
//! `cargo run --locked --example pages -- DIRECTORY` makes `man/` and `completions/` in there, for
//! packages; `cargo run --locked --example pages -- --docs` writes what the repository keeps of all that
//! comes from the code: some of `docs/`, and the pages the program itself carries (`src/cli/pages.gz`).

#![allow(clippy::print_stderr, reason = "a program that packagers run by hand")]

mod reference;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use switchhook::cli::{PAGE_MARK, PAGE_VERSION};

/// The manual's section: commands of whoever runs the machine.
const SECTION: &str = "8";

/// Each shell with the name under which it looks for our completions.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "switchhook.bash"),
    (Shell::Zsh, "_switchhook"),
    (Shell::Fish, "switchhook.fish"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: pages DIRECTORY | --docs");
        std::process::exit(64);
    };
    if directory == "--docs" {
        for (path, text) in documents()? {
            fs::write(path, text)?;
        }
        fs::write(kept(), packed(&carried()?)?)?;
        return Ok(());
    }
    let directory = Path::new(&directory);
    let (man, completions) = (directory.join("man"), directory.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    for (name, page) in pages()? {
        let page = page.replace(PAGE_VERSION, env!("CARGO_PKG_VERSION"));
        fs::write(man.join(format!("{name}.{SECTION}")), page)?;
    }
    for (shell, name) in COMPLETIONS {
        fs::write(completions.join(name), completion(shell))?;
    }
    Ok(())
}

/// The documents that come from the code, each with where it is kept.
fn documents() -> Result<Vec<(PathBuf, String)>, Box<dyn Error>> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    Ok(vec![
        (docs.join("configuration.md"), reference::configuration()?),
        (docs.join("messages.md"), reference::messages()),
    ])
}

/// Where the pages that the program carries are kept.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/pages.gz")
}

/// The pages and completions that the program carries, one behind the other: each with its name on a
/// line before it. Similar ones stand together, which compresses better.
fn carried() -> Result<String, Box<dyn Error>> {
    let mut all = String::new();
    for (name, page) in pages()? {
        all += &format!("{PAGE_MARK}{name}\n{page}");
    }
    for (shell, name) in COMPLETIONS {
        let completion = String::from_utf8(completion(shell))?;
        all += &format!("{PAGE_MARK}{name}\n{completion}");
    }
    Ok(all)
}

fn packed(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(text.as_bytes())?;
    Ok(packed.finish()?)
}

/// The program with everything clap adds to it, without its `help` command: that has no page.
fn program() -> Command {
    // The version is put in where a page is printed: the pages must not change with every release.
    let program = switchhook::cli::command().version(PAGE_VERSION);
    let mut program = program.disable_help_subcommand(true);
    program.build();
    program
}

/// Every command with its page.
fn pages() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut pages = Vec::new();
    write(program(), "switchhook", &mut pages)?;
    Ok(pages)
}

fn write(
    command: Command,
    name: &str,
    pages: &mut Vec<(String, String)>,
) -> Result<(), Box<dyn Error>> {
    for below in command.get_subcommands() {
        let name = format!("{name}-{}", below.get_name());
        write(below.clone(), &name, pages)?;
    }
    let page = Man::new(command.display_name(name.to_string()))
        .title(name.to_uppercase())
        .section(SECTION)
        .source(format!("switchhook {PAGE_VERSION}"))
        .manual("System Manager's Manual");
    let mut text = Vec::new();
    page.render(&mut text)?;
    pages.push((name.to_string(), String::from_utf8(text)?));
    Ok(())
}

fn completion(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    let mut program = switchhook::cli::command();
    clap_complete::generate(shell, &mut program, "switchhook", &mut text);
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    /// The long options of a command and of all below it, each with the name of its page.
    fn options(command: &Command, name: &str, found: &mut Vec<(String, String)>) {
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            found.push((name.to_string(), option.to_string()));
        }
        for below in command.get_subcommands() {
            options(below, &format!("{name}-{}", below.get_name()), found);
        }
    }

    #[test]
    fn the_documents_in_the_repository_are_those_the_code_gives() {
        for (path, text) in documents().unwrap() {
            let kept = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                kept == text,
                "{} is out of date: run `cargo run --example pages -- --docs`",
                path.display()
            );
        }
    }

    #[test]
    fn the_pages_the_program_carries_are_those_the_code_gives() {
        let file = fs::read(kept()).unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&file[..]), &mut text)
            .unwrap();
        // Too long to be shown side by side.
        assert!(
            text == carried().unwrap(),
            "src/cli/pages.gz is out of date: run `cargo run --example pages -- --docs`"
        );
        // Every kilobyte of it is one of the program's.
        assert!(file.len() < 40 << 10, "{} bytes", file.len());
    }

    #[test]
    fn every_key_of_the_configuration_is_in_its_reference() {
        let reference = reference::configuration().unwrap();
        let code = include_str!("../src/config/file.rs");
        let lines: Vec<&str> = code.lines().map(str::trim).collect();
        let name = |two: &[&'static str]| {
            let field = two.last()?.strip_prefix("pub ")?;
            let (name, _) = field.split_once(": Key<")?;
            let renamed = two.first()?.strip_prefix("#[serde(rename = \"");
            Some(renamed.and_then(|it| it.split('"').next()).unwrap_or(name))
        };
        let named: Vec<&str> = lines.windows(2).filter_map(name).collect();
        assert!(named.len() > 100, "{named:?}");
        for name in named {
            assert!(reference.contains(&format!("| `{name}` | ")), "{name}");
        }
        // What the reader says of a key is in there: type, range, default.
        for written in [
            "| `line_max` | Longest line, with its unit (default: `\"64KiB\"`). | 1KiB to 96KiB; default `",
            "one of `\"pause\"`, `\"drop_oldest\"` |",
            "32MiB to 1024GiB; default `\"512MiB\"` |",
        ] {
            assert!(reference.contains(written), "{written}\n{reference}");
        }
    }

    #[test]
    fn every_command_has_a_page_and_every_option_is_on_it_and_is_completed() {
        let pages = pages().unwrap();
        let mut found = Vec::new();
        options(&program(), "switchhook", &mut found);
        assert!(found.len() > 20, "{found:?}");
        let bash = String::from_utf8(completion(Shell::Bash)).unwrap();
        for (name, option) in found {
            let (_, page) = pages.iter().find(|(page, _)| *page == name).unwrap();
            let escaped = option.replace('-', "\\-");
            assert!(
                page.contains(&format!("\\-\\-{escaped}")),
                "{name} {option}"
            );
            assert!(bash.contains(&format!("--{option}")), "{name} {option}");
        }
        let (_, run) = pages
            .iter()
            .find(|(page, _)| page == "switchhook-run")
            .unwrap();
        assert!(run.contains("Example: switchhook run"), "{run}");
        assert!(run.starts_with(".ie") && run.contains(".TH SWITCHHOOK-RUN 8 "));
    }
}
