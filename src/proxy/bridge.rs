//! Runs an axum router inside a pingora session.

use std::{
    convert::Infallible,
    future::{Future, pending},
    pin::pin,
    time::Duration,
};

use axum::{Router, body::Body};
use bytes::Bytes;
use futures_util::stream;
use http::{Extensions, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use pingora::{Error, ErrorType, OrErr, Result, http::ResponseHeader, protocols::http::ServerSession};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tower::ServiceExt;

/// A request body that the handler left unread is read away, to keep the connection, when it is declared no longer
/// than this, in bytes, …
const DRAINED: u64 = 64 * 1024;
/// … and comes within this time.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// Answers the request of `session` with `router`. `extensions` are added to the request; `decorate` sees the
/// response head before it is written. `deadline` bounds the whole, request body and response included.
///
/// The request body is read no faster than the handler takes it, and not at all before it asks: only then is
/// `100 Continue` sent (RFC 9110 section 10.1.1). Trailers are dropped.
///
/// # Errors
///
/// [`ErrorType::HTTPStatus`] when the deadline passed before the response began: nothing has been written, and the
/// caller answers with that status, 408 when the client kept us waiting for its body and 503 when the handler did.
/// After any other error the session is shut down.
pub async fn serve(
    router: Router,
    session: &mut ServerSession,
    extensions: Extensions,
    deadline: Duration,
    decorate: impl FnOnce(&mut ResponseHeader) + Send,
) -> Result<()> {
    let deadline = Instant::now() + deadline;
    let (request, mut feed) = request(session, extensions);
    let call = drive(router.oneshot(request), session, &mut feed);
    let Ok(Ok::<_, Infallible>(response)) = timeout_at(deadline, call).await else {
        session.set_keepalive(None);
        let status = if feed.is_some_and(|feed| feed.starved) { 408 } else { 503 };
        return Error::e_explain(ErrorType::HTTPStatus(status), "no response within the deadline");
    };
    let sent = timeout_at(deadline, respond(response, session, &mut feed, decorate)).await;
    let sent =
        sent.unwrap_or_else(|_| Error::e_explain(ErrorType::WriteTimedout, "no whole response within the deadline"));
    if sent.is_err() {
        session.set_keepalive(None);
        session.shutdown().await;
    }
    sent
}

/// Hands the request body on to the handler.
struct Feed {
    chunks: mpsc::Sender<Result<Bytes>>,
    /// Fires when the handler first asks for the body.
    wanted: Option<oneshot::Receiver<()>>,
    expects_continue: bool,
    /// Waiting for the client.
    starved: bool,
}

fn request(session: &mut ServerSession, extensions: Extensions) -> (Request<Body>, Option<Feed>) {
    let mut parts = session.req_header().as_owned_parts();
    parts.extensions.extend(extensions);
    if session.is_body_empty() {
        return (Request::from_parts(parts, Body::empty()), None);
    }
    let expects_continue = parts.version == Version::HTTP_11
        && parts
            .headers
            .get(header::EXPECT)
            .is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let (chunks, mut next) = mpsc::channel(1);
    let (want, wanted) = oneshot::channel();
    let mut want = Some(want);
    let body = Body::from_stream(stream::poll_fn(move |cx| {
        if let Some(want) = want.take() {
            let _ = want.send(());
        }
        next.poll_recv(cx)
    }));
    let feed = Feed { chunks, wanted: Some(wanted), expects_continue, starved: false };
    (Request::from_parts(parts, body), Some(feed))
}

/// Polls `future` while passing request body chunks on to the handler.
async fn drive<F: Future>(future: F, session: &mut ServerSession, feed: &mut Option<Feed>) -> F::Output {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            biased;
            output = &mut future => return output,
            more = pump(session, feed) => if !more {
                *feed = None;
            },
        }
    }
}

/// Passes one chunk on, when the handler has room for it; false when no more will come or is wanted. Nothing is lost
/// when it is dropped in between.
async fn pump(session: &mut ServerSession, feed: &mut Option<Feed>) -> bool {
    let Some(feed) = feed else { return pending().await };
    if let Some(wanted) = &mut feed.wanted {
        if wanted.await.is_err() {
            return false;
        }
        feed.wanted = None;
    }
    let Ok(slot) = feed.chunks.reserve().await else { return false };
    feed.starved = true;
    if feed.expects_continue {
        // pingora gives the connection up with any response before the end of the body, this one included.
        let keepalive = session.get_keepalive();
        if let Err(error) = session.write_continue_response().await {
            slot.send(Err(error));
            return false;
        }
        session.set_keepalive(keepalive);
        feed.expects_continue = false;
    }
    let chunk = session.read_request_body().await.transpose();
    feed.starved = false;
    let Some(chunk) = chunk else { return false };
    let more = chunk.is_ok();
    if !more {
        // Where it ends, and the next request begins, will never be known.
        session.set_keepalive(None);
    }
    slot.send(chunk);
    more
}

async fn respond(
    response: Response<Body>,
    session: &mut ServerSession,
    feed: &mut Option<Feed>,
    decorate: impl FnOnce(&mut ResponseHeader) + Send,
) -> Result<()> {
    if feed.as_ref().is_none_or(|feed| feed.chunks.is_closed()) {
        drain(session, feed.as_ref()).await;
        *feed = None;
    }
    let (parts, mut body) = response.into_parts();
    let mut head = ResponseHeader::from(parts);
    frame(&mut head, body.size_hint().exact(), session)?;
    decorate(&mut head);
    session.write_response_header(Box::new(head)).await?;
    if session.req_header().method == Method::HEAD {
        // HTTP/2 would send what a handler has not left out.
        body = Body::empty();
    }
    while let Some(frame) = drive(body.frame(), session, feed).await {
        let frame = frame.or_err(ErrorType::InternalError, "response body")?;
        if let Ok(data) = frame.into_data() {
            session.write_response_body(data, false).await?;
        }
    }
    session.finish_body().await
}

/// Reads away a small request body that nobody wants. HTTP/1 only: on HTTP/2 it is in no one's way.
async fn drain(session: &mut ServerSession, feed: Option<&Feed>) {
    let declared = session.get_header(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let small = declared.is_some_and(|length: u64| length <= DRAINED);
    // Who waits for 100 Continue sends nothing.
    let held_back = feed.is_some_and(|feed| feed.expects_continue);
    if small && !held_back && !session.is_http2() && !session.is_body_done() {
        // Where this fails the connection is closed after the response.
        let _ = timeout(DRAIN_TIME, session.drain_request_body()).await;
    }
}

/// Frames the response: a handler does not know of HTTP/1.0, of chunks, or of statuses without a body
/// (RFC 9112 section 6).
fn frame(head: &mut ResponseHeader, length: Option<u64>, session: &mut ServerSession) -> Result<()> {
    if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        head.remove_header(&header::CONTENT_LENGTH);
        head.remove_header(&header::TRANSFER_ENCODING);
        return Ok(());
    }
    if head.headers.contains_key(header::CONTENT_LENGTH) || session.req_header().method == Method::HEAD {
        return Ok(());
    }
    match (length, session.req_header().version) {
        (Some(length), _) => head.insert_header(header::CONTENT_LENGTH, length)?,
        (None, Version::HTTP_11) => head.insert_header(header::TRANSFER_ENCODING, "chunked")?,
        // Ended by the end of the connection.
        (None, Version::HTTP_10) => session.set_keepalive(None),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
