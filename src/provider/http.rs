//! The one HTTP client: what is asked of providers, and what their answers come to when they are none.
//!
//! Nothing of an answer is trusted: no redirect is followed, no body is read beyond a cap, no call lasts longer than a
//! check may. A failure is logged here, where the step is known, and never with a URL: ours have tokens in them.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect::Policy,
};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{DEADLINE, Error};
use crate::secret::Secret;

/// Longest answer that is read, bytes. Sets of keys have a few KiB.
const MAX_BODY: usize = 256 * 1024;

const CONNECT: Duration = Duration::from_secs(2);

const USER_AGENT: &str = concat!("passgate/", env!("CARGO_PKG_VERSION"));

/// Makes the client, which all providers share. Without certificates of authorities on this machine it is one that
/// trusts none, so that only what is asked over TLS fails.
pub(super) fn client() -> Result<Client, reqwest::Error> {
    // The builder panics without one. An error means that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = || {
        Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]))
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT)
    };
    builder().build().or_else(|_| {
        tracing::warn!(
            "this machine has no certificates of authorities (the package is often called ca-certificates): \
             no provider can be asked over https"
        );
        builder().tls_certs_only([]).build()
    })
}

/// The client as one provider uses it.
#[derive(Clone)]
pub(super) struct Http {
    client: Client,
    provider: Arc<str>,
}

/// One call in the making.
pub(super) struct Call<'a> {
    http: &'a Http,
    /// What it is for, for the log.
    step: &'static str,
    request: RequestBuilder,
}

impl Http {
    pub(super) fn new(client: Client, provider: &str) -> Self {
        Self { client, provider: provider.into() }
    }

    pub(super) fn get(&self, step: &'static str, url: Url) -> Call<'_> {
        Call { http: self, step, request: self.client.get(url) }
    }

    /// POST of a form.
    pub(super) fn post(&self, step: &'static str, url: Url, fields: &[(&str, &str)]) -> Call<'_> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        Call { http: self, step, request }
    }

    /// POST of JSON.
    pub(super) fn post_json(&self, step: &'static str, url: Url, json: &Value) -> Call<'_> {
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json").body(json.to_string());
        Call { http: self, step, request }
    }

    /// An answer that can be read and makes no sense.
    pub(super) fn senseless(&self, step: &'static str, reason: &'static str) -> Error {
        self.failed(step, Error::Unreadable(reason), None)
    }

    /// Logs what is the provider's failure, or ours, and not the token's.
    fn failed(&self, step: &'static str, error: Error, cause: Option<&str>) -> Error {
        tracing::warn!(provider = %self.provider, step, %error, cause, "an identity provider cannot be asked");
        error
    }
}

impl Call<'_> {
    /// With the token as the bearer (RFC 6750 section 2.1).
    pub(super) fn bearer(self, token: &Secret) -> Self {
        Self { request: self.request.bearer_auth(token.expose()), ..self }
    }

    /// As our client (RFC 6749 section 2.3.1).
    pub(super) fn basic(self, id: &str, secret: &Secret) -> Self {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        Self { request: self.request.basic_auth(encoded(id), Some(encoded(secret.expose()))), ..self }
    }

    /// With a header that takes the place of a default one.
    pub(super) fn header(self, name: &'static str, value: &'static str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    /// Asks about a token: 400, 401 and 403 are the provider's no to it.
    pub(super) async fn ask<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.json(|status| refusal(status).map(Err), read).await
    }

    /// As [`Call::ask`], for what a token need not give access to: nothing, when the provider says one of these statuses.
    pub(super) async fn ask_unless<T: DeserializeOwned>(self, none: &[u16]) -> Result<Option<T>, Error> {
        self.json(nothing_or_refusal(none), |body| read(body).map(Some)).await
    }

    /// As [`Call::ask_unless`], for a list.
    pub(super) async fn list_unless<T: DeserializeOwned>(self, none: &[u16]) -> Result<Option<Vec<T>>, Error> {
        self.json(nothing_or_refusal(none), |body| read_list(body).map(Some)).await
    }

    /// Asks about a token as our app: these statuses are the provider's no to it, and all others are about us.
    pub(super) async fn ask_as_app<T: DeserializeOwned>(self, no: &[u16]) -> Result<T, Error> {
        const NO: Error = Error::NotAllowed("the provider does not know the token as our app's");
        self.json(|status| no.contains(&status.as_u16()).then_some(Err(NO)), read).await
    }

    /// Fetches what does not depend on a token, so that no status is a word about one.
    pub(super) async fn fetch<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.json(|_| None, read).await
    }

    /// `by_status` is for statuses that say it all.
    async fn json<T>(
        self,
        by_status: impl FnOnce(StatusCode) -> Option<Result<T, Error>>,
        read: impl FnOnce(&[u8]) -> Result<T, &'static str>,
    ) -> Result<T, Error> {
        let Self { http, step, request } = self;
        let answer = async {
            let response = request.send().await.map_err(|error| unsent(&error))?;
            if let Some(outcome) = by_status(response.status()) {
                return Ok(ControlFlow::Break(outcome));
            }
            match response.status() {
                StatusCode::SERVICE_UNAVAILABLE => {
                    Err((Error::Unreachable("the provider answers with status 503"), None))
                }
                status if !status.is_success() => Err((Error::Status(status.as_u16()), None)),
                _ => Ok(ControlFlow::Continue(body(response).await?)),
            }
        };
        let body = match tokio::time::timeout(DEADLINE, answer).await {
            Ok(Ok(ControlFlow::Continue(body))) => body,
            // Said of the token, not of the provider: that is for whoever presented it to know.
            Ok(Ok(ControlFlow::Break(outcome))) => return outcome,
            Ok(Err((error, cause))) => return Err(http.failed(step, error, cause.as_deref())),
            Err(_) => return Err(http.failed(step, Error::Unreachable("no answer in time"), None)),
        };
        read(&body).map_err(|reason| http.senseless(step, reason))
    }
}

/// How a provider says no to a token.
fn refusal(status: StatusCode) -> Option<Error> {
    match status {
        StatusCode::BAD_REQUEST => Some(Error::Canceled("the provider answers with status 400")),
        StatusCode::UNAUTHORIZED => Some(Error::NotAllowed("the provider answers with status 401")),
        StatusCode::FORBIDDEN => Some(Error::NotAllowed("the provider answers with status 403")),
        _ => None,
    }
}

fn nothing_or_refusal<T>(nothing: &[u16]) -> impl FnOnce(StatusCode) -> Option<Result<Option<T>, Error>> {
    |status| if nothing.contains(&status.as_u16()) { Some(Ok(None)) } else { refusal(status).map(Err) }
}

/// The URL of a path beneath a base, segment by segment.
pub(super) fn beneath(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// Reads a body to its end, or to the cap.
async fn body(mut response: Response) -> Result<Vec<u8>, (Error, Option<String>)> {
    let too_long = || (Error::Unreadable("the answer is too long"), None);
    if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| (Error::Unreachable("the answer broke off"), cause(&error));
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads an object; serde alone would take a list of the values for one, too. One that has an error in it is none.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, &'static str> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Option<IgnoredAny>,
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("the answer is no JSON object");
    }
    let Refusal { error } = serde_json::from_slice(body).map_err(|_| "the answer is not JSON")?;
    if error.is_some() {
        return Err("the answer has an error in it");
    }
    serde_json::from_slice(body).map_err(|_| "the answer has not the form of one")
}

/// Reads a list.
fn read_list<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, &'static str> {
    if !body.trim_ascii_start().starts_with(b"[") {
        return Err("the answer is no JSON list");
    }
    serde_json::from_slice(body).map_err(|_| "the answer has not the form of one")
}

fn unsent(error: &reqwest::Error) -> (Error, Option<String>) {
    let reason = if error.is_builder() {
        "the request cannot be made"
    } else if error.is_timeout() {
        "no connection in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "no answer"
    };
    (Error::Unreachable(reason), cause(error))
}

/// What lies at the bottom, such as an error of the system or of TLS. The error itself would show the URL.
fn cause(error: &reqwest::Error) -> Option<String> {
    let mut deepest = std::error::Error::source(error)?;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    Some(deepest.to_string().escape_debug().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &[u8]) -> bool {
        read::<Value>(body).is_err()
    }

    #[test]
    fn an_answer_is_an_object_without_an_error_in_it() {
        assert!(read::<Value>(br#" {"sub": "1", "error": null}"#).is_ok());
        for body in
            [&b""[..], b"null", b"[]", b"\"{}\"", b"{", b"{}{}", b"<html>", br#"{"error": "x"}"#, br#"{"error": {}}"#]
        {
            assert!(refused(body), "{}", String::from_utf8_lossy(body));
        }
        assert!(refused(br#"{"error": false, "sub": "1"}"#), "an odd one is one");
        assert!(refused(&[b"{\"a\":".repeat(10_000), b"1".to_vec()].concat()), "depth has a bound");
    }

    #[test]
    fn a_member_that_comes_twice_is_refused() {
        #[derive(Deserialize)]
        struct Person {
            #[expect(dead_code, reason = "reading it is the test")]
            sub: String,
        }
        assert!(read::<Person>(br#"{"sub": "1"}"#).is_ok());
        assert!(read::<Person>(br#"{"sub": "1", "sub": "2"}"#).is_err());
        assert!(read::<Person>(br#"["1"]"#).is_err());
    }

    #[test]
    fn a_list_is_one() {
        assert_eq!(read_list::<u8>(b" [1, 2]"), Ok(vec![1, 2]));
        for body in [&b""[..], b"{}", b"null", b"1", b"[", b"[\"1\"]", b"[1]]"] {
            assert!(read_list::<u8>(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_path_goes_beneath_its_base_whatever_is_in_a_segment() {
        for (base, path) in [
            ("https://a.example", "/x/@me"),
            ("https://a.example/", "/x/@me"),
            ("https://a.example/api/v3", "/api/v3/x/@me"),
            ("https://a.example/api/v3/", "/api/v3/x/@me"),
        ] {
            assert_eq!(beneath(&Url::parse(base).unwrap(), &["x", "@me"]).path(), path, "{base}");
        }
        let odd = beneath(&Url::parse("https://a.example").unwrap(), &["a/b?c#d%", "..", "e"]);
        assert_eq!(odd.as_str(), "https://a.example/a%2Fb%3Fc%23d%25/e");
    }

    #[test]
    fn a_machine_without_certificates_still_gets_a_client() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        assert!(Client::builder().tls_certs_only([]).build().is_ok());
    }
}
