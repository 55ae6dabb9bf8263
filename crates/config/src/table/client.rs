//! Keys of connections that a server opens.

use super::config_table;

config_table! {
    |env|
    /// Connections that a server opens (Java: `NettyClientConfig`).
    pub struct ClientConfig("NettyClientConfig");

    /// Milliseconds of silence after which a connection counts as unused.
    inert "channelNotActiveInterval": i64 = 60_000;
    /// Unanswered requests.
    inert "clientAsyncSemaphoreValue": i32 = 65_535;
    /// Threads that handle answers.
    inert "clientCallbackExecutorThreads": i32 = env.cores, shown "cores";
    /// Seconds without traffic after which a connection is closed.
    inert "clientChannelMaxIdleTimeSeconds": i32 = 120;
    /// Closes a connection whose request got no answer in time.
    inert "clientCloseSocketIfTimeout": bool = true;
    /// One-way requests under way.
    inert "clientOnewaySemaphoreValue": i32 = 65_535;
    /// Pools Netty's buffers.
    inert "clientPooledByteBufAllocatorEnable": bool = false;
    /// Bytes of a socket's receive buffer; 0 leaves it to the kernel.
    inert "clientSocketRcvBufSize": i32 = 0;
    /// Bytes of a socket's send buffer; 0 leaves it to the kernel.
    inert "clientSocketSndBufSize": i32 = 0;
    /// Netty threads that decode and encode.
    inert "clientWorkerThreads": i32 = 4;
    /// Milliseconds that connecting may take.
    inert "connectTimeoutMillis": i32 = 3000;
    /// Handles answers on Netty's threads.
    inert "disableCallbackExecutor": bool = false;
    /// Does without Netty's second thread group.
    inert "disableNettyWorkerGroup": bool = false;
    /// Connects anew when a server says that it leaves.
    inert "enableReconnectForGoAway": bool = true;
    /// Looks which name servers can be reached.
    unset "isScanAvailableNameSrv": bool = true;
    /// Seconds between two tries to connect anew, at most.
    inert "maxReconnectIntervalTimeSeconds": i64 = 60;
    /// Looks which name servers can be reached.
    inert "scanAvailableNameSrv": bool = true;
    /// SOCKS proxies by address, as JSON.
    inert "socksProxyConfig": String = "{}".into();
    /// Connects to others by TLS, as tls.enable does.
    restart use_tls "useTLS": bool = false;
    /// Bytes of unsent requests at which Netty calls a connection unwritable.
    inert "writeBufferHighWaterMark": i32 = 0;
    /// Bytes of unsent requests at which Netty calls it writable again.
    inert "writeBufferLowWaterMark": i32 = 0;
}
