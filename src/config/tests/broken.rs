//! What is refused, what is warned of, and what reports never show.

use super::{MINIMAL, good, parse_with, report};

/// A file that is whole but for the line in question, the place, and a part of what is said of it.
#[test]
fn each_mistake_is_told_apart() {
    let app = "upstreams: { app: whoami }\n";
    let cases: &[(&str, &str, &str)] = &[
        // In any section: keys, types, units.
        ("sever: {}\n", "1:1", "unknown key `sever`; did you mean `server`?"),
        ("server: { port: 1 }\n", "1:11", "known here: listen, public_url"),
        ("version: 2\n", "1:10", "reads `version: 1`"),
        ("server: { drain: 30 }\n", "1:18", "a bare number has no unit"),
        ("server: { drain: }\n", "1:11", "a value is wanted here"),
        ("server: { drain: [30s] }\n", "1:11", "this is a list"),
        ("server: { drain: 2h }\n", "1:18", "between 0s and 1h"),
        ("server: { hosts: a }\n", "1:18", "a list is wanted"),
        ("server: 5\n", "1:9", "a map is wanted"),
        ("accounts: { sign_in_after_registration: yes }\n", "1:41", "`true` or `false`"),
        ("accounts: { sign_in_after_registration: 'true' }\n", "1:41", "`true` or `false`"),
        ("hashing: { queue: '5' }\n", "1:19", "a whole number"),
        ("hashing: { queue: -5 }\n", "1:19", "a whole number"),
        ("log: { level: loud }\n", "1:15", "one of `error`, `warn`"),
        ("log: { level: info, level: info }\n", "1:21", "`level` is here twice; it was set in line 1"),
        ("log: !x {}\n", "1:9", "YAML tags"),
        ("log: { level: \"${NOPE}\" }\n", "1:15", "there is no environment variable NOPE"),
        ("log: { level: \"${A-B}\" }\n", "1:15", "`${` begins the name"),
        ("log: { level: \"${A\" }\n", "1:15", "`${` begins the name"),
        // server, admin
        ("server: { listen: 8080 }\n", "1:19", "an IP and a port"),
        ("server: { listen: [] }\n", "1:11", "at least one address"),
        ("server: { listen: ['127.0.0.1:1', '127.0.0.1:1'] }\n", "1:35", "listened on already"),
        ("server: { listen: '127.0.0.1:9090' }\n", "1:19", "listened on already"),
        ("server: { listen: { address: '[::]:1', tls: { cert_file: a } } }\n", "1:40", "`key_file` is missing"),
        ("server: { listen: [{ tls: { cert_file: a, key_file: b } }] }\n", "1:20", "`address` is missing"),
        ("server: { public_url: https://a/b }\n", "1:23", "without path"),
        ("server: { public_url: a.example }\n", "1:23", "an http or https URL"),
        ("server: { limits: { header_bytes: 257KiB } }\n", "1:35", "between 1KiB and 256KiB"),
        ("server: { base_path: / }\n", "1:22", "cannot be `/`"),
        ("server: { base_path: api }\n", "1:22", "starts with `/`"),
        ("server: { hosts: ['*.a.example'] }\n", "1:19", "a host is"),
        ("server: { hosts: [a, 'b:80'] }\n", "1:22", "a host is"),
        ("server: { trusted_proxies: [10.0.0.0/33] }\n", "1:29", "a network is"),
        ("server: { allow_headers: [api-key] }\n", "1:27", "passes anyway"),
        ("server: { allow_headers: [x_forwarded_user] }\n", "1:27", "read this as `x-forwarded-user`"),
        ("server: { allow_headers: [remote_user] }\n", "1:27", "read this as `remote-user`"),
        ("server: { allow_headers: [x_forwarded_port] }\n", "1:27", "read this as `x-forwarded-port`"),
        ("server: { allow_headers: [Transfer_Encoding] }\n", "1:27", "read this as `transfer-encoding`"),
        ("server: { allow_headers: [x.original.url] }\n", "1:27", "read this as `x-original-url`"),
        ("admin: { listen: no }\n", "1:18", "an IP and a port"),
        ("revocation: { max_staleness: 4s }\n", "1:30", "between 5s and 1d"),
        // store, secrets
        ("store: { sqlite: {}, redis: { url: 'redis://a' } }\n", "1:22", "one store is wanted"),
        ("store: { sqlite: { path: '' } }\n", "1:26", "a path is wanted"),
        ("secrets: { master: short }\n", "1:20", "32 characters or more"),
        ("secrets: { master_file: a, master: 0123456789abcdef0123456789abcdef }\n", "1:25", "one of the two"),
        // clients, cors, providers
        ("clients: { web: { secret: '' } }\n", "1:27", "a secret is wanted"),
        ("clients: { web: { secret: [a] } }\n", "1:19", "a secret is wanted"),
        ("clients: { web: { secret: a, secret_file: b } }\n", "1:43", "one of the two"),
        ("clients: { web: { secret_file: /does/not/exist } }\n", "1:32", "this file cannot be read"),
        ("clients: { web: { grants: [] } }\n", "1:19", "name one at least"),
        ("clients: { web: { scopes: ['a b'] } }\n", "1:28", "a scope is one word"),
        ("clients: { 'a b': {} }\n", "1:12", "visible ASCII"),
        ("cors: { allowed_origins: ['*'] }\n", "1:27", "an exact origin"),
        ("cors: { allowed_origins: ['https://a.example/'] }\n", "1:27", "without trailing slash"),
        ("cors: { allow_credentials: 1 }\n", "1:28", "`true` or `false`"),
        ("cors: { allowed_methods: [get] }\n", "1:27", "in upper case"),
        ("providers: { google: { client_id: a } }\n", "1:14", "no provider is known as `google`; any OpenID provider"),
        ("providers: { facebok: { client_id: a } }\n", "1:14", "did you mean `facebook`?"),
        ("providers: { orkut: { client_id: a, endpoints: { jwks: 'https://a' } } }\n", "1:14", "known as `orkut`"),
        ("providers: { 'a b': { client_id: a } }\n", "1:14", "visible ASCII"),
        ("providers: { google-oauth2: {} }\n", "1:14", "`client_id` is missing"),
        ("providers: { google-oauth2: { client_id: a, trust_email: true } }\n", "1:45", "unknown key `trust_email`"),
        ("providers: { google-oauth2: { client_id: a, issuer: 'https://a' } }\n", "1:53", "belongs to a provider of"),
        ("providers: { google-oauth2: { client_id: a, endpoints: { token: /a } } }\n", "1:65", "an http or https URL"),
        ("providers: { facebook: { client_id: a } }\n", "1:14", "`client_secret` is missing in `providers.facebook`"),
        (
            "providers: { facebook: { client_id: a, client_secret: b, endpoints: { token: 'https://a' } } }\n",
            "1:71",
            "known here: graph",
        ),
        ("providers: { x: { type: oidc, client_id: a } }\n", "1:14", "`issuer` is missing"),
        ("providers: { x: { type: oidc, client_id: a, issuer: a.example } }\n", "1:53", "an issuer is wanted"),
        ("providers: { x: { type: oidcc, client_id: a, issuer: 'https://a' } }\n", "1:25", "did you mean `oidc`?"),
        // tokens, hashing, limits
        ("tokens: { access: { ttl: 0s } }\n", "1:26", "between 1s and 1d"),
        ("tokens: { access: { ttl: 1500ms } }\n", "1:26", "whole seconds"),
        ("tokens: { access: { leeway: 61s } }\n", "1:29", "between 0s and 1m"),
        ("tokens: { refresh: { absolute_ttl: 5m } }\n", "1:36", "outlive its session"),
        ("tokens: { access: { ttl: 1h }, refresh: { absolute_ttl: 5m } }\n", "1:26", "outlive its session"),
        ("tokens: { refresh: { reuse_grace: 1h } }\n", "1:35", "between 0s and 5m"),
        ("tokens: { keys: { rotate_every: 1h } }\n", "1:11", "below `rotate_every`"),
        ("tokens: { access: { algorithm: HS256 } }\n", "1:32", "one of `EdDSA`, `ES256`, `RS256`"),
        ("hashing: { memory: 16KiB, parallelism: 4 }\n", "1:20", "8KiB per lane"),
        ("hashing: { memory: 10001B }\n", "1:20", "whole KiB"),
        ("hashing: { max_concurrent: many }\n", "1:28", "or `auto`"),
        ("limits: on\n", "1:9", "a map is wanted"),
        ("limits: { sign_in: { per_source: 5 } }\n", "1:34", "a rate is"),
        ("limits: { sign_out: off }\n", "1:11", "unknown key `sign_out`"),
        // identity_headers
        ("identity_headers: { preset: remot }\n", "1:29", "did you mean `remote`?"),
        ("identity_headers: { preset: remote, map: {} }\n", "1:29", "one of the two"),
        ("identity_headers: { map: { Host: sub } }\n", "1:34", "means something else"),
        ("identity_headers: { map: { X_User: sub } }\n", "1:36", "letters, digits"),
        ("identity_headers: { map: { X-A: sub, x-a: email } }\n", "1:43", "here already"),
        ("identity_headers: { map: { X-A: mail } }\n", "1:33", "did you mean `email`?"),
    ];
    for (text, place, part) in cases {
        let text = format!("{text}{app}routes: [{{ upstream: app }}]\n");
        expect(&text, place, part);
    }
}

#[test]
fn each_mistake_in_previous_masters_is_told_apart() {
    for (secrets, place, part) in [
        ("previous_masters: [short]", "1:31", "32 characters or more"),
        ("previous_masters: 0123456789abcdef0123456789abcdef", "1:30", "a list is wanted"),
        ("previous_master_files: ['']", "1:36", "a path is wanted"),
    ] {
        expect(&format!("secrets: {{ {secrets} }}\n{MINIMAL}"), place, part);
    }
}

#[test]
fn each_mistake_in_a_store_is_told_apart() {
    let form = "`redis://user:password@host:6379/0`";
    for (store, place, part) in [
        ("postgres: { url: a }", "1:10", "no PostgreSQL"),
        ("redis: {}", "1:10", "`url` is missing"),
        ("redis: { url: a }", "1:24", form),
        ("redis: { url: 'http://a' }", "1:24", form),
        ("redis: { url: 'redis:///1' }", "1:24", form),
        ("redis: { url: 'redis://a/one' }", "1:24", form),
        ("redis: { url: 'rediss://a/#insecure' }", "1:24", "no `#`"),
        ("redis: { url: 'redis://a', namespace: '*' }", "1:48", "letters, digits"),
        ("redis: { url: 'redis://a', timeout: 1h }", "1:46", "between 50ms and 5s"),
        ("redis: { url: 'redis://a', read_from_replica: true }", "1:56", "`sentinel` or `cluster` only"),
        ("redis: { url: 'redis://a', sentinel: {} }", "1:37", "addresses of the Sentinels"),
        ("redis: { url: 'redis://a', sentinel: { nodes: [b] } }", "1:57", "`10.0.0.1:6379`"),
        ("redis: { url: 'redis://a', sentinel: { nodes: ['b:1'], user: u } }", "1:71", "`password` is missing"),
        ("redis: { url: 'redis://a', sentinel: { nodes: ['b:1'] }, cluster: {} }", "1:67", "one of the two"),
        ("redis: { url: 'redis://a/1', cluster: {} }", "1:39", "one database"),
        ("redis: { url: 'rediss://a', ca_file: /none }", "1:47", "cannot be read"),
        ("redis: { url: 'rediss://a', ca_file: /dev/null }", "1:47", "no PEM"),
        ("redis: { url: 'rediss://a', key_file: Cargo.toml }", "1:48", "`cert_file` is missing"),
    ] {
        let text = format!("store: {{ {store} }}\nupstreams: {{ app: whoami }}\nroutes: [{{ upstream: app }}]\n");
        expect(&text, place, part);
    }
}

#[test]
fn each_mistake_in_upstreams_and_routes_is_told_apart() {
    let upstreams = [
        ("http://a/b", "1:19", "nothing more"),
        ("http://u:p@a", "1:19", "nothing more"),
        ("who", "1:19", "or it is `whoami`"),
        ("{}", "1:14", "`servers` is missing"),
        ("{ servers: [] }", "1:21", "at least one server"),
        ("{ servers: ['http://a', 'http://A:80'] }", "1:43", "here already"),
        ("{ servers: ['http://a'], host: 'a/b' }", "1:50", "a host and perhaps a port"),
        ("{ servers: ['http://a'], timeouts: { read: 0s } }", "1:62", "between 1ms"),
    ];
    for (upstream, place, part) in upstreams {
        expect(&format!("upstreams: {{ app: {upstream} }}\nroutes: [{{ upstream: app }}]\n"), place, part);
    }
    let routes = [
        ("{}", "2:10", "`upstream` is missing"),
        ("{ upstream: ap }", "2:22", "did you mean `app`?"),
        ("{ upstream: zzzz }", "2:22", "there are: app"),
        ("{ upstream: app, match: { path: a } }", "2:42", "starts with `/`"),
        ("{ upstream: app, match: { path: /a/* } }", "2:42", "leave the `*` out"),
        ("{ upstream: app, match: { path: '/a?b' } }", "2:42", "delimiter"),
        ("{ upstream: app, match: { path: /%61 } }", "2:42", "only where one is needed"),
        ("{ upstream: app, match: { path: /a%2fb } }", "2:42", "upper-case hex"),
        ("{ upstream: app, match: { host: 'a:80' } }", "2:42", "without port"),
        ("{ upstream: app, match: { methods: [CONNECT] } }", "2:46", "never passed on"),
        ("{ upstream: app, auth: none }", "2:33", "one of `required`"),
        ("{ upstream: app, auth: public, require: { staff: true } }", "2:41", "`auth: required`"),
        ("{ upstream: app, auth: optional, require: { groups: [a] } }", "2:43", "`auth: required`"),
        ("{ upstream: app, match: { path: /api/v1 }, strip_prefix: /ap }", "2:67", "nothing to strip"),
        ("{ upstream: app, strip_prefix: / }", "2:41", "strips nothing"),
        ("{ upstream: app, set_headers: { X_Forwarded-User: a } }", "2:60", "Passgate alone"),
        ("{ upstream: app, set_headers: { Content-Length: 1 } }", "2:58", "Passgate alone"),
        ("{ upstream: app, set_headers: { X-A: \"a\\nb\" } }", "2:47", "visible ASCII"),
        ("{ upstream: app, set_headers: { X-A: a, x-a: b } }", "2:55", "here already"),
        ("{ upstream: app, forward_authorization: true, set_headers: { Authorization: a } }", "2:50", "one of the two"),
        ("{ upstream: app, mode: watch }", "2:33", "one of `enforce`, `observe`"),
        ("{ upstream: app, mode: observe, set_headers: { Authorization: a } }", "2:33", "one of the two"),
        ("{ upstream: app, timeouts: { idle: 5s } }", "2:39", "known here: connect, read, write"),
    ];
    for (route, place, part) in routes {
        expect(&format!("upstreams: {{ app: whoami }}\nroutes: [{route}]\n"), place, part);
    }
    let report = report("version: 1\n").to_string();
    assert!(report.contains("`upstreams` is missing") && report.contains("`routes` is missing"), "{report}");
    expect("upstreams: { app: whoami }\nroutes: []\n", "2:1", "at least one route");
}

pub(super) fn expect(text: &str, place: &str, part: &str) {
    let report = report(text);
    let [problem] = report.problems.as_slice() else { panic!("one problem was expected in {text}{report}") };
    assert_eq!(format!("{}:{}", problem.line, problem.column), place, "{text}{report}");
    assert!(problem.message.contains(part), "{text}{report}");
    super::schema::refuses_if_of_shape(text, &problem.message);
}

#[test]
fn what_is_likely_not_meant_is_warned_of() {
    let warning = |text: &str, part: &str| {
        let warnings = good(text).warnings;
        assert!(warnings.iter().any(|warning| warning.contains(part)), "{part}: {warnings:?}");
    };
    let with = |text: &str| format!("{text}\n{MINIMAL}");
    warning(&with("server: { public_url: 'http://gate.example' }"), "in the clear");
    warning(&with("server: { hosts: [a.example] }"), "server.public_url: `server.hosts` does not have this host");
    warning(&with("server: { trusted_proxies: [0.0.0.0/0] }"), "every peer is trusted");
    warning(&with("hashing: { memory: 1MiB }"), "below 7MiB");
    warning(&with("identity_headers: { unverified_email: send }"), "any stranger");
    let routes = |routes: &str| format!("upstreams: {{ app: whoami, b: whoami }}\nroutes: [{routes}]\n");
    warning(&routes("{ upstream: app }"), "test.yaml:1: no route leads to upstream b");
    warning(&routes("{ upstream: app, match: { path: /api-auth/x } }"), "everything beneath /api-auth");
    warning(
        &routes("{ upstream: app }, { upstream: b, match: { path: /b } }"),
        "route /b: nothing reaches it: the earlier",
    );
    warning(&routes("{ upstream: app, cors: handle }"), "nothing to handle");
    warning(&routes("{ upstream: app, mode: observe, match: { path: /b } }"), "test.yaml:2: route /b: it observes");
    warning(&routes("{ upstream: app, mode: observe, cors: handle }"), "leaves CORS to its upstream");
    let convert = "clients: { a: { grants: [convert_token] } }\n";
    let provider = "providers: { google-oauth2: { client_id: a } }\n";
    warning(&with(convert), "clients: without `providers` the grant convert_token is of no use to: a");
    warning(&with(provider), "providers: no client here has the grant convert_token");

    let quiet = [
        "{ upstream: app, match: { path: /ab } }, { upstream: b, match: { path: /a } }",
        "{ upstream: app, match: { methods: [GET] } }, { upstream: b }",
        "{ upstream: app }, { upstream: b, match: { methods: [PURGE] } }",
        "{ upstream: app, match: { host: a.example } }, { upstream: b }",
        "{ upstream: app, match: { path: /api-authority } }, { upstream: b }",
    ];
    for text in quiet {
        assert_eq!(good(&routes(text)).warnings, Vec::<String>::new(), "{text}");
    }
    for quiet in [
        "server: { public_url: 'http://localhost:8080' }",
        "server: { public_url: 'http://[::1]' }",
        "server: { public_url: 'https://gate.example' }",
        "identity_headers: { unverified_email: send }\naccounts: { registration: closed }",
        &format!("{convert}{provider}"),
    ] {
        assert_eq!(good(&with(quiet)).warnings, Vec::<String>::new(), "{quiet}");
    }
}

#[test]
fn no_report_shows_a_secret() {
    let files = [
        // Where it belongs, beside other mistakes.
        "clients: { web: { secret: CANARY, grants: [nope] } }\n",
        "clients: { web: { secret: 'CANARY', grants: [nope] } } # CANARY was longer\n",
        "clients:\n  web:\n    secret: |\n      CANARY\n      CANARY\n    grants: [nope]\n",
        "providers: { facebook: { client_secret: CANARY } }\n",
        "secrets: { master: CANARY }\n",
        "store: { redis: { url: 'redis://:CANARY@cache' } }\n",
        // Where it does not belong.
        "clients: { web: { secrte: CANARY } }\n",
        "clients: { web: { secret: [CANARY] } }\n",
        "clients: { web: { secret: { CANARY: 1 } } }\n",
        "clients: { web: CANARY }\n",
        "clients: { web: { secret: a }, web: { secret: CANARY } }\n",
        "server: { public_url: 'https://me:CANARY@a.example' }\n",
        "upstreams: { a: 'http://me:CANARY@a.example' }\n",
        "cleints: { web: { secret: CANARY } }\n",
        "log: { level: ${KEY} }\n",
        "server: { drain: '${KEY}', hosts: ['${KEY}/'], trusted_proxies: ['${KEY}'], listen: '${KEY}' }\n",
        "upstreams: { a: whoami }\nroutes: [{ upstream: '${KEY}', set_headers: { X-Key: \"CANARY\\n\" } }]\n",
        // Where it breaks the file.
        "clients:\n  web:\n    secret: \"CANARY\n    grants: []\n",
        "clients:\n  web:\n    secret: CANARY: CANARY\n",
        "clients:\n  web: { secret: @CANARY }\n",
        "clients:\n  web: { secret: 'CANARY' 'CANARY' }\n",
        "clients:\n  web:\n    secret: CANARY\n   CANARY\n",
    ];
    for text in files {
        for override_too in [false, true] {
            let mut variables = vec![("KEY", "CANARY")];
            if override_too {
                variables.extend([("PASSGATE__CLIENTS__WEB__SECRET", "{CANARY"), ("PASSGATE__NOPE", "CANARY")]);
            }
            let report = parse_with(text, &variables).err().unwrap();
            let (display, debug) = (report.to_string(), format!("{report:?}"));
            assert!(!display.contains("CANARY") && !debug.contains("CANARY"), "{text}{display}");
        }
    }
}

#[test]
fn a_broken_file_is_told_where_it_breaks() {
    let report = report("log:\n  level: info\n access: true\n");
    let [problem] = report.problems.as_slice() else { panic!("{report}") };
    assert!(problem.message.starts_with("this is not YAML") && problem.line == 3, "{report}");
    assert!(report.to_string().contains("3 |  access: …"), "{report}");
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_like_others() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = crate::config::load(&directory.path().join("passgate.yaml"), std::iter::empty()).err().unwrap();
    assert!(nowhere.to_string().contains("passgate.yaml") && nowhere.to_string().contains("cannot be read"));
    let long = directory.path().join("long.yaml");
    std::fs::write(&long, "#".repeat(2 << 20)).unwrap();
    assert!(crate::config::load(&long, std::iter::empty()).err().unwrap().to_string().contains("longer than 1MiB"));
}
