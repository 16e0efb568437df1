//! Tokens: those of the gateway, signed with its own keys, the same ones under RS256 for HAProxy, and broken ones.

use std::{fs, path::Path, sync::Arc, time::Duration};

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use passgate::{
    app::Opened,
    clock::{Clock, Timestamp},
    config::Settings,
    model::{Account, AccountId, ClientId, Epoch, Scope, SessionId},
    session::Rules,
    store::{NewSession, SessionStart},
    token::{Claims, KeyRing},
};

/// Tokens hold for longer than the bench takes.
const LIFETIME: Duration = Duration::from_hours(12);

/// Signs as the gateway does.
pub struct Mint {
    keys: KeyRing,
    rules: Rules,
}

impl Mint {
    /// With the keys of an open store, in which it makes the first one.
    pub async fn open(opened: &Opened, settings: &Settings) -> Self {
        let now = Clock::system().now();
        let ring = KeyRing::open(
            Arc::clone(&opened.store),
            &opened.masters,
            opened.deployment_id,
            settings.tokens.clone(),
            now,
        );
        Self { keys: ring.await.unwrap(), rules: settings.sessions }
    }

    /// So many tokens, each of an account of its own.
    pub fn tokens(&self, count: usize) -> Vec<String> {
        let expires_at = Clock::system().now() + LIFETIME;
        (0..count).map(|n| self.token(account(n), expires_at)).collect()
    }

    /// One that held until an hour ago.
    pub fn expired(&self) -> String {
        self.token(account(0), Clock::system().now() - Duration::from_hours(1))
    }

    fn token(&self, account: Account, access_expires_at: Timestamp) -> String {
        let now = Clock::system().now();
        let new = NewSession {
            id: SessionId::from_bytes(*AccountId::generate().as_bytes()),
            client: ClientId::from("web"),
            scope: Scope::parse("read write").unwrap(),
            user_agent: String::new(),
            source: None,
            rules: self.rules,
        };
        let start = SessionStart { session: new.begin(account.id, now), account, now, access_expires_at };
        self.keys.sign(&Claims::of(&start, self.keys.settings()), now).unwrap()
    }
}

/// Somebody of whom the upstream can be told something.
pub fn account(n: usize) -> Account {
    Account {
        id: AccountId::generate(),
        email: Some(format!("ada.lovelace{n}@example.org")),
        email_verified: true,
        username: format!("ada{n}"),
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
        groups: vec!["editors".to_owned(), "analysts".to_owned()],
        staff: false,
        active: true,
        external_id: Some(n.to_string()),
        epoch: Epoch::default(),
        created_at: Clock::system().now(),
    }
}

/// The same token with a signature that is none.
pub fn with_bad_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (first, rest) = signature.split_at(1);
    format!("{signed}.{}{rest}", if first == "A" { "B" } else { "A" })
}

/// The same token under a key that nobody has.
pub fn with_unknown_key(token: &str) -> String {
    let (header, rest) = token.split_once('.').unwrap();
    let mut header: serde_json::Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let kid = header["kid"].as_str().unwrap().chars().rev().collect::<String>();
    header["kid"] = kid.into();
    format!("{}.{rest}", BASE64_URL_SAFE_NO_PAD.encode(header.to_string()))
}

/// A key of 2048 bits for RS256.
pub struct Rs256(RsaKeyPair);

impl Rs256 {
    pub fn generate() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// The public key, PEM.
    pub fn write_public_key(&self, file: &Path) {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().unwrap();
        let lines = BASE64_STANDARD.encode(der.as_ref());
        let lines: Vec<_> = lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
        fs::write(file, pem).unwrap();
    }

    /// The claims of the token, signed anew.
    pub fn sign(&self, token: &str) -> String {
        let claims = token.split('.').nth(1).unwrap();
        let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"at+jwt","kid":"rsa"}"#);
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}
