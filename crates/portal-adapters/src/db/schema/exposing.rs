//! Exposures, who owns which hostname, and what was given up.

diesel::table! {
    exposures (id) {
        id -> Text,
        friend_id -> Text,
        name -> Text,
        service -> Text,
        port -> Integer,
        domain -> Text,
        desired -> Text,
        status -> Text,
        reason -> Nullable<Text>,
        generation -> BigInt,
        established -> Bool,
        attempts -> Integer,
        next_attempt_at -> Timestamp,
        lease_token -> Nullable<Text>,
        lease_until -> Nullable<Timestamp>,
        created_at -> Timestamp,
        changed_at -> Timestamp,
        route_done -> Bool,
        record_done -> Bool,
    }
}

diesel::table! {
    hostnames (hostname) {
        hostname -> Text,
        exposure_id -> Text,
        role -> Text,
    }
}

diesel::table! {
    tombstones (exposure_id, hostname) {
        exposure_id -> Text,
        hostname -> Text,
        friend_id -> Text,
        name -> Text,
        parted -> Text,
        at -> Timestamp,
        generation -> BigInt,
    }
}

diesel::joinable!(hostnames -> exposures (exposure_id));
diesel::allow_tables_to_appear_in_same_query!(exposures, hostnames);
