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

/// What a command line told, its question answered with yes.
async fn run_line(store: &TestStore, configured: &[Settings], line: &str, input: &str) -> anyhow::Result<String> {
    Ok(run_and_confirm(store, configured, line, input).await?.0)
}

/// And its question.
async fn run_and_confirm(
    store: &TestStore,
    configured: &[Settings],
    line: &str,
    input: &str,
) -> anyhow::Result<(String, String)> {
    let command = Cli::try_parse_from(line.split(' '))?.command;
    let (mut out, mut asked) = (Vec::new(), String::new());
    let ask = |_: &str, _: bool| Ok(Secret::from(input));
    let confirm = |question: &str, _: bool| {
        question.clone_into(&mut asked);
        Ok(())
    };
    run(command, store, mac, configured, ask, confirm, &mut out).await?;
    Ok((anstream::adapter::strip_str(&String::from_utf8(out)?).to_string(), asked))
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
    let line = "client create mobile --public --grant refresh_token --grant convert_token,refresh_token --scope read";
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
web     public        password refresh_token                read write  store (in the configuration as well: `serve` refuses that)
"
    );
    let json = run_line(&store, &[web()], "client list --json", "").await.unwrap();
    let lines: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines[1],
        serde_json::json!({ "client_id": "batch", "confidential": true, "secret": "kept as a keyed hash",
            "grants": ["password"], "scopes": ["read"], "from": "store", "conflict": false })
    );
    assert_eq!((&lines[0]["from"], &lines[2]["conflict"]), (&"configuration".into(), &true.into()));
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
    let lines = ["create batch", "list", "show batch", "set batch --scope read", "rotate-secret batch", "delete batch"];
    for line in lines.map(|line| format!("client {line}")) {
        let line = line.as_str();
        let error = run_line(&store, &[], line, "").await.unwrap_err();
        assert!(error.downcast_ref::<StoreError>().is_some(), "{line}: {error}");
    }
}

#[tokio::test]
async fn one_client_is_shown_and_two_of_one_id_are_both_shown() {
    let store = TestStore::fresh().await;
    run_line(&store, &[], "client create web --public --scope read", "").await.unwrap();
    let show = async |configured: &[Settings]| run_line(&store, configured, "client show web", "").await.unwrap();
    let stored = "\
Client  web
Kind    public
Secret  none
Grants  password refresh_token
Scopes  read
From    store";
    assert_eq!(show(&[]).await, format!("{stored}\n"));
    let both = show(&[web()]).await;
    assert!(both.starts_with("Client  web\nKind    confidential\nSecret  in the configuration\n"), "{both}");
    assert!(both.ends_with(&format!("\n\n{stored} (in the configuration as well: `serve` refuses that)\n")), "{both}");
    let json = run_line(&store, &[web()], "client show web --json", "").await.unwrap();
    assert_eq!(json.lines().count(), 2);
    let unknown = run_line(&store, &[web()], "client show nobody", "").await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no client \"nobody\"; `passgate client list` shows them");
}

#[tokio::test]
async fn a_change_is_of_what_is_given_and_shows_the_client_as_it_is_then() {
    let store = TestStore::fresh().await;
    run_line(&store, &[], "client create batch", "").await.unwrap();
    let secret = store.clients().await.unwrap().remove(0).secret;
    let shown = run_line(&store, &[], "client set batch --grant password,password", "").await.unwrap();
    assert!(shown.contains("Grants  password\nScopes  read write\n"), "{shown}");
    let shown = run_line(&store, &[], "client set batch --scope write --scope admin", "").await.unwrap();
    assert!(shown.contains("Grants  password\nScopes  write admin\n"), "{shown}");
    let kept = store.clients().await.unwrap().remove(0);
    assert_eq!((kept.grants, kept.scopes), (vec!["password".to_owned()], Scope::parse("write admin").unwrap()));
    assert!(kept.secret == secret);
    assert!(Cli::try_parse_from(["client", "set", "batch"]).is_err(), "nothing is to be changed");
}

#[tokio::test]
async fn a_new_secret_takes_the_place_of_the_old_one_and_is_shown_once() {
    let store = TestStore::fresh().await;
    let secret_of = |told: &str| told.lines().find_map(|line| line.strip_prefix("client_secret: ")).unwrap().to_owned();
    let old = secret_of(&run_line(&store, &[], "client create batch --scope read", "").await.unwrap());
    let (told, asked) = run_and_confirm(&store, &[], "client rotate-secret batch", "").await.unwrap();
    assert!(asked.contains("present secret of the client batch"), "{asked}");
    assert!(told.starts_with("client_id: batch\n") && told.contains("one time"), "{told}");
    assert_ne!(secret_of(&told), old);
    let kept = async || store.clients().await.unwrap().remove(0);
    assert!(kept().await.secret == Some(StoredSecret::Mac(mac(&secret_of(&told)))));
    assert_eq!(kept().await.scopes.to_string(), "read");

    let line = "client rotate-secret batch --secret-stdin --yes";
    let told = run_line(&store, &[], line, "a secret of some length").await.unwrap();
    assert_eq!(told, "client_id: batch\n");
    assert!(kept().await.secret == Some(StoredSecret::Mac(mac("a secret of some length"))));

    run_line(&store, &[], "client create mobile --public", "").await.unwrap();
    let refused = run_line(&store, &[], "client rotate-secret mobile", "").await.unwrap_err();
    assert_eq!(refused.to_string(), "the client mobile is public: it has no secret");
}

#[tokio::test]
async fn a_client_is_deleted_after_a_question() {
    let store = TestStore::fresh().await;
    for id in ["batch", "web"] {
        run_line(&store, &[], &format!("client create {id}"), "").await.unwrap();
    }
    let (told, asked) = run_and_confirm(&store, &[], "client delete batch", "").await.unwrap();
    assert!(asked.contains("deletes the client batch") && asked.contains("cannot be refreshed"), "{asked}");
    assert_eq!(told, "The client batch is deleted. Access tokens that it has live on until they expire.\n");
    assert!(run_line(&store, &[], "client delete batch", "").await.is_err());

    let (told, asked) = run_and_confirm(&store, &[web()], "client delete web", "").await.unwrap();
    assert!(asked.contains("in the configuration stays"), "{asked}");
    assert_eq!(told, "The client web is deleted.\n");
    assert!(store.clients().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_client_of_the_configuration_is_changed_there() {
    let store = TestStore::fresh().await;
    run_line(&store, &[], "client create web", "").await.unwrap();
    let kept = store.clients().await.unwrap().remove(0);
    for line in ["client set web --scope read", "client rotate-secret web"] {
        let refused = run_line(&store, &[web()], line, "").await.unwrap_err().to_string();
        assert!(refused.starts_with("the client web is in the configuration: change it there"), "{refused}");
    }
    assert!(store.clients().await.unwrap().remove(0).secret == kept.secret);
    run_line(&store, &[web()], "client delete web", "").await.unwrap();
    let refused = run_line(&store, &[web()], "client delete web", "").await.unwrap_err().to_string();
    assert!(refused.contains("not in the store: take it out there"), "{refused}");
}

#[tokio::test]
async fn whoever_says_no_changes_nothing() {
    let store = TestStore::fresh().await;
    run_line(&store, &[], "client create batch", "").await.unwrap();
    let kept = store.clients().await.unwrap().remove(0);
    for line in ["client delete batch", "client rotate-secret batch"] {
        let command = Cli::try_parse_from(line.split(' ')).unwrap().command;
        let ask = |_: &str, _: bool| Ok(Secret::from("a secret of some length"));
        let no = |_: &str, _: bool| bail!("nothing was done");
        assert!(run(command, &*store, mac, &[], ask, no, &mut Vec::new()).await.is_err());
    }
    assert!(store.clients().await.unwrap().remove(0).secret == kept.secret);
}
