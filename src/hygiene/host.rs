//! The host a request is for (RFC 9110 section 7.2, RFC 9113 section 8.3.1): exactly one, and a valid one.

use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora::http::{RequestHeader, authority::raw_target_authority};

use super::{Refusal, Settings};

const MISSING: Refusal = Refusal::bad_request("host", "The request must name its host.");
const SEVERAL: Refusal = Refusal::bad_request("host", "The request must name one host only.");
const INVALID: Refusal = Refusal::bad_request("host", "The request names a host that is not valid.");
const MISDIRECTED: Refusal =
    Refusal::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", "This server does not serve that host.");

/// The host of a request.
#[derive(Debug)]
pub(super) struct Host {
    /// Canonical, without port.
    pub(super) name: String,
    /// As received; only a name outside ASCII, which no `Host` can have, is written in A-labels.
    pub(super) authority: String,
    respelt: bool,
}

/// Reads the host of `request` and holds it against `server.hosts`.
pub(super) fn read(settings: &Settings, request: &RequestHeader) -> Result<Host, Refusal> {
    let mut fields = request.headers.get_all(header::HOST).iter();
    let field = fields.next().map(http::HeaderValue::as_bytes);
    if fields.next().is_some() {
        return Err(SEVERAL);
    }
    // `:authority` on HTTP/2, absolute form on HTTP/1.
    let target = match request.uri.authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => raw_target_authority(request.raw_path()).authority(),
    };
    let received = match (field, target) {
        (Some(field), Some(target)) if field != target => return Err(SEVERAL),
        // HTTP/2 may leave `Host` out, HTTP/1 may not.
        (None, Some(authority)) if request.version == http::Version::HTTP_2 => authority,
        (None, _) => return Err(MISSING),
        (Some(field), _) => field,
    };
    let received = std::str::from_utf8(received).map_err(|_| INVALID)?;
    let name = accepted(settings, received)?;
    if received.is_ascii() {
        return Ok(Host { name, authority: received.to_owned(), respelt: false });
    }
    let authority = match split_port(received) {
        Some((_, Some(port))) => format!("{name}:{port}"),
        _ => name.clone(),
    };
    Ok(Host { name, authority, respelt: true })
}

impl Host {
    /// Puts A-labels into the fields of a request where it had none.
    pub(super) fn write(&self, headers: &mut HeaderMap) -> Result<(), Refusal> {
        if self.respelt {
            headers.insert(header::HOST, HeaderValue::from_str(&self.authority).map_err(|_| INVALID)?);
        }
        Ok(())
    }
}

/// The canonical form of `authority` without its port, when it is valid and among `server.hosts`.
pub(super) fn accepted(settings: &Settings, authority: &str) -> Result<String, Refusal> {
    let name = canonical(authority).ok_or(INVALID)?;
    if settings.hosts.is_empty() || settings.hosts.contains(&name) {
        return Ok(name);
    }
    Err(MISDIRECTED)
}

/// The canonical form of `host` or `host:port`, without the port: small letters, A-labels (RFC 5890), no trailing
/// dot, IPv6 addresses in brackets and in the form of RFC 5952. `None` when it is no host.
pub fn canonical(authority: &str) -> Option<String> {
    let (host, _) = split_port(authority)?;
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let name = if host.is_ascii() {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        idna::domain_to_ascii_cow(host.as_bytes(), idna::AsciiDenyList::URL).ok()?
    };
    let name = name.strip_suffix('.').unwrap_or(&name);
    (name.len() <= 253 && name.split('.').all(is_label) && !is_odd_address(name)).then(|| name.to_owned())
}

/// Host and port; a port is decimal and fits 16 bits.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let after_brackets = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority.get(after_brackets..)?.find(':').map(|at| at + after_brackets) else {
        return Some((authority, None));
    };
    let (host, port) = (authority.get(..colon)?, authority.get(colon + 1..)?);
    (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()).then_some((host, Some(port)))
}

/// Letters, digits and inner hyphens; underscores too, which names of containers have.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Names whose last label is a number are IPv4 addresses to many readers (`127.1`, `0x7f000001`): only the usual
/// four numbers are one to all.
fn is_odd_address(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (hex || last.bytes().all(|byte| byte.is_ascii_digit())) && name.parse::<Ipv4Addr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{cleaned, h1, h2, refusal, settings},
        *,
    };

    #[test]
    fn one_form_for_all_spellings_of_a_host() {
        for (sent, expected) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("example.com:80", "example.com"),
            ("example.com.:8443", "example.com"),
            ("localhost", "localhost"),
            ("my_app:8080", "my_app"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[2001:DB8:0::1]:443", "[2001:db8::1]"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example:81", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(canonical(sent).as_deref(), Some(expected), "{sent}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for sent in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a.test..",
            "-a.test",
            "a-.test",
            "a b",
            "a,b",
            "a.test, b.test",
            "a/b",
            "a\\b",
            "a@b",
            "a?b",
            "a#b",
            "a%41",
            "a:",
            "a:x",
            "a:-1",
            "a:65536",
            "a:80:80",
            ":80",
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[::1]x",
            "[::1]:",
            "[::1%25eth0]",
            "[v1.x]",
            "[127.0.0.1]",
            "[[::1]]",
            "127.1",
            "0x7f000001",
            "2130706433",
            "127.0.0.01",
            "256.0.0.1",
            "1.2.3.4.5",
            "a.0x1",
            "\u{ff0f}",
            "a\u{0}b",
            "*.a.test",
        ] {
            assert_eq!(canonical(sent), None, "{sent}");
        }
        assert_eq!(canonical(&format!("{}.test", "a".repeat(64))), None);
        assert_eq!(canonical(&["a23456789."; 26].concat()), None);
    }

    #[test]
    fn a_host_is_forwarded_as_received_and_judged_in_its_canonical_form() {
        let (clean, request) = cleaned(&settings(), h1("GET / HTTP/1.1\r\nHost: A.Test.:80\r\n\r\n"));
        assert_eq!((clean.host.as_str(), clean.authority.as_str()), ("a.test", "A.Test.:80"));
        assert_eq!(request.headers.get(header::HOST).unwrap(), "A.Test.:80");
        assert_eq!(clean.forwarded_host(), "A.Test.:80");
    }

    #[test]
    fn a_host_outside_ascii_is_forwarded_in_a_labels() {
        let (clean, request) = cleaned(&settings(), h1("GET / HTTP/1.1\r\nHost: bücher.test:81\r\n\r\n"));
        assert_eq!(clean.host, "xn--bcher-kva.test");
        assert_eq!(request.headers.get(header::HOST).unwrap(), "xn--bcher-kva.test:81");
    }

    #[test]
    fn a_missing_a_second_and_an_invalid_host_are_refused() {
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test\r\nhost: b.test\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a@b.test\r\n\r\n",
            "GET http://a.test/ HTTP/1.1\r\n\r\n",
            "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "GET http://u@a.test/ HTTP/1.1\r\nHost: u@a.test\r\n\r\n",
        ] {
            let refusal = refusal(&settings(), h1(head)).expect(head);
            assert_eq!((refusal.status, refusal.reason), (StatusCode::BAD_REQUEST, "host"), "{head}");
        }
    }

    #[test]
    fn on_http_2_host_and_authority_must_agree() {
        let (clean, _) = cleaned(&settings(), h2("/", &[]));
        assert_eq!((clean.host.as_str(), clean.authority.as_str()), ("a.test", "a.test"));
        assert_eq!(refusal(&settings(), h2("/", &[("host", "a.test")])), None);
        assert_eq!(refusal(&settings(), h2("/", &[("host", "b.test")])), Some(SEVERAL));
    }

    #[test]
    fn hosts_that_are_not_ours_are_421() {
        let mut settings = settings();
        settings.hosts = vec!["a.test".into()];
        assert_eq!(refusal(&settings, h1("GET / HTTP/1.1\r\nHost: A.test:8080\r\n\r\n")), None);
        assert_eq!(refusal(&settings, h1("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n")), Some(MISDIRECTED));
        assert_eq!(refusal(&settings, h1("GET / HTTP/1.1\r\nHost: x.a.test\r\n\r\n")), Some(MISDIRECTED));
    }
}
