//! Bounds on a proxied request body: its size, and the least rate at which it may come.

use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode, header};

use super::Answer;

/// A body slower than this over its whole life is a client holding an upstream's worker.
const LEAST_BYTES_PER_SECOND: u64 = 240;

/// How long a body may be slower than that.
const PATIENCE: Duration = Duration::from_secs(20);

/// Follows one request body.
#[derive(Debug, Default)]
pub struct BodyGauge {
    seen: u64,
    since: Option<Instant>,
    ended: bool,
}

/// Refuses a body announced as longer than `max`, before anything is sent upstream.
pub fn announced(headers: &HeaderMap, max: u64) -> Result<(), Answer> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max) { Err(too_large()) } else { Ok(()) }
}

impl BodyGauge {
    /// Takes note of the end.
    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// Whether the client is still to send the end.
    pub const fn is_awaited(&self) -> bool {
        !self.ended
    }

    /// Takes note of a chunk.
    pub fn take(&mut self, bytes: usize, max: u64, now: Instant) -> Result<(), Answer> {
        self.seen = self.seen.saturating_add(bytes as u64);
        if self.seen > max {
            return Err(too_large());
        }
        let age = now.saturating_duration_since(*self.since.get_or_insert(now));
        if age > PATIENCE && self.seen < age.as_secs().saturating_mul(LEAST_BYTES_PER_SECOND) {
            return Err(
                Answer::new(StatusCode::REQUEST_TIMEOUT, "body_slow", "The request body arrived too slowly.").closing()
            );
        }
        Ok(())
    }
}

fn too_large() -> Answer {
    Answer::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_large",
        "The request body is larger than server.limits.body allows.",
    )
    .closing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_be_as_long_as_the_limit_and_not_a_byte_longer() {
        let mut gauge = BodyGauge::default();
        let now = Instant::now();
        assert!(gauge.take(100, 100, now).is_ok());
        assert_eq!(gauge.take(1, 100, now).unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn a_dripping_body_is_cut_and_a_slow_but_steady_one_is_not() {
        let start = Instant::now();
        let mut drip = BodyGauge::default();
        let cut = (0..60).find(|second| drip.take(1, u64::MAX, start + Duration::from_secs(*second)).is_err());
        assert_eq!(cut, Some(21));

        let mut steady = BodyGauge::default();
        assert!((0..600).all(|second| steady.take(300, u64::MAX, start + Duration::from_secs(second)).is_ok()));
    }
}
