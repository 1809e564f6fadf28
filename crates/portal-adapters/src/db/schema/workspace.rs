//! Documents and their versions.

diesel::table! {
    documents (agent_id, path) {
        agent_id -> Text,
        path -> Text,
        friend_id -> Nullable<Text>,
        lease_write -> Nullable<Text>,
        lease_until -> Nullable<Timestamp>,
        look_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    document_versions (id) {
        id -> Text,
        agent_id -> Text,
        path -> Text,
        seq -> BigInt,
        state -> Text,
        tag -> Text,
        size -> BigInt,
        bytes -> Binary,
        saved_at -> Timestamp,
        friend_id -> Nullable<Text>,
        session_id -> Nullable<Text>,
        burst_since -> Nullable<Timestamp>,
        replaces -> Nullable<Text>,
        previous_tag -> Nullable<Text>,
    }
}
