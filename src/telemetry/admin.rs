//! The admin listener: `/livez`, `/readyz`, `/metrics`. Meant for the machines that look after Passgate, never
//! for clients.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::future::BoxFuture;
use http::{StatusCode, header};
use serde_json::json;

use super::metrics::{CONTENT_TYPE, Metrics};
use crate::model::Health;

/// A store that takes longer than this to say anything is out of reach.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// How far the process is: starting, ready, draining, in this order and never back.
#[derive(Debug, Default)]
pub struct Readiness(AtomicU8);

impl Readiness {
    const STARTING: u8 = 0;
    const READY: u8 = 1;
    const DRAINING: u8 = 2;

    /// Everything is there to serve with.
    pub fn ready(&self) {
        self.0.fetch_max(Self::READY, Ordering::Release);
    }

    /// No new connections are wanted.
    pub fn drain(&self) {
        self.0.fetch_max(Self::DRAINING, Ordering::Release);
    }

    /// Whether it has come to that.
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::DRAINING
    }

    fn status(&self) -> (StatusCode, &'static str) {
        match self.0.load(Ordering::Acquire) {
            Self::STARTING => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
            Self::READY => (StatusCode::OK, "ready"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        }
    }
}

struct Admin {
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    ping: Ping,
    sample: Box<dyn Fn(&Metrics) + Send + Sync>,
}

/// Asks the store how it is.
type Ping = Box<dyn Fn() -> BoxFuture<'static, Health> + Send + Sync>;

/// The router of the admin listener. `ping` asks the store how it is, and is given a second; `sample` sets what is
/// known only when asked for, each time the figures are read.
pub fn router<P, F, E>(
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    ping: P,
    sample: impl Fn(&Metrics) + Send + Sync + 'static,
) -> Router
where
    P: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<Health, E>> + Send + 'static,
    E: fmt::Display,
{
    routes(Admin { metrics, readiness, ping: patiently(ping, STORE_PATIENCE), sample: Box::new(sample) })
}

/// How the store is, as far as it says so in time.
fn patiently<P, F, E>(ping: P, patience: Duration) -> Ping
where
    P: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<Health, E>> + Send + 'static,
    E: fmt::Display,
{
    Box::new(move || {
        let answer = tokio::time::timeout(patience, ping());
        Box::pin(async move {
            match answer.await {
                Ok(Ok(health)) => health,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the store does not answer");
                    Health::Unreachable
                }
                Err(_) => Health::Unreachable,
            }
        })
    })
}

fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(async || Json(json!({ "status": "live" }))))
        .route("/readyz", get(readyz))
        .route("/metrics", get(figures))
        .with_state(Arc::new(admin))
}

impl Admin {
    async fn store(&self) -> Health {
        let health = (self.ping)().await;
        self.metrics.store.set(health);
        health
    }
}

/// 503 only before start-up is complete and while draining. A store outage is told, but stays 200 unless
/// `?strict=1`: taking every node out of rotation would turn an outage of sign-in into one of everything.
async fn readyz(State(admin): State<Arc<Admin>>, RawQuery(query): RawQuery) -> Response {
    let (mut code, status) = admin.readiness.status();
    let store = admin.store().await;
    let strict = query.is_some_and(|query| query.split('&').any(|pair| pair == "strict=1"));
    if strict && store != Health::Reachable {
        code = StatusCode::SERVICE_UNAVAILABLE;
    }
    (code, Json(json!({ "status": status, "store": store.word() }))).into_response()
}

async fn figures(State(admin): State<Arc<Admin>>) -> Response {
    admin.store().await;
    // Where thousands of descriptors are open, counting them takes a while, for which no request is to wait.
    let rendering = tokio::task::spawn_blocking(move || {
        (admin.sample)(&admin.metrics);
        admin.metrics.render()
    });
    let error: Box<dyn std::error::Error + Send + Sync> = match rendering.await {
        Ok(Ok(text)) => return ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Ok(Err(error)) => error.into(),
        Err(error) => error.into(),
    };
    tracing::error!(error, "the metrics cannot be rendered");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, pending, ready};

    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn get(router: &Router, path: &str) -> (StatusCode, String) {
        let answer = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn with_store(
        ping: impl Fn() -> Ready<Result<Health, &'static str>> + Send + Sync + 'static,
    ) -> (Arc<Readiness>, Router) {
        let readiness = Arc::new(Readiness::default());
        let sample = |metrics: &Metrics| metrics.hashes_waiting.set(5);
        let router = router(Arc::new(Metrics::new()), Arc::clone(&readiness), ping, sample);
        (readiness, router)
    }

    #[tokio::test]
    async fn a_process_is_ready_after_its_start_and_until_it_drains() {
        let (readiness, router) = with_store(|| ready(Ok(Health::Reachable)));
        let (status, body) = get(&router, "/readyz").await;
        assert_eq!((status.as_u16(), &*body), (503, r#"{"status":"starting","store":"reachable"}"#));
        readiness.ready();
        let (status, body) = get(&router, "/readyz?strict=1").await;
        assert_eq!((status.as_u16(), &*body), (200, r#"{"status":"ready","store":"reachable"}"#));
        readiness.drain();
        readiness.ready();
        let (status, body) = get(&router, "/readyz").await;
        assert_eq!((status.as_u16(), &*body), (503, r#"{"status":"draining","store":"reachable"}"#));
        assert_eq!(get(&router, "/livez").await.0, 200, "it drains, but it lives");
    }

    #[tokio::test]
    async fn a_store_outage_is_told_but_takes_no_node_out_of_rotation_unless_asked_strictly() {
        for (answer, told) in [(Ok(Health::ReadOnly), "read-only"), (Err("no route to it"), "unreachable")] {
            let (readiness, router) = with_store(move || ready(answer));
            readiness.ready();
            let (status, body) = get(&router, "/readyz").await;
            assert_eq!((status.as_u16(), body), (200, format!(r#"{{"status":"ready","store":"{told}"}}"#)));
            assert_eq!(get(&router, "/readyz?strict=1").await.0, 503);
            assert_eq!(get(&router, "/readyz?strict=0").await.0, 200);
            let figures = get(&router, "/metrics").await.1;
            for line in ["passgate_store_up 0", &format!(r#"passgate_store_state{{state="{told}"}} 1"#)] {
                assert!(figures.lines().any(|have| have == line), "{line} is missing of\n{figures}");
            }
        }
    }

    #[tokio::test]
    async fn a_store_that_hangs_is_out_of_reach() {
        let ping = patiently(pending::<Result<Health, String>>, Duration::from_millis(1));
        assert_eq!(ping().await, Health::Unreachable);
    }

    #[tokio::test]
    async fn the_figures_say_what_is_so_now() {
        let (_, router) = with_store(|| ready(Ok(Health::Reachable)));
        let (status, text) = get(&router, "/metrics").await;
        assert_eq!(status, 200);
        for figure in ["passgate_store_up 1", "passgate_hashes_waiting 5"] {
            assert!(text.lines().any(|line| line == figure), "{figure} is missing of\n{text}");
        }
        assert_eq!(get(&router, "/").await.0, 404);
    }
}
