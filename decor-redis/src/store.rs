//! The state that the handles of a store and its I/O thread share.

use crate::{
    address::Address,
    io_thread::IoThread,
    keys::{Keys, slot_of},
    resp::Reply,
    script::Script,
    stats::Counters,
};
use decor::shared::{Asker, StoreError};
use futures::channel::oneshot;
use mio::{Poll, Token, Waker};
use std::{
    collections::VecDeque,
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The token of the waker. The connection has the other one.
pub(crate) const WAKER: Token = Token(0);

/// An asker that wants to be asked, and the keys of its limit.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub(crate) asker: Arc<dyn Asker>,
    pub(crate) keys: Arc<Keys>,
}

pub(crate) type Pong = oneshot::Sender<Result<(), StoreError>>;

/// A command of another part than a limiter.
#[derive(Debug)]
pub(crate) struct Call {
    /// `None` for a command by its name, which is the first of the words.
    pub(crate) script: Option<&'static Script>,
    /// Number of keys, which are the first of the words of a script.
    pub(crate) keys: u32,
    pub(crate) words: Vec<Vec<u8>>,
}

impl Call {
    /// The slot of its keys in a cluster.
    pub(crate) fn slot(&self) -> u16 {
        // The first word of a command without a script is its name.
        let first = usize::from(self.script.is_none());
        self.words.get(first).map_or(0, |key| slot_of(key))
    }
}

/// The work after a command, on the I/O thread.
pub(crate) struct Then(pub(crate) Box<dyn FnOnce(Result<Reply, StoreError>) + Send>);

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Then")
    }
}

/// Work on the I/O thread at a moment.
pub(crate) trait Job: Send + Sync + fmt::Debug {
    fn run(self: Arc<Self>);
}

/// A part that hears of the store and of a channel.
pub(crate) trait Listener: Send + Sync + fmt::Debug {
    /// The channel is subscribed, perhaps anew: messages may have been lost.
    fn subscribed(&self);

    fn message(&self, payload: &[u8]);

    /// The store has gone down.
    fn lost(&self);

    /// The store is up again.
    fn restored(&self);
}

/// A message to the I/O thread.
#[derive(Debug)]
pub(crate) enum Message {
    Call(Call, Then),
    Job {
        job: Arc<dyn Job>,
        at: Instant,
    },
    /// Subscribes a channel for as long as its listener lives.
    Listen {
        channel: String,
        listener: Weak<dyn Listener>,
    },
    /// The subscription hears nothing any more.
    IsDeaf,
    /// `at` is `None` for as soon as possible.
    Want {
        want: Want,
        at: Option<Instant>,
    },
    Ping(Pong),
    /// The answer of a name server, to the question of a line of the thread.
    Resolved {
        line: usize,
        host: String,
        addresses: io::Result<Vec<SocketAddr>>,
    },
}

#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) address: Address,
    pub(crate) prefix: String,
    /// Longest time for a request, connecting included.
    pub(crate) timeout: Duration,
    /// `None` without TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

#[derive(Debug)]
struct Inbox {
    messages: VecDeque<Message>,
    /// `None` before the thread was started, and after it has failed.
    waker: Option<Arc<Waker>>,
    /// `true` while the thread waits for an event, and so has to be woken.
    is_asleep: bool,
    /// `true` once all handles are gone.
    is_closed: bool,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    is_up: AtomicBool,
    #[cfg(feature = "cluster")]
    pub(crate) topology: crate::cluster::Topology,
    inbox: Mutex<Inbox>,
}

impl Shared {
    pub(crate) fn new(config: Config) -> Self {
        let inbox = Inbox { messages: VecDeque::new(), waker: None, is_asleep: false, is_closed: false };
        Self {
            config,
            counters: Counters::default(),
            is_up: AtomicBool::new(true),
            #[cfg(feature = "cluster")]
            topology: crate::cluster::Topology::default(),
            inbox: Mutex::new(inbox),
        }
    }

    /// Returns `true` unless a server is down.
    pub(crate) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }

    /// Returns `true` unless the server of a slot is down.
    #[cfg_attr(not(feature = "cluster"), allow(unused_variables))]
    pub(crate) fn is_up_for(&self, slot: u16) -> bool {
        #[cfg(feature = "cluster")]
        if let Some(is_up) = self.topology.is_up(slot) {
            return is_up;
        }
        self.is_up()
    }

    /// Returns `true` if all commands go to one server, in the order in which they are sent.
    #[cfg_attr(not(feature = "cluster"), allow(clippy::unused_self))]
    pub(crate) fn keeps_order(&self) -> bool {
        #[cfg(feature = "cluster")]
        return self.topology.is_one_server();
        #[cfg(not(feature = "cluster"))]
        true
    }

    pub(crate) fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Release);
    }

    /// No code that could panic runs under the lock.
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message to the I/O thread, which is started by the first one.
    pub(crate) fn send(self: &Arc<Self>, message: Message) {
        let mut inbox = self.inbox();
        if inbox.is_closed {
            return;
        }
        if inbox.waker.is_none() {
            match self.start() {
                Ok(waker) => inbox.waker = Some(waker),
                // Neither a thread nor a file handle is left. The next message tries again.
                Err(_) => self.set_up(false),
            }
        }
        inbox.messages.push_back(message);
        let waker = inbox.waker.clone().filter(|_| inbox.is_asleep);
        inbox.is_asleep &= waker.is_none();
        drop(inbox);
        if let Some(waker) = waker {
            // The descriptor of a waker takes a wake at any time.
            let _ = waker.wake();
        }
    }

    fn start(self: &Arc<Self>) -> io::Result<Arc<Waker>> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let shared = self.clone();
        thread::Builder::new().name("decor-redis".into()).spawn(move || IoThread::new(shared, poll).run())?;
        self.set_up(true);
        Ok(waker)
    }

    /// Takes all messages; `None` once all handles are gone.
    pub(crate) fn take(&self, messages: &mut VecDeque<Message>) -> Option<()> {
        let mut inbox = self.inbox();
        messages.append(&mut inbox.messages);
        (!inbox.is_closed).then_some(())
    }

    /// Returns `true` if no message has come, and the next one will wake the thread.
    pub(crate) fn fall_asleep(&self) -> bool {
        let mut inbox = self.inbox();
        inbox.is_asleep = inbox.messages.is_empty() && !inbox.is_closed;
        inbox.is_asleep
    }

    pub(crate) fn be_awake(&self) {
        self.inbox().is_asleep = false;
    }

    /// Notes that the I/O thread has ended by a panic. The next message starts another one.
    pub(crate) fn thread_is_gone(&self) {
        self.set_up(false);
        self.inbox().waker = None;
    }

    fn close(&self) {
        let mut inbox = self.inbox();
        inbox.is_closed = true;
        // The waker stays: one that is dropped takes its wake along.
        let waker = inbox.waker.clone();
        drop(inbox);
        if let Some(waker) = waker {
            let _ = waker.wake();
        }
    }
}

/// The handles' share. The I/O thread ends once the last handle is dropped.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) shared: Arc<Shared>,
    /// The moment from which the times of all limits count.
    pub(crate) begun: Instant,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.close();
    }
}
