//! Listening sockets and their connections. Java: `NettyServerConfig`.

use super::config_table;

config_table! {
    |env|
    /// Listening sockets and their connections. Java: `NettyServerConfig`.
    pub struct ServerConfig("NettyServerConfig") {
        /// Address to listen on.
        bind_address: String = "0.0.0.0".into(), "bindAddress", Restart;
        enable_shutdown_gracefully: bool = false, "enableShutdownGracefully", Inert;
        /// Port that clients connect to; the broker also listens on this port less 2.
        listen_port: u16 = 0, "listenPort", Restart;
        server_async_semaphore_value: i32 = 64, "serverAsyncSemaphoreValue", Inert;
        server_callback_executor_threads: i32 = 0, "serverCallbackExecutorThreads", Inert;
        /// Seconds without traffic after which a connection is closed.
        server_channel_max_idle_time_seconds: u32 = 120, "serverChannelMaxIdleTimeSeconds", Restart;
        server_netty_worker_group_enable: bool = true, "serverNettyWorkerGroupEnable", Inert;
        server_oneway_semaphore_value: i32 = 256, "serverOnewaySemaphoreValue", Inert;
        server_pooled_byte_buf_allocator_enable: bool = true, "serverPooledByteBufAllocatorEnable", Inert;
        server_selector_threads: i32 = 3, "serverSelectorThreads", Inert;
        /// Connections that may wait to be accepted.
        server_socket_backlog: u32 = 1024, "serverSocketBacklog", Restart;
        /// Bytes of a socket's receive buffer; 0 leaves it to the kernel.
        server_socket_rcv_buf_size: u32 = 0, "serverSocketRcvBufSize", Restart;
        /// Bytes of a socket's send buffer; 0 leaves it to the kernel.
        server_socket_snd_buf_size: u32 = 0, "serverSocketSndBufSize", Restart;
        server_worker_threads: i32 = 8, "serverWorkerThreads", Inert;
        shutdown_wait_time_seconds: i32 = 30, "shutdownWaitTimeSeconds", Inert;
        use_epoll_native_selector: bool = false, "useEpollNativeSelector", Inert;
        write_buffer_high_water_mark: i32 = 0, "writeBufferHighWaterMark", Inert;
        write_buffer_low_water_mark: i32 = 0, "writeBufferLowWaterMark", Inert;
    }
}
