//! A judge that nothing displeases would pass every test of the suite.

use super::*;

fn document() -> Document {
    let detail = json!({
        "type": "object", "properties": { "detail": { "type": "string" } },
        "required": ["detail"], "additionalProperties": false,
    });
    let try_later = json!({
        "headers": { "Retry-After": { "schema": { "type": "integer", "minimum": 1 }, "required": true } },
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Detail" } } },
    });
    let things = json!({ "type": "array", "items": { "enum": ["a", "b"] } });
    Document::new(json!({
        "paths": {
            "/things/": { "get": { "responses": {
                "200": { "content": { "application/json": { "schema": things } } },
                "503": { "$ref": "#/components/responses/TryLater" },
            } } },
            "/things/{id}": { "delete": { "responses": { "204": { "description": "Gone." } } } },
            "/.well-known/thing": { "get": { "responses": { "204": { "description": "Nothing." } } } },
        },
        "components": { "schemas": { "Detail": detail }, "responses": { "TryLater": try_later } },
    }))
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let json = [("Content-Type", "application/json")].into_iter().filter(|_| !body.is_empty());
    let all = headers.iter().copied().chain([("X-Frame-Options", "DENY")]).chain(json);
    Answer {
        status,
        reason: String::new(),
        headers: all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: body.as_bytes().to_vec(),
        closed: true,
    }
}

fn judged(line: &str, answer: &Answer) -> Result<(), String> {
    document().judge("/api", format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), answer)
}

#[test]
fn what_is_described_passes() {
    let detail = r#"{"detail":"x"}"#;
    for (line, answer) in [
        ("GET /api/things/?a=b", answer(200, &[], r#"["a","b"]"#)),
        ("HEAD /api/things/", answer(200, &[], "")),
        ("GET /api/things/", answer(503, &[("Retry-After", "3")], detail)),
        ("DELETE /api/things/7", answer(204, &[], "")),
        ("DELETE /api/things/7/", answer(204, &[], "")),
        ("PATCH /api/things", answer(301, &[("Location", "/api/things/?a=b")], "")),
        ("PUT /api/things/", answer(405, &[], detail)),
        ("PUT /api/things/", answer(401, &[], detail)),
        ("GET /api/nothing", answer(404, &[], detail)),
        ("GET /.well-known/thing", answer(204, &[], "")),
        ("GET /apiary", answer(418, &[], "not ours")),
        ("OPTIONS /api/things/", answer(418, &[], "not described")),
    ] {
        assert_eq!(judged(line, &answer), Ok(()), "{line}");
    }
    let mut refused = answer(400, &[], r#"{"detail":"x","request_id":"7"}"#);
    refused.headers.retain(|(name, _)| name != "X-Frame-Options");
    assert_eq!(judged("GET /api/things/", &refused), Ok(()));
}

#[test]
fn what_is_not_described_is_told() {
    let detail = r#"{"detail":"x"}"#;
    for (line, answer, expected) in [
        ("GET /api/things/", answer(200, &[], r#"["a","c"]"#), r#"at "/1" "c" is not one of"#),
        ("GET /api/things/", answer(200, &[], "[}"), "no JSON"),
        ("GET /api/things/", answer(200, &[], ""), "\"\" is not described"),
        ("GET /api/things/", answer(201, &[], "[]"), r#"these are described: ["200", "503"]"#),
        ("HEAD /api/things/", answer(200, &[], "[]"), "HEAD has no body"),
        ("GET /api/things/", answer(503, &[], detail), "Retry-After is required"),
        ("GET /api/things/", answer(503, &[("Retry-After", "0")], detail), "Retry-After: "),
        ("GET /api/things/", answer(503, &[("Retry-After", "soon")], detail), "Retry-After: "),
        ("GET /api/things/", answer(503, &[("Retry-After", "3")], r#"{"detail":"x","y":1}"#), "'y' was unexpected"),
        ("GET /api/things/", answer(503, &[("Retry-After", "3")], "{}"), "\"detail\" is a required"),
        ("DELETE /api/things/7", answer(204, &[], "\"\""), "described as empty"),
        ("DELETE /api/things/7", answer(204, &[("Content-Type", "a/b")], ""), "described as empty"),
        ("DELETE /api/things/7/8", answer(204, &[], ""), "the path is not described"),
        ("DELETE /api/things//", answer(204, &[], ""), "the path is not described"),
        ("GET /api/things", answer(200, &[], "[]"), "the one with it"),
        ("GET /api/things", answer(301, &[("Location", "/api/thing")], ""), "the one with it"),
        ("PUT /api/things/", answer(200, &[], "[]"), "the method is not described"),
        ("PUT /api/things/", answer(405, &[], "{}"), "\"detail\" is a required"),
        ("GET /api/nothing", answer(404, &[], "{}"), "\"detail\" is a required"),
        ("GET /.well-known/thing", answer(200, &[], "{}"), "these are described"),
    ] {
        let wrong = judged(line, &answer).expect_err(line);
        assert!(wrong.contains(expected), "{wrong}");
    }
    let mut unknown = answer(200, &[], "[]");
    unknown.headers.retain(|(name, _)| name != "X-Frame-Options");
    assert!(judged("GET /api/things/", &unknown).is_err());
}
