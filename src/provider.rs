//! Other identity providers: whom does a token of Google, Facebook or an OpenID provider speak for?
//!
//! Each provider is a file that answers this for its own tokens. It says yes only to a token that is genuine, that was
//! issued to an app of ours, and that names a person. Names that can be written in the configuration, endpoints and what
//! else a provider needs stand in its [`Row`]; adding a provider is one file and one line in [`TABLE`].

mod apple;
mod cached;
mod discord;
mod error;
mod facebook;
mod github;
mod gitlab;
mod google;
mod http;
mod id_token;
mod identity;
mod jwks;
mod linkedin;
mod microsoft;
mod oidc;
mod settings;
mod slack;
mod twitter;

use std::{
    collections::BTreeMap,
    iter,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::{sync::Semaphore, time::timeout};

pub use error::Error;
pub use identity::{Email, Identity, Kind, Presented, Verified};
pub use settings::{Extra, Parts, Row, Settings, Unusable};

use crate::{
    clock::Clock,
    telemetry::metrics::{Metrics, ProviderMetrics},
};

/// The providers that are known by name.
pub const TABLE: &[&Row] = &[
    &google::ROW,
    &facebook::ROW,
    &github::ROW,
    &gitlab::ROW,
    &microsoft::ROW,
    &microsoft::GRAPH,
    &apple::ROW,
    &linkedin::ROW,
    &discord::ROW,
    &twitter::ROW,
    &slack::ROW,
];

/// `type: oidc`, under any name.
pub const OIDC: &Row = &oidc::ROW;

/// A whole check takes no longer, however many calls it needs.
const DEADLINE: Duration = Duration::from_secs(5);

/// Checks in flight, per provider. One that is slow holds up so many requests and no more.
const MAX_IN_FLIGHT: usize = 64;

/// One identity provider.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Whom the token speaks for.
    ///
    /// # Errors
    /// See [`Error`].
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error>;
}

/// The providers of this gateway, by name.
pub struct Providers(BTreeMap<String, Entry>);

struct Entry {
    provider: Arc<dyn Provider>,
    in_flight: Semaphore,
    metrics: ProviderMetrics,
}

impl Providers {
    /// Makes them. Nothing is asked of anybody before the first token is presented. Checks are counted in `metrics`.
    ///
    /// # Errors
    /// When settings lack what their [`Row`] asks for, which the configuration has checked; or when there can be no HTTP
    /// client at all.
    pub fn new(settings: Vec<Settings>, clock: Clock, metrics: &Metrics) -> Result<Self, Unusable> {
        if settings.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let client = http::client().map_err(Unusable::Client)?;
        let mut providers = BTreeMap::new();
        for (settings, clock) in settings.into_iter().zip(iter::repeat(clock)) {
            let name = settings.name.clone();
            let http = http::Http::new(client.clone(), &name);
            let provider = (settings.row.make)(Parts { settings, http, clock })?;
            let metrics = metrics.provider(&name);
            providers.insert(name, Entry { provider, in_flight: Semaphore::new(MAX_IN_FLIGHT), metrics });
        }
        Ok(Self(providers))
    }

    /// Whether there is one of exactly this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whom the token speaks for; `None` when there is no provider of exactly this name.
    pub async fn identify(&self, name: &str, presented: &Presented<'_>) -> Option<Result<Identity, Error>> {
        let Entry { provider, in_flight, metrics } = self.0.get(name)?;
        let Ok(_permit) = in_flight.try_acquire() else {
            metrics.checks.count("busy");
            tracing::warn!(provider = name, "{}", Error::Busy);
            return Some(Err(Error::Busy));
        };
        let asked_at = Instant::now();
        let outcome = timeout(DEADLINE, provider.identify(presented)).await.unwrap_or_else(|_| {
            let error = Error::Unreachable("no answer within the deadline");
            tracing::warn!(provider = name, %error, "an identity provider cannot be asked");
            Err(error)
        });
        metrics.times.observe(asked_at.elapsed());
        metrics.checks.count(match &outcome {
            Ok(_) => "ok",
            Err(Error::NotAllowed(_) | Error::Canceled(_)) => "refused",
            Err(Error::Busy) => "busy",
            Err(_) => "failed",
        });
        if let Err(error @ (Error::NotAllowed(_) | Error::Canceled(_))) = &outcome {
            tracing::info!(provider = name, %error, "a provider's token is refused");
        }
        Some(outcome)
    }
}
