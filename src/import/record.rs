//! A row of a Django database, whichever source it came by.

use serde_json::{Map, Value};

use super::Error;

/// A row, by Django's names.
pub(super) struct Record {
    /// `app.model`, in lower case.
    pub model: String,
    /// The primary key as text.
    pub pk: String,
    /// Those of its fields that an import may want.
    pub fields: Map<String, Value>,
}

/// The name of a Django model, `app.model`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label(String);

impl Label {
    /// Reads a label; letter case is folded, as Django does.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (app, model) = text.split_once('.')?;
        (is_name(app) && is_name(model)).then_some(Self(text))
    }

    /// As `dumpdata` writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The table that Django gives the model unless told otherwise.
    pub(super) fn table(&self) -> String {
        self.0.replacen('.', "_", 1)
    }
}

/// Whether this can be the name of a field, a model or a table: what goes into SQL without a second look.
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.len() <= 63
}

impl Record {
    /// A field that is text; absent and null are none.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// A field that is a flag, which SQLite has as 0 and 1.
    pub fn flag(&self, field: &str) -> Option<bool> {
        match self.fields.get(field)? {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => number.as_i64().map(|number| number != 0),
            _ => None,
        }
    }

    /// The key of the row that a foreign key points to. `None` when it points to none.
    pub fn reference(&self, field: &str) -> Result<Option<String>, Error> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match key(value) {
                Some(key) => Ok(Some(key)),
                None => Err(Error::Input(format!(
                    "{} {} names its {field} by more than a key: make the dump without --natural-foreign",
                    self.model, self.pk
                ))),
            },
        }
    }
}

/// A primary key as text: Django's are numbers, UUIDs or text.
pub(super) fn key(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(fields: Value) -> Record {
        let Value::Object(fields) = fields else { panic!("fields are an object") };
        Record { model: "accounts.account".to_owned(), pk: "1".to_owned(), fields }
    }

    #[test]
    fn a_label_is_an_app_and_a_model() {
        assert_eq!(Label::parse("Accounts.Account").unwrap().as_str(), "accounts.account");
        assert_eq!(Label::parse("auth.user").unwrap().table(), "auth_user");
        for wrong in ["", "user", "auth.", ".user", "a.b.c", "auth.us er", "auth.user;--", "auth.1"] {
            assert_eq!(Label::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn flags_are_booleans_or_the_numbers_of_sqlite() {
        let record = record(json!({ "a": true, "b": 0, "c": 1, "d": "true", "e": null }));
        let flags = ["a", "b", "c", "d", "e", "f"].map(|field| record.flag(field));
        assert_eq!(flags, [Some(true), Some(false), Some(true), None, None, None]);
    }

    #[test]
    fn a_reference_is_a_key_and_never_a_natural_one() {
        let record = record(json!({ "a": 7, "b": "7", "c": null, "d": ["ann@example.org"] }));
        for (field, key) in [("a", Some("7")), ("b", Some("7")), ("c", None), ("e", None)] {
            assert_eq!(record.reference(field).unwrap().as_deref(), key);
        }
        assert!(record.reference("d").unwrap_err().to_string().contains("--natural-foreign"));
    }
}
