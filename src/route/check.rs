//! Routes that are likely not meant as written.

use http::Method;

use super::{Route, USUAL_METHODS, prefix::Prefix};

/// Pairs (earlier, later) of routes of which the later can never match, because the earlier takes all it would.
pub fn shadowed(routes: &[Route]) -> Vec<(usize, usize)> {
    routes
        .iter()
        .enumerate()
        .filter_map(|(later, route)| {
            let earlier = routes.iter().take(later).position(|earlier| takes_all_of(earlier, route))?;
            Some((earlier, later))
        })
        .collect()
}

fn takes_all_of(earlier: &Route, later: &Route) -> bool {
    let methods: &[Method] = if later.methods.is_empty() { &USUAL_METHODS } else { &later.methods };
    (earlier.host.is_none() || earlier.host == later.host)
        && methods.iter().all(|method| earlier.serves(method))
        && beneath(later, &earlier.path)
}

/// Whether a route is at or beneath `base_path`, where everything is ours.
pub fn beneath(route: &Route, base_path: &str) -> bool {
    Prefix::new(base_path).is_over(route.path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::route, *};

    #[test]
    fn a_route_that_can_never_match_is_found() {
        let mut posts = route("/a/");
        posts.methods = vec![Method::POST];
        let mut reads = route("/");
        reads.methods = vec![Method::GET];
        let mut heads = route("/b");
        heads.methods = vec![Method::HEAD];
        let mut elsewhere = route("/");
        elsewhere.host = Some("b.test".into());
        let routes = [
            posts.clone(),
            route("/a"),
            posts,
            reads,
            heads,
            elsewhere.clone(),
            route("/ab"),
            elsewhere,
            route("/"),
            route("/c"),
        ];
        assert_eq!(shadowed(&routes), [(0, 2), (3, 4), (5, 7), (8, 9)]);
    }

    #[test]
    fn a_route_beneath_our_own_endpoints_is_found() {
        for (path, expected) in [
            ("/api-auth", true),
            ("/api-auth/", true),
            ("/api-auth/x", true),
            ("/api-authx", false),
            ("/", false),
            ("/x", false),
        ] {
            assert_eq!(beneath(&route(path), "/api-auth"), expected, "{path}");
        }
    }
}
