//! A Redis in this process: enough of it for a descriptor cache, with the faults that tests need.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What tests may set and see.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) data: HashMap<String, (String, Option<u64>)>,
    pub(crate) members: HashMap<String, HashSet<String>>,
    /// Every command of every connection.
    pub(crate) log: Vec<String>,
    pub(crate) password: Option<(String, String)>,
    /// Answers nothing.
    pub(crate) hangs: bool,
    /// Commands that are refused, with the error.
    pub(crate) refused: HashMap<String, String>,
    /// The error that GET and SET of these keys give, and whether only until ASKING.
    pub(crate) elsewhere: HashMap<String, (String, bool)>,
    pub(crate) clock_ahead: Duration,
    /// How long GET takes.
    pub(crate) slow: Duration,
    /// Which connection each GET came by.
    pub(crate) askers: Vec<usize>,
    pub(crate) accepted: usize,
    pub(crate) open: usize,
    pub(crate) most_open: usize,
    /// What CLUSTER SLOTS answers.
    pub(crate) slots: String,
    /// Whom SENTINEL names.
    pub(crate) master: Option<SocketAddr>,
}

/// A running server. Ends with its value.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) addr: SocketAddr,
    pub(crate) state: Arc<Mutex<State>>,
    acceptor: AbortHandle,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.hang_up();
    }
}

impl Fake {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), Arc::default()).await
    }

    pub(crate) async fn start_at(addr: SocketAddr, state: Arc<Mutex<State>>) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let (shared, list) = (Arc::clone(&state), Arc::clone(&connections));
        let acceptor = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let task = tokio::spawn(serve(stream, Arc::clone(&shared)));
                list.lock().unwrap().push(task.abort_handle());
            }
        });
        Self { addr, state, acceptor: acceptor.abort_handle(), connections }
    }

    pub(crate) fn hang_up(&self) {
        self.connections.lock().unwrap().drain(..).for_each(|task| task.abort());
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn logged(&self, part: &str) -> usize {
        self.state().log.iter().filter(|line| line.contains(part)).count()
    }
}

struct Open(Arc<Mutex<State>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().unwrap().open -= 1;
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let serial = {
        let mut state = state.lock().unwrap();
        state.open += 1;
        state.most_open = state.most_open.max(state.open);
        state.accepted += 1;
        state.accepted
    };
    let _open = Open(Arc::clone(&state));
    let mut stream = BufReader::new(stream);
    let mut session = Session::default();
    while let Some(command) = read(&mut stream).await {
        while state.lock().unwrap().hangs {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if command[0] == "GET" {
            let slow = {
                let mut state = state.lock().unwrap();
                state.askers.push(serial);
                state.slow
            };
            tokio::time::sleep(slow).await;
        }
        let answer = state.lock().unwrap().answer(&mut session, &command);
        if stream.get_mut().write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let count = line(stream).await?.strip_prefix('*')?.parse().ok()?;
    let mut command = Vec::new();
    for _ in 0..count {
        let length: usize = line(stream).await?.strip_prefix('$')?.parse().ok()?;
        let mut bytes = vec![0; length + 2];
        stream.read_exact(&mut bytes).await.ok()?;
        bytes.truncate(length);
        command.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    Some(command)
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    (!line.is_empty()).then(|| line.trim_end().to_owned())
}

#[derive(Default)]
struct Session {
    known: bool,
    asking: bool,
}

const OK: &str = "+OK\r\n";

pub(crate) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

impl State {
    pub(crate) fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + self.clock_ahead;
        u64::try_from(now.as_millis()).unwrap()
    }

    fn answer(&mut self, session: &mut Session, command: &[String]) -> String {
        self.log.push(command.join(" "));
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let name = words[0].to_ascii_uppercase();
        let known = session.known || self.password.is_none();
        if let Some(error) = self.refused.get(&name) {
            return format!("-{error}\r\n");
        }
        match (name.as_str(), &words[1..]) {
            ("HELLO", [_, "AUTH", user, password]) => match self.login(session, user, password) {
                true => hello(),
                false => "-WRONGPASS invalid username-password pair\r\n".to_owned(),
            },
            ("HELLO", [_]) if known => hello(),
            ("AUTH", [password]) if self.login(session, "default", password) => OK.to_owned(),
            ("AUTH", [user, password]) if self.login(session, user, password) => OK.to_owned(),
            ("AUTH", _) => "-WRONGPASS invalid username-password pair\r\n".to_owned(),
            _ if !known => "-NOAUTH Authentication required.\r\n".to_owned(),
            ("GET" | "SET", [key, ..])
                if let Some((error, once)) = self.elsewhere.get(*key)
                    && !(*once && session.asking) =>
            {
                format!("-{error}\r\n")
            }
            ("GET", [key]) => self.get(key).map_or("_\r\n".to_owned(), |value| bulk(&value)),
            ("SET", [key, value, rest @ ..]) => self.set(key, value, rest),
            ("DEL", [key]) => format!(":{}\r\n", u8::from(self.data.remove(*key).is_some())),
            ("SREM", [key, member]) => {
                let set = self.members.entry((*key).to_owned()).or_default();
                format!(":{}\r\n", u8::from(set.remove(*member)))
            }
            ("TIME", []) => {
                let now = self.now();
                let (seconds, micros) = ((now / 1000).to_string(), (now % 1000 * 1000).to_string());
                format!("*2\r\n{}{}", bulk(&seconds), bulk(&micros))
            }
            ("ASKING", []) => {
                session.asking = true;
                OK.to_owned()
            }
            ("SELECT" | "CLIENT" | "READONLY", _) => OK.to_owned(),
            ("CLUSTER", ["SLOTS"]) => self.slots.clone(),
            ("SENTINEL", [_, "themaster"]) => self.master.map_or("_\r\n".to_owned(), |master| {
                format!("*2\r\n{}{}", bulk(&master.ip().to_string()), bulk(&master.port().to_string()))
            }),
            ("SENTINEL", _) => "_\r\n".to_owned(),
            _ => format!("-ERR unknown command '{name}'\r\n"),
        }
    }

    fn login(&self, session: &mut Session, user: &str, password: &str) -> bool {
        let known = self.password.as_ref().is_none_or(|(name, word)| name == user && word == password);
        session.known |= known;
        known
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<String> {
        let now = self.now();
        self.data.retain(|_, (_, until)| until.is_none_or(|until| until > now));
        self.data.get(key).map(|(value, _)| value.clone())
    }

    fn set(&mut self, key: &str, value: &str, rest: &[&str]) -> String {
        let exists = self.get(key).is_some();
        let (mut until, mut rest) = (None, rest.iter());
        while let Some(word) = rest.next() {
            let mut time = || rest.next().unwrap().parse::<u64>().unwrap();
            match *word {
                "NX" if exists => return "_\r\n".to_owned(),
                "NX" => {}
                "PX" => until = Some(self.now() + time()),
                "PXAT" => until = Some(time()),
                _ => return "-ERR syntax error\r\n".to_owned(),
            }
        }
        self.data.insert(key.to_owned(), (value.to_owned(), until));
        OK.to_owned()
    }
}

fn hello() -> String {
    let mut answer = "%2\r\n".to_owned();
    for (key, value) in [("server", "redis"), ("proto", "3")] {
        write!(answer, "{}{}", bulk(key), bulk(value)).unwrap();
    }
    answer
}
