#![no_main]

mod drive;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use switchhook::parser::Format;

static FORMAT: LazyLock<Format> = LazyLock::new(|| {
    let table = "name = \"own\"\nreader = \"json-lines\"\n[[layout]]\nname = \"own\"\ncolumns = [{ name = \"start\", type = \"time\", as = \"start_time\" }, { name = \"variables.uuid\", as = \"call_id\" }, { name = \"l.0.n\" }, { name = \"cost\", type = \"money\", as = \"cost\" }, { name = \"billsec\", type = \"seconds\", as = \"bill_duration\" }]";
    Format::from_table(&toml::from_str(table).unwrap()).unwrap()
});

fuzz_target!(|data: &[u8]| drive::read(&drive::Input::new(data), FORMAT.clone()));
