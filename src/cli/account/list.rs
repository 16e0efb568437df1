//! Accounts as an operator sees them.

use clap::Args;
use serde::Serialize;

use super::Named;
use crate::{
    cli::{
        desk::{Desk, Told},
        output::{self, Format},
    },
    model::{Account, AccountId, Link},
};

/// Accounts read at once.
const PAGE: u32 = 500;

pub const EXAMPLES: &str = "\
Examples:
  passgate account list
  passgate account list --limit 20 --after 01890a5d-ac96-774b-bcce-b302099a8057
  passgate account list --all --staff
  passgate account list --all --json | jq -r 'select(.email_verified | not) | .email'";

/// Which accounts, and how many.
#[derive(Args)]
pub struct List {
    /// Most that are listed
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Begin after the account of this id
    #[arg(long, value_name = "ID")]
    after: Option<AccountId>,
    /// List all of them, however many
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Only staff
    #[arg(long)]
    staff: bool,
    /// Only those that are deactivated
    #[arg(long)]
    inactive: bool,
    /// Only those with this in their address, letter case aside
    #[arg(long, value_name = "TEXT")]
    email_contains: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// Which account.
#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    format: Format,
}

/// An account for scripts.
#[derive(Serialize)]
struct Row<'a> {
    id: AccountId,
    email: Option<&'a str>,
    email_verified: bool,
    username: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    groups: &'a [String],
    staff: bool,
    active: bool,
    external_id: Option<&'a str>,
    created_at: String,
}

impl<'a> Row<'a> {
    fn of(account: &'a Account) -> Self {
        Self {
            id: account.id,
            email: account.email.as_deref(),
            email_verified: account.email_verified,
            username: &account.username,
            first_name: &account.first_name,
            last_name: &account.last_name,
            groups: &account.groups,
            staff: account.staff,
            active: account.active,
            external_id: account.external_id.as_deref(),
            created_at: account.created_at.to_rfc3339(),
        }
    }
}

/// One account for scripts, with all that is its own.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    has_password: bool,
    sessions: usize,
    links: Vec<LinkRow<'a>>,
}

#[derive(Serialize)]
struct LinkRow<'a> {
    id: i64,
    provider: &'a str,
    subject: &'a str,
    created_at: String,
}

impl List {
    fn has(&self, account: &Account) -> bool {
        let contains = |text: &String| {
            let email = account.email.as_deref().unwrap_or_default();
            email.to_lowercase().contains(&text.to_lowercase())
        };
        (!self.staff || account.staff)
            && (!self.inactive || !account.active)
            && self.email_contains.as_ref().is_none_or(contains)
    }

    fn is_filtered(&self) -> bool {
        self.staff || self.inactive || self.email_contains.is_some()
    }
}

pub async fn list(list: &List, desk: &Desk<'_>, told: &mut Told<'_>) -> anyhow::Result<()> {
    let titles = ["ID", "EMAIL", "USERNAME", "STAFF", "ACTIVE", "GROUPS", "CREATED"];
    let mut table = output::List::new(&mut *told.out, list.format, titles);
    let mut left = if list.all { usize::MAX } else { usize::try_from(list.limit)? };
    let mut after = list.after;
    let more = loop {
        let page = desk.store.accounts(after, PAGE).await?;
        let rows: Vec<Row<'_>> = page.iter().filter(|account| list.has(account)).take(left).map(Row::of).collect();
        table.rows(&rows, cells)?;
        left -= rows.len();
        let last_of_page = page.last().map(|account| account.id);
        if left == 0 {
            after = rows.last().map(|row| row.id);
            let more = after != last_of_page || !desk.store.accounts(after, 1).await?.is_empty();
            break more;
        }
        if page.len() < usize::try_from(PAGE)? {
            break false;
        }
        after = last_of_page;
    };
    let nothing = table.is_empty() && !list.format.json;
    match after {
        Some(from) if more => {
            let (more, filters) = if list.is_filtered() { ("may be", " with the same filters") } else { ("are", "") };
            told.remark(&format!(
                "There {more} more: --after {from}{filters} goes on from here, --all lists all of them."
            ))?;
        }
        _ if nothing && (list.is_filtered() || list.after.is_some()) => told.remark("There are no such accounts.")?,
        _ if nothing => told.remark("There are no accounts. `passgate account create EMAIL` makes one.")?,
        _ => {}
    }
    Ok(())
}

fn cells(row: &Row<'_>) -> [String; 7] {
    [
        row.id.to_string(),
        row.email.unwrap_or("-").to_owned(),
        row.username.to_owned(),
        yes(row.staff),
        yes(row.active),
        row.groups.join(", "),
        row.created_at.clone(),
    ]
}

pub async fn show(show: &Show, desk: &Desk<'_>, told: &mut Told<'_>) -> anyhow::Result<()> {
    let account = desk.find(&show.named.account).await?;
    let has_password = desk.accounts.has_password(account.id).await?;
    let links = desk.store.links(account.id).await?;
    let sessions = desk.living_sessions(&account).await?.len();
    let link = |link: &'_ Link| format!("{} at {} (number {})", link.key.subject, link.key.provider, link.id);
    let row = Row::of(&account);
    let verified = if row.email_verified { "verified" } else { "not verified" };
    let mut fields = vec![
        ("Id", row.id.to_string()),
        ("Email", row.email.map_or_else(|| "none".to_owned(), |email| format!("{email} ({verified})"))),
        ("Username", row.username.to_owned()),
        ("First name", row.first_name.to_owned()),
        ("Last name", row.last_name.to_owned()),
        ("Groups", row.groups.join(", ")),
        ("Staff", yes(row.staff)),
        ("Active", yes(row.active)),
        ("Password", yes(has_password)),
        ("External id", row.external_id.unwrap_or_default().to_owned()),
        ("Created", row.created_at.clone()),
        ("Sessions", sessions.to_string()),
        ("Identities", links.first().map_or_else(|| "none".to_owned(), link)),
    ];
    fields.extend(links.iter().skip(1).map(|one| ("", link(one))));
    let links = links.iter().map(|link| LinkRow {
        id: link.id,
        provider: &link.key.provider,
        subject: &link.key.subject,
        created_at: link.created_at.to_rfc3339(),
    });
    let whole = Whole { row, has_password, sessions, links: links.collect() };
    output::show(&mut *told.out, show.format, &whole, &fields)?;
    Ok(())
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}
