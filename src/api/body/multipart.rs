//! `multipart/form-data` (RFC 7578), UTF-8 throughout.

use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request},
};
use bytes::Bytes;
use http::header::CONTENT_TYPE;

use super::{Error, Fields, Value};
use crate::secret::Secret;

pub(super) async fn parse(content_type: &str, bytes: Bytes) -> Result<Fields, Error> {
    let request = Request::builder()
        .header(CONTENT_TYPE, content_type)
        .body(Body::from(bytes))
        .map_err(|_| broken("invalid boundary."))?;
    let mut parts = Multipart::from_request(request, &()).await.map_err(|_| broken("invalid boundary."))?;
    let mut fields = Fields::default();
    while let Some(part) = parts.next_field().await.map_err(|_| broken("malformed part."))? {
        let name = part.name().unwrap_or_default().to_owned();
        let is_file = part.file_name().is_some();
        let bytes = part.bytes().await.map_err(|_| broken("malformed part."))?;
        let value = if is_file {
            Value::NotText
        } else {
            Value::Text(Secret::new(String::from_utf8(bytes.into()).map_err(|_| broken("not UTF-8."))?))
        };
        fields.insert(name, value).map_err(|_| broken("too many parts."))?;
    }
    Ok(fields)
}

fn broken(what: &str) -> Error {
    Error::bad_request(format!("Multipart form parse error - {what}"))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::multipart, *};

    #[tokio::test]
    async fn a_file_is_no_text() {
        let body = multipart(&[("name=a; filename=f.txt", "text"), ("name=b", "text")]);
        let mut fields = parse("multipart/form-data; boundary=b", body.into()).await.ok().unwrap();
        assert_eq!(fields.required("a").err(), Some("Not a valid string."));
        assert_eq!(fields.required("b").unwrap().expose(), "text");
    }

    #[tokio::test]
    async fn what_is_broken_is_400() {
        let cut = multipart(&[("name=a", "text")]).replace("--b--", "");
        for (content_type, body) in [
            ("multipart/form-data", multipart(&[])),
            ("multipart/form-data; boundary=b", cut),
            ("multipart/form-data; boundary=b", "no parts".to_owned()),
        ] {
            let parsed = parse(content_type, body.clone().into()).await;
            assert!(matches!(parsed, Err(Error::Detail(status, _)) if status == 400), "{body:?}");
        }
    }
}
