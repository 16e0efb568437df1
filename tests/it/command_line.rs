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

#[test]
fn it_completes_its_command_line_in_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = passgate(&["completions", shell]);
        assert_eq!(script.status.code(), Some(0), "{shell}");
        for word in ["print-config", "set-password", "config"] {
            assert!(text(&script.stdout).contains(word), "{shell}: {word}");
        }
    }
    let asked = "eval \"$(\"$0\" completions bash)\"; COMP_WORDS=(passgate account pro); COMP_CWORD=2; \
                 _passgate passgate pro account; echo \"${COMPREPLY[@]}\"";
    let completed = Command::new("bash").args(["-c", asked, env!("CARGO_BIN_EXE_passgate")]).output().unwrap();
    assert_eq!(text(&completed.stdout), "promote\n", "{}", text(&completed.stderr));
    assert_eq!(passgate(&["completions", "tcsh"]).status.code(), Some(64));
}

#[test]
fn the_schema_is_printed_without_a_configuration() {
    let schema = passgate(&["config-schema"]);
    assert_eq!(schema.status.code(), Some(0), "{}", text(&schema.stderr));
    let json: serde_json::Value = serde_json::from_str(text(&schema.stdout)).unwrap();
    assert_eq!(json["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn it_writes_manual_pages() {
    let page = passgate(&["man"]);
    assert_eq!(page.status.code(), Some(0));
    assert!(text(&page.stdout).contains(".TH passgate 1"));

    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("share/man1");
    let written = passgate(&["man", "--to", to.to_str().unwrap()]);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    assert_eq!(std::fs::read(to.join("passgate.1")).unwrap(), page.stdout);
    let of_subcommand = std::fs::read_to_string(to.join("passgate-account-create.1")).unwrap();
    assert!(of_subcommand.contains("ada@example.com"), "{of_subcommand}");

    let refused = passgate(&["man", "--to", "/dev/null/man1"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(text(&refused.stderr).contains("/dev/null/man1"), "{}", text(&refused.stderr));
}

#[test]
fn what_print_config_prints_is_a_configuration() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().unwrap();
    let variables = [
        ("PASSGATE_MASTER", "canary-0123456789abcdef0123456789abcdef"),
        ("REDIS_URL", "rediss://passgate:canary@redis.internal:6379"),
        ("WEB_CLIENT_SECRET", "canary"),
        ("GOOGLE_SECRET", "canary"),
        ("FACEBOOK_SECRET", "canary"),
        ("COMPANY_SECRET", "canary"),
        ("UPSTREAM_KEY", "canary"),
    ];
    for name in ["reference", "quickstart", "cluster"] {
        let passgate = |command: &str, file: &std::path::Path, overrides: &[(&str, &str)]| {
            let mut command_line = Command::new(env!("CARGO_BIN_EXE_passgate"));
            command_line.arg(command).arg("--config").arg(file).current_dir(root);
            command_line.envs(variables).envs(overrides.iter().copied()).output().unwrap()
        };
        let overrides = [("PASSGATE__SERVER__DRAIN", "7s"), ("PASSGATE__CLIENTS__WEB__SECRET", "canary")];
        let printed = passgate("print-config", &root.join(format!("config/{name}.yaml")), &overrides);
        assert_eq!(printed.status.code(), Some(0), "{name}: {}", text(&printed.stderr));
        let yaml = text(&printed.stdout);
        assert!(yaml.contains("\n  drain: 7s\n") && yaml.contains("secret: \"***\""), "{yaml}");
        assert!(!yaml.contains("canary") && !yaml.contains("quickstart-secret"), "{yaml}");

        let file = directory.path().join(format!("{name}.yaml"));
        std::fs::write(&file, yaml).unwrap();
        let checked = passgate("check", &file, &[]);
        assert_eq!(checked.status.code(), Some(0), "{name}: {}", text(&checked.stderr));
        assert_eq!(passgate("print-config", &file, &[]).stdout, printed.stdout, "{name}");
    }
}
