//! The bench: the real gateway in-process on port 0, upstreams that record what they received, clients that
//! send what they are told to the byte.

pub mod answer;
mod described;
pub mod door;
mod gateway;
pub mod log;
pub mod postgres;
pub mod process;
pub mod provider;
pub mod redis_cluster;
pub mod redis_sentinel;
pub mod redis_server;
pub mod h2;
pub mod upstream;

pub use answer::{Answer, exchange};
pub use described::Document;
pub use door::Door;
pub use gateway::{Bench, Gateway, PASSWORD, Tokens};
pub use redis_server::RedisServer;
pub use upstream::Upstream;
