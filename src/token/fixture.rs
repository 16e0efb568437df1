//! What tests of tokens start from.

use std::{sync::Arc, time::Duration};

use super::{Algorithm, Claim, KeyRing, Settings};
use crate::{
    clock::Timestamp,
    master::{Master, Masters},
    model::{Account, AccountId, ClientId, Epoch, Scope, SessionId},
    secret::Secret,
    session::Session,
    store::{ChangeStore as _, Deployment, SessionStart, testing::TestStore},
};

/// When the tests take place.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_000_000_000);

/// The deployment's id.
pub(crate) const DEPLOYMENT: [u8; 16] = [7; 16];

/// Everything an account can say of itself.
pub(crate) const PROFILE: [Claim; 7] = [
    Claim::Email,
    Claim::EmailVerified,
    Claim::PreferredUsername,
    Claim::Name,
    Claim::Groups,
    Claim::Staff,
    Claim::ExternalId,
];

pub(crate) fn settings(profile: &[Claim]) -> Settings {
    Settings {
        issuer: "https://gate.test".to_owned(),
        accepted_issuers: vec!["https://old.test".to_owned()],
        audience: "https://gate.test".to_owned(),
        algorithm: Algorithm::EdDsa,
        access_ttl: Duration::from_mins(15),
        leeway: Duration::from_secs(5),
        rotate_every: Duration::from_hours(90 * 24),
        publish_ahead: Duration::from_hours(1),
        profile: profile.to_vec(),
    }
}

pub(crate) fn master() -> Masters {
    Master::new(&Secret::from("0123456789abcdef0123456789abcdef")).unwrap().into()
}

/// A ring over `store`, opened at [`NOW`].
pub(crate) async fn ring(store: &Arc<TestStore>, settings: Settings) -> KeyRing {
    if store.sql.deployment().await.unwrap().is_none() {
        let claim = Deployment { id: DEPLOYMENT, master_check: master().configured().check(&DEPLOYMENT) };
        store.sql.claim_deployment(&claim).await.unwrap();
    }
    KeyRing::open(Arc::clone(store) as _, &master(), DEPLOYMENT, settings, NOW).await.unwrap()
}

/// Ada has just signed in: her access token holds from [`NOW`] for 15 minutes.
pub(crate) fn start() -> SessionStart {
    let id = AccountId::generate();
    // Not whole seconds, as claims must have them.
    let now = NOW + Duration::from_millis(999);
    let access_expires_at = now + Duration::from_mins(15);
    SessionStart {
        session: Session {
            id: SessionId::from_bytes([5; 16]),
            account: id,
            client: ClientId::from("web"),
            scope: Scope::parse("read write").unwrap(),
            created_at: now,
            generation: 0,
            rotated_at: now,
            superseded: vec![],
            access_expires_at,
            refresh_ended: false,
            user_agent: String::new(),
        },
        account: Account {
            id,
            email: Some("Ada@example.test".to_owned()),
            email_verified: true,
            username: "ada".to_owned(),
            first_name: "Ada".to_owned(),
            last_name: String::new(),
            groups: vec!["ops".to_owned(), "dev".to_owned()],
            staff: true,
            active: true,
            external_id: Some("42".to_owned()),
            epoch: Epoch(3),
            created_at: now,
        },
        now,
        access_expires_at,
    }
}
