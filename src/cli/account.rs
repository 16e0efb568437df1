//! `passgate account …`: makes and changes accounts in the store, beside a running gateway or without one.

use std::io::Write;

use anyhow::anyhow;
use clap::{Args, Subcommand};

use crate::{
    account::{Accounts, ChangeError, NewAccount, RegisterError},
    model::Account,
    secret::Secret,
    store::AccountChange,
};

/// What can be done with accounts.
#[derive(Subcommand)]
pub enum AccountCommand {
    /// Make an account, whether or not strangers may sign up
    #[command(after_help = "\
Examples:
  passgate account create ada@example.com
  passgate account create ada@example.com --staff --verified
  pass show ada | passgate account create ada@example.com --first-name Ada")]
    Create(Create),
    /// Make an account staff
    #[command(after_help = "\
Examples:
  passgate account promote ada@example.com
  passgate account promote 01890a5d-ac96-774b-bcce-b302099a8057")]
    Promote(Named),
    /// Give an account a new password and end its sessions
    #[command(after_help = "\
Examples:
  passgate account set-password ada@example.com
  pass show ada | passgate account set-password ada@example.com")]
    SetPassword(SetPassword),
    /// Lock an account out and end its sessions
    #[command(after_help = "\
Examples:
  passgate account deactivate ada@example.com")]
    Deactivate(Named),
    /// Let a deactivated account in again
    #[command(after_help = "\
Examples:
  passgate account activate ada@example.com")]
    Activate(Named),
}

/// What a new account is to be. Its password is asked for, or read from standard input.
#[derive(Args)]
pub struct Create {
    /// Its email address
    email: String,
    /// What others call it, when not what stands before the @
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Given name
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    first_name: String,
    /// It may do what staff may
    #[arg(long)]
    staff: bool,
    /// You vouch for the address: upstreams are told of it as verified
    #[arg(long)]
    verified: bool,
    /// Read the password from the first line of standard input, even at a terminal
    #[arg(long)]
    password_stdin: bool,
}

/// An account that there is.
#[derive(Args)]
pub struct Named {
    /// Its email address or its id
    #[arg(value_name = "EMAIL|ID")]
    account: String,
}

/// Whose password, and where it comes from.
#[derive(Args)]
pub struct SetPassword {
    #[command(flatten)]
    named: Named,
    /// Read the password from the first line of standard input, even at a terminal
    #[arg(long)]
    password_stdin: bool,
}

/// Carries a command out and tells on `out` what was done. `ask` is
/// [`prompt::new_secret`](super::prompt::new_secret).
///
/// # Errors
///
/// In words for the operator; a [`StoreError`](crate::store::StoreError) can be downcast to.
pub async fn run(
    command: AccountCommand,
    accounts: &Accounts,
    ask: impl FnOnce(&str, bool) -> anyhow::Result<Secret>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let told = match command {
        AccountCommand::Create(new) => create(new, accounts, ask).await?,
        AccountCommand::SetPassword(set) => set_password(&set, accounts, ask).await?,
        AccountCommand::Promote(Named { account }) => {
            change(&account, accounts, AccountChange::Staff(true), "staff", " Its next refresh says so.").await?
        }
        AccountCommand::Deactivate(Named { account }) => {
            change(&account, accounts, AccountChange::Active(false), "inactive", " Its sessions have ended.").await?
        }
        AccountCommand::Activate(Named { account }) => {
            change(&account, accounts, AccountChange::Active(true), "active", " It may sign in.").await?
        }
    };
    writeln!(out, "{told}")?;
    Ok(())
}

async fn create(
    new: Create,
    accounts: &Accounts,
    ask: impl FnOnce(&str, bool) -> anyhow::Result<Secret>,
) -> anyhow::Result<String> {
    let Create { email, username, first_name, staff, verified, password_stdin } = new;
    let local = email.rsplit_once('@').map_or(email.as_str(), |(local, _)| local);
    let username = username.unwrap_or_else(|| local.to_owned());
    let password = Some(ask("password", password_stdin)?);
    let new = NewAccount { email: email.clone(), email_verified: verified, username, first_name, password, staff };
    let account = accounts.create(new).await.map_err(|error| explain(error.into(), &email))?;
    let staff = if account.staff { ", staff" } else { "" };
    Ok(format!("Made {}{staff}.", name(&account)))
}

async fn set_password(
    set: &SetPassword,
    accounts: &Accounts,
    ask: impl FnOnce(&str, bool) -> anyhow::Result<Secret>,
) -> anyhow::Result<String> {
    let given = &set.named.account;
    // Before anybody is asked: a mistyped address would only show afterwards.
    let account = accounts.find(given).await.map_err(|error| explain(error, given))?;
    let password = ask("password", set.password_stdin)?;
    let account = accounts.set_password(account.id, password).await.map_err(|error| explain(error, given))?;
    Ok(format!("{} has the new password. Its sessions have ended.", name(&account)))
}

async fn change(
    given: &str,
    accounts: &Accounts,
    change: AccountChange,
    state: &str,
    consequence: &str,
) -> anyhow::Result<String> {
    let before = accounts.find(given).await.map_err(|error| explain(error, given))?;
    let after = accounts.change(before.id, change).await.map_err(|error| explain(error, given))?;
    Ok(if after == before {
        format!("{} is {state} already.", name(&after))
    } else {
        format!("{} is {state} now.{consequence}", name(&after))
    })
}

/// How an account is called in answers: its address and its id.
fn name(account: &Account) -> String {
    match &account.email {
        Some(email) => format!("{email} ({})", account.id),
        None => account.id.to_string(),
    }
}

/// What went wrong with the account `given`, and what to do.
fn explain(error: ChangeError, given: &str) -> anyhow::Error {
    match error {
        ChangeError::Unknown => anyhow!(
            "no account has the address or id {given:?}; addresses are as at sign-up, letter case aside, and \
             `passgate account create` makes a new one"
        ),
        ChangeError::Register(RegisterError::Fields(faults)) => {
            let lines: Vec<String> = faults.iter().map(|(field, text)| format!("{field}: {text}")).collect();
            anyhow!("nothing was changed:\n  {}", lines.join("\n  "))
        }
        ChangeError::Register(RegisterError::Store(error)) => error.into(),
        ChangeError::Register(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;

    use super::*;
    use crate::{
        account::{List, Settings},
        clock::{Clock, Timestamp},
        model::Epoch,
        password::{self, Hasher},
        store::{ChangeStore, StoreError, testing::TestStore},
    };

    const PASSWORD: &str = "correct-horse-7";

    #[derive(Parser)]
    struct Cli {
        #[command(subcommand)]
        command: AccountCommand,
    }

    struct Bench {
        store: Arc<TestStore>,
        accounts: Accounts,
    }

    async fn bench() -> Bench {
        let store = TestStore::fresh().await;
        let costs = password::Settings { memory_kib: 64, iterations: 1, parallelism: 1, max_concurrent: 1, queue: 8 };
        let settings = Settings {
            registration: false,
            sign_in_after_registration: true,
            reclaim_unverified: true,
            list: List::Staff,
        };
        let hasher = Arc::new(Hasher::new(costs).unwrap());
        let clock = Clock::manual(Timestamp::from_seconds(1));
        Bench { accounts: Accounts::new(store.clone(), hasher, settings, clock), store }
    }

    impl Bench {
        /// Runs a command line with `password` at hand; what it told, or why it failed.
        async fn run(&self, line: &str, password: &str) -> anyhow::Result<String> {
            let command = Cli::try_parse_from(line.split(' '))?.command;
            let mut out = Vec::new();
            run(command, &self.accounts, |_, _| Ok(Secret::from(password)), &mut out).await?;
            Ok(String::from_utf8(out)?)
        }

        async fn told(&self, line: &str) -> String {
            let told = self.run(line, PASSWORD).await.unwrap();
            told.replace(&self.account().await.id.to_string(), "ID")
        }

        async fn refused(&self, line: &str, password: &str) -> String {
            self.run(line, password).await.unwrap_err().to_string()
        }

        async fn account(&self) -> Account {
            self.store.all_accounts().await.remove(0)
        }
    }

    #[tokio::test]
    async fn an_account_is_made_while_strangers_may_not_sign_up() {
        let bench = bench().await;
        assert_eq!(bench.told("account create Ada@example.com").await, "Made Ada@example.com (ID).\n");
        let account = bench.account().await;
        assert_eq!((account.username.as_str(), account.first_name.as_str()), ("Ada", ""));
        assert!(!account.staff && !account.email_verified && account.active);
        assert!(bench.accounts.sign_in("ada@example.com", PASSWORD.into()).await.is_ok());
    }

    #[tokio::test]
    async fn an_account_is_made_as_it_was_asked_for() {
        let bench = bench().await;
        let line = "account create ada@example.com --staff --verified --username countess --first-name Ada";
        assert_eq!(bench.told(line).await, "Made ada@example.com (ID), staff.\n");
        let account = bench.account().await;
        assert_eq!((account.username.as_str(), account.first_name.as_str()), ("countess", "Ada"));
        assert!(account.staff && account.email_verified);
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_new_account_is_told_at_once() {
        let bench = bench().await;
        assert_eq!(
            bench.refused("account create ada@ --username x", "password").await,
            "nothing was changed:\n  email: Enter a valid email address.\n  password: This password is too common."
        );
        bench.told("account create ada@example.com").await;
        assert_eq!(
            bench.refused("account create ADA@example.com", PASSWORD).await,
            "nothing was changed:\n  email: account with this email already exists."
        );
    }

    #[tokio::test]
    async fn a_password_is_never_an_argument() {
        for line in ["account create ada@example.com --password x", "account create ada@example.com secret-1"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[tokio::test]
    async fn accounts_are_changed_by_address_or_id_and_told_when_they_were_so_already() {
        let bench = bench().await;
        bench.told("account create ada@example.com").await;
        let id = bench.account().await.id;
        let by_id = format!("account promote {id}");
        assert_eq!(bench.told(&by_id).await, "ada@example.com (ID) is staff now. Its next refresh says so.\n");
        assert_eq!(bench.told("account promote ada@example.com").await, "ada@example.com (ID) is staff already.\n");
        assert!(bench.account().await.staff);
        assert_eq!(bench.account().await.epoch, Epoch(1));

        let line = "account deactivate ADA@example.com";
        assert_eq!(bench.told(line).await, "ada@example.com (ID) is inactive now. Its sessions have ended.\n");
        assert_eq!(bench.told(line).await, "ada@example.com (ID) is inactive already.\n");
        assert!(bench.accounts.sign_in("ada@example.com", PASSWORD.into()).await.is_err());

        let line = "account activate ada@example.com";
        assert_eq!(bench.told(line).await, "ada@example.com (ID) is active now. It may sign in.\n");
        assert!(bench.accounts.sign_in("ada@example.com", PASSWORD.into()).await.is_ok());
    }

    #[tokio::test]
    async fn a_new_password_replaces_the_old_one() {
        let bench = bench().await;
        bench.told("account create ada@example.com").await;
        let told = bench.run("account set-password ada@example.com", "another-horse-8").await.unwrap();
        assert!(told.contains("has the new password"), "{told}");
        assert!(bench.accounts.sign_in("ada@example.com", PASSWORD.into()).await.is_err());
        assert!(bench.accounts.sign_in("ada@example.com", "another-horse-8".into()).await.is_ok());
        assert_eq!(
            bench.refused("account set-password ada@example.com", "12345678").await,
            "nothing was changed:\n  password: This password is too common."
        );
    }

    #[tokio::test]
    async fn an_unknown_account_is_told_before_a_password_is_asked_for() {
        let bench = bench().await;
        let command = Cli::try_parse_from(["account", "set-password", "bob@example.com"]).ok().unwrap().command;
        let never = |_: &str, _| -> anyhow::Result<Secret> { panic!("asked for the password of nobody") };
        let error = run(command, &bench.accounts, never, &mut Vec::new()).await.unwrap_err().to_string();
        assert!(error.starts_with("no account has the address or id \"bob@example.com\""), "{error}");
        for verb in ["promote", "deactivate", "activate"] {
            assert_eq!(bench.refused(&format!("account {verb} bob@example.com"), PASSWORD).await, error);
        }
    }

    #[tokio::test]
    async fn a_store_out_of_reach_can_be_told_from_a_mistake() {
        let bench = bench().await;
        bench.store.close().await;
        let lines = ["create ada@example.com", "promote ada@example.com", "set-password ada@example.com"];
        for line in lines {
            let error = bench.run(&format!("account {line}"), PASSWORD).await.unwrap_err();
            assert!(error.downcast_ref::<StoreError>().is_some(), "{line}: {error}");
        }
    }
}
