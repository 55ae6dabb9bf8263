//! Servers that end with their test.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command};

/// Ends the server with the test, whatever comes.
pub struct Server(pub Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Free ports at this moment, none of them another's neighbour.
pub fn ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("bound").port())
}

/// The binary, with nothing of the caller's environment.
pub fn skua() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skua"));
    for name in ["RUST_LOG", "NAMESRV_ADDR", "ROCKETMQ_HOME", "SKUA_ACCESS_KEY", "SKUA_SECRET_KEY"]
    {
        command.env_remove(name);
    }
    command
}
