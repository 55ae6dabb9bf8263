//! The address that clients are given.

use std::fmt::Display;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use anyhow::Context;
use skua_config::BrokerConfig;

/// Where clients reach the broker.
#[derive(Debug)]
pub struct Given {
    /// What message ids hold.
    pub host: SocketAddr,
    /// What the name servers hand out: with the name, if `brokerIP1` is one.
    pub text: String,
}

impl Given {
    /// `listened` is the port listened on, which may be another than clients are given.
    pub fn of(config: &BrokerConfig, listened: u16) -> anyhow::Result<Self> {
        let port = match config.advertised_port {
            0 => listened,
            port => port,
        };
        let name = config.broker_ip1.as_str();
        if let Ok(ip) = name.parse::<IpAddr>() {
            let host = SocketAddr::new(ip, port);
            return Ok(Self { host, text: host.to_string() });
        }
        let mut hosts = (name, port)
            .to_socket_addrs()
            .with_context(|| format!("brokerIP1={name} cannot be resolved"))?
            .collect::<Vec<_>>();
        // Ids with IPv4 are what every client reads.
        hosts.sort_by_key(SocketAddr::is_ipv6);
        let host = *hosts.first().with_context(|| format!("brokerIP1={name} has no address"))?;
        Ok(Self { host, text: format!("{name}:{port}") })
    }
}

/// A name or an address with a port, as others are to read it: IPv6 in brackets.
pub fn host_and_port(host: &str, port: impl Display) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(ip: &str, advertised_port: u16) -> String {
        let config = BrokerConfig { broker_ip1: ip.into(), advertised_port, ..of_the_table() };
        Given::of(&config, 10_911).map_or_else(|error| format!("{error:#}"), |given| given.text)
    }

    fn of_the_table() -> BrokerConfig {
        let env = skua_config::Environment::default();
        let nothing = skua_config::Properties::default();
        let (settings, _) =
            skua_config::Settings::load(skua_config::Role::Broker, &nothing, &[], &env)
                .expect("the defaults hold");
        settings.broker.clone()
    }

    #[test]
    fn names_and_ports_are_given_as_they_are_configured() {
        assert_eq!(given("10.0.0.1", 0), "10.0.0.1:10911");
        assert_eq!(given("10.0.0.1", 30_911), "10.0.0.1:30911");
        assert_eq!(given("::1", 0), "[::1]:10911");
        assert_eq!(given("localhost", 0), "localhost:10911");
        let refused = given("no-such-host.invalid", 0);
        assert_eq!(host_and_port("fe80::1", 10_912), "[fe80::1]:10912");
        assert_eq!(host_and_port("broker-a", 10_912), "broker-a:10912");
        assert!(refused.starts_with("brokerIP1=no-such-host.invalid cannot be"), "{refused}");
    }
}
