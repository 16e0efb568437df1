use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request},
    routing::{any, get, post},
};
use futures_util::stream;
use pingora::{
    apps::{HttpServerApp, ReusedHttpStream},
    server::ShutdownWatch,
};
use serde_json::{Value, json};

use super::*;
use crate::listener::{
    RouterApp,
    testing::{AMPLE, Client, Response, Served, connect_h2, soon},
};

const SHORT: Duration = Duration::from_millis(200);

fn router() -> Router {
    Router::new()
        .route("/json", post(async |Json(sent): Json<Value>| Json(json!({ "sent": sent }))))
        .route("/echo", post(async |body: Bytes| body))
        .route("/stream", post(async |request: Request| Body::new(request.into_body())))
        .route("/hello", get(async || "hello"))
        .route("/pieces", get(async || Body::from_stream(stream::iter(["a", "bc"].map(Ok::<_, Infallible>)))))
        .route("/empty", any(async || StatusCode::NO_CONTENT))
        .route("/unchanged", get(async || StatusCode::NOT_MODIFIED))
        .route("/unread", post(async || (StatusCode::FORBIDDEN, "no")))
        .route("/never", any(pending::<()>))
        .route("/half", get(async || Body::from_stream(stream::poll_fn(half()))))
        .route("/broken", get(broken))
        .layer(DefaultBodyLimit::max(16 << 20))
}

fn broken() -> std::future::Ready<()> {
    panic!("broken")
}

/// One piece, and then nothing for ever.
fn half() -> impl FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Result<&'static str, Infallible>>> {
    let mut piece = Some("half");
    move |_| piece.take().map_or(std::task::Poll::Pending, |piece| std::task::Poll::Ready(Some(Ok(piece))))
}

fn serve_router() -> Served {
    Served::router(router(), AMPLE)
}

fn serve_hurried() -> Served {
    Served::app(RouterApp::new(router(), SHORT), AMPLE)
}

/// Five megabytes in which no two places look alike.
fn large() -> Vec<u8> {
    (0_u32..5 << 18).flat_map(u32::to_be_bytes).collect()
}

async fn post_to(client: &mut Client, path: &str, body: &[u8]) -> Response {
    client.send(format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len())).await;
    client.send(body).await;
    client.response().await
}

#[tokio::test]
async fn json_goes_in_and_out_over_one_connection() {
    let served = serve_router();
    let mut client = Client::connect(served.address).await;
    for number in 0..3 {
        let body = json!({ "number": number }).to_string();
        client
            .send(format!(
                "POST /json HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        let response = client.response().await;
        assert_eq!((response.status, response.reason.as_str()), (200, "OK"));
        assert_eq!(response.header("connection"), Some("keep-alive"));
        assert!(response.header("date").is_some());
        assert_eq!(response.json(), json!({ "sent": { "number": number } }));
    }
    let absent = client.get("/absent").await;
    assert_eq!((absent.status, absent.header("content-length")), (404, Some("0")));
    let wrong = client.get("/json").await;
    assert_eq!((wrong.status, wrong.reason.as_str()), (405, "Method Not Allowed"));
    served.drained().await;
}

#[tokio::test]
async fn a_large_body_comes_back_byte_for_byte() {
    let served = serve_router();
    let mut client = Client::connect(served.address).await;
    let large = large();
    assert!(post_to(&mut client, "/echo", &large).await.body == large);

    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for chunk in large.chunks(77_777) {
        client.send(format!("{:x}\r\n", chunk.len())).await;
        client.send(chunk).await;
        client.send("\r\n").await;
    }
    client.send("0\r\n\r\n").await;
    assert!(client.response().await.body == large);
    served.drained().await;
}

#[tokio::test]
async fn a_body_streams_back_while_it_is_still_sent() {
    let served = serve_router();
    let mut client = Client::connect(served.address).await;
    client.send("POST /stream HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\none").await;
    let head = client.head().await;
    assert_eq!((head.status, head.header("transfer-encoding")), (200, Some("chunked")));
    client.send("two").await;
    client.closed_without_a_word().await;
    assert_eq!(client.unread(), b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
    served.drained().await;
}

#[tokio::test]
async fn a_response_of_unknown_length_is_chunked_or_ends_with_the_connection() {
    let served = serve_router();
    let mut client = Client::connect(served.address).await;
    let response = client.get("/pieces").await;
    assert_eq!((response.header("transfer-encoding"), response.text()), (Some("chunked"), "abc"));
    assert_eq!(response.header("content-length"), None);
    // And the connection goes on.
    client.send("GET /pieces HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.header("transfer-encoding"), response.header("connection")), (None, Some("close")));
    assert_eq!(response.text(), "abc");
    served.drained().await;
}

#[tokio::test]
async fn http_1_0_is_closed_unless_it_asks_to_be_kept() {
    let served = serve_router();
    let mut client = Client::connect(served.address).await;
    client.send("GET /hello HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.text(), response.header("connection")), ("hello", Some("keep-alive")));
    client.send("GET /hello HTTP/1.0\r\nHost: test\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.text(), response.header("connection")), ("hello", Some("close")));
    assert!(client.closed_without_a_word().await);
    served.drained().await;
}

#[tokio::test]
async fn head_has_the_head_of_get_and_no_body() {
    let served = serve_router();
    let mut client = Client::connect(served.address).await;
    for path in ["/hello", "/pieces", "/hello"] {
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: test\r\n\r\n")).await;
        let head = client.head().await;
        assert_eq!((head.status, head.header("transfer-encoding")), (200, None));
        assert_eq!(head.header("content-length"), (path == "/hello").then_some("5"));
    }
    assert_eq!(client.get("/hello").await.text(), "hello");
    served.drained().await;
}

#[tokio::test]
async fn statuses_without_a_body_have_no_framing_either() {
    let served = serve_router();
    let mut client = Client::connect(served.address).await;
    for (path, status, reason) in [("/empty", 204, "No Content"), ("/unchanged", 304, "Not Modified")] {
        let response = client.get(path).await;
        assert_eq!((response.status, response.reason.as_str()), (status, reason));
        assert_eq!((response.header("content-length"), response.header("transfer-encoding")), (None, None));
    }
    assert_eq!(client.get("/hello").await.text(), "hello");
    served.drained().await;
}

#[tokio::test]
async fn continue_is_said_when_the_body_is_wanted() {
    let served = serve_router();
    let mut client = Client::connect(served.address).await;
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.response().await.status, 100);
    client.send("body").await;
    let response = client.response().await;
    assert_eq!((response.text(), response.header("connection")), ("body", Some("keep-alive")));
    served.drained().await;
}

#[tokio::test]
async fn continue_is_not_said_when_the_body_is_refused() {
    let served = serve_router();
    let mut client = Client::connect(served.address).await;
    client.send("POST /unread HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("connection")), (403, Some("close")));
    served.drained().await;
}

#[tokio::test]
async fn a_small_body_left_unread_costs_no_connection_a_large_one_does() {
    let served = serve_router();
    let mut client = Client::connect(served.address).await;
    let response = post_to(&mut client, "/unread", b"GET /hello HTTP/1.1\r\n").await;
    assert_eq!((response.status, response.header("connection")), (403, Some("keep-alive")));
    assert_eq!(client.get("/hello").await.text(), "hello");
    let response = post_to(&mut client, "/unread", &vec![0; 1 << 17]).await;
    assert_eq!((response.status, response.header("connection")), (403, Some("close")));
    assert!(client.closed_without_a_word().await);
    served.drained().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408_and_a_handler_that_does_not_answer_503() {
    let served = serve_hurried();
    let mut client = Client::connect(served.address).await;
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbod").await;
    let response = client.response().await;
    assert_eq!((response.status, response.reason.as_str()), (408, "Request Timeout"));
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.closed_without_a_word().await);

    let mut client = Client::connect(served.address).await;
    let response = client.get("/never").await;
    assert_eq!((response.status, response.header("connection")), (503, Some("close")));
    assert!(client.closed_without_a_word().await);
    served.drained().await;
}

#[tokio::test]
async fn a_response_that_does_not_end_is_cut_and_not_ended() {
    let served = serve_hurried();
    let mut client = Client::connect(served.address).await;
    client.send("GET /half HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    client.closed_without_a_word().await;
    assert_eq!(client.unread(), b"4\r\nhalf\r\n");
    served.drained().await;
}

#[tokio::test]
async fn a_handler_that_panics_is_500_and_the_next_request_is_served() {
    let served = serve_router();
    let mut client = Client::connect(served.address).await;
    assert_eq!(client.get("/broken").await.status, 500);
    assert_eq!(client.get("/hello").await.text(), "hello");
    served.drained().await;
}

#[tokio::test]
async fn http2_over_tls_has_all_of_it_too() {
    let served = Served::tls(RouterApp::new(router(), AMPLE.drain), AMPLE);
    let (requests, connection) = connect_h2(served.address).await;
    let send = async |method: &str, path: &str, body: Vec<u8>| {
        let uri = format!("https://localhost{path}");
        let request = http::Request::builder().method(method).uri(uri).body(()).unwrap();
        let mut requests = soon(requests.clone().ready()).await.unwrap();
        let (response, mut stream) = requests.send_request(request, body.is_empty()).unwrap();
        let upload = async move {
            for chunk in body.chunks(16 << 10) {
                stream.reserve_capacity(chunk.len());
                while stream.capacity() < chunk.len() {
                    // Refused: what is left is not wanted.
                    let Some(Ok(_)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
                }
                stream.send_data(Bytes::copy_from_slice(chunk), false).unwrap();
            }
            if !body.is_empty() {
                stream.send_data(Bytes::new(), true).unwrap();
            }
        };
        let download = async {
            let (parts, mut body) = response.await.unwrap().into_parts();
            let mut whole = Vec::new();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                whole.extend_from_slice(&data);
            }
            (parts, whole)
        };
        soon(async { tokio::join!(upload, download).1 }).await
    };

    let large = large();
    assert!(send("POST", "/echo", large.clone()).await.1 == large);
    assert!(send("POST", "/stream", large.clone()).await.1 == large);
    let (head, body) = send("HEAD", "/hello", Vec::new()).await;
    assert_eq!((head.status, head.headers["content-length"].as_bytes(), body.len()), (StatusCode::OK, &b"5"[..], 0));
    let (head, body) = send("GET", "/empty", Vec::new()).await;
    assert_eq!((head.status, head.headers.get("content-length"), body.len()), (StatusCode::NO_CONTENT, None, 0));
    let (head, body) = send("GET", "/pieces", Vec::new()).await;
    assert_eq!((head.headers.get("transfer-encoding"), body.as_slice()), (None, &b"abc"[..]));
    let (head, body) = send("POST", "/unread", vec![0; 1 << 15]).await;
    assert_eq!((head.status, body.as_slice()), (StatusCode::FORBIDDEN, &b"no"[..]));
    assert_eq!(send("GET", "/hello", Vec::new()).await.1, b"hello");
    drop(requests);
    soon(connection).await.unwrap();
    served.drained().await;
}

/// Serves through the bridge with an extension and a header of its own.
struct Decorated;

#[async_trait]
impl HttpServerApp for Decorated {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        assert!(session.read_request().await.unwrap());
        drop(session.take_connection_user_context());
        let router = Router::new().route("/", get(async |Extension(word): Extension<&'static str>| word));
        let mut extensions = Extensions::new();
        extensions.insert("carried");
        let decorate = |head: &mut ResponseHeader| head.insert_header("x-request-id", "42").unwrap();
        serve(router, &mut session, extensions, AMPLE.drain, decorate).await.unwrap();
        session.finish().await.unwrap();
        None
    }
}

#[tokio::test]
async fn handlers_see_the_extensions_and_responses_are_decorated() {
    let served = Served::app(Decorated, AMPLE);
    let mut client = Client::connect(served.address).await;
    let response = client.get("/").await;
    assert_eq!((response.text(), response.header("x-request-id")), ("carried", Some("42")));
    served.drained().await;
}
