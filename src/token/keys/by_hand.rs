//! Signing keys by hand, beside gateways that go by the change log: what there is, one more, one less.

use crate::{
    clock::Timestamp,
    master::{Each, Masters},
    store::{Store, StoredKey},
    token::{
        Algorithm, Settings,
        rotation::{self, MAX_KEYS},
        signing_key::{Sealer, SigningKey},
    },
};

use super::OpenError;

/// Most times that another's change is made way for.
const MAX_TRIES: usize = 10;

/// What a key does at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It signs.
    Signs,
    /// It is published, and will sign.
    Waits,
    /// Another one signs; what this one signed holds on until it has expired, at this time at the latest. Then the
    /// key is dropped.
    Retired {
        /// When.
        until: Timestamp,
    },
    /// For an algorithm of another version: it neither signs nor verifies here.
    Foreign,
}

/// A key as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `kid`.
    pub kid: String,
    /// JWA name.
    pub algorithm: String,
    /// What it does.
    pub state: State,
    /// When it was made, and so published.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// When it stops, as things stand.
    pub signs_until: Timestamp,
}

/// The keys of a store as they are at `now`, in the order in which they sign.
pub fn list(stored: &[StoredKey], settings: &Settings, now: Timestamp) -> Vec<Listed> {
    let ours = |key: &&StoredKey| Algorithm::from_name(&key.algorithm).is_some();
    let starts: Vec<_> = stored.iter().filter(ours).map(|key| key.signs_from).collect();
    // As whoever signs has it: by a clock that is behind all of them, the first.
    let current = starts.get(rotation::current(starts.iter().copied(), now).unwrap_or(0)).copied();
    let listed = |key: &StoredKey| {
        let successor = starts.iter().copied().find(|start| *start > key.signs_from);
        let state = match current {
            _ if !ours(&key) => State::Foreign,
            Some(current) if key.signs_from < current => {
                State::Retired { until: successor.unwrap_or(current) + rotation::lifetime(settings) }
            }
            Some(current) if key.signs_from == current => State::Signs,
            _ => State::Waits,
        };
        Listed {
            kid: key.kid.clone(),
            algorithm: key.algorithm.clone(),
            state,
            created_at: key.created_at,
            signs_from: key.signs_from,
            signs_until: successor.unwrap_or(key.signs_from + settings.rotate_every),
        }
    };
    stored.iter().map(listed).collect()
}

/// What became of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// There is a new key.
    Made(Listed),
    /// One that was made before is published and waits: nothing was made.
    Waits(Listed),
    /// There are so many keys that nothing was made.
    TooMany,
}

/// What became of a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The key is gone.
    Gone {
        /// The one that was made to sign in its place, if it signed.
        successor: Option<Listed>,
    },
    /// There is no such key.
    Unknown,
}

/// Makes and deletes keys.
pub struct ByHand<'a> {
    store: &'a dyn Store,
    sealers: Each<Sealer>,
    settings: &'a Settings,
}

impl<'a> ByHand<'a> {
    /// In a store under one of these master secrets.
    pub fn new(store: &'a dyn Store, masters: &Masters, settings: &'a Settings) -> Result<Self, OpenError> {
        Ok(Self { store, sealers: masters.try_each(Sealer::new)?, settings })
    }

    /// Makes a key. It signs when it has been published for as long as keys are, or at once; the one that signs
    /// already verifies on.
    pub async fn rotate(&self, at_once: bool, now: Timestamp) -> Result<Rotated, OpenError> {
        for _ in 0..MAX_TRIES {
            let stored = self.store.keys().await?;
            let keys = list(&stored, self.settings, now);
            let waiting = keys.iter().find(|key| key.state == State::Waits);
            if let (false, Some(waiting)) = (at_once, waiting) {
                return Ok(Rotated::Waits(waiting.clone()));
            }
            if keys.len() >= MAX_KEYS {
                return Ok(Rotated::TooMany);
            }
            let signing = keys.iter().find(|key| key.state == State::Signs);
            let earliest = if at_once { now } else { now + self.settings.publish_ahead };
            if let Some(made) = self.make(&stored, start(signing, earliest, now, self.settings), now).await? {
                return Ok(Rotated::Made(made));
            }
        }
        Err(OpenError::Contended)
    }

    /// Deletes a key: what it signed holds no more. If it is the one that signs, another is made first, which signs
    /// at once, so that no retired key ever signs again.
    pub async fn revoke(&self, kid: &str, now: Timestamp) -> Result<Revoked, OpenError> {
        let mut successor = None;
        for _ in 0..MAX_TRIES {
            let stored = self.store.keys().await?;
            let keys = list(&stored, self.settings, now);
            let found = keys.iter().find(|key| key.kid == kid);
            if let (Some(key), None) = (found, &successor)
                && key.state == State::Signs
            {
                successor = self.make(&stored, start(Some(key), now, now, self.settings), now).await?;
                continue;
            }
            let deleted = self.store.delete_key(kid).await?;
            // Gone already, once there is a successor, is what was asked for.
            let is_gone = deleted || successor.is_some();
            return Ok(if is_gone { Revoked::Gone { successor } } else { Revoked::Unknown });
        }
        Err(OpenError::Contended)
    }

    /// Makes a key that signs at once, and deletes all others: no token that was signed before holds. The new `kid`.
    pub async fn replace_all(&self, now: Timestamp) -> Result<String, OpenError> {
        for _ in 0..MAX_TRIES {
            let stored = self.store.keys().await?;
            let keys = list(&stored, self.settings, now);
            let signing = keys.iter().find(|key| key.state == State::Signs);
            let Some(made) = self.make(&stored, start(signing, now, now, self.settings), now).await? else { continue };
            for key in stored {
                self.store.delete_key(&key.kid).await?;
            }
            return Ok(made.kid);
        }
        Err(OpenError::Contended)
    }

    /// Makes a key, unless the keys are others than those known by now.
    async fn make(
        &self,
        known: &[StoredKey],
        signs_from: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Listed>, OpenError> {
        let algorithm = self.settings.algorithm;
        let key = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm, now, signs_from))
            .await
            .map_err(|_| OpenError::Crypto("make a signing key"))??
            .seal(self.sealers.in_force())?;
        let kids: Vec<_> = known.iter().map(|key| key.kid.clone()).collect();
        if !self.store.insert_key(&key, &kids).await? {
            return Ok(None);
        }
        let mut all = [known, std::slice::from_ref(&key)].concat();
        all.sort_by_key(|key| key.signs_from);
        Ok(list(&all, self.settings, now).into_iter().find(|listed| listed.kid == key.kid))
    }
}

/// When a key starts to sign that is to do so at `earliest`: at no time at which another does. The first of all signs
/// for a while already, so that a node whose clock is behind uses it too.
fn start(signing: Option<&Listed>, earliest: Timestamp, now: Timestamp, settings: &Settings) -> Timestamp {
    signing.map_or(now - settings.leeway, |signing| earliest.max(rotation::after(signing.signs_from)))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        store::{KeyStore as _, testing::TestStore},
        token::{
            Claims, Invalid,
            fixture::{NOW, master, ring, settings, start as signed_in},
            keys::KeyRing,
        },
    };

    const HOUR: Duration = Duration::from_hours(1);
    const INSTANT: Duration = Duration::from_millis(1);

    async fn by_hand<T>(store: &TestStore, act: impl AsyncFnOnce(ByHand<'_>) -> Result<T, OpenError>) -> T {
        let settings = settings(&[]);
        act(ByHand::new(store, &master(), &settings).unwrap()).await.unwrap()
    }

    async fn rotate(store: &TestStore, at_once: bool, now: Timestamp) -> Rotated {
        by_hand(store, async |keys| keys.rotate(at_once, now).await).await
    }

    async fn revoke(store: &TestStore, kid: &str, now: Timestamp) -> Revoked {
        by_hand(store, async |keys| keys.revoke(kid, now).await).await
    }

    async fn listed(store: &TestStore, now: Timestamp) -> Vec<Listed> {
        list(&store.keys().await.unwrap(), &settings(&[]), now)
    }

    async fn states(store: &TestStore, now: Timestamp) -> Vec<State> {
        listed(store, now).await.into_iter().map(|key| key.state).collect()
    }

    async fn signing(store: &TestStore, now: Timestamp) -> String {
        listed(store, now).await.into_iter().find(|key| key.state == State::Signs).unwrap().kid
    }

    fn made(rotated: Rotated) -> Listed {
        let Rotated::Made(key) = rotated else { panic!("{rotated:?}") };
        key
    }

    /// A token, and the key that signed it.
    fn sign(ring: &KeyRing, now: Timestamp) -> (String, String) {
        let mut claims = Claims::of(&signed_in(), ring.settings());
        claims.expires_at = now + ring.settings().access_ttl;
        let token = ring.sign(&claims, now).unwrap();
        let kid = crate::token::jws::Compact::split(&token).unwrap().key().unwrap().0;
        (token, kid)
    }

    #[tokio::test]
    async fn a_list_says_what_each_key_does_and_until_when() {
        let store = TestStore::fresh().await;
        assert!(listed(&store, NOW).await.is_empty());
        let ring = ring(&store, settings(&[])).await;
        let [first] = listed(&store, NOW).await.try_into().unwrap();
        assert_eq!((first.state, first.algorithm.as_str()), (State::Signs, "EdDSA"));
        let due = first.signs_from + settings(&[]).rotate_every;
        assert_eq!(first.signs_until, due);

        ring.refresh(due - HOUR).await.unwrap();
        assert_eq!(states(&store, due - INSTANT).await, [State::Signs, State::Waits]);
        let gone = due + Duration::from_mins(15) + Duration::from_secs(5) + Duration::from_mins(1);
        assert_eq!(states(&store, due).await, [State::Retired { until: gone }, State::Signs]);
        ring.refresh(gone - INSTANT).await.unwrap();
        assert_eq!(states(&store, gone).await.len(), 2, "it is there until then");
        ring.refresh(gone).await.unwrap();
        assert_eq!(states(&store, gone).await, [State::Signs], "and no longer");
    }

    #[tokio::test]
    async fn a_key_of_another_version_is_listed_and_takes_nobodys_place() {
        let store = TestStore::fresh().await;
        let ring = ring(&store, settings(&[])).await;
        let (_, kid) = sign(&ring, NOW);
        let own = store.keys().await.unwrap().remove(0);
        let foreign = StoredKey { kid: "f".to_owned(), algorithm: "ML-DSA-65".to_owned(), signs_from: NOW, ..own };
        assert!(store.insert_key(&foreign, std::slice::from_ref(&kid)).await.unwrap());
        assert_eq!(states(&store, NOW).await, [State::Signs, State::Foreign]);
    }

    #[tokio::test]
    async fn a_rotation_publishes_ahead_and_only_one_key_at_a_time() {
        let store = TestStore::fresh().await;
        let ring = ring(&store, settings(&[])).await;
        let (token, first) = sign(&ring, NOW);
        let next = made(rotate(&store, false, NOW).await);
        assert_eq!((next.state, next.created_at, next.signs_from), (State::Waits, NOW, NOW + HOUR));
        assert_eq!(rotate(&store, false, NOW + INSTANT).await, Rotated::Waits(next.clone()));
        assert_eq!(store.keys().await.unwrap().len(), 2);

        ring.refresh(NOW).await.unwrap();
        assert_eq!(store.keys().await.unwrap().len(), 2, "the rules make none beside it");
        assert_eq!(sign(&ring, NOW + HOUR - INSTANT).1, first);
        assert_eq!(sign(&ring, NOW + HOUR).1, next.kid);
        assert!(ring.verify(&token, NOW).is_ok());
    }

    #[tokio::test]
    async fn a_rotation_at_once_signs_at_once_and_the_old_key_verifies_on() {
        let store = TestStore::fresh().await;
        let ring = ring(&store, settings(&[])).await;
        let (token, first) = sign(&ring, NOW);
        let waiting = made(rotate(&store, false, NOW).await);
        let new = made(rotate(&store, true, NOW).await);
        assert_eq!(new.state, State::Signs);
        assert_eq!(new.signs_until, waiting.signs_from, "one that was published before takes over at its time");
        ring.refresh(NOW).await.unwrap();
        assert_eq!(sign(&ring, NOW).1, new.kid);
        assert!(ring.verify(&token, NOW).is_ok());
        assert_ne!(new.kid, first);

        // Again in the same moment: no two start at once.
        let newer = made(rotate(&store, true, NOW).await);
        assert_eq!(newer.signs_from, NOW + INSTANT);
    }

    #[tokio::test]
    async fn the_first_key_signs_even_by_a_clock_that_is_behind_and_is_the_gateways_too() {
        let store = TestStore::fresh().await;
        let first = made(rotate(&store, false, NOW).await);
        assert_eq!((first.state, first.signs_from), (State::Signs, NOW - Duration::from_secs(5)));
        let ring = ring(&store, settings(&[])).await;
        assert_eq!(sign(&ring, NOW).1, first.kid);
    }

    #[tokio::test]
    async fn by_a_clock_that_is_behind_the_key_that_signs_is_revoked_all_the_same() {
        let store = TestStore::fresh().await;
        let ring = ring(&store, settings(&[])).await;
        let (token, first) = sign(&ring, NOW);
        let behind = NOW - HOUR;
        assert_eq!(states(&store, behind).await, [State::Signs]);
        let Revoked::Gone { successor: Some(successor) } = revoke(&store, &first, behind).await else { panic!() };
        ring.refresh(NOW).await.unwrap();
        assert_eq!(ring.verify(&token, NOW), Err(Invalid::UnknownKey));
        assert_eq!(sign(&ring, NOW).1, successor.kid);
    }

    #[tokio::test]
    async fn rotations_without_end_do_not_fill_the_store() {
        let store = TestStore::fresh().await;
        for _ in 0..MAX_KEYS {
            made(rotate(&store, true, NOW).await);
        }
        assert_eq!(rotate(&store, true, NOW).await, Rotated::TooMany);
        let kid = signing(&store, NOW + HOUR).await;
        assert!(matches!(revoke(&store, &kid, NOW + HOUR).await, Revoked::Gone { successor: Some(_) }));
        assert_eq!(store.keys().await.unwrap().len(), MAX_KEYS, "what is revoked is replaced all the same");
    }

    #[tokio::test]
    async fn the_key_that_signs_is_revoked_and_no_retired_one_ever_signs_again() {
        let store = TestStore::fresh().await;
        let ring = ring(&store, settings(&[])).await;
        let (old_token, old) = sign(&ring, NOW);
        made(rotate(&store, true, NOW + INSTANT).await);
        ring.refresh(NOW + INSTANT).await.unwrap();
        let (token, signing) = sign(&ring, NOW + INSTANT);

        let later = NOW + 2 * INSTANT;
        let Revoked::Gone { successor: Some(successor) } = revoke(&store, &signing, later).await else { panic!() };
        assert_eq!(successor.state, State::Signs);
        ring.refresh(later).await.unwrap();
        assert_eq!(ring.verify(&token, later), Err(Invalid::UnknownKey));
        assert!(ring.verify(&old_token, later).is_ok(), "what others signed holds on");
        assert_eq!(sign(&ring, later).1, successor.kid);
        assert_ne!(successor.kid, old);
        assert_eq!(revoke(&store, &signing, later).await, Revoked::Unknown);
    }

    #[tokio::test]
    async fn a_key_that_waits_or_is_retired_needs_no_successor() {
        let store = TestStore::fresh().await;
        let ring = ring(&store, settings(&[])).await;
        let (token, first) = sign(&ring, NOW);
        let waiting = made(rotate(&store, false, NOW).await).kid;
        assert_eq!(revoke(&store, &waiting, NOW).await, Revoked::Gone { successor: None });
        assert_eq!(signing(&store, NOW).await, first);

        let new = made(rotate(&store, true, NOW).await).kid;
        assert_eq!(revoke(&store, &first, NOW).await, Revoked::Gone { successor: None });
        assert_eq!(signing(&store, NOW).await, new);
        ring.refresh(NOW).await.unwrap();
        assert_eq!(ring.verify(&token, NOW), Err(Invalid::UnknownKey));
    }

    #[tokio::test]
    async fn all_keys_are_replaced_by_one_and_nothing_signed_before_holds() {
        let store = TestStore::fresh().await;
        let ring = ring(&store, settings(&[])).await;
        let (token, _) = sign(&ring, NOW);
        made(rotate(&store, false, NOW).await);
        let new = by_hand(&store, async |keys| keys.replace_all(NOW).await).await;
        let [only] = listed(&store, NOW).await.try_into().unwrap();
        assert_eq!((only.kid, only.state), (new, State::Signs));
        ring.refresh(NOW).await.unwrap();
        assert_eq!(ring.verify(&token, NOW), Err(Invalid::UnknownKey));
    }

    #[tokio::test]
    async fn whoever_is_faster_is_made_way_for() {
        let store = TestStore::fresh().await;
        let _first = ring(&store, settings(&[])).await;
        let (slow, fast) = (Arc::clone(&store), Arc::clone(&store));
        let (slow, fast) = store.race(rotate(&slow, true, NOW), rotate(&fast, true, NOW)).await;
        assert_ne!(made(slow).kid, made(fast).kid);
        assert_eq!(store.keys().await.unwrap().len(), 3);
    }
}
