-- As they were before.
DO $$
DECLARE
    edit record;
    definition text;
BEGIN
    FOR edit IN
        SELECT * FROM (VALUES
            (
                'kith_append',
                'INSERT INTO changes (changed, conversations, versions, befores)
        SELECT number, array_agg(conversation), array_agg(version), array_agg(last_version)',
                'INSERT INTO changes (changed, conversations, versions)
        SELECT number, array_agg(conversation), array_agg(version)'
            ),
            (
                'kith_append_one',
                'INSERT INTO changes (changed, conversations, versions, befores)
    VALUES (number, ARRAY[conversation], ARRAY[version], ARRAY[version - 1])',
                'INSERT INTO changes (changed, conversations, versions)
    VALUES (number, ARRAY[conversation], ARRAY[version])'
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

ALTER TABLE store DROP COLUMN forgotten;
ALTER TABLE changes DROP COLUMN befores, DROP COLUMN sessions, DROP COLUMN people;
