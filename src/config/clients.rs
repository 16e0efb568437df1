//! `clients`, `accounts`, `cors`, `providers`: who may sign in, with what, and from where.

use std::time::Duration;

use super::{
    item::Item,
    section::{Section, choose, nearest},
    tree::Place,
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

/// Providers by the names that the HTTP contract gives them, and the endpoints of each that can be set.
const PROVIDERS: [(&str, &[&str]); 10] = [
    ("google-oauth2", &["userinfo", "tokeninfo", "jwks", "authorization", "token"]),
    ("facebook", &["graph", "dialog"]),
    ("github", OTHER),
    ("gitlab", OTHER),
    ("microsoft", OTHER),
    ("apple-id", OTHER),
    ("linkedin-openidconnect", OTHER),
    ("discord", OTHER),
    ("twitter-oauth2", OTHER),
    ("slack", OTHER),
];
const OTHER: &[&str] = &["userinfo", "jwks", "authorization", "token"];

/// `providers`: checked, since nothing acts on them yet. Whether any is written.
pub(super) fn providers(item: Item<'_>) -> Option<Place> {
    let place = item.place.clone();
    let all = item.named(|name, item| {
        item.section(|provider| {
            provider_settings(name, provider);
            Some(())
        })
    });
    (!all.is_empty()).then_some(place)
}

fn provider_settings(name: &str, provider: &mut Section<'_>) {
    let known = PROVIDERS.iter().find(|(known, _)| *known == name);
    let oidc = provider.get("type").is_some_and(|kind| kind.text(|text| choose(text, &[("oidc", ())])).is_some());
    if oidc {
        provider.required("issuer").and_then(|issuer| issuer.text(values::endpoint));
    } else if provider.get("issuer").is_some() {
        provider.flaw("issuer", "an issuer belongs to a provider of `type: oidc`");
    } else if known.is_none() {
        let hint = match nearest(name, PROVIDERS.iter().map(|(known, _)| *known)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "any OpenID provider works with `type: oidc` and its `issuer`".to_owned(),
        };
        provider.walk.flaw(provider.place.clone(), format!("no provider is known as `{name}`; {hint}"));
    }
    provider.required("client_id").and_then(|id| id.text(values::line));
    provider.secret("client_secret", "client_secret_file");
    provider.list("audiences", &[], values::line);
    let endpoints = known.map_or(OTHER, |(_, endpoints)| endpoints);
    if let Some(item) = provider.get("endpoints") {
        item.section(|section| {
            for endpoint in endpoints {
                section.get(endpoint).and_then(|url| url.text(values::endpoint));
            }
        });
    }
}
