//! Who sent a request, by which scheme and under which host, when others stand between: the peer's word counts
//! only if the peer is trusted.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Refusal, Settings, host};
use crate::address;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Trusted hops that are passed over before one of them is taken for the source.
const HOPS: usize = 16;

/// Where a request comes from.
pub(super) struct Origin {
    pub(super) source: IpAddr,
    pub(super) forwarded_for: String,
    pub(super) scheme: &'static str,
    pub(super) host: Option<String>,
    pub(super) disbelieved: bool,
}

/// Reads what a trusted `peer` says of those before it, and disregards what others say.
pub(super) fn read(settings: &Settings, peer: IpAddr, tls: bool, headers: &HeaderMap) -> Result<Origin, Refusal> {
    let peer = peer.to_canonical();
    let scheme = if tls { "https" } else { "http" };
    if !settings.trusts(peer) {
        let disbelieved = headers.contains_key(FOR);
        return Ok(Origin { source: peer, forwarded_for: address::text(peer), scheme, host: None, disbelieved });
    }
    let (source, forwarded_for) = chain(settings, peer, headers);
    let host = match last(headers, &HOST) {
        Some(value) => {
            let text = value.to_str().unwrap_or_default();
            host::accepted(settings, text)?;
            Some(text.to_owned())
        }
        None => None,
    };
    let scheme = forwarded_scheme(headers)?.unwrap_or(scheme);
    Ok(Origin { source, forwarded_for, scheme, host, disbelieved: false })
}

/// The right-most hop that is not trusted, and the chain from it to the peer. What stands further left is hearsay
/// and is not passed on. An entry that is no address ends the walk: its reporter is the source.
fn chain(settings: &Settings, peer: IpAddr, headers: &HeaderMap) -> (IpAddr, String) {
    let mut hops = vec![peer];
    let mut source = peer;
    let entries = headers.get_all(FOR).iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for entry in entries.take(HOPS) {
        let Some(hop) = hop(entry.trim_ascii()) else { break };
        source = hop;
        hops.push(hop);
        if !settings.trusts(hop) {
            break;
        }
    }
    let chain: Vec<_> = hops.iter().rev().map(|hop| address::text(*hop)).collect();
    (source, chain.join(", "))
}

/// An address, with or without port and brackets; IPv4 in IPv6 is IPv4.
fn hop(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?;
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse::<IpAddr>().or_else(|_| entry.parse::<SocketAddr>().map(|address| address.ip())).ok()?;
    Some(address.to_canonical())
}

fn forwarded_scheme(headers: &HeaderMap) -> Result<Option<&'static str>, Refusal> {
    match last(headers, &PROTO) {
        None => Ok(None),
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"https") => Ok(Some("https")),
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"http") => Ok(Some("http")),
        Some(_) => Err(Refusal::bad_request("header", "X-Forwarded-Proto must be http or https.")),
    }
}

/// The right-most member of a list: the one that the peer itself has seen.
fn last(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let line = headers.get_all(name).iter().next_back()?.as_bytes();
    let member = line.rsplit(|byte| *byte == b',').next()?.trim_ascii();
    // A part of a valid value is one.
    HeaderValue::from_bytes(member).ok()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use pingora::http::RequestHeader;

    use super::super::testing::{cleaned_from, h1, refusal_from, settings};

    fn with(lines: &str) -> (Option<Vec<u8>>, RequestHeader) {
        h1(&format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"))
    }

    /// `10.0.0.0/8` and `fd00::/8` are trusted.
    fn source(peer: &str, forwarded_for: &str) -> (String, String) {
        let (clean, _) = cleaned_from(&settings(), peer, with(&format!("X-Forwarded-For: {forwarded_for}\r\n")));
        (clean.source.to_string(), clean.forwarded_for)
    }

    #[test]
    fn the_source_is_the_right_most_hop_that_is_not_trusted() {
        for (peer, forwarded_for, expected, written) in [
            ("203.0.113.9", "1.1.1.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "1.1.1.1", "1.1.1.1", "1.1.1.1, 10.0.0.1"),
            ("10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1", "1.1.1.1, 10.0.0.1"),
            ("10.0.0.1", "1.1.1.1,10.0.0.2 , 10.0.0.3", "1.1.1.1", "1.1.1.1, 10.0.0.2, 10.0.0.3, 10.0.0.1"),
            ("10.0.0.1", "10.0.0.7", "10.0.0.7", "10.0.0.7, 10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1", "10.0.0.1"),
            ("10.0.0.1", "1.1.1.1, unknown", "10.0.0.1", "10.0.0.1"),
            ("10.0.0.1", "1.1.1.1, <script>, 10.0.0.2", "10.0.0.2", "10.0.0.2, 10.0.0.1"),
            ("10.0.0.1", "1.1.1.1:5123", "1.1.1.1", "1.1.1.1, 10.0.0.1"),
            ("10.0.0.1", "[2001:db8::1]:5123", "2001:db8::1", "2001:db8::1, 10.0.0.1"),
            ("10.0.0.1", "[2001:db8::1]", "2001:db8::1", "2001:db8::1, 10.0.0.1"),
            ("10.0.0.1", "::ffff:1.1.1.1, ::ffff:10.0.0.2", "1.1.1.1", "1.1.1.1, 10.0.0.2, 10.0.0.1"),
            ("::ffff:10.0.0.1", "1.1.1.1", "1.1.1.1", "1.1.1.1, 10.0.0.1"),
            ("::ffff:1.2.3.4", "1.1.1.1", "1.2.3.4", "1.2.3.4"),
            ("fd00::1", "2001:db8::2", "2001:db8::2", "2001:db8::2, fd00::1"),
        ] {
            assert_eq!(source(peer, forwarded_for), (expected.into(), written.into()), "{peer} says {forwarded_for}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1, 10.0.0.2\r\nX-Forwarded-For: 10.0.0.3\r\n";
        let (clean, _) = cleaned_from(&settings(), "10.0.0.1", with(lines));
        assert_eq!(clean.forwarded_for, "1.1.1.1, 10.0.0.2, 10.0.0.3, 10.0.0.1");
    }

    #[test]
    fn an_endless_chain_of_trusted_hops_is_cut() {
        let (_, written) = source("10.0.0.1", &["10.0.0.2"; 500].join(","));
        assert_eq!(written.split(", ").count(), 17);
    }

    #[test]
    fn the_scheme_is_ours_unless_a_trusted_peer_says_otherwise() {
        for (peer, proto, expected) in [
            ("203.0.113.9", "https", "http"),
            ("10.0.0.1", "https", "https"),
            ("10.0.0.1", "HTTP", "http"),
            ("10.0.0.1", "http, https", "https"),
        ] {
            let (clean, _) = cleaned_from(&settings(), peer, with(&format!("X-Forwarded-Proto: {proto}\r\n")));
            assert_eq!(clean.scheme, expected, "{peer} says {proto}");
        }
        for proto in ["", "ftp", "https://", "javascript", "https http"] {
            let refusal = refusal_from(&settings(), "10.0.0.1", with(&format!("X-Forwarded-Proto: {proto}\r\n")));
            assert_eq!(refusal.expect(proto).status, StatusCode::BAD_REQUEST, "{proto}");
        }
    }

    #[test]
    fn the_host_that_a_trusted_peer_reports_is_passed_on_and_routes_still_go_by_host() {
        let report = |host: &str| with(&format!("X-Forwarded-Host: {host}\r\n"));
        let (clean, _) = cleaned_from(&settings(), "10.0.0.1", report("evil.test, Www.Test:8443"));
        assert_eq!((clean.forwarded_host(), clean.host.as_str()), ("Www.Test:8443", "a.test"));
        let (clean, _) = cleaned_from(&settings(), "203.0.113.9", report("www.test"));
        assert_eq!(clean.forwarded_host(), "a.test");
        for host in ["", "a b", "a@b", "a/b", "\u{e9}@"] {
            let refusal = refusal_from(&settings(), "10.0.0.1", report(host)).expect(host);
            assert_eq!(refusal.reason, "host", "{host}");
        }
        let mut settings = settings();
        settings.hosts = vec!["a.test".into()];
        let refusal = refusal_from(&settings, "10.0.0.1", report("b.test")).unwrap();
        assert_eq!(refusal.status, StatusCode::MISDIRECTED_REQUEST);
    }
}
