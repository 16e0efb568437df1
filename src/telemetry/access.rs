//! The line per request. As JSON it is written here by hand, for it is the only line that comes with every request.

use std::{cell::Cell, io::Write, net::IpAddr, sync::OnceLock, time::Duration};

use serde::Serialize;
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime, SystemTime},
};

use super::{ACCESS, output::Output};
use crate::model::AccountId;

/// Where lines as JSON go, if they do; otherwise a request is an event like others.
static LINES: OnceLock<Output> = OnceLock::new();

thread_local! {
    /// The last line, whose memory the next one takes.
    static LINE: Cell<(Vec<u8>, String)> = Cell::default();
}

/// One request, answered. There is no place in it for a query string, a token, a cookie or an email.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Access<'a> {
    /// The `X-Request-Id` that client and upstream saw.
    pub request_id: &'a str,
    /// The method as received.
    pub method: &'a str,
    /// The canonical path, without the query.
    pub path: &'a str,
    /// Name of the route or of our own endpoint; `None` when the request never got that far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a str>,
    /// Name of the upstream that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<&'a str>,
    /// The status sent; 0 when the client was gone before one could be.
    pub status: u16,
    /// From the request's head to the end of its answer.
    #[serde(rename = "duration_ms", serialize_with = "as_milliseconds")]
    pub duration: Duration,
    /// The account that called, when one was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<AccountId>,
    /// Who sent it: the peer, or the hop before trusted proxies.
    pub source: IpAddr,
    /// Bytes of the answer's body sent.
    pub bytes: u64,
    /// Why we, and not an upstream, decided on the answer: a fixed short word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// Writes the line of a request.
pub fn access(access: &Access<'_>) {
    if let Some(lines) = LINES.get() {
        let (mut line, mut time) = LINE.take();
        line.clear();
        write_json(access, &mut line, &mut time);
        lines.push(&line);
        LINE.set((line, time));
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

/// As [`access`] is written as an event, with `time` to work in.
fn write_json(access: &Access<'_>, line: &mut Vec<u8>, time: &mut String) {
    time.clear();
    // Neither fails: all of it is in memory.
    let _ = SystemTime.format_time(&mut Writer::new(time));
    let _ = write!(line, r#"{{"timestamp":"{time}","level":"INFO","target":"{ACCESS}","#);
    let fields = line.len();
    let _ = serde_json::to_writer(&mut *line, access);
    // The fields are an object of their own; its brace was opened before.
    line.remove(fields);
    line.push(b'\n');
}

fn as_milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(milliseconds(*duration))
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
        for request in [request(), bare, upstream] {
            let mut line = Vec::new();
            write_json(&request, &mut line, &mut "old".to_owned());
            let parse = |line: &[u8]| {
                let mut line: serde_json::Value = serde_json::from_slice(line).unwrap();
                let time = line["timestamp"].take();
                assert!(time.as_str().unwrap().ends_with('Z'));
                line
            };
            assert_eq!(parse(&line), parse(logged_as_json(|| access(&request)).as_bytes()));
            assert_eq!(std::str::from_utf8(&line).unwrap().lines().count(), 1);
        }
    }
}
