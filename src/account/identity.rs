//! Sign-in with an identity that a provider vouches for: into the account that is linked to it, or a new one.
//!
//! Never by address: whoever gets a provider to say an address would get the account that has it. Links that were
//! imported under an address are the one exception, once, for who has it verified.

use unicode_normalization::UnicodeNormalization;

use super::{Accounts, MAX_NAME, email};
use crate::{
    master,
    model::{Account, AccountId, Epoch, LinkKey},
    provider::{Identity, Verified},
    store::{Enrolment, InsertAccount, LinkSignIn, Names, NewSession, SessionStart, StoreError},
};

/// A sign-in that came to a session.
pub struct SignedIn {
    /// The session.
    pub start: SessionStart,
    /// The account was made for it.
    pub new: bool,
    /// The identity took over a link that was imported under its address.
    pub took_over: bool,
    /// The account that had the address, and lost it.
    pub reclaimed: Option<AccountId>,
}

/// Why an identity signs nobody in, or whether it does cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// See [`NoSignIn`].
    #[error(transparent)]
    NoSignIn(#[from] NoSignIn),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an identity signs nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSignIn {
    /// The linked account is deactivated.
    #[error("the account is inactive")]
    Inactive,
    /// The address belongs to an account that is not linked.
    #[error("the address belongs to an account that is not linked")]
    AddressTaken,
    /// A new account needs an address that the provider does not call unverified.
    #[error("the provider gives no verified address")]
    NoAddress,
    /// `accounts.registration: closed`, and there is no account yet.
    #[error("registration is closed")]
    Closed,
}

impl Accounts {
    /// Makes a session of the account linked to the identity, or of a new account with what the provider says of it.
    /// First and last name follow the provider, address and username are the account's own from its first day.
    pub async fn sign_in_with(
        &self,
        provider: &str,
        identity: &Identity,
        session: &NewSession,
    ) -> Result<SignedIn, IdentityError> {
        let key = LinkKey { provider: provider.to_owned(), subject: identity.subject.clone() };
        let names = names(identity);
        // Of first sign-ins at once one makes the account, and the others find it when they look again.
        for _ in 0..2 {
            match self.store.sign_in_by_link(&key, verified_email(identity), names.as_ref(), session).await? {
                LinkSignIn::SignedIn(start) => {
                    return Ok(SignedIn { start, new: false, took_over: false, reclaimed: None });
                }
                LinkSignIn::TakenOver(start) => {
                    return Ok(SignedIn { start, new: false, took_over: true, reclaimed: None });
                }
                LinkSignIn::Inactive(_) => return Err(NoSignIn::Inactive.into()),
                LinkSignIn::Unknown => {}
            }
            let new = self.enrolment(&key, identity, session)?;
            match self.store.insert_account(&new).await? {
                InsertAccount::Inserted { session: Some(start), reclaimed } => {
                    return Ok(SignedIn { start, new: true, took_over: false, reclaimed });
                }
                InsertAccount::EmailTaken => return Err(NoSignIn::AddressTaken.into()),
                InsertAccount::LinkTaken => {}
                InsertAccount::Inserted { session: None, .. } | InsertAccount::ExternalIdTaken => {
                    return Err(StoreError::Corrupt("a new account got no first session".to_owned()).into());
                }
            }
        }
        Err(StoreError::Unavailable("the link comes and goes".into()).into())
    }

    /// The account to be made for an identity.
    fn enrolment(&self, key: &LinkKey, identity: &Identity, session: &NewSession) -> Result<Enrolment, NoSignIn> {
        if !self.settings.registration {
            return Err(NoSignIn::Closed);
        }
        let Address { spelling, key: email_key, verified } = address(identity).ok_or(NoSignIn::NoAddress)?;
        let Names { first, last } = names(identity).unwrap_or(Names { first: String::new(), last: String::new() });
        let account = Account {
            id: AccountId::generate(),
            email: Some(spelling),
            email_verified: verified,
            username: username(&identity.username),
            first_name: first,
            last_name: last,
            groups: Vec::new(),
            staff: false,
            active: true,
            external_id: None,
            epoch: Epoch::default(),
            created_at: self.clock.now(),
        };
        Ok(Enrolment {
            link: Some(key.clone()),
            session: Some(session.clone()),
            // Who only claims an address takes it from nobody.
            reclaim: self.settings.reclaim_unverified && verified,
            ..Enrolment::of(account, Some(&email_key))
        })
    }
}

/// The address as the provider spells it, if it has seen that it is the person's.
fn verified_email(identity: &Identity) -> Option<&str> {
    let email = identity.email.as_ref()?;
    (email.verified == Verified::Yes).then_some(email.address.as_str())
}

struct Address {
    spelling: String,
    key: String,
    verified: bool,
}

/// The address to make an account with; its domain in lower case, as the provider's users of before have it.
fn address(identity: &Identity) -> Option<Address> {
    let email = identity.email.as_ref()?;
    let verified = match email.verified {
        Verified::Yes => true,
        Verified::Unstated => false,
        Verified::No => return None,
    };
    let text = email.address.trim();
    if text.chars().nth(email::MAX_LENGTH).is_some() {
        return None;
    }
    let key = email::key(text)?;
    let (local, domain) = text.rsplit_once('@')?;
    Some(Address { spelling: format!("{local}@{}", domain.to_lowercase()), key, verified })
}

/// The names for the account to take over; `None` when the provider gives none.
fn names(identity: &Identity) -> Option<Names> {
    let names = Names { first: name(&identity.first_name), last: name(&identity.last_name) };
    (!names.first.is_empty() || !names.last.is_empty()).then_some(names)
}

/// A name in normal form C, without control characters, cut at [`MAX_NAME`] code points.
fn name(text: &str) -> String {
    let clean: String = text.nfc().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    clean.trim().to_owned()
}

/// What to call the account: the ASCII letters, digits and `_.@+-` of what the provider calls it. Where none are
/// left, 16 random hex digits; where there were none, 32. (As social-auth-core does it.)
fn username(text: &str) -> String {
    let clean: String = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '+' | '-'))
        .take(MAX_NAME)
        .collect();
    match (clean.is_empty(), text.is_empty()) {
        (false, _) => clean,
        (true, false) => format!("{:016x}", u64::from_ne_bytes(master::random())),
        (true, true) => format!("{:032x}", u128::from_ne_bytes(master::random())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Email;

    fn identity(address: &str, verified: Verified) -> Identity {
        Identity {
            subject: "1".to_owned(),
            email: Some(Email { address: address.to_owned(), verified }),
            username: "u".to_owned(),
            first_name: String::new(),
            last_name: String::new(),
        }
    }

    #[test]
    fn usernames_are_cleaned_as_the_contract_says() {
        assert_eq!(username("gnew"), "gnew");
        assert_eq!(username("zoë.李"), "zo.");
        assert_eq!(username("Fay Book"), "FayBook");
        assert_eq!(username("a_b.c@d+e-f/g\0"), "a_b.c@d+e-fg");
        assert_eq!(username(&"x".repeat(400)).len(), 150);
        let is_hex = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(is_hex(&username("李 雷"), 16) && is_hex(&username(""), 32));
        assert_ne!(username(""), username(""));
    }

    #[test]
    fn names_are_normal_cut_and_free_of_control_characters() {
        assert_eq!(name("  Zoe\u{308}\0\u{1b}[31m "), "Zoë[31m");
        assert_eq!(name(&"é".repeat(400)).chars().count(), 150);
        assert_eq!(names(&identity("a@example.test", Verified::Yes)), None);
        let only_last = Identity { last_name: "Book".to_owned(), ..identity("a@example.test", Verified::Yes) };
        assert_eq!(names(&only_last), Some(Names { first: String::new(), last: "Book".to_owned() }));
    }

    #[test]
    fn an_address_is_taken_unless_the_provider_calls_it_unverified() {
        let verified = |word| address(&identity(" Ann.B@EXAMPLE.test ", word)).map(|a| (a.spelling, a.key, a.verified));
        let kept = |verified| Some(("Ann.B@example.test".to_owned(), "ann.b@example.test".to_owned(), verified));
        assert_eq!(verified(Verified::Yes), kept(true));
        assert_eq!(verified(Verified::Unstated), kept(false));
        assert_eq!(verified(Verified::No), None);
        for none in ["", " ", "ann", "ann@", "ann@example..test", &format!("{}@example.test", "a".repeat(250))] {
            assert!(address(&identity(none, Verified::Yes)).is_none(), "{none}");
        }
        assert!(address(&Identity { email: None, ..identity("", Verified::Yes) }).is_none());
    }
}
