//! A proxy before a server: with a delay, or with a line that is cut and does not say so.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// Passes on what it gets after half of its round trip, until it is frozen.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    is_frozen: Arc<AtomicBool>,
    is_deaf: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts a proxy before the server at a port. Its threads end with the process.
    pub fn start(server: u16, round_trip: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_frozen, is_deaf) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (frozen, deaf) = (is_frozen.clone(), is_deaf.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let subscribes = Arc::new(AtomicBool::new(false));
                let (frozen_too, hears_news, deaf) = (frozen.clone(), subscribes.clone(), deaf.clone());
                let frozen = frozen.clone();
                pass_on(&client, &server, round_trip / 2, move |bytes| {
                    subscribes.fetch_or(bytes.windows(9).any(|word| word == b"SUBSCRIBE"), Ordering::SeqCst);
                    !frozen.load(Ordering::SeqCst)
                });
                pass_on(&server, &client, round_trip / 2, move |_| {
                    let is_deaf = deaf.load(Ordering::SeqCst) && hears_news.load(Ordering::SeqCst);
                    !is_deaf && !frozen_too.load(Ordering::SeqCst)
                });
            }
        });
        Self { port, is_frozen, is_deaf }
    }

    /// The URL of the server behind the proxy.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Drops all that comes from now on, on old connections and on new ones: a half-open line.
    pub fn freeze(&self) {
        self.is_frozen.store(true, Ordering::SeqCst);
    }

    /// Drops what comes for subscribers, and nothing else.
    pub fn deafen(&self) {
        self.is_deaf.store(true, Ordering::SeqCst);
    }

    /// Passes messages on again.
    pub fn listen(&self) {
        self.is_deaf.store(false, Ordering::SeqCst);
    }

    /// Passes on again. What was dropped is lost.
    pub fn thaw(&self) {
        self.is_frozen.store(false, Ordering::SeqCst);
    }
}

fn pass_on(from: &TcpStream, to: &TcpStream, delay: Duration, passes: impl Fn(&[u8]) -> bool + Send + 'static) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    from.set_nodelay(true).unwrap();
    to.set_nodelay(true).unwrap();
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(length) if !passes(&bytes[..length]) => {}
                Ok(length) => {
                    if sender.send((Instant::now() + delay, bytes[..length].to_vec())).is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    });
}
