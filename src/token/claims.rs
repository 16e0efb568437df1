//! What an access token says (RFC 9068 section 2.2, and what identity headers need).

mod json;

pub(super) use json::unverified_expiry;

use super::{Settings, jws};
use crate::{
    clock::Timestamp,
    master,
    model::{Account, AccountId, ClientId, Epoch, Scope, SessionId},
    store::SessionStart,
};

/// The claims of one access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: AccountId,
    /// `aud`.
    pub audience: String,
    /// `exp`, whole seconds.
    pub expires_at: Timestamp,
    /// `iat`, whole seconds.
    pub issued_at: Timestamp,
    /// `jti`: 128 random bits.
    pub id: String,
    /// `sid`.
    pub session: SessionId,
    /// `epoch`.
    pub epoch: Epoch,
    /// `client_id`.
    pub client: ClientId,
    /// `scope`.
    pub scope: Scope,
    /// What of the account identity headers and `require` use.
    pub profile: Profile,
}

/// The account as its tokens describe it. A member that this deployment does not use is left out of the token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// `email`.
    pub email: Option<String>,
    /// `email_verified`.
    pub email_verified: bool,
    /// `preferred_username`.
    pub preferred_username: Option<String>,
    /// `name`: first and last name.
    pub name: Option<String>,
    /// `groups`.
    pub groups: Vec<String>,
    /// `staff`.
    pub staff: bool,
    /// `external_id`.
    pub external_id: Option<String>,
}

/// A claim that an identity header can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// `sub`.
    Sub,
    /// `email`, sent only when verified, unless told otherwise.
    Email,
    /// `email_verified`: `true` or `false`.
    EmailVerified,
    /// `preferred_username`.
    PreferredUsername,
    /// `name`.
    Name,
    /// `groups`, joined by commas.
    Groups,
    /// `staff`: `true` or `false`.
    Staff,
    /// `external_id`.
    ExternalId,
    /// `scope`.
    Scope,
    /// `client_id`.
    ClientId,
    /// `sid`.
    Sid,
}

impl Claims {
    /// What the access token of a session says; of the profile, only what `settings` asks for.
    pub fn of(start: &SessionStart, settings: &Settings) -> Self {
        let SessionStart { session, account, now, access_expires_at } = start;
        Self {
            issuer: settings.issuer.clone(),
            subject: account.id,
            audience: settings.audience.clone(),
            // Rounded down: no token outlives what the store knows of.
            expires_at: Timestamp::from_seconds(access_expires_at.seconds()),
            issued_at: Timestamp::from_seconds(now.seconds()),
            id: jws::encode(&master::random::<16>()),
            session: session.id,
            epoch: account.epoch,
            client: session.client.clone(),
            scope: session.scope.clone(),
            profile: Profile::of(account, &settings.profile),
        }
    }
}

impl Profile {
    /// The members that `claims` names. An address never goes without word of whether it is verified.
    fn of(account: &Account, claims: &[Claim]) -> Self {
        let uses = |claim| claims.contains(&claim);
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            email: account.email.clone().filter(|_| uses(Claim::Email)),
            email_verified: account.email_verified && (uses(Claim::EmailVerified) || uses(Claim::Email)),
            preferred_username: text(&account.username).filter(|_| uses(Claim::PreferredUsername)),
            name: text(format!("{} {}", account.first_name, account.last_name).trim()).filter(|_| uses(Claim::Name)),
            groups: if uses(Claim::Groups) { account.groups.clone() } else { Vec::new() },
            staff: account.staff && uses(Claim::Staff),
            external_id: account.external_id.clone().filter(|_| uses(Claim::ExternalId)),
        }
    }
}
