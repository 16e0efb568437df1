//! `providers`: the identity providers whose tokens are taken. What keys each of them has stands in its row of
//! [`provider::TABLE`].

use super::{
    item::Item,
    section::{Section, choose, nearest},
    tree::Value,
    values,
};
use crate::{
    oauth::client::{self, Grant},
    provider::{self, Extra, OIDC, Row, TABLE},
};

/// `providers`, in the order of the file.
pub(super) fn providers(item: Item<'_>) -> Vec<provider::Settings> {
    item.named(|name, item| {
        let valid = (1..=200).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        if !valid {
            item.flaw("a provider's name is up to 200 characters of visible ASCII");
            return None;
        }
        item.section(|provider| settings(name, provider))
    })
}

fn settings(name: &str, provider: &mut Section<'_>) -> Option<provider::Settings> {
    let (row, issuer) = kind(name, provider);
    let client_id = provider.required("client_id").and_then(|id| id.text(values::line));
    let client_secret = secret(name, row, provider);
    // Of one that is not known, whatever any has: that it is not known is all there is to say.
    let rows = row.map_or_else(|| [TABLE, &[OIDC]].concat(), |row| vec![row]);
    let has = |extra| rows.iter().any(|row| row.extras.contains(&extra));
    let audiences = if has(Extra::Audiences) { provider.list("audiences", &[], values::line) } else { Vec::default() };
    let endpoints = provider.section("endpoints", |section| {
        let mut read = |key, default: Option<&str>| match default {
            Some(default) => section.with(key, Value::plain(default), |item| item.text(values::endpoint)),
            None => section.get(key).and_then(|item| item.text(values::endpoint)),
        };
        let known = rows.iter().flat_map(|row| row.endpoints);
        known.filter_map(|(key, default)| Some((*key, read(key, *default)?))).collect()
    });
    let tenant = if has(Extra::Tenant) { provider.get("tenant") } else { None };
    let tenant = tenant.map(|tenant| tenant.text(values::uuid));
    let trust_email = has(Extra::TrustEmail) && provider.flag("trust_email", false);
    if trust_email && tenant.is_none() && row.is_some_and(|row| row.extras.contains(&Extra::Tenant)) {
        let message = "this goes with `tenant`: whoever runs a tenant gives its accounts any address, so that only the \
                       addresses of one that you know can be trusted";
        provider.flaw("trust_email", message);
    }
    let accept_any_app = accept_any_app(name, &rows, row.is_some(), provider);
    Some(provider::Settings {
        name: name.to_owned(),
        row: row?,
        client_id: client_id?,
        client_secret,
        audiences,
        endpoints,
        issuer,
        trust_email,
        tenant: tenant.flatten(),
        accept_any_app,
    })
}

/// What kind of provider it is, and the issuer of one that is told by it.
fn kind(name: &str, provider: &mut Section<'_>) -> (Option<&'static Row>, Option<String>) {
    if let Some(kind) = provider.get("type") {
        let oidc = kind.text(|text| choose(text, &[("oidc", OIDC)]));
        let issuer = provider.required("issuer").and_then(|issuer| issuer.text(values::issuer));
        return (oidc, issuer);
    }
    let known = TABLE.iter().copied().find(|row| row.name == name);
    if provider.get("issuer").is_some() {
        provider.flaw("issuer", "an issuer belongs to a provider of `type: oidc`");
    } else if known.is_none() {
        let hint = match nearest(name, TABLE.iter().map(|row| row.name)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "any OpenID provider works with `type: oidc` and its `issuer`".to_owned(),
        };
        provider.walk.flaw(provider.place.clone(), format!("no provider is known as `{name}`; {hint}"));
    }
    (known, None)
}

/// Whether the operator has taken on what a provider does not tell.
fn accept_any_app(name: &str, rows: &[&Row], known: bool, provider: &mut Section<'_>) -> bool {
    const KEY: &str = "accept_any_app";
    let means = rows.iter().flat_map(|row| row.extras).find_map(|extra| match extra {
        Extra::AcceptAnyApp(means) => Some(*means),
        _ => None,
    });
    let Some(means) = means else { return false };
    let accepted = provider.flag(KEY, false);
    if accepted {
        provider.warn(KEY, means);
    } else if known {
        let message = format!("`{KEY}: true` is missing in `providers.{name}`, and has to be a decision: {means}");
        provider.walk.flaw(provider.place.clone(), message);
    }
    accepted
}

fn secret(name: &str, row: Option<&Row>, provider: &mut Section<'_>) -> Option<crate::secret::Secret> {
    let written = ["client_secret", "client_secret_file"].into_iter().any(|key| provider.get(key).is_some());
    if let Some(why) = row.and_then(|row| row.needs_secret).filter(|_| !written) {
        let message = format!("`client_secret` is missing in `providers.{name}`: {why}");
        provider.walk.flaw(provider.place.clone(), message);
    }
    provider.secret("client_secret", "client_secret_file")
}

/// Providers are for clients with the grant that takes their tokens, and the other way round.
pub(super) fn warn_of_half_a_sign_in(
    root: &mut Section<'_>,
    providers: &[provider::Settings],
    clients: &[client::Settings],
) {
    let converting = clients.iter().filter(|client| client.grants.contains(&Grant::ConvertToken));
    let converting: Vec<_> = converting.map(|client| client.id.as_str()).collect();
    if providers.is_empty() && !converting.is_empty() {
        let message = format!("without `providers` the grant convert_token is of no use to: {}", converting.join(", "));
        root.warn("clients", message);
    }
    if !providers.is_empty() && converting.is_empty() {
        root.warn("providers", "no client here has the grant convert_token, which takes the tokens of providers");
    }
}
