//! TLS: who does not prove itself is not spoken to, on either side.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::{redis_server::free_address, *};
use crate::{secret::Secret, store::ChangeStore as _};

/// A server that asks for certificates, and what others signed.
struct Scene {
    server: RedisServer,
    port: u16,
    authorities: Vec<u8>,
    own: (Vec<u8>, Secret),
}

impl Scene {
    fn set() -> Self {
        crate::listener::tls::install_crypto_provider();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let signed = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let ((certificate, key), (own, own_key)) = (signed("127.0.0.1"), signed("gateway"));
        let port = free_address().port();
        let server = RedisServer::start_with(|directory| {
            let file = |name: &str, content: &str| {
                let path = directory.join(name);
                std::fs::write(&path, content).unwrap();
                path.display().to_string()
            };
            let authorities = file("ca.pem", &issuer.pem());
            let (certificate, key) = (file("cert.pem", &certificate), file("key.pem", &key));
            let port = port.to_string();
            let arguments = ["--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
            let arguments = arguments.into_iter().chain(["--tls-ca-cert-file", &authorities]);
            arguments.map(str::to_owned).collect()
        });
        Self { server, port, authorities: issuer.pem().into(), own: (own.into(), Secret::new(own_key)) }
    }

    async fn open(&self, certificates: Option<Certificates>) -> Result<RedisStore, OpenError> {
        let address = Address::parse(&format!("rediss://127.0.0.1:{}", self.port)).unwrap();
        let address = match certificates {
            Some(certificates) => address.with(certificates).unwrap(),
            None => address,
        };
        let settings = Settings { address, ..settings(self.server.address) };
        RedisStore::open(&settings, contract::clock(), Arc::default()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_prove_themselves_by_certificates() {
    let scene = Scene::set();
    let (authorities, own) = (Some(scene.authorities.clone()), Some(scene.own.clone()));
    let store = scene.open(Some(Certificates { authorities: authorities.clone(), own: own.clone() })).await.unwrap();
    store.ping().await.unwrap();

    let of_system = scene.open(None).await.map(drop).unwrap_err();
    assert_eq!(of_system.exit_code(), 69, "the system does not know who signed it: {of_system}");
    let unknown = scene.open(Some(Certificates { authorities, own: None })).await.map(drop).unwrap_err();
    assert_eq!(unknown.exit_code(), 69, "it wants to know us: {unknown}");
    let others = Certificates { authorities: Some(Scene::set().authorities), own };
    assert!(scene.open(Some(others)).await.is_err(), "somebody else signed it");
}

#[test]
fn certificates_are_for_tls_and_must_be_some() {
    let with = |url: &str, pem: &str| {
        let certificates = Certificates { authorities: Some(pem.into()), own: None };
        Address::parse(url).unwrap().with(certificates).map(drop).unwrap_err()
    };
    assert!(with("redis://a", "").contains("`rediss://` is wanted"));
    let broken = with("rediss://a", "-----BEGIN CERTIFICATE-----\nCANARY\n-----END CERTIFICATE-----\n");
    assert!(!broken.contains("CANARY"), "{broken}");
}
