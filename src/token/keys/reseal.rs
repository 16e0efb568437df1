//! From one master secret to the next: the store is put under it, and what was sealed under another sealed again.

use super::OpenError;
use crate::{
    master::{Each, Masters},
    store::{Deployment, Store, StoredKey},
    token::signing_key::{Sealer, SigningKey},
};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resealed {
    /// The store was under another master secret before.
    pub moved: bool,
    /// How many signing keys are sealed under the one in force, whoever did it: running gateways do so as well.
    pub keys: usize,
    /// Those that nobody here can open.
    pub left: Vec<String>,
}

/// Puts the store under the configured master secret, which from then on is the one in force for all who know it, and
/// seals its signing keys again. It can be repeated, and what was interrupted goes on where it was.
pub async fn reseal(store: &dyn Store, masters: &Masters) -> Result<Resealed, OpenError> {
    let sealers = masters.try_each(Sealer::new)?;
    let mut moved = false;
    if let Some(deployment) = store.deployment().await? {
        let master_check = masters.configured().check(&deployment.id);
        // First of all, so that whoever makes a key or finds an old seal from now on uses the new one.
        moved =
            deployment.master_check != master_check && store.replace_master_check(&deployment, &master_check).await?;
        masters.follow(&Deployment { master_check, ..deployment });
    }
    reseal_keys(store, &sealers, &store.keys().await?).await?;
    let stored = store.keys().await?;
    let left = stored.iter().filter(|key| SigningKey::unseal(key, sealers.in_force()).is_err());
    let left: Vec<_> = left.map(|key| key.kid.clone()).collect();
    Ok(Resealed { moved, keys: stored.len() - left.len(), left })
}

/// Seals keys again that are sealed under another master secret than the one in force. How many those were.
pub(super) async fn reseal_keys(
    store: &dyn Store,
    sealers: &Each<Sealer>,
    stored: &[StoredKey],
) -> Result<usize, OpenError> {
    let mut resealed = 0;
    for key in stored {
        if SigningKey::unseal(key, sealers.in_force()).is_ok() {
            continue;
        }
        // One that cannot be opened is told of when it is needed.
        let Some(opened) = sealers.iter().find_map(|sealer| SigningKey::unseal(key, sealer).ok()) else { continue };
        let sealed = opened.seal(sealers.in_force())?.sealed;
        resealed += usize::from(store.reseal_key(&key.kid, &key.sealed, &sealed).await?);
    }
    Ok(resealed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        master::Master,
        secret::Secret,
        store::{ChangeStore as _, KeyStore as _, testing::TestStore},
        token::{
            KeyRing,
            fixture::{DEPLOYMENT, NOW, master, ring, settings},
            keys::by_hand::ByHand,
        },
    };

    fn new_master() -> Master {
        Master::new(&Secret::from("another secret of thirty-two bytes")).unwrap()
    }

    fn old_master() -> Master {
        Master::new(&Secret::from("0123456789abcdef0123456789abcdef")).unwrap()
    }

    /// The new one, with the old one of the fixture before it.
    fn both() -> Masters {
        Masters::new(new_master(), vec![old_master()])
    }

    async fn open(store: &Arc<TestStore>, masters: &Masters) -> Result<KeyRing, OpenError> {
        KeyRing::open(Arc::clone(store) as _, masters, DEPLOYMENT, settings(&[]), NOW).await
    }

    async fn opens_under(store: &TestStore, master: &Master) -> bool {
        let sealer = Sealer::new(master).unwrap();
        store.keys().await.unwrap().iter().all(|key| SigningKey::unseal(key, &sealer).is_ok())
    }

    #[tokio::test]
    async fn a_resealed_store_opens_under_the_new_master_alone_and_its_keys_are_the_same() {
        let store = TestStore::fresh().await;
        let before = ring(&store, settings(&[])).await;
        let resealed = async || reseal(&*store, &both()).await.unwrap();
        assert_eq!(resealed().await, Resealed { moved: true, keys: 1, left: vec![] });
        assert!(opens_under(&store, &new_master()).await && !opens_under(&store, &old_master()).await);
        assert_eq!(open(&store, &new_master().into()).await.unwrap().jwks(), before.jwks());
        assert!(new_master().fits(&store.deployment().await.unwrap().unwrap()));
        assert_eq!(resealed().await, Resealed { moved: false, keys: 1, left: vec![] });
        before.refresh(NOW).await.unwrap();
        assert_eq!(before.generation(), 0, "whoever knew the keys has lost none");
    }

    #[tokio::test]
    async fn until_it_is_resealed_the_store_stays_under_the_old_master() {
        let store = TestStore::fresh().await;
        ring(&store, settings(&[])).await;
        let masters = both();
        assert!(masters.follow(&store.deployment().await.unwrap().unwrap()));
        let _ring = open(&store, &masters).await.unwrap();
        let by_hand_settings = settings(&[]);
        ByHand::new(&*store, &masters, &by_hand_settings).unwrap().rotate(true, NOW).await.unwrap();
        assert!(opens_under(&store, &old_master()).await, "gateways without the new one can go on");
    }

    #[tokio::test]
    async fn a_gateway_that_knows_both_follows_and_seals_again_what_others_left_behind() {
        let store = TestStore::fresh().await;
        ring(&store, settings(&[])).await;
        let masters = both();
        assert!(masters.follow(&store.deployment().await.unwrap().unwrap()));
        let gateway = open(&store, &masters).await.unwrap();
        reseal(&*store, &both()).await.unwrap();
        // One that had looked before makes a key under the old one.
        let by_hand_settings = settings(&[]);
        ByHand::new(&*store, &master(), &by_hand_settings).unwrap().rotate(true, NOW).await.unwrap();
        assert!(!opens_under(&store, &new_master()).await);

        gateway.refresh(NOW).await.unwrap();
        assert!(!masters.is_behind(), "it writes under the new one from now on");
        assert!(opens_under(&store, &new_master()).await);
    }

    #[tokio::test]
    async fn what_nobody_can_open_stays_as_it_is() {
        let store = TestStore::fresh().await;
        ring(&store, settings(&[])).await;
        let sealed = store.keys().await.unwrap().remove(0).sealed;
        let strangers =
            Masters::new(new_master(), vec![Master::new(&Secret::from("a third one, of at least 32 bytes")).unwrap()]);
        let sealers = strangers.try_each(Sealer::new).unwrap();
        assert_eq!(reseal_keys(&*store, &sealers, &store.keys().await.unwrap()).await.unwrap(), 0);
        let resealed = reseal(&*store, &strangers).await.unwrap();
        assert_eq!((resealed.keys, resealed.left.len()), (0, 1), "and is told of");
        assert!(store.keys().await.unwrap().remove(0).sealed == sealed);
    }
}
