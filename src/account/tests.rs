use std::time::Duration;

use super::*;
use crate::{
    clock::Timestamp,
    model::{ClientId, Scope, SessionId},
    password::{self, vectors},
    session::Rules,
    store::{AccountStore, ChangeStore, NewSession, SessionStart, SessionStore, testing::TestStore},
};

const PASSWORD: &str = "correct-horse-7";

struct Bench {
    store: Arc<TestStore>,
    hasher: Arc<Hasher>,
    accounts: Accounts,
}

fn costs(iterations: u32) -> password::Settings {
    password::Settings { memory_kib: 64, iterations, parallelism: 1, max_concurrent: 1, queue: 8 }
}

fn bench_with(store: Arc<TestStore>, registration: bool, iterations: u32) -> Bench {
    let settings =
        Settings { registration, sign_in_after_registration: true, reclaim_unverified: true, list: List::Staff };
    let hasher = Arc::new(Hasher::new(costs(iterations)).unwrap());
    let clock = Clock::manual(Timestamp::from_seconds(1_000));
    let accounts = Accounts::new(store.clone(), hasher.clone(), settings, clock);
    Bench { store, hasher, accounts }
}

async fn bench() -> Bench {
    bench_with(TestStore::fresh().await, true, 1)
}

fn ann() -> Registration {
    Registration {
        email: "Ann@Example.com".into(),
        username: "ann".into(),
        first_name: "Ann".into(),
        password: PASSWORD.into(),
    }
}

/// Made by the command line, without a password.
fn operator(email: &str) -> NewAccount {
    NewAccount {
        email: email.into(),
        email_verified: true,
        username: "boss".into(),
        first_name: String::new(),
        password: None,
        staff: true,
    }
}

impl Bench {
    async fn sign_up(&self, registration: Registration) -> Result<Account, RegisterError> {
        self.register(registration, None).await.map(|(account, _)| account)
    }

    async fn register(
        &self,
        registration: Registration,
        first_session: Option<NewSession>,
    ) -> Result<(Account, Option<SessionStart>), RegisterError> {
        self.accounts.enrol(&self.accounts.prepare(registration, first_session).await?).await
    }

    async fn refused(&self, registration: Registration) -> Faults {
        match self.sign_up(registration).await {
            Err(RegisterError::Fields(faults)) => faults,
            other => panic!("not refused for its fields: {other:?}"),
        }
    }

    async fn sign_in(&self, email: &str, password: &str) -> Result<Account, SignInError> {
        self.accounts.sign_in(email, Secret::from(password)).await
    }

    async fn failure(&self, email: &str, password: &str) -> SignInFailure {
        match self.sign_in(email, password).await {
            Err(SignInError::Invalid(failure)) => failure,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// What is kept of the account of this canonical address.
    async fn kept(&self, email_key: &str) -> Credentials {
        self.store.credentials(email_key).await.unwrap().unwrap()
    }
}

fn faults<const N: usize>(expected: [(&'static str, &str); N]) -> Faults {
    expected.map(|(field, text)| (field, text.to_owned())).into()
}

#[tokio::test]
async fn a_stranger_becomes_an_unverified_account_without_rights() {
    let bench = bench().await;
    let account = bench.sign_up(ann()).await.unwrap();
    let expected = Account {
        id: account.id,
        email: Some("Ann@Example.com".into()),
        email_verified: false,
        username: "ann".into(),
        first_name: "Ann".into(),
        last_name: String::new(),
        groups: Vec::new(),
        staff: false,
        active: true,
        external_id: None,
        epoch: Epoch(0),
        created_at: Timestamp::from_seconds(1_000),
    };
    assert_eq!(account, expected);
    let kept = bench.kept("ann@example.com").await;
    assert_eq!(kept.account, expected);
    assert!(kept.password_hash.unwrap().starts_with("$argon2id$"));
}

#[tokio::test]
async fn outer_spaces_are_trimmed_of_every_field_but_the_password() {
    let bench = bench().await;
    let registration = Registration {
        email: " ann@example.com ".into(),
        username: "\tann\n".into(),
        first_name: " Ann Lee ".into(),
        password: "  padded secret  ".into(),
    };
    let account = bench.sign_up(registration).await.unwrap();
    assert_eq!(account.email.as_deref(), Some("ann@example.com"));
    assert_eq!((account.username.as_str(), account.first_name.as_str()), ("ann", "Ann Lee"));
    assert!(bench.sign_in(" ann@example.com ", "  padded secret  ").await.is_ok());
    assert_eq!(bench.failure("ann@example.com", "padded secret").await, SignInFailure::Password);
}

#[tokio::test]
async fn the_first_session_is_made_for_the_new_account_and_kept_with_it() {
    let bench = bench().await;
    let first = |byte| NewSession {
        id: SessionId::from_bytes([byte; 16]),
        client: ClientId::from("web"),
        scope: Scope::parse("read").unwrap(),
        user_agent: String::new(),
        source: None,
        rules: Rules {
            idle_ttl: Duration::from_secs(1),
            absolute_ttl: Duration::from_secs(1),
            reuse_grace: Duration::ZERO,
            access_ttl: Duration::from_secs(1),
        },
    };
    let (account, start) = bench.register(ann(), Some(first(7))).await.unwrap();
    let session = bench.store.session(SessionId::from_bytes([7; 16])).await.unwrap().unwrap();
    assert_eq!(session.account, account.id);
    assert_eq!(start.unwrap().session, session);

    assert!(bench.register(ann(), Some(first(8))).await.is_err());
    let never = bench.store.session(SessionId::from_bytes([8; 16])).await.unwrap();
    assert_eq!(never, None, "of an account that was not made");
}

#[tokio::test]
async fn all_wrong_fields_are_told_at_once_and_nothing_is_hashed() {
    let bench = bench().await;
    let registration = Registration {
        email: "ann@".into(),
        username: " ".into(),
        first_name: "x".repeat(151),
        password: "12345".into(),
    };
    let expected = faults([
        ("email", "Enter a valid email address."),
        ("username", "This field may not be blank."),
        ("first_name", "Ensure this field has no more than 150 characters."),
        ("password", "This password is too short. It must contain at least 8 characters."),
        ("password", "This password is too common."),
    ]);
    assert_eq!(bench.refused(registration).await, expected);
    assert_eq!(bench.hasher.computed(), 0);
    assert_eq!(bench.store.all_accounts().await, []);
}

#[tokio::test]
async fn a_draft_is_judged_by_the_fields_it_has() {
    let bench = bench().await;
    assert_eq!(bench.accounts.faults(Draft::default()).await.unwrap(), []);
    let short = Secret::from("x7$Kq-2");
    let draft = Draft { username: Some("ann"), password: Some(&short), ..Draft::default() };
    let expected = faults([("password", "This password is too short. It must contain at least 8 characters.")]);
    assert_eq!(bench.accounts.faults(draft).await.unwrap(), expected);
}

#[tokio::test]
async fn a_password_made_of_the_persons_own_names_is_refused() {
    let bench = bench().await;
    let registration = Registration { username: "wonderland".into(), password: "Wonderland1".into(), ..ann() };
    assert_eq!(bench.refused(registration).await, faults([("password", "This password is too common.")]));
}

#[tokio::test]
async fn an_address_is_taken_in_every_spelling_of_it() {
    let bench = bench().await;
    bench.sign_up(Registration { email: "ann@bücher.example".into(), ..ann() }).await.unwrap();
    let hashes = bench.hasher.computed();
    for email in ["ann@bücher.example", "ANN@BÜCHER.example", "ann@xn--bcher-kva.example", " ann@bu\u{308}cher.example"]
    {
        let registration = Registration { email: email.into(), password: "short".into(), ..ann() };
        let found = bench.refused(registration).await;
        assert_eq!(found[0], ("email", "account with this email already exists.".to_owned()), "{email}");
        assert_eq!(found[1].0, "password", "beside the other faults");
    }
    assert_eq!(bench.hasher.computed(), hashes);
}

#[tokio::test]
async fn the_slower_of_two_sign_ups_at_once_hears_that_the_address_is_taken() {
    let bench = bench().await;
    let expected = faults([("email", "account with this email already exists.")]);
    let (refused, made) = bench.store.race(bench.refused(ann()), bench.sign_up(ann())).await;
    assert_eq!(refused, expected);
    assert_eq!(bench.store.all_accounts().await, [made.unwrap()]);
}

#[tokio::test]
async fn closed_registration_lets_operators_in_alone() {
    let bench = bench_with(TestStore::fresh().await, false, 1);
    assert!(matches!(bench.sign_up(ann()).await, Err(RegisterError::Closed)));
    assert!(matches!(bench.accounts.faults(Draft::default()).await, Err(RegisterError::Closed)));
    let account = bench.accounts.create(operator("boss@example.com")).await.unwrap();
    assert!(account.staff && account.email_verified && account.first_name.is_empty());
    assert_eq!(bench.failure("boss@example.com", PASSWORD).await, SignInFailure::Password);
}

#[tokio::test]
async fn one_signs_in_by_any_spelling_of_the_address_and_either_form_of_the_password() {
    let bench = bench().await;
    let registration = Registration { password: "caf\u{e9}-crème-7".into(), ..ann() };
    let account = bench.sign_up(registration).await.unwrap();
    for email in ["Ann@Example.com", "ann@EXAMPLE.COM", "  ann@example.com"] {
        assert_eq!(bench.sign_in(email, "cafe\u{301}-cre\u{300}me-7").await.unwrap(), account);
    }
}

#[tokio::test]
async fn every_refused_sign_in_costs_one_hash() {
    let bench = bench().await;
    let inactive = bench.sign_up(Registration { email: "inactive@example.com".into(), ..ann() }).await.unwrap();
    bench.accounts.change(inactive.id, AccountChange::Active(false)).await.unwrap();
    bench.accounts.create(operator("none@example.com")).await.unwrap();
    let broken = bench.sign_up(Registration { email: "broken@example.com".into(), ..ann() }).await.unwrap();
    let foreign = AccountChange::Password("pbkdf2_sha256$1$salt$hash".into());
    bench.accounts.change(broken.id, foreign).await.unwrap();
    bench.sign_up(ann()).await.unwrap();

    let long = "x".repeat(1_000_000);
    for (email, password, failure) in [
        ("ann@example.com", "wrong", SignInFailure::Password),
        ("ann@example.com", "", SignInFailure::Password),
        ("ann@example.com", long.as_str(), SignInFailure::Password),
        ("nobody@example.com", PASSWORD, SignInFailure::Unknown),
        ("nobody@example.com", long.as_str(), SignInFailure::Unknown),
        ("not an address", PASSWORD, SignInFailure::Unknown),
        ("ann\0@example.com", PASSWORD, SignInFailure::Unknown),
        (long.as_str(), PASSWORD, SignInFailure::Unknown),
        ("inactive@example.com", PASSWORD, SignInFailure::Inactive),
        ("inactive@example.com", "wrong", SignInFailure::Inactive),
        ("none@example.com", PASSWORD, SignInFailure::Password),
        ("broken@example.com", PASSWORD, SignInFailure::Password),
    ] {
        let before = bench.hasher.computed();
        assert_eq!(bench.failure(email, password).await, failure);
        assert_eq!(bench.hasher.computed() - before, 1, "{failure:?}");
    }
}

#[tokio::test]
async fn a_username_or_an_id_is_no_login() {
    let bench = bench().await;
    let account = bench.sign_up(ann()).await.unwrap();
    assert_eq!(bench.failure("ann", PASSWORD).await, SignInFailure::Unknown);
    assert_eq!(bench.failure(&account.id.to_string(), PASSWORD).await, SignInFailure::Unknown);
}

#[tokio::test]
async fn an_outdated_hash_is_replaced_at_sign_in_and_no_epoch_moves() {
    let store = TestStore::fresh().await;
    let account = bench_with(store.clone(), true, 1).sign_up(ann()).await.unwrap();
    let today = bench_with(store, true, 2);
    let old = today.kept("ann@example.com").await.password_hash;

    assert_eq!(today.failure("ann@example.com", "wrong").await, SignInFailure::Password);
    assert_eq!(today.kept("ann@example.com").await.password_hash, old, "only its owner renews a hash");

    assert_eq!(today.sign_in("ann@example.com", PASSWORD).await.unwrap(), account);
    let renewed = today.kept("ann@example.com").await;
    let new = renewed.password_hash.unwrap();
    assert!(new.contains("m=64,t=2,p=1"), "{new}");
    assert_eq!(renewed.account.epoch, account.epoch);

    let before = today.hasher.computed();
    today.sign_in("ann@example.com", PASSWORD).await.unwrap();
    assert_eq!(today.hasher.computed() - before, 1, "renewed once");
}

#[tokio::test]
async fn a_hash_that_django_made_is_replaced_by_ours_at_the_first_sign_in() {
    let bench = bench().await;
    let account = bench.sign_up(ann()).await.unwrap();
    for (password, hash) in
        vectors::VECTORS.iter().flat_map(|(password, hashes)| hashes.iter().map(|hash| (*password, *hash)))
    {
        bench.accounts.change(account.id, AccountChange::Password(hash.to_owned())).await.unwrap();
        assert_eq!(bench.failure("ann@example.com", "wrong").await, SignInFailure::Password, "{hash}");
        assert_eq!(bench.kept("ann@example.com").await.password_hash.as_deref(), Some(hash));

        let signed_in = bench.sign_in("ann@example.com", password).await.unwrap();
        let kept = bench.kept("ann@example.com").await;
        assert_eq!(kept.account, signed_in, "no epoch moves");
        assert!(kept.password_hash.unwrap().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert!(bench.sign_in("ann@example.com", password).await.is_ok(), "{hash}");
    }
}

#[tokio::test]
async fn a_password_from_django_has_one_spelling_until_its_owner_signs_in() {
    let bench = bench().await;
    let account = bench.sign_up(ann()).await.unwrap();
    let (_, hashes) = vectors::VECTORS.iter().find(|(password, _)| *password == vectors::COMPOSED).unwrap();
    bench.accounts.change(account.id, AccountChange::Password(hashes[0].to_owned())).await.unwrap();
    assert_eq!(bench.failure("ann@example.com", vectors::DECOMPOSED).await, SignInFailure::Password);
    assert!(bench.sign_in("ann@example.com", vectors::COMPOSED).await.is_ok());
    assert!(bench.sign_in("ann@example.com", vectors::DECOMPOSED).await.is_ok());
}

#[tokio::test]
async fn a_store_that_fails_is_never_a_wrong_password() {
    let bench = bench().await;
    bench.sign_up(ann()).await.unwrap();
    bench.store.close().await;
    assert!(matches!(bench.sign_in("ann@example.com", PASSWORD).await, Err(SignInError::Store(_))));
    let other = Registration { email: "bob@example.com".into(), ..ann() };
    assert!(matches!(bench.sign_up(other).await, Err(RegisterError::Store(_))));
    assert!(matches!(
        bench.accounts.find("ann@example.com").await,
        Err(ChangeError::Register(RegisterError::Store(_)))
    ));
}

#[tokio::test]
async fn an_operator_finds_accounts_by_address_or_id() {
    let bench = bench().await;
    let account = bench.sign_up(ann()).await.unwrap();
    for name in ["ann@example.com", " ANN@example.com ", &account.id.to_string()] {
        assert_eq!(bench.accounts.find(name).await.unwrap(), account);
    }
    for name in ["bob@example.com", "ann", "", &AccountId::generate().to_string()] {
        assert!(matches!(bench.accounts.find(name).await, Err(ChangeError::Unknown)), "{name}");
    }
}

#[tokio::test]
async fn a_new_password_follows_the_rules_of_sign_up_and_ends_the_old_one() {
    let bench = bench().await;
    let account = bench.sign_up(ann()).await.unwrap();
    let weak = bench.accounts.set_password(account.id, "password123".into()).await;
    match weak {
        Err(ChangeError::Register(RegisterError::Fields(found))) => {
            assert_eq!(found, faults([("password", "This password is too common.")]));
        }
        other => panic!("not refused: {other:?}"),
    }
    let own = bench.accounts.set_password(account.id, "Ann@example.com".into()).await;
    assert!(matches!(own, Err(ChangeError::Register(RegisterError::Fields(_)))));

    let changed = bench.accounts.set_password(account.id, "another-horse-8".into()).await.unwrap();
    assert!(changed.epoch > account.epoch);
    assert_eq!(bench.failure("ann@example.com", PASSWORD).await, SignInFailure::Password);
    assert!(bench.sign_in("ann@example.com", "another-horse-8").await.is_ok());
    let unknown = bench.accounts.set_password(AccountId::generate(), "another-horse-8".into()).await;
    assert!(matches!(unknown, Err(ChangeError::Unknown)));
}
