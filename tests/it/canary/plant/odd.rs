//! What is no proper request, too long, by HTTP/2, or to the listener beside.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{FORM, JSON, Scene, post, request};

/// Heads that nobody can read.
pub(super) async fn broken_heads(scene: &mut Scene) {
    let word = scene.canaries.hidden("a head that is none");
    for head in [
        format!("GET /a?{word} HTTP/9.9\r\nHost: {word}!\r\n\r\n{word}\r\n\r\n"),
        format!("GET /a?{word}\r\n\r\n"),
        format!("{word}\r\n\r\n"),
        format!("{word} {word} {word}\r\n\r\n"),
        format!("GET  /{word}?{word} HTTP/1.1\r\n\r\n"),
        format!("GET /a HTTP/1.1\nHost: {word}\n\n"),
        format!("GET /a HTTP/1.1\r\nHost: a\r\n{word}\r\n\r\n"),
        format!("GET /a HTTP/1.1\r\nHost: a\r\nX: b\r\n {word}\r\n\r\n"),
        format!("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: {word}\r\n\r\n"),
        format!("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: -{word}\r\n\r\n"),
        format!("GET /a?{word} HTTP/1.1\r\nHost: a\r\nX: {word}\0\r\n\r\n"),
        format!("GET /a HTTP/1.1\r\nHost: a\r\nHost: {word}\r\n\r\n"),
        format!("GET /a HTTP/1.1\r\nHost: {word}:{word}\r\n\r\n"),
        format!("GET /a?{word} HTTP/1.1\r\nCookie: {word}"),
        format!("CONNECT {word}:443 HTTP/1.1\r\nHost: {word}\r\n\r\n"),
        format!("PRI * HTTP/2.0\r\n\r\n{word}"),
        format!("\u{16}\u{3}\u{1}{word}"),
        // A body that was not announced is another request, whose method is a password.
        format!("GET /a HTTP/1.1\r\nHost: a\r\n\r\n{word} / HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET /dead/a HTTP/1.1\r\nHost: a\r\n\r\n{{\"password\": \"{word}\"}}\r\n\r\n"),
    ] {
        scene.send(head).await;
    }
}

/// Bodies that nobody can read, and ends that come too early.
pub(super) async fn broken_bodies(scene: &mut Scene) {
    let word = scene.canaries.hidden("a body that cannot be read");
    let bodies = [
        (JSON, format!("{{\"password\": \"{word}")),
        (JSON, format!("{{\"password\": {word}}}")),
        (JSON, format!("[\"{word}\"]")),
        (JSON, format!("\"{word}\"")),
        (JSON, format!("{{\"{word}\": 1, \"{word}\": 2}}")),
        (JSON, format!("{{\"grant_type\": [\"{word}\"], \"password\": {{\"{word}\": null}}}}")),
        (JSON, format!("{{\"grant_type\": \"password\", \"username\": 5, \"password\": \"{word}\\ud800\"}}")),
        (JSON, format!("{}{word}", "[".repeat(500))),
        (FORM, format!("grant_type=%zz{word}&{word}=%ff&password={word}%")),
        (FORM, word.clone()),
        (FORM, format!("grant_type={word}&grant_type={word}")),
        (
            "Content-Type: multipart/form-data; boundary=b\r\n",
            format!(
                "--b\r\nContent-Disposition: form-data; name=\"{word}\"; filename=\"{word}\"\r\n\r\n{word}\r\n--b--\r\n"
            ),
        ),
        ("Content-Type: multipart/form-data; boundary=b\r\n", format!("--b\r\n{word}: {word}\r\n\r\n{word}")),
        ("Content-Type: multipart/form-data\r\n", word.clone()),
        ("Content-Type: text/plain\r\n", word.clone()),
        ("", word.clone()),
    ];
    for (kind, body) in bodies {
        for path in ["token", "create/", "convert-token", "revoke", "introspect", "password/", "links/"] {
            scene.send(request("POST", &format!("/api-auth/{path}"), kind, &body)).await;
        }
    }
    let chunked = "Host: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    for target in ["/dead/a", "/observed/a", "/api-auth/token"] {
        for body in [
            format!("Z{word}\r\n"),
            format!("5;{word}\r\nhello\r\n0\r\n{word}: {word}\r\n\r\n"),
            format!("18\r\n{word}"),
        ] {
            scene.send(format!("POST {target} HTTP/1.1\r\n{chunked}{body}")).await;
        }
        scene.send(format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n{word}")).await;
    }
}

/// More of everything than is taken.
pub(super) async fn too_long(scene: &mut Scene) {
    let word = scene.canaries.hidden("what is too long");
    let much = word.repeat(5_000);
    scene.send(request("GET", &format!("/{much}?{much}"), "", "")).await;
    scene.send(request("GET", "/a", &format!("Cookie: {much}\r\n"), "")).await;
    scene.send(request("GET", "/a", &format!("Authorization: Bearer {much}\r\n"), "")).await;
    scene.send(request("GET", "/a", &format!("{word}: {word}\r\n").repeat(500), "")).await;
    let nearly = word.repeat(250);
    scene.send(request("GET", "/a", &format!("Authorization: Bearer {nearly}\r\n"), "")).await;
    scene.send(request("GET", &format!("/a?{nearly}"), "", "")).await;
    for member in ["username", "password", "refresh_token", "client_id", "client_secret"] {
        let mut body = json!({ "grant_type": "password", "username": "v@example.com", "client_id": "web" });
        body[member] = nearly.clone().into();
        scene.send(post("token", &body)).await;
    }
    scene.send(post("token", &json!({ "password": word.repeat(100_000) }))).await;
    scene.send(request("POST", "/dead/a", "Content-Length: 99999999999\r\n", &word)).await;
}

/// The same by HTTP/2.
pub(super) async fn http2(scene: &mut Scene) {
    let tls = ([127, 0, 0, 1], scene.tls).into();
    let word = scene.canaries.hidden("a request over HTTP/2");
    for target in ["/a", "/dead/a", "/observed/a", "/api-auth/token", "/api-auth/currentUser/"] {
        let request = http::Request::post(format!("https://localhost{target}?access_token={word}"))
            .header("authorization", format!("Bearer {word}"))
            .header("cookie", format!("a={word}"))
            .header("x-custom", &word)
            .header(word.to_lowercase(), &word)
            .header("origin", format!("https://{word}"))
            .header("x-forwarded-for", &word)
            .header("traceparent", &word)
            .header("user-agent", &word)
            .header("content-type", "application/x-www-form-urlencoded");
        let body = format!("grant_type=password&username={word}&password={word}&client_id=web&client_secret={word}");
        let answer = scene.certificate.request(tls, request.body(()).unwrap(), body.as_bytes()).await;
        if answer.status != 200 {
            scene.refusals.extend(format!("{:?}", answer.headers).into_bytes());
            scene.refusals.extend(answer.body);
        }
    }
    let query = format!("/a?{word}");
    let fields: [&[(&str, &str)]; 6] = [
        &[(":method", &word), (":scheme", "https"), (":authority", "localhost"), (":path", "/a")],
        &[(":method", "GET"), (":scheme", &word), (":authority", &word), (":path", &query)],
        &[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", &word)],
        &[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/a"), ("X-Upper", &word)],
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", "/a"),
            ("x-bad", "a\r\nb"),
            ("x", &word),
        ],
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", &query),
            ("te", &word),
            (":x", &word),
        ],
    ];
    for fields in fields {
        scene.certificate.raw_request(tls, fields).await;
    }
    let mut stream = scene.certificate.connect(tls, &["h2"]).await;
    stream.write_all(format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{word}{word}").as_bytes()).await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
    scene.send_to(scene.tls, format!("GET /a?{word} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
}

/// The listener beside, for operators.
pub(super) async fn beside(scene: &mut Scene) {
    let word = scene.canaries.hidden("a request to the admin listener");
    for target in [format!("/metrics?token={word}"), format!("/{word}"), format!("/readyz?{word}")] {
        let headers = format!("Authorization: Bearer {word}\r\nX-Custom: {word}\r\n");
        scene.send_to(scene.admin, request("GET", &target, &headers, "")).await;
        scene.send_to(scene.admin, request(&word, &target, &headers, &word)).await;
    }
    scene.send_to(scene.admin, format!("{word}\r\n\r\n")).await;
}
