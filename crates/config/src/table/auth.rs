//! Authentication and authorization. Java: `AuthConfig`.

use super::config_table;

config_table! {
    |env|
    /// Authentication and authorization. Java: `AuthConfig`.
    pub struct AuthConfig("AuthConfig") {
        acl_cache_expired_second: i32 = 600, "aclCacheExpiredSecond", Inert;
        acl_cache_max_num: i32 = 1000, "aclCacheMaxNum", Inert;
        acl_cache_refresh_second: i32 = 60, "aclCacheRefreshSecond", Inert;
        auth_config_path: String = String::new(), "authConfigPath", Inert;
        authentication_enabled: bool = false, "authenticationEnabled", Inert;
        authentication_metadata_provider: String = String::new(), "authenticationMetadataProvider", Inert;
        authentication_provider: String = String::new(), "authenticationProvider", Inert;
        authentication_strategy: String = String::new(), "authenticationStrategy", Inert;
        authentication_whitelist: String = String::new(), "authenticationWhitelist", Inert;
        authorization_enabled: bool = false, "authorizationEnabled", Inert;
        authorization_metadata_provider: String = String::new(), "authorizationMetadataProvider", Inert;
        authorization_provider: String = String::new(), "authorizationProvider", Inert;
        authorization_strategy: String = String::new(), "authorizationStrategy", Inert;
        authorization_whitelist: String = String::new(), "authorizationWhitelist", Inert;
        cluster_name: String = String::new(), "clusterName", Inert;
        config_name: String = String::new(), "configName", Inert;
        init_authentication_user: String = String::new(), "initAuthenticationUser", Inert;
        inner_client_authentication_credentials: String = String::new(), "innerClientAuthenticationCredentials", Inert;
        migrate_auth_from_v1_enabled: bool = false, "migrateAuthFromV1Enabled", Inert;
        stateful_authentication_cache_expired_second: i32 = 60, "statefulAuthenticationCacheExpiredSecond", Inert;
        stateful_authentication_cache_max_num: i32 = 10_000, "statefulAuthenticationCacheMaxNum", Inert;
        stateful_authorization_cache_expired_second: i32 = 60, "statefulAuthorizationCacheExpiredSecond", Inert;
        stateful_authorization_cache_max_num: i32 = 10_000, "statefulAuthorizationCacheMaxNum", Inert;
        user_cache_expired_second: i32 = 600, "userCacheExpiredSecond", Inert;
        user_cache_max_num: i32 = 1000, "userCacheMaxNum", Inert;
        user_cache_refresh_second: i32 = 60, "userCacheRefreshSecond", Inert;
    }
}
