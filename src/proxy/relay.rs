//! An upstream's answer as the client gets it: what was about the upstream's connection stays behind, and the
//! framing is that of the client's.

use http::{HeaderName, HeaderValue, StatusCode, Version, header};
use pingora::{Error, ErrorType, Result, http::ResponseHeader, proxy::Session};

/// About one connection (RFC 9110 section 7.6.1). An HTTP/2 client takes an answer that has one of them for
/// malformed (RFC 9113 section 8.2.2). `Connection` and `Transfer-Encoding` are pingora's to write; trailers do not
/// pass.
const HOP_BY_HOP: [HeaderName; 5] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];

/// Takes out of `response` what must not pass.
///
/// # Errors
///
/// When the upstream switches protocols, which no request that we forward asks it to.
pub(super) fn clean(session: &mut Session, response: &mut ResponseHeader) -> Result<()> {
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
    }
    for name in nominated(response).iter().chain(&HOP_BY_HOP) {
        response.remove_header(name);
    }
    // Ours is the version of the message (RFC 9110 section 6.2), whatever the upstream speaks.
    response.set_version(Version::HTTP_11);
    frame(session, response)
}

/// What `Connection` names, but for what says where the answer ends.
fn nominated(response: &ResponseHeader) -> Vec<HeaderName> {
    let options =
        response.headers.get_all(header::CONNECTION).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    let names = options.filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok());
    names
        .filter(|name| ![header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(name))
        .collect()
}

fn frame(session: &mut Session, response: &mut ResponseHeader) -> Result<()> {
    // No body, and no word of one (RFC 9110 section 8.6, RFC 9112 section 6.1).
    if response.status.is_informational() || response.status == StatusCode::NO_CONTENT {
        response.remove_header(&header::CONTENT_LENGTH);
        response.remove_header(&header::TRANSFER_ENCODING);
        return Ok(());
    }
    // Said twice, but the same: the client's parser would refuse anything else, and pingora has.
    if let Some(length) = repeated_length(response) {
        response.insert_header(header::CONTENT_LENGTH, length)?;
    }
    // HTTP/1.0 has no chunks (RFC 9112 section 6.1): the end of the connection ends the body.
    if session.req_header().version == Version::HTTP_10 && response.remove_header(&header::TRANSFER_ENCODING).is_some()
    {
        session.set_keepalive(None);
    }
    Ok(())
}

fn repeated_length(response: &ResponseHeader) -> Option<HeaderValue> {
    let mut lengths = response.headers.get_all(header::CONTENT_LENGTH).iter();
    let (first, second) = (lengths.next()?, lengths.next());
    let mut members = first.as_bytes().split(|byte| *byte == b',');
    let length = members.next()?.trim_ascii();
    if second.is_none() && members.next().is_none() {
        return None;
    }
    HeaderValue::from_bytes(length).ok()
}
