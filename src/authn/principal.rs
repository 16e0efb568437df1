//! Who a request is, in as little memory as it takes: a gateway keeps hundred thousands of them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    clock::Timestamp,
    identity::Headers,
    model::{AccountId, ClientId, Epoch, SessionId},
    token::Claims,
};

/// The verified caller, with what upstreams are told about it made ready. Of the token's claims it has what is asked
/// after; the others are in the headers, or the same in every token.
pub struct Principal {
    /// `sub`.
    pub subject: AccountId,
    /// `sid`.
    pub session: SessionId,
    /// `client_id`.
    pub client: ClientId,
    /// `scope`, its tokens separated by spaces.
    pub scope: Box<str>,
    /// `groups`.
    pub groups: Box<[Box<str>]>,
    /// `staff`.
    pub staff: bool,
    /// `iss`, where it is one of before and not today's.
    pub former_issuer: Option<Box<str>>,
    /// `jti`.
    pub token_id: Box<str>,
    /// `iat`.
    pub issued_at: Timestamp,
    /// `exp`.
    pub expires_at: Timestamp,
    /// Identity headers, made once per token.
    pub headers: Headers,
    /// `epoch`.
    pub(super) epoch: Epoch,
    /// Key generation it was verified under.
    pub(super) key_generation: u64,
    /// Generation of the change log under which it was last found not to be ended.
    judged_at: AtomicU64,
}

impl Principal {
    /// The caller of a token that holds, where `issuer` is today's.
    pub fn new(claims: Claims, issuer: &str, headers: Headers, key_generation: u64) -> Self {
        Self {
            former_issuer: (claims.issuer != issuer).then(|| claims.issuer.into()),
            subject: claims.subject,
            session: claims.session,
            client: claims.client,
            scope: claims.scope.to_string().into(),
            groups: claims.profile.groups.into_iter().map(Into::into).collect(),
            staff: claims.profile.staff,
            token_id: claims.id.into(),
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            headers,
            epoch: claims.epoch,
            key_generation,
            judged_at: AtomicU64::new(u64::MAX),
        }
    }

    /// Whether this token is in its scope.
    pub fn has_scope(&self, token: &str) -> bool {
        self.scope.split(' ').any(|own| own == token)
    }

    /// Whether it was found not to be ended under this generation of the change log.
    pub(super) fn was_judged_at(&self, generation: u64) -> bool {
        self.judged_at.load(Ordering::Relaxed) == generation
    }

    pub(super) fn set_judged_at(&self, generation: u64) {
        self.judged_at.store(generation, Ordering::Relaxed);
    }

    /// What it takes in memory, near enough.
    pub(super) fn bytes(&self) -> usize {
        let groups = self.groups.iter().map(|group| size_of::<Box<str>>() + allocated(group.len()));
        let others = [self.scope.len(), self.token_id.len(), 2 * size_of::<usize>() + self.client.as_str().len()];
        size_of::<Self>() + groups.chain(others.map(allocated)).sum::<usize>() + self.headers.bytes()
    }
}

/// What an allocator gives for so many bytes.
const fn allocated(bytes: usize) -> usize {
    bytes.next_multiple_of(8)
}
