//! Changes that every node must hear of, in steps none of which is lost when we die before the next: a note that one
//! is under way; the change itself, which leaves with the account what is to be told; the entries in the log. Whoever
//! finds an old note finishes the change for those who could not.
//!
//! The change comes before its entry, as it alone knows until when that matters: once it is made, no token can be
//! issued any more that the entry would not cover.

use std::sync::LazyLock;

use super::{RedisStore, codec, deletion, names::field, script::Script};
use crate::{model::AccountId, store::StoreError};

static NOTE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/note.lua")));
static UNFINISHED: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/unfinished.lua")));

/// How old a note is when nobody works on its change any more: far above any time-out.
const GIVEN_UP: u32 = 15;

/// Most changes that are finished for others at once.
const MOST: u32 = 100;

/// A note that a change of an account is under way.
#[derive(Clone)]
pub(super) struct Note {
    account: AccountId,
    id: String,
}

impl Note {
    fn member(&self) -> String {
        format!("{} {}", self.account, self.id)
    }

    fn parse(member: &str) -> Option<Self> {
        let (account, id) = member.split_once(' ')?;
        Some(Self { account: account.parse().ok()?, id: id.to_owned() })
    }

    /// Where the change leaves what is to be told.
    pub fn field(&self) -> String {
        field::note(&self.id)
    }
}

impl RedisStore {
    /// Notes that a change of the account is under way.
    pub(super) async fn note(&self, account: AccountId) -> Result<Note, StoreError> {
        let note = Note { account, id: super::changes::random_id()? };
        let mut script = NOTE.prepare();
        script.key(self.0.names.beside_log("unfinished")).arg(note.member());
        self.0.connection.run::<()>(&script).await?;
        Ok(note)
    }

    /// Tells every node what the change said, if anything, one entry a line; and this one at once.
    pub(super) async fn tell(&self, note: &Note, said: &str) -> Result<(), StoreError> {
        let entries: Vec<_> = said.lines().collect();
        let changes = entries.iter().map(|entry| codec::read_change(entry)).collect::<Result<Vec<_>, _>>()?;
        self.append(&note.member(), &entries).await?;
        for change in &changes {
            self.0.changes.apply(change);
        }
        let mut forget = redis::cmd("HDEL");
        forget.arg(self.0.names.account(note.account)).arg(note.field());
        if let Err(error) = self.0.connection.query::<()>(&forget).await {
            tracing::debug!(%error, "what the log has been told stays with its account");
        }
        Ok(())
    }

    /// Finishes changes of others, who seem to have died over them.
    pub(super) async fn finish_for_others(&self) -> Result<(), StoreError> {
        let mut script = UNFINISHED.prepare();
        script.key(self.0.names.beside_log("unfinished")).arg(GIVEN_UP).arg(MOST);
        let members: Vec<String> = self.0.connection.run(&script).await?;
        for note in members.iter().filter_map(|member| Note::parse(member)) {
            self.finish(&note).await?;
        }
        Ok(())
    }

    /// Tells what the change left to be told; nothing, when it was never made.
    pub(super) async fn finish(&self, note: &Note) -> Result<(), StoreError> {
        let mut read = redis::cmd("HGET");
        read.arg(self.0.names.account(note.account)).arg(note.field());
        let said: Option<String> = self.0.connection.query(&read).await?;
        if let Some(said) = &said {
            tracing::warn!(account = %note.account, "a change that another node did not finish is finished");
            if deletion::is_told(said) {
                self.give_up_what_it_had(note.account).await?;
            }
            return self.tell(note, said).await;
        }
        self.append(&note.member(), &[]).await
    }
}
