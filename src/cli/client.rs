//! `passgate client …`: OAuth clients kept in the store, beside those of the configuration.

mod change;
mod show;

use std::io::Write;

use anyhow::{bail, ensure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use zeroize::Zeroizing;

use self::change::{Delete, RotateSecret, Set};
use super::output::Format;
use crate::{
    model::{ClientId, Scope},
    oauth::client::{Grant, Settings},
    secret::Secret,
    store::{Store, StoredClient, StoredSecret},
};

/// Longest `client_id` that the endpoints read.
const MAX_ID: usize = 200;

/// Longest client secret.
const MAX_SECRET: usize = 256;

/// Client secrets are guessed at without the limits that hold for passwords: shorter ones are warned of.
const SHORT_SECRET: usize = 20;

/// What can be done with clients.
#[derive(Subcommand)]
pub enum ClientCommand {
    /// Make a client; its secret is shown once
    #[command(after_help = "\
Examples:
  passgate client create mobile --public
  passgate client create batch --grant password --scope read
  pass show batch | passgate client create batch --secret-stdin")]
    Create(Create),
    /// List the clients of the configuration and of the store
    #[command(after_help = "\
Examples:
  passgate client list
  passgate client list --json | jq -r .client_id")]
    List(#[command(flatten)] Format),
    /// Show one client
    #[command(after_help = "\
Examples:
  passgate client show batch
  passgate client show batch --json")]
    Show(Show),
    /// Change what a client of the store may do
    #[command(after_help = "\
Examples:
  passgate client set batch --grant password,refresh_token
  passgate client set batch --scope read --scope write

What is given replaces what the client had; what is left out stays. Running gateways follow at once. Sessions keep
the scope that they began with.")]
    Set(Set),
    /// Give a client of the store a new secret, which is shown once; the old one holds no more
    #[command(after_help = "\
Examples:
  passgate client rotate-secret batch
  pass show batch | passgate client rotate-secret batch --secret-stdin --yes")]
    RotateSecret(RotateSecret),
    /// Delete a client of the store
    #[command(after_help = "\
Examples:
  passgate client delete batch
  passgate client delete batch --yes

Running gateways follow at once: it gets no more tokens, and refreshing is answered invalid_client. Access tokens that
it has live on until they expire (tokens.access.ttl); to end them at once as well, `passgate account` ends an account's
sessions. A client that is later made under the same id can refresh what is left of the sessions.")]
    Delete(Delete),
}

/// Which client to show.
#[derive(Args)]
pub struct Show {
    /// Its `client_id`
    id: ClientId,
    #[command(flatten)]
    format: Format,
}

/// What a new client is to be.
#[derive(Args)]
pub struct Create {
    /// Its `client_id`
    #[arg(value_parser = client_id)]
    id: ClientId,
    /// A grant it may use; may be repeated
    #[arg(long, value_delimiter = ',', default_values = ["password", "refresh_token"], value_parser = grant())]
    grant: Vec<&'static str>,
    /// A scope it may ask for; may be repeated
    #[arg(long, value_delimiter = ',', default_values = ["read", "write"], value_parser = scope_token)]
    scope: Vec<String>,
    /// It keeps no secret: an app in a browser or on a phone
    #[arg(long, conflicts_with = "secret_stdin")]
    public: bool,
    /// Read its secret from the first line of standard input instead of making one
    #[arg(long)]
    secret_stdin: bool,
}

/// RFC 6749 appendix A.1, without the space, and without the colon that HTTP Basic splits at.
fn client_id(text: &str) -> Result<ClientId, String> {
    let holds = !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    if holds {
        Ok(ClientId::from(text))
    } else {
        Err(format!("1 to {MAX_ID} visible ASCII characters other than a colon"))
    }
}

fn grant() -> impl TypedValueParser<Value = &'static str> {
    let names = Grant::ALL.map(|(name, _)| name);
    PossibleValuesParser::new(names)
        .try_map(move |given| names.into_iter().find(|name| *name == given).ok_or("there is no such grant"))
}

fn scope_token(text: &str) -> Result<String, &'static str> {
    let scope = Scope::parse(text).ok_or("visible ASCII characters other than \" and \\")?;
    Ok(scope.to_string())
}

/// Carries a command out and tells on `out` what was done. `mac` is the HMAC of client secrets, `configured`
/// the clients of the configuration, `ask` [`prompt::new_secret`](super::prompt::new_secret), `confirm`
/// [`prompt::confirm`](super::prompt::confirm).
///
/// # Errors
///
/// In words for the operator; a [`StoreError`](crate::store::StoreError) can be downcast to.
pub async fn run(
    command: ClientCommand,
    store: &dyn Store,
    mac: impl Fn(&str) -> [u8; 32],
    configured: &[Settings],
    ask: impl FnOnce(&str, bool) -> anyhow::Result<Secret>,
    confirm: impl FnOnce(&str, bool) -> anyhow::Result<()>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    match command {
        ClientCommand::Create(new) => create(new, store, mac, configured, ask, out).await,
        ClientCommand::List(format) => show::list(&store.clients().await?, configured, format, out),
        ClientCommand::Show(Show { id, format }) => show::show(&id, &store.clients().await?, configured, format, out),
        ClientCommand::Set(set) => change::set(set, store, configured, out).await,
        ClientCommand::RotateSecret(rotate) => {
            change::rotate_secret(rotate, store, mac, configured, ask, confirm, out).await
        }
        ClientCommand::Delete(delete) => change::delete(delete, store, configured, confirm, out).await,
    }
}

async fn create(
    new: Create,
    store: &dyn Store,
    mac: impl Fn(&str) -> [u8; 32],
    configured: &[Settings],
    ask: impl FnOnce(&str, bool) -> anyhow::Result<Secret>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Create { id, grant, scope, public, secret_stdin } = new;
    ensure!(
        configured.iter().all(|client| client.id != id),
        "the configuration has a client {id}, which would hide this one; choose another id, or change it there"
    );
    let Some(scopes) = Scope::parse(&scope.join(" ")) else {
        bail!("a client needs a scope; leave --scope out for read and write")
    };
    let new_secret = if public { None } else { Some(NewSecret::get(secret_stdin, ask)?) };
    let kept = new_secret.as_ref().map(|new| StoredSecret::Mac(mac(new.secret.expose())));
    let client = StoredClient { id, secret: kept, grants: grants(grant), scopes };
    ensure!(
        store.insert_client(&client).await?,
        "the store has a client {} already; choose another id (`passgate client list` shows them)",
        client.id
    );
    writeln!(out, "client_id: {}", client.id)?;
    new_secret.map_or(Ok(()), |new| new.tell(out))
}

/// Each once, in the order given.
fn grants(given: Vec<&'static str>) -> Vec<String> {
    let mut grants: Vec<String> = Vec::new();
    for name in given {
        if !grants.iter().any(|seen| seen == name) {
            grants.push(name.to_owned());
        }
    }
    grants
}

/// A secret that a client is to have.
struct NewSecret {
    secret: Secret,
    /// We made it, so that nobody has it yet.
    is_made: bool,
}

impl NewSecret {
    /// From standard input, or a random one.
    fn get(from_stdin: bool, ask: impl FnOnce(&str, bool) -> anyhow::Result<Secret>) -> anyhow::Result<Self> {
        let secret = if from_stdin { given(&ask("client secret", true)?)? } else { generate()? };
        Ok(Self { secret, is_made: !from_stdin })
    }

    /// Tells one that was made, once; warns of one that was badly chosen.
    fn tell(&self, out: &mut impl Write) -> anyhow::Result<()> {
        if self.is_made {
            let told = Zeroizing::new(format!("client_secret: {}\n", self.secret.expose()));
            write!(out, "{}", *told)?;
            writeln!(out, "\nThis is the one time the secret is shown.")?;
        }
        if self.secret.expose().len() < SHORT_SECRET {
            writeln!(out, "\nThe secret is short: whoever guesses it acts as this client.")?;
        }
        Ok(())
    }
}

/// 32 random bytes.
fn generate() -> anyhow::Result<Secret> {
    let mut bytes = Zeroizing::new([0; 32]);
    if aws_lc_rs::rand::fill(bytes.as_mut()).is_err() {
        bail!("the system gives no random bytes");
    }
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_ref())))
}

/// RFC 6749 appendix A.2.
fn given(secret: &Secret) -> anyhow::Result<Secret> {
    let text = secret.expose();
    ensure!(
        text.len() <= MAX_SECRET && text.bytes().all(|b| matches!(b, b' '..=b'~')),
        "a client secret has at most {MAX_SECRET} characters, all of them printable ASCII"
    );
    Ok(secret.clone())
}

#[cfg(test)]
mod tests;
