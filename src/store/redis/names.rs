//! Names of keys, as docs/redis.md lists them. What is within braces decides where a Cluster keeps a key: an account's
//! own keys are together, and so are the change log's.

use super::short;
use crate::model::{AccountId, LinkKey, SessionId};

/// Makes the names of one namespace.
pub(super) struct Names(String);

impl Names {
    pub fn new(namespace: &str) -> Self {
        Self(namespace.to_owned())
    }

    /// The hash of all that is the account's own.
    pub fn account(&self, id: AccountId) -> String {
        format!("{}:{{{id}}}", self.0)
    }

    /// Where the account signed in from lately, by time.
    pub fn sources(&self, id: AccountId) -> String {
        format!("{}:{{{id}}}:sources", self.0)
    }

    /// Whose the session is.
    pub fn session(&self, id: SessionId) -> String {
        format!("{}:sid:{}", self.0, short::id(id.as_bytes()))
    }

    /// The ids of all accounts.
    pub fn accounts(&self) -> String {
        format!("{}:accounts", self.0)
    }

    /// Whose the address is.
    pub fn email(&self, key: &str) -> String {
        format!("{}:email:{key}", self.0)
    }

    /// Whose the `external_id` is.
    pub fn external_id(&self, id: &str) -> String {
        format!("{}:external:{id}", self.0)
    }

    /// Whose the identity is. With the length of the provider's name, so that no two identities read alike.
    pub fn link(&self, key: &LinkKey) -> String {
        format!("{}:link:{}:{}:{}", self.0, key.provider.len(), key.provider, key.subject)
    }

    /// Whose the link is that was imported under an address.
    pub fn link_by_email(&self, provider: &str, email: &str) -> String {
        format!("{}:link-by-email:{}:{provider}:{email}", self.0, provider.len())
    }

    /// The last id given to a link.
    pub fn last_link(&self) -> String {
        format!("{}:last-link", self.0)
    }

    /// Turns that gateways count together.
    pub fn counter(&self, name: &str) -> String {
        format!("{}:turns:{name}", self.0)
    }

    /// The change log.
    pub fn log(&self) -> String {
        format!("{}:{{log}}", self.0)
    }

    /// What belongs to the change log or is changed together with it.
    pub fn beside_log(&self, what: &str) -> String {
        format!("{}:{{log}}:{what}", self.0)
    }
}

/// Fields of an account's hash.
pub(super) mod field {
    use super::short;
    use crate::model::SessionId;

    /// The account itself.
    pub const ACCOUNT: &str = "account";
    /// Its password's hash.
    pub const PASSWORD: &str = "password";
    /// The canonical form of its address.
    pub const EMAIL: &str = "email";
    /// Its `external_id`, beside what is left of it while it is being deleted.
    pub const EXTERNAL_ID: &str = "external";
    /// There while the account is not to be seen yet.
    pub const WAITING: &str = "waiting";

    const SESSION: &str = "s:";
    const LINK: &str = "l:";
    const NOTE: &str = "o:";

    pub fn session(id: SessionId) -> String {
        format!("{SESSION}{}", short::id(id.as_bytes()))
    }

    pub fn session_of(field: &str) -> Option<SessionId> {
        short::read_id(field.strip_prefix(SESSION)?).map(SessionId::from_bytes)
    }

    pub fn link(id: i64) -> String {
        format!("{LINK}{id}")
    }

    pub fn link_of(field: &str) -> Option<i64> {
        field.strip_prefix(LINK)?.parse().ok()
    }

    /// What every node must be told of a change, until the log has it.
    pub fn note(id: &str) -> String {
        format!("{NOTE}{id}")
    }

    pub fn is_note(field: &str) -> bool {
        field.starts_with(NOTE)
    }
}
