//! What the fakes have in common: requests taken apart, answers in JSON, and the ways in which they go wrong.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::support::{Upstream, upstream::Recorded};

/// How an endpoint goes wrong.
#[derive(Clone)]
pub enum Fault {
    /// This status, with JSON that says nothing.
    Status(u16),
    /// 200 with this body.
    Body(String),
    /// The good answer, changed.
    Edited(Arc<dyn Fn(&mut Value) + Send + Sync>),
    /// 302 to this URL.
    Redirect(String),
    /// The connection is taken and closed.
    Dropped,
    /// The answer begins and never goes on.
    Silent,
    /// The head comes, and half of the body.
    Stuck,
    /// 100 MB of JSON without an end, in chunks.
    Endless,
    /// As long, and announced.
    Long,
}

impl Fault {
    /// The good answer, changed.
    pub fn edited(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Edited(Arc::new(edit))
    }
}

/// A request to a provider.
pub(super) struct Asked {
    pub path: String,
    /// Of the query, or of a form.
    pub fields: HashMap<String, String>,
    /// The body, if it is JSON.
    pub json: Value,
    pub bearer: Option<String>,
    /// Client id and secret.
    pub basic: Option<(String, String)>,
    /// The base URL that was asked.
    pub base: String,
}

impl Asked {
    fn of(request: &Recorded) -> Self {
        let (path, query) = request.target().split_once('?').unwrap_or((request.target(), ""));
        let fields = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(&request.body));
        let credentials = |scheme| request.header("Authorization").and_then(|value| value.strip_prefix(scheme));
        let decoded =
            |text: &str| form_urlencoded::parse(text.as_bytes()).next().map_or(String::new(), |(key, _)| key.into());
        let basic = credentials("Basic ").and_then(|value| BASE64_STANDARD.decode(value).ok());
        let basic = basic.and_then(|pair| String::from_utf8(pair).ok()).and_then(|pair| {
            let (id, secret) = pair.split_once(':')?;
            Some((decoded(id), decoded(secret)))
        });
        Self {
            path: path.to_owned(),
            json: serde_json::from_slice(&request.body).unwrap_or_default(),
            fields: fields.map(|(key, value)| (key.into(), value.into())).collect(),
            bearer: credentials("Bearer ").map(str::to_owned),
            basic,
            base: format!("http://{}", request.header("Host").unwrap_or_default()),
        }
    }

    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// A fake's endpoints.
pub(super) struct Server {
    upstream: Upstream,
    faults: Arc<Mutex<HashMap<String, Fault>>>,
}

impl Server {
    /// Answers with what `respond` makes of a request, a status and JSON.
    pub async fn start(respond: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let faults: Arc<Mutex<HashMap<String, Fault>>> = Arc::default();
        let upstream = Upstream::answering({
            let faults = faults.clone();
            move |request| {
                let asked = Asked::of(request);
                let fault = faults.lock().expect("no test panicked inside").get(&asked.path).cloned();
                answer(respond(&asked), fault)
            }
        });
        Self { upstream: upstream.await, faults }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.upstream.address)
    }

    pub fn fails(&self, path: &str, fault: Fault) {
        self.faults.lock().expect("no test panicked inside").insert(path.to_owned(), fault);
    }

    pub fn recovers(&self) {
        self.faults.lock().expect("no test panicked inside").clear();
    }

    /// What was asked at this path.
    pub fn asked(&self, path: &str) -> Vec<Recorded> {
        let requests = self.upstream.requests().into_iter();
        requests.filter(|request| request.target().split('?').next() == Some(path)).collect()
    }
}

/// The part of every fake that tests talk to.
macro_rules! fake {
    ($fake:ident) => {
        impl $fake {
            /// From now on this path goes wrong.
            pub fn fails(&self, path: &str, fault: Fault) {
                self.server.fails(path, fault);
            }

            /// From now on nothing does.
            pub fn recovers(&self) {
                self.server.recovers();
            }

            /// How often this path was asked.
            pub fn calls(&self, path: &str) -> usize {
                self.server.asked(path).len()
            }

            /// What this path was asked.
            pub fn asked(&self, path: &str) -> Vec<Recorded> {
                self.server.asked(path)
            }
        }
    };
}
pub(super) use fake;

fn answer((status, mut body): (u16, Value), fault: Option<Fault>) -> Vec<u8> {
    const LENGTH: usize = 100 << 20;
    match fault {
        None => json_answer(status, &body.to_string()),
        Some(Fault::Status(status)) => json_answer(status, &json!({ "message": "CANARY of a provider" }).to_string()),
        Some(Fault::Body(body)) => json_answer(200, &body),
        Some(Fault::Edited(edit)) => {
            edit(&mut body);
            json_answer(status, &body.to_string())
        }
        Some(Fault::Redirect(to)) => {
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into()
        }
        Some(Fault::Dropped) => Vec::new(),
        Some(Fault::Silent) => b"HTTP/1.1 200 OK\r\n".to_vec(),
        Some(Fault::Stuck) => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"sub\":".to_vec(),
        Some(Fault::Endless) => {
            let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{LENGTH:x}\r\n{{");
            [head.into_bytes(), vec![b' '; LENGTH - 1]].concat()
        }
        Some(Fault::Long) => format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n{{").into(),
    }
}

fn json_answer(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Some\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into()
}
