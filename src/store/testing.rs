//! A store for the tests of what uses one: the real one, on a file of its own.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{
    sql::{Role, SqlStore},
    *,
};
use crate::model::Link;

pub(crate) struct TestStore {
    pub sql: SqlStore,
    /// For the next call: whom it tells that its answer is there, and whose word it awaits before it gives it.
    pause: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
    directory: TempDir,
}

impl TestStore {
    /// A store with nothing in it.
    pub async fn fresh() -> Arc<Self> {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("passgate.db");
        let sql = SqlStore::open(&path, contract::clock(), Arc::default(), Role::Serve).await.unwrap();
        Arc::new(Self { sql, pause: Mutex::default(), directory })
    }

    /// All accounts.
    pub async fn all_accounts(&self) -> Vec<Account> {
        self.sql.accounts(None, u32::MAX).await.unwrap()
    }

    /// As if it was new: neither keys nor whose it is.
    pub async fn empty(&self) {
        let file = self.directory.path().join("passgate.db");
        let mut other = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
        other.execute("DELETE FROM signing_keys; DELETE FROM deployment").await.unwrap();
    }

    /// Two at once, of which the `slower` acts on what it looked up before the `faster` did all of its work.
    pub async fn race<S, F>(&self, slower: impl Future<Output = S>, faster: impl Future<Output = F>) -> (S, F) {
        let ((looked, has_looked), (go, may_go)) = (oneshot::channel(), oneshot::channel());
        *self.pause.lock().unwrap() = Some((looked, may_go));
        let mut slower = pin!(slower);
        tokio::select! {
            _ = &mut slower => panic!("it looked nothing up"),
            looked = has_looked => looked.unwrap(),
        }
        let faster = faster.await;
        go.send(()).unwrap();
        (slower.await, faster)
    }

    async fn pause(&self) {
        let pause = self.pause.lock().unwrap().take();
        if let Some((looked, may_go)) = pause {
            looked.send(()).unwrap();
            may_go.await.unwrap();
        }
    }
}

macro_rules! delegate {
    ($($part:ident {
        $(fn $call:ident(&self $(, $argument:ident: $given:ty)*) -> $answer:ty;)*
    })*) => {
        $(
            #[async_trait]
            impl $part for TestStore {
                $(
                    async fn $call(&self $(, $argument: $given)*) -> $answer {
                        let answer = self.sql.$call($($argument),*).await;
                        self.pause().await;
                        answer
                    }
                )*
            }
        )*
    };
}

delegate! {
    AccountStore {
        fn insert_account(&self, new: &Enrolment) -> Result<InsertAccount, StoreError>;
        fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError>;
        fn credentials(&self, email_key: &str) -> Result<Option<Credentials>, StoreError>;
        fn credentials_of(&self, id: AccountId) -> Result<Option<Credentials>, StoreError>;
        fn accounts(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<Account>, StoreError>;
        fn change_account(&self, id: AccountId, change: &AccountChange) -> Result<Option<Account>, StoreError>;
        fn delete_account(&self, id: AccountId) -> Result<bool, StoreError>;
        fn replace_password_hash(&self, id: AccountId, current: &str, new: &str) -> Result<bool, StoreError>;
        fn change_own_password(
            &self,
            id: AccountId,
            epoch: Epoch,
            hash: &str,
            keep: SessionId
        ) -> Result<bool, StoreError>;
    }
    LinkStore {
        fn sign_in_by_link(
            &self,
            key: &LinkKey,
            verified_email: Option<&str>,
            names: Option<&Names>,
            session: &NewSession
        ) -> Result<LinkSignIn, StoreError>;
        fn linked_account(&self, key: &LinkKey) -> Result<Option<AccountId>, StoreError>;
        fn insert_link(&self, account: AccountId, key: &LinkKey) -> Result<InsertLink, StoreError>;
        fn links(&self, account: AccountId) -> Result<Vec<Link>, StoreError>;
        fn delete_link(
            &self,
            account: AccountId,
            provider: &str,
            id: i64,
            usable: &[String]
        ) -> Result<DeleteLink, StoreError>;
    }
    SessionStore {
        fn create_session(
            &self,
            account: AccountId,
            epoch: Epoch,
            session: &NewSession
        ) -> Result<Option<SessionStart>, StoreError>;
        fn rotate_session(&self, presented: &Presented, rules: &Rules) -> Result<Rotation, StoreError>;
        fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError>;
        fn active_session(&self, id: SessionId) -> Result<Option<(Session, Account)>, StoreError>;
        fn sessions_of(&self, account: AccountId, limit: u32) -> Result<Vec<Session>, StoreError>;
        fn end_sessions(&self, account: AccountId, which: &Sessions) -> Result<Vec<SessionId>, StoreError>;
        fn end_refreshing(&self, account: AccountId, client: &ClientId) -> Result<u64, StoreError>;
        fn knows_source(&self, email_key: &str, source: SourceId, since: Timestamp) -> Result<bool, StoreError>;
        fn sweep_expired(&self, rules: &Rules, limit: u32) -> Result<u64, StoreError>;
    }
    ClientStore {
        fn insert_client(&self, client: &StoredClient) -> Result<bool, StoreError>;
        fn clients(&self) -> Result<Vec<StoredClient>, StoreError>;
        fn change_client(&self, id: &ClientId, change: &ClientChange) -> Result<Option<StoredClient>, StoreError>;
        fn delete_client(&self, id: &ClientId) -> Result<bool, StoreError>;
        fn replace_secret(&self, id: &ClientId, current: &StoredSecret, mac: &[u8; 32]) -> Result<bool, StoreError>;
    }
    ImportStore {
        fn judge_imports(&self, imports: Vec<Import>) -> Result<Vec<Imported>, StoreError>;
        fn import_accounts(&self, imports: Vec<Import>) -> Result<Vec<Imported>, StoreError>;
    }
    KeyStore {
        fn keys(&self) -> Result<Vec<StoredKey>, StoreError>;
        fn insert_key(&self, key: &StoredKey, known: &[String]) -> Result<bool, StoreError>;
        fn reseal_key(&self, kid: &str, current: &[u8], sealed: &[u8]) -> Result<bool, StoreError>;
        fn delete_key(&self, kid: &str) -> Result<bool, StoreError>;
    }
    ChangeStore {
        fn read_changes(&self, cursor: Option<Cursor>) -> Result<Changes, StoreError>;
        fn wait_for_changes(&self) -> ();
        fn reapply_changes(&self, changes: &[Change]) -> Result<(), StoreError>;
        fn deployment(&self) -> Result<Option<Deployment>, StoreError>;
        fn claim_deployment(&self, deployment: &Deployment) -> Result<Deployment, StoreError>;
        fn replace_master_check(
            &self,
            current: &Deployment,
            master_check: &[u8; 32]
        ) -> Result<bool, StoreError>;
        fn ping(&self) -> Result<Health, StoreError>;
        fn close(&self) -> ();
    }
}
