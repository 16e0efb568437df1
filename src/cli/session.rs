//! `passgate session …`: where accounts are signed in, and no longer.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    account::sign_out,
    audit,
    desk::{Desk, Person, Told, name},
    output::{self, Format},
};
use crate::{model::SessionId, session::Session, store::Sessions};

/// What can be done with sessions.
#[derive(Subcommand)]
pub enum SessionCommand {
    /// List where an account is signed in, the last used first
    #[command(after_help = "\
Examples:
  passgate session list ada@example.com
  passgate session list 01890a5d-ac96-774b-bcce-b302099a8057 --json

A session is used when its client refreshes; uses of an access token are not written down.")]
    List(List),
    /// End a session, or all sessions of an account
    #[command(after_help = "\
Examples:
  passgate session end 7f9c2ba4e88f827d616045507605853e
  passgate session end --all ada@example.com
  passgate session end --all ada@example.com --yes")]
    End(End),
}

/// Whose sessions.
#[derive(Args)]
pub struct List {
    /// The account's email address or its id
    #[arg(value_name = "EMAIL|ID")]
    account: String,
    #[command(flatten)]
    format: Format,
}

/// Which session, or whose.
#[derive(Args)]
pub struct End {
    /// The session's id, as `passgate session list` shows it
    #[arg(value_name = "SESSION_ID", required_unless_present = "all")]
    session: Option<SessionId>,
    /// All sessions of the account of this email address or id
    #[arg(long, value_name = "EMAIL|ID", conflicts_with = "session")]
    all: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// A session for scripts.
#[derive(Serialize)]
struct Row<'a> {
    id: SessionId,
    client_id: &'a str,
    scope: String,
    created_at: String,
    last_used_at: String,
    refresh_ended: bool,
    user_agent: &'a str,
}

impl<'a> Row<'a> {
    fn of(session: &'a Session) -> Self {
        Self {
            id: session.id,
            client_id: session.client.as_str(),
            scope: session.scope.to_string(),
            created_at: session.created_at.to_rfc3339(),
            last_used_at: session.rotated_at.to_rfc3339(),
            refresh_ended: session.refresh_ended,
            user_agent: &session.user_agent,
        }
    }
}

/// Carries a command out and tells what was done.
///
/// # Errors
///
/// In words for the operator; a [`StoreError`](crate::store::StoreError) can be downcast to.
pub async fn run(
    command: SessionCommand,
    desk: &Desk<'_>,
    person: &Person<'_>,
    told: &mut Told<'_>,
) -> anyhow::Result<()> {
    match command {
        SessionCommand::List(which) => list(&which, desk, told).await,
        SessionCommand::End(which) => {
            let done = end(which, desk, person).await?;
            told.done(&done)?;
            Ok(())
        }
    }
}

async fn list(which: &List, desk: &Desk<'_>, told: &mut Told<'_>) -> anyhow::Result<()> {
    let account = desk.find(&which.account).await?;
    let sessions = desk.living_sessions(&account).await?;
    let rows: Vec<_> = sessions.iter().map(Row::of).collect();
    let titles = ["SESSION", "CLIENT", "SCOPE", "CREATED", "LAST USED", "REFRESHES", "USER AGENT"];
    output::List::new(&mut *told.out, which.format, titles).rows(&rows, |row| {
        [
            row.id.to_string(),
            row.client_id.to_owned(),
            row.scope.clone(),
            row.created_at.clone(),
            row.last_used_at.clone(),
            if row.refresh_ended { "ended" } else { "yes" }.to_owned(),
            row.user_agent.to_owned(),
        ]
    })?;
    if rows.is_empty() && !which.format.json {
        told.remark(&format!("{} is not signed in.", name(&account)))?;
    }
    Ok(())
}

async fn end(which: End, desk: &Desk<'_>, person: &Person<'_>) -> anyhow::Result<String> {
    let id = match (which.session, which.all) {
        (_, Some(account)) => return sign_out(&account, which.yes, desk, person).await,
        (Some(id), None) => id,
        (None, None) => return Err(anyhow!("name a session, or say --all EMAIL|ID")),
    };
    let unknown = || {
        anyhow!("there is no session {id}, or it has ended; `passgate session list EMAIL|ID` shows those of an account")
    };
    let session = desk.store.session(id).await?.ok_or_else(unknown)?;
    if desk.store.end_sessions(session.account, &Sessions::One(id)).await?.is_empty() {
        return Err(unknown());
    }
    audit::session_ended(session.account, id);
    let whose = desk.store.account(session.account).await?;
    let whose = whose.as_ref().map_or_else(|| session.account.to_string(), name);
    Ok(format!("Ended session {id} of {whose} with {}.", output::visible(session.client.as_str())))
}

#[cfg(test)]
mod tests {
    use crate::{
        cli::testing::{Bench, bench},
        store::{ChangeStore, SessionStore, StoreError},
    };

    async fn said(bench: &Bench, line: &str) -> Result<(String, String), String> {
        let heard = bench.run(line, "").await.map_err(|error| error.to_string())?;
        Ok((heard.out, heard.err))
    }

    #[tokio::test]
    async fn sessions_are_listed_with_what_their_owner_knows_them_by() {
        let bench = bench().await;
        let ann = bench.stranger("ann").await;
        let (out, err) = said(&bench, "session list ann@example.org").await.unwrap();
        assert_eq!((out, err), (String::new(), format!("ann@example.org ({}) is not signed in.\n", ann.id)));
        assert_eq!(said(&bench, "session list ann@example.org --json").await, Ok((String::new(), String::new())));

        let sid = bench.sign_in(&ann).await;
        bench.store.end_refreshing(ann.id, &"web".into()).await.unwrap();
        let (out, _) = said(&bench, &format!("session list {}", ann.id)).await.unwrap();
        let at = "2026-09-21T14:13:20Z";
        assert_eq!(
            out,
            format!(
                "\
SESSION                           CLIENT  SCOPE       CREATED               LAST USED             REFRESHES  USER AGENT
{sid}  web     read write  {at}  {at}  ended      curl/8.5.0
"
            )
        );
        let (out, _) = said(&bench, "session list ann@example.org --json").await.unwrap();
        let shown: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            shown,
            serde_json::json!({
                "id": sid.to_string(), "client_id": "web", "scope": "read write", "created_at": at,
                "last_used_at": at, "refresh_ended": true, "user_agent": "curl/8.5.0",
            })
        );
    }

    #[tokio::test]
    async fn one_session_ends_and_the_others_go_on() {
        let bench = bench().await;
        let ann = bench.stranger("ann").await;
        let (ended, other) = (bench.sign_in(&ann).await, bench.sign_in(&ann).await);
        let line = format!("session end {ended}");
        let (out, _) = said(&bench, &line).await.unwrap();
        assert_eq!(out, format!("Ended session {ended} of ann@example.org ({}) with web.\n", ann.id));
        assert_eq!(bench.asked(), Vec::<String>::new());
        assert!(bench.store.session(ended).await.unwrap().is_none());
        assert!(bench.store.session(other).await.unwrap().is_some());
        let error = said(&bench, &line).await.unwrap_err();
        assert_eq!(
            error,
            format!(
                "there is no session {ended}, or it has ended; `passgate session list EMAIL|ID` shows those of an account"
            )
        );
    }

    #[tokio::test]
    async fn all_sessions_end_when_that_is_meant() {
        let bench = bench().await;
        let ann = bench.stranger("ann").await;
        let sessions = [bench.sign_in(&ann).await, bench.sign_in(&ann).await];
        bench.answer(false);
        assert_eq!(said(&bench, "session end --all ann@example.org").await, Err("nothing was done".to_owned()));
        assert_eq!(bench.asked(), [format!("End all of ann@example.org ({})'s sessions (2 sessions)?", ann.id)]);
        for session in sessions {
            assert!(bench.store.session(session).await.unwrap().is_some());
        }
        said(&bench, "session end --all ann@example.org --yes").await.unwrap();
        for session in sessions {
            assert!(bench.store.session(session).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn what_names_no_session_is_refused_with_the_reason() {
        let bench = bench().await;
        for (line, reason) in [
            ("session end", "required"),
            ("session end ann@example.org", "a session id is 32 lower-case hex digits"),
            ("session end 7f9c2ba4e88f827d616045507605853e --all ann@example.org", "cannot be used with"),
            ("session end --all ann@example.org --yes", "no account has the address or id"),
            ("session list ann@example.org", "`passgate account list --email-contains TEXT`"),
        ] {
            let error = said(&bench, line).await.unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
        }
        bench.store.close().await;
        for line in ["session list ann@example.org", "session end 7f9c2ba4e88f827d616045507605853e"] {
            let error = bench.run(line, "").await.unwrap_err();
            assert!(error.downcast_ref::<StoreError>().is_some(), "{line}: {error}");
        }
    }
}
