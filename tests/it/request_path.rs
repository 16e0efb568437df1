//! A proxied request, step by step.

mod answers;
mod authn;
mod connections;
mod cors;
mod forwarding;
mod observability;
mod observe;
mod routing;
mod tls;
mod upstreams;
