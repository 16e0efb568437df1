//! What is known of one request, from its head to its log line.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Instant,
};

use http::HeaderValue;
use pingora::ErrorType;

use super::{Answer, body::BodyGauge, observe::Observed};
use crate::{
    authn::Principal,
    hygiene::Clean,
    model::AccountId,
    route::Route,
    telemetry::metrics::{Held, RouteMetrics},
};

/// One request on its way. Filled in the order of the request path; what is `None` was not reached.
pub struct RequestContext {
    /// When its head had been read.
    pub started: Instant,
    /// Counts it as in flight while it lives.
    pub in_flight: Held,
    /// `X-Request-Id` of the answer and the log line, of the upstream request too.
    pub request_id: Arc<str>,
    /// Its one reading, once hygiene let it pass.
    pub clean: Option<Clean>,
    /// `Origin`, for the CORS headers of the answer.
    pub origin: Option<HeaderValue>,
    /// What it is counted under, once it is known where it goes.
    pub metrics: Option<Arc<RouteMetrics>>,
    /// Its route, once the caller may take it.
    pub route: Option<Arc<Route>>,
    /// Its caller, when known.
    pub principal: Option<Arc<Principal>>,
    /// What is to be compared, on a route that observes.
    pub observed: Option<Observed>,
    /// The caller of one of our own endpoints, which judge for themselves.
    pub own_subject: Option<Arc<OnceLock<AccountId>>>,
    /// The `Host` of the upstream's own, when it wants one.
    pub upstream_host: Option<HeaderValue>,
    /// Servers this request was sent to, or could not be.
    pub tried: Vec<SocketAddr>,
    /// Tries after the first.
    pub retries: usize,
    /// Why the last server could not be connected to.
    pub connect_error: Option<ErrorType>,
    /// When its head began to be sent to the upstream, until the upstream's answer begins.
    pub sent: Option<Instant>,
    /// Its body so far.
    pub body: BodyGauge,
    /// Refused after it was on its way: what [`fail_to_proxy`](super::Gateway) answers.
    pub refused: Option<Answer>,
    /// Why we answered ourselves, when we did.
    pub reason: Option<&'static str>,
}

impl RequestContext {
    /// A request whose head has just been read.
    pub fn new(in_flight: Held) -> Self {
        Self {
            started: Instant::now(),
            in_flight,
            request_id: Arc::default(),
            clean: None,
            origin: None,
            metrics: None,
            route: None,
            principal: None,
            observed: None,
            own_subject: None,
            upstream_host: None,
            tried: Vec::new(),
            retries: 0,
            connect_error: None,
            sent: None,
            body: BodyGauge::default(),
            refused: None,
            reason: None,
        }
    }
}
