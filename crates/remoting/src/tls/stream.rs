//! A connection, plain or TLS, behind one face.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{Accept, TlsAcceptor, TlsStream};

/// A socket of which some bytes have been read already.
pub(crate) struct Replay {
    before: Bytes,
    socket: TcpStream,
}

impl Replay {
    pub fn new(socket: TcpStream) -> Self {
        Self { before: Bytes::new(), socket }
    }
}

impl AsyncRead for Replay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.before.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buf);
        }
        let n = self.before.len().min(buf.remaining());
        buf.put_slice(&self.before[..n]);
        self.before.advance(n);
        if self.before.is_empty() {
            self.before = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

/// The two ends of a connection.
#[derive(Clone, Copy)]
struct Ends {
    local: Option<SocketAddr>,
}

/// A connection's bytes, after TLS if there is TLS.
pub struct Stream {
    kind: Kind,
    ends: Ends,
}

enum Kind {
    Plain(TcpStream),
    /// The handshake goes on; whoever reads or writes drives it.
    Accepting(Box<Accept<Replay>>),
    Tls(Box<TlsStream<Replay>>),
    /// The handshake failed.
    Failed,
}

impl Stream {
    pub fn plain(socket: TcpStream) -> Self {
        let ends = Ends { local: socket.local_addr().ok() };
        Self { kind: Kind::Plain(socket), ends }
    }

    pub(crate) fn tls(stream: TlsStream<Replay>) -> Self {
        let ends = Ends { local: stream.get_ref().0.socket.local_addr().ok() };
        Self { kind: Kind::Tls(Box::new(stream)), ends }
    }

    /// The server's side of a handshake, of which `before` has been read already.
    pub(crate) fn accept(socket: TcpStream, before: Bytes, config: Arc<ServerConfig>) -> Self {
        let ends = Ends { local: socket.local_addr().ok() };
        let accept = TlsAcceptor::from(config).accept(Replay { before, socket });
        Self { kind: Kind::Accepting(Box::new(accept)), ends }
    }

    /// Goes on with TLS from here; `before` has been read already. Does nothing to what is TLS.
    pub(crate) fn start_tls(&mut self, before: Bytes, config: Arc<ServerConfig>) {
        self.kind = match std::mem::replace(&mut self.kind, Kind::Failed) {
            Kind::Plain(socket) => Self::accept(socket, before, config).kind,
            other => other,
        };
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.ends.local.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub fn is_tls(&self) -> bool {
        !matches!(self.kind, Kind::Plain(_))
    }

    /// Whether a handshake goes on.
    pub(crate) fn is_accepting(&self) -> bool {
        matches!(self.kind, Kind::Accepting(_))
    }

    /// Ends with the handshake.
    pub async fn established(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_established(cx)).await
    }

    fn poll_established(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Kind::Accepting(accept) = &mut self.kind else { return Poll::Ready(Ok(())) };
        match ready!(Pin::new(accept).poll(cx)) {
            Ok(stream) => {
                self.kind = Kind::Tls(Box::new(stream.into()));
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                self.kind = Kind::Failed;
                let why = format!("TLS handshake: {error}");
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)))
            }
        }
    }
}

fn failed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the TLS handshake has failed")
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_established(cx))?;
        match &mut self.kind {
            Kind::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Kind::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Accepting(_) | Kind::Failed => Poll::Ready(Err(failed())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_established(cx))?;
        match &mut self.kind {
            Kind::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Kind::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Kind::Accepting(_) | Kind::Failed => Poll::Ready(Err(failed())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_established(cx))?;
        match &mut self.kind {
            Kind::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Kind::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Kind::Accepting(_) | Kind::Failed => Poll::Ready(Err(failed())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Kind::Tls(stream) => Pin::new(stream).poll_flush(cx),
            // Nothing has been written yet.
            Kind::Accepting(_) | Kind::Failed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Kind::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Accepting(_) | Kind::Failed => Poll::Ready(Ok(())),
        }
    }
}
