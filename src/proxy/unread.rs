//! Requests that could not be read: the listener refuses them before any phase of ours, and they are counted and
//! logged like the others.

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::Method;
use uuid::Uuid;

use crate::{
    hygiene::Refusal,
    telemetry::{
        self, Access,
        metrics::{Metrics, RouteMetrics},
    },
};

/// What the listener is to tell of them: the peer and the refusal, for the id of the request.
pub fn recorder(
    metrics: Arc<Metrics>,
    unrouted: Arc<RouteMetrics>,
) -> impl Fn(IpAddr, &Refusal) -> String + Send + Sync {
    // Counted among the methods that have no name of their own.
    let method = Method::from_bytes(b"-").unwrap_or_default();
    move |peer, refusal| {
        let request_id = Uuid::now_v7().simple().to_string();
        metrics.refused.count(refusal.reason);
        unrouted.answered(&method, Some(refusal.status), Duration::ZERO);
        telemetry::access(&Access {
            request_id: &request_id,
            method: method.as_str(),
            path: "-",
            route: None,
            upstream: None,
            status: refusal.status.as_u16(),
            duration: Duration::ZERO,
            sub: None,
            source: peer,
            bytes: 0,
            reason: Some(refusal.reason),
        });
        request_id
    }
}
