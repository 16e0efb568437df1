//! Turns that several gateways count together, where a store can.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;

/// How fast turns come back, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one to the next.
    pub pace: i64,
    /// By which all that are taken may be ahead of that.
    pub allowance: i64,
}

/// Counts turns by the generic cell rate algorithm, on the store's clock.
#[async_trait]
pub trait TurnStore: Send + Sync {
    /// Takes a turn, if there is one now; else how long it takes until there is.
    async fn take_turn(&self, counter: &str, pace: Pace) -> Result<Result<(), Duration>, StoreError>;

    /// Gives one back that was taken.
    async fn give_turn_back(&self, counter: &str, pace: Pace) -> Result<(), StoreError>;
}
