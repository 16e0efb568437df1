//! `clients`, `accounts`, `cors`: who may sign in, with what, and from where.

use std::time::Duration;

use super::{
    item::Item,
    section::{Section, choose},
    values,
};
use crate::{
    account, cors,
    model::{ClientId, Scope},
    oauth::client::{self, Grant},
};

/// `clients`, in the order of the file. Names of clients without use for a grant are warned of elsewhere.
pub(super) fn clients(item: Item<'_>) -> Vec<client::Settings> {
    item.named(|name, item| {
        let valid = (1..=200).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        if !valid {
            item.flaw("a client's name is up to 200 characters of visible ASCII");
            return None;
        }
        Some(item.section(|client| {
            let secret = client.secret("secret", "secret_file");
            let grants = client.list("grants", &["password", "refresh_token"], |text| choose(text, &Grant::ALL));
            if client.get("grants").is_some_and(|grants| grants.is_empty_list()) {
                client.flaw("grants", "a client without grants gets no tokens: name one at least");
            }
            let scopes = client.list("scopes", &["read", "write"], values::scope);
            client::Settings {
                id: ClientId::from(name),
                secret,
                grants,
                scopes: Scope::parse(&scopes.join(" ")).unwrap_or_default(),
            }
        }))
    })
}

/// `accounts`.
pub(super) fn accounts(accounts: &mut Section<'_>) -> account::Settings {
    use account::List::{Authenticated, Public, Staff};
    account::Settings {
        registration: accounts.choice("registration", &[("open", true), ("closed", false)], true),
        sign_in_after_registration: accounts.flag("sign_in_after_registration", true),
        reclaim_unverified: accounts.flag("reclaim_unverified", false),
        list: accounts.choice("list", &[("staff", Staff), ("authenticated", Authenticated), ("public", Public)], Staff),
    }
}

/// `cors`.
pub(super) fn cors(section: &mut Section<'_>) -> cors::Settings {
    let header = |text: &str| values::header_name(text).map(|_| text.to_owned());
    cors::Settings {
        allowed_origins: section.list("allowed_origins", &[], values::origin),
        allowed_headers: section.list("allowed_headers", &cors::ALLOWED_HEADERS, header),
        allowed_methods: section
            .list("allowed_methods", &cors::ALLOWED_METHODS, |text| values::method(text).map(|m| m.to_string())),
        exposed_headers: section.list("exposed_headers", &cors::EXPOSED_HEADERS, header),
        allow_credentials: section.flag("allow_credentials", false),
        max_age: section.duration("max_age", cors::MAX_AGE, Duration::ZERO..=7 * cors::MAX_AGE),
    }
}
