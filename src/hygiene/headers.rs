//! What of a client's header fields may go on.

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use pingora::http::RequestHeader;

use super::{
    Refusal, Settings,
    framing::{self, FRAMING},
    managed,
};

/// As many options as the proxy engine below us takes in `Connection`.
const CONNECTION_OPTIONS: usize = 9;

const ALIAS: Refusal =
    Refusal::bad_request("header", "A header field's name could be taken for another that is not yours to send.");
const BAD_COOKIE: Refusal = Refusal::bad_request("header", "The request's cookies cannot be joined.");
const AUTHORIZATION: Refusal = Refusal::bad_request("authorization", "The request has more than one Authorization.");
const NOMINATION: Refusal =
    Refusal::bad_request("header", "Connection names a header field that must not be removed on the way.");
const BAD_CONNECTION: Refusal = Refusal::bad_request("header", "Connection is not a short list of names.");

/// What is to change in a header map.
#[derive(Debug, Default)]
pub(super) struct Changes {
    remove: Vec<HeaderName>,
    cookie: Option<HeaderValue>,
    /// How many names of `remove` are there for their characters.
    pub(super) dropped: usize,
}

/// Judges every field of `request`, sent by a peer that is `trusted` or not.
pub(super) fn judge(settings: &Settings, trusted: bool, request: &RequestHeader) -> Result<Changes, Refusal> {
    let headers = &request.headers;
    let mut changes = Changes::default();
    if request.version == Version::HTTP_10 && headers.contains_key(header::EXPECT) {
        // It means nothing there (RFC 9110 section 10.1.1), and would to the upstream.
        changes.remove.push(header::EXPECT);
    }
    for name in headers.keys() {
        match judge_name(settings, trusted, name.as_str())? {
            Verdict::Keep => {}
            Verdict::Remove => changes.remove.push(name.clone()),
            Verdict::Drop => {
                changes.remove.push(name.clone());
                changes.dropped += 1;
            }
        }
    }
    if headers.get_all(header::AUTHORIZATION).iter().nth(1).is_some() {
        return Err(AUTHORIZATION);
    }
    judge_nominations(settings, headers)?;
    changes.cookie = joined_cookie(headers)?;
    Ok(changes)
}

enum Verdict {
    Keep,
    /// Not the client's to send.
    Remove,
    /// A name that upstreams may fold onto another.
    Drop,
}

fn judge_name(settings: &Settings, trusted: bool, name: &str) -> Result<Verdict, Refusal> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        let remove = settings.managed.removes(name) || (!trusted && managed::is_forwarding(name));
        return Ok(if remove { Verdict::Remove } else { Verdict::Keep });
    }
    if settings.managed.covers(name) || FRAMING.iter().any(|own| managed::folds_onto(name, own)) {
        return Err(ALIAS);
    }
    let allowed = settings.allow_headers.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
    Ok(if allowed { Verdict::Keep } else { Verdict::Drop })
}

/// The fields that `Connection` names are removed on the way (RFC 9110 section 7.6.1), after we have judged them
/// and, for some, after we have written them.
fn judge_nominations(settings: &Settings, headers: &HeaderMap) -> Result<(), Refusal> {
    let options = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|option| !option.is_empty());
    for (count, option) in options.enumerate() {
        if count >= CONNECTION_OPTIONS || !framing::is_token(option) {
            return Err(BAD_CONNECTION);
        }
        let name = std::str::from_utf8(option).map_err(|_| BAD_CONNECTION)?;
        let judged_by = [
            "access-control-request-method",
            "authorization",
            "cookie",
            "content-length",
            "content-type",
            "expect",
            "host",
            "origin",
            "tracestate",
            "transfer-encoding",
        ];
        if settings.managed.covers(name) || judged_by.iter().any(|own| managed::folds_onto(name, own)) {
            return Err(NOMINATION);
        }
    }
    Ok(())
}

/// HTTP/2 clients may send a cookie in crumbs, which are one again on HTTP/1 (RFC 9113 section 8.2.3).
fn joined_cookie(headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else { return Ok(None) };
    let mut joined = BytesMut::from(first.as_bytes());
    for crumb in std::iter::once(second).chain(crumbs) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    HeaderValue::from_maybe_shared(joined.freeze()).map(Some).map_err(|_| BAD_COOKIE)
}

impl Changes {
    /// Makes the changes.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        if let Some(cookie) = &self.cookie {
            headers.insert(header::COOKIE, cookie.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::{
        super::testing::{cleaned, cleaned_from, h1, h2, refusal, refusal_from, settings},
        *,
    };

    const PROXY: &str = "10.0.0.1";
    const STRANGER: &str = "203.0.113.9";

    fn with(lines: &str) -> (Option<Vec<u8>>, RequestHeader) {
        h1(&format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"))
    }

    fn names(request: &RequestHeader) -> Vec<&str> {
        let mut names: Vec<_> = request.headers.keys().map(HeaderName::as_str).filter(|name| *name != "host").collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_client_cannot_say_who_it_is() {
        let (_, request) = cleaned(
            &settings(),
            with("X-Auth-User: boss\r\nx-auth-user: boss\r\nX-AUTH-USER: boss\r\nAccept: */*\r\nX-Request-Id: 1\r\n"),
        );
        assert_eq!(names(&request), ["accept"]);
    }

    #[test]
    fn an_alias_of_a_managed_or_framing_header_is_refused_on_both_protocols_and_from_everyone() {
        let mut settings = settings();
        settings.allow_headers = vec!["x_auth_user".into()];
        for name in [
            "x_auth_user",
            "x-auth_user",
            "x.auth.user",
            "x!auth|user",
            "x_forwarded_for",
            "x_forwarded_user",
            "x.real.ip",
            "x_request_id",
            "x_http_method_override",
            "content_length",
            "transfer.encoding",
            "proxy_connection",
        ] {
            for peer in [PROXY, STRANGER] {
                assert_eq!(refusal_from(&settings, peer, with(&format!("{name}: x\r\n"))), Some(ALIAS), "{name}");
                assert_eq!(refusal_from(&settings, peer, h2("/", &[(name, "x")])), Some(ALIAS), "{name}");
            }
        }
    }

    #[test]
    fn other_odd_names_are_dropped_and_counted_unless_allowed() {
        let mut settings = settings();
        settings.allow_headers = vec!["Api_Key".into()];
        let (clean, request) =
            cleaned(&settings, with("api_key: 1\r\nsome_thing: 2\r\nSOME_THING: 3\r\na.b: 4\r\nX-B: 5\r\n"));
        assert_eq!(names(&request), ["api_key", "x-b"]);
        assert_eq!(clean.dropped, 2);
    }

    #[test]
    fn strangers_cannot_say_who_came_before_them() {
        let lines = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b.test\r\n\
                     X-Forwarded-Port: 1\r\nX-Forwarded-Anything: x\r\nForwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\n";
        let (clean, request) = cleaned_from(&settings(), STRANGER, with(lines));
        assert_eq!(names(&request), Vec::<&str>::new());
        assert!(clean.disbelieved);

        let (clean, request) = cleaned_from(&settings(), PROXY, with(lines));
        assert_eq!(names(&request), ["forwarded", "x-forwarded-anything", "x-forwarded-port", "x-real-ip"]);
        assert!(!clean.disbelieved);
    }

    #[test]
    fn headers_that_redirect_an_upstream_are_removed_from_everyone() {
        let lines = "X-HTTP-Method-Override: DELETE\r\nX-HTTP-Method: DELETE\r\nX-Method-Override: DELETE\r\n\
                     X-Original-URL: /admin\r\nX-Original-URI: /admin\r\nX-Rewrite-URL: /admin\r\nProxy: evil.test\r\n";
        for peer in [PROXY, STRANGER] {
            let (_, request) = cleaned_from(&settings(), peer, with(lines));
            assert_eq!(names(&request), Vec::<&str>::new());
        }
    }

    #[test]
    fn connection_cannot_have_our_headers_removed() {
        for option in [
            "X-Auth-User",
            "close, x-auth-user",
            "X_Auth_User",
            "X-Forwarded-For",
            "x-forwarded-user",
            "X-Request-Id",
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "authorization",
            "Cookie",
            "traceparent",
            "tracestate",
            "Origin",
            "Access-Control-Request-Method",
            ",,x.auth.user",
        ] {
            assert_eq!(refusal(&settings(), with(&format!("Connection: {option}\r\n"))), Some(NOMINATION), "{option}");
        }
        assert_eq!(refusal(&settings(), with("Connection: close\r\nConnection: X-Auth-User\r\n")), Some(NOMINATION));
        for option in ["\"X-Auth-User\"", ":authority", "a b", "a,b,c,d,e,f,g,h,i,j", "\u{e9}"] {
            assert_eq!(
                refusal(&settings(), with(&format!("Connection: {option}\r\n"))),
                Some(BAD_CONNECTION),
                "{option}"
            );
        }
        for option in ["close", "keep-alive", "Upgrade, HTTP2-Settings", "TE, close", "X-Hop", ""] {
            assert_eq!(refusal(&settings(), with(&format!("Connection: {option}\r\n"))), None, "{option}");
        }
    }

    #[test]
    fn a_second_authorization_is_refused() {
        for second in ["Authorization: Bearer b", "authorization: Bearer a", "AUTHORIZATION:"] {
            let refusal =
                refusal(&settings(), with(&format!("Authorization: Bearer a\r\n{second}\r\n"))).expect(second);
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{second}");
        }
        assert_eq!(
            refusal(&settings(), h2("/", &[("authorization", "a"), ("authorization", "b")])),
            Some(AUTHORIZATION)
        );
    }

    #[test]
    fn cookie_crumbs_become_one_cookie_in_order() {
        let (_, request) =
            cleaned(&settings(), h2("/", &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3"), ("cookie", "d=4")]));
        let cookies: Vec<_> = request.headers.get_all(header::COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3; d=4"]);
        let (_, request) = cleaned(&settings(), with("Cookie: a=1\r\nCookie: b=2\r\n"));
        assert_eq!(request.headers.get(header::COOKIE).unwrap(), "a=1; b=2");
    }

    #[test]
    fn a_refused_request_is_left_as_it_came() {
        let (raw, mut request) =
            with("X-Auth-User: boss\r\nX-Request-Id: 1\r\na_b: 1\r\nAuthorization: a\r\nAuthorization: b\r\n");
        let before = names(&request).join(" ");
        let peer = STRANGER.parse().unwrap();
        assert!(super::super::clean(&settings(), peer, false, raw.as_deref(), &mut request).is_err());
        assert_eq!(names(&request).join(" "), before);
    }
}
