//! The request as the upstream gets it. Everything here is written in `upstream_request_filter`, after pingora
//! has removed what the client's `Connection` nominates, so that no client can delete what we say.

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::PathAndQuery};
use pingora::{ErrorType, OrErr, Result, http::RequestHeader};

use super::RequestContext;
use crate::{
    hygiene::{self, Clean},
    route::{Mode, Route},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// `X-Request-Id`, on upstream requests and on every answer.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// As many headers as are usually written: room for them is made at once.
const USUALLY_WRITTEN: usize = 12;

/// Writes what `ctx` decided into an upstream request. Identity comes last: nothing overwrites it.
pub fn write(request: &mut RequestHeader, ctx: &RequestContext, clean: &Clean, route: &Route) -> Result<()> {
    strip_prefix(request, clean, route)?;
    hygiene::change(request, |headers| {
        headers.try_reserve(USUALLY_WRITTEN).or_err(ErrorType::InvalidHTTPHeader, "too many headers")?;
        if !route.passes_bearer() && carries_bearer(headers) {
            headers.remove(header::AUTHORIZATION);
        }
        if let Some(host) = &ctx.upstream_host {
            headers.insert(header::HOST, host.clone());
        }
        headers.insert(X_FORWARDED_FOR, value(&clean.forwarded_for)?);
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(clean.scheme));
        headers.insert(X_FORWARDED_HOST, value(clean.forwarded_host())?);
        headers.insert(X_REQUEST_ID, value(&ctx.request_id)?);
        headers.insert(TRACEPARENT, clean.traceparent.clone());
        for (name, value) in &route.set_headers {
            headers.insert(name, value.clone());
        }
        // Where we refuse nobody, our word stands for nothing.
        if route.mode == Mode::Enforce
            && let Some(principal) = ctx.principal.as_deref()
        {
            for (name, value) in principal.headers.iter() {
                headers.insert(name, value);
            }
        }
        Ok(())
    })
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).or_err(ErrorType::InvalidHTTPHeader, "a value that we write")
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

fn carries_bearer(headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().trim_ascii_start().get(..6))
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
}
