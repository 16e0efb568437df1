//! Audit events, target `audit`, and their counts: who did what, with which client, from where, in which request. Never an
//! address, a token or a secret.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, OnceLock},
};

use crate::{
    account::{SignInFailure, identity::SignedIn},
    model::{AccountId, ClientId, SessionId},
    telemetry::metrics::Metrics,
    throttle::Throttled,
};

/// Where a request comes from, for the audit log and for limits.
#[derive(Clone)]
pub struct Caller {
    /// The peer, or the hop that trusted proxies vouch for.
    pub source: IpAddr,
    /// `X-Request-Id`.
    pub request_id: Arc<str>,
    /// Where its events are counted.
    pub metrics: Arc<Metrics>,
    /// The account that calls, for the line of the request; set once a bearer of it was verified.
    pub subject: Arc<OnceLock<AccountId>>,
    /// What the client calls itself (`User-Agent`), cut; may be empty.
    pub user_agent: Arc<str>,
}

/// Nobody in particular: a request that came by no listener.
impl Default for Caller {
    fn default() -> Self {
        Self {
            source: Ipv4Addr::UNSPECIFIED.into(),
            request_id: "-".into(),
            metrics: Arc::default(),
            subject: Arc::default(),
            user_agent: "".into(),
        }
    }
}

/// One line of the audit log. Fields that do not apply are left out.
macro_rules! event {
    ($level:ident, $caller:expr, $event:literal, $($fields:tt)*) => {
        tracing::$level!(
            target: "audit",
            event = $event,
            source = %$caller.source,
            request_id = %$caller.request_id,
            $($fields)*
        )
    };
}

impl Caller {
    /// An account came to be.
    pub fn signed_up(&self, account: AccountId) {
        self.metrics.sign_ups.count("ok");
        event!(info, self, "sign_up", account = %account);
    }

    /// No account came to be; the answer says why.
    pub fn sign_up_failed(&self) {
        self.metrics.sign_ups.count("failed");
    }

    /// A session came to be.
    pub fn signed_in(&self, account: AccountId, client: &ClientId, session: SessionId) {
        self.metrics.sign_ins.count("ok");
        event!(info, self, "sign_in", outcome = "ok", account = %account, client = %client, session = %session);
    }

    /// Somebody tried to sign in. `None`: the account changed between the check of its password and the session.
    pub fn sign_in_failed(&self, client: &ClientId, failure: Option<SignInFailure>) {
        let reason = match failure {
            Some(SignInFailure::Unknown) => "unknown_account",
            Some(SignInFailure::Inactive) => "inactive_account",
            Some(SignInFailure::Password) => "wrong_password",
            None => "account_changed",
        };
        self.metrics.sign_ins.count(reason);
        event!(info, self, "sign_in", outcome = "failed", reason, client = %client);
    }

    /// A session came to be by the word of a provider, and perhaps an account with it.
    pub fn signed_in_with(&self, provider: &str, client: &ClientId, signed_in: &SignedIn) {
        let SignedIn { start, new, took_over, reclaimed } = signed_in;
        let (account, session) = (start.account.id, start.session.id);
        if *new {
            self.metrics.sign_ups.count("ok");
            event!(info, self, "sign_up", account = %account, provider);
        }
        if *took_over {
            event!(info, self, "link.taken_over", account = %account, provider);
        }
        if let Some(loser) = reclaimed {
            event!(warn, self, "account.reclaimed", account = %loser, by = %account, provider);
        }
        self.metrics.sign_ins.count("ok");
        event!(info, self, "sign_in", outcome = "ok", account = %account, client = %client, session = %session, provider);
    }

    /// The token of a provider signed nobody in.
    pub fn conversion_failed(&self, provider: &str, client: &ClientId, reason: &'static str) {
        self.metrics.sign_ins.count(reason);
        event!(info, self, "sign_in", outcome = "failed", reason, client = %client, provider);
    }

    /// An account can be signed in to by an identity at a provider from now on.
    pub fn linked(&self, account: AccountId, provider: &str, link: i64) {
        event!(info, self, "link", account = %account, provider, link);
    }

    /// What was to prove an identity did not, or somebody else has it.
    pub fn link_failed(&self, account: AccountId, provider: &str, reason: &'static str) {
        event!(info, self, "link", outcome = "failed", account = %account, provider, reason);
    }

    /// It no longer can.
    pub fn unlinked(&self, account: AccountId, provider: &str, link: i64) {
        event!(info, self, "unlink", account = %account, provider, link);
    }

    /// The owner of a session chose a password; the other sessions ended.
    pub fn password_changed(&self, account: AccountId, session: SessionId) {
        event!(info, self, "password.change", account = %account, session = %session);
    }

    /// The owner of a session failed to prove who asks for another password.
    pub fn password_change_failed(&self, account: AccountId, session: SessionId) {
        event!(info, self, "password.change", outcome = "failed", account = %account, session = %session);
    }

    /// An account ended all of its sessions.
    pub fn signed_out_everywhere(&self, account: AccountId) {
        event!(info, self, "sign_out_everywhere", account = %account);
    }

    /// An account ended its refresh tokens with a client; access tokens live on.
    pub fn refreshing_ended(&self, account: AccountId, client: &ClientId, sessions: u64) {
        event!(info, self, "refresh.end", account = %account, client = %client, sessions);
    }

    /// Something was tried too often, with this client where that is known.
    pub fn throttled(&self, throttled: &Throttled, client: Option<&str>) {
        let (what, limit) = throttled.names();
        self.metrics.throttled(what, limit);
        event!(info, self, "throttled", what, limit, client);
    }

    /// A refresh token came back after its successors were used: two parties held it.
    pub fn refresh_theft(&self, account: AccountId, client: &ClientId, session: SessionId) {
        self.metrics.refreshes.count("theft");
        event!(warn, self, "refresh.theft", account = %account, client = %client, session = %session);
    }

    /// A refresh token was ahead of the store, which so lost `gap` rotations.
    pub fn refresh_fast_forward(&self, account: AccountId, client: &ClientId, session: SessionId, gap: u32) {
        self.metrics.refreshes.count("fast_forward");
        event!(warn, self, "refresh.fast_forward", account = %account, client = %client, session = %session, gap);
    }

    /// A refresh token was exchanged, or refused, without more to tell than this word.
    pub fn refreshed(&self, outcome: &'static str) {
        self.metrics.refreshes.count(outcome);
    }

    /// A session was ended by its owner.
    pub fn revoked(&self, account: AccountId, session: SessionId) {
        event!(info, self, "revoke", account = %account, session = %session);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Mutex, PoisonError},
    };

    use super::*;

    /// What was logged, as JSON lines.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(event: impl FnOnce(&Caller)) -> serde_json::Value {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let caller = Caller { source: Ipv4Addr::LOCALHOST.into(), request_id: "r-1".into(), ..Caller::default() };
        tracing::subscriber::with_default(subscriber, || event(&caller));
        let bytes = lines.0.lock().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn events_say_who_what_from_where_and_in_which_request() {
        let (account, client) = (AccountId::generate(), ClientId::from("web"));
        let session = SessionId::from_bytes([7; 16]);
        let line = logged(|caller| caller.refresh_fast_forward(account, &client, session, 3));
        assert_eq!((&line["target"], &line["level"]), (&"audit".into(), &"WARN".into()));
        let fields = &line["fields"];
        assert_eq!(fields["event"], "refresh.fast_forward");
        assert_eq!(fields["account"], account.to_string());
        assert_eq!(fields["client"], "web");
        assert_eq!(fields["session"], session.to_string());
        assert_eq!(fields["source"], "127.0.0.1");
        assert_eq!(fields["request_id"], "r-1");
        assert_eq!(fields["gap"], 3);
    }

    #[test]
    fn a_failed_sign_in_says_why_and_names_nobody() {
        for (failure, reason) in [
            (Some(SignInFailure::Unknown), "unknown_account"),
            (Some(SignInFailure::Inactive), "inactive_account"),
            (Some(SignInFailure::Password), "wrong_password"),
            (None, "account_changed"),
        ] {
            let line = logged(|caller| caller.sign_in_failed(&"web".into(), failure));
            assert_eq!(line["fields"]["outcome"], "failed");
            assert_eq!(line["fields"]["reason"], reason);
            assert!(line["fields"].get("account").is_none());
        }
    }
}
