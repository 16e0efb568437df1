//! [Audit events](crate::telemetry::audit) of requests, and their counts: who did what, with which client, from where, in
//! which request.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, OnceLock},
};

use crate::{
    account::{SignInFailure, identity::SignedIn},
    model::{AccountId, ClientId, SessionId},
    telemetry::{
        audit::{self, By, Event, Fields},
        metrics::Metrics,
    },
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

impl Caller {
    fn tell(&self, event: &Event, fields: &Fields<'_>) {
        event.write(&By::Request { source: self.source, request_id: &self.request_id }, fields);
    }

    /// An account came to be.
    pub fn signed_up(&self, account: AccountId) {
        self.metrics.sign_ups.count("ok");
        self.tell(&audit::SIGN_UP, &Fields { account: Some(account), ..Fields::default() });
    }

    /// No account came to be; the answer says why.
    pub fn sign_up_failed(&self) {
        self.metrics.sign_ups.count("failed");
    }

    /// A session came to be.
    pub fn signed_in(&self, account: AccountId, client: &ClientId, session: SessionId) {
        self.metrics.sign_ins.count("ok");
        self.tell(&audit::SIGN_IN, &Fields { outcome: Some("ok"), ..of_session(account, client, session) });
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
        self.tell(&audit::SIGN_IN, &Fields { client: Some(client.as_str()), ..failed(reason) });
    }

    /// A session came to be by the word of a provider, and perhaps an account with it.
    pub fn signed_in_with(&self, provider: &str, client: &ClientId, signed_in: &SignedIn) {
        let SignedIn { start, new, took_over, reclaimed } = signed_in;
        let (account, session) = (start.account.id, start.session.id);
        let by_provider = Fields { account: Some(account), provider: Some(provider), ..Fields::default() };
        if *new {
            self.metrics.sign_ups.count("ok");
            self.tell(&audit::SIGN_UP, &by_provider);
        }
        if *took_over {
            self.tell(&audit::LINK_TAKEN_OVER, &by_provider);
        }
        if let Some(loser) = reclaimed {
            let fields = Fields { account: Some(*loser), taken_by: Some(account), ..by_provider };
            self.tell(&audit::ACCOUNT_RECLAIMED, &fields);
        }
        self.metrics.sign_ins.count("ok");
        let fields = of_session(account, client, session);
        self.tell(&audit::SIGN_IN, &Fields { outcome: Some("ok"), provider: Some(provider), ..fields });
    }

    /// The token of a provider signed nobody in.
    pub fn conversion_failed(&self, provider: &str, client: &ClientId, reason: &'static str) {
        self.metrics.sign_ins.count(reason);
        let fields = Fields { client: Some(client.as_str()), provider: Some(provider), ..failed(reason) };
        self.tell(&audit::SIGN_IN, &fields);
    }

    /// A client did not prove itself; `known` when there is one of the id that it gave.
    pub fn client_refused(&self, known: Option<&ClientId>) {
        let reason = if known.is_some() { "wrong_secret" } else { "unknown_client" };
        let client = known.map(ClientId::as_str);
        self.tell(&audit::CLIENT_REFUSED, &Fields { client, reason: Some(reason), ..Fields::default() });
    }

    /// An account can be signed in to by an identity at a provider from now on.
    pub fn linked(&self, account: AccountId, provider: &str, link: i64) {
        self.tell(&audit::LINK, &Fields { outcome: Some("ok"), ..of_link(account, provider, link) });
    }

    /// What was to prove an identity did not, or somebody else has it.
    pub fn link_failed(&self, account: AccountId, provider: &str, reason: &'static str) {
        let fields = Fields { account: Some(account), provider: Some(provider), ..failed(reason) };
        self.tell(&audit::LINK, &fields);
    }

    /// It no longer can.
    pub fn unlinked(&self, account: AccountId, provider: &str, link: i64) {
        self.tell(&audit::UNLINK, &of_link(account, provider, link));
    }

    /// The owner of a session chose a password; the other sessions ended.
    pub fn password_changed(&self, account: AccountId, session: SessionId) {
        let fields = Fields { account: Some(account), session: Some(session), ..Fields::default() };
        self.tell(&audit::PASSWORD_CHANGE, &Fields { outcome: Some("ok"), ..fields });
    }

    /// The owner of a session failed to prove who asks for another password.
    pub fn password_change_failed(&self, account: AccountId, session: SessionId) {
        let fields = Fields { account: Some(account), session: Some(session), ..Fields::default() };
        self.tell(&audit::PASSWORD_CHANGE, &Fields { outcome: Some("failed"), ..fields });
    }

    /// An account ended all of its sessions.
    pub fn signed_out_everywhere(&self, account: AccountId) {
        self.tell(&audit::SIGN_OUT_EVERYWHERE, &Fields { account: Some(account), ..Fields::default() });
    }

    /// An account ended its refresh tokens with a client; access tokens live on.
    pub fn refreshing_ended(&self, account: AccountId, client: &ClientId, sessions: u64) {
        let (account, client) = (Some(account), Some(client.as_str()));
        self.tell(&audit::REFRESH_ENDED, &Fields { account, client, sessions: Some(sessions), ..Fields::default() });
    }

    /// Something was tried too often, with this client where that is known.
    pub fn throttled(&self, throttled: &Throttled, client: Option<&str>) {
        let (what, limit) = throttled.names();
        self.metrics.throttled(what, limit);
        let fields = Fields { what: Some(what), limit: Some(limit), client, ..Fields::default() };
        self.tell(&audit::THROTTLED, &fields);
    }

    /// A refresh token came back after its successors were used: two parties held it.
    pub fn refresh_theft(&self, account: AccountId, client: &ClientId, session: SessionId) {
        self.metrics.refreshes.count("theft");
        self.tell(&audit::REFRESH_THEFT, &of_session(account, client, session));
    }

    /// A refresh token was ahead of the store, which so lost `gap` rotations.
    pub fn refresh_fast_forward(&self, account: AccountId, client: &ClientId, session: SessionId, gap: u32) {
        self.metrics.refreshes.count("fast_forward");
        let fields = Fields { gap: Some(gap), ..of_session(account, client, session) };
        self.tell(&audit::REFRESH_FAST_FORWARD, &fields);
    }

    /// A refresh token was exchanged, or refused, without more to tell than this word.
    pub fn refreshed(&self, outcome: &'static str) {
        self.metrics.refreshes.count(outcome);
    }

    /// A session was ended by its owner.
    pub fn revoked(&self, account: AccountId, session: SessionId) {
        let fields = Fields { account: Some(account), session: Some(session), ..Fields::default() };
        self.tell(&audit::SESSION_ENDED, &fields);
    }
}

fn failed(reason: &'static str) -> Fields<'static> {
    Fields { outcome: Some("failed"), reason: Some(reason), ..Fields::default() }
}

fn of_session(account: AccountId, client: &ClientId, session: SessionId) -> Fields<'_> {
    Fields { account: Some(account), client: Some(client.as_str()), session: Some(session), ..Fields::default() }
}

fn of_link(account: AccountId, provider: &str, link: i64) -> Fields<'_> {
    Fields { account: Some(account), provider: Some(provider), link: Some(link), ..Fields::default() }
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
