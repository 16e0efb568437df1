//! Security events: who did what to accounts, sessions, keys and clients. All that there are stand here, with what each
//! of them says; docs/audit.md is made of it.
//!
//! Never an address, a name of a person, a token or a secret: accounts go by their id, clients by theirs, and what a
//! request claims to be goes by nothing until it has proven it.

use std::net::IpAddr;

use tracing::field::display;

use super::AUDIT;
use crate::model::{AccountId, SessionId};

/// A kind of event.
#[derive(Debug)]
pub struct Event {
    /// What it is called, in the field `event`.
    pub name: &'static str,
    /// Whether somebody should look: such lines have the level WARN, all others INFO.
    pub alarming: bool,
    /// When it is written, as a sentence in Markdown.
    pub when: &'static str,
    /// Who it can be of.
    pub by: &'static [Origin],
    /// Names of the fields that it always has.
    pub always: &'static [&'static str],
    /// Names of the fields that it has where they apply.
    pub sometimes: &'static [&'static str],
}

/// Where what an event tells of came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A request over HTTP.
    Request,
    /// A command on a machine that has the configuration.
    Cli,
    /// The gateway by itself.
    Gateway,
}

/// The same, with what is known of whoever it was.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// A request over HTTP.
    Request {
        /// The peer, or the hop that trusted proxies vouch for.
        source: IpAddr,
        /// `X-Request-Id`.
        request_id: &'a str,
    },
    /// A command.
    Cli {
        /// Whom the environment says the operating system's user is.
        os_user: Option<&'a str>,
    },
    /// The gateway.
    Gateway,
}

impl By<'_> {
    const fn origin(&self) -> Origin {
        match self {
            Self::Request { .. } => Origin::Request,
            Self::Cli { .. } => Origin::Cli,
            Self::Gateway => Origin::Gateway,
        }
    }
}

/// What every event says of whoever it was, for docs/audit.md.
pub const OF_ORIGIN: &[(&str, &str)] = &[
    ("source", "of a request: the address that it came from, or the one that `server.trusted_proxies` vouch for"),
    ("request_id", "of a request: its `X-Request-Id`, as in the access line, the answer and the upstream's request"),
    ("by", "`cli` for a command, `gateway` for what the gateway does by itself; requests have none"),
    ("os_user", "of a command: `SUDO_USER`, `LOGNAME` or `USER`. Whoever gives the command can set them"),
];

/// The fields of an event as they are given, those that have no value left out, and their list.
macro_rules! fields {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty,)+) => {
        /// What an event says. Fields without a value are left out.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Fields<'a> {
            $($(#[doc = $doc])+ pub $name: Option<$kind>,)+
        }

        /// Every field that some events have, with what it means.
        pub const FIELDS: &[(&str, &str)] = &[$((stringify!($name), concat!($($doc),+)),)+];

        impl Fields<'_> {
            /// Names of those that have a value.
            fn given(&self) -> impl Iterator<Item = &'static str> {
                [$(self.$name.is_some().then_some(stringify!($name)),)+].into_iter().flatten()
            }
        }
    };
}

fields! {
    /// id of the account
    account: AccountId,
    /// id of the client, which has proven itself unless the event says otherwise
    client: &'a str,
    /// id of the session, the `sid` of its access tokens
    session: SessionId,
    /// `ok` or `failed`
    outcome: &'static str,
    /// why it failed, one fixed word
    reason: &'static str,
    /// name of the identity provider in the configuration
    provider: &'a str,
    /// number of the link between account and identity
    link: i64,
    /// the account that has the address now
    taken_by: AccountId,
    /// what was tried: `sign_in`, `sign_up`, …, as in `limits`
    what: &'static str,
    /// which limit was met
    limit: &'static str,
    /// how many sessions
    sessions: u64,
    /// how many rotations the store had lost
    gap: u32,
    /// `kid` of the signing key
    key: &'a str,
    /// what it signs with
    algorithm: &'a str,
    /// `kid` of the key that was made in its place
    successor: &'a str,
    /// how many accounts
    accounts: u64,
    /// how many signing keys
    keys: u64,
}

macro_rules! events {
    ($($(#[doc = $doc:literal])+
       $name:ident = $word:literal $(, $alarming:ident)?; by $($by:ident)+; [$($always:ident)*] [$($sometimes:ident)*])+) => {
        $($(#[doc = $doc])+
        pub const $name: Event = Event {
            name: $word,
            alarming: false $(|| stringify!($alarming).len() > 0)?,
            when: concat!($($doc),+),
            by: &[$(Origin::$by),+],
            always: &[$(stringify!($always)),*],
            sometimes: &[$(stringify!($sometimes)),*],
        };)+

        /// Every kind of event.
        pub const ALL: &[Event] = &[$($name),+];
    };
}

events! {
    /// Somebody signed up, with a password or by the word of a provider.
    SIGN_UP = "sign_up"; by Request; [account] [provider]
    /// A session came to be, or did not: `reason` is `wrong_password`, `unknown_account`, `inactive_account`,
    /// `account_changed` (between the check of its password and the session), or what was wrong with a provider's token.
    /// A sign-in that fails names no account.
    SIGN_IN = "sign_in"; by Request; [outcome client] [account session provider reason]
    /// Something was tried too often. A sign-in that is throttled is this event alone.
    THROTTLED = "throttled"; by Request; [what limit] [client]
    /// A client was named that did not prove itself: `reason` is `unknown_client` or `wrong_secret`. An id that there is not
    /// is not told.
    CLIENT_REFUSED = "client.refused"; by Request; [reason] [client]
    /// An identity at a provider signs in to the account from now on, or what should have proven it did not: `reason` is
    /// `refused`, or `taken` when another account has it.
    LINK = "link"; by Request; [account provider outcome] [link reason]
    /// A link that was imported under an address became one by the provider's id, at the first sign-in with it.
    LINK_TAKEN_OVER = "link.taken_over"; by Request; [account provider] []
    /// An identity at a provider signs in to the account no longer.
    UNLINK = "unlink"; by Request Cli; [account provider link] []
    /// An account lost its unverified address to whom a provider vouches for (`accounts.reclaim_unverified`).
    ACCOUNT_RECLAIMED = "account.reclaimed", alarming; by Request; [account taken_by provider] []
    /// The password was changed, by its owner or by an operator, and other sessions ended; or somebody with a session
    /// failed to prove who they are.
    PASSWORD_CHANGE = "password.change"; by Request Cli; [account outcome] [session]
    /// All sessions of the account ended.
    SIGN_OUT_EVERYWHERE = "sign_out_everywhere"; by Request Cli; [account] []
    /// One session ended before its time. Of several that end together each has its line.
    SESSION_ENDED = "session.ended"; by Request Cli; [account session] []
    /// The account's sessions with a client cannot be refreshed any more; their access tokens live on.
    REFRESH_ENDED = "refresh.ended"; by Request; [account client sessions] []
    /// A refresh token came back after its successor was used: two parties held it. The session has ended.
    REFRESH_THEFT = "refresh.theft", alarming; by Request; [account client session] []
    /// A refresh token was ahead of the store, which so has lost writes. The session goes on from it.
    REFRESH_FAST_FORWARD = "refresh.fast_forward", alarming; by Request; [account client session gap] []
    /// An operator made an account.
    ACCOUNT_CREATED = "account.created"; by Cli; [account] []
    /// An account became staff.
    ACCOUNT_PROMOTED = "account.promoted"; by Cli; [account] []
    /// An account is staff no longer.
    ACCOUNT_DEMOTED = "account.demoted"; by Cli; [account] []
    /// An account's groups were changed.
    ACCOUNT_GROUPS_SET = "account.groups_set"; by Cli; [account] []
    /// An account was locked out, and its sessions ended.
    ACCOUNT_DEACTIVATED = "account.deactivated"; by Cli; [account] []
    /// An account was let in again.
    ACCOUNT_ACTIVATED = "account.activated"; by Cli; [account] []
    /// An account is no more, nor are its sessions and links.
    ACCOUNT_DELETED = "account.deleted"; by Cli; [account] []
    /// Accounts were imported, so many that were not there before.
    ACCOUNTS_IMPORTED = "accounts.imported"; by Cli; [accounts] []
    /// A signing key was made: the first one, or the next one in time.
    KEY_MADE = "key.made"; by Gateway; [key] [algorithm]
    /// A signing key was made by hand to take the place of the one that signs.
    KEY_ROTATED = "key.rotated"; by Cli; [key] []
    /// A signing key was taken out before its time: what it signed holds no more.
    KEY_REVOKED = "key.revoked", alarming; by Cli; [key] [successor]
    /// A signing key was dropped, as all that it signed has expired.
    KEY_DROPPED = "key.dropped"; by Gateway; [key] []
    /// A client was made.
    CLIENT_CREATED = "client.created"; by Cli; [client] []
    /// What a client may do was changed.
    CLIENT_CHANGED = "client.changed"; by Cli; [client] []
    /// A client got another secret.
    CLIENT_SECRET_ROTATED = "client.secret_rotated"; by Cli; [client] []
    /// A client is no more.
    CLIENT_DELETED = "client.deleted"; by Cli; [client] []
    /// The store was put under another master secret, and so many signing keys sealed under it.
    MASTER_ROTATED = "master.rotated", alarming; by Cli; [keys] []
    /// A copy of the store was made: whoever has it and the master secret can sign for everybody.
    STORE_BACKED_UP = "store.backed_up"; by Cli; [] []
    /// A store out of a backup was made fit to go on: `key` signs now, all other signing keys are gone, and so many accounts
    /// were signed out.
    STORE_RESTORED = "store.restored", alarming; by Cli; [key] [accounts]
}

impl Event {
    /// Writes it. In development, fields that are not of the event, or that it lacks, are an error.
    pub fn write(&self, by: &By<'_>, fields: &Fields<'_>) {
        debug_assert!(self.by.contains(&by.origin()), "{} is not by {by:?}", self.name);
        debug_assert!(self.fits(fields), "{} is not of {fields:?}", self.name);
        let (by_word, source, request_id, os_user) = match *by {
            By::Request { source, request_id } => (None, Some(display(source)), Some(request_id), None),
            By::Cli { os_user } => (Some("cli"), None, None, os_user),
            By::Gateway => (Some("gateway"), None, None, None),
        };
        // The level is of the place in the code where a line comes from.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: AUDIT,
                    event = self.name,
                    by = by_word,
                    os_user,
                    source,
                    request_id,
                    outcome = fields.outcome,
                    reason = fields.reason,
                    account = fields.account.map(display),
                    client = fields.client,
                    session = fields.session.map(display),
                    provider = fields.provider,
                    link = fields.link,
                    taken_by = fields.taken_by.map(display),
                    what = fields.what,
                    limit = fields.limit,
                    sessions = fields.sessions,
                    gap = fields.gap,
                    key = fields.key,
                    algorithm = fields.algorithm,
                    successor = fields.successor,
                    accounts = fields.accounts,
                    keys = fields.keys,
                )
            };
        }
        if self.alarming { line!(warn) } else { line!(info) }
    }

    fn fits(&self, fields: &Fields<'_>) -> bool {
        let given: Vec<_> = fields.given().collect();
        self.always.iter().all(|name| given.contains(name))
            && given.iter().all(|name| self.always.contains(name) || self.sometimes.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::telemetry::tests::logged_as_json;

    fn written(event: &Event, by: &By<'_>, fields: &Fields<'_>) -> serde_json::Value {
        let mut line: serde_json::Value =
            serde_json::from_str(logged_as_json(|| event.write(by, fields)).trim_end()).unwrap();
        line.as_object_mut().unwrap().remove("timestamp").unwrap();
        line
    }

    /// A value for everything.
    fn full() -> Fields<'static> {
        Fields {
            account: Some(AccountId::from_bytes([1; 16])),
            client: Some("web"),
            session: Some(SessionId::from_bytes([2; 16])),
            outcome: Some("ok"),
            reason: Some("refused"),
            provider: Some("google-oauth2"),
            link: Some(3),
            taken_by: Some(AccountId::from_bytes([4; 16])),
            what: Some("sign_in"),
            limit: Some("source"),
            sessions: Some(5),
            gap: Some(6),
            key: Some("kid"),
            algorithm: Some("EdDSA"),
            successor: Some("next"),
            accounts: Some(7),
            keys: Some(8),
        }
    }

    #[test]
    fn every_field_of_the_list_is_written() {
        let all: Vec<&'static str> = FIELDS.iter().map(|(name, _)| *name).collect();
        let event =
            Event { name: "x", alarming: true, when: "", by: &[Origin::Gateway], always: &[], sometimes: all.leak() };
        let line = written(&event, &By::Gateway, &full());
        let line = line.as_object().unwrap();
        for (name, _) in FIELDS {
            assert!(line.contains_key(*name), "{name} is missing of {line:?}");
        }
        assert_eq!(line.len(), FIELDS.len() + ["level", "target", "event", "by"].len(), "{line:?}");
        assert_eq!((&line["level"], &line["target"], &line["event"]), (&"WARN".into(), &"audit".into(), &"x".into()));
    }

    #[test]
    fn who_it_was_is_told_by_where_it_came_from() {
        let account = Fields { account: Some(AccountId::from_bytes([1; 16])), ..Fields::default() };
        let request = By::Request { source: std::net::Ipv4Addr::LOCALHOST.into(), request_id: "r-1" };
        let id = "01010101-0101-0101-0101-010101010101";
        assert_eq!(
            written(&SIGN_OUT_EVERYWHERE, &request, &account),
            serde_json::json!({
                "level": "INFO", "target": "audit", "event": "sign_out_everywhere", "source": "127.0.0.1",
                "request_id": "r-1", "account": id,
            })
        );
        assert_eq!(
            written(&SIGN_OUT_EVERYWHERE, &By::Cli { os_user: Some("grace") }, &account),
            serde_json::json!({
                "level": "INFO", "target": "audit", "event": "sign_out_everywhere", "by": "cli", "os_user": "grace",
                "account": id,
            })
        );
    }

    #[test]
    fn events_are_told_apart_and_all_that_they_have_is_in_the_lists() {
        let names: BTreeSet<_> = ALL.iter().map(|event| event.name).collect();
        assert_eq!(names.len(), ALL.len());
        let used: BTreeSet<_> = ALL.iter().flat_map(|event| event.always.iter().chain(event.sometimes)).collect();
        let listed: BTreeSet<_> = FIELDS.iter().map(|(name, _)| name).collect();
        assert_eq!(used, listed);
        assert!(OF_ORIGIN.iter().all(|(name, _)| !listed.contains(name)));
    }

    #[test]
    #[should_panic(expected = "sign_up is not of")]
    fn an_event_without_a_field_that_it_always_has_is_a_mistake() {
        SIGN_UP
            .write(&By::Request { source: std::net::Ipv4Addr::LOCALHOST.into(), request_id: "r" }, &Fields::default());
    }
}
