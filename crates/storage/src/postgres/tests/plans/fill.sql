-- 50,000 accounts, 220,003 conversations, 1,000,000 messages. Account 1 is in 5,002 conversations:
-- 4,000 direct chats, 1,000 groups of six, a group of 1,024 with 150,000 messages, a channel of
-- 20,000 with 50,000 messages; the last two, groups 50001 and 50002, are his. Accounts 2 to 257 have
-- a group, 50003. And there are 20,000 channels of three people.
BEGIN;
SET LOCAL session_replication_role = replica;
SET LOCAL work_mem = '256MB';
SET LOCAL maintenance_work_mem = '256MB';
TRUNCATE users, user_words, last_seen, sessions, conversations, heads, members, messages, changes,
    reactions, receipts, blocks, invites, channel_words;

-- Indexes are made at the end, which is quicker.
CREATE TEMP TABLE later ON COMMIT DROP AS
SELECT indexname, indexdef FROM pg_indexes
WHERE schemaname = 'public' AND indexname NOT LIKE '%\_pkey' AND indexname NOT LIKE '%\_key';
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT indexname FROM later LOOP
        EXECUTE 'DROP INDEX ' || name;
    END LOOP;
END
$$;

-- As kith_testkit::build makes them.
CREATE FUNCTION pg_temp.key(space integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT (lpad(to_hex(1767225600000 + n), 12, '0') || '7' || space || '0080'
    || lpad(to_hex(n), 14, '0'))::uuid $$;
CREATE FUNCTION pg_temp.at(n bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
$$ SELECT '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 second' $$;

-- Who has a place in a conversation.
CREATE FUNCTION pg_temp.person(kind integer, n integer, place integer) RETURNS integer
LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE
    WHEN n IN (50001, 50002) AND kind <> 0 THEN place
    WHEN n = 50003 AND kind <> 0 THEN place + 1
    WHEN place = 1 AND (kind = 1 AND n <= 1000 OR kind = 0 AND n <= 4000) THEN 1
    WHEN kind = 0 AND n <= 4000 THEN n + 1
    ELSE 2 + (n * 7 + place * 7919) % 49999
END $$;

INSERT INTO users
SELECT pg_temp.key(1, n), 'user_' || n, 'user_' || n, 'user_' || n || '@example.org',
    'user_' || n || '@example.org', 'User ' || n, NULL, 'hash of user_' || n, 1, true, 0,
    pg_temp.at(0), NULL
FROM generate_series(1, 50000) AS n;
INSERT INTO user_words
SELECT word, id FROM users, LATERAL (VALUES
    (username_key), (lower(display_name)), (substr(username_key, 6))) AS words (word)
ORDER BY word;
INSERT INTO last_seen SELECT id, created_at FROM users;
INSERT INTO sessions
SELECT pg_temp.key(2, n), pg_temp.key(1, CASE WHEN n <= 50000 THEN n ELSE 1 END), 'Phone',
    '192.0.2.1', 'test', 1, sha256('x'), pg_temp.at(0), pg_temp.at(0), pg_temp.at(5000000), NULL
FROM generate_series(1, 50020) AS n;

-- Chats: the place in their kind, who is in them, how many messages they hold.
CREATE TEMP TABLE chats ON COMMIT DROP AS
SELECT pg_temp.key(3, n) AS id, n, 1 AS kind, 6 AS people, 4 AS messages,
    200000 + 4 * (n - 1) AS numbered_after
FROM generate_series(1, 50000) AS n
UNION ALL SELECT pg_temp.key(3, 50001), 50001, 1, 1024, 150000, 0
UNION ALL SELECT pg_temp.key(3, 50002), 50002, 2, 20000, 50000, 150000
UNION ALL SELECT pg_temp.key(3, 50003), 50003, 1, 256, 100, 1000000
UNION ALL SELECT pg_temp.key(3, 60000 + n), 60000 + n, 2, 3, 0, 0 FROM generate_series(1, 20000) AS n
UNION ALL SELECT md5('direct ' || n)::uuid, n, 0, 2, 4, 400000 + 4 * (n - 1)
FROM generate_series(1, 150000) AS n;
CREATE TEMP TABLE people ON COMMIT DROP AS
SELECT id, kind, messages, place, pg_temp.person(kind, n, place) AS person
FROM chats, LATERAL generate_series(1, people) AS place;

INSERT INTO conversations
SELECT id, kind, CASE WHEN kind <> 0 THEN 'Room ' || n END, NULL, 0, user_a, user_b, by,
    pg_temp.at(0), pg_temp.at(0), people, 1, 0, NULL, CASE WHEN kind = 2 THEN 'room ' || n END
FROM chats
JOIN (
    SELECT id, pg_temp.key(1, min(person) FILTER (WHERE place = 1)) AS by,
        CASE WHEN min(kind) = 0 THEN pg_temp.key(1, min(person)) END AS user_a,
        CASE WHEN min(kind) = 0 THEN pg_temp.key(1, max(person)) END AS user_b
    FROM people GROUP BY id
) AS pairs USING (id)
ORDER BY id;
INSERT INTO heads
SELECT id, messages, messages + 1 + CASE n WHEN 50001 THEN 1500 ELSE 0 END, 1,
    pg_temp.at(n + messages), 0
FROM chats ORDER BY id;
INSERT INTO members
SELECT id, pg_temp.key(1, person), CASE WHEN kind <> 0 AND place = 1 THEN 2 ELSE 0 END,
    pg_temp.at(place), 1, NULL, 1, greatest(messages - 1, 0), NULL, greatest(messages - 30, 0), NULL, NULL,
    person % 50 = 0, person % 20 = 0, false, 0
FROM people ORDER BY id, 2;
-- In the big group each hundredth message was edited in the end, and each fiftieth answers another.
INSERT INTO messages
SELECT chats.id, seq, pg_temp.key(4, numbered_after + seq), sender.id, 'c-' || numbered_after + seq,
    sha256('x'), 0, 'Some words of message ' || seq, CASE WHEN seq % 50 = 0 THEN seq / 2 END,
    CASE WHEN revised THEN 150001 + seq / 100 ELSE seq + 1 END, revised, pg_temp.at(seq),
    CASE WHEN revised THEN pg_temp.at(500000) END, NULL, NULL
FROM chats
CROSS JOIN LATERAL generate_series(1, messages) AS seq
CROSS JOIN LATERAL (SELECT n = 50001 AND kind = 1 AND seq % 100 = 0) AS it (revised)
CROSS JOIN LATERAL (
    SELECT pg_temp.key(1, pg_temp.person(kind, n, 1 + seq % people))
) AS sender (id)
ORDER BY chats.id, seq;
-- Each message that was edited has a few reactions, and one has a thousand; in the small groups the
-- first has one.
INSERT INTO reactions
SELECT pg_temp.key(3, 50001), seq, emoji, pg_temp.key(1, place), 150001 + seq / 100
FROM generate_series(100, 150000, 100) AS seq,
    LATERAL (VALUES ('👍', 1), ('👍', 2), ('🎉', 1)) AS given (emoji, place)
UNION ALL
SELECT pg_temp.key(3, 50001), 75100, '❤', pg_temp.key(1, place), place
FROM generate_series(1, 1024) AS place
UNION ALL
SELECT pg_temp.key(3, n), 1, '👍', pg_temp.key(1, n), 9 FROM generate_series(1, 50000) AS n
ORDER BY 1, 2, 3, 4;
INSERT INTO blocks
SELECT pg_temp.key(1, n), pg_temp.key(1, 1 + (n + step) % 50000), pg_temp.at(0)
FROM generate_series(1, 50000) AS n, (VALUES (61), (7919)) AS steps (step)
ORDER BY 1, 2;
INSERT INTO invites
SELECT 'code-of-an-invite-' || n, pg_temp.key(3, n), pg_temp.key(1, 1), pg_temp.at(0), NULL, NULL, 0
FROM generate_series(1, 50002) AS n;
INSERT INTO channel_words
SELECT word, id FROM conversations, LATERAL (VALUES
    (name_key), (substr(name_key, 6))) AS words (word)
WHERE kind = 2 ORDER BY 1, 2;
-- In some of the groups everybody advanced message by message, as far as he came.
INSERT INTO receipts
SELECT id, pg_temp.key(1, person), status, seq, pg_temp.at(seq + status)
FROM people, generate_series(1, 2) AS status,
    LATERAL generate_series(1, least(messages, 99) - CASE status WHEN 1 THEN 1 ELSE 2 END) AS seq
WHERE kind = 1 AND (messages = 100 OR id <= pg_temp.key(3, 5000)) ORDER BY 1, 2, 3, 4;
-- Before any transaction of this server; a tenth of them are older than an hour.
INSERT INTO changes
SELECT -n, ARRAY[pg_temp.key(3, n)], ARRAY[n], now() - n * interval '40 milliseconds'
FROM generate_series(100000, 1, -1) AS n;

DO $$
DECLARE definition text;
BEGIN
    FOR definition IN SELECT indexdef FROM later LOOP
        EXECUTE definition;
    END LOOP;
END
$$;
COMMIT;
