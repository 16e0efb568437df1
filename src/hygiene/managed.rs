//! The headers that are ours to write, and those that no client may send.

use http::HeaderName;

use crate::identity::Preset;

/// Written by us on every forwarded request, beside the identity headers.
const WRITTEN: [&str; 5] = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "traceparent"];

/// Would make an upstream serve another method or path than the one judged, or (`Proxy`, under CGI) send its own
/// requests through the client's proxy.
const REMOVED: [&str; 7] = [
    "proxy",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
];

/// A set of header names, asked in the spelling of upstreams: CGI and its heirs (WSGI, Rack, PHP) fold case, and
/// write several characters as one. Here every character but letters and digits is the same.
#[derive(Clone, Debug)]
pub struct Managed {
    /// Folded, ordered by [`order`].
    names: Box<[Box<str>]>,
}

impl Managed {
    /// The given names (identity headers), those of every preset, those we always write, and those always removed.
    ///
    /// Of every preset, not of the chosen one alone: an upstream may still go by the names of another gateway, or of
    /// an earlier configuration.
    pub fn new(names: impl IntoIterator<Item = HeaderName>) -> Self {
        let presets = Preset::ALL.into_iter().flat_map(|(_, preset)| preset.headers()).map(|(name, _)| name);
        let own = names.into_iter().chain(presets).map(|name| name.as_str().to_owned());
        let fixed = WRITTEN.iter().chain(&REMOVED).map(|name| (*name).to_owned());
        let mut names: Vec<Box<str>> =
            own.chain(fixed).map(|name| name.bytes().map(|byte| char::from(fold(byte))).collect()).collect();
        names.sort_by(|a, b| order(a, b));
        names.dedup();
        Self { names: names.into() }
    }

    /// Whether an upstream could take `name` for a header that we write or that no untrusted client may send.
    pub fn covers(&self, name: &str) -> bool {
        self.removes(name) || is_forwarding(name)
    }

    /// Whether `name` is removed whoever sent it.
    pub fn removes(&self, name: &str) -> bool {
        self.names.binary_search_by(|own| order(own, name)).is_ok()
    }
}

/// Says who came before us: believed of trusted peers only. The whole family, since upstreams go by members of it
/// that we do not know.
pub(super) fn is_forwarding(name: &str) -> bool {
    name.get(..11).is_some_and(|start| folds_onto(start, "x-forwarded"))
        || folds_onto(name, "forwarded")
        || folds_onto(name, "x-real-ip")
}

/// Whether `name` is `folded` to an upstream that folds names.
pub(super) fn folds_onto(name: &str, folded: &str) -> bool {
    name.len() == folded.len() && name.bytes().map(fold).eq(folded.bytes())
}

const fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

/// By length first: most comparisons end there.
fn order(folded: &str, name: &str) -> std::cmp::Ordering {
    folded.len().cmp(&name.len()).then_with(|| folded.bytes().cmp(name.bytes().map(fold)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn managed() -> Managed {
        Managed::new([HeaderName::from_static("x-auth-user"), HeaderName::from_static("remote-user")])
    }

    #[test]
    fn every_spelling_that_an_upstream_folds_is_covered() {
        for name in [
            "x-auth-user",
            "X-Auth-User",
            "X_AUTH_USER",
            "X.Auth.User",
            "x-auth_user",
            "x~auth!user",
            "REMOTE_USER",
            "X_Forwarded_For",
            "x.forwarded.anything",
            "X-Forwarded",
            "FORWARDED",
            "X_Real.IP",
            "Traceparent",
            "X_HTTP_Method_Override",
            "x-original-url",
        ] {
            assert!(managed().covers(name), "{name}");
        }
    }

    #[test]
    fn other_names_are_not() {
        for name in [
            "",
            "x",
            "x-auth-use",
            "x-auth-user-",
            "xauthuser",
            "x-auth--user",
            "accept",
            "cookie",
            "x-forwarde",
            "forwarded-by",
            "tracestate",
            "x-real-ips",
        ] {
            assert!(!managed().covers(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_separator_in_the_place_of_a_hyphen_is_the_same(separators in "[-!#$%&'*+.^_`|~]{2}", upper: bool) {
            let mut separators = separators.chars();
            let mut name: String = "x-auth-user".chars().map(|c| if c == '-' { separators.next().unwrap() } else { c }).collect();
            if upper {
                name.make_ascii_uppercase();
            }
            prop_assert!(managed().covers(&name) && managed().removes(&name));
        }

        #[test]
        fn the_search_agrees_with_plain_comparison(name in "\\PC{0,14}") {
            let folded: Vec<u8> = name.bytes().map(fold).collect();
            let expected = managed().names.iter().any(|own| own.as_bytes() == folded);
            prop_assert_eq!(managed().removes(&name), expected);
        }
    }
}
