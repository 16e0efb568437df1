//! A gateway that dies over a change, after each of its steps in turn: the change is then made as a whole or not at
//! all, once the time has passed that it had.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    change_log::Change,
    model::{Account, Epoch},
    session::Refusal,
    store::{
        AccountChange, Enrolment, Import, ImportedLink, InsertAccount, LinkSignIn, Rotation, Sessions, Store,
        contract::{INSERTED, RULES, account, enrolment, key, new_session, presented},
    },
};

/// A way to the server that ends after so many more commands, answers and all.
struct Way {
    address: SocketAddr,
    left: Arc<AtomicU64>,
}

impl Way {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let own = Arc::clone(&left);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, Arc::clone(&own)));
            }
        });
        Self { address, left }
    }

    fn ends_after(&self, commands: u64) {
        self.left.store(commands, Ordering::SeqCst);
    }

    fn has_ended(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

/// One command at a time, which a node that does one thing gives one at a time.
async fn pass(mut client: TcpStream, server: SocketAddr, left: Arc<AtomicU64>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let mut buffer = vec![0; 1 << 20];
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        let passes = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if passes.is_err() {
            return;
        }
        if server.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        let Ok(length @ 1..) = server.read(&mut buffer).await else { return };
        if client.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// A gateway that is to die, and one that lives on.
struct Scene {
    server: RedisServer,
    clock: Clock,
    way: Way,
    dying: Node,
    living: Node,
}

impl Scene {
    async fn set() -> Self {
        let server = RedisServer::start();
        let clock = contract::clock();
        let way = Way::to(server.address).await;
        let (dying, living) = (node(way.address, &clock).await, node(server.address, &clock).await);
        Self { server, clock, way, dying, living }
    }

    fn store(&self) -> &dyn Store {
        &*self.living.store
    }

    /// Two minutes on: what was to go by itself has gone, and what lay unfinished is finished.
    async fn let_time_pass(&self) {
        for key in self.server.tell("KEYS *") {
            let left: i64 = self.server.tell(&format!("PTTL {key}"))[0].parse().unwrap();
            if (0..=120_000).contains(&left) {
                self.server.tell(&format!("DEL {key}"));
            }
        }
        for note in self.server.tell("ZRANGE test:{log}:unfinished 0 -1") {
            self.server.tell(&format!("ZADD test:{{log}}:unfinished 0 \"{note}\""));
        }
        self.store().sweep_expired(&RULES, 100).await.unwrap();
        assert_eq!(self.server.tell("ZCARD test:{log}:unfinished"), ["0"]);
    }

    async fn kept(&self, name: &str) -> Account {
        let account = account(name);
        let new = Enrolment { password_hash: Some("hash".to_owned()), ..enrolment(&account) };
        assert_eq!(self.store().insert_account(&new).await.unwrap(), INSERTED);
        account
    }

    async fn log(&self) -> Vec<Change> {
        let mut changes = self.store().read_changes(None).await.unwrap().entries;
        changes.retain(|change| !matches!(change, Change::Keys | Change::Clients));
        changes
    }
}

/// Plays `scene` with a gateway that dies after no step, after one, and so on, until it has done all of them.
async fn at_every_step(scene: impl AsyncFn(&Scene)) {
    let mut deaths = 0;
    loop {
        let set = Scene::set().await;
        set.way.ends_after(deaths);
        scene(&set).await;
        if !set.way.has_ended() {
            assert!(deaths > 3, "it has steps to die between");
            return;
        }
        deaths += 1;
        assert!(deaths < 60, "it comes to an end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_up_is_whole_or_leaves_everything_free() {
    at_every_step(async |scene| {
        let enrol = |name: &str| {
            let account = Account { external_id: Some("42".to_owned()), username: name.to_owned(), ..account("ann") };
            let (link, session) = (Some(key("facebook", "42")), Some(new_session()));
            Enrolment { link, session, ..enrolment(&account) }
        };
        let first = enrol("first");
        let answer = scene.dying.store.insert_account(&first).await;
        scene.let_time_pass().await;

        let second = enrol("second");
        let again = scene.store().insert_account(&second).await.unwrap();
        let was_made = again == InsertAccount::LinkTaken;
        assert!(was_made || matches!(again, InsertAccount::Inserted { session: Some(_), .. }), "{again:?}");
        assert!(was_made || answer.is_err(), "what was acknowledged is kept");
        let kept = if was_made { first } else { second };
        assert_eq!(scene.store().accounts(None, 10).await.unwrap(), std::slice::from_ref(&kept.account));
        let by_address = scene.store().credentials("ann@example.org").await.unwrap().unwrap();
        assert_eq!(by_address.account, kept.account);
        assert_eq!(scene.store().linked_account(&key("facebook", "42")).await.unwrap(), Some(kept.account.id));
        let session = scene.store().session(kept.session.unwrap().id).await.unwrap().unwrap();
        let refreshed = scene.store().rotate_session(&presented(&session, 0), &RULES).await.unwrap();
        assert!(matches!(refreshed, Rotation::Rotated(_)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_told_or_has_not_begun() {
    at_every_step(async |scene| {
        let ann = scene.kept("ann").await;
        let begun = scene.store().create_session(ann.id, ann.epoch, &new_session()).await.unwrap().unwrap();
        let sid = begun.session.id;
        let answer = scene.dying.store.end_sessions(ann.id, &Sessions::One(sid)).await;
        let refreshed = scene.store().rotate_session(&presented(&begun.session, 0), &RULES).await.unwrap();
        scene.let_time_pass().await;

        let told = scene
            .log()
            .await
            .iter()
            .any(|change| matches!(change, Change::SessionEnded { sid: ended, .. } if *ended == sid));
        let there = scene.store().session(sid).await.unwrap().is_some();
        assert_eq!(told, !there, "its refresh tokens and its access tokens end together");
        assert!(answer.is_err() || told, "what was acknowledged is kept");
        if told {
            assert_eq!(refreshed, Rotation::Refused(Refusal::Ended), "nothing was handed out after it began");
        } else {
            assert!(matches!(refreshed, Rotation::Rotated(_)));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_is_told_or_has_not_begun() {
    at_every_step(async |scene| {
        let ann = scene.kept("ann").await;
        let begun = scene.store().create_session(ann.id, ann.epoch, &new_session()).await.unwrap().unwrap();
        let change = AccountChange::Password("new".to_owned());
        let answer = scene.dying.store.change_account(ann.id, &change).await;
        scene.let_time_pass().await;

        let credentials = scene.store().credentials_of(ann.id).await.unwrap().unwrap();
        let changed = credentials.password_hash.as_deref() == Some("new");
        assert!(answer.is_err() || changed, "what was acknowledged is kept");
        assert_eq!(credentials.account.epoch, Epoch(u32::from(changed)));
        assert_eq!(scene.store().session(begun.session.id).await.unwrap().is_none(), changed);
        let told = scene.log().await;
        assert_eq!(told.len(), usize::from(changed));
        assert!(told.iter().all(|change| matches!(change, Change::AccountEpoch { min_epoch: Epoch(1), .. })));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_deleted_with_all_it_had_or_not_at_all() {
    at_every_step(async |scene| {
        let ann = import("ann");
        scene.store().import_accounts(vec![ann.clone()]).await.unwrap();
        let id = ann.account.id;
        let begun = scene.store().create_session(id, Epoch(0), &new_session()).await.unwrap().unwrap();
        let answer = scene.dying.store.delete_account(id).await;
        scene.let_time_pass().await;

        let gone = scene.store().account(id).await.unwrap().is_none();
        assert!(answer.is_err() || gone, "what was acknowledged is kept");
        assert_eq!(scene.store().session(begun.session.id).await.unwrap().is_none(), gone);
        let told = scene.log().await;
        assert_eq!(told.len(), usize::from(gone));
        assert!(told.iter().all(|change| matches!(change, Change::AccountEpoch { min_epoch: Epoch::GONE, .. })));
        assert_eq!(scene.store().accounts(None, 10).await.unwrap().is_empty(), gone);
        if gone {
            for key in scene.server.tell("KEYS *") {
                assert!(!["ann", ":link", ":external"].iter().any(|own| key.contains(own)), "{key}");
                let goes_by_itself = scene.server.tell(&format!("PTTL {key}"))[0] != "-1";
                assert!(goes_by_itself || !key.contains(&id.to_string()), "{key}");
            }
            assert_eq!(scene.server.tell("ZCARD test:accounts"), ["0"]);
        }
        let again = scene.store().import_accounts(vec![import("ann")]).await.unwrap().remove(0);
        assert_eq!(again.present.is_none(), gone, "nothing of it is in anybody's way");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_loses_nothing_that_another_gateway_left_to_be_told() {
    at_every_step(async |scene| {
        let ann = scene.kept("ann").await;
        let begun = scene.store().create_session(ann.id, ann.epoch, &new_session()).await.unwrap().unwrap();
        let sid = begun.session.id;
        let _ = scene.dying.store.end_sessions(ann.id, &Sessions::One(sid)).await;
        // Only its own entry knows until when its tokens live, once it is gone.
        let ended = scene.store().session(sid).await.unwrap().is_none();
        scene.clock.advance(Duration::from_secs(1));
        assert!(scene.store().delete_account(ann.id).await.unwrap());
        scene.let_time_pass().await;

        let log = scene.log().await;
        let told = log.iter().any(|change| matches!(change, Change::SessionEnded { sid: one, .. } if *one == sid));
        assert_eq!(told, ended);
        assert!(log.iter().any(|change| matches!(change, Change::AccountEpoch { min_epoch: Epoch::GONE, .. })));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_taken_back_is_of_one_account_or_free() {
    at_every_step(async |scene| {
        let squatter = scene.kept("ann").await;
        let owner = || Account { email_verified: true, ..account("ann") };
        let reclaiming = |account: &Account| Enrolment { reclaim: true, ..enrolment(account) };
        let first = owner();
        let answer = scene.dying.store.insert_account(&reclaiming(&first)).await;
        scene.let_time_pass().await;

        let second = owner();
        let again = scene.store().insert_account(&reclaiming(&second)).await.unwrap();
        let kept = if again == InsertAccount::EmailTaken { first } else { second };
        assert!(answer.is_err() || again == InsertAccount::EmailTaken, "what was acknowledged is kept");
        let by_address = scene.store().credentials("ann@example.org").await.unwrap().unwrap();
        assert_eq!(by_address.account, kept);
        assert!(scene.store().account(squatter.id).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_made_or_can_be_made() {
    at_every_step(async |scene| {
        let (ann, bob) = (scene.kept("ann").await, scene.kept("bob").await);
        let key = key("facebook", "42");
        let answer = scene.dying.store.insert_link(ann.id, &key).await;
        scene.let_time_pass().await;

        scene.store().insert_link(ann.id, &key).await.unwrap();
        let links = scene.store().links(ann.id).await.unwrap();
        assert_eq!((links.len(), &links[0].key), (1, &key));
        assert_eq!(scene.store().linked_account(&key).await.unwrap(), Some(ann.id));
        assert_eq!(scene.store().links(bob.id).await.unwrap(), []);
        drop((answer, &scene.clock, &scene.dying.view, &scene.living.view));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_imported_as_a_whole_or_can_be() {
    at_every_step(async |scene| {
        let ann = import("ann");
        let answer = scene.dying.store.import_accounts(vec![ann.clone()]).await;
        scene.let_time_pass().await;

        let again = scene.store().import_accounts(vec![import("ann")]).await.unwrap().remove(0);
        assert!(answer.is_err() || again.present.is_some(), "what was acknowledged is kept");
        let kept = scene.store().credentials("ann@example.org").await.unwrap().unwrap().account;
        assert!(again.present.is_none() || kept == ann.account);
        assert_eq!(scene.store().accounts(None, 10).await.unwrap(), std::slice::from_ref(&kept));
        let links = scene.store().links(kept.id).await.unwrap();
        assert_eq!(links.iter().map(|link| &*link.key.subject).collect::<Vec<_>>(), ["42", "ann@example.org"]);
        assert_eq!(scene.store().linked_account(&key("facebook", "42")).await.unwrap(), Some(kept.id));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_taken_over_or_can_be() {
    at_every_step(async |scene| {
        let ann = import("ann");
        scene.store().import_accounts(vec![ann.clone()]).await.unwrap();
        let key = key("google-oauth2", "108");
        let sign_in =
            async |node: &Node| node.store.sign_in_by_link(&key, Some("ann@example.org"), None, &new_session()).await;
        let answer = sign_in(&scene.dying).await;
        scene.let_time_pass().await;

        let again = sign_in(&scene.living).await.unwrap();
        assert!(answer.is_err() || matches!(again, LinkSignIn::SignedIn(_)), "what was acknowledged is kept");
        let (LinkSignIn::SignedIn(start) | LinkSignIn::TakenOver(start)) = again else { panic!("{again:?}") };
        assert_eq!(start.account, ann.account);
        assert_eq!(scene.store().linked_account(&key).await.unwrap(), Some(ann.account.id));
    })
    .await;
}

/// Somebody with a link to Facebook, and one to Google that is known by address.
fn import(name: &str) -> Import {
    let account = Account { external_id: Some("1".to_owned()), ..account(name) };
    let link = |provider: &str, uid: &str| ImportedLink {
        provider: provider.to_owned(),
        uid: uid.to_owned(),
        by_email: uid.contains('@'),
    };
    Import {
        email_key: account.email.clone(),
        account,
        password_hash: None,
        links: vec![link("facebook", "42"), link("google-oauth2", "ann@example.org")],
    }
}
