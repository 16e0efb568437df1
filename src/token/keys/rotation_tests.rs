//! The life of keys, told by moving the time.

use std::time::Duration;

use super::*;
use crate::{
    master::Master,
    secret::Secret,
    store::{ChangeStore, KeyStore, testing::TestStore},
    token::{
        Algorithm, Invalid,
        fixture::{DEPLOYMENT, NOW, master, ring, settings, start},
    },
};

const HOUR: Duration = Duration::from_hours(1);
const MONTHS: Duration = Duration::from_hours(90 * 24);

/// A token signed at `now`, with the key's name.
fn sign(ring: &KeyRing, now: Timestamp) -> (String, String) {
    let mut claims = Claims::of(&start(), ring.settings());
    claims.expires_at = now + ring.settings().access_ttl;
    let token = ring.sign(&claims, now).unwrap();
    let kid = Compact::split(&token).unwrap().key().unwrap().0;
    (token, kid)
}

fn published(ring: &KeyRing) -> Vec<String> {
    let jwks: serde_json::Value = serde_json::from_slice(&ring.jwks()).unwrap();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_first_start_makes_one_key_and_the_second_start_finds_it() {
    let store = TestStore::fresh().await;
    let one = ring(&store, settings(&[])).await;
    let (token, kid) = sign(&one, NOW);
    let two = ring(&store, settings(&[])).await;
    assert_eq!(store.keys().await.unwrap().len(), 1);
    assert_eq!(published(&two), [kid]);
    assert!(two.verify(&token, NOW).is_ok());
}

#[tokio::test]
async fn how_far_the_rotation_is_is_told_by_the_key_that_signs() {
    let store = TestStore::fresh().await;
    let ring = ring(&store, settings(&[])).await;
    let began = store.keys().await.unwrap()[0].signs_from;
    let due = began + MONTHS;
    let told = |now: Timestamp| ring.progress(now).map(|keys| (keys.signing, keys.left, keys.overdue));
    assert_eq!(told(began), Some((Duration::ZERO, MONTHS, Duration::ZERO)));
    let late = due + 2 * HOUR;
    assert_eq!(told(late), Some((MONTHS + 2 * HOUR, Duration::ZERO, 2 * HOUR)), "nobody made one");
    ring.refresh(late).await.unwrap();
    assert_eq!(told(late), Some((MONTHS + 2 * HOUR, HOUR, Duration::ZERO)), "it is published first");
    assert_eq!(told(late + HOUR).unwrap().0, Duration::ZERO);
    assert_eq!(told(began - HOUR), None);
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_verifies_after_it_stopped() {
    let store = TestStore::fresh().await;
    let ring = ring(&store, settings(&[])).await;
    let (_, first) = sign(&ring, NOW);
    let due = store.keys().await.unwrap()[0].signs_from + MONTHS;

    // An hour ahead the next key is there, and signs nothing yet.
    ring.refresh(due - HOUR).await.unwrap();
    let [_, second] = published(&ring).try_into().unwrap();
    let last_moment = due - Duration::from_millis(1);
    let (old, kid) = sign(&ring, last_moment);
    assert_eq!(kid, first);

    // Its time comes without anybody refreshing.
    assert_eq!(sign(&ring, due).1, second);
    assert!(ring.verify(&old, due).is_ok());

    // The previous one goes when the last token it signed has long expired.
    let expired = due + ring.settings().access_ttl + ring.settings().leeway;
    ring.refresh(expired).await.unwrap();
    assert_eq!(published(&ring).len(), 2);
    assert_eq!(ring.generation(), 0, "no key has gone yet");
    ring.refresh(expired + Duration::from_mins(1)).await.unwrap();
    assert_eq!(published(&ring), [second]);
    assert_eq!(ring.generation(), 1);
}

#[tokio::test]
async fn refreshing_over_and_over_makes_nothing() {
    let store = TestStore::fresh().await;
    let ring = ring(&store, settings(&[])).await;
    let due = NOW + MONTHS - HOUR;
    for now in [NOW, NOW, NOW + HOUR, due, due, due + Duration::from_mins(30)] {
        ring.refresh(now).await.unwrap();
    }
    assert_eq!(store.keys().await.unwrap().len(), 2);
    assert_eq!(ring.generation(), 0);
}

#[tokio::test]
async fn two_nodes_that_start_at_once_make_one_key() {
    let store = TestStore::fresh().await;
    let (one, two) = store.race(ring(&store, settings(&[])), ring(&store, settings(&[]))).await;
    assert_eq!(store.keys().await.unwrap().len(), 1);
    assert_eq!(store.sql.stats().operations, 1 + 2, "they did race: one insertion was refused");
    assert!(two.verify(&sign(&one, NOW).0, NOW).is_ok());
    assert!(one.verify(&sign(&two, NOW).0, NOW).is_ok());
}

#[tokio::test]
async fn two_nodes_that_rotate_at_once_make_one_key() {
    let store = TestStore::fresh().await;
    let (one, two) = (ring(&store, settings(&[])).await, ring(&store, settings(&[])).await);
    let due = NOW + MONTHS;
    let (first, second) = store.race(one.refresh(due - HOUR), two.refresh(due - HOUR)).await;
    first.and(second).unwrap();
    assert_eq!(store.keys().await.unwrap().len(), 2);
    assert_eq!(store.sql.stats().operations, 2 + 2, "they did race: one insertion was refused");
    assert_eq!(sign(&one, due).1, sign(&two, due).1);
}

#[tokio::test]
async fn a_node_whose_clock_is_behind_uses_the_first_key_of_another() {
    let store = TestStore::fresh().await;
    let ahead = ring(&store, settings(&[])).await;
    let behind = NOW - Duration::from_secs(4);
    let late = KeyRing::open(Arc::clone(&store) as _, &master(), DEPLOYMENT, settings(&[]), behind).await.unwrap();
    assert_eq!(store.keys().await.unwrap().len(), 1);
    assert!(ahead.verify(&sign(&late, behind).0, NOW).is_ok());
}

#[tokio::test]
async fn a_revoked_key_is_gone_at_once_and_another_signs() {
    let store = TestStore::fresh().await;
    let ring = ring(&store, settings(&[])).await;
    let (token, kid) = sign(&ring, NOW);
    assert!(store.delete_key(&kid).await.unwrap());
    ring.refresh(NOW).await.unwrap();
    assert_eq!(ring.verify(&token, NOW), Err(Invalid::UnknownKey));
    assert_eq!(ring.generation(), 1, "cached verdicts are void");
    let (token, new) = sign(&ring, NOW);
    assert_ne!(new, kid);
    assert!(ring.verify(&token, NOW).is_ok());
    assert_eq!(published(&ring), [new]);
}

#[tokio::test]
async fn revoking_the_current_key_leaves_the_published_one_to_its_time() {
    let store = TestStore::fresh().await;
    let ring = ring(&store, settings(&[])).await;
    let due = store.keys().await.unwrap()[0].signs_from + MONTHS;
    ring.refresh(due - HOUR).await.unwrap();
    let [current, next] = published(&ring).try_into().unwrap();
    store.delete_key(&current).await.unwrap();
    ring.refresh(due - HOUR).await.unwrap();
    let stopgap = sign(&ring, due - HOUR).1;
    assert!(stopgap != current && stopgap != next);
    assert_eq!(sign(&ring, due).1, next);
}

#[tokio::test]
async fn another_algorithm_takes_over_after_being_published() {
    let store = TestStore::fresh().await;
    let old = ring(&store, settings(&[])).await;
    let (token, first) = sign(&old, NOW);
    let es256 = Settings { algorithm: Algorithm::Es256, ..settings(&[]) };
    let new = ring(&store, es256).await;
    assert_eq!(
        store.keys().await.unwrap().iter().map(|key| key.algorithm.as_str()).collect::<Vec<_>>(),
        ["EdDSA", "ES256"]
    );
    assert_eq!(sign(&new, NOW + HOUR - Duration::from_millis(1)).1, first);
    let (later, second) = sign(&new, NOW + HOUR);
    assert_ne!(second, first);
    assert!(new.verify(&later, NOW + HOUR).is_ok());
    assert!(new.verify(&token, NOW).is_ok(), "the old key's tokens hold on");
    new.refresh(NOW + HOUR).await.unwrap();
    assert_eq!(store.keys().await.unwrap().len(), 2, "one change makes one key");
}

#[tokio::test]
async fn a_key_sealed_under_another_master_stops_the_start_and_is_left_alone() {
    let store = TestStore::fresh().await;
    let kid = sign(&ring(&store, settings(&[])).await, NOW).1;
    let other = Master::new(&Secret::from("another secret of thirty-two bytes")).unwrap().into();
    let refused = KeyRing::open(Arc::clone(&store) as _, &other, DEPLOYMENT, settings(&[]), NOW).await;
    assert!(matches!(refused, Err(OpenError::Sealed(named)) if named == kid));
    assert_eq!(store.keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_that_cannot_be_read_hides_no_revocation() {
    let store = TestStore::fresh().await;
    let ring = ring(&store, settings(&[])).await;
    let (token, kid) = sign(&ring, NOW);
    let foreign = StoredKey {
        kid: "foreign".to_owned(),
        algorithm: "ML-DSA-65".to_owned(),
        ..store.keys().await.unwrap().remove(0)
    };
    assert!(store.insert_key(&foreign, std::slice::from_ref(&kid)).await.unwrap());
    assert!(matches!(ring.refresh(NOW).await, Err(OpenError::Algorithm { .. })));
    assert!(ring.verify(&token, NOW).is_ok(), "what was known goes on");
    store.delete_key(&kid).await.unwrap();
    assert!(ring.refresh(NOW).await.is_err());
    assert_eq!(ring.verify(&token, NOW), Err(Invalid::UnknownKey));
}

#[tokio::test]
async fn a_store_out_of_reach_takes_no_key_away() {
    let store = TestStore::fresh().await;
    let ring = ring(&store, settings(&[])).await;
    let (token, _) = sign(&ring, NOW);
    store.close().await;
    assert!(matches!(ring.refresh(NOW + MONTHS).await, Err(OpenError::Store(_))));
    assert!(ring.verify(&token, NOW).is_ok());
    assert_eq!(sign(&ring, NOW + 2 * MONTHS).1, published(&ring)[0], "an old key signs rather than none");
}

#[tokio::test]
async fn an_emptied_store_gets_its_keys_back_from_all_who_know_them() {
    let store = TestStore::fresh().await;
    let (one, two) = (ring(&store, settings(&[])).await, ring(&store, settings(&[])).await);
    let due = NOW + MONTHS;
    for ring in [&one, &two] {
        ring.refresh(due - HOUR).await.unwrap();
    }
    let (token, before) = (sign(&one, due - HOUR).0, published(&one));
    store.empty().await;
    let (first, second) = store.race(one.refresh(due - HOUR), two.refresh(due - HOUR)).await;
    first.and(second).unwrap();
    for ring in [&one, &two] {
        assert_eq!((published(ring), ring.generation()), (before.clone(), 0));
        assert!(ring.verify(&token, due - HOUR).is_ok());
    }
    assert_eq!(store.keys().await.unwrap().len(), 2);
    assert_eq!(store.deployment().await.unwrap().unwrap().id, DEPLOYMENT);
}

#[tokio::test]
async fn settings_that_outrun_themselves_do_not_fill_the_store() {
    let store = TestStore::fresh().await;
    let hasty = Settings { rotate_every: Duration::ZERO, publish_ahead: Duration::ZERO, ..settings(&[]) };
    let ring = ring(&store, hasty).await;
    for second in 0..60 {
        ring.refresh(NOW + Duration::from_secs(second)).await.unwrap();
    }
    assert!(store.keys().await.unwrap().len() <= 16, "{}", store.keys().await.unwrap().len());
}

#[tokio::test]
async fn a_clock_set_back_behind_every_key_still_signs() {
    let ring = ring(&TestStore::fresh().await, settings(&[])).await;
    let (_, first) = sign(&ring, NOW);
    let (token, kid) = sign(&ring, NOW - 1000 * HOUR);
    assert_eq!(kid, first);
    assert!(ring.verify(&token, NOW - 1000 * HOUR).is_ok());
}

#[tokio::test]
async fn without_any_key_nothing_is_signed_until_the_next_refresh() {
    let store = TestStore::fresh().await;
    let ring = ring(&store, settings(&[])).await;
    let (_, kid) = sign(&ring, NOW);
    let stored = store.keys().await.unwrap().remove(0);
    // Revoked by another node, while no other can be made.
    store.delete_key(&kid).await.unwrap();
    ring.take_in(&[]).unwrap();
    assert!(matches!(ring.sign(&Claims::of(&start(), ring.settings()), NOW), Err(OpenError::NoKey)));
    ring.refresh(NOW).await.unwrap();
    assert_ne!(sign(&ring, NOW).1, stored.kid);
}
