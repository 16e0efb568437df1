//! An application of django-oauth-toolkit as a client.

use super::{account::about, record::Record, report::Reason};
use crate::{
    model::{ClientId, Scope},
    oauth::client::Grant,
    password::{Unusable, check_imported},
    secret::Secret,
    store::{StoredClient, StoredSecret},
};

/// Longest `client_id` that the endpoints read.
const MAX_ID: usize = 200;

/// What an application of the password grant may use here, as drf-social-oauth2 has it.
const GRANTS: [Grant; 3] = [Grant::Password, Grant::RefreshToken, Grant::ConvertToken];

/// What an application proves itself by.
pub(super) enum Proof {
    /// Nothing.
    Public,
    /// A secret that Django had in clear.
    Clear(Secret),
    /// A secret that Django had hashed, as it had its users' passwords.
    Hashed(String),
}

/// A client in the making.
pub(super) struct Made {
    pub id: ClientId,
    pub proof: Proof,
    pub grants: Vec<String>,
    pub scopes: Scope,
}

impl Made {
    /// As the store keeps it. `mac` is the HMAC of client secrets.
    pub fn stored(self, mac: &dyn Fn(&str) -> [u8; 32]) -> StoredClient {
        let Self { id, proof, grants, scopes } = self;
        let secret = match proof {
            Proof::Public => None,
            Proof::Clear(secret) => Some(StoredSecret::Mac(mac(secret.expose()))),
            Proof::Hashed(hash) => Some(StoredSecret::Imported(hash)),
        };
        StoredClient { id, secret, grants, scopes }
    }
}

/// The client of an application, or why it cannot be one, and its id.
pub(super) fn make(record: &Record, scopes: &Scope) -> Result<Made, (Reason, String)> {
    let id = record.text("client_id").unwrap_or_default();
    // RFC 6749 appendix A.1, without the space, and without the colon that HTTP Basic splits at.
    if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
        return Err((Reason::ClientInvalid, id.escape_default().take(MAX_ID).collect()));
    }
    let grant = record.text("authorization_grant_type").unwrap_or_default();
    if grant != "password" {
        let grant: String = grant.chars().filter(char::is_ascii_graphic).take(44).collect();
        return Err((Reason::GrantUnsupported, format!("{id}: {grant}")));
    }
    let proof = match (record.text("client_type"), record.text("client_secret").unwrap_or_default()) {
        (Some("public"), _) => Proof::Public,
        (_, "") => return Err((Reason::SecretUnusable, format!("{id}: it has none"))),
        // Before version 2.4 there was no such field, and a secret was hashed if it looked so.
        (_, secret) if record.flag("hash_client_secret").unwrap_or_else(|| looks_hashed(secret)) => {
            check_imported(secret).map_err(|why| (Reason::SecretUnusable, format!("{id}: {}", about(secret, why))))?;
            Proof::Hashed(secret.to_owned())
        }
        (_, secret) => Proof::Clear(Secret::from(secret)),
    };
    let named = |grant: Grant| Grant::ALL.iter().find(|(_, known)| *known == grant).map(|(name, _)| (*name).to_owned());
    let grants = GRANTS.into_iter().filter_map(named).collect();
    Ok(Made { id: ClientId::from(id), proof, grants, scopes: scopes.clone() })
}

/// Whether a secret is one of the hashes that we know, be it one that we verify.
fn looks_hashed(secret: &str) -> bool {
    !matches!(check_imported(secret), Err(Unusable::Malformed | Unusable::Unknown))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn made(members: Value) -> Result<Made, (Reason, String)> {
        let mut fields = json!({
            "client_id": "web", "client_type": "confidential", "authorization_grant_type": "password",
            "client_secret": "s3cret", "hash_client_secret": false,
        });
        let (Value::Object(own), Value::Object(members)) = (&mut fields, members) else { panic!("objects") };
        own.extend(members);
        let Value::Object(fields) = fields else { unreachable!() };
        let record = Record { model: "oauth2_provider.application".to_owned(), pk: "1".to_owned(), fields };
        make(&record, &Scope::parse("read write").unwrap())
    }

    fn refused(members: Value) -> (Reason, String) {
        match made(members) {
            Err(refused) => refused,
            Ok(made) => panic!("{} was made", made.id),
        }
    }

    #[test]
    fn an_application_of_the_password_grant_becomes_a_client() {
        let made = made(json!({})).ok().unwrap();
        assert_eq!(made.id.as_str(), "web");
        assert!(matches!(&made.proof, Proof::Clear(secret) if secret.expose() == "s3cret"));
        let stored = made.stored(&|secret| [u8::try_from(secret.len()).unwrap(); 32]);
        assert!(stored.secret == Some(StoredSecret::Mac([6; 32])));
        assert_eq!(stored.grants, ["password", "refresh_token", "convert_token"]);
        assert_eq!(stored.scopes.to_string(), "read write");
    }

    #[test]
    fn a_public_application_proves_nothing_whatever_secret_it_has() {
        for secret in ["", "s3cret", "pbkdf2_sha256$1$a$b"] {
            let members = json!({ "client_type": "public", "client_secret": secret, "hash_client_secret": true });
            assert!(matches!(made(members).ok().unwrap().proof, Proof::Public));
        }
    }

    #[test]
    fn a_secret_is_hashed_if_it_looks_so_and_nobody_says_otherwise() {
        let proof = |members: Value| made(members).ok().unwrap().proof;
        let hash = "pbkdf2_sha256$1000000$G6fl7ZsscIm5ykn1me95ph$9kwMbiOY2Xt14Zig5QL+QcAnsOPzP3CgLDjO896Lxf0=";
        for hashed in [json!(true), json!(1), json!(null)] {
            let members = json!({ "client_secret": hash, "hash_client_secret": hashed });
            assert!(matches!(proof(members), Proof::Hashed(kept) if kept == hash));
        }
        assert!(matches!(proof(json!({ "client_secret": hash })), Proof::Clear(_)));
        let clear = json!({ "client_secret": "pa$$word", "hash_client_secret": null });
        assert!(matches!(proof(clear), Proof::Clear(secret) if secret.expose() == "pa$$word"));
    }

    #[test]
    fn a_confidential_application_without_a_secret_never_becomes_a_public_client() {
        for (secret, hashed) in [("", false), ("", true), ("md5$a$b", true)] {
            let members = json!({ "client_secret": secret, "hash_client_secret": hashed });
            assert_eq!(refused(members).0, Reason::SecretUnusable, "{secret}");
        }
        // What Django does not know either counts as confidential.
        assert_eq!(refused(json!({ "client_type": "odd", "client_secret": "" })).0, Reason::SecretUnusable);
    }

    #[test]
    fn other_grants_and_ids_that_no_client_can_have_are_told() {
        for grant in ["authorization-code", "implicit", "client-credentials", "openid-hybrid", ""] {
            let refused = refused(json!({ "authorization_grant_type": grant }));
            assert_eq!(refused, (Reason::GrantUnsupported, format!("web: {grant}")));
        }
        for id in ["", "a:b", "a b", "zoë", &"x".repeat(201)] {
            assert_eq!(refused(json!({ "client_id": id })).0, Reason::ClientInvalid, "{id}");
        }
    }
}
