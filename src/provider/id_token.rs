//! ID tokens (OpenID Connect Core section 2): JWTs in which a provider tells an app of ours who has signed in.
//!
//! The provider need not be asked, so everything hangs on the checks here: those of section 3.1.3.7, and of RFC 8725.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Number;

use super::{Error, Presented, jwks, jwks::Jwks};
use crate::clock::Clock;

/// Longest ID token that is looked at, bytes.
const MAX_BYTES: usize = 16 * 1024;

/// How far the provider's clock may be from ours, seconds.
const LEEWAY: i64 = 30;

/// What the ID tokens of one provider must be.
pub(super) struct Verifier {
    jwks: Jwks,
    clock: Clock,
    /// Whether an `iss` is the provider's.
    issuer: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// Our own client ids.
    audiences: Vec<String>,
    /// Whether a key that says of which issuer it is may sign for an `iss`.
    scope: fn(&str, &str) -> bool,
    /// Whether a token for one app of ours may have been issued to any.
    any_party: bool,
}

impl Verifier {
    pub(super) fn new(
        jwks: Jwks,
        clock: Clock,
        issuer: impl Fn(&str) -> bool + Send + Sync + 'static,
        audiences: Vec<String>,
    ) -> Self {
        Self { jwks, clock, issuer: Box::new(issuer), audiences, scope: |_, _| true, any_party: false }
    }

    /// Holds keys to the `issuer` that their set states of them: `scope` is told it, and the token's `iss`.
    pub(super) fn with_scope_of_keys(self, scope: fn(&str, &str) -> bool) -> Self {
        Self { scope, ..self }
    }

    /// For a provider that issues a token for one app of ours to none but those that belong with it: such a token's `azp`
    /// may be any.
    pub(super) fn with_any_party(self) -> Self {
        Self { any_party: true, ..self }
    }

    /// What the token says of the person, if it holds.
    pub(super) async fn verify<T: DeserializeOwned>(&self, presented: &Presented<'_>) -> Result<T, Error> {
        let token = Compact::split(presented.token.expose()).ok_or(Error::NotAllowed("this is no ID token"))?;
        let header: Header = token.header().ok_or(Error::NotAllowed("the header is none of an ID token"))?;
        let algorithm = header.algorithm()?;
        // Cheaper than a signature, and all of it is covered by the one that is checked below.
        let payload = token.payload().ok_or(Error::NotAllowed("the claims are none"))?;
        let claims: Claims =
            read(&payload).ok_or(Error::NotAllowed("a claim is missing, twice, or of a wrong type"))?;
        self.judge(&claims, presented.nonce)?;
        let key = self.jwks.key(header.kid.as_deref(), algorithm).await?;
        if !key.issuer().is_none_or(|own| (self.scope)(own, &claims.iss)) {
            return Err(Error::NotAllowed("the key is another issuer's"));
        }
        if !key.verifies(token.signed, token.signature, algorithm) {
            return Err(Error::NotAllowed("the signature does not hold"));
        }
        read(&payload).ok_or(Error::NotAllowed("a claim about the person is twice, or of a wrong type"))
    }

    fn judge(&self, claims: &Claims, nonce: Option<&str>) -> Result<(), Error> {
        let now = self.clock.now().seconds();
        let ours = |client: &String| self.audiences.contains(client);
        let no = |reason| Err(Error::NotAllowed(reason));
        if !(self.issuer)(&claims.iss) {
            return no("the token is another issuer's");
        }
        let audiences = claims.aud.all();
        if !audiences.iter().any(ours) {
            return no("the token is for another app");
        }
        // An access token may be an ID token in all else: its `aud` is where it may be used, its `azp` the app that got
        // it, and that one could sign in here as the person.
        let for_one = audiences.len() == 1;
        match &claims.azp {
            Some(azp) if ours(azp) || (self.any_party && for_one) => {}
            Some(_) => return no("the token was issued to another app"),
            None if for_one => {}
            None => return no("the token is for several apps, and does not say which got it"),
        }
        if claims.exp <= now.saturating_sub(LEEWAY) {
            return no("the token has expired");
        }
        let soon = now.saturating_add(LEEWAY);
        if claims.iat > soon || claims.nbf.is_some_and(|nbf| nbf > soon) {
            return no("the token is not valid yet");
        }
        if nonce.is_some() && claims.nonce.as_deref() != nonce {
            return no("the nonce is another");
        }
        if claims.events || claims.typ.as_deref() == Some("Bearer") {
            return no("the token is of another kind");
        }
        Ok(())
    }
}

/// Whether this is a JWT, as far as can be told without a key: an access token may have dots too.
pub(super) fn has_the_form(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Signed {
        #[expect(dead_code, reason = "that it is there is all that counts")]
        alg: String,
    }
    Compact::split(token).and_then(|token| token.header::<Signed>()).is_some()
}

/// A JWS in compact serialization (RFC 7515 section 7.1). Nothing of it is verified.
struct Compact<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// Header and payload as signed.
    signed: &'a str,
}

impl<'a> Compact<'a> {
    fn split(token: &'a str) -> Option<Self> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        // A further dot is no base64.
        let (header, payload) = signed.split_once('.')?;
        Some(Self { header, payload, signature, signed })
    }

    fn header<T: DeserializeOwned>(&self) -> Option<T> {
        read(&BASE64_URL_SAFE_NO_PAD.decode(self.header).ok()?)
    }

    fn payload(&self) -> Option<Vec<u8>> {
        BASE64_URL_SAFE_NO_PAD.decode(self.payload).ok()
    }
}

/// The JOSE header. Members that name a key to fetch or bring one along are not read.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

impl Header {
    /// The algorithm, if this can be the header of an ID token.
    fn algorithm(&self) -> Result<jsonwebtoken::Algorithm, Error> {
        if self.crit {
            return Err(Error::NotAllowed("the token has extensions that must be understood"));
        }
        // Access tokens and logout tokens may say what they are (RFC 8725 section 3.11).
        if self.typ.as_ref().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(Error::NotAllowed("the token is of another kind"));
        }
        jwks::algorithm(&self.alg).ok_or(Error::NotAllowed("the token is signed in a way that proves nothing"))
    }
}

/// The claims that a token is judged by.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    azp: Option<String>,
    #[serde(deserialize_with = "seconds")]
    exp: i64,
    #[serde(deserialize_with = "seconds")]
    iat: i64,
    #[serde(default, deserialize_with = "some_seconds")]
    nbf: Option<i64>,
    nonce: Option<String>,
    /// A logout token has such (OpenID Connect Back-Channel Logout section 2.4), and may be an ID token in all else.
    #[serde(default, deserialize_with = "present")]
    events: bool,
    /// `Bearer` in access tokens of Keycloak, which are ID tokens in all else.
    typ: Option<String>,
}

/// RFC 7519 section 4.1.3.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

/// Reads an object; serde alone would take a list of the values for one, too.
fn read<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    json.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(json).ok())?
}

/// A NumericDate (RFC 7519 section 2), rounded down.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = Number::deserialize(deserializer)?;
    #[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes its end")]
    let rounded = || number.as_f64().map(|number| number.floor() as i64);
    number.as_i64().or_else(rounded).ok_or_else(|| serde::de::Error::custom("no time"))
}

fn some_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    seconds(deserializer).map(Some)
}

/// Whatever it is, it is there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    #[test]
    fn a_jwt_is_told_from_an_access_token_by_its_header() {
        assert!(has_the_form(&format!("{}.{}.sig", encode(r#"{"alg":"RS256"}"#), encode("{}"))));
        let header = encode(r#"{"alg":"RS256"}"#);
        for other in [
            "ya29.a0AfH6SMB",
            "ya29.a.b",
            "EAAG",
            "",
            "..",
            &header,
            &format!("{header}.e30"),
            &format!("{}.e30.AA", encode("[\"RS256\"]")),
            &format!("{}.e30.AA", encode(r#"{"typ":"JWT"}"#)),
            &format!("{}.e30.AA", encode(r#"{"alg":1}"#)),
            &format!("{header}.{}.AA", "A".repeat(MAX_BYTES)),
        ] {
            assert!(!has_the_form(other), "{other}");
        }
    }

    #[test]
    fn times_are_numbers_and_cannot_overflow() {
        #[derive(Deserialize)]
        struct Time {
            #[serde(deserialize_with = "seconds")]
            exp: i64,
        }
        let time =
            |value: &str| serde_json::from_str::<Time>(&format!(r#"{{"exp":{value}}}"#)).ok().map(|time| time.exp);
        assert_eq!(time("1700000000"), Some(1_700_000_000));
        assert_eq!(time("1700000000.9"), Some(1_700_000_000));
        assert_eq!(time("1e300"), Some(i64::MAX));
        assert_eq!(time("-1e300"), Some(i64::MIN));
        assert_eq!(time("18446744073709551615"), Some(i64::MAX));
        for no in ["\"1700000000\"", "null", "true", "[1]", "{}", "1e999"] {
            assert_eq!(time(no), None, "{no}");
        }
    }
}
