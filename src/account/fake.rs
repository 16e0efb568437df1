//! A store in memory for the tests of accounts and of the command line: what they use of it, and no more.

use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;

use crate::{
    change_log::Change,
    model::{Account, AccountId, Epoch, SessionId},
    session::{Presented, Rules, Session},
    store::{
        AccountChange, AccountStore, ChangeStore, Changes, ClientStore, Credentials, Cursor, Deployment, InsertAccount,
        KeyStore, NewSession, Rotation, SessionStart, SessionStore, StoreError, StoredClient, StoredKey,
    },
};

#[derive(Default)]
pub(crate) struct FakeStore {
    /// Every call fails.
    pub down: AtomicBool,
    /// Look-ups do not see the accounts yet, insertions do: another request was faster.
    pub behind: AtomicBool,
    accounts: Mutex<Vec<Row>>,
    clients: Mutex<Vec<StoredClient>>,
}

#[derive(Clone)]
pub(crate) struct Row {
    pub account: Account,
    pub email_key: Option<String>,
    pub password_hash: Option<String>,
    pub first_session: Option<SessionId>,
}

impl FakeStore {
    pub fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.accounts.lock().unwrap()
    }

    fn reachable(&self) -> Result<(), StoreError> {
        let down = self.down.load(Ordering::Relaxed);
        if down { Err(StoreError::Unavailable("it is down".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl AccountStore for FakeStore {
    async fn insert_account(
        &self,
        account: &Account,
        email_key: Option<&str>,
        password_hash: Option<&str>,
        session: Option<&NewSession>,
    ) -> Result<InsertAccount, StoreError> {
        self.reachable()?;
        let mut rows = self.rows();
        if email_key.is_some() && rows.iter().any(|row| row.email_key.as_deref() == email_key) {
            return Ok(InsertAccount::EmailTaken);
        }
        rows.push(Row {
            account: account.clone(),
            email_key: email_key.map(str::to_owned),
            password_hash: password_hash.map(str::to_owned),
            first_session: session.map(|session| session.id),
        });
        Ok(InsertAccount::Inserted(None))
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.reachable()?;
        Ok(self.rows().iter().find(|row| row.account.id == id).map(|row| row.account.clone()))
    }

    async fn credentials(&self, email_key: &str) -> Result<Option<Credentials>, StoreError> {
        self.reachable()?;
        if self.behind.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let rows = self.rows();
        let row = rows.iter().find(|row| row.email_key.as_deref() == Some(email_key));
        Ok(row.map(|row| Credentials { account: row.account.clone(), password_hash: row.password_hash.clone() }))
    }

    async fn accounts(&self, _: Option<AccountId>, _: u32) -> Result<Vec<Account>, StoreError> {
        unimplemented!()
    }

    async fn change_account(&self, id: AccountId, change: &AccountChange) -> Result<Option<Account>, StoreError> {
        self.reachable()?;
        let mut rows = self.rows();
        let Some(row) = rows.iter_mut().find(|row| row.account.id == id) else { return Ok(None) };
        let before = row.account.clone();
        match change {
            AccountChange::Password(hash) => row.password_hash = Some(hash.clone()),
            AccountChange::Active(active) => row.account.active = *active,
            AccountChange::Staff(staff) => row.account.staff = *staff,
            AccountChange::Groups(groups) => row.account.groups.clone_from(groups),
        }
        if matches!(change, AccountChange::Password(_))
            || (before != row.account && !matches!(change, AccountChange::Active(true)))
        {
            row.account.epoch = Epoch(row.account.epoch.0 + 1);
        }
        Ok(Some(row.account.clone()))
    }

    async fn replace_password_hash(&self, id: AccountId, current: &str, new: &str) -> Result<bool, StoreError> {
        self.reachable()?;
        let mut rows = self.rows();
        let row = rows.iter_mut().find(|row| row.account.id == id && row.password_hash.as_deref() == Some(current));
        Ok(row.map(|row| row.password_hash = Some(new.to_owned())).is_some())
    }
}

#[async_trait]
impl ClientStore for FakeStore {
    async fn insert_client(&self, client: &StoredClient) -> Result<bool, StoreError> {
        self.reachable()?;
        let mut clients = self.clients.lock().unwrap();
        let free = clients.iter().all(|kept| kept.id != client.id);
        if free {
            clients.push(client.clone());
            clients.sort_by(|a, b| a.id.cmp(&b.id));
        }
        Ok(free)
    }

    async fn clients(&self) -> Result<Vec<StoredClient>, StoreError> {
        self.reachable()?;
        Ok(self.clients.lock().unwrap().clone())
    }
}

#[async_trait]
impl SessionStore for FakeStore {
    async fn create_session(&self, _: &NewSession) -> Result<Option<SessionStart>, StoreError> {
        unimplemented!()
    }

    async fn rotate_session(&self, _: &Presented, _: &Rules) -> Result<Rotation, StoreError> {
        unimplemented!()
    }

    async fn session(&self, _: SessionId) -> Result<Option<Session>, StoreError> {
        unimplemented!()
    }

    async fn end_session(&self, _: SessionId) -> Result<bool, StoreError> {
        unimplemented!()
    }

    async fn sweep_expired(&self, _: &Rules, _: u32) -> Result<u64, StoreError> {
        unimplemented!()
    }
}

#[async_trait]
impl KeyStore for FakeStore {
    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        unimplemented!()
    }

    async fn insert_key(&self, _: &StoredKey, _: &[String]) -> Result<bool, StoreError> {
        unimplemented!()
    }

    async fn delete_key(&self, _: &str) -> Result<bool, StoreError> {
        unimplemented!()
    }
}

#[async_trait]
impl ChangeStore for FakeStore {
    async fn read_changes(&self, _: Option<Cursor>) -> Result<Changes, StoreError> {
        unimplemented!()
    }

    async fn wait_for_changes(&self) {
        unimplemented!()
    }

    async fn reapply_changes(&self, _: &[Change]) -> Result<(), StoreError> {
        unimplemented!()
    }

    async fn deployment(&self) -> Result<Option<Deployment>, StoreError> {
        unimplemented!()
    }

    async fn claim_deployment(&self, _: &Deployment) -> Result<Deployment, StoreError> {
        unimplemented!()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        unimplemented!()
    }
}
