//! Keys of RocketMQ's client library, known so that a file with them is told where they belong.

use super::config_table;

config_table! {
    |env|
    /// The client library of RocketMQ (Java: `ClientConfig`); no server reads these keys.
    pub struct ClientLibraryConfig("ClientConfig");

    /// Where messages are traced to: LOCAL or CLOUD.
    unset "accessChannel": String = "LOCAL".into();
    /// Threads that handle answers.
    inert "clientCallbackExecutorThreads": i32 = env.cores, shown "cores";
    /// Address that the client calls its own.
    inert "clientIP": String = env.ip.clone(), shown "<first non-loopback IPv4 of the machine>";
    /// Threads for heartbeats.
    inert "concurrentHeartbeatThreadPoolSize": i32 = 2;
    /// Decompresses bodies while decoding.
    inert "decodeDecompressBody": bool = true;
    /// Reads bodies while decoding.
    inert "decodeReadBody": bool = true;
    /// Milliseconds between two looks at brokers that failed.
    inert "detectInterval": i32 = 2000;
    /// Milliseconds that a look at a broker may take.
    inert "detectTimeout": i32 = 200;
    /// Sends heartbeats to brokers in parallel.
    inert "enableConcurrentHeartbeat": bool = false;
    /// Sends a heartbeat when a connection comes up.
    inert "enableHeartbeatChannelEventListener": bool = true;
    /// Marks requests as a stream's.
    inert "enableStreamRequestType": bool = false;
    /// Traces messages.
    inert "enableTrace": bool = false;
    /// Milliseconds between two heartbeats.
    inert "heartbeatBrokerInterval": i32 = 30_000;
    /// Name that keeps clients of one process apart.
    inert "instanceName": String = "DEFAULT".into();
    /// Language of the client.
    unset "language": String = "JAVA".into();
    /// Entries of one part when metadata is read in parts.
    inert "maxPageSizeInGetMetadata": i32 = 2000;
    /// Milliseconds that a request may take.
    inert "mqClientApiTimeout": i32 = 3000;
    /// Prefix of all topics and groups, first form.
    inert "namespace": Option<String> = None;
    /// Whether the namespace was looked up.
    unset "namespaceInitialized": bool = false;
    /// Prefix of all topics and groups, second form.
    inert "namespaceV2": Option<String> = None;
    /// Name servers to ask, with `;` between.
    inert @important "namesrvAddr": Option<String> = None;
    /// Milliseconds between two commits of offsets.
    inert "persistConsumerOffsetInterval": i32 = 5000;
    /// Milliseconds between two reads of routes.
    inert "pollNameServerInterval": i32 = 30_000;
    /// Milliseconds before a failed pull is tried again.
    inert "pullTimeDelayMillsWhenException": i64 = 1000;
    /// Avoids slow brokers when sending.
    inert "sendLatencyEnable": bool = false;
    /// SOCKS proxies by address, as JSON.
    inert "socksProxyConfig": String = "{}".into();
    /// Looks whether brokers that failed are back.
    inert "startDetectorEnable": bool = false;
    /// Messages traced at a time.
    inert "traceMsgBatchNum": i32 = 10;
    /// Topic of traces.
    inert "traceTopic": Option<String> = None;
    /// Whether the client belongs to a unit of several data centres.
    inert "unitMode": bool = false;
    /// Unit that the client belongs to.
    inert "unitName": Option<String> = None;
    /// Sends short heartbeats when nothing changed.
    inert "useHeartbeatV2": bool = false;
    /// Connects by TLS.
    inert "useTLS": bool = false;
    /// Sends to the broker's fast port.
    inert "vipChannelEnabled": bool = false;
}
