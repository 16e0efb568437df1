//! Listeners: bound sockets, the accept loop, TLS, limits and the drain.
//!
//! The same code serves in production and in tests, on the runtime it is called on: no server object of pingora's,
//! no signals, no fixed ports. A connection's way: [`serve`] accepts it, `connection` runs it, `stream` is what the
//! app reads and writes, `progress` says how long it may take.

mod connection;
mod progress;
mod refusal;
mod router_app;
mod socket;
mod stream;
pub mod tls;

use std::{
    future::poll_fn,
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use pingora::{apps::HttpServerApp, listeners::tls::Acceptor};
use socket2::SockRef;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, timeout},
};
use tracing::{debug, warn};

use connection::{Connection, Phase, Shared};
pub use progress::MAX_HEAD;
pub use refusal::{Record, unrecorded};
pub use router_app::RouterApp;

use crate::telemetry::metrics::{Held, Metrics};

/// Connections the kernel keeps for us until we accept them; it may allow fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;
/// How long accepting pauses when the machine has no more to give (file descriptors, memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often, at most, the same complaint of the accept loop is logged.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);
/// What connections cut at the end of the drain get to unwind.
const UNWIND: Duration = Duration::from_secs(1);

/// An address we accept on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where.
    pub address: SocketAddr,
    /// With TLS when present.
    pub tls: Option<TlsFiles>,
}

/// A certificate chain and its key, PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Leaf first.
    pub cert_file: PathBuf,
    /// PKCS#8, SEC1 or PKCS#1.
    pub key_file: PathBuf,
}

/// Bounds on what clients may hold open.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections over all listeners. When all are taken nothing is accepted until one closes: the next ones
    /// wait in the kernel's queue, which costs us nothing and loses nobody in a short burst.
    pub connections: usize,
    /// From the first byte of a request (or the accept, or the end of TLS) to the end of its head. Also for a TLS
    /// handshake.
    pub header_timeout: Duration,
    /// Between two requests, and between two reads or writes within one.
    pub idle_timeout: Duration,
    /// Longest request head that the app takes, bytes.
    pub header_bytes: usize,
    /// How long a drain may take.
    pub drain: Duration,
}

/// A bound socket with its TLS material read: nothing can go wrong any more before serving.
pub struct Bound {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Acceptor>>,
    metrics: Option<Arc<Metrics>>,
}

/// An address that cannot be served (exit code 69), or TLS files that cannot be used (64).
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address}: {}", explain(source))]
    Address {
        /// As configured.
        address: SocketAddr,
        /// As the system says it.
        source: io::Error,
    },
    /// A file is missing, unreadable or not what it should be.
    #[error("cannot use the TLS file {}: {reason}", path.display())]
    Tls {
        /// As configured.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl BindError {
    /// What the process ends with (sysexits): 69 for an address out of reach, 64 for a mistake in the configuration.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Address { .. } => 69,
            Self::Tls { .. } => 64,
        }
    }
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => {
            "another process listens there already; stop it, or configure another address or port".to_owned()
        }
        ErrorKind::AddrNotAvailable => {
            "no network interface of this machine has that address; configure one that it has, or 0.0.0.0 for all"
                .to_owned()
        }
        ErrorKind::PermissionDenied => {
            "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE, or configure a higher port".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Binds an address and reads its TLS files.
pub fn bind(settings: &Settings) -> Result<Bound, BindError> {
    let tls = settings.tls.as_ref().map(tls::acceptor).transpose()?;
    let unserved = |source| BindError::Address { address: settings.address, source };
    // The standard library sets SO_REUSEADDR, so that a restart need not wait, and a queue too short for us.
    let socket = TcpListener::bind(settings.address).map_err(unserved)?;
    SockRef::from(&socket).listen(BACKLOG).map_err(unserved)?;
    socket.set_nonblocking(true).map_err(unserved)?;
    let address = socket.local_addr().map_err(unserved)?;
    Ok(Bound { socket, address, tls, metrics: None })
}

/// Reads the TLS files of an address, when it has any, without listening there.
pub fn check(settings: &Settings) -> Result<(), BindError> {
    settings.tls.as_ref().map(tls::acceptor).transpose().map(drop)
}

impl Bound {
    /// Counts its open connections.
    #[must_use]
    pub fn counted_in(mut self, metrics: &Arc<Metrics>) -> Self {
        self.metrics = Some(Arc::clone(metrics));
        self
    }

    /// Where it listens; tells the port when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Serves every connection of `bound` with `app` until `stop` turns true (or its sender is dropped), then drains: no
/// new connections, idle ones closed at once, those in flight until done or `limits.drain` has passed.
///
/// The app's own server options are not asked for: the listener sets those of HTTP/2 itself. Its `http_cleanup` is
/// not called either: pingora's proxy would then drop requests whose head is still coming in.
///
/// Once it has read a request the app takes the session's connection user context and drops it, as pingora's proxy
/// does: an HTTP/1 answer before that is taken for one to a request that cannot be read, and the listener gives its
/// own in its place. `record` is told of each.
///
/// # Errors
///
/// When a socket cannot be registered with the runtime, before anything is accepted.
pub async fn serve<A: HttpServerApp + Send + Sync + 'static>(
    bound: Vec<Bound>,
    app: Arc<A>,
    record: Record,
    limits: Limits,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut listeners = bound.into_iter().map(Listener::new).collect::<io::Result<Vec<_>>>()?;
    let all = u32::try_from(limits.connections.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let slots = Arc::new(Semaphore::new(all as usize));
    let (phase, phases) = watch::channel(Phase::Open);
    let shared = Arc::new(Shared::new(app, record, limits, stop.clone(), phases));

    let mut stopped = stop;
    tokio::select! {
        () = accept(&mut listeners, &slots, &shared) => {}
        _ = stopped.wait_for(|stop| *stop) => {}
    }
    drop(listeners);

    phase.send_replace(Phase::Draining);
    if timeout(limits.drain, slots.acquire_many(all)).await.is_err() {
        let open = (all as usize).saturating_sub(slots.available_permits());
        warn!(open, "drain time is over; connections are cut");
        phase.send_replace(Phase::Over);
        let _ = timeout(UNWIND, slots.acquire_many(all)).await;
    }
    Ok(())
}

struct Listener {
    socket: tokio::net::TcpListener,
    tls: Option<Arc<Acceptor>>,
    metrics: Option<Arc<Metrics>>,
}

struct Accepted {
    tcp: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<Acceptor>>,
    counted: Option<Held>,
}

impl Listener {
    fn new(bound: Bound) -> io::Result<Self> {
        let Bound { socket, tls, metrics, .. } = bound;
        Ok(Self { socket: tokio::net::TcpListener::from_std(socket)?, tls, metrics })
    }

    fn accepted(&self, (tcp, peer): (TcpStream, SocketAddr)) -> Accepted {
        let counted = self.metrics.as_ref().map(|metrics| metrics.connection_opened());
        Accepted { tcp, peer, tls: self.tls.clone(), counted }
    }
}

/// Accepts and spawns for ever. One loop over all listeners, so that the one free slot it holds while waiting is
/// free for any of them.
async fn accept<A: HttpServerApp + Send + Sync + 'static>(
    listeners: &mut [Listener],
    slots: &Arc<Semaphore>,
    shared: &Arc<Shared<A>>,
) {
    let mut full = Complaint::default();
    let mut failing = Complaint::default();
    loop {
        let Some(slot) = free_slot(slots, &mut full).await else { return };
        match next(listeners).await {
            Ok(Accepted { tcp, peer, tls, counted }) => {
                // Answers leave in whole pieces; waiting for more to send only delays them.
                let _ = tcp.set_nodelay(true);
                let connection = Arc::new(Connection::new(Arc::clone(shared), slot, counted));
                tokio::spawn(connection.run(tcp, peer, tls));
            }
            // This one has gone again (accept(2)); the next one has not.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {
                debug!(%error, "a connection ended before it was accepted");
            }
            Err(error) => {
                if failing.is_due() {
                    warn!(%error, "cannot accept connections; trying again");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// `None` never comes: the semaphore is not closed.
async fn free_slot(slots: &Arc<Semaphore>, full: &mut Complaint) -> Option<OwnedSemaphorePermit> {
    if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
        return Some(slot);
    }
    if full.is_due() {
        warn!("`limits.connections` is reached; new connections wait");
    }
    Arc::clone(slots).acquire_owned().await.ok()
}

/// The next connection of any listener. The listener that had one is asked last the next time.
async fn next(listeners: &mut [Listener]) -> io::Result<Accepted> {
    let (at, accepted) = poll_fn(|cx| {
        for (at, listener) in listeners.iter().enumerate() {
            if let Poll::Ready(accepted) = listener.socket.poll_accept(cx) {
                return Poll::Ready((at, accepted.map(|accepted| listener.accepted(accepted))));
            }
        }
        Poll::Pending
    })
    .await;
    if let Some(rest) = listeners.get_mut(at..) {
        rest.rotate_left(1);
    }
    accepted
}

/// Something worth a line in the log, but not one each time.
#[derive(Default)]
struct Complaint(Option<Instant>);

impl Complaint {
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.0.is_none_or(|last| now.duration_since(last) >= COMPLAIN_EVERY);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
