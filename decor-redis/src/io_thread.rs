//! The I/O thread: all requests of a store, its one connection, its timers.
//!
//! # The states of the store
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
    address::Endpoint,
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

/// The line of the requests.
const MAIN: usize = 0;

/// The line of the subscriptions.
const NEWS: usize = 1;

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
enum Due {
    Want(Want),
    Job(Arc<dyn Job>),
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
enum Link {
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
struct Pending {
    kind: Kind,
    asked: Instant,
    until: Instant,
}

#[derive(Debug)]
enum Kind {
    /// A command of the introduction. `true` if its error makes the connection useless.
    Introduction(bool),
    Probe,
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

/// A connection with its commands.
#[derive(Debug)]
struct Line {
    link: Link,
    /// Commands on the connection, in the order in which they were sent.
    pending: VecDeque<Pending>,
    /// The moment until which the first requests of a connection have to be answered, because the
    /// time for connecting is part of theirs. `None` once they are sent.
    first_until: Option<Instant>,
}

impl Line {
    fn new() -> Self {
        Self { link: Link::None, pending: VecDeque::new(), first_until: None }
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

/// The store is down.
#[derive(Debug)]
struct Down {
    error: StoreError,
    /// Moment of the next attempt. `None` while one is under way.
    probe_at: Option<Instant>,
    /// The limiters that got an error, by the address of the asker.
    failed: HashMap<*const (), Want>,
}

#[derive(Debug)]
pub(crate) struct IoThread {
    shared: Arc<Shared>,
    poll: Poll,
    timers: BinaryHeap<Reverse<Timer>>,
    /// Number of timers that were ever set.
    timers_total: u64,
    /// Limiters that want to be asked now.
    ready: VecDeque<Want>,
    pings: Vec<Pong>,
    calls: VecDeque<(Call, Then)>,
    lines: [Line; 2],
    news: News,
    /// `true` while a name server is asked, perhaps for a link that was given up.
    is_resolving: bool,
    down: Option<Box<Down>>,
    probe: Probe,
    epochs: RandomState,
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
        Self {
            shared,
            poll,
            timers: BinaryHeap::new(),
            timers_total: 0,
            ready: VecDeque::new(),
            pings: Vec::new(),
            calls: VecDeque::new(),
            lines: [Line::new(), Line::new()],
            news: News { channels: Vec::new(), retries: Probe::new(epochs.hash_one("news")), retry_at: None },
            is_resolving: false,
            down: None,
            probe: Probe::new(epochs.hash_one("probe")),
            epochs,
            epochs_total: 0,
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
            for line in [MAIN, NEWS] {
                if events.iter().any(|event| event.token() == token(line)) {
                    self.advance(line, &mut replies);
                }
                self.check_deadlines(line, &mut replies);
            }
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Want { want, at: None } => self.ready.push_back(want),
            Message::Want { want, at: Some(at) } => self.set_timer(at, Due::Want(want)),
            Message::Job { job, at } => self.set_timer(at, Due::Job(job)),
            Message::Call(call, then) => self.calls.push_back((call, then)),
            Message::Listen { channel, listener } => {
                if let Link::Connected(connection) = &mut self.lines[NEWS].link {
                    connection.push(&Command::new(&["SUBSCRIBE", &channel]));
                } else {
                    self.renew_subscription();
                }
                self.news.channels.push((channel, listener));
            }
            Message::IsDeaf => self.renew_subscription(),
            Message::Ping(pong) => self.pings.push(pong),
            Message::Resolved(addresses) => self.resolved(&addresses),
        }
    }

    fn set_timer(&mut self, at: Instant, due: Due) {
        self.timers_total += 1;
        self.timers.push(Reverse(Timer { at, number: self.timers_total, due }));
    }

    fn run_timers(&mut self, now: Instant) {
        while self.timers.peek().is_some_and(|Reverse(timer)| timer.at <= now) {
            let Some(Reverse(timer)) = self.timers.pop() else { break };
            match timer.due {
                Due::Want(want) => self.ready.push_back(want),
                Due::Job(job) => drop(guarded(|| job.run())),
            }
        }
        if self.news.retry_at.is_some_and(|at| at <= now) {
            self.news.retry_at = None;
            self.subscribe();
        }
        if let Some(down) = &mut self.down
            && down.probe_at.is_some_and(|at| at <= now)
        {
            down.probe_at = None;
            self.connect(MAIN);
        }
    }

    /// Time until something has to be done; `None` if only an event brings something to do.
    fn time_left(&self) -> Option<Duration> {
        let timer = self.timers.peek().map(|Reverse(timer)| timer.at);
        let lines = self.lines.iter().filter_map(Line::until).min();
        let probe = self.down.as_ref().and_then(|down| down.probe_at);
        let next = [timer, lines, probe, self.news.retry_at].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Asks the limiters that want to be asked, and sends their requests.
    fn serve(&mut self) {
        if self.down.is_some() {
            self.refuse_all();
        } else if !(self.ready.is_empty() && self.pings.is_empty() && self.calls.is_empty()) {
            if let Link::None = self.lines[MAIN].link {
                self.connect(MAIN);
            }
            self.ask_all();
        }
        self.flush(MAIN);
        self.flush(NEWS);
    }

    fn ask_all(&mut self) {
        let Line { link: Link::Connected(connection), pending, first_until } = &mut self.lines[MAIN] else { return };
        let timeout = self.shared.config.timeout;
        // A request on a new connection has waited for it.
        let first_until = first_until.take();
        for pong in self.pings.drain(..) {
            let asked = Instant::now();
            connection.push(&Command::new(&["PING"]));
            let until = first_until.unwrap_or(asked + timeout);
            pending.push_back(Pending { kind: Kind::Ping(pong), asked, until });
        }
        while !connection.is_full() && pending.len() < MOST_IN_FLIGHT {
            let Some((call, then)) = self.calls.pop_front() else { break };
            let (asked, form) = (Instant::now(), Form::Hash);
            connection.push(&script::call_command(&call, form));
            let until = first_until.unwrap_or(asked + timeout);
            pending.push_back(Pending { kind: Kind::Call { call, then, form }, asked, until });
        }
        while !connection.is_full() && pending.len() < MOST_IN_FLIGHT {
            let Some(want) = self.ready.pop_front() else { break };
            let Some(ask) = guarded(|| want.asker.ask()).flatten() else { continue };
            let asked = Instant::now();
            let form = Form::Hash;
            let fresh = fresh_epoch(&self.epochs, &mut self.epochs_total);
            connection.push(&script::command(&want.keys, &ask, fresh, form));
            let until = first_until.unwrap_or(asked + timeout);
            pending.push_back(Pending { kind: Kind::Ask { want, ask, form }, asked, until });
        }
    }

    /// Answers all that want something while the store is down.
    fn refuse_all(&mut self) {
        let Some(down) = &mut self.down else { return };
        for pong in self.pings.drain(..) {
            let _ = pong.send(Err(down.error.clone()));
        }
        while let Some((_, Then(then))) = self.calls.pop_front() {
            guarded(|| then(Err(down.error.clone())));
        }
        while let Some(want) = self.ready.pop_front() {
            if guarded(|| want.asker.ask()).flatten().is_some() {
                down.refuse(want, &self.shared.counters);
            }
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

    fn connect(&mut self, line: usize) {
        let until = Instant::now() + self.shared.config.timeout;
        if let Some(addresses) = known_addresses(&self.shared.config.address.endpoint) {
            self.connect_to(line, addresses, until);
        } else {
            self.lines[line].link = Link::Resolving { until };
            self.resolve(line);
        }
    }

    /// Asks the name server on a thread of its own, because that may take seconds.
    fn resolve(&mut self, line: usize) {
        let Endpoint::Tcp { host, port, .. } = &self.shared.config.address.endpoint else { return };
        if self.is_resolving {
            return;
        }
        let (place, shared) = ((host.clone(), *port), self.shared.clone());
        let resolve = move || {
            let addresses = place.to_socket_addrs().map(Iterator::collect);
            shared.send(Message::Resolved(addresses));
        };
        match thread::Builder::new().name("decor-redis-names".into()).spawn(resolve) {
            Ok(_) => self.is_resolving = true,
            Err(error) => self.break_off(line, &error.to_string()),
        }
    }

    fn resolved(&mut self, addresses: &io::Result<Vec<SocketAddr>>) {
        self.is_resolving = false;
        for line in [MAIN, NEWS] {
            let Link::Resolving { until } = self.lines[line].link else { continue };
            match addresses {
                Ok(addresses) if addresses.is_empty() => self.break_off(line, "the name has no address"),
                Ok(addresses) => self.connect_to(line, addresses.clone(), until),
                Err(error) => self.break_off(line, &error.to_string()),
            }
        }
    }

    /// Connects to the first address, and keeps the others.
    fn connect_to(&mut self, line: usize, addresses: Vec<SocketAddr>, until: Instant) {
        let registry = self.poll.registry();
        let mut addresses = addresses.into_iter();
        let connection = match (&self.shared.config.address.endpoint, addresses.next()) {
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
                    (&self.shared.config.address.endpoint, &self.shared.config.tls)
                {
                    connection = match connection.encrypt(config.clone(), host) {
                        Ok(connection) => connection,
                        Err(error) => return self.break_off(line, &error.to_string()),
                    };
                }
                let pending = &mut self.lines[line].pending;
                let asked = Instant::now();
                for (is_needed, command) in introduction(&self.shared.config.address) {
                    connection.push(&command);
                    pending.push_back(Pending { kind: Kind::Introduction(is_needed), asked, until });
                }
                if line == NEWS {
                    connection.push(&self.news.subscription());
                } else {
                    Counters::add(&self.shared.counters.connections);
                    if self.down.is_some() {
                        connection.push(&script::probe(&self.shared.config.prefix));
                        pending.push_back(Pending { kind: Kind::Probe, asked, until });
                    }
                    self.lines[line].first_until = Some(until);
                }
                self.lines[line].link = Link::Connected(connection);
                self.serve();
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

    /// Ends a line by an error.
    fn break_off(&mut self, line: usize, error: &str) {
        if line == MAIN {
            self.fail(error);
        } else {
            self.disconnect(NEWS);
            self.lines[NEWS].pending.clear();
            self.news.retry_at = Some(Instant::now() + self.news.retries.failed());
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
                Some(pending) => self.take_reply(pending, reply),
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
            (Err(_), _) if line == MAIN && self.lines[MAIN].pending.is_empty() => self.disconnect(MAIN),
            (Err(error), _) => self.break_off(line, &error),
        }
    }

    /// Takes the reply to a command. The error says why the store is down.
    fn take_reply(&mut self, pending: Pending, reply: Reply) -> Result<(), String> {
        let Pending { kind, asked, until } = pending;
        match (kind, reply) {
            (Kind::Introduction(is_needed), Reply::Error(error)) if is_needed || error.starts_with("NOAUTH") => {
                Err(answered(&error))
            }
            (Kind::Introduction(_), _) => Ok(()),
            (Kind::Probe, Reply::Error(error)) => Err(answered(&error)),
            (Kind::Probe, _) => {
                self.restore();
                Ok(())
            }
            (Kind::Ping(pong), Reply::Error(error)) => {
                self.pings.push(pong);
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
                let Line { link, pending, .. } = &mut self.lines[MAIN];
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
                let Line { link, pending, .. } = &mut self.lines[MAIN];
                if let Link::Connected(connection) = link {
                    connection.push(&script::call_command(&call, form));
                }
                pending.push_back(Pending { kind: Kind::Call { call, then, form }, asked, until });
                Ok(())
            }
            (Kind::Call { call, then, form }, Reply::Error(error)) => {
                self.lines[MAIN].pending.push_front(Pending { kind: Kind::Call { call, then, form }, asked, until });
                Err(answered(&error))
            }
            (Kind::Call { then: Then(then), .. }, reply) => {
                guarded(|| then(Ok(reply)));
                Ok(())
            }
            (Kind::Ask { want, ask, form }, reply) => {
                let Some(answer) = script::answer(&ask, &reply) else {
                    // `fail` answers all that is pending.
                    self.lines[MAIN].pending.push_front(Pending { kind: Kind::Ask { want, ask, form }, asked, until });
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

    fn disconnect(&mut self, line: usize) {
        let Line { link, first_until, .. } = &mut self.lines[line];
        *first_until = None;
        if let Link::Connecting { connection, .. } | Link::Connected(connection) = std::mem::replace(link, Link::None) {
            connection.close(self.poll.registry());
        }
    }

    /// Takes the store down, and answers what is pending.
    fn fail(&mut self, error: &str) {
        self.disconnect(MAIN);
        let error = StoreError::new(format!("{}: {error}", self.shared.config.address));
        let probe_at = Some(Instant::now() + self.probe.failed());
        let counters = &self.shared.counters;
        let was_down = self.down.is_some();
        if !was_down {
            Counters::add(&counters.losses);
        }
        let failed = self.down.take().map_or_else(HashMap::new, |down| down.failed);
        self.shared.set_up(false);
        let mut down = Box::new(Down { error, probe_at, failed });
        for Pending { kind, .. } in self.lines[MAIN].pending.drain(..) {
            match kind {
                Kind::Ask { want, .. } => down.refuse(want, counters),
                Kind::Ping(pong) => {
                    let _ = pong.send(Err(down.error.clone()));
                }
                Kind::Call { then: Then(then), .. } => drop(guarded(|| then(Err(down.error.clone())))),
                Kind::Introduction(_) | Kind::Probe => {}
            }
        }
        self.down = Some(down);
        self.refuse_all();
        if !was_down {
            self.news.tell(|listener| listener.lost());
        }
    }

    /// The store is up again.
    fn restore(&mut self) {
        self.probe.succeeded();
        let Some(down) = self.down.take() else { return };
        // The connection was made for the probe. The time of the next request begins with it.
        self.lines[MAIN].first_until = None;
        self.shared.set_up(true);
        self.ready.extend(down.failed.into_values());
        self.news.tell(|listener| listener.restored());
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
            self.fail("the I/O thread has panicked");
        }
    }
}
