//! What the documents say to type is typed: configurations are checked, with the switch's files in
//! their places; commands are read by the program's own parser, and run where they can be.

use crate::support::{
    Agent, Bench, SECRET, has, receiver, row, run, skip, switchhook, text, wait_until,
};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use switchhook::control::protocol::Request;
use switchhook::receiver::{Profile, Receiver};

/// Files of a switch, where the documents say they are, and what stands there instead.
const STAND_INS: [(&str, &str); 13] = [
    (
        "/home/kunshi/mbx3000/cdr/2026041014.txt",
        "vos3000/softswitch-pipe",
    ),
    (
        "/home/kunshi/backup/cdr_2026041014.csv",
        "vos3000/server-csv",
    ),
    (
        "/var/log/asterisk/cdr-csv/Master.csv",
        "asterisk/cdr-csv/Master-21col.csv",
    ),
    (
        "/var/log/asterisk/cdr-custom/Master.csv",
        "asterisk/cdr-custom",
    ),
    (
        "/var/log/asterisk/cdr-custom/cdr_master.csv",
        "asterisk/cdr-custom",
    ),
    (
        "/var/log/asterisk/cel-custom/Master.csv",
        "asterisk/cel/Master.csv",
    ),
    ("/var/log/asterisk/queue_log", "asterisk/logs/queue_log"),
    ("/var/log/asterisk/full", "asterisk/logs/full"),
    (
        "/var/log/freeswitch/cdr-csv/Master.csv",
        "freeswitch/cdr-csv/Master-example-template.csv",
    ),
    (
        "/var/log/freeswitch/json_cdr/5f6a.cdr.json",
        "freeswitch/json_cdr",
    ),
    (
        "/var/log/freeswitch/xml_cdr/5f6a.cdr.xml",
        "freeswitch/xml_cdr",
    ),
    ("/var/log/kamailio/acc.log", "kamailio/acc-syslog.log"),
    ("/var/log/opensips/acc.log", "opensips/acc-syslog.log"),
];

/// Programs of the machine and of switches that the documents name beside ours.
const OTHERS: [&str; 19] = [
    "apt",
    "asterisk",
    "cargo",
    "chown",
    "curl",
    "env",
    "fs_cli",
    "grep",
    "id",
    "journalctl",
    "kamcmd",
    "ls",
    "mkdir",
    "openssl",
    "rsyslogd",
    "systemctl",
    "tail",
    "usermod",
    "yum",
];

/// Commands that wait for somebody, for a receiver, or for an agent that is stopped: read, not run.
const NOT_RUN: [&str; 10] = [
    "run",
    "tail",
    "receive",
    "test --url",
    "demo",
    "store",
    "dead-letters show",
    "status --watch",
    "endpoints forget",
    "endpoints adopt",
];

/// Documents that come with other parts of the program.
const WRITTEN_ELSEWHERE: [&str; 1] = ["contracts.md"];

/// A block of a document between ``` and ```.
struct Block {
    file: PathBuf,
    line: usize,
    language: String,
    text: String,
}

/// The README and every document.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut left = vec![root.join("docs")];
    let mut files = vec![root.join("README.md")];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    files.into_iter().map(read).collect()
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for (file, text) in documents() {
        let mut open: Option<Block> = None;
        for (index, line) in text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(language), None) => {
                    open = Some(Block {
                        file: file.clone(),
                        line: index + 1,
                        language: language.trim().to_string(),
                        text: String::new(),
                    });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", file.display());
    }
    blocks
}

/// Puts the switch's files below `root`.
fn make_stand_ins(root: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for (place, fixture) in STAND_INS {
        let mut from = fixtures.join(fixture);
        if from.is_dir() {
            let mut files: Vec<_> = fs::read_dir(&from)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            files.sort();
            from = files.swap_remove(0);
        }
        let to = root.join(place.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

/// Puts the paths of `table` below `root`, and something where they lead.
fn move_paths(table: &mut toml::Table, root: &Path) {
    let below = |path: &str| match path.strip_prefix('/') {
        Some(rest) => root.join(rest),
        None => root.join(path),
    };
    for (key, value) in table.iter_mut() {
        match value {
            toml::Value::Table(inner) => move_paths(inner, root),
            toml::Value::Array(items) => {
                for item in items {
                    match item {
                        toml::Value::Table(inner) => move_paths(inner, root),
                        toml::Value::String(glob)
                            if glob.starts_with('/')
                                && matches!(key.as_str(), "files" | "exclude" | "rotated") =>
                        {
                            let moved = below(glob);
                            fs::create_dir_all(moved.parent().unwrap()).unwrap();
                            *glob = moved.display().to_string();
                        }
                        _ => {}
                    }
                }
            }
            toml::Value::String(path) => {
                let is_directory = matches!(key.as_str(), "directory" | "recordings" | "move_to");
                let is_file = key.ends_with("_file");
                let is_place = matches!(
                    key.as_str(),
                    "state_dir" | "control_socket" | "socket" | "textfile"
                );
                if !(is_directory || is_file || is_place) {
                    continue;
                }
                let moved = below(path);
                fs::create_dir_all(if is_directory {
                    &moved
                } else {
                    moved.parent().unwrap()
                })
                .unwrap();
                if is_file && !moved.exists() {
                    let is_list = key.starts_with("reasons") || key.starts_with("accounts");
                    fs::write(&moved, if is_list { "486,Busy\n" } else { SECRET }).unwrap();
                    fs::set_permissions(&moved, fs::Permissions::from_mode(0o600)).unwrap();
                }
                *path = moved.display().to_string();
            }
            _ => {}
        }
    }
}

/// Sources that make events of a type, for a block that shows endpoints alone.
fn source_of(kind: &str) -> &'static str {
    match kind {
        "payment" => {
            "name = \"s-payment\"\nformat = \"payment-export\"\nfiles = [\"/exports/payments*.csv\"]\nstart = \"now\"\ntimezone = \"UTC\""
        }
        "account" => {
            "name = \"s-account\"\nformat = \"account-export\"\nfiles = [\"/exports/accounts*.csv\"]\nstart = \"now\"\ntimezone = \"UTC\""
        }
        "balance_alert" => {
            "name = \"s-balance\"\nformat = \"account-export\"\nfiles = [\"/exports/balances*.csv\"]\nstart = \"now\"\ntimezone = \"UTC\"\nthresholds = { \"*\" = [\"20\"] }"
        }
        "alarm" | "call" | "phone" => {
            "name = \"s-push\"\nhttp = { listen = \"127.0.0.1:8739\" }\nformat = \"vos3000-push\""
        }
        _ => {
            "name = \"s-cdr\"\nformat = \"vos3000-csv\"\nfiles = [\"/exports/cdr_*.csv\"]\nstart = \"now\""
        }
    }
}

/// `block` as a whole configuration below `root`.
fn whole(block: &Block, root: &Path) -> String {
    let place = || format!("{}:{}", block.file.display(), block.line);
    let mut table: toml::Table = block
        .text
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", place()));
    let has = |table: &toml::Table, key: &str| table.contains_key(key);
    if has(&table, "source") && !has(&table, "endpoint") {
        let more = "[[endpoint]]\nname = \"e\"\nurl = \"https://example.com/\"\nevents = [\"*\"]\nsignature = \"none\"";
        table.extend(more.parse::<toml::Table>().unwrap());
    }
    if has(&table, "endpoint") && !has(&table, "source") {
        let endpoints = table["endpoint"].as_array().unwrap().iter();
        // A mirror has none of its own.
        let kinds = endpoints.flat_map(|endpoint| {
            let events = endpoint.get("events").and_then(toml::Value::as_array);
            events.cloned().unwrap_or_default()
        });
        let sources: BTreeSet<&str> = kinds
            .map(|kind| source_of(kind.as_str().unwrap()))
            .collect();
        let sources = sources
            .iter()
            .map(|source| format!("[[source]]\n{source}\n"))
            .collect::<String>();
        table.extend(sources.parse::<toml::Table>().unwrap());
    }
    table.entry("node").or_insert("vos-1".into());
    table.entry("state_dir").or_insert("/state".into());
    move_paths(&mut table, root);
    toml::to_string(&table).unwrap()
}

/// The keys of a block that shows those of an endpoint to choose from, without the table above them.
fn choice_of(block: &Block) -> Option<String> {
    let is_choice = block.text.lines().any(|line| line.starts_with("url ="))
        && !block.text.lines().any(|line| line.starts_with("[["));
    is_choice.then(|| format!("[[endpoint]]\n{}", block.text))
}

/// What the program says of keys it does not know; whether the values fit each other is not asked.
fn unknown_keys(configuration: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("switchhook.toml");
    fs::write(&config, configuration).unwrap();
    let output = switchhook()
        .args(["check", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    let told = text(&output.stderr);
    let lines = told.lines().filter(|line| line.contains("no such key"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_configuration_in_the_documents_is_good_and_reads_the_switch_s_files() {
    let (mut checked, mut sampled) = (0, 0);
    for block in blocks().iter().filter(|block| block.language == "toml") {
        if let Some(keys) = choice_of(block) {
            assert_eq!(
                unknown_keys(&keys),
                "",
                "{}:{}",
                block.file.display(),
                block.line
            );
            continue;
        }
        let root = tempfile::tempdir().unwrap();
        make_stand_ins(root.path());
        let config = root.path().join("switchhook.toml");
        let whole = whole(block, root.path());
        fs::write(&config, &whole).unwrap();
        let output = switchhook()
            .args(["check", "--config"])
            .arg(&config)
            .env("CREDENTIALS_DIRECTORY", root.path())
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}:{}\n{whole}\n{}{}",
            block.file.display(),
            block.line,
            text(&output.stdout),
            text(&output.stderr)
        );
        checked += 1;
        sampled += text(&output.stdout).matches("sample from").count();
    }
    assert!(checked >= 15, "{checked} blocks");
    assert!(sampled >= 12, "rows of {sampled} sources were read");
}

/// The words of a command line, as a shell takes it apart; `None` where a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote, mut is_word) = (Vec::new(), String::new(), None, false);
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"') => (quote, is_word) = (Some(character), true),
            (None, ' ') => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            // A comment.
            (None, '#') if !is_word => break,
            _ => {
                word.push(character);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    quote.is_none().then_some(words)
}

/// The single commands of a line.
fn commands(line: &str) -> Vec<Vec<String>> {
    let pieces = line.split(" && ").flat_map(|piece| piece.split(" | "));
    let without_sudo = |mut words: Vec<String>| {
        if words.first().is_some_and(|word| word == "sudo") {
            words.remove(0);
        }
        words
    };
    let read = pieces.map(|piece| words(piece).unwrap_or_else(|| panic!("{line}: an open quote")));
    read.map(without_sudo)
        .filter(|words| !words.is_empty())
        .collect()
}

/// Whether the program's own parser takes it; in a sentence what is required may be left out.
fn parses(words: &[String], is_in_a_sentence: bool) -> Result<(), String> {
    // Of the words that stand for others these have a form.
    let filled = words.iter().map(|word| match word.as_str() {
        "T" => "2026-04-10T00:00:00Z",
        "COMMAND" => "status",
        word => word,
    });
    match switchhook::cli::command().try_get_matches_from(filled) {
        Ok(_) => Ok(()),
        Err(error) if !error.use_stderr() => Ok(()),
        Err(error)
            if is_in_a_sentence
                && error.kind() == clap::error::ErrorKind::MissingRequiredArgument =>
        {
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// What belongs to receivers is run with them.
fn is_of_receivers(file: &Path) -> bool {
    file.components()
        .any(|part| part.as_os_str() == "receivers")
}

#[test]
fn every_command_in_the_documents_is_one_that_the_program_knows() {
    let mut found = 0;
    for (file, text) in documents() {
        // Between single backquotes, also in tables.
        let texts = text.split('`').skip(1).step_by(2);
        for inline in
            texts.filter(|inline| inline.starts_with("switchhook ") && !inline.contains('\n'))
        {
            for words in commands(inline)
                .iter()
                .filter(|words| words[0] == "switchhook")
            {
                if let Err(error) = parses(words, true) {
                    panic!("{}: {inline}\n{error}", file.display());
                }
                found += 1;
            }
        }
    }
    assert!(found >= 30, "{found} commands");
    for block in blocks().iter().filter(|block| block.language == "sh") {
        let place = format!("{}:{}", block.file.display(), block.line);
        let shell = Command::new("sh")
            .args(["-n", "-c", &block.text])
            .output()
            .unwrap();
        assert!(
            shell.status.success(),
            "{place}: {}",
            String::from_utf8_lossy(&shell.stderr)
        );
        for words in block.text.lines().flat_map(commands) {
            if words[0] == "switchhook" {
                assert_eq!(parses(&words, false), Ok(()), "{place}: {words:?}");
            } else {
                let known = is_of_receivers(&block.file)
                    || OTHERS.contains(&words[0].as_str())
                    || words[0].contains("edit")
                    || words[0] == "vi";
                assert!(known, "{place}: {words:?} is not known to be a program");
            }
        }
    }
}

/// An agent with the names that the documents use, and what they lead to.
struct Stage {
    bench: Bench,
    receiver: Receiver,
    _agent: Agent,
}

impl Stage {
    fn new() -> Stage {
        let bench = Bench::new();
        let receiver = receiver(Profile::Vos3000, &[], 0);
        let root = bench.path("");
        make_stand_ins(&root);
        bench.configure(&format!(
            "url = \"{}\"\nprofile = \"vos3000\"",
            receiver.url()
        ));
        fs::create_dir_all(bench.path("etc/switchhook")).unwrap();
        fs::write(bench.path("cdr/cdr_1.csv"), row(1)).unwrap();
        let agent = bench.agent();
        wait_until("a row to arrive", || receiver.account().distinct == 1);
        Stage {
            bench,
            receiver,
            _agent: agent,
        }
    }

    /// The command with its paths below the stage, and the stage's configuration.
    fn placed(&self, words: &[String]) -> Vec<String> {
        let root = self.bench.path("").display().to_string();
        let root = root.trim_end_matches('/');
        let is_place = |word: &str| {
            ["/etc/", "/home/", "/var/", "/root/", "/tmp/"]
                .iter()
                .any(|top| word.starts_with(top))
        };
        let place = |word: &String| {
            if is_place(word) {
                format!("{root}{word}")
            } else {
                word.clone()
            }
        };
        let mut placed: Vec<String> = words.iter().skip(1).map(place).collect();
        let command = switchhook::cli::command();
        let mut inner = &command;
        for word in &placed {
            inner = inner.find_subcommand(word).unwrap_or(inner);
        }
        let takes_config = inner
            .get_arguments()
            .any(|argument| argument.get_id() == "config");
        if takes_config && !placed.iter().any(|word| word == "--config") {
            placed.push("--config".to_string());
            placed.push(self.bench.path("switchhook.toml").display().to_string());
        }
        placed
    }
}

/// Whether a command is only read: it waits for somebody, or has words to be filled in.
fn is_only_read(words: &[String]) -> bool {
    let line = words[1..].join(" ");
    let is_blank =
        |word: &String| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let live = line.starts_with("top") && !line.contains("--once");
    live || NOT_RUN.iter().any(|begin| line.starts_with(begin)) || words.iter().any(is_blank)
}

#[test]
fn every_command_that_can_be_run_beside_an_agent_does_what_the_documents_say() {
    let stage = Stage::new();
    let mut seen = BTreeSet::new();
    let mut ran = 0;
    for block in blocks().iter().filter(|block| block.language == "sh") {
        // What a block writes is its own.
        let here = tempfile::tempdir().unwrap();
        fs::copy(
            stage.bench.path("switchhook.toml"),
            here.path().join("new.toml"),
        )
        .unwrap();
        for words in block.text.lines().flat_map(commands) {
            if words[0] != "switchhook" || is_only_read(&words) || !seen.insert(words.clone()) {
                continue;
            }
            let output = switchhook()
                .args(stage.placed(&words))
                .current_dir(here.path())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            // 69 is an answer as well: something needs the operator, such as a user that this machine lacks.
            let may_find = matches!(words[1].as_str(), "status" | "check");
            let code = output.status.code();
            assert!(
                code == Some(0) || (may_find && code == Some(69)),
                "{}:{}: {words:?} ends with {code:?}\n{}{}",
                block.file.display(),
                block.line,
                text(&output.stdout),
                text(&output.stderr)
            );
            ran += 1;
        }
    }
    assert!(ran >= 15, "{ran} commands");
    assert!(stage.receiver.account().distinct >= 1);
}

#[test]
fn the_program_prints_the_table_of_its_log_lines() {
    let output = run(&["messages", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/messages.md");
    let document = fs::read_to_string(path).unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| SH"));
    let printed = text(&output.stdout);
    assert_eq!(rows.count(), printed.lines().count());
    for line in printed.lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        let field = |key: &str| message[key].as_str().unwrap().to_string();
        let row = format!(
            "| {} | {} | {} | ",
            field("id"),
            field("level"),
            field("who")
        );
        assert!(document.contains(&row), "{row}");
    }
    let one = text(&run(&["messages", "SH301"]).stdout);
    assert!(
        one.starts_with("SH301 warn  receiver endpoint failing\n"),
        "{one}"
    );
    assert_eq!(one.lines().count(), 2, "{one}");
    assert_eq!(run(&["messages", "SH999"]).status.code(), Some(64));
}

#[test]
fn the_keys_at_a_glance_are_all_there_are() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("docs")
            .join(name);
        fs::read_to_string(path).unwrap()
    };
    let (reference, glance) = (read("configuration.md"), read("keys.md"));
    let words: BTreeSet<&str> = glance
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    let rows = reference
        .lines()
        .filter_map(|line| line.strip_prefix("| `"));
    let keys: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    assert!(keys.len() > 100, "{} keys", keys.len());
    let missing: Vec<_> = keys.iter().filter(|key| !words.contains(*key)).collect();
    assert!(missing.is_empty(), "docs/keys.md does not name {missing:?}");
}

#[test]
fn freeswitch_is_told_to_write_its_documents_where_the_agent_looks() {
    let (_, text) = documents()
        .into_iter()
        .find(|(path, _)| path.ends_with("docs/freeswitch.md"))
        .unwrap();
    let value = |start: &str| {
        let (_, rest) = text.split_once(start).unwrap();
        rest.split('"').next().unwrap().to_string()
    };
    // mod_json_cdr appends nothing to an absolute path.
    assert_eq!(
        value("name=\"log-dir\" value=\""),
        value("\ndirectory = \"")
    );
}

#[test]
fn kamailio_is_told_to_log_both_kinds_of_lines_where_syslog_sorts_them() {
    let (_, text) = documents()
        .into_iter()
        .find(|(path, _)| path.ends_with("docs/kamailio.md"))
        .unwrap();
    let block = |holds: &str| {
        let mut blocks = text.split("```");
        blocks.find(|block| block.contains(holds)).unwrap()
    };
    // Lines of dialogs are not logged by log_facility.
    assert!(block("\"cdr_enable\"").contains("\"cdr_facility\", \"LOG_LOCAL3\""));
    assert!(block("\"log_flag\"").contains("\"log_facility\", \"LOG_LOCAL3\""));
    assert!(block("acc.log\n& stop").contains("local3.*"));
}

#[test]
fn every_document_the_documents_lead_to_is_there() {
    for (file, text) in documents() {
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || link.contains("://") || WRITTEN_ELSEWHERE.contains(&path) {
                continue;
            }
            let target = file.parent().unwrap().join(path);
            assert!(target.exists(), "{}: {link} leads nowhere", file.display());
        }
    }
}

#[test]
fn every_test_that_a_promise_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let promises = fs::read_to_string(root.join("docs/promises.md")).unwrap();
    let mut code = String::new();
    let mut left = vec![
        root.join("src"),
        root.join("tests/it"),
        root.join("packaging"),
    ];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                code.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut named = 0;
    for name in promises
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.matches('_').count() >= 4)
    {
        assert!(
            code.contains(&format!("fn {name}(")),
            "no test is called {name}"
        );
        named += 1;
    }
    assert!(named >= 20, "{named} tests");
    // Each row of the table of promises names one.
    let table = promises
        .split("## ")
        .find(|section| section.starts_with("Promises"));
    let rows = table
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| promise"));
    for row in rows {
        assert!(row.matches('`').count() >= 2, "no test: {row}");
    }
}

#[test]
fn what_is_pasted_into_a_switch_is_well_formed() {
    for block in blocks() {
        let place = format!("{}:{}", block.file.display(), block.line);
        match block.language.as_str() {
            "xml" => {
                let mut reader = quick_xml::Reader::from_str(&block.text);
                loop {
                    match reader.read_event() {
                        Ok(quick_xml::events::Event::Eof) => break,
                        Ok(_) => {}
                        Err(error) => panic!("{place}: {error}"),
                    }
                }
            }
            "json" => {
                let parsed: Result<serde_json::Value, _> = serde_json::from_str(&block.text);
                assert!(parsed.is_ok(), "{place}: {parsed:?}");
                // What is sent over the control socket is a request.
                if let Some(request) = parsed.unwrap().get("request") {
                    let request: Result<Request, _> = serde_json::from_value(request.clone());
                    assert!(request.is_ok(), "{place}: {request:?}");
                }
            }
            "ini" => {
                for line in block
                    .text
                    .lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty())
                {
                    let is_section = line.starts_with('[') && line.ends_with(']');
                    assert!(
                        is_section || line.starts_with([';', '#']) || line.contains('='),
                        "{place}: {line}"
                    );
                }
            }
            "opensips" | "kamailio" => {
                let open = block.text.matches(['(', '{']).count();
                assert_eq!(open, block.text.matches([')', '}']).count(), "{place}");
                assert!(block.text.matches('"').count().is_multiple_of(2), "{place}");
            }
            // Checked above; and what is shown, not typed.
            "toml" | "sh" | "text" => {}
            _ if is_of_receivers(&block.file) => {}
            _ if block.file.ends_with("contracts.md") => {}
            "rsyslog" if has("rsyslogd", "-v") => {
                let dir = tempfile::tempdir().unwrap();
                let file = dir.path().join("rsyslog.conf");
                fs::write(&file, &block.text).unwrap();
                let read = Command::new("rsyslogd")
                    .args(["-N1", "-f"])
                    .arg(&file)
                    .output();
                let read = read.unwrap();
                assert!(read.status.success(), "{place}: {}", text(&read.stderr));
            }
            "rsyslog" => skip(
                "docs::what_is_pasted_into_a_switch_is_well_formed",
                &format!("{place}: rsyslogd is not installed"),
            ),
            other => panic!("{place}: nothing checks blocks of {other:?}"),
        }
    }
}
