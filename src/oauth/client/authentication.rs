//! How a client proves who it is.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{Basic, Client, Credentials, Registry};
use crate::{
    oauth::Error,
    password::{Busy, Verified},
    secret::Secret,
    store::StoredSecret,
};

impl Registry {
    /// The client that a request proves to come from (RFC 6749 section 2.3.1). Where Basic fails, the body is
    /// tried; a public client has nothing to prove, and what it sends as a secret is not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidClient`], [`Error::TwoClients`]; [`Error::Busy`] when the secret was imported, and there is no room
    /// to hash what was sent.
    pub async fn authenticate(&self, credentials: &Credentials) -> Result<Arc<Client>, Error> {
        let from_body = credentials.id.as_deref().filter(|id| !id.is_empty());
        let by_basic = match &credentials.basic {
            Basic::Absent | Basic::Unreadable => None,
            Basic::Given { id, .. } if !id.is_empty() && from_body.is_some_and(|other| other != id) => {
                return Err(Error::TwoClients);
            }
            Basic::Given { id, secret } => self.prove(id, Some(secret)).await?,
        };
        let proven = match (by_basic, from_body) {
            (Some(client), _) => Some(client),
            (None, Some(id)) => self.prove(id, credentials.secret.as_ref()).await?,
            (None, None) => None,
        };
        proven.ok_or(Error::InvalidClient { used_basic: credentials.used_basic() })
    }

    /// The client of this id, if the secret is its own. An unknown one costs as much as a known one, unless that was
    /// imported: then a secret costs one hash, until the right one has been seen.
    async fn prove(&self, id: &str, secret: Option<&Secret>) -> Result<Option<Arc<Client>>, Busy> {
        let offered = (self.macs)(secret.map_or("", Secret::expose));
        let secret = secret.filter(|secret| !secret.expose().is_empty());
        let Some(client) = self.find(id) else { return Ok(None) };
        let proven = match (&client.secret, secret) {
            (None, _) => true,
            (Some(StoredSecret::Mac(expected)), Some(_)) => self.is_among(&client, expected, &offered).await,
            (Some(StoredSecret::Imported(hash)), Some(secret)) => self.fits(&client, hash, secret, &offered).await?,
            (Some(_), None) => false,
        };
        Ok(proven.then_some(client))
    }

    /// Whether the MAC that is kept is one of those of the secret offered. If that is one under a previous master secret,
    /// the one under today's is kept from now on.
    async fn is_among(&self, client: &Client, expected: &[u8; 32], offered: &[[u8; 32]]) -> bool {
        let fitting = offered.iter().position(|mac| verify_slices_are_equal(expected, mac).is_ok());
        if let (Some(1..), Some(today), true) = (fitting, offered.first(), client.is_stored) {
            self.keep(client, &StoredSecret::Mac(*expected), today).await;
        }
        fitting.is_some()
    }

    /// Whether it is the secret that was hashed before the client was imported. If so, its MAC is kept from now on.
    async fn fits(&self, client: &Client, hash: &str, secret: &Secret, offered: &[[u8; 32]]) -> Result<bool, Busy> {
        match self.hasher.verify_client_secret(secret.clone(), hash).await? {
            Verified::Yes | Verified::Outdated => {}
            Verified::No => return Ok(false),
            Verified::Unusable(error) => {
                tracing::error!(client = %client.id, %error, "the hash of an imported client secret cannot be used");
                return Ok(false);
            }
        }
        if let Some(today) = offered.first() {
            self.keep(client, &StoredSecret::Imported(hash.to_owned()), today).await;
        }
        Ok(true)
    }

    /// Keeps the MAC in the place of what is kept. The client has proven itself whatever comes of it; the change log has
    /// every node read it again.
    async fn keep(&self, client: &Client, current: &StoredSecret, mac: &[u8; 32]) {
        if let Err(error) = self.store.replace_secret(&client.id, current, mac).await {
            tracing::warn!(client = %client.id, %error, "what is kept of a client's secret was not replaced");
        }
    }
}
