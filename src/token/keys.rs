//! Signing keys: next, current, previous; sealed in the store, parsed once, swapped whole.

pub mod by_hand;
pub mod reseal;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde::Serialize;

use super::{
    Claims, Settings, claims,
    jws::Compact,
    rotation::{self, Step, Term, next_step},
    signing_key::{Jwk, Sealer, SigningKey},
};
use crate::{
    clock::Timestamp,
    master::{Each, Masters},
    store::{Deployment, Store, StoreError, StoredKey},
    telemetry::audit::{self, By, Fields},
};

/// Why an access token does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Not a token of ours in form, type or algorithm.
    Malformed,
    /// No key of this `kid`.
    UnknownKey,
    /// The signature is wrong.
    Signature,
    /// By its own `exp` it is over.
    Expired,
    /// Not for this place, or with claims missing, doubled or of the wrong type.
    Claims,
}

/// Most steps of one [`KeyRing::refresh`]: far above what the rules ask for, so that only nodes that undo each
/// other's work without end ever meet it.
const MAX_STEPS: usize = 40;

/// The keys of this deployment as this node knows them.
pub struct KeyRing {
    store: Arc<dyn Store>,
    deployment_id: [u8; 16],
    masters: Masters,
    sealers: Each<Sealer>,
    settings: Settings,
    set: ArcSwap<KeySet>,
    /// Taken while refreshing, so that an older reading never replaces a newer one.
    turn: tokio::sync::Mutex<()>,
}

/// One reading of the keys, in the order in which they sign.
#[derive(Default)]
struct KeySet {
    keys: Vec<Arc<SigningKey>>,
    jwks: Bytes,
    generation: u64,
}

impl KeyRing {
    /// Reads the keys, makes the first one in an empty store, or the next one when it is due. The `store` is that of
    /// the deployment with this id.
    pub async fn open(
        store: Arc<dyn Store>,
        masters: &Masters,
        deployment_id: [u8; 16],
        settings: Settings,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let sealers = masters.try_each(Sealer::new)?;
        let (set, turn) = (ArcSwap::default(), tokio::sync::Mutex::default());
        let ring = Self { store, deployment_id, masters: masters.clone(), sealers, settings, set, turn };
        ring.refresh(now).await?;
        Ok(ring)
    }

    /// Reads the keys again, and makes and drops what is due. To be called whenever the change log says that
    /// keys changed, and every minute. After an error the keys known before go on, but for those that the
    /// store no longer has. A store that was emptied gets them back: what they signed is good.
    pub async fn refresh(&self, now: Timestamp) -> Result<(), OpenError> {
        let _turn = self.turn.lock().await;
        for _ in 0..MAX_STEPS {
            let mut stored = self.store.keys().await?;
            if self.misses_one_of_ours(&stored) {
                if self.store.deployment().await?.is_none() {
                    self.put_back(&stored).await?;
                    continue;
                }
                // Again, now that whoever put keys back before us is known to be done.
                stored = self.store.keys().await?;
            }
            // First of all, so that nothing keeps a revoked key alive.
            let terms = self.take_in(&stored);
            self.follow_master(&stored).await?;
            let terms = terms?;
            match next_step(&terms, &self.settings, now) {
                None => return Ok(()),
                Some(Step::Make { signs_from }) => self.make(&stored, now, signs_from).await?,
                Some(Step::Drop { kid }) => {
                    if self.store.delete_key(&kid).await? {
                        audit::KEY_DROPPED.write(&By::Gateway, &Fields { key: Some(&kid), ..Fields::default() });
                    }
                }
            }
            // Whether that was us or another node: judge again what there is now.
        }
        Err(OpenError::Contended)
    }

    /// Goes by the master secret that the store says is in force, and seals again what is sealed under another.
    async fn follow_master(&self, stored: &[StoredKey]) -> Result<(), OpenError> {
        let Some(deployment) = self.store.deployment().await? else { return Ok(()) };
        if !self.masters.follow(&deployment) {
            tracing::error!(
                "the store is under a master secret that this gateway does not have: put it into the configuration, \
                 and start again"
            );
        }
        if !self.masters.is_one() {
            let resealed = reseal::reseal_keys(&*self.store, &self.sealers, stored).await?;
            if resealed > 0 {
                tracing::info!(keys = resealed, "sealed signing keys under the master secret in force");
            }
        }
        Ok(())
    }

    /// The key opened, under whichever master secret it is sealed.
    fn unseal(&self, stored: &StoredKey) -> Result<SigningKey, OpenError> {
        let first = SigningKey::unseal(stored, self.sealers.in_force());
        first.or_else(|error| {
            self.sealers.iter().find_map(|sealer| SigningKey::unseal(stored, sealer).ok()).ok_or(error)
        })
    }

    fn misses_one_of_ours(&self, stored: &[StoredKey]) -> bool {
        self.set.load().keys.iter().any(|key| !stored.iter().any(|stored| stored.kid == key.term.kid))
    }

    /// Gives an emptied store back the keys that this node knows, and then whose it is: until that is there, nodes do
    /// this together.
    async fn put_back(&self, stored: &[StoredKey]) -> Result<(), OpenError> {
        let mut there: Vec<String> = stored.iter().map(|key| key.kid.clone()).collect();
        for key in &self.set.load_full().keys {
            if there.contains(&key.term.kid) {
                continue;
            }
            if !self.store.insert_key(&key.seal(self.sealers.in_force())?, &there).await? {
                return Ok(());
            }
            there.push(key.term.kid.clone());
        }
        tracing::warn!(
            "the store was emptied, accounts and all; it has the signing keys again, so that tokens hold on"
        );
        let master_check = self.masters.in_force().check(&self.deployment_id);
        let claim = Deployment { id: self.deployment_id, master_check };
        if self.store.claim_deployment(&claim).await?.id != self.deployment_id {
            tracing::error!("a gateway that was started on the emptied store made it its own: start the others again");
        }
        Ok(())
    }

    /// Replaces the set by what the store has. A key that cannot be read is an error, but the others hold.
    fn take_in(&self, stored: &[StoredKey]) -> Result<Vec<Term>, OpenError> {
        let before = self.set.load();
        let mut keys = Vec::with_capacity(stored.len());
        let mut unreadable = None;
        for stored in stored {
            match before.find(&stored.kid) {
                Some(known) => keys.push(Arc::clone(known)),
                None => match self.unseal(stored) {
                    Ok(key) => keys.push(Arc::new(key)),
                    Err(error) => unreadable = Some(error),
                },
            }
        }
        keys.sort_by(|a, b| (a.term.signs_from, &a.term.kid).cmp(&(b.term.signs_from, &b.term.kid)));
        let terms = keys.iter().map(|key| key.term.clone()).collect();
        let lost = before.keys.iter().any(|old| !keys.iter().any(|key| key.term.kid == old.term.kid));
        let generation = before.generation + u64::from(lost);
        self.set.store(Arc::new(KeySet { jwks: jwks(&keys), keys, generation }));
        unreadable.map_or(Ok(terms), Err)
    }

    async fn make(&self, known: &[StoredKey], now: Timestamp, signs_from: Timestamp) -> Result<(), OpenError> {
        let algorithm = self.settings.algorithm;
        let key = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm, now, signs_from))
            .await
            .map_err(|_| OpenError::Crypto("make a signing key"))??;
        let known: Vec<String> = known.iter().map(|key| key.kid.clone()).collect();
        if self.store.insert_key(&key.seal(self.sealers.in_force())?, &known).await? {
            let fields = Fields { key: Some(&key.term.kid), algorithm: Some(algorithm.name()), ..Fields::default() };
            audit::KEY_MADE.write(&By::Gateway, &fields);
        }
        Ok(())
    }

    /// The signed token (RFC 7515 compact serialization, `typ: at+jwt`), by the key that is current at `now`,
    /// whether or not the ring was refreshed since it came to be. A clock that was set back behind all of them
    /// leaves the first.
    pub fn sign(&self, claims: &Claims, now: Timestamp) -> Result<String, OpenError> {
        let set = self.set.load();
        let current = rotation::current(set.keys.iter().map(|key| key.term.signs_from), now);
        let key = set.keys.get(current.unwrap_or(0)).ok_or(OpenError::NoKey)?;
        key.sign(&claims.to_json())
    }

    /// Checks everything a token alone can tell (RFC 9068 section 4, RFC 8725), the cheap before the dear:
    /// form, key and `exp` are judged before the signature, so a token made up is called expired when it says
    /// so itself; that tells its maker nothing. The other claims are looked at only when the signature holds.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Invalid> {
        let parts = Compact::split(token).ok_or(Invalid::Malformed)?;
        let (kid, algorithm) = parts.key().ok_or(Invalid::Malformed)?;
        let set = self.set.load();
        let key = set.find(&kid).ok_or(Invalid::UnknownKey)?;
        if key.term.algorithm != algorithm {
            return Err(Invalid::Malformed);
        }
        let payload = parts.payload().ok_or(Invalid::Malformed)?;
        let expires_at = claims::unverified_expiry(&payload).ok_or(Invalid::Claims)?;
        if self.settings.has_expired(expires_at, now) {
            return Err(Invalid::Expired);
        }
        let signature = parts.signature().ok_or(Invalid::Malformed)?;
        if !key.verifies(parts.signed, &signature) {
            return Err(Invalid::Signature);
        }
        Claims::from_json(&payload, &self.settings).ok_or(Invalid::Claims)
    }

    /// Moves whenever a key went away; verdicts found under an older generation are void. Read it before
    /// verifying what is to be remembered under it.
    pub fn generation(&self) -> u64 {
        self.set.load().generation
    }

    /// How far the rotation is at `now`; `None` without a key that signs.
    pub fn progress(&self, now: Timestamp) -> Option<Progress> {
        let set = self.set.load();
        let starts = set.keys.iter().map(|key| key.term.signs_from);
        let at = rotation::current(starts.clone(), now)?;
        let current = starts.clone().nth(at)?;
        let next = starts.clone().nth(at + 1).unwrap_or(current + self.settings.rotate_every);
        Some(Progress { signing: now.since(current), left: next.since(now), overdue: now.since(next) })
    }

    /// The JWK Set (RFC 7517) as served: next, current and previous keys.
    pub fn jwks(&self) -> Bytes {
        self.set.load().jwks.clone()
    }

    /// What tokens are made and judged by.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// How far the rotation of signing keys is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// For how long the current key has been signing.
    pub signing: Duration,
    /// How long it will be until the next one does: the one that is published, or else the one that is to be made.
    pub left: Duration,
    /// For how long there should have been one.
    pub overdue: Duration,
}

impl KeySet {
    /// There are two or three: looking at each is as fast as any index.
    fn find(&self, kid: &str) -> Option<&Arc<SigningKey>> {
        self.keys.iter().find(|key| key.term.kid == kid)
    }
}

#[expect(clippy::expect_used, reason = "plain members under fixed names always make JSON")]
fn jwks(keys: &[Arc<SigningKey>]) -> Bytes {
    #[derive(Serialize)]
    struct Jwks<'a> {
        keys: Vec<Jwk<'a>>,
    }
    let jwks = Jwks { keys: keys.iter().map(|key| key.jwk()).collect() };
    serde_json::to_vec(&jwks).expect("public keys are JSON").into()
}

/// The keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sealed key does not open under this master secret, or is not the one it is called.
    #[error("signing key {0} cannot be unsealed: it is damaged, or was sealed under another master secret")]
    Sealed(String),
    /// Another version of Passgate made it.
    #[error("signing key {kid} is for {name}, an algorithm that this version does not know")]
    Algorithm {
        /// The key.
        kid: String,
        /// What it is for.
        name: String,
    },
    /// The keys kept changed under our hands again and again.
    #[error("the signing keys keep changing; is another node undoing what this one does?")]
    Contended,
    /// Every key was revoked, and a new one is not made yet.
    #[error("no signing key is in force")]
    NoKey,
    /// The crypto library refused.
    #[error("the crypto library refused to {0}")]
    Crypto(&'static str),
}

#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod rotation_tests;
