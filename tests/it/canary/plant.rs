//! Every place where something can be planted, and that what is planted gets as far as it can.

mod odd;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::Scene;
use crate::support::provider::Person;

const JSON: &str = "Content-Type: application/json\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn request(method: &str, target: &str, headers: &str, body: &str) -> String {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}{length}\r\n{body}")
}

fn post(path: &str, body: &Value) -> String {
    request("POST", &format!("/api-auth/{path}"), JSON, &body.to_string())
}

fn post_as(path: &str, bearer: &str, body: &Value) -> String {
    let headers = format!("{JSON}Authorization: Bearer {bearer}\r\n");
    request("POST", &format!("/api-auth/{path}"), &headers, &body.to_string())
}

/// The body of an answer, which has to be a success.
fn good(answer: &str) -> Value {
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or(Value::Null)
}

pub async fn everywhere(scene: &mut Scene) {
    let bearer = people(scene).await;
    clients(scene).await;
    tokens(scene, &bearer).await;
    providers(scene, &bearer).await;
    targets(scene).await;
    headers(scene, &bearer).await;
    odd::broken_heads(scene).await;
    odd::broken_bodies(scene).await;
    odd::too_long(scene).await;
    odd::http2(scene).await;
    odd::beside(scene).await;
}

/// Names, addresses and passwords. The answer: a bearer.
async fn people(scene: &mut Scene) -> String {
    let address = format!("{}@example.com", scene.canaries.kept("the address of an account"));
    let username = scene.canaries.kept("the username of an account");
    let name = scene.canaries.kept("the first name of an account");
    let first = format!("{} é+/&\"%", scene.canaries.hidden("the password of a sign-up"));
    let sign_up = json!({ "email": address, "username": username, "first_name": name, "password": first });
    good(&scene.send(post("create/", &sign_up)).await);
    scene.send(post("create/", &sign_up)).await;
    for member in ["email", "username", "first_name", "password", "last_name", "unknown"] {
        let long = format!("{}\n{}", scene.canaries.hidden(&format!("{member}, wrong")), "x".repeat(3000));
        let mut wrong = sign_up.clone();
        wrong[member] = long.into();
        scene.send(post("create/", &wrong)).await;
        let mut wrong = sign_up.clone();
        wrong[member] = json!({ scene.canaries.hidden(&format!("a key within {member}")): 1 });
        scene.send(post("create/", &wrong)).await;
    }
    let unknown = scene.canaries.hidden("a field that there is not");
    scene.send(post("create/", &json!({ unknown.clone(): unknown }))).await;

    let secret = scene.client_secret.clone();
    let sign_in = |username: &str, password: &str| {
        json!({ "grant_type": "password", "username": username, "password": password,
                "client_id": "web", "client_secret": secret })
    };
    let wrong = scene.canaries.hidden("a wrong password");
    scene.send(post("token", &sign_in(&address, &wrong))).await;
    let nobody = scene.canaries.hidden("the address of a stranger");
    let their = scene.canaries.hidden("the password of a stranger");
    scene.send(post("token", &sign_in(&format!("{nobody}@example.com"), &their))).await;
    let in_field = scene.canaries.hidden("a password in the field of the address");
    scene.send(post("token", &sign_in(&in_field, "x"))).await;
    let form = |password: &str| {
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", "password"), ("username", &*address), ("password", password)])
            .extend_pairs([("client_id", "web"), ("client_secret", &*secret)])
            .finish()
    };
    let body = form(&format!("{} é", scene.canaries.hidden("a wrong password in a form")));
    scene.send(request("POST", "/api-auth/token", FORM, &body)).await;
    let in_parts = scene.canaries.hidden("a wrong password in a multipart body");
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let body = [
        part("grant_type", "password"),
        part("username", &address),
        part("password", &in_parts),
        part("client_id", "web"),
        part("client_secret", &secret),
        "--b--\r\n".to_owned(),
    ];
    let multipart = "Content-Type: multipart/form-data; boundary=b\r\n";
    scene.send(request("POST", "/api-auth/token", multipart, &body.concat())).await;

    let agent = scene.canaries.kept("the user agent of a sign-in");
    let signing_in = request("POST", "/api-auth/token", &format!("{FORM}User-Agent: {agent}\r\n"), &form(&first));
    let pair = good(&scene.send(signing_in).await);
    let bearer = pair["access_token"].as_str().unwrap().to_owned();

    let second = scene.canaries.hidden("the password chosen anew");
    let change = |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    let not_it = scene.canaries.hidden("a wrong current password");
    scene.send(post_as("password/", &bearer, &change(&not_it, &second))).await;
    let weak = format!("{}a", "a".repeat(2));
    scene.send(post_as("password/", &bearer, &change(&first, &weak))).await;
    good(&scene.send(post_as("password/", &bearer, &change(&first, &second))).await);
    good(&scene.send(post("token", &sign_in(&address, &second))).await);
    bearer
}

/// Ids and secrets of clients, in bodies and in Basic.
async fn clients(scene: &mut Scene) {
    for path in ["token", "revoke", "introspect", "convert-token", "revoke-token", "create/"] {
        let id = scene.canaries.hidden(&format!("an unknown client_id at {path}"));
        let secret = scene.canaries.hidden(&format!("a wrong client_secret at {path}"));
        for id in [&*id, "web"] {
            let body = json!({ "grant_type": "refresh_token", "refresh_token": "x", "token": "x", "backend": "x",
                               "client_id": id, "client_secret": secret });
            scene.send(post(path, &body)).await;
            let basic = BASE64_STANDARD.encode(format!("{id}:{secret}"));
            let headers = format!("{FORM}Authorization: Basic {basic}\r\n");
            scene.send(request("POST", &format!("/api-auth/{path}"), &headers, "grant_type=password")).await;
        }
    }
    let basic = scene.canaries.hidden("what is no base64 in Basic");
    scene.send(request("POST", "/api-auth/token", &format!("{FORM}Authorization: Basic ={basic}\r\n"), "a=b")).await;
}

/// Access tokens and refresh tokens, made up and good, and what else a grant may be given.
async fn tokens(scene: &mut Scene, bearer: &str) {
    let secret = scene.client_secret.clone();
    let signature = bearer.rsplit('.').next().unwrap();
    scene.canaries.secret("the signature of an access token", signature);
    let proven = |members: Value| {
        let mut body = json!({ "client_id": "web", "client_secret": secret });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        body
    };
    let stranger =
        json!({ "email": "v@example.com", "username": "v", "first_name": "V", "password": "violet tractor 9" });
    scene.send(post("create/", &stranger)).await;
    let password = json!({ "grant_type": "password", "username": "v@example.com", "password": "violet tractor 9" });
    let mut pair = good(&scene.send(post("token", &proven(password))).await);
    for turn in 0..2 {
        let token = pair["refresh_token"].as_str().unwrap().to_owned();
        scene.canaries.secret(&format!("refresh token {turn}"), token.trim_start_matches("pgr_"));
        let refresh = json!({ "grant_type": "refresh_token", "refresh_token": token });
        pair = good(&scene.send(post("token", &proven(refresh))).await);
        let member = json!({ "grant_type": "refresh_token", "refresh_token": format!("{token}x") });
        scene.send(post("token", &proven(member))).await;
    }
    for member in [
        "grant_type",
        "refresh_token",
        "scope",
        "code",
        "code_verifier",
        "redirect_uri",
        "state",
        "assertion",
        "subject_token",
        "subject_token_type",
        "actor_token",
        "token_type_hint",
        "backend",
        "token",
        "username",
        "id_token",
    ] {
        for grant in
            ["refresh_token", "password", "authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"]
        {
            let word = scene.canaries.hidden(&format!("{member} of {grant}"));
            let mut body = json!({ "grant_type": grant, "refresh_token": "x", "username": "v@example.com",
                                   "password": "violet tractor 9" });
            body[member] = word.into();
            let answer = scene.send(post("token", &proven(body))).await;
            assert!(answer.starts_with("HTTP/1.1 "), "{member} of {grant}");
        }
    }
    for path in ["revoke", "introspect"] {
        let token = scene.canaries.hidden(&format!("the token of {path}"));
        let hint = scene.canaries.hidden(&format!("the token_type_hint of {path}"));
        scene.send(post(path, &proven(json!({ "token": token, "token_type_hint": hint })))).await;
    }
    good(&scene.send(post("revoke", &proven(json!({ "token": pair["refresh_token"] })))).await);
    scene.send(post("revoke", &proven(json!({ "token": pair["access_token"] })))).await;

    for target in
        ["/proxied", "/observed/a", "/dead/a", "/api-auth/currentUser/", "/api-auth/all/", "/api-auth/sessions/"]
    {
        for scheme in
            ["Bearer", "bearer google-oauth2", "Token", "Basic", "Bearer a.b.", "DPoP", "Bearer eyJhbGciOiJub25lIn0."]
        {
            let word = scene.canaries.hidden(&format!("{scheme} at {target}"));
            scene.send(request("GET", target, &format!("Authorization: {scheme} {word}\r\n"), "")).await;
            scene.send(request("GET", target, &format!("Authorization: {scheme}{word}\r\n"), "")).await;
        }
        scene.send(request("GET", target, &format!("Authorization: Bearer {bearer}\r\n"), "")).await;
    }
    let client = scene.canaries.hidden("the client_id of what is invalidated");
    for path in ["invalidate-sessions", "invalidate-refresh-tokens"] {
        scene.send(post_as(path, bearer, &json!({ "client_id": client }))).await;
    }
}

/// Tokens of a provider, made up and good.
async fn providers(scene: &mut Scene, bearer: &str) {
    let secret = scene.client_secret.clone();
    let convert = |backend: &str, token: &str| {
        json!({ "grant_type": "convert_token", "backend": backend, "token": token,
                "client_id": "web", "client_secret": secret })
    };
    let name = scene.canaries.hidden("an unknown provider");
    let given = scene.canaries.hidden("a token of an unknown provider");
    scene.send(post("convert-token", &convert(&name, &given))).await;
    let made_up = scene.canaries.hidden("a made-up token of a provider");
    for token in [made_up.clone(), format!("ya29.{made_up}"), format!("eyJhbGciOiJSUzI1NiJ9.{made_up}.{made_up}")] {
        scene.send(post("convert-token", &convert("google-oauth2", &token))).await;
        scene.send(post_as("links/", bearer, &json!({ "backend": "google-oauth2", "token": token }))).await;
        scene.send(request("GET", "/proxied", &format!("Authorization: Bearer google-oauth2 {token}\r\n"), "")).await;
    }
    let person = Person::new("g-1").email("gina@example.com");
    for token in [scene.google.user(person.clone()), scene.google.id_token(&person)] {
        let end = token.rsplit('.').next().unwrap();
        scene.canaries.secret("a good token of a provider", end);
        let answer = scene.send(post("convert-token", &convert("google-oauth2", &token))).await;
        // By the clock of this machine the ID token is of another time.
        assert!(token.starts_with("eyJ") || answer.starts_with("HTTP/1.1 200"), "{answer}");
        scene.send(post_as("links/", bearer, &json!({ "backend": "google-oauth2", "token": token }))).await;
    }
    let backend = scene.canaries.hidden("an unknown provider to disconnect");
    let disconnect = json!({ "backend": backend, "association_id": 9 });
    scene.send(post_as("disconnect-backend", bearer, &disconnect)).await;
}

/// Queries and paths.
async fn targets(scene: &mut Scene) {
    let control = scene.canaries.logged("the path of a proxied request");
    scene.send(request("GET", &format!("/reset/{control}"), "", "")).await;
    let control = scene.canaries.logged("the path of an unknown endpoint");
    scene.send(request("GET", &format!("/api-auth/{control}"), "", "")).await;
    for path in [
        "/a",
        "/dead/a",
        "/observed/a",
        "/api-auth/token",
        "/api-auth/currentUser/",
        "/api-auth/nothing",
        "/.well-known/jwks.json",
        "/api-auth/all/",
        "/",
    ] {
        for name in ["access_token", "token", "code", "password", "state", ""] {
            let word = scene.canaries.hidden(&format!("?{name}= of {path}"));
            scene.send(request("GET", &format!("{path}?{name}={word}"), "", "")).await;
            scene.send(request("POST", &format!("{path}?{word}&a=%2F#{word}"), "", "x")).await;
        }
    }
    for path in
        ["/a/%2e%2e/", "/a/../", "/a\\", "/%00", "//", "http://a/", "http://u:p@", "*", "a", "/a;", "/%zz", "/é"]
    {
        let word = scene.canaries.hidden(&format!("a path that is refused, after {path}"));
        let target = format!("{path}{word}\\..\\%2e%2e/..");
        scene.send(request("GET", &target, "", "")).await;
    }
    let method = scene.canaries.hidden("the method");
    for target in ["/a", "/dead/", "/observed/a", "/api-auth/token", "*"] {
        scene.send(request(&method, target, "", "")).await;
    }
}

/// Values, and names, of headers.
async fn headers(scene: &mut Scene, bearer: &str) {
    let names = [
        "Cookie",
        "Origin",
        "Referer",
        "User-Agent",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "Forwarded",
        "X-Real-IP",
        "X-Request-Id",
        "traceparent",
        "tracestate",
        "baggage",
        "X-Custom",
        "X-Api-Key",
        "Proxy-Authorization",
        "X-Forwarded-User",
        "X_Forwarded_User",
        "X-Auth-Token",
        "Host",
        "Expect",
        "Upgrade",
        "Content-Type",
        "Content-Encoding",
        "Transfer-Encoding",
        "Content-Length",
        "Accept",
        "Accept-Language",
        "If-None-Match",
        "Range",
        "TE",
        "Trailer",
        "Connection",
        "Via",
        "Access-Control-Request-Method",
        "Access-Control-Request-Headers",
        "HTTP2-Settings",
        "Sec-WebSocket-Key",
        "Authorization",
    ];
    for name in names {
        let word = scene.canaries.hidden(&format!("the header {name}"));
        for (method, target) in
            [("GET", "/a"), ("POST", "/dead/a"), ("GET", "/observed/a"), ("POST", "/api-auth/token"), ("OPTIONS", "/a")]
        {
            let origin = "Origin: http://localhost:3000\r\n";
            let more = if method == "OPTIONS" {
                format!("{origin}Access-Control-Request-Method: PUT\r\n")
            } else {
                String::new()
            };
            let value = format!("{name}: {word}; a=\"{word}\", {word}\r\n");
            scene.send(request(method, target, &format!("{more}{value}"), "")).await;
            scene.send(request(method, target, &format!("{name}: {word}\r\n{name}: {word}\r\n"), "")).await;
        }
        let with_bearer = format!("Authorization: Bearer {bearer}\r\n{name}: {word}\u{e9}\u{7}\r\n");
        scene.send(request("GET", "/dead/a", &with_bearer, "")).await;
    }
    let name = scene.canaries.hidden("the name of a header");
    let names =
        [format!("{name}: a"), format!("X_{name}: a\r\nX-{name}: b"), format!("{name}\u{1}: a"), format!("{name} : a")];
    for header in names {
        for target in ["/a", "/dead/a", "/observed/a", "/api-auth/token"] {
            scene.send(request("GET", target, &format!("{header}\r\n"), "")).await;
        }
    }
    let cookies = scene.canaries.hidden("one of many cookies");
    scene
        .send(request("GET", "/dead/a", &format!("Cookie: a=b; {cookies}={cookies}\r\nCookie: {cookies}\r\n"), ""))
        .await;
}
