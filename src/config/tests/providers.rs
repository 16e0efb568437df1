//! Keys that only some of the providers have.

use super::{MINIMAL, broken::expect, good, parse_with};
use crate::{config::Settings, provider};

const MANUAL: &str = include_str!("../../../docs/providers.md");

const TENANT: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";

/// A file that is whole, but perhaps for this entry.
fn with(entry: &str) -> String {
    format!("providers: {{ {entry} }}\nclients: {{ a: {{ grants: [convert_token] }} }}\n{MINIMAL}")
}

fn settings(entry: &str) -> Settings {
    good(&with(entry))
}

#[test]
fn a_key_that_a_provider_does_not_have_is_unknown() {
    for (entry, place, part) in [
        ("github: { client_id: a, client_secret: b, audiences: [c] }", "1:56", "unknown key `audiences`"),
        ("github: { client_id: a, client_secret: b, tenant: c }", "1:56", "unknown key `tenant`"),
        ("gitlab: { client_id: a, tenant: TENANT }", "1:38", "unknown key `tenant`"),
        ("discord: { client_id: a, accept_any_app: true }", "1:39", "unknown key `accept_any_app`"),
        ("twitter-oauth2: { client_id: a, accept_any_app: true, audiences: [c] }", "1:68", "unknown key `audiences`"),
        ("slack: { client_id: a, endpoints: { api: 'https://a' } }", "1:50", "known here: jwks"),
        ("x: { type: oidc, issuer: 'https://a', client_id: a, tenant: b }", "1:66", "unknown key `tenant`"),
        // Of what is not known at all, that is all that is said.
        ("orkut: { client_id: a, trust_email: true, tenant: TENANT }", "1:14", "no provider is known as `orkut`"),
        ("orkut: { client_id: a, accept_any_app: false }", "1:14", "no provider is known as `orkut`"),
    ] {
        expect(&with(&entry.replace("TENANT", TENANT)), place, part);
    }
}

#[test]
fn a_secret_is_asked_for_where_nothing_goes_without() {
    expect(&with("github: { client_id: a }"), "1:14", "`client_secret` is missing in `providers.github`: GitHub tells");
    assert!(settings("linkedin-openidconnect: { client_id: a }").warnings.is_empty());
}

#[test]
fn addresses_are_trusted_of_one_tenant_or_of_none() {
    expect(&with("microsoft: { client_id: a, trust_email: true }"), "1:54", "this goes with `tenant`");
    expect(&with("microsoft-graph: { client_id: a, trust_email: true }"), "1:60", "this goes with `tenant`");
    for odd in
        ["common", "contoso.com", "''", "8eaef0232b344da19baa8bc8c9d6a490", "'{8eaef023-2b34-4da1-9baa-8bc8c9d6a490}'"]
    {
        expect(&with(&format!("microsoft: {{ client_id: a, tenant: {odd} }}")), "1:49", "a UUID is wanted here");
    }
    for tenant in [TENANT, &TENANT.to_uppercase()] {
        let settings = settings(&format!("microsoft: {{ client_id: a, tenant: {tenant}, trust_email: true }}"));
        let provider = &settings.providers[0];
        assert_eq!(provider.tenant.map(|tenant| tenant.to_string()).as_deref(), Some(TENANT));
        assert!(provider.trust_email && settings.warnings.is_empty());
    }
}

#[test]
fn addresses_of_a_gitlab_may_be_trusted() {
    for (entry, trusted) in [
        ("gitlab: { client_id: a }", false),
        ("gitlab: { client_id: a, trust_email: true }", true),
        ("gitlab: { client_id: a, trust_email: true, endpoints: { base: 'https://git.example.com' } }", true),
    ] {
        let settings = settings(entry);
        assert_eq!((settings.providers[0].trust_email, settings.warnings.len()), (trusted, 0), "{entry}");
    }
}

#[test]
fn taking_the_tokens_of_any_app_is_a_decision_that_is_told_at_each_start() {
    const MEANS: &str = "X tells nobody for which app a token was issued";
    for entry in ["twitter-oauth2: { client_id: a }", "twitter-oauth2: { client_id: a, accept_any_app: false }"] {
        expect(&with(entry), "1:14", "`accept_any_app: true` is missing in `providers.twitter-oauth2`");
        expect(&with(entry), "1:14", MEANS);
    }
    let settings = settings("twitter-oauth2: { client_id: a, accept_any_app: true }");
    let [warning] = &*settings.warnings else { panic!("{:?}", settings.warnings) };
    assert!(warning.contains(&format!("providers.twitter-oauth2.accept_any_app: {MEANS}")), "{warning}");
}

#[test]
fn the_manual_has_an_example_of_every_provider_and_each_holds() {
    let secrets = ["FACEBOOK_SECRET", "GITHUB_SECRET", "LINKEDIN_SECRET", "COMPANY_SECRET"].map(|name| (name, "s"));
    let examples = MANUAL.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let examples: Vec<_> = examples.filter(|example| example.starts_with("providers:\n")).collect();
    let mut shown = Vec::new();
    for example in examples {
        // With what stands behind a `#`, too.
        for text in [example.to_owned(), example.replace("\n    # ", "\n    ")] {
            let settings =
                parse_with(&format!("{text}{MINIMAL}"), &secrets).unwrap_or_else(|report| panic!("{report}"));
            shown.extend(settings.providers.into_iter().map(|provider| provider.row.name));
        }
    }
    for row in provider::TABLE.iter().chain([&provider::OIDC]).filter(|row| row.name != "microsoft-graph") {
        assert!(shown.contains(&row.name), "{}", row.name);
    }
    assert!(MANUAL.contains("`microsoft-graph`"));
}
