//! The tables, one schema for both databases.
//!
//! Written by hand: the types map to native ones on each database. A test compares it with what
//! the migrations make.
//!
//! `Timestamp` goes by another name here: from that one the macro would conclude that the type can
//! be added and subtracted.

use diesel::{allow_tables_to_appear_in_same_query, table};

table! {
    use diesel::sql_types::{BigInt, Binary, Integer};

    store (id) {
        id -> Integer,
        incarnation -> Binary,
        changed -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, Bool, Nullable, SmallInt, Text};
    use crate::types::sql::{Id, Timestamp as At};

    users (id) {
        id -> Id,
        username -> Nullable<Text>,
        username_key -> Nullable<Text>,
        email -> Nullable<Text>,
        email_key -> Nullable<Text>,
        display_name -> Text,
        about -> Nullable<Text>,
        password_hash -> Nullable<Text>,
        last_seen_visibility -> SmallInt,
        read_receipts -> Bool,
        changed -> BigInt,
        created_at -> At,
        deleted_at -> Nullable<At>,
    }
}

table! {
    use diesel::sql_types::Text;
    use crate::types::sql::Id;

    user_words (word, user_id) {
        word -> Text,
        user_id -> Id,
    }
}

table! {
    use crate::types::sql::{Id, Timestamp as At};

    last_seen (user_id) {
        user_id -> Id,
        at -> At,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use crate::types::sql::{Id, Timestamp as At};

    sessions (id) {
        id -> Id,
        user_id -> Id,
        device_name -> Nullable<Text>,
        address -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        generation -> BigInt,
        token_hash -> Binary,
        created_at -> At,
        used_at -> At,
        expires_at -> At,
        revoked_at -> Nullable<At>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt, Text};
    use crate::types::sql::{Id, Timestamp as At};

    conversations (id) {
        id -> Id,
        kind -> SmallInt,
        name -> Nullable<Text>,
        description -> Nullable<Text>,
        posting -> SmallInt,
        user_a -> Nullable<Id>,
        user_b -> Nullable<Id>,
        created_by -> Id,
        created_at -> At,
        updated_at -> At,
        member_count -> Integer,
        settings_epoch -> BigInt,
        changed -> BigInt,
        deleted_at -> Nullable<At>,
        name_key -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable};
    use crate::types::sql::{Id, Timestamp as At};

    heads (conversation_id) {
        conversation_id -> Id,
        last_seq -> BigInt,
        version -> BigInt,
        member_epoch -> BigInt,
        last_message_at -> Nullable<At>,
        changed -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, Bool, Nullable, SmallInt};
    use crate::types::sql::{Id, Timestamp as At};

    members (conversation_id, user_id) {
        conversation_id -> Id,
        user_id -> Id,
        role -> SmallInt,
        joined_at -> At,
        first_seq -> BigInt,
        left_seq -> Nullable<BigInt>,
        version -> BigInt,
        delivered_seq -> BigInt,
        delivered_at -> Nullable<At>,
        read_seq -> BigInt,
        read_at -> Nullable<At>,
        muted_until -> Nullable<At>,
        pinned -> Bool,
        archived -> Bool,
        hidden -> Bool,
        changed -> BigInt,
        joined_seq -> Nullable<BigInt>,
        joined_version -> Nullable<BigInt>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Bool, Nullable, SmallInt, Text};
    use crate::types::sql::{Id, Timestamp as At};

    messages (conversation_id, seq) {
        conversation_id -> Id,
        seq -> BigInt,
        id -> Id,
        sender_id -> Id,
        client_message_id -> Text,
        digest -> Binary,
        kind -> SmallInt,
        content -> Nullable<Text>,
        reply_to -> Nullable<BigInt>,
        version -> BigInt,
        revised -> Bool,
        created_at -> At,
        edited_at -> Nullable<At>,
        deleted_at -> Nullable<At>,
        pinned_at -> Nullable<At>,
        event -> Nullable<SmallInt>,
        subject -> Nullable<Id>,
        mentions -> Nullable<Binary>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Text};
    use crate::types::sql::Id;

    reactions (conversation_id, seq, emoji, user_id) {
        conversation_id -> Id,
        seq -> BigInt,
        emoji -> Text,
        user_id -> Id,
        version -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, SmallInt};
    use crate::types::sql::{Id, Timestamp as At};

    receipts (conversation_id, user_id, status, seq) {
        conversation_id -> Id,
        user_id -> Id,
        status -> SmallInt,
        seq -> BigInt,
        at -> At,
    }
}

table! {
    use crate::types::sql::{Id, Timestamp as At};

    blocks (user_id, blocked_id) {
        user_id -> Id,
        blocked_id -> Id,
        at -> At,
    }
}

table! {
    use diesel::sql_types::{Integer, Nullable, Text};
    use crate::types::sql::{Id, Timestamp as At};

    invites (code) {
        code -> Text,
        conversation_id -> Id,
        created_by -> Id,
        created_at -> At,
        expires_at -> Nullable<At>,
        max_uses -> Nullable<Integer>,
        uses -> Integer,
    }
}

table! {
    use diesel::sql_types::Text;
    use crate::types::sql::Id;

    channel_words (word, conversation_id) {
        word -> Text,
        conversation_id -> Id,
    }
}

allow_tables_to_appear_in_same_query!(
    users,
    user_words,
    last_seen,
    sessions,
    conversations,
    heads,
    members,
    messages,
    reactions,
    receipts,
    blocks,
    invites,
    channel_words,
);
