use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const PASS: u8 = 0;
const STALL: u8 = 1;
const CUT: u8 = 2;
/// How soon a change is noticed.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes on their way in one direction.
const ON_THE_WAY_MAX: usize = 8 << 20;

/// Hears what those who connect send, a read at a time.
type Ear = Box<dyn Fn(&[u8]) + Send + Sync>;

#[derive(Default)]
struct State {
    mode: AtomicU8,
    delay_ms: AtomicU64,
    over: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
    ear: Option<Ear>,
}

impl State {
    fn wait_while_stalled(&self) {
        while self.mode.load(Ordering::SeqCst) == STALL {
            thread::sleep(LOOK);
        }
    }
}

/// A link that can be stalled, cut and made longer, between whoever connects to it and `to`.
pub struct Relay {
    pub addr: SocketAddr,
    state: Arc<State>,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Relay {
    pub fn start(to: SocketAddr) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), to)
    }

    /// As [`Relay::start`]; `ear` hears what those who connect send, a read at a time.
    pub fn start_heard(to: SocketAddr, ear: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self::launch(([127, 0, 0, 1], 0).into(), to, Some(Box::new(ear)))
    }

    /// As [`Relay::start`], at this address.
    pub fn start_at(at: SocketAddr, to: SocketAddr) -> Self {
        Self::launch(at, to, None)
    }

    fn launch(at: SocketAddr, to: SocketAddr, ear: Option<Ear>) -> Self {
        let listener = TcpListener::bind(at).expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let state = Arc::new(State { ear, ..State::default() });
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                if shared.mode.load(Ordering::SeqCst) != CUT
                    && let Ok(other) = TcpStream::connect(to)
                {
                    connect(&shared, stream, other);
                }
            }
        });
        Self { addr, state }
    }

    /// Everything gets through again; connections that were cut have to be made anew.
    pub fn pass(&self) {
        self.state.mode.store(PASS, Ordering::SeqCst);
    }

    /// Nothing gets through, and nobody is told.
    pub fn stall(&self) {
        self.state.mode.store(STALL, Ordering::SeqCst);
    }

    /// All connections end, and new ones too.
    pub fn cut(&self) {
        self.state.mode.store(CUT, Ordering::SeqCst);
        for stream in self.state.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// From now on every byte takes this long, in each direction.
    pub fn delay(&self, delay: Duration) {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.state.delay_ms.store(delay_ms, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        self.cut();
        // Lets the listener's thread see that it is over.
        let _ = TcpStream::connect(self.addr);
    }
}

fn connect(state: &Arc<State>, a: TcpStream, b: TcpStream) {
    for (from, to, is_heard) in [(&a, &b, true), (&b, &a, false)] {
        let _ = from.set_nodelay(true);
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
        let state = state.clone();
        thread::spawn(move || pump(&state, from, to, is_heard));
    }
    state.streams.lock().unwrap_or_else(PoisonError::into_inner).extend([a, b]);
}

/// One direction: a thread reads and notes when bytes are due, another writes them then. A socket's
/// time limit would be no clock for this, since the kernel rounds it up by milliseconds.
fn pump(state: &Arc<State>, mut from: TcpStream, mut to: TcpStream, is_heard: bool) {
    let held = Arc::<AtomicUsize>::default();
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    let writer = thread::spawn({
        let (state, held) = (state.clone(), held.clone());
        let from = from.try_clone();
        move || {
            for (due, bytes) in receiver {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                state.wait_while_stalled();
                held.fetch_sub(bytes.len(), Ordering::SeqCst);
                if to.write_all(&bytes).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
            if let Ok(from) = from {
                let _ = from.shutdown(Shutdown::Both);
            }
        }
    });
    let mut bytes = vec![0; 64 << 10];
    loop {
        state.wait_while_stalled();
        while held.load(Ordering::SeqCst) > ON_THE_WAY_MAX && !writer.is_finished() {
            thread::sleep(LOOK);
        }
        let Ok(len @ 1..) = from.read(&mut bytes) else { break };
        if let (Some(ear), true) = (&state.ear, is_heard) {
            ear(&bytes[..len]);
        }
        let delay = Duration::from_millis(state.delay_ms.load(Ordering::SeqCst));
        held.fetch_add(len, Ordering::SeqCst);
        if sender.send((Instant::now() + delay, bytes[..len].to_vec())).is_err() {
            break;
        }
    }
}
