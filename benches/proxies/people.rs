//! Accounts in the store, and their sessions.

use std::ops::Range;

use passgate::{
    app::Opened,
    config::Settings,
    model::{Account, ClientId, Epoch, Scope},
    password::Hasher,
    secret::Secret,
    store::{Enrolment, Import, InsertAccount, NewSession},
    token::{Handle, RefreshTokens},
};

use super::tokens::account;

/// Everybody's.
pub const PASSWORD: &str = "weave-numbers-1843";

/// As long as those that Passgate makes, of nobody's password.
const NO_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";

/// Accounts in one step of an import.
const STEP: usize = 2000;

/// Keeps so many accounts that nobody can sign in to.
pub async fn fill(opened: &Opened, count: usize) {
    let import = |n| {
        let account = account(n);
        Import { email_key: account.email.clone(), password_hash: Some(NO_HASH.to_owned()), links: Vec::new(), account }
    };
    for from in (0..count).step_by(STEP) {
        let imports: Vec<_> = (from..count.min(from + STEP)).map(import).collect();
        let imported = opened.store.import_accounts(imports).await.unwrap();
        assert!(imported.iter().all(|imported| imported.present.is_none() && imported.address_of.is_none()));
    }
}

/// Keeps so many accounts that have [`PASSWORD`]; their addresses, and the hash.
pub async fn with_password(opened: &Opened, settings: &Settings, count: usize) -> (Vec<String>, String) {
    let hash = Hasher::new(settings.hashing).unwrap().hash(Secret::from(PASSWORD)).await.unwrap();
    let mut addresses = Vec::new();
    for n in 0..count {
        let account = account(n);
        addresses.push(account.email.clone().unwrap());
        insert(opened, account, Some(hash.clone())).await;
    }
    (addresses, hash)
}

/// Sessions of these accounts, which are made for them.
pub async fn refreshing(opened: &Opened, settings: &Settings, accounts: Range<usize>) -> Vec<Refreshing> {
    let mut sessions = Vec::new();
    for n in accounts {
        sessions.push(Refreshing::begin(opened, settings, n).await);
    }
    sessions
}

async fn insert(opened: &Opened, account: Account, password_hash: Option<String>) {
    let email_key = account.email.clone();
    let new = Enrolment { password_hash, ..Enrolment::of(account, email_key.as_deref()) };
    let inserted = opened.store.insert_account(&new).await.unwrap();
    assert!(matches!(inserted, InsertAccount::Inserted { .. }), "{inserted:?}");
}

/// A session, and how often it was refreshed.
pub struct Refreshing {
    handle: Handle,
    generation: u32,
}

impl Refreshing {
    /// Makes an account and its session.
    async fn begin(opened: &Opened, settings: &Settings, n: usize) -> Self {
        let account = account(n);
        let id = account.id;
        insert(opened, account, None).await;
        let handle = Handle::generate();
        let new = NewSession {
            id: handle.session_id(),
            client: ClientId::from("web"),
            scope: Scope::parse("read write").unwrap(),
            user_agent: "bench/1".to_owned(),
            source: None,
            rules: settings.sessions,
        };
        opened.store.create_session(id, Epoch::default(), &new).await.unwrap().unwrap();
        Self { handle, generation: 0 }
    }

    /// The refresh token that holds.
    pub fn token(&self, tokens: &RefreshTokens) -> String {
        tokens.derive(&self.handle, self.generation).expose().to_owned()
    }

    /// The tokens of the next so many refreshes: they follow from each other.
    pub fn next(&mut self, count: usize, tokens: &RefreshTokens) -> Vec<String> {
        let next = || {
            let token = self.token(tokens);
            self.generation += 1;
            token
        };
        std::iter::repeat_with(next).take(count).collect()
    }
}
