//! The grants: one file each, one line here.

pub mod convert_token;
mod password;
mod refresh_token;
pub mod token_exchange;

use std::sync::Arc;

use super::{Error, OAuth, Tokens, audit::Caller, client::Credentials};
use crate::secret::Secret;

/// A token request as received (RFC 6749 sections 4.3.2 and 6). Absent and empty are told apart.
pub struct TokenRequest<'a> {
    /// `grant_type`.
    pub grant_type: Option<&'a str>,
    /// Who asks.
    pub client: Credentials,
    /// `scope`.
    pub scope: Option<&'a str>,
    /// `username`: an email address.
    pub username: Option<&'a str>,
    /// `password`.
    pub password: Option<&'a Secret>,
    /// `refresh_token`.
    pub refresh_token: Option<&'a Secret>,
    /// What RFC 8693 adds.
    pub exchange: token_exchange::Exchange<'a>,
}

impl OAuth {
    /// Judges a token request: grant type, then client, then what the grant asks for. The client always
    /// comes before the user, so that a wrong secret says nothing of any user.
    pub async fn token(self: &Arc<Self>, request: &TokenRequest<'_>, caller: &Caller) -> Result<Tokens, Error> {
        match request.grant_type {
            Some("password") => password::exchange(self, request, caller).await,
            Some("refresh_token") => refresh_token::exchange(self, request, caller).await,
            Some(token_exchange::GRANT_TYPE) => token_exchange::exchange(self, request, caller).await,
            // Grants of RFC 6749 that no client may use here.
            Some("authorization_code" | "client_credentials") => {
                self.authenticate(&request.client, caller).await?;
                Err(Error::UnauthorizedClient)
            }
            _ => Err(Error::UnsupportedGrantType),
        }
    }
}
