//! `tokens`, `revocation`, `hashing`, `limits`: lifetimes, costs and rates.

use std::{num::NonZero, time::Duration};

use super::{
    section::{Section, number},
    tree::Value,
    units, values,
};
use crate::{
    password, session,
    throttle::{self, Limits, Rate},
    token::{self, Algorithm},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
const YEARS: Duration = Duration::from_hours(24 * 3650);

/// `tokens`: of access tokens (their profile is filled in later), of sessions, and the cache in bytes.
pub(super) fn tokens(tokens: &mut Section<'_>, public_url: &str) -> (token::Settings, session::Rules, u64) {
    // That of a URL that did not hold is none to complain of.
    let audience = |text: &str| if text == public_url { Ok(text.to_owned()) } else { values::line(text) };
    let algorithms = [("EdDSA", Algorithm::EdDsa), ("ES256", Algorithm::Es256), ("RS256", Algorithm::Rs256)];
    let (mut access, ttl_place) = tokens.section("access", |access| {
        let settings = token::Settings {
            issuer: public_url.to_owned(),
            access_ttl: access.duration("ttl", 15 * MINUTE, SECOND..=DAY),
            algorithm: access.choice("algorithm", &algorithms, Algorithm::EdDsa),
            leeway: access.duration("leeway", 5 * SECOND, Duration::ZERO..=MINUTE),
            audience: access.with("audience", Value::plain(public_url), |item| item.text(audience)).unwrap_or_default(),
            accepted_issuers: access.list("accepted_issuers", &[], values::line),
            rotate_every: Duration::ZERO,
            publish_ahead: Duration::ZERO,
            profile: Vec::new(),
        };
        for key in ["ttl", "leeway"] {
            let value = if key == "ttl" { settings.access_ttl } else { settings.leeway };
            if value.subsec_millis() != 0 {
                access.flaw(key, "tokens tell the time in whole seconds");
            }
        }
        (settings, access.place("ttl"))
    });
    let sessions = tokens.section("refresh", |refresh| {
        let rules = session::Rules {
            idle_ttl: refresh.duration("idle_ttl", 14 * DAY, SECOND..=YEARS),
            absolute_ttl: refresh.duration("absolute_ttl", 90 * DAY, SECOND..=YEARS),
            reuse_grace: refresh.duration("reuse_grace", 30 * SECOND, Duration::ZERO..=5 * MINUTE),
            access_ttl: access.access_ttl,
        };
        if rules.access_ttl > rules.absolute_ttl {
            let place = ttl_place.or(refresh.place("absolute_ttl"));
            refresh.walk.flaw(place, "an access token would outlive its session: `ttl` is above `absolute_ttl`");
        }
        rules
    });
    tokens.section("keys", |keys| {
        access.rotate_every = keys.duration("rotate_every", 90 * DAY, SECOND..=YEARS);
        access.publish_ahead = keys.duration("publish_ahead", 60 * MINUTE, Duration::ZERO..=YEARS);
        if access.publish_ahead >= access.rotate_every {
            keys.flaw("publish_ahead", "a key cannot be published for longer than keys last: below `rotate_every`");
        }
    });
    let cache = tokens.size("cache", 64 << 20, 64 << 10..=64 << 30);
    (access, sessions, cache)
}

/// `revocation.max_staleness`; `None` when it is off.
pub(super) fn max_staleness(revocation: &mut Section<'_>) -> Option<Duration> {
    const KEY: &str = "max_staleness";
    if revocation.with(KEY, Value::plain(OFF), |mut item| item.is(OFF)) {
        return None;
    }
    // The log is read every second or two, and at once when there is something new.
    Some(revocation.duration(KEY, 5 * MINUTE, 5 * SECOND..=DAY))
}

/// `hashing`.
pub(super) fn hashing(hashing: &mut Section<'_>) -> password::Settings {
    let memory = hashing.size("memory", 19 << 20, 8 << 10..=4 << 30);
    let iterations = hashing.number("iterations", 2, 1..=100);
    let parallelism = hashing.number("parallelism", 1, 1..=64);
    let memory_kib = u32::try_from(memory >> 10).unwrap_or(u32::MAX);
    if !memory.is_multiple_of(1 << 10) {
        hashing.flaw("memory", "this is counted in whole KiB");
    } else if memory_kib < 8 * parallelism {
        hashing.flaw("memory", "argon2 needs 8KiB per lane of `parallelism`");
    } else if memory < 7 << 20 {
        hashing.warn("memory", "below 7MiB a stolen password database is cheap to try passwords on");
    }
    let max_concurrent = hashing.with("max_concurrent", Value::plain("auto"), |mut item| {
        let auto = std::thread::available_parallelism().map_or(1, NonZero::get) / 2;
        if item.is("auto") {
            return Some(auto.max(1));
        }
        item.scalar(|scalar| number(scalar, &(1..=1024)).map_err(|message| format!("{message}, or `auto`")))
            .map(|count| count as usize)
    });
    let queue = hashing.number("queue", 64, 0..=100_000) as usize;
    password::Settings { memory_kib, iterations, parallelism, max_concurrent: max_concurrent.unwrap_or(1), queue }
}

/// `limits`.
pub(super) fn limits(root: &mut Section<'_>, trusts_proxies: bool) -> throttle::Settings {
    if root.get("limits").is_some_and(|mut item| item.is("off")) {
        return throttle::Settings { trusts_proxies, ..throttle::Settings::default() };
    }
    root.section("limits", |limits| throttle::Settings {
        sign_in: event(limits, "sign_in", |rates| Limits {
            per_source: rate(rates, "per_source", "120/1m"),
            per_account_and_source: rate(rates, "per_account_and_source", "10/5m"),
            per_account: rate(rates, "per_account", "100/1h"),
            per_client: rate(rates, "per_client", OFF),
        }),
        sign_up: event(limits, "sign_up", |rates| Limits {
            per_source: rate(rates, "per_source", "20/1m"),
            ..Limits::default()
        }),
        refresh: event(limits, "refresh", |rates| Limits {
            per_source: rate(rates, "per_source", "600/1m"),
            per_client: rate(rates, "per_client", OFF),
            ..Limits::default()
        }),
        convert: event(limits, "convert", |rates| Limits {
            per_source: rate(rates, "per_source", "120/1m"),
            per_client: rate(rates, "per_client", OFF),
            ..Limits::default()
        }),
        trusts_proxies,
    })
}

const OFF: &str = "off";

/// The rates of one event, unless it is off as a whole.
fn event(limits: &mut Section<'_>, name: &'static str, read: impl FnOnce(&mut Section<'_>) -> Limits) -> Limits {
    if limits.get(name).is_some_and(|mut item| item.is(OFF)) {
        return Limits::default();
    }
    limits.section(name, read)
}

/// `None` when it is off.
fn rate(rates: &mut Section<'_>, key: &'static str, default: &'static str) -> Option<Rate> {
    let parse = |text: &str| if text == OFF { Ok(None) } else { units::rate(text).map(Some) };
    rates.with(key, Value::plain(default), |item| item.text(parse)).flatten()
}
