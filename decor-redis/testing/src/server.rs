//! The server.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Advice where the program is missing.
pub const MISSING: &str = "redis-server is not installed: apt-get install -y redis-server";

/// Says on the error output that a test is skipped. The test harness does not capture it.
pub fn skip(test: &str) {
    let _ = writeln!(io::stderr(), "skipped {test}: {MISSING}");
}

/// A server without files. Ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    settings: Vec<String>,
}

impl Server {
    /// Starts a server on a free port, with settings as in `["--maxmemory", "1"]`. `None` if the
    /// program is missing.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        // Another process may take the port before the server does.
        for _ in 0..10 {
            let port = free_port();
            let mut server = Self { child: spawn(port, &settings)?, port, settings: settings.clone() };
            if server.is_ready() {
                return Some(server);
            }
        }
        panic!("redis-server does not start");
    }

    /// Starts masters that share the slots of a cluster evenly. `None` if the program is missing.
    pub fn cluster(masters: u16) -> Option<Vec<Self>> {
        let mut servers = Vec::new();
        for n in 0..masters {
            let (server, bus) = Self::start_node()?;
            let slot = |n: u16| u32::from(n) * 16_384 / u32::from(masters);
            let (first, last) = (slot(n).to_string(), (slot(n + 1) - 1).to_string());
            assert_eq!(server.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]), "OK");
            server.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]);
            servers.push((server, bus));
        }
        let (first, others) = servers.split_first().unwrap();
        for (server, bus) in others {
            first.0.command(&["CLUSTER", "MEET", "127.0.0.1", &server.port.to_string(), bus]);
        }
        let servers: Vec<Self> = servers.into_iter().map(|(server, _)| server).collect();
        wait_until(|| servers.iter().all(|server| server.knows(masters.into())));
        Some(servers)
    }

    /// Adds a replica of one of the masters to a cluster. `None` if the program is missing.
    pub fn replica(masters: &[Self], of: usize) -> Option<Self> {
        let (replica, bus) = Self::start_node()?;
        for master in masters {
            master.command(&["CLUSTER", "MEET", "127.0.0.1", &replica.port.to_string(), &bus]);
        }
        let nodes = masters.len() + 1;
        wait_until(|| masters.iter().chain([&replica]).all(|server| server.knows(nodes)));
        let id = masters[of].command(&["CLUSTER", "MYID"]);
        wait_until(|| replica.command(&["CLUSTER", "REPLICATE", &id]) == "OK");
        wait_until(|| masters[of].command(&["INFO", "replication"]).contains("state=online"));
        // The others vote for it once they know of it.
        let is_replica = |server: &Self| server.command(&["CLUSTER", "NODES"]).contains(&format!("slave {id}"));
        wait_until(|| masters.iter().all(is_replica));
        Some(replica)
    }

    /// Returns `true` once a node of a cluster sees so many nodes, and a master for each slot.
    fn knows(&self, nodes: usize) -> bool {
        let info = self.command(&["CLUSTER", "INFO"]);
        let has = |line: &str| info.lines().any(|other| other == line);
        has("cluster_state:ok") && has("cluster_slots_ok:16384") && has(&format!("cluster_known_nodes:{nodes}"))
    }

    /// Starts a node of a cluster without slots, and returns the port of its bus.
    ///
    /// A master that is down does not make the others refuse: `cluster-require-full-coverage no`.
    fn start_node() -> Option<(Self, String)> {
        let bus = free_port();
        let nodes = env::temp_dir().join(format!("decor-redis-nodes-{}-{bus}", std::process::id()));
        let (bus, nodes) = (bus.to_string(), nodes.to_str().unwrap().to_owned());
        let cluster = ["--cluster-enabled", "yes", "--cluster-config-file", &nodes, "--cluster-port", &bus];
        let patience = ["--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000"];
        let replicas = ["--repl-diskless-sync-delay", "0"];
        Some((Self::start(&[&cluster[..], &patience, &replicas].concat())?, bus))
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().skip_while(|setting| *setting != name).nth(1).map(|value| &**value)
    }

    /// The port of the server on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL, without a password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The process of the server.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server answers. Returns `false` if it has ended.
    fn is_ready(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            // A server with a password answers as well, though with an error.
            if self.try_command(&["PING"]).is_ok() {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("redis-server does not answer");
    }

    /// Ends the server as `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts a killed server again, empty, on the same port.
    pub fn restart(&mut self) {
        self.child = spawn(self.port, &self.settings).expect(MISSING);
        assert!(self.is_ready(), "redis-server does not start again");
    }

    /// Runs a command on a connection of its own, and returns the reply as text: an array as its
    /// items on a line each.
    pub fn command(&self, words: &[&str]) -> String {
        self.try_command(words).unwrap()
    }

    fn try_command(&self, words: &[&str]) -> io::Result<String> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port))?);
        stream.get_ref().set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream.get_mut(), "*{}\r\n", words.len())?;
        for word in words {
            write!(stream.get_mut(), "${}\r\n{word}\r\n", word.len())?;
        }
        reply(&mut stream)
    }
}

fn wait_until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the cluster does not begin");
        thread::sleep(Duration::from_millis(20));
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn reply(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    if !line.ends_with("\r\n") {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.trim_end();
    let (kind, rest) = line.split_at(1);
    let number = || rest.parse::<i64>().map_err(io::Error::other);
    Ok(match kind {
        "$" => match usize::try_from(number()?) {
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                stream.read_exact(&mut bytes)?;
                bytes.truncate(length);
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Err(_) => "nil".into(),
        },
        "*" => {
            let items: io::Result<Vec<String>> = (0..number()?.max(0)).map(|_| reply(stream)).collect();
            items?.join("\n")
        }
        "-" => line.into(),
        _ => rest.into(),
    })
}

fn snapshot(port: u16) -> String {
    format!("decor-redis-{}-{port}.rdb", std::process::id())
}

fn spawn(port: u16, settings: &[String]) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    // A replica writes what it gets from its master.
    command.arg("--dir").arg(env::temp_dir()).args(["--dbfilename", &snapshot(port)]);
    command.args(settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Some(child),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => panic!("redis-server: {error}"),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_file(env::temp_dir().join(snapshot(self.port)));
        if let Some(nodes) = self.setting("--cluster-config-file") {
            let _ = fs::remove_file(nodes);
        }
    }
}
