//! A store for tests of keys and of the master secret: it keeps those two things, in memory, and yields to
//! other tasks between reading and writing so that races happen.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;

use crate::{
    change_log::Change,
    model::{Account, AccountId, SessionId},
    session::{Presented, Rules, Session},
    store::*,
};

#[derive(Default)]
pub(crate) struct FakeStore {
    keys: Mutex<Vec<StoredKey>>,
    deployment: Mutex<Option<Deployment>>,
    failing: AtomicBool,
    /// Insertions that came too late.
    pub(crate) refused: AtomicUsize,
}

impl FakeStore {
    /// From now on every call fails, or none does.
    pub(crate) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// What is kept, by `signs_from`.
    pub(crate) fn kept(&self) -> Vec<StoredKey> {
        let mut keys = self.keys.lock().unwrap().clone();
        keys.sort_by_key(|key| key.signs_from);
        keys
    }

    /// Puts a key in, whatever is there.
    pub(crate) fn put(&self, key: StoredKey) {
        self.keys.lock().unwrap().push(key);
    }

    async fn answer<T>(&self, value: T) -> Result<T, StoreError> {
        tokio::task::yield_now().await;
        if self.failing.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("switched off".into()));
        }
        Ok(value)
    }
}

#[async_trait]
impl KeyStore for FakeStore {
    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        self.answer(self.kept()).await
    }

    async fn insert_key(&self, key: &StoredKey, known: &[String]) -> Result<bool, StoreError> {
        self.answer(()).await?;
        let mut keys = self.keys.lock().unwrap();
        let unchanged = keys.len() == known.len() && keys.iter().all(|key| known.contains(&key.kid));
        if unchanged {
            keys.push(key.clone());
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        Ok(unchanged)
    }

    async fn delete_key(&self, kid: &str) -> Result<bool, StoreError> {
        self.answer(()).await?;
        let mut keys = self.keys.lock().unwrap();
        let before = keys.len();
        keys.retain(|key| key.kid != kid);
        Ok(keys.len() < before)
    }
}

#[async_trait]
impl ChangeStore for FakeStore {
    async fn deployment(&self) -> Result<Option<Deployment>, StoreError> {
        let deployment = *self.deployment.lock().unwrap();
        self.answer(deployment).await
    }

    async fn claim_deployment(&self, deployment: &Deployment) -> Result<Deployment, StoreError> {
        self.answer(()).await?;
        Ok(*self.deployment.lock().unwrap().get_or_insert(*deployment))
    }

    async fn read_changes(&self, _: Option<Cursor>) -> Result<Changes, StoreError> {
        unimplemented!()
    }

    async fn wait_for_changes(&self) {
        unimplemented!()
    }

    async fn reapply_changes(&self, _: &[Change]) -> Result<(), StoreError> {
        unimplemented!()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        unimplemented!()
    }
}

#[async_trait]
impl AccountStore for FakeStore {
    async fn insert_account(
        &self,
        _: &Account,
        _: Option<&str>,
        _: Option<&str>,
        _: Option<&NewSession>,
    ) -> Result<InsertAccount, StoreError> {
        unimplemented!()
    }

    async fn account(&self, _: AccountId) -> Result<Option<Account>, StoreError> {
        unimplemented!()
    }

    async fn credentials(&self, _: &str) -> Result<Option<Credentials>, StoreError> {
        unimplemented!()
    }

    async fn accounts(&self, _: Option<AccountId>, _: u32) -> Result<Vec<Account>, StoreError> {
        unimplemented!()
    }

    async fn change_account(&self, _: AccountId, _: &AccountChange) -> Result<Option<Account>, StoreError> {
        unimplemented!()
    }

    async fn replace_password_hash(&self, _: AccountId, _: &str, _: &str) -> Result<bool, StoreError> {
        unimplemented!()
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
impl ClientStore for FakeStore {
    async fn insert_client(&self, _: &StoredClient) -> Result<bool, StoreError> {
        unimplemented!()
    }

    async fn clients(&self) -> Result<Vec<StoredClient>, StoreError> {
        unimplemented!()
    }
}
