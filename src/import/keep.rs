//! Makes accounts, links and clients of what was gathered, and has the store keep them.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    Error, Progress, Target, account,
    account::GroupRef,
    client, gather, link,
    mapping::{self, Mapping},
    record::Record,
    report::{Kind, Note, Reason, Report},
    scratch::{Scratch, Waiting, WaitingLink},
};
use crate::{
    model::Account,
    store::{Import, Imported, LinkOutcome, Store, StoreError},
};

/// Accounts that are kept in one step: about a tenth of a second, for which a sign-in beside it waits.
const BATCH: u32 = 2000;

/// Pause between two steps, for a gateway beside this to get its turn: SQLite has no queue of writers, they knock.
const TURN: Duration = Duration::from_millis(20);

/// How often a store that is busy is asked, and after what pause.
const TRIES: u32 = 5;
const AGAIN: Duration = Duration::from_secs(1);

/// Rows that are nobody's, read at once.
const PAGE: u32 = 1000;

/// Providers that are told of when the configuration does not have them.
const MAX_PROVIDERS: usize = 100;

/// An account on its way to the store, with its row of before.
struct Candidate {
    pk: String,
    notes: Vec<(Reason, String)>,
    links: Vec<WaitingLink>,
    import: Import,
}

/// Keeps all accounts, and their links.
pub(super) async fn accounts(
    scratch: &mut Scratch,
    mapping: &Mapping,
    target: &Target<'_>,
    report: &mut Report<'_>,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let of = scratch.user_count().await?;
    let mut groups = Groups::default();
    let mut unknown_providers = BTreeMap::new();
    let (mut after, mut done) = (0, 0);
    loop {
        let page = scratch.users(after, BATCH).await?;
        let Some(last) = page.last() else { break };
        after = last.n;
        done += page.len() as u64;
        let mut candidates = Vec::with_capacity(page.len());
        for waiting in page {
            candidates.extend(candidate(waiting, scratch, &mut groups, mapping, target, report).await?);
        }
        for link in candidates.iter().flat_map(|candidate| &candidate.import.links) {
            if !target.configured_providers.contains(&link.provider)
                && (unknown_providers.len() < MAX_PROVIDERS || unknown_providers.contains_key(&link.provider))
            {
                *unknown_providers.entry(link.provider.clone()).or_insert(0_u64) += 1;
            }
        }
        let imports: Vec<_> = candidates.iter().map(|candidate| candidate.import.clone()).collect();
        let outcomes = match target.store {
            Some(store) if target.dry_run => store.judge_imports(imports).await?,
            Some(store) => keep_them(store, imports).await?,
            None => imports.iter().map(all_new).collect(),
        };
        for (candidate, outcome) in candidates.into_iter().zip(outcomes) {
            tell(candidate, outcome, report)?;
        }
        report.flush()?;
        progress.writing(done, of);
        if !target.dry_run {
            tokio::time::sleep(TURN).await;
        }
    }
    for (provider, links) in unknown_providers {
        let detail = if links == 1 { "1 link".to_owned() } else { format!("{links} links") };
        report.note(Note { kind: Kind::Link, pk: provider, reason: Reason::ProviderUnknown, detail })?;
    }
    Ok(())
}

/// Has the store keep accounts. One that is busy is asked again: those that it has kept are only there already.
async fn keep_them(store: &dyn Store, imports: Vec<Import>) -> Result<Vec<Imported>, StoreError> {
    for _ in 1..TRIES {
        match store.import_accounts(imports.clone()).await {
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(AGAIN).await,
            answer => return answer,
        }
    }
    store.import_accounts(imports).await
}

/// What a store without accounts would say.
fn all_new(import: &Import) -> Imported {
    Imported { present: None, address_of: None, links: vec![LinkOutcome::New; import.links.len()] }
}

/// The account of a user; `None`, and a note, when it can be none.
async fn candidate(
    waiting: Waiting,
    scratch: &mut Scratch,
    groups: &mut Groups,
    mapping: &Mapping,
    target: &Target<'_>,
    report: &mut Report<'_>,
) -> Result<Option<Candidate>, Error> {
    report.count(Kind::Account).read += 1;
    report.count(Kind::Link).read += waiting.links.len() as u64;
    let Waiting { pk, fields, keeper, links: waiting_links, .. } = waiting;
    if !account::is_key(&pk) {
        let detail = pk.escape_default().take(100).collect();
        report.note(Note { kind: Kind::Account, pk: String::new(), reason: Reason::KeyInvalid, detail })?;
        for link in waiting_links {
            report.note(note_link(link, Reason::LinkWithoutUser, ""))?;
        }
        return Ok(None);
    }
    let record = gather::record("", pk, fields);
    let (names, missing) = groups.of(&record, mapping, scratch).await?;
    let account::Made { mut account, mut email_key, password_hash, mut notes } =
        account::make(&record, mapping, target.clock.now(), names);
    notes.extend(missing.into_iter().map(|group| (Reason::GroupUnknown, format!("group {group}"))));
    if let Some(keeper) = keeper {
        let address = account.email.take().unwrap_or_default();
        notes.push((Reason::AddressVariant, format!("{address} (kept by {keeper})")));
        (account.email_verified, email_key) = (false, None);
    }
    let (mut links, mut rows) = (Vec::new(), Vec::new());
    for waiting in waiting_links {
        match link::make(&waiting) {
            Some(link) => {
                links.push(link);
                rows.push(waiting);
            }
            None => report.note(note_link(waiting, Reason::LinkInvalid, &record.pk))?,
        }
    }
    let import = Import { account, email_key, password_hash, links };
    Ok(Some(Candidate { pk: record.pk, notes, links: rows, import }))
}

/// Counts and tells what became of an account.
fn tell(candidate: Candidate, outcome: Imported, report: &mut Report<'_>) -> Result<(), Error> {
    let Candidate { pk, mut notes, links, import } = candidate;
    match &outcome.present {
        None => report.count(Kind::Account).new += 1,
        Some(present) => {
            report.count(Kind::Account).present += 1;
            // What was changed on the way was told when it came.
            notes.clear();
            let differs = differences(&import, present);
            if !differs.is_empty() {
                notes.push((Reason::ChangedSince, differs.join(", ")));
            }
        }
    }
    if let Some(owner) = outcome.address_of {
        let address = import.account.email.as_deref().unwrap_or_default();
        notes.push((Reason::AddressTaken, format!("{address} (of account {owner})")));
    }
    for (reason, detail) in notes {
        report.note(Note { kind: Kind::Account, pk: pk.clone(), reason, detail })?;
    }
    for (waiting, outcome) in links.into_iter().zip(outcome.links) {
        match outcome {
            LinkOutcome::New => report.count(Kind::Link).new += 1,
            LinkOutcome::Present => report.count(Kind::Link).present += 1,
            LinkOutcome::Taken => report.note(note_link(waiting, Reason::LinkTaken, &pk))?,
        }
    }
    Ok(())
}

/// What an operator decides about, where the account that is here says otherwise than the source.
fn differences(import: &Import, present: &Account) -> Vec<String> {
    let given = &import.account;
    let mut differs = Vec::new();
    if given.active != present.active {
        differs.push(if present.active { "active here".to_owned() } else { "inactive here".to_owned() });
    }
    if given.staff != present.staff {
        differs.push(if present.staff { "staff here".to_owned() } else { "not staff here".to_owned() });
    }
    let mut groups = present.groups.clone();
    groups.sort();
    if given.groups != groups {
        differs.push("other groups here".to_owned());
    }
    differs
}

fn note_link(link: WaitingLink, reason: Reason, user: &str) -> Note {
    Note { kind: Kind::Link, pk: link.pk, reason, detail: format!("{} {} of {user}", link.provider, link.uid) }
}

/// Tells of the links that are nobody's, and of those that were there before.
pub(super) async fn strays(scratch: &mut Scratch, report: &mut Report<'_>) -> Result<(), Error> {
    let mut after = 0;
    loop {
        let page = scratch.strays(after, PAGE).await?;
        let Some((last, ..)) = page.last() else { return Ok(()) };
        after = *last;
        for (_, twice, link) in page {
            report.count(Kind::Link).read += 1;
            let reason = if twice { Reason::LinkTwice } else { Reason::LinkWithoutUser };
            let detail = format!("{} {}", link.provider, link.uid);
            report.note(Note { kind: Kind::Link, pk: link.pk, reason, detail })?;
        }
    }
}

/// Keeps all clients.
pub(super) async fn clients(scratch: &mut Scratch, target: &Target<'_>, report: &mut Report<'_>) -> Result<(), Error> {
    let stored = match target.store {
        Some(store) => store.clients().await?,
        None => Vec::new(),
    };
    let mut after = 0;
    while let Some((n, pk, fields)) = scratch.next_client(after).await? {
        after = n;
        report.count(Kind::Client).read += 1;
        let record = gather::record(mapping::CLIENTS, pk, fields);
        let client = match client::make(&record, &target.scopes) {
            Ok(made) if target.configured_clients.contains(&made.id) => {
                Err((Reason::ClientConfigured, made.id.to_string()))
            }
            made => made.map(|made| made.stored(target.client_secret_mac)),
        };
        match client {
            Err((reason, detail)) => report.note(Note { kind: Kind::Client, pk: record.pk, reason, detail })?,
            Ok(client) => {
                let is_new = match target.store {
                    _ if stored.iter().any(|other| other.id == client.id) => false,
                    Some(store) if !target.dry_run => store.insert_client(&client).await?,
                    _ => true,
                };
                let count = report.count(Kind::Client);
                *(if is_new { &mut count.new } else { &mut count.present }) += 1;
            }
        }
    }
    Ok(())
}

/// Names of groups that were looked up, of which there are few.
#[derive(Default)]
struct Groups(HashMap<String, Option<String>>);

impl Groups {
    /// The names of a user's groups, sorted, each once, and the keys of those that the source does not have.
    async fn of(
        &mut self,
        record: &Record,
        mapping: &Mapping,
        scratch: &mut Scratch,
    ) -> Result<(Vec<String>, Vec<String>), Error> {
        let (mut names, mut missing) = (Vec::new(), Vec::new());
        for group in account::groups(record, mapping) {
            let name = match group {
                GroupRef::Name(name) => Some(name),
                GroupRef::Key(key) => {
                    let name = self.named(&key, scratch).await?;
                    if name.is_none() {
                        missing.push(key);
                    }
                    name
                }
            };
            let name = name.map(|name| account::clean(&name)).filter(|name| !name.is_empty());
            names.extend(name);
        }
        // Sources have them in no order.
        names.sort();
        names.dedup();
        Ok((names, missing))
    }

    async fn named(&mut self, key: &str, scratch: &mut Scratch) -> Result<Option<String>, Error> {
        if let Some(known) = self.0.get(key) {
            return Ok(known.clone());
        }
        let name = scratch.group(key).await?;
        if self.0.len() < 10_000 {
            self.0.insert(key.to_owned(), name.clone());
        }
        Ok(name)
    }
}
