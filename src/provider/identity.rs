//! What goes into a check, a token as presented, and what comes out of it, an identity.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Error, id_token};
use crate::secret::Secret;

/// Longest access token that is passed on to its provider, bytes. Those of Google and Facebook have a few hundred.
const MAX_ACCESS_TOKEN: usize = 8 * 1024;

/// Longest subject, bytes (OpenID Connect Core section 2 allows 255 ASCII characters).
const MAX_SUBJECT: usize = 255;

/// A token of a provider as a client presented it.
pub struct Presented<'a> {
    /// The token.
    pub token: &'a Secret,
    /// What the client says it is.
    pub kind: Kind,
    /// The nonce that the client had put into its ID token (OpenID Connect Core section 3.1.2.1).
    pub nonce: Option<&'a str>,
}

/// What kind of token the client says it presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Told by its form: a JWT is an ID token, where the provider has such.
    Unsaid,
    /// RFC 6749 section 1.4.
    AccessToken,
    /// OpenID Connect Core section 2.
    IdToken,
}

impl<'a> Presented<'a> {
    /// Whether a provider that has ID tokens is to take it for one.
    pub(super) fn is_id_token(&self) -> bool {
        match self.kind {
            Kind::Unsaid => id_token::has_the_form(self.token.expose()),
            Kind::AccessToken => false,
            Kind::IdToken => true,
        }
    }

    /// The token as one that only its provider can read: what may go into a URL or a header.
    pub(super) fn access_token(&self) -> Result<&'a Secret, Error> {
        let text = self.token.expose();
        if self.kind == Kind::IdToken {
            Err(Error::NotAllowed("this provider has no ID tokens"))
        } else if self.nonce.is_some() {
            // Whoever sends a nonce relies on it being compared.
            Err(Error::NotAllowed("an access token has no nonce"))
        } else if text.is_empty() || text.len() > MAX_ACCESS_TOKEN || !text.bytes().all(|b| b.is_ascii_graphic()) {
            Err(Error::NotAllowed("this has not the form of an access token"))
        } else {
            Ok(self.token)
        }
    }
}

/// Whom a provider vouches for. But for `subject` it is what the provider says, neither cleaned nor cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider's own stable id of the person: 1 to 255 bytes without control characters, to be compared exactly.
    pub subject: String,
    /// The address, if the provider gives one.
    pub email: Option<Email>,
    /// What to call the person; may be empty.
    pub username: String,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
}

/// An address as a provider gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// Never empty.
    pub address: String,
    /// Whether it is the person's.
    pub verified: Verified,
}

/// Whether a provider has seen that an address is the person's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verified {
    /// It has.
    Yes,
    /// It says that it has not.
    No,
    /// It does not say.
    #[default]
    Unstated,
}

/// `email_verified`: a boolean, or its name as text, as Google and Apple write it at times. Anything else is no yes.
impl<'de> Deserialize<'de> for Verified {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::Null => Self::Unstated,
            Value::Bool(true) => Self::Yes,
            Value::String(text) if text == "true" => Self::Yes,
            _ => Self::No,
        })
    }
}

/// A provider's id of a person, if it can be one.
pub(super) fn subject(text: Option<String>) -> Result<String, Error> {
    match text {
        Some(text) if text.trim().is_empty() => Err(Error::NotAllowed("the id of the person is empty")),
        Some(text) if text.len() <= MAX_SUBJECT && !text.contains(char::is_control) => Ok(text),
        Some(_) => Err(Error::NotAllowed("the id of the person is none that can be kept")),
        None => Err(Error::NotAllowed("there is no id of the person")),
    }
}

/// The claims about a person that OpenID providers share (OpenID Connect Core section 5.1), in ID tokens and userinfo.
#[derive(Deserialize)]
pub(super) struct Profile {
    pub sub: Option<String>,
    pub email: Option<String>,
    #[serde(default)]
    pub email_verified: Verified,
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub preferred_username: Option<String>,
}

impl Profile {
    /// The person, to be called what `username` makes of the claims.
    pub(super) fn identity(self, username: impl FnOnce(&Self) -> String) -> Result<Identity, Error> {
        let username = username(&self);
        let given = |name: Option<String>| name.unwrap_or_default();
        let (first_name, last_name) = match (given(self.given_name), given(self.family_name)) {
            (first, last) if first.is_empty() && last.is_empty() => split(self.name.as_deref().unwrap_or_default()),
            names => names,
        };
        // The claim is there to be made: who does not make it has not seen that the address is the person's.
        let verified = if self.email_verified == Verified::Yes { Verified::Yes } else { Verified::No };
        let email = email(self.email, verified);
        Ok(Identity { subject: subject(self.sub)?, email, username, first_name, last_name })
    }

    /// The part of the address before its `@`.
    pub(super) fn local_part(&self) -> String {
        self.email.as_deref().and_then(|email| email.split('@').next()).unwrap_or_default().to_owned()
    }
}

/// An address, unless there is none.
pub(super) fn email(address: Option<String>, verified: Verified) -> Option<Email> {
    address.filter(|address| !address.is_empty()).map(|address| Email { address, verified })
}

/// First and last name from a full one, at its first space.
pub(super) fn split(name: &str) -> (String, String) {
    let (first, last) = name.split_once(' ').unwrap_or((name, ""));
    (first.to_owned(), last.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(json: Value) -> Profile {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_subject_is_text_that_can_be_a_key() {
        for good in ["1", "0007", "Ünï", &"x".repeat(255)] {
            assert_eq!(subject(Some(good.to_owned())).as_deref(), Ok(good));
        }
        for bad in ["", " ", "\u{2003}", "a\0", "a\n", "\u{85}", &"x".repeat(256), &"é".repeat(128)] {
            assert!(matches!(subject(Some(bad.to_owned())), Err(Error::NotAllowed(_))), "{bad:?}");
        }
        assert!(matches!(subject(None), Err(Error::NotAllowed(_))));
    }

    #[test]
    fn only_true_is_a_yes() {
        for (value, verified) in [
            (json!(true), Verified::Yes),
            (json!("true"), Verified::Yes),
            (json!(null), Verified::Unstated),
            (json!(false), Verified::No),
            (json!("false"), Verified::No),
            (json!("True"), Verified::No),
            (json!(1), Verified::No),
            (json!(["true"]), Verified::No),
        ] {
            let profile = profile(json!({ "email_verified": value.clone() }));
            assert_eq!(profile.email_verified, verified, "{value}");
        }
        assert_eq!(profile(json!({})).email_verified, Verified::Unstated);
    }

    #[test]
    fn names_are_the_given_ones_else_the_full_one_split_at_its_first_space() {
        for (claims, first, last) in [
            (json!({ "sub": "1", "given_name": "Jean", "family_name": "Picard", "name": "x y" }), "Jean", "Picard"),
            (json!({ "sub": "1", "given_name": "Jean", "name": "x y" }), "Jean", ""),
            (json!({ "sub": "1", "family_name": "Picard", "name": "x y" }), "", "Picard"),
            (json!({ "sub": "1", "name": "Jean Luc Picard" }), "Jean", "Luc Picard"),
            (json!({ "sub": "1", "given_name": "", "family_name": null, "name": "Jean" }), "Jean", ""),
            (json!({ "sub": "1" }), "", ""),
        ] {
            let identity = profile(claims.clone()).identity(Profile::local_part).unwrap();
            assert_eq!((&*identity.first_name, &*identity.last_name), (first, last), "{claims}");
        }
    }

    #[test]
    fn an_empty_address_is_none() {
        let identity = profile(json!({ "sub": "1", "email": "", "email_verified": true }));
        assert_eq!(identity.identity(Profile::local_part).unwrap().email, None);
    }

    #[test]
    fn what_goes_into_a_url_or_a_header_is_visible_ascii_of_some_length() {
        let check_kind = |token: &str, kind, nonce| {
            let token = Secret::from(token);
            Presented { token: &token, kind, nonce }.access_token().map(|token| token.expose().len())
        };
        let check = |token: &str, nonce| check_kind(token, Kind::AccessToken, nonce);
        assert_eq!(check("ya29.a0-_~+/=", None), Ok(13));
        assert_eq!(check(&"x".repeat(MAX_ACCESS_TOKEN), None), Ok(MAX_ACCESS_TOKEN));
        for bad in ["", "a b", "a\r\nX-Evil: 1", "a\0", "é", &"x".repeat(MAX_ACCESS_TOKEN + 1)] {
            assert!(check(bad, None).is_err(), "{bad:?}");
        }
        assert!(check("ya29", Some("nonce")).is_err());
        assert_eq!(check_kind("ya29", Kind::Unsaid, None), Ok(4));
        assert!(check_kind("ya29", Kind::IdToken, None).is_err());
    }
}
