//! The whole file, section by section, and what holds between sections.

use http::HeaderName;

use super::{
    Settings, clients, identity, providers,
    routes::{self, Context},
    section::Section,
    server::{self, Server},
    storage, tokens,
    tree::{Place, Value},
    values,
};
use crate::{
    hygiene::{self, Managed},
    route::Route,
    token::Claim,
};

/// Reads everything. With flaws in the walk, what is returned is not to be used.
pub(super) fn resolve(root: &mut Section<'_>) -> Settings {
    root.with("version", Value::plain("1"), |version| {
        version.text(|text| if text == "1" { Ok(()) } else { Err("this Passgate reads `version: 1`".into()) })
    });
    let server = root.section("server", Server::read);
    let admin = root.section("admin", server::admin);
    let log = root.section("log", server::log);
    let store = root.section("store", storage::store);
    let (master, previous_masters) = root.section("secrets", storage::secrets);
    let clients = root.get("clients").map(clients::clients).unwrap_or_default();
    let cors = root.section("cors", clients::cors);
    let providers = root.get("providers").map(providers::providers).unwrap_or_default();
    let accounts = root.section("accounts", clients::accounts);
    let (mut access, sessions, token_cache) =
        root.section("tokens", |section| tokens::tokens(section, &server.public_url));
    let max_staleness = root.section("revocation", tokens::max_staleness);
    let hashing = root.section("hashing", tokens::hashing);
    let throttle = tokens::limits(root, !server.trusted_proxies.is_empty());
    let identity = root.section("identity_headers", |section| identity::identity(section, accounts.registration));
    let written = written(&identity.headers);
    let managed = Managed::new(identity.headers.iter().map(|(name, _)| name.clone()));
    let upstreams = root.required("upstreams").map(routes::upstreams).unwrap_or_default();
    let context = Context {
        upstreams: &upstreams,
        hosts: &server.hosts,
        base_path: &server.base_path,
        cors: cors.enabled(),
        written: &written,
    };
    let routes = root.required("routes").map(|item| routes::routes(item, &context)).unwrap_or_default();

    check_addresses(root, &server, admin.as_ref());
    check_allowed_headers(root, &server.allow_headers, &managed);
    routes::warn_of_unreachable(root, &routes, &context);
    providers::warn_of_half_a_sign_in(root, &providers, &clients);
    access.profile = profile(&identity, &routes);

    Settings {
        listeners: server.listeners.into_iter().map(|(_, listener)| listener).collect(),
        public_url: server.public_url,
        base_path: server.base_path,
        hygiene: hygiene::Settings {
            hosts: server.hosts,
            trusted_proxies: server.trusted_proxies,
            allow_headers: server.allow_headers.into_iter().map(|(_, name)| name).collect(),
            header_bytes: server.limits.header_bytes,
            headers: server.headers,
            methods: routes.iter().flat_map(|(_, route)| route.methods.iter().cloned()).collect(),
            managed,
        },
        limits: server.limits,
        throttle,
        max_body: server.max_body,
        admin: admin.map(|(_, address)| address),
        log,
        store,
        master,
        previous_masters,
        clients,
        cors,
        providers,
        accounts,
        tokens: access,
        sessions,
        token_cache,
        max_staleness,
        hashing,
        identity,
        upstreams: upstreams.into_iter().filter_map(|upstream| upstream.settings).collect(),
        routes: routes.into_iter().map(|(_, route)| route).collect(),
        warnings: Vec::new(),
    }
}

/// Every header that we may write upstream, and so no route sets.
fn written(identity: &[(HeaderName, Claim)]) -> Vec<HeaderName> {
    let forwarded = values::FORWARDED.map(HeaderName::from_static);
    identity.iter().map(|(name, _)| name.clone()).chain(forwarded).collect()
}

/// The claims of the account that tokens must carry, so that no request needs the store.
fn profile(identity: &crate::identity::Settings, routes: &[(Place, Route)]) -> Vec<Claim> {
    let uses = |claim: Claim| identity.headers.iter().any(|(_, used)| *used == claim);
    let requires = |what: fn(&Route) -> bool| routes.iter().any(|(_, route)| what(route));
    let email_is_judged = uses(Claim::Email) && !identity.unverified_email;
    let needed = [
        (Claim::Email, uses(Claim::Email)),
        (Claim::EmailVerified, uses(Claim::EmailVerified) || email_is_judged),
        (Claim::PreferredUsername, uses(Claim::PreferredUsername)),
        (Claim::Name, uses(Claim::Name)),
        (Claim::Groups, uses(Claim::Groups) || requires(|route| !route.require.groups.is_empty())),
        (Claim::Staff, uses(Claim::Staff) || requires(|route| route.require.staff)),
        (Claim::ExternalId, uses(Claim::ExternalId)),
    ];
    needed.into_iter().filter(|(_, needed)| *needed).map(|(claim, _)| claim).collect()
}

fn check_addresses(root: &mut Section<'_>, server: &Server, admin: Option<&(Place, std::net::SocketAddr)>) {
    let listeners = server.listeners.iter().map(|(place, listener)| (place, listener.address));
    let all: Vec<_> = listeners.chain(admin.map(|(place, address)| (place, *address))).collect();
    for (index, (place, address)) in all.iter().enumerate() {
        let Some((other, _)) = all.iter().take(index).find(|(_, other)| other == address) else { continue };
        if address.port() != 0 {
            // The admin listener may be where it is by default.
            root.walk.flaw((*place).clone().or((*other).clone()), "this address is listened on already");
        }
    }
}

/// A header let through must not reach an upstream under a name that it trusts.
fn check_allowed_headers(root: &mut Section<'_>, allowed: &[(Place, String)], managed: &Managed) {
    for (place, name) in allowed {
        if managed.covers(name) || values::is_taken(name) {
            let message = format!("upstreams may read this as `{}`, which clients must not set", values::fold(name));
            root.walk.flaw(place.clone(), message);
        }
    }
}
