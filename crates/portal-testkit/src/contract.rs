//! The contract of each port, as tests that any implementation can run.
//!
//! A suite is a set of promises, each a function of a [`Fixture`](crate::Fixture) whose stores are empty. Its macro turns
//! them into tests. To test stores of your own: `portal_testkit::people_contract!(my_fixture());`.

#[doc(hidden)]
pub mod documents;
#[doc(hidden)]
pub mod exposures;
#[doc(hidden)]
pub mod jobs;
#[doc(hidden)]
pub mod people;

/// Turns promises into tests.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($suite:ident, $attributes:tt, $fixture:expr, [$($promise:ident,)+]) => {
        $($crate::contract_test! { $suite, $attributes, $fixture, $promise })+
    };
}

/// Turns one promise into a test.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_test {
    ($suite:ident, ($(#[$attribute:meta])*), $fixture:expr, $promise:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        $(#[$attribute])*
        async fn $promise() {
            $crate::contract::$suite::$promise(&$fixture.await).await;
        }
    };
}

/// Tests the stores of friends, contacts, agents, friendships, sessions and the audit log.
///
/// Takes an expression for a future that ends with an empty [`Fixture`](crate::Fixture), evaluated once per test, and
/// before it the attributes of each test, if any.
#[macro_export]
macro_rules! people_contract {
    ($(#[$attribute:meta])* $fixture:expr) => {
        $crate::contract_tests! { people, ($(#[$attribute])*), $fixture, [
            a_friend_is_registered_once,
            friends_are_listed_by_id,
            a_friend_is_changed_but_not_made_by_an_update,
            removing_a_friend_removes_what_is_theirs_and_nothing_else,
            an_address_on_a_channel_belongs_to_one_friend,
            an_address_is_never_the_id_of_a_friend,
            an_address_and_an_id_added_at_once_never_both_win,
            removing_a_friend_and_adding_their_contact_at_once_fails_neither,
            a_contact_is_removed_by_its_owner_only,
            an_agent_is_registered_once_and_known_by_its_token,
            a_rotated_token_is_void,
            removing_an_agent_removes_its_friendships_and_sessions,
            a_friendship_keeps_its_first_day,
            a_friendship_needs_both_sides,
            friendships_are_listed_in_order,
            a_session_needs_an_active_friendship,
            a_session_is_found_with_the_friendship_as_it_is_now,
            a_revoked_session_says_so_and_is_listed_no_more,
            a_session_is_revoked_by_its_owner_only,
            an_expired_session_is_not_listed_and_cannot_be_revoked,
            revoking_all_counts_those_that_counted,
            a_sweep_forgets_what_expired_before_it,
            every_change_leaves_one_line,
            what_changes_nothing_leaves_no_line,
            the_audit_log_is_searched_by_friend_action_and_time,
            an_audit_filter_takes_nothing_for_a_pattern,
        ] }
    };
}

/// Tests the stores of the rows beside documents, and of versions.
///
/// Takes an expression for a future that ends with an empty [`Fixture`](crate::Fixture), evaluated once per test, and
/// before it the attributes of each test, if any.
#[macro_export]
macro_rules! documents_contract {
    ($(#[$attribute:meta])* $fixture:expr) => {
        $crate::contract_tests! { documents, ($(#[$attribute])*), $fixture, [
            one_writer_holds_a_document_until_it_gives_it_back,
            of_many_that_ask_at_once_one_holds_it,
            whoever_lost_a_document_changes_nothing,
            a_lease_that_is_over_still_counts_until_somebody_else_asks,
            what_was_begun_is_pending_until_it_ends_and_nobody_sees_it,
            a_write_replaces_the_version_of_its_burst_only_if_it_took_place,
            any_bytes_are_kept_as_they_are_and_the_same_once,
            versions_are_found_by_those_who_may_see_them,
            a_removed_friends_texts_go_with_them,
        ] }
    };
}

/// Tests the stores of exposures, both as friends ask for them and as the reconciler works on them.
///
/// Takes an expression for a future that ends with an empty [`Fixture`](crate::Fixture), evaluated once per test, and
/// before it the attributes of each test, if any.
#[macro_export]
macro_rules! exposures_contract {
    ($(#[$attribute:meta])* $fixture:expr) => {
        $crate::contract_tests! { exposures, ($(#[$attribute])*), $fixture, [
            a_reservation_is_kept_as_it_was_made,
            nobody_unknown_reserves_anything,
            a_hostname_has_one_owner_however_it_is_made,
            of_many_who_reserve_one_hostname_at_once_one_has_it,
            the_limit_holds_however_many_ask_at_once,
            two_wishes_for_one_name_at_once_are_one_exposure,
            an_exposure_that_moves_owns_both_hostnames_until_the_old_one_is_freed,
            an_exposure_that_moves_there_and_back_ends_where_it_began,
            closing_is_stored_and_logged_once,
            a_change_is_taken_back_unless_there_was_a_later_one,
            an_exposure_is_one_workers_until_the_lease_ends,
            of_many_who_claim_at_once_one_works,
            a_result_counts_only_for_the_wish_that_was_worked_on,
            what_is_gone_frees_its_names_and_is_remembered,
            what_is_due_comes_in_the_order_of_waiting,
            pages_hold_every_exposure_once,
            every_change_is_told_with_a_time_of_its_own,
            a_friend_with_exposures_is_not_removed,
        ] }
    };
}

/// Tests the stores of jobs and of the queue of their runs.
///
/// Takes an expression for a future that ends with an empty [`Fixture`](crate::Fixture), evaluated once per test, and
/// before it the attributes of each test, if any.
#[macro_export]
macro_rules! jobs_contract {
    ($(#[$attribute:meta])* $fixture:expr) => {
        $crate::contract_tests! { jobs, ($(#[$attribute])*), $fixture, [
            a_job_comes_back_as_it_was_stored,
            jobs_are_listed_by_name_for_their_owner,
            a_name_is_stored_once_for_each_owner,
            a_limit_holds_for_all_agents_together_and_under_contention,
            a_job_needs_a_friendship,
            a_switch_is_done_once_and_only_where_nothing_moved_on,
            a_job_is_changed_by_its_owner_only,
            a_job_goes_with_its_friend_its_agent_and_its_runs,
            one_of_many_requests_is_queued,
            what_is_due_is_told_in_order_with_its_standing,
            a_job_with_an_open_run_is_not_due_and_does_not_fire,
            a_firing_that_is_stale_does_nothing,
            an_instant_has_one_run_even_if_the_clock_goes_back,
            eight_claimers_fire_each_of_two_hundred_jobs_once,
            a_missed_stretch_is_one_row,
            a_lease_keeps_others_away_until_it_ends,
            eight_takers_share_what_was_left_open,
            only_the_newest_attempt_settles,
            a_retry_waits_for_its_time,
            the_end_of_a_run_is_seen_on_its_job,
            runs_of_a_friendship_that_rests_are_left,
            runs_are_told_newest_first,
            a_sweep_forgets_ended_runs_only,
            every_change_of_a_job_leaves_one_line,
        ] }
    };
}
