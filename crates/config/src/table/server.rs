//! Keys of listening sockets.

use super::config_table;
use crate::check::log_levels;
use crate::value::INT_MAX;

config_table! {
    |env|
    /// Listening sockets of every server (Java: `NettyServerConfig`).
    pub struct ServerConfig("NettyServerConfig");

    /// Address to listen on.
    restart bind_address "bindAddress": String = "0.0.0.0".into(), in 1..=255;
    /// Answers requests under way before the end; Skua always does.
    inert "enableShutdownGracefully": bool = false;
    /// Not a key of RocketMQ: port of /health, /ready and /metrics; 0 for listenPort + 3 (with metricsExporterType=PROM for metricsPromExporterPort), -1 for none.
    restart http_port "httpPort": i32 = 0, in -1..=65535;
    /// Port to listen on; a broker has 10911 and a name server 9876 unless given.
    restart @important listen_port "listenPort": u16 = 0;
    /// Not a key of RocketMQ: which log lines are written: a level, or parts of the program with a level each, as in info or skua_store=debug,info.
    live log_level "logLevel": String = "info".into(), checked log_levels;
    /// Unanswered requests to clients.
    inert "serverAsyncSemaphoreValue": i32 = 64;
    /// Threads that handle answers of clients.
    inert "serverCallbackExecutorThreads": i32 = 0;
    /// Seconds without traffic after which a connection is closed.
    restart server_channel_max_idle_time_seconds "serverChannelMaxIdleTimeSeconds": u32 = 120, in 1..=INT_MAX;
    /// Uses Netty's second thread group.
    inert "serverNettyWorkerGroupEnable": bool = true;
    /// One-way requests to clients under way.
    inert "serverOnewaySemaphoreValue": i32 = 256;
    /// Pools Netty's buffers.
    inert "serverPooledByteBufAllocatorEnable": bool = true;
    /// Netty threads that read and write.
    inert "serverSelectorThreads": i32 = 3;
    /// Connections that may wait to be accepted.
    restart server_socket_backlog "serverSocketBacklog": u32 = 1024, in 1..=INT_MAX;
    /// Bytes of a socket's receive buffer; 0 leaves it to the kernel.
    restart server_socket_rcv_buf_size "serverSocketRcvBufSize": u32 = 0;
    /// Bytes of a socket's send buffer; 0 leaves it to the kernel.
    restart server_socket_snd_buf_size "serverSocketSndBufSize": u32 = 0;
    /// Netty threads that decode and encode.
    inert "serverWorkerThreads": i32 = 8;
    /// Seconds that a graceful end may take.
    inert "shutdownWaitTimeSeconds": i32 = 30;
    /// Uses Netty's own epoll.
    inert "useEpollNativeSelector": bool = false;
    /// Bytes of unsent answers at which Netty calls a connection unwritable.
    inert "writeBufferHighWaterMark": i32 = 0;
    /// Bytes of unsent answers at which Netty calls it writable again.
    inert "writeBufferLowWaterMark": i32 = 0;
}
