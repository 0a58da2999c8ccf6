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

pub mod blocked;
pub mod blocks;
pub mod cards;
pub mod direct;
pub mod directory;
pub mod groups;
pub mod history;
pub mod inbox;
pub mod invites;
pub mod joining;
pub mod mentions;
pub mod notes;
pub mod pins;
pub mod reactions;
pub mod receipts;
pub mod sending;
pub mod sessions;
pub mod settings;
pub mod sync;
pub mod syncing;
pub mod users;
mod world;

use std::{pin::Pin, sync::Arc};

use kith_ports::{
    BlockStore, ConversationStore, InviteStore, MessageStore, ReceiptStore, SessionStore,
    UserStore, log::ConversationLog,
};

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
    /// Watermarks.
    pub receipts: Arc<dyn ReceiptStore>,
    /// Blocks between people.
    pub blocks: Arc<dyn BlockStore>,
    /// Invites into groups and channels.
    pub invites: Arc<dyn InviteStore>,
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
                acquaintances_share_a_chat_or_a_small_group,
                acquaintances_end_where_a_group_grows_large,
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
                of_two_edits_the_last_stands,
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
                settings_that_are_so_already_change_nothing,
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
            blocked: [
                nobody_writes_to_one_he_blocked_or_was_blocked_by,
                a_blocked_chat_stays_as_it_is,
                a_block_is_judged_in_its_turn,
                nobody_adds_one_he_blocked_or_was_blocked_by,
                shared_rooms_know_no_blocks,
            ]
            joining: [
                anyone_joins_a_channel,
                those_in_charge_of_a_channel_are_told,
                only_channels_are_open,
                an_invite_lets_one_in,
                an_invite_that_is_no_good_is_not_found,
                the_last_use_of_an_invite_lets_one_in,
            ]
            mentions: [
                members_are_mentioned_by_their_names,
                those_are_mentioned_who_are_in_it_at_the_time,
                a_direct_chat_knows_mentions,
                an_edit_finds_mentions_anew,
                a_retry_is_answered_with_its_mentions,
            ]
            notes: [
                a_group_notes_who_comes_and_goes,
                one_who_leaves_is_noted_so,
                another_name_is_noted,
                a_channel_does_not_note_who_comes_and_goes,
                a_note_is_nothing_to_read,
                a_note_stays_as_it_is,
                hiding_reads_nothing,
            ]
            pins: [
                a_message_is_pinned_and_unpinned_once,
                a_deleted_message_is_not_pinned,
            ]
            reactions: [
                a_reaction_is_given_and_taken_back_once,
                reactions_stand_in_the_order_they_were_given,
                the_first_who_gave_an_emoji_are_named,
                different_emoji_are_bounded,
                one_reacts_to_what_one_sees,
                an_audience_knows_what_its_batch_did,
                a_deleted_message_loses_its_reactions,
                a_message_is_told_with_its_reactions,
                a_reaction_from_many_tasks_is_one,
            ]
            settings: [
                own_settings_change_field_by_field,
                ones_next_sync_finds_new_settings,
                only_members_have_settings,
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
                who_hides_a_chat_still_hears_who_left,
                one_no_longer_in_charge_is_gone_from_a_channel,
                another_role_in_a_channel_is_a_reset,
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
            cards: [
                reactions_stand_under_messages,
                an_answer_shows_the_beginning_of_what_it_answers,
                a_status_is_what_all_others_have_reached,
                a_status_does_not_tell_of_hidden_reading,
                a_status_ends_where_a_room_grows_large,
                the_inbox_shows_cards_of_the_newest_messages,
                a_message_is_located,
                unread_mentions_are_counted_apart,
                counting_mentions_stops_where_counting_does,
                a_page_is_of_one_moment,
            ]
            receipts: [
                marks_move_forward,
                who_is_no_member_moves_nothing,
                senders_are_told_once,
                senders_of_long_ago_are_not_told,
                hidden_reading_is_told_to_nobody,
                nobody_is_told_across_a_block,
                hidden_reading_leaves_no_trace,
                nothing_is_known_across_a_block,
                a_large_room_keeps_marks_alone,
                receipts_in_a_channel_do_not_list_it,
                a_channel_tells_those_in_charge_who_reads,
                who_hides_a_chat_stays_in_its_receipts,
                receipts_are_paged,
                receipts_of_a_message,
                a_batch_moves_many,
                what_moves_nothing_writes_nothing,
                hiding_reads_nothing,
                advances_and_sends_at_once,
            ]
            blocks: [
                a_block_is_made_and_taken_back,
                blocks_are_paged,
                those_are_found_who_have_parted,
                those_who_have_parted_are_no_contacts,
            ]
            invites: [
                an_invite_is_kept_whole,
                those_in_charge_give_out_invites,
                invites_are_paged_with_ties,
            ]
            directory: [
                channels_are_listed_by_name,
                channels_are_found_by_the_start_of_a_word,
                only_a_channel_has_a_listing,
                a_channel_shows_those_in_charge_of_it,
            ]
            sync: [
                a_first_sync_brings_everything,
                a_sync_brings_what_changed_since,
                a_sync_is_paged_and_resumed,
                changes_during_a_paged_sync_are_not_lost,
                what_is_gone_is_named_once,
                what_goes_on_after_leaving_is_not_told,
                profiles_of_acquaintances_are_synced,
                profiles_of_a_group_that_grows_small_are_synced,
                a_token_of_another_database_is_foreign,
                a_horizon_misses_nothing_while_others_write,
                a_chat_that_only_the_other_opened_is_not_told,
                a_sync_brings_the_marks_of_others,
                own_settings_and_marks_are_found,
                people_come_page_by_page,
                many_people_come_page_by_page,
                people_who_change_during_a_paged_sync_are_not_lost,
            ]
            syncing: [
                old_state_and_a_sync_are_the_fresh_state,
                a_clock_that_steps_back_loses_nothing,
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
