use std::borrow::Borrow;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

use super::*;

fn set(keys: impl Borrow<Value>) -> KeySet {
    KeySet::of(serde_json::from_value(json!({ "keys": keys.borrow() })).unwrap()).unwrap()
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// An RSA key of this many bits, as far as its form goes.
fn rsa(bits: usize) -> Value {
    let mut n = vec![0xff; bits / 8];
    n[0] = 0x80;
    json!({ "kty": "RSA", "kid": "rsa", "n": encode(&n), "e": "AQAB" })
}

fn ec() -> Value {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    json!({ "kty": "EC", "crv": "P-256", "kid": "ec", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
}

fn okp() -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encode(&[7; 32]) })
}

fn with(mut key: Value, members: impl Borrow<Value>) -> Value {
    key.as_object_mut().unwrap().extend(members.borrow().as_object().unwrap().clone());
    key
}

fn takes(key: impl Borrow<Value>) -> bool {
    !set(json!([key.borrow()])).0.is_empty()
}

#[test]
fn a_key_verifies_what_its_type_can() {
    use Algorithm::{ES256, ES384, EdDSA, PS512, RS256};
    let set = set(json!([rsa(2048), ec(), okp()]));
    for (kid, algorithm, found) in [
        ("rsa", RS256, true),
        ("rsa", PS512, true),
        ("rsa", ES256, false),
        ("ec", ES256, true),
        ("ec", ES384, false),
        ("ec", RS256, false),
        ("ed", EdDSA, true),
        ("ed", ES256, false),
        ("RSA", RS256, false),
        ("", RS256, false),
    ] {
        assert_eq!(set.find(Some(kid), algorithm).is_some(), found, "{kid} {algorithm:?}");
    }
    for symmetric in ["HS256", "HS384", "HS512", "none", "", "rs256", "ES512"] {
        assert!(algorithm(symmetric).is_none(), "{symmetric}");
    }
}

#[test]
fn a_key_that_states_its_algorithm_verifies_no_other() {
    let set = set(json!([with(rsa(2048), json!({ "alg": "PS256" }))]));
    assert!(set.find(Some("rsa"), Algorithm::PS256).is_some());
    assert!(set.find(Some("rsa"), Algorithm::RS256).is_none());
    for other in ["RSA-OAEP", "HS256", "ES256", "none", ""] {
        assert!(!takes(with(rsa(2048), json!({ "alg": other }))), "{other}");
    }
}

#[test]
fn keys_that_are_for_something_else_or_too_weak_or_no_keys_are_passed_over() {
    assert!(takes(rsa(2048)) && takes(rsa(4096)) && takes(ec()) && takes(okp()));
    assert!(takes(with(ec(), json!({ "use": "sig", "key_ops": ["verify"], "x5c": ["MII"], "ext": true }))));
    let padded = encode(&[vec![0; 8], vec![0x7f; 255]].concat());
    for key in [
        with(rsa(2048), json!({ "use": "enc" })),
        with(rsa(2048), json!({ "key_ops": ["sign"] })),
        with(rsa(2048), json!({ "n": padded })),
        with(rsa(2048), json!({ "n": "" })),
        with(rsa(2048), json!({ "n": "a b" })),
        with(rsa(2048), json!({ "e": null })),
        rsa(1024),
        rsa(2040),
        with(ec(), json!({ "crv": "P-384" })),
        with(ec(), json!({ "crv": "P-521" })),
        with(ec(), json!({ "crv": "secp256k1" })),
        with(ec(), json!({ "crv": null })),
        with(ec(), json!({ "y": encode(&[1; 31]) })),
        with(okp(), json!({ "crv": "X25519" })),
        with(okp(), json!({ "x": encode(&[1; 33]) })),
        json!({ "kty": "oct", "kid": "k", "k": encode(&[1; 32]), "alg": "HS256" }),
        json!({ "kty": "EC" }),
        json!({ "kty": 1 }),
        json!({}),
        json!("key"),
        json!(null),
    ] {
        assert!(!takes(&key), "{key}");
        assert!(set(json!([key, ec()])).find(Some("ec"), Algorithm::ES256).is_some(), "the others count");
    }
}

#[test]
fn a_key_need_not_be_named_where_there_is_no_choice() {
    let both = set(json!([rsa(2048), ec()]));
    assert!(both.find(None, Algorithm::RS256).is_some() && both.find(None, Algorithm::ES256).is_some());
    let two = set(json!([with(rsa(2048), json!({ "kid": "a" })), with(rsa(2048), json!({ "kid": "b" }))]));
    assert!(two.find(None, Algorithm::RS256).is_none());
    assert!(two.find(Some("a"), Algorithm::RS256).is_some());
    let twins = set(json!([rsa(2048), rsa(4096)]));
    assert!(twins.find(Some("rsa"), Algorithm::RS256).is_none(), "which of the two is meant?");
    let nameless = set(json!([with(ec(), json!({ "kid": null }))]));
    assert!(nameless.find(None, Algorithm::ES256).is_some());
    assert!(nameless.find(Some("ec"), Algorithm::ES256).is_none());
}

#[test]
fn a_set_has_a_bound() {
    let of = |count: usize| KeySet::of(Set { keys: vec![okp(); count] });
    assert!(of(MAX_KEYS).is_ok() && of(MAX_KEYS + 1).is_err());
}

#[test]
fn odd_keys_and_signatures_verify_nothing() {
    let off_the_curve = with(ec(), json!({ "x": encode(&[1; 32]), "y": encode(&[1; 32]) }));
    let even_exponent = with(rsa(2048), json!({ "e": encode(&[0]) }));
    for (key, algorithm) in [
        (off_the_curve, Algorithm::ES256),
        (even_exponent, Algorithm::RS256),
        (rsa(16384), Algorithm::RS256),
        (okp(), Algorithm::EdDSA),
    ] {
        let key = set(json!([key])).find(None, algorithm).expect("it has the form of a key");
        for signature in ["", "AA", "=", "é", &encode(&[0; 64]), &encode(&[0xff; 256])] {
            assert!(!key.verifies("a.b", signature, algorithm));
        }
    }
}
