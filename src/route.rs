//! Routes: host, path and methods to an upstream, and what is asked of the caller.

mod check;
mod prefix;
mod readings;
mod table;

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use crate::authn::Principal;
pub use check::{beneath, shadowed};
pub use table::{NoRoute, Routes};

/// What a route serves that names no methods.
pub const USUAL_METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// One route as resolved.
#[derive(Clone, Debug)]
pub struct Route {
    /// For logs and metrics: host and path as configured.
    pub name: String,
    /// Exact host (lower case, A-labels, no port), or any.
    pub host: Option<String>,
    /// Path prefix by whole segments, canonical; `/staff/` and `/staff` both match `/staff` and all below.
    pub path: String,
    /// These methods only, and HEAD where GET is among them (RFC 9110 section 9.3.2); empty means
    /// [`USUAL_METHODS`].
    pub methods: Vec<Method>,
    /// Index into the upstreams.
    pub upstream: usize,
    /// Who may come.
    pub auth: Auth,
    /// What more is asked of an authenticated caller.
    pub require: Require,
    /// What becomes of those that this refuses.
    pub mode: Mode,
    /// Removed from the front of the path before the upstream.
    pub strip_prefix: Option<String>,
    /// Set on the upstream request, last of all but identity.
    pub set_headers: Vec<(HeaderName, HeaderValue)>,
    /// Leaves `Authorization: Bearer` in place.
    pub forward_authorization: bool,
    /// Who answers CORS.
    pub cors: Cors,
    /// Where different from the upstream's.
    pub timeouts: Timeouts,
}

impl Route {
    /// Whether `method` is served.
    pub fn serves(&self, method: &Method) -> bool {
        if self.methods.is_empty() {
            return USUAL_METHODS.contains(method);
        }
        self.methods.contains(method) || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }

    /// Whether the upstream gets a `Bearer` as it came.
    pub fn passes_bearer(&self) -> bool {
        self.forward_authorization || self.mode == Mode::Observe
    }

    /// Whether CORS is the upstream's affair, preflights included.
    pub fn passes_cors(&self) -> bool {
        self.cors == Cors::Pass || self.mode == Mode::Observe
    }

    /// The path to ask the upstream for: `canonical` without `strip_prefix`, where that is its beginning by whole
    /// segments. It always starts with `/`.
    pub fn upstream_path<'a>(&self, canonical: &'a str) -> &'a str {
        let rest = self.strip_prefix.as_deref().and_then(|prefix| canonical.strip_prefix(prefix.trim_end_matches('/')));
        match rest {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => canonical,
        }
    }
}

/// Whether a caller must be authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Auth {
    /// 401 unless authenticated.
    #[default]
    Required,
    /// Anonymous may pass; a bearer that does not hold is 401.
    Optional,
    /// Never judged, no identity headers.
    Public,
}

/// What becomes of callers that a route has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// 401 or 403.
    #[default]
    Enforce,
    /// The route decides and forwards all the same, so that its upstream goes on deciding for itself: with the
    /// client's own `Authorization`, without identity headers, and with CORS left to it. What the two decide is
    /// compared. It protects nothing.
    Observe,
}

/// What an authenticated caller must have: 403 otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Require {
    /// Must be staff.
    pub staff: bool,
    /// Must be in one of these, when there are any.
    pub groups: Vec<String>,
    /// The token must have all of these.
    pub scopes: Vec<String>,
}

impl Require {
    /// Whether the caller has all that is asked.
    pub fn allows(&self, principal: &Principal) -> bool {
        (!self.staff || principal.staff)
            && (self.groups.is_empty()
                || principal.groups.iter().any(|group| self.groups.iter().any(|own| **own == **group)))
            && self.scopes.iter().all(|scope| principal.has_scope(scope))
    }
}

/// Who answers CORS on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cors {
    /// We answer preflights and replace the upstream's `Access-Control-*`.
    Handle,
    /// All is left to the upstream.
    Pass,
}

/// Time-outs towards an upstream; `None` leaves the upstream's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Option<Duration>,
    /// Between two reads of the response.
    pub read: Option<Duration>,
    /// Between two writes of the request.
    pub write: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        identity,
        model::{AccountId, Epoch, Scope, SessionId},
        token::{Claims, Profile},
    };

    pub(super) fn route(path: &str) -> Route {
        Route {
            name: path.into(),
            host: None,
            path: path.into(),
            methods: Vec::new(),
            upstream: 0,
            auth: Auth::Required,
            require: Require::default(),
            mode: Mode::Enforce,
            strip_prefix: None,
            set_headers: Vec::new(),
            forward_authorization: false,
            cors: Cors::Handle,
            timeouts: Timeouts::default(),
        }
    }

    #[test]
    fn a_prefix_is_stripped_by_whole_segments_and_a_path_remains() {
        for (prefix, path, expected) in [
            ("/app", "/app/x", "/x"),
            ("/app/", "/app/x", "/x"),
            ("/app", "/app", "/"),
            ("/app", "/app/", "/"),
            ("/app", "/apple", "/apple"),
            ("/app", "/other", "/other"),
            ("/", "/x", "/x"),
        ] {
            let route = Route { strip_prefix: Some(prefix.into()), ..route("/") };
            assert_eq!(route.upstream_path(path), expected, "{prefix} off {path}");
        }
        assert_eq!(route("/").upstream_path("/x"), "/x");
    }

    #[test]
    fn a_caller_needs_staff_and_any_group_and_every_scope_that_is_asked() {
        let claims = Claims {
            issuer: String::new(),
            subject: AccountId::generate(),
            audience: String::new(),
            expires_at: Timestamp::default(),
            issued_at: Timestamp::default(),
            id: String::new(),
            session: SessionId::from_bytes([0; 16]),
            epoch: Epoch(0),
            client: "web".into(),
            scope: Scope::parse("read write").unwrap(),
            profile: Profile { groups: vec!["a".into(), "b".into()], ..Profile::default() },
        };
        let identity = identity::Settings { headers: Vec::new(), unverified_email: false };
        let headers = identity::Writer::new(identity).headers_for(&claims);
        let caller = Principal::new(claims, "", headers, 0);
        let require = |staff, groups: &[&str], scopes: &[&str]| Require {
            staff,
            groups: groups.iter().map(ToString::to_string).collect(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
        };
        assert!(Require::default().allows(&caller));
        assert!(require(false, &["x", "b"], &["write", "read"]).allows(&caller));
        assert!(!require(false, &["x"], &[]).allows(&caller));
        assert!(!require(false, &["A"], &[]).allows(&caller), "names are compared exactly");
        assert!(!require(false, &[], &["read", "admin"]).allows(&caller));
        assert!(!require(true, &["a"], &["read"]).allows(&caller));
    }
}
