pub(crate) mod vectors;

use proptest::prelude::*;

use self::vectors::{ASCII, COMPOSED, DECOMPOSED, DEFAULTS, LONG, LONG_IN_BYTES, SCRIPTS, VECTORS};
use super::*;
use crate::password::{Hasher, Settings, Verified, check_imported};

fn hasher() -> Hasher {
    Hasher::new(Settings { memory_kib: 64, iterations: 1, parallelism: 1, max_concurrent: 1, queue: 4 }).unwrap()
}

async fn verify(hasher: &Hasher, password: &str, hash: &str) -> Verified {
    hasher.verify(Secret::from(password), Some(hash.to_owned())).await.unwrap()
}

/// Passwords, and hashes of theirs at costs for tests.
fn vectors() -> impl Iterator<Item = (&'static str, &'static str)> {
    VECTORS.iter().flat_map(|(password, hashes)| hashes.iter().map(|hash| (*password, *hash)))
}

fn of(algorithm: &str, password: &str) -> &'static str {
    let is_it = |(of, hash): &(&str, &str)| *of == password && hash.split('$').next() == Some(algorithm);
    vectors().find(is_it).unwrap().1
}

#[tokio::test]
async fn every_hash_of_django_verifies_and_is_outdated() {
    let hasher = hasher();
    let defaults = DEFAULTS.iter().map(|hash| (ASCII, *hash));
    for (password, hash) in vectors().chain(defaults) {
        assert_eq!(check_imported(hash), Ok(()), "{hash}");
        assert_eq!(verify(&hasher, password, hash).await, Verified::Outdated, "{hash}");
    }
}

#[tokio::test]
async fn no_hash_fits_another_password() {
    let hasher = hasher();
    for (password, hash) in vectors() {
        let others = [ASCII, COMPOSED, DECOMPOSED, SCRIPTS, LONG, LONG_IN_BYTES].into_iter();
        let others = others.filter(|other| *other != password).map(str::to_owned);
        let respelt = [format!(" {password}"), password.to_uppercase(), format!("x{password}")];
        for other in others.chain(respelt).chain([String::new()]) {
            assert_eq!(verify(&hasher, &other, hash).await, Verified::No, "{other:?} {hash}");
        }
    }
}

#[tokio::test]
async fn a_password_counts_as_it_was_typed() {
    let hasher = hasher();
    for algorithm in ["pbkdf2_sha256", "pbkdf2_sha1", "scrypt", "bcrypt_sha256", "bcrypt", "argon2"] {
        for (one, other) in [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)] {
            assert_eq!(verify(&hasher, one, of(algorithm, one)).await, Verified::Outdated, "{algorithm}");
            assert_eq!(verify(&hasher, other, of(algorithm, one)).await, Verified::No, "{algorithm}");
        }
        let padded = format!("{ASCII} ");
        assert_eq!(verify(&hasher, &padded, of(algorithm, ASCII)).await, Verified::No, "{algorithm}");
    }
}

#[tokio::test]
async fn bcrypt_counts_72_bytes_and_bcrypt_of_a_digest_all() {
    let hasher = hasher();
    let (beginning, rest) = LONG.split_at(72);
    for (password, found) in [
        (beginning.to_owned(), Verified::Outdated),
        (format!("{beginning}, and what not"), Verified::Outdated),
        (beginning[..71].to_owned(), Verified::No),
        (format!("{}x{rest}", &beginning[..71]), Verified::No),
    ] {
        assert_eq!(verify(&hasher, &password, of("bcrypt", LONG)).await, found, "{password}");
        assert_eq!(verify(&hasher, &password, of("bcrypt_sha256", LONG)).await, Verified::No, "{password}");
    }
    // 36 characters of two bytes each.
    let beginning: String = LONG_IN_BYTES.chars().take(36).collect();
    assert_eq!(verify(&hasher, &beginning, of("bcrypt", LONG_IN_BYTES)).await, Verified::Outdated);
}

/// bcrypt repeats its key with a NUL between; later versions of Django's library take the other secret as well.
#[tokio::test]
async fn a_nul_makes_no_other_password_of_a_bcrypt_hash() {
    let hasher = hasher();
    for algorithm in ["bcrypt", "bcrypt_sha256"] {
        for other in [format!("{ASCII}\0"), format!("{ASCII}\0{ASCII}"), format!("{ASCII}\0x"), "\0".to_owned()] {
            assert_eq!(verify(&hasher, &other, of(algorithm, ASCII)).await, Verified::No, "{algorithm} {other:?}");
        }
    }
}

#[tokio::test]
async fn an_imported_hash_costs_one_hash_and_leaves_no_memory_behind() {
    let hasher = hasher();
    for hash in ["pbkdf2_sha1", "scrypt", "bcrypt_sha256", "bcrypt"].map(|algorithm| of(algorithm, ASCII)) {
        for password in [ASCII, "another"] {
            let before = hasher.computed();
            verify(&hasher, password, hash).await;
            assert_eq!(hasher.computed() - before, 1, "{hash}");
        }
    }
    let [.., large] = DEFAULTS else { panic!("no hashes") };
    assert_eq!(verify(&hasher, ASCII, large).await, Verified::Outdated);
    assert_eq!(hasher.verify_client_secret(Secret::from(ASCII), large).await, Ok(Verified::Outdated));
    assert_eq!(hasher.computed(), 10);
    let kept = hasher.pool.run(|memory| memory.blocks(0).map(|blocks| blocks.len())).await.unwrap();
    assert_eq!(kept, Ok(64), "KiB, as today's settings say");
}

#[tokio::test]
async fn a_client_secret_of_any_length_is_verified_and_no_other_one() {
    let hasher = hasher();
    let verify =
        async |secret: &str, hash: &str| hasher.verify_client_secret(Secret::from(secret), hash).await.unwrap();
    for (secret, hash) in vectors() {
        assert_eq!(verify(secret, hash).await, Verified::Outdated, "{hash}");
        assert_eq!(verify(&format!("x{secret}"), hash).await, Verified::No, "{hash}");
    }
    // 200 characters, as Django hashed them.
    let long = "pbkdf2_sha256$1000$3yWvvaxEXjazwiEmB7oRCp$uE5LuLG+G094OOmBv/uWYe7k9lC50owsxRzsiUtinS0=";
    assert_eq!(verify(&"s3".repeat(100), long).await, Verified::Outdated);

    let before = hasher.computed();
    for (hash, why) in [("md5$salt$00", Unusable::Unknown), ("!", Unusable::NoPassword), ("", Unusable::Malformed)] {
        assert_eq!(verify(ASCII, hash).await, Verified::Unusable(why), "{hash}");
    }
    assert_eq!(hasher.computed(), before);
}

#[test]
fn what_cannot_be_verified_is_told_apart() {
    let unsalted = "5f4dcc3b5aa765d61d8327deb882cf99";
    let sha1 = "sha1$$5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8";
    for (hash, why) in [
        ("", Unusable::Malformed),
        (unsalted, Unusable::Malformed),
        ("!", Unusable::NoPassword),
        ("!idB1Wqgg0lgoBLEWJfWPQiQ5pQ8CBn8770RdlQ5x", Unusable::NoPassword),
        ("md5$P4IbBkr2TUZvasrMJI6cOR$a544986fae68f37f048c7f763eea6e90", Unusable::Unknown),
        (sha1, Unusable::Unknown),
        ("PBKDF2_SHA256$1000$salt$zzt9YDJgTX4saohLAuUDXSRSe3nFbstvGuWWDfiXdBQ=", Unusable::Unknown),
        ("pbkdf2_sha512$1000$salt$zzt9YDJgTX4saohLAuUDXSRSe3nFbstvGuWWDfiXdBQ=", Unusable::Unknown),
        // Our own kind comes from no import.
        ("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", Unusable::Unknown),
        (
            "argon2$argon2x$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            Unusable::Unknown,
        ),
        ("bcrypt$$2x$04$aZXPN9ZbJwW4wLTucWcpU.6o2toF6PkjDb7j9UqSBWuGgKhen6IQK", Unusable::Unknown),
    ] {
        assert_eq!(check_imported(hash), Err(why), "{hash}");
    }
}

#[test]
fn an_absurd_cost_is_refused_before_any_work() {
    let pbkdf2 = |iterations: &str| format!("pbkdf2_sha1${iterations}$salt$5yHwq1Ak64dJg1OIhbSSrZRmcCE=");
    let bcrypt = |cost: &str| format!("bcrypt$$2b${cost}$aZXPN9ZbJwW4wLTucWcpU.6o2toF6PkjDb7j9UqSBWuGgKhen6IQK");
    let scrypt = |n: &str, r: &str, p: &str| format!("scrypt${n}$salt${r}${p}${}A==", "A".repeat(85));
    let argon2 =
        |costs: &str| format!("argon2$argon2id$v=19${costs}$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4");
    for hash in [
        pbkdf2("10000000"),
        bcrypt("15"),
        scrypt("131072", "8", "1"),
        scrypt("131072", "8", "8"),
        argon2("m=262144,t=8,p=64"),
        argon2("m=1024,t=2048,p=1"),
    ] {
        assert_eq!(check_imported(&hash), Ok(()), "{hash}");
    }
    for hash in [
        pbkdf2("10000001"),
        pbkdf2("4294967295"),
        pbkdf2("4294967296"),
        pbkdf2("99999999999999999999999999"),
        bcrypt("16"),
        bcrypt("31"),
        bcrypt("99"),
        scrypt("131072", "8", "9"),
        scrypt("2", "1", "8388608"),
        // Little work, much memory.
        scrypt("262144", "8", "1"),
        scrypt("2", "2097152", "1"),
        scrypt("2", "1", "4194304"),
        scrypt("2147483648", "4294967295", "4294967295"),
        scrypt("18446744073709551616", "8", "1"),
        argon2("m=262145,t=1,p=1"),
        argon2("m=262144,t=9,p=1"),
        argon2("m=4294967295,t=4294967295,p=1"),
        argon2("m=1024,t=2049,p=1"),
        argon2("m=1024,t=1,p=65"),
    ] {
        assert_eq!(check_imported(&hash), Err(Unusable::Cost), "{hash}");
    }
}

#[test]
fn what_is_not_whole_is_malformed() {
    let hash32 = "zzt9YDJgTX4saohLAuUDXSRSe3nFbstvGuWWDfiXdBQ=";
    let bcrypt = "aZXPN9ZbJwW4wLTucWcpU.6o2toF6PkjDb7j9UqSBWuGgKhen6IQK";
    let hash64 = format!("{}A==", "A".repeat(85));
    for hash in [
        // A number is written in one way.
        format!("pbkdf2_sha256$$salt${hash32}"),
        format!("pbkdf2_sha256$0$salt${hash32}"),
        format!("pbkdf2_sha256$+1000$salt${hash32}"),
        format!("pbkdf2_sha256$01000$salt${hash32}"),
        format!("pbkdf2_sha256$-1$salt${hash32}"),
        format!("pbkdf2_sha256$1_000$salt${hash32}"),
        format!("pbkdf2_sha256$١٠٠٠$salt${hash32}"),
        // A part too few, one too many.
        "pbkdf2_sha256".to_owned(),
        "pbkdf2_sha256$1000$salt".to_owned(),
        format!("pbkdf2_sha256$1000$salt${hash32}$"),
        format!("pbkdf2_sha256$1000$sa$lt${hash32}"),
        // Twice as long would cost twice as much.
        format!("pbkdf2_sha256$1000$salt${hash64}"),
        format!("pbkdf2_sha1$1000$salt${hash32}"),
        "pbkdf2_sha256$1000$salt$".to_owned(),
        format!("pbkdf2_sha256$1000$salt${}", &hash32[..43]),
        format!("pbkdf2_sha256$1000${}${hash32}", "s".repeat(MAX_LENGTH)),
        format!("bcrypt$2b$04${bcrypt}"),
        format!("bcrypt$$2b$4${bcrypt}"),
        format!("bcrypt$$2b$03${bcrypt}"),
        format!("bcrypt$$2b$+4${bcrypt}"),
        format!("bcrypt$$2b$04${}", &bcrypt[1..]),
        format!("bcrypt$$2b$04${bcrypt}."),
        format!("bcrypt$$2b$04$é{}", &bcrypt[2..]),
        // One bit that is no part of the salt.
        format!("bcrypt$$2b$04${}", bcrypt.replacen("U.", "U/", 1)),
        format!("scrypt$1$salt$8$1${hash64}"),
        format!("scrypt$1000$salt$8$1${hash64}"),
        format!("scrypt$1024$salt$0$1${hash64}"),
        format!("scrypt$1024$salt$8$0${hash64}"),
        format!("scrypt$1024$salt$8$1${hash32}"),
        format!("scrypt$1024$8$1$salt${hash64}"),
        "argon2$".to_owned(),
        "argon2$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ".to_owned(),
        "argon2$argon2id$v=19$m=4,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4".to_owned(),
        "argon2$$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4".to_owned(),
    ] {
        assert_eq!(check_imported(&hash), Err(Unusable::Malformed), "{hash}");
    }
}

/// A hash of Django's at costs for tests, one place of which is something else.
fn damaged() -> impl Strategy<Value = String> {
    let hashes: Vec<&str> = VECTORS.iter().flat_map(|(_, hashes)| hashes.iter().copied()).collect();
    let piece = prop_oneof!["[0-9]{0,20}", "\\PC{0,6}", "[$=,/+.A-Za-z0-9]{0,4}"];
    (proptest::sample::select(hashes), any::<proptest::sample::Index>(), 0..4_usize, piece).prop_map(
        |(hash, at, length, piece)| {
            let characters: Vec<char> = hash.chars().collect();
            let at = at.index(characters.len());
            let end = characters.len().min(at + length);
            let [before, after] = [&characters[..at], &characters[end..]].map(|part| part.iter().collect::<String>());
            before + &piece + &after
        },
    )
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*", algorithm in "(pbkdf2_sha(1|256)|bcrypt(_sha256)?|scrypt|argon2)", rest in "[$0-9a-z=,]{0,60}") {
        let _ = check_imported(&text);
        let _ = check_imported(&format!("{algorithm}${rest}"));
    }

    #[test]
    fn a_damaged_hash_makes_nothing_panic_and_fits_nobody(hash in damaged()) {
        if let Ok(imported) = Imported::parse(&hash)
            && vectors().all(|(_, intact)| intact != hash)
            && is_cheap(&hash)
        {
            for (password, _) in VECTORS {
                let fits = imported.fits(&Secret::from(*password), &mut Memory::default());
                // The versions of bcrypt are the same.
                prop_assert!(fits == Ok(false) || hash.starts_with("bcrypt"), "{hash} {fits:?}");
            }
        }
    }
}

/// Whether its costs are about those of the hashes for tests.
fn is_cheap(hash: &str) -> bool {
    let costs = hash.split(['$', ',', '=']).filter_map(|part| part.parse::<u64>().ok());
    costs.fold(1, u64::saturating_mul) <= if hash.starts_with("bcrypt") { 8 } else { 100_000 }
}
