//! What is refused before any decision, because two parsers could read it differently; and the one form of the
//! request that is judged and forwarded.

mod framing;
mod headers;
pub mod host;
mod managed;
pub mod method;
pub mod path;
mod source;
mod target;
mod trace;

#[cfg(test)]
mod testing;

use std::{mem, net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, request};
use ipnet::IpNet;
use pingora::http::RequestHeader;

pub use managed::Managed;

/// What hygiene goes by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Accepted hosts, in the form of [`host::canonical`]; empty accepts any.
    pub hosts: Vec<String>,
    /// Peers whose `X-Forwarded-*` we believe.
    pub trusted_proxies: Vec<IpNet>,
    /// Header names outside `[A-Za-z0-9-]` to let through.
    pub allow_headers: Vec<String>,
    /// Longest request head, bytes.
    pub header_bytes: usize,
    /// Most request header fields.
    pub headers: usize,
    /// Methods that some route names, beside the usual seven.
    pub methods: Vec<Method>,
    /// Every header we may write upstream, and those no client may send.
    pub managed: Managed,
}

impl Settings {
    /// Whether what `peer` says of those before it is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&peer))
    }
}

/// A refused request: small, fixed texts only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 405, 414, 417, 421 or 431 here; other parts refuse with others.
    pub status: StatusCode,
    /// For metrics: a fixed short word.
    pub reason: &'static str,
    /// For the client: what is wrong with the request.
    pub detail: &'static str,
    /// Framing is in doubt: the connection must close.
    pub close: bool,
}

impl Refusal {
    /// A refusal after which the connection may go on.
    pub const fn new(status: StatusCode, reason: &'static str, detail: &'static str) -> Self {
        Self { status, reason, detail, close: false }
    }

    const fn bad_request(reason: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason, detail)
    }

    const fn framing(detail: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason: "framing", detail, close: true }
    }
}

/// A request that only has one reading.
#[derive(Clone, Debug)]
pub struct Clean {
    /// The canonical path: judged and forwarded.
    pub path: String,
    /// The query as sent, without `?`.
    pub query: Option<String>,
    /// The host, canonical, without port. Routes go by it.
    pub host: String,
    /// The `Host` as received, for forwarding.
    pub authority: String,
    /// The host that a trusted peer says the client used, where it says so.
    pub forwarded_host: Option<String>,
    /// Who sent it: the peer, or the right-most untrusted hop behind a trusted peer.
    pub source: IpAddr,
    /// `X-Forwarded-For` to write.
    pub forwarded_for: String,
    /// Someone untrusted sent an `X-Forwarded-For`, which was not believed.
    pub disbelieved: bool,
    /// `https` or `http` as the client used it.
    pub scheme: &'static str,
    /// `X-Request-Id` to write and to log.
    pub request_id: Arc<str>,
    /// `traceparent` to write.
    pub traceparent: HeaderValue,
    /// How many headers were taken out for their names' characters.
    pub dropped: usize,
}

impl Clean {
    /// `X-Forwarded-Host` to write.
    pub fn forwarded_host(&self) -> &str {
        self.forwarded_host.as_deref().unwrap_or(&self.authority)
    }
}

/// Changes the fields of a request whose target has one spelling. Their names then have one, too: small letters, as HTTP/2
/// has them, and as HAProxy and Envoy forward them. That upstreams could see how a client spelt a name would cost every
/// request a second map of names, which pingora fills by parsing each name again.
pub fn change<T>(request: &mut RequestHeader, change: impl FnOnce(&mut HeaderMap) -> T) -> T {
    let (empty, ()) = Request::new(()).into_parts();
    let mut parts: request::Parts = mem::replace(request, empty.into()).into();
    let outcome = change(&mut parts.headers);
    *request = parts.into();
    outcome
}

/// Judges a request head and takes out of it what the client has no right to send.
///
/// `raw` is the head as received on HTTP/1. The order is policy: where the message ends comes first, then what it
/// asks for, of whom and by whom. A refused request is left as it was received.
pub fn clean(
    settings: &Settings,
    peer: IpAddr,
    tls: bool,
    raw: Option<&[u8]>,
    request: &mut RequestHeader,
) -> Result<Clean, Refusal> {
    let trusted = settings.trusts(peer);

    let received_target = framing::judge(settings, raw, request)?;
    method::judge(settings, &request.method)?;
    let target = target::read(received_target, request)?;
    let host = host::read(settings, request)?;
    let origin = source::read(settings, peer, tls, &request.headers)?;
    let changes = headers::judge(settings, trusted, request)?;
    let trace = trace::read(trusted, &request.headers);

    target.write(request)?;
    change(request, |headers| {
        host.write(headers)?;
        changes.write(headers);
        trace.write(headers);
        Ok(())
    })?;

    Ok(Clean {
        path: target.path,
        query: target.query,
        host: host.name,
        authority: host.authority,
        forwarded_host: origin.host,
        source: origin.source,
        forwarded_for: origin.forwarded_for,
        disbelieved: origin.disbelieved,
        scheme: origin.scheme,
        request_id: trace.request_id,
        traceparent: trace.parent,
        dropped: changes.dropped,
    })
}

/// The id that answers a request which [`clean`] refused: the trusted peer's, or a new one.
pub fn request_id(settings: &Settings, peer: IpAddr, request: &RequestHeader) -> Arc<str> {
    trace::read(settings.trusts(peer), &request.headers).request_id
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        testing::{cleaned, h1, h1_bytes, parsed, refusal, settings},
        *,
    };

    #[test]
    fn an_ordinary_request_passes_unchanged_but_for_what_is_ours() {
        let (clean, request) = cleaned(
            &settings(),
            h1(
                "GET /a/b?c=d HTTP/1.1\r\nHost: Www.Test:8080\r\nAuthorization: Bearer t\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
            ),
        );
        assert_eq!((clean.path.as_str(), clean.query.as_deref()), ("/a/b", Some("c=d")));
        assert_eq!((clean.host.as_str(), clean.authority.as_str()), ("www.test", "Www.Test:8080"));
        assert_eq!((clean.forwarded_for.as_str(), clean.scheme), ("203.0.113.9", "http"));
        assert_eq!(request.raw_path(), b"/a/b?c=d");
        assert_eq!(request.headers.len(), 2, "Host and Authorization");
    }

    #[test]
    fn framing_is_judged_before_anything_else() {
        let refused = refusal(
            &settings(),
            h1("TRACE /../ HTTP/1.1\r\nHost: a b\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
        );
        assert!(refused.is_some_and(|refusal| refusal.close));
    }

    /// Fragments of heads, glued together at random.
    fn heads() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            Just("Host: a.test\r\n"),
            Just("Host: [::1]:8\r\n"),
            Just("X_Auth_User: a\r\n"),
            Just("X-Forwarded-For: 1.1.1.1, \x01\r\n"),
            Just("X-Forwarded-Host: a:b\r\n"),
            Just("Connection: a, b\r\n"),
            Just("Cookie: a=\u{e9}\r\n"),
            Just("Cookie: b\r\n"),
            Just("traceparent: 00-\r\n"),
            Just("Content-Length: 1\r\n"),
            Just("Expect: 100-continue\r\n"),
            Just(" fold\r\n"),
            Just("\n"),
        ];
        let target = prop_oneof!["/[a-z%2e./;\\\\?#]{0,20}", "[a-z:/@%.]{0,20}"];
        let noise = prop::collection::vec(any::<u8>(), 0..8);
        (target, prop::collection::vec(line, 0..8), noise).prop_map(|(target, lines, noise)| {
            [format!("GET {target} HTTP/1.1\r\n{}", lines.concat()).as_bytes(), b"X: ", &noise, b"\r\n\r\n"].concat()
        })
    }

    proptest! {
        #[test]
        fn no_head_that_parses_makes_it_panic_and_what_passes_is_forwarded_as_judged(head in heads(), trusted: bool, tls: bool) {
            let peer = if trusted { "10.0.0.1" } else { "203.0.113.9" }.parse().unwrap();
            if let Some(mut request) = parsed(&head)
                && let Ok(clean) = clean(&settings(), peer, tls, Some(&head), &mut request)
            {
                let target = clean.query.map_or(clean.path.clone(), |query| format!("{}?{query}", clean.path));
                prop_assert_eq!(request.raw_path(), target.as_bytes());
                prop_assert_eq!(request.uri.path(), clean.path);
                prop_assert!(request.headers.keys().all(|name| !settings().managed.removes(name.as_str())));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(head in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = refusal(&settings(), h1_bytes(&head));
        }
    }
}
