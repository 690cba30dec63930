//! `formats try`: from a file that is lying around to a source that works.

use crate::support::{Bench, receiver, run, switchhook, text, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use switchhook::receiver::Profile;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn attempt(path: &Path, more: &[&str]) -> Output {
    let mut command = switchhook();
    command.args(["formats", "try"]).arg(path).args(more);
    command.output().unwrap()
}

/// Checks a configuration that is nothing but the table printed and an endpoint; of documents there
/// are no rows to count.
#[track_caller]
fn check_pasted(printed: &str, rows: usize) {
    let (_, table) = printed.split_once("to paste and adjust\n").expect(printed);
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "state_dir = \"{}\"\n{table}\n[[endpoint]]\nname = \"e\"\nurl = \"https://example.com\"\nevents = [\"*\"]\nsignature = \"none\"\n",
        dir.path().display()
    );
    let path = dir.path().join("switchhook.toml");
    fs::write(&path, config).unwrap();
    let output = run(&["check", "--config", path.to_str().unwrap()]);
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{errors}\n{table}");
    let expected = match rows {
        0 => "the configuration is good".to_string(),
        rows => format!("of the first rows {rows} fit, 0 do not"),
    };
    assert!(out.contains(&expected), "{expected:?} is not in\n{out}");
}

#[test]
fn the_table_that_try_prints_can_be_pasted_for_every_sample_of_lines() {
    for (name, rows) in [
        ("vos3000/softswitch-pipe/epoch-ms/2026041014.txt", 20),
        ("vos3000/server-csv/cdr_20260410144500_53col.csv", 15),
        ("asterisk/cdr-csv/Master-18col.csv", 5),
        ("asterisk/cdr-custom/Master-real-19col.csv", 14),
        ("asterisk/cel/Master.csv", 3),
        ("asterisk/logs/queue_log", 6),
        ("freeswitch/cdr-csv/Master-builtin-template.csv", 4),
        // Told in lines and as whole calls: what is pasted tells the whole ones alone.
        ("kamailio/acc-syslog.log", 1),
        ("opensips/acc_flatstore_1.log", 3),
        ("nasty/gbk.csv", 2),
    ] {
        // A directory of its own: the glob printed leaves out the date in a name.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(Path::new(name).file_name().unwrap());
        fs::copy(fixture(name), &path).unwrap();
        let output = attempt(&path, &[]);
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{name}: {out}");
        check_pasted(&out, rows);
    }
}

#[test]
fn a_directory_of_documents_is_tried_by_its_newest_and_what_is_printed_can_be_pasted() {
    for name in ["freeswitch/json_cdr", "freeswitch/xml_cdr"] {
        let dir = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(fixture(name)).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
        // The last one is still being written.
        let half = fixture("nasty/json-truncated/5f6a1c3e-0010-4f11-9a01-000000000010.cdr.json");
        fs::write(dir.path().join("z.cdr"), fs::read(half).unwrap()).unwrap();
        let output = attempt(dir.path(), &[]);
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{name}: {out}");
        fs::remove_file(dir.path().join("z.cdr")).unwrap();
        assert!(out.contains("start = \"now\""), "{out}");
        check_pasted(&out, 0);
    }
    let empty = tempfile::tempdir().unwrap();
    let said = text(&attempt(empty.path(), &[]).stderr);
    assert!(said.contains("no file in it; name one file"), "{said}");
}

#[test]
fn a_source_that_is_pasted_beside_another_has_a_name_of_its_own() {
    for (name, expected) in [
        ("asterisk/cdr-csv/Master-18col.csv", "name = \"cdr\""),
        ("asterisk/logs/queue_log", "name = \"asterisk-queue-log\""),
        ("asterisk/cel/Master.csv", "name = \"asterisk-cel\""),
    ] {
        let out = text(&attempt(&fixture(name), &[]).stdout);
        assert!(out.contains(expected), "{out}");
    }
}

#[test]
fn a_file_of_another_release_gets_a_list_of_columns_that_reads_it() {
    let rows = fs::read_to_string(fixture("vos3000/server-csv/cdr_20260410143000.csv")).unwrap();
    let more = |line: &str| format!("{line},\"x\",\"\",7,\"y\"\n");
    let fewer = |line: &str| format!("{}\n", line.rsplitn(3, ',').last().unwrap());
    let shifted = |line: &str| format!("7,{line}\n");
    let pipes = |line: &str| format!("{}\n", line.replace(',', "|").replace('"', ""));
    let forms: [&dyn Fn(&str) -> String; 4] = [&more, &fewer, &shifted, &pipes];
    for form in forms {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cdr.csv");
        fs::write(&path, rows.lines().map(form).collect::<String>()).unwrap();
        let output = attempt(&path, &[]);
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{out}");
        for expected in [
            "GUESSED",
            "vos3000-csv \"52\"",
            "as = \"caller_id\"",
            "id_keys = [[\"flowno\"]",
        ] {
            assert!(out.contains(expected), "{expected:?} is not in\n{out}");
        }
        check_pasted(&out, 30);
    }
}

/// Rows as other switches and their tools write them: names and numbers are made up.
#[test]
fn files_of_other_makes_get_a_source_that_reads_every_row_and_finds_the_numbers() {
    let cucm = "\"cdrRecordType\",\"dateTimeOrigination\",\"callingPartyNumber\",\"finalCalledPartyNumber\",\"dateTimeConnect\",\"dateTimeDisconnect\",\"pkid\",\"duration\"\nINTEGER,INTEGER,VARCHAR(50),VARCHAR(50),INTEGER,INTEGER,UNIQUEIDENTIFIER,INTEGER\n";
    let row = |form: &dyn Fn(u32) -> String| (10..30).map(form).collect::<String>();
    let cases: [(String, &[&str]); 12] = [
        (
            "Date,Time,Caller,Callee,Duration\n".to_string()
                + &row(&|n| {
                    format!("4/{n}/2026,02:01:{n} PM,12025550101,4420794601{n},0:00:{n}\n")
                }),
            &["dates = \"mdy\"", "as = \"start_time\", date = \"Date\""],
        ),
        (
            cucm.to_string()
                + &row(&|n| {
                    format!(
                        "1,17758008{n},\"12025550101\",\"4420794601{n}\",17758009{n},17758010{n},\"a-{n}\",100\n"
                    )
                }),
            &[
                "\"dateTimeOrigination\", type = \"time\", as = \"start_time\"",
                "\"duration\", type = \"seconds\"",
                "[[\"pkid\"]]",
            ],
        ),
        (
            "sep=;\r\ncaller;called;start;seconds\r\n".to_string()
                + &row(&|n| format!("12025550101;4420794601{n};10/04/2026 14:{n};30\r\n")),
            &[
                "no date here tells day, month and year apart",
                "dates = \"dmy\"",
                "\"start\", type = \"time\", as = \"start_time\"",
            ],
        ),
        (
            // FreeSWITCH's template "asterisk": quotes in the caller's name stand as they are.
            row(&|n| {
                format!(
                    "\"acme\",\"12025550101\",\"4420794601{n}\",\"default\",\"\"Ann, Lee\" <12025550101>\",\"sofia/a\",\"\",\"bridge\",\"x\",\"2026-04-10 14:27:{n}\",\"\",\"2026-04-10 14:28:{n}\",\"60\",\"0\",\"USER_BUSY\",\"3\",\"5f6a1c3e-0001-4f11-9a01-0000000000{n}\",\"\"\n"
                )
            }),
            &["format = \"freeswitch-csv\""],
        ),
        (
            "Call From,Call To,Time,Talk Duration,Source Trunk\n".to_string()
                + &row(&|n| {
                    format!(
                        "12025550101,4420794601{n},{n}-Apr-2026 02:01:28 PM,00:00:{n},siptrunk\n"
                    )
                }),
            &[
                "\"Call From\", as = \"caller_id\"",
                "\"Talk Duration\", type = \"seconds\", as = \"hold_duration\"",
                "\"Source Trunk\", as = \"gateway_id\"",
            ],
        ),
        (
            row(&|n| {
                format!(
                    "'12025550101','4420794601{n}','2026-04-10 14:27:{n}','2026-04-10 14:28:{n}','a, b'\n"
                )
            }),
            &["quote = \"'\""],
        ),
        (
            // The tenant's id stands before the call's.
            "domain_uuid,xml_cdr_uuid,caller,callee,start,billsec\n".to_string()
                + &row(&|n| {
                    format!(
                        "5f6a1c3e-0001-4f11-9a01-00000000000{},5f6a1c3e-0001-4f11-9a01-0000000000{n},12025550101,4420794601{n},2026-04-10 14:27:{n},{n}\n",
                        n % 2
                    )
                }),
            &["id_keys = [[\"xml_cdr_uuid\"]]"],
        ),
        (
            "uuid,caller,callee,start,billsec\n".to_string()
                + "c-1,12025550101,442079460101,2026-04-10 14:27:10,7\n"
                + "c-2,12025550101,442079460102,2026-04-10 14:27:11,7\n",
            &["# id_keys = ", "\"uuid\", as = \"call_id\""],
        ),
        (
            row(&|n| {
                format!(
                    "\"x \"y\" z\",\"12025550101\",\"4420794601{n}\",\"2026-04-10 14:27:{n}\",\"2026-04-10 14:28:{n}\"\n"
                )
            }),
            &["quoting = \"lenient\""],
        ),
        (
            row(&|n| {
                let name = if n == 17 { "Ann \"Bo\" Lee" } else { "Ann Lee" };
                format!(
                    "\"{name}\",\"12025550101\",\"4420794601{n}\",\"2026-04-10 14:27:{n}\",\"2026-04-10 14:28:{n}\"\n"
                )
            }),
            &["quoting = \"lenient\""],
        ),
        (
            row(&|n| {
                format!(
                    "2|08:01:{n}.123 UTC Fri Apr 10 2026|08:02:{n}.123 UTC Fri Apr 10 2026|12025550101|4420794601{n}|NULL\n"
                )
            }),
            &["nothing = [\"NULL\"]", "as = \"end_time\""],
        ),
        (
            row(&|n| {
                format!(
                    "x/y/ACC: call missed: timestamp=17758008{n};method=INVITE;from_tag=a{n};to_tag=;call_id={n};code=408;reason=x;src_user=12025550101;dst_user=4420794601{n}\nx/y/ACC: call ended: created=17758008{n};call_start_time=17758009{n};duration=5;method=INVITE;from_tag=b{n};to_tag=b;call_id=x{n};code=200;reason=OK;src_user=12025550101;dst_user=4420794601{n}\n"
                )
            }),
            &["format = \"opensips-acc\""],
        ),
    ];
    for (rows, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cdr.txt");
        fs::write(&path, &rows).unwrap();
        let output = attempt(&path, &["--timezone", "Europe/Berlin"]);
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{out}");
        for expected in expected {
            assert!(out.contains(expected), "{expected:?} is not in\n{out}");
        }
        assert!(
            !out.contains("\"caller_id\":null") && !out.contains("columns = \"cdr\""),
            "{out}"
        );
        // What is to be filled in is not there already.
        assert!(
            !(out.contains("# id_keys = ") && out.contains("\nid_keys = ")),
            "{out}"
        );
        check_pasted(&out, rows.matches("4420794601").count());
    }
}

#[test]
fn try_says_why_nothing_fits_and_exits_with_65() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd.csv");
    let good = fs::read_to_string(fixture("vos3000/server-csv/cdr_20260410143000.csv")).unwrap();
    let three: String = good
        .lines()
        .take(3)
        .map(|line| format!("{line}\n"))
        .collect();
    let syslog = fs::read_to_string(fixture("asterisk/cdr-csv/Master-18col.csv")).unwrap();
    let syslog: Vec<String> = syslog
        .lines()
        .map(|row| format!("Jul  3 07:08:34 pbx asterisk[1234]: {row}\n"))
        .collect();
    let cases: [(Vec<u8>, &str); 22] = [
        (
            syslog.concat().into_bytes(),
            "are rows of asterisk-cdr: take",
        ),
        (
            b"Nov  5 08:38:20 sip1 kamailio[20820]: {\"method\": \"INVITE\", \"time\": 1604565500}\n"
                .to_vec(),
            "%msg:2:$%",
        ),
        (
            b"id(int,auto) method(string) time(int)\n1:INVITE:1604565500\n".to_vec(),
            "delimiter = \":\"",
        ),
        (b"BZh91AY&SY".to_vec(), "bzip2 -dc"),
        (b"\xFD7zXZ\0\0\x04".to_vec(), "xz -dc"),
        (b"PK\x03\x04\x14\0,\n,\n".to_vec(), "saved as CSV"),
        (b"SQLite format 3\0,a,b\n".to_vec(), "sqlite3 -header -csv"),
        (b"<HTML><body>\n".to_vec(), "is HTML"),
        (b"\x01\x02\x03,\x01\n,\x04\x05".to_vec(), "is no text"),
        (b"a,b,c\rd,e,f\r".to_vec(), "tr '\\r' '\\n'"),
        (
            b"{\"end\":1,\"calls\":[{\"sid\":\"CA1\",\"start\":\"2026-04-10 10:00:00\"}]}\n"
                .to_vec(),
            "jq -c '.calls[]'",
        ),
        (
            b"[{\"retCode\":0,\"infoCdrs\":[{\"flowNo\":\"1\"},{\"flowNo\":\"2\"}]}]".to_vec(),
            "jq -c '.[].infoCdrs[]'",
        ),
        (
            b"{\n \"Response\": {\"Total\": 1, \"TelCdrs\": [{\"Caller\": \"1\"}]}\n}\n".to_vec(),
            "jq -c '.Response.TelCdrs[]'",
        ),
        (
            b"+----------+------+\n| calldate | src  |\n+----------+------+\n".to_vec(),
            "mysql --batch",
        ),
        (
            b"[{\"caller\": \"12025550101\", \"start\": 1}, {\"caller\": \"12025550101\"}]"
                .to_vec(),
            "jq -c",
        ),
        (
            b"[10:00:01] gateway a is gone\n[10:00:02] gateway a is back\n".to_vec(),
            "format = \"pattern\"",
        ),
        (
            b"{\n  \"alarms\": [\n    {}\n  ]\n}\n".to_vec(),
            "format = \"vos3000-push\"",
        ),
        (
            three
                .into_bytes()
                .into_iter()
                .chain(b"a,b,c\n".repeat(37))
                .collect(),
            "fits vos3000-csv 52 in 3 of 40 rows:",
        ),
        (
            b"only prose, and no rows\nof any kind\n".to_vec(),
            "format = \"pattern\"",
        ),
        (
            good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "UTF-16",
        ),
        (b"\x1F\x8B\x08rest".to_vec(), "unpack it first"),
        (b"\n \n".to_vec(), "has no rows"),
    ];
    for (bytes, expected) in cases {
        fs::write(&path, bytes).unwrap();
        let output = attempt(&path, &[]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(65), "{said}");
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    let missing = attempt(Path::new("/nowhere/at/all"), &[]);
    assert_eq!(missing.status.code(), Some(65));
    let wrong = attempt(&path, &["--format", "vos2000"]);
    assert_eq!(wrong.status.code(), Some(64));
}

#[test]
fn try_hides_numbers_unless_asked_and_names_what_is_provisional() {
    let path = fixture("vos3000/softswitch-pipe/2026041014.txt");
    let masked = text(&attempt(&path, &[]).stdout);
    let whole = text(&attempt(&path, &["--payload", "--timezone", "Asia/Dhaka"]).stdout);
    let row = fs::read_to_string(&path).unwrap();
    let number = row.split('|').next().unwrap();
    assert!(
        !masked.contains(number) && whole.contains(number),
        "{masked}"
    );
    assert!(masked.contains("PROVISIONAL") && masked.contains("change it to the zone"));
    assert!(whole.contains("timezone = \"Asia/Dhaka\""), "{whole}");
}

#[test]
fn a_log_that_tells_calls_twice_is_pointed_out_by_try_and_check() {
    let path = fixture("kamailio/acc-syslog.log");
    let told = text(&attempt(&path, &[]).stdout);
    assert!(told.contains("calls are told twice here"), "{told}");
    let bench = Bench::new();
    for (columns, is_told) in [("", true), ("columns = \"cdr\"", false)] {
        let endpoint = "url = \"http://127.0.0.1:9/\"";
        configure(&bench, "kamailio-acc", &path, columns, endpoint);
        let config = bench.path("switchhook.toml").display().to_string();
        let told = text(&run(&["check", "--config", &config]).stdout);
        assert_eq!(
            told.contains("calls are told twice here"),
            is_told,
            "{told}"
        );
    }
}

/// Writes a configuration with one source of `format` over `files`, and whatever else it needs.
fn configure(bench: &Bench, format: &str, files: &Path, more: &str, endpoint: &str) {
    let config = format!(
        "node = \"n\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\n[[source]]\nname = \"cdr\"\nformat = \"{format}\"\nfiles = [\"{}\"]\nstart = \"beginning\"\npoll = \"200ms\"\n{more}\n\
         [[endpoint]]\nname = \"e\"\nevents = [\"*\"]\nsecret_file = \"secret\"\n{endpoint}\n",
        files.display()
    );
    fs::write(bench.path("switchhook.toml"), config).unwrap();
}

#[test]
fn a_log_of_several_kinds_is_delivered_and_what_is_passed_over_is_counted() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &[], 0);
    let url = format!("url = \"{}\"", receiver.url());
    configure(
        &bench,
        "asterisk-queue-log",
        &fixture("asterisk/logs/queue_log"),
        "",
        &url,
    );
    let agent = bench.agent();
    wait_until("six events to arrive", || receiver.account().distinct == 6);
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    let (_, source) = &ledger.sources[0];
    let counts = (
        source.counts.rows,
        source.counts.filtered,
        source.counts.rejected,
    );
    assert_eq!(counts, (7, 1, 0));
}

#[test]
fn local_times_that_summer_time_doubles_are_told_once_in_the_log() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &[], 0);
    let row = |minute: u32| {
        format!(
            "\"\",\"1\",\"2\",\"c\",\"\",\"a\",\"\",\"Dial\",\"x\",\"2026-10-25 02:{minute:02}:05\",,\"2026-10-25 02:{minute:02}:07\",2,0,\"BUSY\",\"D\",\"1.{minute}\",\"\",\"\",\"1.1\",{minute}\n"
        )
    };
    fs::write(
        bench.path("cdr/Master.csv"),
        (0..30).map(row).collect::<String>(),
    )
    .unwrap();
    let url = format!("url = \"{}\"", receiver.url());
    let zone = "timezone = \"Europe/Berlin\"";
    configure(
        &bench,
        "asterisk-cdr",
        &bench.path("cdr/Master.csv"),
        zone,
        &url,
    );
    let agent = bench.agent();
    wait_until("thirty events to arrive", || {
        receiver.account().distinct == 30
    });
    let log = agent.log();
    assert_eq!(agent.stop(), 0);
    assert_eq!(log.matches("summer time repeats").count(), 1, "{log}");
}

#[test]
fn a_preset_with_layouts_for_several_kinds_can_be_pasted_whole() {
    for (preset, sample, rows) in [
        ("asterisk-queue-log", "asterisk/logs/queue_log", 6),
        ("asterisk-cel", "asterisk/cel/Master.csv", 3),
        ("kamailio-acc", "kamailio/acc-syslog.log", 5),
    ] {
        let shown = text(&run(&["formats", "show", preset]).stdout);
        let (_, keys) = shown.split_once("to paste and change\n").unwrap();
        let files = fixture(sample);
        let table = format!(
            "[[source]]\nname = \"cdr\"\nfiles = [\"{}\"]\nstart = \"now\"\n{keys}",
            files.display()
        );
        check_pasted(&format!("to paste and adjust\n{table}"), rows);
    }
}

#[test]
fn try_says_where_nothing_tells_whether_calls_were_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    let rows = "Date,Source,Destination,Status\n2026-04-10 10:00:00,1001,442079460101,ok\n2026-04-10 10:02:00,1001,442079460102,ok\n";
    fs::write(&path, rows).unwrap();
    let output = attempt(&path, &[]);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(printed.contains("no column is known to say whether a call was answered"));
    assert!(printed.contains("\"connected\":null"), "{printed}");
    check_pasted(&printed, 2);
}

#[test]
fn try_names_the_encodings_that_look_like_the_one_it_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    // Headers of a caller, a called one, and a beginning in Big5, and one in Russian KOI8-R.
    let taiwan = b"\xA5D\xA5s\xB8\xB9\xBDX,\xB3Q\xA5s\xB8\xB9\xBDX,\xB6}\xA9l\xAE\xC9\xB6\xA1\n";
    let russia = b"\xEB\xD4\xCF \xDA\xD7\xCF\xCE\xC9\xCC,\xEB\xD5\xC4\xC1 \xDA\xD7\xCF\xCE\xC9\xCC\xC9,\xEE\xC1\xDE\xC1\xCC\xCF\n";
    let rows = b"0912345678,0223456789,2024-03-11 09:15:22\n";
    for (header, other) in [(&taiwan[..], "big5"), (&russia[..], "koi8-r")] {
        fs::write(&path, [header, rows].concat()).unwrap();
        let printed = text(&attempt(&path, &[]).stdout);
        assert!(printed.contains("found by its bytes"), "{printed}");
        assert!(printed.contains(other), "{printed}");
        let again = attempt(&path, &["--encoding", other]);
        assert_eq!(again.status.code(), Some(0));
        check_pasted(&text(&again.stdout), 1);
    }
}

#[test]
fn a_file_whose_name_has_signs_of_a_glob_is_found_by_what_is_pasted() {
    let dir = tempfile::tempdir().unwrap();
    let calls = dir.path().join("calls [1]");
    fs::create_dir(&calls).unwrap();
    let path = calls.join("Master[2].csv");
    fs::copy(fixture("asterisk/cdr-csv/Master-18col.csv"), &path).unwrap();
    check_pasted(&text(&attempt(&path, &[]).stdout), 5);
}

#[test]
fn try_says_which_parties_are_not_known_and_what_a_length_with_one_colon_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    let rows = "Date,Subscriber,Duration,Disposition\n2026-04-10 10:00:00,alice,01:05,NORMAL_CLEARING\n2026-04-10 10:02:00,bob,00:00,USER_BUSY\n";
    fs::write(&path, rows).unwrap();
    let printed = text(&attempt(&path, &[]).stdout);
    for expected in [
        "who called: mark one, as = \"caller_id\"",
        "who was called: mark one, as = \"called_id\"",
        "\"Duration\" could be in minutes and seconds",
    ] {
        assert!(printed.contains(expected), "{printed}");
    }
    let known = fixture("vos3000/server-csv/cdr_20260410143000.csv");
    let printed = text(&attempt(&known, &[]).stdout);
    assert!(!printed.contains("mark one"), "{printed}");
    // What it says to write reads the rows.
    let table = "[[source]]\nname = \"cdr\"\nstart = \"now\"\nformat = \"delimited\"\ndelimiter = \",\"\ntimezone = \"UTC\"\nheader = \"present\"\ncolumns = [{ name = \"Date\", type = \"time\", as = \"start_time\" }, { name = \"Subscriber\", as = \"caller_id\" }, { name = \"Duration\", type = \"minutes\", as = \"hold_duration\" }, { name = \"Disposition\" }]";
    let files = format!("files = [\"{}\"]", path.display());
    let table = table.replace("start =", &format!("{files}\nstart ="));
    check_pasted(&format!("to paste and adjust\n{table}"), 2);
}

#[test]
fn try_says_what_to_export_instead_of_a_dump_of_sql() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump.sql");
    let dump =
        "-- MySQL dump 10.13\n--\nINSERT INTO `cdr` VALUES ('2026-04-10 10:00:00','1001');\n";
    fs::write(&path, dump).unwrap();
    let output = attempt(&path, &[]);
    assert_eq!(output.status.code(), Some(65));
    let printed = text(&output.stderr);
    assert!(printed.contains("mysql --batch"), "{printed}");
}

#[test]
fn the_ids_of_asterisks_calls_say_what_its_clock_showed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("Master.csv");
    // 02:07:54 UTC; the last record was divided by the dialplan, and says nothing.
    let row = |begun: &str, id: &str| {
        format!(
            "\"\",\"101\",\"442079460101\",\"internal\",\"\"\"Ann\"\" <101>\",\"PJSIP/101-1\",\"PJSIP/t-2\",\"Dial\",\"PJSIP/t/1\",\"2026-07-03 {begun}\",\"2026-07-03 {begun}\",\"2026-07-03 {begun}\",0,0,\"ANSWERED\",\"DOCUMENTATION\",\"{id}\",\"\"\n"
        )
    };
    let rows = [
        row("07:07:54", "pbx-1783044474.1"),
        row("07:08:55", "pbx-1783044534.3"),
        row("07:11:01", "pbx-1783044534.3"),
    ];
    fs::write(&path, rows.concat()).unwrap();
    let try_in = |more: &[&str]| text(&attempt(&path, more).stdout);
    let unknown = try_in(&[]);
    assert!(
        unknown.contains("shows: by its call ids one with +05:00 on 2026-07-03\n"),
        "{unknown}"
    );
    check_pasted(&unknown, 3);
    let check_in = |zone: &str| {
        let config = dir.path().join("switchhook.toml");
        let written = format!(
            "state_dir = \"{0}/state\"\n[[source]]\nname = \"cdr\"\nformat = \"asterisk-cdr\"\nfiles = [\"{0}/Master.csv\"]\nstart = \"now\"\ntimezone = \"{zone}\"\n[[endpoint]]\nname = \"e\"\nurl = \"https://example.com\"\nevents = [\"cdr\"]\nsignature = \"none\"\n",
            dir.path().display()
        );
        fs::write(&config, written).unwrap();
        text(&run(&["check", "--config", config.to_str().unwrap()]).stdout)
    };
    let wrong = "showed +05:00 on 2026-07-03, and ";
    let (tried, checked) = (
        try_in(&["--timezone", "Europe/Berlin"]),
        check_in("Europe/Berlin"),
    );
    assert!(
        tried.contains(&format!("{wrong}Europe/Berlin has +02:00")),
        "{tried}"
    );
    assert!(
        checked.contains(&format!("{wrong}timezone = \"Europe/Berlin\" has +02:00"))
            && checked.contains("the time zone seems to be another"),
        "{checked}"
    );
    let (tried, checked) = (
        try_in(&["--timezone", "Asia/Tashkent"]),
        check_in("Asia/Tashkent"),
    );
    assert!(
        tried.contains("timezone = \"Asia/Tashkent\"   # its call ids agree\n"),
        "{tried}"
    );
    assert!(!checked.contains("call ids"), "{checked}");
}

#[test]
fn a_file_of_cel_with_dates_is_proposed_with_a_zone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("Master.csv");
    let row = |time: &str| {
        format!(
            "\"ANSWER\",\"{time}\",\"Ann\",\"101\",\"101\",\"\",\"\",\"102\",\"internal\",\"PJSIP/101-1\",\"Dial\",\"x\",\"3\",\"\",\"1795716010.1\",\"1795716010.1\",\"\",\"\",\"\"\n"
        )
    };
    for (time, has_zone) in [("2026-11-26 18:00:10", true), ("1795716010.123456", false)] {
        fs::write(&path, row(time).repeat(3)).unwrap();
        let printed = text(&attempt(&path, &[]).stdout);
        assert_eq!(printed.contains("\ntimezone = "), has_zone, "{printed}");
        check_pasted(&printed, 3);
    }
}

#[test]
fn check_says_what_is_there_where_no_file_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("Master.csv");
    fs::write(&path, "a,b\n").unwrap();
    let base = dir.path().display().to_string();
    let check_of = |what: &str| {
        let config = dir.path().join("switchhook.toml");
        let written = format!(
            "state_dir = \"{base}/state\"\n[[source]]\nname = \"cdr\"\n{what}\nstart = \"now\"\ntimezone = \"UTC\"\n[[endpoint]]\nname = \"e\"\nurl = \"https://example.com\"\nevents = [\"cdr\"]\nsignature = \"none\"\n"
        );
        fs::write(&config, written).unwrap();
        let output = run(&["check", "--config", config.to_str().unwrap()]);
        (output.status.code(), text(&output.stdout))
    };
    let check =
        |files: &str| check_of(&format!("format = \"asterisk-cdr\"\nfiles = [\"{files}\"]"));
    let here = format!("in {base}: Master.csv, switchhook.toml\n");
    let cases = [
        (format!("{base}/Mater.csv"), 0, &*here),
        (format!("{base}/*.txt"), 0, &*here),
        (
            format!("{base}/logs/Master.csv"),
            0,
            "logs does not exist\n",
        ),
        (base.clone(), 65, "is a directory; write files = "),
        (format!("{base}/"), 65, &*here),
    ];
    for (files, expected, said) in cases {
        let (code, out) = check(&files);
        assert_eq!(code, Some(expected), "{files}: {out}");
        assert!(out.contains(said), "{files}: {said:?} is not in\n{out}");
    }
    // The documents of another format.
    let (code, out) = check_of(&format!(
        "format = \"freeswitch-xml\"\ndirectory = \"{base}\""
    ));
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains(&format!("is in {base} now; it waits for one; {here}")),
        "{out}"
    );
}

#[test]
fn a_file_that_two_sources_make_calls_of_is_pointed_out() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().display().to_string();
    let row = fs::read_to_string(fixture("asterisk/cdr-csv/Master-16col.csv")).unwrap();
    fs::write(dir.path().join("Master.csv"), row).unwrap();
    let source = |name: &str, files: &str| {
        format!(
            "[[source]]\nname = \"{name}\"\nformat = \"asterisk-cdr\"\nfiles = [\"{base}/{files}\"]\nstart = \"now\"\ntimezone = \"UTC\"\n"
        )
    };
    let check = |second: &str| {
        let config = dir.path().join("switchhook.toml");
        let written = format!(
            "state_dir = \"{base}/state\"\n{}{}[[endpoint]]\nname = \"e\"\nurl = \"https://example.com\"\nevents = [\"cdr\"]\nsignature = \"none\"\n",
            source("a", "Master.csv"),
            source("b", second)
        );
        fs::write(&config, written).unwrap();
        text(&run(&["check", "--config", config.to_str().unwrap()]).stdout)
    };
    let said = check("Ma*.csv");
    assert!(said.contains("\"a\" and \"b\" both follow"), "{said}");
    let said = check("other*.csv");
    assert!(!said.contains("both follow"), "{said}");
}

#[test]
fn a_table_acc_exported_from_a_database_gets_a_source_that_joins_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acc.tsv");
    let rows = "id\tmethod\tfrom_tag\tto_tag\tcallid\tsip_code\tsip_reason\ttime\n\
        1\tINVITE\t12c3\t9p3s\tub2d@192.0.2.1\t200\tOK\t2020-11-05 08:38:20\n\
        2\tBYE\t12c3\t9p3s\tub2d@192.0.2.1\t200\tOK\t2020-11-05 08:39:20\n";
    fs::write(&path, rows).unwrap();
    let said = text(&attempt(&path, &[]).stdout);
    assert!(said.contains("joins a call's beginning and end"), "{said}");
    assert!(!said.contains("whether a call was answered"), "{said}");
    check_pasted(&said, 2);
}

#[test]
fn calls_that_opensips_has_whole_in_db_flatstore_are_pointed_out_and_read_as_its_page_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acc_1.log");
    // OpenSIPS' issue 1853.
    let rows = "INVITE|gK002a|8ravm|826286136_13@192.0.2.1|200|OK|1570705611|5|1570705606|19|19102\n\
        INVITE|gK0414|KUQKF|822354406_92@192.0.2.1|480|Temporarily Unavailable|1570705435\n";
    fs::write(&path, rows).unwrap();
    let said = text(&attempt(&path, &[]).stdout);
    assert!(
        said.contains("the two layouts of docs/opensips.md"),
        "{said}"
    );
    let joined = text(&attempt(&fixture("opensips/acc_flatstore_1.log"), &[]).stdout);
    assert!(!joined.contains("two layouts"), "{joined}");
    let page = include_str!("../../docs/opensips.md");
    let mut blocks = page.split("```");
    let block = blocks.find(|block| block.contains("ms_duration")).unwrap();
    let source = block
        .trim_start_matches("toml")
        .replace("/var/log/opensips/acc_*.log", path.to_str().unwrap());
    check_pasted(&format!("to paste and adjust\n{source}"), 2);
}

#[test]
fn what_list_names_can_be_shown_and_what_is_shown_of_the_general_ones_reads_rows() {
    let list = text(&run(&["formats", "list"]).stdout);
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    for name in names {
        let shown = run(&["formats", "show", name]);
        assert_eq!(shown.status.code(), Some(0), "{name}");
    }
    for (name, rows) in [
        (
            "delimited",
            "id,caller,callee,begun,talked,result\na,1001,442079460101,2026-04-10 10:00:00,147,ok\n",
        ),
        (
            "key-value",
            "id=a;caller=1001;callee=442079460101;begun=2026-04-10 10:00:00;talked=147;result=ok\n",
        ),
        (
            "json-lines",
            "{\"id\":\"a\",\"caller\":\"1001\",\"callee\":\"442079460101\",\"begun\":\"2026-04-10 10:00:00\",\"talked\":147}\n",
        ),
        (
            "pattern",
            "2026-04-10 10:00:00 from 1001 to 442079460101 lasted 147\n",
        ),
    ] {
        let shown = text(&run(&["formats", "show", name]).stdout);
        let (_, keys) = shown.split_once("to paste and change\n").expect(&shown);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("calls");
        fs::write(&path, rows).unwrap();
        let table = format!(
            "[[source]]\nname = \"cdr\"\nfiles = [\"{}\"]\nstart = \"now\"\n{keys}",
            path.display()
        );
        check_pasted(&format!("to paste and adjust\n{table}"), 1);
    }
    for name in ["json-document", "xml-document"] {
        let shown = text(&run(&["formats", "show", name]).stdout);
        let (_, keys) = shown.split_once("to paste and change\n").expect(&shown);
        let dir = tempfile::tempdir().unwrap();
        let table = format!(
            "[[source]]\nname = \"cdr\"\ndirectory = \"{}\"\nstart = \"now\"\n{keys}",
            dir.path().display()
        );
        check_pasted(&format!("to paste and adjust\n{table}"), 0);
    }
}

#[test]
fn events_of_channels_and_queues_from_a_database_are_not_proposed_as_calls() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    let cel = "\"id\",\"eventtype\",\"eventtime\",\"cid_num\",\"exten\",\"channame\",\"uniqueid\",\"linkedid\"\n\
        \"1\",\"CHAN_START\",\"2024-03-11 09:15:22.123456\",\"1001\",\"1002\",\"PJSIP/1001-00000019\",\"1710148522.50\",\"1710148522.50\"\n\
        \"2\",\"ANSWER\",\"2024-03-11 09:15:26.123456\",\"1001\",\"1002\",\"PJSIP/1001-00000019\",\"1710148522.50\",\"1710148522.50\"\n\
        \"3\",\"HANGUP\",\"2024-03-11 09:16:27.123456\",\"1001\",\"1002\",\"PJSIP/1001-00000019\",\"1710148522.50\",\"1710148522.50\"\n";
    let mapping = "1710148522.50;CHAN_START;1710148522.123456;1001\n1710148522.50;ANSWER;1710148526.123456;1001\n1710148522.50;HANGUP;1710148587.123456;1001\n";
    let queues = "id\ttime\tcallid\tqueuename\tagent\tevent\tdata1\tdata2\n\
        1\t2024-03-11 09:15:22.123456\t1710148522.50\t8000\tNONE\tENTERQUEUE\t\t442071234567\n\
        2\t2024-03-11 09:15:30.223456\t1710148522.50\t8000\tPJSIP/1001\tCONNECT\t8\t1710148522.51\n\
        3\t2024-03-11 09:16:27.323456\t1710148522.50\t8000\tPJSIP/1001\tCOMPLETEAGENT\t8\t57\n";
    for (rows, expected) in [
        (cel, "format = \"asterisk-cel\""),
        (mapping, "template = "),
        (queues, "queue_log_to_file = yes"),
    ] {
        fs::write(&path, rows).unwrap();
        let output = attempt(&path, &[]);
        let printed = text(&output.stdout);
        assert_eq!(output.status.code(), Some(65), "{printed}");
        assert!(printed.contains(expected), "{printed}");
        assert!(!printed.contains("to paste"), "{printed}");
    }
    // A row that tells a whole call may have the same words.
    let calls = "begun,src,dst,talked,dialstatus\n2026-04-10 10:00:00,1001,442079460101,147,ANSWER\n2026-04-10 10:02:00,1001,442079460102,0,BUSY\n2026-04-10 10:03:00,1001,442079460102,5,ANSWER\n";
    fs::write(&path, calls).unwrap();
    assert_eq!(attempt(&path, &[]).status.code(), Some(0));
}
