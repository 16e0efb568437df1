//! The canonical path: hex digits in upper case, unreserved octets decoded, nothing else changed (RFC 3986
//! sections 6.2.2.1 and 6.2.2.2).

use super::Refusal;

const NO_SLASH: Refusal = Refusal::bad_request("path", "The request target must begin with a slash.");
const BACKSLASH: Refusal = Refusal::bad_request("path", "The path has a backslash.");
const NOT_ASCII: Refusal = Refusal::bad_request("path", "Characters outside ASCII must be percent-encoded.");
const CONTROL: Refusal = Refusal::bad_request("path", "The path has a control character.");
const MALFORMED: Refusal =
    Refusal::bad_request("path", "A percent sign in the path must be followed by two hex digits.");
const DOT_SEGMENT: Refusal = Refusal::bad_request("path", "The path has a dot segment.");

/// The one form of `path` that is judged and forwarded; applied to its own result, it changes nothing.
///
/// # Errors
///
/// Paths that no honest client sends and upstreams read in different ways: not beginning with a slash, raw
/// backslashes, control characters raw or encoded, malformed percent-encoding, raw non-ASCII, and segments that
/// are `.` or `..` (with or without `;parameters`) after any number of decodings.
pub fn canonical(path: &[u8]) -> Result<String, Refusal> {
    if path.first() != Some(&b'/') {
        return Err(NO_SLASH);
    }
    let mut canonical = String::with_capacity(path.len());
    let mut bytes = path.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let octet = bytes.next().zip(bytes.next()).and_then(|(high, low)| octet(high, low)).ok_or(MALFORMED)?;
                push_octet(&mut canonical, octet)?;
            }
            b'\\' => return Err(BACKSLASH),
            0..=b' ' | 0x7F => return Err(CONTROL),
            b'?' | b'#' => return Err(Refusal::bad_request("path", "The path has a delimiter that ends it.")),
            0x80.. => return Err(NOT_ASCII),
            _ => canonical.push(char::from(byte)),
        }
    }
    if has_dot_segment(&canonical) {
        return Err(DOT_SEGMENT);
    }
    Ok(canonical)
}

fn push_octet(canonical: &mut String, octet: u8) -> Result<(), Refusal> {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    match octet {
        0..=0x1F | 0x7F => return Err(CONTROL),
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => canonical.push(char::from(octet)),
        _ => {
            canonical.push('%');
            canonical.extend([octet >> 4, octet & 0xF].iter().filter_map(|digit| HEX.get(usize::from(*digit))));
        }
    }
    Ok(())
}

/// Whether some reader could find a dot segment: after decoding as often as it likes, splitting at `/` and `\` and
/// dropping `;parameters`; or by taking an overlong UTF-8 form for the dot or slash it stands for.
fn has_dot_segment(path: &str) -> bool {
    if !path.contains(['.', '%']) {
        return false;
    }
    if !path.contains('%') {
        return is_dotted(path.as_bytes());
    }
    let decoded = fully_decoded(path.as_bytes());
    is_dotted(&decoded) || has_overlong(&decoded)
}

fn is_dotted(path: &[u8]) -> bool {
    path.split(|byte| matches!(byte, b'/' | b'\\'))
        .any(|segment| matches!(segment.split(|byte| *byte == b';').next(), Some(b"." | b"..")))
}

/// UTF-8 sequences longer than they need to be (RFC 3629 section 3), which lenient decoders take for ASCII.
fn has_overlong(text: &[u8]) -> bool {
    text.windows(2).any(|pair| matches!(pair, [0xC0 | 0xC1, 0x80..=0xBF] | [0xE0, 0x80..=0x9F] | [0xF0, 0x80..=0x8F]))
}

/// What remains when percent-decoding is repeated until nothing is left to decode, in one pass: an escape can
/// only be completed by the last byte written.
fn fully_decoded(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    for byte in path {
        decoded.push(*byte);
        while let [rest @ .., b'%', high, low] = decoded.as_slice() {
            let Some(octet) = octet(*high, *low) else { break };
            let length = rest.len();
            decoded.truncate(length);
            decoded.push(octet);
        }
    }
    decoded
}

fn octet(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_form_for_all_spellings_of_a_path() {
        for (sent, expected) in [
            ("/", "/"),
            ("/a/b.html", "/a/b.html"),
            ("/%61%2D%7e/%5f", "/a-~/_"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%2fb%2Fc", "/a%2Fb%2Fc"),
            ("/a%5cb", "/a%5Cb"),
            ("/a;v=1/b//c", "/a;v=1/b//c"),
            ("/a%20b%25%3b", "/a%20b%25%3B"),
            ("/%25%34%31", "/%2541"),
            ("/a.b/...", "/a.b/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/b..", "/a/b.."),
            ("/a|b^c`{d}", "/a|b^c`{d}"),
            ("/100%2525", "/100%2525"),
        ] {
            assert_eq!(canonical(sent.as_bytes()).as_deref(), Ok(expected), "{sent}");
        }
    }

    #[test]
    fn dot_segments_are_refused_however_they_are_written() {
        for path in [
            "/..",
            "/.",
            "/../a",
            "/a/../b",
            "/a/./b",
            "/a/..",
            "/a/.",
            "/%2e%2e/a",
            "/.%2E/a",
            "/%2e./a",
            "/%2e/a",
            "/%252e%252e/a",
            "/%25252e%25252e/a",
            "/%252525252e./a",
            "/%25%32%65%25%32%65/a",
            "/..;/a",
            "/..;x=1/a",
            "/.;/a",
            "/%2e%2e;/a",
            "/..%3b/a",
            "/..%253bx/a",
            "/a/..;",
            "/a%2f..%2fb",
            "/a%2f%2e%2e",
            "/a%5c..%5cb",
            "/a/..%5cb",
            "/a/..%2fb",
            "/a%252f..%252fb",
            "/a/..%255cb",
            "/%c0%ae%c0%ae/a",
            "/..%c0%afa",
            "/%e0%80%ae./a",
            "/%f0%80%80%ae./a",
            "/..%c1%9ca",
            "/%25c0%25ae./a",
        ] {
            assert_eq!(canonical(path.as_bytes()), Err(DOT_SEGMENT), "{path}");
        }
    }

    #[test]
    fn characters_that_no_path_has_are_refused() {
        for (path, refusal) in [
            (&b"/a\\..\\b"[..], BACKSLASH),
            (b"/a%00", CONTROL),
            (b"/a%0d%0aX: y", CONTROL),
            (b"/a%1F", CONTROL),
            (b"/a%7f", CONTROL),
            (b"/a\tb", CONTROL),
            (b"/a b", CONTROL),
            (b"/a\x7f", CONTROL),
            (b"/%", MALFORMED),
            (b"/%4", MALFORMED),
            (b"/%zz", MALFORMED),
            (b"/%u002e%u002e/", MALFORMED),
            (b"/%%34%31", MALFORMED),
            (b"/%+1", MALFORMED),
            ("/é".as_bytes(), NOT_ASCII),
            (b"/\xff", NOT_ASCII),
            (b"", NO_SLASH),
            (b"admin", NO_SLASH),
            (b"*", NO_SLASH),
            (b"?x=1", NO_SLASH),
        ] {
            assert_eq!(canonical(path), Err(refusal), "{}", path.escape_ascii());
        }
    }

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("%2e"),
            Just("%2E"),
            Just("%25"),
            Just("%"),
            Just("2e"),
            Just("2f"),
            Just("%2f"),
            Just("%5c"),
            Just("."),
            Just("/"),
            Just(";"),
            Just("a"),
            Just("%3b"),
            Just("%C3%A9"),
            Just("Z"),
            Just("5c"),
            Just("%c0%ae"),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| format!("/{}", pieces.concat()).into_bytes())
    }

    proptest! {
        #[test]
        fn canonicalisation_is_idempotent_and_keeps_the_meaning(path in pieces()) {
            if let Ok(once) = canonical(&path) {
                prop_assert_eq!(canonical(once.as_bytes()), Ok(once.clone()));
                prop_assert_eq!(
                    percent_decode(once.as_bytes()).collect::<Vec<_>>(),
                    percent_decode(&path).collect::<Vec<_>>()
                );
            }
        }

        #[test]
        fn what_is_forwarded_has_no_dot_segment_at_any_depth_of_decoding(path in pieces()) {
            if let Ok(once) = canonical(&path) {
                let mut reading = once.into_bytes();
                for depth in 0..=3 {
                    for segment in reading.split(|b| matches!(b, b'/' | b'\\')) {
                        let name = segment.split(|b| *b == b';').next().unwrap_or_default();
                        prop_assert!(name != b"." && name != b"..", "depth {}: {}", depth, reading.escape_ascii());
                    }
                    reading = percent_decode(&reading).collect();
                }
            }
        }

        #[test]
        fn nothing_makes_it_panic(path in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = canonical(&path);
        }
    }
}
