//! What is told of pushes, recordings and amounts, and what filters say of it.

use super::{check_event, parted};
use crate::clock::UnixMs;
use crate::event::amount::Amount;
use crate::event::filter::Filter;
use crate::event::recording::{NameParts, Recording, RecordingMaker};
use crate::event::vos3000_push::{self, Alarm, Edge, PAGES, PushMaker, Told};
use crate::event::{CallSettings, EventId, sample};
use crate::queue::STATE_BYTES_MAX;

/// A body posted to one of VOS3000's pages, the page by its first byte: each event of it is one JSON
/// object, and an alarm comes back from the queue as it was.
pub(super) fn push(data: &[u8]) {
    let Some((page, body)) = data.split_first() else {
        return;
    };
    let page = PAGES[usize::from(*page) % PAGES.len()];
    let maker = PushMaker {
        node: "vos-1".into(),
        source: "http".into(),
        settings: CallSettings::default(),
    };
    match vos3000_push::read(page, body) {
        Ok(Told::Alarms(alarms)) => {
            assert!(alarms.standing.len() + alarms.odd.len() <= vos3000_push::ALARMS_MAX);
            for alarm in &alarms.standing {
                for edge in [Edge::Raised, Edge::Changed, Edge::Cleared] {
                    check_event(&maker.alarm(alarm, edge, UnixMs(1_775_835_000_000)));
                }
                let kept = serde_json::to_vec(alarm).expect("texts and a number are JSON");
                assert!(kept.len() <= STATE_BYTES_MAX);
                let remembered: Alarm = serde_json::from_slice(&kept).expect("just written");
                let expected = Alarm {
                    memo: None,
                    ..alarm.clone()
                };
                assert_eq!(remembered, expected);
            }
        }
        Ok(Told::Money(money)) => {
            check_event(&maker.money(&money, UnixMs(1)));
            let amount = Amount::parse(&money.money);
            let _ = amount.and_then(|amount| amount.plus(amount));
        }
        Ok(Told::Call(call)) => {
            if let Some(word) = call.word() {
                check_event(&maker.call(&call, word));
            }
        }
        Ok(Told::Phone(phone)) => check_event(&maker.phone(&phone)),
        Err(error) => drop(error.to_string()),
    }
}

/// How names are made up to a line of dashes; behind it a name, a line end, and the file's head.
pub(super) fn recording(data: &[u8]) {
    let Some((parts, rest)) = parted(data) else {
        return;
    };
    let parts: Option<NameParts> = parts.parse().ok();
    if let Some(parts) = &parts {
        assert_eq!(parts.to_string().parse().as_ref(), Ok(parts));
    }
    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let (name, head) = rest.split_at(end);
    let maker = RecordingMaker {
        node: "vos-1".into(),
        source: "rec".into(),
        parts,
    };
    let head = head.get(1..).unwrap_or_default();
    for size in [0, head.len() as u64, u64::MAX] {
        check_event(&maker.make(&Recording {
            path: String::from_utf8_lossy(name).into_owned(),
            size,
            ended: UnixMs(1_775_835_000_000),
            head,
        }));
    }
}

/// Two amounts on two lines: each is printed as it is read, and adding is the same in both orders.
pub(super) fn amount(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (one, other) = text.split_once('\n').unwrap_or((text, text));
    let (one, other) = (Amount::parse(one), Amount::parse(other));
    for amount in [one, other].into_iter().flatten() {
        let printed = amount.to_string();
        assert_eq!(Amount::parse(&printed), Some(amount), "{printed}");
        assert!(amount.share(10_000) >= Amount::ZERO);
    }
    if let (Some(one), Some(other)) = (one, other) {
        assert_eq!(one.plus(other), other.plus(one));
    }
    // The same words, as fields of a trial event.
    let set: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    for kind in ["cdr", "alarm", "switchhook.test"] {
        let made = sample::sample(kind, &"vos-1".into(), EventId([0; 16]), UnixMs(1), &set);
        match made {
            Ok(event) => check_event(&event),
            Err(error) => drop(error.to_string()),
        }
    }
}

/// Conditions up to a line of dashes, as an operator writes them, and the `data` of an event behind
/// it: as they are shown they are read again as the same.
pub(super) fn filter(data: &[u8]) {
    let Some((conditions, data)) = parted(data) else {
        return;
    };
    let Ok(table) = conditions.parse::<toml::Table>() else {
        return;
    };
    let Ok(filter) = Filter::from_table(&table) else {
        return;
    };
    let shown: toml::Table = format!("keep = {}", filter.written())
        .parse()
        .expect("what is shown is TOML");
    let again = Filter::from_table(shown["keep"].as_table().expect("a table"));
    let again = again.expect("what is shown can be read");
    assert_eq!(again, filter);
    assert_eq!(again.wants(data), filter.wants(data));
}
