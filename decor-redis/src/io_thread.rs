//! The I/O thread: all requests of a store, its connections, its timers.
//!
//! There is one connection for requests, and one for subscriptions. In a cluster, there is one for
//! the requests to each master.
//!
//! # The states of a server
//!
//! | state | a limiter wants | an attempt fails | the attempt succeeds |
//! |---|---|---|---|
//! | up, not connected | connects, and asks once connected | down | |
//! | up, connected | asks, and sends the requests of all limiters together | down | |
//! | down | asks, and answers with the last error at once | down for longer | up; asks each limiter that got an error |
//!
//! An attempt fails if a request or a connection takes longer than the timeout, if the connection
//! breaks, or if the server answers with an error. The connection is dropped then, because a late
//! answer would be taken for that of the next request. The attempt of a server that is down
//! connects anew and writes a key: a server that is full, or a replica, answers a PING.
//!
//! A connection that breaks while nothing is asked is dropped without a word.

use crate::{
    address::{Address, Endpoint},
    connection::{Connection, introduction, known_addresses},
    resp::{Command, Reply},
    script::{self, Form},
    stats::Counters,
    store::{Call, Job, Listener, Message, Pong, Shared, Then, Want},
};
use decor::shared::{Ask, Probe, StoreError};
use mio::{Events, Poll, Token};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque, hash_map::RandomState},
    hash::{BuildHasher, Hasher},
    io,
    net::{SocketAddr, ToSocketAddrs},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// The line of the subscriptions.
pub(crate) const NEWS: usize = 0;

/// The line of the requests. Those to the other masters of a cluster follow.
pub(crate) const MAIN: usize = 1;

/// Target of the log lines, as that of decor.
const SHARED: &str = "decor::shared";

/// The token of a line's connection. The waker has 0.
fn token(line: usize) -> Token {
    Token(1 + line)
}

/// Maximum number of requests in flight. The server takes some 30 us for each, so that none waits
/// for others much longer than a few milliseconds.
const MOST_IN_FLIGHT: usize = 256;

/// A limiter that wants to be asked at a moment. Equal moments are in the order of their wants.
#[derive(Debug)]
struct Timer {
    at: Instant,
    number: u64,
    due: Due,
}

#[derive(Debug)]
pub(crate) enum Due {
    Want(Want),
    Job(Arc<dyn Job>),
    /// A request that the cluster could not serve yet.
    #[cfg(feature = "cluster")]
    Again(Box<crate::cluster::Redirected>),
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// The connection, or the attempt to make one, which has to be made by `until`.
#[derive(Debug)]
pub(crate) enum Link {
    None,
    /// A thread asks the name server.
    Resolving {
        until: Instant,
    },
    /// `others` are the addresses that are tried if this one refuses.
    Connecting {
        connection: Connection,
        others: Vec<SocketAddr>,
        until: Instant,
    },
    Connected(Connection),
}

/// A command without a reply so far.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) kind: Kind,
    pub(crate) asked: Instant,
    pub(crate) until: Instant,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// A command of the introduction. `true` if its error makes the connection useless.
    Introduction(bool),
    Probe,
    /// The question which server has which slot.
    #[cfg(feature = "cluster")]
    Slots,
    Ping(Pong),
    Ask {
        want: Want,
        ask: Ask,
        form: Form,
    },
    Call {
        call: Call,
        then: Then,
        form: Form,
    },
}

/// A connection with its commands, and what is to be sent on it.
#[derive(Debug)]
pub(crate) struct Line {
    /// The server.
    pub(crate) address: Address,
    pub(crate) link: Link,
    /// Commands on the connection, in the order in which they were sent.
    pub(crate) pending: VecDeque<Pending>,
    /// The moment until which the first requests of a connection have to be answered, because the
    /// time for connecting is part of theirs. `None` once they are sent.
    first_until: Option<Instant>,
    /// `true` while a name server is asked, perhaps for a link that was given up.
    is_resolving: bool,
    /// Limiters that want to be asked now.
    pub(crate) ready: VecDeque<Want>,
    pub(crate) pings: Vec<Pong>,
    pub(crate) calls: VecDeque<(Call, Then)>,
    /// Requests that another server of the cluster has sent here.
    #[cfg(feature = "cluster")]
    pub(crate) redirected: VecDeque<crate::cluster::Redirected>,
    pub(crate) down: Option<Box<Down>>,
    probe: Probe,
    /// `true` for a server that has left the cluster.
    #[cfg(feature = "cluster")]
    pub(crate) is_spare: bool,
}

impl Line {
    pub(crate) fn new(address: Address, seed: u64) -> Self {
        Self {
            address,
            link: Link::None,
            pending: VecDeque::new(),
            first_until: None,
            is_resolving: false,
            ready: VecDeque::new(),
            pings: Vec::new(),
            calls: VecDeque::new(),
            #[cfg(feature = "cluster")]
            redirected: VecDeque::new(),
            down: None,
            probe: Probe::new(seed),
            #[cfg(feature = "cluster")]
            is_spare: false,
        }
    }

    fn has_work(&self) -> bool {
        #[cfg(feature = "cluster")]
        if !self.redirected.is_empty() {
            return true;
        }
        !(self.ready.is_empty() && self.pings.is_empty() && self.calls.is_empty())
    }
}

/// The channels, and when to subscribe them again.
#[derive(Debug)]
struct News {
    channels: Vec<(String, Weak<dyn Listener>)>,
    retries: Probe,
    /// Moment of the next attempt. `None` while one is under way or has succeeded.
    retry_at: Option<Instant>,
}

/// A server is down.
#[derive(Debug)]
pub(crate) struct Down {
    error: StoreError,
    /// Moment of the next attempt. `None` while one is under way.
    probe_at: Option<Instant>,
    /// The limiters that got an error, by the address of the asker.
    pub(crate) failed: HashMap<*const (), Want>,
}

#[derive(Debug)]
pub(crate) struct IoThread {
    pub(crate) shared: Arc<Shared>,
    poll: Poll,
    timers: BinaryHeap<Reverse<Timer>>,
    /// Number of timers that were ever set.
    timers_total: u64,
    /// [`NEWS`], [`MAIN`], and the other masters of a cluster.
    pub(crate) lines: Vec<Line>,
    news: News,
    #[cfg(feature = "cluster")]
    pub(crate) cluster: crate::cluster::Cluster,
    pub(crate) epochs: RandomState,
    /// Number of epochs that were ever drawn. No two are equal: a process could not tell that a
    /// state was lost.
    epochs_total: u64,
}

/// Calls into a limiter, which wakes tasks: a waker is foreign code, and may panic.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

impl IoThread {
    pub(crate) fn new(shared: Arc<Shared>, poll: Poll) -> Self {
        let epochs = RandomState::new();
        let line = |name: &str| Line::new(shared.config.address.first(), epochs.hash_one(name));
        Self {
            poll,
            timers: BinaryHeap::new(),
            timers_total: 0,
            lines: vec![line("news"), line("main")],
            news: News { channels: Vec::new(), retries: Probe::new(epochs.hash_one("retries")), retry_at: None },
            #[cfg(feature = "cluster")]
            cluster: crate::cluster::Cluster::default(),
            epochs,
            epochs_total: 0,
            shared,
        }
    }

    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(8);
        let mut messages = VecDeque::new();
        let mut replies = Vec::new();
        while self.shared.take(&mut messages).is_some() {
            messages.drain(..).for_each(|message| self.receive(message));
            self.run_timers(Instant::now());
            self.serve();
            let timeout = if self.shared.fall_asleep() { self.time_left() } else { Some(Duration::ZERO) };
            let polled = self.poll.poll(&mut events, timeout);
            self.shared.be_awake();
            if polled.is_err() {
                continue; // Interrupted by a signal.
            }
            for line in 0..self.lines.len() {
                if events.iter().any(|event| event.token() == token(line)) {
                    self.advance(line, &mut replies);
                }
                self.check_deadlines(line, &mut replies);
            }
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Want { want, at: None } => self.want(want),
            Message::Want { want, at: Some(at) } => self.set_timer(at, Due::Want(want)),
            Message::Job { job, at } => self.set_timer(at, Due::Job(job)),
            Message::Call(call, then) => self.call(call, then),
            Message::Listen { channel, listener } => {
                if let Link::Connected(connection) = &mut self.lines[NEWS].link {
                    connection.push(&Command::new(&["SUBSCRIBE", &channel]));
                } else {
                    self.renew_subscription();
                }
                self.news.channels.push((channel, listener));
            }
            Message::IsDeaf => self.renew_subscription(),
            Message::Ping(pong) => {
                // A server that is down is what a ping is after.
                let down = (MAIN..self.lines.len()).find(|line| self.lines[*line].down.is_some());
                let line = down.unwrap_or_else(|| self.line_of(0));
                self.lines[line].pings.push(pong);
            }
            Message::Resolved { line, host, addresses } => self.resolved(line, &host, &addresses),
        }
    }

    pub(crate) fn want(&mut self, want: Want) {
        let line = self.line_of(want.keys.slot());
        self.lines[line].ready.push_back(want);
    }

    pub(crate) fn call(&mut self, call: Call, then: Then) {
        let line = self.line_of(call.slot());
        self.lines[line].calls.push_back((call, then));
    }

    #[cfg(not(feature = "cluster"))]
    #[allow(clippy::unused_self)] // a cluster has many
    fn line_of(&self, _: u16) -> usize {
        MAIN
    }

    pub(crate) fn set_timer(&mut self, at: Instant, due: Due) {
        self.timers_total += 1;
        self.timers.push(Reverse(Timer { at, number: self.timers_total, due }));
    }

    fn run_timers(&mut self, now: Instant) {
        while self.timers.peek().is_some_and(|Reverse(timer)| timer.at <= now) {
            let Some(Reverse(timer)) = self.timers.pop() else { break };
            match timer.due {
                Due::Want(want) => self.want(want),
                Due::Job(job) => drop(guarded(|| job.run())),
                #[cfg(feature = "cluster")]
                Due::Again(request) => self.again(*request),
            }
        }
        if self.news.retry_at.is_some_and(|at| at <= now) {
            self.news.retry_at = None;
            self.subscribe();
        }
        for line in MAIN..self.lines.len() {
            if let Some(down) = &mut self.lines[line].down
                && down.probe_at.is_some_and(|at| at <= now)
            {
                down.probe_at = None;
                self.connect(line);
            }
        }
    }

    /// Time until something has to be done; `None` if only an event brings something to do.
    fn time_left(&self) -> Option<Duration> {
        let timer = self.timers.peek().map(|Reverse(timer)| timer.at);
        let lines = self.lines.iter().filter_map(Line::until).min();
        let probe = self.lines.iter().filter_map(|line| line.down.as_ref()?.probe_at).min();
        let next = [timer, lines, probe, self.news.retry_at].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Asks the limiters that want to be asked, and sends their requests.
    fn serve(&mut self) {
        for line in MAIN..self.lines.len() {
            self.serve_line(line);
        }
        self.flush(NEWS);
    }

    fn serve_line(&mut self, line: usize) {
        if self.lines[line].down.is_some() {
            self.refuse_all(line);
        } else if self.lines[line].has_work() {
            if let Link::None = self.lines[line].link {
                self.connect(line);
            }
            self.ask_all(line);
        }
        self.flush(line);
    }

    fn ask_all(&mut self, line: usize) {
        let Self { shared, lines, epochs, epochs_total, .. } = self;
        let line = &mut lines[line];
        let Line { link: Link::Connected(connection), pending, first_until, .. } = line else { return };
        let timeout = shared.config.timeout;
        // A request on a new connection has waited for it.
        let first_until = first_until.take();
        #[cfg(feature = "cluster")]
        while !connection.is_full() && pending.len() < MOST_IN_FLIGHT {
            let Some(request) = line.redirected.pop_front() else { break };
            let fresh = fresh_epoch(epochs, epochs_total);
            request.send(connection, pending, fresh);
        }
        for pong in line.pings.drain(..) {
            let asked = Instant::now();
            connection.push(&Command::new(&["PING"]));
            let until = first_until.unwrap_or(asked + timeout);
            pending.push_back(Pending { kind: Kind::Ping(pong), asked, until });
        }
        while !connection.is_full() && pending.len() < MOST_IN_FLIGHT {
            let Some((call, then)) = line.calls.pop_front() else { break };
            let (asked, form) = (Instant::now(), Form::Hash);
            connection.push(&script::call_command(&call, form));
            let until = first_until.unwrap_or(asked + timeout);
            pending.push_back(Pending { kind: Kind::Call { call, then, form }, asked, until });
        }
        while !connection.is_full() && pending.len() < MOST_IN_FLIGHT {
            let Some(want) = line.ready.pop_front() else { break };
            let Some(ask) = guarded(|| want.asker.ask()).flatten() else { continue };
            let asked = Instant::now();
            let form = Form::Hash;
            let fresh = fresh_epoch(epochs, epochs_total);
            connection.push(&script::command(&want.keys, &ask, fresh, form));
            let until = first_until.unwrap_or(asked + timeout);
            pending.push_back(Pending { kind: Kind::Ask { want, ask, form }, asked, until });
        }
    }

    /// Answers all that want something while the server is down.
    fn refuse_all(&mut self, line: usize) {
        let counters = &self.shared.counters;
        let Line { down: Some(down), ready, pings, calls, .. } = &mut self.lines[line] else { return };
        for pong in pings.drain(..) {
            let _ = pong.send(Err(down.error.clone()));
        }
        while let Some((_, Then(then))) = calls.pop_front() {
            guarded(|| then(Err(down.error.clone())));
        }
        while let Some(want) = ready.pop_front() {
            if guarded(|| want.asker.ask()).flatten().is_some() {
                down.refuse(want, counters);
            }
        }
        #[cfg(feature = "cluster")]
        for request in std::mem::take(&mut self.lines[line].redirected) {
            self.refuse(line, request.into_kind());
        }
    }

    /// Answers a request while the server is down.
    fn refuse(&mut self, line: usize, kind: Kind) {
        let Some(down) = &mut self.lines[line].down else { return };
        match kind {
            Kind::Ask { want, .. } => down.refuse(want, &self.shared.counters),
            Kind::Ping(pong) => {
                let _ = pong.send(Err(down.error.clone()));
            }
            Kind::Call { then: Then(then), .. } => drop(guarded(|| then(Err(down.error.clone())))),
            Kind::Introduction(_) | Kind::Probe => {}
            #[cfg(feature = "cluster")]
            Kind::Slots => {}
        }
    }

    fn flush(&mut self, line: usize) {
        if let Link::Connected(connection) = &mut self.lines[line].link
            && let Err(error) = connection.flush()
        {
            // What the server said before it closed the connection is worth more than this error.
            let mut replies = Vec::new();
            self.read(line, &mut replies);
            if let Link::Connected(_) = self.lines[line].link {
                self.break_off(line, &error.to_string());
            }
        }
    }

    pub(crate) fn connect(&mut self, line: usize) {
        let until = Instant::now() + self.shared.config.timeout;
        if let Some(addresses) = known_addresses(&self.lines[line].address.endpoint) {
            self.connect_to(line, addresses, until);
        } else {
            self.lines[line].link = Link::Resolving { until };
            self.resolve(line);
        }
    }

    /// Asks the name server on a thread of its own, because that may take seconds.
    fn resolve(&mut self, line: usize) {
        let Line { address: Address { endpoint: Endpoint::Tcp { host, port, .. }, .. }, is_resolving, .. } =
            &mut self.lines[line]
        else {
            return;
        };
        if *is_resolving {
            return;
        }
        let (host, port, shared) = (host.clone(), *port, self.shared.clone());
        let resolve = move || {
            let addresses = (&*host, port).to_socket_addrs().map(Iterator::collect);
            shared.send(Message::Resolved { line, host, addresses });
        };
        match thread::Builder::new().name("decor-redis-names".into()).spawn(resolve) {
            Ok(_) => *is_resolving = true,
            Err(error) => self.break_off(line, &error.to_string()),
        }
    }

    fn resolved(&mut self, line: usize, asked: &str, addresses: &io::Result<Vec<SocketAddr>>) {
        self.lines[line].is_resolving = false;
        let Line { link: Link::Resolving { until }, address, .. } = &self.lines[line] else { return };
        let until = *until;
        match (&address.endpoint, addresses) {
            // The answer to the question of an earlier link.
            (Endpoint::Tcp { host, .. }, _) if host != asked => self.resolve(line),
            (_, Ok(addresses)) if addresses.is_empty() => self.break_off(line, "the name has no address"),
            (_, Ok(addresses)) => self.connect_to(line, addresses.clone(), until),
            (_, Err(error)) => self.break_off(line, &error.to_string()),
        }
    }

    /// Connects to the first address, and keeps the others.
    fn connect_to(&mut self, line: usize, addresses: Vec<SocketAddr>, until: Instant) {
        let registry = self.poll.registry();
        let mut addresses = addresses.into_iter();
        let connection = match (&self.lines[line].address.endpoint, addresses.next()) {
            (Endpoint::Unix(path), _) => Connection::unix(path, registry, token(line)),
            (Endpoint::Tcp { .. }, Some(address)) => Connection::tcp(address, registry, token(line)),
            (Endpoint::Tcp { .. }, None) => return,
        };
        let others: Vec<_> = addresses.collect();
        match connection {
            Ok(connection) => {
                self.lines[line].link = Link::Connecting { connection, others, until };
                self.finish_connecting(line);
            }
            Err(_) if !others.is_empty() => self.connect_to(line, others, until),
            Err(error) => self.break_off(line, &error.to_string()),
        }
    }

    /// Introduces the client if the connection is made by now.
    fn finish_connecting(&mut self, line: usize) {
        let Link::Connecting { connection, .. } = &mut self.lines[line].link else { return };
        let is_connected = connection.is_connected();
        let Link::Connecting { mut connection, others, until } =
            std::mem::replace(&mut self.lines[line].link, Link::None)
        else {
            return;
        };
        match is_connected {
            Ok(false) => self.lines[line].link = Link::Connecting { connection, others, until },
            Ok(true) => {
                #[cfg(feature = "tls")]
                if let (Endpoint::Tcp { host, .. }, Some(config)) =
                    (&self.lines[line].address.endpoint, &self.shared.config.tls)
                {
                    connection = match connection.encrypt(config.clone(), host) {
                        Ok(connection) => connection,
                        Err(error) => return self.break_off(line, &error.to_string()),
                    };
                }
                let probe = self.probe_command(line);
                let Line { pending, address, first_until, .. } = &mut self.lines[line];
                let asked = Instant::now();
                for (is_needed, command) in introduction(address) {
                    connection.push(&command);
                    pending.push_back(Pending { kind: Kind::Introduction(is_needed), asked, until });
                }
                if line == NEWS {
                    connection.push(&self.news.subscription());
                } else {
                    Counters::add(&self.shared.counters.connections);
                    #[cfg(feature = "cluster")]
                    {
                        connection.push(&crate::cluster::slots());
                        pending.push_back(Pending { kind: Kind::Slots, asked, until });
                    }
                    if let Some(probe) = probe {
                        connection.push(&probe);
                        pending.push_back(Pending { kind: Kind::Probe, asked, until });
                    }
                    *first_until = Some(until);
                }
                self.lines[line].link = Link::Connected(connection);
                if line == NEWS { self.flush(line) } else { self.serve_line(line) }
            }
            Err(error) => {
                connection.close(self.poll.registry());
                if others.is_empty() {
                    self.break_off(line, &error.to_string());
                } else {
                    self.connect_to(line, others, until);
                }
            }
        }
    }

    /// The command that shows that a server that was down takes writes; `None` if it is up.
    fn probe_command(&self, line: usize) -> Option<Command> {
        self.lines[line].down.as_ref()?;
        let prefix = &self.shared.config.prefix;
        #[cfg(feature = "cluster")]
        if let Some(tag) = self.tag_on(line) {
            return Some(script::probe(&tag));
        }
        Some(script::probe(prefix))
    }

    /// Ends a line by an error.
    fn break_off(&mut self, line: usize, error: &str) {
        if line == NEWS {
            self.disconnect(NEWS);
            self.lines[NEWS].pending.clear();
            self.news.retry_at = Some(Instant::now() + self.news.retries.failed());
        } else {
            self.fail(line, error);
        }
    }

    /// Subscribes all channels on a new connection.
    fn renew_subscription(&mut self) {
        self.disconnect(NEWS);
        self.lines[NEWS].pending.clear();
        // Soon, because several may be wanted at once.
        self.news.retry_at = Some(Instant::now());
    }

    fn subscribe(&mut self) {
        self.news.channels.retain(|(_, listener)| listener.strong_count() > 0);
        if !self.news.channels.is_empty() && matches!(self.lines[NEWS].link, Link::None) {
            // A message reaches the subscribers of all servers of a cluster.
            let up = self.lines[MAIN..].iter().find(|line| line.down.is_none() && !matches!(line.link, Link::None));
            if let Some(Line { address, .. }) = up.or(self.lines.get(MAIN)) {
                self.lines[NEWS].address = address.clone();
            }
            self.connect(NEWS);
        }
    }

    /// Goes on after an event of the connection.
    fn advance(&mut self, line: usize, replies: &mut Vec<Reply>) {
        match self.lines[line].link {
            Link::None | Link::Resolving { .. } => {}
            Link::Connecting { .. } => self.finish_connecting(line),
            Link::Connected(_) => self.read(line, replies),
        }
    }

    fn read(&mut self, line: usize, replies: &mut Vec<Reply>) {
        let Link::Connected(connection) = &mut self.lines[line].link else { return };
        let ended = connection.read(replies);
        for reply in replies.drain(..) {
            let taken = match self.lines[line].pending.pop_front() {
                Some(pending) => self.take_reply(line, pending, reply),
                None if line == NEWS => self.news.take(&reply),
                None => Ok(()),
            };
            if let Err(error) = taken {
                self.break_off(line, &error);
                break;
            }
        }
        replies.clear();
        match (ended, &self.lines[line].link) {
            (Ok(()), _) | (Err(_), Link::None) => {}
            (Err(_), _) if line != NEWS && self.lines[line].pending.is_empty() => self.disconnect(line),
            (Err(error), _) => self.break_off(line, &error),
        }
    }

    /// Takes the reply to a command. The error says why the server is down.
    fn take_reply(&mut self, line: usize, pending: Pending, reply: Reply) -> Result<(), String> {
        #[cfg(feature = "cluster")]
        let Some((pending, reply)) = self.take_reply_of_cluster(line, pending, reply) else { return Ok(()) };
        let Pending { kind, asked, until } = pending;
        match (kind, reply) {
            (Kind::Introduction(is_needed), Reply::Error(error)) if is_needed || error.starts_with("NOAUTH") => {
                Err(answered(&error))
            }
            (Kind::Introduction(_), _) => Ok(()),
            #[cfg(feature = "cluster")]
            (Kind::Slots, _) => Ok(()),
            (Kind::Probe, Reply::Error(error)) => Err(answered(&error)),
            (Kind::Probe, _) => {
                self.restore(line);
                Ok(())
            }
            (Kind::Ping(pong), Reply::Error(error)) => {
                self.lines[line].pings.push(pong);
                Err(answered(&error))
            }
            (Kind::Ping(pong), _) => {
                let _ = pong.send(Ok(()));
                Ok(())
            }
            (Kind::Ask { want, ask, form: Form::Hash }, Reply::Error(error)) if error.starts_with("NOSCRIPT") => {
                Counters::add(&self.shared.counters.scripts);
                let form = Form::Whole;
                let fresh = fresh_epoch(&self.epochs, &mut self.epochs_total);
                let Line { link, pending, .. } = &mut self.lines[line];
                if let Link::Connected(connection) = link {
                    connection.push(&script::command(&want.keys, &ask, fresh, form));
                }
                pending.push_back(Pending { kind: Kind::Ask { want, ask, form }, asked, until });
                Ok(())
            }
            (Kind::Call { call, then, form: Form::Hash }, Reply::Error(error))
                if call.script.is_some() && error.starts_with("NOSCRIPT") =>
            {
                Counters::add(&self.shared.counters.scripts);
                let form = Form::Whole;
                let Line { link, pending, .. } = &mut self.lines[line];
                if let Link::Connected(connection) = link {
                    connection.push(&script::call_command(&call, form));
                }
                pending.push_back(Pending { kind: Kind::Call { call, then, form }, asked, until });
                Ok(())
            }
            (Kind::Call { call, then, form }, Reply::Error(error)) => {
                self.lines[line].pending.push_front(Pending { kind: Kind::Call { call, then, form }, asked, until });
                Err(answered(&error))
            }
            (Kind::Call { then: Then(then), .. }, reply) => {
                guarded(|| then(Ok(reply)));
                Ok(())
            }
            (Kind::Ask { want, ask, form }, reply) => {
                let Some(answer) = script::answer(&ask, &reply) else {
                    // `fail` answers all that is pending.
                    self.lines[line].pending.push_front(Pending { kind: Kind::Ask { want, ask, form }, asked, until });
                    return Err(match reply {
                        Reply::Error(error) => answered(&error),
                        other => format!("answered in another form: {other:.100?}"),
                    });
                };
                let counters = &self.shared.counters;
                Counters::add(&counters.requests);
                let nanos = u64::try_from(asked.elapsed().as_nanos()).unwrap_or(u64::MAX);
                counters.round_trip.store(nanos, Relaxed);
                guarded(|| want.asker.answered(Ok(answer)));
                Ok(())
            }
        }
    }

    /// Fails what has taken too long. A process that was stopped for a while finds the answers
    /// first.
    fn check_deadlines(&mut self, line: usize, replies: &mut Vec<Reply>) {
        let now = Instant::now();
        if self.lines[line].is_late(now) {
            self.advance(line, replies);
            if self.lines[line].is_late(now) {
                let timeout = self.shared.config.timeout;
                self.break_off(line, &format!("no answer within {timeout:?}"));
            }
        }
    }

    pub(crate) fn disconnect(&mut self, line: usize) {
        let Line { link, first_until, .. } = &mut self.lines[line];
        *first_until = None;
        if let Link::Connecting { connection, .. } | Link::Connected(connection) = std::mem::replace(link, Link::None) {
            connection.close(self.poll.registry());
        }
    }

    /// Takes a server down, and answers what is pending.
    fn fail(&mut self, line: usize, error: &str) {
        self.disconnect(line);
        let error = StoreError::new(format!("{}: {error}", self.lines[line].address));
        let probe_at = Some(Instant::now() + self.lines[line].probe.failed());
        let was_down = self.lines[line].down.take();
        if was_down.is_none() {
            Counters::add(&self.shared.counters.losses);
            tracing::warn!(target: SHARED, %error, "a store is down");
        }
        let failed = was_down.map_or_else(HashMap::new, |down| down.failed);
        self.lines[line].down = Some(Box::new(Down { error, probe_at, failed }));
        let was_up = self.note_up();
        for Pending { kind, .. } in std::mem::take(&mut self.lines[line].pending) {
            self.refuse(line, kind);
        }
        self.refuse_all(line);
        if was_up {
            self.news.tell(|listener| listener.lost());
        }
        #[cfg(feature = "cluster")]
        self.look_for_another(line);
    }

    /// A server is up again.
    fn restore(&mut self, line: usize) {
        self.lines[line].probe.succeeded();
        let Some(down) = self.lines[line].down.take() else { return };
        tracing::info!(target: SHARED, server = %self.lines[line].address, "a store is up again");
        // The connection was made for the probe. The time of the next request begins with it.
        self.lines[line].first_until = None;
        self.is_back(*down);
    }

    /// Asks again for all that failed on a server.
    pub(crate) fn is_back(&mut self, down: Down) {
        let was_up = self.note_up();
        down.failed.into_values().for_each(|want| self.want(want));
        if !was_up && self.shared.is_up() {
            self.news.tell(|listener| listener.restored());
        }
    }

    /// Tells the handles which servers are up. Returns `true` if all were.
    pub(crate) fn note_up(&mut self) -> bool {
        let was_up = self.shared.is_up();
        #[cfg(feature = "cluster")]
        self.note_slots();
        self.shared.set_up(self.lines.iter().all(|line| line.down.is_none()));
        was_up
    }
}

impl Line {
    /// Moment at which the line breaks off; `None` if nothing is awaited.
    fn until(&self) -> Option<Instant> {
        match &self.link {
            Link::None => None,
            Link::Resolving { until } | Link::Connecting { until, .. } => Some(*until),
            Link::Connected(_) => self.pending.front().map(|pending| pending.until),
        }
    }

    fn is_late(&self, now: Instant) -> bool {
        self.until().is_some_and(|until| until <= now)
    }
}

impl News {
    fn subscription(&self) -> Command {
        let mut command = Command::new(&["SUBSCRIBE"]);
        for (channel, _) in &self.channels {
            command.add(channel);
        }
        command
    }

    fn tell(&self, tell: impl Fn(&dyn Listener)) {
        for listener in self.channels.iter().filter_map(|(_, listener)| listener.upgrade()) {
            guarded(|| tell(&*listener));
        }
    }

    /// Takes a message of the server.
    fn take(&mut self, reply: &Reply) -> Result<(), String> {
        let Reply::Array(items) = reply else { return Err("speaks another protocol than Redis".into()) };
        let [Reply::Bulk(kind), Reply::Bulk(channel), payload] = &items[..] else { return Ok(()) };
        let named = self.channels.iter().filter(|(name, _)| name.as_bytes() == channel);
        for listener in named.filter_map(|(_, listener)| listener.upgrade()) {
            match (&kind[..], payload) {
                (b"subscribe", _) => {
                    self.retries.succeeded();
                    guarded(|| listener.subscribed());
                }
                (b"message", Reply::Bulk(payload)) => drop(guarded(|| listener.message(payload))),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Down {
    fn refuse(&mut self, want: Want, counters: &Counters) {
        Counters::add(&counters.failed);
        guarded(|| want.asker.answered(Err(self.error.clone())));
        self.failed.insert(Arc::as_ptr(&want.asker).cast::<()>(), want);
    }
}

/// The epoch of a state that a server may have to make.
fn fresh_epoch(epochs: &RandomState, total: &mut u64) -> u64 {
    *total += 1;
    let mut hasher = epochs.build_hasher();
    hasher.write_u64(*total);
    hasher.finish()
}

fn answered(error: &str) -> String {
    format!("answered {error}")
}

impl Drop for IoThread {
    /// The thread ends with the last handle, or by a panic, which is a bug. Then all limiters that
    /// wait for an answer get an error.
    fn drop(&mut self) {
        if thread::panicking() {
            self.shared.thread_is_gone();
            (MAIN..self.lines.len()).for_each(|line| self.fail(line, "the I/O thread has panicked"));
        }
    }
}
