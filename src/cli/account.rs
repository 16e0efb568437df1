//! `passgate account …`: looks at, makes and changes accounts in the store, beside a running gateway or without one.

mod list;
#[cfg(test)]
mod tests;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};

use super::{
    audit,
    desk::{Desk, Person, Told, count, explain, name},
    output,
};
use crate::{
    account::{MAX_NAME, NewAccount},
    model::Account,
    store::{AccountChange, DeleteLink},
    telemetry::audit::{self as events, Event},
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
    /// List accounts in the order in which they were made
    #[command(after_help = list::EXAMPLES)]
    List(list::List),
    /// Show one account with its identities at providers
    #[command(after_help = "\
Examples:
  passgate account show ada@example.com
  passgate account show 01890a5d-ac96-774b-bcce-b302099a8057 --json")]
    Show(list::Show),
    /// Make an account staff
    #[command(after_help = "\
Examples:
  passgate account promote ada@example.com
  passgate account promote 01890a5d-ac96-774b-bcce-b302099a8057")]
    Promote(Named),
    /// Make an account staff no longer
    #[command(after_help = "\
Examples:
  passgate account demote ada@example.com")]
    Demote(Named),
    /// Say which groups an account is in, instead of those it was in
    #[command(after_help = "\
Examples:
  passgate account set-groups ada@example.com editors billing
  passgate account set-groups ada@example.com 'night shift'
  passgate account set-groups ada@example.com --none")]
    SetGroups(SetGroups),
    /// Give an account a new password and end its sessions
    #[command(after_help = "\
Examples:
  passgate account set-password ada@example.com
  pass show ada | passgate account set-password ada@example.com")]
    SetPassword(SetPassword),
    /// Take an identity at a provider from an account: it signs in by it no longer
    #[command(after_help = "\
Examples:
  passgate account unlink ada@example.com google-oauth2
  passgate account unlink ada@example.com google-oauth2 --link 42 --yes")]
    Unlink(Unlink),
    /// End every session of an account; it may sign in again
    #[command(after_help = "\
Examples:
  passgate account sign-out ada@example.com
  passgate account sign-out ada@example.com --yes")]
    SignOut(Confirmed),
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
    /// Delete an account with its sessions and its identities at providers; its address can sign up again
    #[command(after_help = "\
Examples:
  passgate account delete ada@example.com
  passgate account delete 01890a5d-ac96-774b-bcce-b302099a8057 --yes

To lock somebody out and keep the account, `passgate account deactivate`.")]
    Delete(Confirmed),
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

/// An account that there is, and what cannot be undone with it.
#[derive(Args)]
pub struct Confirmed {
    #[command(flatten)]
    named: Named,
    /// Do not ask
    #[arg(long)]
    yes: bool,
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

/// Whose groups, and which.
#[derive(Args)]
pub struct SetGroups {
    #[command(flatten)]
    named: Named,
    /// Their names, all of them
    #[arg(value_name = "GROUP", value_parser = group, required_unless_present = "none")]
    groups: Vec<String>,
    /// It is in no group any more
    #[arg(long, conflicts_with = "groups")]
    none: bool,
}

/// Whose identity, and at which provider.
#[derive(Args)]
pub struct Unlink {
    #[command(flatten)]
    confirmed: Confirmed,
    /// The provider, as the configuration names it
    provider: String,
    /// Which one, when there are several: its number in `passgate account show`
    #[arg(long, value_name = "NUMBER")]
    link: Option<i64>,
}

fn group(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.chars().nth(MAX_NAME).is_some() || name.contains(char::is_control) {
        return Err(format!("the name of a group has 1 to {MAX_NAME} characters, none of them a control character"));
    }
    Ok(name.to_owned())
}

/// Carries a command out and tells what was done.
///
/// # Errors
///
/// In words for the operator; a [`StoreError`](crate::store::StoreError) can be downcast to.
pub async fn run(
    command: AccountCommand,
    desk: &Desk<'_>,
    person: &Person<'_>,
    told: &mut Told<'_>,
) -> anyhow::Result<()> {
    let done = match command {
        AccountCommand::List(list) => return list::list(&list, desk, told).await,
        AccountCommand::Show(show) => return list::show(&show, desk, told).await,
        AccountCommand::Create(new) => create(new, desk, person).await?,
        AccountCommand::SetPassword(set) => set_password(&set, desk, person).await?,
        AccountCommand::SetGroups(set) => set_groups(set, desk).await?,
        AccountCommand::Promote(Named { account }) => change(&account, desk, &PROMOTION).await?,
        AccountCommand::Demote(Named { account }) => change(&account, desk, &DEMOTION).await?,
        AccountCommand::Deactivate(Named { account }) => change(&account, desk, &DEACTIVATION).await?,
        AccountCommand::Activate(Named { account }) => change(&account, desk, &ACTIVATION).await?,
        AccountCommand::Unlink(unlink) => self::unlink(&unlink, desk, person).await?,
        AccountCommand::SignOut(Confirmed { named, yes }) => sign_out(&named.account, yes, desk, person).await?,
        AccountCommand::Delete(Confirmed { named, yes }) => delete(&named.account, yes, desk, person).await?,
    };
    told.done(&done)?;
    Ok(())
}

async fn create(new: Create, desk: &Desk<'_>, person: &Person<'_>) -> anyhow::Result<String> {
    let Create { email, username, first_name, staff, verified, password_stdin } = new;
    let local = email.rsplit_once('@').map_or(email.as_str(), |(local, _)| local);
    let username = username.unwrap_or_else(|| local.to_owned());
    let password = Some((person.new_secret)("password", password_stdin)?);
    let new = NewAccount { email: email.clone(), email_verified: verified, username, first_name, password, staff };
    let account = desk.accounts.create(new).await.map_err(|error| explain(error.into(), &email))?;
    audit::account(&events::ACCOUNT_CREATED, account.id);
    let staff = if account.staff { ", staff" } else { "" };
    Ok(format!("Made {}{staff}.", name(&account)))
}

async fn set_password(set: &SetPassword, desk: &Desk<'_>, person: &Person<'_>) -> anyhow::Result<String> {
    let given = &set.named.account;
    // Before anybody is asked: a mistyped address would only show afterwards.
    let account = desk.find(given).await?;
    let password = (person.new_secret)("password", set.password_stdin)?;
    let account = desk.accounts.set_password(account.id, password).await.map_err(|error| explain(error, given))?;
    audit::password_set(account.id);
    Ok(format!("{} has the new password. Its sessions have ended.", name(&account)))
}

async fn set_groups(set: SetGroups, desk: &Desk<'_>) -> anyhow::Result<String> {
    let mut groups: Vec<String> = Vec::new();
    for group in set.groups {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let place = match &groups[..] {
        [] => "in no group".to_owned(),
        groups => format!("in {}: {}", count(groups.len(), "group", "groups"), output::visible(&groups.join(", "))),
    };
    let change = StateChange {
        change: AccountChange::Groups(groups),
        event: &events::ACCOUNT_GROUPS_SET,
        now: &format!("is now {place}. Its next refresh says so."),
        already: &format!("was {place} already."),
    };
    self::change(&set.named.account, desk, &change).await
}

/// A change that may be none, and how it is told.
struct StateChange<'a> {
    change: AccountChange,
    event: &'static Event,
    now: &'a str,
    already: &'a str,
}

const PROMOTION: StateChange<'_> = StateChange {
    change: AccountChange::Staff(true),
    event: &events::ACCOUNT_PROMOTED,
    now: "is staff now. Its next refresh says so.",
    already: "is staff already.",
};
const DEMOTION: StateChange<'_> = StateChange {
    change: AccountChange::Staff(false),
    event: &events::ACCOUNT_DEMOTED,
    now: "is staff no longer. Its next refresh says so.",
    already: "was no staff.",
};
const DEACTIVATION: StateChange<'_> = StateChange {
    change: AccountChange::Active(false),
    event: &events::ACCOUNT_DEACTIVATED,
    now: "is inactive now. Its sessions have ended.",
    already: "is inactive already.",
};
const ACTIVATION: StateChange<'_> = StateChange {
    change: AccountChange::Active(true),
    event: &events::ACCOUNT_ACTIVATED,
    now: "is active now. It may sign in.",
    already: "is active already.",
};

async fn change(given: &str, desk: &Desk<'_>, change: &StateChange<'_>) -> anyhow::Result<String> {
    let before = desk.find(given).await?;
    let after = desk.accounts.change(before.id, change.change.clone()).await.map_err(|error| explain(error, given))?;
    if after == before {
        return Ok(format!("{} {}", name(&after), change.already));
    }
    audit::account(change.event, after.id);
    Ok(format!("{} {}", name(&after), change.now))
}

/// Ends every session of an account, also those that nobody lists any more.
pub(super) async fn sign_out(given: &str, yes: bool, desk: &Desk<'_>, person: &Person<'_>) -> anyhow::Result<String> {
    let account = desk.find(given).await?;
    let sessions = count(desk.living_sessions(&account).await?.len(), "session", "sessions");
    (person.confirm)(&format!("End all of {}'s sessions ({sessions})?", name(&account)), yes)?;
    desk.accounts.change(account.id, AccountChange::SignOut).await.map_err(|error| explain(error, given))?;
    audit::account(&events::SIGN_OUT_EVERYWHERE, account.id);
    Ok(format!("{} is signed out everywhere ({sessions}). It may sign in again.", name(&account)))
}

async fn delete(given: &str, yes: bool, desk: &Desk<'_>, person: &Person<'_>) -> anyhow::Result<String> {
    let account = desk.find(given).await?;
    let sessions = count(desk.living_sessions(&account).await?.len(), "session", "sessions");
    let links = count(desk.store.links(account.id).await?.len(), "identity", "identities");
    let whose = format!("{}, known as {}", name(&account), output::visible(&account.username));
    let question = format!("Delete {whose}, with {sessions} and {links} at providers? This cannot be undone.");
    (person.confirm)(&question, yes)?;
    if !desk.store.delete_account(account.id).await? {
        bail!("{} has been deleted by somebody else meanwhile", name(&account));
    }
    audit::account(&events::ACCOUNT_DELETED, account.id);
    Ok(format!("Deleted {}. Its sessions have ended, and its address can sign up again.", name(&account)))
}

async fn unlink(unlink: &Unlink, desk: &Desk<'_>, person: &Person<'_>) -> anyhow::Result<String> {
    let Unlink { confirmed: Confirmed { named, yes }, provider, link } = unlink;
    let account = desk.find(&named.account).await?;
    let all = desk.store.links(account.id).await?;
    let mut such = all.iter().filter(|one| one.key.provider == *provider && link.is_none_or(|link| one.id == link));
    let one = such.next().ok_or_else(|| no_such_link(&account, unlink))?;
    if such.next().is_some() {
        bail!(
            "{} has several identities at {provider}; say which with --link NUMBER, as `passgate account show` has them",
            name(&account)
        );
    }
    let whose = format!("{} at {provider} from {}", output::visible(&one.key.subject), name(&account));
    (person.confirm)(&format!("Take {whose}?"), *yes)?;
    match desk.store.delete_link(account.id, provider, one.id, desk.providers).await? {
        DeleteLink::Deleted => {
            audit::unlinked(account.id, provider, one.id);
            Ok(format!("Took {whose}. Its sessions go on."))
        }
        DeleteLink::Unknown => Err(no_such_link(&account, unlink)),
        DeleteLink::LastWay => Err(anyhow!(
            "it is the only way in to {}, and stays; `passgate account set-password` makes another for one with an \
             address, `passgate account deactivate` locks it",
            name(&account)
        )),
    }
}

fn no_such_link(account: &Account, unlink: &Unlink) -> anyhow::Error {
    let number = unlink.link.map(|link| format!(" of the number {link}")).unwrap_or_default();
    anyhow!(
        "{} has no identity{number} at {:?}; `passgate account show {}` shows those it has",
        name(account),
        unlink.provider,
        account.id
    )
}
