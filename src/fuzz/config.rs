//! The configuration's file.

use crate::config::{Config, value};
use std::path::Path;

/// A configuration: it can be used, or every problem says its place; what is shown of one in force
/// is TOML again, and has no key that is not known.
pub(super) fn file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // Devices are files that other programs see.
    if text.contains("/dev") || text.contains("/proc") || text.contains("/sys") {
        return;
    }
    let path = Path::new("/nonexistent/switchhook.toml");
    match Config::of_text(path, text) {
        Ok(config) => {
            let shown = config.show();
            let table = shown.parse::<toml::Table>();
            assert!(table.is_ok(), "{shown}");
            if let Err(problems) = Config::of_text(path, &shown) {
                let text = problems.to_string();
                assert!(!text.contains("no such key"), "{text}\n{shown}");
            }
            let span = config.summary_every;
            assert_eq!(value::duration(&value::show_duration(span)), Ok(span));
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(!problems.to_string().is_empty());
        }
    }
}
