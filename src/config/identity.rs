//! `identity_headers`: what upstreams are told of the caller, under which names.

use http::HeaderName;

use super::{
    section::{Section, choose},
    tree::Value,
    values,
};
use crate::{
    identity::{self, Preset},
    token::Claim,
};

/// Claims by the names they have in tokens.
const CLAIMS: [(&str, Claim); 11] = [
    ("sub", Claim::Sub),
    ("email", Claim::Email),
    ("email_verified", Claim::EmailVerified),
    ("preferred_username", Claim::PreferredUsername),
    ("name", Claim::Name),
    ("groups", Claim::Groups),
    ("staff", Claim::Staff),
    ("external_id", Claim::ExternalId),
    ("scope", Claim::Scope),
    ("client_id", Claim::ClientId),
    ("sid", Claim::Sid),
];

/// Reads the section. `registration` is whether strangers may sign up.
pub(super) fn identity(section: &mut Section<'_>, registration: bool) -> identity::Settings {
    let headers = if section.get("map").is_some() {
        if section.get("preset").is_some() {
            section.flaw("preset", "`map` is given as well: one of the two is wanted");
        }
        mapped(section)
    } else {
        let preset =
            section.with("preset", Value::plain("x-forwarded"), |item| item.text(|text| choose(text, &Preset::ALL)));
        preset.map(Preset::headers).unwrap_or_default()
    };
    let unverified_email = section.choice("unverified_email", &[("omit", false), ("send", true)], false);
    let tells_email = headers.iter().any(|(_, claim)| *claim == Claim::Email);
    if unverified_email && registration && tells_email {
        let message = "with open registration any stranger can claim any address, and upstreams will believe it: \
                       for trying things out only";
        section.warn("unverified_email", message);
    }
    identity::Settings { headers, unverified_email }
}

fn mapped(section: &mut Section<'_>) -> Vec<(HeaderName, Claim)> {
    let mut names: Vec<HeaderName> = Vec::new();
    let Some(map) = section.get("map") else { return Vec::new() };
    map.named(|text, item| {
        let name = match values::identity_header(text) {
            Ok(name) if names.contains(&name) => {
                item.flaw("this header is here already: names are the same in any case");
                return None;
            }
            Ok(name) => name,
            Err(message) => {
                item.flaw(message);
                return None;
            }
        };
        names.push(name.clone());
        Some((name, item.text(|text| choose(text, &CLAIMS))?))
    })
}
