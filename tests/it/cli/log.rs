//! The form of what is logged: by where it goes, by the file, by the environment.

use std::{
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use super::directory_with;
use crate::support::process::{configuration, free_port, passgate, stderr, stdout};

/// What `serve` says at a terminal within its first seconds.
fn served_at_a_terminal(environment: &[(&str, &str)], log: &str) -> String {
    let directory = directory_with(&format!("{}{log}", configuration(free_port())));
    let program = passgate().get_program().to_owned();
    let line = format!("timeout --foreground --signal=TERM 3 {} serve", program.to_str().unwrap());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(directory.path());
    script.env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm").envs(environment.iter().copied());
    let output = script.stdin(Stdio::null()).output().unwrap();
    let told = stdout(&output);
    assert!(told.contains("listening"), "{told}");
    told
}

fn is_json(told: &str) -> bool {
    let mut lines = told.lines().filter(|line| !line.is_empty());
    lines.all(|line| serde_json::from_str::<Value>(line.trim()).is_ok_and(|line| line["target"].is_string()))
}

#[test]
fn a_terminal_gets_text_in_colours_unless_it_is_told_otherwise() {
    type Case = (&'static [(&'static str, &'static str)], &'static str, fn(&str) -> bool);
    let cases: [Case; 6] = [
        (&[], "", |told| told.contains("\u{1b}[32m INFO\u{1b}[0m") && !is_json(told)),
        (&[("NO_COLOR", "1")], "", |told| !told.contains('\u{1b}') && told.contains(" INFO passgate::app: listening")),
        (&[("NO_COLOR", "")], "", |told| told.contains("\u{1b}[32m INFO")),
        (&[("PASSGATE__LOG__FORMAT", "json")], "log: { format: text }\n", is_json),
        (&[("RUST_LOG", "off")], "log: { format: json }\n", is_json),
        (&[("PASSGATE__LOG__FORMAT", "auto")], "log: { format: json }\n", |told| !is_json(told)),
    ];
    // All at once, as each takes its seconds.
    let running = cases.map(|(environment, log, fits)| {
        (thread::spawn(move || served_at_a_terminal(environment, log)), fits, (environment, log))
    });
    for (told, fits, case) in running {
        let told = told.join().unwrap();
        assert!(fits(&told), "{case:?}: {told:?}");
    }
}

/// What a command beside a gateway says on a standard error that is no terminal.
fn told(directory: &TempDir, environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let mut command = passgate();
    let output =
        command.args(arguments).current_dir(directory.path()).envs(environment.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stderr(&output)
}

#[test]
fn a_command_tells_in_the_form_that_the_configuration_and_the_environment_ask_for() {
    let directory = directory_with(&format!("{}log: {{ level: error }}\n", configuration(free_port())));
    let mut create = passgate();
    create.args(["account", "create", "ada@example.com"]).current_dir(directory.path()).stdin(Stdio::piped());
    let mut child = create.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"correct-horse-7").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(is_json(&stderr(&output)) && stderr(&output).lines().count() == 1, "{}", stderr(&output));

    let text = ("PASSGATE__LOG__FORMAT", "text");
    let evil = ("SUDO_USER", "eve\n\u{1b}[2J2026-01-01T00:00:00Z  INFO audit: event=\"forged\"");
    for (command, event) in [("promote", "account.promoted"), ("demote", "account.demoted")] {
        for environment in [&[text, evil, ("NO_COLOR", "")][..], &[evil]] {
            let told = told(&directory, environment, &["account", command, "ada@example.com"]);
            if environment.len() == 1 {
                // Nothing was left to do.
                assert_eq!(told, "");
                continue;
            }
            assert_eq!(told.lines().count(), 1, "{told}");
            assert!(told.contains(&format!(" INFO audit: event=\"{event}\" by=\"cli\"")), "{told}");
            assert!(!told.contains('\u{1b}'), "{told:?}");
        }
    }
    let json = told(&directory, &[evil], &["account", "promote", "ada@example.com"]);
    assert!(is_json(&json) && json.lines().count() == 1, "{json}");
}
