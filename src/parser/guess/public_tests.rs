//! Files as products publish them, and what each was taken for.

use super::tests::{guessed, guessed_in};
use jiff::tz::TimeZone;

#[test]
fn names_that_a_job_writes_again_are_no_row() {
    let header = "calldate,src,dst,billsec,disposition,uniqueid\n";
    let row =
        |n: u32| format!("2026-04-10 14:{n}:15,101,120255501{n},147,ANSWERED,1775831{n}5.1\n");
    let (words, rows) = guessed(&format!(
        "{header}{}{}{header}{}",
        row(10),
        row(11),
        row(12)
    ));
    assert_eq!(
        (words.as_str(), rows),
        (
            "calldate=start_time src=caller_id dst=called_id billsec=bill_duration disposition=disconnect_reason uniqueid=call_id",
            3
        )
    );
}

#[test]
fn ports_counts_and_lengths_in_nanoseconds_call_nobody() {
    // AudioCodes' SBC: both legs have one session, and ports look like extensions.
    let row = |n: u32| {
        format!(
            "[S={n}]|CALL_END|1703697307{n}@10.132.10.245|{}|10.132.10.245|5060|10.132.10.250|5070|103@a.example|101@10.132.10.250|12|06:15:{n}.950 UTC Thu Mar 02 2012|06:15:{n}.950 UTC Thu Mar 02 2012|06:16:{n}.950 UTC Thu Mar 02 2012\n",
            n / 2
        )
    };
    let header = "[S=1]|SBCReportType|SIPCallId|SessionId|SourceIp|SourcePort|DestIp|DestPort|SrcURI|DstURI|Durat|SetupTime|ConnectTime|ReleaseTime\n";
    let words = guessed(&format!("{header}{}{}{}", row(10), row(11), row(12))).0;
    assert_eq!(
        words,
        "SIPCallId=call_id SourceIp=caller_ip DestIp=callee_ip SrcURI=caller_id DstURI=called_id SetupTime=start_time ConnectTime=answer_time ReleaseTime=end_time"
    );
    // Sansay's VSX begins its rows with their number; CGRateS ends them with a length and a cost.
    let row = |n: u32| {
        format!(
            "0024525{n};V1.10;R;Mon Dec 15 11:38:{n} 2003;Mon Dec 15 11:39:{n} 2003;Mon Dec 15 11:40:{n} 2003;900155512{n};192.0.2.1;881155512{n}\n"
        )
    };
    let words = guessed(&(10..14).map(row).collect::<String>()).0;
    assert!(
        words.contains("field7=caller_id field9=called_id"),
        "{words}"
    );
    let row = |n: u32| {
        format!(
            "dbafe9c8614c785a65aabd116dd3959c3c56f7{n},192.168.1.1,*voice,2013-11-07T08:42:{n}Z,2013-11-07T08:42:{n}Z,{n}000000000,1.01\n"
        )
    };
    let words = guessed(&(10..14).map(row).collect::<String>()).0;
    assert!(!words.contains("caller_id"), "{words}");
}

#[test]
fn numbers_of_the_world_are_parties_before_ids_of_legs() {
    // Cisco's, without its line of names.
    let row = |n: u32| {
        format!(
            "1,2,283{n},369519{n},15935472{n},\"+49123456{n}\",152200202,\"+49234567{n}\",\"+49234567{n}\",15935473{n}\n"
        )
    };
    let words = guessed(&(10..15).map(row).collect::<String>()).0;
    assert_eq!(
        words,
        "field5=start_time field6=caller_id field8=called_id field10=end_time"
    );
}

#[test]
fn names_of_meras_softswitch_tell_who_calls() {
    let row = |n: u32| {
        format!(
            "HOST=mvts1,SRC-NUMBER-IN=44207946{n},SRC-NUMBER-BILL=44207946{n},DST-NUMBER-IN=880171122{n},DST-NUMBER-BILL=880171122{n},SETUP-TIME=22:59:{n}.252 UTC Sun Sep 27 2020,ELAPSED-TIME=120\n"
        )
    };
    let words = guessed(&(10..15).map(row).collect::<String>()).0;
    assert!(
        words.contains("SRC-NUMBER-IN=caller_id DST-NUMBER-IN=called_id"),
        "{words}"
    );
}

#[test]
fn times_and_lengths_are_known_by_the_names_of_more_products() {
    // DIDWW has the zone behind the names; Yeastar has its own spelling; FreeSWITCH has microseconds, and
    // 0 where nobody answered.
    let row = |n: u32, answer: &str, end: &str| {
        format!("2026-04-10 14:28:{n}.123,{answer},{end},12025550{n},44207946{n},147,180\n")
    };
    let text = "Date/Time Start (UTC),Date/Time Connect (UTC),Date/Time End (UTC),Source Number,Destination DID,Duration (s),Charged Duration (s)\n".to_owned()
        + &row(10, "2026-04-10 14:28:33.001", "2026-04-10 14:31:00.001")
        + &row(11, "", "2026-04-10 14:31:00.001");
    let words = guessed(&text).0;
    assert!(
        words.starts_with("Date/Time Start (UTC)=start_time Date/Time Connect (UTC)=answer_time Date/Time End (UTC)=end_time")
            && words.contains("Charged Duration (s)=bill_duration"),
        "{words}"
    );
    let text = r#"{"callid":"1547391782.318","timestart":"2019-01-13 23:03:02","callfrom":"1001","callto":"1005","callduraction":"21","talkduraction":"10","status":"ANSWERED"}"#;
    let words = guessed(&format!("{text}\n")).0;
    assert!(
        words.contains("callduraction=duration") && words.contains("talkduraction=hold_duration"),
        "{words}"
    );
    let text = "uuid\tcaller\tstart_uepoch\tanswer_uepoch\tend_uepoch\tbillsec\tcause\n\
        8f1d2c3b-0001-4f11-9a01-000000000001\t101\t1775831295123456\t1775831303123456\t1775831450123456\t147\tNORMAL_CLEARING\n\
        8f1d2c3b-0001-4f11-9a01-000000000002\t101\t1775831395123456\t0\t1775831405123456\t0\tUSER_BUSY\n";
    let words = guessed(text).0;
    assert!(
        words.contains("start_uepoch=start_time answer_uepoch=answer_time end_uepoch=end_time"),
        "{words}"
    );
}

#[test]
fn times_of_broadworks_are_no_ids_of_asterisk() {
    let row = |n: u32| {
        format!(
            "0000218348005056{n},SP1,Normal,+15145550{n}1,Originating,+15145551{n}1,20260410150{n}.335,1-050000,Yes,20260410151{n}.112,20260410152{n}.870,016\n"
        )
    };
    let words = guessed(&(100..105).map(row).collect::<String>()).0;
    assert!(
        words.contains("field7=start_time field10=answer_time field11=end_time"),
        "{words}"
    );
}

#[test]
fn the_later_of_two_times_is_the_answer_where_the_call_is_longer_than_both_are_apart() {
    let row = |n: u32| {
        format!(
            "dbafe9c8614c785a65aabd116dd3959c3c56f7{n},call,1001,+49865171749{n},2013-11-07 08:42:{n} +0000 UTC,2013-11-07 08:43:{n} +0000 UTC,1m{n}s,1.0100\n"
        )
    };
    let words = guessed(&(10..15).map(row).collect::<String>()).0;
    assert!(
        words.contains("field5=start_time field6=answer_time field7=hold_duration"),
        "{words}"
    );
}

#[test]
fn times_with_the_letters_of_the_given_zone_are_set_in_order() {
    // Cisco's gateways begin a row with when it was written, and have the setup behind it.
    let row = |n: i64| {
        format!(
            "{},1923{n},0,2,\"C6B95D{n}\",\"14:31:{n}.268 PDT Tue May 12 2015\",\"14:32:{n}.508 PDT Tue May 12 2015\",\"14:34:{n}.508 PDT Tue May 12 2015\",\"10\",\"120255501{n}\",\"120255502{n}\"\n",
            1_431_466_440 + n
        )
    };
    let zone = TimeZone::get("America/Los_Angeles").unwrap();
    let words = guessed_in(&(10..15).map(row).collect::<String>(), &zone).0;
    assert!(
        words.contains("field6=start_time field7=answer_time"),
        "{words}"
    );
}

#[test]
fn rows_of_the_table_acc_are_lines_of_calls_that_are_joined() {
    // Exported from MySQL, and as Kamailio's acc_json writes them.
    let text = "id\tmethod\tfrom_tag\tto_tag\tcallid\tsip_code\tsip_reason\ttime\tsrc_user\tdst_user\n\
        1\tINVITE\t12c3\t9p3s\tub2d@192.0.2.1\t200\tOK\t2020-11-05 08:38:20\talice\tbob\n\
        2\tBYE\t12c3\t9p3s\tub2d@192.0.2.1\t200\tOK\t2020-11-05 08:39:20\talice\tbob\n\
        3\tMESSAGE\t12c4\t9p3t\tub2e@192.0.2.1\t200\tOK\t2020-11-05 08:39:21\talice\tbob\n";
    assert_eq!(
        guessed(text),
        (
            "method=method from_tag=from_tag to_tag=to_tag callid=call_id sip_code=end_reason sip_reason=disconnect_reason time=event_time src_user=caller_id dst_user=called_id".to_owned(),
            2
        )
    );
    let text = r#"{"method": "INVITE", "from_tag": "12c3", "to_tag": "9p3s", "callid": "ub2d", "sip_code": "200", "sip_reason": "OK", "time": 1604565500, "src_user": "alice"}"#;
    let words = guessed(&format!("{text}\n")).0;
    assert!(words.contains("time=event_time"), "{words}");
    // OpenSIPS tells whole calls in the same table.
    let text = "method,from_tag,to_tag,callid,sip_code,sip_reason,time,duration\n\
        INVITE,12c3,9p3s,ub2d@192.0.2.1,200,OK,2020-11-05 08:38:20,60\n\
        INVITE,12c4,9p3t,ub2e@192.0.2.1,486,Busy,2020-11-05 08:39:20,0\n";
    let words = guessed(text).0;
    assert!(!words.contains("=method"), "{words}");
}

#[test]
fn a_length_whose_name_says_minutes_is_read_in_minutes() {
    let check = |lengths: [&str; 2]| {
        let [one, other] = lengths;
        let text = format!(
            "Datum;Uhrzeit;Von;Nach;Dauer (min)\n10.04.2026;14:28:15;4921112345678;4930123456;{one}\n11.04.2026;14:30:02;4921112345678;491701234567;{other}\n"
        );
        assert_eq!(
            guessed(&text),
            (
                "Uhrzeit=start_time Von=caller_id Nach=called_id Dauer (min)=hold_duration"
                    .to_owned(),
                2
            ),
            "{lengths:?}"
        );
    };
    check(["02:27", "00:45"]);
    check(["2,45", "0,75"]);
    check(["2.45", "0"]);
}

#[test]
fn a_title_is_a_header_and_what_is_left_of_a_row_is_none() {
    // Eltex' SMG says in each file when it was begun; Grandstream has fewer names than columns.
    let row = |n: u32| {
        format!(
            "27;2;user answer;192.168.16.2;5200{n};5100{n};2011-10-24 09:33:{n};2011-10-24 09:34:{n}\n"
        )
    };
    let rows: String = (10..14).map(row).collect();
    let (words, good) = guessed(&format!(
        "SMG4. CDR. File started at '20111024093328'\n{rows}"
    ));
    assert!(words.contains("field7=start_time"), "{words}");
    assert_eq!(good, 4);
    let (_, good) = guessed(&format!(
        "Prefix;Length;Cause;Address;From;To;Begun\n{rows}"
    ));
    assert_eq!(good, 4);
    let bytes = format!("192.168.16.2;52009;51009;2011-10-24 09:33:09;2011-10-24 09:34:09\n{rows}");
    let torn = super::tests::header_of(&bytes);
    assert_eq!(torn, super::Header::Auto);
    let torn = super::tests::header_of(&format!("OK\n{rows}"));
    assert_eq!(torn, super::Header::Auto);
}

#[test]
fn a_day_and_an_hour_in_digits_alone_are_a_time() {
    let row = |n: u32| format!("1,145728935{n},861586005{n}001,20160415,1618{n},0001{n},02\n");
    let words = guessed(&(10..14).map(row).collect::<String>()).0;
    assert_eq!(words, "field2=caller_id field3=called_id field5=start_time");
}

#[test]
fn calls_that_failed_in_words_of_other_languages_are_not_told_as_connected() {
    let text = |words: [&str; 3]| {
        let row = |(n, word): (usize, &str)| {
            format!("2026-04-10 14:{n}8:15;101;91234567{n};2{n};{word}\n")
        };
        let rows = words.into_iter().enumerate().map(row);
        format!(
            "Fecha;Origen;Destino;Duración;Estado\n{}",
            rows.collect::<String>()
        )
    };
    // What is known to be a failure, and what is not known at all but differs.
    for words in [
        ["CONTESTADO", "OCUPADO", "Sin respuesta"],
        ["Besvaret", "Optaget", "Ikke besvaret"],
    ] {
        let words = guessed(&text(words)).0;
        assert!(words.contains("Duración=duration"), "{words}");
    }
    let words = guessed(&text(["CONTESTADO"; 3])).0;
    assert!(words.contains("Duración=hold_duration"), "{words}");
}

#[test]
fn whom_a_call_was_forwarded_from_was_not_called() {
    let row =
        |n: u32, from: &str| format!("+120255501{n},2018-08-23 08:{n} UTC,{n},completed,{from}\n");
    let text = "From,Start Time,Duration,Status,Forwarded From\n".to_owned()
        + &row(10, "")
        + &row(11, "+12025550199");
    let words = guessed(&text).0;
    assert!(!words.contains("called_id"), "{words}");
}

#[test]
fn the_ticks_of_a_clock_call_nobody() {
    // Sonus' GSX and Ribbon's SBC have the system's ticks before the numbers.
    let row = |n: u32, caller: u32| {
        format!(
            "STOP,GSX1,0x001200000000{n},1234{n}789,04/13/2026,14:28:{n}.1,04/13/2026,14:30:{n}.2,212555010{caller},442079460{caller}\n"
        )
    };
    let text = row(10, 7) + &row(11, 3) + &row(12, 5) + &row(13, 1);
    let words = guessed(&text).0;
    assert!(
        words.contains("field9=caller_id field10=called_id"),
        "{words}"
    );
}

#[test]
fn lengths_of_kazoo_and_wazo_are_known_by_their_names() {
    let text = "call_id,caller_id_number,callee_id_number,duration_seconds,billing_seconds,iso_8601\n\
        9f3b-1,1000,12025550101,155,147,2026-04-10T14:28:15Z\n";
    let words = guessed(text).0;
    assert!(
        words.contains("duration_seconds=duration billing_seconds=bill_duration"),
        "{words}"
    );
    let text = "Call Date,Caller,Called,Period,user Field\n\
        2015-01-02T00:00:00,Alice (1001),1002,2,userfield\n";
    let words = guessed(text).0;
    assert!(words.contains("Period=hold_duration"), "{words}");
}

#[test]
fn what_is_called_after_one_side_is_no_party_of_the_other() {
    // Kamailio's table of whole calls, with numbers as called users alone.
    let row = |n: u32| {
        format!(
            "{n},alice,example.com,4420712345{n},example.com,004420712345{n},2024-03-11 09:{n}:22,65,abc{n}@192.0.2.1,t1,t2,2024-03-11 10:{n}:00\n"
        )
    };
    let header = "cdr_id,src_username,src_domain,dst_username,dst_domain,dst_ousername,call_start_time,duration,sip_call_id,sip_from_tag,sip_to_tag,created\n";
    let words = guessed(&format!("{header}{}{}{}", row(10), row(11), row(12))).0;
    assert_eq!(
        words,
        "src_username=caller_id dst_username=called_id dst_ousername=dialled_id call_start_time=start_time duration=hold_duration sip_call_id=call_id"
    );
    // Under names that are not known the side alone is.
    let row = |n: u32| format!("2024-03-11 09:{n}:22,4420712345{n},15550001{n},65\n");
    let text = "begun,dst_msisdn,dst_e164,length\n".to_owned() + &row(10) + &row(11) + &row(12);
    let words = guessed(&text).0;
    assert!(!words.contains("caller_id"), "{words}");
}

#[test]
fn a_length_whose_name_says_milliseconds_is_read_in_them() {
    let row = |n: u32, answer: &str, millis: u32| {
        format!(
            "c-{n},4420711111{n},4420712345{n},17101485{n}123,{answer},17101486{n}123,{millis}\n"
        )
    };
    for name in [
        "durationMs",
        "duration_ms",
        "Duration (ms)",
        "talk_time_msec",
    ] {
        let text = format!(
            "callId,callerNumber,calleeNumber,startTimestamp,connectTimestamp,endTimestamp,{name}\n"
        ) + &row(22, "1710148525123", 97_400)
            + &row(23, "", 0)
            + &row(24, "1710148547123", 77_250);
        let (words, rows) = guessed(&text);
        // From the answer on.
        assert!(words.contains(&format!(" {name}=hold_duration")), "{words}");
        assert_eq!(rows, 3);
    }
}

#[test]
fn the_time_of_disconnecting_is_no_answer_under_longer_names() {
    // Cisco's attributes of RADIUS, and Amazon Connect's records.
    for (start, end) in [
        ("h323-setup-time", "h323-disconnect-time"),
        ("InitiationTimestamp", "DisconnectTimestamp"),
    ] {
        let row = |n: u32| {
            format!("a{n},2026-04-10T09:{n}:15Z,2026-04-10T09:{n}:55Z,120255501{n},44207946{n}\n")
        };
        let text = format!("callid,{start},{end},ani,dnis\n") + &row(10) + &row(11) + &row(12);
        let words = guessed(&text).0;
        assert!(words.contains(&format!("{end}=end_time")), "{words}");
    }
    let text = r#"{"id":"a1","start_time":"2026-04-10T09:10:15Z","AnsweringMachineDetectionStatus":null,"DisconnectReason":"CUSTOMER_DISCONNECT"}"#;
    let words = guessed(&format!("{text}\n")).0;
    assert!(
        words.contains("DisconnectReason=disconnect_reason"),
        "{words}"
    );
}

#[test]
fn a_call_that_failed_when_it_was_connected_was_not_answered() {
    // PortaBilling writes the end into both times; its lengths are in minutes and seconds.
    let row = |n: u32, end: u32, length: &str, reason: &str| {
        format!(
            "120255501{n},44207946{n},2024-03-11 09:{n}:26,2024-03-11 09:{end}:26,{length},{reason}\n"
        )
    };
    let rows = row(15, 17, "2:00", "Normal call clearing") + &row(18, 18, "0:00", "User busy");
    let words = guessed(&format!(
        "CLI,CLD,Connect Time,Disconnect Time,\"Charged Time\",Disconnect Reason\n{rows}"
    ))
    .0;
    assert!(words.contains("Connect Time=start_time"), "{words}");
    // Calls that were answered and lasted no second are no sign.
    let rows = row(15, 17, "2:00", "Normal call clearing") + &row(18, 18, "0:00", "Normal");
    let words = guessed(&format!(
        "CLI,CLD,Connect Time,Disconnect Time,\"Charged Time\",Disconnect Reason\n{rows}"
    ))
    .0;
    assert!(words.contains("Connect Time=answer_time"), "{words}");
}

#[test]
fn a_short_date_is_in_doubt_only_where_its_year_may_be_in_front() {
    let doubt = |days: [&str; 2]| {
        let [one, other] = days;
        let text = format!(
            "begun,src,dst\n{one} 09:15 AM,12025550101,442079460101\n{other} 09:16 AM,12025550101,442079460102\n"
        );
        super::tests::guess_of(&text).doubtful_dates
    };
    assert!(!doubt(["3/11/24", "3/13/24"]));
    assert!(!doubt(["03/11/24", "03/13/24"]));
    assert!(doubt(["24/03/11", "24/03/12"]));
    assert!(doubt(["03/11/24", "03/12/24"]));
}
