//! Other identity providers in-process: they speak the wire format of the real ones, and misbehave when told to.

pub mod apple;
pub mod discord;
pub mod facebook;
pub mod github;
pub mod gitlab;
pub mod google;
pub mod linkedin;
pub mod microsoft;
pub mod oidc;
mod server;
pub mod signer;
pub mod slack;
pub mod twitter;
pub mod wire;

pub use facebook::Facebook;
pub use google::Google;
pub use oidc::Oidc;
pub use server::Fault;
pub use signer::Signer;
pub use wire::Fake;

use serde_json::Value;

/// When all of it takes place, seconds since the epoch; what the bench's clock starts with.
pub const NOW: i64 = 1_800_000_000;

/// A person with an account at a provider, as the provider knows them.
#[derive(Clone)]
pub struct Person {
    pub id: String,
    pub email: Option<String>,
    pub verified: bool,
    pub name: String,
}

impl Person {
    /// Ada Lovelace under this id, who has no address.
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), email: None, verified: true, name: "Ada Lovelace".to_owned() }
    }

    /// With an address, which is verified.
    pub fn email(mut self, email: &str) -> Self {
        self.email = Some(email.to_owned());
        self
    }

    /// Whose address is not verified.
    pub fn unverified(mut self) -> Self {
        self.verified = false;
        self
    }

    /// With another full name.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The standard claims (OpenID Connect Core section 5.1).
    fn claims(&self) -> Value {
        let (given, family) = self.name.split_once(' ').unwrap_or((&self.name, ""));
        let mut claims = serde_json::json!({
            "sub": self.id, "name": self.name, "given_name": given, "family_name": family,
            "picture": "https://pictures.example.test/a.png", "locale": "en",
        });
        if let Some(email) = &self.email {
            claims["email"] = email.as_str().into();
            claims["email_verified"] = self.verified.into();
        }
        claims
    }
}
