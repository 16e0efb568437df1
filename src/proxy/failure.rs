//! What pingora could not do, as an answer and as a log line.

use std::borrow::Cow;

use http::StatusCode;
use pingora::{Error, ErrorSource, ErrorType};

use super::{Answer, RequestContext, body::BodyGauge};
use crate::{route::NoRoute, upstream::Upstreams};

/// The answer to a request that failed on its way; `None` when the client is gone. An upstream that is silent while
/// the `body` is awaited waits like us: HTTP/2 bodies have no time-out of their own.
pub fn answer(error: &Error, body: &BodyGauge) -> Option<Answer> {
    use ErrorType as E;
    let timed_out =
        matches!(error.etype(), E::ConnectTimedout | E::TLSHandshakeTimedout | E::ReadTimedout | E::WriteTimedout);
    let awaited = Answer::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "The request body did not arrive.");
    Some(match error.esource() {
        ErrorSource::Upstream if *error.etype() == E::ReadTimedout && body.is_awaited() => awaited,
        ErrorSource::Upstream if timed_out => {
            Answer::new(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "The upstream did not answer in time.")
        }
        ErrorSource::Upstream => {
            Answer::new(StatusCode::BAD_GATEWAY, "upstream_failed", "The upstream could not be reached, or broke off.")
        }
        ErrorSource::Downstream => match error.etype() {
            E::ReadTimedout => awaited,
            E::ReadError | E::WriteError | E::WriteTimedout | E::ConnectionClosed => return None,
            _ => Answer::new(StatusCode::BAD_REQUEST, "malformed", "The request is malformed."),
        },
        ErrorSource::Internal | ErrorSource::Unset => Answer::internal(),
    })
}

/// Tells an operator which upstream fails, and how. Never pingora's own text: it quotes what was received.
pub fn log(error: &Error, ctx: &RequestContext, upstreams: &Upstreams) {
    if *error.esource() == ErrorSource::Upstream {
        tracing::warn!(
            request_id = &*ctx.request_id,
            upstream = ctx.route.as_deref().map(|route| upstreams.name(route.upstream)),
            server = ctx.tried.last().map(tracing::field::display),
            error = error.root_etype().as_str(),
            retries = ctx.retries,
            "an upstream failed"
        );
    }
}

impl Answer {
    /// 500: a bug of ours.
    pub const fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "An unexpected error occurred.").closing()
    }

    /// 403.
    pub const fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "You do not have permission to perform this action.")
    }

    /// 400: the upstream may read the path as another one.
    pub const fn ambiguous() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "path_ambiguous",
            "The path can be read in two ways that ask for different permissions. Send it in its plain spelling.",
        )
    }

    /// One of our own endpoints did not come to an answer.
    pub fn own_failed(error: &Error) -> Self {
        match error.etype() {
            ErrorType::HTTPStatus(408) => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "The request body did not arrive in time.")
                    .closing()
            }
            ErrorType::HTTPStatus(503) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "own_timeout", "Try again in a moment.").closing()
            }
            _ => Self { detail: Some(Cow::Borrowed("An unexpected error occurred.")), ..Self::internal() },
        }
    }
}

impl From<NoRoute> for Answer {
    fn from(none: NoRoute) -> Self {
        match none {
            NoRoute::NotFound => Self::new(StatusCode::NOT_FOUND, "no_route", "Not found."),
            NoRoute::Ambiguous => Self::ambiguous(),
        }
    }
}
