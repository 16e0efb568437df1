//! Passgate: a reverse-proxy auth gateway. It stands in front of servers, signs people up and in at `/api-auth/*`, and tells
//! the servers in request headers who is calling.
//!
//! The life of a request:
//!
//! ```text
//! listener ─ hygiene ─┬─ /api-auth/* ─ api ─ oauth, account ─ store
//!                     └─ route ─ authn ─ authorise ─ identity headers ─ upstream
//! ```
//!
//! It reads top to bottom in `Gateway::admit` of [`proxy`]; [`app`] puts the parts together. The modules are listed in its
//! order, and depend only on what is listed after them, but for exceptions that `tests/it/house_rules.rs` gives reasons for.
//! `docs/architecture.md` walks through a request, a sign-in, a refresh and a revocation.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test that cannot go on says so by panicking"
    )
)]

pub mod cli;
pub mod app;
pub mod config;
pub mod import;
// Proxied traffic, in the order a request meets it.
pub mod listener;
pub mod proxy;
pub mod hygiene;
pub mod cors;
pub mod route;
pub mod authn;
pub mod identity;
pub mod upstream;
// /api-auth/*
pub mod api;
pub mod oauth;
pub mod account;
pub mod password;
pub mod provider;
pub mod throttle;
pub mod token;
pub mod master;
pub mod store;
// Shared leaves.
pub mod telemetry;
pub mod session;
pub mod change_log;
pub mod model;
pub mod clock;
pub mod address;
pub mod secret;
