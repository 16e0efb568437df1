//! The drain.

use super::*;

async fn is_refused(address: SocketAddr) {
    let refused = async {
        // The socket is closed by a task; until then the kernel still takes connections.
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    soon(refused).await;
}

#[tokio::test]
async fn a_drain_with_nothing_open_is_over_at_once() {
    let served = Served::router(hello(), AMPLE);
    let mut client = Client::connect(served.address).await;
    client.get("/").await;
    drop(client);
    let began = Instant::now();
    served.drained().await;
    assert!(began.elapsed() < HANG / 4, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_drain_closes_idle_connections_refuses_new_ones_and_lets_those_in_flight_finish() {
    let gate = Gate::default();
    let served = Served::router(gate.router(), AMPLE);
    let mut fresh = Client::connect(served.address).await;
    let mut idle = Client::connect(served.address).await;
    idle.get("/").await;
    let mut half = Client::connect(served.address).await;
    half.get("/").await;
    half.send("GET / HTTP/1.1\r\nHo").await;
    let mut busy = Client::connect(served.address).await;
    busy.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n").await;
    gate.entered().await;

    served.stop.send_replace(true);
    assert!(idle.closed_without_a_word().await);
    assert!(fresh.closed_without_a_word().await);
    is_refused(served.address).await;
    // A request whose head has begun counts as in flight.
    half.send("st: test\r\n\r\n").await;
    let response = half.response().await;
    assert_eq!((response.text(), response.header("connection")), ("hello", Some("close")));
    assert!(!served.task.is_finished());
    gate.open();
    assert_eq!(busy.response().await.text(), "done");
    assert!(busy.closed_without_a_word().await);
    soon(served.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_drain_that_takes_too_long_is_cut_and_leaves_nothing_running() {
    let gate = Gate::default();
    let served = Served::router(gate.router(), Limits { drain: SHORT, ..AMPLE });
    let mut busy = Client::connect(served.address).await;
    busy.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n").await;
    gate.entered().await;
    served.drained().await;
    gate.dropped().await;
    assert!(busy.closed_without_a_word().await);
}

#[tokio::test]
async fn a_drain_says_goaway_and_lets_streams_in_flight_finish() {
    let gate = Gate::default();
    let served = Served::tls(RouterApp::new(gate.router(), HANG), AMPLE);
    let (requests, connection) = connect_h2(served.address).await;
    let (_idle_requests, idle) = connect_h2(served.address).await;
    let request = http::Request::get("https://localhost/slow").body(()).unwrap();
    let (response, _) = soon(requests.clone().ready()).await.unwrap().send_request(request, true).unwrap();
    gate.entered().await;

    served.stop.send_replace(true);
    soon(idle).await.unwrap();
    is_refused(served.address).await;
    assert!(!served.task.is_finished());
    gate.open();
    let body = soon(response).await.unwrap().into_body().data().await.unwrap().unwrap();
    assert_eq!(body, "done");
    soon(connection).await.unwrap();
    soon(served.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_silent_http2_client() {
    let served = Served::tls(RouterApp::new(hello(), HANG), AMPLE);
    // Nobody drives this connection: it never answers GOAWAY.
    let stream = connect_tls(served.address, &["h2"]).await;
    let (mut requests, mut connection) = h2::client::handshake(stream).await.unwrap();
    let (response, _) =
        requests.send_request(http::Request::get("https://localhost/").body(()).unwrap(), true).unwrap();
    let mut response = std::pin::pin!(response);
    let answered = std::future::poll_fn(|cx| {
        let _ = std::pin::Pin::new(&mut connection).poll(cx);
        response.as_mut().poll(cx)
    });
    assert_eq!(soon(answered).await.unwrap().status(), 200);
    served.drained().await;
    drop(connection);
}

#[tokio::test]
async fn streams_of_http2_do_not_outlive_the_drain() {
    let gate = Gate::default();
    let served = Served::tls(RouterApp::new(gate.router(), HANG), Limits { drain: SHORT, ..AMPLE });
    let (mut requests, _connection) = connect_h2(served.address).await;
    let request = http::Request::get("https://localhost/slow").body(()).unwrap();
    let _response = requests.send_request(request, true).unwrap();
    gate.entered().await;
    served.drained().await;
    gate.dropped().await;
}
