//! What there is of every session is written short: ids, and the phrases that every browser calls itself by.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

/// Marks, and what they stand for in a user agent. Rows have them: what a mark stands for never changes, and another
/// one is added before those whose phrase is a part of its own. No phrase begins with a small letter, so that none is
/// found across the end of a mark.
const PHRASES: &[(&str, &str)] = &[
    ("~t", "~"),
    ("~w", "Mozilla/5.0 (Windows NT 10.0; Win64; x64"),
    ("~m", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7"),
    ("~l", "Mozilla/5.0 (X11; Linux x86_64"),
    ("~a", "Mozilla/5.0 (Linux; Android 10; K"),
    ("~i", "Mozilla/5.0 (iPhone; CPU iPhone OS"),
    ("~z", "Mozilla/5.0 ("),
    ("~o", " like Mac OS X"),
    ("~k", ") AppleWebKit/537.36 (KHTML, like Gecko) Chrome/"),
    ("~v", ") AppleWebKit/605.1.15 (KHTML, like Gecko) Version/"),
    ("~g", ") Gecko/20100101 Firefox/"),
    ("~s", ".0.0.0 Safari/537.36"),
    ("~p", ".0.0.0 Mobile Safari/537.36"),
    ("~e", " Mobile/15E148 Safari/604.1"),
    ("~f", " Safari/605.1.15"),
];

/// An id in base64url: 22 characters.
pub(super) fn id(bytes: &[u8; 16]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// What [`id`] wrote.
pub(super) fn read_id(text: &str) -> Option<[u8; 16]> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// A user agent with marks for phrases.
pub(super) fn user_agent(text: &str) -> String {
    PHRASES.iter().fold(text.to_owned(), |text, (mark, phrase)| text.replace(phrase, mark))
}

/// What [`user_agent`] wrote.
pub(super) fn read_user_agent(text: &str) -> String {
    PHRASES.iter().rev().fold(text.to_owned(), |text, (mark, phrase)| text.replace(mark, phrase))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn browsers_call_themselves_something_short() {
        for (text, short) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 \
                 Safari/537.36",
                "~w~k126~s",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 \
                 Safari/537.36 Edg/126.0.0.0",
                "~w~k126~s Edg/126.0.0.0",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile \
                 Safari/537.36",
                "~a~k126~p",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/17.5 Safari/605.1.15",
                "~m~v17.5~f",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/17.5 Mobile/15E148 Safari/604.1",
                "~i 17_5~o~v17.5~e",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "~l; rv:127.0~g127.0"),
            ("curl/8.5.0", "curl/8.5.0"),
        ] {
            assert_eq!((&*user_agent(text), &*read_user_agent(short)), (short, text));
        }
    }

    #[test]
    fn marks_are_those_of_the_documentation() {
        let documentation = include_str!("../../../docs/redis.md");
        for (mark, phrase) in PHRASES {
            assert!(documentation.contains(&format!("\n    {mark} {phrase}\n")), "{mark} {phrase}");
        }
    }

    /// Marks, phrases and parts of both in any order, and anything in between.
    fn like_a_user_agent() -> impl Strategy<Value = String> {
        let phrases = || prop::sample::select(PHRASES);
        let part = prop_oneof![
            phrases().prop_map(|(mark, _)| mark.to_owned()),
            phrases().prop_map(|(_, phrase)| phrase.to_owned()),
            (phrases(), any::<prop::sample::Index>())
                .prop_map(|((_, phrase), at)| phrase[at.index(phrase.len())..].to_owned()),
            "[~a-z]",
            any::<String>(),
        ];
        prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_user_agent_is_read_as_it_was_written(text in like_a_user_agent()) {
            prop_assert_eq!(read_user_agent(&user_agent(&text)), text);
        }

        #[test]
        fn any_id_is_read_as_it_was_written(bytes: [u8; 16]) {
            let text = id(&bytes);
            prop_assert_eq!((text.len(), read_id(&text)), (22, Some(bytes)));
        }
    }
}
