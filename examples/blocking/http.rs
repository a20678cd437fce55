//! The part of HTTP/1.1 that a client needs if it closes each connection. A program should use a
//! crate instead.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    str,
    time::Duration,
};

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn get(host: &str, path: &str, read_limit: Duration) -> io::Result<Response> {
    send(host, &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"), read_limit)
}

pub(crate) fn post(host: &str, path: &str, json: &str, read_limit: Duration) -> io::Result<Response> {
    let headers = format!("host: {host}\r\ncontent-type: application/json\r\ncontent-length: {}", json.len());
    send(host, &format!("POST {path} HTTP/1.1\r\n{headers}\r\nconnection: close\r\n\r\n{json}"), read_limit)
}

fn send(host: &str, request: &str, read_limit: Duration) -> io::Result<Response> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(read_limit))?;
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    parse(&response).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a complete HTTP response"))
}

fn parse(response: &[u8]) -> Option<Response> {
    let end = response.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (str::from_utf8(&response[..end]).ok()?, &response[end + 4..]);
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let header = |wanted: &str| {
        let mut headers = head.lines().filter_map(|line| line.split_once(':'));
        headers.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then(|| value.trim().parse::<u64>().ok())?)
    };
    let is_complete = header("content-length").is_none_or(|length| length == body.len() as u64);
    let retry_after = header("retry-after").map(Duration::from_secs);
    is_complete.then(|| Response { status, retry_after, body: body.to_vec() })
}
