//! Providers that are slow, broken, hostile, or not there: each failure is what it is, none takes long, none leaks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use passgate::provider::{Error, Identity};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{Checker, checker};
use crate::support::provider::{
    Facebook, Fault, Google, Oidc, Person,
    facebook::{DEBUG_TOKEN, ME},
    google::{JWKS, TOKENINFO, USERINFO},
    oidc::DISCOVERY,
};

fn ada() -> Person {
    Person::new("u-1").email("ada@example.test")
}

/// The three kinds of failure that are no word about a token.
fn kind(outcome: &Result<Identity, Error>) -> String {
    match outcome {
        Err(Error::Unreachable(_)) => "unreachable".to_owned(),
        Err(Error::Unreadable(_)) => "unreadable".to_owned(),
        Err(Error::Status(status)) => status.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_failure_is_what_it_is_at_every_step() {
    let (google, facebook, oidc) = (Google::start().await, Facebook::start().await, Oidc::start().await);
    let faults = || {
        let status = |status| (Fault::Status(status), status.to_string());
        let unreadable = |body: &str| (Fault::Body(body.to_owned()), "unreadable".to_owned());
        [404, 429, 500, 502, 504, 301].map(status).into_iter().chain([
            (Fault::Status(503), "unreachable".to_owned()),
            (Fault::Dropped, "unreachable".to_owned()),
            (Fault::Redirect("http://127.0.0.1:1/".to_owned()), "302".to_owned()),
            (Fault::Endless, "unreadable".to_owned()),
            (Fault::Long, "unreadable".to_owned()),
            unreadable(""),
            unreadable("<html>CANARY</html>"),
            unreadable("[]"),
            unreadable("null"),
            unreadable("\"text\""),
            unreadable(r#"{"sub": 1, "aud": 1, "keys": 1, "issuer": 1, "data": 1, "name": 1}"#),
            unreadable(r#"{"error": "invalid_token", "sub": "u-1"}"#),
            unreadable("{\"sub\": \"u-1\""),
        ])
    };
    let checker = checker(&[&google.yaml(), &facebook.yaml(), &oidc.yaml("")]);
    for (fault, expected) in faults() {
        for path in [TOKENINFO, USERINFO] {
            google.fails(path, fault.clone());
            assert_eq!(kind(&checker.identify("google-oauth2", &google.user(ada())).await), expected, "{path}");
            google.recovers();
        }
        for path in [DEBUG_TOKEN, ME] {
            facebook.fails(path, fault.clone());
            assert_eq!(kind(&checker.identify("facebook", &facebook.user(ada())).await), expected, "{path}");
            facebook.recovers();
        }
        google.fails(JWKS, fault.clone());
        assert_eq!(kind(&checker.identify("google-oauth2", &google.id_token(&ada())).await), expected);
        google.recovers();
        oidc.fails(DISCOVERY, fault.clone());
        assert_eq!(kind(&checker.identify("company", &oidc.id_token(&ada())).await), expected);
        oidc.recovers();
    }
    // And none of it is held against anybody afterwards.
    assert!(checker.identify("google-oauth2", &google.id_token(&ada())).await.is_ok());
    assert!(checker.identify("facebook", &facebook.user(ada())).await.is_ok());
    assert!(checker.identify("company", &oidc.id_token(&ada())).await.is_ok());
}

#[tokio::test]
async fn keys_and_documents_that_are_refused_are_not_the_token_s_fault() {
    let (google, oidc) = (Google::start().await, Oidc::start().await);
    let checker = checker(&[&google.yaml(), &oidc.yaml("")]);
    for status in [400, 401, 403] {
        google.fails(JWKS, Fault::Status(status));
        assert_eq!(checker.identify("google-oauth2", &google.id_token(&ada())).await, Err(Error::Status(status)));
        oidc.fails(DISCOVERY, Fault::Status(status));
        assert_eq!(checker.identify("company", &oidc.id_token(&ada())).await, Err(Error::Status(status)));
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_unreachable() {
    let gone = Google::start().await;
    let yaml = gone.yaml();
    let token = gone.user(ada());
    drop(gone);
    let nowhere = "company: { type: oidc, issuer: 'http://id.invalid', client_id: passgate }";
    let checker = checker(&[&yaml, nowhere]);
    assert_eq!(kind(&checker.identify("google-oauth2", &token).await), "unreachable");
    let oidc = Oidc::start().await;
    let claims = oidc.id_token_with(&ada(), |claims| claims["iss"] = "http://id.invalid".into());
    assert_eq!(kind(&checker.identify("company", &claims).await), "unreachable");
}

#[tokio::test]
async fn a_silent_provider_costs_five_seconds_and_no_more() {
    let (google, facebook, oidc) = (Google::start().await, Facebook::start().await, Oidc::start().await);
    google.fails(USERINFO, Fault::Silent);
    google.fails(JWKS, Fault::Stuck);
    facebook.fails(DEBUG_TOKEN, Fault::Stuck);
    oidc.fails(DISCOVERY, Fault::Silent);
    let checker = checker(&[&google.yaml(), &facebook.yaml(), &oidc.yaml("")]);
    let (access, id) = (google.user(ada()), google.id_token(&ada()));
    let (of_facebook, of_oidc) = (facebook.user(ada()), oidc.id_token(&ada()));
    let begun = Instant::now();
    let (one, two, three, four) = tokio::join!(
        checker.identify("google-oauth2", &access),
        checker.identify("google-oauth2", &id),
        checker.identify("facebook", &of_facebook),
        checker.identify("company", &of_oidc),
    );
    let took = begun.elapsed();
    for outcome in [one, two, three, four] {
        assert_eq!(kind(&outcome), "unreachable");
    }
    assert!((Duration::from_millis(4_900)..Duration::from_secs(9)).contains(&took), "{took:?}");
    google.recovers();
    assert!(checker.identify("google-oauth2", &access).await.is_ok());
}

#[tokio::test]
async fn checks_beyond_what_one_provider_may_have_are_refused_at_once() {
    let (google, facebook) = (Google::start().await, Facebook::start().await);
    google.fails(TOKENINFO, Fault::Silent);
    let checker = Arc::new(checker(&[&google.yaml(), &facebook.yaml()]));
    let token = google.user(ada());
    let held: Vec<_> = (0..64)
        .map(|_| {
            let (checker, token) = (checker.clone(), token.clone());
            tokio::spawn(async move { checker.identify("google-oauth2", &token).await })
        })
        .collect();
    while google.calls(TOKENINFO) < 64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(checker.identify("google-oauth2", &token).await, Err(Error::Busy));
    assert!(checker.identify("facebook", &facebook.user(ada())).await.is_ok(), "other providers go on");
    for check in held {
        check.abort();
        assert!(check.await.unwrap_err().is_cancelled());
    }
    google.recovers();
    assert!(checker.identify("google-oauth2", &token).await.is_ok(), "whoever gave up has made room");
}

/// Takes one connection, reads a request, writes `bytes` over and over up to `limit`. How much went out.
async fn pouring(head: &'static str, bytes: &'static [u8], limit: usize) -> (Checker, tokio::task::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let poured = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut poured = 0;
        while poured < limit && stream.write_all(bytes).await.is_ok() {
            poured += bytes.len();
        }
        poured
    });
    let endpoints = format!("{{ tokeninfo: '{url}/tokeninfo', userinfo: '{url}/userinfo', jwks: '{url}/jwks' }}");
    (checker(&[&format!("google-oauth2: {{ client_id: a, endpoints: {endpoints} }}")]), poured)
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_on() {
    let limit = 100 << 20;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{";
    let (checker, poured) = pouring(head, &[b' '; 16 * 1024], limit).await;
    assert_eq!(kind(&checker.identify("google-oauth2", "ya29.a").await), "unreadable");
    let poured = poured.await.unwrap();
    // What sockets buffer went out as well.
    assert!(poured < limit / 4, "{poured} of {limit} bytes were taken");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{";
    let (checker, poured) = pouring(head, b"\"aud\": \"a\"}", 11).await;
    assert_eq!(kind(&checker.identify("google-oauth2", "ya29.a").await), "unreachable");
    poured.await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_believed() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let server = tokio::spawn(async move { acceptor.accept(listener.accept().await.unwrap().0).await.is_ok() });
    let checker =
        checker(&[&format!("facebook: {{ client_id: a, client_secret: b, endpoints: {{ graph: '{url}' }} }}")]);
    assert_eq!(kind(&checker.identify("facebook", "EAAG").await), "unreachable");
    assert!(!server.await.unwrap(), "we hung up");
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    for head in ["SSH-2.0-OpenSSH_9.6\r\n\r\n", "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n{}", "HTTP/1.1 999999 OK\r\n\r\n"] {
        let (checker, poured) = pouring(head, b" ", 1).await;
        assert_eq!(kind(&checker.identify("google-oauth2", "ya29.a").await), "unreachable", "{head:?}");
        poured.abort();
    }
}
