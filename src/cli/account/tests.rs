use clap::Parser as _;

use crate::{
    cli::{
        Cli,
        testing::{Bench, PASSWORD, bench},
    },
    model::{Epoch, Link},
    store::{ChangeStore, LinkStore, SessionStore, StoreError},
};

impl Bench {
    /// What a command about the only account told, its id aside.
    async fn told(&self, line: &str) -> String {
        let told = self.run(line, PASSWORD).await.unwrap().out;
        told.replace(&self.account().await.id.to_string(), "ID")
    }

    async fn refused(&self, line: &str, password: &str) -> String {
        self.run(line, password).await.unwrap_err().to_string()
    }
}

#[tokio::test]
async fn an_account_is_made_while_strangers_may_not_sign_up() {
    let bench = bench().await;
    assert_eq!(bench.told("account create Ada@example.com").await, "Made Ada@example.com (ID).\n");
    let account = bench.account().await;
    assert_eq!((account.username.as_str(), account.first_name.as_str()), ("Ada", ""));
    assert!(!account.staff && !account.email_verified && account.active);
    assert!(bench.accounts.sign_in("ada@example.com", PASSWORD.into()).await.is_ok());
}

#[tokio::test]
async fn an_account_is_made_as_it_was_asked_for() {
    let bench = bench().await;
    let line = "account create ada@example.com --staff --verified --username countess --first-name Ada";
    assert_eq!(bench.told(line).await, "Made ada@example.com (ID), staff.\n");
    let account = bench.account().await;
    assert_eq!((account.username.as_str(), account.first_name.as_str()), ("countess", "Ada"));
    assert!(account.staff && account.email_verified);
}

#[tokio::test]
async fn what_is_wrong_with_a_new_account_is_told_at_once() {
    let bench = bench().await;
    assert_eq!(
        bench.refused("account create ada@ --username x", "password").await,
        "nothing was changed:\n  email: Enter a valid email address.\n  password: This password is too common."
    );
    bench.told("account create ada@example.com").await;
    assert_eq!(
        bench.refused("account create ADA@example.com", PASSWORD).await,
        "nothing was changed:\n  email: account with this email already exists."
    );
}

#[tokio::test]
async fn a_password_is_never_an_argument() {
    for line in ["account create ada@example.com --password x", "account create ada@example.com secret-1"] {
        assert!(Cli::try_parse_from(["passgate"].into_iter().chain(line.split(' '))).is_err(), "{line}");
    }
}

#[tokio::test]
async fn accounts_are_changed_by_address_or_id_and_told_when_they_were_so_already() {
    let bench = bench().await;
    bench.told("account create ada@example.com").await;
    let id = bench.account().await.id;
    let by_id = format!("account promote {id}");
    assert_eq!(bench.told(&by_id).await, "ada@example.com (ID) is staff now. Its next refresh says so.\n");
    assert_eq!(bench.told("account promote ada@example.com").await, "ada@example.com (ID) is staff already.\n");
    assert!(bench.account().await.staff);
    assert_eq!(bench.account().await.epoch, Epoch(1));

    let line = "account deactivate ADA@example.com";
    assert_eq!(bench.told(line).await, "ada@example.com (ID) is inactive now. Its sessions have ended.\n");
    assert_eq!(bench.told(line).await, "ada@example.com (ID) is inactive already.\n");
    assert!(bench.accounts.sign_in("ada@example.com", PASSWORD.into()).await.is_err());

    let line = "account activate ada@example.com";
    assert_eq!(bench.told(line).await, "ada@example.com (ID) is active now. It may sign in.\n");
    assert!(bench.accounts.sign_in("ada@example.com", PASSWORD.into()).await.is_ok());
}

#[tokio::test]
async fn a_new_password_replaces_the_old_one() {
    let bench = bench().await;
    bench.told("account create ada@example.com").await;
    let told = bench.run("account set-password ada@example.com", "another-horse-8").await.unwrap().out;
    assert!(told.contains("has the new password"), "{told}");
    assert!(bench.accounts.sign_in("ada@example.com", PASSWORD.into()).await.is_err());
    assert!(bench.accounts.sign_in("ada@example.com", "another-horse-8".into()).await.is_ok());
    assert_eq!(
        bench.refused("account set-password ada@example.com", "12345678").await,
        "nothing was changed:\n  password: This password is too common."
    );
}

#[tokio::test]
async fn an_unknown_account_is_told_before_a_password_is_asked_for() {
    let bench = bench().await;
    let error = bench.refused("account set-password bob@example.com", "").await;
    assert_eq!(bench.asked(), Vec::<String>::new());
    assert!(error.starts_with("no account has the address or id \"bob@example.com\""), "{error}");
    assert!(error.contains("`passgate account list --email-contains TEXT`"), "{error}");
    for verb in ["promote", "demote", "deactivate", "activate", "show", "sign-out", "delete", "set-groups --none"] {
        assert_eq!(bench.refused(&format!("account {verb} bob@example.com"), PASSWORD).await, error);
    }
}

#[tokio::test]
async fn a_store_out_of_reach_can_be_told_from_a_mistake() {
    let bench = bench().await;
    bench.store.close().await;
    let lines = [
        "create ada@example.com",
        "promote ada@example.com",
        "set-password ada@example.com",
        "list",
        "list --all --json",
        "show ada@example.com",
        "delete ada@example.com --yes",
    ];
    for line in lines {
        let error = bench.run(&format!("account {line}"), PASSWORD).await.unwrap_err();
        assert!(error.downcast_ref::<StoreError>().is_some(), "{line}: {error}");
    }
}

#[tokio::test]
async fn staff_and_groups_are_given_and_taken() {
    let bench = bench().await;
    bench.told("account create ada@example.com --staff").await;
    let line = "account demote ada@example.com";
    assert_eq!(bench.told(line).await, "ada@example.com (ID) is staff no longer. Its next refresh says so.\n");
    assert_eq!(bench.told(line).await, "ada@example.com (ID) was no staff.\n");

    let line = "account set-groups ada@example.com editors billing editors";
    let told = "ada@example.com (ID) is now in 2 groups: editors, billing. Its next refresh says so.\n";
    assert_eq!(bench.told(line).await, told);
    assert_eq!(bench.account().await.groups, ["editors", "billing"]);
    assert_eq!(bench.told(line).await, "ada@example.com (ID) was in 2 groups: editors, billing already.\n");
    let told = "ada@example.com (ID) is now in no group. Its next refresh says so.\n";
    assert_eq!(bench.told("account set-groups ada@example.com --none").await, told);
    assert!(bench.account().await.groups.is_empty());
    for bad in ["ada@example.com", "ada@example.com x --none", "ada@example.com a\nb", "ada@example.com  "] {
        assert!(bench.run(&format!("account set-groups {bad}"), "").await.is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_undone_is_asked_for_by_name_and_not_done_after_a_no() {
    let bench = bench().await;
    bench.told("account create ada@example.com").await;
    let ada = bench.account().await;
    let session = bench.sign_in(&ada).await;
    let link = bench.link(&ada, "google-oauth2", "108").await;
    bench.answer(false);
    assert_eq!(bench.asked(), ["password"]);
    for line in ["sign-out ada@example.com", "delete ada@example.com", "unlink ada@example.com google-oauth2"] {
        assert_eq!(bench.refused(&format!("account {line}"), "").await, "nothing was done");
    }
    let whose = format!("ada@example.com ({})", ada.id);
    assert_eq!(
        bench.asked(),
        [
            format!("End all of {whose}'s sessions (1 session)?"),
            format!("Delete {whose}, known as ada, with 1 session and 1 identity at providers? This cannot be undone."),
            format!("Take 108 at google-oauth2 from {whose}?"),
        ]
    );
    assert_eq!(bench.account().await, ada);
    assert!(bench.store.session(session).await.unwrap().is_some());
    assert_eq!(bench.store.links(ada.id).await.unwrap(), [link]);
}

#[tokio::test]
async fn a_deleted_account_is_gone_and_its_address_free() {
    let bench = bench().await;
    bench.told("account create ada@example.com").await;
    let ada = bench.account().await;
    let session = bench.sign_in(&ada).await;
    assert_eq!(bench.asked(), ["password"]);
    let told = bench.run("account delete ADA@example.com --yes", "").await.unwrap();
    let expected =
        format!("Deleted ada@example.com ({}). Its sessions have ended, and its address can sign up again.\n", ada.id);
    assert_eq!(told.out, expected);
    assert_eq!(bench.asked(), Vec::<String>::new(), "--yes");
    assert_eq!(bench.store.all_accounts().await, []);
    assert!(bench.store.session(session).await.unwrap().is_none());
    bench.told("account create ada@example.com").await;
    assert_ne!(bench.account().await.id, ada.id);
}

#[tokio::test]
async fn a_sign_out_ends_sessions_and_says_how_many() {
    let bench = bench().await;
    bench.told("account create ada@example.com").await;
    let sessions = [bench.sign_in(&bench.account().await).await, bench.sign_in(&bench.account().await).await];
    let told = bench.told("account sign-out ada@example.com").await;
    assert_eq!(told, "ada@example.com (ID) is signed out everywhere (2 sessions). It may sign in again.\n");
    for session in sessions {
        assert!(bench.store.session(session).await.unwrap().is_none());
    }
    assert_eq!(bench.account().await.epoch, Epoch(1));
}

#[tokio::test]
async fn an_identity_is_taken_by_provider_and_number_and_never_the_last_way_in() {
    let bench = bench().await;
    bench.told("account create ada@example.com").await;
    let ada = bench.account().await;
    let Link { id: first, .. } = bench.link(&ada, "google-oauth2", "108").await;
    bench.link(&ada, "google-oauth2", "109").await;
    let facebook = bench.link(&ada, "facebook", "42").await;
    let error = bench.refused("account unlink ada@example.com google-oauth2", "").await;
    assert!(error.contains("has several identities at google-oauth2; say which with --link NUMBER"), "{error}");
    for line in [format!("google-oauth2 --link {}", facebook.id), "gitlab".to_owned()] {
        let error = bench.refused(&format!("account unlink ada@example.com {line}"), "").await;
        assert!(error.contains(&format!("`passgate account show {}`", ada.id)), "{error}");
    }
    let told = bench.told(&format!("account unlink ada@example.com google-oauth2 --link {first}")).await;
    assert_eq!(told, "Took 108 at google-oauth2 from ada@example.com (ID). Its sessions go on.\n");
    bench.told("account unlink ada@example.com google-oauth2").await;
    assert_eq!(bench.store.links(ada.id).await.unwrap(), [facebook]);

    // It has no password, and of the two providers only the other is configured.
    let bob = bench.stranger("bob").await;
    bench.link(&bob, "facebook", "7").await;
    let error = bench.refused(&format!("account unlink {} facebook", bob.id), "").await;
    assert!(error.starts_with(&format!("it is the only way in to bob@example.org ({})", bob.id)), "{error}");
    bench.link(&bob, "google-oauth2", "7").await;
    bench.run(&format!("account unlink {} facebook", bob.id), "").await.unwrap();
}

#[tokio::test]
async fn accounts_are_listed_and_a_list_that_was_cut_says_how_it_goes_on() {
    let bench = bench().await;
    let list = async |line: &str| bench.run(line, "").await.unwrap();
    let empty = list("account list").await;
    let remark = "There are no accounts. `passgate account create EMAIL` makes one.\n";
    assert_eq!((empty.out.as_str(), empty.err.as_str()), ("", remark));
    let empty = list("account list --json").await;
    assert_eq!((empty.out.as_str(), empty.err.as_str()), ("", ""));

    let mut ids = Vec::new();
    for name in ["ann", "bob", "cleo", "dan"] {
        ids.push(bench.stranger(name).await.id.to_string());
    }
    let change = async |line: &str| drop(bench.run(line, "").await.unwrap());
    change("account promote bob@example.org").await;
    change("account deactivate cleo@example.org").await;
    change("account set-groups bob@example.org editors billing").await;
    let all = list("account list").await;
    let told = ids.iter().zip(["A", "B", "C", "D"]).fold(all.out, |told, (id, name)| told.replace(id, name));
    assert_eq!(
        told,
        "\
ID                                    EMAIL             USERNAME  STAFF  ACTIVE  GROUPS            CREATED
A  ann@example.org   ann       no     yes                       2026-05-28T20:26:40Z
B  bob@example.org   bob       yes    yes     editors, billing  2026-05-28T20:26:40Z
C  cleo@example.org  cleo      no     no                        2026-05-28T20:26:40Z
D  dan@example.org   dan       no     yes                       2026-05-28T20:26:40Z
"
    );
    assert_eq!(all.err, "");

    let cut = list("account list --limit 2").await;
    let remark = format!("There are more: --after {} goes on from here, --all lists all of them.\n", ids[1]);
    assert_eq!((cut.out.lines().count(), cut.err), (3, remark));
    let rest = list(&format!("account list --limit 2 --after {}", ids[1])).await;
    assert!(rest.out.contains("cleo") && rest.out.contains("dan") && !rest.out.contains("bob"), "{}", rest.out);
    assert_eq!(rest.err, "", "that is the end");
    let cut = list("account list --limit 1 --json --email-contains EXAMPLE.org").await;
    let remark = format!(
        "There may be more: --after {} with the same filters goes on from here, --all lists all of them.\n",
        ids[0]
    );
    assert_eq!(cut.err, remark, "a script that reads a part is told, too");
}

#[tokio::test]
async fn a_list_is_of_those_that_were_asked_for() {
    let bench = bench().await;
    let mut last = None;
    // More than are read at once.
    for n in 0..1200 {
        last = Some(bench.stranger(&format!("n{n}")).await);
    }
    let last = last.unwrap();
    bench.run(&format!("account promote {}", last.id), "").await.unwrap();
    let emails = async |line: &str| -> Vec<String> {
        let told = bench.run(&format!("account list --json {line}"), "").await.unwrap();
        let row = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        told.out.lines().map(|line| row(line)["email"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(emails("--all").await.len(), 1200);
    assert_eq!(emails("--limit 700").await.len(), 700);
    assert_eq!(emails("--staff").await, ["n1199@example.org"]);
    assert_eq!(emails("--inactive").await, Vec::<String>::new());
    assert_eq!(emails("--email-contains N119@").await, ["n119@example.org"]);
    assert_eq!(emails("--email-contains n11 --limit 3").await.len(), 3);
    let none = bench.run("account list --inactive", "").await.unwrap();
    assert_eq!((none.out.as_str(), none.err.as_str()), ("", "There are no such accounts.\n"));
    for wrong in ["--limit 0", "--all --limit 3", "--after ada@example.com"] {
        assert!(bench.run(&format!("account list {wrong}"), "").await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn an_account_is_shown_with_all_that_is_its_own() {
    let bench = bench().await;
    bench.told("account create ada@example.com --username countess --first-name Ada --verified").await;
    let ada = bench.account().await;
    bench.sign_in(&ada).await;
    let google = bench.link(&ada, "google-oauth2", "108").await.id;
    let facebook = bench.link(&ada, "facebook", "42").await.id;
    assert_eq!(
        bench.told("account show ada@example.com").await,
        format!(
            "\
Id           ID
Email        ada@example.com (verified)
Username     countess
First name   Ada
Last name
Groups
Staff        no
Active       yes
Password     yes
External id
Created      1970-01-01T00:00:01Z
Sessions     1
Identities   108 at google-oauth2 (number {google})
             42 at facebook (number {facebook})
"
        )
    );
    let told = bench.told("account show ada@example.com --json").await;
    let shown: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        shown,
        serde_json::json!({
            "id": "ID", "email": "ada@example.com", "email_verified": true, "username": "countess",
            "first_name": "Ada", "last_name": "", "groups": [], "staff": false, "active": true, "external_id": null,
            "created_at": "1970-01-01T00:00:01Z", "has_password": true, "sessions": 1,
            "links": [
                { "id": google, "provider": "google-oauth2", "subject": "108", "created_at": "2026-09-21T14:13:20Z" },
                { "id": facebook, "provider": "facebook", "subject": "42", "created_at": "2026-09-21T14:13:20Z" },
            ],
        })
    );
}

#[tokio::test]
async fn a_username_does_nothing_to_the_terminal() {
    let bench = bench().await;
    bench.stranger("x\u{1b}[2J\u{9b}31m").await;
    let id = bench.account().await.id;
    for line in ["list", "list --json", &format!("show {id}"), &format!("show {id} --json"), &format!("delete {id}")] {
        let told = bench.run(&format!("account {line}"), "").await.unwrap();
        for text in [told.out].into_iter().chain(bench.asked()) {
            assert!(!text.contains('\u{1b}') && !text.contains('\u{9b}'), "{line}: {text:?}");
        }
    }
}
