//! Passwords: argon2id on threads of its own behind a bounded queue, hashes from elsewhere, and what a new password must
//! be.

mod hash;
mod imported;
mod phc;
mod pool;
pub mod policy;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use argon2::Params;

pub use self::hash::Unusable;
#[cfg(test)]
pub(crate) use self::imported::tests::vectors;
use self::{
    hash::{Memory, Stored},
    imported::Imported,
    pool::Pool,
};
use crate::{secret::Secret, telemetry::metrics::Hashing};

/// Cost and concurrency of hashing.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Memory per hash, KiB.
    pub memory_kib: u32,
    /// Passes.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
    /// Hashes at once: as many threads, each of which keeps its memory.
    pub max_concurrent: usize,
    /// Hashes waiting; one more is refused.
    pub queue: usize,
}

/// Too many hashes are waiting: 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many password hashes are waiting")]
pub struct Busy;

/// Hashing cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Argon2 (RFC 9106 section 3.1) has no such costs.
    #[error("these costs of hashing are not possible: {0}")]
    Cost(argon2::Error),
    /// The system gives no more threads.
    #[error("the threads for hashing cannot be started: {0}")]
    Threads(#[from] io::Error),
}

/// What a verification found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The password is another.
    No,
    /// It is the one.
    Yes,
    /// It is the one, but hashed otherwise than we hash today: hash it again.
    Outdated,
    /// The stored hash is none that we can verify, so no password is the one. As much work was done.
    Unusable(Unusable),
}

/// Whether a hash that Django made, of a password or of a client secret, can be verified here, and why not. Computes
/// nothing.
///
/// # Errors
///
/// [`Unusable::NoPassword`] is no flaw: the account has no password, and is to be kept without a hash.
pub fn check_imported(hash: &str) -> Result<(), Unusable> {
    Imported::parse(hash).map(drop)
}

/// Hashes and verifies.
pub struct Hasher {
    pool: Pool,
    today: Params,
    computed: Arc<AtomicU64>,
}

impl Hasher {
    /// Starts the threads; they end when it is dropped. Nothing is counted.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        Self::counted(settings, Hashing::default())
    }

    /// As [`Hasher::new`], counting in `figures`.
    pub fn counted(settings: Settings, figures: Hashing) -> Result<Self, SetupError> {
        let today =
            phc::params(settings.memory_kib, settings.iterations, settings.parallelism).map_err(SetupError::Cost)?;
        let pool = Pool::start(settings.max_concurrent, settings.queue, figures)?;
        Ok(Self { pool, today, computed: Arc::default() })
    }

    /// The PHC string of a password, NFKC-normalised. Whether it may be one is for [`Hasher::judge`] to say.
    ///
    /// # Errors
    ///
    /// [`Busy`]; also when there is no memory for a hash, which is logged.
    pub async fn hash(&self, password: Secret) -> Result<String, Busy> {
        let today = self.today.clone();
        let create = move |memory: &mut Memory| phc::create(hash::normalise(&password).as_bytes(), &today, memory);
        let made = self.compute(create).await?;
        made.map_err(|error| {
            tracing::error!(%error, "a password cannot be hashed");
            Busy
        })
    }

    /// Checks a password against a stored hash; without one, does the work of one of today's in vain. A password too
    /// long to be anybody's is refused unread, at the same cost. A hash of other costs than today's, or made
    /// elsewhere, takes what it takes, until its owner signs in and it is renewed: until then the time of a refusal
    /// tells that there is such an account.
    pub async fn verify(&self, password: Secret, hash: Option<String>) -> Result<Verified, Busy> {
        let (password, hash) =
            if policy::is_too_long(&password) { (Secret::new(String::new()), None) } else { (password, hash) };
        let today = self.today.clone();
        self.compute(move |memory| verify(&password, hash.as_deref(), &today, memory)).await
    }

    /// Checks the secret of a client against the hash that Django made of it. Unlike a password it may be of any length,
    /// and a hash that cannot be verified costs nothing: ids of clients are no secret. One that fits is
    /// [`Verified::Outdated`].
    pub async fn verify_client_secret(&self, secret: Secret, hash: &str) -> Result<Verified, Busy> {
        let hash = match Imported::parse(hash) {
            Ok(hash) => hash,
            Err(error) => return Ok(Verified::Unusable(error)),
        };
        let today = self.today.clone();
        let fits = self.compute(move |memory| {
            let fits = hash.fits(&secret, memory);
            memory.shrink(&today);
            fits
        });
        Ok(match fits.await? {
            Ok(true) => Verified::Outdated,
            Ok(false) => Verified::No,
            Err(error) => Verified::Unusable(error),
        })
    }

    /// Everything wrong with a new password, in the words of the HTTP contract; empty when it will do. `own` are
    /// the person's address and names.
    pub async fn judge(&self, password: Secret, own: Vec<String>) -> Result<Vec<&'static str>, Busy> {
        self.pool.run(move |_| policy::problems(&password, &own)).await
    }

    /// Jobs waiting for a thread.
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
    }

    /// Jobs that threads are busy with.
    pub fn running(&self) -> usize {
        self.pool.running()
    }

    /// Hashes computed so far, those in vain included.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let computed = Arc::clone(&self.computed);
        let job = move |memory: &mut Memory| {
            let before = memory.computed;
            let outcome = work(memory);
            computed.fetch_add(memory.computed - before, Ordering::Relaxed);
            outcome
        };
        self.pool.run(job).await
    }
}

/// One hash of work, whatever comes of it.
fn verify(password: &Secret, hash: Option<&str>, today: &Params, memory: &mut Memory) -> Verified {
    let found = hash.map(|hash| {
        let stored = Stored::parse(hash, today)?;
        let fits = stored.fits(password, memory);
        memory.shrink(today);
        Ok((fits?, stored.is_outdated(today)))
    });
    match found {
        Some(Ok((false, _))) => Verified::No,
        Some(Ok((true, false))) => Verified::Yes,
        Some(Ok((true, true))) => Verified::Outdated,
        Some(Err(error)) => {
            in_vain(password, today, memory);
            Verified::Unusable(error)
        }
        None => {
            in_vain(password, today, memory);
            Verified::No
        }
    }
}

fn in_vain(password: &Secret, today: &Params, memory: &mut Memory) {
    if let Err(error) = phc::in_vain(hash::normalise(password).as_bytes(), today, memory) {
        tracing::error!(%error, "work in vain was not done");
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn settings() -> Settings {
        Settings { memory_kib: 64, iterations: 1, parallelism: 1, max_concurrent: 1, queue: 4 }
    }

    fn hasher() -> Hasher {
        Hasher::new(settings()).unwrap()
    }

    async fn verify(hasher: &Hasher, password: &str, hash: &str) -> Verified {
        hasher.verify(Secret::from(password), Some(hash.to_owned())).await.unwrap()
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_hash_alone() {
        let hasher = hasher();
        let hash = hasher.hash(Secret::from("tea for two")).await.unwrap();
        assert_eq!(verify(&hasher, "tea for two", &hash).await, Verified::Yes);
        assert_eq!(verify(&hasher, "tea for two ", &hash).await, Verified::No);
        assert_eq!(hasher.verify(Secret::from("tea for two"), None).await, Ok(Verified::No));
    }

    #[tokio::test]
    async fn composed_and_decomposed_spellings_are_one_password() {
        let hasher = hasher();
        let hash = hasher.hash(Secret::from("caf\u{e9}-crème")).await.unwrap();
        assert_eq!(verify(&hasher, "cafe\u{301}-cre\u{300}me", &hash).await, Verified::Yes);
    }

    #[tokio::test]
    async fn a_hash_of_other_costs_is_outdated_once_it_fits() {
        let before = hasher();
        let after = Hasher::new(Settings { iterations: 2, ..settings() }).unwrap();
        let hash = before.hash(Secret::from("tea for two")).await.unwrap();
        assert_eq!(verify(&after, "tea for two", &hash).await, Verified::Outdated);
        assert_eq!(verify(&after, "tea for three", &hash).await, Verified::No);
    }

    #[tokio::test]
    async fn every_verification_costs_one_hash() {
        let hasher = hasher();
        let good = hasher.hash(Secret::from("tea for two")).await.unwrap();
        let absurd = "$argon2id$v=19$m=4194304,t=1000,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let costly = "pbkdf2_sha1$4000000000$salt$5yHwq1Ak64dJg1OIhbSSrZRmcCE=";
        let imported = "pbkdf2_sha256$1000$DR3Oi9eIENyi94ApZsJTBD$EvdaGo6+EmpnxXnVyr/+x3Hnzb3Hrip7LbsBBpsgdso=";
        let foreign = "$scrypt$ln=1,r=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let long = "x".repeat(1_000_000);
        for (password, hash, found) in [
            ("tea for two", Some(good.as_str()), Verified::Yes),
            ("tea for three", Some(good.as_str()), Verified::No),
            ("tea for two", None, Verified::No),
            (long.as_str(), Some(good.as_str()), Verified::No),
            ("", Some(good.as_str()), Verified::No),
            ("tea for two", Some(absurd), Verified::Unusable(Unusable::Cost)),
            ("tea for two", Some(foreign), Verified::Unusable(Unusable::Unknown)),
            ("tea for two", Some("!"), Verified::Unusable(Unusable::NoPassword)),
            ("tea for two", Some(costly), Verified::Unusable(Unusable::Cost)),
            ("tea for two", Some(imported), Verified::Outdated),
            ("tea for three", Some(imported), Verified::No),
        ] {
            let before = hasher.computed();
            assert_eq!(hasher.verify(Secret::from(password), hash.map(str::to_owned)).await, Ok(found), "{hash:?}");
            assert_eq!(hasher.computed() - before, 1, "{hash:?}");
        }
    }

    #[tokio::test]
    async fn a_password_too_long_does_not_match_the_hash_of_its_beginning() {
        let hasher = hasher();
        let longest = "correct-horse-7 ".repeat(8);
        let hash = hasher.hash(Secret::from(longest.as_str())).await.unwrap();
        assert_eq!(verify(&hasher, &longest, &hash).await, Verified::Yes);
        assert_eq!(verify(&hasher, &format!("{longest}x"), &hash).await, Verified::No);
        // What stands in for a password too long must fit nothing either.
        let empty = hasher.hash(Secret::from("")).await.unwrap();
        assert_eq!(verify(&hasher, &format!("{longest}x"), &empty).await, Verified::No);
    }

    #[tokio::test]
    async fn more_than_the_queue_holds_is_busy_at_once() {
        let hasher = Hasher::new(Settings { queue: 1, ..settings() }).unwrap();
        let (go_on, told) = std::sync::mpsc::channel();
        let mut running = Box::pin(hasher.pool.run(move |_| told.recv().is_ok()));
        assert!(running.as_mut().now_or_never().is_none());
        let mut waiting = Box::pin(hasher.hash(Secret::from("tea for two")));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(hasher.waiting() + hasher.running(), 2);
        assert_eq!(hasher.hash(Secret::from("tea for two")).now_or_never(), Some(Err(Busy)));
        assert_eq!(hasher.verify(Secret::from("tea for two"), None).now_or_never(), Some(Err(Busy)));
        assert_eq!(hasher.judge(Secret::from("tea for two"), Vec::new()).now_or_never(), Some(Err(Busy)));
        assert_eq!(hasher.computed(), 0);
        go_on.send(()).unwrap();
        assert_eq!(running.await, Ok(true));
        assert!(waiting.await.is_ok());
    }

    #[test]
    fn impossible_costs_are_told_at_start() {
        assert!(matches!(Hasher::new(Settings { iterations: 0, ..settings() }), Err(SetupError::Cost(_))));
        assert!(matches!(Hasher::new(Settings { parallelism: 64, ..settings() }), Err(SetupError::Cost(_))));
    }
}
