//! One connection: TLS, its requests, its deadlines, its end.

use std::{
    future::poll_fn,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;
use pingora::{
    apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp},
    listeners::tls::Acceptor,
    protocols::{
        ALPN, IO,
        http::{
            ServerSession,
            v2::server::{H2Options, default_h2_options},
        },
    },
    server::ShutdownWatch,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, watch},
    time::{sleep, timeout},
};
use tracing::debug;

use super::{
    Limits,
    progress::{Deadline, Progress},
    refusal::{self, Record},
    socket::{Returned, Socket},
    stream::HttpStream,
};
use crate::telemetry::metrics::Held;

/// Streams a client may have open on one HTTP/2 connection.
const H2_STREAMS: u32 = 100;
/// How long a drain waits for an HTTP/2 client without open streams to take its leave.
const H2_LEAVE: Duration = Duration::from_secs(1);
/// How long we listen on after our last byte. Closing at once on a client that is still sending makes the kernel
/// reset the connection, which can take the answer with it (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);

/// How far the drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Serving.
    Open,
    /// Finishing what is in flight.
    Draining,
    /// Time is up.
    Over,
}

/// What all connections share.
pub(super) struct Shared<A> {
    app: Arc<A>,
    record: Record,
    limits: Limits,
    options: HttpServerOptions,
    h2_options: H2Options,
    stop: ShutdownWatch,
    phase: watch::Receiver<Phase>,
}

impl<A> Shared<A> {
    pub(super) fn new(
        app: Arc<A>,
        record: Record,
        limits: Limits,
        stop: ShutdownWatch,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let mut options = HttpServerOptions::default();
        // Also bounds a header block that trickles in, as long as no other stream is open.
        options.h2_idle_timeout = Some(limits.idle_timeout);
        let mut h2_options = default_h2_options();
        // Counted with 32 bytes a field (RFC 9113 section 6.5.2). Twice as much, so that it is the app that refuses:
        // beyond this the library answers, and with a status alone.
        let list = u32::try_from(limits.header_bytes.saturating_mul(2)).unwrap_or(u32::MAX);
        h2_options.max_concurrent_streams(H2_STREAMS).max_header_list_size(list);
        Self { app, record, limits, options, h2_options, stop, phase }
    }

    /// Resolves when `reached` holds of the phase, or nobody is left to move it on.
    async fn until(&self, reached: impl Fn(Phase) -> bool) {
        let _ = self.phase.clone().wait_for(|phase| reached(*phase)).await;
    }
}

/// A connection, and the app as it sees it: what comes to the app of this connection passes here.
pub(super) struct Connection<A> {
    shared: Arc<Shared<A>>,
    progress: Arc<Progress>,
    streams: AtomicUsize,
    /// Held as long as the connection or a stream of it lives: the drain waits for all of them.
    _slot: OwnedSemaphorePermit,
    _counted: Option<Held>,
}

impl<A: HttpServerApp + Send + Sync + 'static> Connection<A> {
    pub(super) fn new(shared: Arc<Shared<A>>, slot: OwnedSemaphorePermit, counted: Option<Held>) -> Self {
        let progress = Arc::new(Progress::new());
        Self { shared, progress, streams: AtomicUsize::new(0), _slot: slot, _counted: counted }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(self: Arc<Self>, tcp: TcpStream, peer: SocketAddr, tls: Option<Arc<Acceptor>>) {
        let (socket, returned) = Socket::new(tcp, peer);
        let finished = match tls {
            None => self.exchange(socket, peer).await,
            Some(acceptor) => tokio::select! {
                biased;
                shaken = timeout(self.shared.limits.header_timeout, acceptor.tls_handshake(socket)) => match shaken {
                    Ok(Ok(stream)) => self.exchange(stream, peer).await,
                    Ok(Err(error)) => {
                        debug!(%peer, %error, "TLS handshake failed");
                        false
                    }
                    Err(_) => false,
                },
                () = self.shared.until(|phase| phase != Phase::Open) => false,
            },
        };
        if finished {
            tokio::select! {
                _ = timeout(LINGER, linger(returned)) => {}
                () = self.shared.until(|phase| phase != Phase::Open) => {}
            }
        }
    }

    /// Whether the exchange came to its own end, and was not cut.
    async fn exchange(self: &Arc<Self>, io: impl IO + 'static, peer: SocketAddr) -> bool {
        let http2 = matches!(io.selected_alpn_proto(), Some(ALPN::H2));
        let refuse = refusal::to(peer.ip().to_canonical(), &self.shared.record);
        let stream = HttpStream::new(io, Arc::clone(&self.progress), refuse);
        let deadline = Deadline::new(Arc::clone(&self.progress), self.shared.limits);
        tokio::select! {
            // The order matters: what the session does is seen by the others in the same poll.
            biased;
            _ = self.process_new(Box::new(stream), &self.shared.stop) => true,
            () = deadline => false,
            () = self.drained(http2) => false,
        }
    }

    /// Waits for the first bytes of a request. The app would wait for them too, but with all that it needs to answer
    /// it at hand: three times the memory, for a connection that may be idle for minutes.
    async fn await_request(&self, session: &mut ServerSession) {
        if let ServerSession::H1(session) = session {
            self.progress.set_awaited(true);
            // It hands out nothing; what has gone wrong, the app will find out itself.
            let _ = session.idle().await;
            self.progress.set_awaited(false);
        }
    }

    /// Resolves when the drain has no more use for the connection.
    async fn drained(&self, http2: bool) {
        self.shared.until(|phase| phase != Phase::Open).await;
        let over = self.shared.until(|phase| phase == Phase::Over);
        if http2 {
            // pingora has said GOAWAY; a client that is still there has gone by itself within a round trip.
            let left = async {
                let mut quiet = false;
                loop {
                    sleep(H2_LEAVE).await;
                    let now_quiet = self.streams.load(Relaxed) == 0 && !self.progress.is_stalled();
                    if quiet && now_quiet {
                        return;
                    }
                    quiet = now_quiet;
                }
            };
            tokio::select! { () = left => {}, () = over => {} }
        } else {
            let quiet = poll_fn(|_| if self.progress.is_quiet() { Poll::Ready(()) } else { Poll::Pending });
            tokio::select! { () = quiet => {}, () = over => {} }
        }
    }
}

/// Takes in, and throws away, what the peer still sends until it closes too.
async fn linger(mut returned: Returned) {
    let Ok(mut tcp) = returned.try_recv() else { return };
    // Pingora shuts down its side only on some of its ways out.
    if tcp.shutdown().await.is_err() {
        return;
    }
    let mut waste = vec![0; 8192];
    while matches!(tcp.read(&mut waste).await, Ok(1..)) {}
}

/// Counts an open stream.
struct Stream<'a>(&'a AtomicUsize);

impl<'a> Stream<'a> {
    fn open(streams: &'a AtomicUsize) -> Self {
        streams.fetch_add(1, Relaxed);
        Self(streams)
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> HttpServerApp for Connection<A> {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !session.is_http2() {
            session.set_connection_user_context(Some(Box::new(self.progress.expect_head())));
            // Without it, a request sent ahead of an answer is lost, and may take with it the one before.
            session.set_pipelining_enabled(true);
            self.await_request(&mut session).await;
            return self.shared.app.process_new_http(session, shutdown).await;
        }
        // A stream runs in a task of its own, which would outlive the drain.
        let _open = Stream::open(&self.streams);
        tokio::select! {
            biased;
            never_reused = self.shared.app.process_new_http(session, shutdown) => never_reused,
            () = self.shared.until(|phase| phase == Phase::Over) => None,
        }
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.shared.options)
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.shared.h2_options.clone())
    }
}
