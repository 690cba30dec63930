//! Which events an endpoint gets, and what it is told of them, as an operator writes it.

use super::tests::{check, load};
use crate::delivery::route::{Level, MirrorEnd, Mode};
use std::time::Duration;

const SOURCE: &str = "[[source]]\nname = \"cdr\"\nformat = \"asterisk-cdr\"\nfiles = [\"/var/log/asterisk/Master.csv\"]\ntimezone = \"UTC\"\nstart = \"now\"\n";

/// A configuration with an endpoint for everything, and one of `keys`.
fn with(keys: &str) -> String {
    let endpoint = |name: &str, keys: &str| {
        format!(
            "[[endpoint]]\nname = \"{name}\"\nurl = \"https://api.example.com/\"\nsecret_file = \"billing.secret\"\nprofile = \"vos3000\"\n{keys}\n"
        )
    };
    let all = endpoint("all", "events = [\"*\"]");
    format!("{SOURCE}\n{all}\n{}", endpoint("special", keys))
}

#[track_caller]
fn one(keys: &str, expected: &str) {
    check(&with(keys), &[expected]);
}

#[test]
fn routes_are_read_and_shown_as_they_would_be_written() {
    let keys = "events = [\"cdr\"]\nlevel = \"account\"\nmatches = [\"B\", \"A\", \"B\"]\nwhere = { connected = true }\nsample_percent = 12.5\nmask = [\"caller_id\", \"extra.clid\"]\nomit = [\"cost\"]";
    let config = load(&with(keys)).unwrap();
    let endpoint = &config.endpoints[1].endpoint;
    let route = &endpoint.route;
    assert_eq!(route.level, Level::Account);
    assert_eq!(route.matches, ["A".into(), "B".into()]);
    assert_eq!(route.sample.unwrap().hundredths(), 1_250);
    assert_eq!(config.routing, Mode::Override);
    let shown = config.show();
    for line in [
        "level = \"account\"",
        "matches = [\"A\", \"B\"]",
        "sample_percent = 12.5",
        "mask = [\"caller_id\", \"extra.clid\"]",
        "omit = [\"cost\"]",
        "level = \"default\"",
        "mode = \"override\"",
        "connected = true",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
    let all = format!("[routing]\nmode = \"all\"\n\n{}", with(keys));
    assert_eq!(load(&all).unwrap().routing, Mode::All);
    let neither = format!("[routing]\nmode = \"some\"\n\n{}", with(keys));
    check(&neither, &["mode: \"some\" is not known"]);
}

#[test]
fn the_example_in_the_documents_can_be_used_as_it_is() {
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/endpoints.md")).unwrap();
    let (_, section) = document.split_once("## Who gets which event").unwrap();
    let (_, example) = section.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let example: String = example
        .lines()
        .map(|line| match line.starts_with("secret_file") {
            true => "secret_file = \"billing.secret\"\nprofile = \"vos3000\"\n".to_owned(),
            false => format!("{line}\n"),
        })
        .collect();
    let config = load(&format!("{SOURCE}\n{example}")).unwrap();
    let routes = config.endpoints.iter().map(|it| &it.endpoint.route);
    let levels: Vec<Level> = routes.map(|route| route.level).collect();
    assert_eq!(levels, [Level::Account, Level::Default, Level::Default]);
}

#[test]
fn levels_have_names_and_the_default_has_none() {
    one(
        "events = [\"cdr\"]\nlevel = \"account\"",
        "matches: missing; write matches = [\"CLIENT001\"]",
    );
    one(
        "events = [\"cdr\"]\nmatches = [\"A\"]",
        "matches: the default level has no names",
    );
    one(
        "events = [\"cdr\"]\nlevel = \"account\"\nmatches = []",
        "matches: 0 names",
    );
    one(
        "events = [\"cdr\"]\nlevel = \"account\"\nmatches = [\"A*\"]",
        "matches: \"A*\": names are compared whole",
    );
    one(
        "events = [\"cdr\"]\nlevel = \"planet\"",
        "level: \"planet\" is not known; write \"call\" or",
    );
    // Neither does a source of this format know of gateways.
    one(
        "events = [\"cdr\"]\nlevel = \"trunk\"\nmatches = [\"A\"]",
        "level: no source has a column of a gateway",
    );
}

#[test]
fn a_tag_is_a_name_on_a_list_in_a_column_that_means_nothing_else() {
    let call = "events = [\"cdr\"]\nlevel = \"call\"\nmatches = [\"gold\"]";
    one(
        call,
        "level: no source says which column carries the tag; write route_tag",
    );
    let tagged = |column: &str| {
        let text = with(call);
        text.replace(
            "start = \"now\"",
            &format!("start = \"now\"\nroute_tag = \"{column}\""),
        )
    };
    let config = load(&tagged("userfield")).unwrap();
    assert!(config.show().contains("route_tag = \"userfield\""));
    check(
        &tagged("accountcode"),
        &[
            "route_tag: \"accountcode\" is no column of this format, or means something already; write one of amaflags, channel",
        ],
    );
    let url = tagged("userfield").replace("\"gold\"", "\"https://evil.example/\"");
    check(
        &url,
        &["matches: \"https://evil.example/\": a tag is the name of a route, never an address"],
    );
}

#[test]
fn what_only_a_level_takes_that_the_source_cannot_tell_is_said() {
    let text = with("events = [\"cdr\"]\nlevel = \"call\"\nmatches = [\"gold\"]");
    let text = text.replace("events = [\"*\"]", "events = [\"switchhook.source_gap\"]");
    check(
        &text,
        &[
            "the \"cdr\" events of source \"cdr\" carry nothing at the level of the endpoints that want them; add an endpoint of level = \"default\"",
            "level: no source says",
        ],
    );
}

#[test]
fn conditions_on_what_a_switch_posts_are_held_against_its_pages() {
    let pushed = |keys: &str| {
        let source = "[[source]]\nname = \"push\"\nhttp = { listen = \"127.0.0.1:8731\" }\nformat = \"vos3000-push\"\n";
        with(keys).replace(SOURCE, source)
    };
    for (keys, expected) in [
        (
            "events = [\"alarm\"]\nwhere = { level = \">=2\" }",
            "where: level: \">=2\" is never there, for 0 to 3 are told as normal",
        ),
        (
            "events = [\"alarm\", \"phone\"]\nwhere = { alarm_tpye = 20007 }",
            "where: no event of this endpoint has \"alarm_tpye\"; did you mean alarm_type?",
        ),
        (
            "events = [\"call\"]\nwhere = { state = \"talking\" }",
            "where: state: \"talking\" is never there; write one of [\"ringing\"",
        ),
        (
            "events = [\"phone\"]\nmask = [\"phone\"]",
            "mask: no event of this endpoint has \"phone\"",
        ),
    ] {
        check(&pushed(keys), &[expected]);
    }
    for keys in [
        "events = [\"alarm\", \"balance_alert\"]\nwhere = { level = [\"major\", \"\"], alert_type = [\"low_balance\", \"\"] }",
        "events = [\"call\"]\nwhere = { state = \"hangup\" }\nomit = [\"callee_ip\"]",
        "events = [\"*\"]\nwhere = { current_balance = \">=0\" }",
    ] {
        load(&pushed(keys)).unwrap();
    }
}

#[test]
fn a_slip_in_a_field_s_name_is_seen_where_the_fields_are_known() {
    let cdr = "events = [\"cdr\"]\n";
    one(
        &format!("{cdr}mask = [\"calller_id\"]"),
        "mask: no event of this endpoint has \"calller_id\"; did you mean caller_id?",
    );
    one(
        &format!("{cdr}omit = [\"secret_thing\"]"),
        "omit: no event of this endpoint has \"secret_thing\"; write one of account_id",
    );
    one(
        &format!("{cdr}where = {{ conected = true }}"),
        "where: no event of this endpoint has \"conected\"; did you mean connected?",
    );
    one(
        &format!("{cdr}where = {{ duration = [] }}"),
        "where: duration: the list is empty",
    );
    let vobiz = with(&format!("{cdr}omit = [\"connected\"]"));
    let (first, second) = vobiz.split_at(vobiz.find("\"special\"").unwrap());
    let vobiz = format!("{first}{}", second.replace("vos3000", "vobiz"));
    check(
        &vobiz,
        &["omit: \"connected\": this profile names its events by it"],
    );
    // What the agent tells by itself has fields of its own.
    load(&with("events = [\"*\"]\nwhere = { source = \"!=cdr\" }")).unwrap();
}

#[test]
fn a_share_is_more_than_nothing_and_no_more_than_all() {
    for share in ["0", "101", "-1", "0.001", "\"half\"", "33.333"] {
        one(
            &format!("events = [\"cdr\"]\nsample_percent = {share}"),
            "is no share of events; write 0.01 to 100",
        );
    }
    for (share, hundredths) in [("100", 10_000), ("0.01", 1), ("33.33", 3_333)] {
        let config = load(&with(&format!(
            "events = [\"cdr\"]\nsample_percent = {share}"
        )));
        let sample = config.unwrap().endpoints[1].endpoint.route.sample.unwrap();
        assert_eq!(sample.hundredths(), hundredths);
    }
}

#[test]
fn a_mirror_has_an_end_that_is_near_and_another_endpoint() {
    let config = load(&with("mirror = \"all\"\nmirror_for = \"24h\"")).unwrap();
    let mirror = config.endpoints[1].endpoint.route.mirror.clone().unwrap();
    let day = MirrorEnd::After(Duration::from_secs(86_400));
    assert_eq!((&*mirror.of, mirror.end), ("all", day));
    assert!(config.show().contains("mirror_for = \"1d\""));
    // One that is over is no reason not to start.
    load(&with(
        "mirror = \"all\"\nmirror_until = \"2020-01-01T00:00:00Z\"",
    ))
    .unwrap();
    one(
        "mirror = \"all\"",
        "mirror: a mirror has an end; write mirror_for",
    );
    one(
        "mirror = \"all\"\nmirror_for = \"8d\"",
        "mirror_for: 8d is out of range; write 1s to 7d",
    );
    one(
        "mirror = \"all\"\nmirror_until = \"2999-01-01T00:00:00Z\"",
        "mirror_until: 2999-01-01T00:00:00Z is more than 7d away",
    );
    one(
        "mirror = \"all\"\nmirror_until = \"tomorrow\"",
        "mirror_until: \"tomorrow\" is no time with a zone",
    );
    one(
        "mirror = \"al\"\nmirror_for = \"1h\"",
        "mirror: there is no endpoint \"al\"; did you mean all?",
    );
    one(
        "mirror = \"special\"\nmirror_for = \"1h\"",
        "mirror: an endpoint cannot mirror itself",
    );
    one(
        "events = [\"cdr\"]\nmirror_for = \"1h\"",
        "mirror_for: it goes with mirror",
    );
    one(
        "events = [\"cdr\"]\nmirror = \"all\"\nmirror_for = \"1h\"",
        "events: a mirror gets what the other endpoint gets; leave this out",
    );
}

#[test]
fn a_mirror_looks_like_the_other_one_and_hides_what_that_one_hides() {
    let text = with("mirror = \"all\"\nmirror_for = \"1h\"").replace(
        "events = [\"*\"]",
        "events = [\"*\"]\nprofile = \"vobiz\"\nmask = [\"caller_id\"]",
    );
    let text = text.replace("profile = \"vos3000\"\n", "");
    let config = load(&text).unwrap();
    let [all, special] = [0, 1].map(|at| &config.endpoints[at].endpoint);
    assert_eq!(special.profile, all.profile);
    assert_eq!(special.body, all.body);
    assert_eq!(special.redaction, all.redaction);
}
