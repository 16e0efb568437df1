//! How accounts, sessions and entries of the change log are written down: text that an operator can read.

use std::ops::Not;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::short;
use crate::{
    change_log::Change,
    clock::Timestamp,
    model::{Account, AccountId, ClientId, Epoch, Link, LinkKey, Scope, SessionId},
    session::Session,
    store::StoreError,
};

/// What an account does not have is left out.
#[derive(Serialize, Deserialize)]
struct AccountRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Not::not")]
    email_verified: bool,
    username: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    first_name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    last_name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Not::not")]
    staff: bool,
    active: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    epoch: Epoch,
    created_at: i64,
}

pub(super) fn write_account(account: &Account) -> Result<String, StoreError> {
    let account = account.clone();
    write(&AccountRow {
        email: account.email,
        email_verified: account.email_verified,
        username: account.username,
        first_name: account.first_name,
        last_name: account.last_name,
        groups: account.groups,
        staff: account.staff,
        active: account.active,
        external_id: account.external_id,
        epoch: account.epoch,
        created_at: account.created_at.millis(),
    })
}

pub(super) fn read_account(id: AccountId, text: &str) -> Result<Account, StoreError> {
    let row: AccountRow = read("an account", text)?;
    Ok(Account {
        id,
        email: row.email,
        email_verified: row.email_verified,
        username: row.username,
        first_name: row.first_name,
        last_name: row.last_name,
        groups: row.groups,
        staff: row.staff,
        active: row.active,
        external_id: row.external_id,
        epoch: row.epoch,
        created_at: Timestamp::from_millis(row.created_at),
    })
}

/// Without names: there are many of them. The sign-in, the generation; how long after the sign-in it came to be, how
/// long before that each of those before it was superseded.
#[derive(Serialize, Deserialize)]
struct SessionRow(ClientId, Scope, i64, u32, i64, Vec<i64>, String);

/// A session's row: its expiry, which [`Session::judge`] does not ask for, then [`write_judged`].
pub(super) fn write_session(session: &Session) -> Result<String, StoreError> {
    Ok(format!("{} {}", session.access_expires_at.millis(), write_judged(session)?))
}

/// What a session is judged by: whether it refreshes, in a word that scripts know, and all else.
pub(super) fn write_judged(session: &Session) -> Result<String, StoreError> {
    let row = SessionRow(
        session.client.clone(),
        session.scope.clone(),
        session.created_at.millis(),
        session.generation,
        between(session.created_at, session.rotated_at),
        session.superseded.iter().map(|at| between(*at, session.rotated_at)).collect(),
        short::user_agent(&session.user_agent),
    );
    Ok(format!("{} {}", if session.refresh_ended { "ended" } else { "live" }, write(&row)?))
}

/// The part of a session's row that [`write_judged`] wrote.
pub(super) fn judged(row: &str) -> Result<&str, StoreError> {
    row.split_once(' ').map(|(_, judged)| judged).ok_or_else(|| unreadable("a session"))
}

pub(super) fn read_session(id: SessionId, account: AccountId, text: &str) -> Result<Session, StoreError> {
    let mut parts = text.splitn(3, ' ');
    let (Some(expiry), Some(state), Some(row)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(unreadable("a session"));
    };
    let SessionRow(client, scope, created_at, generation, age, superseded, user_agent) = read("a session", row)?;
    let rotated_at = created_at.wrapping_add(age);
    Ok(Session {
        id,
        account,
        client,
        scope,
        created_at: Timestamp::from_millis(created_at),
        generation,
        rotated_at: Timestamp::from_millis(rotated_at),
        superseded: superseded.iter().map(|age| Timestamp::from_millis(rotated_at.wrapping_sub(*age))).collect(),
        access_expires_at: time(expiry)?,
        refresh_ended: match state {
            "live" => false,
            "ended" => true,
            _ => return Err(unreadable("a session")),
        },
        user_agent: short::read_user_agent(&user_agent),
    })
}

/// Milliseconds from one time to the other, whichever is the later: a clock may have been set back. With it, any two
/// can be told of each other.
fn between(one: Timestamp, other: Timestamp) -> i64 {
    other.millis().wrapping_sub(one.millis())
}

/// A link as it is kept.
pub(super) struct KeptLink {
    /// As its owner sees it: one that nobody took over yet is named by its address.
    pub link: Link,
    /// The address under which it was imported.
    pub by_email: Option<String>,
    /// No identity has taken it over yet.
    pub waiting: bool,
    /// Its row.
    pub text: String,
}

impl KeptLink {
    pub fn is_of(&self, key: &LinkKey) -> bool {
        !self.waiting && self.link.key == *key
    }

    pub fn was_imported_by(&self, provider: &str, email: &str) -> bool {
        self.link.key.provider == provider && self.by_email.as_deref() == Some(email)
    }
}

/// A link's row. One without a subject waits for the identity whose address it has.
pub(super) fn write_link(
    provider: &str,
    subject: Option<&str>,
    by_email: Option<&str>,
    created_at: Timestamp,
) -> Result<String, StoreError> {
    write(&(provider, subject, by_email, created_at.millis()))
}

/// How every row begins of a link to this identity, or of one that waits for whose address it is.
pub(super) fn link_start(provider: &str, subject: Option<&str>, by_email: Option<&str>) -> Result<String, StoreError> {
    let mut start = format!("[{},{},", write(&provider)?, write(&subject)?);
    if subject.is_none() {
        start = format!("{start}{},", write(&by_email)?);
    }
    Ok(start)
}

pub(super) fn read_link(id: i64, text: String) -> Result<KeptLink, StoreError> {
    let (provider, subject, by_email, created_at): (_, Option<String>, Option<String>, _) = read("a link", &text)?;
    let waiting = subject.is_none();
    let subject = subject.or_else(|| by_email.clone()).ok_or_else(|| unreadable("a link"))?;
    let link = Link { id, key: LinkKey { provider, subject }, created_at: Timestamp::from_millis(created_at) };
    Ok(KeptLink { link, by_email, waiting, text })
}

/// An entry that says itself until when it matters; `until` is for the others. The time comes last, where scripts
/// look for it.
pub(super) fn write_change(change: &Change, until: Timestamp) -> String {
    match change {
        Change::SessionEnded { sid, until } => format!("session {} {}", short::id(sid.as_bytes()), until.millis()),
        Change::AccountEpoch { account, min_epoch, until } => {
            format!("{} {}", write_epoch(*account, *min_epoch), until.millis())
        }
        Change::Keys => format!("keys {}", until.millis()),
        Change::Clients => format!("clients {}", until.millis()),
    }
}

/// The entry of a moved epoch, without its time.
pub(super) fn write_epoch(account: AccountId, min_epoch: Epoch) -> String {
    format!("account {account} {}", min_epoch.0)
}

pub(super) fn read_change(text: &str) -> Result<Change, StoreError> {
    let corrupt = || unreadable("an entry of the change log");
    let words: Vec<_> = text.split(' ').collect();
    match words[..] {
        ["session", sid, until] => {
            let sid = SessionId::from_bytes(short::read_id(sid).ok_or_else(corrupt)?);
            Ok(Change::SessionEnded { sid, until: time(until)? })
        }
        ["account", account, epoch, until] => Ok(Change::AccountEpoch {
            account: account.parse().map_err(|_| corrupt())?,
            min_epoch: Epoch(epoch.parse().map_err(|_| corrupt())?),
            until: time(until)?,
        }),
        ["keys", _] => Ok(Change::Keys),
        ["clients", _] => Ok(Change::Clients),
        _ => Err(corrupt()),
    }
}

pub(super) fn write(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// `what` is for the error: the text itself stays out of logs.
pub(super) fn read<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| unreadable(what))
}

fn time(text: &str) -> Result<Timestamp, StoreError> {
    text.parse().map(Timestamp::from_millis).map_err(|_| unreadable("a time"))
}

pub(super) fn unreadable(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} is not as Passgate writes it"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

    /// One that was refreshed a thousand seconds after the sign-in.
    fn session() -> Session {
        Session {
            id: SessionId::from_bytes([1; 16]),
            account: AccountId::from_bytes([2; 16]),
            client: ClientId::from("web"),
            scope: Scope::parse("read write").unwrap(),
            created_at: NOW,
            generation: 1,
            rotated_at: Timestamp::from_seconds(1_790_001_000),
            superseded: vec![Timestamp::from_seconds(1_790_000_999), Timestamp::from_seconds(1_790_001_000)],
            access_expires_at: Timestamp::from_seconds(1_790_001_900),
            refresh_ended: false,
            user_agent: "curl/8.5.0".to_owned(),
        }
    }

    #[test]
    fn times_of_a_session_are_told_of_each_other() {
        let row = r#"1790001900000 live ["web","read write",1790000000000,1,1000000,[1000,0],"curl/8.5.0"]"#;
        assert_eq!(write_session(&session()).unwrap(), row);
    }

    #[test]
    fn what_an_account_does_not_have_is_left_out() {
        let account = Account {
            id: AccountId::from_bytes([2; 16]),
            email: None,
            email_verified: false,
            username: "ann".to_owned(),
            first_name: String::new(),
            last_name: String::new(),
            groups: Vec::new(),
            staff: false,
            active: true,
            external_id: None,
            epoch: Epoch(3),
            created_at: NOW,
        };
        let text = r#"{"username":"ann","active":true,"epoch":3,"created_at":1790000000000}"#;
        assert_eq!(write_account(&account).unwrap(), text);
        assert_eq!(read_account(account.id, text).unwrap(), account);
    }

    fn time() -> impl Strategy<Value = Timestamp> {
        any::<i64>().prop_map(Timestamp::from_millis)
    }

    proptest! {
        #[test]
        fn any_session_is_read_as_it_was_written(
            (created_at, rotated_at, access_expires_at) in (time(), time(), time()),
            superseded in prop::collection::vec(time(), 0..4),
            (generation, refresh_ended, user_agent) in any::<(u32, bool, String)>(),
        ) {
            let times = Session { created_at, rotated_at, superseded, access_expires_at, ..session() };
            let session = Session { generation, refresh_ended, user_agent, ..times };
            let row = write_session(&session).unwrap();
            prop_assert_eq!(read_session(session.id, session.account, &row).unwrap(), session);
        }
    }
}
