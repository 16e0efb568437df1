//! The line per request. As JSON it is written here by hand, for it is the only line that comes with every request.

use std::{cell::Cell, io::Write, net::IpAddr, sync::OnceLock, time::Duration};

use super::{ACCESS, output::Output};
use crate::{
    address,
    clock::{Clock, Timestamp},
    model::AccountId,
};

/// Where lines as JSON go, if they do; otherwise a request is an event like others.
static LINES: OnceLock<Output> = OnceLock::new();

thread_local! {
    static PEN: Cell<Pen> = Cell::default();
}

/// What a thread writes lines with: what the next one may need again is kept.
#[derive(Default)]
struct Pen {
    line: Vec<u8>,
    /// Since the epoch.
    second: i64,
    /// The same as in `2026-11-26T14:02:51`.
    written_second: String,
}

/// One request, answered. There is no place in it for a query string, a token, a cookie or an email.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The `X-Request-Id` that client and upstream saw.
    pub request_id: &'a str,
    /// The method as received, or `-` when none of that name is served.
    pub method: &'a str,
    /// The canonical path, without the query.
    pub path: &'a str,
    /// Name of the route or of our own endpoint; `None` when the request never got that far.
    pub route: Option<&'a str>,
    /// Name of the upstream that was asked.
    pub upstream: Option<&'a str>,
    /// The status sent; 0 when the client was gone before one could be.
    pub status: u16,
    /// From the request's head to the end of its answer.
    pub duration: Duration,
    /// The account that called, when one was verified.
    pub sub: Option<AccountId>,
    /// Who sent it: the peer, or the hop before trusted proxies.
    pub source: IpAddr,
    /// Bytes of the answer's body sent.
    pub bytes: u64,
    /// Why we, and not an upstream, decided on the answer: a fixed short word.
    pub reason: Option<&'static str>,
}

/// Writes the line of a request.
pub fn access(access: &Access<'_>) {
    if let Some(lines) = LINES.get() {
        let mut pen = PEN.take();
        pen.write(access, Clock::system().now());
        lines.push(&pen.line);
        PEN.set(pen);
        return;
    }
    tracing::info!(
        target: ACCESS,
        request_id = access.request_id,
        method = access.method,
        path = access.path,
        route = access.route,
        upstream = access.upstream,
        status = access.status,
        duration_ms = milliseconds(access.duration),
        sub = access.sub.map(tracing::field::display),
        source = %access.source,
        bytes = access.bytes,
        reason = access.reason,
    );
}

/// Sends lines of requests there, as JSON, from now on.
pub(super) fn write_to(output: Output) {
    // Logging starts once.
    let _ = LINES.set(output);
}

impl Pen {
    /// As [`access`] is written as an event. Nothing here fails: all of it is in memory.
    fn write(&mut self, access: &Access<'_>, now: Timestamp) {
        if self.second != now.seconds() || self.written_second.is_empty() {
            self.second = now.seconds();
            self.written_second = now.to_rfc3339();
            // The zone, which stands behind the fraction.
            self.written_second.pop();
        }
        let line = &mut self.line;
        line.clear();
        let (second, millis) = (&self.written_second, now.millis().rem_euclid(1000));
        let _ = write!(line, r#"{{"timestamp":"{second}.{millis:03}Z","level":"INFO","target":"{ACCESS}""#);
        let mut text = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                line.extend_from_slice(name.as_bytes());
                let _ = serde_json::to_writer(&mut *line, value);
            }
        };
        text(r#","request_id":"#, Some(access.request_id));
        text(r#","method":"#, Some(access.method));
        text(r#","path":"#, Some(access.path));
        text(r#","route":"#, access.route);
        text(r#","upstream":"#, access.upstream);
        text(r#","reason":"#, access.reason);
        if let Some(sub) = access.sub {
            let _ = write!(line, r#","sub":"{sub}""#);
        }
        let source = address::text(access.source);
        let Access { status, bytes, duration, .. } = access;
        let (millis, micros) = (duration.as_millis(), duration.subsec_micros() % 1000);
        let _ = write!(
            line,
            r#","source":"{source}","status":{status},"bytes":{bytes},"duration_ms":{millis}.{micros:03}}}"#
        );
        line.push(b'\n');
    }
}

/// Milliseconds, exact to the microsecond.
#[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::tests::{logged_as_json, request};

    #[test]
    fn a_line_written_by_hand_is_the_line_of_the_event() {
        let bare = Access { route: None, sub: None, reason: None, path: "/a\"\\\u{1f}é", ..request() };
        let upstream = Access { upstream: Some("app"), duration: Duration::from_nanos(1), ..request() };
        let long = Access { duration: Duration::from_millis(61_007), ..request() };
        let mut pen = Pen::default();
        for request in [request(), bare, upstream, long] {
            pen.write(&request, Clock::system().now());
            let parse = |line: &[u8]| {
                let mut line: serde_json::Value = serde_json::from_slice(line).unwrap();
                let time = line["timestamp"].take();
                assert!(time.as_str().unwrap().ends_with('Z'));
                line
            };
            assert_eq!(parse(&pen.line), parse(logged_as_json(|| access(&request)).as_bytes()));
            assert_eq!(std::str::from_utf8(&pen.line).unwrap().lines().count(), 1);
        }
    }

    #[test]
    fn each_line_has_the_time_of_its_request() {
        let mut pen = Pen::default();
        for (millis, written) in [
            (1_790_000_000_999, "2026-09-21T14:13:20.999Z"),
            (1_790_000_001_007, "2026-09-21T14:13:21.007Z"),
            (1_790_000_001_500, "2026-09-21T14:13:21.500Z"),
            (0, "1970-01-01T00:00:00.000Z"),
        ] {
            pen.write(&request(), Timestamp::from_millis(millis));
            let line: serde_json::Value = serde_json::from_slice(&pen.line).unwrap();
            assert_eq!(line["timestamp"], written);
        }
    }
}
