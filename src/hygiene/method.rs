//! Which methods are served at all.

use http::{Method, StatusCode};

use super::{Refusal, Settings};
use crate::route::USUAL_METHODS;

/// Lets through the usual seven and what some route names; CONNECT and TRACE never, whatever a route names.
pub(super) fn judge(settings: &Settings, method: &Method) -> Result<(), Refusal> {
    if USUAL_METHODS.contains(method) || (settings.methods.contains(method) && !is_never(method)) {
        return Ok(());
    }
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", "No resource here takes this method.");
    // What follows a CONNECT may be meant for a tunnel (RFC 9110 section 9.3.6).
    Err(Refusal { close: *method == Method::CONNECT, ..refusal })
}

fn is_never(method: &Method) -> bool {
    matches!(*method, Method::CONNECT | Method::TRACE)
}

/// `Allow` of the 405 (RFC 9110 section 15.5.6).
pub fn allow(settings: &Settings) -> String {
    let extra = settings.methods.iter().filter(|method| !is_never(method) && !USUAL_METHODS.contains(method));
    USUAL_METHODS.iter().chain(extra).map(Method::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{super::testing::settings, *};

    #[test]
    fn unusual_methods_pass_only_where_a_route_names_them() {
        let mut settings = settings();
        let purge = Method::from_bytes(b"PURGE").unwrap();
        assert_eq!(judge(&settings, &purge).unwrap_err().status, StatusCode::METHOD_NOT_ALLOWED);
        settings.methods = vec![purge.clone(), Method::GET];
        assert_eq!(judge(&settings, &purge), Ok(()));
        assert_eq!(allow(&settings), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, PURGE");
    }

    #[test]
    fn connect_and_trace_never_pass() {
        let mut settings = settings();
        settings.methods = vec![Method::CONNECT, Method::TRACE];
        for method in &settings.methods {
            assert!(judge(&settings, method).is_err(), "{method}");
        }
        assert!(!allow(&settings).contains("TRACE"));
    }

    #[test]
    fn methods_are_case_sensitive() {
        assert!(judge(&settings(), &Method::from_bytes(b"get").unwrap()).is_err());
    }
}
