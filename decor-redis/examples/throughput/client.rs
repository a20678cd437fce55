//! Calls of a script over one connection, as clients without a reservation do it: the requests of
//! all tasks are written together, and the replies are given out in order.

use std::{error::Error, io, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, oneshot},
};

type Waiting = oneshot::Sender<()>;

#[derive(Clone)]
pub(crate) struct Client {
    requests: mpsc::UnboundedSender<Waiting>,
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
    out
}

impl Client {
    /// Connects, and loads a script with replies of `lines` lines.
    pub(crate) async fn connect(
        port: u16,
        script: &str,
        arguments: &[&str],
        lines: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&command(&["SCRIPT", "LOAD", script])).await?;
        let mut reply = [0; 100];
        let length = stream.read(&mut reply).await?;
        let reply = String::from_utf8_lossy(&reply[..length]).into_owned();
        let sha = reply.lines().nth(1).ok_or("no hash")?;
        let request = command(&[&["EVALSHA", sha][..], arguments].concat());
        let (requests, queue) = mpsc::unbounded_channel();
        tokio::spawn(serve(stream, Arc::from(request), queue, lines));
        Ok(Self { requests })
    }

    pub(crate) async fn call(&self) {
        let (reply, replied) = oneshot::channel();
        let _ = self.requests.send(reply);
        let _ = replied.await;
    }
}

async fn serve(
    mut stream: TcpStream,
    request: Arc<[u8]>,
    mut queue: mpsc::UnboundedReceiver<Waiting>,
    lines: usize,
) -> io::Result<()> {
    let (mut input, mut output) = stream.split();
    let mut waiting = std::collections::VecDeque::new();
    let (mut seen, mut bytes, mut batch, mut out) = (0, vec![0; 64 * 1024], Vec::new(), Vec::new());
    loop {
        tokio::select! {
            count = queue.recv_many(&mut batch, 64) => {
                if count == 0 {
                    return Ok(());
                }
                out.clear();
                batch.drain(..).for_each(|reply| {
                    out.extend_from_slice(&request);
                    waiting.push_back(reply);
                });
                output.write_all(&out).await?;
            }
            length = input.read(&mut bytes) => {
                let read = &bytes[..length?];
                seen += read.split(|byte| *byte == b'\n').count() - 1;
                while seen >= lines && !waiting.is_empty() {
                    seen -= lines;
                    let _ = waiting.pop_front().map(|reply: Waiting| reply.send(()));
                }
            }
        }
    }
}
