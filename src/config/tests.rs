//! Whole files: the reference, broken ones, and what must never be seen of them.

use std::time::Duration;

mod broken;
mod environment;
mod print;
mod providers;
mod schema;

use super::{
    Report, Settings,
    item::{Item, Walk},
    tree,
};
use crate::{
    master,
    oauth::client::Grant,
    provider,
    route::{Auth, Cors},
    store::{
        self,
        redis::{Node, Servers},
    },
    throttle::{self, Limits, Rate},
    token::Claim,
};

/// The example of the design, as it stands.
const DESIGN: &str = r#"
version: 1
server:
  listen: 127.0.0.1:8080            # or a list; an entry may be { address, tls: { cert_file, key_file } }
  public_url: http://127.0.0.1:8080 # issuer, audience, links, redirect URIs; never taken from a request
  base_path: /api-auth
  hosts: []                         # when not empty: other Host values are 421
  trusted_proxies: []               # CIDRs whose X-Forwarded-* we believe
  allow_headers: []                 # client header names outside [A-Za-z0-9-] to let through, e.g. api_key
  drain: 30s
  limits: { connections: 10000, header_timeout: 10s, idle_timeout: 60s, header_bytes: 32KiB, headers: 100, body: 64MiB }
admin:
  listen: 127.0.0.1:9090            # /livez /readyz /metrics
log: { format: auto, level: info, access: true }
store:
  sqlite: { path: data/passgate.db }  # or postgres: { url }, or redis: { url }
secrets:
  master_file: data/master.secret
clients:
  web:
    secret: quickstart-secret         # absent: a public client
    grants: [password, refresh_token, convert_token]
    scopes: [read, write]
cors:
  allowed_origins: ["http://localhost:3000"]   # also: allowed_headers, allowed_methods, exposed_headers, allow_credentials, max_age
providers:
  google-oauth2:
    client_id: google-client-id
    client_secret: google-secret
    # audiences: [...]                more of our own client ids (iOS, Android)
    # endpoints: { userinfo, tokeninfo, jwks, authorization, token }   whole URLs, for tests and proxies
  facebook:
    client_id: fb-app-id
    client_secret: fb-app-secret
    # endpoints: { graph, dialog }    graph is a base URL
accounts:
  registration: open                # open | closed
  sign_in_after_registration: true  # create/ answers tokens, or an empty 201
  list: staff                       # GET all/: staff | authenticated | public
tokens:
  access:  { ttl: 15m, algorithm: EdDSA, leeway: 5s }     # also: audience, accepted_issuers
  refresh: { idle_ttl: 14d, absolute_ttl: 90d, reuse_grace: 30s }
  keys:    { rotate_every: 90d, publish_ahead: 1h }
  cache: 64MiB
hashing: { memory: 19MiB, iterations: 2, parallelism: 1, max_concurrent: auto, queue: 64 }   # auto: half the cores, at least 1
limits:                             # or `limits: off`; each may be `off`
  sign_in: { per_source: 120/1m, per_account_and_source: 10/5m, per_account: 100/1h }
  sign_up: { per_source: 20/1m }
  refresh: { per_source: 600/1m }
  convert: { per_source: 120/1m }
identity_headers: { preset: x-forwarded, unverified_email: omit }   # x-forwarded | x-auth-request | remote | map: { Header-Name: claim }
upstreams:
  app: http://127.0.0.1:8000        # short form; long form: servers, host, timeouts, (later: balance, health_check, tls)
routes:
  - { match: { path: /public/ }, upstream: app, auth: public }
  - { match: { path: /staff/ },  upstream: app, require: { staff: true } }
  - { match: { path: / },        upstream: app }
"#;

const REFERENCE: &str = include_str!("../../config/reference.yaml");
const QUICKSTART: &str = include_str!("../../config/quickstart.yaml");
/// As short as it gets.
const MINIMAL: &str = "upstreams: { app: whoami }\nroutes: [{ upstream: app }]\n";

/// The variables that reference.yaml mentions.
const VARIABLES: [(&str, &str); 5] = [
    ("WEB_CLIENT_SECRET", "CANARY-web"),
    ("GOOGLE_SECRET", "CANARY-google"),
    ("FACEBOOK_SECRET", "CANARY-facebook"),
    ("COMPANY_SECRET", "CANARY-company"),
    ("UPSTREAM_KEY", "CANARY-upstream"),
];

fn env(variables: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>().into_iter()
}

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Report> {
    let settings = super::parse(text, "test.yaml", env(variables))?;
    if !variables.iter().any(|(name, _)| name.to_uppercase().starts_with("PASSGATE__")) {
        schema::takes(text);
    }
    Ok(settings)
}

fn good(text: &str) -> Settings {
    parse_with(text, &[]).unwrap_or_else(|report| panic!("{report}"))
}

fn report(text: &str) -> Report {
    parse_with(text, &[]).err().unwrap_or_else(|| panic!("this was taken:\n{text}"))
}

fn printed(text: &str, variables: &[(&str, &str)]) -> String {
    let (_, tree) = super::read(text, "test.yaml", env(variables)).unwrap_or_else(|report| panic!("{report}"));
    super::print::print(&tree)
}

/// Everything that can be compared.
fn describe(s: &Settings) -> String {
    let store = match &s.store {
        store::Settings::Sqlite { path } => path.display().to_string(),
        store::Settings::Redis(redis) => format!("{} {}", redis.address.place(), redis.namespace),
    };
    let master = match &s.master {
        master::Source::Given(secret) => secret.expose().to_owned(),
        master::Source::File(path) => path.display().to_string(),
    };
    let clients: Vec<_> = s
        .clients
        .iter()
        .map(|c| (c.id.clone(), c.secret.as_ref().map(|s| s.expose().to_owned()), c.grants.clone(), c.scopes.clone()))
        .collect();
    let providers: Vec<_> = s
        .providers
        .iter()
        .map(|p| {
            (
                &p.name,
                p.row.name,
                &p.client_id,
                &p.audiences,
                &p.endpoints,
                &p.issuer,
                (p.trust_email, p.tenant, p.accept_any_app),
            )
        })
        .collect();
    format!(
        "{:#?}",
        (
            (&s.listeners, &s.public_url, &s.base_path, &s.hygiene, &s.limits, s.max_body, s.admin, &s.log, s.throttle),
            (store, master, clients, providers, &s.cors, &s.accounts, &s.tokens, &s.sessions, s.token_cache),
            (s.max_staleness, &s.hashing, &s.identity, &s.upstreams, &s.routes),
        )
    )
}

/// What stands in `text` under some of its top-level keys.
fn sections(text: &str, keys: &[&str]) -> String {
    let mut kept = false;
    let lines = text.lines().filter(|line| {
        if line.starts_with(|c: char| c.is_ascii_lowercase()) {
            kept = keys.iter().any(|key| line.starts_with(&format!("{key}:")));
        }
        kept
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn the_design_s_example_resolves_whole() {
    let settings = good(DESIGN);
    assert_eq!(settings.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.public_url, "http://127.0.0.1:8080");
    assert_eq!(settings.limits.header_timeout, Duration::from_secs(10));
    assert_eq!((settings.max_body, settings.token_cache, settings.hashing.memory_kib), (64 << 20, 64 << 20, 19 * 1024));
    assert_eq!(settings.sessions.absolute_ttl, Duration::from_hours(24 * 90));
    assert_eq!(settings.tokens.audience, settings.public_url);
    assert_eq!(
        settings.tokens.profile,
        [Claim::Email, Claim::EmailVerified, Claim::PreferredUsername, Claim::Groups, Claim::Staff]
    );
    let client = &settings.clients[0];
    assert_eq!((client.id.as_str(), client.secret.as_ref().unwrap().expose()), ("web", "quickstart-secret"));
    assert_eq!(client.grants, [Grant::Password, Grant::RefreshToken, Grant::ConvertToken]);
    let routes: Vec<_> = settings.routes.iter().map(|r| (r.path.as_str(), r.auth, r.require.staff, r.cors)).collect();
    assert_eq!(
        routes,
        [
            ("/public/", Auth::Public, false, Cors::Handle),
            ("/staff/", Auth::Required, true, Cors::Handle),
            ("/", Auth::Required, false, Cors::Handle)
        ]
    );
    for name in ["x-forwarded-user", "x-forwarded-groups", "x-forwarded-for", "x-request-id"] {
        assert!(settings.hygiene.managed.removes(name), "{name}");
    }
}

#[test]
fn limits_are_the_designs_unless_they_are_off() {
    let rate = |count, per| Some(Rate { count, per });
    let minute = Duration::from_mins(1);
    let limits = good(MINIMAL).throttle;
    assert_eq!(limits, good(DESIGN).throttle);
    assert_eq!(
        limits.sign_in,
        Limits {
            per_source: rate(120, minute),
            per_account_and_source: rate(10, 5 * minute),
            per_account: rate(100, 60 * minute),
            per_client: None,
        }
    );
    assert_eq!(limits.sign_up, Limits { per_source: rate(20, minute), ..Limits::default() });
    assert_eq!(limits.refresh, Limits { per_source: rate(600, minute), ..Limits::default() });
    assert_eq!(limits.convert, Limits { per_source: rate(120, minute), ..Limits::default() });
    assert!(!limits.trusts_proxies);

    let of = |yaml: &str| good(&format!("{yaml}\n{MINIMAL}")).throttle;
    assert_eq!(of("limits: off"), throttle::Settings::default());
    assert_eq!(of("limits: { sign_in: off }"), throttle::Settings { sign_in: Limits::default(), ..limits });
    let some = of("limits: { convert: { per_source: off, per_client: 5/10s } }").convert;
    assert_eq!(some, Limits { per_client: rate(5, Duration::from_secs(10)), ..Limits::default() });
    assert!(of("server: { trusted_proxies: [10.0.0.0/8] }").trusts_proxies);
}

#[test]
fn tokens_are_believed_for_ever_during_an_outage_unless_a_time_is_set() {
    assert_eq!(good(MINIMAL).max_staleness, None);
    let of = |value: &str| good(&format!("revocation: {{ max_staleness: {value} }}\n{MINIMAL}")).max_staleness;
    assert_eq!(of("off"), None);
    assert_eq!(of("5m"), Some(Duration::from_mins(5)));
    let printed = printed(MINIMAL, &[("PASSGATE__REVOCATION__MAX_STALENESS", "90s")]);
    assert!(printed.contains("\nrevocation:\n  max_staleness: 90s\n"), "{printed}");
}

#[test]
fn a_redis_is_read_with_its_defaults() {
    let store = |yaml: &str| match good(&format!("store: {{ redis: {yaml} }}\n{MINIMAL}")).store {
        store::Settings::Redis(redis) => redis,
        store::Settings::Sqlite { path } => panic!("{}", path.display()),
    };
    let redis = store("{ url: 'redis://cache' }");
    assert_eq!((&*redis.address.place(), &*redis.namespace), ("cache:6379", "passgate"));
    assert_eq!((redis.connect_timeout.as_millis(), redis.timeout.as_millis()), (400, 800));
    assert!(!redis.require_durable);
    let redis =
        store("{ url: 'rediss://ann:secret@[::1]:7000/3', namespace: a.b, timeout: 2s, require_durable: true }");
    assert_eq!((&*redis.address.place(), &*redis.namespace), ("::1:7000", "a.b"));
    assert_eq!((redis.timeout.as_millis(), redis.require_durable), (2000, true));
    assert!(matches!(redis.servers, Servers::One) && !redis.read_from_replica);

    let redis = store(
        "{ url: 'redis://u:p@gate', read_from_replica: true, sentinel: { nodes: ['[::1]:1', 'b:2'], password: 'p' } }",
    );
    let Servers::Sentinel(sentinels) = &redis.servers else { panic!("they are Sentinels") };
    assert_eq!((redis.address.host(), redis.read_from_replica), ("gate", true));
    assert_eq!(sentinels.nodes, [Node { host: "::1".into(), port: 1 }, Node { host: "b".into(), port: 2 }]);
    assert!(sentinels.user.is_none() && sentinels.password.is_some());

    assert!(matches!(store("{ url: 'redis://a', cluster: {} }").servers, Servers::Cluster(nodes) if nodes.is_empty()));
    let redis = store("{ url: 'redis://a', cluster: { nodes: ['b:2'] } }");
    assert!(matches!(redis.servers, Servers::Cluster(nodes) if nodes == [Node { host: "b".into(), port: 2 }]));
}

#[test]
fn what_is_not_built_yet_is_refused() {
    let report = report(&format!("store: {{ postgres: {{ url: 'x://:CANARY@h' }} }}\n{MINIMAL}")).to_string();
    assert!(report.contains("no PostgreSQL") && !report.contains("CANARY"), "{report}");
}

#[test]
fn the_reference_says_what_the_defaults_are() {
    let example = sections(REFERENCE, &["clients", "providers", "upstreams", "routes"]);
    assert!(example.len() < REFERENCE.len() * 2 / 3, "the other sections are left out");
    assert_eq!(printed(REFERENCE, &VARIABLES), printed(&example, &VARIABLES));
    let (whole, example) = (parse_with(REFERENCE, &VARIABLES).unwrap(), parse_with(&example, &VARIABLES).unwrap());
    assert_eq!(describe(&whole), describe(&example));
}

/// The paths of all keys that are read, when everything that can be written is.
fn every_key_asked() -> std::collections::BTreeSet<String> {
    let everything = "
server: { listen: [{ address: '[::1]:1', tls: { cert_file: a, key_file: b } }] }
secrets: { master: 0123456789abcdef0123456789abcdef, previous_masters: [0123456789abcdef0123456789abcdef] }
store: { redis: { url: a, sentinel: {}, cluster: {} } }
identity_headers: { map: { X-User: sub } }
";
    let alternatives = sections(everything, &["server", "secrets", "store", "identity_headers"]);
    let example = sections(REFERENCE, &["clients", "providers", "upstreams", "routes"]);
    let entry = |name: &str| format!("  {name}: {{ client_id: a }}\n");
    let known: String = provider::TABLE.iter().map(|row| entry(row.name)).collect();
    let providers = format!("providers:\n{known}  company: {{ type: oidc }}\n");
    let mut asked = std::collections::BTreeSet::new();
    let others = "store: { postgres: { url: a } }\nserver: { listen: { address: a, tls: {} } }\n";
    for text in [REFERENCE, &format!("{alternatives}{example}"), &providers, others] {
        let mut document = tree::parse(text).unwrap_or_else(|flaw| panic!("{flaw:?}"));
        let mut walk = Walk::default();
        Item::root(&mut document.root, &mut walk).section(super::resolve::resolve);
        asked.extend(walk.asked);
    }
    asked
}

#[test]
fn the_reference_has_every_key() {
    let asked = every_key_asked();
    let asked: std::collections::BTreeSet<_> = asked.iter().filter_map(|path| path.rsplit('.').next()).collect();
    assert!(asked.len() > 100, "{asked:?}");
    let written: std::collections::BTreeSet<&str> = REFERENCE
        .split(['\n', '{', ','])
        .filter_map(|part| part.trim_start_matches([' ', '#', '-']).split_once(':').map(|(key, _)| key))
        .collect();
    let named_in_comments = ["url_file", "password_file"];
    let missing: Vec<_> =
        asked.into_iter().filter(|key| !written.contains(key) && !named_in_comments.contains(key)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn the_reference_names_every_provider_and_its_endpoints() {
    for row in provider::TABLE {
        assert!(REFERENCE.contains(&format!(" {}:", row.name)), "{}", row.name);
        for (key, default) in row.endpoints {
            let default = default.expect("a provider that is known by name has all its endpoints");
            assert!(REFERENCE.contains(&format!(" {key}: {default}")), "{}: {key}", row.name);
        }
    }
}

#[test]
fn the_quick_start_warns_of_what_makes_it_one() {
    let settings = good(QUICKSTART);
    assert_eq!(settings.warnings.len(), 1);
    assert!(settings.warnings[0].contains("any stranger can claim any address"), "{:?}", settings.warnings);
    assert!(settings.upstreams[0].servers.is_empty() && settings.identity.unverified_email);
    assert_eq!(settings.clients[0].secret.as_ref().unwrap().expose(), "quickstart-secret");
}

#[test]
fn the_cluster_example_is_one_to_start_from() {
    let example = include_str!("../../config/cluster.yaml");
    let variables = [
        ("REDIS_URL", "rediss://passgate:CANARY@redis.internal:6379"),
        ("PASSGATE_MASTER", "0123456789abcdef0123456789abcdef"),
        ("WEB_CLIENT_SECRET", "secret"),
    ];
    let settings = parse_with(example, &variables).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(settings.warnings, Vec::<String>::new());
    let store::Settings::Redis(redis) = settings.store else { panic!("it is about a Redis") };
    assert_eq!((redis.address.place(), redis.require_durable), ("redis.internal:6379".to_owned(), true));
    assert!(!printed(example, &variables).contains("CANARY"));
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    let report = report(
        r"server:
  lisen: 127.0.0.1:8080
  drain: 30
  limits: { connections: lots, body: 5 }
clients:
  web: { secret: hunter2, grants: [passwrod], scope: [read] }
  web: {}
tokens: [1]
upstreams:
  app: http://127.0.0.1:8000
routes:
  - { match: { path: /a/../b }, upstream: ap }
  - { upstream: app, auth: public, require: { staff: true } }
",
    );
    insta::assert_snapshot!(report, @r"
    error: unknown key `lisen` in `server`; did you mean `listen`?
     --> test.yaml:2:3
      |
    2 |   lisen: ***
      |   ^^^^^

    error: a bare number has no unit: a duration is a whole number and a unit (ms, s, m, h, d), such as `30s` or `15m`
     --> test.yaml:3:10
      |
    3 |   drain: 30
      |          ^^

    error: a whole number is wanted here
     --> test.yaml:4:26
      |
    4 |   limits: { connections: lots, body: 5 }
      |                          ^^^^

    error: a bare number has no unit: a size is a whole number and a unit (B, KiB, MiB, GiB), such as `16KiB` or `64MiB`
     --> test.yaml:4:38
      |
    4 |   limits: { connections: lots, body: 5 }
      |                                      ^

    error: one of `password`, `refresh_token`, `convert_token` is wanted here; did you mean `password`?
     --> test.yaml:6:36
      |
    6 |   web: { secret: ***, grants: [passwrod], scope: [***] }
      |                                ^^^^^^^^

    error: unknown key `scope` in `clients.web`; did you mean `scopes`?
     --> test.yaml:6:47
      |
    6 |   web: { secret: ***, grants: [passwrod], scope: [***] }
      |                                           ^^^^^

    error: `web` is here twice; it was set in line 6 before
     --> test.yaml:7:3
      |
    7 |   web: {}
      |   ^^^

    error: a map is wanted here: keys, each with a value
     --> test.yaml:8:1
      |
    8 | tokens: [***]
      | ^^^^^^

    error: The path has a dot segment.
      --> test.yaml:12:22
       |
    12 |   - { match: { path: /a/../b }, upstream: ap }
       |                      ^^^^^^^

    error: there is no such upstream; did you mean `app`?
      --> test.yaml:12:43
       |
    12 |   - { match: { path: /a/../b }, upstream: ap }
       |                                           ^^

    error: this is asked of known callers only: it goes with `auth: required`
      --> test.yaml:13:36
       |
    13 |   - { upstream: app, auth: public, require: { staff: true } }
       |                                    ^^^^^^^

    11 problems
    ");
}
