//! Jobs and their runs.

use super::people::friendships;

diesel::table! {
    jobs (id) {
        id -> Text,
        friend_id -> Text,
        agent_id -> Text,
        name -> Text,
        description -> Nullable<Text>,
        message -> Text,
        cron -> Nullable<Text>,
        tz -> Text,
        session -> Text,
        thinking -> Nullable<Text>,
        timeout_seconds -> Nullable<Integer>,
        enabled -> Bool,
        created_at -> Timestamp,
        next_due -> Nullable<Timestamp>,
        last_run_at -> Nullable<Timestamp>,
        last_status -> Nullable<Text>,
        consecutive_errors -> Integer,
        fires_at -> Nullable<Timestamp>,
        fires_local -> Nullable<Text>,
        every_minutes -> Nullable<Integer>,
        answer_to -> Text,
        revision -> Integer,
        last_error -> Nullable<Text>,
        recent -> Text,
        open_run -> Nullable<Text>,
    }
}

diesel::table! {
    runs (id) {
        id -> Text,
        job_id -> Text,
        // The word in code and on the wire; columns keep their names.
        #[sql_name = "cause"]
        trigger -> Text,
        due_at -> Timestamp,
        status -> Text,
        attempts -> Integer,
        claimable_at -> Timestamp,
        started_at -> Nullable<Timestamp>,
        finished_at -> Nullable<Timestamp>,
        error -> Nullable<Text>,
        missed_from -> Nullable<Timestamp>,
        missed_count -> Nullable<Integer>,
    }
}

diesel::table! {
    remote_changes (id) {
        id -> Text,
        friend_id -> Text,
        agent_id -> Text,
        job -> Text,
        until -> Timestamp,
        lost -> Bool,
        changed_at -> Timestamp,
        actor -> Text,
        action -> Text,
        subject -> Text,
        detail -> Text,
        job_id -> Nullable<Text>,
    }
}

diesel::table! {
    remote_pauses (friend_id, agent_id, job) {
        friend_id -> Text,
        agent_id -> Text,
        job -> Text,
    }
}

diesel::table! {
    remote_runs (id) {
        id -> Text,
        friend_id -> Text,
        agent_id -> Text,
        job -> Text,
        remote_id -> Nullable<Text>,
        requested_at -> Timestamp,
        expected_by -> Timestamp,
        status -> Text,
        started_at -> Nullable<Timestamp>,
        finished_at -> Nullable<Timestamp>,
        error -> Nullable<Text>,
        finished -> Nullable<Bool>,
        sent -> Nullable<Text>,
    }
}

diesel::joinable!(runs -> jobs (job_id));
diesel::allow_tables_to_appear_in_same_query!(jobs, runs, friendships);
