//! The configuration in effect, written out: what is in it, what never is, and that it reads back.

use super::{DESIGN, MINIMAL, QUICKSTART, REFERENCE, VARIABLES, describe, good, parse_with, printed};

const CLUSTER: &str = include_str!("../../../config/cluster.yaml");
const OF_CLUSTER: [(&str, &str); 3] = [
    ("REDIS_URL", "rediss://passgate:CANARY@redis.internal:6379"),
    ("PASSGATE_MASTER", "CANARY-0123456789abcdef0123456789abcdef"),
    ("WEB_CLIENT_SECRET", "CANARY"),
];
/// Secrets of every kind, written into the file.
const SECRETS: &str = "
store: { redis: { url: 'redis://ann:CANARY@cache:7000/3', sentinel: { nodes: ['a:1'], password: CANARY } } }
secrets: { master: CANARY-0123456789abcdef0123456789abcdef }
clients: { web: { secret: CANARY }, mobile: { secret: 'a${PART}b' } }
providers: { facebook: { client_id: a, client_secret: CANARY } }
upstreams: { app: 'http://10.0.0.1:8000' }
routes: [{ upstream: app, set_headers: { X-Key: CANARY } }]
";

#[test]
fn what_is_printed_reads_back_as_the_same_but_for_the_secrets() {
    let cases: [(&str, &[(&str, &str)]); 6] = [
        (DESIGN, &[]),
        (REFERENCE, &VARIABLES),
        (QUICKSTART, &[]),
        (CLUSTER, &OF_CLUSTER),
        (MINIMAL, &[]),
        (SECRETS, &[("PART", "CANARY")]),
    ];
    for (text, variables) in cases {
        let once = printed(text, variables);
        for secret in ["CANARY", "quickstart-secret", "google-secret", "fb-app-secret"] {
            assert!(!once.contains(secret), "{once}");
        }
        let again = parse_with(&once, variables).unwrap_or_else(|report| panic!("{once}{report}"));
        let before = parse_with(text, variables).unwrap_or_else(|report| panic!("{report}"));
        let mut expected = describe(&before);
        if text == SECRETS {
            expected = expected.replace("CANARY-0123456789abcdef0123456789abcdef", &"*".repeat(32));
            expected = expected.replace("\"CANARY\"", "\"***\"").replace("\"aCANARYb\"", "\"***\"");
            assert!(!expected.contains("CANARY"), "{expected}");
        }
        assert_eq!(describe(&again), expected.replace("\"quickstart-secret\"", "\"***\""));
        assert_eq!(printed(&once, variables), once);
    }
}

#[test]
fn a_secret_that_is_a_variable_is_printed_as_one_and_any_other_is_masked() {
    let cluster = printed(CLUSTER, &OF_CLUSTER);
    for line in ["url: \"${REDIS_URL}\"", "master: \"${PASSGATE_MASTER}\"", "secret: \"${WEB_CLIENT_SECRET}\""] {
        assert!(cluster.contains(line), "{line}: {cluster}");
    }
    let secrets = printed(SECRETS, &[("PART", "CANARY")]);
    for line in ["url: \"redis://ann:***@cache:7000/3\"", "password: \"***\"", "X-Key: \"***\""] {
        assert!(secrets.contains(line), "{line}: {secrets}");
    }
    let set = [OF_CLUSTER.as_slice(), &[("PASSGATE__STORE__REDIS__URL", "redis://CANARY@other/1")]].concat();
    assert!(printed(CLUSTER, &set).contains("url: \"redis://***@other/1\""));
}

#[test]
fn defaults_are_put_in_wherever_they_hold() {
    let whole = printed(MINIMAL, &[("PASSGATE__SERVER__DRAIN", "1m"), ("PASSGATE__SERVER__PUBLIC_URL", "https://a")]);
    assert!(whole.starts_with("version: 1\nserver:\n  listen: 127.0.0.1:8080\n"), "{whole}");
    assert!(whole.contains("\n  drain: 1m\n"), "{whole}");
    assert!(whole.contains("\n    audience: https://a\n"), "{whole}");
    assert_eq!(good(&printed(MINIMAL, &[])).warnings, Vec::<String>::new());

    let short =
        printed("upstreams: { app: \"${SERVER}\" }\nroutes: [{ upstream: app }]\n", &[("SERVER", "http://a:1")]);
    let long =
        "upstreams:\n  app:\n    servers: [\"${SERVER}\"]\n    host: preserve\n    timeouts:\n      connect: 4s\n";
    assert!(short.contains(long), "{short}");
}
