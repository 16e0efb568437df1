//! An account as it is read: with what it is compared with when it is written.

use std::sync::LazyLock;

use super::{
    RedisStore,
    codec::{self, KeptLink},
    names::field::{self, ACCOUNT, EMAIL, PASSWORD, WAITING},
    script::Script,
};
use crate::{
    clock::Timestamp,
    model::{Account, AccountId},
    session::Session,
    store::{Credentials, StoreError},
};

/// Values in the order in which [`RedisStore::find`] asks for them.
type Fields = (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>);

static READ: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/read.lua")));
static REPLACE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/replace.lua")));

/// An account that is to be seen.
pub(super) struct Record {
    pub account: Account,
    /// Its text, by which scripts know that it still is as it was read.
    pub text: String,
    pub password_hash: Option<String>,
    pub email_key: Option<String>,
    /// The store's time when it was read.
    pub now: Timestamp,
}

impl Record {
    pub fn into_credentials(self) -> Credentials {
        Credentials { account: self.account, password_hash: self.password_hash }
    }
}

/// All that is an account's own.
pub(super) struct Whole {
    pub record: Record,
    /// Each with its row.
    pub sessions: Vec<(Session, String)>,
    /// The oldest first.
    pub links: Vec<KeptLink>,
}

/// What there is of an account.
#[expect(clippy::large_enum_variant, reason = "made once per reading, and taken apart at once")]
pub(super) enum Found {
    Nothing,
    /// One that is being made.
    Waiting,
    Account(Record),
}

impl RedisStore {
    /// The account, if there is one to be seen.
    pub(super) async fn record(&self, id: AccountId) -> Result<Option<Record>, StoreError> {
        Ok(self.record_with(id, "").await?.map(|(record, _)| record))
    }

    /// The account, and the value of one field that was read together with it.
    pub(super) async fn record_with(
        &self,
        id: AccountId,
        other: &str,
    ) -> Result<Option<(Record, Option<String>)>, StoreError> {
        let (found, other) = self.find(id, other).await?;
        Ok(match found {
            Found::Account(record) => Some((record, other)),
            Found::Waiting | Found::Nothing => None,
        })
    }

    /// What there is of an account, and the value of one more field.
    pub(super) async fn find(&self, id: AccountId, other: &str) -> Result<(Found, Option<String>), StoreError> {
        let mut read = READ.prepare();
        read.key(self.0.names.account(id)).arg(&[ACCOUNT, PASSWORD, EMAIL, WAITING, other]);
        let (seconds, micros, fields): (i64, i64, Fields) = self.0.connection.run(&read).await?;
        let (text, password_hash, email_key, waiting, other) = fields;
        let found = match (text, waiting) {
            (None, _) => Found::Nothing,
            (Some(_), Some(_)) => Found::Waiting,
            (Some(text), None) => {
                let account = codec::read_account(id, &text)?;
                Found::Account(Record { account, text, password_hash, email_key, now: self.time(seconds, micros) })
            }
        };
        Ok((found, other))
    }

    /// The account for a list, if there is one to be seen: a replica may be asked.
    pub(super) async fn listed(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let mut get = redis::cmd("HMGET");
        get.arg(self.0.names.account(id)).arg(&[ACCOUNT, WAITING]);
        let (text, waiting): (Option<String>, Option<String>) = self.0.connection.read(&get).await?;
        let seen = text.filter(|_| waiting.is_none());
        seen.map(|text| codec::read_account(id, &text)).transpose()
    }

    /// The account, if there is one to be seen, with its sessions and links.
    pub(super) async fn whole(&self, id: AccountId) -> Result<Option<Whole>, StoreError> {
        let mut read = READ.prepare();
        read.key(self.0.names.account(id));
        let (seconds, micros, fields): (i64, i64, Vec<(String, String)>) = self.0.connection.run(&read).await?;
        let (mut text, mut password_hash, mut email_key) = (None, None, None);
        let (mut sessions, mut links) = (Vec::new(), Vec::new());
        for (name, value) in fields {
            match name.as_str() {
                ACCOUNT => text = Some(value),
                PASSWORD => password_hash = Some(value),
                EMAIL => email_key = Some(value),
                WAITING => return Ok(None),
                _ => {
                    if let Some(sid) = field::session_of(&name) {
                        sessions.push((codec::read_session(sid, id, &value)?, value));
                    } else if let Some(link) = field::link_of(&name) {
                        links.push(codec::read_link(link, value)?);
                    }
                }
            }
        }
        let Some(text) = text else { return Ok(None) };
        links.sort_unstable_by_key(|kept| kept.link.id);
        let account = codec::read_account(id, &text)?;
        let record = Record { account, text, password_hash, email_key, now: self.time(seconds, micros) };
        Ok(Some(Whole { record, sessions, links }))
    }

    /// Replaces a field of an account's hash, or deletes it where `new` is empty, if it still is `current`.
    pub(super) async fn replace_field(
        &self,
        id: AccountId,
        field: &str,
        current: &str,
        new: &str,
    ) -> Result<bool, StoreError> {
        let mut script = REPLACE.prepare();
        script.key(self.0.names.account(id)).arg(field).arg(current).arg(new);
        self.0.connection.run_once(&script).await
    }

    fn time(&self, seconds: i64, micros: i64) -> Timestamp {
        self.now(Timestamp::from_millis(seconds.saturating_mul(1000).saturating_add(micros / 1000)))
    }
}
