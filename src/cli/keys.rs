//! `passgate keys …`: signing keys, and the master secret that they are sealed under.

use std::{io::Write, time::Duration};

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{Format, List};
use crate::{
    clock::Timestamp,
    master::Masters,
    store::Store,
    token::{
        Settings,
        keys::{
            OpenError,
            by_hand::{self, ByHand, Listed, Revoked, Rotated, State},
            reseal::{self, Resealed},
        },
    },
};

pub const EXAMPLES: &str = "\
Examples:
  passgate keys list
  passgate keys rotate
  passgate keys revoke KID
  passgate keys reseal

Keys rotate by themselves (tokens.keys.rotate_every). docs/operations.md says when to do it by hand.";

/// What can be done with keys.
#[derive(Subcommand)]
pub enum KeysCommand {
    /// List the signing keys: which one signs, which waits, which only verify
    #[command(after_help = "\
Examples:
  passgate keys list
  passgate keys list --json | jq -r 'select(.state == \"signs\").kid'")]
    List(#[command(flatten)] Format),
    /// Make a new signing key now; it signs once it has been published for a while
    #[command(after_help = "\
Examples:
  passgate keys rotate
  passgate keys rotate --at-once

The new key is published at once and signs after tokens.keys.publish_ahead, so that whoever caches the JWKS knows
it by then. The one that signs now verifies until all that it signed has expired. No token is lost.")]
    Rotate(Rotate),
    /// End a signing key at once: what it signed holds no more
    #[command(after_help = "\
Examples:
  passgate keys revoke kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k
  passgate keys revoke --yes -- -Wbu0pEKmhWkiNcoYyGkyV5b-Nyi_dGQMpnIP3fWe-4

For a key that somebody else may have. Running gateways refuse its access tokens within half a second; refresh
tokens go on, so that apps which refresh on 401 notice nothing. If it is the one that signs, another is made which
signs at once.")]
    Revoke(Revoke),
    /// Put the store under a new master secret
    #[command(after_help = "\
Examples:
  passgate keys reseal
  passgate keys reseal --yes

To change the master secret: give every gateway the new one as secrets.master_file (or master), with the one before in
secrets.previous_master_files (or previous_masters), and start it again; until all are, nothing changes. Then run this
once. It seals the signing keys anew, and says until when the previous one is still needed.")]
    Reseal(Reseal),
}

/// Whether to ask.
#[derive(Args)]
pub struct Reseal {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// What the commands work on.
pub struct Site<'a> {
    /// Where the keys are.
    pub store: &'a dyn Store,
    /// The master secret, and those before it.
    pub masters: &'a Masters,
    /// `tokens`.
    pub tokens: &'a Settings,
    /// How long a refresh token holds that is not used.
    pub idle_ttl: Duration,
    /// The present.
    pub now: Timestamp,
}

/// How to rotate.
#[derive(Args)]
pub struct Rotate {
    /// In an emergency: the new key signs now, before those who cache the JWKS have heard of it
    #[arg(long)]
    at_once: bool,
}

/// Which key.
#[derive(Args)]
pub struct Revoke {
    /// Its `kid`, as `keys list` has it
    #[arg(value_name = "KID", allow_hyphen_values = true)]
    kid: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// A key in JSON.
#[derive(Serialize)]
struct Record {
    kid: String,
    algorithm: String,
    state: &'static str,
    created_at: String,
    signs_from: String,
    signs_until: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    verifies_until: Option<String>,
}

impl Record {
    fn new(key: Listed) -> Self {
        let (state, verifies_until) = match key.state {
            State::Signs => ("signs", None),
            State::Waits => ("published", None),
            State::Retired { until } => ("retired", Some(until.to_rfc3339())),
            State::Foreign => ("foreign", None),
        };
        Self {
            kid: key.kid,
            algorithm: key.algorithm,
            state,
            created_at: key.created_at.to_rfc3339(),
            signs_from: key.signs_from.to_rfc3339(),
            signs_until: key.signs_until.to_rfc3339(),
            verifies_until,
        }
    }

    fn cells(&self) -> [String; 6] {
        let state = match (self.state, &self.verifies_until) {
            ("published", _) => "published, not yet signing".to_owned(),
            ("foreign", _) => "of another version: not used".to_owned(),
            (_, Some(until)) => format!("retired until {until}"),
            (state, None) => state.to_owned(),
        };
        let [kid, algorithm, created, from, until] =
            [&self.kid, &self.algorithm, &self.created_at, &self.signs_from, &self.signs_until].map(Clone::clone);
        [kid, algorithm, state, created, from, until]
    }
}

/// Carries a command out and tells on `out` what was done. `confirm` is [`prompt::confirm`](super::prompt::confirm).
///
/// # Errors
///
/// In words for the operator; a [`StoreError`](crate::store::StoreError) can be downcast to.
pub async fn run(
    command: KeysCommand,
    site: &Site<'_>,
    confirm: impl FnOnce(&str, bool) -> anyhow::Result<()>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let &Site { store, masters, tokens, now, .. } = site;
    let keys = &ByHand::new(store, masters, tokens)?;
    match command {
        KeysCommand::List(format) => list(by_hand::list(&store.keys().await?, tokens, now), format, out),
        KeysCommand::Rotate(Rotate { at_once }) => rotate(keys, at_once, now, out).await,
        KeysCommand::Reseal(Reseal { yes }) => reseal(site, |question| confirm(question, yes), out).await,
        KeysCommand::Revoke(Revoke { kid, yes }) => {
            let stored = by_hand::list(&store.keys().await?, tokens, now);
            let Some(key) = stored.into_iter().find(|key| key.kid == kid) else { return Err(unknown(&kid)) };
            confirm(&question(&key), yes)?;
            revoke(keys, &key, now, out).await
        }
    }
}

fn list(keys: Vec<Listed>, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    let records: Vec<_> = keys.into_iter().map(Record::new).collect();
    let mut list = List::new(&mut *out, format, ["KID", "ALGORITHM", "STATE", "CREATED", "SIGNS FROM", "SIGNS UNTIL"]);
    list.rows(&records, Record::cells)?;
    if list.is_empty() && !format.json {
        writeln!(out, "There are no signing keys: the first gateway to start makes one, and so does `keys rotate`.")?;
    }
    Ok(())
}

async fn rotate(keys: &ByHand<'_>, at_once: bool, now: Timestamp, out: &mut impl Write) -> anyhow::Result<()> {
    let made = match keys.rotate(at_once, now).await.map_err(explain)? {
        Rotated::Made(made) => made,
        Rotated::Waits(key) => bail!(
            "{} is published already and signs from {}; nothing was made. `--at-once` makes one that signs now",
            key.kid,
            key.signs_from.to_rfc3339()
        ),
        Rotated::TooMany => bail!(
            "there are too many signing keys already; nothing was made. They go by themselves when what they signed \
             has expired: `passgate keys list` says when"
        ),
    };
    if made.state == State::Signs {
        writeln!(out, "{} signs now.", made.kid)?;
        if at_once {
            writeln!(out, "\n{CACHES}")?;
        }
    } else {
        writeln!(out, "{} is published now, and signs from {}.", made.kid, made.signs_from.to_rfc3339())?;
    }
    Ok(())
}

async fn revoke(keys: &ByHand<'_>, key: &Listed, now: Timestamp, out: &mut impl Write) -> anyhow::Result<()> {
    let Revoked::Gone { successor } = keys.revoke(&key.kid, now).await.map_err(explain)? else {
        return Err(unknown(&key.kid));
    };
    writeln!(out, "{} is revoked. The access tokens that it signed hold no more; refresh tokens go on.", key.kid)?;
    if let Some(successor) = successor {
        writeln!(out, "{} was made, and signs now.", successor.kid)?;
    }
    writeln!(out, "\n{CACHES}")?;
    Ok(())
}

async fn reseal(
    site: &Site<'_>,
    confirm: impl FnOnce(&str) -> anyhow::Result<()>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let &Site { store, masters, idle_ttl, now, .. } = site;
    if masters.is_behind() {
        confirm(RESEAL_QUESTION)?;
    }
    let Resealed { moved, keys, left } = reseal::reseal(store, masters).await.map_err(explain)?;
    let already = if moved { "now" } else { "already" };
    writeln!(out, "The store is under the configured master secret {already}. Signing keys sealed under it: {keys}.")?;
    if !left.is_empty() {
        writeln!(
            out,
            "\nThese cannot be opened with any of the master secrets, and so stay as they are: {}. `passgate keys revoke` \
             deletes them.",
            left.join(" ")
        )?;
    }
    if !moved {
        return Ok(());
    }
    writeln!(
        out,
        "\n\
         The previous one has to stay in the configuration until {}: until then there are refresh tokens of before. Each\n\
         is renewed under the new one when it is used. Backups of before open with the previous one alone.",
        (now + idle_ttl).to_rfc3339()
    )?;
    let clients = store.clients().await?;
    let confidential: Vec<_> =
        clients.iter().filter(|client| client.secret.is_some()).map(|client| client.id.as_str()).collect();
    if !confidential.is_empty() {
        writeln!(
            out,
            "\n\
             What is kept of the secret of a client in the store is renewed when the client shows it. One that has not by\n\
             then needs a new secret (`passgate client rotate-secret`). These have secrets: {}",
            confidential.join(" ")
        )?;
    }
    Ok(())
}

const RESEAL_QUESTION: &str = "\
This puts the store under the configured master secret. A gateway that has only the previous one cannot start any
more, and refuses the refresh tokens made from now on: every gateway has to have been started with both.";

/// What a change without notice means beyond the gateways.
const CACHES: &str = "\
Gateways follow by themselves. Whoever else verifies these tokens and caches /.well-known/jwks.json (an upstream, an
API gateway) has to read it again now: until then it refuses tokens of the new key, and accepts those of a revoked one.";

fn question(key: &Listed) -> String {
    let what = match key.state {
        State::Signs => "It is the one that signs: every access token of today is refused, until it is refreshed.",
        State::Waits => "It has signed nothing yet.",
        State::Retired { .. } => "The access tokens that it signed before it was retired are refused.",
        State::Foreign => "It is of another version of Passgate: gateways of that version refuse what it signed.",
    };
    format!("This revokes the signing key {}. {what}", key.kid)
}

fn unknown(kid: &str) -> anyhow::Error {
    anyhow::anyhow!("there is no signing key {kid:?}; `passgate keys list` shows them")
}

/// For whoever looks whether it was the store.
pub fn explain(error: OpenError) -> anyhow::Error {
    match error {
        OpenError::Store(error) => error.into(),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        cli::failure::{Failure, USAGE},
        master::Master,
        model::Scope,
        store::{
            ChangeStore as _, ClientStore as _, KeyStore as _, StoreError, StoredClient, StoredSecret,
            testing::TestStore,
        },
        token::fixture::{NOW, master, ring, settings},
    };

    #[derive(Parser)]
    struct Cli {
        #[command(subcommand)]
        command: KeysCommand,
    }

    fn parse(line: &str) -> KeysCommand {
        Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{error}")).command
    }

    /// What a command line told, after its question was answered with yes.
    async fn told(store: &TestStore, line: &str) -> anyhow::Result<(String, String)> {
        let mut asked = String::new();
        let settings = settings(&[]);
        let mut out = Vec::new();
        let confirm = |question: &str, _: bool| {
            question.clone_into(&mut asked);
            Ok(())
        };
        run(parse(line), &site(store, &master(), &settings), confirm, &mut out).await?;
        Ok((anstream::adapter::strip_str(&String::from_utf8(out)?).to_string(), asked))
    }

    fn site<'a>(store: &'a TestStore, masters: &'a Masters, tokens: &'a Settings) -> Site<'a> {
        Site { store, masters, tokens, idle_ttl: Duration::from_hours(14 * 24), now: NOW }
    }

    async fn run_line(store: &TestStore, line: &str) -> String {
        told(store, line).await.unwrap().0
    }

    async fn kids(store: &TestStore) -> Vec<String> {
        store.keys().await.unwrap().into_iter().map(|key| key.kid).collect()
    }

    #[tokio::test]
    async fn the_list_says_which_key_signs_and_which_waits() {
        let store = TestStore::fresh().await;
        assert!(run_line(&store, "keys list").await.starts_with("There are no signing keys"));
        assert_eq!(run_line(&store, "keys list --json").await, "");
        ring(&store, settings(&[])).await;
        let rotated = run_line(&store, "keys rotate").await;
        let [first, next] = kids(&store).await.try_into().unwrap();
        assert_eq!(rotated, format!("{next} is published now, and signs from 2001-09-09T02:46:40Z.\n"));
        run_line(&store, "keys rotate --at-once").await;
        let [_, signing, _] = kids(&store).await.try_into().unwrap();
        let gap = " ".repeat(first.len() - 3);
        assert_eq!(
            run_line(&store, "keys list").await,
            format!(
                "\
KID{gap}  ALGORITHM  STATE                               CREATED               SIGNS FROM            SIGNS UNTIL
{first}  EdDSA      retired until 2001-09-09T02:02:45Z  2001-09-09T01:46:40Z  2001-09-09T01:46:35Z  2001-09-09T01:46:40Z
{signing}  EdDSA      signs                               2001-09-09T01:46:40Z  2001-09-09T01:46:40Z  2001-09-09T02:46:40Z
{next}  EdDSA      published, not yet signing          2001-09-09T01:46:40Z  2001-09-09T02:46:40Z  2001-12-08T02:46:40Z
"
            )
        );
        let json = run_line(&store, "keys list --json").await;
        let line: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(
            line,
            serde_json::json!({ "kid": first, "algorithm": "EdDSA", "state": "retired",
                "created_at": "2001-09-09T01:46:40Z", "signs_from": "2001-09-09T01:46:35Z",
                "signs_until": "2001-09-09T01:46:40Z", "verifies_until": "2001-09-09T02:02:45Z" })
        );
    }

    #[tokio::test]
    async fn a_rotation_that_is_under_way_is_told_and_one_at_once_warns_of_caches() {
        let store = TestStore::fresh().await;
        ring(&store, settings(&[])).await;
        run_line(&store, "keys rotate").await;
        let refused = told(&store, "keys rotate").await.unwrap_err();
        assert!(refused.to_string().contains("is published already and signs from 2001-09-09T02:46:40Z"), "{refused}");
        assert_eq!(Failure::from(refused).code(), USAGE.into());
        assert_eq!(kids(&store).await.len(), 2);
        let at_once = run_line(&store, "keys rotate --at-once").await;
        assert!(at_once.contains("signs now") && at_once.contains("jwks.json"), "{at_once}");
    }

    #[tokio::test]
    async fn a_key_is_revoked_after_a_question_that_says_what_is_lost() {
        let store = TestStore::fresh().await;
        ring(&store, settings(&[])).await;
        let kid = kids(&store).await.remove(0);
        let (answer, asked) = told(&store, &format!("keys revoke -- {kid}")).await.unwrap();
        let [successor] = kids(&store).await.try_into().unwrap();
        assert!(asked.contains(&kid) && asked.contains("every access token"), "{asked}");
        assert!(answer.starts_with(&format!("{kid} is revoked.")), "{answer}");
        assert!(answer.contains(&format!("{successor} was made, and signs now.")), "{answer}");
        let unknown = told(&store, &format!("keys revoke -- {kid}")).await.unwrap_err();
        assert!(unknown.to_string().starts_with("there is no signing key"), "{unknown}");
    }

    #[tokio::test]
    async fn whoever_says_no_revokes_nothing() {
        let store = TestStore::fresh().await;
        let settings = settings(&[]);
        ring(&store, settings.clone()).await;
        let kid = kids(&store).await.remove(0);
        let command = parse(&format!("keys revoke -- {kid}"));
        let no = |_: &str, yes: bool| anyhow::bail!("nothing was done, {yes}");
        let refused = run(command, &site(&store, &master(), &settings), no, &mut Vec::new()).await.unwrap_err();
        assert_eq!(refused.to_string(), "nothing was done, false");
        assert_eq!(kids(&store).await, [kid]);
    }

    #[test]
    fn a_kid_may_begin_with_a_hyphen() {
        for line in ["keys revoke -Wbu0 --yes", "keys revoke --yes -- -cWbu0", "keys revoke --yes -Wbu0"] {
            let KeysCommand::Revoke(Revoke { kid, yes }) = parse(line) else { panic!("{line}") };
            assert!(yes && kid.starts_with('-') && kid.ends_with("Wbu0"), "{line}: {kid}");
        }
    }

    #[tokio::test]
    async fn a_store_is_resealed_after_a_question_and_what_is_left_to_do_is_told() {
        let store = TestStore::fresh().await;
        ring(&store, settings(&[])).await;
        let client = StoredClient {
            id: "batch".into(),
            secret: Some(StoredSecret::Mac([7; 32])),
            grants: Vec::new(),
            scopes: Scope::default(),
        };
        store.insert_client(&client).await.unwrap();
        let secret = |text: &str| Master::new(&text.into()).unwrap();
        let new = || secret("another secret of thirty-two bytes");
        let masters = Masters::new(new(), vec![secret("0123456789abcdef0123456789abcdef")]);
        assert!(masters.follow(&store.deployment().await.unwrap().unwrap()));
        let settings = settings(&[]);
        let site = site(&store, &masters, &settings);
        let no = |question: &str, _: bool| anyhow::bail!("{question}");
        let asked = run(parse("keys reseal"), &site, no, &mut Vec::new()).await.unwrap_err().to_string();
        assert!(asked.contains("every gateway has to have been started with both"), "{asked}");
        assert!(masters.follow(&store.deployment().await.unwrap().unwrap()) && masters.is_behind());

        let reseal = async || {
            let mut out = Vec::new();
            let yes = |_: &str, yes: bool| if yes { Ok(()) } else { Err(anyhow::anyhow!("--yes was given")) };
            run(parse("keys reseal --yes"), &site, yes, &mut out).await.unwrap();
            String::from_utf8(out).unwrap()
        };
        let told = reseal().await;
        assert!(
            told.starts_with("The store is under the configured master secret now. Signing keys sealed under it: 1.")
        );
        assert!(told.contains("until 2001-09-23T01:46:40Z") && told.contains("These have secrets: batch"), "{told}");
        assert!(new().fits(&store.deployment().await.unwrap().unwrap()));
        assert_eq!(
            reseal().await,
            "The store is under the configured master secret already. Signing keys sealed under it: 1.\n"
        );
    }

    #[tokio::test]
    async fn a_store_out_of_reach_can_be_told_from_a_mistake() {
        let store = TestStore::fresh().await;
        store.close().await;
        for line in ["keys list", "keys rotate", "keys revoke x"] {
            let error = told(&store, line).await.unwrap_err();
            assert!(error.downcast_ref::<StoreError>().is_some(), "{line}: {error}");
        }
    }
}
