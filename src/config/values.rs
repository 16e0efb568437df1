//! What single values must look like: hosts, paths, URLs, header names. Each reader answers with the one form that the
//! rest of the program compares, or says what it wanted. It never repeats what it was given: that may be a secret.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, Method};
use ipnet::IpNet;
use url::{Host, Url};
use uuid::Uuid;

use crate::{
    hygiene::{host, path},
    upstream,
};

/// Fields of HTTP itself, and of one connection only (RFC 9110 section 7.6.1): nobody's to set.
const FRAMING: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What we tell upstreams of every request.
pub(super) const FORWARDED: [&str; 4] = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id"];

/// Names that mean something else already, so that no identity goes under them.
const TAKEN: [&str; 15] = [
    "authorization",
    "content-encoding",
    "content-type",
    "cookie",
    "forwarded",
    "proxy",
    "traceparent",
    "tracestate",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// `IP:PORT`.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address is an IP and a port, such as `127.0.0.1:8080` or `[::]:8443`".into())
}

/// A network, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let one = || text.parse::<IpAddr>().map(IpNet::from);
    let network =
        text.parse::<IpNet>().or_else(|_| one()).map_err(|_| "a network is such as `10.0.0.0/8` or `fd00::/8`")?;
    Ok(network.trunc())
}

/// A host without a port, in the form that requests are judged by.
pub(super) fn host(text: &str) -> Result<String, String> {
    parse_host(text)
        .ok_or_else(|| "a host is a name or an address without port, such as `example.com` or `[::1]`".into())
}

fn parse_host(text: &str) -> Option<String> {
    let port = text.rsplit_once(':').is_some_and(|(_, after)| !after.contains(']'));
    if port { None } else { host::canonical(text) }
}

/// A host and perhaps a port, as the `Host` header has it.
pub(super) fn authority(text: &str) -> Result<String, String> {
    const WANTED: &str = "`preserve`, `upstream`, or a host and perhaps a port is wanted here";
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    };
    let name = parse_host(name).ok_or(WANTED)?;
    match port {
        None => Ok(name),
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(format!("{name}:{port}")),
            _ => Err(WANTED.into()),
        },
    }
}

fn http_url(text: &str, wanted: &str) -> Result<Url, String> {
    // The parser forgives blanks, tabs and backslashes.
    let clean = !text.contains(|c: char| c.is_ascii_whitespace() || c.is_control() || c == '\\');
    let scheme = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    let url = Url::parse(text).ok().filter(|_| clean && scheme).ok_or(wanted)?;
    let plain = url.username().is_empty() && url.password().is_none() && !text.contains('@');
    let host = url.host_str().and_then(parse_host).is_some();
    if plain && host && url.fragment().is_none() { Ok(url) } else { Err(wanted.into()) }
}

fn origin_url(text: &str, wanted: &str) -> Result<Url, String> {
    let url = http_url(text, wanted)?;
    if url.path() == "/" && url.query().is_none() { Ok(url) } else { Err(wanted.into()) }
}

/// Scheme, host and port of where clients find us, without a trailing slash. It has no path: everything beneath the
/// host is ours to route.
pub(super) fn public_url(text: &str) -> Result<String, String> {
    let wanted = "an http or https URL without path, query and fragment is wanted here, such as `https://example.com`";
    origin_url(text, wanted).map(|url| url.origin().ascii_serialization())
}

/// An origin exactly as browsers send it (RFC 6454 section 6.2).
pub(super) fn origin(text: &str) -> Result<String, String> {
    let wanted = "an exact origin is wanted here, scheme and host and perhaps port, such as `https://app.example.com`";
    let origin = origin_url(text, wanted)?.origin().ascii_serialization();
    if origin == text {
        Ok(origin)
    } else {
        Err(format!("{wanted}: in lower case, without trailing slash and default port"))
    }
}

/// A whole URL of somebody else's service.
pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    http_url(text, "an http or https URL is wanted here, without user, password and fragment")
}

/// A UUID in its usual form (RFC 9562 section 4).
pub(super) fn uuid(text: &str) -> Result<Uuid, String> {
    let usual = |uuid: &Uuid| uuid.hyphenated().to_string().eq_ignore_ascii_case(text);
    Uuid::try_parse(text)
        .ok()
        .filter(usual)
        .ok_or_else(|| "a UUID is wanted here, such as `01234567-89ab-cdef-0123-456789abcdef`".into())
}

/// An OpenID issuer, to the letter: it is compared as text (OpenID Connect Discovery section 2).
pub(super) fn issuer(text: &str) -> Result<String, String> {
    let wanted = "an issuer is wanted here as it writes itself: an http or https URL without query and fragment";
    match http_url(text, wanted)?.query() {
        None => Ok(text.to_owned()),
        Some(_) => Err(wanted.into()),
    }
}

/// A URL that names a server and nothing more.
pub(super) fn server(text: &str) -> Result<upstream::Server, String> {
    let wanted = "a server is `http://HOST:PORT` or `https://HOST:PORT` and nothing more";
    let url = origin_url(text, wanted)?;
    let host = match url.host() {
        // Resolvers want addresses without their brackets.
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(host) => host.to_string(),
        None => return Err(wanted.into()),
    };
    let port = url.port_or_known_default().filter(|port| *port > 0).ok_or(wanted)?;
    Ok(upstream::Server { host, port, tls: url.scheme() == "https" })
}

/// A path in the one form that requests are judged by, and in which no upstream can read another.
pub(super) fn path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err("a path starts with `/`".into());
    }
    if text.contains('*') {
        return Err("a path covers all that is beneath it: leave the `*` out".into());
    }
    let canonical = path::canonical(text.as_bytes()).map_err(|refusal| refusal.detail.to_owned())?;
    if canonical != text {
        return Err("an escape in a path is `%` and two upper-case hex digits, and only where one is needed".into());
    }
    if ["//", ";", "%2F", "%5C", "%25"].iter().any(|odd| text.contains(odd)) {
        return Err("upstreams read `//`, `;`, `%2F`, `%5C` and `%25` in different ways: no route goes by them".into());
    }
    Ok(canonical)
}

/// A path of at least one segment, without a trailing slash.
pub(super) fn base_path(text: &str) -> Result<String, String> {
    match path(text)?.trim_end_matches('/') {
        "" => Err("everything beneath this path is Passgate's own, so it cannot be `/`".into()),
        path if path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b)) => Ok(path.to_owned()),
        _ => Err("this path has letters, digits and `-._~` only".into()),
    }
}

/// Whether `path` is `prefix` or beneath it, by whole segments.
pub(super) fn is_beneath(path: &str, prefix: &str) -> bool {
    let rest = path.trim_end_matches('/').strip_prefix(prefix.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A method in upper case that a proxy may pass on.
pub(super) fn method(text: &str) -> Result<Method, String> {
    match Method::from_bytes(text.as_bytes()) {
        Ok(Method::CONNECT | Method::TRACE) => Err("CONNECT and TRACE are never passed on".into()),
        Ok(method) if !text.bytes().any(|b| b.is_ascii_lowercase()) => Ok(method),
        _ => Err("a method is wanted here, in upper case".into()),
    }
}

/// Any header name.
pub(super) fn header_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| "a header name is wanted here".into())
}

/// A header name under which an upstream may be told who is calling.
pub(super) fn identity_header(text: &str) -> Result<HeaderName, String> {
    let name = header_name(text)?;
    let name_text = name.as_str();
    if !name_text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err("an identity header has letters, digits and `-` in its name only".into());
    }
    if is_taken(name_text) || FORWARDED.contains(&name_text) {
        return Err("this header means something else already".into());
    }
    Ok(name)
}

/// Whether upstreams may take this name for a field of HTTP itself.
pub(super) fn is_framing(name: &str) -> bool {
    FRAMING.contains(&fold(name).as_str())
}

/// As [`is_framing`], or of another meaning that is not ours to give.
pub(super) fn is_taken(name: &str) -> bool {
    is_framing(name) || TAKEN.contains(&fold(name).as_str())
}

/// The name as upstreams may read it that turn every odd character into one.
pub(super) fn fold(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// One scope token (RFC 6749 section 3.3).
pub(super) fn scope(text: &str) -> Result<String, String> {
    match crate::model::Scope::parse(text) {
        Some(_) if !text.contains(' ') => Ok(text.to_owned()),
        _ => Err("a scope is one word of visible ASCII without quotes and backslashes".into()),
    }
}

/// Text that is not empty and stays on its line.
pub(super) fn line(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.contains(char::is_control) {
        Err("text is wanted here, on one line".into())
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_come_out_in_one_form() {
        for (text, host_form) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("10.0.0.1", "10.0.0.1"),
            ("[::1]", "[::1]"),
            ("[2001:DB8::0:1]", "[2001:db8::1]"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(host_form), "{text}");
        }
        for text in
            ["", ".", "a..b", "a b", "a/b", "example.com:80", "1", "0x7f.1", "a%2e", "*.example.com", "::1", "a@b"]
        {
            assert!(host(text).is_err(), "{text}");
        }
        assert_eq!(authority("API.example.com:8080").as_deref(), Ok("api.example.com:8080"));
        assert_eq!(authority("[::1]").as_deref(), Ok("[::1]"));
        for text in ["a:0", "a:99999", "a:b", ":80", "http://a", "preserved host"] {
            assert!(authority(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_canonical_or_refused() {
        for text in ["/", "/staff/", "/a/b.c", "/a%20b", "/caf%C3%A9"] {
            assert_eq!(path(text).as_deref(), Ok(text));
        }
        for text in [
            "", "a", "*", "/*", "/a?b", "/a#b", "/a b", "/é", "/a%", "/a%2", "/a%zz", "/a%2f", "/a%41", "/a%2E",
            "/a%00", "/a;v=1/", "/a/../b", "/./", "/..", "/..;x/", "//", "/a//b", "/a\\b", "/%7F", "/a%é",
        ] {
            assert!(path(text).is_err(), "{text}");
        }
        assert_eq!(base_path("/api-auth/").as_deref(), Ok("/api-auth"));
        assert!(base_path("/").is_err());
    }

    #[test]
    fn beneath_goes_by_whole_segments() {
        assert!(is_beneath("/staff/a", "/staff/") && is_beneath("/staff", "/staff/") && is_beneath("/a", "/"));
        assert!(!is_beneath("/staffroom", "/staff") && !is_beneath("/", "/staff"));
    }

    #[test]
    fn urls_hold_what_is_asked_for_and_no_more() {
        assert_eq!(public_url("https://Example.com:443/").as_deref(), Ok("https://example.com"));
        assert_eq!(public_url("http://127.0.0.1:8080").as_deref(), Ok("http://127.0.0.1:8080"));
        for text in
            ["example.com", "ftp://a", "https://a/b", "https://a?b", "https://a#b", "https://u:p@a", "https://", "//a"]
        {
            assert!(public_url(text).is_err(), "{text}");
        }
        assert_eq!(origin("http://localhost:3000").as_deref(), Ok("http://localhost:3000"));
        for text in ["*", "null", "http://a/", "http://A", "http://a:80", "https://*.a", "http://a/b", "a"] {
            assert!(origin(text).is_err(), "{text}");
        }
        for text in ["https://id.example", "https://id.example/", "http://ID.example:80/realms/a"] {
            assert_eq!(issuer(text).as_deref(), Ok(text));
        }
        for text in ["id.example", "https://id.example?a", "https://id.example?", "https://id.example#", "https://u@a"]
        {
            assert!(issuer(text).is_err(), "{text}");
        }
        assert_eq!(server("http://[::1]"), Ok(upstream::Server { host: "::1".into(), port: 80, tls: false }));
        assert_eq!(server("https://API.a:8443/"), Ok(upstream::Server { host: "api.a".into(), port: 8443, tls: true }));
        for text in ["http://a/b", "http://u@a", "http://@a", "unix:/a", "a:80", "http://a:0", "http:\\\\a", "http:a"] {
            assert!(server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_identity_never_goes_under_a_name_that_means_something_else() {
        assert!(identity_header("X-User").is_ok());
        for text in [
            "Host",
            "Cookie",
            "Authorization",
            "Connection",
            "TE",
            "X-Forwarded-For",
            "X_User",
            "X User",
            "X-Original-URL",
        ] {
            assert!(identity_header(text).is_err(), "{text}");
        }
        assert!(is_framing("Content_Length") && !is_framing("X-User"));
    }

    #[test]
    fn methods_are_exact_and_never_connect_or_trace() {
        assert_eq!(method("PURGE").map(|m| m.to_string()), Ok("PURGE".into()));
        for text in ["get", "CONNECT", "TRACE", "", "A B"] {
            assert!(method(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_upsets_the_readers(text in "\\PC*|[/%.;a-fA-F0-9é]*|https?://[\\PC]*") {
            let _ = (address(&text), network(&text), host(&text), authority(&text), public_url(&text), origin(&text));
            let _ = (endpoint(&text), issuer(&text), server(&text), path(&text), base_path(&text), method(&text), identity_header(&text), scope(&text));
        }
    }
}
