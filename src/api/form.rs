//! Fields of the endpoints that drf-social-oauth2 has, judged in its words: every wrong one is told at once.

use super::{
    body::{Fields, Value},
    error::Error,
};
use crate::{account::Faults, secret::Secret};

/// The fields of a body while they are read.
pub(super) struct Form {
    fields: Fields,
    faults: Faults,
}

impl Form {
    /// Begins to read.
    pub(super) fn new(fields: Fields) -> Self {
        Self { fields, faults: Faults::new() }
    }

    /// A field that must be there: text without its outer spaces, of `max` characters at most. Nothing where it is
    /// wrong; [`Form::finish`] says so.
    pub(super) fn text(&mut self, name: &'static str, max: usize) -> Secret {
        match self.fields.take(name) {
            Some(value) => self.judge(name, max, value),
            None => self.wrong(name, format!("{name} is required.")),
        }
    }

    /// A field that may be absent, null or empty.
    pub(super) fn optional(&mut self, name: &'static str, max: usize) -> Option<Secret> {
        match self.fields.take(name) {
            None | Some(Value::Null) => None,
            Some(Value::Text(text)) if text.expose().trim().is_empty() => None,
            Some(value) => Some(self.judge(name, max, value)),
        }
    }

    /// Whether a field was sent and is not read yet.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.has(name)
    }

    /// A field that must be there, as it was sent: a password, of which spaces are part.
    pub(super) fn password(&mut self, name: &'static str) -> Secret {
        match self.fields.take(name) {
            Some(Value::Text(text)) if !text.expose().is_empty() => text,
            Some(value) => self.judge(name, 0, value),
            None => self.wrong(name, format!("{name} is required.")),
        }
    }

    /// A field that must be a whole number.
    pub(super) fn integer(&mut self, name: &'static str) -> i64 {
        let number = match self.fields.take(name) {
            None => Err(format!("{name} is required.")),
            Some(Value::Null) => Err("This field may not be null.".to_owned()),
            Some(Value::Text(text)) => text.expose().trim().parse().map_err(|_| invalid_integer(name)),
            Some(Value::NotText) => Err(invalid_integer(name)),
        };
        number.unwrap_or_else(|text| {
            self.faults.push((name, text));
            0
        })
    }

    /// Notes something else that is wrong with a field.
    pub(super) fn wrong(&mut self, name: &'static str, text: impl Into<String>) -> Secret {
        self.faults.push((name, text.into()));
        Secret::new(String::new())
    }

    /// Ends with everything that is wrong, if anything is; gives back what was not read.
    pub(super) fn finish(self) -> Result<Fields, Error> {
        if self.faults.is_empty() { Ok(self.fields) } else { Err(Error::Fields(self.faults)) }
    }

    fn judge(&mut self, name: &'static str, max: usize, value: Value) -> Secret {
        let text = match value {
            Value::Text(text) => text,
            Value::Null => return self.wrong(name, "This field may not be null."),
            Value::NotText => return self.wrong(name, "Not a valid string."),
        };
        let trimmed = text.expose().trim();
        if trimmed.is_empty() {
            return self.wrong(name, format!("{name} cannot be blank."));
        }
        let before = self.faults.len();
        if trimmed.chars().nth(max).is_some() {
            self.faults.push((name, format!("Ensure this field has no more than {max} characters.")));
        }
        if trimmed.contains('\0') {
            self.faults.push((name, "Null characters are not allowed.".to_owned()));
        }
        if self.faults.len() > before { Secret::new(String::new()) } else { Secret::from(trimmed) }
    }
}

fn invalid_integer(name: &str) -> String {
    format!("{name} must be a valid integer.")
}

#[cfg(test)]
mod tests {
    use axum::extract::FromRequest;

    use super::*;
    use crate::api::body::Body;

    async fn form(json: &str) -> Form {
        let request =
            http::Request::builder().header("content-type", "application/json").body(json.to_owned().into()).unwrap();
        Form::new(Body::from_request(request, &()).await.ok().unwrap().fields().ok().unwrap())
    }

    fn faults(form: Form) -> Vec<(&'static str, String)> {
        match form.finish() {
            Err(Error::Fields(faults)) => faults,
            _ => Vec::new(),
        }
    }

    #[tokio::test]
    async fn every_wrong_field_is_told_at_once() {
        let mut form =
            form(r#"{"blank":" ","null":null,"list":[],"long":"ééé","nul":"a\u0000","both":"a\u0000b"}"#).await;
        for name in ["blank", "null", "list", "absent"] {
            assert_eq!(form.text(name, 9).expose(), "");
        }
        for name in ["long", "nul", "both"] {
            assert_eq!(form.text(name, 2).expose(), "");
        }
        assert_eq!(
            faults(form),
            [
                ("blank", "blank cannot be blank."),
                ("null", "This field may not be null."),
                ("list", "Not a valid string."),
                ("absent", "absent is required."),
                ("long", "Ensure this field has no more than 2 characters."),
                ("nul", "Null characters are not allowed."),
                ("both", "Ensure this field has no more than 2 characters."),
                ("both", "Null characters are not allowed."),
            ]
            .map(|(name, text)| (name, text.to_owned()))
        );
    }

    #[tokio::test]
    async fn values_lose_their_outer_spaces_and_passwords_do_not() {
        let mut form = form(r#"{"a":" web\n","b":12,"c":"","d":null,"p":" s ","q":""}"#).await;
        assert_eq!(form.text("a", 3).expose(), "web");
        assert_eq!(form.text("b", 2).expose(), "12");
        for absent in ["c", "d", "e"] {
            assert!(form.optional(absent, 9).is_none());
        }
        assert_eq!(form.password("p").expose(), " s ");
        form.password("q");
        form.password("r");
        assert_eq!(faults(form), [("q", "q cannot be blank.".to_owned()), ("r", "r is required.".to_owned())]);
    }

    #[tokio::test]
    async fn a_number_is_whole_and_fits() {
        let mut form = form(r#"{"a":7,"b":" -8 ","c":"x","d":1.5,"e":true,"f":null,"g":99999999999999999999}"#).await;
        assert_eq!((form.integer("a"), form.integer("b")), (7, -8));
        for wrong in ["c", "d", "e", "g"] {
            form.integer(wrong);
        }
        form.integer("f");
        form.integer("h");
        let texts: Vec<_> = faults(form).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts[..4], ["c", "d", "e", "g"].map(|name| format!("{name} must be a valid integer.")));
        assert_eq!(texts[4..], ["This field may not be null.", "h is required."]);
    }
}
