//! Canaries: words that are nowhere else, each of one place, and found in whatever coding.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// Where is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Log,
    Metrics,
    /// Answers that are no success, and what commands print.
    Answers,
    Store,
    /// Where a planted word has to be found.
    Control,
    /// What the store is to hold.
    Kept,
}

#[derive(Debug)]
struct Canary {
    planted: String,
    word: String,
    /// Where it must not be.
    not_in: &'static [Place],
}

/// One that was where it must not be, with what is around it.
#[derive(Debug)]
pub struct Found {
    pub planted: String,
    #[expect(dead_code, reason = "told by a test that fails")]
    pub at: String,
    #[expect(dead_code, reason = "told by a test that fails")]
    pub around: String,
}

/// All that were planted.
#[derive(Default)]
pub struct Canaries(Vec<Canary>);

/// What every planted word ends with.
const TAIL: &str = "Zq7vKx3PwT9m";

const EVERYWHERE: &[Place] = &[Place::Log, Place::Metrics, Place::Answers, Place::Store];

impl Canaries {
    /// A word for a place, to be found nowhere.
    pub fn hidden(&mut self, planted: &str) -> String {
        self.plant(planted, EVERYWHERE)
    }

    /// A word that the store may hold.
    pub fn kept(&mut self, planted: &str) -> String {
        self.plant(planted, &[Place::Log, Place::Metrics, Place::Answers, Place::Kept])
    }

    /// A word that the log is to hold.
    pub fn logged(&mut self, planted: &str) -> String {
        self.plant(planted, &[Place::Metrics, Place::Answers, Place::Store, Place::Control])
    }

    fn plant(&mut self, planted: &str, not_in: &'static [Place]) -> String {
        let word = format!("cnry{:04}{TAIL}", self.0.len());
        self.0.push(Canary { planted: planted.to_owned(), word: word.clone(), not_in });
        word
    }

    /// Something secret that was handed out, which is to be found nowhere.
    pub fn secret(&mut self, planted: &str, word: &str) {
        self.0.push(Canary { planted: planted.to_owned(), word: word.to_owned(), not_in: EVERYWHERE });
    }

    /// Those that `place` tells of.
    pub fn find(&self, place: Place, at: &str, text: &[u8]) -> Vec<Found> {
        let asked = self.0.iter().filter(|canary| canary.not_in.contains(&place));
        let near = around_words(text);
        let (lower, near_lower) = (text.to_ascii_lowercase(), near.to_ascii_lowercase());
        asked
            .filter_map(|canary| {
                let (text, lower) = if canary.word.ends_with(TAIL) { (&*near, &near_lower) } else { (text, &lower) };
                let start = Forms::of(&canary.word).all_in(text, lower).next()?;
                let around = window(text, start);
                let around = String::from_utf8_lossy(around).into_owned();
                Some(Found { planted: canary.planted.clone(), at: at.to_owned(), around })
            })
            .collect()
    }

    #[track_caller]
    pub fn assert_none(&self, place: Place, at: &str, text: &[u8]) {
        let found = self.find(place, at, text);
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// What is within reach of the end of any planted word: most of a log is not.
fn around_words(text: &[u8]) -> Vec<u8> {
    let lower = text.to_ascii_lowercase();
    let found = Forms::of(TAIL);
    found.all_in(text, &lower).flat_map(|start| [window(text, start), b"\n"].concat()).collect()
}

fn window(text: &[u8], start: usize) -> &[u8] {
    &text[start.saturating_sub(300)..text.len().min(start + 300)]
}

/// A word in all codings.
struct Forms {
    /// In those that do not tell upper and lower case apart, in lower case.
    lower: [String; 3],
    base64: Vec<String>,
}

impl Forms {
    fn of(word: &str) -> Self {
        let (hex, percent) = (spelt(word, ""), spelt(word, "%"));
        Self { lower: [word.to_ascii_lowercase(), hex, percent], base64: in_base64(word.as_bytes()) }
    }

    /// Where they begin; `lower` is the same text in lower case.
    fn all_in<'t>(&self, text: &'t [u8], lower: &'t [u8]) -> impl Iterator<Item = usize> {
        let lower = self.lower.iter().map(move |form| (lower, form));
        let all = lower.chain(self.base64.iter().map(move |form| (text, form)));
        all.flat_map(|(text, form)| memchr::memmem::find_iter(text, form.as_bytes()))
    }
}

/// Byte by byte in hex digits, each after `mark`.
fn spelt(word: &str, mark: &str) -> String {
    word.bytes().fold(String::new(), |text, byte| text + &format!("{mark}{byte:02x}"))
}

/// What is the same in the base64 of every text with the word in it, one for each place where it may begin in a group.
fn in_base64(word: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let text = [&[0; 3][..before], word].concat();
        for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            forms.push(encoded[(before * 8).div_ceil(6)..text.len() * 8 / 6].to_owned());
        }
    }
    forms
}

#[test]
fn a_word_is_found_in_every_coding_and_no_other_is() {
    let mut canaries = Canaries::default();
    let (word, _other) = (canaries.hidden("a"), canaries.hidden("b"));
    let mut texts = vec![word.clone(), word.to_uppercase(), format!("x{word}y")];
    texts.extend([spelt(&word, "%"), spelt(&word, "%").to_uppercase(), spelt(&word, "").to_uppercase()]);
    for before in ["", "u", "us", "use", "user:"] {
        for after in ["", ":", "::", ":::"] {
            texts.push(STANDARD_NO_PAD.encode(format!("{before}{word}{after}")));
        }
    }
    for text in texts {
        let found = canaries.find(Place::Log, "here", format!("before {text} after").as_bytes());
        assert_eq!(found.iter().map(|found| found.planted.as_str()).collect::<Vec<_>>(), ["a"], "{text}");
    }
    assert!(canaries.find(Place::Log, "here", b"cnry cnry0000").is_empty());
}
