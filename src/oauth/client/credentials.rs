//! What a request says of its client (RFC 6749 section 2.3.1).

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Both ways to name and prove a client; a request may use either, or both for the same one.
#[derive(Default)]
pub struct Credentials {
    /// The `Authorization` header.
    pub basic: Basic,
    /// `client_id` of the body.
    pub id: Option<String>,
    /// `client_secret` of the body.
    pub secret: Option<Secret>,
}

impl Credentials {
    /// The client that they name first, if any.
    pub fn named(&self) -> Option<&str> {
        match &self.basic {
            Basic::Given { id, .. } if !id.is_empty() => Some(id),
            _ => self.id.as_deref(),
        }
    }

    /// Whether they came by HTTP Basic, so that a refusal owes a challenge.
    pub fn used_basic(&self) -> bool {
        !matches!(self.basic, Basic::Absent)
    }
}

/// HTTP Basic (RFC 7617) as RFC 6749 has clients use it.
#[derive(Default)]
pub enum Basic {
    /// No `Authorization`, or another scheme.
    #[default]
    Absent,
    /// The scheme, and nothing readable after it.
    Unreadable,
    /// A client's id and secret.
    Given {
        /// `client_id`.
        id: String,
        /// `client_secret`.
        secret: Secret,
    },
}

impl Basic {
    /// Reads the value of `Authorization`. The scheme's spelling is exact: `basic` is another one, as it is in
    /// the contract.
    pub fn read(authorization: Option<&[u8]>) -> Self {
        let Some(value) = authorization else { return Self::Absent };
        let mut words = value.splitn(2, |byte| *byte == b' ');
        match (words.next(), words.next()) {
            (Some(b"Basic"), Some(encoded)) => Self::decode(encoded.trim_ascii()).unwrap_or(Self::Unreadable),
            (Some(b"Basic"), None) => Self::Unreadable,
            _ => Self::Absent,
        }
    }

    fn decode(encoded: &[u8]) -> Option<Self> {
        let pair = Zeroizing::new(BASE64_STANDARD.decode(encoded).ok()?);
        let colon = pair.iter().position(|byte| *byte == b':')?;
        let (id, secret) = pair.split_at_checked(colon)?;
        Some(Self::Given { id: decode_form(id)?, secret: Secret::new(decode_form(secret.get(1..)?)?) })
    }
}

/// Decodes a name or value of `application/x-www-form-urlencoded`; `None` when it is not UTF-8. A `%` that
/// starts no escape stands for itself (URL standard, "percent-decode").
pub fn decode_form(encoded: &[u8]) -> Option<String> {
    let spaced = if encoded.contains(&b'+') {
        Cow::Owned(encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect())
    } else {
        Cow::Borrowed(encoded)
    };
    percent_decode(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<(String, String)> {
        match Basic::read(Some(value.as_bytes())) {
            Basic::Given { id, secret } => Some((id, secret.expose().to_owned())),
            Basic::Absent | Basic::Unreadable => None,
        }
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    }

    #[test]
    fn id_and_secret_are_split_at_the_first_colon_and_percent_decoded() {
        let given = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(read(&basic("web:s3cret")), given("web", "s3cret"));
        assert_eq!(read(&basic("web:a:b")), given("web", "a:b"));
        assert_eq!(read(&basic("w%3Ab:%C3%A9+%2B%")), given("w:b", "é +%"));
        assert_eq!(read(&basic(":")), given("", ""));
    }

    #[test]
    fn only_the_exact_scheme_is_basic() {
        for other in ["basic d2ViOnM=", "BASIC d2ViOnM=", "Bearer x", "Basicx", ""] {
            assert!(matches!(Basic::read(Some(other.as_bytes())), Basic::Absent), "{other}");
        }
        assert!(matches!(Basic::read(None), Basic::Absent));
    }

    #[test]
    fn what_cannot_be_read_still_counts_as_basic() {
        let no_colon = basic("web");
        let not_utf8 = format!("Basic {}", BASE64_STANDARD.encode(b"web:\xFF"));
        for broken in ["Basic", "Basic ", "Basic ***", &no_colon, &not_utf8] {
            assert!(matches!(Basic::read(Some(broken.as_bytes())), Basic::Unreadable), "{broken}");
        }
    }
}
