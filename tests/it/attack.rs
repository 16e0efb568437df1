//! Attacks as regression tests: each tells its story, and asserts what the upstream received.

mod exhaustion;
mod framing;
mod http2;
mod host;
mod identity;
mod path;
mod unreadable;
