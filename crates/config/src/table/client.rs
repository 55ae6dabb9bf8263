//! Outgoing connections. Java: `NettyClientConfig`.

use super::config_table;

config_table! {
    |env|
    /// Outgoing connections. Java: `NettyClientConfig`.
    pub struct ClientConfig("NettyClientConfig") {
        channel_not_active_interval: i64 = 60_000, "channelNotActiveInterval", Inert;
        client_async_semaphore_value: i32 = 65_535, "clientAsyncSemaphoreValue", Inert;
        client_callback_executor_threads: i32 = env.cores, "clientCallbackExecutorThreads", Inert;
        client_channel_max_idle_time_seconds: i32 = 120, "clientChannelMaxIdleTimeSeconds", Inert;
        client_close_socket_if_timeout: bool = true, "clientCloseSocketIfTimeout", Inert;
        client_oneway_semaphore_value: i32 = 65_535, "clientOnewaySemaphoreValue", Inert;
        client_pooled_byte_buf_allocator_enable: bool = false, "clientPooledByteBufAllocatorEnable", Inert;
        client_socket_rcv_buf_size: i32 = 0, "clientSocketRcvBufSize", Inert;
        client_socket_snd_buf_size: i32 = 0, "clientSocketSndBufSize", Inert;
        client_worker_threads: i32 = 4, "clientWorkerThreads", Inert;
        connect_timeout_millis: i32 = 3000, "connectTimeoutMillis", Inert;
        disable_callback_executor: bool = false, "disableCallbackExecutor", Inert;
        disable_netty_worker_group: bool = false, "disableNettyWorkerGroup", Inert;
        enable_reconnect_for_go_away: bool = true, "enableReconnectForGoAway", Inert;
        is_scan_available_name_srv: bool = true, "isScanAvailableNameSrv", Inert;
        max_reconnect_interval_time_seconds: i64 = 60, "maxReconnectIntervalTimeSeconds", Inert;
        scan_available_name_srv: bool = true, "scanAvailableNameSrv", Inert;
        socks_proxy_config: String = "{}".into(), "socksProxyConfig", Inert;
        use_tls: bool = false, "useTLS", Inert;
        write_buffer_high_water_mark: i32 = 0, "writeBufferHighWaterMark", Inert;
        write_buffer_low_water_mark: i32 = 0, "writeBufferLowWaterMark", Inert;
    }
}
