//! The table of routes, and which of them a request is for.

use std::sync::Arc;

use http::Method;

use super::{
    Route,
    prefix::{Escapes, Letters, Prefix},
    readings::{self, Reading},
};
use crate::api::WELL_KNOWN;

/// Why no one route was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// 404.
    NotFound,
    /// 400: an upstream may read the path in a way that another route, with other demands, would answer.
    Ambiguous,
}

/// All routes, ready to match.
pub struct Routes {
    entries: Box<[Entry]>,
    base: Prefix,
    /// Some pattern has letters or escapes that an upstream may read in another way, so that even plain paths have
    /// several readings.
    odd_patterns: bool,
}

struct Entry {
    /// Its place among the routes.
    index: usize,
    route: Arc<Route>,
    prefix: Prefix,
    /// The first route that asks the same of the caller, as seriously.
    demands: usize,
}

impl Routes {
    /// `base_path` is what none of the readings may reach. Paths of routes are to be in the canonical form of
    /// [`hygiene::path`](crate::hygiene::path), else no request matches them.
    pub fn new(routes: Vec<Route>, base_path: &str) -> Self {
        let asked = |route: &Route| (route.auth, route.require.clone(), route.mode);
        let demands: Vec<usize> = routes
            .iter()
            .map(|route| routes.iter().position(|first| asked(first) == asked(route)).unwrap_or_default())
            .collect();
        let entries: Box<[Entry]> = routes
            .into_iter()
            .zip(demands)
            .enumerate()
            .map(|(index, (route, demands))| Entry {
                index,
                prefix: Prefix::new(&route.path),
                route: Arc::new(route),
                demands,
            })
            .collect();
        let base = Prefix::new(base_path);
        let odd_patterns = base.is_odd() || entries.iter().any(|entry| entry.prefix.is_odd());
        Self { entries, base, odd_patterns }
    }

    /// Whether the canonical `path` is ours: at or beneath `base_path`, or one of our documents.
    pub fn is_own(&self, path: &str) -> bool {
        self.base.is_over(path) || WELL_KNOWN.contains(&path)
    }

    /// The first route that matches, with its place, or why there is none. `path` is canonical, `host` without port. What is at or
    /// beneath `base_path` is never routed.
    ///
    /// The path is ambiguous when some reading of it reaches `base_path` or a route that asks something
    /// else of the caller than the route chosen. A reading that no route matches makes no other demands, so it is no
    /// difference; and where the path itself matches nothing, nothing is forwarded that could be misread.
    pub fn select(&self, host: &str, path: &str, method: &Method) -> Result<(usize, &Arc<Route>), NoRoute> {
        if self.base.is_over(path) {
            return Err(NoRoute::NotFound);
        }
        let candidates = Candidates { entries: &self.entries, host, method };
        let chosen = candidates.first(|prefix| prefix.is_over(path));
        if self.odd_patterns || readings::has_several(path) {
            let readings = readings::of(path).ok_or(NoRoute::Ambiguous)?;
            for reading in &readings {
                self.compare(&candidates, chosen, reading)?;
            }
        }
        chosen.map(|entry| (entry.index, &entry.route)).ok_or(NoRoute::NotFound)
    }

    /// Refuses a `reading` that leads elsewhere than to `chosen`.
    fn compare(
        &self,
        candidates: &Candidates<'_, '_>,
        chosen: Option<&Entry>,
        reading: &Reading<'_>,
    ) -> Result<(), NoRoute> {
        let escapes = match reading {
            Reading { decoded: true, .. } => &[Escapes::Decoded][..],
            // Decoded, it would be the same.
            reading if !reading.path.contains(&b'%') => &[Escapes::Kept, Escapes::Decoded],
            _ => &[Escapes::Kept],
        };
        for letters in [Letters::Exact, Letters::Folded] {
            for escapes in escapes {
                let covers = |prefix: &Prefix| prefix.covers(&reading.path, letters, *escapes);
                let other = candidates.first(covers);
                let differs = chosen.zip(other).is_some_and(|(chosen, other)| chosen.demands != other.demands);
                if differs || covers(&self.base) {
                    return Err(NoRoute::Ambiguous);
                }
            }
        }
        Ok(())
    }
}

/// The routes that host and method leave.
struct Candidates<'r, 'q> {
    entries: &'r [Entry],
    host: &'q str,
    method: &'q Method,
}

impl<'r> Candidates<'r, '_> {
    fn first(&self, covers: impl Fn(&Prefix) -> bool) -> Option<&'r Entry> {
        self.entries.iter().find(|entry| {
            entry.route.host.as_deref().is_none_or(|host| host == self.host)
                && covers(&entry.prefix)
                && entry.route.serves(self.method)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Auth, Mode, Require, tests::route};

    fn public(path: &str) -> Route {
        Route { auth: Auth::Public, ..route(path) }
    }

    fn staff(path: &str) -> Route {
        Route { require: Require { staff: true, ..Require::default() }, ..route(path) }
    }

    /// The routes of the reference configuration.
    fn routes() -> Routes {
        Routes::new(vec![public("/public/"), staff("/staff/"), route("/")], "/api-auth")
    }

    fn chosen(routes: &Routes, path: &str) -> Result<String, NoRoute> {
        routes.select("a.test", path, &Method::GET).map(|(_, route)| route.name.clone())
    }

    #[test]
    fn the_first_route_that_matches_by_whole_segments_wins() {
        for (path, expected) in [
            ("/", "/"),
            ("/public", "/public/"),
            ("/public/", "/public/"),
            ("/public/a/b", "/public/"),
            ("/publicity", "/"),
            ("/staff", "/staff/"),
            ("/staff/a", "/staff/"),
            ("/staffroom", "/"),
            ("/users/AbC;v=1/a%2Fb//c", "/"),
            ("/public/AbC;v=1/a%2Fb//c", "/public/"),
            ("/caf%C3%A9", "/"),
            ("/api-authority", "/"),
        ] {
            assert_eq!(chosen(&routes(), path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn a_path_that_an_upstream_may_read_as_one_with_other_demands_is_refused() {
        for path in [
            "/Staff/x",
            "/STAFF",
            "/%53taff%2Fx",
            "/staff;x/y",
            "/staff;x",
            "/;x/staff",
            "//staff",
            "/staff%2Fx",
            "/staff%5Cx",
            "/%2Fstaff",
            "/x;/..%2Fstaff",
            "/staff%3Bx",
            "/staff%252Fx",
            "/;a//STAFF%3Bb/x",
            "/staff%2f",
            "/public;x/y",
            "/Public/x",
            "//public/x",
            "/public%2Fx",
            "/%5Cpublic",
        ] {
            assert_eq!(chosen(&routes(), path), Err(NoRoute::Ambiguous), "{path}");
        }
    }

    #[test]
    fn our_own_endpoints_are_not_reached_through_an_upstream_under_any_spelling() {
        for path in [
            "/API-AUTH/token",
            "/api-auth;x/token",
            "//api-auth/token",
            "/api-auth%2Ftoken",
            "/;/Api-Auth",
            "/api-auth%5ctoken",
        ] {
            assert!(!routes().is_own(path), "{path}");
            assert_eq!(chosen(&routes(), path), Err(NoRoute::Ambiguous), "{path}");
            let elsewhere = Routes::new(vec![route("/else")], "/api-auth");
            assert_eq!(chosen(&elsewhere, path), Err(NoRoute::Ambiguous), "{path}, and no route there");
        }
        assert_eq!(chosen(&routes(), "/api-auth/token"), Err(NoRoute::NotFound), "ours, never routed");
    }

    #[test]
    fn what_is_ours_is_told_apart_by_whole_segments() {
        for (path, expected) in [
            ("/api-auth", true),
            ("/api-auth/", true),
            ("/api-auth/token", true),
            ("/api-auth//x;y", true),
            ("/api-authority", false),
            ("/", false),
            ("/.well-known/jwks.json", true),
            ("/.well-known/jwks.json/", false),
            ("/.well-known/oauth-authorization-server", true),
            ("/.well-known/acme-challenge/x", false),
        ] {
            assert_eq!(routes().is_own(path), expected, "{path}");
        }
    }

    #[test]
    fn readings_that_ask_the_same_of_the_caller_are_no_ambiguity() {
        let same = Routes::new(vec![route("/a/"), route("/b/"), route("/")], "/api-auth");
        for (path, expected) in [("/A/x", "/"), ("/a;v=1/x", "/"), ("/a/%2Fb", "/a/"), ("/a//b", "/a/")] {
            assert_eq!(chosen(&same, path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn a_route_that_only_observes_is_no_way_around_one_that_enforces() {
        let observed = Route { mode: Mode::Observe, ..route("/old/") };
        let routes = Routes::new(vec![observed, route("/")], "/api-auth");
        for path in ["/old%2Fa", "/old;/a", "/OLD/a", "/old//a;/%2e"] {
            assert_eq!(chosen(&routes, path), Err(NoRoute::Ambiguous), "{path}");
        }
        assert_eq!(chosen(&routes, "/old//a").as_deref(), Ok("/old/"));
    }

    #[test]
    fn a_reading_that_no_route_answers_is_no_ambiguity_and_a_path_that_none_answers_is_404() {
        let one = Routes::new(vec![public("/Files/")], "/api-auth");
        assert_eq!(chosen(&one, "/Files/a").as_deref(), Ok("/Files/"));
        assert_eq!(chosen(&one, "/Files/a;b//c%2Fd").as_deref(), Ok("/Files/"));
        assert_eq!(chosen(&one, "/files/a"), Err(NoRoute::NotFound));
        assert_eq!(chosen(&one, "/other"), Err(NoRoute::NotFound));
    }

    #[test]
    fn patterns_with_capitals_or_escapes_are_compared_as_upstreams_read_them() {
        let odd = Routes::new(vec![staff("/Admin/"), staff("/a%40b/"), staff("/@me/"), public("/")], "/api-auth");
        for path in ["/admin/x", "/ADMIN", "/a@b/x", "/A%40b/x", "/%40me/x", "/%2540me"] {
            assert_eq!(chosen(&odd, path), Err(NoRoute::Ambiguous), "{path}");
        }
        for (path, expected) in [("/Admin/x", "/Admin/"), ("/a%40b", "/a%40b/"), ("/@me", "/@me/"), ("/else", "/")] {
            assert_eq!(chosen(&odd, path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn hosts_and_methods_narrow_a_route() {
        let mut hosted = route("/");
        hosted.host = Some("a.test".into());
        let mut reads = public("/x");
        reads.methods = vec![Method::GET];
        let mut purges = staff("/x");
        purges.methods = vec![Method::from_bytes(b"PURGE").unwrap()];
        let routes = Routes::new(vec![reads, purges, hosted], "/api-auth");
        let chosen = |host: &str, path: &str, method: &str| {
            routes.select(host, path, &method.parse().unwrap()).map(|(_, route)| (route.auth, route.require.staff))
        };
        assert_eq!(chosen("b.test", "/x", "GET"), Ok((Auth::Public, false)));
        assert_eq!(chosen("b.test", "/x", "HEAD"), Ok((Auth::Public, false)), "HEAD is served where GET is");
        assert_eq!(chosen("b.test", "/x", "PURGE"), Ok((Auth::Required, true)));
        assert_eq!(chosen("b.test", "/x", "POST"), Err(NoRoute::NotFound));
        assert_eq!(chosen("a.test", "/x", "POST"), Ok((Auth::Required, false)));
        assert_eq!(chosen("a.test", "/y", "PURGE"), Err(NoRoute::NotFound), "unusual methods only where named");
    }
}
