//! The masters of a cluster: which of them has a slot, and how a request finds it.
//!
//! Each new connection asks for the slots. A server that is no cluster says so, and there is one
//! line for requests. Otherwise each master has a line of its own, with its own state, so that a
//! master that is down leaves the limits of the others alone.
//!
//! | answer | meaning | what follows |
//! |---|---|---|
//! | `MOVED` | another server has the slot | the request goes there, and that server is asked for all slots |
//! | `ASK` | the slot is on its way, and the keys are there | this request goes there |
//! | `TRYAGAIN` | some of the keys are there | the request is sent again after [`AGAIN`] |
//!
//! While a master is down, the others are asked for the slots with each attempt, because a replica
//! may have taken its place. If all are down, the names of the URL are looked up again.

use crate::{
    address::{Address, Endpoint},
    connection::Connection,
    io_thread::{Due, IoThread, Kind, Line, Link, MAIN, Pending},
    keys::{SLOTS, slot_of},
    resp::{Command, Reply},
    script,
};
use std::{
    collections::VecDeque,
    hash::BuildHasher,
    mem,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Delay before a request is sent again that a moving slot could not serve.
const AGAIN: Duration = Duration::from_millis(10);

/// The cluster, as the I/O thread knows it.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// Line of each slot. Empty before a server has said that it belongs to a cluster.
    owners: Vec<usize>,
    /// Number of servers of the URL that were tried.
    tried: usize,
}

/// The cluster, as the handles know it.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    /// `true` once a server has said that it is no cluster.
    is_one_server: AtomicBool,
    /// For each slot, `false` while its server is down. Unset as long as no cluster is known.
    is_up: OnceLock<Box<[AtomicBool]>>,
}

impl Topology {
    pub(crate) fn is_up(&self, slot: u16) -> Option<bool> {
        Some(self.is_up.get()?[usize::from(slot)].load(Ordering::Acquire))
    }

    pub(crate) fn is_one_server(&self) -> bool {
        self.is_one_server.load(Ordering::Acquire)
    }
}

/// A request that goes to another line than at first.
#[derive(Debug)]
pub(crate) struct Redirected {
    request: Pending,
    /// `true` if the slot is on its way to the server.
    is_asking: bool,
}

impl Redirected {
    pub(crate) fn into_kind(self) -> Kind {
        self.request.kind
    }

    pub(crate) fn send(self, connection: &mut Connection, pending: &mut VecDeque<Pending>, fresh: u64) {
        let Pending { kind, asked, until } = self.request;
        if self.is_asking {
            connection.push(&Command::new(&["ASKING"]));
            pending.push_back(Pending { kind: Kind::Introduction(false), asked, until });
        }
        match &kind {
            Kind::Ask { want, ask, form } => connection.push(&script::command(&want.keys, ask, fresh, *form)),
            Kind::Call { call, form, .. } => connection.push(&script::call_command(call, *form)),
            _ => return, // nothing else is redirected
        }
        pending.push_back(Pending { kind, asked, until });
    }
}

/// The command that asks for all slots.
pub(crate) fn slots() -> Command {
    Command::new(&["CLUSTER", "SLOTS"])
}

/// An error of a server that does not have the keys.
#[derive(Debug, PartialEq, Eq)]
enum Elsewhere {
    Moved { slot: u16, host: String, port: u16 },
    Ask { host: String, port: u16 },
    TryAgain,
}

impl Elsewhere {
    /// Reads an error such as `MOVED 3999 127.0.0.1:6381`; `None` for another error.
    fn of(error: &str) -> Option<Self> {
        let mut words = error.split(' ');
        let kind = words.next()?;
        if kind == "TRYAGAIN" {
            return Some(Self::TryAgain);
        }
        if !matches!(kind, "MOVED" | "ASK") {
            return None;
        }
        let slot = words.next()?.parse().ok().filter(|slot| *slot < SLOTS)?;
        // An address of IPv6 has colons as well, and no brackets.
        let (host, port) = words.next()?.rsplit_once(':')?;
        let (host, port) = (host.to_owned(), port.parse().ok()?);
        Some(if kind == "MOVED" { Self::Moved { slot, host, port } } else { Self::Ask { host, port } })
    }
}

/// The first and the last slot of a range, with the host and the port of its master. The host is
/// empty if it is that of the server that was asked.
type Range = (u16, u16, String, u16);

/// Reads the answer to `CLUSTER SLOTS`; `None` if it has another form.
fn ranges(reply: &Reply) -> Option<Vec<Range>> {
    let Reply::Array(items) = reply else { return None };
    let number = |reply: &Reply| match reply {
        Reply::Integer(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let range = |item: &Reply| {
        let Reply::Array(parts) = item else { return None };
        let [first, last, Reply::Array(master), ..] = &parts[..] else { return None };
        let [host, port, ..] = &master[..] else { return None };
        let host = match host {
            Reply::Bulk(host) => std::str::from_utf8(host).ok()?.to_owned(),
            _ => String::new(),
        };
        let (first, last) = (number(first)?, number(last).filter(|last| *last < SLOTS)?);
        Some((first, last, host, number(port)?))
    };
    items.iter().map(range).collect()
}

impl IoThread {
    /// The line of the server that has a slot.
    pub(crate) fn line_of(&self, slot: u16) -> usize {
        self.cluster.owners.get(usize::from(slot)).copied().unwrap_or(MAIN)
    }

    /// Tells the handles which slots are served.
    pub(crate) fn note_slots(&self) {
        if self.cluster.owners.is_empty() {
            return;
        }
        let new = || (0..SLOTS).map(|_| AtomicBool::new(true)).collect();
        let flags = self.shared.topology.is_up.get_or_init(new);
        for (flag, line) in flags.iter().zip(&self.cluster.owners) {
            flag.store(self.lines[*line].down.is_none(), Ordering::Release);
        }
    }

    /// A hash tag that a server of the cluster has; `None` if no cluster is known.
    pub(crate) fn tag_on(&self, line: usize) -> Option<String> {
        let prefix = &self.shared.config.prefix;
        let mut tags = (0..u32::from(SLOTS)).map(|n| format!("{prefix}:{n}"));
        tags.find(|tag| self.cluster.owners.get(usize::from(slot_of(tag.as_bytes()))) == Some(&line))
    }

    /// Takes a reply that says something of the cluster. Returns every other.
    pub(crate) fn take_reply_of_cluster(
        &mut self,
        line: usize,
        request: Pending,
        reply: Reply,
    ) -> Option<(Pending, Reply)> {
        match (&request.kind, &reply) {
            (Kind::Slots, Reply::Error(error)) => {
                // Another error may be a permission that is missing.
                let is_one = error.contains("cluster support disabled");
                self.shared.topology.is_one_server.fetch_or(is_one, Ordering::AcqRel);
            }
            (Kind::Slots, reply) => self.take_slots(line, reply),
            (Kind::Ask { .. } | Kind::Call { .. }, Reply::Error(error)) => match Elsewhere::of(error) {
                Some(elsewhere) if elsewhere == Elsewhere::TryAgain || Instant::now() < request.until => {
                    self.redirect(line, request, elsewhere);
                }
                _ => return Some((request, reply)),
            },
            _ => return Some((request, reply)),
        }
        None
    }

    fn redirect(&mut self, line: usize, mut request: Pending, elsewhere: Elsewhere) {
        match elsewhere {
            Elsewhere::Moved { slot, host, port } => {
                let owner = self.line_at(line, &host, port);
                if self.cluster.owners.is_empty() {
                    self.cluster.owners = vec![line; SLOTS.into()];
                }
                self.cluster.owners[usize::from(slot)] = owner;
                self.note_slots();
                self.look_at_slots(owner);
                self.lines[owner].redirected.push_back(Redirected { request, is_asking: false });
            }
            Elsewhere::Ask { host, port } => {
                let next = self.line_at(line, &host, port);
                self.lines[next].redirected.push_back(Redirected { request, is_asking: true });
            }
            Elsewhere::TryAgain => {
                let at = Instant::now() + AGAIN;
                request.until = at + self.shared.config.timeout;
                self.set_timer(at, Due::Again(Box::new(Redirected { request, is_asking: false })));
            }
        }
    }

    /// Sends a request to the server that has its slot.
    pub(crate) fn again(&mut self, redirected: Redirected) {
        let slot = match &redirected.request.kind {
            Kind::Ask { want, .. } => want.keys.slot(),
            Kind::Call { call, .. } => call.slot(),
            _ => return, // nothing else is redirected
        };
        let line = self.line_of(slot);
        self.lines[line].redirected.push_back(redirected);
    }

    /// The line of a server, as another one names it.
    fn line_at(&mut self, named_by: usize, host: &str, port: u16) -> usize {
        let mut address = self.shared.config.address.first();
        // An empty name, or `?`, is the host of the server that was asked.
        let host = match (host, &self.lines[named_by].address.endpoint) {
            ("" | "?", Endpoint::Tcp { host, .. }) => host,
            _ => host,
        };
        let is_secure = matches!(address.endpoint, Endpoint::Tcp { is_secure: true, .. });
        address.endpoint = Endpoint::Tcp { host: host.to_owned(), port, is_secure };
        self.line_to(address)
    }

    fn line_to(&mut self, address: Address) -> usize {
        let mut lines = (MAIN..).zip(&self.lines[MAIN..]);
        if let Some((line, _)) = lines.clone().find(|(_, line)| !line.is_spare && line.address == address) {
            return line;
        }
        let spare = lines.find(|(_, line)| line.is_spare).map_or(self.lines.len(), |(line, _)| line);
        let new = Line::new(address, self.epochs.hash_one(spare));
        if spare == self.lines.len() {
            self.lines.push(new);
        } else {
            self.lines[spare] = new;
        }
        spare
    }

    /// Asks a server for all slots. A server without a connection is asked once it has one.
    fn look_at_slots(&mut self, line: usize) {
        let until = Instant::now() + self.shared.config.timeout;
        let Line { link: Link::Connected(connection), pending, .. } = &mut self.lines[line] else { return };
        if !pending.iter().any(|pending| matches!(pending.kind, Kind::Slots)) {
            connection.push(&slots());
            pending.push_back(Pending { kind: Kind::Slots, asked: Instant::now(), until });
        }
    }

    fn take_slots(&mut self, asked: usize, reply: &Reply) {
        let Some(ranges) = ranges(reply).filter(|ranges| !ranges.is_empty()) else { return };
        if self.cluster.owners.is_empty() {
            self.cluster.owners = vec![asked; SLOTS.into()];
        }
        for (first, last, host, port) in ranges {
            let owner = self.line_at(asked, &host, port);
            for slot in first..=last {
                self.cluster.owners[usize::from(slot)] = owner;
            }
        }
        self.note_slots();
        for line in MAIN..self.lines.len() {
            if self.has_slots(line) {
                // Some of its slots may be elsewhere, and their limiters need not wait for it.
                let owners = &self.cluster.owners;
                let is_elsewhere = |slot: u16| owners[usize::from(slot)] != line;
                let Some(down) = &mut self.lines[line].down else { continue };
                let wants = down.failed.extract_if(|_, want| is_elsewhere(want.keys.slot()));
                let wants: Vec<_> = wants.map(|(_, want)| want).collect();
                for want in wants {
                    self.want(want);
                }
            } else {
                self.retire(line);
            }
        }
    }

    fn has_slots(&self, line: usize) -> bool {
        self.cluster.owners.contains(&line)
    }

    /// Passes on what a server without slots was to do. Such a server is never down.
    fn retire(&mut self, line: usize) {
        for want in mem::take(&mut self.lines[line].ready) {
            self.want(want);
        }
        for (call, then) in mem::take(&mut self.lines[line].calls) {
            self.call(call, then);
        }
        for redirected in mem::take(&mut self.lines[line].redirected) {
            self.again(redirected);
        }
        let pings = mem::take(&mut self.lines[line].pings);
        let first = self.line_of(0);
        self.lines[first].pings.extend(pings);
        if self.lines[line].pending.is_empty() {
            self.disconnect(line);
            self.lines[line].is_spare = true;
        }
        if let Some(down) = self.lines[line].down.take() {
            self.is_back(*down);
        }
    }

    /// Looks for the servers that have the slots of one that is down.
    pub(crate) fn look_for_another(&mut self, failed: usize) {
        let is_known = !self.cluster.owners.is_empty();
        if is_known && !self.has_slots(failed) {
            return self.retire(failed);
        }
        let up = (MAIN..self.lines.len()).find(|line| {
            let Line { down, link, .. } = &self.lines[*line];
            down.is_none() && matches!(link, Link::Connected(_))
        });
        if let Some(up) = up.filter(|_| is_known) {
            return self.look_at_slots(up);
        }
        let address = &self.shared.config.address;
        let seeds = 1 + address.others.len();
        self.cluster.tried += 1;
        let mut next = address.first();
        if let Some(other) = (self.cluster.tried % seeds).checked_sub(1) {
            next.endpoint = address.others[other].clone();
        }
        if is_known {
            let line = self.line_to(next);
            if let Line { link: Link::None, down: None, .. } = self.lines[line] {
                self.connect(line);
            }
        } else {
            // The next attempt is made there.
            self.lines[failed].address = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_cluster_are_read() {
        let moved = |slot, host: &str, port| Some(Elsewhere::Moved { slot, host: host.into(), port });
        assert_eq!(Elsewhere::of("MOVED 3999 127.0.0.1:6381"), moved(3999, "127.0.0.1", 6381));
        assert_eq!(Elsewhere::of("MOVED 0 ::1:6381"), moved(0, "::1", 6381));
        assert_eq!(Elsewhere::of("MOVED 0 :6381"), moved(0, "", 6381));
        assert_eq!(Elsewhere::of("ASK 7 a.b:1"), Some(Elsewhere::Ask { host: "a.b".into(), port: 1 }));
        assert_eq!(Elsewhere::of("TRYAGAIN Multiple keys request"), Some(Elsewhere::TryAgain));
        for other in ["MOVED", "MOVED 16384 a:1", "MOVED 1 a", "MOVED 1 a:x", "OOM command", "CLUSTERDOWN The", ""] {
            assert_eq!(Elsewhere::of(other), None, "{other}");
        }
    }

    #[test]
    fn slots_are_read_with_their_masters() {
        let bulk = |text: &str| Reply::Bulk(text.into());
        let server =
            |host: Reply, port| Reply::Array(vec![host, Reply::Integer(port), bulk("id"), Reply::Array(vec![])]);
        let range = |first, last, servers: Vec<Reply>| {
            Reply::Array([vec![Reply::Integer(first), Reply::Integer(last)], servers].concat())
        };
        let reply = Reply::Array(vec![
            range(0, 99, vec![server(bulk("10.0.0.1"), 7_000), server(bulk("10.0.0.2"), 7_001)]),
            range(100, 16_383, vec![server(Reply::Nil, 7_002)]),
        ]);
        let expected = vec![(0, 99, "10.0.0.1".into(), 7_000), (100, 16_383, String::new(), 7_002)];
        assert_eq!(ranges(&reply), Some(expected));
        assert_eq!(ranges(&Reply::Array(vec![range(0, 16_384, vec![server(bulk("a"), 1)])])), None);
        assert_eq!(ranges(&Reply::Array(vec![range(0, 1, vec![])])), None);
        assert_eq!(ranges(&Reply::Nil), None);
    }
}
