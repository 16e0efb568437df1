//! Rules of signing keys, clients and the deployment.

use super::Bench;
use crate::{
    change_log::Change,
    clock::Timestamp,
    model::{ClientId, Scope},
    store::{ClientChange, Deployment, StoredClient, StoredKey, StoredSecret},
};

fn key(kid: &str, signs_from: i64) -> StoredKey {
    StoredKey {
        kid: kid.to_owned(),
        algorithm: "EdDSA".to_owned(),
        sealed: vec![0, 255, 1],
        created_at: Timestamp::from_seconds(1_780_000_000),
        signs_from: Timestamp::from_seconds(signs_from),
    }
}

async fn kids(bench: &Bench) -> Vec<String> {
    bench.there.store.keys().await.unwrap().into_iter().map(|key| key.kid).collect()
}

pub async fn a_key_comes_back_as_it_was_given(bench: &Bench) {
    assert!(bench.store().keys().await.unwrap().is_empty());
    let given = key("k1", 1_790_000_000);
    assert!(bench.store().insert_key(&given, &[]).await.unwrap());
    let kept = bench.there.store.keys().await.unwrap().pop().unwrap();
    assert_eq!((kept.kid, kept.algorithm, kept.sealed), (given.kid, given.algorithm, given.sealed));
    assert_eq!((kept.created_at, kept.signs_from), (given.created_at, given.signs_from));
    assert_eq!(bench.log().await, [Change::Keys]);
}

pub async fn keys_come_in_the_order_they_sign(bench: &Bench) {
    let mut known = Vec::new();
    for (kid, signs_from) in [("b", 2), ("c", 3), ("a", 1)] {
        assert!(bench.store().insert_key(&key(kid, signs_from), &known).await.unwrap());
        known.insert(0, kid.to_owned());
    }
    assert_eq!(kids(bench).await, ["a", "b", "c"]);
}

pub async fn a_key_is_kept_only_beside_the_known_ones(bench: &Bench) {
    let insert = async |kid: &str, known: &[&str]| {
        let known: Vec<_> = known.iter().copied().map(str::to_owned).collect();
        bench.store().insert_key(&key(kid, 1), &known).await.unwrap()
    };
    assert!(!insert("k1", &["gone"]).await);
    assert!(insert("k1", &[]).await);
    assert!(!insert("k2", &[]).await, "somebody else made the first one");
    assert!(!insert("k2", &["k1", "gone"]).await);
    assert!(insert("k2", &["k1"]).await);
    assert!(!insert("k3", &["k1"]).await);
    assert!(insert("k3", &["k2", "k1"]).await, "in any order");
    assert_eq!(bench.log().await, [Change::Keys, Change::Keys, Change::Keys], "refusals are not logged");
}

pub async fn a_race_to_rotate_has_one_winner(bench: &Bench) {
    assert!(bench.store().insert_key(&key("k0", 0), &[]).await.unwrap());
    let answers = bench
        .at_once(16, |store, i| async move {
            store.insert_key(&key(&format!("new {i}"), 1), &["k0".to_owned()]).await.unwrap()
        })
        .await;
    assert_eq!(answers.into_iter().filter(|inserted| *inserted).count(), 1);
    assert_eq!(kids(bench).await.len(), 2);
}

pub async fn a_deleted_key_is_gone_and_logged(bench: &Bench) {
    bench.store().insert_key(&key("k1", 1), &[]).await.unwrap();
    assert!(bench.store().delete_key("k1").await.unwrap());
    assert!(!bench.store().delete_key("k1").await.unwrap());
    assert!(kids(bench).await.is_empty());
    assert_eq!(bench.log().await, [Change::Keys, Change::Keys]);
}

fn client(id: &str, secret: Option<StoredSecret>) -> StoredClient {
    StoredClient {
        id: ClientId::from(id),
        secret,
        grants: vec!["password".to_owned(), "refresh_token".to_owned()],
        scopes: Scope::parse("write read").unwrap(),
    }
}

pub async fn a_client_comes_back_as_it_was_given(bench: &Bench) {
    let given = [
        client("cli", None),
        client("Web \"1\"", Some(StoredSecret::Mac([0xAB; 32]))),
        client("app", Some(StoredSecret::Mac([0; 32]))),
        client("django", Some(imported())),
    ];
    for client in &given {
        assert!(bench.store().insert_client(client).await.unwrap());
    }
    let kept = bench.there.store.clients().await.unwrap();
    assert_eq!(kept.iter().map(|client| client.id.as_str()).collect::<Vec<_>>(), ["Web \"1\"", "app", "cli", "django"]);
    for client in kept {
        let given = given.iter().find(|given| given.id == client.id).unwrap();
        assert!(client.secret == given.secret, "{}", client.id);
        assert_eq!((&client.grants, &client.scopes), (&given.grants, &given.scopes));
    }
    assert_eq!(bench.log().await, vec![Change::Clients; 4]);
}

pub async fn a_client_id_is_given_once(bench: &Bench) {
    assert!(bench.store().insert_client(&client("web", Some(StoredSecret::Mac([1; 32])))).await.unwrap());
    for other in [None, Some(imported())] {
        assert!(!bench.there.store.insert_client(&client("web", other)).await.unwrap());
    }
    assert!(secrets(bench).await == [Some(StoredSecret::Mac([1; 32]))]);
    assert_eq!(bench.log().await, [Change::Clients]);
}

const HASH: &str = "pbkdf2_sha256$1000$salt$hash";

fn imported() -> StoredSecret {
    StoredSecret::Imported(HASH.to_owned())
}

async fn secrets(bench: &Bench) -> Vec<Option<StoredSecret>> {
    bench.there.store.clients().await.unwrap().into_iter().map(|client| client.secret).collect()
}

pub async fn a_secret_is_replaced_by_a_mac_only_if_it_still_is_as_it_was(bench: &Bench) {
    let mac = |byte| StoredSecret::Mac([byte; 32]);
    let hashed = |hash: &str| StoredSecret::Imported(hash.to_owned());
    let given = [("a", Some(imported())), ("b", Some(imported())), ("c", None), ("d", Some(mac(1)))];
    for (id, secret) in given {
        assert!(bench.store().insert_client(&client(id, secret)).await.unwrap());
    }
    let replace = async |id: &str, current: StoredSecret, mac: u8| {
        bench.store().replace_secret(&ClientId::from(id), &current, &[mac; 32]).await.unwrap()
    };
    let wrong = [("a", "another"), ("a", ""), ("c", HASH), ("c", ""), ("d", HASH), ("d", ""), ("nobody", HASH)];
    for (id, current) in wrong {
        assert!(!replace(id, hashed(current), 7).await, "{id} {current:?}");
    }
    for id in ["a", "c", "d", "nobody"] {
        assert!(!replace(id, mac(2), 7).await, "{id}");
    }
    assert!(secrets(bench).await == [Some(imported()), Some(imported()), None, Some(mac(1))]);
    assert_eq!(bench.log().await, vec![Change::Clients; 4], "what replaces nothing is not logged");

    assert!(replace("a", imported(), 7).await);
    assert!(replace("d", mac(1), 8).await);
    assert!(secrets(bench).await == [Some(mac(7)), Some(imported()), None, Some(mac(8))], "of one client each");
    assert_eq!(bench.log().await, vec![Change::Clients; 6]);
    assert!(!replace("a", imported(), 9).await, "it is another secret's business now");
    assert!(secrets(bench).await == [Some(mac(7)), Some(imported()), None, Some(mac(8))]);
}

pub async fn a_client_is_changed_in_what_is_given_alone(bench: &Bench) {
    let given = client("web", Some(imported()));
    assert!(bench.store().insert_client(&given).await.unwrap());
    assert!(bench.store().insert_client(&client("other", None)).await.unwrap());
    let change =
        async |id: &str, change: ClientChange| bench.store().change_client(&ClientId::from(id), &change).await.unwrap();
    let scopes = Scope::parse("read").unwrap();
    let steps = [
        ClientChange { grants: Some(vec!["password".to_owned()]), ..ClientChange::default() },
        ClientChange { scopes: Some(scopes.clone()), ..ClientChange::default() },
        ClientChange { secret: Some(StoredSecret::Mac([7; 32])), ..ClientChange::default() },
    ];
    let mut expected = given;
    for (n, step) in steps.into_iter().enumerate() {
        match n {
            0 => expected.grants = vec!["password".to_owned()],
            1 => expected.scopes = scopes.clone(),
            _ => expected.secret = Some(StoredSecret::Mac([7; 32])),
        }
        let answer = change("web", step).await.unwrap();
        let kept = bench.there.store.clients().await.unwrap().pop().unwrap();
        for client in [answer, kept] {
            assert_eq!((&client.id, &client.grants), (&expected.id, &expected.grants));
            assert_eq!(client.scopes, expected.scopes);
            assert!(client.secret == expected.secret, "step {n}");
        }
    }
    assert_eq!(bench.log().await, vec![Change::Clients; 2 + 3]);
    assert!(change("nobody", ClientChange::default()).await.is_none());
    assert!(secrets(bench).await == [None, Some(StoredSecret::Mac([7; 32]))], "the other one is as it was");
    assert_eq!(bench.log().await.len(), 5, "what is not there is not logged");
}

pub async fn changes_of_a_client_at_once_are_all_kept(bench: &Bench) {
    assert!(bench.store().insert_client(&client("web", None)).await.unwrap());
    bench
        .at_once(8, |store, i| async move {
            let change = match i % 2 {
                0 => ClientChange { grants: Some(vec!["convert_token".to_owned()]), ..ClientChange::default() },
                _ => ClientChange { scopes: Scope::parse("read"), ..ClientChange::default() },
            };
            assert!(store.change_client(&ClientId::from("web"), &change).await.unwrap().is_some());
        })
        .await;
    let kept = bench.store().clients().await.unwrap().remove(0);
    assert_eq!((kept.grants, kept.scopes), (vec!["convert_token".to_owned()], Scope::parse("read").unwrap()));
}

pub async fn a_deleted_client_is_gone_and_logged(bench: &Bench) {
    for id in ["web", "other"] {
        assert!(bench.store().insert_client(&client(id, None)).await.unwrap());
    }
    let web = ClientId::from("web");
    assert!(bench.store().delete_client(&web).await.unwrap());
    assert!(!bench.there.store.delete_client(&web).await.unwrap());
    let kept = bench.there.store.clients().await.unwrap();
    assert_eq!(kept.iter().map(|client| client.id.as_str()).collect::<Vec<_>>(), ["other"]);
    assert_eq!(bench.log().await, vec![Change::Clients; 3]);
    assert!(bench.store().insert_client(&client("web", None)).await.unwrap(), "its id is free again");
}

pub async fn a_race_to_replace_an_imported_secret_has_one_winner(bench: &Bench) {
    assert!(bench.store().insert_client(&client("web", Some(imported()))).await.unwrap());
    let answers = bench
        .at_once(16, |store, i| async move {
            let mac = [u8::try_from(i).unwrap(); 32];
            store.replace_secret(&ClientId::from("web"), &imported(), &mac).await.unwrap().then_some(mac)
        })
        .await;
    let winners: Vec<_> = answers.into_iter().flatten().map(|mac| Some(StoredSecret::Mac(mac))).collect();
    assert_eq!(winners.len(), 1);
    assert!(secrets(bench).await == winners);
    assert_eq!(bench.log().await, vec![Change::Clients; 2]);
}

pub async fn a_fresh_store_is_claimed_once(bench: &Bench) {
    assert_eq!(bench.store().deployment().await.unwrap(), None);
    let claims = bench
        .at_once(16, |store, i| async move {
            let i = u8::try_from(i).unwrap();
            store.claim_deployment(&Deployment { id: [i; 16], master_check: [i; 32] }).await.unwrap()
        })
        .await;
    assert!(claims.iter().all(|winner| *winner == claims[0]), "all are told of the same one");
    assert_eq!(claims[0].master_check, [claims[0].id[0]; 32]);
    for node in [&bench.here, &bench.there] {
        assert_eq!(node.store.deployment().await.unwrap(), Some(claims[0]));
    }
}

pub async fn a_key_is_sealed_anew_only_if_it_still_is_as_it_was(bench: &Bench) {
    let given = key("k1", 1);
    bench.store().insert_key(&given, &[]).await.unwrap();
    bench.store().insert_key(&key("k2", 2), &["k1".to_owned()]).await.unwrap();
    for (kid, current) in [("k1", &[9][..]), ("k1", &[]), ("k3", &given.sealed)] {
        assert!(!bench.store().reseal_key(kid, current, &[7; 40]).await.unwrap());
    }
    assert!(bench.store().reseal_key("k1", &given.sealed, &[7; 40]).await.unwrap());
    assert!(!bench.store().reseal_key("k1", &given.sealed, &[8; 40]).await.unwrap());
    let [one, two] = bench.there.store.keys().await.unwrap().try_into().ok().unwrap();
    assert_eq!((one.kid, one.algorithm, one.sealed), (given.kid, given.algorithm, vec![7; 40]));
    assert_eq!((one.created_at, one.signs_from), (given.created_at, given.signs_from));
    assert_eq!(two.sealed, given.sealed);
    assert_eq!(bench.log().await.len(), 2, "it is the same key");
}

pub async fn a_deployment_comes_under_another_master_once(bench: &Bench) {
    let first = Deployment { id: [1; 16], master_check: [2; 32] };
    assert!(!bench.store().replace_master_check(&first, &[3; 32]).await.unwrap(), "nobody has claimed it");
    bench.store().claim_deployment(&first).await.unwrap();
    for other in [Deployment { id: [9; 16], ..first }, Deployment { master_check: [9; 32], ..first }] {
        assert!(!bench.store().replace_master_check(&other, &[3; 32]).await.unwrap());
    }
    assert!(bench.log().await.is_empty());
    let answers = bench
        .at_once(8, |store, i| async move {
            store.replace_master_check(&first, &[u8::try_from(i).unwrap() + 10; 32]).await.unwrap()
        })
        .await;
    let winner = answers.iter().position(|replaced| *replaced).unwrap();
    assert_eq!(answers.iter().filter(|replaced| **replaced).count(), 1);
    let master_check = [u8::try_from(winner).unwrap() + 10; 32];
    assert_eq!(bench.there.store.deployment().await.unwrap(), Some(Deployment { master_check, ..first }));
    assert_eq!(bench.log().await, [Change::Keys]);
}

pub async fn a_store_in_order_answers(bench: &Bench) {
    bench.store().ping().await.unwrap();
    bench.there.store.ping().await.unwrap();
}
