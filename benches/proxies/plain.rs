//! The proxies that Passgate is held against, each configured to do its work and nothing besides.

use std::{fs, net::SocketAddr, path::Path};

use super::{machine::free_port, server::Server};

/// nginx as a reverse proxy that keeps its connections.
pub async fn nginx(directory: &Path, upstream: SocketAddr, access_log: bool) -> Server {
    let port = free_port();
    let log = if access_log { format!("nginx-{port}.access combined") } else { "off".to_owned() };
    let file = directory.join(format!("nginx-{port}.conf"));
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("  {what}_temp_path {what}-{port};\n"))
        .concat();
    let configuration = format!(
        "daemon off;\nworker_processes 1;\npid nginx-{port}.pid;\nerror_log stderr;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n{temporary}  access_log {log};\n  keepalive_requests 1000000000;\n  keepalive_timeout 600s;\n\
         \x20 upstream app {{\n    server {upstream};\n    keepalive 64;\n    keepalive_requests 1000000000;\n  }}\n\
         \x20 server {{\n    listen 127.0.0.1:{port};\n    location / {{\n      proxy_pass http://app;\n      \
         proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      proxy_set_header Host $host;\n    }}\n  }}\n}}\n"
    );
    fs::write(&file, configuration).unwrap();
    let prefix = directory.to_str().unwrap();
    Server::start("nginx", &["-e", "stderr", "-p", prefix, "-c", file.to_str().unwrap()], port, directory).await
}

/// HAProxy as a reverse proxy.
pub async fn haproxy(directory: &Path, upstream: SocketAddr) -> Server {
    start_haproxy(directory, upstream, "").await
}

/// HAProxy that lets pass what bears a token signed with RS256 and not expired: `key_file` is the public key, PEM.
/// It does not tell the upstream who is calling.
pub async fn haproxy_verifying(directory: &Path, upstream: SocketAddr, key_file: &Path) -> Server {
    let rules = format!(
        "  http-request set-var(txn.bearer) http_auth_bearer\n\
         \x20 http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')\n\
         \x20 http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')\n\
         \x20 http-request set-var(txn.now) date()\n\
         \x20 http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}\n\
         \x20 http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,\"{}\") 1 }}\n\
         \x20 http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}\n",
        key_file.display()
    );
    start_haproxy(directory, upstream, &rules).await
}

async fn start_haproxy(directory: &Path, upstream: SocketAddr, rules: &str) -> Server {
    let port = free_port();
    let file = directory.join(format!("haproxy-{port}.cfg"));
    let configuration = format!(
        "global\n  nbthread 1\n  maxconn 4096\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 10m\n  timeout server 10m\n\
         frontend clients\n  bind 127.0.0.1:{port}\n{rules}  default_backend app\n\
         backend app\n  server app {upstream}\n"
    );
    fs::write(&file, configuration).unwrap();
    Server::start("haproxy", &["-db", "-f", file.to_str().unwrap()], port, directory).await
}
