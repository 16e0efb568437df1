//! Identity headers: what upstreams are told of the caller. Taking out what a client sent under these names is
//! [`hygiene`](crate::hygiene)'s; that these are written last is the proxy's.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::token::{Claim, Claims};

/// Everything but visible ASCII, and `%`, so that decoding gives back exactly what was meant.
const TEXT: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Of an element of a comma-separated list.
const ELEMENT: &AsciiSet = &TEXT.add(b',');

/// Longest value, bytes.
const VALUE_BYTES: usize = 4096;

/// What upstreams are told, and under which names.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Header and claim, in the order written.
    pub headers: Vec<(HeaderName, Claim)>,
    /// Whether an address nobody vouched for is sent.
    pub unverified_email: bool,
}

/// Identity headers of one caller. The names are shared with those of all others, and the values are parts of one text:
/// most of what the verified-token cache holds are these.
pub struct Headers {
    names: Arc<[HeaderName]>,
    text: Bytes,
    /// Where in the text each value ends; the next one begins there.
    ends: Box<[usize]>,
}

impl Headers {
    /// In the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, HeaderValue)> {
        let mut start = 0;
        self.names.iter().zip(&self.ends).filter_map(move |(name, end)| {
            let place = start..*end;
            start = *end;
            let value =
                if place.is_empty() { None } else { HeaderValue::from_maybe_shared(self.text.slice(place)).ok() };
            Some((name, value?))
        })
    }

    /// What they take in memory beyond their own size, near enough.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.ends) + self.text.len() + SHARING
    }
}

/// Bytes that counting the users of a text takes.
const SHARING: usize = 48;

/// Makes the headers of callers.
pub struct Writer {
    settings: Settings,
    names: Arc<[HeaderName]>,
}

impl Writer {
    /// One that goes by `settings`.
    pub fn new(settings: Settings) -> Self {
        Self { names: settings.headers.iter().map(|(name, _)| name.clone()).collect(), settings }
    }

    /// The identity headers of a caller.
    ///
    /// Values are percent-encoded UTF-8: every character outside visible ASCII, spaces included, and `%` itself.
    /// Groups are joined by commas, and a comma within a group's name is encoded; scopes are joined by spaces. A
    /// claim that is absent or empty writes no header. A value over 4 KiB is left out whole and logged: half a list
    /// of groups would be another list, and no list says least.
    pub fn headers_for(&self, claims: &Claims) -> Headers {
        let mut text = String::new();
        let mut ends = Vec::with_capacity(self.names.len());
        for (name, claim) in &self.settings.headers {
            let value = self.settings.value(*claim, claims).unwrap_or_default();
            if value.len() > VALUE_BYTES {
                tracing::warn!(sub = %claims.subject, header = %name, bytes = value.len(), "identity header left out: over 4 KiB");
            } else {
                text.push_str(&value);
            }
            ends.push(text.len());
        }
        let text = Bytes::from(text.into_bytes().into_boxed_slice());
        Headers { names: Arc::clone(&self.names), text, ends: ends.into_boxed_slice() }
    }
}

impl Settings {
    fn value(&self, claim: Claim, claims: &Claims) -> Option<String> {
        let profile = &claims.profile;
        let text = |text: &Option<String>| text.as_deref().map(|text| utf8_percent_encode(text, TEXT).to_string());
        match claim {
            Claim::Sub => Some(claims.subject.to_string()),
            Claim::Email => text(&profile.email).filter(|_| profile.email_verified || self.unverified_email),
            Claim::EmailVerified => profile.email.as_ref().map(|_| profile.email_verified.to_string()),
            Claim::PreferredUsername => text(&profile.preferred_username),
            Claim::Name => text(&profile.name),
            Claim::Groups => Some(list(&profile.groups)),
            Claim::Staff => Some(profile.staff.to_string()),
            Claim::ExternalId => text(&profile.external_id),
            Claim::Scope => Some(claims.scope.to_string()),
            Claim::ClientId => Some(utf8_percent_encode(claims.client.as_str(), TEXT).to_string()),
            Claim::Sid => Some(claims.session.to_string()),
        }
    }
}

fn list(elements: &[String]) -> String {
    let elements: Vec<String> = elements
        .iter()
        .filter(|element| !element.is_empty())
        .map(|element| utf8_percent_encode(element, ELEMENT).to_string())
        .collect();
    elements.join(",")
}

/// A set of names that upstreams are known to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// `X-Forwarded-User` and the like.
    XForwarded,
    /// `X-Auth-Request-User` and the like.
    XAuthRequest,
    /// `Remote-User` and the like.
    Remote,
}

impl Preset {
    /// All of them, under their names in the configuration.
    pub const ALL: [(&'static str, Self); 3] =
        [("x-forwarded", Self::XForwarded), ("x-auth-request", Self::XAuthRequest), ("remote", Self::Remote)];

    /// The preset that the configuration calls `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(own, _)| *own == name).map(|(_, preset)| *preset)
    }

    /// Its headers, and the claims they carry.
    pub fn headers(self) -> Vec<(HeaderName, Claim)> {
        let names = match self {
            Self::XForwarded => [
                ("x-forwarded-user", Claim::Sub),
                ("x-forwarded-email", Claim::Email),
                ("x-forwarded-preferred-username", Claim::PreferredUsername),
                ("x-forwarded-groups", Claim::Groups),
            ],
            Self::XAuthRequest => [
                ("x-auth-request-user", Claim::Sub),
                ("x-auth-request-email", Claim::Email),
                ("x-auth-request-preferred-username", Claim::PreferredUsername),
                ("x-auth-request-groups", Claim::Groups),
            ],
            Self::Remote => [
                ("remote-user", Claim::Sub),
                ("remote-email", Claim::Email),
                ("remote-name", Claim::Name),
                ("remote-groups", Claim::Groups),
            ],
        };
        names.into_iter().map(|(name, claim)| (HeaderName::from_static(name), claim)).collect()
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        clock::Timestamp,
        model::{AccountId, Epoch, Scope, SessionId},
        token::Profile,
    };

    const EVERYTHING: [Claim; 11] = [
        Claim::Sub,
        Claim::Email,
        Claim::EmailVerified,
        Claim::PreferredUsername,
        Claim::Name,
        Claim::Groups,
        Claim::Staff,
        Claim::ExternalId,
        Claim::Scope,
        Claim::ClientId,
        Claim::Sid,
    ];

    fn claims(profile: Profile) -> Claims {
        Claims {
            issuer: String::new(),
            subject: "0190f5a6-0000-7000-8000-000000000001".parse::<AccountId>().unwrap(),
            audience: String::new(),
            expires_at: Timestamp::default(),
            issued_at: Timestamp::default(),
            id: String::new(),
            session: SessionId::from_bytes([0xAB; 16]),
            epoch: Epoch(0),
            client: "web".into(),
            scope: Scope::parse("read write").unwrap(),
            profile,
        }
    }

    fn told(unverified_email: bool, claim: Claim, profile: Profile) -> Option<String> {
        let settings = Settings { headers: vec![(HeaderName::from_static("x"), claim)], unverified_email };
        let headers = Writer::new(settings).headers_for(&claims(profile));
        headers.iter().next().map(|(_, value)| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_claim_has_its_form() {
        let profile = Profile {
            email: Some("a+b@c.test".into()),
            email_verified: true,
            preferred_username: Some("ann".into()),
            name: Some("Ann Ö. 100%".into()),
            groups: vec!["dev".into(), "a,b".into(), String::new(), "ops & co".into()],
            staff: true,
            external_id: Some("17".into()),
        };
        let told: Vec<_> = EVERYTHING.iter().map(|claim| told(false, *claim, profile.clone()).unwrap()).collect();
        assert_eq!(
            told,
            [
                "0190f5a6-0000-7000-8000-000000000001",
                "a+b@c.test",
                "true",
                "ann",
                "Ann%20%C3%96.%20100%25",
                "dev,a%2Cb,ops%20&%20co",
                "true",
                "17",
                "read write",
                "web",
                "abababababababababababababababab",
            ]
        );
    }

    #[test]
    fn an_absent_claim_writes_no_header() {
        for claim in [
            Claim::Email,
            Claim::EmailVerified,
            Claim::PreferredUsername,
            Claim::Name,
            Claim::Groups,
            Claim::ExternalId,
        ] {
            assert_eq!(told(true, claim, Profile::default()), None, "{claim:?}");
        }
        assert_eq!(told(false, Claim::Name, Profile { name: Some(String::new()), ..Profile::default() }), None);
        assert_eq!(told(false, Claim::Staff, Profile::default()).as_deref(), Some("false"));
    }

    #[test]
    fn an_address_nobody_vouched_for_is_sent_only_when_configured() {
        let stranger = Profile { email: Some("boss@c.test".into()), ..Profile::default() };
        assert_eq!(told(false, Claim::Email, stranger.clone()), None);
        assert_eq!(told(true, Claim::Email, stranger.clone()).as_deref(), Some("boss@c.test"));
        assert_eq!(told(false, Claim::EmailVerified, stranger).as_deref(), Some("false"));
    }

    #[test]
    fn a_value_over_the_limit_is_left_out_whole() {
        let groups = |count: usize| Profile { groups: vec!["abc".into(); count], ..Profile::default() };
        assert_eq!(told(false, Claim::Groups, groups(1024)).map(|value| value.len()), Some(4095));
        assert_eq!(told(false, Claim::Groups, groups(1025)), None);
    }

    #[test]
    fn a_name_cannot_add_a_line_or_a_group() {
        let name = "x\r\nX-Forwarded-Groups: admin";
        let value = told(false, Claim::Name, Profile { name: Some(name.into()), ..Profile::default() }).unwrap();
        assert_eq!(value, "x%0D%0AX-Forwarded-Groups:%20admin");
        let value =
            told(false, Claim::Groups, Profile { groups: vec!["a,admin".into()], ..Profile::default() }).unwrap();
        assert_eq!(value.split(',').count(), 1);
    }

    #[test]
    fn presets_go_by_their_names() {
        for (name, preset) in Preset::ALL {
            assert_eq!(Preset::named(name), Some(preset));
            assert_eq!(preset.headers().first().map(|(_, claim)| *claim), Some(Claim::Sub), "{name}");
        }
        assert_eq!(Preset::named("X-Forwarded"), None);
    }

    proptest! {
        #[test]
        fn any_text_comes_back_by_decoding(text in "\\PC{1,40}|[\\x00-\\x20%,]{1,9}") {
            let value = told(false, Claim::Name, Profile { name: Some(text.clone()), ..Profile::default() }).unwrap();
            prop_assert!(value.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(percent_decode_str(&value).decode_utf8().unwrap(), text.as_str());
        }

        #[test]
        fn any_groups_come_back_by_splitting_and_decoding(groups in prop::collection::vec("[^\\x00]{1,9}", 1..5)) {
            let value = told(false, Claim::Groups, Profile { groups: groups.clone(), ..Profile::default() }).unwrap();
            let back: Vec<String> = value.split(',').map(|one| percent_decode_str(one).decode_utf8().unwrap().into_owned()).collect();
            prop_assert_eq!(back, groups);
        }
    }
}
