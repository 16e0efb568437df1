//! Sessions and the judgement of a presented refresh token: pure rules, so that every store judges alike.
//!
//! A session is one sign-in of one account with one client. Its refresh token of generation *n* is derived,
//! not stored; the session knows its current generation and when the last few before it were superseded.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    model::{AccountId, ClientId, Scope, SessionId},
};

/// Most superseded generations remembered. Far above what a client can rotate within the grace, so that only
/// a broken one ever loses a straggler.
pub const MAX_SUPERSEDED: usize = 32;

/// One session as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `sid`.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// The client it was made with; no other may refresh it.
    pub client: ClientId,
    /// What its next tokens may do at most; once narrowed it stays narrow.
    pub scope: Scope,
    /// When the account signed in.
    pub created_at: Timestamp,
    /// The generation of the refresh token that holds.
    pub generation: u32,
    /// When the current generation came to be.
    pub rotated_at: Timestamp,
    /// When the generations just below the current one were superseded, oldest first; at most
    /// [`MAX_SUPERSEDED`], pruned to `reuse_grace` at each rotation.
    pub superseded: Vec<Timestamp>,
    /// The latest `exp` ever issued for it.
    pub access_expires_at: Timestamp,
    /// Its refresh tokens were ended; access tokens live on to their own end.
    pub refresh_ended: bool,
    /// What the client called itself at sign-in (`User-Agent`), for its owner to tell sessions apart; may be empty.
    pub user_agent: String,
}

/// Limits of a session, from today's configuration.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Longest pause between two refreshes.
    pub idle_ttl: Duration,
    /// Longest life of a session, from sign-in.
    pub absolute_ttl: Duration,
    /// How long after its rotation a superseded refresh token is answered with the current one.
    pub reuse_grace: Duration,
    /// Lifetime of an access token.
    pub access_ttl: Duration,
}

/// A refresh token whose MAC held, with what its bearer asks for.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The session its handle names.
    pub sid: SessionId,
    /// Its generation.
    pub generation: u32,
    /// The client that authenticated.
    pub client: ClientId,
    /// The scope asked for, when one was.
    pub scope: Option<Scope>,
}

/// What becomes of a presented refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is current: move on one generation.
    Rotate,
    /// It was superseded within the grace: hand out the current one again, extend nothing.
    Repeat,
    /// It is ahead of us, so the store lost a write: move to the one after it.
    FastForward {
        /// How many generations were lost.
        gap: u32,
    },
    /// It was superseded longer ago: somebody else holds the family. End the session.
    Theft,
    /// It does not hold, and nothing is changed.
    Refuse(Refusal),
}

/// Why a refresh token does not hold, for the audit log; clients hear `invalid_grant` of all but the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such session, or it has ended.
    Ended,
    /// Idle or absolute limit passed.
    Expired,
    /// Issued to another client.
    OtherClient,
    /// The account was deactivated.
    AccountInactive,
    /// More scope than the session has: `invalid_scope`.
    ScopeTooWide,
}

impl Session {
    /// The end set by the absolute limit; no access token outlives it.
    pub fn absolute_end(&self, rules: &Rules) -> Timestamp {
        self.created_at + rules.absolute_ttl
    }

    /// Whether it passed a limit.
    pub fn has_expired(&self, rules: &Rules, now: Timestamp) -> bool {
        now >= self.absolute_end(rules) || now.since(self.rotated_at) > rules.idle_ttl
    }

    /// When its refresh token stops holding, if it is not used before.
    pub fn refresh_end(&self, rules: &Rules) -> Timestamp {
        (self.rotated_at + rules.idle_ttl).min(self.absolute_end(rules))
    }

    /// Judges a presented token in the fixed order: live, client, limits, account, scope, generation.
    pub fn judge(&self, presented: &Presented, account_active: bool, rules: &Rules, now: Timestamp) -> Verdict {
        if self.refresh_ended {
            return Verdict::Refuse(Refusal::Ended);
        }
        if presented.client != self.client {
            return Verdict::Refuse(Refusal::OtherClient);
        }
        if self.has_expired(rules, now) {
            return Verdict::Refuse(Refusal::Expired);
        }
        if !account_active {
            return Verdict::Refuse(Refusal::AccountInactive);
        }
        if presented.scope.as_ref().is_some_and(|scope| !scope.is_subset_of(&self.scope)) {
            return Verdict::Refuse(Refusal::ScopeTooWide);
        }
        match presented.generation.checked_sub(self.generation) {
            Some(0) => Verdict::Rotate,
            Some(gap) => Verdict::FastForward { gap },
            None => match self.superseded_at(presented.generation) {
                Some(at) if now.since(at) <= rules.reuse_grace => Verdict::Repeat,
                _ => Verdict::Theft,
            },
        }
    }

    /// Carries out a verdict that hands out tokens; the others change nothing here.
    pub fn advance(&mut self, verdict: Verdict, presented: &Presented, rules: &Rules, now: Timestamp) {
        match verdict {
            Verdict::Rotate => {
                self.superseded.push(now);
                self.superseded.retain(|at| now.since(*at) <= rules.reuse_grace);
                let excess = self.superseded.len().saturating_sub(MAX_SUPERSEDED);
                self.superseded.drain(..excess);
                self.generation = self.generation.saturating_add(1);
                self.rotated_at = now;
            }
            Verdict::FastForward { .. } => {
                // Only the presented one is known to have been superseded now.
                self.superseded = vec![now];
                self.generation = presented.generation.saturating_add(1);
                self.rotated_at = now;
            }
            Verdict::Repeat => {}
            Verdict::Theft | Verdict::Refuse(_) => return,
        }
        if let Some(scope) = &presented.scope {
            self.scope = scope.clone();
        }
        self.access_expires_at = self.access_expires_at.max(self.next_access_expiry(rules, now));
    }

    /// `exp` of an access token issued now.
    pub fn next_access_expiry(&self, rules: &Rules, now: Timestamp) -> Timestamp {
        (now + rules.access_ttl).min(self.absolute_end(rules))
    }

    /// When `generation`, below the current one, was superseded, if that is still remembered.
    fn superseded_at(&self, generation: u32) -> Option<Timestamp> {
        let back = usize::try_from(self.generation.checked_sub(generation)?).ok()?;
        self.superseded.get(self.superseded.len().checked_sub(back)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules {
        idle_ttl: Duration::from_hours(14 * 24),
        absolute_ttl: Duration::from_hours(90 * 24),
        reuse_grace: Duration::from_secs(30),
        access_ttl: Duration::from_mins(15),
    };
    const START: Timestamp = Timestamp::from_seconds(1_790_000_000);
    const INSTANT: Duration = Duration::from_millis(1);

    fn session() -> Session {
        Session {
            id: SessionId::from_bytes([1; 16]),
            account: AccountId::from_bytes([2; 16]),
            client: ClientId::from("web"),
            scope: Scope::parse("read write").unwrap(),
            created_at: START,
            generation: 0,
            rotated_at: START,
            superseded: Vec::new(),
            access_expires_at: START + RULES.access_ttl,
            refresh_ended: false,
            user_agent: String::new(),
        }
    }

    impl Session {
        fn own(&self, generation: u32) -> Presented {
            Presented { sid: self.id, generation, client: self.client.clone(), scope: None }
        }

        fn verdict(&self, generation: u32, now: Timestamp) -> Verdict {
            self.judge(&self.own(generation), true, &RULES, now)
        }

        fn refresh(&mut self, generation: u32, now: Timestamp) -> Verdict {
            let verdict = self.verdict(generation, now);
            self.advance(verdict, &self.own(generation), &RULES, now);
            verdict
        }
    }

    #[test]
    fn the_current_generation_rotates() {
        let mut session = session();
        let now = START + Duration::from_hours(1);
        assert_eq!(session.refresh(0, now), Verdict::Rotate);
        assert_eq!((session.generation, session.rotated_at, &session.superseded[..]), (1, now, &[now][..]));
        assert_eq!(session.access_expires_at, now + RULES.access_ttl);
    }

    #[test]
    fn the_grace_ends_after_its_last_moment() {
        let mut session = session();
        session.refresh(0, START);
        let end = START + RULES.reuse_grace;
        assert_eq!(session.verdict(0, end), Verdict::Repeat);
        assert_eq!(session.verdict(0, end + INSTANT), Verdict::Theft);
    }

    #[test]
    fn without_a_grace_every_reuse_is_theft_but_one_at_the_same_moment() {
        let mut session = session();
        session.refresh(0, START);
        let strict = Rules { reuse_grace: Duration::ZERO, ..RULES };
        assert_eq!(session.judge(&session.own(0), true, &strict, START), Verdict::Repeat);
        assert_eq!(session.judge(&session.own(0), true, &strict, START + INSTANT), Verdict::Theft);
    }

    #[test]
    fn a_clock_set_back_makes_nothing_older() {
        let mut session = session();
        session.refresh(0, START + Duration::from_hours(2));
        let before = START + Duration::from_hours(1);
        assert_eq!(session.verdict(0, before), Verdict::Repeat);
        assert_eq!(session.refresh(1, before), Verdict::Rotate);
        assert_eq!(session.verdict(0, before), Verdict::Repeat);
        assert_eq!(session.verdict(1, before + RULES.reuse_grace), Verdict::Repeat);
        assert_eq!(session.verdict(1, before + RULES.reuse_grace + INSTANT), Verdict::Theft);
        assert_eq!(session.verdict(2, START - Duration::from_hours(24)), Verdict::Rotate, "even to before sign-in");
    }

    #[test]
    fn a_repetition_changes_nothing_but_what_it_signs() {
        let mut session = session();
        session.refresh(0, START);
        let before = session.clone();
        let now = START + Duration::from_secs(10);
        assert_eq!(session.refresh(0, now), Verdict::Repeat);
        assert_eq!(session, Session { access_expires_at: now + RULES.access_ttl, ..before });
    }

    #[test]
    fn refusals_and_theft_change_nothing() {
        let before = session();
        for verdict in [Verdict::Theft, Verdict::Refuse(Refusal::Expired)] {
            let mut session = before.clone();
            let presented = Presented { scope: Scope::parse("read"), ..session.own(0) };
            session.advance(verdict, &presented, &RULES, START + Duration::from_hours(1));
            assert_eq!(session, before);
        }
    }

    #[test]
    fn judgement_keeps_its_order() {
        let (mut session, late) = (session(), START + RULES.absolute_ttl);
        let wrong = Presented { client: ClientId::from("mobile"), scope: Scope::parse("admin"), ..session.own(0) };
        let own = Presented { client: session.client.clone(), ..wrong.clone() };
        session.refresh_ended = true;
        let refused = |session: &Session, presented, active, now| session.judge(presented, active, &RULES, now);
        assert_eq!(refused(&session, &wrong, false, late), Verdict::Refuse(Refusal::Ended));
        session.refresh_ended = false;
        assert_eq!(refused(&session, &wrong, false, late), Verdict::Refuse(Refusal::OtherClient));
        assert_eq!(refused(&session, &own, false, late), Verdict::Refuse(Refusal::Expired));
        assert_eq!(refused(&session, &own, false, START), Verdict::Refuse(Refusal::AccountInactive));
        assert_eq!(refused(&session, &own, true, START), Verdict::Refuse(Refusal::ScopeTooWide));
        // A stolen token of somebody who may not refresh anyway ends nothing.
        session.generation = 5;
        assert_eq!(refused(&session, &own, true, START), Verdict::Refuse(Refusal::ScopeTooWide));
        assert_eq!(session.verdict(0, START), Verdict::Theft);
    }

    #[test]
    fn a_flood_of_rotations_forgets_the_oldest_stragglers_only() {
        let mut session = session();
        let rotations = u32::try_from(MAX_SUPERSEDED).unwrap() + 8;
        for n in 0..rotations {
            assert_eq!(session.refresh(n, START), Verdict::Rotate);
            assert!(session.superseded.len() <= MAX_SUPERSEDED);
        }
        assert_eq!(session.verdict(7, START), Verdict::Theft);
        assert_eq!(session.verdict(8, START), Verdict::Repeat);
        assert_eq!(session.verdict(rotations - 1, START), Verdict::Repeat);
    }

    #[test]
    fn the_last_generation_does_not_wrap_around() {
        let mut session = session();
        assert_eq!(session.refresh(u32::MAX, START), Verdict::FastForward { gap: u32::MAX });
        assert_eq!(session.generation, u32::MAX);
        assert_eq!(session.refresh(u32::MAX, START), Verdict::Rotate);
        assert_eq!(session.generation, u32::MAX);
    }

    #[test]
    fn no_access_token_outlives_the_absolute_end_or_shortens_an_earlier_one() {
        let mut session = session();
        let short = Rules { absolute_ttl: Duration::from_mins(1), ..RULES };
        assert_eq!(session.next_access_expiry(&short, START), START + short.absolute_ttl);
        let issued = session.access_expires_at;
        session.advance(Verdict::Rotate, &session.own(0), &short, START);
        assert_eq!(session.access_expires_at, issued);
    }

    /// When each generation was superseded, kept without a bound and never pruned.
    #[derive(Default)]
    struct Model(Vec<Timestamp>);

    impl Model {
        fn verdict(&self, generation: u32, now: Timestamp) -> Verdict {
            match self.0.get(generation as usize) {
                None => Verdict::Rotate,
                Some(at) if now.since(*at) <= RULES.reuse_grace => Verdict::Repeat,
                Some(_) => Verdict::Theft,
            }
        }
    }

    proptest! {
        /// Rotations at any pace: whatever pruning forgets, the verdict is that of somebody who forgets nothing.
        #[test]
        fn stragglers_within_the_grace_are_repeated_and_older_ones_are_theft(
            pauses in prop::collection::vec(1_200_u64..40_000, 1..60),
            late in 0_u64..60_000,
        ) {
            let (mut session, mut model, mut now) = (session(), Model::default(), START);
            for (n, pause) in (0..).zip(pauses) {
                now = now + Duration::from_millis(pause);
                for straggler in 0..=n {
                    prop_assert_eq!(session.verdict(straggler, now), model.verdict(straggler, now));
                }
                prop_assert_eq!(session.refresh(n, now), Verdict::Rotate);
                model.0.push(now);
            }
            now = now + Duration::from_millis(late);
            for straggler in 0..=session.generation {
                prop_assert_eq!(session.verdict(straggler, now), model.verdict(straggler, now));
            }
        }

        /// Presented at random, with a clock that jumps both ways: generations never go back, lists stay bounded,
        /// and nothing below the current generation ever rotates.
        #[test]
        fn no_order_of_presentation_goes_back(
            steps in prop::collection::vec((0_u32..12, -50_000_i64..50_000), 1..100),
        ) {
            let (mut session, mut now) = (session(), START.millis());
            for (ahead, jump) in steps {
                now += jump;
                let presented = (session.generation + ahead).saturating_sub(6);
                let before = session.clone();
                match session.refresh(presented, Timestamp::from_millis(now)) {
                    Verdict::Rotate => prop_assert_eq!(session.generation, before.generation + 1),
                    Verdict::FastForward { gap } => {
                        prop_assert_eq!(before.generation + gap, presented);
                        prop_assert_eq!(session.generation, presented + 1);
                    }
                    Verdict::Repeat => {
                        prop_assert!(presented < before.generation);
                        prop_assert_eq!(session.generation, before.generation);
                    }
                    Verdict::Theft => {
                        prop_assert!(presented < before.generation);
                        prop_assert_eq!(&session, &before);
                    }
                    Verdict::Refuse(refusal) => prop_assert!(false, "{:?}", refusal),
                }
                prop_assert!(session.superseded.len() <= MAX_SUPERSEDED);
                prop_assert!(session.access_expires_at >= before.access_expires_at);
            }
        }

        /// After lost writes only the presented generation is known to be superseded now.
        #[test]
        fn after_a_fast_forward_only_the_presented_one_is_a_straggler(gap in 1_u32..1000, straggler in 0_u32..1000) {
            let mut session = session();
            prop_assert_eq!(session.refresh(gap, START), Verdict::FastForward { gap });
            prop_assert_eq!(session.generation, gap + 1);
            prop_assert_eq!(session.verdict(gap + 1, START), Verdict::Rotate);
            let expected = if straggler == gap { Verdict::Repeat } else { Verdict::Theft };
            if straggler <= gap {
                prop_assert_eq!(session.verdict(straggler, START), expected);
            }
        }
    }
}
