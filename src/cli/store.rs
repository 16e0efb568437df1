//! What the commands on accounts, sessions, clients, keys and the store share: an open store, beside a running
//! gateway or without one.

use std::{
    io::{self, ErrorKind},
    path::Path,
    sync::Arc,
};

use super::{
    Failure, account, client,
    desk::{Desk, Person, Told},
    keys, prompt, restored, session,
};
use crate::{
    account::Accounts,
    app::{self, Opened},
    clock::Clock,
    config::Settings,
    master::ClientSecrets,
    password::Hasher,
    secret::Secret,
    store::sql::Role,
    telemetry,
    token::keys::by_hand::ByHand,
};

pub fn account(command: account::AccountCommand, config: &Path) -> Result<(), Failure> {
    at_desk(config, async |desk, person, told| account::run(command, desk, person, told).await)
}

pub fn session(command: session::SessionCommand, config: &Path) -> Result<(), Failure> {
    at_desk(config, async |desk, person, told| session::run(command, desk, person, told).await)
}

/// Runs a command about accounts or sessions.
fn at_desk(
    config: &Path,
    run: impl AsyncFnOnce(&Desk<'_>, &Person<'_>, &mut Told<'_>) -> anyhow::Result<()>,
) -> Result<(), Failure> {
    with_store(config, async |settings, opened| {
        let hasher = Arc::new(Hasher::new(settings.hashing).map_err(app::Error::from)?);
        let clock = Clock::system();
        let now = clock.now();
        let accounts = Accounts::new(Arc::clone(&opened.store), hasher, settings.accounts, clock);
        let providers: Vec<String> = settings.providers.iter().map(|provider| provider.name.clone()).collect();
        let desk = Desk {
            accounts: &accounts,
            store: &*opened.store,
            sessions: &settings.sessions,
            providers: &providers,
            now,
        };
        let person = Person { new_secret: &prompt::new_secret, confirm: &prompt::confirm };
        let told = &mut Told { out: &mut anstream::stdout(), err: &mut anstream::stderr() };
        unless_unread(run(&desk, &person, told).await)
    })
}

pub fn client(command: client::ClientCommand, config: &Path) -> Result<(), Failure> {
    with_store(config, async |settings, opened| {
        let secrets = ClientSecrets::new(opened.masters.in_force());
        let mac = |secret: &str| secrets.mac(&Secret::from(secret));
        let out = &mut anstream::stdout();
        let (ask, confirm) = (prompt::new_secret, prompt::confirm);
        unless_unread(client::run(command, &*opened.store, mac, &settings.clients, ask, confirm, out).await)
    })
}

pub fn keys(command: keys::KeysCommand, config: &Path) -> Result<(), Failure> {
    with_store(config, async |settings, opened| {
        let site = keys::Site {
            store: &*opened.store,
            masters: &opened.masters,
            tokens: &settings.tokens,
            idle_ttl: settings.sessions.idle_ttl,
            now: Clock::system().now(),
        };
        let out = &mut anstream::stdout();
        unless_unread(keys::run(command, &site, prompt::confirm, out).await)
    })
}

pub fn store(command: restored::StoreCommand, config: &Path) -> Result<(), Failure> {
    with_store(config, async |settings, opened| {
        let restored::StoreCommand::Restored(restored) = command;
        let (store, now) = (&*opened.store, Clock::system().now());
        let by_hand = ByHand::new(store, &opened.masters, &settings.tokens)?;
        let out = &mut anstream::stdout();
        unless_unread(restored::run(&restored, store, &by_hand, now, prompt::confirm, out).await)
    })
}

pub fn with_store(
    config: &Path,
    run: impl AsyncFnOnce(Settings, Opened) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let settings = super::load(config)?;
    block_on(async {
        let opened = app::open(&settings, &Clock::system(), Role::Command).await?;
        // Not before: whatever keeps the store from opening is told in words.
        telemetry::init_beside(&settings.log);
        let store = Arc::clone(&opened.store);
        let done = run(settings, opened).await;
        store.close().await;
        done
    })
}

/// What a command came to. That nobody reads on, as in `passgate account list | head`, is no failure.
fn unless_unread(done: anyhow::Result<()>) -> Result<(), Failure> {
    let unread = |error: &anyhow::Error| {
        error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == ErrorKind::BrokenPipe)
    };
    match done {
        Err(error) if unread(&error) => Ok(()),
        done => Ok(done?),
    }
}

/// Runs a command that waits for something.
pub fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("the system refused: {error}")))?;
    let done = runtime.block_on(command);
    // Waits for nobody: standard input may never end.
    runtime.shutdown_background();
    done
}
