//! The answer to a request that cannot be read, and so never comes to the app.

use std::{net::IpAddr, sync::Arc};

use http::StatusCode;
use pingora::protocols::http::date::get_cached_date;
use serde_json::json;
use uuid::Uuid;

use crate::hygiene::Refusal;

/// What pingora's parser does not take, or not as it stands.
pub(super) const MALFORMED: Refusal = Refusal {
    close: true,
    ..Refusal::new(StatusCode::BAD_REQUEST, "malformed", "The request cannot be read as HTTP/1.1.")
};
/// What it does not take for its size.
pub(super) const TOO_LARGE: Refusal = Refusal {
    close: true,
    ..Refusal::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "head_too_large",
        "The request head is larger than this server takes.",
    )
};

/// Takes note of a refusal: told the peer and what is refused, gives the request its id.
pub type Record = Arc<dyn Fn(IpAddr, &Refusal) -> String + Send + Sync>;

/// Takes no note of it.
pub fn unrecorded() -> Record {
    Arc::new(|_, _| Uuid::now_v7().simple().to_string())
}

/// Makes the bytes of an answer.
pub(super) type Refuse = Arc<dyn Fn(&Refusal) -> Vec<u8> + Send + Sync>;

/// To requests of `peer`.
pub(super) fn to(peer: IpAddr, record: &Record) -> Refuse {
    let record = Arc::clone(record);
    Arc::new(move |refusal| answer(refusal, &record(peer, refusal)))
}

/// The whole answer; the connection ends with it.
fn answer(refusal: &Refusal, request_id: &str) -> Vec<u8> {
    let body = json!({ "detail": refusal.detail, "request_id": request_id }).to_string();
    let length = body.len();
    let status = refusal.status;
    let date = get_cached_date();
    let date = date.to_str().unwrap_or_default();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n\
         X-Request-Id: {request_id}\r\nDate: {date}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}
