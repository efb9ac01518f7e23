//! What an archive does.

use std::future::Future;
use std::pin::Pin;

use chinwag_archive::Archive;

mod commit;
mod epoch;
mod page;
mod search;

/// A check of an archive that is empty at its beginning.
pub type Check = for<'a> fn(&'a dyn Archive) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Lists the checks, and makes of each a test against SQLite.
macro_rules! suite {
    ($($part:ident: $($name:ident)*;)*) => {
        /// Every check by its name.
        pub const ALL: &[(&str, Check)] = &[
            $($((stringify!($name), |archive| Box::pin($part::$name(archive))),)*)*
        ];

        mod on_sqlite {
            $($(
                #[tokio::test]
                async fn $name() {
                    let (_directory, archive) = crate::sqlite::fresh().await;
                    super::$part::$name(archive.as_ref()).await;
                }
            )*)*
        }
    };
}

suite! {
    commit:
        rows_come_back_as_they_were
        a_replay_changes_nothing
        a_message_id_sent_again_keeps_its_sequence_and_words
        the_same_id_is_free_for_another_sender_or_room
        a_sequence_used_twice_keeps_the_first_event
        a_checkpoint_moves_with_its_rows_or_without_any
        an_older_token_or_epoch_is_fenced_and_writes_nothing
        a_commit_without_room_for_its_numbers_is_refused_alone
        partitions_commit_at_the_same_time
        any_json_that_was_accepted_can_be_archived;
    epoch:
        an_epoch_is_the_same_for_the_same_run_and_higher_for_another
        an_epoch_is_above_what_redis_remembers
        an_epoch_taken_over_from_another_archive_is_nobodys
        one_epoch_comes_of_many_askers;
    page:
        a_page_goes_up_or_down_between_two_ends
        a_page_has_a_largest_size
        an_unknown_room_is_empty
        high_and_messages_are_those_of_the_last_event
        an_event_is_found_by_its_name
        recent_ids_come_in_order_after_a_sequence;
    search:
        words_are_found_whatever_their_case_and_order
        shanghai_is_found_inside_a_sentence
        phrases_cross_words_and_keep_their_order
        no_term_is_dropped
        only_the_rooms_asked_for_are_searched
        pages_of_matches_go_on_where_the_last_ended
        many_candidates_without_a_match_end_with_a_place_to_go_on
        a_user_of_a_thousand_rooms_can_search_them
        what_was_not_committed_is_not_found;
}
