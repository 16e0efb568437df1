//! Accounts that are deleted.
//!
//! It is noted that a deletion is under way; then the account is gone in one step, but for what only it may have, which
//! stays in its hash to be given up, and for what the log is to be told; then that is given up; then the log is told.
//! Claims to an account that is not there count for nothing, so that others may have them from the second step on.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use super::{
    RedisStore,
    claims::Unique,
    codec, millis,
    names::field::{self, ACCOUNT, EMAIL, EXTERNAL_ID},
    script::Script,
};
use crate::{
    change_log::Change,
    model::{AccountId, Epoch},
    store::{CHANGE_MARGIN, StoreError},
};

static DELETE: LazyLock<Script> = super::sessions::ends_script!("delete.lua");

/// How long it stays what was left of an account over which somebody died: far longer than until another gateway has
/// come by.
const LEFT_FOR: Duration = Duration::from_hours(30 * 24);

impl RedisStore {
    /// Deletes an account, if there is one to be seen, and tells every node.
    pub(super) async fn delete(&self, id: AccountId) -> Result<bool, StoreError> {
        let mut note = None;
        loop {
            let Some(record) = self.record(id).await? else { return Ok(false) };
            let under_way = match note.take() {
                Some(under_way) => under_way,
                None => self.note(id).await?,
            };
            let mut script = DELETE.prepare();
            script.key(self.0.names.account(id)).key(self.0.names.sources(id)).arg(under_way.field());
            script.arg(record.now.millis()).arg(millis(CHANGE_MARGIN)).arg(&record.text);
            script.arg(codec::write_epoch(id, Epoch::GONE)).arg(record.account.external_id.unwrap_or_default());
            script.arg(millis(LEFT_FOR));
            let Some(answer): Option<Vec<String>> = self.0.connection.run(&script).await? else {
                note = Some(under_way);
                self.yield_to_others().await;
                continue;
            };
            let (said, ended) = answer.split_first().ok_or_else(|| codec::unreadable("an answer"))?;
            self.give_up_what_it_had(id).await?;
            self.tell(&under_way, said).await?;
            self.forget_sessions(ended.iter().filter_map(|field| field::session_of(field))).await;
            return Ok(true);
        }
    }

    /// Gives up what a deleted account left to be given up; nothing, when all of that is done, or when it is there.
    pub(super) async fn give_up_what_it_had(&self, id: AccountId) -> Result<(), StoreError> {
        let mut all = redis::cmd("HGETALL");
        all.arg(self.0.names.account(id));
        let left: HashMap<String, String> = self.0.connection.query(&all).await?;
        if left.contains_key(ACCOUNT) {
            return Ok(());
        }
        if let Some(email) = left.get(EMAIL) {
            self.leave(&Unique::Email(email), id).await?;
        }
        if let Some(external_id) = left.get(EXTERNAL_ID) {
            self.leave(&Unique::ExternalId(external_id), id).await?;
        }
        for (field, row) in &left {
            let Some(link) = field::link_of(field) else { continue };
            self.leave_link(&codec::read_link(link, row.clone())?, id).await?;
        }
        let mut list = redis::cmd("ZREM");
        list.arg(self.0.names.accounts()).arg(id.to_string());
        self.0.connection.query::<()>(&list).await?;
        // Last: until now, whoever finds the note finds what is left to do.
        let done: Vec<_> = left.keys().filter(|field| !field::is_note(field)).collect();
        if !done.is_empty() {
            let mut delete = redis::cmd("HDEL");
            delete.arg(self.0.names.account(id)).arg(done);
            self.0.connection.query::<()>(&delete).await?;
        }
        Ok(())
    }
}

/// Whether it is said of an account that it was deleted.
pub(super) fn is_told(said: &str) -> bool {
    let is = |change| matches!(change, Change::AccountEpoch { min_epoch: Epoch::GONE, .. });
    said.lines().any(|entry| codec::read_change(entry).is_ok_and(is))
}
