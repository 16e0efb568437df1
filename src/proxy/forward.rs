//! The request as the upstream gets it. Everything here is written in `upstream_request_filter`, after pingora
//! has removed what the client's `Connection` nominates, so that no client can delete what we say.

use http::{HeaderName, HeaderValue, Uri, header, uri::PathAndQuery};
use pingora::{ErrorType, OrErr, Result, http::RequestHeader};

use super::RequestContext;
use crate::{
    authn::Principal,
    hygiene::Clean,
    route::{Mode, Route},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// `X-Request-Id`, on upstream requests and on every answer.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Writes what `ctx` decided into an upstream request. Identity comes last: nothing overwrites it.
pub fn write(request: &mut RequestHeader, ctx: &RequestContext, clean: &Clean, route: &Route) -> Result<()> {
    strip_prefix(request, clean, route)?;
    if !route.passes_bearer() && carries_bearer(request) {
        request.remove_header(&header::AUTHORIZATION);
    }
    if let Some(host) = &ctx.upstream_host {
        request.insert_header(header::HOST, host)?;
    }
    request.insert_header(X_FORWARDED_FOR, clean.forwarded_for.as_str())?;
    request.insert_header(X_FORWARDED_PROTO, HeaderValue::from_static(clean.scheme))?;
    request.insert_header(X_FORWARDED_HOST, clean.forwarded_host())?;
    request.insert_header(X_REQUEST_ID, &*ctx.request_id)?;
    request.insert_header(TRACEPARENT, &clean.traceparent)?;
    for (name, value) in &route.set_headers {
        request.insert_header(name, value)?;
    }
    // Where we refuse nobody, our word stands for nothing.
    if route.mode == Mode::Enforce
        && let Some(principal) = ctx.principal.as_deref()
    {
        identify(request, principal)?;
    }
    Ok(())
}

fn identify(request: &mut RequestHeader, principal: &Principal) -> Result<()> {
    principal.headers.iter().try_for_each(|(name, value)| request.insert_header(name, value))
}

fn strip_prefix(request: &mut RequestHeader, clean: &Clean, route: &Route) -> Result<()> {
    if route.strip_prefix.is_none() {
        return Ok(());
    }
    let mut target = route.upstream_path(&clean.path).to_owned();
    if let Some(query) = &clean.query {
        target.push('?');
        target.push_str(query);
    }
    let target = PathAndQuery::try_from(target).or_err(ErrorType::InternalError, "a stripped path")?;
    request.set_uri(Uri::from(target));
    Ok(())
}

fn carries_bearer(request: &RequestHeader) -> bool {
    request
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().trim_ascii_start().get(..6))
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
}
