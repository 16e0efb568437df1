//! The stream an HTTP session runs on: tells its [`Progress`], and lets a response leave in one piece.

use std::{
    array, fmt, io, iter,
    mem::{self, MaybeUninit},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use async_trait::async_trait;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, IO, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
    raw_connect::ProxyDigest,
    tls::{SslDigest, TlsRef},
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::{
    progress::{Fed, HeadEnd, Progress, Stage},
    refusal::{MALFORMED, Refuse, TOO_LARGE},
};

/// What is held back until a flush: pingora writes head and body apart, and flushes at the end of both. Most
/// answers of our own fit; larger ones go out together with what is held back, uncopied.
const HELD_BACK: usize = 4096;

/// What is read of a request while it is awaited: as much as pingora then reads of a head.
const READ_AHEAD: usize = 4096;

/// Over a plain or a TLS socket. Reads are not buffered: pingora reads heads by 4 KiB and bodies by 64 KiB.
///
/// A request that cannot be read is answered here. Pingora answers it before the app hears of it, with an empty 400
/// in its own name; and a request line with spaces in its target it mends, so that the app would judge other bytes
/// than the client has sent. (Where a request came along with the one before, this cannot see its line.)
pub(super) struct HttpStream<S: IO> {
    io: S,
    progress: Arc<Progress>,
    refuse: Refuse,
    head: HeadEnd,
    /// More than the head of the present request has been read: perhaps the beginning of the next.
    beyond: bool,
    /// Read while a request was awaited, and not handed out yet; no memory while empty.
    ahead: Vec<u8>,
    /// The answer to a request that cannot be read has been given.
    refused: bool,
    /// Written by the session and not yet to `io`; no memory while empty.
    held: Vec<u8>,
    /// How much of `held` has gone.
    gone: usize,
}

impl<S: IO> HttpStream<S> {
    pub(super) fn new(io: S, progress: Arc<Progress>, refuse: Refuse) -> Self {
        let http2 = matches!(io.selected_alpn_proto(), Some(ALPN::H2));
        let head = if http2 { HeadEnd::of_preface() } else { HeadEnd::of_request() };
        Self { io, progress, refuse, head, beyond: false, ahead: Vec::new(), refused: false, held: Vec::new(), gone: 0 }
    }

    /// Takes note of what has come; what comes with a head that cannot be read is not to be passed on.
    fn see(&mut self, bytes: &[u8]) {
        match self.progress.stage() {
            Stage::Opening => self.progress.enter(Stage::FirstHead),
            Stage::Idle => {
                self.head = if self.beyond { HeadEnd::of_rest() } else { HeadEnd::of_request() };
                self.beyond = false;
                self.progress.enter(Stage::Head);
            }
            Stage::FirstHead | Stage::Head => {}
            Stage::Exchange => {
                self.beyond = true;
                return;
            }
        }
        match self.head.feed(bytes) {
            Fed::More => {}
            Fed::Complete => {
                self.beyond = self.head.has_more();
                self.progress.enter(Stage::Exchange);
            }
            Fed::Overlong | Fed::Malformed => self.refuse(),
        }
    }

    /// Waits until there is something to read, as far as it is not known that there is.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.beyond || !self.ahead.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut space = [MaybeUninit::uninit(); READ_AHEAD];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
        self.ahead = read.filled().to_vec();
        Poll::Ready(Ok(()))
    }

    /// Reads what was read ahead, or else what comes.
    fn poll_next(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let left = self.ahead.split_off(buf.remaining().min(self.ahead.len()));
        buf.put_slice(&mem::replace(&mut self.ahead, left));
        Poll::Ready(Ok(()))
    }

    /// Answers, once, a request that the app will never hear of.
    fn refuse(&mut self) {
        if !mem::replace(&mut self.refused, true) {
            let refusal = if self.head.is_too_large() { &TOO_LARGE } else { &MALFORMED };
            self.held.extend((self.refuse)(refusal));
        }
    }

    /// Writes what is held back, and `more` behind it; returns how much of `more` has gone.
    fn poll_out(&mut self, cx: &mut Context<'_>, more: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let held = self.held.get(self.gone..).unwrap_or_default();
            if held.is_empty() && more.iter().all(|buf| buf.is_empty()) {
                self.release();
                return Poll::Ready(Ok(0));
            }
            let mut together: [io::IoSlice<'_>; 8] = array::from_fn(|_| io::IoSlice::new(&[]));
            let mut count = 0;
            let parts = iter::once(held).chain(more.iter().map(|buf| &**buf)).filter(|part| !part.is_empty());
            for (slot, part) in together.iter_mut().zip(parts) {
                *slot = io::IoSlice::new(part);
                count += 1;
            }
            let together = together.get(..count).unwrap_or_default();
            let left = held.len();
            let written = Pin::new(&mut self.io).poll_write_vectored(cx, together);
            self.progress.set_stalled(written.is_pending());
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if written > left || (written == left && more.is_empty()) {
                self.release();
                return Poll::Ready(Ok(written.saturating_sub(left)));
            }
            self.gone = self.gone.saturating_add(written);
        }
    }

    fn release(&mut self) {
        self.held = Vec::new();
        self.gone = 0;
    }
}

impl<S: IO> AsyncRead for HttpStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.refused {
            return Poll::Ready(Ok(()));
        }
        if self.progress.is_awaited() {
            return self.poll_ahead(cx);
        }
        let before = buf.filled().len();
        ready!(self.poll_next(cx, buf))?;
        match buf.filled().get(before..) {
            Some(bytes) if !bytes.is_empty() => self.see(bytes),
            _ => {}
        }
        if self.refused {
            // To the session, the client has gone.
            buf.set_filled(before);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: IO> AsyncWrite for HttpStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        if self.progress.is_unread() {
            self.refuse();
            return Poll::Ready(Ok(length));
        }
        if self.held.len().saturating_add(length) > HELD_BACK {
            return self.poll_out(cx, bufs);
        }
        if self.held.capacity() == 0 {
            self.held.reserve_exact(HELD_BACK);
        }
        for buf in bufs {
            self.held.extend_from_slice(buf);
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx, &[]))?;
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.progress.set_stalled(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx, &[]))?;
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        self.progress.set_stalled(shut.is_pending());
        shut
    }
}

impl<S: IO> Drop for HttpStream<S> {
    /// Passes on, as far as the socket takes it at once, what is held back of an answer cut short; between requests
    /// and after a refusal also the orderly end of TLS. A cut answer gets none: the client shall know (RFC 8446 section 6.1).
    fn drop(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut *self).poll_flush(&mut cx);
        if self.refused || self.progress.stage() == Stage::Idle {
            let _ = Pin::new(&mut *self).poll_shutdown(&mut cx);
        }
    }
}

/// Without the bytes it holds: pingora prints streams into its log.
impl<S: IO> fmt::Debug for HttpStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStream").field("id", &self.id()).field("progress", &self.progress).finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: IO> Shutdown for HttpStream<S> {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl<S: IO> UniqueID for HttpStream<S> {
    fn id(&self) -> UniqueIDType {
        self.io.id()
    }
}

impl<S: IO> Ssl for HttpStream<S> {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.io.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.io.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.io.selected_alpn_proto()
    }
}

impl<S: IO> GetSocketDigest for HttpStream<S> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.io.get_socket_digest()
    }
}

impl<S: IO> GetTimingDigest for HttpStream<S> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.io.get_timing_digest()
    }
}

impl<S: IO> GetProxyDigest for HttpStream<S> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.io.get_proxy_digest()
    }
}

impl<S: IO> Peek for HttpStream<S> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    fn nothing_to_read(side: &mut (impl AsyncRead + Unpin)) -> bool {
        let mut space = [0];
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(side).poll_read(&mut cx, &mut ReadBuf::new(&mut space)).is_pending()
    }

    #[tokio::test]
    async fn head_and_body_of_an_answer_leave_together() {
        let (near, mut far) = duplex(1 << 16);
        let mut stream = HttpStream::new(near, Arc::new(Progress::new()), Arc::new(|_| Vec::new()));
        stream.write_all(b"head").await.unwrap();
        stream.write_all(b"body").await.unwrap();
        assert!(nothing_to_read(&mut far));
        stream.flush().await.unwrap();
        let mut out = [0; 64];
        let length = far.read(&mut out).await.unwrap();
        assert_eq!(&out[..length], b"headbody");
        assert_eq!(stream.held.capacity(), 0, "an idle connection holds no memory");

        // A large body takes the head along.
        stream.write_all(b"head").await.unwrap();
        stream.write_all(&[b'b'; HELD_BACK]).await.unwrap();
        let length = far.read(&mut out).await.unwrap();
        assert_eq!(&out[..length.min(8)], b"headbbbb");
    }

    #[tokio::test]
    async fn what_is_read_while_a_request_is_awaited_is_handed_out_afterwards() {
        let (near, mut far) = duplex(1 << 16);
        let progress = Arc::new(Progress::new());
        let mut stream = HttpStream::new(near, Arc::clone(&progress), Arc::new(|_| Vec::new()));
        progress.set_awaited(true);
        assert!(nothing_to_read(&mut stream), "nothing has come");
        far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "it has, and nothing of it is handed out");
        assert_eq!(progress.stage(), Stage::Opening, "nor counted");

        progress.set_awaited(false);
        let mut out = Vec::new();
        while out.len() < 18 {
            let mut piece = [0; 7];
            let length = stream.read(&mut piece).await.unwrap();
            out.extend_from_slice(&piece[..length]);
        }
        assert_eq!(out, b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(stream.ahead.capacity(), 0, "an idle connection holds no memory");
        assert_eq!(progress.stage(), Stage::Exchange);
    }

    #[tokio::test]
    async fn what_has_come_with_the_request_before_is_not_awaited() {
        let (near, mut far) = duplex(1 << 16);
        let progress = Arc::new(Progress::new());
        let mut stream = HttpStream::new(near, Arc::clone(&progress), Arc::new(|_| Vec::new()));
        far.write_all(b"GET / HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n").await.unwrap();
        let _ = stream.read(&mut [0; 64]).await.unwrap();
        progress.set_awaited(true);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_is_held_back_goes_out_when_the_stream_is_dropped() {
        let (near, mut far) = duplex(1 << 16);
        let mut stream = HttpStream::new(near, Arc::new(Progress::new()), Arc::new(|_| Vec::new()));
        stream.write_all(b"cut short").await.unwrap();
        drop(stream);
        let mut out = Vec::new();
        far.read_to_end(&mut out).await.unwrap();
        assert_eq!(out, b"cut short");
    }

    proptest! {
        #[test]
        fn every_byte_leaves_once_and_in_order(
            writes in prop::collection::vec((prop::collection::vec(0_usize..3000, 1..12), any::<bool>()), 1..12),
            pipe in 1_usize..6000,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (near, mut far) = duplex(pipe);
                let mut counter = 0_u8;
                let writes: Vec<_> = writes
                    .into_iter()
                    .map(|(sizes, flush)| {
                        let piece = |size| std::iter::repeat_with(|| { counter = counter.wrapping_add(1); counter })
                            .take(size)
                            .collect::<Vec<_>>();
                        (sizes.into_iter().map(piece).collect::<Vec<_>>(), flush)
                    })
                    .collect();
                let expected: Vec<u8> = writes.iter().flat_map(|(pieces, _)| pieces.concat()).collect();
                let write = async {
                    let mut stream = HttpStream::new(near, Arc::new(Progress::new()), Arc::new(|_| Vec::new()));
                    for (pieces, flush) in writes {
                        let mut left: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
                        while !left.is_empty() {
                            let slices: Vec<_> = left.iter().map(|piece| io::IoSlice::new(piece)).collect();
                            let mut written = stream.write_vectored(&slices).await.unwrap();
                            left.retain_mut(|piece| {
                                let taken = written.min(piece.len());
                                written -= taken;
                                *piece = &piece[taken..];
                                !piece.is_empty()
                            });
                        }
                        if flush {
                            stream.flush().await.unwrap();
                        }
                    }
                    Shutdown::shutdown(&mut stream).await;
                };
                let mut out = Vec::new();
                let ((), read) = tokio::join!(write, far.read_to_end(&mut out));
                read.unwrap();
                assert!(out == expected);
            });
        }
    }
}
