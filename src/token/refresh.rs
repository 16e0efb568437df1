//! Refresh tokens: derived from a handle and a generation, never stored.
//!
//! `pgr_ ‖ base64url( version ‖ key id ‖ handle (16) ‖ n (u32) ‖ HMAC-SHA-256 )`
//!
//! The store keeps a hash of the handle, so that neither the database nor the master secret, nor both
//! together, can mint one.

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::sha256;
use crate::{
    master::{self, Each, Master, Masters, Purpose},
    model::SessionId,
    secret::Secret,
};

const PREFIX: &str = "pgr_";
const VERSION: u8 = 1;
/// Version, key id, handle, generation.
const BODY: usize = 1 + 1 + 16 + 4;
const MAC: usize = 32;
/// 54 bytes are 72 characters without a bit to spare, so that a token has one spelling.
const LENGTH: usize = PREFIX.len() + (BODY + MAC) / 3 * 4;

/// 16 random bytes that only the client and the request at hand know.
#[derive(Clone, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct Handle([u8; 16]);

impl Handle {
    /// A fresh one.
    pub fn generate() -> Self {
        Self(master::random())
    }

    /// SHA-256 of the handle, cut to 16 bytes.
    pub fn session_id(&self) -> SessionId {
        let mut id = [0; 16];
        id.iter_mut().zip(sha256(&self.0)).for_each(|(byte, hash)| *byte = hash);
        SessionId::from_bytes(id)
    }
}

/// Derives and checks refresh tokens.
pub struct RefreshTokens {
    keys: Each<Key>,
    deployment_id: [u8; 16],
}

struct Key {
    /// See [`Master::key_id`].
    id: u8,
    mac: hmac::Key,
}

impl Key {
    fn of(master: &Master) -> Self {
        let mac = hmac::Key::new(hmac::HMAC_SHA256, &*master.derive(Purpose::RefreshToken));
        Self { id: master.key_id(), mac }
    }
}

impl RefreshTokens {
    /// For one deployment; tokens are derived under the master secret in force, and hold under any of them.
    pub fn new(masters: &Masters, deployment_id: [u8; 16]) -> Self {
        Self { keys: masters.each(Key::of), deployment_id }
    }

    /// The token of `generation` of the session of `handle`.
    pub fn derive(&self, handle: &Handle, generation: u32) -> Secret {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BODY + MAC));
        let key = self.keys.in_force();
        bytes.extend_from_slice(&[VERSION, key.id]);
        bytes.extend_from_slice(&handle.0);
        bytes.extend_from_slice(&generation.to_be_bytes());
        let mac = self.mac(key, &bytes);
        bytes.extend_from_slice(&mac);
        let mut token = String::with_capacity(LENGTH);
        token.push_str(PREFIX);
        BASE64_URL_SAFE_NO_PAD.encode_string(&*bytes, &mut token);
        Secret::new(token)
    }

    /// Checks form and MAC, before any look-up.
    pub fn verify(&self, token: &str) -> Option<(Handle, u32)> {
        if token.len() != LENGTH {
            return None;
        }
        let mut bytes = Zeroizing::new([0; BODY + MAC]);
        let decoded = BASE64_URL_SAFE_NO_PAD.decode_slice(token.strip_prefix(PREFIX)?, &mut *bytes).ok()?;
        if decoded != bytes.len() {
            return None;
        }
        let (body, mac) = bytes.split_first_chunk::<BODY>()?;
        let ([version, key_id], rest) = body.split_first_chunk()?;
        let fits = |key: &Key| constant_time::verify_slices_are_equal(&self.mac(key, body), mac).is_ok();
        // Two secrets may come to have the same id.
        if *version != VERSION || !self.keys.iter().any(|key| key.id == *key_id && fits(key)) {
            return None;
        }
        let (handle, generation) = rest.split_first_chunk()?;
        Some((Handle(*handle), u32::from_be_bytes(generation.try_into().ok()?)))
    }

    fn mac(&self, key: &Key, body: &[u8]) -> [u8; MAC] {
        master::mac(&key.mac, &[b"refresh-v1", &self.deployment_id, body])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens() -> RefreshTokens {
        RefreshTokens::new(&old().into(), [7; 16])
    }

    fn old() -> Master {
        Master::new(&Secret::from("0123456789abcdef0123456789abcdef")).unwrap()
    }

    fn new() -> Master {
        Master::new(&Secret::from("another secret of thirty-two bytes")).unwrap()
    }

    #[test]
    fn a_derived_token_says_its_handle_and_generation() {
        let handle = Handle::generate();
        let token = tokens().derive(&handle, 41);
        let (found, generation) = tokens().verify(token.expose()).unwrap();
        assert_eq!((found.0, generation), (handle.0, 41));
        assert_eq!(found.session_id(), handle.session_id());
        assert_eq!(token.expose().len(), LENGTH);
        assert!(token.expose().starts_with("pgr_"));
    }

    #[test]
    fn the_layout_is_the_one_that_is_documented() {
        let token = tokens().derive(&Handle([9; 16]), 0x0102_0304);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token.expose()[4..]).unwrap();
        assert_eq!(bytes[0], 1);
        assert_eq!(bytes[1], old().key_id());
        assert_eq!(bytes[2..18], [9; 16]);
        assert_eq!(bytes[18..22], [1, 2, 3, 4]);
        let message = [&b"refresh-v1"[..], &[7; 16], &bytes[..22]].concat();
        assert!(hmac::verify(&tokens().keys.in_force().mac, &message, &bytes[22..]).is_ok());
    }

    #[test]
    fn the_same_generation_is_the_same_token_and_each_other_is_another() {
        let (one, two) = (Handle::generate(), Handle::generate());
        let derive = |handle, n| tokens().derive(handle, n).expose().to_owned();
        assert_eq!(derive(&one, 5), derive(&one, 5));
        assert_ne!(derive(&one, 5), derive(&one, 6));
        assert_ne!(derive(&one, 5), derive(&two, 5));
    }

    #[test]
    fn the_session_id_does_not_show_the_handle() {
        let handle = Handle([1; 16]);
        assert_ne!(handle.session_id().as_bytes(), &handle.0);
        assert_eq!(handle.session_id().as_bytes(), &sha256(&[1; 16])[..16]);
    }

    #[test]
    fn another_master_or_another_deployment_refuses() {
        let token = tokens().derive(&Handle::generate(), 0);
        assert!(RefreshTokens::new(&new().into(), [7; 16]).verify(token.expose()).is_none());
        let elsewhere = RefreshTokens { deployment_id: [8; 16], ..tokens() };
        assert!(elsewhere.verify(token.expose()).is_none());
    }

    #[test]
    fn a_previous_master_verifies_and_the_one_in_force_derives() {
        use crate::store::Deployment;

        let masters = Masters::new(new(), vec![old()]);
        let both = RefreshTokens::new(&masters, [7; 16]);
        let handle = Handle::generate();
        let under = |master: Master| RefreshTokens::new(&master.into(), [7; 16]).derive(&handle, 3).expose().to_owned();
        for in_force in [old, new] {
            masters.follow(&Deployment { id: [7; 16], master_check: in_force().check(&[7; 16]) });
            assert_eq!(both.derive(&handle, 3).expose(), under(in_force()));
            for token in [under(old()), under(new())] {
                let (found, generation) = both.verify(&token).unwrap();
                assert_eq!((found.0, generation), (handle.0, 3));
            }
        }
    }

    #[test]
    fn a_version_or_key_id_we_do_not_know_is_refused_even_with_a_good_mac() {
        for body in [[2, old().key_id()], [1, old().key_id().wrapping_add(1)]] {
            let mut bytes = [0; BODY];
            bytes[..2].copy_from_slice(&body);
            let mac = tokens().mac(tokens().keys.in_force(), &bytes);
            let token = format!("pgr_{}", BASE64_URL_SAFE_NO_PAD.encode([&bytes[..], &mac].concat()));
            assert!(tokens().verify(&token).is_none());
        }
    }

    #[test]
    fn other_spellings_and_other_lengths_are_refused() {
        let good = tokens().derive(&Handle::generate(), 3).expose().to_owned();
        let bare = &good[4..];
        for bad in [
            String::new(),
            "pgr_".to_owned(),
            bare.to_owned(),
            format!("PGR_{bare}"),
            format!("pgr_{bare}="),
            format!("pgr_{bare}AAAA"),
            format!(" {good}"),
            format!("{good}\n"),
            format!("pgr_{}", &bare[..71]),
            format!("pgr_{}+", &bare[..71]),
            format!("pgr_{}=", &bare[..71]),
            format!("pgr_{}é", &bare[..70]),
            "A".repeat(LENGTH),
            "p".repeat(1 << 20),
        ] {
            assert!(tokens().verify(&bad).is_none(), "{bad:.100}");
        }
        assert!(tokens().verify(&good).is_some());
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_refused(handle: [u8; 16], generation: u32, bit in 0..(BODY + MAC) * 8) {
            let token = tokens().derive(&Handle(handle), generation);
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&token.expose()[4..]).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flipped = format!("pgr_{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
            prop_assert!(tokens().verify(&flipped).is_none());
        }

        #[test]
        fn any_other_character_anywhere_is_refused(at in 0..LENGTH, other in any::<char>()) {
            let token = tokens().derive(&Handle([3; 16]), 1).expose().to_owned();
            let changed: String =
                token.chars().enumerate().map(|(n, own)| if n == at { other } else { own }).collect();
            prop_assert_eq!(tokens().verify(&changed).is_some(), changed == token);
        }

        #[test]
        fn nothing_a_client_sends_panics(text in ".{0,100}") {
            prop_assert!(tokens().verify(&text).is_none());
        }
    }
}
