//! The accepted TCP socket, as the IO type that pingora and its TLS work on.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType, l4::socket::SocketAddr as PingoraAddr, raw_connect::ProxyDigest,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    sync::oneshot,
};

/// A TCP connection without buffers. When dropped it goes back to the [`Returned`] end, so that it can be closed with
/// care: pingora drops a connection wherever it is done with it.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: Option<TcpStream>,
    fd: UniqueIDType,
    digest: Arc<SocketDigest>,
    back: Option<oneshot::Sender<TcpStream>>,
    peer_finished: bool,
}

/// Receives the socket when it is dropped, unless the peer has closed its side: then nothing is left to wait for.
pub(super) type Returned = oneshot::Receiver<TcpStream>;

impl Socket {
    pub(super) fn new(tcp: TcpStream, peer: SocketAddr) -> (Self, Returned) {
        let fd = tcp.as_raw_fd();
        let digest = SocketDigest::from_raw_fd(fd);
        // Both now: a stream of HTTP/2 may ask after the socket has been closed and its number given to another.
        let _ = digest.peer_addr.set(Some(PingoraAddr::Inet(canonical(peer))));
        let _ = digest.local_addr.set(tcp.local_addr().ok().map(|local| PingoraAddr::Inet(canonical(local))));
        let (back, returned) = oneshot::channel();
        (Self { tcp: Some(tcp), fd, digest: Arc::new(digest), back: Some(back), peer_finished: false }, returned)
    }

    fn tcp(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.tcp.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// An IPv4 peer of an IPv6 socket is an IPv4 peer.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let (Some(tcp), Some(back), false) = (self.tcp.take(), self.back.take(), self.peer_finished) {
            // Nobody waits: closed here.
            let _ = back.send(tcp);
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(self.tcp()?.poll_read(cx, buf));
        self.peer_finished = read.is_err() || (buf.filled().len() == before && buf.remaining() > 0);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.tcp()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.tcp()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp()?.poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Socket {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Socket {
    fn id(&self) -> UniqueIDType {
        self.fd
    }
}

impl GetSocketDigest for Socket {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.digest))
    }
}

impl GetTimingDigest for Socket {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Socket {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl Ssl for Socket {}
impl Peek for Socket {}
