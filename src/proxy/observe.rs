//! Routes that observe: what they would have answered, held against what the upstream did.
//!
//! | we would have | the upstream served | 401 | 403 | other |
//! |---|---|---|---|---|
//! | let it through | the same | **differs** | **differs** | says nothing |
//! | answered 401 or 403 | **differs** | the same | the same | says nothing |
//! | answered 401 to a foreign token | says nothing | the same | the same | says nothing |
//! | answered 503, since nobody can tell for now | says nothing | says nothing | says nothing | says nothing |
//!
//! *Served* is any 2xx or 3xx: a redirect to a page for signing in is not what we would have answered. *Other* is what
//! upstreams say before, or without, asking who is calling. Which of 401 and 403 it is, upstreams and their frameworks
//! choose by habits of their own; both protect. Of a foreign token only the upstream knows whose it is.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::StatusCode;

use super::Answer;
use crate::{authn::Rejection, telemetry::metrics::Metrics};

/// Lines told of one kind of difference (a route, our verdict, what the upstream did) in [`WINDOW`]. A kind that
/// comes with every request neither floods the log nor hides a rare one.
const MOST_LINES: u32 = 5;

/// See [`MOST_LINES`].
const WINDOW: Duration = Duration::from_mins(1);

/// Our verdict when the route lets its caller in.
const ALLOW: &str = "allow";

/// One request of a route that observes.
pub struct Observed {
    /// Its route's place among the routes.
    route: usize,
    /// [`ALLOW`], or the reason for what we would have answered.
    verdict: &'static str,
    /// What we would have answered, but for its route.
    refusal: Option<StatusCode>,
    /// What the upstream answered.
    answer: Option<StatusCode>,
}

impl Observed {
    /// A request that its route, the one at this place, judged so.
    pub fn new(route: usize, judged: Result<(), Answer>) -> Self {
        let refusal = judged.err();
        Self {
            route,
            verdict: refusal.as_ref().map_or(ALLOW, |answer| answer.reason),
            refusal: refusal.map(|answer| answer.status),
            answer: None,
        }
    }

    /// Takes note of the upstream's final answer.
    pub fn answered(&mut self, status: StatusCode) {
        if !status.is_informational() {
            self.answer = Some(status);
        }
    }

    /// Whether the two would have treated the caller differently.
    fn differs(&self, upstream: Upstream) -> bool {
        match upstream {
            Upstream::Other => false,
            _ if self.refusal == Some(StatusCode::SERVICE_UNAVAILABLE) => false,
            Upstream::Served => self.refusal.is_some() && self.verdict != Rejection::Foreign.reason(),
            Upstream::Unauthorized | Upstream::Forbidden => self.refusal.is_none(),
        }
    }
}

/// What the upstream did with a request, as far as that says something of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Upstream {
    Served,
    Unauthorized,
    Forbidden,
    Other,
}

impl Upstream {
    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            status if status.is_success() || status.is_redirection() => Self::Served,
            _ => Self::Other,
        }
    }

    /// For metrics.
    const fn word(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Unauthorized => "401",
            Self::Forbidden => "403",
            Self::Other => "other",
        }
    }
}

/// Which request it was, for its line in the log.
pub struct Which<'a> {
    /// Its `X-Request-Id`.
    pub request_id: &'a str,
    /// Its method as received.
    pub method: &'a str,
    /// Its canonical path, without the query.
    pub path: &'a str,
    /// The name of its route.
    pub route: &'a str,
}

/// Counts what routes that observe would have done, and tells where their upstreams do otherwise.
pub struct Observer {
    metrics: Arc<Metrics>,
    /// One entry per kind of difference that came up: as many as routes and verdicts allow.
    told: Mutex<HashMap<(usize, &'static str, Upstream), Told>>,
}

impl Observer {
    /// Counts in `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, told: Mutex::default() }
    }

    /// Compares, once the request is over. What no upstream answered is no comparison.
    pub fn compare(&self, observed: &Observed, which: &Which<'_>, now: Instant) {
        let Some(answer) = observed.answer else { return };
        let upstream = Upstream::of(answer);
        self.metrics.observed.count(which.route, observed.verdict, upstream.word());
        if !observed.differs(upstream) {
            return;
        }
        let kind = (observed.route, observed.verdict, upstream);
        let turn = self.told.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default().turn(now);
        if let Some(untold) = turn {
            tracing::info!(
                request_id = which.request_id,
                method = which.method,
                path = which.path,
                route = which.route,
                verdict = observed.verdict,
                refusal = observed.refusal.as_ref().map(StatusCode::as_u16),
                upstream_status = answer.as_u16(),
                untold,
                "a route that observes would have decided otherwise than its upstream"
            );
        }
    }
}

/// How often one kind of difference has been told of late.
#[derive(Debug, Default)]
struct Told {
    since: Option<Instant>,
    lines: u32,
    untold: u64,
}

impl Told {
    /// Whether one more line may be written, and how many were not since the last.
    fn turn(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            self.since = Some(now);
            self.lines = 0;
        }
        if self.lines == MOST_LINES {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.lines += 1;
        Some(mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change_log::Stale;

    fn refused(rejection: Rejection) -> Result<(), Answer> {
        Err(rejection.into())
    }

    #[test]
    fn the_table_holds_cell_by_cell() {
        let (let_in, expired) = (|| Ok(()), || refused(Rejection::Expired));
        let (forbidden, foreign) = (|| Err(Answer::forbidden()), || refused(Rejection::Foreign));
        let stale = || Err(Stale.into());
        for (status, word, differs) in [
            (200, "served", [false, true, true, false, false]),
            (204, "served", [false, true, true, false, false]),
            (302, "served", [false, true, true, false, false]),
            (304, "served", [false, true, true, false, false]),
            (401, "401", [true, false, false, false, false]),
            (403, "403", [true, false, false, false, false]),
            (400, "other", [false; 5]),
            (404, "other", [false; 5]),
            (407, "other", [false; 5]),
            (429, "other", [false; 5]),
            (500, "other", [false; 5]),
            (503, "other", [false; 5]),
        ] {
            let upstream = Upstream::of(StatusCode::from_u16(status).unwrap());
            assert_eq!(upstream.word(), word);
            for (judged, differs) in [let_in(), expired(), forbidden(), foreign(), stale()].into_iter().zip(differs) {
                let observed = Observed::new(0, judged);
                assert_eq!(observed.differs(upstream), differs, "{} and {status}", observed.verdict);
            }
        }
    }

    #[test]
    fn only_a_final_answer_is_one() {
        let mut observed = Observed::new(0, Ok(()));
        observed.answered(StatusCode::OK);
        observed.answered(StatusCode::from_u16(103).unwrap());
        assert_eq!(observed.answer, Some(StatusCode::OK));
    }

    #[test]
    fn a_kind_of_difference_is_told_a_few_times_a_minute_and_then_how_often_it_was_not() {
        let start = Instant::now();
        let mut told = Told::default();
        let at = |told: &mut Told, seconds| told.turn(start + Duration::from_secs(seconds));
        assert!((0..5).all(|second| at(&mut told, second) == Some(0)));
        assert!((5..60).all(|second| at(&mut told, second).is_none()));
        assert_eq!(at(&mut told, 60), Some(55));
        assert!((61..65).all(|second| at(&mut told, second) == Some(0)));
        assert_eq!(at(&mut told, 65), None);
        assert_eq!(at(&mut told, 600), Some(1));
    }
}
