//! One host, or none at all.

use crate::support::{Bench, Gateway};

#[tokio::test]
async fn a_host_that_is_missing_repeated_or_no_host_is_refused() {
    let gateway = Gateway::start().await;
    for fields in [
        "",
        "Host: a.example\r\nHost: a.example\r\n",
        "Host: a.example\r\nHost: b.example\r\n",
        "Host: a.example, b.example\r\n",
        "Host: \r\n",
        "Host: a b\r\n",
        "Host: a.example/path\r\n",
        "Host: user@a.example\r\n",
        "Host: a.example:port\r\n",
        "Host: a.example:99999\r\n",
        "Host: [::1\r\n",
        "Host: [zz]\r\n",
        "Host: a..example\r\n",
        "Host: a.example?x\r\n",
        "Host: a_\u{0}b\r\n",
    ] {
        let answer = gateway.request(format!("GET /public/a HTTP/1.1\r\n{fields}Connection: close\r\n\r\n")).await;
        assert_eq!(answer.status, 400, "{fields:?}");
        assert!(gateway.upstream.requests().is_empty(), "{fields:?} reached the upstream");
    }
}

#[tokio::test]
async fn only_the_hosts_of_the_configuration_are_served() {
    let gateway = Bench::default().server("  hosts: [a.example]\n").start().await;
    for (host, status) in [
        ("a.example", 200),
        ("A.Example:8080", 200),
        ("a.example.", 200),
        ("b.example", 421),
        ("a.example.b.example", 421),
    ] {
        let answer =
            gateway.request(format!("GET /public/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(answer.status, status, "{host}");
    }
    assert_eq!(gateway.upstream.requests().len(), 3);
}

#[tokio::test]
async fn an_absolute_target_that_contradicts_its_host_is_refused() {
    let gateway = Gateway::start().await;
    let answer =
        gateway.request("GET http://b.example/public/a HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").await;
    assert_eq!(answer.status, 400);
    assert!(gateway.upstream.requests().is_empty());
}
