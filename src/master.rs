//! The master secret and every key derived from it: HKDF-SHA-256 (RFC 5869), one label per purpose.

mod file;
mod masters;

use std::{io, path::PathBuf};

use aws_lc_rs::{constant_time, hkdf, hmac, rand};
use zeroize::Zeroizing;

pub use self::masters::{Each, Masters};
use crate::{
    secret::Secret,
    store::{Deployment, Store, StoreError},
};

/// Fewest bytes of text that make a master secret.
pub const MIN_BYTES: usize = 32;

/// Tells our derivations from those of any other program that was given the same text.
const SALT: &[u8] = b"passgate master secret";

/// Where the master secret comes from.
#[derive(Clone)]
pub enum Source {
    /// `secrets.master`.
    Given(Secret),
    /// `secrets.master_file`; made (mode 0600) on the first start with an empty store.
    File(PathBuf),
}

impl Source {
    /// Its name in errors.
    fn place(&self) -> String {
        match self {
            Self::Given(_) => "`secrets.master`".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// What a derived key is for. Each has a label of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// MAC of refresh tokens.
    RefreshToken,
    /// Sealing of signing keys.
    SealSigningKeys,
    /// HMAC of client secrets.
    ClientSecret,
    /// HMAC of where accounts sign in from.
    Source,
    /// Proof that a store belongs to this secret.
    Check,
}

/// The keys derived from a master secret. The secret itself is not kept.
pub struct Master {
    refresh_token: Zeroizing<[u8; 32]>,
    seal_signing_keys: Zeroizing<[u8; 32]>,
    client_secret: Zeroizing<[u8; 32]>,
    source: Zeroizing<[u8; 32]>,
    check: Zeroizing<[u8; 32]>,
    key_id: u8,
}

impl Master {
    /// Derives every key from a secret of at least [`MIN_BYTES`]; white space around it does not count.
    pub fn new(secret: &Secret) -> Result<Self, OpenError> {
        Self::from_text(secret.expose(), &Source::Given(secret.clone()))
    }

    fn from_text(text: &str, source: &Source) -> Result<Self, OpenError> {
        let text = text.trim();
        if text.len() < MIN_BYTES {
            return Err(OpenError::TooShort { place: source.place(), length: text.len() });
        }
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(text.as_bytes());
        let [key_id, ..] = *expand(&root, b"key id v1")?;
        Ok(Self {
            refresh_token: expand(&root, b"refresh token v1")?,
            seal_signing_keys: expand(&root, b"seal signing keys v1")?,
            client_secret: expand(&root, b"client secret v1")?,
            source: expand(&root, b"source v1")?,
            check: expand(&root, b"check v1")?,
            key_id,
        })
    }

    /// The key for `purpose`.
    pub fn derive(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        match purpose {
            Purpose::RefreshToken => self.refresh_token.clone(),
            Purpose::SealSigningKeys => self.seal_signing_keys.clone(),
            Purpose::ClientSecret => self.client_secret.clone(),
            Purpose::Source => self.source.clone(),
            Purpose::Check => self.check.clone(),
        }
    }

    /// A byte that tells master secrets apart, public in refresh tokens.
    pub const fn key_id(&self) -> u8 {
        self.key_id
    }

    /// What a store keeps as proof of its master secret: HMAC("check" ‖ deployment id).
    pub fn check(&self, deployment_id: &[u8; 16]) -> [u8; 32] {
        mac(&hmac::Key::new(hmac::HMAC_SHA256, &*self.check), &[b"check", deployment_id])
    }

    /// Whether this secret is the one of `deployment`.
    pub fn fits(&self, deployment: &Deployment) -> bool {
        constant_time::verify_slices_are_equal(&self.check(&deployment.id), &deployment.master_check).is_ok()
    }
}

fn expand(root: &hkdf::Prk, label: &[u8]) -> Result<Zeroizing<[u8; 32]>, OpenError> {
    let mut key = Zeroizing::new([0; 32]);
    root.expand(&[label], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut *key)).map_err(|_| OpenError::Crypto)?;
    Ok(key)
}

/// HMAC-SHA-256 of the parts, one after the other.
pub(crate) fn mac(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; 32];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

/// Bytes that nobody can guess.
#[expect(clippy::expect_used, reason = "without randomness no secret can be made; the library itself aborts first")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// How secrets of OAuth clients are kept and compared: as HMAC-SHA-256 under a derived key. They are random
/// text of machines, so they need no slow hash.
pub struct ClientSecrets(hmac::Key);

impl ClientSecrets {
    /// Under one master secret.
    pub fn new(master: &Master) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &*master.client_secret))
    }

    /// What is kept of a secret.
    pub fn mac(&self, secret: &Secret) -> [u8; 32] {
        mac(&self.0, &[secret.expose().as_bytes()])
    }

    /// Whether `presented` is the secret of which `kept` was kept, in constant time.
    pub fn matches(&self, presented: &Secret, kept: &[u8; 32]) -> bool {
        hmac::verify(&self.0, presented.expose().as_bytes(), kept).is_ok()
    }
}

/// Reads the master secret, and those before it, and checks that one of them is the store's own; makes the secret's
/// file and claims the store when both are new. Of several nodes that claim a store at once, one wins; the others go on
/// only if their secret is the same.
pub async fn open(source: &Source, previous: &[Source], store: &dyn Store) -> Result<(Masters, Deployment), OpenError> {
    let claimed = store.deployment().await?;
    let mut made = None;
    let text = match source {
        Source::Given(secret) => secret.clone(),
        Source::File(path) => match file::read(path)? {
            Some(text) => text,
            None if claimed.is_some() => return Err(OpenError::Missing(path.clone())),
            None => {
                let (text, is_ours) = file::make(path)?;
                made = is_ours.then_some(path);
                text
            }
        },
    };
    let previous = previous.iter().map(read_previous).collect::<Result<_, _>>()?;
    let masters = Masters::new(Master::from_text(text.expose(), source)?, previous);
    let deployment = if let Some(deployment) = claimed {
        deployment
    } else {
        let id = random();
        store.claim_deployment(&Deployment { id, master_check: masters.configured().check(&id) }).await?
    };
    if masters.follow(&deployment) {
        if masters.is_behind() {
            tracing::warn!(
                "the store is under a previous master secret: once every gateway has the new one, `passgate keys \
                 reseal` puts it under that"
            );
        }
        return Ok((masters, deployment));
    }
    if let Some(path) = made {
        // Somebody else claimed the store meanwhile: a file that fits nothing would only mislead.
        file::remove(path);
    }
    Err(OpenError::Mismatch(source.place()))
}

fn read_previous(source: &Source) -> Result<Master, OpenError> {
    let text = match source {
        Source::Given(secret) => secret.clone(),
        Source::File(path) => file::read(path)?
            .ok_or_else(|| OpenError::Read { path: path.clone(), source: io::Error::from(io::ErrorKind::NotFound) })?,
    };
    Master::from_text(text.expose(), source)
}

/// The master secret cannot be used (exit code 64, except for a store out of reach).
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could be guessed.
    #[error(
        "the master secret in {place} has {length} bytes and needs at least {MIN_BYTES}; \
         `openssl rand -base64 48` makes a good one"
    )]
    TooShort {
        /// Where it was read.
        place: String,
        /// Its length without white space around it, bytes.
        length: usize,
    },
    /// Its file cannot be read.
    #[error("cannot read the master secret in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its file cannot be made.
    #[error("cannot make the file {} for the master secret: {source}", path.display())]
    Make {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store is in use and its secret is gone.
    #[error(
        "{} does not exist, but the store was set up with a master secret: put that file back, or point `store` at an \
         empty one. No new secret was made, since nothing in this store would open with it",
        .0.display()
    )]
    Missing(PathBuf),
    /// It is not the one the store was set up with.
    #[error(
        "the master secret in {0} is not the one that this store is under: bring that one back, or point `store` at the \
         store that belongs to this one. To change it, the one before has to be in `secrets.previous_master_files` or \
         `secrets.previous_masters` until `passgate keys reseal` is done"
    )]
    Mismatch(String),
    /// The crypto library refused.
    #[error("the crypto library refused to derive keys from the master secret")]
    Crypto,
}

#[cfg(test)]
mod tests;
