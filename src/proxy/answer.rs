//! Answers of our own on proxied traffic: small JSON with fixed texts.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::{Result, http::ResponseHeader, protocols::http::ServerSession};

use crate::{api, authn::Rejection, change_log::Stale, hygiene::Refusal};

/// An answer that stands in for the upstream's.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// For logs and metrics: a fixed short word.
    pub reason: &'static str,
    /// For the client; `None` makes an empty body.
    pub detail: Option<Cow<'static, str>>,
    /// Close the connection: where the next request begins is in doubt.
    pub close: bool,
    /// Beside the usual ones.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    /// An answer with a text for the client.
    pub const fn new(status: StatusCode, reason: &'static str, detail: &'static str) -> Self {
        Self { status, reason, detail: Some(Cow::Borrowed(detail)), close: false, headers: Vec::new() }
    }

    /// The same, closing the connection.
    #[must_use]
    pub const fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// Writes it. The 401 keeps the exact shape that clients of the contract know; every other tells the
    /// request id in its body as well, since people paste bodies into bug reports.
    pub async fn write(
        &self,
        session: &mut ServerSession,
        request_id: &str,
        decorate: impl FnOnce(&mut ResponseHeader) + Send,
    ) -> Result<()> {
        let body = self.detail.as_deref().map_or_else(Bytes::new, |detail| {
            let json = if self.status == StatusCode::UNAUTHORIZED {
                serde_json::json!({ "detail": detail })
            } else {
                serde_json::json!({ "detail": detail, "request_id": request_id })
            };
            Bytes::from(json.to_string())
        });
        let mut head = ResponseHeader::build(self.status, Some(6 + self.headers.len()))?;
        if !body.is_empty() {
            head.insert_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))?;
        }
        head.insert_header(header::CONTENT_LENGTH, body.len())?;
        head.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
        for (name, value) in &self.headers {
            head.insert_header(name, value)?;
        }
        decorate(&mut head);
        if self.close {
            session.set_keepalive(None);
        }
        session.write_response_header(Box::new(head)).await?;
        // On HTTP/1 it would be suppressed below us, on HTTP/2 it would not.
        let body = if session.req_header().method == Method::HEAD { Bytes::new() } else { body };
        session.write_response_body(body, true).await
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self { close: refusal.close, ..Self::new(refusal.status, refusal.reason, refusal.detail) }
    }
}

impl From<Rejection> for Answer {
    fn from(rejection: Rejection) -> Self {
        Self {
            headers: vec![(header::WWW_AUTHENTICATE, rejection.challenge())],
            ..Self::new(StatusCode::UNAUTHORIZED, rejection.reason(), rejection.detail())
        }
    }
}

impl From<Stale> for Answer {
    fn from(_: Stale) -> Self {
        Self {
            headers: vec![(header::RETRY_AFTER, api::retry_after())],
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again in a moment.")
        }
    }
}
