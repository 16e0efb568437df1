//! What became of what was read: counts, and a line for each row that was left out or changed.

use std::{collections::BTreeMap, io::Write};

use serde::Serialize;

use super::Error;

/// What a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A user.
    Account,
    /// A user's identity at a provider.
    Link,
    /// An application.
    Client,
}

impl Kind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Account, Self::Link, Self::Client];

    /// Several of them, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "accounts",
            Self::Link => "links",
            Self::Client => "clients",
        }
    }
}

/// Why a row was left out, or changed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Another user of the source has the address in another spelling.
    AddressVariant,
    /// An account of the store has the address.
    AddressTaken,
    /// The address is none by our rules.
    AddressInvalid,
    /// The hash is of a format, or a cost, that is not verified here.
    PasswordUnusable,
    /// A name was too long, or had control characters.
    NameChanged,
    /// A group is not in the source.
    GroupUnknown,
    /// The primary key is none that we keep.
    KeyInvalid,
    /// It was imported before, and its owner or its origin has changed it.
    ChangedSince,
    /// The user is not in the source.
    LinkWithoutUser,
    /// The identity is in the source before.
    LinkTwice,
    /// Another account of the store has the identity.
    LinkTaken,
    /// It names no identity.
    LinkInvalid,
    /// The configuration has no such provider; the link is kept.
    ProviderUnknown,
    /// The configuration has the client.
    ClientConfigured,
    /// Its id is none that a client can have.
    ClientInvalid,
    /// It has no grant that we serve.
    GrantUnsupported,
    /// It is confidential without a secret to verify.
    SecretUnusable,
}

impl Reason {
    /// What befell the rows, for people: goes on after "accounts that" and the like.
    pub const fn headline(self) -> &'static str {
        match self {
            Self::AddressVariant => {
                "came without their address, which another user has in other letters who signed in later"
            }
            Self::AddressTaken => "came without their address, which an account has that was here before",
            Self::AddressInvalid => "came without their address, which is none",
            Self::PasswordUnusable => "came without their password, whose hash cannot be verified here",
            Self::NameChanged => "came with a name that was cut or cleaned",
            Self::GroupUnknown => "came without a group that the source does not name (dump auth.group as well)",
            Self::KeyInvalid => "were left out, as their key cannot be kept",
            Self::ChangedSince => "were here already and stay as they are, though the source says otherwise",
            Self::LinkWithoutUser => "were left out, as their user is not among the accounts",
            Self::LinkTwice => "were left out, as the source has the same identity once more",
            Self::LinkTaken => "were left out, as another account here has the identity",
            Self::LinkInvalid => "were left out, as they name no identity",
            Self::ProviderUnknown => "are of no use yet, as the configuration has no such provider",
            Self::ClientConfigured => "were left out, as the configuration has a client of this id",
            Self::ClientInvalid => "were left out, as no client can have such an id",
            Self::GrantUnsupported => "were left out, as their grant is not supported",
            Self::SecretUnusable => "were left out, as they are confidential without a secret that can be verified",
        }
    }
}

/// A line of the report. A user is named by its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is of.
    pub kind: Kind,
    /// Django's primary key of the row.
    pub pk: String,
    /// Why.
    pub reason: Reason,
    /// The address, name or identity that it is about; never a hash or a secret.
    pub detail: String,
}

/// How many rows of a kind there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// In the source.
    pub read: u64,
    /// Written, or to be written.
    pub new: u64,
    /// Here already.
    pub present: u64,
}

impl Count {
    /// Left out.
    pub const fn skipped(self) -> u64 {
        self.read.saturating_sub(self.new).saturating_sub(self.present)
    }
}

/// What became of everything.
#[derive(Debug, Default)]
pub struct Summary {
    /// By kind.
    pub counts: BTreeMap<Kind, Count>,
    /// By reason: how many, and the first of them.
    pub notes: BTreeMap<Reason, (u64, Vec<Note>)>,
}

impl Summary {
    /// The rows of a kind.
    pub fn count(&self, kind: Kind) -> Count {
        self.counts.get(&kind).copied().unwrap_or_default()
    }
}

/// Notes of a reason that [`Summary`] holds; the whole is in the report file.
pub const SHOWN: usize = 20;

/// Gathers the summary, and writes each note to the operator's file, if there is one.
pub(super) struct Report<'a> {
    pub summary: Summary,
    file: Option<&'a mut dyn Write>,
}

impl<'a> Report<'a> {
    pub fn new(file: Option<&'a mut dyn Write>) -> Self {
        Self { summary: Summary::default(), file }
    }

    pub fn count(&mut self, kind: Kind) -> &mut Count {
        self.summary.counts.entry(kind).or_default()
    }

    pub fn note(&mut self, note: Note) -> Result<(), Error> {
        if let Some(file) = &mut self.file {
            serde_json::to_writer(&mut *file, &note).map_err(std::io::Error::from).map_err(Error::Report)?;
            file.write_all(b"\n").map_err(Error::Report)?;
        }
        let (count, first) = self.summary.notes.entry(note.reason).or_default();
        *count += 1;
        if first.len() < SHOWN {
            first.push(note);
        }
        Ok(())
    }

    /// Sees to it that what was noted so far outlives this process.
    pub fn flush(&mut self) -> Result<(), Error> {
        match &mut self.file {
            Some(file) => file.flush().map_err(Error::Report),
            None => Ok(()),
        }
    }
}
