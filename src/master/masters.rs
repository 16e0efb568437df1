//! More than one master secret: while one takes the place of another, what was made under either holds.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::Master;
use crate::store::Deployment;

/// The master secrets of the configuration: the one that is to be, and those before it. The store says which of them is
/// in force; under that one is written, and all of them are read. Clones share what is in force.
#[derive(Clone)]
pub struct Masters(Arc<Inner>);

struct Inner {
    configured: Master,
    previous: Vec<Master>,
    /// The place among them, the configured one first.
    in_force: AtomicUsize,
}

impl Masters {
    /// The configured one is in force until [`Masters::follow`] finds another.
    pub fn new(configured: Master, previous: Vec<Master>) -> Self {
        Self(Arc::new(Inner { configured, previous, in_force: AtomicUsize::new(0) }))
    }

    /// The one that is to be in force.
    pub fn configured(&self) -> &Master {
        &self.0.configured
    }

    /// The one that the store is under.
    pub fn in_force(&self) -> &Master {
        self.all().nth(self.place()).unwrap_or(&self.0.configured)
    }

    /// Whether there is but one.
    pub fn is_one(&self) -> bool {
        self.0.previous.is_empty()
    }

    /// Whether the store is under one before the configured one.
    pub fn is_behind(&self) -> bool {
        self.place() != 0
    }

    /// Goes by what the store says is in force. False, and nothing changes, when that is none of these.
    pub fn follow(&self, deployment: &Deployment) -> bool {
        let place = self.all().position(|master| master.fits(deployment));
        if let Some(place) = place {
            self.0.in_force.store(place, Ordering::Release);
        }
        place.is_some()
    }

    /// Makes something of each.
    pub fn try_each<T, E>(&self, make: impl Fn(&Master) -> Result<T, E>) -> Result<Each<T>, E> {
        let previous = self.0.previous.iter().map(&make).collect::<Result<_, _>>()?;
        Ok(Each { configured: make(&self.0.configured)?, previous, masters: self.clone() })
    }

    /// Makes something of each.
    pub fn each<T>(&self, make: impl Fn(&Master) -> T) -> Each<T> {
        let previous = self.0.previous.iter().map(&make).collect();
        Each { configured: make(&self.0.configured), previous, masters: self.clone() }
    }

    fn all(&self) -> impl Iterator<Item = &Master> {
        std::iter::once(&self.0.configured).chain(&self.0.previous)
    }

    fn place(&self) -> usize {
        self.0.in_force.load(Ordering::Acquire)
    }
}

impl From<Master> for Masters {
    fn from(only: Master) -> Self {
        Self::new(only, Vec::new())
    }
}

/// One of a kind for each of several master secrets.
pub struct Each<T> {
    configured: T,
    previous: Vec<T>,
    masters: Masters,
}

impl<T> Each<T> {
    /// That of the master secret in force: to write with.
    pub fn in_force(&self) -> &T {
        self.all().nth(self.masters.place()).unwrap_or(&self.configured)
    }

    /// All of them, to read with; that of the one in force first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let place = self.masters.place();
        let others = self.all().enumerate().filter(move |(at, _)| *at != place).map(|(_, other)| other);
        std::iter::once(self.in_force()).chain(others)
    }

    fn all(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.configured).chain(&self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const ID: [u8; 16] = [7; 16];

    fn master(n: u8) -> Master {
        Master::new(&Secret::new(format!("{n}").repeat(32))).unwrap()
    }

    fn under(master: &Master) -> Deployment {
        Deployment { id: ID, master_check: master.check(&ID) }
    }

    #[test]
    fn the_store_says_which_is_in_force_and_all_that_was_made_of_them_follows() {
        let masters = Masters::new(master(1), vec![master(2), master(3)]);
        let each = masters.clone().each(Master::key_id);
        let ids = [1, 2, 3].map(|n| master(n).key_id());
        assert_eq!(each.iter().copied().collect::<Vec<_>>(), ids);
        assert!(masters.follow(&under(&master(2))) && masters.is_behind());
        assert_eq!((*each.in_force(), masters.in_force().key_id()), (ids[1], ids[1]));
        assert_eq!(each.iter().copied().collect::<Vec<_>>(), [ids[1], ids[0], ids[2]]);
        assert_eq!(masters.configured().key_id(), ids[0]);

        assert!(!masters.follow(&under(&master(4))), "nobody knows it");
        assert_eq!(*each.in_force(), ids[1]);
        assert!(masters.follow(&under(&master(1))) && !masters.is_behind());
        assert_eq!(*each.in_force(), ids[0]);
    }

    #[test]
    fn one_alone_is_in_force() {
        let masters = Masters::from(master(1));
        assert!(masters.is_one() && !masters.is_behind());
        assert_eq!(masters.each(Master::key_id).iter().count(), 1);
    }
}
