//! Command lines about accounts and sessions, given to a store of their own.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use clap::Parser;

use super::{
    Cli, Command, account,
    desk::{Desk, Person, Told},
    session,
};
use crate::{
    account::{Accounts, List, Settings},
    clock::{Clock, Timestamp},
    model::{Account, Link, SessionId},
    password::{self, Hasher},
    secret::Secret,
    store::{
        AccountStore, InsertLink, LinkStore, SessionStore,
        contract::{self, RULES},
        testing::TestStore,
    },
};

pub const PASSWORD: &str = "correct-horse-7";

pub struct Bench {
    pub store: Arc<TestStore>,
    pub accounts: Accounts,
    answer: Cell<bool>,
    asked: RefCell<Vec<String>>,
}

/// What a command told, as a pipe gets it.
#[derive(Debug)]
pub struct Heard {
    pub out: String,
    pub err: String,
}

pub async fn bench() -> Bench {
    let store = TestStore::fresh().await;
    let costs = password::Settings { memory_kib: 64, iterations: 1, parallelism: 1, max_concurrent: 1, queue: 8 };
    let settings =
        Settings { registration: false, sign_in_after_registration: true, reclaim_unverified: true, list: List::Staff };
    let hasher = Arc::new(Hasher::new(costs).unwrap());
    let clock = Clock::manual(Timestamp::from_seconds(1));
    let accounts = Accounts::new(store.clone(), hasher, settings, clock);
    Bench { store, accounts, answer: Cell::new(true), asked: RefCell::default() }
}

impl Bench {
    /// Runs a command line with `password` at hand; what it told, or why it failed.
    pub async fn run(&self, line: &str, password: &str) -> anyhow::Result<Heard> {
        let words = ["passgate"].into_iter().chain(line.split(' '));
        let command = Cli::try_parse_from(words)?.command;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let confirm = |question: &str, yes: bool| {
            if yes {
                return Ok(());
            }
            self.asked.borrow_mut().push(question.to_owned());
            anyhow::ensure!(self.answer.get(), "nothing was done");
            Ok(())
        };
        let new_secret = |what: &str, _| {
            self.asked.borrow_mut().push(what.to_owned());
            Ok(Secret::from(password))
        };
        let person = Person { new_secret: &new_secret, confirm: &confirm };
        let told = &mut Told { out: &mut out, err: &mut err };
        let providers = ["google-oauth2".to_owned()];
        let now = contract::clock().now();
        let desk = Desk { accounts: &self.accounts, store: &*self.store, sessions: &RULES, providers: &providers, now };
        match command {
            Command::Account(command) => account::run(command, &desk, &person, told).await?,
            Command::Session(command) => session::run(command, &desk, &person, told).await?,
            _ => panic!("{line}: not a command about accounts or sessions"),
        }
        let text = |bytes: Vec<u8>| String::from_utf8(anstream::adapter::strip_bytes(&bytes).into_vec()).unwrap();
        Ok(Heard { out: text(out), err: text(err) })
    }

    /// What the person says from now on to whether to go on.
    pub fn answer(&self, yes: bool) {
        self.answer.set(yes);
    }

    /// What the person was asked since this was last asked.
    pub fn asked(&self) -> Vec<String> {
        self.asked.take()
    }

    /// The first account.
    pub async fn account(&self) -> Account {
        self.store.all_accounts().await.remove(0)
    }

    /// An account that came by itself, without a password.
    pub async fn stranger(&self, name: &str) -> Account {
        let account = contract::account(name);
        self.store.insert_account(&contract::enrolment(&account)).await.unwrap();
        account
    }

    pub async fn sign_in(&self, account: &Account) -> SessionId {
        let begun = self.store.create_session(account.id, account.epoch, &contract::new_session()).await.unwrap();
        begun.unwrap().session.id
    }

    pub async fn link(&self, account: &Account, provider: &str, subject: &str) -> Link {
        match self.store.insert_link(account.id, &contract::key(provider, subject)).await.unwrap() {
            InsertLink::Inserted(link) => link,
            other => panic!("{other:?}"),
        }
    }
}
