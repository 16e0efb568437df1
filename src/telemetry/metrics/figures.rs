//! What figures there are, and what they tell an operator: the tables from which they are made, and docs/metrics.md is.

/// What there is to know of a figure.
#[derive(Debug)]
pub struct Figure {
    /// As Prometheus has it, unit last.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What tells its series apart.
    pub labels: &'static [Label],
    /// What is counted or measured, in a line.
    pub help: &'static str,
    /// When to worry, and what to do; for the page alone.
    pub worry: &'static str,
}

/// How a figure moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Up only.
    Counter,
    /// Up and down.
    Gauge,
    /// Observations by size: `_bucket`, `_sum` and `_count`.
    Histogram,
}

impl Kind {
    /// As the text format has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A label, and all that it can say.
#[derive(Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// Where the values of a label come from. Never from a client.
#[derive(Debug)]
pub enum Values {
    /// These words of the program.
    Words(&'static [&'static str]),
    /// What the operator or the build named; told in words.
    Named(&'static str),
}

/// Figures that are read together.
pub struct Group {
    /// A heading.
    pub title: &'static str,
    /// In the order of the page.
    pub figures: &'static [&'static Figure],
}

const fn words(name: &'static str, words: &'static [&'static str]) -> Label {
    Label { name, values: Values::Words(words) }
}

const fn named(name: &'static str, what: &'static str) -> Label {
    Label { name, values: Values::Named(what) }
}

const fn outcome(values: &'static [&'static str]) -> Label {
    words("outcome", values)
}

/// What is made of a caller's bearer where it does not hold.
macro_rules! rejections {
    ($($more:literal),*) => {
        &[$($more,)* "no_token", "two_words", "many_words", "foreign", "invalid", "revoked", "expired", "unavailable"]
    };
}

/// Methods with a series of their own.
pub const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];

/// Classes of statuses; `none` when the client was gone before there was one.
pub const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

const ROUTE: Label = named(
    "route",
    "a route's name (its host and path as configured); `server.base_path` for our own endpoints; `none` for what came to \
     no route",
);
const UPSTREAM: Label = named("upstream", "a name under `upstreams`");
const PROVIDER: Label = named("provider", "a name under `providers`");

macro_rules! figures {
    ($($constant:ident: $kind:ident $name:literal [$($label:expr),*] $help:literal, $worry:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Figure = Figure {
                name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help, worry: $worry,
            };
        )*
    };
}

figures! {
    REQUESTS: Counter "passgate_requests_total"
        [ROUTE, words("method", &METHODS), words("status", &CLASSES)]
        "Requests answered, by route, method and status class",
        "A growing share of `5xx` is an upstream that fails, or, for the route of `server.base_path`, the store: the access \
         lines have the `reason`. `none` is clients that do not wait for an answer: look at the durations.";
    DURATIONS: Histogram "passgate_request_duration_seconds" [ROUTE]
        "From a request's head to its answer's end",
        "Slower than usual: compare with passgate_upstream_response_seconds. What the upstream does not take is the client's \
         connection, large bodies, or this machine's processors.";
    IN_FLIGHT: Gauge "passgate_requests_in_flight" []
        "Requests not yet answered to the end",
        "Growing without more requests a second: an upstream has become slow, and requests pile up before it.";
    CONNECTIONS: Gauge "passgate_connections_open" []
        "Connections from clients",
        "Close to `server.limits.connections`, new clients wait to be accepted: raise the limit and that of open files, or add \
         gateways.";
    UPSTREAM_TIMES: Histogram "passgate_upstream_response_seconds" [UPSTREAM]
        "From sending a request to an upstream to the head of its answer",
        "The upstream itself is slow. For a request with a long body it includes the time in which the client sends it.";
    UPSTREAM_FAILURES: Counter "passgate_upstream_failures_total"
        [UPSTREAM, words("reason", &["upstream_failed", "upstream_timeout"])]
        "Requests that an upstream did not answer, after all tries",
        "Each is a 502 or 504. The log has a line with the server and the error for every one.";
    REFUSED: Counter "passgate_refused_total"
        [words("reason", &[
            "authorization", "expectation", "framing", "head_too_large", "header", "host", "malformed", "method", "misdirected",
            "path", "target", "target_too_long",
        ])]
        "Requests refused before any decision",
        "Some are always there: scanners. Many of one `reason` after a release are a client that sends what it should not; \
         `misdirected` is a name that `server.hosts` lacks.";
    HEADERS_DROPPED: Counter "passgate_headers_dropped_total" []
        "Headers of clients taken out for the characters of their names",
        "Grows where a client sends names with `_` or `.`, which some servers take for `-`. If an upstream misses a header, it \
         may be one of these.";

    AUTHN: Counter "passgate_authn_total"
        [outcome(rejections!("authenticated", "anonymous", "no_credentials"))]
        "Callers, by what was found of them",
        "`foreign` and `invalid` in numbers: tokens of another issuer, or of a key that was revoked. `expired`: clients that do \
         not refresh. `unavailable`: see passgate_change_log_age_seconds.";
    TOKEN_CACHE: Counter "passgate_token_cache_total"
        [words("result", &["hit", "miss"])]
        "Look-ups in the verified-token cache",
        "Below nine hits in ten with steady traffic, the cache is too small for all who call: see the next two.";
    TOKEN_CACHE_BYTES: Gauge "passgate_token_cache_bytes" []
        "Memory that the verified-token cache holds",
        "At its limit while many look-ups miss: raise `tokens.cache`.";
    TOKEN_CACHE_ENTRIES: Gauge "passgate_token_cache_entries" []
        "Tokens in the verified-token cache",
        "About how many tokens are in use.";
    OBSERVED: Counter "passgate_observed_total"
        [
            ROUTE,
            words("verdict", rejections!("allow", "forbidden", "no_credentials")),
            words("upstream", &["served", "401", "403", "other"])
        ]
        "Requests of routes that observe, by what Passgate would have done and what the upstream did",
        "`verdict=\"allow\"` with `401` or `403`, or a refusal with `served`, is a difference: settle it before the route \
         enforces. The log tells some of each kind.";

    SIGN_INS: Counter "passgate_sign_ins_total"
        [outcome(&[
            "ok", "unknown_account", "inactive_account", "wrong_password", "account_changed", "provider_refused",
            "provider_busy", "provider_failed", "address_taken", "no_verified_address", "registration_closed", "busy",
            "unavailable",
        ])]
        "Sign-ins with a password or by a provider, and first sessions of new accounts",
        "A rise of `wrong_password` and `unknown_account` is somebody trying passwords: see passgate_throttled_total, and the \
         audit log for sources. `busy`: see the figures of hashing. `unavailable`: the store.";
    SIGN_UPS: Counter "passgate_sign_ups_total"
        [outcome(&["ok", "failed"])]
        "Accounts made, and requests that made none",
        "A sudden rise of `ok` is a program that signs up: tighten `limits.sign_up`.";
    REFRESHES: Counter "passgate_refreshes_total"
        [outcome(&["rotated", "repeated", "refused", "not_ours", "theft", "fast_forward", "unavailable"])]
        "Presented refresh tokens",
        "`theft`: a used token came back after its grace and the session was ended; one by one they are worth a look at the \
         audit log, many at once are a client that keeps old tokens. `fast_forward`: the store lost writes. Many `repeated`: \
         clients that refresh twice at a time.";
    THROTTLED: Counter "passgate_throttled_total"
        [
            words("what", &["sign_in", "sign_up", "refresh", "convert"]),
            words("limit", &["per_source", "per_account_and_source", "per_account", "per_client"])
        ]
        "Requests refused for being too many, by what they were and by the limit of the configuration",
        "`per_account`: somebody guesses at accounts from many sources. `per_source` for all at once: `server.trusted_proxies` \
         is missing, and everybody looks like one source.";
    PROVIDER_CHECKS: Counter "passgate_provider_checks_total"
        [PROVIDER, outcome(&["ok", "refused", "failed", "busy"])]
        "Tokens that another identity provider was asked about, or that were verified by its keys",
        "`failed`: the provider is out of reach, or answers what cannot be read; the log says which. `busy`: it is so slow that \
         64 checks are in flight.";
    PROVIDER_TIMES: Histogram "passgate_provider_check_seconds" [PROVIDER]
        "How long a check of a provider's token took",
        "Near 5 s, where a check is given up, sign-ins fail.";
    HASHES_WAITING: Gauge "passgate_hashes_waiting" []
        "Password hashes waiting for a thread",
        "At `hashing.queue`, sign-ins are refused with 503.";
    HASHES_RUNNING: Gauge "passgate_hashes_running" []
        "Password hashes being computed",
        "Always at `hashing.max_concurrent`: more sign-ins come than can be hashed. Add cores or gateways, or lower the costs.";
    HASH_WAITS: Histogram "passgate_hash_wait_seconds" []
        "How long a password hash waited for a thread",
        "Above a second, people notice: as passgate_hashes_running.";
    HASHES_REFUSED: Counter "passgate_hashes_refused_total" []
        "Password hashes refused since too many were waiting",
        "Each is a 503 for somebody who signs in or up. With many `wrong_password` it is a flood of guesses: tighten \
         `limits.sign_in`.";

    STORE_UP: Gauge "passgate_store_up" []
        "1 when the store answered last, and took a write",
        "0 for a minute: page somebody. Proxied requests go on, sign-ins and refreshes do not: see [outages.md](outages.md).";
    STORE_STATE: Gauge "passgate_store_state"
        [words("state", &["reachable", "read-only", "unreachable"])]
        "1 for how the store was when it was last asked",
        "`read-only`: a full disk, a replica, or another program that holds the file.";
    STORE_TIMES: Histogram "passgate_store_operation_seconds"
        [words("operation", &OPERATIONS)]
        "How long the store took for an operation, failures included",
        "All slow: disk or network. Only what writes is slow: another program holds the file, or the disk is slow to sync.";
    STORE_ERRORS: Counter "passgate_store_errors_total"
        [words("kind", &["unavailable", "corrupt"])]
        "Operations of the store that failed",
        "`unavailable`: see passgate_store_state. `corrupt`: the store holds what this version cannot read, such as rows of a \
         newer one; the log says what.";
    CHANGE_LOG_AGE: Gauge "passgate_change_log_age_seconds" []
        "How long ago this node last knew the change log to its end",
        "Over 30 s, this gateway does not hear of revocations; at `revocation.max_staleness` it judges no bearer any more.";

    KEY_AGE: Gauge "passgate_signing_key_age_seconds" []
        "For how long the current signing key has been signing",
        "Well over `tokens.keys.rotate_every`: keys are no longer rotated; the log says why.";
    KEY_NEXT: Gauge "passgate_signing_key_next_seconds" []
        "In how long the next signing key signs; below zero when it is overdue",
        "Below zero for more than `tokens.keys.publish_ahead`: as the one before.";

    BUILD: Gauge "passgate_build_info"
        [named("version", "this version"), named("commit", "what it was built of, or `unknown`")]
        "1, with the running version as label",
        "Several values for long after a release: some gateways were not replaced.";
    PROCESS_MEMORY: Gauge "process_resident_memory_bytes" []
        "Memory of the process",
        "Growing for days is a leak: report it. The token cache and hashing (`hashing.memory` for each that runs) have bounds.";
    PROCESS_CPU: Counter "process_cpu_seconds_total" []
        "Processor time of the process",
        "Its rate at the number of cores: add gateways. High while little is proxied is hashing.";
    PROCESS_FDS: Gauge "process_open_fds" []
        "Open files and sockets",
        "Close to process_max_fds, connections cannot be taken.";
    PROCESS_MOST_FDS: Gauge "process_max_fds" []
        "Most files and sockets that may be open",
        "Below twice `server.limits.connections`: raise LimitNOFILE or `ulimit -Hn`.";
}

/// All of them.
pub const GROUPS: &[Group] = &[
    Group {
        title: "Traffic",
        figures: &[
            &REQUESTS,
            &DURATIONS,
            &IN_FLIGHT,
            &CONNECTIONS,
            &UPSTREAM_TIMES,
            &UPSTREAM_FAILURES,
            &REFUSED,
            &HEADERS_DROPPED,
        ],
    },
    Group {
        title: "Authentication",
        figures: &[&AUTHN, &TOKEN_CACHE, &TOKEN_CACHE_BYTES, &TOKEN_CACHE_ENTRIES, &OBSERVED],
    },
    Group {
        title: "Sign-ins and hashing",
        figures: &[
            &SIGN_INS,
            &SIGN_UPS,
            &REFRESHES,
            &THROTTLED,
            &PROVIDER_CHECKS,
            &PROVIDER_TIMES,
            &HASHES_WAITING,
            &HASHES_RUNNING,
            &HASH_WAITS,
            &HASHES_REFUSED,
        ],
    },
    Group { title: "Store", figures: &[&STORE_UP, &STORE_STATE, &STORE_TIMES, &STORE_ERRORS] },
    Group { title: "Keys and change log", figures: &[&CHANGE_LOG_AGE, &KEY_AGE, &KEY_NEXT] },
    Group { title: "Process", figures: &[&BUILD, &PROCESS_MEMORY, &PROCESS_CPU, &PROCESS_FDS, &PROCESS_MOST_FDS] },
];

/// The methods of the store's traits that are timed; a test of the store holds them against the traits.
pub const OPERATIONS: [&str; 42] = [
    "account",
    "accounts",
    "active_session",
    "change_account",
    "change_client",
    "change_own_password",
    "claim_deployment",
    "clients",
    "create_session",
    "credentials",
    "credentials_of",
    "delete_account",
    "delete_client",
    "delete_key",
    "delete_link",
    "deployment",
    "end_refreshing",
    "end_sessions",
    "give_turn_back",
    "import_accounts",
    "insert_account",
    "insert_client",
    "insert_key",
    "insert_link",
    "judge_imports",
    "keys",
    "knows_source",
    "linked_account",
    "links",
    "ping",
    "read_changes",
    "reapply_changes",
    "replace_master_check",
    "replace_password_hash",
    "replace_secret",
    "reseal_key",
    "rotate_session",
    "session",
    "sessions_of",
    "sign_in_by_link",
    "sweep_expired",
    "take_turn",
];
