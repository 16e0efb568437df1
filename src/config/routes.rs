//! `upstreams` and `routes`: what goes where, and what it takes to get there.

use std::{ops::RangeInclusive, time::Duration};

use http::{HeaderName, HeaderValue};

use super::{
    item::Item,
    section::{Section, nearest},
    tree::{Place, Value},
    values,
};
use crate::{
    route::{self, Auth, Cors, Mode, Require, Route},
    upstream::{self, Host},
};

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(1);

/// An upstream with where it is written; its settings are missing when they did not hold.
pub(super) struct Upstream {
    pub name: String,
    pub place: Place,
    pub settings: Option<upstream::Settings>,
}

/// `upstreams`: each a URL, `whoami`, or the long form.
pub(super) fn upstreams(item: Item<'_>) -> Vec<Upstream> {
    item.named(|name, item| {
        let place = item.place.clone();
        Some(Upstream { name: name.to_owned(), place, settings: upstream(name, item) })
    })
}

fn upstream(name: &str, mut item: Item<'_>) -> Option<upstream::Settings> {
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        item.flaw("an upstream's name is a word without blanks");
        return None;
    }
    if item.is("whoami") {
        return Some(settings(name, Vec::new()));
    }
    let short = item.is_scalar();
    if short {
        item.lengthen("servers");
    }
    item.section(|section| long_form(name, short, section))
}

fn settings(name: &str, servers: Vec<upstream::Server>) -> upstream::Settings {
    let timeouts = upstream::Timeouts { connect: 4 * SECOND, read: 60 * SECOND, write: 60 * SECOND, idle: 55 * SECOND };
    upstream::Settings { name: name.to_owned(), servers, host: Host::Preserve, timeouts }
}

fn long_form(name: &str, was_short: bool, section: &mut Section<'_>) -> Option<upstream::Settings> {
    let mut seen: Vec<upstream::Server> = Vec::new();
    let servers = section.required("servers").map(|item| {
        if item.is_empty_list() {
            item.flaw("at least one server is wanted here");
            return Vec::new();
        }
        item.list(|item| {
            let server = item.text(|text| match values::server(text) {
                Ok(server) if seen.contains(&server) => Err("this server is here already".to_owned()),
                Err(message) if was_short => Err(format!("{message}; or it is `whoami`")),
                read => read,
            })?;
            seen.push(server.clone());
            Some(server)
        })
    });
    let host = section.with("host", Value::plain("preserve"), |item| {
        item.text(|text| match text {
            "preserve" => Ok(Host::Preserve),
            "upstream" => Ok(Host::Upstream),
            name => values::authority(name).map(Host::Named),
        })
    });
    let mut settings = settings(name, servers?);
    settings.host = host?;
    let defaults = settings.timeouts;
    settings.timeouts = section.section("timeouts", |timeouts| upstream::Timeouts {
        connect: timeouts.duration("connect", defaults.connect, TIMEOUT),
        read: timeouts.duration("read", defaults.read, TIMEOUT),
        write: timeouts.duration("write", defaults.write, TIMEOUT),
        idle: timeouts.duration("idle", defaults.idle, TIMEOUT),
    });
    Some(settings)
}

/// What routes are read against.
pub(super) struct Context<'c> {
    pub upstreams: &'c [Upstream],
    pub hosts: &'c [String],
    pub base_path: &'c str,
    /// Whether `cors.allowed_origins` has any.
    pub cors: bool,
    /// Headers that only we write.
    pub written: &'c [HeaderName],
}

/// `routes`, with where each is written.
pub(super) fn routes(item: Item<'_>, context: &Context<'_>) -> Vec<(Place, Route)> {
    if item.is_empty_list() {
        item.flaw("at least one route is wanted here");
        return Vec::new();
    }
    item.list(|item| {
        let place = item.place.clone();
        item.section(|section| route(section, context)).map(|route| (place, route))
    })
}

fn route(section: &mut Section<'_>, context: &Context<'_>) -> Option<Route> {
    let (host, path, methods) = section.section("match", |matches| {
        let host = matches.get("host").map(|host| host.text(values::host));
        let path = matches.with("path", Value::plain("/"), |path| path.text(values::path));
        (host, path, matches.list("methods", &[], values::method))
    });
    let upstream = section.required("upstream").and_then(|item| {
        item.text(|name| {
            let names = || context.upstreams.iter().map(|upstream| upstream.name.as_str());
            names().position(|known| known == name).ok_or_else(|| match nearest(name, names()) {
                Some(known) => format!("there is no such upstream; did you mean `{known}`?"),
                None => format!("there is no such upstream; there are: {}", names().collect::<Vec<_>>().join(", ")),
            })
        })
    });
    let auths = [("required", Auth::Required), ("optional", Auth::Optional), ("public", Auth::Public)];
    let auth = section.choice("auth", &auths, Auth::Required);
    let require = section.get("require").map(|item| item.section(require)).unwrap_or_default();
    if require != Require::default() && auth != Auth::Required {
        section.flaw("require", "this is asked of known callers only: it goes with `auth: required`");
    }
    let mode = section.choice("mode", &[("enforce", Mode::Enforce), ("observe", Mode::Observe)], Mode::Enforce);
    let strip_prefix = section.get("strip_prefix").map(|item| {
        item.text(|text| match values::path(text)?.trim_end_matches('/') {
            "" => Err("this strips nothing: leave it out".into()),
            prefix if path.as_deref().is_none_or(|path| values::is_beneath(path, prefix)) => Ok(prefix.to_owned()),
            _ => Err("`match.path` does not start with these segments, so there may be nothing to strip".into()),
        })
    });
    let set_headers = section.get("set_headers").map(|item| set_headers(item, context.written)).unwrap_or_default();
    let forward_authorization = section.flag("forward_authorization", false);
    if set_headers.iter().any(|(name, _)| name == http::header::AUTHORIZATION) {
        let one_of_two = "`set_headers` has an Authorization of its own: one of the two is wanted";
        if forward_authorization {
            section.flaw("forward_authorization", one_of_two);
        }
        if mode == Mode::Observe {
            section
                .flaw("mode", format!("a route that observes forwards the client's Authorization, and {one_of_two}"));
        }
    }
    let cors = route_cors(section, context, mode);
    let timeouts = section.get("timeouts").map(|item| item.section(timeouts)).unwrap_or_default();
    let (path, upstream) = (path?, upstream?);
    // Nothing wrong may widen what a route takes.
    let host = host.map_or(Some(None), |host| host.map(Some))?;
    let name = format!("{}{path}", host.as_deref().unwrap_or_default());
    if mode == Mode::Observe {
        let warning = format!("route {name}: it observes: nothing is refused on it, so it protects nothing");
        section.walk.warn(section.place("mode"), warning);
    }
    Some(Route {
        name,
        host,
        path,
        methods,
        upstream,
        auth,
        require,
        mode,
        strip_prefix: strip_prefix.flatten(),
        set_headers,
        forward_authorization,
        cors,
        timeouts,
    })
}

/// `cors` of a route. Where there is nothing to handle, the default is not worth a word.
fn route_cors(section: &mut Section<'_>, context: &Context<'_>, mode: Mode) -> Cors {
    let given = section.get("cors").is_some();
    if !given && !context.cors {
        return Cors::Handle;
    }
    let default = if mode == Mode::Observe { Cors::Pass } else { Cors::Handle };
    let cors = section.choice("cors", &[("handle", Cors::Handle), ("pass", Cors::Pass)], default);
    if given && cors == Cors::Handle {
        if mode == Mode::Observe {
            section.warn("cors", "a route that observes leaves CORS to its upstream, as with `pass`");
        } else if !context.cors {
            section.warn("cors", "there is nothing to handle while `cors.allowed_origins` is empty");
        }
    }
    cors
}

fn require(require: &mut Section<'_>) -> Require {
    Require {
        staff: require.flag("staff", false),
        groups: require.list("groups", &[], values::line),
        scopes: require.list("scopes", &[], values::scope),
    }
}

fn timeouts(section: &mut Section<'_>) -> route::Timeouts {
    let mut one = |key| section.get(key).is_some().then(|| section.duration(key, SECOND, TIMEOUT));
    route::Timeouts { connect: one("connect"), read: one("read"), write: one("write") }
}

/// Values may be credentials for the upstream, so they are treated as secrets.
fn set_headers(item: Item<'_>, written: &[HeaderName]) -> Vec<(HeaderName, HeaderValue)> {
    let mut names: Vec<HeaderName> = Vec::new();
    item.named(|text, item| {
        let name = values::header_name(text).and_then(|name| {
            let folded = values::fold(name.as_str());
            if values::is_framing(name.as_str()) || written.iter().any(|own| values::fold(own.as_str()) == folded) {
                Err("this header is written by Passgate alone".into())
            } else if names.contains(&name) {
                Err("this header is here already: names are the same in any case".into())
            } else {
                Ok(name)
            }
        });
        let name = match name {
            Ok(name) => name,
            Err(message) => {
                item.flaw(message);
                return None;
            }
        };
        names.push(name.clone());
        let mut value = item.secret(|text| {
            HeaderValue::from_str(text).map_err(|_| "a header value is visible ASCII on one line".into())
        })?;
        value.set_sensitive(true);
        Some((name, value))
    })
}

/// Warns of routes and upstreams that nothing reaches.
pub(super) fn warn_of_unreachable(root: &mut Section<'_>, routes: &[(Place, Route)], context: &Context<'_>) {
    let resolved: Vec<Route> = routes.iter().map(|(_, route)| route.clone()).collect();
    let shadowed = route::shadowed(&resolved);
    for (index, (place, route)) in routes.iter().enumerate() {
        let mut warn = |message: String| root.walk.warn(place.clone(), format!("route {}: {message}", route.name));
        if route::beneath(route, context.base_path) {
            warn(format!("nothing reaches it: everything beneath {} is Passgate's own", context.base_path));
            continue;
        }
        if let Some(host) =
            route.host.as_ref().filter(|host| !context.hosts.is_empty() && !context.hosts.contains(host))
        {
            warn(format!("nothing reaches it: `server.hosts` does not have {host}"));
            continue;
        }
        let earlier =
            shadowed.iter().find(|(_, later)| *later == index).and_then(|(earlier, _)| resolved.get(*earlier));
        if let Some(earlier) = earlier {
            warn(format!("nothing reaches it: the earlier route {} takes all of it", earlier.name));
        }
    }
    for (index, upstream) in context.upstreams.iter().enumerate() {
        if !routes.iter().any(|(_, route)| route.upstream == index) {
            root.walk.warn(upstream.place.clone(), format!("no route leads to upstream {}", upstream.name));
        }
    }
}
