//! `/api-auth/*` as the contract has it, row by row, over the wire.

mod all;
mod audit;
mod client;
mod convert_token;
mod create;
mod current_user;
mod imported;
mod introspect;
mod invalidate;
mod links;
mod openapi;
mod password;
mod refresh_token;
mod requests;
mod revoke;
mod revoke_token;
mod sessions;
mod sign_in;
mod throttling;
mod token_exchange;
mod well_known;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::support::{Answer, Gateway};

const CREATE: &str = "/api-auth/create/";
const TOKEN: &str = "/api-auth/token";
const CURRENT_USER: &str = "/api-auth/currentUser/";
const ALL: &str = "/api-auth/all/";
const REVOKE: &str = "/api-auth/revoke-token";

const PASSWORD: &str = "violet tractor under 9 moons";

const NO_CREDENTIALS: &str = "Authentication credentials were not provided.";
const BAD_TOKEN: &str = "Invalid token header. No credentials provided.";

/// What a client holds after signing in.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Pair {
    access: String,
    refresh: String,
}

impl Pair {
    #[track_caller]
    fn of(answer: &Answer) -> Self {
        assert!(matches!(answer.status, 200 | 201), "{} {}", answer.status, text(answer));
        let body = answer.json();
        let member = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned();
        Self { access: member("access_token"), refresh: member("refresh_token") }
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[track_caller]
fn assert_answer(answer: &Answer, status: u16, body: &Value) {
    assert_eq!((answer.status, &answer.json()), (status, body));
}

/// An OAuth error without description.
#[track_caller]
fn assert_error(answer: &Answer, status: u16, code: &str) {
    assert_answer(answer, status, &json!({ "error": code }));
}

#[track_caller]
fn assert_unauthorized(answer: &Answer, detail: &str, challenge: &str) {
    assert_answer(answer, 401, &json!({ "detail": detail }));
    assert_eq!(answer.header("WWW-Authenticate"), Some(challenge));
}

fn person(email: &str) -> Value {
    json!({ "email": email, "username": "vera", "first_name": "Vera", "password": PASSWORD })
}

async fn sign_up(gateway: &Gateway, email: &str) -> Pair {
    Pair::of(&gateway.post_json(CREATE, person(email)).await)
}

fn password_request(email: &str) -> Value {
    json!({
        "grant_type": "password", "username": email, "password": PASSWORD,
        "client_id": "web", "client_secret": "quickstart-secret",
    })
}

async fn sign_in(gateway: &Gateway, email: &str) -> Pair {
    Pair::of(&gateway.post_json(TOKEN, password_request(email)).await)
}

fn refresh_request(refresh_token: &str) -> Value {
    json!({
        "grant_type": "refresh_token", "refresh_token": refresh_token,
        "client_id": "web", "client_secret": "quickstart-secret",
    })
}

async fn refresh(gateway: &Gateway, refresh_token: &str) -> Answer {
    gateway.post_json(TOKEN, refresh_request(refresh_token)).await
}

/// `request` with these members put in; null takes one out.
fn with(mut request: Value, members: &Value) -> Value {
    let into = request.as_object_mut().unwrap();
    for (name, value) in members.as_object().unwrap() {
        match value {
            Value::Null => into.remove(name),
            value => into.insert(name.clone(), value.clone()),
        };
    }
    request
}

/// A request spelt out, for what the other ways to send one do not offer.
async fn send(gateway: &Gateway, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let length = (!body.is_empty()).then(|| ("Content-Length".to_owned(), body.len().to_string()));
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).chain(length);
    let lines: Vec<_> = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}", lines.concat());
    gateway.request(format!("{request}\r\n{body}").as_bytes()).await
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
}
