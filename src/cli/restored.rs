//! `passgate store restored`: makes an older copy of the store safe to go on with.

use std::io::Write;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use futures_util::future::try_join_all;

use super::keys::explain;
use crate::{
    clock::Timestamp,
    store::{AccountChange, Store},
    token::keys::by_hand::ByHand,
};

pub const STORE_EXAMPLES: &str = "\
Examples:
  passgate store restored --taken-at 2026-03-01T02:00:00Z";

/// Accounts changed at once: the store writes them together.
const PAGE: u32 = 100;

/// How far clocks may be apart before a time lies in the future.
const LEEWAY: std::time::Duration = std::time::Duration::from_mins(5);

/// What the store can be told.
#[derive(Subcommand)]
pub enum StoreCommand {
    /// Say that the store is a backup of some time ago: everybody signs in again, and no token of before holds
    #[command(after_help = "\
Examples:
  passgate store restored --taken-at 2026-03-01T02:00:00Z
  passgate store restored --taken-at 2026-03-01T02:00:00Z --keep-sessions --yes

To be run when the backup is in its place, before the gateway starts; beside one that runs it is as good, only later.
A backup does not know what happened after it was taken: sessions that were ended since are alive in it, a signing key
that was revoked since is good in it. So every signing key is replaced, and every session ended. With --keep-sessions
the sessions stay, and with them those that were ended since: only where you know that there were none to fear.
It can be repeated, and one that was interrupted has to be.")]
    Restored(Restored),
}

/// Which backup, and what to keep.
#[derive(Args)]
pub struct Restored {
    /// When the backup was taken, as `passgate backup` said (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    taken_at: Timestamp,
    /// Leave the sessions of the backup alive
    #[arg(long)]
    keep_sessions: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse_rfc3339(text).ok_or("a time as in 2026-03-01T02:00:00Z is wanted")
}

/// Carries it out and tells on `out` what was done, and what is left to do. `confirm` is
/// [`prompt::confirm`](super::prompt::confirm).
///
/// # Errors
///
/// In words for the operator; a [`StoreError`](crate::store::StoreError) can be downcast to.
pub async fn run(
    restored: &Restored,
    store: &dyn Store,
    keys: &ByHand<'_>,
    now: Timestamp,
    confirm: impl FnOnce(&str, bool) -> anyhow::Result<()>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let taken_at = restored.taken_at;
    ensure!(taken_at <= now + LEEWAY, "{} is still to come: when was the backup taken?", taken_at.to_rfc3339());
    let found = Found::of(store, taken_at).await?;
    ensure!(found.accounts > 0, "there are no accounts in this store: put the backup in its place first");
    confirm(&question(restored, &found), restored.yes)?;

    let key = keys.replace_all(now).await.map_err(explain)?;
    let interrupted = "not all sessions are ended: run the same command again";
    let ended = if restored.keep_sessions { 0 } else { sign_everybody_out(store).await.context(interrupted)? };
    writeln!(out, "No access token of before holds: {key} signs now, and all other signing keys are gone.")?;
    if restored.keep_sessions {
        writeln!(out, "Sessions of before {} go on at their next refresh.", taken_at.to_rfc3339())?;
    } else {
        writeln!(out, "All sessions of {} are ended: everybody signs in again.", accounts(ended))?;
    }
    writeln!(out, "\n{}", to_do(restored))?;
    Ok(())
}

/// What is in the store.
#[derive(Default)]
struct Found {
    accounts: u64,
    /// Accounts made after the backup was taken.
    younger: u64,
}

impl Found {
    async fn of(store: &dyn Store, taken_at: Timestamp) -> anyhow::Result<Self> {
        let (mut found, mut after) = (Self::default(), None);
        loop {
            let page = store.accounts(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(last.id);
            found.accounts += page.len() as u64;
            found.younger += page.iter().filter(|account| account.created_at > taken_at).count() as u64;
        }
    }
}

/// Every account, also those that are locked out: they may be let in again.
async fn sign_everybody_out(store: &dyn Store) -> anyhow::Result<u64> {
    let (mut signed_out, mut after) = (0, None);
    loop {
        let page = store.accounts(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(signed_out) };
        after = Some(last.id);
        try_join_all(page.iter().map(|account| store.change_account(account.id, &AccountChange::SignOut))).await?;
        signed_out += page.len() as u64;
    }
}

fn question(restored: &Restored, found: &Found) -> String {
    let taken_at = restored.taken_at.to_rfc3339();
    let (all, younger) = (accounts(found.accounts), found.younger);
    let consequence = if restored.keep_sessions {
        format!(
            "and refuses every access token of before. The sessions of its {all} stay, also those that were ended after \
             {taken_at}."
        )
    } else {
        format!("refuses every access token of before, and ends all sessions of its {all}: everybody signs in again.")
    };
    let doubt = if younger == 0 {
        String::new()
    } else {
        format!(
            "\nIt has {} made after {taken_at}: a gateway has served on the restored store \
             since, or the time is wrong, or this is not the backup.",
            accounts(younger)
        )
    };
    format!("This takes the store for a backup of {taken_at}, {consequence}{doubt}")
}

fn accounts(count: u64) -> String {
    if count == 1 { "1 account".to_owned() } else { format!("{count} accounts") }
}

fn to_do(restored: &Restored) -> String {
    let taken_at = restored.taken_at.to_rfc3339();
    let sessions = if restored.keep_sessions {
        "\n- Sessions that were ended since are alive again: sign-outs, revocations, refresh tokens that were stolen and \
         found out.\n  Whose they are, nobody can tell; `passgate account set-password` and `deactivate` end those of \
         an account.\n- Sessions that began since are gone: those people sign in again."
    } else {
        ""
    };
    format!(
        "\
What happened after {taken_at} is gone. By hand:
- Who was deactivated, deleted or lost a role since, is as before: `passgate account deactivate EMAIL`.
- Passwords that were changed since are the old ones again. Where they were changed because somebody knew them:
  `passgate account set-password EMAIL`.
- Accounts made since are gone; their owners sign up again. Links to providers are as they were.
- Clients made or deleted since, and their secrets: `passgate client list`, `client rotate-secret`.{sessions}
- Whoever caches /.well-known/jwks.json beside the gateways has to read it again."
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::{
        cli::failure::{Failure, USAGE},
        store::{
            AccountStore as _, ChangeStore as _, KeyStore as _, SessionStore as _, StoreError,
            contract::{account, clock, enrolment, new_session},
            testing::TestStore,
        },
        token::fixture::{master, ring, settings},
    };

    const LINE: &str = "store restored --taken-at 2026-09-21T16:00:00+02:00";

    #[derive(Parser)]
    struct Cli {
        #[command(subcommand)]
        command: StoreCommand,
    }

    fn parse(line: &str) -> Restored {
        let StoreCommand::Restored(restored) =
            Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{error}")).command;
        restored
    }

    async fn run_line(store: &TestStore, line: &str) -> anyhow::Result<(String, String)> {
        let (mut out, mut asked) = (Vec::new(), String::new());
        let settings = settings(&[]);
        let keys = ByHand::new(store, &master(), &settings)?;
        let confirm = |question: &str, _: bool| {
            question.clone_into(&mut asked);
            Ok(())
        };
        run(&parse(line), store, &keys, clock().now(), confirm, &mut out).await?;
        Ok((String::from_utf8(out)?, asked))
    }

    /// A store with signing keys and so many accounts that are signed in.
    async fn store(accounts: usize) -> std::sync::Arc<TestStore> {
        let store = TestStore::fresh().await;
        ring(&store, settings(&[])).await;
        for n in 0..accounts {
            let account = account(&format!("a{n}"));
            store.insert_account(&enrolment(&account)).await.unwrap();
            store.create_session(account.id, account.epoch, &new_session()).await.unwrap().unwrap();
        }
        store
    }

    async fn sessions(store: &TestStore) -> usize {
        let mut all = 0;
        for account in store.all_accounts().await {
            all += store.sessions_of(account.id, 10).await.unwrap().len();
        }
        all
    }

    #[tokio::test]
    async fn everybody_signs_in_again_and_no_key_of_before_is_left() {
        let store = store(250).await;
        let old = store.keys().await.unwrap().remove(0).kid;
        let (told, asked) = run_line(&store, LINE).await.unwrap();
        assert!(asked.contains("a backup of 2026-09-21T14:00:00Z") && asked.contains("250 accounts"), "{asked}");
        assert!(!asked.contains("made after"), "{asked}");
        assert_eq!(sessions(&store).await, 0);
        assert!(store.all_accounts().await.iter().all(|account| account.epoch.0 == 1));
        let [new] = store.keys().await.unwrap().try_into().ok().unwrap();
        assert_ne!(new.kid, old);
        assert!(
            told.contains(&format!("{} signs now", new.kid)) && told.contains("of 250 accounts are ended"),
            "{told}"
        );
        assert!(told.contains("What happened after 2026-09-21T14:00:00Z is gone"), "{told}");
        run_line(&store, LINE).await.unwrap();
    }

    #[tokio::test]
    async fn sessions_stay_where_they_are_to_stay_and_the_keys_do_not() {
        let store = store(3).await;
        let old = store.keys().await.unwrap().remove(0).kid;
        let (told, asked) = run_line(&store, &format!("{LINE} --keep-sessions")).await.unwrap();
        assert!(asked.contains("also those that were ended after 2026-09-21T14:00:00Z"), "{asked}");
        assert!(told.contains("Sessions that were ended since are alive again"), "{told}");
        assert_eq!(sessions(&store).await, 3);
        assert!(store.all_accounts().await.iter().all(|account| account.epoch.0 == 0));
        assert_ne!(store.keys().await.unwrap().remove(0).kid, old);
    }

    #[tokio::test]
    async fn what_does_not_look_like_that_backup_is_told() {
        let store = store(2).await;
        let (_, asked) = run_line(&store, "store restored --taken-at 2020-01-01T00:00:00Z").await.unwrap();
        assert!(asked.contains("It has 2 accounts made after 2020-01-01T00:00:00Z"), "{asked}");
        let refused = run_line(&store, "store restored --taken-at 2096-01-01T00:00:00Z").await.unwrap_err();
        assert!(refused.to_string().contains("is still to come"), "{refused}");
        assert_eq!(Failure::from(refused).code(), USAGE.into());
        let empty = run_line(&*TestStore::fresh().await, LINE).await.unwrap_err();
        assert!(empty.to_string().starts_with("there are no accounts"), "{empty}");
        for wrong in ["yesterday", "2026-03-01", "1790000000"] {
            let line = format!("store restored --taken-at {wrong}");
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn whoever_says_no_changes_nothing() {
        let store = store(1).await;
        let old = store.keys().await.unwrap().remove(0).kid;
        let settings = settings(&[]);
        let keys = ByHand::new(&*store, &master(), &settings).unwrap();
        let no = |_: &str, _: bool| anyhow::bail!("nothing was done");
        let now = clock().now() + Duration::from_secs(1);
        assert!(run(&parse(LINE), &*store, &keys, now, no, &mut Vec::new()).await.is_err());
        assert_eq!((sessions(&store).await, store.keys().await.unwrap().remove(0).kid), (1, old));
    }

    #[tokio::test]
    async fn a_store_out_of_reach_can_be_told_from_a_mistake() {
        let store = store(1).await;
        store.close().await;
        let error = run_line(&store, LINE).await.unwrap_err();
        assert!(error.downcast_ref::<StoreError>().is_some(), "{error}");
    }
}
