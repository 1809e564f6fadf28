//! The contract of each port, as tests that any implementation can run.
//!
//! A suite is a set of promises, each a function of an empty fixture of its own. Its macro turns them into tests:
//! `portal_testkit::records_contract!(my_zone());`, or `portal_testkit::records_contract!(#[ignore = "needs a server"]
//! my_zone());` where they need something that is not always there. The expression is evaluated once per test and gives a
//! future that ends with the fixture. The crate that calls the macro needs `tokio` as a development dependency, with its
//! features `macros` and `rt-multi-thread`.

#[doc(hidden)]
pub mod changes;
#[doc(hidden)]
pub mod delivery;
#[doc(hidden)]
pub mod documents;
#[doc(hidden)]
pub mod engines;
#[doc(hidden)]
pub mod exposures;
#[doc(hidden)]
pub mod files;
#[doc(hidden)]
pub mod jobs;
#[doc(hidden)]
pub mod logins;
#[doc(hidden)]
pub mod namespaces;
#[doc(hidden)]
pub mod people;
#[doc(hidden)]
pub mod probes;
#[doc(hidden)]
pub mod provisioning;
#[doc(hidden)]
pub mod reach;
#[doc(hidden)]
pub mod records;
#[doc(hidden)]
pub mod remote;
#[doc(hidden)]
pub mod retention;
#[doc(hidden)]
pub mod routes;
#[doc(hidden)]
pub mod runs;
#[doc(hidden)]
pub mod scopes;
#[doc(hidden)]
pub mod settings;

/// Turns promises into tests.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($suite:ident, [$($promise:ident,)+], #$attribute:tt $fixture:expr) => {
        $($crate::contract_test! { $suite, $promise, (#$attribute), $fixture })+
    };
    ($suite:ident, [$($promise:ident,)+], $fixture:expr) => {
        $($crate::contract_test! { $suite, $promise, (), $fixture })+
    };
}

/// Turns one promise into a test.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_test {
    ($suite:ident, $promise:ident, ($($attribute:tt)*), $fixture:expr) => {
        #[tokio::test(flavor = "multi_thread")]
        $($attribute)*
        async fn $promise() {
            $crate::contract::$suite::$promise(&$fixture.await).await;
        }
    };
}

/// Tests the stores of friends, contacts, agents, friendships, sessions and the audit log; its fixture is a
/// [`Fixture`](crate::Fixture).
#[macro_export]
macro_rules! people_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { people, [
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
        ], $($fixture)+ }
    };
}

/// Tests the stores of the rows beside documents, and of versions; its fixture is a [`Fixture`](crate::Fixture).
#[macro_export]
macro_rules! documents_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { documents, [
            one_writer_holds_a_document_until_it_gives_it_back,
            of_many_that_ask_at_once_one_holds_it,
            whoever_lost_a_document_changes_nothing,
            a_lease_that_is_over_still_counts_until_somebody_else_asks,
            what_was_begun_is_pending_until_it_ends_and_nobody_sees_it,
            a_write_replaces_the_version_of_its_burst_only_if_it_took_place,
            a_look_is_due_at_the_earliest_time_that_was_asked_for,
            the_newest_version_and_one_of_a_tag_are_found,
            any_bytes_are_kept_as_they_are_and_the_same_once,
            versions_are_found_by_those_who_may_see_them,
            a_removed_friends_texts_go_with_them,
        ], $($fixture)+ }
    };
}

/// Tests the stores of exposures, both as friends ask for them and as the reconciler works on them; its fixture is a
/// [`Fixture`](crate::Fixture).
#[macro_export]
macro_rules! exposures_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { exposures, [
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
            a_name_that_lives_again_continues_with_its_id_and_generation,
            many_lives_of_a_name_leave_as_many_rows_as_one,
            two_hundred_removed_hostnames_keep_a_friend_from_new_names_for_a_day,
            a_request_for_a_new_exposure_never_changes_an_existing_one,
            a_check_says_what_a_reservation_would_and_changes_nothing,
            progress_is_kept,
        ], $($fixture)+ }
    };
}

/// Tests the stores of jobs; its fixture is a [`Fixture`](crate::Fixture).
#[macro_export]
macro_rules! jobs_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { jobs, [
            a_job_comes_back_as_it_was_stored,
            jobs_are_listed_by_name_for_their_owner,
            a_name_is_stored_once_for_each_owner,
            a_limit_holds_for_all_agents_together_and_under_contention,
            a_job_needs_a_friendship,
            a_change_is_stored_once_and_only_where_nothing_moved_on,
            a_job_is_changed_by_its_owner_only,
            every_change_of_a_job_leaves_one_line,
            a_job_is_found_by_its_name_and_else_by_its_id,
        ], $($fixture)+ }
    };
}

/// Tests the queue of runs; its fixture is a [`Fixture`](crate::Fixture).
#[macro_export]
macro_rules! runs_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { runs, [
            a_job_goes_with_its_friend_its_agent_and_its_runs,
            one_of_many_requests_is_queued,
            what_is_due_comes_in_order_with_its_friendship,
            a_job_with_an_open_run_is_not_due_and_does_not_fire,
            a_firing_that_is_stale_does_nothing,
            a_fire_time_has_one_run_even_if_the_clock_goes_back,
            eight_claimers_fire_each_of_two_hundred_jobs_once,
            a_missed_window_is_one_row,
            a_lease_keeps_others_away_until_it_ends,
            eight_claimers_share_what_was_left_open,
            only_the_newest_attempt_completes_a_run,
            a_retry_waits_for_its_time,
            the_end_of_a_run_is_seen_on_its_job,
            runs_of_an_inactive_friendship_are_left,
            runs_are_listed_newest_first,
            runs_are_listed_page_by_page,
            a_job_remembers_its_newest_runs,
            a_job_for_one_moment_is_disabled_when_it_is_over,
            a_friend_asks_for_ten_runs_a_minute,
            the_newest_release_of_time_zone_rules_plans_all_jobs_anew,
            a_clock_that_went_back_makes_what_waits_for_a_later_time_due,
            jobs_of_an_inactive_friendship_are_parked_until_it_is_active_again,
        ], $($fixture)+ }
    };
}

/// The suite of [`portal_core::ChangeLog`], beside the stores whose changes it tells of.
#[macro_export]
macro_rules! changes_contract {
    ($($fixture:tt)*) => {
        $crate::contract_tests! { changes, [
            an_exposure_is_told_of_whenever_what_is_shown_changes,
            a_document_is_told_of_to_those_who_see_it,
            a_job_and_its_runs_are_told_of,
            the_end_of_a_session_is_told_of_however_it_ends,
            the_log_is_read_by_time_and_by_friend,
        ], $($fixture)* }
    };
}

/// Tests the store of changes and runs of jobs that are kept elsewhere; its fixture is a
/// [`RemoteFixture`](crate::RemoteFixture).
#[macro_export]
macro_rules! remote_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { remote, [
            of_many_changes_of_a_job_one_is_under_way,
            a_change_leaves_a_line_unless_nothing_was_changed,
            a_change_whose_process_died_is_entered_once,
            jobs_that_are_being_made_count,
            a_friend_asks_for_ten_runs_a_minute_of_all_jobs,
            a_run_is_open_until_it_is_ended_once,
            the_end_of_the_work_and_the_delivery_of_the_answer_are_stored,
            a_pause_is_stored_once_and_goes_with_its_friendship,
            old_runs_are_forgotten_in_batches,
            a_job_that_was_made_is_told_of_by_its_id,
            a_run_is_told_of_by_its_job,
        ], $($fixture)+ }
    };
}

/// Tests an engine, in what all engines promise; its fixture is an [`EngineFixture`](crate::EngineFixture).
#[macro_export]
macro_rules! engines_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { engines, [
            a_job_is_its_owners_alone,
            a_name_is_given_once,
            a_job_needs_a_friendship,
            a_job_is_changed_from_the_revision_that_was_read,
            a_disabled_job_is_due_never,
            a_removed_job_is_gone_and_its_name_is_free,
            a_run_is_listed_under_the_id_that_was_told,
            every_change_leaves_one_line_and_no_change_leaves_none,
        ], $($fixture)+ }
    };
}

/// Tests what friends change about themselves, the pages of their activity, and the messages that they send now; its
/// fixture is a [`Fixture`](crate::Fixture).
#[macro_export]
macro_rules! settings_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { settings, [
            a_patch_changes_the_members_that_it_names,
            a_patch_of_nobody_is_stored_nowhere,
            the_audit_log_comes_in_pages,
            a_message_is_run_once_and_never_fires,
            a_message_keeps_the_limits_of_jobs_and_runs,
            a_message_needs_a_friendship,
        ], $($fixture)+ }
    };
}

/// Tests the folders of agents; its fixture is a [`FilesFixture`](crate::FilesFixture).
#[macro_export]
macro_rules! files_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { files, [
            a_new_text_is_installed_where_nothing_is,
            an_exchange_brings_out_the_file,
            nothing_is_installed_where_the_file_is_not_as_expected,
            a_discarded_text_is_not_installed,
            only_what_was_seen_is_discarded,
            what_is_staged_beside_one_document_is_not_beside_another,
            a_displaced_file_is_found_again_by_its_label_until_it_is_released,
            an_overwrite_needs_the_expected_content_and_leaves_the_staged_text,
            a_file_is_inspected_as_it_is_now,
            a_text_too_large_for_a_document_is_reported_and_one_too_large_to_store_is_renamed,
        ], $($fixture)+ }
    };
}

/// Tests the records of a zone; its fixture is a [`ZoneFixture`](crate::ZoneFixture).
#[macro_export]
macro_rules! records_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { records, [
            an_empty_name_is_absent,
            a_record_is_created_and_read_back_as_it_was_asked_for,
            making_a_record_again_changes_nothing,
            a_record_of_ours_is_changed_in_place,
            a_foreign_record_of_any_type_is_left_alone,
            what_was_observed_as_absent_is_never_overwritten,
            a_record_with_another_marker_is_left_alone,
            a_record_that_was_edited_is_put_right,
            a_record_that_lost_its_marker_is_left_alone,
            removing_takes_what_carries_the_marker_and_nothing_else,
            a_wildcard_is_no_record_of_the_name,
            names_that_begin_alike_are_told_apart,
            a_listing_says_what_a_look_says,
            of_two_writers_one_wins,
            a_listing_of_many_names_is_whole,
        ], $($fixture)+ }
    };
}

/// Tests the routes and the Services of a cluster; its fixture is a [`ClusterFixture`](crate::ClusterFixture).
#[macro_export]
macro_rules! routes_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { routes, [
            where_there_is_nothing_nothing_is_seen,
            a_route_is_created_and_read_back_as_it_was_asked_for,
            what_exists_is_never_overwritten,
            a_route_is_changed_only_as_it_was_seen,
            a_route_without_our_marker_is_neither_changed_nor_deleted,
            a_route_is_deleted_only_if_it_is_the_one_that_was_seen,
            a_route_that_was_edited_does_not_say_what_we_said,
            routes_of_any_namespace_that_could_match_are_seen,
            every_kind_that_can_claim_a_hostname_is_seen,
            only_marked_routes_are_listed,
            a_namespace_that_is_gone_takes_no_route,
            a_service_is_known_by_its_tcp_ports,
        ], $($fixture)+ }
    };
}

/// Tests the store of login codes; its fixture is a [`Fixture`](crate::Fixture).
#[macro_export]
macro_rules! logins_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { logins, [
            a_code_is_exchanged_for_a_session_of_its_friend,
            of_many_exchanges_of_a_code_one_gets_a_session,
            the_entry_of_a_login_names_no_operator,
            an_address_stands_for_its_friend,
            a_link_needs_an_active_friendship_with_its_agent,
            a_code_needs_the_friendship_until_it_is_exchanged,
            a_code_is_refused_from_its_end_on,
        ], $($fixture)+ }
    };
}

/// Tests the deletion of expired rows; its fixture is a [`Fixture`](crate::Fixture).
#[macro_export]
macro_rules! retention_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { retention, [
            audit_entries_expire_by_their_time,
            sessions_expire_by_their_end,
            login_codes_expire_by_their_end,
            finished_runs_expire_by_their_end,
            the_newest_runs_of_a_job_stay,
            jobs_for_one_moment_expire_when_they_are_disabled,
            tombstones_expire_by_their_time,
            changes_expire_by_their_time,
        ], $($fixture)+ }
    };
}

/// Tests a cluster as friends see it; its fixture is a [`NamespaceFixture`](crate::NamespaceFixture).
#[macro_export]
macro_rules! namespaces_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { namespaces, [
            a_namespace_that_does_not_exist_is_known_to_be_empty,
            a_new_namespace_is_active_and_empty,
            what_is_in_a_namespace_is_shown_by_name,
            what_is_in_another_namespace_is_not_shown,
            an_overview_stays_the_same_until_something_changes,
            what_is_deleted_is_shown_no_more,
            a_namespace_that_ends_is_not_shown_as_active,
        ], $($fixture)+ }
    };
}

/// Tests the means to make namespaces; its fixture is a [`ProvisioningFixture`](crate::ProvisioningFixture).
#[macro_export]
macro_rules! provisioning_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { provisioning, [
            a_namespace_is_made_with_all_that_belongs_into_it,
            provisioning_a_namespace_again_changes_nothing,
            other_values_are_applied_to_a_namespace_that_exists,
            a_namespace_provisioned_by_many_at_once_is_made_once,
            agents_are_bound_once_and_their_binding_is_repaired,
            agents_that_are_not_named_any_more_are_unbound,
            a_binding_of_somebody_else_is_left_alone,
            a_namespace_of_somebody_else_is_left_alone,
            a_namespace_that_ends_is_left_alone,
        ], $($fixture)+ }
    };
}

/// Tests a way of messages to a receiver; its fixture is a [`DeliveryFixture`](crate::DeliveryFixture).
#[macro_export]
macro_rules! delivery_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { delivery, [
            an_accepted_message_is_with_the_receiver,
            a_message_arrives_whether_or_not_its_answer_goes_to_a_contact,
            a_message_that_is_handed_over_again_has_the_same_id,
            messages_of_many_runs_at_once_all_arrive,
            a_receiver_that_fails_may_be_asked_again,
            a_refusal_is_an_answer_for_the_friend,
            no_error_names_the_message_or_a_secret,
        ], $($fixture)+ }
    };
}

/// Tests a probe of a backend; its fixture is a [`ProbeFixture`](crate::ProbeFixture).
#[macro_export]
macro_rules! probes_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { probes, [
            a_probe_has_one_name,
            a_probe_fails_only_while_its_backend_is_gone,
        ], $($fixture)+ }
    };
}

/// Tests requests to exposed addresses; its fixture is a [`ReachFixture`](crate::ReachFixture).
#[macro_export]
macro_rules! reach_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { reach, [
            an_app_that_answers_is_reached,
            an_app_that_is_gone_is_not_reached_until_it_is_back,
            an_address_says_nothing_about_another,
            many_that_ask_at_once_get_the_same_result,
        ], $($fixture)+ }
    };
}

/// Tests gateways that decide in which conversation a friend's messages are; its fixture is a
/// [`ScopesFixture`](crate::ScopesFixture).
#[macro_export]
macro_rules! scopes_contract {
    ($($fixture:tt)+) => {
        $crate::contract_tests! { scopes, [
            a_conversation_across_channels_is_found,
            a_conversation_on_a_channel_under_the_friends_id_is_found,
            a_conversation_on_a_channel_under_the_address_is_found,
            many_that_ask_at_once_get_the_same_conversation,
            an_agent_without_a_gateway_has_one_conversation_across_channels,
            a_gateway_that_is_gone_is_an_error_and_not_a_guess,
        ], $($fixture)+ }
    };
}
