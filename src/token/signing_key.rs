//! One signing key: made, sealed, unsealed, signing, verifying, published.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, VerificationAlgorithm,
    },
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Algorithm, jws, keys::OpenError, rotation::Term, sha256};
use crate::{
    clock::Timestamp,
    master::{Master, Purpose},
    store::StoredKey,
};

/// A key with both halves parsed.
pub(super) struct SigningKey {
    /// What it is called and when it signs.
    pub(super) term: Term,
    created_at: Timestamp,
    pair: Pair,
    verifier: ParsedPublicKey,
    public: PublicJwk,
    /// The encoded header of every token it signs.
    header: String,
}

enum Pair {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Rs256(rsa::KeyPair),
}

/// The required members of a public JWK in the order that the thumbprint wants (RFC 7638 section 3).
#[derive(Serialize)]
#[serde(untagged)]
enum PublicJwk {
    /// RFC 8037 section 2.
    Okp { crv: &'static str, kty: &'static str, x: String },
    /// RFC 7518 section 6.2.1.
    Ec { crv: &'static str, kty: &'static str, x: String, y: String },
    /// RFC 7518 section 6.3.1.
    Rsa { e: String, kty: &'static str, n: String },
}

/// A public key as published (RFC 7517 section 4).
#[derive(Serialize)]
pub(super) struct Jwk<'a> {
    #[serde(flatten)]
    public: &'a PublicJwk,
    kid: &'a str,
    alg: &'static str,
    r#use: &'static str,
}

impl SigningKey {
    /// Makes one; RSA takes a good part of a second, so do it off the runtime's threads.
    pub(super) fn generate(
        algorithm: Algorithm,
        created_at: Timestamp,
        signs_from: Timestamp,
    ) -> Result<Self, OpenError> {
        let failed = |_| OpenError::Crypto("make a signing key");
        let pair = match algorithm {
            Algorithm::EdDsa => Pair::EdDsa(Ed25519KeyPair::generate().map_err(failed)?),
            Algorithm::Es256 => Pair::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?),
            Algorithm::Rs256 => Pair::Rs256(rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(failed)?),
        };
        Self::new(pair, algorithm, created_at, signs_from).ok_or(OpenError::Crypto("use the signing key it made"))
    }

    fn new(pair: Pair, algorithm: Algorithm, created_at: Timestamp, signs_from: Timestamp) -> Option<Self> {
        let public = pair.public()?;
        let kid = jws::encode(&sha256(&serde_json::to_vec(&public).ok()?));
        Some(Self {
            verifier: pair.verifier()?,
            header: jws::header(algorithm, &kid),
            term: Term { kid, algorithm, signs_from },
            created_at,
            pair,
            public,
        })
    }

    /// The private half sealed, for keeping.
    pub(super) fn seal(&self, sealer: &Sealer) -> Result<StoredKey, OpenError> {
        let Term { kid, algorithm, signs_from } = &self.term;
        let ciphertext = self
            .pair
            .to_pkcs8()
            .and_then(|pkcs8| sealer.seal(&self.term, &pkcs8))
            .ok_or(OpenError::Crypto("seal a signing key"))?;
        Ok(StoredKey {
            kid: kid.clone(),
            algorithm: algorithm.name().to_owned(),
            sealed: ciphertext,
            created_at: self.created_at,
            signs_from: *signs_from,
        })
    }

    /// Opens a kept key, and checks that it is the one it is called.
    pub(super) fn unseal(stored: &StoredKey, sealer: &Sealer) -> Result<Self, OpenError> {
        let StoredKey { kid, created_at, signs_from, .. } = stored;
        let algorithm = Algorithm::from_name(&stored.algorithm)
            .ok_or_else(|| OpenError::Algorithm { kid: kid.clone(), name: stored.algorithm.clone() })?;
        let term = Term { kid: kid.clone(), algorithm, signs_from: *signs_from };
        sealer
            .open(&term, &stored.sealed)
            .and_then(|pkcs8| Pair::from_pkcs8(algorithm, &pkcs8))
            .and_then(|pair| Self::new(pair, algorithm, *created_at, *signs_from))
            .filter(|key| key.term == term)
            .ok_or_else(|| OpenError::Sealed(kid.clone()))
    }

    /// The token of a payload (RFC 7515 section 7.1).
    pub(super) fn sign(&self, payload: &[u8]) -> Result<String, OpenError> {
        let mut token = format!("{}.{}", self.header, jws::encode(payload));
        let signature = self.pair.sign(token.as_bytes()).ok_or(OpenError::Crypto("sign a token"))?;
        token.push('.');
        token.push_str(&jws::encode(&signature));
        Ok(token)
    }

    /// Signs any header and payload, as no attacker could.
    #[cfg(test)]
    pub(super) fn sign_anything(&self, header: &str, payload: &[u8]) -> String {
        let signed = format!("{}.{}", jws::encode(header.as_bytes()), jws::encode(payload));
        let signature = self.pair.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", jws::encode(&signature))
    }

    /// Whether `signature` is this key's over `signed`.
    pub(super) fn verifies(&self, signed: &str, signature: &[u8]) -> bool {
        self.verifier.verify_sig(signed.as_bytes(), signature).is_ok()
    }

    /// The public half, for publishing.
    pub(super) fn jwk(&self) -> Jwk<'_> {
        Jwk { public: &self.public, kid: &self.term.kid, alg: self.term.algorithm.name(), r#use: "sig" }
    }
}

/// Shows the name only.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.term.fmt(f)
    }
}

impl Pair {
    fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::EdDsa),
            Algorithm::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Self::Es256),
            Algorithm::Rs256 => rsa::KeyPair::from_pkcs8(pkcs8).map(Self::Rs256),
        }
        .ok()
    }

    fn to_pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        let copy = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        match self {
            Self::EdDsa(pair) => pair.to_pkcs8v1().map(|document| copy(document.as_ref())),
            Self::Es256(pair) => pair.to_pkcs8v1().map(|document| copy(document.as_ref())),
            Self::Rs256(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map(|der| copy(der.as_ref())),
        }
        .ok()
    }

    fn public(&self) -> Option<PublicJwk> {
        Some(match self {
            Self::EdDsa(pair) => {
                PublicJwk::Okp { crv: "Ed25519", kty: "OKP", x: jws::encode(pair.public_key().as_ref()) }
            }
            Self::Es256(pair) => {
                // Uncompressed: 0x04 ‖ x ‖ y (SEC 1 section 2.3.3).
                let (&[0x04], point) = pair.public_key().as_ref().split_first_chunk()? else { return None };
                let (x, y) = point.split_first_chunk::<32>()?;
                PublicJwk::Ec { crv: "P-256", kty: "EC", x: jws::encode(x), y: jws::encode(y) }
            }
            Self::Rs256(pair) => {
                let public = pair.public_key();
                PublicJwk::Rsa {
                    e: jws::encode(public.exponent().big_endian_without_leading_zero()),
                    kty: "RSA",
                    n: jws::encode(public.modulus().big_endian_without_leading_zero()),
                }
            }
        })
    }

    fn verifier(&self) -> Option<ParsedPublicKey> {
        let (algorithm, public): (&'static dyn VerificationAlgorithm, &[u8]) = match self {
            Self::EdDsa(pair) => (&ED25519, pair.public_key().as_ref()),
            Self::Es256(pair) => (&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()),
            Self::Rs256(pair) => (&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref()),
        };
        ParsedPublicKey::new(algorithm, public).ok()
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::EdDsa(pair) => pair.try_sign(message).map(|signature| signature.as_ref().to_vec()),
            Self::Es256(pair) => pair.sign(&SystemRandom::new(), message).map(|signature| signature.as_ref().to_vec()),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map(|()| signature)
            }
        }
        .ok()
    }
}

/// Seals private keys (AES-256-GCM): nonce ‖ ciphertext ‖ tag, bound to the key's name and algorithm.
pub(super) struct Sealer(RandomizedNonceKey);

impl Sealer {
    pub(super) fn new(master: &Master) -> Result<Self, OpenError> {
        RandomizedNonceKey::new(&AES_256_GCM, &*master.derive(Purpose::SealSigningKeys))
            .map(Self)
            .map_err(|_| OpenError::Crypto("take the sealing key"))
    }

    fn seal(&self, term: &Term, plain: &[u8]) -> Option<Vec<u8>> {
        // Room for the tag from the start: growing would leave a copy of the plain key behind.
        let mut buffer = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        buffer.extend_from_slice(plain);
        let nonce = self.0.seal_in_place_append_tag(Self::bound_to(term), &mut buffer).ok()?;
        Some([&nonce.as_ref()[..], &buffer].concat())
    }

    fn open(&self, term: &Term, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::from(nonce);
        let plain = self.0.open_in_place(nonce, Self::bound_to(term), &mut buffer).ok()?.len();
        buffer.truncate(plain);
        Some(buffer)
    }

    fn bound_to(term: &Term) -> Aad<Vec<u8>> {
        Aad::from(format!("{}\0{}", term.kid, term.algorithm.name()).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::*;
    use crate::secret::Secret;

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(&Master::new(&Secret::from(secret)).unwrap()).unwrap()
    }

    fn ours() -> Sealer {
        sealer("0123456789abcdef0123456789abcdef")
    }

    fn generate(algorithm: Algorithm) -> SigningKey {
        SigningKey::generate(algorithm, Timestamp::from_millis(1), Timestamp::from_millis(2)).unwrap()
    }

    #[test]
    fn a_sealed_key_comes_back_and_verifies_what_it_signed_before() {
        for (_, algorithm) in Algorithm::ALL {
            let key = generate(algorithm);
            let token = key.sign(b"{}").unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
            let again = SigningKey::unseal(&key.seal(&ours()).unwrap(), &ours()).unwrap();
            assert_eq!(again.term, key.term);
            assert_eq!(again.created_at, key.created_at);
            assert!(again.verifies(signed, &signature));
            assert!(!again.verifies(&format!("{signed}A"), &signature));
            assert!(!generate(algorithm).verifies(signed, &signature), "another key");
            let expected = if algorithm == Algorithm::Rs256 { 256 } else { 64 };
            assert_eq!(signature.len(), expected, "{algorithm:?}");
        }
    }

    #[test]
    fn the_private_half_is_not_in_the_clear() {
        let key = generate(Algorithm::EdDsa);
        let plain = key.pair.to_pkcs8().unwrap();
        let sealed = key.seal(&ours()).unwrap().sealed;
        let seed = &plain[plain.len() - 32..];
        assert!(!sealed.windows(8).any(|window| seed.windows(8).any(|part| part == window)));
        assert_ne!(sealed, key.seal(&ours()).unwrap().sealed, "a fresh nonce each time");
    }

    #[test]
    fn a_key_does_not_open_under_another_master_or_another_name() {
        let key = generate(Algorithm::EdDsa);
        let stored = key.seal(&ours()).unwrap();
        let refused = |stored: &StoredKey, sealer: &Sealer| matches!(SigningKey::unseal(stored, sealer), Err(OpenError::Sealed(kid)) if kid == stored.kid);
        assert!(refused(&stored, &sealer("another secret of thirty-two bytes")));
        assert!(refused(&StoredKey { kid: generate(Algorithm::EdDsa).term.kid, ..stored.clone() }, &ours()));
        assert!(refused(&StoredKey { algorithm: "ES256".to_owned(), ..stored.clone() }, &ours()));
        assert!(refused(&StoredKey { sealed: vec![], ..stored.clone() }, &ours()));
        assert!(refused(&StoredKey { sealed: vec![0; 12], ..stored.clone() }, &ours()));
        for at in 0..stored.sealed.len() {
            let mut bent = stored.clone();
            bent.sealed[at] ^= 1;
            assert!(refused(&bent, &ours()), "byte {at}");
        }
    }

    #[test]
    fn what_is_sealed_is_bound_to_name_and_algorithm() {
        let term = generate(Algorithm::EdDsa).term;
        let sealed = ours().seal(&term, b"plain").unwrap();
        assert_eq!(&**ours().open(&term, &sealed).unwrap(), b"plain");
        assert!(ours().open(&Term { kid: "other".to_owned(), ..term.clone() }, &sealed).is_none());
        assert!(ours().open(&Term { algorithm: Algorithm::Es256, ..term }, &sealed).is_none());
    }

    #[test]
    fn an_algorithm_of_another_version_is_named_as_such() {
        let stored =
            StoredKey { algorithm: "ML-DSA-65".to_owned(), ..generate(Algorithm::EdDsa).seal(&ours()).unwrap() };
        assert!(
            matches!(SigningKey::unseal(&stored, &ours()), Err(OpenError::Algorithm { name, .. }) if name == "ML-DSA-65")
        );
    }

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_7638() {
        // RFC 8037 appendix A: the key of A.1, its thumbprint in A.3.
        let seed = BASE64_URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let pair = Pair::EdDsa(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap());
        let now = Timestamp::default();
        let key = SigningKey::new(pair, Algorithm::EdDsa, now, now).unwrap();
        assert_eq!(key.term.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        // And A.4: the signature over its example.
        let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(jws::encode(&key.pair.sign(signed.as_bytes()).unwrap()), signature);
    }
}
