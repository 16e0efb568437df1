//! Variables in values, and variables for keys.

use super::{MINIMAL, QUICKSTART, parse_with};
use crate::{config::Settings, master, upstream::Host};

fn with(text: &str, variables: &[(&str, &str)]) -> Settings {
    parse_with(text, variables).unwrap_or_else(|report| panic!("{report}"))
}

fn refused(text: &str, variables: &[(&str, &str)]) -> String {
    parse_with(text, variables).err().unwrap_or_else(|| panic!("taken: {variables:?}")).to_string()
}

#[test]
fn variables_stand_within_values() {
    let text = format!(
        "clients: {{ web: {{ secret: \"a${{KEY}}b$${{KEY}}$$\" }} }}\nserver: {{ drain: \"${{N}}s\", limits: {{ headers: \"${{N}}\" }} }}\n{MINIMAL}"
    );
    let settings = with(&text, &[("KEY", "x: \"#${N}"), ("N", "20")]);
    assert_eq!(settings.clients[0].secret.as_ref().unwrap().expose(), "ax: \"#${N}b${KEY}$$");
    assert_eq!((settings.limits.drain.as_secs(), settings.hygiene.headers), (20, 20));
}

#[test]
fn variables_stand_for_keys() {
    let settings = with(
        QUICKSTART,
        &[
            ("PASSGATE__SERVER__LISTEN", "0.0.0.0:1"),
            ("passgate__Server__Limits__Header_Bytes", "16KiB"),
            ("PASSGATE__SERVER__HOSTS", "[a.example, b.example]"),
            ("PASSGATE__CLIENTS__WEB__SECRET", "p: ass #word ${HOME}"),
            ("PASSGATE__CLIENTS__MOBILE__GRANTS", "[password]"),
            ("PASSGATE__ADMIN__LISTEN", "off"),
            ("PASSGATE__ROUTES__0__MATCH__PATH", "\"/open/\""),
            ("PASSGATE__UPSTREAMS", "{ app: { servers: ['http://a'] } }"),
            ("PASSGATE__UPSTREAMS__APP__HOST", "upstream"),
            ("PASSGATE__SECRETS__MASTER", "0123456789abcdef0123456789abcdef"),
            ("PASSGATE_CONFIG", "is not ours"),
        ],
    );
    assert_eq!(settings.listeners[0].address.to_string(), "0.0.0.0:1");
    assert_eq!((settings.hygiene.header_bytes, settings.hygiene.hosts.len()), (16 << 10, 2));
    let secrets: Vec<_> =
        settings.clients.iter().map(|c| c.secret.as_ref().map(crate::secret::Secret::expose)).collect();
    assert_eq!(secrets, [Some("p: ass #word ${HOME}"), None]);
    assert_eq!((settings.admin, settings.routes[0].path.as_str()), (None, "/open/"));
    assert_eq!(settings.upstreams[0].host, Host::Upstream);
    assert!(matches!(settings.master, master::Source::Given(_)));
}

#[test]
fn an_underscore_stands_for_a_dash_where_only_one_key_can_be_meant() {
    let text = "upstreams: { my-app: whoami }\nroutes: [{ upstream: my-app }]\n";
    let settings = with(text, &[("PASSGATE__UPSTREAMS__MY_APP", "http://a:1")]);
    assert_eq!((settings.upstreams.len(), settings.upstreams[0].servers[0].port), (1, 1));
    let text = "upstreams: { a-b-c: whoami, a-b_c: whoami }\nroutes: [{ upstream: a-b-c }]\n";
    let report = refused(text, &[("PASSGATE__UPSTREAMS__A_B_C", "whoami")]);
    assert!(report.contains("more than one key") && report.contains("PASSGATE__UPSTREAMS__A_B_C"), "{report}");
}

#[test]
fn what_a_variable_gets_wrong_names_the_variable() {
    for (name, value, part) in [
        ("PASSGATE__SERVER__LISEN", "CANARY", "unknown key `lisen` in `server`; did you mean `listen`?"),
        ("PASSGATE__SERVER__DRAIN", "30", "a bare number has no unit"),
        ("PASSGATE__SERVER__DRAIN", "", "a duration is"),
        ("PASSGATE__SERVER", "CANARY", "a map is wanted"),
        ("PASSGATE__SERVER__HOSTS", "[CANARY", "no YAML"),
        ("PASSGATE__SERVER____LISTEN", "CANARY", "names no key"),
        ("PASSGATE__", "CANARY", "names no key"),
        ("PASSGATE__ROUTES__7__AUTH", "public", "the list has 1"),
        ("PASSGATE__UPSTREAMS__APP__HOST", "CANARY", "set it whole"),
        ("PASSGATE__CLIENTS__WEB", "{ secret: CANARY, secret: CANARY }", "a key is twice"),
    ] {
        let report = refused(MINIMAL, &[(name, value)]);
        assert!(report.contains(part) && report.contains(&format!("environment variable {name}\n")), "{report}");
        assert!(report.ends_with("1 problem") && !report.contains("CANARY"), "{report}");
    }
    let both = refused(MINIMAL, &[("PASSGATE__SERVER__DRAIN", "1s"), ("passgate__server__drain", "2s")]);
    assert!(both.contains("in other case"), "{both}");
}

#[test]
fn an_override_makes_a_broken_value_good() {
    let text = format!("server: {{ drain: 30, public_url: \"${{NOPE}}\" }}\n{MINIMAL}");
    let settings = with(&text, &[("PASSGATE__SERVER__DRAIN", "3s"), ("PASSGATE__SERVER__PUBLIC_URL", "https://a")]);
    assert_eq!((settings.limits.drain.as_secs(), settings.public_url.as_str()), (3, "https://a"));
}

#[test]
fn secrets_come_from_files_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, "from a file\n").unwrap();
    let path = file.to_str().unwrap();
    let text = format!("clients: {{ web: {{ secret_file: '{path}' }} }}\nsecrets: {{ master_file: m }}\n{MINIMAL}");
    let settings = with(&text, &[]);
    assert_eq!(settings.clients[0].secret.as_ref().unwrap().expose(), "from a file");
    assert!(matches!(settings.master, master::Source::File(path) if path.as_os_str() == "m"));
    for (content, part) in [(String::new(), "is empty"), ("x".repeat(70_000), "too long")] {
        std::fs::write(&file, content).unwrap();
        assert!(refused(&text, &[]).contains(part));
    }
}
