//! The paths that an upstream may read in one path.
//!
//! Servers and frameworks differ in what they do before they match: decode (`%2F` and `%5C` to a slash included),
//! drop `;parameters`, merge slashes, take `\` for `/`, and each in an order of its own. The readings are everything
//! that these steps can lead to in any order. Two more steps need no paths of their own: letters are folded when
//! patterns are compared ([`Letters`](super::prefix::Letters)), and a slash added at the end changes nothing, since
//! patterns go by whole segments.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// More readings than any honest path has.
const MOST: usize = 32;

/// One reading of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading<'a> {
    pub(super) path: Cow<'a, [u8]>,
    /// Decoding was among the steps: to be compared with patterns that are decoded too.
    pub(super) decoded: bool,
}

/// Takes a step, where it leads to something else.
type Step = fn(&[u8]) -> Option<Vec<u8>>;

const STEPS: [Step; 3] = [without_parameters, with_slashes, with_slashes_merged];

/// Whether `path` has another reading than itself, capitals included.
pub(super) fn has_several(path: &str) -> bool {
    path.contains("//") || path.bytes().any(|byte| matches!(byte, b';' | b'%' | b'\\' | b'A'..=b'Z'))
}

/// All readings of `path`, itself first. `None` when there are more than any honest path has, or when dot segments
/// come out of it.
pub(super) fn of(path: &str) -> Option<Vec<Reading<'_>>> {
    let mut readings = vec![Reading { path: Cow::Borrowed(path.as_bytes()), decoded: false }];
    let mut next = 0;
    while let Some(Reading { path, decoded: was_decoded }) = readings.get(next) {
        if has_dot_segment(path) || readings.len() > MOST {
            return None;
        }
        let others = STEPS.iter().filter_map(|step| Some((step(path)?, *was_decoded)));
        let others: Vec<_> = others.chain(decoded(path).map(|path| (path, true))).collect();
        for (path, decoded) in others {
            let other = Reading { path: Cow::Owned(path), decoded };
            if !readings.contains(&other) {
                readings.push(other);
            }
        }
        next += 1;
    }
    Some(readings)
}

fn decoded(path: &[u8]) -> Option<Vec<u8>> {
    match percent_decode(path).into() {
        Cow::Owned(decoded) => Some(decoded),
        Cow::Borrowed(_) => None,
    }
}

fn without_parameters(path: &[u8]) -> Option<Vec<u8>> {
    if !path.contains(&b';') {
        return None;
    }
    let segments: Vec<&[u8]> = path
        .split(|byte| *byte == b'/')
        .map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default())
        .collect();
    Some(segments.join(&b'/'))
}

fn with_slashes(path: &[u8]) -> Option<Vec<u8>> {
    let slash = |byte: &u8| if *byte == b'\\' { b'/' } else { *byte };
    path.contains(&b'\\').then(|| path.iter().map(slash).collect())
}

fn with_slashes_merged(path: &[u8]) -> Option<Vec<u8>> {
    if !path.windows(2).any(|pair| pair == b"//") {
        return None;
    }
    let mut merged = path.to_vec();
    merged.dedup_by(|a, b| *a == b'/' && *b == b'/');
    Some(merged)
}

fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| matches!(segment, b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(path: &str) -> Vec<String> {
        let readings = of(path).expect("not too many");
        readings.iter().map(|reading| String::from_utf8_lossy(&reading.path).into_owned()).collect()
    }

    #[test]
    fn a_plain_path_has_one_reading_which_is_borrowed() {
        assert!(!has_several("/a/b.c/d-e_f~1"));
        assert!(matches!(of("/a/b").as_deref(), Some([Reading { path: Cow::Borrowed(b"/a/b"), decoded: false }])));
    }

    #[test]
    fn steps_are_taken_in_every_order() {
        let found = readings("/a;x%2Fb//c");
        for reading in ["/a;x%2Fb//c", "/a//c", "/a/c", "/a;x/b//c", "/a/b//c", "/a/b/c", "/a;x/b/c", "/a;x%2Fb/c"] {
            assert!(found.iter().any(|one| one == reading), "{reading} in {found:?}");
        }
        assert!(readings("/a%5Cb").contains(&"/a/b".to_owned()));
        assert!(readings("/a%255Cb").contains(&"/a/b".to_owned()), "decoded twice");
        assert!(readings("/a%3Bx/b").contains(&"/a/b".to_owned()), "decoded, then dropped");
    }

    #[test]
    fn dot_segments_that_come_out_are_refused() {
        for path in ["/a%2F..%2Fb", "/a/..;x", "/a/%252E%252E/b", "/a%5C..", "/.;x/b"] {
            assert!(of(path).is_none(), "{path}");
        }
    }

    #[test]
    fn the_number_of_readings_is_bounded() {
        assert!(of(&format!("/{}41", "%25".repeat(500))).is_some(), "one decoding leaves nothing to decode");
        let nested = (0..60).fold("%41".to_owned(), |path, _| path.replace('%', "%25"));
        assert!(of(&format!("/{nested}")).is_none());
    }
}
