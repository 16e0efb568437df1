//! Requests as the parsers below us hand them over.

use http::{HeaderName, HeaderValue, Uri, Version};
use ipnet::IpNet;
use pingora::http::RequestHeader;

use super::{Clean, Managed, Refusal, Settings, clean};

/// A head as received, where there is one, and what was parsed.
pub(super) type Received = (Option<Vec<u8>>, RequestHeader);

/// Ordinary limits, `10.0.0.0/8` and `fd00::/8` trusted, `X-Auth-User` managed.
pub(super) fn settings() -> Settings {
    Settings {
        hosts: Vec::new(),
        trusted_proxies: ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse::<IpNet>().unwrap()).to_vec(),
        allow_headers: Vec::new(),
        header_bytes: 32 * 1024,
        headers: 100,
        methods: Vec::new(),
        managed: Managed::new([HeaderName::from_static("x-auth-user")]),
    }
}

/// A request on HTTP/1.
pub(super) fn h1(head: &str) -> Received {
    h1_bytes(head.as_bytes())
}

/// A request on HTTP/1, with what the proxy engine makes of it: nothing where it would refuse by itself, so that
/// our own judgement of the bytes is seen.
pub(super) fn h1_bytes(head: &[u8]) -> Received {
    let request = parsed(head).unwrap_or_else(|| {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        request.insert_header("host", "a.test").unwrap();
        request
    });
    (Some(head.to_vec()), request)
}

/// What the proxy engine parses `head` to.
pub(super) fn parsed(head: &[u8]) -> Option<RequestHeader> {
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut parser = httparse::Request::new(&mut fields);
    if !parser.parse(head).ok()?.is_complete() {
        return None;
    }
    let mut request = RequestHeader::build(parser.method?, parser.path?.as_bytes(), None).ok()?;
    request.set_version(if parser.version? == 1 { Version::HTTP_11 } else { Version::HTTP_10 });
    for field in parser.headers {
        request.append_header(field.name.to_owned(), HeaderValue::from_bytes(field.value).ok()?).ok()?;
    }
    Some(request)
}

/// A request on HTTP/2 for `a.test`.
pub(super) fn h2(path: &str, fields: &[(&str, &str)]) -> Received {
    let mut request = RequestHeader::build_no_case("GET", b"/", None).unwrap();
    request.set_version(Version::HTTP_2);
    request.set_uri(Uri::builder().scheme("https").authority("a.test").path_and_query(path).build().unwrap());
    for (name, value) in fields {
        request.append_header((*name).to_owned(), *value).unwrap();
    }
    (None, request)
}

/// A stranger's request after cleaning.
pub(super) fn cleaned(settings: &Settings, received: Received) -> (Clean, RequestHeader) {
    cleaned_from(settings, "203.0.113.9", received)
}

/// A request of `peer` after cleaning.
pub(super) fn cleaned_from(settings: &Settings, peer: &str, (raw, mut request): Received) -> (Clean, RequestHeader) {
    let clean = clean(settings, peer.parse().unwrap(), false, raw.as_deref(), &mut request);
    (clean.unwrap_or_else(|refusal| panic!("{refusal:?}: {request:?}")), request)
}

/// Why a stranger's request is refused, if it is.
pub(super) fn refusal(settings: &Settings, received: Received) -> Option<Refusal> {
    refusal_from(settings, "203.0.113.9", received)
}

/// Why a request of `peer` is refused, if it is.
pub(super) fn refusal_from(settings: &Settings, peer: &str, (raw, mut request): Received) -> Option<Refusal> {
    clean(settings, peer.parse().unwrap(), false, raw.as_deref(), &mut request).err()
}
