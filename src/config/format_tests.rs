use super::tests::{check, load};
use crate::parser::format::{Format, Kind, Meaning};
use crate::parser::reader::Reader;

const ENDPOINT: &str = "[[endpoint]]\nname = \"e\"\nurl = \"https://example.com\"\nevents = [\"*\"]\nsignature = \"none\"\n";

fn source(keys: &str) -> String {
    let place = if keys.contains("-document\"") {
        "directory = \"/a\""
    } else {
        "files = [\"/a/*\"]"
    };
    format!("[[source]]\nname = \"cdr\"\n{place}\nstart = \"now\"\n{keys}\n{ENDPOINT}")
}

fn format(keys: &str) -> Format {
    let config = load(&source(keys)).unwrap();
    config.sources[0].parser.format.clone()
}

#[test]
fn pairs_and_documents_can_have_columns_of_ones_own() {
    let pairs = format(
        "format = \"key-value\"\ndelimiter = \"&\"\nafter = [\"CDR \"]\nquote = '\"'\ncolumns = [{ name = \"at\", type = \"time\", as = \"start_time\" }]",
    );
    let Reader::KeyValue(reader) = pairs.reader else {
        panic!("{pairs:?}")
    };
    assert_eq!((reader.delimiter, reader.assign), (b'&', b'='));
    assert_eq!(pairs.after, ["CDR "]);
    let document = format(
        "format = \"xml-document\"\nencoded_under = \"v\"\ncolumns = [{ name = \"id\", path = [\"v.a\", \"file.stem\"] }, { name = \"at\", type = \"time\", as = \"end_time\" }]",
    );
    assert_eq!(document.layouts[0].columns[0].paths, ["v.a", "file.stem"]);
    assert_eq!(document.encoded_under.as_deref(), Some("v"));
}

#[test]
fn rows_of_several_kinds_have_a_layout_each() {
    let format = format(
        "format = \"delimited\"\ndelimiter = \"|\"\nnothing = [\"NONE\"]\n\
         [[source.layout]]\nname = \"in\"\nevent = \"queue\"\nstate = \"join\"\nwhen = { kind = [\"ENTER*\"] }\ncolumns = [{ name = \"at\", type = \"time\", as = \"event_time\" }, { name = \"kind\", drop = true }]\n\
         [[source.layout]]\nname = \"call\"\ncolumns = [{ name = \"at\", type = \"time\", as = \"start_time\" }, { name = \"kind\" }]\n",
    );
    let events: Vec<_> = format.events().collect();
    assert_eq!(events, ["queue", "cdr"]);
    assert_eq!(format.layouts[0].when, [(1, vec!["ENTER*".to_string()])]);
}

#[test]
fn a_mapping_of_asterisk_says_what_the_columns_are() {
    let keys = |template: &str| {
        format!("format = \"asterisk-cdr-custom\"\ntimezone = \"UTC\"\ntemplate = '{template}'")
    };
    let own = format(&keys(
        "Master.csv => ${CSV_QUOTE(${CDR(dst)})},${CSV_QUOTE(${CDR(start)})},${CSV_QUOTE(${CDR(did)})}",
    ));
    let columns = own.layouts[0].columns.iter();
    let names: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["dst", "start", "did"]);
    check(
        &source(&keys("19")),
        &[
            "7: source \"cdr\": template: there is one field; write it as in cdr_custom.conf or cel_custom.conf",
        ],
    );
}

#[test]
fn a_template_of_freeswitch_says_what_the_columns_are() {
    let of = |template: &str| {
        format(&format!(
            "format = \"freeswitch-csv\"\ntimezone = \"UTC\"\ntemplate = '{template}'"
        ))
    };
    assert_eq!(of("builtin").layouts[0].columns.len(), 13);
    let own = of("\"${uuid}\",\"${destination_number}\",\"${end_stamp}\"");
    let column = &own.layouts[0].columns[2];
    assert_eq!(
        (column.kind, column.meaning),
        (Kind::Time, Some(Meaning::EndTime))
    );
}

#[test]
fn what_stands_in_the_way_of_a_format_is_said_at_its_line() {
    let of = |keys: &str, expected: &str| check(&source(keys), &[expected]);
    of(
        "format = \"asterisk-cdr\"",
        "timezone: missing; this format's times may carry no zone",
    );
    of(
        "format = \"asterisk-queue-log\"\nassign = \":\"",
        "6: source \"cdr\": assign: the preset asterisk-queue-log decides this",
    );
    of(
        "format = \"asterisk-cdr\"\ntimezone = \"UTC\"\ntemplate = \"example\"",
        "7: source \"cdr\": template: asterisk-cdr has no templates",
    );
    of(
        "format = \"asterisk-cdr\"\ntimezone = \"UTC\"\ncolumns = 18",
        "7: source \"cdr\": columns: the name of a layout stands in quotes; write columns = \"18\"",
    );
    of(
        "format = \"delimited\"\ndelimiter = \",\"\ncolumns = [\"at\", \"from\"]",
        "columns: invalid type: string \"at\", expected a table with its name; write like [{ name",
    );
    of(
        "format = \"delimited\"\ndelimiter = \",\"\nevent = \"cdrs\"\ncolumns = [{ name = \"at\", type = \"time\", as = \"start_time\" }]",
        "these are events of type \"cdrs\"; write event = \"cdr\", or as = \"event_time\"",
    );
    of(
        "format = \"freeswitch-csv\"\ntimezone = \"UTC\"\ntemplate = \"sql\"",
        "7: source \"cdr\": template: there is no template \"sql\" here; write one of example, builtin",
    );
    of(
        "format = \"freeswitch-csv\"\ntimezone = \"UTC\"\ntemplate = '${uuid};;${end_stamp}'",
        "7: source \"cdr\": template: the values do not all have the same one character",
    );
    let columns = "columns = [{ name = \"at\", type = \"time\", as = \"start_time\" }]";
    of(
        &format!("format = \"json-lines\"\nafter = [\"x\"]\n{columns}"),
        "6: source \"cdr\": after: json-lines has no after",
    );
    of(
        &format!("format = \"key-value\"\ndelimiter = \"=\"\n{columns}"),
        "assign: one ASCII character other than the delimiter",
    );
    of(
        &format!("format = \"delimited\"\ndelimiter = \",\"\nquoting = \"lenient\"\n{columns}"),
        "7: source \"cdr\": quoting: there is no quote to be lenient about",
    );
    of(
        "format = \"delimited\"\ndelimiter = \",\"\n[[source.layout]]\nname = \"a\"\nwhen = { b = [\"x\"] }\ncolumns = [{ name = \"at\", type = \"time\", as = \"start_time\" }]\n",
        "layout: when: no column of layout \"a\" is called \"b\"",
    );
    of(
        "format = \"delimited\"\ndelimiter = \",\"\n[[source.layout]]\nname = \"a\"\nevent = \"No\"\ncolumns = [{ name = \"at\", type = \"time\", as = \"event_time\" }]\n",
        "layout: \"No\" is no event type",
    );
}
