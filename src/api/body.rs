//! Request bodies: JSON, form and multipart alike become named fields, within fixed bounds.

mod form;
mod json;
mod multipart;

use std::collections::HashMap;

use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt;

use super::error::Error;
use crate::secret::Secret;

/// What we read.
pub(super) const MEDIA_TYPES: [&str; 3] =
    ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"];

/// Most bytes of a body, whatever its type.
const LIMIT: usize = 64 * 1024;
/// Most bytes of a body beyond the limit that are read and dropped, so that its sender gets to read the answer
/// instead of a reset connection.
const DRAIN: usize = 2 * 1024 * 1024;
/// Most fields of a body, known ones or not.
const MAX_FIELDS: usize = 1000;

/// A body as read.
pub(super) enum Body {
    /// Named fields. No body at all is none of them.
    Fields(Fields),
    /// JSON of another kind, by the name that the contract's texts have for it.
    NotAnObject(&'static str),
}

/// The fields of a body. All values are held as secrets until a handler takes out what is not.
#[derive(Default)]
pub(super) struct Fields {
    values: HashMap<String, Value>,
    seen: usize,
}

/// The value of a field.
pub(super) enum Value {
    /// Text, or a number as text.
    Text(Secret),
    /// JSON's null.
    Null,
    /// A boolean, list, object or file.
    NotText,
}

/// More fields than [`MAX_FIELDS`].
struct TooMany;

impl Fields {
    /// Adds a field; the last of its name holds.
    fn insert(&mut self, name: String, value: Value) -> Result<(), TooMany> {
        self.seen += 1;
        if self.seen > MAX_FIELDS {
            return Err(TooMany);
        }
        self.values.insert(name, value);
        Ok(())
    }

    /// Whether there is such a field.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name)
    }

    /// Takes out a field that must be text, or says what is wrong with it.
    pub(super) fn required(&mut self, name: &str) -> Result<Secret, &'static str> {
        match self.take(name) {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Null) => Err("This field may not be null."),
            Some(Value::NotText) => Err("Not a valid string."),
            None => Err("This field is required."),
        }
    }

    /// Takes out a field that may be missing; null counts as missing.
    pub(super) fn optional(&mut self, name: &str) -> Result<Option<Secret>, &'static str> {
        match self.take(name) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::NotText) => Err("Not a valid string."),
            Some(Value::Null) | None => Ok(None),
        }
    }
}

impl Body {
    /// The fields, or the field list that an endpoint with validation answers.
    pub(super) fn fields(self) -> Result<Fields, Error> {
        match self {
            Self::Fields(fields) => Ok(fields),
            Self::NotAnObject(kind) => Err(Error::Fields(vec![(
                "non_field_errors",
                format!("Invalid data. Expected a dictionary, but got {kind}."),
            )])),
        }
    }
}

impl<S: Sync> FromRequest<S> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let (head, body) = request.into_parts();
        let bytes = read(body).await?;
        if bytes.is_empty() {
            return Ok(Self::Fields(Fields::default()));
        }
        let written = content_type(&head.headers);
        let essence = written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => json::parse(&bytes),
            "application/x-www-form-urlencoded" => form::parse(&bytes).map(Self::Fields),
            "multipart/form-data" => multipart::parse(written, bytes).await.map(Self::Fields),
            _ => Err(Error::detail(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("Unsupported media type \"{}\" in request.", written.get(..100).unwrap_or(written)),
            )),
        }
    }
}

/// The `Content-Type` as written, or nothing when it is absent or not visible ASCII.
fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The whole body, if it is within the limit.
async fn read(mut body: axum::body::Body) -> Result<Bytes, Error> {
    let mut bytes = BytesMut::new();
    let mut dropped = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::bad_request("The request body could not be read."))?;
        let Ok(data) = frame.into_data() else { continue };
        if dropped > 0 || bytes.len() + data.len() > LIMIT {
            dropped += data.len();
            bytes.clear();
        } else {
            bytes.extend_from_slice(&data);
        }
        if dropped > DRAIN {
            break;
        }
    }
    if dropped > 0 { Err(Error::TooLarge) } else { Ok(bytes.freeze()) }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    const MULTIPART: &str = "multipart/form-data; boundary=b";

    pub(super) fn multipart(parts: &[(&str, &str)]) -> String {
        let part =
            |(head, value): &(&str, &str)| format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n");
        parts.iter().map(part).collect::<Vec<_>>().concat() + "--b--\r\n"
    }

    async fn parse(content_type: &str, body: impl Into<axum::body::Body>) -> Result<Body, Error> {
        let request = Request::builder().header(CONTENT_TYPE, content_type).body(body.into()).unwrap();
        Body::from_request(request, &()).await
    }

    async fn fields(content_type: &str, body: impl Into<axum::body::Body>) -> Fields {
        match parse(content_type, body).await {
            Ok(Body::Fields(fields)) => fields,
            Ok(Body::NotAnObject(kind)) => panic!("a {kind}"),
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn refusal(content_type: &str, body: impl Into<axum::body::Body>) -> (u16, String) {
        let Err(error) = parse(content_type, body).await else { panic!("was read") };
        let (head, body) = error.into_response().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    }

    fn text(fields: &mut Fields, name: &str) -> String {
        fields.required(name).unwrap().expose().to_owned()
    }

    #[tokio::test]
    async fn the_three_types_are_alike_and_the_last_of_a_name_holds() {
        for (content_type, body) in [
            ("application/json", r#"{"a":"first","b":"é +","a":"last","c":""}"#.to_owned()),
            ("Application/JSON; charset=utf-8", r#" {"c":"","a":"last","b":"\u00e9 +"} "#.to_owned()),
            ("application/x-www-form-urlencoded", "a=first&b=%C3%A9+%2B&a=last&c&=".to_owned()),
            ("application/x-www-form-urlencoded;charset=UTF-8", "b=é+%2B&&a=la%73t&c=".to_owned()),
            (MULTIPART, multipart(&[("name=a", "first"), ("name=\"b\"", "é +"), ("name=a", "last"), ("name=c", "")])),
        ] {
            let mut fields = fields(content_type, body).await;
            assert_eq!(text(&mut fields, "a"), "last", "{content_type}");
            assert_eq!(text(&mut fields, "b"), "é +", "{content_type}");
            assert_eq!(text(&mut fields, "c"), "", "{content_type}");
            assert_eq!(fields.required("d").err(), Some("This field is required."));
        }
    }

    #[tokio::test]
    async fn no_body_is_no_fields_whatever_the_type_says() {
        for content_type in ["application/json", "text/plain", "multipart/form-data", ""] {
            assert!(fields(content_type, "").await.values.is_empty(), "{content_type}");
        }
    }

    #[tokio::test]
    async fn other_types_are_415() {
        let expected = (415, r#"{"detail":"Unsupported media type \"text/plain\" in request."}"#.to_owned());
        assert_eq!(refusal("text/plain", "a=b").await, expected);
        assert_eq!(refusal("", "a=b").await.0, 415);
        assert_eq!(refusal("application/jsonp", "{}").await.0, 415);
        assert!(refusal(&"x".repeat(5000), "{}").await.1.len() < 200);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_413_and_one_of_the_limit_is_read() {
        let form = "application/x-www-form-urlencoded";
        let of_size = |size: usize| format!("a={}", "x".repeat(size - 2));
        assert_eq!(text(&mut fields(form, of_size(LIMIT)).await, "a").len(), LIMIT - 2);
        assert_eq!(refusal(form, of_size(LIMIT + 1)).await.0, 413);
        let chunks = std::iter::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'a'; 1024]))).take(100);
        assert_eq!(refusal(form, axum::body::Body::from_stream(futures_util::stream::iter(chunks))).await.0, 413);
    }

    #[tokio::test]
    async fn a_body_without_end_is_given_up() {
        let endless = std::iter::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'a'; 65_536])));
        let body = axum::body::Body::from_stream(futures_util::stream::iter(endless));
        assert_eq!(refusal("application/json", body).await.0, 413);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_400() {
        let broken = [Ok(Bytes::from("a=")), Err(std::io::Error::other("gone"))];
        let body = axum::body::Body::from_stream(futures_util::stream::iter(broken));
        assert_eq!(refusal("application/x-www-form-urlencoded", body).await.0, 400);
    }

    #[tokio::test]
    async fn more_than_a_thousand_fields_are_400_in_every_type() {
        let many = |count: usize| {
            let names = || (0..count).map(|n| format!("f{n}"));
            let json = names().map(|name| format!("{name:?}:1")).collect::<Vec<_>>().join(",");
            let form = names().map(|name| format!("{name}=1")).collect::<Vec<_>>().join("&");
            let names: Vec<_> = names().map(|name| format!("name={name}")).collect();
            let parts: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
            [
                ("application/json", format!("{{{json}}}")),
                ("application/x-www-form-urlencoded", form),
                (MULTIPART, multipart(&parts)),
            ]
        };
        for (content_type, body) in many(MAX_FIELDS) {
            assert_eq!(fields(content_type, body).await.values.len(), MAX_FIELDS, "{content_type}");
        }
        for (content_type, body) in many(MAX_FIELDS + 1) {
            assert_eq!(refusal(content_type, body).await.0, 400, "{content_type}");
        }
    }
}
