//! Claims as JSON: the payload of an access token.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Claims, Profile};
use crate::{
    clock::Timestamp,
    model::{AccountId, ClientId, Epoch, Scope, SessionId},
    token::{Settings, jws},
};

impl Claims {
    /// The payload of a token.
    #[expect(clippy::expect_used, reason = "plain members under fixed names always make JSON")]
    pub(in crate::token) fn to_json(&self) -> Vec<u8> {
        let Self { profile, .. } = self;
        let wire = Wire {
            iss: Cow::Borrowed(&self.issuer),
            sub: self.subject,
            aud: Audience::One(Cow::Borrowed(&self.audience)),
            exp: self.expires_at.seconds(),
            iat: self.issued_at.seconds(),
            jti: Cow::Borrowed(&self.id),
            sid: self.session,
            epoch: self.epoch,
            client_id: Cow::Borrowed(&self.client),
            scope: Cow::Borrowed(&self.scope),
            email: profile.email.as_deref().map(Cow::Borrowed),
            email_verified: profile.email_verified,
            preferred_username: profile.preferred_username.as_deref().map(Cow::Borrowed),
            name: profile.name.as_deref().map(Cow::Borrowed),
            groups: Cow::Borrowed(&profile.groups),
            staff: profile.staff,
            external_id: profile.external_id.as_deref().map(Cow::Borrowed),
        };
        serde_json::to_vec(&wire).expect("claims are JSON")
    }

    /// Reads a payload whose signature held; `None` when a claim is missing, comes twice or is of the wrong
    /// type, or when the token is not of our issuer or for our audience.
    pub(in crate::token) fn from_json(payload: &[u8], settings: &Settings) -> Option<Self> {
        let wire: Wire<'static> = jws::read_object(payload)?;
        let issuers = settings.accepted_issuers.iter().chain([&settings.issuer]);
        (issuers.into_iter().any(|issuer| *issuer == wire.iss) && wire.aud.names(&settings.audience)).then_some(())?;
        Some(Self {
            issuer: wire.iss.into_owned(),
            subject: wire.sub,
            audience: settings.audience.clone(),
            expires_at: Timestamp::from_seconds(wire.exp),
            issued_at: Timestamp::from_seconds(wire.iat),
            id: wire.jti.into_owned(),
            session: wire.sid,
            epoch: wire.epoch,
            client: wire.client_id.into_owned(),
            scope: wire.scope.into_owned(),
            profile: Profile {
                email: wire.email.map(Cow::into_owned),
                email_verified: wire.email_verified,
                preferred_username: wire.preferred_username.map(Cow::into_owned),
                name: wire.name.map(Cow::into_owned),
                groups: wire.groups.into_owned(),
                staff: wire.staff,
                external_id: wire.external_id.map(Cow::into_owned),
            },
        })
    }
}

/// `exp` alone, of a payload that is not verified yet: good for refusing, never for accepting.
pub(in crate::token) fn unverified_expiry(payload: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Expiry {
        exp: i64,
    }
    jws::read_object(payload).map(|Expiry { exp }| Timestamp::from_seconds(exp))
}

/// The claims as JSON has them. Members of the profile are left out where they say nothing.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    iss: Cow<'a, str>,
    sub: AccountId,
    aud: Audience<'a>,
    exp: i64,
    iat: i64,
    jti: Cow<'a, str>,
    sid: SessionId,
    epoch: Epoch,
    client_id: Cow<'a, ClientId>,
    scope: Cow<'a, Scope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    email_verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preferred_username: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    groups: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    staff: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_id: Option<Cow<'a, str>>,
}

/// `aud` (RFC 7519 section 4.1.3). We write one; lists are read too.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(Cow<'a, str>),
    Several(Vec<String>),
}

impl Audience<'_> {
    fn names(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::token::{
        Claim,
        fixture::{PROFILE, settings, start},
    };

    fn payload() -> Value {
        serde_json::from_slice(&Claims::of(&start(), &settings(&PROFILE)).to_json()).unwrap()
    }

    fn read(payload: &Value) -> Option<Claims> {
        Claims::from_json(payload.to_string().as_bytes(), &settings(&[]))
    }

    #[test]
    fn claims_come_back_as_they_went() {
        let claims = Claims::of(&start(), &settings(&PROFILE));
        assert_eq!(Claims::from_json(&claims.to_json(), &settings(&[])), Some(claims));
    }

    #[test]
    fn a_full_token_says_what_rfc_9068_and_identity_headers_need() {
        let start = start();
        let claims = Claims::of(&start, &settings(&PROFILE));
        let written: Value = serde_json::from_slice(&claims.to_json()).unwrap();
        let expected = json!({
            "iss": "https://gate.test", "sub": start.account.id.to_string(), "aud": "https://gate.test",
            "exp": 1_000_000_900, "iat": 1_000_000_000, "jti": claims.id, "sid": "05".repeat(16), "epoch": 3,
            "client_id": "web", "scope": "read write",
            "email": "Ada@example.test", "email_verified": true, "preferred_username": "ada", "name": "Ada",
            "groups": ["ops", "dev"], "staff": true, "external_id": "42",
        });
        assert_eq!(written, expected);
    }

    #[test]
    fn members_of_the_profile_that_nobody_uses_stay_out_of_the_token() {
        let mut written: Value =
            serde_json::from_slice(&Claims::of(&start(), &settings(&[Claim::Sub])).to_json()).unwrap();
        let members = written.as_object_mut().unwrap();
        for required in ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "epoch", "client_id", "scope"] {
            assert!(members.remove(required).is_some(), "{required}");
        }
        assert!(members.is_empty(), "{members:?}");
    }

    #[test]
    fn an_address_never_goes_without_word_of_its_verification() {
        let claims = Claims::of(&start(), &settings(&[Claim::Email]));
        assert!(claims.profile.email_verified);
        let mut unverified = start();
        unverified.account.email_verified = false;
        assert!(!Claims::of(&unverified, &settings(&PROFILE)).profile.email_verified);
    }

    #[test]
    fn two_tokens_of_one_session_differ_in_their_ids() {
        let (one, two) = (Claims::of(&start(), &settings(&[])), Claims::of(&start(), &settings(&[])));
        assert_ne!(one.id, two.id);
        assert_eq!(one.id.len(), 22, "128 bits");
    }

    #[test]
    fn each_required_claim_is_missed() {
        assert!(read(&payload()).is_some());
        for claim in ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "epoch", "client_id", "scope"] {
            let mut payload = payload();
            payload.as_object_mut().unwrap().remove(claim).unwrap();
            assert!(read(&payload).is_none(), "{claim}");
        }
    }

    #[test]
    fn each_claim_of_a_wrong_type_is_refused() {
        let wrong = [
            ("iss", vec![json!(1), json!(null), json!(["https://gate.test"]), json!({})]),
            ("sub", vec![json!(1), json!(null), json!(""), json!("ada"), json!(["x"])]),
            ("aud", vec![json!(1), json!(null), json!([]), json!([1]), json!({"https://gate.test": true})]),
            ("exp", vec![json!("1900"), json!(1900.5), json!(null), json!([1900]), json!(1e300)]),
            ("iat", vec![json!("1000"), json!(true), json!(null)]),
            ("jti", vec![json!(1), json!(null)]),
            ("sid", vec![json!("05"), json!("0G".repeat(16)), json!(5), json!(null)]),
            ("epoch", vec![json!("3"), json!(-1), json!(3.5), json!(1_u64 << 32), json!(null)]),
            ("client_id", vec![json!(1), json!(["web"]), json!(null)]),
            ("scope", vec![json!(["read"]), json!("re\"ad"), json!(1), json!(null)]),
            ("email", vec![json!(1), json!(["a@b.test"])]),
            ("email_verified", vec![json!("true"), json!(1), json!(null)]),
            ("preferred_username", vec![json!(1)]),
            ("name", vec![json!({})]),
            ("groups", vec![json!("ops"), json!([1]), json!({}), json!(null)]),
            ("staff", vec![json!("yes"), json!(1), json!(null)]),
            ("external_id", vec![json!(42)]),
        ];
        for (claim, values) in wrong {
            for value in values {
                let mut payload = payload();
                payload[claim] = value.clone();
                assert!(read(&payload).is_none(), "{claim}: {value}");
            }
        }
    }

    #[test]
    fn a_claim_that_comes_twice_is_refused() {
        let payload = payload().to_string();
        for twice in [r#""staff":false"#, r#""sub":"0190163d-8694-739b-aea5-966c26f8ad91""#, r#""exp":9999999999"#] {
            let before = payload.replacen('{', &format!("{{{twice},"), 1);
            let after = format!("{},{twice}}}", payload.strip_suffix('}').unwrap());
            for payload in [before, after] {
                assert!(Claims::from_json(payload.as_bytes(), &settings(&[])).is_none(), "{payload}");
            }
        }
        assert!(unverified_expiry(br#"{"exp":1,"exp":9999999999}"#).is_none());
    }

    #[test]
    fn a_payload_that_is_no_object_is_refused() {
        let payload = payload();
        let values: Vec<&Value> = payload.as_object().unwrap().values().collect();
        for payload in [json!(values), json!(null), json!("sub"), json!([payload])] {
            assert!(read(&payload).is_none(), "{payload}");
        }
        assert!(Claims::from_json(b"", &settings(&[])).is_none());
        assert!(Claims::from_json(format!("{payload}{{}}").as_bytes(), &settings(&[])).is_none());
        assert!(unverified_expiry(b"[1900]").is_none());
    }

    #[test]
    fn the_issuer_is_ours_or_one_that_was() {
        for (issuer, holds) in [
            ("https://gate.test", true),
            ("https://old.test", true),
            ("https://gate.test/", false),
            ("https://GATE.test", false),
            ("https://evil.test", false),
            ("", false),
        ] {
            let mut payload = payload();
            payload["iss"] = json!(issuer);
            assert_eq!(read(&payload).is_some(), holds, "{issuer}");
        }
    }

    #[test]
    fn our_audience_must_be_named() {
        for (audience, holds) in [
            (json!("https://gate.test"), true),
            (json!(["https://other.test", "https://gate.test"]), true),
            (json!("https://other.test"), false),
            (json!(["https://other.test"]), false),
            (json!("https://old.test"), false),
            (json!("https://gate.test https://other.test"), false),
        ] {
            let mut payload = payload();
            payload["aud"] = audience.clone();
            assert_eq!(read(&payload).is_some(), holds, "{audience}");
        }
    }

    #[test]
    fn absent_members_of_the_profile_mean_no() {
        let mut payload = payload();
        for claim in ["email", "email_verified", "preferred_username", "name", "groups", "staff", "external_id"] {
            payload.as_object_mut().unwrap().remove(claim).unwrap();
        }
        assert_eq!(read(&payload).unwrap().profile, Profile::default());
    }
}
