//! The first connection that comes about with a name, which may stand for several addresses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

/// Why there is no connection, by the last address that was tried.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("the address cannot be found: {0}")]
    Lookup(io::Error),
    #[error(transparent)]
    Connect(io::Error),
    #[error("no answer in time")]
    Late,
}

/// A TCP connection to `addr`, a `host:port`, within `limit`. The name is looked up each time: it
/// may stand for another machine by now.
pub async fn dial(addr: &str, limit: Duration) -> Result<TcpStream, DialError> {
    dial_by(addr, Instant::now() + limit, connect).await
}

pub(crate) async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// As [`dial`], with what is done at each address until it succeeds at one.
pub(crate) async fn dial_by<T, F>(
    addr: &str,
    due: Instant,
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<T, DialError>
where
    F: Future<Output = io::Result<T>>,
{
    let found = timeout_at(due, lookup_host(addr)).await.map_err(|_| DialError::Late)?;
    let found: Vec<_> = found.map_err(DialError::Lookup)?.collect();
    first_of(&found, due, attempt).await
}

async fn first_of<T, F>(
    found: &[SocketAddr],
    due: Instant,
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<T, DialError>
where
    F: Future<Output = io::Result<T>>,
{
    let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut last = DialError::Lookup(none);
    for (at, &addr) in found.iter().enumerate() {
        // One that nobody answers at leaves time for the others.
        let left = due.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(found.len() - at).unwrap_or(u32::MAX);
        match timeout(share, attempt(addr)).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => last = DialError::Connect(error),
            Err(_) => last = DialError::Late,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn an_address_that_nobody_answers_at_leaves_time_for_the_next() {
        let addrs: Vec<SocketAddr> =
            (1..=3).map(|n| SocketAddr::from(([127, 0, 0, n], 1))).collect();
        let attempt = |good: u8| {
            move |addr: SocketAddr| async move {
                match addr.ip().to_string().ends_with(&good.to_string()) {
                    true => Ok(addr),
                    false if good == 2 => Err(io::ErrorKind::ConnectionRefused.into()),
                    false => pending().await,
                }
            }
        };
        let due = || Instant::now() + Duration::from_millis(90);
        for good in 1..=3 {
            let reached = first_of(&addrs, due(), attempt(good)).await;
            assert_eq!(reached.ok(), Some(addrs[usize::from(good) - 1]), "{good}");
        }
        let none = first_of(&addrs, due(), attempt(9)).await;
        assert!(matches!(none, Err(DialError::Late)), "{none:?}");
        let none = first_of(&[], due(), attempt(9)).await;
        assert!(matches!(none, Err(DialError::Lookup(_))), "{none:?}");
    }
}
