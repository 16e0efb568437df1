//! The built-in `whoami` upstream: tells, as JSON, what request it received.
//!
//! For trying things out, and for seeing what a deployment sends its backends. It listens on the loopback interface
//! only, on a port the system chooses; whoever else is on the machine can have a request echoed there, and nothing
//! more. It knows nothing but the request, and the gateway trusts nothing it says.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Json, Router, extract::Request};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::Serialize;
use tokio::{sync::watch, task::JoinHandle};

use crate::listener::{self, BindError, Limits, RouterApp};

/// The largest body that is echoed, in bytes; of a larger one only the size is told.
const ECHOED: usize = 64 * 1024;

/// What it takes; generous, since only the gateway is meant to come.
const LIMITS: Limits = Limits {
    connections: 10_000,
    header_timeout: Duration::from_secs(10),
    // Longer than the gateway keeps its connections to upstreams.
    idle_timeout: Duration::from_mins(10),
    header_bytes: listener::MAX_HEAD,
    drain: Duration::from_secs(5),
};
const DEADLINE: Duration = Duration::from_mins(10);

/// Starts it on the present runtime; it drains and the task ends when `stop` turns true, which should be after the gateway's own drain.
///
/// # Errors
///
/// When the loopback interface has no port to give.
pub fn start(stop: watch::Receiver<bool>) -> Result<(SocketAddr, JoinHandle<()>), BindError> {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let bound = listener::bind(&listener::Settings { address: loopback, tls: None })?;
    let address = bound.local_addr();
    let app = Arc::new(RouterApp::new(router(), DEADLINE));
    let task = tokio::spawn(async move {
        if let Err(error) = listener::serve(vec![bound], app, listener::unrecorded(), LIMITS, stop).await {
            tracing::error!(%error, "the whoami upstream cannot serve");
        }
    });
    Ok((address, task))
}

/// The request as received. Headers are sorted by name, in lower case.
#[derive(Serialize)]
struct Echo {
    method: String,
    path: String,
    query: Option<String>,
    version: String,
    headers: BTreeMap<String, Values>,
    body: EchoedBody,
}

/// One value, or a list when the header was repeated.
#[derive(Serialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

#[derive(Serialize)]
struct EchoedBody {
    /// Bytes.
    size: usize,
    /// When it is UTF-8 and not too long.
    text: Option<String>,
}

fn router() -> Router {
    Router::new().fallback(echo)
}

async fn echo(request: Request) -> Result<Json<Echo>, (StatusCode, String)> {
    let (parts, mut body) = request.into_parts();
    let mut size = 0_usize;
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| (StatusCode::BAD_REQUEST, format!("the body broke off: {error}\n")))?;
        if let Ok(data) = frame.into_data() {
            size = size.saturating_add(data.len());
            if size <= ECHOED {
                kept.extend_from_slice(&data);
            }
        }
    }
    let text = if size <= ECHOED { String::from_utf8(kept).ok() } else { None };
    Ok(Json(Echo {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        version: format!("{:?}", parts.version),
        headers: headers(&parts.headers),
        body: EchoedBody { size, text },
    }))
}

fn headers(map: &HeaderMap) -> BTreeMap<String, Values> {
    let values = |name| {
        let mut values: Vec<_> =
            map.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        match (values.len(), values.pop()) {
            (1, Some(one)) => Values::One(one),
            (_, last) => {
                values.extend(last);
                Values::Many(values)
            }
        }
    };
    map.keys().map(|name| (name.to_string(), values(name))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::listener::testing::Client;

    #[tokio::test]
    async fn it_tells_what_it_received_and_listens_on_loopback_only() {
        let (stop, stopped) = watch::channel(false);
        let (address, task) = start(stopped).unwrap();
        assert!(address.ip().is_loopback());

        let mut client = Client::connect(address).await;
        client
            .send(
                "PURGE /a/%20b;c?q=1&q=2 HTTP/1.1\r\nHost: x.test\r\nX-Twice: 1\r\nContent-Length: 4\r\n\
                 Accept: */*\r\nX-Twice: 2\r\n\r\nbody",
            )
            .await;
        let response = client.response().await;
        assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
        assert_eq!(
            response.json(),
            json!({
                "method": "PURGE",
                "path": "/a/%20b;c",
                "query": "q=1&q=2",
                "version": "HTTP/1.1",
                "headers": { "accept": "*/*", "content-length": "4", "host": "x.test", "x-twice": ["1", "2"] },
                "body": { "size": 4, "text": "body" },
            })
        );

        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n\u{ff}").await;
        assert_eq!(client.response().await.json()["body"], json!({ "size": 2, "text": "\u{ff}" }));
        client.send([&b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"[..], &[0xff]].concat()).await;
        assert_eq!(client.response().await.json()["body"], json!({ "size": 1, "text": Value::Null }));
        let large = "a".repeat(ECHOED + 1);
        client.send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{large}", large.len())).await;
        assert_eq!(client.response().await.json()["body"], json!({ "size": ECHOED + 1, "text": Value::Null }));

        stop.send_replace(true);
        task.await.unwrap();
    }
}
