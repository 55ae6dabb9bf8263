//! Users and access rules: 3001 to 3010.

use bytestring::ByteString;

use super::headers;

headers! {
    /// Java: `CreateUserRequestHeader`; the body is [`crate::body::UserInfo`].
    request AuthCreateUser => () {
        username: Option<ByteString>,
    }

    /// Java: `UpdateUserRequestHeader`; the body is [`crate::body::UserInfo`].
    request AuthUpdateUser => () {
        username: Option<ByteString>,
    }

    /// Java: `DeleteUserRequestHeader`.
    request AuthDeleteUser => () {
        username: Option<ByteString>,
    }

    /// Java: `GetUserRequestHeader`; the answer's body is [`crate::body::UserInfo`].
    request AuthGetUser => () {
        username: Option<ByteString>,
    }

    /// Java: `ListUsersRequestHeader`; the answer's body is an array of
    /// [`crate::body::UserInfo`].
    request AuthListUser => () {
        filter: Option<ByteString>,
    }

    /// Java: `CreateAclRequestHeader`; the body is [`crate::body::AclInfo`].
    request AuthCreateAcl => () {
        /// `User:name`
        subject: Option<ByteString>,
    }

    /// Java: `UpdateAclRequestHeader`; the body is [`crate::body::AclInfo`].
    request AuthUpdateAcl => () {
        subject: Option<ByteString>,
    }

    /// Java: `DeleteAclRequestHeader`.
    request AuthDeleteAcl => () {
        subject: Option<ByteString>,
        policy_type: Option<ByteString>,
        resource: Option<ByteString>,
    }

    /// Java: `GetAclRequestHeader`; the answer's body is [`crate::body::AclInfo`].
    request AuthGetAcl => () {
        subject: Option<ByteString>,
    }

    /// Java: `ListAclsRequestHeader`; the answer's body is an array of
    /// [`crate::body::AclInfo`].
    request AuthListAcl => () {
        subject_filter: Option<ByteString>,
        resource_filter: Option<ByteString>,
    }
}
