//! Tokens of other identity providers: whom they speak for, and everything that must not be believed.

mod all;
mod apple;
mod discord;
mod facebook;
mod github;
mod gitlab;
mod google;
mod hostile;
mod id_token;
mod linkedin;
mod log;
mod microsoft;
mod oidc;
mod slack;
mod twitter;

use passgate::{
    clock::{Clock, Timestamp},
    config,
    provider::{Error, Identity, Kind, Presented, Providers},
    secret::Secret,
    telemetry::metrics::Metrics,
};

use crate::support::provider::NOW;

/// The gateway's providers by themselves, with a clock of the test's own.
struct Checker {
    providers: Providers,
    clock: Clock,
}

/// What the configuration makes of these entries of `providers`.
fn checker(entries: &[&str]) -> Checker {
    let providers = entries.join("\n  ");
    let yaml = format!("upstreams: {{ app: whoami }}\nroutes: [{{ upstream: app }}]\nproviders:\n  {providers}\n");
    let settings = config::parse(&yaml, "test.yaml", std::iter::empty()).unwrap_or_else(|report| panic!("{report}"));
    let clock = Clock::manual(Timestamp::from_seconds(NOW));
    Checker { providers: Providers::new(settings.providers, clock.clone(), &Metrics::new()).unwrap(), clock }
}

impl Checker {
    async fn identify(&self, name: &str, token: &str) -> Result<Identity, Error> {
        self.identify_as(name, token, Kind::Unsaid, None).await
    }

    async fn identify_as(&self, name: &str, token: &str, kind: Kind, nonce: Option<&str>) -> Result<Identity, Error> {
        let token = Secret::from(token);
        let presented = Presented { token: &token, kind, nonce };
        self.providers.identify(name, &presented).await.expect("a provider of this name")
    }
}

/// Fails the test unless the token is refused as not allowed.
fn assert_not_allowed(outcome: &Result<Identity, Error>, what: &str) {
    assert!(matches!(outcome, Err(Error::NotAllowed(_))), "{what}: {outcome:?}");
}

#[tokio::test]
async fn a_provider_is_known_by_its_exact_name() {
    let checker = checker(&[
        "google-oauth2: { client_id: a }",
        "facebook: { client_id: a, client_secret: b }",
        "company: { type: oidc, issuer: 'https://id.example.test', client_id: a }",
    ]);
    assert_eq!(checker.providers.names().collect::<Vec<_>>(), ["company", "facebook", "google-oauth2"]);
    assert!(checker.providers.contains("facebook"));
    let token = Secret::from("t");
    for other in ["Facebook", "facebook ", "google", "oidc", "", "facebook/"] {
        assert!(!checker.providers.contains(other));
        let presented = Presented { token: &token, kind: Kind::Unsaid, nonce: None };
        assert!(checker.providers.identify(other, &presented).await.is_none(), "{other}");
    }
}
