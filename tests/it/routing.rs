//! Who gets which event, and what of it, on the built program.

use crate::support::{Bench, PATIENCE, receiver, row, run, switchhook, text, wait_until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};
use switchhook::receiver::{Arrival, Profile, Receiver};

/// Rows of real Asterisk columns: application `from-trunk`.
const ASTERISK: &str = include_str!("../fixtures/asterisk/cdr-csv/Master-18col.csv");

/// An endpoint's table.
fn endpoint(name: &str, receiver: &Receiver, keys: &str) -> String {
    format!(
        "\n[[endpoint]]\nname = \"{name}\"\nurl = \"{}\"\nsecret_file = \"secret\"\nprobe_max = \"200ms\"\n{keys}\n",
        receiver.url()
    )
}

/// Writes a configuration: VOS3000 rows, whose product is the route tag, and Asterisk rows.
fn configure(bench: &Bench, top: &str, endpoints: &str) {
    let dir = bench.dir.path().display();
    let config = format!(
        "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\n{top}\n\
         [[source]]\nname = \"vos\"\nformat = \"vos3000-csv\"\nfiles = [\"{dir}/cdr/vos*.csv\"]\nroute_tag = \"callerproductid\"\n\
         start = \"beginning\"\npoll = \"100ms\"\n\n\
         [[source]]\nname = \"asterisk\"\nformat = \"asterisk-cdr\"\nfiles = [\"{dir}/cdr/asterisk*.csv\"]\ntimezone = \"UTC\"\n\
         start = \"beginning\"\npoll = \"100ms\"\n{endpoints}"
    );
    fs::write(bench.path("switchhook.toml"), config).unwrap();
}

/// A row with this tag, callee gateway and account.
fn labelled(flowno: u64, tag: &str, gateway: &str, account: &str) -> String {
    row(flowno)
        .replace("\"Asterisk PBX\"", &format!("\"{tag}\""))
        .replace("\"GW-OUT-UK-B\"", &format!("\"{gateway}\""))
        .replace("\"CLIENT002\"", &format!("\"{account}\""))
}

fn ask(bench: &Bench, arguments: &[&str]) -> Output {
    let path = bench.path("switchhook.toml");
    run(&[arguments, &["--config", path.to_str().unwrap()]].concat())
}

fn reload(bench: &Bench) {
    let reloaded = ask(bench, &["reload"]);
    assert_eq!(reloaded.status.code(), Some(0), "{reloaded:?}");
}

/// The next `count` arrivals, all with good signatures.
#[track_caller]
fn take(arrivals: &std::sync::mpsc::Receiver<Arrival>, count: usize) -> Vec<Value> {
    let next = || {
        let arrival = arrivals.recv_timeout(PATIENCE).unwrap();
        assert_eq!(arrival.signature, Ok(()));
        serde_json::from_slice(&arrival.body).unwrap()
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// The ids that `routes try` says go to `endpoint`, of all rows of a file.
fn tried(bench: &Bench, file: &Path, source: &str, endpoint: &str) -> BTreeSet<String> {
    let file = file.to_str().unwrap();
    let output = ask(
        bench,
        &[
            "routes", "try", "--json", "--source", source, "--file", file,
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut ids = BTreeSet::new();
    for line in text(&output.stdout).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let endpoints = line["endpoints"].as_array().unwrap();
        if endpoints
            .iter()
            .any(|it| it["endpoint"] == endpoint && it["gets"] == true)
        {
            ids.insert(line["event"]["id"].as_str().unwrap().to_owned());
        }
    }
    ids
}

/// The ids of standard bodies.
fn ids(bodies: &[Value]) -> BTreeSet<String> {
    let id = |body: &Value| body["data"]["id"].as_str().unwrap().to_owned();
    bodies.iter().map(id).collect()
}

#[test]
fn each_event_goes_to_the_endpoints_of_its_most_specific_level_or_to_all() {
    let rows = [
        labelled(1, "gold", "GW-OUT-1", "ACME"),
        labelled(2, "https://evil.example/", "GW-OUT-1", "ACME"),
        labelled(3, "", "GW-OUT-2", "ACME"),
        labelled(4, "", "GW-OUT-2", "OTHER"),
        labelled(5, "silver", "GW-OUT-1", "OTHER"),
    ];
    let of_asterisk = ASTERISK.lines().count();
    let from_trunk = ASTERISK.matches("\"from-trunk\"").count();
    assert_eq!((of_asterisk, from_trunk), (5, 4));
    for mode in ["override", "all"] {
        let bench = Bench::new();
        let receivers: Vec<Receiver> = (0..5)
            .map(|_| receiver(Profile::Standard, &[], 0))
            .collect();
        let names = ["tagged", "context", "trunk", "acme", "rest"];
        let keys = [
            "events = [\"cdr\"]\nlevel = \"call\"\nmatches = [\"gold\", \"platinum\"]",
            "events = [\"cdr\"]\nlevel = \"application\"\nmatches = [\"from-trunk\"]",
            "events = [\"cdr\"]\nlevel = \"trunk\"\nmatches = [\"GW-OUT-1\"]",
            "events = [\"cdr\"]\nlevel = \"account\"\nmatches = [\"ACME\"]",
            "events = [\"*\"]",
        ];
        let tables = names.iter().zip(&receivers).zip(keys);
        let endpoints: String = tables
            .map(|((name, receiver), keys)| endpoint(name, receiver, keys))
            .collect();
        configure(
            &bench,
            &format!("[routing]\nmode = \"{mode}\"\n"),
            &endpoints,
        );
        let vos = bench.path("cdr/vos_1.csv");
        fs::write(&vos, rows.concat()).unwrap();
        let asterisk = bench.path("cdr/asterisk.csv");
        fs::write(&asterisk, ASTERISK).unwrap();
        let expected = match mode {
            "override" => [1, from_trunk, 2, 1, 2],
            _ => [1, from_trunk, 3, 3, 5 + of_asterisk],
        };
        let arrivals: Vec<_> = receivers.iter().map(Receiver::arrivals).collect();
        let agent = bench.agent();
        for ((name, arrivals), count) in names.iter().zip(&arrivals).zip(expected) {
            let got = ids(&take(arrivals, count));
            let mut said = tried(&bench, &vos, "vos", name);
            said.extend(tried(&bench, &asterisk, "asterisk", name));
            assert_eq!(got, said, "{name} with mode {mode}");
        }
        wait_until("the queue to be empty", || bench.is_drained());
        assert_eq!(agent.stop(), 0);
        let ledger = bench.ledger();
        assert!(ledger.balances());
        let all = (rows.len() + of_asterisk) as u64;
        for (name, count) in names.iter().zip(expected) {
            let totals = ledger.endpoint(name).unwrap();
            let counted = (totals.delivered, totals.skipped);
            assert_eq!(counted, (count as u64, all - count as u64), "{name}");
        }
    }
}

#[test]
fn what_is_hidden_is_hidden_in_what_was_signed() {
    let bench = Bench::new();
    let (plain, hidden) = (
        receiver(Profile::Standard, &[], 0),
        receiver(Profile::Vobiz, &[], 0),
    );
    let arrivals = [plain.arrivals(), hidden.arrivals()];
    let endpoints = endpoint("plain", &plain, "events = [\"cdr\"]")
        + &endpoint(
            "hidden",
            &hidden,
            "events = [\"cdr\"]\nprofile = \"vobiz\"\nmask = [\"caller_id\", \"called_id\", \"dialled_id\"]\nomit = [\"caller_ip\", \"cost\"]",
        );
    configure(&bench, "", &endpoints);
    fs::write(bench.path("cdr/vos_1.csv"), row(7)).unwrap();
    let agent = bench.agent();
    let [whole, masked] = arrivals
        .each_ref()
        .map(|arrivals| take(arrivals, 1).remove(0));
    assert_eq!(whole["data"]["caller_id"], "12025550117");
    assert_eq!(whole["data"]["caller_ip"], "192.0.2.12");
    assert_eq!([&masked["from"], &masked["to"]], ["…17", "…99"]);
    assert_eq!(masked["event"], "call.completed");
    assert!(masked.get("caller_ip").is_none() && masked.get("cost").is_none());
    assert!(!masked.to_string().contains("2025550117"), "{masked}");
    assert!(!masked.to_string().contains("7700900999"), "{masked}");
    assert_eq!(agent.stop(), 0);
    assert_eq!(hidden.account().bad_signatures, 0);
}

#[test]
fn what_is_sampled_or_does_not_fit_goes_where_it_was_said_to_and_what_nobody_takes_is_counted() {
    const ROWS: u64 = 200;
    let bench = Bench::new();
    let receivers: Vec<Receiver> = (0..3)
        .map(|_| receiver(Profile::Standard, &[], 0))
        .collect();
    let endpoints = endpoint(
        "half",
        &receivers[0],
        "events = [\"cdr\"]\nsample_percent = 50",
    ) + &endpoint(
        "same",
        &receivers[1],
        "events = [\"cdr\"]\nsample_percent = 50",
    ) + &endpoint(
        "short",
        &receivers[2],
        "events = [\"cdr\"]\nwhere = { call_id = \"1*\", connected = true }\nlevel = \"account\"\nmatches = [\"CLIENT002\"]",
    );
    configure(&bench, "[routing]\nmode = \"all\"\n", &endpoints);
    let file = bench.path("cdr/vos_1.csv");
    fs::write(&file, (0..ROWS).map(row).collect::<String>()).unwrap();
    let said = ["half", "same", "short"].map(|name| tried(&bench, &file, "vos", name));
    assert!((60..140).contains(&said[0].len()), "{}", said[0].len());
    assert_eq!(said[0], said[1]);
    assert_eq!(said[2].len(), 111);
    let arrivals: Vec<_> = receivers.iter().map(Receiver::arrivals).collect();
    let agent = bench.agent();
    for (arrivals, said) in arrivals.iter().zip(&said) {
        assert_eq!(ids(&take(arrivals, said.len())), *said);
    }
    wait_until("the queue to be empty", || bench.is_drained());
    let status = ask(&bench, &["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let taken = said[0].union(&said[2]).count() as u64;
    assert_eq!(status["unrouted"], ROWS - taken);
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    assert!(ledger.balances());
    let totals = ledger.endpoint("short").unwrap();
    assert_eq!((totals.delivered, totals.skipped), (111, ROWS - 111));
}

#[test]
fn a_mirror_gets_the_same_and_ends_by_itself_for_good() {
    let bench = Bench::new();
    let (billing, mirror) = (
        receiver(Profile::Standard, &[], 0),
        receiver(Profile::Standard, &[], 0),
    );
    let arrivals = [billing.arrivals(), mirror.arrivals()];
    let write = |span: &str| {
        let endpoints = endpoint(
            "billing",
            &billing,
            "events = [\"cdr\"]\nwhere = { duration = \">1\" }",
        ) + &endpoint(
            "look",
            &mirror,
            &format!("mirror = \"billing\"\nmirror_for = \"{span}\""),
        );
        configure(&bench, "", &endpoints);
    };
    write("1h");
    fs::write(
        bench.path("cdr/vos_1.csv"),
        (0..20).map(row).collect::<String>(),
    )
    .unwrap();
    let agent = bench.agent();
    let [told, mirrored] = arrivals.each_ref().map(|arrivals| ids(&take(arrivals, 20)));
    assert_eq!(told, mirrored);
    write("1s");
    reload(&bench);
    wait_until("the end of the mirror", || {
        agent
            .log()
            .contains("mirror over, nothing more is sent endpoint=look mirror=billing")
    });
    fs::write(
        bench.path("cdr/vos_2.csv"),
        (20..30).map(row).collect::<String>(),
    )
    .unwrap();
    take(&arrivals[0], 10);
    wait_until("the queue to be empty", || bench.is_drained());
    assert_eq!(agent.stop(), 0);
    // A restart does not begin it anew.
    fs::write(
        bench.path("cdr/vos_3.csv"),
        (30..40).map(row).collect::<String>(),
    )
    .unwrap();
    let agent = bench.agent();
    take(&arrivals[0], 10);
    wait_until("the queue to be empty", || bench.is_drained());
    assert_eq!(agent.stop(), 0);
    assert_eq!(
        (billing.account().distinct, mirror.account().distinct),
        (40, 20)
    );
    let ledger = bench.ledger();
    assert!(ledger.balances());
    let totals = ledger.endpoint("look").unwrap();
    assert_eq!((totals.delivered, totals.skipped, totals.dead), (20, 20, 0));
}

#[test]
fn a_mirror_that_is_down_costs_the_other_nothing_and_leaves_nothing_behind() {
    const ROWS: u64 = 6_000;
    let bench = Bench::new();
    let billing = receiver(Profile::Standard, &[], 0);
    let mut mirror = receiver(Profile::Standard, &[], 0);
    mirror.stop();
    let endpoints = endpoint("billing", &billing, "events = [\"cdr\"]")
        + &endpoint("look", &mirror, "mirror = \"billing\"\nmirror_for = \"1h\"");
    configure(&bench, "", &endpoints);
    fs::write(
        bench.path("cdr/vos_1.csv"),
        (0..ROWS).map(row).collect::<String>(),
    )
    .unwrap();
    let agent = bench.agent();
    wait_until("all to be told", || billing.account().distinct == ROWS);
    wait_until("the mirror to be passed by", || {
        agent
            .log()
            .contains("mirror fell behind, events passed it by endpoint=look")
    });
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    assert!(ledger.balances());
    let totals = ledger.endpoint("look").unwrap();
    assert!(
        totals.skipped > 0 && totals.queued <= 4_096 + 16,
        "{totals:?}"
    );
    assert_eq!((totals.delivered, totals.dead), (0, 0));
}

#[test]
fn a_new_route_takes_what_comes_and_loses_nothing_that_waited() {
    let bench = Bench::new();
    let mut rest = receiver(Profile::Standard, &[], 0);
    let acme = receiver(Profile::Standard, &[], 0);
    rest.stop();
    let general = endpoint("rest", &rest, "events = [\"cdr\"]");
    configure(&bench, "", &general);
    let rows = |from: u64, to: u64| {
        (from..to)
            .map(|n| labelled(n, "", "GW", "ACME"))
            .collect::<String>()
    };
    fs::write(bench.path("cdr/vos_1.csv"), rows(0, 10)).unwrap();
    let agent = bench.agent();
    wait_until("the outage to be seen", || {
        agent.log().contains("endpoint failing")
    });
    let special = endpoint(
        "acme",
        &acme,
        "events = [\"cdr\"]\nlevel = \"account\"\nmatches = [\"ACME\"]",
    );
    configure(&bench, "", &(general + &special));
    reload(&bench);
    fs::write(bench.path("cdr/vos_2.csv"), rows(10, 15)).unwrap();
    wait_until("the new route to be taken", || acme.account().distinct == 5);
    assert_eq!(agent.stop(), 0);
    // What waited before the route was there is still for the other, after a restart too.
    fs::write(bench.path("cdr/vos_3.csv"), rows(15, 20)).unwrap();
    rest.listen().unwrap();
    let agent = bench.agent();
    wait_until("all to be told", || {
        rest.account().distinct == 10 && acme.account().distinct == 10
    });
    wait_until("the queue to be empty", || bench.is_drained());
    assert_eq!(agent.stop(), 0);
    assert_eq!((rest.account().distinct, acme.account().distinct), (10, 10));
    assert_eq!(bench.ledger().endpoint("rest").unwrap().skipped, 10);
}

#[test]
fn a_change_of_routes_applies_to_what_was_not_tried_yet() {
    let bench = Bench::new();
    let mut rest = receiver(Profile::Standard, &[], 0);
    rest.stop();
    configure(&bench, "", &endpoint("rest", &rest, "events = [\"cdr\"]"));
    let rows: String = (0..200).map(row).collect();
    fs::write(bench.path("cdr/vos_1.csv"), rows).unwrap();
    let agent = bench.agent();
    wait_until("the outage to be seen", || {
        agent.log().contains("endpoint failing")
    });
    let fewer = "events = [\"cdr\"]\nwhere = { call_id = \"19*\" }";
    configure(&bench, "", &endpoint("rest", &rest, fewer));
    reload(&bench);
    rest.listen().unwrap();
    wait_until("the queue to be empty", || bench.is_drained());
    assert_eq!(agent.stop(), 0);
    let delivered = bench.ledger().endpoint("rest").unwrap().delivered;
    // 19 and 190 to 199, and what was under way or a probe when they were chosen.
    assert!((11..100).contains(&delivered), "{delivered}");
    assert_eq!(rest.account().distinct, delivered);
}

#[test]
fn the_mode_can_be_changed_while_the_agent_runs() {
    let bench = Bench::new();
    let (acme, rest) = (
        receiver(Profile::Standard, &[], 0),
        receiver(Profile::Standard, &[], 0),
    );
    let endpoints = endpoint(
        "acme",
        &acme,
        "events = [\"cdr\"]\nlevel = \"account\"\nmatches = [\"ACME\"]",
    ) + &endpoint("rest", &rest, "events = [\"cdr\"]");
    configure(&bench, "", &endpoints);
    let write = |name: &str, flowno| {
        fs::write(bench.path(name), labelled(flowno, "", "GW", "ACME")).unwrap();
    };
    write("cdr/vos_1.csv", 1);
    let agent = bench.agent();
    wait_until("the first event", || acme.account().distinct == 1);
    wait_until("the queue to be empty", || bench.is_drained());
    assert_eq!(rest.account().distinct, 0);
    configure(&bench, "[routing]\nmode = \"all\"\n", &endpoints);
    let reloaded = ask(&bench, &["reload"]);
    assert!(
        text(&reloaded.stdout).contains("routing changed"),
        "{reloaded:?}"
    );
    write("cdr/vos_2.csv", 2);
    wait_until("the second event", || {
        acme.account().distinct == 2 && rest.account().distinct == 1
    });
    assert_eq!(agent.stop(), 0);
}

#[test]
fn where_an_event_would_go_is_explained_endpoint_by_endpoint() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &[], 0);
    let endpoints = endpoint(
        "gold",
        &receiver,
        "events = [\"cdr\"]\nlevel = \"call\"\nmatches = [\"gold\"]",
    ) + &endpoint(
        "acme",
        &receiver,
        "events = [\"cdr\"]\nlevel = \"account\"\nmatches = [\"ACME\"]\nenabled = false",
    ) + &endpoint(
        "short",
        &receiver,
        "events = [\"cdr\"]\nwhere = { duration = \"<5\" }",
    ) + &endpoint("alarms", &receiver, "events = [\"switchhook.source_gap\"]")
        + &endpoint(
            "rest",
            &receiver,
            "events = [\"cdr\"]\nsample_percent = 0.01",
        )
        + &endpoint("look", &receiver, "mirror = \"acme\"\nmirror_for = \"1h\"")
        + &endpoint(
            "late",
            &receiver,
            "mirror = \"acme\"\nmirror_until = \"2020-01-01T00:00:00Z\"",
        );
    configure(&bench, "", &endpoints);
    let config = bench.path("switchhook.toml");
    let mut child = switchhook()
        .args([
            "routes", "try", "--source", "vos", "--file", "-", "--config",
        ])
        .arg(&config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let rows = labelled(1, "", "GW-OUT-2", "ACME")
        + "half a row\n"
        + labelled(2, "gold", "GW", "ACME").trim_end();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(rows.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(65), "{said}");
    let (first, rest) = said.split_once("line 2: ").unwrap();
    assert!(first.starts_with("line 1: cdr evt_"), "{first}");
    for line in [
        " gateway=\"GW-IN-CLIENT002\" callee_gateway=\"GW-OUT-2\" account=\"ACME\"",
        "→ acme                 account: \"ACME\" is among its names; it is not enabled, so the event waits for it",
        "→ look                 mirrors \"acme\": account: \"ACME\" is among its names",
        "  gold                 no: the event carries no route tag",
        "  short                no: where { duration = \"<5\" } does not hold",
        "  alarms               no: \"cdr\" is not among its events",
        "  rest                 no: the event is not in its sample",
        "  late                 mirrors \"acme\": no: the time of the mirror is over",
    ] {
        assert!(first.contains(line), "{line:?} is not in\n{first}");
    }
    let (misfit, second) = rest.split_once("line 3: ").unwrap();
    assert!(misfit.contains("fields"), "{misfit}");
    assert!(second.contains("→ gold"), "{second}");
    assert!(
        second.contains("  acme                 no: call is more specific than account, and an endpoint there takes it"),
        "{second}"
    );
    assert!(!said.contains("2025550117"), "{said}");

    let event = r#"{"type":"alarm","account":"ACME","data":{"level":"major"}}"#;
    let nowhere = ask(&bench, &["routes", "try", "--event", event]);
    assert_eq!(nowhere.status.code(), Some(0));
    assert!(text(&nowhere.stdout).contains("→ nowhere: it is counted as unrouted"));
    let wrong = ask(&bench, &["routes", "try", "--event", "{}"]);
    assert_eq!(wrong.status.code(), Some(64));
    let unknown = ask(&bench, &["routes", "try", "--file", "/etc/hosts"]);
    assert_eq!(unknown.status.code(), Some(64));
    assert!(text(&unknown.stderr).contains("write --source with one of vos, asterisk"));

    let listed = text(&ask(&bench, &["routes"]).stdout);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].contains("routing mode \"override\""), "{listed}");
    assert_eq!(
        lines[1],
        "call         gold                 matches gold; events cdr"
    );
    assert_eq!(
        lines[2],
        "account      acme                 matches ACME; events cdr; not enabled: its events wait"
    );
    assert!(listed.contains(
        "mirror       look                 all that \"acme\" gets, for 1h from its first start"
    ));
    assert!(
        listed.contains("of the types cdr events may go to no endpoint"),
        "{listed}"
    );
    let json = text(&ask(&bench, &["routes", "--json"]).stdout);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["endpoints"][1]["enabled"], false);
    assert_eq!(json["may_go_nowhere"][0], "cdr");
    assert_eq!(json["endpoints"][4]["sample_percent"], 0.01);
    let checked = text(&ask(&bench, &["check"]).stdout);
    assert!(
        checked.contains("of the types cdr events may go to no endpoint"),
        "{checked}"
    );
    let help = text(&run(&["routes", "try", "--help"]).stdout);
    assert!(
        help.contains("tail -n 1 cdr.csv | switchhook routes try"),
        "{help}"
    );
}

#[test]
fn a_body_is_made_in_one_place_so_that_nothing_hidden_is_told() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/delivery");
    let mut directories = vec![src];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let code = fs::read_to_string(&path).unwrap();
            let shipped = code.split("#[cfg(test)]").next().unwrap();
            let renders = shipped.contains("body.render(") || shipped.contains("profile.render(");
            let is_the_door = path.ends_with("delivery/endpoint.rs")
                || path.components().any(|part| part.as_os_str() == "profile");
            assert!(
                !renders || is_the_door,
                "{} makes a body past mask and omit",
                path.display()
            );
        }
    }
}

#[test]
fn a_document_that_keep_leaves_out_goes_nowhere() {
    let bench = Bench::new();
    let fixtures = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/freeswitch/json_cdr"
    );
    let file = format!("{fixtures}/5f6a1c3e-0001-4f11-9a01-000000000001.cdr.json");
    let ask_with = |keep: &str| {
        let config = format!(
            "node = \"n\"\nstate_dir = \"state\"\n[log]\nto = \"stderr\"\n[[source]]\nname = \"calls\"\nformat = \"freeswitch-json\"\n\
             directory = \"{}/cdr\"\nstart = \"beginning\"\n{keep}\n\
             [[endpoint]]\nname = \"all\"\nurl = \"https://example.com/\"\nevents = [\"cdr\"]\nsignature = \"none\"\n",
            bench.dir.path().display()
        );
        fs::write(bench.path("switchhook.toml"), config).unwrap();
        text(&ask(&bench, &["routes", "try", "--file", &file]).stdout)
    };
    let told = ask_with("");
    assert!(told.contains("evt_") && told.contains("all"), "{told}");
    let left_out = ask_with("keep = { account_id = \"nobody's\" }");
    assert!(left_out.contains("keep leaves it out"), "{left_out}");
    assert!(!left_out.contains("evt_"), "{left_out}");
}
