//! When a signing key is made, signs and goes: pure rules, so that every node comes to the same.
//!
//! Keys are in the order in which they sign. The last one whose time has come is the current one; one after
//! it is published and waits; those before it verify until what they signed has expired.

use std::time::Duration;

use super::{Algorithm, Settings};
use crate::clock::Timestamp;

/// How much longer than its last token a key is kept, for clocks and requests on their way.
const MARGIN: Duration = Duration::from_mins(1);

/// Most keys kept before no more are made ahead of time: settings that make keys faster than they may be
/// dropped, or nodes that disagree on the algorithm, must not fill the store.
pub(super) const MAX_KEYS: usize = 16;

/// What the rules need to know of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    /// From when on it signs, until a later one does.
    pub(super) signs_from: Timestamp,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Make a key.
    Make {
        /// See [`Term::signs_from`].
        signs_from: Timestamp,
    },
    /// Delete a key: nothing that it signed is alive.
    Drop {
        /// Which.
        kid: String,
    },
}

/// Which of the keys that start to sign at these times is the current one; `None` when none signs yet.
pub(super) fn current(
    mut starts: impl DoubleEndedIterator<Item = Timestamp> + ExactSizeIterator,
    now: Timestamp,
) -> Option<usize> {
    starts.rposition(|signs_from| signs_from <= now)
}

/// How long a key is kept after another took over.
pub(super) fn lifetime(settings: &Settings) -> Duration {
    settings.access_ttl + settings.leeway + MARGIN
}

/// The soonest that a key starts to sign after one that does from this time on: if two started at once, their order
/// would be left to chance.
pub(super) fn after(signs_from: Timestamp) -> Timestamp {
    signs_from + Duration::from_millis(1)
}

/// The next step to take with `keys`, which are in the order in which they sign.
pub(super) fn next_step(keys: &[Term], settings: &Settings, now: Timestamp) -> Option<Step> {
    let starts = keys.iter().map(|key| key.signs_from);
    let Some(current) = current(starts, now).and_then(|at| keys.get(at)) else {
        // It counts as signing for a while already, so that a node whose clock is behind uses it too.
        return Some(Step::Make { signs_from: now - settings.leeway });
    };
    let lifetime = lifetime(settings);
    let outlived = keys.iter().zip(keys.iter().skip(1)).find(|(_, successor)| now >= successor.signs_from + lifetime);
    if let Some((key, _)) = outlived {
        return Some(Step::Drop { kid: key.kid.clone() });
    }
    let one_waits = keys.last() != Some(current);
    if one_waits || keys.len() >= MAX_KEYS {
        return None;
    }
    let soonest = (now + settings.publish_ahead).max(after(current.signs_from));
    if current.algorithm != settings.algorithm {
        return Some(Step::Make { signs_from: soonest });
    }
    let due = current.signs_from + settings.rotate_every;
    (due <= soonest).then_some(Step::Make { signs_from: soonest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::fixture;

    const HOUR: Duration = Duration::from_hours(1);
    const START: Timestamp = Timestamp::from_seconds(1_000_000_000);

    fn settings() -> Settings {
        Settings { rotate_every: 100 * HOUR, ..fixture::settings(&[]) }
    }

    fn key(kid: &str, signs_from: Timestamp) -> Term {
        Term { kid: kid.to_owned(), algorithm: Algorithm::EdDsa, signs_from }
    }

    fn step(keys: &[Term], now: Timestamp) -> Option<Step> {
        next_step(keys, &settings(), now)
    }

    #[test]
    fn the_first_key_signs_at_once_even_by_a_clock_that_is_behind() {
        assert_eq!(step(&[], START), Some(Step::Make { signs_from: START - Duration::from_secs(5) }));
    }

    #[test]
    fn the_next_key_is_made_when_it_must_be_published_and_only_once() {
        let keys = [key("a", START)];
        let due = START + 100 * HOUR;
        assert_eq!(step(&keys, due - HOUR - Duration::from_millis(1)), None);
        assert_eq!(step(&keys, due - HOUR), Some(Step::Make { signs_from: due }));
        assert_eq!(step(&[key("a", START), key("b", due)], due - HOUR), None);
    }

    #[test]
    fn a_rotation_slept_through_still_publishes_ahead() {
        let late = START + 500 * HOUR;
        assert_eq!(step(&[key("a", START)], late), Some(Step::Make { signs_from: late + HOUR }));
    }

    #[test]
    fn the_current_key_is_the_last_whose_time_has_come() {
        let starts = || [START, START + HOUR, START + 2 * HOUR].into_iter();
        assert_eq!(current(starts(), START - Duration::from_millis(1)), None);
        assert_eq!(current(starts(), START), Some(0));
        assert_eq!(current(starts(), START + HOUR), Some(1));
        assert_eq!(current(starts(), START + 50 * HOUR), Some(2));
    }

    #[test]
    fn the_previous_key_stays_until_its_last_token_has_expired() {
        let successor = START + 100 * HOUR;
        let keys = [key("a", START), key("b", successor)];
        let end = successor + Duration::from_mins(15) + Duration::from_secs(5) + Duration::from_mins(1);
        assert_eq!(step(&keys, end - Duration::from_millis(1)), None);
        assert_eq!(step(&keys, end), Some(Step::Drop { kid: "a".to_owned() }));
    }

    #[test]
    fn the_current_key_is_never_dropped_for_its_age() {
        let ancient = START + 100_000 * HOUR;
        assert!(matches!(step(&[key("a", START)], ancient), Some(Step::Make { .. })));
        assert_eq!(step(&[key("a", START), key("b", ancient + HOUR)], ancient), None);
    }

    #[test]
    fn a_change_of_algorithm_makes_a_key_that_is_published_first() {
        let keys = [Term { algorithm: Algorithm::Rs256, ..key("a", START) }];
        let now = START + HOUR;
        assert_eq!(step(&keys, now), Some(Step::Make { signs_from: now + HOUR }));
    }

    #[test]
    fn nodes_that_disagree_on_the_algorithm_do_not_outbid_each_other_without_end() {
        let mut other = settings();
        other.algorithm = Algorithm::Es256;
        other.publish_ahead = Duration::ZERO;
        let mut keys = vec![key("0", START)];
        for n in 1..1000 {
            let now = START + Duration::from_millis(n);
            for settings in [&other, &Settings { algorithm: Algorithm::EdDsa, ..other.clone() }] {
                if let Some(Step::Make { signs_from }) = next_step(&keys, settings, now) {
                    keys.push(Term { algorithm: settings.algorithm, ..key(&n.to_string(), signs_from) });
                }
            }
        }
        assert_eq!(keys.len(), MAX_KEYS);
    }

    #[test]
    fn a_waiting_key_does_not_stop_a_new_one_when_the_current_was_revoked() {
        let now = START + HOUR;
        let signs_from = now - Duration::from_secs(5);
        assert_eq!(step(&[key("next", now + HOUR)], now), Some(Step::Make { signs_from }));
    }
}
