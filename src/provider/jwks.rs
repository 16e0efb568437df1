//! The keys a provider signs ID tokens with: JWK sets (RFC 7517), of which only what can verify is taken.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{Error, cached::Cached, http::Http};
use crate::clock::Clock;

/// A set of more keys is none.
const MAX_KEYS: usize = 100;

/// Bits. Weaker RSA keys verify nothing (RFC 7518 section 3.3).
const MIN_RSA: usize = 2048;

/// Algorithms of signatures that nobody can make who can only verify them (RFC 7518 section 3.1, RFC 8037).
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The algorithm of this name, if an ID token may have it.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

/// The keys of one provider, as last seen.
pub(super) struct Jwks {
    sets: Cached<KeySet>,
}

impl Jwks {
    /// Keys that are published at `url`.
    pub(super) fn at(url: Url, http: Http, clock: Clock) -> Self {
        Self::found(http, clock, move || {
            let url = url.clone();
            Box::pin(async move { Ok(url) })
        })
    }

    /// Keys that are published where `url` says.
    pub(super) fn found(
        http: Http,
        clock: Clock,
        url: impl Fn() -> BoxFuture<'static, Result<Url, Error>> + Send + Sync + 'static,
    ) -> Self {
        let sets = Cached::new(clock, move || {
            let (http, url) = (http.clone(), url());
            Box::pin(async move {
                const STEP: &str = "jwks";
                let set: Set = http.get(STEP, url.await?).fetch().await?;
                KeySet::of(set).map_err(|reason| http.senseless(STEP, reason))
            })
        });
        Self { sets }
    }

    /// The key that a token names, looked for once more when the kept ones have it not.
    pub(super) async fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Key, Error> {
        let got = self.sets.get().await?;
        if let Some(key) = got.value.find(kid, algorithm) {
            return Ok(key);
        }
        let newer = if got.new { got.value } else { self.sets.renew(&got.value).await? };
        newer.find(kid, algorithm).ok_or(Error::NotAllowed("the provider has no such key"))
    }
}

/// As a provider publishes it. A key that is none of ours to read is no reason to refuse the others.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The members that matter here (RFC 7517 section 4, RFC 7518 section 6).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// Of Microsoft's sets, which serve many issuers.
    issuer: Option<String>,
}

/// Keys that can verify.
struct KeySet(Vec<Key>);

/// One of them. Cheap to clone.
#[derive(Clone)]
pub(super) struct Key {
    kid: Option<Arc<str>>,
    /// What it may verify: one algorithm if it says so, else those of its type.
    algorithms: Arc<[Algorithm]>,
    issuer: Option<Arc<str>>,
    decoding: Arc<DecodingKey>,
}

impl KeySet {
    fn of(set: Set) -> Result<Self, &'static str> {
        if set.keys.len() > MAX_KEYS {
            return Err("the set has too many keys");
        }
        let jwks = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Ok(Self(jwks.filter_map(Key::of).collect()))
    }

    /// The one key that can be meant. A token need not name it where there is no choice.
    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Key> {
        let named = |key: &&Key| kid.is_none() || key.kid.as_deref() == kid;
        let mut fitting = self.0.iter().filter(|key| key.algorithms.contains(&algorithm)).filter(named);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some(key.clone()),
            _ => None,
        }
    }
}

impl Key {
    fn of(jwk: Jwk) -> Option<Self> {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let verifies = jwk.usage.is_none_or(|usage| usage == "sig")
            && jwk.key_ops.is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let decode = |text: Option<String>| BASE64_URL_SAFE_NO_PAD.decode(text?).ok();
        let (possible, decoding): (&[_], _) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (decode(jwk.n)?, decode(jwk.e)?);
                (bits(&n) >= MIN_RSA).then_some(())?;
                (&[RS256, RS384, RS512, PS256, PS384, PS512], DecodingKey::from_rsa_raw_components(&n, &e))
            }
            ("EC", Some("P-256")) => (&[ES256], point(&decode(jwk.x)?, &decode(jwk.y)?, 32)?),
            ("EC", Some("P-384")) => (&[ES384], point(&decode(jwk.x)?, &decode(jwk.y)?, 48)?),
            ("OKP", Some("Ed25519")) => {
                let x = decode(jwk.x).filter(|x| x.len() == 32)?;
                (&[EdDSA], DecodingKey::from_ed_der(&x))
            }
            _ => return None,
        };
        let stated = |possible: &&Algorithm| jwk.alg.as_deref().is_none_or(|alg| algorithm(alg) == Some(**possible));
        let algorithms: Arc<[_]> = possible.iter().filter(stated).copied().collect();
        (verifies && !algorithms.is_empty()).then(|| Self {
            kid: jwk.kid.map(Into::into),
            algorithms,
            issuer: jwk.issuer.map(Into::into),
            decoding: Arc::new(decoding),
        })
    }

    /// Of which issuer it is, where its set says so.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whether `signature` (base64url) is this key's under `signed`. Only for an algorithm that the key was found by.
    pub(super) fn verifies(&self, signed: &str, signature: &str, algorithm: Algorithm) -> bool {
        jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.decoding, algorithm).unwrap_or(false)
    }
}

/// An uncompressed point (SEC 1 section 2.3.3) of coordinates of this many bytes.
fn point(x: &[u8], y: &[u8], size: usize) -> Option<DecodingKey> {
    (x.len() == size && y.len() == size).then(|| DecodingKey::from_ec_der(&[&[4], x, y].concat()))
}

/// Length of a number in big-endian order, leading zeros aside.
fn bits(number: &[u8]) -> usize {
    let mut significant = number.iter().skip_while(|byte| **byte == 0);
    significant.next().map_or(0, |first| 8 - first.leading_zeros() as usize + 8 * significant.count())
}

#[cfg(test)]
mod tests;
