//! What an [`AccountChange`] does to an account, and what follows from it: the same in every store.

use super::AccountChange;
use crate::model::Account;

/// What follows from a change, in the same step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Effect {
    /// The epoch moved: the change log must say so.
    pub moves_epoch: bool,
    /// Every session ends.
    pub ends_sessions: bool,
}

impl AccountChange {
    /// Changes the account, but for a password's hash, which is kept beside it.
    pub(super) fn carry_out(&self, account: &mut Account) -> Effect {
        let before = account.clone();
        match self {
            Self::Active(active) => account.active = *active,
            Self::Staff(staff) => account.staff = *staff,
            Self::Groups(groups) => account.groups.clone_from(groups),
            Self::Password(_) | Self::SignOut => {}
        }
        let (moves_epoch, ends_sessions) = match self {
            Self::Active(_) => {
                let deactivated = before.active && !account.active;
                (deactivated, deactivated)
            }
            Self::Staff(_) | Self::Groups(_) => (*account != before, false),
            Self::Password(_) | Self::SignOut => (true, true),
        };
        if moves_epoch {
            account.epoch = account.epoch.next();
        }
        Effect { moves_epoch, ends_sessions }
    }
}
