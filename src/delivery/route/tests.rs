//! The rule, by tables and against a naive reading of it; and lanes that each decide for themselves.

use super::*;
use crate::clock::Moment;
use crate::delivery::endpoint::{Endpoint, EventFilter};
use crate::delivery::event_queue::memory::MemoryQueue;
use crate::delivery::lane::{Lane, Turn};
use crate::delivery::outcome::Outcome;
use crate::delivery::profile::Profile;
use crate::delivery::url::Url;
use crate::event::{Event, Sequence};
use crate::queue::Queued;
use crate::timestamp::Timestamp;
use proptest::prelude::*;
use std::io::Write;
use std::time::Instant;

const WALL: UnixMs = UnixMs(1_775_745_045_000);

fn endpoint(name: &str, level: Level, matches: &[&str]) -> Endpoint {
    let url = Url::parse("https://a.example/").unwrap();
    let mut endpoint = Endpoint::new(name, url, Profile::Standard);
    endpoint.route.level = level;
    endpoint.route.matches = matches.iter().map(|name| Box::from(*name)).collect();
    endpoint.route.matches.sort_unstable();
    endpoint
}

fn where_(mut endpoint: Endpoint, conditions: &str) -> Endpoint {
    let table = conditions.parse::<toml::Table>().unwrap();
    endpoint.route.filter = Filter::from_table(&table).unwrap();
    endpoint
}

fn of_kinds(mut endpoint: Endpoint, kinds: &[&str]) -> Endpoint {
    let kinds = kinds.iter().map(|kind| Box::from(*kind)).collect();
    endpoint.events = EventFilter::Kinds(kinds);
    endpoint
}

/// A call of account A from GW-IN to GW-OUT in the context `sales`, with the tag `gold`.
fn call() -> Queued {
    queued(
        1,
        "cdr",
        [
            Some("A"),
            Some("GW-IN"),
            Some("GW-OUT"),
            Some("sales"),
            Some("gold"),
        ],
        r#"{"connected":true,"duration":5}"#,
    )
}

fn queued(sequence: u64, kind: &str, labels: [Option<&str>; 5], data: &str) -> Queued {
    let [account, gateway, callee_gateway, application, route_tag] =
        labels.map(|label| label.map(Box::from));
    let mut id = [0; 16];
    id[..8].copy_from_slice(&sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    let event = Event {
        id: EventId(id),
        kind: kind.into(),
        time: Timestamp::from_secs(WALL.unix_secs()),
        node: "vos-1".into(),
        labels: Labels {
            account,
            gateway,
            callee_gateway,
            application,
            route_tag,
        },
        data: data.as_bytes().into(),
    };
    Queued {
        sequence: Sequence(sequence),
        event: Arc::new(event),
    }
}

fn table(mode: Mode, endpoints: &[Endpoint]) -> RouteTable {
    let seats = endpoints.iter().map(|endpoint| Competitor {
        endpoint,
        is_enabled: true,
        standing: Standing::default(),
    });
    RouteTable::new(mode, seats)
}

fn who_gets(table: &RouteTable, queued: &Queued) -> Vec<String> {
    let judged = table.explain(queued, WALL);
    let gets = judged.iter().filter(|it| it.verdict == Verdict::Gets);
    gets.map(|judged| judged.endpoint.to_string()).collect()
}

#[track_caller]
fn check(endpoints: &[Endpoint], queued: &Queued, by_override: &[&str], by_all: &[&str]) {
    assert_eq!(
        who_gets(&table(Mode::Override, endpoints), queued),
        by_override
    );
    assert_eq!(who_gets(&table(Mode::All, endpoints), queued), by_all);
}

#[test]
fn the_most_specific_level_wins_and_all_means_all() {
    let every = [
        endpoint("call", Level::Call, &["gold", "silver"]),
        endpoint("application", Level::Application, &["sales"]),
        endpoint("trunk", Level::Trunk, &["GW-OUT"]),
        endpoint("account", Level::Account, &["A"]),
        endpoint("default", Level::Default, &[]),
    ];
    let names = ["call", "application", "trunk", "account", "default"];
    for (first, winner) in names.iter().enumerate() {
        check(&every[first..], &call(), &[winner], &names[first..]);
        // What carries nothing at a level is not meant there.
        let bare = queued(1, "cdr", [None; 5], "{}");
        check(&every[first..], &bare, &["default"], &["default"]);
    }
}

#[test]
fn endpoints_of_one_level_get_an_event_together() {
    let endpoints = [
        endpoint("in", Level::Trunk, &["GW-IN"]),
        endpoint("both", Level::Trunk, &["GW-IN", "GW-OUT"]),
        endpoint("other", Level::Trunk, &["GW-3"]),
        endpoint("rest", Level::Default, &[]),
    ];
    check(
        &endpoints,
        &call(),
        &["in", "both"],
        &["in", "both", "rest"],
    );
}

#[test]
fn who_does_not_want_an_event_takes_it_from_nobody() {
    let rest = || endpoint("rest", Level::Default, &[]);
    let alarms = of_kinds(endpoint("alarms", Level::Account, &["A"]), &["alarm"]);
    check(&[alarms, rest()], &call(), &["rest"], &["rest"]);
    let long = where_(
        endpoint("long", Level::Account, &["A"]),
        "duration = \">60\"",
    );
    check(&[long, rest()], &call(), &["rest"], &["rest"]);
    let mut few = endpoint("few", Level::Account, &["A"]);
    few.route.sample = Sample::of(1);
    check(&[few, rest()], &call(), &["rest"], &["rest"]);
    let short = where_(
        endpoint("short", Level::Account, &["A"]),
        "duration = \"<60\"",
    );
    check(&[short, rest()], &call(), &["short"], &["short", "rest"]);
}

#[test]
fn an_endpoint_that_is_not_enabled_keeps_its_events() {
    let (account, rest) = (
        endpoint("account", Level::Account, &["A"]),
        endpoint("rest", Level::Default, &[]),
    );
    let seat = |endpoint, is_enabled| Competitor {
        endpoint,
        is_enabled,
        standing: Standing::default(),
    };
    let table = RouteTable::new(Mode::Override, [seat(&account, false), seat(&rest, true)]);
    assert_eq!(who_gets(&table, &call()), ["account"]);
    assert!(!table.is_teller(0) && table.is_teller(1));
}

#[test]
fn what_came_before_a_route_was_what_it_is_is_taken_from_nobody() {
    let (account, rest) = (
        endpoint("account", Level::Account, &["A"]),
        endpoint("rest", Level::Default, &[]),
    );
    let standing = Standing {
        since: Sequence(2),
        begun: WALL,
    };
    let seat = |endpoint| Competitor {
        endpoint,
        is_enabled: true,
        standing,
    };
    let table = RouteTable::new(Mode::Override, [seat(&account), seat(&rest)]);
    assert_eq!(who_gets(&table, &call()), ["account", "rest"]);
    let later = Queued {
        sequence: Sequence(2),
        ..call()
    };
    assert_eq!(who_gets(&table, &later), ["account"]);
}

#[test]
fn a_mirror_gets_what_the_other_gets_until_its_end_and_takes_nothing() {
    let mut mirror = endpoint("mirror", Level::Default, &[]);
    mirror.route.mirror = Some(Mirror {
        of: "account".into(),
        end: MirrorEnd::At(UnixMs(WALL.0 + 1)),
    });
    let endpoints = [
        mirror,
        where_(
            endpoint("account", Level::Account, &["A"]),
            "connected = true",
        ),
        endpoint("rest", Level::Default, &[]),
    ];
    let table = table(Mode::Override, &endpoints);
    assert_eq!(who_gets(&table, &call()), ["mirror", "account"]);
    let silent = queued(1, "cdr", [Some("A"), None, None, None, None], "{}");
    assert_eq!(who_gets(&table, &silent), ["rest"]);
    let after = UnixMs(WALL.0 + 1);
    assert_eq!(table.judge(0, &call(), after), Verdict::MirrorOver);
    assert_eq!(table.judge(1, &call(), after), Verdict::Gets);
    // The other way round: what the other is overridden in, its mirror is too.
    let mut copy = endpoint("copy", Level::Default, &[]);
    copy.route.mirror = Some(Mirror {
        of: "rest".into(),
        end: MirrorEnd::After(Duration::from_secs(1)),
    });
    let endpoints = [
        endpoint("account", Level::Account, &["A"]),
        endpoint("rest", Level::Default, &[]),
        copy,
    ];
    let standing = Standing {
        since: Sequence(0),
        begun: WALL,
    };
    let seats = endpoints.iter().map(|endpoint| Competitor {
        endpoint,
        is_enabled: true,
        standing,
    });
    let table = RouteTable::new(Mode::Override, seats);
    let verdict = |at| table.judge(2, &call(), UnixMs(at));
    assert_eq!(verdict(WALL.0 + 999), Verdict::Overridden(Level::Account));
    assert_eq!(verdict(WALL.0 + 1_000), Verdict::MirrorOver);
}

#[test]
fn a_sample_is_the_same_share_of_events_everywhere() {
    let ids = (0..100_000_u64).map(|n| queued(n, "cdr", [None; 5], "{}").event.id);
    let share = |hundredths| {
        let sample = Sample::of(hundredths).unwrap();
        ids.clone().filter(|id| sample.has(*id)).count()
    };
    assert_eq!(share(10_000), 100_000);
    for (hundredths, expected) in [(1_000, 10_000), (50, 500)] {
        let found = share(hundredths);
        assert!(found.abs_diff(expected) < expected / 10, "{found}");
    }
    assert_eq!((Sample::of(0), Sample::of(10_001)), (None, None));
    // A smaller share lies within a larger one.
    let (few, many) = (Sample::of(100).unwrap(), Sample::of(2_000).unwrap());
    assert!(ids.clone().all(|id| !few.has(id) || many.has(id)));
}

#[test]
fn what_goes_nowhere_is_counted_once_for_all() {
    let endpoints = [
        endpoint("a", Level::Account, &["A"]),
        of_kinds(endpoint("b", Level::Default, &[]), &["alarm"]),
    ];
    let routes = Routes::new(table(Mode::Override, &endpoints));
    let choosers = endpoints.each_ref().map(|endpoint| {
        let mut chooser = Chooser::alone(endpoint);
        chooser.follow(routes.clone());
        chooser
    });
    let nobodys = queued(2, "cdr", [Some("B"), None, None, None, None], "{}");
    for queued in [call(), nobodys.clone(), nobodys] {
        choosers
            .iter()
            .for_each(|chooser| _ = chooser.wants(&queued));
    }
    let counted = choosers.each_ref().map(Chooser::take_unrouted);
    assert_eq!(counted, [2, 0]);
}

#[test]
fn what_a_source_makes_needs_somebody_who_may_get_it() {
    let endpoints = [
        of_kinds(endpoint("gold", Level::Call, &["gold"]), &["cdr"]),
        of_kinds(endpoint("rest", Level::Default, &[]), &["alarm"]),
    ];
    let table = table(Mode::Override, &endpoints);
    let mut tagged = Carried::default();
    assert!(!table.may_take("cdr", tagged) && table.may_take("alarm", tagged));
    tagged.add(Level::Call);
    assert!(table.may_take("cdr", tagged) && !table.takes_all("cdr"));
    assert!(table.takes_all("alarm") && !table.may_take("payment", Carried::ANYTHING));
}

/// Everything an endpoint or an event may be, few enough to meet often.
fn endpoints() -> impl Strategy<Value = Vec<Endpoint>> {
    let names = prop::collection::btree_set(prop::sample::select(vec!["x", "y", "z"]), 1..3);
    let kinds = prop::sample::select(vec![None, Some("cdr"), Some("alarm")]);
    let conditions = prop::sample::select(vec!["", "connected = true", "duration = \">3\""]);
    let samples = prop::sample::select(vec![None, Sample::of(5_000)]);
    let one = (0..5_usize, names, kinds, conditions, samples);
    prop::collection::vec(one, 1..7).prop_map(|all| {
        let made = all.into_iter().enumerate();
        let made = made.map(|(number, (level, names, kind, conditions, sample))| {
            let level = Level::ALL[level].1;
            let names: Vec<&str> = names.into_iter().collect();
            let names = if level == Level::Default {
                &[][..]
            } else {
                &names
            };
            let mut endpoint = endpoint(&format!("e{number}"), level, names);
            endpoint.route.sample = sample;
            if let Some(kind) = kind {
                endpoint = of_kinds(endpoint, &[kind]);
            }
            if conditions.is_empty() {
                endpoint
            } else {
                where_(endpoint, conditions)
            }
        });
        made.collect()
    })
}

fn events() -> impl Strategy<Value = Vec<Queued>> {
    let label = || prop::sample::select(vec![None, Some("x"), Some("y"), Some("w")]);
    let labels = [label(), label(), label(), label(), label()];
    let kind = prop::sample::select(vec!["cdr", "alarm"]);
    let one = (kind, labels, any::<bool>(), 0..6_u8);
    prop::collection::vec(one, 1..20).prop_map(|all| {
        let made = (1_u64..).zip(all);
        let made = made.map(|(sequence, (kind, labels, connected, duration))| {
            let data = format!(r#"{{"connected":{connected},"duration":{duration}}}"#);
            queued(sequence, kind, labels, &data)
        });
        made.collect()
    })
}

/// The rule as the module's documentation says it, with nothing looked up.
fn naively(mode: Mode, endpoints: &[Endpoint], queued: &Queued) -> Vec<String> {
    let event = &queued.event;
    let takes = |endpoint: &&Endpoint| {
        let route = &endpoint.route;
        let mut names = route.level.names(&event.labels);
        (route.level == Level::Default
            || names.any(|name| route.matches.iter().any(|it| **it == *name)))
            && endpoint.events.wants(&event.kind)
            && route.filter.wants(&event.data)
            && route.sample.is_none_or(|sample| sample.has(event.id))
    };
    let taking: Vec<&Endpoint> = endpoints.iter().filter(takes).collect();
    let best = taking.iter().map(|endpoint| endpoint.route.level).min();
    let gets = |endpoint: &&&Endpoint| mode == Mode::All || Some(endpoint.route.level) == best;
    let getting = taking.iter().filter(gets);
    getting.map(|endpoint| endpoint.name.to_string()).collect()
}

/// The places of the events that the lane of `endpoint` sends.
fn sent_by(endpoint: &Endpoint, routes: &Routes, events: &[Queued]) -> Vec<u64> {
    let queue = MemoryQueue::with(events.to_vec());
    let mut lane = Lane::new(
        Arc::new(endpoint.clone()),
        Arc::new(queue),
        Arc::default(),
        1,
    )
    .routed(routes);
    let now = Moment::default();
    let mut sent = Vec::new();
    while let Turn::Attempt(entry) = lane.take(now, WALL) {
        sent.push(entry.queued.sequence.0);
        lane.finish(*entry, Outcome::Delivered, Duration::ZERO, now, WALL);
    }
    // Alarms overtake.
    sent.sort_unstable();
    sent
}

proptest! {
    #[test]
    fn lanes_that_decide_alone_agree_with_the_whole_answer(
        endpoints in endpoints(),
        events in events(),
        all in any::<bool>(),
    ) {
        let mode = if all { Mode::All } else { Mode::Override };
        let whole = table(mode, &endpoints);
        for queued in &events {
            let expected = naively(mode, &endpoints, queued);
            prop_assert_eq!(whole.is_taken(&queued.event), !expected.is_empty());
            prop_assert_eq!(who_gets(&whole, queued), expected);
        }
        let routes = Routes::new(table(mode, &endpoints));
        for endpoint in &endpoints {
            let of_it = |queued: &&Queued| who_gets(&whole, queued).contains(&endpoint.name.to_string());
            let expected: Vec<u64> = events.iter().filter(of_it).map(|it| it.sequence.0).collect();
            prop_assert_eq!(sent_by(endpoint, &routes, &events), expected);
        }
    }
}

#[test]
fn a_lane_goes_by_the_new_table_for_what_it_has_not_tried() {
    let account = endpoint("account", Level::Account, &["A"]);
    let rest = endpoint("rest", Level::Default, &[]);
    let events: Vec<Queued> = (1..=6)
        .map(|n| {
            queued(
                n,
                "cdr",
                [
                    Some(if n % 2 == 0 { "A" } else { "B" }),
                    None,
                    None,
                    None,
                    None,
                ],
                "{}",
            )
        })
        .collect();
    let queue = MemoryQueue::with(events);
    let routes = Routes::new(table(Mode::Override, std::slice::from_ref(&rest)));
    let mut lane =
        Lane::new(Arc::new(rest.clone()), Arc::new(queue), Arc::default(), 1).routed(&routes);
    let now = Moment::default();
    let mut sent = Vec::new();
    while let Turn::Attempt(entry) = lane.take(now, WALL) {
        sent.push(entry.queued.sequence.0);
        lane.finish(*entry, Outcome::Delivered, Duration::ZERO, now, WALL);
        if sent.len() == 2 {
            // Those that follow are decoded already.
            routes.replace(table(Mode::Override, &[account.clone(), rest.clone()]));
        }
    }
    assert_eq!(sent, [1, 2, 3, 5]);
    assert_eq!(lane.counts(now).skipped, 2);
}

/// What a decision costs with as many endpoints as an agent has at most in practice. Run with
/// `cargo test --release --lib route::tests::figure -- --ignored --nocapture`.
#[test]
#[ignore = "a figure, not a promise"]
fn figure_of_a_decision() {
    let mut endpoints = vec![endpoint("rest", Level::Default, &[])];
    for number in 0..63 {
        let names: Vec<String> = (0..200).map(|n| format!("C{number}-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let level = Level::ALL[number % 4].1;
        endpoints.push(endpoint(&format!("e{number}"), level, &names));
    }
    let table = table(Mode::Override, &endpoints);
    let events: Vec<Queued> = (0..1_000)
        .map(|n| {
            let account = format!("C{}-{}", n % 90, n % 300);
            queued(
                n,
                "cdr",
                [
                    Some(&account),
                    Some("GW-IN"),
                    Some("GW-OUT"),
                    Some("sales"),
                    None,
                ],
                "{}",
            )
        })
        .collect();
    const ROUNDS: u32 = 200;
    for seat in [0, 4] {
        let began = Instant::now();
        let mut gets = 0_u64;
        for _ in 0..ROUNDS {
            let verdicts = events.iter().map(|it| table.judge(seat, it, WALL));
            gets += verdicts.filter(|verdict| *verdict == Verdict::Gets).count() as u64;
        }
        let each = began.elapsed() / (ROUNDS * 1_000);
        let text =
            format!("seat {seat}: {each:?} for each event and endpoint, {gets} of them its own");
        let _shown = writeln!(std::io::stderr(), "{text}");
    }
}
