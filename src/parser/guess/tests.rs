use super::super::tests::fixture;
use super::*;

fn sample<'a>(bytes: &'a [u8], name: &'a str) -> Sample<'a> {
    Sample {
        bytes,
        is_whole: true,
        name,
        decoder: Decoder::for_label(encoding(bytes)).unwrap(),
    }
}

#[track_caller]
fn check(name: &str, expected: &str, layout: &str) {
    let bytes = fixture(name);
    let file_name = name.rsplit('/').next().unwrap();
    let fits = by_presets(sample(&bytes, file_name), &TimeZone::UTC);
    let best = fits.first().filter(|fit| fit.fits()).expect(name);
    let found = (&*best.settings.format.name, best.tally.layout.as_deref());
    assert_eq!(found, (expected, Some(layout)), "{name}");
}

#[test]
fn every_sample_is_known_for_what_it_is() {
    check(
        "vos3000/softswitch-pipe/2026041014.txt",
        "vos3000-pipe",
        "18",
    );
    check(
        "vos3000/server-csv/cdr_20260410143000.csv",
        "vos3000-csv",
        "52",
    );
    check(
        "vos3000/server-csv/cdr_20260410144500_53col.csv",
        "vos3000-csv",
        "53",
    );
    check("vos3000/realtime-udp/datagrams.txt", "vos3000-udp", "46");
    check("asterisk/cdr-csv/Master-16col.csv", "asterisk-cdr", "16");
    check("asterisk/cdr-csv/Master-18col.csv", "asterisk-cdr", "18");
    check("asterisk/cdr-csv/Master-21col.csv", "asterisk-cdr", "21");
    check(
        "asterisk/cdr-custom/Master-real-19col.csv",
        "asterisk-cdr-custom",
        "19",
    );
    check("asterisk/cel/Master.csv", "asterisk-cel", "19-ringing");
    check("asterisk/logs/queue_log", "asterisk-queue-log", "join");
    check(
        "freeswitch/cdr-csv/Master-example-template.csv",
        "freeswitch-csv",
        "example",
    );
    check(
        "freeswitch/cdr-csv/Master-builtin-template.csv",
        "freeswitch-csv",
        "builtin",
    );
    check(
        "freeswitch/cdr-csv/Master-real-resaved.csv",
        "freeswitch-csv",
        "example",
    );
    check(
        "freeswitch/json_cdr/5f6a1c3e-0001-4f11-9a01-000000000001.cdr.json",
        "freeswitch-json",
        "json",
    );
    check(
        "freeswitch/xml_cdr/a_5f6a1c3e-0001-4f11-9a01-000000000001.cdr.xml",
        "freeswitch-xml",
        "xml",
    );
    check("kamailio/acc-syslog.log", "kamailio-acc", "acc");
    check("opensips/acc-syslog.log", "opensips-acc", "acc");
    check("opensips/acc_flatstore_1.log", "acc-flatstore", "acc");
    check("nasty/gbk.csv", "vos3000-csv", "52");
}

#[test]
fn a_layout_is_told_from_its_twin_by_what_is_in_it() {
    let row = |last: &str| {
        format!(
            "\"\",\"1\",\"2\",\"c\",\"\",\"a\",\"\",\"Dial\",\"x\",\"2026-04-10 14:31:05\",,\"2026-04-10 14:31:07\",2,0,\"BUSY\",\"D\",\"{last}\"\n"
        )
    };
    for (last, layout) in [
        ("1775802495.42", "17-uniqueid"),
        ("", "17-userfield"),
        ("called back twice", "17-userfield"),
        ("VIP", "17-userfield"),
    ] {
        let text = row(last);
        let fits = by_presets(sample(text.as_bytes(), "x"), &TimeZone::UTC);
        assert_eq!(fits[0].columns.as_deref(), Some(layout));
    }
}

#[test]
fn a_row_with_one_column_more_in_front_does_not_fit_though_the_count_does() {
    let bytes = fixture("vos3000/server-csv/cdr_20260410143000.csv");
    let text = String::from_utf8(bytes).unwrap();
    let shifted: String = text.lines().map(|line| format!("7,{line}\n")).collect();
    let sample = sample(shifted.as_bytes(), "x");
    assert!(
        by_presets(sample, &TimeZone::UTC)
            .iter()
            .all(|fit| !fit.fits())
    );
    let like = guess(sample, &TimeZone::UTC).unwrap().like.unwrap();
    assert_eq!((&*like.layout, like.before, like.common), ("52", 1, 52));
}

/// The meanings of the columns of a guess, by name; and how many rows it reads.
#[track_caller]
pub(super) fn guessed(text: &str) -> (String, usize) {
    guessed_in(text, &TimeZone::UTC)
}

/// What is guessed of a file that holds `text`.
pub(super) fn guess_of(text: &str) -> Guessed {
    guess(sample(text.as_bytes(), "x"), &TimeZone::UTC).expect("a guess")
}

/// Whether a guess takes the first line of every file for no row.
pub(super) fn header_of(text: &str) -> Header {
    guess_of(text).header
}

/// The same of a file whose local times are those of `zone`.
#[track_caller]
pub(super) fn guessed_in(text: &str, zone: &TimeZone) -> (String, usize) {
    let bytes = text.as_bytes();
    let guessed = guess(sample(bytes, "x"), zone).expect("a guess");
    let columns = guessed.table.layout[0].columns.iter();
    let meant = columns.filter_map(|column| Some((&column.name, column.meaning.as_ref()?)));
    let words: Vec<_> = meant.map(|(name, word)| format!("{name}={word}")).collect();
    let format = Format::from_table(&guessed.table).unwrap();
    let fit = by_format(sample(bytes, "x"), format, None, guessed.header, zone);
    assert_eq!(fit.tally.bad, 0, "{:?}", fit.tally.reasons);
    (words.join(" "), fit.tally.good)
}

#[test]
fn columns_of_unknown_files_are_guessed_from_names_and_values() {
    let rows = |row: &dyn Fn(u32) -> String| -> String { (1..20).map(row).collect() };
    let header = "Call ID\tFrom\tTo\tStart\tEnd\tSeconds\tCost\n".to_string()
        + &rows(&|n| {
            format!(
                "c{n}\t4477009001{n:02}\t1202555010{n}\t2026-04-10 14:{n:02}:00\t2026-04-10 14:{n:02}:30\t30\t0.0{n}\n"
            )
        });
    assert_eq!(
        guessed(&header),
        ("Call ID=call_id From=caller_id To=called_id Start=start_time End=end_time Seconds=hold_duration Cost=cost".to_string(), 19)
    );
    let bare = rows(&|n| {
        format!(
            "x;4477009001{n:02};1202555010{n};2026-04-10T14:{n:02}:00;2026-04-10T14:{n:02}:1{};1{}\n",
            n % 10,
            n % 10
        )
    });
    assert_eq!(
        guessed(&bare),
        ("field2=caller_id field3=called_id field4=start_time field5=end_time field6=hold_duration".to_string(), 19)
    );
    let export = "calldate,clid,src,dst,channel,duration,billsec,disposition,uniqueid\n"
        .to_string()
        + &rows(&|n| {
            format!(
                "2026-04-10 14:{n:02}:05,\"\"\"Bob\"\" <1>\",1202555010{n},101,PJSIP/1,{},{n},ANSWERED,1775802495.{n}\n",
                n + 20
            )
        });
    assert_eq!(
        guessed(&export),
        ("calldate=start_time src=caller_id dst=called_id duration=duration billsec=bill_duration disposition=disconnect_reason uniqueid=call_id".to_string(), 19)
    );
    let dated = rows(&|n| {
        format!("{n},1202555010{n},4420794601{n:02},4/{n}/2026 14:00:00,4/{n}/2026 14:00:30,30\n")
    });
    assert_eq!(
        guessed(&dated),
        ("field2=caller_id field3=called_id field4=start_time field5=end_time field6=hold_duration".to_string(), 19)
    );
    let pairs = rows(&|n| {
        format!(
            "ts=2026-04-10T14:28:{n:02}Z caller=1202555010{n} callee=442 duration={n} note=\"a remark\"\n"
        )
    });
    assert_eq!(
        guessed(&pairs),
        (
            "ts=start_time caller=caller_id callee=called_id duration=hold_duration".to_string(),
            19
        )
    );
    let json = rows(&|n| {
        format!(
            "{{\"src\":\"1202555010{n}\",\"dst\":\"101\",\"start\":\"2026-04-10 14:{n:02}:05\",\"answer\":\"\",\"billsec\":0}}\n"
        )
    });
    assert_eq!(
        guessed(&json),
        (
            "answer=answer_time billsec=bill_duration dst=called_id src=caller_id start=start_time"
                .to_string(),
            19
        )
    );
}

#[test]
fn the_surest_name_counts_and_not_the_first() {
    let tariff = |n: u32| {
        format!(
            "{n}\t1202555010{n}\t0\t17758008{n:02}000\t17758009{n:02}000\t{n}\t0.{n}\t90000{n}\n"
        )
    };
    let rows: String = (10..30).map(tariff).collect();
    let header = "id\tcallere164\tagentfeetime\tstarttime\tstoptime\tfeetime\tfee\tflowno\n";
    assert_eq!(
        guessed(&(header.to_string() + &rows)),
        ("callere164=caller_id starttime=start_time stoptime=end_time feetime=bill_duration fee=cost flowno=call_id".to_string(), 20)
    );
    let json = |n: u32| {
        format!(
            "{{\"caller\":{{\"name\":\"Bob\",\"number\":\"1202555010{n}\"}},\"times\":{{\"ended_at\":\"2026-04-10T14:28:{n}Z\",\"started_at\":\"2026-04-10T14:27:{n}Z\"}},\"v\":{{\"session_id\":\"3\",\"uuid\":\"c-{n}\"}}}}\n"
        )
    };
    let rows: String = (10..30).map(json).collect();
    assert_eq!(
        guessed(&rows),
        ("caller.number=caller_id times.ended_at=end_time times.started_at=start_time v.uuid=call_id".to_string(), 20)
    );
}

#[test]
fn what_a_database_writes_for_nothing_is_no_account() {
    let row = |n: u32| {
        let answer = if n.is_multiple_of(2) {
            "NULL".to_string()
        } else {
            format!("2026-04-10 14:28:{n}")
        };
        format!("2026-04-10 14:27:{n};{answer};1202555010{n};1202555010{n};00:00:{n};NULL;NULL\n")
    };
    let rows: String = (10..30).map(row).collect();
    let text = format!("start;answer;caller;callee;billsec;accountcode;note\n{rows}");
    assert_eq!(
        guessed(&text),
        ("start=start_time answer=answer_time caller=caller_id callee=called_id billsec=bill_duration accountcode=account_id".to_string(), 20)
    );
    let guessed = guess(sample(text.as_bytes(), "x"), &TimeZone::UTC).unwrap();
    assert_eq!(guessed.table.nothing, ["NULL"]);
}

#[test]
fn the_day_in_a_column_of_its_own_goes_with_the_hour() {
    let row = |n: u32| format!("4/{n}/2026,02:01:{n} PM,12025550101,4420794601{n},0:00:{n},x\n");
    let rows: String = (10..30).map(row).collect();
    assert_eq!(
        guessed(&format!("Date,Time,From,To,Duration,Note\n{rows}")),
        (
            "Time=start_time From=caller_id To=called_id Duration=hold_duration".to_string(),
            20
        )
    );
    let found = guess(sample(rows.as_bytes(), "x"), &TimeZone::UTC).unwrap();
    assert_eq!(found.table.dates.as_deref(), Some("mdy"));
    assert_eq!(
        found.table.layout[0].columns[1].date.as_deref(),
        Some("field1")
    );
}

#[test]
fn dates_that_could_be_read_in_two_ways_are_pointed_out() {
    for (date, expected, doubtful) in [
        ("04/05/2026 14:01:28", "dmy", true),
        ("04/05/2026 02:01:28 PM", "mdy", true),
        ("04/15/2026 14:01:28", "mdy", false),
        ("15/04/2026 02:01:28 PM", "dmy", false),
    ] {
        let row = |n: u32| format!("{date},12025550101,4420794601{n},x\n");
        let rows: String = (10..30).map(row).collect();
        let found = guess(sample(rows.as_bytes(), "x"), &TimeZone::UTC).unwrap();
        assert_eq!(found.table.dates.as_deref(), Some(expected), "{date}");
        assert_eq!(found.doubtful_dates, doubtful, "{date}");
    }
}

#[test]
fn rows_are_like_no_layout_whose_ids_they_do_not_have() {
    let row = |n: u32| {
        format!(
            "c-{n};inbound;1202555010{n};4420794601{n};192.0.2.{n};17758008{n};17758009{n};17758010{n};200;100;100123;16;USER_BUSY;recv_bye;gw\n"
        )
    };
    let rows: String = (10..30).map(row).collect();
    let found = guess(sample(rows.as_bytes(), "x"), &TimeZone::UTC).unwrap();
    assert_eq!(found.like, None);
    let example = |n: u32| {
        format!(
            "x;1202555010{n};4420794601{n};2026-04-10 14:27:{n};2026-04-10 14:28:{n};NORMAL_CLEARING;5f6a1c3e-0001-4f11-9a01-0000000000{n}\n"
        )
    };
    let rows: String = (10..30).map(example).collect();
    let found = guess(sample(rows.as_bytes(), "x"), &TimeZone::UTC).unwrap();
    assert_eq!(found.table.id_keys, [["field7"]]);
}

#[test]
fn calls_are_said_to_be_told_twice_only_where_they_are() {
    let refused = "x: ACC: call missed: timestamp=1775802495;method=INVITE;from_tag=a;to_tag=;call_id=1;code=408;reason=x\n";
    let whole = "x: ACC: call ended: created=1775802490;call_start_time=1775802495;duration=5;method=INVITE;from_tag=a;to_tag=b;call_id=2;code=200;reason=OK\n";
    let answered = "x: ACC: transaction answered: timestamp=1775802495;method=INVITE;from_tag=a;to_tag=b;call_id=2;code=200;reason=OK\n";
    let ended = answered.replace("INVITE", "BYE");
    let kamailio = "x: log_write_cdr(): start_time=1775802498.224; end_time=1775802645.900; duration=147.676; call_id=2\n";
    for (text, twice) in [
        ([refused, whole].concat(), None),
        ([refused, answered].concat(), None),
        // The whole one has the tags of the line and takes its place.
        ([answered, whole].concat(), None),
        ([answered, &ended, whole].concat(), Some("ended")),
        ([answered, kamailio].concat(), Some("cdr")),
    ] {
        let fits = by_presets(sample(text.as_bytes(), "x"), &TimeZone::UTC);
        let best = fits.first().filter(|fit| fit.fits()).unwrap();
        assert_eq!(best.tally.calls.twice(), twice, "{text}");
        // What is to be written must be a layout's name.
        if let Some(layout) = twice {
            let format = best.settings.format.clone();
            assert!(format.with_layout(layout).is_ok(), "{text}");
        }
    }
}

#[test]
fn an_asterisk_mapping_of_ones_own_is_guessed_down_to_the_answer() {
    let rows: String = (1..20)
        .map(|n| {
            let (answer, billed, how) = match n % 3 {
                0 => (String::new(), 0, "NO ANSWER"),
                _ => (format!("\"2026-04-10 14:{n:02}:10\""), n + 5, "ANSWERED"),
            };
            format!(
                "\"v1\",\"4477009001{n:02}\",\"4477009001{n:02}\",\"1202555010{n}\",\"2026-04-10 14:{n:02}:00\",{answer},\"2026-04-10 14:{n:02}:{:02}\",{},{billed},\"{how}\",\"1775802495.{n}\",\"1775802495.1\",\"rec.wav\"\n",
                n + 15,
                n + 15,
            )
        })
        .collect();
    assert_eq!(
        guessed(&rows),
        ("field2=caller_id field4=called_id field5=start_time field6=answer_time field7=end_time field8=duration field9=bill_duration field10=disconnect_reason field11=call_id".to_string(), 19)
    );
}

#[test]
fn a_csv_without_quotes_is_read_with_them_all_the_same() {
    let rows: String = (10..30)
        .map(|n| format!("1202555010{n},44,2026-04-10 14:{n}:00,2026-04-10 14:{n}:05,ACME\n"))
        .collect();
    let guessed = guess(sample(rows.as_bytes(), "x"), &TimeZone::UTC).unwrap();
    assert_eq!(guessed.table.quote.as_deref(), Some("\""));
}

#[test]
fn what_has_no_columns_is_not_guessed_at() {
    for text in [
        "This is a text\nwith some lines, and commas,\nbut no rows at all.\n",
        "",
        "\n\n",
    ] {
        assert!(
            guess(sample(text.as_bytes(), "x"), &TimeZone::UTC).is_none(),
            "{text}"
        );
    }
}

#[test]
fn an_encoding_is_found_out_by_what_cannot_be_in_others() {
    assert_eq!(encoding("a,百融\n".as_bytes()), "utf-8");
    assert_eq!(encoding(&fixture("nasty/gbk.csv")), "gbk");
    assert_eq!(encoding(b"caf\xE9\n"), "latin1");
    assert_eq!(encoding(&"é".as_bytes()[..1]), "utf-8");
}

#[test]
fn names_that_differ_in_case_alone_are_proposed_as_a_format_wants_them() {
    let csv = "Start,start,Caller\n2026-04-10 14:30:45,a,12025550117\n2026-04-10 14:31:45,b,12025550118\n";
    let json = "{\"Start\":\"2026-04-10 14:30:45\",\"start\":\"a\",\"caller\":\"12025550117\"}\n";
    let pairs = "Start=2026-04-10T14:30:45;start=a;caller=12025550117\n";
    for text in [csv, json, pairs] {
        let guessed = guess(sample(text.as_bytes(), "x"), &TimeZone::UTC).expect(text);
        let format = Format::from_table(&guessed.table);
        assert!(format.is_ok(), "{text}: {format:?}");
    }
}

#[test]
fn objects_without_members_are_no_rows() {
    assert!(guess(sample(b"{}\n{}\n", "x"), &TimeZone::UTC).is_none());
}

#[test]
fn one_row_with_quotes_inside_is_enough_for_lenient_quoting() {
    let row = |n: u32| {
        let name = match n {
            17 => "Ann \"Bo\" Lee",
            _ => "Ann Lee",
        };
        format!(
            "\"{name}\",\"12025550101\",\"4420794601{n}\",\"2026-04-10 14:27:{n}\",\"2026-04-10 14:28:{n}\"\n"
        )
    };
    let rows: String = (10..30).map(row).collect();
    let found = guess(sample(rows.as_bytes(), "x"), &TimeZone::UTC).unwrap();
    assert_eq!(found.table.quoting.as_deref(), Some("lenient"));
    assert_eq!(guessed(&rows).1, 20);
    // A row that no quoting reads is no reason for it.
    let rows = rows.replace("\"Ann \"Bo\" Lee\",", "\"Ann");
    let found = guess(sample(rows.as_bytes(), "x"), &TimeZone::UTC).unwrap();
    let quoting = (found.table.quote.as_deref(), found.table.quoting.as_deref());
    assert_eq!(quoting, (Some("\""), None));
}

#[test]
fn the_call_is_named_by_ids_that_differ_and_not_by_its_tenants() {
    const UUID: &str = "5f6a1c3e-0001-4f11-9a01-0000000000";
    let ids = |form: &dyn Fn(u32) -> String, header: &str, count: u32| {
        let rows: String = (10..10 + count).map(form).collect();
        let text = format!("{header}{rows}");
        let keys = guess(sample(text.as_bytes(), "x"), &TimeZone::UTC)
            .map(|found| found.table.id_keys.concat().join(" "));
        let (meant, good) = guessed(&text);
        assert_eq!(good, count as usize, "{text}");
        let is_id = |word: &&str| word.ends_with("=call_id");
        let id = meant.split(' ').find(is_id).unwrap_or("none").to_string();
        (id, keys.unwrap())
    };
    let pair = |id: &str, key: &str| (id.to_string(), key.to_string());
    let tenants = |n: u32| {
        format!(
            "{UUID}0{},{UUID}{n},12025550101,4420794601{n},2026-04-10 14:27:{n},{n}\n",
            n % 3
        )
    };
    let header = "domain_uuid,xml_cdr_uuid,caller,callee,start,billsec\n";
    assert_eq!(
        ids(&tenants, header, 20),
        pair("xml_cdr_uuid=call_id", "xml_cdr_uuid")
    );
    assert_eq!(
        ids(&tenants, header, 5),
        pair("xml_cdr_uuid=call_id", "xml_cdr_uuid")
    );
    assert_eq!(ids(&tenants, header, 4), pair("xml_cdr_uuid=call_id", ""));
    // Where no name tells, what differs does.
    let header = "domain_uuid,leg_uuid,caller,callee,start,billsec\n";
    assert_eq!(
        ids(&tenants, header, 20),
        pair("leg_uuid=call_id", "leg_uuid")
    );
    let json = |n: u32| {
        format!(
            "{{\"account\":{{\"uuid\":\"{UUID}01\"}},\"leg\":{{\"uuid\":\"{UUID}{n}\"}},\"caller\":\"12025550101\",\"start\":\"2026-04-10 14:27:{n}\",\"billsec\":{n}}}\n"
        )
    };
    assert_eq!(ids(&json, "", 20), pair("leg.uuid=call_id", "leg.uuid"));
    // A name alone makes no id: these are all the same.
    let same = |n: u32| format!("7,12025550101,4420794601{n},2026-04-10 14:27:{n},{n}\n");
    let header = "session_id,caller,callee,start,billsec\n";
    assert_eq!(ids(&same, header, 20), pair("none", ""));
}

#[test]
fn exports_of_asterisks_table_are_read_by_its_order() {
    // As FreePBX's database holds them; no header.
    let row = |n: u32, how: &str, secs: u32| {
        format!(
            "\"{n}/9/2017 16:33:01\",\"\"\"Test User\"\" <105>\",\"105\",\"*6{n}\",\"from-internal\",\"SIP/105-0000000{n}\",,\"Wait\",\"1\",\"2{n}\",\"{secs}\",\"{how}\",\"3\",,\"1504279981.{n}\",,,,\"105\",\"Test User\",,,,\"0\",\n"
        )
    };
    let rows: String = (1..9)
        .map(|n| match n % 3 {
            0 => row(n, "NO ANSWER", 0),
            _ => row(n, "ANSWERED", 10 + n),
        })
        .collect();
    assert_eq!(
        guessed(&rows),
        (
            "field1=start_time field3=caller_id field4=called_id field10=duration field11=bill_duration field12=disconnect_reason field15=call_id".to_string(),
            8
        )
    );
}

#[test]
fn an_export_without_doubled_quotes_is_read_with_them() {
    // As MySQL's Workbench writes the same table.
    let row = |n: u32| {
        format!(
            "{n},NULL,\"\"User {n}\" <111{n}>\",111{n},248436360{n},default,PJSIP/1115-0000000{n},PJSIP/out-1,Dial,\"PJSIP/1248@out,,XL(1:2)\",\"2018-11-29 20:19:3{n}\",37,3{n},ANSWERED,154354077{n}.0\n"
        )
    };
    let header = "AcctId,tenant,clid,src,dst,dcontext,channel,dstchannel,lastapp,lastdata,calldate,duration,billsec,disposition,uniqueid\n";
    let text = header.to_string() + &(1..9).map(row).collect::<String>();
    assert_eq!(
        guessed(&text),
        (
            "src=caller_id dst=called_id calldate=start_time duration=duration billsec=bill_duration disposition=disconnect_reason uniqueid=call_id".to_string(),
            8
        )
    );
}

#[test]
fn numbers_are_those_of_parties_and_no_country_or_switch_is_called() {
    let row = |n: u32| {
        format!(
            "STOP,SBC1,0x000{n},28802860,10/04/2026,08:2{n}:15.2,1,10/04/2026,08:3{n}:15.2,16,1202555010{n},44207946010{n}\n"
        )
    };
    let (words, _) = guessed(&(1..9).map(row).collect::<String>());
    assert_eq!(
        words,
        "field6=start_time field9=end_time field11=caller_id field12=called_id"
    );
    let row = |n: u32| {
        format!(
            "2019-07-14 13:40:0{n},client,1202555010{n},44207946010{n},United Kingdom,0.02{n}\n"
        )
    };
    let header = "Date,Caller,CLI,Phone Number,Destination,Sell\n".to_string();
    let (words, _) = guessed(&(header + &(1..9).map(row).collect::<String>()));
    assert_eq!(
        words,
        "Date=start_time CLI=caller_id Phone Number=called_id"
    );
}

#[test]
fn a_call_is_named_by_the_id_of_the_call_and_not_of_its_manager() {
    let row =
        |n: u32| format!("1,7,500{n},169390000{n},0000-00-00 00:00:00,700{n},800{n},00:00:1{n}\n");
    let header = "cdrRecordType,globalCallID_callManagerId,globalCallID_callId,dateTimeOrigination,answer,callingPartyNumber,finalCalledPartyNumber,length\n";
    let text = header.to_string() + &(1..9).map(row).collect::<String>();
    let (words, rows) = guessed(&text);
    assert_eq!(
        words,
        "globalCallID_callId=call_id dateTimeOrigination=start_time answer=answer_time callingPartyNumber=caller_id finalCalledPartyNumber=called_id length=hold_duration"
    );
    assert_eq!(rows, 8);
}

#[test]
fn asterisks_ids_are_no_key_without_the_sequence_of_the_row() {
    let keys = |header: &str, row: &dyn Fn(u32) -> String| {
        let text = header.to_string() + &(1..9).map(row).collect::<String>();
        let guessed = guess(sample(text.as_bytes(), "x"), &TimeZone::UTC).unwrap();
        guessed.table.id_keys
    };
    let alone = keys("calldate,src,dst,uniqueid\n", &|n| {
        format!("2026-04-10 14:28:1{n},10{n},20{n},1775802495.{n}\n")
    });
    assert!(
        alone.is_empty(),
        "a second leg would be taken for a repeat: {alone:?}"
    );
    let both = keys("calldate,src,dst,uniqueid,sequence\n", &|n| {
        format!("2026-04-10 14:28:1{n},10{n},20{n},pbx-1775802495.{n},{n}\n")
    });
    assert_eq!(both, [["uniqueid", "sequence"]]);
}

#[test]
fn a_length_that_failed_calls_have_too_does_not_say_that_they_were_answered() {
    let guess_of = |busy: u32| {
        let row = |n: u32| {
            let (cause, secs) = match n % 2 {
                0 => ("USER_BUSY", busy),
                _ => ("NORMAL_CLEARING", 60 + n),
            };
            format!("5f6a{n},100{n},1202555010{n},2026-04-10 10:0{n}:00,{secs},{cause}\n")
        };
        let header = "uuid,caller_id_number,destination_number,start_stamp,duration,hangup_cause\n";
        guessed(&(header.to_string() + &(1..9).map(row).collect::<String>())).0
    };
    assert!(guess_of(0).contains("duration=hold_duration"));
    // As FusionPBX exports them: with the ringing.
    assert!(guess_of(15).contains("duration=duration"));
}

#[test]
fn an_extension_beside_the_one_number_is_the_other_party() {
    let out = |n: u32| format!("2026-04-10T10:0{n}:00Z;100{n};44207946010{n};EUR\n");
    let (words, _) = guessed(&(1..9).map(out).collect::<String>());
    assert_eq!(words, "field1=start_time field2=caller_id field3=called_id");
    let into = |n: u32| format!("2026-04-10T10:0{n}:00Z;44207946010{n};100{n};EUR\n");
    let (words, _) = guessed(&(1..9).map(into).collect::<String>());
    assert_eq!(words, "field1=start_time field2=caller_id field3=called_id");
}

#[test]
fn names_are_seen_above_days_and_hours_too() {
    let row = |n: u32| {
        format!("04/1{n}/2026,10:0{n}:00 AM,(202) 555-010{n},+44 20 7946 010{n},1:05,$0.0{n}\n")
    };
    let header = "Date,Time,Caller Number,Called Number,Duration,Call Cost\n";
    let text = header.to_string() + &(1..9).map(row).collect::<String>();
    let (words, rows) = guessed(&text);
    assert_eq!(
        words,
        "Time=start_time Caller Number=caller_id Called Number=called_id"
    );
    assert_eq!(rows, 8);
}

#[test]
fn cyrillic_is_told_from_latin_by_its_words() {
    let cyrillic = b"\xC4\xE0\xF2\xE0;\xCD\xEE\xEC\xE5\xF0 \xC0\n10.04.2026;7495\n";
    assert_eq!(encoding(cyrillic), "windows-1251");
    assert_eq!(encoding(b"Fecha;Duraci\xF3n;A\xF1o\n"), "latin1");
}

#[test]
fn what_is_called_the_duration_is_the_time_connected_where_the_times_say_so() {
    let row = |n: i64| {
        let setup = 1_587_324_100 + n * 100;
        let (answer, end, secs) = match n % 3 {
            0 => (0, setup + 20, 0),
            _ => (setup + 5, setup + 65 + n, 60 + n),
        };
        format!("{setup},+1555123456{n},+1555987654{n},{answer},{end},{secs},0,0,c{n}\n")
    };
    let header = "dateTimeOrigination,callingPartyNumber,finalCalledPartyNumber,dateTimeConnect,dateTimeDisconnect,duration,destConversationId,callSecuredStatus,pkid\n";
    let text = header.to_string() + &(1..9).map(row).collect::<String>();
    let (words, _) = guessed(&text);
    assert!(words.contains("duration=hold_duration"), "{words}");
    assert!(
        !words.contains("destConversationId=") && !words.contains("Status="),
        "{words}"
    );
}

#[test]
fn asterisks_ids_tell_day_from_month() {
    // 2017-09-01 and 2017-09-03: no number is above 12.
    let rows = "\"1/9/2017 16:33:01\",\"105\",\"442079460101\",\"1504279981.1\"\n\"3/9/2017 11:27:11\",\"105\",\"442079460102\",\"1504434431.36\"\n";
    let turned = rows.replace("1/9/", "9/1/").replace("3/9/", "9/3/");
    for (text, expected) in [(rows, "dmy"), (&turned, "mdy")] {
        let found = guess(sample(text.as_bytes(), "x"), &TimeZone::UTC).unwrap();
        assert_eq!(found.table.dates.as_deref(), Some(expected), "{text}");
        assert!(!found.doubtful_dates, "{text}");
    }
}

#[test]
fn names_of_other_tools_tell_the_parties_and_the_answer() {
    let rows = |row: &dyn Fn(u32) -> String| -> String { (10..20).map(row).collect() };
    let check = |header: &str, row: &dyn Fn(u32) -> String, expected: &str| {
        let words = guessed(&(header.to_string() + "\n" + &rows(row))).0;
        assert_eq!(words, expected, "{header}");
    };
    // What ends with a word for a party is none where another word says whose side it is; and
    // numbers of North America are no seconds.
    check(
        "call_uuid,from_number,to_number,initiation_time,answer_time,bill_duration,hangup_source",
        &|n| format!("a-{n},31255501{n},31255502{n},2026-06-01 09:{n}:33Z,,0,Carrier\n"),
        "call_uuid=call_id from_number=caller_id to_number=called_id initiation_time=start_time answer_time=answer_time bill_duration=bill_duration",
    );
    // One number in two forms is one party; the id of a list is none.
    check(
        "call_date\tphone_number_dialed\tstatus\tsource_id\tphone_number\tlength_in_sec",
        &|n| format!("2026-06-01 09:{n}:33\t31255501{n}\tNA\tS1\t31255501{n}\t{n}\n"),
        "call_date=start_time status=disconnect_reason phone_number=called_id length_in_sec=hold_duration",
    );
    check(
        "Date/Time;End;Caller;Called;Duration;Connect duration;Called IP;Last SIP response",
        &|n| {
            format!(
                "2026-06-01 09:12:{n};2026-06-01 09:13:{n};44123456{n};44987654{n};60;51;192.0.2.1;200 OK\n"
            )
        },
        "Date/Time=start_time End=end_time Caller=caller_id Called=called_id Duration=duration Connect duration=hold_duration Called IP=callee_ip Last SIP response=disconnect_reason",
    );
    check(
        "主叫号码,被叫号码,落地网关,起始时间,通话时长,终止原因",
        &|n| format!("02088880{n},138001380{n},out-1,2026-04-10 14:28:{n},60,正常结束\n"),
        "主叫号码=caller_id 被叫号码=called_id 落地网关=callee_gateway_id 起始时间=start_time 通话时长=hold_duration 终止原因=disconnect_reason",
    );
    check(
        "Fecha,Fuente,Destino,Estado,Duración",
        &|n| format!("2026-04-10 14:28:{n},1{n},9025695{n},ANSWERED,{n}\n"),
        "Fecha=start_time Fuente=caller_id Destino=called_id Estado=disconnect_reason Duración=hold_duration",
    );
}

#[test]
fn a_length_beside_a_refusal_by_sip_counts_the_ringing() {
    let row = |n: u32, secs: u32, reply: &str| {
        format!("2026-06-01 09:12:{n},44123456{n},44987654{n},{secs},{reply}\n")
    };
    let header = "start,caller,called,duration,reply\n";
    for (reply, expected) in [
        ("486 Busy here", "duration=duration"),
        ("USER_BUSY [17]", "duration=duration"),
        ("200 OK", "duration=hold_duration"),
    ] {
        let text = header.to_string() + &row(10, 20, reply) + &row(11, 60, "200 OK");
        assert!(guessed(&text).0.contains(expected), "{text}");
    }
}

#[test]
fn a_time_of_answer_that_failed_calls_have_too_says_nothing_of_the_answer() {
    let header = "Start Time,Answer Time,End Time,Talk Time,Disposition\n";
    let failed = "2026-07-03 07:07:54,2026-07-03 07:08:04,2026-07-03 07:08:04,0,NO ANSWER\n";
    let answered = "2026-07-03 07:07:54,2026-07-03 07:08:04,2026-07-03 07:08:07,3,ANSWERED\n";
    let words = guessed(&format!("{header}{failed}{answered}")).0;
    assert!(!words.contains("answer_time"), "{words}");
    assert!(words.contains("Talk Time=hold_duration"), "{words}");
    let words = guessed(&format!("{header}{answered}{answered}")).0;
    assert!(words.contains("Answer Time=answer_time"), "{words}");
}

#[test]
fn extensions_as_3cx_writes_them_are_parties() {
    let rows = "Call 1,00:05:15,2026/05/04 10:53:43,2026/05/04 10:53:44,2026/05/04 10:58:59,0611360468,Ext.610,10000,610\nCall 2,,2026/05/04 10:58:46,,2026/05/04 10:59:02,Ext.315,Ext.184,315,184\n";
    let words = guessed(rows).0;
    assert!(
        words.contains("field6=caller_id field7=called_id"),
        "{words}"
    );
}

#[test]
fn the_callers_name_may_be_missing_in_an_export_of_asterisks_table() {
    let row = |n: u32, clid: &str, dst: &str| {
        format!(
            "2026-07-03 07:07:{n}\t{clid}\t101\t{dst}\tinternal\tSIP/101-{n}\t\tDial\tx\t40\t30\tANSWERED\t3\t\\N\t17830444{n}.1\n"
        )
    };
    let text = row(10, "\"Ann\" <101>", "902569596") + &row(11, "101", "s");
    let words = guessed(&text).0;
    assert!(
        words.contains("field3=caller_id field4=called_id"),
        "{words}"
    );
}

#[test]
fn the_id_of_a_session_is_no_key_for_both_its_legs_have_it() {
    let row = |n: u32| format!("s-{n},2026-07-03 07:07:{n},101,9025695{n},3{n}\n");
    let rows: String = (10..20).map(row).collect();
    let keys = |name: &str| {
        let text = format!("{name},start,from,to,duration\n{rows}");
        let sample = sample(text.as_bytes(), "x");
        guess(sample, &TimeZone::UTC).unwrap().table.id_keys
    };
    assert!(keys("Session ID").is_empty());
    assert_eq!(keys("Call ID"), [["Call ID"]]);
}

#[test]
fn years_of_two_digits_are_read_and_pointed_out_where_they_could_be_days() {
    for (date, doubtful) in [
        ("16.06.20", false),
        ("26/04/10", true),
        ("2026-04-10", false),
    ] {
        let text = format!("Datum;Rufnummer;Dauer\n{date} 12:25;01755290111;10\n");
        let found = guess(sample(text.as_bytes(), "x"), &TimeZone::UTC).unwrap();
        assert_eq!(found.doubtful_dates, doubtful, "{date}");
        assert!(found.local_times, "{date}");
    }
}

#[test]
fn a_moment_told_twice_is_one_time_and_a_records_own_stands_where_it_belongs() {
    let rows = |row: &dyn Fn(u32) -> String| -> String { (10..15).map(row).collect() };
    // The same second, as a date and as a number.
    let twice = rows(&|n| {
        format!(
            "2026-06-01 09:12:{n};17803051{};00:01:{n};15551230001;4420794600{n}\n",
            n + 20
        )
    });
    let words = guessed(&twice).0;
    assert!(
        words.contains("field1=start_time") && !words.contains("end_time"),
        "{words}"
    );
    // The record was written when the call had ended.
    let behind = rows(&|n| {
        format!(
            "17803052{},\"09:12:{n}.1 UTC Mon Jun 1 2026\",\"09:12:5{}.1 UTC Mon Jun 1 2026\",\"09:13:{}.1 UTC Mon Jun 1 2026\",1555123{n}01,4420794600{n}\n",
            n + 10,
            n % 10,
            n + 30
        )
    });
    let words = guessed(&behind).0;
    assert!(
        words.starts_with("field1=end_time field2=start_time field3=answer_time"),
        "{words}"
    );
    // Calls that are answered at once keep both times.
    let at_once = rows(&|n| {
        format!("2026-06-01 09:12:{n},2026-06-01 09:12:{n},2026-06-01 09:13:{n},1555123{n}01,x\n")
    });
    let words = guessed(&at_once).0;
    assert!(
        words.starts_with("field1=start_time field2=answer_time field3=end_time"),
        "{words}"
    );
}

#[test]
fn a_last_row_of_totals_does_not_hide_the_times_above_it() {
    let row = |n: u32| format!("2026-09-22T22:01:{n},095160471{n},021112345{n},00:00:{n},0.00\n");
    let text = "Call Time,From,To,Talking,Cost\n".to_string()
        + &(10..15).map(row).collect::<String>()
        + "Totals,,,00:01:00,0.00\n";
    let guessed = guess(sample(text.as_bytes(), "x"), &TimeZone::UTC).unwrap();
    let format = Format::from_table(&guessed.table).unwrap();
    let fit = by_format(
        sample(text.as_bytes(), "x"),
        format,
        None,
        guessed.header,
        &TimeZone::UTC,
    );
    assert_eq!((fit.tally.good, fit.tally.bad, fit.fits()), (5, 1, true));
}

#[test]
fn a_code_of_sip_says_that_a_time_of_answer_is_none() {
    let header = "Caller,Callee,Connect Time,Setup Time,Billed Duration,Result\n";
    let row = |secs: u32, code: u32| {
        format!("15551230001,442079460000,2026-06-01 09:12:40,2026-06-01 09:12:33,{secs},{code}\n")
    };
    let refused = guessed(&(header.to_string() + &row(60, 200) + &row(0, 486))).0;
    assert!(!refused.contains("answer_time"), "{refused}");
    let good = guessed(&(header.to_string() + &row(60, 200) + &row(0, 200))).0;
    assert!(good.contains("Connect Time=answer_time"), "{good}");
}

#[test]
fn rows_of_freeswitch_are_known_by_their_ids_and_their_order() {
    let id = |n: u32| format!("5f6a1c3e-0001-4f11-9a01-0000000000{n}");
    // Its template "asterisk" has the columns of Asterisk's own file.
    let row = |n: u32| {
        format!(
            "\"acc\",\"1001\",\"442079460{n}\",\"default\",\"1001\",\"sofia/a\",\"sofia/b\",\"bridge\",\"x\",\"2026-06-01 09:10:{n}\",\"2026-06-01 09:10:{n}\",\"2026-06-01 09:11:{n}\",\"60\",\"60\",\"NORMAL_CLEARING\",\"3\",\"{}\",\"\"\n",
            id(n)
        )
    };
    let rows: String = (10..16).map(row).collect();
    let best = by_presets(sample(rows.as_bytes(), "x"), &TimeZone::UTC).remove(0);
    assert_eq!(best.settings.format.name, "freeswitch-csv");
    // The one for Snom's telephones has a blank in the middle and more columns behind; calls that
    // nobody answered lack a time.
    let row = |n: u32| {
        let answer = ["", "2026-06-01 09:10:30"][n as usize % 2];
        format!(
            "\"Ann\",\"1001\",\"442079460{n}\",\"default\",\"2026-06-01 09:10:{n}\",\"{answer}\",\"2026-06-01 09:11:{n}\",\"60\",\"0\",\"USER_BUSY\",\"{}\",\"\", \"acc\",\"PCMU\",\"PCMU\",\"snom360\",\"\",\"PS=1,OS=2\",\"\",\"\"\n",
            id(n)
        )
    };
    let rows: String = (10..16).map(row).collect();
    let guessed = guess(sample(rows.as_bytes(), "x"), &TimeZone::UTC).unwrap();
    let like = guessed.like.expect("a layout");
    assert_eq!(
        (&*like.format, guessed.columns.len()),
        ("freeswitch-csv", 20)
    );
    assert_eq!(guessed.table.layout[0].columns[12].name, "accountcode");
}

#[test]
fn the_first_of_two_times_is_the_answer_where_some_calls_lack_it() {
    let row = |n: u32, answer: &str| {
        format!(
            "a-{n},442079460{n},{answer},2026-06-01 09:11:{n},{}\n",
            if answer.is_empty() { 0 } else { 41 }
        )
    };
    let text: String = (10..14)
        .map(|n| row(n, &format!("2026-06-01 09:10:{}", n + 19)))
        .collect();
    let words = guessed(&(text + &row(15, ""))).0;
    assert!(
        words.contains("field3=answer_time field4=end_time field5=bill_duration"),
        "{words}"
    );
}

#[test]
fn values_in_objects_inside_objects_are_columns() {
    let row = |n: u32| {
        format!(
            "{{\"data\":{{\"event_type\":\"call.hangup\",\"payload\":{{\"from\":\"+1555123{n}01\",\"to\":\"+442079460000\",\"start_time\":\"2026-06-01T09:12:{n}Z\",\"end_time\":\"2026-06-01T09:13:{n}Z\"}}}}}}\n"
        )
    };
    let words = guessed(&(10..16).map(row).collect::<String>()).0;
    assert_eq!(
        words,
        "data.payload.end_time=end_time data.payload.from=caller_id data.payload.start_time=start_time data.payload.to=called_id"
    );
}
