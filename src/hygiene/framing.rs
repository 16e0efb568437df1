//! Where a message begins and ends (RFC 9112 sections 2.2, 5 and 6; RFC 9113 section 8.2.2).
//!
//! The HTTP/1 parser below us forgives what others read differently, and hands on a header map in which some of it
//! can no longer be seen, so HTTP/1 heads are judged by their bytes.

use http::{HeaderMap, StatusCode, Version, header};
use memchr::memchr;
use pingora::http::RequestHeader;

use super::{Refusal, Settings};

/// Field names that say where a message ends or who must read it: nothing may pass for one of them.
pub(super) const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Means something on one HTTP/1 connection only (RFC 9113 section 8.2.2).
const CONNECTION_SPECIFIC: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// Longest request target, bytes.
pub(super) const TARGET_BYTES: usize = 8 * 1024;

pub(super) const TARGET_TOO_LONG: Refusal =
    Refusal::new(StatusCode::URI_TOO_LONG, "target_too_long", "The request target is over 8 KiB.");
const HEAD_TOO_LARGE: Refusal = Refusal::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    "The request head is larger than this server takes.",
);
const TOO_MANY_HEADERS: Refusal = Refusal::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    "The request has more header fields than this server takes.",
);
const BAD_LENGTH: Refusal = Refusal::framing("Content-Length must be one decimal number.");

/// Judges the framing of a request, and on HTTP/1 returns the request target as it stood on the wire.
pub(super) fn judge<'a>(
    settings: &Settings,
    raw: Option<&'a [u8]>,
    request: &RequestHeader,
) -> Result<Option<&'a [u8]>, Refusal> {
    let target = match (request.version, raw) {
        (Version::HTTP_10 | Version::HTTP_11, Some(head)) => Some(judge_h1(settings, head)?),
        (Version::HTTP_2, _) => {
            judge_h2(settings, request)?;
            None
        }
        _ => return Err(Refusal::framing("Only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here.")),
    };
    if fields(&request.headers) > settings.headers {
        return Err(TOO_MANY_HEADERS);
    }
    judge_expectation(&request.headers)?;
    Ok(target)
}

/// Header fields, with Cookie lines counted as one: HTTP/2 clients split it freely (RFC 9113 section 8.2.3).
fn fields(headers: &HeaderMap) -> usize {
    headers.len().saturating_sub(headers.get_all(header::COOKIE).iter().count().saturating_sub(1))
}

fn judge_h1<'a>(settings: &Settings, head: &'a [u8]) -> Result<&'a [u8], Refusal> {
    let mut lines = Lines(head);
    // Empty lines before the request line are to be ignored (RFC 9112 section 2.2).
    let request_line = loop {
        match lines.next_line()? {
            [] => {}
            line => break line,
        }
    };
    let (target, version) = judge_request_line(request_line)?;
    if target.len() > TARGET_BYTES {
        return Err(TARGET_TOO_LONG);
    }
    if head.len() > settings.header_bytes {
        return Err(HEAD_TOO_LARGE);
    }
    let mut framing = Framing::default();
    loop {
        match lines.next_line()? {
            [] => break,
            line => framing.read_field(line)?,
        }
    }
    framing.judge(version)?;
    Ok(target)
}

/// The lines of a head, each ended by CRLF and by nothing else.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn next_line(&mut self) -> Result<&'a [u8], Refusal> {
        let Some((line, rest)) = memchr(b'\n', self.0).and_then(|at| self.0.split_at_checked(at + 1)) else {
            return Err(Refusal::framing("The request head does not end in an empty line."));
        };
        self.0 = rest;
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(Refusal::framing("A line of the request head ends in LF without CR."));
        };
        // To the end even where one is found: a loop without an exit is done many bytes at a time.
        if line.iter().fold(false, |found, byte| found | matches!(byte, 0..=8 | 10..=31 | 127)) {
            return Err(Refusal::framing(if line.contains(&b'\r') {
                "The request head has a CR without LF."
            } else {
                "The request head has a control character."
            }));
        }
        Ok(line)
    }
}

/// `method SP target SP version` (RFC 9112 section 3), single spaces only.
fn judge_request_line(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(method), Some(target), Some(version @ (b"HTTP/1.0" | b"HTTP/1.1")), None)
            if is_token(method) && !target.is_empty() && !target.contains(&b'\t') =>
        {
            Ok((target, version))
        }
        _ => Err(Refusal::framing("The request line must be a method, a target and HTTP/1.0 or HTTP/1.1.")),
    }
}

/// What the fields of an HTTP/1 head say of the body.
#[derive(Default)]
struct Framing {
    length: bool,
    chunked: bool,
}

impl Framing {
    fn read_field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if matches!(line, [b' ' | b'\t', ..]) {
            return Err(Refusal::framing("A header field continues on a second line."));
        }
        let Some((name, [_, value @ ..])) = memchr(b':', line).and_then(|at| line.split_at_checked(at)) else {
            return Err(Refusal::framing("A line of the request head has no colon."));
        };
        if !is_token(name) {
            return Err(Refusal::framing("A header field's name has a character that names cannot have."));
        }
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            if std::mem::replace(&mut self.length, true) || !is_length(value) {
                return Err(BAD_LENGTH);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding")
            && (std::mem::replace(&mut self.chunked, true) || !value.eq_ignore_ascii_case(b"chunked"))
        {
            return Err(Refusal::framing("Transfer-Encoding must be chunked, once, and nothing else."));
        }
        Ok(())
    }

    fn judge(&self, version: &[u8]) -> Result<(), Refusal> {
        if self.length && self.chunked {
            return Err(Refusal::framing("Content-Length and Transfer-Encoding exclude each other."));
        }
        if self.chunked && version == b"HTTP/1.0" {
            return Err(Refusal::framing("HTTP/1.0 has no Transfer-Encoding."));
        }
        Ok(())
    }
}

fn judge_h2(settings: &Settings, request: &RequestHeader) -> Result<(), Refusal> {
    // As long as the same head would be on HTTP/1: two bytes after the name, two after the value.
    let size = request.headers.iter().fold(request.raw_path().len(), |size, (name, value)| {
        size.saturating_add(name.as_str().len()).saturating_add(value.len()).saturating_add(4)
    });
    if size > settings.header_bytes {
        return Err(HEAD_TOO_LARGE);
    }
    if CONNECTION_SPECIFIC.iter().any(|name| request.headers.contains_key(*name))
        || request.headers.get_all(header::TE).iter().any(|te| !te.as_bytes().eq_ignore_ascii_case(b"trailers"))
    {
        return Err(Refusal::framing("HTTP/2 has no header fields that are about the connection."));
    }
    let mut lengths = request.headers.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(length), None) if is_length(length.as_bytes()) => Ok(()),
        _ => Err(BAD_LENGTH),
    }
}

/// `100-continue` is the one expectation there is (RFC 9110 section 10.1.1).
fn judge_expectation(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.get_all(header::EXPECT).iter().all(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::EXPECTATION_FAILED,
        "expectation",
        "The only expectation this server can meet is 100-continue.",
    ))
}

/// A length of at most 18 digits, which any integer of 64 bits can hold.
fn is_length(value: &[u8]) -> bool {
    (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit)
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~'))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::super::testing::{h1, h2, refusal, settings};

    /// A request with these lines after a Host.
    fn with(lines: &str) -> String {
        format!("POST / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n")
    }

    #[test]
    fn heads_that_two_parsers_could_end_differently_are_refused_and_the_connection_closes() {
        let attacks = [
            ("two equal lengths", with("Content-Length: 5\r\nContent-Length: 5\r\n")),
            ("two different lengths", with("Content-Length: 5\r\nContent-Length: 6\r\n")),
            ("a list of equal lengths", with("Content-Length: 5, 5\r\n")),
            ("a signed length", with("Content-Length: +5\r\n")),
            ("a negative length", with("Content-Length: -1\r\n")),
            ("an empty length", with("Content-Length:\r\n")),
            ("a hexadecimal length", with("Content-Length: 0x5\r\n")),
            ("a length beyond 64 bits", with("Content-Length: 99999999999999999999\r\n")),
            ("length and chunked", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
            ("chunked and length", with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
            ("chunked twice", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
            ("chunked, chunked", with("Transfer-Encoding: chunked, chunked\r\n")),
            ("a coding before chunked", with("Transfer-Encoding: gzip, chunked\r\n")),
            ("identity", with("Transfer-Encoding: identity\r\n")),
            ("something like chunked", with("Transfer-Encoding: xchunked\r\n")),
            ("quoted chunked", with("Transfer-Encoding: \"chunked\"\r\n")),
            ("an empty coding", with("Transfer-Encoding:\r\n")),
            ("vertical tab before chunked", with("Transfer-Encoding: \u{b}chunked\r\n")),
            ("chunked on HTTP/1.0", with("Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0")),
            ("bare LF after the request line", "GET / HTTP/1.1\nHost: a.test\r\n\r\n".into()),
            ("bare LF after a field", with("A: b\nContent-Length: 5\r\n")),
            ("bare LF at the end", "GET / HTTP/1.1\r\nHost: a.test\r\n\n".into()),
            ("bare LF before the request line", "\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n".into()),
            ("bare CR in a value", with("A: b\rContent-Length: 5\r\n")),
            ("CR CR LF", with("A: b\r\r\n")),
            ("NUL in a value", with("A: b\0c\r\n")),
            ("escape in a value", with("A: b\u{1b}c\r\n")),
            ("delete in a value", with("A: b\u{7f}c\r\n")),
            ("a folded field", with("A: b\r\n c\r\n")),
            ("a field folded by tab", with("A: b\r\n\tTransfer-Encoding: chunked\r\n")),
            ("space before the colon", with("Content-Length : 5\r\n")),
            ("tab before the colon", with("Transfer-Encoding\t: chunked\r\n")),
            ("space before the first name", "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n".into()),
            ("no colon", with("Content-Length 5\r\n")),
            ("no name", with(": 5\r\n")),
            ("two spaces before the target", "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n".into()),
            ("two spaces after the target", "GET /  HTTP/1.1\r\nHost: a.test\r\n\r\n".into()),
            ("a tab after the method", "GET\t/ HTTP/1.1\r\nHost: a.test\r\n\r\n".into()),
            ("words after the version", "GET / HTTP/1.1 x\r\nHost: a.test\r\n\r\n".into()),
            ("no version", "GET /\r\nHost: a.test\r\n\r\n".into()),
            ("another version", "GET / HTTP/1.2\r\nHost: a.test\r\n\r\n".into()),
            ("a version in small letters", "GET / http/1.1\r\nHost: a.test\r\n\r\n".into()),
            ("no end", "GET / HTTP/1.1\r\nHost: a.test\r\n".into()),
        ];
        for (story, head) in attacks {
            let refusal = refusal(&settings(), h1(&head)).expect(story);
            assert_eq!((refusal.status, refusal.reason), (StatusCode::BAD_REQUEST, "framing"), "{story}");
            assert!(refusal.close, "{story}");
        }
    }

    #[test]
    fn ordinary_bodies_pass() {
        for lines in ["", "Content-Length: 5\r\n", "content-length:0\r\n", "Transfer-Encoding: Chunked\r\n", "A:\r\n"] {
            assert_eq!(refusal(&settings(), h1(&with(lines))), None, "{lines}");
        }
        assert_eq!(refusal(&settings(), h1("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")), None);
        assert_eq!(refusal(&settings(), h1("\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n")), None);
        assert_eq!(refusal(&settings(), h1("GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\n")), None);
    }

    #[test]
    fn a_request_on_http_1_whose_bytes_nobody_kept_is_refused() {
        let (_, request) = h1(&with(""));
        assert!(refusal(&settings(), (None, request)).is_some_and(|refusal| refusal.close));
    }

    #[test]
    fn fields_that_belong_to_a_connection_are_refused_on_http_2() {
        for (name, value) in [
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("te", "gzip"),
        ] {
            let refusal = refusal(&settings(), h2("/", &[(name, value)])).expect(name);
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{name}");
        }
        assert_eq!(refusal(&settings(), h2("/", &[("te", "trailers")])), None);
    }

    #[test]
    fn lengths_are_judged_on_http_2_as_well() {
        for lengths in [&["5", "5"][..], &["5, 5"], &["+5"], &[""], &["5", "6"]] {
            let fields: Vec<_> = lengths.iter().map(|length| ("content-length", *length)).collect();
            assert!(refusal(&settings(), h2("/", &fields)).is_some_and(|refusal| refusal.close), "{lengths:?}");
        }
        assert_eq!(refusal(&settings(), h2("/", &[("content-length", "5")])), None);
    }

    #[test]
    fn heads_over_the_limits_are_431_on_both_protocols() {
        let mut settings = settings();
        settings.header_bytes = 200;
        let long = "x".repeat(200);
        let too_large = Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        assert_eq!(refusal(&settings, h1(&with(&format!("A: {long}\r\n")))).map(|r| r.status), too_large);
        assert_eq!(refusal(&settings, h2("/", &[("a", &long)])).map(|r| r.status), too_large);

        settings.header_bytes = 10_000;
        settings.headers = 3;
        assert_eq!(refusal(&settings, h1(&with("A: 1\r\nB: 2\r\n"))), None);
        assert_eq!(refusal(&settings, h1(&with("A: 1\r\nB: 2\r\nB: 3\r\n"))).map(|r| r.status), too_large);
        assert_eq!(
            refusal(&settings, h2("/", &[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")])).map(|r| r.status),
            too_large
        );
    }

    #[test]
    fn crumbs_of_one_cookie_count_as_one_field() {
        let mut settings = settings();
        settings.headers = 1;
        assert_eq!(refusal(&settings, h2("/", &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")])), None);
    }

    #[test]
    fn an_expectation_other_than_100_continue_is_417() {
        assert_eq!(refusal(&settings(), h1(&with("Expect: 100-Continue\r\n"))), None);
        for value in ["100-continue, x", "x", ""] {
            let refusal = refusal(&settings(), h1(&with(&format!("Expect: {value}\r\n")))).expect(value);
            assert_eq!(refusal.status, StatusCode::EXPECTATION_FAILED, "{value}");
        }
    }
}
