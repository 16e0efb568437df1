//! An axum router as the whole app of a listener.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::Router;
use http::Extensions;
use pingora::{
    ErrorType,
    apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream},
    protocols::http::ServerSession,
    server::ShutdownWatch,
};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::debug;

use crate::proxy::bridge;

/// Answers every request with one router: for the admin listener and the built-in upstream.
pub struct RouterApp {
    router: Router,
    deadline: Duration,
}

impl RouterApp {
    /// `deadline` bounds one request, body and response included. A handler that panics is answered 500.
    pub fn new(router: Router, deadline: Duration) -> Self {
        Self { router: router.layer(CatchPanicLayer::new()), deadline }
    }
}

#[async_trait]
impl HttpServerApp for RouterApp {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        match session.read_request().await {
            // The request is ours to answer from here on.
            Ok(true) => drop(session.take_connection_user_context()),
            Ok(false) => return None,
            Err(error) => {
                if matches!(error.etype(), ErrorType::InvalidHTTPHeader) {
                    let _ = session.respond_error(400).await;
                }
                session.shutdown().await;
                return None;
            }
        }
        if *shutdown.borrow() {
            session.set_keepalive(None);
        }
        let answered = bridge::serve(self.router.clone(), &mut session, Extensions::new(), self.deadline, |_| {}).await;
        if let Err(error) = answered {
            debug!(%error, "a request came to no end");
            if let (ErrorType::HTTPStatus(status), None) = (error.etype(), session.response_written()) {
                let _ = session.respond_error(*status).await;
            }
            session.shutdown().await;
            return None;
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let reusable = session.finish().await.ok().flatten()?;
        Some(ReusedHttpStream::from_reusable_stream(reusable, settings))
    }
}
