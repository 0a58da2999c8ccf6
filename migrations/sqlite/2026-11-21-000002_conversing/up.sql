-- Receipts, reactions, mentions, system messages, blocks, invites, the directory of channels.

-- What happened, in a system message (kind 3), and to whom; a new name stands in `content`.
ALTER TABLE messages ADD COLUMN event INTEGER;
ALTER TABLE messages ADD COLUMN subject BLOB;
-- The ids of those whom it mentions, one after the other, 16 bytes each.
ALTER TABLE messages ADD COLUMN mentions BLOB;

-- With which message, and under which version, he came: neither moves when he hides what there is. A
-- later version says that he was in charge at some time. Null for those who came before this was kept.
ALTER TABLE members ADD COLUMN joined_seq INTEGER;
ALTER TABLE members ADD COLUMN joined_version INTEGER;

CREATE TABLE reactions (
    conversation_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    emoji TEXT NOT NULL,
    user_id BLOB NOT NULL,
    -- The number of the change that gave it: their order.
    version INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, seq, emoji, user_id)
) STRICT, WITHOUT ROWID;

-- Advances of a watermark: whoever had message n, or read it, did so with the first advance to n or
-- beyond. Only of conversations with few members.
CREATE TABLE receipts (
    conversation_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    -- 1: delivered, 2: read.
    status INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_id, status, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE blocks (
    user_id BLOB NOT NULL REFERENCES users (id),
    blocked_id BLOB NOT NULL REFERENCES users (id),
    at INTEGER NOT NULL,
    PRIMARY KEY (user_id, blocked_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX blocks_of ON blocks (blocked_id, user_id);

CREATE TABLE invites (
    code TEXT NOT NULL PRIMARY KEY,
    conversation_id BLOB NOT NULL REFERENCES conversations (id),
    created_by BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    max_uses INTEGER,
    uses INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invites_by_conversation ON invites (conversation_id, created_at, code);

-- What a channel is listed and found by: its name in the form in which names are compared, and the
-- same from the start of each of its words.
ALTER TABLE conversations ADD COLUMN name_key TEXT;
CREATE INDEX conversations_listed ON conversations (name_key, id) WHERE kind = 2 AND deleted_at IS NULL;
CREATE TABLE channel_words (
    word TEXT NOT NULL,
    conversation_id BLOB NOT NULL REFERENCES conversations (id),
    PRIMARY KEY (word, conversation_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX channel_words_by_channel ON channel_words (conversation_id);

-- Who is in charge: told of who comes to a channel and goes.
CREATE INDEX members_in_charge ON members (conversation_id, role) WHERE role > 0 AND left_seq IS NULL;
