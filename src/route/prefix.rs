//! A path by whole segments, as a pattern.

use percent_encoding::percent_decode_str;

/// Whether small and capital ASCII letters are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    Exact,
    Folded,
}

/// Whether escapes of a pattern stand as written or decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    Kept,
    Decoded,
}

/// The beginning of a path, ending where a segment ends; without a trailing slash.
#[derive(Clone, Debug)]
pub(super) struct Prefix {
    plain: Box<[u8]>,
    decoded: Box<[u8]>,
}

impl Prefix {
    pub(super) fn new(path: &str) -> Self {
        let path = path.trim_end_matches('/');
        Self { plain: path.as_bytes().into(), decoded: percent_decode_str(path).collect() }
    }

    /// Has capitals, which an upstream may fold, or escapes, which it may decode.
    pub(super) fn is_odd(&self) -> bool {
        self.plain != self.decoded || self.plain.iter().any(u8::is_ascii_uppercase)
    }

    /// Whether `path` is at or beneath it, as written.
    pub(super) fn is_over(&self, path: &str) -> bool {
        self.covers(path.as_bytes(), Letters::Exact, Escapes::Kept)
    }

    /// Whether `path` is at or beneath what an upstream makes of it.
    pub(super) fn covers(&self, path: &[u8], letters: Letters, escapes: Escapes) -> bool {
        let prefix = match escapes {
            Escapes::Kept => &self.plain,
            Escapes::Decoded => &self.decoded,
        };
        let Some((start, rest)) = path.split_at_checked(prefix.len()) else { return false };
        let same = match letters {
            Letters::Exact => *start == **prefix,
            Letters::Folded => start.eq_ignore_ascii_case(prefix),
        };
        same && matches!(rest, [] | [b'/', ..])
    }
}
