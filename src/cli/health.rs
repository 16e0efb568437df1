//! `passgate health`: asks the admin listener of a running gateway, for container health checks.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use super::Failure;

pub const EXAMPLES: &str = "\
Examples:
  passgate health --config passgate.yaml
  HEALTHCHECK CMD [\"passgate\", \"health\"]        (in a Dockerfile)

Exits with 0 when /readyz of admin.listen answers 200, with 69 otherwise.";

/// For the whole of it, from connecting to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Far above what `/readyz` answers.
const MAX_ANSWER: usize = 4096;

pub fn run(config: &Path) -> Result<(), Failure> {
    let Some(address) = super::load(config)?.admin else {
        return Err(Failure::usage("admin.listen is off in this configuration: there is nothing to ask"));
    };
    let answer = ask(address, PATIENCE)
        .map_err(|error| Failure::unavailable(format!("no answer from the gateway at {address}: {error}")))?;
    match judge(&answer) {
        Some((true, body)) => super::print(&format!("{body}\n")),
        Some((false, body)) => Err(Failure::unavailable(format!("the gateway at {address} is not ready: {body}"))),
        None => Err(Failure::unavailable(format!("what listens at {address} is not a gateway"))),
    }
}

/// The whole answer to `GET /readyz`.
fn ask(address: SocketAddr, patience: Duration) -> io::Result<String> {
    let start = Instant::now();
    let left = || match patience.saturating_sub(start.elapsed()) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let address = local(address);
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 512]);
    while answer.len() < MAX_ANSWER {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut chunk)? {
            0 => break,
            n => answer.extend_from_slice(chunk.get(..n).unwrap_or_default()),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Where to reach a listener of all addresses.
fn local(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Whether the answer says ready, and its body; `None` when it is no HTTP.
fn judge(answer: &str) -> Option<(bool, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    Some((status == "200", body))
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// A gateway that says this to one caller, and what it was asked.
    fn gateway(says: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(says.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        (address, asked)
    }

    #[test]
    fn a_ready_gateway_is_told_from_one_that_drains() {
        let ready = "HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{\"status\":\"ready\"}";
        let (address, asked) = gateway(ready);
        assert_eq!(judge(&ask(address, PATIENCE).unwrap()), Some((true, r#"{"status":"ready"}"#)));
        assert!(asked.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));

        let (address, _) = gateway("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"status\":\"draining\"}");
        assert_eq!(judge(&ask(address, PATIENCE).unwrap()), Some((false, r#"{"status":"draining"}"#)));

        let (address, _) = gateway("220 mail.example ESMTP\r\n");
        assert_eq!(judge(&ask(address, PATIENCE).unwrap()), None);
    }

    #[test]
    fn a_gateway_that_accepts_and_says_nothing_is_given_up_on() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = ask(silent.local_addr().unwrap(), Duration::from_millis(5)).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
    }

    #[test]
    fn a_listener_of_all_addresses_is_asked_on_the_loopback() {
        for (listens, asked) in
            [("0.0.0.0:9090", "127.0.0.1:9090"), ("[::]:9090", "[::1]:9090"), ("10.0.0.1:80", "10.0.0.1:80")]
        {
            assert_eq!(local(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
