-- System messages, which what was before does not know, stay as deleted messages.
UPDATE messages
SET kind = 0, content = NULL, deleted_at = created_at, revised = TRUE
WHERE kind = 3;

DROP INDEX members_in_charge;
DROP TABLE channel_words;
DROP INDEX conversations_listed;
ALTER TABLE conversations DROP COLUMN name_key;
DROP TABLE invites;
DROP TABLE blocks;
DROP TABLE receipts;
DROP TABLE reactions;
ALTER TABLE members DROP COLUMN joined_version;
ALTER TABLE members DROP COLUMN joined_seq;
ALTER TABLE messages DROP COLUMN mentions;
ALTER TABLE messages DROP COLUMN subject;
ALTER TABLE messages DROP COLUMN event;
