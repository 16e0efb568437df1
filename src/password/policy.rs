//! What a new password must be: 8 to 128 characters, and not among the first that anybody would try.
//!
//! There are no rules of composition and nothing is trimmed (NIST SP 800-63B section 3.1.1.2).

use zeroize::Zeroizing;

use super::hash::normalise;
use crate::secret::Secret;

/// Most code points of a password, as sent. Longer ones are neither taken nor hashed.
pub const MAX_LENGTH: usize = 128;

/// Fewest code points, counted as sent or as hashed, whichever is fewer: neither combining marks nor
/// ligatures make a short password long.
const MIN_LENGTH: usize = 8;

/// Fewest guesses until an attacker who knows what people choose, and the person's names, is there: what the
/// estimator gives any two words. Refused is a common password, name, date, walk over the keyboard or repetition,
/// as it is, respelt, or with a character more. That is about as many as the lists of common passwords in use
/// elsewhere have; a bound much above them refuses passwords that are on nobody's list.
const MIN_GUESSES: u64 = 15_000;

/// The same for what stands before a tail of digits and signs, as in `Password123!`: the few dozen that everybody
/// tries with every tail.
const MIN_STEM_GUESSES: u64 = 50;

/// Most digits and signs that are such a tail. More of them may well be hard to guess on their own.
const MAX_TAIL: usize = 4;

/// Code points estimated at a time. The estimator's work grows with the square of the length, and
/// exponentially with how many different digits and signs could stand for letters: the worst 128 characters
/// take it a second, the worst 16 a few milliseconds.
const WINDOW: usize = 16;

/// Names of the person and words of them considered, at most.
const MAX_OWN_WORDS: usize = 32;

/// Shortest word of a name that makes a password guessable.
const MIN_OWN_WORD: usize = 3;

pub(crate) const BLANK: &str = "This field may not be blank.";
pub(crate) const NULL: &str = "Null characters are not allowed.";
const TOO_LONG: &str = "Ensure this field has no more than 128 characters.";
const TOO_SHORT: &str = "This password is too short. It must contain at least 8 characters.";
const TOO_COMMON: &str = "This password is too common.";

/// Whether a password is longer than any that was ever taken. Looks at no more than it must.
pub(crate) fn is_too_long(password: &Secret) -> bool {
    password.expose().chars().nth(MAX_LENGTH).is_some()
}

/// Everything wrong with a new password, in the words of the HTTP contract; empty when it will do. `own` are
/// the person's address and names. Milliseconds of work at worst: not for a thread that serves others.
pub(super) fn problems(password: &Secret, own: &[String]) -> Vec<&'static str> {
    let text = password.expose();
    if text.trim().is_empty() {
        return vec![BLANK];
    }
    // Before anything that takes longer the longer it is.
    if is_too_long(password) {
        return vec![TOO_LONG];
    }
    let mut problems = Vec::new();
    if text.contains('\0') {
        problems.push(NULL);
    }
    let normal = normalise(password);
    if text.chars().count().min(normal.chars().count()) < MIN_LENGTH {
        problems.push(TOO_SHORT);
    }
    if is_guessable(&normal, own) {
        problems.push(TOO_COMMON);
    }
    problems
}

/// Whether a password is one of the first guesses, or one of the very first with a tail.
fn is_guessable(text: &str, own: &[String]) -> bool {
    let lower = Zeroizing::new(text.to_lowercase());
    if own.iter().any(|name| name.to_lowercase() == *lower) {
        return true;
    }
    let words = own_words(own);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // Normalisation may have made it longer.
    let characters: Zeroizing<Vec<char>> = Zeroizing::new(text.chars().take(MAX_LENGTH).collect());
    takes_fewer(MIN_GUESSES, &characters, &words)
        || stem(&characters).is_some_and(|stem| takes_fewer(MIN_STEM_GUESSES, stem, &words))
}

/// Whether a text takes fewer guesses than `bound`: it does when every window of it does.
fn takes_fewer(bound: u64, text: &[char], words: &[&str]) -> bool {
    let unit = unit(text);
    // The last window overlaps the one before it rather than being a short rest.
    let last = unit.get(unit.len().saturating_sub(WINDOW)..);
    unit.chunks_exact(WINDOW).chain(last).all(|window| {
        let window = Zeroizing::new(String::from_iter(window));
        zxcvbn::zxcvbn(&window, words).guesses() < bound
    })
}

/// What stands before a tail, if there is one.
fn stem(text: &[char]) -> Option<&[char]> {
    let last_letter = text.iter().rposition(|c| c.is_alphabetic())?;
    let (stem, tail) = text.split_at_checked(last_letter + 1)?;
    (1..=MAX_TAIL).contains(&tail.len()).then_some(stem)
}

/// What the text repeats, if nothing else is in it; else the whole.
fn unit(text: &[char]) -> &[char] {
    let repeats = |period: &usize| text.iter().zip(text.iter().skip(*period)).all(|(a, b)| a == b);
    let period = (1..=text.len() / 2).find(repeats);
    period.and_then(|period| text.get(..period)).unwrap_or(text)
}

/// The names as they are and without signs, and their words.
fn own_words(own: &[String]) -> Vec<String> {
    let sign = |c: char| !c.is_alphanumeric();
    own.iter()
        .flat_map(|name| [name.clone(), name.replace(sign, "")].into_iter().chain(name.split(sign).map(str::to_owned)))
        .filter(|word| word.chars().count() >= MIN_OWN_WORD)
        .take(MAX_OWN_WORDS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> [String; 3] {
        ["alice.liddell@wonderland.example".into(), "Mad Hatter".into(), "Alice".into()]
    }

    fn judge(password: &str) -> Vec<&'static str> {
        problems(&Secret::from(password), &own())
    }

    #[test]
    fn ordinary_passwords_will_do() {
        for password in [
            "correct-horse-7",
            "Tr0ub4dor&3x",
            "s3cret-pass",
            "S3cret-pass",
            "a-long-password-1",
            "correct horse battery",
            "correct horse battery staple",
            "testpass123!",
            "passw0rd-x9",
            "tea for two",
            "  spaces around  ",
            "пароль-для-меня",
            "密码是很长的一句话",
            "\u{1f98a}\u{1f40b}\u{1f9c0}\u{1f682}\u{1f3bb}\u{1f335}\u{1f9ca}\u{1f94c}",
        ] {
            assert!(judge(password).is_empty(), "{password}: {:?}", judge(password));
        }
    }

    #[test]
    fn two_words_will_do_and_so_will_a_common_one_with_more_than_a_tail() {
        for password in [
            "testpassword",
            "TestPassword1",
            "s3cretpass",
            "S3cretPass1",
            "summer2024",
            "Summer2024!",
            "longenough",
            "strongpassword",
            "opensesame!",
            "correcthorse",
            "password-4417",
            "password58204719",
            "dragon,egg",
            "qwerty keyboard",
        ] {
            assert!(judge(password).is_empty(), "{password}: {:?}", judge(password));
        }
    }

    #[test]
    fn first_guesses_are_too_common() {
        for password in [
            "password",
            "password123",
            "Password123!",
            "P@ssw0rd",
            "qwertyuiop",
            "qwertyasdfgh",
            "1qaz2wsx3edc",
            "12345678",
            "123456789012345678901234567890",
            "iloveyou1",
            "aaaaaaaa",
            "hunter2hunter2",
            "x7$Kx7$Kx7$K",
            "abcdefgh",
            "19900101",
            "password1",
            "P@ssw0rd123",
            "qwerty123",
            "Qwerty123!",
            "11111111",
            "letmein1",
            "letmein123",
            "letmein-99",
            "welcome1",
            "sunshine1!",
            "hunter22",
            "abcd1234",
            "1q2w3e4r",
            &"a".repeat(MAX_LENGTH),
            &"password".repeat(16),
        ] {
            assert_eq!(judge(password), [TOO_COMMON], "{password}");
        }
    }

    #[test]
    fn the_persons_own_names_are_too_common_for_that_person() {
        for password in [
            "alice.liddell@wonderland.example",
            "Alice.Liddell@Wonderland.example",
            "wonderland",
            "Wonderland1",
            "mad hatter",
            "madhatter1",
            "Wonderland1865",
            "Liddell-77!",
            "alicealice",
        ] {
            assert_eq!(judge(password), [TOO_COMMON], "{password}");
        }
    }

    #[test]
    fn length_is_counted_in_code_points_as_sent_and_as_hashed() {
        assert_eq!(judge("x7$Kq-2"), [TOO_SHORT]);
        assert!(judge("x7$Kq-2w").is_empty());
        // Seven letters, with marks of their own or composed.
        assert_eq!(judge("e\u{301}a\u{300}o\u{308}u\u{302}i\u{301}n\u{303}c\u{327}"), [TOO_SHORT]);
        assert_eq!(judge("éàöûíñç"), [TOO_SHORT]);
        // One character that is hashed as eighteen.
        assert!(judge("\u{fdfa}").contains(&TOO_SHORT));

        let long: String = "correct-horse-7é".chars().cycle().take(MAX_LENGTH).collect();
        assert!(judge(&long).is_empty());
        assert_eq!(judge(&format!("{long}x")), [TOO_LONG]);
        assert_eq!(judge(&"x".repeat(1_000_000)), [TOO_LONG]);
    }

    #[test]
    fn several_faults_are_told_at_once() {
        assert_eq!(judge("1234567"), [TOO_SHORT, TOO_COMMON]);
        assert_eq!(judge("x7$K\0q-2w"), [NULL]);
        assert_eq!(judge("\0"), [NULL, TOO_SHORT, TOO_COMMON]);
    }

    #[test]
    fn nothing_but_space_is_blank() {
        assert_eq!(judge(""), [BLANK]);
        assert_eq!(judge(" \t\u{3000}        "), [BLANK]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn no_password_makes_the_estimator_panic(password in "\\PC{0,140}", signs in "[ -/0-9:-@\\[-`{-~]{8,24}", name in "\\PC{0,20}") {
            let own = [name];
            problems(&Secret::new(password), &own);
            problems(&Secret::new(signs), &own);
        }
    }
}
