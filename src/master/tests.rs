use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::store::{ChangeStore, testing::TestStore};

const TEXT: &str = "0123456789abcdef0123456789abcdef";

fn master(text: &str) -> Master {
    Master::new(&Secret::from(text)).unwrap()
}

fn given(text: &str) -> Source {
    Source::Given(Secret::from(text))
}

#[test]
fn each_purpose_has_a_key_of_its_own_and_keeps_it() {
    const ALL: [Purpose; 4] = [Purpose::RefreshToken, Purpose::SealSigningKeys, Purpose::ClientSecret, Purpose::Check];
    let (one, other) = (master(TEXT), master(&TEXT.replace('0', "1")));
    for (n, purpose) in ALL.into_iter().enumerate() {
        assert_eq!(one.derive(purpose), master(TEXT).derive(purpose));
        assert_ne!(one.derive(purpose), other.derive(purpose));
        for later in ALL.into_iter().skip(n + 1) {
            assert_ne!(one.derive(purpose), one.derive(later));
        }
    }
}

#[test]
fn derived_keys_are_those_of_rfc_5869() {
    // Extract and expand written out with HMAC alone, as section 2 of the RFC has them.
    let hmac = |key: &[u8], data: &[&[u8]]| mac(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    let root = hmac(SALT, &[TEXT.as_bytes()]);
    assert_eq!(*master(TEXT).derive(Purpose::RefreshToken), hmac(&root, &[b"refresh token v1", &[1]]));
    assert_eq!(master(TEXT).key_id(), hmac(&root, &[b"key id v1", &[1]])[0]);
}

#[test]
fn white_space_around_a_secret_does_not_count_and_31_bytes_are_too_few() {
    assert_eq!(master(TEXT).derive(Purpose::Check), master(&format!(" {TEXT}\r\n")).derive(Purpose::Check));
    let short = Master::new(&Secret::from(format!("  {}  ", &TEXT[1..]).as_str()));
    assert!(matches!(short, Err(OpenError::TooShort { length: 31, .. })));
}

#[test]
fn a_client_secret_matches_its_own_mac_only() {
    let secrets = ClientSecrets::new(&master(TEXT));
    let kept = secrets.mac(&Secret::from("correct"));
    assert!(secrets.matches(&Secret::from("correct"), &kept));
    assert!(!secrets.matches(&Secret::from("Correct"), &kept));
    assert!(!secrets.matches(&Secret::from(""), &kept));
    let elsewhere = ClientSecrets::new(&master(&TEXT.replace('0', "1")));
    assert!(!elsewhere.matches(&Secret::from("correct"), &kept));
}

#[tokio::test]
async fn a_given_secret_claims_an_empty_store_and_opens_it_again() {
    let store = TestStore::fresh().await;
    let (_, deployment) = open(&given(TEXT), &[], &*store).await.unwrap();
    let (_, again) = open(&given(TEXT), &[], &*store).await.unwrap();
    assert_eq!(deployment, again);
}

#[tokio::test]
async fn another_secret_does_not_open_a_claimed_store() {
    let store = TestStore::fresh().await;
    open(&given(TEXT), &[], &*store).await.unwrap();
    let refused = open(&given("another secret of thirty-two bytes"), &[], &*store).await;
    assert!(matches!(refused, Err(OpenError::Mismatch(_))));
}

#[tokio::test]
async fn the_first_start_makes_a_private_file_that_the_second_start_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.secret");
    let store = TestStore::fresh().await;
    let (masters, deployment) = open(&Source::File(path.clone()), &[], &*store).await.unwrap();
    assert!(masters.in_force().fits(&deployment));
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.trim().len() >= MIN_BYTES);
    open(&Source::File(path), &[], &*store).await.unwrap();
    // The same text given in the configuration is the same secret.
    open(&given(&text), &[], &*store).await.unwrap();
}

#[tokio::test]
async fn an_absent_file_beside_a_claimed_store_is_an_error_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.secret");
    let store = TestStore::fresh().await;
    open(&given(TEXT), &[], &*store).await.unwrap();
    let refused = open(&Source::File(path.clone()), &[], &*store).await;
    assert!(matches!(refused, Err(OpenError::Missing(_))));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_too_short_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.secret");
    std::fs::write(&path, "short\n").unwrap();
    let store = TestStore::fresh().await;
    let refused = open(&Source::File(path.clone()), &[], &*store).await;
    assert!(matches!(refused, Err(OpenError::TooShort { length: 5, .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "short\n");
    assert!(store.deployment().await.unwrap().is_none(), "the store was not claimed");
}

#[tokio::test]
async fn nodes_that_claim_at_once_agree_on_one_deployment_when_they_share_the_secret() {
    let store = TestStore::fresh().await;
    let source = given(TEXT);
    let (one, two) = store.race(open(&source, &[], &*store), open(&source, &[], &*store)).await;
    assert_eq!(one.unwrap().1, two.unwrap().1);
}

#[tokio::test]
async fn the_node_that_loses_a_claim_with_a_secret_of_its_own_says_so_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.secret");
    let store = TestStore::fresh().await;
    let (given, file) = (given(TEXT), Source::File(path.clone()));
    let (loser, winner) = store.race(open(&file, &[], &*store), open(&given, &[], &*store)).await;
    assert!(winner.is_ok());
    assert!(matches!(loser, Err(OpenError::Mismatch(_))));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_store_out_of_reach_makes_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.secret");
    let store = TestStore::fresh().await;
    store.close().await;
    assert!(matches!(open(&Source::File(path.clone()), &[], &*store).await, Err(OpenError::Store(_))));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_store_under_a_previous_secret_opens_and_stays_under_it() {
    let store = TestStore::fresh().await;
    let (_, deployment) = open(&given(TEXT), &[], &*store).await.unwrap();
    let new = given("another secret of thirty-two bytes");
    let (masters, again) = open(&new, &[given(TEXT)], &*store).await.unwrap();
    assert_eq!(again, deployment);
    assert!(masters.is_behind() && masters.in_force().fits(&deployment));

    let third = given("a third secret, of thirty-two bytes");
    let refused = open(&third, std::slice::from_ref(&new), &*store).await;
    assert!(matches!(refused, Err(OpenError::Mismatch(_))), "neither of them is the store's");
}

#[tokio::test]
async fn an_empty_store_is_claimed_under_the_new_secret() {
    let store = TestStore::fresh().await;
    let new = given("another secret of thirty-two bytes");
    let (masters, deployment) = open(&new, &[given(TEXT)], &*store).await.unwrap();
    assert!(!masters.is_behind() && masters.configured().fits(&deployment));
}

#[tokio::test]
async fn a_previous_secret_that_cannot_be_read_is_told_and_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.secret");
    let store = TestStore::fresh().await;
    let previous = [Source::File(path.clone())];
    assert!(matches!(open(&given(TEXT), &previous, &*store).await, Err(OpenError::Read { .. })));
    std::fs::write(&path, "short\n").unwrap();
    assert!(matches!(open(&given(TEXT), &previous, &*store).await, Err(OpenError::TooShort { .. })));
    assert!(store.deployment().await.unwrap().is_none());
}
