-- Messages, with the columns and indexes that Kith's own have (migrations), for PostgreSQL.
CREATE TABLE messages (
    conversation_id uuid NOT NULL,
    seq bigint NOT NULL,
    id uuid NOT NULL,
    sender_id uuid NOT NULL,
    client_message_id text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    kind smallint NOT NULL,
    content text,
    reply_to bigint,
    version bigint NOT NULL,
    revised boolean NOT NULL,
    created_at timestamptz NOT NULL,
    edited_at timestamptz,
    deleted_at timestamptz,
    pinned_at timestamptz,
    PRIMARY KEY (conversation_id, seq)
);
CREATE UNIQUE INDEX messages_by_client_id ON messages (conversation_id, sender_id, client_message_id);
CREATE UNIQUE INDEX messages_by_id ON messages (id);
CREATE INDEX messages_by_sender ON messages (sender_id, id);
CREATE INDEX messages_revised ON messages (conversation_id, version) WHERE revised;
