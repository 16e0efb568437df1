//! Pingora's phases, in the order in which it calls them: a few lines each. What is decided, [`Gateway::admit`]
//! decides.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode, Version};
use pingora::{
    Error, ErrorSource, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    proxy::{FailToProxy, ProxyHttp, Session},
    upstreams::peer::HttpPeer,
};

use super::{
    Gateway, Next, context::RequestContext, failure, forward, observe::Which, peer_of, relay, request_id_header,
};
use crate::{
    route::USUAL_METHODS,
    telemetry::{self, Access, metrics::RouteMetrics},
};

/// Further tries after the first: other servers that could not be connected to, or a kept connection that had
/// died.
const MAX_RETRIES: usize = 2;

/// How long the rest of a request body that nobody wants may take to be read away.
const DRAIN_TIME: Duration = Duration::from_secs(5);

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = RequestContext;

    fn new_ctx(&self) -> RequestContext {
        RequestContext::new(self.metrics.request_started())
    }

    /// None: each would cost every request.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    /// The listener bounds heads and idleness; these bound what comes after a head.
    async fn early_request_filter(&self, session: &mut Session, _: &mut RequestContext) -> Result<()> {
        session.set_read_timeout(Some(self.idle_timeout));
        session.set_write_timeout(Some(self.idle_timeout));
        session.set_total_drain_timeout(Some(DRAIN_TIME));
        // A client that has said all it had to say, and closed its side, still waits for its answer.
        session.set_abort_on_close(false);
        // HTTP/1.0 has no interim answers (RFC 9110 section 15.2).
        let http10 = session.req_header().version == Version::HTTP_10;
        session.set_ignore_info_resp(http10);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut RequestContext) -> Result<bool> {
        match self.admit(session, ctx).await {
            Ok(Next::Upstream) => Ok(false),
            Ok(Next::Answered) => Ok(true),
            Err(answer) => {
                self.answer(session, ctx, &answer).await;
                Ok(true)
            }
        }
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        // An HTTP/2 body may end in an empty frame. As a chunk it would end the body by itself, and the end that
        // pingora writes after it would be read as the start of the next request on that connection.
        body.take_if(|body| end && body.is_empty());
        if end {
            ctx.body.end();
        }
        let bytes = body.as_ref().map_or(0, Bytes::len);
        ctx.body.take(bytes, self.max_body, Instant::now()).map_err(|answer| {
            let error = Error::new_down(ErrorType::HTTPStatus(answer.status.as_u16()));
            ctx.refused = Some(answer);
            error
        })
    }

    async fn upstream_peer(&self, _: &mut Session, ctx: &mut RequestContext) -> Result<Box<HttpPeer>> {
        let selected = ctx
            .route
            .as_deref()
            .and_then(|route| self.upstreams.select(route.upstream, &route.timeouts, &mut ctx.tried));
        match selected {
            Some(selected) => {
                ctx.upstream_host = selected.host;
                Ok(selected.peer)
            }
            None => Err(Error::new_up(ctx.connect_error.take().unwrap_or(ErrorType::ConnectNoRoute))),
        }
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        ctx: &mut RequestContext,
        mut error: Box<Error>,
    ) -> Box<Error> {
        ctx.connect_error = Some(error.etype().clone());
        error.set_retry(ctx.retries < MAX_RETRIES);
        ctx.retries += 1;
        error
    }

    /// Once bytes were sent, only what changes nothing is sent again, and only where a kept connection turned
    /// out to be dead; the same server may then have it.
    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut RequestContext,
        client_reused: bool,
    ) -> Box<Error> {
        let safe = matches!(session.req_header().method, Method::GET | Method::HEAD | Method::OPTIONS);
        if safe && client_reused && ctx.retries < MAX_RETRIES && !session.as_ref().retry_buffer_truncated() {
            error.retry.decide_reuse(true);
        } else {
            error.set_retry(false);
        }
        if error.retry() {
            ctx.retries += 1;
            ctx.tried.pop();
        }
        error
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let (Some(clean), Some(route)) = (&ctx.clean, &ctx.route) else {
            return Error::e_explain(ErrorType::InternalError, "a request without a route");
        };
        let written = forward::write(request, ctx, clean, route);
        ctx.sent = Some(Instant::now());
        written
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        if self.readiness.is_draining() {
            session.set_keepalive(None);
        }
        relay::clean(session, response)?;
        if let Some(observed) = &mut ctx.observed {
            observed.answered(response.status);
        }
        if let Some(sent) = ctx.sent.take_if(|_| !response.status.is_informational())
            && let Some(metrics) = self.metrics_of_upstream(ctx)
        {
            metrics.times.observe(sent.elapsed());
        }
        match &ctx.route {
            _ if response.status.is_informational() => {}
            Some(route) if route.passes_cors() => request_id_header(response, &ctx.request_id),
            _ => self.decorate(response, ctx, true),
        }
        Ok(())
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut RequestContext) -> FailToProxy {
        let answer = ctx.refused.take().or_else(|| failure::answer(error, &ctx.body));
        let error_code = answer.as_ref().map_or(0, |answer| answer.status.as_u16());
        if let Some(answer) = answer {
            if answer.status.is_server_error() {
                failure::log(error, ctx, &self.upstreams);
                if *error.esource() == ErrorSource::Upstream
                    && let Some(metrics) = self.metrics_of_upstream(ctx)
                {
                    metrics.failures.count(answer.reason);
                }
            }
            if session.response_written().is_none() {
                self.answer(session, ctx, &answer.closing()).await;
            } else {
                ctx.reason = Some(answer.reason);
            }
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    /// One line and one count per request.
    async fn logging(&self, session: &mut Session, _: Option<&Error>, ctx: &mut RequestContext) {
        let request = session.req_header();
        let status = session.response_written().map(|head| head.status);
        let took = ctx.started.elapsed();
        ctx.metrics.as_ref().unwrap_or(&self.unrouted_metrics).answered(&request.method, status, took);
        if let (Some(observed), Some(clean), Some(route)) = (&ctx.observed, &ctx.clean, &ctx.route) {
            let method = request.method.as_str();
            let which = Which { request_id: &ctx.request_id, method, path: &clean.path, route: &route.name };
            self.observer.compare(observed, &which, Instant::now());
        }
        telemetry::access(&Access {
            request_id: &ctx.request_id,
            method: told_method(&request.method, ctx),
            path: ctx.clean.as_ref().map_or("-", |clean| &clean.path),
            route: ctx.metrics.as_deref().map(RouteMetrics::name),
            upstream: ctx.route.as_deref().map(|route| self.upstreams.name(route.upstream)),
            status: status.as_ref().map_or(0, StatusCode::as_u16),
            duration: took,
            sub: match &ctx.principal {
                Some(principal) => Some(principal.subject),
                None => ctx.own_subject.as_ref().and_then(|subject| subject.get().copied()),
            },
            source: ctx.clean.as_ref().map_or_else(|| peer_of(session), |clean| clean.source),
            bytes: session.body_bytes_sent() as u64,
            reason: ctx.reason,
        });
    }

    /// Pingora's own lines quote clients and upstreams; [`failure::log`] says what an operator needs.
    fn suppress_error_log(&self, _: &Session, _: &RequestContext, _: &Error) -> bool {
        true
    }

    /// Without the query, which may hold secrets.
    fn request_summary(&self, session: &Session, ctx: &RequestContext) -> String {
        format!("{} {}", told_method(&session.req_header().method, ctx), ctx.request_id)
    }
}

/// The method as lines have it: one that is not served is a word of the client's own, and may be what came behind a body
/// that was longer than it said.
fn told_method<'m>(method: &'m Method, ctx: &RequestContext) -> &'m str {
    if ctx.clean.is_some() || USUAL_METHODS.contains(method) { method.as_str() } else { "-" }
}
