//! The generic cell rate algorithm: one number per key, the time at which all that was let through would have come
//! at an even pace.

use std::time::Duration;

use crate::store::Pace;

/// At most so many at once, and so many in every such time afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub count: u32,
    /// More than nothing.
    pub per: Duration,
}

impl Rate {
    /// Microseconds from one to the next at an even pace.
    fn pace(self) -> i64 {
        let pace = self.per.as_micros() / u128::from(self.count.max(1));
        i64::try_from(pace).unwrap_or(i64::MAX).max(1)
    }

    /// Microseconds by which all that is let through may be ahead of time.
    fn allowance(self) -> i64 {
        self.pace().saturating_mul(i64::from(self.count))
    }

    /// As stores count by it.
    pub(super) fn as_pace(self) -> Pace {
        Pace { pace: self.pace(), allowance: self.allowance() }
    }

    /// Lets one more through at `now`, when those before were due until `due`; all in microseconds. The new `due`, or
    /// how long to wait.
    pub(super) fn take(self, due: i64, now: i64) -> Result<i64, Duration> {
        // A clock that was set back must not make anybody wait for longer than a quiet time would have.
        let due = due.clamp(now, now.saturating_add(self.allowance()));
        let next = due.saturating_add(self.pace());
        let ahead = next.saturating_sub(now).saturating_sub(self.allowance());
        if ahead > 0 { Err(Duration::from_micros(ahead.unsigned_abs())) } else { Ok(next) }
    }

    /// What [`Rate::take`] would have left without one that it let through.
    pub(super) fn give_back(self, due: i64) -> i64 {
        due.saturating_sub(self.pace())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN: Rate = Rate { count: 10, per: Duration::from_mins(5) };
    const SECOND: i64 = 1_000_000;

    #[test]
    fn so_many_at_once_and_then_at_an_even_pace() {
        let mut due = 0;
        let start = 1_000_000 * SECOND;
        for _ in 0..10 {
            due = TEN.take(due, start).unwrap();
        }
        assert_eq!(TEN.take(due, start), Err(Duration::from_secs(30)));
        assert_eq!(TEN.take(due, start + 29 * SECOND), Err(Duration::from_secs(1)));
        due = TEN.take(due, start + 30 * SECOND).unwrap();
        assert_eq!(TEN.take(due, start + 30 * SECOND), Err(Duration::from_secs(30)));
        // After a quiet time all ten are there again, and no more.
        let later = start + 3600 * SECOND;
        for _ in 0..10 {
            due = TEN.take(due, later).unwrap();
        }
        assert!(TEN.take(due, later).is_err());
    }

    #[test]
    fn one_that_is_given_back_was_never_taken() {
        let due = TEN.take(0, SECOND).unwrap();
        let twice = TEN.take(due, SECOND).unwrap();
        assert_eq!(TEN.give_back(twice), due);
    }

    #[test]
    fn a_clock_set_back_makes_nobody_wait_for_longer_than_a_quiet_time() {
        let now = 1000 * SECOND;
        let wait = TEN.take(i64::MAX, now).unwrap_err();
        assert!(wait <= TEN.per, "{wait:?}");
    }

    proptest! {
        /// Whatever the times, no more pass in any stretch than the allowance and the pace admit.
        #[test]
        fn no_stretch_of_time_lets_more_through(
            count in 1_u32..50,
            per in 1_u64..100_000,
            steps in prop::collection::vec(0_i64..5_000_000, 1..200),
        ) {
            let rate = Rate { count, per: Duration::from_millis(per) };
            let (mut due, mut now, mut passed) = (0, 1 << 40, Vec::new());
            for step in steps {
                now += step;
                match rate.take(due, now) {
                    Ok(next) => { due = next; passed.push(now); }
                    Err(wait) => {
                        // And whoever waits as told gets through.
                        let then = now + i64::try_from(wait.as_micros()).unwrap();
                        prop_assert!(rate.take(due, then).is_ok());
                    }
                }
            }
            for (at, from) in passed.iter().enumerate() {
                for (to_at, to) in passed.iter().enumerate().skip(at) {
                    let admitted = i64::from(count) + (to - from) / rate.pace();
                    prop_assert!(i64::try_from(to_at - at + 1).unwrap() <= admitted);
                }
            }
        }
    }
}
