//! ID tokens: all that RFC 8725 and OpenID Connect Core section 3.1.3.7 warn of, told by one issuer for all.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use passgate::provider::{Error, Kind};
use serde_json::{Value, json};

use super::{Checker, assert_not_allowed, checker};
use crate::support::provider::{
    Fault, NOW, Oidc, Person, Signer,
    oidc::{CLIENT_ID, DISCOVERY, JWKS},
    signer::encode,
};

const NAME: &str = "company";

async fn started() -> (Oidc, Checker) {
    let oidc = Oidc::start().await;
    let checker = checker(&[&oidc.yaml("audiences: [mobile]")]);
    (oidc, checker)
}

fn ada() -> Person {
    Person::new("u-1").email("ada@company.test")
}

#[tokio::test]
async fn every_asymmetric_algorithm_holds_and_only_with_its_key() {
    for alg in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let oidc = Oidc::signing_with(alg).await;
        let checker = checker(&[&oidc.yaml("")]);
        assert!(checker.identify(NAME, &oidc.id_token(&ada())).await.is_ok(), "{alg}");
        let forged = Signer::new("k1", alg).sign(&oidc.claims(&ada()));
        assert_not_allowed(&checker.identify(NAME, &forged).await, alg);
    }
}

#[tokio::test]
async fn whatever_is_not_to_the_letter_of_what_was_signed_is_refused() {
    let (oidc, checker) = started().await;
    let token = oidc.id_token(&ada());
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let other = encode(oidc.claims(&Person::new("boss")).to_string().as_bytes());
    let mut flipped = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    flipped[7] ^= 1;
    for forged in [
        format!("{header}.{other}.{signature}"),
        format!("{header}.{payload}.{}", encode(&flipped)),
        format!("{header}.{payload}."),
        format!("{header}.{payload}.{signature}=="),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{payload}"),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!(" {token}"),
        format!("{token}\n"),
    ] {
        assert_not_allowed(&checker.identify_as(NAME, &forged, Kind::IdToken, None).await, &forged);
    }
    assert!(checker.identify(NAME, &token).await.is_ok());
}

#[tokio::test]
async fn a_header_that_proves_nothing_or_means_another_kind_of_token_is_refused() {
    let (oidc, checker) = started().await;
    let claims = oidc.claims(&ada()).to_string();
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"none","kid":"k1"}"#,
        r#"{"alg":"HS256","kid":"k1"}"#,
        r#"{"alg":"ES384","kid":"k1"}"#,
        r#"{"alg":"RS256","kid":"k1"}"#,
        r#"{"alg":"es256","kid":"k1"}"#,
        r#"{"alg":["ES256"],"kid":"k1"}"#,
        r#"{"kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k1","crit":["exp"]}"#,
        r#"{"alg":"ES256","kid":"k1","crit":[]}"#,
        r#"{"alg":"ES256","kid":"k1","crit":null}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"logout+jwt"}"#,
        r#"{"alg":"ES256","kid":1}"#,
        r#"{"alg":"ES256","alg":"ES256","kid":"k1"}"#,
        r#"{"alg":"ES256","\u0061lg":"none","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k1","kid":"k1"}"#,
        r#"["ES256","k1",null]"#,
        "null",
        "",
    ] {
        let token = oidc.sign(|signer| signer.sign_text(header, &claims));
        assert_not_allowed(&checker.identify_as(NAME, &token, Kind::IdToken, None).await, header);
    }
    for header in
        [r#"{"alg":"ES256"}"#, r#"{"alg":"ES256","kid":"k1","typ":"jwt"}"#, r#"{"alg":"ES256","kid":"k1","x":1}"#]
    {
        let token = oidc.sign(|signer| signer.sign_text(header, &claims));
        assert!(checker.identify(NAME, &token).await.is_ok(), "{header}");
    }
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let oidc = Oidc::signing_with("RS256").await;
    let checker = checker(&[&oidc.yaml("")]);
    assert!(checker.identify(NAME, &oidc.id_token(&ada())).await.is_ok());
    let mut jwk = Value::Null;
    oidc.sign(|signer| {
        jwk = signer.jwk();
        String::new()
    });
    let signed = format!(
        "{}.{}",
        encode(br#"{"alg":"HS256","kid":"k1","typ":"JWT"}"#),
        encode(oidc.claims(&Person::new("boss")).to_string().as_bytes())
    );
    let modulus = BASE64_URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [modulus, jwk.to_string().into_bytes()] {
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
        let token = format!("{signed}.{}", encode(mac.as_ref()));
        assert_not_allowed(&checker.identify(NAME, &token).await, "signed with what everybody knows");
    }
}

#[tokio::test]
async fn a_key_that_a_token_brings_along_is_not_looked_at() {
    let (oidc, checker) = started().await;
    let own = Signer::new("k1", "ES256");
    let mut header = own.header();
    header["jwk"] = own.jwk();
    header["jku"] = json!(format!("{}/evil", oidc.issuer()));
    header["x5u"] = header["jku"].clone();
    let token = own.sign_text(&header.to_string(), &oidc.claims(&ada()).to_string());
    assert_not_allowed(&checker.identify(NAME, &token).await, "its own key");
    assert_eq!(oidc.calls("/evil"), 0);
}

#[tokio::test]
async fn each_claim_is_held_against_what_we_know() {
    let (oidc, checker) = started().await;
    let issuer = oidc.issuer();
    let cases = [
        ("iss", json!(format!("{issuer}/")), false),
        ("iss", json!("https://evil.test"), false),
        ("iss", json!([issuer]), false),
        ("iss", json!(null), false),
        ("aud", json!("mobile"), true),
        ("aud", json!([CLIENT_ID]), true),
        ("aud", json!("evil-app"), false),
        ("aud", json!([]), false),
        ("aud", json!(["evil-app"]), false),
        ("aud", json!([1]), false),
        ("aud", json!(null), false),
        ("aud", json!({ "passgate": true }), false),
        ("aud", json!("PASSGATE"), false),
        ("aud", json!([CLIENT_ID, "evil-app"]), false),
        ("exp", json!(NOW - 29), true),
        ("exp", json!(NOW - 30), false),
        ("exp", json!(0), false),
        ("exp", json!(-1), false),
        ("exp", json!("1900000000"), false),
        ("exp", json!(null), false),
        ("exp", json!(NOW + 10), true),
        ("exp", json!(1e300), true),
        ("iat", json!(NOW + 30), true),
        ("iat", json!(NOW + 31), false),
        ("iat", json!(f64::from(2_000_000_000_u32) + 0.5), false),
        ("iat", json!("1"), false),
        ("iat", json!(null), false),
        ("nbf", json!(NOW + 30), true),
        ("nbf", json!(NOW + 31), false),
        ("nbf", json!("soon"), false),
        ("sub", json!(null), false),
        ("sub", json!(""), false),
        ("sub", json!(1), false),
        ("sub", json!("a\u{7f}"), false),
        ("sub", json!("x".repeat(255)), true),
        ("sub", json!("x".repeat(256)), false),
        ("email", json!(["ada@company.test"]), false),
        ("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} }), false),
        ("events", json!(null), false),
        ("typ", json!("ID"), true),
        ("typ", json!("Bearer"), false),
        ("azp", json!(CLIENT_ID), true),
        ("azp", json!("mobile"), true),
        ("azp", json!("evil-app"), false),
        ("azp", json!(""), false),
        ("azp", json!([CLIENT_ID]), false),
    ];
    for (claim, value, holds) in cases {
        let token = oidc.id_token_with(&ada(), |claims| claims[claim] = value.clone());
        let outcome = checker.identify(NAME, &token).await;
        assert_eq!(outcome.is_ok(), holds, "{claim}: {value}: {outcome:?}");
        if !holds {
            assert_not_allowed(&outcome, claim);
        }
    }
    for (azp, holds) in [("mobile", true), ("evil-app", false)] {
        let token = oidc.id_token_with(&ada(), |claims| {
            claims["aud"] = json!([CLIENT_ID, "evil-app"]);
            claims["azp"] = json!(azp);
        });
        assert_eq!(checker.identify(NAME, &token).await.is_ok(), holds, "{azp}");
    }
    for claim in ["iss", "aud", "exp", "iat", "sub"] {
        let token = oidc.id_token_with(&ada(), |claims| drop(claims.as_object_mut().unwrap().remove(claim)));
        assert_not_allowed(&checker.identify(NAME, &token).await, claim);
    }
}

#[tokio::test]
async fn a_claim_that_comes_twice_is_refused() {
    let (oidc, checker) = started().await;
    let claims = oidc.claims(&ada()).to_string();
    for twice in [
        r#""sub":"boss""#,
        r#""exp":9999999999"#,
        r#""aud":"passgate""#,
        r#""email":"boss@company.test""#,
        r#""email_verified":true"#,
        r#""\u0073ub":"boss""#,
    ] {
        let token = oidc.sign(|signer| {
            signer.sign_text(&signer.header().to_string(), &claims.replacen('{', &format!("{{{twice},"), 1))
        });
        assert_not_allowed(&checker.identify(NAME, &token).await, twice);
    }
    for odd in ["null", "[]", "{", "", &format!("[{claims}]"), &format!("{claims}{{}}")] {
        let token = oidc.sign(|signer| signer.sign_text(&signer.header().to_string(), odd));
        assert_not_allowed(&checker.identify(NAME, &token).await, odd);
    }
}

#[tokio::test]
async fn a_nonce_is_compared_when_there_is_one_to_compare() {
    let (oidc, checker) = started().await;
    let with = oidc.id_token_with(&ada(), |claims| claims["nonce"] = json!("n-1"));
    let without = oidc.id_token(&ada());
    for (token, nonce, holds) in [
        (&with, Some("n-1"), true),
        (&with, Some("n-2"), false),
        (&with, Some(""), false),
        (&with, None, true),
        (&without, Some("n-1"), false),
        (&without, Some(""), false),
        (&without, None, true),
    ] {
        assert_eq!(checker.identify_as(NAME, token, Kind::Unsaid, nonce).await.is_ok(), holds, "{nonce:?}");
    }
}

#[tokio::test]
async fn a_token_holds_until_its_end_on_our_clock() {
    let (oidc, checker) = started().await;
    let token = oidc.id_token(&ada());
    checker.clock.advance(Duration::from_secs(3600 + 29));
    assert!(checker.identify(NAME, &token).await.is_ok());
    checker.clock.advance(Duration::from_secs(1));
    assert_not_allowed(&checker.identify(NAME, &token).await, "expired");
}

#[tokio::test]
async fn a_token_too_long_is_not_looked_at() {
    let (oidc, checker) = started().await;
    let of = |length: usize| oidc.id_token_with(&ada(), |claims| claims["padding"] = json!("x".repeat(length)));
    let (short, long) = (of(11_000), of(12_500));
    assert!(short.len() < 16 * 1024 && long.len() > 16 * 1024);
    assert!(checker.identify(NAME, &short).await.is_ok());
    assert_not_allowed(&checker.identify_as(NAME, &long, Kind::IdToken, None).await, "too long");
}

#[tokio::test]
async fn cheap_checks_come_before_any_call() {
    let (oidc, checker) = started().await;
    for (claim, value) in [("iss", json!("https://evil.test")), ("aud", json!("evil-app")), ("exp", json!(1))] {
        let token = oidc.id_token_with(&ada(), |claims| claims[claim] = value.clone());
        assert_not_allowed(&checker.identify(NAME, &token).await, claim);
    }
    assert_eq!((oidc.calls(DISCOVERY), oidc.calls(JWKS)), (0, 0));
}

#[tokio::test]
async fn a_new_key_is_found_at_once_and_an_unknown_one_asked_for_once_a_minute() {
    let (oidc, checker) = started().await;
    assert!(checker.identify(NAME, &oidc.id_token(&ada())).await.is_ok());
    oidc.adds_key(Signer::new("k2", "ES256"));
    assert!(checker.identify(NAME, &oidc.id_token(&ada())).await.is_ok(), "signed with the new key");
    assert_eq!(oidc.calls(JWKS), 2);
    let unknown = Signer::new("k3", "ES256");
    let token = unknown.sign(&oidc.claims(&ada()));
    for _ in 0..5 {
        assert_not_allowed(&checker.identify(NAME, &token).await, "no such key");
    }
    assert_eq!(oidc.calls(JWKS), 2, "they were fetched a moment ago");
    checker.clock.advance(Duration::from_mins(1));
    for _ in 0..5 {
        assert_not_allowed(&checker.identify(NAME, &token).await, "no such key");
    }
    assert_eq!(oidc.calls(JWKS), 3);
    oidc.adds_key(unknown);
    checker.clock.advance(Duration::from_mins(1));
    assert!(checker.identify(NAME, &token).await.is_ok());
}

#[tokio::test]
async fn the_first_token_of_all_may_have_an_unknown_key_without_two_fetches() {
    let (oidc, checker) = started().await;
    let token = Signer::new("k3", "ES256").sign(&oidc.claims(&ada()));
    assert_not_allowed(&checker.identify(NAME, &token).await, "no such key");
    assert_eq!(oidc.calls(JWKS), 1);
}

#[tokio::test]
async fn many_tokens_at_once_share_one_fetch_of_the_keys() {
    let (oidc, checker) = started().await;
    let token = oidc.id_token(&ada());
    let all = futures_util::future::join_all((0..40).map(|_| checker.identify(NAME, &token))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!((oidc.calls(DISCOVERY), oidc.calls(JWKS)), (1, 1));
}

#[tokio::test]
async fn known_keys_outlive_an_outage_of_the_issuer() {
    let (oidc, checker) = started().await;
    assert!(checker.identify(NAME, &oidc.id_token(&ada())).await.is_ok());
    for path in [DISCOVERY, JWKS] {
        oidc.fails(path, Fault::Status(500));
    }
    let later = |hours: i64| oidc.id_token_with(&ada(), |claims| claims["exp"] = json!(NOW + hours * 3600 + 60));
    checker.clock.advance(Duration::from_hours(20));
    assert!(checker.identify(NAME, &later(20)).await.is_ok());
    let new = Signer::new("k2", "ES256").sign(&json!({
        "iss": oidc.issuer(), "aud": CLIENT_ID, "iat": NOW, "exp": NOW + 21 * 3600, "sub": "u-1",
    }));
    assert_eq!(checker.identify(NAME, &new).await, Err(Error::Status(500)), "it may be good: nobody knows");
    checker.clock.advance(Duration::from_hours(4));
    assert_eq!(checker.identify(NAME, &later(24)).await, Err(Error::Status(500)));
    oidc.recovers();
    assert!(checker.identify(NAME, &later(24)).await.is_ok());
}
