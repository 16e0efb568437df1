use std::{
    io::ErrorKind,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::{Router, routing::get};
use pingora::{
    apps::{HttpServerApp, ReusedHttpStream},
    http::ResponseHeader,
    protocols::http::ServerSession,
    server::ShutdownWatch,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Notify, mpsc},
    time::interval,
};

use super::{testing::*, *};

mod drain;

const SHORT: Duration = Duration::from_millis(200);

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// Answers once it is let; tells when it is entered, and when it is dropped unanswered.
#[derive(Clone, Default)]
struct Gate(Arc<(Notify, Notify, Notify)>);

impl Gate {
    fn router(&self) -> Router {
        let gate = self.clone();
        hello().route("/slow", get(move || gate.clone().pass()))
    }

    async fn pass(self) -> &'static str {
        struct Dropped(Option<Gate>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                if let Some(gate) = self.0.take() {
                    gate.0.2.notify_one();
                }
            }
        }
        self.0.0.notify_one();
        let mut dropped = Dropped(Some(self.clone()));
        self.0.1.notified().await;
        dropped.0 = None;
        "done"
    }

    async fn entered(&self) {
        soon(self.0.0.notified()).await;
    }

    fn open(&self) {
        self.0.1.notify_one();
    }

    async fn dropped(&self) {
        soon(self.0.2.notified()).await;
    }
}

/// Writes `bytes` one by one, a fifth of the deadline apart, until the server closes.
async fn trickle(client: &mut Client, bytes: impl Iterator<Item = u8>) -> Duration {
    let began = Instant::now();
    let mut beat = interval(SHORT / 5);
    let (mut reader, mut writer) = client.stream.split();
    let write = async {
        for byte in bytes {
            beat.tick().await;
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = write => {}
        _ = soon(reader.read_to_end(&mut answer)) => {}
    }
    assert!(answer.is_empty(), "{:?}", String::from_utf8_lossy(&answer));
    began.elapsed()
}

// Binding

#[test]
fn a_taken_port_is_told_with_what_to_do_and_69() {
    let taken = bind_local(None);
    let error = bind(&Settings { address: taken.local_addr(), tls: None }).err().unwrap();
    assert_eq!(error.exit_code(), 69);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on {}: another process listens there already; stop it, or configure another address or port",
            taken.local_addr()
        )
    );
}

#[test]
fn an_address_of_another_machine_is_told_and_69() {
    let error = bind(&Settings { address: "192.0.2.1:0".parse().unwrap(), tls: None }).err().unwrap();
    assert_eq!(error.exit_code(), 69);
    assert!(error.to_string().starts_with("cannot listen on 192.0.2.1:0: no network interface"), "{error}");
}

#[test]
fn tls_files_that_cannot_be_used_are_told_by_path_and_64() {
    let (ours, others) = (Certificate::new(), Certificate::new());
    let garbage = ours.path("garbage.pem");
    std::fs::write(&garbage, "not PEM at all").unwrap();
    let files = ours.files();
    for (cert_file, key_file, path, reason) in [
        (ours.path("absent.pem"), files.key_file.clone(), "absent.pem", "No such file"),
        (files.cert_file.clone(), ours.path("absent.pem"), "absent.pem", "No such file"),
        (garbage.clone(), files.key_file.clone(), "garbage.pem", "no PEM certificate"),
        (files.cert_file.clone(), garbage.clone(), "garbage.pem", "no PEM private key"),
        (files.cert_file.clone(), others.files().key_file, "key.pem", "not the key of the certificate"),
    ] {
        let tls = Some(TlsFiles { cert_file, key_file });
        let error = bind(&Settings { address: "127.0.0.1:0".parse().unwrap(), tls }).err().unwrap();
        assert_eq!(error.exit_code(), 64);
        assert!(error.to_string().contains(path) && error.to_string().contains(reason), "{error}");
    }
}

// Deadlines, in real time

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_at_the_deadline() {
    let served = Served::router(hello(), Limits { header_timeout: SHORT, ..AMPLE });
    let mut client = Client::connect(served.address).await;
    let head = b"GET / HTTP/1.1\r\nHost: ".iter().copied().chain(std::iter::repeat(b'a'));
    let lasted = trickle(&mut client, head).await;
    assert!(lasted >= SHORT / 2 && lasted < HANG / 2, "{lasted:?}");
    served.drained().await;
}

#[tokio::test]
async fn a_second_head_that_trickles_in_is_cut_too() {
    let served = Served::router(hello(), Limits { header_timeout: SHORT, ..AMPLE });
    let mut client = Client::connect(served.address).await;
    assert_eq!(client.get("/").await.text(), "hello");
    let head = b"GET / HTTP/1.1\r\nHost: ".iter().copied().chain(std::iter::repeat(b'a'));
    let lasted = trickle(&mut client, head).await;
    assert!(lasted >= SHORT / 2 && lasted < HANG / 2, "{lasted:?}");
    served.drained().await;
}

#[tokio::test]
async fn empty_lines_do_not_pass_for_a_head() {
    let served = Served::router(hello(), Limits { header_timeout: SHORT, ..AMPLE });
    let mut client = Client::connect(served.address).await;
    let lasted = trickle(&mut client, b"\r\n".iter().copied().cycle()).await;
    assert!(lasted < HANG / 2, "{lasted:?}");
    served.drained().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed() {
    let served = Served::router(hello(), Limits { header_timeout: SHORT, ..AMPLE });
    assert!(Client::connect(served.address).await.closed_without_a_word().await);
    served.drained().await;
}

#[tokio::test]
async fn a_connection_between_requests_is_kept_for_the_idle_time_and_closed_after_it() {
    let served = Served::router(hello(), Limits { header_timeout: SHORT / 4, idle_timeout: SHORT, ..AMPLE });
    let mut client = Client::connect(served.address).await;
    assert_eq!(client.get("/").await.header("connection"), Some("keep-alive"));
    let began = Instant::now();
    assert!(client.closed_without_a_word().await);
    assert!(began.elapsed() >= SHORT / 2, "cut by the wrong deadline: {:?}", began.elapsed());
    served.drained().await;
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_head() {
    let gate = Gate::default();
    let served = Served::router(gate.router(), Limits { header_timeout: SHORT / 4, idle_timeout: SHORT / 4, ..AMPLE });
    let mut client = Client::connect(served.address).await;
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n").await;
    gate.entered().await;
    // Others run into both deadlines meanwhile.
    assert!(Client::connect(served.address).await.closed_without_a_word().await);
    let mut idle = Client::connect(served.address).await;
    idle.get("/").await;
    assert!(idle.closed_without_a_word().await);
    gate.open();
    assert_eq!(client.response().await.text(), "done");
    served.drained().await;
}

#[tokio::test]
async fn a_client_that_stops_taking_its_answer_loses_its_place() {
    let endless = Router::new().route("/", get(async || vec![0_u8; 64 << 20]));
    let served = Served::router(endless, Limits { connections: 1, idle_timeout: SHORT, ..AMPLE });
    let mut greedy = Client::connect(served.address).await;
    greedy.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert_eq!(greedy.head().await.status, 200);
    let mut next = Client::connect(served.address).await;
    next.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert_eq!(next.head().await.status, 200);
    drop((greedy, next));
    served.drained().await;
}

#[tokio::test]
async fn a_head_beyond_the_bound_is_refused_before_its_end() {
    let served = Served::router(hello(), AMPLE);
    let mut client = Client::connect(served.address).await;
    let mut head = b"GET / HTTP/1.1\r\nA: ".to_vec();
    head.resize(2 * MAX_HEAD, b'a');
    let _ = client.stream.write_all(&head).await;
    let refused = client.response().await;
    assert_eq!((refused.status, refused.header("connection")), (431, Some("close")));
    assert_eq!(refused.json()["request_id"].as_str(), refused.header("x-request-id"));
    assert!(client.closed_without_a_word().await);
    served.drained().await;
}

#[tokio::test]
async fn what_the_parser_refuses_is_answered_once_and_in_our_words() {
    async fn refused<S: AsyncRead + AsyncWrite + Unpin>(mut client: Client<S>) {
        assert_eq!(client.get("/").await.text(), "hello");
        client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await;
        let refused = client.response().await;
        assert_eq!((refused.status, refused.header("server")), (400, None));
        assert_eq!(refused.json()["request_id"].as_str(), refused.header("x-request-id"));
        assert!(client.closed_without_a_word().await);
    }
    let plain = Served::router(hello(), AMPLE);
    refused(Client::connect(plain.address).await).await;
    plain.drained().await;
    let tls = Served::tls(RouterApp::new(hello(), HANG), AMPLE);
    refused(Client::over(connect_tls(tls.address, &["http/1.1"]).await)).await;
    tls.drained().await;
}

// The cap

#[tokio::test]
async fn at_the_cap_the_next_connection_waits_for_one_to_close() {
    let (first, second) = (bind_local(None), bind_local(None));
    let addresses = [first.local_addr(), second.local_addr()];
    let (stop, stopped) = watch::channel(false);
    let app = Arc::new(RouterApp::new(hello(), HANG));
    let task = tokio::spawn(serve(vec![first, second], app, unrecorded(), Limits { connections: 2, ..AMPLE }, stopped));

    let mut held = [Client::connect(addresses[0]).await, Client::connect(addresses[1]).await];
    for client in &mut held {
        assert_eq!(client.get("/").await.text(), "hello");
    }
    let mut waiting = Client::connect(addresses[0]).await;
    waiting.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    // Those within the cap are served; the one beyond it is not, though it came first.
    for client in &mut held {
        assert_eq!(client.get("/").await.text(), "hello");
    }
    assert_eq!(waiting.stream.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let [one, mut other] = held;
    drop(one);
    assert_eq!(waiting.response().await.text(), "hello");
    assert_eq!(other.get("/").await.text(), "hello");

    stop.send_replace(true);
    soon(task).await.unwrap().unwrap();
}

// The end of an exchange

#[tokio::test]
async fn an_answer_reaches_a_client_that_sends_all_before_it_reads() {
    let served = Served::router(hello(), AMPLE);
    let mut client = Client::connect(served.address).await;
    client.send("POST /absent HTTP/1.1\r\nHost: test\r\nContent-Length: 8388608\r\n\r\n").await;
    // Closed on what is unread, the connection would be reset, which fails this and on many systems takes the answer
    // with it.
    soon(client.stream.write_all(&vec![0; 8 << 20])).await.unwrap();
    let response = client.response().await;
    assert_eq!((response.status, response.header("connection")), (404, Some("close")));
    served.drained().await;
}

// TLS, and what the app sees

/// Tells of each session: HTTP version, peer, whether it is over TLS.
struct Observer(Mutex<mpsc::UnboundedSender<(http::Version, SocketAddr, SocketAddr, bool)>>);

#[async_trait]
impl HttpServerApp for Observer {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        assert!(session.read_request().await.unwrap());
        drop(session.take_connection_user_context());
        let (peer, local) = (session.client_addr().unwrap(), session.server_addr().unwrap());
        let tls = session.digest().unwrap().ssl_digest.is_some();
        let seen = (session.req_header().version, *peer.as_inet().unwrap(), *local.as_inet().unwrap(), tls);
        self.0.lock().unwrap().send(seen).unwrap();
        let response = ResponseHeader::build(204, None).unwrap();
        session.write_response_header(Box::new(response)).await.unwrap();
        session.finish().await.unwrap();
        None
    }
}

#[tokio::test]
async fn alpn_chooses_the_protocol_and_the_app_sees_peer_and_tls() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let served = Served::tls(Observer(Mutex::new(sender)), AMPLE);

    for alpn in [&["http/1.1"][..], &[]] {
        let stream = connect_tls(served.address, alpn).await;
        let own = stream.get_ref().0.local_addr().unwrap();
        let mut client = Client::over(stream);
        assert_eq!(client.get("/").await.status, 204);
        assert_eq!(seen.recv().await.unwrap(), (http::Version::HTTP_11, own, served.address, true));
    }

    let stream = connect_tls(served.address, &["http/1.1", "h2"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let own = stream.get_ref().0.local_addr().unwrap();
    let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(async move { drop(connection.await) });
    let request = http::Request::get("https://localhost/").body(()).unwrap();
    let (response, _) = requests.send_request(request, true).unwrap();
    assert_eq!(soon(response).await.unwrap().status(), 204);
    assert_eq!(seen.recv().await.unwrap(), (http::Version::HTTP_2, own, served.address, true));
    drop(requests);
    soon(connection).await.unwrap();
    served.drained().await;
}

#[tokio::test]
async fn a_plain_listener_shows_the_peer_too() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let served = Served::app(Observer(Mutex::new(sender)), AMPLE);
    let mut client = Client::connect(served.address).await;
    let own = client.stream.local_addr().unwrap();
    assert_eq!(client.get("/").await.status, 204);
    assert_eq!(seen.recv().await.unwrap(), (http::Version::HTTP_11, own, served.address, false));
    served.drained().await;
}

#[tokio::test]
async fn an_idle_tls_connection_ends_with_close_notify() {
    let served = Served::tls(RouterApp::new(hello(), HANG), Limits { idle_timeout: SHORT, ..AMPLE });
    let mut client = Client::over(connect_tls(served.address, &["http/1.1"]).await);
    client.get("/").await;
    // Without it rustls reports an unexpected end.
    assert_eq!(soon(client.stream.read(&mut [0])).await.unwrap(), 0);
    served.drained().await;
}

#[tokio::test]
async fn a_tls_handshake_that_stalls_is_cut() {
    let served = Served::tls(RouterApp::new(hello(), HANG), Limits { header_timeout: SHORT, ..AMPLE });
    assert!(Client::connect(served.address).await.closed_without_a_word().await);
    // The first bytes of a ClientHello, and no more.
    let mut client = Client::connect(served.address).await;
    client.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await;
    assert!(client.closed_without_a_word().await);
    served.drained().await;
}

#[tokio::test]
async fn http2_that_stalls_before_or_after_its_preface_is_cut() {
    let limits = Limits { header_timeout: SHORT, idle_timeout: SHORT, ..AMPLE };
    let served = Served::tls(RouterApp::new(hello(), HANG), limits);
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // HEADERS of stream 1 without END_HEADERS: CONTINUATION is to follow, and never does.
    let headers = [0, 0, 1, 1, 1, 0, 0, 0, 1, 0x82];
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for said in [
        &preface[..0],
        &preface[..20],
        &preface[..],
        &[&preface[..], &settings].concat(),
        &[&preface[..], &settings, &headers].concat(),
    ] {
        let mut stream = connect_tls(served.address, &["h2"]).await;
        stream.write_all(said).await.unwrap();
        let began = Instant::now();
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
        assert!(began.elapsed() < HANG / 2, "{said:?}");
    }
    served.drained().await;
}
