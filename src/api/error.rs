//! The one place where what went wrong becomes an answer. Clients tell the shapes apart by their keys:
//! field lists, OAuth's `error`, the framework's `detail`; what is HTML in the contract is a `detail` here.

use std::{
    any::Any,
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use utoipa::ToSchema;

use crate::{
    authn::Rejection, change_log::Stale, oauth, password::Busy, store::StoreError, throttle::Throttled,
    token::keys::OpenError,
};

/// Why a request is not answered as its sender hoped.
#[derive(Debug)]
pub(super) enum Error {
    /// 400, every wrong field with its texts.
    Fields(Vec<(&'static str, String)>),
    /// RFC 6749 section 5.2.
    OAuth(oauth::Error),
    /// 400 in the same shape, with a code and a text of the contract that no RFC has here.
    Denied(Code, Cow<'static, str>),
    /// 503 in the same shape: more of a provider's tokens are being checked than we wait for.
    ProviderBusy,
    /// 401 with a challenge (RFC 6750 section 3).
    Unauthorized(Rejection),
    /// Any other refusal.
    Detail(StatusCode, Cow<'static, str>),
    /// 413: a body beyond the limit.
    TooLarge,
    /// 429, where the OAuth shape is not spoken.
    Throttled(Throttled),
    /// 503, where the OAuth shape is not spoken.
    Unavailable(Outage),
}

/// Why nothing can be said for now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Outage {
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See [`Busy`].
    #[error(transparent)]
    Busy(#[from] Busy),
    /// See [`Stale`].
    #[error(transparent)]
    Stale(#[from] Stale),
}

impl Error {
    /// A refusal in the framework's shape.
    pub(super) fn detail(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self::Detail(status, text.into())
    }

    /// One wrong field.
    pub(super) fn field(name: &'static str, text: impl Into<String>) -> Self {
        Self::Fields(vec![(name, text.into())])
    }

    /// 400 in the OAuth shape.
    pub(super) fn denied(code: Code, description: impl Into<Cow<'static, str>>) -> Self {
        Self::Denied(code, description.into())
    }

    /// 400 in the framework's shape.
    pub(super) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::detail(StatusCode::BAD_REQUEST, text)
    }
}

impl From<oauth::Error> for Error {
    fn from(error: oauth::Error) -> Self {
        Self::OAuth(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<Stale> for Error {
    fn from(stale: Stale) -> Self {
        Self::Unavailable(stale.into())
    }
}

impl From<Throttled> for Error {
    fn from(throttled: Throttled) -> Self {
        Self::Throttled(throttled)
    }
}

impl From<Busy> for Error {
    fn from(busy: Busy) -> Self {
        Self::Unavailable(busy.into())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Fields(fields) => (StatusCode::BAD_REQUEST, Json(FieldLists(&fields))).into_response(),
            Self::OAuth(error) => oauth_error(&error),
            Self::Denied(code, description) => {
                let body = OAuthError { error: code, error_description: Some(description) };
                (StatusCode::BAD_REQUEST, Json(body)).into_response()
            }
            Self::ProviderBusy => {
                let description = Some("The authentication provider is slow; try again in a moment.".into());
                let body = OAuthError { error: Code::AccessDenied, error_description: description };
                try_later((StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response())
            }
            Self::Unauthorized(rejection) => {
                let mut response = detail(StatusCode::UNAUTHORIZED, rejection.detail());
                response.headers_mut().insert(WWW_AUTHENTICATE, rejection.challenge());
                response
            }
            Self::Detail(status, text) => detail(status, &text),
            Self::Throttled(throttled) => {
                let response = detail(StatusCode::TOO_MANY_REQUESTS, &throttled_text(&throttled));
                wait(response, throttled.retry_after())
            }
            Self::TooLarge => detail(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large."),
            Self::Unavailable(outage) => {
                tracing::warn!(error = %outage, "answering 503");
                try_later(detail(StatusCode::SERVICE_UNAVAILABLE, "Try again in a moment."))
            }
        }
    }
}

/// A refusal in words.
#[derive(Serialize, ToSchema)]
pub(super) struct Detail<'a> {
    detail: &'a str,
}

fn detail(status: StatusCode, text: &str) -> Response {
    (status, Json(Detail { detail: text })).into_response()
}

/// RFC 6749 section 5.2.
#[derive(Serialize, ToSchema)]
pub(super) struct OAuthError {
    error: Code,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error_description: Option<Cow<'static, str>>,
}

/// `error` of an [`OAuthError`].
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OAuthErrorCode)]
pub(super) enum Code {
    AccessDenied,
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    InvalidScope,
    InvalidTarget,
    ServerError,
    TemporarilyUnavailable,
}

fn oauth_error(error: &oauth::Error) -> Response {
    use oauth::Error as E;
    let (status, code, description) = match error {
        E::InvalidRequest(text) => (StatusCode::BAD_REQUEST, Code::InvalidRequest, text.clone()),
        E::InvalidClient { .. } => (StatusCode::UNAUTHORIZED, Code::InvalidClient, None),
        // The contract's code for it, though the mistake is the client's.
        E::TwoClients => (StatusCode::BAD_REQUEST, Code::ServerError, None),
        E::InvalidGrant(text) => (StatusCode::BAD_REQUEST, Code::InvalidGrant, text.map(Cow::Borrowed)),
        E::UnauthorizedClient => (StatusCode::BAD_REQUEST, Code::UnauthorizedClient, None),
        E::UnsupportedGrantType => (StatusCode::BAD_REQUEST, Code::UnsupportedGrantType, None),
        E::InvalidScope => (StatusCode::BAD_REQUEST, Code::InvalidScope, None),
        E::Throttled(throttled) => {
            (StatusCode::TOO_MANY_REQUESTS, Code::TemporarilyUnavailable, Some(throttled_text(throttled).into()))
        }
        E::InvalidTarget => (StatusCode::BAD_REQUEST, Code::InvalidTarget, None),
        E::ProviderOutage => (StatusCode::SERVICE_UNAVAILABLE, Code::TemporarilyUnavailable, None),
        E::Busy(_) | E::Stale(_) | E::Store(_) | E::Keys(OpenError::Store(_) | OpenError::NoKey) => {
            tracing::warn!(%error, "answering 503");
            (StatusCode::SERVICE_UNAVAILABLE, Code::TemporarilyUnavailable, None)
        }
        E::Keys(_) => {
            tracing::error!(%error, "a token could not be signed");
            (StatusCode::INTERNAL_SERVER_ERROR, Code::ServerError, None)
        }
    };
    let body = OAuthError { error: code, error_description: description };
    let mut response = (status, Json(body)).into_response();
    if matches!(error, E::InvalidClient { used_basic: true }) {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"api\""));
    }
    match error {
        E::Throttled(throttled) => wait(response, throttled.retry_after()),
        _ if status == StatusCode::SERVICE_UNAVAILABLE => try_later(response),
        _ => response,
    }
}

/// `Retry-After` of an outage: 1 to 5 seconds, in turn, so that those turned away together do not all come back
/// together.
pub fn retry_after() -> HeaderValue {
    static TURN: AtomicU64 = AtomicU64::new(0);
    HeaderValue::from(1 + TURN.fetch_add(1, Ordering::Relaxed) % 5)
}

fn try_later(response: Response) -> Response {
    wait(response, retry_after())
}

fn wait(mut response: Response, time: impl Into<HeaderValue>) -> Response {
    response.headers_mut().insert(RETRY_AFTER, time.into());
    response
}

fn throttled_text(throttled: &Throttled) -> String {
    format!("Request was throttled. Expected available in {} seconds.", throttled.retry_after())
}

/// A field's texts together, fields in the order of their first text.
#[derive(ToSchema)]
#[schema(value_type = BTreeMap<String, Vec<String>>)]
pub(super) struct FieldLists<'a>(&'a [(&'static str, String)]);

impl Serialize for FieldLists<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (at, (field, _)) in self.0.iter().enumerate() {
            if self.0.iter().take(at).all(|(earlier, _)| earlier != field) {
                let texts: Vec<&str> =
                    self.0.iter().filter(|(other, _)| other == field).map(|(_, text)| text.as_str()).collect();
                map.serialize_entry(field, &texts)?;
            }
        }
        map.end()
    }
}

/// Any path that is not ours.
pub(super) async fn not_found() -> Error {
    Error::detail(StatusCode::NOT_FOUND, "Not found.")
}

/// A handler that panicked; the panic itself is in the log.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    detail(StatusCode::INTERNAL_SERVER_ERROR, "An unexpected error occurred.")
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn answer(error: impl Into<Error>) -> (u16, http::HeaderMap, String) {
        let (head, body) = error.into().into_response().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    fn store_error() -> StoreError {
        StoreError::Unavailable("disk full at /secret/path".into())
    }

    #[tokio::test]
    async fn all_wrong_fields_are_told_at_once_in_their_order() {
        let fields = [("email", "one"), ("password", "two"), ("email", "three")];
        let (status, headers, body) =
            answer(Error::Fields(fields.map(|(field, text)| (field, text.to_owned())).into())).await;
        assert_eq!((status, body.as_str()), (400, r#"{"email":["one","three"],"password":["two"]}"#));
        assert_eq!(headers["content-type"], "application/json");
    }

    #[tokio::test]
    async fn oauth_errors_say_no_more_than_the_contract() {
        use oauth::Error as E;
        for (error, status, expected) in [
            (E::InvalidRequest(None), 400, r#"{"error":"invalid_request"}"#),
            (E::InvalidGrant(Some("text")), 400, r#"{"error":"invalid_grant","error_description":"text"}"#),
            (E::InvalidClient { used_basic: false }, 401, r#"{"error":"invalid_client"}"#),
            (E::TwoClients, 400, r#"{"error":"server_error"}"#),
            (E::UnauthorizedClient, 400, r#"{"error":"unauthorized_client"}"#),
            (E::UnsupportedGrantType, 400, r#"{"error":"unsupported_grant_type"}"#),
            (E::InvalidScope, 400, r#"{"error":"invalid_scope"}"#),
            (E::Keys(OpenError::Crypto("sign")), 500, r#"{"error":"server_error"}"#),
        ] {
            let (code, headers, body) = answer(error).await;
            assert_eq!((code, body.as_str()), (status, expected));
            assert!(!headers.contains_key("www-authenticate") && !headers.contains_key("retry-after"));
        }
    }

    #[tokio::test]
    async fn a_client_that_used_basic_is_challenged() {
        let (status, headers, _) = answer(oauth::Error::InvalidClient { used_basic: true }).await;
        assert_eq!((status, headers["www-authenticate"].as_bytes()), (401, b"Basic realm=\"api\"".as_slice()));
    }

    #[tokio::test]
    async fn an_outage_is_503_with_a_time_to_come_back_and_never_a_verdict() {
        for (error, expected) in [
            (Error::from(oauth::Error::Store(store_error())), r#"{"error":"temporarily_unavailable"}"#),
            (oauth::Error::Busy(Busy).into(), r#"{"error":"temporarily_unavailable"}"#),
            (oauth::Error::Stale(Stale).into(), r#"{"error":"temporarily_unavailable"}"#),
            (oauth::Error::Keys(OpenError::Store(store_error())).into(), r#"{"error":"temporarily_unavailable"}"#),
            (oauth::Error::Keys(OpenError::NoKey).into(), r#"{"error":"temporarily_unavailable"}"#),
            (store_error().into(), r#"{"detail":"Try again in a moment."}"#),
            (Busy.into(), r#"{"detail":"Try again in a moment."}"#),
            (Stale.into(), r#"{"detail":"Try again in a moment."}"#),
        ] {
            let (status, headers, body) = answer(error).await;
            assert_eq!((status, body.as_str()), (503, expected));
            let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=5).contains(&seconds));
        }
    }
}
