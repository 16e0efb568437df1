//! An identity at a provider, as social-auth-app-django keeps it.

use super::scratch::WaitingLink;
use crate::{account::email, store::ImportedLink};

/// The provider whose users social-auth-core before version 6 knew by their address.
const BY_EMAIL: &str = "google-oauth2";

/// What stood for every user whose id the provider did not tell.
const NOBODY: &str = "None";

/// Longest name of a provider and longest id, bytes: what can be signed in with.
const MAX_PROVIDER: usize = 200;
const MAX_UID: usize = 255;

/// The link to keep; `None` when it names nobody.
pub(super) fn make(link: &WaitingLink) -> Option<ImportedLink> {
    let WaitingLink { provider, uid, .. } = link;
    let holds =
        |text: &str, max: usize| !text.trim().is_empty() && text.len() <= max && !text.contains(char::is_control);
    if !holds(provider, MAX_PROVIDER) || !holds(uid, MAX_UID) || uid == NOBODY {
        return None;
    }
    let by_email = provider == BY_EMAIL && email::key(uid).is_some();
    Some(ImportedLink { provider: provider.clone(), uid: uid.clone(), by_email })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_email(provider: &str, uid: &str) -> Option<bool> {
        let link = WaitingLink { pk: "1".to_owned(), provider: provider.to_owned(), uid: uid.to_owned() };
        let made = make(&link)?;
        assert_eq!((made.provider.as_str(), made.uid.as_str()), (provider, uid), "as it is");
        Some(made.by_email)
    }

    #[test]
    fn only_an_address_at_google_waits_for_its_sub() {
        assert_eq!(by_email("google-oauth2", "Gina@Example.com"), Some(true));
        assert_eq!(by_email("google-oauth2", "108204268033311374519"), Some(false));
        assert_eq!(by_email("facebook", "10150000000000001"), Some(false));
        assert_eq!(by_email("keycloak", "gina@example.com"), Some(false));
    }

    #[test]
    fn what_is_nobodys_id_links_nobody() {
        for (provider, uid) in
            [("facebook", "None"), ("facebook", ""), ("facebook", " "), ("", "1"), ("facebook", "1\n")]
        {
            assert_eq!(by_email(provider, uid), None, "{provider} {uid}");
        }
        assert_eq!(by_email("facebook", &"x".repeat(256)), None);
    }
}
