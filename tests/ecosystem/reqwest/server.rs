//! A server that misbehaves.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A server with a real socket, and with an API key in its URL.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<AtomicU32>,
}

impl Server {
    /// Starts a server that reads the head of a request, behaves as told, and closes the
    /// connection.
    pub(crate) async fn start<F, Fut>(mut behave: F) -> Self
    where
        F: FnMut(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/?key=secret", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicU32::new(0));
        let counted = requests.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                if has_request(&mut stream).await {
                    counted.fetch_add(1, Ordering::Relaxed);
                    behave(stream).await;
                }
            }
        });
        Self { url, requests }
    }

    /// Starts a server that answers each request with this text, and then closes the connection.
    pub(crate) async fn answering(answer: impl Into<String>) -> Self {
        let answer: Arc<str> = answer.into().into();
        Self::start(move |mut stream| {
            let answer = answer.clone();
            async move { stream.write_all(answer.as_bytes()).await.unwrap() }
        })
        .await
    }

    /// Returns the number of requests that have arrived, up to the end of their heads.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Reads the head of a request. Returns `false` if the client closes the connection before.
async fn has_request(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}
