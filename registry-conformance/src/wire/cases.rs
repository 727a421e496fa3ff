//! The lists of cases, each in one place.

/// The list of all cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __wire_cases {
    ($then:ident $arguments:tt) => {
        $crate::$then! {
            $arguments
            wire::base {
                the_base_says_that_this_is_a_registry,
                the_root_says_that_the_server_is_alive,
                every_answer_names_the_api,
                unknown_paths_are_not_found,
                unknown_methods_are_not_allowed,
                a_slash_at_the_end_makes_no_difference,
                errors_have_the_envelope,
                an_error_for_head_has_no_body,
            }
            wire::uploads {
                a_session_begins_with_its_location,
                post_then_put_stores_a_blob,
                a_single_post_stores_a_blob,
                a_single_post_of_other_content_is_refused,
                chunks_add_up,
                a_streamed_chunk_needs_no_range,
                the_last_chunk_may_come_with_put,
                the_status_tells_how_far_an_upload_has_come,
                the_status_can_be_asked_of_an_old_location,
                the_range_of_no_byte_is_that_of_one,
                a_cancelled_session_is_gone,
                a_finished_session_is_gone,
                an_empty_blob_can_be_pushed,
                a_blob_can_be_pushed_under_sha512,
                a_declared_algorithm_may_turn_out_another,
                an_unknown_algorithm_is_refused,
                any_content_type_is_the_bytes_of_a_blob,
                a_location_may_be_put_together_anew,
                a_blob_can_be_pushed_again,
                sessions_do_not_mix,
            }
            wire::sessions {
                a_chunk_out_of_order_is_refused_with_where_to_go_on,
                a_last_chunk_out_of_order_is_refused_with_where_to_go_on,
                a_first_chunk_does_not_begin_later,
                an_old_location_is_refused_with_where_to_go_on,
                a_chunk_of_another_length_is_refused,
                a_refused_chunk_leaves_a_session_to_resume,
                a_body_shorter_than_announced_is_refused,
                a_malformed_range_is_refused,
                a_range_may_have_the_form_of_http,
                a_request_without_state_is_refused,
                a_changed_state_is_refused,
                a_state_is_good_for_its_session_alone,
                an_unknown_session_is_unknown,
                a_session_is_unknown_in_another_repository,
                put_without_a_digest_leaves_the_session,
                put_of_other_content_ends_the_session,
                put_again_succeeds_again,
            }
            wire::writers {
                a_second_writer_is_refused,
                a_last_chunk_holds_the_session,
                one_of_many_writers_wins,
                two_that_end_a_session_leave_the_blob,
                a_lost_connection_leaves_what_arrived,
                a_dropped_request_leaves_a_session_to_resume,
                a_lost_connection_never_leaves_half_a_blob,
            }
            wire::mounts {
                a_blob_is_mounted_from_another_repository,
                a_blob_is_mounted_from_anywhere,
                a_blob_is_mounted_where_it_is,
                a_blob_of_sha512_is_mounted,
                what_cannot_be_mounted_is_uploaded,
                a_malformed_mount_is_refused,
                a_mounted_blob_outlives_its_source,
                a_deleted_blob_is_not_mounted,
            }
            wire::blobs {
                a_blob_is_pulled_with_all_its_headers,
                a_blob_of_sha512_is_pulled_under_its_digest,
                an_empty_blob_is_pulled,
                an_unknown_blob_is_not_found,
                a_malformed_digest_is_refused,
                a_digest_of_an_unknown_algorithm_has_no_blob,
                a_blob_is_not_seen_in_another_repository,
                a_deleted_blob_is_gone,
                manifests_are_not_blobs,
                a_known_blob_is_not_sent_again,
                another_blob_than_expected_is_not_sent,
                a_weak_tag_is_no_match,
            }
            wire::ranges {
                one_range_is_one_part,
                a_range_past_the_end_is_refused_with_the_length,
                what_is_no_range_is_ignored,
                head_has_no_ranges,
                a_range_counts_for_the_same_content_alone,
                several_ranges_are_several_parts,
                ranges_that_overlap_are_joined,
                too_many_ranges_are_the_whole,
                pieces_make_up_the_blob,
            }
            wire::manifests {
                a_manifest_is_pushed_by_tag,
                a_manifest_is_pushed_by_digest,
                a_manifest_is_pushed_with_many_tags,
                a_bad_tag_in_the_query_is_refused,
                a_manifest_is_pushed_by_sha512,
                a_subject_is_confirmed,
                any_accept_header_will_do,
                a_known_manifest_is_not_sent_again,
                a_custom_type_is_served_as_pushed,
                the_type_of_the_last_push_counts,
                the_type_is_read_leniently,
                the_letter_case_of_the_type_means_nothing,
                all_kinds_of_manifests_are_served_as_pushed,
                a_tag_moves_to_another_manifest,
                a_deleted_tag_leaves_its_manifest,
                a_deleted_manifest_takes_its_tags_with_it,
                a_manifest_is_not_seen_in_another_repository,
            }
            wire::faulty {
                a_manifest_of_4_mib_is_accepted,
                a_larger_manifest_is_refused,
                what_is_no_manifest_is_refused,
                a_manifest_of_no_type_is_refused,
                a_manifest_under_another_digest_is_refused,
                each_missing_blob_is_told,
                a_malformed_digest_in_a_manifest_is_refused,
                a_wrong_size_is_refused,
                an_index_with_a_missing_child_is_refused,
                layers_that_are_elsewhere_may_be_missing,
                urls_are_refused_unless_allowed,
                an_invalid_tag_is_refused_or_unknown,
                an_unknown_manifest_is_not_found,
                a_refused_manifest_leaves_no_repository,
            }
            wire::tags {
                tags_are_listed_in_byte_order,
                pages_of_tags_cover_all_once,
                a_page_of_tags_begins_after_last,
                the_link_names_the_last_tag,
                a_page_of_no_tags_is_empty,
                a_malformed_number_of_tags_is_refused,
                a_large_number_of_tags_is_cut,
                tags_of_an_unknown_repository_are_not_found,
                a_repository_may_have_no_tags,
                deleted_tags_are_not_listed,
            }
            wire::catalog {
                repositories_are_listed_by_components,
                an_empty_registry_has_an_empty_list,
                pages_of_repositories_cover_all_once,
                a_page_of_repositories_begins_after_last,
                the_link_names_the_last_repository,
                too_many_repositories_are_refused,
                only_repositories_with_manifests_are_listed,
                a_repository_without_tags_is_listed,
            }
            wire::referrers {
                what_nothing_refers_to_has_an_empty_list,
                everything_that_refers_is_listed,
                artifact_types_follow_the_specification,
                a_referrer_of_a_custom_type_is_listed_under_it,
                annotations_are_those_of_the_manifest,
                referrers_are_filtered_by_type,
                pages_of_referrers_cover_all_once,
                a_malformed_request_is_refused,
                a_deleted_referrer_is_not_listed,
                referrers_of_another_repository_are_not_listed,
                a_subject_of_sha512_has_referrers,
            }
            wire::bodies {
                a_body_that_fails_anywhere_leaves_a_session_to_resume,
                a_single_post_that_fails_leaves_nothing,
                a_manifest_that_fails_is_not_stored,
                a_manifest_without_end_is_not_read_to_it,
                a_chunk_without_end_is_not_read_to_it,
                trailers_are_read_past,
                a_long_head_gets_an_ordinary_answer,
            }
            wire::hostile {
                hostile_names_are_refused,
                odd_names_are_as_good_as_others,
                hostile_references_are_refused,
                no_request_makes_the_server_fail,
            }
        }
    };
}

/// The list of cases of a read-only service.
#[doc(hidden)]
#[macro_export]
macro_rules! __wire_read_only_cases {
    ($then:ident $arguments:tt) => {
        $crate::$then! {
            $arguments
            wire::read_only {
                everything_can_be_pulled,
                nothing_can_be_pushed_or_deleted,
                reading_uploads_begins_none,
                options_tell_what_is_left,
            }
        }
    };
}

/// The list of cases of a service without deletes.
#[doc(hidden)]
#[macro_export]
macro_rules! __wire_delete_disabled_cases {
    ($then:ident $arguments:tt) => {
        $crate::$then! {
            $arguments
            wire::delete_disabled {
                nothing_can_be_deleted,
                uploads_can_be_cancelled,
                a_malformed_request_is_told_first,
            }
        }
    };
}
