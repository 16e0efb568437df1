//! Any store, with the time that each operation takes and the failures counted.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;

#[allow(clippy::wildcard_imports, reason = "all that the traits speak of")]
use super::*;
use crate::{model::Link, telemetry::metrics::Metrics};

/// A store whose operations are counted in [`Metrics::operations`]. What is given up before its answer is there is not.
pub struct Metered<S: ?Sized> {
    store: Arc<S>,
    metrics: Arc<Metrics>,
}

impl<S: ?Sized> Metered<S> {
    /// Counts what is asked of `store`.
    pub const fn new(store: Arc<S>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    async fn timed<T>(
        &self,
        operation: &'static str,
        asked: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let asked_at = Instant::now();
        let answer = asked.await;
        let failed = answer.as_ref().err().map(|error| match error {
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Corrupt(_) => "corrupt",
        });
        self.metrics.operations.observe(operation, asked_at.elapsed(), failed);
        answer
    }
}

macro_rules! metered {
    ($($part:ident of $store:ident {
        $(fn $call:ident(&self $(, $argument:ident: $given:ty)* $(,)?) -> $answer:ty;)*
        $(untimed fn $untimed:ident(&self);)*
    })*) => {
        $(
            #[async_trait]
            impl $part for Metered<dyn $store> {
                $(
                    async fn $call(&self $(, $argument: $given)*) -> Result<$answer, StoreError> {
                        self.timed(stringify!($call), self.store.$call($($argument),*)).await
                    }
                )*
                $(
                    async fn $untimed(&self) {
                        self.store.$untimed().await;
                    }
                )*
            }
        )*

        /// What is timed, by trait, and what is not.
        #[cfg(test)]
        const TIMED: &[&str] = &[$($(stringify!($call),)*)*];
        #[cfg(test)]
        const UNTIMED: &[&str] = &[$($(stringify!($untimed),)*)*];
    };
}

metered! {
    AccountStore of Store {
        fn insert_account(&self, new: &Enrolment) -> InsertAccount;
        fn account(&self, id: AccountId) -> Option<Account>;
        fn credentials(&self, email_key: &str) -> Option<Credentials>;
        fn credentials_of(&self, id: AccountId) -> Option<Credentials>;
        fn accounts(&self, after: Option<AccountId>, limit: u32) -> Vec<Account>;
        fn change_account(&self, id: AccountId, change: &AccountChange) -> Option<Account>;
        fn delete_account(&self, id: AccountId) -> bool;
        fn replace_password_hash(&self, id: AccountId, current: &str, new: &str) -> bool;
        fn change_own_password(&self, id: AccountId, epoch: Epoch, hash: &str, keep: SessionId) -> bool;
    }
    LinkStore of Store {
        fn sign_in_by_link(
            &self,
            key: &LinkKey,
            verified_email: Option<&str>,
            names: Option<&Names>,
            session: &NewSession,
        ) -> LinkSignIn;
        fn linked_account(&self, key: &LinkKey) -> Option<AccountId>;
        fn insert_link(&self, account: AccountId, key: &LinkKey) -> InsertLink;
        fn links(&self, account: AccountId) -> Vec<Link>;
        fn delete_link(&self, account: AccountId, provider: &str, id: i64, usable: &[String]) -> DeleteLink;
    }
    SessionStore of Store {
        fn create_session(&self, account: AccountId, epoch: Epoch, session: &NewSession) -> Option<SessionStart>;
        fn rotate_session(&self, presented: &Presented, rules: &Rules) -> Rotation;
        fn session(&self, id: SessionId) -> Option<Session>;
        fn active_session(&self, id: SessionId) -> Option<(Session, Account)>;
        fn sessions_of(&self, account: AccountId, limit: u32) -> Vec<Session>;
        fn end_sessions(&self, account: AccountId, which: &Sessions) -> Vec<SessionId>;
        fn end_refreshing(&self, account: AccountId, client: &ClientId) -> u64;
        fn knows_source(&self, email_key: &str, source: SourceId, since: Timestamp) -> bool;
        fn sweep_expired(&self, rules: &Rules, limit: u32) -> u64;
    }
    ClientStore of Store {
        fn insert_client(&self, client: &StoredClient) -> bool;
        fn clients(&self) -> Vec<StoredClient>;
        fn change_client(&self, id: &ClientId, change: &ClientChange) -> Option<StoredClient>;
        fn delete_client(&self, id: &ClientId) -> bool;
        fn replace_secret(&self, id: &ClientId, current: &StoredSecret, mac: &[u8; 32]) -> bool;
    }
    ImportStore of Store {
        fn judge_imports(&self, imports: Vec<Import>) -> Vec<Imported>;
        fn import_accounts(&self, imports: Vec<Import>) -> Vec<Imported>;
    }
    KeyStore of Store {
        fn keys(&self) -> Vec<StoredKey>;
        fn insert_key(&self, key: &StoredKey, known: &[String]) -> bool;
        fn reseal_key(&self, kid: &str, current: &[u8], sealed: &[u8]) -> bool;
        fn delete_key(&self, kid: &str) -> bool;
    }
    ChangeStore of Store {
        fn read_changes(&self, cursor: Option<Cursor>) -> Changes;
        fn reapply_changes(&self, changes: &[Change]) -> ();
        fn deployment(&self) -> Option<Deployment>;
        fn claim_deployment(&self, deployment: &Deployment) -> Deployment;
        fn replace_master_check(&self, current: &Deployment, master_check: &[u8; 32]) -> bool;
        fn ping(&self) -> Health;
        // It waits for others, not for the store.
        untimed fn wait_for_changes(&self);
        untimed fn close(&self);
    }
    TurnStore of TurnStore {
        fn take_turn(&self, counter: &str, pace: Pace) -> Result<(), Duration>;
        fn give_turn_back(&self, counter: &str, pace: Pace) -> ();
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;
    use crate::{store::testing::TestStore, telemetry::metrics::figures::OPERATIONS};

    /// A method with a body of its own would otherwise be forgotten without anybody noticing.
    #[test]
    fn every_operation_of_every_store_is_passed_on_and_known_to_the_page() {
        let mut there = BTreeSet::new();
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store");
        let parts = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let files = parts.filter(|path| !path.ends_with("metered.rs") && !path.ends_with("testing.rs"));
        for file in files.chain([concat!(env!("CARGO_MANIFEST_DIR"), "/src/store.rs").into()]) {
            let Some(text) = file.is_file().then(|| fs::read_to_string(&file).unwrap()) else { continue };
            for part in text.split("\npub trait ").skip(1) {
                let body = part.split("\n}").next().unwrap();
                let calls = body.split("async fn ").skip(1).map(|rest| rest.split('(').next().unwrap().to_owned());
                there.extend(calls);
            }
        }
        let passed_on: BTreeSet<_> = TIMED.iter().chain(UNTIMED).map(|call| (*call).to_owned()).collect();
        assert_eq!(there, passed_on);
        assert_eq!(TIMED.iter().collect::<BTreeSet<_>>(), OPERATIONS.iter().collect());
    }

    #[tokio::test]
    async fn what_is_asked_is_timed_and_what_fails_counted_by_its_kind() {
        let (store, metrics) = (TestStore::fresh().await, Arc::new(Metrics::new()));
        let metered = Metered::<dyn Store>::new(store, Arc::clone(&metrics));
        let has = |line: &str| {
            let text = metrics.render().unwrap();
            assert!(text.lines().any(|have| have == line), "{line} is missing of\n{text}");
        };
        assert!(metered.keys().await.unwrap().is_empty());
        has(r#"passgate_store_operation_seconds_count{operation="keys"} 1"#);
        has(r#"passgate_store_errors_total{kind="unavailable"} 0"#);
        let corrupt = async { Err::<(), _>(StoreError::Corrupt("a row".to_owned())) };
        assert!(metered.timed("ping", corrupt).await.is_err());
        has(r#"passgate_store_errors_total{kind="corrupt"} 1"#);
        metered.close().await;
        assert!(metered.account(AccountId::generate()).await.is_err(), "it was closed");
        has(r#"passgate_store_errors_total{kind="unavailable"} 1"#);
        has(r#"passgate_store_operation_seconds_count{operation="account"} 1"#);
    }
}
