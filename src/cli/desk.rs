//! What commands about accounts and sessions work with, and what they say alike.

use std::io::{self, Write};

use anyhow::anyhow;

use super::output;
use crate::{
    account::{Accounts, ChangeError, RegisterError},
    clock::Timestamp,
    model::Account,
    secret::Secret,
    session::{Rules, Session},
    store::Store,
};

/// The open store and the rules over it.
pub struct Desk<'a> {
    /// The rules of accounts.
    pub accounts: &'a Accounts,
    /// The store beneath them.
    pub store: &'a dyn Store,
    /// Which sessions still live.
    pub sessions: &'a Rules,
    /// Names of the providers that can be signed in with.
    pub providers: &'a [String],
    /// When the command is given.
    pub now: Timestamp,
}

/// The person who gives the command, as [`prompt`](super::prompt) asks them.
pub struct Person<'a> {
    /// For a new secret, by name; from standard input even at a terminal where the flag says so.
    pub new_secret: &'a dyn Fn(&str, bool) -> anyhow::Result<Secret>,
    /// Whether to go on, unless the flag says so beforehand: an error when they do not want to, or cannot be asked.
    pub confirm: &'a dyn Fn(&str, bool) -> anyhow::Result<()>,
}

/// Where answers go.
pub struct Told<'a> {
    /// What was asked for.
    pub out: &'a mut dyn Write,
    /// Remarks on it, which are no part of it.
    pub err: &'a mut dyn Write,
}

impl Told<'_> {
    /// Tells what was done.
    pub fn done(&mut self, what: &str) -> io::Result<()> {
        writeln!(self.out, "{what}")
    }

    /// Says something beside the answer.
    pub fn remark(&mut self, what: &str) -> io::Result<()> {
        // Rows come first, whichever stream is read first.
        self.out.flush()?;
        writeln!(self.err, "{what}")
    }
}

impl Desk<'_> {
    /// The account that an operator names by address or id.
    pub async fn find(&self, given: &str) -> anyhow::Result<Account> {
        self.accounts.find(given).await.map_err(|error| explain(error, given))
    }

    /// The account's sessions by which anything can still be done, the last used first.
    pub async fn living_sessions(&self, account: &Account) -> anyhow::Result<Vec<Session>> {
        let mut sessions = self.store.sessions_of(account.id, u32::MAX).await?;
        sessions
            .retain(|session| !session.has_expired(self.sessions, self.now) || session.access_expires_at > self.now);
        Ok(sessions)
    }
}

/// How an account is called in answers: its address and its id.
pub fn name(account: &Account) -> String {
    match &account.email {
        Some(email) => format!("{} ({})", output::visible(email), account.id),
        None => account.id.to_string(),
    }
}

/// So many, in words.
pub fn count(n: usize, one: &str, several: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {several}") }
}

/// What went wrong with the account `given`, and what to do.
pub fn explain(error: ChangeError, given: &str) -> anyhow::Error {
    match error {
        ChangeError::Unknown => anyhow!(
            "no account has the address or id {given:?}; addresses are as at sign-up, letter case aside: \
             `passgate account list --email-contains TEXT` looks for one"
        ),
        ChangeError::Register(RegisterError::Fields(faults)) => {
            let lines: Vec<String> = faults.iter().map(|(field, text)| format!("{field}: {text}")).collect();
            anyhow!("nothing was changed:\n  {}", lines.join("\n  "))
        }
        ChangeError::Register(RegisterError::Store(error)) => error.into(),
        ChangeError::Register(error) => error.into(),
    }
}
