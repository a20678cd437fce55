//! A connection to a server. Reads and writes never block.

use crate::{
    address::{Address, Endpoint},
    resp::{Command, Reply, parse},
};
use mio::{Interest, Registry, Token, event::Source, net::TcpStream};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
};

/// Number of bytes that wait to be sent, beyond which no further request is made.
const FULL: usize = 64 * 1024;

/// Number of bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// Error of a connection that the server has closed.
pub(crate) const CLOSED: &str = "closed the connection";

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<crate::tls::Stream>),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
}

impl Stream {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => &mut stream.sock,
            #[cfg(unix)]
            Self::Unix(stream) => stream,
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.read(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(bytes),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    /// Sends what an encrypted stream has taken and not sent.
    #[cfg(feature = "tls")]
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tls(stream) if stream.conn.wants_write() => stream.flush(),
            _ => Ok(()),
        }
    }

    /// Returns `true` if a read of less than was asked for leaves nothing in the socket. Linux
    /// reports a further event if anything comes later: epoll(7).
    fn is_drained_by_short_read(&self) -> bool {
        cfg!(target_os = "linux") && !self.is_encrypted()
    }

    fn is_encrypted(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            #[cfg(feature = "tls")]
            Self::Tls(_) => true,
            #[cfg(unix)]
            Self::Unix(_) => false,
        }
    }
}

/// A connection, or the attempt to make one.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    is_connected: bool,
    /// Bytes to send; the first `sent` are sent.
    out: Vec<u8>,
    sent: usize,
    /// Bytes that were read and are no whole reply yet.
    input: Vec<u8>,
    chunk: Box<[u8]>,
}

impl Connection {
    fn new(mut stream: Stream, is_connected: bool, registry: &Registry, token: Token) -> io::Result<Self> {
        registry.register(stream.source(), token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, is_connected, out: Vec::new(), sent: 0, input: Vec::new(), chunk: vec![0; CHUNK].into() })
    }

    /// Begins a connection to one of the addresses of a host.
    pub(crate) fn tcp(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        Self::new(Stream::Tcp(TcpStream::connect(address)?), false, registry, token)
    }

    #[cfg(unix)]
    pub(crate) fn unix(path: &std::path::Path, registry: &Registry, token: Token) -> io::Result<Self> {
        Self::new(Stream::Unix(mio::net::UnixStream::connect(path)?), true, registry, token)
    }

    #[cfg(not(unix))]
    pub(crate) fn unix(_: &std::path::Path, _: &Registry, _: Token) -> io::Result<Self> {
        Err(ErrorKind::Unsupported.into())
    }

    /// Returns `true` once the connection is made.
    pub(crate) fn is_connected(&mut self) -> io::Result<bool> {
        let Stream::Tcp(stream) = &mut self.stream else { return Ok(self.is_connected) };
        if !self.is_connected {
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            match stream.peer_addr() {
                Ok(_) => self.is_connected = true,
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
                // Of macOS: the connection was refused in the meantime.
                Err(error) => return Err(error),
            }
            stream.set_nodelay(true)?;
        }
        Ok(true)
    }

    /// Encrypts a connection that is made.
    #[cfg(feature = "tls")]
    pub(crate) fn encrypt(mut self, config: std::sync::Arc<rustls::ClientConfig>, host: &str) -> io::Result<Self> {
        if let Stream::Tcp(stream) = self.stream {
            self.stream = Stream::Tls(crate::tls::client(stream, config, host)?);
        }
        Ok(self)
    }

    /// Returns `true` if so much waits to be sent that no further request should be made.
    pub(crate) fn is_full(&self) -> bool {
        self.out.len() - self.sent > FULL
    }

    pub(crate) fn push(&mut self, command: &Command) {
        command.write(&mut self.out);
    }

    /// Sends as much as the socket takes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.sent = 0;
        #[cfg(feature = "tls")]
        match self.stream.flush() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            flushed => return flushed,
        }
        Ok(())
    }

    /// Reads what has come. An error, or the end of the connection, is reported after the replies
    /// before it.
    pub(crate) fn read(&mut self, replies: &mut Vec<Reply>) -> Result<(), String> {
        let ended = self.fill();
        let mut at = 0;
        loop {
            match parse(&self.input[at..]) {
                Ok(Some((reply, length))) => {
                    replies.push(reply);
                    at += length;
                }
                Ok(None) => break,
                Err(_) => return Err("speaks another protocol than Redis".into()),
            }
        }
        self.input.drain(..at);
        ended
    }

    fn fill(&mut self) -> Result<(), String> {
        loop {
            match self.stream.read(&mut self.chunk) {
                Ok(0) => return Err(CLOSED.into()),
                Ok(length) => {
                    self.input.extend_from_slice(&self.chunk[..length]);
                    if length < CHUNK && self.stream.is_drained_by_short_read() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    pub(crate) fn close(mut self, registry: &Registry) {
        // A socket that is closed leaves the registry in any case.
        let _ = registry.deregister(self.stream.source());
    }
}

/// The commands with which a client introduces itself. The first is `true` if an error of the
/// command makes the connection useless.
pub(crate) fn introduction(address: &Address) -> Vec<(bool, Command)> {
    let mut commands = Vec::new();
    match (&address.user, &address.password) {
        (Some(user), password) => {
            commands.push((true, Command::new(&["AUTH", user, password.as_deref().unwrap_or_default()])));
        }
        (None, Some(password)) => commands.push((true, Command::new(&["AUTH", password]))),
        (None, None) => {}
    }
    if address.database != 0 {
        commands.push((true, Command::new(&["SELECT", &address.database.to_string()])));
    }
    // For CLIENT LIST. A server may forbid it.
    commands.push((false, Command::new(&["CLIENT", "SETNAME", "decor"])));
    commands
}

/// The addresses of an endpoint, if they are known without a question to a name server.
pub(crate) fn known_addresses(endpoint: &Endpoint) -> Option<Vec<SocketAddr>> {
    match endpoint {
        Endpoint::Tcp { host, port, .. } => Some(vec![SocketAddr::new(host.parse().ok()?, *port)]),
        Endpoint::Unix(_) => Some(Vec::new()),
    }
}
