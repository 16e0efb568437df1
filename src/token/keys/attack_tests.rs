//! Tokens that must not hold, by the classes of RFC 8725.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;
use crate::{
    master::Master,
    secret::Secret,
    store::testing::TestStore,
    token::{
        Algorithm, Handle, MAX_TOKEN_BYTES, RefreshTokens, claims,
        fixture::{NOW, PROFILE, master, ring, settings, start},
        jws,
    },
};

struct Case {
    ring: KeyRing,
    key: Arc<SigningKey>,
    claims: Claims,
    token: String,
}

async fn case_of(algorithm: Algorithm) -> Case {
    let settings = Settings { algorithm, ..settings(&PROFILE) };
    let claims = Claims::of(&start(), &settings);
    let ring = ring(&TestStore::fresh().await, settings).await;
    let key = Arc::clone(&ring.set.load().keys[0]);
    let token = ring.sign(&claims, NOW).unwrap();
    Case { ring, key, claims, token }
}

async fn case() -> Case {
    case_of(Algorithm::EdDsa).await
}

impl Case {
    fn verify(&self, token: &str) -> Result<Claims, Invalid> {
        self.ring.verify(token, NOW)
    }

    fn kid(&self) -> &str {
        &self.key.term.kid
    }

    /// Signed by our own key, whatever it says.
    fn signed(&self, header: &Value, payload: &Value) -> String {
        self.key.sign_anything(&header.to_string(), payload.to_string().as_bytes())
    }

    fn header(&self) -> Value {
        json!({ "alg": self.key.term.algorithm.name(), "typ": "at+jwt", "kid": self.kid() })
    }

    fn payload(&self) -> Value {
        serde_json::from_slice(&self.claims.to_json()).unwrap()
    }
}

fn encode(value: &Value) -> String {
    jws::encode(value.to_string().as_bytes())
}

#[tokio::test]
async fn what_we_sign_holds_under_every_algorithm() {
    for (_, algorithm) in Algorithm::ALL {
        let case = case_of(algorithm).await;
        assert_eq!(case.verify(&case.token), Ok(case.claims.clone()));
        assert!(case.token.len() < MAX_TOKEN_BYTES / 4);
        // The forge of these tests makes good tokens too, so that each refusal below has one cause.
        assert!(case.verify(&case.signed(&case.header(), &case.payload())).is_ok());
    }
}

#[tokio::test]
async fn an_independent_library_verifies_our_token_by_the_published_keys_alone() {
    for (name, algorithm) in Algorithm::ALL {
        let case = case_of(algorithm).await;
        let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&case.ring.jwks()).unwrap();
        let header = jsonwebtoken::decode_header(&case.token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        let jwk = jwks.find(&header.kid.unwrap()).unwrap();
        let mut validation = jsonwebtoken::Validation::new(name.parse().unwrap());
        validation.set_audience(&["https://gate.test"]);
        validation.set_issuer(&["https://gate.test"]);
        validation.validate_exp = false; // it would look at the machine's clock
        let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
        let read = jsonwebtoken::decode::<Value>(&case.token, &key, &validation).unwrap();
        assert_eq!(read.claims, case.payload());
    }
}

#[tokio::test]
async fn published_keys_show_the_public_half_only() {
    for (name, algorithm) in Algorithm::ALL {
        let case = case_of(algorithm).await;
        let jwks: Value = serde_json::from_slice(&case.ring.jwks()).unwrap();
        let [jwk] = jwks["keys"].as_array().unwrap().as_slice() else { panic!("one key") };
        assert_eq!((&jwk["kid"], &jwk["alg"], &jwk["use"]), (&json!(case.kid()), &json!(name), &json!("sig")));
        let members: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        let expected: &[&str] = match algorithm {
            Algorithm::EdDsa => &["alg", "crv", "kid", "kty", "use", "x"],
            Algorithm::Es256 => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            Algorithm::Rs256 => &["alg", "e", "kid", "kty", "n", "use"],
        };
        assert_eq!(members, expected);
    }
}

#[tokio::test]
async fn a_token_without_a_signature_does_not_hold() {
    let case = case().await;
    let signed = case.token.rsplit_once('.').unwrap().0;
    assert_eq!(case.verify(&format!("{signed}.")), Err(Invalid::Signature));
    for alg in ["none", "None", "NONE", "nOnE"] {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": case.kid() });
        let unsigned = format!("{}.{}.", encode(&header), encode(&case.payload()));
        assert_eq!(case.verify(&unsigned), Err(Invalid::Malformed), "{alg}");
    }
}

#[tokio::test]
async fn our_public_key_is_no_hmac_secret() {
    for (_, algorithm) in Algorithm::ALL {
        let case = case_of(algorithm).await;
        let jwks: Value = serde_json::from_slice(&case.ring.jwks()).unwrap();
        let jwk = &jwks["keys"][0];
        let raw = ["x", "n"].iter().find_map(|member| jwk[*member].as_str()).unwrap();
        for secret in [jwk.to_string().into_bytes(), BASE64_URL_SAFE_NO_PAD.decode(raw).unwrap()] {
            for (alg, expected) in [("HS256", Invalid::Malformed), (algorithm.name(), Invalid::Signature)] {
                let header = json!({ "alg": alg, "typ": "at+jwt", "kid": case.kid() });
                let signed = format!("{}.{}", encode(&header), encode(&case.payload()));
                let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
                let forged = format!("{signed}.{}", jws::encode(mac.as_ref()));
                assert_eq!(case.verify(&forged), Err(expected), "{alg}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_verifies_under_its_own_algorithm_only() {
    let case = case().await;
    for alg in ["ES256", "RS256", "PS256", "EdDSA25519", "Ed25519"] {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": case.kid() });
        assert_eq!(case.verify(&case.signed(&header, &case.payload())), Err(Invalid::Malformed), "{alg}");
    }
}

#[tokio::test]
async fn a_key_we_do_not_have_is_not_asked_for() {
    let (case, stranger) = (case().await, case().await);
    assert_eq!(case.verify(&stranger.token), Err(Invalid::UnknownKey));
    // Another key's signature under our key's name.
    let header = case.header();
    assert_eq!(case.verify(&stranger.signed(&header, &case.payload())), Err(Invalid::Signature));
    for kid in ["", "../../dev/null", "' OR 1=1 --", &case.kid()[..20], &format!("{}=", case.kid())] {
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": kid });
        assert_eq!(case.verify(&case.signed(&header, &case.payload())), Err(Invalid::UnknownKey), "{kid}");
    }
}

#[tokio::test]
async fn other_tokens_of_ours_are_no_access_tokens() {
    let case = case().await;
    for typ in ["JWT", "jwt", "id+jwt", "logout+jwt", "dpop+jwt", "at+JWT", ""] {
        let header = json!({ "alg": "EdDSA", "typ": typ, "kid": case.kid() });
        assert_eq!(case.verify(&case.signed(&header, &case.payload())), Err(Invalid::Malformed), "{typ}");
    }
    let full = json!({ "alg": "EdDSA", "typ": "application/at+jwt", "kid": case.kid() });
    assert!(case.verify(&case.signed(&full, &case.payload())).is_ok());
    let refresh = RefreshTokens::new(&master(), [7; 16]);
    let token = refresh.derive(&Handle::generate(), 0);
    assert_eq!(case.verify(token.expose()), Err(Invalid::Malformed));
    assert!(refresh.verify(&case.token).is_none());
}

#[tokio::test]
async fn headers_with_more_than_we_write_are_refused_though_signed() {
    let case = case().await;
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("jku", json!("https://evil.test/jwks.json")),
        ("jwk", json!({ "kty": "OKP" })),
        ("x5u", json!("https://evil.test/cert")),
        ("x5c", json!([])),
        ("cty", json!("JWT")),
    ] {
        let mut header = case.header();
        header[name] = value;
        assert_eq!(case.verify(&case.signed(&header, &case.payload())), Err(Invalid::Malformed), "{name}");
    }
    let kid = case.kid();
    let doubled = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{kid}","kid":"{kid}"}}"#);
    let payload = case.claims.to_json();
    assert_eq!(case.verify(&case.key.sign_anything(&doubled, &payload)), Err(Invalid::Malformed));
}

#[tokio::test]
async fn claims_that_are_wrong_are_refused_though_signed() {
    let case = case().await;
    let wrong = [
        ("iss", json!("https://evil.test")),
        ("aud", json!("https://other.test")),
        ("aud", json!(["https://other.test"])),
        ("sub", json!(1)),
        ("exp", json!("1000000900")),
        ("epoch", json!("3")),
        ("sid", json!("")),
    ];
    for (claim, value) in wrong {
        let mut payload = case.payload();
        payload[claim] = value.clone();
        assert_eq!(case.verify(&case.signed(&case.header(), &payload)), Err(Invalid::Claims), "{claim}: {value}");
    }
    for claim in ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "epoch", "client_id", "scope"] {
        let mut payload = case.payload();
        payload.as_object_mut().unwrap().remove(claim).unwrap();
        assert_eq!(case.verify(&case.signed(&case.header(), &payload)), Err(Invalid::Claims), "{claim}");
    }
}

#[tokio::test]
async fn a_token_of_before_the_public_url_changed_holds() {
    let case = case().await;
    let mut payload = case.payload();
    payload["iss"] = json!("https://old.test");
    let claims = case.verify(&case.signed(&case.header(), &payload)).unwrap();
    assert_eq!(claims.issuer, "https://old.test");
}

#[tokio::test]
async fn a_token_ends_with_its_leeway_to_the_millisecond() {
    let case = case().await;
    let end = case.claims.expires_at + case.ring.settings().leeway;
    let last = end - std::time::Duration::from_millis(1);
    assert!(case.ring.verify(&case.token, last).is_ok());
    assert_eq!(case.ring.verify(&case.token, end), Err(Invalid::Expired));
}

#[tokio::test]
async fn an_expired_token_costs_no_signature() {
    let case = case().await;
    let mut payload = case.payload();
    payload["exp"] = json!(0);
    let forged = format!("{}.{}.AAAA", encode(&case.header()), encode(&payload));
    assert_eq!(case.verify(&forged), Err(Invalid::Expired));
    // A later end does not come without a signature.
    payload["exp"] = json!(i64::MAX);
    let forged = format!("{}.{}.AAAA", encode(&case.header()), encode(&payload));
    assert_eq!(case.verify(&forged), Err(Invalid::Signature));
}

#[tokio::test]
async fn no_other_spelling_of_a_token_holds() {
    let case = case().await;
    let [header, payload, signature]: [&str; 3] = case.token.split('.').collect::<Vec<_>>().try_into().unwrap();
    // 64 bytes leave four bits over in the last character: each of the 15 others decodes to the same signature
    // for a decoder that does not look.
    let (body, last) = signature.split_at(signature.len() - 1);
    let same_bits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        .chars()
        .filter(|other| !last.starts_with(*other))
        .map(|other| format!("{header}.{payload}.{body}{other}"));
    let others = [
        format!("{header}.{payload}.{signature}="),
        format!("{header}.{payload}.{signature}=="),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header}.{payload}.{signature}\n"),
        format!(" {header}.{payload}.{signature}"),
        format!("{header}. {payload}.{signature}"),
        format!("{header}.{payload}.{signature}."),
        format!(".{header}.{payload}.{signature}"),
        format!("{header}..{payload}.{signature}"),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{payload}"),
        format!("{header}{payload}{signature}"),
        format!("{header}.{payload}.{}", signature.to_uppercase()),
        format!("{header}.{payload}.{}", signature.replace(['-', '_'], "+")),
        String::new(),
        ".".repeat(2),
        ".".repeat(MAX_TOKEN_BYTES),
    ];
    for other in others.into_iter().chain(same_bits) {
        assert!(other == case.token || case.verify(&other).is_err(), "{other}");
    }
}

#[tokio::test]
async fn a_huge_token_is_not_looked_at() {
    let case = case().await;
    let mut payload = case.payload();
    payload["padding"] = json!("x".repeat(MAX_TOKEN_BYTES));
    assert_eq!(case.verify(&case.signed(&case.header(), &payload)), Err(Invalid::Malformed));
    assert_eq!(case.verify(&"a".repeat(1 << 24)), Err(Invalid::Malformed));
}

#[tokio::test]
async fn no_bit_of_a_token_can_be_changed() {
    let case = case().await;
    for at in 0..case.token.len() {
        for bit in 0..7 {
            let mut bytes = case.token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            assert!(case.verify(std::str::from_utf8(&bytes).unwrap()).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[tokio::test]
async fn deeply_nested_json_is_refused_and_not_followed() {
    let case = case().await;
    let nested = format!(r#"{{"exp":1000000900,"x":{}"#, "[".repeat(4000));
    let token = case.key.sign_anything(&case.header().to_string(), nested.as_bytes());
    assert_eq!(case.verify(&token), Err(Invalid::Claims));
}

#[tokio::test]
async fn another_deployment_under_its_own_master_is_a_stranger() {
    let case = case().await;
    let other = Master::new(&Secret::from("another secret of thirty-two bytes")).unwrap().into();
    let elsewhere = KeyRing::open(TestStore::fresh().await, &other, [0; 16], settings(&[]), NOW).await.unwrap();
    assert_eq!(elsewhere.verify(&case.token, NOW), Err(Invalid::UnknownKey));
    assert!(claims::unverified_expiry(&case.claims.to_json()).is_some());
}
