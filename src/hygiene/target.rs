//! The request target: origin form only, whatever form it came in (RFC 9112 section 3.2).

use bytes::Bytes;
use http::{Uri, uri::PathAndQuery};
use pingora::http::{
    RequestHeader,
    authority::{RawTargetAuthority, raw_target_authority},
};

use super::{
    Refusal,
    framing::{TARGET_BYTES, TARGET_TOO_LONG},
    path,
};

const NOT_ORIGIN_FORM: Refusal = Refusal::bad_request("target", "The request target must be a path.");

/// A target in its canonical form.
pub(super) struct Target {
    pub(super) path: String,
    pub(super) query: Option<String>,
    /// The request still holds another spelling.
    respelt: bool,
}

/// Reads the target of `request`. `received` is what stood on the wire, where that is known: the parser below us
/// cuts fragments off and must not have read anything else.
pub(super) fn read(received: Option<&[u8]>, request: &RequestHeader) -> Result<Target, Refusal> {
    let parsed = request.raw_path();
    let received = received.unwrap_or(parsed);
    if received.len() > TARGET_BYTES {
        return Err(TARGET_TOO_LONG);
    }
    if received != parsed {
        return Err(Refusal::bad_request("target", "A request target has no fragment."));
    }

    let origin_form = origin_form(parsed)?;
    let mut halves = origin_form.splitn(2, |byte| *byte == b'?');
    let raw_path = match halves.next() {
        // `http://host?query` has no path; the root is meant (RFC 9112 section 3.2.1).
        Some(b"") if origin_form.len() < parsed.len() => &b"/"[..],
        path => path.unwrap_or_default(),
    };
    let path = path::canonical(raw_path)?;
    let query = halves
        .next()
        .map(|query| std::str::from_utf8(query).map(str::to_owned))
        .transpose()
        .map_err(|_| Refusal::bad_request("target", "Characters outside ASCII must be percent-encoded."))?;
    let respelt = origin_form.len() != parsed.len() || path.as_bytes() != raw_path;
    Ok(Target { path, query, respelt })
}

/// The part of a target from the path on. Absolute form is for proxies, yet every server must take it (RFC 9112
/// section 3.2.2); that its host is the `Host` has been seen to when the head was parsed, and again in
/// [`host`](super::host).
fn origin_form(target: &[u8]) -> Result<&[u8], Refusal> {
    if target.first() == Some(&b'/') {
        return Ok(target);
    }
    match raw_target_authority(target) {
        RawTargetAuthority::Absolute { scheme, path_and_query, .. }
            if scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https") =>
        {
            Ok(path_and_query)
        }
        _ => Err(NOT_ORIGIN_FORM),
    }
}

impl Target {
    /// Puts the canonical target into `request`, so that what was judged is what is forwarded.
    pub(super) fn write(&self, request: &mut RequestHeader) -> Result<(), Refusal> {
        if !self.respelt {
            return Ok(());
        }
        let target = match &self.query {
            Some(query) => [&self.path, "?", query].concat(),
            None => self.path.clone(),
        };
        let mut parts = request.uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from(target)).map_err(|_| NOT_ORIGIN_FORM)?);
        request.set_uri(Uri::from_parts(parts).map_err(|_| NOT_ORIGIN_FORM)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::{
        super::testing::{cleaned, h1, h2, refusal, settings},
        *,
    };

    fn get(target: &str) -> (Option<Vec<u8>>, RequestHeader) {
        h1(&format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"))
    }

    #[test]
    fn what_was_judged_is_what_is_forwarded() {
        for (sent, path, query, forwarded) in [
            ("/a", "/a", None, "/a"),
            ("/%61?b=%61", "/a", Some("b=%61"), "/a?b=%61"),
            ("/a?", "/a", Some(""), "/a?"),
            ("/a?b?c=/../", "/a", Some("b?c=/../"), "/a?b?c=/../"),
            ("//a//b", "//a//b", None, "//a//b"),
            ("//evil.test/%61", "//evil.test/a", None, "//evil.test/a"),
            ("/a%2fb", "/a%2Fb", None, "/a%2Fb"),
            ("http://a.test/x?y", "/x", Some("y"), "/x?y"),
            ("HTTPS://a.test/%78", "/x", None, "/x"),
            ("http://a.test", "/", None, "/"),
            ("http://a.test?y", "/", Some("y"), "/?y"),
        ] {
            let (clean, request) = cleaned(&settings(), get(sent));
            assert_eq!((clean.path.as_str(), clean.query.as_deref()), (path, query), "{sent}");
            assert_eq!(request.raw_path(), forwarded.as_bytes(), "{sent}");
            assert_eq!(request.uri.path(), path, "{sent}");
        }
    }

    #[test]
    fn on_http_2_the_authority_stays_beside_the_canonical_path() {
        let (clean, request) = cleaned(&settings(), h2("/%61%2fb?c", &[]));
        assert_eq!(clean.path, "/a%2Fb");
        assert_eq!(request.raw_path(), b"/a%2Fb?c");
        assert_eq!(request.uri.authority().map(http::uri::Authority::as_str), Some("a.test"));
    }

    #[test]
    fn targets_that_are_not_paths_are_refused() {
        for target in [
            "admin",
            "?x=1",
            "*",
            "foo:bar://a.test/admin",
            "ftp://a.test/",
            "http:/admin",
            "http:admin",
            "://a.test/",
            "a.test:80",
            "/public#/../admin",
            "/a#",
            "#",
            "%2Fadmin",
            "http:///admin",
        ] {
            let refusal = refusal(&settings(), get(target)).expect(target);
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{target}");
        }
    }

    #[test]
    fn a_target_over_8_kib_is_414() {
        let long = |length: usize| format!("/{}", "a".repeat(length - 1));
        assert_eq!(refusal(&settings(), get(&long(TARGET_BYTES))), None);
        let refused = refusal(&settings(), get(&long(TARGET_BYTES + 1)));
        assert_eq!(refused.map(|refusal| refusal.status), Some(StatusCode::URI_TOO_LONG));
    }

    #[test]
    fn a_query_may_have_utf_8_and_nothing_that_is_not_text() {
        let head = |query: &[u8]| [b"GET /?".as_slice(), query, b" HTTP/1.1\r\nHost: a.test\r\n\r\n"].concat();
        let (clean, _) = cleaned(&settings(), super::super::testing::h1_bytes(&head("é".as_bytes())));
        assert_eq!(clean.query.as_deref(), Some("é"));
        let refused = refusal(&settings(), super::super::testing::h1_bytes(&head(b"\xff")));
        assert_eq!(refused.map(|refusal| refusal.status), Some(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn options_of_the_whole_server_is_refused() {
        let (raw, request) = h1("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(request.method, http::Method::OPTIONS);
        assert_eq!(refusal(&settings(), (raw, request)).map(|refusal| refusal.reason), Some("target"));
    }
}
