//! Keys of authentication and authorization.

use super::config_table;
use crate::check::{auth_class, json_object};

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
    restart @important authentication_enabled "authenticationEnabled": bool = false;
    /// Java class that keeps users; Skua keeps them in config/auth.json.
    inert "authenticationMetadataProvider": Option<String> = None, checked auth_class;
    /// Java class that checks who a client is.
    inert "authenticationProvider": Option<String> = None, checked auth_class;
    /// Java class that decides when a client is checked; Skua checks each request.
    inert "authenticationStrategy": Option<String> = None, checked auth_class;
    /// Request codes that need no authentication, with commas between.
    restart authentication_whitelist "authenticationWhitelist": Option<String> = None;
    /// Checks what a client may do.
    restart @important authorization_enabled "authorizationEnabled": bool = false;
    /// Java class that keeps access rules; Skua keeps them in config/auth.json.
    inert "authorizationMetadataProvider": Option<String> = None, checked auth_class;
    /// Java class that checks what a client may do.
    inert "authorizationProvider": Option<String> = None, checked auth_class;
    /// Java class that decides when rights are checked; Skua checks each request.
    inert "authorizationStrategy": Option<String> = None, checked auth_class;
    /// Request codes that need no authorization, with commas between.
    restart authorization_whitelist "authorizationWhitelist": Option<String> = None;
    /// Name of the cluster, for rules; brokerClusterName always.
    inert "clusterName": Option<String> = None;
    /// Name of the configuration; brokerName always.
    inert "configName": Option<String> = None;
    /// First user, who may do everything, as JSON with username and password.
    restart init_authentication_user "initAuthenticationUser": Option<String> = None, checked json_object;
    /// Credentials of the broker's own requests, as JSON with accessKey and secretKey.
    restart inner_client_authentication_credentials "innerClientAuthenticationCredentials": Option<String> = None, checked json_object;
    /// Takes the accounts of RocketMQ 4's access control lists over as users at the start.
    restart migrate_auth_from_v1_enabled "migrateAuthFromV1Enabled": bool = false;
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
