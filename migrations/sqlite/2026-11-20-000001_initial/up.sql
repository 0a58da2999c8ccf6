-- Ids are UUIDs in 16 bytes, times are microseconds since 1970-01-01T00:00:00Z, and `changed` is the
-- number of the transaction that wrote the row last (see `store`). Enumerations are numbers that
-- crates/storage/src/rows names.

-- "Kith": tells this database from any other program's.
PRAGMA application_id = 0x4b697468;

-- One row. `changed` is raised once by each transaction that changes what a sync tells of;
-- `incarnation` says which database a sync token was made for.
CREATE TABLE store (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    incarnation BLOB NOT NULL CHECK (length(incarnation) = 16),
    changed INTEGER NOT NULL
) STRICT;
INSERT INTO store (id, incarnation, changed) VALUES (1, randomblob(16), 0);

CREATE TABLE users (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    username TEXT,
    username_key TEXT UNIQUE,
    email TEXT,
    email_key TEXT UNIQUE,
    display_name TEXT NOT NULL,
    about TEXT,
    password_hash TEXT,
    last_seen_visibility INTEGER NOT NULL,
    read_receipts INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX users_by_change ON users (changed);

-- What a person is found by: the user name, and the display name from the start of each of its words.
CREATE TABLE user_words (
    word TEXT NOT NULL,
    user_id BLOB NOT NULL REFERENCES users (id),
    PRIMARY KEY (word, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_words_by_user ON user_words (user_id);

-- Apart from the users, so that being seen does not rewrite a profile.
CREATE TABLE last_seen (
    user_id BLOB NOT NULL PRIMARY KEY REFERENCES users (id),
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id BLOB NOT NULL REFERENCES users (id),
    device_name TEXT,
    address TEXT,
    user_agent TEXT,
    generation INTEGER NOT NULL,
    token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE conversations (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind INTEGER NOT NULL,
    name TEXT,
    description TEXT,
    posting INTEGER NOT NULL,
    user_a BLOB,
    user_b BLOB,
    created_by BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    member_count INTEGER NOT NULL,
    settings_epoch INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    deleted_at INTEGER,
    CHECK ((kind = 0) = (user_a IS NOT NULL AND user_b IS NOT NULL))
) STRICT, WITHOUT ROWID;
-- Those whose messages may still have to go.
CREATE INDEX conversations_deleted ON conversations (id) WHERE deleted_at IS NOT NULL;

-- What every message changes: narrow, and with no index but its key.
CREATE TABLE heads (
    conversation_id BLOB NOT NULL PRIMARY KEY REFERENCES conversations (id),
    last_seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    member_epoch INTEGER NOT NULL,
    last_message_at INTEGER,
    changed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    conversation_id BLOB NOT NULL REFERENCES conversations (id),
    user_id BLOB NOT NULL,
    role INTEGER NOT NULL,
    joined_at INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    left_seq INTEGER,
    version INTEGER NOT NULL,
    delivered_seq INTEGER NOT NULL,
    delivered_at INTEGER,
    read_seq INTEGER NOT NULL,
    read_at INTEGER,
    muted_until INTEGER,
    pinned INTEGER NOT NULL,
    archived INTEGER NOT NULL,
    hidden INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) STRICT, WITHOUT ROWID;
-- None of these holds a column that a message or a mark changes.
CREATE INDEX members_by_user ON members (user_id, conversation_id);
CREATE INDEX members_by_joining ON members (conversation_id, joined_at, user_id) WHERE left_seq IS NULL;
CREATE INDEX members_by_version ON members (conversation_id, version);
CREATE INDEX members_owning ON members (conversation_id, role, left_seq) WHERE role = 2 AND left_seq IS NULL;

CREATE TABLE messages (
    conversation_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 16),
    sender_id BLOB NOT NULL CHECK (length(sender_id) = 16),
    client_message_id TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    kind INTEGER NOT NULL,
    content TEXT,
    -- The number of the message it answers, in the same conversation.
    reply_to INTEGER,
    version INTEGER NOT NULL,
    -- It was edited or deleted after it was sent.
    revised INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    edited_at INTEGER,
    deleted_at INTEGER,
    pinned_at INTEGER,
    PRIMARY KEY (conversation_id, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX messages_by_client_id ON messages (conversation_id, sender_id, client_message_id);
CREATE UNIQUE INDEX messages_by_id ON messages (id);
CREATE INDEX messages_by_sender ON messages (sender_id, id);
CREATE INDEX messages_revised ON messages (conversation_id, version) WHERE revised;
