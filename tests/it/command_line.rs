//! The binary as a shell sees it: exit codes, and what goes to which stream.

use std::process::{Command, Output};

fn passgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_passgate"))
        .args(arguments)
        .env_remove("PASSGATE_CONFIG")
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn help_is_a_result_and_bad_usage_is_a_mistake() {
    let help = passgate(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("passgate serve --config"));
    assert!(help.stderr.is_empty());

    for wrong in [&["sreve"][..], &["serve", "--port", "80"], &[]] {
        let refused = passgate(wrong);
        assert_eq!(refused.status.code(), Some(64), "{wrong:?}");
        assert!(refused.stdout.is_empty(), "{wrong:?}");
        assert!(text(&refused.stderr).contains("Usage:"), "{wrong:?}");
    }
}

#[test]
fn the_version_is_the_package_s() {
    let version = passgate(&["version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(text(&version.stdout).lines().next(), Some(concat!("passgate ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_configuration_that_is_not_there_is_named_and_nothing_starts() {
    for command in ["check", "serve", "print-config", "health"] {
        let refused = passgate(&[command, "--config", "nowhere.yaml"]);
        assert_eq!(refused.status.code(), Some(64), "{command}: {}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains("nowhere.yaml"), "{command}: {}", text(&refused.stderr));
        assert!(refused.stdout.is_empty(), "{command}");
    }
}
