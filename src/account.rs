//! Accounts: registration, sign-in with a password, changes.

pub mod email;
mod fields;
pub mod identity;

use std::sync::Arc;

pub use self::fields::{Draft, Faults, MAX_NAME};
use crate::{
    clock::Clock,
    model::{Account, AccountId, Epoch, SessionId},
    password::{Busy, Hasher, Verified},
    secret::Secret,
    store::{AccountChange, Credentials, Enrolment, InsertAccount, NewSession, SessionStart, Store, StoreError},
};

/// What accounts may do here.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether strangers may sign up.
    pub registration: bool,
    /// Whether `create/` answers tokens.
    pub sign_in_after_registration: bool,
    /// Whether the owner of an address, by a provider's word, gets it from an account that has it unverified.
    pub reclaim_unverified: bool,
    /// Who may list accounts.
    pub list: List,
}

/// Who may list accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Staff.
    Staff,
    /// Anybody signed in.
    Authenticated,
    /// Anybody.
    Public,
}

/// What a person gives to sign up, as received; absent and null are told apart by the caller. What is not in
/// here, a person cannot set.
pub struct Registration {
    /// `email`.
    pub email: String,
    /// `username`.
    pub username: String,
    /// `first_name`.
    pub first_name: String,
    /// `password`.
    pub password: Secret,
}

/// An account as an operator makes it.
pub struct NewAccount {
    /// Its address.
    pub email: String,
    /// Whether the operator vouches for the address.
    pub email_verified: bool,
    /// What others may call it.
    pub username: String,
    /// Given name; may be empty.
    pub first_name: String,
    /// Absent: it cannot sign in with a password until it gets one.
    pub password: Option<Secret>,
    /// Whether it may see and do what staff may.
    pub staff: bool,
}

/// Why a registration was refused.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Field and text for its owner, in the contract's words; all wrong fields at once.
    #[error("fields are wrong")]
    Fields(Faults),
    /// `accounts.registration: closed`.
    #[error("registration is closed")]
    Closed,
    /// See [`Busy`].
    #[error(transparent)]
    Busy(#[from] Busy),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a sign-in failed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown address, inactive account or wrong password: one answer, and one cost.
    #[error("invalid credentials")]
    Invalid(SignInFailure),
    /// See [`Busy`].
    #[error(transparent)]
    Busy(#[from] Busy),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was wrong, for the audit log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInFailure {
    /// No such address.
    Unknown,
    /// Deactivated.
    Inactive,
    /// Another password.
    Password,
}

/// Why the command line could not make or change an account.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is none of this address or id.
    #[error("no such account")]
    Unknown,
    /// See [`RegisterError`].
    #[error(transparent)]
    Register(#[from] RegisterError),
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Register(error.into())
    }
}

impl From<Busy> for ChangeError {
    fn from(error: Busy) -> Self {
        Self::Register(error.into())
    }
}

/// The rules of accounts over a store.
pub struct Accounts {
    store: Arc<dyn Store>,
    hasher: Arc<Hasher>,
    settings: Settings,
    clock: Clock,
}

impl Accounts {
    /// The rules over this store.
    pub fn new(store: Arc<dyn Store>, hasher: Arc<Hasher>, settings: Settings, clock: Clock) -> Self {
        Self { store, hasher, settings, clock }
    }

    /// A stranger's account, and a first session where one is given, to be [made](Self::enrol): its fields are judged and
    /// its password is hashed.
    pub async fn prepare(
        &self,
        registration: Registration,
        first_session: Option<NewSession>,
    ) -> Result<Enrolment, RegisterError> {
        let Registration { email, username, first_name, password } = registration;
        let faults = self.faults(Draft {
            email: Some(&email),
            username: Some(&username),
            first_name: Some(&first_name),
            password: Some(&password),
        });
        none(faults.await?)?;
        let password = Some(password);
        let new = NewAccount { email, email_verified: false, username, first_name, password, staff: false };
        Ok(Enrolment { session: first_session, ..self.hashed(new).await? })
    }

    /// Makes what was prepared, the account and its first session, in one step.
    pub async fn enrol(&self, new: &Enrolment) -> Result<(Account, Option<SessionStart>), RegisterError> {
        match self.store.insert_account(new).await? {
            InsertAccount::Inserted { session, .. } => Ok((new.account.clone(), session)),
            InsertAccount::EmailTaken => Err(RegisterError::Fields(vec![("email", fields::TAKEN.to_owned())])),
            InsertAccount::ExternalIdTaken | InsertAccount::LinkTaken => {
                Err(StoreError::Corrupt("an account without external_id and link collided with another's".to_owned())
                    .into())
            }
        }
    }

    /// Everything wrong with the fields that a sign-up has, for a caller that has found others absent: all wrong
    /// fields are told at once. [`Accounts::prepare`] asks this itself.
    pub async fn faults(&self, draft: Draft<'_>) -> Result<Faults, RegisterError> {
        if self.settings.registration { self.judge(draft).await } else { Err(RegisterError::Closed) }
    }

    /// Makes an account for an operator, whether or not strangers may sign up.
    pub async fn create(&self, new: NewAccount) -> Result<Account, RegisterError> {
        let first_name = Some(new.first_name.as_str()).filter(|name| !name.trim().is_empty());
        let faults = self.judge(Draft {
            email: Some(&new.email),
            username: Some(&new.username),
            first_name,
            password: new.password.as_ref(),
        });
        none(faults.await?)?;
        Ok(self.enrol(&self.hashed(new).await?).await?.0)
    }

    /// The account of this address and password, at equal cost for unknown, inactive and known ones. Its epoch
    /// was read together with the password hash, so a session made under it fails if either has changed since.
    pub async fn sign_in(&self, email: &str, password: Secret) -> Result<Account, SignInError> {
        let credentials = match email::key(email.trim()) {
            Some(key) => self.store.credentials(&key).await?,
            None => None,
        };
        let (account, hash) = match credentials {
            Some(Credentials { account, password_hash }) => (Some(account), password_hash),
            None => (None, None),
        };
        let verified = self.hasher.verify(password.clone(), hash.clone()).await?;
        let Some(account) = account else {
            return Err(SignInError::Invalid(SignInFailure::Unknown));
        };
        if !account.active {
            return Err(SignInError::Invalid(SignInFailure::Inactive));
        }
        match verified {
            Verified::Yes => Ok(account),
            Verified::Outdated => {
                self.renew_hash(account.id, password, hash).await;
                Ok(account)
            }
            Verified::No => Err(SignInError::Invalid(SignInFailure::Password)),
            Verified::Unusable(error) => {
                tracing::error!(account = %account.id, %error, "a stored password hash cannot be used");
                Err(SignInError::Invalid(SignInFailure::Password))
            }
        }
    }

    /// What signs this account in, its epoch read with it, if this is its password. `None` when it is not, or when
    /// the account has none.
    pub async fn prove(&self, id: AccountId, password: Secret) -> Result<Option<Epoch>, SignInError> {
        let (epoch, hash) = match self.store.credentials_of(id).await? {
            Some(Credentials { account, password_hash }) => (account.epoch, password_hash),
            None => return Ok(None),
        };
        let verified = self.hasher.verify(password, hash).await?;
        Ok(matches!(verified, Verified::Yes | Verified::Outdated).then_some(epoch))
    }

    /// Whether it can be signed in to with a password.
    pub async fn has_password(&self, id: AccountId) -> Result<bool, StoreError> {
        Ok(self.store.credentials_of(id).await?.is_some_and(|credentials| credentials.password_hash.is_some()))
    }

    /// The account that an operator names by address or id.
    pub async fn find(&self, address_or_id: &str) -> Result<Account, ChangeError> {
        let name = address_or_id.trim();
        let found = match (name.parse(), email::key(name)) {
            (Ok(id), _) => self.store.account(id).await?,
            (_, Some(key)) => self.store.credentials(&key).await?.map(|credentials| credentials.account),
            _ => None,
        };
        found.ok_or(ChangeError::Unknown)
    }

    /// Sets the password that the owner of `session` chose, by the rules of sign-up, and ends the other sessions.
    /// `epoch` was read with what proved the owner; false when it has moved since.
    pub async fn set_own_password(
        &self,
        account: &Account,
        epoch: Epoch,
        session: SessionId,
        password: Secret,
    ) -> Result<bool, RegisterError> {
        let hash = self.hash_judged(account, password).await?;
        Ok(self.store.change_own_password(account.id, epoch, &hash, session).await?)
    }

    /// Sets a new password, by the rules of sign-up.
    pub async fn set_password(&self, id: AccountId, password: Secret) -> Result<Account, ChangeError> {
        let account = self.store.account(id).await?.ok_or(ChangeError::Unknown)?;
        let hash = self.hash_judged(&account, password).await?;
        self.change(id, AccountChange::Password(hash)).await
    }

    /// The hash of a new password of this account, if it will do.
    async fn hash_judged(&self, account: &Account, password: Secret) -> Result<String, RegisterError> {
        let own = [account.email.clone().unwrap_or_default(), account.username.clone(), account.first_name.clone()];
        let problems = self.hasher.judge(password.clone(), own.into()).await?;
        none(problems.into_iter().map(|text| ("password", text.to_owned())).collect())?;
        Ok(self.hasher.hash(password).await?)
    }

    /// Makes another change.
    pub async fn change(&self, id: AccountId, change: AccountChange) -> Result<Account, ChangeError> {
        self.store.change_account(id, &change).await?.ok_or(ChangeError::Unknown)
    }

    async fn judge(&self, draft: Draft<'_>) -> Result<Faults, RegisterError> {
        let mut faults = Faults::new();
        let mut own = Vec::new();
        for (field, text, problems) in [
            ("email", draft.email, fields::email as fn(&str) -> Vec<String>),
            ("username", draft.username, fields::name),
            ("first_name", draft.first_name, fields::name),
        ] {
            let Some(text) = text else { continue };
            let problems = problems(text);
            if problems.is_empty() {
                own.push(text.trim().to_owned());
            }
            faults.extend(problems.into_iter().map(|text| (field, text)));
        }
        // Saves the hash; whether the address is free is for the store to say in the end.
        let email = draft.email.filter(|_| faults.iter().all(|(field, _)| *field != "email"));
        if let Some(key) = email.and_then(|email| email::key(email.trim()))
            && self.store.credentials(&key).await?.is_some()
        {
            faults.push(("email", fields::TAKEN.to_owned()));
        }
        if let Some(password) = draft.password {
            let problems = self.hasher.judge(password.clone(), own).await?;
            faults.extend(problems.into_iter().map(|text| ("password", text.to_owned())));
        }
        Ok(faults)
    }

    /// Keeps an account whose fields hold.
    async fn hashed(&self, new: NewAccount) -> Result<Enrolment, RegisterError> {
        let email_key = email::key(new.email.trim());
        let password_hash = match new.password {
            Some(password) => Some(self.hasher.hash(password).await?),
            None => None,
        };
        let account = Account {
            id: AccountId::generate(),
            email: Some(new.email.trim().to_owned()),
            email_verified: new.email_verified,
            username: new.username.trim().to_owned(),
            first_name: new.first_name.trim().to_owned(),
            last_name: String::new(),
            groups: Vec::new(),
            staff: new.staff,
            active: true,
            external_id: None,
            epoch: Epoch::default(),
            created_at: self.clock.now(),
        };
        Ok(Enrolment { password_hash, ..Enrolment::of(account, email_key.as_deref()) })
    }

    /// Hashes a password that has just verified at today's cost. The sign-in holds whatever comes of it.
    async fn renew_hash(&self, id: AccountId, password: Secret, current: Option<String>) {
        let (Some(current), Ok(new)) = (current, self.hasher.hash(password).await) else { return };
        if let Err(error) = self.store.replace_password_hash(id, &current, &new).await {
            tracing::warn!(account = %id, %error, "a password hash of other costs was not replaced");
        }
    }
}

fn none(faults: Faults) -> Result<(), RegisterError> {
    if faults.is_empty() { Ok(()) } else { Err(RegisterError::Fields(faults)) }
}

#[cfg(test)]
mod tests;
