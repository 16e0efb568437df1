//! `passgate client list` and `show`.

use std::io::Write;

use anyhow::bail;
use serde::Serialize;

use crate::{
    cli::output::{self, Format, List},
    model::{ClientId, Scope},
    oauth::client::{Grant, Settings},
    store::{StoredClient, StoredSecret},
};

/// A client as it is told.
#[derive(Serialize)]
pub(super) struct Record {
    client_id: String,
    confidential: bool,
    /// What is kept of its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'static str>,
    grants: Vec<String>,
    scopes: Vec<String>,
    from: &'static str,
    /// It is both in the configuration and in the store.
    conflict: bool,
}

impl Record {
    fn configured(client: &Settings) -> Self {
        let named = |grant: &Grant| Grant::ALL.iter().find(|(_, known)| known == grant).map(|(name, _)| *name);
        Self {
            client_id: client.id.to_string(),
            confidential: client.secret.is_some(),
            secret: client.secret.as_ref().map(|_| "in the configuration"),
            grants: client.grants.iter().filter_map(named).map(str::to_owned).collect(),
            scopes: scopes(&client.scopes),
            from: "configuration",
            conflict: false,
        }
    }

    pub(super) fn stored(client: &StoredClient, configured: &[Settings]) -> Self {
        Self {
            client_id: client.id.to_string(),
            confidential: client.secret.is_some(),
            secret: client.secret.as_ref().map(|secret| match secret {
                StoredSecret::Mac(_) => "kept as a keyed hash",
                StoredSecret::Imported(_) => "imported as a hash, until it is used",
            }),
            grants: client.grants.clone(),
            scopes: scopes(&client.scopes),
            from: "store",
            conflict: configured.iter().any(|other| other.id == client.id),
        }
    }

    const fn kind(&self) -> &'static str {
        if self.confidential { "confidential" } else { "public" }
    }

    fn from(&self) -> String {
        let conflict = if self.conflict { " (in the configuration as well: `serve` refuses that)" } else { "" };
        format!("{}{conflict}", self.from)
    }

    pub(super) fn show(&self, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
        let fields = [
            ("Client", self.client_id.clone()),
            ("Kind", self.kind().to_owned()),
            ("Secret", self.secret.unwrap_or("none").to_owned()),
            ("Grants", self.grants.join(" ")),
            ("Scopes", self.scopes.join(" ")),
            ("From", self.from()),
        ];
        Ok(output::show(out, format, self, &fields)?)
    }
}

fn scopes(scopes: &Scope) -> Vec<String> {
    scopes.to_string().split_whitespace().map(str::to_owned).collect()
}

pub(super) fn list(
    stored: &[StoredClient],
    configured: &[Settings],
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let stored = stored.iter().map(|client| Record::stored(client, configured));
    let all: Vec<_> = configured.iter().map(Record::configured).chain(stored).collect();
    let mut list = List::new(&mut *out, format, ["CLIENT", "KIND", "GRANTS", "SCOPES", "FROM"]);
    list.rows(&all, |client| {
        let (grants, scopes) = (client.grants.join(" "), client.scopes.join(" "));
        [client.client_id.clone(), client.kind().to_owned(), grants, scopes, client.from()]
    })?;
    if list.is_empty() && !format.json {
        writeln!(out, "There are no clients. `passgate client create ID` makes one.")?;
    }
    Ok(())
}

/// Where there are two of the id, the one of the configuration, which is the one that would hold, and then the other.
pub(super) fn show(
    id: &ClientId,
    stored: &[StoredClient],
    configured: &[Settings],
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let configured_one = configured.iter().find(|client| client.id == *id).map(Record::configured);
    let stored_one = stored.iter().find(|client| client.id == *id).map(|client| Record::stored(client, configured));
    let mut found = configured_one.into_iter().chain(stored_one);
    let Some(first) = found.next() else { return Err(unknown(id)) };
    first.show(format, out)?;
    for other in found {
        if !format.json {
            writeln!(out)?;
        }
        other.show(format, out)?;
    }
    Ok(())
}

/// A client that can be changed from here.
pub(super) fn changeable(id: &ClientId, stored: &[StoredClient], configured: &[Settings]) -> anyhow::Result<Record> {
    if configured.iter().any(|client| client.id == *id) {
        bail!("the client {id} is in the configuration: change it there, and start the gateway again");
    }
    let found = stored.iter().find(|client| client.id == *id).ok_or_else(|| unknown(id))?;
    Ok(Record::stored(found, configured))
}

impl Record {
    pub(super) const fn is_confidential(&self) -> bool {
        self.confidential
    }
}

pub(super) fn unknown(id: &ClientId) -> anyhow::Error {
    anyhow::anyhow!("there is no client {:?}; `passgate client list` shows them", id.as_str())
}
