//! The keys of an `[[endpoint]]` about what goes out after, with and before what: `order`,
//! `order_key`, `on_refused`, `batch`, `priority`.

use super::endpoint::EndpointConfig;
use super::file::EndpointTable;
use super::place::Place;
use super::value;
use super::written::Key;
use crate::delivery::batch::{BYTES_MAX, Batch, EVENTS_MAX, WAIT_MAX};
use crate::delivery::endpoint::{Endpoint, EventFilter};
use crate::delivery::order::{OnRefused, Order, OrderKey};
use crate::delivery::profile::Profile;
use crate::event::{self, cdr};
use crate::parser::format::CALL;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The key that events are ordered by, unless configured.
const ORDER_KEY: &str = "call_id";

/// Smallest batch, in bytes: one event of the usual size fits.
const BYTES: RangeInclusive<usize> = (1 << 10)..=BYTES_MAX;

/// Shortest and longest time an event waits for company.
const WAITS: RangeInclusive<Duration> = Duration::from_millis(1)..=WAIT_MAX;

/// How a batch is written.
const LIKE: &str = "{ max_events = 100, max_bytes = \"1MiB\", max_wait = \"200ms\" }";

/// Reads the keys into `endpoint`, whose events are known.
pub fn order(table: &EndpointTable, endpoint: &mut Endpoint, place: &mut Place<'_>) {
    refuse_beside_mirror(table, place);
    endpoint.order = kind(table, place);
    if let Order::Key(key) = &endpoint.order {
        check_key(key, &endpoint.events, table, place);
    }
    if endpoint.order == Order::None && table.on_refused.is_some() {
        let what = "nothing waits behind a refused event here; write order = \"strict\" or \"key\" beside it, or leave it out";
        place.problem("on_refused", &table.on_refused, what);
    }
    endpoint.on_refused = place.choice(
        "on_refused",
        &table.on_refused,
        OnRefused::default(),
        &[("block", OnRefused::Block), ("park", OnRefused::Park)],
    );
    endpoint.batch = batch(table, place);
    if endpoint.batch.is_some() && matches!(endpoint.order, Order::Key(_)) {
        let what = "events of one key would meet in several batches under way; write order = \"strict\", which sends one batch after another, or leave batch out";
        place.problem("batch", &table.batch, what);
    }
    if let Some(priority) = priority(table, endpoint, place) {
        endpoint.priority = priority;
    } else if endpoint.order.is_strict() {
        endpoint.priority = Vec::new();
    }
}

/// A mirror lets events pass by, and gives up what is refused: there is no order to keep.
fn refuse_beside_mirror(table: &EndpointTable, place: &mut Place<'_>) {
    if table.mirror.is_none() {
        return;
    }
    let what = "a mirror gets events as they come, one in each request; leave this out";
    if table.order.is_some() {
        place.problem("order", &table.order, what);
    }
    if table.batch.is_some() {
        place.problem("batch", &table.batch, what);
    }
}

fn kind(table: &EndpointTable, place: &mut Place<'_>) -> Order {
    let key = place.given("order_key", &table.order_key, "\"call_id\"");
    if key.is_some_and(String::is_empty) {
        place.problem(
            "order_key",
            &table.order_key,
            "it is empty; write a key of data like \"call_id\", or \"account\" or \"gateway\"",
        );
    }
    let by_key = Order::Key(OrderKey::named(key.map_or(ORDER_KEY, String::as_str)));
    let word = place.choice(
        "order",
        &table.order,
        "none",
        &[("none", "none"), ("key", "key"), ("strict", "strict")],
    );
    if key.is_some() && word != "key" {
        let what = "it goes with order = \"key\"; write that beside it, or leave it out";
        place.problem("order_key", &table.order_key, what);
    }
    match word {
        "key" => by_key,
        "strict" => Order::Strict,
        _ => Order::None,
    }
}

/// An order by a key that no event has would be none.
fn check_key(key: &OrderKey, events: &EventFilter, table: &EndpointTable, place: &mut Place<'_>) {
    let EventFilter::Kinds(kinds) = events else {
        return;
    };
    // Only of calls is it fixed which keys they have.
    let is_all_calls = kinds.iter().all(|kind| **kind == *CALL);
    if let OrderKey::Data(name) = key
        && is_all_calls
        && !cdr::FIELDS.iter().any(|field| field.key == &**name)
    {
        let keys: Vec<&str> = cdr::FIELDS.iter().map(|field| field.key).collect();
        let what = format!(
            "a cdr event has no {name:?}, so nothing would be in order; write one of {}, or account, gateway, callee_gateway or application",
            keys.join(", ")
        );
        place.problem("order_key", &table.order_key, what);
    }
}

fn batch(table: &EndpointTable, place: &mut Place<'_>) -> Option<Batch> {
    let written = place.given("batch", &table.batch, LIKE)?;
    let mut batch = Batch::default();
    for (key, value) in written {
        let read = match key.as_str() {
            "max_events" => events(value).map(|events| batch.max_events = events),
            "max_bytes" => bytes(value).map(|bytes| batch.max_bytes = bytes),
            "max_wait" => wait(value).map(|wait| batch.max_wait = wait),
            _ => Err(format!("no such key; write like {LIKE}")),
        };
        if let Err(what) = read {
            place.problem("batch", &table.batch, format!("{key}: {what}"));
        }
    }
    Some(batch)
}

fn events(value: &toml::Value) -> Result<usize, String> {
    let events = value
        .as_integer()
        .and_then(|count| usize::try_from(count).ok());
    events
        .filter(|count| (1..=EVENTS_MAX).contains(count))
        .ok_or_else(|| format!("{value} is no number of events; write 1 to {EVENTS_MAX}"))
}

fn bytes(value: &toml::Value) -> Result<usize, String> {
    let text = value
        .as_str()
        .ok_or_else(|| format!("{value} has no unit; write like \"1MiB\""))?;
    let bytes = usize::try_from(value::bytes(text)?).unwrap_or(usize::MAX);
    BYTES.contains(&bytes).then_some(bytes).ok_or_else(|| {
        let show = |bytes: &usize| value::show_bytes(*bytes as u64);
        format!(
            "{text:?} is out of range; write {} to {}",
            show(BYTES.start()),
            show(BYTES.end())
        )
    })
}

fn wait(value: &toml::Value) -> Result<Duration, String> {
    let text = value
        .as_str()
        .ok_or_else(|| format!("{value} has no unit; write like \"200ms\""))?;
    let wait = value::duration(text)?;
    WAITS.contains(&wait).then_some(wait).ok_or_else(|| {
        let show = |wait: &Duration| value::show_duration(*wait);
        format!(
            "{text:?} is out of range; write {} to {}",
            show(WAITS.start()),
            show(WAITS.end())
        )
    })
}

/// The types written, if any are.
fn priority(
    table: &EndpointTable,
    endpoint: &Endpoint,
    place: &mut Place<'_>,
) -> Option<Vec<Box<str>>> {
    const LIKE: &str = "[\"alarm\", \"balance_alert\"], or [] for none";
    let written: &Key<Vec<String>> = &table.priority;
    let kinds = place.given("priority", written, LIKE)?;
    for kind in kinds {
        if !event::is_kind(kind) {
            let what = format!("{kind:?} is no event type; write {LIKE}");
            place.problem("priority", written, what);
        } else if !endpoint.events.wants(kind) {
            let what = format!(
                "it is not told {kind:?} events; add {kind:?} to events, or take it out here"
            );
            place.problem("priority", written, what);
        }
    }
    if endpoint.order.is_strict() && !kinds.is_empty() {
        let what = "in a strict order no event goes before an earlier one; write priority = [], order = \"key\", or an endpoint of its own for these types";
        place.problem("priority", written, what);
    }
    Some(kinds.iter().map(|kind| kind.as_str().into()).collect())
}

/// What is allowed and may surprise, for `check`.
pub fn remarks(config: &EndpointConfig) -> Vec<String> {
    let endpoint = &config.endpoint;
    let mut remarks = Vec::new();
    let takes_arrays = matches!(endpoint.profile, Profile::Standard | Profile::CloudEvents);
    if endpoint.batch.is_some() && !takes_arrays {
        remarks.push(format!(
            "batch: receivers written from the guide of {} take one event in each request; this one has to take a JSON array of them",
            endpoint.profile.name()
        ));
    }
    if let Order::Key(OrderKey::Data(name)) = &endpoint.order
        && endpoint.events != EventFilter::Kinds(vec![CALL.into()])
    {
        remarks.push(format!(
            "order_key: events without {name:?} in their data, as alarms may be, are in no order"
        ));
    }
    remarks
}

/// The keys in force, as they would be written.
pub fn show(endpoint: &Endpoint, put: &mut impl FnMut(&str, toml::Value)) {
    let word = match &endpoint.order {
        Order::None => "none",
        Order::Key(_) => "key",
        Order::Strict => "strict",
    };
    put("order", word.into());
    if let Order::Key(key) = &endpoint.order {
        put("order_key", key.name().into());
    }
    if endpoint.order != Order::None {
        let word = match endpoint.on_refused {
            OnRefused::Block => "block",
            OnRefused::Park => "park",
        };
        put("on_refused", word.into());
    }
    if let Some(batch) = &endpoint.batch {
        let events = i64::try_from(batch.max_events).unwrap_or(i64::MAX);
        let table = [
            ("max_events", toml::Value::from(events)),
            (
                "max_bytes",
                value::show_bytes(batch.max_bytes as u64).into(),
            ),
            ("max_wait", value::show_duration(batch.max_wait).into()),
        ];
        let table = table.map(|(key, value)| (key.to_string(), value));
        put("batch", toml::Table::from_iter(table).into());
    }
    let kinds = endpoint.priority.iter();
    let kinds: Vec<toml::Value> = kinds.map(|kind| kind.to_string().into()).collect();
    put("priority", kinds.into());
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, load};
    use super::*;

    const SOURCE: &str = "[[source]]\nname = \"cdr\"\nformat = \"vos3000-pipe\"\nfiles = [\"/a/*.txt\"]\ntimezone = \"UTC\"\nstart = \"now\"\n";

    fn with(keys: &str) -> String {
        let events = if keys.contains("events = [") {
            ""
        } else {
            "events = [\"*\"]\n"
        };
        let profile = if keys.contains("profile") {
            ""
        } else {
            "profile = \"vos3000\"\n"
        };
        format!(
            "{SOURCE}[[endpoint]]\nname = \"billing\"\nurl = \"https://a/\"\n{profile}{events}secret_file = \"billing.secret\"\n{keys}\n"
        )
    }

    fn read(keys: &str) -> EndpointConfig {
        load(&with(keys)).unwrap().endpoints.remove(0)
    }

    #[test]
    fn without_a_word_there_is_no_order_and_alarms_go_first() {
        let endpoint = read("").endpoint;
        assert_eq!((endpoint.order, endpoint.batch), (Order::None, None));
        assert_eq!(endpoint.priority, ["alarm".into(), "balance_alert".into()]);
        let endpoint = read("order = \"key\"").endpoint;
        let key = OrderKey::Data("call_id".into());
        assert_eq!(
            (endpoint.order, endpoint.on_refused),
            (Order::Key(key), OnRefused::Block)
        );
        let endpoint = read("order = \"strict\"\non_refused = \"park\"").endpoint;
        assert_eq!(
            (endpoint.order, endpoint.on_refused),
            (Order::Strict, OnRefused::Park)
        );
        assert_eq!(endpoint.priority, Vec::<Box<str>>::new());
        let endpoint = read("order = \"key\"\norder_key = \"gateway\"").endpoint;
        assert_eq!(endpoint.order, Order::Key(OrderKey::Gateway));
    }

    #[test]
    fn a_batch_has_defaults_for_what_is_not_written() {
        assert_eq!(read("batch = {}").endpoint.batch, Some(Batch::default()));
        let batch = Batch {
            max_events: 7,
            max_bytes: 2_048,
            max_wait: Duration::from_secs(1),
        };
        let keys =
            "batch = { max_events = 7, max_bytes = \"2KiB\", max_wait = \"1s\" }\npriority = []";
        let config = read(keys);
        assert_eq!(
            (config.endpoint.batch, config.endpoint.priority.len()),
            (Some(batch), 0)
        );
        // What is shown is read as the same.
        let mut shown = toml::Table::new();
        show(&config.endpoint, &mut |key, value| {
            _ = shown.insert(key.into(), value)
        });
        assert_eq!(
            read(&shown.to_string().replace("[batch]", "[endpoint.batch]"))
                .endpoint
                .batch,
            Some(batch)
        );
    }

    #[test]
    fn what_contradicts_itself_is_said_with_what_to_write() {
        check(
            &with("order = \"by call\""),
            &["order: \"by call\" is not known; write \"none\" or \"key\" or \"strict\""],
        );
        check(
            &with("order_key = \"call_id\""),
            &["order_key: it goes with order = \"key\""],
        );
        check(
            &with("on_refused = \"park\""),
            &["on_refused: nothing waits behind a refused event here"],
        );
        check(
            &with("events = [\"cdr\"]\norder = \"key\"\norder_key = \"queue\""),
            &[
                "order_key: a cdr event has no \"queue\", so nothing would be in order; write one of call_id",
            ],
        );
        check(
            &with("order = \"key\"\nbatch = {}"),
            &["batch: events of one key would meet in several batches"],
        );
        check(
            &with("order = \"strict\"\npriority = [\"alarm\"]"),
            &["priority: in a strict order no event goes before an earlier one"],
        );
        check(
            &with("events = [\"cdr\"]\npriority = [\"alarm\"]"),
            &["priority: it is not told \"alarm\" events"],
        );
        check(
            &with("batch = { max_events = 0, max_bytes = 5, max_wait = \"2h\", most = 3 }"),
            &[
                "batch: max_bytes: 5 has no unit",
                "batch: max_events: 0 is no number of events; write 1 to 1000",
                "batch: max_wait: \"2h\" is out of range",
                "batch: most: no such key",
            ],
        );
        check(
            &with("batch = true"),
            &["batch: the word true does not belong here; write batch = { max_events"],
        );
    }

    #[test]
    fn a_mirror_has_no_order_and_no_batches() {
        let other = with("");
        let mirror = "[[endpoint]]\nname = \"look\"\nurl = \"https://b/\"\nsecret_file = \"billing.secret\"\nmirror = \"billing\"\nmirror_for = \"1h\"\norder = \"strict\"\nbatch = {}\n";
        check(
            &format!("{other}{mirror}"),
            &[
                "order: a mirror gets events as they come",
                "batch: a mirror gets events as they come",
            ],
        );
    }

    #[test]
    fn what_may_surprise_is_remarked() {
        assert_eq!(remarks(&read("")), Vec::<String>::new());
        let remarked = remarks(&read("batch = {}"));
        assert!(
            remarked[0].contains("written from the guide of vos3000 take one event"),
            "{remarked:?}"
        );
        let remarked = remarks(&read("order = \"key\""));
        assert!(remarked[0].contains("without \"call_id\""), "{remarked:?}");
        assert_eq!(
            remarks(&read("order = \"key\"\nevents = [\"cdr\"]")),
            Vec::<String>::new()
        );
    }
}
