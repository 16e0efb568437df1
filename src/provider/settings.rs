//! What a provider is made of: its row of the table, the operator's settings, and the tools that all share.

use std::sync::Arc;

use url::Url;
use uuid::Uuid;

use super::{Provider, http::Http};
use crate::{clock::Clock, secret::Secret};

/// What the configuration must know of a provider, and how it is made.
pub struct Row {
    /// Its name in the configuration, and the `backend` of the HTTP contract.
    pub name: &'static str,
    /// Its endpoints by key, with their defaults; without one, the endpoint is found or not used.
    pub endpoints: &'static [(&'static str, Option<&'static str>)],
    /// Why it cannot do without a client secret, if so.
    pub needs_secret: Option<&'static str>,
    /// What can be set beyond `client_id`, the secret and the endpoints.
    pub extras: &'static [Extra],
    /// Makes it of settings that fit the row.
    pub(super) make: fn(Parts) -> Result<Arc<dyn Provider>, Unusable>,
}

/// A key of the configuration that not every provider has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// `audiences`: more ids of ours that a token may have been issued to.
    Audiences,
    /// `trust_email`: all its addresses count as verified, unless it says of one that it is not. A provider that also has
    /// `tenant` has it for one tenant only; GitLab, for others than gitlab.com, whose addresses count without.
    TrustEmail,
    /// `tenant`: whose accounts are taken, of a provider that serves many.
    Tenant,
    /// `accept_any_app`, which has to be set: the provider tells nobody for which app a token was issued. It is followed
    /// by what that means.
    AcceptAnyApp(&'static str),
}

/// A provider of the configuration.
#[derive(Clone)]
pub struct Settings {
    /// The key it stands under.
    pub name: String,
    /// What it is.
    pub row: &'static Row,
    /// Our id there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: Option<Secret>,
    /// More ids of ours there, such as those of mobile apps.
    pub audiences: Vec<String>,
    /// Endpoints by the keys of the row, defaults among them.
    pub endpoints: Vec<(&'static str, Url)>,
    /// The issuer to the letter, for `type: oidc`.
    pub issuer: Option<String>,
    /// An address counts as verified unless the provider says that it is not; of GitLab, if it says that it is.
    pub trust_email: bool,
    /// The one tenant whose accounts are taken.
    pub tenant: Option<Uuid>,
    /// Tokens are taken whichever app they were issued to.
    pub accept_any_app: bool,
}

impl Settings {
    /// Every id that a token may have been issued to.
    pub(super) fn our_ids(&self) -> Vec<String> {
        [&self.client_id].into_iter().chain(&self.audiences).cloned().collect()
    }

    pub(super) fn endpoint(&self, key: &str) -> Option<Url> {
        self.endpoints.iter().find(|(own, _)| *own == key).map(|(_, url)| url.clone())
    }
}

/// What a provider is made of.
pub struct Parts {
    pub(super) settings: Settings,
    pub(super) http: Http,
    pub(super) clock: Clock,
}

impl Parts {
    pub(super) fn endpoint(&self, key: &'static str) -> Result<Url, Unusable> {
        self.settings.endpoint(key).ok_or_else(|| self.lacks(key))
    }

    pub(super) fn client_secret(&self) -> Result<Secret, Unusable> {
        self.settings.client_secret.clone().ok_or_else(|| self.lacks("client_secret"))
    }

    pub(super) fn lacks(&self, what: &'static str) -> Unusable {
        Unusable::Lacking { provider: self.settings.name.clone(), what }
    }
}

/// Why there can be no providers.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A setting that the provider cannot do without is not there, or is no such thing.
    #[error("the provider {provider} has no usable `{what}`")]
    Lacking {
        /// The provider.
        provider: String,
        /// The key.
        what: &'static str,
    },
    /// The HTTP client cannot be made.
    #[error("no HTTP client for identity providers: {0}")]
    Client(reqwest::Error),
}
