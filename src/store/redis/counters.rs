//! Turns that gateways count together: [`TurnStore`].

use std::{sync::LazyLock, time::Duration};

use super::{RedisStore, script::Script};
use crate::store::{Pace, StoreError, TurnStore};
use async_trait::async_trait;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/take_turn.lua")));
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/give_back.lua")));

#[async_trait]
impl TurnStore for RedisStore {
    async fn take_turn(&self, counter: &str, pace: Pace) -> Result<Result<(), Duration>, StoreError> {
        let mut script = TAKE.prepare();
        script.key(self.0.names.counter(counter)).arg(pace.pace).arg(pace.allowance);
        if self.0.clock.is_system() {
            script.arg("");
        } else {
            script.arg(self.0.clock.now().millis().saturating_mul(1000));
        }
        // Whoever is counted twice waits a little longer, whoever is not counted at all waits for nothing.
        let wait: u64 = self.within(self.0.connection.run_once(&script)).await?;
        Ok(if wait == 0 { Ok(()) } else { Err(Duration::from_micros(wait)) })
    }

    async fn give_turn_back(&self, counter: &str, pace: Pace) -> Result<(), StoreError> {
        let mut script = GIVE_BACK.prepare();
        script.key(self.0.names.counter(counter)).arg(pace.pace);
        self.within(self.0.connection.run_once(&script)).await
    }
}
