//! Accounts: [`AccountStore`].

use std::sync::LazyLock;

use super::{
    RedisStore,
    claims::Unique,
    codec, millis,
    names::field::{self, PASSWORD},
    notes::Note,
    record::Record,
    script::Script,
};
use crate::{
    model::{Account, AccountId, Epoch, SessionId},
    store::{
        AccountChange, AccountStore, CHANGE_MARGIN, Credentials, Enrolment, InsertAccount, StoreError, change::Effect,
    },
};
use async_trait::async_trait;
use futures_util::future::try_join_all;

static CHANGE: LazyLock<Script> = super::sessions::ends_script!("change.lua");
static OWN_PASSWORD: LazyLock<Script> = super::sessions::ends_script!("own_password.lua");

/// Accounts read at once.
const PAGE: usize = 100;

#[async_trait]
impl AccountStore for RedisStore {
    async fn insert_account(&self, new: &Enrolment) -> Result<InsertAccount, StoreError> {
        let (store, new) = (self.clone(), new.clone());
        self.to_its_end(async move { store.enrol(&new).await }).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let record = self.within(self.record(id)).await?;
        Ok(record.map(|record| record.account))
    }

    async fn credentials(&self, email_key: &str) -> Result<Option<Credentials>, StoreError> {
        let owner = self.within(self.owner(&Unique::Email(email_key))).await?;
        Ok(owner.map(Record::into_credentials))
    }

    async fn credentials_of(&self, id: AccountId) -> Result<Option<Credentials>, StoreError> {
        let record = self.within(self.record(id)).await?;
        Ok(record.map(Record::into_credentials))
    }

    async fn accounts(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut after, mut accounts) = (after, Vec::new());
        while accounts.len() < limit {
            let page = PAGE.min(limit - accounts.len());
            let ids = self.within(self.ids(after, page)).await?;
            let listed = self.within(try_join_all(ids.iter().map(|id| self.listed(*id)))).await?;
            // Of those that are not there, somebody died over the sign-up.
            accounts.extend(listed.into_iter().flatten());
            if ids.len() < page {
                break;
            }
            after = ids.last().copied();
        }
        Ok(accounts)
    }

    async fn change_account(&self, id: AccountId, change: &AccountChange) -> Result<Option<Account>, StoreError> {
        let (store, change) = (self.clone(), change.clone());
        self.to_its_end(async move { store.alter(id, &change).await }).await
    }

    async fn delete_account(&self, id: AccountId) -> Result<bool, StoreError> {
        let store = self.clone();
        self.to_its_end(async move { store.delete(id).await }).await
    }

    async fn replace_password_hash(&self, id: AccountId, current: &str, new: &str) -> Result<bool, StoreError> {
        self.within(self.replace_field(id, PASSWORD, current, new)).await
    }

    async fn change_own_password(
        &self,
        id: AccountId,
        epoch: Epoch,
        hash: &str,
        keep: SessionId,
    ) -> Result<bool, StoreError> {
        let (store, hash) = (self.clone(), hash.to_owned());
        self.to_its_end(async move { store.set_own_password(id, epoch, &hash, keep).await }).await
    }
}

/// How an account is to be written.
pub(super) struct Alteration<'a> {
    /// As it was read.
    pub record: &'a Record,
    /// As it is to be.
    pub account: Account,
    pub password: Option<&'a str>,
    pub loses_address: bool,
    pub effect: Effect,
}

impl RedisStore {
    pub(super) async fn alter(&self, id: AccountId, change: &AccountChange) -> Result<Option<Account>, StoreError> {
        let mut note = None;
        loop {
            let Some(record) = self.record(id).await? else { return Ok(None) };
            let mut account = record.account.clone();
            let effect = change.carry_out(&mut account);
            if account == record.account && !effect.moves_epoch {
                return Ok(Some(account));
            }
            let password = match change {
                AccountChange::Password(hash) => Some(hash.as_str()),
                _ => None,
            };
            let alteration = Alteration { record: &record, account, password, loses_address: false, effect };
            if let Some(account) = self.write(&mut note, alteration).await? {
                return Ok(Some(account));
            }
        }
    }

    /// Writes an alteration and tells every node of it; `None` when the account is not as it was read any more. The
    /// note is made when there is something to tell, and used again in another try.
    pub(super) async fn write(
        &self,
        note: &mut Option<Note>,
        alteration: Alteration<'_>,
    ) -> Result<Option<Account>, StoreError> {
        let Alteration { record, account, password, loses_address, effect } = alteration;
        let id = account.id;
        if effect.moves_epoch && note.is_none() {
            *note = Some(self.note(id).await?);
        }
        let told = if effect.moves_epoch { codec::write_epoch(id, account.epoch) } else { String::new() };
        let field = note.as_ref().map(Note::field).unwrap_or_default();
        let mut script = CHANGE.prepare();
        script.key(self.0.names.account(id)).arg(field).arg(record.now.millis()).arg(millis(CHANGE_MARGIN));
        script.arg(&record.text).arg(codec::write_account(&account)?).arg(password.unwrap_or_default());
        script.arg(u8::from(loses_address)).arg(told).arg(u8::from(effect.ends_sessions));
        let Some(answer): Option<Vec<String>> = self.0.connection.run(&script).await? else {
            self.yield_to_others().await;
            return Ok(None);
        };
        let (said, ended) = answer.split_first().ok_or_else(|| codec::unreadable("an answer"))?;
        if let (true, Some(note)) = (effect.moves_epoch, note) {
            self.tell(note, said).await?;
        }
        self.forget_sessions(ended.iter().filter_map(|field| field::session_of(field))).await;
        Ok(Some(account))
    }

    /// Raises the epoch to at least `min_epoch` and ends the sessions, if it was lower; of an account that is gone,
    /// deletes what came back of it. The log is told otherwise.
    pub(super) async fn raise_epoch(&self, id: AccountId, min_epoch: Epoch) -> Result<(), StoreError> {
        if min_epoch == Epoch::GONE {
            return self.delete(id).await.map(drop);
        }
        loop {
            let Some(record) = self.record(id).await? else { return Ok(()) };
            if record.account.epoch >= min_epoch {
                return Ok(());
            }
            let account = Account { epoch: min_epoch, ..record.account.clone() };
            let effect = Effect { moves_epoch: false, ends_sessions: true };
            let raised = Alteration { record: &record, account, password: None, loses_address: false, effect };
            if self.write(&mut None, raised).await?.is_some() {
                return Ok(());
            }
        }
    }

    async fn set_own_password(
        &self,
        id: AccountId,
        epoch: Epoch,
        hash: &str,
        keep: SessionId,
    ) -> Result<bool, StoreError> {
        let mut note = None;
        loop {
            let record = self.record(id).await?.filter(|record| record.account.active && record.account.epoch == epoch);
            let Some(record) = record else { return Ok(false) };
            if self.account_of(keep).await? != Some(id) {
                return Ok(false);
            }
            let under_way = match note.take() {
                Some(under_way) => under_way,
                None => self.note(id).await?,
            };
            let account = Account { epoch: epoch.next(), ..record.account.clone() };
            let mut script = OWN_PASSWORD.prepare();
            script.key(self.0.names.account(id)).arg(under_way.field());
            script.arg(record.now.millis()).arg(millis(CHANGE_MARGIN));
            script.arg(&record.text).arg(codec::write_account(&account)?).arg(hash).arg(field::session(keep));
            let said: Option<String> = self.0.connection.run(&script).await?;
            if let Some(said) = said {
                self.tell(&under_way, &said).await?;
                self.forget_ended(&said).await;
                return Ok(true);
            }
            if self.row(id, keep).await?.is_none() {
                return Ok(false);
            }
            note = Some(under_way);
            self.yield_to_others().await;
        }
    }

    /// Ids in order, from the one after `after`.
    pub(super) async fn ids(&self, after: Option<AccountId>, most: usize) -> Result<Vec<AccountId>, StoreError> {
        let mut range = redis::cmd("ZRANGE");
        range.arg(self.0.names.accounts());
        // The spelling of ids sorts as their bytes do.
        range.arg(after.map_or_else(|| "-".to_owned(), |id| format!("({id}"))).arg("+");
        range.arg("BYLEX").arg("LIMIT").arg(0).arg(most);
        let ids: Vec<String> = self.0.connection.read(&range).await?;
        ids.iter().map(|id| id.parse().map_err(|_| codec::unreadable("the list of accounts"))).collect()
    }
}
