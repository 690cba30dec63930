//! The shape of the code, as `src/lib.rs` promises it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Every file under `src`, with its path from there and its text.
fn files() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&src, &mut found);
    let named = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (
            path.strip_prefix(&src)
                .unwrap()
                .to_string_lossy()
                .into_owned(),
            text,
        )
    };
    found.into_iter().map(named).collect()
}

#[test]
fn use_runs_down_the_list_of_modules_and_never_up() {
    let files = files();
    let lib = files
        .iter()
        .find(|(name, _)| name == "lib.rs")
        .unwrap()
        .1
        .clone();
    let order: BTreeMap<&str, usize> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .enumerate()
        .map(|(place, name)| (name, place))
        .collect();
    assert!(order.len() >= 14, "{order:?}");
    for (name, text) in &files {
        let module = name.split(['/', '.']).next().unwrap();
        let Some(place) = order.get(module) else {
            continue;
        };
        // Tests may look up; what is shipped may not.
        if name.ends_with("tests.rs") || name.contains("/tests/") {
            continue;
        }
        let shipped = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for used in shipped.split("crate::").skip(1) {
            let used = used
                .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .next()
                .unwrap();
            if let Some(below) = order.get(used) {
                assert!(
                    below >= place,
                    "src/{name} uses crate::{used}, which is above it"
                );
            }
        }
    }
}

#[test]
fn the_database_and_the_http_client_have_one_door_each() {
    for (name, text) in files() {
        let code: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n");
        // A name in quotes is text, not a use.
        let names = |krate: &str| {
            let at = code.match_indices(krate).map(|(at, _)| at);
            at.filter(|at| !code[..*at].ends_with('"')).count() > 0
        };
        assert!(
            !names("sled::") || name.starts_with("queue/"),
            "src/{name} names the database"
        );
        assert!(
            !names("ureq::") || name.starts_with("delivery/transport/"),
            "src/{name} names the HTTP client"
        );
        assert!(!names("println!"), "src/{name} prints");
    }
}

#[test]
fn events_are_written_by_the_tables_that_describe_them() {
    // Columns of rows, which are described from their layout, and values set by hand.
    let free = [
        "event/json.rs",
        "event/cdr.rs",
        "event/general.rs",
        "event/report.rs",
        "event/sample.rs",
    ];
    for (name, text) in files() {
        let shipped = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        assert!(
            !shipped.contains("Object::with_capacity") || free.contains(&name.as_str()),
            "src/{name} writes data without a table of its members; use Object::shaped"
        );
    }
}
