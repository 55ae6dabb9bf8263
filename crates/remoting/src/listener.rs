//! A listening socket and the connections accepted from it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use skua_protocol::service::Service;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::connection;
use crate::shared::Shared;
use crate::tls::{ServerTls, Stream};
use crate::{AnswerCodec, Limits, Metrics};

/// Pause after an `accept` that failed, which is for want of file descriptors as a rule.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Socket options, named after the keys of Java's `NettyServerConfig`.
#[derive(Clone, Debug)]
pub struct BindOptions {
    /// `serverSocketBacklog`
    pub backlog: u32,
    /// `serverSocketSndBufSize` in bytes; 0 leaves it to the kernel.
    pub send_buffer_size: usize,
    /// `serverSocketRcvBufSize` in bytes; 0 leaves it to the kernel.
    pub receive_buffer_size: usize,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self { backlog: 1024, send_buffer_size: 0, receive_buffer_size: 0 }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {host}:{port}")]
pub struct BindError {
    pub host: String,
    pub port: u16,
    pub source: io::Error,
}

/// A bound socket; nothing is accepted before it is given to [`Server::start`].
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// Binds `host` (a name or an address) and `port` (0: any free one). The IPv4 wildcard listens
    /// on IPv6 too where the machine has it, as it does under Java. Call inside the runtime.
    pub fn bind(host: &str, port: u16, options: &BindOptions) -> Result<Self, BindError> {
        bind(host, port, options).map(Self).map_err(|source| BindError {
            host: host.to_owned(),
            port,
            source,
        })
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The socket, for a protocol that is not of requests and answers.
    pub fn into_socket(self) -> TcpListener {
        self.0
    }
}

fn bind(host: &str, port: u16, options: &BindOptions) -> io::Result<TcpListener> {
    let addr = match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port),
        Err(_) => (host, port)
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?,
    };
    if addr.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
        match bind_addr(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port), options) {
            // Taken is taken; any other failure means that there is no IPv6 here.
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
    bind_addr(addr, options)
}

fn bind_addr(addr: SocketAddr, options: &BindOptions) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit these three.
    socket.set_tcp_nodelay(true)?;
    if options.send_buffer_size > 0 {
        socket.set_send_buffer_size(options.send_buffer_size)?;
    }
    if options.receive_buffer_size > 0 {
        socket.set_recv_buffer_size(options.receive_buffer_size)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    pub limits: Limits,
    pub answer_codec: AnswerCodec,
    /// Without it TLS is refused.
    pub tls: Option<Arc<ServerTls>>,
}

/// What [`Server::stop`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// Connections that had requests under way when the time was over.
    pub cut_off: usize,
}

/// A service at a listening socket. Dropping it ends everything at once; see [`Server::stop`].
pub struct Server {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts to accept. Call inside the runtime.
    pub fn start(
        listener: Listener,
        service: Arc<dyn Service>,
        options: ServerOptions,
    ) -> io::Result<Self> {
        let local_addr = listener.local_addr()?;
        let shared = Shared::new(service, options.limits, options.answer_codec, true, options.tls);
        let accepting = tokio::spawn(accept(listener.0, Arc::clone(&shared), local_addr));
        Ok(Self { shared, local_addr, accepting })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// Stops accepting, answers what is under way for at most `drain`, closes all connections.
    ///
    /// Java: while draining, requests of clients after 5.3.1 are answered GO_AWAY (they reconnect
    /// elsewhere), those of older ones are served.
    pub async fn stop(mut self, drain: Duration) -> StopReport {
        self.accepting.abort();
        // Abortion is the only way it ends; the listening socket is closed once it has.
        let _ = (&mut self.accepting).await;
        StopReport { cut_off: self.shared.stop(drain).await }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.close();
    }
}

/// Logs once until told that the trouble is over.
#[derive(Default)]
struct Burst(bool);

impl Burst {
    fn is_first(&mut self) -> bool {
        !std::mem::replace(&mut self.0, true)
    }

    fn over(&mut self) {
        self.0 = false;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, local_addr: SocketAddr) {
    let (mut refusing, mut failing) = (Burst::default(), Burst::default());
    loop {
        let (socket, remote_addr) = match listener.accept().await {
            Ok(accepted) => accepted,
            // The client gave up between its handshake and our call.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                if failing.is_first() {
                    tracing::error!(%local_addr, %error, "cannot accept connections");
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        failing.over();
        let limit = shared.limits.connections_max;
        let open = shared.metrics.connections_now.load(Relaxed);
        if open >= limit as u64 {
            Metrics::add(&shared.metrics.connections_refused, 1);
            if refusing.is_first() {
                tracing::warn!(%local_addr, %remote_addr, open, limit, "connection refused: limit reached");
            }
            continue;
        }
        // The burst is over when a sixteenth of the connections has gone, not when one has.
        if open < (limit - limit / 16) as u64 {
            refusing.over();
        }
        Metrics::add(&shared.metrics.connections_accepted, 1);
        start(&shared, socket, remote_addr);
    }
}

fn start(shared: &Arc<Shared>, socket: TcpStream, remote_addr: SocketAddr) {
    if let Err(error) = connection::spawn(shared, Stream::plain(socket), remote_addr) {
        tracing::debug!(client = %remote_addr, %error, "connection was gone before it started");
    }
}
