use std::time::Duration;

use http::HeaderName;

use super::*;
use crate::{
    change_log::Change,
    model::{Epoch, SessionId},
    store::{KeyStore, testing::TestStore},
    token::{
        Claim, Claims, RefreshTokens,
        fixture::{NOW, PROFILE, master, ring, settings, start},
    },
};

const MIB: u64 = 1 << 20;

struct Bench {
    store: Arc<TestStore>,
    keys: Arc<KeyRing>,
    changes: Arc<View>,
    clock: Clock,
    authenticator: Authenticator,
}

async fn bench_with_cache(bytes: u64) -> Bench {
    let store = TestStore::fresh().await;
    let keys = Arc::new(ring(&store, settings(&PROFILE)).await);
    let (changes, clock) = (Arc::new(View::default()), Clock::manual(NOW));
    let identity = identity::Settings {
        headers: vec![(HeaderName::from_static("x-forwarded-user"), Claim::Sub)],
        unverified_email: false,
    };
    let (ring, log, metrics) = (Arc::clone(&keys), Arc::clone(&changes), Arc::default());
    let authenticator = Authenticator::new(ring, log, identity, clock.clone(), None, bytes, metrics);
    Bench { store, keys, changes, clock, authenticator }
}

async fn bench() -> Bench {
    bench_with_cache(MIB).await
}

impl Bench {
    /// A token of the `n`th session, with what it says.
    fn token(&self, n: u8) -> (String, Claims) {
        let mut claims = Claims::of(&start(), self.keys.settings());
        claims.session = SessionId::from_bytes([n; 16]);
        (self.keys.sign(&claims, self.clock.now()).unwrap(), claims)
    }

    /// How many tokens were verified because the cache did not know them.
    fn verifications(&self) -> u64 {
        self.authenticator.metrics.token_cache_misses.get()
    }

    fn send(&self, authorization: &[u8]) -> Outcome {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(authorization).unwrap());
        self.authenticator.authenticate(&headers)
    }

    fn bearer(&self, token: &str) -> Outcome {
        self.send(format!("Bearer {token}").as_bytes())
    }
}

#[track_caller]
fn rejection(outcome: &Outcome) -> Rejection {
    match outcome {
        Outcome::Rejected(rejection) => *rejection,
        Outcome::Anonymous => panic!("anonymous"),
        Outcome::Authenticated(_) => panic!("authenticated"),
        Outcome::Unavailable(stale) => panic!("{stale}"),
    }
}

#[track_caller]
fn principal(outcome: Outcome) -> Arc<Principal> {
    match outcome {
        Outcome::Authenticated(principal) => principal,
        Outcome::Anonymous => panic!("anonymous"),
        Outcome::Rejected(rejection) => panic!("{rejection:?}"),
        Outcome::Unavailable(stale) => panic!("{stale}"),
    }
}

#[tokio::test]
async fn a_good_token_says_who_is_calling() {
    let bench = bench().await;
    let (token, claims) = bench.token(1);
    let principal = principal(bench.bearer(&token));
    assert_eq!(
        (principal.subject, principal.session, &principal.client),
        (claims.subject, claims.session, &claims.client)
    );
    assert_eq!((&*principal.scope, principal.staff, &*principal.token_id), ("read write", true, &*claims.id));
    assert_eq!((principal.issued_at, principal.expires_at), (claims.issued_at, claims.expires_at));
    let headers: Vec<_> = principal.headers.iter().collect();
    let [(name, value)] = &headers[..] else { panic!("one header") };
    assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-forwarded-user", &*claims.subject.to_string()));
}

#[tokio::test]
async fn the_scheme_counts_in_any_case_and_with_any_number_of_spaces() {
    let bench = bench().await;
    let (token, _) = bench.token(1);
    for prefix in ["Bearer ", "bearer ", "BEARER ", "bEaReR   ", "Bearer \t "] {
        principal(bench.send(format!("{prefix}{token}").as_bytes()));
        principal(bench.send(format!("{prefix}{token}  ").as_bytes()));
    }
    assert_eq!(bench.verifications(), 1, "one token, however it is spelt around");
}

#[tokio::test]
async fn no_header_an_empty_one_and_other_schemes_are_anonymous() {
    let bench = bench().await;
    assert!(matches!(bench.authenticator.authenticate(&HeaderMap::new()), Outcome::Anonymous));
    for other in [
        &b""[..],
        b"   ",
        b"Basic d2ViOnNlY3JldA==",
        b"Digest username=x",
        b"Bearerx y",
        b"Bearer:abc",
        b"Token abc",
        b"\x80earer x",
        b"null",
    ] {
        assert!(matches!(bench.send(other), Outcome::Anonymous), "{other:?}");
    }
}

#[tokio::test]
async fn a_bearer_that_is_no_one_word_is_told_so_as_ever() {
    let bench = bench().await;
    let (token, _) = bench.token(1);
    for (header, expected) in [
        ("Bearer".to_owned(), Rejection::NoToken),
        ("bearer   ".to_owned(), Rejection::NoToken),
        ("Bearer a b".to_owned(), Rejection::TwoWords),
        (format!("Bearer google-oauth2 {token}"), Rejection::TwoWords),
        (format!("Bearer {token} x"), Rejection::TwoWords),
        ("Bearer a b c".to_owned(), Rejection::ManyWords),
        (format!("Bearer {token} {token} {token} {token}"), Rejection::ManyWords),
        ("Bearer null".to_owned(), Rejection::Foreign),
        ("Bearer undefined".to_owned(), Rejection::Foreign),
        ("Bearer a,b".to_owned(), Rejection::Foreign),
        (format!("Bearer {token},{token}"), Rejection::Foreign),
        (format!("Bearer \"{token}\""), Rejection::Foreign),
    ] {
        assert_eq!(rejection(&bench.send(header.as_bytes())), expected, "{header}");
    }
    for bytes in [&b"Bearer \xff\xfe"[..], b"Bearer caf\xc3\xa9", b"Bearer a\xa0b"] {
        assert_eq!(rejection(&bench.send(bytes)), Rejection::Foreign, "{bytes:?}");
    }
}

#[test]
fn clients_read_the_words_of_the_contract() {
    let invalid = r#"Bearer realm="api",error="invalid_token",error_description="The access token is invalid.""#;
    let expired = r#"Bearer realm="api",error="invalid_token",error_description="The access token has expired.""#;
    let plain = r#"Bearer realm="api""#;
    let generic = "Invalid token header. No credentials provided.";
    for (rejection, detail, challenge) in [
        (Rejection::NoCredentials, "Authentication credentials were not provided.", plain),
        (Rejection::Foreign, generic, invalid),
        (Rejection::Invalid, generic, invalid),
        (Rejection::Revoked, generic, invalid),
        (Rejection::Expired, generic, expired),
        (Rejection::NoToken, "Invalid token header. No backend provided.", invalid),
        (Rejection::TwoWords, "Invalid token header. Invalid backend.", plain),
        (Rejection::ManyWords, "Invalid token header. Token string should not contain spaces.", plain),
    ] {
        assert_eq!(rejection.detail(), detail);
        assert_eq!(rejection.challenge(), challenge);
    }
}

#[tokio::test]
async fn a_token_is_verified_once_and_remembered() {
    let bench = bench().await;
    let (token, _) = bench.token(1);
    let first = principal(bench.bearer(&token));
    for _ in 0..100 {
        assert!(Arc::ptr_eq(&first, &principal(bench.bearer(&token))));
    }
    assert_eq!(bench.verifications(), 1);
}

#[tokio::test]
async fn what_does_not_hold_is_not_remembered() {
    let bench = bench().await;
    let (token, _) = bench.token(1);
    let refresh = RefreshTokens::new(&master(), [7; 16]).derive(&crate::token::Handle::generate(), 0);
    let bad = [
        ("garbage".to_owned(), Rejection::Foreign),
        ("a.b.c".to_owned(), Rejection::Foreign),
        (refresh.expose().to_owned(), Rejection::Foreign),
        (format!("{token}A"), Rejection::Invalid),
    ];
    for (bad, expected) in &bad {
        assert_eq!(rejection(&bench.bearer(bad)), *expected);
    }
    assert_eq!(bench.authenticator.cached_bytes(), 0);
    for huge in [MAX_TOKEN_BYTES + 1, 1 << 20] {
        assert_eq!(rejection(&bench.bearer(&"a".repeat(huge))), Rejection::Foreign);
    }
    assert_eq!(bench.verifications(), bad.len() as u64, "a huge one is not even hashed");
}

#[tokio::test]
async fn a_cached_token_expires_to_the_millisecond_and_leaves_the_cache() {
    let bench = bench().await;
    let (token, claims) = bench.token(1);
    principal(bench.bearer(&token));
    let last = claims.expires_at + Duration::from_secs(5) - Duration::from_millis(1);
    bench.clock.advance(last.since(NOW));
    principal(bench.bearer(&token));
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(rejection(&bench.bearer(&token)), Rejection::Expired);
    assert_eq!(bench.verifications(), 1, "found in the cache");
    assert_eq!(bench.authenticator.cached_bytes(), 0);
    assert_eq!(rejection(&bench.bearer(&token)), Rejection::Expired);
}

#[tokio::test]
async fn a_session_that_ends_takes_its_cached_tokens_along_and_no_others() {
    let bench = bench().await;
    let ((ended, claims), (other, _)) = (bench.token(1), bench.token(2));
    principal(bench.bearer(&ended));
    principal(bench.bearer(&other));
    bench.changes.apply(&Change::SessionEnded { sid: claims.session, until: NOW + Duration::from_hours(1) });
    assert_eq!(rejection(&bench.bearer(&ended)), Rejection::Revoked);
    assert_eq!(rejection(&bench.bearer(&ended)), Rejection::Revoked, "verified anew, and refused all the same");
    principal(bench.bearer(&other));
}

#[tokio::test]
async fn a_token_of_an_ended_session_is_refused_when_first_seen() {
    let bench = bench().await;
    let (token, claims) = bench.token(1);
    bench.changes.apply(&Change::SessionEnded { sid: claims.session, until: NOW + Duration::from_hours(1) });
    assert_eq!(rejection(&bench.bearer(&token)), Rejection::Revoked);
    assert_eq!(bench.authenticator.cached_bytes(), 0);
}

#[tokio::test]
async fn a_new_epoch_ends_older_tokens_of_the_account_only() {
    let bench = bench().await;
    let ((old, claims), (other, _)) = (bench.token(1), bench.token(2));
    principal(bench.bearer(&old));
    principal(bench.bearer(&other));
    let until = NOW + Duration::from_hours(1);
    let raise = |to| Change::AccountEpoch { account: claims.subject, min_epoch: Epoch(to), until };
    bench.changes.apply(&raise(claims.epoch.0));
    principal(bench.bearer(&old));
    bench.changes.apply(&raise(claims.epoch.0 + 1));
    assert_eq!(rejection(&bench.bearer(&old)), Rejection::Revoked);
    principal(bench.bearer(&other));
    let renewed = Claims { epoch: Epoch(claims.epoch.0 + 1), ..claims };
    principal(bench.bearer(&bench.keys.sign(&renewed, NOW).unwrap()));
}

#[tokio::test]
async fn a_revoked_key_voids_cached_tokens() {
    let bench = bench().await;
    let (token, _) = bench.token(1);
    principal(bench.bearer(&token));
    bench.store.delete_key(&bench.store.keys().await.unwrap()[0].kid).await.unwrap();
    bench.keys.refresh(NOW).await.unwrap();
    assert_eq!(rejection(&bench.bearer(&token)), Rejection::Foreign, "we have no such key any more");
    assert_eq!(bench.authenticator.cached_bytes(), 0);
    let (token, _) = bench.token(1);
    principal(bench.bearer(&token));
}

#[tokio::test]
async fn the_cache_stays_within_its_bytes() {
    let bench = bench_with_cache(64 * 1024).await;
    for _ in 0..500 {
        principal(bench.bearer(&bench.token(1).0));
        assert!(bench.authenticator.cached_bytes() <= 64 * 1024);
    }
    assert!(bench.authenticator.cached_bytes() > 16 * 1024, "and makes use of them");
}

#[tokio::test]
async fn an_entry_weighs_at_least_what_its_texts_take() {
    let bench = bench().await;
    let mut claims = bench.token(1).1;
    claims.profile.groups = (0..50).map(|n| format!("{n}{}", "g".repeat(100))).collect();
    principal(bench.bearer(&bench.keys.sign(&claims, NOW).unwrap()));
    assert!(bench.authenticator.cached_bytes() > 5000);
}

#[tokio::test]
async fn without_a_cache_every_token_is_verified_and_holds() {
    let bench = bench_with_cache(0).await;
    let (token, _) = bench.token(1);
    for _ in 0..3 {
        principal(bench.bearer(&token));
    }
    assert_eq!(bench.verifications(), 3);
}

#[tokio::test]
async fn tokens_are_told_apart_by_every_byte() {
    let bench = bench().await;
    let (token, _) = bench.token(1);
    principal(bench.bearer(&token));
    for at in 0..token.len() {
        let mut other = token.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let rejection = rejection(&bench.bearer(std::str::from_utf8(&other).unwrap()));
        assert!(matches!(rejection, Rejection::Foreign | Rejection::Invalid), "byte {at}: {rejection:?}");
    }
    assert_eq!(size_of::<Key>(), 32, "the whole hash is the key");
    assert_eq!(Cache::key(b"abc")[..4], [0x64, 0x37, 0xb3, 0xac], "BLAKE3, as its test vectors have it");
}

#[tokio::test]
async fn a_log_out_of_reach_for_too_long_leaves_no_bearer_judged_until_it_is_read_again() {
    let mut bench = bench().await;
    let most = Duration::from_mins(5);
    bench.authenticator.max_staleness = Some(most);
    bench.changes.read_to_its_end(NOW);
    let (token, _) = bench.token(1);
    bench.clock.advance(most);
    principal(bench.bearer(&token));
    bench.clock.advance(Duration::from_millis(1));
    for bearer in [&token, "not.a.token", "x"] {
        assert!(matches!(bench.bearer(bearer), Outcome::Unavailable(_)), "{bearer}: a new key may have signed it");
    }
    assert!(matches!(bench.send(b"Basic d2ViOnNlY3JldA=="), Outcome::Anonymous), "nobody asks who that is");
    bench.changes.read_to_its_end(bench.clock.now());
    principal(bench.bearer(&token));
    assert_eq!(rejection(&bench.bearer("not.a.token")), Rejection::Foreign);
}
