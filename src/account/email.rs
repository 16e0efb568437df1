//! Email addresses: Django's syntax, and the canonical form for uniqueness and sign-in.

use std::net::{Ipv4Addr, Ipv6Addr};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Most code points of an address that is taken at sign-up (RFC 5321 section 4.5.3.1.3, less the brackets).
pub const MAX_LENGTH: usize = 254;

/// Most code points that are looked at.
const MAX_READ: usize = 320;

/// The canonical form: ASCII-lowered local part, A-label domain (UTS #46, non-transitional). `None` when it is
/// no address. Outer spaces are part of what is judged: callers trim.
///
/// Two addresses of one canonical form are one person, so nothing is folded beyond ASCII in the local part,
/// where a fold that a mail server does not share would hand one person's account to another.
pub fn key(address: &str) -> Option<String> {
    if address.chars().nth(MAX_READ).is_some() {
        return None;
    }
    // A quoted local part may have an `@` of its own.
    let (local, domain) = address.rsplit_once('@')?;
    if !is_dot_atom(local) && !is_quoted(local) {
        return None;
    }
    let domain = literal(domain).or_else(|| name(domain))?;
    Some(format!("{}@{domain}", local.to_ascii_lowercase()))
}

/// RFC 5322 section 3.2.3.
fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| {
        !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    })
}

/// RFC 5321 section 4.1.2, without unquoted spaces. Django takes control characters too; no mail server does,
/// and some part behind us would fall over them.
fn is_quoted(local: &str) -> bool {
    let Some(inner) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return false;
    };
    let mut bytes = inner.bytes();
    while let Some(byte) = bytes.next() {
        let holds = match byte {
            b'\\' => matches!(bytes.next(), Some(b' '..=b'~')),
            b'"' => false,
            other => other.is_ascii_graphic(),
        };
        if !holds {
            return false;
        }
    }
    true
}

/// An IP address in brackets, in its one canonical spelling.
fn literal(domain: &str) -> Option<String> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    let v4 = || inner.parse::<Ipv4Addr>().ok().map(|ip| format!("[{ip}]"));
    let v6 = || inner.parse::<Ipv6Addr>().ok().map(|ip| format!("[{ip}]"));
    v4().or_else(v6)
}

/// A domain name of two labels or more, or `localhost`, as A-labels.
fn name(domain: &str) -> Option<String> {
    let name = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow, DnsLength::Verify)
        .ok()?
        .into_owned();
    if name == "localhost" {
        return Some(name);
    }
    let (_, top) = name.rsplit_once('.')?;
    let holds = top.len() >= 2 && name.split('.').all(|label| !label.starts_with('-') && !label.ends_with('-'));
    holds.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_their_canonical_forms() {
        let domain_of_253 = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
        for (address, canonical) in [
            ("ann@example.com", "ann@example.com"),
            ("Ann@EXAMPLE.Com", "ann@example.com"),
            ("a@b.cd", "a@b.cd"),
            ("ann.b+tag@mail.example.co.uk", "ann.b+tag@mail.example.co.uk"),
            ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"),
            ("-@example.com", "-@example.com"),
            ("1@example.com", "1@example.com"),
            ("ann@localhost", "ann@localhost"),
            ("ann@LOCALHOST", "ann@localhost"),
            ("ann@1example.com", "ann@1example.com"),
            ("ann@a--b.example.com", "ann@a--b.example.com"),
            ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
            // IDN domains: one person in U-labels, A-labels, either case, composed or not, fullwidth or not.
            ("ann@bücher.example", "ann@xn--bcher-kva.example"),
            ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
            ("ann@bu\u{308}cher.example", "ann@xn--bcher-kva.example"),
            ("ann@bücher。example", "ann@xn--bcher-kva.example"),
            ("ann@ｅｘａｍｐｌｅ.com", "ann@example.com"),
            ("ann@straße.example", "ann@xn--strae-oqa.example"),
            ("ann@例え.テスト", "ann@xn--r8jz45g.xn--zckzah"),
            // Literals.
            ("ann@[127.0.0.1]", "ann@[127.0.0.1]"),
            ("ann@[::1]", "ann@[::1]"),
            ("ann@[2001:DB8:0:0::0001]", "ann@[2001:db8::1]"),
            ("ann@[::ffff:127.0.0.1]", "ann@[::ffff:127.0.0.1]"),
            // Quoted local parts.
            (r#""ann"@example.com"#, r#""ann"@example.com"#),
            (r#""Ann@Home"@example.com"#, r#""ann@home"@example.com"#),
            (r#""ann\ b\"c\\"@example.com"#, r#""ann\ b\"c\\"@example.com"#),
            (r#"""@example.com"#, r#"""@example.com"#),
            (&format!("a@{domain_of_253}"), &format!("a@{domain_of_253}")),
        ] {
            assert_eq!(key(address).as_deref(), Some(canonical), "{address}");
        }
    }

    #[test]
    fn what_is_no_address() {
        for address in [
            "",
            "@",
            "ann",
            "ann@",
            "@example.com",
            "a@b",
            "ann@example.c",
            "ann@example",
            ".ann@example.com",
            "ann.@example.com",
            "an..n@example.com",
            "ann@.example.com",
            "ann@example..com",
            "ann@example.com.",
            "ann@-example.com",
            "ann@example-.com",
            "ann@example.-om",
            "ann@exa_mple.com",
            "ann@exa mple.com",
            "ann@example.com ",
            " ann@example.com",
            "an n@example.com",
            "ann@home@example.com",
            "ann,bob@example.com",
            "<ann@example.com>",
            "ann@example.com\n",
            "ann\r\nBcc: bob@example.com",
            "ann\0@example.com",
            "ann@exam\0ple.com",
            "zoë@example.com",
            // Letters that lower-case to ASCII: K (Kelvin) and long s. Folding them would take over `kim@`.
            "\u{212a}im@example.com",
            "\u{17f}am@example.com",
            "ann@xn--zz.example",
            "ann@bücher",
            "ann@[127.0.0.1",
            "ann@127.0.0.1]",
            "ann@[127.0.0.256]",
            "ann@[127.0.0.01]",
            "ann@[::g]",
            "ann@[fe80::1%eth0]",
            "ann@[example.com]",
            "ann@[]",
            r#""ann@example.com"#,
            r#"ann"@example.com"#,
            r#""an n"@example.com"#,
            r#""an"n"@example.com"#,
            r#""ann\"@example.com"#,
            "\"an\tn\"@example.com",
            "\"an\\\u{7}n\"@example.com",
            &format!("a@{}.com", "a".repeat(64)),
            &format!("a@{}.com", "a.".repeat(140)),
            &format!("{}@example.com", "a".repeat(400)),
        ] {
            assert_eq!(key(address), None, "{address:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_canonical_form_is_its_own(address in "[a-zA-Z0-9.\"+\\\\@]{0,12}@[a-zA-Z0-9.ßüÜ例。\\[\\]:-]{1,20}") {
            if let Some(canonical) = key(&address) {
                assert_eq!(key(&canonical), Some(canonical));
            }
        }

        #[test]
        fn no_text_makes_it_panic(address in "\\PC*", local in "\\PC*", domain in "\\PC*") {
            key(&address);
            key(&format!("{local}@{domain}"));
            key(&format!("a@{domain}.com"));
            key(&format!("\"{local}\"@[{domain}]"));
        }
    }
}
