//! The integration tests: the real gateway, recording upstreams, raw clients. What counts is what the upstream
//! received and what the client got, bytes included.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test that cannot go on says so by panicking, and its name is its documentation"
)]

mod api_auth;
mod attack;
mod canary;
mod cli;
mod cluster;
mod command_line;
mod django;
mod durability;
mod examples;
mod failover;
mod house_rules;
mod import;
mod metrics;
mod operations;
mod outage;
mod pages;
mod provider;
mod request_path;
mod sessions;
mod support;
