//! Names by which a request is found again: `X-Request-Id`, and the trace context of W3C.

use std::sync::Arc;

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_PARENT_BYTES: usize = 55;
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// The names of one request.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) request_id: Arc<str>,
    pub(super) parent: HeaderValue,
    /// The client's trace goes on, its `tracestate` with it.
    continued: bool,
}

/// Takes over the request id of a trusted peer and the trace of anyone, or makes new ones; a new trace id is the
/// new request id, so that one is found by the other.
pub(super) fn read(trusted: bool, headers: &HeaderMap) -> Trace {
    let own = Uuid::now_v7();
    let mut text = Uuid::encode_buffer();
    let request_id = trusted
        .then(|| only(headers, &REQUEST_ID))
        .flatten()
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_request_id(id))
        .unwrap_or_else(|| own.simple().encode_lower(&mut text))
        .into();
    match only(headers, &TRACE_PARENT).filter(|value| is_traceparent(value.as_bytes())) {
        Some(parent) => Trace { request_id, parent: parent.clone(), continued: true },
        None => Trace { request_id, parent: new_traceparent(own), continued: false },
    }
}

impl Trace {
    /// Takes out of the fields of a request the state of a trace that does not go on.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        if !self.continued {
            headers.remove(&TRACE_STATE);
        }
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn is_request_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Trace Context section 3.2.2: `version-traceid-parentid-flags`; versions above 00 may have more after it.
fn is_traceparent(value: &[u8]) -> bool {
    let mut parts = value.splitn(5, |byte| *byte == b'-');
    let mut part = |length: usize| {
        parts.next().filter(|part| part.len() == length && part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    };
    let some_set = |part: &[u8]| part.iter().any(|byte| *byte != b'0');
    let (Some(version), Some(trace), Some(parent), Some(_flags)) = (part(2), part(32), part(16), part(2)) else {
        return false;
    };
    version != b"ff" && (version != b"00" || parts.next().is_none()) && some_set(trace) && some_set(parent)
}

/// A trace of our own. It says "sampled", though we record no spans: samplers of upstreams follow their parent by
/// default, and "not sampled" would switch them off.
fn new_traceparent(trace: Uuid) -> HeaderValue {
    let mut digits = Uuid::encode_buffer();
    let mut text = BytesMut::with_capacity(TRACE_PARENT_BYTES);
    text.extend_from_slice(b"00-");
    text.extend_from_slice(trace.simple().encode_lower(&mut digits).as_bytes());
    text.extend_from_slice(b"-");
    // The random half.
    let parent = Uuid::now_v7().simple().encode_lower(&mut digits).as_bytes().get(16..);
    text.extend_from_slice(parent.unwrap_or_default());
    text.extend_from_slice(b"-01");
    // Hex digits and hyphens are always a value.
    HeaderValue::from_maybe_shared(text.freeze()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use pingora::http::RequestHeader;

    use super::{
        super::{
            request_id,
            testing::{cleaned_from, h1, settings},
        },
        *,
    };

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn with(lines: &str) -> (Option<Vec<u8>>, RequestHeader) {
        h1(&format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"))
    }

    #[test]
    fn only_a_trusted_peer_names_a_request() {
        let id = |peer: &str, id: &str| {
            cleaned_from(&settings(), peer, with(&format!("X-Request-Id: {id}\r\n"))).0.request_id
        };
        assert_eq!(&*id("10.0.0.1", "a.B_c-1"), "a.B_c-1");
        for (peer, sent) in [
            ("203.0.113.9", "mine"),
            ("10.0.0.1", ""),
            ("10.0.0.1", "a b"),
            ("10.0.0.1", "a\"b"),
            ("10.0.0.1", &"a".repeat(129)),
        ] {
            let made = id(peer, sent);
            assert!(made.len() == 32 && made.bytes().all(|b| b.is_ascii_hexdigit()), "{made}");
        }
        let twice = cleaned_from(&settings(), "10.0.0.1", with("X-Request-Id: a\r\nX-Request-Id: b\r\n")).0;
        assert_eq!(twice.request_id.len(), 32);
    }

    #[test]
    fn a_refused_request_answers_under_the_name_its_trusted_peer_gave_it() {
        let (_, request) = with("X-Request-Id: theirs\r\nAuthorization: a\r\nAuthorization: b\r\n");
        assert_eq!(&*request_id(&settings(), "10.0.0.1".parse().unwrap(), &request), "theirs");
        assert_ne!(&*request_id(&settings(), "203.0.113.9".parse().unwrap(), &request), "theirs");
    }

    #[test]
    fn a_valid_trace_goes_on_unchanged_with_its_state() {
        for given in [GIVEN, "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more-to-come"] {
            let (clean, request) =
                cleaned_from(&settings(), "203.0.113.9", with(&format!("traceparent: {given}\r\ntracestate: a=1\r\n")));
            assert_eq!(clean.traceparent, given);
            assert!(request.headers.contains_key(TRACE_STATE));
            assert!(!request.headers.contains_key(TRACE_PARENT), "written again by us, last");
        }
    }

    #[test]
    fn a_trace_that_is_missing_or_invalid_is_replaced_and_its_state_dropped() {
        let zeros = "0".repeat(32);
        for lines in [
            String::new(),
            format!("traceparent: {}\r\n", GIVEN.to_uppercase()),
            format!("traceparent: {GIVEN}-x\r\n"),
            format!("traceparent: {GIVEN}x\r\n"),
            format!("traceparent: ff{}\r\n", &GIVEN[2..]),
            format!("traceparent: 00-{zeros}-00f067aa0ba902b7-00\r\n"),
            format!("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-{}-00\r\n", &zeros[..16]),
            format!("traceparent: {GIVEN}\r\ntraceparent: {GIVEN}\r\n"),
        ] {
            let (clean, request) =
                cleaned_from(&settings(), "203.0.113.9", with(&format!("{lines}tracestate: a=1\r\n")));
            assert!(is_traceparent(clean.traceparent.as_bytes()), "{:?}", clean.traceparent);
            assert_eq!(&clean.traceparent.to_str().unwrap()[3..35], &*clean.request_id, "one is found by the other");
            assert!(!request.headers.contains_key(TRACE_STATE), "{lines}");
        }
    }
}
