//! Cross-origin resource sharing (Fetch standard, section 3.2): preflights, and the headers of actual answers.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{self, InvalidHeaderValue},
};
use pingora::http::{RequestHeader, ResponseHeader};

/// `cors.allowed_headers` where none are given.
pub const ALLOWED_HEADERS: [&str; 6] =
    ["accept", "authorization", "content-type", "user-agent", "x-csrftoken", "x-requested-with"];
/// `cors.allowed_methods` where none are given.
pub const ALLOWED_METHODS: [&str; 6] = ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"];
/// `cors.exposed_headers` where none are given.
pub const EXPOSED_HEADERS: [&str; 3] = ["WWW-Authenticate", "Retry-After", "X-Request-Id"];
/// `cors.max_age` where none is given: a day.
pub const MAX_AGE: Duration = Duration::from_hours(24);

/// What all our answers depend on once any origin is allowed.
const ORIGIN: HeaderValue = HeaderValue::from_static("origin");

/// Who may read answers from another origin.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Exact origins, scheme included; empty switches CORS off.
    pub allowed_origins: Vec<String>,
    /// Request headers.
    pub allowed_headers: Vec<String>,
    /// Methods.
    pub allowed_methods: Vec<String>,
    /// Response headers that scripts may read.
    pub exposed_headers: Vec<String>,
    /// Whether cookies may come along.
    pub allow_credentials: bool,
    /// How long a preflight may be remembered.
    pub max_age: Duration,
}

impl Settings {
    /// Whether anything is allowed at all.
    pub fn enabled(&self) -> bool {
        !self.allowed_origins.is_empty()
    }
}

/// [`Settings`] with the answers made ready.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Box<[HeaderValue]>,
    /// For an allowed origin, beside the origin itself.
    preflight: Box<[(HeaderName, HeaderValue)]>,
    actual: Box<[(HeaderName, HeaderValue)]>,
}

impl Cors {
    /// Fails when a setting has characters that no header value can have.
    pub fn new(settings: &Settings) -> Result<Self, InvalidHeaderValue> {
        let list = |name: HeaderName, members: &[String]| -> Result<_, InvalidHeaderValue> {
            let value = (!members.is_empty()).then(|| HeaderValue::try_from(members.join(", "))).transpose()?;
            Ok(value.map(|value| (name, value)))
        };
        let credentials = settings
            .allow_credentials
            .then_some((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        let preflight = [
            list(header::ACCESS_CONTROL_ALLOW_HEADERS, &settings.allowed_headers)?,
            list(header::ACCESS_CONTROL_ALLOW_METHODS, &settings.allowed_methods)?,
            Some((header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(settings.max_age.as_secs()))),
            credentials.clone(),
        ];
        let actual = [list(header::ACCESS_CONTROL_EXPOSE_HEADERS, &settings.exposed_headers)?, credentials];
        Ok(Self {
            origins: settings.allowed_origins.iter().map(HeaderValue::try_from).collect::<Result<_, _>>()?,
            preflight: preflight.into_iter().flatten().collect(),
            actual: actual.into_iter().flatten().collect(),
        })
    }

    /// Whether anything is allowed at all.
    pub fn enabled(&self) -> bool {
        !self.origins.is_empty()
    }

    /// The answer to a preflight: 200 and empty, with or without leave. `None` when `request` is no preflight, or
    /// CORS is switched off.
    ///
    /// # Errors
    ///
    /// Only when the answer cannot be built, which no input brings about.
    pub fn preflight(&self, request: &RequestHeader) -> pingora::Result<Option<ResponseHeader>> {
        if !self.enabled() || requested_method(request).is_none() {
            return Ok(None);
        }
        let mut response = ResponseHeader::build(200, Some(8))?;
        response.insert_header(header::CONTENT_LENGTH, HeaderValue::from_static("0"))?;
        add_vary(&mut response)?;
        if let Some(origin) = self.allowed(only_origin(&request.headers)) {
            response.insert_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())?;
            for (name, value) in &self.preflight {
                response.insert_header(name.clone(), value.clone())?;
            }
        }
        Ok(Some(response))
    }

    /// Adds to an actual answer what lets a script of an allowed `origin` read it. `replace` takes out what an
    /// upstream said of CORS. Changes nothing when CORS is switched off.
    pub fn decorate(
        &self,
        origin: Option<&HeaderValue>,
        response: &mut ResponseHeader,
        replace: bool,
    ) -> pingora::Result<()> {
        if !self.enabled() {
            return Ok(());
        }
        if replace {
            let theirs: Vec<HeaderName> =
                response.headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
            for name in &theirs {
                response.remove_header(name);
            }
        }
        add_vary(response)?;
        if let Some(origin) = self.allowed(origin) {
            response.insert_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())?;
            for (name, value) in &self.actual {
                response.insert_header(name.clone(), value.clone())?;
            }
        }
        Ok(())
    }

    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<&HeaderValue> {
        let origin = origin?;
        self.origins.iter().find(|own| *own == origin)
    }
}

/// The method a preflight asks leave for, when `request` is one (Fetch standard, section 3.2.2). Routes go by it:
/// the OPTIONS itself is for nobody else.
pub fn requested_method(request: &RequestHeader) -> Option<Method> {
    if request.method != Method::OPTIONS || !request.headers.contains_key(header::ORIGIN) {
        return None;
    }
    let method = request.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    Some(Method::from_bytes(method.as_bytes()).unwrap_or(Method::OPTIONS))
}

/// Whether `request` has the head of a preflight as browsers send it: one origin, one method that is one.
pub fn is_well_formed_preflight(request: &RequestHeader) -> bool {
    request.method == Method::OPTIONS
        && only_origin(&request.headers).is_some()
        && only(&request.headers, &header::ACCESS_CONTROL_REQUEST_METHOD)
            .is_some_and(|method| Method::from_bytes(method.as_bytes()).is_ok())
}

/// The `Origin` of a request; none when there are several, since any of them may be forged.
pub fn only_origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    only(headers, &header::ORIGIN)
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Says that the answer depends on the origin, in the one `Vary` there is.
fn add_vary(response: &mut ResponseHeader) -> pingora::Result<()> {
    let mut members =
        response.headers.get_all(header::VARY).iter().map(HeaderValue::as_bytes).filter(|m| !m.is_empty());
    let Some(first) = members.next() else {
        return response.insert_header(header::VARY, ORIGIN);
    };
    let mut merged = first.to_vec();
    for more in members {
        merged.extend_from_slice(b", ");
        merged.extend_from_slice(more);
    }
    let named =
        |member: &[u8]| matches!(member.trim_ascii(), b"*") || member.trim_ascii().eq_ignore_ascii_case(b"origin");
    if merged.split(|byte| *byte == b',').any(named) {
        return Ok(());
    }
    merged.extend_from_slice(b", origin");
    response.insert_header(header::VARY, merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(members: &[&str]) -> Vec<String> {
        members.iter().map(ToString::to_string).collect()
    }

    fn settings() -> Settings {
        Settings {
            allowed_origins: strings(&["http://localhost:3000", "https://app.test"]),
            allowed_headers: strings(&ALLOWED_HEADERS),
            allowed_methods: strings(&ALLOWED_METHODS),
            exposed_headers: strings(&EXPOSED_HEADERS),
            allow_credentials: false,
            max_age: MAX_AGE,
        }
    }

    fn request(method: &str, fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build(method, b"/", None).unwrap();
        for (name, value) in fields {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    /// Header fields in order of name.
    fn fields(response: &ResponseHeader) -> Vec<(String, String)> {
        let mut fields: Vec<_> = response
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        fields.sort();
        fields
    }

    fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn decorated(
        settings: &Settings,
        origin: Option<&'static str>,
        fields_before: &[(&'static str, &str)],
        replace: bool,
    ) -> Vec<(String, String)> {
        let mut response = ResponseHeader::build(200, None).unwrap();
        for (name, value) in fields_before {
            response.append_header(*name, *value).unwrap();
        }
        let origin = origin.map(HeaderValue::from_static);
        Cors::new(settings).unwrap().decorate(origin.as_ref(), &mut response, replace).unwrap();
        fields(&response)
    }

    #[test]
    fn a_preflight_of_an_allowed_origin_gets_leave() {
        let preflight = request("OPTIONS", &[("origin", "https://app.test"), ("access-control-request-method", "PUT")]);
        let response = Cors::new(&settings()).unwrap().preflight(&preflight).unwrap().unwrap();
        assert_eq!(response.status, 200);
        assert_eq!(
            fields(&response),
            owned(&[
                (
                    "access-control-allow-headers",
                    "accept, authorization, content-type, user-agent, x-csrftoken, x-requested-with"
                ),
                ("access-control-allow-methods", "DELETE, GET, OPTIONS, PATCH, POST, PUT"),
                ("access-control-allow-origin", "https://app.test"),
                ("access-control-max-age", "86400"),
                ("content-length", "0"),
                ("vary", "origin"),
            ])
        );
    }

    #[test]
    fn a_preflight_of_another_origin_is_answered_without_leave() {
        for origin in [
            "https://app.test.evil.test",
            "http://app.test",
            "https://app.test:443",
            "https://APP.test",
            "null",
            "*",
            "",
        ] {
            let preflight = request("OPTIONS", &[("origin", origin), ("access-control-request-method", "PUT")]);
            let response = Cors::new(&settings()).unwrap().preflight(&preflight).unwrap().unwrap();
            assert_eq!(fields(&response), owned(&[("content-length", "0"), ("vary", "origin")]), "{origin}");
        }
        let two =
            [("origin", "https://app.test"), ("origin", "https://app.test"), ("access-control-request-method", "PUT")];
        let response = Cors::new(&settings()).unwrap().preflight(&request("OPTIONS", &two)).unwrap().unwrap();
        assert!(!response.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[test]
    fn what_is_no_preflight_is_left_alone() {
        let origin = ("origin", "https://app.test");
        let method = ("access-control-request-method", "PUT");
        let cors = Cors::new(&settings()).unwrap();
        for other in [request("GET", &[origin, method]), request("OPTIONS", &[origin]), request("OPTIONS", &[method])] {
            assert!(cors.preflight(&other).unwrap().is_none(), "{other:?}");
        }
        let off = Cors::new(&Settings::default()).unwrap();
        assert!(off.preflight(&request("OPTIONS", &[origin, method])).unwrap().is_none());
        assert_eq!(requested_method(&request("OPTIONS", &[origin, method])), Some(Method::PUT));
    }

    #[test]
    fn an_actual_answer_is_readable_by_an_allowed_origin_only() {
        assert_eq!(
            decorated(&settings(), Some("http://localhost:3000"), &[], false),
            owned(&[
                ("access-control-allow-origin", "http://localhost:3000"),
                ("access-control-expose-headers", "WWW-Authenticate, Retry-After, X-Request-Id"),
                ("vary", "origin"),
            ])
        );
        for origin in [None, Some("http://localhost"), Some("http://localhost:30000"), Some("null")] {
            assert_eq!(decorated(&settings(), origin, &[], false), owned(&[("vary", "origin")]), "{origin:?}");
        }
    }

    #[test]
    fn cookies_come_along_only_when_configured() {
        let with = Settings { allow_credentials: true, exposed_headers: Vec::new(), ..settings() };
        assert_eq!(
            decorated(&with, Some("https://app.test"), &[], false),
            owned(&[
                ("access-control-allow-credentials", "true"),
                ("access-control-allow-origin", "https://app.test"),
                ("vary", "origin"),
            ])
        );
    }

    #[test]
    fn what_an_upstream_says_of_cors_is_replaced() {
        let theirs = [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-origin", "https://evil.test"),
            ("Access-Control-Allow-Credentials", "true"),
            ("access-control-allow-private-network", "true"),
            ("content-type", "text/plain"),
        ];
        let kept = owned(&[("content-type", "text/plain"), ("vary", "origin")]);
        assert_eq!(decorated(&settings(), Some("https://evil.test"), &theirs, true), kept);
        assert_eq!(decorated(&Settings::default(), None, &theirs, true).len(), 5, "switched off, all is left alone");
    }

    #[test]
    fn vary_is_merged_into_one_list_that_names_the_origin_once() {
        for (before, after) in [
            (&[("vary", "Accept")][..], &["Accept, origin"][..]),
            (&[("vary", "Accept, origin")], &["Accept, origin"]),
            (&[("vary", "accept-encoding"), ("vary", "Origin")], &["Origin", "accept-encoding"]),
            (&[("vary", "accept-encoding"), ("vary", "cookie")], &["accept-encoding, cookie, origin"]),
            (&[("vary", "x-origin")], &["x-origin, origin"]),
            (&[("vary", "*")], &["*"]),
            (&[("vary", "")], &["origin"]),
        ] {
            let all = decorated(&settings(), None, before, true);
            let vary: Vec<_> = all.iter().map(|(_, value)| value.as_str()).collect();
            assert_eq!(vary, after, "{before:?}");
        }
    }
}
