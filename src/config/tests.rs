use super::*;
use crate::delivery::memory;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const SOURCE: &str = "[[source]]\nname = \"cdr\"\nformat = \"vos3000-pipe\"\nfiles = [\"/home/kunshi/mbx3000/cdr/*.txt\"]\ntimezone = \"Asia/Dhaka\"\nstart = \"now\"\n";
const ENDPOINT: &str = "[[endpoint]]\nname = \"billing\"\nurl = \"https://api.example.com/webhook\"\nprofile = \"vos3000\"\nevents = [\"cdr\"]\nsecret_file = \"billing.secret\"\n";

/// A directory with a secret and the given configuration.
fn directory(text: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("switchhook.toml"), text).unwrap();
    let secret = dir.path().join("billing.secret");
    fs::write(&secret, "your-secret-key-here\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
    dir
}

pub(super) fn load(text: &str) -> Result<Config, Vec<String>> {
    let dir = directory(text);
    let prefix = format!("{}/switchhook.toml:", dir.path().display());
    let shortened = |problem: &Problem| problem.to_string().replace(&prefix, "");
    Config::load(&dir.path().join("switchhook.toml"))
        .map_err(|problems| problems.0.iter().map(shortened).collect())
}

#[track_caller]
pub(super) fn check(text: &str, expected: &[&str]) {
    let problems = load(text).expect_err("a configuration with problems");
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(
            problem.contains(expected),
            "{expected:?} is not in {problem:?}"
        );
    }
}

#[test]
fn the_smallest_configuration_works_and_is_filled_in() {
    let config = load(&format!("{SOURCE}\n{ENDPOINT}")).unwrap();
    let endpoint = &config.endpoints[0].endpoint;
    assert_eq!(
        (endpoint.timeout, endpoint.retries.attempts),
        (Duration::from_secs(30), 5)
    );
    assert_eq!(config.sources[0].poll, Duration::from_secs(1));
    assert!(endpoint.secret.is_some());
}

#[test]
fn every_problem_is_reported_at_once_with_its_line() {
    let text = "[[source]]\nname = \"cdr\"\nformat = \"vos3000-pip\"\nfiles = \"a.txt\"\nstart = \"noon\"\npoll = 5\n\n\
                [[endpoint]]\nname = \"a b\"\nurl = \"http://api.example.com/\"\ntimout = \"3s\"\nevents = []\nsecret_file = \"missing\"\ntimeout = \"3 minutes\"\n";
    check(
        text,
        &[
            "3: source \"cdr\": format: \"vos3000-pip\" is not known; did you mean \"vos3000-pipe\"?",
            "4: source \"cdr\": files: the text \"a.txt\" does not belong here; write files = [\"/home",
            "5: source \"cdr\": start: \"noon\" is no time",
            "6: source \"cdr\": poll: \"5\" has no meaning here; write \"5s\" for seconds or \"5ms\" for milliseconds",
            "9: endpoint \"a b\": name: \"a b\" cannot be used",
            "10: endpoint \"a b\": url: http:// would send call records in the clear",
            "11: endpoint: timout: no such key; did you mean timeout?",
            "12: endpoint \"a b\": events: the list is empty",
            "13: endpoint \"a b\": secret_file:",
            "14: endpoint \"a b\": timeout: \"3 minutes\" has no meaning here",
        ],
    );
}

#[test]
fn a_key_that_is_misspelled_is_one_problem_and_not_two() {
    let source = "[[source]]\nname = \"a\"\nfromat = \"vos3000-pipe\"\nfile = [\"a\"]\nstart = \"now\"\ntimezone = \"dhaka\"\n";
    let other = "[[source]]\nname = \"b\"\nformat = \"vos3000-pipe\"\nstart = \"now\"\ntimezone = \"UTC\"\n";
    check(
        &format!("{source}{other}{ENDPOINT}"),
        &[
            "3: source: fromat: no such key; did you mean format?",
            "4: source: file: no such key; did you mean files?",
            "6: source \"a\": timezone: \"dhaka\" is no zone of the IANA database; did you mean \"Asia/Dhaka\"?",
            "7: source \"b\": files: missing; write files = [",
        ],
    );
}

#[test]
fn a_zone_of_the_opposite_sign_is_never_proposed() {
    for name in ["GMT+6", "UTC+06:00", "Etc/GMT+66"] {
        let source = SOURCE.replace("Asia/Dhaka", name);
        check(
            &format!("{source}\n{ENDPOINT}"),
            &["is no zone of the IANA database; write like \"Asia/Dhaka\""],
        );
    }
}

#[test]
fn what_is_missing_is_named_with_what_to_write() {
    check(
        "[[source]]\n[[endpoint]]\n",
        &[
            "1: source 1: name: missing; write name = \"cdr\"",
            "1: source 1: files: missing; write files = [",
            "source 1: start: missing; write start = \"now\", \"beginning\"",
            "source 1: format: missing",
            "2: endpoint 1: name: missing",
            "endpoint 1: url: missing",
            "endpoint 1: events: missing; write events = [\"cdr\"]",
            "endpoint 1: secret_file: there is no secret to sign with",
        ],
    );
    check(
        SOURCE,
        &[
            "endpoint: there is nowhere to deliver to",
            "endpoint: no endpoint wants the \"cdr\" events",
        ],
    );
    check(
        ENDPOINT,
        &[
            "source: there is nothing to follow",
            "endpoint \"billing\": events: no source makes any of these",
        ],
    );
}

#[test]
fn a_configuration_with_neither_source_nor_endpoint_is_idle_and_no_mistake() {
    assert!(load("").unwrap().is_idle());
    assert!(load("node = \"vos-1\"\n").unwrap().is_idle());
    assert!(!load(&format!("{SOURCE}\n{ENDPOINT}")).unwrap().is_idle());
}

#[test]
fn a_name_of_the_wrong_type_is_reported_once() {
    let text = format!("{SOURCE}\n{}", ENDPOINT.replace("\"billing\"", "5"));
    check(
        &text,
        &["endpoint 1: name: the number 5 does not belong here; write name = \"billing\""],
    );
}

#[test]
fn the_bounds_scale_with_disk_max_and_refuse_what_leaves_no_room() {
    let bounds = |top: &str| load(&format!("{top}\n{SOURCE}\n{ENDPOINT}"));
    let queue = bounds("").unwrap().queue;
    assert_eq!(
        (queue.disk.disk_max, queue.disk.dead_letters_max),
        (512 << 20, 64 << 20)
    );
    assert_eq!(queue.disk.quarantine_max, 16 << 20);
    assert_eq!(queue.reserve_for, ["alarm".into(), "balance_alert".into()]);
    let small =
        bounds("[queue]\ndisk_max = \"32MiB\"\nwhen_full = \"drop_oldest\"\nreserve_for = []\n");
    let small = small.unwrap().queue;
    assert_eq!(small.disk.dead_letters_max, 4 << 20);
    assert_eq!(small.disk.when_full.to_string(), "drop_oldest");
    assert!(small.reserve_for.is_empty());
    check(
        &format!(
            "[queue]\ndisk_max = \"16MiB\"\ndead_letters_max = \"300MiB\"\nfree_min = 5\nwhen_full = \"drop\"\nreserve_for = [\"A\"]\n{SOURCE}\n{ENDPOINT}"
        ),
        &[
            "2: queue: disk_max: 16MiB is out of range; write 32MiB to 1024GiB",
            "3: queue: dead_letters_max: 300MiB is out of range; write 4MiB to 128MiB",
            "4: queue: free_min: \"5\" has no meaning here; write \"5MiB\"",
            "5: queue: when_full: \"drop\" is not known; write \"pause\" or \"drop_oldest\"",
            "6: queue: reserve_for: \"A\" is no event type",
        ],
    );
}

#[test]
fn memory_is_divided_among_the_endpoints_that_are_delivered_to() {
    let endpoint = |number: usize| ENDPOINT.replace("billing\"", &format!("e{number}\""));
    let many = |count: usize| (0..count).map(endpoint).collect::<String>();
    let off = endpoint(99).replace("profile", "enabled = false\nprofile");
    let config = load(&format!("{SOURCE}\n{}{off}", many(3))).unwrap();
    let left = (64 << 20) - ingest::MEMORY_BYTES - memory::LARGE_BYTES;
    let share = &config.endpoints[0].endpoint.memory;
    assert_eq!(share.senders, 64);
    assert_eq!(share.bytes, left / 3 - 64 * memory::SENDER_BYTES);
    let few = endpoint(1).replace("profile", "concurrency = 2\nprofile");
    let config = load(&format!("{SOURCE}\n{few}")).unwrap();
    assert_eq!(config.endpoints[0].endpoint.memory.senders, 2);
    assert!(load(&format!("{SOURCE}\n{}", many(64))).is_ok());
    check(
        &format!("[limits]\nmemory_max = \"16MiB\"\n{SOURCE}\n{}", many(30)),
        &["limits: memory_max: is too little for 30 endpoints; write at least \"22MiB\""],
    );
}

#[test]
fn only_a_name_that_is_gone_can_be_adopted() {
    let adopting = |old: &str| format!("{SOURCE}\n{ENDPOINT}adopt = \"{old}\"\n");
    let config = load(&adopting("crm")).unwrap();
    assert_eq!(config.endpoints[0].adopt.as_deref(), Some("crm"));
    check(
        &adopting("billing"),
        &["adopt: \"billing\" cannot be adopted"],
    );
    let other = ENDPOINT.replace("billing\"", "crm\"");
    check(
        &format!("{}\n{other}", adopting("crm")),
        &["endpoint \"billing\": adopt: endpoint \"crm\" is still configured"],
    );
}

#[test]
fn text_that_is_not_toml_is_reported_with_its_line() {
    check("node = \"a\"\n[[source]\n", &["2:"]);
    check(
        "[source]\nname = \"a\"\n",
        &["write [[source]] and [[endpoint]]"],
    );
}

#[test]
fn a_secret_open_to_everybody_is_refused_and_no_secret_is_ever_shown() {
    let dir = directory(&format!(
        "{SOURCE}\n{ENDPOINT}headers = {{ X-Token = \"hush-hush\" }}\n"
    ));
    let path = dir.path().join("switchhook.toml");
    let config = Config::load(&path).unwrap();
    for shown in [config.show(), format!("{config:?}")] {
        assert!(
            !shown.contains("hush-hush") && !shown.contains("your-secret-key-here"),
            "{shown}"
        );
    }
    fs::set_permissions(
        dir.path().join("billing.secret"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let problems = Config::load(&path).unwrap_err().to_string();
    assert!(
        problems.contains("open to every user") && problems.contains("chmod 0640"),
        "{problems}"
    );
}

#[test]
fn what_is_shown_reads_as_a_configuration_again() {
    let config = load(&format!("{SOURCE}\n{ENDPOINT}")).unwrap();
    let shown = config.show();
    let again: toml::Table = toml::from_str(&shown).unwrap();
    assert_eq!(again["endpoint"][0]["timeout"].as_str(), Some("30s"));
    assert_eq!(again["source"][0]["line_max"].as_str(), Some("64KiB"));
    assert!(shown.contains("secret = \"(hidden)\""), "{shown}");
}

#[test]
fn an_unsigned_endpoint_must_say_so() {
    let endpoint = ENDPOINT.replace("secret_file = \"billing.secret\"", "signature = \"none\"");
    assert!(
        load(&format!("{SOURCE}\n{endpoint}")).unwrap().endpoints[0]
            .endpoint
            .secret
            .is_none()
    );
    check(
        &format!("{SOURCE}\n{ENDPOINT}signature = \"none\"\n"),
        &["signature: a secret is given, but signature = \"none\""],
    );
    check(
        &format!("{SOURCE}\n{ENDPOINT}secret = \"x\"\n"),
        &["the secret is given twice"],
    );
}

#[test]
fn events_that_nobody_wants_or_makes_are_refused() {
    let endpoint = ENDPOINT.replace("[\"cdr\"]", "[\"alarm\"]");
    check(
        &format!("{SOURCE}\n{endpoint}"),
        &[
            "no endpoint wants the \"cdr\" events",
            "no source makes any of these; the sources make cdr",
        ],
    );
}

#[test]
fn two_of_one_name_are_refused_across_files() {
    check(
        &format!("{SOURCE}\n{SOURCE}\n{ENDPOINT}"),
        &["source: name: the source \"cdr\""],
    );
    let dir = directory(SOURCE);
    fs::create_dir(dir.path().join("conf.d")).unwrap();
    fs::write(
        dir.path().join("conf.d/20.toml"),
        ENDPOINT.replace("billing.secret", "../billing.secret"),
    )
    .unwrap();
    let path = dir.path().join("switchhook.toml");
    assert_eq!(Config::load(&path).unwrap().endpoints.len(), 1);
    fs::write(dir.path().join("conf.d/30.toml"), "node = \"a\"\n").unwrap();
    fs::write(&path, format!("node = \"b\"\n{SOURCE}")).unwrap();
    let problems = Config::load(&path).unwrap_err().to_string();
    assert!(
        problems.contains("conf.d/30.toml: node: is given in"),
        "{problems}"
    );
}

#[test]
fn a_format_of_ones_own_is_checked_like_a_preset() {
    let own = SOURCE.replace(
        "format = \"vos3000-pipe\"",
        "format = \"delimited\"\ndelimiter = \"||\"\ncolumns = [{ name = \"a\" }]",
    );
    check(
        &format!("{own}\n{ENDPOINT}"),
        &[
            "delimiter: one ASCII character",
            "columns: no column says when it happened",
        ],
    );
    let preset = SOURCE.replace("start = \"now\"", "start = \"now\"\ndelimiter = \",\"");
    check(
        &format!("{preset}\n{ENDPOINT}"),
        &["delimiter: the preset vos3000-pipe decides this"],
    );
    let layout = SOURCE
        .replace("vos3000-pipe", "vos3000-csv")
        .replace("start = \"now\"", "start = \"now\"\ncolumns = \"51\"");
    check(
        &format!("{layout}\n{ENDPOINT}"),
        &["columns: vos3000-csv has no layout \"51\"; write one of 52, 52-original, 53, 39"],
    );
}

#[test]
fn a_choice_between_equal_layouts_is_asked_for_only_when_it_matters() {
    let csv = SOURCE.replace("vos3000-pipe", "vos3000-csv");
    assert!(load(&format!("{csv}\n{ENDPOINT}")).is_ok());
    let extra = csv.replace("start = \"now\"", "start = \"now\"\nextra = true");
    check(
        &format!("{extra}\n{ENDPOINT}"),
        &["extra: some layouts of this format have equally many columns"],
    );
    let chosen = extra.replace("extra = true", "extra = true\ncolumns = \"52-original\"");
    assert!(load(&format!("{chosen}\n{ENDPOINT}")).is_ok());
}

#[test]
fn local_times_need_a_zone_that_exists() {
    let without = SOURCE.replace("timezone = \"Asia/Dhaka\"\n", "");
    check(
        &format!("{without}\n{ENDPOINT}"),
        &["timezone: missing; this format's times may carry no zone"],
    );
    check(
        &format!("{}\n{ENDPOINT}", SOURCE.replace("Asia/Dhaka", "Dacca")),
        &["timezone: \"Dacca\" is no zone"],
    );
}

#[test]
fn tables_beside_the_configuration_are_read() {
    let dir = directory(&format!(
        "{SOURCE}reasons_file = \"reasons.csv\"\nreasons = {{ 486 = \"Busy\" }}\naccounts_file = \"bad.csv\"\n{ENDPOINT}"
    ));
    fs::write(
        dir.path().join("reasons.csv"),
        "486,engaged\n-7,\"no balance, none\"\n",
    )
    .unwrap();
    fs::write(dir.path().join("bad.csv"), "GW-1,A1\nGW-2\n").unwrap();
    let path = dir.path().join("switchhook.toml");
    let problems = Config::load(&path).unwrap_err().to_string();
    assert!(
        problems.contains("accounts_file") && problems.contains("bad.csv:2: 1 columns, expected 2"),
        "{problems}"
    );
    // As a spreadsheet saves it.
    fs::write(dir.path().join("bad.csv"), "\u{feff}GW-1,A1\r\n").unwrap();
    let calls = &Config::load(&path).unwrap().sources[0].calls;
    assert_eq!(
        (calls.reasons[&486].as_str(), calls.reasons[&-7].as_str()),
        ("Busy", "no balance, none")
    );
    assert_eq!(calls.accounts["GW-1"], "A1");
}

/// A source of `keys` and an endpoint for everything.
fn with(keys: &str) -> String {
    let source = SOURCE.replace("format = \"vos3000-pipe\"\n", "");
    let endpoint = ENDPOINT.replace("[\"cdr\"]", "[\"*\"]");
    format!("{source}{keys}\n{endpoint}")
}

#[test]
fn what_rows_mean_together_is_configured_per_source() {
    let config = load(&with(
        "format = \"vos3000-csv\"\nkeep = { connected = true, duration = \">=1\" }\nsilent_after = \"10m\"\nheartbeat_every = \"5m\"\n\
         [source.summary]\nevery = \"15m\"\nby = \"callee_gateway\"\n",
    ))
    .unwrap();
    let derive = &config.sources[0].derive;
    assert_eq!(derive.silent_after, Some(Duration::from_secs(600)));
    assert_eq!(
        derive.summary.as_ref().unwrap().wait,
        Duration::from_secs(60)
    );
    let shown = config.show();
    for text in [
        "silent_after = \"10m\"",
        "heartbeat_every = \"5m\"",
        "by = \"callee_gateway\"",
        "duration = \">=1\"",
        "repeat_every = \"1h\"",
    ] {
        assert!(shown.contains(text), "{text:?} is not in {shown}");
    }
    let config = load(&with(
        "format = \"pattern\"\n[source.thresholds]\n\"*\" = [\"10\", \"50\", 20]\nVIP = [\"1000.50\"]\nrearm = \"12.5%\"\nrepeat_every = \"12h\"\n\
         [[source.pattern]]\nmatch = '^(?<time>\\S+ \\S+) balance of (?<account>\\S+) is (?<balance>\\S+)$'\nevent = \"balance_alert\"\n\
         [[source.pattern]]\nmatch = '^(?<time>\\S+ \\S+) (?<type>\\S+) (?<name>\\S+) (?<state>up|down)$'\nevent = \"alarm\"\n\
         state = { down = \"raised\", up = \"cleared\" }\nrepeat_every = \"10m\"\n",
    ))
    .unwrap();
    let source = &config.sources[0];
    let texts: Vec<_> = source
        .derive
        .thresholds
        .all
        .iter()
        .map(|step| &step.text[..])
        .collect();
    assert_eq!(texts, ["50", "20", "10"], "highest first");
    let pairing = source.parser.format.layouts[1].pairing.as_ref().unwrap();
    assert_eq!(pairing.repeat_every, Some(Duration::from_secs(600)));
    let shown = config.show();
    for text in [
        "VIP = [\"1000.50\"]",
        "rearm = \"12.50%\"",
        "repeat_every = \"12h\"",
        "match = ",
    ] {
        assert!(shown.contains(text), "{text:?} is not in {shown}");
    }
}

#[test]
fn conditions_on_the_words_of_an_alarm_are_those_that_are_told() {
    let pattern = |keep: &str| {
        format!(
            r#"
[[source]]
name = "log"
format = "pattern"
files = ["/var/log/a/*.log"]
timezone = "UTC"
start = "now"
keep = {{ {keep} }}
[[source.pattern]]
match = '^(?<time>\S+ \S+) (?<type>\S+) (?<level>\d) (?<state>up|down)'
event = "alarm"
state = {{ down = "raised", up = "cleared" }}
[[endpoint]]
name = "e"
url = "https://h/"
events = ["alarm"]
signature = "none"
"#
        )
    };
    for (keep, expected) in [
        (
            "level = \">=2\"",
            "keep: level: \">=2\" is never there, for 0 to 3 are told as normal, minor, major and critical; write like [\"major\", \"critical\"]",
        ),
        (
            "state = \"up\"",
            "keep: state: \"up\" is never there; write one of [\"raised\", \"cleared\", \"repeated\"]",
        ),
    ] {
        check(&pattern(keep), &[expected]);
    }
    for keep in [
        "level = [\"major\", \"critical\"]",
        "state = \"!=repeated\"",
    ] {
        load(&pattern(keep)).unwrap();
    }
}

#[test]
fn what_would_never_be_asked_is_refused_with_what_to_write() {
    for (keys, expected) in [
        (
            "format = \"vos3000-csv\"\nkeep = { duration = \"1m\" }",
            "keep: duration: \"1m\" is never there; write like 5",
        ),
        (
            "format = \"vos3000-csv\"\nkeep = { connected = \"yes\" }",
            "keep: connected: \"yes\" is never there; write like true or false",
        ),
        (
            "format = \"asterisk-queue-log\"\nreasons = { 16 = \"x\" }",
            "reasons: no row of this source tells a call's end reason",
        ),
        (
            "format = \"freeswitch-csv\"\naccounts = { A = \"x\" }",
            "accounts: no row of this source tells a call's gateway",
        ),
        (
            "format = \"vos3000-csv\"\naccounts = { \"GW-*\" = \"x\" }",
            "accounts: names of gateways are compared whole",
        ),
        (
            "format = \"vos3000-csv\"\naccounts = { GW = \"\" }",
            "accounts: a gateway has an account without a name",
        ),
        (
            "format = \"asterisk-queue-log\"\nextra = true",
            "extra: is for calls",
        ),
        (
            "format = \"account-export\"\nthresholds = { \"CLIENT*\" = [\"5\"] }",
            "thresholds: CLIENT*: names of accounts are compared whole",
        ),
        (
            "format = \"pattern\"\n[[source.pattern]]\nmatch = 'ERROR'\nevent = \"alarm\"",
            "pattern 1: match: it has no named groups",
        ),
    ] {
        check(&with(&format!("{keys}\n")), &[expected]);
    }
    let own = "format = \"delimited\"\ndelimiter = \",\"\nevent = \"balance_alert\"\nthresholds = { \"*\" = [\"5\"] }\n\
               columns = [{ name = \"a\", as = \"account_id\" }, { name = \"b\", type = \"money\", as = \"current_balance\" }, { name = \"t\", type = \"time\", as = \"event_time\" }, { name = \"who\" }]\n";
    load(&with(&format!(
        "{own}keep = {{ alert_type = \"low_balance\" }}\n"
    )))
    .unwrap();
    check(
        &with(&format!("{own}keep = {{ who = \"me\" }}\n")),
        &["keep: no event of this source has \"who\""],
    );
}

#[test]
fn what_cannot_be_meant_of_alarms_and_balances_is_named_with_what_to_write() {
    check(
        &with(
            "format = \"vos3000-csv\"\nkeep = { conected = true, cost = \">x\" }\nsilent_after = 600\nthresholds = { \"*\" = [\"20\"] }\n[source.summary]\nevry = \"15m\"\n",
        ),
        &[
            "source \"cdr\": summary.every: missing; write summary.every = \"15m\"",
            "7: source \"cdr\": keep: cost: \"x\" is no number",
            "8: source \"cdr\": silent_after: \"600\" has no meaning here; write \"600s\"",
            "9: source \"cdr\": thresholds: no row of this source tells a balance",
            "11: source: evry: no such key; did you mean every?",
        ],
    );
    check(
        &with("format = \"vos3000-csv\"\nkeep = { conected = true }\n"),
        &["7: source \"cdr\": keep: no event of this source has \"conected\"; write one of"],
    );
    check(
        &with(
            "format = \"account-export\"\n[source.thresholds]\n\"*\" = [20.5, \"x\"]\nB = [\"5\", \"5.0\"]\nrearm = \"much\"\nrepeat_every = 24\n",
        ),
        &[
            "thresholds: *: 20.5 is no amount; write a list of amounts in quotes",
            "thresholds: B: two thresholds are equal",
            "thresholds: rearm: \"much\" has no meaning here",
            "thresholds: repeat_every: 24 has no meaning here; write a time with its unit",
        ],
    );
}

#[test]
fn a_pattern_that_cannot_work_is_named_with_its_place() {
    check(
        &with(
            "format = \"pattern\"\n[[source.pattern]]\nmatch = '^(?<time>\\S+ (?<x>.*'\nevent = \"alarm\"\n\
             [[source.pattern]]\nmatch = '(?<time>\\S+) (?<what>.*)'\nevent = \"Log\"\nmatches = 1\n\
             [[source.pattern]]\nmatch = '(?<time>\\S+) (?<what>.*)'\nevent = \"log\"\nfields = { a = \"$wat\" }\nstate = \"broken\"\nkey = [\"who\"]\n\
             [[source.pattern]]\nmatch = '(?<what>.*)'\nevent = \"log\"\nrepeat_every = \"soon\"\n\
             [[source.pattern]]\nmatch = '(?<what>.*)'\nevent = \"log\"\n",
        ),
        &[
            "8: source \"cdr\": pattern 1: match:",
            "12: source \"cdr\": pattern 2: event: \"Log\" is no event type",
            "13: source: matches: no such key; did you mean match?",
            "17: source \"cdr\": pattern 3: fields: a: match has no group \"wat\"; write one of $time, $what, $line, $text",
            "18: source \"cdr\": pattern 3: state: \"broken\" is no state; write \"raised\" or \"cleared\"",
            "19: source \"cdr\": pattern 3: key: no field is called \"who\"",
            "23: source \"cdr\": pattern 4: repeat_every: \"soon\" has no meaning here",
            "25: source \"cdr\": pattern 5: fields: no field says when it happened; name a group (?<time>…)",
        ],
    );
    check(
        &with(
            "format = \"pattern\"\n[[source.pattern]]\nmatch = '(?<caller_id>.*)'\nevent = \"cdr\"\n",
        ),
        &["no field says when it happened; name a group (?<start_time>…), or a field"],
    );
    check(
        &with(
            "format = \"pattern\"\n[[source.pattern]]\nmatch = '(?<start_time>.*)'\nevent = \"log\"\n",
        ),
        &["events of type \"log\"; write event = \"cdr\", or call the group (?<time>…)"],
    );
    check(
        &with("format = \"pattern\"\n"),
        &["6: source \"cdr\": pattern: there are no patterns; add [[source.pattern]]"],
    );
    check(
        &with("format = \"vos3000-csv\"\n[[source.pattern]]\nmatch = 'x'\nevent = \"log\"\n"),
        &["6: source \"cdr\": pattern: vos3000-csv reads by its own description"],
    );
    check(
        &with(
            "format = \"delimited\"\ndelimiter = \",\"\nevent = \"balance_alert\"\ncolumns = [{ name = \"t\", type = \"time\", as = \"event_time\" }, { name = \"a\", as = \"account_id\" }, { name = \"b\", type = \"money\", as = \"current_balance\" }]\n",
        ),
        &["source \"cdr\": thresholds: missing; nothing says below which balance to alert"],
    );
}

#[test]
fn of_a_log_that_tells_several_things_one_may_be_all_that_is_wanted() {
    let source = "[[source]]\nname = \"queues\"\nformat = \"asterisk-queue-log\"\nfiles = [\"/q\"]\nstart = \"now\"\n";
    let wants = |events: &str| format!("{source}\n{}", ENDPOINT.replace("[\"cdr\"]", events));
    load(&wants("[\"queue\"]")).unwrap();
    check(
        &wants("[\"switchhook.source_gap\"]"),
        &[
            "no endpoint wants the \"agent_state\" events of source \"queues\"; add \"agent_state\" to the events of one",
            "no endpoint wants the \"queue\" events of source \"queues\"",
        ],
    );
}

#[test]
fn an_event_that_nobody_wants_is_refused_also_when_it_is_derived() {
    let source = SOURCE.replace("start =", "silent_after = \"1h\"\nstart =");
    check(
        &format!("{source}\n{ENDPOINT}"),
        &["no endpoint wants the \"switchhook.source_silent\" events"],
    );
}

#[test]
fn a_source_is_one_of_five_things_and_its_keys_go_with_it() {
    let source = |keys: &str| {
        format!("[[source]]\nname = \"live\"\n{keys}\n{ENDPOINT}").replace("[\"cdr\"]", "[\"*\"]")
    };
    for good in [
        "http = { listen = \"127.0.0.1:8731\" }\nformat = \"vos3000-push\"",
        "http = { listen = \"127.0.0.1:8731\" }\nformat = \"vos3000-push\"\nthresholds = { \"*\" = [\"50\"] }",
        "http = { listen = \"0.0.0.0:8731\", allow = [\"192.0.2.0/24\"], rate_max = 50, path = \"/vos\" }\nformat = \"vos3000-push\"",
        "udp = { listen = \"[::1]:8732\" }\nformat = \"vos3000-udp\"",
        "directory = \"/var/log/freeswitch/json_cdr\"\nformat = \"freeswitch-json\"\nstart = \"now\"\nsubdirectories = \"2*\"\nafter_read = \"delete\"",
        "recordings = \"/var/spool/asterisk/monitor\"\nstart = \"now\"\nsubdirectories = \"*/*\"\nname_parts = \"{caller_id}-{call_id}.wav\"",
    ] {
        let config = load(&source(good)).unwrap_or_else(|problems| panic!("{good}: {problems:#?}"));
        // What is shown is what would be written.
        let shown = config.show();
        for key in ["http", "udp", "directory", "recordings"] {
            let written = good.starts_with(&format!("{key} ="));
            let in_table = shown.contains(&format!("[source.{key}]"));
            assert_eq!(
                shown.contains(&format!("\n{key} =")) || in_table,
                written,
                "{key} {shown}"
            );
        }
    }
    check(
        &source(
            "http = { listen = \"127.0.0.1:8731\" }\nfiles = [\"/a/*.txt\"]\nformat = \"vos3000-push\"",
        ),
        &[
            "source \"live\": files: there is http too; a source is one of files, directory, http, udp and recordings",
        ],
    );
    check(
        &source(
            "http = { listen = \"0.0.0.0:8731\", rate = 5 }\nformat = \"vos3000-push\"\nstart = \"now\"",
        ),
        &[
            "http.allow: missing; 0.0.0.0:8731 can be reached from other machines",
            "3: source: rate: no such key; did you mean",
            "5: source \"live\": start: means nothing beside http; it goes with files or directory or recordings",
        ],
    );
    check(
        &source(
            "http = { listen = \"localhost\", allow = [\"x\"], path = \"vos\" }\nformat = \"vos3000-push\"",
        ),
        &["http.listen: \"localhost\" is no address with a port"],
    );
    check(
        &source("udp = { listen = \"127.0.0.1:0\" }\nformat = \"vos3000-udp\""),
        &["udp.listen: \"127.0.0.1:0\" is no address with a port"],
    );
    check(
        &source(
            "udp = { allow = [], listen = \"127.0.0.1:9\", path = \"/x\" }\nformat = \"freeswitch-json\"",
        ),
        &[
            "udp.allow: the list is empty",
            "udp.path: write the path",
            "format: freeswitch-json does not come in datagrams",
        ],
    );
    check(
        &source(
            "http = { listen = \"127.0.0.1:8731\" }\nformat = \"vos3000-push\"\nkeep = { event_time = \"x\" }",
        ),
        &["keep: means nothing beside vos3000-push"],
    );
    check(
        &source("udp = { listen = \"127.0.0.1:9\" }\nformat = \"vos3000-push\""),
        &["format: vos3000-push is what VOS3000 posts; write http = { listen"],
    );
    check(
        &source(
            "recordings = \"/d\"\nstart = \"now\"\nformat = \"asterisk-cdr\"\ntimezone = \"UTC\"",
        ),
        &[
            "format: means nothing beside recordings; it goes with files or directory or http or udp",
            "timezone: means nothing beside recordings",
        ],
    );
    check(
        &source(
            "directory = \"/d\"\nformat = \"vos3000-csv\"\nstart = \"now\"\nsettle = \"5s\"\nnames = [\"a/b\"]\nsubdirectories = \"**\"\nafter_read = \"move_to\"",
        ),
        &[
            "move_to: missing",
            "settle: means nothing beside directory",
            "names: \"a/b\" is no glob of a file's name",
            "subdirectories: \"**\" is no glob of a directory's name",
        ],
    );
    check(
        &source("directory = \"/d\"\nformat = \"vos3000-csv\"\nstart = \"now\""),
        &["format: vos3000-csv holds lines"],
    );
    check(
        &source(
            "directory = \"/d\"\nformat = \"freeswitch-json\"\nstart = \"now\"\nmove_to = \"/nowhere\"",
        ),
        &["move_to: means nothing without after_read"],
    );
    check(
        &source("recordings = \"/d\"\nstart = \"now\"\nname_parts = \"{a}{b}\""),
        &["name_parts: two parts follow each other"],
    );
    check(
        &source("files = [\"/d/*.json\"]\nformat = \"freeswitch-json\"\nstart = \"now\""),
        &["format: freeswitch-json holds one record per file; write directory"],
    );
    let twice = "udp = { listen = \"127.0.0.1:9\" }\nformat = \"vos3000-udp\"\n[[source]]\nname = \"b\"\nudp = { listen = \"127.0.0.1:9\" }\nformat = \"vos3000-udp\"";
    check(
        &source(twice),
        &["source \"b\": udp.listen: 127.0.0.1:9 is listened on by source \"live\" already"],
    );
    for (kind, expected) in [
        (
            "http = { listen = \"127.0.0.1:8731\" }\nformat = \"vos3000-push\"",
            Some("vos3000-push"),
        ),
        ("recordings = \"/d\"\nstart = \"now\"", None),
    ] {
        let shown: toml::Table = toml::from_str(&load(&source(kind)).unwrap().show()).unwrap();
        let shown = &shown["source"][0];
        let format = shown.get("format").and_then(toml::Value::as_str);
        assert_eq!((format, shown.get("columns")), (expected, None));
    }
    let unwanted = source("http = { listen = \"127.0.0.1:8731\" }\nformat = \"vos3000-push\"")
        .replace("[\"*\"]", "[\"recording\"]");
    check(
        &unwanted,
        &[
            "source \"live\": no endpoint wants any of what is pushed",
            "events: no source makes any of these",
        ],
    );
}
#[test]
fn generations_are_derived_unless_they_are_given() {
    let shown = |key: &str| {
        let config = load(&format!("{SOURCE}{key}\n{ENDPOINT}")).unwrap();
        config.sources[0].files.generations()
    };
    assert_eq!(
        shown("")[..2],
        [
            "/home/kunshi/mbx3000/cdr/*.txt.[0-9]*",
            "/home/kunshi/mbx3000/cdr/*.txt-[0-9]*"
        ]
    );
    assert_eq!(shown("rotated = []"), [""; 0]);
    assert_eq!(shown("rotated = [\"/old/*\"]"), ["/old/*"]);
    check(
        &format!("{SOURCE}rotated = [\"old/*\"]\n{ENDPOINT}"),
        &["7: source \"cdr\": rotated: \"old/*\" is not an absolute path"],
    );
}

#[test]
fn rows_change_where_they_tell_how_accounts_stand() {
    for (format, expected) in [
        ("account-export", true),
        ("payment-export", false),
        ("vos3000-pipe", false),
        ("vos3000-alarm", false),
    ] {
        let config = load(&with(&format!("format = \"{format}\""))).unwrap();
        assert_eq!(config.sources[0].files.rows_change, expected, "{format}");
    }
    // Lines of a log that tell balances are read once, although something touches it.
    let config = load(&with(
        "format = \"pattern\"\nthresholds = { \"*\" = [\"5\"] }\n[[source.pattern]]\nmatch = '^(?<time>\\S+) (?<who>\\S+) (?<left>\\S+)$'\n\
         event = \"balance_alert\"\nfields = { account_id = \"$who\", current_balance = \"$left\" }",
    ));
    assert!(!config.unwrap().sources[0].files.rows_change);
}

#[test]
fn the_room_of_deleted_files_is_shared_by_the_sources() {
    let text = format!(
        "[limits]\ndeleted_files_keep = [\"10m\", \"1MiB\"]\n{SOURCE}{}\n{ENDPOINT}",
        SOURCE.replace("\"cdr\"", "\"b\"")
    );
    let config = load(&text).unwrap();
    assert_eq!(
        config.deleted_keep,
        DeletedKeep {
            time: Duration::from_secs(600),
            bytes: 1 << 20
        }
    );
    let files = &config.sources[1].files;
    assert_eq!(
        (files.deleted_keep, files.deleted_keep_bytes),
        (Duration::from_secs(600), 1 << 19)
    );
    for (value, expected) in [
        (
            "[\"1h\"]",
            "it takes a time and a size; write [\"1h\", \"256MiB\"]",
        ),
        ("[\"1h\", 5]", "write"),
        ("[\"1 parsec\", \"1MiB\"]", "write"),
    ] {
        let text = format!("[limits]\ndeleted_files_keep = {value}\n{SOURCE}\n{ENDPOINT}");
        check(&text, &["2: limits: deleted_files_keep: "]);
        assert!(load(&text).unwrap_err()[0].contains(expected), "{value}");
    }
}

#[test]
fn an_endpoint_may_want_gaps_alone() {
    let alarms = ENDPOINT
        .replace("\"cdr\"", "\"switchhook.source_gap\"")
        .replace("\"billing\"", "\"ops\"");
    load(&format!("{SOURCE}\n{ENDPOINT}\n{alarms}")).unwrap();
}

#[test]
fn a_text_whose_quotes_were_forgotten_is_shown_with_them() {
    for (key, written, expected) in [
        ("start", "now", "write start = \"now\""),
        ("start", "nan\nstart = now", "write start = \"now\""),
        (
            "timezone",
            "Asia/Dhaka # here",
            "write timezone = \"Asia/Dhaka\"",
        ),
        (
            "files",
            "/var/log/*.csv",
            "write files = [\"/var/log/*.csv\"]",
        ),
        ("settle", "10s", "write settle = \"10s\""),
        (
            "template",
            "${CDR(src)},${CDR(start)}",
            "write template = '${CDR(src)},${CDR(start)}'",
        ),
    ] {
        let text = format!("[[source]]\n{key} = {written}\n");
        let problems = load(&text).expect_err(written);
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{problems:?}"
        );
    }
    // One mistake is one problem; others are told as they are.
    check(
        "[[source]]\ntemplate = ${CDR(src)}\n",
        &["2: a text stands in quotes"],
    );
    check("[[source]]\nname = \"a\" \"b\"\n", &["2: unexpected"]);
    // What is pasted from a page has other quotes; expressions and templates have their own.
    check(
        "[[source]]\nname = \u{201C}cdr\u{201D}\n",
        &["2: a text stands in quotes; write name = \"cdr\""],
    );
    check(
        "[[source]]\ncolumns = [{ name = \"at\" } { name = \"from\" }]\n",
        &["2: missing comma between array elements, expected `,`; write a comma between"],
    );
    check(
        "[[source.pattern]]\nmatch = \"^\\[(?<time>\\S+) up\"\n",
        &["stands in single quotes: write match = '^\\[(?<time>\\S+) up'"],
    );
    check(
        "[[source]]\ntemplate = \"\"${uuid}\",\"${start_stamp}\"\"\n",
        &["stands in single quotes: write template = '\"${uuid}\",\"${start_stamp}\"'"],
    );
    check(
        "[[source]]\nfiles = [\"D:\\Logs\\Master.csv\"]\n",
        &["a text with backslashes stands in single quotes"],
    );
    for (word, near) in [
        (
            "asterisk",
            "did you mean \"asterisk-cdr\" or \"asterisk-cdr-custom\"",
        ),
        ("Kamailio", "did you mean \"kamailio-acc\"?"),
        ("mitel", "the formats are vos3000-pipe"),
    ] {
        let own = SOURCE.replace("vos3000-pipe", word);
        check(&format!("{own}\n{ENDPOINT}"), &[near]);
    }
    for accounts in ["GW 1 = \"A\"", "GW-1 = A", "网关 = \"A\""] {
        check(
            &format!("[[source]]\naccounts = {{ {accounts} }}\n"),
            &["names with other letters than A-Z, 0-9, - and _ too"],
        );
    }
}

#[test]
fn a_template_without_a_time_is_said_to_be_part_of_one() {
    for (format, template, expected) in [
        (
            "asterisk-cdr-custom",
            "${CDR(src)},${CDR(dst)}",
            "${CDR(start)}",
        ),
        (
            "freeswitch-csv",
            "\"${uuid}\",\"${caller_id_number}\"",
            "${start_stamp}",
        ),
    ] {
        let own = SOURCE.replace(
            "format = \"vos3000-pipe\"",
            &format!("format = \"{format}\"\ntemplate = '{template}'"),
        );
        let expected = format!(
            "paste the whole {}, in which {expected}",
            match format {
                "freeswitch-csv" => "template",
                _ => "mapping",
            }
        );
        check(&format!("{own}\n{ENDPOINT}"), &[&expected]);
    }
}

#[test]
fn a_name_with_dots_is_said_to_need_quotes() {
    let own = SOURCE.replace(
        "start = \"now\"",
        "start = \"now\"\naccounts = { 192.0.2.1 = \"A\" }",
    );
    check(
        &format!("{own}\n{ENDPOINT}"),
        &["accounts: the name 192.0.2.1, which needs quotes for its dots, does not belong here"],
    );
}

#[test]
fn a_secret_whose_quotes_were_forgotten_is_not_shown_with_them() {
    for line in [
        "secret = whsec_c2VjcmV0",
        "previous_secret = whsec_c2VjcmV0",
        "secret = \"whsec_c2VjcmV0\\s\"",
        "secret = \"whsec_c2VjcmV0\"\"",
        "basic_auth = switch:c2VjcmV0",
        "url = https://switch:c2VjcmV0@billing.example/",
        "proxy = http://switch:c2VjcmV0@10.0.0.1:3128",
        "headers = { Authorization = Bearer c2VjcmV0 }",
        "Authorization = Bearer c2VjcmV0",
        "x_api_key = \"c2VjcmV0\\\"",
    ] {
        let text = format!("{SOURCE}\n[[endpoint]]\n{line}\n");
        let problems = load(&text).unwrap_err().concat();
        assert!(!problems.is_empty(), "{line}");
        assert!(!problems.contains("c2VjcmV0"), "{line}: {problems}");
    }
    check(
        "[[endpoint]]\nsecret = whsec_c2VjcmV0\n",
        &["2: a text stands in quotes; write secret = \"...\""],
    );
}

#[test]
fn a_list_or_a_table_of_something_else_is_said_to_be_that() {
    let with = |line: &str| SOURCE.replace("start = \"now\"", &format!("start = \"now\"\n{line}"));
    let expected =
        "reasons: a table of numbers does not belong here; write reasons = { 486 = \"Busy\" }";
    check(
        &format!("{}\n{ENDPOINT}", with("reasons = { 486 = 1 }")),
        &[expected],
    );
    let expected =
        "files: a list of numbers and texts does not belong here; write files = [\"/home";
    let own = SOURCE.replace("files = [", "files = [5, ");
    check(&format!("{own}\n{ENDPOINT}"), &[expected]);
}

#[test]
fn what_is_wrong_with_a_table_beside_the_configuration_is_said_of_that_file() {
    let dir = directory(&format!(
        "{SOURCE}reasons_file = \"reasons.csv\"\naccounts_file = \"accounts.csv\"\n{ENDPOINT}"
    ));
    let path = dir.path().join("switchhook.toml");
    let problems = |reasons: &[u8], accounts: &[u8]| {
        fs::write(dir.path().join("reasons.csv"), reasons).unwrap();
        fs::write(dir.path().join("accounts.csv"), accounts).unwrap();
        Config::load(&path).map_or_else(|problems| problems.to_string(), |_| String::new())
    };
    let fine: (&[u8], &[u8]) = (b"486,Busy\n", b"GW-1,A1\nGW-2,A1\nGW-1,A1\n");
    assert!(!problems(fine.0, fine.1).contains("_file"));
    for (accounts, expected) in [
        (
            &b"GW-1,A1\nGW-2,A2\nGW-1,A3\n"[..],
            "accounts.csv:3: \"GW-1\" stands in line 1 too, with another text",
        ),
        (
            b"GW-1;A1\n",
            "accounts.csv:1: 1 columns, expected 2: key,text; write a comma between them",
        ),
        (b"GW-1,\xbf\xcd\n", "is not written in UTF-8; save it so"),
    ] {
        let told = problems(fine.0, accounts);
        assert!(
            told.contains("accounts_file") && told.contains(expected),
            "{told}"
        );
    }
    let told = problems(b"code,text\n486,Busy\n", fine.1);
    let expected =
        "reasons_file: \"code\" is no number of an end reason; write a line like 486,Busy";
    assert!(told.contains(expected), "{told}");
}
