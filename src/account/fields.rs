//! What people give to sign up, judged field by field in the words of the HTTP contract.

use super::email;
use crate::{
    password::policy::{BLANK, NULL},
    secret::Secret,
};

/// Most code points of `username` and `first_name`, outer spaces not counted.
pub const MAX_NAME: usize = 150;

/// The text of an address that another account has.
pub(super) const TAKEN: &str = "account with this email already exists.";
const INVALID: &str = "Enter a valid email address.";

/// Field and text for its owner; a field may have several.
pub type Faults = Vec<(&'static str, String)>;

/// What there is of a sign-up: a field that is absent is not judged here.
#[derive(Clone, Copy, Default)]
pub struct Draft<'a> {
    /// `email`.
    pub email: Option<&'a str>,
    /// `username`.
    pub username: Option<&'a str>,
    /// `first_name`.
    pub first_name: Option<&'a str>,
    /// `password`.
    pub password: Option<&'a Secret>,
}

/// Everything wrong with an address as received.
pub(super) fn email(text: &str) -> Vec<String> {
    let text = text.trim();
    let mut problems = plain(text, email::MAX_LENGTH);
    if !text.is_empty() && email::key(text).is_none() {
        problems.push(INVALID.to_owned());
    }
    problems
}

/// Everything wrong with a name as received.
pub(super) fn name(text: &str) -> Vec<String> {
    plain(text.trim(), MAX_NAME)
}

fn plain(text: &str, max: usize) -> Vec<String> {
    if text.is_empty() {
        return vec![BLANK.to_owned()];
    }
    let mut problems = Vec::new();
    if text.chars().nth(max).is_some() {
        problems.push(format!("Ensure this field has no more than {max} characters."));
    }
    if text.contains('\0') {
        problems.push(NULL.to_owned());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_any_text_of_1_to_150_code_points_but_null() {
        for good in ["a", " ann ", "Zoë 李 \u{1f98a}", "a\tb", &"é".repeat(150), &format!("  {}  ", "x".repeat(150))]
        {
            assert!(name(good).is_empty(), "{good}");
        }
        assert_eq!(name(""), [BLANK]);
        assert_eq!(name(" \t\n "), [BLANK]);
        assert_eq!(name(&"é".repeat(151)), ["Ensure this field has no more than 150 characters."]);
        assert_eq!(name("an\0n"), [NULL]);
        assert_eq!(
            name(&format!("\0{}", "x".repeat(150))),
            ["Ensure this field has no more than 150 characters.", NULL]
        );
    }

    #[test]
    fn an_address_has_at_most_254_characters() {
        let address = |length: usize| format!("{}@example.com", "a".repeat(length - "@example.com".len()));
        assert!(email(&address(254)).is_empty());
        assert_eq!(email(&address(255)), ["Ensure this field has no more than 254 characters."]);
        assert_eq!(email(&address(321)), ["Ensure this field has no more than 254 characters.", INVALID]);
    }

    #[test]
    fn outer_spaces_are_not_part_of_an_address() {
        assert!(email("  ann@example.com\n").is_empty());
        assert_eq!(email("  "), [BLANK]);
        assert_eq!(email("ann"), [INVALID]);
        assert_eq!(email("an\0n@example.com"), [NULL, INVALID]);
    }
}
