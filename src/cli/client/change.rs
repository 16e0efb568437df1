//! `passgate client set`, `rotate-secret` and `delete`.

use std::io::Write;

use anyhow::{Context, ensure};
use clap::Args;

use super::{
    NewSecret, grant, grants, scope_token,
    show::{Record, changeable, unknown},
};
use crate::{
    cli::output::Format,
    model::{ClientId, Scope},
    oauth::client::Settings,
    secret::Secret,
    store::{ClientChange, Store, StoredSecret},
};

/// What a client is to be.
#[derive(Args)]
pub struct Set {
    /// Its `client_id`
    id: ClientId,
    /// A grant it may use from now on; may be repeated
    #[arg(long, value_delimiter = ',', required_unless_present = "scope", value_parser = grant())]
    grant: Vec<&'static str>,
    /// A scope it may ask for from now on; may be repeated
    #[arg(long, value_delimiter = ',', value_parser = scope_token)]
    scope: Vec<String>,
}

/// Whose secret.
#[derive(Args)]
pub struct RotateSecret {
    /// Its `client_id`
    id: ClientId,
    /// Read the new secret from the first line of standard input instead of making one
    #[arg(long)]
    secret_stdin: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Which client.
#[derive(Args)]
pub struct Delete {
    /// Its `client_id`
    id: ClientId,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn set(
    set: Set,
    store: &dyn Store,
    configured: &[Settings],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Set { id, grant, scope } = set;
    changeable(&id, &store.clients().await?, configured)?;
    let grants = (!grant.is_empty()).then(|| grants(grant));
    let scopes = (!scope.is_empty()).then(|| Scope::parse(&scope.join(" ")).context("these are no scopes"));
    let change = ClientChange { secret: None, grants, scopes: scopes.transpose()? };
    let client = store.change_client(&id, &change).await?.ok_or_else(|| unknown(&id))?;
    Record::stored(&client, configured).show(Format::default(), out)
}

pub(super) async fn rotate_secret(
    rotate: RotateSecret,
    store: &dyn Store,
    mac: impl Fn(&str) -> [u8; 32],
    configured: &[Settings],
    ask: impl FnOnce(&str, bool) -> anyhow::Result<Secret>,
    confirm: impl FnOnce(&str, bool) -> anyhow::Result<()>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let RotateSecret { id, secret_stdin, yes } = rotate;
    let client = changeable(&id, &store.clients().await?, configured)?;
    ensure!(client.is_confidential(), "the client {id} is public: it has no secret");
    confirm(&format!("The present secret of the client {id} will hold no more, wherever it is in use."), yes)?;
    let new = NewSecret::get(secret_stdin, ask)?;
    let kept = StoredSecret::Mac(mac(new.secret.expose()));
    let change = ClientChange { secret: Some(kept), ..ClientChange::default() };
    store.change_client(&id, &change).await?.ok_or_else(|| unknown(&id))?;
    writeln!(out, "client_id: {id}")?;
    new.tell(out)
}

pub(super) async fn delete(
    delete: Delete,
    store: &dyn Store,
    configured: &[Settings],
    confirm: impl FnOnce(&str, bool) -> anyhow::Result<()>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Delete { id, yes } = delete;
    let in_configuration = configured.iter().any(|client| client.id == id);
    if !store.clients().await?.iter().any(|client| client.id == id) {
        ensure!(!in_configuration, "the client {id} is in the configuration, not in the store: take it out there");
        return Err(unknown(&id));
    }
    let consequence = if in_configuration {
        "The one of the same id in the configuration stays."
    } else {
        "It gets no tokens any more, and its sessions cannot be refreshed."
    };
    confirm(&format!("This deletes the client {id} of the store. {consequence}"), yes)?;
    ensure!(store.delete_client(&id).await?, unknown(&id));
    let left = if in_configuration { "" } else { " Access tokens that it has live on until they expire." };
    writeln!(out, "The client {id} is deleted.{left}")?;
    Ok(())
}
