//! `microsoft`, and `microsoft-graph` by its older name: ID tokens of the Microsoft identity platform, for accounts of
//! any tenant or of one.
//!
//! Microsoft's keys serve many issuers, one per tenant, so a token has to agree with itself on its tenant and with its key
//! on the issuer. Whoever runs a tenant gives its accounts any address, so that most addresses prove nothing. Access tokens
//! for an API of ours have the same header, issuer and audience as ID tokens, and are told from them by their claims.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::Value;
use uuid::{Uuid, uuid};

use super::{
    Error, Extra, Identity, Parts, Presented, Provider, Row, Unusable,
    id_token::Verifier,
    identity::{self, Profile, Verified},
    jwks::Jwks,
};

pub(super) const ROW: Row = Row {
    name: "microsoft",
    endpoints: &[("jwks", Some("https://login.microsoftonline.com/common/discovery/v2.0/keys"))],
    needs_secret: None,
    extras: &[Extra::Audiences, Extra::Tenant, Extra::TrustEmail],
    make,
};

/// As python-social-auth calls it.
pub(super) const GRAPH: Row = Row { name: "microsoft-graph", ..ROW };

/// The issuer of tokens of any tenant, as the key sets write it.
const ANY_ISSUER: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";

/// The tenant of personal accounts. Microsoft itself runs it, and verifies its addresses.
const PERSONAL: Uuid = uuid!("9188040d-6c67-4c5b-b112-36a304b66dad");

struct Microsoft {
    trust_email: bool,
    id_tokens: Verifier,
}

fn make(parts: Parts) -> Result<Arc<dyn Provider>, Unusable> {
    let jwks = Jwks::at(parts.endpoint("jwks")?, parts.http.clone(), parts.clock.clone());
    let only = parts.settings.tenant;
    let ours = move |iss: &str| tenant(iss).is_some_and(|tenant| only.is_none_or(|only| only == tenant));
    Ok(Arc::new(Microsoft {
        id_tokens: Verifier::new(jwks, parts.clock, ours, parts.settings.our_ids()).with_scope_of_keys(may_sign),
        trust_email: parts.settings.trust_email && only.is_some(),
    }))
}

/// The tenant of an issuer, if it is one of Microsoft's.
fn tenant(iss: &str) -> Option<Uuid> {
    let (before, after) = ANY_ISSUER.split_once("{tenantid}")?;
    let text = iss.strip_prefix(before)?.strip_suffix(after)?;
    // Nothing but the one form in which Microsoft writes them: what is compared as text elsewhere has no others.
    Uuid::try_parse(text).ok().filter(|tenant| tenant.hyphenated().to_string() == text)
}

/// Whether a key of this issuer may sign for a token of that, which is one of Microsoft's.
fn may_sign(issuer: &str, iss: &str) -> bool {
    issuer == ANY_ISSUER || issuer == iss
}

/// What an ID token says of the person and the tenant.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    tid: Option<String>,
    /// Whether the tenant, or Microsoft, has seen that the address is the person's.
    #[serde(default, rename = "xms_edov", deserialize_with = "edov")]
    verified: Verified,
    #[serde(flatten)]
    access: AccessTokenClaims,
    #[serde(flatten)]
    profile: Profile,
}

/// Claims by which an access token is known, whatever their values.
#[derive(Deserialize)]
struct AccessTokenClaims {
    /// What the app may do for the person.
    scp: Option<IgnoredAny>,
    /// Whether the token is a person's or an app's.
    idtyp: Option<IgnoredAny>,
    /// How the app proved who it is.
    azpacr: Option<IgnoredAny>,
    /// What the app may do by itself; or, in ID tokens too, what the person is in our app.
    roles: Option<IgnoredAny>,
    /// The app that uses the token.
    azp: Option<IgnoredAny>,
}

impl AccessTokenClaims {
    const fn are_there(&self) -> bool {
        let Self { scp, idtyp, azpacr, roles, azp } = self;
        scp.is_some() || idtyp.is_some() || azpacr.is_some() || (roles.is_some() && azp.is_some())
    }
}

/// Microsoft has written this as a boolean, as a number and as text.
fn edov<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Verified, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => Verified::Unstated,
        Value::Bool(true) => Verified::Yes,
        Value::Number(number) if number.as_u64() == Some(1) => Verified::Yes,
        Value::String(text) if matches!(&*text, "1" | "true") => Verified::Yes,
        _ => Verified::No,
    })
}

#[async_trait]
impl Provider for Microsoft {
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error> {
        if !presented.is_id_token() {
            return Err(Error::NotAllowed("access tokens of Microsoft are for Microsoft's own services to read"));
        }
        let Claims { iss, tid, verified, access, mut profile } = self.id_tokens.verify(presented).await?;
        if access.are_there() {
            return Err(Error::NotAllowed("the token is an access token for an API of ours"));
        }
        let tenant = tenant(&iss).filter(|tenant| tid.as_deref() == Some(&tenant.hyphenated().to_string()));
        let tenant = tenant.ok_or(Error::NotAllowed("the token is of two tenants"))?;
        profile.email_verified = match verified {
            Verified::Unstated if tenant == PERSONAL || self.trust_email => Verified::Yes,
            Verified::Unstated => Verified::No,
            stated => stated,
        };
        // A subject is unique within its issuer only, and each tenant is one.
        profile.sub = Some(format!("{tenant}:{}", identity::subject(profile.sub)?));
        profile.identity(|profile| {
            let name = profile.preferred_username.as_deref().and_then(|name| name.split('@').next());
            name.filter(|name| !name.is_empty()).map_or_else(|| profile.local_part(), str::to_owned)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_issuer_has_a_tenant_in_one_form_only() {
        let issuer = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
        assert_eq!(tenant(&issuer("9188040d-6c67-4c5b-b112-36a304b66dad")), Some(PERSONAL));
        for odd in [
            issuer("9188040D-6C67-4C5B-B112-36A304B66DAD"),
            issuer("9188040d6c674c5bb11236a304b66dad"),
            issuer("{9188040d-6c67-4c5b-b112-36a304b66dad}"),
            issuer("urn:uuid:9188040d-6c67-4c5b-b112-36a304b66dad"),
            issuer("common"),
            issuer("{tenantid}"),
            issuer(""),
            issuer("9188040d-6c67-4c5b-b112-36a304b66dad") + "/",
            "https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/".to_owned(),
            "https://login.microsoftonline.com/v2.0".to_owned(),
            String::new(),
        ] {
            assert_eq!(tenant(&odd), None, "{odd}");
        }
    }

    #[test]
    fn only_what_means_true_says_that_an_address_is_verified() {
        for (value, verified) in [
            (json!(true), Verified::Yes),
            (json!(1), Verified::Yes),
            (json!("1"), Verified::Yes),
            (json!("true"), Verified::Yes),
            (json!(null), Verified::Unstated),
            (json!(false), Verified::No),
            (json!(0), Verified::No),
            (json!(1.5), Verified::No),
            (json!("True"), Verified::No),
            (json!(""), Verified::No),
            (json!([true]), Verified::No),
        ] {
            let claims: Claims = serde_json::from_value(json!({ "iss": "a", "xms_edov": value })).unwrap();
            assert_eq!(claims.verified, verified, "{value}");
        }
    }

    #[test]
    fn a_claim_that_comes_twice_is_refused() {
        let read = |json: &str| serde_json::from_str::<Claims>(json).is_ok();
        assert!(read(r#"{"iss": "a", "tid": "b", "sub": "c"}"#));
        for twice in [
            r#"{"iss": "a", "tid": "b", "tid": "b"}"#,
            r#"{"iss": "a", "sub": "c", "sub": "c"}"#,
            r#"{"iss": "a", "roles": [], "roles": []}"#,
        ] {
            assert!(!read(twice), "{twice}");
        }
    }
}
