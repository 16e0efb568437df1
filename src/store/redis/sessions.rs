//! Sessions: [`SessionStore`].

use std::{sync::LazyLock, time::Duration};

use super::{
    RedisStore, claims::Unique, codec, connection::jittered, millis, names::field, pointers::MARGIN, record::Record,
    script::Script,
};
use crate::{
    clock::Timestamp,
    model::{Account, AccountId, ClientId, Epoch, SessionId, SourceId},
    session::{Presented, Refusal, Rules, Session, Verdict},
    store::{
        CHANGE_MARGIN, MOST_SESSIONS, NewSession, Rotation, SOURCE_KNOWN_FOR, SessionStart, SessionStore, Sessions,
        StoreError,
    },
};
use async_trait::async_trait;

/// Scripts that end sessions begin with what all of them share.
macro_rules! ends_script {
    ($file:literal) => {
        std::sync::LazyLock::new(|| {
            $crate::store::redis::script::Script::new(concat!(
                include_str!("scripts/ends.lua"),
                include_str!(concat!("scripts/", $file))
            ))
        })
    };
}
pub(super) use ends_script;

static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/begin.lua")));
static ROTATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/rotate.lua")));
static END: LazyLock<Script> = ends_script!("end.lua");
static END_REFRESHING: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/end_refreshing.lua")));

/// Most sources remembered of an account: more than anybody has homes.
pub(super) const MOST_SOURCES: u32 = 50;

/// Sessions ended in one step.
const STEP: usize = 500;

/// How long those wait who found that somebody was faster.
const GIVE_WAY: Duration = Duration::from_millis(4);

#[async_trait]
impl SessionStore for RedisStore {
    async fn create_session(
        &self,
        account: AccountId,
        epoch: Epoch,
        session: &NewSession,
    ) -> Result<Option<SessionStart>, StoreError> {
        let (store, session) = (self.clone(), session.clone());
        let of_this_epoch = move |account: &Account| account.epoch == epoch;
        self.to_its_end(async move { store.begin(account, &session, of_this_epoch, |_| (), None).await }).await
    }

    async fn rotate_session(&self, presented: &Presented, rules: &Rules) -> Result<Rotation, StoreError> {
        let (store, presented, rules) = (self.clone(), presented.clone(), *rules);
        self.to_its_end(async move { store.rotate(&presented, &rules).await }).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.within(async {
            let Some(account) = self.account_of(id).await? else { return Ok(None) };
            let row = self.row(account, id).await?;
            row.map(|row| codec::read_session(id, account, &row)).transpose()
        })
        .await
    }

    async fn active_session(&self, id: SessionId) -> Result<Option<(Session, Account)>, StoreError> {
        self.within(async {
            let Some((record, row)) = self.session_record(id).await? else { return Ok(None) };
            let session = codec::read_session(id, record.account.id, &row)?;
            Ok(record.account.active.then_some((session, record.account)))
        })
        .await
    }

    async fn sessions_of(&self, account: AccountId, limit: u32) -> Result<Vec<Session>, StoreError> {
        let mut sessions = self.within(self.all_sessions(account)).await?;
        sessions.sort_unstable_by(|a, b| b.rotated_at.cmp(&a.rotated_at).then(a.id.cmp(&b.id)));
        sessions.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(sessions)
    }

    async fn end_sessions(&self, account: AccountId, which: &Sessions) -> Result<Vec<SessionId>, StoreError> {
        let (store, which) = (self.clone(), which.clone());
        self.to_its_end(async move {
            let such = match which {
                Sessions::One(id) => vec![id],
                Sessions::With(_) => store.such_sessions(account, |session| which.contain(session)).await?,
            };
            store.end(account, &such).await
        })
        .await
    }

    async fn end_refreshing(&self, account: AccountId, client: &ClientId) -> Result<u64, StoreError> {
        let (store, client) = (self.clone(), client.clone());
        self.to_its_end(async move {
            let such = store.such_sessions(account, |session| session.client == client).await?;
            let mut ended = 0;
            for some in such.chunks(STEP) {
                let mut script = END_REFRESHING.prepare();
                script.key(store.0.names.account(account));
                script.arg(some.iter().map(|id| field::session(*id)).collect::<Vec<_>>());
                ended += store.0.connection.run_once::<u64>(&script).await?;
            }
            Ok(ended)
        })
        .await
    }

    async fn knows_source(&self, email_key: &str, source: SourceId, since: Timestamp) -> Result<bool, StoreError> {
        self.within(async {
            let Some(owner) = self.owner(&Unique::Email(email_key)).await? else { return Ok(false) };
            let mut score = redis::cmd("ZSCORE");
            score.arg(self.0.names.sources(owner.account.id)).arg(&source.0);
            let at: Option<i64> = self.0.connection.query(&score).await?;
            Ok(at.is_some_and(|at| at >= since.millis()))
        })
        .await
    }

    async fn sweep_expired(&self, rules: &Rules, limit: u32) -> Result<u64, StoreError> {
        self.sweep(rules, limit).await
    }
}

/// A field of an account's hash to be replaced.
pub(super) struct Replaced {
    pub field: String,
    pub from: String,
    pub to: String,
}

impl RedisStore {
    /// Makes a session of an active account of which `holds` is true, changes the account with it, and replaces one
    /// more of its fields, which must be as it was read; all in one step.
    pub(super) async fn begin(
        &self,
        id: AccountId,
        new: &NewSession,
        holds: impl Fn(&Account) -> bool,
        change: impl Fn(&mut Account),
        replace: Option<&Replaced>,
    ) -> Result<Option<SessionStart>, StoreError> {
        let mut pointed = false;
        loop {
            let record = self.record(id).await?.filter(|record| record.account.active && holds(&record.account));
            let Some(Record { mut account, text, now, .. }) = record else {
                if pointed {
                    self.forget_sessions([new.id]).await;
                }
                return Ok(None);
            };
            if !pointed {
                self.point(new.id, id, &new.rules).await?;
                pointed = true;
            }
            change(&mut account);
            let session = new.begin(id, now);
            let mut script = BEGIN.prepare();
            script.key(self.0.names.account(id)).key(self.0.names.sources(id));
            script.arg(text).arg(codec::write_account(&account)?);
            script.arg(field::session(new.id)).arg(codec::write_session(&session)?);
            script.arg(source(new)).arg(now.millis()).arg(MOST_SOURCES).arg(sources_kept());
            if let Some(Replaced { field, from, to }) = replace {
                script.arg(field).arg(from).arg(to);
            }
            match self.0.connection.run::<Option<i64>>(&script).await? {
                None => self.yield_to_others().await,
                Some(0) => {
                    self.forget_sessions([new.id]).await;
                    return Ok(None);
                }
                Some(fields) => {
                    if fields > i64::from(MOST_SESSIONS) {
                        self.make_room(&session).await?;
                    }
                    let access_expires_at = session.access_expires_at;
                    return Ok(Some(SessionStart { session, account, now, access_expires_at }));
                }
            }
        }
    }

    /// Ends what the account has too many of, beside the one that was just made.
    async fn make_room(&self, new: &Session) -> Result<(), StoreError> {
        let mut sessions = self.all_sessions(new.account).await?;
        let too_many = sessions.len().saturating_sub(MOST_SESSIONS as usize);
        sessions.retain(|session| session.id != new.id);
        sessions.sort_unstable_by_key(|session| (session.rotated_at, session.id));
        let such: Vec<_> = sessions.iter().take(too_many).map(|session| session.id).collect();
        self.end(new.account, &such).await.map(drop)
    }

    async fn rotate(&self, presented: &Presented, rules: &Rules) -> Result<Rotation, StoreError> {
        let sid = presented.sid;
        let Some(id) = self.account_of_used(sid, rules).await? else {
            return Ok(Rotation::Refused(Refusal::Ended));
        };
        loop {
            let Some((record, Some(row))) = self.record_with(id, &field::session(sid)).await? else {
                return Ok(Rotation::Refused(Refusal::Ended));
            };
            let Record { account, text, now, .. } = record;
            // What this node knows to be ended stays ended, even in a Redis that lost the end of it.
            if self.0.changes.ends(&sid, &account.id, Epoch(u32::MAX)) {
                return Ok(Rotation::Refused(Refusal::Ended));
            }
            if self.0.changes.ends(&sid, &account.id, account.epoch) {
                // The account moved on after it was read; if it did so before, its epoch is soon restored.
                self.yield_to_others().await;
                continue;
            }
            let mut session = codec::read_session(sid, account.id, &row)?;
            let verdict = session.judge(presented, account.active, rules, now);
            session.advance(verdict, presented, rules, now);
            match verdict {
                Verdict::Refuse(refusal) => return Ok(Rotation::Refused(refusal)),
                Verdict::Theft => {
                    let ended = self.end(account.id, &[sid]).await?;
                    let theft = ended.contains(&sid);
                    return Ok(if theft {
                        Rotation::Theft { account: account.id }
                    } else {
                        Rotation::Refused(Refusal::Ended)
                    });
                }
                Verdict::Rotate | Verdict::Repeat | Verdict::FastForward { .. } => {}
            }
            let mut script = ROTATE.prepare();
            script.key(self.0.names.account(account.id)).arg(text).arg(field::session(sid));
            script.arg(codec::judged(&row)?).arg(codec::write_judged(&session)?);
            script.arg(session.access_expires_at.millis());
            let Some(expiry): Option<i64> = self.0.connection.run(&script).await? else {
                self.yield_to_others().await;
                continue;
            };
            session.access_expires_at = Timestamp::from_millis(expiry);
            let start =
                SessionStart { access_expires_at: session.next_access_expiry(rules, now), session, account, now };
            return Ok(match verdict {
                Verdict::Repeat => Rotation::Repeated(start),
                Verdict::FastForward { gap } => Rotation::FastForwarded { start, gap },
                _ => Rotation::Rotated(start),
            });
        }
    }

    /// Ends those of the sessions that are there and tells every node. Which there were.
    pub(super) async fn end(&self, account: AccountId, such: &[SessionId]) -> Result<Vec<SessionId>, StoreError> {
        let mut ended = Vec::new();
        for some in such.chunks(STEP) {
            let Some(record) = self.record(account).await? else { break };
            let note = self.note(account).await?;
            let mut script = END.prepare();
            script.key(self.0.names.account(account)).arg(note.field());
            script.arg(record.now.millis()).arg(millis(CHANGE_MARGIN));
            script.arg(some.iter().map(|id| field::session(*id)).collect::<Vec<_>>());
            let said: String = self.0.connection.run(&script).await?;
            self.tell(&note, &said).await?;
            ended.extend(self.forget_ended(&said).await);
        }
        Ok(ended)
    }

    async fn such_sessions(
        &self,
        account: AccountId,
        such: impl Fn(&Session) -> bool,
    ) -> Result<Vec<SessionId>, StoreError> {
        let sessions = self.all_sessions(account).await?;
        Ok(sessions.iter().filter(|session| such(session)).map(|session| session.id).collect())
    }

    /// In no order.
    async fn all_sessions(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        let whole = self.whole(account).await?;
        Ok(whole.into_iter().flat_map(|whole| whole.sessions).map(|(session, _)| session).collect())
    }

    /// The account of a session, and the session's row, read together.
    async fn session_record(&self, id: SessionId) -> Result<Option<(Record, String)>, StoreError> {
        let Some(account) = self.account_of(id).await? else { return Ok(None) };
        let found = self.record_with(account, &field::session(id)).await?;
        Ok(found.and_then(|(record, row)| Some((record, row?))))
    }

    pub(super) async fn row(&self, account: AccountId, id: SessionId) -> Result<Option<String>, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(self.0.names.account(account)).arg(field::session(id));
        self.0.connection.query(&get).await
    }

    /// Deletes a session's row without a word to the change log.
    pub(super) async fn delete_row(&self, account: AccountId, id: SessionId) -> Result<(), StoreError> {
        let mut delete = redis::cmd("HDEL");
        delete.arg(self.0.names.account(account)).arg(field::session(id));
        self.0.connection.query::<()>(&delete).await?;
        self.forget_sessions([id]).await;
        Ok(())
    }

    /// Lets those go on who were faster.
    pub(super) async fn yield_to_others(&self) {
        tokio::time::sleep(jittered(GIVE_WAY)).await;
    }
}

/// The source as scripts take it.
pub(super) fn source(new: &NewSession) -> &[u8] {
    new.source.as_ref().map_or(&[], |source| &source.0)
}

/// Milliseconds for which sources are kept that nobody signs in from.
pub(super) fn sources_kept() -> u64 {
    millis(SOURCE_KNOWN_FOR + MARGIN)
}
