-- Receipts, reactions, mentions, system messages, blocks, invites, the directory of channels.

ALTER TABLE messages
    -- What happened, in a system message (kind 3), and to whom; a new name stands in `content`.
    ADD COLUMN event smallint,
    ADD COLUMN subject uuid,
    -- The ids of those whom it mentions, one after the other, 16 bytes each.
    ADD COLUMN mentions bytea;

ALTER TABLE members
    -- With which message, and under which version, he came: neither moves when he hides what there is.
    -- A later version says that he was in charge at some time. Null for those who came before this
    -- was kept.
    ADD COLUMN joined_seq bigint,
    ADD COLUMN joined_version bigint;

-- With wider rows an empty table is taken for a shorter one, and then a look by the sender alone seems as
-- good as one by all that makes a message unique. Of equals the planner takes the youngest.
DROP INDEX messages_by_client_id;
CREATE UNIQUE INDEX messages_by_client_id
    ON messages (conversation_id, sender_id, client_message_id);

CREATE TABLE reactions (
    conversation_id uuid NOT NULL,
    seq bigint NOT NULL,
    emoji text COLLATE "C" NOT NULL,
    user_id uuid NOT NULL,
    -- The number of the change that gave it: their order.
    version bigint NOT NULL,
    PRIMARY KEY (conversation_id, seq, emoji, user_id)
);

-- Advances of a watermark: whoever had message n, or read it, did so with the first advance to n or
-- beyond. Only of conversations with few members.
CREATE TABLE receipts (
    conversation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    -- 1: delivered, 2: read.
    status smallint NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, user_id, status, seq)
);

CREATE TABLE blocks (
    user_id uuid NOT NULL REFERENCES users (id),
    blocked_id uuid NOT NULL REFERENCES users (id),
    at timestamptz NOT NULL,
    PRIMARY KEY (user_id, blocked_id)
);
CREATE INDEX blocks_of ON blocks (blocked_id, user_id);

CREATE TABLE invites (
    code text COLLATE "C" NOT NULL PRIMARY KEY,
    conversation_id uuid NOT NULL REFERENCES conversations (id),
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    max_uses integer,
    uses integer NOT NULL
);
CREATE INDEX invites_by_conversation ON invites (conversation_id, created_at, code);

-- What a channel is listed and found by: its name in the form in which names are compared, and the
-- same from the start of each of its words.
ALTER TABLE conversations ADD COLUMN name_key text COLLATE "C";
CREATE INDEX conversations_listed ON conversations (name_key, id)
    WHERE kind = 2 AND deleted_at IS NULL;
CREATE TABLE channel_words (
    word text COLLATE "C" NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversations (id),
    PRIMARY KEY (word, conversation_id)
);
CREATE INDEX channel_words_by_channel ON channel_words (conversation_id);

-- Who is in charge: told of who comes to a channel and goes.
CREATE INDEX members_in_charge ON members (conversation_id, role)
    WHERE role > 0 AND left_seq IS NULL;

DROP FUNCTION kith_append_one;
DROP FUNCTION kith_append;
DROP FUNCTION kith_verdict;

-- The rules of sending: what comes of a message (the verdicts are listed at kith_append). Inlined by
-- the planner, so that it costs what it says.
--
--   chat       its conversation, if it is there
--   member     the sender's place in it, also after he left
--   account    the sender
--   other      the one it is for, where there are two
--   earlier    what was sent before under the same client id
--   answered   the message it answers, wherever that is
--   addressed  whether it is for a person rather than a conversation
--   answers    whether it answers a message
--   blocked    whether one of the two of a direct chat has blocked the other
CREATE FUNCTION kith_verdict(
    chat conversations,
    member members,
    account users,
    other users,
    earlier messages,
    answered messages,
    addressed boolean,
    answers boolean,
    blocked boolean,
    digest bytea
)
RETURNS integer
LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN chat.deleted_at IS NOT NULL THEN 3
    WHEN earlier.digest = digest AND chat.id IS NOT NULL THEN 1
    WHEN earlier.digest IS NOT NULL AND chat.id IS NOT NULL THEN 2
    WHEN account.id IS NULL OR account.deleted_at IS NOT NULL THEN 3
    WHEN chat.id IS NULL AND NOT addressed THEN 3
    WHEN chat.id IS NOT NULL
        AND (member.user_id IS NULL OR member.left_seq IS NOT NULL) THEN 3
    WHEN chat.kind <> 0 AND chat.posting = 1 AND member.role < 1 THEN 4
    WHEN other.deleted_at IS NOT NULL THEN 5
    WHEN other.id IS NULL AND (chat.id IS NULL OR chat.kind = 0) THEN 6
    WHEN blocked THEN 8
    WHEN answers
        AND (
            chat.id IS NULL
            OR answered.conversation_id IS DISTINCT FROM chat.id
            OR (chat.kind <> 2 AND answered.seq < member.first_seq)
        ) THEN 7
    WHEN chat.id IS NULL THEN 6
    ELSE 0
END;

-- Appends a batch of messages: element i of each array belongs to item i. It does with sets what
-- crates/storage/src/sqlite/send.rs does one by one, with the same outcome.
--
--   conversations  where to; for a direct chat its derived id, whether it is there or not
--   senders        who sends
--   peers          the other one if the message is addressed to a person, whose chat is made if it
--                  is missing; else NULL. The caller has seen to it that sender and peer are two,
--                  and the conversation theirs
--   ids            the id that the message will have
--   client_ids     the sender's own id for it
--   digests        what tells a retry from a re-use of that id
--   kinds          its kind
--   contents       its text
--   replies        the id of the message it answers, or NULL
--   times          when it was sent
--   names          the names that its text may mention, with spaces between them, or NULL
--
-- No two items may have conversation, sender and client id in common: such a batch fails as a whole.
-- None may answer another: it would not find it. The caller splits such batches.
--
-- One row comes back for each item, in their order:
--
--   place          of the item, from 1
--   verdict        what came of it:
--                    0  sent: seq, version and, for a reply, reply_seq and reply_sender are set;
--                       mentions, if anybody is mentioned
--                    1  duplicate: the same message was sent before
--                    2  the client id was used for another message
--                    3  not a member, or no such conversation, or the sender's account is gone
--                    4  may not post: only admins and owners may
--                    5  the other one's account was erased
--                    6  the other one's account never was
--                    7  what it answers is no message of the conversation that the sender can see
--                    8  one of the two has blocked the other
--   kind and on    the conversation, with its first item that was sent; else NULL
--
-- A duplicate is found before rights are judged: a retry is answered even after leaving. Then it is
-- judged in this order: membership (3), right to post (4), the other one's account (5, 6), blocks (8),
-- what it answers (7).
--
-- It runs under READ COMMITTED. Since it is VOLATILE, each of its statements sees what was
-- committed before the statement began: those after the locks see all that the locks waited for.
--
-- The settings are for the planner. A plan is made once for each connection, perhaps while the
-- tables are empty, and must do when they are full: a probe of an index for each item.
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
    times timestamptz[],
    names text[]
)
RETURNS TABLE (
    place integer,
    verdict smallint,
    seq bigint,
    version bigint,
    reply_seq bigint,
    reply_sender uuid,
    mentions bytea,
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
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_bitmapscan = off
SET cpu_index_tuple_cost = 1
AS $$
#variable_conflict use_column
DECLARE
    number bigint := pg_current_xact_id()::text::bigint;
    -- The chats that are made here.
    made uuid[];
    -- Places of items whose conversation is not there when their turn comes.
    absent integer[] := '{}';
BEGIN
    IF cardinality(conversations) <> ANY (
        ARRAY[cardinality(peers), cardinality(contents), cardinality(replies)]
    ) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'this is not a batch that can be appended';
    END IF;

    -- Nothing is locked while one of them is missing: others may be making it, and may wait for
    -- what would be locked here.
    PERFORM
    FROM heads
    WHERE conversation_id = ANY (conversations)
        AND (SELECT count(DISTINCT conversation) FROM unnest(conversations) AS conversation)
            = (SELECT count(*) FROM heads WHERE conversation_id = ANY (conversations))
    ORDER BY conversation_id
    FOR NO KEY UPDATE;

    IF NOT FOUND THEN
        WITH item AS (
            SELECT
                item.*,
                chat.id IS NOT NULL AS is_there,
                item.reply IS NULL
                    AND account.id IS NOT NULL
                    AND account.deleted_at IS NULL
                    AND other.id IS NOT NULL
                    AND other.deleted_at IS NULL
                    AND coalesce(
                        (
                            SELECT true FROM blocks
                            WHERE user_id = item.sender AND blocked_id = item.peer
                        ),
                        (
                            SELECT true FROM blocks
                            WHERE user_id = item.peer AND blocked_id = item.sender
                        )
                    ) IS NULL AS may_make
            FROM unnest(conversations, senders, peers, replies, times)
                WITH ORDINALITY AS item (conversation, sender, peer, reply, at, place)
            LEFT JOIN conversations AS chat ON chat.id = item.conversation
            LEFT JOIN users AS account ON account.id = item.sender
            LEFT JOIN users AS other ON other.id = item.peer
        ),
        turn AS (
            SELECT
                *,
                NOT is_there
                    AND may_make
                    AND count(*) FILTER (WHERE may_make) OVER so_far = 1 AS makes,
                NOT is_there AND NOT bool_or(may_make) OVER so_far AS is_absent
            FROM item
            WINDOW so_far AS (PARTITION BY conversation ORDER BY place)
        ),
        chat AS (
            INSERT INTO conversations (
                id, kind, posting, user_a, user_b, created_by, created_at, updated_at,
                member_count, settings_epoch, changed
            )
            SELECT
                conversation, 0, 0, least(sender, peer), greatest(sender, peer), sender, at, at,
                2, 1, number
            FROM turn
            WHERE makes
            ORDER BY conversation
            ON CONFLICT DO NOTHING
            RETURNING id, user_a, user_b, created_by, created_at
        ),
        head AS (
            INSERT INTO heads (conversation_id, last_seq, version, member_epoch, changed)
            SELECT id, 0, 1, 1, number FROM chat
        ),
        -- He who makes it sees it; the other one when there is a message.
        member AS (
            INSERT INTO members (
                conversation_id, user_id, role, joined_at, first_seq, version, delivered_seq,
                read_seq, pinned, archived, hidden, changed, joined_seq, joined_version
            )
            SELECT
                id, user_id, 0, created_at, 1, 1, 0, 0, false, false, user_id <> created_by, number,
                1, 1
            FROM chat
            CROSS JOIN LATERAL (VALUES (user_a), (user_b)) AS pair (user_id)
        )
        SELECT
            (SELECT array_agg(id) FROM chat),
            (SELECT coalesce(array_agg(place), '{}') FROM turn WHERE is_absent)
        INTO made, absent;

        -- Some may have been made by others in the meantime.
        PERFORM
        FROM heads
        WHERE conversation_id = ANY (conversations)
        ORDER BY conversation_id
        FOR NO KEY UPDATE;
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
            item.names,
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
            kith_verdict(
                chat, member, account, other, earlier, answered,
                item.peer IS NOT NULL, item.reply IS NOT NULL,
                -- Not with EXISTS: for that, all blocks might be read.
                CASE WHEN chat.id IS NULL OR chat.kind = 0 THEN
                    coalesce(
                        (
                            SELECT true FROM blocks
                            WHERE user_id = item.sender AND blocked_id = other.id
                        ),
                        (
                            SELECT true FROM blocks
                            WHERE user_id = other.id AND blocked_id = item.sender
                        )
                    )
                END,
                item.digest
            ) AS verdict
        FROM unnest(
            conversations, senders, peers, ids, client_ids, digests, kinds, contents, replies, times,
            names
        ) WITH ORDINALITY AS item (
            conversation, sender, peer, id, client_id, digest, kind, content, reply, at, names, place
        )
        LEFT JOIN conversations AS chat
            ON chat.id = item.conversation AND item.place <> ALL (absent)
        LEFT JOIN heads AS head
            ON head.conversation_id = item.conversation
        LEFT JOIN members AS member
            ON member.conversation_id = item.conversation AND member.user_id = item.sender
        LEFT JOIN users AS account
            ON account.id = item.sender
        LEFT JOIN users AS other
            ON other.id = CASE
                WHEN chat.id IS NULL THEN item.peer
                WHEN chat.user_a = item.sender THEN chat.user_b
                ELSE chat.user_a
            END
        LEFT JOIN messages AS earlier
            ON earlier.conversation_id = item.conversation
            AND earlier.sender_id = item.sender
            AND earlier.client_message_id = item.client_id
        LEFT JOIN messages AS answered
            ON answered.id = item.reply
    ),
    -- What is sent gets its numbers, conversation by conversation; so does what is refused, apart.
    result AS MATERIALIZED (
        SELECT
            *,
            verdict = 0 AS sent,
            row_number() OVER run AS n,
            last_seq + row_number() OVER run AS seq,
            last_version + row_number() OVER run AS version,
            first_value(sender) OVER run AS first_sender,
            lead(sender) OVER run AS next_sender,
            CASE WHEN verdict = 0 AND names IS NOT NULL THEN (
                SELECT string_agg(uuid_send(users.id), '\x' ORDER BY users.id)
                FROM users
                WHERE users.username_key = ANY (string_to_array(names, ' '))
                    -- Not a join: for that, all members might be read.
                    AND (
                        SELECT members.left_seq IS NULL
                        FROM members
                        WHERE members.conversation_id = judged.conversation
                            AND members.user_id = users.id
                    )
            ) END AS mentions
        FROM judged
        WINDOW run AS (PARTITION BY conversation, verdict = 0 ORDER BY place)
    ),
    stored AS (
        INSERT INTO messages (
            conversation_id, seq, id, sender_id, client_message_id, digest, kind, content, reply_to,
            version, revised, created_at, mentions
        )
        SELECT
            conversation, seq, id, sender, client_id, digest, kind, content, reply_seq, version,
            false, at, mentions
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
        WHERE sent AND next_sender IS NULL AND conversation_id = result.conversation
    ),
    -- A message moves its sender's marks if nothing unread lies before it: nothing that came after he
    -- joined or hid what was there, that is not the server's own (kind 3). What others write in the
    -- same batch is unread: so marks move for the first sender alone, as far as his first run goes.
    -- The order is that in which members are locked.
    first_run AS (
        SELECT DISTINCT ON (conversation) conversation, sender, seq, at, last_seq
        FROM result
        WHERE sent AND sender = first_sender AND next_sender IS DISTINCT FROM sender
        ORDER BY conversation, n
    ),
    marked AS (
        UPDATE members
        SET delivered_seq = greatest(delivered_seq, seq),
            delivered_at = CASE WHEN delivered_seq < seq THEN at ELSE delivered_at END,
            read_seq = greatest(read_seq, seq),
            read_at = CASE WHEN read_seq < seq THEN at ELSE read_at END,
            changed = number
        FROM first_run
        WHERE conversation_id = conversation
            AND user_id = sender
            AND (
                greatest(read_seq, first_seq - 1) >= last_seq
                OR (
                    SELECT true
                    FROM messages
                    WHERE messages.conversation_id = members.conversation_id
                        AND messages.seq > greatest(members.read_seq, members.first_seq - 1)
                        AND messages.sender_id <> members.user_id
                        AND messages.deleted_at IS NULL
                        AND messages.kind <> 3
                    ORDER BY messages.seq
                    LIMIT 1
                ) IS NULL
            )
    ),
    logged AS (
        INSERT INTO changes (changed, conversations, versions)
        SELECT number, array_agg(conversation), array_agg(version)
        FROM result
        WHERE sent AND next_sender IS NULL
        HAVING count(*) > 0
    )
    SELECT
        place::integer,
        verdict::smallint,
        CASE WHEN sent THEN seq END,
        CASE WHEN sent THEN version END,
        CASE WHEN sent THEN reply_seq END,
        CASE WHEN sent THEN reply_sender END,
        mentions,
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
    IF made IS NOT NULL THEN
        IF EXISTS (SELECT FROM heads WHERE conversation_id = ANY (made) AND last_seq = 0) THEN
            RAISE serialization_failure USING MESSAGE = 'an account was erased in the meantime';
        END IF;
    END IF;
END
$$;

-- Appends one message: the same as a batch of one, for a server that has little to do. Small plans are
-- begun sooner than a large one.
CREATE FUNCTION kith_append_one(
    conversation uuid,
    sender uuid,
    peer uuid,
    id uuid,
    client_id text,
    digest bytea,
    message_kind smallint,
    content text,
    reply uuid,
    at timestamptz,
    names text,
    OUT verdict smallint,
    OUT seq bigint,
    OUT version bigint,
    OUT reply_seq bigint,
    OUT reply_sender uuid,
    OUT mentions bytea,
    OUT kind smallint,
    OUT name text,
    OUT description text,
    OUT posting smallint,
    OUT user_a uuid,
    OUT user_b uuid,
    OUT created_by uuid,
    OUT created_at timestamptz,
    OUT updated_at timestamptz,
    OUT member_count integer,
    OUT settings_epoch bigint
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_bitmapscan = off
SET cpu_index_tuple_cost = 1
AS $$
#variable_conflict use_column
DECLARE
    number bigint := pg_current_xact_id()::text::bigint;
    last bigint;
BEGIN
    SELECT last_seq, heads.version
    INTO last, version
    FROM heads
    WHERE conversation_id = conversation
    FOR NO KEY UPDATE;

    IF NOT FOUND THEN
        SELECT
            item.verdict, item.seq, item.version, item.reply_seq, item.reply_sender, item.mentions,
            item.kind, item.name, item.description, item.posting, item.user_a, item.user_b,
            item.created_by, item.created_at, item.updated_at, item.member_count,
            item.settings_epoch
        INTO
            verdict, seq, version, reply_seq, reply_sender, mentions,
            kind, name, description, posting, user_a, user_b,
            created_by, created_at, updated_at, member_count,
            settings_epoch
        FROM kith_append(
            ARRAY[conversation], ARRAY[sender], ARRAY[peer], ARRAY[id], ARRAY[client_id],
            ARRAY[digest], ARRAY[message_kind], ARRAY[content], ARRAY[reply], ARRAY[at],
            ARRAY[names]
        ) AS item;
        RETURN;
    END IF;

    SELECT
        kith_verdict(
            chat, member, account, other, earlier, answered,
            peer IS NOT NULL, reply IS NOT NULL,
            CASE WHEN chat.kind = 0 THEN
                coalesce(
                    (SELECT true FROM blocks WHERE user_id = sender AND blocked_id = other.id),
                    (SELECT true FROM blocks WHERE user_id = other.id AND blocked_id = sender)
                )
            END,
            kith_append_one.digest
        ),
        answered.seq, answered.sender_id, chat.kind, chat.name, chat.description, chat.posting,
        chat.user_a, chat.user_b, chat.created_by, chat.created_at, chat.updated_at,
        chat.member_count, chat.settings_epoch
    INTO
        verdict, reply_seq, reply_sender, kind, name, description, posting,
        user_a, user_b, created_by, created_at, updated_at,
        member_count, settings_epoch
    FROM conversations AS chat
    LEFT JOIN members AS member
        ON member.conversation_id = conversation AND member.user_id = sender
    LEFT JOIN users AS account
        ON account.id = sender
    LEFT JOIN users AS other
        ON other.id = CASE WHEN chat.user_a = sender THEN chat.user_b ELSE chat.user_a END
    LEFT JOIN messages AS earlier
        ON earlier.conversation_id = conversation
        AND earlier.sender_id = sender
        AND earlier.client_message_id = client_id
    LEFT JOIN messages AS answered
        ON answered.id = reply
    WHERE chat.id = conversation;

    IF verdict <> 0 THEN
        RETURN;
    END IF;

    seq := last + 1;
    version := version + 1;

    IF names IS NOT NULL THEN
        SELECT string_agg(uuid_send(users.id), '\x' ORDER BY users.id)
        INTO mentions
        FROM users
        WHERE users.username_key = ANY (string_to_array(names, ' '))
            AND (
                SELECT members.left_seq IS NULL
                FROM members
                WHERE members.conversation_id = conversation AND members.user_id = users.id
            );
    END IF;

    INSERT INTO messages (
        conversation_id, seq, id, sender_id, client_message_id, digest, kind, content, reply_to,
        version, revised, created_at, mentions
    )
    VALUES (
        conversation, seq, id, sender, client_id, digest, message_kind, content, reply_seq,
        version, false, at, mentions
    );

    UPDATE heads
    SET last_seq = last + 1, version = heads.version + 1, last_message_at = at, changed = number
    WHERE conversation_id = conversation;

    UPDATE members
    SET delivered_seq = greatest(delivered_seq, last + 1),
        delivered_at = CASE WHEN delivered_seq <= last THEN at ELSE delivered_at END,
        read_seq = last + 1,
        read_at = at,
        changed = number
    WHERE conversation_id = conversation
        AND user_id = sender
        AND (
            greatest(read_seq, first_seq - 1) >= last
            OR (
                SELECT true
                FROM messages
                WHERE messages.conversation_id = members.conversation_id
                    AND messages.seq > greatest(members.read_seq, members.first_seq - 1)
                    AND messages.sender_id <> members.user_id
                    AND messages.deleted_at IS NULL
                    AND messages.kind <> 3
                ORDER BY messages.seq
                LIMIT 1
            ) IS NULL
        );

    INSERT INTO changes (changed, conversations, versions)
    VALUES (number, ARRAY[conversation], ARRAY[version]);
END
$$;
