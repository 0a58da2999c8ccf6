-- What nodes need that read the log of changes.

ALTER TABLE changes
    -- Who came into the conversation, or went. Such a row names this one conversation alone. NULL where
    -- nobody did, and where the first message made a direct chat, whose two are known.
    ADD COLUMN people uuid[],
    -- Sessions that were ended. Such a row names their account alone.
    ADD COLUMN sessions uuid[];

ALTER TABLE store
    -- Changes up to this number may have been forgotten: who reads from there on may miss something.
    ADD COLUMN forgotten bigint NOT NULL DEFAULT 0;

ALTER TABLE changes
    -- The version that each of the conversations had before the transaction.
    ADD COLUMN befores bigint[];

-- The two functions that append say it too. What else they do stays as it is.
DO $$
DECLARE
    edit record;
    definition text;
BEGIN
    FOR edit IN
        SELECT * FROM (VALUES
            (
                'kith_append',
                'INSERT INTO changes (changed, conversations, versions)
        SELECT number, array_agg(conversation), array_agg(version)',
                'INSERT INTO changes (changed, conversations, versions, befores)
        SELECT number, array_agg(conversation), array_agg(version), array_agg(last_version)'
            ),
            (
                'kith_append_one',
                'INSERT INTO changes (changed, conversations, versions)
    VALUES (number, ARRAY[conversation], ARRAY[version])',
                'INSERT INTO changes (changed, conversations, versions, befores)
    VALUES (number, ARRAY[conversation], ARRAY[version], ARRAY[version - 1])'
            )
        ) AS edits (name, old, new)
    LOOP
        definition := pg_get_functiondef(edit.name::regproc);
        IF strpos(definition, edit.old) = 0 THEN
            RAISE EXCEPTION '% is not what it is taken for', edit.name;
        END IF;
        EXECUTE replace(definition, edit.old, edit.new);
    END LOOP;
END
$$;
