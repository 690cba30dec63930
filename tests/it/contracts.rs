//! What receivers get, beside what they are told they get: schemas, and bodies that others read.

use crate::support::{Bench, has, row, run, skip, text, wait_until};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use switchhook::delivery::profile::{FieldMap, Profile, schema};
use switchhook::event::json::Object;
use switchhook::event::shape::{self, Holds, Shape};
use switchhook::event::{Event, EventId, Labels, Sequence};
use switchhook::queue::Queued;
use switchhook::receiver::{self, Receiver};
use switchhook::timestamp::Timestamp;

/// JSON whose keys keep their order.
#[derive(Debug)]
struct Ordered(Vec<(String, Box<RawValue>)>);

impl Ordered {
    fn of(json: &str) -> Option<Ordered> {
        serde_json::from_str(json).ok()
    }

    fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.get())
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ordered, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Ordered;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Ordered(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Whether `body` has the keys of `schema`, all of those that are required, in its order, and no
/// others unless the schema lets more follow; the same inside.
fn keys_fit(body: &str, schema: &str) -> bool {
    let schema = Ordered::of(schema).unwrap();
    if let Some(ways) = schema.get("anyOf") {
        let ways: Vec<&RawValue> = serde_json::from_str(ways).unwrap();
        return ways.iter().any(|way| keys_fit(body, way.get()));
    }
    let (Some(properties), Some(body)) = (schema.get("properties"), Ordered::of(body)) else {
        return true;
    };
    let properties = Ordered::of(properties).unwrap();
    let required: Vec<String> = serde_json::from_str(schema.get("required").unwrap()).unwrap();
    let is_open = schema.get("additionalProperties") != Some("false");
    let mut members = body.0.iter().peekable();
    for (key, inner) in &properties.0 {
        match members.peek() {
            Some((name, value)) if name == key => {
                if !keys_fit(value.get(), inner.get()) {
                    return false;
                }
                members.next();
            }
            _ if required.contains(key) => return false,
            _ => {}
        }
    }
    is_open || members.next().is_none()
}

/// Whether two keys of an object, at any level, differ only in case.
fn has_twins(json: &str) -> bool {
    if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json) {
        return items.iter().any(|item| has_twins(item.get()));
    }
    let Some(object) = Ordered::of(json) else {
        return false;
    };
    let names: BTreeSet<String> = object.0.iter().map(|(key, _)| key.to_lowercase()).collect();
    names.len() != object.0.len() || object.0.iter().any(|(_, value)| has_twins(value.get()))
}

/// Makes events of a shape with values of every kind that is allowed there.
struct Dice(fastrand::Rng);

impl Dice {
    fn text(&mut self) -> String {
        let length = self.0.usize(0..12);
        (0..length)
            .map(|_| match self.0.u8(0..10) {
                0 => char::from(self.0.u8(0..0x20)),
                1 => *self
                    .0
                    .choice(&['"', '\\', '/', '\u{7f}', '<', '\'', '&'])
                    .unwrap(),
                2 => *self
                    .0
                    .choice(&['\u{2028}', '\u{2029}', '\u{feff}', '\u{fffd}', '\u{ffff}'])
                    .unwrap(),
                // Two code units in JavaScript.
                3 => self.0.char('\u{10000}'..='\u{10ffff}'),
                4 => self.0.char('\u{80}'..='\u{d7ff}'),
                5 => self.0.char('\u{e000}'..='\u{ffff}'),
                _ => self.0.char(' '..='~'),
            })
            .collect()
    }

    /// A key that a column can have.
    fn key(&mut self) -> String {
        let odd = [
            "__proto__",
            "constructor",
            "toString",
            "a b",
            "1.5",
            "-1",
            "01x",
            "",
            "é",
            "\u{1f4de}",
            "a\"b",
        ];
        match self.0.bool() {
            true => (*self.0.choice(odd).unwrap()).to_string(),
            false => {
                let text = self.text();
                let is_index = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                if is_index { format!("n{text}") } else { text }
            }
        }
    }

    fn whole(&mut self) -> i64 {
        const MOST: i64 = (1 << 53) - 1;
        match self.0.u8(0..4) {
            0 => *self
                .0
                .choice(&[0, -1, MOST, -MOST, 1 << 31, 1 << 32])
                .unwrap(),
            _ => self.0.i64(-MOST..=MOST),
        }
    }

    fn amount(&mut self) -> String {
        let odd = [
            "1.0E-4",
            "-0",
            "+1",
            "0.10",
            "1e400",
            "007",
            "123456789012345678901234567890.10",
        ];
        match self.0.bool() {
            true => (*self.0.choice(odd).unwrap()).to_string(),
            false => format!("{}.{:04}", self.0.u32(..), self.0.u16(0..10_000)),
        }
    }

    fn time(&mut self) -> Timestamp {
        let secs = self.0.i64(0..4_000_000_000);
        match self.0.bool() {
            true => Timestamp::from_secs(secs),
            false => Timestamp::from_millis(secs * 1_000 + self.0.i64(0..1_000)),
        }
    }

    fn data(&mut self, shape: &Shape) -> Box<[u8]> {
        let mut data = Object::with_capacity(512);
        for field in &shape.fields {
            let key = field.key.as_str();
            if field.is_optional && self.0.bool() {
                continue;
            }
            if field.is_nullable && self.0.u8(0..4) == 0 {
                data.text(key, None);
                continue;
            }
            match field.holds {
                Holds::Text | Holds::Level => match (&shape.state, key) {
                    (Some(state), "state") => data.text(key, Some(state)),
                    _ => data.text(key, Some(&self.text())),
                },
                Holds::Word(words) => data.text(key, self.0.choice(words).copied()),
                Holds::Amount => data.text(key, Some(&self.amount())),
                Holds::Time => data.text(key, Some(&self.time().to_string())),
                Holds::Whole => data.whole(key, Some(self.whole())),
                Holds::Truth => data.truth(key, self.0.bool()),
                Holds::Texts => data.texts(key, &[self.text(), self.text()]),
                Holds::Columns => {
                    let mut columns = Object::with_capacity(64);
                    let mut taken = BTreeSet::new();
                    for _ in 0..self.0.usize(0..6) {
                        let name = self.key();
                        if !taken.insert(name.to_lowercase()) {
                            continue;
                        }
                        match self.0.u8(0..3) {
                            0 => columns.text(&name, None),
                            1 => columns.whole(&name, Some(self.whole())),
                            _ => columns.text(&name, Some(&self.text())),
                        }
                    }
                    data.object(key, columns);
                }
            }
        }
        if shape.is_open && self.0.bool() {
            data.text("call_id", Some(&self.text()));
            data.text("caller_id", Some(&self.text()));
        }
        data.finish()
    }

    fn event(&mut self, shape: &Shape) -> Queued {
        let event = Event {
            id: EventId(self.0.u128(..).to_be_bytes()),
            kind: shape.kind.as_ref().into(),
            time: self.time(),
            node: self.text().into(),
            labels: Labels::default(),
            data: self.data(shape),
        };
        Queued {
            sequence: Sequence(self.0.u64(0..1 << 53)),
            event: Arc::new(event),
        }
    }
}

/// Rounds of random events: a few by default.
fn rounds() -> u64 {
    let asked = std::env::var("SWITCHHOOK_BODY_ROUNDS");
    asked.map_or(5, |rounds| rounds.parse().unwrap())
}

fn body_of(profile: Profile, queued: &Queued) -> String {
    let mut body = Vec::new();
    profile.render(queued, &mut body);
    String::from_utf8(body).unwrap()
}

#[test]
fn every_body_has_exactly_the_keys_of_its_schema_in_its_order_and_none_twice_in_any_case() {
    let shapes = shape::all();
    let kinds: BTreeSet<&str> = shapes.iter().map(|shape| &*shape.kind).collect();
    for (_, profile) in Profile::ALL {
        let schemas: BTreeMap<&str, String> = kinds
            .iter()
            .map(|kind| (*kind, schema(profile, Some(kind)).unwrap()))
            .collect();
        for seed in 0..rounds() {
            let mut dice = Dice(fastrand::Rng::with_seed(seed));
            for shape in &shapes {
                let body = body_of(profile, &dice.event(shape));
                let schema = &schemas[&*shape.kind];
                let what = format!(
                    "seed {seed}, {} {} {}",
                    profile.name(),
                    shape.kind,
                    shape.of
                );
                assert!(keys_fit(&body, schema), "{what}: {body}\n{schema}");
                assert!(!has_twins(&body), "{what}: {body}");
            }
        }
    }
}

#[test]
fn a_missing_a_moved_and_an_added_key_are_noticed() {
    let schema = schema(Profile::Vos3000, Some("balance_alert")).unwrap();
    let shapes = shape::all();
    let shape = shapes
        .iter()
        .find(|shape| shape.kind == "balance_alert")
        .unwrap();
    let body = body_of(
        Profile::Vos3000,
        &Dice(fastrand::Rng::with_seed(1)).event(shape),
    );
    assert!(keys_fit(&body, &schema));
    for (from, to) in [
        ("\"account_id\"", "\"account\""),
        ("{\"event\"", "{\"x\":1,\"event\""),
        ("\"sequence\"", "\"Sequence\""),
    ] {
        let changed = body.replace(from, to);
        assert_ne!(changed, body);
        assert!(!keys_fit(&changed, &schema), "{changed}");
    }
    assert!(has_twins(r#"{"a":[{"b":1,"B":2}]}"#));
}

/// `JSON.stringify(JSON.parse(body))` in a real engine, over events of every type with every kind of
/// text, number and key.
#[test]
fn a_javascript_engine_prints_random_bodies_as_they_came() {
    const TEST: &str = "contracts::a_javascript_engine_prints_random_bodies_as_they_came";
    if !has("node", "--version") {
        return skip(TEST, "node is not installed");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bodies");
    let mut bodies = File::create(&path).unwrap();
    let own = [
        ("z", "$id"),
        ("a\"\\b", "caller_id"),
        ("\u{1f4de}", "=\u{2028}é"),
        ("1.5", "duration"),
    ];
    let own = FieldMap::parse(own).unwrap();
    let mut count = 0;
    for seed in 0..rounds() * 4 {
        let mut dice = Dice(fastrand::Rng::with_seed(seed));
        for shape in &shape::all() {
            let queued = dice.event(shape);
            for (_, profile) in Profile::ALL {
                writeln!(bodies, "{}", body_of(profile, &queued)).unwrap();
                count += 1;
            }
            let mut body = Vec::new();
            switchhook::delivery::profile::Body::Fields(own.clone()).render(&queued, &mut body);
            writeln!(bodies, "{}", String::from_utf8(body).unwrap()).unwrap();
            count += 1;
        }
    }
    drop(bodies);
    let output = Command::new("node")
        .arg(script("reprint.js"))
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout).trim(),
        format!("{count} the same"),
        "{}",
        text(&output.stderr)
    );
}

pub fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/interop")
        .join(name)
}

/// The kinds that [`everything`] makes.
const KINDS: [&str; 15] = [
    "account",
    "agent_state",
    "alarm",
    "balance_alert",
    "call",
    "cdr",
    "conference",
    "payment",
    "phone",
    "queue",
    "recording",
    "switchhook.heartbeat",
    "switchhook.source_gap",
    "switchhook.source_silent",
    "switchhook.summary",
];

/// A switch of every kind, and an endpoint and a receiver for every profile.
struct Everything {
    bench: Bench,
    receivers: Vec<(&'static str, Profile, Receiver)>,
    port: u16,
}

impl Everything {
    fn new() -> Everything {
        let bench = Bench::new();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let dir = bench.dir.path().display();
        for name in ["queue", "cel", "alarm", "payment", "account", "recordings"] {
            fs::create_dir(bench.path(name)).unwrap();
        }
        let files = |name: &str, more: &str| {
            format!(
                "[[source]]\nname = \"{name}\"\nfiles = [\"{dir}/{name}/*\"]\nstart = \"beginning\"\npoll = \"100ms\"\ntimezone = \"UTC\"\ncurrency = \"USD\"\n{more}\n\n"
            )
        };
        let mut config = String::from(
            "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\n\n",
        );
        config += &files(
            "cdr",
            "format = \"vos3000-csv\"\ncolumns = \"52\"\nextra = true\nsilent_after = \"1s\"\nheartbeat_every = \"1h\"\n[source.summary]\nevery = \"1m\"\nwait = \"0s\"",
        );
        config += &files("queue", "format = \"asterisk-queue-log\"");
        config += &files("cel", "format = \"asterisk-cel\"");
        config += &files(
            "alarm",
            "format = \"vos3000-alarm\"\n[source.thresholds]\n\"*\" = [\"50\", \"20\"]",
        );
        config += &files("payment", "format = \"payment-export\"");
        config += &files("account", "format = \"account-export\"");
        write!(config, "[[source]]\nname = \"push\"\nhttp = {{ listen = \"127.0.0.1:{port}\" }}\nformat = \"vos3000-push\"\ncurrency = \"USD\"\n\n").unwrap();
        write!(config, "[[source]]\nname = \"rec\"\nrecordings = \"{dir}/recordings\"\nstart = \"now\"\npoll = \"100ms\"\nsettle = \"1s\"\nname_parts = \"in-{{caller_id}}-{{call_id}}.wav\"\n\n").unwrap();
        let mut receivers = Vec::new();
        for (name, profile) in Profile::ALL {
            let own: receiver::Profile = name.parse().unwrap();
            let receiver = crate::support::receiver(own, &[], 0);
            write!(config, "[[endpoint]]\nname = \"{name}\"\nevents = [\"*\"]\nsecret_file = \"secret\"\nprofile = \"{name}\"\nurl = \"{}\"\n\n", receiver.url()).unwrap();
            receivers.push((name, profile, receiver));
        }
        fs::write(bench.path("switchhook.toml"), config).unwrap();
        Everything {
            bench,
            receivers,
            port,
        }
    }

    /// Does what a busy afternoon does to a switch.
    fn play(&self) {
        let copy = |fixture: &str, to: &str| {
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
            fs::copy(fixtures.join(fixture), self.bench.path(to)).unwrap();
        };
        let rows: String = (0..20).map(row).collect();
        let odd = row(21).replace("CLIENT002", "百融 \"\"A\"\"\\/\u{1}é");
        let bytes = [
            rows.as_bytes(),
            odd.as_bytes(),
            &row(22).replace("Asterisk PBX", "@@").into_bytes(),
        ]
        .concat();
        let bytes: Vec<u8> = bytes
            .iter()
            .map(|byte| if *byte == b'@' { 0xff } else { *byte })
            .collect();
        fs::write(self.bench.path("cdr/cdr_1.csv"), bytes).unwrap();
        copy("asterisk/logs/queue_log", "queue/queue_log");
        copy("asterisk/cel/Master.csv", "cel/Master.csv");
        let bridges = "\"CONF_START\",\"1775802700.5\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"ConfBridge\",\"room\",\"3\",\"\",\"1775802700.1\",\"1775802700.1\",\"\",\"\",\"\"\n";
        let mut cel = fs::OpenOptions::new()
            .append(true)
            .open(self.bench.path("cel/Master.csv"))
            .unwrap();
        cel.write_all(bridges.as_bytes()).unwrap();
        copy("vos3000/alarm-log/alarm-log4j.log", "alarm/alarm.log");
        fs::write(
            self.bench.path("payment/p.csv"),
            "\"CLIENT001\",\"50.00\",\"165.50\",\"2026-04-10 14:28:15\",0,0,\"admin\"\n",
        )
        .unwrap();
        fs::write(self.bench.path("account/a.csv"), "\"CLIENT001\",\"Client One\",\"0\",\"locked\",\"115.50\",\"0\",\"2026-04-10 14:28:15\"\n").unwrap();
        fs::write(self.bench.path("recordings/in-2001-77.wav"), "RIFF").unwrap();
        for page in [
            "AlarmCurrentReport",
            "CallStateReport",
            "CustomerMoneyChange",
            "PhoneOnline",
        ] {
            let body = fs::read_to_string(format!(
                "{}/tests/fixtures/vos3000/outbound-post/{page}.json",
                env!("CARGO_MANIFEST_DIR")
            ))
            .unwrap();
            let request = format!(
                "POST /{page} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            wait_until("the push to be taken", || {
                let mut answer = String::new();
                let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
                    return false;
                };
                stream.write_all(request.as_bytes()).is_ok()
                    && stream.read_to_string(&mut answer).is_ok()
                    && answer.starts_with("HTTP/1.1 200")
            });
        }
    }
}

/// A real delivery: profile, our type of the event, headers, body.
struct Delivery {
    profile: Profile,
    kind: String,
    headers: hyper::HeaderMap,
    body: String,
}

/// Lets the built agent deliver every kind of event to receivers of every profile.
fn deliveries() -> Vec<Delivery> {
    let all = Everything::new();
    let arrivals: Vec<_> = all
        .receivers
        .iter()
        .map(|(_, _, receiver)| receiver.arrivals())
        .collect();
    let agent = all.bench.agent();
    wait_until("the start", || agent.log().contains(" started"));
    all.play();
    let standard = &all.receivers[0].2;
    let seen = |kinds: &[&str]| {
        let account = standard.account();
        kinds
            .iter()
            .all(|kind| account.kinds.iter().any(|(seen, _)| **seen == **kind))
    };
    let without_gap: Vec<&str> = KINDS
        .into_iter()
        .filter(|kind| *kind != "switchhook.source_gap")
        .collect();
    wait_until("every kind of event", || seen(&without_gap));
    // What stands there unread, because its line is not over, is overwritten. Whether the agent had
    // looked at it before shows only in what it tells, so it is done until it tells of it.
    let path = all.bench.path("cdr/cdr_1.csv");
    wait_until("the gap", || {
        let torn = row(100);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&torn.as_bytes()[..90]).unwrap();
        thread::sleep(Duration::from_millis(400));
        fs::write(&path, row(99)).unwrap();
        thread::sleep(Duration::from_millis(400));
        seen(&KINDS)
    });
    wait_until("all of it", || all.bench.is_drained());
    assert_eq!(agent.stop(), 0);
    let mut kinds: BTreeMap<String, String> = BTreeMap::new();
    let mut deliveries = Vec::new();
    for ((_, profile, receiver), arrivals) in all.receivers.iter().zip(arrivals) {
        for arrival in arrivals.try_iter() {
            assert!(arrival.signature.is_ok(), "{:?}", arrival.signature);
            let callback = arrival.callback.unwrap();
            if *profile == Profile::Standard {
                kinds.insert(callback.id.to_string(), callback.kind.to_string());
            }
            deliveries.push(Delivery {
                profile: *profile,
                kind: kinds[&*callback.id].clone(),
                headers: arrival.headers,
                body: String::from_utf8(arrival.body.to_vec()).unwrap(),
            });
        }
        let account = receiver.account();
        assert_eq!(account.distinct, all.receivers[0].2.account().distinct);
    }
    let found: BTreeSet<&str> = kinds.values().map(String::as_str).collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), KINDS);
    deliveries
}

/// One run of the agent for all that is asked of real deliveries: it takes seconds.
#[test]
fn real_deliveries_of_every_kind_to_every_profile_are_what_their_schemas_say() {
    const TEST: &str =
        "contracts::real_deliveries_of_every_kind_to_every_profile_are_what_their_schemas_say";
    let deliveries = deliveries();
    let dir = tempfile::tempdir().unwrap();
    let mut bodies = File::create(dir.path().join("bodies.jsonl")).unwrap();
    let mut schemas = BTreeMap::new();
    for delivery in &deliveries {
        let name = delivery.profile.name();
        let is_first = !schemas.contains_key(&(name, delivery.kind.as_str()));
        let schema = schemas
            .entry((name, delivery.kind.as_str()))
            .or_insert_with(|| schema(delivery.profile, Some(&delivery.kind)).unwrap());
        let what = format!("{name} {}: {}", delivery.kind, delivery.body);
        assert!(keys_fit(&delivery.body, schema), "{what}\n{schema}");
        assert!(!has_twins(&delivery.body), "{what}");
        let file = format!("{name}.{}.json", delivery.kind);
        fs::write(dir.path().join(&file), schema).unwrap();
        let line = serde_json::json!({ "schema": file, "body": delivery.body });
        writeln!(bodies, "{line}").unwrap();
        // The schema of everything is a list of alternatives, and takes its time.
        if is_first {
            let whole = format!("{name}.json");
            let line = serde_json::json!({ "schema": whole, "body": delivery.body });
            writeln!(bodies, "{line}").unwrap();
        }
        check_headers(delivery);
    }
    for (name, _) in Profile::ALL {
        let output = run(&["schema", name]);
        assert_eq!(output.status.code(), Some(0));
        fs::write(dir.path().join(format!("{name}.json")), output.stdout).unwrap();
    }
    let valid = format!("{} valid by", deliveries.len() + schemas.len());
    let checked = |program: &str, arguments: &[&str], file: &str, has_it: bool, why: &str| {
        if !has_it {
            return skip(&format!("{TEST} ({file})"), why);
        }
        let mut command = Command::new(program);
        let path = if file == "caseless.go" {
            dir.path().join("bodies.jsonl")
        } else {
            dir.path().to_owned()
        };
        let output = command
            .args(arguments)
            .arg(script(file))
            .arg(path)
            .output()
            .unwrap();
        let said = text(&output.stdout);
        let expected = if file == "caseless.go" {
            " bodies, "
        } else {
            &valid
        };
        assert!(
            output.status.success() && said.contains(expected),
            "{file}: {said}{}",
            text(&output.stderr)
        );
    };
    let has_jsonschema = Command::new("python3")
        .args(["-c", "import jsonschema"])
        .output();
    let has_jsonschema = has_jsonschema.is_ok_and(|output| output.status.success());
    checked(
        "python3",
        &[],
        "schemas.py",
        has_jsonschema,
        "python3 with the package jsonschema is not installed",
    );
    checked(
        "node",
        &[],
        "schemas.js",
        has_npm("ajv"),
        "node with the package ajv is not installed",
    );
    checked(
        "go",
        &["run"],
        "caseless.go",
        has("go", "version"),
        "go is not installed",
    );
}

/// Whether node and this package are there.
pub fn has_npm(package: &str) -> bool {
    script("node_modules").join(package).is_dir() && has("node", "--version")
}

/// The headers of the table of contracts: those of the signature by profile, those of the agent, and
/// no others but what the transfer needs.
#[track_caller]
fn check_headers(delivery: &Delivery) {
    let own: &[&str] = match delivery.profile {
        Profile::Standard | Profile::CloudEvents => {
            &["webhook-id", "webhook-timestamp", "webhook-signature"]
        }
        Profile::Vos3000 => &["x-vos3000-signature"],
        Profile::Vobiz | Profile::VobizVoice => &["x-vobiz-timestamp", "x-vobiz-signature"],
        Profile::Voipbin => &["x-voipbin-signature"],
    };
    let names: BTreeSet<&str> = delivery.headers.keys().map(|name| name.as_str()).collect();
    let common = [
        "host",
        "content-length",
        "content-type",
        "user-agent",
        "accept-encoding",
        "x-switchhook-id",
        "x-switchhook-sequence",
        "x-switchhook-attempt",
        "x-switchhook-node",
    ];
    let expected: BTreeSet<&str> = own.iter().copied().chain(common).collect();
    assert_eq!(names, expected, "{}", delivery.profile.name());
    let value = |name: &str| delivery.headers[name].to_str().unwrap();
    assert_eq!(value("accept-encoding"), "identity");
    assert_eq!(
        value("user-agent"),
        concat!("switchhook/", env!("CARGO_PKG_VERSION"))
    );
    let is_cloud = delivery.profile == Profile::CloudEvents;
    let media = if is_cloud {
        "application/cloudevents+json"
    } else {
        "application/json"
    };
    assert_eq!(value("content-type"), media);
}

/// The table of the contract: what each profile takes for granted.
#[test]
fn every_profile_has_the_patience_and_the_success_rule_of_the_table() {
    let rows = [
        ("standard", "200-299", 15, 10),
        ("vos3000", "200-200", 30, 5),
        ("vobiz", "200-200", 3, 3),
        ("vobiz-voice", "200-200", 3, 3),
        ("voipbin", "200-200", 5, 3),
        ("cloudevents", "200-299", 15, 10),
    ];
    assert_eq!(
        rows.map(|(name, ..)| name),
        Profile::ALL.map(|(name, _)| name)
    );
    for (name, success, timeout_secs, attempts) in rows {
        let defaults = Profile::named(name).unwrap().defaults();
        let ranges: Vec<String> = defaults
            .success
            .ranges()
            .iter()
            .map(|range| format!("{}-{}", range.start(), range.end()))
            .collect();
        assert_eq!(ranges, [success], "{name}");
        let patience = (defaults.timeout.as_secs(), defaults.attempts);
        assert_eq!(patience, (timeout_secs, attempts), "{name}");
        // Full jitter halves the waits on average.
        let waits = (0..attempts - 1).map(|number| {
            let factor = 8_u32.saturating_pow(number);
            defaults
                .backoff_initial
                .saturating_mul(factor)
                .min(defaults.backoff_max)
        });
        let mean_days = waits.sum::<Duration>().as_secs_f64() / 2.0 / 86_400.0;
        if attempts == 10 {
            assert!((2.8..3.2).contains(&mean_days), "{name}: {mean_days} days");
        }
    }
}

/// Every profile by every method, form and compression, through the agent as it is built, to the
/// receiver that is told nothing but the profile.
#[test]
fn however_events_are_packed_the_receiver_reads_and_verifies_them() {
    const PACKINGS: [&str; 7] = [
        "method = \"PUT\"",
        "compress = \"gzip\"",
        "compress = \"gzip\"\nsignature_over = \"sent\"",
        "content = \"form\"",
        "content = \"form\"\nmethod = \"PUT\"\ncompress = \"gzip\"",
        "content = \"form\"\ncompress = \"gzip\"\nsignature_over = \"sent\"",
        "method = \"GET\"",
    ];
    const ROWS: u64 = 4;
    let bench = Bench::new();
    let mut config = format!(
        "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\n\n\
         [[source]]\nname = \"cdr\"\nformat = \"vos3000-csv\"\ncolumns = \"52\"\nextra = true\nfiles = [\"{}/cdr/*.csv\"]\nstart = \"beginning\"\npoll = \"200ms\"\n\n",
        bench.dir.path().display()
    );
    let mut receivers = Vec::new();
    for (name, profile) in Profile::ALL {
        let receiver = crate::support::receiver(name.parse().unwrap(), &[], 0);
        let mut endpoints = 0;
        for packing in PACKINGS {
            let is_json = !packing.contains("form") && !packing.contains("GET");
            if profile == Profile::CloudEvents && !is_json {
                continue;
            }
            write!(config, "[[endpoint]]\nname = \"{name}-{endpoints}\"\nevents = [\"*\"]\nsecret_file = \"secret\"\nconcurrency = 1\nprofile = \"{name}\"\nurl = \"{}\"\n{packing}\n\n", receiver.url()).unwrap();
            endpoints += 1;
        }
        receivers.push((name, endpoints, receiver));
    }
    fs::write(bench.path("switchhook.toml"), config).unwrap();
    let rows: String = (0..ROWS)
        .map(|number| row(number).replace("CLIENT002", "百融 & =+%é"))
        .collect();
    fs::write(bench.path("cdr/cdr_1.csv"), rows).unwrap();
    let agent = bench.agent();
    for (name, endpoints, receiver) in &receivers {
        wait_until(&format!("all deliveries to {name}"), || {
            let account = receiver.account();
            assert_eq!(
                (account.bad_signatures, account.malformed),
                (0, 0),
                "{name}: {}",
                agent.log()
            );
            account.accepted >= ROWS * endpoints
        });
        assert_eq!(receiver.account().distinct, ROWS, "{name}");
    }
    assert_eq!(agent.stop(), 0);
}

/// A packing that could not be read or protected at the other end is refused before it starts.
#[test]
fn a_packing_that_makes_no_sense_is_refused_with_what_to_write() {
    let bench = Bench::new();
    for (keys, said) in [
        (
            "method = \"DELETE\"",
            "method: \"DELETE\" is not known; write \"POST\" or \"PUT\" or \"GET\"",
        ),
        (
            "method = \"GET\"\ncontent = \"form\"",
            "content: a GET has no body",
        ),
        (
            "method = \"GET\"\ncompress = \"gzip\"",
            "compress: a GET has no body",
        ),
        (
            "content = \"form\"\nbatch = { max_events = 10 }",
            "batch: a batch is a list in JSON",
        ),
        ("signature_over = \"sent\"", "write compress = \"gzip\" too"),
        (
            "profile = \"cloudevents\"\ncontent = \"form\"",
            "content: receivers of CloudEvents expect JSON",
        ),
        (
            "profile = \"cloudevents\"\nmethod = \"GET\"",
            "method: receivers of CloudEvents expect JSON",
        ),
        (
            "method = \"GET\"\nsignature = { header = \"X-S\", timestamp_header = \"X-T\", signed = [\"timestamp\", \"body\"] }",
            "add \"url\" to signed",
        ),
        (
            "signature = { header = \"X-S\", signed = [\"url\"] }",
            "signed leaves the body out",
        ),
    ] {
        bench.configure(&format!("url = \"http://127.0.0.1:1/\"\n{keys}"));
        let config = bench.path("switchhook.toml");
        let output = run(&["check", "--config", config.to_str().unwrap()]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{keys}: {errors}");
        assert!(errors.contains(said), "{keys}: {errors}");
        assert_eq!(
            errors
                .lines()
                .filter(|line| line.contains("switchhook.toml:"))
                .count(),
            1,
            "{errors}"
        );
    }
    bench.configure("url = \"http://127.0.0.1:1/\"\nprofile = \"vobiz\"\nmethod = \"GET\"");
    let shown = text(
        &run(&[
            "check",
            "--config",
            bench.path("switchhook.toml").to_str().unwrap(),
        ])
        .stdout,
    );
    assert!(
        shown.contains("method = \"GET\"") && shown.contains("\"timestamp\", \"=.\", \"url\""),
        "{shown}"
    );
}

#[test]
fn the_schema_command_says_what_there_is() {
    let list = text(&run(&["schema", "--list"]).stdout);
    for (name, _) in Profile::ALL {
        assert!(list.contains(name), "{list}");
    }
    for kind in KINDS {
        assert!(list.contains(kind), "{list}");
        assert_eq!(
            run(&["schema", "standard", "--event", kind]).status.code(),
            Some(0),
            "{kind}"
        );
    }
    let unknown = run(&["schema", "standard", "--event", "nonsense"]);
    assert_eq!(unknown.status.code(), Some(64));
    assert!(text(&unknown.stderr).contains("balance_alert"));
    assert_eq!(run(&["schema", "vos"]).status.code(), Some(64));
    assert_eq!(run(&["schema"]).status.code(), Some(64));
}

#[test]
fn status_says_since_when_two_secrets_are_in_force() {
    let bench = Bench::new();
    fs::copy(bench.path("secret"), bench.path("previous")).unwrap();
    // The new secret was written an hour ago, the one before a day before that.
    let ago = |secs: u64| std::time::SystemTime::now() - Duration::from_secs(secs);
    for (name, secs) in [("secret", 3_600), ("previous", 90_000)] {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(bench.path(name))
            .unwrap();
        file.set_modified(ago(secs)).unwrap();
    }
    let status = |previous: &str, environment: &[(&str, &str)]| {
        bench.configure(&format!("url = \"http://127.0.0.1:1/\"\n{previous}"));
        let agent = bench.agent_with(environment);
        let mut status = serde_json::Value::Null;
        wait_until("the status", || {
            let config = bench.path("switchhook.toml");
            let output = run(&["status", "--json", "--config", config.to_str().unwrap()]);
            status = serde_json::from_slice(&output.stdout).unwrap_or_default();
            status["endpoints"].is_array()
        });
        let config = bench.path("switchhook.toml");
        let shown = text(&run(&["status", "--config", config.to_str().unwrap()]).stdout);
        assert_eq!(agent.stop(), 0);
        let rotation = status["endpoints"][0]["rotation"].clone();
        assert_eq!(
            shown.contains("two secrets in force since"),
            !rotation.is_null(),
            "{shown}"
        );
        (
            rotation["told_by"].as_str().map(str::to_string),
            rotation["age_secs"].as_u64(),
        )
    };
    assert_eq!(status("", &[]), (None, None));
    let (told_by, age) = status("previous_secret_file = \"previous\"", &[]);
    assert_eq!(told_by.as_deref(), Some("secret file"));
    assert!((3_600..4_000).contains(&age.unwrap()), "{age:?}");
    let (told_by, age) = status(
        "previous_secret = \"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\"",
        &[],
    );
    assert_eq!(told_by.as_deref(), Some("configuration file"));
    assert!(age.unwrap() < 100, "{age:?}");
    let variable = [("PREVIOUS", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")];
    let (told_by, age) = status("previous_secret_env = \"PREVIOUS\"", &variable);
    assert_eq!(
        told_by.as_deref(),
        Some("secret file"),
        "the current one has a file"
    );
    assert!((3_600..4_000).contains(&age.unwrap()), "{age:?}");
}

/// A format and a body of the operator's own, described by the configuration and delivered.
#[test]
fn the_schema_of_an_endpoint_is_that_of_its_own_body_and_of_formats_of_the_operator_s_own() {
    let bench = Bench::new();
    let standard = crate::support::receiver(receiver::Profile::Standard, &[], 0);
    let vobiz = crate::support::receiver(receiver::Profile::Vobiz, &[], 0);
    let config = format!(
        "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\n\n\
         [[source]]\nname = \"tickets\"\nformat = \"json-lines\"\nevent = \"ticket\"\nfiles = [\"{}/cdr/*.json\"]\nstart = \"beginning\"\npoll = \"200ms\"\n\
         columns = [{{ name = \"at\", type = \"time\", as = \"event_time\" }}, {{ name = \"id\" }}, {{ name = \"Sum\", type = \"money\" }}, {{ name = \"n\", type = \"integer\" }}]\n\n\
         [[endpoint]]\nname = \"standard\"\nevents = [\"ticket\"]\nmask = [\"Sum\"]\nomit = [\"n\"]\nsecret_file = \"secret\"\nurl = \"{}\"\n\n\
         [[endpoint]]\nname = \"own\"\nevents = [\"*\"]\nsecret_file = \"secret\"\nprofile = \"custom\"\nsignature = \"vobiz\"\nurl = \"{}\"\n\
         fields = {{ id = \"$id\", event = \"$type\", n = \"n\", gone = \"missing\", system = \"=vos\" }}\n",
        bench.dir.path().display(),
        standard.url(),
        vobiz.url()
    );
    fs::write(bench.path("switchhook.toml"), config).unwrap();
    let path = bench.path("switchhook.toml");
    let schema = |endpoint: &str, more: &[&str]| {
        let mut arguments = vec![
            "schema",
            "--endpoint",
            endpoint,
            "--config",
            path.to_str().unwrap(),
        ];
        arguments.extend(more);
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let (of_standard, of_own) = (
        schema("standard", &[]),
        schema("own", &["--event", "ticket"]),
    );
    assert!(
        of_standard.contains("\"Sum\"")
            && !of_standard.contains("\"n\"")
            && !of_standard.contains("anyOf"),
        "{of_standard}"
    );
    let arrivals = [standard.arrivals(), vobiz.arrivals()];
    fs::write(
        bench.path("cdr/a.json"),
        "{\"at\":\"2026-04-10T14:28:15Z\",\"id\":\"7\",\"Sum\":\"1.50\",\"n\":3}\n",
    )
    .unwrap();
    let agent = bench.agent();
    wait_until("both", || {
        standard.account().accepted == 1 && vobiz.account().accepted == 1
    });
    assert_eq!(agent.stop(), 0);
    let [standard, own] = arrivals.map(|arrivals| text(&arrivals.try_iter().next().unwrap().body));
    assert!(
        keys_fit(&standard, &of_standard),
        "{standard}\n{of_standard}"
    );
    // The operator's own id gives way to the event's.
    assert!(
        standard.contains("\"data\":{\"id\":\"evt_") && !standard.contains("\"id\":\"7\""),
        "{standard}"
    );
    assert!(keys_fit(&own, &of_own), "{own}\n{of_own}");
    assert!(
        own.contains("\"n\":3") && own.contains("\"gone\":null"),
        "{own}"
    );
}
