//! How far a connection has come with its present request, and how long it may take over it.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use memchr::{memchr, memchr_iter};
use tokio::time::{Instant, Sleep, sleep};

use super::Limits;

/// The longest HTTP/1 head that is read, in bytes: a bound on memory, well above any limit that the app may have.
pub const MAX_HEAD: usize = 256 * 1024;

/// The most lines of a head that pingora takes, and its longest target, in bytes.
const PARSER_LINES: usize = 256;
const PARSER_TARGET: usize = 65534;

/// The length of the preface that an HTTP/2 client begins with.
const H2_PREFACE: usize = 24;

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    /// Nothing has come yet; the first head is due.
    Opening,
    /// The first head has begun.
    FirstHead,
    /// Between two requests.
    Idle,
    /// A later head has begun.
    Head,
    /// A whole head has come: the request is being answered. HTTP/2 stays here from its preface on.
    Exchange,
}

/// The stage of one connection, told by its stream and read by its [`Deadline`]. Both run in the connection's one
/// task, the stream first, so that no change needs to wake anyone.
#[derive(Debug)]
pub(super) struct Progress {
    stage: AtomicU8,
    stalled: AtomicBool,
    unread: AtomicBool,
    awaited: AtomicBool,
    /// Counts the waits begun.
    wait: AtomicU32,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            stage: AtomicU8::new(Stage::Opening as u8),
            stalled: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            awaited: AtomicBool::new(false),
            wait: AtomicU32::new(0),
        }
    }

    pub(super) fn stage(&self) -> Stage {
        [Stage::Opening, Stage::FirstHead, Stage::Idle, Stage::Head]
            .into_iter()
            .find(|stage| *stage as u8 == self.stage.load(Relaxed))
            .unwrap_or(Stage::Exchange)
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Relaxed);
        // The first head is due from the start, whenever it begins.
        if stage != Stage::FirstHead {
            self.wait.fetch_add(1, Relaxed);
        }
    }

    /// The next HTTP/1 request may come.
    pub(super) fn expect_head(self: &Arc<Self>) -> Unread {
        if self.stage() == Stage::Exchange {
            self.enter(Stage::Idle);
        }
        self.unread.store(true, Relaxed);
        Unread(Arc::clone(self))
    }

    /// Whether the app has no request to answer: what is written now is not its answer.
    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// Whether reads are to take in what comes and to hand out nothing of it yet.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.load(Relaxed)
    }

    pub(super) fn set_awaited(&self, awaited: bool) {
        self.awaited.store(awaited, Relaxed);
    }

    /// Whether nothing of a request has come.
    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.stage(), Stage::Opening | Stage::Idle) && !self.is_stalled()
    }

    /// Whether the peer has stopped taking what we write.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }

    pub(super) fn set_stalled(&self, stalled: bool) {
        if self.stalled.load(Relaxed) != stalled {
            self.stalled.store(stalled, Relaxed);
            self.wait.fetch_add(1, Relaxed);
        }
    }
}

/// A request that is still to be read. It goes with the session as pingora's "connection user context", of which the
/// proxy lets go once it has read the request's head, and only after the answer of its own where it cannot read it.
pub(super) struct Unread(Arc<Progress>);

impl Drop for Unread {
    fn drop(&mut self) {
        self.0.unread.store(false, Relaxed);
        // A request sent along with the one before came through no read of its own.
        if self.0.stage() != Stage::Exchange {
            self.0.enter(Stage::Exchange);
        }
    }
}

/// Ends when a connection has taken too long: over a head, between requests, or in taking what we write.
pub(super) struct Deadline {
    progress: Arc<Progress>,
    limits: Limits,
    wait: u32,
    sleep: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(super) fn new(progress: Arc<Progress>, limits: Limits) -> Self {
        Self { progress, limits, wait: 0, sleep: Box::pin(sleep(limits.header_timeout)) }
    }

    fn patience(&self) -> Option<Duration> {
        if self.progress.is_stalled() {
            return Some(self.limits.idle_timeout);
        }
        match self.progress.stage() {
            Stage::Opening | Stage::FirstHead | Stage::Head => Some(self.limits.header_timeout),
            Stage::Idle => Some(self.limits.idle_timeout),
            Stage::Exchange => None,
        }
    }
}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(patience) = self.patience() else { return Poll::Pending };
        let wait = self.progress.wait.load(Relaxed);
        if self.wait != wait {
            self.wait = wait;
            // One timer a connection, moved on: cheaper than one a request.
            self.sleep.as_mut().reset(Instant::now() + patience);
        }
        self.sleep.as_mut().poll(cx)
    }
}

/// Finds the end of an HTTP/1 head as pingora's parser does: an empty line after the request line, CRLF or bare LF,
/// empty lines in front skipped. Of HTTP/2 it takes the client's preface for a head: what follows is no longer ours
/// to count.
#[derive(Debug)]
pub(super) struct HeadEnd {
    at: At,
    length: usize,
    /// Lines that have ended.
    lines: usize,
    /// In the request line.
    spaces: usize,
    /// The beginning may have come before, with what is not ours to count.
    cut: bool,
    /// Something came with the end that is behind it.
    more: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Preface,
    Front,
    Line,
    LineStart,
    LineStartCr,
}

/// What a piece of a head amounts to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fed {
    More,
    Complete,
    /// Longer than [`MAX_HEAD`].
    Overlong,
    /// Its first line is no request line.
    Malformed,
}

impl HeadEnd {
    /// Of the next HTTP/1 request.
    pub(super) fn of_request() -> Self {
        Self { at: At::Front, length: 0, lines: 0, spaces: 0, cut: false, more: false }
    }

    /// Of the next HTTP/1 request, the beginning of which may have come with the request before.
    pub(super) fn of_rest() -> Self {
        Self { cut: true, ..Self::of_request() }
    }

    /// Of an HTTP/2 connection: 24 bytes (RFC 9113 section 3.4).
    pub(super) fn of_preface() -> Self {
        Self { at: At::Preface, ..Self::of_request() }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Fed {
        self.length = self.length.saturating_add(bytes.len());
        if self.at == At::Preface {
            return if self.length < H2_PREFACE { Fed::More } else { Fed::Complete };
        }
        // The usual request comes in one piece and has no body.
        if self.at == At::Front && bytes.ends_with(b"\r\n\r\n") && bytes.first().is_some_and(|b| !b"\r\n".contains(b)) {
            return self.whole(bytes);
        }
        for (index, byte) in bytes.iter().enumerate() {
            self.at = match (self.at, byte) {
                (At::LineStart | At::LineStartCr, b'\n') => {
                    self.more = index + 1 < bytes.len();
                    return Fed::Complete;
                }
                (At::Front, b'\r' | b'\n') => At::Front,
                (At::Line, b'\n') => {
                    self.lines += 1;
                    if self.is_no_request_line() {
                        return Fed::Malformed;
                    }
                    At::LineStart
                }
                (At::LineStart, b'\r') => At::LineStartCr,
                (_, byte) => {
                    self.spaces += usize::from(self.lines == 0 && *byte == b' ');
                    At::Line
                }
            };
        }
        if self.length > MAX_HEAD { Fed::Overlong } else { Fed::More }
    }

    fn whole(&mut self, head: &[u8]) -> Fed {
        let request_line = memchr(b'\n', head).and_then(|end| head.get(..end)).unwrap_or_default();
        self.spaces = memchr_iter(b' ', request_line).count();
        let mut empty = 0_usize;
        let mut start = 0;
        for end in memchr_iter(b'\n', head) {
            self.lines += 1;
            empty += usize::from(matches!(head.get(start..end), Some([] | [b'\r'])));
            start = end + 1;
        }
        self.more = empty > 1;
        if self.is_no_request_line() { Fed::Malformed } else { Fed::Complete }
    }

    /// `method SP target SP version` (RFC 9112 section 3).
    fn is_no_request_line(&self) -> bool {
        !self.cut && self.spaces != 2
    }

    /// Whether something came with the end that is behind it.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    /// Whether pingora would not read a head like this one, however well it is formed.
    pub(super) fn is_too_large(&self) -> bool {
        self.lines > PARSER_LINES || self.length > PARSER_TARGET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(head: &[u8]) -> Fed {
        HeadEnd::of_request().feed(head)
    }

    /// Byte by byte; how many were taken up to the end.
    fn trickled(head: &[u8]) -> Option<usize> {
        let mut end = HeadEnd::of_request();
        head.iter().position(|byte| end.feed(&[*byte]) == Fed::Complete).map(|at| at + 1)
    }

    #[test]
    fn a_head_ends_at_its_empty_line_however_it_is_cut() {
        for head in
            [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"GET / HTTP/1.1\n\n", b"\r\n\nGET / HTTP/1.1\r\nA: b\n\r\n"]
        {
            assert_eq!(whole(head), Fed::Complete);
            assert_eq!(trickled(head), Some(head.len()));
            let mut with_body = head.to_vec();
            with_body.extend_from_slice(b"body");
            assert_eq!(whole(&with_body), Fed::Complete);
        }
    }

    #[test]
    fn a_preface_ends_with_its_last_byte() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let mut end = HeadEnd::of_preface();
        assert!(preface.iter().take(23).all(|byte| end.feed(&[*byte]) == Fed::More));
        assert_eq!(end.feed(b"\n"), Fed::Complete);
        assert_eq!(HeadEnd::of_preface().feed(preface), Fed::Complete);
    }

    #[test]
    fn empty_lines_in_front_end_nothing() {
        assert_eq!(whole(b"\r\n\r\n"), Fed::More);
        assert_eq!(trickled(b"\r\n\r\n\n\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n"), None);
        assert_eq!(trickled(b"GET / HTTP/1.1\r\n\r\r\nA: b\r\n"), None);
    }

    /// Whatever the scanner takes for a whole head, the parser must not wait for more of: else that wait is unbounded.
    #[test]
    fn what_counts_as_whole_is_whole_or_refused_to_the_parser() {
        proptest::proptest!(|(head in "[\r\n A:/]{0,8}(GET / HTTP/1.1)?[\r\nA: b\t]{0,24}")| {
            let waits = {
                let mut headers = [httparse::EMPTY_HEADER; 64];
                matches!(httparse::Request::new(&mut headers).parse(head.as_bytes()), Ok(httparse::Status::Partial))
            };
            let complete = trickled(head.as_bytes()).is_some();
            proptest::prop_assert!(!(complete && waits), "{head:?}");
        });
    }

    #[test]
    fn a_head_without_end_is_cut_at_its_bound() {
        let mut end = HeadEnd::of_request();
        assert_eq!(end.feed(b"GET / HTTP/1.1\r\n"), Fed::More);
        let line = [b'a'; 1024];
        let pieces = std::iter::repeat_with(|| end.feed(&line)).take_while(|fed| *fed == Fed::More).count();
        assert_eq!(pieces, MAX_HEAD / line.len() - 1);
    }
}
