//! Every way an endpoint can sign is one that `receive` and `verify` understand: told by flags, or by the
//! endpoint of the agent's own configuration.

use crate::inspector::Inspector;
use crate::support::{Bench, PATIENCE, SECRET, row, run, switchhook, text, wait_until};
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// An endpoint, and what a receiver's developer who has no configuration says of it.
struct Case {
    name: &'static str,
    /// Keys of the endpoint beside name, events and address.
    keys: &'static str,
    flags: &'static [&'static str],
}

const TEMPLATE: &str = "{ header = \"X-Sign\", algorithm = \"hmac-sha512\", encoding = \"base64\", prefix = \"v=\", \
     signed = [\"id\", \"=|\", \"method\", \"=|\", \"url\", \"=|\", \"timestamp\", \"=|\", \"body\"], \
     timestamp_header = \"X-Time\", id_header = \"X-Id\" }";
const AGENT_ID: &str = "{ header = \"X-Sign\", start = \"at={timestamp};\", prefix = \"mac=\", signed = [\"id\", \"timestamp\", \"body\"] }";
const KEY_PAIR: &str = "{ header = \"X-Sign\", algorithm = \"ed25519\", encoding = \"base64\", signed = [\"timestamp\", \"=.\", \"body\"], timestamp_header = \"X-Time\" }";

const CASES: [Case; 19] = [
    Case {
        name: "standard",
        keys: "secret_file = \"secret\"",
        flags: &["--secret-file", "secret"],
    },
    Case {
        name: "standard-changing",
        keys: "secret_file = \"new\"\nprevious_secret_file = \"secret\"",
        flags: &["--secret-file", "secret"],
    },
    Case {
        name: "standard-ed25519",
        keys: "secret_file = \"private\"",
        flags: &["--secret-file", "public"],
    },
    Case {
        name: "standard-from-secret-to-ed25519",
        keys: "secret_file = \"private\"\nprevious_secret_file = \"secret\"",
        flags: &["--secret-file", "both"],
    },
    Case {
        name: "cloudevents",
        keys: "profile = \"cloudevents\"\nsecret_file = \"secret\"",
        flags: &["--profile", "cloudevents", "--secret-file", "secret"],
    },
    Case {
        name: "vos3000",
        keys: "profile = \"vos3000\"\nsecret_file = \"secret\"",
        flags: &["--profile", "vos3000", "--secret-file", "secret"],
    },
    Case {
        name: "vobiz",
        keys: "profile = \"vobiz\"\nsecret_file = \"secret\"",
        flags: &["--profile", "vobiz", "--secret-file", "secret"],
    },
    Case {
        name: "vobiz-form",
        keys: "profile = \"vobiz\"\nsecret_file = \"secret\"\ncontent = \"form\"",
        flags: &["--profile", "vobiz", "--secret-file", "secret"],
    },
    Case {
        name: "vobiz-get",
        keys: "profile = \"vobiz\"\nsecret_file = \"secret\"\nmethod = \"GET\"",
        flags: &["--profile", "vobiz", "--secret-file", "secret"],
    },
    Case {
        name: "vobiz-voice",
        keys: "profile = \"vobiz-voice\"\nsecret_file = \"secret\"",
        flags: &["--profile", "vobiz-voice", "--secret-file", "secret"],
    },
    Case {
        name: "voipbin",
        keys: "profile = \"voipbin\"\nsecret_file = \"secret\"",
        flags: &["--profile", "voipbin", "--secret-file", "secret"],
    },
    Case {
        name: "stripe",
        keys: "signature = \"stripe\"\nsecret_file = \"secret\"",
        flags: &["--scheme", "stripe", "--secret-file", "secret"],
    },
    Case {
        name: "stripe-changing",
        keys: "signature = \"stripe\"\nsecret_file = \"new\"\nprevious_secret_file = \"secret\"",
        flags: &["--scheme", "stripe", "--secret-file", "new_and_old"],
    },
    Case {
        name: "github",
        keys: "profile = \"vos3000\"\nsignature = \"github\"\nsecret_file = \"secret\"",
        flags: &[
            "--profile",
            "vos3000",
            "--scheme",
            "github",
            "--secret-file",
            "secret",
        ],
    },
    Case {
        name: "template",
        keys: "signature = TEMPLATE\nsecret_file = \"secret\"\nmethod = \"PUT\"",
        flags: &["--scheme", TEMPLATE, "--secret-file", "secret"],
    },
    Case {
        name: "template-agent-id",
        keys: "signature = AGENT_ID\nsecret_file = \"secret\"",
        flags: &["--scheme", AGENT_ID, "--secret-file", "secret"],
    },
    Case {
        name: "template-ed25519",
        keys: "signature = KEY_PAIR\nsecret_file = \"private\"",
        flags: &["--scheme", KEY_PAIR, "--secret-file", "public"],
    },
    Case {
        name: "own-fields",
        keys: "profile = \"custom\"\nsignature = \"github\"\nsecret_file = \"secret\"\nfields = { call = \"call_id\", from = \"caller_id\" }",
        flags: &[
            "--profile",
            "custom",
            "--scheme",
            "github",
            "--secret-file",
            "secret",
        ],
    },
    Case {
        name: "unsigned",
        keys: "signature = \"none\"",
        flags: &["--scheme", "none"],
    },
];

/// `verify` in the bench's directory: its exit code and all it says.
fn verify(bench: &Bench, arguments: &[&str]) -> (Option<i32>, String) {
    let output = switchhook()
        .arg("verify")
        .args(arguments)
        .current_dir(bench.dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code(),
        text(&output.stdout) + &text(&output.stderr),
    )
}

/// A request of the spool as it goes over the wire again, to `/webhook`.
struct Spooled {
    method: String,
    target: String,
    headers: String,
    body: String,
}

fn spooled(line: &str) -> Spooled {
    let line: Value = serde_json::from_str(line).unwrap();
    let word = |key: &str, default: &str| line[key].as_str().unwrap_or(default).to_string();
    let mut headers = String::new();
    for header in line["headers"].as_array().unwrap() {
        let name = header[0].as_str().unwrap();
        if !["host", "content-length", "connection"].contains(&name) {
            write!(headers, "{name}: {}\r\n", header[1].as_str().unwrap()).unwrap();
        }
    }
    Spooled {
        method: word("method", "POST"),
        target: word("target", "/webhook"),
        headers,
        body: line["body"].as_str().unwrap().to_string(),
    }
}

/// `text` with one byte changed that leaves it valid JSON, or an address.
fn changed(text: &str) -> String {
    let at = text.rfind("12025550117").unwrap();
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = b'2';
    String::from_utf8(bytes).unwrap()
}

fn changed_if(text: &str, is_to_change: bool) -> String {
    match is_to_change {
        true => changed(text),
        false => text.to_string(),
    }
}

fn prepare(bench: &Bench) {
    // A copy has the mode that a secret has to have.
    fs::copy(bench.path("secret"), bench.path("new")).unwrap();
    fs::write(
        bench.path("new"),
        "whsec_bmV3ZXIta2V5LW9mLXRoZS1lbmRwb2ludA==\n",
    )
    .unwrap();
    let both = format!("whsec_bmV3ZXIta2V5LW9mLXRoZS1lbmRwb2ludA==\n{SECRET}\n");
    fs::write(bench.path("new_and_old"), both).unwrap();
    let private = bench.path("private");
    let private = private.to_str().unwrap();
    let made = run(&["secret", "generate", "--ed25519", "--output", private]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let shown = text(&run(&["secret", "public", private]).stdout);
    assert!(shown.starts_with("whpk_"), "{shown}");
    assert!(text(&made.stdout).contains(shown.trim()), "{made:?}");
    fs::write(bench.path("public"), &shown).unwrap();
    fs::write(bench.path("both"), format!("{shown}{SECRET}\n")).unwrap();
}

#[test]
fn whatever_an_endpoint_can_send_is_verified_and_a_changed_byte_is_seen() {
    let bench = Bench::new();
    prepare(&bench);
    bench.configure("url = \"http://127.0.0.1:1/\"");
    let config = fs::read_to_string(bench.path("switchhook.toml")).unwrap();
    let mut config = config.split("[[endpoint]]").next().unwrap().to_string();
    let mut receivers = Vec::new();
    for case in &CASES {
        let spool = format!("{}.jsonl", case.name);
        let own = ["--listen", "127.0.0.1:0", "--spool", &spool];
        let receiver = Inspector::launch(&bench, &[&own, case.flags].concat());
        let keys = case
            .keys
            .replace("TEMPLATE", TEMPLATE)
            .replace("AGENT_ID", AGENT_ID)
            .replace("KEY_PAIR", KEY_PAIR);
        write!(
            config,
            "[[endpoint]]\nname = \"{}\"\nevents = [\"cdr\"]\nurl = \"{}\"\n{keys}\n\n",
            case.name,
            receiver.url()
        )
        .unwrap();
        receivers.push((case, receiver));
    }
    fs::write(bench.path("switchhook.toml"), config).unwrap();
    fs::write(bench.path("cdr/cdr_1.csv"), row(1) + &row(2)).unwrap();
    let agent = bench.agent();
    let is_told = |line: &&String| line.contains("signature ok") || line.contains("not signed");
    let missing = || {
        let mut lines = receivers
            .iter()
            .map(|(case, receiver)| (case.name, receiver.lines()));
        lines.find(|(_, lines)| lines.iter().filter(is_told).count() < 2)
    };
    let began = Instant::now();
    while let Some(missing) = missing() {
        assert!(began.elapsed() < PATIENCE, "{missing:?}: {}", agent.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    wait_until("the agent to know it", || bench.is_drained());
    assert_eq!(
        agent.stop(),
        0,
        "{}",
        fs::read_to_string(bench.path("agent.log")).unwrap()
    );
    for (case, receiver) in receivers {
        let by_endpoint = ["--endpoint", case.name, "--config", "switchhook.toml"];
        let spool = format!("{}.jsonl", case.name);
        let lines = fs::read_to_string(bench.path(&spool)).unwrap();
        assert_eq!(lines.lines().count(), 2, "{}", case.name);
        let request = spooled(lines.lines().next().unwrap());
        fs::write(bench.path("altered.jsonl"), changed(&lines)).unwrap();
        let is_signed = case.name != "unsigned";
        for known in [case.flags, &by_endpoint] {
            if !is_signed {
                let (code, said) = verify(&bench, &[known, &["--request", &spool]].concat());
                assert_eq!(code, Some(64), "{said}");
                assert!(said.contains("does not sign"), "{said}");
                continue;
            }
            let (code, said) = verify(
                &bench,
                &[known, &["--request", &spool, "--explain"]].concat(),
            );
            assert_eq!(code, Some(0), "{}: {said}", case.name);
            assert_eq!(
                said.matches("signature ok").count(),
                2,
                "{}: {said}",
                case.name
            );
            let (code, said) = verify(&bench, &[known, &["--request", "altered.jsonl"]].concat());
            assert_eq!(code, Some(65), "{}: {said}", case.name);
            assert!(
                said.contains(
                    "other callbacks with this secret were right, so this one was changed"
                ),
                "{}: {said}",
                case.name
            );
            assert!(!said.contains(SECRET), "{said}");
        }
        // Another receiver that has it all from the agent's configuration; a request that comes again.
        let again = Inspector::launch(
            &bench,
            &[&["--listen", "127.0.0.1:0"][..], &by_endpoint].concat(),
        );
        for receiver in [&receiver, &again] {
            let said = receiver.line("signatures expected: ");
            assert_eq!(said.contains("does not sign"), !is_signed, "{said}");
            let send = |target: &str, body: &str| {
                let method = request.method.as_str();
                let body = if method == "GET" { "" } else { body };
                receiver.ask(method, target, &request.headers, body).0
            };
            let (target, body) = (request.target.as_str(), request.body.as_str());
            // These sign the address, which one that is told nothing takes from the Host of the
            // request; that names another port here.
            let is_over_address = case.name == "template" || request.method == "GET";
            let knows_address = receiver.port == again.port;
            let expected = if is_over_address && !knows_address {
                401
            } else {
                200
            };
            assert_eq!(
                send(target, body),
                expected,
                "{}: {:?}",
                case.name,
                receiver.lines()
            );
            let refused = send(&changed_if(target, request.method == "GET"), &changed(body));
            assert_eq!(refused == 401, is_signed, "{}", case.name);
            if is_signed {
                receiver.line("other callbacks with this secret were right");
            }
        }
        let said = receiver.stop().join("\n");
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn a_developer_who_expects_another_scheme_is_told_which_one_came() {
    let bench = Bench::new();
    prepare(&bench);
    fs::write(bench.path("body"), "{}").unwrap();
    let said = |arguments: &[&str]| {
        let (code, said) = verify(&bench, &[arguments, &["--body-file", "body"]].concat());
        assert_eq!(code, Some(65), "{said}");
        said
    };
    let stripe = "Stripe-Signature: t=1614265330,v1=6044b0958d24defa1be781e917b4bb18660e13138990f4a80836282416a78959";
    let shown = said(&["--secret-file", "secret", "-H", stripe]);
    assert!(shown.contains("webhook-id is missing, but Stripe-Signature is there: this looks signed as scheme stripe; say --scheme stripe"), "{shown}");
    let shown = said(&["--secret-file", "secret", "-H", "X-Acme-Signature: 00"]);
    assert!(
        shown.contains("x-acme-signature is there")
            && shown.contains("--scheme '{ header = \"x-acme-signature\" }'"),
        "{shown}"
    );
    let shown = said(&[
        "--secret-file",
        "secret",
        "--scheme",
        "stripe",
        "-H",
        "Stripe-Signature: v1=00",
    ]);
    assert!(
        shown.contains("has to begin with \"t={timestamp},\""),
        "{shown}"
    );
    let signed = |signature: &str| {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        [
            "webhook-id: a".to_string(),
            format!("webhook-timestamp: {now}"),
            format!("webhook-signature: {signature}"),
        ]
    };
    let [id, time, public] = signed(&format!("v1a,{}==", "A".repeat(86)));
    let shown = said(&[
        "--secret-file",
        "secret",
        "-H",
        &id,
        "-H",
        &time,
        "-H",
        &public,
    ]);
    assert!(
        shown.contains("signs with an Ed25519 key (v1a)") && shown.contains("whpk_"),
        "{shown}"
    );
    let [id, time, secret] = signed(&format!("v1,{}=", "A".repeat(43)));
    let shown = said(&[
        "--secret-file",
        "public",
        "-H",
        &id,
        "-H",
        &time,
        "-H",
        &secret,
    ]);
    assert!(shown.contains("signs with a secret (v1)"), "{shown}");
    let shown = said(&[
        "--secret-file",
        "both",
        "-H",
        &id,
        "-H",
        &time,
        "-H",
        &secret,
    ]);
    assert!(shown.contains("wrong secret, or body altered"), "{shown}");
}

#[test]
fn a_receiver_that_is_in_no_configuration_is_sent_a_signed_event() {
    let bench = Bench::new();
    for (flags, kind) in [
        (&["--profile", "vos3000"][..], "cdr"),
        (&["--scheme", "stripe"], "cdr"),
        (&["--scheme", TEMPLATE], "alarm"),
    ] {
        let secret = bench.path("secret");
        let secret = ["--secret-file", secret.to_str().unwrap()];
        let listen = ["--listen", "127.0.0.1:0"];
        let receiver = Inspector::launch(&bench, &[&listen[..], &secret, flags].concat());
        let url = receiver.url();
        let sent = ["test", "--url", &url, "--event", kind];
        let output = run(&[&sent[..], &secret, flags].concat());
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{shown}");
        assert!(
            shown.contains("verdict  delivered") && !shown.contains(SECRET),
            "{shown}"
        );
        receiver.line(&format!("signature ok {kind}"));
    }
    let url = ["test", "--url", "http://127.0.0.1:1/webhook"];
    for (flags, code, word) in [
        (&[][..], 64, "give --secret-file FILE, or --scheme none"),
        (&["--secret-file", "nowhere"], 64, "nowhere"),
        (
            &["--scheme", "none", "--profile", "vos"],
            64,
            "no such profile",
        ),
        (&["--scheme", "none"], 69, "refused"),
        (&["--scheme", "none", "billing"], 64, "cannot be used with"),
    ] {
        let output = run(&[&url[..], flags].concat());
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {shown}");
        assert!(shown.contains(word), "{flags:?}: {shown}");
    }
}

#[test]
fn what_cannot_be_judged_by_is_refused_with_what_to_give_instead() {
    let bench = Bench::new();
    prepare(&bench);
    fs::write(bench.path("body"), "{}").unwrap();
    fs::write(bench.path("empty"), "\n").unwrap();
    bench.configure("url = \"http://127.0.0.1:1/\"");
    for (arguments, word) in [
        (&[][..], "give --secret-file FILE, or --endpoint NAME"),
        (&["--secret-file", "empty"], "empty is empty"),
        (
            &["--profile", "custom", "--secret-file", "secret"],
            "say which with --scheme",
        ),
        (
            &["--profile", "stripe", "--secret-file", "secret"],
            "say --scheme stripe",
        ),
        (
            &["--scheme", "strip", "--secret-file", "secret"],
            "no scheme is called",
        ),
        (
            &["--scheme", "none", "--secret-file", "secret"],
            "keep one of",
        ),
        (
            &["--scheme", KEY_PAIR, "--secret-file", "secret"],
            "no Ed25519 key",
        ),
        (
            &[
                "--scheme",
                "{ header = \"X\", signed = [\"timestamp\", \"body\"] }",
                "--secret-file",
                "secret",
            ],
            "no header tells it",
        ),
        (
            &["--endpoint", "crm", "--config", "switchhook.toml"],
            "there are: billing",
        ),
        (
            &["--endpoint", "crm", "--secret-file", "secret"],
            "cannot be used with",
        ),
        (&["--config", "switchhook.toml"], "--endpoint"),
    ] {
        let (code, said) = verify(&bench, &[arguments, &["--body-file", "body"]].concat());
        assert_eq!(code, Some(64), "{arguments:?}: {said}");
        assert!(said.contains(word), "{arguments:?}: {said}");
        assert!(!said.contains(SECRET), "{said}");
    }
    let (code, said) = verify(
        &bench,
        &[
            "--endpoint",
            "billing",
            "--config",
            "missing.toml",
            "--body-file",
            "body",
        ],
    );
    assert_eq!(code, Some(78), "{said}");
}
