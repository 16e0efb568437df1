//! Proxied traffic. [`Gateway::admit`] is the life of a request up to its upstream: it calls the modules of the
//! request path in order. `phases` has what pingora asks for before and after.

mod answer;
mod body;
pub mod bridge;
mod context;
mod failure;
mod forward;
pub mod observe;
mod phases;
mod relay;
pub mod unread;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use pingora::{
    Result,
    apps::HttpServerOptions,
    http::ResponseHeader,
    proxy::{HttpProxy, Session, http_proxy},
    server::configuration::ServerConf,
};

use self::observe::{Observed, Observer};
pub use self::{answer::Answer, context::RequestContext};
use crate::{
    api::Caller,
    authn::{Authenticator, Outcome, Principal, Rejection},
    cors::{self, Cors},
    hygiene,
    route::{self, Auth, Mode, NoRoute, Route, Routes},
    telemetry::{
        admin::Readiness,
        metrics::{Metrics, RouteMetrics, UpstreamMetrics},
    },
    upstream::Upstreams,
};

/// How long one of our own endpoints may take in all, request body and answer included.
const OWN_DEADLINE: Duration = Duration::from_secs(30);

/// Most bytes kept of a `User-Agent`.
const MAX_USER_AGENT: usize = 300;

/// What every request is judged by. Made once by the composition root.
pub struct Gateway {
    /// What hygiene goes by.
    pub hygiene: hygiene::Settings,
    /// Who may read answers from another origin.
    pub cors: Cors,
    /// Where requests go.
    pub routes: Routes,
    /// Who is calling.
    pub authenticator: Arc<Authenticator>,
    /// Who answers.
    pub upstreams: Arc<Upstreams>,
    /// Our own endpoints.
    pub api: axum::Router,
    /// What is made of routes that only observe.
    pub observer: Observer,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is counted of each route, in their order.
    pub route_metrics: Vec<Arc<RouteMetrics>>,
    /// What is counted of each upstream, in their order.
    pub upstream_metrics: Vec<UpstreamMetrics>,
    /// What is counted of our own endpoints together.
    pub own_metrics: Arc<RouteMetrics>,
    /// What is counted of requests that never got to a route.
    pub unrouted_metrics: Arc<RouteMetrics>,
    /// Longest request body, bytes.
    pub max_body: u64,
    /// Longest silence between two reads or writes of a body.
    pub idle_timeout: Duration,
    /// Whether connections are to be kept.
    pub readiness: Arc<Readiness>,
    /// Whether a proxy that sends `X-Forwarded-For` without being trusted has been warned of.
    pub disbelief_warned: AtomicBool,
}

/// Pingora's proxy, run by `gateway`.
pub fn proxy(gateway: Gateway) -> HttpProxy<Gateway> {
    let mut proxy = http_proxy(&Arc::new(ServerConf::default()), gateway);
    // Not that CONNECT would ever pass: pingora would refuse it by itself, hygiene does it as it does the others.
    let mut options = HttpServerOptions::default();
    options.allow_connect_method_proxying = true;
    proxy.server_options = Some(options);
    proxy
}

/// Where an admitted request goes.
enum Next {
    /// It was answered here.
    Answered,
    /// To the upstream of its route.
    Upstream,
}

impl Gateway {
    /// The life of a request, in order: hygiene, CORS preflights, own endpoints, route, authentication,
    /// authorisation, the announced size of its body. What is decided here is kept in `ctx`; the upstream's
    /// request is written from there. An `Err` is the answer that stands in for the upstream's; a route that
    /// observes keeps it to itself.
    async fn admit(&self, session: &mut Session, ctx: &mut RequestContext) -> Result<Next, Answer> {
        self.clean(session, ctx)?;
        let Some(clean) = &ctx.clean else { return Err(Answer::internal()) };
        let bodiless = session.is_body_empty();
        let request = session.req_header();
        let preflight_of = cors::requested_method(request);

        let own = self.routes.is_own(&clean.path);
        let selected = if own {
            Err(NoRoute::NotFound)
        } else {
            self.routes.select(&clean.host, &clean.path, preflight_of.as_ref().unwrap_or(&request.method))
        };
        let left_to_upstream = matches!(selected, Ok((_, route)) if route.passes_cors());
        if preflight_of.is_some() && self.cors.enabled() && !left_to_upstream {
            return self.preflight(session, ctx).await;
        }
        if own {
            return self.answer_own(session, ctx).await;
        }

        let (index, route) = selected?;
        ctx.metrics = self.route_metrics.get(index).cloned();
        // A preflight never carries credentials: a route that leaves CORS to its upstream leaves it these too. What
        // browsers would not send is none.
        if !(left_to_upstream && bodiless && cors::is_well_formed_preflight(request)) {
            let judged = self.judge(route, &request.headers, &mut ctx.principal);
            match route.mode {
                Mode::Enforce => judged?,
                Mode::Observe => ctx.observed = Some(Observed::new(index, judged)),
            }
        }
        body::announced(&request.headers, self.max_body)?;
        ctx.route = Some(Arc::clone(route));
        Ok(Next::Upstream)
    }

    /// Hygiene: the one reading of the request, or its refusal.
    fn clean(&self, session: &mut Session, ctx: &mut RequestContext) -> Result<(), Answer> {
        let peer = peer_of(session);
        let tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        let raw = session.as_http1().map(pingora::protocols::http::v1::server::HttpSession::get_headers_raw_bytes);
        let request = session.req_header_mut();
        ctx.origin = cors::only_origin(&request.headers).cloned();
        match hygiene::clean(&self.hygiene, peer, tls, raw.as_deref(), request) {
            Ok(clean) => {
                if clean.disbelieved && !self.disbelief_warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        %peer,
                        "a peer sends X-Forwarded-For and is not in server.trusted_proxies: if it is your own proxy, list it \
                         there; until then sources cannot be told apart, and whoever fails to sign in often enough keeps \
                         an account's owner out as well"
                    );
                }
                self.metrics.headers_dropped.inc_by(clean.dropped as u64);
                ctx.request_id = Arc::clone(&clean.request_id);
                ctx.clean = Some(clean);
                Ok(())
            }
            Err(refusal) => {
                self.metrics.refused.count(refusal.reason);
                ctx.request_id = hygiene::request_id(&self.hygiene, peer, session.req_header());
                let mut answer = Answer::from(refusal);
                if answer.status == StatusCode::METHOD_NOT_ALLOWED
                    && let Ok(allow) = HeaderValue::try_from(hygiene::method::allow(&self.hygiene))
                {
                    answer.headers.push((header::ALLOW, allow));
                }
                Err(answer)
            }
        }
    }

    /// Whether the route lets its caller in, whom it finds to be `principal`.
    fn judge(&self, route: &Route, headers: &HeaderMap, principal: &mut Option<Arc<Principal>>) -> Result<(), Answer> {
        *principal = self.authenticate(route, headers)?;
        authorise(route, principal.as_deref())
    }

    /// Who is calling, where the route asks.
    fn authenticate(&self, route: &Route, headers: &HeaderMap) -> Result<Option<Arc<Principal>>, Answer> {
        if route.auth == Auth::Public {
            return Ok(None);
        }
        let (outcome, found) = match self.authenticator.authenticate(headers) {
            Outcome::Authenticated(principal) => {
                self.metrics.authenticated.inc();
                return Ok(Some(principal));
            }
            Outcome::Anonymous if route.auth == Auth::Optional => ("anonymous", Ok(None)),
            Outcome::Anonymous => ("anonymous", Err(Rejection::NoCredentials.into())),
            Outcome::Rejected(rejection) => (rejection.reason(), Err(rejection.into())),
            Outcome::Unavailable(stale) => ("unavailable", Err(stale.into())),
        };
        self.metrics.authn.count(outcome);
        found
    }

    /// What is counted of the upstream that a request goes to.
    fn metrics_of_upstream(&self, ctx: &RequestContext) -> Option<&UpstreamMetrics> {
        self.upstream_metrics.get(ctx.route.as_deref()?.upstream)
    }

    /// `/api-auth/*` and our documents: an axum handler, in the same session.
    async fn answer_own(&self, session: &mut Session, ctx: &mut RequestContext) -> Result<Next, Answer> {
        ctx.metrics = Some(self.own_metrics.clone());
        body::announced(&session.req_header().headers, self.max_body)?;
        let mut extensions = Extensions::new();
        let source = ctx.clean.as_ref().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |clean| clean.source);
        let subject = Arc::clone(ctx.own_subject.insert(Arc::default()));
        extensions.insert(Caller {
            source,
            request_id: Arc::clone(&ctx.request_id),
            metrics: Arc::clone(&self.metrics),
            subject,
            user_agent: user_agent(&session.req_header().headers),
        });
        let decorate = |head: &mut ResponseHeader| self.decorate(head, ctx, false);
        let session = session.as_downstream_mut();
        match bridge::serve(self.api.clone(), session, extensions, OWN_DEADLINE, decorate).await {
            Err(error) if session.response_written().is_none() => Err(Answer::own_failed(&error)),
            // What was begun cannot be taken back; the bridge closed the connection.
            Err(_) => {
                ctx.reason = Some("answer_cut");
                Ok(Next::Answered)
            }
            Ok(()) => Ok(Next::Answered),
        }
    }

    /// The answer to a preflight.
    async fn preflight(&self, session: &mut Session, ctx: &mut RequestContext) -> Result<Next, Answer> {
        ctx.reason = Some("preflight");
        let answer = self.cors.preflight(session.req_header()).ok().flatten().ok_or_else(Answer::internal)?;
        let mut head = Box::new(answer);
        request_id_header(&mut head, &ctx.request_id);
        // A client that is gone by now has had its answer.
        let _ = session.write_response_header(head, true).await;
        Ok(Next::Answered)
    }

    /// What every answer carries: leave for scripts of allowed origins to read it, and its request id.
    fn decorate(&self, head: &mut ResponseHeader, ctx: &RequestContext, replace_cors: bool) {
        // Neither fails for values that were header values before.
        let _ = self.cors.decorate(ctx.origin.as_ref(), head, replace_cors);
        request_id_header(head, &ctx.request_id);
    }

    /// Answers in the upstream's stead.
    async fn answer(&self, session: &mut Session, ctx: &mut RequestContext, answer: &Answer) {
        ctx.reason = Some(answer.reason);
        let decorate = |head: &mut ResponseHeader| self.decorate(head, ctx, false);
        if answer.write(session.as_downstream_mut(), &ctx.request_id, decorate).await.is_err() {
            session.set_keepalive(None);
        }
    }
}

fn authorise(route: &Route, principal: Option<&Principal>) -> Result<(), Answer> {
    match principal {
        Some(principal) if !route.require.allows(principal) => Err(Answer::forbidden()),
        None if route.require != route::Require::default() => Err(Rejection::NoCredentials.into()),
        _ => Ok(()),
    }
}

fn peer_of(session: &Session) -> IpAddr {
    let address = session.client_addr().and_then(|address| address.as_inet());
    address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), std::net::SocketAddr::ip)
}

/// What the client calls itself, cut to what is worth keeping; nothing when it is not visible ASCII.
fn user_agent(headers: &HeaderMap) -> Arc<str> {
    let text = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.get(..MAX_USER_AGENT).unwrap_or(text).into()
}

fn request_id_header(head: &mut ResponseHeader, id: &str) {
    let _ = head.insert_header(forward::X_REQUEST_ID, id);
}
