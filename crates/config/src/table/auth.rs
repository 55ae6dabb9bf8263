//! Keys of authentication and authorization.

use super::config_table;

config_table! {
    |env|
    /// Authentication and authorization (Java: `AuthConfig`).
    pub struct AuthConfig("AuthConfig");

    /// Seconds that an access rule stays cached unused.
    inert "aclCacheExpiredSecond": i32 = 600;
    /// Access rules cached.
    inert "aclCacheMaxNum": i32 = 1000;
    /// Seconds after which a cached access rule is read anew.
    inert "aclCacheRefreshSecond": i32 = 60;
    /// Folder of users and access rules; `{storePathRootDir}/config` always.
    inert "authConfigPath": Option<String> = None;
    /// Checks who a client is.
    unserved @important "authenticationEnabled": bool = false;
    /// Java class that keeps users.
    inert "authenticationMetadataProvider": Option<String> = None;
    /// Java class that checks who a client is.
    inert "authenticationProvider": Option<String> = None;
    /// Java class that decides when a client is checked.
    inert "authenticationStrategy": Option<String> = None;
    /// Request codes that need no authentication, with commas between.
    inert "authenticationWhitelist": Option<String> = None;
    /// Checks what a client may do.
    unserved @important "authorizationEnabled": bool = false;
    /// Java class that keeps access rules.
    inert "authorizationMetadataProvider": Option<String> = None;
    /// Java class that checks what a client may do.
    inert "authorizationProvider": Option<String> = None;
    /// Java class that decides when rights are checked.
    inert "authorizationStrategy": Option<String> = None;
    /// Request codes that need no authorization, with commas between.
    inert "authorizationWhitelist": Option<String> = None;
    /// Name of the cluster, for rules; brokerClusterName always.
    inert "clusterName": Option<String> = None;
    /// Name of the configuration; brokerName always.
    inert "configName": Option<String> = None;
    /// First user, as JSON with username and password.
    inert "initAuthenticationUser": Option<String> = None;
    /// Credentials of the broker's own requests, as JSON with accessKey and secretKey.
    inert "innerClientAuthenticationCredentials": Option<String> = None;
    /// Takes over the access control lists of RocketMQ 4.
    inert "migrateAuthFromV1Enabled": bool = false;
    /// Seconds that an authenticated connection is remembered.
    inert "statefulAuthenticationCacheExpiredSecond": i32 = 60;
    /// Authenticated connections remembered.
    inert "statefulAuthenticationCacheMaxNum": i32 = 10_000;
    /// Seconds that a right of a connection is remembered.
    inert "statefulAuthorizationCacheExpiredSecond": i32 = 60;
    /// Rights of connections remembered.
    inert "statefulAuthorizationCacheMaxNum": i32 = 10_000;
    /// Seconds that a user stays cached unused.
    inert "userCacheExpiredSecond": i32 = 600;
    /// Users cached.
    inert "userCacheMaxNum": i32 = 1000;
    /// Seconds after which a cached user is read anew.
    inert "userCacheRefreshSecond": i32 = 60;
}
