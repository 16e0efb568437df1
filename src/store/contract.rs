//! The contract every store keeps, as a suite that takes a constructor: one rule, one test.
//!
//! A store under test calls [`store_contract!`] with the path of an `async fn() -> Bench` that makes a fresh one:
//!
//! ```ignore
//! crate::store::contract::store_contract!(crate::store::sql::tests::fresh);
//! ```
//!
//! Where starting one takes long, `store_contract!(together …)` is one test, with the path of an `async fn` that makes an
//! `async FnMut() -> Bench`.

pub mod accounts;
pub mod changes;
pub mod deletion;
pub mod enrolments;
pub mod imports;
pub mod keys;
pub mod links;
pub mod rotation;
pub mod sessions;
pub mod sources;

use std::{any::Any, sync::Arc, time::Duration};

use crate::{
    change_log::{Change, View},
    clock::{Clock, Timestamp},
    model::{Account, AccountId, ClientId, Epoch, Link, LinkKey, Scope, SessionId},
    session::{Presented, Rules, Session},
    store::{AccountChange, Enrolment, InsertAccount, InsertLink, NewSession, Rotation, SessionStart, Sessions, Store},
};

macro_rules! store_contract {
    (together $fresh:path) => {
        $crate::store::contract::store_contract! { @rules together $fresh }
    };
    ($fresh:path) => {
        $crate::store::contract::store_contract! { @rules each $fresh }
    };
    (@rules $how:ident $fresh:path) => {
        $crate::store::contract::store_contract! { $how $fresh;
            accounts {
                an_account_comes_back_as_it_was_given
                accounts_without_an_address_live_side_by_side
                one_address_in_two_spellings_is_one_account
                one_external_id_is_one_account
                a_race_for_one_address_has_one_winner
                accounts_are_listed_by_id_page_by_page
                a_new_password_moves_the_epoch_and_ends_every_session
                the_same_password_again_is_a_change_too
                deactivation_moves_the_epoch_and_ends_every_session
                activation_moves_nothing
                staff_and_groups_move_the_epoch_and_end_nothing
                a_change_that_changes_nothing_moves_nothing
                a_sign_out_moves_the_epoch_and_ends_every_session
                a_sign_out_without_a_session_is_a_change_too
                nobody_cannot_be_changed
                a_rehash_replaces_only_the_hash_it_was_made_from
                parallel_changes_are_all_counted
                an_own_password_keeps_its_session_and_ends_the_others
                an_own_password_leaves_the_tokens_of_its_session_alive
                an_own_password_that_nothing_proves_any_more_changes_nothing
                an_own_password_and_sign_ins_at_once_leave_one_session
                a_race_of_own_passwords_has_one_winner
            }
            deletion {
                a_deleted_account_is_gone_with_all_that_was_its_own
                a_deleted_account_ends_tokens_of_every_epoch_for_as_long_as_they_live
                nobody_cannot_be_deleted
                what_a_deleted_account_had_is_free
                a_deleted_account_takes_part_in_nothing
                a_race_to_delete_has_one_winner
                a_deletion_and_sign_ins_at_once_leave_nothing_alive
                a_deletion_and_sign_ups_at_once_leave_one_account_or_none
                a_deletion_and_links_at_once_leave_the_identity_free
                a_deletion_that_was_lost_is_made_again
            }
            enrolments {
                an_account_and_its_first_session_come_together
                an_account_its_link_and_its_first_session_come_together
                an_account_may_come_with_a_link_alone
                a_refused_account_leaves_no_link_and_no_session
                a_taken_identity_is_told_before_a_taken_address
                a_race_of_first_sign_ins_with_one_identity_makes_one_account
                an_account_that_loses_its_address_is_locked
                an_address_is_reclaimed_only_when_asked
                a_verified_or_imported_address_is_not_reclaimed
                a_refused_enrolment_reclaims_nothing
                an_address_that_is_free_needs_no_reclaiming
                a_race_to_reclaim_one_address_has_one_winner
                reclaiming_and_sign_ins_at_once_leave_the_squatter_no_session
            }
            imports {
                an_import_comes_back_as_it_was_given
                an_import_again_changes_nothing
                an_import_that_was_cut_short_is_completed
                a_judgement_is_what_an_import_would_be_and_writes_nothing
                an_imported_account_never_takes_an_address
                an_imported_link_never_takes_an_identity
                an_account_that_is_there_gets_the_links_it_lacks
                a_link_by_address_is_taken_over_by_the_first_verified_identity
                a_link_by_address_opens_to_its_exact_spelling_alone
                a_link_by_address_opens_once
                a_link_by_address_is_no_identity_itself
                a_link_by_address_of_the_inactive_waits
                a_race_for_a_link_by_address_has_one_winner
                one_identity_at_once_takes_a_link_by_address_over_once
                a_link_by_address_that_was_taken_over_is_not_imported_again
                a_link_by_address_can_be_deleted
            }
            links {
                links_come_back_as_they_were_given_the_oldest_first
                an_identity_is_compared_byte_by_byte
                an_identity_is_of_one_account
                a_race_to_link_one_identity_has_one_winner
                linking_again_changes_nothing
                the_id_of_a_link_is_given_once
                the_inactive_and_unknown_link_nothing
                an_account_deletes_only_links_of_its_own
                the_only_way_in_stays
                a_password_with_an_address_is_another_way_in
                another_link_is_a_way_in_while_its_provider_is_usable
                a_race_to_delete_the_last_two_links_leaves_one
                a_sign_in_by_link_begins_a_session
                a_sign_in_by_link_takes_names_over_and_moves_no_epoch
                no_link_signs_the_inactive_in
                an_unknown_identity_signs_nobody_in
                deactivation_and_sign_ins_by_link_at_once_leave_nothing_alive
            }
            sessions {
                a_session_begins_at_generation_zero
                no_access_token_outlives_the_absolute_limit
                no_session_for_an_epoch_that_moved
                no_session_for_the_inactive_or_unknown
                an_ended_session_is_gone_and_logged_once
                an_end_is_remembered_until_the_last_access_token_has_expired
                a_moved_epoch_is_remembered_until_the_last_access_token_has_expired
                revocation_and_refresh_at_once_leave_nothing_alive
                a_new_password_and_sign_ins_at_once_leave_no_old_session
                sessions_are_listed_the_last_used_first
                a_list_of_sessions_is_of_one_account
                an_account_ends_only_sessions_of_its_own
                sessions_with_one_client_end_together
                ended_refresh_tokens_leave_access_tokens_alive
                ended_refresh_tokens_are_of_one_account_and_client
                ended_refresh_tokens_and_refreshes_at_once_leave_none
                a_session_too_many_ends_the_one_longest_unused
                an_active_session_comes_with_its_account
                no_active_session_of_the_ended_or_inactive
                the_sweep_takes_the_expired_and_leaves_the_living
                the_sweep_spares_sessions_whose_access_tokens_live
                the_sweep_takes_no_more_than_it_is_told
            }
            sources {
                a_sign_in_makes_its_source_known_to_its_account_alone
                a_source_is_known_for_as_long_as_it_is_asked_for
                a_new_account_knows_where_it_signed_up
                sources_beyond_what_anybody_needs_are_forgotten
                the_sweep_forgets_the_sources_of_long_ago
            }
            rotation {
                the_current_generation_moves_on_by_one
                a_straggler_within_the_grace_gets_the_current_one_again
                a_straggler_after_the_grace_is_theft_and_ends_the_session
                parallel_refreshes_agree_on_one_successor
                every_straggler_of_a_quick_chain_agrees
                a_generation_never_handed_out_means_lost_writes
                a_superseded_generation_is_still_theft_after_a_fast_forward
                what_is_refused_burns_nothing
                the_idle_limit_counts_from_the_last_rotation
                the_absolute_limit_counts_from_sign_in
                a_repeated_token_extends_no_limit
                a_narrowed_scope_stays_narrow
                a_refresh_brings_fresh_claims
            }
            changes {
                entries_come_in_the_order_of_their_writes
                a_cursor_goes_on_where_it_ended
                no_cursor_and_a_foreign_one_read_the_whole_log
                a_cursor_ahead_of_the_log_reads_the_whole_log
                a_node_knows_its_own_changes_at_once
                a_node_hears_of_the_changes_of_another
                pruned_entries_that_were_read_are_not_missed
                pruned_entries_that_were_not_read_mean_the_whole_log
                entries_are_kept_until_their_time
                what_is_remembered_restores_what_was_lost
                what_is_remembered_twice_is_written_once
                what_is_remembered_of_the_unknown_is_harmless
            }
            keys {
                a_key_comes_back_as_it_was_given
                keys_come_in_the_order_they_sign
                a_key_is_kept_only_beside_the_known_ones
                a_race_to_rotate_has_one_winner
                a_deleted_key_is_gone_and_logged
                a_client_comes_back_as_it_was_given
                a_client_id_is_given_once
                a_secret_is_replaced_by_a_mac_only_if_it_still_is_as_it_was
                a_client_is_changed_in_what_is_given_alone
                changes_of_a_client_at_once_are_all_kept
                a_deleted_client_is_gone_and_logged
                a_race_to_replace_an_imported_secret_has_one_winner
                a_fresh_store_is_claimed_once
                a_key_is_sealed_anew_only_if_it_still_is_as_it_was
                a_deployment_comes_under_another_master_once
                a_store_in_order_answers
            }
        }
    };
    (together $fresh:path; $($part:ident { $($rule:ident)* })*) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn the_whole_contract() {
            let mut fresh = $fresh().await;
            $($(
                println!("{}::{}", stringify!($part), stringify!($rule));
                Box::pin($crate::store::contract::$part::$rule(&fresh().await)).await;
            )*)*
        }
    };
    (each $fresh:path; $($part:ident { $($rule:ident)* })*) => {
        $(mod $part {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $rule() {
                    $crate::store::contract::$part::$rule(&$fresh().await).await;
                }
            )*
        })*
    };
}
pub(crate) use store_contract;

/// The rules of the tests, unless one says otherwise.
pub const RULES: Rules = Rules {
    idle_ttl: Duration::from_hours(14 * 24),
    absolute_ttl: Duration::from_hours(90 * 24),
    reuse_grace: Duration::from_secs(30),
    access_ttl: Duration::from_mins(15),
};

/// The shortest time there is for a store.
pub const INSTANT: Duration = Duration::from_millis(1);

/// What becomes of an account that comes alone.
pub const INSERTED: InsertAccount = InsertAccount::Inserted { session: None, reclaimed: None };

/// One process with the store open.
pub struct Node {
    pub store: Arc<dyn Store>,
    /// The view that was given to it.
    pub view: Arc<View>,
}

/// Two nodes on one fresh store, and the clock they share.
pub struct Bench {
    pub clock: Clock,
    pub here: Node,
    pub there: Node,
    _kept: Box<dyn Any + Send + Sync>,
}

impl Bench {
    /// `kept` is what must outlive the test: a directory, a server.
    pub fn new(clock: Clock, here: Node, there: Node, kept: impl Any + Send + Sync) -> Self {
        Self { clock, here, there, _kept: Box::new(kept) }
    }

    /// The store, where it does not matter which node asks.
    pub fn store(&self) -> &dyn Store {
        &*self.here.store
    }

    /// Some account, kept.
    pub async fn account(&self, name: &str) -> Account {
        let account = account(name);
        let new = Enrolment { password_hash: Some("hash".to_owned()), ..enrolment(&account) };
        assert_eq!(self.enrol(&new).await, INSERTED);
        account
    }

    /// What became of an enrolment.
    pub async fn enrol(&self, new: &Enrolment) -> InsertAccount {
        self.store().insert_account(new).await.unwrap()
    }

    /// The account after a change.
    pub async fn change(&self, account: &Account, change: AccountChange) -> Account {
        self.store().change_account(account.id, &change).await.unwrap().expect("the account is there")
    }

    /// The account as it is kept.
    pub async fn kept(&self, account: &Account) -> Option<Account> {
        self.store().account(account.id).await.unwrap()
    }

    /// What became of a session to be made under the account's epoch as given.
    pub async fn begin(&self, account: &Account, new: &NewSession) -> Option<SessionStart> {
        self.store().create_session(account.id, account.epoch, new).await.unwrap()
    }

    /// What comes of that when all is well.
    pub fn started(&self, account: &Account, new: &NewSession) -> SessionStart {
        let now = self.clock.now();
        let session = new.begin(account.id, now);
        SessionStart { access_expires_at: session.access_expires_at, session, account: account.clone(), now }
    }

    /// A session of the account, begun now under [`RULES`].
    pub async fn sign_in(&self, account: &Account) -> SessionStart {
        self.begin(account, &new_session()).await.expect("an account that may sign in")
    }

    /// Ends a session that is there.
    pub async fn end(&self, session: &Session) {
        let ended = self.store().end_sessions(session.account, &Sessions::One(session.id)).await.unwrap();
        assert_eq!(ended, [session.id]);
    }

    /// A new link of the account.
    pub async fn link(&self, account: &Account, provider: &str, subject: &str) -> Link {
        match self.store().insert_link(account.id, &key(provider, subject)).await.unwrap() {
            InsertLink::Inserted(link) => link,
            other => panic!("{provider} {subject}: {other:?}"),
        }
    }

    /// Presents generation `n` of the session with its own client, under [`RULES`].
    pub async fn refresh(&self, session: &Session, n: u32) -> Rotation {
        self.store().rotate_session(&presented(session, n), &RULES).await.unwrap()
    }

    /// The session as it is kept.
    pub async fn session(&self, id: SessionId) -> Option<Session> {
        self.store().session(id).await.unwrap()
    }

    /// The whole change log, without what every whole reading ends with.
    pub async fn log(&self) -> Vec<Change> {
        let mut changes = self.store().read_changes(None).await.unwrap();
        assert!(changes.whole);
        assert_eq!(changes.entries.split_off(changes.entries.len() - 2), [Change::Keys, Change::Clients]);
        changes.entries
    }

    /// Does `what` on both nodes in turn, `count` times at once.
    pub async fn at_once<T, F>(&self, count: usize, what: impl Fn(Arc<dyn Store>, usize) -> F) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let tasks: Vec<_> = (0..count)
            .map(|i| {
                let node = if i % 2 == 0 { &self.here } else { &self.there };
                tokio::spawn(what(Arc::clone(&node.store), i))
            })
            .collect();
        let mut answers = Vec::with_capacity(count);
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        answers
    }
}

/// The clock of a bench, at a time that is nothing special.
pub fn clock() -> Clock {
    Clock::manual(Timestamp::from_seconds(1_790_000_000))
}

/// Some account, not kept yet; its address is canonical as it stands.
pub fn account(name: &str) -> Account {
    Account {
        id: AccountId::generate(),
        email: Some(format!("{name}@example.org")),
        email_verified: false,
        username: name.to_owned(),
        first_name: String::new(),
        last_name: String::new(),
        groups: Vec::new(),
        staff: false,
        active: true,
        external_id: None,
        epoch: Epoch::default(),
        created_at: Timestamp::from_seconds(1_780_000_000),
    }
}

/// The account alone, to be kept under its address.
pub fn enrolment(account: &Account) -> Enrolment {
    Enrolment::of(account.clone(), account.email.as_deref())
}

/// An identity at a provider.
pub fn key(provider: &str, subject: &str) -> LinkKey {
    LinkKey { provider: provider.to_owned(), subject: subject.to_owned() }
}

/// A session to be made, with a fresh id.
pub fn new_session() -> NewSession {
    NewSession {
        // Any 16 bytes that are not used twice.
        id: SessionId::from_bytes(*AccountId::generate().as_bytes()),
        client: ClientId::from("web"),
        scope: Scope::parse("read write").unwrap(),
        user_agent: "curl/8.5.0".to_owned(),
        source: None,
        rules: RULES,
    }
}

/// Generation `n` of the session, with its own client and all of its scope.
pub fn presented(session: &Session, n: u32) -> Presented {
    Presented { sid: session.id, generation: n, client: session.client.clone(), scope: None }
}

/// The answer's session, where tokens were handed out.
pub fn start(rotation: Rotation) -> SessionStart {
    match rotation {
        Rotation::Rotated(start) | Rotation::Repeated(start) | Rotation::FastForwarded { start, .. } => start,
        refused => panic!("no tokens: {refused:?}"),
    }
}
