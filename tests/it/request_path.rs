//! A proxied request, step by step.

mod authn;
mod cors;
mod forwarding;
mod observability;
mod routing;
mod tls;
mod upstreams;
