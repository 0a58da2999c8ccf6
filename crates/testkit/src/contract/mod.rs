//! What the ports promise, as tests that every store must pass.
//!
//! A new store runs them all, each on a store of its own:
//!
//! ```text
//! kith_testkit::contract_tests!(make());
//!
//! // The stores, and whatever must live as long as they do.
//! fn make() -> (kith_testkit::contract::Stores, tempfile::TempDir) { … }
//! ```

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "these are tests")]

pub mod direct;
pub mod groups;
pub mod history;
pub mod inbox;
pub mod sending;
pub mod sessions;
pub mod sync;
pub mod users;
mod world;

use std::{pin::Pin, sync::Arc};

use kith_ports::{ConversationStore, MessageStore, SessionStore, UserStore, log::ConversationLog};

pub use self::world::World;

/// All stores of one database.
#[derive(Clone)]
pub struct Stores {
    /// Accounts.
    pub users: Arc<dyn UserStore>,
    /// Signed-in devices.
    pub sessions: Arc<dyn SessionStore>,
    /// Reads of conversations.
    pub conversations: Arc<dyn ConversationStore>,
    /// Reads of messages.
    pub messages: Arc<dyn MessageStore>,
    /// Every change of a conversation.
    pub log: Arc<dyn ConversationLog>,
    /// Waits until a sync token taken now stands after everything that was written before. Where
    /// transactions of other databases count too, as on PostgreSQL, one may stand earlier, and what
    /// it brings has been told before: right, but not exact, as the tests want it.
    pub settled: Settled,
}

/// See [`Stores::settled`].
pub type Settled = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stores(..)")
    }
}

/// Makes a test of each promise. `$make` gives [`Stores`] and what must live as long as they do.
#[macro_export]
macro_rules! contract_tests {
    ($make:expr) => {
        $crate::contract_tests! { @all $make;
            users: [
                an_account_is_found_by_name_and_address_without_case,
                what_is_taken_is_told_and_nothing_is_written,
                two_registrations_of_one_name_at_once_leave_one,
                accounts_are_found_by_id,
                people_are_found_by_the_start_of_a_word,
                a_search_goes_on_after_a_name,
                patterns_have_no_meaning_in_a_search,
                a_profile_is_changed_field_by_field,
                a_new_display_name_is_what_one_is_found_by,
                a_new_password_ends_the_other_sessions,
                erasing_frees_the_name_and_leaves_a_tombstone,
                last_seen_never_goes_back,
                contacts_are_those_one_has_written_to,
                correspondents_share_a_chat_with_a_message,
                acquaintances_share_a_chat_or_a_small_room,
                acquaintances_end_where_a_room_grows_large,
            ]
            sessions: [
                a_session_is_stored_whole,
                a_session_needs_the_password_that_was_verified,
                renewing_moves_to_the_next_generation_once,
                renewals_at_once_have_one_winner,
                ended_sessions_are_not_listed,
                only_ones_own_session_is_ended,
                all_others_are_ended,
            ]
            sending: [
                numbers_are_dense,
                a_retry_is_answered_with_the_first_message,
                a_retry_inside_a_batch_is_a_duplicate,
                a_retry_after_leaving_is_answered,
                a_retry_after_deleting_gives_the_tombstone,
                the_id_of_another_message_is_refused,
                the_same_id_elsewhere_or_by_another_is_another_message,
                strangers_are_refused,
                a_rejected_neighbour_leaves_no_gap,
                only_admins_post_where_it_says_so,
                replies_name_a_message_that_the_sender_sees,
                an_erased_account_sends_nothing,
                hostile_text_comes_back_unchanged,
                many_at_once_leave_no_gap,
                one_id_from_many_tasks_is_one_message,
                who_stops_waiting_leaves_whole_batches,
                an_edit_needs_the_version_it_was_decided_on,
                deleting_twice_changes_nothing,
                commands_on_what_is_not_there,
            ]
            direct: [
                the_first_message_makes_the_chat,
                both_sides_meet_in_one_chat,
                a_chat_is_opened_once,
                who_cannot_be_written_to,
                an_opened_chat_shows_to_the_other_with_the_first_message,
                an_existing_chat_is_addressed_by_its_id,
            ]
            groups: [
                a_group_begins_with_its_members,
                making_it_again_changes_nothing,
                members_come_and_go_each_with_a_version,
                what_changes_nothing_is_left_out,
                a_stale_member_epoch_writes_nothing,
                a_stale_settings_epoch_writes_nothing,
                settings_change_field_by_field,
                a_removed_member_sends_nothing,
                removal_and_sends_at_once_never_cross,
                one_who_comes_back_begins_anew,
                a_deleted_group_is_gone_for_all,
                a_snapshot_names_who_was_asked_for,
                members_are_paged_by_joining_with_ties,
                members_are_named,
                topics_are_groups_and_channels,
                a_direct_chat_has_no_members_to_change,
            ]
            history: [
                pages_of_a_history,
                paging_while_more_arrive_shows_everything_once,
                what_came_before_joining_is_not_seen,
                a_channel_shows_all_of_it,
                a_message_with_its_context,
                messages_of_one_sender,
                changes_since_a_version,
                changes_page_by_page,
                changes_are_reset_for_one_far_behind,
                changes_of_members_are_marked,
                changes_do_not_list_a_channels_members,
                changes_do_not_name_who_left_before_one_joined,
            ]
            inbox: [
                a_card_shows_the_newest_message_and_the_peer,
                the_inbox_is_ordered_by_activity,
                the_inbox_is_paged_with_ties,
                the_inbox_is_filtered,
                unread_counts_what_others_wrote,
                unread_stops_at_its_most,
                sending_reads_only_what_was_read,
                a_hidden_chat_comes_back_with_the_next_message,
                opening_brings_a_hidden_chat_back,
                hiding_is_ones_own,
                hiding_takes_its_place_in_a_batch,
            ]
            sync: [
                a_first_sync_brings_everything,
                a_sync_brings_what_changed_since,
                a_sync_is_paged_and_resumed,
                changes_during_a_paged_sync_are_not_lost,
                what_is_gone_is_named_once,
                what_goes_on_after_leaving_is_not_told,
                profiles_of_acquaintances_are_synced,
                a_chat_that_only_the_other_opened_is_not_told,
                a_token_of_another_database_is_foreign,
                a_horizon_misses_nothing_while_others_write,
            ]
        }
    };
    (@all $make:expr; $($module:ident: [$($name:ident,)*])*) => {$(
        mod $module {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let (stores, _guard) = $make;
                    $crate::contract::$module::$name(stores).await;
                }
            )*
        }
    )*};
}
