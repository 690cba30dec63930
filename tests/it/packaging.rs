//! What packages carry fits the program they carry.

use crate::support::{SECRET, switchhook, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use switchhook::cli::Exit;

/// A file of the repository.
fn shipped(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn check(config: &Path) -> Output {
    switchhook()
        .args(["check", "--config"])
        .arg(config)
        .output()
        .unwrap()
}

#[test]
fn the_sample_configuration_is_idle_and_its_four_steps_make_it_work() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("switchhook.toml");
    let sample = shipped("packaging/switchhook.toml");
    fs::write(&config, &sample).unwrap();
    let idle = check(&config);
    assert_eq!(idle.status.code(), Some(0), "{}", text(&idle.stderr));
    assert!(
        text(&idle.stdout).contains("idle, no source and no endpoint configured"),
        "{}",
        text(&idle.stdout)
    );
    // Step 1, as the file says it.
    assert!(sample.contains(r"sed -i 's/^#\([^ #]\)/\1/'"));
    let uncommented: String = sample
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with([' ', '#']) && !rest.is_empty() => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_eq!(
        uncommented.matches("<<< ").count(),
        3,
        "three lines to change"
    );
    // Steps 2 and 3.
    let secret = dir.path().join("billing.secret");
    fs::write(&secret, SECRET).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
    let configured = uncommented.replace(
        "/etc/switchhook/billing.secret",
        &secret.display().to_string(),
    );
    fs::write(&config, configured).unwrap();
    let good = check(&config);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    assert!(text(&good.stdout).contains("the configuration is good"));
}

#[test]
fn the_unit_does_not_start_again_what_a_start_cannot_mend() {
    let unit = shipped("systemd/switchhook.service");
    let line = format!(
        "RestartPreventExitStatus={} {}",
        Exit::Usage as u8,
        Exit::Configuration as u8
    );
    assert!(unit.lines().any(|found| found == line), "{line}");
    // What an old service manager reads as a list of nothing would kill the service at start.
    for filter in unit
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
    {
        assert!(filter.starts_with('~') || !filter.contains('@'), "{filter}");
    }
}

#[test]
fn the_version_comes_from_one_place() {
    let version = env!("CARGO_PKG_VERSION");
    let changelog = shipped("packaging/changelog.yaml");
    let newest = changelog
        .lines()
        .find_map(|line| line.strip_prefix("- semver: "));
    assert_eq!(newest, Some(version), "packaging/changelog.yaml");
    for file in ["packaging/nfpm.yaml", "packaging/build.sh", "README.md"] {
        assert!(!shipped(file).contains(version), "{file} names a version");
    }
}
