//! Sessions: [`SessionStore`].

use async_trait::async_trait;
use sqlx::{
    Connection as _, Row as _,
    sqlite::{SqliteConnection, SqliteRow},
};

use super::{SqlStore, accounts, changes, json, parsed, sources, writer::Step};
use crate::{
    change_log::Change,
    clock::Timestamp,
    model::{Account, AccountId, ClientId, Epoch, Scope, SessionId, SourceId},
    session::{Presented, Refusal, Rules, Session, Verdict},
    store::{CHANGE_MARGIN, MOST_SESSIONS, NewSession, Rotation, SessionStart, SessionStore, Sessions, StoreError},
};

#[async_trait]
impl SessionStore for SqlStore {
    async fn create_session(
        &self,
        account: AccountId,
        epoch: Epoch,
        session: &NewSession,
    ) -> Result<Option<SessionStart>, StoreError> {
        let session = session.clone();
        self.writer.write(move |step| Box::pin(async move { create(step, account, epoch, &session).await })).await
    }

    async fn rotate_session(&self, presented: &Presented, rules: &Rules) -> Result<Rotation, StoreError> {
        let (presented, rules) = (presented.clone(), *rules);
        self.writer.write(move |step| Box::pin(async move { rotate(step, &presented, &rules).await })).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.read(async |mut connection| find(&mut connection, id).await).await
    }

    async fn active_session(&self, id: SessionId) -> Result<Option<(Session, Account)>, StoreError> {
        self.read(async |mut connection| {
            let mut snapshot = connection.begin().await?;
            let Some(session) = find(&mut snapshot, id).await? else { return Ok(None) };
            let account = accounts::find(&mut snapshot, session.account).await?;
            Ok(account.filter(|account| account.active).map(|account| (session, account)))
        })
        .await
    }

    async fn sessions_of(&self, account: AccountId, limit: u32) -> Result<Vec<Session>, StoreError> {
        self.read(async |mut connection| {
            let rows = sqlx::query("SELECT * FROM sessions WHERE account = ? ORDER BY rotated_at DESC, sid LIMIT ?")
                .bind(account.to_string())
                .bind(limit)
                .fetch_all(&mut *connection)
                .await?;
            rows.iter().map(session).collect()
        })
        .await
    }

    async fn end_sessions(&self, account: AccountId, which: &Sessions) -> Result<Vec<SessionId>, StoreError> {
        let which = which.clone();
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let found = match which {
                        Sessions::One(id) => find(&mut step.connection, id).await?.into_iter().collect(),
                        Sessions::With(_) => of(&mut step.connection, account).await?,
                    };
                    let mut ended = Vec::new();
                    for session in found.iter().filter(|session| session.account == account && which.contain(session)) {
                        end(step, session).await?;
                        ended.push(session.id);
                    }
                    Ok(ended)
                })
            })
            .await
    }

    async fn end_refreshing(&self, account: AccountId, client: &ClientId) -> Result<u64, StoreError> {
        let client = client.clone();
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let ended = sqlx::query(
                        "UPDATE sessions SET refresh_ended = 1 WHERE account = ? AND client = ? AND NOT refresh_ended",
                    )
                    .bind(account.to_string())
                    .bind(client.as_str())
                    .execute(&mut step.connection)
                    .await?;
                    Ok(ended.rows_affected())
                })
            })
            .await
    }

    async fn knows_source(&self, email_key: &str, source: SourceId, since: Timestamp) -> Result<bool, StoreError> {
        self.read(async |mut connection| sources::knows(&mut connection, email_key, source, since).await).await
    }

    async fn sweep_expired(&self, rules: &Rules, limit: u32) -> Result<u64, StoreError> {
        let rules = *rules;
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let sessions = sweep(step, &rules, limit).await?;
                    Ok(sessions + changes::prune(step, limit).await? + sources::forget(step, limit).await?)
                })
            })
            .await
    }
}

pub(super) async fn find(connection: &mut SqliteConnection, id: SessionId) -> Result<Option<Session>, sqlx::Error> {
    let row =
        sqlx::query("SELECT * FROM sessions WHERE sid = ?").bind(id.to_string()).fetch_optional(connection).await?;
    row.as_ref().map(session).transpose()
}

/// All of the account's sessions.
pub(super) async fn of(connection: &mut SqliteConnection, account: AccountId) -> Result<Vec<Session>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT * FROM sessions WHERE account = ?").bind(account.to_string()).fetch_all(connection).await?;
    rows.iter().map(session).collect()
}

pub(super) async fn create(
    step: &mut Step,
    account: AccountId,
    epoch: Epoch,
    new: &NewSession,
) -> Result<Option<SessionStart>, StoreError> {
    let found = sqlx::query(
        "SELECT *, (SELECT count(*) FROM sessions WHERE account = accounts.id) AS sessions FROM accounts WHERE id = ?",
    )
    .bind(account.to_string())
    .fetch_optional(&mut step.connection)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let (account, others) = (accounts::account(&row)?, row.try_get("sessions")?);
    if !account.active || account.epoch != epoch {
        return Ok(None);
    }
    let now = step.now();
    let session = new.begin(account.id, now);
    sqlx::query(
        "INSERT INTO sessions (sid, account, client, scope, created_at, generation, rotated_at, superseded, \
         access_expires_at, refresh_ended, user_agent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(session.id.to_string())
    .bind(session.account.to_string())
    .bind(session.client.as_str())
    .bind(session.scope.to_string())
    .bind(session.created_at.millis())
    .bind(session.generation)
    .bind(session.rotated_at.millis())
    .bind(times(&session.superseded))
    .bind(session.access_expires_at.millis())
    .bind(session.refresh_ended)
    .bind(&session.user_agent)
    .execute(&mut step.connection)
    .await?;
    make_room(step, &session, others).await?;
    if let Some(source) = new.source {
        sources::remember(step, account.id, source).await?;
    }
    Ok(Some(SessionStart { access_expires_at: session.access_expires_at, session, account, now }))
}

/// Ends what the account has too many of, beside the one that was just made. It had so many `others`.
async fn make_room(step: &mut Step, new: &Session, others: u32) -> Result<(), StoreError> {
    let too_many = (others + 1).saturating_sub(MOST_SESSIONS);
    if too_many == 0 {
        return Ok(());
    }
    let rows = sqlx::query("SELECT * FROM sessions WHERE account = ? AND sid <> ? ORDER BY rotated_at, sid LIMIT ?")
        .bind(new.account.to_string())
        .bind(new.id.to_string())
        .bind(too_many)
        .fetch_all(&mut step.connection)
        .await?;
    for row in &rows {
        end(step, &session(row)?).await?;
    }
    Ok(())
}

async fn rotate(step: &mut Step, presented: &Presented, rules: &Rules) -> Result<Rotation, StoreError> {
    let Some(mut session) = find(&mut step.connection, presented.sid).await? else {
        return Ok(Rotation::Refused(Refusal::Ended));
    };
    let Some(account) = accounts::find(&mut step.connection, session.account).await? else {
        return Err(StoreError::Corrupt(format!("session {} is of no account", session.id)));
    };
    let now = step.now();
    let verdict = session.judge(presented, account.active, rules, now);
    session.advance(verdict, presented, rules, now);
    match verdict {
        Verdict::Refuse(refusal) => return Ok(Rotation::Refused(refusal)),
        Verdict::Theft => {
            end(step, &session).await?;
            return Ok(Rotation::Theft { account: session.account });
        }
        Verdict::Rotate | Verdict::Repeat | Verdict::FastForward { .. } => update(step, &session).await?,
    }
    let start = SessionStart { access_expires_at: session.next_access_expiry(rules, now), session, account, now };
    Ok(match verdict {
        Verdict::Repeat => Rotation::Repeated(start),
        Verdict::FastForward { gap } => Rotation::FastForwarded { start, gap },
        _ => Rotation::Rotated(start),
    })
}

/// Keeps what [`Session::advance`] changes.
async fn update(step: &mut Step, session: &Session) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE sessions SET scope = ?, generation = ?, rotated_at = ?, superseded = ?, access_expires_at = ? \
         WHERE sid = ?",
    )
    .bind(session.scope.to_string())
    .bind(session.generation)
    .bind(session.rotated_at.millis())
    .bind(times(&session.superseded))
    .bind(session.access_expires_at.millis())
    .bind(session.id.to_string())
    .execute(&mut step.connection)
    .await?;
    Ok(())
}

/// Deletes a session and logs its end.
pub(super) async fn end(step: &mut Step, session: &Session) -> Result<(), StoreError> {
    delete(step, session.id).await?;
    let until = changes::until(session.access_expires_at, step.now());
    changes::append(step, Change::SessionEnded { sid: session.id, until }).await
}

/// Deletes a session without a word to the change log.
pub(super) async fn delete(step: &mut Step, id: SessionId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sessions WHERE sid = ?").bind(id.to_string()).execute(&mut step.connection).await?;
    Ok(())
}

/// Deletes an account's sessions; the moved epoch says so in the change log.
pub(super) async fn delete_all(step: &mut Step, account: AccountId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sessions WHERE account = ?")
        .bind(account.to_string())
        .execute(&mut step.connection)
        .await?;
    Ok(())
}

/// The limits are those of [`Session::judge`]. A session whose access tokens may live stays: without it nobody
/// would know how long to remember that they were ended.
async fn sweep(step: &mut Step, rules: &Rules, limit: u32) -> Result<u64, StoreError> {
    let now = step.now();
    let swept = sqlx::query(
        "DELETE FROM sessions WHERE sid IN (SELECT sid FROM sessions \
         WHERE (rotated_at < ? OR created_at <= ?) AND access_expires_at <= ? LIMIT ?)",
    )
    .bind((now - rules.idle_ttl).millis())
    .bind((now - rules.absolute_ttl).millis())
    .bind((now - CHANGE_MARGIN).millis())
    .bind(limit)
    .execute(&mut step.connection)
    .await?;
    Ok(swept.rows_affected())
}

fn times(times: &[Timestamp]) -> String {
    serde_json::json!(times.iter().map(|at| at.millis()).collect::<Vec<_>>()).to_string()
}

fn session(row: &SqliteRow) -> Result<Session, sqlx::Error> {
    let superseded: Vec<i64> = json(row, "superseded")?;
    Ok(Session {
        id: parsed(row, "sid")?,
        account: parsed(row, "account")?,
        client: ClientId::from(row.try_get::<&str, _>("client")?),
        scope: scope(row, "scope")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        generation: row.try_get("generation")?,
        rotated_at: Timestamp::from_millis(row.try_get("rotated_at")?),
        superseded: superseded.into_iter().map(Timestamp::from_millis).collect(),
        access_expires_at: Timestamp::from_millis(row.try_get("access_expires_at")?),
        refresh_ended: row.try_get("refresh_ended")?,
        user_agent: row.try_get("user_agent")?,
    })
}

/// A scope as its `Display` writes it; the empty one is no scope of RFC 6749, and ours all the same.
pub(super) fn scope(row: &SqliteRow, column: &'static str) -> Result<Scope, sqlx::Error> {
    match row.try_get(column)? {
        "" => Ok(Scope::default()),
        text => Scope::parse(text).ok_or_else(|| super::unreadable(column)),
    }
}
