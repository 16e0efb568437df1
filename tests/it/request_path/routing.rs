//! Host, path and methods to an upstream.

use crate::support::{Bench, Upstream};

#[tokio::test]
async fn the_first_route_that_matches_wins() {
    let second = Upstream::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond".to_vec()).await;
    let routes = "  - { match: { path: /, host: b.example }, upstream: second, auth: public }\n  \
                    - { match: { path: /api/ }, upstream: second, auth: public, strip_prefix: /api }\n  \
                    - { match: { path: /form, methods: [POST] }, upstream: second, auth: public }\n  \
                    - { match: { path: /form }, upstream: app, auth: public }\n";
    let gateway =
        Bench::default().routes(routes).upstreams(&format!("  second: http://{}\n", second.address)).start().await;
    for (request, body) in [
        ("GET /x HTTP/1.1\r\nHost: B.example:80\r\n", "second"),
        ("GET /api/v1?q HTTP/1.1\r\nHost: a.example\r\n", "second"),
        ("GET /api HTTP/1.1\r\nHost: a.example\r\n", "second"),
        ("POST /form HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n", "second"),
        ("GET /form/x HTTP/1.1\r\nHost: a.example\r\n", "ok"),
    ] {
        let answer = gateway.request(format!("{request}Connection: close\r\n\r\n")).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, body), "{request}");
    }
    let targets: Vec<String> = second.requests().iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, ["/x", "/v1?q", "/", "/form"]);
    for path in ["/", "/formula", "/apix"] {
        let answer = gateway.get(path, None).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["request_id"].as_str(), answer.header("X-Request-Id"));
    }
}

#[tokio::test]
async fn a_method_beyond_the_usual_seven_passes_where_a_route_names_it() {
    let routes = "  - { match: { path: /dav/, methods: [PROPFIND] }, upstream: app, auth: public }\n";
    let gateway = Bench::default().routes(routes).start().await;
    let answer = gateway.send("PROPFIND", "/dav/a", &[], b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(gateway.upstream.only().line(), "PROPFIND /dav/a HTTP/1.1");
}

#[tokio::test]
async fn requests_go_round_the_servers_of_an_upstream() {
    let servers = [Upstream::start().await, Upstream::start().await, Upstream::start().await];
    let list = servers.iter().map(|server| format!("\"http://{}\"", server.address)).collect::<Vec<_>>().join(", ");
    let gateway = Bench::default()
        .upstreams(&format!("  three: {{ servers: [{list}] }}\n"))
        .routes("  - { match: { path: / }, upstream: three, auth: public }\n")
        .start()
        .await;
    for _ in 0..9 {
        assert_eq!(gateway.get("/a", None).await.status, 200);
    }
    assert_eq!(servers.each_ref().map(|server| server.requests().len()), [3, 3, 3]);
}
