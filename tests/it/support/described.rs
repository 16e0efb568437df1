//! Answers of our endpoints, held against what `openapi.json` says of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use jsonschema::Validator;
use passgate::{account, api};
use serde_json::{Value, json};

use super::Answer;

/// Answers with a described body that may as well be empty, which OpenAPI has no words for.
const MAY_BE_EMPTY: &[(&str, u16)] = &[("/create/", 201)];

/// What `openapi.json` says, by its paths.
pub struct Document {
    whole: Value,
    /// By the schemas that they were made of.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// A request as far as its answer depends on it.
struct Asked<'a> {
    method: &'a str,
    /// Below the base path, or one of those under `/.well-known/`.
    path: &'a str,
}

impl Document {
    /// That of the endpoints as they are built. Where a gateway is and whom it lets list accounts makes no difference
    /// to its answers.
    pub fn own() -> &'static Self {
        static OWN: OnceLock<Document> = OnceLock::new();
        OWN.get_or_init(|| {
            let accounts = account::Settings {
                registration: true,
                sign_in_after_registration: true,
                reclaim_unverified: false,
                list: account::List::Staff,
            };
            let settings = api::Settings { public_url: "http://127.0.0.1:8080".to_owned(), accounts, converts: false };
            Self::new(serde_json::from_slice(&api::description(&settings, "/api-auth")).expect("a document of JSON"))
        })
    }

    fn new(whole: Value) -> Self {
        Self { whole, validators: Mutex::default() }
    }

    /// What is wrong with the answer that a gateway gave to these bytes. Nothing is said of what is not for its
    /// endpoints, nor of OPTIONS.
    pub fn judge(&self, base_path: &str, request: &[u8], answer: &Answer) -> Result<(), String> {
        let Some(asked) = self.asked(base_path, request) else { return Ok(()) };
        let judged = if answer.header("X-Frame-Options").is_some() {
            self.judge_endpoint(&asked, answer)
        } else {
            refused_before(&asked, answer)
        };
        judged.map_err(|wrong| {
            let Asked { method, path } = asked;
            format!("{method} {path} was answered {} {:?}, but {wrong}", answer.status, answer.text())
        })
    }

    fn asked<'a>(&self, base_path: &str, request: &'a [u8]) -> Option<Asked<'a>> {
        let line = request.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let path = target.split('?').next()?;
        let below = path.strip_prefix(base_path).filter(|below| below.starts_with('/'));
        let path = below.or_else(|| self.item(path).is_some().then_some(path))?;
        (method != "OPTIONS").then_some(Asked { method, path })
    }

    /// The item of a path, and the path as the document spells it.
    fn item(&self, path: &str) -> Option<(&str, &Value)> {
        let items = self.whole["paths"].as_object()?;
        let exact = items.get_key_value(path);
        let (name, item) = exact.or_else(|| items.iter().find(|(template, _)| matches_template(template, path)))?;
        Some((name, item))
    }

    fn judge_endpoint(&self, asked: &Asked<'_>, answer: &Answer) -> Result<(), String> {
        let path = asked.path;
        // Where no slash is described, there may be one.
        let without_slash = path.strip_suffix('/').filter(|bare| !bare.ends_with('/'));
        let Some((name, item)) = self.item(path).or_else(|| self.item(without_slash?)) else {
            if self.item(&format!("{path}/")).is_some() {
                let location = answer.header("Location").unwrap_or_default();
                let leads = location.split('?').next().is_some_and(|to| to.ends_with(&format!("{path}/")));
                return ensure(answer.status == 301 && leads && answer.body.is_empty(), || {
                    "without its slash, the path is sent to the one with it".to_owned()
                });
            }
            return self.refused(answer, &[404], "the path is not described", asked);
        };
        let method = asked.method.to_ascii_lowercase();
        let operation = match (&item[&method], asked.method) {
            (Value::Null, "HEAD") => &item["get"],
            (operation, _) => operation,
        };
        if operation.is_null() {
            // Who may call it is asked first.
            return self.refused(answer, &[405, 401, 403, 503], "the method is not described", asked);
        }
        let responses = &operation["responses"];
        let response = self.resolved(&responses[answer.status.to_string()]);
        if response.is_null() {
            let described: Vec<_> = responses.as_object().into_iter().flatten().map(|(status, _)| status).collect();
            return Err(format!("of {name} these are described: {described:?}"));
        }
        self.judge_headers(response, answer)?;
        let may_be_empty = MAY_BE_EMPTY.contains(&(name, answer.status));
        match response["content"].as_object() {
            _ if asked.method == "HEAD" => ensure(answer.body.is_empty(), || "HEAD has no body".to_owned()),
            Some(content) if !(may_be_empty && answer.body.is_empty()) => {
                let content_type = answer.header("Content-Type").unwrap_or_default();
                let body = content.get(content_type).ok_or_else(|| format!("{content_type:?} is not described"))?;
                self.judge_json(&body["schema"], answer)
            }
            _ => ensure(answer.body.is_empty() && answer.header("Content-Type").is_none(), || {
                "it is described as empty".to_owned()
            }),
        }
    }

    fn judge_headers(&self, response: &Value, answer: &Answer) -> Result<(), String> {
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            match answer.header(name) {
                Some(text) => {
                    let number = text.parse::<i64>().map(Value::from);
                    let value = number.unwrap_or_else(|_| Value::from(text));
                    self.validate(&header["schema"], &value).map_err(|wrong| format!("{name}: {wrong}"))?;
                }
                None => ensure(header["required"] != true, || format!("{name} is required"))?,
            }
        }
        Ok(())
    }

    /// A refusal in words, with one of these statuses.
    fn refused(&self, answer: &Answer, statuses: &[u16], why: &str, asked: &Asked<'_>) -> Result<(), String> {
        ensure(statuses.contains(&answer.status), || format!("{why}, which makes it one of {statuses:?}"))?;
        if asked.method == "HEAD" {
            return Ok(());
        }
        self.judge_json(&json!({ "$ref": "#/components/schemas/Detail" }), answer)
    }

    fn judge_json(&self, schema: &Value, answer: &Answer) -> Result<(), String> {
        let body = serde_json::from_slice(&answer.body).map_err(|error| format!("its body is no JSON: {error}"))?;
        self.validate(schema, &body)
    }

    fn validate(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let errors: Vec<_> = self
            .validator(schema)
            .iter_errors(value)
            .map(|error| format!("at {:?} {error}", error.instance_path().as_str()))
            .collect();
        ensure(errors.is_empty(), || format!("by {schema} this is wrong: {}", errors.join("; ")))
    }

    /// `schema` within the document that its references lead into.
    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().expect("no validator panicked");
        let made = validators.entry(schema.to_string()).or_insert_with(|| {
            let mut root = schema.clone();
            root["components"] = self.whole["components"].clone();
            let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&root);
            Arc::new(validator.unwrap_or_else(|error| panic!("{schema} is no schema: {error}")))
        });
        Arc::clone(made)
    }

    fn resolved<'a>(&'a self, response: &'a Value) -> &'a Value {
        let reference = response["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        reference.map_or(response, |pointer| self.whole.pointer(pointer).unwrap_or(&Value::Null))
    }
}

/// An answer that no endpoint gave: hygiene's, or a limit's.
fn refused_before(asked: &Asked<'_>, answer: &Answer) -> Result<(), String> {
    let told = || answer.json()["request_id"].is_string();
    ensure(answer.status >= 400 && (asked.method == "HEAD" || told()), || {
        "neither an endpoint nor what is before them answers so".to_owned()
    })
}

fn matches_template(template: &str, path: &str) -> bool {
    let fits = |(wanted, given): (&str, &str)| wanted == given || (wanted.starts_with('{') && !given.is_empty());
    template.matches('/').count() == path.matches('/').count() && template.split('/').zip(path.split('/')).all(fits)
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

mod tests;
