//! The spelling of an access token: JWS compact serialization (RFC 7515 section 7.1), read strictly.
//!
//! Only we mint tokens that we accept, so nothing is tolerated that we do not write: one spelling of base64,
//! three header members, no more. What is read here is not verified yet.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Algorithm;

/// Longest access token that is looked at, bytes; ours are well under a tenth of it.
pub const MAX_BYTES: usize = 8 * 1024;

/// `typ` of an access token (RFC 9068 section 2.1).
const TYPE: &str = "at+jwt";
/// The same, written out in full.
const FULL_TYPE: &str = "application/at+jwt";

/// The three parts of a token, still encoded.
pub(super) struct Compact<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// Header and payload as signed.
    pub(super) signed: &'a str,
}

/// The JOSE header. Any other member is refused, and so is `crit` and every header that names a key to fetch
/// or use (RFC 8725 sections 3.1 and 3.10); so is a member that comes twice.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

impl<'a> Compact<'a> {
    /// Takes a token apart; `None` when it has not the form of one.
    pub(super) fn split(token: &'a str) -> Option<Self> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        // A further dot is no base64, and is refused by the decoder.
        Some(Self { header, payload, signature, signed })
    }

    /// `kid` and `alg`, when this says that it is an access token.
    pub(super) fn key(&self) -> Option<(String, Algorithm)> {
        let Header { alg, typ, kid } = read_object(&decode(self.header)?)?;
        (typ == TYPE || typ == FULL_TYPE).then_some(())?;
        Some((kid, Algorithm::from_name(&alg)?))
    }

    /// The claims, as JSON.
    pub(super) fn payload(&self) -> Option<Vec<u8>> {
        decode(self.payload)
    }

    /// The signature's bytes.
    pub(super) fn signature(&self) -> Option<Vec<u8>> {
        decode(self.signature)
    }
}

/// The header of tokens signed by one key, encoded.
#[expect(clippy::expect_used, reason = "three strings always make JSON")]
pub(super) fn header(algorithm: Algorithm, kid: &str) -> String {
    let header = Header { alg: algorithm.name().to_owned(), typ: TYPE.to_owned(), kid: kid.to_owned() };
    encode(&serde_json::to_vec(&header).expect("a header is JSON"))
}

/// Reads an object as we write it; serde alone would take a list of the values for one, too.
pub(super) fn read_object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    json.starts_with(b"{").then(|| serde_json::from_slice(json).ok())?
}

/// Base64url without padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Refuses padding, other alphabets, and stray bits in the last character.
fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(header: &str) -> Option<(String, Algorithm)> {
        let token = format!("{}.e30.AA", encode(header.as_bytes()));
        Compact::split(&token)?.key()
    }

    #[test]
    fn a_header_that_we_wrote_is_read_back() {
        let token = format!("{}.e30.AA", header(Algorithm::Es256, "k1"));
        let parts = Compact::split(&token).unwrap();
        assert_eq!(parts.key(), Some(("k1".to_owned(), Algorithm::Es256)));
        assert_eq!(parts.payload().unwrap(), b"{}");
        assert_eq!(parts.signature().unwrap(), [0]);
        assert_eq!(parts.signed, token.strip_suffix(".AA").unwrap());
    }

    #[test]
    fn the_long_name_of_the_type_counts_too() {
        assert!(key_of(r#"{"alg":"EdDSA","typ":"application/at+jwt","kid":"k"}"#).is_some());
    }

    #[test]
    fn headers_that_we_never_write_are_refused() {
        for header in [
            // alg: none, symmetric, unknown, or misspelt
            r#"{"alg":"none","typ":"at+jwt","kid":"k"}"#,
            r#"{"alg":"None","typ":"at+jwt","kid":"k"}"#,
            r#"{"alg":"","typ":"at+jwt","kid":"k"}"#,
            r#"{"alg":"HS256","typ":"at+jwt","kid":"k"}"#,
            r#"{"alg":"PS256","typ":"at+jwt","kid":"k"}"#,
            r#"{"alg":"eddsa","typ":"at+jwt","kid":"k"}"#,
            // another kind of token
            r#"{"alg":"EdDSA","typ":"JWT","kid":"k"}"#,
            r#"{"alg":"EdDSA","typ":"logout+jwt","kid":"k"}"#,
            r#"{"alg":"EdDSA","typ":"AT+JWT","kid":"k"}"#,
            // missing or of the wrong type
            r#"{"typ":"at+jwt","kid":"k"}"#,
            r#"{"alg":"EdDSA","kid":"k"}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt"}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":7}"#,
            r#"{"alg":["EdDSA"],"typ":"at+jwt","kid":"k"}"#,
            r#"{"alg":"EdDSA","typ":null,"kid":"k"}"#,
            // extensions, and keys that the token brings along
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k","crit":["exp"]}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k","crit":[]}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k","b64":false}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k","jku":"https://evil.test/jwks"}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k","jwk":{"kty":"OKP","crv":"Ed25519","x":""}}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k","zip":"DEF"}"#,
            // members that come twice
            r#"{"alg":"none","alg":"EdDSA","typ":"at+jwt","kid":"k"}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k","kid":"other"}"#,
            r#"{"alg":"EdDSA","typ":"JWT","\u0074yp":"at+jwt","kid":"k"}"#,
            // no object at all
            "",
            "null",
            r#"["EdDSA","at+jwt","k"]"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k"}{}"#,
        ] {
            assert!(key_of(header).is_none(), "{header}");
        }
    }

    #[test]
    fn a_token_has_exactly_three_parts() {
        let header = header(Algorithm::EdDsa, "k");
        for token in ["", ".", "a", &header, &format!("{header}.e30")] {
            assert!(Compact::split(token).is_none_or(|parts| parts.key().is_none()), "{token}");
        }
        // JWE has five; dots at the ends make empty parts.
        for token in [
            format!("{header}.e30.AA.AA"),
            format!("{header}.e30.AA.AA.AA"),
            format!("{header}..e30.AA"),
            format!(".{header}.e30.AA"),
            format!("{header}.e30.AA."),
        ] {
            let parts = Compact::split(&token).unwrap();
            assert!(parts.key().is_none() || parts.payload().is_none(), "{token}");
        }
    }

    #[test]
    fn a_part_has_one_spelling() {
        assert_eq!(decode("AQ").unwrap(), [1]);
        // padding, stray bits in the last character, impossible length, other alphabet, white space
        for other in ["AQ==", "AQ=", "AR", "AQA=", "A", "AQAAA", "+w", "/w", " AQ", "AQ ", "AQ\n", "A Q", "ÄQ"] {
            assert!(decode(other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_token_too_long_is_not_looked_at() {
        let header = header(Algorithm::EdDsa, "k");
        let token = format!("{header}.{}.AA", "A".repeat(MAX_BYTES - header.len() - 4));
        assert_eq!(token.len(), MAX_BYTES);
        assert!(Compact::split(&token).is_some());
        assert!(Compact::split(&format!("{token}A")).is_none());
    }
}
