-- `changed` is the number of the transaction that wrote the row last (`pg_current_xact_id()`).
-- Enumerations are numbers that crates/storage/src/rows names. Text that is compared, ordered or
-- unique is so by its bytes (COLLATE "C"), on every machine alike.

-- One row. `incarnation` says which database a sync token was made for; `changed` stays 0, since
-- transactions have numbers of their own here.
CREATE TABLE store (
    id integer NOT NULL PRIMARY KEY CHECK (id = 1),
    incarnation bytea NOT NULL CHECK (octet_length(incarnation) = 16),
    changed bigint NOT NULL
);
INSERT INTO store (id, incarnation, changed) VALUES (1, uuid_send(gen_random_uuid()), 0);

CREATE TABLE users (
    id uuid NOT NULL PRIMARY KEY,
    username text,
    username_key text COLLATE "C" UNIQUE,
    email text,
    email_key text COLLATE "C" UNIQUE,
    display_name text NOT NULL,
    about text,
    password_hash text,
    last_seen_visibility smallint NOT NULL,
    read_receipts boolean NOT NULL,
    changed bigint NOT NULL,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX users_by_change ON users (changed);

-- What a person is found by: the user name, and the display name from the start of each of its words.
CREATE TABLE user_words (
    word text COLLATE "C" NOT NULL,
    user_id uuid NOT NULL REFERENCES users (id),
    PRIMARY KEY (word, user_id)
);
CREATE INDEX user_words_by_user ON user_words (user_id);

-- Apart from the users, so that being seen does not rewrite a profile.
CREATE TABLE last_seen (
    user_id uuid NOT NULL PRIMARY KEY REFERENCES users (id),
    at timestamptz NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE sessions (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    device_name text,
    address text,
    user_agent text,
    generation bigint NOT NULL,
    token_hash bytea NOT NULL CHECK (octet_length(token_hash) = 32),
    created_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE conversations (
    id uuid NOT NULL PRIMARY KEY,
    kind smallint NOT NULL,
    name text,
    description text,
    posting smallint NOT NULL,
    user_a uuid,
    user_b uuid,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    member_count integer NOT NULL,
    settings_epoch bigint NOT NULL,
    changed bigint NOT NULL,
    deleted_at timestamptz,
    CHECK ((kind = 0) = (user_a IS NOT NULL AND user_b IS NOT NULL))
);
-- Those whose messages may still have to go.
CREATE INDEX conversations_deleted ON conversations (id) WHERE deleted_at IS NOT NULL;

-- What every message changes: narrow, and with no index but its key, so that a new version of a row
-- stays on its page and no index hears of it. That needs room on the page.
CREATE TABLE heads (
    conversation_id uuid NOT NULL PRIMARY KEY REFERENCES conversations (id),
    last_seq bigint NOT NULL,
    version bigint NOT NULL,
    member_epoch bigint NOT NULL,
    last_message_at timestamptz,
    changed bigint NOT NULL
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 1000
);

-- The room on a page is for the marks: like the heads, they move without touching an index.
CREATE TABLE members (
    conversation_id uuid NOT NULL REFERENCES conversations (id),
    user_id uuid NOT NULL,
    role smallint NOT NULL,
    joined_at timestamptz NOT NULL,
    first_seq bigint NOT NULL,
    left_seq bigint,
    version bigint NOT NULL,
    delivered_seq bigint NOT NULL,
    delivered_at timestamptz,
    read_seq bigint NOT NULL,
    read_at timestamptz,
    muted_until timestamptz,
    pinned boolean NOT NULL,
    archived boolean NOT NULL,
    hidden boolean NOT NULL,
    changed bigint NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 1000
);
-- None of these holds a column that a message or a mark changes.
CREATE INDEX members_by_user ON members (user_id, conversation_id);
CREATE INDEX members_by_joining ON members (conversation_id, joined_at, user_id) WHERE left_seq IS NULL;
CREATE INDEX members_by_version ON members (conversation_id, version);
CREATE INDEX members_owning ON members (conversation_id, role, left_seq) WHERE role = 2 AND left_seq IS NULL;

CREATE TABLE messages (
    conversation_id uuid NOT NULL,
    seq bigint NOT NULL,
    id uuid NOT NULL,
    sender_id uuid NOT NULL,
    client_message_id text COLLATE "C" NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    kind smallint NOT NULL,
    content text,
    -- The number of the message it answers, in the same conversation.
    reply_to bigint,
    version bigint NOT NULL,
    -- It was edited or deleted after it was sent.
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

-- What other nodes learn from what they may have missed: for each transaction the conversations that
-- it changed, and the version that each of them came to. Kept for an hour. A transaction may have
-- more than one row.
CREATE TABLE changes (
    changed bigint NOT NULL,
    conversations uuid[] NOT NULL,
    versions bigint[] NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX changes_by_number ON changes (changed);

-- Appends a batch of messages: element i of each array belongs to item i. Carries out in sets what
-- crates/storage/src/sqlite/log/send.rs does one by one, with the same answers.
--
--   conversations   where to; for a direct chat its derived id, whether it is there or not
--   senders         who sends
--   peers           the other one, if the message is addressed to a person: his chat is made if it is
--                   missing. Its id is that of sender and peer, who are two; the caller has seen to it
--   ids             the id that the message will have
--   client_ids      the sender's own id for it
--   digests         what tells a retry from a re-use of that id
--   kinds, contents what it says
--   replies         the id of the message it answers, or NULL
--   times           when it was sent
--
-- No two items may have conversation, sender and client id in common, and none may answer another:
-- the caller splits such a batch. If he does not, it fails as a whole.
--
-- One row comes back for each item, in their order:
--
--   verdict  what came of it
--     0  sent                 seq, version and, for a reply, reply_seq and reply_sender are set
--     1  duplicate            the same message is there already
--     2  client id re-used    another message of the sender's is there under this client id
--     3  not a member         nor is there such a conversation, or such a sender, perhaps
--     4  may not post         only admins and owners may
--     5  peer erased          the other one's account is gone
--     6  peer unknown         there never was such an account
--     7  no such reply        it answers no message of this conversation that the sender can see
--   kind to settings_epoch   the conversation, with the first item of it that was sent; else NULL
--
-- A duplicate is found before rights are judged: a retry is answered even after leaving.
--
-- It runs under READ COMMITTED. Being VOLATILE, each of its statements sees what was committed before
-- the statement: those that follow the locks see everything that the locks waited for.
CREATE FUNCTION kith_append(
    conversations uuid[],
    senders uuid[],
    peers uuid[],
    ids uuid[],
    client_ids text[],
    digests bytea[],
    kinds smallint[],
    contents text[],
    replies uuid[],
    times timestamptz[]
)
RETURNS TABLE (
    place integer,
    verdict smallint,
    seq bigint,
    version bigint,
    reply_seq bigint,
    reply_sender uuid,
    kind smallint,
    name text,
    description text,
    posting smallint,
    user_a uuid,
    user_b uuid,
    created_by uuid,
    created_at timestamptz,
    updated_at timestamptz,
    member_count integer,
    settings_epoch bigint
)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
    number bigint := pg_current_xact_id()::text::bigint;
    missing bigint;
    -- Chats that are made here, and the place of the item that makes each of them.
    made uuid[];
    makers integer[];
    -- Places of items whose conversation was not there when their turn came.
    absent integer[] := '{}';
BEGIN
    IF cardinality(conversations) <> ALL (
        ARRAY[cardinality(peers), cardinality(contents), cardinality(replies)]
    ) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'this is not a batch that can be appended';
    END IF;

    SELECT
        (SELECT count(DISTINCT conversation) FROM unnest(conversations) AS conversation) - count(*)
    INTO missing
    FROM (
        SELECT
        FROM heads
        WHERE conversation_id = ANY (conversations)
        ORDER BY conversation_id
        FOR NO KEY UPDATE
    ) AS locked;

    IF missing > 0 THEN
        WITH maker AS (
            SELECT DISTINCT ON (conversation) conversation, place, sender, peer, at
            FROM unnest(conversations, senders, peers, replies, times)
                WITH ORDINALITY AS item (conversation, sender, peer, reply, at, place)
            WHERE peer IS NOT NULL
                AND reply IS NULL
                AND NOT EXISTS (SELECT FROM conversations WHERE id = conversation)
                AND EXISTS (SELECT FROM users WHERE id = sender AND deleted_at IS NULL)
                AND EXISTS (SELECT FROM users WHERE id = peer AND deleted_at IS NULL)
            ORDER BY conversation, place
        ),
        chat AS (
            INSERT INTO conversations (
                id, kind, posting, user_a, user_b, created_by, created_at, updated_at,
                member_count, settings_epoch, changed
            )
            SELECT
                conversation, 0, 0, least(sender, peer), greatest(sender, peer), sender, at, at,
                2, 1, number
            FROM maker
            ORDER BY conversation
            ON CONFLICT DO NOTHING
            RETURNING id
        ),
        head AS (
            INSERT INTO heads (conversation_id, last_seq, version, member_epoch, changed)
            SELECT id, 0, 1, 1, number FROM chat
        ),
        -- The sender sees it; the other one when there is a message.
        member AS (
            INSERT INTO members (
                conversation_id, user_id, role, joined_at, first_seq, version, delivered_seq,
                read_seq, pinned, archived, hidden, changed
            )
            SELECT id, user_id, 0, at, 1, 1, 0, 0, false, false, user_id = peer, number
            FROM chat
            JOIN maker ON conversation = id
            CROSS JOIN LATERAL unnest(ARRAY[sender, peer]) AS user_id
        )
        SELECT array_agg(id), array_agg(place)
        INTO made, makers
        FROM chat
        JOIN maker ON conversation = id;

        -- Some may have been made by others in the meantime.
        WITH locked AS (
            SELECT conversation_id
            FROM heads
            WHERE conversation_id = ANY (conversations)
            ORDER BY conversation_id
            FOR NO KEY UPDATE
        )
        SELECT coalesce(array_agg(item.place), '{}')
        INTO absent
        FROM unnest(conversations) WITH ORDINALITY AS item (conversation, place)
        LEFT JOIN locked ON conversation_id = conversation
        LEFT JOIN unnest(made, makers) AS maker (id, place) ON id = conversation
        WHERE conversation_id IS NULL OR item.place < maker.place;
    END IF;

    RETURN QUERY
    WITH judged AS (
        SELECT
            item.place,
            item.conversation,
            item.sender,
            item.id,
            item.client_id,
            item.digest,
            item.kind,
            item.content,
            item.at,
            head.last_seq,
            head.version AS last_version,
            answered.seq AS reply_seq,
            answered.sender_id AS reply_sender,
            chat.kind AS chat_kind,
            chat.name,
            chat.description,
            chat.posting,
            chat.user_a,
            chat.user_b,
            chat.created_by,
            chat.created_at,
            chat.updated_at,
            chat.member_count,
            chat.settings_epoch,
            CASE
                WHEN chat.deleted_at IS NOT NULL THEN 3
                WHEN earlier.digest = item.digest THEN 1
                WHEN earlier.digest IS NOT NULL THEN 2
                WHEN account.id IS NULL OR account.deleted_at IS NOT NULL THEN 3
                WHEN member.user_id IS NULL AND (chat.id IS NOT NULL OR item.peer IS NULL) THEN 3
                WHEN chat.kind <> 0 AND chat.posting = 1 AND member.role < 1 THEN 4
                WHEN other.deleted_at IS NOT NULL THEN 5
                WHEN other.id IS NULL AND (chat.id IS NULL OR chat.kind = 0) THEN 6
                WHEN item.reply IS NOT NULL AND answered.seq IS NULL THEN 7
                WHEN chat.id IS NULL THEN 6
                ELSE 0
            END AS verdict
        FROM (
            SELECT
                generate_series(1, cardinality(conversations)) AS place,
                unnest(conversations) AS conversation,
                unnest(senders) AS sender,
                unnest(peers) AS peer,
                unnest(ids) AS id,
                unnest(client_ids) AS client_id,
                unnest(digests) AS digest,
                unnest(kinds) AS kind,
                unnest(contents) AS content,
                unnest(replies) AS reply,
                unnest(times) AS at
        ) AS item
        LEFT JOIN conversations AS chat
            ON chat.id = item.conversation AND item.place <> ALL (absent)
        LEFT JOIN heads AS head
            ON head.conversation_id = chat.id
        LEFT JOIN members AS member
            ON member.conversation_id = chat.id
            AND member.user_id = item.sender
            AND member.left_seq IS NULL
        LEFT JOIN users AS account
            ON account.id = item.sender
        LEFT JOIN users AS other
            ON other.id = CASE
                WHEN chat.id IS NULL THEN item.peer
                WHEN chat.user_a = item.sender THEN chat.user_b
                ELSE chat.user_a
            END
        LEFT JOIN messages AS earlier
            ON earlier.conversation_id = chat.id
            AND earlier.sender_id = item.sender
            AND earlier.client_message_id = item.client_id
        LEFT JOIN messages AS answered
            ON answered.id = item.reply
            AND answered.conversation_id = chat.id
            AND answered.seq >= CASE chat.kind WHEN 2 THEN 1 ELSE member.first_seq END
    ),
    -- What is sent gets its numbers, conversation by conversation; so does what is refused, apart.
    counted AS (
        SELECT
            *,
            row_number() OVER run AS n,
            first_value(sender) OVER run AS first_sender,
            lead(sender) OVER run AS next_sender
        FROM judged
        WINDOW run AS (PARTITION BY conversation, verdict = 0 ORDER BY place)
    ),
    -- A message moves its sender's marks if nothing unread lies before it. Where others have written
    -- in the same batch it does: so the marks move for the first sender alone, as far as his run goes.
    result AS MATERIALIZED (
        SELECT
            *,
            verdict = 0 AS sent,
            last_seq + n AS seq,
            last_version + n AS version,
            verdict = 0 AND next_sender IS NULL AS is_last,
            verdict = 0
                AND next_sender IS DISTINCT FROM sender
                AND bool_and(sender = first_sender) OVER run AS ends_first_run
        FROM counted
        WINDOW run AS (PARTITION BY conversation, verdict = 0 ORDER BY place)
    ),
    stored AS (
        INSERT INTO messages (
            conversation_id, seq, id, sender_id, client_message_id, digest, kind, content, reply_to,
            version, revised, created_at
        )
        SELECT
            conversation, seq, id, sender, client_id, digest, kind, content, reply_seq, version,
            false, at
        FROM result
        WHERE sent
    ),
    moved AS (
        UPDATE heads
        SET last_seq = result.seq,
            version = result.version,
            last_message_at = result.at,
            changed = number
        FROM result
        WHERE is_last AND conversation_id = result.conversation
    ),
    marked AS (
        UPDATE members
        SET delivered_seq = greatest(delivered_seq, result.seq),
            delivered_at = CASE WHEN delivered_seq < result.seq THEN result.at ELSE delivered_at END,
            read_seq = greatest(read_seq, result.seq),
            read_at = CASE WHEN read_seq < result.seq THEN result.at ELSE read_at END,
            changed = number
        FROM result
        WHERE ends_first_run
            AND conversation_id = result.conversation
            AND user_id = result.sender
            AND (
                read_seq >= result.last_seq
                OR NOT EXISTS (
                    SELECT
                    FROM messages
                    WHERE messages.conversation_id = members.conversation_id
                        AND messages.seq > members.read_seq
                        AND messages.sender_id <> members.user_id
                        AND messages.deleted_at IS NULL
                )
            )
    ),
    logged AS (
        INSERT INTO changes (changed, conversations, versions)
        SELECT number, array_agg(conversation), array_agg(version)
        FROM result
        WHERE is_last
        HAVING count(*) > 0
    )
    SELECT
        place,
        verdict::smallint,
        CASE WHEN sent THEN seq END,
        CASE WHEN sent THEN version END,
        CASE WHEN sent THEN reply_seq END,
        CASE WHEN sent THEN reply_sender END,
        CASE WHEN sent AND n = 1 THEN chat_kind END,
        CASE WHEN sent AND n = 1 THEN name END,
        CASE WHEN sent AND n = 1 THEN description END,
        CASE WHEN sent AND n = 1 THEN posting END,
        CASE WHEN sent AND n = 1 THEN user_a END,
        CASE WHEN sent AND n = 1 THEN user_b END,
        CASE WHEN sent AND n = 1 THEN created_by END,
        CASE WHEN sent AND n = 1 THEN created_at END,
        CASE WHEN sent AND n = 1 THEN updated_at END,
        CASE WHEN sent AND n = 1 THEN member_count END,
        CASE WHEN sent AND n = 1 THEN settings_epoch END
    FROM result
    ORDER BY place;

    -- One of the two was erased after his chat was made here, so that nothing went into it.
    IF EXISTS (SELECT FROM heads WHERE conversation_id = ANY (made) AND last_seq = 0) THEN
        RAISE serialization_failure USING MESSAGE = 'an account was erased in the meantime';
    END IF;
END
$$;
