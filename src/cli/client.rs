//! `passgate client …`: OAuth clients kept in the store, beside those of the configuration.

use std::io::Write;

use anyhow::{bail, ensure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use zeroize::Zeroizing;

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
  passgate client list")]
    List,
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
/// the clients of the configuration, `ask` [`prompt::new_secret`](super::prompt::new_secret).
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
    out: &mut impl Write,
) -> anyhow::Result<()> {
    match command {
        ClientCommand::Create(new) => create(new, store, mac, configured, ask, out).await,
        ClientCommand::List => list(&store.clients().await?, configured, out),
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
    let (secret, told) = match (public, secret_stdin) {
        (true, _) => (None, String::new()),
        (false, true) => (Some(given(&ask("client secret", true)?)?), String::new()),
        (false, false) => {
            let secret = generate()?;
            let told = format!("client_secret: {}\n", secret.expose());
            (Some(secret), told)
        }
    };
    let told = Zeroizing::new(told);
    let mut grants: Vec<String> = Vec::new();
    for name in grant {
        if !grants.iter().any(|seen| seen == name) {
            grants.push(name.to_owned());
        }
    }
    let kept = secret.as_ref().map(|secret| StoredSecret::Mac(mac(secret.expose())));
    let client = StoredClient { id, secret: kept, grants, scopes };
    ensure!(
        store.insert_client(&client).await?,
        "the store has a client {} already; choose another id (`passgate client list` shows them)",
        client.id
    );
    write!(out, "client_id: {}\n{}", client.id, *told)?;
    if !told.is_empty() {
        writeln!(out, "\nThis is the one time the secret is shown.")?;
    }
    if secret.is_some_and(|secret| secret.expose().len() < SHORT_SECRET) {
        writeln!(out, "\nThe secret is short: whoever guesses it acts as this client.")?;
    }
    Ok(())
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

fn list(stored: &[StoredClient], configured: &[Settings], out: &mut impl Write) -> anyhow::Result<()> {
    let mut rows = vec![["CLIENT", "KIND", "GRANTS", "SCOPES", "FROM"].map(str::to_owned)];
    rows.extend(configured.iter().map(|client| {
        let named = |grant: &Grant| Grant::ALL.iter().find(|(_, known)| known == grant).map(|(name, _)| *name);
        let grants: Vec<&str> = client.grants.iter().filter_map(named).collect();
        row(&client.id, client.secret.is_some(), &grants.join(" "), &client.scopes, "configuration")
    }));
    rows.extend(stored.iter().map(|client| {
        let hidden = configured.iter().any(|other| other.id == client.id);
        let from = if hidden { "store (hidden by the configuration)" } else { "store" };
        row(&client.id, client.secret.is_some(), &client.grants.join(" "), &client.scopes, from)
    }));
    if rows.len() == 1 {
        writeln!(out, "There are no clients. `passgate client create ID` makes one.")?;
        return Ok(());
    }
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths = std::array::from_fn::<usize, 5, _>(width);
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn row(id: &ClientId, confidential: bool, grants: &str, scopes: &Scope, from: &str) -> [String; 5] {
    let kind = if confidential { "confidential" } else { "public" };
    [id.to_string(), kind.to_owned(), grants.to_owned(), scopes.to_string(), from.to_owned()]
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::store::{ChangeStore, ClientStore, StoreError, testing::TestStore};

    #[derive(Parser)]
    struct Cli {
        #[command(subcommand)]
        command: ClientCommand,
    }

    /// No MAC, but tells secrets apart.
    fn mac(secret: &str) -> [u8; 32] {
        let mut mac = [0; 32];
        for (n, byte) in secret.bytes().enumerate() {
            mac[n % 32] ^= byte.rotate_left(u32::try_from(n / 32).unwrap());
        }
        mac
    }

    fn web() -> Settings {
        Settings {
            id: ClientId::from("web"),
            secret: Some("quickstart-secret".into()),
            grants: vec![Grant::Password, Grant::RefreshToken, Grant::ConvertToken],
            scopes: Scope::parse("read write").unwrap(),
        }
    }

    async fn run_line(store: &TestStore, configured: &[Settings], line: &str, input: &str) -> anyhow::Result<String> {
        let command = Cli::try_parse_from(line.split(' '))?.command;
        let mut out = Vec::new();
        let ask = |_: &str, _: bool| Ok(Secret::from(input));
        run(command, store, mac, configured, ask, &mut out).await?;
        Ok(String::from_utf8(out)?)
    }

    #[tokio::test]
    async fn a_new_client_gets_a_secret_that_is_shown_once_and_kept_as_its_mac() {
        let store = TestStore::fresh().await;
        let told = run_line(&store, &[], "client create batch", "").await.unwrap();
        let secret = told.lines().find_map(|line| line.strip_prefix("client_secret: ")).unwrap();
        assert!(told.starts_with("client_id: batch\n"));
        assert_eq!(secret.len(), 43);
        let kept = store.clients().await.unwrap().remove(0);
        assert!(kept.secret == Some(StoredSecret::Mac(mac(secret))));
        assert_eq!(kept.grants, ["password", "refresh_token"]);
        assert_eq!(kept.scopes.to_string(), "read write");
        assert!(!run_line(&store, &[], "client list", "").await.unwrap().contains(secret));

        let other = run_line(&store, &[], "client create other", "").await.unwrap();
        assert!(!other.contains(secret), "every client has a secret of its own");
    }

    #[tokio::test]
    async fn a_public_client_has_no_secret() {
        let store = TestStore::fresh().await;
        let line =
            "client create mobile --public --grant refresh_token --grant convert_token,refresh_token --scope read";
        assert_eq!(run_line(&store, &[], line, "").await.unwrap(), "client_id: mobile\n");
        let kept = store.clients().await.unwrap().remove(0);
        assert!(kept.secret.is_none());
        assert_eq!(kept.grants, ["refresh_token", "convert_token"]);
        assert_eq!(kept.scopes.to_string(), "read");
    }

    #[tokio::test]
    async fn a_given_secret_is_kept_and_not_repeated() {
        let store = TestStore::fresh().await;
        let line = "client create batch --secret-stdin";
        let told = run_line(&store, &[], line, "a secret of some length").await.unwrap();
        assert_eq!(told, "client_id: batch\n");
        let kept = store.clients().await.unwrap().remove(0);
        assert!(kept.secret == Some(StoredSecret::Mac(mac("a secret of some length"))));

        let told = run_line(&store, &[], "client create weak --secret-stdin", "short").await.unwrap();
        assert!(told.contains("The secret is short") && !told.contains("short\n"), "{told}");
        for bad in ["sécret", "tab\tsecret", &"x".repeat(257)] {
            assert!(run_line(&store, &[], "client create bad --secret-stdin", bad).await.is_err());
        }
        assert_eq!(store.clients().await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn an_id_is_used_once_in_configuration_and_store_together() {
        let store = TestStore::fresh().await;
        let error = run_line(&store, &[web()], "client create web", "").await.unwrap_err().to_string();
        assert!(error.starts_with("the configuration has a client web"), "{error}");
        run_line(&store, &[web()], "client create batch", "").await.unwrap();
        let error = run_line(&store, &[web()], "client create batch", "").await.unwrap_err().to_string();
        assert!(error.starts_with("the store has a client batch already"), "{error}");
        assert_eq!(store.clients().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_list_shows_what_each_client_may_do_and_where_it_is_from() {
        let store = TestStore::fresh().await;
        assert!(run_line(&store, &[], "client list", "").await.unwrap().starts_with("There are no clients."));
        run_line(&store, &[], "client create web --public", "").await.unwrap();
        run_line(&store, &[], "client create batch --grant password --scope read", "").await.unwrap();
        assert_eq!(
            run_line(&store, &[web()], "client list", "").await.unwrap(),
            "\
CLIENT  KIND          GRANTS                                SCOPES      FROM
web     confidential  password refresh_token convert_token  read write  configuration
batch   confidential  password                              read        store
web     public        password refresh_token                read write  store (hidden by the configuration)
"
        );
    }

    #[test]
    fn what_no_client_can_be_is_refused_with_the_reason() {
        let long = format!("client create {}", "x".repeat(201));
        for (line, reason) in [
            ("client create a:b", "other than a colon"),
            ("client create zoë", "visible ASCII"),
            (long.as_str(), "1 to 200"),
            ("client create batch --grant magic", "possible values: password, refresh_token, convert_token"),
            ("client create batch --scope \"", "visible ASCII"),
            ("client create batch --public --secret-stdin", "cannot be used with"),
        ] {
            let error = Cli::try_parse_from(line.split(' ')).err().unwrap().to_string();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    #[tokio::test]
    async fn a_store_out_of_reach_can_be_told_from_a_mistake() {
        let store = TestStore::fresh().await;
        store.close().await;
        for line in ["client create batch", "client list"] {
            let error = run_line(&store, &[], line, "").await.unwrap_err();
            assert!(error.downcast_ref::<StoreError>().is_some(), "{line}: {error}");
        }
    }
}
