//! The portal itself, friends, contacts, agents, friendships, sessions and the audit log.

diesel::table! {
    portal (id) {
        id -> Integer,
        instance -> Text,
        time_zone_release -> Nullable<Text>,
    }
}

diesel::table! {
    friends (id) {
        id -> Text,
        display_name -> Nullable<Text>,
        preferred_channel -> Nullable<Text>,
        time_zone -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    contacts (channel, address) {
        channel -> Text,
        address -> Text,
        friend_id -> Text,
        typed_address -> Nullable<Text>,
    }
}

diesel::table! {
    agents (id) {
        id -> Text,
        token_hash -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    friendships (friend_id, agent_id) {
        friend_id -> Text,
        agent_id -> Text,
        status -> Text,
        heartbeat_writable -> Bool,
        created_at -> Timestamp,
        heartbeat_default -> Bool,
    }
}

diesel::table! {
    sessions (id) {
        id -> Text,
        token_hash -> Text,
        friend_id -> Text,
        agent_id -> Text,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        revoked_at -> Nullable<Timestamp>,
        origin -> Nullable<Text>,
    }
}

diesel::table! {
    login_codes (code_hash) {
        code_hash -> Text,
        friend_id -> Text,
        agent_id -> Text,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        spent_at -> Nullable<Timestamp>,
        open -> Nullable<Text>,
        created_by -> Text,
    }
}

diesel::table! {
    audit_log (id) {
        id -> BigInt,
        at -> Timestamp,
        actor -> Text,
        action -> Text,
        friend_id -> Nullable<Text>,
        subject -> Text,
        detail -> Text,
    }
}

diesel::table! {
    changes (id) {
        id -> BigInt,
        at -> Timestamp,
        friend_id -> Text,
        topic -> Text,
        agent_id -> Nullable<Text>,
        subject -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(friends, sessions, friendships);
diesel::allow_tables_to_appear_in_same_query!(contacts, friendships);
