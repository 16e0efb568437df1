//! What HTTP/2 can say that HTTP/1.1 cannot, on its way to an upstream that speaks HTTP/1.1.

use tokio::net::TcpListener;

use crate::support::{Bench, Gateway, h2::Certificate};

async fn gateway(certificate: &Certificate) -> Gateway {
    Bench::default().tls(&certificate.cert_pem, &certificate.key_pem).start().await
}

fn post(path: &str) -> http::Request<()> {
    http::Request::post(format!("https://localhost{path}")).body(()).unwrap()
}

#[tokio::test]
async fn a_body_that_ends_in_an_empty_frame_ends_once() {
    let certificate = Certificate::generate();
    let gateway = gateway(&certificate).await;
    for frames in
        [&[(&b""[..], true)][..], &[(b"hello", false), (b"", true)], &[(b"", false), (b"hello", false), (b"", true)]]
    {
        assert_eq!(certificate.request_in_frames(gateway.address, post("/public/a"), frames).await.status, 200);
    }
    // On the same connection to the upstream: a second end of the body would stand before this request.
    let request = http::Request::get("https://localhost/public/b").body(()).unwrap();
    assert_eq!(certificate.request(gateway.address, request, b"").await.status, 200);
    let seen = gateway.upstream.requests();
    let lines: Vec<_> = seen.iter().map(|seen| (seen.line(), seen.body.as_slice())).collect();
    assert_eq!(
        lines,
        [
            ("POST /public/a HTTP/1.1", &b""[..]),
            ("POST /public/a HTTP/1.1", b"hello"),
            ("POST /public/a HTTP/1.1", b"hello"),
            ("GET /public/b HTTP/1.1", b""),
        ]
    );
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let certificate = Certificate::generate();
    let gateway = gateway(&certificate).await;
    for (path, status) in [
        ("/a", 401),
        ("/public/%2e%2e/", 400),
        ("/api-auth/nothing", 404),
        ("/api-auth/token", 405),
        ("/public/a", 200),
    ] {
        let head = http::Request::head(format!("https://localhost{path}")).body(()).unwrap();
        let answer = certificate.request(gateway.address, head, b"").await;
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
    }
}

#[tokio::test]
async fn an_upload_that_stalls_frees_the_upstream_and_is_not_laid_at_its_door() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let certificate = Certificate::generate();
    let gateway = Bench::default()
        .tls(&certificate.cert_pem, &certificate.key_pem)
        .upstreams(&format!("  silent: http://{}\n", silent.local_addr().unwrap()))
        .routes("  - { match: { path: / }, upstream: silent, auth: public, timeouts: { read: 300ms } }\n")
        .start()
        .await;
    let stalled = certificate.request_in_frames(gateway.address, post("/a"), &[(b"half", false)]).await;
    assert_eq!(stalled.status, 408, "{}", stalled.text());
    let whole = certificate.request_in_frames(gateway.address, post("/a"), &[(b"whole", true)]).await;
    assert_eq!(whole.status, 504, "{}", whole.text());
}
