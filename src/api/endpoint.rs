//! What an endpoint is: its path in every spelling, its methods, who may call it.
//!
//! The slash at the end follows the contract: OAuth endpoints answer with and without it, the others send a
//! request without it to the path with it.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::Request,
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, any},
};
use http::{
    HeaderValue, Method, StatusCode, Uri,
    header::{ALLOW, LOCATION},
};
use serde_json::json;

use super::{Api, body, error::Error, guard::Access};

/// One endpoint. `S` is the state of its handlers.
pub(super) struct Endpoint<S = Arc<Api>> {
    /// Below the base path, or from the root when it starts with a slash. A slash at its end is required of
    /// requests; without one it is optional.
    pub path: &'static str,
    /// For people, in the answer to OPTIONS and in the OpenAPI document.
    pub name: &'static str,
    /// The same.
    pub description: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Its methods for `Allow`, HEAD and OPTIONS among them.
    pub allow: &'static str,
    /// Its handlers, those of OPTIONS and of methods not offered excepted.
    pub methods: MethodRouter<S>,
    /// What its handlers say of themselves: `operations![handler, …]`. Each has a `#[utoipa::path(…)]` with its
    /// method, path and tag, the type of its body, and its answers: types that it serialises, or one of
    /// [`refusals`](super::openapi::refusals). What follows from the endpoint is added by [`super::openapi`].
    pub operations: fn() -> utoipa::openapi::OpenApi,
}

/// The descriptions of handlers that have a `#[utoipa::path(…)]`.
macro_rules! operations {
    ($($handler:ident),+) => {{
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($handler),+))]
        struct Operations;
        <Operations as utoipa::OpenApi>::openapi
    }};
}
pub(super) use operations;

impl<S: Clone + Send + Sync + 'static> Endpoint<S> {
    /// Adds it to a router. `guard` is put in front of all its methods, those not offered too: who may not
    /// call learns nothing of what could be called.
    pub(super) fn mount(
        self,
        router: Router<S>,
        base_path: &str,
        guard: impl FnOnce(MethodRouter<S>) -> MethodRouter<S>,
    ) -> Router<S> {
        let Self { path, name, description, allow, methods, .. } = self;
        let describe = move || async move {
            Json(json!({
                "name": name,
                "description": description,
                "renders": ["application/json"],
                "parses": body::MEDIA_TYPES,
            }))
        };
        let say_allow = move |mut response: Response| async move {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
            response
        };
        let methods = guard(methods.options(describe).fallback(not_offered)).layer(middleware::map_response(say_allow));

        if path.starts_with('/') {
            return router.route(path, methods);
        }
        let path = format!("{base_path}/{path}");
        match path.strip_suffix('/') {
            Some(bare) => router.route(bare, any(add_slash)).route(&path, methods),
            None => router.route(&format!("{path}/"), methods.clone()).route(&path, methods),
        }
    }
}

async fn not_offered(method: Method) -> Error {
    Error::detail(StatusCode::METHOD_NOT_ALLOWED, format!("Method \"{method}\" not allowed."))
}

/// The same path with its slash, and the query as it came. Relative, so that it holds whatever host the
/// client believes to talk to.
async fn add_slash(request: Request) -> Response {
    let uri: &Uri = request.uri();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::try_from(format!("{}/{query}", uri.path())) {
        Ok(location) => (StatusCode::MOVED_PERMANENTLY, [(LOCATION, location)]).into_response(),
        Err(_) => super::error::not_found().await.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::api::answer;

    fn app() -> Router {
        let family = |path, methods| Endpoint::<()> {
            path,
            name: "A name",
            description: "What it does.",
            access: Access::Open,
            allow: "GET, HEAD, OPTIONS",
            methods,
            operations: utoipa::openapi::OpenApi::default,
        };
        let open = |methods| methods;
        let locked = |methods: MethodRouter<()>| {
            methods.layer(middleware::from_fn(|_: Request, _: middleware::Next| async { StatusCode::UNAUTHORIZED }))
        };
        let mut app = Router::new();
        app = family("oauth", get(|| async { Json("o") })).mount(app, "/base", open);
        app = family("account/", get(|| async { Json("a") })).mount(app, "/base", open);
        app = family("empty/", get(|| async { StatusCode::NO_CONTENT })).mount(app, "/base", open);
        app = family("locked/", get(|| async { Json("never") })).mount(app, "/base", locked);
        app = family("/.well-known/document", get(|| async { Json("d") })).mount(app, "/base", open);
        app.fallback(crate::api::error::not_found).layer(middleware::map_response(answer::complete))
    }

    async fn send(method: &str, target: &str) -> (StatusCode, http::HeaderMap, String) {
        let request = http::Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
        let (head, body) = app().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn oauth_paths_answer_with_and_without_slash() {
        for target in ["/base/oauth", "/base/oauth/", "/base/oauth?a=b"] {
            assert_eq!(send("GET", target).await.2, r#""o""#, "{target}");
        }
    }

    #[tokio::test]
    async fn account_paths_send_any_method_to_the_path_with_slash() {
        assert_eq!(send("GET", "/base/account/").await.0, StatusCode::OK);
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let (status, headers, body) = send(method, "/base/account?x=1&y=%2F").await;
            assert_eq!(status, StatusCode::MOVED_PERMANENTLY);
            assert_eq!(headers["location"], "/base/account/?x=1&y=%2F");
            assert!(body.is_empty() && !headers.contains_key("content-type"));
        }
    }

    #[tokio::test]
    async fn all_other_paths_are_404_in_json() {
        for target in ["/base", "/base/", "/base/OAuth", "/base/oauth//", "/base/oauth/x", "/base/Account/", "/oauth"] {
            let (status, headers, body) = send("GET", target).await;
            assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, r#"{"detail":"Not found."}"#), "{target}");
            assert_eq!(headers["content-type"], "application/json");
        }
    }

    #[tokio::test]
    async fn a_method_not_offered_is_405_and_says_which_are() {
        let (status, headers, body) = send("PUT", "/base/account/").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(body, r#"{"detail":"Method \"PUT\" not allowed."}"#);
        assert_eq!(headers["allow"], "GET, HEAD, OPTIONS");
    }

    #[tokio::test]
    async fn the_guard_comes_before_the_method() {
        for method in ["GET", "PUT", "OPTIONS", "HEAD"] {
            let (status, headers, _) = send(method, "/base/locked/").await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            assert_eq!(headers["allow"], "GET, HEAD, OPTIONS");
        }
    }

    #[tokio::test]
    async fn head_is_get_without_its_body_and_options_describes() {
        let (status, headers, body) = send("HEAD", "/base/account/").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
        assert_eq!(headers["content-length"], "3");
        let (status, _, body) = send("OPTIONS", "/base/account/").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["name"], "A name");
    }

    #[tokio::test]
    async fn every_answer_carries_the_common_headers() {
        for target in ["/base/oauth", "/base/account", "/base/nowhere", "/base/locked/", "/.well-known/document"] {
            let (_, headers, _) = send("GET", target).await;
            for (name, value) in [
                ("cache-control", "no-store"),
                ("pragma", "no-cache"),
                ("vary", "Accept, origin"),
                ("x-frame-options", "DENY"),
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
            ] {
                assert_eq!(headers[name], value, "{name} of {target}");
            }
        }
        let (status, headers, body) = send("GET", "/base/empty/").await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert!(body.is_empty() && !headers.contains_key("content-type"));
    }
}
